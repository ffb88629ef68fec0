"""Wherever the Tab key leads in the admin, it can be seen where one is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.looking import sign_in
from tests.factories import Create

# Says of what has the focus whether anything is drawn around it, it itself or what stands for it.
RING = """() => {
    const at = document.activeElement;
    const drawn = (part) => {
        const style = getComputedStyle(part);
        return (style.outlineStyle !== "none" && style.outlineWidth !== "0px") || style.boxShadow !== "none";
    };
    const label = at.labels && at.labels[0];
    const shown = [at, label].some((part) => part && drawn(part));
    return at === document.body ? null : [at.outerHTML.slice(0, 120), shown];
}"""
MOST_STOPS = 150


@pytest.mark.parametrize("path", ["/admin/", "/admin/installations/", "/admin/message-words/invitation/email/en"])
def test_the_focus_can_be_seen_at_every_stop(
    open_window: Callable[..., Any], create_partner: Create, create_staff: Create, path: str
) -> None:
    page = open_window()
    sign_in(page, create_staff(create_partner(), role="partner_admin"))
    page.goto(path)
    stops = []
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        stop = page.evaluate(RING)
        if stop is None:
            break
        stops.append(stop)
    assert len(stops) > 20
    assert [where for where, shown in stops if not shown] == []
