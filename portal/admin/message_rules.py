"""Message rules: what customers and technicians are told, when and how (N1), and the hours without texts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

from flask_admin import BaseView
from flask_babel import gettext, lazy_gettext, ngettext
from sqlalchemy.orm import Session
from wtforms import BooleanField, IntegerField, RadioField, SelectField, TimeField
from wtforms.validators import InputRequired, Optional
from wtforms.widgets import NumberInput

from portal.admin.base import (
    ActiveFilter,
    Asked,
    ScopedModelView,
    SelectChoice,
    SettingsPage,
    SwitchedView,
    VersionedForm,
    the_actor,
    the_partner_id,
)
from portal.admin.setup import MISSING
from portal.domain.actor import Actor, Permission
from portal.domain.messages import rules
from portal.domain.messages.models import AFTERWARDS, RULED, TIMED, Channel, MessageKind, MessageRule, MessageSettings
from portal.domain.messages.rules import RuleInput
from portal.domain.paging import PAGE_ROWS, Page
from portal.extensions import db
from portal.web import formats
from portal.web.statuses import MESSAGE_CHANNELS, MESSAGE_KINDS

BY_CLOCK, BY_LENGTH = "clock", "length"
MINUTES, HOURS = "minutes", "hours"
HOUR, DAY = 60, 24 * 60
AS_SURVEY_SAYS = lazy_gettext("as set under “Survey”")
AT_ONCE = {
    MessageKind.ON_THE_WAY: lazy_gettext("once at each departure"),
    MessageKind.SURVEY: AS_SURVEY_SAYS,
    MessageKind.SURVEY_NUDGE: AS_SURVEY_SAYS,
}


@dataclass(frozen=True, slots=True)
class Named:
    """A rule as it is called after a change."""

    name: str


class Count(IntegerField):
    """A whole number that may be left out where its choice is not the one taken."""

    def process_formdata(self, valuelist: list[str]) -> None:
        try:
            super().process_formdata(valuelist)
        except ValueError:
            raise ValueError(MISSING) from None


class ClockField(TimeField):
    """A time of day."""

    def process_formdata(self, valuelist: list[str]) -> None:
        try:
            super().process_formdata(valuelist)
        except ValueError:
            raise ValueError(gettext("Enter a time of day, such as 18:00")) from None


class RuleForm(VersionedForm):
    """When a rule's messages go out; asked only of what comes at a moment before the visit."""

    moment = RadioField(
        lazy_gettext("When"),
        default=BY_CLOCK,
        choices=[
            SelectChoice(BY_CLOCK, lazy_gettext("Some days before the visit, or after it, at a time of day")),
            SelectChoice(BY_LENGTH, lazy_gettext("So long before the visit begins, or after it was completed")),
        ],
    )
    days_before = Count(
        lazy_gettext("Days before or after"), [Optional()], widget=NumberInput(min=0, max=rules.MAX_DAYS), default=1
    )
    local_time = ClockField(lazy_gettext("Time of day"), [Optional()], default=time(18))
    length = Count(lazy_gettext("How long before or after"), [Optional()], widget=NumberInput(min=1), default=2)
    unit = SelectField(
        lazy_gettext("Minutes or hours"),
        default=HOURS,
        choices=[SelectChoice(HOURS, lazy_gettext("hours")), SelectChoice(MINUTES, lazy_gettext("minutes"))],
    )
    unconfirmed_only = BooleanField(lazy_gettext("Only while the visit is not confirmed"))

    def values(self) -> RuleInput:
        """Return what was typed, for the use case."""
        if self.moment.data == BY_LENGTH:
            length = (self.length.data or 0) * (HOUR if self.unit.data == HOURS else 1)
            return RuleInput(minutes_before=length, unconfirmed_only=self.unconfirmed_only.data)
        return RuleInput(self.days_before.data, self.local_time.data, None, self.unconfirmed_only.data)


class NewRuleForm(RuleForm):
    """A new rule: what is said and how it is sent, which stay as they are."""

    kind = SelectField(
        lazy_gettext("What"),
        [InputRequired()],
        default=MessageKind.REMINDER.value,
        choices=[SelectChoice(kind.value, MESSAGE_KINDS[kind]) for kind in MessageKind if kind in RULED],
    )
    channel = SelectField(
        lazy_gettext("How it is sent"),
        default=Channel.EMAIL.value,
        choices=[SelectChoice(channel.value, words) for channel, words in MESSAGE_CHANNELS.items()],
    )


class MessageRuleView(SwitchedView, ScopedModelView):
    """The partner's rules, each in a plain sentence."""

    permission = Permission.MANAGE_SETTINGS
    add_label = lazy_gettext("Add rule")
    list_template = "admin/setup/message_rules.html"
    create_template = edit_template = "admin/setup/message_rule.html"
    column_list = ("kind", "channel", "when")
    column_labels = {
        "kind": lazy_gettext("What"),
        "channel": lazy_gettext("How it is sent"),
        "when": lazy_gettext("When"),
    }
    sorts = rules.RULES_BY
    # Too few for a search.
    filter_form = ActiveFilter
    form = RuleForm

    def get_create_form(self) -> type[NewRuleForm]:
        return NewRuleForm

    def get_list(self, asked: Asked, limit: int = PAGE_ROWS) -> Page[MessageRule]:
        return rules.list_rules(db.session(), asked.filters["active"], asked.order, asked.cursor, limit)

    def create(self, session: Session, actor: Actor, now: datetime, form: Any) -> MessageRule:
        partner_id, kind, channel = the_partner_id(actor), form.kind.data, form.channel.data
        return rules.create_rule(session, actor, now, partner_id, kind, channel, form.values())

    def update(self, session: Session, actor: Actor, now: datetime, key: int, form: Any) -> MessageRule:
        return rules.edit_rule(session, actor, now, key, form.version.data or 0, form.values())

    def set_active(self, session: Session, key: int, active: bool) -> Named:
        return Named(self.label_of(rules.set_rule_enabled(session, the_actor(), formats.now(), key, active)))

    def form_of(self, row: MessageRule) -> RuleForm:
        minutes = row.minutes_before
        in_hours = minutes is None or minutes % HOUR == 0
        return RuleForm(
            data={
                "version": row.version,
                "moment": BY_CLOCK if minutes is None else BY_LENGTH,
                "days_before": 1 if row.days_before is None else row.days_before,
                "local_time": row.local_time or time(18),
                "length": 2 if minutes is None else minutes // HOUR if in_hours else minutes,
                "unit": HOURS if in_hours else MINUTES,
                "unconfirmed_only": row.unconfirmed_only,
            }
        )

    def form_context(self, row: MessageRule | None) -> dict[str, Any]:
        has_moment = row is None or row.kind in TIMED | AFTERWARDS
        return {
            "has_moment": has_moment,
            "asks_unconfirmed": row is None or row.kind in TIMED - {MessageKind.PLEASE_CONFIRM},
        }

    def label_of(self, row: MessageRule) -> str:
        return rule_words(row)

    def moment_of(self, row: MessageRule) -> str:
        """Return when its messages go out, in words."""
        return moment_words(row)


def rule_words(rule: MessageRule) -> str:
    """Return a rule in a plain sentence: "Reminder by email, the day before at 18:00"."""
    kind, channel = MESSAGE_KINDS[MessageKind(rule.kind)], MESSAGE_CHANNELS[Channel(rule.channel)]
    return str(gettext("%(kind)s (%(channel)s), %(when)s", kind=kind, channel=channel, when=moment_words(rule)))


def moment_words(rule: MessageRule) -> str:
    """Return when a rule's messages go out, in words that may end a sentence."""
    said = _after(rule) if rule.kind in AFTERWARDS else _before(rule)
    if rule.unconfirmed_only:
        said = gettext("%(when)s, only if not confirmed", when=said)
    return str(said)


def _before(rule: MessageRule) -> str:
    if rule.minutes_before is not None:
        days, minutes = divmod(rule.minutes_before, DAY)
        if days and not minutes:
            return str(ngettext("%(num)d day before, to the minute", "%(num)d days before, to the minute", days))
        if minutes % HOUR == 0:
            return str(ngettext("%(num)d hour before", "%(num)d hours before", rule.minutes_before // HOUR))
        return str(ngettext("%(num)d minute before", "%(num)d minutes before", rule.minutes_before))
    if rule.days_before is None or rule.local_time is None:
        return str(AT_ONCE.get(MessageKind(rule.kind), gettext("as soon as it happens")))
    at = f"{rule.local_time:%H:%M}".removeprefix("0")
    if not rule.days_before:
        return str(gettext("the same day at %(time)s", time=at))
    if rule.days_before == 1:
        return str(gettext("the day before at %(time)s", time=at))
    return str(gettext("%(count)s days before at %(time)s", count=rule.days_before, time=at))


def _after(rule: MessageRule) -> str:
    if rule.minutes_before is not None:
        days, minutes = divmod(rule.minutes_before, DAY)
        if days and not minutes:
            return str(ngettext("%(num)d day after, to the minute", "%(num)d days after, to the minute", days))
        if minutes % HOUR == 0:
            return str(ngettext("%(num)d hour after", "%(num)d hours after", rule.minutes_before // HOUR))
        return str(ngettext("%(num)d minute after", "%(num)d minutes after", rule.minutes_before))
    at = f"{rule.local_time:%H:%M}".removeprefix("0")
    if rule.days_before == 1:
        return str(gettext("the day after at %(time)s", time=at))
    return str(gettext("%(count)s days after at %(time)s", count=rule.days_before, time=at))


class QuietHoursForm(VersionedForm):
    """From when until when no text goes out; both blank for never."""

    quiet_from = ClockField(lazy_gettext("No texts from"), [Optional()])
    quiet_until = ClockField(lazy_gettext("No texts until"), [Optional()])


class QuietHoursView(SettingsPage):
    """The hours in which customers get no texts."""

    template = "admin/setup/quiet_hours.html"
    form = QuietHoursForm
    saved = lazy_gettext("Saved. It holds from now on.")

    def stored(self, session: Any, partner_id: int) -> MessageSettings:
        return rules.settings_of(session, partner_id)

    def save(self, session: Any, actor: Actor, now: datetime, partner_id: int, form: Any) -> MessageSettings:
        version = form.version.data or 0
        return rules.set_quiet_hours(
            session, actor, now, partner_id, version, form.quiet_from.data, form.quiet_until.data
        )


def views() -> list[BaseView]:
    """Return the views of this subject, in the order of the menu."""
    return [
        MessageRuleView(
            MessageRule,
            name=lazy_gettext("Message rules"),
            category="Set-up",
            endpoint="message_rules",
            url="/admin/message-rules",
        ),
        QuietHoursView(
            name=lazy_gettext("Quiet hours"), category="Set-up", endpoint="quiet_hours", url="/admin/quiet-hours"
        ),
    ]
