"""Message rules, the outbox and every attempt at sending."""

from __future__ import annotations

from datetime import UTC, datetime, time
from enum import StrEnum

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Text,
    TextClause,
    Time,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from portal.domain.base import Base, CustomerOwned, Key, Tenant, Versioned
from portal.domain.people.models import MessageGroup, utc_now

# Rules that were there before anybody noted from when they hold.
EVER = datetime(1970, 1, 1, tzinfo=UTC)


class MessageKind(StrEnum):
    """What a message says (N1)."""

    BOOKED = "booked"
    MOVED = "moved"
    CANCELLED = "cancelled"
    PLEASE_CONFIRM = "please_confirm"
    DECLINED = "declined"
    REMINDER = "reminder"
    ON_THE_WAY = "on_the_way"
    CONTRACT = "contract"
    REQUEST_RECEIVED = "request_received"
    REQUEST_OFFERED = "request_offered"
    REQUEST_DECLINED = "request_declined"
    REQUEST_CONVERTED = "request_converted"
    SURVEY = "survey"
    SURVEY_NUDGE = "survey_nudge"
    FOLLOW_UP = "follow_up"
    INVITATION = "invitation"
    SIGN_IN = "sign_in"
    NEW_PASSWORD = "new_password"
    USE_EMAIL = "use_email"
    TECHNICIAN_ASSIGNED = "technician_assigned"
    TECHNICIAN_RELIEVED = "technician_relieved"
    TECHNICIAN_MOVED = "technician_moved"
    TECHNICIAN_CANCELLED = "technician_cancelled"


# What somebody gets who wants to get in and asked for it, whatever the partner's rules are (C9).
ACCESS = frozenset({MessageKind.SIGN_IN, MessageKind.NEW_PASSWORD, MessageKind.USE_EMAIL})
# What a partner's rules are about; an invitation is sent because somebody presses the button.
RULED = frozenset(MessageKind) - ACCESS - {MessageKind.INVITATION}
# What asks for an answer to the survey, with the link to it.
SURVEYS = frozenset({MessageKind.SURVEY, MessageKind.SURVEY_NUDGE})

# What goes to the technician of a visit and not to its customer (P22).
TO_TECHNICIANS = frozenset(
    {
        MessageKind.TECHNICIAN_ASSIGNED,
        MessageKind.TECHNICIAN_RELIEVED,
        MessageKind.TECHNICIAN_MOVED,
        MessageKind.TECHNICIAN_CANCELLED,
    }
)
# What is about a request for new service, of which there is no visit yet (C5).
ABOUT_REQUESTS = frozenset(
    {
        MessageKind.REQUEST_RECEIVED,
        MessageKind.REQUEST_OFFERED,
        MessageKind.REQUEST_DECLINED,
        MessageKind.REQUEST_CONVERTED,
    }
)
# What a partner may say in words of its own (N2). What lets somebody in is the platform's own: who asks for it may
# belong to several partners.
WORDED = frozenset(MessageKind) - ACCESS
# What comes at a moment before the visit, which its rule says.
TIMED = frozenset({MessageKind.PLEASE_CONFIRM, MessageKind.REMINDER})
# What comes at a moment after a visit was completed, which its rule says too. Everything else follows at once from what
# somebody did, but for surveys, whose pauses are set with them.
AFTERWARDS = frozenset({MessageKind.FOLLOW_UP})

# Which contacts of a customer get which kind (P23).
GROUPS = {
    MessageKind.BOOKED: MessageGroup.VISITS,
    MessageKind.MOVED: MessageGroup.VISITS,
    MessageKind.CANCELLED: MessageGroup.VISITS,
    MessageKind.PLEASE_CONFIRM: MessageGroup.REMINDERS,
    MessageKind.DECLINED: MessageGroup.VISITS,
    MessageKind.REMINDER: MessageGroup.REMINDERS,
    MessageKind.ON_THE_WAY: MessageGroup.ARRIVAL,
    MessageKind.CONTRACT: MessageGroup.CONTRACT,
    **dict.fromkeys(ABOUT_REQUESTS, MessageGroup.VISITS),
    MessageKind.SURVEY: MessageGroup.VISITS,
    MessageKind.SURVEY_NUDGE: MessageGroup.VISITS,
    MessageKind.FOLLOW_UP: MessageGroup.VISITS,
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


AT_ONCE = text("days_before IS NULL AND minutes_before IS NULL")
BY_CLOCK = text("days_before IS NOT NULL")
BY_LENGTH = text("minutes_before IS NOT NULL")


def _unique(name: str, where: TextClause, *columns: str) -> Index:
    columns = ("partner_id", "kind", "channel", *columns)
    return Index(f"uq_message_rules_{name}", *columns, unique=True, sqlite_where=where, postgresql_where=where)


class MessageRule(Tenant, Versioned, Base):
    """A partner's rule (N1): what is said over which channel; for what is ``TIMED`` or comes ``AFTERWARDS`` also when.

    That is so many days before the visit at a clock time of the partner, or so many minutes before it; for what comes
    ``AFTERWARDS`` the same fields count from the completed visit on.
    ``unconfirmed_only``: nothing goes out about a visit that is confirmed. ``holds_from``: what would have come due
    before that instant is not made up for.
    """

    __tablename__ = "message_rules"
    table_extras = (
        CheckConstraint("(days_before IS NULL) = (local_time IS NULL)", name="moment"),
        CheckConstraint("days_before IS NULL OR minutes_before IS NULL", name="one_moment"),
        _unique("at_once", AT_ONCE),
        _unique("by_clock", BY_CLOCK, "days_before", "local_time"),
        _unique("by_length", BY_LENGTH, "minutes_before"),
    )

    kind: Mapped[str] = mapped_column(String(20))
    channel: Mapped[str] = mapped_column(String(10))
    enabled: Mapped[bool] = mapped_column(Boolean, default=True)
    days_before: Mapped[int | None] = mapped_column(Integer)
    local_time: Mapped[time | None] = mapped_column(Time)
    minutes_before: Mapped[int | None] = mapped_column(Integer)
    unconfirmed_only: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    holds_from: Mapped[datetime] = mapped_column(default=EVER, server_default="1970-01-01 00:00:00")
    version: Mapped[int] = mapped_column(Integer, server_default="1")

    @property
    def active(self) -> bool:
        """Whether messages go out by it."""
        return self.enabled


class MessageSettings(Tenant, Versioned, Base):
    """A partner's quiet hours, in which no text goes out: from one clock time to another; none where both are blank.

    They are the customer's clock times. A partner without a row has none.
    """

    __tablename__ = "message_settings"
    table_extras = (
        UniqueConstraint("partner_id"),
        CheckConstraint("(quiet_from IS NULL) = (quiet_until IS NULL)", name="quiet"),
    )

    quiet_from: Mapped[time | None] = mapped_column(Time)
    quiet_until: Mapped[time | None] = mapped_column(Time)


class MessageTemplate(Tenant, Base):
    """One version of a partner's own words for a kind of message, over one channel and in one language (N2).

    The one with the highest ``number`` holds; ``own`` is false where that says: the standard words again. A row is
    never altered, so that whatever was sent can be put back. A text has a ``body`` alone; without ``body_html`` a
    mail's HTML is made from its ``body``. ``locale`` is one such as ``de_DE``. ``restored`` is the number of the
    version that was put back with this one.
    """

    __tablename__ = "message_templates"
    table_extras = (
        UniqueConstraint("partner_id", "kind", "channel", "locale", "number"),
        CheckConstraint("NOT own OR body <> ''", name="own"),
        CheckConstraint("number > 0", name="number"),
    )

    kind: Mapped[str] = mapped_column(String(20))
    channel: Mapped[str] = mapped_column(String(10))
    locale: Mapped[str] = mapped_column(String(12))
    number: Mapped[int] = mapped_column(Integer)
    own: Mapped[bool] = mapped_column(Boolean, default=True)
    subject: Mapped[str] = mapped_column(Text, default="")
    body: Mapped[str] = mapped_column(Text, default="")
    body_html: Mapped[str] = mapped_column(Text, default="")
    restored: Mapped[int | None] = mapped_column(Integer)
    saved_at: Mapped[datetime] = mapped_column()
    saved_by_id: Mapped[int | None] = mapped_column(Key, ForeignKey("users.id"))
    saved_by_name: Mapped[str] = mapped_column(String(255))


class DecidedUntil(Base):
    """Up to which instant all that comes due by itself has been decided, by what it is."""

    __tablename__ = "decided_until"

    what: Mapped[str] = mapped_column(String(20), primary_key=True)
    at: Mapped[datetime] = mapped_column()


ONE_RECIPIENT = " + ".join(
    f"CASE WHEN {name} IS NULL THEN 0 ELSE 1 END"
    for name in ("customer_id", "invitation_id", "technician_id", "access_link_id")
)
ONE_RECIPIENT = f"{ONE_RECIPIENT} = 1"


class Message(Tenant, CustomerOwned, Base):
    """One message of the outbox, unique by ``key`` (rule, recipient, channel, subject, occurrence; ``scheduling.md``).

    It goes to a customer, with ``contact_id`` to that contact of theirs, to a technician, to whom an invitation
    invites, or to whom a link lets in. ``rule_id`` is the rule by which it was decided, where there is one. What is
    about a request for new service names that and no visit; its ``occurrence`` is the number of dates offered so far.

    ``occurrence`` is the visit's when the message was decided; the worker looks again before it sends. ``subject``,
    ``body`` (plain text) and ``body_html`` are what was sent, filled in then. ``lease_token`` fences a worker whose
    lease ran out. ``attempts`` counts the claims, so that a message that kills its worker is not tried for ever.
    ``last_error`` of a skipped message, or of one that was sent otherwise than meant, is a message id that screens
    translate.
    """

    __tablename__ = "messages"
    told_to_pages = False
    adds_unseen = True
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
        ForeignKeyConstraint(["partner_id", "technician_id"], ["technicians.partner_id", "technicians.id"]),
        ForeignKeyConstraint(["access_link_id"], ["access_links.id"]),
        ForeignKeyConstraint(["partner_id", "rule_id"], ["message_rules.partner_id", "message_rules.id"]),
        ForeignKeyConstraint(
            ["partner_id", "service_request_id"], ["service_requests.partner_id", "service_requests.id"]
        ),
        UniqueConstraint("key"),
        CheckConstraint(ONE_RECIPIENT, name="recipient"),
        CheckConstraint("status IN ('PENDING', 'SENT', 'SKIPPED', 'FAILED')", name="status"),
        Index("ix_messages_due", "status", "due_at"),
        Index("ix_messages_job", "partner_id", "job_id", "id"),
        Index("ix_messages_log", "partner_id", "id"),
        Index("ix_messages_customer", "partner_id", "customer_id", "id"),
    )

    customer_id: Mapped[int | None] = mapped_column(Key)
    contact_id: Mapped[int | None] = mapped_column(Key)
    invitation_id: Mapped[int | None] = mapped_column(Key)
    technician_id: Mapped[int | None] = mapped_column(Key)
    access_link_id: Mapped[int | None] = mapped_column(Key)
    rule_id: Mapped[int | None] = mapped_column(Key)
    job_id: Mapped[int | None] = mapped_column(Key)
    appointment_id: Mapped[int | None] = mapped_column(Key)
    service_request_id: Mapped[int | None] = mapped_column(Key)
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
