"""The one place that commits. On SQLite a unit of work takes the write lock first (``BEGIN IMMEDIATE``)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial

from sqlalchemy import Connection, Select, select
from sqlalchemy.orm import Session

from portal.domain.errors import Invalid, Sentence
from portal.domain.people.models import Partner
from portal.domain.prepared import Prepared, among
from portal.domain.tenancy import SCOPE, SUSPENDED, Scope

WRITES = {"writes": True}
_ACTIVE = "unit_of_work"
_CONNECTION = "unit_of_work_connection"
_refused_with: ContextVar[Sentence | None] = ContextVar("refused_with", default=None)


@contextmanager
def refusing(why: Sentence) -> Iterator[None]:
    """Let every unit of work that a block would begin, on whatever session, be refused as ``Invalid`` at no field.

    For showing again what was sent, by the very code that would have taken it.
    """
    before = _refused_with.set(why)
    try:
        yield
    finally:
        _refused_with.reset(before)


@contextmanager
def unit_of_work(session: Session) -> Iterator[Session]:
    """Run a block in one writing transaction: commit at its end, roll back on any exception.

    Whatever the session read before is let go first, so that the block's locks see the newest rows and SQLite never
    has to upgrade a read to a write. Raises ``RuntimeError`` when nested or when unflushed changes are lying about.

    Rows of a partner that is suspended by then are refused as they are written (P20): whatever the use case and whoever
    calls it, so that none has to ask.
    """
    why = _refused_with.get()
    if why is not None:
        raise Invalid({"": why})
    if session.info.get(_ACTIVE):
        raise RuntimeError("units of work do not nest")
    if session.new or session.dirty or session.deleted:
        raise RuntimeError("changes were made outside of a unit of work")
    session.rollback()
    session.info[_ACTIVE] = True
    try:
        session.info[_CONNECTION] = session.connection(execution_options=WRITES)
        session.info[SUSPENDED] = partial(_suspended, session)
        yield session
        session.commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        session.info[_ACTIVE] = False
        session.info[_CONNECTION] = None
        session.info[SUSPENDED] = frozenset()


def in_unit_of_work(session: Session) -> bool:
    """Whether ``session`` is in the block of a unit of work."""
    return bool(session.info.get(_ACTIVE))


def require_unit_of_work(session: Session) -> None:
    """Raise ``RuntimeError`` outside of a unit of work: what a use case locks would not be held."""
    if not in_unit_of_work(session):
        raise RuntimeError("a use case runs within unit_of_work()")


def connection_in(session: Session) -> Connection:
    """Return the connection of the unit of work that ``session`` is in; raises ``RuntimeError`` outside of one."""
    require_unit_of_work(session)
    connection: Connection = session.info[_CONNECTION]
    return connection


def _suspended(session: Session) -> frozenset[int]:
    scope = session.info.get(SCOPE)
    if not isinstance(scope, Scope) or scope.exception or scope.past_suspension or not scope.partner_ids:
        return frozenset()
    found = _SUSPENDED.rows(connection_in(session), {"partners": list(scope.partner_ids)})
    return frozenset(partner_id for (partner_id,) in found)


def _suspended_partners(dialect: str) -> Select[int]:
    return select(Partner.id).where(among(Partner.id, "partners", dialect), Partner.suspended_at.is_not(None))


_SUSPENDED = Prepared(_suspended_partners)
