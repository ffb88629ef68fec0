"""The private addresses of calendars."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.domain.base import Base, Key, Keyed

ONLY_OPEN = text("revoked_at IS NULL")


class CalendarFeed(Keyed, Base):
    """A person's feed in one ``role``: of all their visits as a customer, whosever, or of their work as a technician.

    Like a log-in it belongs to nobody's company. The address is signed with the installation's secret and names the
    row, so that nobody who reads the table can make one. Revoked it stays, so that the address can say so.
    """

    __tablename__ = "calendar_feeds"
    __table_args__ = (
        CheckConstraint("role IN ('customer', 'technician')", name="role"),
        Index(
            "uq_calendar_feeds_open",
            "user_id",
            "role",
            unique=True,
            sqlite_where=ONLY_OPEN,
            postgresql_where=ONLY_OPEN,
        ),
    )

    user_id: Mapped[int] = mapped_column(Key, ForeignKey("users.id"))
    role: Mapped[str] = mapped_column(String(20))
    made_at: Mapped[datetime] = mapped_column()
    revoked_at: Mapped[datetime | None] = mapped_column()
