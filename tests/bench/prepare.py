"""The database of a size: made once by migrations and COPY, then kept for the next run."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime

import flask_migrate
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from portal.domain.jobs.counts import rebuild
from portal.domain.tenancy import set_scope, system_scope
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import db
from portal.web.auth import hash_password
from portal.web.health import head_revision
from tests import databases
from tests.bench import server
from tests.bench.data import PASSWORD, VERSION, Progress, fill

NAME = "doorstep_bench_{version}_{jobs}"


def database(jobs: int, progress: Progress = lambda done: None) -> str:
    """Return the address of a database with ``jobs`` jobs, the earlier run's if it is whole and of this week."""
    name = NAME.format(version=VERSION, jobs=jobs)
    now = datetime.now(UTC)
    mark = f"{head_revision()} {VERSION} {now:%G-W%V}"
    url = databases.url_of(name)
    if mark_of(url) == mark:
        return url
    url = databases.create_database(name)
    with tempfile.TemporaryDirectory() as folder:
        app = server.make(url, folder)
        with app.app_context():
            flask_migrate.upgrade()
            fill(url, jobs, hash_password(PASSWORD), now, progress)
            session = db.session()
            set_scope(session, system_scope("system"))
            with unit_of_work(session):
                rebuild(session)
            db.engine.dispose()
    leave_mark(url, name, mark)
    return url


def leave_mark(url: str, name: str, mark: str) -> None:
    """Say what the database ``name`` was made of: last, so that half a database is made anew."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(f"COMMENT ON DATABASE {name} IS '{mark}'"))
    engine.dispose()


def mark_of(url: str) -> str | None:
    """Return what the database at ``url`` was made of; ``None`` where there is none."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"
            mark: str | None = connection.scalar(text(query))
            return mark
    except OperationalError:
        return None
    finally:
        engine.dispose()
