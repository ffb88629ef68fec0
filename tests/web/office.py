"""An office to test in: a partner, its dispatcher at the browser, technicians, customers and installations."""

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
from portal.domain.jobs.models import Appointment, HistoryEntry, Job
from portal.domain.people.models import Customer, Partner, Technician, User
from portal.domain.scheduling.models import ServiceType
from portal.domain.unit_of_work import unit_of_work
from tests.factories import Create
from tests.helpers import Site

# A Friday, ten o'clock in Bristol, where winter clocks show UTC.
NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)
TUESDAY = datetime(2026, 11, 24, 9, tzinfo=UTC)
URL = "/admin/installations/"


@dataclass
class Office:
    """Dana, dispatcher of Acme, signed in; ``create`` makes installations of Acme's."""

    site: Site
    session: Session
    partner: Partner
    dana: User
    kind: ServiceType
    customer: Customer
    ines: Technician
    tomas: Technician
    _create: Create

    def create(self, **values: Any) -> Job:
        """Make an installation for Tuesday at nine, a day ago."""
        given = {"start": TUESDAY, "kind": self.kind, "customer": self.customer, "now": NOW - timedelta(days=1)}
        job: Job = self._create(self.partner, **(given | values))
        return job

    def at(self, job: Job | int, act: str = "") -> str:
        """Return the address of an installation, or of an act on it."""
        key = job if isinstance(job, int) else job.id
        return f"{URL}{key}/{act}" if act else f"{URL}{key}"

    def job(self, job: Job | int) -> Job:
        """Return an installation as the database has it now."""
        self.session.rollback()
        key = job if isinstance(job, int) else job.id
        query = select(Job).where(Job.id == key)
        return self.session.scalars(query, execution_options={"populate_existing": True}).one()

    def visits(self, job: Job | int) -> list[Appointment]:
        """Return its visits as the database has them now."""
        key = job if isinstance(job, int) else job.id
        self.session.rollback()
        query = select(Appointment).where(Appointment.job_id == key).order_by(Appointment.id)
        return list(self.session.scalars(query, execution_options={"populate_existing": True}))

    def history(self, job: Job | int) -> list[HistoryEntry]:
        """Return what was recorded about it, oldest first."""
        key = job if isinstance(job, int) else job.id
        self.session.rollback()
        return list(
            self.session.scalars(select(HistoryEntry).where(HistoryEntry.job_id == key).order_by(HistoryEntry.id))
        )

    def jobs(self) -> list[Job]:
        """Return every installation of everybody, oldest first."""
        self.session.rollback()
        return list(self.session.scalars(select(Job).order_by(Job.id)))

    @property
    def staff(self) -> Actor:
        """Dana, for calling use cases without a page."""
        return Actor(self.dana.id, Role.DISPATCHER, "Dana Okafor", frozenset({self.partner.id}))

    def do(self, use_case: Callable[..., Any], *args: Any, actor: Actor | None = None, **kwargs: Any) -> Any:
        """Call a use case as ``actor``, by default Dana, now."""
        with unit_of_work(self.session) as session:
            return use_case(session, actor or self.staff, datetime.now(UTC), *args, **kwargs)

    def work_through(self, job: Job, *steps: str) -> None:
        """Take the steps of the visit one after the other."""
        from portal.domain.jobs import fieldwork

        for step in steps:
            visit = self.visits(job)[-1]
            self.do(getattr(fieldwork, step), visit.id, visit.move_number)

    def rows(self) -> list[str]:
        """Return the numbers of the installations that the list in front of Dana shows, in its order."""
        return [str(cell.text) for cell in self.site.page.select("td.num, .list-jobs td:nth-child(2)")]

    def buttons(self, within: str = "main") -> list[str]:
        """Return the words of what can be pressed, without what only screen readers hear."""
        found = []
        for control in self.site.page.select(f"{within} a.btn, {within} button"):
            for hidden in control.select(".visually-hidden"):
                hidden.decompose()
            if "visually-hidden" not in control.get("class", []):
                found.append(" ".join(control.text.split()))
        return found


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """Friday at ten, moved by the test alone."""
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def office(
    clock: Any,
    site: Site,
    session: Session,
    create_partner: Create,
    create_staff: Create,
    create_technician: Create,
    create_customer: Create,
    create_service_type: Create,
    create_installation: Create,
) -> Office:
    """Acme's office on a Friday morning."""
    partner = create_partner(name="Acme", phone="0117 496 0100")
    dana = create_staff(partner, name="Dana Okafor")
    made = Office(
        site=site,
        session=session,
        partner=partner,
        dana=dana,
        kind=create_service_type(partner, name="Heat pump", duration_minutes=120, window_minutes=120),
        customer=create_customer(partner, name="Priya Raman", email="priya@mail.example", address="14 Alder Close"),
        ines=create_technician(partner, name="Ines Kowalski"),
        tomas=create_technician(partner, name="Tomás Reyes"),
        _create=create_installation,
    )
    site.sign_in(dana)
    return made
