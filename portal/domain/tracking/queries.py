"""What a customer sees of today's visit while it happens: whether anything is new, and the way of the technician."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Row, Select, bindparam, select
from sqlalchemy.orm import Session, joinedload

from portal.domain.branding.models import PartnerLogo
from portal.domain.errors import NotFound
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.states import ON_THE_WAY, OPEN, TRACKED
from portal.domain.lookup import MAX_KEY
from portal.domain.people.models import Address, Customer, Partner
from portal.domain.tracking.arrival import Estimate, Place, Seen, Way, distance_km, estimate
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


def is_followed(visit: Followed, now: datetime) -> bool:
    """Whether the way to ``visit`` is followed at ``now`` (an instant): until work begins, and not for ever (C4)."""
    return visit.is_tracked and visit.on_the_way_at is not None and now < visit.on_the_way_at + LASTS


def away_km(visit: Appointment, address: Address, position: Position | None) -> float | None:
    """Return how far ``position`` is from the visit's ``address`` in km while on the way; ``None`` where unknown."""
    return distance_km(position, address) if position is not None and visit.is_on_the_way else None


def arrival_of(
    visit: Followed, address: Place, position: Seen | None, speed_kmh: float, now: datetime
) -> Estimate | None:
    """Return when the technician of ``visit`` is at its ``address``, while on the way; ``None`` where nothing tells."""
    return estimate(visit, position, address, speed_kmh, now) if visit.is_on_the_way else None


class Followed(Way, Protocol):
    """What of a visit tells whether its technician is followed; an ``Appointment`` does."""

    @property
    def id(self) -> int:
        """Its key."""

    @property
    def version(self) -> int:
        """How often it was changed."""

    @property
    def status(self) -> str:
        """Where it stands."""

    @property
    def is_on_the_way(self) -> bool:
        """Whether the technician has set off and not arrived yet."""

    @property
    def is_tracked(self) -> bool:
        """Whether the customer may follow the technician."""


class _Row(NamedTuple):
    """A visit as the statement of marks reads it."""

    id: int
    version: int
    status: str
    on_the_way_at: datetime | None
    eta_minutes: int | None

    @property
    def is_on_the_way(self) -> bool:
        return self.status == ON_THE_WAY

    @property
    def is_tracked(self) -> bool:
        return self.status in TRACKED


class _Place(NamedTuple):
    latitude: float | None
    longitude: float | None


class _Seen(NamedTuple):
    at: datetime
    latitude: float
    longitude: float


class VisitMark(NamedTuple):
    """What tells whether anything is new with whatever pages show of a visit.

    ``seen_at`` is the last position's instant, ``expected_at`` the arrival that pages show. A time that has passed
    is shown no more, and the way is followed not for ever, without anybody's doing (C3, C4).
    """

    visit_id: int
    version: int
    status: str
    seen_at: datetime | None
    expected_at: datetime | None
    is_followed: bool

    @classmethod
    def of(cls, visit: Followed, address: Place, position: Seen | None, speed_kmh: float, now: datetime) -> VisitMark:
        """Return the mark of ``visit`` at ``address`` with its last known position, as of ``now`` (an instant)."""
        expected = arrival_of(visit, address, position, speed_kmh, now)
        return cls(
            visit.id,
            visit.version,
            visit.status,
            position.at if position else None,
            expected.expected_at if expected else None,
            is_followed(visit, now),
        )

    @property
    def is_moving(self) -> bool:
        """Whether positions come, which are no change of the visit's."""
        return self.status in TRACKED


def marks_of_open_visits(session: Session, speed_kmh: float, now: datetime) -> list[VisitMark]:
    """Return for each visit of the session's scope that has not ended what is new with whatever pages show of it.

    One statement; two answers that are equal mean that nothing is new. ``now`` is an instant.
    """
    return [_mark(row, speed_kmh, now) for row in session.execute(_open_marks())]


def marks_of_visit(session: Session, visit_id: int, speed_kmh: float, now: datetime) -> list[VisitMark]:
    """Return the same of one visit, ended or not; raises ``NotFound`` for one outside the session's scope (C7)."""
    found = session.execute(_marks_of_one(), {"visit_id": visit_id}).all() if 0 < visit_id <= MAX_KEY else []
    if not found:
        raise NotFound
    return [_mark(row, speed_kmh, now) for row in found]


def _mark(row: Row[Any], speed_kmh: float, now: datetime) -> VisitMark:
    visit, (latitude, longitude, *seen) = _Row(*row[: len(_Row._fields)]), row[len(_Row._fields) :]
    position = _Seen(*seen) if seen[0] is not None else None
    return VisitMark.of(visit, _Place(latitude, longitude), position, speed_kmh, now)


# Put together once: every customer with a visit today asks every half minute.
@cache
def _marks() -> Select[*tuple[Any, ...]]:
    columns = (*(getattr(Appointment, name) for name in _Row._fields), Address.latitude, Address.longitude)
    query: Select[*tuple[Any, ...]] = select(*columns, Position.at, Position.latitude, Position.longitude)
    return (
        query.join(Job, Job.id == Appointment.job_id)
        .join(Address, Address.id == Job.address_id)
        .outerjoin(Position, Position.appointment_id == Appointment.id)
    )


@cache
def _open_marks() -> Select[*tuple[Any, ...]]:
    return _marks().where(Appointment.status.in_(sorted(OPEN))).order_by(Appointment.id)


@cache
def _marks_of_one() -> Select[*tuple[Any, ...]]:
    return _marks().where(Appointment.id == bindparam("visit_id"))
