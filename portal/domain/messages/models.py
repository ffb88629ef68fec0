"""Message rules, the outbox and every attempt at sending."""

from __future__ import annotations

from datetime import datetime, time
from enum import StrEnum

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Text,
    Time,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from portal.domain.base import Base, CustomerOwned, Key, Tenant
from portal.domain.people.models import MessageGroup, utc_now


class MessageKind(StrEnum):
    """What a message says (N1)."""

    BOOKED = "booked"
    MOVED = "moved"
    CANCELLED = "cancelled"
    DECLINED = "declined"
    REMINDER = "reminder"
    ON_THE_WAY = "on_the_way"
    CONTRACT = "contract"
    INVITATION = "invitation"


# What a partner's rules are about; an invitation is sent because somebody presses the button.
RULED = frozenset(MessageKind) - {MessageKind.INVITATION}


# Which contacts of a customer get which kind (P23).
GROUPS = {
    MessageKind.BOOKED: MessageGroup.VISITS,
    MessageKind.MOVED: MessageGroup.VISITS,
    MessageKind.CANCELLED: MessageGroup.VISITS,
    MessageKind.DECLINED: MessageGroup.VISITS,
    MessageKind.REMINDER: MessageGroup.REMINDERS,
    MessageKind.ON_THE_WAY: MessageGroup.ARRIVAL,
    MessageKind.CONTRACT: MessageGroup.CONTRACT,
}


class Channel(StrEnum):
    """How a message travels."""

    EMAIL = "email"
    TEXT = "text"


class MessageStatus(StrEnum):
    """Where a message stands in the outbox; SKIPPED is recorded with its reason in ``last_error``."""

    PENDING = "PENDING"
    SENT = "SENT"
    SKIPPED = "SKIPPED"
    FAILED = "FAILED"


class AttemptOutcome(StrEnum):
    """How one try at sending ended; LOST is one whose worker did not live to say."""

    SENT = "SENT"
    FAILED = "FAILED"
    LOST = "LOST"


class Fault(StrEnum):
    """What was wrong with a try, as far as a person can do something about it; ``error`` has the server's words."""

    ADDRESS = "address"
    REFUSED = "refused"
    SIGN_IN = "sign_in"
    SILENT = "silent"
    ABSENT = "absent"
    CUT_OFF = "cut_off"
    UNSAFE = "unsafe"
    OTHER = "other"


class MessageRule(Tenant, Base):
    """A partner's rule: what is said over which channel; a reminder's also when: days before, at a local time."""

    __tablename__ = "message_rules"
    table_extras = (
        UniqueConstraint("partner_id", "kind", "channel"),
        CheckConstraint("(days_before IS NULL) = (local_time IS NULL)", name="moment"),
    )

    kind: Mapped[str] = mapped_column(String(20))
    channel: Mapped[str] = mapped_column(String(10))
    enabled: Mapped[bool] = mapped_column(Boolean, default=True)
    days_before: Mapped[int | None] = mapped_column(Integer)
    local_time: Mapped[time | None] = mapped_column(Time)


class Message(Tenant, CustomerOwned, Base):
    """One message of the outbox, unique by ``key`` (rule, recipient, channel, subject, occurrence; ``scheduling.md``).

    It goes to a customer, with ``contact_id`` to that contact of theirs, or to whom an invitation invites.

    ``occurrence`` is the visit's when the message was decided; the worker looks again before it sends. ``subject``,
    ``body`` (plain text) and ``body_html`` are what was sent, filled in then. ``lease_token`` fences a worker whose
    lease ran out. ``attempts`` counts the claims, so that a message that kills its worker is not tried for ever.
    ``last_error`` of a skipped message is a message id that screens translate.
    """

    __tablename__ = "messages"
    told_to_pages = False
    table_extras = (
        ForeignKeyConstraint(["partner_id", "customer_id"], ["customers.partner_id", "customers.id"]),
        ForeignKeyConstraint(
            ["partner_id", "customer_id", "job_id"],
            ["jobs.partner_id", "jobs.customer_id", "jobs.id"],
            onupdate="CASCADE",
        ),
        ForeignKeyConstraint(["partner_id", "contact_id"], ["customer_contacts.partner_id", "customer_contacts.id"]),
        ForeignKeyConstraint(["partner_id", "appointment_id"], ["appointments.partner_id", "appointments.id"]),
        ForeignKeyConstraint(["partner_id", "invitation_id"], ["invitations.partner_id", "invitations.id"]),
        UniqueConstraint("key"),
        CheckConstraint("(customer_id IS NULL) <> (invitation_id IS NULL)", name="recipient"),
        CheckConstraint("status IN ('PENDING', 'SENT', 'SKIPPED', 'FAILED')", name="status"),
        Index("ix_messages_due", "status", "due_at"),
        Index("ix_messages_job", "partner_id", "job_id", "id"),
        Index("ix_messages_log", "partner_id", "id"),
        Index("ix_messages_customer", "partner_id", "customer_id", "id"),
    )

    customer_id: Mapped[int | None] = mapped_column(Key)
    contact_id: Mapped[int | None] = mapped_column(Key)
    invitation_id: Mapped[int | None] = mapped_column(Key)
    job_id: Mapped[int | None] = mapped_column(Key)
    appointment_id: Mapped[int | None] = mapped_column(Key)
    key: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(20))
    channel: Mapped[str] = mapped_column(String(10))
    recipient: Mapped[str] = mapped_column(String(255))
    occurrence: Mapped[int] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(String(10), default=MessageStatus.PENDING)
    due_at: Mapped[datetime] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    lease_until: Mapped[datetime | None] = mapped_column()
    lease_token: Mapped[str] = mapped_column(String(32), default="")
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    sent_at: Mapped[datetime | None] = mapped_column()
    subject: Mapped[str] = mapped_column(String(300), default="")
    body: Mapped[str] = mapped_column(Text, default="")
    body_html: Mapped[str] = mapped_column(Text, default="")
    last_error: Mapped[str] = mapped_column(Text, default="")


class MessageAttempt(Tenant, Base):
    """One try at sending a message and how it went (N4)."""

    __tablename__ = "message_attempts"
    told_to_pages = False
    table_extras = (
        ForeignKeyConstraint(["partner_id", "message_id"], ["messages.partner_id", "messages.id"]),
        Index("ix_message_attempts_message", "partner_id", "message_id"),
    )

    message_id: Mapped[int] = mapped_column(Key)
    at: Mapped[datetime] = mapped_column()
    outcome: Mapped[str] = mapped_column(String(10))
    # A ``Fault``; blank for a try that went well, and where none was noted.
    fault: Mapped[str] = mapped_column(String(20), default="", server_default="")
    error: Mapped[str] = mapped_column(Text, default="")
