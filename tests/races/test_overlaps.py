"""Several processes book the same few technicians at once, on real databases: nobody is in two places.

Two things hold that: the lock under which the use case looks, and the database's own guard. Each is taken away in turn;
with both away the same race does give one time to several, which shows that it is a race.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import pytest
from sqlalchemy import Engine

from tests.domain.office import DAY, HOUR, NOW, Office
from tests.races import clerks
from tests.races.clerks import STARTS, Outcome
from tests.races.racing import (
    PROCESSES,
    errors,
    overlaps,
    run_at_once,
    targets_of,
    totals,
    url_of,
    without_guard,
)

pytestmark = pytest.mark.row("M5", "P5")

ROUNDS = 40


def test_everything_that_books_at_once_lets_nobody_overlap_and_tells_every_loser(
    engine: Engine, hire: Callable[..., Office], processes: ProcessPoolExecutor
) -> None:
    office = hire()
    targets = targets_of(office, [None] * 9, [STARTS[0] - DAY] * 9)
    outcomes = run_at_once(
        processes,
        clerks.book_at_random,
        [(url_of(engine), office.people, targets, seed, ROUNDS) for seed in range(PROCESSES)],
    )
    assert overlaps(office) == []
    assert errors(outcomes) == []
    ends = totals(outcomes)
    assert sum(ends.values()) == PROCESSES * ROUNDS
    for use_case in ("schedule_installation", "assign", "reassign", "reschedule", "move_by_customer"):
        tried = {end for end in ends if end.startswith(f"{use_case}:")}
        assert f"{use_case}: done" in tried, ends
        assert len(tried) > 1, ends


def take_the_same_times(
    engine: Engine, processes: ProcessPoolExecutor, office: Office, locks: bool = True
) -> tuple[list[Outcome], int]:
    """Let every customer move to the same time, and again, and again; return also how often one was given twice."""
    times = [NOW + (8 + number) * DAY for number in range(10)]
    before = [NOW + (3 + number) * DAY for number in range(PROCESSES)]
    targets = targets_of(office, [0] * PROCESSES, before)
    outcomes = run_at_once(
        processes,
        clerks.move_in_step,
        [(url_of(engine), office.people, target, times, locks) for target in targets],
    )
    return outcomes, totals(outcomes)["move_by_customer: done"] - len(times)


def test_of_many_who_take_the_same_last_time_exactly_one_gets_it(
    engine: Engine, hire: Callable[..., Office], processes: ProcessPoolExecutor
) -> None:
    office = hire(customers=PROCESSES)
    outcomes, given_twice = take_the_same_times(engine, processes, office)
    assert errors(outcomes) == []
    assert given_twice == 0
    assert totals(outcomes)["move_by_customer: booked"] == 10 * (PROCESSES - 1)
    assert overlaps(office) == []


def test_the_lock_alone_gives_a_time_once(
    engine: Engine, hire: Callable[..., Office], processes: ProcessPoolExecutor
) -> None:
    office = hire(customers=PROCESSES)
    with without_guard(engine, office):
        outcomes, given_twice = take_the_same_times(engine, processes, office)
        assert overlaps(office) == []
    assert errors(outcomes) == []
    assert given_twice == 0


def test_the_databases_guard_alone_gives_a_time_once_and_says_so(
    engine: Engine, hire: Callable[..., Office], processes: ProcessPoolExecutor
) -> None:
    office = hire(customers=PROCESSES)
    outcomes, given_twice = take_the_same_times(engine, processes, office, locks=False)
    assert errors(outcomes) == []
    assert given_twice == 0
    assert overlaps(office) == []


def test_without_either_the_same_race_gives_a_time_to_several(
    engine: Engine, hire: Callable[..., Office], processes: ProcessPoolExecutor
) -> None:
    office = hire(customers=PROCESSES)
    with without_guard(engine, office):
        outcomes, given_twice = take_the_same_times(engine, processes, office, locks=False)
        assert given_twice > 0, totals(outcomes)
        assert overlaps(office) != []


def test_two_customers_who_swap_at_once_wait_for_nobody_for_ever(
    engine: Engine, hire: Callable[..., Office], processes: ProcessPoolExecutor
) -> None:
    office = hire()
    times = (NOW + 3 * DAY, NOW + 3 * DAY + 4 * HOUR)
    targets = targets_of(office, [0, 0], times)
    outcomes = run_at_once(
        processes,
        clerks.move_in_step,
        [
            (url_of(engine), office.people, target, [wish] * 10, True)
            for target, wish in zip(targets, reversed(times), strict=True)
        ],
    )
    assert errors(outcomes) == []
    assert totals(outcomes) == Counter({"move_by_customer: booked": 20})
    assert [office.job(target.job_id).start_at for target in targets] == list(times)


def test_two_dispatchers_who_swap_technicians_at_once_are_both_told(
    engine: Engine, hire: Callable[..., Office], processes: ProcessPoolExecutor
) -> None:
    office = hire()
    targets = targets_of(office, [0, 1], [NOW + 3 * DAY] * 2)
    outcomes = run_at_once(
        processes,
        clerks.reassign_in_step,
        [
            (url_of(engine), office.people, target, office.people.technician_id(other), 10)
            for target, other in zip(targets, (1, 0), strict=True)
        ],
    )
    assert errors(outcomes) == []
    assert totals(outcomes) == Counter({"reassign: invalid": 20})
    assert [office.job(target.job_id).technician_id for target in targets] == [
        office.people.technician_id(0),
        office.people.technician_id(1),
    ]
