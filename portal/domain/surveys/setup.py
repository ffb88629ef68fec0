"""The use cases of set-up: when customers are asked, and the partner's questions beside the overall rating (L1).

An answer keeps the words it was given to: new words are a new wording of the question, the earlier ones stay. Each runs
within one ``unit_of_work`` on rows of the session's scope and writes the audit trail. They raise ``NotFound`` for what
is out of the scope, ``Invalid`` for input, and ``Conflict`` for a form from before somebody else's change; then nothing
is changed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.errors import Conflict, Invalid, Sentence, changed_meanwhile, sentence, too_long
from portal.domain.lookup import lock
from portal.domain.ordering import change_places, in_order, one_of, place_behind
from portal.domain.scheduling.services import limit_errors
from portal.domain.settings_log.services import SettingKind, Subject, record_setting_change, values_of
from portal.domain.surveys.models import (
    MAX_WORDS,
    QuestionKind,
    SurveyQuestion,
    SurveySettings,
    SurveyWording,
)
from portal.domain.texts import one_line
from portal.domain.unit_of_work import require_unit_of_work

# More than anybody would answer on a phone.
MAX_QUESTIONS = 10
SETTINGS_LIMITS = {"delay_hours": (0, 14 * 24), "nudge_days": (1, 30)}


@dataclass(frozen=True, slots=True)
class SettingsInput:
    """The form of ``SurveySettings``."""

    enabled: bool
    delay_hours: int
    nudges: bool
    nudge_days: int


@dataclass(frozen=True, slots=True)
class QuestionInput:
    """The form of a question, as typed; ``kind`` is a ``QuestionKind``."""

    words: str
    kind: str


def edit_settings(
    session: Session, actor: Actor, now: datetime, partner_id: int, version: int, form: SettingsInput
) -> SurveySettings:
    """Change whether and when customers are asked, for visits that are completed from now on.

    What is planned already keeps its time, and is dropped at that time if it is switched off by then.
    """
    require_unit_of_work(session)
    key = session.scalars(select(SurveySettings.id).where(SurveySettings.partner_id == partner_id)).one_or_none()
    settings = SurveySettings(partner_id=partner_id) if key is None else lock(session, SurveySettings, key)
    if version != (settings.version or 0):
        raise Conflict(changed_meanwhile())
    values = asdict(form)
    errors = limit_errors(values, SETTINGS_LIMITS)
    if errors:
        raise Invalid(errors)
    before = values_of(settings, values) if key is not None else {}
    for name, value in values.items():
        setattr(settings, name, value)
    session.add(settings)
    session.flush()
    record_setting_change(session, actor, now, Subject(SettingKind.SURVEY, partner_id), before, values)
    return settings


def create_question(
    session: Session, actor: Actor, now: datetime, partner_id: int, form: QuestionInput
) -> SurveyQuestion:
    """Add a question at the end of the partner's list and return it."""
    present = in_order(session, SurveyQuestion)
    words, kind = _clean(present, None, form)
    _demand_room(present, "words")
    question = SurveyQuestion(partner_id=partner_id, position=place_behind(present), revision=1)
    session.add(question)
    session.flush()
    _word(session, question, words, kind)
    record_setting_change(session, actor, now, _subject(question), {}, _logged(question))
    return question


def edit_question(
    session: Session, actor: Actor, now: datetime, key: int, version: int, form: QuestionInput
) -> SurveyQuestion:
    """Ask in other words, or for another kind of answer, from now on; ``version`` is the one the form was made from."""
    present = in_order(session, SurveyQuestion)
    question = one_of(present, key)
    if question.version != version:
        raise Conflict(changed_meanwhile())
    before = _logged(question)
    words, kind = _clean(present, question.id, form)
    if (words, kind) != (question.wording.words, question.wording.kind):
        question.revision += 1
        session.flush()
        _word(session, question, words, kind)
    record_setting_change(session, actor, now, _subject(question), before, _logged(question))
    return question


def set_question_active(session: Session, actor: Actor, now: datetime, key: int, active: bool) -> SurveyQuestion:
    """Ask a question no more, or again."""
    present = in_order(session, SurveyQuestion)
    question = one_of(present, key)
    before = _logged(question)
    if active and not question.active:
        _demand_room(present, "active")
    question.active = active
    session.flush()
    record_setting_change(session, actor, now, _subject(question), before, _logged(question))
    return question


def move_question(session: Session, actor: Actor, now: datetime, key: int, down: bool) -> SurveyQuestion:
    """Let a question change places with the one before it, or after it if ``down``; at the end of the list it stays."""
    question, before, after = change_places(session, SurveyQuestion, key, down)
    record_setting_change(session, actor, now, _subject(question), {"place": before}, {"place": after})
    return question


def _subject(question: SurveyQuestion) -> Subject:
    return Subject(SettingKind.SURVEY_QUESTION, question.partner_id, question.id, question.name)


def _logged(question: SurveyQuestion) -> dict[str, Any]:
    return {"words": question.wording.words, "kind": question.wording.kind, "active": question.active}


def _word(session: Session, question: SurveyQuestion, words: str, kind: str) -> None:
    session.add(
        SurveyWording(
            partner_id=question.partner_id,
            question_id=question.id,
            revision=question.revision,
            kind=kind,
            words=words,
        )
    )
    session.flush()
    session.refresh(question, ["wording"])


def _clean(present: list[SurveyQuestion], key: int | None, form: QuestionInput) -> tuple[str, str]:
    errors: dict[str, Sentence] = {}
    words = one_line(form.words)
    if not words:
        errors["words"] = sentence("Enter a question")
    elif len(words) > MAX_WORDS:
        errors["words"] = too_long(MAX_WORDS)
    elif any(other.name == words and other.id != key for other in present):
        errors["words"] = sentence("There is a question in these words already")
    if form.kind not in set(QuestionKind):
        errors["kind"] = sentence("Choose how it is answered")
    if errors:
        raise Invalid(errors)
    return words, form.kind


def _demand_room(present: list[SurveyQuestion], field: str) -> None:
    if sum(question.active for question in present) >= MAX_QUESTIONS:
        raise Invalid({field: sentence("There can be %(limit)s questions at most.", limit=MAX_QUESTIONS)})
