"""What every browser test asks of a page: nothing that axe complains about, nothing wider than the window."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from tests.helpers import PASSWORD
from tests.sharing import EVERYTHING

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
# How pages are looked at: each width and each scheme once, or each with each where everything is tried.
LOOKS = [(PHONE, "light"), (DESK, "dark"), (PHONE, "dark"), (DESK, "light")][: 4 if EVERYTHING else 2]
AXE = Path(__file__).resolve().parents[2] / "node_modules/axe-core/axe.min.js"


@cache
def _axe() -> str:
    return AXE.read_text()


def axe_complaints(page: Any) -> list[str]:
    """Return each violation that axe-core finds on the page, with the elements it is about."""
    # A page that is being left has no document to look at.
    page.wait_for_load_state()
    if not page.evaluate("typeof window.axe !== 'undefined'"):
        page.evaluate(_axe())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{page.url}: {violation['id']}: {node['html']} ({node['failureSummary']})"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


# What can be used, or says what went wrong, and reaches out of a box that shows only what fits into it.
CUT_OFF = """() => {
    const beyond = [document.documentElement.scrollWidth - document.documentElement.clientWidth];
    for (const one of document.querySelectorAll("a, button, input, select, textarea, .error, .invalid-feedback")) {
        const shown = one.getBoundingClientRect();
        if (shown.width <= 1 || !one.checkVisibility() || one.closest(".visually-hidden")) continue;
        for (let box = one.parentElement; box && box !== document.body; box = box.parentElement) {
            const flow = getComputedStyle(box).overflowX;
            if (flow === "auto" || flow === "scroll") break;
            if (flow !== "visible") beyond.push(Math.floor(shown.right - box.getBoundingClientRect().right));
        }
    }
    return Math.max(...beyond);
}"""


def overflow(page: Any) -> int:
    """Return by how many pixels the page is wider than its window, or something on it than the box that cuts it off."""
    width: int = page.evaluate(CUT_OFF)
    return width


def sign_in(page: Any, user: Any, password: str = PASSWORD) -> None:
    """Sign in by the form."""
    page.goto("/login")
    page.get_by_label("Email address").fill(user.email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/login" not in url)


def settled(page: Any) -> None:
    """Wait for the dialog to be open and its fields improved."""
    expect(page.locator("dialog[open] .finder, dialog[open] .chosen").first).to_be_visible()
