"""The office of ten partners at work at once, at a steady pace and for minutes: reading, and assigning and moving too.

Requests come at their time whether earlier ones are answered or not, as people do. What is decided meanwhile by
somebody else is refused, which is an answer; one of 5xx, or none at all, is an error.
"""

from __future__ import annotations

import os
import queue
import random
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from rich.console import Console
from rich.progress import Progress
from sqlalchemy import make_url

from portal.domain.jobs.states import ACTIVE
from tests import databases
from tests.bench import prepare, server
from tests.bench.data import LENGTH
from tests.bench.live import Told, answered
from tests.bench.measure import WORKERS, Answer, Visitor, field_of, serving

TITLE = "mixed"
RESULTS = Path(__file__).with_name("mixed.md")
NAME = "doorstep_bench_mixed"
PARTNERS = 10
# Jobs of each partner that are looked at and worked with.
JOBS_EACH = 200
HANDS = 24
SLOT = r'name="slot" value="([^"]+)"'
OPTION = r'<option value="(\d+)"'
LIST = "/admin/installations/"
MOST_MS = 500
# How many of a hundred, of what.
MIX = {
    "the list": 20,
    "a group of it": 15,
    "a word looked for": 5,
    "one installation": 20,
    "the calendar": 5,
    "the board": 5,
    "who is it for": 10,
    "assign": 7,
    "reassign": 7,
    "reschedule": 6,
}


@dataclass(frozen=True)
class Pace:
    """How many requests a second, for how many seconds; from the environment."""

    a_second: int
    seconds: int

    @classmethod
    def given(cls) -> Pace:
        """Return what ``BENCH_MIXED_…`` say, by default 30 a second for ten minutes."""
        names = {"RATE": 30, "SECONDS": 600}
        return cls(*(int(os.environ.get(f"BENCH_MIXED_{name}", usual)) for name, usual in names.items()))


@dataclass(frozen=True)
class Desk:
    """A dispatcher's cookies, and some of the jobs of their partner that can be worked with."""

    cookies: dict[str, str]
    jobs: Sequence[int]


class Office:
    """Dispatchers who do ``MIX`` at their desks."""

    def __init__(self, port: int, desks: Sequence[Desk]) -> None:
        self.port, self.desks = port, desks
        self.told = {what: Told() for what in MIX}
        self.latest = 0.0
        self._due: queue.Queue[float | None] = queue.Queue()
        self._lock = threading.Lock()

    def run(self, pace: Pace, tell: Callable[[], None]) -> None:
        """Let them work at that pace and return when the last answer is there; ``tell`` hears of each begun."""
        hands = [threading.Thread(target=self._work, args=(number,)) for number in range(HANDS)]
        for hand in hands:
            hand.start()
        began = time.monotonic()
        for number in range(pace.a_second * pace.seconds):
            due = began + number / pace.a_second
            time.sleep(max(0.0, due - time.monotonic()))
            self._due.put(due)
            tell()
        for _ in hands:
            self._due.put(None)
        for hand in hands:
            hand.join()

    def _work(self, number: int) -> None:
        visitor, chance = Visitor(self.port), random.Random(number)
        while (due := self._due.get()) is not None:
            late = time.monotonic() - due
            desk = chance.choice(self.desks)
            visitor.cookies = desk.cookies
            what = chance.choices(list(MIX), list(MIX.values()))[0]
            for answer in _do(visitor, desk, what, chance):
                with self._lock:
                    self.latest = max(self.latest, late)
                    self.told[what].note(answer)


def _do(visitor: Visitor, desk: Desk, what: str, chance: random.Random) -> Iterator[Answer]:
    job = chance.choice(desk.jobs)
    word = chance.choice(("sof", "ama", "mari", "road", "bs1"))
    reads = {
        "the list": LIST,
        "a group of it": f"{LIST}?group={chance.choice(('Scheduled', 'Rejected', 'Approved'))}",
        "a word looked for": f"{LIST}?q={word}",
        "one installation": f"{LIST}{job}",
        "the calendar": "/admin/calendar/",
        "the board": "/admin/calendar/?mode=week",
        "who is it for": f"/admin/api/customers?q={word}",
    }
    if what in reads:
        yield answered(visitor, reads[what])
        return
    page = answered(visitor, f"{LIST}{job}/{what}")
    yield page
    form = _filled(page, what, chance) if page.status == 200 else None
    if form is not None:
        yield answered(visitor, f"{LIST}{job}/{what}", "POST", form)


def _filled(page: Answer, what: str, chance: random.Random) -> dict[str, str] | None:
    """Return the form on ``page`` with something chosen of what it offers; ``None`` where it offers nothing."""
    text, form = page.body.decode(), {"csrf_token": field_of(page, "csrf_token")}
    offered = re.findall(SLOT if what == "reschedule" else OPTION, text)
    if not offered:
        return None
    chosen = chance.choice(offered)
    if what == "reschedule":
        return {**form, "slot": chosen, "date": field_of(page, "date"), "duration": f"{LENGTH.seconds // 60}"}
    return {**form, "technician": chosen}


def desks_of(url: str, visitor: Visitor) -> Iterator[Desk]:
    """Let a dispatcher of each partner in, with jobs of the coming weeks."""
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address) as connection:
        people = connection.execute(
            "SELECT m.partner_id, u.fs_uniquifier FROM memberships m JOIN users u ON u.id = m.user_id"
            " WHERE u.email LIKE 'dispatcher%%' ORDER BY m.partner_id LIMIT %s",
            [PARTNERS],
        ).fetchall()
        for partner_id, stamp in people:
            mine = Visitor(visitor.port)
            if mine.get(f"{server.ENTER}?stamp={stamp}").status != 204:
                raise RuntimeError("nobody is let in")
            # So that the token of the session's forms is there before many ask for it at once.
            mine.get(LIST)
            rows = connection.execute(
                "SELECT j.id FROM jobs j JOIN appointments v ON v.job_id = j.id AND v.status = ANY(%s)"
                " WHERE j.partner_id = %s AND j.start_at > %s ORDER BY j.start_at LIMIT %s",
                [sorted(ACTIVE), partner_id, datetime.now(UTC) + timedelta(days=1), JOBS_EACH],
            ).fetchall()
            yield Desk(mine.cookies, [key for (key,) in rows])


def report(office: Office, pace: Pace, jobs: int) -> str:
    """Return what came out as a page of Markdown."""
    errors = sum(told.failures for told in office.told.values())
    times = [one for told in office.told.values() for one in told.times]
    whole = Told(times=times)
    lines = [
        "# Ten offices at work",
        "",
        f"Written by `make bench ARGS=mixed`: dispatchers of {PARTNERS} partners, one of whom does something of what",
        f"is below {pace.a_second} times a second for {pace.seconds} s, on {jobs:,} jobs; to assign or move is to open",
        f"the form and to send it. On PostgreSQL; gunicorn with {WORKERS} workers; {os.cpu_count()} cores, shared with",
        f"who asks, at a load of {os.getloadavg()[0]:.0f}. The latest began {office.latest:.2f} s late. 409 and 422",
        "refuse what the rules or somebody else's decision meanwhile do not let pass.",
        "",
        "| target | wanted | measured | |",
        "| --- | --- | --- | --- |",
        f"| answers of 5xx, or none | 0 | {errors} | {'met' if not errors else '**missed**'} |",
        f"| 95 of 100 within, ms | < {MOST_MS} | {whole.within(95):.0f}"
        f" | {'met' if whole.within(95) < MOST_MS else '**missed**'} |",
        "",
        "| | answers | p50, ms | p95, ms | longest |",
        "| --- | --- | --- | --- | --- |",
        *(told.row(what) for what, told in office.told.items()),
        whole.row("all"),
    ]
    return "\n".join(lines) + "\n"


def main(jobs: int) -> int:
    """Measure on ``jobs`` jobs, print, and write it down; 1 where there was an error."""
    console, pace = Console(highlight=False), Pace.given()
    if databases.postgres_url() is None:
        sys.exit(databases.postgres_reason())
    with Progress(console=console) as bar:
        made = bar.add_task(f"{jobs:,} jobs", total=jobs)
        source = prepare.database(jobs, lambda done: bar.update(made, completed=done))
        bar.update(made, completed=jobs)
        # A copy: what is done here stays out of what else is measured.
        url = databases.create_database(NAME, like=make_url(source).database or "")
        try:
            with tempfile.TemporaryDirectory() as folder:
                own = {"BENCH_DATABASE": url, "BENCH_SESSIONS": str(Path(folder) / "sessions"), "BENCH_ENTER": "1"}
                with serving({"ours": ("tests.bench.server:app", own, sys.executable)}, Path(folder)) as running:
                    office = Office(running["ours"].port, list(desks_of(url, running["ours"])))
                    task = bar.add_task("At work", total=pace.a_second * pace.seconds)
                    office.run(pace, lambda: bar.advance(task))
        finally:
            databases.drop_database(NAME)
    page = report(office, pace, jobs)
    console.print(page)
    RESULTS.write_text(page)
    return int(any(told.failures for told in office.told.values()))
