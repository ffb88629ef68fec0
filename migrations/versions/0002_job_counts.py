"""Job counts and their deltas, so that the overview costs the same for every partner.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def counted() -> list[sa.Column]:
    return [
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("workflow", sa.String(length=20), nullable=False),
        sa.Column("status", sa.String(length=30), nullable=False),
        sa.Column("assigned", sa.Boolean(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
    ]


def upgrade() -> None:
    op.create_table(
        "job_counts",
        *counted(),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_job_counts_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_counts")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_job_counts_partner_id_id")),
        sa.UniqueConstraint(
            "partner_id",
            "workflow",
            "status",
            "assigned",
            name=op.f("uq_job_counts_partner_id_workflow_status_assigned"),
        ),
    )
    op.create_table(
        "job_count_deltas",
        *counted(),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_job_count_deltas_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_count_deltas")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_job_count_deltas_partner_id_id")),
    )
    op.execute(
        "INSERT INTO job_counts (partner_id, workflow, status, assigned, number) "
        "SELECT partner_id, workflow, status, technician_id IS NOT NULL, count(*) FROM jobs "
        "GROUP BY partner_id, workflow, status, technician_id IS NOT NULL"
    )


def downgrade() -> None:
    op.drop_table("job_count_deltas")
    op.drop_table("job_counts")
