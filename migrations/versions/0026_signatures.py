"""Signatures of completed visits: who signed, and what they drew.

Revision ID: 0026
Revises: 0025
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

TEXTS = {"signed_name": 120, "drawing_sha256": 64}


def upgrade() -> None:
    # The defaults stay in the database: code from before this revision goes on booking visits.
    for name, length in TEXTS.items():
        op.add_column("appointments", sa.Column(name, sa.String(length=length), nullable=False, server_default=""))
    op.add_column("appointments", sa.Column("drawing", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    for name in ("drawing", *reversed(TEXTS)):
        op.drop_column("appointments", name)
