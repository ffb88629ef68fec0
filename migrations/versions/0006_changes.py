"""Marks of what was written by which transaction, so that open office pages follow; the order of the activity feed.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "changes",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("written_in", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_changes_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_changes")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_changes_partner_id_id")),
    )
    op.create_index("ix_changes_written_in", "changes", ["partner_id", "written_in"])
    # No batch: rebuilding the table would drop its triggers, and old entries need no number.
    op.add_column("history", sa.Column("written_in", sa.BigInteger(), nullable=True))
    op.create_index("ix_history_written_in", "history", ["partner_id", "written_in"])
    op.create_index("ix_history_feed", "history", ["partner_id", "at", "id"])


def downgrade() -> None:
    op.drop_index("ix_history_feed", table_name="history")
    op.drop_index("ix_history_written_in", table_name="history")
    op.drop_column("history", "written_in")
    op.drop_table("changes")
