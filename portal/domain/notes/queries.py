"""Reading notes within the session's scope."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.notes.models import JobNote


def notes_of(session: Session, job_id: int) -> Sequence[JobNote]:
    """Return the notes of a job, in the order they were written."""
    query = select(JobNote).where(JobNote.job_id == job_id).order_by(JobNote.written_at, JobNote.id)
    return session.scalars(query).all()
