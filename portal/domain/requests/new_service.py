"""The use cases of requests for new service: ask, convert, offer another date, answer that, decline, cancel (C5, P18).

Each runs within one ``unit_of_work``; ``now`` is an instant, ``actor`` who asks. They raise ``NotFound`` for what is
out of the actor's scope, ``Refused`` where the table says no, ``Conflict`` where somebody else was quicker, and
``Invalid`` or ``Warned`` for input; then nothing is changed. Each locks the customer, then the request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor, Role
from portal.domain.errors import Conflict, Invalid, NotFound, Refusal, Refused, Sentence, sentence, too_long
from portal.domain.jobs import fieldwork
from portal.domain.jobs import services as jobs
from portal.domain.jobs.happened import client_key
from portal.domain.jobs.history import record
from portal.domain.jobs.mechanics import MAX_TEXT, demand, required_text, start_errors
from portal.domain.jobs.models import Job
from portal.domain.jobs.service_jobs import ServiceDraft, create_service_job
from portal.domain.jobs.services import Booking, ItemInput
from portal.domain.jobs.situations import current_visit, visits_of
from portal.domain.lookup import find, lock, lock_customer
from portal.domain.messages.models import MessageKind
from portal.domain.messages.services import announce_request
from portal.domain.people.models import Address, Customer
from portal.domain.people.services import AddressInput, add_address, place_errors
from portal.domain.photos.pictures import Drawn
from portal.domain.requests.dates import PreferredDate, date_errors, kept_dates
from portal.domain.requests.models import RequestPhoto, ServiceRequest
from portal.domain.requests.queries import address_in_use
from portal.domain.requests.states import SERVICE_REQUEST
from portal.domain.scheduling.models import ServiceType
from portal.domain.scheduling.queries import controls_for, wanted_for, zone_of

# More than anybody looks through before planning a visit.
MOST_PHOTOS = 8


@dataclass(frozen=True, slots=True)
class ServiceWish:
    """The form of a request: ``address_id`` is one of the customer's own, or else ``place`` a new one.

    ``dates`` are in the partner's zone, ``None`` for one left blank. ``form_key`` is of the form, the same each time it
    is sent. ``others_may``: other partners may be asked where this one declines.
    """

    customer_id: int
    service_type_id: int | None
    address_id: int | None
    place: AddressInput
    dates: Sequence[PreferredDate | None]
    notes: str
    form_key: str
    others_may: bool = False


def request_service(session: Session, actor: Actor, now: datetime, wish: ServiceWish) -> ServiceRequest:
    """Put a customer's wish for new service into the dispatcher's queue and return it (C5).

    A form that was sent before gives what it gave then.
    """
    customer = lock_customer(session, wish.customer_id)
    partner_id = customer.partner_id
    status = SERVICE_REQUEST.start("request", _Asking(actor, partner_id))
    form_key = f"{customer.id}:{wish.form_key}"
    same = select(ServiceRequest).where(ServiceRequest.partner_id == partner_id, ServiceRequest.form_key == form_key)
    before = session.scalars(same).one_or_none()
    if before is not None:
        return before
    if not customer.active:
        raise Refused(Refusal("inactive", sentence("We do not take requests from you online; please call our office.")))
    errors = wish_errors(session, now, customer, wish)
    if errors:
        raise Invalid(errors)
    address_id = add_address(session, customer, wish.place).id if wish.address_id is None else wish.address_id
    request = ServiceRequest(
        partner_id=partner_id,
        customer_id=customer.id,
        address_id=address_id,
        service_type_id=wish.service_type_id,
        status=status,
        wishes=kept_dates(wish.dates),
        notes=wish.notes.strip(),
        form_key=form_key,
        others_may=wish.others_may,
        asked_at=now,
        proposals=0,
    )
    session.add(request)
    session.flush()
    announce_request(session, MessageKind.REQUEST_RECEIVED, request, now)
    return request


def wish_errors(session: Session, now: datetime, customer: Customer, wish: ServiceWish) -> dict[str, Sentence]:
    """Return what is wrong with what ``customer`` wishes, by field of the form, so that all of it shows at once (C5).

    Raises ``NotFound`` for a service type or an address that is none of theirs; ``now`` is an instant.
    """
    errors: dict[str, Sentence] = {}
    if wish.service_type_id is None:
        errors["service_type"] = sentence("Choose what you would like done")
    else:
        kind = find(session, ServiceType, wish.service_type_id)
        if kind.partner_id != customer.partner_id:
            raise NotFound
        if not kind.active:
            errors["service_type"] = sentence("%(name)s is no longer offered.", name=kind.name)
    errors |= _address_errors(session, customer, wish)
    errors |= date_errors(wish.dates, now, zone_of(session, customer.partner_id))
    if len(wish.notes) > MAX_TEXT:
        errors["notes"] = too_long(MAX_TEXT)
    return errors


def add_request_photo(
    session: Session, actor: Actor, now: datetime, request_id: int, name: str, drawn: Drawn, key: str
) -> RequestPhoto:
    """Add the photo whose files are kept under ``name`` to a request, for the customer who asked, and return it.

    One with the same ``key`` is not added again: the first is returned, and the new files are nobody's.
    """
    request, own = _lock(session, request_id), client_key(key)
    query = select(RequestPhoto).where(RequestPhoto.service_request_id == request.id, RequestPhoto.client_key == own)
    known = session.scalars(query).one_or_none()
    if known is not None:
        return known
    demand(photo_refusal(actor, request))
    held = session.scalars(select(func.count()).where(RequestPhoto.service_request_id == request.id)).one()
    if held >= MOST_PHOTOS:
        raise Invalid({"photo": sentence("There are %(limit)s photos already; no more fit", limit=MOST_PHOTOS)})
    photo = RequestPhoto(
        partner_id=request.partner_id,
        customer_id=request.customer_id,
        service_request_id=request.id,
        client_key=own,
        name=name,
        width=drawn.width,
        height=drawn.height,
        added_at=now,
    )
    session.add(photo)
    session.flush()
    return photo


def photo_refusal(actor: Actor, request: ServiceRequest) -> Refusal | None:
    """Say why the customer can add no photo to a request, or ``None``: as long as they may still cancel it."""
    return answer_refusal(actor, request, "cancel")


def convert_into_installation(
    session: Session, actor: Actor, now: datetime, request_id: int, booking: Booking, despite_warnings: bool = False
) -> Job:
    """Convert a request into an installation by the same use case as every other (``jobs.schedule_installation``)."""
    request = _lock(session, request_id)
    demand(answer_refusal(actor, request, "convert"))
    if booking.customer_id != request.customer_id:
        raise Invalid({"customer": sentence("The installation is for the customer who asked for it.")})
    job = jobs.schedule_installation(session, actor, now, booking, despite_warnings)
    _convert(session, actor, now, request, job, "convert")
    return job


def convert_into_draft(session: Session, actor: Actor, now: datetime, request_id: int) -> Job:
    """Convert a request into a service job that is a draft, and write that to the customer."""
    request = _lock(session, request_id)
    demand(answer_refusal(actor, request, "convert"))
    address_id = address_in_use(session, request)
    draft = ServiceDraft(request.customer_id, address_id, request.service_type_id, request.notes)
    try:
        job = create_service_job(session, actor, now, draft, follows=True)
    except Invalid as error:
        raise Refused(_first(error)) from error
    _convert(session, actor, now, request, job, "convert")
    announce_request(session, MessageKind.REQUEST_CONVERTED, request, now)
    return job


def counter_propose(
    session: Session,
    actor: Actor,
    now: datetime,
    request_id: int,
    start: datetime,
    technician_id: int | None = None,
    despite_warnings: bool = False,
) -> ServiceRequest:
    """Offer the customer another date: a visit that starts at ``start`` (an instant), with a technician or nobody yet.

    Nothing is booked by it. ``despite_warnings`` as for every choice of staff.
    """
    request = _lock(session, request_id)
    demand(answer_refusal(actor, request, "counter_propose"))
    kind = find(session, ServiceType, request.service_type_id)
    wanted = wanted_for(kind)
    errors = start_errors(start, wanted.duration, now)
    if errors:
        raise Invalid(errors)
    if technician_id is not None:
        jobs.check_staff_choice(
            session, request.partner_id, technician_id, wanted, start, None, despite_warnings, "start"
        )
    _move(request, actor, now, "counter_propose")
    request.proposed_at, request.proposed_technician_id = start, technician_id
    request.proposed_by_id, request.proposed_by_name = actor.id, actor.name
    request.proposals += 1
    session.flush()
    announce_request(session, MessageKind.REQUEST_OFFERED, request, now)
    return request


def decline_request(session: Session, actor: Actor, now: datetime, request_id: int, reason: str) -> ServiceRequest:
    """Decline a request with a reason, which the customer is written."""
    request = _lock(session, request_id)
    demand(answer_refusal(actor, request, "decline"))
    request.answer = required_text(reason, "reason", sentence("Enter a reason"))
    _move(request, actor, now, "decline")
    session.flush()
    announce_request(session, MessageKind.REQUEST_DECLINED, request, now)
    return request


def accept_proposal(session: Session, actor: Actor, now: datetime, request_id: int, proposal: int) -> Job:
    """Accept the date that the office offered: the installation is scheduled as it was offered, and returned.

    ``proposal`` is the number of the offer that the customer saw. Raises ``Refused`` once its time has passed and
    ``Conflict`` where it was taken meanwhile; the offer then stands as before, to be declined.
    """
    request = _lock(session, request_id)
    demand(_in_plain_words(answer_refusal(actor, request, "accept_proposal"), _withdrawn_offer()))
    _demand_same(request, proposal)
    demand(proposal_refusal(request, now))
    kind = find(session, ServiceType, request.service_type_id)
    booking = Booking(
        customer_id=request.customer_id,
        address_id=address_in_use(session, request),
        service_type_id=kind.id,
        start=_proposed(request),
        items=[ItemInput(kind.name, 1)],
        notes=request.notes,
        technician_id=request.proposed_technician_id,
    )
    # It takes effect in the name of who offered it, and what that person ticked past then is not asked again.
    office = Actor(request.proposed_by_id, Role.DISPATCHER, request.proposed_by_name, frozenset({request.partner_id}))
    try:
        job = jobs.schedule_installation(session, office, now, booking, despite_warnings=True)
    except (Invalid, Conflict) as error:
        raise Conflict(_gone()) from error
    _convert(session, actor, now, request, job, "accept_proposal")
    visit = current_visit(visits_of(session, job))
    if visit is not None and controls_for(session, job.id).own_choice_confirms:
        fieldwork.confirm(session, actor, now, visit.id)
    return job


def decline_proposal(session: Session, actor: Actor, now: datetime, request_id: int, proposal: int) -> ServiceRequest:
    """Decline the date that the office offered: the request waits for another answer. ``proposal`` as above."""
    request = _lock(session, request_id)
    demand(_in_plain_words(answer_refusal(actor, request, "decline_proposal"), _withdrawn_offer()))
    _demand_same(request, proposal)
    _move(request, actor, now, "decline_proposal")
    session.flush()
    return request


def cancel_request(session: Session, actor: Actor, now: datetime, request_id: int) -> ServiceRequest:
    """Take a request back, for the customer, until it is handled."""
    request = _lock(session, request_id)
    demand(_in_plain_words(answer_refusal(actor, request, "cancel"), _answered()))
    _move(request, actor, now, "cancel")
    session.flush()
    return request


def is_done(actor: Actor, request: ServiceRequest, name: str, proposal: int | None = None) -> bool:
    """Whether ``name`` is what ``actor`` did last with the request, about the offer ``proposal`` if there is one."""
    (target,) = SERVICE_REQUEST.transition(name).targets
    return request.status == target and request.answered_by_id == actor.id and proposal in (None, request.proposals)


def answer_refusal(actor: Actor, request: ServiceRequest, name: str) -> Refusal | None:
    """Say why ``actor`` may not do ``name`` with the request, in the table's own words, or ``None``."""
    return SERVICE_REQUEST.refusal(name, request.status, _Asking(actor, request.partner_id))


def open_answers(actor: Actor, request: ServiceRequest) -> frozenset[str]:
    """Return the names of what ``actor`` may do with the request now: what their page has buttons for."""
    asked = _Asking(actor, request.partner_id)
    return frozenset(row.name for row in SERVICE_REQUEST.available(request.status, asked))


def proposal_refusal(request: ServiceRequest, now: datetime) -> Refusal | None:
    """Say that the time offered has passed at ``now`` (an instant), or return ``None``."""
    if now < _proposed(request):
        return None
    return Refusal("passed", sentence("The time that we offered has passed. Decline it, and we will look for another."))


@dataclass(frozen=True, slots=True)
class _Asking:
    """Who answers a request of which partner; the table looks at nothing else."""

    actor: Actor
    partner_id: int


def _lock(session: Session, request_id: int) -> ServiceRequest:
    lock_customer(session, find(session, ServiceRequest, request_id).customer_id)
    return lock(session, ServiceRequest, request_id)


def _move(request: ServiceRequest, actor: Actor, now: datetime, name: str) -> None:
    SERVICE_REQUEST.move(request, name, _Asking(actor, request.partner_id))
    request.answered_at, request.answered_by_id = now, actor.id


def _convert(session: Session, actor: Actor, now: datetime, request: ServiceRequest, job: Job, name: str) -> None:
    request.job_id = job.id
    _move(request, actor, now, name)
    action = "convert_request" if name == "convert" else name
    record(session, actor, now, action, job, after={"wishes": request.wishes or None}, reason=request.notes)
    session.flush()


def _address_errors(session: Session, customer: Customer, wish: ServiceWish) -> dict[str, Sentence]:
    if wish.address_id is None:
        return place_errors(wish.place)
    address = find(session, Address, wish.address_id)
    if address.customer_id != customer.id:
        raise NotFound
    if address.active:
        return {}
    return {"address": sentence("%(address)s is not used for new visits any more.", address=address.one_line)}


def _in_plain_words(refusal: Refusal | None, ended: Refusal) -> Refusal | None:
    """Return ``ended`` in place of a refusal that speaks of statuses, which are the office's words."""
    return ended if refusal is not None and refusal.code == "wrong_status" else refusal


def _answered() -> Refusal:
    return Refusal("answered", sentence("This request no longer waits for an answer."))


def _withdrawn_offer() -> Refusal:
    return Refusal("answered", sentence("This date is no longer offered."))


def _demand_same(request: ServiceRequest, proposal: int) -> None:
    if request.proposals != proposal:
        raise Conflict(Refusal("other_offer", sentence("We have offered another date meanwhile; look at it again.")))


def _proposed(request: ServiceRequest) -> datetime:
    if request.proposed_at is None:
        raise RuntimeError(f"nothing was offered for request {request.id}")
    return request.proposed_at


def _gone() -> Refusal:
    return Refusal(
        "gone", sentence("The time that we offered is no longer free. Decline it, and we will look for another.")
    )


def _first(error: Invalid) -> Refusal:
    return Refusal("not_possible", next(iter(error.errors.values())))
