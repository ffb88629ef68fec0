"""Surveys at the browser: the link without signing in, the past visit's page, results and set-up in the office."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor, Role
from portal.domain.jobs.models import Appointment, Job
from portal.domain.people.models import Partner
from portal.domain.surveys import setup
from portal.domain.surveys.models import SurveyAnswer, SurveyQuestion, SurveyResponse, SurveySettings
from portal.domain.surveys.services import SurveyInput, answer_survey
from portal.domain.surveys.setup import QuestionInput
from portal.domain.unit_of_work import unit_of_work
from portal.web.branding import sheet_url
from portal.web.links import survey_path
from tests.factories import Create
from tests.helpers import Site
from tests.web.office import NOW, clock
from tests.web.platform import Platform, platform

__all__ = ["clock", "platform"]

SCRIPT = "<script>alert(1)</script>"


@dataclass
class Linked:
    """Cleo's visit by Tom, completed just now, the link to its survey, and a stranger's browser that holds it."""

    platform: Platform
    session: Session
    app: Flask
    job: Job
    visit: Appointment
    site: Site
    link: str

    @property
    def staff(self) -> Actor:
        return Actor(None, Role.PARTNER_ADMIN, "Alma", frozenset({self.platform.acme.id}))

    @property
    def customer(self) -> Actor:
        people = frozenset({self.platform.customer.id})
        return Actor(None, Role.CUSTOMER, "Cleo Raman", frozenset({self.platform.acme.id}), customer_ids=people)

    def ask(self, words: str, kind: str) -> int:
        """Add a question and return the key of its wording."""
        with unit_of_work(self.session) as session:
            question = setup.create_question(
                session, self.staff, NOW, self.platform.acme.id, QuestionInput(words, kind)
            )
            return question.wording.id

    def answer(self, rating: int, comment: str = "") -> None:
        with unit_of_work(self.session) as session:
            answer_survey(session, self.customer, NOW, self.visit.id, SurveyInput(rating, comment))

    def responses(self) -> list[SurveyResponse]:
        self.session.rollback()
        return list(self.session.scalars(select(SurveyResponse).order_by(SurveyResponse.id)))

    def change(self, model: type, **values: Any) -> None:
        with unit_of_work(self.session) as session:
            for row in session.scalars(select(model)):
                for name, value in values.items():
                    setattr(row, name, value)

    def heading(self) -> str:
        heading = self.site.page.h1
        assert heading is not None
        return heading.get_text().strip()


@pytest.fixture
def linked(clock: Any, platform: Platform, create_installation_in: Create, create_service_type: Create) -> Linked:
    kind = create_service_type(platform.acme, name="Boiler service")
    given = {"customer": platform.customer, "technician": platform.technician, "start": NOW, "kind": kind}
    job = create_installation_in(platform.acme, "INSTALLATION_COMPLETED", **given)
    (visit,) = job.appointments
    with platform.app.app_context():
        link = survey_path(visit.id)
    return Linked(platform, platform.session, platform.app, job, visit, platform.browser(), link)


def errors(site: Site) -> list[str]:
    """Return where the links of the summary lead; each leads somewhere, and the field says the same.

    Of a number the summary says its label first.
    """
    found = []
    for one in site.page.select(".error-summary a"):
        target = str(one["href"]).removeprefix("#")
        assert site.page.select_one(f"[id='{target}']") is not None
        field = site.page.select_one(f"[id='{target}-error']")
        assert field is not None
        label, said = site.page.select_one(f"label[for='{target}']"), field.get_text().strip()
        named = f"{label.get_text().strip()}: {said}" if label is not None else said
        assert one.get_text().strip() in (said, named)
        found.append(target)
    return found


# The link


@pytest.mark.once
@pytest.mark.row("C12")
def test_an_answer_from_a_page_whose_session_was_replaced_is_kept_for_another_try(linked: Linked) -> None:
    site = linked.site
    site.open_beside_another(linked.link)
    site.submit({"rating": "4", "comment": "All was well"}, button="Send my rating")
    assert "What you entered is still here: send it once more." in site.text
    assert linked.responses() == []
    site.submit(button="Send my rating")
    assert [(one.rating, one.comment) for one in linked.responses()] == [(4, "All was well")]
    assert site.client.post(f"{linked.link}x").status_code == 404


@pytest.mark.row("C12")
@pytest.mark.row("J6")
def test_a_visit_is_rated_from_the_link_in_its_message(linked: Linked, clock: Any) -> None:
    punctual, missing = linked.ask("Were we punctual?", "rating"), linked.ask("What was missing?", "text")
    linked.platform.run_worker()
    sent = len(linked.platform.post.letters)
    clock.shift(timedelta(hours=2))
    linked.platform.run_worker()
    (letter,) = linked.platform.post.letters[sent:]
    found = re.search(r"Rate this visit: http://[^/]+(/survey/[\w.-]+)", letter.body)
    assert found is not None
    assert found[1] == linked.link
    assert f'class="button" href="http://127.0.0.1:8000{linked.link}"' in letter.body_html

    site = linked.site
    answer = site.get(linked.link)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    for words in ("Acme", "Boiler service", "Fri 20 Nov", "Tom Reyes", "Were we punctual?", "What was missing?"):
        assert words in site.text
    for words in ("14 Alder Close", "Cleo", "Heat pump"):
        assert words not in site.text
    with linked.app.test_request_context():
        assert sheet_url(linked.platform.acme.brand_colour) in answer.text
    # Whoever opens the link changes nothing, and without the form's token nothing is kept.
    assert site.client.post(linked.link, data={"rating": "5"}).status_code == 400
    assert linked.responses() == []

    # A rating is asked for, and what was typed is kept.
    assert site.submit({"comment": "Tidy work", f"answer-{punctual}": "4"}).status_code == 422
    assert errors(site) == ["rating"]
    assert site.page.title is not None
    assert site.page.title.get_text().startswith("Error:")
    assert site.page.select_one("textarea[name=comment]").get_text().strip() == "Tidy work"  # type: ignore[union-attr]
    assert site.page.select_one(f"input[name=answer-{punctual}][value='4']").has_attr("checked")  # type: ignore[union-attr]
    too_long = {"rating": "5", "comment": "x" * 2001, f"answer-{missing}": "y" * 2001}
    assert site.submit(too_long).status_code == 422
    assert errors(site) == [f"answer-{missing}", "comment"]
    assert site.submit({"comment": SCRIPT, f"answer-{missing}": "A chair"}).status_code == 200
    assert linked.heading() == "You have answered, thank you"
    for words in ("5 of 5", "4 of 5", SCRIPT, "A chair"):
        assert words in site.text
    (response,) = linked.responses()
    assert (response.rating, response.comment, response.technician_id) == (5, SCRIPT, linked.platform.technician.id)
    answers = linked.session.scalars(select(SurveyAnswer).order_by(SurveyAnswer.id)).all()
    assert [(one.wording_id, one.rating, one.text) for one in answers] == [
        (punctual, 4, ""),
        (missing, None, "A chair"),
    ]

    # Once more, in any browser, says what was said and keeps nothing new.
    other = linked.platform.browser(linked.platform.robin)
    assert other.post(linked.link, {"rating": "1", "comment": "No"}).status_code == 303
    other.get(linked.link)
    assert "You have answered, thank you" in other.text
    assert "5 of 5" in other.text
    assert not other.page.select("main form")
    assert len(linked.responses()) == 1


@pytest.mark.row("C12")
def test_a_link_that_is_past_its_work_says_so(linked: Linked, clock: Any) -> None:
    def expect(status: int, heading: str, said: str) -> None:
        assert linked.site.get(linked.link).status_code == status
        assert linked.heading() == heading
        assert said in linked.site.text
        assert not linked.site.page.select("main form")
        assert linked.site.post(linked.link, {"rating": "5"}).status_code == 303
        assert linked.responses() == []

    closed = "This visit cannot be rated any more"
    linked.change(SurveySettings, enabled=False)
    expect(410, closed, "The company does not ask for ratings at present.")
    linked.change(SurveySettings, enabled=True)
    linked.change(Partner, suspended_at=NOW)
    expect(410, closed, "This company's account is suspended")
    linked.change(Partner, suspended_at=None)
    clock.move_to(NOW + timedelta(days=60) - timedelta(seconds=1))
    assert linked.site.get(linked.link).status_code == 200
    clock.move_to(NOW + timedelta(days=60))
    expect(410, closed, "The time for answering the survey is over.")


@pytest.mark.row("C12")
@pytest.mark.row("C7")
def test_a_link_that_nobody_made_opens_nothing(linked: Linked, create_installation_in: Create) -> None:
    theirs = create_installation_in(linked.platform.zenith, "INSTALLATION_COMPLETED", items=[("Xanadu pump", 1)])
    planned = create_installation_in(linked.platform.acme, "SCHEDULED")
    with linked.app.app_context():
        other, early, missing = (
            survey_path(key) for key in (theirs.appointments[0].id, planned.appointments[0].id, 987_654)
        )
    body, _, seal = linked.link.rpartition(".")
    confirm = linked.link.replace("/survey/", "/confirm/")
    wrong = (linked.link[:-1], f"{other.rpartition('.')[0]}.{seal}", f"{body}.", "/survey/x", missing, early, confirm)
    for link in wrong:
        assert linked.site.get(link).status_code == 404, link
        assert "Boiler service" not in linked.site.text
        assert linked.site.post(link, {"rating": "5"}).status_code == 404, link
    # Each opens its own, signed in as whoever it may be, with no question of another partner's.
    foreign = linked.ask("Xanadu?", "text")
    cleo = linked.platform.browser(linked.platform.cleo)
    cleo.get(other)
    assert "Zenith" in cleo.text
    assert "Boiler service" not in cleo.text
    sent = {"rating": "2", "question": str(foreign), f"answer-{foreign}": "Taken over"}
    assert cleo.post(other, sent).status_code == 303
    (response,) = linked.responses()
    assert (response.partner_id, response.customer_id) == (theirs.partner_id, theirs.customer_id)
    assert linked.session.scalars(select(SurveyAnswer)).all() == []


@pytest.mark.row("C12")
def test_nonsense_in_the_form_is_no_failure(linked: Linked) -> None:
    asked = linked.ask("Were we punctual?", "rating")
    for rating in ("", "0", "6", "1.5", "５", "9" * 5000, SCRIPT):
        answer = linked.site.post(linked.link, {"rating": rating, "question": ["9" * 30, "x", "-1", "0"]})
        assert answer.status_code == 422, rating
    answer = linked.site.post(linked.link, {"rating": "5", "question": str(asked), f"answer-{asked}": "x"})
    assert answer.status_code == 422
    assert linked.responses() == []
    assert linked.site.post(linked.link, {"rating": "5", "question": "987654", "answer-987654": "x"}).status_code == 303
    assert len(linked.responses()) == 1


# Signed in


@pytest.mark.row("C12")
@pytest.mark.row("C2")
def test_a_past_visit_offers_the_survey_and_then_shows_what_was_said(
    linked: Linked, create_customer: Create, create_user: Create
) -> None:
    cleo, at = linked.platform.browser(linked.platform.cleo), f"/my/visits/{linked.visit.id}"
    cleo.get(at)
    assert cleo.page.select_one(f"a[href='{at}/survey']").get_text() == "Rate this visit"  # type: ignore[union-attr]
    cleo.get(f"{at}/survey")
    assert cleo.submit(button="Send my rating").status_code == 422
    assert errors(cleo) == ["rating"]
    cleo.submit({"rating": "3"}, button="Send my rating")
    assert "You have answered, thank you" in cleo.text
    cleo.get(at)
    assert "3 of 5" in cleo.text
    assert "Rate this visit" not in cleo.text
    neighbour = linked.platform.browser(create_user(name="Nell"))
    somebody = create_user(name="Ned")
    create_customer(linked.platform.acme, somebody)
    neighbour = linked.platform.browser(somebody)
    assert neighbour.get(f"{at}/survey").status_code == 404
    assert neighbour.post(f"{at}/survey", {"rating": "1"}).status_code == 404
    assert len(linked.responses()) == 1


# The office


@pytest.mark.row("C12")
@pytest.mark.row("P12")
@pytest.mark.row("P16")
@pytest.mark.row("P17")
def test_the_office_reads_results_on_their_list_the_job_and_the_feed(linked: Linked) -> None:
    desk = linked.platform.browser(linked.platform.dana)
    desk.get("/admin/survey-results/")
    assert "Nobody has rated a visit yet." in desk.text
    linked.answer(4, "=1+1 Tidy work")
    desk.get("/admin/survey-results/")
    for words in ("4.0 of 5, from 1 rating", "Cleo Raman", "Tom Reyes", "=1+1 Tidy work", "4 of 5"):
        assert words in desk.text, words
    # What is drawn stands beside it as a number.
    assert len(desk.page.select("table.charted svg rect.chart-part")) == 5 + 12 + 1
    for query, rows in (
        ("rating=4", 1), ("rating=5", 0), ("first=2026-11-20", 1), ("first=2026-11-19&last=2026-11-19", 0),
        (f"technician={linked.platform.technician.id}", 1), ("q=tidy", 1), ("q=nothing", 0),
        ("sort=rating", 1), ("first=0001-01-01&technician=abc&rating=9", 1),
    ):  # fmt: skip
        desk.get(f"/admin/survey-results/?{query}")
        assert len(desk.page.select("#listed tbody tr")) == rows, query
    csv = desk.client.get("/admin/survey-results/export/csv/?rating=4").get_data(as_text=True)
    assert "'=1+1 Tidy work" in csv
    assert linked.job.number in csv
    assert linked.job.number not in desk.client.get("/admin/survey-results/export/csv/?rating=5").get_data(as_text=True)
    desk.get(f"/admin/installations/{linked.job.id}")
    assert "4 of 5" in desk.page.select_one("section[aria-labelledby=r-h]").get_text()  # type: ignore[union-attr]
    assert "Rated" in desk.page.select_one(".timeline").get_text()  # type: ignore[union-attr]
    desk.get("/admin/activity/")
    assert f"{linked.job.number} was rated by the customer." in desk.text


@pytest.mark.row("L1")
def test_the_partner_admin_sets_up_the_survey_and_nobody_else(linked: Linked) -> None:
    alma, dana = (linked.platform.browser(who) for who in (linked.platform.alma, linked.platform.dana))
    for path in ("survey/", "survey-questions/", "survey-questions/new/"):
        assert dana.get(f"/admin/{path}").status_code == 403
    alma.get("/admin/survey/")
    assert alma.submit({"delay_hours": "999", "nudge_days": "0"}, button="Save").status_code == 422
    assert errors(alma) == ["delay_hours", "nudge_days"]
    other = linked.platform.browser(linked.platform.alma)
    other.get("/admin/survey/")
    alma.submit({"delay_hours": "24", "nudge_days": "5"}, button="Save")
    assert "Saved. It holds for visits completed from now on." in alma.text
    assert other.submit({"delay_hours": "1"}, button="Save").status_code == 409
    assert "24" in other.text

    alma.get("/admin/survey-questions/")
    assert "No questions of your own yet." in alma.text
    alma.get("/admin/survey-questions/new/")
    assert alma.submit({"words": " ", "kind": "essay"}, button="Add question").status_code == 422
    assert errors(alma) == ["words", "kind"]
    for words, kind in (("Were we punctual?", "rating"), ("What was missing?", "text")):
        alma.get("/admin/survey-questions/new/")
        alma.submit({"words": words, "kind": kind}, button="Add question")
    linked.session.rollback()
    first, second = linked.session.scalars(select(SurveyQuestion).order_by(SurveyQuestion.id)).all()
    alma.post(f"/admin/survey-questions/{second.id}/up")
    alma.get(f"/admin/survey-questions/edit/?id={first.id}")
    alma.submit({"words": "Did we come on time?"}, button="Save Were we punctual?")
    alma.get("/admin/survey-questions/")
    listed = [link.get_text() for link in alma.page.select("#listed a.title")]
    assert listed == ["What was missing?", "Did we come on time?"]
    alma.post(f"/admin/survey-questions/{first.id}/deactivate")
    linked.site.get(linked.link)
    assert "What was missing?" in linked.site.text
    assert "on time" not in linked.site.text
    alma.get("/admin/settings-changes/?subject=survey_question")
    for words in ("A rating from 1 to 5", "Were we punctual?", "Did we come on time?", "Place in the list"):
        assert words in alma.text
    alma.get("/admin/settings-changes/?subject=survey")
    assert "How long after the visit" in alma.text
