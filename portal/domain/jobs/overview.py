"""What the dashboard shows: one day's visits by status, and the installations that need a decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.states import APPOINTMENT, INSTALLATION, OPEN
from portal.domain.people.models import Customer

SHOWN = 5
UNASSIGNED = INSTALLATION.transition("assign").sources
# Where an installation stays when work has begun and its last visit ended without completing it (lifecycles.md).
BEGUN = INSTALLATION.transition("start_work").targets


@dataclass(frozen=True, slots=True)
class VisitCount:
    """How many of a day's visits have a status; ``technician_id`` is that of one of them, ``None`` for nobody yet."""

    status: str
    technician_id: int | None
    count: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """Installations that need a decision, the most urgent first; ``more`` if there are others beside these."""

    jobs: Sequence[Any]
    more: bool


def visits_between(session: Session, start: datetime, end: datetime) -> list[VisitCount]:
    """Count the visits that start between two instants by status, in the order of the table. One statement."""
    query = (
        select(Appointment.status, func.min(Appointment.technician_id), func.count())
        .where(Appointment.start_at >= start, Appointment.start_at < end)
        .group_by(Appointment.status, Appointment.technician_id.is_(None))
    )
    order = [status.name for status in APPOINTMENT.statuses]
    counts = [VisitCount(*row) for row in session.execute(query)]
    return sorted(counts, key=lambda row: (order.index(row.status), row.technician_id is not None))


def without_technician(session: Session) -> Waiting:
    """Return the installations to which nobody is assigned yet, the earliest first. One statement."""
    return _waiting(session, _jobs().where(Job.status.in_(UNASSIGNED), Job.technician_id.is_(None)))


def needing_a_visit(session: Session) -> Waiting:
    """Return the installations whose work has begun and that have no visit to come. One statement."""
    visit = select(Appointment.id).where(Appointment.job_id == Job.id, Appointment.status.in_(sorted(OPEN))).exists()
    return _waiting(session, _jobs().where(Job.status.in_(BEGUN), ~visit))


def _jobs() -> Select[*tuple[Any, ...]]:
    return (
        select(Job.id, Job.number, Job.title, Job.start_at, Customer.name.label("customer"))
        .join(Customer, Customer.id == Job.customer_id)
        .where(Job.workflow == INSTALLATION.name)
    )


def _waiting(session: Session, query: Select[*tuple[Any, ...]]) -> Waiting:
    rows = session.execute(query.order_by(Job.start_at, Job.id).limit(SHOWN + 1)).all()
    return Waiting(rows[:SHOWN], len(rows) > SHOWN)
