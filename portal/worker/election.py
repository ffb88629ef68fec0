"""Which of several workers ticks (N5): the one whose connection holds an advisory lock of the database."""

from __future__ import annotations

import threading
from contextlib import suppress

import structlog
from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import DBAPIError

log = structlog.get_logger("portal.worker")

# Of no other meaning than that nothing else locks it.
SEAT = 0x446F6F72


class Election:
    """One worker's candidacy on PostgreSQL, for as long as its connection lives. On SQLite every worker ticks.

    Two may think they tick for the moment after a connection broke: whatever ticks does each thing once all the same.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._held: Connection | None = None

    def won(self) -> bool:
        """Whether this worker is the one that ticks now; it takes the seat if that is free."""
        if self._engine.dialect.name != "postgresql":
            return True
        with self._lock:
            return self._still_holds() or self._takes()

    def leave(self) -> None:
        """Give the seat up for another worker to take at once."""
        with self._lock:
            if self._held is not None:
                with suppress(DBAPIError):
                    self._held.execute(select(func.pg_advisory_unlock(SEAT)))
                self._held.close()
                self._held = None

    def _still_holds(self) -> bool:
        if self._held is None:
            return False
        try:
            self._held.execute(select(1))
        except DBAPIError:
            log.warning("seat_lost")
            self._held.close()
            self._held = None
            return False
        return True

    def _takes(self) -> bool:
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        if connection.scalar(select(func.pg_try_advisory_lock(SEAT))):
            self._held = connection
            return True
        connection.close()
        return False
