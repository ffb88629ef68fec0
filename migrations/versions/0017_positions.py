"""Where technicians on the way are: one position a visit, and the number of the departure that may be followed.

Revision ID: 0017
Revises: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("appointments", sa.Column("departure", KEY, nullable=True))
    op.create_table(
        "positions",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("customer_id", KEY, nullable=False),
        sa.Column("job_id", KEY, nullable=False),
        sa.Column("appointment_id", KEY, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("latitude", sa.Float(), nullable=False),
        sa.Column("longitude", sa.Float(), nullable=False),
        sa.Column("accuracy", sa.Float(), nullable=False),
        sa.CheckConstraint("latitude BETWEEN -90 AND 90", name=op.f("ck_positions_latitude")),
        sa.CheckConstraint("longitude BETWEEN -180 AND 180", name=op.f("ck_positions_longitude")),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_positions_partner_id")),
        sa.ForeignKeyConstraint(
            ["partner_id", "appointment_id"],
            ["appointments.partner_id", "appointments.id"],
            name=op.f("fk_positions_partner_id_appointment_id"),
        ),
        sa.ForeignKeyConstraint(
            ["partner_id", "customer_id", "job_id"],
            ["jobs.partner_id", "jobs.customer_id", "jobs.id"],
            name=op.f("fk_positions_partner_id_customer_id_job_id"),
            onupdate="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_positions")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_positions_partner_id_id")),
        sa.UniqueConstraint("appointment_id", name=op.f("uq_positions_appointment_id")),
    )


def downgrade() -> None:
    op.drop_table("positions")
    op.drop_column("appointments", "departure")
