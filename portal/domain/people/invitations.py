"""Inviting people to log in: staff, technicians, customers (C9, P20).

Who is invited gets a message with a link. Behind it they choose a password, where their address has no account yet,
sign in, and accept; nobody learns on the way whether an address has an account. A link works for seven days and until
it was accepted, revoked or sent anew.

``key`` is the secret of the installation: a link's token is made from it and the row's random seed, so that the worker
can write the link when the message is sent and the tables hold nothing by which to follow it. Use cases run within
``unit_of_work``; ``now`` is an instant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.domain import tokens
from portal.domain.actor import STAFF, Actor, Permission, Role, demand_permission
from portal.domain.errors import (
    Conflict,
    Invalid,
    NotFound,
    Refusal,
    Refused,
    Sentence,
    changed_meanwhile,
    sentence,
    suspended,
    too_long,
)
from portal.domain.lookup import lock
from portal.domain.messages.models import Channel, Message, MessageKind
from portal.domain.people.contacts import NotUsable, clean_email
from portal.domain.people.models import Customer, Invitation, Membership, Partner, Technician, User
from portal.domain.people.record import note
from portal.domain.texts import one_line

VALID_FOR = timedelta(days=7)
MAX_NAME = 120
PURPOSE = "invitation"

ALREADY_INVITED = sentence("This person is invited already: send the invitation again instead.")


class InvitationState(StrEnum):
    """What an invitation's link still does."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class InvitationInput:
    """The form by which staff are invited, as typed."""

    name: str
    email: str
    role: str


@dataclass(frozen=True, slots=True)
class Opened:
    """What a link leads to: the invitation, what it still does, and the partner it is about."""

    invitation: Invitation
    state: InvitationState
    partner: Partner


def token_for(key: str, seed: str) -> str:
    """Return the token of the link of an invitation with that ``seed``."""
    return tokens.token_for(key, PURPOSE, seed)


def state_of(invitation: Invitation, now: datetime) -> InvitationState:
    """Return what the link of ``invitation`` does at ``now`` (an instant)."""
    if invitation.accepted_at is not None:
        return InvitationState.ACCEPTED
    if invitation.revoked_at is not None:
        return InvitationState.REVOKED
    return InvitationState.OPEN if now < invitation.expires_at else InvitationState.EXPIRED


def invite_staff(
    session: Session, actor: Actor, now: datetime, key: str, partner_id: int, form: InvitationInput
) -> Invitation:
    """Invite somebody to the partner's staff and return the invitation.

    Raises ``Invalid`` for a bad name, address or role, for somebody who is invited or on the staff already, and
    ``Refused`` for an actor who may not.
    """
    demand_permission(actor, Permission.MANAGE_STAFF)
    errors: dict[str, Sentence] = {}
    name = _clean_name(form.name, errors)
    email = ""
    try:
        email = clean_email(form.email)
        if not email:
            errors["email"] = sentence("Enter an email address such as name@example.com")
    except NotUsable as wrong:
        errors["email"] = wrong.sentence
    if form.role not in STAFF:
        errors["role"] = sentence("Choose one of the roles")
    if errors:
        raise Invalid(errors)
    on_staff = (
        select(Membership.id)
        .join(User, User.id == Membership.user_id)
        .where(Membership.partner_id == partner_id, Membership.active.is_(True), User.email == email)
    )
    if session.scalars(on_staff).first() is not None:
        raise Invalid({"email": sentence("This person is on your staff already")})
    return new_invitation(session, actor, now, key, partner_id, email, name, Role(form.role))


def invite_technician(session: Session, actor: Actor, now: datetime, key: str, technician_id: int) -> Invitation:
    """Invite a technician to a log-in at the address of their record; raises ``Refused`` where that is not possible."""
    demand_permission(actor, Permission.MANAGE_PEOPLE)
    technician = lock(session, Technician, technician_id)
    _demand_invitable(technician)
    return new_invitation(
        session,
        actor,
        now,
        key,
        technician.partner_id,
        technician.email,
        technician.name,
        Role.TECHNICIAN,
        technician_id=technician.id,
    )


def invite_customer(session: Session, actor: Actor, now: datetime, key: str, customer_id: int) -> Invitation:
    """Invite a customer to a log-in at the address of their record; raises ``Refused`` where that is not possible."""
    demand_permission(actor, Permission.MANAGE_PEOPLE)
    customer = lock(session, Customer, customer_id)
    _demand_invitable(customer)
    return new_invitation(
        session,
        actor,
        now,
        key,
        customer.partner_id,
        customer.email,
        customer.name,
        Role.CUSTOMER,
        customer_id=customer.id,
    )


def _demand_invitable(person: Technician | Customer) -> None:
    if not person.active:
        raise Refused(Refusal("inactive", sentence("%(name)s is deactivated.", name=person.name)))
    if person.user_id is not None:
        raise Refused(_has_login(person))
    if not person.email:
        raise Refused(
            Refusal("no_address", sentence("%(name)s has no email address to be invited at.", name=person.name))
        )


def new_invitation(
    session: Session,
    actor: Actor,
    now: datetime,
    key: str,
    partner_id: int,
    email: str,
    name: str,
    role: Role,
    technician_id: int | None = None,
    customer_id: int | None = None,
) -> Invitation:
    """Write an invitation, its message and the record of it; raises ``Invalid`` where there is an open one already.

    What goes in is checked; see the functions above for each kind of invitation. One that has run out is revoked.
    """
    same = select(Invitation.id).where(
        Invitation.partner_id == partner_id,
        Invitation.email == email,
        # Of staff there is one at a time, as whatever it is.
        Invitation.role.in_([one.value for one in (STAFF if role in STAFF else {role})]),
        Invitation.accepted_at.is_(None),
        Invitation.revoked_at.is_(None),
    )
    for earlier_id in session.scalars(same).all():
        earlier = lock(session, Invitation, earlier_id)
        if state_of(earlier, now) is InvitationState.OPEN:
            raise Invalid({"email": ALREADY_INVITED})
        earlier.revoked_at = earlier.revoked_at or now
    session.flush()
    seed = tokens.new_seed()
    invitation = Invitation(
        partner_id=partner_id,
        email=email,
        name=name,
        role=role.value,
        technician_id=technician_id,
        customer_id=customer_id,
        seed=seed,
        token_hash=tokens.hash_of(token_for(key, seed)),
        invited_by_id=actor.id,
        invited_by_name=actor.name,
        created_at=now,
        expires_at=now + VALID_FOR,
    )
    session.add(invitation)
    try:
        session.flush()
    except IntegrityError as error:
        # Somebody else was quicker with the same address; nothing else here can collide.
        raise Invalid({"email": ALREADY_INVITED}) from error
    _send(session, now, invitation)
    note(session, actor, now, partner_id, "invite", about=email, after=role.value)
    return invitation


def resend(session: Session, actor: Actor, now: datetime, key: str, invitation_id: int) -> Invitation:
    """Send an open or expired invitation anew, good for another seven days; the earlier link works no more."""
    invitation = lock(session, Invitation, invitation_id)
    _demand_manageable(actor, invitation)
    if state_of(invitation, now) in {InvitationState.ACCEPTED, InvitationState.REVOKED}:
        raise Refused(Refusal("over", sentence("This invitation is over; invite the person anew.")))
    invitation.seed = tokens.new_seed()
    invitation.token_hash = tokens.hash_of(token_for(key, invitation.seed))
    invitation.sending += 1
    invitation.expires_at = now + VALID_FOR
    _send(session, now, invitation)
    note(session, actor, now, invitation.partner_id, "invite_again", about=invitation.email)
    return invitation


def revoke(session: Session, actor: Actor, now: datetime, invitation_id: int) -> Invitation:
    """Take an invitation back, so that its link works no more; raises ``Refused`` for one that was accepted."""
    invitation = lock(session, Invitation, invitation_id)
    _demand_manageable(actor, invitation)
    if invitation.accepted_at is not None:
        raise Refused(Refusal("over", sentence("This invitation was accepted already.")))
    if invitation.revoked_at is None:
        invitation.revoked_at = now
        note(session, actor, now, invitation.partner_id, "revoke_invitation", about=invitation.email)
    return invitation


def _demand_manageable(actor: Actor, invitation: Invitation) -> None:
    if actor.may(Permission.MANAGE_PARTNERS):
        return
    staff = invitation.role in STAFF
    demand_permission(actor, Permission.MANAGE_STAFF if staff else Permission.MANAGE_PEOPLE)


def waiting_invitations(session: Session, partner_id: int, staff_only: bool = True) -> Sequence[Invitation]:
    """Return the invitations that were neither accepted nor revoked, newest first: open ones and expired ones."""
    query = select(Invitation).where(
        Invitation.partner_id == partner_id, Invitation.accepted_at.is_(None), Invitation.revoked_at.is_(None)
    )
    if staff_only:
        query = query.where(Invitation.role.in_([role.value for role in STAFF]))
    return session.scalars(query.order_by(Invitation.id.desc())).all()


def invitation_for(
    session: Session, technician_id: int | None = None, customer_id: int | None = None
) -> Invitation | None:
    """Return the invitation of a technician or customer that was neither accepted nor revoked, if there is one."""
    whose = Invitation.customer_id == customer_id
    if technician_id is not None:
        whose = Invitation.technician_id == technician_id
    query = select(Invitation).where(
        whose,
        Invitation.accepted_at.is_(None),
        Invitation.revoked_at.is_(None),
    )
    return session.scalars(query.order_by(Invitation.id.desc())).first()


# Behind the link: in a session that is held to no partner, since nobody has proved to be anybody yet


def opened(session: Session, now: datetime, token: str) -> Opened:
    """Return what the link with ``token`` leads to; raises ``NotFound`` for one that never was or was sent anew."""
    if len(token) > tokens.MAX_TOKEN:
        raise NotFound
    query = (
        select(Invitation, Partner)
        .join(Partner, Partner.id == Invitation.partner_id)
        .where(Invitation.token_hash == tokens.hash_of(token))
    )
    found = session.execute(query).one_or_none()
    if found is None:
        raise NotFound
    invitation, partner = found
    return Opened(invitation, state_of(invitation, now), partner)


def choose_password(session: Session, now: datetime, token: str, name: str, password_hash: str) -> Invitation:
    """Make an account for the invited address, with a name and a password, unless there is one: that is left alone.

    Which of the two it was is told to nobody. Accepting comes after signing in. Raises ``Invalid`` for a name.
    """
    errors: dict[str, Sentence] = {}
    clean = _clean_name(name, errors)
    if errors:
        raise Invalid(errors)
    invitation = _lock_open(session, now, token)
    known = session.scalars(select(User).where(User.email == invitation.email)).first()
    if known is None:
        session.add(User(email=invitation.email, name=clean, password=password_hash, created_at=now))
    elif known.password is None:
        known.password = password_hash
    try:
        session.flush()
    except IntegrityError as error:
        # Another partner's invitation made the account at this very moment.
        raise Conflict(changed_meanwhile()) from error
    return invitation


def accept(session: Session, now: datetime, token: str, user_id: int) -> Invitation:
    """Make the signed-in user what the invitation says; raises ``Refused`` for anybody but who was invited."""
    invitation = _lock_open(session, now, token)
    user = session.get_one(User, user_id)
    if user.email != invitation.email:
        raise Refused(Refusal("other_person", sentence("This invitation is for %(email)s.", email=invitation.email)))
    match invitation.role:
        case Role.TECHNICIAN:
            _give_log_in(lock(session, Technician, invitation.technician_id or 0), user)
        case Role.CUSTOMER:
            _give_log_in(lock(session, Customer, invitation.customer_id or 0), user)
        case _:
            _join_staff(session, invitation, user)
    invitation.accepted_at = now
    invitation.accepted_by_id = user.id
    actor = Actor(user.id, Role(invitation.role), user.name or user.email, frozenset({invitation.partner_id}))
    note(session, actor, now, invitation.partner_id, "accept_invitation", about=user.email, after=invitation.role)
    session.flush()
    return invitation


def _give_log_in(person: Technician | Customer, user: User) -> None:
    # Meanwhile the record may have come to somebody else, such as by merging two of them.
    if person.user_id not in (None, user.id):
        raise Refused(_has_login(person))
    person.user_id = user.id


def _has_login(person: Technician | Customer) -> Refusal:
    return Refusal("has_login", sentence("%(name)s can sign in already.", name=person.name))


def _join_staff(session: Session, invitation: Invitation, user: User) -> None:
    query = select(Membership).where(Membership.partner_id == invitation.partner_id, Membership.user_id == user.id)
    membership = session.scalars(query.with_for_update(of=Membership)).first()
    if membership is None:
        session.add(Membership(partner_id=invitation.partner_id, user_id=user.id, role=invitation.role))
        return
    # Somebody who was deactivated and is invited anew.
    membership.role, membership.active = invitation.role, True


def _lock_open(session: Session, now: datetime, token: str) -> Invitation:
    found = opened(session, now, token)
    # Who joins one partner joins after one another, so that nobody joins twice.
    session.execute(select(Partner.id).where(Partner.id == found.partner.id).with_for_update(key_share=True))
    invitation = lock(session, Invitation, found.invitation.id)
    if invitation.token_hash != tokens.hash_of(token) or state_of(invitation, now) is not InvitationState.OPEN:
        raise Conflict(Refusal("over", sentence("This invitation is no longer open.")))
    if found.partner.suspended_at is not None:
        raise Refused(suspended())
    return invitation


def _clean_name(text: str, errors: dict[str, Sentence]) -> str:
    name = one_line(text)
    if not name:
        errors["name"] = sentence("Enter a name")
    elif len(name) > MAX_NAME:
        errors["name"] = too_long(MAX_NAME)
    return name


def _send(session: Session, now: datetime, invitation: Invitation) -> None:
    session.add(
        Message(
            partner_id=invitation.partner_id,
            invitation_id=invitation.id,
            key=f"invitation:{invitation.id}|{Channel.EMAIL}|{invitation.sending}",
            kind=MessageKind.INVITATION,
            channel=Channel.EMAIL,
            recipient=invitation.email,
            occurrence=invitation.sending,
            due_at=now,
            created_at=now,
        )
    )
    session.flush()
