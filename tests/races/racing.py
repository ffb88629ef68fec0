"""What the races are run with: processes that start at once, offices to fight over, and what must never be found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise
from typing import Any, TypeVar

from sqlalchemy import Engine, select, text

from portal.domain.jobs.models import Appointment
from tests.domain.by_hand import HOLDS_ITS_TIME
from tests.domain.office import Office
from tests.races.clerks import Outcome, Target

T = TypeVar("T")
PROCESSES = 4


def url_of(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def run_at_once(processes: ProcessPoolExecutor, use: Callable[..., T], each: Sequence[tuple[Any, ...]]) -> list[T]:
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


def targets_of(office: Office, technicians: Sequence[int | None], starts: Sequence[datetime]) -> list[Target]:
    """Schedule an installation for each customer in turn and return what is to be fought over."""
    customers = len(office.people.customers)
    found = []
    for number, (technician, start) in enumerate(zip(technicians, starts, strict=True)):
        job_id = office.schedule(technician, start, customer=number % customers)
        found.append(Target(job_id, office.visit(job_id).id, number % customers))
    return found
