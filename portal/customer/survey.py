"""The survey of a completed visit: from the link in a message without signing in, and from the visit's page (C12)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from flask import Blueprint, Response, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, lazy_gettext
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import RadioField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]

from portal.customer.blueprint import LONGEST_KEY, customer, go
from portal.customer.blueprint import session as own_session
from portal.domain.actor import Actor
from portal.domain.errors import Invalid, NotFound, Refused
from portal.domain.lookup import MAX_KEY
from portal.domain.surveys import services
from portal.domain.surveys.models import RATINGS, QuestionKind, SurveyWording
from portal.domain.surveys.queries import LinkHolder, Survey, holder_of_link, survey_of
from portal.domain.surveys.services import SurveyInput
from portal.domain.surveys.setup import MAX_QUESTIONS
from portal.domain.unit_of_work import unit_of_work
from portal.web import formats
from portal.web.auth import session_beyond, session_of
from portal.web.errors import SEND_AGAIN, shown_again
from portal.web.forms import add_errors
from portal.web.i18n import translate
from portal.web.links import Tampered, visit_to_rate
from portal.web.partners import PartnerInfo, info_of, partner_info
from portal.web.statuses import RATING_WORDS
from portal.web.throttles import guessing, trying

# The name of the hidden fields that say which questions a form was made from.
ASKED = "question"
OVERALL = [SelectChoice(str(rating), RATING_WORDS[rating]) for rating in RATINGS]
# What the ends of a scale mean depends on the partner's own question.
PLAIN = [SelectChoice(str(rating), str(rating)) for rating in RATINGS]

links = Blueprint("survey", __name__, url_prefix="/survey")


def form_of(questions: Sequence[SurveyWording]) -> Any:
    """Return the form with a field for each of ``questions``, filled with what was sent, if anything was.

    The domain says what an answer is.
    """
    # In the order of the page, which is that of the summary of errors.
    fields: dict[str, Any] = {"rating": _scale(lazy_gettext("How satisfied are you with this visit?"), OVERALL)}
    for wording in questions:
        is_rated = wording.kind == QuestionKind.RATING
        fields[f"answer-{wording.id}"] = _scale(wording.words, PLAIN) if is_rated else TextAreaField(wording.words)
    fields["comment"] = TextAreaField(lazy_gettext("Is there anything you would like to tell us?"))
    return type("SurveyForm", (FlaskForm,), fields)()


def _scale(label: Any, choices: list[SelectChoice]) -> RadioField:
    return RadioField(label, choices=choices, validate_choice=False)


# From the link in a message


@links.get("/<token>")
@guessing
def show(token: str) -> ResponseReturnValue:
    """Show the form, what was answered, or why it cannot be answered any more. Nothing is changed by looking."""
    holder, visit_id = _holder(token)
    if holder is None:
        return _unknown()
    with session_of(holder.actor) as session:
        return _shown(session, holder.actor, visit_id, _partner(holder), url_for(".send", token=token))


@links.post("/<token>")
@guessing
@trying
def send(token: str) -> ResponseReturnValue:
    """Keep the answer of whoever holds the link, in the name of the visit's customer."""
    holder, visit_id = _holder(token)
    if holder is None:
        return _unknown()
    here = url_for(".send", token=token)
    refused = _kept(session_of(holder.actor), holder.actor, visit_id, _partner(holder), here)
    return refused or go("survey.show", token=token)


@shown_again(links, "send")
@guessing
def _send_again(token: str) -> ResponseReturnValue:
    holder, visit_id = _holder(token)
    if holder is None:
        return _unknown()
    with session_of(holder.actor) as session:
        survey = survey_of(session, holder.actor, formats.now(), visit_id, _asked())
        form = form_of(survey.questions) if survey.is_open else None
        if form is not None:
            form.form_errors = [translate(SEND_AGAIN)]
        page = make_response(_page(survey, _partner(holder), url_for(".send", token=token), form))
    if form is not None:
        page.status_code = 400
    return page


def _holder(token: str) -> tuple[LinkHolder | None, int]:
    try:
        visit_id = visit_to_rate(token)
        with session_beyond("token") as session:
            return holder_of_link(session, visit_id), visit_id
    except (Tampered, NotFound):
        return None, 0


def _partner(holder: LinkHolder) -> PartnerInfo:
    return info_of(holder.partner, holder.logo)


def _unknown() -> ResponseReturnValue:
    return render_template("customer/confirm_unknown.html"), 404


@links.after_request
def _keep_nothing(response: Response) -> Any:
    """Let no browser and no proxy keep what the link shows."""
    response.headers["Cache-Control"] = "no-store"
    return response


# Signed in


def rate(visit_id: int) -> ResponseReturnValue:
    """Show the survey of one of the customer's own visits."""
    return _shown(own_session(), customer(), visit_id, None, url_for("my.send_rating", visit_id=visit_id))


def send_rating(visit_id: int) -> ResponseReturnValue:
    """Keep the customer's own answer."""
    here = url_for("my.send_rating", visit_id=visit_id)
    refused = _kept(nullcontext(own_session()), customer(), visit_id, None, here)
    return refused or go("my.rate", visit_id=visit_id)


# Both


def _shown(
    session: Session, actor: Actor, visit_id: int, page_partner: PartnerInfo | None, action: str
) -> ResponseReturnValue:
    survey = survey_of(session, actor, formats.now(), visit_id)
    return _page(survey, page_partner, action, form_of(survey.questions) if survey.is_open else None)


def _kept(
    opened: AbstractContextManager[Session],
    actor: Actor,
    visit_id: int,
    page_partner: PartnerInfo | None,
    action: str,
) -> ResponseReturnValue | None:
    """Keep the answer that was sent; returns the page that says why not, or ``None``."""
    asked = _asked()
    with opened as session:
        survey = survey_of(session, actor, formats.now(), visit_id, asked)
        if not survey.is_open:
            # Sent twice, or the page was open for too long.
            return None
        form = form_of(survey.questions)
        given = {wording.id: form[f"answer-{wording.id}"].data or "" for wording in survey.questions}
        rating = form.rating.data
        answer = SurveyInput(
            rating=int(rating) if rating in map(str, RATINGS) else None,
            comment=form.comment.data or "",
            answers=given,
        )
        try:
            with unit_of_work(session) as writing:
                services.answer_survey(writing, actor, formats.now(), visit_id, answer)
        except Refused:
            # Somebody was quicker; the page says what stands.
            return None
        except Invalid as invalid:
            survey = survey_of(session, actor, formats.now(), visit_id, asked)
            add_errors(form, invalid.errors)
            return _page(survey, page_partner, action, form)
    return None


def _asked() -> list[int]:
    """Return the keys of the wordings that the form was made from, as far as they can be any."""
    texts = [text for text in request.form.getlist(ASKED) if text.isascii() and text.isdigit()]
    keys = dict.fromkeys(int(text) for text in texts if len(text) < LONGEST_KEY)
    return [key for key in keys if 0 < key <= MAX_KEY][:MAX_QUESTIONS]


def _page(survey: Survey, page_partner: PartnerInfo | None, action: str, form: Any) -> ResponseReturnValue:
    of = page_partner or partner_info(survey.visit.partner_id)
    by_link = page_partner is not None
    if survey.closed is not None:
        text = translate(survey.closed.sentence, of)
        heading = gettext("This visit cannot be rated any more")
        return (
            render_template(
                "customer/survey_closed.html", heading=heading, text=text, page_partner=of, by_link=by_link
            ),
            410,
        )
    page = render_template(
        "customer/survey.html",
        survey=survey,
        visit=survey.visit,
        page_partner=of,
        by_link=by_link,
        action=action,
        form=form,
        asked=ASKED,
        form_has_errors=bool(form is not None and form.errors),
        rating_words=RATING_WORDS,
    )
    return page, 422 if form is not None and form.errors else 200


def add_to(pages: Blueprint) -> None:
    """Put these pages into the customer's blueprint."""
    pages.add_url_rule("/visits/<int:visit_id>/survey", view_func=rate)
    pages.add_url_rule("/visits/<int:visit_id>/survey", view_func=send_rating, methods=["POST"])
