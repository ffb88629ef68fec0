"""Status × action × role through HTTP, against expectations transcribed by hand from the lifecycle tables.

Deriving them from the code's own tables would prove nothing. Each cell is posted by hand, past whatever the screen
offers; what a screen offers is compared with the same expectations.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from io import BytesIO
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.domain.contracts.models import Contract
from portal.domain.jobs.models import Appointment, HistoryEntry, Job
from portal.domain.people.models import Customer, Partner, Technician, User
from portal.domain.scheduling.models import PauseReason, ServiceType
from tests.conftest import Database
from tests.helpers import Site
from tests.sharing import Item, share_of

Create = Callable[..., Any]

# A Tuesday morning in London; the visits are at half past nine, the follow-ups on Thursday.
NOW = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
START = NOW + timedelta(hours=1)
FREE = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)

ACTIONS = (
    "assign",
    "reassign",
    "reject",
    "reschedule",
    "cancel",
    "send_contract",
    "send_corrected_contract",
    "sign_contract",
    "approve",
)
# Where the installation stands -> what staff may do; what the customer may do (Modify allowed by every rule); what the
# customer has done already, so that doing it again is no error and counts once.
INSTALLATION: dict[str, tuple[set[str], set[str], set[str]]] = {
    "SCHEDULED": ({"assign", "reject", "reschedule", "cancel"}, {"reschedule", "cancel"}, set()),
    "INSTALLER_ASSIGNED": ({"reassign", "reschedule", "cancel"}, {"reschedule", "cancel"}, set()),
    "PREPARING": ({"reassign", "reschedule", "cancel"}, {"reschedule", "cancel"}, set()),
    "CANCELLING": (set(), set(), {"cancel"}),
    "EN_ROUTE": ({"reassign"}, set(), set()),
    "ARRIVED": ({"reassign"}, set(), set()),
    "PAUSED_AT_THE_DOOR": ({"reassign"}, set(), set()),
    "INSTALLATION_IN_PROGRESS": (set(), set(), set()),
    "PAUSED": ({"cancel"}, set(), set()),
    # The customer cancels the follow-up visit; the installation stays in progress.
    "FOLLOW_UP_PLANNED": ({"reschedule", "cancel"}, {"reschedule", "cancel"}, set()),
    "NEEDS_A_VISIT": ({"reschedule", "cancel"}, set(), set()),
    "INSTALLATION_COMPLETED": ({"send_contract"}, set(), set()),
    "CONTRACT_SENT": ({"send_corrected_contract", "sign_contract"}, {"sign_contract"}, set()),
    "CONTRACT_SIGNED": ({"approve"}, {"approve"}, set()),
    "CUSTOMER_APPROVED": (set(), set(), set()),
    "CANCELLED": (set(), set(), set()),
    "REJECTED": (set(), set(), set()),
}
GUARDED = {"assign", "reassign", "reject"}

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
# Where the visit stands -> the steps of the field; a step tapped again that has led here counts once and is no error.
VISIT: dict[str, tuple[set[str], set[str]]] = {
    "SCHEDULED": (set(), set()),
    "INSTALLER_ASSIGNED": ({"prepare", "set_off"}, set()),
    "PREPARING": ({"set_off"}, {"prepare"}),
    "CANCELLING": (set(), set()),
    "EN_ROUTE": ({"arrive", "turn_back"}, {"set_off"}),
    "ARRIVED": ({"start_work", "pause", "turn_back"}, {"arrive"}),
    "PAUSED_AT_THE_DOOR": ({"resume", "continue_later"}, {"pause"}),
    "INSTALLATION_IN_PROGRESS": ({"pause", "complete"}, {"start_work", "resume"}),
    "PAUSED": ({"resume", "continue_later"}, {"pause"}),
    "NEEDS_A_VISIT": (set(), {"continue_later"}),
    "INSTALLATION_COMPLETED": (set(), {"complete"}),
    "CANCELLED": (set(), set()),
    "REJECTED": (set(), set()),
}
CONFIRMABLE = {"SCHEDULED", "INSTALLER_ASSIGNED", "PREPARING"}


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@dataclass
class Person:
    """Somebody signed in, with a token that is good for all of their session."""

    site: Site
    token: str

    def post(self, url: str, data: dict[str, Any]) -> int:
        """Send ``data`` to ``url`` by hand and return the status of the answer, 302 for any way on."""
        answer = self.site.client.post(url, data={"csrf_token": self.token, **data})
        return 302 if answer.status_code == 303 else answer.status_code


@dataclass
class World:
    """A partner, one person of each role, and the means to bring an installation anywhere."""

    session: Session
    partner: Partner
    customer: Customer
    kind: ServiceType
    reason: int
    people: dict[str, Person]
    create_in: Create
    create_technician: Create
    database: str
    wrong: list[str] = field(default_factory=list)

    def refused(self, *roles: str) -> list[tuple[str, Person]]:
        """Return those of ``roles`` whom no status lets in."""
        # Before any row is read: no database changes that, so that one is asked.
        return [(role, self.people[role]) for role in roles] if self.database == "sqlite" else []

    def share(self, states: Iterable[Item]) -> list[Item]:
        """Return the states that are walked through on this database."""
        return share_of(states, self.database)

    def make(self, state: str, technician: Technician | None = None) -> Job:
        job: Job = self.create_in(
            self.partner, state, self.customer, technician=technician, start=START, kind=self.kind
        )
        return job

    def now(self, job: Job) -> tuple[Any, ...]:
        """Return all that a use case could have changed about ``job``."""
        self.session.rollback()
        visits = select(
            Appointment.id, Appointment.status, Appointment.technician_id, Appointment.start_at, Appointment.version
        )
        return (
            self.session.execute(select(Job.status, Job.version).where(Job.id == job.id)).one(),
            tuple(self.session.execute(visits.where(Appointment.job_id == job.id).order_by(Appointment.id)).all()),
            self.session.scalar(select(func.count()).select_from(HistoryEntry).where(HistoryEntry.job_id == job.id)),
            self.session.scalar(select(func.count()).select_from(Contract).where(Contract.job_id == job.id)),
        )

    def contract_of(self, job: Job) -> int | None:
        query = select(Contract.id).where(Contract.job_id == job.id).order_by(Contract.id.desc())
        return self.session.scalars(query).first()

    def expect(self, what: str, answer: int, wanted: int) -> None:
        """Note where the answer is not the one wanted."""
        if answer != wanted:
            self.wrong.append(f"{what}: {answer} instead of {wanted}")

    def expect_same(self, what: str, found: object, wanted: object) -> None:
        """Note where two things that should be the same are not."""
        if found != wanted:
            self.wrong.append(f"{what}: {found} instead of {wanted}")

    def expect_done(self, what: str, job: Job, do: Callable[[], int]) -> None:
        """Note where ``do`` is not accepted, or changes nothing about ``job``."""
        before = self.now(job)
        self.expect(what, do(), 302)
        if self.now(job) == before:
            self.wrong.append(f"{what}: changed nothing")

    def expect_unchanged(self, what: str, job: Job, before: tuple[Any, ...]) -> None:
        """Note where any of what was refused left a trace on ``job`` all the same."""
        if self.now(job) != before:
            self.wrong.append(f"{what}: something refused was done")


@pytest.fixture
def world(
    database: Database,
    app: Flask,
    session: Session,
    create_partner: Create,
    create_user: Create,
    create_staff: Create,
    create_technician: Create,
    create_customer: Create,
    create_service_type: Create,
    create_installation_in: Create,
    set_controls: Create,
) -> World:
    partner = create_partner()
    set_controls(
        partner,
        self_service=True,
        reschedule_confirmed=True,
        reschedule_unconfirmed=True,
        cancel_confirmed=True,
        cancel_unconfirmed=True,
        reschedule_cutoff_hours=0,
        cancel_cutoff_hours=0,
        notice_hours=0,
    )
    users: dict[str, User] = {
        "operator": create_user(is_operator=True),
        "partner_admin": create_staff(partner, role="partner_admin"),
        "dispatcher": create_staff(partner),
        "technician": create_user(),
        "customer": create_user(),
    }
    people = {}
    for role, user in users.items():
        site = Site(app.test_client())
        if role == "technician":
            create_technician(partner, user)
        elif role == "customer":
            customer = create_customer(partner, user)
        site.sign_in(user)
        people[role] = Person(site, site.token())
    return World(
        session=session,
        partner=partner,
        customer=customer,
        kind=create_service_type(partner),
        reason=session.scalars(select(PauseReason.id).where(PauseReason.partner_id == partner.id)).first() or 0,
        people=people,
        create_in=create_installation_in,
        create_technician=create_technician,
        database=database.name,
    )


def office(job: Job, action: str) -> str:
    return f"/admin/installations/{job.id}/{action}"


def office_form(world: World, action: str) -> dict[str, Any]:
    """Return what staff fill in for an action, complete and right."""
    if action in {"assign", "reassign", "reschedule"}:
        # Somebody new each time, so that nobody is booked already by what an earlier cell did.
        who = {"technician": str(world.create_technician(world.partner).id), "despite_warnings": "y"}
        return who if action != "reschedule" else {"date": "2026-11-27", "time": "10:00", **who}
    if action in {"reject", "cancel", "send_corrected_contract"}:
        return {"reason": "As told on the telephone"}
    if action == "sign_contract":
        return {"file": (BytesIO(b"%PDF-1.7 a scan"), "scan.pdf")}
    return {}


def customers_door(world: World, job: Job, action: str) -> tuple[str, dict[str, Any]] | None:
    """Return where the customer's page of ``job`` posts an action, and its form; ``None`` where there is no page."""
    visit = max(job.appointments, key=lambda one: (one.start_at, one.id))
    if action == "reschedule":
        sent = {"start": FREE.isoformat(), "move_number": str(visit.move_number)}
        return f"/my/visits/{visit.id}/move", sent
    if action == "cancel":
        return f"/my/visits/{visit.id}/cancel", {"reason": "We are away", "move_number": str(visit.move_number)}
    if action == "sign_contract":
        contract = world.contract_of(job)
        if contract is None:
            return None
        reader = world.people["customer"].site
        reader.get(f"/my/contracts/{contract}")
        shown = reader.page.select_one("input[name=shown]")
        sent = {"name": "Their customer", "consent": "y", "shown": shown["value"] if shown else ""}
        return f"/my/contracts/{contract}/sign", sent
    if action == "approve":
        return f"/my/jobs/{job.id}/approve", {}
    return None


def hrefs(site: Site, prefix: str) -> set[str]:
    """Return the last parts of the addresses under ``prefix`` that the page in front leads or posts to.

    What stands in a template is shown by nobody before its step is the next, without signal.
    """
    links = [link for link in site.page.select("a[href], form[action]") if link.find_parent("template") is None]
    found = [str(link.get("href") or link.get("action")) for link in links]
    return {match[1] for address in found if (match := re.fullmatch(re.escape(prefix) + r"/(\w+)", address))}


@pytest.mark.row("P9")
@pytest.mark.row("J10")
def test_what_staff_may_do_with_an_installation(world: World) -> None:
    for state, (allowed, _, _) in world.share(INSTALLATION.items()):
        standing = world.make(state)
        before = world.now(standing)
        for role in ("dispatcher", "partner_admin"):
            person = world.people[role]
            person.site.get(f"/admin/installations/{standing.id}")
            shown = hrefs(person.site, f"/admin/installations/{standing.id}") & set(ACTIONS)
            world.expect_same(f"{state}, shown to {role}", shown, allowed)
            for action in ACTIONS:
                what, sent = f"{state}, {action} by {role}", office_form(world, action)
                if action in allowed:
                    job = world.make(state)
                    world.expect_done(what, job, partial(person.post, office(job, action), sent))
                else:
                    world.expect(what, person.post(office(standing, action), sent), 409)
        world.expect_unchanged(f"{state}, staff", standing, before)
    assert world.wrong == []


@pytest.mark.row("P9")
def test_the_list_offers_the_three_guarded_buttons_as_the_table_says(world: World) -> None:
    jobs = {state: world.make(state) for state in INSTALLATION}
    site = world.people["dispatcher"].site
    site.get("/admin/installations/")
    for state, job in jobs.items():
        row = site.page.select_one(f"tr[data-job='{job.id}']")
        assert row is not None, state
        links = {str(link["href"]).rpartition("/")[2] for link in row.select("a[href]")} & set(ACTIONS)
        assert links == INSTALLATION[state][0] & GUARDED, state


@pytest.mark.row("P9")
@pytest.mark.row("C7")
def test_what_everybody_else_may_do_with_an_installation(world: World) -> None:
    customer = world.people["customer"]
    for state, (_, allowed, repeated) in world.share(INSTALLATION.items()):
        standing = world.make(state)
        before = world.now(standing)
        for action in ACTIONS:
            for role, person in world.refused("operator", "technician", "customer"):
                status = person.post(office(standing, action), {"reason": "x", "technician": "1"})
                world.expect(f"{state}, {action} by {role} in the office", status, 403)
            job = world.make(state) if action in allowed else standing
            door = customers_door(world, job, action)
            what = f"{state}, {action} by customer"
            if action in allowed:
                assert door is not None, what
                world.expect_done(what, job, partial(customer.post, *door))
            elif door is not None:
                world.expect(what, customer.post(*door), 302 if action in repeated else 409)
        _compare_what_the_customer_sees(world, customer.site, standing, state, allowed)
        world.expect_unchanged(f"{state}, everybody else", standing, before)
    assert world.wrong == []


def _compare_what_the_customer_sees(world: World, site: Site, job: Job, state: str, allowed: set[str]) -> None:
    visit = max(job.appointments, key=lambda one: (one.start_at, one.id))
    site.get(f"/my/visits/{visit.id}/modify")
    acts = {"move": "reschedule", "cancel": "cancel"}
    shown = {acts[str(choice["value"])] for choice in site.page.select("input[name=act]")}
    site.get(f"/my/jobs/{job.id}")
    shown |= hrefs(site, f"/my/jobs/{job.id}") & {"approve"}
    contract = world.contract_of(job)
    if contract is not None:
        site.get(f"/my/contracts/{contract}")
        shown |= {"sign_contract"} if "sign" in hrefs(site, f"/my/contracts/{contract}") else set()
    world.expect_same(f"{state}, shown to customer", shown, allowed)


def step_form(world: World, visit: Appointment, step: str) -> dict[str, Any]:
    """Return what a step asks for, complete and right."""
    sent: dict[str, Any] = {"move_number": str(visit.move_number)}
    if step == "pause":
        sent["pause_reason"] = str(world.reason)
    elif step == "turn_back":
        sent["reason"] = "Road closed"
    elif step == "continue_later":
        # The field's form calls the date a day; each form leaves alone what it does not know.
        sent |= {"day": "2026-11-30", "clock": "09:00", "date": "2026-11-30", "time": "09:00"}
    return sent


@dataclass
class Field:
    """A technician with a log-in of their own, so that nobody is busy with what another cell did."""

    technician: Technician
    person: Person


@pytest.fixture
def somebody(world: World, app: Flask, create_user: Create) -> Callable[[], Field]:
    def create() -> Field:
        user = create_user()
        technician = world.create_technician(world.partner, user)
        site = Site(app.test_client())
        site.sign_in(user)
        return Field(technician, Person(site, site.token()))

    return create


def field_door(job: Job, step: str) -> str:
    return f"/field/visits/{job.appointments[0].id}/{step}"


@pytest.mark.row("J4")
@pytest.mark.row("J5")
@pytest.mark.row("J6")
@pytest.mark.row("J8")
def test_the_steps_of_a_visit_in_the_field(world: World, somebody: Callable[[], Field]) -> None:
    for state, (allowed, repeated) in world.share(VISIT.items()):
        assigned = somebody()
        standing = world.make(state, assigned.technician)
        visit, before = standing.appointments[0], world.now(standing)
        for step in STEPS:
            sent = step_form(world, visit, step)
            colleague = world.people["technician"].post(field_door(standing, step), sent)
            world.expect(f"{state}, {step} by another technician", colleague, 404)
            for role, person in world.refused("operator", "dispatcher", "customer"):
                world.expect(f"{state}, {step} by {role}", person.post(field_door(standing, step), sent), 403)
            what = f"{state}, {step} by its technician"
            if step in allowed:
                other = somebody()
                job = world.make(state, other.technician)
                form = step_form(world, job.appointments[0], step)
                world.expect_done(what, job, partial(other.person.post, field_door(job, step), form))
            else:
                wanted = 404 if visit.technician_id is None else 302 if step in repeated else 409
                world.expect(what, assigned.person.post(field_door(standing, step), sent), wanted)
        assigned.person.site.get(f"/field/visits/{visit.id}")
        shown = hrefs(assigned.person.site, f"/field/visits/{visit.id}") & set(STEPS)
        world.expect_same(f"{state}, shown to its technician", shown, allowed)
        world.expect_unchanged(f"{state}, in the field", standing, before)
    assert world.wrong == []


@pytest.mark.row("J4")
@pytest.mark.row("J5")
@pytest.mark.row("M8")
def test_the_steps_of_a_visit_by_telephone(world: World) -> None:
    staff, customer = world.people["dispatcher"], world.people["customer"]
    for state, (steps, _) in world.share(VISIT.items()):
        allowed = steps | ({"confirm"} if state in CONFIRMABLE else set())
        standing = world.make(state)
        visit, before = standing.appointments[0], world.now(standing)
        staff.site.get(f"/admin/installations/{standing.id}")
        shown = hrefs(staff.site, f"/admin/installations/{standing.id}") & {*STEPS, "confirm"}
        world.expect_same(f"{state}, shown to dispatcher", shown, allowed)
        for step in (*STEPS, "confirm"):
            what, sent = f"{state}, {step} by dispatcher", step_form(world, visit, step)
            if step in allowed:
                job = world.make(state)
                form = step_form(world, job.appointments[0], step)
                world.expect_done(what, job, partial(staff.post, office(job, step), form))
            else:
                world.expect(what, staff.post(office(standing, step), sent), 409)
            for role, person in world.refused("technician", "customer", "operator"):
                world.expect(f"{state}, {step} by {role} in the office", person.post(office(standing, step), sent), 403)
        world.expect_unchanged(f"{state}, by telephone", standing, before)
        confirm = partial(customer.post, f"/my/visits/{visit.id}/confirm", {"move_number": str(visit.move_number)})
        if state in CONFIRMABLE:
            world.expect_done(f"{state}, confirm by customer", standing, confirm)
        else:
            world.expect(f"{state}, confirm by customer", confirm(), 409)
            world.expect_unchanged(f"{state}, confirm by customer", standing, before)
    assert world.wrong == []
