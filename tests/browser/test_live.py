"""Two windows at once: an office page shows what others do without a reload, and never in the middle of one's work."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from playwright.sync_api import Page, expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor, Role
from portal.domain.jobs import services
from portal.domain.jobs.models import Appointment, Job
from portal.domain.people.models import Customer, Partner, Technician, User
from portal.domain.scheduling.models import ServiceType
from portal.domain.unit_of_work import unit_of_work
from tests.browser.looking import axe_complaints, overflow, settled, sign_in
from tests.conftest import Database
from tests.factories import Create

pytestmark = pytest.mark.row("P17")
LONDON = ZoneInfo("Europe/London")
PHONE = {"width": 390, "height": 844}
URL = "/admin/installations/"
Windows = Callable[..., Page]


@pytest.fixture
def app(database: Database) -> Iterator[Flask]:
    """Pages that ask every moment."""
    database.app.config["LIVE_SECONDS"] = 0.15
    yield database.app
    database.app.config["LIVE_SECONDS"] = database.app.config["SETTINGS"].live_seconds


def workday(weeks: int) -> date:
    """Return the Tuesday of a week to come."""
    today = datetime.now(LONDON).date()
    return today + timedelta(days=7 * weeks + 1 - today.weekday())


def at(hour: int, weeks: int = 2) -> datetime:
    """Return an hour of that day by the partner's clocks."""
    return datetime.combine(workday(weeks), time(hour), tzinfo=LONDON).astimezone(UTC)


def told(day: date) -> str:
    """Return "Tue 24 Nov" as the pages do, with the year when it is not this one."""
    year = "" if day.year == datetime.now(LONDON).year else f" {day.year}"
    return f"{day:%a} {day.day} {day:%b}{year}"


@dataclass
class Desk:
    """Acme's office: Dana at her desk, her colleague Omar, two technicians, a customer with a log-in."""

    session: Session
    partner: Partner
    dana: User
    omar: User
    priya: User
    customer: Customer
    kind: ServiceType
    ines: Technician
    ines_user: User
    tomas: Technician
    _create: Create

    def create(self, **values: Any) -> Job:
        given = {"customer": self.customer, "kind": self.kind, "start": at(9)}
        job: Job = self._create(self.partner, **(given | values))
        return job

    def do(self, use_case: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Let Omar do something."""
        omar = Actor(self.omar.id, Role.DISPATCHER, self.omar.name, frozenset({self.partner.id}))
        with unit_of_work(self.session) as session:
            use_case(session, omar, datetime.now(UTC), *args, **kwargs)

    def visit(self, job: Job) -> Appointment:
        self.session.rollback()
        return self.session.scalars(select(Appointment).where(Appointment.job_id == job.id)).one()


@pytest.fixture
def desk(
    session: Session,
    create_partner: Create,
    create_user: Create,
    create_staff: Create,
    create_customer: Create,
    create_technician: Create,
    create_service_type: Create,
    create_installation: Create,
    set_controls: Create,
) -> Desk:
    partner = create_partner(name="Acme Home Energy")
    set_controls(partner, self_service=True, reschedule_unconfirmed=True, cancel_unconfirmed=True)
    priya, ines = create_user(name="Priya Raman"), create_user(name="Ines Kowalski")
    return Desk(
        session,
        partner,
        create_staff(partner, name="Dana Okafor"),
        create_staff(partner, name="Omar Haddad"),
        priya,
        create_customer(partner, priya),
        create_service_type(partner, name="Solar panels", duration_minutes=120),
        create_technician(partner, ines),
        ines,
        create_technician(partner, name="Tomás Reyes"),
        create_installation,
    )


def opened(window: Page, who: User, url: str) -> Page:
    """Sign in, open a page that follows, and note whatever it announces; a reload would forget the notes."""
    sign_in(window, who)
    window.goto(url)
    window.evaluate(
        """() => {
          window.heard = [];
          const place = document.querySelector("#live-said");
          new MutationObserver(() => heard.push(place.textContent)).observe(place, {childList: true, subtree: true});
        }"""
    )
    return window


def heard(page: Page) -> list[str]:
    """Return what the page has announced since it was opened."""
    found: list[str] = page.evaluate("window.heard")
    return found


def asked_again(page: Page) -> None:
    """Wait until the page has asked and been answered, twice, so that what it knew then has had its effect."""
    for _ in range(2):
        with page.expect_response(re.compile("/admin/live/")):
            pass


def row(page: Page, job: Job) -> Any:
    return page.locator(f"tr[data-job='{job.id}']")


@pytest.mark.look
@pytest.mark.row("M1")
@pytest.mark.row("M7")
def test_the_list_shows_a_customers_move_and_cancel(open_window: Windows, desk: Desk) -> None:
    job = desk.create(technician=desk.ines)
    other = desk.create(start=at(13))
    dana = opened(open_window(), desk.dana, URL)
    expect(dana.locator(".live")).to_contain_text("Live, updated")
    before = row(dana, other).inner_text()

    priya = open_window(viewport=PHONE)
    sign_in(priya, desk.priya)
    priya.goto(f"/my/visits/{desk.visit(job).id}")
    priya.get_by_role("link", name="Modify").click()
    priya.get_by_role("button", name="Continue").click()
    priya.get_by_role("navigation", name="Day").get_by_role("link").filter(has_text="time").last.click()
    priya.locator("label.pill").last.click()
    priya.get_by_role("button", name="Continue").click()
    day = priya.locator(".compare .new .day").inner_text()
    priya.get_by_role("button", name="Move to").click()
    expect(priya.get_by_text("Your visit is moved").first).to_be_visible()

    expect(row(dana, job)).to_contain_text(day)
    expect(row(dana, job)).to_contain_text("Moved by customer just now")
    expect(row(dana, job)).to_have_class(re.compile("is-new"))
    assert row(dana, other).inner_text() == before
    (sentence,) = heard(dana)
    assert sentence.startswith(f"{job.number} was moved by the customer to {day}")

    priya.goto(f"/my/visits/{desk.visit(other).id}")
    priya.get_by_role("link", name="Modify").click()
    priya.get_by_label("Cancel the visit").check()
    priya.get_by_role("button", name="Continue").click()
    priya.get_by_label("Your reason").fill("No longer wanted")
    priya.get_by_role("button", name="Continue").click()
    priya.get_by_role("button", name="Cancel ").click()
    expect(row(dana, other)).to_contain_text("Cancelling by customer just now")
    asked_again(dana)
    assert len(heard(dana)) == 2
    assert axe_complaints(dana) == []


@pytest.mark.look
@pytest.mark.row("J4")
def test_the_detail_page_follows_the_technician(open_window: Windows, desk: Desk) -> None:
    start = datetime.now(UTC) + timedelta(minutes=5)
    job = desk.create(technician=desk.ines, start=start)
    dana = opened(open_window(), desk.dana, f"{URL}{job.id}")
    timeline = dana.locator(".timeline li")
    count = timeline.count()
    dana.get_by_role("link", name="Reassign").focus()

    ines = open_window(viewport=PHONE)
    sign_in(ines, desk.ines_user)
    ines.goto(f"/field/visits/{desk.visit(job).id}")
    ines.get_by_role("button", name="On my way").click()
    expect(dana.locator("#title .status")).to_have_text("En route")
    expect(timeline).to_have_count(count + 1)
    expect(timeline.first).to_contain_text("On the way")
    expect(dana.get_by_role("link", name="Reschedule")).to_have_count(0)
    # Whoever was somewhere still is, and the buttons that came work.
    expect(dana.get_by_role("link", name="Reassign")).to_be_focused()
    assert heard(dana) == [f"Ines Kowalski is on the way to {job.number}."]
    dana.get_by_role("button", name="Arrived").click()
    expect(dana.get_by_role("status").filter(has_text=job.number)).to_be_visible()
    expect(ines.get_by_text("On the way").first).to_be_visible()


@pytest.mark.look
@pytest.mark.row("P11")
def test_the_calendar_follows_another_dispatcher(open_window: Windows, desk: Desk) -> None:
    job, day = desk.create(), workday(2)
    later = day + timedelta(days=1) if (day + timedelta(days=1)).month == day.month else day - timedelta(days=1)
    dana = opened(open_window(), desk.dana, f"/admin/calendar/?mode=month&day={day.isoformat()}")
    cell = dana.locator(f"a.day[href*='day={day.isoformat()}']")
    expect(cell).to_have_class(re.compile("status-needs"))
    expect(dana.locator("aside .day-list li")).to_contain_text("Nobody yet")

    omar = open_window()
    sign_in(omar, desk.omar)
    omar.goto(f"{URL}{job.id}")
    omar.get_by_role("link", name="Assign", exact=True).click()
    settled(omar)
    omar.get_by_role("combobox", name="Handyman").press_sequentially("kow")
    omar.get_by_role("option", name="Ines Kowalski").click()
    omar.locator("[data-act]").click()
    expect(omar.get_by_role("status").filter(has_text="is assigned")).to_be_visible()

    visit = dana.locator("aside .day-list li")
    expect(visit).to_contain_text("Ines Kowalski")
    expect(visit).to_contain_text("Assigned by Omar Haddad just now")
    expect(cell).to_have_class(re.compile("status-scheduled"))
    assert heard(dana) == [f"{job.number} was assigned by Omar Haddad to Ines Kowalski."]

    # A day that gets its first visit is reached by the arrow keys like the others.
    desk.create(start=datetime.combine(later, time(10), tzinfo=LONDON).astimezone(UTC))
    other = dana.locator(f"a.day[href*='day={later.isoformat()}']")
    expect(other).to_be_visible()
    cell.focus()
    dana.keyboard.press("ArrowRight" if later > day else "ArrowLeft")
    expect(other).to_be_focused()
    assert axe_complaints(dana) == []


@pytest.mark.look
def test_nothing_moves_while_somebody_is_at_work(open_window: Windows, desk: Desk) -> None:
    job, other = desk.create(), desk.create(start=at(13))
    dana = opened(open_window(), desk.dana, URL)
    show = dana.get_by_role("button", name=re.compile("show"))

    # Typing.
    field = dana.get_by_label("Text")
    field.press_sequentially("rama")
    desk.do(services.assign, job.id, desk.ines.id)
    expect(show).to_have_text("1 change, show it")
    desk.do(services.assign, other.id, desk.ines.id)
    expect(show).to_have_text("2 changes, show them")
    asked_again(dana)
    expect(row(dana, job)).to_contain_text("Nobody yet")
    expect(field).to_be_focused()
    assert heard(dana) == []
    show.click()
    expect(row(dana, job)).to_contain_text("Ines Kowalski")
    expect(show).to_be_hidden()
    expect(field).to_have_value("rama")
    sentences = [f"{one.number} was assigned by Omar Haddad to Ines Kowalski." for one in (job, other)]
    assert heard(dana) == [" ".join(sentences)]

    # A dialog is open; it closes, and what waited is shown by itself.
    row(dana, job).get_by_role("link", name="Reassign").click()
    dialog = dana.get_by_role("dialog")
    expect(dialog).to_be_visible()
    desk.do(services.reassign, job.id, desk.tomas.id)
    expect(dana.locator("[data-show]")).to_have_text("1 change, show it")
    asked_again(dana)
    expect(row(dana, job)).to_contain_text("Ines Kowalski")
    dialog.get_by_role("link", name="Back").click()
    expect(row(dana, job)).to_contain_text("Tomás Reyes")
    assert len(heard(dana)) == 2

    # A row is ticked; the bar of what can be done with it is there for as long.
    tick = row(dana, other).get_by_role("checkbox")
    tick.check()
    desk.do(services.reassign, job.id, desk.ines.id)
    expect(dana.locator("[data-show]")).to_have_text("1 change, show it")
    asked_again(dana)
    expect(row(dana, job)).to_contain_text("Tomás Reyes")
    expect(tick).to_be_checked()
    expect(dana.get_by_text("1 selected")).to_be_visible()
    tick.uncheck()
    expect(row(dana, job)).to_contain_text("Ines Kowalski")
    assert len(heard(dana)) == 3
    expect(dana.get_by_text("1 selected")).to_be_hidden()
    # Shown on demand, the tick stays.
    tick.check()
    desk.do(services.reassign, job.id, desk.tomas.id)
    show.click()
    expect(row(dana, job)).to_contain_text("Tomás Reyes")
    expect(tick).to_be_checked()
    expect(dana.get_by_text("1 selected")).to_be_visible()


@pytest.mark.look
def test_rows_come_and_go_without_moving_away_from_under_the_pointer(open_window: Windows, desk: Desk) -> None:
    job, other = desk.create(), desk.create(start=at(13))
    dana = opened(open_window(), desk.dana, f"{URL}?technician=none")
    rows = dana.locator("tbody tr")
    scheduled = dana.locator(".ov").first
    queue = dana.context.new_page()
    queue.goto("/admin/")
    queue.locator("#menu-queues a:has(.count)").click()
    expect(row(queue, job)).to_be_visible()

    desk.do(services.assign, job.id, desk.ines.id)
    for page in (dana, queue):
        expect(row(page, job)).to_contain_text("No longer in this list")
    expect(row(dana, job)).to_have_class(re.compile("is-gone"))
    expect(rows).to_have_count(2)
    expect(scheduled).to_contain_text("1 without")

    early = desk.create(start=at(8))
    expect(rows.first).to_contain_text(early.number)
    expect(rows.first).to_contain_text("Scheduled by Dana Okafor just now")

    row(dana, other).hover()
    earlier = desk.create(start=at(7))
    expect(dana.locator("[data-show]")).to_have_text("1 change, show it")
    expect(scheduled).to_contain_text("4")
    expect(rows).to_have_count(3)
    dana.get_by_role("heading", name="Installations", exact=True).hover()
    expect(rows.first).to_contain_text(earlier.number)
    expect(rows).to_have_count(4)
    # The button of a row that came opens its dialog as any other does.
    rows.first.get_by_role("link", name="Assign").click()
    expect(dana.get_by_role("dialog")).to_contain_text(earlier.number)
    assert len(heard(dana)) == 3
    assert axe_complaints(dana) == []


@pytest.mark.look
def test_dashboard_and_feed_follow_and_many_are_told_in_one_sentence(open_window: Windows, desk: Desk) -> None:
    jobs = [desk.create(start=at(9, weeks)) for weeks in range(2, 7)]
    dana = opened(open_window(), desk.dana, "/admin/")
    attention, count = dana.locator("#attention"), dana.locator("#menu-queues .count")
    feed = opened(open_window(viewport=PHONE), desk.omar, "/admin/activity/")
    expect(attention.locator("li")).to_have_count(5)
    expect(count).to_contain_text("5")
    with unit_of_work(desk.session) as session:
        omar = Actor(desk.omar.id, Role.DISPATCHER, desk.omar.name, frozenset({desk.partner.id}))
        for job in jobs:
            services.assign(session, omar, datetime.now(UTC), job.id, desk.ines.id)
    last = f"{jobs[-1].number} was assigned by Omar Haddad to Ines Kowalski."
    for page, first in ((dana, "#latest li"), (feed, "tbody tr")):
        expect(page.locator(first).first).to_contain_text(last)
        expect(page.locator(first).first).to_have_class(re.compile("is-new"))
        assert heard(page) == ["5 installations changed."]
        assert axe_complaints(page) == []
        assert overflow(page) == 0
    expect(attention).to_contain_text("Nothing needs attention")
    expect(count).to_have_count(0)


@pytest.mark.look
def test_a_lost_connection_and_a_lost_session_are_said(open_window: Windows, desk: Desk) -> None:
    job = desk.create()
    window = open_window()
    dana = opened(window, desk.dana, URL)
    line = dana.locator(".live")
    expect(line).to_contain_text("Live, updated")
    window.context.set_offline(True)
    expect(line).to_contain_text(re.compile(r"Not updated since \d?\d:\d\d\."))
    again = line.get_by_role("button", name="Try again")
    expect(again).to_be_visible()
    assert axe_complaints(dana) == []
    desk.do(services.assign, job.id, desk.ines.id)
    window.context.set_offline(False)
    again.click()
    expect(row(dana, job)).to_contain_text("Ines Kowalski")
    expect(line).to_contain_text("Live, updated")
    assert heard(dana) == [f"{job.number} was assigned by Omar Haddad to Ines Kowalski."]

    # In another tab of the same browser.
    tab = window.context.new_page()
    tab.goto("/admin/")
    tab.get_by_role("button", name="Sign out").click()
    tab.wait_for_url(lambda url: "/admin/" not in url)
    expect(line).to_contain_text("You are signed out.")
    line.get_by_role("link", name="Sign in").click()
    dana.get_by_label("Email address").fill(desk.dana.email)
    assert "next=" in dana.url
