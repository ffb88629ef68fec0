"""Deciding messages: rows written in the transaction of their cause, and looked at again before sending (N3)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from portal.domain.access.models import AccessLink
from portal.domain.actor import Actor
from portal.domain.base import Key
from portal.domain.errors import Refusal, sentence
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.states import MOVABLE, OPEN, TRACKED
from portal.domain.messages.models import (
    AFTERWARDS,
    GROUPS,
    SURVEYS,
    TIMED,
    Channel,
    Message,
    MessageKind,
    MessageRule,
    MessageSettings,
    MessageStatus,
)
from portal.domain.messages.timing import Moment, Quiet, out_of_quiet
from portal.domain.people.models import Contact, Customer, Invitation, Partner, Technician, User
from portal.domain.prepared import Copies, Prepared
from portal.domain.requests.models import ServiceRequest
from portal.domain.requests.states import SERVICE_REQUEST

# Reminders are decided in SQL and fill in the same form there. The recipient is a person and not an address, so that
# one whose address is corrected is not told twice; no address stands twice with a customer.
KEY = "rule:{rule_id}|{recipient}|{channel}|{subject}|{occurrence}"
TO_CUSTOMER, TO_CONTACT, TO_TECHNICIAN = "customer:", "contact:", "technician:"
_RULES = "message_rules"

NOT_MEANT = Refusal("not_meant", sentence("The recipient no longer gets such messages."))
SWITCHED_OFF = Refusal("switched_off", sentence("The recipient has switched off such messages."))
NOWHERE = Refusal("nowhere", sentence("No address or number is known to send it to."))
NO_GATEWAY = Refusal("no_gateway", sentence("No gateway for texts is set up."))
QUIET_HOURS = Refusal("quiet_hours", sentence("It would have come in quiet hours, or too late."))
RULE_OFF = Refusal("rule_off", sentence("Its rule was switched off meanwhile."))
CONFIRMED = Refusal("confirmed", sentence("The visit is confirmed."))
NOT_PLANNED = Refusal("not_planned", sentence("The visit is no longer planned."))
STARTED = Refusal("started", sentence("The visit's start is over."))
SUPERSEDED = Refusal("superseded", sentence("A newer message says it."))
OTHER_OCCURRENCE = Refusal("other_occurrence", sentence("The visit was moved or changed meanwhile."))
CANCELLING = Refusal("cancelling", sentence("The visit is being cancelled."))
NOT_CANCELLED = Refusal("not_cancelled", sentence("The visit is not cancelled."))
NOT_ON_THE_WAY = Refusal("not_on_the_way", sentence("The technician is no longer on the way."))
INVITATION_OVER = Refusal("invitation_over", sentence("The invitation is no longer open."))
LINK_OVER = Refusal("link_over", sentence("The link has run out, or there is a newer one."))
SENT_ANEW = Refusal("sent_anew", sentence("The invitation was sent anew."))
NOT_COMPLETE = Refusal("not_complete", sentence("The visit is not completed."))
NOT_THEIRS = Refusal("not_theirs", sentence("Somebody else does the visit now."))
THEIRS_AGAIN = Refusal("theirs_again", sentence("The visit is theirs again."))
REQUEST_ANSWERED = Refusal("request_answered", sentence("The request has changed since."))
CONTRACT_NOT_OPEN = Refusal("contract_not_open", sentence("The contract no longer waits for a signature."))

# For how long it is of use to hear that a number opens nothing.
ACCESS_WORD = timedelta(minutes=15)

# What goes out by e-mail whoever has switched e-mail off: without it they would wait in vain, or miss what is asked of
# them. No text goes out against somebody's wish, since what is essential comes by e-mail as well.
ESSENTIAL = frozenset({MessageKind.MOVED, MessageKind.CANCELLED, MessageKind.CONTRACT, MessageKind.INVITATION})


def announce(
    session: Session,
    kind: MessageKind,
    visit: Appointment,
    now: datetime,
    subject: str = "",
    due_at: datetime | None = None,
) -> list[Message]:
    """Put a message about ``visit`` into the outbox for each enabled rule of ``kind`` and each recipient.

    ``now`` is an instant, and so is ``due_at``, which is at once unless given, and for what comes ``AFTERWARDS`` as its
    rule says, counted from ``now``; ``subject`` is what the message is about where that is not the visit itself. A text
    waits for the end of quiet hours, or is recorded as skipped; so is what a customer would get who has no address for
    the channel. A contact without one gets none. Returns the rows added; one whose key is there is not added again.
    """
    rules = _rules_of(session, kind, visit.partner_id)
    session.flush()
    quiet = _quiet_of(session, visit.customer_id) if any(rule.channel == Channel.TEXT for rule in rules) else None
    zone = _zone_of(session, visit.partner_id) if rules and kind in AFTERWARDS else None
    added = []
    for rule in rules:
        told = recipients(session, visit.customer_id, kind, rule.channel)
        if kind in SURVEYS:
            # One is asked, who may show it to the others.
            told = [person for person in told if address_of(person, rule.channel)][:1]
        due = due_at or (now if zone is None else moment_of(rule).after(now, zone))
        for person in told:
            message = message_for(rule, visit, person, due_at=due, now=now, subject=subject)
            if not message.recipient:
                _skip(message, NOWHERE)
            elif rule.channel == Channel.TEXT:
                _keep_quiet(message, visit, quiet)
            if not _known(session, message.key):
                session.add(message)
                added.append(message)
    return added


def announce_request(session: Session, kind: MessageKind, request: ServiceRequest, now: datetime) -> list[Message]:
    """Put a message about a request for new service into the outbox, as ``announce`` does about a visit (C5).

    ``now`` is an instant. A text that falls into quiet hours waits for their end.
    """
    rules = _rules_of(session, kind, request.partner_id)
    session.flush()
    is_text = any(rule.channel == Channel.TEXT for rule in rules)
    quiet = _quiet_of(session, request.customer_id) if is_text else None
    added = []
    for rule in rules:
        for person in recipients(session, request.customer_id, kind, rule.channel):
            is_contact = isinstance(person, Contact)
            recipient = f"{TO_CONTACT if is_contact else TO_CUSTOMER}{person.id}"
            subject = f"service_request:{request.id}"
            message = Message(
                partner_id=request.partner_id,
                customer_id=request.customer_id,
                contact_id=person.id if is_contact else None,
                service_request_id=request.id,
                rule_id=rule.id,
                key=key_of(rule.id, rule.channel, recipient, subject, request.proposals),
                kind=rule.kind,
                channel=rule.channel,
                recipient=address_of(person, rule.channel),
                occurrence=request.proposals,
                due_at=out_of_quiet(now, None, quiet) if rule.channel == Channel.TEXT else now,
                created_at=now,
            )
            if not message.recipient:
                _skip(message, NOWHERE)
            session.add(message)
            added.append(message)
    return added


def tell_technician(
    session: Session, actor: Actor, now: datetime, kind: MessageKind, visit: Appointment, technician_id: int | None
) -> list[Message]:
    """Put a message about ``visit`` to a technician into the outbox for each enabled rule of ``kind`` (P22).

    Nobody is told of what they did themselves, nor of a visit whose end is over at ``now`` (an instant). A technician
    without an address has the message recorded as skipped. Returns the rows added.
    """
    if technician_id is None or technician_id == actor.technician_id or visit.end_at <= now:
        return []
    rules = _rules_of(session, kind, visit.partner_id)
    if not rules:
        return []
    session.flush()
    technician, email = session.execute(
        select(Technician, User.email)
        .join(User, User.id == Technician.user_id, isouter=True)
        .where(Technician.id == technician_id)
    ).one()
    added = []
    for rule in rules:
        # The occurrence does not rise when a visit changes hands, the move number does.
        subject = f"visit:{visit.id}/{visit.move_number}"
        message = Message(
            partner_id=visit.partner_id,
            technician_id=technician.id,
            job_id=visit.job_id,
            appointment_id=visit.id,
            rule_id=rule.id,
            key=key_of(rule.id, rule.channel, f"{TO_TECHNICIAN}{technician.id}", subject, visit.occurrence),
            kind=rule.kind,
            channel=rule.channel,
            recipient=technician.phone if rule.channel == Channel.TEXT else email or technician.email,
            occurrence=visit.occurrence,
            due_at=now,
            created_at=now,
        )
        if not message.recipient:
            _skip(message, NOWHERE)
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

    ``customer_id`` is one of the session's scope; ``channel`` says which address it is. The customer is there without
    one too. Two statements.
    """
    customer = session.scalars(select(Customer).where(Customer.id == customer_id)).one()
    contacts = session.scalars(
        select(Contact).where(Contact.customer_id == customer_id, Contact.active.is_(True)).order_by(Contact.id)
    )
    by_address: dict[str, Customer | Contact] = {}
    for person in (customer, *contacts):
        address = address_of(person, channel)
        if (address or person is customer) and person.gets(GROUPS[kind]):
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
        rule_id=rule.id,
        key=key_of(rule.id, rule.channel, recipient, subject or f"visit:{visit.id}", visit.occurrence),
        kind=rule.kind,
        channel=rule.channel,
        recipient=address_of(person, rule.channel),
        occurrence=visit.occurrence,
        due_at=due_at,
        created_at=now,
    )


def _rules_of(session: Session, kind: MessageKind, partner_id: int) -> Sequence[MessageRule]:
    return [_RULES_READ.of(row) for row in _enabled_rules(session, partner_id) if row[_KIND_AT] == kind]


def _enabled_rules(session: Session, partner_id: int) -> Sequence[Sequence[Any]]:
    """Return the partner's rules that are on, read once a transaction: most changes make messages of several kinds."""
    inside = session.get_transaction()
    known, by_partner = session.info.get(_RULES, (None, {}))
    if known is not inside:
        by_partner = {}
        session.info[_RULES] = (inside, by_partner)
    if partner_id not in by_partner:
        by_partner[partner_id] = _ENABLED.rows(session.connection(), {"partner": partner_id})
    found: Sequence[Sequence[Any]] = by_partner[partner_id]
    return found


def know_rules(session: Session, partner_id: int, rows: Sequence[Any]) -> None:
    """Take over the rows of ``enabled_rules`` for this transaction, from who has read them along with other things."""
    session.info[_RULES] = (session.get_transaction(), {partner_id: rows})


_RULES_READ = Copies(MessageRule)
_KIND_AT = _RULES_READ.names.index("kind")


def enabled_rules(partner_id: Any) -> Select[*tuple[Any, ...]]:
    """Return the query for the rules of a partner (SQL's expression for its key) that are on."""
    its = MessageRule.partner_id == partner_id
    return select(*_RULES_READ.columns).where(its, MessageRule.enabled.is_(True)).order_by(MessageRule.id)


# Every change of a visit asks which messages it makes.
_ENABLED = Prepared(lambda dialect: enabled_rules(bindparam("partner", type_=Key)))


def moment_of(rule: MessageRule) -> Moment:
    """Return when before a visit, or after one, a rule's messages are due."""
    return Moment(rule.days_before or 0, rule.local_time, rule.minutes_before or 0)


def _zone_of(session: Session, partner_id: int) -> ZoneInfo:
    return ZoneInfo(session.scalars(select(Partner.timezone).where(Partner.id == partner_id)).one())


def _quiet_of(session: Session, customer_id: int) -> Quiet | None:
    query = (
        select(MessageSettings, Partner.timezone, Customer.timezone)
        .join(Partner, Partner.id == MessageSettings.partner_id)
        .join(Customer, Customer.partner_id == MessageSettings.partner_id)
        .where(Customer.id == customer_id)
    )
    found = session.execute(query).one_or_none()
    if found is None:
        return None
    settings, own, theirs = found
    return quiet_hours(settings, ZoneInfo(theirs or own))


def quiet_hours(settings: MessageSettings | None, zone: ZoneInfo) -> Quiet | None:
    """Return the quiet hours that a partner set, in the time zone of who is to have their quiet; ``None`` for none."""
    if settings is None or settings.quiet_from is None or settings.quiet_until is None:
        return None
    return Quiet(settings.quiet_from, settings.quiet_until, zone)


def loud_at(visit: Appointment, instant: datetime, quiet: Quiet | None) -> datetime | None:
    """Return from when on a text about ``visit`` that is due at ``instant`` may go out; ``None`` where it may not.

    ``instant`` itself outside quiet hours; else their end, if the visit has started or is at least an hour later.
    """
    at = out_of_quiet(instant, visit.start_at if visit.start_at > instant else None, quiet)
    return at if at >= instant else None


def _keep_quiet(message: Message, visit: Appointment, quiet: Quiet | None) -> None:
    at = loud_at(visit, message.due_at, quiet)
    if at is None:
        _skip(message, QUIET_HOURS)
    else:
        message.due_at = at


def _skip(message: Message, refusal: Refusal) -> None:
    message.status, message.last_error = MessageStatus.SKIPPED, refusal.sentence.msgid


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
    MOVED tells it; likewise a later CONTRACT, or of reminders that were held up together the latest. The others are
    about one occurrence only (``scheduling.md``, Messages); what technicians are told, about who does the visit now.
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
        case MessageKind.REMINDER | MessageKind.PLEASE_CONFIRM | MessageKind.DECLINED:
            if visit.status not in MOVABLE:
                return NOT_PLANNED
            if newer_exists:
                return SUPERSEDED
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
        case MessageKind.SURVEY | MessageKind.SURVEY_NUDGE:
            # Whether it was answered meanwhile is looked up beside this (``surveys.asking``).
            return None if visit.is_complete else NOT_COMPLETE
        case MessageKind.FOLLOW_UP:
            return None if visit.is_complete else NOT_COMPLETE
        case MessageKind.TECHNICIAN_ASSIGNED | MessageKind.TECHNICIAN_MOVED:
            if visit.status not in OPEN:
                return NOT_PLANNED
            if visit.technician_id != message.technician_id:
                return NOT_THEIRS
            return SUPERSEDED if newer_exists else None
        case MessageKind.TECHNICIAN_RELIEVED:
            return THEIRS_AGAIN if visit.technician_id == message.technician_id else None
        case MessageKind.TECHNICIAN_CANCELLED:
            return None if visit.status == "CANCELLED" else NOT_CANCELLED
        case _:
            raise ValueError(f"{message.kind!r} is no kind of message")


def request_still_wanted(message: Message, request: ServiceRequest, is_meant: bool = True) -> Refusal | None:
    """Say why a message about a request for new service is not to be sent any more, or ``None``.

    Each says how the request stands; once it stands otherwise, that is said by another one or by the customer's own
    hand.
    """
    if not is_meant:
        return NOT_MEANT
    stands = {
        MessageKind.REQUEST_RECEIVED: SERVICE_REQUEST.first("request"),
        MessageKind.REQUEST_OFFERED: SERVICE_REQUEST.transition("counter_propose").targets[0],
        MessageKind.REQUEST_DECLINED: SERVICE_REQUEST.transition("decline").targets[0],
        MessageKind.REQUEST_CONVERTED: SERVICE_REQUEST.transition("convert").targets[0],
    }[MessageKind(message.kind)]
    same = request.status == stands and request.proposals == message.occurrence
    return None if same else REQUEST_ANSWERED


def rule_refusal(rule: MessageRule | None, visit: Appointment | None = None) -> Refusal | None:
    """Say why the rule by which a message, about ``visit`` if any, was decided no longer wants it, or ``None``."""
    if rule is None:
        return None
    if not rule.enabled:
        return RULE_OFF
    return CONFIRMED if rule.unconfirmed_only and visit is not None and visit.is_confirmed else None


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


def access_still_wanted(message: Message, link: AccessLink | None, now: datetime) -> Refusal | None:
    """Say why a message to somebody who wants to get in is not to be sent any more at ``now``, or ``None``.

    What says that a number opens nothing is of use as long as a link would be.
    """
    if link is None:
        return LINK_OVER if now >= message.created_at + ACCESS_WORD else None
    over = link.used_at is not None or link.ended_at is not None or now >= link.expires_at
    return LINK_OVER if over else None


def waits_until(message: Message, visit: Appointment, now: datetime) -> datetime | None:
    """Return until when a reminder waits for a pending cancel to be undone or to take effect; ``None`` if it need not.

    ``now`` and the answer are instants (``lifecycles.md``, undo time).
    """
    if message.kind in TIMED and visit.cancel_at is not None and now < visit.cancel_at:
        return visit.cancel_at
    return None


def _known(session: Session, key: str) -> bool:
    return session.scalars(select(Message.id).where(Message.key == key)).first() is not None
