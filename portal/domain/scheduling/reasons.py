"""The use cases of the partner's reasons for pausing (J5) and for rejecting (P10): add, rename, order, deactivate.

A reason that was given stays on the record in the words it had. Each runs within one ``unit_of_work`` on rows of the
session's scope and writes the audit trail. They raise ``NotFound`` for what is out of the scope, ``Invalid`` for input,
and ``Conflict`` for a form from before somebody else's change; then nothing is changed.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.errors import Conflict, Invalid, changed_meanwhile, sentence, too_long
from portal.domain.lookup import lock
from portal.domain.ordering import change_places, in_order, one_of, place_behind
from portal.domain.scheduling.models import PauseReason, RejectReason
from portal.domain.settings_log.services import SettingKind, Subject, record_setting_change, values_of
from portal.domain.texts import one_line

R = TypeVar("R", PauseReason, RejectReason)

MAX_LABEL = 80
# More than anybody would choose from on a phone.
MAX_REASONS = 50
LOGGED = ("label", "active")
LABEL_TAKEN = sentence("There is a reason in these words already")


def create_reason(session: Session, actor: Actor, now: datetime, model: type[R], partner_id: int, label: str) -> R:
    """Add a reason at the end of the partner's list and return it."""
    present = in_order(session, model)
    if len(present) >= MAX_REASONS:
        raise Invalid({"label": sentence("There can be %(limit)s reasons at most.", limit=MAX_REASONS)})
    reason = model(
        partner_id=partner_id,
        label=_clean_label(present, None, label),
        position=place_behind(present),
    )
    session.add(reason)
    _flush(session)
    record_setting_change(session, actor, now, _subject(reason), {}, values_of(reason, LOGGED))
    return reason


def edit_reason(session: Session, actor: Actor, now: datetime, model: type[R], key: int, version: int, label: str) -> R:
    """Put a reason into other words from now on; ``version`` is the one the form was made from."""
    present = in_order(session, model)
    reason = one_of(present, key)
    if reason.version != version:
        raise Conflict(changed_meanwhile())
    before = values_of(reason, LOGGED)
    reason.label = _clean_label(present, reason.id, label)
    _flush(session)
    record_setting_change(session, actor, now, _subject(reason), before, values_of(reason, LOGGED))
    return reason


def set_reason_active(session: Session, actor: Actor, now: datetime, model: type[R], key: int, active: bool) -> R:
    """Offer a reason no more, or again."""
    reason = lock(session, model, key)
    before = values_of(reason, LOGGED)
    reason.active = active
    record_setting_change(session, actor, now, _subject(reason), before, values_of(reason, LOGGED))
    return reason


def move_reason(session: Session, actor: Actor, now: datetime, model: type[R], key: int, down: bool) -> R:
    """Let a reason change places with the one before it, or after it if ``down``; at the end of the list it stays.

    Its neighbours are those that are offered like itself, or deactivated like itself.
    """
    reason, before, after = change_places(session, model, key, down)
    record_setting_change(session, actor, now, _subject(reason), {"place": before}, {"place": after})
    return reason


def _subject(reason: PauseReason | RejectReason) -> Subject:
    kind = SettingKind.PAUSE_REASON if isinstance(reason, PauseReason) else SettingKind.REJECT_REASON
    return Subject(kind, reason.partner_id, reason.id, reason.label)


def _clean_label(present: list[R], key: int | None, label: str) -> str:
    clean = one_line(label)
    if not clean:
        raise Invalid({"label": sentence("Enter a reason")})
    if len(clean) > MAX_LABEL:
        raise Invalid({"label": too_long(MAX_LABEL)})
    if any(other.label == clean and other.id != key for other in present):
        raise Invalid({"label": LABEL_TAKEN})
    return clean


def _flush(session: Session) -> None:
    try:
        session.flush()
    except IntegrityError as error:
        # Somebody else was quicker with the same words; nothing else here can collide.
        raise Invalid({"label": LABEL_TAKEN}) from error
