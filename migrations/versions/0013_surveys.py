"""Surveys: when customers are asked, the partner's questions, and what was answered.

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
KINDS = ("survey", "survey_nudge")
TABLES = ("survey_answers", "survey_responses", "survey_wordings", "survey_questions", "survey_settings")


def upgrade() -> None:
    _create_set_up()
    _create_answers()
    _set_up_partners()


def downgrade() -> None:
    # A message of these kinds is none that the code before this revision could send.
    op.execute(f"DELETE FROM message_attempts WHERE message_id IN (SELECT id FROM messages WHERE kind IN {KINDS})")
    op.execute(f"DELETE FROM messages WHERE kind IN {KINDS}")
    op.execute(f"DELETE FROM message_rules WHERE kind IN {KINDS}")
    for name in TABLES:
        op.drop_table(name)


def _table(name: str, *parts: sa.schema.SchemaItem) -> None:
    op.create_table(
        name,
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("partner_id", KEY, nullable=False),
        *parts,
        sa.ForeignKeyConstraint(["partner_id"], ["partners.id"], name=op.f(f"fk_{name}_partner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
        sa.UniqueConstraint("partner_id", "id", name=op.f(f"uq_{name}_partner_id_id")),
    )


def _to(table: str, name: str, target: str, *columns: str, onupdate: str | None = None) -> sa.ForeignKeyConstraint:
    """Return a foreign key by ``columns`` to those of ``target`` with the same names, but for ``id`` as the last."""
    return sa.ForeignKeyConstraint(
        list(columns),
        [f"{target}.{column}" for column in (*columns[:-1], "id")],
        name=op.f(f"fk_{table}_{name}"),
        onupdate=onupdate,
    )


def _create_set_up() -> None:
    _table(
        "survey_settings",
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("delay_hours", sa.Integer(), nullable=False),
        sa.Column("nudges", sa.Boolean(), nullable=False),
        sa.Column("nudge_days", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("delay_hours >= 0 AND nudge_days >= 1", name=op.f("ck_survey_settings_delays")),
        sa.UniqueConstraint("partner_id", name=op.f("uq_survey_settings_partner_id")),
    )
    _table(
        "survey_questions",
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
    )
    op.create_index("ix_survey_questions_order", "survey_questions", ["partner_id", "position", "id"])
    _table(
        "survey_wordings",
        sa.Column("question_id", KEY, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("words", sa.String(length=200), nullable=False),
        sa.CheckConstraint("kind IN ('rating', 'text')", name=op.f("ck_survey_wordings_kind")),
        sa.CheckConstraint("length(trim(words)) > 0", name=op.f("ck_survey_wordings_words")),
        _to("survey_wordings", "partner_id_question_id", "survey_questions", "partner_id", "question_id"),
        sa.UniqueConstraint("question_id", "revision", name=op.f("uq_survey_wordings_question_id_revision")),
    )


def _create_answers() -> None:
    name, by_customer = "survey_responses", op.f("uq_survey_responses_partner_id_customer_id_id")
    _table(
        name,
        sa.Column("customer_id", KEY, nullable=False),
        sa.Column("job_id", KEY, nullable=False),
        sa.Column("appointment_id", KEY, nullable=False),
        sa.Column("technician_id", KEY, nullable=True),
        sa.Column("rating", sa.Integer(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("answered_at", INSTANT, nullable=False),
        sa.CheckConstraint("rating BETWEEN 1 AND 5", name=op.f("ck_survey_responses_rating")),
        _to(name, "partner_id_customer_id_job_id", "jobs", "partner_id", "customer_id", "job_id", onupdate="CASCADE"),
        _to(name, "partner_id_appointment_id", "appointments", "partner_id", "appointment_id"),
        _to(name, "partner_id_technician_id", "technicians", "partner_id", "technician_id"),
        sa.UniqueConstraint("appointment_id", name=op.f("uq_survey_responses_appointment_id")),
        sa.UniqueConstraint("partner_id", "customer_id", "id", name=by_customer),
    )
    op.create_index("ix_survey_responses_list", name, ["partner_id", "answered_at", "id"])
    op.create_index("ix_survey_responses_technician", name, ["partner_id", "technician_id", "answered_at", "id"])
    op.create_index("ix_survey_responses_job", name, ["partner_id", "job_id"])
    name = "survey_answers"
    _table(
        name,
        sa.Column("customer_id", KEY, nullable=False),
        sa.Column("response_id", KEY, nullable=False),
        sa.Column("wording_id", KEY, nullable=False),
        sa.Column("rating", sa.Integer(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.CheckConstraint("rating BETWEEN 1 AND 5", name=op.f("ck_survey_answers_rating")),
        sa.CheckConstraint("(rating IS NULL) <> (text = '')", name=op.f("ck_survey_answers_either")),
        _to(
            name,
            "partner_id_customer_id_response_id",
            "survey_responses",
            "partner_id",
            "customer_id",
            "response_id",
            onupdate="CASCADE",
        ),
        _to(name, "partner_id_wording_id", "survey_wordings", "partner_id", "wording_id"),
        sa.UniqueConstraint("response_id", "wording_id", name=op.f("uq_survey_answers_response_id_wording_id")),
    )
    op.create_index("ix_survey_answers_wording", name, ["partner_id", "wording_id"])


def _set_up_partners() -> None:
    """Let partners that are there already ask nobody until they say so, and give them the rules it then goes by."""
    op.execute(
        "INSERT INTO survey_settings (partner_id, enabled, delay_hours, nudges, nudge_days, version) "
        "SELECT id, false, 2, true, 3, 1 FROM partners"
    )
    for kind in KINDS:
        op.execute(
            "INSERT INTO message_rules (partner_id, kind, channel, enabled) "
            f"SELECT id, '{kind}', 'email', true FROM partners"
        )
