"""One process ends the way while another says where it is, as if without locks; a module of its own, see ``clerks``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from portal.domain.jobs import fieldwork
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.situations import visits_of
from portal.domain.lookup import find
from portal.domain.tracking import services as tracking
from tests.domain.office import People
from tests.races.clerks import Clerk, Turn, gate


def act_unlocked(url: str, people: People, turns: Sequence[Turn], tells: bool, among: int) -> list[str]:
    """Take ``turns`` as if nobody had thought of locks: both look at the visit before either writes.

    Who ``tells`` a position writes only when the other has committed all of theirs.
    """
    clerk = Clerk(url, people)
    module: Any = tracking if tells else fieldwork
    present = module.lock_visit

    def look(session: Session, visit_id: int) -> tuple[Appointment, Job, list[Appointment]]:
        module.lock_visit = present
        visit = find(session, Appointment, visit_id)
        job = find(session, Job, visit.job_id)
        found = visit, job, visits_of(session, job)
        # On SQLite the unit of work holds the only write lock; what stands for having none is to let go of it.
        on_sqlite = session.get_bind().dialect.name == "sqlite"
        if on_sqlite:
            session.connection().exec_driver_sql("COMMIT")
        for _ in range(2 if tells else 1):
            gate(among).wait()
        if on_sqlite:
            session.connection().exec_driver_sql("BEGIN IMMEDIATE")
        return found

    module.lock_visit = look
    try:
        ends = [clerk.take(turn) for turn in turns]
    finally:
        module.lock_visit = present
    if not tells:
        gate(among).wait()
    clerk.engine.dispose()
    return [*ends, *clerk.outcome.errors]
