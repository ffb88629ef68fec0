"""Technician, customer and dispatcher, each at a window of their own: a visit from setting off to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from playwright.sync_api import Page, expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.people.models import Address
from portal.domain.tracking.models import Position
from portal.domain.unit_of_work import unit_of_work
from tests.browser.looking import DESK, PHONE, axe_complaints, overflow, sign_in
from tests.browser.test_field import zone_at_noon
from tests.conftest import Database
from tests.factories import Create

HOME, FAR, NEARER = (51.47, -2.59), (51.47, -2.636), (51.475, -2.60)


@pytest.fixture
def app(database: Database) -> Iterator[Flask]:
    """Pages that ask every moment."""
    known = {name: database.app.config[name] for name in ("LIVE_SECONDS", "POLL_SECONDS")}
    database.app.config.update(dict.fromkeys(known, 0.3))
    yield database.app
    database.app.config.update(known)


def faults(page: Page) -> list[str]:
    """Return what is wrong with the page on a desk at night and on a phone by day."""
    found = []
    for window, scheme in ((DESK, "dark"), (PHONE, "light")):
        page.set_viewport_size(window)  # type: ignore[arg-type]
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        if overflow(page) > 0:
            found.append(f"{page.url} is wider than {window['width']} px")
        found += axe_complaints(page)
    return found


def is_asked_anew(page: Page, url: str, status: int) -> None:
    """Wait until the page has asked once more and was answered so."""
    with page.expect_response(lambda answer: answer.url.endswith(url) and answer.status == status):
        pass


def place(at: tuple[float, float]) -> dict[str, float]:
    return {"latitude": at[0], "longitude": at[1], "accuracy": 15}


@pytest.mark.once
@pytest.mark.row("C3")
@pytest.mark.row("C4")
@pytest.mark.row("C13")
@pytest.mark.row("J4")
@pytest.mark.row("J9")
def test_three_windows_from_setting_off_to_the_end(
    open_window: Callable[..., Page],
    session: Session,
    create_partner: Create,
    create_user: Create,
    create_staff: Create,
    create_technician: Create,
    create_customer: Create,
    create_installation: Create,
) -> None:
    partner = create_partner(timezone=zone_at_noon(), phone="0117 496 0180")
    tomas_user, priya_user, dana = (
        create_user(name="Tomás Reyes"),
        create_user(name="Priya Raman"),
        create_staff(partner),
    )
    tomas, priya = create_technician(partner, tomas_user), create_customer(partner, priya_user)
    with unit_of_work(session):
        address = session.get_one(Address, priya.addresses[0].id)
        address.latitude, address.longitude = HOME
    job = create_installation(partner, priya, tomas, start=datetime.now(UTC) + timedelta(minutes=10))
    visit_id = job.appointments[0].id

    customer = open_window(viewport=PHONE)
    sign_in(customer, priya_user)
    # As on a phone that is not asked again: the permission is there, and the place is what the test says.
    phone = open_window(viewport=PHONE, permissions=["geolocation"], geolocation=place(FAR))
    sign_in(phone, tomas_user)
    office = open_window()
    sign_in(office, dana)
    office.goto("/admin/installations/")
    phone.clock.install()
    phone.goto(f"/field/visits/{visit_id}")
    said: list[str] = []
    customer.expose_function("heard", lambda words: said.append(words))
    customer.evaluate(
        "new MutationObserver(() => heard(document.querySelector('#said').textContent))"
        ".observe(document.querySelector('#said'), {childList: true, characterData: true, subtree: true})"
    )
    track, step = (
        customer.get_by_role("link", name="Track", exact=True),
        customer.locator(".steps [aria-current=step] strong"),
    )
    problems: list[str] = []

    def take(name: str) -> None:
        phone.locator(".dock").get_by_role("button", name=name, exact=True).click()

    expect(step).to_have_text("Appointment Confirmed")
    expect(track).to_have_count(0)
    # Nothing is new: the page stays the very same.
    customer.evaluate("document.querySelector('#schedule').untouched = true")
    is_asked_anew(customer, "/my/live", 304)
    is_asked_anew(customer, "/my/live", 304)
    assert customer.evaluate("document.querySelector('#schedule').untouched")
    assert session.scalars(select(Position)).all() == []

    take("On my way")
    expect(step).to_have_text("On the Way 🚗")
    expect(track).to_be_visible()
    expect(office.locator("tbody")).to_contain_text("En route")
    expect(phone.get_by_text("Sharing your position with Priya until you arrive.")).to_be_visible()
    problems += faults(customer) + faults(phone)
    # Somebody without signal is told how old the page is, and may ask again.
    customer.context.set_offline(True)
    expect(customer.get_by_text("Not updated since")).to_be_visible()
    customer.context.set_offline(False)
    customer.get_by_role("link", name="Refresh").click()
    expect(customer.get_by_text("Checked at")).to_be_visible()

    follower = customer.context.new_page()
    follower.goto(f"/my/visits/{visit_id}/track")
    pin = follower.locator(".pin-van")
    expect(pin).to_be_visible()
    expect(follower.get_by_text("Tomás is about 3 km away")).to_be_visible()
    problems += faults(follower)
    before = pin.bounding_box()
    # Six seconds later, by the clocks of the phone and of the one position that is kept.
    with unit_of_work(session):
        kept = session.scalars(select(Position)).one()
        kept.at -= timedelta(seconds=6)
    phone.clock.fast_forward(6000)
    phone.context.set_geolocation(place(NEARER))  # type: ignore[arg-type]
    expect(follower.get_by_text("Tomás is about 900 m away")).to_be_visible()
    assert pin.bounding_box() != before
    phone.get_by_role("button", name="Stop sharing").click()
    expect(phone.get_by_text("You do not share your position.")).to_be_visible()
    phone.reload()
    expect(phone.get_by_text("You do not share your position.")).to_be_visible()

    take("Arrived")
    expect(step).to_have_text("Technician Arrived")
    expect(track).to_be_visible()
    expect(follower.get_by_role("heading", name="Tomás is here")).to_be_visible()
    expect(pin).to_be_visible()
    expect(phone.locator("#sharing")).to_have_count(0)
    take("Start work")
    expect(step).to_have_text("Work in Progress")
    expect(track).to_have_count(0)
    expect(follower.get_by_role("heading", name="There is nothing to follow any more")).to_be_visible()
    assert follower.reload().status == 410  # type: ignore[union-attr]
    problems += faults(follower)
    session.rollback()
    assert session.scalars(select(Position)).all() == []
    expect(office.locator("tbody")).to_contain_text("Installation in progress")
    take("Complete")
    expect(step).to_have_text("Visit Complete ✅")
    problems += faults(customer)
    assert problems == []
    # Each step once, and no position.
    assert said == [
        "On the Way 🚗. Now. Step 3 of 6.",
        "Technician Arrived. Now. Step 4 of 6.",
        "Work in Progress. Now. Step 5 of 6.",
        "Visit Complete ✅. Now. Step 6 of 6.",
    ]
