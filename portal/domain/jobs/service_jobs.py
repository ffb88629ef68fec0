"""The use cases that only service jobs have (J2, J3, J7): draft, approve, schedule visits, set back to scheduled.

What they share with installations is in ``services``. Each runs within one ``unit_of_work``; ``now`` is an instant,
``actor`` who asks. They raise what those of ``services`` raise, and then change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.errors import Invalid, Refusal, sentence
from portal.domain.jobs.history import record
from portal.domain.jobs.mechanics import (
    back_to_planned,
    book_linked_visit,
    demand,
    flush_booking,
    follow_job,
    start_errors,
    touch,
)
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.services import (
    ItemInput,
    check_staff_choice,
    item_errors,
    next_number,
    place_errors,
    set_items,
    title_of,
)
from portal.domain.jobs.situations import situation, visits_of
from portal.domain.jobs.states import APPOINTMENT, SERVICE, Situation, job_refusal, planned_status
from portal.domain.lookup import find, lock, lock_customer, lock_technicians
from portal.domain.messages.models import MessageKind
from portal.domain.messages.services import announce, tell_technician
from portal.domain.people.models import Address
from portal.domain.scheduling.models import ServiceType
from portal.domain.scheduling.queries import board, wanted_for, zone_of
from portal.domain.scheduling.slots import booking_refusal, time_refusal


@dataclass(frozen=True, slots=True)
class ServiceDraft:
    """What *New service job* asks for; without ``items`` the job is called what its service type is."""

    customer_id: int
    address_id: int
    service_type_id: int
    notes: str = ""
    items: Sequence[ItemInput] = ()


def create_service_job(
    session: Session, actor: Actor, now: datetime, draft: ServiceDraft, follows: bool = False
) -> Job:
    """Create a service job as a draft, without a visit, and return it (J2).

    For staff; with ``follows`` it comes along with an offer that was accepted or a request that was converted, whose
    own table has been asked, so that here nobody's role is.
    """
    customer = lock_customer(session, draft.customer_id)
    address = find(session, Address, draft.address_id)
    kind = find(session, ServiceType, draft.service_type_id)
    partner_id = customer.partner_id
    asked = Situation(actor=actor, now=now, zone=zone_of(session, partner_id))
    status = SERVICE.first("create") if follows else SERVICE.start("create", asked)
    errors = place_errors(customer, address, kind, draft.notes) | item_errors(draft.items, required=False)
    if errors:
        raise Invalid(errors)
    job = Job(
        partner_id=partner_id,
        customer_id=customer.id,
        workflow=SERVICE.name,
        number=next_number(session, partner_id),
        status=status,
        title=title_of(draft.items) or kind.name,
        address_id=address.id,
        service_type_id=kind.id,
        notes=draft.notes.strip(),
        created_at=now,
        updated_at=now,
    )
    session.add(job)
    session.flush()
    set_items(session, job, draft.items)
    record(session, actor, now, "create", job, after={"status": status})
    return job


def approve(session: Session, actor: Actor, now: datetime, job_id: int) -> Job:
    """Approve a draft for staff, so that visits can be scheduled (J2)."""
    job = lock(session, Job, job_id)
    asked = situation(session, actor, now, job)
    demand(_service_refusal("approve", asked))
    before = job.status
    SERVICE.move(job, "approve", asked)
    job.approved_at = now
    job.updated_at = now
    record(session, actor, now, "approve", job, None, {"status": before}, {"status": job.status})
    return job


def schedule_visit(
    session: Session,
    actor: Actor,
    now: datetime,
    job_id: int,
    start: datetime,
    duration: timedelta | None = None,
    technician_id: int | None = None,
    despite_warnings: bool = False,
) -> Job:
    """Add a visit at ``start`` (an instant) to an approved job, whatever others it has, for staff (J3).

    Without ``duration`` the service type's holds. It continues the latest visit that waits to be continued.
    """
    job = lock(session, Job, job_id)
    visits = visits_of(session, job)
    demand(_service_refusal("schedule", situation(session, actor, now, job, None, visits)))
    kind = find(session, ServiceType, job.service_type_id)
    wanted = wanted_for(kind, duration)
    errors = start_errors(start, wanted.duration, now)
    if errors:
        raise Invalid(errors)
    if technician_id is not None:
        check_staff_choice(session, job.partner_id, technician_id, wanted, start, None, despite_warnings, "start")
    before = job.status
    visit = book_linked_visit(
        session, actor, now, job, _unfinished(visits), start, wanted.duration, kind.window_minutes, technician_id
    )
    visits.append(visit)
    follow_job(job, visit, visits)
    if job.status != before:
        record(session, actor, now, "schedule", job, None, {"status": before}, {"status": job.status})
    touch(session, job, visits, now)
    return job


@dataclass(frozen=True, slots=True)
class SetBack:
    """What became of a cancelled job's visits: those that are ``back``, and why each other one is not."""

    job: Job
    back: Sequence[Appointment]
    left: Sequence[tuple[Appointment, Refusal]]

    @property
    def id(self) -> int:
        """The key of the job."""
        return self.job.id


def reactivate(session: Session, actor: Actor, now: datetime, job_id: int) -> SetBack:
    """Set a cancelled job back for staff, visit by visit (J7).

    Visits come back that this cancelling took along, are still ahead and whose time is still free; one that never had a
    technician takes nobody's. The customer is told of each, and it has to be confirmed anew.
    """
    job = lock(session, Job, job_id)
    visits = visits_of(session, job)
    asked = situation(session, actor, now, job, None, visits)
    demand(_service_refusal("reactivate", asked))
    gone = [visit for visit in visits if visit.cancelled_with_job]
    lock_technicians(session, [visit.technician_id for visit in gone if visit.technician_id is not None])
    back, left = [], []
    for visit in gone:
        refusal = _back_refusal(session, job, visit, situation(session, actor, now, job, visit, visits))
        visit.cancelled_with_job = False
        if refusal is not None:
            left.append((visit, refusal))
            continue
        _bring_back(session, actor, now, job, visit, situation(session, actor, now, job, visit, visits))
        back.append(visit)
    before = job.status
    target = planned_status(visits, job.approved_at is not None)
    SERVICE.move(job, "reactivate", asked, target)
    job.cancel_reason = ""
    record(session, actor, now, "reactivate", job, None, {"status": before}, {"status": job.status})
    touch(session, job, visits, now)
    return SetBack(job, back, left)


def _service_refusal(name: str, asked: Situation) -> Refusal | None:
    if asked.job is not None and asked.job.workflow != SERVICE.name:
        return Refusal("not_a_service_job", sentence("That is only done with a service job."))
    return job_refusal(name, asked)


def _unfinished(visits: Sequence[Appointment]) -> Appointment | None:
    continued = {visit.previous_id for visit in visits}
    waiting = [visit for visit in visits if visit.status == "INCOMPLETE" and visit.id not in continued]
    return max(waiting, key=lambda visit: (visit.start_at, visit.id), default=None)


def _back_refusal(session: Session, job: Job, visit: Appointment, asked: Situation) -> Refusal | None:
    refusal = APPOINTMENT.refusal("reactivate", visit.status, asked)
    if refusal is not None or visit.technician_id is None:
        return refusal
    (technician,) = lock_technicians(session, [visit.technician_id])
    if not technician.active:
        return Refusal("inactive", sentence("%(name)s does not work here any more.", name=technician.name))
    wanted = wanted_for(find(session, ServiceType, job.service_type_id), visit.end_at - visit.start_at)
    times = board(session, job.partner_id, [technician], visit.start_at, visit.end_at, without_visit=visit.id)
    calendar = times.calendars[0]
    return booking_refusal(calendar, wanted, visit.start_at) or time_refusal(
        calendar, wanted, visit.start_at, times.zone, times.holidays
    )


def _bring_back(session: Session, actor: Actor, now: datetime, job: Job, visit: Appointment, asked: Situation) -> None:
    before = visit.status
    APPOINTMENT.move(visit, "reactivate", asked)
    back_to_planned(visit)
    visit.cancel_reason = ""
    visit.ended_at = None
    visit.confirmed_at, visit.confirmed_by = None, ""
    visit.planned_at = now
    visit.move_number += 1
    visit.occurrence += 1
    flush_booking(session, visit.technician_id)
    after = {"status": visit.status, "start": visit.start_at}
    record(session, actor, now, "reactivate", job, visit, {"status": before}, after)
    announce(session, MessageKind.BOOKED, visit, now)
    tell_technician(session, actor, now, MessageKind.TECHNICIAN_ASSIGNED, visit, visit.technician_id)
