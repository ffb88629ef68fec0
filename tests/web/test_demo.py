"""The demo's data is what its story needs, at whatever hour it starts; and the demo stays out of production."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import Session

from portal import demo
from portal.domain.actor import Actor, Role
from portal.domain.delivery.models import Unreachable
from portal.domain.jobs.models import Appointment, HistoryEntry, Job
from portal.domain.jobs.situations import current_visit, situation, visits_of
from portal.domain.jobs.states import INSTALLATION, SERVICE, UNDER_WAY, installation_statuses
from portal.domain.messages.models import Message, MessageKind, MessageStatus
from portal.domain.people.models import Customer, Partner, Technician
from portal.domain.policy import decide
from portal.domain.surveys.models import SurveyResponse
from tests import databases
from tests.conftest import Database
from tests.helpers import Site
from tests.sharing import EVERYTHING

LONDON = ZoneInfo("Europe/London")
MONDAY_NOON = datetime(2026, 11, 23, 12, 10, tzinfo=UTC)
# Seconds after which a process that should have ended is said to hang.
PATIENCE = 120
# Two minutes before the Sunday ends on which the clocks went back.
SUNDAY_NIGHT = datetime(2026, 10, 25, 23, 58, tzinfo=UTC)


def fill(app: Flask, session: Session, now: datetime, progress: demo.Progress | None = None) -> None:
    with app.app_context():
        demo.seed(session, now, random.Random(7), progress)


def check_the_office(session: Session, now: datetime) -> None:
    acme = session.scalars(select(Partner).where(Partner.slug == "acme")).one()
    every = list(session.scalars(select(Job).where(Job.partner_id == acme.id)))
    served = {job.status for job in every if job.workflow == SERVICE.name}
    assert served == {status.name for status in SERVICE.statuses}
    jobs = [job for job in every if job.workflow == INSTALLATION.name]
    assert {job.status for job in jobs} == {status.name for status in INSTALLATION.statuses}
    for job in jobs:
        visits = visits_of(session, job)
        assert job.status in installation_statuses(current_visit(visits), job.work_began_at is not None)
    assert any(visit.cancel_at and visit.cancel_at > now for job in jobs for visit in visits_of(session, job))


def check_the_technician(session: Session, now: datetime) -> None:
    today = now.astimezone(LONDON).date()
    tomas = session.scalars(select(Technician).where(Technician.email == "tech@acme.test")).one()
    theirs = session.scalars(select(Appointment).where(Appointment.technician_id == tomas.id)).all()
    of_today = [visit for visit in theirs if visit.start_at.astimezone(LONDON).date() == today]
    assert not any(visit.status in UNDER_WAY for visit in theirs)
    assert sum(visit.status == "SCHEDULED" for visit in of_today) >= 2
    assert all(8 <= visit.start_at.astimezone(LONDON).hour < 18 for visit in of_today)


def check_the_customer(session: Session, now: datetime) -> None:
    """One visit within the cutoff, one that can be moved and cancelled, one confirmed that can only be moved."""
    priya = session.scalars(select(Customer).where(Customer.email == "customer@acme.test")).one()
    actor = Actor(
        priya.user_id, Role.CUSTOMER, priya.name, frozenset({priya.partner_id}), customer_ids=frozenset({priya.id})
    )
    theirs = select(Appointment).where(Appointment.customer_id == priya.id, Appointment.start_at > now)
    answers = []
    for visit in session.scalars(theirs.order_by(Appointment.start_at)).all():
        asked = situation(session, actor, now, session.get_one(Job, visit.job_id), visit)
        move, cancel = decide("reschedule", asked).refusal, decide("cancel", asked).refusal
        answers.append((visit.is_confirmed, move and move.code, cancel and cancel.code))
    assert answers == [
        (False, "cutoff", "cutoff"),
        (False, None, None),
        (True, None, "cancel_confirmed_off"),
    ]


def check_the_past(session: Session, now: datetime) -> None:
    assert session.scalars(select(HistoryEntry.at).order_by(HistoryEntry.at.desc()).limit(1)).one() <= now
    messages = session.scalars(select(Message)).all()
    # Somebody's address was misspelled: she is to be called.
    failed = [message for message in messages if message.status == MessageStatus.FAILED]
    task = session.scalars(select(Unreachable)).one()
    assert [message.id for message in failed] == [task.message_id]
    assert (task.is_open, task.recipient, task.fault) == (True, demo.MISSPELLED, "address")
    assert {message.channel for message in messages if message.status == MessageStatus.SENT} == {"email", "text"}
    for message in messages:
        # What waits are texts, for the end of quiet hours, and what is asked later.
        assert message.status != MessageStatus.PENDING or message.due_at > now
        if message.status == MessageStatus.SENT:
            assert message.sent_at is not None
            assert message.sent_at <= now
            assert message.subject or message.channel == "text"
            assert message.body


def check_the_surveys(session: Session) -> None:
    """Acme has many answers, and the customer of the demo has a link that waits for hers."""
    ratings = session.scalars(select(SurveyResponse.rating)).all()
    assert len(ratings) > 10
    assert len(set(ratings)) > 2
    asked = select(Message.body).where(
        Message.kind == MessageKind.SURVEY.value,
        Message.status == MessageStatus.SENT.value,
        Message.recipient == "customer@acme.test",
        Message.appointment_id.not_in(select(SurveyResponse.appointment_id)),
    )
    assert any("/survey/" in body for body in session.scalars(asked))


def timeline(session: Session) -> list[Any]:
    entries = select(Job.number, Job.title, HistoryEntry.at, HistoryEntry.action, HistoryEntry.actor_name)
    rows = session.execute(entries.join(Job, Job.id == HistoryEntry.job_id))
    return sorted(tuple(row) for row in rows)


@pytest.mark.once
@pytest.mark.row("M2")
@pytest.mark.row("N6")
def test_at_noon_everything_the_story_needs_is_there(database: Database, app: Flask, session: Session) -> None:
    steps: list[tuple[int, int]] = []
    fill(app, session, MONDAY_NOON, lambda done, total: steps.append((done, total)))
    assert len({total for _, total in steps}) == 1
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert steps[-1][0] == steps[-1][1]
    check_the_office(session, MONDAY_NOON)
    check_the_technician(session, MONDAY_NOON)
    check_the_customer(session, MONDAY_NOON)
    check_the_past(session, MONDAY_NOON)
    check_the_surveys(session)
    if EVERYTHING:
        # The same seed makes the same data.
        first = timeline(session)
        session.rollback()
        session.expunge_all()
        database.clean()
        fill(app, session, MONDAY_NOON)
        assert timeline(session) == first


@pytest.mark.once
@pytest.mark.row("M2")
@pytest.mark.row("N6")
def test_at_midnight_it_is_there_too_and_everybody_signs_in(app: Flask, session: Session, site: Site) -> None:
    fill(app, session, SUNDAY_NIGHT)
    check_the_office(session, SUNDAY_NIGHT)
    check_the_technician(session, SUNDAY_NIGHT)
    check_the_customer(session, SUNDAY_NIGHT)
    check_the_past(session, SUNDAY_NIGHT)
    session.rollback()

    landings = {}
    for title, email in demo.ACCOUNTS:
        site.sign_in(email, demo.PASSWORD)
        # Who works for the suspended company is told so, and nothing else.
        assert site.status == (403 if "suspended" in title else 200), title
        landings[email] = site.url.split("/")[1]
        site.sign_out()
    assert landings == {
        "admin@acme.test": "admin",
        "dispatch@acme.test": "admin",
        "tech@acme.test": "field",
        "customer@acme.test": "my",
        "admin@globex.test": "admin",
        "customer@globex.test": "my",
        "admin@initech.test": "admin",
        "operator@doorstep.test": "admin",
    }


# The command, as a person starts it


def portal(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "portal.cli", *arguments]
    return subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A suite that runs in the background ignores Ctrl+C, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


@contextmanager
def running_demo(environment: dict[str, str]) -> Iterator[str]:
    """The demo, up; gives what it printed until then. Ctrl+C ends it without a complaint."""
    process = portal("demo", **environment)
    printed = ""
    assert process.stdout is not None
    try:
        for line in process.stdout:
            printed += line
            if demo.PASSWORD in line:
                break
        else:
            raise AssertionError(f"the demo ended: {printed}")
        yield printed
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert "Traceback" not in rest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a fresh machine, but for where the data goes."""
    return {
        "DATABASE_URL": databases.sqlite_url(tmp_path / "demo.sqlite3"),
        "SESSION_DIR": str(tmp_path / "sessions"),
        "SECRET_KEY": "demo" * 8,
        "PORT": str(free_port()),
        "DOORSTEP_ENV": "",
        "COLUMNS": "120",
    }


def test_the_demo_starts_on_its_port_and_keeps_its_data(environment: dict[str, str]) -> None:
    engine = create_engine(environment["DATABASE_URL"])
    address = f"http://127.0.0.1:{environment['PORT']}/"

    def number_of_jobs() -> int:
        with engine.connect() as connection:
            return int(connection.execute(text("SELECT count(*) FROM jobs")).scalar_one())

    with running_demo(environment) as printed:
        assert address in printed
        assert all(email in printed for _, email in demo.ACCOUNTS)
        with urllib.request.urlopen(f"{address}login") as page:
            assert page.status == 200
        jobs = number_of_jobs()
        second = portal("demo", **environment)
        said, _ = second.communicate(timeout=PATIENCE)
        assert second.returncode != 0
        assert f"Port {environment['PORT']} is taken" in said
    with engine.begin() as connection:
        connection.execute(text("UPDATE partners SET name = 'Renamed' WHERE slug = 'acme'"))
    with running_demo(environment):
        assert number_of_jobs() == jobs
        with engine.connect() as connection:
            names = connection.execute(text("SELECT name FROM partners")).scalars().all()
        assert "Renamed" in names
    engine.dispose()


def test_the_demo_refuses_to_run_in_production(environment: dict[str, str], tmp_path: Path) -> None:
    process = portal("demo", **{**environment, "DOORSTEP_ENV": "production"})
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    assert "accounts with known passwords" in said
    assert not (tmp_path / "demo.sqlite3").exists()
