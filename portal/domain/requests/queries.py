"""Reading requests within the session's scope: the office's queues, one of them, a customer's own.

Change requests first (C6), then requests for new service (C5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from portal.domain.errors import NotFound
from portal.domain.jobs.models import Job
from portal.domain.lookup import MAX_KEY, find
from portal.domain.paging import PAGE_ROWS, Cursor, Order, Page, page_of
from portal.domain.people.models import Address, Customer
from portal.domain.people.queries import words_in
from portal.domain.requests.models import PENDING, WAITING, ChangeRequest, RequestPhoto, ServiceRequest
from portal.domain.requests.states import SERVICE_REQUEST
from portal.domain.scheduling.models import ServiceType

# The one that waits longest first.
REQUESTS_BY = {"number": (ChangeRequest.id,)}
SERVICE_REQUESTS_BY = {"number": (ServiceRequest.id,)}
SHOWN = 50
# So long My Schedule says what became of a request.
NEWS_FOR = timedelta(days=7)
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


WITH_WISH = (
    joinedload(ServiceRequest.customer),
    joinedload(ServiceRequest.address),
    joinedload(ServiceRequest.service_type),
    joinedload(ServiceRequest.technician),
    joinedload(ServiceRequest.job),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a customer may ask for service: as which customer, of which partner, with their addresses in use."""

    customer: Customer
    addresses: Sequence[Address]
    service_types: Sequence[ServiceType]


def list_service_requests(
    session: Session, text: str, status: str | None, order: Order, cursor: Cursor | None, limit: int = PAGE_ROWS
) -> Page[ServiceRequest]:
    """Return a page of requests for new service in ``status``, or all, each with all it names (P18).

    ``text`` is looked for in the customer's name, the service type and the notes.
    """
    query = select(ServiceRequest).options(*WITH_WISH)
    if text:
        query = query.join(Customer, Customer.id == ServiceRequest.customer_id)
        query = query.join(ServiceType, ServiceType.id == ServiceRequest.service_type_id)
        query = query.where(words_in(text, (Customer.name, ServiceType.name, ServiceRequest.notes)))
    if status is not None:
        query = query.where(ServiceRequest.status == status)
    return page_of(session, query, order, cursor, limit)


def service_request(session: Session, request_id: int) -> ServiceRequest:
    """Return one request for new service with all it names, as it is now; raises ``NotFound``."""
    query = select(ServiceRequest).options(*WITH_WISH, selectinload(ServiceRequest.photos))
    query = query.where(ServiceRequest.id == request_id)
    if not 0 < request_id <= MAX_KEY:
        raise NotFound
    request = session.scalars(query, execution_options={"populate_existing": True}).one_or_none()
    if request is None:
        raise NotFound
    return request


def request_photo(session: Session, photo_id: int) -> RequestPhoto:
    """Return a photo of a request within the session's scope; raises ``NotFound``."""
    return find(session, RequestPhoto, photo_id)


def address_in_use(session: Session, request: ServiceRequest) -> int:
    """Return the key of the address that a request is for: its own or, once that is retired, one at the same place.

    An address is retired when its customer turns out to be another's double who has one there (P23).
    """
    own = session.scalars(select(Address).where(Address.id == request.address_id)).one()
    if own.active:
        return own.id
    same = select(Address.id).where(
        Address.customer_id == request.customer_id, Address.active.is_(True), Address.place_key == own.place_key
    )
    return session.scalars(same.order_by(Address.id).limit(1)).first() or own.id


def own_service_requests(session: Session, now: datetime | None = None) -> Sequence[ServiceRequest]:
    """Return the customer's latest requests for new service, newest first, in one statement (C5).

    With ``now`` (an instant) only what My Schedule tells: those that wait, and those that the office answered lately.
    """
    query = select(ServiceRequest).options(*WITH_WISH).order_by(ServiceRequest.id.desc()).limit(SHOWN)
    if now is not None:
        told = [name for row in ("decline", "convert") for name in SERVICE_REQUEST.transition(row).targets]
        lately = and_(ServiceRequest.status.in_(told), ServiceRequest.answered_at > now - NEWS_FOR)
        query = query.where(or_(ServiceRequest.status.in_(WAITING), lately))
    return list(session.scalars(query))


def places_to_ask_for(session: Session) -> list[Place]:
    """Return as which customers of which partners somebody may ask for service, in three statements (C8)."""
    customers = session.scalars(select(Customer).where(Customer.active.is_(True)).order_by(Customer.id)).all()
    addresses = session.scalars(select(Address).where(Address.active.is_(True)).order_by(Address.id)).all()
    offered = select(ServiceType).where(ServiceType.active.is_(True)).order_by(ServiceType.name, ServiceType.id)
    types = session.scalars(offered).all()
    return [
        Place(
            customer,
            [address for address in addresses if address.customer_id == customer.id],
            [kind for kind in types if kind.partner_id == customer.partner_id],
        )
        for customer in customers
    ]
