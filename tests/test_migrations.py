"""Migrations and models agree, and what only the database can hold stands after each revision on both engines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from portal import create_app
from portal.domain.models import Base
from portal.extensions import db
from portal.web.health import MIGRATIONS
from tests import databases
from tests.conftest import cannot, make_settings

REVISIONS = [revision.revision for revision in reversed(list(ScriptDirectory(str(MIGRATIONS)).walk_revisions()))]

# What each engine must hold from the first revision on; written down here, not read from the code.
SQLITE_TRIGGERS = {
    "tr_appointments_overlap_insert",
    "tr_appointments_overlap_update",
    "tr_history_no_delete",
    "tr_history_no_update",
}
POSTGRESQL_GUARDS = {"ex_appointments_technician_overlap", "tr_history_append_only"}


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_app(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """An application over a database without a single table."""
    name = None
    if request.param == "sqlite":
        url = databases.sqlite_url(tmp_path / "empty.sqlite3")
    else:
        if databases.postgres_url() is None:
            cannot(databases.postgres_reason())
        name = f"doorstep_migrations_{tmp_path.name[-30:]}_{id(tmp_path)}".lower()
        url = databases.create_database(name)
    app = create_app(make_settings(tmp_path, database_url=url))
    yield app
    with app.app_context():
        db.engine.dispose()
    if name is not None:
        databases.drop_database(name)


def guards(connection: Connection) -> set[str]:
    """Return the names of triggers and exclusion constraints."""
    if connection.dialect.name == "sqlite":
        return set(connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")))
    return set(
        connection.scalars(
            text(
                "SELECT conname FROM pg_constraint WHERE contype = 'x' "
                "UNION SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
            )
        )
    )


def test_every_revision_keeps_the_guards(empty_app: Flask) -> None:
    with empty_app.app_context():
        for revision in REVISIONS:
            flask_migrate.upgrade(revision=revision)
            with db.engine.connect() as connection:
                wanted = SQLITE_TRIGGERS if connection.dialect.name == "sqlite" else POSTGRESQL_GUARDS
                assert guards(connection) >= wanted, f"after {revision}"


# What only PostgreSQL has, so that no model says it.
SEARCHES = {"ix_customers_beginning", "ix_customers_trigrams", "ix_addresses_trigrams"}


def _is_of_both(item: Any, name: str | None, kind: str, *rest: Any) -> bool:
    return not (kind == "index" and name in SEARCHES)


def test_models_and_migrations_say_the_same(empty_app: Flask) -> None:
    with empty_app.app_context():
        flask_migrate.upgrade()
        with db.engine.connect() as connection:
            opts = {"compare_type": True, "include_object": _is_of_both}
            context = MigrationContext.configure(connection, opts=opts)
            assert compare_metadata(context, Base.metadata) == []


def test_the_way_back_leaves_nothing(empty_app: Flask) -> None:
    with empty_app.app_context():
        flask_migrate.upgrade()
        flask_migrate.downgrade(revision="base")
        with db.engine.connect() as connection:
            assert guards(connection) == set()
            assert set(db.inspect(connection).get_table_names()) <= {"alembic_version"}
        flask_migrate.upgrade()


def _searches(connection: Connection) -> set[str]:
    return SEARCHES & set(connection.scalars(text("SELECT indexname FROM pg_indexes")))


def test_searches_do_without_an_extension_that_may_not_be_created(tmp_path: Path) -> None:
    if databases.postgres_url() is None:
        cannot(databases.postgres_reason())
    name = f"doorstep_rights_{id(tmp_path)}"
    url = databases.create_database(name)
    may, may_not = create_app(make_settings(tmp_path, database_url=url)), None
    try:
        with may.app_context(), db.engine.begin() as connection:
            there = connection.scalar(text("SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_trgm'"))
            # Somebody who owns every table, and may create nothing that belongs to no schema.
            connection.execute(text(f"CREATE ROLE {name}"))
            connection.execute(text(f"GRANT CREATE ON SCHEMA public TO {name}"))
        may_not = create_app(make_settings(tmp_path, database_url=f"{url}?options=-c%20role%3D{name}"))
        with may_not.app_context():
            flask_migrate.upgrade()
            with db.engine.connect() as connection:
                assert _searches(connection) == {"ix_customers_beginning"}
            flask_migrate.downgrade(revision="0026")
        with may.app_context():
            flask_migrate.upgrade()
            with db.engine.connect() as connection:
                assert _searches(connection) == (SEARCHES if there else {"ix_customers_beginning"})
    finally:
        for app in filter(None, (may, may_not)):
            with app.app_context():
                db.engine.dispose()
        databases.drop_database(name)
        server = create_engine(databases.postgres_url() or "", poolclass=NullPool)
        with server.begin() as connection:
            connection.execute(text(f"DROP ROLE IF EXISTS {name}"))
