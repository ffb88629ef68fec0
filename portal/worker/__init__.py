"""The clock of the product: sends messages, decides reminders, makes due cancels final (N3, N5)."""

from __future__ import annotations

import logging
import signal
import threading
from contextlib import suppress
from types import FrameType

import structlog
from apscheduler.events import EVENT_SCHEDULER_STARTED, SchedulerEvent
from apscheduler.schedulers import SchedulerNotRunningError
from apscheduler.schedulers.blocking import BlockingScheduler

from portal.settings import Settings
from portal.web import logs
from portal.worker.schedule import Work, forget_undeclared, scheduler_for

log = structlog.get_logger("portal.worker")


# Between the end of a scheduler that was not told to end and the next one.
PAUSE_SECONDS = 1.0


class Handle:
    """A running worker: a thread with a ``scheduler`` at work in it, and another one should that die (N5)."""

    def __init__(self, settings: Settings) -> None:
        # It warns at each tick that finds the last run still at work, which is no news.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._work = Work(settings)
        forget_undeclared(self._work)
        self.scheduler = self._prepared()
        self._thread = threading.Thread(target=self._tick, name="scheduler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after what is in hand: the message being sent is recorded, the rest is given back."""
        self._work.stop.set()
        # One that has not begun ends as it begins.
        with suppress(SchedulerNotRunningError):
            self.scheduler.shutdown(wait=True)
        self._thread.join()
        self._work.close()

    def _prepared(self) -> BlockingScheduler:
        scheduler = scheduler_for(self._work)

        def end_at_once(event: SchedulerEvent) -> None:
            if self._work.stop.is_set():
                scheduler.shutdown(wait=False)

        scheduler.add_listener(end_at_once, EVENT_SCHEDULER_STARTED)
        return scheduler

    def _tick(self) -> None:
        while not self._work.stop.is_set():
            try:
                self.scheduler.start()
            except Exception:
                log.exception("scheduler_died")
                self.scheduler.shutdown(wait=False)
            if not self._work.stop.wait(PAUSE_SECONDS):
                self.scheduler = self._prepared()


def start_in_background(settings: Settings) -> Handle:
    """Start the worker in threads of this process, for the demo."""
    return Handle(settings)


def main(settings: Settings) -> None:
    """Run the worker until SIGTERM or Ctrl+C; returns when it has ended cleanly."""
    logs.configure(settings)
    asked = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    handle = start_in_background(settings)
    log.info("worker_started")
    asked.wait()
    handle.stop()
    log.info("worker_stopped")
