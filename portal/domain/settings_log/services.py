"""Writing the audit trail, in the transaction of the change. Every use case that changes a setting calls this."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from enum import StrEnum
from typing import Any

from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.settings_log.models import SettingChange
from portal.domain.unit_of_work import require_unit_of_work

MAX_NAME = 120

Values = Mapping[str, Any]


class SettingKind(StrEnum):
    """What the log can be filtered by; the admin has words for each."""

    BRANDING = "branding"
    CHANNELS = "channels"
    CONTRACT_TEXT = "contract_text"
    CUSTOMER_CONTROLS = "customer_controls"
    FEATURE_CONTROLS = "feature_controls"
    HOLIDAY = "holiday"
    JOB_CONTROLS = "job_controls"
    MESSAGE_RULE = "message_rule"
    MESSAGE_TEMPLATE = "message_template"
    PAUSE_REASON = "pause_reason"
    QUIET_HOURS = "quiet_hours"
    REJECT_REASON = "reject_reason"
    SERVICE_TYPE = "service_type"
    SERVICE_TYPE_CONTROLS = "service_type_controls"
    SKILL = "skill"
    SURVEY = "survey"
    SURVEY_QUESTION = "survey_question"
    TECHNICIAN = "technician"
    TIME_OFF = "time_off"
    WORKING_HOURS = "working_hours"


@dataclass(frozen=True, slots=True)
class Subject:
    """The setting that a change is about: its kind, whose it is and, where there are several, its key and name."""

    kind: SettingKind
    partner_id: int
    key: int | None = None
    name: str = ""


def record_setting_change(
    session: Session, actor: Actor, now: datetime, subject: Subject, before: Values, after: Values
) -> SettingChange | None:
    """Add a line to the audit trail: ``actor`` changed ``subject`` at ``now`` (an instant); return it.

    ``before`` and ``after`` map fields to their values; only what differs is kept, and where nothing does, nothing is
    written and ``None`` returned. An empty ``before`` says that the setting was added, an empty ``after`` that it was
    taken away. Values may be text, numbers, truth values, dates, times, instants, and lists of these.
    """
    require_unit_of_work(session)
    old, new = ({name: plain(value) for name, value in values.items()} for values in (before, after))
    changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    if not changed:
        return None
    change = SettingChange(
        partner_id=subject.partner_id,
        at=now,
        subject=subject.kind.value,
        key=subject.key,
        name=subject.name[:MAX_NAME],
        actor_id=actor.id,
        actor_role=actor.role.value,
        actor_name=actor.name,
        before={name: old[name] for name in changed if name in old},
        after={name: new[name] for name in changed if name in new},
    )
    session.add(change)
    return change


def values_of(row: object, names: Iterable[str]) -> dict[str, Any]:
    """Return what the fields ``names`` of ``row`` hold now, to be compared after the change."""
    return {name: getattr(row, name) for name in names}


def plain(value: Any) -> Any:
    """Return ``value`` as JSON can hold it: dates, times and instants in ISO 8601, lists of such as lists."""
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value
