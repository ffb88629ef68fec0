"""How migrations reach the database: on the application's own engine, all of them in one transaction."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import sqlalchemy as sa
from alembic import context
from alembic.operations import MigrationScript
from flask import current_app
from sqlalchemy import Connection, Engine

from portal import domain
from portal.domain.base import Base, UtcDateTime
from portal.domain.people.search import INDEXES
from portal.domain.unit_of_work import WRITES

# A table is known once its module is.
for found in pkgutil.walk_packages(domain.__path__, "portal.domain."):
    if found.name.endswith(".models"):
        importlib.import_module(found.name)

# Two deployments that start at once upgrade one after the other; the number is arbitrary and ours.
UPGRADE_LOCK = 7_305_001


def number_revision(migration_context: Any, revision: Any, directives: list[MigrationScript]) -> None:
    """Name a new revision by the next number, and write none where nothing changed."""
    script = directives[0]
    if context.config.cmd_opts and getattr(context.config.cmd_opts, "autogenerate", False):
        assert script.upgrade_ops is not None
        if script.upgrade_ops.is_empty():
            directives.clear()
            return
    head = context.script.get_current_head()
    script.rev_id = f"{int(head or 0) + 1:04d}"


def render_item(kind: str, item: Any, autogen_context: Any) -> str | bool:
    """Write our own column types as what they are in the database: a migration outlives the code it came from."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def is_compared(item: Any, name: str | None, kind: str, *rest: Any) -> bool:
    """Whether models and database have to agree on something: not on what only one engine can have."""
    return not (kind == "index" and name in INDEXES)


def migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        compare_type=True,
        render_item=render_item,
        include_object=is_compared,
        process_revision_directives=number_revision,
        # SQLite can take back DDL too, once it is in a transaction of ours.
        transactional_ddl=True,
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": UPGRADE_LOCK})
        context.run_migrations()
        if connection.dialect.name == "sqlite":
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
            if broken:
                raise RuntimeError(f"the migration left rows that point at nothing: {broken[:5]}")


def run(engine: Engine) -> None:
    with engine.connect().execution_options(**WRITES) as connection:
        if engine.dialect.name != "sqlite":
            migrate(connection)
            return
        # A batch rebuilds tables; with foreign keys on that deletes the rows of their children. The switch only works
        # outside a transaction, so it goes to the driver before SQLAlchemy begins one.
        driver: Any = connection.connection.dbapi_connection
        driver.execute("PRAGMA foreign_keys = OFF")
        try:
            migrate(connection)
        finally:
            connection.rollback()
            driver.execute("PRAGMA foreign_keys = ON")


def run_offline() -> None:
    """Print the SQL instead of running it."""
    context.configure(
        url=current_app.config["SQLALCHEMY_DATABASE_URI"], target_metadata=Base.metadata, literal_binds=True
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run(current_app.extensions["sqlalchemy"].engine)
