"""The use cases of a partner's message rules and quiet hours (N1): add, edit, switch off, set; and reading them.

Each runs within one ``unit_of_work`` on rows of the session's scope and writes the audit trail. They raise ``NotFound``
for what is out of the scope, ``Invalid`` for input, and ``Conflict`` for a form from before somebody else's change;
then nothing is changed. What holds, holds from ``now`` (an instant) on: nothing that would have come due before is made
up for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.errors import Conflict, Invalid, Sentence, changed_meanwhile, sentence
from portal.domain.lookup import lock
from portal.domain.messages.models import AFTERWARDS, RULED, TIMED, Channel, MessageKind, MessageRule, MessageSettings
from portal.domain.paging import PAGE_ROWS, Cursor, Order, Page, page_of
from portal.domain.settings_log.services import SettingKind, Subject, record_setting_change, values_of

RULES_BY = {"number": (MessageRule.id,)}
# More than anybody would read.
MAX_RULES = 100
MAX_DAYS = 60
MIN_MINUTES, MAX_MINUTES = 15, MAX_DAYS * 24 * 60
LOGGED = ("days_before", "local_time", "minutes_before", "unconfirmed_only", "enabled")
TAKEN = sentence("There is such a rule already")


@dataclass(frozen=True, slots=True)
class RuleInput:
    """When a rule's messages go out: ``days_before`` the visit at ``local_time``, or ``minutes_before`` it.

    For what comes ``AFTERWARDS`` they count from the completed visit on. Only that and what is ``TIMED`` has a moment;
    for the rest both are blank.
    """

    days_before: int | None = None
    local_time: time | None = None
    minutes_before: int | None = None
    unconfirmed_only: bool = False


def create_rule(
    session: Session, actor: Actor, now: datetime, partner_id: int, kind: str, channel: str, form: RuleInput
) -> MessageRule:
    """Add a rule and return it; ``kind`` is one of ``RULED``, ``channel`` a ``Channel``."""
    errors: dict[str, Sentence] = {}
    if kind not in RULED:
        errors["kind"] = sentence("Choose what is said")
    if channel not in set(Channel):
        errors["channel"] = sentence("Choose how it is sent")
    if errors:
        raise Invalid(errors)
    count = select(func.count(MessageRule.id)).where(MessageRule.partner_id == partner_id)
    if session.scalars(count).one() >= MAX_RULES:
        raise Invalid({"kind": sentence("There can be %(limit)s rules at most.", limit=MAX_RULES)})
    rule = MessageRule(partner_id=partner_id, kind=kind, channel=channel, enabled=True)
    _fill(session, rule, form, now)
    session.add(rule)
    _flush(session, rule)
    record_setting_change(session, actor, now, _subject(rule), {}, values_of(rule, LOGGED))
    return rule


def edit_rule(
    session: Session, actor: Actor, now: datetime, rule_id: int, version: int, form: RuleInput
) -> MessageRule:
    """Change when a rule's messages go out, from now on; ``version`` is the one the form was made from."""
    rule = lock(session, MessageRule, rule_id)
    if rule.version != version:
        raise Conflict(changed_meanwhile())
    before = values_of(rule, LOGGED)
    with session.no_autoflush:
        _fill(session, rule, form, now)
    _flush(session, rule)
    record_setting_change(session, actor, now, _subject(rule), before, values_of(rule, LOGGED))
    return rule


def set_rule_enabled(session: Session, actor: Actor, now: datetime, rule_id: int, enabled: bool) -> MessageRule:
    """Send nothing by a rule any more, not even what waits to be sent; or again."""
    rule = lock(session, MessageRule, rule_id)
    before = values_of(rule, LOGGED)
    if enabled and not rule.enabled:
        rule.holds_from = now
    rule.enabled = enabled
    record_setting_change(session, actor, now, _subject(rule), before, values_of(rule, LOGGED))
    return rule


def set_quiet_hours(
    session: Session,
    actor: Actor,
    now: datetime,
    partner_id: int,
    version: int,
    quiet_from: time | None,
    quiet_until: time | None,
) -> MessageSettings:
    """Let no text go out between two clock times of its reader's, or at any time where both are blank."""
    settings = lock_settings(session, partner_id)
    if settings.version != version:
        raise Conflict(changed_meanwhile())
    if quiet_from is None and quiet_until is not None:
        raise Invalid({"quiet_from": sentence("Enter both times, or neither")})
    if quiet_until is None and quiet_from is not None:
        raise Invalid({"quiet_until": sentence("Enter both times, or neither")})
    if quiet_from is not None and quiet_from == quiet_until:
        raise Invalid({"quiet_until": sentence("Enter another time than the first")})
    names = ("quiet_from", "quiet_until")
    before = values_of(settings, names)
    settings.quiet_from, settings.quiet_until = quiet_from, quiet_until
    session.flush()
    subject = Subject(SettingKind.QUIET_HOURS, partner_id)
    record_setting_change(session, actor, now, subject, before, values_of(settings, names))
    return settings


def settings_of(session: Session, partner_id: int) -> MessageSettings:
    """Return the partner's quiet hours; one that has no row yet has none."""
    found = session.scalars(select(MessageSettings).where(MessageSettings.partner_id == partner_id)).one_or_none()
    return found or MessageSettings(partner_id=partner_id, version=0)


def lock_settings(session: Session, partner_id: int) -> MessageSettings:
    """Return the row of the partner's quiet hours, locked; it is added where there is none yet."""
    query = select(MessageSettings).where(MessageSettings.partner_id == partner_id).with_for_update(of=MessageSettings)
    settings = session.scalars(query, execution_options={"populate_existing": True}).one_or_none()
    if settings is None:
        settings = MessageSettings(partner_id=partner_id)
        session.add(settings)
        session.flush()
    return settings


def list_rules(
    session: Session, enabled: bool | None, order: Order, cursor: Cursor | None, limit: int = PAGE_ROWS
) -> Page[MessageRule]:
    """Return a page of rules; ``enabled=None`` for all (N1). One statement."""
    query = select(MessageRule)
    if enabled is not None:
        query = query.where(MessageRule.enabled.is_(enabled))
    return page_of(session, query, order, cursor, limit)


def rules_of_kind(session: Session, kind: MessageKind, channel: Channel) -> Sequence[MessageRule]:
    """Return the enabled rules by which messages of ``kind`` go out over ``channel``; one statement."""
    query = select(MessageRule).where(
        MessageRule.kind == kind.value, MessageRule.channel == channel.value, MessageRule.enabled.is_(True)
    )
    return session.scalars(query.order_by(MessageRule.id)).all()


def _subject(rule: MessageRule) -> Subject:
    return Subject(SettingKind.MESSAGE_RULE, rule.partner_id, rule.id, f"{rule.kind} {rule.channel}")


def _fill(session: Session, rule: MessageRule, form: RuleInput, now: datetime) -> None:
    is_timed, comes_after = rule.kind in TIMED, rule.kind in AFTERWARDS
    has_moment = is_timed or comes_after
    moment = (form.days_before, form.local_time, form.minutes_before) if has_moment else (None, None, None)
    if has_moment:
        errors = _errors(form, fewest_days=1 if comes_after else 0)
        if errors:
            raise Invalid(errors)
    if moment != (rule.days_before, rule.local_time, rule.minutes_before):
        rule.days_before, rule.local_time, rule.minutes_before = moment
        rule.holds_from = now
    rule.unconfirmed_only = rule.kind == MessageKind.PLEASE_CONFIRM or (is_timed and form.unconfirmed_only)
    same = select(MessageRule.id).where(
        MessageRule.partner_id == rule.partner_id,
        MessageRule.kind == rule.kind,
        MessageRule.channel == rule.channel,
        MessageRule.days_before.is_not_distinct_from(rule.days_before),
        MessageRule.local_time.is_not_distinct_from(rule.local_time),
        MessageRule.minutes_before.is_not_distinct_from(rule.minutes_before),
    )
    if session.scalars(same).first() not in (None, rule.id):
        raise Invalid({_where(rule): TAKEN})


def _errors(form: RuleInput, fewest_days: int) -> dict[str, Sentence]:
    if form.minutes_before is not None:
        if not MIN_MINUTES <= form.minutes_before <= MAX_MINUTES:
            return {"length": sentence("Enter a time between 15 minutes and %(limit)s days", limit=MAX_DAYS)}
        return {}
    errors: dict[str, Sentence] = {}
    if form.days_before is None or not fewest_days <= form.days_before <= MAX_DAYS:
        errors["days_before"] = sentence(
            "Enter days between %(least)s and %(limit)s", least=fewest_days, limit=MAX_DAYS
        )
    if form.local_time is None:
        errors["local_time"] = sentence("Enter a time of day")
    return errors


def _where(rule: MessageRule) -> str:
    """Return the field at which it is said that there is such a rule."""
    if rule.minutes_before is not None:
        return "length"
    return "days_before" if rule.days_before is not None else "kind"


def _flush(session: Session, rule: MessageRule) -> None:
    try:
        session.flush()
    except IntegrityError as error:
        # Somebody else was quicker with the same rule; nothing else here can collide.
        raise Invalid({_where(rule): TAKEN}) from error
