"""The use cases of jobs: schedule an installation; assign, reassign, reject, reschedule, cancel and edit either kind.

What a job does is what the table of its workflow says; of several visits a use case is about the one it is told, else
the open one. What only service jobs have is in ``service_jobs``.

Each runs within one ``unit_of_work``: load and lock, guard, change, history, outbox. ``now`` is an instant, ``actor``
who asks. They raise ``NotFound`` for what is out of the actor's scope, ``Refused`` where the tables say no, ``Invalid``
or ``Warned`` for input, and ``Conflict`` where somebody else was quicker; then nothing is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from portal.domain.actor import SYSTEM, Actor, Role
from portal.domain.errors import (
    Conflict,
    Invalid,
    NotFound,
    Refusal,
    Refused,
    Sentence,
    Warned,
    changed_meanwhile,
    sentence,
    suspended,
    too_long,
)
from portal.domain.jobs import taking
from portal.domain.jobs.history import entry_of, record
from portal.domain.jobs.mechanics import (
    MAX_AHEAD,
    MAX_TEXT,
    back_to_planned,
    book_linked_visit,
    demand,
    demand_role,
    demand_unmoved,
    end_visit,
    flush_booking,
    follow_job,
    follow_visits,
    lock_customers_visit,
    lock_visit,
    note_change,
    open_visits,
    required_text,
    start_errors,
    technician_name,
    tell_of_change,
    touch,
)
from portal.domain.jobs.models import MAX_QUANTITY, Appointment, HistoryEntry, Job, JobItem
from portal.domain.jobs.situations import current_visit, open_visit, situation, visits_of
from portal.domain.jobs.states import APPOINTMENT, EDITABLE, INSTALLATION, WORK_DONE, WORKFLOWS, Situation, job_refusal
from portal.domain.lookup import find, lock, lock_customer, lock_technicians
from portal.domain.messages.models import MessageKind
from portal.domain.messages.services import announce
from portal.domain.people.models import Address, Customer, Partner, Technician
from portal.domain.policy import decide
from portal.domain.requests.lapsing import lapse_outdated
from portal.domain.scheduling.models import RejectReason, ServiceType
from portal.domain.scheduling.queries import board, board_for, wanted_for, zone_of
from portal.domain.scheduling.rules import Controls
from portal.domain.scheduling.slots import (
    Limits,
    Slot,
    Wanted,
    booking_refusal,
    free_times,
    skill_refusal,
    time_refusal,
)
from portal.domain.scheduling.zones import local_day
from portal.domain.surveys.asking import ask_customer
from portal.domain.texts import one_line, shows

MAX_NAME = 200
MAX_TITLE = 500


@dataclass(frozen=True, slots=True)
class ItemInput:
    """A line of the form: product name and quantity."""

    name: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Booking:
    """What *Schedule Installation* asks for. ``start`` is an instant; without ``duration`` the service type's holds."""

    customer_id: int
    address_id: int
    service_type_id: int
    start: datetime
    items: Sequence[ItemInput]
    duration: timedelta | None = None
    notes: str = ""
    technician_id: int | None = None
    replaces_id: int | None = None


def schedule_installation(
    session: Session, actor: Actor, now: datetime, booking: Booking, despite_warnings: bool = False
) -> Job:
    """Create an installation with its first visit (P1-P6) and, with a technician chosen, assign it as well.

    Two history events then, one transaction. ``despite_warnings`` is staff ticking past hours, time off, holidays,
    buffers and skills; overlap is never ticked past.
    """
    partner_id = _only_partner(actor)
    status = INSTALLATION.start("schedule", _nothing_yet(session, actor, now, partner_id))
    customer = lock_customer(session, booking.customer_id)
    address = find(session, Address, booking.address_id)
    kind = find(session, ServiceType, booking.service_type_id)
    replaced = _replaceable(session, booking.replaces_id, customer)
    wanted = wanted_for(kind, booking.duration)
    errors = item_errors(booking.items) | start_errors(booking.start, wanted.duration, now)
    errors |= place_errors(customer, address, kind, booking.notes)
    if errors:
        raise Invalid(errors)

    job = Job(
        partner_id=partner_id,
        customer_id=customer.id,
        workflow=INSTALLATION.name,
        number=next_number(session, partner_id),
        status=status,
        title=title_of(booking.items),
        address_id=address.id,
        service_type_id=kind.id,
        notes=booking.notes.strip(),
        replaces_id=replaced.id if replaced is not None else None,
        created_at=now,
        updated_at=now,
    )
    session.add(job)
    session.flush()
    set_items(session, job, booking.items)
    visit = Appointment(
        partner_id=partner_id,
        customer_id=customer.id,
        job_id=job.id,
        status=APPOINTMENT.start("book", situation(session, actor, now, job, None, [])),
        start_at=booking.start,
        end_at=booking.start + wanted.duration,
        window_minutes=kind.window_minutes,
        planned_at=now,
    )
    session.add(visit)
    follow_visits(job, [visit])
    session.flush()
    record(session, actor, now, "schedule", job, after={"status": status, "start": visit.start_at})
    if booking.technician_id is not None:
        _assign(session, actor, now, job, visit, [visit], booking.technician_id, "assign", despite_warnings)
    announce(session, MessageKind.BOOKED, visit, now)
    return job


def assign(
    session: Session,
    actor: Actor,
    now: datetime,
    job_id: int,
    technician_id: int,
    despite_warnings: bool = False,
    visit_id: int | None = None,
) -> Job:
    """Assign an unassigned job, or one of its visits, to a technician who is Available and free (P9)."""
    return _assign_locked(session, actor, now, job_id, technician_id, "assign", despite_warnings, visit_id)


def reassign(
    session: Session,
    actor: Actor,
    now: datetime,
    job_id: int,
    technician_id: int,
    despite_warnings: bool = False,
    visit_id: int | None = None,
) -> Job:
    """Give a job's visit to another technician (P9); an old departure ends, the visit is planned again."""
    return _assign_locked(session, actor, now, job_id, technician_id, "reassign", despite_warnings, visit_id)


def reject(
    session: Session, actor: Actor, now: datetime, job_id: int, reason: str, reason_id: int | None = None
) -> Job:
    """Reject an unassigned installation with a reason (P10); its visit is cancelled and the customer told.

    ``reason_id`` is the key of one of the partner's reasons, which ``reason`` may then say more about, or be blank.
    """
    job = lock(session, Job, job_id)
    visits = visits_of(session, job)
    asked = situation(session, actor, now, job, None, visits)
    demand(job_refusal("reject", asked))
    text = rejection_reason(session, reason, reason_id)
    before = job.status
    job.reject_reason = text
    INSTALLATION.move(job, "reject", asked)
    record(session, actor, now, "reject", job, None, {"status": before}, {"status": job.status}, text)
    for visit in open_visits(visits):
        end_visit(session, actor, now, job, visit, text)
    touch(session, job, visits, now)
    return job


def rejection_reason(session: Session, note: str, reason_id: int | None) -> str:
    """Return the reason of a rejection as it is kept, see ``reject``; raises ``Invalid``, ``NotFound`` for the key."""
    if reason_id is None:
        return required_text(note, "reason", sentence("Enter a reason"))
    chosen = find(session, RejectReason, reason_id)
    if not chosen.active:
        raise Invalid({"chosen": sentence("Choose one of the reasons")})
    if not shows(note):
        return chosen.label
    return f"{chosen.label}: {required_text(note, 'reason', sentence('Enter a reason'))}"


def reschedule(
    session: Session,
    actor: Actor,
    now: datetime,
    job_id: int,
    start: datetime,
    duration: timedelta | None = None,
    technician_id: int | None = None,
    notify: bool = False,
    agreed_with_customer: bool = False,
    despite_warnings: bool = False,
    visit_id: int | None = None,
) -> Job:
    """Move a job's planned visit for staff (P13), or plan the follow-up visit of an installation that needs it.

    ``technician_id`` is for an installation's follow-up only. Nobody is told unless ``notify``. A staff move makes the
    visit unconfirmed unless ``agreed_with_customer``.
    """
    job = lock(session, Job, job_id)
    demand_role(actor.is_staff)
    visits = visits_of(session, job)
    visit = chosen_visit(visits, visit_id)
    asked = situation(session, actor, now, job, visit, visits)
    demand(job_refusal("reschedule", asked))
    kind = find(session, ServiceType, job.service_type_id)
    if visit is None:
        return _plan_follow_up(session, actor, now, job, visits, kind, start, duration, technician_id, despite_warnings)
    wanted = wanted_for(kind, visit.end_at - visit.start_at if duration is None else duration)
    errors = start_errors(start, wanted.duration, now)
    if errors:
        raise Invalid(errors)
    chosen = technician_id if technician_id is not None and names_technician(job) else visit.technician_id
    if chosen is not None:
        # Somebody who has the visit already keeps it, Available or not.
        newly = chosen != visit.technician_id
        check_staff_choice(session, job.partner_id, chosen, wanted, start, visit.id, despite_warnings, "start", newly)
    confirmed = (now, actor.role.value) if agreed_with_customer else (None, "")
    previous = visit.technician_id
    session.add(_move_visit(actor, now, job, visit, visits, asked, start, wanted, chosen, confirmed))
    # All of the move is written by one flush.
    flush_booking(session, chosen)
    lapse_outdated(session, now, job, visits)
    if chosen != previous:
        _record_technician(session, actor, now, "reschedule", job, job.status, previous, visit)
    if notify:
        announce(session, MessageKind.MOVED, visit, now)
    tell_of_change(session, actor, now, visit, previous, moved=notify)
    return job


def move_by_customer(
    session: Session, actor: Actor, now: datetime, visit_id: int, start: datetime, move_number: int | None = None
) -> Appointment:
    """Move a visit to a free time for its customer under the partner's rules (M1-M6).

    What was offered is decided again here, under the lock: raises ``Refused`` where the rules say no and ``Conflict``
    where the time is not, or no longer, free; the old visit then stays as it was. ``move_number`` is the one that the
    customer saw; a page from before another move is refused, and so is a second press of the same button.
    """
    demand_role(actor.role is Role.CUSTOMER)
    held = taking.hold(session, actor, visit_id)
    visit, job, visits = held.visit, held.job, held.visits
    asked = situation(session, actor, now, job, visit, visits, rules=held.rules)
    demand(decide("reschedule", asked).refusal)
    demand_unmoved(visit, move_number)
    no_choice = choice_refusal(visit, start, now)
    if no_choice is not None:
        raise Conflict(no_choice)
    wanted, technician_id = _take_free_time(session, job, visit, held.takers, asked, start)
    confirmed = (now, actor.role.value) if customers_controls(asked).own_choice_confirms else (None, "")
    previous, before = visit.technician_id, job.status
    entry = _move_visit(actor, now, job, visit, visits, asked, start, wanted, technician_id, confirmed)
    held.write(session, entry, held.takers[technician_id])
    if held.has_wishes:
        lapse_outdated(session, now, job, visits)
    if technician_id != previous:
        act = "assign" if previous is None else "reassign"
        _record_technician(session, SYSTEM, now, act, job, before, previous, visit)
    announce(session, MessageKind.MOVED, visit, now)
    tell_of_change(session, actor, now, visit, previous, moved=True)
    return visit


def cancel(session: Session, actor: Actor, now: datetime, job_id: int, reason: str) -> Job:
    """Cancel a job for staff, with a reason (P14, J7); its open visits end, nothing is deleted."""
    job = lock(session, Job, job_id)
    demand_role(actor.is_staff)
    visits = visits_of(session, job)
    asked = situation(session, actor, now, job, None, visits)
    demand(job_refusal("cancel", asked))
    text = cancel_reason(reason)
    before = job.status
    WORKFLOWS[job.workflow].move(job, "cancel", asked)
    job.cancel_reason = text
    record(session, actor, now, "cancel", job, None, {"status": before}, {"status": job.status}, text)
    for visit in open_visits(visits):
        end_visit(session, actor, now, job, visit, text)
        visit.cancelled_with_job = True
    touch(session, job, visits, now)
    return job


def cancel_visit(
    session: Session, actor: Actor, now: datetime, visit_id: int, reason: str, move_number: int | None = None
) -> Appointment:
    """Cancel one of a service job's visits for staff, with a reason; the last one takes the job along (M7).

    ``move_number`` is the one of the page that showed the visit; ``Conflict`` if it was moved since.
    """
    visit, job, visits = lock_visit(session, visit_id)
    demand_role(actor.is_staff)
    demand(visit_cancel_refusal(situation(session, actor, now, job, visit, visits)))
    demand_unmoved(visit, move_number)
    _finish_cancel(session, actor, now, job, visit, visits, cancel_reason(reason))
    return visit


def visit_cancel_refusal(asked: Situation) -> Refusal | None:
    """Say why staff may not cancel ``asked.visit`` by itself, or ``None``; an installation goes with its visit."""
    if asked.job is not None and asked.job.workflow == INSTALLATION.name:
        return Refusal("only_visit", sentence("This is the only visit; cancel the installation instead."))
    return APPOINTMENT.refusal("cancel", asked.visit.status if asked.visit is not None else None, asked)


def cancel_reason(text: str) -> str:
    """Return a reason for cancelling as it is kept; raises ``Invalid`` for a blank or overlong one (M7)."""
    return required_text(text, "reason", sentence("Enter a reason"))


def cancel_by_customer(
    session: Session, actor: Actor, now: datetime, visit_id: int, reason: str, move_number: int | None = None
) -> Appointment:
    """Cancel a visit for its customer under the partner's rules, with a reason (M7).

    It takes effect after the partner's undo time, at the latest at the visit's start; until then nothing else moves.
    ``move_number`` is the one that the customer saw: ``Conflict`` where the visit was moved or reassigned since.
    """
    visit, job, visits, rules = lock_customers_visit(session, visit_id)
    demand_role(actor.role is Role.CUSTOMER)
    asked = situation(session, actor, now, job, visit, visits, rules=rules)
    demand(decide("cancel", asked).refusal)
    demand_unmoved(visit, move_number)
    text = cancel_reason(reason)
    undo = timedelta(minutes=customers_controls(asked).cancel_undo_minutes)
    if not undo:
        _finish_cancel(session, actor, now, job, visit, visits, text)
        return visit
    visit.cancel_at = min(now + undo, visit.start_at)
    visit.cancel_reason = text
    record(session, actor, now, "request_cancel", job, visit, after={"cancel_at": visit.cancel_at}, reason=text)
    touch(session, job, visits, now)
    return visit


def undo_cancel(session: Session, actor: Actor, now: datetime, visit_id: int) -> Appointment:
    """Take back a customer's pending cancel, for that customer or staff, up to the instant it takes effect."""
    visit, job, visits = lock_visit(session, visit_id)
    demand(pending_cancel_refusal(visit, actor, now))
    before = visit.cancel_at
    visit.cancel_at = None
    visit.cancel_reason = ""
    record(session, actor, now, "undo_cancel", job, visit, {"cancel_at": before}, {"cancel_at": None})
    touch(session, job, visits, now)
    return visit


def finalise_cancel(session: Session, actor: Actor, now: datetime, visit_id: int) -> Appointment:
    """Make a customer's pending cancel final before its time, for staff."""
    visit, job, visits = lock_visit(session, visit_id)
    demand(pending_cancel_refusal(visit, actor, now, final=True))
    _finish_cancel(session, actor, now, job, visit, visits, visit.cancel_reason)
    return visit


def finalise_due_cancel(session: Session, now: datetime, visit_id: int) -> bool:
    """Make a pending cancel final for the worker once its time has come; returns whether there was anything to do."""
    visit, job, visits = lock_visit(session, visit_id)
    if visit.cancel_at is None or now < visit.cancel_at:
        return False
    _finish_cancel(session, SYSTEM, now, job, visit, visits, visit.cancel_reason)
    return True


def pending_cancel_refusal(visit: Appointment, actor: Actor, now: datetime, final: bool = False) -> Refusal | None:
    """Say why ``actor`` may not undo (or, with ``final``, make final) the pending cancel of ``visit`` at ``now``."""
    if visit.cancel_at is None and visit.status != "CANCELLED":
        return Refusal("no_cancel_pending", sentence("There is no cancel to undo or make final."))
    if visit.cancel_at is None or now >= visit.cancel_at:
        return Refusal("cancel_took_effect", sentence("The cancel has taken effect."))
    if visit.partner_id in actor.suspended:
        return suspended()
    if not actor.is_staff and (final or actor.role is not Role.CUSTOMER):
        return Refusal("not_your_role", sentence("This is not yours to do."))
    return None


@dataclass(frozen=True, slots=True)
class JobEdit:
    """The edit form of a job. ``version`` is the one the form was made from."""

    version: int
    address_id: int
    notes: str
    items: Sequence[ItemInput]


def edit(session: Session, actor: Actor, now: datetime, job_id: int, form: JobEdit) -> Job:
    """Change items, address and notes for staff; raises ``Conflict`` for a form from before somebody else's change.

    Items and address freeze once the contract is sent; an ended job takes notes only (``lifecycles.md``).
    """
    job = lock(session, Job, job_id)
    demand_role(actor.is_staff)
    if form.version != job.version:
        raise Conflict(changed_meanwhile())
    errors: dict[str, Sentence] = {}
    if len(form.notes) > MAX_TEXT:
        errors["notes"] = too_long(MAX_TEXT)
    items = list(session.scalars(select(JobItem).where(JobItem.job_id == job.id).order_by(JobItem.position)))
    old_items = [(item.name, item.quantity) for item in items]
    new_items = [(one_line(item.name), item.quantity) for item in form.items]
    frozen = job.status not in EDITABLE
    if frozen and (new_items != old_items or form.address_id != job.address_id):
        raise Refused(Refusal("frozen", sentence("Items and address can no longer be changed; only the notes can.")))
    if not frozen:
        errors |= item_errors(form.items, required=job.workflow == INSTALLATION.name)
        address = find(session, Address, form.address_id)
        if address.customer_id != job.customer_id:
            raise NotFound
        if not address.active and address.id != job.address_id:
            errors["address"] = sentence("%(address)s is not used for new visits any more.", address=address.one_line)
    if errors:
        raise Invalid(errors)
    if (form.notes.strip(), new_items, form.address_id) == (job.notes, old_items, job.address_id):
        return job
    before = {"notes": job.notes, "items": _items_text(old_items), "address": _address_text(session, job.address_id)}
    job.notes = form.notes.strip()
    if not frozen:
        job.address_id = form.address_id
        if new_items != old_items:
            set_items(session, job, form.items)
            job.title = title_of(form.items) or find(session, ServiceType, job.service_type_id).name
    after = {"notes": job.notes, "items": _items_text(new_items), "address": _address_text(session, job.address_id)}
    job.updated_at = now
    record(session, actor, now, "edit", job, None, before, after)
    return job


def title_of(items: Sequence[ItemInput]) -> str:
    """Return a job's title: the item names joined (P4)."""
    title = ", ".join(one_line(item.name) for item in items)
    return title if len(title) <= MAX_TITLE else title[: MAX_TITLE - 1] + "…"


def _assign_locked(
    session: Session,
    actor: Actor,
    now: datetime,
    job_id: int,
    technician_id: int,
    name: str,
    despite_warnings: bool,
    visit_id: int | None,
) -> Job:
    job = lock(session, Job, job_id)
    visits = visits_of(session, job)
    visit = chosen_visit(visits, visit_id)
    demand(job_refusal(name, situation(session, actor, now, job, visit, visits)))
    if visit is None:
        raise RuntimeError(f"job {job.id} in {job.status} has no open visit")
    _assign(session, actor, now, job, visit, visits, technician_id, name, despite_warnings)
    return job


def _assign(
    session: Session,
    actor: Actor,
    now: datetime,
    job: Job,
    visit: Appointment,
    visits: Sequence[Appointment],
    technician_id: int,
    name: str,
    despite_warnings: bool,
) -> None:
    kind = find(session, ServiceType, job.service_type_id)
    wanted = wanted_for(kind, visit.end_at - visit.start_at)
    technician = check_staff_choice(
        session, job.partner_id, technician_id, wanted, visit.start_at, visit.id, despite_warnings, "technician"
    )
    if visit.technician_id == technician.id:
        raise Invalid({"technician": already_theirs(job, technician.name)})
    previous_id = visit.technician_id
    previous = technician_name(session, previous_id)
    asked = situation(session, actor, now, job, visit, visits)
    old_job, old_visit = job.status, visit.status
    APPOINTMENT.move(visit, name, asked)
    back_to_planned(visit)
    visit.technician_id = technician.id
    follow_job(job, visit, visits)
    visit.move_number += 1
    flush_booking(session, technician.id)
    change = ({"technician": previous}, {"technician": technician.name})
    if old_visit != visit.status:
        record(session, actor, now, name, job, visit, {"status": old_visit}, {"status": visit.status})
    record(session, actor, now, name, job, None, {"status": old_job, **change[0]}, {"status": job.status, **change[1]})
    touch(session, job, visits, now)
    tell_of_change(session, actor, now, visit, previous_id, moved=False)


def _plan_follow_up(
    session: Session,
    actor: Actor,
    now: datetime,
    job: Job,
    visits: Sequence[Appointment],
    kind: ServiceType,
    start: datetime,
    duration: timedelta | None,
    technician_id: int | None,
    despite_warnings: bool,
) -> Job:
    wanted = wanted_for(kind, duration)
    errors = start_errors(start, wanted.duration, now)
    if errors:
        raise Invalid(errors)
    if technician_id is not None:
        check_staff_choice(session, job.partner_id, technician_id, wanted, start, None, despite_warnings, "start")
    visit = book_linked_visit(
        session, actor, now, job, current_visit(visits), start, wanted.duration, kind.window_minutes, technician_id
    )
    touch(session, job, [*visits, visit], now)
    return job


def _move_visit(
    actor: Actor,
    now: datetime,
    job: Job,
    visit: Appointment,
    visits: Sequence[Appointment],
    asked: Situation,
    start: datetime,
    wanted: Wanted,
    technician_id: int | None,
    confirmed: tuple[datetime | None, str],
) -> HistoryEntry:
    before = {"start": visit.start_at, "end": visit.end_at, "confirmed": visit.is_confirmed, "status": visit.status}
    APPOINTMENT.move(visit, "reschedule", asked)
    visit.start_at = start
    visit.end_at = start + wanted.duration
    visit.technician_id = technician_id
    visit.planned_at = now
    visit.move_number += 1
    visit.occurrence += 1
    if actor.role is Role.CUSTOMER:
        visit.customer_moves += 1
    visit.confirmed_at, visit.confirmed_by = confirmed
    after = {"start": visit.start_at, "end": visit.end_at, "confirmed": visit.is_confirmed, "status": visit.status}
    follow_job(job, visit, visits)
    note_change(job, visits, now)
    return entry_of(actor, now, "reschedule", job, visit, before, after)


def _record_technician(
    session: Session,
    actor: Actor,
    now: datetime,
    action: str,
    job: Job,
    old_status: str,
    previous_id: int | None,
    visit: Appointment,
) -> None:
    before = {"status": old_status, "technician": technician_name(session, previous_id)}
    after = {"status": job.status, "technician": technician_name(session, visit.technician_id)}
    record(session, actor, now, action, job, None, before, after)


def _finish_cancel(
    session: Session,
    actor: Actor,
    now: datetime,
    job: Job,
    visit: Appointment,
    visits: Sequence[Appointment],
    reason: str,
) -> None:
    end_visit(session, actor, now, job, visit, reason)
    before = job.status
    # Where work has begun an installation stays as it is and needs a visit; else a job goes with its last visit (M7).
    follow_job(job, visit, visits)
    if job.status != before:
        if not open_visits(visits) and job.status not in WORK_DONE:
            job.cancel_reason = reason
            visit.cancelled_with_job = True
        record(session, actor, now, "cancel", job, None, {"status": before}, {"status": job.status}, reason)
    touch(session, job, visits, now)
    made = [one for one in visits if one.is_complete]
    if job.status != before and made:
        ask_customer(session, job, max(made, key=lambda one: (one.start_at, one.id)), now)


def _take_free_time(
    session: Session, job: Job, visit: Appointment, takers: Iterable[int], asked: Situation, start: datetime
) -> tuple[Wanted, int]:
    """Return what the visit needs, and the key of who takes it at ``start``: one of ``takers``, who are locked."""
    length = visit.end_at - visit.start_at
    wanted, times = board_for(
        session, job.partner_id, job.service_type_id, list(takers), start, start + length, length, visit.id
    )
    limits = customer_limits(asked)
    day = local_day(start, times.zone)
    slots = free_times(times.calendars, wanted, [day], times.zone, times.holidays, limits, only=start)
    slot = slot_at(start, slots)
    if slot.technician_id is None:
        raise Conflict(slot.refusal or not_offered())
    return wanted, slot.technician_id


def chosen_visit(visits: Sequence[Appointment], visit_id: int | None) -> Appointment | None:
    """Return which of a job's ``visits`` is meant: without a key the open one; ``NotFound`` for another job's."""
    if visit_id is None:
        return open_visit(visits)
    for visit in visits:
        if visit.id == visit_id:
            return visit
    raise NotFound


def names_technician(job: Job) -> bool:
    """Whether *Reschedule* says who comes: for the follow-up of an installation, which nothing else assigns."""
    return job.work_began_at is not None and "technician" in WORKFLOWS[job.workflow].transition("reschedule").optional


def already_theirs(job: Job, name: str) -> Sentence:
    """Return that a job is ``name``'s as it is."""
    if job.workflow == INSTALLATION.name:
        return sentence("%(name)s has this installation already.", name=name)
    return sentence("%(name)s has this visit already.", name=name)


def choice_refusal(visit: Appointment, start: datetime, now: datetime) -> Refusal | None:
    """Say why a customer cannot mean ``start`` for a move of ``visit`` at ``now``, whoever is free (all instants)."""
    if start == visit.start_at:
        return Refusal("same_time", sentence("That is the time you have already."))
    # With no notice the limit is this very instant, and a start exactly at a limit is allowed (``scheduling.md``).
    if start < now:
        return Refusal("past", sentence("That time is in the past."))
    return None if start <= now + MAX_AHEAD else not_offered()


def slot_at(start: datetime, slots: Iterable[Slot]) -> Slot:
    """Return the one of ``slots`` that begins at ``start`` (an instant); refused where none does."""
    return next((slot for slot in slots if slot.start == start), Slot(start, None, not_offered()))


def not_offered() -> Refusal:
    """Return the refusal of a start that is no free time."""
    return Refusal("not_offered", sentence("That time is not one of the free times."))


def customer_limits(asked: Situation) -> Limits:
    """Return between which instants and dates a customer may choose, as of ``asked.now``, in the partner's zone."""
    controls = customers_controls(asked)
    return Limits(
        earliest=asked.now + timedelta(hours=controls.notice_hours),
        last_day=local_day(asked.now, asked.zone) + timedelta(days=controls.horizon_days),
    )


def customers_controls(asked: Situation) -> Controls:
    """Return the controls that bind the customer who asks; ``ValueError`` for somebody whom none bind."""
    if asked.controls is None:
        raise ValueError("only a customer is bound by controls")
    return asked.controls


def check_staff_choice(
    session: Session,
    partner_id: int,
    technician_id: int,
    wanted: Wanted,
    start: datetime,
    visit_id: int | None,
    despite_warnings: bool,
    field: str,
    newly: bool = True,
) -> Technician:
    """Lock and return whom staff chose for a visit at ``start`` (an instant); errors and warnings at ``field``.

    ``visit_id`` is the visit that is moved or reassigned, whose own time does not count; ``newly`` unless they have it.
    """
    find(session, Technician, technician_id)
    technician = lock_technicians(session, [technician_id])[0]
    if newly and not technician.is_available:
        raise Invalid({"technician": sentence("%(name)s is not available.", name=technician.name)})
    times = board(session, partner_id, [technician], start, start + wanted.duration, without_visit=visit_id)
    calendar = times.calendars[0]
    booked = booking_refusal(calendar, wanted, start)
    if booked is not None and booked.code == "booked":
        raise Invalid({field: booked.sentence})
    lacking, busy = skill_refusal(calendar, wanted), time_refusal(calendar, wanted, start, times.zone, times.holidays)
    # Whoever ticks past one is told of both.
    if lacking is not None and busy is not None:
        warning: Sentence | None = sentence("%(skill)s %(time)s", skill=lacking.sentence, time=busy.sentence)
    else:
        warning = next((refusal.sentence for refusal in (lacking, busy) if refusal is not None), None)
    if warning is not None and not despite_warnings:
        raise Warned({field: warning})
    return technician


def _nothing_yet(session: Session, actor: Actor, now: datetime, partner_id: int) -> Situation:
    return Situation(actor=actor, now=now, zone=zone_of(session, partner_id))


def _only_partner(actor: Actor) -> int:
    if len(actor.partner_ids) != 1:
        raise Refused(Refusal("no_partner", sentence("Choose a partner first.")))
    return next(iter(actor.partner_ids))


def _replaceable(session: Session, job_id: int | None, customer: Customer) -> Job | None:
    if job_id is None:
        return None
    job = find(session, Job, job_id)
    if job.customer_id != customer.id:
        raise Invalid({"customer": sentence("A replacement is for the same customer.")})
    demand(replacement_refusal(job))
    return job


def replacement_refusal(job: Job) -> Refusal | None:
    """Say why *Create replacement* is not offered on ``job``, or ``None`` (P10)."""
    if job.workflow == INSTALLATION.name and INSTALLATION.status(job.status).group == "Rejected":
        return None
    return Refusal("not_replaceable", sentence("Only a rejected or cancelled installation is replaced."))


def place_errors(customer: Customer, address: Address, kind: ServiceType, notes: str) -> dict[str, Sentence]:
    """Return what is wrong with whom, where and of what type a new job is, by field; ``NotFound`` for the address."""
    errors: dict[str, Sentence] = {}
    if not customer.active:
        errors["customer"] = sentence("%(name)s is not an active customer.", name=customer.name)
    elif address.customer_id != customer.id:
        raise NotFound
    elif not address.active:
        errors["customer"] = sentence("%(address)s is not used for new visits any more.", address=address.one_line)
    if not kind.active:
        errors["service_type"] = sentence("%(name)s is no longer offered.", name=kind.name)
    if len(notes) > MAX_TEXT:
        errors["notes"] = too_long(MAX_TEXT)
    return errors


def next_number(session: Session, partner_id: int) -> str:
    """Take the partner's next number of a job."""
    # One statement, which locks the row and leaves its version alone: nobody edited the partner.
    taken = (
        update(Partner)
        .where(Partner.id == partner_id)
        .values(next_job_number=Partner.next_job_number + 1)
        .returning(Partner.job_prefix, Partner.next_job_number)
    )
    prefix, following = session.execute(taken, execution_options={"synchronize_session": False}).one()
    return f"{prefix}-{following - 1}"


def set_items(session: Session, job: Job, items: Sequence[ItemInput]) -> None:
    """Write ``items`` as the lines of ``job``, in place of those it had."""
    session.execute(delete(JobItem).where(JobItem.job_id == job.id))
    for position, item in enumerate(items):
        session.add(
            JobItem(
                partner_id=job.partner_id,
                job_id=job.id,
                position=position,
                name=one_line(item.name),
                quantity=item.quantity,
            )
        )


def item_errors(items: Sequence[ItemInput], required: bool = True) -> dict[str, Sentence]:
    """Return what is wrong with the lines of a job, by field; whether there has to be one is ``required``."""
    if not items and required:
        return {"items": sentence("Add at least one item")}
    errors: dict[str, Sentence] = {}
    for index, item in enumerate(items):
        name = one_line(item.name)
        if not name:
            errors[f"items-{index}-name"] = sentence("Enter a product name")
        elif len(name) > MAX_NAME:
            errors[f"items-{index}-name"] = too_long(MAX_NAME)
        if item.quantity < 1:
            errors[f"items-{index}-quantity"] = sentence("Quantity of “%(name)s” must be 1 or more", name=name)
        elif item.quantity > MAX_QUANTITY:
            errors[f"items-{index}-quantity"] = sentence(
                "Quantity of “%(name)s” must be %(limit)s or less", name=name, limit=MAX_QUANTITY
            )
    return errors


def _items_text(items: Sequence[tuple[str, int]]) -> str:
    return ", ".join(f"{quantity} × {name}" for name, quantity in items)


def _address_text(session: Session, address_id: int) -> str:
    return find(session, Address, address_id).one_line
