"""What a customer sees of today's visit while it happens: whether anything is new, and the way of the technician."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session, joinedload

from portal.domain.branding.models import PartnerLogo
from portal.domain.errors import NotFound
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.states import OPEN, TRACKED
from portal.domain.lookup import MAX_KEY
from portal.domain.people.models import Address, Customer, Partner
from portal.domain.tracking.arrival import Estimate, distance_km, estimate
from portal.domain.tracking.models import Position
from portal.domain.tracking.services import LASTS


@dataclass(frozen=True, slots=True)
class Tracked:
    """What the link of one departure opens now: the visit with job, address, service type and technician.

    ``is_open`` is whether there is still a way to follow; without it nothing else is to be shown. ``position`` is the
    last one known, ``away_km`` how far that is from the address. ``logo`` is the digest of the partner's picture, ""
    for none; ``has_login`` whether the customer can sign in.
    """

    visit: Appointment
    partner: Partner
    logo: str
    has_login: bool
    is_open: bool
    position: Position | None
    away_km: float | None
    estimate: Estimate | None


def tracked_visit(session: Session, now: datetime, visit_id: int, departure: int, speed_kmh: float) -> Tracked:
    """Return what the link made for one ``departure`` of a visit opens at ``now`` (an instant); raises ``NotFound``.

    ``departure`` is the number that setting off drew. ``session`` has the scope ``token``. One statement.
    """
    query = (
        select(Appointment, Partner, PartnerLogo.digest, Customer.user_id, Position)
        .join(Partner, Partner.id == Appointment.partner_id)
        .join(Customer, Customer.id == Appointment.customer_id)
        .outerjoin(PartnerLogo, PartnerLogo.partner_id == Appointment.partner_id)
        .outerjoin(Position, Position.appointment_id == Appointment.id)
        .where(Appointment.id == visit_id)
        .options(
            joinedload(Appointment.job).options(joinedload(Job.service_type), joinedload(Job.address)),
            joinedload(Appointment.technician),
        )
    )
    row = session.execute(query).one_or_none() if 0 < visit_id <= MAX_KEY else None
    if row is None:
        raise NotFound
    visit, partner, logo, user_id, position = row
    return Tracked(
        visit=visit,
        partner=partner,
        logo=logo or "",
        has_login=user_id is not None,
        is_open=is_followed(visit, now) and visit.departure == departure,
        position=position,
        away_km=away_km(visit, visit.job.address, position),
        estimate=arrival_of(visit, visit.job.address, position, speed_kmh, now),
    )


def is_followed(visit: Appointment, now: datetime) -> bool:
    """Whether the way to ``visit`` is followed at ``now`` (an instant): until work begins, and not for ever (C4)."""
    return visit.is_tracked and visit.on_the_way_at is not None and now < visit.on_the_way_at + LASTS


def away_km(visit: Appointment, address: Address, position: Position | None) -> float | None:
    """Return how far ``position`` is from the visit's ``address`` in km while on the way; ``None`` where unknown."""
    return distance_km(position, address) if position is not None and visit.is_on_the_way else None


def arrival_of(
    visit: Appointment, address: Address, position: Position | None, speed_kmh: float, now: datetime
) -> Estimate | None:
    """Return when the technician of ``visit`` is at its ``address``, while on the way; ``None`` where nothing tells."""
    return estimate(visit, position, address, speed_kmh, now) if visit.is_on_the_way else None


def position_of(session: Session, visit_id: int) -> Position | None:
    """Return the last known position of the technician on the way to a visit, if there is one."""
    return session.scalars(select(Position).where(Position.appointment_id == visit_id)).one_or_none()


class VisitMark(NamedTuple):
    """What tells whether anything is new with whatever pages show of a visit: ``seen_at`` is the last position's."""

    visit_id: int
    version: int
    status: str
    seen_at: datetime | None

    @classmethod
    def of(cls, visit: Appointment, position: Position | None) -> VisitMark:
        """Return the mark of ``visit`` with its technician's last known position."""
        return cls(visit.id, visit.version, visit.status, position.at if position else None)

    @property
    def is_moving(self) -> bool:
        """Whether positions come, which are no change of the visit's."""
        return self.status in TRACKED


def marks_of_open_visits(session: Session) -> list[VisitMark]:
    """Return for each visit of the session's scope that has not ended what is new with whatever pages show of it.

    One statement; two answers that are equal mean that nothing is new.
    """
    return [VisitMark(*row) for row in session.execute(_open_marks())]


def marks_of_visit(session: Session, visit_id: int) -> list[VisitMark]:
    """Return the same of one visit, ended or not; raises ``NotFound`` for one outside the session's scope (C7)."""
    found = session.execute(_marks_of_one(), {"visit_id": visit_id}).all() if 0 < visit_id <= MAX_KEY else []
    if not found:
        raise NotFound
    return [VisitMark(*row) for row in found]


# Put together once: every customer with a visit today asks every half minute.
@cache
def _marks() -> Select[*tuple[Any, ...]]:
    query: Select[*tuple[Any, ...]] = select(Appointment.id, Appointment.version, Appointment.status, Position.at)
    return query.outerjoin(Position, Position.appointment_id == Appointment.id)


@cache
def _open_marks() -> Select[*tuple[Any, ...]]:
    return _marks().where(Appointment.status.in_(sorted(OPEN))).order_by(Appointment.id)


@cache
def _marks_of_one() -> Select[*tuple[Any, ...]]:
    return _marks().where(Appointment.id == bindparam("visit_id"))
