"""When customers are asked, the partner's questions in every wording they had, and the answers."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from portal.domain.base import Base, CustomerOwned, Key, Tenant, Versioned
from portal.domain.jobs.models import Appointment, Job, one_of
from portal.domain.people.models import Customer, Technician

MAX_WORDS = 200
RATINGS = range(1, 6)
RATING_RANGE = f"BETWEEN {RATINGS.start} AND {RATINGS.stop - 1}"


class QuestionKind(StrEnum):
    """How a question of the partner's is answered: from one to five, or in words."""

    RATING = "rating"
    TEXT = "text"


class SurveySettings(Tenant, Versioned, Base):
    """Whether and when a partner's customers are asked; a partner without such a row asks nobody.

    The request goes out ``delay_hours`` after the visit was completed; where it is not answered and ``nudges``, they
    are asked once more, ``nudge_days`` after it.
    """

    __tablename__ = "survey_settings"
    table_extras = (
        UniqueConstraint("partner_id"),
        CheckConstraint("delay_hours >= 0 AND nudge_days >= 1", name="delays"),
    )

    enabled: Mapped[bool] = mapped_column(Boolean, default=True)
    delay_hours: Mapped[int] = mapped_column(Integer, default=2)
    nudges: Mapped[bool] = mapped_column(Boolean, default=True)
    nudge_days: Mapped[int] = mapped_column(Integer, default=3)


class SurveyQuestion(Tenant, Versioned, Base):
    """A question that a partner asks beside the overall rating; ``position`` says where it stands among those asked.

    Its words are those of its wording number ``revision``; the earlier ones are kept for what was answered to them.
    """

    __tablename__ = "survey_questions"
    table_extras = (Index("ix_survey_questions_order", "partner_id", "position", "id"),)

    position: Mapped[int] = mapped_column(Integer, default=0)
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    revision: Mapped[int] = mapped_column(Integer, default=1)

    wording: Mapped[SurveyWording] = relationship(
        primaryjoin=lambda: (
            (SurveyQuestion.id == foreign(SurveyWording.question_id))
            & (SurveyQuestion.revision == foreign(SurveyWording.revision))
        ),
        uselist=False,
        lazy="joined",
        viewonly=True,
    )

    @property
    def name(self) -> str:
        """The present words, by which people know the question."""
        return self.wording.words


class SurveyWording(Tenant, Base):
    """A question as it was asked from one change of its words to the next; never altered."""

    __tablename__ = "survey_wordings"
    table_extras = (
        ForeignKeyConstraint(["partner_id", "question_id"], ["survey_questions.partner_id", "survey_questions.id"]),
        UniqueConstraint("question_id", "revision"),
        CheckConstraint(one_of("kind", QuestionKind), name="kind"),
        CheckConstraint("length(trim(words)) > 0", name="words"),
    )

    question_id: Mapped[int] = mapped_column(Key)
    revision: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(String(10))
    words: Mapped[str] = mapped_column(String(MAX_WORDS))


class SurveyResponse(Tenant, CustomerOwned, Base):
    """What a customer said of one completed visit, once (C12); ``technician_id`` is who made it."""

    __tablename__ = "survey_responses"
    told_to_pages = False
    table_extras = (
        ForeignKeyConstraint(
            ["partner_id", "customer_id", "job_id"],
            ["jobs.partner_id", "jobs.customer_id", "jobs.id"],
            onupdate="CASCADE",
        ),
        ForeignKeyConstraint(["partner_id", "appointment_id"], ["appointments.partner_id", "appointments.id"]),
        ForeignKeyConstraint(["partner_id", "technician_id"], ["technicians.partner_id", "technicians.id"]),
        UniqueConstraint("appointment_id"),
        UniqueConstraint("partner_id", "customer_id", "id"),
        CheckConstraint(f"rating {RATING_RANGE}", name="rating"),
        Index("ix_survey_responses_list", "partner_id", "answered_at", "id"),
        Index("ix_survey_responses_technician", "partner_id", "technician_id", "answered_at", "id"),
        Index("ix_survey_responses_job", "partner_id", "job_id"),
    )

    customer_id: Mapped[int] = mapped_column(Key)
    job_id: Mapped[int] = mapped_column(Key)
    appointment_id: Mapped[int] = mapped_column(Key)
    technician_id: Mapped[int | None] = mapped_column(Key)
    rating: Mapped[int] = mapped_column(Integer)
    comment: Mapped[str] = mapped_column(Text, default="")
    answered_at: Mapped[datetime] = mapped_column()

    answers: Mapped[list[SurveyAnswer]] = relationship(
        primaryjoin=lambda: SurveyResponse.id == foreign(SurveyAnswer.response_id),
        lazy="raise",
        viewonly=True,
        order_by=lambda: SurveyAnswer.id,
    )
    job: Mapped[Job] = relationship(
        primaryjoin=lambda: foreign(SurveyResponse.job_id) == Job.id, lazy="raise", viewonly=True
    )
    customer: Mapped[Customer] = relationship(
        primaryjoin=lambda: foreign(SurveyResponse.customer_id) == Customer.id, lazy="raise", viewonly=True
    )
    visit: Mapped[Appointment] = relationship(
        primaryjoin=lambda: foreign(SurveyResponse.appointment_id) == Appointment.id, lazy="raise", viewonly=True
    )
    technician: Mapped[Technician | None] = relationship(
        primaryjoin=lambda: foreign(SurveyResponse.technician_id) == Technician.id, lazy="raise", viewonly=True
    )


class SurveyAnswer(Tenant, CustomerOwned, Base):
    """What was answered to one question of the partner's, in the words in which it was asked."""

    __tablename__ = "survey_answers"
    told_to_pages = False
    table_extras = (
        ForeignKeyConstraint(
            ["partner_id", "customer_id", "response_id"],
            ["survey_responses.partner_id", "survey_responses.customer_id", "survey_responses.id"],
            onupdate="CASCADE",
        ),
        ForeignKeyConstraint(["partner_id", "wording_id"], ["survey_wordings.partner_id", "survey_wordings.id"]),
        UniqueConstraint("response_id", "wording_id"),
        CheckConstraint(f"rating {RATING_RANGE}", name="rating"),
        CheckConstraint("(rating IS NULL) <> (text = '')", name="either"),
        Index("ix_survey_answers_wording", "partner_id", "wording_id"),
    )

    customer_id: Mapped[int] = mapped_column(Key)
    response_id: Mapped[int] = mapped_column(Key)
    wording_id: Mapped[int] = mapped_column(Key)
    rating: Mapped[int | None] = mapped_column(Integer)
    text: Mapped[str] = mapped_column(Text, default="")

    wording: Mapped[SurveyWording] = relationship(
        primaryjoin=lambda: foreign(SurveyAnswer.wording_id) == SurveyWording.id,
        lazy="joined",
        innerjoin=True,
        viewonly=True,
    )
