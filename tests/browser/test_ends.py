"""Each end that an offer, a request, a job or a visit may come to, by the clicks of those who bring it about.

The good ends are where their stories are told: `test_contracts`, `test_requests`, `test_service_jobs`, `test_story`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Page, expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor, Role
from portal.domain.jobs.models import Appointment, Job
from portal.domain.offers.models import JobOffer
from portal.domain.offers.services import OfferInput, due_to_expire, expire_offers, offer_job
from portal.domain.people.models import Customer, Partner, User
from portal.domain.people.services import AddressInput
from portal.domain.requests.models import ChangeRequest, ServiceRequest, Wish
from portal.domain.requests.new_service import ServiceWish, request_service
from portal.domain.requests.services import request_change
from portal.domain.unit_of_work import unit_of_work
from tests.browser.looking import PHONE, sign_in
from tests.factories import Create, actor_for

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
ELSEWHERE = AddressInput(None, "3 Engine Row", "Bristol", "BS1 5TR")


def workday(ahead: int) -> datetime:
    """Ten o'clock on the first day of work that is at least ``ahead`` days away."""
    day = (NOW + ahead * DAY).replace(hour=10, minute=0, second=0, microsecond=0)
    return day + (7 - day.weekday()) * DAY if day.weekday() >= 5 else day


class Office:
    """Dana of Acme at her desk, Priya with her phone, and what the database says."""

    def __init__(self, session: Session, partner: Partner, dana: Page, priya: Page, user: User, home: Customer) -> None:
        self.session, self.partner, self.dana, self.priya, self.home = session, partner, dana, priya, home
        self.customer = actor_for(user, Role.CUSTOMER, partner, customer_ids=frozenset({home.id}))

    def states(self, model: type[Any]) -> list[str]:
        """The statuses of all rows, oldest first."""
        self.session.rollback()
        return list(self.session.scalars(select(model.status).order_by(model.id)))

    def follow(self, page: Page, name: str) -> None:
        """Follow a link of the page itself."""
        page.get_by_role("main").get_by_role("link", name=name).first.click()

    def act(self, name: str, button: str | None = None, **fields: str) -> None:
        """Press one of Dana's buttons that open a dialog, fill that in and send it."""
        self.follow(self.dana, name)
        dialog = self.dana.locator("dialog[open]")
        for field, text in fields.items():
            dialog.locator(f"[name={field}]").fill(text)
        dialog.get_by_role("button", name=button or name).last.click()
        expect(self.dana.locator("dialog[open]")).to_have_count(0)

    def decline(self, reason: str, button: str) -> None:
        """Decline what Dana has before her."""
        self.dana.get_by_label("Reason").fill(reason)
        self.dana.get_by_role("button", name=button).click()

    def reads(self, page: Page, path: str, text: str) -> None:
        """Open a page and wait until it says ``text``."""
        page.goto(path)
        expect(page.get_by_role("main").get_by_text(text).first).to_be_visible()


@pytest.fixture
def office(
    open_window: Callable[..., Page],
    session: Session,
    create_partner: Create,
    create_staff: Create,
    create_user: Create,
    create_customer: Create,
) -> Office:
    partner, user = create_partner(name="Acme Home Energy"), create_user(name="Priya Raman")
    dana, priya = open_window(), open_window(viewport=PHONE)
    sign_in(dana, create_staff(partner, name="Dana Okafor"))
    sign_in(priya, user)
    return Office(session, partner, dana, priya, user, create_customer(partner, user))


@pytest.mark.row("J1")
@pytest.mark.row("P18")
def test_offers_end_taken_declined_withdrawn_and_expired(
    office: Office,
    open_window: Callable[..., Page],
    create_partner: Create,
    create_staff: Create,
    create_user: Create,
    create_service_type: Create,
) -> None:
    globex = create_partner(name="Globex")
    create_service_type(globex, name="Boiler repair")
    robin_user = create_user(name="Robin Vale", is_operator=True)
    gina, robin = open_window(), open_window()
    sign_in(gina, create_staff(globex, name="Gina Rossi"))
    sign_in(robin, robin_user)
    operator = Actor(robin_user.id, Role.OPERATOR, robin_user.name)
    with unit_of_work(office.session):
        for name, both in (("Ada", True), ("Ben", False), ("Cleo", False), ("Dora", False)):
            asked = [office.partner.id, globex.id] if both else [office.partner.id]
            known = ("Boiler repair", "", f"{name} Byron", "", "", ELSEWHERE, [], "", NOW + DAY)
            offer_job(office.session, operator, NOW, OfferInput(asked, *known))

    gina.goto("/admin/job-offers/")
    office.follow(gina, "Open Boiler repair, Ada Byron")
    gina.get_by_role("button", name="Accept the job").click()
    expect(gina.get_by_text("The job is yours:")).to_be_visible()
    office.dana.goto("/admin/job-offers/")
    office.follow(office.dana, "Open Boiler repair, Ben Byron")
    office.follow(office.dana, "Decline")
    office.decline("We do not repair boilers.", "Decline offer")
    expect(office.dana.get_by_role("link", name="Open Boiler repair, Cleo Byron")).to_be_visible()
    robin.goto("/admin/offered-jobs/")
    office.follow(robin, "Open Boiler repair, Cleo Byron")
    robin.get_by_role("button", name="Withdraw").click()
    expect(robin.get_by_text("The offer is withdrawn.")).to_be_visible()
    office.session.rollback()
    with unit_of_work(office.session):
        # What the clock does once nobody has answered.
        for key in due_to_expire(office.session, NOW + 2 * DAY):
            expire_offers(office.session, NOW + 2 * DAY, key)
    assert office.states(JobOffer) == ["TAKEN", "ACCEPTED", "DECLINED", "WITHDRAWN", "EXPIRED"]
    office.dana.goto("/admin/job-offers/?status=all")
    for said in ("Taken by another partner", "Declined", "Withdrawn", "Expired"):
        expect(office.dana.get_by_role("cell").get_by_text(said, exact=True)).to_be_visible()


@pytest.mark.row("C5")
@pytest.mark.row("P18")
def test_requests_end_declined_and_cancelled(office: Office, create_service_type: Create) -> None:
    kind = create_service_type(office.partner, name="Boiler repair")
    with unit_of_work(office.session):
        for number in range(2):
            asked = (
                office.home.id,
                kind.id,
                office.home.addresses[0].id,
                ELSEWHERE,
                [],
                "No hot water",
                f"{number:032x}",
            )
            request_service(office.session, office.customer, NOW, ServiceWish(*asked))
    office.dana.goto("/admin/requests/")
    office.follow(office.dana, "Open Boiler repair, Priya Raman")
    office.follow(office.dana, "Decline")
    office.decline("We do not repair boilers.", "Decline request")
    expect(office.dana.get_by_role("heading", name="Requests")).to_be_visible()
    office.priya.goto("/my/requests")
    office.priya.get_by_role("main").get_by_role("link", name="Boiler repair").first.click()
    office.priya.get_by_role("button", name="Cancel this request").click()
    expect(office.priya.get_by_role("button", name="Cancel this request")).to_have_count(0)
    assert sorted(office.states(ServiceRequest)) == ["CANCELLED", "DECLINED"]
    for said in ("Declined", "Cancelled", "Our answer: We do not repair boilers."):
        office.reads(office.priya, "/my/requests", said)


@pytest.mark.row("C6")
@pytest.mark.row("P18")
def test_wishes_end_applied_declined_and_lapsed(office: Office, create_installation: Create) -> None:
    jobs = [create_installation(office.partner, office.home, start=NOW + (3 + number) * DAY) for number in range(3)]
    with unit_of_work(office.session):
        for job in jobs:
            key = job.appointments[0].id
            request_change(office.session, office.customer, NOW, key, Wish.CANCEL, "We are moving away", 0)
    applied, declined, lapsed = jobs
    office.dana.goto("/admin/change-requests/")
    office.follow(office.dana, f"Decline {declined.number}")
    office.decline("The parts are here already.", "Decline request")
    office.follow(office.dana, f"Cancel installation {applied.number}")
    office.dana.get_by_role("button", name="Cancel installation").last.click()
    expect(office.dana.get_by_text("Cancelled").first).to_be_visible()
    office.dana.goto(f"/admin/installations/{lapsed.id}")
    office.act("Reschedule", "Move the visit", date=workday(9).date().isoformat(), time="10:00")
    assert office.states(ChangeRequest) == ["APPLIED", "DECLINED", "LAPSED"]
    for said in ("Done", "Declined", "No longer open"):
        office.reads(office.priya, "/my/requests", said)


@pytest.mark.row("J7")
@pytest.mark.row("P14")
def test_jobs_and_visits_end_cancelled_and_a_service_job_comes_back(
    office: Office, app: Flask, create_installation: Create, create_technician: Create, create_service_job: Create
) -> None:
    ines = create_technician(office.partner, name="Ines Kowalski")
    create_installation(office.partner, office.home, ines)
    create_service_job(office.partner, office.home, visits=[(workday(4), ines)], items=())
    installation, service = office.session.scalars(select(Job).order_by(Job.id)).all()
    office.session.rollback()
    office.dana.goto(f"/admin/installations/{installation.id}")
    office.act("Cancel", "Cancel installation", reason="The house is sold")
    office.dana.goto(f"/admin/service-jobs/{service.id}")
    office.act("Cancel job", reason="The house is sold")
    assert office.states(Job) == office.states(Appointment) == ["CANCELLED", "CANCELLED"]
    office.reads(office.priya, "/my/visits", "Cancelled")
    office.act("Set back to scheduled")
    assert office.states(Job) == ["CANCELLED", "SCHEDULED"]
    assert office.states(Appointment) == ["CANCELLED", "SCHEDULED"]
    expect(office.priya.get_by_role("main").get_by_text(re.compile("Cancelled")).first).to_be_visible()
