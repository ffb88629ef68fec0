"""Reading the versions of a contract."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.contracts.models import Contract


def current_contract(session: Session, job_id: int) -> Contract | None:
    """Return the version that counts: the latest that is not void; ``None`` before the first was sent."""
    query = (
        select(Contract)
        .where(Contract.job_id == job_id, Contract.voided_at.is_(None))
        .order_by(Contract.revision.desc())
        .limit(1)
    )
    return session.scalars(query).first()
