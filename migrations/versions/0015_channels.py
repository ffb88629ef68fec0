"""Texts beside e-mail: a partner's own servers, what people switched off, and customers who cannot be reached.

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
ONLY_OPEN = sa.text("closed_at IS NULL")
ONLY_WAITING = sa.text("finished_at IS NULL")
SWITCHES = ("email_off_at", "text_off_at")


def upgrade() -> None:
    for table in ("customers", "customer_contacts"):
        for name in SWITCHES:
            op.add_column(table, sa.Column(name, INSTANT, nullable=True))
    # The default stays in the database: code from before this revision goes on noting attempts.
    op.add_column("message_attempts", sa.Column("fault", sa.String(length=20), nullable=False, server_default=""))
    op.create_table(
        "channel_settings",
        sa.Column("own_mail", sa.Boolean(), nullable=False),
        sa.Column("smtp_host", sa.String(length=255), nullable=False),
        sa.Column("smtp_port", sa.Integer(), nullable=False),
        sa.Column("smtp_security", sa.String(length=10), nullable=False),
        sa.Column("smtp_user", sa.String(length=255), nullable=False),
        sa.Column("smtp_password", sa.Text(), nullable=False),
        sa.Column("sender", sa.String(length=255), nullable=False),
        sa.Column("text_gateway", sa.Text(), nullable=False),
        sa.Column("text_service", sa.String(length=40), nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.CheckConstraint(
            "smtp_security IN ('tls', 'starttls', 'none')", name=op.f("ck_channel_settings_smtp_security")
        ),
        sa.CheckConstraint(
            "NOT own_mail OR (smtp_host <> '' AND sender <> '')", name=op.f("ck_channel_settings_own_mail")
        ),
        sa.CheckConstraint("(text_gateway = '') = (text_service = '')", name=op.f("ck_channel_settings_text_service")),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_channel_settings_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channel_settings")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_channel_settings_partner_id_id")),
        sa.UniqueConstraint("partner_id", name=op.f("uq_channel_settings_partner_id")),
    )
    op.create_table(
        "channel_tests",
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("recipient", sa.String(length=255), nullable=False),
        sa.Column("asked_at", INSTANT, nullable=False),
        sa.Column("asked_by_name", sa.String(length=120), nullable=False),
        sa.Column("claimed_at", INSTANT, nullable=True),
        sa.Column("finished_at", INSTANT, nullable=True),
        sa.Column("outcome", sa.String(length=10), nullable=False),
        sa.Column("fault", sa.String(length=20), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_channel_tests_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channel_tests")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_channel_tests_partner_id_id")),
    )
    op.create_index(
        "uq_channel_tests_waiting",
        "channel_tests",
        ["partner_id", "channel"],
        unique=True,
        sqlite_where=ONLY_WAITING,
        postgresql_where=ONLY_WAITING,
    )
    op.create_index("ix_channel_tests_latest", "channel_tests", ["partner_id", "channel", "id"])
    op.create_table(
        "unreachable_customers",
        sa.Column("customer_id", KEY, nullable=False),
        sa.Column("contact_id", KEY, nullable=True),
        sa.Column("message_id", KEY, nullable=False),
        sa.Column("recipient", sa.String(length=255), nullable=False),
        sa.Column("fault", sa.String(length=20), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("opened_at", INSTANT, nullable=False),
        sa.Column("closed_at", INSTANT, nullable=True),
        sa.Column("closed_as", sa.String(length=10), nullable=False),
        sa.Column("closed_by_id", KEY, nullable=True),
        sa.Column("closed_by_name", sa.String(length=120), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.CheckConstraint("(closed_at IS NULL) = (closed_as = '')", name=op.f("ck_unreachable_customers_closed")),
        sa.CheckConstraint("closed_as <> 'DONE' OR length(trim(note)) > 0", name=op.f("ck_unreachable_customers_note")),
        sa.ForeignKeyConstraint(["closed_by_id"], ["users.id"], name=op.f("fk_unreachable_customers_closed_by_id")),
        sa.ForeignKeyConstraint(
            ["partner_id", "contact_id"],
            ["customer_contacts.partner_id", "customer_contacts.id"],
            name=op.f("fk_unreachable_customers_partner_id_contact_id"),
        ),
        sa.ForeignKeyConstraint(
            ["partner_id", "customer_id"],
            ["customers.partner_id", "customers.id"],
            name=op.f("fk_unreachable_customers_partner_id_customer_id"),
        ),
        sa.ForeignKeyConstraint(
            ["partner_id", "message_id"],
            ["messages.partner_id", "messages.id"],
            name=op.f("fk_unreachable_customers_partner_id_message_id"),
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_unreachable_customers_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unreachable_customers")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_unreachable_customers_partner_id_id")),
    )
    op.create_index(
        "uq_unreachable_customers_open",
        "unreachable_customers",
        ["customer_id"],
        unique=True,
        sqlite_where=ONLY_OPEN,
        postgresql_where=ONLY_OPEN,
    )
    op.create_index(
        "ix_unreachable_customers_queue",
        "unreachable_customers",
        ["partner_id", "id"],
        sqlite_where=ONLY_OPEN,
        postgresql_where=ONLY_OPEN,
    )


def downgrade() -> None:
    op.drop_table("unreachable_customers")
    op.drop_table("channel_tests")
    op.drop_table("channel_settings")
    op.drop_column("message_attempts", "fault")
    for table in ("customers", "customer_contacts"):
        for name in SWITCHES:
            op.drop_column(table, name)
