"""A phone that says where it is while the way ends: nothing is kept, or moved, of a way that is over (C4, J9)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select

from portal.domain.jobs import fieldwork
from portal.domain.tracking.models import Position
from portal.domain.tracking.services import Reading, keep_position
from tests.domain.office import HOUR, NOW, Office
from tests.races import clerks
from tests.races.clerks import Turn
from tests.races.followers import act_unlocked
from tests.races.racing import run_at_once, url_of

pytestmark = pytest.mark.row("C4", "J9")

START = NOW + HOUR
MINUTE = timedelta(minutes=1)
EARLIER, NEW = (51.47, -2.63), (51.47, -2.6)
# From where; who comes first and is in the middle of it when the other begins; how each ends; where the visit then
# stands, and what is known of its technician: nothing, or the earlier or the new place.
TURNS = [
    ("ON_THE_WAY", "arrive", "position", "done", "not_on_the_way", "ARRIVED", EARLIER),
    ("ON_THE_WAY", "position", "arrive", "done", "done", "ARRIVED", NEW),
    ("ON_THE_WAY", "turn_back", "position", "done", "not_on_the_way", "SCHEDULED", None),
    ("ON_THE_WAY", "position", "turn_back", "done", "done", "SCHEDULED", None),
    ("ARRIVED", "start_work", "position", "done", "not_on_the_way", "WORK_IN_PROGRESS", None),
    ("ARRIVED", "position", "start_work", "not_on_the_way", "done", "WORK_IN_PROGRESS", None),
]


@pytest.fixture
def open_office(engine: Engine) -> Iterator[Callable[[int], Office]]:
    """Open an office of so many technicians."""
    opened: list[Office] = []

    def hire(technicians: int) -> Office:
        opened.append(Office(engine, technicians=[f"Technician {number}" for number in range(technicians)]))
        return opened[-1]

    yield hire
    for office in opened:
        office.close()


def on_the_way(office: Office, technician: int, status: str = "ON_THE_WAY") -> int:
    """A visit whose technician is on the way or at the door and was last seen at ``EARLIER``; its job's key."""
    job_id, who = office.schedule(technician, START), office.people.technicians[technician]
    visit = office.visit(job_id)
    for step in (fieldwork.set_off, fieldwork.arrive)[: 1 + (status == "ARRIVED")]:
        office.do(who, step, visit.id, visit.move_number)
    place = {"latitude": EARLIER[0], "longitude": EARLIER[1], "accuracy": 10.0}
    keys = {"customer_id": visit.customer_id, "job_id": job_id, "appointment_id": visit.id}
    office.add(Position(at=NOW, **place, **keys))
    return job_id


def turn(office: Office, job_id: int, technician: int, name: str, minutes: int = 1) -> Turn:
    """What the technician, or their phone, does so many minutes later."""
    visit, at = office.visit(job_id), NOW + minutes * MINUTE
    if name == "position":
        return Turn(office.people.technicians[technician], keep_position, at, (visit.id, Reading(*NEW, 10.0)))
    more = ("Road closed",) if name == "turn_back" else ()
    step = getattr(fieldwork, name)
    return Turn(office.people.technicians[technician], step, at, (visit.id, visit.move_number, *more))


def known(office: Office, job_id: int) -> tuple[float, float] | None:
    """Return the place that is kept of the technician."""
    found = office.looking.scalars(select(Position).where(Position.job_id == job_id)).one_or_none()
    return None if found is None else (found.latitude, found.longitude)


def test_whoever_comes_second_sees_that_the_way_is_over(
    engine: Engine, open_office: Callable[[int], Office], processes: ProcessPoolExecutor
) -> None:
    office = open_office(len(TURNS))
    jobs = [on_the_way(office, number, row[0]) for number, row in enumerate(TURNS)]
    sides: list[list[Turn]] = [
        [turn(office, job_id, number, row[side]) for number, (job_id, row) in enumerate(zip(jobs, TURNS, strict=True))]
        for side in (1, 2)
    ]
    shared: tuple[Any, ...] = (url_of(engine), office.people)
    ends = run_at_once(processes, clerks.act_in_turn, [(*shared, sides[0], True), (*shared, sides[1], False)])
    left = [(office.visit(job_id).status, known(office, job_id)) for job_id in jobs]
    found = [(*row[:3], *end, *state) for row, end, state in zip(TURNS, zip(*ends, strict=True), left, strict=True)]
    assert found == TURNS


def test_without_the_lock_a_place_is_kept_of_who_is_at_work(
    engine: Engine, open_office: Callable[[int], Office], processes: ProcessPoolExecutor
) -> None:
    office = open_office(1)
    job_id = on_the_way(office, 0)
    steps = [turn(office, job_id, 0, "arrive"), turn(office, job_id, 0, "start_work", 2)]
    told = [turn(office, job_id, 0, "position", 3)]
    shared: tuple[Any, ...] = (url_of(engine), office.people)
    ends = run_at_once(processes, act_unlocked, [(*shared, steps, False), (*shared, told, True)])
    assert ends == [["done", "done"], ["done"]]
    assert (office.visit(job_id).status, known(office, job_id)) == ("WORK_IN_PROGRESS", NEW)
