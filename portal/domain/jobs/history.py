"""Writing history: who changed what when, from which value to which, in the transaction of the change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.jobs.models import Appointment, HistoryEntry, Job

Values = Mapping[str, Any]


def record(
    session: Session,
    actor: Actor,
    now: datetime,
    action: str,
    job: Job,
    visit: Appointment | None = None,
    before: Values | None = None,
    after: Values | None = None,
    reason: str = "",
) -> HistoryEntry:
    """Add an entry about ``job`` or, if given, ``visit``; only values that differ are kept. ``now`` is an instant."""
    entry = entry_of(actor, now, action, job, visit, before, after, reason)
    session.add(entry)
    return entry


def entry_of(
    actor: Actor,
    now: datetime,
    action: str,
    job: Job,
    visit: Appointment | None = None,
    before: Values | None = None,
    after: Values | None = None,
    reason: str = "",
) -> HistoryEntry:
    """Return the entry that ``record`` adds, for who writes it otherwise."""
    old, new = dict(before or {}), dict(after or {})
    changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return HistoryEntry(
        partner_id=job.partner_id,
        customer_id=job.customer_id,
        job_id=job.id,
        appointment_id=visit.id if visit is not None else None,
        at=now,
        subject="job" if visit is None else "visit",
        action=action,
        actor_id=actor.id,
        actor_role=actor.role.value,
        actor_name=actor.name,
        before={name: plain(old[name]) for name in changed if name in old},
        after={name: plain(new[name]) for name in changed if name in new},
        reason=reason,
    )


def plain(value: Any) -> Any:
    """Return ``value`` as JSON can hold it: an instant as ISO 8601 with its offset."""
    return value.isoformat() if isinstance(value, datetime) else value
