"""The question an open office page asks again and again, and what it is answered (P17)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from portal.domain.actor import Actor, Role
from portal.domain.jobs import fieldwork, services
from portal.domain.people.models import Customer, Partner
from portal.domain.unit_of_work import unit_of_work
from tests.factories import Create
from tests.helpers import Site
from tests.web.office import TUESDAY, URL, Office, clock, office

__all__ = ["clock", "office"]

pytestmark = pytest.mark.row("P17")
LIVE = "/admin/live/"
PAGES = ("/admin/", URL, "/admin/calendar/", "/admin/activity/", "/admin/customers/")


def revision(site: Site) -> str:
    """Return how far the page in front knows."""
    line = site.page.select_one("#live")
    assert line is not None
    return str(line["data-revision"])


def ask(site: Site, known: str) -> TestResponse:
    return site.client.get(LIVE, headers={"If-None-Match": f'"{known}"'})


def the_customer(office: Office) -> Actor:
    own = frozenset({office.customer.id})
    return Actor(None, Role.CUSTOMER, "Priya Raman", frozenset({office.partner.id}), customer_ids=own)


def test_nothing_new_costs_two_statements_and_no_body(
    office: Office, statements: list[str], app: Flask, create_installation: Create, create_partner: Create
) -> None:
    """Each page knows all that it shows, and other partners' changes are none of its business."""
    office.create(technician=office.ines)
    sessions = Path(app.config["SETTINGS"].session_dir)
    for page in PAGES:
        office.site.get(page)
        known = revision(office.site)
        assert f'data-every="{app.config["SETTINGS"].live_seconds}"' in office.site.page.decode()
        create_installation(create_partner())
        before = {path: path.stat().st_mtime_ns for path in sessions.iterdir()}
        statements.clear()
        answer = ask(office.site, known)
        assert answer.status_code == 304, page
        assert 0 < len(statements) <= 2, statements
        assert answer.data == b""
        assert "Set-Cookie" not in answer.headers
        assert answer.headers["Cache-Control"] == "no-store"
        assert {path: path.stat().st_mtime_ns for path in sessions.iterdir()} == before


def test_what_people_do_is_told_in_a_sentence_once(office: Office, set_controls: Create, clock: Any) -> None:
    set_controls(office.partner, self_service=True, reschedule_unconfirmed=True)
    job = office.create(technician=office.ines)
    office.site.get(URL)
    known = revision(office.site)
    (visit,) = office.visits(job)
    start = TUESDAY + timedelta(hours=4)
    office.do(services.move_by_customer, visit.id, start, actor=the_customer(office))
    told = ask(office.site, known).get_json()
    (change,) = told["changes"]
    assert change == {
        "id": office.history(job)[-1].id,
        "job": job.id,
        "said": "D-1001 was moved by the customer to Tue 24 Nov, 13:00–15:00.",
        "cause": "Moved by customer just now",
    }
    assert ask(office.site, told["revision"]).status_code == 304

    clock.move_to(TUESDAY)
    technician = Actor(
        None, Role.TECHNICIAN, "Ines Kowalski", frozenset({office.partner.id}), technician_id=office.ines.id
    )
    (visit,) = office.visits(job)
    office.do(fieldwork.set_off, visit.id, visit.move_number, actor=technician)
    other = office.create(start=TUESDAY + timedelta(days=1), now=TUESDAY, technician=office.tomas)
    told = ask(office.site, told["revision"]).get_json()
    assert [(one["job"], one["said"], one["cause"]) for one in told["changes"]] == [
        (job.id, "Ines Kowalski is on the way to D-1001.", "On the way just now"),
        (other.id, "D-1002 was scheduled by Dana Okafor for Wed 25 Nov, 9:00.", "Scheduled by Dana Okafor just now"),
        (other.id, "D-1002 was assigned by Dana Okafor to Tomás Reyes.", "Assigned by Dana Okafor just now"),
    ]
    assert ask(office.site, told["revision"]).status_code == 304


@pytest.mark.parametrize("what", ["customer", "partner"])
def test_what_no_history_tells_changes_the_pages_too(office: Office, what: str) -> None:
    office.site.get(URL)
    known = revision(office.site)
    with unit_of_work(office.session) as session:
        if what == "customer":
            session.get_one(Customer, office.customer.id).name = "Priya Raman-Ferris"
        else:
            session.get_one(Partner, office.partner.id).staff_term = "Fitter"
    answer = ask(office.site, known).get_json()
    assert answer["changes"] == []
    assert ask(office.site, answer["revision"]).status_code == 304


def test_what_time_alone_changes_shows_within_minutes(office: Office, clock: Any) -> None:
    office.site.get("/admin/")
    known = revision(office.site)
    clock.shift(timedelta(minutes=4))
    assert ask(office.site, known).status_code == 304
    clock.shift(timedelta(minutes=1))
    answer = ask(office.site, known)
    assert answer.get_json()["changes"] == []
    assert ask(office.site, answer.get_json()["revision"]).status_code == 304


def test_a_revision_that_no_page_was_given_gets_a_new_one(office: Office) -> None:
    office.create()
    office.site.get("/admin/")
    good = revision(office.site)
    seconds, _, mark = good.partition("-")
    odd = ["", "x", "-", mark, f"{seconds}-", f"{seconds}-x", f"-1-{mark}", f"{'9' * 30}-{mark}"]
    odd += [
        f"{seconds}-{'9' * 30}",
        f"{seconds}-1.{2**63}",
        f"{seconds}-{'1.' * 5000}1",
        f"{seconds}-1",
        "😀",
        "٣-1.1",
        f"{seconds}-0.0.0.0'--",
    ]
    for text in odd:
        answer = office.site.client.get(LIVE, headers={"If-None-Match": f'"{text}"'.encode().decode("latin-1")})
        assert answer.status_code == 200, text
        assert answer.get_json()["changes"] == []
        assert ask(office.site, answer.get_json()["revision"]).status_code == 304
    assert office.site.client.get(LIVE).status_code == 200
    # One from before everything is told everything of ours, and nothing more.
    told = ask(office.site, f"{seconds}-0.0").get_json()["changes"]
    assert {one["job"] for one in told} == {job.id for job in office.jobs()}


def test_strangers_and_others_are_told_so_without_a_way_to_sign_in(
    app: Flask, office: Office, create_user: Create, create_customer: Create
) -> None:
    person = create_user()
    create_customer(office.partner, person)
    for user, status in ((None, 401), (person, 403), (create_user(is_operator=True), 403)):
        browser = Site(app.test_client())
        if user is not None:
            browser.sign_in(user)
        assert browser.client.get(LIVE).status_code == status
    office.site.get(URL)
    known = revision(office.site)
    office.site.sign_out()
    assert ask(office.site, known).status_code == 401


def test_a_page_that_fetches_itself_leaves_what_is_said_once_to_the_person(office: Office) -> None:
    kind = office.site
    kind.get("/admin/customers/new/")
    kind.client.post(
        "/admin/customers/new/",
        data={"csrf_token": kind.token(), "name": "New Person", "addresses-0-line": "1 New Street"},
    )
    background = kind.client.get("/admin/customers/", headers={"Doorstep-Live": "1"})
    assert "New Person" in background.text
    assert "is added" not in background.text
    kind.get("/admin/customers/")
    assert "New Person is added." in kind.text


def test_a_form_that_was_refused_and_an_operator_at_home_ask_nothing(
    app: Flask, office: Office, create_user: Create
) -> None:
    office.site.get("/admin/customers/new/")
    assert office.site.page.select_one("#live")
    office.site.submit({"name": ""})
    assert office.site.last is not None
    assert office.site.last.status_code == 422
    assert office.site.page.select_one("#live") is None
    operator = Site(app.test_client())
    operator.sign_in(create_user(is_operator=True))
    assert operator.page.select_one("#live") is None
