"""What a change of the feature controls, or of an override, would do to the visits that are to come (L3).

Asked of the one function that decides (``policy.decide``) with the controls before and after; nothing is written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, get_args

from sqlalchemy import select
from sqlalchemy.orm import Bundle, Session, aliased

from portal.domain.actor import Actor, Role
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.states import MOVABLE, Situation
from portal.domain.people.models import Customer
from portal.domain.policy import decide
from portal.domain.scheduling.queries import controls_of, overrides_in, with_overrides, zone_of
from portal.domain.scheduling.rules import Action, Controls, ControlValues, Decision, OverrideValues, Owner, in_force
from portal.domain.scheduling.services import demand_limits

MOST_NAMED = 50
ACTIONS: tuple[Action, ...] = get_args(Action)
Overrides = Mapping[Owner, Any]


@dataclass(frozen=True, slots=True)
class Affected:
    """A visit that gains or loses *Modify*, and what decides about it before and after the change."""

    visit_id: int
    job_id: int
    workflow: str
    number: str
    customer: str
    start_at: datetime
    before: Decision
    after: Decision


@dataclass(slots=True)
class Effect:
    """How many visits gain and lose one action, and the first ``MOST_NAMED`` of each in time order."""

    gain: int = 0
    lose: int = 0
    gaining: list[Affected] = field(default_factory=list)
    losing: list[Affected] = field(default_factory=list)

    def count(self, affected: Affected) -> None:
        """Count one visit in."""
        if affected.after.allowed:
            self.gain += 1
            named = self.gaining
        else:
            self.lose += 1
            named = self.losing
        if len(named) < MOST_NAMED:
            named.append(affected)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a change does to the ``coming`` visits that were looked at, by action."""

    coming: int
    effects: Mapping[Action, Effect]


@dataclass(frozen=True, slots=True)
class _Coming:
    """A visit that has not begun with what decides about it: its job, all visits of that, the overrides it is under."""

    visit: Any
    job: Any
    visits: Sequence[Any]
    customer: str
    overrides: Overrides


def preview_controls(session: Session, partner_id: int, now: datetime, form: ControlValues) -> Preview:
    """Return what saving the partner's controls as in ``form`` would change at ``now``; raises ``Invalid``.

    The number of statements does not depend on how many visits there are.
    """
    demand_limits(asdict(form))
    visits = _coming_visits(session, partner_id, now)
    partners = controls_of(session, partner_id)
    return _compare(session, partner_id, now, visits, lambda under: (in_force(partners, under), in_force(form, under)))


def preview_override(
    session: Session, partner_id: int, now: datetime, owner: Owner, key: int, form: OverrideValues
) -> Preview:
    """Return what saving the override of ``owner`` with ``key`` as in ``form`` would change (``preview_controls``)."""
    demand_limits(asdict(form))
    visits = _coming_visits(session, partner_id, now, owner, key)
    partners = controls_of(session, partner_id)

    def both(under: Overrides) -> tuple[Controls, Controls]:
        return in_force(partners, under), in_force(partners, {**under, owner: form})

    return _compare(session, partner_id, now, visits, both)


def customers_decisions(asked: Situation, controls: Controls) -> dict[Action, Decision]:
    """Return what the customer may do under ``controls`` where staff look at a visit; nothing where there is none."""
    if asked.visit is None or asked.partner_id is None:
        return {}
    return _decide(replace(asked, actor=_customer(asked.partner_id), controls=controls))


def _coming_visits(
    session: Session, partner_id: int, now: datetime, owner: Owner = Owner.PARTNER, key: int | None = None
) -> list[_Coming]:
    """Return the visits about which *Modify* says anything, in time order: nobody has set off, the start is ahead.

    ``owner`` and ``key`` narrow them to those of a service type, a customer or a job. One statement.
    """
    movable = aliased(Appointment)
    having = select(movable.job_id).where(
        movable.partner_id == partner_id, movable.status.in_(sorted(MOVABLE)), movable.start_at > now
    )
    query = (
        select(_VISIT, _JOB, Customer.name)
        .select_from(Appointment)
        .join(Job, Job.id == Appointment.job_id)
        .join(Customer, Customer.id == Job.customer_id)
        .where(Appointment.partner_id == partner_id, Appointment.job_id.in_(having))
        .order_by(Appointment.start_at, Appointment.id)
    )
    if owner is not Owner.PARTNER:
        column = {Owner.SERVICE_TYPE: Job.service_type_id, Owner.CUSTOMER: Job.customer_id, Owner.JOB: Job.id}[owner]
        query = query.where(column == key)
    rows = session.execute(with_overrides(query)).all()
    by_visit: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        by_visit[row[0].id].append(row)
    of_job: dict[int, list[Any]] = defaultdict(list)
    for found in by_visit.values():
        of_job[found[0][1].id].append(found[0][0])
    coming = []
    for found in by_visit.values():
        visit, job, customer, _ = found[0]
        if visit.status in MOVABLE and visit.start_at > now:
            coming.append(_Coming(visit, job, of_job[job.id], customer, overrides_in(found)))
    return coming


# What guards and rules read of them, as columns: thousands of these are no objects to keep track of.
_VISIT: Bundle[Any] = Bundle(
    "visit",
    Appointment.id,
    Appointment.status,
    Appointment.technician_id,
    Appointment.start_at,
    Appointment.work_began_at,
    Appointment.cancel_at,
    Appointment.customer_moves,
    Appointment.confirmed_at.is_not(None).label("is_confirmed"),
)
_JOB: Bundle[Any] = Bundle(
    "job",
    Job.id,
    Job.partner_id,
    Job.number,
    Job.workflow,
    Job.status,
    Job.technician_id,
    Job.work_began_at,
)


def _compare(
    session: Session,
    partner_id: int,
    now: datetime,
    visits: Sequence[_Coming],
    both: Callable[[Overrides], tuple[Controls, Controls]],
) -> Preview:
    effects: dict[Action, Effect] = {action: Effect() for action in ACTIONS}
    actor, zone = _customer(partner_id), zone_of(session, partner_id)
    known: dict[tuple[Any, ...], tuple[Controls, Controls]] = {}
    for coming in visits:
        key = tuple(coming.overrides.values())
        if key not in known:
            known[key] = both(coming.overrides)
        old, new = known[key]
        if old == new:
            continue
        asked = Situation(actor, now, zone, coming.job, coming.visit, coming.visits)
        before, after = (_decide(replace(asked, controls=controls)) for controls in (old, new))
        for action, effect in effects.items():
            if before[action].allowed != after[action].allowed:
                effect.count(
                    Affected(
                        coming.visit.id,
                        coming.job.id,
                        coming.job.workflow,
                        coming.job.number,
                        coming.customer,
                        coming.visit.start_at,
                        before[action],
                        after[action],
                    )
                )
    return Preview(len(visits), effects)


def _decide(asked: Situation) -> dict[Action, Decision]:
    return {action: decide(action, asked) for action in ACTIONS}


def _customer(partner_id: int) -> Actor:
    # Whose visit it is decides nothing.
    return Actor(None, Role.CUSTOMER, "", frozenset({partner_id}))
