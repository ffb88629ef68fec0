"""The versions of an installation's contract."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, deferred, mapped_column

from portal.domain.base import Base, CustomerOwned, Key, Tenant


class Contract(Tenant, CustomerOwned, Base):
    """One version of a contract: the exact text sent, its SHA-256, and how it was signed.

    A version is void once a corrected one was sent. A signature is a typed name with consent (by the customer) or a
    paper file (recorded by staff).
    """

    __tablename__ = "contracts"
    told_to_pages = False
    table_extras = (
        ForeignKeyConstraint(
            ["partner_id", "customer_id", "job_id"],
            ["jobs.partner_id", "jobs.customer_id", "jobs.id"],
            onupdate="CASCADE",
        ),
        UniqueConstraint("job_id", "revision"),
        CheckConstraint("voided_at IS NULL OR signed_at IS NULL", name="void_unsigned"),
    )

    customer_id: Mapped[int] = mapped_column(Key)
    job_id: Mapped[int] = mapped_column(Key)
    revision: Mapped[int] = mapped_column(Integer)
    body: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    sent_at: Mapped[datetime] = mapped_column()
    voided_at: Mapped[datetime | None] = mapped_column()
    signed_at: Mapped[datetime | None] = mapped_column()
    signed_name: Mapped[str] = mapped_column(String(120), default="")
    consent: Mapped[str] = mapped_column(Text, default="")
    paper_name: Mapped[str] = mapped_column(String(200), default="")
    paper_type: Mapped[str] = mapped_column(String(100), default="")
    paper: Mapped[bytes | None] = deferred(mapped_column(LargeBinary))
