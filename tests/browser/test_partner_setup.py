"""The set-up pages as a browser shows them, and what they do to the pages of others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import expect
from sqlalchemy.orm import Session

from portal.domain.actor import Role
from portal.domain.scheduling import skills
from portal.domain.scheduling.models import ControlOverride, ServiceTypeSkill
from portal.domain.unit_of_work import unit_of_work
from tests.browser.looking import axe_complaints, overflow, sign_in
from tests.factories import Create, actor_for, save

PHONE, DESK = {"width": 360, "height": 780}, {"width": 1280, "height": 900}
LONGEST = "Our crew is looking for a parking place"


def picture() -> dict[str, Any]:
    data = BytesIO()
    # As wide as nobody's logo is.
    Image.new("RGB", (1200, 40), "#2b4a6f").save(data, "PNG")
    return {"name": "logo.png", "mimeType": "image/png", "buffer": data.getvalue()}


@pytest.mark.look
@pytest.mark.row("L1")
@pytest.mark.row("C13")
def test_set_up_looks_right_and_the_longest_words_and_widest_logo_fit(
    page: Any, session: Session, create_partner: Create, create_staff: Create, create_user: Create,
    create_customer: Create, create_installation: Create, create_service_type: Create,
) -> None:  # fmt: skip
    partner, user = create_partner(name="Acme Home Energy and Heating of the South West"), create_user()
    alma = create_staff(partner, role="partner_admin", name="Alma Whitcombe")
    kind = create_service_type(partner, name="Heat pump")
    create_installation(partner, customer=create_customer(partner, user), kind=kind)
    with unit_of_work(session):
        skills.create_skill(session, actor_for(alma, Role.PARTNER_ADMIN, partner), datetime.now(UTC), partner.id, "Gas")
    sign_in(page, alma)
    page.goto("/admin/branding/")
    page.get_by_label("Picture").set_input_files(picture())
    page.get_by_role("button", name="Upload the logo").click()
    expect(page.get_by_role("img", name="Your logo")).to_be_visible()
    page.get_by_label("Colour").fill("#ffe08a")
    page.get_by_label("Scheduled", exact=True).fill(LONGEST)
    page.get_by_label("To customers").fill("energy consultant on site")
    page.get_by_role("button", name="Preview without saving").click()
    expect(page.locator("#mended-light")).to_contain_text("darkened to")
    expect(page.locator(".look-dark .look-button")).to_have_css("background-color", "rgb(255, 251, 240)")
    page.locator("[type=submit]", has_text="Save branding and words").click()
    expect(page.get_by_role("status").filter(has_text="Saved.")).to_be_visible()

    found = []
    paths = (
        "/admin/branding/", "/admin/skills/", "/admin/pause-reasons/", f"/admin/service-types/edit/?id={kind.id}",
        "/admin/settings-changes/", "/admin/channels/",
    )  # fmt: skip
    for size, scheme in ((PHONE, "dark"), (DESK, "light")):
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        for path in paths:
            page.goto(path)
            found += axe_complaints(page)
            assert overflow(page) <= 0, (path, size)
    page.context.clear_cookies()
    page.set_viewport_size(PHONE)
    sign_in(page, user)
    expect(page.locator(".badges").first).to_contain_text(LONGEST)
    for path in ("/my/", "/my/messages"):
        page.goto(path)
        found += axe_complaints(page)
        assert overflow(page) <= 0
    assert found == []


@pytest.mark.look
@pytest.mark.row("L3")
@pytest.mark.row("C13")
def test_the_rules_of_some_and_their_preview_look_right(
    page: Any, session: Session, create_partner: Create, create_staff: Create, create_customer: Create,
    create_installation: Create, create_service_type: Create, set_controls: Create,
) -> None:  # fmt: skip
    partner = create_partner(name="Acme Home Energy and Heating of the South West")
    kind, customer = create_service_type(partner, name="Heat pump"), create_customer(partner, name="Leah Novak")
    set_controls(partner, self_service=True)
    for days in range(5, 10):
        create_installation(partner, customer=customer, kind=kind, start=datetime.now(UTC) + timedelta(days=days))
    job = create_installation(partner, customer=customer, kind=kind)
    rules = {"reschedule_cutoff_hours": 1000, "cancel_confirmed": True, "max_moves": 1}
    for owner in ({"service_type_id": kind.id}, {"customer_id": customer.id}, {"job_id": job.id}):
        save(session, ControlOverride(partner_id=partner.id, **owner, **rules))
    sign_in(page, create_staff(partner, role="partner_admin"))
    found: list[Any] = []

    def look() -> None:
        if wider := overflow(page):
            found.append(f"{page.url} is {wider} px too wide at {page.viewport_size['width']} px")
        found.extend(axe_complaints(page))

    rules_of_all = "/admin/feature-controls/"
    paths = (
        rules_of_all, f"{rules_of_all}job/{job.id}/", f"/admin/customers/{customer.id}/",
        f"/admin/installations/{job.id}",
    )  # fmt: skip
    for size, scheme in ((DESK, "light"), (PHONE, "dark")):
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        for path in paths:
            page.goto(path)
            look()
    page.goto(f"{rules_of_all}customer/{customer.id}/")
    page.get_by_label("Move, latest before the start").fill("0")
    page.get_by_label("Cancel, not confirmed yet").select_option("not allowed")
    page.get_by_role("button", name="Preview").click()
    ahead = page.locator("[role=status]", has_text="Nothing is saved yet.")
    expect(ahead).to_be_focused()
    expect(ahead.locator("#effect-move ~ .effect-gain").first).to_have_text("5 appointments gain it")
    expect(page.get_by_label("Move, latest before the start")).to_have_value("0")
    page.get_by_text("2 more").first.click()
    look()
    page.get_by_role("button", name="Save, effective at once").click()
    expect(page.get_by_role("status").filter(has_text="Saved.")).to_be_visible()
    assert found == []


@pytest.mark.look
@pytest.mark.row("P5")
@pytest.mark.row("M4")
def test_the_type_ahead_of_the_form_says_who_lacks_a_skill(
    page: Any, session: Session, create_partner: Create, create_staff: Create, create_technician: Create,
    create_service_type: Create, create_installation: Create,
) -> None:  # fmt: skip
    partner = create_partner()
    dana = create_staff(partner)
    kind = create_service_type(partner, name="Heat pump")
    create_technician(partner, name="Ines Kowalski")
    job = create_installation(partner, kind=kind, start=datetime.now(UTC) + timedelta(days=3))
    with unit_of_work(session):
        actor = actor_for(dana, Role.PARTNER_ADMIN, partner)
        skill = skills.create_skill(session, actor, datetime.now(UTC), partner.id, "Gas licence")
        session.add(ServiceTypeSkill(partner_id=partner.id, service_type_id=kind.id, skill_id=skill.id))
    sign_in(page, dana)
    for path in (f"/admin/installations/{job.id}/assign", "/admin/installations/schedule"):
        page.goto(path)
        page.get_by_label("Handyman").click()
        expect(page.get_by_role("option", name="Ines Kowalski")).to_contain_text("lacks the skill “Gas licence”")
