"""Reading installations within the session's scope: the list, one with everything on it, what forms offer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Select, literal, select, union_all
from sqlalchemy.orm import Session, joinedload, selectinload

from portal.domain.actor import Actor, Role
from portal.domain.contracts.models import Contract
from portal.domain.errors import NotFound
from portal.domain.jobs.models import Appointment, HistoryEntry, Job, JobItem
from portal.domain.jobs.situations import current_visit, is_elsewhere, is_time_taken, open_visit
from portal.domain.jobs.states import APPOINTMENT, INSTALLATION, Situation
from portal.domain.lookup import MAX_KEY, find
from portal.domain.messages.models import Message
from portal.domain.paging import PAGE_ROWS, Cursor, Order, Page, page_of
from portal.domain.people.models import Address, Customer, Technician
from portal.domain.people.queries import words_in
from portal.domain.scheduling.models import Holiday, PauseReason, RejectReason, ServiceType, WorkingHours
from portal.domain.scheduling.queries import board, bookable_technicians, wanted_for
from portal.domain.scheduling.slots import Limits, Slot, free_times
from portal.domain.scheduling.zones import day_span, instant_at_or_after, local_day

ROW_ACTIONS = ("assign", "reassign", "reject")
GROUPS = tuple(dict.fromkeys(status.group for status in INSTALLATION.statuses))
# How long the list says that a customer moved a visit.
RECENT = timedelta(hours=24)
# How far the search for the next working day goes.
LONGEST_BREAK_DAYS = 60


class ListSort(StrEnum):
    """How the list may be sorted; a minus for falling. Numbers are given in the order of keys."""

    DATE = "date"
    LATEST = "-date"
    NUMBER = "number"
    NEWEST = "-number"


ORDERS = {
    ListSort.DATE: Order((Job.start_at, Job.id)),
    ListSort.LATEST: Order((Job.start_at, Job.id), descending=True),
    ListSort.NUMBER: Order((Job.id,)),
    ListSort.NEWEST: Order((Job.id,), descending=True),
}


@dataclass(frozen=True, slots=True)
class ListFilter:
    """What the list is narrowed to (P8). ``first`` and ``last`` are local dates, both included.

    ``group`` is one of ``GROUPS``; ``unassigned`` wins over ``technician_id``.
    """

    group: str | None = None
    first: date | None = None
    last: date | None = None
    technician_id: int | None = None
    unassigned: bool = False
    service_type_id: int | None = None
    text: str = ""

    @property
    def usual_sort(self) -> ListSort:
        """Earliest first; the latest first for a group of nothing but ends, where nothing is to come."""
        ended = self.group is not None and all(INSTALLATION.is_end(name) for name in statuses_of(self.group))
        return ListSort.LATEST if ended else ListSort.DATE

    @property
    def starts_today(self) -> bool:
        """Whether the list by date begins with today: unless something was asked for that has its own beginning."""
        return not (self.group or self.first or self.last or self.text)


@dataclass(frozen=True, slots=True)
class ListRow:
    """One installation as the list shows it; ``actions`` are those of ``ROW_ACTIONS`` that would be accepted now."""

    id: int
    workflow: str
    number: str
    title: str
    status: str
    reason: str
    customer: str
    address: str
    technician_id: int | None
    technician: str | None
    start_at: datetime
    window_minutes: int
    cancel_at: datetime | None
    moved_by_customer: bool
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """A key and a name, for a select."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class ListOptions:
    """What the list can be filtered by: every technician and service type there is, by name."""

    technicians: Sequence[Choice]
    service_types: Sequence[Choice]


def statuses_of(group: str) -> list[str]:
    """Return the names of the statuses in ``group``."""
    return [status.name for status in INSTALLATION.statuses if status.group == group]


def list_installations(
    session: Session,
    actor: Actor,
    now: datetime,
    zone: ZoneInfo,
    wanted: ListFilter,
    sort: ListSort,
    cursor: Cursor | None = None,
    limit: int = PAGE_ROWS,
) -> Page[ListRow]:
    """Return a page of installations (P8), in two statements however many there are.

    By date and without another beginning the first page starts with today in ``zone``; *back* leads into the past.
    """
    order = ORDERS[sort]
    query = _narrowed(_listed(), wanted, zone)
    today = beginning(wanted, sort, now, zone) if cursor is None else None
    if today is not None:
        # Whether anything is earlier comes along with the rows; only a page without any has to ask again.
        past = query.where(Job.start_at < today.key[0])
        query = query.add_columns(past.correlate(None).exists().label("has_past"))
    page = page_of(session, query, order, cursor or today, limit, scalars=False)
    back = page.back
    if today is not None:
        earlier = page.rows[0].has_past if page.rows else session.execute(past.limit(1)).first()
        back = (page.back or Cursor(today.key, backwards=True)) if earlier else None
    rows = _with_actions(session, actor, now, zone, page.rows)
    return Page(rows, back, page.forward)


def beginning(wanted: ListFilter, sort: ListSort, now: datetime, zone: ZoneInfo) -> Cursor | None:
    """Return where the list begins where that is today in ``zone``; ``None`` where it is its first row."""
    if sort is not ListSort.DATE or not wanted.starts_today:
        return None
    return Cursor((day_span(local_day(now, zone), zone)[0], 0))


def _listed() -> Select[Any]:
    columns: tuple[Any, ...] = (
        Job.id,
        Job.workflow,
        Job.number,
        Job.title,
        Job.status,
        Job.reject_reason,
        Job.cancel_reason,
        Job.technician_id,
        Job.start_at,
        Customer.name.label("customer"),
        Technician.name.label("technician"),
        Address.line,
        Address.postcode,
    )
    return _joined(select(*columns))


def _joined(query: Select[Any]) -> Select[Any]:
    """Return ``query`` of installations with everything that filters look at."""
    return (
        query.join(Customer, Customer.id == Job.customer_id)
        .join(Address, Address.id == Job.address_id)
        .outerjoin(Technician, Technician.id == Job.technician_id)
        .where(Job.workflow == INSTALLATION.name)
    )


def _narrowed(query: Select[Any], wanted: ListFilter, zone: ZoneInfo) -> Select[Any]:
    if wanted.group is not None:
        query = query.where(Job.status.in_(statuses_of(wanted.group)))
    if wanted.first is not None:
        query = query.where(Job.start_at >= day_span(wanted.first, zone)[0])
    if wanted.last is not None:
        query = query.where(Job.start_at < day_span(wanted.last, zone)[1])
    if wanted.unassigned:
        query = query.where(Job.technician_id.is_(None))
    elif wanted.technician_id is not None:
        query = query.where(Job.technician_id == wanted.technician_id)
    if wanted.service_type_id is not None:
        query = query.where(Job.service_type_id == wanted.service_type_id)
    if wanted.text.strip():
        searched = (Job.number, Job.title, Customer.name, Address.line, Address.city, Address.postcode)
        query = query.where(words_in(wanted.text, searched))
    return query


def _with_actions(session: Session, actor: Actor, now: datetime, zone: ZoneInfo, rows: Sequence[Any]) -> list[ListRow]:
    visits: dict[int, list[Appointment]] = defaultdict(list)
    moved: set[int] = set()
    # Only the latest planning counts: the office may have moved the visit since.
    moved_by_customer = (
        select(HistoryEntry.id)
        .where(
            HistoryEntry.job_id == Appointment.job_id,
            HistoryEntry.appointment_id == Appointment.id,
            HistoryEntry.action == "reschedule",
            HistoryEntry.actor_role == Role.CUSTOMER,
            HistoryEntry.at == Appointment.planned_at,
        )
        .exists()
    )
    query = select(Appointment, moved_by_customer).where(Appointment.job_id.in_([row.id for row in rows]))
    for visit, by_customer in session.execute(query) if rows else ():
        visits[visit.job_id].append(visit)
        if by_customer and visit.planned_at > now - RECENT:
            moved.add(visit.id)
    listed = []
    for row in rows:
        shown = current_visit(visits[row.id])
        asked = Situation(actor, now, zone, job=row, visit=open_visit(visits[row.id]), visits=visits[row.id])
        allowed = tuple(name for name in ROW_ACTIONS if INSTALLATION.refusal(name, row.status, asked) is None)
        listed.append(
            ListRow(
                id=row.id,
                workflow=row.workflow,
                number=row.number,
                title=row.title,
                status=row.status,
                reason=row.reject_reason or row.cancel_reason,
                customer=row.customer,
                address=", ".join(part for part in (row.line, row.postcode) if part),
                technician_id=row.technician_id,
                technician=row.technician,
                start_at=row.start_at,
                window_minutes=shown.window_minutes if shown is not None else 0,
                cancel_at=shown.cancel_at if shown is not None else None,
                moved_by_customer=shown is not None and shown.id in moved,
                actions=allowed,
            )
        )
    return listed


@dataclass(frozen=True, slots=True)
class Picked:
    """Installations that somebody ticked, each by key, number and customer; ``more`` says that these are not all."""

    rows: Sequence[Any]
    more: bool


def picked(session: Session, keys: Sequence[int], most: int) -> Picked:
    """Return the first ``most`` of the installations with ``keys``, in that order; what is not there is left out."""
    wanted = list(dict.fromkeys(key for key in keys if 0 < key <= MAX_KEY))
    query = _ticked().where(Job.id.in_(wanted[:most]))
    place = {key: index for index, key in enumerate(wanted)}
    return Picked(sorted(session.execute(query), key=lambda row: place[row.id]), len(wanted) > most)


def picked_by(session: Session, now: datetime, zone: ZoneInfo, wanted: ListFilter, sort: ListSort, most: int) -> Picked:
    """Return the first ``most`` of what is ``wanted``, from where the list begins."""
    query = _narrowed(_ticked().add_columns(Job.start_at), wanted, zone)
    page = page_of(session, query, ORDERS[sort], beginning(wanted, sort, now, zone), most, scalars=False)
    return Picked(page.rows, page.forward is not None)


def _ticked() -> Select[Any]:
    columns: tuple[Any, ...] = (Job.id, Job.number, Customer.name.label("customer"))
    return _joined(select(*columns))


@dataclass(frozen=True, slots=True)
class Exported:
    """One installation as the export shows it: its columns by name, and its lines in one text."""

    row: Any
    items: str


def exported(
    session: Session,
    zone: ZoneInfo,
    wanted: ListFilter,
    sort: ListSort,
    keys: Sequence[int] | None = None,
    cursor: Cursor | None = None,
    limit: int = PAGE_ROWS,
) -> Page[Exported]:
    """Return some rows of the export (P16): everything that is ``wanted``, past and to come; with ``keys`` only these.

    Two statements.
    """
    columns: tuple[Any, ...] = (
        Customer.email,
        Customer.phone,
        Address.city,
        Job.end_at,
        Job.service_type_id,
        Job.notes,
        Job.created_at,
        ServiceType.name.label("service_type"),
    )
    query = _listed().join(ServiceType, ServiceType.id == Job.service_type_id).add_columns(*columns)
    query = _narrowed(query, wanted, zone)
    if keys is not None:
        query = query.where(Job.id.in_([key for key in keys if 0 < key <= MAX_KEY]))
    page = page_of(session, query, ORDERS[sort], cursor, limit, scalars=False)
    items: dict[int, list[str]] = defaultdict(list)
    lines = select(JobItem.job_id, JobItem.name, JobItem.quantity).where(
        JobItem.job_id.in_([row.id for row in page.rows])
    )
    for job_id, name, quantity in session.execute(lines.order_by(JobItem.job_id, JobItem.position)):
        items[job_id].append(f"{quantity} × {name}")
    return Page([Exported(row, "; ".join(items[row.id])) for row in page.rows], page.back, page.forward)


def list_options(session: Session) -> ListOptions:
    """Return what the list can be filtered by, in one statement; former technicians have installations too."""
    kind, key, name = literal("technician").label("kind"), Technician.id.label("id"), Technician.name.label("name")
    query = union_all(
        select(kind, key, name),
        select(literal("service_type"), ServiceType.id, ServiceType.name),
    )
    found: dict[str, list[Choice]] = {"technician": [], "service_type": []}
    for row in session.execute(query):
        found[row.kind].append(Choice(row.id, row.name))
    return ListOptions(*(sorted(found[kind], key=lambda choice: (choice.name.casefold(), choice.id)) for kind in found))


@dataclass(frozen=True, slots=True)
class Installation:
    """One installation as pages show it: ``job`` with customer, address, service type, technician and items loaded.

    ``visit`` is the one that lists and buttons are about; ``visits`` are all, each with its technician, in time order.
    """

    job: Job
    visits: Sequence[Appointment]
    visit: Appointment | None
    asked: Situation

    @property
    def actions(self) -> tuple[str, ...]:
        """The names of the job's transitions that would be accepted now."""
        return tuple(row.name for row in INSTALLATION.available(self.job.status, self.asked))

    @property
    def steps(self) -> tuple[str, ...]:
        """The names of the open visit's transitions that would be accepted now."""
        opened = open_visit(self.visits)
        if opened is None:
            return ()
        return tuple(row.name for row in APPOINTMENT.available(opened.status, self.asked))


def installation(session: Session, actor: Actor, now: datetime, zone: ZoneInfo, job_id: int) -> Installation:
    """Return the installation with that key as of ``now`` (an instant); raises ``NotFound``."""
    if not 0 < job_id <= MAX_KEY:
        raise NotFound
    query = (
        select(Job)
        .options(
            joinedload(Job.customer),
            joinedload(Job.address),
            joinedload(Job.service_type),
            joinedload(Job.technician),
            selectinload(Job.items),
            selectinload(Job.appointments).joinedload(Appointment.technician),
        )
        .where(Job.id == job_id, Job.workflow == INSTALLATION.name)
    )
    job = session.scalars(query, execution_options={"populate_existing": True}).one_or_none()
    if job is None:
        raise NotFound
    visits = list(job.appointments)
    opened = open_visit(visits)
    asked = Situation(
        actor=actor,
        now=now,
        zone=zone,
        job=job,
        visit=opened,
        visits=visits,
        technician_elsewhere=is_elsewhere(session, opened),
        time_taken=is_time_taken(session, opened),
    )
    return Installation(job, visits, current_visit(visits), asked)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the detail page shows around an installation (P12): newest first, but for contracts."""

    history: Sequence[HistoryEntry]
    messages: Sequence[Message]
    contracts: Sequence[Contract]
    replaced: Job | None
    replacements: Sequence[Job]


def surroundings(session: Session, job: Job) -> Surroundings:
    """Return history, messages, contract versions and linked installations of ``job``."""
    linked = select(Job).where((Job.replaces_id == job.id) | (Job.id == job.replaces_id)).order_by(Job.id)
    found = list(session.scalars(linked))
    return Surroundings(
        history=list(
            session.scalars(select(HistoryEntry).where(HistoryEntry.job_id == job.id).order_by(HistoryEntry.id.desc()))
        ),
        messages=list(session.scalars(select(Message).where(Message.job_id == job.id).order_by(Message.id.desc()))),
        contracts=list(session.scalars(select(Contract).where(Contract.job_id == job.id).order_by(Contract.revision))),
        replaced=next((row for row in found if row.id == job.replaces_id), None),
        replacements=[row for row in found if row.replaces_id == job.id],
    )


def service_types(session: Session) -> list[ServiceType]:
    """Return the service types that can be scheduled, by name."""
    return list(session.scalars(select(ServiceType).where(ServiceType.active.is_(True)).order_by(ServiceType.name)))


def pause_reasons(session: Session) -> list[PauseReason]:
    """Return the partner's reasons for pausing, in their order (J5)."""
    query = select(PauseReason).where(PauseReason.active.is_(True)).order_by(PauseReason.position, PauseReason.id)
    return list(session.scalars(query))


def reject_reasons(session: Session) -> list[RejectReason]:
    """Return the partner's reasons for rejecting, in their order (P10)."""
    query = select(RejectReason).where(RejectReason.active.is_(True)).order_by(RejectReason.position, RejectReason.id)
    return list(session.scalars(query))


def addresses_for(session: Session, job: Job) -> list[Address]:
    """Return the addresses that ``job`` can be at: its own and those its customer uses, in the order of adding."""
    query = select(Address).where(
        Address.customer_id == job.customer_id, Address.active.is_(True) | (Address.id == job.address_id)
    )
    return list(session.scalars(query.order_by(Address.id)))


def usual_start(session: Session, partner_id: int, now: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the first working instant of the partner's next working day after today (P3).

    ``None`` for a partner without a working week of its own.
    """
    hours = select(WorkingHours.weekday, WorkingHours.start_minute).where(
        WorkingHours.partner_id == partner_id, WorkingHours.technician_id.is_(None)
    )
    starts: dict[int, int] = {}
    for weekday, minute in session.execute(hours):
        starts[weekday] = min(minute, starts.get(weekday, minute))
    today = local_day(now, zone)
    holidays = set(
        session.scalars(select(Holiday.day).where(Holiday.partner_id == partner_id, Holiday.day > today)).all()
    )
    for ahead in range(1, LONGEST_BREAK_DAYS):
        day = today + timedelta(days=ahead)
        if day.weekday() in starts and day not in holidays:
            minute = starts[day.weekday()]
            return instant_at_or_after(day, time(minute // 60, minute % 60), zone)
    return None


def staff_times(
    session: Session,
    job: Job,
    visit: Appointment | None,
    technician_id: int | None,
    days: Sequence[date],
    now: datetime,
    duration: timedelta | None = None,
) -> dict[date, list[Slot]]:
    """Return for each of ``days`` (local dates, in order) the candidate starts for moving ``visit`` of ``job``.

    Offered and refused (M4, P13), of one technician, or without one of anybody who is Available. Staff are bound by
    nothing but the present. As many statements for many days as for one.
    """
    kind = find(session, ServiceType, job.service_type_id)
    usual = visit.end_at - visit.start_at if visit is not None else None
    wanted = wanted_for(kind, usual if duration is None else duration)
    people = (
        bookable_technicians(session, job.partner_id)
        if technician_id is None
        else [find(session, Technician, technician_id)]
    )
    start, end = (datetime.combine(day, time.min, tzinfo=now.tzinfo) for day in (days[0], days[-1]))
    times = board(
        session, job.partner_id, people, start, end + timedelta(days=1), without_visit=visit.id if visit else None
    )
    limits = Limits(earliest=now)
    return {day: free_times(times.calendars, wanted, [day], times.zone, times.holidays, limits) for day in days}
