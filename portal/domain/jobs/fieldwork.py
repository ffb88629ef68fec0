"""The use cases of a visit, from confirming and setting off to completing and turning back (J4-J6).

Each runs within one ``unit_of_work``. ``now`` is an instant, ``actor`` who asks: the assigned technician, or staff on
their behalf. ``move_number`` is the one the page was made with; a step from before a move is refused. ``happened_at``
is when a step was taken that is told later, for want of signal; whether it is possible is decided now. They raise
``NotFound``, ``Refused``, ``Invalid`` or ``Conflict`` and then change nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.drawings import MAX_SIGNATURE, read_drawing
from portal.domain.errors import Invalid, Refusal, Refused, Sentence, sentence, too_long
from portal.domain.jobs.happened import told_late, when_it_happened
from portal.domain.jobs.history import record
from portal.domain.jobs.mechanics import (
    MAX_TEXT,
    back_to_planned,
    book_linked_visit,
    demand,
    demand_role,
    demand_unmoved,
    flush_booking,
    follow_job,
    lock_visit,
    required_text,
    start_errors,
    touch,
)
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.situations import situation
from portal.domain.jobs.states import APPOINTMENT, OPEN
from portal.domain.lookup import find, lock_technicians
from portal.domain.messages.models import MessageKind
from portal.domain.messages.services import announce
from portal.domain.people.models import Technician
from portal.domain.scheduling.models import PauseReason, ServiceType
from portal.domain.scheduling.queries import board, wanted_for
from portal.domain.scheduling.slots import Wanted, booking_refusal
from portal.domain.surveys.asking import ask_customer
from portal.domain.texts import one_line

MAX_ETA_MINUTES = 12 * 60
NOTHING_DRAWN = sentence("Nothing is drawn; have the customer sign again, or clear the drawing")
# As many as a key of either database holds.
DEPARTURE_BITS = 63


@dataclass(frozen=True, slots=True)
class Signature:
    """The customer's signature of the finished work: a typed name and, where it was drawn too, a PNG; else empty."""

    name: str = ""
    drawing: bytes = b""


def confirm(
    session: Session,
    actor: Actor,
    now: datetime,
    visit_id: int,
    move_number: int | None = None,
    by_link: bool = False,
) -> Appointment:
    """Confirm a visit's present start, for its customer or staff (M8).

    ``move_number``, where given, is the one of the page that showed the start; ``Conflict`` if it was moved since.
    ``by_link``: done by the link in a message rather than by somebody signed in, which the history says.
    """
    visit, job, visits = lock_visit(session, visit_id)
    asked = situation(session, actor, now, job, visit, visits)
    demand(APPOINTMENT.refusal("confirm", visit.status, asked))
    demand_unmoved(visit, move_number)
    APPOINTMENT.move(visit, "confirm", asked)
    visit.confirmed_at, visit.confirmed_by = now, actor.role.value
    after = {"confirmed": True, "link": by_link or None}
    record(session, actor, now, "confirm", job, visit, {"confirmed": False}, after)
    touch(session, job, visits, now)
    return visit


def prepare(
    session: Session, actor: Actor, now: datetime, visit_id: int, move_number: int, happened_at: datetime | None = None
) -> Appointment:
    """Say that the technician is getting ready."""
    step = _begin(session, actor, now, visit_id, move_number, "prepare", happened_at)
    return step.finish(session)


def set_off(
    session: Session,
    actor: Actor,
    now: datetime,
    visit_id: int,
    move_number: int,
    minutes: int | None = None,
    happened_at: datetime | None = None,
) -> Appointment:
    """Depart for the customer, with the technician's own estimate in ``minutes``; the customer is told once (J4)."""
    if minutes is not None and not 0 <= minutes <= MAX_ETA_MINUTES:
        raise Invalid({"minutes": sentence("Enter minutes between 0 and %(limit)s", limit=MAX_ETA_MINUTES)})
    step = _begin(session, actor, now, visit_id, move_number, "set_off", happened_at)
    step.visit.on_the_way_at = step.at
    step.visit.eta_minutes = minutes
    step.visit.departure = secrets.randbits(DEPARTURE_BITS)
    step.visit.occurrence += 1
    visit = step.finish(session)
    announce(session, MessageKind.ON_THE_WAY, visit, now)
    return visit


def arrive(
    session: Session, actor: Actor, now: datetime, visit_id: int, move_number: int, happened_at: datetime | None = None
) -> Appointment:
    """Record that the technician stands at the door."""
    step = _begin(session, actor, now, visit_id, move_number, "arrive", happened_at)
    step.visit.arrived_at = step.at
    return step.finish(session)


def start_work(
    session: Session, actor: Actor, now: datetime, visit_id: int, move_number: int, happened_at: datetime | None = None
) -> Appointment:
    """Begin the work; from here on the job counts as begun."""
    step = _begin(session, actor, now, visit_id, move_number, "start_work", happened_at)
    step.work_begins()
    return step.finish(session)


def pause(
    session: Session,
    actor: Actor,
    now: datetime,
    visit_id: int,
    move_number: int,
    reason_id: int,
    note: str = "",
    happened_at: datetime | None = None,
) -> Appointment:
    """Pause a visit with one of the partner's reasons and, if wanted, a note (J5)."""
    if len(note) > MAX_TEXT:
        raise Invalid({"note": too_long(MAX_TEXT)})
    reason = find(session, PauseReason, reason_id)
    if not reason.active:
        raise Invalid({"pause_reason": sentence("Choose one of the reasons")})
    step = _begin(session, actor, now, visit_id, move_number, "pause", happened_at)
    step.visit.pause_reason = reason.label
    step.reason = f"{reason.label}: {note.strip()}" if note.strip() else reason.label
    return step.finish(session)


def resume(
    session: Session, actor: Actor, now: datetime, visit_id: int, move_number: int, happened_at: datetime | None = None
) -> Appointment:
    """Go on with a paused visit; one that was paused at the door begins its work now."""
    step = _begin(session, actor, now, visit_id, move_number, "resume", happened_at)
    step.visit.pause_reason = ""
    step.work_begins()
    flush_booking(session, step.visit.technician_id)
    return step.finish(session)


def continue_later(
    session: Session,
    actor: Actor,
    now: datetime,
    visit_id: int,
    move_number: int,
    start: datetime | None,
    happened_at: datetime | None = None,
) -> Appointment:
    """End a paused visit and plan its continuation at ``start`` (an instant); returns the visit that ended.

    The same technician comes again if free then, else the new visit waits for one. ``start`` may be left out once work
    has begun; the job then needs a visit.
    """
    step = _begin(session, actor, now, visit_id, move_number, "continue_later", happened_at)
    job, visit = step.job, step.visit
    if start is None and job.work_began_at is None:
        raise Invalid({"start": sentence("Choose when the visit continues")})
    visit.ended_at = step.at
    if start is not None:
        kind = find(session, ServiceType, job.service_type_id)
        wanted = wanted_for(kind)
        errors = start_errors(start, wanted.duration, now)
        if errors:
            raise Invalid(errors)
        technician_id = _if_free(session, job, visit, wanted, start)
        step.visits.append(
            book_linked_visit(
                session, actor, now, job, visit, start, wanted.duration, kind.window_minutes, technician_id
            )
        )
    return step.finish(session)


def complete(
    session: Session,
    actor: Actor,
    now: datetime,
    visit_id: int,
    move_number: int,
    service_notes: str = "",
    happened_at: datetime | None = None,
    signature: Signature | None = None,
) -> Appointment:
    """Finish the work, with notes that the customer may read later and, if they gave it, their signature (J6, J8).

    What comes after a visit is planned (N1).
    """
    errors = {"service_notes": too_long(MAX_TEXT)} if len(service_notes) > MAX_TEXT else {}
    signed_name, drawing = _signed(signature or Signature(), errors)
    if errors:
        raise Invalid(errors)
    step = _begin(session, actor, now, visit_id, move_number, "complete", happened_at)
    step.visit.ended_at = step.at
    step.visit.service_notes = service_notes.strip()
    if signed_name:
        step.visit.signed_name = signed_name
        step.more = {"signed_by": signed_name}
    if drawing is not None:
        step.visit.drawing, step.visit.drawing_sha256 = drawing, sha256(drawing).hexdigest()
    visit = step.finish(session)
    ask_customer(session, step.job, visit, now)
    announce(session, MessageKind.FOLLOW_UP, visit, now)
    return visit


def turn_back(
    session: Session,
    actor: Actor,
    now: datetime,
    visit_id: int,
    move_number: int,
    reason: str,
    happened_at: datetime | None = None,
) -> Appointment:
    """Turn back before work began, with a reason; the visit is planned as before."""
    text = required_text(reason, "reason", sentence("Enter a reason"))
    step = _begin(session, actor, now, visit_id, move_number, "turn_back", happened_at)
    back_to_planned(step.visit)
    step.visit.move_number += 1
    step.reason = text
    return step.finish(session)


def write_service_notes(
    session: Session, actor: Actor, now: datetime, visit_id: int, service_notes: str
) -> Appointment:
    """Keep what was done so far, before the work is finished; the customer reads it afterwards."""
    if len(service_notes) > MAX_TEXT:
        raise Invalid({"service_notes": too_long(MAX_TEXT)})
    visit, job, visits = lock_visit(session, visit_id)
    demand_role(actor.is_staff or actor.technician_id == visit.technician_id)
    if visit.status not in OPEN:
        raise Refused(Refusal("visit_over", sentence("This visit has ended; its notes stay as they are.")))
    before, visit.service_notes = visit.service_notes, service_notes.strip()
    if visit.service_notes != before:
        changed = {"service_notes": before}, {"service_notes": visit.service_notes}
        record(session, actor, now, "write_service_notes", job, visit, *changed)
        touch(session, job, visits, now)
    return visit


@dataclass(slots=True)
class _Step:
    """One step of a visit under way of being written: the visit has moved, job and history follow at the end."""

    actor: Actor
    now: datetime
    at: datetime
    name: str
    job: Job
    visit: Appointment
    visits: list[Appointment]
    old_visit: str
    old_job: str
    reason: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)

    def work_begins(self) -> None:
        """Record when work on this visit and on the job began."""
        self.visit.work_began_at = self.visit.work_began_at or self.at
        self.job.work_began_at = self.job.work_began_at or self.at

    def finish(self, session: Session) -> Appointment:
        """Move the job along, write history for visit and, if it moved, job; return the visit."""
        late = told_late(self.at, self.now)
        follow_job(self.job, self.visit, self.visits)
        before, after = {"status": self.old_visit}, {"status": self.visit.status, "happened_at": late, **self.more}
        record(session, self.actor, self.now, self.name, self.job, self.visit, before, after, self.reason)
        if self.job.status != self.old_job:
            before, after = {"status": self.old_job}, {"status": self.job.status}
            record(session, self.actor, self.now, self.name, self.job, None, before, after, self.reason)
        touch(session, self.job, self.visits, self.now)
        return self.visit


def _begin(
    session: Session,
    actor: Actor,
    now: datetime,
    visit_id: int,
    move_number: int,
    name: str,
    happened_at: datetime | None,
) -> _Step:
    visit, job, visits = lock_visit(session, visit_id)
    if visit.technician_id is not None:
        # Two visits of one technician set off or resume one after the other, never at once.
        lock_technicians(session, [visit.technician_id])
    asked = situation(session, actor, now, job, visit, visits)
    demand(APPOINTMENT.refusal(name, visit.status, asked))
    demand_unmoved(visit, move_number)
    # Nothing happens before what came before it.
    at = when_it_happened(happened_at, now, (visit.on_the_way_at, visit.arrived_at, visit.work_began_at))
    step = _Step(actor, now, at, name, job, visit, visits, visit.status, job.status)
    APPOINTMENT.move(visit, name, asked)
    return step


def _signed(signature: Signature, errors: dict[str, Sentence]) -> tuple[str, bytes | None]:
    """Return the name and the drawing as they are kept, and put what is wrong with them into ``errors``."""
    name, drawing = one_line(signature.name), None
    if len(name) > MAX_SIGNATURE:
        errors["signed_name"] = too_long(MAX_SIGNATURE)
    if signature.drawing:
        if not name:
            errors["signed_name"] = sentence("Type the name of who signed")
        match read_drawing(signature.drawing, NOTHING_DRAWN):
            case bytes() as drawn:
                drawing = drawn
            case wrong:
                errors["drawing"] = wrong
    return name, drawing


def _if_free(session: Session, job: Job, visit: Appointment, wanted: Wanted, start: datetime) -> int | None:
    if visit.technician_id is None:
        return None
    technician = find(session, Technician, visit.technician_id)
    times = board(session, job.partner_id, [technician], start, start + wanted.duration, without_visit=visit.id)
    return technician.id if booking_refusal(times.calendars[0], wanted, start) is None else None
