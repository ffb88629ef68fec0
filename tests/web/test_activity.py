"""The activity feed and the dashboard's latest changes: what was done to installations, by whom, when (P17)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from portal.domain.actor import Actor, Role
from portal.domain.jobs import fieldwork, services
from portal.domain.jobs.models import HistoryEntry
from portal.domain.unit_of_work import unit_of_work
from tests.factories import Create, save
from tests.web.office import NOW, TUESDAY, Office, clock, office

__all__ = ["clock", "office"]

pytestmark = pytest.mark.row("P17")
FEED = "/admin/activity/"


def said(office: Office) -> list[str]:
    """Return the sentences of the feed in front."""
    return [cell.text for cell in office.site.page.select("th.name a.title")]


def a_day_of_acts(office: Office, clock: Any, set_controls: Create) -> Any:
    """One installation from the form to the door: by the office, its customer, the system and the technician."""
    set_controls(office.partner, self_service=True, reschedule_unconfirmed=True, cancel_unconfirmed=True)
    job = office.create()
    own = frozenset({office.customer.id})
    customer = Actor(None, Role.CUSTOMER, "Priya Raman", frozenset({office.partner.id}), customer_ids=own)
    (visit,) = office.visits(job)
    office.do(services.move_by_customer, visit.id, TUESDAY + timedelta(hours=1), actor=customer)
    clock.move_to(TUESDAY)
    (visit,) = office.visits(job)
    technician = Actor(
        None, Role.TECHNICIAN, "Ines Kowalski", frozenset({office.partner.id}), technician_id=visit.technician_id
    )
    office.do(fieldwork.set_off, visit.id, visit.move_number, actor=technician)
    return job


def test_everything_is_told_newest_first_in_sentences(office: Office, clock: Any, set_controls: Create) -> None:
    job = a_day_of_acts(office, clock, set_controls)
    other = office.create(start=TUESDAY + timedelta(days=2), now=TUESDAY + timedelta(seconds=1))
    clock.shift(timedelta(minutes=5))
    office.do(services.reject, other.id, "No room for it")
    office.site.get(FEED)
    assert said(office) == [
        # The installation and its visit ended in one act.
        "D-1002 was rejected by Dana Okafor.",
        "D-1002 was scheduled by Dana Okafor for Thu 26 Nov, 9:00.",
        "Ines Kowalski is on the way to D-1001.",
        "D-1001 was assigned by Doorstep to Ines Kowalski.",
        "D-1001 was moved by the customer to Tue 24 Nov, 10:00–12:00.",
        "D-1001 was scheduled by Dana Okafor for today, 9:00.",
    ]
    rows = [" ".join(row.get_text(" ").split()) for row in office.site.page.select("tbody tr")]
    assert rows[0].startswith("today, 9:05")
    assert "No room for it" in rows[0]
    assert "Scheduled to Rejected" in rows[0]
    assert "Ines Kowalski, technician" in rows[2]
    assert "today, 9:00 to today, 10:00" in rows[4]
    assert rows[4].endswith("Heat pump Priya Raman Priya Raman, customer")
    assert {link["href"] for link in office.site.page.select("tbody a")} == {office.at(job), office.at(other)}

    # The office records what it was told by telephone.
    (visit,) = office.visits(job)
    office.do(fieldwork.arrive, visit.id, visit.move_number)
    office.site.get("/admin/")
    latest = [link.text for link in office.site.page.select("#latest li a")]
    assert latest[:2] == ["D-1001: Arrived, recorded by Dana Okafor.", "D-1002 was rejected by Dana Okafor."]
    assert len(latest) == 7


@pytest.mark.row("M7")
def test_a_cancel_says_why_and_who_is_free_again(office: Office, clock: Any, set_controls: Create) -> None:
    set_controls(office.partner, self_service=True, cancel_unconfirmed=True)
    job, unassigned = office.create(technician=office.ines), office.create(start=TUESDAY + timedelta(days=1))
    own = frozenset({office.customer.id})
    customer = Actor(None, Role.CUSTOMER, "Priya Raman", frozenset({office.partner.id}), customer_ids=own)
    office.do(services.cancel_by_customer, office.visits(job)[0].id, "Nobody at home", actor=customer)
    office.site.get(FEED)
    assert said(office)[0] == "D-1001 is being cancelled by the customer; it takes effect today, 10:10."
    clock.shift(timedelta(minutes=10))
    with unit_of_work(office.session):
        assert services.finalise_due_cancel(office.session, NOW + timedelta(minutes=10), office.visits(job)[0].id)
    clock.shift(timedelta(minutes=1))
    office.do(services.cancel, unassigned.id, "Wrong house")
    for page, where in ((FEED, "th.name a.title"), ("/admin/", "#latest li a")):
        office.site.get(page)
        assert [cell.text for cell in office.site.page.select(where)][:2] == [
            "D-1002 was cancelled by Dana Okafor.",
            "D-1001 was cancelled by Doorstep. Ines Kowalski is free again on Tue 24 Nov, 9:00–11:00.",
        ]
    office.site.get(FEED)
    assert "Nobody at home" in office.site.page.select("tbody tr")[1].get_text()


def test_filters_by_who_text_and_day(office: Office, clock: Any, set_controls: Create, create_customer: Create) -> None:
    a_day_of_acts(office, clock, set_controls)
    leah = create_customer(office.partner, name="Leah Novak 100%")
    office.create(customer=leah, items=[("Car charger", 1)], start=TUESDAY + timedelta(days=2), now=TUESDAY)

    def found(**query: str) -> int:
        assert office.site.get(FEED, query_string=query).status_code == 200
        return len(said(office))

    assert found() == 5
    assert [found(who=who) for who in ("customers", "technicians", "staff", "system")] == [1, 1, 2, 1]
    assert [found(q=text) for text in ("D-1002", "charger", "novak 100%", "ines", "_", "xyz")] == [1, 1, 1, 1, 0, 0]
    assert found(q="D-1001", who="staff") == 1
    assert [found(day=day) for day in ("2026-11-24", "2026-11-20", "2026-11-19", "2026-11-23")] == [2, 2, 1, 0]
    assert "Nothing matches." in office.site.text
    for odd in ({"who": "x"}, {"day": "2026-02-30"}, {"day": "0001-01-01"}, {"after": "x"}, {"q": "x" * 5000}):
        assert office.site.get(FEED, query_string=odd).status_code == 200
    lines = office.site.get(f"{FEED}export/csv/?who=customers").text.splitlines()
    assert len(lines) == 2
    assert "D-1001 was moved by the customer" in lines[1]
    assert found(who="x") == 5
    assert "Not understood and left out: Who." in office.site.text


def test_pages_by_key_in_a_constant_number_of_statements(office: Office, statements: list[str]) -> None:
    job = office.create()
    entries = [
        HistoryEntry(
            partner_id=office.partner.id,
            customer_id=job.customer_id,
            job_id=job.id,
            at=NOW - timedelta(hours=number // 2),
            subject="job",
            action="edit",
            actor_id=office.dana.id if number % 2 else None,
            actor_role="dispatcher",
            actor_name=f"Dana {number}",
        )
        for number in range(50)
    ]
    for entry in entries:
        save(office.session, entry)
    office.site.get(FEED)
    names: list[str] = []
    counts = set()
    while True:
        names += [row.select("td")[-1].text for row in office.site.page.select("tbody tr")]
        older = office.site.page.select_one("a[rel=next]")
        if older is None:
            break
        statements.clear()
        office.site.get(str(older["href"]))
        counts.add(len(statements))
    assert sorted(names) == sorted([entry.actor_name for entry in entries] + ["Dana Okafor"])
    assert max(counts) <= 5
    office.site.get(str(office.site.page.select_one("a[rel=prev]")["href"]))  # type: ignore[index]
    assert len(said(office)) == 20


def test_nothing_of_other_partners_is_told(
    office: Office, create_partner: Create, create_customer: Create, create_installation: Create
) -> None:
    elsewhere = create_partner(name="Xanadu")
    create_installation(elsewhere, customer=create_customer(elsewhere, name="Xanadu Person"), items=[("Xanadu", 1)])
    for page in (FEED, f"{FEED}?q=xanadu", "/admin/"):
        office.site.get(page)
        assert office.site.page.select("#latest li" if page == "/admin/" else "tbody tr") == []
        assert "Xanadu" not in str(office.site.page.select_one("main")).replace('value="xanadu"', "")
    assert "Nothing has happened yet." in office.site.text
