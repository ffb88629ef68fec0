"""Customers who follow their visits and technicians who say where they are, all at once and for minutes (C3, J9).

Each customer asks every half minute whether anything is new, and fetches the page where something is; each technician
on the way sends a position every five seconds. Everybody comes at a time of their own, on the server as it is run.
"""

from __future__ import annotations

import heapq
import os
import queue
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles

import flask_migrate
import psycopg
from rich.console import Console
from rich.progress import track
from sqlalchemy import make_url

from portal.domain.people.partners import create_partner_with_defaults
from portal.domain.scheduling.models import ServiceType
from portal.extensions import db
from portal.worker.store import Store
from tests import databases
from tests.bench import server
from tests.bench.data import Tables
from tests.bench.measure import WORKERS, Answer, Visitor, field_of, serving

TITLE = "live"
RESULTS = Path(__file__).with_name("live.md")
POLL, POST = 30.0, 5.0
# As many hands as it takes so that nobody waits for another one's answer.
HANDS = 24
LENGTH = timedelta(hours=1)


@dataclass(frozen=True)
class Size:
    """How many of whom, for how many seconds; from the environment."""

    seconds: int
    customers: int
    technicians: int

    @classmethod
    def given(cls) -> Size:
        """Return what ``BENCH_LIVE_…`` say, by default five minutes of 2,000 customers and 200 technicians."""
        names = {"SECONDS": 300, "CUSTOMERS": 2_000, "TECHNICIANS": 200}
        return cls(*(int(os.environ.get(f"BENCH_LIVE_{name}", usual)) for name, usual in names.items()))


@dataclass
class Told:
    """How answers to one kind of question came out: how often which status, and the milliseconds."""

    statuses: Counter[int] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)

    def note(self, answer: Answer) -> None:
        """Count an answer."""
        self.statuses[answer.status] += 1
        self.times.append(answer.seconds * 1000)

    @property
    def errors(self) -> int:
        """How many were neither what was asked for nor that nothing is new."""
        return sum(number for status, number in self.statuses.items() if status not in {200, 204, 304})

    @property
    def failures(self) -> int:
        """How many were the server's own fault, or no answer at all."""
        return sum(number for status, number in self.statuses.items() if status >= 500)

    def within(self, percent: int) -> float:
        """Return the milliseconds within which so many of a hundred answers came."""
        return quantiles(self.times, n=100)[percent - 1] if len(self.times) > 1 else 0.0

    def row(self, name: str) -> str:
        """Return a line of the results."""
        counts = ", ".join(f"{number:,} × {status}" for status, number in sorted(self.statuses.items()))
        return (
            f"| {name} | {counts} | {self.within(50):.1f} | {self.within(95):.1f} | {max(self.times, default=0):.0f} |"
        )


@dataclass
class Person:
    """Somebody with cookies who does the same thing every ``period`` seconds."""

    period: float
    cookies: dict[str, str]
    path: str
    token: str = ""
    revision: str = ""
    steps: int = 0


def fill(url: str, size: Size) -> None:
    """Make a partner whose technicians are each on the way to one customer, and booked by others after that."""
    with tempfile.TemporaryDirectory() as folder:
        app = server.make(url, folder)
        with app.app_context():
            flask_migrate.upgrade()
            db.engine.dispose()
    now, store = datetime.now(UTC), Store(url)
    with store.writing() as session:
        partner = create_partner_with_defaults(session, now, "Bench", "bench", "Europe/London", "B")
        kind = ServiceType(partner_id=partner.id, name="Repair", duration_minutes=60)
        session.add(kind)
        session.flush()
        own, kind_id = {"partner_id": partner.id}, kind.id
    store.close()
    tables = Tables()
    people = {"password": "", "active": True, "created_at": now}
    for key in range(1, size.technicians + 1):
        user_id = tables["users"].add(email=f"t{key}@bench.test", name="Tomás", fs_uniquifier=f"t{key:031}", **people)
        tables["technicians"].add(**own, name=f"Technician {key}", user_id=user_id)
    for key in range(1, size.customers + 1):
        user_id = tables["users"].add(email=f"c{key}@bench.test", name="Priya", fs_uniquifier=f"c{key:031}", **people)
        customer_id = tables["customers"].add(
            **own, name=f"Customer {key}", email=f"c{key}@bench.test", user_id=user_id, created_at=now
        )
        whose = {**own, "customer_id": customer_id}
        place = {"line": f"{key} Alder Close", "latitude": 51.47, "longitude": -2.59}
        address_id = tables["addresses"].add(**whose, **place)
        turn, technician = divmod(key - 1, size.technicians)
        start = now + turn * LENGTH
        when = {"technician_id": technician + 1, "start_at": start, "end_at": start + LENGTH}
        job_id = tables["jobs"].add(
            **whose, **when, workflow="installation", number=f"B-{key}", title="Panel", address_id=address_id,
            status="INSTALLER_ASSIGNED" if turn else "EN_ROUTE", service_type_id=kind_id, visit_open=True,
            created_at=now, updated_at=now,
        )  # fmt: skip
        tables["appointments"].add(
            **whose, **when, job_id=job_id, status="SCHEDULED" if turn else "ON_THE_WAY", window_minutes=120,
            planned_at=now, on_the_way_at=None if turn else now, departure=None if turn else key,
        )  # fmt: skip
    with psycopg.connect(
        make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    ) as connection:
        tables.write(connection)
        connection.execute("ANALYZE")


def people_of(visitor: Visitor, size: Size) -> Iterator[Person]:
    """Let everybody in, and note what their page asks with."""
    for key in range(1, size.customers + 1):
        mine = Visitor(visitor.port)
        mine.connection = visitor.connection
        _demand(mine.get(f"{server.ENTER}?stamp=c{key:031}"), 204)
        asked = mine.get("/my/live")
        _demand(asked, 200)
        yield Person(POLL, mine.cookies, "/my/live", revision=asked.headers["ETag"])
    for key in range(1, size.technicians + 1):
        mine = Visitor(visitor.port)
        mine.connection = visitor.connection
        _demand(mine.get(f"{server.ENTER}?stamp=t{key:031}"), 204)
        page = mine.get(f"/field/visits/{key}")
        _demand(page, 200)
        token = field_of(page, "csrf_token")
        yield Person(POST, mine.cookies, f"/field/visits/{key}/position", token=token)


def _demand(answer: Answer, status: int) -> None:
    if answer.status != status:
        raise RuntimeError(f"answered {answer.status} where {status} was wanted")


class Crowd:
    """Everybody at once: what is due is taken up by the next free hand."""

    def __init__(self, port: int, people: list[Person], seconds: float) -> None:
        self.port, self.people, self.seconds = port, people, seconds
        self.told = {"question": Told(), "page": Told(), "position": Told()}
        self.latest = 0.0
        self._due: queue.Queue[tuple[float, Person] | None] = queue.Queue()
        self._lock = threading.Lock()

    def run(self) -> None:
        """Let them go on for so many seconds and return when the last answer is there."""
        hands = [threading.Thread(target=self._work) for _ in range(HANDS)]
        for hand in hands:
            hand.start()
        began = time.monotonic()
        # Evenly over the period, as people who opened their pages at any time.
        waiting = [(began + one.period * number / len(self.people), number) for number, one in enumerate(self.people)]
        heapq.heapify(waiting)
        while waiting and waiting[0][0] < began + self.seconds:
            due, number = heapq.heappop(waiting)
            time.sleep(max(0.0, due - time.monotonic()))
            self._due.put((due, self.people[number]))
            heapq.heappush(waiting, (due + self.people[number].period, number))
        for _ in hands:
            self._due.put(None)
        for hand in hands:
            hand.join()

    def _work(self) -> None:
        visitor = Visitor(self.port)
        while (given := self._due.get()) is not None:
            due, person = given
            late = time.monotonic() - due
            visitor.cookies, visitor.headers = person.cookies, {}
            for kind, answer in self._ask(visitor, person):
                with self._lock:
                    self.latest = max(self.latest, late)
                    self.told[kind].note(answer)

    def _ask(self, visitor: Visitor, person: Person) -> Iterator[tuple[str, Answer]]:
        if person.token:
            person.steps += 1
            north = 51.6 - person.steps / 10_000
            form = {"csrf_token": person.token, "latitude": str(north), "longitude": "-2.6", "accuracy": "12"}
            yield "position", answered(visitor, person.path, "POST", form)
            return
        visitor.headers = {"If-None-Match": person.revision}
        answer = answered(visitor, person.path)
        yield "question", answer
        if answer.status == 200:
            person.revision = answer.headers["ETag"]
            visitor.headers = {}
            yield "page", answered(visitor, "/my/")


def answered(visitor: Visitor, path: str, method: str = "GET", form: dict[str, str] | None = None) -> Answer:
    """Return the answer to a question; one of status 599 where there is none at all."""
    try:
        return visitor.get(path, method, form)
    except OSError:
        visitor.connection.close()
        return Answer(599, {}, b"", 0.0)


def report(crowd: Crowd, size: Size) -> str:
    """Return what came out as a page of Markdown."""
    errors = sum(one.errors for one in crowd.told.values())
    per_second = sum(len(one.times) for one in crowd.told.values()) / size.seconds
    lines = [
        "# Following visits, all at once",
        "",
        f"Written by `make bench ARGS=live`: {size.customers:,} customers who ask every {POLL:.0f} s, of whom as many",
        f"as there are technicians wait for one on the way, and {size.technicians:,} technicians who send a position",
        f"every {POST:.0f} s, for {size.seconds} s; on PostgreSQL; gunicorn with {WORKERS} workers; {os.cpu_count()}",
        f"cores, shared with who asks, at a load of {os.getloadavg()[0]:.0f}. {per_second:.0f} answers a second; the",
        f"latest question went out {crowd.latest:.2f} s late.",
        "",
        f"**{errors} errors.**",
        "",
        "| | answers | p50, ms | p95, ms | longest |",
        "| --- | --- | --- | --- | --- |",
        crowd.told["question"].row("is anything new?"),
        crowd.told["page"].row("My Schedule, where something is"),
        crowd.told["position"].row("a position"),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure, print, and write it down; 1 where there was an error."""
    console, size = Console(highlight=False), Size.given()
    if databases.postgres_url() is None:
        sys.exit(databases.postgres_reason())
    name = "doorstep_bench_live"
    url = databases.create_database(name)
    try:
        fill(url, size)
        with tempfile.TemporaryDirectory() as made:
            sessions = Path(made) / "sessions"
            own = {"BENCH_DATABASE": url, "BENCH_SESSIONS": str(sessions), "BENCH_ENTER": "1"}
            with serving({"ours": ("tests.bench.server:app", own, sys.executable)}, Path(made)) as running:
                total = size.customers + size.technicians
                people = list(track(people_of(running["ours"], size), "Letting people in", total, console=console))
                crowd = Crowd(running["ours"].port, people, size.seconds)
                crowd.run()
    finally:
        databases.drop_database(name)
    page = report(crowd, size)
    console.print(page)
    RESULTS.write_text(page)
    return int(any(one.errors for one in crowd.told.values()))
