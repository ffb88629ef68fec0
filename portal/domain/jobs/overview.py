"""What the dashboard shows beside the queues of ``attention``: one day's visits by status."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.domain.jobs.models import Appointment
from portal.domain.jobs.states import APPOINTMENT


@dataclass(frozen=True, slots=True)
class VisitCount:
    """How many of a day's visits have a status; ``technician_id`` is that of one of them, ``None`` for nobody yet."""

    status: str
    technician_id: int | None
    count: int


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
