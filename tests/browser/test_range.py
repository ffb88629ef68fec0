"""The dates of the installations list in a real browser: the calendar by mouse and by keys; two fields without it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy.orm import Session

from portal.domain.people.models import User
from tests.browser.looking import LOOKS, axe_complaints, overflow, sign_in

pytestmark = [pytest.mark.row("P8"), pytest.mark.look]

Create = Callable[..., Any]
URL = "/admin/installations/"
MARCH = datetime(2031, 3, 10, 9, tzinfo=UTC)
NUMBERS = {day: f"D-{1000 + place}" for place, day in enumerate((10, 12, 14, 31), 1)}
WHOLE = f"{URL}?first=2031-03-10&last=2031-03-14"


@pytest.fixture
def dispatcher(
    session: Session,
    create_partner: Create,
    create_staff: Create,
    create_customer: Create,
    create_installation: Create,
) -> User:
    """A dispatcher with an installation on Mon 10, Wed 12, Fri 14 and Mon 31 March 2031."""
    partner = create_partner(name="Brightwell Solar & Heat", brand_colour="#12476b")
    customer = create_customer(partner, name="Helena Duarte")
    for day in NUMBERS:
        create_installation(partner, customer, start=MARCH + timedelta(days=day - 10))
    user: User = create_staff(partner, name="Dana Okafor")
    return user


@pytest.fixture
def desk(page: Page, dispatcher: User) -> Page:
    sign_in(page, dispatcher)
    return page


def field(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Dates")


def opener(page: Page) -> Locator:
    return page.get_by_role("button", name="Choose dates in a calendar")


def calendar(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Dates")


def day(page: Page, name: str) -> Locator:
    """Return the button of a day, as "12 March 2031"."""
    return calendar(page).get_by_role("button", name=name, exact=True)


def listed(page: Page, *days: int) -> None:
    """Expect the installations of these days of March and no others."""
    expect(page.locator("tbody td:nth-child(2)")).to_have_text([NUMBERS[one] for one in days])


def apply(page: Page) -> None:
    page.get_by_role("button", name="Filter", exact=True).click()


def test_first_choice_is_the_start_and_second_the_end(desk: Page) -> None:
    desk.goto(f"{URL}?first=2031-03-31")
    listed(desk, 31)
    opener(desk).click()
    day(desk, "10 March 2031").click()
    expect(calendar(desk)).to_contain_text("Mon 10 Mar 2031 alone, or choose the last day.")
    day(desk, "14 March 2031").click()
    expect(calendar(desk)).to_be_hidden()
    expect(opener(desk)).to_be_focused()
    expect(field(desk)).to_have_value("Mon 10 Mar – Fri 14 Mar 2031")
    apply(desk)
    desk.wait_for_url(re.compile("first=2031-03-10&last=2031-03-14"))
    listed(desk, 10, 12, 14)
    expect(field(desk)).to_have_value("Mon 10 Mar – Fri 14 Mar 2031")
    opener(desk).click()
    expect(calendar(desk).locator("[aria-selected=true]")).to_have_text(["10", "14"])


def test_a_range_reaches_into_the_next_month_and_may_be_chosen_backwards(desk: Page) -> None:
    desk.goto(f"{URL}?first=2031-04-02")
    opener(desk).click()
    day(desk, "2 April 2031").click()
    calendar(desk).get_by_role("button", name="Month before").click()
    day(desk, "14 March 2031").click()
    expect(field(desk)).to_have_value("Fri 14 Mar – Wed 2 Apr 2031")
    apply(desk)
    desk.wait_for_url(re.compile("first=2031-03-14&last=2031-04-02"))
    listed(desk, 14, 31)


@pytest.mark.parametrize("way", ["twice", "Close", "Escape", "elsewhere"])
def test_one_date_alone_is_that_day(desk: Page, way: str) -> None:
    desk.goto(WHOLE)
    opener(desk).click()
    day(desk, "12 March 2031").click()
    if way == "twice":
        day(desk, "12 March 2031").click()
    elif way == "Close":
        calendar(desk).get_by_role("button", name="Close").click()
    elif way == "Escape":
        desk.keyboard.press("Escape")
    else:
        desk.get_by_role("heading", level=1).click()
    expect(calendar(desk)).to_be_hidden()
    expect(field(desk)).to_have_value("Wed 12 Mar 2031")
    apply(desk)
    listed(desk, 12)
    expect(field(desk)).to_have_value("Wed 12 Mar 2031")


def test_clearing_shows_all_again(desk: Page) -> None:
    desk.goto(f"{URL}?first=2031-03-12&technician=none")
    listed(desk, 12)
    opener(desk).click()
    calendar(desk).get_by_role("button", name="Show all dates").click()
    listed(desk, 10, 12, 14, 31)
    expect(field(desk)).to_have_value("All dates")
    # the other filters stay
    expect(desk.get_by_label("Handyman")).to_have_value("none")


def test_back_brings_the_dates_of_the_address(desk: Page) -> None:
    desk.goto(URL)
    desk.goto(WHOLE)
    opener(desk).click()
    day(desk, "14 March 2031").click()
    desk.keyboard.press("Escape")
    apply(desk)
    listed(desk, 14)
    desk.go_back()
    listed(desk, 10, 12, 14)
    expect(field(desk)).to_have_value("Mon 10 Mar – Fri 14 Mar 2031")
    # and what is behind the words says the same
    apply(desk)
    desk.wait_for_url(re.compile("first=2031-03-10&last=2031-03-14"))
    desk.goto(URL)
    expect(field(desk)).to_have_value("All dates")
    expect(desk.get_by_label("From")).to_be_hidden()


def test_by_keys_alone(desk: Page) -> None:
    desk.goto(WHOLE)
    field(desk).focus()
    desk.keyboard.press("Tab")
    expect(opener(desk)).to_be_focused()
    expect(opener(desk)).to_have_attribute("aria-expanded", "false")
    desk.keyboard.press("Enter")
    expect(opener(desk)).to_have_attribute("aria-expanded", "true")
    expect(day(desk, "10 March 2031")).to_be_focused()
    for key, name in (
        ("ArrowRight", "11 March"),
        ("ArrowDown", "18 March"),
        ("End", "23 March"),
        ("Home", "17 March"),
        ("PageDown", "17 April"),
        ("PageUp", "17 March"),
        ("ArrowUp", "10 March"),
        ("ArrowUp", "3 March"),
        ("ArrowUp", "24 February"),
        ("ArrowDown", "3 March"),
        ("ArrowDown", "10 March"),
        ("ArrowLeft", "9 March"),
    ):
        desk.keyboard.press(key)
        expect(day(desk, f"{name} 2031")).to_be_focused()
    desk.keyboard.press("Enter")
    # chosen, and the way goes on from there
    expect(day(desk, "9 March 2031")).to_be_focused()
    expect(desk.get_by_role("status").filter(has_text="Sun 9 Mar 2031 alone, or choose the last day.")).to_have_count(1)
    for _ in range(3):
        desk.keyboard.press("ArrowRight")
    desk.keyboard.press("Space")
    expect(calendar(desk)).to_be_hidden()
    expect(opener(desk)).to_be_focused()
    expect(field(desk)).to_have_value("Sun 9 Mar – Wed 12 Mar 2031")
    expect(desk.get_by_role("status").filter(has_text="Sun 9 Mar – Wed 12 Mar 2031")).to_have_count(1)
    # Esc closes, keeps what was chosen and goes back to the button; Tab out of the calendar closes it too
    desk.keyboard.press("Enter")
    desk.keyboard.press("ArrowDown")
    desk.keyboard.press("Escape")
    expect(calendar(desk)).to_be_hidden()
    expect(opener(desk)).to_be_focused()
    expect(field(desk)).to_have_value("Sun 9 Mar – Wed 12 Mar 2031")
    desk.keyboard.press("Enter")
    calendar(desk).get_by_role("button", name="Show all dates").focus()
    desk.keyboard.press("Tab")
    expect(calendar(desk)).to_be_hidden()
    expect(desk.get_by_label("Handyman")).to_be_focused()


def test_months_and_years_are_a_few_choices_away(desk: Page) -> None:
    desk.goto(WHOLE)
    opener(desk).click()
    weekdays = calendar(desk).get_by_role("columnheader")
    expect(weekdays).to_have_text(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"])
    calendar(desk).get_by_role("button", name="Choose a year, now 2031").click()
    calendar(desk).get_by_role("button", name="2033", exact=True).click()
    calendar(desk).get_by_role("button", name="Choose a month, now March").click()
    calendar(desk).get_by_role("button", name="Sept", exact=True).click()
    day(desk, "1 September 2033").click()
    desk.keyboard.press("Escape")
    expect(field(desk)).to_have_value("Thu 1 Sept 2033")


def test_dates_that_mean_nothing_are_no_choice(desk: Page) -> None:
    desk.goto(f"{URL}?first=0001-01-01&last=soon")
    expect(field(desk)).to_have_value("All dates")
    desk.goto(f"{URL}?first=2031-03-14&last=2031-03-12")
    expect(field(desk)).to_have_value("Wed 12 Mar – Fri 14 Mar 2031")
    listed(desk, 12, 14)


def test_without_javascript_two_date_fields_serve(open_window: Callable[..., Page], dispatcher: User) -> None:
    page = open_window(java_script_enabled=False)
    sign_in(page, dispatcher)
    page.goto(URL)
    expect(opener(page)).to_have_count(0)
    page.get_by_label("From").fill("2031-03-12")
    apply(page)
    listed(page, 12)
    page.get_by_label("To").fill("2031-03-31")
    apply(page)
    listed(page, 12, 14, 31)


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_axe_finds_nothing_with_the_calendar_open(desk: Page, size: Any, scheme: Any) -> None:
    desk.set_viewport_size(size)
    desk.emulate_media(color_scheme=scheme)
    desk.goto(WHOLE)
    opener(desk).click()
    assert axe_complaints(desk) == []
    assert overflow(desk) <= 0
    day(desk, "12 March 2031").click()
    assert axe_complaints(desk) == []
    for title in ("Choose a month, now March", "Choose a year, now 2031"):
        calendar(desk).get_by_role("button", name=title).click()
        assert axe_complaints(desk) == []
        assert overflow(desk) <= 0
        desk.keyboard.press("Escape")
        opener(desk).click()
