"""A job's page costs as much whatever is on the job, and shows at once whatever changes of it (P12)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.domain.actor import Actor, Role
from portal.domain.contracts import services as contracts
from portal.domain.contracts.queries import current_contract
from portal.domain.jobs import fieldwork, services
from portal.domain.jobs.models import Appointment, Job
from portal.domain.messages import outbox
from portal.domain.messages.outbox import Letter
from portal.domain.messages.reminders import decide_reminders
from portal.domain.notes.services import add_note
from portal.domain.people.models import Address, Customer, Technician
from portal.domain.photos.models import Photo
from portal.domain.photos.services import share_photo
from portal.domain.requests import services as requests
from portal.domain.requests.services import Wish
from portal.domain.scheduling.models import FeatureControls, PauseReason, ServiceType
from portal.domain.scheduling.overrides import edit_override
from portal.domain.scheduling.rules import OverrideValues, Owner
from portal.domain.surveys import setup
from portal.domain.surveys.services import SurveyInput, answer_survey
from portal.domain.surveys.setup import QuestionInput
from portal.domain.tenancy import system_scope
from portal.domain.tracking.models import Position
from portal.domain.unit_of_work import unit_of_work
from portal.web import attention, kept
from tests.factories import Create
from tests.helpers import Site
from tests.web.office import NOW, Office, clock, office

__all__ = ["clock", "office"]

pytestmark = pytest.mark.row("P12")
OWN = re.compile(r'name="csrf_token" value="[^"]+"|data-revision="[^"]+"')
MOST_STATEMENTS = 6


@dataclass
class Watched:
    """The page of one job in front of Dana, and what is done to that job by others."""

    app: Flask
    office: Office
    statements: list[str]
    new_session: Callable[..., Any]
    job: int
    url: str

    @property
    def site(self) -> Site:
        return self.office.site

    @property
    def visit(self) -> Appointment:
        return self.office.visits(self.job)[-1]

    @property
    def customer(self) -> Actor:
        own = frozenset({self.office.customer.id})
        return Actor(None, Role.CUSTOMER, "Priya", frozenset({self.office.partner.id}), customer_ids=own)

    def drawn(self) -> bool:
        """Ask for the page; whether it was drawn for that."""
        self.statements.clear()
        assert self.site.get(self.url).status_code == 200
        return any("FROM jobs" in one for one in self.statements)

    def plain(self) -> str:
        assert self.site.last is not None
        return OWN.sub("", self.site.last.text)

    def step(self, name: str, **values: Any) -> None:
        visit = self.visit
        self.office.do(getattr(fieldwork, name), visit.id, visit.move_number, **values)

    def send(self, how: str = "sent") -> None:
        """Do as the worker does with all that is due."""
        now = datetime.now(UTC)
        session = self.new_session(system_scope("system"))
        with unit_of_work(session):
            for held in outbox.claim(session, now, 100):
                if how == "sent":
                    outbox.record_sent(
                        session, held, now, Letter("id", "her@mail.example", "Acme", "Hello", "Hello", "")
                    )
                else:
                    outbox.record_failed(session, held, now, outbox.Failure("no answer"), 0.0)

    def save(self, model: Any, key: int, **values: Any) -> None:
        with unit_of_work(self.office.session) as session:
            for name, value in values.items():
                setattr(session.get_one(model, key), name, value)


@pytest.fixture
def watch(
    app: Flask, office: Office, statements: list[str], new_session: Callable[..., Any]
) -> Callable[[Job], Watched]:
    def of(job: Job) -> Watched:
        url = office.at(job) if job.workflow == "installation" else f"/admin/service-jobs/{job.id}"
        return Watched(app, office, statements, new_session, job.id, url)

    return of


def _add_photo(at: Watched) -> None:
    with unit_of_work(at.office.session) as session:
        visit = at.visit
        session.add(
            Photo(
                partner_id=visit.partner_id,
                customer_id=visit.customer_id,
                job_id=visit.job_id,
                appointment_id=visit.id,
                client_key="k",
                name="n",
                caption="The old boiler",
                width=4,
                height=3,
                taken_at=NOW,
                added_at=NOW,
                added_by_name="Ines",
            )
        )


def _photo(at: Watched) -> int:
    at.office.session.rollback()
    return at.office.session.scalars(select(Photo.id)).one()


def _position(at: Watched) -> None:
    with unit_of_work(at.office.session) as session:
        visit = at.visit
        session.add(
            Position(
                partner_id=visit.partner_id,
                customer_id=visit.customer_id,
                job_id=visit.job_id,
                appointment_id=visit.id,
                at=NOW,
                latitude=51.47,
                longitude=-2.6,
                accuracy=5,
            )
        )


def _pause(at: Watched) -> None:
    reason = at.office.session.scalars(select(PauseReason.id).where(PauseReason.partner_id == at.office.partner.id))
    at.step("pause", reason_id=reason.first())


def _survey(at: Watched) -> None:
    question = at.office.do(
        setup.create_question, at.office.partner.id, QuestionInput("Were we punctual?", "rating"), actor=_admin(at)
    )
    form = SurveyInput(4, "Well done", {question.wording.id: "5"})
    at.office.do(answer_survey, at.visit.id, form, actor=at.customer)


def _admin(at: Watched) -> Actor:
    return Actor(at.office.dana.id, Role.PARTNER_ADMIN, "Dana", frozenset({at.office.partner.id}))


def _sign(at: Watched) -> None:
    sent = current_contract(at.office.session, at.job)
    assert sent is not None
    at.office.do(contracts.sign_contract, sent.id, "Priya R. Raman", consent=True, actor=at.customer)


def _ask(at: Watched) -> None:
    at.office.do(requests.request_change, at.visit.id, Wish.MOVE, "Rather later", actor=at.customer)


def _everything(at: Watched) -> None:
    """Leave something of everything on an installation of today, up to the signed contract."""
    at.office.do(add_note, at.visit.id, "The bell is broken", "")
    _add_photo(at)
    _ask(at)
    at.office.do(edit_override, Owner.JOB, at.job, 0, OverrideValues(max_moves=7), actor=_admin(at))
    at.step("set_off", minutes=25)
    _position(at)
    at.send("failed")
    at.step("arrive")
    at.step("start_work")
    _pause(at)
    at.step("resume")
    at.step("complete", service_notes="All is well")
    _survey(at)
    at.office.do(contracts.send_contract, at.job)
    at.office.do(contracts.send_corrected_contract, at.job, "Another price")
    _sign(at)


def test_it_costs_as_many_statements_with_everything_on_it_as_with_nothing(
    office: Office,
    watch: Callable[[Job], Watched],
    create_customer: Create,
    create_service_job: Create,
    set_controls: Create,
) -> None:
    start = NOW + timedelta(hours=1)
    bare, full = (office.create(start=start + timedelta(hours=3 * one), technician=office.ines) for one in (0, 1))
    _everything(watch(full))
    empty = create_service_job(office.partner, office.customer)
    several = create_service_job(
        office.partner,
        office.customer,
        [(NOW + timedelta(days=day), person) for day in (3, 4, 5) for person in (office.ines, office.tomas)],
    )
    cost = {}
    for job in (bare, full, empty, several):
        page = watch(job)
        # The queues in the menu have to be counted as well.
        attention._known.clear()
        assert page.drawn()
        cost[job.id] = len(page.statements)
    assert max(cost.values()) <= MOST_STATEMENTS, cost
    assert len(set(cost.values())) == 1, cost
    page = watch(full)
    page.drawn()
    text = " ".join(page.site.page.get_text().split())
    for words in (
        "The bell is broken",
        "The old boiler",
        "Version 1: void",
        "Version 2: signed by Priya R. Raman",
        "Well done",
        "Were we punctual?",
        "1 attempt",
        "All is well",
        "Signed by",
    ):
        assert words in text, words
    buttons = [link.text.split()[0] for link in watch(several).site.page.select("#detail td .bar a")]
    assert buttons == []
    assert watch(several).drawn()
    assert office.site.page.select("#detail td .bar a")


Step = tuple[str, Callable[[Watched], object], str]
BEFORE: list[Step] = [
    ("a note", lambda at: at.office.do(add_note, at.visit.id, "The bell is broken", ""), "The bell is broken"),
    ("a photo shared", lambda at: at.office.do(share_photo, _photo(at), shared=True), "Shared with customer"),
    (
        "a change asked for",
        lambda at: at.office.do(requests.request_change, at.visit.id, Wish.MOVE, "Rather later", actor=at.customer),
        "Rather later",
    ),
    (
        "a rule of its own",
        lambda at: at.office.do(edit_override, Owner.JOB, at.job, 0, OverrideValues(max_moves=7), actor=_admin(at)),
        "7 times",
    ),
    ("the partner's rules", lambda at: at.save(FeatureControls, _controls(at), self_service=True), "24 hours"),
    ("the address", lambda at: at.save(Address, at.office.job(at.job).address_id, line="9 Zinc Way"), "9 Zinc Way"),
    ("the customer", lambda at: at.save(Customer, at.office.customer.id, access_notes="Dog"), "Dog"),
    ("the technician", lambda at: at.save(Technician, at.office.ines.id, phone="0117 496 0199"), "0117 496 0199"),
    ("the kind of work", lambda at: at.save(ServiceType, at.office.kind.id, name="Air pump"), "Air pump"),
    ("confirmed", lambda at: at.step("confirm"), "Confirmed"),
    ("on the way", lambda at: at.step("set_off", minutes=25), "Expected at"),
    ("arrived", lambda at: at.step("arrive"), "Arrived"),
    ("at work", lambda at: at.step("start_work"), "Work in progress"),
    ("paused", _pause, "Paused"),
    ("at work again", lambda at: at.step("resume"), "Work in progress"),
    ("complete", lambda at: at.step("complete", service_notes="All is well"), "All is well"),
    ("rated", _survey, "Well done"),
    ("contract sent", lambda at: at.office.do(contracts.send_contract, at.job), "Version 1: sent"),
    ("signed", _sign, "signed by Priya R. Raman"),
    ("approved", lambda at: at.office.do(contracts.approve, at.job), "Approved"),
]


def _controls(at: Watched) -> int:
    at.office.session.rollback()
    query = select(FeatureControls.id).where(FeatureControls.partner_id == at.office.partner.id)
    return at.office.session.scalars(query).one()


def test_whatever_changes_of_it_shows_with_the_next_request(
    app: Flask, office: Office, watch: Callable[[Job], Watched]
) -> None:
    """Each change alone, by somebody else, in a process whose only news of it is the database."""
    page = watch(office.create(start=NOW + timedelta(hours=1), technician=office.ines))
    _add_photo(page)
    page.send()
    page.drawn()
    for what, change, word in BEFORE:
        # While somebody is on the way it is drawn each time.
        assert page.drawn() == (what == "arrived"), what
        before = page.plain()
        change(page)
        assert page.drawn(), what
        shown = page.plain()
        assert shown != before, what
        assert word in " ".join(page.site.page.get_text().split()), what
        app.extensions[kept.EXTENSION] = kept.Pages(kept.MOST_PAGES)
        assert page.drawn()
        assert page.plain() == shown, what
        # What is out of the house is out of the way: the next change is alone.
        page.send()
        if what == "on the way":
            assert page.drawn()
            _position(page)
            assert page.drawn()
            assert "Position known" in page.site.text
        page.drawn()


def test_messages_show_their_state_though_the_worker_says_nothing(
    office: Office, watch: Callable[[Job], Watched], clock: Any
) -> None:
    page = watch(office.create(start=NOW + timedelta(days=3), technician=office.ines, now=NOW))
    assert page.drawn()
    assert "Planned" in page.site.text
    assert page.drawn()
    page.send("failed")
    assert page.drawn()
    assert "Failed, trying again" in page.site.text
    # It is tried again in a while, and nothing happens until then.
    clock.shift(timedelta(minutes=30))
    page.send()
    page.drawn()
    assert "Failed, trying again" not in page.site.text
    assert not page.drawn()
    # What the clock decides is on the page at once, and again until it is sent.
    clock.move_to(NOW + timedelta(days=2, hours=8, minutes=1))
    page.drawn()
    assert not page.drawn()
    count = len(page.site.page.select("[aria-labelledby=m-h] tbody tr"))
    session = page.new_session(system_scope("system"))
    with unit_of_work(session):
        decide_reminders(session, datetime.now(UTC))
    assert page.drawn()
    assert len(page.site.page.select("[aria-labelledby=m-h] tbody tr")) > count
    page.send()
    page.drawn()
    assert "Planned" not in page.site.text
    assert not page.drawn()


def test_a_cancel_that_takes_effect_at_a_second_is_looked_at_each_time(
    office: Office, watch: Callable[[Job], Watched], set_controls: Create, clock: Any
) -> None:
    set_controls(office.partner, self_service=True, cancel_unconfirmed=True, cancel_cutoff_hours=0)
    page = watch(office.create(technician=office.ines))
    page.send()
    office.do(services.cancel_by_customer, page.visit.id, "Not needed", actor=page.customer)
    page.send()
    for _ in range(2):
        assert page.drawn()
        assert "Cancelling at" in page.site.text


def test_a_job_of_another_partner_is_not_found(
    office: Office, watch: Callable[[Job], Watched], create_partner: Create, create_installation: Create
) -> None:
    foreign = watch(create_installation(create_partner(name="Zenith")))
    for _ in range(2):
        assert foreign.site.get(foreign.url).status_code == 404
