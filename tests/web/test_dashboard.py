"""The dashboard's figures (P19): drawn as charts, read as tables, and at the same price however much there is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from bs4 import Tag

from portal.domain.actor import Actor, Role
from portal.domain.jobs.services import reject
from portal.domain.surveys.services import SurveyInput, answer_survey
from tests.factories import Create
from tests.helpers import Site
from tests.web.office import NOW, TUESDAY, Office, clock, office

__all__ = ["clock", "office"]

HOUR = timedelta(hours=1)


def table(office: Office, chart: str) -> dict[str, list[str]]:
    """Return the numbers behind a chart, by the first cell of each row."""
    section = office.site.page.select_one(f"#chart-{chart}")
    assert section is not None
    rows = [[" ".join(cell.text.split()) for cell in row.select("th, td")] for row in section.select("tbody tr")]
    return {first: [one for one in rest if one] for first, *rest in rows}


def heights(office: Office, chart: str) -> list[float]:
    """Return how high the columns of a chart are, of a hundred; those that are not drawn are left out."""
    picture = office.site.page.select_one(f"#chart-{chart} svg[role=img]")
    assert isinstance(picture, Tag)
    return [float(str(one["height"])) for one in picture.select(".chart-part, .chart-soft")]


@pytest.mark.row("P19")
def test_charts_show_what_their_tables_say(office: Office, clock: Any, statements: list[str]) -> None:
    office.site.get("/admin/")
    for words in ("Nobody has arrived anywhere yet.", "Nobody has rated a visit yet.", "0 visits in the next 14 days"):
        assert words in office.site.text
    assert heights(office, "arrivals") == heights(office, "scores") == heights(office, "days") == []

    # One a minute early, one at the last instant of the window, one after it.
    done = []
    for technician, start, arrival in (
        (office.tomas, NOW + HOUR, -timedelta(minutes=1)),
        (office.tomas, NOW + 4 * HOUR, timedelta(minutes=120)),
        (office.ines, NOW + 4 * HOUR, timedelta(minutes=120, seconds=1)),
    ):
        job = office.create(start=start, technician=technician)
        clock.move_to(start - 2 * HOUR)
        office.work_through(job, "set_off")
        clock.move_to(start + arrival)
        office.work_through(job, "arrive", "start_work", "complete")
        done.append(job)
    for start in (TUESDAY, TUESDAY + 3 * HOUR, NOW + timedelta(days=14)):
        office.create(start=start)
    # Outside the days that are shown, and one that nobody will make.
    office.create(start=NOW + timedelta(days=15))
    gone = office.create(start=TUESDAY + 6 * HOUR)
    office.do(reject, gone.id, "Too far away")
    for job, rating in zip(done, (5, 4, 4), strict=True):
        people = frozenset({office.customer.id})
        customer = Actor(None, Role.CUSTOMER, "Priya", frozenset({office.partner.id}), customer_ids=people)
        office.do(answer_survey, office.visits(job)[-1].id, SurveyInput(rating, ""), actor=customer)

    clock.move_to(NOW + 8 * HOUR)
    statements.clear()
    office.site.get("/admin/")
    assert len([one for one in statements if "FROM appointments" in one and "period" in one]) == 2
    pipeline = table(office, "pipeline-1")
    assert (pipeline["Scheduled"], pipeline["In progress"], pipeline["Rejected"]) == (["4"], ["3"], ["1"])
    days = table(office, "days")
    assert (next(iter(days)), next(reversed(days))) == ("Fri 6 Nov", "Fri 4 Dec")
    assert (days["Fri 20 Nov"], days["Tue 24 Nov"], days["Fri 4 Dec"]) == (["3", "3"], ["2", "0"], ["1", "0"])
    assert sum(int(visits) for visits, _ in days.values()) == 6
    assert "3 visits in the next 14 days, up to 2 on one day." in office.site.text
    assert heights(office, "days") == [100.0, 100.0, 66.7, 33.3]
    assert table(office, "arrivals")["16 Nov"] == ["33%", "1", "1", "1"]
    assert heights(office, "arrivals") == [33.3]
    assert table(office, "scores")["16 Nov"] == ["4.3", "3"]
    assert heights(office, "scores") == [86.7]
    # More of the same costs the same.
    price = len(statements)
    for day in range(4):
        office.create(start=TUESDAY + timedelta(days=day, hours=8))
    statements.clear()
    office.site.get("/admin/")
    assert len(statements) == price


@pytest.mark.row("P19")
@pytest.mark.row("P20")
def test_a_new_partner_reads_what_to_set_up_first(
    site: Site,
    create_partner: Create,
    create_staff: Create,
    create_service_type: Create,
    create_technician: Create,
    create_customer: Create,
    create_installation: Create,
) -> None:
    elsewhere = create_partner()
    create_customer(elsewhere)
    partner = create_partner()

    def steps() -> dict[str, str]:
        site.get("/admin/")
        return {one.text: str(one.get("href", "")) for one in site.page.select("#first-steps li > :first-child")}

    site.sign_in(create_staff(partner))
    assert steps()["Add a service type"] == ""
    site.sign_out()
    site.sign_in(create_staff(partner, role="partner_admin"))
    found = steps()
    assert list(found) == [
        "Add a service type",
        "Add the first technician",
        "Add the first customer",
        "Hours and holidays",
    ]
    assert "Nothing needs attention" not in site.text
    assert all(site.client.get(url).status_code == 200 for url in found.values())
    create_service_type(partner)
    create_technician(partner)
    customer = create_customer(partner)
    assert list(steps()) == ["Schedule an installation", "Hours and holidays"]
    create_installation(partner, customer, create_technician(partner))
    assert steps() == {}
    assert "Nothing needs attention" in site.text
