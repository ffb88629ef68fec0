"""Change requests: what a customer asks the office to change about a visit.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
ONLY_PENDING = sa.text("status = 'PENDING'")


def upgrade() -> None:
    op.create_table(
        "change_requests",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("customer_id", KEY, nullable=False),
        sa.Column("job_id", KEY, nullable=False),
        sa.Column("appointment_id", KEY, nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("wish", sa.String(length=20), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("start_at", INSTANT, nullable=False),
        sa.Column("asked_at", INSTANT, nullable=False),
        sa.Column("answered_at", INSTANT, nullable=True),
        sa.Column("answered_by_id", KEY, nullable=True),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "status IN ('PENDING', 'APPLIED', 'DECLINED', 'LAPSED')", name=op.f("ck_change_requests_status")
        ),
        sa.CheckConstraint("wish IN ('reschedule', 'cancel')", name=op.f("ck_change_requests_wish")),
        sa.CheckConstraint("status <> 'DECLINED' OR length(trim(answer)) > 0", name=op.f("ck_change_requests_answer")),
        sa.ForeignKeyConstraint(["answered_by_id"], ["users.id"], name=op.f("fk_change_requests_answered_by_id")),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_change_requests_partner_id")),
        sa.ForeignKeyConstraint(
            ["partner_id", "customer_id", "job_id"],
            ["jobs.partner_id", "jobs.customer_id", "jobs.id"],
            name=op.f("fk_change_requests_partner_id_customer_id_job_id"),
            onupdate="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["partner_id", "appointment_id"],
            ["appointments.partner_id", "appointments.id"],
            name=op.f("fk_change_requests_partner_id_appointment_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_requests")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_change_requests_partner_id_id")),
    )
    op.create_index(
        "uq_change_requests_pending",
        "change_requests",
        ["appointment_id"],
        unique=True,
        sqlite_where=ONLY_PENDING,
        postgresql_where=ONLY_PENDING,
    )
    op.create_index("ix_change_requests_queue", "change_requests", ["partner_id", "status", "id"])
    op.create_index("ix_change_requests_customer", "change_requests", ["partner_id", "customer_id", "id"])
    op.create_index("ix_change_requests_job", "change_requests", ["partner_id", "job_id"])


def downgrade() -> None:
    op.drop_table("change_requests")
