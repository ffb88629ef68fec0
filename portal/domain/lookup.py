"""Finding one row by its key: what is not in the session's scope is not there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.base import Tenant
from portal.domain.errors import NotFound
from portal.domain.people.models import Customer, Technician
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
    customers by key, partner, job, technicians by key, then visits.
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
    return _lock_people(session, Technician, keys)


def lock_customers(session: Session, keys: Iterable[int]) -> list[Customer]:
    """Lock customers in the order of their keys, so that no two merges wait for each other, and return them."""
    return _lock_people(session, Customer, keys)


def lock_customer(session: Session, key: int) -> Customer:
    """Lock one customer, so that they are not merged into another meanwhile, and return them; raises ``NotFound``."""
    for customer in lock_customers(session, [key]):
        return customer
    raise NotFound


def _lock_people(session: Session, model: type[T], keys: Iterable[int]) -> list[T]:
    require_unit_of_work(session)
    query = (
        select(model)
        .where(model.id.in_(sorted(key for key in set(keys) if 0 < key <= MAX_KEY)))
        .order_by(model.id)
        # The weaker lock, since every row that names a person takes a key-share lock on theirs.
        .with_for_update(of=model, key_share=True)
    )
    return list(session.scalars(query, execution_options={"populate_existing": True}))
