"""Asking a customer: decided in the transaction that completes the visit, looked at again before it is sent (J6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.errors import Refusal, sentence
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.states import WORK_DONE
from portal.domain.messages.models import Message, MessageKind, MessageStatus
from portal.domain.messages.services import announce
from portal.domain.surveys.models import SurveyResponse, SurveySettings

# For so long after the visit ended it can be answered: long enough for a holiday, short enough to remember the visit.
OPEN_FOR = timedelta(days=60)

ANSWERED = Refusal("answered", sentence("The survey was answered."))
OVER = Refusal("over", sentence("The time for answering the survey is over."))
OFF = Refusal("off", sentence("The company does not ask for ratings at present."))
INACTIVE = Refusal("inactive", sentence("The customer is no longer active."))
NOT_ASKED = Refusal("not_asked", sentence("The first request was not sent."))


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known about the survey of the visit that a message asks about.

    ``settings`` are the partner's, ``None`` for a partner without; ``requests`` the first requests about the visit.
    """

    settings: SurveySettings | None
    answered: bool
    requests: Sequence[Message] = ()


def settings_of(session: Session, partner_id: int) -> SurveySettings | None:
    """Return when a partner asks, or ``None`` where that was never set up; one statement."""
    return session.scalars(select(SurveySettings).where(SurveySettings.partner_id == partner_id)).one_or_none()


def ask_customer(session: Session, job: Job, visit: Appointment, now: datetime) -> None:
    """Make the customer due one survey request where completing ``visit`` at ``now`` (an instant) finished ``job``.

    It is due after the partner's delay; so is, after its own, the one that reminds of it. The job is locked.
    """
    if job.status not in WORK_DONE:
        return
    settings = settings_of(session, visit.partner_id)
    if settings is None or not settings.enabled:
        return
    due_at = now + timedelta(hours=settings.delay_hours)
    announce(session, MessageKind.SURVEY, visit, now, due_at=due_at)
    if settings.nudges:
        announce(session, MessageKind.SURVEY_NUDGE, visit, now, due_at=due_at + timedelta(days=settings.nudge_days))


def closed(settings: SurveySettings | None, visit: Appointment, now: datetime) -> Refusal | None:
    """Say why a completed ``visit`` cannot be rated any more at ``now`` (an instant), or ``None`` if it can."""
    if settings is None or not settings.enabled:
        return OFF
    return OVER if visit.ended_at is None or now >= open_until(visit.ended_at) else None


def open_until(ended_at: datetime) -> datetime:
    """Return until when (an instant, excluded) a visit that ended then can be rated."""
    return ended_at + OPEN_FOR


def asked_about(session: Session, message: Message) -> Asked:
    """Return what is known as of now about the survey that ``message`` asks to answer; two or three statements."""
    response = select(SurveyResponse.id).where(SurveyResponse.appointment_id == message.appointment_id)
    answered = session.scalars(response).first() is not None
    requests: Sequence[Message] = ()
    if message.kind == MessageKind.SURVEY_NUDGE:
        # By job, since that has an index.
        query = select(Message).where(
            Message.partner_id == message.partner_id,
            Message.job_id == message.job_id,
            Message.appointment_id == message.appointment_id,
            Message.kind == MessageKind.SURVEY.value,
        )
        requests = list(session.scalars(query))
    return Asked(settings_of(session, message.partner_id), answered, requests)


def no_longer_asked(
    message: Message, visit: Appointment, asked: Asked, now: datetime, is_active: bool
) -> Refusal | None:
    """Say why a request for an answer, or the one that reminds of it, is not to be sent at ``now``, or ``None``.

    ``is_active``: whether the customer still is one.
    """
    if asked.answered:
        return ANSWERED
    if not is_active:
        return INACTIVE
    refusal = closed(asked.settings, visit, now)
    if refusal is not None or message.kind != MessageKind.SURVEY_NUDGE:
        return refusal
    if asked.settings is not None and not asked.settings.nudges:
        return OFF
    underway = {MessageStatus.PENDING.value, MessageStatus.SENT.value}
    return None if any(request.status in underway for request in asked.requests) else NOT_ASKED


def nudge_waits_until(message: Message, asked: Asked, now: datetime) -> datetime | None:
    """Return until when a reminder of a survey waits, so that it never comes on the heels of what it reminds of.

    ``None`` if it need not; both instants. After an outage the first request may have gone out late, or not yet.
    """
    if message.kind != MessageKind.SURVEY_NUDGE or asked.settings is None:
        return None
    pause = timedelta(days=asked.settings.nudge_days)
    sent = [request.sent_at for request in asked.requests if request.sent_at is not None]
    earliest = (max(sent) if sent else now) + pause
    return earliest if earliest > now else None
