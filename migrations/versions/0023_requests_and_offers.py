"""Requests for new service with their messages, and jobs that the operator offers to partners.

Revision ID: 0023
Revises: 0022
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
ONLY_ACCEPTED = sa.text("status = 'ACCEPTED'")
KINDS = ("request_received", "request_offered", "request_declined", "request_converted")


def upgrade() -> None:
    op.create_table(
        "service_requests",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("customer_id", KEY, nullable=False),
        sa.Column("address_id", KEY, nullable=False),
        sa.Column("service_type_id", KEY, nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("wishes", sa.JSON(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("form_key", sa.String(length=60), nullable=False),
        sa.Column("asked_at", INSTANT, nullable=False),
        sa.Column("answered_at", INSTANT, nullable=True),
        sa.Column("answered_by_id", KEY, nullable=True),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("proposals", sa.Integer(), nullable=False),
        sa.Column("proposed_at", INSTANT, nullable=True),
        sa.Column("proposed_technician_id", KEY, nullable=True),
        sa.Column("proposed_by_id", KEY, nullable=True),
        sa.Column("proposed_by_name", sa.String(length=120), nullable=False),
        sa.Column("job_id", KEY, nullable=True),
        sa.CheckConstraint(
            "status IN ('NEW', 'COUNTER_PROPOSED', 'CONVERTED', 'DECLINED', 'CANCELLED')",
            name=op.f("ck_service_requests_status"),
        ),
        sa.CheckConstraint("status <> 'DECLINED' OR length(trim(answer)) > 0", name=op.f("ck_service_requests_answer")),
        sa.CheckConstraint(
            "status <> 'COUNTER_PROPOSED' OR proposed_at IS NOT NULL", name=op.f("ck_service_requests_proposed")
        ),
        sa.CheckConstraint("(status = 'CONVERTED') = (job_id IS NOT NULL)", name=op.f("ck_service_requests_job")),
        sa.ForeignKeyConstraint(["answered_by_id"], ["users.id"], name=op.f("fk_service_requests_answered_by_id")),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_service_requests_partner_id")),
        sa.ForeignKeyConstraint(
            ["partner_id", "customer_id", "address_id"],
            ["addresses.partner_id", "addresses.customer_id", "addresses.id"],
            name=op.f("fk_service_requests_partner_id_customer_id_address_id"),
            onupdate="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["partner_id", "service_type_id"],
            ["service_types.partner_id", "service_types.id"],
            name=op.f("fk_service_requests_partner_id_service_type_id"),
        ),
        sa.ForeignKeyConstraint(
            ["partner_id", "proposed_technician_id"],
            ["technicians.partner_id", "technicians.id"],
            name=op.f("fk_service_requests_partner_id_proposed_technician_id"),
        ),
        sa.ForeignKeyConstraint(
            ["partner_id", "job_id"],
            ["jobs.partner_id", "jobs.id"],
            name=op.f("fk_service_requests_partner_id_job_id"),
        ),
        sa.ForeignKeyConstraint(["proposed_by_id"], ["users.id"], name=op.f("fk_service_requests_proposed_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_requests")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_service_requests_partner_id_id")),
        sa.UniqueConstraint("partner_id", "form_key", name=op.f("uq_service_requests_partner_id_form_key")),
        sa.UniqueConstraint("job_id", name=op.f("uq_service_requests_job_id")),
    )
    op.create_index("ix_service_requests_queue", "service_requests", ["partner_id", "status", "id"])
    op.create_index("ix_service_requests_customer", "service_requests", ["partner_id", "customer_id", "id"])
    op.create_table(
        "request_photos",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("customer_id", KEY, nullable=False),
        sa.Column("service_request_id", KEY, nullable=False),
        sa.Column("client_key", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("added_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_request_photos_partner_id")),
        sa.ForeignKeyConstraint(
            ["partner_id", "customer_id"],
            ["customers.partner_id", "customers.id"],
            name=op.f("fk_request_photos_partner_id_customer_id"),
        ),
        sa.ForeignKeyConstraint(
            ["partner_id", "service_request_id"],
            ["service_requests.partner_id", "service_requests.id"],
            name=op.f("fk_request_photos_partner_id_service_request_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_request_photos")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_request_photos_partner_id_id")),
        sa.UniqueConstraint(
            "service_request_id", "client_key", name=op.f("uq_request_photos_service_request_id_client_key")
        ),
    )
    op.create_index("ix_request_photos_name", "request_photos", ["name"])
    with op.batch_alter_table("messages") as batch:
        batch.add_column(sa.Column("service_request_id", KEY, nullable=True))
        batch.create_foreign_key(
            op.f("fk_messages_partner_id_service_request_id"),
            "service_requests",
            ["partner_id", "service_request_id"],
            ["partner_id", "id"],
        )
    for kind in KINDS:
        op.execute(
            "INSERT INTO message_rules (partner_id, kind, channel, enabled) "
            f"SELECT id, '{kind}', 'email', true FROM partners"
        )
    op.create_table(
        "offered_jobs",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("service", sa.String(length=120), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("customer_name", sa.String(length=120), nullable=False),
        sa.Column("customer_email", sa.String(length=255), nullable=False),
        sa.Column("customer_phone", sa.String(length=40), nullable=False),
        sa.Column("line", sa.String(length=200), nullable=False),
        sa.Column("city", sa.String(length=100), nullable=False),
        sa.Column("postcode", sa.String(length=20), nullable=False),
        sa.Column("wishes", sa.JSON(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("offered_at", INSTANT, nullable=False),
        sa.Column("offered_by_id", KEY, nullable=True),
        sa.Column("offered_by_name", sa.String(length=120), nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("taken_at", INSTANT, nullable=True),
        sa.Column("withdrawn_at", INSTANT, nullable=True),
        sa.CheckConstraint("length(trim(service)) > 0", name=op.f("ck_offered_jobs_service")),
        sa.ForeignKeyConstraint(["offered_by_id"], ["users.id"], name=op.f("fk_offered_jobs_offered_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offered_jobs")),
    )
    op.create_index("ix_offered_jobs_expires_at", "offered_jobs", ["expires_at"])
    op.create_table(
        "job_offers",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("offered_job_id", KEY, nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("answered_at", INSTANT, nullable=True),
        sa.Column("answered_by_id", KEY, nullable=True),
        sa.Column("answered_by_name", sa.String(length=120), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("job_id", KEY, nullable=True),
        sa.CheckConstraint(
            "status IN ('OFFERED', 'ACCEPTED', 'DECLINED', 'EXPIRED', 'TAKEN', 'WITHDRAWN')",
            name=op.f("ck_job_offers_status"),
        ),
        sa.CheckConstraint("status <> 'DECLINED' OR length(trim(answer)) > 0", name=op.f("ck_job_offers_answer")),
        sa.CheckConstraint("(status = 'ACCEPTED') = (job_id IS NOT NULL)", name=op.f("ck_job_offers_job")),
        sa.ForeignKeyConstraint(["answered_by_id"], ["users.id"], name=op.f("fk_job_offers_answered_by_id")),
        sa.ForeignKeyConstraint(["offered_job_id"], ["offered_jobs.id"], name=op.f("fk_job_offers_offered_job_id")),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_job_offers_partner_id")),
        sa.ForeignKeyConstraint(
            ["partner_id", "job_id"], ["jobs.partner_id", "jobs.id"], name=op.f("fk_job_offers_partner_id_job_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_offers")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_job_offers_partner_id_id")),
        sa.UniqueConstraint("offered_job_id", "partner_id", name=op.f("uq_job_offers_offered_job_id_partner_id")),
        sa.UniqueConstraint("job_id", name=op.f("uq_job_offers_job_id")),
    )
    op.create_index("ix_job_offers_queue", "job_offers", ["partner_id", "status", "id"])
    op.create_index(
        "uq_job_offers_accepted",
        "job_offers",
        ["offered_job_id"],
        unique=True,
        sqlite_where=ONLY_ACCEPTED,
        postgresql_where=ONLY_ACCEPTED,
    )


def downgrade() -> None:
    op.drop_table("job_offers")
    op.drop_table("offered_jobs")
    # The code before this revision could not send such messages.
    kinds = ", ".join(f"'{kind}'" for kind in KINDS)
    for table in ("unreachable_customers", "message_attempts"):
        op.execute(f"DELETE FROM {table} WHERE message_id IN (SELECT id FROM messages WHERE kind IN ({kinds}))")
    op.execute(f"DELETE FROM messages WHERE kind IN ({kinds})")
    op.execute(f"DELETE FROM message_rules WHERE kind IN ({kinds})")
    with op.batch_alter_table("messages") as batch:
        batch.drop_constraint(op.f("fk_messages_partner_id_service_request_id"), type_="foreignkey")
        batch.drop_column("service_request_id")
    op.drop_table("request_photos")
    op.drop_table("service_requests")
