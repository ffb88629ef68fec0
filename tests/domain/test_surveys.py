"""Surveys: answered once, in the words that were asked; what the answers come to; set-up on the audit trail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.domain.actor import Actor, Role
from portal.domain.errors import Conflict, Invalid, NotFound, Refused
from portal.domain.jobs.activity import ActFilter, list_acts
from portal.domain.jobs.models import Appointment, HistoryEntry, Job
from portal.domain.messages.models import Message
from portal.domain.people.models import Partner, Technician
from portal.domain.settings_log.models import SettingChange
from portal.domain.surveys import setup
from portal.domain.surveys.models import (
    QuestionKind,
    SurveyAnswer,
    SurveyQuestion,
    SurveyResponse,
    SurveySettings,
)
from portal.domain.surveys.queries import ResponseFilter, list_responses, results, survey_of
from portal.domain.surveys.services import SurveyInput, answer_survey
from portal.domain.surveys.setup import MAX_QUESTIONS, QuestionInput, SettingsInput
from portal.domain.unit_of_work import unit_of_work
from tests.factories import Create

LONDON = ZoneInfo("Europe/London")
# A Friday in winter time: London's clocks show UTC.
NOW = datetime(2026, 11, 27, 9, tzinfo=UTC)
DAY = timedelta(days=1)
RATING, TEXT = QuestionKind.RATING.value, QuestionKind.TEXT.value


@dataclass
class Shop:
    """A partner with its admin, and installations of which the visit was completed."""

    session: Session
    partner: Partner
    make: Create
    open: Create

    @property
    def admin(self) -> Actor:
        return Actor(None, Role.PARTNER_ADMIN, "Ada", frozenset({self.partner.id}))

    def owner(self, job: Job) -> Actor:
        """The customer of a job."""
        own = frozenset({self.partner.id})
        return Actor(None, Role.CUSTOMER, "Their customer", own, customer_ids=frozenset({job.customer_id}))

    def done(self, **values: Any) -> Job:
        """Make an installation whose visit was completed at ``NOW``."""
        job: Job = self.make(self.partner, "INSTALLATION_COMPLETED", **values)
        with unit_of_work(self.session) as session:
            session.get_one(Appointment, job.appointments[0].id).ended_at = NOW
        return job

    def do(self, use_case: Callable[..., Any], *args: Any, actor: Actor | None = None, now: datetime = NOW) -> Any:
        """Call a use case as the admin or ``actor``, within their scope, and return what it returned, loaded."""
        actor = actor or self.admin
        session: Session = self.open(actor.scope)
        with unit_of_work(session):
            row = use_case(session, actor, now, *args)
            session.flush()
            session.refresh(row)
            session.expunge_all()
        session.close()
        return row

    def answer(self, job: Job, rating: int | None, comment: str = "", now: datetime = NOW, **more: Any) -> Any:
        """Answer the survey of a job's visit as its customer."""
        form = SurveyInput(rating, comment, **more)
        return self.do(answer_survey, job.appointments[0].id, form, actor=self.owner(job), now=now)

    def ask(self, words: str, kind: str = RATING) -> SurveyQuestion:
        """Add a question."""
        question: SurveyQuestion = self.do(setup.create_question, self.partner.id, QuestionInput(words, kind))
        return question

    def asked(self, job: Job) -> list[str]:
        """Return the questions as a job's customer reads them."""
        self.session.rollback()
        survey = survey_of(self.session, self.owner(job), NOW, job.appointments[0].id)
        return [wording.words for wording in survey.questions]

    def count(self, model: type) -> int:
        """Return how many rows there are."""
        self.session.rollback()
        return self.session.scalars(select(func.count()).select_from(model)).one()

    def changes(self) -> list[tuple[str, str, dict[str, Any], dict[str, Any]]]:
        """Return the audit trail of surveys, oldest first."""
        self.session.rollback()
        query = select(SettingChange).where(SettingChange.subject.startswith("survey")).order_by(SettingChange.id)
        return [(one.subject, one.name, one.before, one.after) for one in self.session.scalars(query)]


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def shop(session: Session, new_session: Create, create_partner: Create, create_installation_in: Create) -> Shop:
    return Shop(session, create_partner(), create_installation_in, new_session)


# Answering


@pytest.mark.row("C12")
@pytest.mark.row("P12")
@pytest.mark.row("P17")
def test_a_visit_is_rated_once_and_history_says_so(shop: Shop) -> None:
    job = shop.done()
    response = shop.answer(job, 4, "  Tidy work.  ")
    assert (response.rating, response.comment, response.technician_id) == (4, "Tidy work.", job.technician_id)
    with pytest.raises(Refused) as refused:
        shop.answer(job, 1, "Something else")
    assert str(refused.value.refusal.sentence) == "You have answered already, thank you."
    assert shop.count(SurveyResponse) == 1
    (act,) = [act for act in list_acts(shop.session, ActFilter()).rows if act.entries[0].action == "answer_survey"]
    (entry,) = act.entries
    assert (entry.after, entry.reason, entry.actor_role, act.number) == (
        {"rating": 4},
        "Tidy work.",
        "customer",
        job.number,
    )
    # The database holds it too, whoever writes past the use case.
    copied = {name: getattr(response, name) for name in ("partner_id", "customer_id", "job_id", "appointment_id")}
    with pytest.raises(IntegrityError), unit_of_work(shop.session) as session:
        session.add(SurveyResponse(rating=5, comment="", answered_at=NOW, **copied))


@pytest.mark.row("C12")
def test_what_is_no_answer_is_refused_at_its_field(shop: Shop) -> None:
    job, rated, told = shop.done(), shop.ask("Punctual?"), shop.ask("Anything missing?", TEXT)
    for form, fields in (
        (SurveyInput(None), ["rating"]),
        (SurveyInput(0), ["rating"]),
        (SurveyInput(6), ["rating"]),
        (SurveyInput(3, "x" * 2001), ["comment"]),
        (SurveyInput(3, answers={rated.wording.id: "6"}), [f"answer-{rated.wording.id}"]),
        (SurveyInput(3, answers={rated.wording.id: "٣"}), [f"answer-{rated.wording.id}"]),
        (SurveyInput(None, answers={told.wording.id: "x" * 2001}), [f"answer-{told.wording.id}", "rating"]),
    ):
        with pytest.raises(Invalid) as refused:
            shop.do(answer_survey, job.appointments[0].id, form, actor=shop.owner(job))
        assert sorted(refused.value.errors) == sorted(fields)
    assert (shop.count(SurveyResponse), shop.count(SurveyAnswer)) == (0, 0)


@pytest.mark.row("C12")
@pytest.mark.row("C7")
def test_only_a_completed_visit_of_ones_own_is_rated_while_that_is_open(
    shop: Shop, create_partner: Create, create_installation_in: Create
) -> None:
    job, other = shop.done(), shop.done()
    planned = shop.make(shop.partner, "SCHEDULED")
    foreign = create_installation_in(create_partner(), "INSTALLATION_COMPLETED")
    for target, actor in ((other, shop.owner(job)), (planned, shop.owner(planned)), (foreign, shop.owner(job))):
        with pytest.raises(NotFound):
            shop.do(answer_survey, target.appointments[0].id, SurveyInput(5), actor=actor)
    session = shop.session
    last = NOW + 60 * DAY
    visit_id = job.appointments[0].id
    assert survey_of(session, shop.owner(job), last - timedelta(seconds=1), visit_id).is_open
    closed = survey_of(session, shop.owner(job), last, visit_id).closed
    assert closed is not None
    assert closed.code == "over"
    with pytest.raises(Refused):
        shop.answer(job, 5, now=last)
    with unit_of_work(session):
        session.scalars(
            select(SurveySettings).where(SurveySettings.partner_id == shop.partner.id)
        ).one().enabled = False
    with pytest.raises(Refused) as refused:
        shop.answer(job, 5)
    assert refused.value.refusal.code == "off"


@pytest.mark.row("C12")
def test_of_several_at_once_one_answers_and_the_others_are_told(shop: Shop, new_session: Create) -> None:
    job, workers = shop.done(), 4
    ready, outcomes = threading.Barrier(workers), []
    sessions = [new_session() for _ in range(workers)]

    def answer(session: Session, rating: int) -> None:
        ready.wait()
        try:
            with unit_of_work(session):
                answer_survey(session, shop.owner(job), NOW, job.appointments[0].id, SurveyInput(rating))
            outcomes.append("kept")
        except Refused as refused:
            outcomes.append(refused.refusal.code)

    threads = [threading.Thread(target=answer, args=(session, number + 1)) for number, session in enumerate(sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["answered"] * (workers - 1) + ["kept"]
    assert shop.count(SurveyResponse) == 1
    entries = select(HistoryEntry).where(HistoryEntry.job_id == job.id, HistoryEntry.action == "answer_survey")
    assert len(shop.session.scalars(entries).all()) == 1


# Questions


@pytest.mark.row("L1")
@pytest.mark.row("C12")
def test_earlier_answers_keep_the_words_they_were_given_to(shop: Shop) -> None:
    first, second = shop.done(), shop.done()
    question = shop.ask("Were we punctual?")
    before = question.wording.id
    shop.answer(first, 5, answers={before: "4"})
    edited = shop.do(setup.edit_question, question.id, question.version, QuestionInput("Did we come on time?", TEXT))
    assert (edited.name, edited.wording.kind, edited.revision) == ("Did we come on time?", TEXT, 2)
    # A form that was open when the words were changed is kept as it was read.
    shop.answer(second, 3, answers={before: "2", edited.wording.id: ""})
    shop.session.rollback()
    answers = shop.session.scalars(select(SurveyAnswer).order_by(SurveyAnswer.id)).all()
    assert [(answer.wording.words, answer.rating) for answer in answers] == [
        ("Were we punctual?", 4),
        ("Were we punctual?", 2),
    ]
    with pytest.raises(Conflict):
        shop.do(setup.edit_question, question.id, question.version, QuestionInput("Third", TEXT))


@pytest.mark.row("L1")
def test_questions_are_asked_in_their_order_while_active_each_change_on_the_trail(shop: Shop) -> None:
    job = shop.done()
    first, second = shop.ask("One"), shop.ask("Two", TEXT)
    shop.do(setup.move_question, second.id, False)
    shop.do(setup.set_question_active, first.id, False)
    assert shop.asked(job) == ["Two"]
    shop.do(setup.set_question_active, first.id, True)
    assert shop.asked(job) == ["Two", "One"]
    shop.do(setup.edit_settings, shop.partner.id, 1, SettingsInput(False, 4, True, 5))
    assert shop.changes() == [
        ("survey_question", "One", {}, {"words": "One", "kind": RATING, "active": True}),
        ("survey_question", "Two", {}, {"words": "Two", "kind": TEXT, "active": True}),
        ("survey_question", "Two", {"place": 2}, {"place": 1}),
        ("survey_question", "One", {"active": True}, {"active": False}),
        ("survey_question", "One", {"active": False}, {"active": True}),
        ("survey", "", {"enabled": True, "delay_hours": 2, "nudge_days": 3},
         {"enabled": False, "delay_hours": 4, "nudge_days": 5}),
    ]  # fmt: skip
    with pytest.raises(Conflict):
        shop.do(setup.edit_settings, shop.partner.id, 1, SettingsInput(True, 4, True, 5))
    for wrong in ((-1, 3), (337, 3), (2, 0), (2, 31)):
        with pytest.raises(Invalid):
            shop.do(setup.edit_settings, shop.partner.id, 2, SettingsInput(True, wrong[0], True, wrong[1]))


@pytest.mark.row("L1")
def test_a_partner_that_never_set_it_up_asks_nobody_until_it_does(shop: Shop) -> None:
    with unit_of_work(shop.session) as session:
        session.delete(session.scalars(select(SurveySettings)).one())
    job = shop.done()
    assert shop.session.scalars(select(Message.kind).where(Message.kind.startswith("survey"))).all() == []
    closed = survey_of(shop.session, shop.owner(job), NOW, job.appointments[0].id).closed
    assert closed is not None
    assert closed.code == "off"
    shop.do(setup.edit_settings, shop.partner.id, 0, SettingsInput(True, 2, False, 3))
    assert shop.answer(job, 5).rating == 5
    assert shop.changes() == [("survey", "", {}, {"enabled": True, "delay_hours": 2, "nudges": False, "nudge_days": 3})]
    with pytest.raises(Conflict):
        shop.do(setup.edit_settings, shop.partner.id, 0, SettingsInput(True, 2, False, 3))


@pytest.mark.row("L1")
def test_a_question_needs_words_of_its_own_a_kind_and_room(
    shop: Shop, create_partner: Create, create_installation_in: Create
) -> None:
    shop.ask("One")
    for words, kind, field in (
        (" \n", RATING, "words"), ("x" * 201, RATING, "words"), (" One ", TEXT, "words"), ("Two", "essay", "kind"),
    ):  # fmt: skip
        with pytest.raises(Invalid) as refused:
            shop.ask(words, kind)
        assert list(refused.value.errors) == [field]
    for number in range(2, MAX_QUESTIONS + 1):
        last = shop.ask(f"Number {number}")
    with pytest.raises(Invalid):
        shop.ask("One too many")
    shop.do(setup.set_question_active, last.id, False)
    shop.ask("One more")
    with pytest.raises(Invalid):
        shop.do(setup.set_question_active, last.id, True)
    stranger = Actor(None, Role.PARTNER_ADMIN, "Eve", frozenset({create_partner().id}))
    with pytest.raises(NotFound):
        shop.do(setup.edit_question, MISSING, 1, QuestionInput("Mine", TEXT), actor=stranger)


MISSING = 987_654


# What it comes to


@pytest.mark.row("C12")
@pytest.mark.row("P19")
def test_results_are_the_averages_of_what_the_filter_leaves(
    shop: Shop, create_technician: Create, statements: list[str]
) -> None:
    ann: Technician = create_technician(shop.partner, name="Ann")
    bob: Technician = create_technician(shop.partner, name="Bob")
    punctual = shop.ask("Punctual?").wording.id
    # By hand: technician, rating, days ago, answer to the question.
    for technician, rating, ago, answer in (
        (ann, 5, 0, "5"), (ann, 4, 1, ""), (bob, 1, 7, "2"), (bob, 3, 8, "3"), (bob, 2, 100, ""),
    ):  # fmt: skip
        job = shop.done(technician=technician)
        shop.answer(job, rating, SAID[rating], now=NOW, answers={punctual: answer})
        move(shop, job, NOW - ago * DAY)
    today = date(2026, 11, 27)

    def found(**values: Any) -> Any:
        return results(shop.session, ResponseFilter(**values), LONDON, today)

    everything = found()
    assert (everything.overall.count, everything.overall.average) == (5, 3.0)
    assert everything.by_rating == {1: 1, 2: 1, 3: 1, 4: 1, 5: 1}
    assert [(name, score.count, score.average) for name, score in everything.by_technician] == [
        ("Ann", 2, 4.5),
        ("Bob", 3, 2.0),
    ]
    assert [(words, score.count, round(score.average, 2)) for words, score in everything.by_question] == [
        ("Punctual?", 3, 3.33)
    ]
    assert len(everything.periods) == 12
    assert not everything.monthly
    last, before = everything.periods[-1], everything.periods[-2]
    assert (last.first, last.last, last.score.count, last.score.average) == (date(2026, 11, 23), today, 2, 4.5)
    assert (before.first, before.last, before.score.count) == (date(2026, 11, 16), date(2026, 11, 22), 2)
    assert sum(period.score.count for period in everything.periods) == 4
    some = found(first=date(2026, 11, 19), last=date(2026, 11, 26), technician_id=bob.id)
    assert (some.overall.count, some.overall.average, len(some.periods)) == (2, 2.0, 2)
    assert some.periods[0].first == date(2026, 11, 19)
    assert found(rating=4).overall.count == 1
    assert found(text="SPLENDID").overall.count == 1
    assert found(text="nowhere").overall.average is None
    year = found(first=date(2026, 1, 10))
    assert year.monthly
    assert [(period.first, period.last) for period in year.periods][:: len(year.periods) - 1] == [
        (date(2026, 1, 10), date(2026, 1, 31)), (date(2026, 11, 1), today),
    ]  # fmt: skip
    assert sum(period.score.count for period in year.periods) == 5
    listed = list_responses(shop.session, ResponseFilter(technician_id=bob.id), LONDON).rows
    assert [row.rating for row in listed] == [1, 3, 2]
    shop.session.rollback()
    statements.clear()
    found()
    assert len([one for one in statements if "survey_responses" in one]) == 3


SAID = {1: "Awful", 2: "Poor", 3: "Fair", 4: "Good", 5: "Splendid"}


def move(shop: Shop, job: Job, answered_at: datetime) -> None:
    with unit_of_work(shop.session) as session:
        session.scalars(select(SurveyResponse).where(SurveyResponse.job_id == job.id)).one().answered_at = answered_at


@pytest.mark.row("C12")
def test_an_answer_in_the_night_belongs_to_the_local_date(shop: Shop) -> None:
    job = shop.done()
    shop.answer(job, 5)
    # Half past midnight in London on the first day of summer time's June.
    move(shop, job, datetime(2026, 5, 31, 23, 30, tzinfo=UTC))
    on = {
        day: results(shop.session, ResponseFilter(first=day, last=day), LONDON, date(2026, 11, 27)).overall.count
        for day in (date(2026, 5, 31), date(2026, 6, 1))
    }
    assert on == {date(2026, 5, 31): 0, date(2026, 6, 1): 1}
