"""The office's calendar in a real browser: with the mouse, with the keyboard, on a phone."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy.orm import Session

from portal.domain.actor import Role
from portal.domain.jobs import services
from portal.domain.people.models import User
from portal.domain.unit_of_work import unit_of_work
from tests.browser.looking import DESK, PHONE, axe_complaints, overflow, sign_in
from tests.factories import actor_for

pytestmark = [pytest.mark.row("P11"), pytest.mark.look]

Create = Callable[..., Any]
CALENDAR = "/admin/calendar/"
MARCH = f"{CALENDAR}?mode=month&date=2031-03-01"
NINE = datetime(2031, 3, 11, 9, tzinfo=UTC)
DAY = timedelta(days=1)
WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


@pytest.fixture
def dispatcher(
    session: Session,
    create_partner: Create,
    create_staff: Create,
    create_customer: Create,
    create_technician: Create,
    create_installation: Create,
) -> User:
    """A dispatcher with visits on 10, 11 (two), 13, 18 and 31 March and on 1 April 2031; the 13th is rejected."""
    partner = create_partner(name="Brightwell Solar & Heat", brand_colour="#12476b")
    user: User = create_staff(partner, name="Dana Okafor")
    helena, ruth = (create_customer(partner, name=name) for name in ("Helena Duarte", "Ruth Feldman"))
    ines = create_technician(partner, name="Ines Kowalski")
    items = [("Solar panel 430 W", 12), ("Inverter 6 kW", 1)]
    create_installation(partner, helena, ines, start=NINE, items=items)
    create_installation(partner, ruth, start=NINE + timedelta(hours=4))
    for days in (-1, 7, 20, 21):
        create_installation(partner, helena, ines, start=NINE + days * DAY)
    rejected = create_installation(partner, ruth, start=NINE + 2 * DAY)
    with unit_of_work(session):
        services.reject(session, actor_for(user, Role.DISPATCHER, partner), datetime.now(UTC), rejected.id, "Too far")
    return user


def day(page: Page, name: str) -> Any:
    """Return the link of a day of the month."""
    return page.get_by_role("table").get_by_role("link", name=re.compile(name))


def test_from_month_to_day_to_installation_and_back(page: Page, dispatcher: User) -> None:
    sign_in(page, dispatcher)
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Calendar").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(datetime.now(UTC).strftime("%B %Y"))
    page.goto(MARCH)
    day(page, "^Tue 11 Mar 2031, 2 visits, 1 scheduled without handyman$").click()
    panel = page.get_by_role("complementary", name="Tue 11 Mar 2031")
    expect(panel.get_by_role("listitem")).to_have_count(2)
    expect(panel.get_by_role("listitem").first).to_contain_text("9:00–11:00")
    expect(panel.get_by_role("listitem").first).to_contain_text("14 Alder Close, BS6 5QT")
    expect(panel.get_by_role("listitem").first).to_contain_text("Ines Kowalski")
    expect(panel.get_by_role("heading")).to_be_focused()
    # beside the month, not under it
    assert panel.bounding_box()["x"] > page.get_by_role("table").bounding_box()["x"] + 500  # type: ignore[index]
    expect(page.get_by_role("heading", level=1)).to_be_in_viewport()
    panel.get_by_role("link", name="Ruth Feldman").click()
    page.wait_for_url("**/admin/installations/*")
    page.go_back()
    expect(panel.get_by_role("listitem")).to_have_count(2)
    expect(day(page, "^Tue 11 Mar")).to_have_attribute("aria-current", "true")


def test_arrow_keys_go_from_day_to_day(page: Page, dispatcher: User) -> None:
    sign_in(page, dispatcher)
    page.goto(f"{MARCH}&day=2031-03-11")
    expect(page.get_by_text("arrow keys go from day to day")).to_be_visible()
    # one stop for Tab, at the chosen day
    expect(page.locator("table a[tabindex='0']")).to_have_count(1)
    page.get_by_role("navigation", name="Mode").get_by_role("link", name="Day").focus()
    page.keyboard.press("Tab")
    expect(day(page, "^Tue 11")).to_be_focused()
    for key, name in (
        ("ArrowRight", "^Thu 13"),
        ("ArrowLeft", "^Tue 11"),
        ("ArrowDown", "^Tue 18"),
        ("ArrowDown", "^Tue 1 Apr"),
        ("ArrowDown", "^Tue 1 Apr"),
        ("ArrowRight", "^Tue 1 Apr"),
        ("Home", "^Mon 31"),
        ("ArrowUp", "^Mon 10"),
        ("ArrowLeft", "^Mon 10"),
        ("End", "^Thu 13"),
    ):
        page.keyboard.press(key)
        expect(day(page, name)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Thu 13 Mar 2031")).to_be_focused()
    expect(page.get_by_role("complementary")).to_contain_text("Rejected")


def test_week_and_day(page: Page, dispatcher: User) -> None:
    sign_in(page, dispatcher)
    page.goto(f"{MARCH}&day=2031-03-11")
    modes = page.get_by_role("navigation", name="Mode")
    modes.get_by_role("link", name="Week").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("10–16 Mar 2031")
    expect(page.get_by_role("main").get_by_role("heading", level=2)).to_have_text(
        [f"{name} {number} Mar 2031" for number, name in enumerate(WEEKDAYS, 10)]
    )
    page.get_by_role("link", name="Week after").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("17–23 Mar 2031")
    page.get_by_role("link", name="Tue 18 Mar 2031").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Tue 18 Mar 2031")
    expect(page.get_by_role("main").get_by_text("Helena Duarte")).to_be_visible()
    page.get_by_label("Date", exact=True).fill("2031-03-11")
    page.get_by_role("button", name="Go").click()
    expect(page.get_by_role("main").get_by_role("link", name="Ruth Feldman")).to_be_visible()


def test_on_a_phone_a_day_keeps_shape_and_count_and_opens_below(page: Page, dispatcher: User) -> None:
    page.set_viewport_size(PHONE)
    sign_in(page, dispatcher)
    page.goto(MARCH)
    eleventh = day(page, "^Tue 11")
    expect(eleventh.locator(".n")).to_be_visible()
    assert eleventh.locator(".top-status").bounding_box()["width"] <= 1  # type: ignore[index]
    shape = eleventh.evaluate("link => parseFloat(getComputedStyle(link, '::before').width)")
    assert shape > 5
    expect(page.get_by_text("No handyman", exact=True)).to_be_visible()
    eleventh.click()
    expect(page.get_by_role("heading", name="Tue 11 Mar 2031")).to_be_in_viewport()


def test_without_javascript_each_day_is_a_link(open_window: Callable[..., Any], dispatcher: User) -> None:
    page = open_window(java_script_enabled=False)
    sign_in(page, dispatcher)
    page.goto(MARCH)
    day(page, "^Mon 10").click()
    expect(page.get_by_role("complementary").get_by_role("link", name="Helena Duarte")).to_be_visible()
    page.get_by_label("Date", exact=True).fill("2031-04-01")
    page.get_by_role("button", name="Go").click()
    expect(page.get_by_role("heading", name="Tue 1 Apr 2031")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_is_too_wide(page: Page, dispatcher: User, scheme: Any) -> None:
    sign_in(page, dispatcher)
    page.emulate_media(color_scheme=scheme)
    for size in (DESK, PHONE):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        for query in ("mode=month&day=2031-03-11", "mode=week&date=2031-03-11", "mode=day&date=2031-03-11", "mode=x"):
            page.goto(f"{CALENDAR}?{query}")
            assert axe_complaints(page) == []
            assert overflow(page) <= 0


def test_a_day_on_paper_is_without_menu_and_buttons(page: Any, dispatcher: User) -> None:
    sign_in(page, dispatcher)
    page.goto(f"{CALENDAR}?mode=day&date=2031-03-11")
    page.emulate_media(media="print")
    expect(page.locator("main").get_by_text("Helena Duarte")).to_be_visible()
    expect(page.locator("#menu")).to_be_hidden()
    assert page.locator(".btn:visible, input:visible").count() == 0
    main = page.locator("main").bounding_box()
    assert main is not None
    assert (main["x"], main["width"]) == (0, page.evaluate("document.documentElement.clientWidth"))
