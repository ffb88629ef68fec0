"""Staff that can be deactivated, invitations and their messages, the operator's look-ins, what was done to a partner.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
OPEN = sa.text("accepted_at IS NULL AND revoked_at IS NULL")


def tenant(table: str) -> list[sa.schema.SchemaItem]:
    """Return what every table of a partner's rows has."""
    return [
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f(f"fk_{table}_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        sa.UniqueConstraint("partner_id", "id", name=op.f(f"uq_{table}_partner_id_id")),
    ]


def upgrade() -> None:
    with op.batch_alter_table("memberships") as batch:
        # Whoever was staff so far still is; the defaults stay for code from before, while it still runs.
        batch.add_column(sa.Column("active", sa.Boolean(), nullable=False, server_default=sa.true()))
        batch.add_column(sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
    op.create_table(
        "invitations",
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("technician_id", KEY, nullable=True),
        sa.Column("customer_id", KEY, nullable=True),
        sa.Column("seed", sa.String(length=64), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("sending", sa.Integer(), nullable=False),
        sa.Column("invited_by_id", KEY, nullable=True),
        sa.Column("invited_by_name", sa.String(length=120), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("accepted_at", INSTANT, nullable=True),
        sa.Column("accepted_by_id", KEY, nullable=True),
        sa.Column("revoked_at", INSTANT, nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "role IN ('partner_admin', 'dispatcher', 'technician', 'customer')", name=op.f("ck_invitations_role")
        ),
        sa.CheckConstraint(
            "(role = 'technician') = (technician_id IS NOT NULL) AND (role = 'customer') = (customer_id IS NOT NULL)",
            name=op.f("ck_invitations_whom"),
        ),
        sa.ForeignKeyConstraint(
            ["partner_id", "technician_id"],
            ["technicians.partner_id", "technicians.id"],
            name=op.f("fk_invitations_partner_id_technician_id"),
        ),
        sa.ForeignKeyConstraint(
            ["partner_id", "customer_id"],
            ["customers.partner_id", "customers.id"],
            name=op.f("fk_invitations_partner_id_customer_id"),
        ),
        sa.ForeignKeyConstraint(["invited_by_id"], ["users.id"], name=op.f("fk_invitations_invited_by_id")),
        sa.ForeignKeyConstraint(["accepted_by_id"], ["users.id"], name=op.f("fk_invitations_accepted_by_id")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invitations_token_hash")),
        *tenant("invitations"),
    )
    op.create_index(
        "uq_invitations_open",
        "invitations",
        ["partner_id", "email", "role"],
        unique=True,
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )
    op.create_table(
        "look_ins",
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("user_name", sa.String(length=120), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("until", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_look_ins_user_id")),
        *tenant("look_ins"),
    )
    op.create_index("ix_look_ins_partner", "look_ins", ["partner_id", "started_at", "id"])
    op.create_table(
        "partner_events",
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("about", sa.String(length=255), nullable=False),
        sa.Column("actor_id", KEY, nullable=True),
        sa.Column("actor_role", sa.String(length=20), nullable=False),
        sa.Column("actor_name", sa.String(length=120), nullable=False),
        sa.Column("before", sa.String(length=255), nullable=False),
        sa.Column("after", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["actor_id"], ["users.id"], name=op.f("fk_partner_events_actor_id")),
        *tenant("partner_events"),
    )
    op.create_index("ix_partner_events_partner", "partner_events", ["partner_id", "id"])
    with op.batch_alter_table("messages") as batch:
        batch.add_column(sa.Column("invitation_id", KEY, nullable=True))
        batch.alter_column("customer_id", existing_type=KEY, nullable=True)
        batch.create_foreign_key(
            op.f("fk_messages_partner_id_invitation_id"),
            "invitations",
            ["partner_id", "invitation_id"],
            ["partner_id", "id"],
        )
        batch.create_check_constraint(op.f("ck_messages_recipient"), "(customer_id IS NULL) <> (invitation_id IS NULL)")


def downgrade() -> None:
    # A message to nobody's customer cannot stand in the older table.
    op.execute(
        "DELETE FROM message_attempts WHERE message_id IN (SELECT id FROM messages WHERE invitation_id IS NOT NULL)"
    )
    op.execute("DELETE FROM messages WHERE invitation_id IS NOT NULL")
    with op.batch_alter_table("messages") as batch:
        batch.drop_constraint(op.f("ck_messages_recipient"), type_="check")
        batch.drop_constraint(op.f("fk_messages_partner_id_invitation_id"), type_="foreignkey")
        batch.alter_column("customer_id", existing_type=KEY, nullable=False)
        batch.drop_column("invitation_id")
    op.drop_table("partner_events")
    op.drop_table("look_ins")
    op.drop_table("invitations")
    with op.batch_alter_table("memberships") as batch:
        batch.drop_column("version")
        batch.drop_column("active")
