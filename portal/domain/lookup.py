"""Finding one row by its key: what is not in the session's scope is not there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.base import Tenant
from portal.domain.errors import NotFound
from portal.domain.people.models import Technician
from portal.domain.unit_of_work import require_unit_of_work

T = TypeVar("T", bound=Tenant)
MAX_KEY = 2**63 - 1


def find(session: Session, model: type[T], key: int) -> T:
    """Return the row of ``model`` with ``key`` within the session's scope; raises ``NotFound`` (C7)."""
    if not 0 < key <= MAX_KEY:
        raise NotFound
    row = session.scalars(select(model).where(model.id == key)).one_or_none()
    if row is None:
        raise NotFound
    return row


def lock(session: Session, model: type[T], key: int) -> T:
    """Return the row as it is now, locked until the unit of work ends; raises ``NotFound``.

    On SQLite the unit of work holds the only write lock, so nothing more is needed there. Order of locks everywhere:
    partner, job, technicians by key, then visits.
    """
    require_unit_of_work(session)
    if not 0 < key <= MAX_KEY:
        raise NotFound
    query = select(model).where(model.id == key).with_for_update(of=model)
    row = session.scalars(query, execution_options={"populate_existing": True}).one_or_none()
    if row is None:
        raise NotFound
    return row


def lock_technicians(session: Session, keys: Iterable[int]) -> list[Technician]:
    """Lock technicians in the order of their keys, so that two bookings never wait for each other, and return them."""
    require_unit_of_work(session)
    query = (
        select(Technician)
        .where(Technician.id.in_(sorted(set(keys))))
        .order_by(Technician.id)
        # The weaker lock, since every visit that names a technician takes a key-share lock on the row.
        .with_for_update(of=Technician, key_share=True)
    )
    return list(session.scalars(query, execution_options={"populate_existing": True}))
