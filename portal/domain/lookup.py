"""Finding one row by its key: what is not in the session's scope is not there."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, TypeVar, cast

from sqlalchemy import Select, bindparam, select
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
    row: T | None = session.scalars(_by_key(cast(Any, model)), {"key": key}).one_or_none()
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
    fresh = {"populate_existing": True}
    row: T | None = session.scalars(_locking(cast(Any, model)), {"key": key}, execution_options=fresh).one_or_none()
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
    given = {"keys": sorted(key for key in set(keys) if 0 < key <= MAX_KEY)}
    return list(
        session.scalars(_locking_people(cast(Any, model)), given, execution_options={"populate_existing": True})
    )


# Put together once for each model: every page and every use case finds its rows by them.
@cache
def _by_key(model: Any) -> Select[Any]:
    return select(model).where(model.id == bindparam("key"))


@cache
def _locking(model: Any) -> Select[Any]:
    return _by_key(model).with_for_update(of=model)


@cache
def _locking_people(model: Any) -> Select[Any]:
    # The weaker lock, since every row that names a person takes a key-share lock on theirs.
    keys = model.id.in_(bindparam("keys", expanding=True))
    return select(model).where(keys).order_by(model.id).with_for_update(of=model, key_share=True)
