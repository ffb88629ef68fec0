"""Private calendar addresses: what stands in them, read back with two libraries, and when they lead nowhere (C10)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
import vobject
from flask import Flask
from icalendar import Calendar
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from portal.domain.actor import Actor, Role
from portal.domain.jobs import services
from portal.domain.people.models import Customer, Partner, User
from portal.domain.unit_of_work import unit_of_work
from portal.web.signin import TRIES_ALL
from tests.factories import Create
from tests.helpers import Site

NOW = datetime(2026, 10, 20, 10, 0, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
# Half past one, twice, on the night that the clocks go back in London; around the hour that is missing in spring.
NIGHTS = [
    datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
    datetime(2027, 3, 28, 0, 30, tzinfo=UTC),
    datetime(2027, 3, 28, 1, 0, tzinfo=UTC),
]

pytestmark = pytest.mark.row("C10")


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@dataclass
class Person:
    """Somebody at their browser, and their calendar program, which is signed in nowhere."""

    site: Site
    reader: Any
    area: str

    @property
    def address(self) -> str:
        self.site.get(f"/{self.area}/subscribe")
        field = self.site.page.select_one("#address")
        return str(field["value"]).removeprefix("http://127.0.0.1:8000") if field else ""

    def press(self, button: str) -> None:
        self.site.get(f"/{self.area}/subscribe")
        self.site.submit(button=button)

    def fetch(self, address: str, **headers: str) -> TestResponse:
        answer: TestResponse = self.reader.get(address, headers=headers)
        return answer

    def events(self, address: str) -> dict[str, Any]:
        """Return the events by place and start, once both libraries read the same."""
        answer = self.fetch(address)
        assert (answer.status_code, answer.mimetype) == (200, "text/calendar")
        text = answer.get_data(as_text=True)
        assert "TZID" not in text
        one = Calendar.from_ical(text).walk("VEVENT")
        other = list(vobject.readOne(text).contents.get("vevent", ()))
        assert [
            (str(e["uid"]), int(e["sequence"]), e.decoded("dtstart"), e.decoded("dtend"), str(e["summary"]))
            for e in one
        ] == [(e.uid.value, int(e.sequence.value), e.dtstart.value, e.dtend.value, e.summary.value) for e in other]
        return {str(e["location"]): e for e in one}


@pytest.fixture
def person(app: Flask) -> Callable[[User, str], Person]:
    def make(user: User, area: str) -> Person:
        site = Site(app.test_client())
        site.sign_in(user)
        return Person(site, app.test_client(), area)

    return make


def staff_of(partner: Partner) -> Actor:
    return Actor(None, Role.DISPATCHER, "Dana Okafor", frozenset({partner.id}))


def test_a_customers_feed_holds_the_visits_of_all_their_companies_and_follows_them(
    clock: Any,
    session: Session,
    person: Callable[[User, str], Person],
    statements: list[str],
    create_partner: Create,
    create_user: Create,
    create_customer: Create,
    create_technician: Create,
    create_installation: Create,
) -> None:
    acme, globex = create_partner(name="Acme", timezone="Europe/London"), create_partner(name="Globex")
    user = create_user(name="Priya Raman")
    mine = [create_customer(acme, user, address="1 Acme Row"), create_customer(globex, user, address="2 Globex Row")]
    stranger = create_customer(acme, create_user(), address="3 Stranger Row")
    jobs = [
        create_installation(partner, customer, create_technician(partner), start=NOW + 9 * DAY)
        for partner, customer in ((acme, mine[0]), (globex, mine[1]), (acme, stranger))
    ]
    priya = person(user, "my")
    assert priya.address == ""
    priya.press("Make my private address")
    address = priya.address
    assert priya.site.page.select_one("a[href^='webcal:']")["href"] == f"webcal://127.0.0.1:8000{address}"
    statements.clear()
    first = priya.events(address)
    few = len(statements)
    places = ["1 Acme Row, Bristol BS6 5QT", "2 Globex Row, Bristol BS6 5QT"]
    assert sorted(first) == places
    assert [str(first[place]["summary"]).rpartition(", ")[2] for place in places] == ["Acme", "Globex"]
    assert {(event["sequence"], event["status"]) for event in first.values()} == {(0, "CONFIRMED")}
    # Asked again, it says in few words that nothing changed, until something does.
    tag = priya.fetch(address).headers["ETag"]
    clock.shift(HOUR)
    same = priya.fetch(address, **{"If-None-Match": tag})
    assert (same.status_code, same.data) == (304, b"")
    with unit_of_work(session):
        services.reschedule(session, staff_of(acme), NOW + HOUR, jobs[0].id, NOW + 10 * DAY, despite_warnings=True)
    assert priya.fetch(address, **{"If-None-Match": tag}).status_code == 200
    moved = priya.events(address)[places[0]]
    assert (moved["uid"], moved["sequence"], moved.decoded("dtstart")) == (first[places[0]]["uid"], 1, NOW + 10 * DAY)
    with unit_of_work(session):
        services.cancel(session, staff_of(acme), NOW + 2 * HOUR, jobs[0].id, "Called off")
    gone = priya.events(address)[places[0]]
    assert (gone["uid"], gone["sequence"], gone["status"]) == (first[places[0]]["uid"], 2, "CANCELLED")
    clock.move_to(NOW + 30 * DAY)
    assert places[0] in priya.events(address)
    clock.move_to(NOW + 31 * DAY)
    assert sorted(priya.events(address)) == places[1:]
    clock.move_to(NOW + 2 * HOUR)
    # Ten times as many visits are read in as many statements, and the nights of the clock changes keep their instants.
    for night in (*NIGHTS, *(NOW + number * DAY for number in range(20, 36))):
        create_installation(acme, mine[0], create_technician(acme), start=night)
    statements.clear()
    answer = priya.fetch(address)
    assert len(statements) == few <= 5
    starts = [event.decoded("dtstart") for event in Calendar.from_ical(answer.data).walk("VEVENT")]
    assert set(NIGHTS) <= set(starts)
    assert starts == sorted(starts)
    other = [event.dtstart.value for event in vobject.readOne(answer.get_data(as_text=True)).vevent_list]
    assert other == starts


def test_an_address_leads_nowhere_once_revoked_or_its_person_is_out(
    session: Session,
    person: Callable[[User, str], Person],
    create_partner: Create,
    create_user: Create,
    create_customer: Create,
    create_technician: Create,
    create_installation: Create,
) -> None:
    partner = create_partner(phone="0117 496 0180")
    user, worker = create_user(name="Priya Raman"), create_user(name="Tomás Reyes")
    customer = create_customer(partner, user, phone="07700 900123", access_notes="The key is under the pot")
    tomas = create_technician(partner, worker, name="Tomás Reyes")
    soon = datetime.now(UTC).replace(microsecond=0) + 2 * DAY
    create_installation(partner, customer, tomas, start=soon)
    create_installation(partner, customer, create_technician(partner), start=soon)
    priya, fitter = person(user, "my"), person(worker, "field")
    for one in (priya, fitter):
        one.press("Make my private address")
    field_address = fitter.address
    # A technician's holds their own work, and of the customer only what leads to the door.
    text = fitter.fetch(field_address).get_data(as_text=True).replace("\r\n ", "")
    (event,) = Calendar.from_ical(text).walk("VEVENT")
    assert str(event["summary"]).endswith(", Priya Raman")
    assert "under the pot" not in text
    assert "900123" not in text
    old = priya.address
    token = old.removeprefix("/calendar/").removesuffix(".ics")
    for wrong in (token[:-1], f"{token}A", token.partition(".")[0], "x", field_address[10:20]):
        assert priya.fetch(f"/calendar/{wrong}.ics").status_code == 404
    priya.press("Make a new address")
    new = priya.address
    assert new != old
    assert [priya.fetch(one).status_code for one in (old, new)] == [410, 200]
    priya.press("Switch the calendar off")
    assert priya.address == ""
    answer = priya.fetch(new)
    assert answer.status_code == 410
    assert "This calendar was switched off." in answer.get_data(as_text=True)
    priya.press("Make my private address")
    address = priya.address

    def change(row: Any, **values: Any) -> list[int]:
        with unit_of_work(session):
            found = session.get_one(type(row), row.id, populate_existing=True)
            before = {name: getattr(found, name) for name in values}
            for name, value in values.items():
                setattr(found, name, value)
        answers = [priya.fetch(address).status_code, fitter.fetch(field_address).status_code]
        with unit_of_work(session):
            found = session.get_one(type(row), row.id, populate_existing=True)
            for name, value in before.items():
                setattr(found, name, value)
        return answers

    # A suspended company's customers may read, those who work for it may not.
    assert change(partner, suspended_at=datetime.now(UTC)) == [200, 403]
    assert change(user, active=False) == [410, 200]
    assert change(tomas, active=False) == [200, 410]
    assert change(customer, user_id=None) == [410, 200]
    assert change(customer) == [200, 200]
    assert isinstance(customer, Customer)


@pytest.mark.once
def test_asking_without_end_is_slowed_down_for_one_address_and_guessing_for_all(
    session: Session,
    make_app: Create,
    person: Callable[[User, str], Person],
    create_partner: Create,
    create_user: Create,
    create_customer: Create,
) -> None:
    partner, most = create_partner(), int(TRIES_ALL.split()[0])
    people = []
    for name in ("Priya Raman", "Callum Fraser"):
        user = create_user(name=name)
        create_customer(partner, user)
        people.append(person(user, "my"))
        people[-1].press("Make my private address")
    mine, dead = (one.address for one in people)
    people[1].press("Make a new address")
    other = people[1].address

    def codes(address: str, count: int) -> list[int]:
        return [reader.get(address).status_code for _ in range(count)]

    reader = make_app(throttle=True).test_client()
    assert codes(mine, most + 1) == [200] * most + [429]
    # What was switched off is no guess.
    assert codes(dead, most + 1) == [410] * most + [429]
    assert codes(other, 1) == [200]
    for number in range(most):
        assert codes(f"/calendar/guess{number}.ics", 1) == [404]
    assert codes("/calendar/guess.ics", 1) == codes(other, 1) == [429]
