"""A partner with its people, and the use cases called as a page does: one session, one unit of work, one actor."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, sessionmaker

from portal.domain import tenancy
from portal.domain.actor import SYSTEM, Actor, Role
from portal.domain.base import Base
from portal.domain.contracts.models import Contract
from portal.domain.jobs import services
from portal.domain.jobs.models import Appointment, HistoryEntry, Job, JobItem
from portal.domain.jobs.services import Booking, ItemInput
from portal.domain.jobs.situations import current_visit
from portal.domain.messages.models import Message, MessageKind, MessageRule
from portal.domain.people.models import Address, Customer, Partner, Technician, User
from portal.domain.scheduling.models import DAY_MINUTES, FeatureControls, PauseReason, ServiceType, WorkingHours
from portal.domain.tenancy import set_scope, system_scope
from portal.domain.unit_of_work import unit_of_work

# A Tuesday in winter time: London's clocks show UTC.
NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ANNOUNCED = (
    MessageKind.BOOKED,
    MessageKind.MOVED,
    MessageKind.CANCELLED,
    MessageKind.ON_THE_WAY,
    MessageKind.CONTRACT,
)
PANEL = (ItemInput("Solar panel", 2),)

_numbers = itertools.count(1)


@dataclass(frozen=True)
class People:
    """The keys of a partner's rows and the actors who work with them; the operator is looking in."""

    partner_id: int
    dispatcher: Actor
    partner_admin: Actor
    operator: Actor
    technicians: tuple[Actor, ...]
    customers: tuple[Actor, ...]
    addresses: tuple[int, ...]
    service_type_id: int
    reason_id: int

    def technician_id(self, index: int) -> int:
        """The key of one of the technicians."""
        key = self.technicians[index].technician_id
        assert key is not None
        return key

    def customer_id(self, index: int = 0) -> int:
        """The key of one of the customers."""
        (key,) = self.customers[index].customer_ids
        return key

    def actor_of(self, technician_id: int) -> Actor:
        """The technician with that key, as an actor."""
        (actor,) = [actor for actor in self.technicians if actor.technician_id == technician_id]
        return actor


def hire(
    session: Session,
    technicians: Sequence[str] = ("Ann", "Bob", "Cyd"),
    customers: int = 2,
    hours: tuple[int, int] = (0, DAY_MINUTES),
    zone: str = "Europe/London",
    **controls: Any,
) -> People:
    """Write a partner that works every day between ``hours`` (minutes), self-service on, and return who is who."""
    number = f"{os.getpid()}-{next(_numbers)}"
    with unit_of_work(session):
        partner = Partner(name=f"Partner {number}", slug=f"p-{number}", timezone=zone)
        users = {
            name: User(email=f"{name}-{number}@mail.example".lower().replace(" ", "-"), name=name)
            for name in ("Dana", "Ada", "Otto", *technicians, *(f"Customer {index}" for index in range(customers)))
        }
        session.add_all([partner, *users.values()])
        session.flush()
        key = partner.id
        people: list[Any] = [
            Technician(partner_id=key, name=name, user_id=users[name].id, email=users[name].email)
            for name in technicians
        ]
        clients = [
            Customer(partner_id=key, name=name, email=users[name].email, user_id=users[name].id)
            for name in (f"Customer {index}" for index in range(customers))
        ]
        kind = ServiceType(partner_id=key, name="Solar", duration_minutes=120, window_minutes=120, step_minutes=30)
        reason = PauseReason(partner_id=key, label="Part needed")
        rules = {"self_service": True, "cancel_confirmed": True} | controls
        session.add_all([*people, *clients, kind, reason, FeatureControls(partner_id=key, **rules)])
        session.add_all(
            WorkingHours(partner_id=key, weekday=weekday, start_minute=hours[0], end_minute=hours[1])
            for weekday in range(7)
        )
        session.add_all(MessageRule(partner_id=key, kind=rule, channel="email") for rule in ANNOUNCED)
        session.flush()
        homes = [Address(partner_id=key, customer_id=client.id, line=f"{client.id} Alder Close") for client in clients]
        session.add_all(homes)
        session.flush()
        partners = frozenset({key})

        def actor(name: str, role: Role, **values: Any) -> Actor:
            return Actor(users[name].id, role, name, partners, **values)

        return People(
            partner_id=key,
            dispatcher=actor("Dana", Role.DISPATCHER),
            partner_admin=actor("Ada", Role.PARTNER_ADMIN),
            operator=actor("Otto", Role.OPERATOR),
            technicians=tuple(actor(row.name, Role.TECHNICIAN, technician_id=row.id) for row in people),
            customers=tuple(actor(row.name, Role.CUSTOMER, customer_ids=frozenset({row.id})) for row in clients),
            addresses=tuple(home.id for home in homes),
            service_type_id=kind.id,
            reason_id=reason.id,
        )


def sessions_of(engine: Engine) -> sessionmaker[Session]:
    """Sessions as the application opens them."""
    factory = sessionmaker(engine)
    tenancy.enforce(factory)
    return factory


class Office:
    """Calls use cases at ``now`` and looks at what they left behind."""

    def __init__(self, engine: Engine, **hiring: Any) -> None:
        self.engine = engine
        self.sessions = sessions_of(engine)
        self.now = NOW
        self._looking = self.sessions()
        set_scope(self._looking, system_scope("system"))
        self.people = hire(self._looking, **hiring)

    def close(self) -> None:
        """Let go of the connection."""
        self._looking.close()

    def do(self, actor: Actor, use_case: Callable[..., Any], *args: Any, **kwargs: Any) -> int:
        """Call a use case in a unit of work of its own; return the key of what it returned."""
        with self.sessions() as session:
            set_scope(session, actor.scope)
            with unit_of_work(session):
                key: int = use_case(session, actor, self.now, *args, **kwargs).id
        return key

    def tick(self, visit_id: int) -> bool:
        """Let the worker make a pending cancel final if its time has come."""
        with self.sessions() as session:
            set_scope(session, SYSTEM.scope)
            with unit_of_work(session):
                return services.finalise_due_cancel(session, self.now, visit_id)

    def booking(self, start: datetime | None = None, customer: int = 0, **values: Any) -> Booking:
        """What a dispatcher would type: tomorrow at ten for the first customer unless said otherwise."""
        return Booking(
            customer_id=self.people.customer_id(customer),
            address_id=self.people.addresses[customer],
            service_type_id=self.people.service_type_id,
            start=start or NOW + DAY + HOUR,
            items=values.pop("items", PANEL),
            **values,
        )

    def schedule(self, technician: int | None = None, start: datetime | None = None, **values: Any) -> int:
        """Schedule an installation, with one of the technicians if wanted; return its key."""
        technician_id = None if technician is None else self.people.technician_id(technician)
        booking = self.booking(start, technician_id=technician_id, **values)
        return self.do(self.people.dispatcher, services.schedule_installation, booking)

    # Looking

    @property
    def looking(self) -> Session:
        """A session that sees everything as it is committed now; what was seen before stays as it was seen."""
        self._looking.expunge_all()
        self._looking.rollback()
        return self._looking

    def job(self, job_id: int) -> Job:
        """The job as it is now."""
        return self.looking.scalars(select(Job).where(Job.id == job_id)).one()

    def visits(self, job_id: int) -> list[Appointment]:
        """The job's visits, oldest row first."""
        query = select(Appointment).where(Appointment.job_id == job_id).order_by(Appointment.id)
        return list(self.looking.scalars(query))

    def visit(self, job_id: int) -> Appointment:
        """The visit that the job's lists show."""
        visit = current_visit(self.visits(job_id))
        assert visit is not None
        return visit

    def history(self, job_id: int) -> list[HistoryEntry]:
        """The job's history, oldest first."""
        return list(
            self.looking.scalars(select(HistoryEntry).where(HistoryEntry.job_id == job_id).order_by(HistoryEntry.id))
        )

    def items(self, job_id: int) -> list[tuple[str, int]]:
        """The job's lines."""
        query = select(JobItem).where(JobItem.job_id == job_id).order_by(JobItem.position)
        return [(item.name, item.quantity) for item in self.looking.scalars(query)]

    def messages(self, job_id: int) -> list[str]:
        """The kinds of the job's messages, oldest first."""
        query = select(Message).where(Message.job_id == job_id).order_by(Message.id)
        return [message.kind for message in self.looking.scalars(query)]

    def contract(self, job_id: int) -> Contract:
        """The job's newest contract."""
        query = select(Contract).where(Contract.job_id == job_id).order_by(Contract.revision.desc())
        return self.looking.scalars(query.limit(1)).one()

    def pair(self, job_id: int) -> tuple[str, str]:
        """What job and visit are."""
        return self.job(job_id).status, self.visit(job_id).status

    def snapshot(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything this partner has that a use case could change."""
        tables = Base.metadata.tables
        found = {}
        with self.engine.connect() as connection:
            for name in ("jobs", "appointments", "job_items", "history", "messages", "contracts"):
                table = tables[name]
                rows = connection.execute(
                    select(table).where(table.c.partner_id == self.people.partner_id).order_by(table.c.id)
                )
                found[name] = [tuple(row) for row in rows]
        return found

    def change(self, row: Any, **values: Any) -> None:
        """Arrange something that no use case does: the settings or people of the partner."""
        with unit_of_work(self.looking) as session:
            known = session.merge(row)
            for key, value in values.items():
                setattr(known, key, value)

    def controls(self, **values: Any) -> None:
        """Change the partner's rules."""
        query = select(FeatureControls).where(FeatureControls.partner_id == self.people.partner_id)
        self.change(self.looking.scalars(query).one(), **values)

    def add(self, row: Any) -> int:
        """Write a row of the partner's and return its key."""
        with unit_of_work(self.looking) as session:
            row.partner_id = self.people.partner_id
            session.add(row)
            session.flush()
            key: int = row.id
        return key
