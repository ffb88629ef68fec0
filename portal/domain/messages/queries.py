"""Reading messages: everything one is made of at the last moment before it is sent, and the log of them (N6)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row, Select, and_, bindparam, case, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from portal.domain.access.models import AccessLink
from portal.domain.actor import Actor, Role
from portal.domain.errors import NotFound
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.states import Situation
from portal.domain.lookup import MAX_KEY
from portal.domain.messages.models import (
    GROUPS,
    TIMED,
    Message,
    MessageAttempt,
    MessageKind,
    MessageRule,
    MessageSettings,
    MessageStatus,
    MessageTemplate,
)
from portal.domain.messages.services import quiet_hours
from portal.domain.messages.templates import holds_for
from portal.domain.messages.timing import Quiet
from portal.domain.paging import PAGE_ROWS, Cursor, Order, Page, page_of
from portal.domain.people.models import Address, Contact, Customer, Invitation, Partner, Technician, User
from portal.domain.people.queries import words_in
from portal.domain.policy import modify_until
from portal.domain.requests.models import ChangeRequest, ServiceRequest
from portal.domain.scheduling.models import FeatureControls, ServiceType
from portal.domain.scheduling.queries import overrides_in, with_overrides
from portal.domain.scheduling.rules import Controls, in_force

# What a later one of these makes out of date.
SUPERSEDED_BY = {
    MessageKind.BOOKED: {MessageKind.MOVED},
    MessageKind.MOVED: {MessageKind.MOVED},
    MessageKind.PLEASE_CONFIRM: TIMED,
    MessageKind.REMINDER: TIMED,
    MessageKind.CONTRACT: {MessageKind.CONTRACT},
    MessageKind.TECHNICIAN_ASSIGNED: {MessageKind.TECHNICIAN_ASSIGNED, MessageKind.TECHNICIAN_MOVED},
    MessageKind.TECHNICIAN_MOVED: {MessageKind.TECHNICIAN_MOVED},
}


# In which language a message is where nobody chose one.
ENGLISH = "en_GB"
LOCALE = func.coalesce(func.nullif(User.locale, ""), func.nullif(Partner.locale, ""), ENGLISH)
# Whom a message is for.
NAME = func.coalesce(Customer.name, Invitation.name, Technician.name, func.nullif(User.name, ""), User.email)
MESSAGES_BY = {"number": (Message.id,)}
NEWEST_FIRST = Order(MESSAGES_BY["number"], descending=True)


class ToCustomer:
    """What messages to a customer, or to a contact of theirs, have in common, whatever they are about."""

    __slots__ = ()
    contact: Contact | None
    customer: Customer
    partner: Partner
    settings: MessageSettings | None

    @property
    def zone(self) -> ZoneInfo:
        """The partner's time zone."""
        return ZoneInfo(self.partner.timezone)

    @property
    def reader(self) -> Customer | Contact:
        """Whom of the customer's side the message is to."""
        return self.customer if self.contact is None else self.contact

    @property
    def has_login(self) -> bool:
        """Whether the reader can look it up in My Schedule."""
        return self.contact is None and self.customer.user_id is not None

    @property
    def is_listed(self) -> bool:
        """Whether the reader is still one of those who get messages (P23)."""
        return self.contact is None or self.contact.active

    @property
    def customers_quiet(self) -> Quiet | None:
        """The hours in which the customer gets no text, in their own time zone."""
        return quiet_hours(self.settings, ZoneInfo(self.customer.timezone or self.partner.timezone))


@dataclass(frozen=True, slots=True)
class ModifyRules:
    """What decides about *Modify* of a job's visits (M3): the controls that hold for it, and all its visits."""

    controls: Controls
    visits: Sequence[Appointment]


@dataclass(frozen=True, slots=True)
class Facts(ToCustomer):
    """A message and what it is about, as it stands now; to ``told`` (a technician), to ``contact``, else the customer.

    ``locale`` is the choice of the customer or technician, else the partner's; ``login`` is the address with which a
    technician signs in, "" for none. ``rule`` is the one that decided the message; ``answer`` the office's reason for
    declining what was asked for, in a message that says so; ``template`` the version of the partner's words for it that
    holds, where anybody saved any; ``rules`` what decides about *Modify*, for a customer who can sign in.
    """

    message: Message
    contact: Contact | None
    visit: Appointment
    job: Job
    customer: Customer
    address: Address
    service_type: ServiceType
    technician: Technician | None
    partner: Partner
    locale: str
    newer_exists: bool
    answer: str
    told: Technician | None = None
    login: str = ""
    rule: MessageRule | None = None
    settings: MessageSettings | None = None
    template: MessageTemplate | None = None
    rules: ModifyRules | None = None

    @property
    def quiet(self) -> Quiet | None:
        """The hours in which the customer gets no text, in their own time zone; technicians have none."""
        return None if self.told is not None else self.customers_quiet

    @property
    def is_meant(self) -> bool:
        """Whether the reader still gets such messages (P23)."""
        if self.told is not None:
            return True
        kind = self.message.kind
        return self.is_listed and (kind not in set(MessageKind) or self.reader.gets(GROUPS[MessageKind(kind)]))

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

    @property
    def reader_has_login(self) -> bool:
        """Whether it is to a customer who can sign in."""
        return self.told is None and self.has_login

    def modify_until(self, now: datetime) -> datetime | None:
        """Return until when (an instant) the reader may still change the visit in My Schedule.

        ``None`` where they may not at ``now`` (an instant), or have no log-in to do it with.
        """
        if self.rules is None or not self.reader_has_login:
            return None
        customer = Actor(self.customer.user_id, Role.CUSTOMER, self.customer.name, frozenset({self.partner.id}))
        visits, controls = self.rules.visits, self.rules.controls
        return modify_until(Situation(customer, now, self.zone, self.job, self.visit, visits, controls=controls))


@dataclass(frozen=True, slots=True)
class RequestFacts(ToCustomer):
    """A message about a request for new service and what that is about, as it stands now; otherwise as ``Facts``.

    ``technician`` is who would come at the date that is offered.
    """

    message: Message
    contact: Contact | None
    request: ServiceRequest
    customer: Customer
    address: Address
    service_type: ServiceType
    technician: Technician | None
    partner: Partner
    locale: str
    rule: MessageRule | None = None
    settings: MessageSettings | None = None
    template: MessageTemplate | None = None

    @property
    def quiet(self) -> Quiet | None:
        """The hours in which the customer gets no text, in their own time zone."""
        return self.customers_quiet

    @property
    def is_meant(self) -> bool:
        """Whether the reader still gets such messages (P23)."""
        return self.is_listed and self.reader.gets(GROUPS[MessageKind(self.message.kind)])


@dataclass(frozen=True, slots=True)
class InvitationFacts:
    """A message with an invitation, as it stands now. ``locale``: the choice of who is invited, else the partner's.

    ``template`` as in ``Facts``.
    """

    message: Message
    invitation: Invitation
    partner: Partner
    locale: str
    template: MessageTemplate | None = None

    @property
    def zone(self) -> ZoneInfo:
        """The partner's time zone."""
        return ZoneInfo(self.partner.timezone)


# What a message is made of that a partner may word (N2).
WordedFacts = Facts | RequestFacts | InvitationFacts


@dataclass(frozen=True, slots=True)
class AccessFacts:
    """A message to somebody who wants to get in, as it stands now.

    Without a ``link`` it says that their number opens nothing. ``locale``: the reader's choice, else the partner's.
    """

    message: Message
    link: AccessLink | None
    user: User
    partner: Partner
    locale: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in the outbox: due and not sent, since when at the longest, held for suspended partners, given up."""

    due: int
    oldest_due_at: datetime | None
    held: int
    failed: int


@dataclass(frozen=True, slots=True)
class LoggedMessage:
    """A message with the name of whom it is for, the job it is about if any, and every attempt, latest first.

    With ``contact`` it went to that contact of the customer ``name``.
    """

    message: Message
    name: str
    contact: Contact | None
    job: Job | None
    attempts: Sequence[MessageAttempt]


def message_log(
    session: Session,
    text: str = "",
    status: str | None = None,
    kind: str | None = None,
    order: Order = NEWEST_FIRST,
    cursor: Cursor | None = None,
    limit: int = PAGE_ROWS,
) -> Page[Any]:
    """Return a page of the message log (N6) as tuples of the message's columns with ``name``, whom it is for.

    ``text`` is looked for in name and recipient; ``status`` is a ``MessageStatus`` and ``kind`` a ``MessageKind``.
    One statement, without the letters.
    """
    query: Select[*tuple[Any, ...]] = select(
        Message.id,
        Message.kind,
        Message.channel,
        Message.recipient,
        Message.status,
        Message.attempts,
        Message.last_error,
        Message.due_at,
        Message.sent_at,
        NAME.label("name"),
    )
    query = _with_name(query).where(words_in(text, (NAME, Message.recipient)))
    if status is not None:
        query = query.where(Message.status == status)
    if kind is not None:
        query = query.where(Message.kind == kind)
    return page_of(session, query, order, cursor, limit, scalars=False)


def messages_of_customer(session: Session, customer_id: int, cursor: Cursor | None, limit: int) -> Page[Any]:
    """Return a page of the messages to a customer and their contacts, newest first, as tuples of columns.

    One statement, without the letters.
    """
    query = select(
        Message.id,
        Message.kind,
        Message.channel,
        Message.recipient,
        Message.status,
        Message.attempts,
        Message.last_error,
        Message.due_at,
        Message.sent_at,
    ).where(Message.customer_id == customer_id)
    return page_of(session, query, NEWEST_FIRST, cursor, limit, scalars=False)


def logged_message(session: Session, message_id: int) -> LoggedMessage:
    """Return a message with what surrounds it; raises ``NotFound``. Two statements."""
    if not 0 < message_id <= MAX_KEY:
        raise NotFound
    query = (
        _with_name(select(Message, NAME, Contact, Job))
        .join(Contact, Contact.id == Message.contact_id, isouter=True)
        .join(Job, Job.id == Message.job_id, isouter=True)
        .where(Message.id == message_id)
    )
    found = session.execute(query).one_or_none()
    if found is None:
        raise NotFound
    attempts = select(MessageAttempt).where(MessageAttempt.message_id == message_id).order_by(MessageAttempt.id.desc())
    message, name, contact, job = found
    return LoggedMessage(message, name, contact, job, list(session.scalars(attempts)))


def _with_name(query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    return (
        query.join(Customer, Customer.id == Message.customer_id, isouter=True)
        .join(Invitation, Invitation.id == Message.invitation_id, isouter=True)
        .join(Technician, Technician.id == Message.technician_id, isouter=True)
        .join(AccessLink, AccessLink.id == Message.access_link_id, isouter=True)
        .join(User, User.id == AccessLink.user_id, isouter=True)
    )


def invitation_facts(session: Session, message_id: int) -> InvitationFacts:
    """Return the facts of a message with an invitation, in one statement and as they are now."""
    message, invitation, partner, locale, template = _the_row(session, _invitation_query(), message_id)
    return InvitationFacts(message, invitation, partner, locale or partner.locale, template)


def request_facts(session: Session, message_id: int) -> RequestFacts:
    """Return the facts of a message about a request for new service, in one statement and as they are now."""
    row = _the_row(session, _request_query(), message_id)
    message, contact, request, customer, address, kind, technician, partner, locale, rule, settings, template = row
    return RequestFacts(
        message,
        contact,
        request,
        customer,
        address,
        kind,
        technician,
        partner,
        locale or partner.locale,
        rule,
        settings,
        template,
    )


def access_facts(session: Session, message_id: int) -> AccessFacts:
    """Return the facts of a message to somebody who wants to get in, in one statement and as they are now."""
    whose = func.coalesce(AccessLink.user_id, Customer.user_id, Technician.user_id)
    query = (
        select(Message, AccessLink, User, Partner)
        .join(AccessLink, AccessLink.id == Message.access_link_id, isouter=True)
        .join(Customer, Customer.id == Message.customer_id, isouter=True)
        .join(Technician, Technician.id == Message.technician_id, isouter=True)
        .join(User, User.id == whose)
        .join(Partner, Partner.id == Message.partner_id)
        .where(Message.id == message_id)
    )
    message, link, user, partner = session.execute(query, execution_options={"populate_existing": True}).one()
    return AccessFacts(message, link, user, partner, user.locale or partner.locale)


def backlog(session: Session, now: datetime) -> Backlog:
    """Return how the outbox of the partners in the session's scope stands at ``now`` (an instant). Two statements."""
    suspended = Partner.suspended_at.is_not(None)
    query = (
        select(suspended, func.count(Message.id), func.min(Message.due_at))
        .join(Partner, Partner.id == Message.partner_id)
        .where(Message.status == MessageStatus.PENDING, Message.due_at <= now)
        .group_by(suspended)
    )
    waiting = {bool(held): (number, oldest) for held, number, oldest in session.execute(query)}
    failed = session.scalars(select(func.count(Message.id)).where(Message.status == MessageStatus.FAILED)).one()
    due, oldest = waiting.get(False, (0, None))
    return Backlog(due, oldest, waiting.get(True, (0, None))[0], failed)


def facts_of(session: Session, message_ids: Sequence[int]) -> dict[int, Facts]:
    """Return the facts of messages about visits by their keys, in two statements and as they are now; UTC."""
    given = {"message_ids": message_ids}
    found = session.execute(_query(), given, execution_options={"populate_existing": True})
    facts = {one.message.id: one for one in map(_facts, found)}
    # Beside the others and not joined to them, since planning so long a statement takes longer than running it.
    jobs = {one.job.id for one in facts.values() if one.reader_has_login}
    rules = modify_rules(session, sorted(jobs))
    return {key: replace(one, rules=rules[one.job.id]) if one.job.id in rules else one for key, one in facts.items()}


def _facts(row: Row[*tuple[Any, ...]]) -> Facts:
    message, contact, visit, job, customer, address, kind, technician, partner, locale, is_newer, *about = row
    answer, told, login, rule, settings, template = about
    return Facts(
        message,
        contact,
        visit,
        job,
        customer,
        address,
        kind,
        technician,
        partner,
        locale or partner.locale,
        bool(is_newer),
        answer or "",
        told,
        (login or "") if told is not None else "",
        rule,
        settings,
        template,
    )


def modify_rules(session: Session, job_ids: Sequence[int]) -> dict[int, ModifyRules]:
    """Return what decides about *Modify* of each of these jobs, by their keys; one statement, none for no jobs."""
    if not job_ids:
        return {}
    given = {"job_ids": job_ids}
    # Of a job there is a row for each of its visits with each override.
    by_job: dict[int, list[Row[*tuple[Any, ...]]]] = defaultdict(list)
    for row in session.execute(_rules_query(), given, execution_options={"populate_existing": True}):
        by_job[row[0]].append(row)
    return {
        key: ModifyRules(in_force(rows[0][2], overrides_in(rows)), list(dict.fromkeys(row[1] for row in rows)))
        for key, rows in by_job.items()
    }


def _the_row(session: Session, query: Select[*tuple[Any, ...]], message_id: int) -> Any:
    return session.execute(query, {"message_id": message_id}, execution_options={"populate_existing": True}).one()


# Putting the statements together costs more than running them, and the relay asks all the time.
@cache
def _invitation_query() -> Select[*tuple[Any, ...]]:
    return (
        select(Message, Invitation, Partner, User.locale, MessageTemplate)
        .join(Invitation, Invitation.id == Message.invitation_id)
        .join(Partner, Partner.id == Message.partner_id)
        .join(User, User.email == Invitation.email, isouter=True)
        .join(MessageTemplate, holds_for(Message, LOCALE), isouter=True)
        .where(Message.id == bindparam("message_id"))
    )


@cache
def _rules_query() -> Select[*tuple[Any, ...]]:
    query = (
        select(Job.id, Appointment, FeatureControls)
        .join(Appointment, Appointment.job_id == Job.id)
        .join(FeatureControls, FeatureControls.partner_id == Job.partner_id)
        .where(Job.id.in_(bindparam("job_ids", expanding=True)))
        .order_by(Appointment.start_at, Appointment.id)
    )
    return with_overrides(query)


@cache
def _request_query() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Message,
            Contact,
            ServiceRequest,
            Customer,
            Address,
            ServiceType,
            Technician,
            Partner,
            User.locale,
            MessageRule,
            MessageSettings,
            MessageTemplate,
        )
        .join(ServiceRequest, ServiceRequest.id == Message.service_request_id)
        .join(Customer, Customer.id == ServiceRequest.customer_id)
        .join(Contact, Contact.id == Message.contact_id, isouter=True)
        .join(Address, Address.id == ServiceRequest.address_id)
        .join(ServiceType, ServiceType.id == ServiceRequest.service_type_id)
        .join(Technician, Technician.id == ServiceRequest.proposed_technician_id, isouter=True)
        .join(Partner, Partner.id == Message.partner_id)
        .join(User, User.id == Customer.user_id, isouter=True)
        .join(MessageRule, MessageRule.id == Message.rule_id, isouter=True)
        .join(MessageSettings, MessageSettings.partner_id == Message.partner_id, isouter=True)
        .join(MessageTemplate, holds_for(Message, LOCALE), isouter=True)
        .where(Message.id == bindparam("message_id"))
    )


@cache
def _query() -> Select[*tuple[Any, ...]]:
    newer, told = aliased(Message), aliased(Technician)
    reader = case((Message.technician_id.is_not(None), told.user_id), else_=Customer.user_id)
    newer_exists = exists().where(
        newer.partner_id == Message.partner_id,
        newer.job_id == Message.job_id,
        newer.appointment_id == Message.appointment_id,
        newer.channel == Message.channel,
        newer.contact_id.is_not_distinct_from(Message.contact_id),
        newer.technician_id.is_not_distinct_from(Message.technician_id),
        newer.status != MessageStatus.SKIPPED.value,
        newer.id > Message.id,
    )
    superseded = [
        (Message.kind == kind.value) & newer_exists.where(newer.kind.in_(sorted(later)))
        for kind, later in SUPERSEDED_BY.items()
    ]
    # Decided in the transaction that declined the request, and at the same instant.
    declined = and_(
        Message.kind == MessageKind.DECLINED.value,
        ChangeRequest.job_id == Message.job_id,
        ChangeRequest.appointment_id == Message.appointment_id,
        ChangeRequest.answered_at == Message.created_at,
    )
    return (
        select(
            Message,
            Contact,
            Appointment,
            Job,
            Customer,
            Address,
            ServiceType,
            Technician,
            Partner,
            User.locale,
            or_(*superseded).label("newer_exists"),
            ChangeRequest.answer,
            told,
            User.email,
            MessageRule,
            MessageSettings,
            MessageTemplate,
        )
        .join(Appointment, Appointment.id == Message.appointment_id)
        .join(Job, Job.id == Appointment.job_id)
        .join(Customer, Customer.id == Appointment.customer_id)
        .join(Contact, Contact.id == Message.contact_id, isouter=True)
        .join(Address, Address.id == Job.address_id)
        .join(ServiceType, ServiceType.id == Job.service_type_id)
        .join(Technician, Technician.id == Appointment.technician_id, isouter=True)
        .join(Partner, Partner.id == Message.partner_id)
        .join(told, told.id == Message.technician_id, isouter=True)
        .join(User, User.id == reader, isouter=True)
        .join(MessageRule, MessageRule.id == Message.rule_id, isouter=True)
        .join(MessageSettings, MessageSettings.partner_id == Message.partner_id, isouter=True)
        .join(ChangeRequest, declined, isouter=True)
        .join(MessageTemplate, holds_for(Message, LOCALE), isouter=True)
        .where(Message.id.in_(bindparam("message_ids", expanding=True)))
    )
