"""Contracts: the partner's own text, the PDFs, and what bears witness of a signature.

Revision ID: 0020
Revises: 0019
"""

from hashlib import sha256

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# The default stays in the database: code from before this revision goes on sending and signing contracts.
TEXTS = {
    "pdf_sha256": 64,
    "signed_from": 60,
    "signed_with": 300,
    "drawing_sha256": 64,
    "signed_pdf_sha256": 64,
    "paper_sha256": 64,
}
FILES = ("pdf", "drawing", "signed_pdf")


def upgrade() -> None:
    for name, length in TEXTS.items():
        op.add_column("contracts", sa.Column(name, sa.String(length), nullable=False, server_default=""))
    for name in FILES:
        op.add_column("contracts", sa.Column(name, sa.LargeBinary(), nullable=True))
    _take_fingerprints()
    op.create_table(
        "contract_settings",
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_contract_settings_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contract_settings")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_contract_settings_partner_id_id")),
        sa.UniqueConstraint("partner_id", name=op.f("uq_contract_settings_partner_id")),
    )


def downgrade() -> None:
    op.drop_table("contract_settings")
    for name in (*FILES, *TEXTS):
        op.drop_column("contracts", name)


def _take_fingerprints() -> None:
    """Give each scan that is there already its fingerprint, one at a time since each may have 10 MB."""
    connection = op.get_bind()
    keys = connection.scalars(sa.text("SELECT id FROM contracts WHERE paper IS NOT NULL")).all()
    for key in keys:
        paper = connection.scalar(sa.text("SELECT paper FROM contracts WHERE id = :key"), {"key": key})
        connection.execute(
            sa.text("UPDATE contracts SET paper_sha256 = :digest WHERE id = :key"),
            {"digest": sha256(bytes(paper)).hexdigest(), "key": key},
        )
