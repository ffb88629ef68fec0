"""The partner's rules of Modify over plain values (M2, M3): what a customer may do, by which rule, until when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, Protocol

from portal.domain.errors import Refusal, Sentence, sentence

Action = Literal["reschedule", "cancel"]


class Owner(StrEnum):
    """Whose a control is, the nearest to the visit first: it wins."""

    JOB = "job"
    CUSTOMER = "customer"
    SERVICE_TYPE = "service_type"
    PARTNER = "partner"


@dataclass(frozen=True, slots=True)
class ControlValues:
    """The feature controls (M2).

    Cutoffs are hours before the visit's present start, notice is hours from now, the horizon days from today.
    """

    self_service: bool
    reschedule_unconfirmed: bool
    reschedule_confirmed: bool
    cancel_unconfirmed: bool
    cancel_confirmed: bool
    reschedule_cutoff_hours: int
    cancel_cutoff_hours: int
    max_moves: int
    notice_hours: int
    horizon_days: int
    cancel_undo_minutes: int
    own_choice_confirms: bool


CONTROLS = tuple(one.name for one in fields(ControlValues))


@dataclass(frozen=True, slots=True)
class OverrideValues:
    """What a service type, a customer or a job has in place of ``ControlValues``; ``None`` inherits."""

    self_service: bool | None = None
    reschedule_unconfirmed: bool | None = None
    reschedule_confirmed: bool | None = None
    cancel_unconfirmed: bool | None = None
    cancel_confirmed: bool | None = None
    reschedule_cutoff_hours: int | None = None
    cancel_cutoff_hours: int | None = None
    max_moves: int | None = None
    notice_hours: int | None = None
    horizon_days: int | None = None
    cancel_undo_minutes: int | None = None
    own_choice_confirms: bool | None = None


@dataclass(frozen=True, slots=True)
class Controls(ControlValues):
    """The feature controls that hold for one job; ``owners`` says whose each is that is not the partner's."""

    owners: Mapping[str, Owner] = field(default_factory=dict)

    def owner_of(self, name: str) -> Owner:
        """Return whose the control called ``name`` is."""
        return self.owners.get(name, Owner.PARTNER)


def in_force(partners: Any, overrides: Mapping[Owner, Any]) -> Controls:
    """Return the controls that hold under ``overrides``, each on its own: the nearest that is set wins (M2).

    ``partners`` has a value for each of ``CONTROLS``, an override ``None`` for what it inherits; where there is no
    override at all its owner is missing or ``None``.
    """
    values = {name: getattr(partners, name) for name in CONTROLS}
    owners: dict[str, Owner] = {}
    for owner in (Owner.SERVICE_TYPE, Owner.CUSTOMER, Owner.JOB):
        override = overrides.get(owner)
        if override is None:
            continue
        for name in CONTROLS:
            value = getattr(override, name)
            if value is not None:
                values[name], owners[name] = value, owner
    return Controls(**values, owners=owners)


class Planned(Protocol):
    """What the rules read of a visit."""

    start_at: datetime
    customer_moves: int

    @property
    def is_confirmed(self) -> bool:
        """Whether this start is confirmed."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a customer may act: ``refusal`` is ``None`` if so; ``rule`` names what decided, ``owner`` whose it is.

    ``until`` is the last instant (UTC) at which it is, or was, possible, where a cutoff says so. ``owner`` is ``None``
    where no control decided, but the tables or the visit's start.
    """

    refusal: Refusal | None
    rule: str
    until: datetime | None = None
    owner: Owner | None = None

    @property
    def allowed(self) -> bool:
        """Whether the customer may."""
        return self.refusal is None


def under_rules(action: Action, controls: Controls, visit: Planned, now: datetime) -> Decision:
    """Decide ``action`` on ``visit`` for its customer at ``now`` (UTC); a start exactly at the cutoff is allowed."""

    def no(code: str, rule: str, text: Sentence, until: datetime | None = None) -> Decision:
        return Decision(Refusal(code, text), rule, until, controls.owner_of(rule))

    if now >= visit.start_at:
        return Decision(Refusal("started", sentence("This visit has already started.")), "start")
    if not controls.self_service:
        return no("self_service_off", "self_service", sentence("Changes to visits are made by our office."))
    state = "confirmed" if visit.is_confirmed else "unconfirmed"
    rule = f"{action}_{state}"
    hours: int = getattr(controls, f"{action}_cutoff_hours")
    until = visit.start_at - timedelta(hours=hours)
    if not getattr(controls, rule):
        texts = {
            "reschedule_confirmed": sentence("A confirmed visit can only be moved by our office."),
            "reschedule_unconfirmed": sentence("A visit that is not confirmed yet can only be moved by our office."),
            "cancel_confirmed": sentence("A confirmed visit can only be cancelled by our office."),
            "cancel_unconfirmed": sentence("A visit that is not confirmed yet can only be cancelled by our office."),
        }
        return no(f"{rule}_off", rule, texts[rule])
    if now > until:
        text = (
            sentence("You could move this visit yourself until %(until)s.", until=until)
            if action == "reschedule"
            else sentence("You could cancel this visit yourself until %(until)s.", until=until)
        )
        return no("cutoff", f"{action}_cutoff_hours", text, until)
    if action == "reschedule" and visit.customer_moves >= controls.max_moves:
        text = sentence(
            "You have moved this visit as often as is possible online (%(count)s).", count=controls.max_moves
        )
        return no("moves_used_up", "max_moves", text, until)
    return Decision(None, rule, until, controls.owner_of(rule))
