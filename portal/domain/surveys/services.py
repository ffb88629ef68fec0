"""Answering the survey of a completed visit, once, from its link or signed in (C12)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.errors import Invalid, NotFound, Refusal, Refused, Sentence, sentence, too_long
from portal.domain.jobs.history import record
from portal.domain.jobs.mechanics import MAX_TEXT, demand, lock_visit
from portal.domain.jobs.models import Appointment
from portal.domain.surveys.asking import closed, settings_of
from portal.domain.surveys.models import (
    RATINGS,
    QuestionKind,
    SurveyAnswer,
    SurveyResponse,
    SurveyWording,
)
from portal.domain.texts import shows

THANKS = Refusal("answered", sentence("You have answered already, thank you."))
NO_RATING = sentence("Choose a rating")


@dataclass(frozen=True, slots=True)
class SurveyInput:
    """The form as it was sent: ``rating`` from 1 to 5, ``None`` for none chosen.

    ``answers`` maps keys of wordings, which are the questions in the words that the form showed, to what was answered:
    a rating as its digit or a text, "" for none.
    """

    rating: int | None
    comment: str = ""
    answers: Mapping[int, str] = field(default_factory=dict)


def answer_survey(session: Session, actor: Actor, now: datetime, visit_id: int, form: SurveyInput) -> SurveyResponse:
    """Keep what the customer ``actor`` says of a completed visit at ``now`` (an instant), and return it (C12).

    The job is locked, so that of two at once the second is told; the database holds one response a visit besides.
    Raises ``NotFound`` for what is not theirs, ``Refused`` where it was answered or cannot be answered any more, and
    ``Invalid`` at ``rating``, ``comment`` or ``answer-`` with the key of a wording. Runs within one ``unit_of_work``.
    """
    visit, job, _ = lock_visit(session, visit_id)
    demand_complete(visit)
    if response_to(session, visit.id) is not None:
        raise Refused(THANKS)
    demand(closed(settings_of(session, visit.partner_id), visit, now))
    errors: dict[str, Sentence] = {}
    if form.rating not in RATINGS:
        errors["rating"] = NO_RATING
    comment = _text(form.comment, "comment", errors)
    answers = _answers(session, visit.partner_id, form.answers, errors)
    if errors:
        raise Invalid(errors)
    response = SurveyResponse(
        partner_id=visit.partner_id,
        customer_id=visit.customer_id,
        job_id=visit.job_id,
        appointment_id=visit.id,
        technician_id=visit.technician_id,
        rating=form.rating,
        comment=comment,
        answered_at=now,
    )
    session.add(response)
    session.flush()
    for answer in answers:
        answer.customer_id, answer.response_id = response.customer_id, response.id
    session.add_all(answers)
    record(session, actor, now, "answer_survey", job, visit, after={"rating": response.rating}, reason=comment)
    session.flush()
    return response


def demand_complete(visit: Appointment) -> None:
    """Raise ``NotFound`` for a visit that was not completed: it has no survey."""
    if not visit.is_complete:
        raise NotFound


def response_to(session: Session, visit_id: int) -> SurveyResponse | None:
    """Return what was answered about a visit, if it was."""
    return session.scalars(select(SurveyResponse).where(SurveyResponse.appointment_id == visit_id)).one_or_none()


def _answers(
    session: Session, partner_id: int, given: Mapping[int, str], errors: dict[str, Sentence]
) -> list[SurveyAnswer]:
    query = select(SurveyWording).where(SurveyWording.partner_id == partner_id, SurveyWording.id.in_(sorted(given)))
    found = []
    for wording in session.scalars(query.order_by(SurveyWording.id)) if given else ():
        name, typed = f"answer-{wording.id}", given[wording.id].strip()
        if not typed:
            continue
        answer = SurveyAnswer(partner_id=partner_id, wording_id=wording.id, rating=None, text="")
        if wording.kind == QuestionKind.RATING:
            if typed not in map(str, RATINGS):
                errors[name] = NO_RATING
                continue
            answer.rating = int(typed)
        else:
            answer.text = _text(typed, name, errors)
        if answer.rating is not None or answer.text:
            found.append(answer)
    return found


def _text(typed: str, name: str, errors: dict[str, Sentence]) -> str:
    text = typed.strip()
    if len(text) > MAX_TEXT:
        errors[name] = too_long(MAX_TEXT)
    return text if shows(text) else ""
