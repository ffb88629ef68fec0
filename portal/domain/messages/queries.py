"""Reading messages: everything one is made of at the last moment before it is sent, and the log of them (N6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Select, bindparam, exists, or_, select
from sqlalchemy.orm import Session, aliased

from portal.domain.errors import NotFound
from portal.domain.jobs.models import Appointment, Job
from portal.domain.lookup import MAX_KEY
from portal.domain.messages.models import Message, MessageAttempt, MessageKind
from portal.domain.paging import PAGE_ROWS, Cursor, Order, Page, page_of
from portal.domain.people.models import Address, Customer, Partner, Technician, User
from portal.domain.people.queries import words_in
from portal.domain.scheduling.models import ServiceType

# What a later one of these makes out of date.
SUPERSEDED_BY = {
    MessageKind.BOOKED: MessageKind.MOVED,
    MessageKind.MOVED: MessageKind.MOVED,
    MessageKind.CONTRACT: MessageKind.CONTRACT,
}


MESSAGES_BY = {"number": (Message.id,)}
NEWEST_FIRST = Order(MESSAGES_BY["number"], descending=True)


@dataclass(frozen=True, slots=True)
class Facts:
    """A message and what it is about, as it stands now. ``locale`` is the reader's choice, "" for none."""

    message: Message
    visit: Appointment
    job: Job
    customer: Customer
    address: Address
    service_type: ServiceType
    technician: Technician | None
    partner: Partner
    locale: str
    newer_exists: bool

    @property
    def zone(self) -> ZoneInfo:
        """The partner's time zone."""
        return ZoneInfo(self.partner.timezone)

    @property
    def minutes(self) -> int:
        """How long the visit is to take, in minutes."""
        return int((self.visit.end_at - self.visit.start_at).total_seconds()) // 60

    @property
    def expected_at(self) -> datetime | None:
        """When the technician expects to arrive (an instant), where they said so on departing."""
        if self.visit.on_the_way_at is None or self.visit.eta_minutes is None:
            return None
        return self.visit.on_the_way_at + timedelta(minutes=self.visit.eta_minutes)


@dataclass(frozen=True, slots=True)
class LoggedMessage:
    """A message with its customer, the job it is about if any, and every attempt at sending it, latest first."""

    message: Message
    customer: Customer
    job: Job | None
    attempts: Sequence[MessageAttempt]


def message_log(
    session: Session,
    text: str = "",
    status: str | None = None,
    order: Order = NEWEST_FIRST,
    cursor: Cursor | None = None,
    limit: int = PAGE_ROWS,
) -> Page[Any]:
    """Return a page of the message log (N6) as tuples of the message's columns with ``customer``, their name.

    ``text`` is looked for in name and recipient; ``status`` is a ``MessageStatus``. One statement, without the letters.
    """
    query = select(
        Message.id,
        Message.kind,
        Message.recipient,
        Message.status,
        Message.last_error,
        Message.due_at,
        Message.sent_at,
        Customer.name.label("customer"),
    ).join(Customer, Customer.id == Message.customer_id)
    query = query.where(words_in(text, (Customer.name, Message.recipient)))
    if status is not None:
        query = query.where(Message.status == status)
    return page_of(session, query, order, cursor, limit, scalars=False)


def logged_message(session: Session, message_id: int) -> LoggedMessage:
    """Return a message with what surrounds it; raises ``NotFound``. Two statements."""
    if not 0 < message_id <= MAX_KEY:
        raise NotFound
    query = (
        select(Message, Customer, Job)
        .join(Customer, Customer.id == Message.customer_id)
        .join(Job, Job.id == Message.job_id, isouter=True)
        .where(Message.id == message_id)
    )
    found = session.execute(query).one_or_none()
    if found is None:
        raise NotFound
    attempts = select(MessageAttempt).where(MessageAttempt.message_id == message_id).order_by(MessageAttempt.id.desc())
    return LoggedMessage(*found, attempts=list(session.scalars(attempts)))


def facts_of(session: Session, message_id: int) -> Facts:
    """Return the facts of a message about a visit, in one statement and as they are now; instants are UTC."""
    row = session.execute(_query(), {"message_id": message_id}, execution_options={"populate_existing": True}).one()
    message, visit, job, customer, address, kind, technician, partner, locale, is_newer = row
    return Facts(
        message, visit, job, customer, address, kind, technician, partner, locale or "", newer_exists=bool(is_newer)
    )


# Putting the statement together costs more than running it, and the relay asks for every message.
@cache
def _query() -> Select[*tuple[Any, ...]]:
    newer = aliased(Message)
    newer_exists = exists().where(
        newer.partner_id == Message.partner_id,
        newer.job_id == Message.job_id,
        newer.appointment_id == Message.appointment_id,
        newer.channel == Message.channel,
        newer.id > Message.id,
    )
    superseded = [
        (Message.kind == kind.value) & newer_exists.where(newer.kind == later.value)
        for kind, later in SUPERSEDED_BY.items()
    ]
    return (
        select(
            Message,
            Appointment,
            Job,
            Customer,
            Address,
            ServiceType,
            Technician,
            Partner,
            User.locale,
            or_(*superseded).label("newer_exists"),
        )
        .join(Appointment, Appointment.id == Message.appointment_id)
        .join(Job, Job.id == Appointment.job_id)
        .join(Customer, Customer.id == Message.customer_id)
        .join(Address, Address.id == Job.address_id)
        .join(ServiceType, ServiceType.id == Job.service_type_id)
        .join(Technician, Technician.id == Appointment.technician_id, isouter=True)
        .join(Partner, Partner.id == Message.partner_id)
        .join(User, User.id == Customer.user_id, isouter=True)
        .where(Message.id == bindparam("message_id"))
    )
