"""Getting in by a link and getting a new password as a browser shows it: by keyboard, without script, on a phone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.access.models import AccessKind, AccessLink
from portal.domain.access.services import answer_wishes, token_for
from portal.domain.unit_of_work import unit_of_work
from portal.web.links import access_path
from tests.browser.looking import DESK, PHONE, axe_complaints, overflow
from tests.factories import Create


@pytest.mark.look
@pytest.mark.row("C9")
def test_somebody_gets_in_by_a_link_and_gets_a_new_password(
    app: Flask, session: Session, page: Any, open_window: Callable[..., Any], create_partner: Create,
    create_user: Create, create_customer: Create,
) -> None:  # fmt: skip
    user = create_user(name="Priya Raman", email="priya@mail.example")
    create_customer(create_partner(name="Acme Home Energy"), user)
    key = app.config["SECRET_KEY"]

    def link(kind: AccessKind) -> str:
        """Let the worker answer, and return the link that it sends."""
        with unit_of_work(session):
            assert answer_wishes(session, datetime.now(UTC), key) == 1
            query = select(AccessLink).where(AccessLink.kind == kind.value).order_by(AccessLink.id.desc())
            return access_path(kind, token_for(key, kind, session.scalars(query).first().seed))  # type: ignore[union-attr]

    plain = open_window(java_script_enabled=False, viewport=PHONE)
    plain.goto("/login")
    plain.get_by_role("link", name="Send me a link instead").press("Enter")
    plain.get_by_label("Email address or phone number").fill(user.email)
    plain.get_by_label("Email address or phone number").press("Enter")
    expect(plain.get_by_role("heading", level=1)).to_have_text("Look for our message")
    plain.goto(link(AccessKind.SIGN_IN))
    plain.get_by_role("button", name="Sign in").press("Enter")
    plain.wait_for_url("**/my/")

    page.goto("/login/password")
    page.get_by_label("Email address").fill(user.email)
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Look for our message")
    new_password = link(AccessKind.PASSWORD)
    page.goto("/login/link")
    page.get_by_label("Email address or phone number").fill(user.email)
    page.get_by_role("button", name="Send the link").click()
    sign_in = link(AccessKind.SIGN_IN)
    found = []
    pages = ("/login", "/login/link", "/login/password", "/login/sent/link", sign_in, new_password, "/login/link/none")
    for size, scheme in ((PHONE, "dark"), (PHONE, "light"), (DESK, "light")):
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        for path in pages:
            page.goto(path)
            found += axe_complaints(page)
            assert overflow(page) <= 0, path
    page.goto(new_password)
    page.get_by_role("button", name="Set the new password").click()
    expect(page.get_by_role("alert")).to_contain_text("Enter a password")
    found += axe_complaints(page)
    assert found == []
    page.get_by_label("New password").fill("an entirely new password")
    page.get_by_role("button", name="Set the new password").click()
    expect(page.get_by_text("Your new password is set.")).to_be_visible()
    plain.reload()
    expect(plain.get_by_role("heading", level=1)).to_have_text("Sign in")
