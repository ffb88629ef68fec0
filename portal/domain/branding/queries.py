"""Reading branding: a partner with its logo's name, and a logo by its name."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.branding.models import PartnerLogo
from portal.domain.errors import NotFound
from portal.domain.people.models import Partner


def partner_for_branding(session: Session, partner_id: int) -> Partner:
    """Return a partner as it is stored now; raises ``NotFound`` for one out of the session's scope."""
    query = select(Partner).where(Partner.id == partner_id)
    partner = session.scalars(query, execution_options={"populate_existing": True}).one_or_none()
    if partner is None:
        raise NotFound
    return partner


def logo_picture(session: Session, digest: str) -> bytes:
    """Return the PNG whose SHA-256 is ``digest`` (64 hexadecimal digits); raises ``NotFound``.

    Logos are for everybody who knows their address, which nobody can guess.
    """
    picture = session.scalars(select(PartnerLogo.picture).where(PartnerLogo.digest == digest).limit(1)).first()
    if picture is None:
        raise NotFound
    return picture


def partner_logo(session: Session, partner_id: int) -> bytes | None:
    """Return the PNG of a partner's logo, or ``None`` for a partner without."""
    return session.scalars(select(PartnerLogo.picture).where(PartnerLogo.partner_id == partner_id)).one_or_none()
