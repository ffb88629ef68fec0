"""Moving what is planned to the same clock time of another zone, when a partner's zone changes (``scheduling.md``)."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.jobs.history import record
from portal.domain.jobs.mechanics import flush_booking, touch
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.situations import visits_of
from portal.domain.jobs.states import MOVABLE
from portal.domain.lookup import lock
from portal.domain.scheduling.zones import instant_at_or_after


def shift_visits(session: Session, actor: Actor, now: datetime, partner_id: int, old: ZoneInfo, new: ZoneInfo) -> int:
    """Move a partner's planned visits from their clock time in ``old`` to the same in ``new``; return how many.

    Date, clock, length, status and confirmation stay, so nobody is told; reminders follow the new instant. A visit
    that would then lie before ``now`` (an instant) stays where it is, as does one under way. Raises ``Conflict`` where
    two visits of a technician would overlap, around a change of the clocks. Runs within ``unit_of_work`` under a lock
    on the partner.
    """
    query = select(Appointment.id, Appointment.job_id, Appointment.start_at).where(
        Appointment.partner_id == partner_id, Appointment.status.in_(sorted(MOVABLE)), Appointment.start_at > now
    )
    planned = [
        (start, _same_clock(start, old, new), job_id, visit_id) for visit_id, job_id, start in session.execute(query)
    ]
    # Those that go first make room for those behind them.
    later = any(target > start for start, target, _, _ in planned)
    moved = 0
    for start, target, job_id, visit_id in sorted(planned, reverse=later):
        if target <= now or target == start:
            continue
        job = lock(session, Job, job_id)
        visits = visits_of(session, job)
        visit = next(one for one in visits if one.id == visit_id)
        if visit.status in MOVABLE and visit.start_at == start:
            _move(session, actor, now, job, visits, visit, target)
            moved += 1
    return moved


def _same_clock(instant: datetime, old: ZoneInfo, new: ZoneInfo) -> datetime:
    local = instant.astimezone(old)
    return instant_at_or_after(local.date(), local.time(), new)


def _move(
    session: Session,
    actor: Actor,
    now: datetime,
    job: Job,
    visits: list[Appointment],
    visit: Appointment,
    target: datetime,
) -> None:
    before = {"start": visit.start_at, "end": visit.end_at}
    visit.end_at = target + (visit.end_at - visit.start_at)
    visit.start_at = target
    visit.planned_at = now
    visit.move_number += 1
    visit.occurrence += 1
    if visit.cancel_at is not None:
        # It takes effect at the visit's start at the latest.
        visit.cancel_at = min(visit.cancel_at, target)
    flush_booking(session, visit.technician_id)
    record(session, actor, now, "reschedule", job, visit, before, {"start": visit.start_at, "end": visit.end_at})
    touch(session, job, visits, now)
