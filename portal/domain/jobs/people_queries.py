"""What the pages of one customer and of one technician show of their work (P23)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.states import OPEN
from portal.domain.paging import Cursor, Order, Page, page_of
from portal.domain.people.models import Address, Customer, Technician

COMING = 20
NEWEST_FIRST = Order((Job.id,), descending=True)


def jobs_of_customer(session: Session, customer_id: int, cursor: Cursor | None, limit: int) -> Page[Any]:
    """Return a page of a customer's jobs, the one made last first, in one statement.

    Rows are tuples of the job's columns with ``technician``, a name or ``None``, and ``line``, the street.
    """
    query = (
        select(
            Job.id,
            Job.number,
            Job.title,
            Job.workflow,
            Job.status,
            Job.technician_id,
            Job.start_at,
            Technician.name.label("technician"),
            Address.line,
        )
        .join(Address, Address.id == Job.address_id)
        .outerjoin(Technician, Technician.id == Job.technician_id)
        .where(Job.customer_id == customer_id)
    )
    return page_of(session, query, NEWEST_FIRST, cursor, limit, scalars=False)


def coming_visits(session: Session, technician_id: int, now: datetime, limit: int = COMING) -> list[Row[Any]]:
    """Return a technician's planned or open visits that end after ``now`` (an instant), earliest first.

    Tuples of the visit's columns with ``job_id``, ``workflow``, ``title``, ``customer`` (name), ``line`` and
    ``postcode``; one statement.
    """
    query = (
        select(
            Appointment.id,
            Appointment.status,
            Appointment.technician_id,
            Appointment.start_at,
            Appointment.window_minutes,
            Job.id.label("job_id"),
            Job.workflow,
            Job.title,
            Customer.name.label("customer"),
            Address.line,
            Address.postcode,
        )
        .join(Job, Job.id == Appointment.job_id)
        .join(Customer, Customer.id == Appointment.customer_id)
        .join(Address, Address.id == Job.address_id)
        .where(
            Appointment.technician_id == technician_id,
            Appointment.status.in_(sorted(OPEN)),
            Appointment.end_at > now,
        )
        .order_by(Appointment.start_at, Appointment.id)
        .limit(limit)
    )
    return list(session.execute(query))
