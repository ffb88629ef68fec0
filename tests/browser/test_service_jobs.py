"""A service job in a real browser, from draft through a pause and another day to its completion."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.jobs.models import Appointment, Job
from portal.domain.scheduling.models import WorkingHours
from portal.domain.unit_of_work import unit_of_work
from tests.browser.looking import axe_complaints, overflow, sign_in
from tests.browser.test_field import zone_at_noon
from tests.factories import Create

WIDTHS = (390, 1280)


@pytest.mark.once
@pytest.mark.row("J2", "J3", "J5", "J6")
def test_a_service_job_from_draft_to_completion(
    page: Any,
    session: Session,
    create_partner: Create,
    create_staff: Create,
    create_customer: Create,
    create_technician: Create,
    create_service_type: Create,
) -> None:
    partner = create_partner(timezone=zone_at_noon())
    with unit_of_work(session):
        session.add_all(
            WorkingHours(partner_id=partner.id, weekday=day, start_minute=8 * 60, end_minute=18 * 60) for day in (5, 6)
        )
    dana, customer = create_staff(partner, name="Dana Okafor"), create_customer(partner, name="Priya Raman")
    create_service_type(partner, name="Heat pump", duration_minutes=60)
    create_technician(partner, name="Ines Kowalski")
    today = datetime.now(UTC).astimezone(ZoneInfo(partner.timezone)).date()

    def status() -> str:
        session.rollback()
        return session.scalars(select(Job.status)).one()

    def press(name: str, **fields: str) -> None:
        """Press a button of the page and, where it opens a dialog, fill that in and send it."""
        page.locator("main").get_by_role("link", name=name, exact=True).first.click()
        dialog = page.locator("dialog[open]")
        expect(dialog.get_by_role("heading").first).to_be_visible()
        for field, text in fields.items():
            dialog.locator(f"input[name={field}]").fill(text)
        if name == "Assign":
            dialog.get_by_role("combobox", name="Handyman").press_sequentially("ines")
            page.get_by_role("option").filter(has_text="Ines Kowalski").first.click()
        dialog.locator("[data-act]").click()
        expect(page.locator("dialog[open]")).to_have_count(0)

    sign_in(page, dana)
    page.goto(f"/admin/service-jobs/draft?customer={customer.id}")
    page.get_by_label("Product, line 1").fill("Yearly service")
    page.locator("[data-act]").click()
    expect(page.get_by_role("heading", name="Yearly service")).to_be_visible()
    assert status() == "DRAFT"
    press("Approve")
    assert status() == "APPROVED"
    press("Schedule visit", date=today.isoformat(), time="14:00")
    press("Assign")
    assert status() == "SCHEDULED"
    press("On my way")
    for step in ("Arrived", "Start work"):
        page.get_by_role("button", name=step).click()
    press("Pause")
    assert status() == "PAUSED"
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert overflow(page) <= 0
        assert axe_complaints(page) == []
    press("Continue another day", date=(today + timedelta(days=1)).isoformat(), time="09:00")
    assert status() == "SCHEDULED"
    with unit_of_work(session):
        # As if the next day had come.
        visit = session.scalars(select(Appointment).order_by(Appointment.id.desc())).first()
        assert visit is not None
        visit.start_at -= timedelta(days=1)
        visit.end_at -= timedelta(days=1)
    page.reload()
    press("On my way")
    for step in ("Arrived", "Start work"):
        page.get_by_role("button", name=step).click()
    press("Complete")
    assert status() == "COMPLETED"
    page.goto("/admin/service-jobs/?group=Completed")
    expect(page.get_by_role("link", name="Yearly service")).to_be_visible()
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert overflow(page) <= 0
        assert axe_complaints(page) == []


@pytest.mark.row("P12")
def test_the_buttons_of_each_visit_are_in_sight_on_a_phone(
    page: Any,
    create_partner: Create,
    create_staff: Create,
    create_customer: Create,
    create_technician: Create,
    create_service_job: Create,
) -> None:
    partner = create_partner()
    soon = datetime.now(UTC) + timedelta(days=2)
    visits = [(soon, create_technician(partner)), (soon + timedelta(days=1), None)]
    job = create_service_job(partner, create_customer(partner), visits)
    sign_in(page, create_staff(partner))
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"/admin/service-jobs/{job.id}")
    for bar in page.locator("td > .bar").all():
        for button in bar.locator("a, button").all():
            button.scroll_into_view_if_needed()
        assert bar.evaluate("bar => bar.closest('.scroll').scrollLeft") == 0
    assert page.locator("td > .bar").count() == 2
