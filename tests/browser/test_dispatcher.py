"""A dispatcher's installations in a real browser: dialogs, type-ahead by keyboard, the acts, and without a script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor, Role
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.services import assign
from portal.domain.people.models import Customer, Partner, Technician, User
from portal.domain.scheduling.models import ServiceType
from portal.domain.unit_of_work import unit_of_work
from tests.browser.looking import DESK, LOOKS, axe_complaints, overflow, settled, sign_in
from tests.factories import Create

LONDON = ZoneInfo("Europe/London")
URL = "/admin/installations/"


def monday() -> date:
    """The Monday of the week after next, so that it is a working day and far from now."""
    today = datetime.now(LONDON).date()
    return today + timedelta(days=14 - today.weekday())


def at(hour: int, days: int = 0) -> datetime:
    """An instant on that Monday, or so many days after, by the clocks of the partner."""
    day = monday() + timedelta(days=days)
    return datetime(day.year, day.month, day.day, hour, tzinfo=LONDON).astimezone(UTC)


@dataclass
class Desk:
    """Acme's desk: two technicians, a customer, three installations on one Monday."""

    session: Session
    partner: Partner
    dana: User
    customer: Customer
    kind: ServiceType
    ines: Technician
    tomas: Technician
    open: Job
    other: Job
    assigned: Job

    def job(self, number: str) -> Job:
        """Return the installation of that number as the database has it now."""
        self.session.rollback()
        query = select(Job).where(Job.number == number)
        return self.session.scalars(query, execution_options={"populate_existing": True}).one()

    def visit(self, job: Job) -> Appointment:
        self.session.rollback()
        query = select(Appointment).where(Appointment.job_id == job.id)
        return self.session.scalars(query, execution_options={"populate_existing": True}).one()


@pytest.fixture
def desk(
    session: Session,
    create_partner: Create,
    create_staff: Create,
    create_customer: Create,
    create_technician: Create,
    create_service_type: Create,
    create_installation: Create,
) -> Desk:
    partner = create_partner(name="Acme Home Energy")
    customer = create_customer(partner, name="Priya Raman", email="priya@mail.example", address="14 Alder Close")
    kind = create_service_type(partner, name="Solar panels", duration_minutes=120)
    ines, tomas = create_technician(partner, name="Ines Kowalski"), create_technician(partner, name="Tomás Reyes")
    common = {"customer": customer, "kind": kind}
    return Desk(
        session,
        partner,
        create_staff(partner, name="Dana Okafor"),
        customer,
        kind,
        ines,
        tomas,
        create_installation(partner, start=at(9), **common),
        create_installation(partner, start=at(13), **common),
        create_installation(partner, start=at(9), technician=tomas, **common),
    )


@pytest.fixture
def plain(browser: Any, live_server: str) -> Iterator[Any]:
    """A browser window with JavaScript off."""
    context = browser.new_context(base_url=live_server, viewport=DESK, locale="en-GB", java_script_enabled=False)
    yield context.new_page()
    context.close()


@pytest.mark.row("P1")
@pytest.mark.row("P2")
@pytest.mark.row("P4")
@pytest.mark.row("P5")
@pytest.mark.row("P6")
def test_scheduling_in_the_dialog_by_keyboard(page: Any, desk: Desk) -> None:
    sign_in(page, desk.dana)
    page.goto(URL)
    page.get_by_role("link", name="Schedule installation").first.press("Enter")
    settled(page)
    dialog = page.get_by_role("dialog")
    field = dialog.get_by_role("combobox", name="Customer")
    expect(field).to_be_focused()
    field.press_sequentially("alder")
    option = dialog.get_by_role("option").filter(has_text="Priya Raman")
    expect(option).to_contain_text("priya@mail.example")
    expect(option.locator("mark")).to_have_text("Alder")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(dialog.locator(".chosen").first).to_contain_text("14 Alder Close, Bristol BS6 5QT")
    expect(dialog.get_by_role("button", name="Change Customer")).to_be_focused()

    dialog.get_by_label("Date", exact=True).fill(monday().isoformat())
    dialog.get_by_label("Start").fill("15:00")
    expect(dialog.locator("#time-hint")).to_have_text("Arrival window 15:00–17:00")
    expect(dialog.get_by_label("Duration").locator("option").first).to_have_text("2 hours, as usual")
    dialog.get_by_label("Product, line 1").fill("Solar panel 430 W")
    dialog.get_by_label("Quantity, line 1").fill("12")
    dialog.get_by_role("button", name="Add item").press("Enter")
    expect(dialog.get_by_label("Product, line 2")).to_be_focused()
    page.keyboard.type("Inverter 5 kW")
    dialog.get_by_label("Quantity, line 2").fill("0")

    handyman = dialog.get_by_role("combobox", name="Handyman")
    handyman.press_sequentially("ines")
    expect(dialog.get_by_role("option").filter(has_text="Ines Kowalski")).to_contain_text("Free then")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    submit = dialog.get_by_role("button", name="Schedule and assign Ines Kowalski").last
    submit.press("Enter")

    # One mistake: said at the top, at the field, and everything typed is still there.
    summary = dialog.locator(".error-summary")
    expect(summary).to_be_focused()
    summary.get_by_role("link", name="Quantity of “Inverter 5 kW” must be 1 or more").press("Enter")
    expect(dialog.get_by_label("Quantity, line 2")).to_be_focused()
    expect(dialog.locator(".chosen strong")).to_have_text(["Priya Raman", "Ines Kowalski"])
    dialog.get_by_label("Quantity, line 2").fill("1")
    dialog.get_by_role("button", name="Show free times").press("Enter")
    expect(dialog.locator("#slot legend")).to_be_focused()
    expect(dialog.locator("#slot legend")).to_contain_text("Free times of Ines Kowalski")
    dialog.get_by_label("The time above").press("ArrowLeft")
    dialog.get_by_label("15:00").check()
    assert axe_complaints(page) == []
    dialog.get_by_label("Quantity, line 2").press("Enter")

    expect(page.get_by_role("status").filter(has_text="and assigned to Ines Kowalski")).to_be_visible()
    expect(page.locator("dialog[open]")).to_have_count(0)
    row = page.get_by_role("row").filter(has_text="Solar panel 430 W, Inverter 5 kW")
    expect(row).to_contain_text("Installer assigned")
    job = desk.job("D-1004")
    assert (job.start_at, job.technician_id) == (at(15), desk.ines.id)


@pytest.mark.look
@pytest.mark.row("P4")
def test_lines_of_items_come_and_go_on_the_spot(page: Any, desk: Desk) -> None:
    sign_in(page, desk.dana)
    page.goto(f"{URL}schedule")
    for name in ("Panel", "Inverter", "Battery"):
        page.locator("[data-item] input").nth(-2).fill(name)
        page.get_by_role("button", name="Add item").click()
    page.get_by_role("button", name="Remove line 2").click()
    names = [box.input_value() for box in page.get_by_label(re.compile("Product, line")).all()]
    assert names == ["Panel", "Battery", ""]
    for _ in range(3):
        page.get_by_role("button", name="Remove line 1").click()
    expect(page.get_by_label("Product, line 1")).to_have_value("")
    expect(page.get_by_label(re.compile("Product, line"))).to_have_count(1)


@pytest.mark.look
@pytest.mark.row("P2")
def test_nobody_found_is_said_and_the_choice_can_be_changed(page: Any, desk: Desk, create_customer: Create) -> None:
    create_customer(desk.partner, name="Gone Ham", active=False)
    sign_in(page, desk.dana)
    page.goto(f"{URL}schedule?customer={desk.customer.id}")
    expect(page.locator(".chosen strong").first).to_have_text("Priya Raman")
    page.get_by_label("Notes").fill("Ring twice")
    page.get_by_role("button", name="Change Customer").click()
    field = page.get_by_role("combobox", name="Customer")
    expect(field).to_be_focused()
    field.press_sequentially("gone ham")
    expect(page.get_by_role("option").filter(has_text="Nobody found")).to_be_visible()
    # Whoever is missing can be added from there: by the next key, and below what was typed.
    add = page.get_by_role("button", name="Add customer")
    assert add.bounding_box()["y"] > field.bounding_box()["y"]
    page.keyboard.press("Tab")
    expect(add).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/customers/new/**")
    # What was looked for, and what else the form held, is not typed again.
    expect(page.locator("#name")).to_have_value("gone ham")
    page.locator("#name").fill("Gone Hamilton")
    page.get_by_label("Street and number").fill("3 Elm Row")
    page.get_by_role("button", name="Add customer", exact=True).click()
    expect(page.locator(".chosen strong").first).to_have_text("Gone Hamilton")
    expect(page.get_by_label("Notes")).to_have_value("Ring twice")


@pytest.mark.look
@pytest.mark.row("P2")
def test_who_is_chosen_is_not_to_be_added(page: Any, desk: Desk) -> None:
    sign_in(page, desk.dana)
    page.goto(f"{URL}schedule")
    add = page.get_by_role("button", name="Add customer")
    expect(add).to_be_visible()
    page.get_by_role("combobox", name="Customer").press_sequentially("priya")
    page.get_by_role("option").first.click()
    expect(page.locator(".chosen strong").first).to_have_text("Priya Raman")
    expect(add).to_be_hidden()


@pytest.mark.look
@pytest.mark.row("P2")
def test_what_was_typed_before_the_script_came_is_looked_up(page: Any, desk: Desk) -> None:
    sign_in(page, desk.dana)
    held: list[Any] = []
    page.route("**/js/installations.js*", lambda route: held.append(route))
    page.goto(f"{URL}schedule", wait_until="commit")
    page.get_by_label("Customer", exact=True).press_sequentially("raman")
    held.pop().continue_()
    expect(page.get_by_role("option").filter(has_text="Priya Raman")).to_be_visible()
    expect(page.get_by_role("combobox", name="Customer")).to_be_focused()


@pytest.mark.look
@pytest.mark.row("P9")
def test_assigning_from_the_row_keeps_the_filters(page: Any, desk: Desk) -> None:
    sign_in(page, desk.dana)
    page.goto(URL)
    page.get_by_label("Status group").select_option("Scheduled")
    page.get_by_label("Text").fill("raman")
    page.get_by_role("button", name="Filter").click()
    address = page.url
    assert "group=Scheduled" in address
    page.get_by_role("link", name="Assign D-1001").click()
    settled(page)
    field = page.get_by_role("dialog").get_by_role("combobox", name="Handyman")
    field.click()
    expect(page.locator("dialog [role=option]").filter(has_text="Tomás Reyes")).to_contain_text(
        "is booked at that time."
    )
    field.press_sequentially("kow")
    expect(page.locator("dialog [role=option]").filter(has_text="Tomás Reyes")).to_have_count(0)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Assign Ines Kowalski").last.click()
    expect(page.get_by_role("status").filter(has_text="D-1001 is assigned.")).to_be_visible()
    assert page.url == address
    assert desk.job("D-1001").technician_id == desk.ines.id


@pytest.mark.look
@pytest.mark.row("P10")
def test_rejecting_without_and_with_a_reason(page: Any, desk: Desk) -> None:
    sign_in(page, desk.dana)
    page.goto(f"{URL}{desk.open.id}")
    page.get_by_role("link", name="Reject", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Reject installation").last.click()
    expect(dialog.locator(".error-summary")).to_be_focused()
    expect(dialog.locator("#reason-error")).to_have_text("Enter a reason")
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    assert desk.job("D-1001").status == "SCHEDULED"
    page.get_by_role("link", name="Reject", exact=True).click()
    dialog.get_by_label("In your own words").fill("No room for the battery")
    dialog.get_by_role("button", name="Reject installation").last.click()
    expect(page.get_by_role("status").filter(has_text="D-1001 is rejected.")).to_be_visible()
    expect(page.get_by_role("link", name="Create replacement")).to_be_visible()
    assert desk.job("D-1001").reject_reason == "No room for the battery"


@pytest.mark.look
@pytest.mark.row("P9")
def test_a_dialog_that_opens_too_late_says_why(page: Any, desk: Desk) -> None:
    sign_in(page, desk.dana)
    page.goto(URL)
    page.get_by_role("link", name="Assign D-1001").click()
    settled(page)
    colleague = Actor(None, Role.DISPATCHER, "Marta", frozenset({desk.partner.id}))
    with unit_of_work(desk.session) as session:
        assign(session, colleague, datetime.now(UTC), desk.open.id, desk.ines.id)
    page.get_by_role("button", name="Assign", exact=True).last.click()
    expect(page.get_by_role("dialog")).to_contain_text(
        "“Assign” is not possible while the status is “Installer assigned”"
    )


@pytest.mark.row("P13")
def test_moving_to_a_free_time_in_the_dialog(page: Any, desk: Desk) -> None:
    sign_in(page, desk.dana)
    page.goto(f"{URL}{desk.assigned.id}")
    page.get_by_role("link", name="Reschedule", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Nobody is told of the move unless this is ticked.")).to_be_visible()
    wednesday = monday() + timedelta(days=2)
    dialog.get_by_label("Date", exact=True).fill(wednesday.isoformat())
    expect(dialog.locator("#slot")).to_be_hidden()
    dialog.get_by_role("button", name="Show free times").click()
    expect(dialog.locator("#slot legend")).to_be_focused()
    dialog.get_by_label("11:30").check()
    dialog.get_by_role("button", name="Move the visit").last.click()
    expect(page.get_by_role("status").filter(has_text="D-1003 has a new time.")).to_be_visible()
    visit = desk.visit(desk.assigned)
    assert (visit.start_at, visit.technician_id) == (at(11, days=2) + timedelta(minutes=30), desk.tomas.id)


@pytest.mark.look
@pytest.mark.row("P8")
def test_filters_survive_the_back_button(page: Any, desk: Desk) -> None:
    sign_in(page, desk.dana)
    page.goto(f"{URL}?first={monday().isoformat()}")
    page.get_by_label("Handyman").select_option("none")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("tbody td:nth-child(2)")).to_have_text(["D-1001", "D-1002"])
    address = page.url
    page.get_by_role("link", name="View details D-1002").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Heat pump")
    page.go_back()
    assert page.url == address
    expect(page.get_by_label("Handyman")).to_have_value("none")
    expect(page.get_by_role("textbox", name="Dates")).to_have_value(re.compile(f"^Mon {monday().day} "))
    expect(page.locator("tbody td:nth-child(2)")).to_have_text(["D-1001", "D-1002"])


@pytest.mark.look
@pytest.mark.row("P1")
@pytest.mark.row("P9")
@pytest.mark.row("P10")
@pytest.mark.row("P13")
def test_the_main_way_with_javascript_off(plain: Any, desk: Desk) -> None:
    page = plain
    sign_in(page, desk.dana)
    page.goto(URL)
    page.get_by_role("link", name="Schedule installation").first.click()
    page.get_by_label("Customer").fill("raman")
    page.get_by_role("button", name="Find").click()
    page.get_by_label("Priya Raman").check()
    page.get_by_label("Date", exact=True).fill(monday().isoformat())
    page.get_by_label("Start").fill("15:00")
    page.get_by_label("Product, line 1").fill("Battery")
    page.get_by_role("button", name="Add item").click()
    page.get_by_label("Product, line 2").fill("Switch")
    page.get_by_label("Handyman").select_option("Ines Kowalski")
    page.locator("[data-act]").click()
    expect(page.get_by_role("status").filter(has_text="and assigned to Ines Kowalski")).to_be_visible()
    assert desk.job("D-1004").title == "Battery, Switch"

    page.get_by_role("link", name="Assign D-1001").click()
    page.get_by_label("Handyman").select_option("Ines Kowalski")
    page.locator("[data-act]").click()
    expect(page.locator(".head .status")).to_have_text("Installer assigned")

    page.goto(f"{URL}{desk.other.id}/reject")
    page.locator("[data-act]").click()
    expect(page.locator("#reason-error")).to_have_text("Enter a reason")
    page.get_by_label("In your own words").fill("No roof")
    page.locator("[data-act]").click()
    expect(page.locator(".head .status")).to_have_text("Rejected")

    page.goto(f"{URL}{desk.assigned.id}/reschedule")
    page.get_by_label("Date", exact=True).fill((monday() + timedelta(days=1)).isoformat())
    page.get_by_role("button", name="Show free times").click()
    page.get_by_label("10:00").check()
    page.locator("[data-act]").click()
    expect(page.get_by_role("status").filter(has_text="D-1003 has a new time.")).to_be_visible()
    assert desk.visit(desk.assigned).start_at == at(10, days=1)


@pytest.mark.look
@pytest.mark.row("P8")
def test_every_button_of_a_row_is_in_sight_beside_the_side_menu(page: Any, desk: Desk) -> None:
    sign_in(page, desk.dana)
    for width in (1000, 1100, 1200, 1270):
        page.set_viewport_size({"width": width, "height": 768})
        page.goto(URL)
        assert overflow(page) == 0, width
        hidden = page.locator(".scroll").first.evaluate("box => box.scrollWidth - box.clientWidth")
        assert hidden <= 0, width


@pytest.mark.row("P4")
def test_a_long_word_stays_within_what_is_said_of_it(page: Any, desk: Desk) -> None:
    sign_in(page, desk.dana)
    page.goto(URL)
    page.get_by_role("link", name="Schedule installation").first.click()
    settled(page)
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("combobox", name="Customer").press_sequentially("raman")
    expect(dialog.get_by_role("option").filter(has_text="Priya")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    dialog.locator("#items-0-name").fill("W" * 150)
    dialog.locator("#items-0-quantity").fill("0")
    page.locator("dialog [data-act]").click()
    expect(dialog.locator(".error-summary")).to_be_focused()
    for said in (dialog.locator(".error-summary"), dialog.locator(".invalid-feedback").last):
        expect(said).to_contain_text("WWW")
        assert said.evaluate("box => box.scrollWidth - box.clientWidth") <= 0


@pytest.mark.look
@pytest.mark.row("P1")
@pytest.mark.row("P12")
@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_nothing_for_axe_to_complain_about(page: Any, desk: Desk, size: Any, scheme: Any) -> None:
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme)
    sign_in(page, desk.dana)
    found: list[str] = []

    def look() -> None:
        found.extend(axe_complaints(page))
        assert overflow(page) == 0, page.url

    for act in ("", "/assign", "/reject", "/reschedule", "/cancel", "/edit"):
        job = desk.open if act in {"/assign", "/reject"} else desk.assigned
        page.goto(f"{URL}{job.id}{act}")
        look()
    page.goto(f"{URL}?q=nothing")
    look()
    page.goto(URL)
    look()
    page.get_by_role("link", name="Schedule installation").first.click()
    settled(page)
    look()
    page.get_by_role("combobox", name="Customer").press_sequentially("raman")
    expect(page.get_by_role("option").filter(has_text="Priya")).to_be_visible()
    look()
    page.locator("dialog [data-act]").click()
    expect(page.locator("dialog .error-summary")).to_be_focused()
    look()
    assert not found
