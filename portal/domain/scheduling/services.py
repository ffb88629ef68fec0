"""The use cases of set-up: service types and the partner's feature controls (M2, P16), effective at once.

Each runs within one ``unit_of_work`` on rows of the session's scope; ``actor`` and ``now`` (an instant) are for the
audit trail. They raise ``NotFound`` for what is out of the scope, ``Invalid`` for input, and ``Conflict`` for a form
from before somebody else's change; then nothing is changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from portal.domain.actor import Actor
from portal.domain.errors import Conflict, Invalid, NotFound, Sentence, changed_meanwhile, sentence, too_long
from portal.domain.lookup import lock
from portal.domain.scheduling.models import DAY_MINUTES, FeatureControls, ServiceType, ServiceTypeSkill, Skill
from portal.domain.scheduling.rules import ControlValues
from portal.domain.scheduling.skills import chosen_skills, names_of
from portal.domain.settings_log.services import SettingKind, Subject, record_setting_change, values_of
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
    """The form of a service type: lengths in minutes; ``skill_ids`` are the keys of the skills that it needs."""

    name: str
    duration_minutes: int
    window_minutes: int
    step_minutes: int
    buffer_before_minutes: int
    buffer_after_minutes: int
    skill_ids: Sequence[int] = ()


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


def create_service_type(
    session: Session, actor: Actor, now: datetime, partner_id: int, form: ServiceTypeInput
) -> ServiceType:
    """Add a kind of work and return it (P16)."""
    values = _service_type_values(session, partner_id, None, form)
    skills = chosen_skills(session, form.skill_ids, ())
    kind = ServiceType(partner_id=partner_id, **values)
    session.add(kind)
    _flush(session)
    _need(session, kind, skills)
    record_setting_change(session, actor, now, _subject(kind), {}, _logged(kind))
    return kind


def edit_service_type(
    session: Session, actor: Actor, now: datetime, service_type_id: int, version: int, form: ServiceTypeInput
) -> ServiceType:
    """Change a kind of work for what is planned from now on; visits there are keep their length and window (P16)."""
    kind = lock(session, ServiceType, service_type_id)
    if kind.version != version:
        raise Conflict(changed_meanwhile())
    before = _logged(kind)
    values = _service_type_values(session, kind.partner_id, kind.id, form)
    skills = chosen_skills(session, form.skill_ids, kind.skills)
    for name, value in values.items():
        setattr(kind, name, value)
    _flush(session)
    if skills != kind.skills:
        # One form, one version.
        flag_modified(kind, "name")
    _need(session, kind, skills)
    record_setting_change(session, actor, now, _subject(kind), before, _logged(kind))
    return kind


def set_service_type_active(
    session: Session, actor: Actor, now: datetime, service_type_id: int, active: bool
) -> ServiceType:
    """Offer a kind of work no more, or again; jobs of it stay as they are."""
    kind = lock(session, ServiceType, service_type_id)
    before = _logged(kind)
    kind.active = active
    record_setting_change(session, actor, now, _subject(kind), before, _logged(kind))
    return kind


def edit_controls(
    session: Session, actor: Actor, now: datetime, partner_id: int, version: int, form: ControlValues
) -> FeatureControls:
    """Change the partner's rules of self-service, effective at once (M2)."""
    query = select(FeatureControls.id).where(FeatureControls.partner_id == partner_id)
    key = session.scalars(query).one_or_none()
    if key is None:
        raise NotFound
    controls = lock(session, FeatureControls, key)
    if controls.version != version:
        raise Conflict(changed_meanwhile())
    values = asdict(form)
    demand_limits(values)
    before = values_of(controls, values)
    for name, value in values.items():
        setattr(controls, name, value)
    session.flush()
    subject = Subject(SettingKind.FEATURE_CONTROLS, partner_id)
    record_setting_change(session, actor, now, subject, before, values)
    return controls


def controls_errors(values: Mapping[str, Any]) -> dict[str, Sentence]:
    """Return what is wrong with controls out of ``CONTROLS_LIMITS``, by field; ``None`` is one that is not set."""
    given = {name: value for name, value in values.items() if value is not None}
    return limit_errors(given, {name: limits for name, limits in CONTROLS_LIMITS.items() if name in given})


def demand_limits(values: Mapping[str, Any]) -> None:
    """Raise ``Invalid`` for controls out of ``CONTROLS_LIMITS``; ``None`` is an override's that is not set."""
    errors = controls_errors(values)
    if errors:
        raise Invalid(errors)


def _subject(kind: ServiceType) -> Subject:
    return Subject(SettingKind.SERVICE_TYPE, kind.partner_id, kind.id, kind.name)


def _logged(kind: ServiceType) -> dict[str, Any]:
    return {**values_of(kind, ("name", *SERVICE_TYPE_LIMITS, "active")), "skills": names_of(kind.skills)}


def _need(session: Session, kind: ServiceType, skills: Sequence[Skill]) -> None:
    """Let ``kind`` need exactly ``skills``; a deactivated one that it needed comes back with its reactivation."""
    wanted = {skill.id for skill in skills}
    kept = [link for link in kind.skill_links if link.skill_id in wanted or not link.skill.active]
    there = {link.skill_id for link in kept}
    new = [
        ServiceTypeSkill(partner_id=kind.partner_id, service_type_id=kind.id, skill_id=key)
        for key in sorted(wanted - there)
    ]
    kind.skill_links = [*kept, *new]
    session.flush()


def _service_type_values(
    session: Session, partner_id: int, key: int | None, form: ServiceTypeInput
) -> dict[str, str | int]:
    values = {name: getattr(form, name) for name in SERVICE_TYPE_LIMITS} | {"name": one_line(form.name)}
    errors = limit_errors(values, SERVICE_TYPE_LIMITS)
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


def limit_errors(values: Mapping[str, Any], limits: Mapping[str, tuple[int, int]]) -> dict[str, Sentence]:
    """Return what is wrong with numbers that are not within their limits (from and to, both allowed), by field."""
    return {
        name: sentence("Enter a whole number from %(low)s to %(high)s", low=low, high=high)
        for name, (low, high) in limits.items()
        if not low <= values[name] <= high
    }
