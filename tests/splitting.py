"""Processes split off one that has imported what they do and nothing else, instead of importing it in each."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerContext

from portal.cli import main

# One process is split for everybody, so that it imports what any of them does.
IMPORTED = ["tests.splitting", "portal.worker", "tests.races.clerks", "tests.races.presses", "tests.races.takers"]


def splitting() -> ForkServerContext:
    """Return what makes such processes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    return context


def _portal(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    main(arguments)


class Command:
    """``portal`` with ``arguments`` in a process of its own, which can be killed as one that somebody started."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self._process = splitting().Process(target=_portal, args=(arguments, dict(environment)))
        self._process.start()

    def poll(self) -> int | None:
        """How it ended as ``subprocess`` says it, or None while it runs."""
        return self._process.exitcode

    def wait(self, seconds: float | None = None) -> int:
        """How it ended; fails when it has not after so many seconds."""
        self._process.join(seconds)
        assert self._process.exitcode is not None, f"still there after {seconds} seconds"
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self._process.ident or 0, number)

    def kill(self) -> None:
        """End it where it is."""
        self.send_signal(signal.SIGKILL)
