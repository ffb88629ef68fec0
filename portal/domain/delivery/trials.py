"""Test messages: asked for by the office, sent by the worker like any other, told in the office's page (N4).

Nothing is sent inside a request, so a server that hangs keeps nobody waiting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.delivery.models import ChannelTest
from portal.domain.errors import Invalid, Refusal, Refused, sentence
from portal.domain.lookup import lock
from portal.domain.messages.models import AttemptOutcome, Channel
from portal.domain.messages.outbox import MAX_ERROR, Failure
from portal.domain.messages.templates import Words
from portal.domain.people.contacts import NotUsable, clean_phone
from portal.domain.people.models import Partner
from portal.domain.unit_of_work import require_unit_of_work

# After that a test that was begun is one whose worker did not live to say how it went.
PATIENCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Trial:
    """The task of trying one channel of a partner."""

    test_id: int
    partner_id: int
    channel: str


@dataclass(frozen=True, slots=True)
class TrialFacts:
    """A test, and the partner in whose name it goes out."""

    test: ChannelTest
    partner: Partner


def ask_test(
    session: Session,
    actor: Actor,
    now: datetime,
    partner_id: int,
    channel: Channel,
    recipient: str,
    words: Words | None = None,
) -> ChannelTest:
    """Ask for a test message to ``recipient``: a telephone number for a text, else the asker's own address.

    It says ``words``, filled in, where somebody tries such, else that it is a test.
    Raises ``Invalid`` for what is no number, ``Refused`` while an earlier test of the channel is under way.
    """
    require_unit_of_work(session)
    if channel is Channel.TEXT:
        timezone = session.scalars(select(Partner.timezone).where(Partner.id == partner_id)).one()
        try:
            recipient = clean_phone(recipient, timezone)
        except NotUsable as wrong:
            raise Invalid({"number": wrong.sentence}) from None
    if not recipient:
        raise Invalid({"number": sentence("Enter a telephone number such as +44 117 496 0123")})
    test = ChannelTest(
        partner_id=partner_id, channel=channel, recipient=recipient, asked_at=now, asked_by_name=actor.name
    )
    if words is not None:
        test.subject, test.body, test.body_html = words.subject, words.body, words.body_html
    session.add(test)
    try:
        session.flush()
    except IntegrityError as error:
        raise Refused(Refusal("waiting", sentence("A test is under way already; wait for its outcome."))) from error
    return test


def latest_tests(session: Session, partner_id: int) -> dict[Channel, ChannelTest]:
    """Return the latest test of each channel of a partner, where there was one."""
    found = {}
    for channel in Channel:
        query = select(ChannelTest).where(ChannelTest.partner_id == partner_id, ChannelTest.channel == channel)
        latest = session.scalars(query.order_by(ChannelTest.id.desc()).limit(1)).first()
        if latest is not None:
            found[channel] = latest
    return found


def anything_to_try(session: Session) -> bool:
    """Whether a test waits."""
    return session.scalars(select(ChannelTest.id).where(ChannelTest.finished_at.is_(None)).limit(1)).first() is not None


def claim_tests(session: Session, now: datetime) -> Sequence[Trial]:
    """Take the tests that wait, each once; one that was begun long ago is recorded as cut off."""
    require_unit_of_work(session)
    query = (
        select(ChannelTest)
        .where(
            ChannelTest.finished_at.is_(None),
            or_(ChannelTest.claimed_at.is_(None), ChannelTest.claimed_at <= now - PATIENCE),
        )
        .order_by(ChannelTest.id)
        .with_for_update(skip_locked=True)
    )
    claimed = []
    for test in session.scalars(query):
        if test.claimed_at is not None:
            test.finished_at, test.outcome = now, AttemptOutcome.LOST
            continue
        test.claimed_at = now
        claimed.append(Trial(test.id, test.partner_id, test.channel))
    session.flush()
    return claimed


def trial_facts(session: Session, test_id: int) -> TrialFacts:
    """Return what a test message is made from."""
    query = (
        select(ChannelTest, Partner)
        .join(Partner, Partner.id == ChannelTest.partner_id)
        .where(ChannelTest.id == test_id)
    )
    test, partner = session.execute(query).one()
    return TrialFacts(test, partner)


def record_test(session: Session, test_id: int, now: datetime, failure: Failure | None) -> None:
    """Record how a test went; the page that waits for it shows that."""
    test = lock(session, ChannelTest, test_id)
    test.finished_at = now
    test.outcome = AttemptOutcome.SENT if failure is None else AttemptOutcome.FAILED
    if failure is not None:
        test.fault, test.error = failure.fault, failure.error[:MAX_ERROR]
    session.flush()
