"""Reading set-up, and what the search for free times needs: as many statements for many technicians as for one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache, partial
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Date,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.orm import Session, selectinload

from portal.domain.base import Key, UtcDateTime
from portal.domain.errors import NotFound
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.states import ACTIVE
from portal.domain.lookup import MAX_KEY
from portal.domain.paging import PAGE_ROWS, Cursor, Order, Page, page_of
from portal.domain.people.models import Partner, Technician, TechnicianStatus
from portal.domain.prepared import Prepared, among
from portal.domain.scheduling.hits import ComingVisit, Rota
from portal.domain.scheduling.models import (
    ControlOverride,
    FeatureControls,
    Holiday,
    PauseReason,
    RejectReason,
    ServiceType,
    ServiceTypeSkill,
    Skill,
    TechnicianSkill,
    TimeOff,
    WorkingHours,
)
from portal.domain.scheduling.rules import Controls, Owner, in_force
from portal.domain.scheduling.slots import NOTHING, Ability, Agenda, Calendar, Span, Wanted

REACH = timedelta(days=2)
# No visit is longer, so one that started before this is over.
LONGEST_VISIT = timedelta(days=1)
SERVICE_TYPES_BY = {"name": (ServiceType.name, ServiceType.id)}
SKILLS_BY = {"name": (Skill.name, Skill.id)}

ReasonModel = type[PauseReason] | type[RejectReason]


TIME_OFF_BY = Order((TimeOff.start_at, TimeOff.id))
HOLIDAYS_BY = Order((Holiday.day, Holiday.id))
Weekday = int
Stretches = dict[Weekday, list[tuple[int, int]]]


@dataclass(frozen=True)
class Board:
    """The calendars of some technicians over a stretch of time, with the partner's holidays and zone.

    ``fit`` are the keys of those who were asked for by name and to whom a customer may give a time, see ``_is_fit``.
    """

    zone: ZoneInfo
    holidays: frozenset[date]
    calendars: Sequence[Calendar]
    fit: frozenset[int]


def list_service_types(
    session: Session, active: bool | None, order: Order, cursor: Cursor | None, limit: int = PAGE_ROWS
) -> Page[ServiceType]:
    """Return a page of service types with their skills; ``active=None`` for all, in one of ``SERVICE_TYPES_BY`` (P16).

    Two statements.
    """
    query = select(ServiceType).options(selectinload(ServiceType.skill_links))
    if active is not None:
        query = query.where(ServiceType.active.is_(active))
    return page_of(session, query, order, cursor, limit)


def list_skills(
    session: Session, active: bool | None, order: Order, cursor: Cursor | None, limit: int = PAGE_ROWS
) -> Page[Skill]:
    """Return a page of skills; ``active=None`` for all, in one of ``SKILLS_BY`` (P16). One statement."""
    query = select(Skill)
    if active is not None:
        query = query.where(Skill.active.is_(active))
    return page_of(session, query, order, cursor, limit)


def offered_skills(session: Session) -> list[Skill]:
    """Return the skills that forms offer, by name: those that are not deactivated."""
    return list(session.scalars(select(Skill).where(Skill.active.is_(True)).order_by(Skill.name, Skill.id)))


def skills_of_technicians(session: Session, keys: Sequence[int]) -> dict[int, list[Skill]]:
    """Return the skills of the technicians with those keys, by name, without deactivated ones; one statement."""
    query = (
        select(TechnicianSkill.technician_id, Skill)
        .join(Skill, Skill.id == TechnicianSkill.skill_id)
        .where(TechnicianSkill.technician_id.in_(keys), Skill.active.is_(True))
        .order_by(Skill.name, Skill.id)
    )
    found: dict[int, list[Skill]] = {key: [] for key in keys}
    for technician_id, skill in session.execute(query):
        found[technician_id].append(skill)
    return found


def reasons_by(model: ReasonModel) -> tuple[Any, Any]:
    """Return the columns by which reasons are in their order."""
    return model.position, model.id


def list_reasons(
    session: Session,
    model: ReasonModel,
    active: bool | None,
    order: Order,
    cursor: Cursor | None = None,
    limit: int = PAGE_ROWS,
) -> Page[Any]:
    """Return a page of a partner's reasons; ``active=None`` for all, in the order of ``reasons_by``. One statement."""
    query: Select[Any] = select(model)
    if active is not None:
        query = query.where(model.active.is_(active))
    return page_of(session, query, order, cursor, limit)


def zone_of(session: Session, partner_id: int) -> ZoneInfo:
    """Return the partner's time zone."""
    return ZoneInfo(session.scalars(_zone_query(), {"partner": partner_id}).one())


@cache
def _zone_query() -> Select[str]:
    return select(Partner.timezone).where(Partner.id == bindparam("partner"))


def controls_of(session: Session, partner_id: int) -> FeatureControls:
    """Return the partner's feature controls."""
    return session.scalars(select(FeatureControls).where(FeatureControls.partner_id == partner_id)).one()


# Whose overrides a job stands under, the farthest first.
OVERRIDING = (Owner.SERVICE_TYPE, Owner.CUSTOMER, Owner.JOB)


def is_over_job() -> ColumnElement[bool]:
    """Return the condition that a row of ``ControlOverride`` is one that a row of ``Job`` stands under."""
    # One condition for all of them: aliases could not be kept with a statement, since threads that compile it at once
    # spoil them for their process.
    is_its = or_(
        ControlOverride.service_type_id == Job.service_type_id,
        ControlOverride.customer_id == Job.customer_id,
        ControlOverride.job_id == Job.id,
    )
    return and_(ControlOverride.partner_id == Job.partner_id, is_its)


def with_overrides(query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    """Return ``query``, which reads ``Job``, with the job's override as last entity: a row for each, at least one."""
    return query.outerjoin(ControlOverride, is_over_job()).add_columns(ControlOverride)


def overrides_in(rows: Iterable[Sequence[Any]]) -> dict[Owner, ControlOverride | None]:
    """Return the overrides of one job in its rows of ``with_overrides``, ordered as ``OVERRIDING``."""
    found: dict[Owner, ControlOverride | None] = dict.fromkeys(OVERRIDING)
    found.update({row[-1].owner: row[-1] for row in rows if row[-1] is not None})
    return found


def controls_for(session: Session, job_id: int) -> Controls:
    """Return the controls that hold for a job, as they are now, in one statement."""
    return rules_over(session, [job_id])[job_id].controls


@dataclass(frozen=True, slots=True)
class Rules:
    """What the customer of a job is bound by: the partner's controls, what has been set in place of them, and zone."""

    zone: ZoneInfo
    partners: FeatureControls
    overrides: dict[Owner, ControlOverride | None]

    @property
    def controls(self) -> Controls:
        """The controls that hold."""
        return in_force(self.partners, self.overrides)


def rules_over(session: Session, job_ids: Sequence[int]) -> dict[int, Rules]:
    """Return what the customers of some jobs are bound by, as it is now, by the jobs' keys. One statement."""
    by_job: dict[int, list[Any]] = defaultdict(list)
    fresh = {"populate_existing": True}
    for row in session.execute(_rules_query(), {"job_ids": job_ids}, execution_options=fresh):
        by_job[row[0]].append(row)
    return {key: rules_in(rows) for key, rows in by_job.items()}


@cache
def _rules_query() -> Select[*tuple[Any, ...]]:
    return with_rules(select(Job.id).where(Job.id.in_(bindparam("job_ids", expanding=True))))


def with_rules(query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    """Return ``query``, which reads ``Job``, with what ``rules_in`` finds in its rows: at least one for each of its."""
    query = (
        query.join(Partner, Partner.id == Job.partner_id)
        .join(FeatureControls, FeatureControls.partner_id == Job.partner_id)
        .add_columns(Partner.timezone, FeatureControls)
    )
    return with_overrides(query)


def rules_in(rows: Sequence[Sequence[Any]]) -> Rules:
    """Return what the customer of one job is bound by, from its rows of ``with_rules``."""
    zone, partners, _ = rows[0][-3:]
    return Rules(ZoneInfo(zone), partners, overrides_in(rows))


def wanted_for(service_type: ServiceType, duration: timedelta | None = None) -> Wanted:
    """Return what a visit of ``service_type`` needs, with its usual duration unless another is given.

    One statement for the skills, unless they are loaded.
    """
    return Wanted(
        duration=timedelta(minutes=service_type.duration_minutes) if duration is None else duration,
        before=timedelta(minutes=service_type.buffer_before_minutes),
        after=timedelta(minutes=service_type.buffer_after_minutes),
        step=timedelta(minutes=service_type.step_minutes),
        skills=tuple(Ability(skill.id, skill.name) for skill in service_type.skills),
    )


def _is_available(technician: Any) -> tuple[ColumnElement[bool], ...]:
    return technician.active.is_(True), technician.status == TechnicianStatus.AVAILABLE


def _is_fit(technician: Any, kind_id: Any) -> ColumnElement[bool]:
    """Return the condition that a customer may give a time to a technician: Available, with every skill it takes.

    Staff may tick past a skill and let somebody keep what they have, Available or not; customers are bound by both.
    """
    need, skill, known = ServiceTypeSkill.__table__.c, Skill.__table__.c, TechnicianSkill.__table__.c
    has = select(known.id).where(known.technician_id == technician.id, known.skill_id == need.skill_id)
    lacks = (
        select(need.id)
        .join_from(ServiceTypeSkill.__table__, Skill.__table__, skill.id == need.skill_id)
        .where(need.service_type_id == kind_id, skill.active.is_(True))
        .where(~has.correlate(ServiceTypeSkill.__table__, Technician.__table__).exists())
    )
    return and_(*_is_available(technician), ~lacks.correlate(Technician.__table__).exists())


def takers(partner_id: Any, service_type_id: Any, technician_id: Any) -> Select[int, str]:
    """Return the query for keys and names of whose times ``times_for_customer`` offers, in the order of their keys.

    What it is asked about are SQL's expressions.
    """
    person = Technician.__table__.c
    own = select(person.id).where(person.partner_id == partner_id, person.id == technician_id)
    own_key = own.where(_is_fit(person, service_type_id)).correlate(None).scalar_subquery()
    # From the one key to itself, or from the first to the last: for both there is an index.
    theirs = Technician.id.between(func.coalesce(own_key, 0), func.coalesce(own_key, MAX_KEY))
    query = select(Technician.id, Technician.name).where(Technician.partner_id == partner_id, theirs)
    return query.where(*_is_available(Technician)).order_by(Technician.id)


def times_for_customer(
    session: Session,
    partner_id: int,
    service_type_id: int,
    technician_id: int | None,
    start: datetime,
    end: datetime,
    duration: timedelta,
    visit_id: int,
) -> tuple[Wanted, Board]:
    """Return what ``board_for`` does, of whose times a customer may choose from when moving a visit (M4).

    That is its technician, with the key ``technician_id``, as long as a time may be given to them; else everybody whom
    a time may be given to. ``takers`` finds the same ones. One statement, two where somebody else is to come.
    """
    if technician_id is not None:
        wanted, times = board_for(session, partner_id, service_type_id, [technician_id], start, end, duration, visit_id)
        if technician_id in times.fit:
            return wanted, times
    return board_for(session, partner_id, service_type_id, None, start, end, duration, visit_id)


def board(
    session: Session,
    partner_id: int,
    technicians: Sequence[Technician],
    start: datetime,
    end: datetime,
    without_visit: int | None = None,
) -> Board:
    """Gather the calendars of ``technicians`` between two instants, in one statement.

    ``without_visit`` is the key of an appointment that does not count against itself, for a move.
    """
    found = _gather(session, partner_id, [technician.id for technician in technicians], start, end, without_visit)
    return found.board({technician.id: technician.name for technician in technicians})


def board_for(
    session: Session,
    partner_id: int,
    service_type_id: int,
    people: Sequence[int] | None,
    start: datetime,
    end: datetime,
    duration: timedelta | None = None,
    without_visit: int | None = None,
) -> tuple[Wanted, Board]:
    """Return what a visit of a kind of work needs, as ``wanted_for``, and the calendars of who may make it.

    Of the technicians with the keys ``people``, or without them of all whom a time may be given to. Everything in one
    statement, otherwise as ``board``; raises ``NotFound`` for a service type or people who are not the partner's.
    """
    if not all(0 < key <= MAX_KEY for key in people or ()):
        raise NotFound
    found = _gather(session, partner_id, people, start, end, without_visit, service_type_id)
    if service_type_id not in found.kinds or not found.names.keys() >= set(people or ()):
        raise NotFound
    usual, before, after, step = found.kinds[service_type_id]
    skills = tuple(Ability(key, name) for name, key in sorted(found.needed))
    wanted = Wanted(usual if duration is None else duration, before, after, step, skills)
    return wanted, found.board(found.names)


class Lengths(NamedTuple):
    """How long a kind of work usually takes, its buffers, and the step of its starts."""

    duration: timedelta
    before: timedelta
    after: timedelta
    step: timedelta


# The buffers of a visit whose kind is not looked up.
WITHOUT = (NOTHING, NOTHING)
ROWS_AT_ONCE = 500


@dataclass
class _Gathered:
    """What the statement of a board found: by technician, every kind of work, and the skills that the one needs."""

    zone: str = ""
    names: dict[int, str] = field(default_factory=dict)
    fit: set[int] = field(default_factory=set)
    own: dict[int, dict[int, list[tuple[int, int]]]] = field(default_factory=lambda: defaultdict(_week))
    shared: dict[int, list[tuple[int, int]]] = field(default_factory=lambda: _week())
    absences: dict[int, list[Span]] = field(default_factory=lambda: defaultdict(list))
    skills: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    visits: dict[int, tuple[list[datetime], list[datetime], list[int | None]]] = field(
        default_factory=lambda: defaultdict(lambda: ([], [], []))
    )
    holidays: set[date] = field(default_factory=set)
    kinds: dict[int | None, Lengths] = field(default_factory=dict)
    needed: list[tuple[str, int]] = field(default_factory=list)

    def board(self, names: Mapping[int, str]) -> Board:
        """Return the calendars of the technicians with those keys and names."""
        return Board(
            zone=ZoneInfo(self.zone),
            holidays=frozenset(self.holidays),
            calendars=[
                Calendar(
                    technician_id=key,
                    name=name,
                    hours=self.own.get(key) or self.shared,
                    time_off=self.absences.get(key, ()),
                    booked=self._agenda(key),
                    skills=frozenset(self.skills.get(key, ())),
                )
                for key, name in names.items()
            ],
            fit=frozenset(self.fit),
        )

    def _agenda(self, technician_id: int) -> Agenda:
        if technician_id not in self.visits:
            return Agenda()
        starts, ends, kinds = self.visits[technician_id]
        buffers = {key: (lengths.before, lengths.after) for key, lengths in self.kinds.items()}
        return Agenda(starts, ends, [buffers.get(key, WITHOUT) for key in kinds])


def _week() -> dict[int, list[tuple[int, int]]]:
    return defaultdict(list)


def _gather(
    session: Session,
    partner_id: int,
    people: Sequence[int] | None,
    start: datetime,
    end: datetime,
    without_visit: int | None,
    service_type_id: int | None = None,
) -> _Gathered:
    start, end = start - REACH, end + REACH
    given = {"partner": partner_id, "since": start, "until": end, "moved": without_visit, "kind": service_type_id}
    given |= {"begun": start - LONGEST_VISIT, "first_day": start.date(), "last_day": end.date()}
    which = _ANYBODY if people is None else _SOME
    if people is not None:
        given["people"] = list(people)
        if len(people) == 1:
            which, given["person"] = _ONE, people[0]
    found = _Gathered()
    # Nobody else does it for a statement that is run past the session.
    session.flush()
    # By parts, since tens of thousands of rows at once would keep the garbage collector busy.
    rows = _BOARDS[which].parts(session.connection(), given, ROWS_AT_ONCE)
    for part, owner, since, until, first, second, third, fourth, day, name in rows:
        if part == _VISIT:
            starts, ends, kinds = found.visits[owner]
            starts.append(since)
            ends.append(until)
            kinds.append(first)
        elif part == _TECHNICIAN:
            found.names[owner] = name
            if first:
                found.fit.add(owner)
        elif part == _TIME_OFF:
            found.absences[owner].append(Span(since, until))
        elif part == _HOURS:
            week = found.shared if owner is None else found.own[owner]
            week[first].append((second, third))
        elif part == _SKILL:
            found.skills[owner].add(first)
        elif part == _HOLIDAY:
            found.holidays.add(day)
        elif part == _KIND:
            found.kinds[owner] = Lengths(*(timedelta(minutes=minutes) for minutes in (first, second, third, fourth)))
        elif part == _NEEDED:
            found.needed.append((name, owner))
        else:
            found.zone = name
    return found


_VISIT, _TECHNICIAN, _TIME_OFF, _HOURS, _SKILL, _HOLIDAY, _KIND, _NEEDED, _ZONE = range(9)


def _board_query(people: str, dialect: str) -> CompoundSelect[*tuple[Any, ...]]:
    # A customer's session sees only their own visits, but free times depend on everyone's: so this statement names the
    # partner itself and reads nothing but times, and the names that refusals say.
    anybody = people == _ANYBODY
    partner_id, kind_id = bindparam("partner", type_=Key), bindparam("kind", type_=Key)
    start, end = bindparam("since", type_=UtcDateTime()), bindparam("until", type_=UtcDateTime())
    moved = bindparam("moved", type_=Integer())
    visit, job, kind = Appointment.__table__.c, Job.__table__.c, ServiceType.__table__.c
    absence, hours, known = TimeOff.__table__.c, WorkingHours.__table__.c, TechnicianSkill.__table__.c
    holiday, partner, person = Holiday.__table__.c, Partner.__table__.c, Technician.__table__.c
    need, skill = ServiceTypeSkill.__table__.c, Skill.__table__.c
    no_one, no_time = cast(null(), visit.technician_id.type), cast(null(), visit.start_at.type)
    no_day, no_name = cast(null(), holiday.day.type), cast(null(), partner.timezone.type)
    no_number = cast(null(), kind.id.type)
    never = (no_time, no_time)

    def part(
        number: int, owner: Any = no_one, times: Any = never, numbers: Any = (), day: Any = no_day, name: Any = no_name
    ) -> Select[Any]:
        numbers = (*numbers, no_number, no_number, no_number, no_number)[:4]
        return select(literal_column(str(number)).label("part"), owner, *times, *numbers, day, name)

    def theirs(column: Any) -> ColumnElement[bool]:
        # Of a partner most people are available, so that whoever is not is read along rather than looked up each time.
        if anybody:
            return true()
        # For one alone PostgreSQL goes by their index, which for a list of unknown length it thinks too much.
        return column == bindparam("person", type_=Key) if people == _ONE else among(column, "people", dialect)

    is_fit = () if anybody else (case((_is_fit(person, kind_id), 1), else_=0),)
    # A visit's job is looked up only where some kind of work has buffers at all; most have none.
    buffers = select(kind.id).where(
        kind.partner_id == partner_id, (kind.buffer_before_minutes > 0) | (kind.buffer_after_minutes > 0)
    )
    kind_of_visit = select(job.service_type_id).where(job.id == visit.job_id).scalar_subquery()
    parts = [
        part(
            _VISIT, visit.technician_id, (visit.start_at, visit.end_at), (case((buffers.exists(), kind_of_visit)),)
        ).where(
            visit.partner_id == partner_id,
            theirs(visit.technician_id),
            visit.technician_id.is_not(None),
            visit.status.in_(_ACTIVE),
            visit.end_at > start,
            # Says nothing more, but where in the index to begin.
            visit.start_at > bindparam("begun", type_=UtcDateTime()),
            visit.start_at < end,
            visit.id.is_distinct_from(moved),
        ),
        part(_TECHNICIAN, person.id, numbers=is_fit, name=person.name).where(
            person.partner_id == partner_id, *(_is_available(person) if anybody else (theirs(person.id),))
        ),
        part(_TIME_OFF, absence.technician_id, (absence.start_at, absence.end_at)).where(
            absence.partner_id == partner_id,
            theirs(absence.technician_id),
            absence.end_at > start,
            absence.start_at < end,
        ),
        part(_HOURS, hours.technician_id, numbers=(hours.weekday, hours.start_minute, hours.end_minute)).where(
            hours.partner_id == partner_id, theirs(hours.technician_id) | hours.technician_id.is_(None)
        ),
        part(_SKILL, known.technician_id, numbers=(known.skill_id,)).where(
            known.partner_id == partner_id, theirs(known.technician_id)
        ),
        part(_HOLIDAY, day=holiday.day).where(
            holiday.partner_id == partner_id,
            holiday.day.between(bindparam("first_day", type_=Date()), bindparam("last_day", type_=Date())),
        ),
        part(
            _KIND,
            kind.id,
            numbers=(kind.duration_minutes, kind.buffer_before_minutes, kind.buffer_after_minutes, kind.step_minutes),
        ).where(kind.partner_id == partner_id),
        part(_NEEDED, skill.id, name=skill.name)
        .join_from(ServiceTypeSkill.__table__, Skill.__table__, skill.id == need.skill_id)
        .where(need.partner_id == partner_id, need.service_type_id == kind_id, skill.active.is_(True)),
        part(_ZONE, name=partner.timezone).where(partner.id == partner_id),
    ]
    return union_all(*parts)


# Spelled out, since PostgreSQL otherwise does not know how few these are.
_ACTIVE: list[ColumnElement[str]] = [literal_column(f"'{name}'") for name in sorted(ACTIVE)]
_ANYBODY, _ONE, _SOME = "anybody", "one", "some"
_BOARDS = {people: Prepared(partial(_board_query, people)) for people in (_ANYBODY, _ONE, _SOME)}


def week_of(session: Session, partner_id: int, technician_id: int | None) -> Stretches:
    """Return the working week of the partner or a technician's own, if there is one: stretches by weekday, in order."""
    owner = WorkingHours.technician_id
    query = (
        select(WorkingHours.weekday, WorkingHours.start_minute, WorkingHours.end_minute)
        .where(
            WorkingHours.partner_id == partner_id, owner.is_(None) if technician_id is None else owner == technician_id
        )
        .order_by(WorkingHours.weekday, WorkingHours.start_minute)
    )
    week: Stretches = defaultdict(list)
    for weekday, start, end in session.execute(query):
        week[weekday].append((start, end))
    return dict(week)


def own_weeks(session: Session, partner_id: int) -> dict[int, Stretches]:
    """Return the weeks of the technicians who have one of their own, by their keys."""
    query = (
        select(WorkingHours)
        .where(WorkingHours.partner_id == partner_id, WorkingHours.technician_id.is_not(None))
        .order_by(WorkingHours.weekday, WorkingHours.start_minute)
    )
    weeks: dict[int, Stretches] = defaultdict(lambda: defaultdict(list))
    for row in session.scalars(query):
        weeks[row.technician_id or 0][row.weekday].append((row.start_minute, row.end_minute))
    return {key: dict(week) for key, week in weeks.items()}


def rota_of(session: Session, partner_id: int, now: datetime) -> Rota:
    """Return when the partner's people work from ``now`` (an instant) on, in six statements."""
    absences: dict[int, list[Span]] = defaultdict(list)
    time_off = select(TimeOff).where(TimeOff.partner_id == partner_id, TimeOff.end_at > now - LONGEST_VISIT)
    for absence in session.scalars(time_off):
        absences[absence.technician_id].append(Span(absence.start_at, absence.end_at))
    holidays = select(Holiday.day).where(Holiday.partner_id == partner_id, Holiday.day > (now - REACH).date())
    gone = select(Technician.id).where(Technician.partner_id == partner_id, Technician.active.is_(False))
    return Rota(
        zone=zone_of(session, partner_id),
        week=week_of(session, partner_id, None),
        own=own_weeks(session, partner_id),
        time_off=absences,
        holidays=frozenset(session.scalars(holidays)),
        inactive=frozenset(session.scalars(gone)),
    )


def coming_visits(
    session: Session, partner_id: int, now: datetime, technician_id: int | None = None
) -> list[ComingVisit]:
    """Return the visits that hold their time and are not over at ``now``, in time order, by one statement.

    Those of one technician, or all.
    """
    query = (
        select(
            Appointment.id,
            Appointment.job_id,
            Appointment.technician_id,
            Appointment.start_at,
            Appointment.end_at,
            Appointment.move_number,
        )
        .where(
            Appointment.partner_id == partner_id,
            Appointment.status.in_(sorted(ACTIVE)),
            Appointment.start_at > now - LONGEST_VISIT,
            Appointment.end_at > now,
        )
        .order_by(Appointment.start_at, Appointment.id)
    )
    if technician_id is not None:
        query = query.where(Appointment.technician_id == technician_id)
    return [
        ComingVisit(key, job_id, technician, Span(start, end), move)
        for key, job_id, technician, start, end, move in session.execute(query)
    ]


def list_time_off(
    session: Session,
    now: datetime,
    past: bool = False,
    technician_id: int | None = None,
    cursor: Cursor | None = None,
    limit: int = PAGE_ROWS,
) -> Page[Any]:
    """Return a page of absences with their technicians' names: those not over at ``now``, or with ``past`` the others.

    One statement; the earliest first, of those that are over the latest.
    """
    query = select(
        TimeOff.id, TimeOff.technician_id, TimeOff.start_at, TimeOff.end_at, TimeOff.note, Technician.name
    ).join(Technician, Technician.id == TimeOff.technician_id)
    query = query.where(TimeOff.end_at <= now if past else TimeOff.end_at > now)
    if technician_id is not None:
        query = query.where(TimeOff.technician_id == technician_id)
    order = Order(TIME_OFF_BY.columns, descending=past)
    return page_of(session, query, order, cursor, limit, scalars=False)


def list_holidays(
    session: Session, today: date, past: bool = False, cursor: Cursor | None = None, limit: int = PAGE_ROWS
) -> Page[Holiday]:
    """Return a page of holidays from ``today`` (local) on or, with ``past``, of those before it, the latest first."""
    query = select(Holiday).where(Holiday.day < today if past else Holiday.day >= today)
    return page_of(session, query, Order(HOLIDAYS_BY.columns, descending=past), cursor, limit)


def holidays_between(session: Session, first: date, last: date) -> dict[date, str]:
    """Return the names of the holidays from one local date to another, both included, by date. One statement."""
    query = select(Holiday.day, Holiday.name).where(Holiday.day.between(first, last))
    return {row.day: row.name for row in session.execute(query)}
