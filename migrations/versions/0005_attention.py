"""What the queues of attention are read from: visits that a change hit, and indexes that hold a queue and no more.

Time off and holidays get a version, so that of two people with the same form the second is told.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
VERSIONED = ("time_off", "holidays")
QUEUES = (
    (
        "ix_jobs_needing_visit",
        "jobs",
        ["workflow", "status"],
        "status IN ('INSTALLATION_IN_PROGRESS') AND NOT visit_open",
    ),
    (
        "ix_appointments_unassigned",
        "appointments",
        ["technician_id"],
        "technician_id IS NULL AND status = 'SCHEDULED'",
    ),
    ("ix_appointments_expected", "appointments", [], "status IN ('ON_THE_WAY', 'PREPARING', 'SCHEDULED')"),
    (
        "ix_appointments_at_work",
        "appointments",
        [],
        "status IN ('ARRIVED', 'ON_THE_WAY', 'PAUSED', 'WORK_IN_PROGRESS')",
    ),
)


def upgrade() -> None:
    # Plain ALTER TABLE on both: a batch would rebuild the tables and their triggers.
    for table in VERSIONED:
        op.add_column(table, sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("jobs", sa.Column("visit_open", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute(
        "UPDATE jobs SET visit_open = true WHERE EXISTS ("
        "SELECT 1 FROM appointments WHERE appointments.job_id = jobs.id AND appointments.status IN "
        "('SCHEDULED', 'PREPARING', 'ON_THE_WAY', 'ARRIVED', 'WORK_IN_PROGRESS', 'PAUSED'))"
    )
    op.create_table(
        "visit_hits",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("appointment_id", KEY, nullable=False),
        sa.Column("technician_id", KEY, nullable=True),
        sa.Column("start_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("codes", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_visit_hits_partner_id")),
        sa.ForeignKeyConstraint(
            ["partner_id", "appointment_id"],
            ["appointments.partner_id", "appointments.id"],
            name=op.f("fk_visit_hits_partner_id_appointment_id"),
        ),
        sa.ForeignKeyConstraint(
            ["partner_id", "technician_id"],
            ["technicians.partner_id", "technicians.id"],
            name=op.f("fk_visit_hits_partner_id_technician_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visit_hits")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_visit_hits_partner_id_id")),
        sa.UniqueConstraint("appointment_id", name=op.f("uq_visit_hits_appointment_id")),
    )
    op.create_index("ix_visit_hits_start", "visit_hits", ["partner_id", "start_at", "id"])
    for name, table, columns, where in QUEUES:
        op.create_index(
            name,
            table,
            ["partner_id", *columns, "start_at", "id"],
            postgresql_where=sa.text(where),
            # As SQLite's statements spell it.
            sqlite_where=sa.text(where.replace("NOT visit_open", "visit_open = 0")),
        )


def downgrade() -> None:
    for name, table, *_ in QUEUES:
        op.drop_index(name, table_name=table)
    op.drop_table("visit_hits")
    op.drop_column("jobs", "visit_open")
    for table in VERSIONED:
        op.drop_column(table, "version")
