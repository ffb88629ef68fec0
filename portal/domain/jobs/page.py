"""One job with everything on it, as the office reads it (P12): in as many statements whatever there is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.contracts.models import Contract
from portal.domain.gathering import Gathering
from portal.domain.jobs.models import Appointment, HistoryEntry, Job
from portal.domain.jobs.queries import JobTarget, job_with_items, target_of, visits_with_technicians
from portal.domain.jobs.situations import ELSEWHERE, elsewhere_in, elsewhere_values
from portal.domain.jobs.states import INSTALLATION, TRACKED
from portal.domain.messages.models import Message, MessageAttempt
from portal.domain.notes.models import JobNote
from portal.domain.photos.models import Photo
from portal.domain.requests.models import PENDING, ChangeRequest
from portal.domain.scheduling.models import ControlOverride, FeatureControls
from portal.domain.scheduling.queries import is_over_job
from portal.domain.scheduling.rules import CONTROLS, Owner
from portal.domain.surveys.models import SurveyAnswer, SurveyResponse, SurveyWording
from portal.domain.tracking.models import Position


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the detail page shows around a job (P12), in rows with the columns of ``_parts``.

    ``history``, ``messages`` and ``responses`` come newest first; contracts by version; notes, photos and requests in
    the order they were made. ``attempts`` are those at sending the messages that did not go out at the first, the
    latest first, by the messages' keys (N4); ``answers`` those of a response, by its key. ``controls`` are the
    partner's, and ``overrides`` what the job stands under. ``position`` is the last one known of who is on the way.
    """

    history: Sequence[Any]
    messages: Sequence[Any]
    attempts: Mapping[int, Sequence[Any]]
    contracts: Sequence[Any]
    replaced: Any | None
    replacements: Sequence[Any]
    notes: Sequence[Any]
    photos: Sequence[Any]
    requests: Sequence[Any]
    responses: Sequence[Any]
    answers: Mapping[int, Sequence[Any]]
    controls: Any
    overrides: Mapping[Owner, Any]
    position: Any | None


def job_page(
    session: Session, actor: Actor, now: datetime, zone: ZoneInfo, job_id: int, workflow: str = INSTALLATION.name
) -> tuple[JobTarget, Surroundings]:
    """Return a job of ``workflow`` as of ``now`` (an instant) and what is around it; raises ``NotFound``.

    Three statements.
    """
    job = job_with_items(session, job_id, workflow)
    visits = visits_with_technicians(session, job)
    found = _around().read(session, {"job": job.id, "replaces": job.replaces_id, **elsewhere_values(visits)})
    for rows in found.values():
        rows.sort(key=lambda row: row.id)
    overrides: dict[Owner, Any] = {}
    for row in found["overrides"]:
        its = Owner.JOB if row.job_id else Owner.CUSTOMER if row.customer_id else Owner.SERVICE_TYPE
        overrides[its] = row
    around = Surroundings(
        history=found["history"][::-1],
        messages=found["messages"][::-1],
        attempts=_by("message_id", found["attempts"][::-1]),
        contracts=found["contracts"],
        replaced=next((row for row in found["linked"] if row.id == job.replaces_id), None),
        replacements=[row for row in found["linked"] if row.id != job.replaces_id],
        notes=sorted(found["notes"], key=lambda row: (row.written_at, row.id)),
        photos=sorted(found["photos"], key=lambda row: (row.taken_at, row.id)),
        requests=found["requests"],
        responses=sorted(found["responses"], key=lambda row: (row.answered_at, row.id), reverse=True),
        answers=_by("response_id", found["answers"]),
        controls=found["controls"][0],
        overrides=overrides,
        position=next(iter(found["positions"]), None),
    )
    return target_of(actor, now, zone, job, visits, elsewhere_in(found)), around


def _by(name: str, rows: Sequence[Any]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        found[getattr(row, name)].append(row)
    return found


@cache
def _around() -> Gathering:
    return Gathering(**ELSEWHERE, **_parts())


def _parts() -> dict[str, Select[*tuple[Any, ...]]]:
    key: Any = bindparam("job")
    named = {model: [getattr(model, name) for name in CONTROLS] for model in (FeatureControls, ControlOverride)}
    return {
        "history": select(
            HistoryEntry.id,
            HistoryEntry.at,
            HistoryEntry.subject,
            HistoryEntry.action,
            HistoryEntry.appointment_id,
            HistoryEntry.actor_id,
            HistoryEntry.actor_role,
            HistoryEntry.actor_name,
            HistoryEntry.before,
            HistoryEntry.after,
            HistoryEntry.reason,
        ).where(HistoryEntry.job_id == key),
        "messages": select(
            Message.id,
            Message.kind,
            Message.channel,
            Message.recipient,
            Message.status,
            Message.due_at,
            Message.sent_at,
            Message.attempts,
            Message.last_error,
        ).where(Message.job_id == key),
        "attempts": select(MessageAttempt.id, MessageAttempt.message_id, MessageAttempt.at, MessageAttempt.fault)
        .join(Message, Message.id == MessageAttempt.message_id)
        .where(
            Message.job_id == key,
            MessageAttempt.partner_id == Message.partner_id,
            (Message.attempts > 1) | (Message.last_error != ""),
        ),
        "contracts": select(
            Contract.id,
            Contract.revision,
            Contract.sent_at,
            Contract.voided_at,
            Contract.signed_at,
            Contract.signed_name,
            (Contract.paper_type != "").label("on_paper"),
        ).where(Contract.job_id == key),
        "linked": select(Job.id, Job.number).where((Job.replaces_id == key) | (Job.id == bindparam("replaces"))),
        "notes": select(JobNote.id, JobNote.words, JobNote.author_name, JobNote.written_at).where(
            JobNote.job_id == key
        ),
        "photos": select(
            Photo.id,
            Photo.caption,
            Photo.taken_at,
            Photo.added_by_name,
            Photo.shared_at.is_not(None).label("is_shared"),
        ).where(Photo.job_id == key, Photo.removed_at.is_(None)),
        "requests": select(
            ChangeRequest.id, ChangeRequest.wish, ChangeRequest.words, ChangeRequest.appointment_id
        ).where(ChangeRequest.job_id == key, ChangeRequest.status == PENDING),
        "responses": select(
            SurveyResponse.id,
            SurveyResponse.rating,
            SurveyResponse.comment,
            SurveyResponse.answered_at,
            Appointment.start_at,
        )
        .join(Appointment, Appointment.id == SurveyResponse.appointment_id)
        .where(SurveyResponse.job_id == key),
        "answers": select(
            SurveyAnswer.id, SurveyAnswer.response_id, SurveyWording.words, SurveyAnswer.rating, SurveyAnswer.text
        )
        .join(SurveyResponse, SurveyResponse.id == SurveyAnswer.response_id)
        .join(SurveyWording, SurveyWording.id == SurveyAnswer.wording_id)
        .where(SurveyResponse.job_id == key),
        "controls": select(FeatureControls.id, *named[FeatureControls])
        .join(Job, Job.partner_id == FeatureControls.partner_id)
        .where(Job.id == key),
        "overrides": select(
            ControlOverride.id, ControlOverride.job_id, ControlOverride.customer_id, *named[ControlOverride]
        )
        .join(Job, is_over_job())
        .where(Job.id == key),
        "positions": select(Position.id, Position.at, Position.latitude, Position.longitude)
        .join(Appointment, Appointment.id == Position.appointment_id)
        .where(Appointment.job_id == key, Appointment.status.in_(sorted(TRACKED))),
    }
