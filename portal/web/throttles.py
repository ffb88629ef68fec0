"""Throttles of pages that a token in the address opens: guessing tokens, and pressing a link's buttons."""

from __future__ import annotations

from typing import Any

from flask import request
from flask_limiter.util import get_remote_address

from portal.extensions import limiter
from portal.web.signin import TRIES_ALL, TRIES_EACH

# As much of a token as tells it from others.
TOKEN_KEPT = 200


def _caller_and_token() -> str:
    return f"{get_remote_address()} {(request.view_args or {}).get('token', '')[:TOKEN_KEPT]}"


def _failed(response: Any) -> bool:
    # What is over was made here and is no guess: dead calendars of many people are asked for from one address.
    return bool(response.status_code >= 400 and response.status_code != 410)


guessing = limiter.limit(TRIES_ALL, key_func=get_remote_address, deduct_when=_failed)
# Calendar programs come by themselves, none of them oftener than each minute or so.
reading = limiter.limit(TRIES_ALL, key_func=_caller_and_token)
trying = limiter.limit(TRIES_EACH, key_func=_caller_and_token)
