"""Gathering what guards look at: for a page as of now, for a use case under the locks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Protocol, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor, Role
from portal.domain.gathering import Gathering
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.states import ACTIVE, AT_WORK, MOVABLE, OPEN, UNDER_WAY, Situation
from portal.domain.scheduling.queries import Rules, rules_in, rules_over, with_rules, zone_of
from portal.domain.written import is_one_of


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


def visits_with_rules(session: Session, job: Job) -> tuple[list[Appointment], Rules]:
    """Return the same with what binds the job's customer, for a job that has visits; by one statement."""
    fresh = {"populate_existing": True}
    rows = session.execute(_visits_with_rules(), {"job_id": job.id}, execution_options=fresh).all()
    # Of a visit there is a row for each override.
    return list(dict.fromkeys(row[0] for row in rows)), rules_in(rows)


@cache
def _visits_query() -> Select[Appointment]:
    visits = select(Appointment).where(Appointment.job_id == bindparam("job_id"))
    return visits.order_by(Appointment.start_at, Appointment.id)


@cache
def _visits_with_rules() -> Select[*tuple[Any, ...]]:
    return with_rules(_visits_query().join(Job, Job.id == Appointment.job_id))


def situation(
    session: Session,
    actor: Actor,
    now: datetime,
    job: Job,
    visit: Appointment | None = None,
    visits: Sequence[Appointment] | None = None,
    zone: ZoneInfo | None = None,
    rules: Rules | None = None,
) -> Situation:
    """Return the situation of ``job`` and ``visit`` (by default its open one) for ``actor`` at ``now`` (UTC).

    ``rules`` are what bind a customer, where they were read along with the visits.
    """
    known = visits_of(session, job) if visits is None else visits
    asked_about = visit if visit is not None else open_visit(known)
    # Nothing that a customer may do depends on what else the technician has, but for the time itself.
    beside = [asked_about] if asked_about is not None and actor.role is not Role.CUSTOMER else []
    busy, taken = elsewhere(session, beside).of(asked_about)
    if actor.role is not Role.CUSTOMER:
        rules = None
    elif rules is None:
        rules = rules_over(session, [job.id])[job.id]
    if zone is None:
        zone = rules.zone if rules is not None else zone_of(session, job.partner_id)
    return Situation(
        actor=actor,
        now=now,
        zone=zone,
        job=job,
        visit=asked_about,
        visits=known,
        technician_elsewhere=busy,
        time_taken=taken,
        controls=rules.controls if rules is not None else None,
    )


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What else technicians have who make some visits: ``rows`` as ``ELSEWHERE`` reads them."""

    rows: Sequence[Any]

    def of(self, visit: Appointment | None) -> tuple[bool, bool]:
        """Return what else the technician of ``visit``, one of these visits, has.

        First, whether another visit of theirs is under way; second, whether one holds time of a visit that does not
        hold it itself: a paused one.
        """
        if visit is None or visit.technician_id is None:
            return False, False
        theirs = [row for row in self.rows if row.technician_id == visit.technician_id and row.id != visit.id]
        under_way = any(row.status in UNDER_WAY for row in theirs)
        return under_way, _holds_no_time(visit) and any(
            row.status in ACTIVE and row.start_at < visit.end_at and row.end_at > visit.start_at for row in theirs
        )


def elsewhere(session: Session, visits: Iterable[Appointment]) -> Elsewhere:
    """Return what else the technicians of ``visits`` have; one statement, none where nobody is to come."""
    given = elsewhere_values(visits)
    if not given["technicians"]:
        return Elsewhere([])
    return elsewhere_in(_elsewhere().read(session, given))


def elsewhere_values(visits: Iterable[Appointment]) -> dict[str, Any]:
    """Return what ``ELSEWHERE`` is asked with for ``visits``."""
    staffed = [visit for visit in visits if visit.technician_id is not None]
    paused = [visit for visit in staffed if _holds_no_time(visit)]
    return {
        "technicians": sorted({visit.technician_id for visit in staffed if visit.technician_id is not None}),
        "paused_from": min((visit.start_at for visit in paused), default=None),
        "paused_until": max((visit.end_at for visit in paused), default=None),
    }


def elsewhere_in(found: Mapping[str, list[Any]]) -> Elsewhere:
    """Return what the parts of ``ELSEWHERE`` found."""
    return Elsewhere([row for name in ELSEWHERE for row in found[name]])


def _holds_no_time(visit: Appointment) -> bool:
    return visit.status in OPEN - ACTIVE


_THEIRS = select(
    Appointment.id, Appointment.technician_id, Appointment.status, Appointment.start_at, Appointment.end_at
).where(Appointment.technician_id.in_(bindparam("technicians", expanding=True)))
# Parts of a ``Gathering``.
ELSEWHERE = {
    "at_work": _THEIRS.where(is_one_of(Appointment.status, AT_WORK)),
    "in_the_way": _THEIRS.where(
        Appointment.status.in_(sorted(ACTIVE)),
        Appointment.start_at < bindparam("paused_until"),
        Appointment.end_at > bindparam("paused_from"),
    ),
}


@cache
def _elsewhere() -> Gathering:
    return Gathering(**ELSEWHERE)
