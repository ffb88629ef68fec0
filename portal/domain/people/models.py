"""Partners, log-ins, memberships, technicians, customers and their addresses."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    event,
    text,
    true,
)
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship, synonym

from portal.domain.base import Base, CustomerOwned, Key, Keyed, PartnerScoped, Tenant, Versioned
from portal.domain.texts import letters_of

MAX_PLACE = 400


def utc_now() -> datetime:
    """Return this instant, aware, in UTC; only for the time a row was created."""
    return datetime.now(UTC)


class Partner(Keyed, PartnerScoped, Versioned, Base):
    """A contractor company: the tenant.

    ``staff_term`` and ``customer_term`` are what the office and customers call a technician; ``status_labels`` are the
    partner's own words for what customers read of a visit's status, by status. Blank or absent: the usual ones.
    """

    __tablename__ = "partners"
    partner_id: Mapped[int] = synonym("id")

    name: Mapped[str] = mapped_column(String(120))
    slug: Mapped[str] = mapped_column(String(60), unique=True)
    timezone: Mapped[str] = mapped_column(String(60), default="UTC")
    job_prefix: Mapped[str] = mapped_column(String(6), default="D")
    next_job_number: Mapped[int] = mapped_column(Integer, default=1001)
    phone: Mapped[str] = mapped_column(String(40), default="")
    brand_colour: Mapped[str] = mapped_column(String(7), default="#2b4a6f")
    staff_term: Mapped[str] = mapped_column(String(40), default="")
    customer_term: Mapped[str] = mapped_column(String(40), default="")
    status_labels: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    # The language of messages to customers who chose none, such as ``de_DE``; "" for English.
    locale: Mapped[str] = mapped_column(String(12), default="", server_default="")
    suspended_at: Mapped[datetime | None] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class User(Keyed, Base):
    """A person's log-in. What they are to which partner stands in memberships, technicians and customers."""

    __tablename__ = "users"

    email: Mapped[str] = mapped_column(String(255), unique=True)
    password: Mapped[str | None] = mapped_column(String(255))
    name: Mapped[str] = mapped_column(String(120), default="")
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    is_operator: Mapped[bool] = mapped_column(Boolean, default=False)
    # Changed on password reset or deactivation: ends every session that carries the old one.
    fs_uniquifier: Mapped[str] = mapped_column(String(64), unique=True, default=lambda: uuid.uuid4().hex)
    locale: Mapped[str] = mapped_column(String(12), default="")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Membership(Tenant, Versioned, Base):
    """A user's role as a partner's staff: ``partner_admin`` or ``dispatcher``; without effect unless ``active``."""

    __tablename__ = "memberships"
    table_extras = (
        UniqueConstraint("partner_id", "user_id"),
        CheckConstraint("role IN ('partner_admin', 'dispatcher')", name="role"),
        Index("ix_memberships_user_id", "user_id"),
    )

    user_id: Mapped[int] = mapped_column(Key, ForeignKey("users.id"))
    role: Mapped[str] = mapped_column(String(20))
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    user: Mapped[User] = relationship(lazy="raise")


class TechnicianStatus(StrEnum):
    """Set by staff, never worked out from today's work (``scheduling.md``)."""

    AVAILABLE = "AVAILABLE"
    UNAVAILABLE = "UNAVAILABLE"


class Technician(Tenant, Versioned, Base):
    """Somebody who is sent to customers' doors."""

    __tablename__ = "technicians"
    table_extras = (
        CheckConstraint("status IN ('AVAILABLE', 'UNAVAILABLE')", name="status"),
        Index("ix_technicians_partner_name", "partner_id", "name", "id"),
        Index("ix_technicians_user_id", "user_id"),
    )

    name: Mapped[str] = mapped_column(String(120))
    email: Mapped[str] = mapped_column(String(255), default="")
    phone: Mapped[str] = mapped_column(String(40), default="")
    status: Mapped[str] = mapped_column(String(20), default=TechnicianStatus.AVAILABLE)
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    user_id: Mapped[int | None] = mapped_column(Key, ForeignKey("users.id"))

    @property
    def is_available(self) -> bool:
        """Whether staff may choose this technician (P5): active and set to Available."""
        return self.active and self.status == TechnicianStatus.AVAILABLE


class MessageGroup(StrEnum):
    """Kinds of message that a customer or contact gets or not together (P23); each has a column ``gets_…``."""

    VISITS = "visits"
    REMINDERS = "reminders"
    ARRIVAL = "arrival"
    CONTRACT = "contract"


class Reached:
    """Somebody who gets messages: ``gets_…`` says of which groups.

    ``email_off_at`` and ``text_off_at`` are when they switched that channel off, blank where they did not (N4).
    """

    name: Mapped[str]
    email: Mapped[str]
    phone: Mapped[str]
    gets_visits: Mapped[bool]
    gets_reminders: Mapped[bool]
    gets_arrival: Mapped[bool]
    gets_contract: Mapped[bool]
    email_off_at: Mapped[datetime | None] = mapped_column()
    text_off_at: Mapped[datetime | None] = mapped_column()

    @property
    def email_off(self) -> bool:
        """Whether they have switched e-mail off."""
        return self.email_off_at is not None

    @property
    def text_off(self) -> bool:
        """Whether they have switched texts off."""
        return self.text_off_at is not None

    def switch(self, channel: str, off: bool, now: datetime) -> None:
        """Switch ``email`` or ``text`` off as of ``now`` (an instant), or on again; what is so already stays since."""
        name = f"{channel}_off_at"
        if off != (getattr(self, name) is not None):
            setattr(self, name, now if off else None)

    def gets(self, group: MessageGroup) -> bool:
        """Whether messages of ``group`` are meant for this person."""
        return bool(getattr(self, f"gets_{group}"))

    @property
    def groups(self) -> list[MessageGroup]:
        """The groups whose messages this person gets."""
        return [group for group in MessageGroup if self.gets(group)]


ELSEWHERE = text("timezone <> ''")


class Customer(Tenant, CustomerOwned, Versioned, Reached, Base):
    """A partner's customer; ``active`` ones can be scheduled for (P2).

    One that turned out to be another's double was merged into that one (``merged_into_id``): it is kept, inactive, and
    owns nothing any more.
    """

    __tablename__ = "customers"
    customer_id: Mapped[int] = synonym("id")
    table_extras = (
        ForeignKeyConstraint(["partner_id", "merged_into_id"], ["customers.partner_id", "customers.id"]),
        CheckConstraint("merged_into_id IS NULL OR (NOT active AND merged_into_id <> id)", name="merged"),
        Index("ix_customers_partner_name", "partner_id", "name", "id"),
        Index("ix_customers_user_id", "user_id"),
        Index("ix_customers_email", "partner_id", "email"),
        Index("ix_customers_phone", "partner_id", "phone"),
        Index("ix_customers_merged_into", "merged_into_id"),
        Index("ix_customers_timezone", "partner_id", "timezone", sqlite_where=ELSEWHERE, postgresql_where=ELSEWHERE),
    )

    name: Mapped[str] = mapped_column(String(120))
    email: Mapped[str] = mapped_column(String(255), default="")
    phone: Mapped[str] = mapped_column(String(40), default="")
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    access_notes: Mapped[str] = mapped_column(Text, default="")
    user_id: Mapped[int | None] = mapped_column(Key, ForeignKey("users.id"))
    merged_into_id: Mapped[int | None] = mapped_column(Key)
    # For quiet hours; "" for the partner's.
    timezone: Mapped[str] = mapped_column(String(60), default="", server_default="")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    gets_visits: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())
    gets_reminders: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())
    gets_arrival: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())
    gets_contract: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())

    addresses: Mapped[list[Address]] = relationship(
        primaryjoin=lambda: Customer.id == foreign(Address.customer_id), lazy="raise", order_by=lambda: Address.id
    )
    contacts: Mapped[list[Contact]] = relationship(
        primaryjoin=lambda: (Customer.id == foreign(Contact.customer_id)) & Contact.active,
        lazy="raise",
        viewonly=True,
        order_by=lambda: Contact.id,
    )


class Contact(Tenant, CustomerOwned, Reached, Base):
    """Somebody beside the customer who is told things: a tenant, a caretaker, the accounts office (P23).

    ``email`` is none of the customer's own nor of another active contact's; who has none is sent texts. One taken off
    the list is kept, inactive, for the messages that went to them.
    """

    __tablename__ = "customer_contacts"
    table_extras: tuple[Any, ...] = (
        ForeignKeyConstraint(["partner_id", "customer_id"], ["customers.partner_id", "customers.id"]),
        CheckConstraint(
            "email <> '' OR phone <> '' OR NOT (gets_visits OR gets_reminders OR gets_arrival OR gets_contract)",
            name="reachable",
        ),
        Index("ix_customer_contacts_customer", "partner_id", "customer_id"),
    )

    customer_id: Mapped[int] = mapped_column(Key)
    name: Mapped[str] = mapped_column(String(120))
    relation: Mapped[str] = mapped_column(String(80), default="")
    email: Mapped[str] = mapped_column(String(255), default="")
    phone: Mapped[str] = mapped_column(String(40), default="")
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    gets_visits: Mapped[bool] = mapped_column(Boolean, default=False)
    gets_reminders: Mapped[bool] = mapped_column(Boolean, default=False)
    gets_arrival: Mapped[bool] = mapped_column(Boolean, default=False)
    gets_contract: Mapped[bool] = mapped_column(Boolean, default=False)


class Address(Tenant, Versioned, CustomerOwned, Base):
    """A service address of a customer; latitude and longitude in degrees where known.

    ``active`` ones are offered for new visits. ``place_key`` is what two spellings of one place have in common; it
    follows from line, town and postcode by itself.
    """

    __tablename__ = "addresses"
    table_extras: tuple[Any, ...] = (
        ForeignKeyConstraint(["partner_id", "customer_id"], ["customers.partner_id", "customers.id"]),
        UniqueConstraint("partner_id", "customer_id", "id"),
        Index("ix_addresses_place", "partner_id", "place_key", "customer_id"),
    )

    customer_id: Mapped[int] = mapped_column(Key)
    line: Mapped[str] = mapped_column(String(200))
    city: Mapped[str] = mapped_column(String(100), default="")
    postcode: Mapped[str] = mapped_column(String(20), default="")
    latitude: Mapped[float | None] = mapped_column(Float)
    longitude: Mapped[float | None] = mapped_column(Float)
    active: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())
    place_key: Mapped[str] = mapped_column(String(MAX_PLACE), default="", server_default="")

    customer: Mapped[Customer] = relationship(
        primaryjoin=lambda: foreign(Address.customer_id) == Customer.id, lazy="raise", viewonly=True
    )

    @property
    def retired(self) -> bool:
        """Whether it is offered for no new visit any more."""
        return not self.active

    @property
    def one_line(self) -> str:
        """The address in one line: "14 Alder Close, Bristol BS6 5QT"."""
        return one_line(self.line, self.city, self.postcode)


def one_line(line: str, city: str, postcode: str) -> str:
    """Return an address in one line: "14 Alder Close, Bristol BS6 5QT"."""
    place = " ".join(part for part in (city, postcode) if part)
    return ", ".join(part for part in (line, place) if part)


OPEN_INVITATION = text("accepted_at IS NULL AND revoked_at IS NULL")


class Invitation(Tenant, Versioned, CustomerOwned, Base):
    """An invitation to log in as one of ``role``: staff, or the technician or customer that it names (C9).

    The link in its message carries a token made from ``seed`` and the installation's secret; only the token's hash is
    kept, so that nobody who reads the table can follow the link. ``sending`` counts how often it was sent: each sending
    has a link of its own, and the earlier ones work no more.
    """

    __tablename__ = "invitations"
    table_extras = (
        ForeignKeyConstraint(["partner_id", "technician_id"], ["technicians.partner_id", "technicians.id"]),
        ForeignKeyConstraint(["partner_id", "customer_id"], ["customers.partner_id", "customers.id"]),
        CheckConstraint("role IN ('partner_admin', 'dispatcher', 'technician', 'customer')", name="role"),
        CheckConstraint(
            "(role = 'technician') = (technician_id IS NOT NULL) AND (role = 'customer') = (customer_id IS NOT NULL)",
            name="whom",
        ),
        UniqueConstraint("token_hash"),
        Index(
            "uq_invitations_open",
            "partner_id",
            "email",
            "role",
            unique=True,
            sqlite_where=OPEN_INVITATION,
            postgresql_where=OPEN_INVITATION,
        ),
    )

    email: Mapped[str] = mapped_column(String(255))
    name: Mapped[str] = mapped_column(String(120))
    role: Mapped[str] = mapped_column(String(20))
    technician_id: Mapped[int | None] = mapped_column(Key)
    customer_id: Mapped[int | None] = mapped_column(Key)
    seed: Mapped[str] = mapped_column(String(64))
    token_hash: Mapped[str] = mapped_column(String(64))
    sending: Mapped[int] = mapped_column(Integer, default=1)
    invited_by_id: Mapped[int | None] = mapped_column(Key, ForeignKey("users.id"))
    invited_by_name: Mapped[str] = mapped_column(String(120))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime] = mapped_column()
    accepted_at: Mapped[datetime | None] = mapped_column()
    accepted_by_id: Mapped[int | None] = mapped_column(Key, ForeignKey("users.id"))
    revoked_at: Mapped[datetime | None] = mapped_column()


class LookIn(Tenant, Base):
    """One time that an operator looked into the partner's data: who, why, from when, at the longest until when (P20).

    ``ended_at`` is set where it was ended before that, by the operator or by signing out.
    """

    __tablename__ = "look_ins"
    table_extras = (Index("ix_look_ins_partner", "partner_id", "started_at", "id"),)

    user_id: Mapped[int] = mapped_column(Key, ForeignKey("users.id"))
    user_name: Mapped[str] = mapped_column(String(120))
    reason: Mapped[str] = mapped_column(Text)
    started_at: Mapped[datetime] = mapped_column()
    until: Mapped[datetime] = mapped_column()
    ended_at: Mapped[datetime | None] = mapped_column()

    @property
    def over_at(self) -> datetime:
        """When it ended, or ends by itself (an instant)."""
        return self.ended_at or self.until


class PartnerEvent(Tenant, Base):
    """What was done to a partner as a whole or to its staff: who, when, why, from which value to which (P20).

    ``about`` names the person or thing it was done to, where that is not the partner itself.
    """

    __tablename__ = "partner_events"
    table_extras = (Index("ix_partner_events_partner", "partner_id", "id"),)

    at: Mapped[datetime] = mapped_column()
    action: Mapped[str] = mapped_column(String(40))
    about: Mapped[str] = mapped_column(String(255), default="")
    actor_id: Mapped[int | None] = mapped_column(Key, ForeignKey("users.id"))
    actor_role: Mapped[str] = mapped_column(String(20))
    actor_name: Mapped[str] = mapped_column(String(120))
    before: Mapped[str] = mapped_column(String(255), default="")
    after: Mapped[str] = mapped_column(String(255), default="")
    reason: Mapped[str] = mapped_column(Text, default="")


class CustomerMerge(Tenant, CustomerOwned, Base):
    """Who made which customer part of ``customer_id`` and when; written with the merge (P23).

    Nobody alters it, but it goes along when that customer becomes part of another. ``kept`` and ``gone`` hold what both
    records said before, ``moved`` how many rows of each kind changed their owner.
    """

    __tablename__ = "customer_merges"
    table_extras = (
        ForeignKeyConstraint(["partner_id", "customer_id"], ["customers.partner_id", "customers.id"]),
        ForeignKeyConstraint(["partner_id", "gone_id"], ["customers.partner_id", "customers.id"]),
        UniqueConstraint("partner_id", "gone_id"),
        Index("ix_customer_merges_customer", "partner_id", "customer_id", "id"),
    )

    customer_id: Mapped[int] = mapped_column(Key)
    gone_id: Mapped[int] = mapped_column(Key)
    at: Mapped[datetime] = mapped_column()
    actor_id: Mapped[int | None] = mapped_column(Key, ForeignKey("users.id"))
    actor_role: Mapped[str] = mapped_column(String(20))
    actor_name: Mapped[str] = mapped_column(String(120))
    kept: Mapped[dict[str, Any]] = mapped_column(JSON)
    gone: Mapped[dict[str, Any]] = mapped_column(JSON)
    moved: Mapped[dict[str, int]] = mapped_column(JSON)


class DifferentPeople(Tenant, Base):
    """Two customers who look alike and whom somebody said to be two; ``first_id`` is the smaller key (P23)."""

    __tablename__ = "different_people"
    table_extras = (
        ForeignKeyConstraint(["partner_id", "first_id"], ["customers.partner_id", "customers.id"]),
        ForeignKeyConstraint(["partner_id", "second_id"], ["customers.partner_id", "customers.id"]),
        UniqueConstraint("partner_id", "first_id", "second_id"),
        CheckConstraint("first_id < second_id", name="order"),
    )

    first_id: Mapped[int] = mapped_column(Key)
    second_id: Mapped[int] = mapped_column(Key)
    at: Mapped[datetime] = mapped_column()
    actor_id: Mapped[int | None] = mapped_column(Key, ForeignKey("users.id"))


def place_key(line: str, city: str, postcode: str) -> str:
    """Return what the spellings of one place have in common: letters and digits of its line and postcode, else town."""
    # Some signs stand for several letters.
    return f"{letters_of(line)} {letters_of(postcode) or letters_of(city)}".strip()[:MAX_PLACE]


@event.listens_for(Address, "before_insert")
@event.listens_for(Address, "before_update")
def _follow_place(mapper: Any, connection: Any, address: Address) -> None:
    address.place_key = place_key(address.line, address.city or "", address.postcode or "")
