"""What a customer asks the office to change about a visit (C6)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String, Text, text
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from portal.domain.base import Base, CustomerOwned, Key, Tenant
from portal.domain.jobs.models import Appointment, Job, one_of
from portal.domain.requests.states import CHANGE_REQUEST

PENDING = CHANGE_REQUEST.first("request")
ONLY_PENDING = text(f"status = '{PENDING}'")


class Wish(StrEnum):
    """What a change request is for."""

    MOVE = "reschedule"
    CANCEL = "cancel"


class ChangeRequest(Tenant, CustomerOwned, Base):
    """A customer's wish about one visit, for the dispatcher to apply or decline.

    ``start_at`` is the visit's start when it was asked: a visit that was moved since lapses the wish. ``words`` are the
    customer's own, ``answer`` the office's reason for declining. Of one visit at most one is pending.
    """

    __tablename__ = "change_requests"
    table_extras = (
        ForeignKeyConstraint(
            ["partner_id", "customer_id", "job_id"],
            ["jobs.partner_id", "jobs.customer_id", "jobs.id"],
            # Along with its job to the customer that another becomes part of.
            onupdate="CASCADE",
        ),
        ForeignKeyConstraint(["partner_id", "appointment_id"], ["appointments.partner_id", "appointments.id"]),
        CheckConstraint(one_of("status", (status.name for status in CHANGE_REQUEST.statuses)), name="status"),
        CheckConstraint(one_of("wish", Wish), name="wish"),
        CheckConstraint("status <> 'DECLINED' OR length(trim(answer)) > 0", name="answer"),
        Index(
            "uq_change_requests_pending",
            "appointment_id",
            unique=True,
            sqlite_where=ONLY_PENDING,
            postgresql_where=ONLY_PENDING,
        ),
        Index("ix_change_requests_queue", "partner_id", "status", "id"),
        Index("ix_change_requests_customer", "partner_id", "customer_id", "id"),
        Index("ix_change_requests_job", "partner_id", "job_id"),
    )

    customer_id: Mapped[int] = mapped_column(Key)
    job_id: Mapped[int] = mapped_column(Key)
    appointment_id: Mapped[int] = mapped_column(Key)
    status: Mapped[str] = mapped_column(String(20))
    wish: Mapped[str] = mapped_column(String(20))
    words: Mapped[str] = mapped_column(Text)
    start_at: Mapped[datetime] = mapped_column()
    asked_at: Mapped[datetime] = mapped_column()
    answered_at: Mapped[datetime | None] = mapped_column()
    answered_by_id: Mapped[int | None] = mapped_column(Key, ForeignKey("users.id"))
    answer: Mapped[str] = mapped_column(Text, default="")

    job: Mapped[Job] = relationship(
        primaryjoin=lambda: foreign(ChangeRequest.job_id) == Job.id, lazy="raise", viewonly=True
    )
    visit: Mapped[Appointment] = relationship(
        primaryjoin=lambda: foreign(ChangeRequest.appointment_id) == Appointment.id, lazy="raise", viewonly=True
    )
