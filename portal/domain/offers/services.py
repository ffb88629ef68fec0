"""The use cases of job offers: offer, accept, decline, expire, withdraw (J1, P20).

Each runs within one ``unit_of_work``; ``now`` is an instant, ``actor`` who asks. They raise ``NotFound`` for what is
out of the actor's scope, ``Refused`` where the table or the clock says no, and ``Invalid`` for input; then nothing is
changed. Whoever answers locks the offered job first, then their own offer, so that of two partners one waits and finds
it taken.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import case, insert, or_, select, update
from sqlalchemy.orm import Session

from portal.domain.actor import Actor, Permission, demand_permission
from portal.domain.changes.models import Change
from portal.domain.errors import Invalid, NotFound, Refusal, Refused, Sentence, sentence, too_long
from portal.domain.jobs.history import record
from portal.domain.jobs.mechanics import MAX_TEXT, demand, required_text
from portal.domain.jobs.models import Job
from portal.domain.jobs.service_jobs import ServiceDraft, create_service_job
from portal.domain.lookup import MAX_KEY, find, lock, lock_customer
from portal.domain.offers.models import JobOffer, OfferedJob
from portal.domain.offers.states import JOB_OFFER
from portal.domain.people.contacts import NotUsable, clean_email, clean_phone
from portal.domain.people.models import Customer, Partner
from portal.domain.people.services import (
    MAX_NAME,
    AddressInput,
    CustomerInput,
    add_address,
    create_customer,
    place_errors,
)
from portal.domain.requests.dates import PreferredDate, date_errors, kept_dates
from portal.domain.requests.models import ServiceRequest
from portal.domain.tenancy import NAMES_PARTNER
from portal.domain.texts import one_line
from portal.domain.unit_of_work import require_unit_of_work

MAX_SERVICE = 120
MAX_OPEN_FOR = timedelta(days=90)
UTC_ZONE = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class OfferInput:
    """The form of an offer, as typed: to which partners, what, for whom and where, when, until when (an instant)."""

    partner_ids: Collection[int]
    service: str
    description: str
    customer_name: str
    customer_email: str
    customer_phone: str
    place: AddressInput
    dates: Sequence[PreferredDate | None]
    notes: str
    expires_at: datetime


def offer_job(
    session: Session, actor: Actor, now: datetime, form: OfferInput, request_id: int | None = None
) -> OfferedJob:
    """Offer a job to one or several partners, for the operator, and return it. The session sees all partners.

    ``request_id`` is the service request that it is made from: one that its partner declined and whose customer allows
    that others are asked. It is offered once; ``Refused`` otherwise.
    """
    demand_permission(actor, Permission.MANAGE_PARTNERS)
    status = JOB_OFFER.start("offer", _Asking(actor))
    partners = _partners(session, form.partner_ids)
    values, errors = _values(form, now)
    if not partners:
        errors["partners"] = sentence("Choose one partner at least")
    for partner in partners:
        if partner.suspended_at is not None:
            errors["partners"] = sentence("%(name)s is suspended and cannot answer.", name=partner.name)
    source = None if request_id is None else _lock_source(session, request_id)
    for partner in partners:
        if source is not None and partner.id == source.partner_id:
            errors["partners"] = sentence("%(name)s has declined this request.", name=partner.name)
    if errors:
        raise Invalid(errors)
    offered = OfferedJob(
        **values,
        wishes=kept_dates(form.dates),
        request_id=None if source is None else source.id,
        customer_user_id=None if source is None else source.customer.user_id,
        offered_at=now,
        offered_by_id=actor.id,
        offered_by_name=actor.name,
        expires_at=form.expires_at,
    )
    session.add(offered)
    session.flush()
    session.add_all(JobOffer(partner_id=partner.id, offered_job_id=offered.id, status=status) for partner in partners)
    session.flush()
    return offered


def accept_offer(session: Session, actor: Actor, now: datetime, offer_id: int, service_type_id: int) -> Job:
    """Accept an offer for its partner: a service job is drafted, and the other partners' offers are gone (J1).

    The customer is one of the partner's with the account or e-mail address of who asked, else a new one.
    ``service_type_id`` is the partner's own type of the work.
    """
    offer, offered = _lock(session, offer_id)
    demand(answer_refusal(actor, offer, offered, now, "accept"))
    customer = _customer_of(session, now, offer.partner_id, offered)
    address = add_address(session, customer, AddressInput(None, offered.line, offered.city, offered.postcode))
    notes = "\n\n".join(filter(None, (offered.description, offered.notes)))
    draft = ServiceDraft(customer.id, address.id, service_type_id, notes)
    job = create_service_job(session, actor, now, draft, follows=True)
    offer.job_id = job.id
    _answer(offer, actor, now, "accept")
    offered.taken_at = now
    after = {"wishes": offered.wishes or None}
    record(session, actor, now, "accept_offer", job, after=after, reason=offered.service)
    session.flush()
    _tell_others(session, now, offer)
    return job


def decline_offer(session: Session, actor: Actor, now: datetime, offer_id: int, reason: str) -> JobOffer:
    """Decline an offer for its partner, with a reason that the operator reads."""
    offer, offered = _lock(session, offer_id)
    demand(answer_refusal(actor, offer, offered, now, "decline"))
    offer.answer = required_text(reason, "reason", sentence("Enter a reason"))
    _answer(offer, actor, now, "decline")
    session.flush()
    return offer


def withdraw_offer(session: Session, actor: Actor, now: datetime, offered_job_id: int) -> OfferedJob:
    """Withdraw the offers of a job that nobody has answered, for the operator; the session sees all partners.

    Raises ``Refused`` where there is none.
    """
    demand_permission(actor, Permission.MANAGE_PARTNERS)
    offered = _lock_offered(session, offered_job_id)
    offers = _offers_of(session, offered)
    refusals = [JOB_OFFER.refusal("withdraw", offer.status, _Asking(actor, offer.partner_id)) for offer in offers]
    if all(refusals):
        demand(next(iter(refusals), None))
    for offer, refusal in zip(offers, refusals, strict=True):
        if refusal is None:
            _answer(offer, actor, now, "withdraw")
    offered.withdrawn_at = now
    session.flush()
    return offered


def due_to_expire(session: Session, now: datetime) -> list[int]:
    """Return the keys of offered jobs whose time is over at ``now`` (an instant) and that somebody has not answered."""
    waiting = select(JobOffer.offered_job_id).where(JobOffer.status.in_(_sources("expire")))
    query = select(OfferedJob.id).where(OfferedJob.expires_at <= now, OfferedJob.id.in_(waiting))
    return list(session.scalars(query.order_by(OfferedJob.id)))


def expire_offers(session: Session, now: datetime, offered_job_id: int) -> int:
    """Let the unanswered offers of a job expire, for the worker, and return how many there were."""
    offered = _lock_offered(session, offered_job_id)
    if now < offered.expires_at:
        return 0
    waiting = [offer for offer in _offers_of(session, offered) if offer.status in _sources("expire")]
    for offer in waiting:
        JOB_OFFER.follow(offer, "expire")
        offer.answered_at = now
    session.flush()
    return len(waiting)


def answer_refusal(actor: Actor, offer: JobOffer, offered: OfferedJob, now: datetime, name: str) -> Refusal | None:
    """Say why ``actor`` may not ``accept`` or ``decline`` an offer at ``now`` (an instant), or ``None``."""
    refusal = JOB_OFFER.refusal(name, offer.status, _Asking(actor, offer.partner_id))
    if refusal is None and now >= offered.expires_at:
        return Refusal("expired", sentence("This offer has expired: it could be answered until a moment ago."))
    return refusal


@dataclass(frozen=True, slots=True)
class _Asking:
    """Who answers an offer of which partner; the table looks at nothing else."""

    actor: Actor
    partner_id: int | None = None


def _lock(session: Session, offer_id: int) -> tuple[JobOffer, OfferedJob]:
    offered = _lock_offered(session, find(session, JobOffer, offer_id).offered_job_id)
    return lock(session, JobOffer, offer_id), offered


def _lock_offered(session: Session, key: int) -> OfferedJob:
    require_unit_of_work(session)
    query = select(OfferedJob).where(OfferedJob.id == key).with_for_update(of=OfferedJob)
    known = 0 < key <= MAX_KEY
    found = session.scalars(query, execution_options={"populate_existing": True}).one_or_none() if known else None
    if found is None:
        raise NotFound
    return found


def _lock_source(session: Session, key: int) -> ServiceRequest:
    """Return a request that may be offered to others, locked so that of two offers of it one waits and is refused."""
    request = lock(session, ServiceRequest, key)
    if not request.may_go_to_others:
        raise NotFound
    if session.scalars(select(OfferedJob.id).where(OfferedJob.request_id == key)).first() is not None:
        raise Refused(Refusal("offered", sentence("This request has been offered already.")))
    session.refresh(request, ["customer"])
    return request


def _offers_of(session: Session, offered: OfferedJob) -> Sequence[JobOffer]:
    query = select(JobOffer).where(JobOffer.offered_job_id == offered.id).order_by(JobOffer.id).with_for_update()
    return session.scalars(query, execution_options={"populate_existing": True}).all()


def _answer(offer: JobOffer, actor: Actor, now: datetime, name: str) -> None:
    JOB_OFFER.move(offer, name, _Asking(actor, offer.partner_id))
    offer.answered_at, offer.answered_by_id, offer.answered_by_name = now, actor.id, actor.name


def _tell_others(session: Session, now: datetime, taken: JobOffer) -> None:
    """Let the other partners see that the job is taken.

    Their rows are out of the session's scope and stay so: one statement that names the offered job moves them, by what
    the table says of *take*, and their open pages are told.
    """
    row = JOB_OFFER.transition("take")
    theirs = (
        update(JobOffer)
        .where(
            JobOffer.offered_job_id == taken.offered_job_id,
            JobOffer.partner_id != taken.partner_id,
            JobOffer.status.in_(_sources("take")),
        )
        .values(status=row.targets[0], answered_at=now)
        .returning(JobOffer.partner_id)
    )
    options = {**NAMES_PARTNER, "synchronize_session": False}
    others = sorted(session.scalars(theirs, execution_options=options).all())
    if others:
        marks = [{"partner_id": partner_id} for partner_id in others]
        session.execute(insert(Change), marks, execution_options=NAMES_PARTNER)


def _sources(name: str) -> list[str]:
    return [source for source in JOB_OFFER.transition(name).sources if source is not None]


def _partners(session: Session, keys: Collection[int]) -> Sequence[Partner]:
    wanted = {key for key in keys if 0 < key <= MAX_KEY}
    found = session.scalars(select(Partner).where(Partner.id.in_(wanted)).order_by(Partner.id)).all()
    if len(found) != len(set(keys)):
        raise NotFound
    return found


def _customer_of(session: Session, now: datetime, partner_id: int, offered: OfferedJob) -> Customer:
    account, email = offered.customer_user_id, offered.customer_email
    same = [Customer.user_id == account] if account is not None else []
    same += [Customer.email == email] if email else []
    if same:
        query = select(Customer.id).where(
            Customer.partner_id == partner_id, or_(*same), Customer.merged_into_id.is_(None)
        )
        # Who signs in before who only shares the address; one in use before one who is not; who was there first.
        signs_in = case((Customer.user_id == account, 0), else_=1)
        known = session.scalars(query.order_by(signs_in, Customer.active.desc(), Customer.id).limit(1)).first()
        if known is not None:
            return lock_customer(session, known)
    form = CustomerInput(
        name=offered.customer_name,
        email=offered.customer_email,
        phone=offered.customer_phone,
        access_notes="",
        addresses=[AddressInput(None, offered.line, offered.city, offered.postcode)],
    )
    customer = create_customer(session, partner_id, now, form, despite_likeness=True)
    customer.user_id = account
    return customer


def _values(form: OfferInput, now: datetime) -> tuple[dict[str, str], dict[str, Sentence]]:
    """Return what of ``form`` is kept as typed, and what is wrong with it, by field."""
    errors = place_errors(form.place)
    values = {
        "service": one_line(form.service),
        "description": form.description.strip(),
        "customer_name": one_line(form.customer_name),
        "line": form.place.line.strip(),
        "city": form.place.city.strip(),
        "postcode": form.place.postcode.strip(),
        "notes": form.notes.strip(),
    }
    for name, missing, limit in (
        ("service", sentence("Say what is to be done"), MAX_SERVICE),
        ("customer_name", sentence("Enter a name"), MAX_NAME),
    ):
        if not values[name]:
            errors[name] = missing
        elif len(values[name]) > limit:
            errors[name] = too_long(limit)
    # Both become the notes of one job.
    for name in ("description", "notes"):
        if len(values[name]) > MAX_TEXT // 2 - 1:
            errors[name] = too_long(MAX_TEXT // 2 - 1)
    try:
        values["customer_email"] = clean_email(form.customer_email)
    except NotUsable as wrong:
        errors["customer_email"] = wrong.sentence
    try:
        # Of no country: the partner who accepts may be in another.
        values["customer_phone"] = clean_phone(form.customer_phone, "")
    except NotUsable as wrong:
        errors["customer_phone"] = wrong.sentence
    errors |= date_errors(form.dates, now, UTC_ZONE)
    if form.expires_at <= now:
        errors["expires_at"] = sentence("Choose a date and time that is not in the past")
    elif form.expires_at > now + MAX_OPEN_FOR:
        errors["expires_at"] = sentence("Choose a date within %(days)s days", days=MAX_OPEN_FOR.days)
    return values, errors
