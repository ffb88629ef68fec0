"""What a message would be made of if it were sent now, about a row that somebody chooses: for previews and tests (N2).

Such a message stands in no outbox. Everything is held to the session's scope.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from portal.domain.errors import NotFound, Sentence, sentence
from portal.domain.jobs.models import Appointment, Job
from portal.domain.lookup import MAX_KEY, find
from portal.domain.messages.models import TO_TECHNICIANS, Message, MessageKind
from portal.domain.messages.queries import Facts, InvitationFacts, RequestFacts, WordedFacts, modify_rules
from portal.domain.messages.templates import About, Place
from portal.domain.people.models import Address, Customer, Invitation, Partner, Technician
from portal.domain.requests.models import ChangeRequest, ServiceRequest
from portal.domain.scheduling.models import ServiceType

NOBODY_TO_TELL = sentence("Nobody is assigned to this visit. Choose another one.")
NO_DATE_OFFERED = sentence("No other date was offered for this request. Choose another one.")
NOT_DECLINED = sentence("This request was not declined. Choose another one.")


def rows_to_show(session: Session, place: Place, limit: int) -> list[tuple[int, str, datetime]]:
    """Return what a message of ``place`` may be shown with, the latest first, as key, a person's name and an instant.

    These are visits with their starts, or requests and invitations with when they were made; of requests only those
    that were answered as the message says. One statement.
    """
    query: Select[*tuple[Any, ...]]
    match place.about:
        case About.VISIT:
            query = select(Appointment.id, Customer.name, Appointment.start_at).order_by(Appointment.id.desc())
            query = query.join(Customer, Customer.id == Appointment.customer_id)
        case About.REQUEST:
            query = select(ServiceRequest.id, Customer.name, ServiceRequest.asked_at).order_by(ServiceRequest.id.desc())
            query = query.join(Customer, Customer.id == ServiceRequest.customer_id).where(*_answered_so(place.kind))
        case About.INVITATION:
            query = select(Invitation.id, Invitation.name, Invitation.created_at).order_by(Invitation.id.desc())
    return [(key, name, at) for key, name, at in session.execute(query.limit(limit))]


def facts_about(session: Session, now: datetime, key: int, place: Place) -> WordedFacts:
    """Return the facts that a message of ``place`` would have if it were sent at ``now`` about the row with ``key``.

    It is to the customer, to the visit's technician, or to whom is invited. Raises ``NotFound``. Three statements
    at most.
    """
    match place.about:
        case About.VISIT:
            return _about_visit(session, now, key, place)
        case About.REQUEST:
            return _about_request(session, now, key, place)
        case About.INVITATION:
            return _with_invitation(session, now, key, place)


def problem_with(facts: WordedFacts) -> Sentence | None:
    """Say why no such message would be sent about what it is about, or ``None``."""
    kind = facts.message.kind
    if isinstance(facts, Facts):
        return NOBODY_TO_TELL if kind in TO_TECHNICIANS and facts.told is None else None
    if isinstance(facts, RequestFacts):
        if kind == MessageKind.REQUEST_OFFERED and facts.request.proposed_at is None:
            return NO_DATE_OFFERED
        if kind == MessageKind.REQUEST_DECLINED and not facts.request.answer:
            return NOT_DECLINED
    return None


def _answered_so(kind: MessageKind) -> list[ColumnElement[bool]]:
    match kind:
        case MessageKind.REQUEST_OFFERED:
            return [ServiceRequest.proposed_at.is_not(None)]
        case MessageKind.REQUEST_DECLINED:
            return [ServiceRequest.answer != ""]
        case _:
            return []


def _about_visit(session: Session, now: datetime, visit_id: int, place: Place) -> Facts:
    query = (
        select(Appointment, Job, Customer, Address, ServiceType, Technician, Partner)
        .join(Job, Job.id == Appointment.job_id)
        .join(Customer, Customer.id == Appointment.customer_id)
        .join(Address, Address.id == Job.address_id)
        .join(ServiceType, ServiceType.id == Job.service_type_id)
        .join(Technician, Technician.id == Appointment.technician_id, isouter=True)
        .join(Partner, Partner.id == Appointment.partner_id)
        .where(Appointment.id == visit_id)
    )
    found = session.execute(query).one_or_none() if 0 < visit_id <= MAX_KEY else None
    if found is None:
        raise NotFound
    visit, job, customer, address, service_type, technician, partner = found
    to_technician = place.kind in TO_TECHNICIANS
    message = _message(place, now, partner.id, visit.occurrence)
    if to_technician:
        message.technician_id = technician.id if technician is not None else None
    else:
        message.customer_id = customer.id
    answer = ""
    if place.kind is MessageKind.DECLINED:
        latest = select(ChangeRequest.answer).where(ChangeRequest.appointment_id == visit.id)
        answer = session.scalars(latest.order_by(ChangeRequest.id.desc()).limit(1)).first() or ""
    return Facts(
        message,
        None,
        visit,
        job,
        customer,
        address,
        service_type,
        technician,
        partner,
        place.locale,
        newer_exists=False,
        answer=answer,
        told=technician if to_technician else None,
        rules=None if to_technician or customer.user_id is None else modify_rules(session, [job.id])[job.id],
    )


def _about_request(session: Session, now: datetime, request_id: int, place: Place) -> RequestFacts:
    query = (
        select(ServiceRequest, Customer, Address, ServiceType, Technician, Partner)
        .join(Customer, Customer.id == ServiceRequest.customer_id)
        .join(Address, Address.id == ServiceRequest.address_id)
        .join(ServiceType, ServiceType.id == ServiceRequest.service_type_id)
        .join(Technician, Technician.id == ServiceRequest.proposed_technician_id, isouter=True)
        .join(Partner, Partner.id == ServiceRequest.partner_id)
        .where(ServiceRequest.id == request_id)
    )
    row = session.execute(query).one_or_none() if 0 < request_id <= MAX_KEY else None
    if row is None:
        raise NotFound
    request, customer, address, service_type, technician, partner = row
    message = _message(place, now, partner.id, request.proposals)
    message.customer_id = customer.id
    return RequestFacts(message, None, request, customer, address, service_type, technician, partner, place.locale)


def _with_invitation(session: Session, now: datetime, invitation_id: int, place: Place) -> InvitationFacts:
    invitation = find(session, Invitation, invitation_id)
    partner = session.scalars(select(Partner).where(Partner.id == invitation.partner_id)).one()
    message = _message(place, now, partner.id, invitation.sending)
    message.invitation_id = invitation.id
    return InvitationFacts(message, invitation, partner, place.locale)


def _message(place: Place, now: datetime, partner_id: int, occurrence: int) -> Message:
    return Message(
        partner_id=partner_id,
        key="",
        kind=place.kind.value,
        channel=place.channel.value,
        recipient="",
        occurrence=occurrence,
        due_at=now,
    )
