"""My Schedule, visits and Modify as their customer uses them: real forms, no JavaScript, both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from icalendar import Calendar
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import SYSTEM, Actor, Role
from portal.domain.jobs import fieldwork, services
from portal.domain.jobs.models import Appointment, HistoryEntry, Job
from portal.domain.messages.models import Message
from portal.domain.people.models import Customer, Partner, Technician, User
from portal.domain.scheduling.models import Holiday, ServiceTypeSkill, Skill, TimeOff, WorkingHours
from portal.domain.unit_of_work import unit_of_work
from tests.factories import Create, save
from tests.helpers import Site, fields_of

# A Friday, ten o'clock in Bristol.
NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
TUESDAY = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
THURSDAY = datetime(2026, 11, 26, 13, 0, tzinfo=UTC)


@dataclass
class Home:
    """Priya, customer of Brightwell, with a visit by Tomás on Tuesday from nine to eleven, and their browser."""

    site: Site
    session: Session
    partner: Partner
    user: User
    customer: Customer
    technician: Technician
    job: Job

    @property
    def visit_id(self) -> int:
        visit: int = self.job.appointments[0].id
        return visit

    @property
    def at(self) -> str:
        return f"/my/visits/{self.visit_id}"

    @property
    def visit(self) -> Appointment:
        """The visit as the database has it now."""
        self.session.rollback()
        query = select(Appointment).where(Appointment.id == self.visit_id)
        return self.session.scalars(query, execution_options={"populate_existing": True}).one()

    @property
    def job_now(self) -> Job:
        self.session.rollback()
        query = select(Job).where(Job.id == self.job.id)
        return self.session.scalars(query, execution_options={"populate_existing": True}).one()

    @property
    def staff(self) -> Actor:
        return Actor(None, Role.DISPATCHER, "Dana Okafor", frozenset({self.partner.id}))

    def by_staff(self, act: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Do something in the office, now."""
        with unit_of_work(self.session):
            act(self.session, self.staff, datetime.now(UTC), *args, **kwargs)

    def history(self) -> list[tuple[str, str]]:
        self.session.rollback()
        entries = self.session.scalars(
            select(HistoryEntry).where(HistoryEntry.job_id == self.job.id).order_by(HistoryEntry.id)
        )
        return [(entry.action, entry.actor_role) for entry in entries]

    def messages(self) -> list[str]:
        self.session.rollback()
        own = select(Message.kind).where(Message.job_id == self.job.id, Message.customer_id.is_not(None))
        return list(self.session.scalars(own.where(Message.channel == "email").order_by(Message.id)))


@pytest.fixture
def clock() -> Iterator[Any]:
    """The clock of the whole process, standing at ``NOW`` until it is moved."""
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def home(
    clock: Any,
    site: Site,
    session: Session,
    create_partner: Create,
    create_user: Create,
    create_customer: Create,
    create_technician: Create,
    create_service_type: Create,
    create_installation: Create,
    set_controls: Create,
) -> Home:
    partner = create_partner(name="Brightwell Solar & Heat", phone="0117 496 0180")
    set_controls(partner, self_service=True)
    user = create_user(name="Priya Raman")
    customer = create_customer(partner, user)
    technician = create_technician(partner, name="Tomás Reyes")
    kind = create_service_type(partner, name="Solar panel installation", duration_minutes=120)
    job = create_installation(partner, customer, technician, start=TUESDAY, kind=kind, items=[("Solar panel", 12)])
    site.sign_in(user)
    return Home(site, session, partner, user, customer, technician, job)


@pytest.fixture
def neighbour(
    home: Home, create_customer: Create, create_user: Create, create_installation: Create, create_technician: Create
) -> Job:
    """Somebody else's installation with the same partner."""
    other = create_customer(home.partner, create_user())
    colleague = create_technician(home.partner, name="Ines Kowalski")
    job: Job = create_installation(home.partner, other, colleague, start=TUESDAY)
    return job


@pytest.fixture
def elsewhere(create_partner: Create, create_installation: Create, set_controls: Create) -> Job:
    """An installation of another partner altogether."""
    partner = create_partner()
    set_controls(partner, self_service=True)
    job: Job = create_installation(partner)
    return job


def forget(session: Session, row: Any) -> None:
    """Take a row away again."""
    with unit_of_work(session):
        session.delete(session.get_one(type(row), row.id))


def to_check(home: Home, day: str = "2026-11-26", start: str = "2026-11-26T13:00Z") -> None:
    """Go through Modify by its own buttons up to the page that asks for nothing any more."""
    home.site.get("/my/")
    home.site.get(f"{home.at}/modify")
    home.site.submit({"act": "move"})
    home.site.get(f"{home.at}/move?day={day}")
    home.site.submit({"start": start}, button="Continue")


# My Schedule


@pytest.mark.row("C1")
def test_my_schedule_shows_the_next_appointment_with_everything_on_it(home: Home) -> None:
    home.site.get("/my/")
    card = " ".join(home.site.page.select_one(".next").get_text(" ").split())
    for words in (
        "Your next appointment, in 4 days",
        "Tue 24 Nov 9:00–11:00",
        "Solar panel installation",
        "with Brightwell Solar & Heat",
        "Appointment Confirmed",
        "You have not confirmed yet",
        "Tomás Reyes",
        "14 Alder Close, Bristol BS6 5QT",
        "About 2 hours. We arrive between 9:00 and 11:00.",
        "You can move this visit yourself until Mon 23 Nov, 9:00 and cancel it until Sun 22 Nov, 9:00.",
    ):
        assert words in card


@pytest.mark.row("C1")
def test_my_schedule_is_in_time_order_and_says_who_is_still_to_be_found(
    home: Home, create_installation: Create
) -> None:
    for days in (9, 2):
        create_installation(home.partner, home.customer, start=TUESDAY + timedelta(days=days))
    home.site.get("/my/")
    rows = [" ".join(row.get_text(" ").split()) for row in home.site.page.select("section[aria-labelledby=up-h] li")]
    assert [row[:24] for row in rows] == ["Thu 26 Nov, 9:00–11:00 S", "Thu 3 Dec, 9:00–11:00 Se"]
    assert "technician to be assigned · 14 Alder Close" in rows[0]


@pytest.mark.row("C1")
def test_an_empty_schedule_says_what_will_stand_there(
    site: Site, create_partner: Create, create_user: Create, create_customer: Create
) -> None:
    user = create_user()
    create_customer(create_partner(), user)
    site.sign_in(user)
    assert "No appointment is planned." in site.text
    assert "No visit has ended yet." in site.text


@pytest.mark.row("C1")
@pytest.mark.parametrize("count", [1, 12])
def test_my_schedule_costs_at_most_six_statements(
    home: Home, statements: list[str], create_installation: Create, count: int
) -> None:
    for number in range(count):
        create_installation(home.partner, home.customer, start=TUESDAY + timedelta(days=number + 1))
        done = create_installation(home.partner, home.customer, start=TUESDAY + timedelta(days=number + 1))
        home.by_staff(services.cancel, done.id, "Not needed")
    statements.clear()
    home.site.get("/my/")
    assert len(home.site.page.select(".rows li")) == count + min(count, 5)
    assert 0 < len(statements) <= 6, statements


@pytest.mark.row("C8")
def test_a_customer_of_two_partners_sees_all_and_each_item_says_whose_it_is(
    home: Home, create_partner: Create, create_customer: Create, create_installation: Create, set_controls: Create
) -> None:
    kestrel = create_partner(name="Kestrel Home Care", timezone="Europe/Berlin", phone="0117 496 0326")
    there = create_customer(kestrel, home.user, address="3 Quarry Lane")
    job = create_installation(kestrel, there, start=TUESDAY + timedelta(days=1))
    home.site.get("/my/")
    assert "with Brightwell Solar & Heat" in home.site.text
    row = " ".join(home.site.page.select_one("section[aria-labelledby=up-h] li").get_text(" ").split())
    # in the partner's own zone
    assert row.startswith("Wed 25 Nov, 10:00–12:00")
    assert "Kestrel Home Care · technician to be assigned · 3 Quarry Lane" in row
    home.site.get(f"/my/visits/{job.appointments[0].id}")
    assert home.site.page.select_one(".brand").get_text().strip() == "Kestrel Home Care"
    # that partner has not switched self-service on
    assert "Changes to visits are made by our office." in home.site.text
    assert home.site.page.find("a", string="Request change")


@pytest.mark.row("C8")
def test_each_partners_name_zone_and_rules_hold_for_its_own_visits(
    home: Home,
    clock: Any,
    create_partner: Create,
    create_customer: Create,
    create_technician: Create,
    create_installation: Create,
    set_controls: Create,
) -> None:
    lord_howe = create_partner(name="Kestrel Home Care", timezone="Australia/Lord_Howe", phone="0117 496 0326")
    set_controls(lord_howe, self_service=True, reschedule_cutoff_hours=48, cancel_unconfirmed=False, max_moves=1)
    there = create_customer(lord_howe, home.user, address="3 Quarry Lane")
    # Monday 23 November, 11:00 on Lord Howe, where it is eleven hours later than in Bristol
    job = create_installation(lord_howe, there, create_technician(lord_howe), start=TUESDAY - timedelta(hours=33))
    at = f"/my/visits/{job.appointments[0].id}"
    # an hour before the one's cutoff has passed, and far from the other's
    clock.move_to(TUESDAY - timedelta(hours=82))
    home.site.get(f"{at}/modify")
    assert home.site.page.select_one(".brand").get_text().strip() == "Kestrel Home Care"
    assert "You can move this visit yourself until today, 11:00. You can move it 1 time." in home.site.text
    assert "A visit that is not confirmed yet can only be cancelled by our office." in home.site.text
    home.site.get(f"{at}/move?day=2026-11-24")
    starts = [label.get_text().strip() for label in home.site.page.select(".times label")]
    assert (starts[0], starts[-1]) == ("8:00–10:00", "16:00–18:00")
    home.site.get(f"{at}/move/check?start=2026-11-23T21:00Z")
    assert "Move to Tue 24 Nov, 8:00–10:00" in home.site.text
    clock.shift(timedelta(hours=1, seconds=1))
    assert home.site.get(f"{at}/move").status_code == 409
    assert "You could move this visit yourself until today, 11:00." in home.site.text
    home.site.submit({"wish": "reschedule", "words": "Later"}, button="Request change")

    home.site.get(f"{home.at}/modify")
    assert home.site.page.select_one(".brand").get_text().strip() == "Brightwell Solar & Heat"
    assert "You can move it 3 times." in home.site.text
    home.site.get("/my/requests")
    row = " ".join(home.site.page.select_one(".rows li").get_text(" ").split())
    assert "Mon 23 Nov, 11:00–13:00 Kestrel Home Care · 3 Quarry Lane · Asked today, 11:00" in row
    home.by_staff(services.cancel, home.job.id, "Not needed")
    home.site.get("/my/visits")
    row = " ".join(home.site.page.select_one(".rows li").get_text(" ").split())
    assert "Brightwell Solar & Heat · Tomás Reyes · 14 Alder Close" in row


@pytest.mark.row("C2")
def test_past_visits_are_newest_first_and_lead_to_their_summary(home: Home, clock: Any) -> None:
    clock.move_to(TUESDAY - timedelta(minutes=20))
    for minutes, step in ((0, fieldwork.set_off), (25, fieldwork.arrive), (30, fieldwork.start_work)):
        clock.move_to(TUESDAY + timedelta(minutes=minutes))
        home.by_staff(step, home.visit_id, home.visit.move_number)
    clock.move_to(TUESDAY + timedelta(hours=2))
    home.by_staff(fieldwork.complete, home.visit_id, home.visit.move_number, "Twelve panels fitted.\nInverter <left>.")
    home.site.get("/my/")
    assert "No appointment is planned." in home.site.text
    link = home.site.page.select_one("#past .row-link")
    assert link.get_text() == "Tue 24 Nov 2026"
    home.site.get(link["href"])
    assert "Visit Complete ✅" in home.site.text
    assert "Tomás Reyes" in home.site.text
    assert "Twelve panels fitted.\nInverter <left>." in home.site.page.get_text()
    for words in ("Arrived today, 9:25", "Work began today, 9:30", "Ended today, 11:00"):
        assert words in home.site.text


@pytest.mark.row("C2")
def test_the_full_history_comes_in_pages_and_nonsense_in_the_address_is_the_first(
    home: Home, create_installation: Create
) -> None:
    for number in range(25):
        job = create_installation(home.partner, home.customer, start=TUESDAY + timedelta(days=number + 1))
        home.by_staff(services.cancel, job.id, "Not needed")

    def days() -> list[str]:
        return [link.get_text() for link in home.site.page.select(".row-link")]

    home.site.get("/my/visits")
    first = days()
    assert (len(first), first[0]) == (20, "Sat 19 Dec 2026")
    home.site.get(home.site.page.select_one("a[rel=next]")["href"])
    assert (len(days()), days()[-1]) == (5, "Wed 25 Nov 2026")
    home.site.get(home.site.page.select_one("a[rel=prev]")["href"])
    assert days() == first
    for nonsense in (
        "after=7",
        "after=[1]",
        'before=["x",1]',
        "after=%F0%9F%90%88",
        "page=-1",
        'after=["2026-13-01",1]',
    ):
        home.site.get(f"/my/visits?{nonsense}")
        assert days() == first


@pytest.mark.row("C7")
def test_anothers_visit_job_and_contract_are_not_there(home: Home, neighbour: Job, elsewhere: Job) -> None:
    for foreign in (neighbour, elsewhere):
        visit_id = foreign.appointments[0].id
        for path in (
            f"/my/visits/{visit_id}",
            f"/my/visits/{visit_id}/modify",
            f"/my/visits/{visit_id}/modify?act=move",
            f"/my/visits/{visit_id}/move",
            f"/my/visits/{visit_id}/move/check?start=2026-11-26T13:00Z",
            f"/my/visits/{visit_id}/moved",
            f"/my/visits/{visit_id}/cancel",
            f"/my/visits/{visit_id}/cancelled",
            f"/my/jobs/{foreign.id}",
        ):
            assert home.site.get(path).status_code == 404, path
        for path, data in (
            (f"/my/visits/{visit_id}/confirm", {"move_number": "1"}),
            (f"/my/visits/{visit_id}/undo", {}),
            (f"/my/visits/{visit_id}/move", {"move_number": "1", "start": "2026-11-26T13:00Z"}),
            (f"/my/visits/{visit_id}/cancel/check", {"reason": "x"}),
            (f"/my/visits/{visit_id}/cancel/reason", {"reason": "x"}),
            (f"/my/visits/{visit_id}/cancel", {"reason": "x", "move_number": "1"}),
            (f"/my/jobs/{foreign.id}/approve", {}),
        ):
            assert home.site.post(path, data).status_code == 404, path
        home.session.rollback()
        kept = home.session.scalars(select(Appointment).where(Appointment.id == visit_id)).one()
        assert (kept.start_at, kept.confirmed_at, kept.cancel_at) == (foreign.appointments[0].start_at, None, None)
    for unknown in ("999999", "0", str(2**63), "9" * 60, "-1", "x"):
        assert home.site.get(f"/my/visits/{unknown}").status_code == 404
        assert home.site.get(f"/my/jobs/{unknown}").status_code == 404
        assert home.site.get(f"/my/contracts/{unknown}").status_code == 404


@pytest.mark.row("C7")
def test_staff_and_strangers_do_not_enter(home: Home, create_staff: Create) -> None:
    home.site.sign_out()
    home.site.get(home.at)
    assert home.site.url.startswith("/login")
    home.site.sign_in(create_staff(home.partner))
    assert home.site.get(home.at).status_code == 403


@pytest.mark.row("C1")
def test_an_inactive_customer_still_reads(home: Home) -> None:
    with unit_of_work(home.session):
        home.session.get_one(Customer, home.customer.id).active = False
    assert home.site.get("/my/").status_code == 200
    assert "Tue 24 Nov" in home.site.text
    assert home.site.get(home.at).status_code == 200


# Confirming


@pytest.mark.row("M8")
def test_confirming_by_the_button(home: Home) -> None:
    home.site.get("/my/")
    home.site.submit(button="Confirm this time")
    assert home.site.url == "/my/"
    assert "Thank you. You confirmed Tue 24 Nov, 9:00–11:00." in home.site.text
    assert "You confirmed" in home.site.page.select_one(".tag-yes").get_text()
    assert not [button for button in home.site.page.select("button") if "Confirm" in button.get_text()]
    assert home.visit.confirmed_by == "customer"
    answer = home.site.post(f"{home.at}/confirm", {"move_number": "1"})
    assert answer.status_code == 409
    assert "This visit is confirmed already." in home.site.text


@pytest.mark.row("M8")
def test_a_confirmation_is_of_the_time_that_the_page_showed(home: Home) -> None:
    home.site.get("/my/")
    home.by_staff(services.reschedule, home.job.id, THURSDAY)
    answer = home.site.submit(button="Confirm this time")
    assert answer.status_code == 409
    assert "moved or reassigned meanwhile" in home.site.text
    assert home.visit.confirmed_at is None


@pytest.mark.row("M8")
def test_staff_confirming_is_said_with_its_subject(home: Home) -> None:
    home.by_staff(fieldwork.confirm, home.visit_id)
    home.site.get("/my/")
    assert "We confirmed it with you" in home.site.text
    assert "You confirmed" not in home.site.text


@pytest.mark.row("M8")
@pytest.mark.parametrize("number", ["", "x", "-1", "²", "9" * 40])
def test_a_form_that_is_not_ours_confirms_nothing(home: Home, number: str) -> None:
    assert home.site.post(f"{home.at}/confirm", {"move_number": number}).status_code == 400
    assert home.visit.confirmed_at is None


# Moving


@pytest.mark.row("M1", "M6")
def test_moving_goes_one_question_a_page_and_comes_back_to_the_result(home: Home) -> None:
    home.site.get("/my/")
    home.site.get(home.site.page.find("a", string="Modify")["href"])
    assert [str(radio["value"]) for radio in home.site.page.select("input[name=act]")] == ["move", "cancel"]
    home.site.submit()
    assert home.site.url == f"{home.at}/move"
    home.site.get(home.site.page.find("b", string="Thu 26 Nov").parent["href"])
    home.site.submit({"start": "2026-11-26T13:00Z"}, button="Continue")
    now, new = (" ".join(box.get_text(" ").split()) for box in home.site.page.select(".compare > div"))
    assert (now, new) == ("Now Tue 24 Nov 9:00–11:00", "New Thu 26 Nov 13:00–15:00")
    assert "Choosing this time also confirms it." in home.site.text
    assert "Tomás Reyes, as before" in home.site.text
    home.site.submit(button="Move to Thu 26 Nov, 13:00–15:00")
    assert home.site.url == f"{home.at}/moved"
    assert "Your visit is moved" in home.site.text
    assert "Was Tue 24 Nov, 9:00–11:00" in home.site.text
    assert f"An email goes to {home.user.email}." in home.site.text
    assert "We remind you on Wed 25 Nov." in home.site.text
    home.site.get("/my/")
    card = " ".join(home.site.page.select_one(".next").get_text(" ").split())
    assert "Thu 26 Nov 13:00–15:00" in card
    assert "You confirmed" in card
    visit = home.visit
    assert (visit.id, visit.start_at, visit.customer_moves) == (home.visit_id, THURSDAY, 1)
    assert home.history()[-1] == ("reschedule", "customer")
    assert home.messages()[-1] == "moved"
    told = select(Message.kind).where(Message.technician_id.is_not(None)).order_by(Message.id.desc())
    assert home.session.scalars(told).first() == "technician_moved"


@pytest.mark.row("M1", "M4")
def test_times_of_somebody_else_are_offered_where_the_technician_is_gone(home: Home, create_technician: Create) -> None:
    home.site.get(f"{home.at}/move?day=2026-11-26")
    assert "Times shown are when Tomás Reyes is free for the whole visit" in home.site.text
    create_technician(home.partner, name="Ines Kowalski")
    with unit_of_work(home.session):
        home.session.get_one(Technician, home.technician.id).active = False
    home.site.get(f"{home.at}/move?day=2026-11-26")
    assert "Times shown are when somebody is free for the whole visit" in home.site.text
    home.site.submit({"start": "2026-11-26T13:00Z"}, button="Continue")
    assert "Somebody who is free then" in home.site.text
    assert "as before" not in home.site.text
    home.site.submit(button="Move to Thu 26 Nov, 13:00–15:00")
    assert home.site.url == f"{home.at}/moved"
    assert "Ines Kowalski" in home.site.text
    assert home.history()[-2:] == [("reschedule", "customer"), ("reassign", "system")]


@pytest.mark.row("M6")
def test_a_partner_may_want_the_customers_own_choice_confirmed_again(home: Home, set_controls: Create) -> None:
    set_controls(home.partner, own_choice_confirms=False)
    to_check(home)
    assert "also confirms it" not in home.site.text
    home.site.submit(button="Move to")
    assert "We still ask you to confirm it, in My Schedule." in home.site.text
    home.site.get("/my/")
    home.site.submit(button="Confirm this time")
    assert home.visit.is_confirmed


@pytest.mark.row("M3")
@pytest.mark.parametrize(
    ("controls", "says"),
    [
        # What holds of the visit as it is moved: confirmed by the choice, or not, and so long before its new start.
        ({}, {"cancel": False, "move": True}),
        ({"cancel_confirmed": True}, {"cancel": True, "move": True}),
        ({"own_choice_confirms": False}, {"cancel": True, "move": True}),
        ({"cancel_confirmed": True, "cancel_cutoff_hours": 95}, {"cancel": False, "move": True}),
        ({"own_choice_confirms": False, "reschedule_cutoff_hours": 95}, {"cancel": True, "move": False}),
        ({"own_choice_confirms": False, "max_moves": 1}, {"cancel": True, "move": False}),
    ],
    ids=["confirmed", "allowed", "unconfirmed", "cancel cutoff", "move cutoff", "moves"],
)
def test_the_check_page_says_what_the_new_time_no_longer_allows(
    home: Home, set_controls: Create, controls: dict[str, Any], says: dict[str, bool]
) -> None:
    set_controls(home.partner, **controls)
    assert timedelta(hours=95) == TUESDAY - NOW
    to_check(home, day="2026-11-24", start=f"{TUESDAY - timedelta(hours=1):%Y-%m-%dT%H:%MZ}")
    assert ("At the new time, only our office can cancel it." not in home.site.text) is says["cancel"]
    assert ("After this, only our office can move it again." not in home.site.text) is says["move"]
    # It is what the page says afterwards.
    home.site.submit(button="Move to")
    home.site.get(f"{home.at}/modify")
    acts = [str(radio["value"]) for radio in home.site.page.select("input[name=act]")]
    assert ("cancel" in acts, "move" in acts) == (says["cancel"], says["move"])


@pytest.mark.row("M1")
def test_change_keeps_what_was_entered(home: Home) -> None:
    to_check(home)
    change = home.site.page.select(".check .do a")
    assert [link.get_text(" ").split()[0] for link in change] == ["Change", "Change"]
    home.site.get(change[1]["href"].partition("#")[0])
    assert home.site.page.select_one(".days [aria-current]").b.get_text() == "Thu 26 Nov"
    assert home.site.page.select_one("input[name=start][checked]")["value"] == "2026-11-26T13:00Z"


@pytest.mark.row("M4")
def test_days_and_times_are_the_technicians_free_ones(
    home: Home, create_installation: Create, create_technician: Create
) -> None:
    create_technician(home.partner, name="Ines Kowalski")
    create_installation(home.partner, None, home.technician, start=THURSDAY)
    save(home.session, Holiday(partner_id=home.partner.id, day=date(2026, 11, 25), name="Town fair"))
    home.site.get(f"{home.at}/move")
    days = {day.b.get_text(): day.small.get_text() for day in home.site.page.select(".days .pill")}
    assert list(days) == [
        "Sat 21 Nov", "Sun 22 Nov", "Mon 23 Nov", "Tue 24 Nov", "Wed 25 Nov", "Thu 26 Nov", "Fri 27 Nov", "Later",
    ]  # fmt: skip
    assert {days["Sat 21 Nov"], days["Sun 22 Nov"], days["Wed 25 Nov"]} == {"closed"}
    assert days["Later"] == "from Sat 28 Nov"
    home.site.get(f"{home.at}/move?day=2026-11-26")
    times = [label.get_text().strip() for label in home.site.page.select(".times label")]
    assert times[0] == "8:00–10:00"
    assert "13:00–15:00" not in times
    assert times[-1] == "16:00–18:00"
    assert [part.get_text() for part in home.site.page.select(".part")] == ["Morning", "Afternoon"]
    # their own present time is not in the way of itself, and not a time to move to
    home.site.get(f"{home.at}/move?day=2026-11-24")
    times = [label.get_text().strip() for label in home.site.page.select(".times label")]
    assert "9:30–11:30" in times
    assert "9:00–11:00" not in times


@pytest.mark.row("M4")
def test_later_and_earlier_reach_to_the_end_of_the_horizon(home: Home, set_controls: Create) -> None:
    set_controls(home.partner, horizon_days=12)
    home.site.get(f"{home.at}/move")
    home.site.get(home.site.page.find("b", string="Later").parent["href"].partition("#")[0])
    days = [day.get_text() for day in home.site.page.select(".days b")]
    assert days == ["Earlier", "Sat 28 Nov", "Sun 29 Nov", "Mon 30 Nov", "Tue 1 Dec", "Wed 2 Dec"]
    assert "You can book up to 12 days ahead." in home.site.text
    gone = home.site.get(f"{home.at}/move/check?start=2026-12-03T10:00Z")
    assert gone.status_code == 409
    assert "That is too far ahead; the last day is Wed 2 Dec." in home.site.text
    assert "Somebody may have taken it" not in home.site.text


@pytest.mark.row("M4")
def test_a_week_without_a_free_time_leads_to_the_next_day_that_has_one(home: Home) -> None:
    for offset in range(-3, 4):
        day = (TUESDAY + timedelta(days=offset)).date()
        save(home.session, Holiday(partner_id=home.partner.id, day=day, name="Works closed"))
    home.site.get(f"{home.at}/move")
    assert "No time is free on these days." in home.site.text
    home.site.get(home.site.page.select_one("#time a")["href"])
    assert home.site.page.select_one(".days [aria-current]").b.get_text() == "Mon 30 Nov"


@pytest.mark.row("M4")
def test_taking_a_time_without_a_technician_assigns_one(
    home: Home, create_installation: Create, create_technician: Create
) -> None:
    create_technician(home.partner, name="Ines Kowalski")
    job = create_installation(home.partner, home.customer, start=TUESDAY + timedelta(days=7))
    visit_id = job.appointments[0].id
    home.site.get(f"/my/visits/{visit_id}/move/check?start=2026-11-26T13:00Z")
    assert "Somebody who is free then" in home.site.text
    home.site.submit(button="Move to Thu 26 Nov, 13:00–15:00")
    assert "Technician Ines Kowalski" in home.site.text
    home.session.rollback()
    assert home.session.get_one(Job, job.id).status == "INSTALLER_ASSIGNED"


@pytest.mark.row("M4")
def test_each_of_two_repeated_hours_is_a_time_of_its_own_with_its_offset(
    home: Home, clock: Any, set_controls: Create
) -> None:
    clock.move_to(datetime(2027, 10, 25, 10, tzinfo=UTC))
    home.site.sign_in(home.user)
    sunday = datetime(2027, 10, 31, tzinfo=UTC)
    home.by_staff(services.reschedule, home.job.id, sunday + timedelta(days=2, hours=9))
    save(
        home.session,
        WorkingHours(
            partner_id=home.partner.id, technician_id=home.technician.id, weekday=6, start_minute=0, end_minute=360
        ),
    )
    home.site.get(f"{home.at}/move?day=2027-10-31")
    times = {label.input["value"]: label.get_text().strip() for label in home.site.page.select(".times label")}
    assert times["2027-10-31T00:30Z"] == "1:30 (UTC+1)–2:30"
    assert times["2027-10-31T01:30Z"] == "1:30 (UTC+0)–3:30"


@pytest.mark.row("M5")
def test_a_time_that_is_gone_at_the_last_moment_is_said_with_what_is_free_now(
    home: Home, create_installation: Create
) -> None:
    to_check(home)
    create_installation(home.partner, None, home.technician, start=THURSDAY)
    answer = home.site.submit(button="Move to")
    assert answer.status_code == 409
    notice = " ".join(home.site.page.select_one(".notice-danger").get_text(" ").split())
    assert notice.startswith("Not moved Thu 26 Nov, 13:00–15:00 is no longer free. Your visit is still on Tue 24 Nov,")
    assert "nothing was saved." in notice
    times = [label.get_text().strip() for label in home.site.page.select(".times label")]
    assert "8:00–10:00" in times
    assert "13:00–15:00" not in times
    assert (home.visit.start_at, home.visit.customer_moves) == (TUESDAY, 0)
    assert "moved" not in home.messages()
    # the way on from there works
    home.site.submit({"start": "2026-11-26T08:00Z"}, button="Continue")
    home.site.submit(button="Move to Thu 26 Nov, 8:00–10:00")
    assert home.visit.start_at == THURSDAY - timedelta(hours=5)


@pytest.mark.row("M5")
def test_a_time_that_went_before_the_check_page_is_explained(home: Home, create_installation: Create) -> None:
    home.site.get(f"{home.at}/move?day=2026-11-26")
    create_installation(home.partner, None, home.technician, start=THURSDAY)
    answer = home.site.submit({"start": "2026-11-26T13:00Z"}, button="Continue")
    assert answer.status_code == 409
    assert "Thu 26 Nov, 13:00–15:00 is no longer free." in home.site.text
    assert "Choose a day and a time" in home.site.text


@pytest.mark.row("M5")
def test_pressing_twice_moves_once(home: Home) -> None:
    to_check(home)
    form = {"move_number": "1", "start": "2026-11-26T13:00Z"}
    for _ in range(2):
        answer = home.site.post(f"{home.at}/move", form)
        assert answer.status_code == 303
        assert answer.location.endswith("/moved")
    assert home.visit.customer_moves == 1
    assert home.messages().count("moved") == 1


@pytest.mark.row("M5")
def test_taking_a_time_asks_for_nothing_twice(home: Home, statements: list[str]) -> None:
    to_check(home)
    statements.clear()
    assert home.site.post(f"{home.at}/move", {"move_number": "1", "start": "2026-11-26T13:00Z"}).status_code == 303
    assert sum("FROM message_rules" in one for one in statements) == 1
    assert sum("feature_controls" in one for one in statements) == 1
    assert sum(one.startswith("UPDATE appointments") for one in statements) == 1


@pytest.mark.row("M5")
def test_a_check_page_from_before_a_move_by_the_office_moves_nothing(home: Home) -> None:
    to_check(home)
    monday = TUESDAY + timedelta(days=6)
    home.by_staff(services.reschedule, home.job.id, monday)
    answer = home.site.submit(button="Move to")
    assert answer.status_code == 409
    assert "This visit was moved or reassigned meanwhile" in home.site.text
    assert "still on Mon 30 Nov, 9:00–11:00" in home.site.text
    assert home.visit.start_at == monday


@pytest.mark.row("M5")
def test_a_form_from_before_a_rule_changed_is_decided_by_the_rules_of_now(home: Home, set_controls: Create) -> None:
    usual = {
        "self_service": True,
        "reschedule_unconfirmed": True,
        "max_moves": 2,
        "reschedule_cutoff_hours": 24,
        "notice_hours": 24,
        "horizon_days": 60,
    }
    to_check(home)
    old = fields_of(home.site.form(action="/move"))
    history = home.history()

    def press_the_old_button() -> str:
        assert home.site.post(f"{home.at}/move", old).status_code == 409
        assert (home.visit.start_at, home.visit.move_number, home.history()) == (TUESDAY, 1, history)
        return home.site.text

    for changed, words in (
        ({"self_service": False}, "Changes to visits are made by our office."),
        ({"reschedule_unconfirmed": False}, "A visit that is not confirmed yet can only be moved by our office."),
        ({"max_moves": 0}, "You have moved this visit as often as is possible online (0)."),
        ({"reschedule_cutoff_hours": 96}, "You could move this visit yourself until today, 9:00."),
        (
            {"notice_hours": 168},
            "Not moved That is too soon; the earliest start is Fri 27 Nov, 10:00. Your visit is still",
        ),
        ({"horizon_days": 5}, "Not moved That is too far ahead; the last day is Wed 25 Nov."),
    ):
        set_controls(home.partner, **(usual | changed))
        assert words in press_the_old_button()
    set_controls(home.partner, **usual)
    holiday = save(home.session, Holiday(partner_id=home.partner.id, day=THURSDAY.date(), name="Town fair"))
    assert "Not moved That day is a holiday. Your visit is still on Tue 24 Nov, 9:00–11:00;" in press_the_old_button()
    forget(home.session, holiday)
    key = {"partner_id": home.partner.id}
    skill = save(home.session, Skill(name="Roofs", **key))
    needed = save(home.session, ServiceTypeSkill(service_type_id=home.job.service_type_id, skill_id=skill.id, **key))
    # by what it is, not who lacks what
    assert "Nobody who can do this kind of visit is free Thu 26 Nov, 13:00–15:00." in press_the_old_button()
    forget(home.session, needed)
    afternoon = THURSDAY + timedelta(minutes=90)
    off = save(home.session, TimeOff(technician_id=home.technician.id, start_at=THURSDAY, end_at=afternoon, **key))
    assert "Thu 26 Nov, 13:00–15:00 is no longer free." in press_the_old_button()
    forget(home.session, off)
    save(
        home.session, WorkingHours(technician_id=home.technician.id, weekday=3, start_minute=480, end_minute=840, **key)
    )
    assert "Thu 26 Nov, 13:00–15:00 is outside of working hours." in press_the_old_button()


@pytest.mark.row("M5")
def test_an_old_tab_and_a_replayed_form_move_nothing_any_more(home: Home, set_controls: Create) -> None:
    set_controls(home.partner, max_moves=3)
    friday = THURSDAY + timedelta(days=1)
    to_check(home, "2026-11-27", "2026-11-27T13:00Z")
    old_tab = fields_of(home.site.form(action="/move"))
    to_check(home)
    first = fields_of(home.site.form(action="/move"))
    home.site.submit(button="Move to")
    # the other tab, opened before
    assert home.site.post(f"{home.at}/move", old_tab).status_code == 409
    assert "This visit was moved or reassigned meanwhile; look at it again." in home.site.text
    assert "Your visit is still on Thu 26 Nov, 13:00–15:00; nothing was saved." in home.site.text
    # back, and the same button again: the first press did it
    assert home.site.post(f"{home.at}/move", first).location.endswith("/moved")
    assert home.visit.customer_moves == 1
    # back to the times, and another one: a page of now
    home.site.get(f"{home.at}/move?day=2026-11-27")
    home.site.submit({"start": "2026-11-27T13:00Z"}, button="Continue")
    home.site.submit(button="Move to Fri 27 Nov, 13:00–15:00")
    assert (home.visit.start_at, home.visit.customer_moves) == (friday, 2)
    # the first form once more does not take back what came after it
    assert home.site.post(f"{home.at}/move", first).status_code == 409
    assert "This visit was moved or reassigned meanwhile; look at it again." in home.site.text
    assert (home.visit.start_at, home.visit.customer_moves) == (friday, 2)
    # cancelled since, and the form of then
    home.by_staff(services.cancel, home.job.id, "As told on the telephone")
    assert home.site.post(f"{home.at}/move", first | {"move_number": ["3"]}).status_code == 409
    assert home.visit.status == "CANCELLED"


@pytest.mark.row("M1")
def test_choosing_nothing_is_said_at_the_field_and_in_the_summary(home: Home) -> None:
    home.site.get(f"{home.at}/move?day=2026-11-26")
    answer = home.site.submit(button="Continue")
    assert answer.status_code == 422
    assert home.site.page.title.get_text().startswith("Error:")
    assert home.site.page.select_one(".error-summary a").get_text() == "Choose a time"
    assert home.site.page.select_one("#time-error").get_text() == "Choose a time"
    assert home.site.page.select_one(".days [aria-current]").b.get_text() == "Thu 26 Nov"


@pytest.mark.row("M4")
@pytest.mark.parametrize(
    "start",
    [
        "",
        "tomorrow",
        "2026-11-26T13:00",
        "2026-11-31T13:00Z",
        "2026-11-26T13:07Z",
        "2026-11-19T13:00Z",
        "2026-11-24T09:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59Z",
        "2026-11-22T03:00Z",
        "🐈",
    ],
)
def test_a_start_that_is_no_free_time_moves_nothing(home: Home, start: str) -> None:
    answer = home.site.get(f"{home.at}/move/check", query_string={"start": start})
    assert answer.status_code in {409, 422}
    answer = home.site.post(f"{home.at}/move", {"move_number": "1", "start": start})
    assert answer.status_code == 409
    assert "nothing was saved" in home.site.text
    assert home.visit.start_at == TUESDAY


@pytest.mark.row("M4", "M5")
def test_a_start_that_cannot_be_says_why(home: Home, clock: Any) -> None:
    for start, words in (
        ("2026-11-20T09:30Z", "That time is in the past."),
        ("2026-11-24T09:00Z", "That is the time you have already."),
        ("2026-11-20T16:00Z", "That is too soon; the earliest start is Sat 21 Nov, 10:00."),
        ("2027-01-20T10:00Z", "That is too far ahead; the last day is Tue 19 Jan"),
        ("2026-11-26T13:07Z", "That time is not one of the free times."),
        ("2026-11-22T09:00Z", "That time is not one of the free times."),
        ("2026-11-26T17:00Z", "Thu 26 Nov, 17:00–19:00 is outside of working hours."),
        # an instant has an offset; half past two of a night without one is none
        ("2027-03-28T01:30", "That is no time to choose."),
        ("2026-11-26T13:00", "That is no time to choose."),
        ("10000-01-01T00:00Z", "That is no time to choose."),
        ("0000-00-00T00:00Z", "That is no time to choose."),
    ):
        assert home.site.post(f"{home.at}/move", {"move_number": "1", "start": start}).status_code == 409
        assert words in home.site.text, start
        assert home.visit.start_at == TUESDAY
        if words != "That is no time to choose.":
            assert home.site.get(f"{home.at}/move/check?start={start}").status_code == 409
            assert words in home.site.text, start


@pytest.mark.row("M4")
@pytest.mark.parametrize("day", ["", "31 June", "2026-06-31", "0001-01-01", "9999-12-31", "🐈", "2026-11-19"])
def test_a_day_that_makes_no_sense_is_the_first_week(home: Home, day: str) -> None:
    answer = home.site.get(f"{home.at}/move", query_string={"day": day})
    assert answer.status_code == 200
    assert home.site.page.select_one(".days b").get_text() == "Sat 21 Nov"


# Refused


@pytest.mark.row("M2", "M3")
@pytest.mark.parametrize(
    ("controls", "at", "sentence"),
    [
        ({"self_service": False}, NOW, "Changes to visits are made by our office."),
        (
            {"reschedule_unconfirmed": False, "cancel_unconfirmed": False},
            NOW,
            "A visit that is not confirmed yet can only be moved by our office.",
        ),
        ({}, TUESDAY - timedelta(hours=23), "You could move this visit yourself until Mon 23 Nov, 9:00."),
        ({"max_moves": 0, "cancel_unconfirmed": False}, NOW, "You have moved this visit as often as is possible"),
        ({}, TUESDAY, "This visit has already started."),
    ],
    ids=["off", "unconfirmed", "cutoff", "moves", "started"],
)
def test_refused_modify_says_which_rule_and_leads_on(
    home: Home, clock: Any, set_controls: Create, controls: dict[str, Any], at: datetime, sentence: str
) -> None:
    set_controls(home.partner, **controls)
    clock.move_to(at)
    home.site.get("/my/")
    assert not home.site.page.find_all("a", string="Modify")
    assert home.site.get(f"{home.at}/modify").status_code == 200
    assert sentence in home.site.text.replace("today, 9:00", "Mon 23 Nov, 9:00")
    assert home.site.page.select_one("main a[href='tel:01174960180']").get_text() == "Call 0117 496 0180"
    for path, data in (("move", {"start": "2026-11-26T13:00Z"}), ("cancel", {"reason": "Ill"})):
        assert home.site.post(f"{home.at}/{path}", {"move_number": "1", **data}).status_code == 409
        assert home.site.get(f"{home.at}/{path}").status_code == 409
    assert home.site.get(f"{home.at}/move/check?start=2026-11-26T13:00Z").status_code == 409
    assert home.site.post(f"{home.at}/cancel/check", {"reason": "Ill"}).status_code == 409
    assert (home.visit.start_at, home.visit.cancel_at) == (TUESDAY, None)


@pytest.mark.row("M3")
def test_where_only_one_is_allowed_the_other_says_why_not(home: Home, set_controls: Create) -> None:
    home.by_staff(fieldwork.confirm, home.visit_id)
    home.site.get(f"{home.at}/modify")
    assert [str(radio["value"]) for radio in home.site.page.select("input[name=act]")] == ["move"]
    assert "A confirmed visit can only be cancelled by our office. Request change" in home.site.text
    assert home.site.get(f"{home.at}/cancel").status_code == 409
    assert home.site.page.h1.get_text() == "You cannot cancel this visit yourself"
    assert home.site.page.find("a", string="Move it to another time")["href"] == f"{home.at}/move"
    set_controls(home.partner, reschedule_confirmed=False, cancel_confirmed=True)
    assert home.site.get(f"{home.at}/move").status_code == 409
    assert home.site.page.h1.get_text() == "You cannot move this visit yourself"
    assert home.site.page.find("a", string="Cancel the visit")["href"] == f"{home.at}/cancel"
    set_controls(home.partner, reschedule_confirmed=True, cancel_confirmed=False)
    # an act that is not offered is not taken from the address either
    home.site.get(f"{home.at}/modify?act=cancel")
    assert "What would you like to do?" in home.site.text


@pytest.mark.row("M2")
def test_a_start_exactly_at_the_cutoff_may_still_be_moved(home: Home, clock: Any) -> None:
    clock.move_to(TUESDAY - timedelta(hours=24))
    to_check(home)
    clock.move_to(TUESDAY - timedelta(hours=24) + timedelta(seconds=1))
    answer = home.site.submit(button="Move to")
    assert answer.status_code == 409
    assert "You could move this visit yourself until" in home.site.text
    assert "A visit can be moved until 24 hours before it starts." in home.site.text
    assert home.visit.start_at == TUESDAY


@pytest.mark.row("M3")
def test_a_visit_under_way_is_no_longer_the_customers_to_change(home: Home, clock: Any) -> None:
    clock.move_to(TUESDAY - timedelta(hours=1))
    home.by_staff(fieldwork.set_off, home.visit_id, home.visit.move_number)
    home.site.get("/my/")
    card = home.site.page.select_one(".next").get_text(" ")
    assert "On the Way 🚗" in card
    assert "confirmed yet" not in card
    offered = [one.text.strip() for one in home.site.page.select(".next button, .next a.btn")]
    assert offered == ["Track", "Call us"]
    assert home.site.post(f"{home.at}/cancel", {"reason": "Ill", "move_number": "1"}).status_code == 409
    assert home.visit.status == "ON_THE_WAY"


# Calendar


@pytest.mark.row("C10")
def test_a_visit_goes_into_a_calendar_that_knows_it_again_when_it_moves(home: Home, set_controls: Create) -> None:
    def event() -> Any:
        home.site.get(home.site.page.select_one("a[href$='.ics']")["href"])
        assert home.site.last.headers["Content-Type"].startswith("text/calendar")
        assert home.site.last.headers["Cache-Control"] == "no-store"
        (found,) = Calendar.from_ical(home.site.last.get_data()).walk("VEVENT")
        return found

    home.site.get("/my/")
    first = event()
    assert (first.decoded("dtstart"), first.decoded("dtend")) == (TUESDAY, TUESDAY + timedelta(hours=2))
    assert (str(first["summary"]), str(first["location"])) == (
        "Solar panel installation, Brightwell Solar & Heat",
        "14 Alder Close, Bristol BS6 5QT",
    )
    assert "between 9:00 and 11:00; the visit takes about 2 hours." in str(first["description"])
    assert (first["sequence"], first["status"], first["url"]) == (0, "CONFIRMED", f"http://127.0.0.1:8000{home.at}")
    to_check(home)
    home.site.submit(button="Move to")
    moved = event()
    assert (moved["uid"], moved["sequence"], moved.decoded("dtstart")) == (first["uid"], 1, THURSDAY)
    set_controls(home.partner, cancel_undo_minutes=0, cancel_confirmed=True)
    home.site.get(f"{home.at}/cancel")
    home.site.submit({"reason": "Nobody at home"})
    home.site.submit(button="Cancel Thu")
    gone = Calendar.from_ical(home.site.client.get(f"{home.at}/calendar.ics").get_data()).walk("VEVENT")[0]
    assert (gone["uid"], gone["sequence"], gone["status"]) == (first["uid"], 2, "CANCELLED")


# Cancelling


@pytest.mark.row("M7")
def test_cancelling_asks_why_checks_and_can_be_undone(home: Home, clock: Any) -> None:
    home.site.get(f"{home.at}/modify")
    home.site.submit({"act": "cancel"})
    home.site.submit({"reason": "  Nobody at home\r\nthat week  "}, button="Continue")
    assert "Nobody at home" in home.site.page.select_one(".check").get_text()
    assert "It takes effect after 10 minutes; until then you can undo it." in home.site.text
    home.site.submit(button="Cancel Tue 24 Nov, 9:00–11:00")
    assert home.site.url == f"{home.at}/cancelled"
    assert home.site.page.h1.get_text() == "Cancelling at 10:10"
    # Whatever a tab that was open before asks leads to where it can be undone.
    for path in ("move", "cancel"):
        assert home.site.client.get(f"{home.at}/{path}").location == f"{home.at}/cancelled", path
    assert home.site.post(f"{home.at}/cancel/check", {"reason": "Away"}).status_code == 409
    assert home.site.page.h1.get_text() == "Cancelling at 10:10"
    assert home.site.page.select_one(f"form[action='{home.at}/undo']") is not None
    home.site.get("/my/")
    card = " ".join(home.site.page.select_one(".next").get_text(" ").split())
    assert "Tue 24 Nov 9:00–11:00" in card
    assert "Cancelling at 10:10" in card
    assert "Appointment Confirmed" not in card
    assert not home.site.page.find_all("a", string="Modify")
    assert home.visit.status == "SCHEDULED"
    clock.move_to(NOW + timedelta(minutes=9))
    home.site.submit(button="Undo")
    assert "Your visit stays: Tue 24 Nov, 9:00–11:00." in home.site.text
    assert home.visit.cancel_at is None
    assert home.history()[-2:] == [("request_cancel", "customer"), ("undo_cancel", "customer")]
    # pressed twice: the first press did it, and nothing is done again
    answer = home.site.post(f"{home.at}/undo")
    assert (answer.status_code, answer.location) == (303, "/my/")
    assert home.history()[-2:] == [("request_cancel", "customer"), ("undo_cancel", "customer")]
    # what nobody cancelled is not undone
    home.by_staff(services.reschedule, home.job.id, THURSDAY)
    home.site.get(f"{home.at}/cancel")
    home.site.submit({"reason": "Away"})
    home.site.submit(button="Cancel Thu")
    home.by_staff(services.undo_cancel, home.visit_id)
    assert home.site.post(f"{home.at}/undo").status_code == 409
    assert "There is no cancel to undo or make final." in home.site.text


@pytest.mark.row("M7")
def test_a_cancel_takes_effect_after_the_undo_time_and_stays_in_the_history(home: Home, clock: Any) -> None:
    home.site.get(f"{home.at}/cancel")
    home.site.submit({"reason": "Nobody at home"})
    home.site.submit(button="Cancel Tue")
    # pressed again: the first press did it
    twice = {"reason": "Nobody at home", "move_number": "1"}
    assert home.site.post(f"{home.at}/cancel", twice).status_code == 303
    assert home.site.get(f"{home.at}/modify").request.path == f"{home.at}/cancelled"
    clock.move_to(NOW + timedelta(minutes=10))
    home.site.get("/my/")
    assert "Being cancelled" in home.site.text
    for _ in range(2):
        assert home.site.post(f"{home.at}/undo").status_code == 409
        assert "The cancel has taken effect." in home.site.text
        with unit_of_work(home.session):
            services.finalise_due_cancel(home.session, datetime.now(UTC), home.visit_id)
    assert home.site.post(f"{home.at}/cancel", twice).location.endswith("/cancelled")
    home.site.get("/my/")
    assert "No appointment is planned." in home.site.text
    home.site.get(home.site.page.select_one("#past .row-link")["href"])
    assert "Cancelled by you" in home.site.text
    assert "“Nobody at home”" in home.site.text
    assert (home.visit.status, home.job_now.status) == ("CANCELLED", "CANCELLED")
    assert home.history()[-1] == ("cancel", SYSTEM.role.value)


@pytest.mark.row("M7", "M5")
def test_a_cancel_is_of_the_time_that_the_page_showed_and_by_the_rules_of_now(home: Home, set_controls: Create) -> None:
    home.site.get(f"{home.at}/cancel")
    home.site.submit({"reason": "Nobody at home"})
    old = fields_of(home.site.form(button="Cancel Tue"))
    home.by_staff(services.reschedule, home.job.id, THURSDAY)
    answer = home.site.submit(button="Cancel Tue 24 Nov, 9:00–11:00")
    assert answer.status_code == 409
    assert "Not cancelled This visit was moved or reassigned meanwhile; look at it again." in home.site.text
    assert "Nobody at home" in home.site.page.select_one(".check").get_text()
    assert home.visit.cancel_at is None
    # the page that says so asks about the time of now
    home.site.submit(button="Cancel Thu 26 Nov, 13:00–15:00")
    assert home.site.page.h1.get_text() == "Cancelling at 10:10"
    home.site.submit(button="Undo")
    # back, and the same form again: it was undone, and is asked anew under the rules of now
    set_controls(home.partner, cancel_unconfirmed=False)
    assert home.site.post(f"{home.at}/cancel", old | {"move_number": ["2"]}).status_code == 409
    assert "A visit that is not confirmed yet can only be cancelled by our office." in home.site.text
    assert home.visit.cancel_at is None
    # nor does a form without the number that the page gave it
    assert home.site.post(f"{home.at}/cancel", {"reason": "Nobody at home"}).status_code == 400


@pytest.mark.row("M7")
def test_without_an_undo_time_a_cancel_takes_effect_at_once(home: Home, set_controls: Create) -> None:
    set_controls(home.partner, cancel_undo_minutes=0)
    home.site.get(f"{home.at}/cancel")
    home.site.submit({"reason": "Nobody at home"})
    assert "It takes effect at once and cannot be undone." in home.site.text
    home.site.submit(button="Cancel Tue")
    assert home.site.page.h1.get_text() == "Your visit is cancelled"
    twice = home.site.post(f"{home.at}/cancel", {"reason": "Nobody at home", "move_number": "1"})
    assert (twice.status_code, twice.location) == (303, f"{home.at}/cancelled")
    assert not home.site.page.find_all("button", string="Undo: keep the visit")
    assert home.visit.status == "CANCELLED"


@pytest.mark.row("M7")
def test_a_reason_of_the_office_is_not_shown_as_the_customers(home: Home) -> None:
    home.by_staff(services.cancel, home.job.id, "Customer owes us money")
    home.site.get(home.at)
    assert "Cancelled" in home.site.text
    assert "owes us" not in home.site.text
    assert home.site.get(f"{home.at}/cancelled").request.path == home.at


@pytest.mark.row("M7")
@pytest.mark.parametrize(
    ("reason", "message"), [("", "Enter a reason"), ("  \n ", "Enter a reason"), ("x" * 10_000, "Use 2000 characters")]
)
def test_a_reason_that_is_none_is_said_at_the_field(home: Home, reason: str, message: str) -> None:
    home.site.get(f"{home.at}/cancel")
    answer = home.site.submit({"reason": reason})
    assert answer.status_code == 422
    assert message in home.site.page.select_one(".error-summary a").get_text()
    assert message in home.site.page.select_one("#reason-error").get_text()
    assert home.site.page.select_one("#reason").get_text().strip() == reason.strip()
    assert home.site.post(f"{home.at}/cancel", {"reason": reason, "move_number": "1"}).status_code == 422
    assert home.visit.cancel_at is None


@pytest.mark.row("M7")
def test_changing_the_reason_keeps_what_was_typed(home: Home) -> None:
    home.site.get(f"{home.at}/cancel")
    home.site.submit({"reason": "Nobody “at home” 🐈 <b>"})
    change = home.site.page.select_one(".check .do button")["formaction"]
    home.site.post(change, {"reason": home.site.page.select_one("input[name=reason]")["value"]})
    assert home.site.page.select_one("#reason").get_text().strip() == "Nobody “at home” 🐈 <b>"
    # a reload without the form leads to the question, not to an error
    assert home.site.get(f"{home.at}/cancel/check").request.path == f"{home.at}/cancel"
    assert home.site.get(f"{home.at}/cancel/reason").request.path == f"{home.at}/cancel"


@pytest.mark.row("M1")
@pytest.mark.parametrize("path", ["moved", "cancelled"])
def test_proof_of_what_did_not_happen_is_not_shown(home: Home, path: str) -> None:
    assert home.site.get(f"{home.at}/{path}").request.path == home.at
    # nor of what the office did
    home.by_staff(services.reschedule, home.job.id, THURSDAY)
    assert home.site.get(f"{home.at}/{path}").request.path == home.at


def test_every_post_needs_the_token_of_the_form(home: Home) -> None:
    for path in ("confirm", "undo", "move", "cancel", "cancel/check", "cancel/reason"):
        assert home.site.client.post(f"{home.at}/{path}", data={"reason": "x"}).status_code == 400
    assert home.site.client.post(f"/my/jobs/{home.job.id}/approve").status_code == 400
    assert (home.visit.confirmed_at, home.visit.cancel_at) == (None, None)
