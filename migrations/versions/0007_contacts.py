"""A customer's contacts and who gets which message; addresses that are offered no more.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
GROUPS = ("gets_visits", "gets_reminders", "gets_arrival", "gets_contract")
BY_JOB = ("fk_messages_partner_id_job_id", ["partner_id", "job_id"], ["partner_id", "id"], None)
BY_CUSTOMER_AND_JOB = (
    "fk_messages_partner_id_customer_id_job_id",
    ["partner_id", "customer_id", "job_id"],
    ["partner_id", "customer_id", "id"],
    "CASCADE",
)


def upgrade() -> None:
    op.create_table(
        "customer_contacts",
        sa.Column("customer_id", KEY, nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("relation", sa.String(length=80), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("phone", sa.String(length=40), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        *(sa.Column(name, sa.Boolean(), nullable=False) for name in GROUPS),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.CheckConstraint(
            "email <> '' OR NOT (gets_visits OR gets_reminders OR gets_arrival OR gets_contract)",
            name=op.f("ck_customer_contacts_reachable"),
        ),
        sa.ForeignKeyConstraint(
            ["partner_id", "customer_id"],
            ["customers.partner_id", "customers.id"],
            name=op.f("fk_customer_contacts_partner_id_customer_id"),
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_customer_contacts_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_contacts")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_customer_contacts_partner_id_id")),
    )
    op.create_index("ix_customer_contacts_customer", "customer_contacts", ["partner_id", "customer_id"])
    for name in GROUPS:
        op.add_column("customers", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("addresses", sa.Column("active", sa.Boolean(), nullable=False, server_default=sa.true()))
    with op.batch_alter_table("messages") as batch:
        batch.add_column(sa.Column("contact_id", KEY, nullable=True))
        batch.create_foreign_key(
            op.f("fk_messages_partner_id_contact_id"),
            "customer_contacts",
            ["partner_id", "contact_id"],
            ["partner_id", "id"],
        )
        _replace(batch, BY_JOB, BY_CUSTOMER_AND_JOB)
    op.create_index("ix_messages_customer", "messages", ["partner_id", "customer_id", "id"])


def downgrade() -> None:
    op.drop_index("ix_messages_customer", table_name="messages")
    with op.batch_alter_table("messages") as batch:
        _replace(batch, BY_CUSTOMER_AND_JOB, BY_JOB)
        batch.drop_constraint(op.f("fk_messages_partner_id_contact_id"), type_="foreignkey")
        batch.drop_column("contact_id")
    op.drop_column("addresses", "active")
    for name in reversed(GROUPS):
        op.drop_column("customers", name)
    op.drop_index("ix_customer_contacts_customer", table_name="customer_contacts")
    op.drop_table("customer_contacts")


def _replace(batch, old, new) -> None:
    name, local, remote, onupdate = new
    batch.drop_constraint(op.f(old[0]), type_="foreignkey")
    batch.create_foreign_key(op.f(name), "jobs", local, remote, onupdate=onupdate)
