"""The whole main way through the product on the demo's data: dispatcher, customer and technician side by side."""

from __future__ import annotations

import random
import re
import threading
import time as clock
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from holidays import country_holidays
from playwright.sync_api import Locator, Page, expect
from sqlalchemy.orm import Session

from portal import demo
from portal.worker import start_in_background

LONDON = ZoneInfo("Europe/London")
PHONE = {"width": 390, "height": 844}
A_WHILE = 120


@pytest.fixture
def product(app: Flask, session: Session) -> Iterator[None]:
    """The demo's data, and the worker at work beside the pages."""
    with app.app_context():
        demo.seed(session, datetime.now(UTC), random.Random(7))
    worker = start_in_background(app.config["SETTINGS"])
    yield
    worker.stop()


class Person:
    """Somebody at a browser."""

    def __init__(self, page: Page, email: str, javascript: bool) -> None:
        self.page = page
        self.javascript = javascript
        page.goto("/login")
        page.get_by_label("Email address").fill(email)
        page.get_by_label("Password").fill(demo.PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(re.compile(r"/(admin|my|field)/"))

    def press(self, name: str) -> None:
        """Press a button."""
        self.page.get_by_role("button", name=name, exact=True).click()

    def follow(self, name: str, within: Locator | None = None) -> None:
        """Follow a link."""
        (within or self.page).get_by_role("link", name=name).first.click()

    def sees(self, text: str | re.Pattern[str]) -> None:
        """Wait until the page says ``text``."""
        expect(self.page.get_by_role("main").get_by_text(text).first).to_be_visible()

    @property
    def form(self) -> Locator:
        """The form in front: in the dialog, or on a page of its own."""
        return self.page.get_by_role("dialog") if self.javascript else self.page.get_by_role("main")

    def send(self) -> None:
        """Press the form's own button, which says what it does, and wait until the form has gone."""
        button = self.form.locator("[data-act]")
        button.click()
        expect(button).to_have_count(0)

    def choose_handyman(self, typed: str, name: str) -> None:
        """Choose who comes: by typing, or from the list."""
        if self.javascript:
            self.form.locator("input#technician").fill(typed)
            self.form.get_by_role("option", name=name).click()
        else:
            self.form.get_by_label("Handyman").select_option(label=name)

    def choose_whoever_is_free(self) -> str:
        """Choose somebody who is free then, and return their name."""
        if self.javascript:
            self.form.locator("input#technician").click()
            free = self.form.get_by_role("option").filter(has_text="Free then").first
            name = free.locator("strong").inner_text()
            free.click()
        else:
            # Behind the name of everybody else stands why not.
            choices = self.form.get_by_label("Handyman").locator("option").all_inner_texts()
            name = next(choice for choice in choices[1:] if "(" not in choice)
            self.form.get_by_label("Handyman").select_option(label=name)
        return name

    def choose_customer(self, typed: str, name: str) -> None:
        """Choose a customer: by typing, or by Find."""
        self.form.get_by_label("Customer", exact=True).fill(typed)
        if self.javascript:
            self.form.get_by_role("option", name=name).click()
        else:
            self.form.get_by_role("button", name="Find").click()
            self.form.get_by_role("radio", name=name).check()


def told(day: date) -> str:
    """Return "Tue 24 Nov" as the pages do, with the year when it is not this one."""
    year = "" if day.year == datetime.now(LONDON).year else f" {day.year}"
    return f"{day:%a} {day.day} {day:%b}{year}"


def workday_in(weeks: int) -> date:
    """Return a working day so many weeks from now; from three on nothing of the demo is planned there."""
    day = datetime.now(LONDON).date() + timedelta(weeks=weeks)
    closed = country_holidays("GB", subdiv="ENG")
    while day.weekday() == demo.SUNDAY or day in closed:
        day += timedelta(days=1)
    return day


def in_time(condition: Callable[[], bool], what: str) -> None:
    """Wait until ``condition`` holds, which is up to the worker; fail after a while."""
    waiting, deadline = threading.Event(), clock.monotonic() + A_WHILE
    while not condition():
        assert clock.monotonic() < deadline, what
        waiting.wait(0.3)


# Every use case of it is proved on both databases by its own test.
@pytest.mark.look
@pytest.mark.row("P1")
@pytest.mark.row("P6")
@pytest.mark.row("P9")
@pytest.mark.row("P10")
@pytest.mark.row("P13")
@pytest.mark.row("C1")
@pytest.mark.row("C13")
@pytest.mark.row("M1")
@pytest.mark.row("J4")
@pytest.mark.row("J6")
@pytest.mark.row("N6")
@pytest.mark.usefixtures("product")
def test_the_main_way_with_javascript_and_without(open_window: Callable[..., Page]) -> None:
    goes_the_main_way(open_window, javascript=True, weeks=3, product="Wall box 11 kW")
    goes_the_main_way(open_window, javascript=False, weeks=5, product="Wall box 22 kW")


def goes_the_main_way(open_window: Callable[..., Page], javascript: bool, weeks: int, product: str) -> None:
    options = {"java_script_enabled": javascript}
    dana = Person(open_window(**options), "dispatch@acme.test", javascript)
    priya = Person(open_window(viewport=PHONE, **options), "customer@acme.test", javascript)
    tomas = Person(open_window(viewport=PHONE, **options), "tech@acme.test", javascript)
    day = workday_in(weeks)

    schedules_with_assign(dana, day, product)
    assigns_one_and_rejects_another(dana)
    moves_a_third_and_tells(dana, workday_in(weeks + 1))
    moves_it_herself(priya, day)
    looks_for(dana, product)
    expect(row_of(dana, product)).not_to_contain_text(told(day))
    customer = does_a_visit(tomas)
    reads_what_was_sent(dana, customer)


def row_of(person: Person, *texts: str) -> Locator:
    """The first row of the list that says all of ``texts``."""
    rows = person.page.get_by_role("row")
    for text in texts:
        rows = rows.filter(has_text=text)
    return rows.first


def looks_for(dana: Person, *texts: str) -> None:
    dana.page.goto("/admin/installations/")
    dana.page.get_by_label("Text").fill(texts[0])
    dana.press("Filter")
    expect(row_of(dana, *texts)).to_be_visible()


def schedules_with_assign(dana: Person, day: date, product: str) -> None:
    dana.page.goto("/admin/installations/")
    dana.follow("Schedule installation")
    dana.choose_customer("pri", "Priya Raman")
    dana.form.get_by_label("Service type").select_option(label="Car charger (1 hour 30 minutes)")
    dana.form.get_by_label("Date").fill(day.isoformat())
    dana.form.get_by_label("Start").fill("09:00")
    dana.form.get_by_label("Product, line 1").fill(product)
    dana.form.get_by_role("button", name="Add item").click()
    dana.form.get_by_label("Product, line 2").fill("Cable 5 m")
    dana.form.get_by_label("Quantity, line 2").fill("2")
    dana.choose_handyman("tom", "Tomás Reyes")
    if dana.javascript:
        expect(dana.form.locator("[data-act]")).to_have_text("Schedule and assign Tomás Reyes")
    dana.send()
    looks_for(dana, product)
    row = row_of(dana, f"{product}, Cable 5 m")
    for text in ("Priya Raman", "Tomás Reyes", "Installer assigned", told(day)):
        expect(row).to_contain_text(text)


def finds_one_without_handyman(dana: Person) -> str:
    """Return the number of an installation that nobody has yet; it is in the list in front."""
    dana.page.goto("/admin/installations/")
    dana.page.get_by_label("Handyman").select_option(label="Nobody yet")
    dana.press("Filter")
    return row_of(dana, "Nobody yet").locator("td:nth-child(2)").inner_text()


def assigns_one_and_rejects_another(dana: Person) -> None:
    first = finds_one_without_handyman(dana)
    dana.follow("Assign", row_of(dana, first))
    name = dana.choose_whoever_is_free()
    dana.send()
    looks_for(dana, first)
    expect(row_of(dana, first)).to_contain_text(name)
    expect(row_of(dana, first)).to_contain_text("Installer assigned")

    second = finds_one_without_handyman(dana)
    dana.follow("Reject", row_of(dana, second))
    dana.form.locator("[data-act]").click()
    expect(dana.form.get_by_text("Enter a reason").first).to_be_visible()
    dana.form.get_by_label("In your own words").fill("No access to the fuse box")
    dana.send()
    looks_for(dana, second)
    expect(row_of(dana, second)).to_contain_text("Rejected")
    expect(row_of(dana, second)).to_contain_text("No access to the fuse box")
    expect(row_of(dana, second).get_by_role("link", name="Assign")).to_have_count(0)


def moves_a_third_and_tells(dana: Person, later: date) -> None:
    looks_for(dana, "Priya", "Battery 10 kWh")
    dana.follow("View details", row_of(dana, "Battery 10 kWh"))
    dana.follow("Reschedule")
    dana.form.get_by_label("Date").fill(later.isoformat())
    dana.form.get_by_role("button", name="Show free times").click()
    dana.form.locator("label.slot").filter(has_text="10:00").first.click()
    dana.form.get_by_label("Notify customer").check()
    dana.send()
    dana.sees(told(later))


def moves_it_herself(priya: Person, day: date) -> None:
    priya.page.goto("/my/")
    priya.follow(told(day))
    priya.sees("Tomás Reyes")
    priya.follow("Modify")
    priya.press("Continue")
    days = priya.page.get_by_role("navigation", name="Day").get_by_role("link").filter(has_text="time")
    days.last.click()
    priya.page.locator("label.pill").last.click()
    priya.press("Continue")
    new = priya.page.locator(".compare .new .day").inner_text()
    priya.page.get_by_role("button", name="Move to").click()
    priya.sees("Your visit is moved")
    priya.follow("My Schedule")
    mine = priya.page.get_by_role("listitem").filter(has_text=new).filter(has_text="Car charger")
    expect(mine.first).to_contain_text("You confirmed")


def does_a_visit(tomas: Person) -> str:
    tomas.page.goto("/field/")
    tomas.page.locator("main .rows a").first.click()
    customer = tomas.page.locator("#who-h").inner_text()
    tomas.page.get_by_label("Minutes to arrival").fill("15")
    tomas.press("On my way")
    tomas.press("Arrived")
    tomas.press("Start work")
    tomas.page.get_by_label("Service notes").fill("All done, tested together with the customer")
    tomas.press("Complete")
    # Else what the button leads to might come after the page that is asked for next, and in its place.
    tomas.sees("Ended")
    tomas.page.goto("/field/")
    done = tomas.page.get_by_role("listitem").filter(has_text=customer).filter(has_text="Complete")
    expect(done.first).to_be_visible()
    return customer


def reads_what_was_sent(dana: Person, customer: str) -> None:
    def is_there(kind: str, name: str) -> bool:
        dana.page.goto("/admin/messages/")
        return row_of(dana, "today", kind, name, "Sent").count() > 0

    for kind, name in (("Visit booked", "Priya Raman"), ("Visit moved", "Priya Raman"), ("On the way", customer)):
        in_time(lambda kind=kind, name=name: is_there(kind, name), f"{kind} was not sent to {name}")
    row_of(dana, "Visit moved", "Priya Raman", "customer@acme.test").get_by_role("link").first.click()
    letter = dana.page.frame_locator("iframe[title='The message']")
    expect(letter.get_by_text("Dear Priya Raman")).to_be_visible()
