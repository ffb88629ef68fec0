"""The survey as a browser shows it: answered with the keyboard alone and without script, read in the office."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import expect
from sqlalchemy.orm import Session

from portal.domain.actor import Role
from portal.domain.surveys import setup
from portal.domain.surveys.setup import QuestionInput
from portal.domain.unit_of_work import unit_of_work
from portal.web.links import survey_path
from tests.browser.looking import DESK, PHONE, axe_complaints, overflow, sign_in
from tests.factories import Create, actor_for


@pytest.mark.look
@pytest.mark.row("C12")
@pytest.mark.row("C13")
@pytest.mark.row("P19")
def test_a_survey_is_answered_by_keyboard_without_script_and_read_in_the_office(
    app: Flask, session: Session, page: Any, open_window: Callable[..., Any], create_partner: Create,
    create_staff: Create, create_user: Create, create_customer: Create, create_installation_in: Create,
) -> None:  # fmt: skip
    partner, user = create_partner(name="Acme Home Energy", phone="0117 496 0180"), create_user(name="Priya Raman")
    alma = create_staff(partner, role="partner_admin", name="Alma Whitcombe")
    customer = create_customer(partner, user)
    jobs = [create_installation_in(partner, "INSTALLATION_COMPLETED", customer) for _ in range(2)]
    with unit_of_work(session):
        actor = actor_for(alma, Role.PARTNER_ADMIN, partner)
        for words, kind in (("Did we come when we said we would?", "rating"), ("What should we do better?", "text")):
            setup.create_question(session, actor, datetime.now(UTC), partner.id, QuestionInput(words, kind))
    with app.app_context():
        link = survey_path(jobs[0].appointments[0].id)
    found = []

    def look(window: Any) -> None:
        found.extend(axe_complaints(window))
        assert overflow(window) <= 0, window.url

    plain = open_window(java_script_enabled=False, viewport=PHONE)
    plain.goto(link)
    plain.get_by_label("1, Very dissatisfied").first.focus()
    for _ in range(3):
        plain.keyboard.press("ArrowRight")
    expect(plain.get_by_role("group", name="How satisfied are you").get_by_label("4, Satisfied")).to_be_checked()
    plain.get_by_label("Is there anything you would like to tell us?").fill("Tidy work, but a long day.")
    plain.get_by_role("button", name="Send my rating").press("Enter")
    expect(plain.get_by_role("heading", level=1)).to_have_text("You have answered, thank you")
    expect(plain.get_by_text("4 of 5")).to_be_visible()

    page.set_viewport_size(PHONE)
    page.goto(link)
    look(page)
    sign_in(page, user)
    own = f"/my/visits/{jobs[1].appointments[0].id}"
    for size, scheme in ((PHONE, "dark"), (DESK, "light")):
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        for path in (own, f"{own}/survey"):
            page.goto(path)
            look(page)
        page.get_by_role("button", name="Send my rating").click()
        expect(page.get_by_role("alert")).to_contain_text("Choose a rating")
        look(page)
    page.context.clear_cookies()
    sign_in(page, alma)
    paths = (
        "/admin/survey-results/", "/admin/survey/", "/admin/survey-questions/", "/admin/survey-questions/new/",
        f"/admin/installations/{jobs[0].id}",
    )  # fmt: skip
    for size, scheme in ((PHONE, "dark"), (DESK, "light")):
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        for path in paths:
            page.goto(path)
            look(page)
    page.get_by_role("button", name="Deutsch").click()
    page.set_viewport_size(PHONE)
    page.goto("/admin/survey-results/")
    look(page)
    assert found == []
