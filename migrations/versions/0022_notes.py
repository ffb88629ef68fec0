"""Internal notes of jobs, and receipts of what technicians' phones sent.

Revision ID: 0022
Revises: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "job_notes",
        sa.Column("customer_id", KEY, nullable=False),
        sa.Column("job_id", KEY, nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("client_key", sa.String(length=40), nullable=False),
        sa.Column("written_at", INSTANT, nullable=False),
        sa.Column("added_at", INSTANT, nullable=False),
        sa.Column("author_id", KEY, nullable=True),
        sa.Column("author_name", sa.String(length=120), nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.CheckConstraint("length(trim(words)) > 0", name=op.f("ck_job_notes_words")),
        sa.ForeignKeyConstraint(["author_id"], ["users.id"], name=op.f("fk_job_notes_author_id")),
        sa.ForeignKeyConstraint(
            ["partner_id", "customer_id", "job_id"],
            ["jobs.partner_id", "jobs.customer_id", "jobs.id"],
            name=op.f("fk_job_notes_partner_id_customer_id_job_id"),
            onupdate="CASCADE",
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_job_notes_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_notes")),
        sa.UniqueConstraint("job_id", "client_key", name=op.f("uq_job_notes_job_id_client_key")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_job_notes_partner_id_id")),
    )
    op.create_index("ix_job_notes_job", "job_notes", ["partner_id", "job_id", "written_at"])
    op.create_table(
        "field_receipts",
        sa.Column("appointment_id", KEY, nullable=False),
        sa.Column("client_key", sa.String(length=40), nullable=False),
        sa.Column("step", sa.String(length=40), nullable=False),
        sa.Column("happened_at", INSTANT, nullable=False),
        sa.Column("received_at", INSTANT, nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.ForeignKeyConstraint(
            ["partner_id", "appointment_id"],
            ["appointments.partner_id", "appointments.id"],
            name=op.f("fk_field_receipts_partner_id_appointment_id"),
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_field_receipts_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_field_receipts")),
        sa.UniqueConstraint("appointment_id", "client_key", name=op.f("uq_field_receipts_appointment_id_client_key")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_field_receipts_partner_id_id")),
    )


def downgrade() -> None:
    op.drop_table("field_receipts")
    op.drop_table("job_notes")
