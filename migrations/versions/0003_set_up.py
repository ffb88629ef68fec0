"""Set-up by the partner's admin: skills, reject reasons, logo, status labels, and the audit trail of settings.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)

POSTGRESQL_APPEND_ONLY = (
    """
CREATE FUNCTION setting_changes_are_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the audit trail is written once and never altered'; END $$
""",
    """
CREATE TRIGGER tr_setting_changes_append_only BEFORE UPDATE OR DELETE ON setting_changes
FOR EACH ROW EXECUTE FUNCTION setting_changes_are_append_only()
""",
)

SQLITE_APPEND_ONLY = tuple(
    f"""
CREATE TRIGGER tr_setting_changes_no_{event.lower()} BEFORE {event} ON setting_changes
BEGIN SELECT RAISE(ABORT, 'the audit trail is written once and never altered'); END
"""
    for event in ("UPDATE", "DELETE")
)


def create_tenant_table(name: str, *parts: sa.schema.SchemaItem) -> None:
    op.create_table(
        name,
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        *parts,
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f(f"fk_{name}_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
        sa.UniqueConstraint("partner_id", "id", name=op.f(f"uq_{name}_partner_id_id")),
    )


def create_links(name: str, owner: str, owners: str) -> None:
    """Create a table that ties skills to ``owner``, both of the same partner."""
    create_tenant_table(
        name,
        sa.Column(owner, KEY, nullable=False),
        sa.Column("skill_id", KEY, nullable=False),
        sa.ForeignKeyConstraint(
            ["partner_id", owner],
            [f"{owners}.partner_id", f"{owners}.id"],
            name=op.f(f"fk_{name}_partner_id_{owner}"),
        ),
        sa.ForeignKeyConstraint(
            ["partner_id", "skill_id"],
            ["skills.partner_id", "skills.id"],
            name=op.f(f"fk_{name}_partner_id_skill_id"),
        ),
        sa.UniqueConstraint(owner, "skill_id", name=op.f(f"uq_{name}_{owner}_skill_id")),
    )
    op.create_index(f"ix_{name}_skill", name, ["partner_id", "skill_id"])


def upgrade() -> None:
    create_tenant_table(
        "skills",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.UniqueConstraint("partner_id", "name", name=op.f("uq_skills_partner_id_name")),
    )
    create_links("service_type_skills", "service_type_id", "service_types")
    create_links("technician_skills", "technician_id", "technicians")
    create_tenant_table(
        "reject_reasons",
        sa.Column("label", sa.String(length=80), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.UniqueConstraint("partner_id", "label", name=op.f("uq_reject_reasons_partner_id_label")),
    )
    # Added in place, without a batch: code that does not know the columns yet goes on working.
    op.add_column("pause_reasons", sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("partners", sa.Column("status_labels", sa.JSON(), nullable=False, server_default="{}"))
    create_tenant_table(
        "partner_logos",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("saved_at", INSTANT, nullable=False),
        sa.Column("picture", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("partner_id", name=op.f("uq_partner_logos_partner_id")),
    )
    op.create_index("ix_partner_logos_digest", "partner_logos", ["digest"])
    create_tenant_table(
        "setting_changes",
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("key", KEY, nullable=True),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("actor_id", KEY, nullable=True),
        sa.Column("actor_role", sa.String(length=20), nullable=False),
        sa.Column("actor_name", sa.String(length=255), nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["actor_id"], ["users.id"], name=op.f("fk_setting_changes_actor_id")),
    )
    op.create_index("ix_setting_changes_subject", "setting_changes", ["partner_id", "subject", "id"])
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in SQLITE_APPEND_ONLY if on_sqlite else POSTGRESQL_APPEND_ONLY:
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("setting_changes")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION setting_changes_are_append_only()")
    op.drop_table("partner_logos")
    op.drop_column("partners", "status_labels")
    op.drop_column("pause_reasons", "version")
    for name in ("reject_reasons", "technician_skills", "service_type_skills", "skills"):
        op.drop_table(name)
