"""Reading and signing a contract and approving the work, as the customer does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor, Role
from portal.domain.contracts import services as contracts
from portal.domain.contracts.models import Contract
from portal.domain.jobs import fieldwork
from portal.domain.jobs.models import Job
from portal.domain.people.models import Partner
from portal.domain.unit_of_work import unit_of_work
from tests.factories import Create
from tests.helpers import Site


@dataclass
class Finished:
    """A finished installation, and its customer at their browser."""

    site: Site
    session: Session
    partner: Partner
    job: Job

    def by_staff(self, act: Callable[..., Any], *args: Any) -> Any:
        staff = Actor(None, Role.DISPATCHER, "Dana Okafor", frozenset({self.partner.id}))
        with unit_of_work(self.session):
            row = act(self.session, staff, datetime.now(UTC), *args)
            self.session.flush()
            return row.id

    @property
    def status(self) -> str:
        self.session.rollback()
        return self.session.scalars(select(Job.status).where(Job.id == self.job.id)).one()

    def contract(self, contract_id: int) -> Contract:
        self.session.rollback()
        return self.session.get_one(Contract, contract_id, populate_existing=True)


@pytest.fixture
def finish(
    session: Session, create_technician: Create, create_installation: Create
) -> Callable[..., tuple[Partner, Job]]:
    """Return a function that makes an installation of a customer's and does all of its work."""

    def make(partner: Partner, customer: Any) -> Job:
        start = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=1)
        job: Job = create_installation(partner, customer, create_technician(partner), start=start)
        visit, staff = job.appointments[0], Actor(None, Role.DISPATCHER, "Dana Okafor", frozenset({partner.id}))
        for act in (fieldwork.set_off, fieldwork.arrive, fieldwork.start_work, fieldwork.complete):
            with unit_of_work(session):
                act(session, staff, start, visit.id, visit.move_number)
        return job

    return make


@pytest.fixture
def finished(
    site: Site, session: Session, create_partner: Create, create_user: Create, create_customer: Create, finish: Create
) -> Finished:
    partner, user = create_partner(name="Brightwell"), create_user(name="Priya Raman")
    job = finish(partner, create_customer(partner, user))
    site.sign_in(user)
    return Finished(site, session, partner, job)


@pytest.mark.row("C11", "J10")
def test_a_contract_is_read_signed_and_the_work_approved(finished: Finished) -> None:
    contract_id = finished.by_staff(contracts.send_contract, finished.job.id)
    finished.site.get("/my/")
    assert "A contract waits for your signature" in finished.site.text
    finished.site.get(finished.site.page.find("a", string="Read and sign")["href"])
    body = finished.contract(contract_id).body
    assert body in finished.site.page.get_text()
    finished.site.submit({"name": "Priya Raman", "consent": "y"}, button="Sign the contract")
    assert finished.status == "CONTRACT_SIGNED"
    signed = finished.contract(contract_id)
    assert (signed.signed_name, signed.body) == ("Priya Raman", body)
    assert signed.consent
    finished.site.get("/my/")
    assert "Finished work waits for your approval" in finished.site.text
    finished.site.get(finished.site.page.find("a", string="Look and approve")["href"])
    finished.site.submit(button="Approve the work")
    assert "Thank you. You approved the work." in finished.site.text
    assert not finished.site.page.find_all("button", string="Approve the work")
    assert finished.status == "CUSTOMER_APPROVED"
    finished.site.get("/my/")
    assert not finished.site.page.select("section.notice")
    # a second press is refused in the table's own words
    assert finished.site.post(f"/my/jobs/{finished.job.id}/approve").status_code == 409
    assert "“Approve” is not possible while the status is “Customer approved”" in finished.site.text
    finished.site.get(f"/my/contracts/{contract_id}")
    assert "by Priya Raman" in finished.site.text
    assert not finished.site.page.select("main form")


@pytest.mark.row("C11")
@pytest.mark.parametrize(
    ("data", "errors"),
    [
        ({"name": "  "}, {"name": "Type your name", "consent": "Tick that you agree"}),
        ({"name": "Priya"}, {"consent": "Tick that you agree"}),
        ({"name": "x" * 10_000, "consent": "y"}, {"name": "Use 120 characters or fewer."}),
    ],
)
def test_a_signature_needs_a_name_and_the_tick(
    finished: Finished, data: dict[str, str], errors: dict[str, str]
) -> None:
    contract_id = finished.by_staff(contracts.send_contract, finished.job.id)
    finished.site.get(f"/my/contracts/{contract_id}")
    answer = finished.site.submit(data, button="Sign the contract")
    assert answer.status_code == 422
    summary = {
        link["href"].removeprefix("#"): link.get_text() for link in finished.site.page.select(".error-summary a")
    }
    assert summary == errors
    for name, text in errors.items():
        assert finished.site.page.select_one(f"#{name}-error").get_text() == text
        assert finished.site.page.select_one(f"#{name}")["aria-describedby"] == f"{name}-error"
    assert finished.site.page.select_one("#name")["value"] == data["name"]
    assert finished.status == "CONTRACT_SENT"


@pytest.mark.row("C11", "J10")
def test_a_void_version_is_shown_as_such_and_cannot_be_signed(finished: Finished) -> None:
    old = finished.by_staff(contracts.send_contract, finished.job.id)
    new = finished.by_staff(contracts.send_corrected_contract, finished.job.id, "Wrong number of panels")
    finished.site.get(f"/my/contracts/{old}")
    assert "This version was replaced" in finished.site.text
    assert not finished.site.page.select("main form")
    answer = finished.site.post(f"/my/contracts/{old}/sign", {"name": "Priya Raman", "consent": "y"})
    assert answer.status_code == 409
    assert "This version was replaced by a corrected one; please sign that." in finished.site.text
    assert finished.status == "CONTRACT_SENT"
    finished.site.get(f"/my/contracts/{old}")
    finished.site.get(finished.site.page.find("a", string="Read the corrected version")["href"])
    finished.site.submit({"name": "Priya Raman", "consent": "y"}, button="Sign the contract")
    assert (finished.contract(old).signed_at, finished.contract(new).signed_name) == (None, "Priya Raman")


@pytest.mark.row("C7")
@pytest.mark.parametrize("same_partner", [True, False])
def test_anothers_contract_is_not_there(
    finished: Finished, create_partner: Create, create_customer: Create, finish: Create, same_partner: bool
) -> None:
    partner = finished.partner if same_partner else create_partner()
    job = finish(partner, create_customer(partner))
    staff = Actor(None, Role.DISPATCHER, "Dana Okafor", frozenset({partner.id}))
    with unit_of_work(finished.session):
        contract_id = contracts.send_contract(finished.session, staff, datetime.now(UTC), job.id).id
    assert finished.site.get(f"/my/contracts/{contract_id}").status_code == 404
    answer = finished.site.post(f"/my/contracts/{contract_id}/sign", {"name": "Priya Raman", "consent": "y"})
    assert answer.status_code == 404
    assert finished.contract(contract_id).signed_at is None
    finished.site.get("/my/")
    assert "A contract waits" not in finished.site.text


@pytest.mark.row("C11")
@pytest.mark.parametrize("sent", [False, True])
def test_work_is_not_approved_before_the_contract_is_signed(finished: Finished, sent: bool) -> None:
    if sent:
        finished.by_staff(contracts.send_contract, finished.job.id)
    finished.site.get(f"/my/jobs/{finished.job.id}")
    assert not finished.site.page.find_all("button", string="Approve the work")
    assert finished.site.post(f"/my/jobs/{finished.job.id}/approve").status_code == 409
    assert finished.status == ("CONTRACT_SENT" if sent else "INSTALLATION_COMPLETED")


@pytest.mark.row("C11")
def test_my_schedule_with_papers_still_costs_at_most_six_statements(finished: Finished, statements: list[str]) -> None:
    finished.by_staff(contracts.send_contract, finished.job.id)
    statements.clear()
    finished.site.get("/my/")
    assert finished.site.page.select("section.notice")
    assert 0 < len(statements) <= 6, statements
