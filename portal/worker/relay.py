"""The relay: claims what the outbox holds, looks at each message again, sends it and records how that went (N3, N4)."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from portal.domain.errors import Refusal
from portal.domain.messages import outbox
from portal.domain.messages.models import SURVEYS, MessageKind
from portal.domain.messages.models import Channel as Kind
from portal.domain.messages.outbox import Claim, Letter
from portal.domain.messages.queries import facts_of, invitation_facts
from portal.domain.messages.services import (
    NO_GATEWAY,
    QUIET_HOURS,
    invitation_still_wanted,
    loud_at,
    rule_refusal,
    still_wanted,
    waits_until,
)
from portal.domain.surveys.asking import asked_about, no_longer_asked, nudge_waits_until
from portal.settings import Settings
from portal.worker.channels import Channel, ChannelDown, SendError, channel_for
from portal.worker.rendering import Renderer
from portal.worker.store import Store

log = structlog.get_logger("portal.worker")

BATCH = 50
# A lease with less than this left is renewed before a send, which may take about a hundred seconds.
SHORTEST_LEASE = timedelta(minutes=2)


def utc_now() -> datetime:
    """Return this instant in UTC."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Tally:
    """What one run of the relay did."""

    sent: int = 0
    skipped: int = 0
    failed: int = 0


class Relay:
    """Sends what is due. ``stop`` ends a run after the message in hand; ``clock`` tells the instant."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        channel: Channel | None = None,
        clock: Callable[[], datetime] = utc_now,
        stop: threading.Event | None = None,
    ) -> None:
        self._store = store
        self._channel = channel or channel_for(settings)
        self._renderer = Renderer(settings)
        self._clock = clock
        self._stop = stop or threading.Event()

    def run(self) -> Tally:
        """Send everything that is due now and return what was done."""
        tally = Tally()
        while not self._stop.is_set():
            with self._store.writing() as session:
                claims = outbox.claim(session, self._clock(), BATCH)
            if not claims or not self._send_all(claims, tally):
                break
        return tally

    def _send_all(self, claims: Sequence[Claim], tally: Tally) -> bool:
        """Send a batch over one connection; returns whether it makes sense to claim more."""
        with self._channel as channel:
            for index, held in enumerate(claims):
                if self._stop.is_set():
                    self._release(claims[index:])
                    return False
                try:
                    self._send(channel, held, tally)
                except ChannelDown:
                    self._release(claims[index + 1 :])
                    return False
        return True

    def _send(self, channel: Channel, held: Claim, tally: Tally) -> None:
        now = self._clock()
        current = self._still_ours(held, now)
        if current is None:
            return
        try:
            letter = self._letter(current, now, tally)
            if letter is None:
                return
            channel.send(letter, now)
        except SendError as error:
            self._failed(current, str(error), tally)
            if isinstance(error, ChannelDown):
                raise
        except Exception as error:
            # Whatever is wrong with one message must not keep the others from being sent.
            log.exception("message_failed", message=held.message_id)
            self._failed(current, f"{type(error).__name__}: {error}", tally)
        else:
            with self._store.writing() as session:
                outbox.record_sent(session, current, self._clock(), letter)
            tally.sent += 1

    def _letter(self, held: Claim, now: datetime, tally: Tally) -> Letter | None:
        """Look at the message again and write it; ``None`` where it is skipped or has to wait."""
        if held.kind == MessageKind.INVITATION:
            return self._invitation(held, now, tally)
        with self._store.reading() as session:
            facts = facts_of(session, held.message_id)
            survey = asked_about(session, facts.message) if held.kind in SURVEYS else None
        refusal = still_wanted(facts.message, facts.visit, facts.job, now, facts.newer_exists, facts.is_meant)
        if refusal is None and survey is not None:
            refusal = no_longer_asked(facts.message, facts.visit, survey, now, facts.customer.active)
        refusal = refusal or rule_refusal(facts.rule, facts.visit)
        is_text, loud = facts.message.channel == Kind.TEXT, loud_at(facts.visit, now, facts.quiet)
        if is_text and refusal is None:
            refusal = QUIET_HOURS if loud is None else None if self._channel.takes_texts else NO_GATEWAY
        if refusal is not None:
            self._skipped(held, refusal, tally)
            return None
        later = waits_until(facts.message, facts.visit, now)
        if later is None and survey is not None:
            later = nudge_waits_until(facts.message, survey, now)
        if later is None and is_text and loud != now:
            later = loud
        if later is not None:
            self._release([held], later)
            return None
        if is_text:
            return self._renderer.text(facts, now)
        if facts.told is not None:
            return self._renderer.to_technician(facts, now)
        return self._renderer.letter(facts, now)

    def _invitation(self, held: Claim, now: datetime, tally: Tally) -> Letter | None:
        with self._store.reading() as session:
            facts = invitation_facts(session, held.message_id)
        refusal = invitation_still_wanted(facts.message, facts.invitation, now)
        if refusal is not None:
            self._skipped(held, refusal, tally)
            return None
        return self._renderer.invitation(facts, now)

    def _skipped(self, held: Claim, refusal: Refusal, tally: Tally) -> None:
        with self._store.writing() as session:
            outbox.record_skipped(session, held, refusal)
        tally.skipped += 1

    def _failed(self, held: Claim, error: str, tally: Tally) -> None:
        with self._store.writing() as session:
            outbox.record_failed(session, held, self._clock(), error, random.random())
        tally.failed += 1

    def _still_ours(self, held: Claim, now: datetime) -> Claim | None:
        if held.until - now >= SHORTEST_LEASE:
            return held
        with self._store.writing() as session:
            return outbox.renew(session, held, now)

    def _release(self, claims: Sequence[Claim], due_at: datetime | None = None) -> None:
        with self._store.writing() as session:
            outbox.release(session, claims, due_at)
