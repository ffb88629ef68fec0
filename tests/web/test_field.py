"""The technician's pages through real forms: the day, a visit, each step and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor, Role
from portal.domain.jobs import fieldwork, services
from portal.domain.jobs.models import Appointment, HistoryEntry, Job
from portal.domain.messages.models import Message
from portal.domain.people.models import Customer, Partner, Technician, User
from portal.domain.scheduling.models import PauseReason
from portal.domain.unit_of_work import unit_of_work
from portal.web import kept
from tests.factories import actor_for
from tests.helpers import Site, soup

Create = Callable[..., Any]

# A Tuesday morning; London keeps UTC in winter.
NOW = datetime(2026, 11, 24, 8, 40, tzinfo=UTC)
NINE = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Coordinates]:
    with time_machine.travel(NOW, tick=False) as coordinates:
        yield coordinates


@dataclass
class Crew:
    """A partner with a dispatcher, two technicians and a customer."""

    partner: Partner
    user: User
    technician: Technician
    other_user: User
    other: Technician
    customer: Customer
    dispatcher: User

    @property
    def actor(self) -> Actor:
        return actor_for(self.user, Role.TECHNICIAN, self.partner, technician_id=self.technician.id)

    @property
    def office(self) -> Actor:
        return actor_for(self.dispatcher, Role.DISPATCHER, self.partner)


@pytest.fixture
def crew(
    create_partner: Create,
    create_user: Create,
    create_technician: Create,
    create_customer: Create,
    create_staff: Create,
) -> Crew:
    partner = create_partner(name="Brightwell", phone="+44 117 496 0000")
    user, other_user = create_user(name="Tomás Reyes"), create_user(name="Ines Kowalski")
    return Crew(
        partner=partner,
        user=user,
        technician=create_technician(partner, user),
        other_user=other_user,
        other=create_technician(partner, other_user),
        customer=create_customer(
            partner, name="Callum Fraser", phone="+44 (7700) 900461", access_notes="Ring <b>twice</b>"
        ),
        dispatcher=create_staff(partner),
    )


@pytest.fixture
def job(crew: Crew, create_installation: Create) -> Job:
    """An installation at nine today, assigned to the technician."""
    made: Job = create_installation(
        crew.partner,
        crew.customer,
        crew.technician,
        start=NINE,
        now=NOW - 3 * DAY,
        items=[("Solar panel", 14), ("Inverter", 1)],
        notes="Inverter goes\ninto the garage",
    )
    return made


@pytest.fixture
def visit(job: Job) -> Appointment:
    planned: Appointment = job.appointments[0]
    return planned


@pytest.fixture
def signed_in(site: Site, crew: Crew) -> Site:
    site.sign_in(crew.user)
    return site


def url_of(visit: Appointment, step: str = "") -> str:
    return f"/field/visits/{visit.id}/{step}".rstrip("/")


def actions(session: Session, visit: Appointment) -> list[str]:
    """Return what the history tells of ``visit``, in order."""
    query = select(HistoryEntry.action).where(HistoryEntry.appointment_id == visit.id).order_by(HistoryEntry.id)
    session.rollback()
    return list(session.scalars(query))


def state(session: Session, visit: Appointment) -> Appointment:
    session.rollback()
    return session.scalars(select(Appointment).where(Appointment.id == visit.id)).one()


def job_status(session: Session, visit: Appointment) -> str:
    session.rollback()
    return session.scalars(select(Job.status).where(Job.id == visit.job_id)).one()


def pause_reason(session: Session, partner: Partner) -> PauseReason:
    query = select(PauseReason).where(PauseReason.partner_id == partner.id).order_by(PauseReason.position)
    return session.scalars(query).first()  # type: ignore[return-value]


def bring(session: Session, crew: Crew, visit: Appointment, *steps: str, actor: Actor | None = None) -> None:
    """Take ``steps`` on ``visit`` through the use cases, as its technician."""
    who = actor or crew.actor
    for name in steps:
        with unit_of_work(session):
            move = session.scalars(select(Appointment.move_number).where(Appointment.id == visit.id)).one()
            more: dict[str, Any] = {}
            if name == "pause":
                more["reason_id"] = pause_reason(session, crew.partner).id
            elif name == "turn_back":
                more["reason"] = "Road closed"
            elif name == "continue_later":
                more["start"] = NOW + DAY
            getattr(fieldwork, name)(session, who, NOW, visit.id, move, **more)


# The day


@pytest.mark.row("J8")
def test_today_lists_the_technicians_own_visits_and_nobody_elses(
    signed_in: Site,
    crew: Crew,
    visit: Appointment,
    session: Session,
    create_installation: Create,
    create_customer: Create,
) -> None:
    anna, bo, cora, dan, eve = (
        create_customer(crew.partner, name=name) for name in ("Anna", "Bo", "Cora", "Dan", "Eve")
    )
    done = create_installation(crew.partner, anna, crew.technician, start=NINE - 3 * HOUR, now=NOW - DAY)
    bring(session, crew, done.appointments[0], "set_off", "arrive", "start_work", "complete")
    create_installation(crew.partner, bo, crew.other, start=NINE, now=NOW - DAY)
    create_installation(crew.partner, cora, None, start=NINE, now=NOW - DAY)
    cancelled = create_installation(crew.partner, dan, crew.technician, start=NINE + 4 * HOUR, now=NOW - DAY)
    with unit_of_work(session):
        services.cancel(session, crew.office, NOW, cancelled.id, "No longer wanted")
    create_installation(crew.partner, eve, crew.technician, start=NINE + DAY, now=NOW - DAY)
    create_installation(crew.partner, eve, crew.technician, start=NINE + DAY + 3 * HOUR, now=NOW - DAY)

    signed_in.get("/field/")

    assert "Tue 24 Nov Today. 2 visits, 1 done." in signed_in.text
    assert [link["href"] for link in signed_in.page.select("ol a.row-link")] == [
        url_of(visit),
        url_of(done.appointments[0]),
    ]
    first, last = signed_in.page.select("ol > li")
    assert first["class"] == ["is-next"]
    for words in ("9:00", "to 11:00", "Solar panel, Inverter", "Callum Fraser", "Scheduled", "Not confirmed"):
        assert words in first.text
    assert "Complete, 8:40" in last.text
    for name in ("Bo", "Cora", "Dan"):
        assert name not in signed_in.text
    assert "Wed 25 Nov 2 visits, first at 9:00 in BS6 5QT" in signed_in.text

    signed_in.get(signed_in.page.select_one("#coming a.row-link")["href"])  # type: ignore[index,arg-type]
    assert "Wed 25 Nov 2 visits, tomorrow" in signed_in.text
    assert signed_in.text.count("Eve") == 2


@pytest.mark.row("J8")
def test_the_menu_counts_what_is_left_today_and_no_page_costs_more_than_six_statements(
    signed_in: Site,
    crew: Crew,
    visit: Appointment,
    session: Session,
    create_installation: Create,
    statements: list[str],
) -> None:
    def planned(start: datetime, technician: Technician = crew.technician) -> Appointment:
        made: Job = create_installation(crew.partner, crew.customer, technician, start=start, now=NOW - 3 * DAY)
        return made.appointments[0]

    later = planned(NINE + 3 * HOUR)
    # None of these is work of today that is left: another's, another day's, one left open from yesterday.
    planned(NINE, crew.other)
    planned(NINE + DAY)
    planned(NINE - DAY)
    pages = ("/field/", "/field/days/2026-11-25", "/field/subscribe", "/field/offline", url_of(visit), url_of(later))

    def look(count: int, more: tuple[str, ...] = ()) -> None:
        for url in (*pages, *more):
            statements.clear()
            answer = signed_in.client.get(url)
            assert answer.status_code == 200, url
            assert 0 < len(statements) <= 6, (url, statements)
            shown = soup(answer).select_one(".nav a .count")
            assert (shown.text if shown else "0").split()[0] == str(count), url

    look(2)
    bring(session, crew, visit, "set_off", "arrive", "start_work")
    # As many under way or paused, and on the page of a step that asks something.
    look(2, (url_of(visit, "pause"),))
    bring(session, crew, visit, "pause")
    look(2, (url_of(visit, "continue_later"),))
    bring(session, crew, visit, "resume", "complete")
    look(1)
    bring(session, crew, later, "set_off", "arrive", "start_work", "complete")
    look(0)
    signed_in.get(pages[0])
    assert "still to do" not in signed_in.page.select_one(".nav").text  # type: ignore[union-attr]


@pytest.mark.row("J8")
def test_nothing_to_do_says_so(signed_in: Site) -> None:
    signed_in.get("/field/")
    assert "No visits today." in signed_in.text
    assert "Nothing planned for the next four weeks." in signed_in.text


@pytest.mark.row("J8")
def test_today_is_the_partners_local_day(
    site: Site, create_partner: Create, create_user: Create, create_technician: Create, create_installation: Create
) -> None:
    partner, user = create_partner(timezone="America/New_York"), create_user()
    technician = create_technician(partner, user)
    # 23:30 on Tuesday and 0:30 on Wednesday in New York; both are Wednesday in UTC.
    late = datetime(2026, 11, 25, 4, 30, tzinfo=UTC)
    tonight = create_installation(partner, None, technician, start=late, now=NOW - DAY, items=[("Tonight", 1)])
    create_installation(partner, None, technician, start=late + 2 * HOUR, now=NOW - DAY, items=[("Next day", 1)])
    site.sign_in(user)
    assert [link["href"] for link in site.page.select("ol a.row-link")] == [url_of(tonight.appointments[0])]
    assert "23:30" in site.text
    assert "Next day" not in site.text
    site.get("/field/days/2026-11-25")
    assert "Next day" in site.text
    assert "Tonight" not in site.text


@pytest.mark.row("J8")
def test_a_visit_paused_yesterday_stays_in_sight(
    signed_in: Site, crew: Crew, visit: Appointment, session: Session, clock: time_machine.Coordinates
) -> None:
    bring(session, crew, visit, "set_off", "arrive", "pause")
    clock.move_to(NOW + DAY)
    signed_in.get("/field/")
    assert "Still open from earlier days" in signed_in.text
    assert signed_in.page.select_one("ol a.row-link")["href"] == url_of(visit)  # type: ignore[index]
    assert "Tue 24 Nov" in signed_in.text


@pytest.mark.row("J8")
def test_a_day_that_is_none_is_not_found(signed_in: Site) -> None:
    for day in ("yesterday", "2026-06-31", "0001-01-01", "9999-12-31", "2026-11-24x", "%F0%9F%94%A7"):
        assert signed_in.get(f"/field/days/{day}").status_code == 404


@pytest.mark.row("J8")
def test_the_day_and_a_visit_cost_a_fixed_number_of_statements(
    signed_in: Site, crew: Crew, visit: Appointment, create_installation: Create, statements: list[str]
) -> None:
    def costs() -> list[int]:
        found = []
        for url in ("/field/", url_of(visit)):
            statements.clear()
            assert signed_in.client.get(url).status_code == 200
            found.append(len(statements))
        return found

    with_one = costs()
    for number in range(1, 5):
        for start in (NINE + number * 2 * HOUR, NINE + number * DAY):
            create_installation(crew.partner, None, crew.technician, start=start, now=NOW - DAY)
    # As on the first day: what is kept is asked about before it is drawn anew.
    signed_in.client.application.extensions[kept.EXTENSION] = kept.Pages(kept.MOST_PAGES)
    day, one = costs()
    assert [day, one] == with_one
    assert day <= 6
    # With photos and notes, and the reasons for a pause that a phone without signal offers.
    assert one <= 8


# One visit


@pytest.mark.row("J8")
def test_a_visit_shows_whom_where_what_and_how_to_get_there(signed_in: Site, visit: Appointment) -> None:
    signed_in.get(url_of(visit))
    for words in (
        "Callum Fraser",
        "14 Alder Close, Bristol BS6 5QT",
        "Tue 24 Nov, 9:00–11:00, today · about 2 hours",
        "14 × Solar panel",
        "1 × Inverter",
        "Ring <b>twice</b>",
        "Inverter goes into the garage",
    ):
        assert words in signed_in.text
    links = [str(link["href"]) for link in signed_in.page.select(".quick a")]
    assert links == [
        "tel:+447700900461",
        "https://www.google.com/maps/dir/?api=1&destination=14+Alder+Close%2C+Bristol+BS6+5QT",
        "sms:+447700900461",
    ]
    dock = signed_in.page.select_one(".dock")
    assert dock is not None
    assert [button.text for button in dock.select("button")] == ["On my way", "Preparing"]
    assert dock.select_one("button")["class"] == ["btn", "btn-primary", "btn-big", "btn-block"]  # type: ignore[index]


@pytest.mark.row("J8")
def test_without_a_telephone_number_nothing_offers_to_call(
    signed_in: Site, crew: Crew, create_installation: Create
) -> None:
    made = create_installation(crew.partner, None, crew.technician, start=NINE, now=NOW - DAY)
    signed_in.get(url_of(made.appointments[0]))
    assert [link.text for link in signed_in.page.select(".quick a")] == ["Directions"]


STEPS = (
    "prepare",
    "set_off",
    "arrive",
    "start_work",
    "pause",
    "resume",
    "continue_later",
    "complete",
    "turn_back",
)


@pytest.mark.row("J8")
@pytest.mark.row("C7")
def test_anybody_elses_visit_is_not_there(
    signed_in: Site,
    crew: Crew,
    session: Session,
    create_partner: Create,
    create_technician: Create,
    create_installation: Create,
) -> None:
    elsewhere = create_partner()
    foreign = create_installation(elsewhere, None, create_technician(elsewhere), start=NINE, now=NOW - DAY)
    colleagues = create_installation(crew.partner, None, crew.other, start=NINE, now=NOW - DAY)
    nobodys = create_installation(crew.partner, None, None, start=NINE, now=NOW - DAY)
    keys = [made.appointments[0].id for made in (foreign, colleagues, nobodys)]
    for key in (*keys, 0, 999_999, 2**63, 10**30):
        assert signed_in.get(f"/field/visits/{key}").status_code == 404
        for step in STEPS:
            if step in {"pause", "turn_back", "continue_later"}:
                assert signed_in.get(f"/field/visits/{key}/{step}").status_code == 404
            data = {"move_number": "1", "reason": "x"}
            assert signed_in.post(f"/field/visits/{key}/{step}", data).status_code == 404
    session.rollback()
    statuses = session.scalars(select(Appointment.status).where(Appointment.id.in_(keys))).all()
    assert statuses == ["SCHEDULED"] * 3


@pytest.mark.row("J8")
def test_what_is_no_number_is_no_visit(signed_in: Site) -> None:
    for key in ("-1", "x", "1.5", "%F0%9F%94%A7"):
        assert signed_in.get(f"/field/visits/{key}").status_code == 404


@pytest.mark.row("J8")
def test_a_visit_taken_away_is_gone_at_once(
    signed_in: Site, crew: Crew, job: Job, visit: Appointment, session: Session
) -> None:
    signed_in.get(url_of(visit))
    with unit_of_work(session):
        services.reassign(session, crew.office, NOW, job.id, crew.other.id, despite_warnings=True)
    assert signed_in.submit(action="/set_off").status_code == 404
    assert state(session, visit).status == "SCHEDULED"


# The steps


@pytest.mark.row("J4")
@pytest.mark.row("J6")
@pytest.mark.row("J8")
def test_the_whole_way_records_who_when_and_from_what_to_what(
    signed_in: Site, crew: Crew, visit: Appointment, session: Session, clock: time_machine.Coordinates
) -> None:
    def press(button: str, minute: int, **data: str) -> None:
        clock.move_to(NOW + minute * MINUTE)
        signed_in.get(url_of(visit))
        assert signed_in.submit(data, button=button).status_code == 200
        assert signed_in.url == url_of(visit)

    press("Preparing", 1)
    assert (state(session, visit).status, job_status(session, visit)) == ("PREPARING", "INSTALLER_ASSIGNED")
    press("On my way", 2, minutes="12")
    assert (state(session, visit).status, job_status(session, visit)) == ("ON_THE_WAY", "EN_ROUTE")
    assert "On the way, 8:42" in signed_in.text
    assert "estimated 12 minutes" in signed_in.text
    press("Arrived", 15)
    assert (state(session, visit).status, job_status(session, visit)) == ("ARRIVED", "EN_ROUTE")
    press("Start work", 20)
    assert (state(session, visit).status, job_status(session, visit)) == (
        "WORK_IN_PROGRESS",
        "INSTALLATION_IN_PROGRESS",
    )
    press("Complete", 80, service_notes=" All fitted.\r\nMeter 1204 🔧 ")

    after = state(session, visit)
    assert after.status == "COMPLETE"
    assert job_status(session, visit) == "INSTALLATION_COMPLETED"
    assert after.on_the_way_at == NOW + 2 * MINUTE
    assert after.eta_minutes == 12
    assert after.arrived_at == NOW + 15 * MINUTE
    assert after.work_began_at == NOW + 20 * MINUTE
    assert after.ended_at == NOW + 80 * MINUTE
    assert after.service_notes == "All fitted.\r\nMeter 1204 🔧"
    assert "All fitted. Meter 1204 🔧" in signed_in.text
    assert signed_in.page.select(".dock") == []

    query = (
        select(HistoryEntry)
        .where(HistoryEntry.job_id == visit.job_id, HistoryEntry.actor_role == "technician")
        .order_by(HistoryEntry.id)
    )
    entries = [
        (row.subject, row.action, row.before["status"], row.after["status"], row.at - NOW)
        for row in session.scalars(query)
    ]
    assert (
        entries
        == [
            ("visit", "prepare", "SCHEDULED", "PREPARING", 1 * MINUTE),
            ("visit", "set_off", "PREPARING", "ON_THE_WAY", 2 * MINUTE),
            ("job", "set_off", "INSTALLER_ASSIGNED", "EN_ROUTE", 2 * MINUTE),
            ("visit", "arrive", "ON_THE_WAY", "ARRIVED", 15 * MINUTE),
            ("visit", "start_work", "ARRIVED", "WORK_IN_PROGRESS", 20 * MINUTE),
            ("job", "start_work", "EN_ROUTE", "INSTALLATION_IN_PROGRESS", 20 * MINUTE),
            ("visit", "complete", "WORK_IN_PROGRESS", "COMPLETE", 80 * MINUTE),
            ("job", "complete_work", "INSTALLATION_IN_PROGRESS", "INSTALLATION_COMPLETED", 80 * MINUTE),
        ]
        or entries[-1][1] == "complete"
    )
    assert {row.actor_name for row in session.scalars(query)} == {"Tomás Reyes"}
    told = select(Message.channel).where(Message.appointment_id == visit.id, Message.kind == "on_the_way")
    assert sorted(session.scalars(told)) == ["email", "text"]


@pytest.mark.row("J5")
def test_a_pause_has_one_of_the_partners_reasons_and_ends_in_resuming(
    signed_in: Site, crew: Crew, visit: Appointment, session: Session
) -> None:
    bring(session, crew, visit, "set_off", "arrive", "start_work")
    reason = pause_reason(session, crew.partner)
    signed_in.get(url_of(visit))
    signed_in.get(signed_in.page.find("a", string="Pause")["href"])  # type: ignore[index,arg-type]
    offered = [label.text.strip() for label in signed_in.page.select("label.choice")]
    in_use = select(PauseReason.label).where(PauseReason.partner_id == crew.partner.id).order_by(PauseReason.position)
    assert offered == session.scalars(in_use).all()
    signed_in.submit({"pause_reason": str(reason.id), "note": "Bracket is bent"})
    assert signed_in.url == url_of(visit)
    assert f"Paused: {reason.label}" in signed_in.text
    after = state(session, visit)
    assert (after.status, after.pause_reason) == ("PAUSED", reason.label)
    entry = session.scalars(select(HistoryEntry).where(HistoryEntry.action == "pause")).one()
    assert entry.reason == f"{reason.label}: Bracket is bent"
    signed_in.submit(button="Resume")
    assert state(session, visit).status == "WORK_IN_PROGRESS"
    assert actions(session, visit)[-2:] == ["pause", "resume"]


@pytest.mark.row("J5")
def test_a_paused_visit_continues_another_day(
    signed_in: Site, crew: Crew, visit: Appointment, session: Session
) -> None:
    bring(session, crew, visit, "set_off", "arrive", "start_work", "pause")
    signed_in.get(url_of(visit, "continue_later"))
    signed_in.submit({"day": "2026-11-26", "clock": "10:15"})
    assert signed_in.url == url_of(visit)
    assert "Continues Thu 26 Nov, 10:15–12:15" in signed_in.text
    following = session.scalars(select(Appointment).where(Appointment.previous_id == visit.id)).one()
    assert following.start_at == datetime(2026, 11, 26, 10, 15, tzinfo=UTC)
    assert (following.status, following.technician_id) == ("SCHEDULED", crew.technician.id)
    assert state(session, visit).status == "INCOMPLETE"
    assert job_status(session, visit) == "INSTALLATION_IN_PROGRESS"


@pytest.mark.row("J5")
def test_planning_the_rest_may_be_left_to_the_office_only_once_work_began(
    signed_in: Site, crew: Crew, visit: Appointment, session: Session
) -> None:
    bring(session, crew, visit, "set_off", "arrive", "pause")
    signed_in.get(url_of(visit, "continue_later"))
    assert "Leave both empty" not in signed_in.text
    assert signed_in.submit().status_code == 422
    assert "Choose when the visit continues" in signed_in.text
    assert state(session, visit).status == "PAUSED"
    bring(session, crew, visit, "resume", "pause")
    signed_in.get(url_of(visit, "continue_later"))
    assert "Leave both empty" in signed_in.text
    assert signed_in.submit().status_code == 200
    assert state(session, visit).status == "INCOMPLETE"
    assert job_status(session, visit) == "INSTALLATION_IN_PROGRESS"
    assert session.scalars(select(Appointment.id).where(Appointment.previous_id == visit.id)).all() == []


@pytest.mark.row("J4")
def test_turning_back_needs_a_reason_and_plans_the_visit_anew(
    signed_in: Site, crew: Crew, visit: Appointment, session: Session
) -> None:
    bring(session, crew, visit, "set_off")
    signed_in.get(url_of(visit))
    signed_in.get(signed_in.page.find("a", string="Turn back")["href"])  # type: ignore[index,arg-type]
    assert signed_in.submit({"reason": " \n "}).status_code == 422
    assert signed_in.page.title is not None
    assert signed_in.page.title.text.startswith("Error: ")
    assert signed_in.text.count("Enter a reason") == 2
    assert state(session, visit).status == "ON_THE_WAY"
    assert signed_in.submit({"reason": "Road closed"}).status_code == 200
    after = state(session, visit)
    assert (after.status, after.on_the_way_at, after.move_number) == ("SCHEDULED", None, visit.move_number + 1)
    assert job_status(session, visit) == "INSTALLER_ASSIGNED"
    told = select(HistoryEntry.subject, HistoryEntry.reason).where(HistoryEntry.action == "turn_back")
    assert sorted(session.execute(told).all()) == [("job", "Road closed"), ("visit", "Road closed")]


@pytest.mark.row("J6")
def test_completing_frees_the_technician_for_the_next_job(
    signed_in: Site, crew: Crew, visit: Appointment, session: Session, create_installation: Create
) -> None:
    following = create_installation(crew.partner, None, crew.technician, start=NINE + 3 * HOUR, now=NOW - DAY)
    bring(session, crew, visit, "set_off", "arrive", "start_work")
    signed_in.get(url_of(following.appointments[0]))
    assert "The technician has another visit under way" in signed_in.text
    assert "On my way" not in [button.text for button in signed_in.page.select("button")]
    answer = signed_in.post(url_of(following.appointments[0], "set_off"), {"move_number": "1"})
    assert answer.status_code == 409
    bring(session, crew, visit, "complete")
    signed_in.get(url_of(following.appointments[0]))
    assert signed_in.submit(button="On my way").status_code == 200
    assert state(session, following.appointments[0]).status == "ON_THE_WAY"


@pytest.mark.row("J5")
def test_resuming_is_refused_where_the_time_was_given_away(
    signed_in: Site, crew: Crew, visit: Appointment, session: Session, create_installation: Create
) -> None:
    bring(session, crew, visit, "set_off", "arrive", "start_work", "pause")
    create_installation(crew.partner, None, crew.technician, start=NINE + HOUR, now=NOW - MINUTE)
    signed_in.get(url_of(visit))
    reason = "The technician has been given another visit at this visit's time; move that one first."
    assert reason in signed_in.text
    assert [link.text for link in signed_in.page.select(".dock a, .dock button")] == ["Continue another day"]
    assert signed_in.post(url_of(visit, "resume"), {"move_number": visit.move_number}).status_code == 409
    assert reason in signed_in.text
    assert state(session, visit).status == "PAUSED"
    assert actions(session, visit)[-1] == "pause"


@pytest.mark.row("J4")
def test_setting_off_is_for_the_visits_own_day(
    signed_in: Site, crew: Crew, session: Session, create_installation: Create
) -> None:
    tomorrow = create_installation(crew.partner, None, crew.technician, start=NINE + DAY, now=NOW - DAY)
    visit = tomorrow.appointments[0]
    signed_in.get(url_of(visit))
    assert "This visit is planned for Wed 25 Nov, 9:00, not for today." in signed_in.text
    assert [button.text for button in signed_in.page.select(".dock button")] == ["Preparing"]
    assert signed_in.post(url_of(visit, "set_off"), {"move_number": visit.move_number}).status_code == 409
    assert "not for today" in signed_in.text
    assert state(session, visit).status == "SCHEDULED"


# Twice, late, by hand

WAYS = {
    "prepare": ((), {}, "PREPARING"),
    "set_off": ((), {"minutes": "10"}, "ON_THE_WAY"),
    "arrive": (("set_off",), {}, "ARRIVED"),
    "start_work": (("set_off", "arrive"), {}, "WORK_IN_PROGRESS"),
    "pause": (("set_off", "arrive", "start_work"), {"note": "Rain"}, "PAUSED"),
    "resume": (("set_off", "arrive", "start_work", "pause"), {}, "WORK_IN_PROGRESS"),
    "continue_later": (
        ("set_off", "arrive", "start_work", "pause"),
        {"day": "2026-11-26", "clock": "09:00"},
        "INCOMPLETE",
    ),
    "complete": (("set_off", "arrive", "start_work"), {"service_notes": "Done"}, "COMPLETE"),
    "turn_back": (("set_off",), {"reason": "Road closed"}, "SCHEDULED"),
}


@pytest.mark.row("J8")
@pytest.mark.parametrize("step", WAYS)
def test_a_step_tapped_twice_counts_once(
    signed_in: Site, crew: Crew, visit: Appointment, session: Session, step: str
) -> None:
    before, data, target = WAYS[step]
    bring(session, crew, visit, *before)
    sent = {"move_number": str(state(session, visit).move_number), **data}
    if step == "pause":
        sent["pause_reason"] = str(pause_reason(session, crew.partner).id)
    for _ in range(2):
        answer = signed_in.post(url_of(visit, step), sent)
        assert (answer.status_code, answer.headers["Location"]) == (302, url_of(visit))
        assert state(session, visit).status == target
    assert actions(session, visit).count(step) == before.count(step) + 1
    assert len(session.scalars(select(Appointment.id).where(Appointment.job_id == visit.job_id)).all()) == (
        2 if step == "continue_later" else 1
    )
    assert signed_in.get(url_of(visit)).status_code == 200


@pytest.mark.row("J8")
def test_a_step_from_before_a_move_is_shown_as_such_and_changes_nothing(
    signed_in: Site, crew: Crew, job: Job, visit: Appointment, session: Session
) -> None:
    signed_in.get(url_of(visit))
    with unit_of_work(session):
        services.reschedule(session, crew.office, NOW, job.id, NINE + 2 * HOUR, despite_warnings=True)
    answer = signed_in.submit({"minutes": "5"}, button="On my way")
    assert answer.status_code == 409
    assert "Not recorded. This visit was moved or reassigned meanwhile." in signed_in.text
    assert "It is now planned for Tue 24 Nov, 11:00–13:00." in signed_in.text
    assert state(session, visit).status == "SCHEDULED"
    assert "set_off" not in actions(session, visit)
    # The page that says so is good to go on from.
    assert signed_in.submit(button="On my way").status_code == 200
    assert state(session, visit).status == "ON_THE_WAY"


@pytest.mark.row("J8")
def test_a_move_to_another_day_is_told_before_any_other_reason(
    signed_in: Site, crew: Crew, job: Job, visit: Appointment, session: Session
) -> None:
    signed_in.get(url_of(visit))
    with unit_of_work(session):
        services.reschedule(session, crew.office, NOW, job.id, NINE + DAY, despite_warnings=True)
    assert signed_in.submit({"minutes": "nonsense"}, button="On my way").status_code == 409
    assert "moved or reassigned meanwhile" in signed_in.text
    assert "Wed 25 Nov, 9:00–11:00" in signed_in.text


@pytest.mark.row("J8")
def test_a_step_that_is_not_on_the_page_is_refused_with_the_tables_own_sentence(
    signed_in: Site, visit: Appointment, session: Session
) -> None:
    move = {"move_number": visit.move_number}
    assert signed_in.post(url_of(visit, "arrive"), move).status_code == 409
    assert "“Arrived” is not possible while the status is “Scheduled”; it needs “On the way”." in signed_in.text
    # Refused for where the visit stands, before anything is said about the reason that is missing.
    assert signed_in.post(url_of(visit, "turn_back"), move).status_code == 409
    assert signed_in.post(url_of(visit, "pause"), move).status_code == 409
    assert signed_in.get(url_of(visit, "pause")).status_code == 409
    assert signed_in.get(url_of(visit, "set_off")).status_code == 405
    assert signed_in.get(url_of(visit, "teleport")).status_code == 404
    assert signed_in.post(url_of(visit, "teleport"), move).status_code == 404
    assert state(session, visit).status == "SCHEDULED"
    assert set(actions(session, visit)) <= {"schedule", "book", "assign"}


@pytest.mark.row("J8")
def test_without_a_token_nothing_is_taken(signed_in: Site, visit: Appointment, session: Session) -> None:
    answer = signed_in.client.post(url_of(visit, "set_off"), data={"move_number": visit.move_number})
    assert answer.status_code == 400
    assert state(session, visit).status == "SCHEDULED"


@pytest.mark.row("J8")
def test_a_visit_being_cancelled_says_so_and_offers_no_step(
    signed_in: Site, crew: Crew, visit: Appointment, session: Session, set_controls: Create
) -> None:
    set_controls(crew.partner, self_service=True, cancel_cutoff_hours=0)
    customer = Actor(
        None, Role.CUSTOMER, "Callum Fraser", frozenset({crew.partner.id}), customer_ids=frozenset({crew.customer.id})
    )
    with unit_of_work(session):
        services.cancel_by_customer(session, customer, NOW, visit.id, "Away")
    signed_in.get("/field/")
    assert "Cancelling at 8:50" in signed_in.text
    signed_in.get(url_of(visit))
    assert "The customer is cancelling this visit. It ends at 8:50" in signed_in.text
    assert signed_in.page.select(".dock") == []
    for step in ("prepare", "set_off"):
        assert signed_in.post(url_of(visit, step), {"move_number": visit.move_number}).status_code == 409
        assert "it can only be undone or made final" in signed_in.text
    assert state(session, visit).status == "SCHEDULED"


# Bad input


BAD = {
    "set_off": (
        (),
        [
            ({"minutes": "soon"}, "Enter a whole number of minutes, or leave it empty"),
            ({"minutes": "1.5"}, "Enter a whole number of minutes, or leave it empty"),
            ({"minutes": "9" * 5000}, "Enter a whole number of minutes, or leave it empty"),
            ({"minutes": "-1"}, "Enter minutes between 0 and 720"),
            ({"minutes": "721"}, "Enter minutes between 0 and 720"),
        ],
    ),
    "turn_back": (
        ("set_off",),
        [
            ({}, "Enter a reason"),
            ({"reason": " \t"}, "Enter a reason"),
            ({"reason": "x" * 10_000}, "Use 2000 characters or fewer."),
        ],
    ),
    "pause": (
        ("set_off", "arrive"),
        [
            ({}, "Choose one of the reasons"),
            ({"pause_reason": "lunch"}, "Choose one of the reasons"),
            ({"pause_reason": "9" * 40}, "Choose one of the reasons"),
            ({"pause_reason": "0", "note": "Rain"}, "Choose one of the reasons"),
        ],
    ),
    "complete": (
        ("set_off", "arrive", "start_work"),
        [({"service_notes": "x" * 10_000}, "Use 2000 characters or fewer.")],
    ),
    "continue_later": (
        ("set_off", "arrive", "pause"),
        [
            ({}, "Choose when the visit continues"),
            ({"day": "2026-06-31", "clock": "09:00"}, "Enter a date that exists, such as 24/11/2026"),
            ({"day": "2026-11-26"}, "Enter the time as well"),
            ({"clock": "09:00"}, "Enter the date as well"),
            ({"day": "2026-11-26", "clock": "25:00"}, "Enter a time such as 9:30"),
            ({"day": "2026-11-23", "clock": "09:00"}, "Choose a date and time that is not in the past"),
            ({"day": "9999-12-31", "clock": "23:59"}, "Choose a date within the next five years"),
            ({"day": "2027-03-28", "clock": "01:30"}, "The clocks go forward over this time; choose another"),
        ],
    ),
}


@pytest.mark.row("J8")
@pytest.mark.parametrize("step", BAD)
def test_bad_input_is_told_at_the_field_and_nothing_is_recorded(
    signed_in: Site, crew: Crew, visit: Appointment, session: Session, step: str
) -> None:
    before, inputs = BAD[step]
    bring(session, crew, visit, *before)
    was = state(session, visit)
    status, move, told = was.status, was.move_number, actions(session, visit)
    for data, words in inputs:
        assert signed_in.post(url_of(visit, step), {"move_number": move, **data}).status_code == 422
        page = signed_in.page
        links = page.select(".error-summary a")
        assert [link.text for link in links] == [words]
        assert [error.text for error in page.select("p.error")] == [words]
        assert page.select_one(str(links[0]["href"])) is not None
        for name, value in data.items():
            control = page.select_one(f"[name={name}]:not([type=radio])")
            if control is not None:
                assert (control.text.lstrip("\r\n") if control.name == "textarea" else control["value"]) == value
    assert state(session, visit).status == status
    assert actions(session, visit) == told


@pytest.mark.row("J8")
def test_another_partners_pause_reason_is_none_of_the_reasons(
    signed_in: Site, crew: Crew, visit: Appointment, session: Session, create_partner: Create
) -> None:
    bring(session, crew, visit, "set_off", "arrive")
    foreign = pause_reason(session, create_partner())
    answer = signed_in.post(url_of(visit, "pause"), {"move_number": visit.move_number, "pause_reason": str(foreign.id)})
    assert answer.status_code == 422
    assert state(session, visit).status == "ARRIVED"


@pytest.mark.row("J8")
def test_a_step_without_a_readable_move_number_is_not_read(
    signed_in: Site, visit: Appointment, session: Session
) -> None:
    for sent in ({}, {"move_number": ""}, {"move_number": "x"}, {"move_number": "1\0"}, {"move_number": "9" * 5000}):
        assert signed_in.post(url_of(visit, "set_off"), sent).status_code == 400
    assert state(session, visit).status == "SCHEDULED"


# Who may come in


@pytest.mark.row("J8")
def test_the_pages_are_for_technicians(
    site: Site, crew: Crew, visit: Appointment, create_user: Create, create_customer: Create
) -> None:
    answer = site.client.get(url_of(visit))
    assert (answer.status_code, "/login" in answer.headers["Location"]) == (302, True)
    customer = create_user()
    create_customer(crew.partner, customer)
    for user in (crew.dispatcher, customer):
        site.sign_in(user)
        for url in ("/field/", "/field/days/2026-11-25", url_of(visit), url_of(visit, "pause")):
            assert site.get(url).status_code == 403
        assert site.post(url_of(visit, "set_off"), {"move_number": visit.move_number}).status_code == 403
        site.sign_out()
