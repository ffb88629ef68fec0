"""What needs attention (P18, P21): each queue is one query, for its count and, of jobs, its list and the dashboard.

A queue is read from an index that holds it and little more, and counted up to a limit, so that it costs the same for a
partner of a hundred jobs and of two hundred thousand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Select, and_, func, literal, select, union_all, update
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import GenericFunction

from portal.domain.actor import Actor
from portal.domain.base import UtcDateTime
from portal.domain.delivery.models import Unreachable
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.situations import current_visit, open_visit
from portal.domain.jobs.states import (
    ACTIVE,
    APPOINTMENT,
    AT_WORK,
    EXPECTED,
    NEEDING_VISIT,
    OPEN,
    SEVERAL,
    Situation,
    job_refusal,
)
from portal.domain.messages.models import Message
from portal.domain.offers.models import OFFERED, JobOffer, OfferedJob
from portal.domain.paging import PAGE_ROWS, Cursor, Order, Page, page_of
from portal.domain.people.models import Address, Customer, Technician
from portal.domain.requests.models import NEW, PENDING, ChangeRequest, ServiceRequest
from portal.domain.scheduling.hits import Reason
from portal.domain.scheduling.hours import forget_hits
from portal.domain.scheduling.models import VisitHit
from portal.domain.scheduling.zones import day_span, local_day
from portal.domain.tenancy import NAMES_PARTNER
from portal.domain.written import is_one_of, written

# Counted this far; more is "99+".
MOST_COUNTED = 100


class Queue(StrEnum):
    """What waits for somebody of the office; its values stand in addresses."""

    WITHOUT_TECHNICIAN = "without-technician"
    NOT_STARTED = "not-started"
    NOT_COMPLETED = "not-completed"
    NEEDS_VISIT = "needs-visit"
    HIT = "hit"
    OFFERS = "job-offers"
    REQUESTS = "requests"
    CHANGE_REQUESTS = "change-requests"
    UNREACHABLE = "unreachable"


# The acts that would settle it, the likeliest first: of the job or, where it has none of that name, its visit.
ACTS: Mapping[Queue, tuple[str, ...]] = {
    Queue.WITHOUT_TECHNICIAN: ("assign", "reschedule", "reject"),
    Queue.NOT_STARTED: ("reschedule", "reassign", "assign", "arrive"),
    Queue.NOT_COMPLETED: ("complete", "continue_later", "start_work", "arrive", "turn_back"),
    Queue.NEEDS_VISIT: ("reschedule", "schedule"),
    Queue.HIT: ("reassign", "reschedule"),
    Queue.CHANGE_REQUESTS: ("reschedule", "cancel"),
    # No installation yet.
    Queue.OFFERS: (),
    Queue.REQUESTS: (),
    # The customer is to be called; what comes of that is anybody's guess.
    Queue.UNREACHABLE: (),
}


class window_end(GenericFunction[datetime]):  # noqa: N801
    """The instant at which an arrival window is over: a start and a number of minutes, as each database adds them."""

    type = UtcDateTime()
    inherit_cache = True
    name = "window_end"


@compiles(window_end, "postgresql")
def _window_end_postgresql(element: Any, compiler: Any, **kwargs: Any) -> str:
    start, minutes = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"({start} + make_interval(mins => {minutes}))"


@compiles(window_end, "sqlite")
def _window_end_sqlite(element: Any, compiler: Any, **kwargs: Any) -> str:
    start, minutes = (compiler.process(clause, **kwargs) for clause in element.clauses)
    # Spelled as instants are kept, so that texts compare as instants do.
    return f"(strftime('%Y-%m-%d %H:%M:%f', {start}, {minutes} || ' minutes') || '000')"


@dataclass(frozen=True, slots=True)
class VisitState:
    """What a badge of a visit is made from."""

    status: str
    technician_id: int | None


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A job in a queue; ``acts`` are those of ``ACTS`` that would be accepted now.

    ``visit`` is the one which the lists show or, with ``visit_id``, which of several it is about; ``reasons`` say what
    hit it, elsewhere they are empty.
    """

    id: int
    workflow: str
    number: str
    title: str
    status: str
    customer: str
    address: str
    technician_id: int | None
    technician: str | None
    start_at: datetime | None
    window_minutes: int
    visit: VisitState | None
    reasons: tuple[Reason, ...]
    acts: tuple[str, ...]
    visit_id: int | None = None

    @property
    def key(self) -> str:
        """What tells this row from the others."""
        return str(self.id) if self.visit_id is None else f"{self.id}-{self.visit_id}"

    @property
    def args(self) -> dict[str, int]:
        """What the address of an act says besides the job."""
        return {} if self.visit_id is None else {"visit": self.visit_id}


def count_queues(session: Session, partner_id: int, now: datetime, zone: ZoneInfo) -> dict[Queue, int]:
    """Count each queue up to ``MOST_COUNTED``, by one statement that names the partner itself."""
    parts = [
        select(literal(str(queue)).label("queue"), func.count().label("number")).select_from(
            _counted(queue, partner_id, now, zone).subquery()
        )
        for queue in Queue
    ]
    found = session.execute(union_all(*parts), execution_options=NAMES_PARTNER)
    counts = {Queue(name): number for name, number in found}
    return {queue: counts[queue] for queue in Queue}


def _counted(queue: Queue, partner_id: int, now: datetime, zone: ZoneInfo) -> Select[*tuple[Any, ...]]:
    query = _queue(queue, partner_id, now, zone).limit(MOST_COUNTED)
    # PostgreSQL would rather go through all visits than join a hundred; the order of the index tells it better.
    return query.order_by(Appointment.start_at) if queue in (Queue.NOT_STARTED, Queue.NOT_COMPLETED) else query


def list_queue(
    session: Session,
    actor: Actor,
    partner_id: int,
    now: datetime,
    zone: ZoneInfo,
    queue: Queue,
    cursor: Cursor | None = None,
    limit: int = PAGE_ROWS,
) -> Page[QueueRow]:
    """Return a page of a queue, the earliest visit first, in three statements however many there are."""
    query = _queue(queue, partner_id, now, zone).execution_options(**NAMES_PARTNER)
    page = page_of(session, query, queue_order(queue), cursor, limit, scalars=False)
    hit = {row.visit_id: tuple(Reason(code) for code in row.codes) for row in page.rows} if queue is Queue.HIT else {}
    about = [(row.job_id, getattr(row, "visit_id", None)) for row in page.rows]
    rows = rows_of(session, actor, now, zone, about, ACTS[queue], hit)
    return Page(rows, page.back, page.forward)


def rebuild(session: Session, now: datetime) -> None:
    """Note anew which jobs have an open visit, and forget hits that are settled; for the command that mends counts."""
    opened = select(Appointment.id).where(Appointment.job_id == Job.id, Appointment.status.in_(sorted(OPEN))).exists()
    for value, wrong in ((True, and_(opened, ~Job.visit_open)), (False, and_(~opened, Job.visit_open))):
        # The version stays: nobody edited the job.
        session.execute(
            update(Job).where(wrong).values(visit_open=value), execution_options={"synchronize_session": False}
        )
    forget_hits(session, now)


def queue_order(queue: Queue) -> Order:
    """Return the order in which the pages of a queue follow one another."""
    if queue is Queue.UNREACHABLE:
        return Order((Unreachable.opened_at, Unreachable.id))
    if queue is Queue.NEEDS_VISIT:
        # Some of these never had a visit.
        return Order((Job.id,))
    models: dict[Queue, Any] = {
        Queue.HIT: VisitHit,
        Queue.CHANGE_REQUESTS: ChangeRequest,
    }
    if queue is Queue.REQUESTS:
        return Order((ServiceRequest.asked_at, ServiceRequest.id))
    if queue is Queue.OFFERS:
        return Order((OfferedJob.expires_at, JobOffer.id))
    model = models.get(queue, Appointment)
    return Order((model.start_at, model.id))


def rows_of(
    session: Session,
    actor: Actor,
    now: datetime,
    zone: ZoneInfo,
    about: Sequence[tuple[int, int | None]],
    acts: Sequence[str],
    reasons: Mapping[int, tuple[Reason, ...]],
) -> list[QueueRow]:
    """Return jobs in the order of ``about``, each with those of ``acts`` that are possible now.

    ``about`` holds the key of each job and that of the visit it is about, if it is about one; ``reasons`` are what hit
    visits, by their keys. Two statements.
    """
    if not about:
        return []
    job_ids = {job_id for job_id, _ in about}
    query = (
        select(Job, Customer.name, Address.line, Address.postcode)
        .join(Customer, Customer.id == Job.customer_id)
        .join(Address, Address.id == Job.address_id)
        .where(Job.id.in_(job_ids))
    )
    found = {row[0].id: row for row in session.execute(query)}
    visits: dict[int, list[Appointment]] = defaultdict(list)
    names: dict[int | None, str] = {}
    made = select(Appointment, Technician.name).outerjoin(Technician, Technician.id == Appointment.technician_id)
    for visit, name in session.execute(made.where(Appointment.job_id.in_(job_ids))):
        visits[visit.job_id].append(visit)
        names[visit.technician_id] = name
    rows = []
    for job_id, visit_id in about:
        if job_id not in found:
            continue
        job, customer, line, postcode = found[job_id]
        theirs = visits[job_id]
        chosen = next((visit for visit in theirs if visit.id == visit_id), None) if job.workflow in SEVERAL else None
        shown, asked_about = chosen or current_visit(theirs), chosen or open_visit(theirs)
        asked = Situation(actor, now, zone, job=job, visit=asked_about, visits=theirs)
        rows.append(
            QueueRow(
                id=job.id,
                workflow=job.workflow,
                number=job.number,
                title=job.title,
                status=job.status,
                customer=customer,
                address=", ".join(part for part in (line, postcode) if part),
                technician_id=shown.technician_id if shown is not None else None,
                technician=names.get(shown.technician_id) if shown is not None else None,
                start_at=shown.start_at if shown is not None else None,
                window_minutes=shown.window_minutes if shown is not None else 0,
                visit=VisitState(shown.status, shown.technician_id) if shown is not None else None,
                reasons=reasons.get(visit_id, ()) if visit_id is not None else (),
                acts=tuple(name for name in acts if _possible(name, asked, asked_about)),
                visit_id=chosen.id if chosen is not None else None,
            )
        )
    return rows


def _possible(name: str, asked: Situation, visit: Appointment | None) -> bool:
    if name in {"assign", "reassign", "reject", "reschedule", "schedule"}:
        return job_refusal(name, asked) is None
    return visit is not None and APPOINTMENT.refusal(name, visit.status, asked) is None


def _queue(queue: Queue, partner_id: int, now: datetime, zone: ZoneInfo) -> Select[*tuple[Any, ...]]:
    """Return the rows of a queue: what pages are ordered by, and the key of the installation as ``job_id``.

    It names the partner itself, once, on the table whose index holds the queue: another condition on it elsewhere would
    invite SQLite to begin there.
    """
    if queue is Queue.NEEDS_VISIT:
        jobs: Select[*tuple[Any, ...]] = select(Job.id, Job.start_at, Job.id.label("job_id"))
        return jobs.where(
            Job.partner_id == partner_id,
            is_one_of(Job.status, NEEDING_VISIT),
            ~Job.visit_open,
        )
    if queue is Queue.HIT:
        hits: Select[*tuple[Any, ...]] = select(
            VisitHit.id, VisitHit.start_at, Appointment.job_id, VisitHit.codes, Appointment.id.label("visit_id")
        )
        return hits.join(Appointment, Appointment.id == VisitHit.appointment_id).where(
            VisitHit.partner_id == partner_id,
            # The same start and technician as when it was hit: nobody has seen to it.
            Appointment.start_at == VisitHit.start_at,
            Appointment.technician_id.is_not_distinct_from(VisitHit.technician_id),
            Appointment.status.in_(sorted(ACTIVE)),
            Appointment.end_at > now,
        )
    if queue is Queue.CHANGE_REQUESTS:
        wishes: Select[*tuple[Any, ...]] = select(ChangeRequest.id, ChangeRequest.start_at, ChangeRequest.job_id)
        return wishes.where(ChangeRequest.partner_id == partner_id, ChangeRequest.status == written(PENDING))
    if queue is Queue.REQUESTS:
        asked: Select[*tuple[Any, ...]] = select(ServiceRequest.id, ServiceRequest.asked_at, ServiceRequest.job_id)
        return asked.where(ServiceRequest.partner_id == partner_id, ServiceRequest.status == written(NEW))
    if queue is Queue.OFFERS:
        offers: Select[*tuple[Any, ...]] = select(JobOffer.id, OfferedJob.expires_at, JobOffer.job_id)
        return offers.join(OfferedJob, OfferedJob.id == JobOffer.offered_job_id).where(
            JobOffer.partner_id == partner_id, JobOffer.status == written(OFFERED), OfferedJob.expires_at > now
        )
    if queue is Queue.UNREACHABLE:
        tasks: Select[*tuple[Any, ...]] = select(Unreachable.id, Unreachable.opened_at, Message.job_id)
        return tasks.join(Message, Message.id == Unreachable.message_id).where(
            Unreachable.partner_id == partner_id, Unreachable.closed_at.is_(None)
        )
    visits: Select[*tuple[Any, ...]] = (
        select(Appointment.id, Appointment.start_at, Appointment.job_id, Appointment.id.label("visit_id"))
    ).where(Appointment.partner_id == partner_id)
    if queue is Queue.WITHOUT_TECHNICIAN:
        return visits.where(
            Appointment.technician_id.is_(None), Appointment.status == written(APPOINTMENT.first("book"))
        )
    if queue is Queue.NOT_STARTED:
        over = window_end(Appointment.start_at, Appointment.window_minutes) <= now
        return visits.where(is_one_of(Appointment.status, EXPECTED), Appointment.start_at < now, over)
    today = day_span(local_day(now, zone), zone)[0]
    return visits.where(is_one_of(Appointment.status, AT_WORK), Appointment.end_at <= today)
