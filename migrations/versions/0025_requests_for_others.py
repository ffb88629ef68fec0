"""Requests that may be offered to other partners, and which request an offered job was made from.

Revision ID: 0025
Revises: 0024
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ONLY_FOR_OTHERS = sa.text("others_may AND status = 'DECLINED'")


def upgrade() -> None:
    op.add_column("service_requests", sa.Column("others_may", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index(
        "ix_service_requests_for_others",
        "service_requests",
        ["id"],
        sqlite_where=ONLY_FOR_OTHERS,
        postgresql_where=ONLY_FOR_OTHERS,
    )
    with op.batch_alter_table("offered_jobs") as table:
        table.add_column(sa.Column("request_id", KEY, nullable=True))
        table.add_column(sa.Column("customer_user_id", KEY, nullable=True))
        table.create_foreign_key(op.f("fk_offered_jobs_request_id"), "service_requests", ["request_id"], ["id"])
        table.create_foreign_key(op.f("fk_offered_jobs_customer_user_id"), "users", ["customer_user_id"], ["id"])
        table.create_unique_constraint(op.f("uq_offered_jobs_request_id"), ["request_id"])


def downgrade() -> None:
    with op.batch_alter_table("offered_jobs") as table:
        table.drop_constraint(op.f("uq_offered_jobs_request_id"), type_="unique")
        table.drop_constraint(op.f("fk_offered_jobs_customer_user_id"), type_="foreignkey")
        table.drop_constraint(op.f("fk_offered_jobs_request_id"), type_="foreignkey")
        table.drop_column("customer_user_id")
        table.drop_column("request_id")
    op.drop_index("ix_service_requests_for_others", "service_requests")
    op.drop_column("service_requests", "others_may")
