"""Workers as processes of their own: several at once, killed in the middle, told to end."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from portal.domain.messages.outbox import LEASE
from portal.worker.schedule import Work
from tests.worker.conftest import MINUTE, PATIENCE, Shop, Sink

Start = Callable[[], "subprocess.Popen[bytes]"]
MESSAGES = 30


def fill(shop: Shop, count: int) -> None:
    """Put so many messages into the outbox that are due by the machine's own clock."""
    shop.clock.now = datetime.now(UTC) - timedelta(hours=1)
    start = datetime.now(UTC) + timedelta(days=3)
    for number in range(count):
        shop.schedule(start + number * MINUTE)


def end(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(PATIENCE)


@pytest.mark.row("N3")
@pytest.mark.row("N5")
def test_several_workers_send_each_message_once(shop: Shop, sink: Sink, start_process: Start) -> None:
    fill(shop, MESSAGES)
    workers = [start_process() for _ in range(3)]
    sink.wait_for(MESSAGES)
    assert [end(worker) for worker in workers] == [0, 0, 0]
    assert len(sink.ids) == len(set(sink.ids)) == MESSAGES
    assert {(message.status, message.attempts) for message in shop.messages()} == {("SENT", 1)}
    assert shop.outcomes() == ["SENT"] * MESSAGES


@pytest.mark.row("N3")
def test_a_worker_killed_between_sending_and_recording_loses_nothing(
    work: Work, shop: Shop, sink: Sink, start_process: Start
) -> None:
    fill(shop, 3)
    # The server has taken the letter in and keeps its answer, so that nothing can have been recorded.
    sink.may_answer.clear()
    worker = start_process()
    sink.wait_for(1)
    worker.send_signal(signal.SIGKILL)
    assert worker.wait(PATIENCE) == -signal.SIGKILL
    sink.may_answer.set()
    (sent_unrecorded,) = sink.ids
    assert {message.status for message in shop.messages()} == {"PENDING"}

    # Nothing is taken from the dead before its lease ends; then each goes out, the first one for the second time.
    shop.clock.now = min(message.lease_until for message in shop.messages() if message.lease_until)
    shop.clock.now -= MINUTE
    assert work.relay.run().sent == 0
    shop.clock.now += LEASE
    assert work.relay.run().sent == 3
    assert sink.ids.count(sent_unrecorded) == 2
    assert len(sink.ids) == 4
    assert len(set(sink.ids)) == 3
    assert {message.status for message in shop.messages()} == {"SENT"}
    assert sorted(shop.outcomes()) == ["LOST"] * 3 + ["SENT"] * 3


@pytest.mark.row("N3")
@pytest.mark.row("N5")
def test_a_worker_told_to_end_records_what_it_has_in_hand(shop: Shop, sink: Sink, start_process: Start) -> None:
    fill(shop, 3)
    sink.may_answer.clear()
    worker = start_process()
    sink.wait_for(1)
    worker.send_signal(signal.SIGTERM)
    sink.may_answer.set()
    assert worker.wait(PATIENCE) == 0
    messages = shop.messages()
    sent = [message for message in messages if message.status == "SENT"]
    assert len(sent) == len(sink.mails) >= 1
    # What it had not begun is free at once for another.
    assert {message.lease_until for message in messages} == {None}
