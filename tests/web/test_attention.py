"""What needs attention comes up by itself: in the menu, as lists, on the dashboard (P18, P21)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from portal.cli import recount
from portal.domain.jobs import fieldwork
from portal.domain.jobs.attention import MOST_COUNTED
from portal.domain.unit_of_work import unit_of_work
from portal.web import attention
from tests.factories import Create
from tests.helpers import Site
from tests.web.office import NOW, TUESDAY, Office, clock, office
from tests.web.test_hours import listed, menu

__all__ = ["clock", "office"]

pytestmark = [pytest.mark.row("P18"), pytest.mark.row("P21")]

HOUR = timedelta(hours=1)
URL = "/admin/attention/"


def test_a_late_visit_comes_up_by_itself_and_is_settled_from_its_queue(office: Office, clock: Any) -> None:
    site = office.site
    late = office.create(start=NOW + HOUR, technician=office.ines)
    site.get("/admin/")
    assert "Nothing needs attention" in site.text
    assert set(menu(site).values()) == {""}
    clock.move_to(NOW + 3 * HOUR)
    site.get("/admin/")
    assert menu(site)["Not started"] == "1"
    assert [str(one["href"]) for one in site.page.select("#queue-not-started li a")] == [office.at(late)]
    site.get(str(site.page.select_one('a[href="/admin/attention/not-started/"]')["href"]))  # type: ignore[index]
    assert site.page.select_one("#menu-queues [aria-current]").text.startswith("Not started")  # type: ignore[union-attr]
    assert site.page.select(".side-nav > ul > li > a[aria-current]") == []
    assert listed(site) == [late.number]
    assert office.buttons("td.do") == ["Reschedule", "Reassign", "View details"]
    # In the dialog over the queue; it leads back to where one was.
    here = {"HX-Request": "true", "HX-Current-URL": f"http://localhost{URL}not-started/"}
    token = site.token()
    values = {"csrf_token": token, "date": "2026-11-24", "time": "09:00", "duration": "120"}
    answer = site.client.post(office.at(late, "reschedule"), data=values, headers=here)
    assert answer.headers["HX-Redirect"] == f"{URL}not-started/"
    site.get(f"{URL}not-started/")
    assert "Nobody is late." in site.text
    assert menu(site)["Not started"] == ""


def test_every_queue_is_a_list_with_its_count(office: Office, clock: Any) -> None:
    site = office.site
    nobody = [office.create(start=TUESDAY + n * HOUR) for n in range(22)]
    work = office.create(technician=office.ines, start=NOW + HOUR)
    begun = office.create(technician=office.tomas, start=NOW + HOUR)
    clock.move_to(NOW + HOUR)
    for job in (work, begun):
        office.work_through(job, "set_off", "arrive", "start_work")
    with unit_of_work(office.session) as session:
        reason = session.execute(text("SELECT min(id) FROM pause_reasons")).scalar_one()
    visit = office.visits(begun)[-1]
    office.do(fieldwork.pause, visit.id, visit.move_number, reason)
    office.do(fieldwork.continue_later, visit.id, visit.move_number, None)
    clock.move_to(TUESDAY - HOUR)
    site.get(URL)
    shown = {
        "Without handyman": "22", "Not started": "", "Not completed": "1", "Needs a visit": "1",
        "Hit by time off or hours": "", "Job offers": "", "Requests": "", "Change requests": "",
        "Unreachable customers": "",
    }  # fmt: skip
    assert menu(site) == shown
    numbers = [one.text.replace(" waiting", "") for one in site.page.select("main .count")]
    assert numbers == ["22", "0", "1", "1", "0", "0", "0", "0", "0"]
    site.get(f"{URL}not-completed/")
    assert listed(site) == [work.number]
    assert office.buttons("td.do") == ["Complete", "View details"]
    assert site.page.select_one("td.st").text == "Work in progress"  # type: ignore[union-attr]
    site.get(f"{URL}needs-visit/")
    assert listed(site) == [begun.number]
    assert office.buttons("td.do") == ["Reschedule", "View details"]
    site.get(f"{URL}without-technician/")
    assert listed(site) == [job.number for job in nobody[:20]]
    assert office.buttons("tbody tr:first-child td.do") == ["Assign", "Reschedule", "View details"]
    site.get(str(site.page.select_one(".paging a[rel=next]")["href"]))  # type: ignore[index]
    assert listed(site) == [job.number for job in nobody[20:]]
    site.get("/admin/")
    assert [str(one["href"]) for one in site.page.select("#queue-without-technician li a")] == [
        office.at(job) for job in nobody[:5]
    ]
    assert site.client.get(f"{URL}nonsense/").status_code == 404
    for odd in ("after=x", 'after=["",0]', "before=[1,2,3]", 'after=["9999-12-31T23:59:59+00:00",0]'):
        assert site.client.get(f"{URL}without-technician/?{odd}").status_code == 200


def test_a_page_asks_for_all_counts_at_once_and_the_next_not_at_all(
    office: Office, clock: Any, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = office.site
    office.create()

    def asked() -> int:
        statements.clear()
        assert site.client.get("/admin/calendar/").status_code == 200
        return len([one for one in statements if "UNION ALL" in one and "visit_hits" in one])

    assert (asked(), asked()) == (1, 0)
    # What this process writes shows at once; what others write within seconds.
    office.create()
    assert (asked(), asked()) == (1, 0)
    with office.session.get_bind().begin() as connection:  # type: ignore[union-attr]
        connection.execute(text("UPDATE appointments SET status = 'CANCELLED'"))
    site.get("/admin/calendar/")
    assert menu(site)["Without handyman"] == "2"
    clock.shift(attention.FRESH)
    site.get("/admin/calendar/")
    assert menu(site)["Without handyman"] == ""
    monkeypatch.setattr(attention, "queue_counts", lambda: dict.fromkeys(attention.Queue, MOST_COUNTED))
    site.get("/admin/calendar/")
    assert set(menu(site).values()) == {"99+"}


def test_queues_are_the_partner_s_and_not_for_everybody(
    app: Flask, office: Office, create_partner: Create, create_staff: Create, create_user: Create
) -> None:
    job = office.create()
    office.site.get(f"{URL}without-technician/")
    assert listed(office.site) == [job.number]
    stranger = Site(app.test_client())
    stranger.sign_in(create_staff(create_partner()))
    for path in ("", "without-technician/"):
        stranger.get(URL + path)
        assert set(menu(stranger).values()) == {""}
        assert listed(stranger) == []
    operator = Site(app.test_client())
    operator.sign_in(create_user(is_operator=True))
    assert operator.client.get(URL).status_code == 403
    operator.get("/admin/")
    assert operator.page.select("#menu-queues") == []


def test_the_command_mends_what_was_done_past_doorstep(app: Flask, office: Office) -> None:
    job = office.create(technician=office.ines)
    with office.session.get_bind().begin() as connection:  # type: ignore[union-attr]
        connection.execute(text("DELETE FROM job_counts"))
        connection.execute(text("DELETE FROM job_count_deltas"))
        connection.execute(text("UPDATE appointments SET status = 'INCOMPLETE'"))
        connection.execute(text("UPDATE jobs SET status = 'INSTALLATION_IN_PROGRESS'"))
    result = app.test_cli_runner().invoke(recount)
    assert result.exit_code == 0, result.output
    assert "The counts are right again." in result.output
    office.site.get("/admin/installations/")
    assert "In progress 1" in office.site.text
    office.site.get(f"{URL}needs-visit/")
    assert listed(office.site) == [job.number]
