"""What was done to a partner's jobs and by whom (P17): the activity feed, and what is new in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.orm import Session, aliased

from portal.domain.actor import Role
from portal.domain.changes.queries import Mark, entries_between
from portal.domain.jobs.models import Appointment, HistoryEntry, Job
from portal.domain.paging import PAGE_ROWS, Cursor, Order, Page, page_of
from portal.domain.people.models import Customer, Technician
from portal.domain.people.queries import words_in

# A job and its visits end together, each with an entry of its own.
ENDS = frozenset({"cancel", "reject"})
# What of the visit that an entry is about goes with it.
VISIT = (Appointment.window_minutes, Appointment.start_at, Appointment.end_at, Technician.name.label("technician"))
ACTS_BY = {"when": (HistoryEntry.at, HistoryEntry.id)}
NEWEST_FIRST = Order(ACTS_BY["when"], descending=True)
# What is told of one by one; a page that knows of fewer changes looks at what it shows anyway.
MOST_NEW = 1_000


class Who(StrEnum):
    """Who may have done something, as the feed is filtered by."""

    CUSTOMERS = "customers"
    TECHNICIANS = "technicians"
    STAFF = "staff"
    SYSTEM = "system"


ROLES: Mapping[Who, frozenset[Role]] = {
    Who.CUSTOMERS: frozenset({Role.CUSTOMER}),
    Who.TECHNICIANS: frozenset({Role.TECHNICIAN}),
    Who.STAFF: frozenset({Role.DISPATCHER, Role.PARTNER_ADMIN, Role.OPERATOR}),
    Who.SYSTEM: frozenset({Role.SYSTEM}),
}


@dataclass(frozen=True, slots=True)
class ActFilter:
    """What the feed is narrowed to; ``since`` and ``until`` are instants, the latter excluded."""

    who: Who | None = None
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Freed:
    """The time (instants) that a technician got back."""

    technician: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Act:
    """What one person did to one job at one moment: its ``entries``, oldest first; ``id`` is the last one's.

    ``window_minutes`` is the arrival window of the visit it was about, if it was about one; ``freed`` whose time ahead
    became free with a cancelled visit.
    """

    id: int
    at: datetime
    job_id: int
    workflow: str
    number: str
    title: str
    customer: str
    window_minutes: int | None
    freed: Freed | None
    entries: Sequence[HistoryEntry]


def same_act(one: HistoryEntry, other: HistoryEntry) -> bool:
    """Whether two entries of one installation were written by one act: job and visit moving together are one."""
    together = {one.action, other.action} <= ENDS or one.action == other.action
    return together and (one.at, one.actor_id, one.actor_role) == (other.at, other.actor_id, other.actor_role)


def list_acts(
    session: Session,
    wanted: ActFilter,
    order: Order = NEWEST_FIRST,
    cursor: Cursor | None = None,
    limit: int = PAGE_ROWS,
) -> Page[Act]:
    """Return a page of what was done to installations, in two statements however many there are."""
    page = page_of(session, _last_entries(wanted), order, cursor, limit, scalars=False)
    rows = page.rows
    parts = (
        _with_visit(select(HistoryEntry, *VISIT))
        .where(HistoryEntry.job_id.in_({row.job_id for row in rows}), HistoryEntry.at.in_({row.at for row in rows}))
        .order_by(HistoryEntry.id)
    )
    found = list(session.execute(parts)) if rows else []
    last = {entry.id: entry for entry, *_ in found}
    acts = []
    for row in rows:
        mine = [part for part in found if part[0].job_id == row.job_id and same_act(part[0], last[row.id])]
        acts.append(_act(row, mine))
    return Page(acts, page.back, page.forward)


def acts_between(session: Session, since: Mark, until: Mark) -> list[Act]:
    """Return what was done to installations and is known at ``until`` but was not at ``since``, oldest first.

    What is committed after ``until`` is for the next time. One statement; of very many the newest ``MOST_NEW`` entries.
    """
    query = (
        _with_visit(_described(select(HistoryEntry, *VISIT, HistoryEntry.job_id)))
        .order_by(HistoryEntry.id.desc())
        .limit(MOST_NEW)
    )
    folded: list[list[Any]] = []
    of_job: dict[int, list[Any]] = {}
    for row in reversed(entries_between(session, query, since, until)):
        act = of_job.get(row.job_id)
        if act is None or not same_act(act[-1][0], row[0]):
            act = of_job[row.job_id] = []
            folded.append(act)
        act.append(row)
    return [_act(rows[-1], rows) for rows in folded]


def _last_entries(wanted: ActFilter) -> Select[*tuple[Any, ...]]:
    query = _described(select(HistoryEntry.id, HistoryEntry.at, HistoryEntry.job_id)).where(_is_last())
    if wanted.who is not None:
        query = query.where(HistoryEntry.actor_role.in_(sorted(ROLES[wanted.who])))
    if wanted.since is not None:
        query = query.where(HistoryEntry.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(HistoryEntry.at < wanted.until)
    if wanted.text.strip():
        query = query.where(words_in(wanted.text, (Job.number, Job.title, Customer.name, HistoryEntry.actor_name)))
    return query


def _described(query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    return (
        query.add_columns(Job.workflow, Job.number, Job.title, Customer.name.label("customer"))
        .join(Job, Job.id == HistoryEntry.job_id)
        .join(Customer, Customer.id == HistoryEntry.customer_id)
    )


def _with_visit(query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    return query.outerjoin(Appointment, Appointment.id == HistoryEntry.appointment_id).outerjoin(
        Technician, Technician.id == Appointment.technician_id
    )


def _is_last() -> ColumnElement[bool]:
    """Return that no later entry was written by the same act; as ``same_act``."""
    later = aliased(HistoryEntry)
    together = or_(
        later.action == HistoryEntry.action,
        and_(later.action.in_(sorted(ENDS)), HistoryEntry.action.in_(sorted(ENDS))),
    )
    query = select(later.id).where(
        later.job_id == HistoryEntry.job_id,
        later.id > HistoryEntry.id,
        later.at == HistoryEntry.at,
        later.actor_role == HistoryEntry.actor_role,
        later.actor_id.is_not_distinct_from(HistoryEntry.actor_id),
        together,
    )
    return ~query.exists()


def _act(row: Any, parts: Iterable[Any]) -> Act:
    found = list(parts)
    return Act(
        id=found[-1][0].id,
        at=found[-1][0].at,
        job_id=row.job_id,
        workflow=row.workflow,
        number=row.number,
        title=row.title,
        customer=row.customer,
        window_minutes=next((part[1] for part in reversed(found) if part[1] is not None), None),
        freed=next((freed for part in found if (freed := _freed(*part[:5])) is not None), None),
        entries=[entry for entry, *_ in found],
    )


def _freed(
    entry: HistoryEntry, window: int | None, start: datetime | None, end: datetime | None, technician: str | None
) -> Freed | None:
    # A cancelled visit of an installation keeps its time and technician for ever.
    if entry.action != "cancel" or technician is None or start is None or end is None or start <= entry.at:
        return None
    return Freed(technician, start, end)
