"""The operator's switch for looking into a partner's data, kept in the server-side session (P20).

It costs a request nothing: who looks where, and until when, is in the session that is open anyway. That it was
switched on and off is in the database, for the partner to read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from flask import session

from portal.domain.people.models import LookIn

KEY = "looking"


@dataclass(frozen=True, slots=True)
class Looking:
    """A switch that is on: its record, whose data, why, until when (an instant) at the longest."""

    look_in_id: int
    partner_id: int
    reason: str
    until: datetime


def switch_on(look_in: LookIn) -> None:
    """Let the operator of this session look into the partner's data of ``look_in`` from the next request on."""
    session[KEY] = {
        "user": look_in.user_id,
        "look_in": look_in.id,
        "partner": look_in.partner_id,
        "reason": look_in.reason,
        "until": look_in.until.isoformat(),
    }


def switch_off() -> None:
    """End it from the next request on."""
    session.pop(KEY, None)


def present(user_id: int) -> Looking | None:
    """Return the switch of this session if it is on for that user; one whose hour is over is not."""
    kept = session.get(KEY)
    if kept is None or kept["user"] != user_id:
        return None
    until = datetime.fromisoformat(kept["until"])
    if until <= datetime.now(UTC):
        switch_off()
        return None
    return Looking(kept["look_in"], kept["partner"], kept["reason"], until)
