"""Gathering what guards look at: for a page as of now, for a use case under the locks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, Protocol, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import Select, bindparam, literal, select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor, Role
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.states import ACTIVE, MOVABLE, OPEN, UNDER_WAY, Situation
from portal.domain.scheduling.queries import rules_over, zone_of


class Planned(Protocol):
    """What tells which of a job's visits is meant."""

    id: Any
    status: Any
    start_at: Any


V = TypeVar("V", bound=Planned)


def current_visit(visits: Sequence[V]) -> V | None:
    """Return the visit that a job's lists and buttons are about: the open one, else the latest."""
    return open_visit(visits) or max(visits, key=lambda visit: (visit.start_at, visit.id), default=None)


def open_visit(visits: Sequence[V]) -> V | None:
    """Return the visit that is under way, else the one that is paused, else the one planned next, if there is one."""
    return min(
        (visit for visit in visits if visit.status in OPEN),
        key=lambda visit: (visit.status not in UNDER_WAY, visit.status in MOVABLE, visit.start_at, visit.id),
        default=None,
    )


def visits_of(session: Session, job: Job) -> list[Appointment]:
    """Return the job's visits in time order, as they are now."""
    fresh = {"populate_existing": True}
    return list(session.scalars(_visits_query(), {"job_id": job.id}, execution_options=fresh))


@cache
def _visits_query() -> Select[Appointment]:
    visits = select(Appointment).where(Appointment.job_id == bindparam("job_id"))
    return visits.order_by(Appointment.start_at, Appointment.id)


def situation(
    session: Session,
    actor: Actor,
    now: datetime,
    job: Job,
    visit: Appointment | None = None,
    visits: Sequence[Appointment] | None = None,
    zone: ZoneInfo | None = None,
) -> Situation:
    """Return the situation of ``job`` and ``visit`` (by default its open one) for ``actor`` at ``now`` (UTC)."""
    known = visits_of(session, job) if visits is None else visits
    asked_about = visit if visit is not None else open_visit(known)
    elsewhere, taken = beside(session, asked_about)
    rules = rules_over(session, [job.id])[job.id] if actor.role is Role.CUSTOMER else None
    if zone is None:
        zone = rules.zone if rules is not None else zone_of(session, job.partner_id)
    return Situation(
        actor=actor,
        now=now,
        zone=zone,
        job=job,
        visit=asked_about,
        visits=known,
        technician_elsewhere=elsewhere,
        time_taken=taken,
        controls=rules.controls if rules is not None else None,
    )


def beside(session: Session, visit: Appointment | None) -> tuple[bool, bool]:
    """Return what else the technician of ``visit`` has, in one statement.

    First, whether another visit of theirs is under way; second, whether one holds time of a visit that does not hold it
    itself: a paused one.
    """
    if visit is None or visit.technician_id is None:
        return False, False
    given = {"technician": visit.technician_id, "visit": visit.id, "start": visit.start_at, "end": visit.end_at}
    found = session.execute(_beside_query(visit.status in OPEN - ACTIVE), given).one()
    return bool(found[0]), bool(found[1])


@cache
def _beside_query(holds_no_time: bool) -> Select[*tuple[Any, ...]]:
    theirs = select(Appointment.id).where(
        Appointment.technician_id == bindparam("technician"), Appointment.id != bindparam("visit")
    )
    under_way = theirs.where(Appointment.status.in_(sorted(UNDER_WAY))).exists()
    taken = theirs.where(
        Appointment.status.in_(sorted(ACTIVE)),
        Appointment.start_at < bindparam("end"),
        Appointment.end_at > bindparam("start"),
    ).exists()
    return select(under_way, taken if holds_no_time else literal(False))
