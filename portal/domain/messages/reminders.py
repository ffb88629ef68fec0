"""Deciding reminders: which are due is found in the tables by a tick in UTC, never kept as one timer each (N1, N3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from itertools import islice
from operator import add
from string import Formatter
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Integer,
    Select,
    SQLColumnExpression,
    String,
    case,
    cast,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    true,
    values,
)
from sqlalchemy.orm import Session

from portal.domain.base import Key, UtcDateTime
from portal.domain.changes.models import tell_pages
from portal.domain.errors import Refusal
from portal.domain.instants import MinutesBefore
from portal.domain.jobs.models import Appointment
from portal.domain.jobs.states import MOVABLE
from portal.domain.messages.models import (
    EVER,
    GROUPS,
    TIMED,
    Channel,
    DecidedUntil,
    Message,
    MessageKind,
    MessageRule,
    MessageSettings,
    MessageStatus,
)
from portal.domain.messages.services import (
    KEY,
    NOWHERE,
    QUIET_HOURS,
    STARTED,
    TO_CONTACT,
    TO_CUSTOMER,
    moment_of,
    quiet_hours,
)
from portal.domain.messages.timing import TICK, Span, spans
from portal.domain.people.models import Contact, Customer, Partner
from portal.domain.unit_of_work import require_unit_of_work
from portal.domain.upserts import insert_into

REMINDERS = "reminders"
# So many stretches fit into the parameters of one statement.
STRETCHES_AT_ONCE = 1_000
# Looked at again each time: a visit that was written before a tick may be seen only after it.
OVERLAP = timedelta(minutes=10)
# How far back whoever decides for the first time looks.
FIRST_LOOK = timedelta(days=1)
# Which of a partner's customers a stretch is about: everybody, or those of one time zone; "" is the partner's.
EVERYBODY = "*"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Visits of a partner in a span of starts, and the rule by which their customers in ``zone`` get a message."""

    rule: MessageRule
    zone: str
    span: Span


def decide_reminders(session: Session, now: datetime, again_for: int | None = None) -> None:
    """Put what came due by itself since the last time, and up to ``now`` (an instant), into the outbox.

    That is for each rule of a ``TIMED`` kind and each visit that was planned to its time before the message was due: to
    the customer and those contacts who get reminders. What cannot be sent is recorded as skipped, with the reason: its
    visit's start is over, nobody knows where to send it, or it fell into quiet hours. Whoever runs this how often and
    beside whom, each is there once. The statements do not grow with the messages. ``again_for`` is the key of a partner
    whose last day is to be looked at again, alone. Runs within ``unit_of_work``.
    """
    require_unit_of_work(session)
    mark = session.scalars(select(DecidedUntil.at).where(DecidedUntil.what == REMINDERS)).first()
    since = now - FIRST_LOOK if mark is None or again_for is not None else min(mark, now) - OVERLAP
    known = session.scalars(select(func.coalesce(func.max(Message.id), 0))).one()
    due = iter(_stretches(session, since, now, again_for))
    while some := list(islice(due, STRETCHES_AT_ONCE)):
        for person in (Customer, Contact):
            found = _due_visits(some, now, person)
            # Another worker that decides at the same moment is no error.
            session.execute(
                insert_into(session, Message)
                .from_select([column.name for column in found.selected_columns], found)
                .on_conflict_do_nothing(index_elements=[Message.key])
            )
    # Jobs' pages show what is to be sent.
    decided = select(Message.partner_id).where(Message.id > known, Message.created_at == now).distinct()
    tell_pages(session, session.scalars(decided))
    if again_for is None:
        noted = insert_into(session, DecidedUntil).values(what=REMINDERS, at=now)
        session.execute(
            noted.on_conflict_do_update(
                index_elements=[DecidedUntil.what], set_={"at": now}, where=DecidedUntil.at < now
            )
        )


def _stretches(session: Session, since: datetime, now: datetime, partner_id: int | None) -> Iterator[Stretch]:
    query = (
        select(MessageRule, Partner.timezone, MessageSettings)
        .join(Partner, Partner.id == MessageRule.partner_id)
        .join(MessageSettings, MessageSettings.partner_id == MessageRule.partner_id, isouter=True)
        .where(MessageRule.kind.in_(sorted(TIMED)), MessageRule.enabled.is_(True))
        .where(or_(MessageRule.days_before.is_not(None), MessageRule.minutes_before.is_not(None)))
        .order_by(MessageRule.id)
    )
    if partner_id is not None:
        query = query.where(MessageRule.partner_id == partner_id)
    rules = session.execute(query).all()
    elsewhere = _zones_of_customers(session)
    for rule, timezone, settings in rules:
        own = ZoneInfo(timezone)
        zones: Iterable[tuple[str, ZoneInfo]] = [(EVERYBODY, own)]
        if rule.channel == Channel.TEXT and quiet_hours(settings, own) is not None:
            zones = [("", own), *((name, ZoneInfo(name)) for name in elsewhere.get(rule.partner_id, ()))]
        from_when = max(since, rule.holds_from - TICK)
        for name, zone in zones:
            quiet = None if name == EVERYBODY else quiet_hours(settings, zone)
            yield from (Stretch(rule, name, span) for span in spans(moment_of(rule), own, quiet, from_when, now))


def _zones_of_customers(session: Session) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    query = select(Customer.partner_id, Customer.timezone).where(Customer.timezone != "").distinct()
    for partner_id, name in session.execute(query):
        found.setdefault(partner_id, []).append(name)
    return found


def _due_visits(due: Sequence[Stretch], now: datetime, person: type[Customer] | type[Contact]) -> Select[Any]:
    """Return the messages due to customers themselves, or to their contacts."""
    stretch = (
        values(
            Column("partner_id", Key),
            Column("rule_id", Key),
            Column("kind", String),
            Column("channel", String),
            Column("unconfirmed_only", Boolean),
            Column("zone", String),
            Column("start_at", UtcDateTime()),
            Column("end_at", UtcDateTime()),
            Column("moment", UtcDateTime()),
            Column("minutes", Integer),
            Column("skipped", Boolean),
        )
        .data([_row(one) for one in due])
        .cte("stretch")
    )
    own = person is Customer
    is_text = stretch.c.channel == Channel.TEXT.value
    address = case((is_text, person.phone), else_=person.email)
    contact_id: Any = cast(null(), Key) if own else person.id
    due_at = case(
        (stretch.c.minutes > 0, MinutesBefore(Appointment.start_at, stretch.c.minutes)), else_=stretch.c.moment
    )
    key = _key(
        rule_id=stretch.c.rule_id,
        recipient=literal(TO_CUSTOMER if own else TO_CONTACT, String) + cast(person.id, String),
        channel=stretch.c.channel,
        subject=literal("visit:", String) + cast(Appointment.id, String),
        occurrence=Appointment.occurrence,
    )
    is_over = Appointment.start_at <= now
    why_not = case(
        (is_over, _words(STARTED)),
        (address == "", _words(NOWHERE)),
        (stretch.c.skipped.is_(True), _words(QUIET_HOURS)),
        else_=literal("", String),
    )
    # A departure and its turning back are an occurrence of their own, but no reason to remind again.
    reminded = exists().where(
        Message.partner_id == Appointment.partner_id,
        Message.job_id == Appointment.job_id,
        Message.appointment_id == Appointment.id,
        Message.rule_id == stretch.c.rule_id,
        Message.contact_id.is_(None) if own else Message.contact_id == contact_id,
        or_(
            Message.occurrence == Appointment.occurrence,
            (Message.created_at > Appointment.planned_at) & (Message.status != MessageStatus.SKIPPED.value),
        ),
    )
    query = select(
        Appointment.partner_id,
        Appointment.customer_id,
        contact_id.label("contact_id"),
        Appointment.job_id,
        Appointment.id.label("appointment_id"),
        stretch.c.rule_id,
        key.label("key"),
        stretch.c.kind,
        stretch.c.channel,
        address.label("recipient"),
        Appointment.occurrence,
        due_at.label("due_at"),
        literal(now, UtcDateTime()).label("created_at"),
        case((why_not == "", MessageStatus.PENDING.value), else_=MessageStatus.SKIPPED.value).label("status"),
        why_not.label("last_error"),
    ).join_from(stretch, Appointment, Appointment.partner_id == stretch.c.partner_id)
    query = query.join(Customer, Customer.id == Appointment.customer_id)
    if not own:
        query = query.join(Contact, Contact.customer_id == Customer.id)
    return (
        query.where(
            Appointment.start_at >= stretch.c.start_at,
            Appointment.start_at < stretch.c.end_at,
            # One that is over was planned when its message was due; who came to what end after that is all the same.
            or_(Appointment.status.in_(sorted(MOVABLE)), is_over & (Appointment.status != "CANCELLED")),
            Appointment.planned_at <= due_at,
            or_(stretch.c.unconfirmed_only.is_(False), Appointment.confirmed_at.is_(None)),
            or_(stretch.c.zone == EVERYBODY, stretch.c.zone == Customer.timezone),
            getattr(person, f"gets_{GROUPS[MessageKind.REMINDER]}"),
            true() if own else Contact.active.is_(True),
            # Somebody who is reached in another way was never meant.
            true() if own else address != "",
            # Of two who share a number, the customer is told.
            true() if own else ~(is_text & Customer.gets_reminders & (Contact.phone == Customer.phone)),
            ~reminded,
        )
        # Workers that decide at once insert in the same order and never wait for each other in a ring; of two about
        # one visit the later is the newer; and PostgreSQL sorts before it inserts, instead of looking for each row
        # among all those just inserted.
        .order_by(stretch.c.skipped, due_at, Appointment.id, stretch.c.rule_id, person.id)
    )


def _row(one: Stretch) -> tuple[Any, ...]:
    rule, span = one.rule, one.span
    return (
        rule.partner_id,
        rule.id,
        rule.kind,
        rule.channel,
        rule.unconfirmed_only,
        one.zone,
        span.start,
        span.end,
        span.due or EVER,
        span.minutes,
        span.skipped,
    )


def _words(refusal: Refusal) -> ColumnElement[str]:
    return literal(refusal.sentence.msgid, String)


def _key(**parts: SQLColumnExpression[Any]) -> ColumnElement[str]:
    """Fill in ``KEY`` in SQL."""
    pieces: list[ColumnElement[str]] = []
    for text, name, _, _ in Formatter().parse(KEY):
        if text:
            pieces.append(literal(text, String))
        if name:
            pieces.append(cast(parts[name], String))
    return reduce(add, pieces)
