"""Jobs, their items, their visits and the history of both."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    event,
    inspect,
    text,
)
from sqlalchemy.orm import Mapped, Session, deferred, foreign, mapped_column, relationship

from portal.domain.base import Base, CustomerOwned, Key, Tenant, Versioned
from portal.domain.changes.models import Numbered
from portal.domain.jobs.states import (
    ACTIVE,
    APPOINTMENT,
    AT_WORK,
    EXPECTED,
    INSTALLATION,
    NEEDING_VISIT,
    ON_THE_WAY,
    SERVICE,
    TRACKED,
)
from portal.domain.people.models import Address, Customer, Technician, utc_now
from portal.domain.scheduling.models import ServiceType


def one_of(column: str, names: Any) -> str:
    """Return the SQL condition that ``column`` is one of ``names``, for check constraints."""
    return f"{column} IN ({', '.join(repr(str(name)) for name in names)})"


def queue_index(name: str, where: str, *columns: str, on_sqlite: str = "") -> Index:
    """Return an index of only the rows ``where`` says, in time order, so that a queue reads nothing but itself (P21).

    Each database has to find its condition in the statement word for word, so it may be spelled differently
    ``on_sqlite``. ``columns`` are those that another index has too, or SQLite would rather take that one.
    """
    usual, spelled = text(where), text(on_sqlite or where)
    return Index(name, "partner_id", *columns, "start_at", "id", postgresql_where=usual, sqlite_where=spelled)


APPOINTMENT_STATUSES = tuple(status.name for status in APPOINTMENT.statuses)
MAX_QUANTITY = 100_000
REPLACING = text("replaces_id IS NOT NULL")


class Job(Tenant, CustomerOwned, Versioned, Base):
    """The whole piece of work, in the workflow ``installation`` or ``service``.

    It goes with its address from one customer to another (``ON UPDATE CASCADE``), and what belongs to it goes along:
    that is how customers are merged, and nothing else changes the customer of a job.

    ``technician_id``, ``start_at`` and ``end_at`` repeat those of the visit that the lists show (the active one, else
    the latest), so that a list is read from one index; ``visit_open`` says whether that one is planned, under way or
    paused. Only ``mechanics.follow_visits`` writes them.
    """

    __tablename__ = "jobs"
    told_to_pages = False
    table_extras = (
        ForeignKeyConstraint(["partner_id", "customer_id"], ["customers.partner_id", "customers.id"]),
        ForeignKeyConstraint(
            ["partner_id", "customer_id", "address_id"],
            ["addresses.partner_id", "addresses.customer_id", "addresses.id"],
            onupdate="CASCADE",
        ),
        ForeignKeyConstraint(["partner_id", "service_type_id"], ["service_types.partner_id", "service_types.id"]),
        ForeignKeyConstraint(["partner_id", "technician_id"], ["technicians.partner_id", "technicians.id"]),
        ForeignKeyConstraint(["partner_id", "replaces_id"], ["jobs.partner_id", "jobs.id"]),
        UniqueConstraint("partner_id", "number"),
        UniqueConstraint("partner_id", "customer_id", "id"),
        CheckConstraint("workflow IN ('installation', 'service')", name="workflow"),
        CheckConstraint(
            " OR ".join(
                f"workflow = '{flow.name}' AND {one_of('status', [status.name for status in flow.statuses])}"
                for flow in (INSTALLATION, SERVICE)
            ),
            name="status",
        ),
        CheckConstraint("status <> 'REJECTED' OR length(trim(reject_reason)) > 0", name="reject_reason"),
        Index("ix_jobs_list", "partner_id", "workflow", "start_at", "id"),
        Index("ix_jobs_status", "partner_id", "workflow", "status", "start_at", "id"),
        Index("ix_jobs_technician", "partner_id", "technician_id", "start_at", "id"),
        Index("ix_jobs_customer", "partner_id", "customer_id"),
        Index("ix_jobs_replaces", "partner_id", "replaces_id", postgresql_where=REPLACING, sqlite_where=REPLACING),
        queue_index(
            "ix_jobs_needing_visit",
            f"{one_of('status', NEEDING_VISIT)} AND NOT visit_open",
            "workflow",
            "status",
            on_sqlite=f"{one_of('status', NEEDING_VISIT)} AND visit_open = 0",
        ),
    )

    customer_id: Mapped[int] = mapped_column(Key)
    workflow: Mapped[str] = mapped_column(String(20))
    number: Mapped[str] = mapped_column(String(20))
    # Both are counted, so what they were before a change has to be known.
    status: Mapped[str] = mapped_column(String(30), active_history=True)
    title: Mapped[str] = mapped_column(String(500))
    address_id: Mapped[int] = mapped_column(Key)
    service_type_id: Mapped[int] = mapped_column(Key)
    technician_id: Mapped[int | None] = mapped_column(Key, active_history=True)
    start_at: Mapped[datetime | None] = mapped_column()
    end_at: Mapped[datetime | None] = mapped_column()
    visit_open: Mapped[bool] = mapped_column(Boolean, default=False)
    notes: Mapped[str] = mapped_column(Text, default="")
    reject_reason: Mapped[str] = mapped_column(Text, default="")
    cancel_reason: Mapped[str] = mapped_column(Text, default="")
    approved_at: Mapped[datetime | None] = mapped_column()
    work_began_at: Mapped[datetime | None] = mapped_column()
    replaces_id: Mapped[int | None] = mapped_column(Key)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)

    customer: Mapped[Customer] = relationship(
        primaryjoin=lambda: foreign(Job.customer_id) == Customer.id, lazy="raise", viewonly=True
    )
    address: Mapped[Address] = relationship(
        primaryjoin=lambda: foreign(Job.address_id) == Address.id, lazy="raise", viewonly=True
    )
    service_type: Mapped[ServiceType] = relationship(
        primaryjoin=lambda: foreign(Job.service_type_id) == ServiceType.id, lazy="raise", viewonly=True
    )
    technician: Mapped[Technician | None] = relationship(
        primaryjoin=lambda: foreign(Job.technician_id) == Technician.id, lazy="raise", viewonly=True
    )
    items: Mapped[list[JobItem]] = relationship(
        primaryjoin=lambda: Job.id == foreign(JobItem.job_id),
        lazy="raise",
        viewonly=True,
        order_by=lambda: JobItem.position,
    )
    appointments: Mapped[list[Appointment]] = relationship(
        primaryjoin=lambda: Job.id == foreign(Appointment.job_id),
        lazy="raise",
        viewonly=True,
        order_by=lambda: (Appointment.start_at, Appointment.id),
    )


class JobItem(Tenant, Base):
    """A line of the job: product name and quantity (P4)."""

    __tablename__ = "job_items"
    told_to_pages = False
    table_extras = (
        ForeignKeyConstraint(["partner_id", "job_id"], ["jobs.partner_id", "jobs.id"]),
        CheckConstraint(f"quantity BETWEEN 1 AND {MAX_QUANTITY}", name="quantity"),
        CheckConstraint("length(trim(name)) > 0", name="name"),
        UniqueConstraint("job_id", "position"),
    )

    job_id: Mapped[int] = mapped_column(Key)
    position: Mapped[int] = mapped_column(Integer)
    name: Mapped[str] = mapped_column(String(200))
    quantity: Mapped[int] = mapped_column(Integer)


class Appointment(Tenant, CustomerOwned, Versioned, Base):
    """One planned visit of a job, from ``start_at`` up to ``end_at`` (instants, half-open).

    ``move_number`` rises with each move, turn-back and change of technician, so that a tap made before it is refused;
    ``occurrence`` with each move, departure, cancel and reactivation, and is part of every message's key.
    ``cancel_at`` is when a customer's pending cancel takes effect. ``cancelled_with_job`` marks those that the job's
    cancelling took along, and that its reactivation looks at. ``departure`` is drawn by lot with each setting off: the
    link to follow that way names it, and opens nothing once another or none stands here. ``signed_name`` is who signed
    when the work was complete, ``drawing`` what they drew (a PNG) with its SHA-256, "" for nothing.
    """

    __tablename__ = "appointments"
    told_to_pages = False
    table_extras = (
        ForeignKeyConstraint(
            ["partner_id", "customer_id", "job_id"],
            ["jobs.partner_id", "jobs.customer_id", "jobs.id"],
            onupdate="CASCADE",
        ),
        ForeignKeyConstraint(["partner_id", "technician_id"], ["technicians.partner_id", "technicians.id"]),
        ForeignKeyConstraint(["partner_id", "previous_id"], ["appointments.partner_id", "appointments.id"]),
        CheckConstraint(one_of("status", APPOINTMENT_STATUSES), name="status"),
        CheckConstraint("start_at < end_at", name="span"),
        CheckConstraint("window_minutes > 0", name="window"),
        CheckConstraint(
            "technician_id IS NOT NULL OR status IN ('SCHEDULED', 'CANCELLED', 'INCOMPLETE')", name="technician"
        ),
        Index("ix_appointments_job", "partner_id", "job_id"),
        Index("ix_appointments_technician", "partner_id", "technician_id", "start_at"),
        Index("ix_appointments_customer", "partner_id", "customer_id", "start_at"),
        Index("ix_appointments_start", "partner_id", "start_at", "id"),
        Index("ix_appointments_cancel_at", "cancel_at"),
        queue_index("ix_appointments_unassigned", "technician_id IS NULL AND status = 'SCHEDULED'", "technician_id"),
        queue_index("ix_appointments_expected", one_of("status", EXPECTED)),
        queue_index("ix_appointments_at_work", one_of("status", AT_WORK)),
    )

    customer_id: Mapped[int] = mapped_column(Key)
    job_id: Mapped[int] = mapped_column(Key)
    technician_id: Mapped[int | None] = mapped_column(Key)
    status: Mapped[str] = mapped_column(String(30))
    start_at: Mapped[datetime] = mapped_column()
    end_at: Mapped[datetime] = mapped_column()
    window_minutes: Mapped[int] = mapped_column(Integer)
    planned_at: Mapped[datetime] = mapped_column()
    confirmed_at: Mapped[datetime | None] = mapped_column()
    confirmed_by: Mapped[str] = mapped_column(String(20), default="")
    customer_moves: Mapped[int] = mapped_column(Integer, default=0)
    move_number: Mapped[int] = mapped_column(Integer, default=0)
    occurrence: Mapped[int] = mapped_column(Integer, default=1)
    previous_id: Mapped[int | None] = mapped_column(Key)
    on_the_way_at: Mapped[datetime | None] = mapped_column()
    eta_minutes: Mapped[int | None] = mapped_column(Integer)
    departure: Mapped[int | None] = mapped_column(Key)
    arrived_at: Mapped[datetime | None] = mapped_column()
    work_began_at: Mapped[datetime | None] = mapped_column()
    ended_at: Mapped[datetime | None] = mapped_column()
    pause_reason: Mapped[str] = mapped_column(String(80), default="")
    service_notes: Mapped[str] = mapped_column(Text, default="")
    cancel_at: Mapped[datetime | None] = mapped_column()
    cancel_reason: Mapped[str] = mapped_column(Text, default="")
    cancelled_with_job: Mapped[bool] = mapped_column(Boolean, default=False)
    signed_name: Mapped[str] = mapped_column(String(120), default="", server_default="")
    drawing_sha256: Mapped[str] = mapped_column(String(64), default="", server_default="")
    drawing: Mapped[bytes | None] = deferred(mapped_column(LargeBinary))

    job: Mapped[Job] = relationship(
        primaryjoin=lambda: foreign(Appointment.job_id) == Job.id, lazy="raise", viewonly=True
    )
    technician: Mapped[Technician | None] = relationship(
        primaryjoin=lambda: foreign(Appointment.technician_id) == Technician.id, lazy="raise", viewonly=True
    )

    @property
    def is_active(self) -> bool:
        """Whether the visit holds its time."""
        return self.status in ACTIVE

    @property
    def is_on_the_way(self) -> bool:
        """Whether the technician has set off and not arrived yet."""
        return self.status == ON_THE_WAY

    @property
    def is_tracked(self) -> bool:
        """Whether the customer may follow the technician: from setting off until work begins (C4)."""
        return self.status in TRACKED

    @property
    def is_complete(self) -> bool:
        """Whether the visit was made and its work finished."""
        return self.status == "COMPLETE"

    @property
    def is_confirmed(self) -> bool:
        """Whether somebody confirmed this start; a staff move takes it back."""
        return self.confirmed_at is not None


class HistoryEntry(Tenant, CustomerOwned, Numbered, Base):
    """Who changed what when, from which value to which, and why; written with the change and never altered.

    But for ``customer_id``, which the database lets follow a customer who was merged into another (P23).

    ``before`` and ``after`` hold the changed values as JSON: instants in ISO 8601 UTC, people by name.
    """

    __tablename__ = "history"
    told_to_pages = False
    table_extras = (
        ForeignKeyConstraint(
            ["partner_id", "customer_id", "job_id"],
            ["jobs.partner_id", "jobs.customer_id", "jobs.id"],
            onupdate="CASCADE",
        ),
        ForeignKeyConstraint(["partner_id", "appointment_id"], ["appointments.partner_id", "appointments.id"]),
        Index("ix_history_job", "partner_id", "job_id", "id"),
        Index("ix_history_feed", "partner_id", "at", "id"),
        Index("ix_history_written_in", "partner_id", "written_in"),
    )

    customer_id: Mapped[int] = mapped_column(Key)
    job_id: Mapped[int] = mapped_column(Key)
    appointment_id: Mapped[int | None] = mapped_column(Key)
    at: Mapped[datetime] = mapped_column()
    subject: Mapped[str] = mapped_column(String(20))
    action: Mapped[str] = mapped_column(String(40))
    actor_id: Mapped[int | None] = mapped_column(Key, ForeignKey("users.id"))
    actor_role: Mapped[str] = mapped_column(String(20))
    actor_name: Mapped[str] = mapped_column(String(120))
    before: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    after: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    reason: Mapped[str] = mapped_column(Text, default="")


class JobCount(Tenant, Base):
    """How many jobs of a partner have a status, with and without a technician, as of the last folding (P7)."""

    __tablename__ = "job_counts"
    told_to_pages = False
    table_extras = (UniqueConstraint("partner_id", "workflow", "status", "assigned"),)

    workflow: Mapped[str] = mapped_column(String(20))
    status: Mapped[str] = mapped_column(String(30))
    assigned: Mapped[bool] = mapped_column(Boolean)
    number: Mapped[int] = mapped_column(Integer)


class JobCountDelta(Tenant, Base):
    """One change of such a count since the last folding; appended, so that a busy partner's jobs never wait for it."""

    __tablename__ = "job_count_deltas"
    told_to_pages = False

    workflow: Mapped[str] = mapped_column(String(20))
    status: Mapped[str] = mapped_column(String(30))
    assigned: Mapped[bool] = mapped_column(Boolean)
    number: Mapped[int] = mapped_column(Integer)


@event.listens_for(Session, "before_flush")
def _history_is_append_only(session: Session, context: Any, instances: Any) -> None:
    for row in (*session.dirty, *session.deleted):
        if isinstance(row, HistoryEntry) and (row in session.deleted or session.is_modified(row)):
            raise RuntimeError("history is written once and never altered")


@event.listens_for(Session, "before_flush")
def _append_deltas(session: Session, context: Any, instances: Any) -> None:
    for row in list(session.new):
        if isinstance(row, Job):
            _append(session, row.partner_id, row.workflow, row.status, row.technician_id, 1)
    for row in list(session.dirty):
        if isinstance(row, Job):
            count_change(session, row, _before(row, "status"), _before(row, "technician_id"))


def _before(job: Job, name: str) -> Any:
    history = inspect(job).attrs[name].history
    return history.deleted[0] if history.deleted else getattr(job, name)


def count_change(session: Session, job: Job, status: str, technician_id: int | None) -> None:
    """Count ``job`` as what it is now, where it was counted with that status and technician (P7).

    A flush does so for each of its jobs; who writes past the session does it here.
    """
    if (status, technician_id is None) != (job.status, job.technician_id is None):
        _append(session, job.partner_id, job.workflow, status, technician_id, -1)
        _append(session, job.partner_id, job.workflow, job.status, job.technician_id, 1)


def _append(
    session: Session, partner_id: int, workflow: str, status: str, technician_id: int | None, number: int
) -> None:
    session.add(
        JobCountDelta(
            partner_id=partner_id,
            workflow=workflow,
            status=status,
            assigned=technician_id is not None,
            number=number,
        )
    )
