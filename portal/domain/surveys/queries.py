"""Reading surveys within the session's scope: one to answer, the partner's questions, and what was answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, select
from sqlalchemy.orm import Session, joinedload, selectinload

from portal.domain.actor import Actor
from portal.domain.branding.models import PartnerLogo
from portal.domain.errors import NotFound, Refusal, suspended
from portal.domain.jobs.models import Appointment, Job
from portal.domain.lookup import MAX_KEY
from portal.domain.paging import PAGE_ROWS, Cursor, Order, Page, page_of
from portal.domain.people.link_holders import holder_of
from portal.domain.people.models import Customer, Partner, Technician
from portal.domain.people.queries import words_in
from portal.domain.scheduling.zones import day_span
from portal.domain.surveys.asking import closed, settings_of
from portal.domain.surveys.models import (
    RATINGS,
    QuestionKind,
    SurveyAnswer,
    SurveyQuestion,
    SurveyResponse,
    SurveyWording,
)
from portal.domain.surveys.services import demand_complete

QUESTIONS_BY = {"order": (SurveyQuestion.position, SurveyQuestion.id)}
RESPONSES_BY = {
    "when": (SurveyResponse.answered_at, SurveyResponse.id),
    "rating": (SurveyResponse.rating, SurveyResponse.id),
}
NEWEST_FIRST = Order(RESPONSES_BY["when"], descending=True)
WEEK = timedelta(days=7)
WEEKS_SHOWN = 12
# More weeks than that are shown as months.
MOST_WEEKS = 26
MOST_MONTHS = 36


@dataclass(frozen=True, slots=True)
class Survey:
    """The survey of one completed visit: the partner's questions as they are asked now, or what was answered.

    ``closed`` says why it cannot be answered any more; ``None`` if it can, or was.
    """

    visit: Appointment
    questions: Sequence[SurveyWording]
    response: SurveyResponse | None
    closed: Refusal | None

    @property
    def is_open(self) -> bool:
        """Whether it can be answered."""
        return self.response is None and self.closed is None


@dataclass(frozen=True, slots=True)
class LinkHolder:
    """As whom a link is followed: ``actor`` is the visit's customer, reaching no further than that customer.

    ``logo`` is the digest of the partner's picture, "" for none.
    """

    actor: Actor
    partner: Partner
    logo: str


@dataclass(frozen=True, slots=True)
class ResponseFilter:
    """What results are narrowed to: local dates, both included; ``text`` is looked for in names, number, comment."""

    first: date | None = None
    last: date | None = None
    technician_id: int | None = None
    rating: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """How often something was rated and the average of that, from 1 to 5; ``None`` where nobody rated."""

    count: int
    average: float | None


@dataclass(frozen=True, slots=True)
class Period:
    """The score of the local dates from ``first`` to ``last``, both included."""

    first: date
    last: date
    score: Score


@dataclass(frozen=True, slots=True)
class Results:
    """What the responses of a filter come to: altogether, per rating, technician, question and period.

    ``by_technician`` is by name, ``None`` for visits without; ``periods`` are in time order, ``monthly`` or weeks.
    """

    overall: Score
    by_rating: dict[int, int]
    by_technician: Sequence[tuple[str | None, Score]]
    by_question: Sequence[tuple[str, Score]]
    periods: Sequence[Period]
    monthly: bool


def holder_of_link(session: Session, visit_id: int) -> LinkHolder:
    """Return as whom the link to the survey of a visit is followed; raises ``NotFound``.

    ``session`` has the scope ``token``: whose visit it is comes before what may be seen of it.
    """
    query = (
        select(Partner, PartnerLogo.digest, Customer)
        .select_from(Appointment)
        .join(Partner, Partner.id == Appointment.partner_id)
        .join(Customer, Customer.id == Appointment.customer_id)
        .outerjoin(PartnerLogo, PartnerLogo.partner_id == Appointment.partner_id)
        .where(Appointment.id == visit_id)
    )
    row = session.execute(query).one_or_none() if 0 < visit_id <= MAX_KEY else None
    if row is None:
        raise NotFound
    partner, logo, customer = row
    return LinkHolder(holder_of(customer, partner), partner, logo or "")


def survey_of(
    session: Session, actor: Actor, now: datetime, visit_id: int, asked: Sequence[int] | None = None
) -> Survey:
    """Return the survey of a visit of the customer ``actor`` as it stands at ``now`` (an instant).

    ``asked`` are the keys of the wordings that a form was made from, which it then shows again; else they are those of
    today. Raises ``NotFound`` for a visit that is out of the scope or was not completed.
    """
    query = (
        select(Appointment)
        .where(Appointment.id == visit_id)
        .options(joinedload(Appointment.job).joinedload(Job.service_type), joinedload(Appointment.technician))
    )
    visit = session.scalars(query).one_or_none() if 0 < visit_id <= MAX_KEY else None
    if visit is None:
        raise NotFound
    demand_complete(visit)
    survey = survey_about(session, actor, now, visit)
    return replace(survey, questions=_wordings(session, visit.partner_id, asked)) if survey.is_open else survey


def survey_about(session: Session, actor: Actor, now: datetime, visit: Appointment) -> Survey:
    """Return how the survey of a completed ``visit`` stands for its customer ``actor``, without its questions.

    Three statements at most.
    """
    answered = (
        select(SurveyResponse)
        .where(SurveyResponse.appointment_id == visit.id)
        .options(selectinload(SurveyResponse.answers))
    )
    response = session.scalars(answered).one_or_none()
    if response is not None:
        return Survey(visit, [], response, None)
    refusal = closed(settings_of(session, visit.partner_id), visit, now)
    if refusal is None and visit.partner_id in actor.suspended:
        refusal = suspended()
    return Survey(visit, [], None, refusal)


def _wordings(session: Session, partner_id: int, asked: Sequence[int] | None) -> list[SurveyWording]:
    if asked is not None:
        query = select(SurveyWording).where(SurveyWording.partner_id == partner_id, SurveyWording.id.in_(asked))
        return sorted(session.scalars(query), key=lambda wording: asked.index(wording.id))
    questions = (
        select(SurveyQuestion)
        .where(SurveyQuestion.partner_id == partner_id, SurveyQuestion.active.is_(True))
        .order_by(*QUESTIONS_BY["order"])
    )
    return [question.wording for question in session.scalars(questions)]


def list_questions(
    session: Session, active: bool | None, order: Order, cursor: Cursor | None, limit: int = PAGE_ROWS
) -> Page[SurveyQuestion]:
    """Return a page of the partner's questions; ``active=None`` for all. One statement."""
    query = select(SurveyQuestion)
    if active is not None:
        query = query.where(SurveyQuestion.active.is_(active))
    return page_of(session, query, order, cursor, limit)


def list_responses(
    session: Session,
    wanted: ResponseFilter,
    zone: ZoneInfo,
    order: Order = NEWEST_FIRST,
    cursor: Cursor | None = None,
    limit: int = PAGE_ROWS,
) -> Page[SurveyResponse]:
    """Return a page of responses with job, customer, technician and answers; dates are those of ``zone``.

    Two statements.
    """
    query = _narrowed(select(SurveyResponse), wanted, zone).options(
        selectinload(SurveyResponse.answers),
        joinedload(SurveyResponse.job),
        joinedload(SurveyResponse.customer),
        joinedload(SurveyResponse.technician),
    )
    return page_of(session, query, order, cursor, limit)


def results(session: Session, wanted: ResponseFilter, zone: ZoneInfo, today: date) -> Results:
    """Return what the responses of a filter come to; three statements, however many there are.

    ``today`` is the date in ``zone``. Without dates the periods are the last weeks, up to and with this one.
    """
    by_rating = dict.fromkeys(RATINGS, 0)
    people: dict[tuple[str, int] | None, dict[int, int]] = {}
    counts = _narrowed(
        select(Technician.name, SurveyResponse.technician_id, SurveyResponse.rating, func.count(SurveyResponse.id))
        .select_from(SurveyResponse)
        .outerjoin(Technician, Technician.id == SurveyResponse.technician_id),
        wanted,
        zone,
    ).group_by(Technician.name, SurveyResponse.technician_id, SurveyResponse.rating)
    for name, key, rating, number in session.execute(counts):
        by_rating[rating] += number
        people.setdefault(None if key is None else (name, key), {})[rating] = number
    named = sorted(people, key=lambda one: (one is None, one or ("", 0)))
    periods, monthly = _periods(wanted, zone, today)
    return Results(
        overall=_score(by_rating),
        by_rating=by_rating,
        by_technician=[(one[0] if one else None, _score(people[one])) for one in named],
        by_question=_by_question(session, wanted, zone),
        periods=_scores_of(session, wanted, zone, periods),
        monthly=monthly,
    )


def score_over_time(session: Session, zone: ZoneInfo, today: date) -> list[Period]:
    """Return the score of each of the last weeks, up to and with that of ``today``, a date in ``zone``.

    One statement.
    """
    everything = ResponseFilter()
    return _scores_of(session, everything, zone, _periods(everything, zone, today)[0])


def _by_question(session: Session, wanted: ResponseFilter, zone: ZoneInfo) -> list[tuple[str, Score]]:
    query = _narrowed(
        select(SurveyWording.words, func.count(SurveyAnswer.id), func.avg(SurveyAnswer.rating))
        .select_from(SurveyResponse)
        .join(SurveyAnswer, SurveyAnswer.response_id == SurveyResponse.id)
        .join(SurveyWording, SurveyWording.id == SurveyAnswer.wording_id),
        wanted,
        zone,
    ).where(SurveyWording.kind == QuestionKind.RATING.value)
    query = query.group_by(SurveyWording.words).order_by(SurveyWording.words)
    return [(words, Score(number, float(average))) for words, number, average in session.execute(query)]


def _periods(wanted: ResponseFilter, zone: ZoneInfo, today: date) -> tuple[list[tuple[date, date]], bool]:
    """Return the weeks, from Monday, or months that the dates of ``wanted`` touch, and which of the two they are."""
    last = min(wanted.last or today, today)
    first = wanted.first or monday_of(last) - (WEEKS_SHOWN - 1) * WEEK
    if first > last:
        return [], False
    weeks = (monday_of(last) - monday_of(first)) // WEEK + 1
    if weeks <= MOST_WEEKS:
        begins = [monday_of(first) + number * WEEK for number in range(weeks)]
        return [(max(begin, first), min(begin + WEEK - timedelta(days=1), last)) for begin in begins], False
    months = [last.replace(day=1)]
    while months[-1] > first and len(months) < MOST_MONTHS:
        months.append((months[-1] - timedelta(days=1)).replace(day=1))
    ends = [last, *(begin - timedelta(days=1) for begin in months[:-1])]
    return [(max(begin, first), end) for begin, end in zip(months, ends, strict=True)][::-1], True


def monday_of(day: date) -> date:
    """Return the first day of the week of ``day``."""
    return day - timedelta(days=day.weekday())


def _scores_of(
    session: Session, wanted: ResponseFilter, zone: ZoneInfo, periods: Sequence[tuple[date, date]]
) -> list[Period]:
    if not periods:
        return []
    since = day_span(periods[0][0], zone)[0]
    ends = [day_span(last, zone)[1] for _, last in periods]
    number: ColumnElement[int] = (
        case(
            *((SurveyResponse.answered_at < end, literal(index)) for index, end in enumerate(ends[:-1])),
            else_=literal(len(ends) - 1),
        )
        if len(ends) > 1
        else literal(0)
    )
    inner = (
        _narrowed(select(number.label("period"), SurveyResponse.rating.label("rating")), wanted, zone)
        .where(SurveyResponse.answered_at >= since, SurveyResponse.answered_at < ends[-1])
        .subquery()
    )
    query = select(inner.c.period, func.count(), func.avg(inner.c.rating)).group_by(inner.c.period)
    found = {index: Score(count, float(average)) for index, count, average in session.execute(query)}
    return [Period(*days, found.get(index, Score(0, None))) for index, days in enumerate(periods)]


def _narrowed(query: Select[*tuple[Any, ...]], wanted: ResponseFilter, zone: ZoneInfo) -> Select[*tuple[Any, ...]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.first is not None:
        conditions.append(SurveyResponse.answered_at >= day_span(wanted.first, zone)[0])
    if wanted.last is not None:
        conditions.append(SurveyResponse.answered_at < day_span(wanted.last, zone)[1])
    if wanted.technician_id is not None:
        conditions.append(SurveyResponse.technician_id == wanted.technician_id)
    if wanted.rating is not None:
        conditions.append(SurveyResponse.rating == wanted.rating)
    if wanted.text.strip():
        found = select(SurveyResponse.id).join(Job, Job.id == SurveyResponse.job_id)
        found = found.join(Customer, Customer.id == SurveyResponse.customer_id)
        words = words_in(wanted.text, (Job.number, Job.title, Customer.name, SurveyResponse.comment))
        conditions.append(SurveyResponse.id.in_(found.where(words)))
    return query.where(and_(*conditions)) if conditions else query


def _score(by_rating: dict[int, int]) -> Score:
    count = sum(by_rating.values())
    return Score(count, sum(rating * number for rating, number in by_rating.items()) / count if count else None)
