"""The one declared list of periodic jobs (N5). What is due stands in the tables; these only look, by UTC ticks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.blocking import BlockingScheduler
from apscheduler.triggers.interval import IntervalTrigger

from portal.domain.background.services import Run, RunOutcome, due_cancels, forget_others, record_run
from portal.domain.errors import Sentence, sentence
from portal.domain.jobs.counts import fold
from portal.domain.jobs.services import finalise_due_cancel
from portal.domain.messages.reminders import decide_reminders
from portal.domain.offers.services import due_to_expire, expire_offers
from portal.domain.photos.queries import files_to_clear, named_photos
from portal.domain.photos.services import note_cleared, sweep_left_over
from portal.domain.photos.storage import PhotoStore
from portal.domain.requests.services import due_to_lapse, lapse_started
from portal.domain.scheduling.hours import forget_hits
from portal.domain.tracking.services import forget_positions
from portal.settings import Settings
from portal.worker.election import Election
from portal.worker.relay import Relay, utc_now
from portal.worker.store import Store

log = structlog.get_logger("portal.worker")


class Work:
    """What the periodic jobs work with: database, seat, relay, the files of photos, the clock and the wish to stop."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime] = utc_now) -> None:
        self.clock = clock
        self.stop = threading.Event()
        self.store = Store(settings.database_url)
        self.election = Election(self.store.engine)
        self.photos = PhotoStore(settings.photos_url, settings.photos_options)
        self.relay = Relay(self.store, settings, clock=clock, stop=self.stop)

    def close(self) -> None:
        """Leave the seat to another worker and let go of the database."""
        self.election.leave()
        self.store.close()


@dataclass(frozen=True, slots=True)
class PeriodicJob:
    """A job of the worker: its title (under which it is recorded), what it does, how often.

    Of several workers one runs it, or each where the work itself is ``shared`` out among them.

    A run that comes late, because the machine slept or was busy, is made up for once (coalesce) and however late it is
    (no misfire grace time: by default one that is a second late vanishes).
    """

    title: Sentence
    run: Callable[[Work], None]
    every: timedelta
    shared: bool = False

    @property
    def name(self) -> str:
        """The name under which its runs are recorded: the English title."""
        return str(self.title)


def _relay(work: Work) -> None:
    work.relay.run()


def _remind(work: Work) -> None:
    with work.store.writing() as session:
        decide_reminders(session, work.clock())


def _finalise_cancels(work: Work) -> None:
    now = work.clock()
    with work.store.reading() as session:
        due = due_cancels(session, now)
    failed = []
    for visit_id in due:
        # Each by itself, so that one that cannot be done holds no other back.
        try:
            with work.store.writing() as session:
                finalise_due_cancel(session, now, visit_id)
        except Exception as error:
            failed.append(error)
    if failed:
        raise ExceptionGroup(f"{len(failed)} of {len(due)} cancels failed, the first with: {failed[0]}", failed)


def _lapse_requests(work: Work) -> None:
    now = work.clock()
    with work.store.reading() as session:
        due = due_to_lapse(session, now)
    for request_id in due:
        with work.store.writing() as session:
            lapse_started(session, now, request_id)


def _expire_offers(work: Work) -> None:
    now = work.clock()
    with work.store.reading() as session:
        due = due_to_expire(session, now)
    for offered_job_id in due:
        with work.store.writing() as session:
            expire_offers(session, now, offered_job_id)


def _fold_counts(work: Work) -> None:
    with work.store.writing() as session:
        fold(session)


def _clear_photos(work: Work) -> None:
    """Remove the files of photos that were removed, and those that a failure left without a row."""
    with work.store.reading() as session:
        waiting = files_to_clear(session)
    gone = [key for key, name in waiting.items() if work.photos.remove(name)]
    if gone:
        with work.store.writing() as session:
            note_cleared(session, gone)

    def named(names: Iterable[str]) -> frozenset[str]:
        with work.store.reading() as session:
            return named_photos(session, names)

    sweep_left_over(named, work.photos, work.clock())


def _keep_house(work: Work) -> None:
    with work.store.writing() as session:
        forget_hits(session, work.clock())
        forget_positions(session, work.clock())
    # PostgreSQL sees to its own statistics; SQLite wants to be asked now and then.
    if work.store.engine.dialect.name == "sqlite":
        # As a writer from the start: one that began as a reader is refused, not made to wait, when it comes to write.
        with work.store.writing() as session:
            session.connection().exec_driver_sql("PRAGMA optimize")


JOBS = (
    PeriodicJob(sentence("Send messages"), _relay, timedelta(seconds=3), shared=True),
    PeriodicJob(sentence("Decide reminders"), _remind, timedelta(minutes=1)),
    PeriodicJob(sentence("Make due cancels final"), _finalise_cancels, timedelta(seconds=5)),
    PeriodicJob(sentence("Let change requests lapse"), _lapse_requests, timedelta(minutes=1)),
    PeriodicJob(sentence("Let job offers expire"), _expire_offers, timedelta(minutes=1)),
    PeriodicJob(sentence("Fold counts"), _fold_counts, timedelta(seconds=5)),
    PeriodicJob(sentence("Clear away photos"), _clear_photos, timedelta(hours=1)),
    PeriodicJob(sentence("Keep house"), _keep_house, timedelta(hours=1)),
)


def run_once(work: Work, job: PeriodicJob, next_run_at: datetime | None = None) -> Run:
    """Run ``job`` now and record it with when it runs next; an error ends this run and not the worker."""
    started, began = work.clock(), time.perf_counter()
    outcome, detail = RunOutcome.OK, ""
    try:
        job.run(work)
    except Exception as error:
        log.exception("periodic_job_failed", job=job.name)
        outcome, detail = RunOutcome.FAILED, f"{type(error).__name__}: {error}"
    run = Run(job.name, started, timedelta(seconds=time.perf_counter() - began), outcome, detail)
    try:
        with work.store.writing() as session:
            record_run(session, run, next_run_at)
    except Exception:
        log.exception("run_not_recorded", job=job.name)
    return run


def scheduler_for(work: Work) -> BlockingScheduler:
    """Return a scheduler of all ``JOBS``, not yet started; each is due at once and then at its interval."""
    scheduler = BlockingScheduler(timezone=UTC, executors={"default": ThreadPoolExecutor(len(JOBS))})

    def tick(job: PeriodicJob, trigger: IntervalTrigger) -> None:
        if job.shared or work.election.won():
            # Asked of the trigger: the scheduler answers under a lock that it holds while it waits for this to end.
            run_once(work, job, trigger.get_next_fire_time(None, work.clock()))

    first = work.clock()
    for job in JOBS:
        trigger = IntervalTrigger(seconds=job.every.total_seconds(), start_date=first, timezone=UTC)
        scheduler.add_job(
            tick,
            trigger,
            args=[job, trigger],
            id=job.name,
            next_run_time=first,
            misfire_grace_time=None,
            coalesce=True,
            max_instances=1,
        )
    return scheduler


def forget_undeclared(work: Work) -> None:
    """Drop the record of jobs that an older version declared."""
    with work.store.writing() as session:
        forget_others(session, [job.name for job in JOBS])
