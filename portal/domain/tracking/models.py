"""The last position of a technician on the way to a visit; none is kept once the visit is no longer tracked (J9)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Float, ForeignKeyConstraint, UniqueConstraint, delete, event, inspect
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.domain.base import Base, CustomerOwned, Key, Tenant
from portal.domain.jobs.models import Appointment
from portal.domain.jobs.states import TRACKED


class Position(Tenant, CustomerOwned, Base):
    """Where the technician was at ``at`` (an instant), in degrees; ``accuracy`` is the radius in metres.

    One row a visit, written over: where somebody drove before is nobody's to know. The next position takes its place,
    and with the visit's leaving ``TRACKED`` the row goes, whatever use case that is.
    """

    __tablename__ = "positions"
    told_to_pages = False
    table_extras = (
        ForeignKeyConstraint(
            ["partner_id", "customer_id", "job_id"],
            ["jobs.partner_id", "jobs.customer_id", "jobs.id"],
            onupdate="CASCADE",
        ),
        ForeignKeyConstraint(["partner_id", "appointment_id"], ["appointments.partner_id", "appointments.id"]),
        UniqueConstraint("appointment_id"),
        CheckConstraint("latitude BETWEEN -90 AND 90", name="latitude"),
        CheckConstraint("longitude BETWEEN -180 AND 180", name="longitude"),
    )

    customer_id: Mapped[int] = mapped_column(Key)
    job_id: Mapped[int] = mapped_column(Key)
    appointment_id: Mapped[int] = mapped_column(Key)
    at: Mapped[datetime] = mapped_column()
    latitude: Mapped[float] = mapped_column(Float)
    longitude: Mapped[float] = mapped_column(Float)
    accuracy: Mapped[float] = mapped_column(Float)


@event.listens_for(Session, "after_flush")
def _forget_with_the_way(session: Session, context: Any) -> None:
    for row in session.dirty:
        if isinstance(row, Appointment) and row.status not in TRACKED:
            before = inspect(row).attrs.status.history.deleted
            if before and before[0] in TRACKED:
                gone = delete(Position).where(Position.appointment_id == row.id)
                session.execute(gone, execution_options={"synchronize_session": False})
