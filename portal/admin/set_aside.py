"""Forms that somebody leaves half filled in, to add what they lack, and comes back to.

What was typed waits in the session on the server: an address holds only the key of it, which says nothing to others.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import request, session
from werkzeug.datastructures import MultiDict

KEY = "set_aside"
# What an address calls the form to come back to.
NAMED = "form"
# Of each browser; the oldest goes first.
MOST = 3


@dataclass(frozen=True, slots=True)
class SetAside:
    """A form as it was left: its address and what was typed."""

    key: str
    path: str
    typed: MultiDict[str, str]

    def url(self, **args: object) -> str:
        """Return the address that shows the form again."""
        return f"{self.path}?{urlencode({NAMED: self.key, **args})}"


def set_aside(button: str) -> str:
    """Keep the form that the request sends, without the ``button`` that was pressed, and return its key."""
    typed = [[name, value] for name, value in request.form.items(multi=True) if name not in {button, "csrf_token"}]
    key = secrets.token_urlsafe(9)
    kept = {**session.get(KEY, {}), key: [request.path, typed]}
    session[KEY] = dict(list(kept.items())[-MOST:])
    return key


def taken_up() -> SetAside | None:
    """Return the form that the request's address names; ``None`` for none, or one that is not kept any more."""
    key = request.args.get(NAMED, "")
    found = session.get(KEY, {}).get(key)
    if found is None:
        return None
    path, typed = found
    return SetAside(key, path, MultiDict((name, value) for name, value in typed))
