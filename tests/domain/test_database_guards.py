"""What the database itself refuses, whatever the code above it forgets: written with plain SQL on both engines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from portal.domain.jobs.models import Appointment, HistoryEntry, Job, JobItem
from portal.domain.people.models import Customer, Partner, Technician
from portal.domain.scheduling.models import ServiceType
from portal.domain.unit_of_work import unit_of_work

Create = Callable[..., Any]
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@dataclass
class Rows:
    """Two partners, each with a customer, a technician and a service type; the first with one planned visit."""

    mine: Partner
    theirs: Partner
    customer: Customer
    their_customer: Customer
    technician: Technician
    their_technician: Technician
    kind: ServiceType
    job: Job
    visit: Appointment


def job_of(partner: Partner, customer: Customer, kind: ServiceType, **values: Any) -> Job:
    return Job(
        **(
            {
                "partner_id": partner.id,
                "customer_id": customer.id,
                "address_id": customer.addresses[0].id,
                "service_type_id": kind.id,
                "workflow": "installation",
                "number": "X-1",
                "status": "INSTALLER_ASSIGNED",
                "title": "Panel",
            }
            | values
        )
    )


def visit_of(job: Job, technician: Technician | None, start: datetime = NOON, **values: Any) -> Appointment:
    return Appointment(
        **(
            {
                "partner_id": job.partner_id,
                "customer_id": job.customer_id,
                "job_id": job.id,
                "technician_id": technician.id if technician else None,
                "status": "SCHEDULED",
                "start_at": start,
                "end_at": start + timedelta(hours=2),
                "window_minutes": 120,
                "planned_at": NOON - timedelta(days=3),
            }
            | values
        )
    )


@pytest.fixture
def rows(session: Session, create_partner: Create, create_customer: Create, create_technician: Create) -> Rows:
    mine, theirs = create_partner(), create_partner()
    customer, their_customer = create_customer(mine), create_customer(theirs)
    technician, their_technician = create_technician(mine), create_technician(theirs)
    with unit_of_work(session):
        kind = ServiceType(partner_id=mine.id, name="Solar")
        session.add(kind)
        session.flush()
        job = job_of(mine, customer, kind)
        session.add(job)
        session.flush()
        visit = visit_of(job, technician)
        session.add(visit)
    return Rows(mine, theirs, customer, their_customer, technician, their_technician, kind, job, visit)


def refused(session: Session, row: Any) -> str:
    """Try to write ``row``; return what the database said."""
    with pytest.raises(IntegrityError) as caught:
        accepted(session, row)
    return str(caught.value.orig)


def accepted(session: Session, row: Any) -> None:
    with unit_of_work(session):
        session.add(row)


def altered(session: Session, entry: HistoryEntry) -> None:
    with unit_of_work(session):
        entry.reason = "other"


@pytest.mark.row("P5")
@pytest.mark.parametrize("minutes", [-119, 0, 119])
def test_two_active_visits_of_one_technician_never_overlap(session: Session, rows: Rows, minutes: int) -> None:
    start = NOON + timedelta(minutes=minutes)
    assert "technician_overlap" in refused(session, visit_of(rows.job, rows.technician, start))


@pytest.mark.row("P5")
def test_visits_that_touch_or_do_not_count_are_no_overlap(session: Session, rows: Rows) -> None:
    accepted(session, visit_of(rows.job, rows.technician, NOON + timedelta(hours=2)))
    accepted(session, visit_of(rows.job, rows.technician, NOON - timedelta(hours=2)))
    accepted(session, visit_of(rows.job, None))
    accepted(session, visit_of(rows.job, None))
    accepted(session, visit_of(rows.job, rows.technician, status="CANCELLED"))
    accepted(session, visit_of(rows.job, rows.technician, status="PAUSED"))


@pytest.mark.row("P5")
@pytest.mark.parametrize(
    "change",
    ["status = 'SCHEDULED'", "status = 'WORK_IN_PROGRESS'"],
)
def test_a_visit_that_becomes_active_again_is_checked_too(
    engine: Engine, session: Session, rows: Rows, change: str
) -> None:
    accepted(session, visit_of(rows.job, rows.technician, status="PAUSED"))
    with pytest.raises(IntegrityError, match="technician_overlap"), engine.begin() as connection:
        connection.execute(text(f"UPDATE appointments SET {change} WHERE status = 'PAUSED'"))


@pytest.mark.row("P10")
@pytest.mark.parametrize("reason", ["", "   "])
def test_a_rejection_without_a_reason_is_refused(session: Session, rows: Rows, reason: str) -> None:
    row = job_of(rows.mine, rows.customer, rows.kind, number="X-2", status="REJECTED", reject_reason=reason)
    assert "reject_reason" in refused(session, row)


@pytest.mark.row("P4")
@pytest.mark.parametrize(("name", "quantity"), [("Panel", 0), ("Panel", -1), ("Panel", 100_001), (" ", 1)])
def test_an_item_needs_a_name_and_a_quantity(session: Session, rows: Rows, name: str, quantity: int) -> None:
    row = JobItem(partner_id=rows.mine.id, job_id=rows.job.id, position=9, name=name, quantity=quantity)
    refused(session, row)


def test_an_unknown_status_is_refused(session: Session, rows: Rows) -> None:
    refused(session, job_of(rows.mine, rows.customer, rows.kind, number="X-3", status="DONE"))
    refused(session, visit_of(rows.job, rows.technician, status="DONE"))


def test_a_visit_under_way_has_a_technician(session: Session, rows: Rows) -> None:
    assert "technician" in refused(session, visit_of(rows.job, None, status="ON_THE_WAY"))


def test_no_row_points_at_another_partners(session: Session, rows: Rows) -> None:
    refused(session, visit_of(rows.job, rows.their_technician))
    refused(session, job_of(rows.mine, rows.their_customer, rows.kind, number="X-4"))
    refused(session, job_of(rows.mine, rows.customer, rows.kind, number="X-5", technician_id=rows.their_technician.id))
    refused(session, job_of(rows.theirs, rows.their_customer, rows.kind, number="X-6"))


def test_an_address_is_the_customers_own(session: Session, rows: Rows, create_customer: Create) -> None:
    neighbour = create_customer(rows.mine)
    row = job_of(rows.mine, rows.customer, rows.kind, number="X-7", address_id=neighbour.addresses[0].id)
    refused(session, row)


@pytest.mark.row("P12")
@pytest.mark.parametrize("statement", ["UPDATE history SET reason = 'other'", "DELETE FROM history"])
def test_history_is_written_once(engine: Engine, session: Session, rows: Rows, statement: str) -> None:
    entry = HistoryEntry(
        partner_id=rows.mine.id,
        customer_id=rows.customer.id,
        job_id=rows.job.id,
        at=NOON,
        subject="job",
        action="assign",
        actor_role="dispatcher",
        actor_name="Dana",
    )
    accepted(session, entry)
    with pytest.raises(DBAPIError, match="never altered"), engine.begin() as connection:
        connection.execute(text(statement))
    with pytest.raises(RuntimeError, match="never altered"):
        altered(session, entry)


@pytest.mark.row("M4")
def test_postgresql_tells_instants_in_utc_whatever_its_own_zone_is(engine: Engine) -> None:
    # SQLite has no zone.
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            noon = connection.execute(text("SELECT CAST('2026-11-24 07:00-05' AS timestamptz)")).scalar_one()
        assert (noon, noon.tzinfo) == (NOON, UTC)
