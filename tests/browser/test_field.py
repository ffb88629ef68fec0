"""The technician's steps on a phone, in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.jobs.models import Appointment, HistoryEntry
from portal.domain.people.models import User
from tests.browser.looking import LOOKS, PHONE, axe_complaints, overflow, sign_in

Create = Callable[..., Any]
BIG = 56
TAP = 44


def zone_at_noon() -> str:
    """Return a time zone in which it is between 12 and 1 now, so that no visit of today falls into tomorrow."""
    return f"Etc/GMT{datetime.now(UTC).hour - 12:+d}"


@pytest.fixture
def technician(
    create_partner: Create,
    create_user: Create,
    create_technician: Create,
    create_customer: Create,
    create_installation: Create,
) -> User:
    """Somebody with one visit in half an hour and another tomorrow."""
    partner = create_partner(timezone=zone_at_noon(), phone="+44 117 496 0000", brand_colour="#86304b")
    user: User = create_user(name="Tomás Reyes")
    technician = create_technician(partner, user)
    customer = create_customer(partner, name="Callum Fraser", phone="+44 7700 900461", access_notes="Narrow drive")
    now = datetime.now(UTC)
    for start in (now + timedelta(minutes=30), now + timedelta(days=1)):
        create_installation(
            partner,
            customer,
            technician,
            start=start,
            items=[("Solar panel 430 W", 14), ("Inverter 5 kW", 1)],
            notes="The inverter goes into the garage",
        )
    return user


@pytest.fixture
def phone(page: Any, technician: User) -> Iterator[Any]:
    page.set_viewport_size(PHONE)
    sign_in(page, technician)
    return page


def faults(page: Any) -> list[str]:
    """Return what is wrong with the page at the width of a phone and of a desk, on light and on dark ground."""
    found = []
    for window, scheme in LOOKS:
        page.set_viewport_size(window)
        if overflow(page) > 0:
            found.append(f"{page.url} is wider than {window['width']} px")
        page.emulate_media(color_scheme=scheme)
        found += axe_complaints(page)
    return found


def height(locator: Any) -> float:
    return float(locator.bounding_box()["height"])


@pytest.mark.row("J4")
@pytest.mark.row("J5")
@pytest.mark.row("J6")
@pytest.mark.row("J8")
def test_the_whole_way_with_one_thumb(phone: Any, session: Session) -> None:
    problems = faults(phone)
    # The whole row is one link: its far corner leads on too.
    row = phone.locator("ol.rows > li").first
    box = row.bounding_box()
    row.click(position={"x": box["width"] - 8, "y": box["height"] - 8})
    phone.wait_for_url("**/field/visits/*")
    visit_url = phone.url

    def next_step(name: str) -> Any:
        button = phone.locator(".dock .btn-primary")
        expect(button).to_have_text(name)
        assert height(button) >= BIG
        for other in phone.locator(".dock .btn-quiet").all():
            assert height(other) >= TAP
        # Always in reach: wholly inside the window without scrolling.
        place = button.bounding_box()
        assert place["y"] + place["height"] <= PHONE["height"]
        return button

    next_step("On my way")
    phone.get_by_label("Minutes to arrival").fill("soon")
    phone.locator(".dock .btn-primary").click()
    expect(phone.locator(".error-summary")).to_be_focused()
    expect(phone.get_by_label("Minutes to arrival")).to_have_value("soon")
    problems.extend(faults(phone))
    phone.get_by_label("Minutes to arrival").fill("15")
    next_step("On my way").click()
    next_step("Arrived").click()
    button = next_step("Start work")
    problems.extend(faults(phone))
    button.click()
    next_step("Complete")
    phone.get_by_role("link", name="Pause").click()
    phone.get_by_role("button", name="Pause").click()
    phone.get_by_role("link", name="Choose one of the reasons").wait_for()
    problems.extend(faults(phone))
    phone.get_by_text("Part needed").click()
    phone.get_by_role("button", name="Pause").click()
    phone.wait_for_url(visit_url)
    next_step("Resume")
    phone.get_by_role("link", name="Continue another day").click()
    phone.wait_for_url("**/continue_later")
    problems.extend(faults(phone))
    phone.get_by_role("link", name="Leave it as it is").click()
    phone.wait_for_url(visit_url)
    next_step("Resume").click()
    next_step("Complete")
    problems.extend(faults(phone))
    # The last of the page is not behind the dock.
    notes = phone.get_by_label("Service notes")
    notes.scroll_into_view_if_needed()
    notes.fill("All fitted")
    phone.locator(".dock .btn-primary").click()
    expect(phone.locator(".dock")).to_have_count(0)
    expect(phone.get_by_text("All fitted")).to_be_visible()
    problems.extend(faults(phone))
    phone.get_by_role("link", name="Today").first.click()
    expect(phone.locator(".lede")).to_have_text("Today. 1 visit, 1 done.")
    phone.locator("#coming a").first.click()
    phone.wait_for_url("**/field/days/*")
    problems.extend(faults(phone))
    assert problems == []

    visit = session.scalars(select(Appointment).order_by(Appointment.id)).first()
    assert visit is not None
    told = select(HistoryEntry.action).where(HistoryEntry.appointment_id == visit.id).order_by(HistoryEntry.id)
    taken = [name for name in session.scalars(told) if name not in {"schedule", "book", "assign"}]
    assert taken == ["set_off", "arrive", "start_work", "pause", "resume", "complete"]
    assert visit.status == "COMPLETE"
    assert visit.service_notes == "All fitted"


@pytest.mark.look
@pytest.mark.row("J8")
def test_a_double_tap_and_a_second_window_count_once(phone: Any, session: Session) -> None:
    phone.locator("ol.rows a").first.click()
    phone.get_by_role("button", name="On my way").dblclick()
    phone.get_by_role("button", name="Arrived").wait_for()
    late = phone.context.new_page()
    late.goto(phone.url)
    for window in (phone, late):
        window.get_by_role("button", name="Arrived").click()
        window.get_by_role("button", name="Start work").wait_for()
    actions = session.scalars(select(HistoryEntry.action).where(HistoryEntry.subject == "visit")).all()
    assert actions.count("set_off") == 1
    assert actions.count("arrive") == 1
