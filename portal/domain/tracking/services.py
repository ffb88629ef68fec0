"""The use cases of positions: keeping the last one (J9), and sweeping up what should have gone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.errors import Invalid, NotFound, Refusal, Sentence, sentence
from portal.domain.jobs.mechanics import demand, lock_visit
from portal.domain.jobs.models import Appointment
from portal.domain.jobs.states import TRACKED
from portal.domain.tracking.models import Position

# Of positions that come closer together only the first is kept.
APART = timedelta(seconds=5)
# A link, and a position, of a departure that nobody ended goes by itself.
LASTS = timedelta(hours=12)
# Metres; what a phone knows no better is no position.
WIDEST = 5_000


@dataclass(frozen=True, slots=True)
class Reading:
    """What a phone measured: degrees, and the radius in metres within which it is so."""

    latitude: float
    longitude: float
    accuracy: float


def keep_position(session: Session, actor: Actor, now: datetime, visit_id: int, reading: Reading) -> bool:
    """Keep where the technician ``actor`` is at ``now`` (an instant), on the way to their visit.

    Returns whether it was kept: not within ``APART`` of the last. Raises ``NotFound`` unless they are the visit's
    technician, ``Invalid`` for a reading that is none, ``Refused`` unless they are on the way: where somebody is before
    and after is nobody's to know, and staff have no position to give.
    """
    if session.get_bind().dialect.name == "postgresql":
        # The next one makes up for one that a power cut takes, so nobody waits for the disk.
        session.connection().exec_driver_sql("SET LOCAL synchronous_commit = off")
    visit, job, _ = lock_visit(session, visit_id)
    if actor.technician_id is None or visit.technician_id != actor.technician_id:
        raise NotFound
    errors = _errors(reading)
    if errors:
        raise Invalid(errors)
    demand(sharing_refusal(visit))
    present = session.scalars(select(Position).where(Position.appointment_id == visit.id)).one_or_none()
    if present is None:
        present = Position(
            partner_id=visit.partner_id, customer_id=visit.customer_id, job_id=job.id, appointment_id=visit.id
        )
        session.add(present)
    elif present.at + APART > now:
        return False
    present.at = now
    present.latitude, present.longitude, present.accuracy = reading.latitude, reading.longitude, reading.accuracy
    return True


def sharing_refusal(visit: Appointment) -> Refusal | None:
    """Say why no position is taken for ``visit`` now, or ``None`` while its technician is on the way."""
    if visit.is_on_the_way:
        return None
    return Refusal("not_on_the_way", sentence("Your position is shared only while you are on the way."))


def forget_positions(session: Session, now: datetime) -> int:
    """Forget positions that no visit needs at ``now`` (an instant), for the worker; returns how many there were.

    They go with the way itself; this is for a departure that nobody ended, and for what was written past the models.
    """
    tracked = select(Appointment.id).where(
        Appointment.id == Position.appointment_id, Appointment.status.in_(sorted(TRACKED))
    )
    gone = delete(Position).where(or_(~tracked.exists(), Position.at < now - LASTS))
    found = session.execute(gone, execution_options={"synchronize_session": False})
    return int(getattr(found, "rowcount", 0))


def _errors(reading: Reading) -> dict[str, Sentence]:
    errors: dict[str, Sentence] = {}
    for name, value, limit in (("latitude", reading.latitude, 90), ("longitude", reading.longitude, 180)):
        if not (isfinite(value) and abs(value) <= limit):
            errors[name] = sentence("That is no place on earth")
    if not (isfinite(reading.accuracy) and 0 <= reading.accuracy <= WIDEST):
        errors["accuracy"] = sentence("That is too vague to be a position")
    return errors
