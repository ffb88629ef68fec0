"""The worker's own way to the database: an engine like the web's, sessions that see every partner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session, sessionmaker

from portal.domain import tenancy
from portal.domain.actor import SYSTEM
from portal.domain.database import prepare_engine, reading
from portal.domain.tenancy import set_scope
from portal.domain.unit_of_work import unit_of_work


class Store:
    """Sessions for reading and for one unit of work each."""

    def __init__(self, database_url: str) -> None:
        # A database that was restarted is noticed before a connection is used, not by a failed run.
        self.engine: Engine = prepare_engine(create_engine(database_url, pool_pre_ping=True))
        # Without a ROLLBACK after each read, at which psycopg forgets what it prepared: planning a letter's facts anew
        # took PostgreSQL longer than all else.
        self._reads = reading(self.engine)
        self._sessions = sessionmaker(self.engine)
        tenancy.enforce(self._sessions)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a session for reading; what it read stays usable after it."""
        with self._opened(self._reads) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a session for one unit of work, committed at the end of the block."""
        with self._opened(self.engine) as session, unit_of_work(session):
            yield session

    def _opened(self, engine: Engine) -> Session:
        session = self._sessions(bind=engine)
        set_scope(session, SYSTEM.scope)
        return session

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()
