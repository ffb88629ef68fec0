"""The task that arises when a message is given up: opened by the worker, closed by the office or by itself (P18).

Each runs within ``unit_of_work``; ``now`` is an instant. Whoever opens one has locked the customer first, so that there
is no second, and nobody is merged meanwhile.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache

from sqlalchemy import Select, bindparam, or_, select, update
from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.delivery.models import Closing, Unreachable
from portal.domain.errors import Refusal, Refused, sentence
from portal.domain.jobs.mechanics import required_text
from portal.domain.jobs.models import Appointment
from portal.domain.lookup import find, lock, lock_customer
from portal.domain.messages.models import Fault, Message, MessageStatus
from portal.domain.messages.services import address_of
from portal.domain.people.models import Contact, Customer
from portal.domain.requests.models import ServiceRequest
from portal.domain.unit_of_work import require_unit_of_work

ANYTHING_SAID = (MessageStatus.PENDING, MessageStatus.SENT)


def lock_reader(session: Session, message_id: int) -> None:
    """Lock the customer whom a message is to or about, if any."""
    customer_id = session.scalars(select(Message.customer_id).where(Message.id == message_id)).one()
    if customer_id is not None:
        lock_customer(session, customer_id)


def open_task(
    session: Session, now: datetime, message_id: int, recipient: str, fault: Fault, error: str
) -> Unreachable | None:
    """Make a task of a message that was given up, or add it to the customer's open one; return that.

    None arises as long as the same is said, or still may be, to the same person over another channel, and none for a
    message to somebody who is no customer. ``recipient`` is the address it was tried at.
    """
    message = session.scalars(
        select(Message).where(Message.id == message_id), execution_options={"populate_existing": True}
    ).one()
    if message.customer_id is None or _said_otherwise(session, message):
        return None
    task = open_task_of(session, message.customer_id)
    if task is None:
        task = Unreachable(partner_id=message.partner_id, customer_id=message.customer_id, failures=0, opened_at=now)
        session.add(task)
    task.contact_id, task.message_id = message.contact_id, message.id
    task.recipient, task.fault, task.error = recipient or message.recipient, fault, error
    task.failures += 1
    session.flush()
    return task


def close_reached(session: Session, now: datetime, message_id: int) -> None:
    """Close the task of somebody whom a message has reached since, over whichever channel."""
    for key in session.scalars(_reached(), {"message_id": message_id}):
        _close(lock(session, Unreachable, key), now, Closing.REACHED)


# Put together once: it is asked for each message that is sent.
@cache
def _reached() -> Select[int]:
    return (
        select(Unreachable.id)
        .join(Message, Message.customer_id == Unreachable.customer_id)
        .where(
            Message.id == bindparam("message_id"),
            Unreachable.closed_at.is_(None),
            Message.contact_id.is_not_distinct_from(Unreachable.contact_id),
        )
    )


def settle(session: Session, actor: Actor, now: datetime, task_id: int, note: str) -> Unreachable:
    """Close a task with a ``note`` of how it was settled; raises ``Invalid`` for a blank one."""
    task = lock(session, Unreachable, task_id)
    refusal = settle_refusal(task)
    if refusal is not None:
        raise Refused(refusal)
    task.note = required_text(note, "note", sentence("Say how it was settled"))
    _close(task, now, Closing.DONE, actor)
    session.flush()
    return task


def settle_refusal(task: Unreachable) -> Refusal | None:
    """Say why a task cannot be settled any more, or ``None``."""
    if task.is_open:
        return None
    return Refusal("closed", sentence("This is settled already."))


def try_corrected(session: Session, actor: Actor, now: datetime, customer_id: int) -> bool:
    """Send anew what was given up, where the address that failed has been corrected; whether it has.

    Called with every change of a customer. The task is closed, and the messages about visits that are ahead and
    about requests go out again to whatever address there is now; what has become out of date is skipped as ever. A
    failure opens a new task.
    """
    require_unit_of_work(session)
    task = open_task_of(session, customer_id)
    if task is None:
        return False
    channel = find(session, Message, task.message_id).channel
    to_customer = task.contact_id is None
    reader = find(session, Customer, customer_id) if to_customer else find(session, Contact, task.contact_id or 0)
    if address_of(reader, channel) in ("", task.recipient):
        return False
    _close(task, now, Closing.CORRECTED, actor)
    asked = select(ServiceRequest.id).where(ServiceRequest.customer_id == customer_id)
    ahead = select(Appointment.id).where(Appointment.customer_id == customer_id, Appointment.start_at > now)
    session.execute(
        update(Message)
        .where(
            Message.customer_id == customer_id,
            Message.status == MessageStatus.FAILED,
            or_(Message.appointment_id.in_(ahead), Message.service_request_id.in_(asked)),
        )
        .values(status=MessageStatus.PENDING, due_at=now, attempts=0, last_error=""),
        execution_options={"synchronize_session": False},
    )
    session.flush()
    return True


def settle_before_merge(session: Session, now: datetime, kept_id: int, gone_id: int) -> None:
    """Close the task of the customer who becomes part of another, where that one has one of their own."""
    gone = open_task_of(session, gone_id)
    if gone is not None and open_task_of(session, kept_id) is not None:
        _close(gone, now, Closing.MERGED)
        session.flush()


def open_task_of(session: Session, customer_id: int) -> Unreachable | None:
    """Return the open task of a customer, locked; ``None`` where there is none."""
    query = select(Unreachable).where(Unreachable.customer_id == customer_id, Unreachable.closed_at.is_(None))
    return session.scalars(
        query.with_for_update(of=Unreachable), execution_options={"populate_existing": True}
    ).one_or_none()


def _said_otherwise(session: Session, message: Message) -> bool:
    """Whether the same occurrence was, or is still to be, said to the same person over another channel."""
    query = select(Message.id).where(
        Message.partner_id == message.partner_id,
        Message.customer_id == message.customer_id,
        Message.contact_id.is_not_distinct_from(message.contact_id),
        Message.kind == message.kind,
        Message.appointment_id.is_not_distinct_from(message.appointment_id),
        Message.service_request_id.is_not_distinct_from(message.service_request_id),
        Message.occurrence == message.occurrence,
        Message.channel != message.channel,
        Message.status.in_(ANYTHING_SAID),
    )
    return session.scalars(query.limit(1)).first() is not None


def _close(task: Unreachable, now: datetime, how: Closing, actor: Actor | None = None) -> None:
    task.closed_at, task.closed_as = now, how
    if actor is not None:
        task.closed_by_id, task.closed_by_name = actor.id, actor.name
