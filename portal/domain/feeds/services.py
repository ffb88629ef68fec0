"""Making and revoking the private address of a calendar, by the person themselves (C10).

Each runs within one ``unit_of_work``; ``now`` is an instant. They raise ``Refused`` for who has no visits of their own.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor, Role
from portal.domain.errors import Refusal, Refused, sentence
from portal.domain.feeds.models import CalendarFeed
from portal.domain.feeds.queries import open_feed
from portal.domain.people.models import User
from portal.domain.unit_of_work import require_unit_of_work


def make_feed(session: Session, actor: Actor, now: datetime) -> CalendarFeed:
    """Give ``actor`` a feed with an address that nobody knows yet and return it; an earlier one is revoked."""
    revoke_feed(session, actor, now)
    feed = CalendarFeed(user_id=actor.id, role=actor.role.value, made_at=now)
    session.add(feed)
    session.flush()
    return feed


def revoke_feed(session: Session, actor: Actor, now: datetime) -> None:
    """Let the address of the actor's feed lead nowhere from now on; nothing happens where there is none."""
    require_unit_of_work(session)
    if actor.role not in {Role.CUSTOMER, Role.TECHNICIAN}:
        raise Refused(Refusal("not_your_role", sentence("This is not yours to do.")))
    # Whoever presses twice at once makes one after the other.
    session.execute(select(User.id).where(User.id == actor.id).with_for_update())
    present = open_feed(session, actor)
    if present is not None:
        present.revoked_at = now
        session.flush()
