"""Looking at a message again at the last moment: which are still sent, which skipped and why."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from portal.domain.jobs.models import Appointment, Job
from portal.domain.messages.models import Message
from portal.domain.messages.services import still_wanted, waits_until
from tests.worker.conftest import MINUTE, NOW, SECOND, START


def refusal(kind: str, now: datetime = NOW, newer: bool = False, job: str = "SCHEDULED", **visit: Any) -> str | None:
    values = {"status": "SCHEDULED", "start_at": START, "occurrence": 1, "cancel_at": None} | visit
    found = still_wanted(
        Message(kind=kind, occurrence=1), Appointment(**values), Job(status=job), now, newer_exists=newer
    )
    return found.code if found else None


@pytest.mark.row("N3")
@pytest.mark.parametrize("kind", ["booked", "moved"])
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("SCHEDULED", None),
        ("PREPARING", None),
        ("ON_THE_WAY", "not_planned"),
        ("ARRIVED", "not_planned"),
        ("WORK_IN_PROGRESS", "not_planned"),
        ("PAUSED", "not_planned"),
        ("COMPLETE", "not_planned"),
        ("INCOMPLETE", "not_planned"),
        ("CANCELLED", "not_planned"),
    ],
)
def test_booked_and_moved_need_a_planned_visit(kind: str, status: str, expected: str | None) -> None:
    assert refusal(kind, status=status) == expected
    assert refusal("reminder", status=status) == expected


@pytest.mark.row("N3")
@pytest.mark.parametrize("kind", ["booked", "moved"])
def test_booked_and_moved_tell_the_present_time_unless_a_newer_message_does(kind: str) -> None:
    assert refusal(kind, occurrence=2) is None
    assert refusal(kind, occurrence=2, newer=True) == "superseded"


@pytest.mark.row("N3")
@pytest.mark.parametrize("kind", ["booked", "moved", "reminder"])
def test_nothing_is_said_of_a_start_that_is_over(kind: str) -> None:
    assert refusal(kind, now=START - SECOND) is None
    assert refusal(kind, now=START) == "started"


@pytest.mark.row("N3")
def test_a_reminder_is_for_its_own_time_only() -> None:
    assert refusal("reminder") is None
    assert refusal("reminder", occurrence=2) == "other_occurrence"


@pytest.mark.row("N3")
def test_a_reminder_waits_in_the_undo_time_and_is_dropped_after_it() -> None:
    until = NOW + 10 * MINUTE
    reminder, booked = Message(kind="reminder", occurrence=1), Message(kind="booked", occurrence=1)
    visit = Appointment(status="SCHEDULED", start_at=START, occurrence=1, cancel_at=until)
    assert waits_until(reminder, visit, until - SECOND) == until
    assert waits_until(reminder, visit, until) is None
    assert waits_until(booked, visit, NOW) is None
    assert refusal("reminder", now=until - SECOND, cancel_at=until) is None
    assert refusal("reminder", now=until, cancel_at=until) == "cancelling"
    assert refusal("booked", now=until, cancel_at=until) is None


@pytest.mark.row("N3")
def test_cancelled_needs_a_cancelled_visit() -> None:
    assert refusal("cancelled", status="CANCELLED", occurrence=2) is None
    assert refusal("cancelled", status="CANCELLED", now=START + timedelta(days=1)) is None
    assert refusal("cancelled", status="SCHEDULED") == "not_cancelled"


@pytest.mark.row("N3")
@pytest.mark.parametrize(
    ("status", "occurrence", "expected"),
    [
        ("ON_THE_WAY", 1, None),
        ("ARRIVED", 1, None),
        ("ON_THE_WAY", 2, "not_on_the_way"),
        ("SCHEDULED", 1, "not_on_the_way"),
        ("WORK_IN_PROGRESS", 1, "not_on_the_way"),
        ("COMPLETE", 1, "not_on_the_way"),
    ],
)
def test_on_the_way_needs_the_same_departure(status: str, occurrence: int, expected: str | None) -> None:
    assert refusal("on_the_way", status=status, occurrence=occurrence) == expected


@pytest.mark.row("N3")
def test_a_contract_is_announced_while_it_waits_for_a_signature() -> None:
    done = {"status": "COMPLETE", "now": START + timedelta(days=3)}
    assert refusal("contract", job="CONTRACT_SENT", **done) is None
    assert refusal("contract", job="CONTRACT_SENT", newer=True, **done) == "superseded"
    assert refusal("contract", job="CONTRACT_SIGNED", **done) == "contract_not_open"
