"""What the confirm link of a message opens: one visit as it is now, for whoever holds the link (M8)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from portal.domain.actor import Actor, Role
from portal.domain.branding.models import PartnerLogo
from portal.domain.errors import NotFound, Refusal
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.states import APPOINTMENT, MOVABLE, Situation
from portal.domain.lookup import MAX_KEY
from portal.domain.people.models import Customer, Partner


class LinkState(StrEnum):
    """What a confirm link still does: it is OPEN, has done its work, or is past it; REFUSED for now only."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    MOVED = "moved"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class LinkedVisit:
    """A visit with job, service type and technician, and what its link does now.

    ``actor`` is its customer, reaching no further than that customer; ``refusal`` says why it is REFUSED. ``logo`` is
    the digest of the partner's picture, "" for none; ``has_login`` whether the customer can sign in.
    """

    visit: Appointment
    partner: Partner
    logo: str
    actor: Actor
    has_login: bool
    state: LinkState
    refusal: Refusal | None


def linked_visit(session: Session, now: datetime, visit_id: int, start: datetime) -> LinkedVisit:
    """Return the visit that a link made for its ``start`` (an instant) opens at ``now``; raises ``NotFound``.

    ``session`` has the scope ``token``: whose visit it is comes before what may be seen of it.
    """
    query = (
        select(Appointment, Partner, PartnerLogo.digest, Customer)
        .join(Partner, Partner.id == Appointment.partner_id)
        .join(Customer, Customer.id == Appointment.customer_id)
        .outerjoin(PartnerLogo, PartnerLogo.partner_id == Appointment.partner_id)
        .where(Appointment.id == visit_id)
        .options(
            joinedload(Appointment.job).joinedload(Job.service_type),
            joinedload(Appointment.technician),
        )
    )
    row = session.execute(query).one_or_none() if 0 < visit_id <= MAX_KEY else None
    if row is None:
        raise NotFound
    visit, partner, logo, customer = row
    own = frozenset({partner.id})
    actor = Actor(
        id=None,
        role=Role.CUSTOMER,
        name=customer.name,
        partner_ids=own,
        customer_ids=frozenset({customer.id}),
        suspended=own if partner.suspended_at is not None else frozenset(),
    )
    asked = Situation(actor, now, ZoneInfo(partner.timezone), visit.job, visit)
    refusal = APPOINTMENT.refusal("confirm", visit.status, asked)
    state = _state(visit, start, now, refusal)
    return LinkedVisit(visit, partner, logo or "", actor, customer.user_id is not None, state, refusal)


def _state(visit: Appointment, start: datetime, now: datetime, refusal: Refusal | None) -> LinkState:
    # What is so of the visit comes before whether it was confirmed: a moved or cancelled one needs other words.
    if visit.status == "CANCELLED":
        return LinkState.CANCELLED
    if visit.status not in MOVABLE or now >= visit.start_at:
        return LinkState.OVER
    if visit.start_at != start:
        return LinkState.MOVED
    if visit.cancel_at is not None:
        return LinkState.CANCELLING
    if visit.is_confirmed:
        return LinkState.CONFIRMED
    return LinkState.OPEN if refusal is None else LinkState.REFUSED
