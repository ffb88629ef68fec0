"""The partner's logo; name, colour and words stand on the partner itself."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, Integer, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.domain.base import Base, Tenant


class PartnerLogo(Tenant, Base):
    """A partner's logo as a PNG, drawn anew from what was uploaded; ``digest`` names it in its address."""

    __tablename__ = "partner_logos"
    table_extras = (UniqueConstraint("partner_id"), Index("ix_partner_logos_digest", "digest"))

    digest: Mapped[str] = mapped_column(String(64))
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    saved_at: Mapped[datetime] = mapped_column()
    picture: Mapped[bytes] = mapped_column(LargeBinary)
