"""The use cases of set-up: service types and the partner's feature controls (M2, P16), effective at once.

Each runs within one ``unit_of_work`` on rows of the session's scope. They raise ``NotFound`` for what is out of it,
``Invalid`` for input, and ``Conflict`` for a form from before somebody else's change; then nothing is changed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.domain.errors import Conflict, Invalid, NotFound, Sentence, changed_meanwhile, sentence, too_long
from portal.domain.lookup import lock
from portal.domain.scheduling.models import DAY_MINUTES, FeatureControls, ServiceType
from portal.domain.texts import one_line

MAX_NAME = 80
MAX_BUFFER = 8 * 60
MAX_HOURS = 365 * 24
MAX_MOVES = 100
MAX_DAYS = 5 * 365
# Smaller steps would offer hundreds of times a day.
MIN_STEP = 5
NAME_TAKEN = sentence("There is a service type of this name already")


@dataclass(frozen=True, slots=True)
class ServiceTypeInput:
    """The form of a service type: everything but the name in minutes."""

    name: str
    duration_minutes: int
    window_minutes: int
    step_minutes: int
    buffer_before_minutes: int
    buffer_after_minutes: int


@dataclass(frozen=True, slots=True)
class ControlsInput:
    """The form of the feature controls; hours are before a visit's present start (see ``FeatureControls``)."""

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


# field: from and to, both allowed
SERVICE_TYPE_LIMITS = {
    "duration_minutes": (1, DAY_MINUTES),
    "window_minutes": (1, DAY_MINUTES),
    "step_minutes": (MIN_STEP, DAY_MINUTES),
    "buffer_before_minutes": (0, MAX_BUFFER),
    "buffer_after_minutes": (0, MAX_BUFFER),
}
CONTROLS_LIMITS = {
    "reschedule_cutoff_hours": (0, MAX_HOURS),
    "cancel_cutoff_hours": (0, MAX_HOURS),
    "max_moves": (0, MAX_MOVES),
    "notice_hours": (0, MAX_HOURS),
    "horizon_days": (1, MAX_DAYS),
    "cancel_undo_minutes": (0, DAY_MINUTES),
}


def create_service_type(session: Session, partner_id: int, form: ServiceTypeInput) -> ServiceType:
    """Add a kind of work and return it (P16)."""
    values = _service_type_values(session, partner_id, None, form)
    kind = ServiceType(partner_id=partner_id, **values)
    session.add(kind)
    _flush(session)
    return kind


def edit_service_type(session: Session, service_type_id: int, version: int, form: ServiceTypeInput) -> ServiceType:
    """Change a kind of work for what is planned from now on; visits there are keep their length and window (P16)."""
    kind = lock(session, ServiceType, service_type_id)
    if kind.version != version:
        raise Conflict(changed_meanwhile())
    for name, value in _service_type_values(session, kind.partner_id, kind.id, form).items():
        setattr(kind, name, value)
    _flush(session)
    return kind


def set_service_type_active(session: Session, service_type_id: int, active: bool) -> ServiceType:
    """Offer a kind of work no more, or again; jobs of it stay as they are."""
    kind = lock(session, ServiceType, service_type_id)
    kind.active = active
    return kind


def edit_controls(session: Session, partner_id: int, version: int, form: ControlsInput) -> FeatureControls:
    """Change the partner's rules of self-service, effective at once (M2)."""
    query = select(FeatureControls.id).where(FeatureControls.partner_id == partner_id)
    key = session.scalars(query).one_or_none()
    if key is None:
        raise NotFound
    controls = lock(session, FeatureControls, key)
    if controls.version != version:
        raise Conflict(changed_meanwhile())
    values = asdict(form)
    errors = _limit_errors(values, CONTROLS_LIMITS)
    if errors:
        raise Invalid(errors)
    for name, value in values.items():
        setattr(controls, name, value)
    session.flush()
    return controls


def _service_type_values(
    session: Session, partner_id: int, key: int | None, form: ServiceTypeInput
) -> dict[str, str | int]:
    values = asdict(form) | {"name": one_line(form.name)}
    errors = _limit_errors(values, SERVICE_TYPE_LIMITS)
    same_name = select(ServiceType.id).where(ServiceType.partner_id == partner_id, ServiceType.name == values["name"])
    if not values["name"]:
        errors["name"] = sentence("Enter a name")
    elif len(values["name"]) > MAX_NAME:
        errors["name"] = too_long(MAX_NAME)
    elif session.scalars(same_name).first() not in (None, key):
        errors["name"] = NAME_TAKEN
    if errors:
        raise Invalid(errors)
    return values


def _flush(session: Session) -> None:
    try:
        session.flush()
    except IntegrityError as error:
        # Somebody else was quicker with the same name; nothing else here can collide.
        raise Invalid({"name": NAME_TAKEN}) from error


def _limit_errors(values: dict[str, int], limits: dict[str, tuple[int, int]]) -> dict[str, Sentence]:
    return {
        name: sentence("Enter a whole number from %(low)s to %(high)s", low=low, high=high)
        for name, (low, high) in limits.items()
        if not low <= values[name] <= high
    }
