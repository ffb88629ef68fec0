"""The customer's pages in a real browser, at the width of a phone and of a desk.

The browser stands in Tokyo throughout: what it shows is the partner's time, wherever the reader is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from playwright.sync_api import expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor, Role
from portal.domain.contracts import services as contracts
from portal.domain.jobs import fieldwork, services
from portal.domain.jobs.models import Appointment, Job
from portal.domain.people.models import Customer, Partner, Technician, User
from portal.domain.requests.models import ChangeRequest
from portal.domain.unit_of_work import unit_of_work
from portal.web.links import confirm_path
from tests.browser.looking import LOOKS, PHONE, axe_complaints, overflow, sign_in
from tests.factories import Create

LONDON = ZoneInfo("Europe/London")
ELSEWHERE = {"timezone_id": "Asia/Tokyo"}
# A partner that puts its clocks forward and back by an hour, and one that does by half an hour.
WITH_AND_WITHOUT_JAVASCRIPT = pytest.mark.parametrize(
    ("phone", "zone"),
    [(True, ZoneInfo("America/New_York")), (False, ZoneInfo("Australia/Lord_Howe"))],
    ids=["with JavaScript in New York", "without on Lord Howe"],
    indirect=True,
)


def workday(day: date) -> date:
    """Return ``day``, or the Monday after it."""
    return day + timedelta(days=max(0, 7 - day.weekday()) if day.weekday() > 4 else 0)


@dataclass
class Home:
    """A customer with a visit at nine on a working day of the second week from now, and the working day after it.

    All in the zone of the partner.
    """

    zone: ZoneInfo
    partner: Partner
    user: User
    customer: Customer
    job: Job
    start: datetime
    next_day: datetime

    @property
    def at(self) -> str:
        return f"/my/visits/{self.job.appointments[0].id}"

    def said(self, instant: datetime) -> str:
        """Return "Tue 24 Nov" as the pages do, with the year when it is not this one."""
        local = instant.astimezone(self.zone)
        year = "" if local.year == datetime.now(self.zone).year else f" {local.year}"
        return f"{local:%a} {local.day} {local:%b}{year}"

    @property
    def staff(self) -> Actor:
        return Actor(None, Role.DISPATCHER, "Dana Okafor", frozenset({self.partner.id}))


@pytest.fixture
def zone(request: pytest.FixtureRequest) -> ZoneInfo:
    """Where the partner is."""
    found: ZoneInfo = getattr(request, "param", LONDON)
    return found


@pytest.fixture
def home(
    zone: ZoneInfo,
    create_partner: Create,
    create_user: Create,
    create_customer: Create,
    create_technician: Create,
    create_service_type: Create,
    create_installation: Create,
    set_controls: Create,
) -> Home:
    partner = create_partner(
        name="Brightwell Solar & Heat", phone="0117 496 0180", brand_colour="#12476b", timezone=zone.key
    )
    set_controls(partner, self_service=True)
    user = create_user(name="Priya Raman")
    customer = create_customer(partner, user)
    first = workday(datetime.now(zone).date() + timedelta(days=9))
    start, next_day = (
        datetime.combine(day, time(9), zone).astimezone(UTC) for day in (first, workday(first + timedelta(days=1)))
    )
    kind = create_service_type(partner, name="Solar panel installation", duration_minutes=360)
    technician = create_technician(partner, name="Tomás Reyes")
    items = [("Solar panel 430 W", 12), ("Inverter 6 kW", 1)]
    job = create_installation(partner, customer, technician, start=start, kind=kind, items=items)
    return Home(zone, partner, user, customer, job, start, next_day)


@pytest.fixture
def phone(request: pytest.FixtureRequest, open_window: Callable[..., Any]) -> Any:
    """A phone, with or without JavaScript."""
    return open_window(viewport=PHONE, has_touch=True, java_script_enabled=request.param, **ELSEWHERE)


@WITH_AND_WITHOUT_JAVASCRIPT
@pytest.mark.row("M1", "C13")
def test_moving_a_visit_on_a_phone(phone: Any, home: Home, session: Session) -> None:
    day = home.next_day
    sign_in(phone, home.user)
    phone.get_by_role("link", name="Modify").click()
    expect(phone.get_by_label("Move it to another time")).to_be_checked()
    phone.get_by_role("button", name="Continue").click()
    phone.get_by_role("link", name="Later").click()
    phone.locator("#day").get_by_text(home.said(day)).click()
    phone.get_by_label("11:00–13:00").check()
    phone.get_by_role("button", name="Continue").click()
    # what was entered is kept on the way back
    phone.get_by_role("link", name="Change the arrival time").click()
    expect(phone.get_by_role("radio", name="11:00–13:00")).to_be_checked()
    phone.get_by_label("12:00–14:00").check()
    phone.get_by_role("button", name="Continue").click()
    phone.get_by_role("button", name=f"Move to {home.said(day)}, 12:00–14:00").click()
    expect(phone.get_by_role("heading", level=1)).to_have_text("Your visit is moved")
    phone.get_by_role("main").get_by_role("link", name="My Schedule").click()
    expect(phone.locator(".when")).to_have_text(f"{home.said(day)} 12:00–14:00")
    expect(phone.get_by_text("You confirmed")).to_be_visible()
    session.rollback()
    start = session.scalars(select(Appointment.start_at).where(Appointment.job_id == home.job.id)).one()
    assert start == day + timedelta(hours=3)


@pytest.mark.look
@WITH_AND_WITHOUT_JAVASCRIPT
@pytest.mark.row("M7", "M8", "C6", "C13")
def test_cancelling_undoing_confirming_and_asking_on_a_phone(phone: Any, home: Home, session: Session) -> None:
    sign_in(phone, home.user)
    phone.get_by_role("link", name="Modify").click()
    phone.get_by_text("Cancel the visit").click()
    phone.get_by_role("button", name="Continue").click()
    phone.get_by_role("button", name="Continue").click()
    expect(phone.locator(".error-summary")).to_contain_text("Enter a reason")
    phone.get_by_label("Your reason").fill("Nobody at home")
    phone.get_by_role("button", name="Continue").click()
    phone.get_by_role("button", name="Change the reason").click()
    expect(phone.get_by_label("Your reason")).to_have_value("Nobody at home")
    phone.get_by_role("button", name="Continue").click()
    phone.get_by_role("button", name=f"Cancel {home.said(home.start)}, 9:00–11:00").click()
    expect(phone.get_by_role("heading", level=1)).to_contain_text("Cancelling")
    phone.get_by_role("main").get_by_role("link", name="My Schedule").click()
    phone.get_by_role("button", name="Undo: keep the visit").click()
    expect(phone.locator("main .notice-ok")).to_have_text(f"Your visit stays: {home.said(home.start)}, 9:00–11:00.")
    phone.get_by_role("button", name="Confirm this time").click()
    expect(phone.locator("main .notice-ok")).to_have_text(
        f"Thank you. You confirmed {home.said(home.start)}, 9:00–11:00."
    )
    # what is confirmed only the office cancels
    phone.get_by_role("link", name="Modify").click()
    expect(phone.get_by_label("Cancel the visit")).to_have_count(0)
    phone.get_by_role("link", name="Request change").click()
    phone.get_by_role("button", name="Request change").click()
    expect(phone.locator(".error-summary")).to_contain_text("Tell us what would suit you")
    assert phone.title().startswith("Error: ")
    phone.get_by_label("Tell us more").fill("The roof is being done first")
    phone.get_by_role("button", name="Request change").click()
    expect(phone.locator("main .notice-ok")).to_contain_text("We have your request.")
    session.rollback()
    visit = session.scalars(select(Appointment).where(Appointment.job_id == home.job.id)).one()
    assert (visit.cancel_at, visit.confirmed_by) == (None, "customer")
    assert session.scalars(select(ChangeRequest.wish)).one() == "cancel"


@pytest.mark.look
@pytest.mark.row("M5", "C13")
def test_a_lost_time_puts_the_focus_on_the_news_and_back_is_harmless(
    open_window: Callable[..., Any], home: Home, session: Session, create_installation: Create
) -> None:
    page = open_window(viewport=PHONE, **ELSEWHERE)
    sign_in(page, home.user)
    day = home.next_day
    page.goto(f"{home.at}/move/check?start={day:%Y-%m-%dT%H:%MZ}")

    technician = session.get_one(Technician, home.job.technician_id)
    create_installation(home.partner, None, technician, start=day)
    page.get_by_role("button", name="Move to").click()
    expect(page.locator(".notice-danger")).to_be_focused()
    expect(page.locator(".notice-danger")).to_contain_text("Not moved")
    assert axe_complaints(page) == []
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Choose a day and a time")


@pytest.mark.row("C13")
def test_every_part_of_the_menu_is_in_sight_on_a_phone(open_window: Callable[..., Any], home: Home) -> None:
    page = open_window(viewport=PHONE)
    sign_in(page, home.user)
    page.get_by_role("button", name="Deutsch").click()
    parts = page.locator(".nav a")
    assert parts.count() == 4
    for part in parts.all():
        expect(part).to_be_in_viewport(ratio=1)
    # In one row, which leaves the rest of the phone to what people came for.
    assert len({part.bounding_box()["y"] for part in parts.all()}) == 1


@pytest.mark.look
@pytest.mark.row("C13")
def test_a_visit_on_paper_is_without_menu_and_buttons(open_window: Callable[..., Any], home: Home) -> None:
    page = open_window(viewport=PHONE)
    sign_in(page, home.user)
    page.locator(".rows a.row-link, .next a.btn").first.click()
    expect(page.locator("main h1")).to_be_visible()
    assert page.locator(".btn:visible, .back:visible, .nav:visible").count() > 2
    page.emulate_media(media="print")
    expect(page.locator("main h1")).to_be_visible()
    assert page.locator(".btn:visible, .back:visible, .nav:visible").count() == 0


@pytest.mark.look
@pytest.mark.row("C13")
def test_every_page_is_clean_for_axe_and_fits(
    open_window: Callable[..., Any],
    app: Flask,
    home: Home,
    session: Session,
    create_partner: Create,
    create_customer: Create,
    create_technician: Create,
    create_installation: Create,
) -> None:
    page, day = open_window(**ELSEWHERE), home.next_day
    # what a partner that has self-service off refuses, for a customer of both
    other = create_partner(name="Kestrel Home Care", brand_colour="#86304b", phone="0117 496 0326")
    job = create_installation(other, create_customer(other, home.user), create_technician(other))
    elsewhere = f"/my/visits/{job.appointments[0].id}"
    moved = _moved(home, session, create_technician, create_installation)
    with app.app_context():
        links = [confirm_path(visit.id, visit.start_at) for visit in (home.job.appointments[0], moved)]
        # to the time that it had before
        links += [confirm_path(moved.id, home.start), "/confirm/x"]
    addresses = [*_story(home, session, create_technician, create_installation), "/my/", "/my/visits", home.at]
    addresses += [f"{home.at}/{path}" for path in ("modify", "move", "move?day=x", "move/check")]
    addresses += [f"{home.at}/move/check?start={day:%Y-%m-%dT%H:%MZ}", f"/my/visits/{moved.id}/moved"]
    sign_in(page, home.user)
    for address in (*addresses, *links, f"{elsewhere}/modify"):
        page.goto(address)
        _look_at(page)
    page.goto(f"{elsewhere}/request")
    for words in ("", "Any morning"):
        page.get_by_label("Tell us more").fill(words)
        page.get_by_role("button", name="Request change").click()
        _look_at(page)
    page.goto("/my/requests")
    _look_at(page)
    page.goto(f"{home.at}/cancel")
    for words in ("", "Nobody at home"):
        page.get_by_label("Your reason").fill(words)
        page.get_by_role("button", name="Continue").click()
        _look_at(page)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Cancelling")
    _look_at(page)


def _look_at(page: Any) -> None:
    """Look at a page at the width of a phone and of a desk, in each scheme."""
    for size, scheme in LOOKS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size(size)
        assert axe_complaints(page) == [], (scheme, size)
    for width in (360, 390, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        assert overflow(page) <= 0, (page.url, width)


def _moved(home: Home, session: Session, create_technician: Create, create_installation: Create) -> Appointment:
    """Give the customer a visit that they have moved, and return it."""
    technician = create_technician(home.partner)
    job = create_installation(home.partner, home.customer, technician, start=home.start)
    actor = Actor(
        home.user.id,
        Role.CUSTOMER,
        home.user.name,
        frozenset({home.partner.id}),
        customer_ids=frozenset({home.customer.id}),
    )
    visit_id, start = job.appointments[0].id, home.next_day + timedelta(hours=1)
    with unit_of_work(session):
        services.move_by_customer(session, actor, datetime.now(UTC), visit_id, start)
    visit = session.get_one(Appointment, visit_id)
    session.expunge(visit)
    return visit


def _story(home: Home, session: Session, create_technician: Create, create_installation: Create) -> list[str]:
    """Give the customer a past: a visit that is cancelled, one that was made, a contract; return their addresses."""
    cancelled = create_installation(home.partner, home.customer)
    done = create_installation(home.partner, home.customer, create_technician(home.partner), start=_soon())
    visit = done.appointments[0]
    with unit_of_work(session):
        services.cancel(session, home.staff, datetime.now(UTC), cancelled.id, "Not needed")
    for act in (fieldwork.set_off, fieldwork.arrive, fieldwork.start_work, fieldwork.complete):
        with unit_of_work(session):
            act(session, home.staff, _soon(), visit.id, visit.move_number)
    with unit_of_work(session):
        contract_id = contracts.send_contract(session, home.staff, datetime.now(UTC), done.id).id
    return [f"/my/visits/{visit.id}", f"/my/jobs/{done.id}", f"/my/contracts/{contract_id}"]


def _soon() -> datetime:
    return datetime.now(UTC) + timedelta(minutes=1)
