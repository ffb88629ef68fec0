"""The editor of messages as a browser shows it: placeholders put in by a press, a preview, and what is sent then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.messages.models import Message
from portal.worker.relay import Relay
from portal.worker.store import Store
from tests.browser.looking import DESK, PHONE, axe_complaints, overflow, sign_in
from tests.factories import Create

EDITOR = "/admin/message-words/booked/email/en"


@pytest.mark.look
@pytest.mark.row("N2")
@pytest.mark.row("N6")
@pytest.mark.row("P19")
def test_words_are_put_together_by_presses_shown_and_sent(
    app: Flask, session: Session, page: Any, open_window: Callable[..., Any], create_partner: Create,
    create_staff: Create, create_customer: Create, create_installation: Create,
) -> None:  # fmt: skip
    partner = create_partner(name="Acme Home Energy", phone="0117 496 0180")
    alma = create_staff(partner, role="partner_admin", name="Alma Whitcombe")
    customer = create_customer(partner, name="Priya Raman", email="priya@mail.example")
    create_installation(partner, customer=customer)
    sign_in(page, alma)
    page.set_viewport_size(DESK)
    page.goto(EDITOR)
    subject = page.get_by_label("Subject")
    subject.fill("Hello , see you soon")
    subject.evaluate("field => field.setSelectionRange(6, 6)")
    page.get_by_role("button", name="{{ recipient.first_name }}").click()
    expect(subject).to_have_value("Hello {{ recipient.first_name }}, see you soon")
    expect(subject).to_be_focused()
    page.get_by_label("HTML").fill("<p>We look forward to <script>alert(1)</script></p>")
    page.get_by_role("button", name="{{ visit.date }}").click()
    page.get_by_role("button", name="Preview without saving").click()
    expect(page.get_by_text("Hello Priya, see you soon")).to_be_visible()
    expect(page.get_by_text("Of the HTML these are left out: <script>")).to_be_visible()
    letter = page.frame_locator("iframe.letter")
    expect(letter.get_by_text("We look forward to")).to_be_visible()
    # The letter's own style holds in its frame, under the policy of the page.
    assert letter.locator("body").evaluate("body => getComputedStyle(body).marginTop") == "0px"
    page.get_by_role("button", name="Save, effective at once").click()
    expect(page.get_by_text("Saved. Every message that is not sent yet says it.")).to_be_visible()

    create_installation(partner, customer=customer)
    store = Store(app.config["SETTINGS"].database_url)
    Relay(store, app.config["SETTINGS"]).run()
    store.close()
    session.rollback()
    key = session.scalars(select(Message.id).where(Message.kind == "booked").order_by(Message.id.desc())).first()
    page.goto(f"/admin/messages/{key}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Hello Priya, see you soon")
    expect(page.frame_locator("iframe.letter").get_by_text("We look forward to")).to_be_visible()

    found = []
    words = "/admin/message-words/"
    paths = (words, EDITOR, f"{EDITOR}/versions", f"{words}reminder/text/de", f"{words}invitation/email/en", "/admin/")
    for size, scheme in ((PHONE, "dark"), (DESK, "light")):
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        for path in paths:
            page.goto(path)
            page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true; })")
            found += axe_complaints(page)
            assert overflow(page) <= 0, (path, size)
    assert found == []

    # Without script the placeholders are there to be copied, and everything else works as well.
    plain = open_window(java_script_enabled=False, viewport=PHONE)
    sign_in(plain, alma)
    plain.goto(EDITOR)
    expect(plain.get_by_role("button", name="{{ visit.date }}")).to_have_count(0)
    expect(plain.get_by_text("{{ visit.date }}", exact=True)).to_be_visible()
    plain.get_by_label("Subject").fill("{{ visit.weather }}")
    plain.get_by_role("button", name="Preview without saving").click()
    expect(plain.get_by_role("alert")).to_contain_text("there is no placeholder “visit.weather”")
