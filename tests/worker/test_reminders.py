"""Which reminders come due when: local evenings across clock changes, moves, cancels, and never one twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta

import pytest
from sqlalchemy import event, func, select, update

from portal.domain.jobs import fieldwork, services
from portal.domain.messages.models import Message, MessageRule
from portal.domain.messages.reminders import decide_reminders
from portal.domain.messages.services import key_of
from portal.domain.people.models import Customer, Partner, Technician
from portal.domain.scheduling.models import FeatureControls
from portal.domain.unit_of_work import unit_of_work
from portal.worker.schedule import Work
from tests.factories import Create
from tests.worker.conftest import DAY, MINUTE, SECOND, START, Shop

# The visit starts on Thursday 26 November at 9:00 in London.
EVENING_BEFORE = datetime(2026, 11, 25, 18, tzinfo=UTC)


@pytest.fixture
def work(start_work: Callable[..., Work]) -> Work:
    return start_work()


def decide(work: Work, now: datetime) -> int:
    """Decide as of ``now`` and return how many reminders that made."""

    def count() -> int:
        with work.store.reading() as session:
            return session.scalars(select(func.count()).where(Message.kind == "reminder")).one()

    before = count()
    with work.store.writing() as session:
        decide_reminders(session, now)
    return count() - before


def change(shop: Shop, model: type, **values: object) -> None:
    with unit_of_work(shop.session):
        shop.session.execute(update(model).values(**values))


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text + "Z")


@pytest.mark.row("N3")
@pytest.mark.parametrize(
    ("zone", "start", "moment"),
    [
        # London, clocks back on Sunday 25 October 2026 and forward on Sunday 28 March 2027; visits at 9:00
        ("Europe/London", "2026-10-25T09:00", "2026-10-24T17:00"),
        ("Europe/London", "2026-10-26T09:00", "2026-10-25T18:00"),
        ("Europe/London", "2027-03-28T08:00", "2027-03-27T18:00"),
        ("Europe/London", "2027-03-29T08:00", "2027-03-28T17:00"),
        # New York, clocks back on Sunday 1 November 2026 and forward on Sunday 14 March 2027; visits at 9:00
        ("America/New_York", "2026-11-01T14:00", "2026-10-31T22:00"),
        ("America/New_York", "2026-11-02T14:00", "2026-11-01T23:00"),
        ("America/New_York", "2027-03-14T13:00", "2027-03-13T23:00"),
        ("America/New_York", "2027-03-15T13:00", "2027-03-14T22:00"),
        # A visit at 23:30 and one at 0:30: the local day counts, not the one in UTC
        ("America/New_York", "2026-12-02T04:30", "2026-11-30T23:00"),
        ("America/New_York", "2026-12-02T05:30", "2026-12-01T23:00"),
    ],
)
def test_a_reminder_comes_at_six_in_the_evening_before(
    work: Work, shop: Shop, zone: str, start: str, moment: str
) -> None:
    change(shop, Partner, timezone=zone)
    due = instant(moment)
    job = shop.schedule(instant(start), now=due - DAY)
    assert decide(work, due - SECOND) == 0
    assert decide(work, due) == 1
    (reminder,) = shop.messages("reminder")
    assert (reminder.due_at, reminder.created_at, reminder.job_id) == (due, due, job.id)
    assert (reminder.recipient, reminder.channel, reminder.status) == ("priya@mail.example", "email", "PENDING")


@pytest.mark.row("N3")
@pytest.mark.parametrize(
    ("start", "moment"),
    [
        # 1:30 is skipped on 28 March: the gap ends at 2:00 summer time. On 25 October it comes twice: the first.
        ("2027-03-29T08:00", "2027-03-28T01:00"),
        ("2026-10-26T09:00", "2026-10-25T00:30"),
    ],
)
def test_a_clock_time_that_is_missing_or_comes_twice(work: Work, shop: Shop, start: str, moment: str) -> None:
    with unit_of_work(shop.session):
        shop.session.execute(update(MessageRule).where(MessageRule.kind == "reminder").values(local_time=time(1, 30)))
    due = instant(moment)
    shop.schedule(instant(start), now=due - DAY)
    assert decide(work, due - SECOND) == 0
    assert decide(work, due) == 1
    assert decide(work, due + timedelta(hours=1)) == 0
    assert len(shop.messages("reminder")) == 1


@pytest.mark.row("N3")
def test_the_key_is_the_one_that_other_messages_have(work: Work, shop: Shop) -> None:
    job = shop.schedule()
    decide(work, EVENING_BEFORE)
    (reminder,) = shop.messages("reminder")
    rule = shop.session.query(MessageRule).filter_by(kind="reminder").one()
    visit = shop.visit(job)
    assert reminder.key == key_of(rule.id, "email", f"customer:{shop.customer.id}", f"visit:{visit.id}", 1)


@pytest.mark.row("N3")
def test_workers_that_decide_at_the_same_moment_decide_each_once(start_work: Callable[..., Work], shop: Shop) -> None:
    for number in range(20):
        shop.schedule(START + number * MINUTE)
    workers = [start_work() for _ in range(4)]
    together, done = threading.Barrier(len(workers)), []

    def go(work: Work) -> None:
        together.wait()
        with work.store.writing() as session:
            decide_reminders(session, EVENING_BEFORE)
        done.append(work)

    threads = [threading.Thread(target=go, args=[work]) for work in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == len(workers)
    assert len(shop.messages("reminder")) == 20


@pytest.mark.row("N3")
def test_the_statements_do_not_grow_with_the_reminders(work: Work, shop: Shop) -> None:
    def statements() -> int:
        seen: list[str] = []
        listen = ("before_cursor_execute", lambda connection, cursor, statement, *rest: seen.append(statement))
        event.listen(work.store.engine, *listen)
        assert decide(work, EVENING_BEFORE) > 0
        event.remove(work.store.engine, *listen)
        return len(seen)

    shop.schedule()
    one = statements()
    for number in range(1, 40):
        shop.schedule(START + number * MINUTE)
    assert statements() == one


@pytest.mark.row("N3")
def test_a_visit_planned_after_its_moment_gets_none(work: Work, shop: Shop) -> None:
    shop.schedule(now=EVENING_BEFORE)
    shop.schedule(now=EVENING_BEFORE + SECOND)
    assert decide(work, EVENING_BEFORE + MINUTE) == 1


@pytest.mark.row("N3")
def test_a_late_worker_still_reminds_but_not_once_the_visit_started(work: Work, shop: Shop) -> None:
    shop.schedule()
    shop.schedule(START + SECOND)
    assert decide(work, START) == 1


@pytest.mark.row("N3")
def test_a_moved_visit_is_reminded_of_its_new_time_only(work: Work, shop: Shop) -> None:
    job = shop.schedule()
    shop.do(services.reschedule, shop.dispatcher, job.id, START + DAY)
    assert decide(work, EVENING_BEFORE) == 0
    assert decide(work, EVENING_BEFORE + DAY) == 1


@pytest.mark.row("N3")
def test_a_visit_moved_away_and_back_is_reminded_again(work: Work, shop: Shop) -> None:
    job = shop.schedule(START + DAY)
    assert decide(work, EVENING_BEFORE + DAY) == 1
    shop.clock.now = EVENING_BEFORE + DAY + MINUTE
    shop.do(services.reschedule, shop.dispatcher, job.id, START + 5 * DAY)
    shop.clock.now += MINUTE
    shop.do(services.reschedule, shop.dispatcher, job.id, START + 3 * DAY)
    assert decide(work, EVENING_BEFORE + 3 * DAY) == 1
    assert [message.occurrence for message in shop.messages("reminder")] == [1, 3]


@pytest.mark.row("N3")
def test_turning_back_is_no_reason_to_remind_again(work: Work, shop: Shop, create_technician: Create) -> None:
    technician: Technician = create_technician(shop.partner)
    job = shop.schedule(technician=technician)
    assert decide(work, EVENING_BEFORE) == 1
    shop.clock.now = START - 30 * MINUTE
    visit = shop.visit(job)
    shop.do(fieldwork.set_off, shop.dispatcher, visit.id, visit.move_number)
    assert decide(work, START - 20 * MINUTE) == 0
    shop.do(fieldwork.turn_back, shop.dispatcher, visit.id, visit.move_number, "Van broke down")
    assert shop.visit(job).occurrence == 2
    assert decide(work, START - 10 * MINUTE) == 0


@pytest.mark.row("N3")
@pytest.mark.row("M7")
def test_a_pending_cancel_holds_the_reminder_back_until_it_is_undone(work: Work, shop: Shop) -> None:
    change(shop, FeatureControls, self_service=True, cancel_cutoff_hours=0, cancel_undo_minutes=10)
    visit = shop.visit(shop.schedule())
    shop.clock.now = EVENING_BEFORE - MINUTE
    shop.do(services.cancel_by_customer, shop.as_customer, visit.id, "Away")
    assert decide(work, EVENING_BEFORE) == 0
    shop.clock.now = EVENING_BEFORE + MINUTE
    shop.do(services.undo_cancel, shop.as_customer, visit.id)
    assert decide(work, EVENING_BEFORE + 2 * MINUTE) == 1


@pytest.mark.row("N3")
@pytest.mark.row("M7")
def test_a_cancelled_visit_gets_no_reminder(work: Work, shop: Shop) -> None:
    job = shop.schedule()
    shop.do(services.cancel, shop.dispatcher, job.id, "Wrong address")
    assert decide(work, EVENING_BEFORE) == 0


@pytest.mark.row("N3")
def test_nobody_is_reminded_without_an_address_or_a_rule(work: Work, shop: Shop) -> None:
    shop.schedule()
    change(shop, Customer, email="")
    assert decide(work, EVENING_BEFORE) == 0
    change(shop, Customer, email="priya@mail.example")
    change(shop, MessageRule, enabled=False)
    assert decide(work, EVENING_BEFORE) == 0
    change(shop, MessageRule, enabled=True)
    assert decide(work, EVENING_BEFORE) == 1
