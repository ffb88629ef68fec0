"""Customers who press one button at one moment, over real connections; a module of its own, see ``clerks``."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from urllib.parse import urlencode

from tests.races.clerks import gate

SECONDS = 60


@dataclass(frozen=True)
class Press:
    """A form that a signed-in customer sends to ``path``, once for each of ``starts``, together with all others."""

    path: str
    cookie: str
    form: Mapping[str, str]
    starts: Sequence[str]


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    location: str
    page: str


def press_in_step(address: tuple[str, int], presses: Sequence[Press], among: int) -> list[list[Answer]]:
    """Send every form of ``presses`` from a thread of its own, all at one moment, ``among`` processes at once."""
    together = threading.Barrier(len(presses), action=gate(among).wait)
    with ThreadPoolExecutor(len(presses)) as threads:
        return list(threads.map(lambda press: _send(address, press, together), presses))


def _send(address: tuple[str, int], press: Press, together: threading.Barrier) -> list[Answer]:
    form, answers = dict(press.form), []
    for start in press.starts:
        connection = HTTPConnection(*address, timeout=SECONDS)
        connection.connect()
        together.wait(SECONDS)
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": press.cookie}
        connection.request("POST", press.path, urlencode(form | {"start": start}), headers)
        response = connection.getresponse()
        answers.append(Answer(response.status, response.getheader("Location", ""), response.read().decode()))
        connection.close()
        if response.status == 303:
            # The next form is made after the move.
            form["move_number"] = str(int(form["move_number"]) + 1)
    return answers
