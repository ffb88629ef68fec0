"""A partner's contract text, and the versions of an installation's contract."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    event,
    inspect,
)
from sqlalchemy.orm import Mapped, Session, deferred, mapped_column

from portal.domain.base import Base, CustomerOwned, Key, Tenant, Versioned


class ContractSettings(Tenant, Versioned, Base):
    """A partner's own contract text with its placeholders; "" or no such row stands for the usual one (L1)."""

    __tablename__ = "contract_settings"
    table_extras = (UniqueConstraint("partner_id"),)

    text: Mapped[str] = mapped_column(Text, default="")


class Contract(Tenant, CustomerOwned, Base):
    """One version of a contract: the exact text and PDF sent, and how it was signed; each with its SHA-256.

    A version is void once a corrected one was sent. A signature is a typed name with consent and perhaps a drawing (by
    the customer), or a paper file (recorded by staff). ``pdf`` is drawn from ``body`` when somebody first needs it and
    kept from then on; so is ``signed_pdf``, the same with a certificate of the signature behind it.
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
    pdf: Mapped[bytes | None] = deferred(mapped_column(LargeBinary))
    pdf_sha256: Mapped[str] = mapped_column(String(64), default="", server_default="")
    voided_at: Mapped[datetime | None] = mapped_column()
    signed_at: Mapped[datetime | None] = mapped_column()
    signed_name: Mapped[str] = mapped_column(String(120), default="")
    consent: Mapped[str] = mapped_column(Text, default="")
    # The network address and the browser that the signature came from, as far as they said.
    signed_from: Mapped[str] = mapped_column(String(60), default="", server_default="")
    signed_with: Mapped[str] = mapped_column(String(300), default="", server_default="")
    drawing: Mapped[bytes | None] = deferred(mapped_column(LargeBinary))
    drawing_sha256: Mapped[str] = mapped_column(String(64), default="", server_default="")
    signed_pdf: Mapped[bytes | None] = deferred(mapped_column(LargeBinary))
    signed_pdf_sha256: Mapped[str] = mapped_column(String(64), default="", server_default="")
    paper_name: Mapped[str] = mapped_column(String(200), default="")
    paper_type: Mapped[str] = mapped_column(String(100), default="")
    paper: Mapped[bytes | None] = deferred(mapped_column(LargeBinary))
    paper_sha256: Mapped[str] = mapped_column(String(64), default="", server_default="")

    @property
    def signed_online(self) -> bool:
        """Whether the customer signed it in the portal, so that there is a PDF with a certificate."""
        return self.signed_at is not None and not self.on_paper

    @property
    def on_paper(self) -> bool:
        """Whether it was signed on paper, so that there is a scan."""
        return bool(self.paper_type)


# What bears witness: once it is there it is never written again.
WITNESSES = (
    "body",
    "sha256",
    "sent_at",
    "pdf_sha256",
    "voided_at",
    "signed_at",
    "signed_name",
    "consent",
    "signed_from",
    "signed_with",
    "drawing_sha256",
    "signed_pdf_sha256",
    "paper_name",
    "paper_type",
    "paper_sha256",
)


@event.listens_for(Session, "before_flush")
def _bears_witness(session: Session, context: Any, instances: Any) -> None:
    for row in (*session.dirty, *session.deleted):
        if isinstance(row, Contract) and (row in session.deleted or _rewrites(row)):
            raise RuntimeError("what was sent and signed is written once and never altered")


def _rewrites(contract: Contract) -> bool:
    found = inspect(contract).attrs
    return any(before not in (None, "") for name in WITNESSES for before in found[name].history.deleted or ())
