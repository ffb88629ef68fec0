"""The clock of the product: sends messages, decides reminders, makes due cancels final (N3, N5)."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType

import structlog

from portal.settings import Settings
from portal.web import logs
from portal.worker.schedule import Work, forget_undeclared, scheduler_for

log = structlog.get_logger("portal.worker")


class Handle:
    """A running worker."""

    def __init__(self, settings: Settings) -> None:
        # It warns at each tick that finds the last run still at work, which is no news.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._work = Work(settings)
        forget_undeclared(self._work)
        self._scheduler = scheduler_for(self._work)
        self._scheduler.start()

    def stop(self) -> None:
        """End after what is in hand: the message being sent is recorded, the rest is given back."""
        self._work.stop.set()
        self._scheduler.shutdown(wait=True)
        self._work.store.close()


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
