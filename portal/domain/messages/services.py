"""Deciding messages: rows written in the transaction of their cause, and looked at again before sending (N3)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.errors import Refusal, sentence
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.states import MOVABLE, TRACKED
from portal.domain.messages.models import GROUPS, Channel, Message, MessageKind, MessageRule
from portal.domain.people.models import Contact, Customer, Invitation

# Reminders are decided in SQL and fill in the same form there. The recipient is a person and not an address, so that
# one whose address is corrected is not told twice; no address stands twice with a customer.
KEY = "rule:{rule_id}|{recipient}|{channel}|{subject}|{occurrence}"
TO_CUSTOMER, TO_CONTACT = "customer:", "contact:"

NOT_MEANT = Refusal("not_meant", sentence("The recipient no longer gets such messages."))
SWITCHED_OFF = Refusal("switched_off", sentence("The recipient has switched off such messages."))
NOWHERE = Refusal("nowhere", sentence("No address or number is known to send it to."))
NO_GATEWAY = Refusal("no_gateway", sentence("No gateway for texts is set up."))
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

# What goes out by e-mail whoever has switched e-mail off: without it they would wait in vain, or miss what is asked of
# them. No text goes out against somebody's wish, since what is essential comes by e-mail as well.
ESSENTIAL = frozenset({MessageKind.MOVED, MessageKind.CANCELLED, MessageKind.CONTRACT, MessageKind.INVITATION})


def announce(
    session: Session, kind: MessageKind, visit: Appointment, now: datetime, subject: str = ""
) -> list[Message]:
    """Put a message about ``visit`` into the outbox for each enabled rule of ``kind`` and each recipient, due at once.

    ``now`` is an instant; ``subject`` is what the message is about where that is not the visit itself. Somebody
    without an address for the channel gets none. Returns the rows added; one whose key is there is not added again.
    """
    rules = session.scalars(
        select(MessageRule).where(
            MessageRule.partner_id == visit.partner_id, MessageRule.kind == kind, MessageRule.enabled.is_(True)
        )
    )
    session.flush()
    added = []
    for rule in rules:
        for person in recipients(session, visit.customer_id, kind, rule.channel):
            message = message_for(rule, visit, person, due_at=now, now=now, subject=subject)
            if not _known(session, message.key):
                session.add(message)
                added.append(message)
    return added


def address_of(person: Customer | Contact, channel: str) -> str:
    """Return where somebody is reached over a channel: e-mail address or telephone number; "" for nowhere."""
    return person.phone if channel == Channel.TEXT else person.email


def recipients(
    session: Session, customer_id: int, kind: MessageKind, channel: str = Channel.EMAIL
) -> list[Customer | Contact]:
    """Return who is told of ``kind`` about a customer's visits, each address once: the customer, then contacts (P23).

    ``customer_id`` is one of the session's scope; ``channel`` says which address it is. Two statements.
    """
    customer = session.scalars(select(Customer).where(Customer.id == customer_id)).one()
    contacts = session.scalars(
        select(Contact).where(Contact.customer_id == customer_id, Contact.active.is_(True)).order_by(Contact.id)
    )
    by_address: dict[str, Customer | Contact] = {}
    for person in (customer, *contacts):
        address = address_of(person, channel)
        if address and person.gets(GROUPS[kind]):
            by_address.setdefault(address.lower(), person)
    return list(by_address.values())


def message_for(
    rule: MessageRule,
    visit: Appointment,
    person: Customer | Contact,
    due_at: datetime,
    now: datetime,
    subject: str = "",
) -> Message:
    """Return the message that ``rule`` asks for about ``visit`` to one of its recipients, due at an instant."""
    is_contact = isinstance(person, Contact)
    recipient = f"{TO_CONTACT if is_contact else TO_CUSTOMER}{person.id}"
    return Message(
        partner_id=visit.partner_id,
        customer_id=visit.customer_id,
        contact_id=person.id if is_contact else None,
        job_id=visit.job_id,
        appointment_id=visit.id,
        key=key_of(rule.id, rule.channel, recipient, subject or f"visit:{visit.id}", visit.occurrence),
        kind=rule.kind,
        channel=rule.channel,
        recipient=address_of(person, rule.channel),
        occurrence=visit.occurrence,
        due_at=due_at,
        created_at=now,
    )


def key_of(rule_id: int, channel: str, recipient: str, subject: str, occurrence: int) -> str:
    """Return a message's key: rule, recipient, channel, subject and occurrence (``scheduling.md``, Messages).

    ``recipient`` is ``customer:`` or ``contact:`` with the person's key.
    """
    return KEY.format(rule_id=rule_id, channel=channel, recipient=recipient, subject=subject, occurrence=occurrence)


def still_wanted(
    message: Message,
    visit: Appointment,
    job: Job,
    now: datetime,
    newer_exists: bool = False,
    is_meant: bool = True,
) -> Refusal | None:
    """Say why ``message`` is not to be sent any more at ``now`` (an instant), or ``None`` if it is.

    BOOKED and MOVED tell the visit's present time, so they stand while it is planned, unless ``newer_exists``: a later
    MOVED tells it; likewise a later CONTRACT. The others are about one occurrence only (``scheduling.md``, Messages).
    ``is_meant`` is whether the recipient still gets such messages (P23).
    """
    if not is_meant:
        return NOT_MEANT
    match message.kind:
        case MessageKind.BOOKED | MessageKind.MOVED:
            if visit.status not in MOVABLE:
                return NOT_PLANNED
            if newer_exists:
                return SUPERSEDED
            return STARTED if visit.start_at <= now else None
        case MessageKind.REMINDER | MessageKind.DECLINED:
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


def unwanted(message: Message, person: Customer | Contact) -> Refusal | None:
    """Say why nothing like ``message`` goes to ``person`` over its channel, or ``None``: nowhere, or switched off (N4).

    What is ``ESSENTIAL`` goes out by e-mail all the same.
    """
    if not address_of(person, message.channel):
        return NOWHERE
    if message.channel == Channel.TEXT:
        return SWITCHED_OFF if person.text_off_at is not None else None
    return SWITCHED_OFF if person.email_off_at is not None and message.kind not in ESSENTIAL else None


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
