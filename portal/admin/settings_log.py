"""The audit trail of set-up: who changed which setting when, from which value to which (L1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask_admin import BaseView
from flask_babel import gettext, lazy_gettext
from wtforms import SelectField

from portal.admin.base import Asked, Filters, ScopedModelView, SelectChoice
from portal.admin.branding import BrandingForm
from portal.admin.channels import ChannelsForm
from portal.admin.contracts import ContractTextForm
from portal.admin.controls import LABELS
from portal.admin.hours import HolidayForm
from portal.admin.message_rules import QuietHoursForm, RuleForm
from portal.admin.message_words import WordsForm
from portal.admin.setup import ServiceTypeForm
from portal.admin.surveys import QUESTION_KINDS, QuestionForm, SurveySettingsForm
from portal.domain.actor import Permission
from portal.domain.messages.models import Channel, MessageKind
from portal.domain.paging import PAGE_ROWS, Page
from portal.domain.settings_log import queries
from portal.domain.settings_log.models import SettingChange
from portal.domain.settings_log.services import SettingKind
from portal.extensions import db
from portal.web.i18n import DEFAULT, LANGUAGES, translate
from portal.web.statuses import MESSAGE_CHANNELS, MESSAGE_KINDS

ANY = ""
SUBJECTS = {
    SettingKind.BRANDING: lazy_gettext("Branding and words"),
    SettingKind.CHANNELS: lazy_gettext("Mail server and texts"),
    SettingKind.CONTRACT_TEXT: lazy_gettext("Contract text"),
    SettingKind.CUSTOMER_CONTROLS: lazy_gettext("Feature controls of a customer"),
    SettingKind.FEATURE_CONTROLS: lazy_gettext("Feature controls"),
    SettingKind.HOLIDAY: lazy_gettext("Holiday"),
    SettingKind.JOB_CONTROLS: lazy_gettext("Feature controls of a job"),
    SettingKind.MESSAGE_RULE: lazy_gettext("Message rule"),
    SettingKind.MESSAGE_TEMPLATE: lazy_gettext("Words of a message"),
    SettingKind.PAUSE_REASON: lazy_gettext("Pause reason"),
    SettingKind.QUIET_HOURS: lazy_gettext("Quiet hours"),
    SettingKind.REJECT_REASON: lazy_gettext("Reject reason"),
    SettingKind.SERVICE_TYPE: lazy_gettext("Service type"),
    SettingKind.SERVICE_TYPE_CONTROLS: lazy_gettext("Feature controls of a service type"),
    SettingKind.SKILL: lazy_gettext("Skill"),
    SettingKind.SURVEY: lazy_gettext("Survey"),
    SettingKind.SURVEY_QUESTION: lazy_gettext("Survey question"),
    SettingKind.TECHNICIAN: lazy_gettext("Technician"),
    SettingKind.TIME_OFF: lazy_gettext("Time off"),
    SettingKind.WORKING_HOURS: lazy_gettext("Working hours"),
}


def _words_of(form: Any) -> dict[str, Any]:
    """Return the labels of a form's fields by name, so that the log says what the form says."""
    unbound = {name: getattr(form, name) for name in dir(form)}
    return {name: field.args[0] for name, field in unbound.items() if hasattr(field, "field_class") and field.args}


# Fields by name, as the domain records them; one that is not here is shown by its name.
FIELDS: dict[str, Any] = {
    **LABELS,
    **_words_of(BrandingForm),
    **_words_of(ChannelsForm),
    **_words_of(ServiceTypeForm),
    **_words_of(HolidayForm),
    **_words_of(SurveySettingsForm),
    **_words_of(QuestionForm),
    **_words_of(RuleForm),
    **_words_of(QuietHoursForm),
    **_words_of(WordsForm),
    "own_words": lazy_gettext("Own words"),
    **_words_of(ContractTextForm),
    "enabled": lazy_gettext("Active"),
    "minutes_before": lazy_gettext("Minutes before or after the visit"),
    "begins": lazy_gettext("From"),
    "ends": lazy_gettext("Until"),
    "note": lazy_gettext("Note"),
    "monday": lazy_gettext("Monday"),
    "tuesday": lazy_gettext("Tuesday"),
    "wednesday": lazy_gettext("Wednesday"),
    "thursday": lazy_gettext("Thursday"),
    "friday": lazy_gettext("Friday"),
    "saturday": lazy_gettext("Saturday"),
    "sunday": lazy_gettext("Sunday"),
    "active": lazy_gettext("Active"),
    "label": lazy_gettext("Reason"),
    "logo": lazy_gettext("Logo"),
    "name": lazy_gettext("Name"),
    "place": lazy_gettext("Place in the list"),
    "skills": lazy_gettext("Skills"),
    "text_service": lazy_gettext("Service for texts"),
    "staff_term": lazy_gettext("What a technician is called in the office"),
    "customer_term": lazy_gettext("What a technician is called to customers"),
}
LABEL = "label_"
# Of more, such as the words of a mail, the log shows the beginning.
LONGEST = 400
# Of these the log says that they were set, and never to what.
SECRETS = frozenset({"smtp_password", "text_gateway"})


@dataclass(frozen=True, slots=True)
class Line:
    """One field of a change in words; ``before`` is ``None`` where something was added, ``after`` where it is gone."""

    field: str
    before: str | None
    after: str | None


class ChangeFilter(Filters):
    """Which kind of setting."""

    subject = SelectField(
        lazy_gettext("Setting"),
        default=ANY,
        choices=[
            SelectChoice(ANY, lazy_gettext("All")),
            *(SelectChoice(kind.value, words) for kind, words in SUBJECTS.items()),
        ],
    )


class SettingChangeView(ScopedModelView):
    """Changes of settings, newest first. Nobody edits them."""

    permission = Permission.MANAGE_SETTINGS
    can_create = can_edit = False
    list_template = "admin/log/setting_changes.html"
    column_list = ("when", "who", "what", "change")
    column_labels = {
        "when": lazy_gettext("When"),
        "who": lazy_gettext("Who"),
        "what": lazy_gettext("Setting"),
        "change": lazy_gettext("From and to"),
    }
    sorts = queries.CHANGES_BY
    usual_sort = "-number"
    sorted_by_time = True
    filter_form = ChangeFilter

    def get_list(self, asked: Asked, limit: int = PAGE_ROWS) -> Page[SettingChange]:
        subject = asked.filters["subject"] or None
        return queries.setting_changes(db.session(), subject, asked.order, asked.cursor, limit)

    def subject_of(self, change: SettingChange) -> str:
        """Return the kind of setting in words."""
        return str(SUBJECTS[SettingKind(change.subject)])

    def name_of(self, change: SettingChange) -> str:
        """Return which of several it is: rules and words by what is said and how, everything else by its name."""
        if change.subject not in {SettingKind.MESSAGE_RULE, SettingKind.MESSAGE_TEMPLATE}:
            return change.name
        kind, channel, *language = change.name.split(" ")
        names = (str(MESSAGE_KINDS[MessageKind(kind)]), str(MESSAGE_CHANNELS[Channel(channel)]))
        return ", ".join((*names, *(LANGUAGES[name] for name in language)))

    def lines_of(self, change: SettingChange) -> list[Line]:
        """Return what differs, field by field, in words."""
        return [
            Line(_field(name), _words(change.before, name), _words(change.after, name))
            for name in dict.fromkeys((*change.after, *change.before))
        ]


def _field(name: str) -> str:
    if name.startswith(LABEL):
        return gettext("What customers read for “%(status)s”", status=FIELDS[name])
    return str(FIELDS.get(name, name.replace("_", " ")))


def _words(values: dict[str, Any], name: str) -> str | None:
    if name not in values:
        return None
    value = values[name]
    if value is None:
        return ""
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if name in SECRETS:
        return translate(value) if value else ""
    if name == "locale":
        return LANGUAGES.get(value or DEFAULT, str(value))
    if name == "kind":
        return str(QUESTION_KINDS[value])
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1].rstrip()}…"


def views() -> list[BaseView]:
    """Return the views of this subject, in the order of the menu."""
    return [
        SettingChangeView(
            SettingChange,
            name=lazy_gettext("Settings changes"),
            category="Log",
            endpoint="setting_changes",
            url="/admin/settings-changes",
        )
    ]
