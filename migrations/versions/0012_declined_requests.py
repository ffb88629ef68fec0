"""The rule by which customers are told that the change they asked for was declined, for partners that are there.

Revision ID: 0012
Revises: 0011
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "INSERT INTO message_rules (partner_id, kind, channel, enabled) "
        "SELECT id, 'declined', 'email', true FROM partners"
    )


def downgrade() -> None:
    # The code before this revision could not send such a message.
    op.execute("DELETE FROM message_attempts WHERE message_id IN (SELECT id FROM messages WHERE kind = 'declined')")
    op.execute("DELETE FROM messages WHERE kind = 'declined'")
    op.execute("DELETE FROM message_rules WHERE kind = 'declined'")
