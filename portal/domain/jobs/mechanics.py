"""What every use case of jobs and visits is made of: locking, refusing, writing a visit, following it on the job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache

from sqlalchemy import Select, bindparam, select
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.errors import Conflict, Invalid, NotFound, Refusal, Refused, Sentence, sentence, too_long
from portal.domain.jobs.history import record
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.situations import current_visit, visits_of, visits_with_rules
from portal.domain.jobs.states import APPOINTMENT, OPEN, WORKFLOWS, followed
from portal.domain.lookup import MAX_KEY, find
from portal.domain.messages.models import MessageKind
from portal.domain.messages.services import announce, tell_technician
from portal.domain.people.models import Technician
from portal.domain.requests.lapsing import lapse_outdated
from portal.domain.scheduling.queries import Rules
from portal.domain.texts import shows
from portal.domain.unit_of_work import require_unit_of_work

MAX_TEXT = 2_000
MAX_DURATION = timedelta(hours=24)
MAX_AHEAD = timedelta(days=5 * 365)


def required_text(value: str, field: str, missing: Sentence) -> str:
    """Return ``value`` stripped; raises ``Invalid`` at ``field`` when it is blank or too long."""
    text = value.strip()
    if not shows(text):
        raise Invalid({field: missing})
    if len(text) > MAX_TEXT:
        raise Invalid({field: too_long(MAX_TEXT)})
    return text


def book_linked_visit(
    session: Session,
    actor: Actor,
    now: datetime,
    job: Job,
    previous: Appointment | None,
    start: datetime,
    duration: timedelta,
    window_minutes: int,
    technician_id: int | None,
) -> Appointment:
    """Add a planned visit to ``job`` that continues ``previous``, tell customer and technician, and return it."""
    visit = Appointment(
        partner_id=job.partner_id,
        customer_id=job.customer_id,
        job_id=job.id,
        technician_id=technician_id,
        status=APPOINTMENT.first("book"),
        start_at=start,
        end_at=start + duration,
        window_minutes=window_minutes,
        planned_at=now,
        previous_id=previous.id if previous is not None else None,
    )
    session.add(visit)
    name = flush_booking(session, technician_id)
    after = {"status": visit.status, "start": visit.start_at, "technician": name}
    record(session, actor, now, "book", job, visit, after=after)
    announce(session, MessageKind.BOOKED, visit, now)
    tell_technician(session, actor, now, MessageKind.TECHNICIAN_ASSIGNED, visit, technician_id)
    return visit


def technician_name(session: Session, technician_id: int | None) -> str | None:
    """Return a technician's name, or ``None`` for nobody."""
    return None if technician_id is None else find(session, Technician, technician_id).name


def end_visit(session: Session, actor: Actor, now: datetime, job: Job, visit: Appointment, reason: str) -> None:
    """Cancel ``visit`` along with what was asked, and tell customer and technician."""
    before = visit.status
    APPOINTMENT.follow(visit, "cancel")
    visit.cancel_at = None
    visit.cancel_reason = reason
    visit.ended_at = now
    visit.occurrence += 1
    record(session, actor, now, "cancel", job, visit, {"status": before}, {"status": visit.status}, reason)
    announce(session, MessageKind.CANCELLED, visit, now)
    tell_technician(session, actor, now, MessageKind.TECHNICIAN_CANCELLED, visit, visit.technician_id)


def tell_of_change(
    session: Session, actor: Actor, now: datetime, visit: Appointment, previous_id: int | None, moved: bool
) -> None:
    """Tell whoever had the visit before and whoever has it now (P22); with ``moved``, the same one of the new time."""
    if visit.technician_id != previous_id:
        tell_technician(session, actor, now, MessageKind.TECHNICIAN_RELIEVED, visit, previous_id)
        tell_technician(session, actor, now, MessageKind.TECHNICIAN_ASSIGNED, visit, visit.technician_id)
    elif moved:
        tell_technician(session, actor, now, MessageKind.TECHNICIAN_MOVED, visit, visit.technician_id)


def flush_booking(session: Session, technician_id: int | None) -> str | None:
    """Write a booking and return the technician's name; raises ``Conflict`` where the database says they are booked."""
    # Looking up the name must not flush before the guard's error is waited for. Whoever books has locked them.
    with session.no_autoflush:
        technician = session.get(Technician, technician_id) if technician_id is not None else None
    name = technician.name if technician is not None else None
    with telling_if_booked(name):
        session.flush()
    return name


@contextmanager
def telling_if_booked(name: str | None) -> Iterator[None]:
    """Raise ``Conflict`` where the database says, while a booking is written, that the technician of ``name`` is."""
    try:
        yield
    except (IntegrityError, OperationalError) as error:
        # The database's own guard: another booking was quicker than the check above. On PostgreSQL two that wait for
        # each other there are told so by a deadlock.
        if not any(sign in str(error.orig) for sign in ("technician_overlap", "checking exclusion constraint")):
            raise
        raise Conflict(Refusal("booked", sentence("%(name)s is booked at that time.", name=name or ""))) from error


def lock_visit(session: Session, visit_id: int) -> tuple[Appointment, Job, list[Appointment]]:
    """Lock the job of a visit and return visit, job and all its visits as they are now; raises ``NotFound``."""
    job = lock_job_of(session, visit_id)
    visits = visits_of(session, job)
    return next(visit for visit in visits if visit.id == visit_id), job, visits


def lock_customers_visit(session: Session, visit_id: int) -> tuple[Appointment, Job, list[Appointment], Rules]:
    """Do the same for the visit's customer, and return what binds them as well."""
    job = lock_job_of(session, visit_id)
    visits, rules = visits_with_rules(session, job)
    return next(visit for visit in visits if visit.id == visit_id), job, visits, rules


def lock_job_of(session: Session, visit_id: int) -> Job:
    """Return the job of a visit, as ``lookup.lock`` does; raises ``NotFound``."""
    require_unit_of_work(session)
    if not 0 < visit_id <= MAX_KEY:
        raise NotFound
    fresh = {"populate_existing": True}
    job = session.scalars(_job_of_visit(), {"visit_id": visit_id}, execution_options=fresh).one_or_none()
    if job is None:
        raise NotFound
    return job


@cache
def _job_of_visit() -> Select[Job]:
    # A visit never changes its job, so that it can be looked up in the statement that locks.
    job_id = select(Appointment.job_id).where(Appointment.id == bindparam("visit_id")).scalar_subquery()
    return select(Job).where(Job.id == job_id).with_for_update(of=Job)


def demand(refusal: Refusal | None) -> None:
    """Raise ``Refused`` if there is a refusal."""
    if refusal is not None:
        raise Refused(refusal)


def demand_unmoved(visit: Appointment, move_number: int | None) -> None:
    """Raise ``Conflict`` if ``visit`` was moved or reassigned since a page that showed ``move_number`` was made."""
    if move_number is not None and visit.move_number != move_number:
        raise Conflict(
            Refusal("moved_meanwhile", sentence("This visit was moved or reassigned meanwhile; look at it again."))
        )


def demand_role(allowed: bool) -> None:
    """Raise ``Refused`` unless the actor is one whom the use case is for, whatever the table lets them do elsewhere."""
    if not allowed:
        raise Refused(Refusal("not_your_role", sentence("This is not yours to do.")))


def open_visits(visits: Sequence[Appointment]) -> list[Appointment]:
    """Return the visits that are planned, under way or paused."""
    return [visit for visit in visits if visit.status in OPEN]


def start_errors(start: datetime, duration: timedelta, now: datetime) -> dict[str, Sentence]:
    """Return what is wrong with a start (an instant) and a duration, by field (P3)."""
    errors: dict[str, Sentence] = {}
    if start <= now:
        errors["start"] = sentence("Choose a date and time that is not in the past")
    elif start > now + MAX_AHEAD:
        errors["start"] = sentence("Choose a date within the next five years")
    if not timedelta(minutes=1) <= duration <= MAX_DURATION:
        errors["duration"] = sentence("Choose a duration between 1 minute and 24 hours")
    return errors


def back_to_planned(visit: Appointment) -> None:
    """Forget a departure that did not lead to work."""
    visit.on_the_way_at = None
    visit.eta_minutes = None
    visit.departure = None
    visit.arrived_at = None
    visit.pause_reason = ""


def follow_job(job: Job, visit: Appointment, visits: Sequence[Appointment]) -> None:
    """Move ``job`` along with ``visit``, one of its ``visits``, to where the table of pairs has it."""
    target = followed(job, visit, visits)
    if target != job.status:
        WORKFLOWS[job.workflow].lead(job, target)


def touch(session: Session, job: Job, visits: Sequence[Appointment], now: datetime) -> None:
    """Note on the job that it, or one of its visits, was changed at ``now``; wishes that this outdates lapse."""
    # Before anything is read, so that it is written along with the rest.
    note_change(job, visits, now)
    lapse_outdated(session, now, job, visits)


def note_change(job: Job, visits: Sequence[Appointment], now: datetime) -> None:
    """Do what ``touch`` does to the job itself, for who has more to write before anything is read."""
    follow_visits(job, visits)
    job.updated_at = now


def follow_visits(job: Job, visits: Sequence[Appointment]) -> None:
    """Repeat on the job what its lists show of the visit that counts; the only place that writes it."""
    visit = current_visit(visits)
    job.technician_id = visit.technician_id if visit is not None else None
    job.start_at = visit.start_at if visit is not None else None
    job.end_at = visit.end_at if visit is not None else None
    job.visit_open = visit is not None and visit.status in OPEN
