"""The worker's own way to the database: an engine like the web's, sessions that see every partner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.orm import Session, sessionmaker

from portal.domain import tenancy
from portal.domain.actor import SYSTEM
from portal.domain.database import prepare_engine, reading
from portal.domain.tenancy import set_scope
from portal.domain.unit_of_work import unit_of_work

READS = {"writes": False}


class Sessions:
    """Sessions for reading and for one unit of work each, over an engine or a connection for each of the two."""

    def __init__(self, made: sessionmaker[Session], reads: Engine | Connection, writes: Engine | Connection) -> None:
        self._made = made
        self._reads = reads
        self._writes = writes

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a session for reading; what it read stays usable after it."""
        with self._opened(self._reads) as session:
            # A connection that also writes does not forget that by itself.
            session.connection(execution_options=READS)
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a session for one unit of work, committed at the end of the block."""
        with self._opened(self._writes) as session, unit_of_work(session):
            yield session

    def _opened(self, bind: Engine | Connection) -> Session:
        session = self._made(bind=bind)
        set_scope(session, SYSTEM.scope)
        return session


class Store(Sessions):
    """Sessions over whichever connection is free."""

    def __init__(self, database_url: str) -> None:
        # A database that was restarted is noticed before a connection is used, not by a failed run.
        # The connection used last comes first, since it has prepared what is asked again and again.
        engine = create_engine(database_url, pool_pre_ping=True, pool_use_lifo=True)
        self.engine: Engine = prepare_engine(engine)
        made = sessionmaker(self.engine)
        tenancy.enforce(made)
        # Without a ROLLBACK after each read, at which psycopg forgets what it prepared: planning a letter's facts anew
        # took PostgreSQL longer than all else.
        self._reader = reading(self.engine)
        super().__init__(made, self._reader, self.engine)

    @contextmanager
    def at_hand(self) -> Iterator[Sessions]:
        """Open sessions over the same connection all along, tried out once: on PostgreSQL one to read and one to write.

        Each holds for one session at a time, and none notices that the database was restarted.
        """
        with ExitStack() as stack:
            writes = stack.enter_context(self.engine.connect())
            reads = writes if self._reader is self.engine else stack.enter_context(self._reader.connect())
            yield Sessions(self._made, reads, writes)

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()
