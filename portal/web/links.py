"""Signed links in messages: each opens one thing, named in its token, without signing in, and nothing else.

A token says what it opens and cannot be altered; it has no age of its own. Whether what it opens is over, such as a
visit that has started, is for the domain to say as of the moment somebody follows it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from flask import current_app
from itsdangerous import BadData, URLSafeSerializer

from portal.domain.access.models import AccessKind

EPOCH = datetime.fromtimestamp(0, UTC)
TICK = timedelta(microseconds=1)
ACCESS = {AccessKind.SIGN_IN: "link", AccessKind.PASSWORD: "password"}


class Purpose(StrEnum):
    """What a link is for; a token of one purpose is none of another. With other names in its payload it is another."""

    CALENDAR = "calendar"
    CONFIRM = "confirm"
    SURVEY = "survey"
    TRACK = "track"
    UNSUBSCRIBE = "unsubscribe"


class Tampered(Exception):
    """The token was not signed here for this purpose: cut off, altered, or made up."""


def sign(purpose: Purpose, payload: Mapping[str, int]) -> str:
    """Return the token of a link that opens what ``payload`` names, the same each time.

    Needs an application context, of the web or of the worker's renderer.
    """
    return str(_serializer(purpose).dumps(dict(payload)))


def read(purpose: Purpose, token: str) -> Mapping[str, int]:
    """Return the payload that ``token`` was signed with; raises ``Tampered``."""
    try:
        payload: Mapping[str, int] = _serializer(purpose).loads(token)
    except BadData as bad:
        raise Tampered from bad
    return payload


def unsubscribe_path(customer_id: int, contact_id: int | None = None) -> str:
    """Return the address, below the site's own, at which a customer or their contact switches e-mail off (N4)."""
    reader = {"customer": customer_id} if contact_id is None else {"contact": contact_id}
    return f"/unsubscribe/{sign(Purpose.UNSUBSCRIBE, reader)}"


def reader_to_unsubscribe(token: str) -> tuple[int | None, int | None]:
    """Return the key of the customer, or that of the contact, for whom a link was made; raises ``Tampered``."""
    payload = read(Purpose.UNSUBSCRIBE, token)
    return payload.get("customer"), payload.get("contact")


def confirm_path(visit_id: int, start: datetime) -> str:
    """Return the address, below the site's own, of the link that confirms ``start`` (an instant) of a visit (M8)."""
    return f"/confirm/{sign(Purpose.CONFIRM, {'visit': visit_id, 'start': (start - EPOCH) // TICK})}"


def visit_to_confirm(token: str) -> tuple[int, datetime]:
    """Return which visit, and which start of it, the confirm link with ``token`` was made for; raises ``Tampered``."""
    payload = read(Purpose.CONFIRM, token)
    return payload["visit"], EPOCH + payload["start"] * TICK


def survey_path(visit_id: int) -> str:
    """Return the address, below the site's own, of the link that rates a visit (C12)."""
    return f"/survey/{sign(Purpose.SURVEY, {'visit': visit_id})}"


def visit_to_rate(token: str) -> int:
    """Return which visit the link to a survey with ``token`` was made for; raises ``Tampered``."""
    return read(Purpose.SURVEY, token)["visit"]


def access_path(kind: AccessKind, token: str) -> str:
    """Return the address, below the site's own, of the link of ``kind`` with ``token`` (C9)."""
    return f"/login/{ACCESS[kind]}/{token}"


def track_path(visit_id: int, departure: int) -> str:
    """Return the address, below the site's own, at which one ``departure`` to a visit is followed (C4)."""
    return f"/track/{sign(Purpose.TRACK, {'visit': visit_id, 'departure': departure})}"


def departure_to_track(token: str) -> tuple[int, int]:
    """Return which visit, and which departure to it, the link with ``token`` was made for; raises ``Tampered``."""
    payload = read(Purpose.TRACK, token)
    return payload["visit"], payload["departure"]


def feed_path(feed_id: int, made_at: datetime) -> str:
    """Return the address, below the site's own, of a calendar feed that was made at an instant (C10)."""
    return f"/calendar/{sign(Purpose.CALENDAR, {'feed': feed_id, 'made': (made_at - EPOCH) // TICK})}.ics"


def feed_of(token: str) -> tuple[int, datetime]:
    """Return which calendar feed ``token`` leads to, and when that was made; raises ``Tampered``."""
    payload = read(Purpose.CALENDAR, token)
    return payload["feed"], EPOCH + payload["made"] * TICK


def _serializer(purpose: Purpose) -> URLSafeSerializer:
    return URLSafeSerializer(
        current_app.config["SECRET_KEY"], salt=f"link:{purpose}", signer_kwargs={"digest_method": hashlib.sha256}
    )
