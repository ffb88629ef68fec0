"""Change requests through both browsers: the customer asks, the dispatcher answers, and both databases keep it (C6)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.domain.jobs import fieldwork, services
from portal.domain.jobs.models import Appointment, HistoryEntry, Job
from portal.domain.messages.models import Message
from portal.domain.people.models import User
from portal.domain.requests.models import ChangeRequest
from portal.domain.requests.services import due_to_lapse, lapse_started
from portal.domain.unit_of_work import unit_of_work
from tests.factories import Create
from tests.helpers import Site
from tests.web.office import TUESDAY, Office, clock, office  # noqa: F401

pytestmark = pytest.mark.row("C6")
QUEUE = "/admin/change-requests/"


@dataclass
class Both:
    """Priya's browser beside Dana's, and Priya's visit by Tomás on Tuesday at nine."""

    office: Office
    my: Site
    priya: User
    job: Job
    session: Session

    @property
    def at(self) -> str:
        return f"/my/visits/{self.visit.id}"

    @property
    def visit(self) -> Appointment:
        return self.office.visits(self.job)[-1]

    def ask(self, wish: str = "reschedule", words: str = "Any morning from Monday on") -> None:
        """Ask by the form of the page that refuses."""
        self.my.get(f"{self.at}/modify")
        self.my.submit({"wish": wish, "words": words}, button="Request change")

    def requests(self) -> list[ChangeRequest]:
        self.session.rollback()
        query = select(ChangeRequest).order_by(ChangeRequest.id)
        return list(self.session.scalars(query, execution_options={"populate_existing": True}))

    def states(self) -> list[str]:
        return [request.status for request in self.requests()]


def badge(both: Both) -> str:
    """What the customer's page says of their latest request."""
    return both.my.page.select_one(".rows .status").get_text().strip()  # type: ignore[union-attr]


@pytest.fixture
def both(office: Office, app: Flask, session: Session, create_user: Create, create_customer: Create) -> Both:  # noqa: F811
    """Acme with self-service off, as it is from the start."""
    priya = create_user(name="Priya Raman")
    customer = create_customer(office.partner, priya, name="Priya Raman")
    job = office.create(customer=customer, technician=office.tomas)
    my = Site(app.test_client())
    my.sign_in(priya)
    return Both(office, my, priya, job, session)


@pytest.mark.row("M2")
@pytest.mark.row("P18")
def test_where_modify_is_off_the_customer_asks_and_the_dispatcher_moves(both: Both) -> None:
    both.my.get("/my/")
    both.my.get(both.my.page.find("a", string="Request change")["href"])  # type: ignore[index]
    assert "Changes to visits are made by our office." in both.my.text
    both.my.submit({"wish": "reschedule", "words": "Any morning from Monday on"}, button="Request change")
    assert "We have your request. Your visit stays as it is until we answer." in both.my.text
    both.my.get("/my/")
    assert (
        "You asked us for another time. It stays as it is until we answer. “Any morning from Monday on”" in both.my.text
    )
    both.my.get("/my/requests")
    assert badge(both) == "Waits for our answer"

    desk = both.office.site
    desk.get(QUEUE)
    assert "Priya Raman" in desk.text
    assert "“Any morning from Monday on”" in desk.text
    desk.get(str(desk.page.select_one("td.do a")["href"]))  # type: ignore[index]
    assert "Answers the customer’s request “Any morning from Monday on”" in desk.text
    desk.submit({"date": "2026-11-30", "time": "10:00", "slot": ""}, button="Move the visit")
    assert both.visit.start_at == TUESDAY + timedelta(days=6, hours=1)
    assert both.states() == ["APPLIED"]
    both.session.rollback()
    assert "moved" in both.session.scalars(select(Message.kind).where(Message.job_id == both.job.id)).all()
    both.my.get("/my/requests")
    assert badge(both) == "Done"
    desk.get(QUEUE)
    assert "No change request waits for an answer." in desk.text


@pytest.mark.row("P18")
def test_the_dispatcher_cancels_with_the_customers_words_as_reason(both: Both) -> None:
    both.ask("cancel", "We are moving away")
    desk = both.office.site
    desk.get(both.office.at(both.job))
    assert "The customer asks to cancel this visit. “We are moving away”" in desk.text
    desk.get(both.office.at(both.job, "cancel"))
    desk.submit(button="Cancel installation")
    assert both.visit.status == "CANCELLED"
    assert both.visit.cancel_reason == "We are moving away"
    assert both.states() == ["APPLIED"]


@pytest.mark.row("P18")
def test_declining_needs_a_reason_that_the_customer_reads(both: Both) -> None:
    both.ask()
    (wish,) = both.requests()
    desk = both.office.site
    desk.get(f"{QUEUE}{wish.id}/decline")
    for blank in ("", " \u200b\n", "x" * 2001):
        assert desk.submit({"reason": blank}, button="Decline request").status_code == 422
    assert both.states() == ["PENDING"]
    desk.submit({"reason": "Tomás is away until Thursday 😀"}, button="Decline request")
    assert both.states() == ["DECLINED"]
    assert both.visit.start_at == TUESDAY
    desk.get("/admin/messages/")
    assert "Change request declined Email Priya Raman" in desk.text
    both.my.get("/my/requests")
    assert "Our answer: Tomás is away until Thursday 😀" in both.my.text
    # An old tab: declined is an end.
    assert desk.post(f"{QUEUE}{wish.id}/decline", {"reason": "Twice"}).status_code == 409
    assert desk.get(f"{QUEUE}{wish.id}/decline").status_code == 409
    # And now another one may be asked.
    both.ask(words="Then Friday")
    assert both.states() == ["DECLINED", "PENDING"]


def test_one_wish_of_a_visit_waits_at_a_time(both: Both) -> None:
    both.ask()
    token = both.my.token()
    values = {"csrf_token": token, "wish": "cancel", "words": "Again", "move_number": str(both.visit.move_number)}
    assert both.my.client.post(f"{both.at}/request", data=values).status_code == 303
    assert both.states() == ["PENDING"]
    assert both.my.get(f"{both.at}/request").request.path == both.at
    # The database holds it too, whoever is quicker.
    (wish,) = both.requests()
    twice = {column.key: getattr(wish, column.key) for column in ChangeRequest.__table__.columns if column.key != "id"}
    with pytest.raises(IntegrityError), unit_of_work(both.session):
        both.session.add(ChangeRequest(**twice))


def test_what_modify_allows_is_not_asked_for(both: Both, set_controls: Create) -> None:
    set_controls(both.office.partner, self_service=True, cancel_unconfirmed=False)
    both.my.get(f"{both.at}/modify")
    both.my.get(both.my.page.find("a", string="Request change")["href"])  # type: ignore[index]
    assert [radio["value"] for radio in both.my.page.select("input[name=wish]")] == ["cancel"]
    values = {"wish": "reschedule", "words": "Earlier", "move_number": str(both.visit.move_number)}
    assert both.my.post(f"{both.at}/request", values).status_code == 409
    assert both.states() == []
    both.my.get(f"{both.at}/request")
    both.my.submit({"wish": "cancel", "words": "No roof any more"}, button="Request change")
    assert both.states() == ["PENDING"]


@pytest.mark.row("C7")
def test_bad_input_asks_for_nothing(both: Both, create_customer: Create, create_user: Create) -> None:
    usual = {"wish": "reschedule", "words": "Earlier", "move_number": str(both.visit.move_number)}
    for change, status in (
        ({"words": " "}, 422),
        ({"words": "x" * 10_000}, 422),
        ({"words": "\0"}, 400),
        ({"wish": "paint"}, 422),
        ({"wish": ""}, 303),
        ({"move_number": "x"}, 400),
        ({"move_number": "7"}, 409),
    ):
        assert both.my.post(f"{both.at}/request", {**usual, **change}).status_code == status, change
        if status == 303:
            # Nothing chosen is the first choice, as the page shows it.
            assert both.states().pop() == "PENDING"
            with unit_of_work(both.session):
                both.session.delete(both.session.scalars(select(ChangeRequest)).one())
    assert both.states() == []
    other = both.office.create(customer=create_customer(both.office.partner, create_user()), start=TUESDAY)
    for key in (both.office.visits(other)[0].id, 0, 2**63 - 1):
        for answer in (both.my.get(f"/my/visits/{key}/request"), both.my.post(f"/my/visits/{key}/request", usual)):
            assert answer.status_code == 404
    assert both.states() == []


@pytest.mark.parametrize("end", ["moved", "set off", "cancelled", "its time"])
def test_a_wish_lapses_by_itself(both: Both, clock: Any, end: str) -> None:  # noqa: F811
    both.ask()
    (wish,) = both.requests()
    if end == "moved":
        both.office.do(services.reschedule, both.job.id, TUESDAY + timedelta(days=1))
    elif end == "cancelled":
        both.office.do(services.cancel, both.job.id, "No longer wanted")
    elif end == "set off":
        clock.move_to(TUESDAY - timedelta(minutes=20))
        both.office.work_through(both.job, "set_off")
    else:
        for moment, due in ((TUESDAY - timedelta(seconds=1), []), (TUESDAY, [wish.id])):
            both.session.rollback()
            assert due_to_lapse(both.session, moment) == due
            with unit_of_work(both.session):
                assert lapse_started(both.session, moment, wish.id) is bool(due)
    assert both.states() == ["LAPSED"]
    assert both.office.site.post(f"{QUEUE}{wish.id}/decline", {"reason": "Late"}).status_code == 409
    both.session.rollback()
    actions = both.session.scalars(select(HistoryEntry.action).where(HistoryEntry.job_id == both.job.id)).all()
    assert actions.count("request_change") == actions.count("lapse_change_request") == 1
    both.my.get("/my/requests")
    assert badge(both) == "No longer open"


def test_a_change_of_technician_leaves_the_wish_waiting(both: Both) -> None:
    both.ask()
    both.office.do(services.reassign, both.job.id, both.office.ines.id)
    both.office.do(fieldwork.confirm, both.visit.id)
    assert both.states() == ["PENDING"]


@pytest.mark.row("P18")
def test_an_answer_belongs_to_its_own_installation_and_office(
    both: Both, app: Flask, create_partner: Create, create_staff: Create
) -> None:
    both.ask()
    (wish,) = both.requests()
    other = both.office.create(start=TUESDAY + timedelta(days=1))
    desk = both.office.site
    values = {
        "answers": str(wish.id),
        "reason": "x",
        "date": "2026-11-30",
        "time": "10:00",
        "slot": "",
        "duration": "60",
    }
    for act in ("cancel", "reschedule"):
        assert desk.post(both.office.at(other, act), values).status_code == 404
    stranger = Site(app.test_client())
    stranger.sign_in(create_staff(create_partner(), role="partner_admin"))
    assert stranger.get(f"{QUEUE}{wish.id}/decline").status_code == 404
    assert stranger.post(f"{QUEUE}{wish.id}/decline", {"reason": "x"}).status_code == 404
    stranger.get(f"{QUEUE}?status=all")
    assert "Priya" not in stranger.text
    assert both.states() == ["PENDING"]
    assert both.office.job(other).status == "SCHEDULED"
