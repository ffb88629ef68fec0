"""The language in which a partner writes to customers who chose none.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The default stays in the database: code from before this revision goes on adding partners.
    op.add_column("partners", sa.Column("locale", sa.String(length=12), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("partners", "locale")
