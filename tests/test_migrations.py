"""Migrations and models agree, and what only the database can hold stands after each revision on both engines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
from portal.cli import doctor, index_searches
from portal.domain.models import Base
from portal.domain.people.search_indexes import EXTENSIONS
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


def _definitions(connection: Connection) -> dict[str, str]:
    found = connection.execute(text("SELECT indexname, indexdef FROM pg_indexes"))
    return {name: definition for name, definition in found if name in SEARCHES}


@dataclass(frozen=True)
class Roles:
    """An application whose database role owns every table, and one whose role may create what belongs to no schema.

    ``has_trigrams`` is whether this PostgreSQL comes with the extensions at all.
    """

    may: Flask
    may_not: Flask
    has_trigrams: bool


@pytest.fixture
def roles(tmp_path: Path) -> Iterator[Roles]:
    if databases.postgres_url() is None:
        cannot(databases.postgres_reason())
    name = f"doorstep_rights_{id(tmp_path)}"
    url = databases.create_database(name)
    may, may_not = create_app(make_settings(tmp_path, database_url=url)), None
    try:
        with may.app_context(), db.engine.begin() as connection:
            there = connection.scalar(text("SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_trgm'"))
            connection.execute(text(f"CREATE ROLE {name}"))
            connection.execute(text(f"GRANT CREATE ON SCHEMA public TO {name}"))
        may_not = create_app(make_settings(tmp_path, database_url=f"{url}?options=-c%20role%3D{name}"))
        yield Roles(may, may_not, bool(there))
    finally:
        for app in filter(None, (may, may_not)):
            with app.app_context():
                db.engine.dispose()
        databases.drop_database(name)
        server = create_engine(databases.postgres_url() or "", poolclass=NullPool)
        with server.begin() as connection:
            connection.execute(text(f"DROP ROLE IF EXISTS {name}"))


def test_searches_do_without_an_extension_that_may_not_be_created(roles: Roles) -> None:
    with roles.may_not.app_context():
        flask_migrate.upgrade()
        with db.engine.connect() as connection:
            assert _searches(connection) == {"ix_customers_beginning"}
        flask_migrate.downgrade(revision="0026")
    with roles.may.app_context():
        flask_migrate.upgrade()
        with db.engine.connect() as connection:
            assert _searches(connection) == (SEARCHES if roles.has_trigrams else {"ix_customers_beginning"})


def test_the_doctor_says_which_indexes_are_missing_and_they_are_created_afterwards(roles: Roles) -> None:
    with roles.may_not.app_context():
        flask_migrate.upgrade()
    missing = roles.may_not.test_cli_runner().invoke(doctor)
    assert missing.exit_code == 0, missing.output
    assert "ix_customers_trigrams and ix_addresses_trigrams" in missing.output
    assert "portal index-searches" in missing.output
    refused = roles.may_not.test_cli_runner().invoke(index_searches)
    assert refused.exit_code == 1
    assert "CREATE EXTENSION IF NOT EXISTS pg_trgm; CREATE EXTENSION IF NOT EXISTS btree_gin;" in refused.output
    if not roles.has_trigrams:
        cannot("this PostgreSQL comes without pg_trgm")
    with roles.may.app_context(), db.engine.begin() as connection:
        for extension in EXTENSIONS:
            connection.execute(text(f"CREATE EXTENSION {extension}"))
    # From here on who owns the tables can do it alone; one that was left half made is made anew.
    with roles.may.app_context(), db.engine.begin() as connection:
        connection.execute(text("CREATE INDEX ix_customers_trigrams ON customers (id)"))
        connection.execute(
            text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_customers_trigrams'::regclass")
        )
    created = roles.may_not.test_cli_runner().invoke(index_searches)
    assert created.output == "Created: ix_customers_trigrams, ix_addresses_trigrams.\n"
    assert roles.may_not.test_cli_runner().invoke(index_searches).output == "Nothing is missing.\n"
    assert roles.may_not.test_cli_runner().invoke(doctor).output == "Everything is as it should be.\n"
    with roles.may.app_context():
        with db.engine.connect() as connection:
            afterwards = _definitions(connection)
        flask_migrate.downgrade(revision="0026")
        flask_migrate.upgrade()
        with db.engine.connect() as connection:
            assert _definitions(connection) == afterwards


def test_on_sqlite_no_index_is_missing(tmp_path: Path) -> None:
    app = create_app(make_settings(tmp_path, database_url=f"sqlite:///{tmp_path / 'small.sqlite3'}"))
    with app.app_context():
        flask_migrate.upgrade()
        assert app.test_cli_runner().invoke(index_searches).output == "Nothing is missing.\n"
        assert app.test_cli_runner().invoke(doctor).output == "Everything is as it should be.\n"
        db.engine.dispose()
