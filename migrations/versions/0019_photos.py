"""Photos of visits; the pictures themselves are files.

Revision ID: 0019
Revises: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
TO_CLEAR = sa.text("removed_at IS NOT NULL AND name <> ''")


def upgrade() -> None:
    op.create_table(
        "photos",
        sa.Column("customer_id", KEY, nullable=False),
        sa.Column("job_id", KEY, nullable=False),
        sa.Column("appointment_id", KEY, nullable=False),
        sa.Column("client_key", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("caption", sa.String(length=200), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("taken_at", INSTANT, nullable=False),
        sa.Column("added_at", INSTANT, nullable=False),
        sa.Column("added_by_id", KEY, nullable=True),
        sa.Column("added_by_name", sa.String(length=120), nullable=False),
        sa.Column("shared_at", INSTANT, nullable=True),
        sa.Column("removed_at", INSTANT, nullable=True),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.ForeignKeyConstraint(["added_by_id"], ["users.id"], name=op.f("fk_photos_added_by_id")),
        sa.ForeignKeyConstraint(
            ["partner_id", "appointment_id"],
            ["appointments.partner_id", "appointments.id"],
            name=op.f("fk_photos_partner_id_appointment_id"),
        ),
        sa.ForeignKeyConstraint(
            ["partner_id", "customer_id", "job_id"],
            ["jobs.partner_id", "jobs.customer_id", "jobs.id"],
            name=op.f("fk_photos_partner_id_customer_id_job_id"),
            onupdate="CASCADE",
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_photos_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_photos")),
        sa.UniqueConstraint("appointment_id", "client_key", name=op.f("uq_photos_appointment_id_client_key")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_photos_partner_id_id")),
    )
    op.create_index("ix_photos_job", "photos", ["partner_id", "job_id", "taken_at"])
    op.create_index("ix_photos_name", "photos", ["name"])
    op.create_index("ix_photos_to_clear", "photos", ["removed_at"], sqlite_where=TO_CLEAR, postgresql_where=TO_CLEAR)


def downgrade() -> None:
    op.drop_table("photos")
