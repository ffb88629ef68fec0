"""Reading change requests within the session's scope: the office's queue, one of them, a customer's own."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from portal.domain.errors import NotFound
from portal.domain.jobs.models import Job
from portal.domain.lookup import MAX_KEY
from portal.domain.paging import PAGE_ROWS, Cursor, Order, Page, page_of
from portal.domain.people.models import Customer
from portal.domain.people.queries import words_in
from portal.domain.requests.models import PENDING, ChangeRequest

# The one that waits longest first.
REQUESTS_BY = {"number": (ChangeRequest.id,)}
SHOWN = 50
WITH_JOB = (
    joinedload(ChangeRequest.job).options(joinedload(Job.customer), joinedload(Job.service_type)),
    joinedload(ChangeRequest.visit),
)


def list_change_requests(
    session: Session, text: str, status: str | None, order: Order, cursor: Cursor | None, limit: int = PAGE_ROWS
) -> Page[ChangeRequest]:
    """Return a page of change requests in ``status``, or all, each with job, customer and visit (P18).

    ``text`` is looked for in number, title, the customer's name and what they wrote.
    """
    query = select(ChangeRequest).options(*WITH_JOB)
    if text:
        searched = (Job.number, Job.title, Customer.name, ChangeRequest.words)
        query = query.join(Job, Job.id == ChangeRequest.job_id).join(Customer, Customer.id == Job.customer_id)
        query = query.where(words_in(text, searched))
    if status is not None:
        query = query.where(ChangeRequest.status == status)
    return page_of(session, query, order, cursor, limit)


def change_request(session: Session, request_id: int) -> ChangeRequest:
    """Return one change request with job, customer and visit; raises ``NotFound``."""
    query = select(ChangeRequest).options(*WITH_JOB).where(ChangeRequest.id == request_id)
    found = session.scalars(query).one_or_none() if 0 < request_id <= MAX_KEY else None
    if found is None:
        raise NotFound
    return found


def pending_requests(session: Session, job_id: int) -> list[ChangeRequest]:
    """Return the requests about a job's visits that wait for an answer."""
    query = select(ChangeRequest).where(ChangeRequest.job_id == job_id, ChangeRequest.status == PENDING)
    return list(session.scalars(query))


def own_requests(session: Session, visit_id: int | None = None) -> Sequence[ChangeRequest]:
    """Return the customer's latest requests, newest first, those about one visit or all (C6)."""
    address = joinedload(ChangeRequest.job).joinedload(Job.address)
    query = select(ChangeRequest).options(*WITH_JOB, address).order_by(ChangeRequest.id.desc()).limit(SHOWN)
    if visit_id is not None:
        query = query.where(ChangeRequest.appointment_id == visit_id)
    return list(session.scalars(query))
