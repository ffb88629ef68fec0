"""The indexes of trigrams that PostgreSQL finds customers by, where migration 0027 could not create them.

They stand on extensions that somebody else may have to allow, perhaps only after the upgrade; until then a search reads
more and finds the same. The migration has its own words for them, since it outlives these; a test compares both.
"""

from __future__ import annotations

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from portal.domain.database import POSTGRESQL

EXTENSIONS = ("pg_trgm", "btree_gin")
TRIGRAMS = {
    "ix_customers_trigrams": "customers USING gin (partner_id, lower(name || ' ' || email) gin_trgm_ops)",
    "ix_addresses_trigrams": (
        "addresses USING gin (partner_id, lower(line || ' ' || city || ' ' || postcode) gin_trgm_ops)"
    ),
}
# One that was left half made counts as missing.
_THERE = text(
    "SELECT relname FROM pg_class JOIN pg_index ON indexrelid = pg_class.oid"
    " WHERE indisvalid AND pg_table_is_visible(pg_class.oid)"
)


class NotAllowed(Exception):
    """The database has no such extension, or does not let this role create it; says which, in the database's words."""


def missing(connection: Connection) -> list[str]:
    """Return the names of the indexes that are not there; none are needed on SQLite. One statement."""
    if connection.dialect.name != POSTGRESQL:
        return []
    there = set(connection.scalars(_THERE))
    return [name for name in TRIGRAMS if name not in there]


def create_missing(connection: Connection) -> list[str]:
    """Create what is missing, extensions first, while others go on writing, and return the names of the indexes.

    ``connection`` commits each statement by itself. Raises ``NotAllowed``; what was created before then stays.
    """
    wanted = missing(connection)
    if wanted:
        try:
            for extension in EXTENSIONS:
                connection.execute(text(f"CREATE EXTENSION IF NOT EXISTS {extension}"))
        except DBAPIError as error:
            raise NotAllowed(str(error.orig).strip()) from error
    for name in wanted:
        connection.execute(text(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))
        # A search is never behind: rows are put in as they are written, and that is seldom.
        connection.execute(text(f"CREATE INDEX CONCURRENTLY {name} ON {TRIGRAMS[name]} WITH (fastupdate = off)"))
    return wanted
