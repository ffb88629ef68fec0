"""The record of the worker's periodic jobs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from portal.domain.base import Base


class BackgroundJob(Base):
    """A periodic job of the worker: its last run, how long it took (milliseconds), how it ended, when it runs next."""

    __tablename__ = "background_jobs"

    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    started_at: Mapped[datetime | None] = mapped_column()
    duration_ms: Mapped[int | None] = mapped_column(Integer)
    outcome: Mapped[str] = mapped_column(String(10), default="")
    detail: Mapped[str] = mapped_column(Text, default="")
    next_run_at: Mapped[datetime | None] = mapped_column()
