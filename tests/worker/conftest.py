"""A worker over the test's database, a real mail server, and a clock that a test sets."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from flask import Flask
from sqlalchemy import ColumnElement, delete, or_, select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor, Role
from portal.domain.delivery.models import ChannelSettings
from portal.domain.jobs.models import Appointment, Job
from portal.domain.messages.models import (
    TO_TECHNICIANS,
    Channel,
    Message,
    MessageAttempt,
    MessageKind,
    MessageRule,
)
from portal.domain.people.models import Customer, Partner
from portal.domain.unit_of_work import unit_of_work
from portal.settings import Settings
from portal.worker.schedule import Work
from tests.factories import Create
from tests.splitting import Command

# A Tuesday in winter time: London's clocks show UTC.
NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
START = datetime(2026, 11, 26, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
PATIENCE = int(os.environ.get("PATIENCE", 120))
Worker = Command | subprocess.Popen[bytes]
# Takes whether to start it as somebody types it, which imports everything anew.
Start = Callable[..., Worker]


class Clock:
    """A clock that stands until it is set."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Sink:
    """What a mail server took in. ``answer`` may refuse a recipient, ``at_data`` look on as each letter arrives."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    connections: int = 0
    answer: Callable[[str], str] = lambda address: "250 OK"
    at_data: Callable[[EmailMessage], None] = lambda mail: None
    # What is said to a letter that was taken in; blank: nothing, and the connection is cut.
    verdict: str = "250 OK"
    # Cleared, it keeps the answer to a letter that was taken in already.
    may_answer: threading.Event = field(default_factory=threading.Event)
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def ids(self) -> list[str]:
        return [str(mail["Message-ID"]) for mail in self.mails]

    def wait_for(self, count: int) -> None:
        """Wait until so many letters are here."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.mails) >= count, PATIENCE), f"{len(self.mails)} letters came"

    # What aiosmtpd calls

    async def handle_EHLO(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        self.connections += 1
        session.host_name = hostname
        return responses

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        answer = self.answer(address)
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        await asyncio.to_thread(self.at_data, mail)
        with self.changed:
            self.mails.append(mail)
            self.recipients += envelope.rcpt_tos
            self.changed.notify_all()
        await asyncio.to_thread(self.may_answer.wait, PATIENCE)
        if not self.verdict:
            server.transport.abort()
        return self.verdict


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A mail server on loopback that keeps what it is given."""
    sink = Sink()
    sink.may_answer.set()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        sink.port = probe.getsockname()[1]
    server = Controller(sink, hostname="127.0.0.1", port=sink.port)
    server.start()
    yield sink
    sink.may_answer.set()
    server.stop()


@dataclass
class Gateway:
    """What a text gateway was told. ``answer`` is the status it gives; 0 cuts the connection, -1 keeps it waiting."""

    port: int = 0
    answer: int = 200
    told: list[tuple[str, str]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"json://office:hush-hush@127.0.0.1:{self.port}/quiet-path"


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """An HTTP server on loopback that stands for a text gateway: it keeps number and words of each text."""
    gateway = Gateway()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            gateway.told.append((self.path.rpartition("/")[2], sent["message"]))
            if gateway.answer < 0:
                gateway.closing.wait(PATIENCE)
            elif gateway.answer:
                self.send_response(gateway.answer)
                # Nobody is to be led on.
                self.send_header("Location", f"http://127.0.0.1:{gateway.port}/elsewhere")
                self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    gateway.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield gateway
    gateway.closing.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(app: Flask) -> Settings:
    """The application's settings."""
    found: Settings = app.config["SETTINGS"]
    return found


@pytest.fixture
def start_work(settings: Settings, clock: Clock) -> Iterator[Callable[..., Work]]:
    """Make a worker's insides by the test's clock: ``start_work()`` with the log channel, or with ``smtp_url``."""
    made: list[Work] = []

    def start(**changed: Any) -> Work:
        work = Work(settings.model_copy(update=changed), clock)
        made.append(work)
        return work

    yield start
    for work in made:
        work.close()


@pytest.fixture
def work(start_work: Callable[..., Work], sink: Sink) -> Work:
    """A worker that sends to the sink."""
    return start_work(smtp_url=sink.url)


@dataclass
class Shop:
    """A partner with a dispatcher and a customer, and the messages about them."""

    session: Session
    partner: Partner
    customer: Customer
    clock: Clock
    installation: Create

    @property
    def dispatcher(self) -> Actor:
        return Actor(None, Role.DISPATCHER, "Dana Okafor", frozenset({self.partner.id}))

    @property
    def as_customer(self) -> Actor:
        partners, people = frozenset({self.partner.id}), frozenset({self.customer.id})
        return Actor(None, Role.CUSTOMER, self.customer.name, partners, customer_ids=people)

    def schedule(self, start: datetime = START, **values: Any) -> Job:
        """Schedule an installation for the customer, as of the clock."""
        values = {"customer": self.customer, "start": start, "now": self.clock.now} | values
        job: Job = self.installation(self.partner, **values)
        return job

    def do(self, use_case: Callable[..., Any], actor: Actor, *args: Any, **kwargs: Any) -> None:
        """Call a use case as of the clock, in a unit of work of its own."""
        with unit_of_work(self.session) as session:
            use_case(session, actor, self.clock.now, *args, **kwargs)

    def visit(self, job: Job) -> Appointment:
        """The job's only visit as it is now."""
        self.session.rollback()
        return self.session.scalars(select(Appointment).where(Appointment.job_id == job.id)).one()

    def messages(self, kind: str | None = None) -> list[Message]:
        """The messages as they are now, oldest first."""
        self.session.rollback()
        query = select(Message).order_by(Message.id)
        return list(self.session.scalars(query if kind is None else query.where(Message.kind == kind)))

    def outcomes(self) -> list[str]:
        """How the attempts ended, oldest first."""
        self.session.rollback()
        return list(self.session.scalars(select(MessageAttempt.outcome).order_by(MessageAttempt.id)))

    def text_too(self, *kinds: MessageKind, phone: str = "+44 7700 900200") -> None:
        """Let the customer have a number, and a rule that sends each of ``kinds`` as a text too."""
        with unit_of_work(self.session) as session:
            session.get_one(Customer, self.customer.id).phone = phone
            for kind in kinds:
                session.add(MessageRule(partner_id=self.partner.id, kind=kind, channel=Channel.TEXT))

    def leave_by(self, settings: Settings, **values: Any) -> None:
        """Set the partner's own channels, with secrets in plain text."""
        secrets = {name: settings.vault.seal(values.pop(name, "")) for name in ("smtp_password", "text_gateway")}
        service = "json" if secrets["text_gateway"] else ""
        with unit_of_work(self.session) as session:
            session.add(ChannelSettings(partner_id=self.partner.id, text_service=service, **secrets, **values))

    def clear(self) -> None:
        """Take away the messages so far, to look at what comes next."""
        with unit_of_work(self.session):
            for model in (MessageAttempt, Message):
                for row in self.session.scalars(select(model)):
                    self.session.delete(row)
                self.session.flush()


def _to_technicians() -> ColumnElement[bool]:
    return MessageRule.kind.in_(sorted(TO_TECHNICIANS))


@pytest.fixture
def shop(
    session: Session,
    clock: Clock,
    create_partner: Create,
    create_user: Create,
    create_customer: Create,
    create_installation: Create,
) -> Shop:
    """A partner in London that tells customers alone, by e-mail, and reminds once: the day before at 18:00."""
    partner = create_partner(name="Brightwell Solar & Heat", phone="0117 496 0180")
    with unit_of_work(session):
        others = (MessageRule.channel == Channel.TEXT, MessageRule.minutes_before.is_not(None), _to_technicians())
        session.execute(delete(MessageRule).where(or_(*others)))
    customer = create_customer(partner, create_user(name="Priya Raman", email="priya@mail.example"))
    return Shop(session, partner, customer, clock, create_installation)


@pytest.fixture
def start_process(settings: Settings, sink: Sink) -> Iterator[Start]:
    """Start workers as processes of their own, as ``portal worker`` does, sending to the sink."""
    environment = os.environ | {
        "DOORSTEP_ENV": "test",
        "DATABASE_URL": settings.database_url,
        "SESSION_DIR": str(settings.session_dir),
        "SMTP_URL": sink.url,
        "LOG_LEVEL": "WARNING",
    }
    started: list[Worker] = []

    def start(typed: bool = False) -> Worker:
        command = [sys.executable, "-m", "portal.cli", "worker"]
        process = subprocess.Popen(command, env=environment) if typed else Command(["worker"], environment)
        started.append(process)
        return process

    yield start
    sink.may_answer.set()
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
