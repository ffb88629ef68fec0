"""Surveys: what customers answered (C12), when they are asked, and the partner's questions (L1)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask_admin import BaseView
from flask_babel import gettext, lazy_gettext
from sqlalchemy.orm import Session
from wtforms import BooleanField, DateField, RadioField, StringField
from wtforms.validators import Optional

from portal.admin.base import (
    ActiveFilter,
    Asked,
    FilterForm,
    OrderedView,
    ScopedModelView,
    SelectChoice,
    SettingsPage,
    SwitchedView,
    VersionedForm,
    the_actor,
    the_partner_id,
)
from portal.admin.installations.listing import BOUNDS, existing_day, term
from portal.admin.setup import WholeNumber
from portal.domain.actor import Actor, Permission
from portal.domain.jobs.queries import list_options
from portal.domain.paging import PAGE_ROWS, Page
from portal.domain.surveys import queries, setup
from portal.domain.surveys.asking import settings_of
from portal.domain.surveys.models import RATINGS, QuestionKind, SurveyQuestion, SurveyResponse, SurveySettings
from portal.domain.surveys.queries import ResponseFilter
from portal.domain.surveys.setup import SETTINGS_LIMITS, QuestionInput, SettingsInput
from portal.extensions import db
from portal.web import formats
from portal.web.forms import ManySelectField
from portal.web.i18n import TypedText
from portal.web.statuses import RATING_WORDS

QUESTION_KINDS = {
    QuestionKind.RATING: lazy_gettext("A rating from 1 to 5"),
    QuestionKind.TEXT: lazy_gettext("In their own words"),
}


class ResponseFilterForm(FilterForm):
    """Text in number, title, names and comment; dates of the answer; who made the visit; the rating."""

    first = DateField(lazy_gettext("From"), validators=[Optional(), existing_day], render_kw=BOUNDS)
    last = DateField(lazy_gettext("To"), validators=[Optional(), existing_day], render_kw=BOUNDS)
    technician = ManySelectField(default="")
    rating = ManySelectField(lazy_gettext("Rating"), default="")


def response_filter(args: Any) -> ResponseFilterForm:
    """Return the filter as an address fills it in, with the partner's technicians to choose from."""
    form = ResponseFilterForm(args)
    form.technician.label.text = term()
    technicians = list_options(db.session()).technicians
    form.technician.choices = [("", gettext("Anyone")), *((str(one.id), one.name) for one in technicians)]
    ratings = ((str(rating), f"{rating}: {RATING_WORDS[rating]}") for rating in reversed(RATINGS))
    form.rating.choices = [("", gettext("All")), *ratings]
    return form


class SurveyResponseView(ScopedModelView):
    """What customers said of visits, newest first, with what it comes to. Nobody edits it."""

    permission = Permission.SEE_JOBS
    can_create = can_edit = False
    can_export = True
    list_template = "admin/surveys/responses.html"
    column_list = ("when", "rating", "installation", "technician", "comment")
    column_labels = {
        "when": lazy_gettext("When"),
        "rating": lazy_gettext("Rating"),
        "installation": lazy_gettext("Customer and installation"),
        "technician": TypedText(term),
        "comment": lazy_gettext("What they said"),
    }
    sorts = queries.RESPONSES_BY
    usual_sort = "-when"
    sorted_by_time = True
    filter_form = staticmethod(response_filter)  # type: ignore[assignment]

    def get_list(self, asked: Asked, limit: int = PAGE_ROWS) -> Page[SurveyResponse]:
        wanted = _wanted(asked.filters)
        return queries.list_responses(db.session(), wanted, formats.zone_of(), asked.order, asked.cursor, limit)

    def list_context(self, asked: Asked, page: Page[Any]) -> dict[str, Any]:
        results = queries.results(db.session(), _wanted(asked.filters), formats.zone_of(), formats.today())
        return {
            **super().list_context(asked, page),
            "results": results,
            "average": formats.average,
            "rating_words": RATING_WORDS,
            "month": formats.month,
        }

    def export_columns(self) -> dict[str, Any]:
        return {
            gettext("When"): lambda row: row.answered_at,
            gettext("Rating"): lambda row: row.rating,
            gettext("Customer"): lambda row: row.customer.name,
            gettext("Installation"): lambda row: row.job.number,
            gettext("Title"): lambda row: row.job.title,
            term(): lambda row: row.technician.name if row.technician else "",
            gettext("Comment"): lambda row: row.comment,
            gettext("Other questions"): lambda row: "\n".join(
                f"{answer.wording.words} {answer.rating or answer.text}" for answer in row.answers
            ),
        }


def _wanted(filters: Any) -> ResponseFilter:
    """Return the domain's filter for the form's values; a single date stands for that day, swapped ends are turned."""
    days = sorted(day for day in (filters["first"], filters["last"]) if day is not None)
    return ResponseFilter(
        first=days[0] if days else None,
        last=days[-1] if days else None,
        technician_id=int(filters["technician"]) if filters["technician"] else None,
        rating=int(filters["rating"]) if filters["rating"] else None,
        text=filters["q"],
    )


class SurveySettingsForm(VersionedForm):
    """Whether and when customers are asked."""

    enabled = BooleanField(lazy_gettext("Ask customers for a rating when their job is done"))
    delay_hours = WholeNumber(lazy_gettext("How long after the visit"), SETTINGS_LIMITS["delay_hours"], 2)
    nudges = BooleanField(lazy_gettext("Ask once more who has not answered"))
    nudge_days = WholeNumber(lazy_gettext("How long after the first time"), SETTINGS_LIMITS["nudge_days"], 3)

    def values(self) -> SettingsInput:
        """Return what was typed, for the use case."""
        return SettingsInput(**{name: value for name, value in self.data.items() if name != "version"})


class SurveySettingsView(SettingsPage):
    """When customers are asked, effective at once."""

    template = "admin/surveys/settings.html"
    form = SurveySettingsForm
    saved = lazy_gettext("Saved. It holds for visits completed from now on.")

    def stored(self, session: Session, partner_id: int) -> SurveySettings:
        # A partner without is one that asks nobody.
        return settings_of(session, partner_id) or SurveySettings(
            enabled=False, delay_hours=2, nudges=True, nudge_days=3, version=0
        )

    def save(self, session: Session, actor: Actor, now: datetime, partner_id: int, form: Any) -> SurveySettings:
        return setup.edit_settings(session, actor, now, partner_id, form.version.data or 0, form.values())


class QuestionForm(VersionedForm):
    """A question beside the overall rating."""

    words = StringField(lazy_gettext("Question"), default="", render_kw={"autocomplete": "off"})
    kind = RadioField(
        lazy_gettext("How it is answered"),
        choices=[SelectChoice(kind.value, words) for kind, words in QUESTION_KINDS.items()],
        default=QuestionKind.RATING.value,
        validate_choice=False,
    )

    def values(self) -> QuestionInput:
        """Return what was typed, for the use case."""
        return QuestionInput(self.words.data or "", self.kind.data or "")


class SurveyQuestionView(OrderedView, SwitchedView, ScopedModelView):
    """The partner's questions in their order."""

    permission = Permission.MANAGE_SETTINGS
    list_template = "admin/surveys/questions.html"
    create_template = edit_template = "admin/surveys/question.html"
    add_label = lazy_gettext("Add question")
    column_list = ("words", "kind")
    column_labels = {"words": lazy_gettext("Question"), "kind": lazy_gettext("How it is answered")}
    sorts = queries.QUESTIONS_BY
    # Too few for a search.
    filter_form = ActiveFilter
    form = QuestionForm

    def get_list(self, asked: Asked, limit: int = PAGE_ROWS) -> Page[SurveyQuestion]:
        return queries.list_questions(db.session(), asked.filters["active"], asked.order, asked.cursor, limit)

    def list_context(self, asked: Asked, page: Page[Any]) -> dict[str, Any]:
        return {**super().list_context(asked, page), "kinds": QUESTION_KINDS}

    def form_of(self, row: SurveyQuestion) -> QuestionForm:
        return QuestionForm(obj=row.wording, version=row.version)

    def create(self, session: Session, actor: Actor, now: datetime, form: Any) -> SurveyQuestion:
        return setup.create_question(session, actor, now, the_partner_id(actor), form.values())

    def update(self, session: Session, actor: Actor, now: datetime, key: int, form: Any) -> SurveyQuestion:
        return setup.edit_question(session, actor, now, key, form.version.data or 0, form.values())

    def set_active(self, session: Session, key: int, active: bool) -> SurveyQuestion:
        return setup.set_question_active(session, the_actor(), formats.now(), key, active)

    def move(self, session: Session, key: int, down: bool) -> SurveyQuestion:
        return setup.move_question(session, the_actor(), formats.now(), key, down)


def result_views() -> list[BaseView]:
    """Return the views of what was answered, for the menu of work."""
    return [
        SurveyResponseView(
            SurveyResponse,
            name=lazy_gettext("Survey results"),
            category="Work",
            endpoint="survey_responses",
            url="/admin/survey-results",
        )
    ]


def views() -> list[BaseView]:
    """Return the views of set-up, in the order of the menu."""
    return [
        SurveySettingsView(
            name=lazy_gettext("Survey"), category="Set-up", endpoint="survey_settings", url="/admin/survey"
        ),
        SurveyQuestionView(
            SurveyQuestion,
            name=lazy_gettext("Survey questions"),
            category="Set-up",
            endpoint="survey_questions",
            url="/admin/survey-questions",
        ),
    ]
