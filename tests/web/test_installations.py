"""The list of installations and the page of one, as a dispatcher reads them, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urljoin

import pytest
from sqlalchemy import Engine, event

from portal.domain.actor import Actor, Role
from portal.domain.contracts import services as contracts
from portal.domain.jobs import fieldwork, services
from portal.domain.jobs.models import Job
from portal.domain.unit_of_work import unit_of_work
from tests.factories import Create
from tests.web.office import NOW, TUESDAY, URL, Office, clock, office

__all__ = ["clock", "office"]

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def listed(office: Office, query: str = "") -> list[str]:
    """Open the list and return the numbers it shows."""
    assert office.site.get(URL + query).status_code == 200
    return office.rows()


def in_every_status(office: Office) -> dict[str, Job]:
    """Make one installation in each status, through the use cases, at hours that leave everybody free."""
    made: dict[str, Job] = {}
    start = NOW.replace(hour=11)

    def assigned() -> Job:
        nonlocal start
        start += timedelta(minutes=1)
        return office.create(start=start + len(made) * DAY)

    made["SCHEDULED"] = assigned()
    made["INSTALLER_ASSIGNED"] = office.create(start=start + 20 * DAY, technician=office.tomas)
    made["REJECTED"] = assigned()
    office.do(services.reject, made["REJECTED"].id, "No room for it")
    made["CANCELLED"] = assigned()
    office.do(services.cancel, made["CANCELLED"].id, "Sold the house")
    ways = {
        "CUSTOMER_APPROVED": (5, 4),
        "CONTRACT_SIGNED": (5, 3),
        "CONTRACT_SENT": (5, 2),
        "INSTALLATION_COMPLETED": (5, 0),
        "INSTALLATION_IN_PROGRESS": (4, 0),
    }
    for number, (status, (steps, papers)) in enumerate(ways.items()):
        job = office.create(start=NOW + timedelta(hours=2 * number, minutes=5), technician=office.ines)
        office.work_through(job, *("set_off", "arrive", "start_work", "complete")[: min(steps, 4) - (steps == 4)])
        if papers >= 2:
            contract = office.do(contracts.send_contract, job.id).id
        if papers >= 3:
            customer = Actor(None, Role.CUSTOMER, "Priya Raman", frozenset({office.partner.id}))
            office.do(contracts.sign_contract, contract, "Priya Raman", True, actor=customer)
        if papers >= 4:
            office.do(contracts.approve, job.id)
        made[status] = job
    made["EN_ROUTE"] = office.create(start=NOW + timedelta(hours=6), technician=office.tomas)
    office.work_through(made["EN_ROUTE"], "set_off")
    assert {office.job(job).status for job in made.values()} == set(made)
    return made


@pytest.mark.row("P8")
def test_a_row_shows_what_a_dispatcher_decides_by(office: Office) -> None:
    office.create(technician=office.ines, items=(("Heat pump", 1), ("Cylinder", 2)))
    listed(office)
    row = office.site.page.select_one("tbody tr")
    assert row is not None
    text = " ".join(row.get_text(" ").split())
    for fact in ("D-1001", "Heat pump, Cylinder", "Priya Raman", "14 Alder Close, BS6 5QT", "Tue 24 Nov", "9:00–11:00"):
        assert fact in text
    assert "Ines Kowalski" in text
    assert row.select_one(".status.status-scheduled").text == "Installer assigned"  # type: ignore[union-attr]
    leads_to = [urljoin(URL, str(link["href"])) for link in row.select("a") if "View details" in link.text]
    assert leads_to == [f"{URL}1"]


@pytest.mark.row("P9")
def test_each_status_offers_its_row_the_buttons_of_the_table(office: Office) -> None:
    made = in_every_status(office)
    shown: dict[str, set[str]] = {}
    for query in ("?group=Scheduled", "?group=En+Route", "?group=In+Progress", "?group=Approved", "?group=Rejected"):
        listed(office, query)
        for row in office.site.page.select("tbody tr"):
            links = [str(link.get("href")).rsplit("/", 1)[-1] for link in row.select(".do a")]
            shown[row.select_one("td:nth-child(2)").text] = {name for name in links if not name.isdigit()}  # type: ignore[union-attr]
    expected = {"SCHEDULED": {"assign", "reject"}, "INSTALLER_ASSIGNED": {"reassign"}, "EN_ROUTE": {"reassign"}}
    assert shown == {job.number: expected.get(status, set()) for status, job in made.items()}


@pytest.mark.row("P8")
def test_a_group_shows_every_status_in_it(office: Office) -> None:
    made = in_every_status(office)
    groups = {
        "Scheduled": {"SCHEDULED", "INSTALLER_ASSIGNED"},
        "En Route": {"EN_ROUTE"},
        "In Progress": {"INSTALLATION_IN_PROGRESS", "INSTALLATION_COMPLETED", "CONTRACT_SENT", "CONTRACT_SIGNED"},
        "Approved": {"CUSTOMER_APPROVED"},
        "Rejected": {"CANCELLED", "REJECTED"},
    }
    for group, statuses in groups.items():
        shown = listed(office, f"?group={quote(group)}")
        assert sorted(shown) == sorted(made[status].number for status in statuses), group


@pytest.mark.row("P7")
def test_cards_count_everything_whatever_is_filtered_and_filter_when_pressed(
    office: Office, create_partner: Create, create_installation: Create
) -> None:
    create_installation(create_partner())
    in_every_status(office)
    office.create(start=TUESDAY + 3 * DAY)
    for query in ("", "?group=Approved", "?first=2030-01-01", "?q=nothing+like+it"):
        listed(office, query)
        cards = office.site.page.select(".overview a.ov")
        said = {card.select_one(".ov-name").text: card.select_one(".ov-num").text for card in cards}  # type: ignore[union-attr]
        assert said == {"Scheduled": "3", "En route": "1", "In progress": "4", "Approved": "1", "Rejected": "2"}, query
        assert "2 without handyman" in cards[0].text
    assert "All installations, not only those listed below." in office.site.text
    office.site.get(str(cards[2]["href"]))
    assert len(office.rows()) == 4
    chosen = office.site.page.select_one(".overview a[aria-current]")
    assert chosen is not None
    assert "In progress" in chosen.text


@pytest.mark.row("P8")
def test_dates_narrow_to_a_range_or_to_one_day_and_may_be_swapped(office: Office) -> None:
    monday, tuesday, wednesday = (office.create(start=TUESDAY + day * DAY).number for day in (-1, 0, 1))
    assert listed(office, "?first=2026-11-24&last=2026-11-25") == [tuesday, wednesday]
    assert listed(office, "?first=2026-11-25&last=2026-11-24") == [tuesday, wednesday]
    assert listed(office, "?first=2026-11-24") == [tuesday]
    assert listed(office, "?last=2026-11-24") == [tuesday]
    assert listed(office, "?first=&last=") == [monday, tuesday, wednesday]


@pytest.mark.row("P8")
def test_a_day_is_the_partners_own(office: Office, create_partner: Create, create_staff: Create) -> None:
    auckland = create_partner(timezone="Pacific/Auckland")
    # Nine in the evening of the 23rd in London is the 24th in Auckland.
    office._create(auckland, start=datetime(2026, 11, 23, 21, tzinfo=UTC))
    office.site.sign_out()
    office.site.sign_in(create_staff(auckland))
    assert len(listed(office, "?first=2026-11-24")) == 1
    assert listed(office, "?first=2026-11-23") == []


@pytest.mark.row("P8")
def test_technician_type_and_text_narrow_the_list(
    office: Office, create_service_type: Create, create_customer: Create
) -> None:
    other = create_service_type(office.partner, name="Battery")
    oesterlund = create_customer(office.partner, name="Åsa Österlund", address="9 Brunel Lock")
    mine = office.create(technician=office.ines).number
    nobodys = office.create(start=TUESDAY + DAY).number
    battery = office.create(start=TUESDAY + 2 * DAY, kind=other, customer=oesterlund, items=(("Battery 100%", 1),))
    assert listed(office, f"?technician={office.ines.id}") == [mine]
    assert listed(office, "?technician=none") == [nobodys, battery.number]
    assert listed(office, f"?type={other.id}") == [battery.number]
    for text in (battery.number, "100%", "österlund", "ÅSA", "brunel", "battery Åsa"):
        assert listed(office, f"?q={quote(text)}") == [battery.number], text
    assert listed(office, "?q=%25") == [battery.number]
    assert listed(office, "?q=_") == []
    assert "Nothing matches." in office.site.text
    assert office.site.page.find("a", string="Clear the filter")["href"] == URL  # type: ignore[index]


@pytest.mark.row("P8")
def test_filters_stay_in_the_address_through_sorting_and_paging(office: Office) -> None:
    for day in range(25):
        office.create(start=TUESDAY + day * DAY)
    listed(office, "?technician=none&q=alder")
    page = office.site.page
    chosen = page.select_one("select[name=technician] option[selected]")
    assert chosen is not None
    assert chosen["value"] == "none"
    for link in (page.select_one("th[aria-sort] a"), page.select_one("a[rel=next]")):
        assert link is not None
        assert "technician=none" in str(link["href"])
        assert "q=alder" in str(link["href"])


@pytest.mark.row("P8")
def test_the_list_begins_with_today_and_earlier_leads_into_the_past(office: Office) -> None:
    past = [office.create(start=NOW - 3 * DAY + hour * HOUR, now=NOW - 9 * DAY).number for hour in range(2)]
    midnight = office.create(start=NOW.replace(hour=0), now=NOW - 9 * DAY).number
    later = office.create().number
    assert listed(office) == [midnight, later]
    earlier = office.site.page.select_one("a[rel=prev]")
    assert earlier is not None
    assert "Earlier" in earlier.text
    assert listed(office, str(earlier["href"]).removeprefix(URL)) == past
    back = office.site.page.select_one("a[rel=next]")
    assert back is not None
    assert listed(office, str(back["href"]).removeprefix(URL)) == [midnight, later]


@pytest.mark.row("P8")
def test_with_nothing_ahead_the_past_is_one_press_away(office: Office) -> None:
    done = office.create(start=NOW - 3 * DAY, now=NOW - 9 * DAY).number
    assert listed(office) == []
    assert "No installations from today on." in office.site.text
    link = office.site.page.find("a", string="Show earlier ones")
    assert listed(office, str(link["href"]).removeprefix(URL)) == [done]  # type: ignore[index]


@pytest.mark.row("P8")
def test_an_empty_list_says_what_to_do_next(office: Office) -> None:
    assert listed(office) == []
    assert "No installations yet." in office.site.text
    assert office.site.page.find("a", string="Schedule an installation")["href"] == "schedule"  # type: ignore[index]


@pytest.mark.row("P8")
def test_every_sort_pages_through_everything_once_both_ways(office: Office) -> None:
    made = []
    for index in range(45):
        # Many share a start, so that the key has to decide.
        made.append(office.create(start=TUESDAY + (index * 7 % 5) * DAY))
    for sort in ("date", "-date", "number", "-number"):
        _pages_through(office, sort, made)


def _pages_through(office: Office, sort: str, made: list[Job]) -> None:
    by = (lambda job: (job.start_at, job.id)) if sort.endswith("date") else (lambda job: job.id)
    expected = [job.number for job in sorted(made, key=by, reverse=sort.startswith("-"))]
    found, url = [], f"?sort={sort}&q=raman"
    pages = []
    while url:
        pages.append(listed(office, url))
        found += pages[-1]
        following = office.site.page.select_one("a[rel=next]")
        url = str(following["href"]).removeprefix(URL) if following else ""
    assert found == expected
    assert [len(page) for page in pages] == [20, 20, 5]
    for page in reversed(pages[:-1]):
        previous = office.site.page.select_one("a[rel=prev]")
        assert previous is not None
        assert listed(office, str(previous["href"]).removeprefix(URL)) == page


@pytest.mark.row("P8")
@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("?group=Nonsense", "Status group"),
        ("?first=2026-06-31", "From"),
        ("?last=0001-01-01", "To"),
        ("?first=9999-12-31", "From"),
        ("?technician=abc", "Handyman"),
        ("?technician=99999999999999999999999", "Handyman"),
        ("?type=-1", "Service type"),
    ],
)
def test_a_garbage_filter_is_left_out_and_said(office: Office, query: str, word: str) -> None:
    number = office.create().number
    assert listed(office, query) == [number]
    assert f"Not understood and left out: {word}" in office.site.text


@pytest.mark.row("P8")
@pytest.mark.parametrize(
    "query",
    [
        "?sort=; drop table jobs",
        "?sort=--date",
        "?page=-1",
        "?after=nonsense",
        "?after=[]",
        '?after=["2026-11-24T09:00:00+00:00",1e99]',
        "?before=" + "9" * 5000,
        "?flt0_9=x",
        "?q=" + "ä" * 3000,
        "?q=😀",
    ],
)
def test_garbage_in_the_address_gives_a_page(office: Office, query: str) -> None:
    office.create()
    assert office.site.get(URL + query).status_code == 200


def test_a_nul_byte_is_refused(office: Office) -> None:
    assert office.site.get(f"{URL}?q=%00").status_code == 400


@pytest.mark.row("P8")
def test_the_list_costs_the_same_few_statements_with_1_and_with_500(office: Office, engine: Engine, clock: Any) -> None:
    said: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        # The queues of the menu are counted once in some seconds, by a statement that has tests of its own.
        if not statement.startswith("BEGIN") and "AS queue" not in statement:
            said.append((statement, parameters))

    def cost(query: str) -> int:
        said.clear()
        office.site.get(URL + query)
        for statement, parameters in said:
            assert "count(" not in statement.lower()
            # SQLite knows no LIMIT without an OFFSET; it is 0 then.
            before, offset, _ = statement.partition("OFFSET")
            assert not offset or parameters[before.count("?")] == 0
        return len(said)

    office.create(technician=office.ines)
    event.listen(engine, "before_cursor_execute", note)
    try:
        queries = ("", "?group=Scheduled&q=raman&first=2026-11-01&last=2027-12-31", "?sort=-number")
        alone = [cost(query) for query in queries]
        first = office.jobs()[0]
        names = [column.key for column in Job.__mapper__.column_attrs if column.key not in {"id", "version"}]
        same = {name: getattr(first, name) for name in names} | {"technician_id": None, "status": "SCHEDULED"}
        with unit_of_work(office.session) as session:
            for index in range(499):
                own = {"number": f"D-{5000 + index}", "start_at": TUESDAY + index * HOUR}
                session.add(Job(**(same | own)))
        # No page is kept longer.
        clock.shift(timedelta(minutes=1))
        assert [cost(query) for query in queries] == alone
        assert max(alone) <= 4
        assert len(office.rows()) == 20
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.mark.row("P8")
def test_a_customers_move_is_marked_until_the_office_moves_it(office: Office, clock: Any, set_controls: Create) -> None:
    job = office.create(start=TUESDAY + 7 * DAY, technician=office.ines)
    set_controls(office.partner, self_service=True)
    customer = Actor(
        None, Role.CUSTOMER, "Priya Raman", frozenset({office.partner.id}), customer_ids=frozenset({office.customer.id})
    )
    visit = office.visits(job)[0]
    office.do(services.move_by_customer, visit.id, TUESDAY + 8 * DAY, actor=customer)
    listed(office)
    assert "Moved by customer" in office.site.text
    assert office.site.page.select_one("tr.is-new") is not None
    office.site.get(office.at(job))
    assert "Moved by the customer" in office.site.text
    assert "Tue 1 Dec, 9:00 is free again." in office.site.text
    clock.shift(HOUR)
    office.do(services.reschedule, job.id, TUESDAY + 9 * DAY)
    listed(office)
    assert "Moved by customer" not in office.site.text


@pytest.mark.row("P12")
def test_the_page_of_one_shows_everything_about_it(office: Office) -> None:
    job = office.create(
        technician=office.ines, items=(("Heat pump", 1), ("Cylinder", 2)), notes="Key with the neighbour"
    )
    office.site.get(office.at(job))
    text = office.site.text
    for fact in (
        "Heat pump, Cylinder",
        "D-1001",
        "Installer assigned",
        "Not confirmed yet",
        "Tue 24 Nov, 9:00–11:00",
        "in 4 days, about 2 hours",
        "Ines Kowalski",
        "Priya Raman",
        "14 Alder Close, Bristol BS6 5QT",
        "Key with the neighbour",
        "Not sent yet",
        "Visit booked",
        "priya@mail.example",
        "Planned",
    ):
        assert fact in text, fact
    items = [[cell.text for cell in row.select("th,td")] for row in office.site.page.select("table")[0].select("tr")]
    assert items[1:] == [["Heat pump", "1"], ["Cylinder", "2"]]


@pytest.mark.row("P12")
def test_the_timeline_says_who_did_what_from_which_value_to_which(office: Office, clock: Any) -> None:
    job = office.create(technician=office.tomas)
    clock.shift(HOUR)
    office.do(services.reassign, job.id, office.ines.id)
    clock.shift(HOUR)
    office.do(services.reschedule, job.id, TUESDAY + DAY)
    customer = Actor(None, Role.CUSTOMER, "Priya Raman", frozenset({office.partner.id}))
    clock.shift(HOUR)
    office.do(fieldwork.confirm, office.visits(job)[0].id, actor=customer)
    office.site.get(office.at(job))
    lines = [" ".join(line.get_text(" ").split()) for line in office.site.page.select(".timeline li")]
    assert lines == [
        "Confirmed Priya Raman, customer · today, 13:00",
        "Moved Tue 24 Nov, 9:00 to Wed 25 Nov, 9:00 Dana Okafor · today, 12:00",
        "Reassigned Tomás Reyes to Ines Kowalski Dana Okafor · today, 11:00",
        "Assigned to Tomás Reyes Scheduled to Installer assigned Dana Okafor · Thu 19 Nov, 10:00",
        "Scheduled for Tue 24 Nov, 9:00 Dana Okafor · Thu 19 Nov, 10:00",
    ]
    assert [line.get("class") for line in office.site.page.select(".timeline li")][:2] == [["by-customer"], None]


@pytest.mark.row("P12")
def test_what_others_type_is_shown_and_never_run(office: Office) -> None:
    nasty = '<script>alert("x")</script>'
    job = office.create(items=((nasty, 1),), notes=nasty)
    for url in (URL, office.at(job), office.at(job, "edit")):
        office.site.get(url)
        assert nasty.encode() not in office.site.last.data  # type: ignore[union-attr]
        assert "alert" in office.site.last.get_data(as_text=True)  # type: ignore[union-attr]


@pytest.mark.parametrize("key", ["0", "999", "99999999999999999999999999", "-1", "abc", "1.5"])
def test_what_is_not_there_is_404(office: Office, key: str) -> None:
    office.create()
    assert office.site.get(f"{URL}{key}").status_code == 404
    assert office.site.get(f"{URL}{key}/assign").status_code == 404
    assert office.site.post(f"{URL}{key}/assign", {"technician": office.ines.id}).status_code == 404


def test_an_act_that_there_is_none_of_is_404(office: Office) -> None:
    job = office.create()
    assert office.site.get(office.at(job, "explode")).status_code == 404
    assert office.site.post(office.at(job, "delete")).status_code == 404


def test_another_partners_installation_is_404_everywhere(office: Office, create_partner: Create) -> None:
    foreign = office._create(create_partner(), start=TUESDAY)
    assert listed(office) == []
    assert listed(office, f"?q={foreign.number}") == []
    for act in ("", "assign", "reject", "reschedule", "cancel", "edit", "replacement", "set_off", "sign_contract"):
        assert office.site.get(office.at(foreign, act)).status_code == 404, act
        if act:
            answer = office.site.post(office.at(foreign, act), {"reason": "x", "technician": office.ines.id})
            assert answer.status_code == 404, act
    assert office.job(foreign).status == "SCHEDULED"


def test_strangers_and_the_wrong_role_do_not_get_in(
    office: Office, create_user: Create, create_technician: Create, create_customer: Create
) -> None:
    job = office.create()
    office.site.sign_out()
    assert office.site.client.get(URL).status_code == 302
    technician, customer = create_user(), create_user()
    create_technician(office.partner, technician)
    create_customer(office.partner, customer)
    for user in (technician, customer):
        office.site.sign_in(user)
        for url in (URL, office.at(job), office.at(job, "assign"), f"{URL}schedule"):
            assert office.site.get(url).status_code == 403, url
        assert office.site.post(office.at(job, "reject"), {"reason": "x"}).status_code == 403
        office.site.sign_out()
    assert office.job(job).status == "SCHEDULED"
