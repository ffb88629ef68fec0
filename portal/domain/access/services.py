"""Links to sign in and to choose a new password (C9): asked for, answered by the worker, opened once.

Asking writes down what was typed and nothing else, so that neither what a page answers nor how long it takes tells
whether there is an account. The worker looks that up, makes the link and puts its message into the outbox.

Links by e-mail go to the address of the log-in, which no partner can change. A telephone number stands in a partner's
records, and the partner's own gateway carries the text; so a text signs in only who is customer or technician of that
one partner, and nobody else has the number. Operators have their passwords alone. ``key`` is the secret of the
installation; use cases run within ``unit_of_work``, ``now`` is an instant.
"""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, false, or_, select, true, update
from sqlalchemy.orm import Session

from portal.domain import tokens
from portal.domain.access.models import AccessKind, AccessLink, AccessWish
from portal.domain.errors import Conflict, Invalid, NotFound, Refusal, sentence
from portal.domain.messages.models import Channel, Message, MessageKind
from portal.domain.people.contacts import MAX_EMAIL, NotUsable, clean_email, clean_phone
from portal.domain.people.models import Customer, Membership, Partner, Technician, User
from portal.domain.unit_of_work import require_unit_of_work

LIFE = {AccessKind.SIGN_IN: timedelta(minutes=15), AccessKind.PASSWORD: timedelta(hours=4)}
# A wish that nobody came to answer for so long is out of date.
LONGEST_WAIT = LIFE[AccessKind.SIGN_IN]
WISHES_AT_ONCE = 50
EMAIL_SHAPE = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
FEWEST_DIGITS, MOST_DIGITS = 5, 15
MESSAGE_KINDS = {AccessKind.SIGN_IN: MessageKind.SIGN_IN, AccessKind.PASSWORD: MessageKind.NEW_PASSWORD}

NO_ADDRESS = sentence("Enter an email address such as name@example.com, or a telephone number")
NO_EMAIL = sentence("Enter an email address such as name@example.com")
OVER = Refusal("over", sentence("This link has done its work."))


class LinkState(StrEnum):
    """What a link still does."""

    OPEN = "open"
    USED = "used"
    ENDED = "ended"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class OpenedLink:
    """What a token leads to: the link, what it still does, and whose it is."""

    link: AccessLink
    state: LinkState
    user: User


@dataclass(frozen=True, slots=True)
class _Part:
    """What a log-in is to one partner, and the number that the partner has of them."""

    partner_id: int
    user_id: int
    suspended: bool
    customer_id: int | None = None
    technician_id: int | None = None
    phone: str = ""
    text_off: bool = False


def clean_address(text: str) -> str:
    """Return an e-mail address in lower case, or a telephone number as its digits, with + where that was typed.

    Raises ``NotUsable`` for what is neither. Nothing is looked up.
    """
    typed = text.strip()
    if "@" in typed:
        return _email(typed)
    digits = "".join(sign for sign in typed if sign in "0123456789")
    if not FEWEST_DIGITS <= len(digits) <= MOST_DIGITS or any(sign.isalpha() for sign in typed):
        raise NotUsable(NO_ADDRESS)
    return f"+{digits}" if typed.startswith("+") else digits


def address_for(kind: AccessKind, text: str) -> str:
    """Return the address that was typed to ask for a link of ``kind``; raises ``Invalid``.

    A new password is sent by e-mail alone: whoever has somebody's telephone is not to keep them out.
    """
    try:
        if kind is AccessKind.SIGN_IN:
            return clean_address(text)
        return _email(text)
    except NotUsable as wrong:
        raise Invalid({"address": wrong.sentence}) from None


def _email(text: str) -> str:
    """Return an address as log-ins have it, also one that no mail could reach, such as one under ``.local``."""
    typed = text.strip().lower()
    if len(typed) > MAX_EMAIL or not EMAIL_SHAPE.fullmatch(typed):
        raise NotUsable(NO_EMAIL)
    with suppress(NotUsable):
        return clean_email(typed)
    return typed


def ask(session: Session, now: datetime, kind: AccessKind, address: str) -> None:
    """Note that somebody at ``address`` (see ``clean_address``) wants a link: one INSERT, whoever it is."""
    session.add(AccessWish(kind=kind.value, address=address, asked_at=now))
    session.flush()


def anything_asked(session: Session) -> bool:
    """Whether a wish waits to be answered."""
    return session.scalars(select(AccessWish.id).limit(1)).first() is not None


def answer_wishes(session: Session, now: datetime, key: str) -> int:
    """Answer what was asked for and return how many messages came of it; no two workers answer the same."""
    require_unit_of_work(session)
    query = select(AccessWish).order_by(AccessWish.id).limit(WISHES_AT_ONCE).with_for_update(skip_locked=True)
    wishes = session.scalars(query).all()
    made = [_answer(session, now, key, wish) for wish in wishes if now < wish.asked_at + LONGEST_WAIT]
    session.execute(
        delete(AccessWish).where(AccessWish.id.in_([wish.id for wish in wishes])),
        execution_options={"synchronize_session": False},
    )
    return sum(made)


def _answer(session: Session, now: datetime, key: str, wish: AccessWish) -> bool:
    if "@" in wish.address:
        user = _of_address(session, wish.address)
        parts = _parts(session, [user.id]) if user is not None else []
        # Where somebody is told in a partner's name, in that of one who is not suspended.
        for part in sorted(parts, key=lambda part: part.suspended)[:1]:
            _send_link(session, now, key, wish, part, Channel.EMAIL, wish.address)
            return True
        return False
    holders = _of_number(session, wish.address)
    if not holders or holders[0].text_off:
        return False
    first = holders[0]
    if _is_theirs_alone(session, holders):
        _send_link(session, now, key, wish, first, Channel.TEXT, first.phone)
    else:
        _send_use_email(session, now, first)
    return True


def _of_address(session: Session, email: str) -> User | None:
    """Return the active log-in with that address, locked; no operator's."""
    query = select(User).where(User.email == email, User.active.is_(True), User.is_operator.is_(False))
    return session.scalars(query.with_for_update(of=User)).one_or_none()


def _of_number(session: Session, typed: str) -> list[_Part]:
    """Return what the log-ins with that number are to the partners who have it, by partner, customers first.

    Without its country it is one of each partner's own country.
    """
    spelled: dict[str, list[int]] = {}
    for partner_id, timezone in session.execute(select(Partner.id, Partner.timezone).order_by(Partner.id)):
        try:
            number = clean_phone(typed, timezone)
        except NotUsable:
            continue
        spelled.setdefault(number, []).append(partner_id)
    found: set[_Part] = set()
    for model in (Customer, Technician):
        same = [and_(model.partner_id.in_(ids), model.phone == number) for number, ids in spelled.items()]
        users = (
            select(User.id)
            .join(model, model.user_id == User.id)
            .where(or_(false(), *same), User.active.is_(True), model.active.is_(True))
        )
        found.update(part for part in _parts(session, session.scalars(users).all()) if part.phone in spelled)
    return sorted(found, key=lambda part: (part.partner_id, part.customer_id is None, part.user_id))


def _is_theirs_alone(session: Session, holders: Sequence[_Part]) -> bool:
    """Whether a number is one person's, who is nothing beyond what that one partner's records say of it."""
    first = holders[0]
    if any(part.user_id != first.user_id for part in holders):
        return False
    query = select(User).where(User.id == first.user_id, User.active.is_(True), User.is_operator.is_(False))
    if session.scalars(query.with_for_update(of=User)).one_or_none() is None:
        return False
    same = (first.partner_id, first.phone)
    return all((part.partner_id, part.phone) == same for part in _parts(session, [first.user_id]))


def _parts(session: Session, user_ids: Sequence[int]) -> list[_Part]:
    """Return everything that some log-ins are to partners: as customer, then as technician, then as staff."""
    parts = []
    suspended = Partner.suspended_at.is_not(None)
    models: tuple[tuple[Any, ColumnElement[bool]], ...] = (
        (Customer, true()),
        (Technician, Technician.active.is_(True)),
        (Membership, Membership.active.is_(True)),
    )
    for model, only in models:
        query = (
            select(model, suspended)
            .join(Partner, Partner.id == model.partner_id)
            .where(model.user_id.in_(user_ids), only)
            .order_by(model.id)
        )
        for row, held in session.execute(query):
            known: dict[str, Any] = {}
            match row:
                case Customer():
                    known = {"phone": row.phone, "text_off": row.text_off, "customer_id": row.id}
                case Technician():
                    known = {"phone": row.phone, "technician_id": row.id}
            parts.append(_Part(row.partner_id, row.user_id, bool(held), **known))
    return parts


def _send_link(
    session: Session, now: datetime, key: str, wish: AccessWish, part: _Part, channel: Channel, recipient: str
) -> None:
    """Make a link, which ends the earlier ones of its kind, and its message. The user is locked."""
    kind = AccessKind(wish.kind)
    _end_links(session, now, part.user_id, kind)
    seed = tokens.new_seed()
    link = AccessLink(
        user_id=part.user_id,
        kind=kind.value,
        seed=seed,
        token_hash=tokens.hash_of(token_for(key, kind, seed)),
        created_at=now,
        # From when it was asked for: that is what the page said.
        expires_at=wish.asked_at + LIFE[kind],
    )
    session.add(link)
    session.flush()
    session.add(
        Message(
            partner_id=part.partner_id,
            access_link_id=link.id,
            key=f"access:{link.id}|{channel}|1",
            kind=MESSAGE_KINDS[kind],
            channel=channel,
            recipient=recipient,
            occurrence=1,
            due_at=now,
            created_at=now,
        )
    )
    session.flush()


def _send_use_email(session: Session, now: datetime, part: _Part) -> None:
    """Tell whoever has a number that it does not sign in."""
    session.add(
        Message(
            partner_id=part.partner_id,
            customer_id=part.customer_id,
            technician_id=part.technician_id,
            key=f"use_email:{secrets.token_hex(16)}|{Channel.TEXT}|1",
            kind=MessageKind.USE_EMAIL,
            channel=Channel.TEXT,
            recipient=part.phone,
            occurrence=1,
            due_at=now,
            created_at=now,
        )
    )
    session.flush()


def token_for(key: str, kind: str, seed: str) -> str:
    """Return the token of a link of ``kind`` with that ``seed``."""
    return tokens.token_for(key, f"access:{kind}", seed)


def state_of(link: AccessLink, now: datetime) -> LinkState:
    """Return what ``link`` does at ``now`` (an instant)."""
    if link.used_at is not None:
        return LinkState.USED
    if link.ended_at is not None:
        return LinkState.ENDED
    return LinkState.OPEN if now < link.expires_at else LinkState.EXPIRED


# Behind the link: in a session that is held to no partner, since nobody has proved to be anybody yet


def opened(session: Session, now: datetime, kind: AccessKind, token: str) -> OpenedLink:
    """Return what a link of ``kind`` leads to; raises ``NotFound`` for a token that never was."""
    if len(token) > tokens.MAX_TOKEN:
        raise NotFound
    query = (
        select(AccessLink, User)
        .join(User, User.id == AccessLink.user_id)
        .where(AccessLink.token_hash == tokens.hash_of(token), AccessLink.kind == kind.value)
    )
    found = session.execute(query).one_or_none()
    if found is None:
        raise NotFound
    link, user = found
    state = state_of(link, now)
    if state is LinkState.OPEN and not user.active:
        state = LinkState.ENDED
    return OpenedLink(link, state, user)


def sign_in(session: Session, now: datetime, token: str) -> User:
    """Spend a link and return who signs in by it; raises ``Conflict`` for one that is over."""
    return _spend(session, now, AccessKind.SIGN_IN, token)


def choose_password(session: Session, now: datetime, token: str, password_hash: str) -> User:
    """Spend a link and give its log-in a new password; every session and every other link of it ends."""
    user = _spend(session, now, AccessKind.PASSWORD, token)
    user.password = password_hash
    user.fs_uniquifier = uuid.uuid4().hex
    for kind in AccessKind:
        _end_links(session, now, user.id, kind)
    session.flush()
    return user


def _spend(session: Session, now: datetime, kind: AccessKind, token: str) -> User:
    require_unit_of_work(session)
    found = opened(session, now, kind, token)
    # The log-in first, as whoever makes a newer link does; then everything as it is now.
    locked = select(User).where(User.id == found.user.id).with_for_update(of=User)
    session.scalars(locked, execution_options={"populate_existing": True}).one()
    session.refresh(found.link)
    found = opened(session, now, kind, token)
    if found.state is not LinkState.OPEN:
        raise Conflict(OVER)
    found.link.used_at = now
    session.flush()
    return found.user


def _end_links(session: Session, now: datetime, user_id: int, kind: AccessKind) -> None:
    session.execute(
        update(AccessLink)
        .where(
            AccessLink.user_id == user_id,
            AccessLink.kind == kind.value,
            AccessLink.used_at.is_(None),
            AccessLink.ended_at.is_(None),
        )
        .values(ended_at=now),
        execution_options={"synchronize_session": False},
    )
