"""A partner's own words for messages, and tests that carry such words.

Revision ID: 0021
Revises: 0020
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
WORDS = ("subject", "body", "body_html")


def upgrade() -> None:
    # The defaults stay in the database: code from before this revision goes on asking for tests.
    for name in WORDS:
        op.add_column("channel_tests", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "message_templates",
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("locale", sa.String(length=12), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("own", sa.Boolean(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("body_html", sa.Text(), nullable=False),
        sa.Column("restored", sa.Integer(), nullable=True),
        sa.Column("saved_at", INSTANT, nullable=False),
        sa.Column("saved_by_id", KEY, nullable=True),
        sa.Column("saved_by_name", sa.String(length=255), nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.CheckConstraint("NOT own OR body <> ''", name=op.f("ck_message_templates_own")),
        sa.CheckConstraint("number > 0", name=op.f("ck_message_templates_number")),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_message_templates_partner_id")),
        sa.ForeignKeyConstraint(["saved_by_id"], ["users.id"], name=op.f("fk_message_templates_saved_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message_templates")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_message_templates_partner_id_id")),
        sa.UniqueConstraint(
            "partner_id",
            "kind",
            "channel",
            "locale",
            "number",
            name=op.f("uq_message_templates_partner_id_kind_channel_locale_number"),
        ),
    )


def downgrade() -> None:
    op.drop_table("message_templates")
    for name in reversed(WORDS):
        op.drop_column("channel_tests", name)
