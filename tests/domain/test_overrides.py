"""What one service type, customer or job has in place of the partner's rules, and what a change would do (M2, L3)."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.errors import Conflict, Invalid, NotFound, Refused
from portal.domain.jobs import services
from portal.domain.jobs.customer_queries import schedule
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.preview import MOST_NAMED, Preview, preview_controls, preview_override
from portal.domain.people.models import Customer
from portal.domain.scheduling.models import ControlOverride, FeatureControls, ServiceType
from portal.domain.scheduling.overrides import (
    edit_override,
    inherited_by,
    merge_overrides,
    override_of,
    overrides_of_customers_and_jobs,
    overrides_of_service_types,
    owner_row,
    version_of,
)
from portal.domain.scheduling.rules import CONTROLS, ControlValues, OverrideValues, Owner
from portal.domain.scheduling.services import edit_controls
from portal.domain.settings_log.models import SettingChange
from portal.domain.tenancy import set_scope
from portal.domain.unit_of_work import unit_of_work
from tests.domain.office import DAY, HOUR, NOW, Office

pytestmark = pytest.mark.row("M2")

ACTIONS = ("reschedule", "cancel")


@contextmanager
def as_actor(office: Office, actor: Actor) -> Iterator[Session]:
    with office.sessions() as session:
        set_scope(session, actor.scope)
        yield session


def override(office: Office, owner: Owner, key: int, **values: Any) -> None:
    """Set what ``owner`` has in place of the partner's rules, as its form does."""
    admin = office.people.partner_admin
    with as_actor(office, admin) as session:
        version = version_of(session, owner, key)
        with unit_of_work(session):
            edit_override(session, admin, office.now, owner, key, version, OverrideValues(**values))


def refused(office: Office, job_id: int, use_case: Any, *args: Any) -> str:
    with pytest.raises((Refused, Conflict)) as caught:
        office.do(office.people.customers[0], use_case, office.visit(job_id).id, *args)
    return str(caught.value.refusal.code)


def trail(office: Office) -> list[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    query = select(SettingChange).where(SettingChange.partner_id == office.people.partner_id).order_by(SettingChange.id)
    return [(row.subject, row.name, row.before, row.after) for row in office.looking.scalars(query)]


# What holds


@pytest.mark.row("M3")
def test_the_nearest_rule_decides_for_the_page_and_for_the_post(office: Office) -> None:
    people, start = office.people, NOW + 3 * DAY
    job_id, other = office.schedule(0, start), office.schedule(1, start)
    office.controls(reschedule_cutoff_hours=24)
    for owner, key, hours, allowed in (
        (Owner.SERVICE_TYPE, people.service_type_id, 96, False),
        (Owner.CUSTOMER, people.customer_id(0), 72, True),
        (Owner.JOB, job_id, 73, False),
    ):
        override(office, owner, key, reschedule_cutoff_hours=hours)
        with as_actor(office, people.customers[0]) as session:
            shown = {item.job.id: item for item in schedule(session, people.customers[0], NOW, 0).upcoming}
        move = shown[job_id].move
        assert (move.allowed, move.until) == (allowed, start - timedelta(hours=hours))
        # Where they may, it is the switch that says so.
        assert move.owner is (Owner.PARTNER if allowed else owner)
        assert shown[other].move.allowed is (owner is not Owner.SERVICE_TYPE)
        assert shown[job_id].cancel.owner is Owner.PARTNER
        if not allowed:
            assert refused(office, job_id, services.move_by_customer, start + DAY) == "cutoff"
    office.do(people.customers[0], services.move_by_customer, office.visit(other).id, start + DAY)
    # the neighbours keep what everybody has, and staff are bound by none
    theirs = office.schedule(2, start, customer=1)
    override(office, Owner.SERVICE_TYPE, people.service_type_id)
    office.do(people.customers[1], services.move_by_customer, office.visit(theirs).id, start + DAY)
    override(office, Owner.JOB, job_id, self_service=False)
    office.do(people.dispatcher, services.reschedule, job_id, start + 2 * DAY)


def test_every_control_of_a_job_is_its_own(office: Office) -> None:
    office.controls(cancel_undo_minutes=10, notice_hours=0, horizon_days=60, own_choice_confirms=True)
    start = NOW + 3 * DAY
    job_id = office.schedule(0, start)
    move, cancel = services.move_by_customer, services.cancel_by_customer
    for values, use_case, args, code in (
        ({"self_service": False}, move, (start + DAY,), "self_service_off"),
        ({"reschedule_unconfirmed": False}, move, (start + DAY,), "reschedule_unconfirmed_off"),
        ({"cancel_unconfirmed": False}, cancel, ("Away",), "cancel_unconfirmed_off"),
        ({"cancel_cutoff_hours": 100}, cancel, ("Away",), "cutoff"),
        ({"max_moves": 0}, move, (start + DAY,), "moves_used_up"),
        ({"notice_hours": 97}, move, (start + DAY,), "notice"),
        ({"horizon_days": 3}, move, (start + DAY,), "horizon"),
    ):
        override(office, Owner.JOB, job_id, **values)
        assert refused(office, job_id, use_case, *args) == code, values
    override(office, Owner.JOB, job_id, own_choice_confirms=False, cancel_undo_minutes=0, horizon_days=4)
    office.do(office.people.customers[0], move, office.visit(job_id).id, start + DAY)
    assert not office.visit(job_id).is_confirmed
    override(office, Owner.JOB, job_id, cancel_unconfirmed=True, cancel_undo_minutes=0)
    office.do(office.people.customers[0], cancel, office.visit(job_id).id, "Away")
    assert office.visit(job_id).status == "CANCELLED"


# Saving


@pytest.mark.row("L1")
def test_a_change_is_on_the_trail_and_an_old_form_saves_over_nothing(office: Office) -> None:
    people, key = office.people, office.people.service_type_id
    admin = people.partner_admin

    def save(version: int, **values: Any) -> None:
        with as_actor(office, admin) as session, unit_of_work(session):
            edit_override(session, admin, NOW, Owner.SERVICE_TYPE, key, version, OverrideValues(**values))

    save(0)
    assert trail(office) == []
    save(0, max_moves=1, cancel_confirmed=False)
    with pytest.raises(Conflict):
        save(0, max_moves=5)
    save(1, max_moves=2)
    save(2)
    with pytest.raises(Conflict):
        # Nothing is overridden any more, but it is not the form's nothing.
        save(0, max_moves=5)
    with pytest.raises(Invalid) as caught:
        save(3, max_moves=-1, horizon_days=0, notice_hours=10**30, cancel_cutoff_hours=4)
    assert set(caught.value.errors) == {"max_moves", "horizon_days", "notice_hours"}
    assert trail(office) == [
        ("service_type_controls", "Solar", {}, {"max_moves": 1, "cancel_confirmed": False}),
        ("service_type_controls", "Solar", {"max_moves": 1, "cancel_confirmed": False}, {"max_moves": 2}),
        ("service_type_controls", "Solar", {"max_moves": 2}, {}),
    ]
    with as_actor(office, admin) as session:
        assert overrides_of_service_types(session) == []
        assert override_of(session, Owner.SERVICE_TYPE, key) is None


def test_what_is_over_or_not_there_has_no_rules_of_its_own(office: Office, neighbour: Office) -> None:
    job_id = office.schedule(start=NOW + 3 * DAY)
    office.do(office.people.dispatcher, services.cancel, job_id, "Away")
    with pytest.raises(Refused) as caught:
        override(office, Owner.JOB, job_id, max_moves=1)
    assert caught.value.refusal.code == "ended"
    theirs, admin = neighbour.people, office.people.partner_admin
    for owner, key in (
        (Owner.SERVICE_TYPE, theirs.service_type_id),
        (Owner.CUSTOMER, theirs.customer_id(0)),
        (Owner.JOB, neighbour.schedule(start=NOW + 3 * DAY)),
        (Owner.JOB, 0),
        (Owner.CUSTOMER, 2**70),
    ):
        with pytest.raises(NotFound), as_actor(office, admin) as session, unit_of_work(session):
            edit_override(session, admin, NOW, owner, key, 0, OverrideValues(max_moves=1))


def test_the_database_refuses_what_no_form_can_send(office: Office, neighbour: Office) -> None:
    kind, customer = office.people.service_type_id, office.people.customer_id(0)
    office.add(ControlOverride(service_type_id=kind, max_moves=0))
    for values in (
        {},
        {"service_type_id": kind},
        {"customer_id": customer, "job_id": office.schedule(start=NOW + DAY)},
        {"customer_id": neighbour.people.customer_id(0)},
        {"service_type_id": neighbour.people.service_type_id},
        {"job_id": neighbour.schedule(start=NOW + DAY)},
        {"customer_id": customer, "reschedule_cutoff_hours": -1},
        {"customer_id": customer, "notice_hours": -1},
        {"customer_id": customer, "horizon_days": 0},
        {"customer_id": customer, "max_moves": -1},
    ):
        with pytest.raises(IntegrityError):
            office.add(ControlOverride(**values))


# Reading


def test_each_control_says_what_it_inherits_and_from_whom(office: Office) -> None:
    people, job_id = office.people, office.schedule(start=NOW + 3 * DAY)
    office.controls(max_moves=3, horizon_days=60)
    override(office, Owner.SERVICE_TYPE, people.service_type_id, max_moves=2, horizon_days=30)
    override(office, Owner.CUSTOMER, people.customer_id(0), max_moves=9)
    override(office, Owner.JOB, job_id, max_moves=0, self_service=False)
    seen = {}
    for owner, key in (
        (Owner.SERVICE_TYPE, people.service_type_id),
        (Owner.CUSTOMER, people.customer_id(0)),
        (Owner.JOB, job_id),
    ):
        with as_actor(office, people.partner_admin) as session:
            found = inherited_by(session, owner, owner_row(session, owner, key))
        seen[owner] = [
            (getattr(found.controls, name), found.names[found.controls.owner_of(name)], *found.differing.get(name, ()))
            for name in ("max_moves", "horizon_days", "self_service")
        ]
    partner = found.names[Owner.PARTNER]
    assert seen == {
        Owner.SERVICE_TYPE: [(3, partner), (60, partner), (True, partner)],
        Owner.CUSTOMER: [(3, partner, "Solar"), (60, partner, "Solar"), (True, partner)],
        Owner.JOB: [(9, "Customer 0"), (30, "Solar"), (True, partner)],
    }
    with as_actor(office, people.partner_admin) as mine:
        page = overrides_of_customers_and_jobs(mine, limit=1)
        listed = [*page.rows, *overrides_of_customers_and_jobs(mine, page.forward, limit=1).rows]
        number = mine.get_one(Job, job_id).number
    assert [(one.name, one.customer, one.override.owner_id) for one in listed] == [
        (number, "Customer 0", job_id),
        ("Customer 0", None, people.customer_id(0)),
    ]


# Merging


@pytest.mark.row("P23")
def test_whoever_stays_keeps_their_rules_and_gets_the_others(office: Office) -> None:
    kept, gone = office.people.customer_id(0), office.people.customer_id(1)

    def merge() -> list[dict[str, Any]]:
        admin = office.people.partner_admin
        with as_actor(office, admin) as session, unit_of_work(session):
            merge_overrides(session, admin, NOW, session.get_one(Customer, kept), session.get_one(Customer, gone))
        rows = [override_of(office.looking, Owner.CUSTOMER, key) for key in (kept, gone)]
        return [{name: getattr(row, name) for name in CONTROLS if getattr(row, name, None) is not None} for row in rows]

    assert merge() == [{}, {}]
    override(office, Owner.CUSTOMER, gone, cancel_cutoff_hours=4, self_service=False)
    assert merge() == [{"cancel_cutoff_hours": 4, "self_service": False}, {}]
    override(office, Owner.CUSTOMER, kept, cancel_cutoff_hours=8, max_moves=0)
    override(office, Owner.CUSTOMER, gone, cancel_cutoff_hours=4, self_service=False)
    assert merge() == [{"cancel_cutoff_hours": 8, "max_moves": 0, "self_service": False}, {}]
    assert trail(office)[-2:] == [
        ("customer_controls", "Customer 1", {"cancel_cutoff_hours": 4, "self_service": False}, {}),
        ("customer_controls", "Customer 0", {}, {"self_service": False}),
    ]


# The preview


# Workflow and status of a job, status of its coming visit, whether somebody has it, whether work has begun.
STATES = (
    ("installation", "SCHEDULED", "SCHEDULED", False, False),
    ("installation", "INSTALLER_ASSIGNED", "PREPARING", True, False),
    ("installation", "INSTALLATION_IN_PROGRESS", "SCHEDULED", True, True),
    ("installation", "EN_ROUTE", "ON_THE_WAY", True, False),
    ("service", "APPROVED", "SCHEDULED", False, False),
    ("service", "SCHEDULED", "SCHEDULED", True, False),
    ("service", "PAUSED", "SCHEDULED", True, True),
    ("service", "IN_PROGRESS", "SCHEDULED", True, True),
)
# From now to the start of a visit, around every cutoff that is tried.
STARTS = (-3, 2, 23, 24, 25, 47, 48, 49, 96, 240)


def fill(office: Office, rng: random.Random) -> tuple[list[int], list[int]]:
    """Write visits of both customers and two kinds of work in every state; return the keys of jobs and kinds."""
    people = office.people
    kinds = [people.service_type_id, office.add(ServiceType(name="Battery"))]
    jobs = []
    with unit_of_work(office.looking) as session:
        for number, hours in enumerate(STARTS):
            for place, (customer, kind) in enumerate(itertools.product((0, 1), kinds)):
                workflow, status, visit, assigned, begun = STATES[(number + place) % len(STATES)]
                customer_id, start = people.customer_id(customer), NOW + timedelta(hours=hours)
                technician_id = people.technician_id(place) if assigned else None
                job = Job(
                    partner_id=people.partner_id, customer_id=customer_id, address_id=people.addresses[customer],
                    service_type_id=kind, workflow=workflow, status=status, number=f"N-{len(jobs)}", title="Panel",
                    technician_id=technician_id, start_at=start, end_at=start + HOUR, visit_open=True,
                    work_began_at=NOW - DAY if begun else None,
                )  # fmt: skip
                session.add(job)
                session.flush()
                jobs.append(job.id)
                given = {"partner_id": people.partner_id, "customer_id": customer_id, "job_id": job.id}
                given |= {"technician_id": technician_id, "window_minutes": 60, "planned_at": NOW}
                session.add(
                    Appointment(
                        **given, status=visit, start_at=start, end_at=start + HOUR,
                        confirmed_at=NOW if rng.random() < 0.5 else None, customer_moves=rng.randrange(4),
                        cancel_at=start if rng.random() < 0.1 else None,
                    )
                )  # fmt: skip
                if begun:
                    # What was done of it before; a service job may have one under way beside the one to come.
                    before = NOW - 10 * DAY + number * HOUR
                    earlier = {"INSTALLATION_IN_PROGRESS": "INCOMPLETE", "PAUSED": "PAUSED"}
                    earlier_status = earlier.get(status, "WORK_IN_PROGRESS")
                    session.add(Appointment(**given, status=earlier_status, start_at=before, end_at=before + HOUR))
    return jobs, kinds


def anything(rng: random.Random, some: bool) -> dict[str, Any]:
    """Values of the controls that decide; with ``some`` only of a few."""
    values: dict[str, Any] = {
        name: rng.random() < 0.7
        for name in ("self_service", "reschedule_unconfirmed", "reschedule_confirmed", "cancel_unconfirmed")
    }
    values |= {"cancel_confirmed": rng.random() < 0.5, "max_moves": rng.randrange(5)}
    values |= {f"{action}_cutoff_hours": rng.choice((0, 2, 24, 25, 48, 100, 5000)) for action in ACTIONS}
    return {name: value for name, value in values.items() if not some or rng.random() < 0.3}


def truth(office: Office) -> dict[str, set[int]]:
    """The visits that customers may move and cancel now, as their own pages say."""
    found: dict[str, set[int]] = {action: set() for action in ACTIONS}
    for customer in office.people.customers:
        with as_actor(office, customer) as session:
            for item in schedule(session, customer, office.now, 0).upcoming:
                for action, decision in (("reschedule", item.move), ("cancel", item.cancel)):
                    if decision.allowed:
                        found[action].add(item.visit.id)
    return found


def named(preview: Preview) -> dict[str, tuple[set[int], set[int]]]:
    found: dict[str, tuple[set[int], set[int]]] = {}
    for action, effect in preview.effects.items():
        found[action] = tuple({one.visit_id for one in named} for named in (effect.gaining, effect.losing))  # type: ignore[assignment]
        assert (effect.gain, effect.lose) == tuple(map(len, found[action]))
        for named_ones in (effect.gaining, effect.losing):
            assert named_ones == sorted(named_ones, key=lambda one: (one.start_at, one.visit_id))
    return found


@pytest.mark.row("L3")
def test_a_preview_is_what_is_true_after_saving(shared_engine: Any) -> None:
    office, rng = Office(shared_engine, technicians=("Ann", "Bob", "Cyd", "Dan")), random.Random(20)
    people, admin = office.people, office.people.partner_admin
    jobs, kinds = fill(office, rng)
    owners = [
        *((Owner.SERVICE_TYPE, key) for key in kinds),
        *((Owner.CUSTOMER, people.customer_id(number)) for number in (0, 1)),
        *((Owner.JOB, key) for key in rng.sample(jobs, 4)),
    ]
    changed = 0
    before = truth(office)
    for turn in range(40):
        if turn % 4 == 0:
            form = ControlValues(
                notice_hours=1,
                horizon_days=9,
                cancel_undo_minutes=5,
                own_choice_confirms=True,
                **anything(rng, some=False),
            )
            with as_actor(office, admin) as session:
                preview = preview_controls(session, people.partner_id, office.now, form)
                version = session.scalars(select(FeatureControls.version)).one()
                with unit_of_work(session):
                    edit_controls(session, admin, office.now, people.partner_id, version, form)
        else:
            owner, key = rng.choice(owners)
            own = anything(rng, some=True)
            with as_actor(office, admin) as session:
                preview = preview_override(session, people.partner_id, office.now, owner, key, OverrideValues(**own))
            override(office, owner, key, **own)
        after = truth(office)
        found = {action: (after[action] - before[action], before[action] - after[action]) for action in ACTIONS}
        assert named(preview) == found, turn
        changed += any(gained or lost for gained, lost in found.values())
        # Time goes by, and who may what changes by itself.
        office.now += timedelta(minutes=rng.choice((0, 0, 30)))
        before = truth(office)
    office.close()
    assert changed > 20


@pytest.mark.row("L3")
def test_a_preview_names_some_and_counts_all_in_a_fixed_number_of_statements(shared_engine: Any) -> None:
    office = Office(shared_engine)
    people, admin = office.people, office.people.partner_admin
    costs = []
    total = 0
    for more in (1, MOST_NAMED + 4):
        with unit_of_work(office.looking) as session:
            for number in range(total, total + more):
                keys = {"partner_id": people.partner_id, "customer_id": people.customer_id(0)}
                job = Job(
                    **keys, address_id=people.addresses[0], service_type_id=people.service_type_id, title="Panel",
                    workflow="installation", status="SCHEDULED", number=f"N-{number}", visit_open=True,
                )  # fmt: skip
                session.add(job)
                session.flush()
                start = NOW + (number + 2) * DAY
                times = {"start_at": start, "end_at": start + HOUR, "planned_at": NOW, "window_minutes": 60}
                session.add(Appointment(**keys, job_id=job.id, status="SCHEDULED", **times))
                session.add(ControlOverride(partner_id=people.partner_id, job_id=job.id, notice_hours=number))
        total += more
        said: list[str] = []

        def note(connection: Any, cursor: Any, statement: str, *rest: Any, said: list[str] = said) -> None:
            said.append(statement)

        with as_actor(office, admin) as session:
            event.listen(shared_engine, "before_cursor_execute", note)
            form = OverrideValues(self_service=False)
            preview = preview_override(session, people.partner_id, NOW, Owner.CUSTOMER, people.customer_id(0), form)
            event.remove(shared_engine, "before_cursor_execute", note)
        costs.append(len([one for one in said if not one.startswith("BEGIN")]))
        effect = preview.effects["reschedule"]
        assert (preview.coming, effect.lose, effect.gain) == (total, total, 0)
        assert len(effect.losing) == min(total, MOST_NAMED)
    assert costs[0] == costs[1] <= 4
    with as_actor(office, admin) as session, pytest.raises(Invalid):
        preview_override(
            session, people.partner_id, NOW, Owner.CUSTOMER, people.customer_id(0), OverrideValues(max_moves=-1)
        )
    office.close()
