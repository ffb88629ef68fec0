"""Reading calendar feeds: whose an address is, and the visits that belong into it. Instants are UTC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ScalarSelect, and_, func, or_, select
from sqlalchemy.orm import Session, contains_eager, joinedload

from portal.domain.actor import Actor, Role
from portal.domain.feeds.models import CalendarFeed
from portal.domain.jobs.models import Appointment, HistoryEntry, Job
from portal.domain.people.models import Partner, User

# A cancelled visit is said to be so as long; one that was made stays for longer.
KEEPS_CANCELLED = timedelta(days=30)
KEEPS_PAST = timedelta(days=90)
# What a calendar knows a newer plan by.
REPLANNED = ("reschedule", "cancel")


@dataclass(frozen=True, slots=True)
class FeedVisit:
    """A visit with its job, address, service type and people; ``sequence`` counts its moves and cancels."""

    visit: Appointment
    sequence: int

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody comes any more."""
        return self.visit.status == "CANCELLED"


def open_feed(session: Session, actor: Actor) -> CalendarFeed | None:
    """Return the feed of ``actor`` in their role that is not revoked; ``None`` where there is none. One statement."""
    query = select(CalendarFeed).where(
        CalendarFeed.user_id == actor.id,
        CalendarFeed.role == actor.role.value,
        CalendarFeed.revoked_at.is_(None),
    )
    return session.scalars(query, execution_options={"populate_existing": True}).one_or_none()


def feed_with_user(session: Session, feed_id: int) -> tuple[CalendarFeed, User] | None:
    """Return a feed and whose it is, whether revoked or not; ``None`` for one that never was. One statement."""
    query = select(CalendarFeed, User).join(User, User.id == CalendarFeed.user_id).where(CalendarFeed.id == feed_id)
    found = session.execute(query).one_or_none()
    return None if found is None else (found[0], found[1])


def feed_visits(session: Session, actor: Actor, now: datetime) -> list[FeedVisit]:
    """Return the visits in the feed of ``actor`` as of ``now``, in time order, in one statement.

    Those ahead and of the last ``KEEPS_PAST``, and cancelled ones for ``KEEPS_CANCELLED`` after they were cancelled. A
    technician's are those assigned to them; a customer's are the scope's.
    """
    cancelled = Appointment.status == "CANCELLED"
    query = (
        select(Appointment, _sequence())
        .join(Job, Job.id == Appointment.job_id)
        .where(
            or_(
                and_(cancelled, Appointment.ended_at >= now - KEEPS_CANCELLED),
                and_(~cancelled, Appointment.start_at >= now - KEEPS_PAST),
            )
        )
        .options(
            contains_eager(Appointment.job).options(
                joinedload(Job.address), joinedload(Job.service_type), joinedload(Job.customer)
            ),
            joinedload(Appointment.technician),
        )
        .order_by(Appointment.start_at, Appointment.id)
    )
    if actor.role is Role.TECHNICIAN:
        query = query.where(Appointment.technician_id == actor.technician_id)
    return [FeedVisit(visit, sequence) for visit, sequence in session.execute(query)]


def languages_of(session: Session) -> Sequence[str]:
    """Return the languages of the partners in the session's scope, such as ``de_DE``; "" for English."""
    return session.scalars(select(Partner.locale).distinct()).all()


def sequence_of(session: Session, visit: Appointment) -> int:
    """Return how often ``visit`` was moved or cancelled, by whomever."""
    return session.scalars(select(_sequence()).where(Appointment.id == visit.id)).one()


def _sequence() -> ScalarSelect[int]:
    return (
        select(func.count(HistoryEntry.id))
        .where(
            HistoryEntry.partner_id == Appointment.partner_id,
            HistoryEntry.job_id == Appointment.job_id,
            HistoryEntry.appointment_id == Appointment.id,
            HistoryEntry.action.in_(REPLANNED),
        )
        .correlate(Appointment)
        .scalar_subquery()
    )
