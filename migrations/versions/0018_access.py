"""Links to sign in and to choose a new password; contacts who are reached by telephone alone.

Revision ID: 0018
Revises: 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
KINDS = "kind IN ('sign_in', 'password')"
OPEN_LINK = sa.text("used_at IS NULL AND ended_at IS NULL")
RECIPIENTS = ("customer_id", "invitation_id", "technician_id")
NEW_KINDS = "kind IN ('sign_in', 'new_password', 'use_email')"
GETS = ("gets_visits", "gets_reminders", "gets_arrival", "gets_contract")
NOTHING = f"NOT ({' OR '.join(GETS)})"


def one_of(*names: str) -> str:
    return " + ".join(f"CASE WHEN {name} IS NULL THEN 0 ELSE 1 END" for name in names) + " = 1"


def upgrade() -> None:
    op.create_table(
        "access_wishes",
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("address", sa.String(length=255), nullable=False),
        sa.Column("asked_at", INSTANT, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.CheckConstraint(KINDS, name=op.f("ck_access_wishes_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_wishes")),
    )
    op.create_table(
        "access_links",
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("seed", sa.String(length=64), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("used_at", INSTANT, nullable=True),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.CheckConstraint(KINDS, name=op.f("ck_access_links_kind")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_access_links_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_links")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_access_links_token_hash")),
    )
    op.create_index(
        "uq_access_links_open",
        "access_links",
        ["user_id", "kind"],
        unique=True,
        sqlite_where=OPEN_LINK,
        postgresql_where=OPEN_LINK,
    )
    with op.batch_alter_table("messages") as batch:
        batch.drop_constraint(op.f("ck_messages_recipient"), type_="check")
        batch.add_column(sa.Column("access_link_id", KEY, nullable=True))
        batch.create_foreign_key(op.f("fk_messages_access_link_id"), "access_links", ["access_link_id"], ["id"])
        batch.create_check_constraint(op.f("ck_messages_recipient"), one_of(*RECIPIENTS, "access_link_id"))
    with op.batch_alter_table("customer_contacts") as batch:
        batch.drop_constraint(op.f("ck_customer_contacts_reachable"), type_="check")
        batch.create_check_constraint(
            op.f("ck_customer_contacts_reachable"), f"email <> '' OR phone <> '' OR {NOTHING}"
        )


def downgrade() -> None:
    contacts = sa.table(
        "customer_contacts", sa.column("email", sa.String), *(sa.column(name, sa.Boolean) for name in GETS)
    )
    op.execute(sa.update(contacts).where(contacts.c.email == "").values(dict.fromkeys(GETS, False)))
    with op.batch_alter_table("customer_contacts") as batch:
        batch.drop_constraint(op.f("ck_customer_contacts_reachable"), type_="check")
        batch.create_check_constraint(op.f("ck_customer_contacts_reachable"), f"email <> '' OR {NOTHING}")
    op.execute(f"DELETE FROM message_attempts WHERE message_id IN (SELECT id FROM messages WHERE {NEW_KINDS})")
    op.execute(f"DELETE FROM messages WHERE {NEW_KINDS}")
    with op.batch_alter_table("messages") as batch:
        batch.drop_constraint(op.f("ck_messages_recipient"), type_="check")
        batch.drop_constraint(op.f("fk_messages_access_link_id"), type_="foreignkey")
        batch.drop_column("access_link_id")
        batch.create_check_constraint(op.f("ck_messages_recipient"), one_of(*RECIPIENTS))
    op.drop_table("access_links")
    op.drop_table("access_wishes")
