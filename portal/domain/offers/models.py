"""A job that the operator offers, and the offer of it to each partner (J1)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from portal.domain.base import Base, Key, Keyed, Tenant
from portal.domain.jobs.models import Job, one_of
from portal.domain.offers.states import JOB_OFFER
from portal.domain.people.models import Partner
from portal.domain.requests.dates import PreferredDate

OFFERED = JOB_OFFER.first("offer")
(ACCEPTED,) = JOB_OFFER.transition("accept").targets
ONLY_ACCEPTED = text(f"status = '{ACCEPTED}'")


class OfferedJob(Keyed, Base):
    """What is offered: work for somebody who is nobody's customer yet, to be accepted before ``expires_at``.

    It is the operator's and no partner's; a partner reads it through its own offer alone. ``wishes`` are the customer's
    preferred dates (see ``requests.dates``). ``request_id`` is the declined request it was made from, if any, and
    ``customer_user_id`` the account of who asked, which sees the job where a partner accepts. The instants ``taken_at``
    and ``withdrawn_at`` close it.
    """

    __tablename__ = "offered_jobs"
    __table_args__ = (
        CheckConstraint("length(trim(service)) > 0", name="service"),
        Index("ix_offered_jobs_expires_at", "expires_at"),
    )

    service: Mapped[str] = mapped_column(String(120))
    description: Mapped[str] = mapped_column(Text, default="")
    customer_name: Mapped[str] = mapped_column(String(120))
    customer_email: Mapped[str] = mapped_column(String(255), default="")
    customer_phone: Mapped[str] = mapped_column(String(40), default="")
    line: Mapped[str] = mapped_column(String(200))
    city: Mapped[str] = mapped_column(String(100), default="")
    postcode: Mapped[str] = mapped_column(String(20), default="")
    wishes: Mapped[list[dict[str, str]]] = mapped_column(JSON, default=list)
    notes: Mapped[str] = mapped_column(Text, default="")
    request_id: Mapped[int | None] = mapped_column(Key, ForeignKey("service_requests.id"), unique=True)
    customer_user_id: Mapped[int | None] = mapped_column(Key, ForeignKey("users.id"))
    offered_at: Mapped[datetime] = mapped_column()
    offered_by_id: Mapped[int | None] = mapped_column(Key, ForeignKey("users.id"))
    offered_by_name: Mapped[str] = mapped_column(String(120))
    expires_at: Mapped[datetime] = mapped_column()
    taken_at: Mapped[datetime | None] = mapped_column()
    withdrawn_at: Mapped[datetime | None] = mapped_column()

    @property
    def preferred(self) -> Sequence[PreferredDate]:
        """The preferred dates, first choice first."""
        return [PreferredDate.of(wish) for wish in self.wishes]

    @property
    def address(self) -> str:
        """The address in one line."""
        place = " ".join(part for part in (self.city, self.postcode) if part)
        return ", ".join(part for part in (self.line, place) if part)


class JobOffer(Tenant, Base):
    """The offer of a job to one partner, which sees no other's. ``answer`` is its reason for declining.

    Of the offers of one job at most one is accepted, which the database holds as well.
    """

    __tablename__ = "job_offers"
    table_extras = (
        ForeignKeyConstraint(["partner_id", "job_id"], ["jobs.partner_id", "jobs.id"]),
        UniqueConstraint("offered_job_id", "partner_id"),
        UniqueConstraint("job_id"),
        CheckConstraint(one_of("status", (status.name for status in JOB_OFFER.statuses)), name="status"),
        CheckConstraint("status <> 'DECLINED' OR length(trim(answer)) > 0", name="answer"),
        CheckConstraint("(status = 'ACCEPTED') = (job_id IS NOT NULL)", name="job"),
        Index(
            "uq_job_offers_accepted",
            "offered_job_id",
            unique=True,
            sqlite_where=ONLY_ACCEPTED,
            postgresql_where=ONLY_ACCEPTED,
        ),
        Index("ix_job_offers_queue", "partner_id", "status", "id"),
    )

    offered_job_id: Mapped[int] = mapped_column(Key, ForeignKey("offered_jobs.id"))
    status: Mapped[str] = mapped_column(String(20))
    answered_at: Mapped[datetime | None] = mapped_column()
    answered_by_id: Mapped[int | None] = mapped_column(Key, ForeignKey("users.id"))
    answered_by_name: Mapped[str] = mapped_column(String(120), default="")
    answer: Mapped[str] = mapped_column(Text, default="")
    job_id: Mapped[int | None] = mapped_column(Key)

    offered: Mapped[OfferedJob] = relationship(
        primaryjoin=lambda: foreign(JobOffer.offered_job_id) == OfferedJob.id, lazy="raise", viewonly=True
    )
    partner: Mapped[Partner] = relationship(
        primaryjoin=lambda: foreign(JobOffer.partner_id) == Partner.id, lazy="raise", viewonly=True
    )
    job: Mapped[Job | None] = relationship(
        primaryjoin=lambda: foreign(JobOffer.job_id) == Job.id, lazy="raise", viewonly=True
    )

    @property
    def is_open(self) -> bool:
        """Whether it waits for an answer, as far as its status goes; it may have expired a moment ago."""
        return self.status == OFFERED
