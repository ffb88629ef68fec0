"""Many installations at once (P15): each row guarded on its own, and the outcome says row by row what went through."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urljoin

import pytest
from bs4 import BeautifulSoup
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal.admin.installations.bulk import AT_ONCE
from portal.domain.jobs import services
from portal.domain.jobs.bulk import MOST_ROWS, assign_each
from portal.domain.jobs.models import Job
from portal.domain.messages.models import Message, MessageKind
from portal.domain.unit_of_work import unit_of_work
from tests.factories import Create
from tests.helpers import fields_of, soup
from tests.web.office import NOW, TUESDAY, URL, Office, clock, office

__all__ = ["clock", "office"]

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)

pytestmark = pytest.mark.row("P15")


def press(office: Office, act: str, picks: list[Any], query: str = "") -> TestResponse:
    """Open the list, tick ``picks`` and press the button under it."""
    office.site.get(URL + query)
    form = office.site.page.select_one("form[data-bulk]")
    assert form is not None
    targets = [str(form["action"]), *(str(one["formaction"]) for one in form.select("button[formaction]"))]
    target = next(one for one in targets if act in one)
    values = {"csrf_token": fields_of(form)["csrf_token"], "pick": picks}
    office.site.last = office.site.client.post(urljoin(URL, target), data=values, follow_redirects=True)
    office.site.url = office.site.last.request.full_path
    return office.site.last


def told(office: Office) -> dict[str, dict[str, str]]:
    """Return the outcome in front of Dana: by its kind, each row's number and the reason beside it."""
    found: dict[str, dict[str, str]] = {}
    for section in office.site.page.select("[data-kind]"):
        rows = section.select("li")
        assert section.has_attr("hidden") is not bool(rows)
        assert section.select_one("[data-number]").text == str(len(rows))  # type: ignore[union-attr]
        reasons = {row.a.text.split(",")[0]: row.select_one(".two") for row in rows}  # type: ignore[union-attr]
        found[str(section["data-kind"])] = {number: why.text if why else "" for number, why in reasons.items()}
    return found


def numbers_of(page: BeautifulSoup) -> list[str]:
    """Return the numbers of the installations that a form is about."""
    return [line.text.split(",")[0] for line in page.select("main li")]


def link_back(office: Office) -> str:
    return str(office.site.page.find("a", string="Back to the list")["href"])  # type: ignore[index]


def ticked(office: Office) -> list[str]:
    return [str(box["value"]) for box in office.site.page.select("input[name=pick][checked]")]


def test_one_refusal_holds_up_no_other(office: Office, create_partner: Create, create_installation: Create) -> None:
    foreign = create_installation(create_partner(), start=TUESDAY)
    free = [office.create(start=TUESDAY + hours * HOUR) for hours in (0, 4)]
    twin = office.create(start=TUESDAY + HOUR)
    taken = office.create(technician=office.tomas, start=TUESDAY + DAY)
    gone = office.create(start=TUESDAY + 2 * DAY)
    sunday = office.create(start=TUESDAY + 5 * DAY)
    office.do(services.reject, gone.id, "No room")
    garbage = ["abc", "-1", "", "1.5", "9" * 30, "１", foreign.id, 987_654]
    picks = [*garbage, *(job.id for job in (*free, twin, taken, gone, sunday)), free[0].id]
    assert press(office, "assign", picks, "?q=raman").status_code == 200
    assert "6 installations are selected." in office.site.text
    assert str(foreign.id) not in [str(one["value"]) for one in office.site.page.select("input[name=pick]")]

    assert office.site.submit({"technician": office.ines.id}).status_code == 200
    assert told(office) == {
        "refused": {
            twin.number: "Ines Kowalski is booked at that time.",
            taken.number: "“Assign” is not possible while the status is “Installer assigned”; it needs “Scheduled”.",
            gone.number: "“Assign” is not possible while the status is “Rejected”; it needs “Scheduled”.",
        },
        "warned": {sunday.number: "The visit would not lie inside the working hours of Ines Kowalski."},
        "done": {job.number: "" for job in free},
    }
    assert "2 of 6 went through." in office.site.text
    assert [office.job(job).technician_id for job in (*free, twin, taken, sunday)] == [
        office.ines.id, office.ines.id, None, office.tomas.id, None,
    ]  # fmt: skip
    assert office.job(foreign).status == "SCHEDULED"
    hrefs = [str(link["href"]) for link in office.site.page.select("[data-row] a")]
    assert hrefs == [office.at(job) for job in (twin, taken, gone, sunday, *free)]
    # Back in the list, as it was filtered, what was not done is still ticked.
    office.site.get(link_back(office))
    assert office.site.url.startswith(f"{URL}?q=raman&")
    assert ticked(office) == [str(job.id) for job in (twin, taken, gone, sunday)]


def test_what_only_a_warning_held_up_can_be_insisted_on(office: Office) -> None:
    sunday, tuesday = office.create(start=TUESDAY + 5 * DAY), office.create()
    press(office, "assign", [sunday.id, tuesday.id])
    office.site.submit({"technician": office.ines.id})
    assert set(told(office)["warned"]) == {sunday.number}
    office.site.submit(button="Assign these anyway")
    assert told(office) == {"refused": {}, "warned": {}, "done": {sunday.number: ""}}
    assert office.job(sunday).technician_id == office.ines.id


def test_the_same_sent_twice_does_no_harm(office: Office) -> None:
    jobs = [office.create(start=TUESDAY + day * DAY) for day in range(2)]
    for act, values, said in (
        ("assign", {"technician": office.ines.id}, "Ines Kowalski has this installation already."),
        ("reject", {"reason": "No room"}, "It was rejected with this reason before."),
    ):
        if act == "reject":
            jobs = [office.create(start=TUESDAY + day * DAY) for day in range(2)]
        press(office, act, [job.id for job in jobs])
        form = office.site.form("bulk/" + act)
        sent = {**fields_of(form), **values}
        recorded = []
        for _ in range(2):
            office.site.last = office.site.client.post(str(form["action"]), data=sent)
            recorded.append([entry.id for job in jobs for entry in office.history(job)])
        assert recorded[0] == recorded[1]
        assert told(office) == {"refused": {}, "warned": {}, "done": {job.number: said for job in jobs}}
    rejected = select(Message.job_id).where(Message.kind == MessageKind.CANCELLED)
    office.session.rollback()
    assert sorted(office.session.scalars(rejected)) == [job.id for job in jobs]


def test_rejecting_many_needs_a_reason_and_keeps_the_selection(office: Office) -> None:
    jobs = [office.create(start=TUESDAY + day * DAY) for day in range(3)]
    assigned = office.create(technician=office.ines, start=TUESDAY + 4 * DAY)
    press(office, "reject", [job.id for job in (*jobs, assigned)])
    for reason in ("", "  \u200b\n ", "x" * 2_001):
        assert office.site.submit({"reason": reason}, action="bulk/reject").status_code == 422
        assert office.site.page.select_one("#reason-error") is not None
        assert office.site.page.title is not None
        assert office.site.page.title.text.startswith("Error:")
        assert len(office.site.page.select("input[name=pick]")) == 4
    assert [office.job(job).status for job in jobs] == ["SCHEDULED"] * 3
    # The way back keeps the ticks too.
    back = office.site.page.find("a", string="Back")
    # One of the partner's reasons, and words of one's own.
    chosen = office.site.page.select("#chosen option")[1]
    assert office.site.submit({"reason": "", "chosen": "abc"}, action="bulk/reject").status_code == 422
    office.site.submit({"reason": "No capacity 😀", "chosen": str(chosen["value"])}, action="bulk/reject")
    assert told(office) == {
        "refused": {
            assigned.number: "“Reject” is not possible while the status is “Installer assigned”; it needs “Scheduled”."
        },
        "warned": {},
        "done": {job.number: "" for job in jobs},
    }
    assert {office.job(job).reject_reason for job in jobs} == {f"{chosen.text}: No capacity 😀"}
    office.site.get(str(back["href"]))  # type: ignore[index]
    assert ticked(office) == [str(job.id) for job in (*jobs, assigned)]


def test_a_handyman_who_cannot_be_given_anything_is_said_at_the_field(
    office: Office, create_technician: Create, create_partner: Create
) -> None:
    job = office.create()
    ill = create_technician(office.partner, name="Ill Phil", status="UNAVAILABLE")
    press(office, "assign", [job.id])
    for technician, said in (
        ("", "Choose who comes"),
        ("abc", "Choose who comes"),
        (ill.id, "Ill Phil is not available."),
    ):
        assert office.site.submit({"technician": technician}, action="bulk/assign").status_code == 422
        assert office.site.page.select_one("#technician-error").text == said  # type: ignore[union-attr]
    foreign = create_technician(create_partner())
    for nobody in (foreign.id, 987_654, 0):
        press(office, "assign", [job.id])
        assert office.site.submit({"technician": nobody}, action="bulk/assign").status_code == 404
    assert office.job(job).status == "SCHEDULED"


def test_without_a_tick_nothing_happens_and_it_is_said(office: Office, create_partner: Create) -> None:
    office.create()
    foreign = office._create(create_partner(), start=TUESDAY)
    for act, picks in (("assign", []), ("reject", ["abc", foreign.id]), ("export/csv", [])):
        press(office, act, picks, "?q=raman")
        assert office.site.url.startswith(f"{URL}?q=raman")
        assert "Nothing was done: tick at least one installation first." in office.site.text
    assert office.site.post(f"{URL}bulk/delete", {"pick": [1]}).status_code == 404
    assert office.site.client.get(f"{URL}bulk/assign").status_code == 405


def test_everything_that_the_filter_matches_up_to_a_limit(office: Office) -> None:
    first = office.create(start=TUESDAY)
    names = [column.key for column in Job.__mapper__.column_attrs if column.key not in {"id", "version"}]
    same = {name: getattr(office.job(first), name) for name in names}
    with unit_of_work(office.session) as session:
        for index in range(MOST_ROWS):
            own = {"number": f"D-{5000 + index}", "start_at": TUESDAY + index * HOUR, "title": "Many"}
            session.add(Job(**(same | own)))
    past = office.create(start=NOW - 3 * DAY, now=NOW - 9 * DAY)

    press(office, "reject", [])
    action = f"{URL}bulk/reject"
    whole = soup(office.site.client.post(action, data={"csrf_token": office.site.token(), "all": "1", "pick": past.id}))
    assert len(numbers_of(whole)) == MOST_ROWS
    assert numbers_of(whole)[0] == first.number
    assert past.number not in numbers_of(whole)
    assert "There are more: 500 at once are the most" in whole.get_text()
    label = office.site.client.get(URL).get_data(as_text=True)
    assert "Select everything from today on, on all pages (up to 500)" in label
    file = office.site.post(f"{URL}export/csv/", {"all": "1"}).get_data(as_text=True)
    assert f"\n{first.number}," in file
    assert f"\n{past.number}," not in file
    # One filter further it fits, and whatever page one looks at, all of its pages are meant.
    narrow = soup(office.site.post(f"{action}?q=many&last=2026-11-24&before=%5B1%5D", {"all": "1"}))
    assert numbers_of(narrow) == [f"D-{5000 + index}" for index in range(15)]
    assert "There are more" not in narrow.get_text()
    # So many are told about without having to wait for all of them.
    form = whole.select_one("main form")
    assert form is not None
    sent = {**fields_of(form), "reason": "No capacity"}
    waiting = office.site.client.post(str(form["action"]), data=sent, headers={"HX-Request": "true"})
    assert soup(waiting).select_one("progress")["max"] == str(MOST_ROWS)  # type: ignore[index]
    refused = soup(
        office.site.client.post(str(form["action"]), data=sent | {"reason": ""}, headers={"HX-Request": "true"})
    )
    assert "Enter a reason" in refused.get_text()
    assert "There are more: 500 at once are the most" in refused.get_text()
    part = fields_of(soup(waiting).form) | {"pick": sent["pick"][:AT_ONCE]}  # type: ignore[arg-type]
    assert office.job(first).status == "SCHEDULED"
    office.site.last = office.site.client.post(str(form["action"]), data=part, headers={"HX-Request": "true"})
    assert list(told(office)["done"]) == numbers_of(whole)[:AT_ONCE]
    assert [job.status for job in office.jobs()].count("REJECTED") == AT_ONCE


def test_whom_it_is_not_for_changes_nothing(office: Office, create_user: Create, create_technician: Create) -> None:
    job = office.create()
    user = create_user()
    create_technician(office.partner, user)
    office.site.sign_out()
    sent = {"pick": job.id, "sent": 1, "technician": office.ines.id, "reason": "x"}
    assert office.site.client.post(f"{URL}bulk/assign", data=sent).status_code == 400
    office.site.sign_in(user)
    for act in ("bulk/assign", "bulk/reject", "export/csv/"):
        assert office.site.post(f"{URL}{act}", sent).status_code == 403
    assert office.job(job).status == "SCHEDULED"


def test_each_row_is_committed_before_the_next_is_tried(office: Office) -> None:
    jobs = [office.create(start=TUESDAY + day * DAY) for day in range(3)]
    scoped = office.session
    outcomes = assign_each(scoped, office.staff, NOW, [job.id for job in jobs] + [987_654], office.ines.id)
    assert [(one.job_id, one.done, one.why) for one in outcomes] == [(job.id, True, None) for job in jobs]
    scoped.rollback()
    assert [office.job(job).technician_id for job in jobs] == [office.ines.id] * 3
