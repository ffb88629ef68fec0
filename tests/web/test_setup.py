"""Service types, feature controls, the message log, background jobs and the dashboard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.background.services import Run, RunOutcome, record_run
from portal.domain.messages.models import AttemptOutcome, Message, MessageAttempt, MessageStatus
from portal.domain.scheduling.models import FeatureControls, ServiceType
from portal.domain.unit_of_work import unit_of_work
from tests.helpers import Site

Create = Any
MINUTES = ("duration_minutes", "window_minutes", "step_minutes", "buffer_before_minutes", "buffer_after_minutes")


@pytest.fixture
def partner(create_partner: Create) -> Any:
    return create_partner(name="Brightwell")


@pytest.fixture
def office(site: Site, partner: Any, create_staff: Create) -> Site:
    """The admin of ``partner``, signed in."""
    site.sign_in(create_staff(partner, role="partner_admin"))
    return site


def controls(session: Session, partner: Any) -> FeatureControls:
    session.rollback()
    query = select(FeatureControls).where(FeatureControls.partner_id == partner.id)
    return session.scalars(query, execution_options={"populate_existing": True}).one()


# Service types


@pytest.mark.row("P16")
def test_a_service_type_is_added_changed_and_deactivated(office: Site, session: Session) -> None:
    office.get("/admin/service-types/")
    assert "No service types yet." in office.text
    office.get("/admin/service-types/new/")
    office.submit({"name": "Heat pump", "duration_minutes": "360", "buffer_after_minutes": "15"}, button="Add service")
    assert "Heat pump is added." in office.text
    assert "6 hours" in office.text
    kind = session.scalars(select(ServiceType)).one()
    assert (kind.duration_minutes, kind.window_minutes, kind.buffer_after_minutes) == (360, 120, 15)
    office.get("/admin/service-types/edit/", query_string={"id": kind.id})
    office.submit({"window_minutes": "60"}, button="Save Heat pump")
    office.get("/admin/service-types/edit/", query_string={"id": kind.id})
    office.submit(button="Deactivate Heat pump")
    session.rollback()
    kind = session.get_one(ServiceType, kind.id, populate_existing=True)
    assert (kind.window_minutes, kind.active) == (60, False)
    office.get("/admin/service-types/")
    assert office.page.select("tbody tr") == []
    office.get("/admin/service-types/?active=no")
    assert len(office.page.select("tbody tr")) == 1


@pytest.mark.row("P16")
@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "abc", "9" * 30, "9" * 5000, "1441"])
def test_a_length_that_makes_no_sense_is_refused_at_the_field(office: Site, session: Session, text: str) -> None:
    office.get("/admin/service-types/new/")
    answer = office.submit({"name": "Heat pump", "duration_minutes": text}, button="Add service")
    assert answer.status_code == 422
    assert [str(one["href"]) for one in office.page.select(".error-summary a")] == ["#duration_minutes"]
    assert office.page.select_one("#duration_minutes-error").text.startswith("Enter a whole number")  # type: ignore[union-attr]
    assert session.scalars(select(ServiceType)).all() == []


@pytest.mark.row("P16")
def test_names_of_service_types_are_their_own(
    office: Site, partner: Any, create_partner: Create, create_service_type: Create
) -> None:
    create_service_type(partner, name="Heat pump")
    create_service_type(create_partner(), name="Battery")
    for name, status in (("Heat pump", 422), ("Battery", 200), ("x" * 81, 422), (" ", 422)):
        office.get("/admin/service-types/new/")
        assert office.submit({"name": name}, button="Add service").status_code == status, name


# Feature controls


@pytest.mark.row("M2")
def test_feature_controls_hold_at_once(office: Site, session: Session, partner: Any) -> None:
    office.get("/admin/feature-controls/")
    assert "Self-service is off." in office.text
    values = {"self_service": "y", "cancel_confirmed": "y", "reschedule_cutoff_hours": "48", "max_moves": "2"}
    office.submit(values, button="Save")
    assert "Saved. The rules hold from now on." in office.text
    assert "A confirmed visit can be moved until 48 hours before." in office.text
    assert "One visit can be moved 2 times." in office.text
    stored = controls(session, partner)
    assert (stored.self_service, stored.cancel_confirmed, stored.reschedule_cutoff_hours) == (True, True, 48)
    assert stored.max_moves == 2
    form = office.form(button="Save")
    assert form.select_one("[name=self_service]").has_attr("checked")  # type: ignore[union-attr]


@pytest.mark.row("M2")
@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("reschedule_cutoff_hours", "-1"),
        ("cancel_cutoff_hours", "abc"),
        ("max_moves", ""),
        ("notice_hours", "9" * 25),
        ("horizon_days", "0"),
        ("cancel_undo_minutes", "1441"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_and_kept(
    office: Site, session: Session, partner: Any, field: str, text: str
) -> None:
    office.get("/admin/feature-controls/")
    answer = office.submit({field: text, "self_service": "y"}, button="Save")
    assert answer.status_code == 422
    assert [str(one["href"]) for one in office.page.select(".error-summary a")] == [f"#{field}"]
    assert office.page.select_one(f"#{field}")["value"] == text  # type: ignore[index]
    assert not controls(session, partner).self_service


@pytest.mark.row("M2")
def test_rules_changed_meanwhile_are_shown_and_not_saved_over(
    app: Flask, office: Site, session: Session, partner: Any, create_staff: Create
) -> None:
    office.get("/admin/feature-controls/")
    colleague = Site(app.test_client())
    colleague.sign_in(create_staff(partner, role="partner_admin"))
    colleague.get("/admin/feature-controls/")
    colleague.submit({"max_moves": "5", "self_service": "y"}, button="Save")
    answer = office.submit({"max_moves": "1"}, button="Save")
    assert answer.status_code == 409
    rows = {row.th.text: [cell.text for cell in row.select("td")] for row in office.page.select(".conflict tbody tr")}
    assert rows == {
        "Customers may modify appointments": ["no", "yes"],
        "How often one appointment may be moved": ["1", "5"],
    }
    assert controls(session, partner).max_moves == 5
    assert office.submit(button="Save").status_code == 200
    stored = controls(session, partner)
    assert (stored.max_moves, stored.self_service) == (1, False)


# The log


@pytest.mark.row("N6")
def test_a_message_is_read_as_the_customer_reads_it(
    office: Site, session: Session, partner: Any, create_customer: Create, create_installation: Create
) -> None:
    customer = create_customer(partner, name="Priya Raman", email="priya@mail.example")
    job = create_installation(partner, customer=customer)
    with unit_of_work(session):
        message = session.scalars(select(Message)).one()
        message.status, message.sent_at = MessageStatus.SENT, datetime.now(UTC)
        message.subject, message.body = "Booked for Tuesday", "Dear Priya, <b>we come</b>"
        message.body_html = "<!DOCTYPE html><p>Dear Priya</p><script>alert(1)</script>"
        session.add(
            MessageAttempt(
                partner_id=partner.id,
                message_id=message.id,
                at=datetime.now(UTC),
                outcome=AttemptOutcome.FAILED,
                error="421 try later",
            )
        )
        key = message.id
    office.get("/admin/messages/")
    assert [cell.text for cell in office.page.select("tbody .cust")] == ["Priya Raman"]
    office.get(f"/admin/messages/{key}")
    assert "Booked for Tuesday" in office.text
    assert "421 try later" in office.text
    assert "Dear Priya, <b>we come</b>" in office.page.select_one("pre").text  # type: ignore[union-attr]
    assert office.page.select_one(f'a[href="/admin/installations/{job.id}"]') is not None
    frame = office.page.select_one("iframe")
    assert frame is not None
    # what it links to opens beside it, and that is all it may do
    allowed = frame["sandbox"]
    assert allowed == ["allow-popups", "allow-popups-to-escape-sandbox"]
    letter = office.client.get(str(frame["src"]))
    assert letter.get_data(as_text=True) == "<!DOCTYPE html><p>Dear Priya</p><script>alert(1)</script>"
    policy = letter.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert policy.endswith(f"sandbox {' '.join(allowed)}")
    assert "script" not in policy


@pytest.mark.row("N6")
def test_messages_are_newest_first_and_filtered_by_what_became_of_them(
    office: Site, session: Session, partner: Any, create_customer: Create, create_installation: Create
) -> None:
    for name in ("Ada", "Ben"):
        create_installation(partner, customer=create_customer(partner, name=name))
    with unit_of_work(session):
        first = session.scalars(select(Message).order_by(Message.id)).first()
        assert first is not None
        first.status, first.last_error = MessageStatus.SKIPPED, "The visit was cancelled."
        key = first.id
    office.get("/admin/messages/")
    assert [cell.text for cell in office.page.select("tbody .cust")] == ["Ben", "Ada"]
    office.get("/admin/messages/?status=SKIPPED")
    assert [cell.text for cell in office.page.select("tbody .cust")] == ["Ada"]
    assert "Not sent" in office.text
    office.get("/admin/messages/?status=NONSENSE")
    assert len(office.page.select("tbody tr")) == 2
    assert "Not understood and left out: Status." in office.text
    office.get(f"/admin/messages/{key}")
    assert "Nothing was sent: The visit was cancelled." in office.text
    assert office.client.get(f"/admin/messages/{key}/letter").status_code == 404
    for path in ("new/", f"edit/?id={key}"):
        assert office.client.get(f"/admin/messages/{path}").status_code == 404
        assert office.post(f"/admin/messages/{path}").status_code == 404


@pytest.mark.row("N5")
def test_background_jobs_show_their_last_and_next_run(
    app: Flask, office: Site, session: Session, create_user: Create
) -> None:
    office.get("/admin/background-jobs/")
    assert "The worker has not run yet." in office.text
    run = Run("Send messages", datetime.now(UTC), timedelta(milliseconds=12), RunOutcome.FAILED, "somebody's address")
    with unit_of_work(session):
        record_run(session, run, datetime.now(UTC))
    office.get("/admin/background-jobs/")
    cells = [" ".join(cell.text.split()) for cell in office.page.select("tbody tr > *")]
    assert cells[0] == "Send messages"
    assert cells[1].startswith("Last run today, ")
    assert cells[2] == "It took 12 ms"
    assert cells[3] == "Failed"
    assert cells[4].startswith("Next run today, ")
    operator = Site(app.test_client())
    operator.sign_in(create_user(is_operator=True))
    operator.get("/admin/background-jobs/")
    assert "somebody's address" in operator.text
