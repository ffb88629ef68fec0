"""When something in the field happened, where it is told later than that because there was no signal (J8)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from portal.domain.errors import Invalid, sentence

# How far a phone's clock may be ahead, and how late something may still be told.
MOST_AHEAD = timedelta(minutes=2)
LATEST = timedelta(hours=72)
# From which lateness on the history says when it happened beside when it was told.
TOLD_AT_ONCE = timedelta(minutes=1)
KEY = re.compile(r"[0-9A-Za-z-]{16,40}")


def when_it_happened(told: datetime | None, now: datetime, after: Iterable[datetime | None] = ()) -> datetime:
    """Return the instant at which something happened: as ``told`` by the phone, else ``now``.

    Never before any of the instants ``after``, which came before it, nor after ``now``. Raises ``Invalid`` at
    ``happened_at`` for what lies further ahead or behind than a phone without signal explains.
    """
    if told is None:
        return now
    if told > now + MOST_AHEAD:
        raise Invalid({"happened_at": sentence("The phone's clock is ahead; set its time and try again")})
    if told < now - LATEST:
        raise Invalid(
            {
                "happened_at": sentence(
                    "This is more than %(hours)s hours old; tell the office, who can record it",
                    hours=LATEST // timedelta(hours=1),
                )
            }
        )
    return min(now, max([told, *(one for one in after if one is not None)]))


def told_late(happened: datetime, now: datetime) -> datetime | None:
    """Return ``happened`` for the history where that was some time before ``now``, else ``None``."""
    return happened if now - happened >= TOLD_AT_ONCE else None


def client_key(text: str) -> str:
    """Return the key made where something was done, by which it counts once; a new one where ``text`` is none."""
    return text if KEY.fullmatch(text) else secrets.token_hex(16)
