"""Counts by status: right at once, after folding and after a rebuild, and never another partner's (P7)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from portal.domain.jobs.counts import counts_of, fold, rebuild
from portal.domain.jobs.models import Job, JobCountDelta
from portal.domain.tenancy import Scope
from portal.domain.unit_of_work import unit_of_work

Create = Callable[..., Any]
STATUSES = ("SCHEDULED", "INSTALLER_ASSIGNED", "EN_ROUTE", "CANCELLED")


def plain_count(session: Session, partner_id: int) -> tuple[Counter[str], Counter[str]]:
    """Count the rows one by one, which is what the page must not do."""
    session.rollback()
    jobs = list(session.scalars(select(Job).where(Job.partner_id == partner_id)))
    return Counter(job.status for job in jobs), Counter(job.status for job in jobs if job.technician_id is None)


def told(session: Session, partner_id: int) -> tuple[Counter[str], Counter[str]]:
    """Return what the page would say, without the zeros."""
    session.rollback()
    counts = counts_of(session, partner_id, "installation")
    return +Counter(counts.by_status), +Counter(counts.unassigned)


@pytest.mark.row("P7")
def test_counts_are_right_after_random_work(
    session: Session, create_installation: Create, create_partner: Create, create_technician: Create
) -> None:
    rng = random.Random(7)
    partner, other = create_partner(), create_partner()
    technicians = [None, create_technician(partner).id]
    keys = [create_installation(partner).id for _ in range(4)]
    create_installation(other)
    for turn in range(30):
        with unit_of_work(session):
            job = session.get_one(Job, rng.choice(keys))
            job.status = rng.choice(STATUSES)
            session.flush()
            job.technician_id = rng.choice(technicians)
            job.notes = f"turn {turn}"
        if turn % 7 == 0:
            with unit_of_work(session):
                fold(session)
        assert told(session, partner.id) == plain_count(session, partner.id)
    assert told(session, other.id) == plain_count(session, other.id)


@pytest.mark.row("P7")
def test_folding_leaves_no_deltas_and_the_same_counts(
    session: Session, create_installation: Create, create_partner: Create
) -> None:
    job = create_installation(create_partner())
    before = told(session, job.partner_id)
    with unit_of_work(session):
        assert fold(session) > 0
    with unit_of_work(session):
        assert fold(session) == 0
    assert session.scalars(select(JobCountDelta)).all() == []
    assert told(session, job.partner_id) == before


@pytest.mark.row("P7")
def test_a_rebuild_mends_counts_after_work_past_the_models(
    session: Session, create_installation: Create, create_partner: Create
) -> None:
    job = create_installation(create_partner())
    with unit_of_work(session):
        session.execute(text("UPDATE jobs SET status = 'CANCELLED'"))
    assert told(session, job.partner_id) != plain_count(session, job.partner_id)
    with unit_of_work(session):
        rebuild(session)
    assert told(session, job.partner_id) == plain_count(session, job.partner_id)


@pytest.mark.row("P7")
def test_another_partner_counts_nothing_of_it(
    new_session: Callable[..., Session], create_installation: Create, create_partner: Create
) -> None:
    job, stranger = create_installation(create_partner()), create_partner()
    foreign = new_session(Scope(frozenset({stranger.id})))
    assert not counts_of(foreign, job.partner_id, "installation").by_status
    own = new_session(Scope(frozenset({job.partner_id})))
    assert sum(counts_of(own, job.partner_id, "installation").by_status.values()) == 1
