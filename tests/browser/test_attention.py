"""Hours, and what needs attention, as a dispatcher sees them in a browser (P21)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.delivery.models import Unreachable
from portal.domain.messages.models import Message
from tests.browser.looking import axe_complaints, overflow, sign_in
from tests.factories import Create, save

pytestmark = [pytest.mark.row("P21"), pytest.mark.look]


def test_time_off_is_asked_about_and_settled_from_the_queue(
    open_window: Callable[..., Any],
    session: Session,
    create_partner: Create,
    create_staff: Create,
    create_technician: Create,
    create_installation: Create,
) -> None:
    partner = create_partner()
    alma = create_staff(partner, role="partner_admin")
    ines, tomas = create_technician(partner, name="Ines Kowalski"), create_technician(partner, name="Tomás Reyes")
    start = (datetime.now(UTC) + timedelta(days=3)).replace(hour=10, minute=0, second=0, microsecond=0)
    job = create_installation(partner, technician=ines, start=start)
    page = open_window()
    phone = open_window(viewport={"width": 390, "height": 800}, color_scheme="dark")
    for window in (page, phone):
        sign_in(window, alma)

    def look(path: str = "") -> None:
        for window in (page, phone):
            if path:
                window.goto(path)
            assert axe_complaints(window) == []
            assert overflow(window) <= 0

    for path in ("/admin/hours/", f"/admin/hours/technicians/{ines.id}", "/admin/hours/holidays/import"):
        look(path)
    for window in (page, phone):
        window.goto("/admin/hours/time-off/new")
        window.get_by_label("Handyman").select_option(label="Ines Kowalski")
        window.get_by_label("First day").fill(start.date().isoformat())
        window.get_by_role("button", name="Save").last.click()
        window.get_by_text("Not saved yet: 1 coming visit would become impossible.").wait_for()
    look()
    # The other act is beside it, in a tab of its own, so that what was typed stays.
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Reassign").click()
    assert opened.value.url.endswith(f"/admin/installations/{job.id}/reassign")
    # Closed while it loads, a tab leaves the server with a half-sent file.
    opened.value.wait_for_load_state()
    opened.value.close()
    page.get_by_role("button", name="Save all the same").last.click()
    page.get_by_text("The time off is saved.").wait_for()
    look("/admin/attention/hit/")
    message = session.scalars(select(Message).where(Message.job_id == job.id, Message.kind == "booked")).one()
    session.rollback()
    whom = {"partner_id": partner.id, "customer_id": job.customer_id, "message_id": message.id}
    why = {"recipient": "somebody@mail.example", "fault": "address", "error": "550 no such user"}
    task = save(session, Unreachable(opened_at=start, **whom, **why))
    for path in ("/admin/unreachable/", f"/admin/unreachable/{task.id}/done", f"/admin/messages/{message.id}"):
        look(path)
    look("/admin/")
    page.goto("/admin/attention/hit/")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_role("link", name="Reassign").click()
    # The input of the type-ahead, which stands where a select was.
    page.locator("dialog[open] input[role=combobox]").fill("Tom")
    page.locator("dialog [role=option]").filter(has_text=tomas.name).click()
    page.get_by_role("dialog").get_by_role("button", name=f"Reassign to {tomas.name}").last.click()
    # Once, or a second answer would put an empty form over what somebody has typed by then.
    assert sum(url.endswith("/reassign") for url in asked) == 2, "one to open it, one to send it"
    page.get_by_text("Every coming visit can be worked as planned.").wait_for()
    assert page.url.endswith("/admin/attention/hit/")
