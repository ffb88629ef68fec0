"""Deciding reminders: which are due is found in the tables by a tick in UTC, never kept as one timer each (N1, N3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import add
from string import Formatter
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    Column,
    ColumnElement,
    Select,
    SQLColumnExpression,
    String,
    case,
    cast,
    exists,
    literal,
    null,
    or_,
    select,
    true,
    values,
)
from sqlalchemy.orm import Session

from portal.domain.base import Key, UtcDateTime
from portal.domain.jobs.models import Appointment
from portal.domain.jobs.states import MOVABLE
from portal.domain.messages.models import GROUPS, Channel, Message, MessageKind, MessageRule, MessageStatus
from portal.domain.messages.services import KEY, TO_CONTACT, TO_CUSTOMER
from portal.domain.people.models import Contact, Customer, Partner
from portal.domain.scheduling.zones import day_span, instant_at_or_after, local_day
from portal.domain.unit_of_work import require_unit_of_work
from portal.domain.upserts import insert_into

# So many stretches fit into the parameters of one statement.
STRETCHES_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Stretch:
    """Visits starting from ``start`` up to ``end`` whose reminder by a rule came due at ``moment`` (instants)."""

    partner_id: int
    rule_id: int
    channel: str
    start: datetime
    end: datetime
    moment: datetime


def decide_reminders(session: Session, now: datetime) -> None:
    """Put the reminders that came due by ``now`` (an instant) into the outbox.

    A visit gets one if it is planned and still ahead, no cancel is pending, and it was planned to its time before the
    reminder's moment; it goes to the customer and those contacts who get reminders. Whoever runs this how often and
    beside whom, each is there once. Two statements, however many reminders. Runs within ``unit_of_work``.
    """
    require_unit_of_work(session)
    rules = session.execute(
        select(MessageRule, Partner.timezone)
        .join(Partner, Partner.id == MessageRule.partner_id)
        .where(
            MessageRule.kind == MessageKind.REMINDER,
            MessageRule.enabled.is_(True),
            MessageRule.days_before.is_not(None),
        )
        .order_by(MessageRule.id)
    )
    due = [stretch for rule, timezone in rules for stretch in stretches(rule, ZoneInfo(timezone), now)]
    for first in range(0, len(due), STRETCHES_AT_ONCE):
        _insert(session, due[first : first + STRETCHES_AT_ONCE], now)


def stretches(rule: MessageRule, zone: ZoneInfo, now: datetime) -> list[Stretch]:
    """Return for each local day ahead whose reminders by ``rule`` are due at ``now`` (an instant) what to look for.

    A clock time in a missing hour comes due at the end of the gap, in a repeated hour once, at the first.
    """
    if rule.days_before is None or rule.local_time is None:
        return []
    today = local_day(now, zone)
    found = []
    for ahead in range(rule.days_before + 1):
        day = today + timedelta(days=ahead)
        moment = instant_at_or_after(day - timedelta(days=rule.days_before), rule.local_time, zone)
        if moment <= now:
            start, end = day_span(day, zone)
            found.append(Stretch(rule.partner_id, rule.id, rule.channel, start, end, moment))
    return found


def _insert(session: Session, due: Sequence[Stretch], now: datetime) -> None:
    for person in (Customer, Contact):
        found = _due_visits(due, now, person)
        # Another worker that decides at the same moment is no error.
        session.execute(
            insert_into(session, Message)
            .from_select([column.name for column in found.selected_columns], found)
            .on_conflict_do_nothing(index_elements=[Message.key])
        )


def _due_visits(due: Sequence[Stretch], now: datetime, person: type[Customer] | type[Contact]) -> Select[Any]:
    """Return the reminders due to customers themselves, or to their contacts."""
    stretch = (
        values(
            Column("partner_id", Key),
            Column("rule_id", Key),
            Column("channel", String),
            Column("start_at", UtcDateTime()),
            Column("end_at", UtcDateTime()),
            Column("moment", UtcDateTime()),
        )
        .data([astuple(one) for one in due])
        .cte("stretch")
    )
    own = person is Customer
    address = case((stretch.c.channel == Channel.TEXT.value, person.phone), else_=person.email)
    contact_id: Any = cast(null(), Key) if own else person.id
    key = _key(
        rule_id=stretch.c.rule_id,
        recipient=literal(TO_CUSTOMER if own else TO_CONTACT, String) + cast(person.id, String),
        channel=stretch.c.channel,
        subject=literal("visit:", String) + cast(Appointment.id, String),
        occurrence=Appointment.occurrence,
    )
    # A departure and its turning back are an occurrence of their own, but no reason to remind again.
    reminded = exists().where(
        Message.partner_id == Appointment.partner_id,
        Message.job_id == Appointment.job_id,
        Message.appointment_id == Appointment.id,
        Message.kind == MessageKind.REMINDER.value,
        Message.channel == stretch.c.channel,
        Message.contact_id.is_(None) if own else Message.contact_id == contact_id,
        or_(
            Message.occurrence == Appointment.occurrence,
            (Message.created_at > Appointment.planned_at) & (Message.status != MessageStatus.SKIPPED.value),
        ),
    )
    return (
        select(
            Appointment.partner_id,
            Appointment.customer_id,
            contact_id.label("contact_id"),
            Appointment.job_id,
            Appointment.id.label("appointment_id"),
            key.label("key"),
            literal(MessageKind.REMINDER.value, String).label("kind"),
            stretch.c.channel,
            address.label("recipient"),
            Appointment.occurrence,
            stretch.c.moment.label("due_at"),
            literal(now, UtcDateTime()).label("created_at"),
        )
        .join_from(stretch, Appointment, Appointment.partner_id == stretch.c.partner_id)
        .join(person, person.customer_id == Appointment.customer_id)
        .where(
            Appointment.start_at >= stretch.c.start_at,
            Appointment.start_at < stretch.c.end_at,
            Appointment.start_at > now,
            Appointment.status.in_(sorted(MOVABLE)),
            Appointment.cancel_at.is_(None),
            Appointment.planned_at <= stretch.c.moment,
            address != "",
            getattr(person, f"gets_{GROUPS[MessageKind.REMINDER]}"),
            true() if own else Contact.active.is_(True),
            ~reminded,
        )
        # Workers that decide at once insert in the same order and never wait for each other in a ring; and PostgreSQL
        # sorts before it inserts, instead of looking for each row among all those just inserted.
        .order_by(Appointment.id)
    )


def _key(**parts: SQLColumnExpression[Any]) -> ColumnElement[str]:
    """Fill in ``KEY`` in SQL."""
    pieces: list[ColumnElement[str]] = []
    for text, name, _, _ in Formatter().parse(KEY):
        if text:
            pieces.append(literal(text, String))
        if name:
            pieces.append(cast(parts[name], String))
    return reduce(add, pieces)
