"""Customers who press the last button of Modify at once, over real connections to what ``portal serve`` starts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from sqlalchemy import Engine

from portal.customer.blueprint import instant
from portal.domain.base import Base
from portal.domain.scheduling.models import TimeOff
from tests.conftest import Database
from tests.domain.office import DAY, HOUR, Office
from tests.races.clerks import Target
from tests.races.presses import Answer, Press, press_in_step
from tests.races.racing import PROCESSES, overlaps, run_at_once, targets_of, without_guard
from tests.races.web import midnight, presses_of, serving

CUSTOMERS = 50
ROUNDS = 3
UNGUARDED = {"GUNICORN_CMD_ARGS": "--config=python:tests.races.unguarded"}
Rows = dict[int, list[tuple[str, tuple[Any, ...]]]]


@pytest.fixture(scope="module")
def web(_database: Database) -> Iterator[tuple[str, int]]:
    """The address of a web server over the database, for all tests here."""
    with serving(_database.app) as address:
        yield address


@dataclass(frozen=True)
class Arena:
    """Fifty visits of one technician or of nobody, and the one time that is left of a day, which all of them want."""

    office: Office
    targets: Sequence[Target]
    last: datetime
    presses: Sequence[Press]


@pytest.fixture
def arena(app: Flask, hire: Callable[..., Office]) -> Arena:
    office = hire(technicians=("Ann",), customers=CUSTOMERS, hours=(8 * 60, 18 * 60))
    office.now = datetime.now(UTC)
    day = midnight()
    last, ann = day + 10 * HOUR, office.people.technician_id(0)
    for start, end in ((day, last), (last + 2 * HOUR, day + DAY)):
        office.add(TimeOff(technician_id=ann, start_at=start, end_at=end))
    hers = [day + days * DAY + hour * HOUR for days in (2, 3, 4) for hour in (9, 11, 13, 15)]
    nobodys = [day + 9 * DAY + 10 * HOUR] * (CUSTOMERS - len(hers))
    targets = targets_of(office, [0] * len(hers) + [None] * len(nobodys), hers + nobodys)
    return Arena(office, targets, last, presses_of(app, office, targets, last, [[last]] * CUSTOMERS))


def press_at_once(
    processes: ProcessPoolExecutor, address: tuple[str, int], presses: Sequence[Press]
) -> list[list[Answer]]:
    """Deal the presses out to all processes and return the answers to each."""
    hands = [presses[number::PROCESSES] for number in range(PROCESSES)]
    given = run_at_once(processes, press_in_step, [(address, hand) for hand in hands])
    answers: list[list[Answer]] = [[]] * len(presses)
    for number, hand in enumerate(given):
        answers[number::PROCESSES] = hand
    return answers


def rows_by_job(office: Office) -> Rows:
    """Everything of the partner's that a move could change, by job."""
    rows: Rows = defaultdict(list)
    for name, found in office.snapshot().items():
        column = list(Base.metadata.tables[name].c.keys()).index("id" if name == "jobs" else "job_id")
        for row in found:
            rows[row[column]].append((name, row))
    return rows


@pytest.mark.row("M5")
def test_of_fifty_who_take_the_last_time_one_gets_it_and_the_others_are_shown_what_is_free(
    web: tuple[str, int], arena: Arena, processes: ProcessPoolExecutor
) -> None:
    office, before = arena.office, rows_by_job(arena.office)
    answers = [answer for (answer,) in press_at_once(processes, web, arena.presses)]
    assert Counter(answer.status for answer in answers) == {303: 1, 409: CUSTOMERS - 1}
    after = rows_by_job(office)
    (won,) = (target for target, answer in zip(arena.targets, answers, strict=True) if answer.status == 303)
    for target, answer in zip(arena.targets, answers, strict=True):
        if target is won:
            continue
        assert after[target.job_id] == before[target.job_id]
        page = BeautifulSoup(answer.page, "html.parser")
        notice = " ".join(page.select_one(".notice-danger").get_text(" ").split())
        assert notice.startswith("Not moved")
        assert "is no longer free. Your visit is still on" in notice
        offered = {str(choice["value"]) for choice in page.select("input[name=start]")}
        assert offered
        assert instant(arena.last) not in offered
    visit = office.visit(won.job_id)
    assert (visit.start_at, visit.technician_id) == (arena.last, office.people.technician_id(0))
    assert (visit.customer_moves, [entry.action for entry in office.history(won.job_id)].count("reschedule")) == (1, 1)
    assert overlaps(office) == []


@pytest.mark.row("M5")
def test_without_lock_and_guard_the_same_race_gives_the_last_time_to_several(
    app: Flask, engine: Engine, arena: Arena, processes: ProcessPoolExecutor
) -> None:
    with without_guard(engine, arena.office), serving(app, **UNGUARDED) as address:
        answers = press_at_once(processes, address, arena.presses)
        assert Counter(answer.status for answer in chain(*answers))[303] > 1
        assert overlaps(arena.office) != []


@pytest.mark.row("M5")
def test_customers_who_swap_at_once_end_with_a_visit_each_and_nobody_hears_of_a_deadlock(
    web: tuple[str, int], app: Flask, hire: Callable[..., Office], processes: ProcessPoolExecutor
) -> None:
    office = hire(customers=6, hours=(8 * 60, 18 * 60))
    office.now = datetime.now(UTC)
    day = midnight()
    # Both of one technician, so that neither ever gets the other's time; of two, so that both do every time; and of
    # nobody, so that both do and are given somebody each.
    pairs = [(day + days * DAY + 9 * HOUR, day + days * DAY + 13 * HOUR) for days in range(3)]
    targets = targets_of(office, [0, 0, 1, 2, None, None], list(chain(*pairs)))
    wishes = [wish for first, second in pairs for wish in ([second, first] * ROUNDS, [first, second] * ROUNDS)]
    presses = presses_of(app, office, targets, day + 9 * DAY + 9 * HOUR, wishes)
    given = press_at_once(processes, web, presses)
    statuses = [[answer.status for answer in answers] for answers in given]
    told, swapped = [409] * 2 * ROUNDS, [303] * 2 * ROUNDS
    assert statuses == [told, told, swapped, swapped, swapped, swapped]
    assert overlaps(office) == []
    for target, start in zip(targets, chain(*pairs), strict=True):
        (visit,) = office.visits(target.job_id)
        assert visit.start_at == start
        assert office.pair(target.job_id) == ("INSTALLER_ASSIGNED", "SCHEDULED")
