"""Internal notes of a job, and the receipts of what was sent from the field."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.domain.base import Base, CustomerOwned, Key, Tenant


class JobNote(Tenant, CustomerOwned, Base):
    """A note for the office and whoever comes next; no customer reads it.

    ``written_at`` is when it was, ``added_at`` when it arrived (instants); the same ``client_key`` counts once.
    """

    __tablename__ = "job_notes"
    told_to_pages = False
    table_extras = (
        ForeignKeyConstraint(
            ["partner_id", "customer_id", "job_id"],
            ["jobs.partner_id", "jobs.customer_id", "jobs.id"],
            onupdate="CASCADE",
        ),
        UniqueConstraint("job_id", "client_key"),
        CheckConstraint("length(trim(words)) > 0", name="words"),
        Index("ix_job_notes_job", "partner_id", "job_id", "written_at"),
    )

    customer_id: Mapped[int] = mapped_column(Key)
    job_id: Mapped[int] = mapped_column(Key)
    words: Mapped[str] = mapped_column(Text)
    client_key: Mapped[str] = mapped_column(String(40))
    written_at: Mapped[datetime] = mapped_column()
    added_at: Mapped[datetime] = mapped_column()
    author_id: Mapped[int | None] = mapped_column(Key, ForeignKey("users.id"))
    author_name: Mapped[str] = mapped_column(String(120))


class FieldReceipt(Tenant, Base):
    """A step that a technician's phone sent and that was taken: it is not taken again when it is sent again (J8).

    ``happened_at`` is when the technician took it, ``received_at`` when it arrived (instants).
    """

    __tablename__ = "field_receipts"
    told_to_pages = False
    table_extras = (
        ForeignKeyConstraint(["partner_id", "appointment_id"], ["appointments.partner_id", "appointments.id"]),
        UniqueConstraint("appointment_id", "client_key"),
    )

    appointment_id: Mapped[int] = mapped_column(Key)
    client_key: Mapped[str] = mapped_column(String(40))
    step: Mapped[str] = mapped_column(String(40))
    happened_at: Mapped[datetime] = mapped_column()
    received_at: Mapped[datetime] = mapped_column()
