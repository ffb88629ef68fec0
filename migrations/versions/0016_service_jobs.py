"""Service jobs: their own statuses, what a cancelling took along, and the queue of those that need a visit.

Revision ID: 0016
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

INSTALLATION = (
    "'SCHEDULED', 'INSTALLER_ASSIGNED', 'EN_ROUTE', 'INSTALLATION_IN_PROGRESS', 'INSTALLATION_COMPLETED', "
    "'CONTRACT_SENT', 'CONTRACT_SIGNED', 'CUSTOMER_APPROVED', 'CANCELLED', 'REJECTED'"
)
SERVICE = "'DRAFT', 'APPROVED', 'SCHEDULED', 'IN_PROGRESS', 'PAUSED', 'COMPLETED', 'CANCELLED'"
OF_ITS_WORKFLOW = (
    f"workflow = 'installation' AND status IN ({INSTALLATION}) OR workflow = 'service' AND status IN ({SERVICE})"
)
ANY = f"status IN ({INSTALLATION}, 'DRAFT', 'APPROVED', 'IN_PROGRESS', 'PAUSED', 'COMPLETED')"
BEGUN, NEEDING_VISIT = "'INSTALLATION_IN_PROGRESS'", "'APPROVED', 'INSTALLATION_IN_PROGRESS'"


def upgrade() -> None:
    # A plain ALTER TABLE: a batch would rebuild the table and its triggers.
    op.add_column(
        "appointments", sa.Column("cancelled_with_job", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    _statuses(OF_ITS_WORKFLOW)
    _queue(NEEDING_VISIT)


def downgrade() -> None:
    _statuses(ANY)
    _queue(BEGUN)
    op.drop_column("appointments", "cancelled_with_job")


def _statuses(condition: str) -> None:
    with op.batch_alter_table("jobs") as batch:
        batch.drop_constraint(op.f("ck_jobs_status"), type_="check")
        batch.create_check_constraint(op.f("ck_jobs_status"), condition)


def _queue(statuses: str) -> None:
    op.drop_index("ix_jobs_needing_visit", table_name="jobs")
    where = f"status IN ({statuses}) AND {{}}"
    op.create_index(
        "ix_jobs_needing_visit",
        "jobs",
        ["partner_id", "workflow", "status", "start_at", "id"],
        postgresql_where=sa.text(where.format("NOT visit_open")),
        sqlite_where=sa.text(where.format("visit_open = 0")),
    )
