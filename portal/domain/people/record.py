"""Writing down what was done to a partner as a whole or to its staff, in the transaction of the change (P20)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor, Role
from portal.domain.errors import Invalid, sentence, too_long
from portal.domain.people.models import PartnerEvent
from portal.domain.texts import shows

MAX_REASON = 500
MAX_VALUE = 255
EVENTS_SHOWN = 20


def note(
    session: Session,
    actor: Actor,
    now: datetime,
    partner_id: int,
    action: str,
    about: str = "",
    before: str = "",
    after: str = "",
    reason: str = "",
) -> PartnerEvent:
    """Add an entry and return it; ``about`` is whom or what it was done to. ``now`` is an instant."""
    event = PartnerEvent(
        partner_id=partner_id,
        at=now,
        action=action,
        about=about[:MAX_VALUE],
        actor_id=actor.id,
        actor_role=actor.role.value,
        actor_name=actor.name,
        before=before[:MAX_VALUE],
        after=after[:MAX_VALUE],
        reason=reason,
    )
    session.add(event)
    return event


def clean_reason(text: str) -> str:
    """Return a reason as it is kept; raises ``Invalid`` for a blank or overlong one."""
    reason = text.strip()
    if not shows(reason):
        raise Invalid({"reason": sentence("Give a reason")})
    if len(reason) > MAX_REASON:
        raise Invalid({"reason": too_long(MAX_REASON)})
    return reason


def partner_events(
    session: Session, partner_id: int, role: Role | None = None, limit: int = EVENTS_SHOWN
) -> Sequence[PartnerEvent]:
    """Return the latest entries about a partner, newest first; with ``role``, only what somebody of it did."""
    query = select(PartnerEvent).where(PartnerEvent.partner_id == partner_id)
    if role is not None:
        query = query.where(PartnerEvent.actor_role == role.value)
    return session.scalars(query.order_by(PartnerEvent.id.desc()).limit(limit)).all()
