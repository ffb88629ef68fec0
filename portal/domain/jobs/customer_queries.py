"""What customers read: their visits with what they may do to each, free times, and what waits for their signature.

Everything is held to the session's scope, so another customer's row is not there (C7). Instants are UTC.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple, get_args
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Integer, Select, and_, bindparam, or_, select
from sqlalchemy.orm import Session, contains_eager, joinedload, selectinload
from sqlalchemy.orm.attributes import set_committed_value

from portal.domain.actor import Actor, Role
from portal.domain.contracts.models import Contract
from portal.domain.contracts.queries import current_contract
from portal.domain.errors import NotFound, Refusal, sentence
from portal.domain.jobs.models import Appointment, HistoryEntry, Job
from portal.domain.jobs.services import choice_refusal, customer_limits, pending_cancel_refusal, slot_at
from portal.domain.jobs.situations import situation
from portal.domain.jobs.states import APPOINTMENT, INSTALLATION, MOVABLE, OPEN, STEPS, UNDER_WAY, Situation
from portal.domain.lookup import MAX_KEY, find
from portal.domain.messages.models import Message, MessageKind, MessageRule
from portal.domain.paging import Cursor, Order, Page, page_from, page_of
from portal.domain.people.models import Address, Technician
from portal.domain.policy import decide
from portal.domain.requests.models import PENDING, ChangeRequest, Wish
from portal.domain.requests.services import wish_refusal
from portal.domain.scheduling.models import ServiceType
from portal.domain.scheduling.queries import Board, Rules, rules_in, times_for_customer, with_rules
from portal.domain.scheduling.rules import Action, Controls, Decision, under_rules
from portal.domain.scheduling.slots import Limits, Slot, Wanted, free_times
from portal.domain.scheduling.zones import day_span, local_day
from portal.domain.tracking.models import Position

DAYS_SHOWN = 7
NEWEST_FIRST = Order((Appointment.start_at, Appointment.id), descending=True)


@dataclass(frozen=True, slots=True)
class CustomerVisit:
    """A visit with its job, and what its customer may do to it now: a refusal each, or ``None`` where they may.

    ``request`` is the change request that waits for the office's answer; ``wishes`` are what may be asked for (C6).
    ``position`` is the last one known of the technician on the way (C4).
    """

    visit: Appointment
    controls: Controls
    asked: Situation
    confirm: Refusal | None
    move: Decision
    cancel: Decision
    undo: Refusal | None
    request: ChangeRequest | None
    wishes: Sequence[Wish]
    position: Position | None

    @property
    def job(self) -> Job:
        """The job that the visit is part of, with address and service type."""
        return self.visit.job

    @property
    def minutes(self) -> int:
        """How long the visit takes."""
        return (self.visit.end_at - self.visit.start_at) // timedelta(minutes=1)

    @property
    def is_over(self) -> bool:
        """Whether the visit has ended, one way or another."""
        return APPOINTMENT.is_end(self.visit.status)

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody comes any more."""
        return self.visit.status == "CANCELLED"

    @property
    def is_live(self) -> bool:
        """Whether it goes through its six steps now: somebody is under way or at work, or it is today's (C3)."""
        return is_live(self.visit, self.asked.now, self.asked.zone)

    @property
    def is_planned(self) -> bool:
        """Whether nobody has set off yet, so that confirming still says something."""
        return self.visit.status in MOVABLE

    @property
    def is_cancelling(self) -> bool:
        """Whether the customer's own cancel has not taken effect yet."""
        return self.visit.cancel_at is not None

    @property
    def confirmed_by_customer(self) -> bool:
        """Whether it was the customer who confirmed, rather than staff for them."""
        return self.visit.confirmed_by == Role.CUSTOMER.value

    @property
    def may_modify(self) -> bool:
        """Whether *Modify* leads anywhere (M1)."""
        return self.move.allowed or self.cancel.allowed

    @property
    def moves_left(self) -> int:
        """How often the customer may still move this visit (M2)."""
        return max(0, self.controls.max_moves - self.visit.customer_moves)


@dataclass(frozen=True, slots=True)
class FreeDay:
    """A local date with its free starts (instants); ``closed`` where nobody works at all."""

    day: date
    starts: Sequence[datetime]
    closed: bool


@dataclass(frozen=True, slots=True)
class Offer:
    """A week of days to choose from. ``chosen`` has free times; ``next_free`` is set where the week has none.

    ``by_technician`` says that they are times of the visit's technician; else of whoever is free.
    """

    by_technician: bool
    days: Sequence[FreeDay]
    chosen: FreeDay | None
    earlier: date | None
    later: date | None
    next_free: date | None


@dataclass(frozen=True, slots=True)
class AfterMove:
    """Whether its customer can move a visit once more, or cancel it, after a move that they are about to make."""

    move: Decision
    cancel: Decision


@dataclass(slots=True)
class _Moved:
    """A visit as it would be after a move by its customer."""

    start_at: datetime
    customer_moves: int
    is_confirmed: bool


@dataclass(frozen=True, slots=True)
class Paper:
    """The contract that counts of an installation; ``to_sign`` until signed, then it waits for approval."""

    contract: Contract
    job: Job
    to_sign: bool


@dataclass(frozen=True, slots=True)
class ContractPage:
    """A version of a contract, the one that counts, and whether the customer may sign this one now."""

    contract: Contract
    job: Job
    current: Contract | None
    may_sign: bool

    @property
    def is_void(self) -> bool:
        """Whether a corrected version took this one's place."""
        return self.contract.voided_at is not None


@dataclass(frozen=True, slots=True)
class JobPage:
    """A job with items, visits (latest first) and contract; ``approve`` says why it cannot be approved now."""

    job: Job
    visits: Sequence[Appointment]
    contract: Contract | None
    approve: Refusal | None


@dataclass(frozen=True, slots=True)
class WhatFollows:
    """What a customer will hear of a visit: written to now, reminded on a local date, told when somebody sets off."""

    written_to: str | None
    reminded_on: date | None
    told_of_departure: bool


@dataclass(frozen=True, slots=True)
class Schedule:
    """The visits that are planned, under way or paused, in time order, and the latest of those that have ended."""

    upcoming: list[CustomerVisit]
    past: Page[Appointment]


def schedule(session: Session, actor: Actor, now: datetime, past: int) -> Schedule:
    """Return what My Schedule shows, with at most so many ``past`` visits, in one statement (C1)."""
    found = _found(session, _schedule_query(), {"past": past + 1})
    over = [one.visit for one in reversed(found) if one.visit.status not in OPEN]
    return Schedule(
        [_with_answers(actor, now, one) for one in found if one.visit.status in OPEN],
        page_from(over, NEWEST_FIRST, None, past),
    )


def is_live(visit: Appointment, now: datetime, zone: ZoneInfo) -> bool:
    """Whether a visit is one of the local today of ``now`` (an instant) that takes place, or is being made (C3)."""
    if visit.status in UNDER_WAY:
        return True
    return visit.status in STEPS and local_day(visit.start_at, zone) == local_day(now, zone)


def foremost_first(visits: Sequence[CustomerVisit]) -> list[CustomerVisit]:
    """Return ``visits`` with the one that counts now first: under way, else today's, else the next in time order."""
    return sorted(visits, key=lambda item: (item.visit.status not in UNDER_WAY, not item.is_live))


def customer_visit(session: Session, actor: Actor, now: datetime, visit_id: int) -> CustomerVisit:
    """Return one visit of the customer's; raises ``NotFound`` for anybody else's (C7)."""
    found = _found(session, _one_visit(), {"visit_id": visit_id}) if 0 < visit_id <= MAX_KEY else []
    if not found:
        raise NotFound
    return _with_answers(actor, now, found[0])


def past_visits(session: Session, limit: int, cursor: Cursor | None = None) -> Page[Appointment]:
    """Return at most ``limit`` visits that have ended, newest first, each with job, address and technician (C2)."""
    query = (
        select(Appointment)
        .where(Appointment.status.not_in(sorted(OPEN)))
        .options(
            joinedload(Appointment.job).options(joinedload(Job.service_type), joinedload(Job.address)),
            joinedload(Appointment.technician),
        )
    )
    return page_of(session, query, NEWEST_FIRST, cursor, limit)


def offered_times(session: Session, item: CustomerVisit, day: date | None) -> Offer:
    """Return the free times of the week around ``day``, for moving a visit (M4); of the first week without one.

    Weeks count from the first day that may be chosen. The visit's own present start is not among the times.
    """
    limits = customer_limits(item.asked)
    first, last = _first_day(item, limits), limits.last_day
    if last is None or last < first:
        return Offer(False, [], None, None, None, None)
    wanted_day = day if day is not None and first <= day <= last else first
    begin = first + timedelta(days=(wanted_day - first).days // DAYS_SHOWN * DAYS_SHOWN)
    end = min(begin + timedelta(days=DAYS_SHOWN - 1), last)
    search = _Search(session, item, limits, begin, end)
    days = [search.on(begin + timedelta(days=number)) for number in range((end - begin).days + 1)]
    free = [entry for entry in days if entry.starts]
    chosen = next((entry for entry in free if entry.day == wanted_day), free[0] if free else None)
    return Offer(
        search.by_technician,
        days,
        chosen,
        earlier=begin - timedelta(days=DAYS_SHOWN) if begin > first else None,
        later=end + timedelta(days=1) if end < last else None,
        next_free=None if free else _next_free(session, item, limits, end + timedelta(days=1), last),
    )


def slot_for_move(session: Session, item: CustomerVisit, start: datetime) -> Slot:
    """Return ``start`` (an instant) as offered for a move, with who would come, or why it is not, or no longer.

    The taking itself decides again.
    """
    no_choice = choice_refusal(item.visit, start, item.asked.now)
    if no_choice is not None:
        return Slot(start, None, no_choice)
    day = local_day(start, item.asked.zone)
    search = _Search(session, item, customer_limits(item.asked), day, day)
    return slot_at(start, search.slots(day, only=start))


def after_move(item: CustomerVisit, start: datetime) -> AfterMove:
    """Return what the rules of now let the customer still do once ``start`` (an instant) is taken."""
    controls, now = item.controls, item.asked.now
    moved = _Moved(start, item.visit.customer_moves + 1, controls.own_choice_confirms)
    return AfterMove(*(under_rules(action, controls, moved, now) for action in get_args(Action)))


def start_before_move(session: Session, visit: Appointment) -> datetime | None:
    """Return the start that the customer's own latest move replaced; ``None`` unless the visit stands as it left it."""
    entry = session.scalars(
        select(HistoryEntry)
        .where(HistoryEntry.appointment_id == visit.id, HistoryEntry.action == "reschedule")
        .order_by(HistoryEntry.id.desc())
        .limit(1)
    ).first()
    if entry is None or entry.actor_role != Role.CUSTOMER.value:
        return None
    if datetime.fromisoformat(entry.after["start"]) != visit.start_at:
        return None
    return datetime.fromisoformat(entry.before["start"])


def cancelled_by_customer(session: Session, visit: Appointment) -> bool:
    """Whether a cancelled visit was cancelled by its customer; the reason is then their own words."""
    steps = _cancel_steps(session, visit, 2)
    if not steps or steps[0].action != "cancel":
        return False
    # A pending cancel is made final by the system or staff, in the customer's name.
    return steps[0].actor_role == Role.CUSTOMER.value or (len(steps) > 1 and steps[1].action == "request_cancel")


def undone_by_customer(session: Session, visit: Appointment) -> bool:
    """Whether the latest that happened about cancelling ``visit`` is that its customer took the cancel back."""
    steps = [(step.action, step.actor_role) for step in _cancel_steps(session, visit, 1)]
    return steps == [("undo_cancel", Role.CUSTOMER.value)]


def _cancel_steps(session: Session, visit: Appointment, count: int) -> list[HistoryEntry]:
    query = (
        select(HistoryEntry)
        .where(
            HistoryEntry.appointment_id == visit.id,
            HistoryEntry.action.in_(["cancel", "request_cancel", "undo_cancel"]),
        )
        .order_by(HistoryEntry.id.desc())
        .limit(count)
    )
    return list(session.scalars(query))


def what_follows(session: Session, item: CustomerVisit) -> WhatFollows:
    """Return what the partner's message rules let the customer expect of a visit that was just moved."""
    visit = item.visit
    written_to = session.scalars(
        select(Message.recipient).where(
            Message.appointment_id == visit.id,
            Message.kind == MessageKind.MOVED.value,
            Message.occurrence == visit.occurrence,
        )
    ).first()
    rules = list(
        session.scalars(
            select(MessageRule).where(MessageRule.partner_id == visit.partner_id, MessageRule.enabled.is_(True))
        )
    )
    today, start = local_day(item.asked.now, item.asked.zone), local_day(visit.start_at, item.asked.zone)
    reminders = [
        start - timedelta(days=rule.days_before)
        for rule in rules
        if rule.kind == MessageKind.REMINDER.value and rule.days_before is not None
    ]
    return WhatFollows(
        written_to=written_to,
        reminded_on=min((day for day in reminders if day > today), default=None),
        told_of_departure=any(rule.kind == MessageKind.ON_THE_WAY.value for rule in rules),
    )


def waiting_papers(session: Session) -> list[Paper]:
    """Return the contracts that wait for the customer's signature or approval, oldest first, in one statement."""
    to_sign, to_approve = (INSTALLATION.transition(name).sources for name in ("sign_contract", "approve"))
    rows = session.execute(
        select(Contract, Job)
        .join(Job, Job.id == Contract.job_id)
        .where(Job.status.in_([*to_sign, *to_approve]), Contract.voided_at.is_(None))
        .options(joinedload(Job.service_type), joinedload(Job.address))
        .order_by(Contract.id)
    )
    return [Paper(contract, job, job.status in to_sign) for contract, job in rows]


def contract_page(session: Session, actor: Actor, now: datetime, contract_id: int) -> ContractPage:
    """Return any version of a contract of the customer's; raises ``NotFound``."""
    contract = find(session, Contract, contract_id)
    job = _job(session, contract.job_id)
    current = current_contract(session, job.id)
    refusal = _refusal(session, actor, now, job, "sign_contract")
    return ContractPage(contract, job, current, refusal is None and current is not None and current.id == contract.id)


def job_page(session: Session, actor: Actor, now: datetime, job_id: int) -> JobPage:
    """Return a job of the customer's with everything they may see of it; raises ``NotFound``."""
    job = _job(session, job_id)
    refusal = _refusal(session, actor, now, job, "approve")
    return JobPage(job, job.appointments[::-1], current_contract(session, job.id), refusal)


def _refusal(session: Session, actor: Actor, now: datetime, job: Job, name: str) -> Refusal | None:
    if job.workflow != INSTALLATION.name:
        return Refusal("no_contract", sentence("There is nothing to sign or approve here."))
    return INSTALLATION.refusal(name, job.status, situation(session, actor, now, job, visits=job.appointments))


def _job(session: Session, job_id: int) -> Job:
    query = (
        select(Job)
        .where(Job.id == job_id)
        .options(
            joinedload(Job.address),
            joinedload(Job.service_type),
            selectinload(Job.items),
            selectinload(Job.appointments).joinedload(Appointment.technician),
        )
    )
    job = session.scalars(query).one_or_none() if 0 < job_id <= MAX_KEY else None
    if job is None:
        raise NotFound
    return job


class _Found(NamedTuple):
    """A visit with what ``_with_answers`` wants of it; its job has all its visits."""

    visit: Appointment
    rules: Rules
    request: ChangeRequest | None
    position: Position | None


def _found(session: Session, query: Select[*tuple[Any, ...]], asked: Mapping[str, Any]) -> list[_Found]:
    """Return the visits that ``query``, one of the statements below, is about, in time order."""
    # Of a visit there is a row for each override of its job.
    by_visit: dict[int, list[Any]] = defaultdict(list)
    for row in session.execute(query, asked):
        by_visit[row[0].id].append(row)
    of_job: dict[int, list[Appointment]] = defaultdict(list)
    for rows in by_visit.values():
        of_job[rows[0][0].job_id].append(rows[0][0])
    found = []
    for rows in by_visit.values():
        visit, is_asked, request, position = rows[0][:4]
        if is_asked:
            set_committed_value(visit.job, "appointments", of_job[visit.job_id])
            found.append(_Found(visit, rules_in(rows), request, position))
    return found


def _visits_query(is_asked: ColumnElement[bool], jobs: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    """Return the statement of the visits for which ``is_asked`` holds, and beside them all others of their ``jobs``."""
    query = (
        select(Appointment, is_asked, ChangeRequest, Position)
        .join(Job, Job.id == Appointment.job_id)
        .join(Address, Address.id == Job.address_id)
        .join(ServiceType, ServiceType.id == Job.service_type_id)
        .outerjoin(Technician, Technician.id == Appointment.technician_id)
        .outerjoin(ChangeRequest, and_(ChangeRequest.appointment_id == Appointment.id, ChangeRequest.status == PENDING))
        .outerjoin(Position, Position.appointment_id == Appointment.id)
        .where(jobs)
        .options(
            contains_eager(Appointment.job).options(contains_eager(Job.address), contains_eager(Job.service_type)),
            contains_eager(Appointment.technician),
        )
        .order_by(Appointment.start_at, Appointment.id)
    )
    return with_rules(query)


# Put together once: whatever customers do begins with one of these.
@cache
def _schedule_query() -> Select[*tuple[Any, ...]]:
    ended = select(Appointment.id).where(Appointment.status.not_in(sorted(OPEN)))
    newest_first = [column.desc() for column in NEWEST_FIRST.columns]
    latest = ended.order_by(*newest_first).limit(bindparam("past", type_=Integer))
    is_shown = or_(Appointment.status.in_(sorted(OPEN)), Appointment.id.in_(latest))
    return _visits_query(is_shown, Appointment.job_id.in_(select(Appointment.job_id).where(is_shown)))


@cache
def _one_visit() -> Select[*tuple[Any, ...]]:
    is_it = Appointment.id == bindparam("visit_id")
    return _visits_query(is_it, Appointment.job_id == select(Appointment.job_id).where(is_it).scalar_subquery())


def _with_answers(actor: Actor, now: datetime, found: _Found) -> CustomerVisit:
    visit, rules, request, position = found
    controls = rules.controls
    asked = Situation(actor, now, rules.zone, visit.job, visit, visit.job.appointments, controls=controls)
    decisions = {wish: decide(wish.value, asked) for wish in Wish}
    waits = request is not None
    return CustomerVisit(
        visit=visit,
        controls=controls,
        asked=asked,
        confirm=APPOINTMENT.refusal("confirm", visit.status, asked),
        move=decisions[Wish.MOVE],
        cancel=decisions[Wish.CANCEL],
        undo=pending_cancel_refusal(visit, actor, now),
        request=request,
        wishes=[wish for wish in Wish if wish_refusal(asked, decisions[wish], waits) is None],
        position=position,
    )


def _first_day(item: CustomerVisit, limits: Limits) -> date:
    return local_day(limits.earliest, item.asked.zone)


def _next_free(session: Session, item: CustomerVisit, limits: Limits, first: date, last: date) -> date | None:
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    search = _Search(session, item, limits, first, max(first, last))
    return next((day for day in days if search.on(day).starts), None)


class _Search:
    """Free times for moving one visit between two local dates; the calendars are gathered once."""

    def __init__(self, session: Session, item: CustomerVisit, limits: Limits, first: date, last: date) -> None:
        visit, zone = item.visit, item.asked.zone
        self.present = visit.start_at
        self.limits = limits
        self.wanted: Wanted
        self.board: Board
        self.wanted, self.board = times_for_customer(
            session,
            visit.partner_id,
            item.job.service_type_id,
            visit.technician_id,
            day_span(first, zone)[0],
            day_span(last, zone)[1],
            visit.end_at - visit.start_at,
            visit.id,
        )
        # Whoever has the visit keeps it, since nobody else's times are there.
        self.by_technician = visit.technician_id in self.board.fit

    def slots(self, day: date, only: datetime | None = None) -> list[Slot]:
        """Return every candidate start of ``day``, offered or refused; ``only`` the one at an instant, if it is one."""
        times = self.board
        return free_times(times.calendars, self.wanted, [day], times.zone, times.holidays, self.limits, only)

    def on(self, day: date) -> FreeDay:
        """Return the free starts of ``day``."""
        slots = self.slots(day)
        starts = [slot.start for slot in slots if slot.refusal is None and slot.start != self.present]
        return FreeDay(day, starts, closed=all(slot.refusal and slot.refusal.code == "holiday" for slot in slots))
