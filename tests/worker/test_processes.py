"""Workers as processes of their own: several at once, killed in the middle, told to end."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from portal.domain.messages.models import Message, MessageRule
from portal.domain.messages.outbox import LEASE
from portal.domain.messages.reminders import decide_reminders
from portal.domain.unit_of_work import unit_of_work
from portal.worker.relay import BATCH
from portal.worker.schedule import Work
from tests.worker.conftest import MINUTE, PATIENCE, Shop, Sink, Start, Worker

MESSAGES = 30
# The bench asks for more of both, and for a report. Each kill holds up what its worker had claimed, so that there are
# enough messages where half of them are more than all the claims.
KILLED_MESSAGES, KILLS = int(os.environ.get("KILLED_MESSAGES", 300)), int(os.environ.get("KILLS", 3))
KILLED_WORKERS = 3
SCHEDULER_KILLS = int(os.environ.get("SCHEDULER_KILLS", 1))
# Workers are started one after the other; the bench does that on both databases.
slowly = pytest.mark.row("N5") if "SCHEDULER_KILLS" in os.environ else pytest.mark.once


def fill(shop: Shop, count: int) -> None:
    """Put so many messages into the outbox that are due by the machine's own clock."""
    shop.clock.now = datetime.now(UTC) - timedelta(hours=1)
    start = datetime.now(UTC) + timedelta(days=3)
    for number in range(count):
        shop.schedule(start + number * MINUTE)


def end(process: Worker) -> int:
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
    worker = start_process(typed=True)
    sink.wait_for(1)
    worker.send_signal(signal.SIGTERM)
    sink.may_answer.set()
    assert worker.wait(PATIENCE) == 0
    messages = shop.messages()
    sent = [message for message in messages if message.status == "SENT"]
    assert len(sent) == len(sink.mails) >= 1
    # What it had not begun is free at once for another.
    assert {message.lease_until for message in messages} == {None}


def fill_fast(shop: Shop, session: Session, count: int) -> None:
    """Put so many messages of one visit into the outbox that are due now."""
    fill(shop, 1)
    (first,) = shop.messages()
    names = [column.key for column in Message.__mapper__.column_attrs if column.key not in {"id", "key"}]
    same = {name: getattr(first, name) for name in names}
    with unit_of_work(session):
        session.execute(insert(Message), [same | {"key": f"{first.key}:{number}"} for number in range(1, count)])
        if session.get_bind().dialect.name == "postgresql":
            session.connection().exec_driver_sql("ANALYZE messages")


@pytest.mark.row("N3")
@pytest.mark.row("N5")
def test_workers_killed_at_random_lose_nothing(
    work: Work, shop: Shop, session: Session, sink: Sink, start_process: Start
) -> None:
    """Each kill strikes as a letter arrives: it has been taken in, and nobody lives to record that."""
    fill_fast(shop, session, KILLED_MESSAGES)
    chance = random.Random(KILLS)
    strikes = set(chance.sample(range(1, KILLED_MESSAGES // 2), KILLS))
    workers: list[Worker] = []
    lock = threading.Lock()
    taken: list[str] = []
    killed = 0

    def strike(mail: EmailMessage) -> None:
        nonlocal killed
        with lock:
            taken.append(str(mail["Message-ID"]))
            if len(taken) in strikes:
                # The longest at work, since one that is still starting has nothing to lose.
                victim = next(one for one in workers if one.poll() is None)
                victim.kill()
                victim.wait()
                workers.append(start_process())
                killed += 1

    sink.at_data = strike
    with lock:
        workers += [start_process() for _ in range(KILLED_WORKERS)]
    # Those that the dead had claimed are not due before their leases end.
    sink.wait_for(KILLED_MESSAGES - KILLS * (BATCH + 1))
    with sink.changed:
        assert sink.changed.wait_for(lambda: killed == KILLS, PATIENCE)
    # One that is still starting is simply gone.
    assert {end(one) for one in workers if one.poll() is None} <= {0, -signal.SIGTERM}
    shop.clock.now = datetime.now(UTC) + LEASE
    work.relay.run()

    repeats = len(taken) - len(set(taken))
    report = {"messages": KILLED_MESSAGES, "workers": KILLED_WORKERS, "kills": killed, "repeats": repeats}
    report["lost"] = KILLED_MESSAGES - len(set(taken))
    if path := os.environ.get("KILLS_REPORT"):
        Path(path).write_text(json.dumps(report))
    assert report["lost"] == 0
    assert repeats <= killed == KILLS
    assert {message.status for message in shop.messages()} == {"SENT"}


@slowly
@pytest.mark.row("N1")
@pytest.mark.row("N5")
def test_a_scheduler_killed_again_and_again_misses_nothing_and_sends_nothing_stale(
    work: Work, shop: Shop, sink: Sink, start_process: Start
) -> None:
    """One worker at a time, killed as its first letter arrives, while reminders come due second by second."""
    with unit_of_work(shop.session):
        for rule in shop.session.scalars(select(MessageRule)):
            shop.session.delete(rule)
        shop.session.flush()
        minutes = {"channel": "email", "minutes_before": 120}
        shop.session.add(MessageRule(partner_id=shop.partner.id, kind="reminder", **minutes))
    begin = datetime.now(UTC).replace(microsecond=0)
    shop.clock.now = begin - timedelta(days=2)
    # While nobody ran some came due whose visits are over by now, and some that are still of use.
    stale = {shop.schedule(begin - (number + 1) * MINUTE).id for number in range(SCHEDULER_KILLS)}
    for second in range(-2 * SCHEDULER_KILLS, 10 * SCHEDULER_KILLS):
        shop.schedule(begin + timedelta(hours=2, seconds=second))
    last = begin + timedelta(seconds=10 * SCHEDULER_KILLS)

    for _ in range(SCHEDULER_KILLS):
        sent = len(sink.mails)
        worker = start_process()
        sink.wait_for(sent + 1)
        worker.kill()
        assert worker.wait(PATIENCE) == -signal.SIGKILL
    # What came due since, and what the dead had claimed.
    for shop.clock.now in (max(last, datetime.now(UTC)), datetime.now(UTC) + LEASE + MINUTE):
        with work.store.writing() as session:
            decide_reminders(session, work.clock())
        work.relay.run()

    messages = shop.messages("reminder")
    by_status = {
        status: [message for message in messages if message.status == status] for status in ("SENT", "SKIPPED")
    }
    skipped = {(message.job_id, message.last_error, message.attempts) for message in by_status["SKIPPED"]}
    assert skipped == {(job_id, "The visit's start is over.", 0) for job_id in stale}
    assert len(by_status["SENT"]) == len(messages) - len(stale) == 12 * SCHEDULER_KILLS
    assert all(message.sent_at >= message.due_at for message in by_status["SENT"] if message.sent_at)
    # Whoever was killed in sending sent it once more; otherwise each came once.
    repeats = len(sink.ids) - len(set(sink.ids))
    report = {
        "kills": SCHEDULER_KILLS,
        "due": 12 * SCHEDULER_KILLS,
        "missed": 12 * SCHEDULER_KILLS - len(set(sink.ids)),
    }
    report |= {"stale": sum(message.job_id in stale for message in by_status["SENT"]), "repeats": repeats}
    if path := os.environ.get("KILLS_REPORT"):
        Path(path).write_text(json.dumps(report))
    assert (report["missed"], report["stale"]) == (0, 0)
    assert repeats <= SCHEDULER_KILLS
