"""Overrides of the feature controls for one service type, customer or job.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OWNERS = {"service_type_id": "service_types", "customer_id": "customers", "job_id": "jobs"}
SWITCHES = (
    "self_service",
    "reschedule_unconfirmed",
    "reschedule_confirmed",
    "cancel_unconfirmed",
    "cancel_confirmed",
)
NUMBERS = (
    "reschedule_cutoff_hours",
    "cancel_cutoff_hours",
    "max_moves",
    "notice_hours",
    "horizon_days",
    "cancel_undo_minutes",
)


def upgrade() -> None:
    op.create_table(
        "control_overrides",
        sa.Column("service_type_id", KEY, nullable=True),
        sa.Column("customer_id", KEY, nullable=True),
        sa.Column("job_id", KEY, nullable=True),
        *(sa.Column(name, sa.Boolean(), nullable=True) for name in SWITCHES),
        *(sa.Column(name, sa.Integer(), nullable=True) for name in NUMBERS),
        sa.Column("own_choice_confirms", sa.Boolean(), nullable=True),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(CASE WHEN service_type_id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN customer_id IS NULL THEN 0 ELSE 1 END)"
            " + (CASE WHEN job_id IS NULL THEN 0 ELSE 1 END) = 1",
            name=op.f("ck_control_overrides_one_owner"),
        ),
        sa.CheckConstraint(
            "reschedule_cutoff_hours >= 0 AND cancel_cutoff_hours >= 0 AND notice_hours >= 0",
            name=op.f("ck_control_overrides_hours"),
        ),
        sa.CheckConstraint(
            "max_moves >= 0 AND horizon_days >= 1 AND cancel_undo_minutes >= 0",
            name=op.f("ck_control_overrides_counts"),
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_control_overrides_partner_id")),
        *(
            sa.ForeignKeyConstraint(
                ["partner_id", column],
                [f"{table}.partner_id", f"{table}.id"],
                name=op.f(f"fk_control_overrides_partner_id_{column}"),
            )
            for column, table in OWNERS.items()
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_control_overrides")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_control_overrides_partner_id_id")),
        *(
            sa.UniqueConstraint("partner_id", column, name=op.f(f"uq_control_overrides_partner_id_{column}"))
            for column in OWNERS
        ),
    )


def downgrade() -> None:
    op.drop_table("control_overrides")
