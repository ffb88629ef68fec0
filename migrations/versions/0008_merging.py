"""Customers who look alike are found by index and merged: what belongs to one goes along with its addresses.

Revision ID: 0008
Revises: 0007
"""

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
ROWS_AT_ONCE = 1_000
MAX_PLACE = 400
TO_ADDRESS = ("addresses", ["partner_id", "customer_id", "address_id"], ["partner_id", "customer_id", "id"])
TO_JOB = ("jobs", ["partner_id", "customer_id", "job_id"], ["partner_id", "customer_id", "id"])
FOLLOWING = (("jobs", TO_ADDRESS), ("appointments", TO_JOB), ("history", TO_JOB), ("contracts", TO_JOB))

# The rebuild of a table on SQLite loses its triggers.
ACTIVE = "('SCHEDULED', 'PREPARING', 'ON_THE_WAY', 'ARRIVED', 'WORK_IN_PROGRESS')"
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
# History may follow its job to another customer, and nothing of it may change with that.
FIXED = ("id", "partner_id", "job_id", "appointment_id", "at", "subject", "action", "actor_id", "actor_role",
         "actor_name", "before", "after", "reason", "written_in")  # fmt: skip
FOLLOWS = "({}) IS ({})".format(", ".join(f"NEW.{name}" for name in FIXED), ", ".join(f"OLD.{name}" for name in FIXED))
SQLITE_HISTORY = """
CREATE TRIGGER tr_history_no_{name} BEFORE {event} ON history {condition}
BEGIN SELECT RAISE(ABORT, 'history is written once and never altered'); END
"""
POSTGRESQL_HISTORY = """
CREATE OR REPLACE FUNCTION history_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN {exception} RAISE EXCEPTION 'history is written once and never altered'; END $$
"""
POSTGRESQL_FOLLOWS = (
    "IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - 'customer_id' = to_jsonb(OLD) - 'customer_id' THEN RETURN NEW; END IF;"
)


def upgrade() -> None:
    with op.batch_alter_table("customers") as batch:
        batch.add_column(sa.Column("merged_into_id", KEY, nullable=True))
        batch.create_foreign_key(
            op.f("fk_customers_partner_id_merged_into_id"),
            "customers",
            ["partner_id", "merged_into_id"],
            ["partner_id", "id"],
        )
        batch.create_check_constraint(
            op.f("ck_customers_merged"), "merged_into_id IS NULL OR (NOT active AND merged_into_id <> id)"
        )
    op.create_index("ix_customers_email", "customers", ["partner_id", "email"])
    op.create_index("ix_customers_phone", "customers", ["partner_id", "phone"])
    op.create_index("ix_customers_merged_into", "customers", ["merged_into_id"])
    op.add_column("addresses", sa.Column("place_key", sa.String(length=400), nullable=False, server_default=""))
    _fill_places()
    op.create_index("ix_addresses_place", "addresses", ["partner_id", "place_key", "customer_id"])
    _create_tables()
    _follow("CASCADE")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(POSTGRESQL_HISTORY.format(exception=POSTGRESQL_FOLLOWS))
    else:
        _sqlite_triggers(f"WHEN NOT ({FOLLOWS})")


def downgrade() -> None:
    _follow(None)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(POSTGRESQL_HISTORY.format(exception=""))
    else:
        _sqlite_triggers("")
    op.drop_table("different_people")
    op.drop_index("ix_customer_merges_customer", table_name="customer_merges")
    op.drop_table("customer_merges")
    op.drop_index("ix_addresses_place", table_name="addresses")
    op.drop_column("addresses", "place_key")
    for name in ("ix_customers_merged_into", "ix_customers_phone", "ix_customers_email"):
        op.drop_index(name, table_name="customers")
    with op.batch_alter_table("customers") as batch:
        batch.drop_constraint(op.f("ck_customers_merged"), type_="check")
        batch.drop_constraint(op.f("fk_customers_partner_id_merged_into_id"), type_="foreignkey")
        batch.drop_column("merged_into_id")


def _create_tables() -> None:
    op.create_table(
        "customer_merges",
        sa.Column("customer_id", KEY, nullable=False),
        sa.Column("gone_id", KEY, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("actor_id", KEY, nullable=True),
        sa.Column("actor_role", sa.String(length=20), nullable=False),
        sa.Column("actor_name", sa.String(length=120), nullable=False),
        sa.Column("kept", sa.JSON(), nullable=False),
        sa.Column("gone", sa.JSON(), nullable=False),
        sa.Column("moved", sa.JSON(), nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.ForeignKeyConstraint(["actor_id"], ["users.id"], name=op.f("fk_customer_merges_actor_id")),
        sa.ForeignKeyConstraint(
            ["partner_id", "customer_id"],
            ["customers.partner_id", "customers.id"],
            name=op.f("fk_customer_merges_partner_id_customer_id"),
        ),
        sa.ForeignKeyConstraint(
            ["partner_id", "gone_id"],
            ["customers.partner_id", "customers.id"],
            name=op.f("fk_customer_merges_partner_id_gone_id"),
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_customer_merges_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_merges")),
        sa.UniqueConstraint("partner_id", "gone_id", name=op.f("uq_customer_merges_partner_id_gone_id")),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_customer_merges_partner_id_id")),
    )
    op.create_index("ix_customer_merges_customer", "customer_merges", ["partner_id", "customer_id", "id"])
    op.create_table(
        "different_people",
        sa.Column("first_id", KEY, nullable=False),
        sa.Column("second_id", KEY, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("actor_id", KEY, nullable=True),
        sa.Column("partner_id", KEY, nullable=False),
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.CheckConstraint("first_id < second_id", name=op.f("ck_different_people_order")),
        sa.ForeignKeyConstraint(["actor_id"], ["users.id"], name=op.f("fk_different_people_actor_id")),
        sa.ForeignKeyConstraint(
            ["partner_id", "first_id"],
            ["customers.partner_id", "customers.id"],
            name=op.f("fk_different_people_partner_id_first_id"),
        ),
        sa.ForeignKeyConstraint(
            ["partner_id", "second_id"],
            ["customers.partner_id", "customers.id"],
            name=op.f("fk_different_people_partner_id_second_id"),
        ),
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f("fk_different_people_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_different_people")),
        sa.UniqueConstraint(
            "partner_id", "first_id", "second_id", name=op.f("uq_different_people_partner_id_first_id_second_id")
        ),
        sa.UniqueConstraint("partner_id", "id", name=op.f("uq_different_people_partner_id_id")),
    )


def _follow(onupdate) -> None:
    for table, (parent, local, remote) in FOLLOWING:
        name = op.f(f"fk_{table}_{'_'.join(local)}")
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(name, type_="foreignkey")
            batch.create_foreign_key(name, parent, local, remote, onupdate=onupdate)


def _sqlite_triggers(update_condition: str) -> None:
    op.execute(SQLITE_OVERLAP.format(name="tr_appointments_overlap_insert", event="INSERT"))
    op.execute(
        SQLITE_OVERLAP.format(
            name="tr_appointments_overlap_update", event="UPDATE OF technician_id, start_at, end_at, status"
        )
    )
    op.execute(SQLITE_HISTORY.format(name="update", event="UPDATE", condition=update_condition))
    op.execute(SQLITE_HISTORY.format(name="delete", event="DELETE", condition=""))


def _fill_places() -> None:
    addresses = sa.table(
        "addresses",
        sa.column("id", KEY),
        sa.column("line", sa.String),
        sa.column("city", sa.String),
        sa.column("postcode", sa.String),
        sa.column("place_key", sa.String),
    )
    connection, last = op.get_bind(), 0
    fill = sa.update(addresses).where(addresses.c.id == sa.bindparam("key")).values(place_key=sa.bindparam("place"))
    while True:
        some = sa.select(addresses).where(addresses.c.id > last).order_by(addresses.c.id).limit(ROWS_AT_ONCE)
        rows = connection.execute(some).all()
        if not rows:
            return
        connection.execute(fill, [{"key": row.id, "place": _place(row)} for row in rows])
        last = rows[-1].id


def _place(row) -> str:
    return f"{_letters(row.line)} {_letters(row.postcode) or _letters(row.city)}".strip()[:MAX_PLACE]


def _letters(text: str) -> str:
    return "".join(sign for sign in unicodedata.normalize("NFKD", text.casefold()) if sign.isalnum())
