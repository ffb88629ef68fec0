"""A partner's own mail server and text gateway, tests of them, and the customers whom a message could not reach."""

from __future__ import annotations

from datetime import datetime
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
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from portal.domain.base import Base, CustomerOwned, Key, Tenant, Versioned
from portal.domain.jobs.models import one_of
from portal.domain.messages.models import Message
from portal.domain.people.models import Contact, Customer

ONLY_OPEN = text("closed_at IS NULL")
ONLY_WAITING = text("finished_at IS NULL")


class Security(StrEnum):
    """How a mail server is spoken to: encrypted from the first byte, after STARTTLS, or in the clear."""

    TLS = "tls"
    STARTTLS = "starttls"
    NONE = "none"


class Closing(StrEnum):
    """How the task of an unreachable customer came to its end."""

    DONE = "DONE"
    REACHED = "REACHED"
    CORRECTED = "CORRECTED"
    MERGED = "MERGED"


class ChannelSettings(Tenant, Versioned, Base):
    """Over which servers a partner's messages leave (N4).

    Unless ``own_mail``, e-mail goes over the platform's server; without ``text_gateway`` no text is sent.
    ``smtp_password`` and ``text_gateway`` (a whole Apprise address, which holds the account) are sealed by the
    ``Vault``; ``text_service`` is the address's scheme, such as ``twilio``, for people to recognise it by.
    """

    __tablename__ = "channel_settings"
    table_extras = (
        UniqueConstraint("partner_id"),
        CheckConstraint(one_of("smtp_security", Security), name="smtp_security"),
        CheckConstraint("NOT own_mail OR (smtp_host <> '' AND sender <> '')", name="own_mail"),
        CheckConstraint("(text_gateway = '') = (text_service = '')", name="text_service"),
    )

    own_mail: Mapped[bool] = mapped_column(Boolean, default=False)
    smtp_host: Mapped[str] = mapped_column(String(255), default="")
    smtp_port: Mapped[int] = mapped_column(Integer, default=587)
    smtp_security: Mapped[str] = mapped_column(String(10), default=Security.STARTTLS)
    smtp_user: Mapped[str] = mapped_column(String(255), default="")
    smtp_password: Mapped[str] = mapped_column(Text, default="")
    sender: Mapped[str] = mapped_column(String(255), default="")
    text_gateway: Mapped[str] = mapped_column(Text, default="")
    text_service: Mapped[str] = mapped_column(String(40), default="")


class ChannelTest(Tenant, Base):
    """A test message that somebody of the office asked for; ``outcome`` is blank until the worker has tried it.

    Of one channel at most one waits. ``subject``, ``body`` and ``body_html`` are what is sent where somebody tries
    words of their own (N2); without a ``body`` it is a sentence that says it is a test.
    """

    __tablename__ = "channel_tests"
    table_extras = (
        Index(
            "uq_channel_tests_waiting",
            "partner_id",
            "channel",
            unique=True,
            sqlite_where=ONLY_WAITING,
            postgresql_where=ONLY_WAITING,
        ),
        Index("ix_channel_tests_latest", "partner_id", "channel", "id"),
    )

    channel: Mapped[str] = mapped_column(String(10))
    recipient: Mapped[str] = mapped_column(String(255))
    asked_at: Mapped[datetime] = mapped_column()
    asked_by_name: Mapped[str] = mapped_column(String(120))
    subject: Mapped[str] = mapped_column(Text, default="", server_default="")
    body: Mapped[str] = mapped_column(Text, default="", server_default="")
    body_html: Mapped[str] = mapped_column(Text, default="", server_default="")
    claimed_at: Mapped[datetime | None] = mapped_column()
    finished_at: Mapped[datetime | None] = mapped_column()
    outcome: Mapped[str] = mapped_column(String(10), default="")
    fault: Mapped[str] = mapped_column(String(20), default="")
    error: Mapped[str] = mapped_column(Text, default="")


class Unreachable(Tenant, CustomerOwned, Base):
    """A task for the dispatcher: a message to a customer or, with ``contact_id``, to a contact of theirs was given up.

    Open until ``closed_at``; of one customer at most one is open. ``message_id`` is the latest that was given up,
    ``recipient`` the address it was last tried at, ``fault`` and ``error`` what came of that; ``failures`` counts them.
    """

    __tablename__ = "unreachable_customers"
    table_extras = (
        ForeignKeyConstraint(["partner_id", "customer_id"], ["customers.partner_id", "customers.id"]),
        ForeignKeyConstraint(["partner_id", "contact_id"], ["customer_contacts.partner_id", "customer_contacts.id"]),
        ForeignKeyConstraint(["partner_id", "message_id"], ["messages.partner_id", "messages.id"]),
        CheckConstraint("(closed_at IS NULL) = (closed_as = '')", name="closed"),
        CheckConstraint("closed_as <> 'DONE' OR length(trim(note)) > 0", name="note"),
        Index(
            "uq_unreachable_customers_open",
            "customer_id",
            unique=True,
            sqlite_where=ONLY_OPEN,
            postgresql_where=ONLY_OPEN,
        ),
        Index(
            "ix_unreachable_customers_queue",
            "partner_id",
            "id",
            sqlite_where=ONLY_OPEN,
            postgresql_where=ONLY_OPEN,
        ),
    )

    customer_id: Mapped[int] = mapped_column(Key)
    contact_id: Mapped[int | None] = mapped_column(Key)
    message_id: Mapped[int] = mapped_column(Key)
    recipient: Mapped[str] = mapped_column(String(255))
    fault: Mapped[str] = mapped_column(String(20))
    error: Mapped[str] = mapped_column(Text)
    failures: Mapped[int] = mapped_column(Integer, default=1)
    opened_at: Mapped[datetime] = mapped_column()
    closed_at: Mapped[datetime | None] = mapped_column()
    closed_as: Mapped[str] = mapped_column(String(10), default="")
    closed_by_id: Mapped[int | None] = mapped_column(Key, ForeignKey("users.id"))
    closed_by_name: Mapped[str] = mapped_column(String(120), default="")
    note: Mapped[str] = mapped_column(Text, default="")

    customer: Mapped[Customer] = relationship(
        primaryjoin=lambda: foreign(Unreachable.customer_id) == Customer.id, lazy="raise", viewonly=True
    )
    contact: Mapped[Contact | None] = relationship(
        primaryjoin=lambda: foreign(Unreachable.contact_id) == Contact.id, lazy="raise", viewonly=True
    )
    message: Mapped[Message] = relationship(
        primaryjoin=lambda: foreign(Unreachable.message_id) == Message.id, lazy="raise", viewonly=True
    )

    @property
    def is_open(self) -> bool:
        """Whether somebody has still to see to it."""
        return self.closed_at is None
