"""The operator looking into a partner's data: a switch that is recorded and that the partner reads (P20).

While it is on, the operator acts as that partner's staff, for an hour at the longest. Use cases run within
``unit_of_work``; ``now`` is an instant.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor, Permission, demand_permission
from portal.domain.lookup import lock
from portal.domain.paging import PAGE_ROWS, Cursor, Order, Page, page_of
from portal.domain.people.models import LookIn
from portal.domain.people.partners import find_partner
from portal.domain.people.record import clean_reason

LONGEST = timedelta(hours=1)
LOOK_INS_BY = {"when": (LookIn.started_at, LookIn.id)}
NEWEST_FIRST = Order(LOOK_INS_BY["when"], descending=True)


def begin_look_in(session: Session, actor: Actor, now: datetime, partner_id: int, reason: str) -> LookIn:
    """Record that an operator looks into a partner's data from now on, and return it with until when they may.

    Raises ``Invalid`` without a reason, ``NotFound`` for no partner, ``Refused`` for anybody but an operator.
    """
    demand_permission(actor, Permission.MANAGE_PARTNERS)
    partner = find_partner(session, partner_id)
    look_in = LookIn(
        partner_id=partner.id,
        user_id=actor.id,
        user_name=actor.name,
        reason=clean_reason(reason),
        started_at=now,
        until=now + LONGEST,
    )
    session.add(look_in)
    session.flush()
    return look_in


def end_look_in(session: Session, now: datetime, look_in_id: int) -> LookIn:
    """Record that it ended now; one that had ended already stays as it is."""
    look_in = lock(session, LookIn, look_in_id)
    if look_in.ended_at is None and now < look_in.until:
        look_in.ended_at = now
    return look_in


def look_ins_of(session: Session, partner_id: int, limit: int = PAGE_ROWS) -> Sequence[LookIn]:
    """Return the latest times an operator looked into a partner's data, latest first."""
    query = select(LookIn).where(LookIn.partner_id == partner_id)
    return session.scalars(query.order_by(LookIn.started_at.desc(), LookIn.id.desc()).limit(limit)).all()


def list_look_ins(
    session: Session, order: Order = NEWEST_FIRST, cursor: Cursor | None = None, limit: int = PAGE_ROWS
) -> Page[LookIn]:
    """Return a page of the times an operator looked into the data of the session's partner, latest first."""
    return page_of(session, select(LookIn), order, cursor, limit)
