"""The declared list of periodic jobs: how each is set, what is recorded of its runs, and cancels made final in time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from portal.domain.background.models import BackgroundJob
from portal.domain.errors import NotFound, sentence
from portal.domain.jobs import services
from portal.domain.jobs.models import Job
from portal.domain.photos.models import Photo
from portal.domain.photos.pictures import Drawn
from portal.domain.scheduling.models import FeatureControls
from portal.domain.unit_of_work import unit_of_work
from portal.settings import Settings
from portal.worker import start_in_background
from portal.worker.schedule import JOBS, PeriodicJob, Work, run_once, scheduler_for
from tests.worker.conftest import MINUTE, NOW, PATIENCE, SECOND, START, Shop, Sink
from tests.worker.test_processes import fill

CANCELS, HOUSE = JOBS[2], JOBS[-1]


@pytest.fixture
def work(start_work: Callable[..., Work]) -> Work:
    return start_work()


def recorded(session: Session) -> dict[str, BackgroundJob]:
    session.rollback()
    return {job.name: job for job in session.scalars(select(BackgroundJob))}


@pytest.mark.row("N5")
def test_each_job_is_made_up_for_once_however_late_by_utc(work: Work) -> None:
    found = {job.id: job for job in scheduler_for(work).get_jobs()}
    assert {name: job.trigger.interval for name, job in found.items()} == {
        "Send messages": timedelta(seconds=3),
        "Decide reminders": timedelta(minutes=1),
        "Make due cancels final": timedelta(seconds=5),
        "Let change requests lapse": timedelta(minutes=1),
        "Let job offers expire": timedelta(minutes=1),
        "Fold counts": timedelta(seconds=5),
        "Clear away photos": timedelta(hours=1),
        "Keep house": timedelta(hours=1),
    }
    for job in found.values():
        assert (job.coalesce, job.misfire_grace_time, job.max_instances) == (True, None, 1)
        assert job.trigger.timezone == UTC
        assert job.next_run_time == NOW


@pytest.mark.row("N5")
def test_a_run_is_on_the_record_with_the_next_one(work: Work, session: Session) -> None:
    for job in JOBS:
        run_once(work, job, NOW + job.every)
    for job in JOBS:
        row = recorded(session)[job.name]
        assert (row.started_at, row.next_run_at, row.outcome, row.detail) == (NOW, NOW + job.every, "OK", "")
        assert row.duration_ms is not None
        assert row.duration_ms >= 0


@pytest.mark.row("N5")
def test_a_run_that_fails_says_so_and_the_next_one_clears_it(work: Work, session: Session) -> None:
    def fail(work: Work) -> None:
        raise ValueError("the disk is full")

    broken = PeriodicJob(sentence("Keep house"), fail, timedelta(hours=1))
    run_once(work, broken)
    row = recorded(session)["Keep house"]
    assert (row.outcome, row.detail) == ("FAILED", "ValueError: the disk is full")
    run_once(work, replace(broken, run=HOUSE.run))
    row = recorded(session)["Keep house"]
    assert (row.outcome, row.detail) == ("OK", "")


@pytest.mark.row("J8")
def test_the_files_of_removed_photos_are_cleared_away(work: Work, session: Session, shop: Shop) -> None:
    """As when the place they are in could not be reached at the moment of removing them."""
    visit = shop.visit(shop.schedule())
    names = [work.photos.keep(Drawn(b"whole", b"small", 16, 16), NOW) for _ in range(2)]
    about = {"partner_id": visit.partner_id, "customer_id": visit.customer_id, "job_id": visit.job_id}
    about |= {"appointment_id": visit.id, "width": 16, "height": 16, "taken_at": NOW, "added_at": NOW}
    with unit_of_work(session):
        for name, removed in zip(names, (NOW, None), strict=True):
            session.add(Photo(name=name, client_key=name[-32:], added_by_name="Ines", removed_at=removed, **about))
    (job,) = [job for job in JOBS if job.name == "Clear away photos"]
    assert run_once(work, job).outcome == "OK"
    session.rollback()
    assert sorted(session.scalars(select(Photo.name))) == sorted(["", names[1]])
    assert work.photos.read(names[1]) == b"whole"
    with pytest.raises(NotFound):
        work.photos.read(names[0])


@pytest.mark.row("N5")
def test_inside_the_demo_everything_runs_and_ends(settings: Settings, session: Session, shop: Shop, sink: Sink) -> None:
    with unit_of_work(session):
        session.add(BackgroundJob(name="A job of an older version"))
    fill(shop, 2)
    handle = start_in_background(settings.model_copy(update={"smtp_url": sink.url}))
    sink.wait_for(2)
    tick = threading.Event()
    for _ in range(PATIENCE * 10):
        if len(recorded(session)) == len(JOBS):
            break
        tick.wait(0.1)
    handle.stop()
    rows = recorded(session)
    assert set(rows) == {job.name for job in JOBS}
    assert {row.outcome for row in rows.values()} == {"OK"}
    assert all(row.next_run_at and row.started_at and row.next_run_at > row.started_at for row in rows.values())
    assert {message.status for message in shop.messages()} == {"SENT"}


@pytest.mark.row("N5")
def test_told_to_stop_while_jobs_begin_it_ends(settings: Settings) -> None:
    # Again and again, since it is a matter of the moment.
    for _ in range(10):
        handle = start_in_background(settings)
        stopping = threading.Thread(target=handle.stop, daemon=True)
        stopping.start()
        stopping.join(PATIENCE)
        assert not stopping.is_alive()


def cancel_pending(shop: Shop) -> Job:
    with unit_of_work(shop.session):
        shop.session.execute(
            update(FeatureControls).values(self_service=True, cancel_cutoff_hours=0, cancel_undo_minutes=10)
        )
    job = shop.schedule()
    shop.do(services.cancel_by_customer, shop.as_customer, shop.visit(job).id, "Away")
    return job


@pytest.mark.row("M7")
@pytest.mark.row("N5")
def test_a_cancel_becomes_final_at_its_very_second(work: Work, shop: Shop) -> None:
    job = cancel_pending(shop)
    shop.clock.now = NOW + 10 * MINUTE - SECOND
    run_once(work, CANCELS)
    assert shop.visit(job).status == "SCHEDULED"
    assert shop.messages("cancelled") == []
    shop.clock.now = NOW + 10 * MINUTE
    run_once(work, CANCELS)
    assert shop.visit(job).status == "CANCELLED"
    assert shop.session.scalars(select(Job.status)).one() == "CANCELLED"
    assert len(shop.messages("cancelled")) == 1
    run_once(work, CANCELS)
    assert len(shop.messages("cancelled")) == 1


@pytest.mark.row("M7")
def test_a_cancel_close_to_the_start_becomes_final_at_the_start(work: Work, shop: Shop) -> None:
    shop.clock.now = START - 4 * MINUTE
    job = cancel_pending(shop)
    assert shop.visit(job).cancel_at == START
    shop.clock.now = START
    run_once(work, CANCELS)
    assert shop.visit(job).status == "CANCELLED"


@pytest.mark.row("M7")
def test_an_undone_cancel_never_becomes_final(work: Work, shop: Shop) -> None:
    job = cancel_pending(shop)
    shop.do(services.undo_cancel, shop.as_customer, shop.visit(job).id)
    shop.clock.now = NOW + 11 * MINUTE
    run_once(work, CANCELS)
    assert shop.visit(job).status == "SCHEDULED"


@pytest.mark.row("N5")
def test_one_cancel_that_fails_does_not_hold_the_others_back(work: Work, shop: Shop) -> None:
    first, second = cancel_pending(shop), cancel_pending(shop)
    with unit_of_work(shop.session):
        shop.session.execute(update(Job).where(Job.id == first.id).values(status="INSTALLATION_COMPLETED"))
    shop.clock.now = NOW + 10 * MINUTE
    run = run_once(work, CANCELS)
    assert shop.visit(second).status == "CANCELLED"
    assert run.outcome == "FAILED"
    assert "1 of 2 cancels failed" in run.detail
