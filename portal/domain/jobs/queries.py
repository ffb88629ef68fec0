"""Reading jobs of one workflow within the session's scope: the list, one with everything on it, what forms offer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Integer, Select, and_, bindparam, func, literal, select, union_all
from sqlalchemy.orm import Session, joinedload

from portal.domain.actor import Actor, Role
from portal.domain.base import UtcDateTime
from portal.domain.errors import NotFound
from portal.domain.jobs.models import Appointment, HistoryEntry, Job, JobItem
from portal.domain.jobs.situations import Elsewhere, current_visit, elsewhere, open_visit
from portal.domain.jobs.states import APPOINTMENT, INSTALLATION, SERVICE, WORKFLOWS, Situation, job_refusal
from portal.domain.lifecycle import Workflow
from portal.domain.lookup import MAX_KEY, find
from portal.domain.paging import PAGE_ROWS, Cursor, Order, Page, beyond, page_from, page_of
from portal.domain.people.models import Address, Customer, Technician
from portal.domain.people.queries import words_in
from portal.domain.scheduling.models import Holiday, PauseReason, RejectReason, ServiceType, WorkingHours
from portal.domain.scheduling.queries import board_for
from portal.domain.scheduling.slots import Limits, Slot, free_times_by_day
from portal.domain.scheduling.zones import day_span, instant_at_or_after, local_day

# What can be done from a row of the list.
ROW_ACTIONS = {
    INSTALLATION.name: ("assign", "reassign", "reject"),
    SERVICE.name: ("approve", "schedule", "assign", "reassign"),
}
# A job without a visit comes after every other by date.
NO_DATE = datetime(9999, 1, 1, tzinfo=UTC)
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


# Of these workflows a job may have no date yet; of the others the date stands in an index.
_DATE_OR_NONE = func.coalesce(Job.start_at, literal(NO_DATE, UtcDateTime())).label("dated")
DATELESS = frozenset({SERVICE.name})


def order_of(workflow: str, sort: ListSort) -> Order:
    """Return the order of the list of jobs of ``workflow``."""
    date_of: Any = _DATE_OR_NONE if workflow in DATELESS else Job.start_at
    columns = (date_of, Job.id) if sort in (ListSort.DATE, ListSort.LATEST) else (Job.id,)
    return Order(columns, descending=sort in (ListSort.LATEST, ListSort.NEWEST))


def groups_of(workflow: str) -> tuple[str, ...]:
    """Return the status groups of ``workflow`` in the order of its table."""
    return tuple(dict.fromkeys(status.group for status in WORKFLOWS[workflow].statuses))


@dataclass(frozen=True, slots=True)
class ListFilter:
    """What the list of jobs of ``workflow`` is narrowed to (P8). ``first`` and ``last`` are local dates, both included.

    ``group`` is one of ``groups_of``; ``unassigned`` wins over ``technician_id``.
    """

    group: str | None = None
    first: date | None = None
    last: date | None = None
    technician_id: int | None = None
    unassigned: bool = False
    service_type_id: int | None = None
    text: str = ""
    workflow: str = INSTALLATION.name

    @property
    def usual_sort(self) -> ListSort:
        """Earliest first; the latest first for a group of nothing but ends, where nothing is to come.

        Where jobs begin without a date the newest come first, among all and in the group they begin in.
        """
        if self.group in (None, groups_of(self.workflow)[0]) and self.workflow in DATELESS:
            return ListSort.NEWEST
        ended = self.group is not None and all(
            WORKFLOWS[self.workflow].is_end(name) for name in statuses_of(self.group, self.workflow)
        )
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


def statuses_of(group: str, workflow: str = INSTALLATION.name) -> list[str]:
    """Return the names of the statuses of ``workflow`` in ``group``."""
    return [status.name for status in WORKFLOWS[workflow].statuses if status.group == group]


def list_jobs(
    session: Session,
    actor: Actor,
    now: datetime,
    zone: ZoneInfo,
    wanted: ListFilter,
    sort: ListSort,
    cursor: Cursor | None = None,
    limit: int = PAGE_ROWS,
) -> Page[ListRow]:
    """Return a page of jobs of one workflow (P8), in one statement however many there are.

    By date and without another beginning the first page starts with today in ``zone``; *back* leads into the past.
    """
    today = beginning(wanted, sort, now, zone) if cursor is None else None
    start = cursor or today
    given = _given(wanted, zone)
    order = order_of(wanted.workflow, sort)
    backwards = start.backwards if start is not None else None
    shape = _Shape(wanted.workflow, sort, backwards, today is not None, frozenset(given))
    values = {"limit": limit + 1, "recent": now - RECENT, **given}
    if start is not None:
        values |= {f"key_{number}": value for number, value in enumerate(start.key)}
    text = wanted.text.strip()
    # The words of a search are part of the statement, so that one is put together anew.
    found = session.execute(_paged(shape, text) if text else _usually_paged(shape), values).all()
    rows = list({row.id: row for row in found}.values())
    visits: dict[int, list[_Visit]] = defaultdict(list)
    for row in found:
        if row[-len(_VISIT)] is not None:
            visits[row.id].append(_Visit(*row[-len(_VISIT) :]))
    page = page_from(rows, order, start, limit)
    back = page.back
    if today is not None:
        # Whether anything is earlier comes along with the rows; only a page without any has to ask again.
        earlier = (
            rows[0].has_past
            if rows
            else session.execute(_past(_held(_listed(wanted.workflow), shape.given, text)).limit(1), values).first()
        )
        back = (page.back or Cursor(today.key, backwards=True)) if earlier else None
    return Page([_row(row, visits[row.id], actor, now, zone) for row in page.rows], back, page.forward)


def beginning(wanted: ListFilter, sort: ListSort, now: datetime, zone: ZoneInfo) -> Cursor | None:
    """Return where the list begins where that is today in ``zone``; ``None`` where it is its first row."""
    if sort is not ListSort.DATE or not wanted.starts_today:
        return None
    return Cursor((day_span(local_day(now, zone), zone)[0], 0))


def _listed(workflow: str) -> Select[Any]:
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
    if workflow in DATELESS:
        columns = (*columns, _DATE_OR_NONE)
    return _joined(select(*columns), workflow)


def _joined(query: Select[Any], workflow: str) -> Select[Any]:
    """Return ``query`` of jobs of ``workflow`` with everything that filters look at."""
    return (
        query.join(Customer, Customer.id == Job.customer_id)
        .join(Address, Address.id == Job.address_id)
        .outerjoin(Technician, Technician.id == Job.technician_id)
        .where(Job.workflow == workflow)
    )


@dataclass(frozen=True, slots=True)
class _Shape:
    """What of a list its statement depends on; everything else are values. ``backwards`` is ``None`` at the start."""

    workflow: str
    sort: ListSort
    backwards: bool | None
    from_today: bool
    given: frozenset[str]


def _given(wanted: ListFilter, zone: ZoneInfo) -> dict[str, Any]:
    """Return the values of the conditions of ``_CONDITIONS`` that hold."""
    given: dict[str, Any] = {}
    if wanted.group is not None:
        given["statuses"] = statuses_of(wanted.group, wanted.workflow)
    if wanted.first is not None:
        given["first"] = day_span(wanted.first, zone)[0]
    if wanted.last is not None:
        given["last"] = day_span(wanted.last, zone)[1]
    if wanted.unassigned:
        given["unassigned"] = True
    elif wanted.technician_id is not None:
        given["technician"] = wanted.technician_id
    if wanted.service_type_id is not None:
        given["service_type"] = wanted.service_type_id
    return given


_CONDITIONS = {
    "statuses": Job.status.in_(bindparam("statuses", expanding=True)),
    "first": Job.start_at >= bindparam("first"),
    "last": Job.start_at < bindparam("last"),
    "unassigned": Job.technician_id.is_(None),
    "technician": Job.technician_id == bindparam("technician"),
    "service_type": Job.service_type_id == bindparam("service_type"),
}
_SEARCHED = (Job.number, Job.title, Customer.name, Address.line, Address.city, Address.postcode)


def _held(query: Select[Any], given: frozenset[str], text: str) -> Select[Any]:
    query = query.where(*(_CONDITIONS[name] for name in sorted(given)))
    return query.where(words_in(text, _SEARCHED)) if text else query


def _narrowed(query: Select[Any], wanted: ListFilter, zone: ZoneInfo) -> Select[Any]:
    given = _given(wanted, zone)
    return _held(query, frozenset(given), wanted.text.strip()).params(given)


@dataclass(slots=True)
class _Visit:
    """What the list has to know of a visit, in the order of ``_VISIT``."""

    id: int
    status: str
    technician_id: int | None
    start_at: datetime
    window_minutes: int
    work_began_at: datetime | None
    cancel_at: datetime | None
    customer_moves: int
    is_confirmed: bool
    moved_by_customer: bool


# Only the latest planning counts: the office may have moved the visit since.
_MOVED_BY_CUSTOMER = and_(
    Appointment.planned_at > bindparam("recent"),
    select(HistoryEntry.id)
    .where(
        HistoryEntry.job_id == Appointment.job_id,
        HistoryEntry.appointment_id == Appointment.id,
        HistoryEntry.action == "reschedule",
        HistoryEntry.actor_role == Role.CUSTOMER,
        HistoryEntry.at == Appointment.planned_at,
    )
    .exists(),
)
_VISIT = (
    Appointment.id.label("visit_id"),
    Appointment.status.label("visit_status"),
    Appointment.technician_id.label("visit_technician_id"),
    Appointment.start_at.label("visit_start_at"),
    Appointment.window_minutes,
    Appointment.work_began_at,
    Appointment.cancel_at,
    Appointment.customer_moves,
    Appointment.confirmed_at.is_not(None).label("is_confirmed"),
    _MOVED_BY_CUSTOMER.label("moved_by_customer"),
)


def _past(query: Select[Any]) -> Select[Any]:
    return query.where(Job.start_at < bindparam("key_0"))


def _paged(shape: _Shape, text: str = "") -> Select[Any]:
    """Return the statement of a page: its jobs, each once for every visit it has."""
    order = order_of(shape.workflow, shape.sort)
    query = _held(_listed(shape.workflow), shape.given, text)
    if shape.from_today:
        query = query.add_columns(_past(query).correlate(None).exists().label("has_past"))
    if shape.backwards is not None:
        key = [bindparam(f"key_{number}", type_=column.type) for number, column in enumerate(order.columns)]
        query = query.where(beyond(order, shape.backwards, key))
    falling = order.descending != bool(shape.backwards)

    def sorted_by(columns: Iterable[Any]) -> list[ColumnElement[Any]]:
        return [column.desc() if falling else column.asc() for column in columns]

    page = query.order_by(*sorted_by(order.columns)).limit(bindparam("limit", type_=Integer)).subquery("page")
    return (
        select(*page.c, *_VISIT)
        .outerjoin_from(page, Appointment, Appointment.job_id == page.c.id)
        .order_by(*sorted_by(page.c[column.key] for column in order.columns), Appointment.start_at, Appointment.id)
    )


# Put together once for each shape: every page of the list runs it.
_usually_paged = lru_cache(maxsize=256)(_paged)


def _row(row: Any, visits: Sequence[_Visit], actor: Actor, now: datetime, zone: ZoneInfo) -> ListRow:
    shown = current_visit(visits)
    asked = Situation(actor, now, zone, job=row, visit=open_visit(visits), visits=visits)
    return ListRow(
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
        moved_by_customer=shown is not None and shown.moved_by_customer,
        actions=tuple(name for name in ROW_ACTIONS[row.workflow] if job_refusal(name, asked) is None),
    )


@dataclass(frozen=True, slots=True)
class Picked:
    """Jobs that somebody ticked, each by key, number and customer; ``more`` says that these are not all."""

    rows: Sequence[Any]
    more: bool


def picked(session: Session, keys: Sequence[int], most: int, workflow: str = INSTALLATION.name) -> Picked:
    """Return the first ``most`` of the jobs of ``workflow`` with ``keys``, in that order, without what is not there."""
    wanted = list(dict.fromkeys(key for key in keys if 0 < key <= MAX_KEY))
    query = _ticked(workflow).where(Job.id.in_(wanted[:most]))
    place = {key: index for index, key in enumerate(wanted)}
    return Picked(sorted(session.execute(query), key=lambda row: place[row.id]), len(wanted) > most)


def picked_by(session: Session, now: datetime, zone: ZoneInfo, wanted: ListFilter, sort: ListSort, most: int) -> Picked:
    """Return the first ``most`` of what is ``wanted``, from where the list begins."""
    order = order_of(wanted.workflow, sort)
    query = _narrowed(_ticked(wanted.workflow).add_columns(order.columns[0]), wanted, zone)
    page = page_of(session, query, order, beginning(wanted, sort, now, zone), most, scalars=False)
    return Picked(page.rows, page.forward is not None)


def _ticked(workflow: str) -> Select[Any]:
    columns: tuple[Any, ...] = (Job.id, Job.number, Customer.name.label("customer"))
    return _joined(select(*columns), workflow)


@dataclass(frozen=True, slots=True)
class Exported:
    """One job as the export shows it: its columns by name, and its lines in one text."""

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
    query = _listed(wanted.workflow).join(ServiceType, ServiceType.id == Job.service_type_id).add_columns(*columns)
    query = _narrowed(query, wanted, zone)
    if keys is not None:
        query = query.where(Job.id.in_([key for key in keys if 0 < key <= MAX_KEY]))
    page = page_of(session, query, order_of(wanted.workflow, sort), cursor, limit, scalars=False)
    items: dict[int, list[str]] = defaultdict(list)
    lines = select(JobItem.job_id, JobItem.name, JobItem.quantity).where(
        JobItem.job_id.in_([row.id for row in page.rows])
    )
    for job_id, name, quantity in session.execute(lines.order_by(JobItem.job_id, JobItem.position)):
        items[job_id].append(f"{quantity} × {name}")
    return Page([Exported(row, "; ".join(items[row.id])) for row in page.rows], page.back, page.forward)


# Put together once: every page of the list runs it.
_OPTIONS = union_all(
    select(literal("technician").label("kind"), Technician.id.label("id"), Technician.name.label("name")),
    select(literal("service_type"), ServiceType.id, ServiceType.name),
)


def list_options(session: Session) -> ListOptions:
    """Return what the list can be filtered by, in one statement; former technicians have installations too."""
    found: dict[str, list[Choice]] = {"technician": [], "service_type": []}
    for kind, key, name in session.execute(_OPTIONS):
        found[kind].append(Choice(key, name))
    return ListOptions(*(sorted(found[kind], key=lambda choice: (choice.name.casefold(), choice.id)) for kind in found))


@dataclass(frozen=True, slots=True)
class JobTarget:
    """One job as pages show it: ``job`` with customer, address, service type, technician and items loaded.

    ``visit`` is the one that lists and buttons are about, or that was ``chosen``; ``visits`` are all, each with its
    technician, in time order; ``elsewhere`` is what else their technicians have.
    """

    job: Job
    visits: Sequence[Appointment]
    visit: Appointment | None
    asked: Situation
    elsewhere: Elsewhere
    chosen: bool = False

    @property
    def workflow(self) -> Workflow[Situation]:
        """The table of the job."""
        return WORKFLOWS[self.job.workflow]

    @property
    def planned(self) -> Appointment | None:
        """The visit that acts are about: the chosen one, else the open one, if there is one."""
        return self.visit if self.chosen else open_visit(self.visits)

    @property
    def actions(self) -> tuple[str, ...]:
        """The names of the job's transitions that would be accepted now."""
        return tuple(row.name for row in self.workflow.transitions if job_refusal(row.name, self.asked) is None)

    @property
    def steps(self) -> tuple[str, ...]:
        """The names of the transitions of the visit that acts are about which would be accepted now."""
        if self.planned is None:
            return ()
        return tuple(row.name for row in APPOINTMENT.available(self.planned.status, self.asked))

    def choosing(self, visit: Appointment) -> JobTarget:
        """Return the same with ``visit``, one of its own, as the one that acts are about."""
        elsewhere, taken = self.elsewhere.of(visit)
        asked = replace(self.asked, visit=visit, technician_elsewhere=elsewhere, time_taken=taken)
        return replace(self, visit=visit, asked=asked, chosen=True)


def job_target(
    session: Session,
    actor: Actor,
    now: datetime,
    zone: ZoneInfo,
    job_id: int,
    workflow: str = INSTALLATION.name,
    visit_id: int | None = None,
) -> JobTarget:
    """Return the job of ``workflow`` with that key as of ``now`` (an instant), about ``visit_id`` if given.

    At most three statements. Raises ``NotFound``, also for a visit of another job.
    """
    job = job_with_items(session, job_id, workflow)
    visits = visits_with_technicians(session, job)
    target = target_of(actor, now, zone, job, visits, elsewhere(session, visits))
    if visit_id is None:
        return target
    for visit in visits:
        if visit.id == visit_id:
            return target.choosing(visit)
    raise NotFound


def job_with_items(session: Session, job_id: int, workflow: str) -> Job:
    """Return a job of ``workflow`` with what ``JobTarget`` says, as it is now; raises ``NotFound``. One statement."""
    if not 0 < job_id <= MAX_KEY:
        raise NotFound
    given = {"job": job_id, "workflow": workflow}
    fresh = {"populate_existing": True}
    job = session.scalars(_with_items(), given, execution_options=fresh).unique().one_or_none()
    if job is None:
        raise NotFound
    return job


def visits_with_technicians(session: Session, job: Job) -> Sequence[Appointment]:
    """Return the visits of ``job`` as they are now, each with its technician, in time order. One statement."""
    return session.scalars(_with_technicians(), {"job": job.id}, execution_options={"populate_existing": True}).all()


def target_of(
    actor: Actor, now: datetime, zone: ZoneInfo, job: Job, visits: Sequence[Appointment], elsewhere: Elsewhere
) -> JobTarget:
    """Return what was read of ``job`` as pages show it to ``actor`` at ``now`` (an instant)."""
    opened = open_visit(visits)
    busy, taken = elsewhere.of(opened)
    asked = Situation(
        actor=actor,
        now=now,
        zone=zone,
        job=job,
        visit=opened,
        visits=visits,
        technician_elsewhere=busy,
        time_taken=taken,
    )
    return JobTarget(job, visits, current_visit(visits), asked, elsewhere)


# Put together once: every page of a job and every form on it runs them.
@cache
def _with_items() -> Select[Job]:
    return (
        select(Job)
        .options(
            joinedload(Job.customer),
            joinedload(Job.address),
            joinedload(Job.service_type),
            joinedload(Job.technician),
            joinedload(Job.items),
        )
        .where(Job.id == bindparam("job"), Job.workflow == bindparam("workflow"))
    )


@cache
def _with_technicians() -> Select[Appointment]:
    visits = select(Appointment).options(joinedload(Appointment.technician))
    return visits.where(Appointment.job_id == bindparam("job")).order_by(Appointment.start_at, Appointment.id)


def service_types(session: Session) -> list[ServiceType]:
    """Return the service types that can be scheduled, by name."""
    return list(session.scalars(select(ServiceType).where(ServiceType.active.is_(True)).order_by(ServiceType.name)))


def drawing_of(session: Session, visit_id: int) -> tuple[bytes, str]:
    """Return what was drawn when a visit was signed (a PNG) and its SHA-256; raises ``NotFound`` where nothing was."""
    query = select(Appointment.drawing, Appointment.drawing_sha256).where(Appointment.id == visit_id)
    found = session.execute(query).one_or_none() if 0 < visit_id <= MAX_KEY else None
    if found is None or found.drawing is None:
        raise NotFound
    return found.drawing, found.drawing_sha256


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

    As ``times_for_staff``; the visit's own old time does not count against it.
    """
    usual = visit.end_at - visit.start_at if visit is not None else None
    length = usual if duration is None else duration
    without = visit.id if visit is not None else None
    return _times(session, job.partner_id, job.service_type_id, technician_id, days, now, length, without)


def times_for_staff(
    session: Session,
    service_type_id: int,
    technician_id: int | None,
    days: Sequence[date],
    now: datetime,
    duration: timedelta | None = None,
) -> dict[date, list[Slot]]:
    """Return for each of ``days`` (local dates, in order) the candidate starts for a visit of a kind of work.

    Offered and refused (M4, P13), of one technician, or without one of anybody who is Available. Staff are bound by
    nothing but the present. As many statements for many days as for one; raises ``NotFound``.
    """
    kind = find(session, ServiceType, service_type_id)
    return _times(session, kind.partner_id, kind.id, technician_id, days, now, duration)


def _times(
    session: Session,
    partner_id: int,
    service_type_id: int,
    technician_id: int | None,
    days: Sequence[date],
    now: datetime,
    duration: timedelta | None = None,
    without_visit: int | None = None,
) -> dict[date, list[Slot]]:
    people = None if technician_id is None else [technician_id]
    start, end = (datetime.combine(day, time.min, tzinfo=now.tzinfo) for day in (days[0], days[-1]))
    wanted, times = board_for(
        session, partner_id, service_type_id, people, start, end + timedelta(days=1), duration, without_visit
    )
    return free_times_by_day(times.calendars, wanted, days, times.zone, times.holidays, Limits(earliest=now))
