"""What customers ask the office for: a change of a visit (C6), and new service (C5)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from portal.domain.base import Base, CustomerOwned, Key, Tenant
from portal.domain.jobs.models import Appointment, Job, one_of
from portal.domain.people.models import Address, Customer, Partner, Technician
from portal.domain.requests.dates import PreferredDate
from portal.domain.requests.states import CHANGE_REQUEST, SERVICE_REQUEST
from portal.domain.scheduling.models import ServiceType

PENDING = CHANGE_REQUEST.first("request")
NEW = SERVICE_REQUEST.first("request")
(PROPOSED,) = SERVICE_REQUEST.transition("counter_propose").targets
# What somebody waits for: the office, or the customer.
WAITING = (NEW, PROPOSED)
ONLY_PENDING = text(f"status = '{PENDING}'")
(DECLINED,) = SERVICE_REQUEST.transition("decline").targets
ONLY_FOR_OTHERS = text(f"others_may AND status = '{DECLINED}'")


class Wish(StrEnum):
    """What a change request is for."""

    MOVE = "reschedule"
    CANCEL = "cancel"


class ChangeRequest(Tenant, CustomerOwned, Base):
    """A customer's wish about one visit, for the dispatcher to apply or decline.

    ``start_at`` is the visit's start when it was asked: a visit that was moved since lapses the wish. ``words`` are the
    customer's own, ``answer`` the office's reason for declining. Of one visit at most one is pending.
    """

    __tablename__ = "change_requests"
    table_extras = (
        ForeignKeyConstraint(
            ["partner_id", "customer_id", "job_id"],
            ["jobs.partner_id", "jobs.customer_id", "jobs.id"],
            # Along with its job to the customer that another becomes part of.
            onupdate="CASCADE",
        ),
        ForeignKeyConstraint(["partner_id", "appointment_id"], ["appointments.partner_id", "appointments.id"]),
        CheckConstraint(one_of("status", (status.name for status in CHANGE_REQUEST.statuses)), name="status"),
        CheckConstraint(one_of("wish", Wish), name="wish"),
        CheckConstraint("status <> 'DECLINED' OR length(trim(answer)) > 0", name="answer"),
        Index(
            "uq_change_requests_pending",
            "appointment_id",
            unique=True,
            sqlite_where=ONLY_PENDING,
            postgresql_where=ONLY_PENDING,
        ),
        Index("ix_change_requests_queue", "partner_id", "status", "id"),
        Index("ix_change_requests_customer", "partner_id", "customer_id", "id"),
        Index("ix_change_requests_job", "partner_id", "job_id"),
    )

    customer_id: Mapped[int] = mapped_column(Key)
    job_id: Mapped[int] = mapped_column(Key)
    appointment_id: Mapped[int] = mapped_column(Key)
    status: Mapped[str] = mapped_column(String(20))
    wish: Mapped[str] = mapped_column(String(20))
    words: Mapped[str] = mapped_column(Text)
    start_at: Mapped[datetime] = mapped_column()
    asked_at: Mapped[datetime] = mapped_column()
    answered_at: Mapped[datetime | None] = mapped_column()
    answered_by_id: Mapped[int | None] = mapped_column(Key, ForeignKey("users.id"))
    answer: Mapped[str] = mapped_column(Text, default="")

    job: Mapped[Job] = relationship(
        primaryjoin=lambda: foreign(ChangeRequest.job_id) == Job.id, lazy="raise", viewonly=True
    )
    visit: Mapped[Appointment] = relationship(
        primaryjoin=lambda: foreign(ChangeRequest.appointment_id) == Appointment.id, lazy="raise", viewonly=True
    )


class ServiceRequest(Tenant, CustomerOwned, Base):
    """A customer's wish for new service, for the dispatcher to convert, answer with another date, or decline (C5).

    ``wishes`` are the preferred dates as typed, first choice first (see ``dates``). ``proposed_at`` is the start (an
    instant) that the office offered last, by whom and with which technician if any; ``proposals`` counts the offers,
    so that an answer to an earlier one is refused. ``answer`` is the office's reason for declining. ``form_key`` is of
    the form that made it: one sent twice makes one request. ``others_may``: the customer allows that other partners
    are asked where this one declines (J1).

    It goes with its address from one customer to another, as a job does.
    """

    __tablename__ = "service_requests"
    table_extras = (
        ForeignKeyConstraint(
            ["partner_id", "customer_id", "address_id"],
            ["addresses.partner_id", "addresses.customer_id", "addresses.id"],
            onupdate="CASCADE",
        ),
        ForeignKeyConstraint(["partner_id", "service_type_id"], ["service_types.partner_id", "service_types.id"]),
        ForeignKeyConstraint(["partner_id", "proposed_technician_id"], ["technicians.partner_id", "technicians.id"]),
        ForeignKeyConstraint(["partner_id", "job_id"], ["jobs.partner_id", "jobs.id"]),
        UniqueConstraint("partner_id", "form_key"),
        UniqueConstraint("job_id"),
        CheckConstraint(one_of("status", (status.name for status in SERVICE_REQUEST.statuses)), name="status"),
        CheckConstraint("status <> 'DECLINED' OR length(trim(answer)) > 0", name="answer"),
        CheckConstraint("status <> 'COUNTER_PROPOSED' OR proposed_at IS NOT NULL", name="proposed"),
        CheckConstraint("(status = 'CONVERTED') = (job_id IS NOT NULL)", name="job"),
        Index("ix_service_requests_queue", "partner_id", "status", "id"),
        Index("ix_service_requests_customer", "partner_id", "customer_id", "id"),
        Index(
            "ix_service_requests_for_others",
            "id",
            sqlite_where=ONLY_FOR_OTHERS,
            postgresql_where=ONLY_FOR_OTHERS,
        ),
    )

    customer_id: Mapped[int] = mapped_column(Key)
    address_id: Mapped[int] = mapped_column(Key)
    service_type_id: Mapped[int] = mapped_column(Key)
    status: Mapped[str] = mapped_column(String(20))
    wishes: Mapped[list[dict[str, str]]] = mapped_column(JSON, default=list)
    notes: Mapped[str] = mapped_column(Text, default="")
    form_key: Mapped[str] = mapped_column(String(60))
    others_may: Mapped[bool] = mapped_column(default=False)
    asked_at: Mapped[datetime] = mapped_column()
    answered_at: Mapped[datetime | None] = mapped_column()
    answered_by_id: Mapped[int | None] = mapped_column(Key, ForeignKey("users.id"))
    answer: Mapped[str] = mapped_column(Text, default="")
    proposals: Mapped[int] = mapped_column(Integer, default=0)
    proposed_at: Mapped[datetime | None] = mapped_column()
    proposed_technician_id: Mapped[int | None] = mapped_column(Key)
    proposed_by_id: Mapped[int | None] = mapped_column(Key, ForeignKey("users.id"))
    proposed_by_name: Mapped[str] = mapped_column(String(120), default="")
    job_id: Mapped[int | None] = mapped_column(Key)

    customer: Mapped[Customer] = relationship(
        primaryjoin=lambda: foreign(ServiceRequest.customer_id) == Customer.id, lazy="raise", viewonly=True
    )
    address: Mapped[Address] = relationship(
        primaryjoin=lambda: foreign(ServiceRequest.address_id) == Address.id, lazy="raise", viewonly=True
    )
    service_type: Mapped[ServiceType] = relationship(
        primaryjoin=lambda: foreign(ServiceRequest.service_type_id) == ServiceType.id, lazy="raise", viewonly=True
    )
    technician: Mapped[Technician | None] = relationship(
        primaryjoin=lambda: foreign(ServiceRequest.proposed_technician_id) == Technician.id, lazy="raise", viewonly=True
    )
    partner: Mapped[Partner] = relationship(
        primaryjoin=lambda: foreign(ServiceRequest.partner_id) == Partner.id, lazy="raise", viewonly=True
    )
    job: Mapped[Job | None] = relationship(
        primaryjoin=lambda: foreign(ServiceRequest.job_id) == Job.id, lazy="raise", viewonly=True
    )
    photos: Mapped[list[RequestPhoto]] = relationship(
        primaryjoin=lambda: ServiceRequest.id == foreign(RequestPhoto.service_request_id),
        lazy="raise",
        viewonly=True,
        order_by=lambda: RequestPhoto.id,
    )

    @property
    def preferred(self) -> Sequence[PreferredDate]:
        """The preferred dates, first choice first."""
        return [PreferredDate.of(wish) for wish in self.wishes]

    @property
    def may_go_to_others(self) -> bool:
        """Whether its partner declined it and the customer allows that others are asked."""
        return self.others_may and self.status == DECLINED

    @property
    def is_proposed(self) -> bool:
        """Whether another date is offered and waits for the customer's answer."""
        return self.status == PROPOSED


class RequestPhoto(Tenant, CustomerOwned, Base):
    """A photo that a customer sent with a request for new service, for the office and themself to see (C5).

    ``name`` is that of its files (``photos.storage``); ``client_key`` of the form that brought it, so that one sent
    twice counts once.
    """

    __tablename__ = "request_photos"
    table_extras = (
        ForeignKeyConstraint(["partner_id", "customer_id"], ["customers.partner_id", "customers.id"]),
        ForeignKeyConstraint(
            ["partner_id", "service_request_id"], ["service_requests.partner_id", "service_requests.id"]
        ),
        UniqueConstraint("service_request_id", "client_key"),
        Index("ix_request_photos_name", "name"),
    )

    customer_id: Mapped[int] = mapped_column(Key)
    service_request_id: Mapped[int] = mapped_column(Key)
    client_key: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(80))
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    added_at: Mapped[datetime] = mapped_column()
