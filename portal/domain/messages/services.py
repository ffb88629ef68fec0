"""Deciding messages: rows written in the transaction of their cause, and looked at again before sending (N3)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.errors import Refusal, sentence
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.states import MOVABLE, TRACKED
from portal.domain.messages.models import Message, MessageKind, MessageRule
from portal.domain.people.models import Customer, Invitation

# Reminders are decided in SQL and fill in the same form there.
KEY = "rule:{rule_id}|customer:{customer_id}|{channel}|{subject}|{occurrence}"

NOT_PLANNED = Refusal("not_planned", sentence("The visit is no longer planned."))
STARTED = Refusal("started", sentence("The visit's start is over."))
SUPERSEDED = Refusal("superseded", sentence("A newer message says it."))
OTHER_OCCURRENCE = Refusal("other_occurrence", sentence("The visit was moved or changed meanwhile."))
CANCELLING = Refusal("cancelling", sentence("The visit is being cancelled."))
NOT_CANCELLED = Refusal("not_cancelled", sentence("The visit is not cancelled."))
NOT_ON_THE_WAY = Refusal("not_on_the_way", sentence("The technician is no longer on the way."))
INVITATION_OVER = Refusal("invitation_over", sentence("The invitation is no longer open."))
SENT_ANEW = Refusal("sent_anew", sentence("The invitation was sent anew."))
CONTRACT_NOT_OPEN = Refusal("contract_not_open", sentence("The contract no longer waits for a signature."))


def announce(
    session: Session, kind: MessageKind, visit: Appointment, now: datetime, subject: str = ""
) -> list[Message]:
    """Put a message about ``visit`` to its customer into the outbox for each enabled rule of ``kind``, due at once.

    ``now`` is an instant; ``subject`` is what the message is about where that is not the visit itself. A customer
    without an address for the channel gets none. Returns the rows added; one whose key is there is not added again.
    """
    customer = session.scalars(select(Customer).where(Customer.id == visit.customer_id)).one()
    rules = session.scalars(
        select(MessageRule).where(
            MessageRule.partner_id == visit.partner_id, MessageRule.kind == kind, MessageRule.enabled.is_(True)
        )
    )
    session.flush()
    added = []
    for rule in rules:
        message = message_for(rule, visit, customer, due_at=now, now=now, subject=subject)
        if message is None or _known(session, message.key):
            continue
        session.add(message)
        added.append(message)
    return added


def message_for(
    rule: MessageRule, visit: Appointment, customer: Customer, due_at: datetime, now: datetime, subject: str = ""
) -> Message | None:
    """Return the message that ``rule`` asks for about ``visit``, due at an instant, or ``None`` without an address."""
    if not customer.email:
        return None
    return Message(
        partner_id=visit.partner_id,
        customer_id=visit.customer_id,
        job_id=visit.job_id,
        appointment_id=visit.id,
        key=key_of(rule.id, rule.channel, customer.id, subject or f"visit:{visit.id}", visit.occurrence),
        kind=rule.kind,
        channel=rule.channel,
        recipient=customer.email,
        occurrence=visit.occurrence,
        due_at=due_at,
        created_at=now,
    )


def key_of(rule_id: int, channel: str, customer_id: int, subject: str, occurrence: int) -> str:
    """Return a message's key: rule, recipient, channel, subject and occurrence (``scheduling.md``, Messages)."""
    return KEY.format(rule_id=rule_id, channel=channel, customer_id=customer_id, subject=subject, occurrence=occurrence)


def still_wanted(
    message: Message, visit: Appointment, job: Job, now: datetime, newer_exists: bool = False
) -> Refusal | None:
    """Say why ``message`` is not to be sent any more at ``now`` (an instant), or ``None`` if it is.

    BOOKED and MOVED tell the visit's present time, so they stand while it is planned, unless ``newer_exists``: a later
    MOVED tells it; likewise a later CONTRACT. The others are about one occurrence only (``scheduling.md``, Messages).
    """
    match message.kind:
        case MessageKind.BOOKED | MessageKind.MOVED:
            if visit.status not in MOVABLE:
                return NOT_PLANNED
            if newer_exists:
                return SUPERSEDED
            return STARTED if visit.start_at <= now else None
        case MessageKind.REMINDER:
            if visit.status not in MOVABLE:
                return NOT_PLANNED
            if visit.occurrence != message.occurrence:
                return OTHER_OCCURRENCE
            if visit.cancel_at is not None and visit.cancel_at <= now:
                return CANCELLING
            return STARTED if visit.start_at <= now else None
        case MessageKind.CANCELLED:
            return None if visit.status == "CANCELLED" else NOT_CANCELLED
        case MessageKind.ON_THE_WAY:
            same = visit.occurrence == message.occurrence
            return None if same and visit.status in TRACKED else NOT_ON_THE_WAY
        case MessageKind.CONTRACT:
            if newer_exists:
                return SUPERSEDED
            return None if job.status == "CONTRACT_SENT" else CONTRACT_NOT_OPEN
        case _:
            raise ValueError(f"{message.kind!r} is no kind of message")


def invitation_still_wanted(message: Message, invitation: Invitation, now: datetime) -> Refusal | None:
    """Say why a message with ``invitation`` is not to be sent any more at ``now`` (an instant), or ``None``."""
    if message.occurrence != invitation.sending:
        return SENT_ANEW
    over = invitation.accepted_at is not None or invitation.revoked_at is not None or now >= invitation.expires_at
    return INVITATION_OVER if over else None


def waits_until(message: Message, visit: Appointment, now: datetime) -> datetime | None:
    """Return until when a reminder waits for a pending cancel to be undone or to take effect; ``None`` if it need not.

    ``now`` and the answer are instants (``lifecycles.md``, undo time).
    """
    if message.kind == MessageKind.REMINDER and visit.cancel_at is not None and now < visit.cancel_at:
        return visit.cancel_at
    return None


def _known(session: Session, key: str) -> bool:
    return session.scalars(select(Message.id).where(Message.key == key)).first() is not None
