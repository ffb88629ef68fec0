"""Several processes book the same few technicians at once, on real databases: nobody is in two places.

Two things hold that: the lock under which the use case looks, and the database's own guard. Each is taken away in turn;
with both away the same race does give one time to several, which shows that it is a race.
"""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from portal.domain.jobs.models import Appointment
from tests.domain.by_hand import HOLDS_ITS_TIME
from tests.domain.office import NOW, Office
from tests.races import clerks
from tests.races.clerks import STARTS, Outcome, Target

pytestmark = pytest.mark.row("M5", "P5")

PROCESSES = 4
ROUNDS = 40
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def url_of(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def processes() -> Iterator[ProcessPoolExecutor]:
    """Fresh processes that wait for one another at a gate: tasks that are handed out together run at once."""
    context = multiprocessing.get_context("spawn")
    gates = {count: context.Barrier(count, timeout=60) for count in (2, PROCESSES)}
    with ProcessPoolExecutor(PROCESSES, context, clerks.wait_at, (gates,)) as pool:
        yield pool


def run_at_once(
    processes: ProcessPoolExecutor, use: Callable[..., Outcome], each: Sequence[tuple[Any, ...]]
) -> list[Outcome]:
    """Run ``use`` with the arguments of each, every one in a process of its own."""
    futures = [processes.submit(use, *arguments, among=len(each)) for arguments in each]
    return [future.result(timeout=120) for future in futures]


def totals(outcomes: Sequence[Outcome]) -> Counter[str]:
    return sum((outcome.ends for outcome in outcomes), Counter())


def errors(outcomes: Sequence[Outcome]) -> list[str]:
    return [error for outcome in outcomes for error in outcome.errors]


def overlaps(office: Office) -> list[tuple[int, int]]:
    """The pairs of active visits in which one technician would have to be in two places."""
    query = select(Appointment).where(
        Appointment.partner_id == office.people.partner_id, Appointment.status.in_(sorted(HOLDS_ITS_TIME))
    )
    by_technician: dict[int, list[Appointment]] = {}
    for visit in office.looking.scalars(query.order_by(Appointment.start_at)):
        if visit.technician_id is not None:
            by_technician.setdefault(visit.technician_id, []).append(visit)
    return [
        (earlier.id, later.id)
        for visits in by_technician.values()
        for earlier, later in pairwise(visits)
        if later.start_at < earlier.end_at
    ]


@contextmanager
def without_guard(engine: Engine, office: Office) -> Iterator[None]:
    """Take the database's guard away, and give it back after all visits of the office were set aside."""
    office.close()
    if engine.dialect.name == "postgresql":
        name = "ex_appointments_technician_overlap"
        find = text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = :name")
        with engine.begin() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '10s'"))
            definition = connection.scalars(find, {"name": name}).one()
            connection.execute(text(f"ALTER TABLE appointments DROP CONSTRAINT {name}"))
        restore = [f"ALTER TABLE appointments ADD CONSTRAINT {name} {definition}"]
    else:
        find = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE '%overlap%'")
        with engine.begin() as connection:
            triggers = connection.execute(find).all()
            for name, _ in triggers:
                connection.execute(text(f"DROP TRIGGER {name}"))
        restore = [sql for _, sql in triggers]
        assert len(restore) == 2
    try:
        yield
    finally:
        office.close()
        with engine.begin() as connection:
            connection.execute(
                text("UPDATE appointments SET status = 'CANCELLED' WHERE partner_id = :key"),
                {"key": office.people.partner_id},
            )
            for statement in restore:
                connection.exec_driver_sql(statement)


@pytest.fixture
def hire(engine: Engine) -> Iterator[Callable[..., Office]]:
    """Open an office whose customers may move as often as they like."""
    opened: list[Office] = []

    def open_office(**hiring: Any) -> Office:
        opened.append(
            Office(engine, **({"max_moves": 10_000, "notice_hours": 0, "reschedule_cutoff_hours": 0} | hiring))
        )
        return opened[-1]

    yield open_office
    for office in opened:
        office.close()


def targets_of(office: Office, technicians: Sequence[int | None], starts: Sequence[datetime]) -> list[Target]:
    """Schedule an installation for each customer in turn and return what is to be fought over."""
    customers = len(office.people.customers)
    found = []
    for number, (technician, start) in enumerate(zip(technicians, starts, strict=True)):
        job_id = office.schedule(technician, start, customer=number % customers)
        found.append(Target(job_id, office.visit(job_id).id, number % customers))
    return found


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
