"""The outbox as the worker sees it: claim what is due under a lease, then record what became of it (N3, N4).

A message is sent between two transactions, never inside one. Its lease outlasts the longest send; the token that comes
with it fences a worker that was thought dead: only who still holds the token may move the message on. Each function
runs within ``unit_of_work``; ``now`` is an instant.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import CursorResult, Insert, Result, Update, bindparam, insert, or_, select, update
from sqlalchemy.orm import Session

from portal.domain.delivery import unreachable
from portal.domain.errors import Refusal
from portal.domain.messages.models import ACCESS, AttemptOutcome, Fault, Message, MessageAttempt, MessageStatus
from portal.domain.people.models import Partner
from portal.domain.unit_of_work import require_unit_of_work

LEASE = timedelta(minutes=5)
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)
# With the pauses above: given up after four to seven hours.
MAX_ATTEMPTS = 14
MAX_ERROR = 500
MAX_SUBJECT = 300
NOT_KEPT = "…"


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to send one message of ``kind`` over ``channel`` until ``until`` (an instant); ``token`` proves it."""

    message_id: int
    partner_id: int
    kind: str
    channel: str
    token: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Letter:
    """What is sent: to which address, in whose name, under which id (the same at each try), saying what.

    A text is its ``body`` alone. ``secret`` is a part of the text that only its reader may have: it is sent, and not
    kept. ``unsubscribe_url`` is where one press switches such mail off, for what need not be sent. ``note`` is a
    message id for the log: what the office should know about what was sent, "" for nothing.
    """

    message_id: str
    recipient: str
    sender: str
    subject: str
    body: str
    body_html: str
    secret: str = ""
    unsubscribe_url: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """How a try failed: the server's words, what people are told (a ``Fault``), at which address it was.

    ``is_final``: another try would fail the same way, so there is none.
    """

    error: str
    fault: Fault = Fault.OTHER
    recipient: str = ""
    is_final: bool = False


def claim(session: Session, now: datetime, limit: int) -> list[Claim]:
    """Take up to ``limit`` messages that are due and that nobody else holds, earliest first.

    Those of a suspended partner wait (P20), but for what lets people in. Several workers never get the same one:
    PostgreSQL skips rows that another is claiming, SQLite lets one write at a time. A lease that ran out is taken over
    and the try it stood for recorded as LOST.
    """
    require_unit_of_work(session)
    free = or_(Message.lease_until.is_(None), Message.lease_until <= now)
    held_back = select(Partner.id).where(Partner.suspended_at.is_not(None))
    due = (
        select(Message.id, Message.partner_id, Message.kind, Message.channel, Message.lease_until)
        .where(Message.status == MessageStatus.PENDING, Message.due_at <= now, free)
        .where(or_(Message.partner_id.not_in(held_back), Message.kind.in_(sorted(ACCESS))))
        .order_by(Message.due_at, Message.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=Message)
    )
    rows = session.execute(due).all()
    if not rows:
        return []
    token, until = uuid.uuid4().hex, now + LEASE
    session.execute(
        update(Message)
        .where(Message.id.in_([row.id for row in rows]))
        .values(lease_token=token, lease_until=until, attempts=Message.attempts + 1),
        execution_options={"synchronize_session": False},
    )
    claims = [Claim(row.id, row.partner_id, row.kind, row.channel, token, until) for row in rows]
    for row, held in zip(rows, claims, strict=True):
        if row.lease_until is not None:
            _note(session, held, row.lease_until, AttemptOutcome.LOST)
    return claims


def renew(session: Session, held: Claim, now: datetime) -> Claim | None:
    """Return ``held`` with a lease counted from ``now``, or ``None`` where somebody else has taken it over."""
    until = now + LEASE
    if not _change(session, held, lease_until=until):
        return None
    return replace(held, until=until)


def record_sent(session: Session, held: Claim, now: datetime, letter: Letter) -> bool:
    """Record that ``letter`` was sent; returns whether the message was still held, and so is SENT now.

    Whoever could not be reached has been now.
    """
    _note(session, held, now, AttemptOutcome.SENT)
    unreachable.close_reached(session, now, held.message_id)
    return _let_go(
        session,
        held,
        status=MessageStatus.SENT,
        sent_at=now,
        recipient=letter.recipient,
        subject=letter.subject[:MAX_SUBJECT],
        body=_kept(letter, letter.body),
        body_html=_kept(letter, letter.body_html),
        last_error=letter.note,
    )


def record_failed(session: Session, held: Claim, now: datetime, failure: Failure, jitter: float) -> bool:
    """Record a failed try; the message is tried again after a pause, or FAILED after the last.

    ``jitter`` is a random number from 0 to 1 that spreads the tries. What is FAILED becomes a task for the dispatcher,
    where nothing else said it. Returns whether the message was still held.
    """
    attempts = session.scalars(select(Message.attempts).where(Message.id == held.message_id)).one()
    pause = None if failure.is_final else pause_after(attempts, jitter)
    if pause is None:
        # Before any lock on the message, as whoever merges customers does.
        unreachable.lock_reader(session, held.message_id)
    _note(session, held, now, AttemptOutcome.FAILED, failure)
    error = failure.error[:MAX_ERROR]
    if pause is not None:
        return _let_go(session, held, due_at=now + pause, last_error=error)
    given_up = _let_go(session, held, status=MessageStatus.FAILED, last_error=error)
    if given_up:
        unreachable.open_task(session, now, held.message_id, failure.recipient, failure.fault, error)
    return given_up


def record_skipped(session: Session, held: Claim, refusal: Refusal) -> bool:
    """Record that a message is no longer wanted, and why; returns whether it was still held."""
    values = {"lease_token": "", "lease_until": None, "attempts": Message.attempts - 1}
    said = {"status": MessageStatus.SKIPPED, "last_error": refusal.sentence.msgid}
    return _update(session, [held], values | said) == 1


def release(session: Session, held: Sequence[Claim], due_at: datetime | None = None) -> None:
    """Give messages back untried, due as they were or, with ``due_at``, from that instant on. One statement."""
    values: dict[str, Any] = {"attempts": Message.attempts - 1, "lease_token": "", "lease_until": None}
    if due_at is not None:
        values["due_at"] = due_at
    _update(session, held, values)


def pause_after(attempts: int, jitter: float) -> timedelta | None:
    """Return how long to wait after that many tries: doubling, capped at an hour; ``None`` after the last.

    ``jitter`` from 0 to 1 takes away up to half, so that what failed together is not tried again together.
    """
    if attempts >= MAX_ATTEMPTS:
        return None
    pause = min(FIRST_PAUSE * (1 << (attempts - 1)), LONGEST_PAUSE)
    return pause * (1 - jitter / 2)


def _kept(letter: Letter, text: str) -> str:
    return text.replace(letter.secret, NOT_KEPT) if letter.secret else text


def _let_go(session: Session, held: Claim, **values: Any) -> bool:
    return _change(session, held, lease_token="", lease_until=None, **values)


def _change(session: Session, held: Claim, **values: Any) -> bool:
    """Give the columns of a message these values if it is still held, and return whether it was."""
    require_unit_of_work(session)
    result = session.execute(_one_held(), {"held_id": held.message_id, "held_token": held.token, **values})
    return _count(result) == 1


# Putting these two together costs more than running them, and the relay runs both for each message.
@cache
def _one_held() -> Update:
    table = Message.metadata.tables[Message.__tablename__]
    return update(table).where(
        table.c.id == bindparam("held_id"),
        table.c.lease_token == bindparam("held_token"),
        table.c.status == MessageStatus.PENDING.value,
    )


@cache
def _attempt() -> Insert:
    return insert(Message.metadata.tables[MessageAttempt.__tablename__])


def _update(session: Session, held: Sequence[Claim], values: Mapping[str, Any]) -> int:
    """Change those of some messages that are still held, and return how many."""
    require_unit_of_work(session)
    result = session.execute(
        update(Message)
        .where(
            Message.id.in_([one.message_id for one in held]),
            Message.lease_token.in_({one.token for one in held}),
            Message.status == MessageStatus.PENDING,
        )
        .values(**values),
        execution_options={"synchronize_session": False},
    )
    return _count(result)


def _count(result: Result[Any]) -> int:
    if not isinstance(result, CursorResult):
        raise TypeError("an UPDATE counts its rows")
    return result.rowcount


def _note(session: Session, held: Claim, at: datetime, outcome: AttemptOutcome, failure: Failure | None = None) -> None:
    fault, error = ("", "") if failure is None else (failure.fault, failure.error[:MAX_ERROR])
    tried = {"partner_id": held.partner_id, "message_id": held.message_id, "at": at, "outcome": outcome}
    session.execute(_attempt(), {**tried, "fault": fault, "error": error})
