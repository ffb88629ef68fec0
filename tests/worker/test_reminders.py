"""Which reminders come due when: local evenings across clock changes, moves, cancels, and never one twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta

import pytest
from sqlalchemy import delete, event, func, select, update

from portal.domain.actor import Actor, Role
from portal.domain.jobs import fieldwork, services
from portal.domain.messages import rules
from portal.domain.messages.models import Message, MessageRule, MessageSettings
from portal.domain.messages.reminders import decide_reminders
from portal.domain.messages.rules import RuleInput
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
    """Decide as of ``now`` and return how many reminders to be sent that made."""

    def count() -> int:
        with work.store.reading() as session:
            made = select(func.count(Message.id)).where(Message.kind == "reminder", Message.status == "PENDING")
            return session.scalars(made).one()

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
    over, ahead = sorted(shop.messages("reminder"), key=lambda message: message.appointment_id or 0)
    assert (over.status, over.last_error) == ("SKIPPED", "The visit's start is over.")
    assert (ahead.status, ahead.last_error) == ("PENDING", "")


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
    shop.clear()
    assert decide(work, EVENING_BEFORE) == 1
    shop.clock.now = EVENING_BEFORE
    assert work.relay.run().sent == 0
    shop.clock.now = EVENING_BEFORE + MINUTE
    shop.do(services.undo_cancel, shop.as_customer, visit.id)
    assert work.relay.run().sent == 0
    shop.clock.now = EVENING_BEFORE + 9 * MINUTE
    assert work.relay.run().sent == 1
    assert decide(work, EVENING_BEFORE + 10 * MINUTE) == 0


@pytest.mark.row("N3")
@pytest.mark.row("M7")
def test_a_cancelled_visit_gets_no_reminder(work: Work, shop: Shop) -> None:
    job = shop.schedule()
    shop.do(services.cancel, shop.dispatcher, job.id, "Wrong address")
    assert decide(work, EVENING_BEFORE) == 0


@pytest.mark.row("N3")
def test_without_an_address_it_is_recorded_that_there_was_none(work: Work, shop: Shop) -> None:
    shop.schedule()
    change(shop, Customer, email="")
    assert decide(work, EVENING_BEFORE) == 0
    (reminder,) = shop.messages("reminder")
    assert (reminder.status, reminder.last_error) == ("SKIPPED", "No address or number is known to send it to.")


@pytest.mark.row("N3")
def test_nobody_is_reminded_without_a_rule(work: Work, shop: Shop) -> None:
    shop.schedule()
    change(shop, MessageRule, enabled=False)
    assert decide(work, EVENING_BEFORE) == 0
    change(shop, MessageRule, enabled=True)
    assert decide(work, EVENING_BEFORE) == 1


@pytest.mark.row("N3")
def test_an_outage_of_a_day(work: Work, shop: Shop) -> None:
    """What is still useful is sent, of two about one visit the latest; what is past is recorded; nothing is lost."""
    with unit_of_work(shop.session):
        early = MessageRule(kind="please_confirm", channel="email", minutes_before=30 * 60, unconfirmed_only=True)
        late = MessageRule(kind="reminder", channel="email", minutes_before=120)
        for rule in (early, late):
            rule.partner_id = shop.partner.id
            shop.session.add(rule)
    before = EVENING_BEFORE - DAY
    over = shop.schedule(EVENING_BEFORE - 2 * timedelta(hours=1))
    soon = shop.schedule(EVENING_BEFORE + timedelta(hours=1))
    tomorrow = shop.schedule(EVENING_BEFORE + timedelta(hours=16))
    gone = shop.schedule(EVENING_BEFORE + timedelta(hours=2))
    shop.do(services.cancel, shop.dispatcher, gone.id, "Wrong address")
    shop.clear()
    assert decide(work, before - MINUTE) == 0
    shop.clear()
    decide(work, EVENING_BEFORE)
    shop.clock.now = EVENING_BEFORE
    tally = work.relay.run()
    said = sorted(
        (message.job_id, message.kind, message.due_at, message.status, message.last_error)
        for message in shop.messages()
        if message.kind in ("reminder", "please_confirm")
    )
    past, newer = "The visit's start is over.", "A newer message says it."
    day_before = EVENING_BEFORE - DAY
    assert said == sorted(
        [
            (over.id, "reminder", day_before, "SKIPPED", past),
            (over.id, "reminder", EVENING_BEFORE - timedelta(hours=4), "SKIPPED", past),
            (soon.id, "reminder", day_before, "SKIPPED", newer),
            (soon.id, "reminder", EVENING_BEFORE - timedelta(hours=1), "SENT", ""),
            (tomorrow.id, "please_confirm", EVENING_BEFORE - timedelta(hours=14), "SKIPPED", newer),
            (tomorrow.id, "reminder", EVENING_BEFORE, "SENT", ""),
        ]
    )
    assert (tally.sent, tally.skipped) == (2, 2)
    assert decide(work, EVENING_BEFORE + MINUTE) == 0


@pytest.mark.row("N1")
def test_a_rule_makes_up_for_nothing_and_stops_at_once(work: Work, shop: Shop) -> None:
    admin = Actor(None, Role.PARTNER_ADMIN, "Alma", frozenset({shop.partner.id}))
    shop.schedule()
    shop.clear()
    shop.clock.now = START - timedelta(hours=5)
    partner_id, three, six = shop.partner.id, RuleInput(minutes_before=180), RuleInput(minutes_before=360)
    for form in (six, three):
        shop.do(rules.create_rule, admin, partner_id, "reminder", "email", form)
    assert decide(work, START - timedelta(hours=5) + MINUTE) == 1, "only the old rule, of the evening before"
    shop.clear()
    assert decide(work, START - timedelta(hours=3)) == 1
    (reminder,) = shop.messages("reminder")
    shop.clock.now = START - timedelta(hours=3)
    shop.do(rules.set_rule_enabled, admin, reminder.rule_id, False)
    assert work.relay.run().skipped == 1
    assert shop.messages("reminder")[0].last_error == "Its rule was switched off meanwhile."
    shop.do(rules.set_rule_enabled, admin, reminder.rule_id, True)
    assert decide(work, START - timedelta(hours=2)) == 0


@pytest.mark.row("N1")
def test_only_the_unconfirmed_are_asked(work: Work, shop: Shop) -> None:
    change(shop, MessageRule, unconfirmed_only=True)
    first, second = shop.visit(shop.schedule()), shop.visit(shop.schedule(START + MINUTE))
    shop.do(fieldwork.confirm, shop.dispatcher, first.id)
    shop.clear()
    assert decide(work, EVENING_BEFORE) == 1
    shop.clock.now = EVENING_BEFORE
    shop.do(fieldwork.confirm, shop.dispatcher, second.id)
    assert work.relay.run().skipped == 1
    assert shop.messages("reminder")[0].last_error == "The visit is confirmed."


@pytest.mark.row("N1")
def test_texts_keep_out_of_quiet_hours(work: Work, shop: Shop) -> None:
    """Visits on Thursday at 8:30 (its text on Wednesday at 20:59), 9:30 (at 8:00), 11:00, and one planned at night."""
    text = MessageRule(partner_id=shop.partner.id, kind="reminder", channel="text", minutes_before=120)
    with unit_of_work(shop.session):
        shop.session.execute(delete(MessageRule))
        shop.session.add(text)
        shop.session.execute(update(Customer).values(phone="+44 117 496 0101"))
        shop.session.execute(update(MessageSettings).values(quiet_until=time(8)))
    early, wait, loud = (shop.schedule(START + step * MINUTE) for step in (-30, 30, 120))
    shop.schedule(START - 30 * MINUTE + SECOND, now=EVENING_BEFORE + timedelta(hours=4))
    hour = timedelta(hours=1)
    made = []
    for now in (
        EVENING_BEFORE + 2 * hour + 58 * MINUTE,
        EVENING_BEFORE + 2 * hour + 59 * MINUTE,
        START - 3 * hour,
        START - hour - SECOND,
        START - hour,
        START,
    ):
        made.append(decide(work, now))
    assert made == [0, 1, 0, 0, 1, 1]
    told = {message.job_id: (message.due_at, message.status) for message in shop.messages()}
    assert told[early.id] == (EVENING_BEFORE + 2 * hour + 59 * MINUTE, "PENDING")
    assert told[wait.id] == (START - hour, "PENDING")
    assert told[loud.id] == (START, "PENDING")
    (night,) = [message for message in shop.messages() if message.status == "SKIPPED"]
    assert night.last_error == "It would have come in quiet hours, or too late."
    # A worker that comes to it only at night sends nothing either.
    shop.clock.now = EVENING_BEFORE + 4 * hour
    work.relay.run()
    assert [message.status for message in shop.messages() if message.job_id == early.id] == ["SKIPPED"]


@pytest.mark.row("N1")
def test_quiet_hours_are_those_of_the_customers_zone_and_a_text_needs_a_number(work: Work, shop: Shop) -> None:
    text = MessageRule(partner_id=shop.partner.id, kind="reminder", channel="text", minutes_before=120)
    with unit_of_work(shop.session):
        shop.session.execute(delete(MessageRule))
        shop.session.add(text)
        shop.session.execute(update(Customer).values(timezone="Pacific/Auckland"))
        shop.session.execute(update(MessageSettings).values(quiet_until=time(8)))
    # Noon in London is one at night in Auckland, and quiet until seven in the evening here.
    visit = shop.visit(shop.schedule(START + timedelta(hours=5)))
    assert decide(work, START + timedelta(hours=3)) == 0
    (skipped,) = shop.messages("reminder")
    assert (skipped.status, skipped.last_error) == ("SKIPPED", "No address or number is known to send it to.")
    assert skipped.due_at == datetime(2026, 11, 26, 7, 59, tzinfo=UTC)
    assert skipped.appointment_id == visit.id


@pytest.mark.row("J4")
def test_a_departure_is_told_by_email_and_text_with_the_arrival(
    work: Work, shop: Shop, create_technician: Create
) -> None:
    with unit_of_work(shop.session):
        shop.session.add(MessageRule(partner_id=shop.partner.id, kind="on_the_way", channel="text"))
        shop.session.execute(update(Customer).values(phone="+44 117 496 0101"))
    visit = shop.visit(shop.schedule(technician=create_technician(shop.partner)))
    shop.clock.now = START - 20 * MINUTE
    shop.clear()
    shop.do(fieldwork.set_off, shop.dispatcher, visit.id, visit.move_number, 25)
    assert work.relay.run().sent == 2
    email, text = sorted(shop.messages("on_the_way"), key=lambda message: message.channel)
    assert (email.recipient, text.recipient) == ("priya@mail.example", "+44 117 496 0101")
    assert "9:05" in email.body
    assert "9:05" in text.body


@pytest.mark.row("N1")
def test_by_a_new_zone_a_reminder_may_have_been_due_a_moment_ago(work: Work, shop: Shop) -> None:
    """At 14:00 in New York it is 19:00 in London, where a reminder of the morning came due an hour ago."""
    change(shop, Partner, timezone="America/New_York")
    shop.schedule(START + timedelta(hours=3))
    now = EVENING_BEFORE + timedelta(hours=1)
    assert decide(work, now) == 0
    change(shop, Partner, timezone="Europe/London")
    assert decide(work, now) == 0
    with unit_of_work(shop.session) as session:
        decide_reminders(session, now, shop.partner.id)
    assert len(shop.messages("reminder")) == 1
