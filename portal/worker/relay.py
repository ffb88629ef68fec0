"""The relay: claims what the outbox holds, looks at each message again, sends it and records how that went (N3, N4)."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from portal.domain.access.services import answer_wishes, anything_asked
from portal.domain.delivery.settings import settings_of
from portal.domain.delivery.trials import anything_to_try, claim_tests, record_test, trial_facts
from portal.domain.errors import Refusal
from portal.domain.messages import outbox
from portal.domain.messages.models import ABOUT_REQUESTS, ACCESS, SURVEYS, Fault, MessageKind
from portal.domain.messages.models import Channel as Kind
from portal.domain.messages.outbox import Claim, Failure, Letter
from portal.domain.messages.queries import access_facts, invitation_facts, request_facts
from portal.domain.messages.services import (
    NO_GATEWAY,
    QUIET_HOURS,
    access_still_wanted,
    invitation_still_wanted,
    loud_at,
    request_still_wanted,
    rule_refusal,
    still_wanted,
    unwanted,
    waits_until,
)
from portal.domain.messages.timing import out_of_quiet
from portal.domain.surveys.asking import asked_about, no_longer_asked, nudge_waits_until
from portal.settings import Settings
from portal.web.letters.rendering import Renderer
from portal.worker.ahead import Ahead
from portal.worker.channels import Channel, ChannelDown, SendError
from portal.worker.store import Store
from portal.worker.ways import Ways

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
        self._settings = settings
        self._channel = channel
        self._renderer = Renderer(settings)
        self._clock = clock
        self._stop = stop or threading.Event()

    def run(self) -> Tally:
        """Send everything that is due now and return what was done."""
        tally = Tally()
        self._try_channels()
        self._let_in()
        closed: set[Hashable] = set()
        while not self._stop.is_set():
            with self._store.writing() as session:
                claims = outbox.claim(session, self._clock(), BATCH)
            if not claims or not self._send_all(claims, tally, closed):
                break
        return tally

    def _ways(self, partner_ids: Iterable[int]) -> Ways:
        with self._store.reading() as session:
            return Ways(self._settings, settings_of(session, partner_ids), self._channel)

    def _send_all(self, claims: Sequence[Claim], tally: Tally, closed: set[Hashable]) -> bool:
        """Send a batch, one connection a way; returns whether to claim more.

        Which ways are found ``closed`` is remembered: what else would go there waits a while untried, and holds up
        nothing that goes another way.
        """
        waiting: list[Claim] = []
        visits = [held.message_id for held in claims if _is_about_visit(held)]
        with self._ways({held.partner_id for held in claims}) as ways, Ahead(self._store, visits) as ahead:
            for index, held in enumerate(claims):
                if self._stop.is_set():
                    self._release(claims[index:])
                    break
                name = ways.name(held.partner_id, held.channel, held.kind)
                if name in closed:
                    waiting.append(held)
                    continue
                try:
                    self._send(ways, ahead, held, tally)
                except ChannelDown:
                    closed.add(name)
        self._release(waiting, self._clock() + outbox.FIRST_PAUSE)
        return not self._stop.is_set()

    def _send(self, ways: Ways, ahead: Ahead, held: Claim, tally: Tally) -> None:
        now = self._clock()
        current = self._still_ours(held, now)
        if current is None:
            return
        letter: Letter | None = None
        try:
            if ways.name(held.partner_id, held.channel, held.kind) is None:
                self._skipped(current, NO_GATEWAY, tally)
                return
            letter = self._letter(ahead, current, now, tally)
            if letter is None:
                return
            ways.way(held.partner_id, held.channel, held.kind).send(letter, now)
        except SendError as error:
            recipient = letter.recipient if letter is not None else ""
            self._failed(current, Failure(str(error), error.fault, recipient, error.is_final), tally)
            if isinstance(error, ChannelDown):
                raise
        except Exception as error:
            # Whatever is wrong with one message must not keep the others from being sent.
            log.exception("message_failed", message=held.message_id)
            self._failed(current, Failure(f"{type(error).__name__}: {error}"), tally)
        else:
            sent_at = self._clock()
            ahead.write(lambda session: outbox.record_sent(session, current, sent_at, letter))
            tally.sent += 1

    def _try_channels(self) -> None:
        """Send the test messages that somebody waits for."""
        with self._store.reading() as session:
            waits = anything_to_try(session)
        if not waits:
            return
        with self._store.writing() as session:
            tests = claim_tests(session, self._clock())
        with self._ways({test.partner_id for test in tests}) as ways:
            for test in tests:
                failure = None
                try:
                    if ways.name(test.partner_id, test.channel) is None:
                        raise SendError(str(NO_GATEWAY.sentence), Fault.OTHER)
                    with self._store.reading() as session:
                        letter = self._renderer.test(trial_facts(session, test.test_id), self._clock())
                    ways.way(test.partner_id, test.channel).send(letter, self._clock())
                except SendError as error:
                    failure = Failure(str(error), error.fault)
                except Exception as error:
                    log.exception("test_failed", test=test.test_id)
                    failure = Failure(type(error).__name__)
                with self._store.writing() as session:
                    record_test(session, test.test_id, self._clock(), failure)

    def _let_in(self) -> None:
        """Answer who asked for a link to get in; what comes of it is sent with everything else."""
        with self._store.reading() as session:
            waits = anything_asked(session)
        if not waits:
            return
        try:
            with self._store.writing() as session:
                answer_wishes(session, self._clock(), self._settings.secret_key.get_secret_value())
        except Exception:
            # Whatever somebody typed must not keep messages from being sent; it is dropped when it is out of date.
            log.exception("wishes_not_answered")

    def _letter(self, ahead: Ahead, held: Claim, now: datetime, tally: Tally) -> Letter | None:
        """Look at the message again and write it; ``None`` where it is skipped or has to wait."""
        if held.kind == MessageKind.INVITATION:
            return self._invitation(held, now, tally)
        if held.kind in ABOUT_REQUESTS:
            return self._request(held, now, tally)
        if held.kind in ACCESS:
            return self._access(held, now, tally)
        facts, survey = ahead.facts(held.message_id), None
        if held.kind in SURVEYS:
            with self._store.reading() as session:
                survey = asked_about(session, facts.message)
        refusal = still_wanted(facts.message, facts.visit, facts.job, now, facts.newer_exists, facts.is_meant)
        if refusal is None and survey is not None:
            refusal = no_longer_asked(facts.message, facts.visit, survey, now, facts.customer.active)
        refusal = refusal or rule_refusal(facts.rule, facts.visit)
        if refusal is None and facts.told is None:
            refusal = unwanted(facts.message, facts.reader)
        is_text, loud = facts.message.channel == Kind.TEXT, loud_at(facts.visit, now, facts.quiet)
        if is_text and refusal is None and loud is None:
            refusal = QUIET_HOURS
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
        return self._renderer.letter(facts, now)

    def _invitation(self, held: Claim, now: datetime, tally: Tally) -> Letter | None:
        with self._store.reading() as session:
            facts = invitation_facts(session, held.message_id)
        refusal = invitation_still_wanted(facts.message, facts.invitation, now)
        if refusal is not None:
            self._skipped(held, refusal, tally)
            return None
        return self._renderer.letter(facts, now)

    def _request(self, held: Claim, now: datetime, tally: Tally) -> Letter | None:
        with self._store.reading() as session:
            facts = request_facts(session, held.message_id)
        refusal = request_still_wanted(facts.message, facts.request, facts.is_meant) or rule_refusal(facts.rule)
        refusal = refusal or unwanted(facts.message, facts.reader)
        if refusal is not None:
            self._skipped(held, refusal, tally)
            return None
        loud = out_of_quiet(now, None, facts.quiet) if facts.message.channel == Kind.TEXT else now
        if loud != now:
            self._release([held], loud)
            return None
        return self._renderer.letter(facts, now)

    def _access(self, held: Claim, now: datetime, tally: Tally) -> Letter | None:
        with self._store.reading() as session:
            facts = access_facts(session, held.message_id)
        refusal = access_still_wanted(facts.message, facts.link, now)
        if refusal is not None:
            self._skipped(held, refusal, tally)
            return None
        return self._renderer.access(facts, now)

    def _skipped(self, held: Claim, refusal: Refusal, tally: Tally) -> None:
        with self._store.writing() as session:
            outbox.record_skipped(session, held, refusal)
        tally.skipped += 1

    def _failed(self, held: Claim, failure: Failure, tally: Tally) -> None:
        with self._store.writing() as session:
            outbox.record_failed(session, held, self._clock(), failure, random.random())
        tally.failed += 1

    def _still_ours(self, held: Claim, now: datetime) -> Claim | None:
        if held.until - now >= SHORTEST_LEASE:
            return held
        with self._store.writing() as session:
            return outbox.renew(session, held, now)

    def _release(self, claims: Sequence[Claim], due_at: datetime | None = None) -> None:
        if not claims:
            return
        with self._store.writing() as session:
            outbox.release(session, claims, due_at)


def _is_about_visit(held: Claim) -> bool:
    return held.kind != MessageKind.INVITATION and held.kind not in ABOUT_REQUESTS | ACCESS
