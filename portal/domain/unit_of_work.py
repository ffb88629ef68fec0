"""The one place that commits. On SQLite a unit of work takes the write lock first (``BEGIN IMMEDIATE``)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

WRITES = {"writes": True}
_ACTIVE = "unit_of_work"


@contextmanager
def unit_of_work(session: Session) -> Iterator[Session]:
    """Run a block in one writing transaction: commit at its end, roll back on any exception.

    Whatever the session read before is let go first, so that the block's locks see the newest rows and SQLite never
    has to upgrade a read to a write. Raises ``RuntimeError`` when nested or when unflushed changes are lying about.
    """
    if session.info.get(_ACTIVE):
        raise RuntimeError("units of work do not nest")
    if session.new or session.dirty or session.deleted:
        raise RuntimeError("changes were made outside of a unit of work")
    session.rollback()
    session.info[_ACTIVE] = True
    try:
        session.connection(execution_options=WRITES)
        yield session
        session.commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        session.info[_ACTIVE] = False


def require_unit_of_work(session: Session) -> None:
    """Raise ``RuntimeError`` outside of a unit of work: what a use case locks would not be held."""
    if not session.info.get(_ACTIVE):
        raise RuntimeError("a use case runs within unit_of_work()")
