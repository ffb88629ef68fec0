"""Plain values in the shape that guards, rules and policy read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from portal.domain.actor import Actor, Role
from portal.domain.jobs.states import Situation
from portal.domain.scheduling.rules import Controls, Owner, in_force

LONDON = ZoneInfo("Europe/London")
NOW = datetime(2026, 11, 24, 9, tzinfo=UTC)
START = NOW + timedelta(hours=72)

PARTNERS = frozenset({1})
DISPATCHER = Actor(11, Role.DISPATCHER, "Dana Dispatch", PARTNERS)
PARTNER_ADMIN = Actor(12, Role.PARTNER_ADMIN, "Ada Admin", PARTNERS)
TECHNICIAN = Actor(13, Role.TECHNICIAN, "Tom Technician", PARTNERS, technician_id=7)
OTHER_TECHNICIAN = Actor(14, Role.TECHNICIAN, "Olga Other", PARTNERS, technician_id=8)
CUSTOMER = Actor(15, Role.CUSTOMER, "Cleo Customer", PARTNERS, customer_ids=frozenset({5}))
OPERATOR_LOOKING_IN = Actor(16, Role.OPERATOR, "Otto Operator", PARTNERS)
OPERATOR_OUTSIDE = Actor(16, Role.OPERATOR, "Otto Operator")
SYSTEM = Actor(None, Role.SYSTEM, "Doorstep")


@dataclass
class Job:
    """What guards read of a job."""

    status: str = "INSTALLER_ASSIGNED"
    technician_id: int | None = 7
    work_began_at: datetime | None = None
    workflow: str = "installation"
    partner_id: int = 1


@dataclass
class Visit:
    """What guards read of a visit."""

    status: str = "SCHEDULED"
    technician_id: int | None = 7
    start_at: datetime = START
    work_began_at: datetime | None = None
    cancel_at: datetime | None = None
    customer_moves: int = 0
    is_confirmed: bool = False


@dataclass
class Values:
    """The rules of Modify of a partner, everything allowed: self-service on, both actions in both states."""

    self_service: bool = True
    reschedule_unconfirmed: bool = True
    reschedule_confirmed: bool = True
    cancel_unconfirmed: bool = True
    cancel_confirmed: bool = True
    reschedule_cutoff_hours: int = 24
    cancel_cutoff_hours: int = 48
    max_moves: int = 3
    notice_hours: int = 24
    horizon_days: int = 60
    cancel_undo_minutes: int = 10
    own_choice_confirms: bool = True


def controls(overrides: Mapping[Owner, Any] | None = None, **values: Any) -> Controls:
    """The controls that hold under ``overrides``; ``values`` are the partner's, everything else is allowed."""
    return in_force(Values(**values), overrides or {})


@dataclass
class Asking:
    """Builds a ``Situation`` and lets a test name only what it is about."""

    actor: Actor = DISPATCHER
    now: datetime = NOW
    job: Job = field(default_factory=Job)
    visit: Visit | None = field(default_factory=Visit)
    controls: Controls = field(default_factory=controls)

    def situation(self, **values: Any) -> Situation:
        """Return the situation; ``visits`` are the one visit unless given."""
        visits = [self.visit] if self.visit is not None else []
        given: dict[str, Any] = {"visits": visits} | values
        return Situation(
            actor=self.actor,
            now=self.now,
            zone=LONDON,
            job=self.job,
            visit=self.visit,
            controls=self.controls,
            **given,
        )
