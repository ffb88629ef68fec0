"""What one service type, customer or job has in place of the partner's feature controls (M2), effective at once.

Changes run within one ``unit_of_work`` on rows of the session's scope; ``actor`` and ``now`` (an instant) are for the
audit trail. They raise ``NotFound`` for what is out of the scope, ``Invalid`` for input, ``Refused`` for what has
ended, and ``Conflict`` for a form from before somebody else's change; then nothing is changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session, aliased

from portal.domain.actor import Actor
from portal.domain.errors import Conflict, Refusal, Refused, changed_meanwhile, sentence
from portal.domain.jobs.models import Job
from portal.domain.jobs.states import WORKFLOWS
from portal.domain.lookup import find, lock, lock_customer
from portal.domain.paging import PAGE_ROWS, Cursor, Order, Page, page_of
from portal.domain.people.models import Customer, Partner
from portal.domain.people.services import merged_refusal
from portal.domain.scheduling.models import ControlOverride, ServiceType
from portal.domain.scheduling.queries import controls_of, overrides_in, with_overrides
from portal.domain.scheduling.rules import CONTROLS, Controls, OverrideValues, Owner, in_force
from portal.domain.scheduling.services import demand_limits
from portal.domain.settings_log.services import SettingKind, Subject, record_setting_change

NEWEST_FIRST = Order((ControlOverride.id,), descending=True)
OWNERS: Mapping[Owner, Any] = {Owner.SERVICE_TYPE: ServiceType, Owner.CUSTOMER: Customer, Owner.JOB: Job}
_COLUMNS = {
    Owner.SERVICE_TYPE: ControlOverride.service_type_id,
    Owner.CUSTOMER: ControlOverride.customer_id,
    Owner.JOB: ControlOverride.job_id,
}
_KINDS = {
    Owner.SERVICE_TYPE: SettingKind.SERVICE_TYPE_CONTROLS,
    Owner.CUSTOMER: SettingKind.CUSTOMER_CONTROLS,
    Owner.JOB: SettingKind.JOB_CONTROLS,
}
_SETS_ANYTHING = or_(*(getattr(ControlOverride, name).is_not(None) for name in CONTROLS))


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What an override would inherit: ``controls`` from whom, their ``names``, and the service types that differ.

    ``differing`` has, for a customer, the names of the service types with a value of their own, by control.
    """

    controls: Controls
    names: Mapping[Owner, str]
    differing: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Listed:
    """An override with the name of its owner; for a job its number, its customer's name and its workflow."""

    override: ControlOverride
    name: str
    customer: str | None
    workflow: str | None = None


def edit_override(
    session: Session, actor: Actor, now: datetime, owner: Owner, key: int, version: int, form: OverrideValues
) -> ControlOverride | None:
    """Set what ``owner`` with ``key`` has in place of the partner's controls, and return it.

    ``version`` is that of the form, 0 where there was no override yet. Nothing is written, and ``None`` returned, where
    there is none and nothing is set. A customer who was merged into another and a job that has ended are refused.
    """
    row = lock_customer(session, key) if owner is Owner.CUSTOMER else lock(session, OWNERS[owner], key)
    refusal = edit_refusal(session, row)
    if refusal is not None:
        raise Refused(refusal)
    override = _read(session, owner, key)
    if version != (override.version if override is not None else 0):
        raise Conflict(changed_meanwhile())
    values = asdict(form)
    demand_limits(values)
    if override is None and form == OverrideValues():
        return None
    subject = Subject(_KINDS[owner], row.partner_id, key, name_of(row))
    return _write(session, actor, now, subject, override, {_COLUMNS[owner].key: key}, values)


def edit_refusal(session: Session, row: Any) -> Refusal | None:
    """Say why a service type, customer or job may have no override of its own any more, or ``None``."""
    if isinstance(row, Customer):
        return merged_refusal(session, row)
    if isinstance(row, Job) and WORKFLOWS[row.workflow].is_end(row.status):
        return Refusal("ended", sentence("This job has ended; nothing about it is changed any more."))
    return None


def merge_overrides(session: Session, actor: Actor, now: datetime, kept: Customer, gone: Customer) -> None:
    """Let a customer who stays have the overrides of one who becomes part of them (P23), under the locks on both.

    Where both set a control, that of the one who stays holds.
    """
    theirs = _read(session, Owner.CUSTOMER, gone.id)
    if theirs is None:
        return
    own = _read(session, Owner.CUSTOMER, kept.id)
    taken = _set_by(theirs)
    subject = Subject(SettingKind.CUSTOMER_CONTROLS, kept.partner_id, gone.id, gone.name)
    record_setting_change(session, actor, now, subject, taken, {})
    session.delete(theirs)
    if taken:
        values = dict.fromkeys(CONTROLS) | taken | (_set_by(own) if own is not None else {})
        subject = Subject(SettingKind.CUSTOMER_CONTROLS, kept.partner_id, kept.id, kept.name)
        _write(session, actor, now, subject, own, {"customer_id": kept.id}, values)


def owner_row(session: Session, owner: Owner, key: int) -> Any:
    """Return the service type, customer or job; raises ``NotFound``."""
    return find(session, OWNERS[owner], key)


def name_of(row: Any) -> str:
    """Return what a service type, customer or job is called."""
    return str(row.number if isinstance(row, Job) else row.name)


def override_of(session: Session, owner: Owner, key: int) -> ControlOverride | None:
    """Return what a service type, customer or job overrides; ``None`` where it inherits everything."""
    return session.scalars(_of(owner, key).where(_SETS_ANYTHING)).one_or_none()


def version_of(session: Session, owner: Owner, key: int) -> int:
    """Return the version that a form about an override carries: 0 where there is none."""
    return session.scalars(_of(owner, key).with_only_columns(ControlOverride.version)).one_or_none() or 0


def inherited_by(session: Session, owner: Owner, row: Any) -> Inheritance:
    """Return what the override of a service type, customer or job inherits, and from whom."""
    names = {Owner.PARTNER: session.scalars(select(Partner.name).where(Partner.id == row.partner_id)).one()}
    partners = controls_of(session, row.partner_id)
    if owner is Owner.JOB:
        query = (
            select(ServiceType.name, Customer.name)
            .select_from(Job)
            .join(ServiceType, ServiceType.id == Job.service_type_id)
            .join(Customer, Customer.id == Job.customer_id)
            .where(Job.id == row.id)
        )
        found = session.execute(with_overrides(query)).all()
        names |= {Owner.SERVICE_TYPE: found[0][0], Owner.CUSTOMER: found[0][1]}
        return Inheritance(in_force(partners, overrides_in(found) | {Owner.JOB: None}), names, {})
    differing: dict[str, list[str]] = defaultdict(list)
    if owner is Owner.CUSTOMER:
        for listed in overrides_of_service_types(session):
            for name in _set_by(listed.override):
                differing[name].append(listed.name)
    return Inheritance(in_force(partners, {}), names, differing)


def overrides_of_service_types(session: Session) -> list[Listed]:
    """Return the overrides of all service types that have any, by name. One statement."""
    query = (
        select(ControlOverride, ServiceType.name)
        .join(ServiceType, ServiceType.id == ControlOverride.service_type_id)
        .where(_SETS_ANYTHING)
        .order_by(ServiceType.name, ServiceType.id)
    )
    return [Listed(override, name, None) for override, name in session.execute(query)]


def service_types_without(session: Session) -> list[ServiceType]:
    """Return the service types on offer that inherit everything, by name."""
    having = select(ControlOverride.service_type_id).where(ControlOverride.service_type_id.is_not(None), _SETS_ANYTHING)
    query = select(ServiceType).where(ServiceType.active.is_(True), ServiceType.id.not_in(having))
    return list(session.scalars(query.order_by(ServiceType.name, ServiceType.id)))


def overrides_of_customers_and_jobs(
    session: Session, cursor: Cursor | None = None, limit: int = PAGE_ROWS
) -> Page[Listed]:
    """Return a page of the overrides of customers and jobs, the newest first. One statement."""
    whose = aliased(Customer)
    query: Select[*tuple[Any, ...]] = (
        select(ControlOverride, ControlOverride.id, Customer.name, Job.number, whose.name, Job.workflow)
        .outerjoin(Customer, Customer.id == ControlOverride.customer_id)
        .outerjoin(Job, Job.id == ControlOverride.job_id)
        .outerjoin(whose, whose.id == Job.customer_id)
        .where(ControlOverride.service_type_id.is_(None), _SETS_ANYTHING)
    )
    page = page_of(session, query, NEWEST_FIRST, cursor, limit, scalars=False)
    rows = [Listed(row[0], row[2] or row[3], row[4], row[5]) for row in page.rows]
    return Page(rows, page.back, page.forward)


def _of(owner: Owner, key: int) -> Select[ControlOverride]:
    return select(ControlOverride).where(_COLUMNS[owner] == key)


def _read(session: Session, owner: Owner, key: int) -> ControlOverride | None:
    # Held by the lock on the owner; whether it sets anything or not.
    return session.scalars(_of(owner, key), execution_options={"populate_existing": True}).one_or_none()


def _write(
    session: Session,
    actor: Actor,
    now: datetime,
    subject: Subject,
    override: ControlOverride | None,
    owner: Mapping[str, int],
    values: Mapping[str, Any],
) -> ControlOverride:
    if override is None:
        override = ControlOverride(partner_id=subject.partner_id, **owner)
        session.add(override)
    before = _set_by(override)
    for name in CONTROLS:
        setattr(override, name, values[name])
    session.flush()
    record_setting_change(session, actor, now, subject, before, _set_by(override))
    return override


def _set_by(override: ControlOverride) -> dict[str, Any]:
    return {name: value for name in CONTROLS if (value := getattr(override, name)) is not None}
