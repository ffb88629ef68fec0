"""The calendar of the office: month, week and day, and what the address may say (P11)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, insert, text
from sqlalchemy.orm import Session

from portal.domain.actor import Role
from portal.domain.jobs import services
from portal.domain.jobs.models import Appointment, Job
from portal.domain.people.models import Partner
from portal.domain.unit_of_work import unit_of_work
from tests.factories import Create, actor_for
from tests.helpers import Site

pytestmark = pytest.mark.row("P11")

CALENDAR = "/admin/calendar/"
NINE = datetime(2031, 3, 11, 9, tzinfo=UTC)
DAY = timedelta(days=1)
WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
HOUR = timedelta(hours=1)


@pytest.fixture
def partner(create_partner: Create, create_staff: Create, site: Site) -> Partner:
    """A partner whose dispatcher is signed in."""
    partner: Partner = create_partner()
    site.sign_in(create_staff(partner))
    return partner


@pytest.fixture
def create_many(
    engine: Engine, create_customer: Create, create_service_type: Create
) -> Callable[[Partner, Sequence[datetime]], None]:
    """Write an unassigned installation for each start, thousands in a moment."""

    def create(partner: Partner, starts: Sequence[datetime]) -> None:
        customer, kind = create_customer(partner), create_service_type(partner)
        common: list[dict[str, Any]] = [
            {
                "id": number,
                "partner_id": partner.id,
                "customer_id": customer.id,
                "start_at": start,
                "end_at": start + HOUR,
                "status": "SCHEDULED",
                "version": 1,
            }
            for number, start in enumerate(starts, 1000)
        ]
        of_jobs = {
            "workflow": "installation",
            "title": "Heat pump",
            "address_id": customer.addresses[0].id,
            "service_type_id": kind.id,
        }
        of_visits = {"window_minutes": 120, "planned_at": NINE}
        with engine.begin() as connection:
            connection.execute(insert(Job.__table__), [row | of_jobs | {"number": f"M-{row['id']}"} for row in common])
            connection.execute(
                insert(Appointment.__table__), [row | of_visits | {"job_id": row["id"]} for row in common]
            )
        if engine.name == "postgresql":
            # What autovacuum does where rows do not come by the thousand in an instant.
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("ANALYZE jobs, appointments"))

    return create


def days_of(site: Site) -> dict[str, str]:
    """Return the name of each day of the month that is a link, with the class of its status."""
    return {
        link.select_one(".visually-hidden").text: next(name for name in link["class"] if name.startswith("status-"))
        for link in site.page.select("table.cal a")
    }


def listed(site: Site) -> list[str]:
    """Return what each visit of the page's lists says."""
    return [" ".join(item.get_text(" ").split()) for item in site.page.select(".day-list > li")]


def test_a_month_shows_what_matters_most_on_each_day(
    site: Site,
    session: Session,
    partner: Partner,
    create_staff: Create,
    create_technician: Create,
    create_installation: Create,
) -> None:
    technician = create_technician(partner)
    create_installation(partner, technician=technician, start=NINE)
    create_installation(partner, start=NINE)
    create_installation(partner, start=NINE + HOUR)
    create_installation(partner, technician=technician, start=NINE + DAY)
    rejected = create_installation(partner, start=NINE + 2 * DAY)
    dispatcher = actor_for(create_staff(partner), Role.DISPATCHER, partner)
    with unit_of_work(session):
        services.reject(session, dispatcher, datetime.now(UTC), rejected.id, "Too far")
    site.get(f"{CALENDAR}?mode=month&date=2031-03-01")
    assert site.page.h1.text == "March 2031"  # type: ignore[union-attr]
    assert [cell.text for cell in site.page.select("table.cal th[scope=col]")] == WEEKDAYS
    assert days_of(site) == {
        "Tue 11 Mar 2031, 3 visits, 2 scheduled without handyman": "status-needs",
        "Wed 12 Mar 2031, 1 visit, 1 scheduled": "status-scheduled",
        "Thu 13 Mar 2031, 1 visit, 1 rejected or cancelled": "status-ended",
    }
    assert not listed(site)
    assert "Choose a day to see its visits." in site.text


def test_a_chosen_day_opens_a_panel_whose_items_lead_to_their_pages(
    site: Site,
    partner: Partner,
    create_customer: Create,
    create_technician: Create,
    create_installation: Create,
) -> None:
    customers = [create_customer(partner, name=name, address=f"{name} Road 1") for name in ("Ada", "Bo")]
    later = create_installation(partner, customers[0], start=NINE + 4 * HOUR)
    job = create_installation(partner, customers[1], create_technician(partner, name="Tomás Reyes"), start=NINE)
    site.get(f"{CALENDAR}?mode=month&date=2031-03-01")
    link = site.page.select_one("table.cal a")
    assert link is not None
    assert link["href"] == f"{CALENDAR}?mode=month&date=2031-03-01&day=2031-03-11#day-h"
    site.get(str(link["href"]))
    assert site.page.select_one("aside h2#day-h").text == "Tue 11 Mar 2031"  # type: ignore[union-attr]
    assert listed(site) == [
        f"9:00–11:00 Bo , {job.number} Bo Road 1, BS6 5QT Tomás Reyes Installer assigned",
        f"13:00–15:00 Ada , {later.number} Ada Road 1, BS6 5QT Nobody yet Scheduled",
    ]
    assert site.page.select_one("table.cal a[aria-current]")["href"] == link["href"]  # type: ignore[index]
    site.get(str(site.page.select(".day-list a")[0]["href"]))
    assert site.url == f"/admin/installations/{job.id}"
    assert job.title in site.text


def test_days_are_those_of_the_partners_zone(
    site: Site, create_partner: Create, create_staff: Create, create_installation: Create
) -> None:
    partner = create_partner(timezone="America/New_York")
    site.sign_in(create_staff(partner))
    # ten in the evening of the tenth, there
    create_installation(partner, start=datetime(2031, 3, 11, 2, tzinfo=UTC))
    site.get(f"{CALENDAR}?mode=month&date=2031-03-10&day=2031-03-10")
    assert list(days_of(site)) == ["Mon 10 Mar 2031, 1 visit, 1 scheduled without handyman"]
    assert listed(site)[0].startswith("22:00–0:00")
    site.get(f"{CALENDAR}?mode=day&date=2031-03-11")
    assert not listed(site)


def test_a_week_is_seven_days_in_order(site: Site, partner: Partner, create_installation: Create) -> None:
    for start in (NINE + 5 * DAY, NINE + HOUR, NINE, NINE - DAY, NINE - 2 * DAY, NINE + 6 * DAY):
        create_installation(partner, start=start)
    site.get(f"{CALENDAR}?mode=week&date=2031-03-13")
    assert site.page.h1.text == "10–16 Mar 2031"  # type: ignore[union-attr]
    sections = site.page.select("main ol > li")
    assert [section.h2.text for section in sections] == [  # type: ignore[union-attr]
        f"{name} {number} Mar 2031" for number, name in zip(range(10, 17), WEEKDAYS, strict=True)
    ]
    assert [len(section.select(".day-list > li")) for section in sections] == [1, 2, 0, 0, 0, 0, 1]
    assert [item.split()[0] for item in listed(site)] == ["9:00–11:00", "9:00–11:00", "10:00–12:00", "9:00–11:00"]


def test_a_day_is_one_date(site: Site, partner: Partner, create_installation: Create) -> None:
    for start in (NINE - DAY, NINE, NINE + DAY):
        create_installation(partner, start=start, items=[(f"Pump {start.day}", 1)])
    site.get(f"{CALENDAR}?mode=day&date=2031-03-11")
    assert site.page.h1.text == "Tue 11 Mar 2031"  # type: ignore[union-attr]
    (item,) = listed(site)
    assert "Pump 11" in item


@pytest.mark.parametrize(
    ("mode", "earlier", "later"),
    [
        ("month", ("February", "2031-02-01"), ("April", "2031-04-01")),
        ("week", ("Week before", "2031-03-03"), ("Week after", "2031-03-17")),
        ("day", ("Mon 10 Mar 2031", "2031-03-10"), ("Wed 12 Mar 2031", "2031-03-12")),
    ],
)
def test_the_ways_on(site: Site, partner: Partner, mode: str, earlier: tuple[str, str], later: tuple[str, str]) -> None:
    site.get(f"{CALENDAR}?mode={mode}&date=2031-03-11")
    for rel, (words, day) in (("prev", earlier), ("next", later)):
        link = site.page.select_one(f"a[rel={rel}]")
        assert link is not None
        assert (link.text.strip(), link["href"]) == (words, f"{CALENDAR}?mode={mode}&date={day}")
    link = site.page.find("a", string="Today")
    assert link["href"] == f"{CALENDAR}?mode={mode}"  # type: ignore[index]
    site.get(str(link["href"]))  # type: ignore[index]
    assert str(datetime.now(UTC).year) in site.page.h1.text  # type: ignore[union-attr]
    site.submit({"date" if mode != "month" else "day": "2031-05-06"})
    assert {"month": "May 2031", "week": "5–11 May 2031", "day": "Tue 6 May 2031"}[mode] == site.page.h1.text  # type: ignore[union-attr]
    current = site.page.select_one(".seg [aria-current]")
    assert current is not None
    assert current.text.lower() == mode


def test_modes_keep_the_day_and_only_the_list_filters_by_dates(
    site: Site, partner: Partner, create_installation: Create
) -> None:
    create_installation(partner, start=NINE)
    site.get(f"{CALENDAR}?mode=month&date=2031-03-01&day=2031-03-11")
    for mode in ("Week", "Day", "Month"):
        assert site.page.select_one("main [name=first], main [name=last]") is None
        site.get(str(site.page.select_one(".seg").find("a", string=mode)["href"]))  # type: ignore[union-attr,index]
        assert len(listed(site)) == 1
    assert site.page.select_one("h2#day-h").text == "Tue 11 Mar 2031"  # type: ignore[union-attr]
    site.get(str(site.page.select_one(".seg").find("a", string="List")["href"]))  # type: ignore[union-attr,index]
    assert site.page.select_one("main [name=first]")
    assert site.page.select_one("main [name=last]")


def test_today_is_said_and_its_panel_open(site: Site, partner: Partner) -> None:
    site.get(CALENDAR)
    today = site.page.select_one("table.cal .today")
    assert today is not None
    assert "today" in today.text
    assert site.page.select_one("h2#day-h").text.endswith(", today")  # type: ignore[union-attr]
    assert "No visits on this day." in site.text


@pytest.mark.parametrize(
    "query",
    [
        "mode=x",
        "mode=",
        "date=2026-13-45",
        "date=0000-01-01",
        "date=0001-01-01",
        "date=9999-12-31",
        "date=1969-12-31",
        "date=2200-01-01",
        "day=9999-12-31",
        "date=%F0%9F%93%85",
        "mode=month&mode=week&date=&day=",
        "mode=week&date=2026-02-30",
        "mode=day&date=-1",
        "date[]=1&day=" + "9" * 2000,
    ],
)
def test_what_makes_no_sense_in_the_address_is_left_out(site: Site, partner: Partner, query: str) -> None:
    assert site.get(f"{CALENDAR}?{query}").status_code == 200
    shown, today = site.page.h1.text, datetime.now(UTC)  # type: ignore[union-attr]
    assert str(today.year) in shown
    named = {part.partition("=")[0] for part in query.split("&") if part.partition("=")[2]} & {"mode", "date", "day"}
    if query.startswith(("mode=x", "date=", "day=")):
        assert named
        assert "Not understood and left out" in site.text


def test_bytes_that_are_no_text_are_refused(site: Site, partner: Partner) -> None:
    for query in ("date=%00", "mode=%00week", "date=%ff"):
        assert site.get(f"{CALENDAR}?{query}").status_code == 400


@pytest.mark.parametrize(
    ("query", "missing"),
    [("date=1970-01-01", "prev"), ("date=2199-12-31", "next")],
)
@pytest.mark.parametrize("mode", ["month", "week", "day"])
def test_the_calendar_has_two_ends(site: Site, partner: Partner, mode: str, query: str, missing: str) -> None:
    assert site.get(f"{CALENDAR}?mode={mode}&{query}").status_code == 200
    assert site.page.select_one(f"main a[rel={missing}]") is None
    assert len(site.page.select("main a[rel=prev], main a[rel=next]")) == 1


def test_another_partners_visits_are_nowhere(
    site: Site, partner: Partner, create_partner: Create, create_customer: Create, create_installation: Create
) -> None:
    other = create_partner()
    create_installation(other, create_customer(other, name="Somebody Else"), start=NINE)
    for mode in ("month", "week", "day"):
        site.get(f"{CALENDAR}?mode={mode}&date=2031-03-11&day=2031-03-11")
        assert "Somebody Else" not in site.text
        assert not listed(site)
        assert not site.page.select("table.cal a")


def test_the_partners_word_for_a_technician_is_used(
    site: Site, create_partner: Create, create_staff: Create, create_installation: Create
) -> None:
    partner = create_partner(staff_term="Fitter")
    site.sign_in(create_staff(partner))
    create_installation(partner, start=NINE)
    site.get(f"{CALENDAR}?date=2031-03-11")
    assert list(days_of(site)) == ["Tue 11 Mar 2031, 1 visit, 1 scheduled without fitter"]
    assert "No fitter" in site.text


def test_strangers_and_technicians_do_not_get_in(
    site: Site, create_partner: Create, create_user: Create, create_technician: Create
) -> None:
    assert site.get(CALENDAR).request.path == "/login"
    user = create_user()
    create_technician(create_partner(), user)
    site.sign_in(user)
    assert site.get(CALENDAR).status_code == 403


def test_5000_visits_cost_as_many_statements_as_one(
    site: Site,
    partner: Partner,
    statements: list[str],
    create_many: Callable[[Partner, Sequence[datetime]], None],
    create_installation: Create,
) -> None:
    def cost(mode: str) -> int:
        statements.clear()
        site.get(f"{CALENDAR}?mode={mode}&date=2031-03-01&day=2031-03-11")
        # The queues of the menu are counted once in some seconds, whatever the page.
        return len([statement for statement in statements if "AS queue" not in statement])

    modes = ("day", "week", "month")
    create_installation(partner, start=NINE)
    cost("day")
    one = [cost(mode) for mode in modes]
    create_many(partner, [NINE + (number % 20) * DAY for number in range(4999)])
    assert [cost(mode) for mode in modes] == one
    assert "250 visits" in site.text


def test_a_day_with_too_many_visits_leads_to_the_list(
    site: Site, partner: Partner, create_many: Callable[[Partner, Sequence[datetime]], None]
) -> None:
    create_many(partner, [NINE + (number % 8) * HOUR for number in range(103)])
    for mode in ("month", "week", "day"):
        site.get(f"{CALENDAR}?mode={mode}&date=2031-03-11&day=2031-03-11")
        assert len(listed(site)) == 100
        more = site.page.find("a", string="3 more on Tue 11 Mar 2031")
        assert more["href"] == f"/admin/installations/?first={date(2031, 3, 11)}"  # type: ignore[index]
    site.get(str(more["href"]))  # type: ignore[index]
    assert "M-1000" in site.text
