"""Message rules with moments of their own, quiet hours, customers' time zones, and messages to technicians.

Revision ID: 0014
Revises: 0013
"""

from datetime import UTC, datetime, time

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
AT_ONCE = sa.text("days_before IS NULL AND minutes_before IS NULL")
BY_CLOCK = sa.text("days_before IS NOT NULL")
BY_LENGTH = sa.text("minutes_before IS NOT NULL")
ELSEWHERE = sa.text("timezone <> ''")
UNIQUE = (
    ("at_once", AT_ONCE, ()),
    ("by_clock", BY_CLOCK, ("days_before", "local_time")),
    ("by_length", BY_LENGTH, ("minutes_before",)),
)
RECIPIENTS = ("customer_id", "invitation_id", "technician_id")
ONE_RECIPIENT = " + ".join(f"CASE WHEN {name} IS NULL THEN 0 ELSE 1 END" for name in RECIPIENTS) + " = 1"
TO_TECHNICIANS = ("technician_assigned", "technician_relieved", "technician_moved", "technician_cancelled")
# What every partner gets beside what it has: kind, channel, minutes before the visit, only if unconfirmed.
ADDED = (
    ("please_confirm", "email", 72 * 60, True),
    ("reminder", "email", 120, False),
    ("reminder", "text", 120, False),
    ("on_the_way", "text", None, False),
    *((kind, "email", None, False) for kind in TO_TECHNICIANS),
)
RULES = sa.table(
    "message_rules",
    sa.column("id", KEY),
    sa.column("partner_id", KEY),
    sa.column("kind", sa.String),
    sa.column("channel", sa.String),
    sa.column("enabled", sa.Boolean),
    sa.column("minutes_before", sa.Integer),
    sa.column("unconfirmed_only", sa.Boolean),
    sa.column("holds_from", INSTANT),
    sa.column("version", sa.Integer),
)
SETTINGS = sa.table(
    "message_settings",
    sa.column("partner_id", KEY),
    sa.column("quiet_from", sa.Time),
    sa.column("quiet_until", sa.Time),
    sa.column("version", sa.Integer),
)
PARTNERS = sa.table("partners", sa.column("id", KEY))


def upgrade() -> None:
    with op.batch_alter_table("message_rules") as batch:
        batch.drop_constraint(op.f("uq_message_rules_partner_id_kind_channel"), type_="unique")
        batch.add_column(sa.Column("minutes_before", sa.Integer(), nullable=True))
        # The defaults stay in the database: code from before this revision goes on adding partners with their rules.
        batch.add_column(sa.Column("unconfirmed_only", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch.add_column(sa.Column("holds_from", INSTANT, nullable=False, server_default="1970-01-01 00:00:00"))
        batch.add_column(sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
        batch.create_check_constraint(
            op.f("ck_message_rules_one_moment"), "days_before IS NULL OR minutes_before IS NULL"
        )
    for name, where, columns in UNIQUE:
        op.create_index(
            f"uq_message_rules_{name}",
            "message_rules",
            ["partner_id", "kind", "channel", *columns],
            unique=True,
            sqlite_where=where,
            postgresql_where=where,
        )
    with op.batch_alter_table("messages") as batch:
        batch.drop_constraint(op.f("ck_messages_recipient"), type_="check")
        for name, table in (("technician_id", "technicians"), ("rule_id", "message_rules")):
            batch.add_column(sa.Column(name, KEY, nullable=True))
            batch.create_foreign_key(
                op.f(f"fk_messages_partner_id_{name}"), table, ["partner_id", name], ["partner_id", "id"]
            )
        batch.create_check_constraint(op.f("ck_messages_recipient"), ONE_RECIPIENT)
    op.add_column("customers", sa.Column("timezone", sa.String(length=60), nullable=False, server_default=""))
    op.create_index(
        "ix_customers_timezone",
        "customers",
        ["partner_id", "timezone"],
        sqlite_where=ELSEWHERE,
        postgresql_where=ELSEWHERE,
    )
    op.create_table(
        "message_settings",
        sa.Column("quiet_from", sa.Time(), nullable=True),
        sa.Column("quiet_until", sa.Time(), nullable=True),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.CheckConstraint("(quiet_from IS NULL) = (quiet_until IS NULL)", name=op.f("ck_message_settings_quiet")),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_message_settings_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message_settings")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_message_settings_partner_id_id")),
        sa.UniqueConstraint("partner_id", name=op.f("uq_message_settings_partner_id")),
    )
    op.create_table(
        "decided_until",
        sa.Column("what", sa.String(length=20), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("what", name=op.f("pk_decided_until")),
    )
    _name_rules()
    _set_up_partners()


def downgrade() -> None:
    unknown = ", ".join(f"'{kind}'" for kind in ("please_confirm", *TO_TECHNICIANS))
    beyond = f"kind IN ({unknown}) OR channel <> 'email' OR minutes_before IS NOT NULL"
    # What the code before this revision could not send or tell apart.
    gone = f"kind IN ({unknown}) OR channel <> 'email'"
    op.execute(f"DELETE FROM message_attempts WHERE message_id IN (SELECT id FROM messages WHERE {gone})")
    op.execute(f"DELETE FROM messages WHERE {gone}")
    op.drop_table("decided_until")
    op.drop_table("message_settings")
    op.drop_index("ix_customers_timezone", table_name="customers")
    op.drop_column("customers", "timezone")
    with op.batch_alter_table("messages") as batch:
        batch.drop_constraint(op.f("ck_messages_recipient"), type_="check")
        for name in ("rule_id", "technician_id"):
            batch.drop_constraint(op.f(f"fk_messages_partner_id_{name}"), type_="foreignkey")
            batch.drop_column(name)
        batch.create_check_constraint(op.f("ck_messages_recipient"), "(customer_id IS NULL) <> (invitation_id IS NULL)")
    op.execute(f"DELETE FROM message_rules WHERE {beyond}")
    # Of several reminders by the clock one stays.
    op.execute(
        "DELETE FROM message_rules WHERE id NOT IN "
        "(SELECT min(id) FROM message_rules GROUP BY partner_id, kind, channel)"
    )
    for name, _, _ in UNIQUE:
        op.drop_index(f"uq_message_rules_{name}", table_name="message_rules")
    with op.batch_alter_table("message_rules") as batch:
        batch.drop_constraint(op.f("ck_message_rules_one_moment"), type_="check")
        for name in ("version", "holds_from", "unconfirmed_only", "minutes_before"):
            batch.drop_column(name)
        batch.create_unique_constraint(
            op.f("uq_message_rules_partner_id_kind_channel"), ["partner_id", "kind", "channel"]
        )


def _name_rules() -> None:
    """Note on each message the rule that its key names: ``rule:12|…``."""
    bar = "strpos(key, '|')" if op.get_bind().dialect.name == "postgresql" else "instr(key, '|')"
    op.execute(
        f"UPDATE messages SET rule_id = (SELECT r.id FROM message_rules AS r WHERE r.partner_id = messages.partner_id "
        f"AND CAST(r.id AS VARCHAR(20)) = substr(messages.key, 6, {bar} - 6)) WHERE key LIKE 'rule:%'"
    )


def _set_up_partners() -> None:
    """Give every partner the rules and the quiet hours that new ones start with; what is past is not made up for."""
    now = datetime.now(UTC)
    held = sa.literal(now, INSTANT)
    for kind, channel, minutes, unconfirmed_only in ADDED:
        values = sa.select(
            PARTNERS.c.id,
            sa.literal(kind),
            sa.literal(channel),
            sa.true(),
            sa.cast(sa.literal(minutes, sa.Integer) if minutes else sa.null(), sa.Integer),
            sa.true() if unconfirmed_only else sa.false(),
            held,
            sa.literal(1),
        )
        names = ["partner_id", "kind", "channel", "enabled", "minutes_before", "unconfirmed_only", "holds_from"]
        op.execute(sa.insert(RULES).from_select([*names, "version"], values))
    quiet = sa.select(PARTNERS.c.id, sa.literal(time(21), sa.Time), sa.literal(time(7), sa.Time), sa.literal(1))
    op.execute(sa.insert(SETTINGS).from_select(["partner_id", "quiet_from", "quiet_until", "version"], quiet))
