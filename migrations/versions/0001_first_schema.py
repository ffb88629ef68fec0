"""The first schema: partners, people, jobs, visits, history, messages, contracts.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)

ACTIVE = "('SCHEDULED', 'PREPARING', 'ON_THE_WAY', 'ARRIVED', 'WORK_IN_PROGRESS')"

# NULL would collide with everyone's; DEFERRABLE lets two technicians be swapped.
POSTGRESQL_OVERLAP = f"""
ALTER TABLE appointments ADD CONSTRAINT ex_appointments_technician_overlap
EXCLUDE USING gist (
    int8range(technician_id, technician_id, '[]') WITH &&,
    tstzrange(start_at, end_at, '[)') WITH &&
) WHERE (status IN {ACTIVE} AND technician_id IS NOT NULL)
DEFERRABLE INITIALLY IMMEDIATE
"""

SQLITE_OVERLAP = f"""
CREATE TRIGGER {{name}} BEFORE {{event}} ON appointments
WHEN NEW.technician_id IS NOT NULL AND NEW.status IN {ACTIVE}
BEGIN
    SELECT RAISE(ABORT, 'technician_overlap') WHERE EXISTS (
        SELECT 1 FROM appointments
        WHERE technician_id = NEW.technician_id AND status IN {ACTIVE} AND id IS NOT NEW.id
        AND start_at < NEW.end_at AND end_at > NEW.start_at
    );
END
"""

POSTGRESQL_HISTORY = (
    """
CREATE FUNCTION history_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'history is written once and never altered'; END $$
""",
    """
CREATE TRIGGER tr_history_append_only BEFORE UPDATE OR DELETE ON history
FOR EACH ROW EXECUTE FUNCTION history_is_append_only()
""",
)

SQLITE_HISTORY = tuple(
    f"""
CREATE TRIGGER tr_history_no_{event.lower()} BEFORE {event} ON history
BEGIN SELECT RAISE(ABORT, 'history is written once and never altered'); END
"""
    for event in ("UPDATE", "DELETE")
)


def upgrade() -> None:
    op.create_table(
        "background_jobs",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("started_at", INSTANT, nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.String(length=10), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("next_run_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_background_jobs")),
    )
    op.create_table(
        "partners",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("slug", sa.String(length=60), nullable=False),
        sa.Column("timezone", sa.String(length=60), nullable=False),
        sa.Column("job_prefix", sa.String(length=6), nullable=False),
        sa.Column("next_job_number", sa.Integer(), nullable=False),
        sa.Column("phone", sa.String(length=40), nullable=False),
        sa.Column("brand_colour", sa.String(length=7), nullable=False),
        sa.Column("staff_term", sa.String(length=40), nullable=False),
        sa.Column("customer_term", sa.String(length=40), nullable=False),
        sa.Column("suspended_at", INSTANT, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_partners")),
        sa.UniqueConstraint("slug", name=op.f("uq_partners_slug")),
    )
    op.create_table(
        "users",
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("password", sa.String(length=255), nullable=True),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("is_operator", sa.Boolean(), nullable=False),
        sa.Column("fs_uniquifier", sa.String(length=64), nullable=False),
        sa.Column("locale", sa.String(length=12), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
        sa.UniqueConstraint("fs_uniquifier", name=op.f("uq_users_fs_uniquifier")),
    )
    op.create_table(
        "customers",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("phone", sa.String(length=40), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("access_notes", sa.Text(), nullable=False),
        sa.Column("user_id", KEY, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_customers_partner_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_customers_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customers")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_customers_partner_id_id")),
    )
    op.create_index("ix_customers_partner_name", "customers", ["partner_id", "name", "id"], unique=False)
    op.create_index("ix_customers_user_id", "customers", ["user_id"], unique=False)
    op.create_table(
        "feature_controls",
        sa.Column("self_service", sa.Boolean(), nullable=False),
        sa.Column("reschedule_unconfirmed", sa.Boolean(), nullable=False),
        sa.Column("reschedule_confirmed", sa.Boolean(), nullable=False),
        sa.Column("cancel_unconfirmed", sa.Boolean(), nullable=False),
        sa.Column("cancel_confirmed", sa.Boolean(), nullable=False),
        sa.Column("reschedule_cutoff_hours", sa.Integer(), nullable=False),
        sa.Column("cancel_cutoff_hours", sa.Integer(), nullable=False),
        sa.Column("max_moves", sa.Integer(), nullable=False),
        sa.Column("notice_hours", sa.Integer(), nullable=False),
        sa.Column("horizon_days", sa.Integer(), nullable=False),
        sa.Column("cancel_undo_minutes", sa.Integer(), nullable=False),
        sa.Column("own_choice_confirms", sa.Boolean(), nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "max_moves >= 0 AND horizon_days >= 1 AND cancel_undo_minutes >= 0", name=op.f("ck_feature_controls_counts")
        ),
        sa.CheckConstraint(
            "reschedule_cutoff_hours >= 0 AND cancel_cutoff_hours >= 0 AND notice_hours >= 0",
            name=op.f("ck_feature_controls_hours"),
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_feature_controls_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feature_controls")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_feature_controls_partner_id_id")),
        sa.UniqueConstraint("partner_id", name=op.f("uq_feature_controls_partner_id")),
    )
    op.create_table(
        "holidays",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_holidays_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holidays")),
        sa.UniqueConstraint("partner_id", "day", name=op.f("uq_holidays_partner_id_day")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_holidays_partner_id_id")),
    )
    op.create_table(
        "memberships",
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.CheckConstraint("role IN ('partner_admin', 'dispatcher')", name=op.f("ck_memberships_role")),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_memberships_partner_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_memberships_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memberships")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_memberships_partner_id_id")),
        sa.UniqueConstraint("partner_id", "user_id", name=op.f("uq_memberships_partner_id_user_id")),
    )
    op.create_index("ix_memberships_user_id", "memberships", ["user_id"], unique=False)
    op.create_table(
        "message_rules",
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("days_before", sa.Integer(), nullable=True),
        sa.Column("local_time", sa.Time(), nullable=True),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.CheckConstraint("(days_before IS NULL) = (local_time IS NULL)", name=op.f("ck_message_rules_moment")),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_message_rules_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message_rules")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_message_rules_partner_id_id")),
        sa.UniqueConstraint("partner_id", "kind", "channel", name=op.f("uq_message_rules_partner_id_kind_channel")),
    )
    op.create_table(
        "pause_reasons",
        sa.Column("label", sa.String(length=80), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_pause_reasons_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pause_reasons")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_pause_reasons_partner_id_id")),
        sa.UniqueConstraint("partner_id", "label", name=op.f("uq_pause_reasons_partner_id_label")),
    )
    op.create_table(
        "service_types",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("duration_minutes", sa.Integer(), nullable=False),
        sa.Column("window_minutes", sa.Integer(), nullable=False),
        sa.Column("step_minutes", sa.Integer(), nullable=False),
        sa.Column("buffer_before_minutes", sa.Integer(), nullable=False),
        sa.Column("buffer_after_minutes", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "buffer_before_minutes >= 0 AND buffer_after_minutes >= 0", name=op.f("ck_service_types_buffers")
        ),
        sa.CheckConstraint(
            "duration_minutes > 0 AND window_minutes > 0 AND step_minutes > 0", name=op.f("ck_service_types_positive")
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_service_types_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_types")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_service_types_partner_id_id")),
        sa.UniqueConstraint("partner_id", "name", name=op.f("uq_service_types_partner_id_name")),
    )
    op.create_table(
        "technicians",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("phone", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("user_id", KEY, nullable=True),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("status IN ('AVAILABLE', 'UNAVAILABLE')", name=op.f("ck_technicians_status")),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_technicians_partner_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_technicians_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_technicians")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_technicians_partner_id_id")),
    )
    op.create_index("ix_technicians_partner_name", "technicians", ["partner_id", "name", "id"], unique=False)
    op.create_index("ix_technicians_user_id", "technicians", ["user_id"], unique=False)
    op.create_table(
        "addresses",
        sa.Column("customer_id", KEY, nullable=False),
        sa.Column("line", sa.String(length=200), nullable=False),
        sa.Column("city", sa.String(length=100), nullable=False),
        sa.Column("postcode", sa.String(length=20), nullable=False),
        sa.Column("latitude", sa.Float(), nullable=True),
        sa.Column("longitude", sa.Float(), nullable=True),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["partner_id", "customer_id"],
            ["customers.partner_id", "customers.id"],
            name=op.f("fk_addresses_partner_id_customer_id"),
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_addresses_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_addresses")),
        sa.UniqueConstraint("partner_id", "customer_id", "id", name=op.f("uq_addresses_partner_id_customer_id_id")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_addresses_partner_id_id")),
    )
    op.create_table(
        "time_off",
        sa.Column("technician_id", KEY, nullable=False),
        sa.Column("start_at", INSTANT, nullable=False),
        sa.Column("end_at", INSTANT, nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.CheckConstraint("start_at < end_at", name=op.f("ck_time_off_span")),
        sa.ForeignKeyConstraint(
            ["partner_id", "technician_id"],
            ["technicians.partner_id", "technicians.id"],
            name=op.f("fk_time_off_partner_id_technician_id"),
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_time_off_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_time_off")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_time_off_partner_id_id")),
    )
    op.create_index("ix_time_off_technician", "time_off", ["partner_id", "technician_id", "end_at"], unique=False)
    op.create_table(
        "working_hours",
        sa.Column("technician_id", KEY, nullable=True),
        sa.Column("weekday", sa.Integer(), nullable=False),
        sa.Column("start_minute", sa.Integer(), nullable=False),
        sa.Column("end_minute", sa.Integer(), nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.CheckConstraint(
            "start_minute >= 0 AND end_minute <= 1440 AND start_minute < end_minute",
            name=op.f("ck_working_hours_stretch"),
        ),
        sa.CheckConstraint("weekday BETWEEN 0 AND 6", name=op.f("ck_working_hours_weekday")),
        sa.ForeignKeyConstraint(
            ["partner_id", "technician_id"],
            ["technicians.partner_id", "technicians.id"],
            name=op.f("fk_working_hours_partner_id_technician_id"),
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_working_hours_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_working_hours")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_working_hours_partner_id_id")),
    )
    op.create_index("ix_working_hours_technician", "working_hours", ["partner_id", "technician_id"], unique=False)
    op.create_table(
        "jobs",
        sa.Column("customer_id", KEY, nullable=False),
        sa.Column("workflow", sa.String(length=20), nullable=False),
        sa.Column("number", sa.String(length=20), nullable=False),
        sa.Column("status", sa.String(length=30), nullable=False),
        sa.Column("title", sa.String(length=500), nullable=False),
        sa.Column("address_id", KEY, nullable=False),
        sa.Column("service_type_id", KEY, nullable=False),
        sa.Column("technician_id", KEY, nullable=True),
        sa.Column("start_at", INSTANT, nullable=True),
        sa.Column("end_at", INSTANT, nullable=True),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("reject_reason", sa.Text(), nullable=False),
        sa.Column("cancel_reason", sa.Text(), nullable=False),
        sa.Column("approved_at", INSTANT, nullable=True),
        sa.Column("work_began_at", INSTANT, nullable=True),
        sa.Column("replaces_id", KEY, nullable=True),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status <> 'REJECTED' OR length(trim(reject_reason)) > 0", name=op.f("ck_jobs_reject_reason")
        ),
        sa.CheckConstraint(
            "status IN ('APPROVED', 'CANCELLED', 'COMPLETED', 'CONTRACT_SENT', 'CONTRACT_SIGNED', 'CUSTOMER_APPROVED', "
            "'DRAFT', 'EN_ROUTE', "
            "'INSTALLATION_COMPLETED', 'INSTALLATION_IN_PROGRESS', 'INSTALLER_ASSIGNED', "
            "'IN_PROGRESS', 'PAUSED', 'REJECTED', 'SCHEDULED')",
            name=op.f("ck_jobs_status"),
        ),
        sa.CheckConstraint("workflow IN ('installation', 'service')", name=op.f("ck_jobs_workflow")),
        sa.ForeignKeyConstraint(
            ["partner_id", "customer_id", "address_id"],
            ["addresses.partner_id", "addresses.customer_id", "addresses.id"],
            name=op.f("fk_jobs_partner_id_customer_id_address_id"),
        ),
        sa.ForeignKeyConstraint(
            ["partner_id", "customer_id"],
            ["customers.partner_id", "customers.id"],
            name=op.f("fk_jobs_partner_id_customer_id"),
        ),
        sa.ForeignKeyConstraint(
            ["partner_id", "replaces_id"], ["jobs.partner_id", "jobs.id"], name=op.f("fk_jobs_partner_id_replaces_id")
        ),
        sa.ForeignKeyConstraint(
            ["partner_id", "service_type_id"],
            ["service_types.partner_id", "service_types.id"],
            name=op.f("fk_jobs_partner_id_service_type_id"),
        ),
        sa.ForeignKeyConstraint(
            ["partner_id", "technician_id"],
            ["technicians.partner_id", "technicians.id"],
            name=op.f("fk_jobs_partner_id_technician_id"),
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_jobs_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("partner_id", "customer_id", "id", name=op.f("uq_jobs_partner_id_customer_id_id")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_jobs_partner_id_id")),
        sa.UniqueConstraint("partner_id", "number", name=op.f("uq_jobs_partner_id_number")),
    )
    op.create_index("ix_jobs_customer", "jobs", ["partner_id", "customer_id"], unique=False)
    op.create_index("ix_jobs_list", "jobs", ["partner_id", "workflow", "start_at", "id"], unique=False)
    op.create_index("ix_jobs_status", "jobs", ["partner_id", "workflow", "status", "start_at", "id"], unique=False)
    op.create_index("ix_jobs_technician", "jobs", ["partner_id", "technician_id", "start_at", "id"], unique=False)
    op.create_table(
        "appointments",
        sa.Column("customer_id", KEY, nullable=False),
        sa.Column("job_id", KEY, nullable=False),
        sa.Column("technician_id", KEY, nullable=True),
        sa.Column("status", sa.String(length=30), nullable=False),
        sa.Column("start_at", INSTANT, nullable=False),
        sa.Column("end_at", INSTANT, nullable=False),
        sa.Column("window_minutes", sa.Integer(), nullable=False),
        sa.Column("planned_at", INSTANT, nullable=False),
        sa.Column("confirmed_at", INSTANT, nullable=True),
        sa.Column("confirmed_by", sa.String(length=20), nullable=False),
        sa.Column("customer_moves", sa.Integer(), nullable=False),
        sa.Column("move_number", sa.Integer(), nullable=False),
        sa.Column("occurrence", sa.Integer(), nullable=False),
        sa.Column("previous_id", KEY, nullable=True),
        sa.Column("on_the_way_at", INSTANT, nullable=True),
        sa.Column("eta_minutes", sa.Integer(), nullable=True),
        sa.Column("arrived_at", INSTANT, nullable=True),
        sa.Column("work_began_at", INSTANT, nullable=True),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.Column("pause_reason", sa.String(length=80), nullable=False),
        sa.Column("service_notes", sa.Text(), nullable=False),
        sa.Column("cancel_at", INSTANT, nullable=True),
        sa.Column("cancel_reason", sa.Text(), nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status IN ('SCHEDULED', 'PREPARING', 'ON_THE_WAY', 'ARRIVED', 'WORK_IN_PROGRESS', "
            "'PAUSED', 'COMPLETE', 'INCOMPLETE', 'CANCELLED')",
            name=op.f("ck_appointments_status"),
        ),
        sa.CheckConstraint(
            "technician_id IS NOT NULL OR status IN ('SCHEDULED', 'CANCELLED', 'INCOMPLETE')",
            name=op.f("ck_appointments_technician"),
        ),
        sa.CheckConstraint("start_at < end_at", name=op.f("ck_appointments_span")),
        sa.CheckConstraint("window_minutes > 0", name=op.f("ck_appointments_window")),
        sa.ForeignKeyConstraint(
            ["partner_id", "customer_id", "job_id"],
            ["jobs.partner_id", "jobs.customer_id", "jobs.id"],
            name=op.f("fk_appointments_partner_id_customer_id_job_id"),
        ),
        sa.ForeignKeyConstraint(
            ["partner_id", "previous_id"],
            ["appointments.partner_id", "appointments.id"],
            name=op.f("fk_appointments_partner_id_previous_id"),
        ),
        sa.ForeignKeyConstraint(
            ["partner_id", "technician_id"],
            ["technicians.partner_id", "technicians.id"],
            name=op.f("fk_appointments_partner_id_technician_id"),
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_appointments_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appointments")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_appointments_partner_id_id")),
    )
    op.create_index("ix_appointments_cancel_at", "appointments", ["cancel_at"], unique=False)
    op.create_index("ix_appointments_customer", "appointments", ["partner_id", "customer_id", "start_at"], unique=False)
    op.create_index("ix_appointments_job", "appointments", ["partner_id", "job_id"], unique=False)
    op.create_index("ix_appointments_start", "appointments", ["partner_id", "start_at", "id"], unique=False)
    op.create_index(
        "ix_appointments_technician", "appointments", ["partner_id", "technician_id", "start_at"], unique=False
    )
    op.create_table(
        "contracts",
        sa.Column("customer_id", KEY, nullable=False),
        sa.Column("job_id", KEY, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("sent_at", INSTANT, nullable=False),
        sa.Column("voided_at", INSTANT, nullable=True),
        sa.Column("signed_at", INSTANT, nullable=True),
        sa.Column("signed_name", sa.String(length=120), nullable=False),
        sa.Column("consent", sa.Text(), nullable=False),
        sa.Column("paper_name", sa.String(length=200), nullable=False),
        sa.Column("paper_type", sa.String(length=100), nullable=False),
        sa.Column("paper", sa.LargeBinary(), nullable=True),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.CheckConstraint("voided_at IS NULL OR signed_at IS NULL", name=op.f("ck_contracts_void_unsigned")),
        sa.ForeignKeyConstraint(
            ["partner_id", "customer_id", "job_id"],
            ["jobs.partner_id", "jobs.customer_id", "jobs.id"],
            name=op.f("fk_contracts_partner_id_customer_id_job_id"),
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_contracts_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contracts")),
        sa.UniqueConstraint("job_id", "revision", name=op.f("uq_contracts_job_id_revision")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_contracts_partner_id_id")),
    )
    op.create_table(
        "job_items",
        sa.Column("job_id", KEY, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.CheckConstraint("length(trim(name)) > 0", name=op.f("ck_job_items_name")),
        sa.CheckConstraint("quantity BETWEEN 1 AND 100000", name=op.f("ck_job_items_quantity")),
        sa.ForeignKeyConstraint(
            ["partner_id", "job_id"], ["jobs.partner_id", "jobs.id"], name=op.f("fk_job_items_partner_id_job_id")
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_job_items_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_items")),
        sa.UniqueConstraint("job_id", "position", name=op.f("uq_job_items_job_id_position")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_job_items_partner_id_id")),
    )
    op.create_table(
        "history",
        sa.Column("customer_id", KEY, nullable=False),
        sa.Column("job_id", KEY, nullable=False),
        sa.Column("appointment_id", KEY, nullable=True),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("subject", sa.String(length=20), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("actor_id", KEY, nullable=True),
        sa.Column("actor_role", sa.String(length=20), nullable=False),
        sa.Column("actor_name", sa.String(length=120), nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.ForeignKeyConstraint(["actor_id"], ["users.id"], name=op.f("fk_history_actor_id")),
        sa.ForeignKeyConstraint(
            ["partner_id", "appointment_id"],
            ["appointments.partner_id", "appointments.id"],
            name=op.f("fk_history_partner_id_appointment_id"),
        ),
        sa.ForeignKeyConstraint(
            ["partner_id", "customer_id", "job_id"],
            ["jobs.partner_id", "jobs.customer_id", "jobs.id"],
            name=op.f("fk_history_partner_id_customer_id_job_id"),
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_history_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_history")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_history_partner_id_id")),
    )
    op.create_index("ix_history_job", "history", ["partner_id", "job_id", "id"], unique=False)
    op.create_table(
        "messages",
        sa.Column("customer_id", KEY, nullable=False),
        sa.Column("job_id", KEY, nullable=True),
        sa.Column("appointment_id", KEY, nullable=True),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("recipient", sa.String(length=255), nullable=False),
        sa.Column("occurrence", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("due_at", INSTANT, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("lease_until", INSTANT, nullable=True),
        sa.Column("lease_token", sa.String(length=32), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("sent_at", INSTANT, nullable=True),
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("body_html", sa.Text(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.CheckConstraint("status IN ('PENDING', 'SENT', 'SKIPPED', 'FAILED')", name=op.f("ck_messages_status")),
        sa.ForeignKeyConstraint(
            ["partner_id", "appointment_id"],
            ["appointments.partner_id", "appointments.id"],
            name=op.f("fk_messages_partner_id_appointment_id"),
        ),
        sa.ForeignKeyConstraint(
            ["partner_id", "customer_id"],
            ["customers.partner_id", "customers.id"],
            name=op.f("fk_messages_partner_id_customer_id"),
        ),
        sa.ForeignKeyConstraint(
            ["partner_id", "job_id"], ["jobs.partner_id", "jobs.id"], name=op.f("fk_messages_partner_id_job_id")
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_messages_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint("key", name=op.f("uq_messages_key")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_messages_partner_id_id")),
    )
    op.create_index("ix_messages_due", "messages", ["status", "due_at"], unique=False)
    op.create_index("ix_messages_job", "messages", ["partner_id", "job_id", "id"], unique=False)
    op.create_index("ix_messages_log", "messages", ["partner_id", "id"], unique=False)
    op.create_table(
        "message_attempts",
        sa.Column("message_id", KEY, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("outcome", sa.String(length=10), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.ForeignKeyConstraint(
            ["partner_id", "message_id"],
            ["messages.partner_id", "messages.id"],
            name=op.f("fk_message_attempts_partner_id_message_id"),
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_message_attempts_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message_attempts")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_message_attempts_partner_id_id")),
    )
    op.create_index("ix_message_attempts_message", "message_attempts", ["partner_id", "message_id"], unique=False)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(POSTGRESQL_OVERLAP)
        for statement in POSTGRESQL_HISTORY:
            op.execute(statement)
    else:
        op.execute(SQLITE_OVERLAP.format(name="tr_appointments_overlap_insert", event="INSERT"))
        op.execute(
            SQLITE_OVERLAP.format(
                name="tr_appointments_overlap_update",
                event="UPDATE OF technician_id, start_at, end_at, status",
            )
        )
        for statement in SQLITE_HISTORY:
            op.execute(statement)


def downgrade() -> None:
    op.drop_index("ix_message_attempts_message", table_name="message_attempts")
    op.drop_table("message_attempts")
    op.drop_index("ix_messages_log", table_name="messages")
    op.drop_index("ix_messages_job", table_name="messages")
    op.drop_index("ix_messages_due", table_name="messages")
    op.drop_table("messages")
    op.drop_index("ix_history_job", table_name="history")
    op.drop_table("history")
    op.drop_table("job_items")
    op.drop_table("contracts")
    op.drop_index("ix_appointments_technician", table_name="appointments")
    op.drop_index("ix_appointments_start", table_name="appointments")
    op.drop_index("ix_appointments_job", table_name="appointments")
    op.drop_index("ix_appointments_customer", table_name="appointments")
    op.drop_index("ix_appointments_cancel_at", table_name="appointments")
    op.drop_table("appointments")
    op.drop_index("ix_jobs_technician", table_name="jobs")
    op.drop_index("ix_jobs_status", table_name="jobs")
    op.drop_index("ix_jobs_list", table_name="jobs")
    op.drop_index("ix_jobs_customer", table_name="jobs")
    op.drop_table("jobs")
    op.drop_index("ix_working_hours_technician", table_name="working_hours")
    op.drop_table("working_hours")
    op.drop_index("ix_time_off_technician", table_name="time_off")
    op.drop_table("time_off")
    op.drop_table("addresses")
    op.drop_index("ix_technicians_user_id", table_name="technicians")
    op.drop_index("ix_technicians_partner_name", table_name="technicians")
    op.drop_table("technicians")
    op.drop_table("service_types")
    op.drop_table("pause_reasons")
    op.drop_table("message_rules")
    op.drop_index("ix_memberships_user_id", table_name="memberships")
    op.drop_table("memberships")
    op.drop_table("holidays")
    op.drop_table("feature_controls")
    op.drop_index("ix_customers_user_id", table_name="customers")
    op.drop_index("ix_customers_partner_name", table_name="customers")
    op.drop_table("customers")
    op.drop_table("users")
    op.drop_table("partners")
    op.drop_table("background_jobs")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION history_is_append_only()")
