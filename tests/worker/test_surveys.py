"""Asking for a rating: one request when the job is done, after the partner's delay, and one more if it stays quiet."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from portal.domain.jobs import fieldwork, services
from portal.domain.jobs.models import Appointment, Job
from portal.domain.messages.models import Message, MessageKind, MessageRule
from portal.domain.people.models import Contact, Customer, Partner
from portal.domain.surveys.models import SurveySettings
from portal.domain.surveys.services import SurveyInput, answer_survey
from portal.domain.unit_of_work import unit_of_work
from portal.worker.schedule import Work
from tests.factories import Create
from tests.worker.conftest import DAY, SECOND, START, Shop, Sink

HOUR = timedelta(hours=1)
DONE = START + 2 * HOUR


def change(shop: Shop, model: type, **values: object) -> None:
    with unit_of_work(shop.session):
        shop.session.execute(update(model).values(**values))


def work_on(shop: Shop, technician: Any, *steps: str) -> Job:
    """Schedule a visit and take steps of it, the last one at ``DONE``."""
    shop.clock.now = START - DAY
    job = shop.schedule(technician=technician)
    shop.clock.now = START
    for step in steps:
        if step == steps[-1]:
            shop.clock.now = DONE
        visit = shop.visit(job)
        shop.do(getattr(fieldwork, step), shop.dispatcher, visit.id, visit.move_number)
    return job


@pytest.fixture
def done(shop: Shop, create_technician: Create) -> Job:
    """A job whose only visit was completed at ``DONE``; nothing waits but what that gave rise to."""
    job = work_on(
        shop, create_technician(shop.partner, name="Tomás Reyes"), "set_off", "arrive", "start_work", "complete"
    )
    with unit_of_work(shop.session) as session:
        for row in session.scalars(select(Message).where(Message.kind.not_in(["survey", "survey_nudge"]))):
            session.delete(row)
    return job


def dues(shop: Shop) -> list[tuple[str, datetime]]:
    return [(message.kind, message.due_at) for message in shop.messages() if message.kind.startswith("survey")]


def stand(shop: Shop) -> list[tuple[str, str, str]]:
    return [(message.kind, message.status, message.last_error) for message in shop.messages()]


def at(shop: Shop, work: Work, moment: datetime) -> None:
    shop.clock.now = moment
    work.relay.run()


@pytest.mark.row("J6")
@pytest.mark.row("N3")
def test_completing_the_job_makes_one_request_due_after_the_delay_and_its_reminder(shop: Shop, done: Job) -> None:
    assert dues(shop) == [("survey", DONE + 2 * HOUR), ("survey_nudge", DONE + 2 * HOUR + 3 * DAY)]
    (first, second) = shop.messages()
    visit = shop.visit(done)
    assert {first.appointment_id, second.appointment_id} == {visit.id}
    assert {first.recipient, second.recipient} == {"priya@mail.example"}
    assert f"visit:{visit.id}" in first.key
    # A second key like it is one too many for the database.
    with pytest.raises(IntegrityError), unit_of_work(shop.session) as session:
        session.add(Message(**{name: getattr(first, name) for name in COPIED}))


COPIED = (
    "partner_id", "customer_id", "job_id", "appointment_id", "key", "kind", "channel", "recipient", "occurrence",
    "due_at",
)  # fmt: skip


@pytest.mark.row("J6")
@pytest.mark.row("L1")
def test_the_partner_says_whether_and_when_customers_are_asked(shop: Shop, create_technician: Create) -> None:
    steps = ("set_off", "arrive", "start_work", "complete")
    technician = create_technician(shop.partner)
    asked = [
        ({"delay_hours": 0, "nudges": False}, [("survey", DONE)]),
        ({"delay_hours": 5, "nudges": True, "nudge_days": 7}, [
            ("survey", DONE + 5 * HOUR), ("survey_nudge", DONE + 5 * HOUR + 7 * DAY)
        ]),
        ({"enabled": False}, []),
    ]  # fmt: skip
    for values, expected in asked:
        shop.clear()
        change(shop, SurveySettings, **values)
        work_on(shop, technician, *steps)
        assert dues(shop) == expected, values
    change(shop, SurveySettings, enabled=True)
    shop.clear()
    # Work that ended, but not the job.
    work_on(shop, technician, "set_off", "arrive", "start_work")
    assert dues(shop) == []


@pytest.mark.row("J6")
@pytest.mark.row("P23")
def test_one_person_is_asked_the_customer_or_else_who_hears_of_visits(shop: Shop, create_technician: Create) -> None:
    with unit_of_work(shop.session) as session:
        own = {"partner_id": shop.partner.id, "customer_id": shop.customer.id, "gets_visits": True}
        session.add_all(Contact(name=name, email=f"{name}@mail.example", **own) for name in ("arjun", "lowe"))
    steps = ("set_off", "arrive", "start_work", "complete")
    technician = create_technician(shop.partner)
    work_on(shop, technician, *steps)
    assert [message.recipient for message in shop.messages("survey")] == ["priya@mail.example"]
    change(shop, Customer, gets_visits=False)
    shop.clear()
    work_on(shop, technician, *steps)
    assert [message.recipient for message in shop.messages("survey")] == ["arjun@mail.example"]


@pytest.mark.row("J6")
@pytest.mark.row("C12")
def test_the_request_goes_out_with_its_link_and_then_its_reminder(
    shop: Shop, done: Job, work: Work, sink: Sink
) -> None:
    at(shop, work, DONE + 2 * HOUR - SECOND)
    assert sink.mails == []
    at(shop, work, DONE + 2 * HOUR)
    at(shop, work, DONE + 2 * HOUR + 3 * DAY)
    first, second = sink.mails
    for mail in (first, second):
        body = mail.get_body(("plain",))
        assert body is not None
        assert "/survey/" in body.get_content()
        assert "Mon 25 Jan 2027" in body.get_content()
    assert str(first["Subject"]).startswith("How was it?")
    assert [status for _, status, _ in stand(shop)] == ["SENT", "SENT"]


@pytest.mark.row("J6")
@pytest.mark.row("N1")
def test_a_reminder_never_comes_on_the_heels_of_a_request_that_was_late(
    shop: Shop, done: Job, work: Work, sink: Sink
) -> None:
    """The worker was down for ten days: the request is still useful, its reminder waits anew."""
    back = DONE + 10 * DAY
    at(shop, work, back)
    at(shop, work, back + 3 * DAY - SECOND)
    assert [status for _, status, _ in stand(shop)] == ["SENT", "PENDING"]
    at(shop, work, back + 3 * DAY)
    assert [status for _, status, _ in stand(shop)] == ["SENT", "SENT"]
    assert len(sink.mails) == 2


@pytest.mark.row("J6")
@pytest.mark.row("N3")
def test_what_is_no_longer_wanted_is_skipped_with_its_reason(
    shop: Shop, done: Job, work: Work, sink: Sink, create_technician: Create
) -> None:
    visit = shop.visit(done)
    at(shop, work, DONE + 2 * HOUR)
    shop.do(answer_survey, shop.as_customer, visit.id, SurveyInput(5))
    at(shop, work, DONE + 4 * DAY)
    assert stand(shop)[1] == ("survey_nudge", "SKIPPED", "The survey was answered.")
    assert len(sink.mails) == 1

    technician = create_technician(shop.partner)
    for model, values, sentence in (
        (Customer, {"active": False}, "The customer is no longer active."),
        (Customer, {"gets_visits": False}, "The recipient no longer gets such messages."),
        (SurveySettings, {"enabled": False}, "The company does not ask for ratings at present."),
        (Appointment, {"status": "INCOMPLETE"}, "The visit is not completed."),
    ):
        shop.clear()
        work_on(shop, technician, "set_off", "arrive", "start_work", "complete")
        with unit_of_work(shop.session) as session:
            for row in session.scalars(select(Message).where(Message.kind.not_in(["survey", "survey_nudge"]))):
                session.delete(row)
        change(shop, model, **values)
        at(shop, work, DONE + 2 * HOUR)
        at(shop, work, DONE + 4 * DAY)
        assert {(status, why) for _, status, why in stand(shop)} == {("SKIPPED", sentence)}, values
        change(shop, model, **{name: value for name, value in RESTORED.items() if name in values})
    assert len(sink.mails) == 1


RESTORED = {"active": True, "gets_visits": True, "enabled": True, "status": "COMPLETE"}


@pytest.mark.row("J6")
def test_a_request_is_skipped_when_it_is_too_late_to_answer_and_its_reminder_with_it(
    shop: Shop, done: Job, work: Work, sink: Sink
) -> None:
    at(shop, work, DONE + 60 * DAY)
    assert [(status, why) for _, status, why in stand(shop)] == [
        ("SKIPPED", "The time for answering the survey is over."),
        ("SKIPPED", "The time for answering the survey is over."),
    ]
    assert sink.mails == []


@pytest.mark.row("J6")
@pytest.mark.row("P20")
def test_requests_of_a_suspended_partner_are_held_and_go_out_afterwards(
    shop: Shop, done: Job, work: Work, sink: Sink
) -> None:
    change(shop, Partner, suspended_at=DONE)
    at(shop, work, DONE + 2 * DAY)
    assert [status for _, status, _ in stand(shop)] == ["PENDING", "PENDING"]
    change(shop, Partner, suspended_at=None)
    at(shop, work, DONE + 2 * DAY)
    assert [status for _, status, _ in stand(shop)] == ["SENT", "PENDING"]


@pytest.mark.row("J6")
def test_no_reminder_of_a_request_that_was_never_sent(shop: Shop, done: Job, work: Work) -> None:
    with unit_of_work(shop.session) as session:
        session.execute(update(MessageRule).where(MessageRule.kind == MessageKind.SURVEY).values(enabled=False))
        session.delete(session.scalars(select(Message).where(Message.kind == "survey")).one())
    at(shop, work, DONE + 4 * DAY)
    assert stand(shop) == [("survey_nudge", "SKIPPED", "The first request was not sent.")]


@pytest.mark.row("J6")
def test_who_cancelled_is_not_asked(shop: Shop) -> None:
    job = shop.schedule()
    shop.do(services.cancel, shop.dispatcher, job.id, "Wrong address")
    assert dues(shop) == []
