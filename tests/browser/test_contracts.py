"""From finished work to a signed contract in the customer's hands, in a real browser; and the calendar's address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect
from pypdf import PdfReader

from tests.browser.looking import axe_complaints, overflow, sign_in
from tests.factories import Create

PHONE = {"width": 390, "height": 844}


@pytest.mark.look
@pytest.mark.row("C11", "J10", "C10")
def test_a_contract_is_sent_signed_by_drawing_approved_and_downloaded(
    open_window: Callable[..., Any],
    create_partner: Create,
    create_user: Create,
    create_staff: Create,
    create_customer: Create,
    create_installation_in: Create,
) -> None:
    partner, user = create_partner(name="Brightwell"), create_user(name="Priya Raman")
    job = create_installation_in(
        partner, "INSTALLATION_COMPLETED", create_customer(partner, user), items=[("Wärmepumpe", 1)]
    )
    office, phone = open_window(), open_window(viewport=PHONE, has_touch=True)
    sign_in(office, create_staff(partner))
    office.goto(f"/admin/installations/{job.id}")
    office.get_by_role("link", name="Send contract").click()
    office.get_by_role("dialog").get_by_role("button", name="Send contract").click()
    expect(office.get_by_text("Contract sent").first).to_be_visible()

    sign_in(phone, user)
    phone.get_by_role("link", name="Read and sign").click()
    expect(phone.get_by_role("listitem").filter(has_text="1 × Wärmepumpe")).to_be_visible()
    pad = phone.locator("canvas")
    expect(pad).to_be_visible()
    assert axe_complaints(phone) == []
    assert overflow(phone) == 0
    phone.get_by_label("Your full name").fill("Priya Raman")
    phone.get_by_label("I have read this contract").check()
    phone.get_by_role("button", name="Sign the contract").click()
    expect(phone.get_by_role("alert")).to_contain_text("Draw your signature")
    assert axe_complaints(phone) == []
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    phone.mouse.move(box["x"] + 30, box["y"] + 90)
    phone.mouse.down()
    for across, down in ((80, 30), (120, 110), (200, 40), (260, 80)):
        phone.mouse.move(box["x"] + across, box["y"] + down, steps=5)
    phone.mouse.up()
    phone.get_by_role("button", name="Sign the contract").click()
    expect(phone.get_by_text("Thank you. You signed the contract.")).to_be_visible()
    phone.get_by_role("button", name="Approve the work").click()
    expect(phone.get_by_text("Thank you. You approved the work.")).to_be_visible()
    assert axe_complaints(phone) == []
    with phone.expect_download() as waiting:
        phone.get_by_role("link", name="Download the signed PDF").click()
    pages = PdfReader(waiting.value.path()).pages
    assert "1 × Wärmepumpe" in pages[0].extract_text()
    assert "Certificate of signature" in pages[-1].extract_text()
    assert len(pages[-1].images) == 1
    office.reload()
    expect(office.get_by_text("Customer approved").first).to_be_visible()
    expect(office.locator(".timeline")).to_contain_text("Contract signed")

    phone.goto("/my/")
    phone.get_by_role("link", name="Subscribe in your calendar").click()
    phone.get_by_role("button", name="Make my private address").click()
    phone.get_by_role("button", name="Copy the address").click()
    expect(phone.get_by_role("status").filter(has_text="Copied")).to_have_count(1)
    for size in (PHONE, {"width": 1280, "height": 900}):
        phone.set_viewport_size(size)
        assert axe_complaints(phone) == []
        assert overflow(phone) == 0
