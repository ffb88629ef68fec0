"""A customer's pending cancel between processes: undo, worker, technician and office, one in the middle of another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from itertools import chain
from typing import Any

import pytest
from sqlalchemy import Engine

from portal.domain.actor import SYSTEM
from portal.domain.jobs import fieldwork, services
from tests.domain.office import DAY, HOUR, NOW, Office
from tests.races import clerks
from tests.races.clerks import Turn
from tests.races.racing import PROCESSES, run_at_once, url_of

pytestmark = pytest.mark.row("M7")

START = NOW + 3 * HOUR
DUE = NOW + timedelta(minutes=10)
SECOND = timedelta(seconds=1)
VISITS = 8

PENDING, KEPT, CANCELLED = "pending", "kept", "cancelled"
# Who comes first and is in the middle of it when the other begins; how each ends; and where that leaves the visit,
# written by hand. The worker comes at the second at which the cancel is due, everybody else a second before.
TURNS = [
    ("undo", "tick", "done", "nothing", KEPT),
    ("tick", "undo", "done", "cancel_took_effect", CANCELLED),
    ("undo", "finalise", "done", "no_cancel_pending", KEPT),
    ("finalise", "undo", "done", "cancel_took_effect", CANCELLED),
    ("staff_undo", "undo", "done", "no_cancel_pending", KEPT),
    ("undo", "staff_undo", "done", "no_cancel_pending", KEPT),
    ("finalise", "tick", "done", "nothing", CANCELLED),
    ("tick", "finalise", "done", "cancel_took_effect", CANCELLED),
    ("tick", "tick", "done", "nothing", CANCELLED),
    ("undo", "set_off", "done", "done", "ON_THE_WAY"),
    ("set_off", "undo", "cancelling", "done", KEPT),
    ("tick", "set_off", "done", "wrong_status", CANCELLED),
    ("finalise", "set_off", "done", "wrong_status", CANCELLED),
    ("undo", "reschedule", "done", "done", "moved"),
    ("reschedule", "undo", "cancelling", "done", KEPT),
    ("tick", "reschedule", "done", "wrong_status", CANCELLED),
    ("undo", "staff_cancel", "done", "done", CANCELLED),
    ("tick", "staff_cancel", "done", "wrong_status", CANCELLED),
]
# The same before anybody cancelled.
FIRST_TURNS = [
    ("cancel", "set_off", "done", "cancelling", PENDING),
    ("set_off", "cancel", "done", "wrong_status", "ON_THE_WAY"),
    ("cancel", "move", "done", "cancelling", PENDING),
    ("move", "cancel", "done", "moved_meanwhile", "moved"),
    ("cancel", "cancel", "done", "cancelling", PENDING),
    ("cancel", "reschedule", "done", "cancelling", PENDING),
    ("reschedule", "cancel", "done", "moved_meanwhile", "moved"),
    ("cancel", "staff_cancel", "done", "cancelling", PENDING),
    ("staff_cancel", "cancel", "done", "wrong_status", CANCELLED),
]


@pytest.fixture
def open_office(engine: Engine) -> Iterator[Callable[[int], Office]]:
    """Open an office of so many technicians, whose customers may do everything up to the start."""
    opened: list[Office] = []

    def hire(technicians: int) -> Office:
        names = [f"Technician {number}" for number in range(technicians)]
        rules = {"cancel_cutoff_hours": 0, "reschedule_cutoff_hours": 0, "notice_hours": 0}
        opened.append(Office(engine, technicians=names, **rules))
        return opened[-1]

    yield hire
    for office in opened:
        office.close()


def installation(office: Office, technician: int, cancelling: bool) -> int:
    """An installation whose visit starts in three hours and whose customer is cancelling it, or is not."""
    job_id = office.schedule(technician, START)
    if cancelling:
        office.do(office.people.customers[0], services.cancel_by_customer, office.visit(job_id).id, "Away")
    return job_id


def turn(office: Office, job_id: int, technician: int, name: str) -> Turn:
    """What somebody does at their instant."""
    people, visit = office.people, office.visit(job_id)
    dana, own, ann = people.dispatcher, people.customers[0], people.technicians[technician]
    before = DUE - SECOND
    found: dict[str, Turn] = {
        "cancel": Turn(own, services.cancel_by_customer, before, (visit.id, "Away", visit.move_number)),
        "move": Turn(own, services.move_by_customer, before, (visit.id, START + DAY, visit.move_number)),
        "undo": Turn(own, services.undo_cancel, before, (visit.id,)),
        "staff_undo": Turn(dana, services.undo_cancel, before, (visit.id,)),
        "finalise": Turn(dana, services.finalise_cancel, before, (visit.id,)),
        "tick": Turn(SYSTEM, clerks.tick, DUE, (visit.id,)),
        "set_off": Turn(ann, fieldwork.set_off, before, (visit.id, visit.move_number)),
        "reschedule": Turn(dana, services.reschedule, before, (job_id, START + DAY)),
        "staff_cancel": Turn(dana, services.cancel, before, (job_id, "Closed that day")),
    }
    return found[name]


def where(office: Office, job_id: int) -> str:
    """Where the visit stands; fails where it and its job do not go together, or a message says something else."""
    (visit,) = office.visits(job_id)
    told = [kind for kind in office.messages(job_id) if kind in {"cancelled", "on_the_way"}]
    pair = office.pair(job_id)
    if visit.status == "CANCELLED":
        assert (pair[0], visit.cancel_at, told) == ("CANCELLED", None, ["cancelled"])
        return CANCELLED
    if visit.status == "ON_THE_WAY":
        assert (pair[0], visit.cancel_at, told) == ("EN_ROUTE", None, ["on_the_way"])
        return "ON_THE_WAY"
    assert (pair, told) == (("INSTALLER_ASSIGNED", "SCHEDULED"), [])
    if visit.cancel_at is not None:
        return PENDING
    return KEPT if visit.start_at == START else "moved"


def test_whoever_comes_second_sees_what_the_first_one_did(
    engine: Engine, open_office: Callable[[int], Office], processes: ProcessPoolExecutor
) -> None:
    rows = [(True, *row) for row in TURNS] + [(False, *row) for row in FIRST_TURNS]
    office = open_office(len(rows))
    jobs = [installation(office, number, row[0]) for number, row in enumerate(rows)]
    sides: list[list[Turn]] = [
        [turn(office, job_id, number, row[side]) for number, (job_id, row) in enumerate(zip(jobs, rows, strict=True))]
        for side in (1, 2)
    ]
    shared: tuple[Any, ...] = (url_of(engine), office.people)
    ends = run_at_once(processes, clerks.act_in_turn, [(*shared, sides[0], True), (*shared, sides[1], False)])
    found = list(zip(*ends, [where(office, job_id) for job_id in jobs], strict=True))
    assert [(*row[:3], *end) for row, end in zip(rows, found, strict=True)] == rows


def act_at_once(
    engine: Engine, processes: ProcessPoolExecutor, office: Office, names: Sequence[str], locks: bool
) -> tuple[list[int], list[list[str]]]:
    """Let those of ``names`` be at eight pending cancels at once; return the jobs, and how it ended for each."""
    jobs = [installation(office, number, cancelling=True) for number in range(VISITS)]
    turns = [[turn(office, job_id, number, name) for number, job_id in enumerate(jobs)] for name in names]
    shared = (url_of(engine), office.people)
    return jobs, run_at_once(processes, clerks.act_at_once, [(*shared, each, locks) for each in turns])


def test_of_all_who_come_at_once_one_has_their_way(
    engine: Engine, open_office: Callable[[int], Office], processes: ProcessPoolExecutor
) -> None:
    office = open_office(VISITS)
    names = ("undo", "finalise", "tick", "set_off")
    assert len(names) == PROCESSES
    jobs, given = act_at_once(engine, processes, office, names, locks=True)
    for job_id, undo, finalise, tick, set_off in zip(jobs, *given, strict=True):
        ends = (undo, finalise, tick)
        assert ends.count("done") == 1, ends
        state = where(office, job_id)
        if undo == "done":
            assert (state, set_off) in {(KEPT, "cancelling"), ("ON_THE_WAY", "done")}
        else:
            assert state == CANCELLED
            assert set_off in {"cancelling", "wrong_status"}


def test_without_the_lock_somebody_does_not_see_what_another_did(
    engine: Engine, open_office: Callable[[int], Office], processes: ProcessPoolExecutor
) -> None:
    _, given = act_at_once(engine, processes, open_office(VISITS), ("undo", "tick"), locks=False)
    assert "error" in set(chain(*given))
