"""Reading the customers who cannot be reached, within the session's scope (P18)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from portal.domain.delivery.models import Unreachable
from portal.domain.errors import NotFound
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.states import MOVABLE
from portal.domain.lookup import MAX_KEY
from portal.domain.paging import PAGE_ROWS, Cursor, Order, Page, page_of
from portal.domain.people.models import Customer
from portal.domain.people.queries import words_in

# The one that waits longest first.
UNREACHABLE_BY = {"number": (Unreachable.id,)}
IN_FULL = (joinedload(Unreachable.customer), joinedload(Unreachable.contact), joinedload(Unreachable.message))


def list_unreachable(
    session: Session, text: str, is_open: bool | None, order: Order, cursor: Cursor | None, limit: int = PAGE_ROWS
) -> Page[Unreachable]:
    """Return a page of tasks, open ones, closed ones or all, each with customer, contact and message.

    ``text`` is looked for in the customer's name and the address that failed.
    """
    query = select(Unreachable).options(*IN_FULL)
    if text:
        query = query.join(Customer, Customer.id == Unreachable.customer_id)
        query = query.where(words_in(text, (Customer.name, Unreachable.recipient)))
    if is_open is not None:
        query = query.where(Unreachable.closed_at.is_(None) if is_open else Unreachable.closed_at.is_not(None))
    return page_of(session, query, order, cursor, limit)


def unreachable_task(session: Session, task_id: int) -> Unreachable:
    """Return one task with customer, contact and message; raises ``NotFound``."""
    query = select(Unreachable).options(*IN_FULL).where(Unreachable.id == task_id)
    found = session.scalars(query).one_or_none() if 0 < task_id <= MAX_KEY else None
    if found is None:
        raise NotFound
    return found


def next_visits(session: Session, customer_ids: Iterable[int], now: datetime) -> dict[int, Any]:
    """Return of each customer the next visit that is planned after ``now`` (an instant), where there is one.

    A visit is its ``job_id``, ``workflow`` of that, ``start_at`` and ``window_minutes``. One statement.
    """
    query = (
        select(
            Appointment.customer_id, Appointment.job_id, Job.workflow, Appointment.start_at, Appointment.window_minutes
        )
        .join(Job, Job.id == Appointment.job_id)
        .where(
            Appointment.customer_id.in_(set(customer_ids)),
            Appointment.status.in_(sorted(MOVABLE)),
            Appointment.start_at > now,
        )
        .order_by(Appointment.start_at.desc())
    )
    return {row.customer_id: row for row in session.execute(query)}
