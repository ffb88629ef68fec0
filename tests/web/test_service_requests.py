"""Requests for new service through both browsers: the customer asks, the office answers, and both databases keep it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor, Role
from portal.domain.messages.models import Message, MessageKind
from portal.domain.people.merging import MergeInput, merge_customers
from portal.domain.people.models import Address, User
from portal.domain.people.partners import suspend_partner
from portal.domain.photos.queries import named_photos
from portal.domain.photos.storage import PhotoStore
from portal.domain.requests.models import RequestPhoto, ServiceRequest
from portal.domain.unit_of_work import unit_of_work
from portal.web.photos import STORE
from tests.factories import Create
from tests.helpers import Site
from tests.web.office import NOW, TUESDAY, Office, clock, office  # noqa: F401
from tests.web.test_hours import menu
from tests.web.test_photos import PRIVATE, with_position

pytestmark = pytest.mark.row("C5")
QUEUE = "/admin/requests/"
NEW = "/my/requests/new"


@dataclass
class Both:
    """Priya's browser beside Dana's."""

    office: Office
    my: Site
    priya: User
    session: Session

    def ask(self, **values: Any) -> ServiceRequest:
        """Ask for a heat pump at home on Tuesday morning, by the form."""
        self.my.get(NEW)
        dates = {"dates-0-day": "2026-11-24", "dates-0-part": "morning"}
        heat_pump = str(self.office.kind.id)
        answer = self.my.submit(
            {"service_type": heat_pump, "notes": "Hums at night", **dates, **values}, button="Send request"
        )
        assert answer.status_code == 200, self.my.text
        return self.requests()[-1]

    def requests(self) -> list[ServiceRequest]:
        self.session.rollback()
        query = select(ServiceRequest).order_by(ServiceRequest.id)
        return list(self.session.scalars(query, execution_options={"populate_existing": True}))

    def states(self) -> list[str]:
        return [request.status for request in self.requests()]

    def propose(self, wish: ServiceRequest, **values: Any) -> int:
        """Offer Thursday at two by the form, and return what that was answered with."""
        desk = self.office.site
        desk.get(f"{QUEUE}{wish.id}/propose")
        return desk.submit({"date": "2026-11-26", "time": "14:00", **values}, button="Offer this date").status_code

    def kinds(self) -> list[str]:
        """What messages there are that are about no visit, oldest first."""
        self.session.rollback()
        query = select(Message.kind).where(Message.service_request_id.is_not(None)).order_by(Message.id)
        return list(self.session.scalars(query))


@pytest.fixture
def both(office: Office, app: Flask, session: Session, create_user: Create, create_customer: Create) -> Both:  # noqa: F811
    priya = create_user(name="Priya Raman")
    create_customer(office.partner, priya, name="Priya Raman", address="14 Alder Close")
    my = Site(app.test_client())
    my.sign_in(priya)
    return Both(office, my, priya, session)


@pytest.mark.row("P18")
def test_a_request_lands_in_the_queue_and_becomes_an_installation(both: Both) -> None:
    both.my.get("/my/")
    both.my.get(both.my.page.find("a", string="Request new service")["href"])  # type: ignore[index]
    dates = {
        "dates-0-day": "2026-11-24",
        "dates-0-part": "afternoon",
        "dates-1-day": "2026-11-26",
        "dates-2-day": "2026-11-24",
        "dates-2-part": "afternoon",
    }
    heat_pump = str(both.office.kind.id)
    both.my.submit({"service_type": heat_pump, "notes": "Hums at night 😀", **dates}, button="Send request")
    assert "We have your request and will write to you." in both.my.text
    (wish,) = both.requests()
    # The same choice twice is one.
    assert wish.wishes == [{"day": "2026-11-24", "part": "afternoon"}, {"day": "2026-11-26", "part": "any"}]
    assert both.kinds() == [MessageKind.REQUEST_RECEIVED]
    both.my.get("/my/")
    assert "Tue 24 Nov, afternoon; Thu 26 Nov, any time" in both.my.text

    desk = both.office.site
    desk.get("/admin/")
    assert menu(desk)["Requests"] == "1"
    desk.get(QUEUE)
    assert "“Hums at night 😀”" in desk.text
    desk.get(str(desk.page.select_one("td.do a")["href"]))  # type: ignore[index]
    assert "Answers the customer’s request" in desk.text
    assert desk.page.select_one("input[name=date]")["value"] == "2026-11-24"  # type: ignore[index]
    desk.submit({"time": "13:30", "technician": str(both.office.ines.id)}, button="Schedule")
    (job,) = both.office.jobs()
    (wish,) = both.requests()
    assert (wish.status, wish.job_id, job.title, job.notes) == ("CONVERTED", job.id, "Heat pump", "Hums at night 😀")
    assert [entry.action for entry in both.office.history(job)][-1] == "convert_request"
    desk.get(both.office.at(job))
    assert "Made from a request" in desk.text
    # The visit's own message says it.
    assert both.kinds() == [MessageKind.REQUEST_RECEIVED]
    both.session.rollback()
    assert both.session.scalars(select(Message.kind).where(Message.job_id == job.id)).all()[-1] == "booked"
    both.my.get(f"/my/requests/{wish.id}")
    assert "Taken on" in both.my.text
    assert "Converted" not in both.my.text
    # Twice: whatever is pressed says so, and nothing more comes of it.
    for answer in (
        desk.get(f"/admin/installations/schedule?request={wish.id}"),
        desk.get(f"{QUEUE}{wish.id}/propose"),
        desk.post(f"{QUEUE}{wish.id}/draft"),
        desk.post(f"{QUEUE}{wish.id}/decline", {"reason": "Late"}),
    ):
        assert answer.status_code == 409
    assert "is not possible while the status is “Converted”" in desk.text
    assert len(both.office.jobs()) == 1
    desk.get(QUEUE)
    assert "No request for new service waits for an answer." in desk.text


def test_a_request_becomes_a_draft_at_a_new_address(both: Both) -> None:
    wish = both.ask(address="new", line="9 Quay Street", city="Bristol", postcode="BS1 4QA")
    assert both.ask(address="new", line="9  quay street.", postcode="BS1 4QA").address_id == wish.address_id
    desk = both.office.site
    desk.get(f"{QUEUE}{wish.id}")
    desk.submit(action="/draft")
    (job,) = both.office.jobs()
    assert (job.workflow, job.status, job.address_id, job.title) == ("service", "DRAFT", wish.address_id, "Heat pump")
    assert both.kinds() == [MessageKind.REQUEST_RECEIVED] * 2 + [MessageKind.REQUEST_CONVERTED]
    assert both.states() == ["CONVERTED", "NEW"]


def test_another_date_is_offered_declined_offered_again_and_accepted(both: Both, clock: Any) -> None:  # noqa: F811
    wish = both.ask()
    past = both.propose(wish, date="2026-11-19")
    assert past == 422
    assert "Choose a date and time that is not in the past" in both.office.site.text
    assert both.propose(wish, technician=str(both.office.tomas.id)) == 200
    assert both.kinds()[-1] == MessageKind.REQUEST_OFFERED
    both.my.get("/my/")
    assert "We offer Thu 26 Nov, 14:00–16:00. Does it suit you?" in both.my.text
    both.my.get(f"/my/requests/{wish.id}")
    stale = {"proposal": "1"}
    both.my.submit(button="It does not suit me")
    assert both.states() == ["NEW"]
    assert both.my.post(f"/my/requests/{wish.id}/decline", stale).status_code == 303
    assert both.my.post(f"/my/requests/{wish.id}/accept", stale).status_code == 409
    assert "This date is no longer offered. Nothing was changed." in both.my.text
    both.office.site.get(f"{QUEUE}{wish.id}")
    assert "It did not suit the customer." in both.office.site.text
    assert both.propose(wish, date="2026-11-27", technician=str(both.office.tomas.id)) == 200
    # A page that still shows the first offer accepts nothing.
    assert both.my.post(f"/my/requests/{wish.id}/accept", stale).status_code == 409
    assert "We have offered another date meanwhile" in both.my.text
    both.my.get(f"/my/requests/{wish.id}")
    both.my.submit(button="Accept")
    assert "Thank you. We come on Fri 27 Nov, 14:00–16:00." in both.my.text
    (job,) = both.office.jobs()
    (visit,) = both.office.visits(job)
    assert (job.status, visit.start_at) == ("INSTALLER_ASSIGNED", TUESDAY + timedelta(days=3, hours=5))
    assert (visit.confirmed_by, visit.technician_id) == ("customer", both.office.tomas.id)
    said = [(entry.action, entry.actor_name) for entry in both.office.history(job)]
    assert ("schedule", "Dana Okafor") in said
    assert ("accept_proposal", "Priya Raman") in said
    # Pressed once more it was done; the other button of an old tab is too late.
    both.my.post(f"/my/requests/{wish.id}/accept", {"proposal": "2"}, follow_redirects=True)
    assert "Thank you. We come on Fri 27 Nov, 14:00–16:00." in both.my.text
    for act, number in (("accept", "1"), ("decline", "2")):
        assert both.my.post(f"/my/requests/{wish.id}/{act}", {"proposal": number}).status_code == 409
        assert "This date is no longer offered. Nothing was changed." in both.my.text
    assert both.my.post(f"/my/requests/{wish.id}/cancel").status_code == 409
    assert "This request no longer waits for an answer. Nothing was changed." in both.my.text
    assert len(both.office.jobs()) == 1


def test_a_date_that_has_passed_or_was_taken_is_not_accepted(both: Both, clock: Any) -> None:  # noqa: F811
    taken, passed = both.ask(), both.ask()
    for wish in (taken, passed):
        assert both.propose(wish, technician=str(both.office.tomas.id)) == 200
    both.office.create(start=TUESDAY + timedelta(days=2, hours=6), technician=both.office.tomas)
    both.my.get(f"/my/requests/{taken.id}")
    assert both.my.submit(button="Accept").status_code == 409
    assert "The time that we offered is no longer free." in both.my.text
    clock.move_to(TUESDAY + timedelta(days=2, hours=5))
    both.my.get(f"/my/requests/{passed.id}")
    assert "The time that we offered has passed." in both.my.text
    assert both.my.post(f"/my/requests/{passed.id}/accept", {"proposal": "1"}).status_code == 409
    assert both.states() == ["COUNTER_PROPOSED"] * 2
    assert len(both.office.jobs()) == 1
    # The way on.
    both.my.submit(action=f"/my/requests/{passed.id}/decline")
    assert both.states() == ["COUNTER_PROPOSED", "NEW"]


@pytest.mark.once
@pytest.mark.row("P18")
def test_declining_needs_a_reason_and_cancelling_is_the_customers(both: Both) -> None:
    declined, cancelled, offered = (both.ask() for _ in range(3))
    desk = both.office.site
    desk.get(f"{QUEUE}{declined.id}/decline")
    for blank in ("", " \u200b\n", "x" * 2001):
        assert desk.submit({"reason": blank}, button="Decline request").status_code == 422
    desk.submit({"reason": "We no longer fit those 😀"}, button="Decline request")
    both.my.get("/my/")
    assert "Our answer: We no longer fit those 😀" in both.my.text
    assert both.propose(offered) == 200
    for wish in (cancelled, offered):
        both.my.get(f"/my/requests/{wish.id}")
        both.my.submit(button="Cancel this request")
        assert "Your request is cancelled." in both.my.text
    assert both.states() == ["DECLINED", "CANCELLED", "CANCELLED"]
    # Each is an end; only the same button pressed twice is no mistake.
    for wish in (declined, cancelled, offered):
        for act in ("accept", "decline", "cancel"):
            status = 303 if act == "cancel" and wish is not declined else 409
            assert both.my.post(f"/my/requests/{wish.id}/{act}", {"proposal": "1"}).status_code == status, act
        assert desk.post(f"{QUEUE}{wish.id}/propose", {"date": "2026-11-26", "time": "14:00"}).status_code == 409
    assert both.states() == ["DECLINED", "CANCELLED", "CANCELLED"]
    assert both.office.jobs() == []


@pytest.mark.once
@pytest.mark.row("C7")
def test_bad_input_asks_for_nothing_and_keeps_what_was_typed(
    both: Both,
    create_customer: Create,
    create_partner: Create,
    create_service_type: Create,
    clock: Any,  # noqa: F811
) -> None:
    neighbour = create_customer(both.office.partner, address="5 Neighbour Lane")
    elsewhere = create_partner()
    theirs = create_service_type(elsewhere)
    retired = create_service_type(both.office.partner, active=False)
    clock.move_to(NOW + timedelta(hours=3))
    for change, status, said in (
        ({"dates-0-day": "2026-11-19"}, 422, "Choose a date that is not in the past"),
        # Of today the morning is over, the afternoon is not.
        ({"dates-1-day": "2026-11-20", "dates-1-part": "morning"}, 422, "Choose a date that is not in the past"),
        ({"dates-0-day": "0001-01-01"}, 422, "Choose a date that is not in the past"),
        ({"dates-0-day": "9999-12-31"}, 422, "Choose a date within the next five years"),
        ({"dates-2-day": "2027-06-31"}, 422, "Enter a date that exists"),
        ({"dates-0-part": "night"}, 422, "Not a valid choice"),
        ({"notes": "x" * 2001}, 422, "Use 2000 characters or fewer."),
        ({"address": "new", "line": " "}, 422, "Enter street and number"),
        ({"address": "nowhere"}, 422, "Choose one of the addresses"),
        ({"service_type": "x"}, 422, "Choose what you would like done"),
        ({"service_type": str(retired.id)}, 422, "is no longer offered"),
        ({"service_type": str(theirs.id)}, 404, ""),
        ({"address": str(neighbour.addresses[0].id)}, 404, ""),
        ({"customer": str(neighbour.id)}, 404, ""),
        ({"customer": "0"}, 404, ""),
    ):
        both.my.get(NEW)
        heat_pump = str(both.office.kind.id)
        answer = both.my.submit({"service_type": heat_pump, "notes": "Hums at night", **change}, button="Send request")
        assert answer.status_code == status, change
        if status == 422:
            assert said in both.my.text, change
            assert both.my.page.select_one(".error-summary a"), change
            assert both.my.page.select_one("textarea[name=notes]").text.strip() == change.get("notes", "Hums at night")  # type: ignore[union-attr]
    assert both.requests() == []
    today = both.ask(**{"dates-0-day": "2026-11-20", "dates-0-part": "afternoon"})
    # The same form sent twice is one request.
    form = {"customer": str(today.customer_id), "service_type": str(today.service_type_id), "address": "new"}
    form |= {"line": "1 New Street", "form_key": "ab" * 16}
    places = [both.my.post(NEW, form).headers["Location"] for _ in range(2)]
    assert places[0] == places[1]
    assert both.states() == ["NEW", "NEW"]
    # Somebody else's, and none at all.
    stranger = Site(both.my.client.application.test_client())
    stranger.sign_in(both.office.dana)
    for key in (0, 987_654, 2**63 - 1):
        assert both.my.get(f"/my/requests/{key}").status_code == 404
        assert both.my.post(f"/my/requests/{key}/cancel").status_code == 404
        assert stranger.get(f"{QUEUE}{key}").status_code == 404
    assert both.my.post(f"/my/requests/{today.id}/accept", {"proposal": "x"}).status_code == 400


@pytest.mark.once
@pytest.mark.row("C5")
def test_an_empty_form_asks_for_nothing(both: Both) -> None:
    both.my.get(NEW)
    options = both.my.page.select("select[name=service_type] option")
    assert [(one["value"], one.text, one.has_attr("selected")) for one in options] == [
        ("", "Choose…", False),
        (str(both.office.kind.id), "Heat pump", False),
    ]
    assert both.my.submit(button="Send request").status_code == 422
    assert both.my.page.select_one("#service_type-error").text == "Choose what you would like done"  # type: ignore[union-attr]
    assert [str(link["href"]) for link in both.my.page.select(".error-summary a")] == ["#service_type"]
    assert both.requests() == []
    both.my.submit({"service_type": str(both.office.kind.id)}, button="Send request")
    assert both.states() == ["NEW"]


@pytest.mark.once
@pytest.mark.row("C5")
def test_everything_that_is_wrong_with_a_form_shows_at_once(both: Both) -> None:
    bad = {"dates-0-day": "2026-11-19", "dates-1-day": "2027-06-31", "notes": "x" * 2001, "address": "new", "line": ""}
    said = {"Choose a date that is not in the past", "Use 2000 characters or fewer.", "Enter street and number"}
    said.add("Choose what you would like done")

    def send(content: bytes) -> tuple[set[str], str]:
        both.my.get(NEW)
        photo = (BytesIO(content), "tap.jpg")
        assert both.my.submit({**bad, "photo": photo}, button="Send request").status_code == 422
        hint = both.my.page.select_one("#photo-hint")
        assert hint is not None
        return {link.text.strip() for link in both.my.page.select(".error-summary a")}, hint.text

    without, hint = send(with_position())
    assert said < without
    assert hint == "Your photo was not kept; please choose it again."
    with_photo, _ = send(b"no picture")
    # All that, and the photo's own.
    assert len(with_photo) == len(without) + 1
    assert without < with_photo
    assert [one["value"] for one in both.my.page.select("input[name^=dates-][type=date]")][:2] == [
        "2026-11-19",
        "2027-06-31",
    ]
    assert both.requests() == []


@pytest.mark.once
@pytest.mark.row("C7")
def test_photos_of_a_request_are_the_customers_and_the_offices(
    both: Both,
    app: Flask,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    create_user: Create,
    create_customer: Create,
) -> None:
    monkeypatch.setitem(app.extensions, STORE, PhotoStore(str(tmp_path)))
    both.my.get(NEW)
    both.my.submit({"notes": "As seen", "photo": (BytesIO(b"MZ no picture"), "boiler.jpg")}, button="Send request")
    assert "Choose a photo in JPEG, PNG, WebP or HEIC format" in both.my.text
    assert both.my.page.select_one("textarea[name=notes]").text.strip() == "As seen"  # type: ignore[union-attr]
    assert both.requests() == []
    wish = both.ask(photo=(BytesIO(with_position()), "boiler.jpg"))
    both.my.submit({"photo": (BytesIO(with_position()), "again.jpg")}, action="/photos")
    assert "Your photo is added." in both.my.text
    assert both.my.submit(action="/photos").status_code == 422
    desk = both.office.site
    desk.get(f"{QUEUE}{wish.id}")
    for site in (both.my, desk):
        site.get(f"/my/requests/{wish.id}" if site is both.my else f"{QUEUE}{wish.id}")
        pictures = [str(link["src"]) for link in site.page.select(".photo img")]
        assert len(pictures) == 2
        for address in (*pictures, pictures[0].removesuffix("/small")):
            answer = site.client.get(address)
            assert (answer.status_code, answer.mimetype) == (200, "image/jpeg")
            # Nothing of the file itself: neither where it was taken nor by what.
            assert PRIVATE not in answer.data
    neighbour = create_user()
    create_customer(both.office.partner, neighbour)
    stranger = Site(app.test_client())
    stranger.sign_in(neighbour)
    for number in (1, 2, 987_654):
        for address in (f"/my/request-photos/{number}", f"/my/request-photos/{number}/small"):
            assert stranger.get(address).status_code == 404
        assert stranger.post(f"/my/requests/{wish.id}/photos").status_code == 404
    both.my.get(f"/my/requests/{wish.id}")
    both.my.submit(button="Cancel this request")
    photo = {"photo": (BytesIO(with_position()), "late.jpg")}
    assert both.my.post(f"/my/requests/{wish.id}/photos", photo).status_code == 409
    with app.app_context():
        both.session.rollback()
        known = set(both.session.scalars(select(RequestPhoto.name)))
    # What was refused left no file; what is there has its row, by which it is kept.
    assert set(PhotoStore(str(tmp_path)).written_on(NOW.date())) == known == named_photos(both.session, known)


@pytest.mark.once
@pytest.mark.row("C8")
def test_a_customer_of_two_partners_says_whom_and_a_suspended_one_takes_nothing(
    both: Both, create_partner: Create, create_customer: Create, create_service_type: Create, create_user: Create
) -> None:
    globex = create_partner(name="Globex")
    there = create_customer(globex, both.priya, address="2 Far Road")
    gutters = create_service_type(globex, name="Gutters")
    both.my.get(NEW)
    assert [link.text for link in both.my.page.select("a.row-link")] == ["Acme", "Globex"]
    both.my.get(both.my.page.find("a", string="Globex")["href"])  # type: ignore[index]
    both.my.submit({"service_type": str(gutters.id)}, button="Send request")
    (wish,) = both.requests()
    assert (wish.partner_id, wish.customer_id) == (globex.id, there.id)
    both.office.site.get(f"{QUEUE}?status=all")
    assert "Gutters" not in both.office.site.text
    assert both.office.site.get(f"{QUEUE}{wish.id}").status_code == 404
    robin = create_user(is_operator=True)
    with unit_of_work(both.session) as session:
        suspend_partner(session, Actor(robin.id, Role.OPERATOR, robin.name), NOW, globex.id, "Unpaid")
    both.my.get(NEW)
    assert "Request new service" in both.my.text
    assert both.my.post(f"/my/requests/{wish.id}/cancel").status_code == 409
    assert both.states() == ["NEW"]
    assert both.my.get(f"{NEW}?customer={there.id}").status_code == 404


@pytest.mark.row("P23")
def test_a_request_goes_along_when_its_customer_is_merged(both: Both, create_customer: Create) -> None:
    wish = both.ask()
    kept = create_customer(both.office.partner, name="P. Raman")
    gone = both.session.scalars(select(Address).where(Address.id == wish.address_id)).one()
    form = MergeInput(kept.id, kept.version, gone.customer_id, 1, {"name": "kept", "email": "kept"})
    both.office.do(merge_customers, form)
    (wish,) = both.requests()
    assert wish.customer_id == kept.id
    both.my.get("/my/requests")
    assert "Heat pump" in both.my.text
    assert both.propose(wish) == 200
    both.my.get(f"/my/requests/{wish.id}")
    both.my.submit(button="Accept")
    assert [job.customer_id for job in both.office.jobs()] == [kept.id]
