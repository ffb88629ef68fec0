"""The use cases of the partner's reasons for pausing (J5) and for rejecting (P10): add, rename, order, deactivate.

A reason that was given stays on the record in the words it had. Each runs within one ``unit_of_work`` on rows of the
session's scope and writes the audit trail. They raise ``NotFound`` for what is out of the scope, ``Invalid`` for input,
and ``Conflict`` for a form from before somebody else's change; then nothing is changed.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.errors import Conflict, Invalid, NotFound, changed_meanwhile, sentence, too_long
from portal.domain.lookup import lock
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
    present = _in_order(session, model)
    if len(present) >= MAX_REASONS:
        raise Invalid({"label": sentence("There can be %(limit)s reasons at most.", limit=MAX_REASONS)})
    reason = model(
        partner_id=partner_id,
        label=_clean_label(present, None, label),
        position=max((other.position for other in present), default=-1) + 1,
    )
    session.add(reason)
    _flush(session)
    record_setting_change(session, actor, now, _subject(reason), {}, values_of(reason, LOGGED))
    return reason


def edit_reason(session: Session, actor: Actor, now: datetime, model: type[R], key: int, version: int, label: str) -> R:
    """Put a reason into other words from now on; ``version`` is the one the form was made from."""
    present = _in_order(session, model)
    reason = _one_of(present, key)
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
    rows = _in_order(session, model)
    reason = _one_of(rows, key)
    alike = [row for row in rows if row.active == reason.active]
    place = alike.index(reason)
    other = place + (1 if down else -1)
    if not 0 <= other < len(alike):
        return reason
    # Two may have had the same place, since a list may come from anywhere.
    for number, row in enumerate(rows):
        row.position = number
    neighbour = alike[other]
    reason.position, neighbour.position = neighbour.position, reason.position
    session.flush()
    record_setting_change(session, actor, now, _subject(reason), {"place": place + 1}, {"place": other + 1})
    return reason


def _in_order(session: Session, model: type[R]) -> list[R]:
    """Return every reason in its order, locked, so that two who sort or add at once do it one after the other."""
    query = select(model).order_by(model.position, model.id).with_for_update(of=model)
    return list(session.scalars(query, execution_options={"populate_existing": True}))


def _one_of(present: list[R], key: int) -> R:
    found = next((reason for reason in present if reason.id == key), None)
    if found is None:
        raise NotFound
    return found


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
