"""What a technician reads: their own day, the days to come, one visit and the steps it offers (J8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import Session, joinedload

from portal.domain.actor import Actor
from portal.domain.errors import NotFound, Refusal
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.situations import situation
from portal.domain.jobs.states import APPOINTMENT, OPEN, UNDER_WAY
from portal.domain.lookup import MAX_KEY
from portal.domain.people.models import Address
from portal.domain.scheduling.zones import day_span, local_day

# The steps that lead through a visit; whichever of them a status allows is the next one, all others are ways out of it.
FORWARD = ("set_off", "arrive", "start_work", "complete", "resume")
# A step that ends in another plan of the visit, so that the visit carries the next move number afterwards.
RENUMBERS = frozenset({"turn_back"})


@dataclass(frozen=True, slots=True)
class FieldDay:
    """A technician's local day: visits still to be done, visits done, and open ones left from earlier days."""

    day: date
    planned: Sequence[Appointment]
    done: Sequence[Appointment]
    earlier: Sequence[Appointment]

    @property
    def foremost(self) -> Appointment | None:
        """The visit to look at first: the one under way, else the first that is still planned or paused."""
        left = (*self.earlier, *self.planned)
        under_way = (visit for visit in left if visit.status in UNDER_WAY)
        return next(under_way, next(iter(self.planned), None))


@dataclass(frozen=True, slots=True)
class ComingDay:
    """A local day with work: how many visits, when the first starts (an instant) and its postcode."""

    day: date
    count: int
    first_at: datetime
    first_postcode: str


@dataclass(frozen=True, slots=True)
class FieldVisit:
    """One visit for its technician. ``visits`` are all of the job, in time order.

    ``next_step`` is the one step that leads on; where the situation does not allow it, ``blocked`` says why.
    ``ways_out`` are the other steps that would be accepted now. ``left_today`` is as ``left_on`` says.
    """

    visit: Appointment
    job: Job
    visits: Sequence[Appointment]
    next_step: str | None
    ways_out: Sequence[str]
    blocked: Refusal | None
    left_today: int

    @property
    def is_over(self) -> bool:
        """Whether the visit has ended."""
        return APPOINTMENT.is_end(self.visit.status)

    @property
    def earlier(self) -> Sequence[Appointment]:
        """The job's earlier visits that left notes."""
        return [other for other in self.visits if other.start_at < self.visit.start_at and other.service_notes.strip()]

    @property
    def continuation(self) -> Appointment | None:
        """The visit that continues this one, if it was planned."""
        return next((other for other in self.visits if other.previous_id == self.visit.id), None)


def field_day(session: Session, actor: Actor, day: date, zone: ZoneInfo, with_earlier: bool = False) -> FieldDay:
    """Return the technician's local ``day`` in the partner's ``zone``, in one statement.

    ``with_earlier`` adds visits of earlier days that are still open, such as a paused one. Cancelled visits are not
    work. Raises ``NotFound`` for somebody who is no technician.
    """
    start, end = day_span(day, zone)
    wanted = and_(Appointment.start_at >= start, Appointment.start_at < end, Appointment.status != "CANCELLED")
    if with_earlier:
        wanted = or_(wanted, and_(Appointment.start_at < start, Appointment.status.in_(sorted(OPEN))))
    query = _own(actor).where(wanted).order_by(Appointment.start_at, Appointment.id).options(*_WITH_JOB)
    visits = session.scalars(query).all()
    todays = [visit for visit in visits if visit.start_at >= start]
    return FieldDay(
        day=day,
        planned=[visit for visit in todays if visit.status in OPEN],
        done=[visit for visit in todays if visit.status not in OPEN],
        earlier=[visit for visit in visits if visit.start_at < start],
    )


def left_on(session: Session, actor: Actor, day: date, zone: ZoneInfo) -> int:
    """Return how many visits of the technician's local ``day`` are still to be done, in one statement."""
    return session.scalar(_left(actor, day, zone)) or 0


def coming_days(session: Session, actor: Actor, after: date, days: int, zone: ZoneInfo) -> list[ComingDay]:
    """Return the local days with open visits within ``days`` after the day ``after``, in one statement."""
    start = day_span(after + timedelta(days=1), zone)[0]
    end = day_span(after + timedelta(days=days), zone)[1]
    query = (
        select(Appointment.start_at, Address.postcode)
        .join(Job, Job.id == Appointment.job_id)
        .join(Address, Address.id == Job.address_id)
        .where(
            Appointment.partner_id.in_(actor.partner_ids),
            Appointment.technician_id == _technician_id(actor),
            Appointment.start_at >= start,
            Appointment.start_at < end,
            Appointment.status.in_(sorted(OPEN)),
        )
        .order_by(Appointment.start_at, Appointment.id)
    )
    found: dict[date, ComingDay] = {}
    for start_at, postcode in session.execute(query):
        day = local_day(start_at, zone)
        first = found.get(day, ComingDay(day, 0, start_at, postcode))
        found[day] = ComingDay(day, first.count + 1, first.first_at, first.first_postcode)
    return list(found.values())


def own_visit(session: Session, actor: Actor, visit_id: int) -> Appointment:
    """Return a visit of the signed-in technician; raises ``NotFound`` for every other, there or not (J8)."""
    if not 0 < visit_id <= MAX_KEY:
        raise NotFound
    visit = session.scalars(_own(actor).where(Appointment.id == visit_id)).one_or_none()
    if visit is None:
        raise NotFound
    return visit


def field_visit(session: Session, actor: Actor, now: datetime, visit_id: int, zone: ZoneInfo) -> FieldVisit:
    """Return a visit of the signed-in technician as its page shows it at ``now`` (UTC); raises ``NotFound``."""
    if not 0 < visit_id <= MAX_KEY:
        raise NotFound
    # All visits of the job, with what else there is of it, in one statement.
    own = _own(actor).where(Appointment.id == visit_id).with_only_columns(Appointment.job_id).scalar_subquery()
    left = _left(actor, local_day(now, zone), zone).scalar_subquery()
    query = (
        select(Appointment, left)
        .where(Appointment.job_id == own)
        .order_by(Appointment.start_at, Appointment.id)
        .options(*_WITH_JOB, _JOB.joinedload(Job.items))
    )
    rows = session.execute(query, execution_options={"populate_existing": True}).unique().all()
    visits = [row[0] for row in rows]
    visit = next((one for one in visits if one.id == visit_id), None)
    if visit is None:
        raise NotFound
    job = visit.job
    asked = situation(session, actor, now, job, visit, visits, zone)
    steps = [row.name for row in APPOINTMENT.available(visit.status, asked)]
    leading = next((name for name in FORWARD if visit.status in APPOINTMENT.transition(name).sources), None)
    return FieldVisit(
        visit=visit,
        job=job,
        visits=visits,
        next_step=leading if leading in steps else None,
        ways_out=[name for name in steps if name != leading],
        blocked=APPOINTMENT.refusal(leading, visit.status, asked) if leading else None,
        left_today=rows[0][1],
    )


def step_refusal(
    session: Session, actor: Actor, now: datetime, shown: FieldVisit, name: str, zone: ZoneInfo
) -> Refusal | None:
    """Say why the step ``name`` is not possible on the visit of ``shown`` at ``now`` (UTC), or ``None`` if it is."""
    asked = situation(session, actor, now, shown.job, shown.visit, shown.visits, zone)
    return APPOINTMENT.refusal(name, shown.visit.status, asked)


def is_repeated(visit: Appointment, name: str, move_number: int) -> bool:
    """Whether the step ``name``, sent from a page of ``move_number``, has been done already: it counts once (J8)."""
    expected = move_number + 1 if name in RENUMBERS else move_number
    return visit.status in APPOINTMENT.transition(name).targets and visit.move_number == expected


_JOB = joinedload(Appointment.job)
_WITH_JOB = (_JOB.joinedload(Job.customer), _JOB.joinedload(Job.address), _JOB.joinedload(Job.service_type))


def _own(actor: Actor) -> Select[Appointment]:
    return select(Appointment).where(
        # Named although the session's scope says the same, so that the index on partner and technician is used.
        Appointment.partner_id.in_(actor.partner_ids),
        Appointment.technician_id == _technician_id(actor),
    )


def _left(actor: Actor, day: date, zone: ZoneInfo) -> Select[int]:
    start, end = day_span(day, zone)
    wanted = and_(Appointment.start_at >= start, Appointment.start_at < end, Appointment.status.in_(sorted(OPEN)))
    return _own(actor).where(wanted).with_only_columns(func.count(Appointment.id))


def _technician_id(actor: Actor) -> int:
    if actor.technician_id is None:
        raise NotFound
    return actor.technician_id
