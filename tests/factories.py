"""Rows to test with. Each ``create_x`` fixture is a function that writes one x, committed, and returns it.

What is not named is made up, so that a test names only what it is about.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor, Role
from portal.domain.contracts import services as contracts
from portal.domain.contracts.queries import current_contract
from portal.domain.jobs import fieldwork, service_jobs, services
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.service_jobs import ServiceDraft
from portal.domain.jobs.services import Booking, ItemInput, schedule_installation
from portal.domain.people.models import Address, Customer, Membership, Partner, Technician, User
from portal.domain.people.partners import create_partner_with_defaults
from portal.domain.scheduling.models import FeatureControls, PauseReason, ServiceType
from portal.domain.unit_of_work import unit_of_work
from portal.web.auth import hash_password
from tests.helpers import PASSWORD

Create = Callable[..., Any]

_numbers = itertools.count(1)


def save(session: Session, row: Any) -> Any:
    """Write ``row`` in a unit of work of its own and return it as plain values, tied to no session."""
    with unit_of_work(session):
        session.add(row)
        session.flush()
        session.refresh(row)
        session.expunge(row)
    return row


@pytest.fixture(scope="session")
def password_hash() -> dict[str, str]:
    """Hashes made so far: one for each password is enough."""
    return {}


@pytest.fixture
def create_partner(session: Session) -> Create:
    """A partner with the rules that every new one starts with."""

    def create(**values: Any) -> Partner:
        number = next(_numbers)
        start = {"name": f"Partner {number}", "slug": f"partner-{number}", "timezone": "Europe/London"}
        with unit_of_work(session):
            partner = create_partner_with_defaults(session, datetime.now(UTC), job_prefix="D", **start)
            for name, value in values.items():
                setattr(partner, name, value)
            session.flush()
            session.refresh(partner)
            session.expunge(partner)
        return partner

    return create


@pytest.fixture
def create_user(app: Flask, session: Session, password_hash: dict[str, str]) -> Create:
    def create(password: str = PASSWORD, **values: Any) -> User:
        number = next(_numbers)
        if password not in password_hash:
            with app.app_context():
                password_hash[password] = hash_password(password)
        values = {"email": f"person-{number}@mail.example", "name": f"Person {number}"} | values
        user: User = save(session, User(password=password_hash[password], **values))
        return user

    return create


@pytest.fixture
def create_staff(session: Session, create_user: Create) -> Create:
    """A log-in with a role in a partner; ``role="partner_admin"`` for the other one."""

    def create(partner: Partner, role: str = "dispatcher", **values: Any) -> User:
        user: User = create_user(**values)
        save(session, Membership(partner_id=partner.id, user_id=user.id, role=role))
        return user

    return create


@pytest.fixture
def create_technician(session: Session) -> Create:
    """A technician without log-in unless ``user`` gives one."""

    def create(partner: Partner, user: User | None = None, **values: Any) -> Technician:
        number = next(_numbers)
        values = {"name": user.name if user else f"Technician {number}"} | values
        technician: Technician = save(
            session, Technician(partner_id=partner.id, user_id=user.id if user else None, **values)
        )
        return technician

    return create


@pytest.fixture
def create_customer(session: Session) -> Create:
    """A customer with one address (in ``addresses``), without log-in unless ``user`` gives one."""

    def create(partner: Partner, user: User | None = None, address: str = "14 Alder Close", **values: Any) -> Customer:
        number = next(_numbers)
        name = user.name if user else f"Customer {number}"
        email = user.email if user else f"customer-{number}@mail.example"
        values = {"name": name, "email": email} | values
        with unit_of_work(session):
            customer = Customer(partner_id=partner.id, user_id=user.id if user else None, **values)
            session.add(customer)
            session.flush()
            place = {"line": address, "city": "Bristol", "postcode": "BS6 5QT"}
            session.add(Address(partner_id=partner.id, customer_id=customer.id, **place))
            session.flush()
            session.refresh(customer)
            session.refresh(customer, ["addresses"])
            for row in (customer, *customer.addresses):
                session.expunge(row)
        return customer

    return create


@pytest.fixture
def create_service_type(session: Session) -> Create:
    """A kind of work of two hours with a window of two hours."""

    def create(partner: Partner, **values: Any) -> ServiceType:
        values = {"name": f"Service {next(_numbers)}"} | values
        kind: ServiceType = save(session, ServiceType(partner_id=partner.id, **values))
        return kind

    return create


@pytest.fixture
def create_installation(session: Session, create_customer: Create, create_service_type: Create) -> Create:
    """An installation made by a dispatcher through the use case, with its ``appointments`` and ``items``.

    It starts in three days, or at the instant ``start``; with ``technician`` it is assigned as well. ``now`` is when it
    is made, by default a day ago.
    """

    def create(
        partner: Partner,
        customer: Customer | None = None,
        technician: Technician | None = None,
        start: datetime | None = None,
        now: datetime | None = None,
        kind: ServiceType | None = None,
        items: Sequence[tuple[str, int]] = (("Heat pump", 1),),
        **values: Any,
    ) -> Job:
        made_at = now or datetime.now(UTC) - timedelta(days=1)
        customer = customer or create_customer(partner)
        booking = Booking(
            customer_id=customer.id,
            address_id=customer.addresses[0].id,
            service_type_id=(kind or create_service_type(partner)).id,
            start=start or datetime.now(UTC) + timedelta(days=3),
            items=[ItemInput(name, quantity) for name, quantity in items],
            technician_id=technician.id if technician else None,
            **values,
        )
        with unit_of_work(session):
            job = schedule_installation(session, _dispatcher(partner), made_at, booking, despite_warnings=True)
            return _with_its_parts(session, job)

    return create


def _dispatcher(partner: Partner) -> Actor:
    return Actor(None, Role.DISPATCHER, "Dana Okafor", frozenset({partner.id}))


def _with_its_parts(session: Session, job: Job) -> Job:
    session.flush()
    session.refresh(job)
    session.refresh(job, ["appointments", "items"])
    for row in (job, *job.appointments, *job.items):
        session.expunge(row)
    return job


_AT_THE_DOOR = ("set_off", "arrive")
_AT_WORK = (*_AT_THE_DOOR, "start_work")
_DONE = (*_AT_WORK, "complete")
# Where an installation can stand, by the use cases that lead there. Named after the job's status or, where that does
# not say enough, after the visit's.
WAYS: dict[str, tuple[str, ...]] = {
    "SCHEDULED": (),
    "INSTALLER_ASSIGNED": ("assign",),
    "PREPARING": ("assign", "prepare"),
    "EN_ROUTE": ("assign", "set_off"),
    "ARRIVED": ("assign", *_AT_THE_DOOR),
    "PAUSED_AT_THE_DOOR": ("assign", *_AT_THE_DOOR, "pause"),
    "INSTALLATION_IN_PROGRESS": ("assign", *_AT_WORK),
    "PAUSED": ("assign", *_AT_WORK, "pause"),
    "FOLLOW_UP_PLANNED": ("assign", *_AT_WORK, "pause", "continue_later"),
    "NEEDS_A_VISIT": ("assign", *_AT_WORK, "pause", "leave_to_be_planned"),
    "INSTALLATION_COMPLETED": ("assign", *_DONE),
    "CONTRACT_SENT": ("assign", *_DONE, "send_contract"),
    "CONTRACT_SIGNED": ("assign", *_DONE, "send_contract", "sign"),
    "CUSTOMER_APPROVED": ("assign", *_DONE, "send_contract", "sign", "approve"),
    "REJECTED": ("reject",),
    "CANCELLED": ("assign", "cancel"),
    "CANCELLING": ("assign", "cancel_by_customer"),
}


def _soon(now: datetime, zone: ZoneInfo) -> datetime:
    # Somebody sets off on the visit's own day.
    in_an_hour = now + timedelta(hours=1)
    same_day = in_an_hour.astimezone(zone).date() == now.astimezone(zone).date()
    return in_an_hour if same_day else now + timedelta(minutes=1)


@pytest.fixture
def create_installation_in(session: Session, create_installation: Create, create_technician: Create) -> Create:
    """An installation in one of the states of ``WAYS``, brought there by the use cases.

    Its visit starts in an hour (late in the evening in a minute), or at ``start``, which has to be on today's date for
    a state in which somebody has set off; a follow-up is two days later. ``technician`` is who is assigned, by default
    somebody new. The customer's pending cancel needs feature controls that allow it.
    """

    def create(
        partner: Partner,
        state: str,
        customer: Customer | None = None,
        technician: Technician | None = None,
        start: datetime | None = None,
        **values: Any,
    ) -> Job:
        now = datetime.now(UTC)
        begins = start or _soon(now, ZoneInfo(partner.timezone))
        made = create_installation(partner, customer, None, begins, now - timedelta(days=1), **values)
        staff = _dispatcher(partner)
        own = Actor(None, Role.CUSTOMER, "Their customer", frozenset({partner.id}), None, frozenset({made.customer_id}))
        key = made.appointments[0].id
        somebody = technician or create_technician(partner)
        with unit_of_work(session):
            for step in WAYS[state]:
                match step:
                    case "assign":
                        services.assign(session, staff, now, made.id, somebody.id, despite_warnings=True)
                    case "reject" | "cancel":
                        getattr(services, step)(session, staff, now, made.id, "No longer wanted")
                    case "cancel_by_customer":
                        services.cancel_by_customer(session, own, now, key, "No longer wanted")
                    case "send_contract" | "approve":
                        getattr(contracts, step)(session, staff, now, made.id)
                    case "sign":
                        sent = current_contract(session, made.id)
                        assert sent is not None
                        contracts.sign_contract(session, own, now, sent.id, "Their customer", consent=True)
                    case _:
                        _take(session, staff, now, partner, key, step, begins)
            job = session.scalars(select(Job).where(Job.id == made.id)).one()
            return _with_its_parts(session, job)

    return create


def _take(
    session: Session, staff: Actor, now: datetime, partner: Partner, key: int, step: str, begins: datetime
) -> None:
    """Take one step of a visit in the name of the office."""
    more: dict[str, Any] = {}
    if step == "pause":
        reasons = select(PauseReason.id).where(PauseReason.partner_id == partner.id).order_by(PauseReason.position)
        more["reason_id"] = session.scalars(reasons).first()
    elif step == "continue_later":
        more["start"] = begins + timedelta(days=2)
    elif step == "leave_to_be_planned":
        step, more["start"] = "continue_later", None
    move = session.scalars(select(Appointment.move_number).where(Appointment.id == key)).one()
    getattr(fieldwork, step)(session, staff, now, key, move, **more)


@pytest.fixture
def create_service_job(session: Session, create_service_type: Create) -> Create:
    """A service job of ``customer``: a draft, or with ``visits``, each a start and a technician or ``None``."""

    def create(partner: Partner, customer: Customer, visits: Sequence[Any] = (), **values: Any) -> Job:
        staff, now = _dispatcher(partner), values.pop("now", None) or datetime.now(UTC)
        kind = values.pop("kind", None) or create_service_type(partner)
        with unit_of_work(session):
            draft = ServiceDraft(customer.id, customer.addresses[0].id, kind.id, **values)
            job = service_jobs.create_service_job(session, staff, now, draft)
            if visits:
                service_jobs.approve(session, staff, now, job.id)
            for start, technician in visits:
                key = technician.id if technician is not None else None
                service_jobs.schedule_visit(
                    session, staff, now, job.id, start, technician_id=key, despite_warnings=True
                )
            job = session.scalars(select(Job).where(Job.id == job.id)).one()
            return _with_its_parts(session, job)

    return create


@pytest.fixture
def set_controls(session: Session) -> Create:
    """Change a partner's feature controls, as in ``set_controls(partner, self_service=True)``."""

    def change(partner: Partner, **values: Any) -> None:
        with unit_of_work(session):
            controls = session.scalars(select(FeatureControls).where(FeatureControls.partner_id == partner.id)).one()
            for name, value in values.items():
                setattr(controls, name, value)

    return change


def actor_for(user: User, role: Role, partner: Partner, **values: Any) -> Actor:
    """Return ``user`` acting in ``role`` for ``partner``, for calling services without a page."""
    return Actor(user.id, role, user.name, frozenset({partner.id}), **values)
