"""What a customer's move reads and writes of a job (M5): copies under the lock, by statements that are prepared.

Nothing that people do counts more at once than this: whoever wants a time waits for the one who takes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Select, and_, bindparam, select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor
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
from portal.domain.unit_of_work import connection_in

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
        connection = connection_in(session)
        with telling_if_booked(technician):
            _VISITS.update(connection, self.visit, _VISITS.changes(self.visit, self._visit_was))
        _JOBS.update(connection, self.job, _JOBS.changes(self.job, self._job_was))
        _ENTRIES.insert(connection, entry)
        was = _JOBS.values(self._job_was)
        count_change(session, self.job, was["status"], was["technician_id"])


def hold(session: Session, actor: Actor, visit_id: int) -> Held:
    """Lock the job of a visit of the customer ``actor`` and return both as they are now; raises ``NotFound``."""
    if not 0 < visit_id <= MAX_KEY:
        raise NotFound
    scope = scope_of(session)
    if scope.exception is not None:
        # A session across partners does not tell whose visits these may be.
        scope = actor.scope
    if scope.customer_ids is None:
        raise ScopeError("only a customer's scope tells whose visit it is")
    given = {"visit_id": visit_id, "partners": list(scope.partner_ids), "customers": list(scope.customer_ids)}
    connection = connection_in(session)
    if not LOCKING.rows(connection, given):
        raise NotFound
    # What the lock waited for is seen by a statement that begins after it.
    rows = [_parts_of(row) for row in _READING.rows(connection, given)]
    job, _, controls, _, (zone, is_suspended, has_wishes) = rows[0]
    if len(scope.partner_ids) == 1 and scope is scope_of(session):
        # So that it need not be asked when something is written.
        session.info[SUSPENDED] = scope.partner_ids if is_suspended else frozenset()
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


def job_of(dialect: str) -> Select[int]:
    """Return the query for the key of the job of a visit of some customers of some partners."""
    its = Job.id == select(Appointment.job_id).where(Appointment.id == bindparam("visit_id")).scalar_subquery()
    return select(Job.id).where(
        its, among(Job.partner_id, "partners", dialect), among(Job.customer_id, "customers", dialect)
    )


def _reading(dialect: str) -> Select[*tuple[Any, ...]]:
    # By the partner as well wherever there is an index for that.
    own = Appointment.__table__.alias()
    is_own = (own.c.id == bindparam("visit_id"), among(own.c.customer_id, "customers", dialect))
    pending = select(ChangeRequest.id).where(ChangeRequest.partner_id == own.c.partner_id)
    pending = pending.where(ChangeRequest.job_id == own.c.job_id, ChangeRequest.status == PENDING)
    query = (
        select(*(column for part in _PARTS for column in part.columns))
        .add_columns(Partner.timezone, Partner.suspended_at.is_not(None), pending.exists())
        .select_from(own)
        .join(Job, and_(Job.partner_id == own.c.partner_id, Job.id == own.c.job_id))
        .join(Appointment, and_(Appointment.partner_id == own.c.partner_id, Appointment.job_id == own.c.job_id))
        .join(Partner, Partner.id == own.c.partner_id)
        .join(FeatureControls, FeatureControls.partner_id == own.c.partner_id)
        .outerjoin(ControlOverride, is_over_job())
        .where(*is_own, among(own.c.partner_id, "partners", dialect))
    )
    return query.order_by(Appointment.start_at, Appointment.id)


LOCKING = Prepared(lambda dialect: job_of(dialect).with_for_update(of=Job))
_READING = Prepared(_reading)
_PARTS = (_JOBS, _VISITS, _CONTROLS, _OVERRIDES)
_ENDS = list(accumulate(len(part.columns) for part in _PARTS))


def _parts_of(row: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return what a row says of the job, of a visit, of the partner's controls, of an override, and the rest."""
    return [tuple(row[begin:end]) for begin, end in zip([0, *_ENDS], [*_ENDS, None], strict=True)]
