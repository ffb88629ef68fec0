"""The use cases of change requests: ask, apply by moving or cancelling, decline, lapse (C6, P18).

Each runs within one ``unit_of_work``; ``now`` is an instant, ``actor`` who asks. They raise ``NotFound`` for what is
out of the actor's scope, ``Refused`` where the table or a rule says no, and ``Invalid`` for input.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.errors import NotFound, Refusal, Refused, sentence
from portal.domain.jobs import services as jobs
from portal.domain.jobs.history import record
from portal.domain.jobs.mechanics import demand, demand_unmoved, lock_visit, required_text
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.situations import situation
from portal.domain.jobs.states import MOVABLE, SERVICE, Situation
from portal.domain.lookup import find, lock
from portal.domain.messages.models import MessageKind
from portal.domain.messages.services import announce
from portal.domain.policy import decide
from portal.domain.requests.lapsing import lapse
from portal.domain.requests.models import PENDING, ChangeRequest, Wish
from portal.domain.requests.states import CHANGE_REQUEST
from portal.domain.scheduling.rules import Decision


def wish_refusal(asked: Situation, decision: Decision, pending: bool) -> Refusal | None:
    """Say why the customer may not ask the office to change ``asked.visit``, or ``None`` (C6).

    Only what *Modify* does not let them do themselves is asked for: ``decision`` is what it says of the same wish.
    ``pending``: another request of this visit waits.
    """
    visit = asked.visit
    if visit is None or visit.status not in MOVABLE or asked.now >= visit.start_at:
        return Refusal("under_way", sentence("The visit has begun; please talk to our office."))
    if visit.cancel_at is not None:
        return Refusal("cancelling", sentence("This visit is being cancelled; undo that first."))
    if pending:
        return Refusal("pending", sentence("You have asked for a change of this visit already; we will answer soon."))
    if decision.allowed:
        return Refusal("allowed", sentence("You can do that yourself, without waiting for us."))
    return None


def request_change(
    session: Session, actor: Actor, now: datetime, visit_id: int, wish: Wish, words: str, move_number: int | None = None
) -> ChangeRequest:
    """Ask the office to move or cancel a visit, in the customer's own ``words`` (C6).

    ``move_number`` is the one of the page that showed the visit; ``Conflict`` if it was moved since.
    """
    visit, job, visits = lock_visit(session, visit_id)
    asked = situation(session, actor, now, job, visit, visits)
    status = CHANGE_REQUEST.start("request", asked)
    waiting = select(ChangeRequest.id).where(ChangeRequest.appointment_id == visit.id, ChangeRequest.status == PENDING)
    demand(wish_refusal(asked, decide(wish.value, asked), pending=session.scalars(waiting).first() is not None))
    demand_unmoved(visit, move_number)
    text = required_text(words, "words", sentence("Tell us what would suit you"))
    request = ChangeRequest(
        partner_id=job.partner_id,
        customer_id=job.customer_id,
        job_id=job.id,
        appointment_id=visit.id,
        status=status,
        wish=wish.value,
        words=text,
        start_at=visit.start_at,
        asked_at=now,
    )
    session.add(request)
    session.flush()
    record(session, actor, now, "request_change", job, visit, after={"wish": wish.value}, reason=text)
    return request


def apply_by_moving(
    session: Session,
    actor: Actor,
    now: datetime,
    job_id: int,
    request_id: int,
    start: datetime,
    duration: timedelta | None = None,
    notify: bool = False,
    agreed_with_customer: bool = False,
    despite_warnings: bool = False,
) -> Job:
    """Apply a request about ``job_id`` by the same move as every other of staff's (``jobs.services.reschedule``)."""
    request = _answer(session, actor, now, request_id, "apply", job_id)
    return jobs.reschedule(
        session,
        actor,
        now,
        job_id,
        start,
        duration,
        notify=notify,
        agreed_with_customer=agreed_with_customer,
        despite_warnings=despite_warnings,
        visit_id=request.appointment_id,
    )


def apply_by_cancelling(
    session: Session, actor: Actor, now: datetime, job_id: int, request_id: int, reason: str
) -> Job:
    """Apply a request about ``job_id`` by the same cancel as every other of staff's (``jobs.services.cancel``).

    Of a service job it is the visit that is cancelled; the last one takes the job along.
    """
    request = _answer(session, actor, now, request_id, "apply", job_id)
    job = find(session, Job, job_id)
    if job.workflow == SERVICE.name:
        jobs.cancel_visit(session, actor, now, request.appointment_id, reason)
        return job
    return jobs.cancel(session, actor, now, job_id, reason)


def decline(session: Session, actor: Actor, now: datetime, request_id: int, reason: str) -> ChangeRequest:
    """Decline a request with a reason, which the customer is written; the visit stays as it is."""
    request = _answer(session, actor, now, request_id, "decline", reason=reason)
    visit = find(session, Appointment, request.appointment_id)
    job = find(session, Job, request.job_id)
    record(session, actor, now, "decline_change_request", job, visit, reason=request.answer)
    announce(session, MessageKind.DECLINED, visit, now, subject=f"request:{request.id}")
    return request


def lapse_started(session: Session, now: datetime, request_id: int) -> bool:
    """Let a pending request lapse for the worker once its visit's time has come; whether there was anything to do."""
    request = find(session, ChangeRequest, request_id)
    visit, job, _ = lock_visit(session, request.appointment_id)
    request = lock(session, ChangeRequest, request_id)
    if request.status != PENDING or now < visit.start_at:
        return False
    lapse(session, now, job, visit, request)
    return True


def due_to_lapse(session: Session, now: datetime) -> list[int]:
    """Return the keys of pending requests whose visit's time has come."""
    query = (
        select(ChangeRequest.id)
        .join(Appointment, Appointment.id == ChangeRequest.appointment_id)
        .where(ChangeRequest.status == PENDING, Appointment.start_at <= now)
        .order_by(ChangeRequest.id)
    )
    return list(session.scalars(query))


def answer_refusal(actor: Actor, request: ChangeRequest, name: str) -> Refusal | None:
    """Say why ``actor`` may not ``apply`` or ``decline`` the request, in the table's own words, or ``None``."""
    return CHANGE_REQUEST.refusal(name, request.status, _Asking(actor, request.partner_id))


@dataclass(frozen=True, slots=True)
class _Asking:
    """Who answers a request of which partner; the table of requests looks at nothing else."""

    actor: Actor
    partner_id: int


def _answer(
    session: Session,
    actor: Actor,
    now: datetime,
    request_id: int,
    name: str,
    job_id: int | None = None,
    reason: str | None = None,
) -> ChangeRequest:
    found = find(session, ChangeRequest, request_id)
    if job_id is not None and found.job_id != job_id:
        raise NotFound
    visit, _, _ = lock_visit(session, found.appointment_id)
    request = lock(session, ChangeRequest, request_id)
    refusal = answer_refusal(actor, request, name)
    if refusal is None and now >= visit.start_at:
        refusal = Refusal("lapsed", sentence("The visit's time has come, so this request can no longer be answered."))
    if refusal is not None:
        raise Refused(refusal)
    if reason is not None:
        request.answer = required_text(reason, "reason", sentence("Enter a reason"))
    CHANGE_REQUEST.move(request, name, _Asking(actor, request.partner_id))
    request.answered_at = now
    request.answered_by_id = actor.id
    session.flush()
    return request
