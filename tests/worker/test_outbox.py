"""Claims, leases, fencing and pauses of the outbox."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from portal.domain.messages import outbox
from portal.domain.messages.outbox import LEASE, Claim, Failure, Letter, pause_after
from portal.domain.messages.services import NOT_PLANNED
from portal.worker.schedule import Work
from tests.worker.conftest import MINUTE, NOW, SECOND, Shop

LETTER = Letter("<a@b>", "priya@mail.example", "Brightwell", "Booked", "Text", "<p>Text</p>")


def claim(work: Work, after: timedelta = timedelta(), limit: int = 10) -> list[Claim]:
    with work.store.writing() as session:
        return outbox.claim(session, NOW + after, limit)


@pytest.fixture
def work(start_work: Callable[..., Work]) -> Work:
    return start_work()


@pytest.mark.row("N3")
def test_what_is_claimed_is_claimed_once_and_earliest_first(work: Work, shop: Shop) -> None:
    for minutes in (3, 1, 2):
        shop.clock.now = NOW - minutes * MINUTE
        shop.schedule(start=NOW + timedelta(days=minutes))
    first, second, third = (message.id for message in sorted(shop.messages(), key=lambda message: message.due_at))
    assert [held.message_id for held in claim(work, limit=2)] == [first, second]
    assert [held.message_id for held in claim(work)] == [third]
    assert claim(work) == []


@pytest.mark.row("N3")
def test_a_message_is_not_claimed_before_it_is_due(work: Work, shop: Shop) -> None:
    shop.schedule()
    assert claim(work, -SECOND) == []
    assert len(claim(work)) == 1


@pytest.mark.row("N3")
def test_a_lease_holds_to_its_end_and_is_then_taken_over(work: Work, shop: Shop) -> None:
    shop.schedule()
    (dead,) = claim(work)
    assert claim(work, LEASE - SECOND) == []
    (heir,) = claim(work, LEASE)
    with work.store.writing() as session:
        assert not outbox.record_sent(session, dead, NOW + LEASE, LETTER)
    (message,) = shop.messages()
    assert (message.status, message.lease_token, message.attempts) == ("PENDING", heir.token, 2)
    with work.store.writing() as session:
        assert outbox.record_sent(session, heir, NOW + LEASE, LETTER)
    (message,) = shop.messages()
    assert (message.status, message.sent_at, message.lease_token) == ("SENT", NOW + LEASE, "")
    # The one thought dead did send: that stays on the record as well.
    assert shop.outcomes() == ["LOST", "SENT", "SENT"]


@pytest.mark.row("N3")
def test_a_worker_whose_lease_was_taken_over_changes_nothing(work: Work, shop: Shop) -> None:
    shop.schedule()
    (dead,) = claim(work)
    (heir,) = claim(work, LEASE)
    with work.store.writing() as session:
        assert outbox.renew(session, dead, NOW + LEASE) is None
        assert not outbox.record_failed(session, dead, NOW + LEASE, Failure("no answer"), 0)
        assert not outbox.record_skipped(session, dead, NOT_PLANNED)
        outbox.release(session, [dead])
    (message,) = shop.messages()
    assert (message.status, message.lease_token, message.due_at) == ("PENDING", heir.token, NOW)


@pytest.mark.row("N3")
def test_a_renewed_lease_counts_from_then(work: Work, shop: Shop) -> None:
    shop.schedule()
    (held,) = claim(work)
    with work.store.writing() as session:
        renewed = outbox.renew(session, held, NOW + 4 * MINUTE)
    assert renewed is not None
    assert renewed.until == NOW + 4 * MINUTE + LEASE
    assert claim(work, LEASE) == []
    assert len(claim(work, 4 * MINUTE + LEASE)) == 1


@pytest.mark.row("N3")
def test_a_message_given_back_is_free_at_once_and_was_not_tried(work: Work, shop: Shop) -> None:
    shop.schedule()
    held = claim(work)
    with work.store.writing() as session:
        outbox.release(session, held)
    (message,) = shop.messages()
    assert (message.attempts, message.due_at) == (0, NOW)
    assert len(claim(work)) == 1


@pytest.mark.row("N4")
@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [(1, 30), (2, 60), (3, 120), (4, 240), (5, 480), (6, 960), (7, 1920), (8, 3600), (9, 3600), (13, 3600)],
)
def test_pauses_grow_up_to_an_hour(attempts: int, seconds: int) -> None:
    assert pause_after(attempts, 0) == timedelta(seconds=seconds)
    assert pause_after(attempts, 1) == timedelta(seconds=seconds / 2)


@pytest.mark.row("N4")
def test_after_the_last_try_a_message_has_failed(work: Work, shop: Shop) -> None:
    assert pause_after(14, 0) is None
    shop.schedule()
    now = NOW
    for _ in range(14):
        with work.store.writing() as session:
            (held,) = outbox.claim(session, now, 10)
            outbox.record_failed(session, held, now, Failure("450 busy"), 0)
        now += timedelta(hours=1)
    (message,) = shop.messages()
    assert (message.status, message.last_error, message.attempts) == ("FAILED", "450 busy", 14)
    assert shop.outcomes() == ["FAILED"] * 14
    assert claim(work, timedelta(days=2)) == []
