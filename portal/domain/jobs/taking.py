"""What a customer's move reads and writes of a job (M5): copies under the lock, by statements that are prepared.

Nothing that people do counts more at once than this: whoever wants a time waits for the one who takes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from portal.domain.base import Key
from portal.domain.errors import NotFound
from portal.domain.jobs.mechanics import telling_if_booked
from portal.domain.jobs.models import Appointment, HistoryEntry, Job, count_change
from portal.domain.lookup import MAX_KEY
from portal.domain.people.models import Partner
from portal.domain.prepared import Copies, Prepared, among
from portal.domain.requests.models import PENDING, ChangeRequest
from portal.domain.scheduling.models import ControlOverride, FeatureControls
from portal.domain.scheduling.queries import OVERRIDING, Rules, is_over_job
from portal.domain.scheduling.rules import Owner
from portal.domain.tenancy import SUSPENDED, ScopeError, check_write, scope_of
from portal.domain.unit_of_work import require_unit_of_work

_JOBS, _VISITS, _ENTRIES = Copies(Job), Copies(Appointment), Copies(HistoryEntry)
_CONTROLS, _OVERRIDES = Copies(FeatureControls), Copies(ControlOverride)


@dataclass(frozen=True, slots=True)
class Held:
    """A visit that its customer wants to move, with its locked job, all visits of that and what binds the customer.

    Job and visits are copies: what is changed on them is written by ``write`` and by nothing else. ``has_wishes`` says
    whether a change request of the job is pending.
    """

    visit: Appointment
    job: Job
    visits: Sequence[Appointment]
    rules: Rules
    has_wishes: bool
    _visit_was: Sequence[Any]
    _job_was: Sequence[Any]

    def write(self, session: Session, entry: HistoryEntry, technician: str) -> None:
        """Write what was changed on visit and job, and the history's ``entry`` about it.

        Raises ``Conflict`` where the database says that ``technician``, the name of the visit's, is booked.
        """
        for row in (self.visit, self.job, entry):
            check_write(session, row)
        connection = session.connection()
        with telling_if_booked(technician):
            _VISITS.update(connection, self.visit, _VISITS.changes(self.visit, self._visit_was))
        changes = _JOBS.changes(self.job, self._job_was)
        _JOBS.update(connection, self.job, changes)
        _ENTRIES.insert(connection, entry)
        was = _JOBS.of(self._job_was)
        count_change(session, self.job, was.status, was.technician_id)


def hold(session: Session, visit_id: int) -> Held:
    """Lock the job of a visit of the session's customer and return both as they are now; raises ``NotFound``."""
    require_unit_of_work(session)
    if not 0 < visit_id <= MAX_KEY:
        raise NotFound
    job_id, partner_id = lock_job(session, visit_id)
    # What the lock waited for is seen by a statement that begins after it.
    found = _READ.rows(session.connection(), {"job_id": job_id, "partner_id": partner_id})
    rows = [_parts_of(row) for row in found]
    job, _, controls, _, (zone, is_suspended, has_wishes) = rows[0]
    if scope_of(session).partner_ids == {partner_id}:
        # So that it need not be asked when something is written.
        session.info[SUSPENDED] = frozenset({partner_id} if is_suspended else ())
    overrides: dict[Owner, ControlOverride | None] = dict.fromkeys(OVERRIDING)
    # Of a visit there is a row for each override.
    visits = {}
    for _, visit, _, override, _ in rows:
        visits[visit] = _VISITS.of(visit)
        if any(override):
            copy = _OVERRIDES.of(override)
            overrides[copy.owner] = copy
    was, wanted = next((was, visit) for was, visit in visits.items() if visit.id == visit_id)
    rules = Rules(ZoneInfo(zone), _CONTROLS.of(controls), overrides)
    return Held(wanted, _JOBS.of(job), list(visits.values()), rules, has_wishes, was, job)


def lock_job(session: Session, visit_id: int) -> tuple[int, int]:
    """Lock the job of a visit of the session's customer until the unit of work ends; raises ``NotFound``.

    Returns its key and its partner's.
    """
    scope = scope_of(session)
    if scope.customer_ids is None:
        raise ScopeError("only a customer's session can tell whose visit it is")
    theirs = {"partners": list(scope.partner_ids), "customers": list(scope.customer_ids)}
    for job_id, partner_id in _LOCK.rows(session.connection(), {"visit_id": visit_id, **theirs}):
        return job_id, partner_id
    raise NotFound


def _locking(dialect: str) -> Select[int, int]:
    theirs = among(Job.partner_id, "partners", dialect), among(Job.customer_id, "customers", dialect)
    # A visit never changes its job, so that it can be looked up in the statement that locks.
    job_id = select(Appointment.job_id).where(Appointment.id == bindparam("visit_id")).scalar_subquery()
    return select(Job.id, Job.partner_id).where(Job.id == job_id, *theirs).with_for_update(of=Job)


def _reading(dialect: str) -> Select[*tuple[Any, ...]]:
    partner_id = bindparam("partner_id", type_=Key)
    pending = select(ChangeRequest.id).where(
        ChangeRequest.partner_id == partner_id, ChangeRequest.job_id == Job.id, ChangeRequest.status == PENDING
    )
    query = (
        select(*(column for part in _PARTS for column in part.columns))
        .add_columns(Partner.timezone, Partner.suspended_at.is_not(None), pending.exists())
        .select_from(Job)
        .join(Appointment, Appointment.job_id == Job.id)
        .join(Partner, Partner.id == Job.partner_id)
        .join(FeatureControls, FeatureControls.partner_id == Job.partner_id)
        .outerjoin(ControlOverride, is_over_job())
    )
    its_partners = [model.partner_id == partner_id for model in (Job, Appointment, FeatureControls)]
    query = query.where(Job.id == bindparam("job_id"), *its_partners)
    return query.order_by(Appointment.start_at, Appointment.id)


_LOCK, _READ = Prepared(_locking), Prepared(_reading)
_PARTS = (_JOBS, _VISITS, _CONTROLS, _OVERRIDES)
_ENDS = list(accumulate(len(part.columns) for part in _PARTS))


def _parts_of(row: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return what a row says of the job, of a visit, of the partner's controls, of an override, and the rest."""
    return [tuple(row[begin:end]) for begin, end in zip([0, *_ENDS], [*_ENDS, None], strict=True)]
