"""The use cases of notes, and of counting once what the field sends twice (J8).

Each runs within one ``unit_of_work``. ``now`` is an instant, ``actor`` the visit's technician or staff. They raise
``NotFound``, ``Refused`` or ``Invalid`` and then change nothing.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.errors import NotFound, sentence
from portal.domain.jobs.happened import client_key, told_late, when_it_happened
from portal.domain.jobs.history import record
from portal.domain.jobs.mechanics import demand_role, lock_visit, required_text
from portal.domain.notes.models import FieldReceipt, JobNote


def add_note(
    session: Session,
    actor: Actor,
    now: datetime,
    visit_id: int,
    words: str,
    key: str = "",
    happened_at: datetime | None = None,
) -> JobNote:
    """Add a note to the job of a visit and return it, or the one that came with the same ``key`` before.

    Jobs that have ended take notes too.
    """
    visit, job, _ = lock_visit(session, visit_id)
    demand_role(actor.is_staff or actor.technician_id is not None)
    if not actor.is_staff and visit.technician_id != actor.technician_id:
        raise NotFound
    key = client_key(key)
    query = select(JobNote).where(JobNote.job_id == job.id, JobNote.client_key == key)
    known = session.scalars(query).one_or_none()
    if known is not None:
        return known
    text = required_text(words, "note", sentence("Enter a note"))
    written = when_it_happened(happened_at, now)
    note = JobNote(
        partner_id=job.partner_id,
        customer_id=job.customer_id,
        job_id=job.id,
        words=text,
        client_key=key,
        written_at=written,
        added_at=now,
        author_id=actor.id,
        author_name=actor.name,
    )
    session.add(note)
    session.flush()
    record(session, actor, now, "add_note", job, visit, after={"happened_at": told_late(written, now)}, reason=text)
    return note


def take_once(
    session: Session,
    now: datetime,
    visit_id: int,
    key: str,
    step: str,
    happened_at: datetime | None,
) -> bool:
    """Whether a step comes for the first time; it is noted, so that it does not the next time.

    Locks the visit's job, so that of two that come at once one is the first.
    """
    visit, _, _ = lock_visit(session, visit_id)
    query = select(FieldReceipt.id).where(FieldReceipt.appointment_id == visit.id, FieldReceipt.client_key == key)
    if session.scalars(query).one_or_none() is not None:
        return False
    session.add(
        FieldReceipt(
            partner_id=visit.partner_id,
            appointment_id=visit.id,
            client_key=key,
            step=step,
            happened_at=happened_at or now,
            received_at=now,
        )
    )
    return True
