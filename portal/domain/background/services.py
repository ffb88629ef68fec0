"""The worker's periodic jobs: the record of their runs (N5), and what is due that is no message."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from portal.domain.background.models import BackgroundJob
from portal.domain.jobs.models import Appointment
from portal.domain.unit_of_work import require_unit_of_work
from portal.domain.upserts import insert_into

MAX_DETAIL = 500


class RunOutcome(StrEnum):
    """How a run of a periodic job ended."""

    OK = "OK"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the periodic job ``name``: when it started (an instant), how long it took, how it ended."""

    name: str
    started_at: datetime
    took: timedelta
    outcome: RunOutcome
    detail: str = ""


def record_run(session: Session, run: Run, next_run_at: datetime | None) -> None:
    """Record ``run`` as the last of its job, and when the next is due (an instant). Runs within ``unit_of_work``."""
    require_unit_of_work(session)
    values = {
        "started_at": run.started_at,
        "duration_ms": round(run.took / timedelta(milliseconds=1)),
        "outcome": run.outcome.value,
        "detail": run.detail[:MAX_DETAIL],
        "next_run_at": next_run_at,
    }
    statement = insert_into(session, BackgroundJob).values(name=run.name, **values)
    session.execute(statement.on_conflict_do_update(index_elements=[BackgroundJob.name], set_=values))


def forget_others(session: Session, names: Collection[str]) -> None:
    """Drop the record of jobs that are no longer declared. Runs within ``unit_of_work``."""
    require_unit_of_work(session)
    session.execute(delete(BackgroundJob).where(BackgroundJob.name.not_in(sorted(names))))


def recorded_jobs(session: Session) -> list[BackgroundJob]:
    """Return every periodic job with its last run, by name (N5). They are the platform's, of no partner."""
    return list(session.scalars(select(BackgroundJob).order_by(BackgroundJob.name)))


def due_cancels(session: Session, now: datetime) -> list[int]:
    """Return the ids of visits whose pending cancel has come due by ``now`` (an instant), earliest first."""
    query = select(Appointment.id).where(Appointment.cancel_at <= now).order_by(Appointment.cancel_at, Appointment.id)
    return list(session.scalars(query))
