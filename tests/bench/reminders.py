"""Deciding so many reminders at once, beside APScheduler with one job per reminder in an SQLAlchemyJobStore.

Each is measured in a process of its own: how long it takes, how many statements, and how much memory that needs on top
of what the process had before. The other scheduler has a tenth of them and is compared by the thousand.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import flask_migrate
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from rich.console import Console
from sqlalchemy import Connection, Engine, create_engine, event, func, insert, select, text

from portal.domain.jobs.models import Appointment, Job
from portal.domain.messages.models import Message
from portal.domain.messages.reminders import decide_reminders
from portal.domain.people.models import Address, Customer
from portal.domain.people.partners import create_partner_with_defaults
from portal.domain.scheduling.models import ServiceType
from portal.extensions import db
from portal.worker.store import Store
from tests import databases
from tests.bench import server

TITLE = "reminders"
RESULTS = Path(__file__).with_name("reminders.md")
SMALLER_BY = 10
# A Wednesday in winter, when the reminders of the next morning come due.
NOW = datetime(2026, 11, 25, 18, tzinfo=UTC)
START = datetime(2026, 11, 26, 9, tzinfo=UTC)
ROWS_AT_ONCE = 10_000
PEOPLE = 1_000


@dataclass(frozen=True)
class Measured:
    """How many, in how many seconds and statements, with how many MiB more than before."""

    name: str
    number: int
    seconds: float
    statements: int
    mib: float

    @property
    def each_thousand(self) -> float:
        """Milliseconds for a thousand of them."""
        return self.seconds * 1_000_000 / self.number


def fill(url: str, number: int) -> None:
    """Make a partner with so many visits tomorrow morning, none of them reminded of."""
    with tempfile.TemporaryDirectory() as folder:
        app = server.make(url, folder)
        with app.app_context():
            flask_migrate.upgrade()
            db.engine.dispose()
    store = Store(url)
    opened = NOW - timedelta(days=9)
    with store.writing() as session:
        partner = create_partner_with_defaults(session, opened, "Bench", "bench", "Europe/London", "B")
        kind = ServiceType(partner_id=partner.id, name="Repair", duration_minutes=60)
        session.add(kind)
        session.flush()
        keys = {"partner_id": partner.id, "service_type_id": kind.id}
    with store.engine.begin() as connection:
        _add_visits(connection, number, **keys)
    with store.engine.begin() as connection:
        connection.execute(text("ANALYZE"))
    store.close()


def _add_visits(connection: Connection, number: int, partner_id: int, service_type_id: int) -> None:
    own = {"partner_id": partner_id}
    people = range(1, PEOPLE + 1)
    connection.execute(
        insert(Customer.__table__),
        [own | {"id": key, "name": f"Customer {key}", "email": f"{key}@mail.example", "version": 1} for key in people],
    )
    connection.execute(
        insert(Address.__table__),
        [own | {"id": key, "customer_id": key, "line": f"{key} Alder Close", "version": 1} for key in people],
    )
    for first in range(1, number + 1, ROWS_AT_ONCE):
        keys = range(first, min(first + ROWS_AT_ONCE, number + 1))
        whose = {key: own | {"customer_id": key % PEOPLE + 1} for key in keys}
        made = {"created_at": NOW - timedelta(days=8), "updated_at": NOW - timedelta(days=8)}
        job = {"workflow": "installation", "status": "SCHEDULED", "title": "Panel", "service_type_id": service_type_id}
        connection.execute(
            insert(Job.__table__),
            [
                whose[key] | job | made | {"id": key, "number": str(key), "address_id": key % PEOPLE + 1, "version": 1}
                for key in keys
            ],
        )
        visit = {"status": "SCHEDULED", "version": 1, "window_minutes": 120, "planned_at": NOW - timedelta(days=8)}
        connection.execute(
            insert(Appointment.__table__),
            [
                whose[key] | visit | {"id": key, "job_id": key, "start_at": start, "end_at": start + timedelta(hours=1)}
                for key in keys
                for start in [START + timedelta(seconds=key % 3600)]
            ],
        )


def ours(url: str, number: int) -> tuple[float, int]:
    """Decide them as the worker does; return seconds and statements."""
    store = Store(url)
    seen = _count_statements(store.engine)
    began = time.perf_counter()
    with store.writing() as session:
        decide_reminders(session, NOW)
    took = time.perf_counter() - began
    statements = len(seen)
    with store.reading() as session:
        found = session.scalars(select(func.count(Message.id)).where(Message.kind == "reminder")).one()
    store.close()
    if found != number:
        raise RuntimeError(f"{found} of {number} were decided")
    return took, statements


_fired = 0
_all_fired = threading.Event()


def fire(number: int) -> None:
    """Do what a reminder's job would do first: note that it is due."""
    global _fired
    _fired += 1
    if _fired == number:
        _all_fired.set()


def theirs(url: str, number: int) -> tuple[float, int]:
    """Let APScheduler find so many jobs due and start each; adding them beforehand is not counted."""
    engine = create_engine(url)
    seen = _count_statements(engine)
    scheduler = BackgroundScheduler(timezone=UTC, jobstores={"default": SQLAlchemyJobStore(engine=engine)})
    scheduler.start(paused=True)
    due = datetime.now(UTC) - timedelta(minutes=1)
    for _ in range(number):
        scheduler.add_job(fire, "date", run_date=due, args=[number], misfire_grace_time=None)
    seen.clear()
    began = time.perf_counter()
    scheduler.resume()
    _all_fired.wait()
    took = time.perf_counter() - began
    scheduler.shutdown(wait=True)
    return took, len(seen)


def _count_statements(engine: Engine) -> list[str]:
    seen: list[str] = []
    # Once for each statement, however many rows it carries.
    event.listen(engine, "before_cursor_execute", lambda connection, cursor, statement, *rest: seen.append(""))
    return seen


def _peak() -> float:
    # What getrusage says begins with the peak of the process that started this one.
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def _alone(run: Callable[[str, int], tuple[float, int]], url: str, number: int, answer: Any) -> None:
    before = _peak()
    seconds, statements = run(url, number)
    answer.put((seconds, statements, _peak() - before))


def measured(name: str, run: Callable[[str, int], tuple[float, int]], url: str, number: int) -> Measured:
    """Run something in a process of its own."""
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=_alone, args=(run, url, number, answer))
    process.start()
    seconds, statements, mib = answer.get()
    process.join()
    return Measured(name, number, seconds, statements, mib)


def compare(number: int) -> list[Measured]:
    """Measure ours on both databases, with so many and with a tenth of them, and the other scheduler."""
    found = []
    with tempfile.TemporaryDirectory() as made:
        for size in (number // SMALLER_BY, number):
            url = databases.sqlite_url(Path(made) / f"{size}.sqlite3")
            fill(url, size)
            found.append(measured("ours, SQLite", ours, url, size))
            if databases.postgres_url() is not None:
                name = f"doorstep_bench_reminders_{size}"
                url = databases.create_database(name)
                fill(url, size)
                found.append(measured("ours, PostgreSQL", ours, url, size))
                databases.drop_database(name)
        url = databases.sqlite_url(Path(made) / "jobs.sqlite3")
        found.append(measured("APScheduler, SQLite", theirs, url, number // SMALLER_BY))
    return found


def report(found: list[Measured]) -> str:
    """Return what was measured as a page of Markdown."""
    lines = [
        "# What deciding reminders costs",
        "",
        "Written by `make bench ARGS=reminders`. All come due at the same moment. Memory is what the process needed at",
        "most, beyond what it had before. APScheduler finds jobs due and starts each; that they were added before, and",
        "that nothing is written by them, is not counted.",
        "",
        "| | reminders | seconds | ms per 1,000 | statements | MiB |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {one.name} | {one.number:,} | {one.seconds:.2f} | {one.each_thousand:.1f} | {one.statements:,} |"
            f" {one.mib:.1f} |"
            for one in found
        ),
    ]
    return "\n".join(lines) + "\n"


def main(number: int) -> None:
    """Measure, print, and write it down."""
    page = report(compare(number))
    Console(highlight=False).print(page)
    RESULTS.write_text(page)
