"""Service jobs in the office through real forms: list, draft to completion, several visits, setting back, many."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from portal.domain.jobs.models import Appointment, Job
from tests.factories import Create
from tests.web.office import NOW, TUESDAY, Office, clock, office

__all__ = ["clock", "office"]

URL = "/admin/service-jobs/"
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def press(office: Office, job: Job, act: str, visit: Appointment | None = None, **values: str) -> Any:
    """Open the form of an act, of one of several visits if given, and send it."""
    assert office.site.get(f"{URL}{job.id}/{act}{f'?visit={visit.id}' if visit else ''}").status_code == 200
    return office.site.submit(values, action=f"/{act}")


def forms_of(office: Office, job: Job) -> set[str]:
    """Return what the page of a job offers to press."""
    office.site.get(f"{URL}{job.id}")
    return set(office.buttons(".head")) - {""}


@pytest.mark.row("J2", "J3")
def test_a_job_is_drafted_approved_and_scheduled_by_forms(office: Office) -> None:
    site = office.site
    site.get(URL)
    assert "No service jobs yet." in site.text
    site.get("draft")
    assert site.submit({"service_type": str(office.kind.id)}, action="/draft").status_code == 422
    assert "Choose a customer" in site.text
    address = office.customer.addresses[0].id
    site.get(f"draft?customer={office.customer.id}")
    values = {"customer": f"{office.customer.id}:{address}", "service_type": str(office.kind.id)}
    assert (
        site.submit({**values, "items-0-name": "Filter", "items-0-quantity": "0"}, action="/draft").status_code == 422
    )
    assert (
        site.submit(
            {**values, "items-0-name": "", "items-0-quantity": "1", "notes": "Loft"}, action="/draft"
        ).status_code
        == 200
    )
    (job,) = office.jobs()
    assert (job.workflow, job.status, job.title, site.url) == ("service", "DRAFT", "Heat pump", f"{URL}{job.id}")
    assert forms_of(office, job) == {"Approve", "Cancel job"}
    assert site.get(f"{URL}{job.id}/schedule").status_code == 409
    press(office, job, "approve")
    assert forms_of(office, job) == {"Schedule visit", "Cancel job"}
    assert "It is approved and no visit is planned." in site.text
    day = TUESDAY.date().isoformat()
    assert press(office, job, "schedule", date=day, slot="", time="").status_code == 422
    press(office, job, "schedule", date=day, slot="", time="9:00")
    assert office.job(job).status == "APPROVED"
    assert forms_of(office, job) == {"Assign", "Schedule visit", "Reschedule", "Cancel job"}
    press(office, job, "assign", technician=str(office.ines.id))
    assert office.job(job).status == "SCHEDULED"
    press(office, job, "reassign", technician=str(office.tomas.id))
    press(office, job, "schedule", date=day, slot="", time="9:30", technician=str(office.ines.id))
    first, second = office.visits(job)
    assert (first.technician_id, second.technician_id) == (office.tomas.id, office.ines.id)
    press(office, job, "reschedule", second, date=day, slot="", time="14:00")
    press(office, job, "reassign", second, technician=str(office.tomas.id))
    assert (office.visits(job)[1].start_at, office.visits(job)[1].technician_id) == (
        TUESDAY + 5 * HOUR,
        office.tomas.id,
    )
    assert office.visits(job)[0].start_at == TUESDAY
    press(office, job, "cancel_visit", second, reason="One is enough")
    assert [visit.status for visit in office.visits(job)] == ["SCHEDULED", "CANCELLED"]
    site.get(f"{URL}{job.id}")
    for words in ("Created", "Approved", "Visit planned", "One is enough"):
        assert words in site.text
    assert "Contract" not in site.text


@pytest.mark.row("J5", "J6", "J7")
def test_each_visit_of_several_is_worked_on_its_own(office: Office, create_service_job: Create) -> None:
    visits = [(NOW + HOUR, office.ines), (NOW + HOUR, office.tomas), (TUESDAY, None)]
    job = create_service_job(office.partner, office.customer, visits, kind=office.kind, now=NOW)
    first, second, _ = office.visits(job)
    site = office.site
    site.get(f"{URL}{job.id}")
    own = {str(link["href"]) for link in site.page.select("a[href*='visit=']")}
    for visit, act in ((first, "set_off"), (second, "set_off"), (second, "cancel_visit")):
        assert f"{URL}{job.id}/{act}?visit={visit.id}" in own
    press(office, job, "set_off", second, minutes="20")
    assert office.job(job).status == "IN_PROGRESS"
    assert site.get(f"{URL}{job.id}/cancel").status_code == 409
    press(office, job, "arrive", second)
    reason = str(
        office.site.get(f"{URL}{job.id}/pause?visit={second.id}")
        and site.page.select("#pause_reason option")[0]["value"]
    )
    press(office, job, "pause", second, pause_reason=reason)
    assert office.job(job).status == "PAUSED"
    press(office, job, "continue_later", second, date=(TUESDAY + DAY).date().isoformat(), time="9:00")
    assert office.job(job).status == "SCHEDULED"
    assert office.visits(job)[-1].previous_id == second.id
    assert site.get(f"{URL}{job.id}/set_off?visit={first.id + 1000}").status_code == 404
    assert site.get(f"{URL}{job.id}/set_off?visit=x").status_code == 404
    for act in ("set_off", "arrive", "start_work", "complete"):
        press(office, job, act, first)
    assert office.job(job).status == "SCHEDULED"
    for queue, wanted in (("without-technician", True), ("needs-visit", False)):
        site.get(f"/admin/attention/{queue}/")
        assert (job.number in site.text) is wanted
        assert bool(site.page.select(f"a[href='{URL}{job.id}/assign?visit={office.visits(job)[2].id}']")) is wanted


@pytest.mark.row("J7")
def test_setting_back_says_what_came_back_and_what_did_not(office: Office, create_service_job: Create) -> None:
    visits = [(TUESDAY, office.ines), (TUESDAY + DAY, office.ines)]
    job = create_service_job(office.partner, office.customer, visits, kind=office.kind, now=NOW)
    assert press(office, job, "cancel", reason=" ").status_code == 422
    press(office, job, "cancel", reason="No longer wanted")
    assert office.job(job).status == "CANCELLED"
    office.create(technician=office.ines, start=TUESDAY)
    assert forms_of(office, job) == {"Set back to scheduled"}
    press(office, job, "reactivate")
    assert [visit.status for visit in office.visits(job)] == ["CANCELLED", "SCHEDULED"]
    assert office.job(job).status == "SCHEDULED"
    said = office.site.text
    assert "Planned again: Wed 25 Nov, 9:00–11:00." in said
    assert "Not planned again: Tue 24 Nov, 9:00–11:00. Ines Kowalski is booked at that time." in said
    assert office.site.get(f"{URL}{job.id}/reactivate").status_code == 409


@pytest.mark.row("J2", "P7", "P8", "P15")
def test_the_list_has_cards_filters_and_acts_on_many(office: Office, create_service_job: Create) -> None:
    given = {"kind": office.kind, "now": NOW}
    drafts = [create_service_job(office.partner, office.customer, **given) for _ in range(2)]
    planned = create_service_job(office.partner, office.customer, [(TUESDAY, office.ines)], **given)
    open_one = create_service_job(office.partner, office.customer, [(TUESDAY + DAY, None)], **given)
    other = office.create()
    site = office.site
    site.get(URL)
    # The newest first, with or without a visit.
    assert office.rows() == [job.number for job in (open_one, planned, *reversed(drafts))]
    cards = {card.select_one(".ov-name").text: card.select_one(".ov-num").text for card in site.page.select("a.ov")}  # type: ignore[union-attr]
    assert cards == {"Draft": "3", "Scheduled": "1", "In progress": "0", "Completed": "0", "Cancelled": "0"}
    for query, found in (
        ("?sort=date", [planned, open_one, *drafts]),
        ("?sort=-date", [*reversed(drafts), open_one, planned]),
        ("?group=Scheduled", [planned]),
        ("?technician=none&sort=number", [*drafts, open_one]),
        ("?first=2026-11-24", [planned]),
        (f"?q={drafts[0].number}", [drafts[0]]),
    ):
        site.get(URL + query)
        assert office.rows() == [job.number for job in found], query
    site.get(URL)
    picked = [str(job.id) for job in (drafts[0], planned, other)]
    site.post(f"{URL}bulk/cancel", {"pick": picked})
    assert "2 service jobs are selected." in site.text
    site.post(f"{URL}bulk/cancel", {"pick": picked, "sent": "1", "reason": "Season over"})
    assert [office.job(job).status for job in (drafts[0], planned, other)] == ["CANCELLED", "CANCELLED", "SCHEDULED"]
    site.post(f"{URL}bulk/assign", {"pick": [str(open_one.id)], "sent": "1", "technician": str(office.ines.id)})
    assert office.job(open_one).status == "SCHEDULED"
    assert "D-1001" in site.get(f"{URL}export/csv/").text
    # One kind of job is not there among the other.
    for url in (
        f"{URL}{other.id}",
        f"{office.at(planned)}",
        f"{URL}schedule",
        "/admin/installations/draft",
        f"{URL}{planned.id}/reject",
    ):
        assert site.get(url).status_code == 404, url
    for page in (
        "/admin/calendar/?mode=day&date=2026-11-25",
        "/admin/activity/",
        f"/admin/customers/{office.customer.id}/",
    ):
        site.get(page)
        assert site.page.select(f"a[href='{URL}{open_one.id}']"), page
