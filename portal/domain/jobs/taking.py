"""What a customer's move reads and writes of a job (M5): copies under the lock, by statements that are prepared.

Nothing that people do counts more at once than this: whoever wants a time waits for the one who takes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Select, and_, bindparam, select
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from portal.domain.actor import Actor
from portal.domain.errors import NotFound
from portal.domain.jobs.mechanics import telling_if_booked
from portal.domain.jobs.models import Appointment, HistoryEntry, Job, count_change
from portal.domain.lookup import MAX_KEY
from portal.domain.messages.services import enabled_rules, know_rules
from portal.domain.people.models import Partner, Technician
from portal.domain.prepared import Copies, Prepared, among, read, write
from portal.domain.requests.models import PENDING, ChangeRequest
from portal.domain.scheduling.models import ControlOverride, FeatureControls
from portal.domain.scheduling.queries import OVERRIDING, Rules, is_over_job, takers
from portal.domain.scheduling.rules import Owner
from portal.domain.tenancy import SUSPENDED, ScopeError, check_write, scope_of
from portal.domain.unit_of_work import connection_in

_JOBS, _VISITS, _ENTRIES = Copies(Job), Copies(Appointment), Copies(HistoryEntry)
_CONTROLS, _OVERRIDES = Copies(FeatureControls), Copies(ControlOverride)


@dataclass(frozen=True, slots=True)
class Held:
    """A visit that its customer wants to move, with its locked job, all visits of that and what binds the customer.

    Job and visits are copies: what is changed on them is written by ``write`` and by nothing else. ``takers`` are the
    names of who may take the visit by their keys, locked as well. ``has_wishes`` says whether a change request of the
    job is pending.
    """

    visit: Appointment
    job: Job
    visits: Sequence[Appointment]
    rules: Rules
    takers: Mapping[int, str]
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
        visit = _VISITS.update(self.visit, _VISITS.changes(self.visit, self._visit_was))
        job = _JOBS.update(self.job, _JOBS.changes(self.job, self._job_was))
        with telling_if_booked(technician):
            written = write(connection, visit, job, _ENTRIES.insert(entry))
        if written != [1, 1, 1]:
            raise StaleDataError(f"visit {self.visit.id} or its job is not as it was under the lock")
        was = _JOBS.values(self._job_was)
        count_change(session, self.job, was["status"], was["technician_id"])


def hold(session: Session, actor: Actor, visit_id: int) -> Held:
    """Lock the job of a visit of the customer ``actor``, and who may take that; raises ``NotFound``.

    All are returned as they are now. The message rules for what follows are read as well.
    """
    if not 0 < visit_id <= MAX_KEY:
        raise NotFound
    scope = scope_of(session)
    if scope.exception is not None:
        # A session across partners does not tell whose visits these may be.
        scope = actor.scope
    if scope.customer_ids is None:
        raise ScopeError("only a customer's scope tells whose visit it is")
    given = {"visit_id": visit_id, "partners": list(scope.partner_ids), "customers": list(scope.customer_ids)}
    # What a lock waited for is seen by a statement that begins after it.
    _, found, able, message_rules = read(
        connection_in(session), given, LOCKING_JOB, _READING, LOCKING_TAKERS, _MESSAGE_RULES
    )
    if not found:
        raise NotFound
    rows = [_parts_of(row) for row in found]
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
    know_rules(session, wanted.partner_id, message_rules)
    rules = Rules(ZoneInfo(zone), _CONTROLS.of(controls), overrides)
    return Held(wanted, _JOBS.of(job), list(visits.values()), rules, dict(able), has_wishes, was, job)


def job_of(dialect: str) -> Select[int]:
    """Return the query for the key of the job of a visit of some customers of some partners."""
    return select(Job.id).where(Job.id == _own(dialect, "job_id"))


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


def takers_of(dialect: str) -> Select[int, str]:
    """Return the query for keys and names of who may take a visit, as ``scheduling.queries.takers``."""
    kind = select(Job.service_type_id).where(Job.id == _own(dialect, "job_id")).scalar_subquery()
    return takers(_own(dialect, "partner_id"), kind, _own(dialect, "technician_id"))


def _own(dialect: str, name: str) -> Any:
    """Return a column of the visit that all this is about, for who may see it, else nothing."""
    visit = Appointment.__table__.alias().c
    its = (among(visit.partner_id, "partners", dialect), among(visit.customer_id, "customers", dialect))
    return select(visit[name]).where(visit.id == bindparam("visit_id"), *its).scalar_subquery()


LOCKING_JOB = Prepared(lambda dialect: job_of(dialect).with_for_update(of=Job))
LOCKING_TAKERS = Prepared(lambda dialect: takers_of(dialect).with_for_update(of=Technician, key_share=True))
_READING = Prepared(_reading)
_MESSAGE_RULES = Prepared(lambda dialect: enabled_rules(_own(dialect, "partner_id")))
_PARTS = (_JOBS, _VISITS, _CONTROLS, _OVERRIDES)
_ENDS = list(accumulate(len(part.columns) for part in _PARTS))


def _parts_of(row: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return what a row says of the job, of a visit, of the partner's controls, of an override, and the rest."""
    return [tuple(row[begin:end]) for begin, end in zip([0, *_ENDS], [*_ENDS, None], strict=True)]
