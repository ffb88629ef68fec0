"""How both databases are opened, so that the same transaction means the same on each."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

POSTGRESQL = "postgresql"
SQLITE_WAIT_MS = 15_000


def normalise_url(url: str) -> str:
    """Return ``url`` with psycopg 3 as the driver of PostgreSQL, however the host spells it."""
    parsed = make_url(url)
    if parsed.drivername in {"postgres", POSTGRESQL}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    return parsed.render_as_string(hide_password=False)


def prepare_engine(engine: Engine) -> Engine:
    """Give a SQLite engine foreign keys, WAL, a wait for the lock and ``BEGIN IMMEDIATE`` for writers.

    The driver's own transaction mode let racing bookings overlap; see the traps in the README's "Two databases". One of
    PostgreSQL speaks UTC.
    """
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _open_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "connect", _open_postgresql)
    return engine


def reading(engine: Engine) -> Engine:
    """Return ``engine`` for reads, over the same pool: on PostgreSQL each statement stands alone.

    That saves a BEGIN and a ROLLBACK a request and changes nothing, since READ COMMITTED gives every statement a
    snapshot of its own. SQLite keeps its transactions, which cost nothing there.
    """
    return engine.execution_options(isolation_level="AUTOCOMMIT") if engine.dialect.name == POSTGRESQL else engine


def ask_driver(connection: Connection, statement: str, values: Mapping[str, Any] | None = None) -> Sequence[Any]:
    """Return the rows of a SELECT, asked of PostgreSQL's driver itself: that takes a third of the time.

    For what every request begins with, where the driver gives all types as they are wanted. Where it fails, SQLAlchemy
    is asked, which knows what a connection that was lost means for the others.
    """
    try:
        rows: Sequence[Any] = connection.connection.cursor().execute(statement, values).fetchall()
    except connection.dialect.loaded_dbapi.Error:
        return connection.exec_driver_sql(statement, values).all()
    return rows


def _open_sqlite(connection: sqlite3.Connection, record: Any) -> None:
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {SQLITE_WAIT_MS}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    # SQLite's own knows the case of ASCII only, so that a search for "österlund" would miss "Österlund".
    connection.create_function("lower", 1, _lower, deterministic=True)


def _open_postgresql(connection: Any, record: Any) -> None:
    # As which instants come out, whatever the server's own zone is, so that none has to be converted.
    connection.execute("SET TIME ZONE 'UTC'")
    connection.commit()


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@dataclass(frozen=True, slots=True)
class Writes:
    """Up to where a connection sees what was written: on PostgreSQL transactions before ``end`` but those ``running``.

    On SQLite ``end`` changes with what others commit.
    """

    end: int
    running: frozenset[int] | None = None

    def only_own(self, later: Writes, own: int) -> bool:
        """Whether nobody else has committed anything up to ``later``, as seen over the same connection.

        ``own`` is the number of transactions in which the caller has written something since, on SQLite over that
        connection. Somebody who has begun to write may count as well.
        """
        if self.running is None or later.running is None:
            return self == later
        return self.running <= later.running and later.end == self.end + own


def writes_so_far(session: Session) -> Writes:
    """Return up to where the connection of ``session`` sees what was written. One cheap statement."""
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        return Writes(connection.exec_driver_sql("PRAGMA data_version").scalar_one())
    snapshot: str = connection.exec_driver_sql("SELECT CAST(pg_current_snapshot() AS TEXT)").scalar_one()
    _, end, running = snapshot.split(":")
    return Writes(int(end), frozenset(int(one) for one in running.split(",") if one))
