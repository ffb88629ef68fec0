"""The partner's rules of Modify over plain values (M2, M3): what a customer may do, by which rule, until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from portal.domain.errors import Refusal, Sentence, sentence

Action = Literal["reschedule", "cancel"]


class Controls(Protocol):
    """The feature controls that decide; hours are before the visit's present start."""

    self_service: bool
    reschedule_unconfirmed: bool
    reschedule_confirmed: bool
    cancel_unconfirmed: bool
    cancel_confirmed: bool
    reschedule_cutoff_hours: int
    cancel_cutoff_hours: int
    max_moves: int


class Planned(Protocol):
    """What the rules read of a visit."""

    start_at: datetime
    customer_moves: int

    @property
    def is_confirmed(self) -> bool:
        """Whether this start is confirmed."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a customer may act: ``refusal`` is ``None`` if so; ``rule`` names what decided.

    ``until`` is the last instant (UTC) at which it is, or was, possible, where a cutoff says so.
    """

    refusal: Refusal | None
    rule: str
    until: datetime | None = None

    @property
    def allowed(self) -> bool:
        """Whether the customer may."""
        return self.refusal is None


def under_rules(action: Action, controls: Controls, visit: Planned, now: datetime) -> Decision:
    """Decide ``action`` on ``visit`` for its customer at ``now`` (UTC); a start exactly at the cutoff is allowed."""
    if now >= visit.start_at:
        return _no("started", "start", sentence("This visit has already started."))
    if not controls.self_service:
        return _no("self_service_off", "self_service", sentence("Changes to visits are made by our office."))
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
        return _no(f"{rule}_off", rule, texts[rule])
    if now > until:
        text = (
            sentence("You could move this visit yourself until %(until)s.", until=until)
            if action == "reschedule"
            else sentence("You could cancel this visit yourself until %(until)s.", until=until)
        )
        return _no("cutoff", f"{action}_cutoff_hours", text, until)
    if action == "reschedule" and visit.customer_moves >= controls.max_moves:
        text = sentence(
            "You have moved this visit as often as is possible online (%(count)s).", count=controls.max_moves
        )
        return _no("moves_used_up", "max_moves", text, until)
    return Decision(None, rule, until)


def _no(code: str, rule: str, text: Sentence, until: datetime | None = None) -> Decision:
    return Decision(Refusal(code, text), rule, until)
