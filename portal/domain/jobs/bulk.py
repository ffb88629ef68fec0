"""One decision for many jobs (P15): each row is guarded on its own, in a unit of work of its own.

These open a unit of work for each row, so they are called outside of one. What is not in the actor's scope is left out
as if nobody had named it. Sending the same twice does no harm: a row that is as it was wanted counts as done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.errors import Conflict, Invalid, NotFound, Refused, Sentence, Warned, sentence
from portal.domain.jobs import services
from portal.domain.jobs.models import Job
from portal.domain.jobs.states import INSTALLATION, WORKFLOWS
from portal.domain.lookup import find
from portal.domain.people.models import Technician
from portal.domain.unit_of_work import unit_of_work

# One decision is for so many rows at most.
MOST_ROWS = 500
REJECTED = INSTALLATION.transition("reject").targets


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the installation ``job_id``: ``why`` it was not done, or done before.

    ``warned`` is a refusal that staff may insist on.
    """

    job_id: int
    done: bool
    why: Sentence | None = None
    warned: bool = False


def check_technician(session: Session, technician_id: int) -> Technician:
    """Return whom installations are to be given to; ``NotFound`` out of scope, ``Invalid`` if not Available."""
    technician = find(session, Technician, technician_id)
    if not technician.is_available:
        raise Invalid({"technician": sentence("%(name)s is not available.", name=technician.name)})
    return technician


def assign_each(
    session: Session,
    actor: Actor,
    now: datetime,
    job_ids: Sequence[int],
    technician_id: int,
    despite_warnings: bool = False,
) -> list[Outcome]:
    """Assign each of ``job_ids`` to one technician and return what became of each, in their order.

    ``despite_warnings`` as in ``services.assign``. Raises what ``check_technician`` does before any row is touched.
    """
    name = check_technician(session, technician_id).name

    def assign(job_id: int) -> object:
        return services.assign(session, actor, now, job_id, technician_id, despite_warnings)

    def was_so(job: Job) -> Sentence | None:
        assigned = WORKFLOWS[job.workflow].transition("assign").targets
        same = job.status in assigned and job.technician_id == technician_id
        return services.already_theirs(job, name) if same else None

    return _each(session, job_ids, assign, was_so)


def reject_each(
    session: Session,
    actor: Actor,
    now: datetime,
    job_ids: Sequence[int],
    reason: str,
    reason_id: int | None = None,
) -> list[Outcome]:
    """Reject each of ``job_ids`` with one reason and return what became of each, in their order.

    ``reason_id`` as in ``services.reject``. Raises what ``rejection_reason`` does before any row is touched.
    """
    text = services.rejection_reason(session, reason, reason_id)

    def reject(job_id: int) -> object:
        return services.reject(session, actor, now, job_id, reason, reason_id)

    def was_so(job: Job) -> Sentence | None:
        same = job.status in REJECTED and job.reject_reason == text
        return sentence("It was rejected with this reason before.") if same else None

    return _each(session, job_ids, reject, was_so)


def cancel_each(session: Session, actor: Actor, now: datetime, job_ids: Sequence[int], reason: str) -> list[Outcome]:
    """Cancel each of ``job_ids`` with one reason and return what became of each, in their order.

    Raises ``Invalid`` for a blank reason before any row is touched.
    """
    text = services.cancel_reason(reason)

    def cancel(job_id: int) -> object:
        return services.cancel(session, actor, now, job_id, reason)

    def was_so(job: Job) -> Sentence | None:
        same = job.cancel_reason == text and job.status in WORKFLOWS[job.workflow].transition("cancel").targets
        return sentence("It was cancelled with this reason before.") if same else None

    return _each(session, job_ids, cancel, was_so)


def _each(
    session: Session,
    job_ids: Sequence[int],
    use_case: Callable[[int], object],
    was_so: Callable[[Job], Sentence | None],
) -> list[Outcome]:
    outcomes = []
    for job_id in job_ids:
        try:
            with unit_of_work(session):
                use_case(job_id)
        except NotFound:
            continue
        except Invalid as error:
            # A row has no fields: whatever is wrong with it is one sentence.
            why = next(iter(error.errors.values()))
            outcomes.append(Outcome(job_id, False, why, warned=isinstance(error, Warned)))
        except (Refused, Conflict) as error:
            done_before = was_so(session.scalars(select(Job).where(Job.id == job_id)).one())
            outcomes.append(Outcome(job_id, done_before is not None, done_before or error.refusal.sentence))
        else:
            outcomes.append(Outcome(job_id, True))
    return outcomes
