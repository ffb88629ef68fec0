"""How many jobs are in which status (P7), at the same price for 100 jobs and for 200,000.

Each change of a job appends a delta in its own transaction (``models``); the worker folds deltas into counts; a page
adds both up in one statement, so it is right at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, bindparam, delete, func, select, union_all
from sqlalchemy.orm import Session

from portal.domain.jobs.models import Job, JobCount, JobCountDelta
from portal.domain.lifecycle import Workflow
from portal.domain.upserts import insert_into

FOLD_AT_ONCE = 5_000
Key = tuple[int, str, str, bool]


@dataclass(frozen=True, slots=True)
class Counts:
    """The jobs of one workflow by status: all of them, and those without a technician."""

    by_status: Mapping[str, int]
    unassigned: Mapping[str, int]


def _counting() -> Select[Any]:
    parts = [
        select(model.status, model.assigned, model.number).where(
            model.partner_id == bindparam("partner"), model.workflow == bindparam("workflow")
        )
        for model in (JobCount, JobCountDelta)
    ]
    every = union_all(*parts).subquery()
    return select(every.c.status, every.c.assigned, func.sum(every.c.number)).group_by(every.c.status, every.c.assigned)


# Put together once: every page of the list runs it.
_COUNTING = _counting()


def counts_of(session: Session, partner_id: int, workflow: str) -> Counts:
    """Return the partner's jobs of ``workflow`` by status, by one statement."""
    total: Counter[str] = Counter()
    unassigned: Counter[str] = Counter()
    for status, assigned, number in session.execute(_COUNTING, {"partner": partner_id, "workflow": workflow}):
        total[status] += int(number)
        if not assigned:
            unassigned[status] += int(number)
    return Counts(total, unassigned)


@dataclass(frozen=True, slots=True)
class GroupCount:
    """How many jobs are in a status group, and how many of them wait for somebody to be assigned."""

    group: str
    number: int
    unassigned: int


def overview(session: Session, partner_id: int, workflow: Workflow[Any]) -> list[GroupCount]:
    """Return the partner's jobs by status group, every group of the table in its order (P7). One statement."""
    counts = counts_of(session, partner_id, workflow.name)
    assignable = workflow.transition("assign").sources
    groups = {status.group: GroupCount(status.group, 0, 0) for status in workflow.statuses}
    for status in workflow.statuses:
        known = groups[status.group]
        waiting = counts.unassigned.get(status.name, 0) if status.name in assignable else 0
        groups[status.group] = GroupCount(
            status.group, known.number + counts.by_status.get(status.name, 0), known.unassigned + waiting
        )
    return list(groups.values())


def fold(session: Session) -> int:
    """Fold the oldest deltas of all partners into their counts, for the worker; returns how many there were."""
    oldest = list(
        session.scalars(select(JobCountDelta).order_by(JobCountDelta.id).limit(FOLD_AT_ONCE).with_for_update())
    )
    sums: Counter[Key] = Counter()
    for row in oldest:
        sums[row.partner_id, row.workflow, row.status, row.assigned] += row.number
    if not oldest:
        return 0
    session.execute(delete(JobCountDelta).where(JobCountDelta.id.in_([row.id for row in oldest])))
    _add(session, sums)
    return len(oldest)


def rebuild(session: Session) -> None:
    """Count the jobs of all partners anew, for the command that mends counts after work past the models."""
    session.execute(delete(JobCountDelta))
    session.execute(delete(JobCount))
    assigned = Job.technician_id.is_not(None)
    query = select(Job.partner_id, Job.workflow, Job.status, assigned, func.count()).group_by(
        Job.partner_id, Job.workflow, Job.status, assigned
    )
    _add(session, {(row[0], row[1], row[2], bool(row[3])): row[4] for row in session.execute(query)})


def _add(session: Session, sums: Mapping[Key, int]) -> None:
    for (partner_id, workflow, status, assigned), number in sorted(sums.items()):
        row = insert_into(session, JobCount).values(
            partner_id=partner_id, workflow=workflow, status=status, assigned=assigned, number=number
        )
        session.execute(
            row.on_conflict_do_update(
                index_elements=["partner_id", "workflow", "status", "assigned"],
                set_={"number": JobCount.number + row.excluded.number},
            )
        )
