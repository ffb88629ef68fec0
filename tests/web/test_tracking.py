"""Today's visit as its customer follows it, and the position of who is on the way: real forms, both databases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor, Role
from portal.domain.jobs import services
from portal.domain.jobs.models import Appointment, HistoryEntry, Job
from portal.domain.people.models import Address, Customer, Partner, Technician, User
from portal.domain.scheduling.models import PauseReason
from portal.domain.tracking.models import Position
from portal.domain.tracking.services import LASTS, forget_positions
from portal.domain.unit_of_work import unit_of_work
from portal.web.links import track_path
from tests.factories import Create
from tests.helpers import Site

# A Tuesday morning; London keeps UTC in winter.
NOW = datetime(2026, 11, 24, 8, 40, tzinfo=UTC)
NINE = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
# The address, and a place 3 km west of it.
HOME, FAR = (51.4700, -2.5900), (51.4700, -2.6360)
LABELS = [
    "Appointment Confirmed",
    "Getting Ready",
    "On the Way 🚗",
    "Technician Arrived",
    "Work in Progress",
    "Visit Complete ✅",
]


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Coordinates]:
    with time_machine.travel(NOW, tick=False) as coordinates:
        yield coordinates


@dataclass
class Day:
    """Priya waits for Tomás, each at a browser of their own; ``stranger`` holds a link at most."""

    app: Flask
    session: Session
    partner: Partner
    tomas: Technician
    ines: Technician
    user: User
    priya: Customer
    job: Job
    customer: Site
    phone: Site
    stranger: Site

    @property
    def visit_id(self) -> int:
        key: int = self.job.appointments[0].id
        return key

    @property
    def visit(self) -> Appointment:
        self.session.rollback()
        return self.session.scalars(
            select(Appointment).where(Appointment.id == self.visit_id), execution_options={"populate_existing": True}
        ).one()

    @property
    def at(self) -> str:
        return f"/my/visits/{self.visit_id}"

    @property
    def link(self) -> str:
        with self.app.app_context():
            return track_path(self.visit_id, self.visit.departure or 0)

    def take(self, name: str, **data: Any) -> None:
        """Take a step on the technician's phone."""
        url = f"/field/visits/{self.visit_id}"
        asks = name in {"pause", "turn_back"}
        self.phone.get(f"{url}/{name}" if asks else url)
        answer = self.phone.submit(data, action=name)
        assert answer.status_code == 200, (name, self.phone.text)

    def pause(self) -> None:
        self.session.rollback()
        reason = self.session.scalars(select(PauseReason.id)).first()
        self.take("pause", pause_reason=reason)

    def send(self, place: tuple[Any, Any] = FAR, accuracy: Any = 20, by: Site | None = None) -> int:
        """Send a position as the phone's page does and return the status."""
        phone = by or self.phone
        url = f"/field/visits/{self.visit_id}"
        values = {"latitude": place[0], "longitude": place[1], "accuracy": accuracy}
        return phone.post(f"{url}/position", values).status_code

    def positions(self) -> list[Position]:
        self.session.rollback()
        return list(self.session.scalars(select(Position), execution_options={"populate_existing": True}))

    def reassign(self, technician: Technician) -> None:
        dana = Actor(None, Role.DISPATCHER, "Dana Okafor", frozenset({self.partner.id}))
        with unit_of_work(self.session):
            services.reassign(self.session, dana, datetime.now(UTC), self.job.id, technician.id, despite_warnings=True)

    def poll(self, url: str, revision: str) -> Any:
        return self.customer.client.get(url, headers={"If-None-Match": f'"{revision}"'})


@pytest.fixture
def day(
    app: Flask,
    session: Session,
    create_partner: Create,
    create_user: Create,
    create_customer: Create,
    create_technician: Create,
    create_installation: Create,
) -> Day:
    partner = create_partner(name="Brightwell", phone="0117 496 0180")
    users = [create_user(name=name) for name in ("Tomás Reyes", "Ines Kowalski", "Priya Raman")]
    tomas, ines = (create_technician(partner, user) for user in users[:2])
    priya = create_customer(partner, users[2])
    with unit_of_work(session):
        place = session.get_one(Address, priya.addresses[0].id)
        place.latitude, place.longitude = HOME
    job = create_installation(partner, priya, tomas, start=NINE, now=NOW - timedelta(days=3))
    sites = [Site(app.test_client()) for _ in range(3)]
    sites[0].sign_in(users[2])
    sites[1].sign_in(users[0])
    return Day(app, session, partner, tomas, ines, users[1], priya, job, *sites)


def step_now(site: Site) -> tuple[str, str]:
    """Return the label of the present step and what the page says of it."""
    now = site.page.select("ol.steps li[aria-current=step]")
    assert len(now) == 1
    detail = now[0].select_one(".detail")
    label = now[0].strong
    assert detail is not None
    assert label is not None
    return label.text, detail.text


@pytest.mark.row("C3")
@pytest.mark.row("C4")
@pytest.mark.row("C13")
def test_six_steps_arrive_and_an_unchanged_question_costs_two_statements(day: Day, statements: list[str]) -> None:
    ways: list[tuple[str, Any]] = [
        ("", lambda: None),
        ("prepare", lambda: day.take("prepare")),
        ("set_off", lambda: day.take("set_off", minutes="25")),
        ("arrive", lambda: day.take("arrive")),
        ("start_work", lambda: day.take("start_work")),
        ("complete", lambda: day.take("complete")),
    ]
    revisions: dict[str, str] = {}
    for number, (name, go) in enumerate(ways, start=1):
        go()
        for page, url in (("/my/", "/my/live"), (day.at, f"{day.at}/live")):
            if url in revisions:
                news = day.poll(url, revisions[url])
                assert news.status_code == 200, (url, name)
                assert news.json["revision"] != revisions[url]
            day.customer.get(page)
            assert step_now(day.customer) == (LABELS[number - 1], f"Now. Step {number} of 6."), (page, name)
            assert [
                one.select("strong, span")[0].text.split(",")[0] for one in day.customer.page.select(".steps li")
            ] == LABELS
            # The button stands there exactly as long as there is a way to follow.
            links = [str(one["href"]) for one in day.customer.page.select("main a.btn") if one.text.strip() == "Track"]
            tracked = number in {3, 4}
            assert links == ([f"{day.at}/track"] if tracked else []), (page, name)
            if number != len(ways) or page != "/my/":
                follow = day.customer.page.select_one("[data-follow]")
                assert follow is not None
                assert follow["data-url"] == url
                revisions[url] = str(follow["data-revision"])
                statements.clear()
                same = day.poll(url, revisions[url])
                assert (same.status_code, same.data) == (304, b"")
                assert len(statements) <= 2
                # Without JavaScript the same page is a press away.
                refresh = follow.select_one("a[href]")
                assert refresh is not None
                assert refresh["href"] == page
            else:
                revisions.pop(url)
        answer = day.customer.client.get(f"{day.at}/track")
        assert answer.status_code == (303 if tracked else 404 if number < 3 else 410), name
    day.customer.get(day.at)
    assert "Estimated arrival" not in day.customer.text


@pytest.mark.row("C3")
@pytest.mark.row("C4")
def test_an_arrival_time_that_passes_and_a_way_too_old_to_follow_leave_open_pages(
    day: Day, clock: time_machine.Coordinates
) -> None:
    """Nobody does anything at those moments, so the question itself has to tell."""

    def revision(page: str) -> str:
        day.customer.get(page)
        follow = day.customer.page.select_one("[data-follow]")
        assert follow is not None
        return str(follow["data-revision"])

    pages = (("/my/", "/my/live"), (day.at, f"{day.at}/live"))
    day.take("set_off", minutes="25")
    assert day.send() == 204
    # Within the minutes that they gave themselves, and after them; the position tells nothing better.
    for later, gone in ((5 * MINUTE, ""), (21 * MINUTE, "Estimated arrival"), (LASTS, "You can follow")):
        known = {page: revision(page) for page, _ in pages}
        assert gone in day.customer.text
        clock.shift(later)
        for page, url in pages:
            news = day.poll(url, known[page])
            assert news.status_code == (200 if gone else 304), (page, later)
            again = revision(page)
            assert (again != known[page]) is bool(gone)
            assert day.poll(url, again).status_code == 304
            assert not gone or gone not in day.customer.text


@pytest.mark.row("C3")
def test_the_partners_words_a_pause_and_a_pending_cancel_are_told_at_the_next_question(
    day: Day, set_controls: Create
) -> None:
    set_controls(day.partner, self_service=True, cancel_cutoff_hours=0)
    day.customer.get(day.at)
    before = str(day.customer.page.select_one("[data-follow]")["data-revision"])  # type: ignore[index]
    with unit_of_work(day.session):
        there = day.session.get_one(Partner, day.partner.id)
        there.status_labels = {"SCHEDULED": "See you today", "PAUSED": "Back soon"}
    assert day.poll(f"{day.at}/live", before).status_code == 200
    own = Actor(None, Role.CUSTOMER, "Priya", frozenset({day.partner.id}), None, frozenset({day.priya.id}))
    with unit_of_work(day.session):
        services.cancel_by_customer(day.session, own, datetime.now(UTC), day.visit_id, "Away")
    day.customer.get(day.at)
    assert step_now(day.customer) == ("See you today", "Cancelling at 8:50")
    with unit_of_work(day.session):
        services.undo_cancel(day.session, own, datetime.now(UTC), day.visit_id)
    for name in ("set_off", "arrive", "start_work"):
        day.take(name)
    day.pause()
    day.customer.get(day.at)
    assert step_now(day.customer) == ("Back soon", "Now. Step 5 of 6.")


@pytest.mark.row("C4")
@pytest.mark.row("J9")
def test_the_link_opens_one_way_without_signing_in_until_it_ends(day: Day, clock: Any) -> None:
    day.take("set_off", minutes="25")
    first = day.link
    page = day.stranger.get(first)
    assert page.status_code == 200
    assert "Tomás is on the way" in day.stranger.text
    assert "Tomás has set off. No position is known yet." in day.stranger.text
    clock.shift(2 * MINUTE)
    assert day.send() == 204
    day.stranger.get(first)
    assert "Tomás is about 3 km away, expected 9:05, as of 8:42." in day.stranger.text
    assert day.partner.name in day.stranger.text
    # This visit and nothing else of the customer's.
    assert "Priya" not in page.text
    seen = day.stranger.client.get(f"{first}/position")
    assert seen.json["pin"] == list(FAR)
    assert day.poll(f"{first}/position", seen.json["revision"]).status_code == 304
    assert day.customer.client.get(f"{day.at}/track").headers["Location"] == first

    day.take("turn_back", reason="Forgot the ladder")
    assert day.positions() == []
    for url, words in ((first, "There is nothing to follow any more"), (f"{first}/position", "")):
        answer = day.stranger.client.get(url)
        assert answer.status_code == 410
        assert words in answer.text
    day.take("set_off")
    second = day.link
    assert second != first
    assert day.stranger.client.get(first).status_code == 410
    day.send()
    # Somebody who gave no minutes is expected by distance and speed.
    day.stranger.get(second)
    assert "expected 8:49, as of 8:42" in day.stranger.text
    clock.shift(timedelta(hours=13))
    assert day.stranger.client.get(second).status_code == 410
    clock.shift(timedelta(hours=-13))

    day.reassign(day.ines)
    assert day.positions() == []
    assert day.stranger.client.get(second).status_code == 410
    day.phone = Site(day.app.test_client())
    day.phone.sign_in(day.user)
    day.take("set_off")
    third = day.link
    day.send()
    day.take("arrive")
    day.stranger.get(third)
    assert "Ines has arrived." in day.stranger.text
    frozen = day.stranger.client.get(f"{third}/position").json
    assert (frozen["pin"], frozen["expected"]) == (list(FAR), None)
    assert day.send(HOME) == 409
    assert day.stranger.client.get(f"{third}/position").json == frozen
    day.take("start_work")
    assert day.positions() == []
    assert day.stranger.client.get(third).status_code == 410
    told = day.session.scalars(select(HistoryEntry)).all()
    assert not any(re.search(r"51\.47|2\.636", f"{one.before}{one.after}{one.reason}") for one in told)
    for odd in (f"{third}x", "/track/x", f"/track/{third[7:20]}"):
        assert day.stranger.client.get(odd).status_code == 404


@pytest.mark.row("C4", "J9")
def test_a_service_jobs_visit_is_followed_frozen_and_over_as_an_installations_is(
    day: Day, clock: Any, create_service_job: Create
) -> None:
    later = NINE + timedelta(hours=6)
    visits = [(later, day.tomas), (later + timedelta(days=1), day.tomas)]
    job = create_service_job(day.partner, day.priya, visits, now=NOW - timedelta(days=3))
    day = replace(day, job=job)
    assert day.customer.client.get(f"{day.at}/track").status_code == 404
    assert day.send() == 409
    day.take("set_off", minutes="25")
    day.customer.get(day.at)
    links = [str(one["href"]) for one in day.customer.page.select("main a.btn") if one.text.strip() == "Track"]
    assert links == [f"{day.at}/track"]
    link = day.link
    assert day.customer.client.get(links[0]).headers["Location"] == link
    clock.shift(2 * MINUTE)
    assert day.send() == 204
    day.stranger.get(link)
    assert "Tomás is about 3 km away, expected 9:05, as of 8:42." in day.stranger.text
    day.take("arrive")
    frozen = day.stranger.client.get(f"{link}/position").json
    assert (frozen["pin"], frozen["expected"]) == (list(FAR), None)
    assert day.send(HOME) == 409
    assert day.stranger.client.get(f"{link}/position").json == frozen
    day.take("start_work")
    assert day.positions() == []
    assert day.send(HOME) == 409
    for url in (link, f"{link}/position", links[0]):
        over = day.customer if url == links[0] else day.stranger
        assert over.client.get(url).status_code == 410, url
    # Complete, or paused and gone on with: there is no way to follow again. The visit after it has a way of its own.
    day.pause()
    day.take("resume")
    day.take("complete")
    assert day.stranger.client.get(link).status_code == 410
    second = job.appointments[1].id
    assert day.customer.client.get(f"/my/visits/{second}/track").status_code == 404
    clock.shift(timedelta(days=1))
    day.phone.get(f"/field/visits/{second}")
    assert day.phone.submit(action="set_off").status_code == 200
    assert day.customer.client.get(f"/my/visits/{second}/track").status_code == 303
    assert day.stranger.client.get(link).status_code == 410


@pytest.mark.row("J9")
def test_a_position_is_taken_from_the_technician_on_the_way_and_from_nobody_else(
    day: Day, clock: Any, create_user: Create, create_staff: Create
) -> None:
    assert day.send() == 409
    day.phone.get(f"/field/visits/{day.visit_id}")
    assert day.phone.page.select("#sharing") == []
    day.take("set_off")
    day.phone.get(f"/field/visits/{day.visit_id}")
    assert "Sharing your position with Priya until you arrive." in str(day.phone.page.select("#sharing"))
    ines, dana = Site(day.app.test_client()), Site(day.app.test_client())
    ines.sign_in(day.user)
    dana.sign_in(create_staff(day.partner))
    assert [day.send(by=other) for other in (ines, dana, day.customer)] == [404, 403, 403]
    assert day.phone.client.post(f"/field/visits/{day.visit_id}/position", data={"latitude": 1}).status_code == 400
    odd: list[tuple[Any, Any, Any]] = [
        (90.001, 0, 5),
        (0, 180.5, 5),
        ("nan", 0, 5),
        (0, "inf", 5),
        ("", 0, 5),
        ("north", 0, 5),
        (0, 0, -1),
        (0, 0, 50_000),
        (0, 0, "nan"),
        (0, 0, "9" * 400),
        ("1e400", 0, 5),
    ]
    for latitude, longitude, accuracy in odd:
        assert day.send((latitude, longitude), accuracy) == 422, (latitude, longitude, accuracy)
    assert day.positions() == []

    assert day.send(FAR) == 204
    clock.shift(timedelta(seconds=4))
    assert day.send(HOME) == 204
    assert [(one.latitude, one.longitude) for one in day.positions()] == [FAR]
    clock.shift(timedelta(seconds=1))
    assert day.send(HOME) == 204
    assert [(one.latitude, one.longitude) for one in day.positions()] == [HOME]
    # What was written past the use cases is swept up, what is needed is not.
    with unit_of_work(day.session):
        assert forget_positions(day.session, datetime.now(UTC)) == 0
    clock.shift(timedelta(hours=13))
    with unit_of_work(day.session):
        assert forget_positions(day.session, datetime.now(UTC)) == 1


@pytest.mark.row("C4")
@pytest.mark.row("C7")
def test_nobody_elses_visit_is_polled_or_tracked(
    day: Day, create_user: Create, create_customer: Create, create_partner: Create
) -> None:
    day.take("set_off")
    for partner in (day.partner, create_partner()):
        user = create_user()
        create_customer(partner, user)
        other = Site(day.app.test_client())
        other.sign_in(user)
        for url in ("live", "track"):
            found = [other.client.get(f"/my/visits/{key}/{url}") for key in (day.visit_id, 987_654)]
            assert [one.status_code for one in found] == [404, 404]
    nobody = day.stranger.client.get(f"{day.at}/live")
    assert nobody.status_code == 302


@pytest.mark.row("C4")
@pytest.mark.row("P16")
def test_the_office_says_where_an_address_is(day: Day, create_staff: Create) -> None:
    office = Site(day.app.test_client())
    office.sign_in(create_staff(day.partner))
    url = f"/admin/customers/edit/?id={day.priya.id}"
    names = ("addresses-0-latitude", "addresses-0-longitude")
    for typed, errors in (
        (("north", "1"), ["Enter degrees such as 51.4712"]),
        (("90.5", "-181"), ["Enter a latitude between -90 and 90", "Enter a longitude between -180 and 180"]),
        (("nan", "1"), ["Enter a latitude between -90 and 90"]),
        (("51.5", ""), ["Enter both latitude and longitude, or neither"]),
    ):
        office.get(url)
        answer = office.submit(dict(zip(names, typed, strict=True)), button="Save")
        assert answer.status_code == 422, typed
        assert all(error in office.text for error in errors), typed
        kept = [str(office.page.select_one(f"[name={name}]")["value"]) for name in names]  # type: ignore[index]
        assert kept == list(typed)
    for typed, stored in ((("51,4712", " -2.59 "), (51.4712, -2.59)), (("", ""), (None, None))):
        office.get(url)
        office.submit(dict(zip(names, typed, strict=True)), button="Save")
        day.session.rollback()
        place = day.session.get_one(Address, day.priya.addresses[0].id, populate_existing=True)
        assert (place.latitude, place.longitude) == stored


@pytest.mark.once
@pytest.mark.row("C4")
def test_map_pictures_come_from_the_one_host_that_is_set(day: Day, make_app: Create) -> None:
    day.take("set_off")
    page = day.stranger.get(day.link)
    assert day.stranger.page.select("#map[data-tiles]") == []
    assert "img-src 'self' data:;" in page.headers["Content-Security-Policy"]
    tiles = "https://tiles.example.com/{z}/{x}/{y}.png"
    other = Site(make_app(map_tiles_url=tiles, map_tiles_attribution="Map: the <Makers>").test_client())
    page = other.get(day.link)
    assert [one["data-tiles"] for one in other.page.select("#map")] == [tiles]
    assert "Map: the <Makers>" in other.text
    assert "img-src 'self' data: https://tiles.example.com;" in page.headers["Content-Security-Policy"]


@pytest.mark.row("C1")
@pytest.mark.row("J8")
def test_a_schedule_is_drawn_once_until_something_is_written_and_each_time_while_positions_come(
    day: Day, clock: time_machine.Coordinates, statements: list[str]
) -> None:
    """What is kept shows each change with the next look; what shows a position or an end to the second is not kept."""

    def drawn(site: Site, url: str) -> bool:
        statements.clear()
        assert site.get(url).status_code == 200
        return any("FROM appointments" in one for one in statements)

    pages = ((day.customer, "/my/"), (day.phone, "/field/"))
    for site, url in pages:
        assert drawn(site, url)
        assert not drawn(site, url)
    assert "Tomás" in day.customer.text
    for change, word in (
        (lambda: day.reassign(day.ines), "Ines"),
        (lambda: day.reassign(day.tomas), "Tomás"),
        (lambda: _call(day, Technician, day.tomas.id, name="Tom Reyes"), "Tom Reyes"),
        (lambda: _call(day, Partner, day.partner.id, name="Brightly"), "Brightly"),
        (lambda: _call(day, Address, day.job.address_id, line="9 Zinc Way"), "9 Zinc Way"),
        (lambda: day.take("prepare"), "Getting Ready"),
    ):
        change()
        day.customer.get("/my/")
        assert word in day.customer.text
    for site, url in pages:
        drawn(site, url)
        assert not drawn(site, url)
    day.take("set_off", minutes="25")
    for _ in range(2):
        assert drawn(day.customer, "/my/")
    assert day.send() == 204
    day.customer.get("/my/")
    assert "Track" in day.customer.text
    # The answer to who asks again and again is made for the person known, and knows of each position.
    follow = day.customer.page.select_one("[data-follow]")
    assert follow is not None
    revision = str(follow["data-revision"])
    for _ in range(3):
        statements.clear()
        assert day.poll("/my/live", revision).status_code == 304
        assert len(statements) <= 2
    clock.shift(timedelta(seconds=6))
    assert day.send(HOME) == 204
    assert day.poll("/my/live", revision).status_code == 200
    day.take("arrive")
    day.take("start_work")
    day.customer.get("/my/")
    assert not drawn(day.customer, "/my/")


def _call(day: Day, model: Any, key: int, **values: Any) -> None:
    """Call a row of ``model`` otherwise, as somebody at the office might."""
    with unit_of_work(day.session) as session:
        row = session.get_one(model, key)
        for name, value in values.items():
            setattr(row, name, value)


@pytest.mark.row("C3")
@pytest.mark.row("C7")
def test_who_is_no_longer_let_in_is_not_answered_from_what_is_kept(day: Day) -> None:
    other = Site(day.app.test_client())
    other.sign_in(day.session.get_one(User, day.priya.user_id))
    for site in (day.customer, other):
        for url in ("/my/", "/my/live", f"{day.at}/live"):
            assert site.get(url).status_code == site.get(url).status_code == 200
    other.post("/logout", {})
    for url in ("/my/", "/my/live", f"{day.at}/live"):
        # Signing out ends the one session and no other.
        assert other.client.get(url).status_code == 302
        assert day.customer.client.get(url).status_code == 200
    with unit_of_work(day.session) as session:
        session.get_one(Customer, day.priya.id).user_id = None
    for url in ("/my/", "/my/live", f"{day.at}/live"):
        assert day.customer.client.get(url).status_code in {302, 403, 404}
