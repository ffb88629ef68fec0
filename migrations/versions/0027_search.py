"""Indexes of what is looked for: customers by a few letters (P2), and the jobs that replace another.

The trigrams need two extensions that come with PostgreSQL and that whoever may create something in the database may
create. Where they cannot be created, searches find the same and read more.

Revision ID: 0027
Revises: 0026
"""

import logging

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

log = logging.getLogger("alembic.runtime.migration")
EXTENSIONS = ("pg_trgm", "btree_gin")
TRIGRAMS = {
    "ix_customers_trigrams": "customers USING gin (partner_id, lower(name || ' ' || email) gin_trgm_ops)",
    "ix_addresses_trigrams": (
        "addresses USING gin (partner_id, lower(line || ' ' || city || ' ' || postcode) gin_trgm_ops)"
    ),
}
BEGINNING = "ix_customers_beginning"


def upgrade() -> None:
    replacing = sa.text("replaces_id IS NOT NULL")
    op.create_index(
        "ix_jobs_replaces",
        "jobs",
        ["partner_id", "replaces_id"],
        postgresql_where=replacing,
        sqlite_where=replacing,
    )
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute(f'CREATE INDEX {BEGINNING} ON customers (partner_id, lower(name) COLLATE "C", id) WHERE active IS TRUE')
    try:
        with op.get_bind().begin_nested():
            for extension in EXTENSIONS:
                op.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}")
            for name, what in TRIGRAMS.items():
                # A search is never behind: rows are put in as they are written, and that is seldom.
                op.execute(f"CREATE INDEX {name} ON {what} WITH (fastupdate = off)")
    except sa.exc.DBAPIError as error:
        log.warning("customers are searched without an index of trigrams: %s", error.orig)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for name in (BEGINNING, *TRIGRAMS):
            op.execute(f"DROP INDEX IF EXISTS {name}")
    op.drop_index("ix_jobs_replaces", "jobs")
