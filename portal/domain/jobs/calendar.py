"""The calendar (P11): what matters most on a day, how many visits the days have, and the visits themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Label, case, func, literal, select
from sqlalchemy.orm import Session

from portal.domain.errors import Sentence
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.states import APPOINTMENT, INSTALLATION, SEVERAL, WORKFLOWS
from portal.domain.people.models import Address, Customer, Technician
from portal.domain.scheduling.zones import day_span


class DayStatus(StrEnum):
    """What a visit counts as on its day, the most significant first (``lifecycles.md``)."""

    EN_ROUTE = "en_route"
    IN_PROGRESS = "in_progress"
    UNASSIGNED = "unassigned"
    SCHEDULED = "scheduled"
    DONE = "done"
    ENDED = "ended"


_ORDER = tuple(DayStatus)
_OF_GROUP = {
    "En Route": DayStatus.EN_ROUTE,
    "In Progress": DayStatus.IN_PROGRESS,
    "Scheduled": DayStatus.SCHEDULED,
    "Approved": DayStatus.DONE,
    "Rejected": DayStatus.ENDED,
}


def most_significant(statuses: Iterable[DayStatus]) -> DayStatus | None:
    """Return the status that gives a day its colour; ``None`` for a day without visits."""
    return min(statuses, key=_ORDER.index, default=None)


# A service job may have a visit under way and another one planned, so each of its visits speaks for itself.
_OF_VISIT = {
    "SCHEDULED": DayStatus.SCHEDULED,
    "PREPARING": DayStatus.SCHEDULED,
    "ON_THE_WAY": DayStatus.EN_ROUTE,
    "ARRIVED": DayStatus.EN_ROUTE,
    "WORK_IN_PROGRESS": DayStatus.IN_PROGRESS,
    "PAUSED": DayStatus.IN_PROGRESS,
    "COMPLETE": DayStatus.DONE,
    "INCOMPLETE": DayStatus.IN_PROGRESS,
    "CANCELLED": DayStatus.ENDED,
}


def job_day_status(job_status: str, has_technician: bool) -> DayStatus:
    """Return what an installation of that status counts as on a day."""
    found = _OF_GROUP[INSTALLATION.status(job_status).group]
    return DayStatus.UNASSIGNED if found is DayStatus.SCHEDULED and not has_technician else found


def visit_day_status(workflow: str, job_status: str, visit_status: str, has_technician: bool) -> DayStatus:
    """Return what a visit counts as on its day: of an installation what the installation does, in general.

    An earlier visit of an installation that has moved on does not: a cancelled one stays so, and one that ended to be
    continued counts as in progress for as long as the installation is not at an end.
    """
    if workflow in SEVERAL:
        found = _OF_VISIT[visit_status]
        if visit_status == "INCOMPLETE" and WORKFLOWS[workflow].is_end(job_status):
            return DayStatus.DONE
        return DayStatus.UNASSIGNED if found is DayStatus.SCHEDULED and not has_technician else found
    if visit_status == "CANCELLED":
        return DayStatus.ENDED
    if visit_status == "INCOMPLETE" and not INSTALLATION.is_end(job_status):
        return DayStatus.IN_PROGRESS
    return job_day_status(job_status, has_technician)


@dataclass(frozen=True, slots=True)
class DayCounts:
    """How many visits of each kind a day has; kinds without any are left out."""

    counts: Mapping[DayStatus, int]

    @property
    def total(self) -> int:
        """How many visits there are."""
        return sum(self.counts.values())

    @property
    def top(self) -> DayStatus | None:
        """What gives the day its colour."""
        return most_significant(self.counts)

    def __iter__(self) -> Any:
        """Go through kinds and their counts, the most significant first."""
        return iter((status, self.counts[status]) for status in _ORDER if status in self.counts)


@dataclass(frozen=True, slots=True)
class CalendarVisit:
    """One visit as the calendar shows it; ``start_at`` and ``cancel_at`` are instants.

    ``label`` is what its badge says: the installation's status, or the visit's own where the two have parted.
    """

    job_id: int
    workflow: str
    number: str
    title: str
    customer: str
    address: str
    technician: str | None
    start_at: datetime
    window_minutes: int
    cancel_at: datetime | None
    status: DayStatus
    label: Sentence


def count_days(session: Session, days: Sequence[date], zone: ZoneInfo) -> dict[date, DayCounts]:
    """Count the visits on consecutive local ``days``; a day is its span in ``zone``. One statement.

    The database counts, so that a month of thousands of visits comes back as a few rows a day.
    """
    number, within = _on(days, zone)
    without = Appointment.technician_id.is_(None)
    query = (
        select(number, Job.workflow, Job.status, Appointment.status, without.label("without"), func.count())
        .join(Job, Job.id == Appointment.job_id)
        .where(*within)
        .group_by(number.name, Job.workflow, Job.status, Appointment.status, "without")
    )
    found: list[Counter[DayStatus]] = [Counter() for _ in days]
    for index, workflow, job_status, visit_status, nobody, count in session.execute(query):
        found[index][visit_day_status(workflow, job_status, visit_status, not nobody)] += count
    return {day: DayCounts(counts) for day, counts in zip(days, found, strict=True)}


def list_days(session: Session, days: Sequence[date], zone: ZoneInfo, most: int) -> dict[date, list[CalendarVisit]]:
    """Return up to ``most`` visits of each of the consecutive local ``days``, the earliest first. One statement."""
    number, within = _on(days, zone)
    place = func.row_number().over(partition_by=number.element, order_by=(Appointment.start_at, Appointment.id))
    # Everything of visit and job comes from here, so that neither is joined to itself.
    ranked = (
        select(
            number,
            place.label("place"),
            Appointment.id.label("visit_id"),
            Appointment.technician_id,
            Appointment.status.label("visit_status"),
            Appointment.start_at,
            Appointment.window_minutes,
            Appointment.cancel_at,
            Job.id.label("job_id"),
            Job.workflow,
            Job.number,
            Job.title,
            Job.status.label("job_status"),
            Job.customer_id,
            Job.address_id,
        )
        .join(Job, Job.id == Appointment.job_id)
        .where(*within)
        .subquery()
    )
    visit = ranked.c
    query = (
        select(
            visit[number.name],
            visit.job_id,
            visit.workflow,
            visit.number,
            visit.title,
            visit.job_status,
            Customer.name,
            Address.line,
            Address.postcode,
            Technician.name,
            visit.visit_status,
            visit.start_at,
            visit.window_minutes,
            visit.cancel_at,
        )
        .select_from(ranked)
        .join(Customer, Customer.id == visit.customer_id)
        .join(Address, Address.id == visit.address_id)
        .outerjoin(Technician, Technician.id == visit.technician_id)
        .where(visit.place <= most)
        .order_by(visit.start_at, visit.visit_id)
    )
    found: dict[date, list[CalendarVisit]] = {day: [] for day in days}
    for index, *row in session.execute(query):
        found[days[index]].append(_visit(*row))
    return found


def _on(days: Sequence[date], zone: ZoneInfo) -> tuple[Label[int], tuple[ColumnElement[bool], ...]]:
    """Return the index among ``days`` of the day a visit starts on, and the condition that it starts on one of them."""
    spans = [day_span(day, zone) for day in days]
    start = Appointment.start_at
    number = _index(start, [end for _, end in spans[:-1]]).label("day_index")
    return number, (start >= spans[0][0], start < spans[-1][1])


def _index(start: Any, ends: Sequence[datetime], first: int = 0) -> ColumnElement[int]:
    """Return how many of ``ends`` are over at ``start``, in as many comparisons as halving them takes."""
    if not ends:
        return literal(first)
    half = len(ends) // 2
    return case(
        (start < ends[half], _index(start, ends[:half], first)), else_=_index(start, ends[half + 1 :], first + half + 1)
    )


def _visit(
    job_id: int,
    workflow: str,
    number: str,
    title: str,
    job_status: str,
    customer: str,
    line: str,
    postcode: str,
    technician: str | None,
    visit_status: str,
    start_at: datetime,
    window_minutes: int,
    cancel_at: datetime | None,
) -> CalendarVisit:
    has_technician = technician is not None
    status = visit_day_status(workflow, job_status, visit_status, has_technician)
    together = workflow not in SEVERAL and status is job_day_status(job_status, has_technician)
    return CalendarVisit(
        job_id=job_id,
        workflow=workflow,
        number=number,
        title=title,
        customer=customer,
        address=", ".join(part for part in (line, postcode) if part),
        technician=technician,
        start_at=start_at,
        window_minutes=window_minutes,
        cancel_at=cancel_at,
        status=status,
        label=INSTALLATION.status(job_status).office if together else APPOINTMENT.status(visit_status).office,
    )
