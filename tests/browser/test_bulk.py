"""Many installations at once in a real browser: ticks, the bar, dialogs, progress, and all of it without a script."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from portal.admin.installations import bulk
from tests.browser.looking import LOOKS, axe_complaints, overflow, settled, sign_in
from tests.browser.test_dispatcher import URL, Desk, at, desk, plain
from tests.factories import Create

__all__ = ["desk", "plain"]

pytestmark = [pytest.mark.row("P15"), pytest.mark.look]


@pytest.fixture
def busy(desk: Desk, create_installation: Create) -> Desk:
    """Acme's desk with two more on Tuesday: five open but for D-1003, which Tomás has."""
    for hour in (9, 13):
        create_installation(desk.partner, customer=desk.customer, kind=desk.kind, start=at(hour, days=1))
    return desk


def tick(page: Any, *numbers: str) -> None:
    for number in numbers:
        page.get_by_role("checkbox", name=f"Select {number}").check()


def choose_ines(page: Any) -> None:
    settled(page)
    field = page.get_by_role("dialog").get_by_role("combobox", name="Handyman")
    field.press_sequentially("ines")
    expect(page.locator("dialog [role=option]").filter(has_text="Ines Kowalski")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")


@pytest.mark.row("P8")
def test_ticking_bringing_the_bar_and_choosing_none(page: Any, busy: Desk) -> None:
    sign_in(page, busy.dana)
    page.goto(URL)
    bar, head = page.locator("[data-bar]"), page.get_by_role("checkbox", name="Select all on this page")
    expect(bar).to_be_hidden()
    box = page.get_by_role("checkbox", name="Select D-1001")
    box.focus()
    page.keyboard.press("Space")
    expect(bar.get_by_role("status")).to_have_text("1 selected")
    assert head.evaluate("box => box.indeterminate")
    head.check()
    expect(bar.get_by_role("status")).to_have_text("5 selected")
    box.uncheck()
    expect(head).not_to_be_checked()
    expect(bar.get_by_role("status")).to_have_text("4 selected")
    bar.get_by_role("link", name="Select none").press("Enter")
    expect(bar).to_be_hidden()
    expect(page.locator("[name=pick]:checked")).to_have_count(0)
    expect(head).to_be_focused()


def test_assigning_three_of_which_two_can_be(page: Any, busy: Desk) -> None:
    sign_in(page, busy.dana)
    page.goto(f"{URL}?q=raman")
    tick(page, "D-1001", "D-1002", "D-1003")
    page.get_by_role("button", name="Assign a handyman").press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("3 installations are selected.")
    choose_ines(page)
    dialog.get_by_role("button", name="Assign to Ines Kowalski").last.press("Enter")
    expect(dialog.get_by_role("status")).to_have_text("2 of 3 went through.")
    expect(dialog.locator("[data-kind=refused] li")).to_have_text(re.compile("D-1003.*is not possible"))
    expect(dialog.locator("[data-kind=done] li")).to_have_count(2)
    expect(dialog.locator("h2")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect(page.locator("tr", has_text="D-1001")).to_contain_text("Installer assigned")
    expect(page.locator("[name=pick]:checked")).to_have_count(1)
    expect(page.locator("[data-bar] strong")).to_have_text("1 selected")
    assert "q=raman" in page.url
    assert {busy.job(number).technician_id for number in ("D-1001", "D-1002")} == {busy.ines.id}


def test_rejecting_without_and_with_a_reason_keeps_the_ticks(page: Any, busy: Desk) -> None:
    sign_in(page, busy.dana)
    page.goto(URL)
    tick(page, "D-1001", "D-1004")
    press = page.get_by_role("button", name="Reject with a reason")
    press.click()
    dialog = page.get_by_role("dialog")
    dialog.locator("[data-act]").click()
    expect(dialog.locator(".error-summary")).to_be_focused()
    expect(dialog.locator("#reason-error")).to_have_text("Enter a reason")
    page.keyboard.press("Escape")
    expect(page.locator("[name=pick]:checked")).to_have_count(2)
    assert busy.job("D-1001").status == "SCHEDULED"
    press.click()
    dialog.get_by_label("In your own words").fill("No capacity")
    dialog.locator("[data-act]").click()
    expect(dialog.get_by_role("status")).to_have_text("2 of 2 went through.")
    dialog.get_by_role("link", name="Back to the list").click()
    expect(page.locator("[data-bar]")).to_be_hidden()
    assert {busy.job(number).reject_reason for number in ("D-1001", "D-1004")} == {"No capacity"}


def test_a_long_selection_shows_how_far_it_is_and_can_be_stopped(
    page: Any, busy: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "AT_ONCE", 2)
    sign_in(page, busy.dana)
    page.goto(URL)
    tick(page, "D-1001", "D-1002", "D-1003", "D-1004", "D-1005")
    page.get_by_role("button", name="Assign a handyman").click()
    choose_ines(page)
    # Somebody who presses Stop as soon as the second part is on its way.
    page.evaluate(
        """() => new MutationObserver(() => {
          if (document.querySelector("[data-now]")?.textContent.startsWith("2 of 5, now D-")) {
            document.querySelector("[data-stop]").click();
          }
        }).observe(document.body, {subtree: true, childList: true, characterData: true})"""
    )
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Assign to Ines Kowalski").last.click()
    expect(dialog.get_by_role("alert")).to_contain_text("Stopped after 4 of 5. The others are untouched.")
    expect(dialog.locator("progress")).to_be_hidden()
    # Twice nine on Monday, one of which is another's, twice on Tuesday: in the order of the ticks.
    expect(dialog.get_by_role("status")).to_have_text("3 of 4 went through.")
    assert busy.job("D-1005").technician_id is None

    page.route(re.compile("bulk/assign"), lambda route: route.abort(), times=1)
    dialog.get_by_role("button", name="Go on with the rest").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Interrupted after 4 of 5.")
    assert not axe_complaints(page)
    dialog.get_by_role("button", name="Go on with the rest").click()
    expect(dialog.get_by_role("status")).to_have_text("4 of 5 went through.")
    expect(dialog.locator("[data-kind=done] [data-number]")).to_have_text("4")
    expect(dialog.locator("[data-halted]")).to_be_hidden()
    dialog.get_by_role("link", name="Back to the list").click()
    expect(page.locator("[name=pick]:checked")).to_have_count(1)
    assert busy.job("D-1005").technician_id == busy.ines.id


@pytest.mark.row("P16")
def test_a_list_and_what_is_ticked_come_as_files(page: Any, busy: Desk) -> None:
    sign_in(page, busy.dana)
    page.goto(URL)
    menu = page.locator(".menu summary")
    menu.press("Enter")
    with page.expect_download() as download:
        page.get_by_role("link", name="Excel (XLSX)").click()
    assert download.value.suggested_filename.endswith(".xlsx")
    expect(page.locator(".menu[open]")).to_have_count(0)
    menu.click()
    page.keyboard.press("Escape")
    expect(page.locator(".menu[open]")).to_have_count(0)
    expect(menu).to_be_focused()
    tick(page, "D-1002")
    page.locator("[data-bar] summary").click()
    with page.expect_download() as download:
        page.locator("[data-bar]").get_by_role("button", name="CSV").click()
    text = download.value.path().read_text()
    assert "D-1002" in text
    assert "D-1001" not in text


def test_with_javascript_off(plain: Any, busy: Desk) -> None:
    page = plain
    sign_in(page, busy.dana)
    page.goto(URL)
    tick(page, "D-1001", "D-1003")
    page.get_by_role("button", name="Assign a handyman").click()
    page.get_by_label("Handyman").select_option("Ines Kowalski")
    page.locator("[data-act]").click()
    expect(page.get_by_role("status")).to_have_text("1 of 2 went through.")
    page.get_by_role("link", name="Back to the list").click()
    expect(page.get_by_role("checkbox", name="Select D-1003")).to_be_checked()
    page.get_by_role("link", name="Select none").click()
    expect(page.locator("[name=pick]:checked")).to_have_count(0)
    assert busy.job("D-1001").technician_id == busy.ines.id


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_nothing_for_axe_to_complain_about(page: Any, busy: Desk, size: Any, scheme: Any) -> None:
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme)
    sign_in(page, busy.dana)
    found: list[str] = []

    def look() -> None:
        found.extend(axe_complaints(page))
        assert overflow(page) == 0, page.url

    page.goto(URL)
    page.locator(".menu summary").click()
    look()
    tick(page, "D-1001", "D-1003")
    page.locator("[data-bar] summary").click()
    look()
    page.get_by_role("button", name="Reject with a reason").click()
    dialog = page.get_by_role("dialog")
    dialog.locator("details summary").click()
    dialog.locator("[data-act]").click()
    expect(dialog.locator(".error-summary")).to_be_focused()
    look()
    dialog.get_by_label("In your own words").fill("No capacity")
    dialog.locator("[data-act]").click()
    expect(dialog.get_by_role("status")).to_have_text("1 of 2 went through.")
    look()
    assert not found
