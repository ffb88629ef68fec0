"""A photo of a visit; the pictures themselves are files (``storage``)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from portal.domain.base import Base, CustomerOwned, Key, Tenant
from portal.domain.jobs.models import Appointment

# Photos that were removed and whose files may still be there.
TO_CLEAR = text("removed_at IS NOT NULL AND name <> ''")


class Photo(Tenant, CustomerOwned, Base):
    """A photo of a visit, its customer's to see once it is shared (C2, J8).

    ``name`` is that of its files, "" once they are gone: a removed photo keeps its row, for the history, and nothing
    else. ``client_key`` is made where the photo is taken, so that one that is sent twice counts once; ``taken_at`` is
    when that was and ``added_at`` when it arrived (instants).
    """

    __tablename__ = "photos"
    told_to_pages = False
    table_extras = (
        ForeignKeyConstraint(
            ["partner_id", "customer_id", "job_id"],
            ["jobs.partner_id", "jobs.customer_id", "jobs.id"],
            onupdate="CASCADE",
        ),
        ForeignKeyConstraint(["partner_id", "appointment_id"], ["appointments.partner_id", "appointments.id"]),
        UniqueConstraint("appointment_id", "client_key"),
        Index("ix_photos_job", "partner_id", "job_id", "taken_at"),
        Index("ix_photos_name", "name"),
        Index("ix_photos_to_clear", "removed_at", postgresql_where=TO_CLEAR, sqlite_where=TO_CLEAR),
    )

    customer_id: Mapped[int] = mapped_column(Key)
    job_id: Mapped[int] = mapped_column(Key)
    appointment_id: Mapped[int] = mapped_column(Key)
    client_key: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(80))
    caption: Mapped[str] = mapped_column(String(200), default="")
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    taken_at: Mapped[datetime] = mapped_column()
    added_at: Mapped[datetime] = mapped_column()
    added_by_id: Mapped[int | None] = mapped_column(Key, ForeignKey("users.id"))
    added_by_name: Mapped[str] = mapped_column(String(120))
    shared_at: Mapped[datetime | None] = mapped_column()
    removed_at: Mapped[datetime | None] = mapped_column()

    visit: Mapped[Appointment] = relationship(
        primaryjoin=lambda: foreign(Photo.appointment_id) == Appointment.id, lazy="raise", viewonly=True
    )

    @property
    def is_shared(self) -> bool:
        """Whether the customer sees it."""
        return self.shared_at is not None
