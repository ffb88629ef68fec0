"""Asking for new service on a phone, the office's answer, and a job offered and accepted, as a browser shows them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.jobs.models import Appointment
from tests.browser.looking import DESK, PHONE, axe_complaints, overflow, sign_in
from tests.factories import Create


@pytest.mark.look
@pytest.mark.row("C5")
@pytest.mark.row("C13")
@pytest.mark.row("P18")
@pytest.mark.row("J1")
def test_a_request_is_made_on_a_phone_answered_with_another_date_and_accepted(
    session: Session, page: Any, open_window: Callable[..., Any], create_partner: Create, create_staff: Create,
    create_user: Create, create_customer: Create, create_service_type: Create,
) -> None:  # fmt: skip
    partner, user = create_partner(name="Acme Home Energy", phone="0117 496 0180"), create_user(name="Priya Raman")
    dana, robin = create_staff(partner, name="Dana Okafor"), create_user(name="Robin Vale", is_operator=True)
    create_customer(partner, user)
    create_service_type(partner, name="Boiler repair")
    day = (datetime.now(UTC) + timedelta(days=9)).date()
    found = []

    def look(window: Any) -> None:
        found.extend(axe_complaints(window))
        assert overflow(window) <= 0, window.url

    def at_both_sizes(window: Any) -> None:
        for size, scheme in ((DESK, "light"), (PHONE, "dark")):
            window.set_viewport_size(size)
            window.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            look(window)
        window.emulate_media(color_scheme="light", reduced_motion="reduce")

    page.set_viewport_size(PHONE)
    sign_in(page, user)
    page.get_by_role("link", name="Request new service").click()
    expect(page.get_by_label("Street and number")).to_be_hidden()
    page.get_by_label("What would you like done?").select_option(index=1)
    page.get_by_label("Another address").check()
    page.get_by_label("Street and number").fill("9 Quay Street")
    page.get_by_label("Tell us more").fill("No hot water since Monday, and the boiler hums at night.")
    first = page.get_by_role("group", name="Choice 1")
    first.get_by_label("Date").fill("2020-01-01")
    page.get_by_role("button", name="Send request").click()
    expect(page.get_by_role("alert")).to_contain_text("Choose a date that is not in the past")
    at_both_sizes(page)
    first.get_by_label("Date").fill(day.isoformat())
    first.get_by_label("Time of day").select_option(label="Morning")
    for number in (2, 3):
        page.get_by_role("group", name=f"Choice {number}").get_by_label("Date").fill(
            (day + timedelta(days=number)).isoformat()
        )
    page.get_by_role("button", name="Send request").click()
    expect(page.get_by_text("We have your request and will write to you.")).to_be_visible()
    at_both_sizes(page)

    desk = open_window(viewport=DESK)
    sign_in(desk, dana)
    desk.goto("/admin/requests/")
    at_both_sizes(desk)
    # Three dates leave room for who asks, and for the buttons.
    for size in (DESK, PHONE):
        desk.set_viewport_size(size)
        assert desk.locator(".scroll").first.evaluate("box => box.scrollWidth - box.clientWidth") <= 0, size
    desk.get_by_role("link", name="Open Boiler repair, Priya Raman").click()
    at_both_sizes(desk)
    desk.get_by_role("link", name="Offer another date").click()
    desk.get_by_label("Date").fill((day + timedelta(days=1)).isoformat())
    desk.get_by_label("Start").fill("14:00")
    at_both_sizes(desk)
    desk.get_by_role("button", name="Offer this date").click()
    expect(desk.get_by_text("The date is offered.")).to_be_visible()

    page.goto("/my/")
    expect(page.get_by_text("Does it suit you?")).to_be_visible()
    at_both_sizes(page)
    page.get_by_role("link", name="Boiler repair").click()
    at_both_sizes(page)
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_text("Thank you. We come on")).to_be_visible()
    look(page)
    page.goto("/my/")
    expect(page.get_by_role("heading", name="Your next appointment")).to_be_visible()
    (visit,) = session.scalars(select(Appointment))
    assert (visit.start_at.date(), visit.confirmed_by) == (day + timedelta(days=1), "customer")

    operator = open_window(viewport=DESK)
    sign_in(operator, robin)
    operator.goto("/admin/offered-jobs/")
    operator.get_by_role("link", name="Offer job").click()
    operator.get_by_label("Acme Home Energy").check()
    operator.get_by_label("Service").fill("Boiler repair")
    operator.get_by_label("Name of the customer").fill("Ada Byron")
    operator.get_by_role("button", name="Offer job").last.click()
    expect(operator.get_by_role("alert")).to_contain_text("Enter street and number")
    at_both_sizes(operator)
    operator.get_by_label("Street and number").fill("3 Engine Row")
    operator.get_by_role("button", name="Offer job").last.click()
    expect(operator.get_by_text("Boiler repair is added.")).to_be_visible()
    at_both_sizes(operator)
    desk.goto("/admin/job-offers/")
    at_both_sizes(desk)
    desk.get_by_role("link", name="Open Boiler repair, Ada Byron").click()
    at_both_sizes(desk)
    desk.get_by_role("button", name="Accept the job").click()
    expect(desk.get_by_text("The job is yours:")).to_be_visible()
    operator.get_by_role("link", name="Boiler repair", exact=True).click()
    at_both_sizes(operator)
    assert found == []
