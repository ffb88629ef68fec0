"""Reading set-up, and what the search for free times needs: as many statements for many technicians as for one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    CompoundSelect,
    Date,
    Integer,
    Select,
    and_,
    bindparam,
    cast,
    literal_column,
    null,
    select,
    union_all,
)
from sqlalchemy.orm import Session, aliased, selectinload

from portal.domain.base import Key, UtcDateTime
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.states import ACTIVE
from portal.domain.paging import PAGE_ROWS, Cursor, Order, Page, page_of
from portal.domain.people.models import Partner, Technician
from portal.domain.scheduling.hits import ComingVisit, Rota
from portal.domain.scheduling.models import (
    ControlOverride,
    FeatureControls,
    Holiday,
    PauseReason,
    RejectReason,
    ServiceType,
    Skill,
    TechnicianSkill,
    TimeOff,
    WorkingHours,
)
from portal.domain.scheduling.rules import Controls, Owner, in_force
from portal.domain.scheduling.slots import Ability, Booked, Calendar, Span, Wanted
from portal.domain.tenancy import NAMES_PARTNER

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
    """The calendars of some technicians over a stretch of time, with the partner's holidays and zone."""

    zone: ZoneInfo
    holidays: frozenset[date]
    calendars: Sequence[Calendar]


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
    return ZoneInfo(session.scalars(select(Partner.timezone).where(Partner.id == partner_id)).one())


def controls_of(session: Session, partner_id: int) -> FeatureControls:
    """Return the partner's feature controls."""
    return session.scalars(select(FeatureControls).where(FeatureControls.partner_id == partner_id)).one()


# Whose overrides a job stands under, the farthest first.
OVERRIDING = (Owner.SERVICE_TYPE, Owner.CUSTOMER, Owner.JOB)


def with_overrides(query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    """Return ``query``, which reads ``Job``, with the job's overrides as last entities, ordered as ``OVERRIDING``."""
    keys = {Owner.SERVICE_TYPE: Job.service_type_id, Owner.CUSTOMER: Job.customer_id, Owner.JOB: Job.id}
    for owner in OVERRIDING:
        # Made anew each time: threads that compiled statements with the same alias at once spoilt it for their process.
        override = aliased(ControlOverride, name=f"override_of_{owner}")
        is_its = getattr(override, f"{owner}_id") == keys[owner]
        query = query.outerjoin(override, and_(override.partner_id == Job.partner_id, is_its)).add_columns(override)
    return query


def overrides_in(row: Sequence[Any]) -> dict[Owner, ControlOverride | None]:
    """Return the overrides in a row of ``with_overrides``."""
    return dict(zip(OVERRIDING, row[-len(OVERRIDING) :], strict=True))


def controls_over(session: Session, job_id: int) -> tuple[FeatureControls, dict[Owner, ControlOverride | None]]:
    """Return the partner's controls and the overrides that a job stands under, as they are now, in one statement."""
    query = (
        select(FeatureControls)
        .select_from(Job)
        .join(FeatureControls, FeatureControls.partner_id == Job.partner_id)
        .where(Job.id == job_id)
    )
    row = session.execute(with_overrides(query), execution_options={"populate_existing": True}).one()
    return row[0], overrides_in(row)


def controls_for(session: Session, job_id: int) -> Controls:
    """Return the controls that hold for a job, as they are now, in one statement."""
    return in_force(*controls_over(session, job_id))


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


def bookable_technicians(session: Session, partner_id: int) -> list[Technician]:
    """Return the technicians whom a time may be given to: active and set to Available, by name."""
    query = select(Technician).where(Technician.partner_id == partner_id).order_by(Technician.name, Technician.id)
    return [technician for technician in session.scalars(query) if technician.is_available]


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
    own: dict[int, dict[int, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    shared: dict[int, list[tuple[int, int]]] = defaultdict(list)
    absences: dict[int, list[Span]] = defaultdict(list)
    skills: dict[int, set[int]] = defaultdict(set)
    booked: dict[int, list[Booked]] = defaultdict(list)
    holidays: set[date] = set()
    zone = ""
    keys = [technician.id for technician in technicians]
    start, end = start - REACH, end + REACH
    given = {"partner": partner_id, "people": keys, "since": start, "until": end, "moved": without_visit}
    given |= {"first_day": start.date(), "last_day": end.date()}
    lengths: dict[int, timedelta] = {}
    for part, owner, since, until, first, second, third, day, name in session.execute(_board_query(), given):
        if part == _VISIT:
            before = lengths.get(first) or lengths.setdefault(first, timedelta(minutes=first))
            after = lengths.get(second) or lengths.setdefault(second, timedelta(minutes=second))
            booked[owner].append(Booked(Span(since, until), before, after))
        elif part == _TIME_OFF:
            absences[owner].append(Span(since, until))
        elif part == _HOURS:
            week = shared if owner is None else own[owner]
            week[first].append((second, third))
        elif part == _SKILL:
            skills[owner].add(first)
        elif part == _HOLIDAY:
            holidays.add(day)
        else:
            zone = name
    return Board(
        zone=ZoneInfo(zone),
        holidays=frozenset(holidays),
        calendars=[
            Calendar(
                technician_id=technician.id,
                name=technician.name,
                hours=own.get(technician.id) or shared,
                time_off=absences[technician.id],
                booked=booked[technician.id],
                skills=frozenset(skills[technician.id]),
            )
            for technician in technicians
        ],
    )


_VISIT, _TIME_OFF, _HOURS, _SKILL, _HOLIDAY, _ZONE = range(6)


@lru_cache(maxsize=1)
def _board_query() -> CompoundSelect[*tuple[Any, ...]]:
    # A customer's session sees only their own visits, but free times depend on everyone's: so this statement names the
    # partner itself and reads nothing but times.
    partner_id, keys = bindparam("partner", type_=Key), bindparam("people", type_=Key, expanding=True)
    start, end = bindparam("since", type_=UtcDateTime()), bindparam("until", type_=UtcDateTime())
    moved = bindparam("moved", type_=Integer())
    visit, job, kind = Appointment.__table__.c, Job.__table__.c, ServiceType.__table__.c
    absence, hours, known = TimeOff.__table__.c, WorkingHours.__table__.c, TechnicianSkill.__table__.c
    holiday, partner = Holiday.__table__.c, Partner.__table__.c
    no_one, no_time = cast(null(), visit.technician_id.type), cast(null(), visit.start_at.type)
    no_day, no_name = cast(null(), holiday.day.type), cast(null(), partner.timezone.type)
    no_number = cast(null(), kind.buffer_before_minutes.type)

    def part(number: int, owner: Any, times: Any, numbers: Any, day: Any = no_day, name: Any = no_name) -> Select[Any]:
        numbers = (*numbers, no_number, no_number, no_number)[:3]
        return select(literal_column(str(number)).label("part"), owner, *times, *numbers, day, name)

    visits = (
        part(
            _VISIT,
            visit.technician_id,
            (visit.start_at, visit.end_at),
            (kind.buffer_before_minutes, kind.buffer_after_minutes),
        )
        .join(Job.__table__, job.id == visit.job_id)
        .join(ServiceType.__table__, kind.id == job.service_type_id)
        .where(
            visit.partner_id == partner_id,
            visit.technician_id.in_(keys),
            visit.status.in_(sorted(ACTIVE)),
            visit.end_at > start,
            visit.start_at < end,
            visit.id.is_distinct_from(moved),
        )
    )
    never = (no_time, no_time)
    parts = [
        visits,
        part(_TIME_OFF, absence.technician_id, (absence.start_at, absence.end_at), ()).where(
            absence.partner_id == partner_id,
            absence.technician_id.in_(keys),
            absence.end_at > start,
            absence.start_at < end,
        ),
        part(_HOURS, hours.technician_id, never, (hours.weekday, hours.start_minute, hours.end_minute)).where(
            hours.partner_id == partner_id, hours.technician_id.in_(keys) | hours.technician_id.is_(None)
        ),
        part(_SKILL, known.technician_id, never, (known.skill_id,)).where(
            known.partner_id == partner_id, known.technician_id.in_(keys)
        ),
        part(_HOLIDAY, no_one, never, (), holiday.day).where(
            holiday.partner_id == partner_id,
            holiday.day.between(bindparam("first_day", type_=Date()), bindparam("last_day", type_=Date())),
        ),
        part(_ZONE, no_one, never, (), name=partner.timezone).where(partner.id == partner_id),
    ]
    return union_all(*parts).execution_options(**NAMES_PARTNER)


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
