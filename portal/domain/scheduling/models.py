"""What free times are worked out from, and the partner's rules of self-service."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Date,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from portal.domain.base import Base, Key, Tenant, Versioned
from portal.domain.scheduling.rules import Owner

DAY_MINUTES = 24 * 60


class Skill(Tenant, Versioned, Base):
    """Something that some work needs and some technicians can; while deactivated no work needs it."""

    __tablename__ = "skills"
    table_extras = (UniqueConstraint("partner_id", "name"),)

    name: Mapped[str] = mapped_column(String(80))
    active: Mapped[bool] = mapped_column(Boolean, default=True)


class ServiceType(Tenant, Versioned, Base):
    """A kind of work with its usual duration, arrival window, step of start times and buffers, all in minutes."""

    __tablename__ = "service_types"
    table_extras = (
        UniqueConstraint("partner_id", "name"),
        CheckConstraint("duration_minutes > 0 AND window_minutes > 0 AND step_minutes > 0", name="positive"),
        CheckConstraint("buffer_before_minutes >= 0 AND buffer_after_minutes >= 0", name="buffers"),
    )

    name: Mapped[str] = mapped_column(String(80))
    duration_minutes: Mapped[int] = mapped_column(Integer, default=120)
    window_minutes: Mapped[int] = mapped_column(Integer, default=120)
    step_minutes: Mapped[int] = mapped_column(Integer, default=30)
    buffer_before_minutes: Mapped[int] = mapped_column(Integer, default=0)
    buffer_after_minutes: Mapped[int] = mapped_column(Integer, default=0)
    active: Mapped[bool] = mapped_column(Boolean, default=True)

    skill_links: Mapped[list[ServiceTypeSkill]] = relationship(
        primaryjoin=lambda: ServiceType.id == foreign(ServiceTypeSkill.service_type_id), cascade="all, delete-orphan"
    )

    @property
    def skills(self) -> list[Skill]:
        """The skills that this work needs, by name, without deactivated ones; one statement unless loaded."""
        needed = (link.skill for link in self.skill_links)
        return sorted((skill for skill in needed if skill.active), key=lambda skill: (skill.name, skill.id))

    @property
    def skill_ids(self) -> list[int]:
        """The keys of ``skills``."""
        return [skill.id for skill in self.skills]


class ServiceTypeSkill(Tenant, Base):
    """That a kind of work needs a skill."""

    __tablename__ = "service_type_skills"
    table_extras = (
        ForeignKeyConstraint(["partner_id", "service_type_id"], ["service_types.partner_id", "service_types.id"]),
        ForeignKeyConstraint(["partner_id", "skill_id"], ["skills.partner_id", "skills.id"]),
        UniqueConstraint("service_type_id", "skill_id"),
        Index("ix_service_type_skills_skill", "partner_id", "skill_id"),
    )

    service_type_id: Mapped[int] = mapped_column(Key)
    skill_id: Mapped[int] = mapped_column(Key)
    skill: Mapped[Skill] = relationship(
        primaryjoin=lambda: foreign(ServiceTypeSkill.skill_id) == Skill.id,
        lazy="joined",
        innerjoin=True,
        viewonly=True,
    )


class TechnicianSkill(Tenant, Base):
    """That a technician has a skill."""

    __tablename__ = "technician_skills"
    table_extras = (
        ForeignKeyConstraint(["partner_id", "technician_id"], ["technicians.partner_id", "technicians.id"]),
        ForeignKeyConstraint(["partner_id", "skill_id"], ["skills.partner_id", "skills.id"]),
        UniqueConstraint("technician_id", "skill_id"),
        Index("ix_technician_skills_skill", "partner_id", "skill_id"),
    )

    technician_id: Mapped[int] = mapped_column(Key)
    skill_id: Mapped[int] = mapped_column(Key)


class WorkingHours(Tenant, Base):
    """One stretch of a weekday (0 is Monday) in wall-clock minutes from midnight, in the partner's zone.

    ``technician_id`` is ``None`` for the partner's own working week, which holds for technicians without hours of
    their own.
    """

    __tablename__ = "working_hours"
    table_extras = (
        ForeignKeyConstraint(["partner_id", "technician_id"], ["technicians.partner_id", "technicians.id"]),
        CheckConstraint("weekday BETWEEN 0 AND 6", name="weekday"),
        CheckConstraint(
            f"start_minute >= 0 AND end_minute <= {DAY_MINUTES} AND start_minute < end_minute", name="stretch"
        ),
        Index("ix_working_hours_technician", "partner_id", "technician_id"),
    )

    technician_id: Mapped[int | None] = mapped_column(Key)
    weekday: Mapped[int] = mapped_column(Integer)
    start_minute: Mapped[int] = mapped_column(Integer)
    end_minute: Mapped[int] = mapped_column(Integer)


class TimeOff(Tenant, Versioned, Base):
    """A technician's absence, from ``start_at`` up to ``end_at`` (instants, half-open)."""

    __tablename__ = "time_off"
    table_extras = (
        ForeignKeyConstraint(["partner_id", "technician_id"], ["technicians.partner_id", "technicians.id"]),
        CheckConstraint("start_at < end_at", name="span"),
        Index("ix_time_off_technician", "partner_id", "technician_id", "end_at"),
    )

    technician_id: Mapped[int] = mapped_column(Key)
    start_at: Mapped[datetime] = mapped_column()
    end_at: Mapped[datetime] = mapped_column()
    note: Mapped[str] = mapped_column(String(200), default="")


class Holiday(Tenant, Versioned, Base):
    """A local date on which nobody of the partner works."""

    __tablename__ = "holidays"
    table_extras = (UniqueConstraint("partner_id", "day"),)

    day: Mapped[date] = mapped_column(Date)
    name: Mapped[str] = mapped_column(String(100), default="")


class VisitHit(Tenant, Base):
    """A coming visit that a change of hours, time off, holidays or people made impossible (P21).

    Written with that change. It counts for as long as the visit has this start and technician, holds its time and is
    not over; ``codes`` are those of ``hits.Reason``, and are taken back where a later change takes the reason back.
    """

    __tablename__ = "visit_hits"
    table_extras = (
        ForeignKeyConstraint(["partner_id", "appointment_id"], ["appointments.partner_id", "appointments.id"]),
        ForeignKeyConstraint(["partner_id", "technician_id"], ["technicians.partner_id", "technicians.id"]),
        UniqueConstraint("appointment_id"),
        Index("ix_visit_hits_start", "partner_id", "start_at", "id"),
    )

    appointment_id: Mapped[int] = mapped_column(Key)
    technician_id: Mapped[int | None] = mapped_column(Key)
    start_at: Mapped[datetime] = mapped_column()
    codes: Mapped[list[str]] = mapped_column(JSON)


class Reason(Versioned):
    """One of a partner's lists of reasons; ``position`` says where it stands among those offered."""

    label: Mapped[str] = mapped_column(String(80))
    position: Mapped[int] = mapped_column(Integer, default=0)
    active: Mapped[bool] = mapped_column(Boolean, default=True)

    @property
    def name(self) -> str:
        """The label, by which people know the reason."""
        return self.label


class PauseReason(Tenant, Reason, Base):
    """One of the partner's reasons for pausing a visit (J5)."""

    __tablename__ = "pause_reasons"
    table_extras = (UniqueConstraint("partner_id", "label"),)


class RejectReason(Tenant, Reason, Base):
    """One of the partner's reasons for rejecting an installation (P10)."""

    __tablename__ = "reject_reasons"
    table_extras = (UniqueConstraint("partner_id", "label"),)


def _sensible_controls() -> tuple[CheckConstraint, ...]:
    # Of an override, a control that is not set passes.
    return (
        CheckConstraint(
            "reschedule_cutoff_hours >= 0 AND cancel_cutoff_hours >= 0 AND notice_hours >= 0", name="hours"
        ),
        CheckConstraint("max_moves >= 0 AND horizon_days >= 1 AND cancel_undo_minutes >= 0", name="counts"),
    )


class FeatureControls(Tenant, Versioned, Base):
    """The partner's rules of Modify (M2). Hours are before the visit's start; self-service is off until switched on."""

    __tablename__ = "feature_controls"
    table_extras = (UniqueConstraint("partner_id"), *_sensible_controls())

    self_service: Mapped[bool] = mapped_column(Boolean, default=False)
    reschedule_unconfirmed: Mapped[bool] = mapped_column(Boolean, default=True)
    reschedule_confirmed: Mapped[bool] = mapped_column(Boolean, default=True)
    cancel_unconfirmed: Mapped[bool] = mapped_column(Boolean, default=True)
    cancel_confirmed: Mapped[bool] = mapped_column(Boolean, default=False)
    reschedule_cutoff_hours: Mapped[int] = mapped_column(Integer, default=24)
    cancel_cutoff_hours: Mapped[int] = mapped_column(Integer, default=48)
    max_moves: Mapped[int] = mapped_column(Integer, default=3)
    notice_hours: Mapped[int] = mapped_column(Integer, default=24)
    horizon_days: Mapped[int] = mapped_column(Integer, default=60)
    cancel_undo_minutes: Mapped[int] = mapped_column(Integer, default=10)
    own_choice_confirms: Mapped[bool] = mapped_column(Boolean, default=True)


class ControlOverride(Tenant, Versioned, Base):
    """What one service type, customer or job has in place of the partner's controls; ``None`` inherits (M2).

    A customer's session reads those of their service types, so the row is not the customer's own in the sense of C7; it
    is only ever read along with a job that is. One that sets nothing is kept, for its version.
    """

    __tablename__ = "control_overrides"
    table_extras = (
        ForeignKeyConstraint(["partner_id", "service_type_id"], ["service_types.partner_id", "service_types.id"]),
        ForeignKeyConstraint(["partner_id", "customer_id"], ["customers.partner_id", "customers.id"]),
        ForeignKeyConstraint(["partner_id", "job_id"], ["jobs.partner_id", "jobs.id"]),
        UniqueConstraint("partner_id", "service_type_id"),
        UniqueConstraint("partner_id", "customer_id"),
        UniqueConstraint("partner_id", "job_id"),
        CheckConstraint(
            "(CASE WHEN service_type_id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN customer_id IS NULL THEN 0 ELSE 1 END)"
            " + (CASE WHEN job_id IS NULL THEN 0 ELSE 1 END) = 1",
            name="one_owner",
        ),
        *_sensible_controls(),
    )

    service_type_id: Mapped[int | None] = mapped_column(Key)
    customer_id: Mapped[int | None] = mapped_column(Key)
    job_id: Mapped[int | None] = mapped_column(Key)
    self_service: Mapped[bool | None] = mapped_column(Boolean)
    reschedule_unconfirmed: Mapped[bool | None] = mapped_column(Boolean)
    reschedule_confirmed: Mapped[bool | None] = mapped_column(Boolean)
    cancel_unconfirmed: Mapped[bool | None] = mapped_column(Boolean)
    cancel_confirmed: Mapped[bool | None] = mapped_column(Boolean)
    reschedule_cutoff_hours: Mapped[int | None] = mapped_column(Integer)
    cancel_cutoff_hours: Mapped[int | None] = mapped_column(Integer)
    max_moves: Mapped[int | None] = mapped_column(Integer)
    notice_hours: Mapped[int | None] = mapped_column(Integer)
    horizon_days: Mapped[int | None] = mapped_column(Integer)
    cancel_undo_minutes: Mapped[int | None] = mapped_column(Integer)
    own_choice_confirms: Mapped[bool | None] = mapped_column(Boolean)

    @property
    def owner(self) -> Owner:
        """Whose override this is."""
        if self.job_id is not None:
            return Owner.JOB
        return Owner.CUSTOMER if self.customer_id is not None else Owner.SERVICE_TYPE

    @property
    def owner_id(self) -> int | None:
        """The key of the service type, customer or job."""
        return next((key for key in (self.job_id, self.customer_id) if key is not None), self.service_type_id)
