"""Change requests that have lost their object: the visit has started, moved or been cancelled (``lifecycles.md``)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache

from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from portal.domain.actor import SYSTEM
from portal.domain.jobs.history import record
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.states import MOVABLE
from portal.domain.requests.models import PENDING, ChangeRequest
from portal.domain.requests.states import CHANGE_REQUEST


def lapse_outdated(session: Session, now: datetime, job: Job, visits: Sequence[Appointment]) -> None:
    """Let the pending requests of ``job`` lapse whose visit is no longer planned as it was when they were made.

    Called with every change of a visit, in its transaction; ``now`` is an instant.
    """
    by_key = {visit.id: visit for visit in visits}
    for request in session.scalars(_waiting(), {"job_id": job.id}):
        visit = by_key.get(request.appointment_id)
        if visit is None or visit.status not in MOVABLE or visit.start_at != request.start_at:
            lapse(session, now, job, visit, request)


@cache
def _waiting() -> Select[ChangeRequest]:
    return select(ChangeRequest).where(ChangeRequest.job_id == bindparam("job_id"), ChangeRequest.status == PENDING)


def lapse(session: Session, now: datetime, job: Job, visit: Appointment | None, request: ChangeRequest) -> None:
    """Let one request lapse, and say so in the history."""
    CHANGE_REQUEST.follow(request, "lapse")
    request.answered_at = now
    record(session, SYSTEM, now, "lapse_change_request", job, visit)
