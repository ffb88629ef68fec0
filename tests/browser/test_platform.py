"""The operator's and the staff's pages in a real browser: at desk and phone width, by day and by night."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.looking import axe_complaints, overflow, sign_in
from tests.web.platform import Platform, platform

__all__ = ["platform"]

SIZES = (({"width": 1280, "height": 900}, "light"), ({"width": 390, "height": 844}, "dark"))

pytestmark = [pytest.mark.row("P20"), pytest.mark.look]


def complaints(page: Any, path: str) -> list[str]:
    """Open ``path`` at each size and return what axe finds and what does not fit."""
    found = []
    for size, scheme in SIZES:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        page.goto(path)
        found += axe_complaints(page)
        if overflow(page):
            found.append(f"{path} is {overflow(page)} px too wide at {size['width']}")
    return found


def test_the_pages_of_operator_and_staff_are_for_everybody(platform: Platform, page: Any) -> None:
    sign_in(page, platform.robin)
    acme = f"/admin/partners/{platform.acme.id}"
    found = []
    for path in ("/admin/partners/", "/admin/partners/new/", f"/admin/partners/edit/?id={platform.acme.id}", acme):
        found += complaints(page, path)
    found += complaints(page, "/admin/health/")
    page.goto(acme)
    page.get_by_label("Reason, which the partner reads").fill("A question about a visit")
    page.get_by_role("button", name="Look into its data").click()
    page.goto("/admin/staff/new/")
    page.get_by_label("Name").fill("Jordan Ames")
    page.get_by_label("Email address").fill("jordan@mail.example")
    page.get_by_role("button", name="Invite somebody").last.click()
    for path in ("/admin/staff/", "/admin/staff/new/", "/admin/operator-access/"):
        found += complaints(page, path)
    page.get_by_role("button", name="Stop looking").click()
    page.wait_for_url("**/admin/partners/")
    page.context.clear_cookies()
    found += complaints(page, platform.link())
    assert found == []
