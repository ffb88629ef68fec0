"""Reading job offers: a partner its own, within the session's scope; the operator each job with all of its offers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, exists, select
from sqlalchemy.orm import Session, joinedload

from portal.domain.errors import NotFound
from portal.domain.jobs.models import Job
from portal.domain.lookup import MAX_KEY
from portal.domain.offers.models import JobOffer, OfferedJob
from portal.domain.paging import PAGE_ROWS, Cursor, Order, Page, page_of
from portal.domain.people.models import Partner
from portal.domain.people.queries import words_in
from portal.domain.requests.models import DECLINED, ServiceRequest

OFFERS_BY = {"number": (JobOffer.id,)}
OFFERED_BY = {"number": (OfferedJob.id,)}


@dataclass(frozen=True, slots=True)
class Offered:
    """An offered job with its offers, each with its partner, in the partners' order."""

    job: OfferedJob
    offers: Sequence[JobOffer]

    @property
    def id(self) -> int:
        """The key of the offered job."""
        return self.job.id


def list_offers(
    session: Session, text: str, status: str | None, order: Order, cursor: Cursor | None, limit: int = PAGE_ROWS
) -> Page[JobOffer]:
    """Return a page of the partner's own offers in ``status``, or all, each with what is offered (P18).

    ``text`` is looked for in service, customer and address. One statement.
    """
    query = select(JobOffer).options(joinedload(JobOffer.offered), joinedload(JobOffer.job))
    if text:
        searched = (OfferedJob.service, OfferedJob.customer_name, OfferedJob.line, OfferedJob.city, OfferedJob.postcode)
        query = query.join(OfferedJob, OfferedJob.id == JobOffer.offered_job_id).where(words_in(text, searched))
    if status is not None:
        query = query.where(JobOffer.status == status)
    return page_of(session, query, order, cursor, limit)


def offer(session: Session, offer_id: int) -> JobOffer:
    """Return one of the partner's own offers with what is offered, as it is now; raises ``NotFound``."""
    query = select(JobOffer).options(joinedload(JobOffer.offered), joinedload(JobOffer.job))
    if not 0 < offer_id <= MAX_KEY:
        raise NotFound
    query = query.where(JobOffer.id == offer_id)
    one = session.scalars(query, execution_options={"populate_existing": True}).one_or_none()
    if one is None:
        raise NotFound
    return one


def list_offered(
    session: Session, text: str, order: Order, cursor: Cursor | None, limit: int = PAGE_ROWS
) -> Page[Offered]:
    """Return a page of offered jobs with their offers, for the operator, whose session sees all partners (P20).

    ``text`` is looked for in service, customer and address. Two statements.
    """
    query = select(OfferedJob)
    if text:
        searched = (OfferedJob.service, OfferedJob.customer_name, OfferedJob.line, OfferedJob.city, OfferedJob.postcode)
        query = query.where(words_in(text, searched))
    page = page_of(session, query, order, cursor, limit)
    return Page(_with_offers(session, page.rows), page.back, page.forward)


def offered_job(session: Session, key: int) -> Offered:
    """Return one offered job with its offers, as they are now; raises ``NotFound``. As ``list_offered``."""
    query = select(OfferedJob).where(OfferedJob.id == key)
    if not 0 < key <= MAX_KEY:
        raise NotFound
    job = session.scalars(query, execution_options={"populate_existing": True}).one_or_none()
    if job is None:
        raise NotFound
    return _with_offers(session, [job])[0]


def list_for_others(session: Session, limit: int = PAGE_ROWS) -> Sequence[ServiceRequest]:
    """Return the requests to offer to other partners, for the operator, whose session sees all (J1).

    Declined by their partner, allowed by their customer and not offered yet; the one asked first comes first. One
    statement.
    """
    query = _for_others().where(~exists().where(OfferedJob.request_id == ServiceRequest.id))
    return session.scalars(query.order_by(ServiceRequest.id).limit(limit)).all()


def request_for_others(session: Session, key: int) -> ServiceRequest:
    """Return one of those requests, offered already or not; raises ``NotFound``."""
    found = session.scalars(_for_others().where(ServiceRequest.id == key)).one_or_none() if 0 < key <= MAX_KEY else None
    if found is None:
        raise NotFound
    return found


def taken_on(session: Session, request_id: int) -> Job | None:
    """Return the job that another partner made of a declined request, for the customer who asked; ``None`` so far."""
    query = select(Job).join(JobOffer, JobOffer.job_id == Job.id)
    query = query.join(OfferedJob, OfferedJob.id == JobOffer.offered_job_id).where(OfferedJob.request_id == request_id)
    return session.scalars(query).one_or_none()


def _for_others() -> Select[ServiceRequest]:
    return (
        select(ServiceRequest)
        .where(ServiceRequest.others_may, ServiceRequest.status == DECLINED)
        .options(
            joinedload(ServiceRequest.customer),
            joinedload(ServiceRequest.address),
            joinedload(ServiceRequest.service_type),
            joinedload(ServiceRequest.partner),
        )
    )


def partners_to_offer(session: Session) -> Sequence[Partner]:
    """Return the partners whom a job can be offered to, by name: those that are not suspended."""
    query = select(Partner).where(Partner.suspended_at.is_(None)).order_by(Partner.name, Partner.id)
    return session.scalars(query).all()


def _with_offers(session: Session, jobs: Sequence[OfferedJob]) -> list[Offered]:
    query = (
        select(JobOffer)
        .options(joinedload(JobOffer.partner), joinedload(JobOffer.job))
        .where(JobOffer.offered_job_id.in_([job.id for job in jobs]))
        .order_by(JobOffer.partner_id)
    )
    offers = session.scalars(query, execution_options={"populate_existing": True}).all() if jobs else []
    return [Offered(job, [offer for offer in offers if offer.offered_job_id == job.id]) for job in jobs]
