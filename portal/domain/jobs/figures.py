"""What the dashboard's charts are drawn from (P19): visits by day and arrivals by week, each one statement.

Both read a span of starts from one index, so that they cost what is in the span and not what the partner ever had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, case, func, literal, select
from sqlalchemy.orm import Session

from portal.domain.instants import MinutesBefore
from portal.domain.jobs.models import Appointment
from portal.domain.scheduling.zones import day_span

DAY, WEEK = timedelta(days=1), timedelta(days=7)


@dataclass(frozen=True, slots=True)
class DayFigure:
    """The visits of one local day that were not cancelled: how many, and how many of them are complete."""

    day: date
    visits: int
    complete: int


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How people arrived in the week of local dates from ``first`` to ``last``: inside the window, before, or after."""

    first: date
    last: date
    on_time: int
    early: int
    late: int

    @property
    def number(self) -> int:
        """How many arrivals there were."""
        return self.on_time + self.early + self.late

    @property
    def share(self) -> float | None:
        """Which part of them was on time, from 0 to 1; ``None`` where nobody arrived."""
        return self.on_time / self.number if self.number else None


def visits_by_day(session: Session, zone: ZoneInfo, first: date, days: int) -> list[DayFigure]:
    """Return the visits of each of ``days`` local dates of ``zone`` from ``first`` on, those without any as well."""
    dates = [first + number * DAY for number in range(days)]
    ends = [day_span(day, zone)[1] for day in dates]
    complete = func.sum(case((Appointment.status == "COMPLETE", 1), else_=0))
    found = _by_period(session, zone, first, ends, [func.count(), complete], Appointment.status != "CANCELLED")
    return [DayFigure(day, *found.get(number, (0, 0))) for number, day in enumerate(dates)]


def arrivals_by_week(session: Session, zone: ZoneInfo, today: date, weeks: int) -> list[Arrivals]:
    """Return how people arrived in each of the last ``weeks`` weeks, from Monday, up to and with that of ``today``.

    On time is inside the window that the customer read (``scheduling.md``); the week is that of the visit's start.
    """
    first = today - timedelta(days=today.weekday()) - (weeks - 1) * WEEK
    spans = [(first + number * WEEK, first + (number + 1) * WEEK - DAY) for number in range(weeks)]
    ends = [day_span(last, zone)[1] for _, last in spans]
    early = Appointment.arrived_at < Appointment.start_at
    # Said by the start, since that is a column as it is.
    late = MinutesBefore(Appointment.arrived_at, Appointment.window_minutes) > Appointment.start_at
    sums = [func.sum(case((what, 1), else_=0)) for what in (~early & ~late, early, late)]
    found = _by_period(session, zone, first, ends, sums, Appointment.arrived_at.is_not(None))
    return [Arrivals(*days, *found.get(number, (0, 0, 0))) for number, days in enumerate(spans)]


def _by_period(
    session: Session,
    zone: ZoneInfo,
    first: date,
    ends: Sequence[datetime],
    sums: Sequence[ColumnElement[Any]],
    condition: ColumnElement[bool],
) -> dict[int, tuple[int, ...]]:
    """Return ``sums`` over the visits that start in each period, by its number; ``ends`` are where periods end."""
    pieces = [(Appointment.start_at < end, literal(number)) for number, end in enumerate(ends[:-1])]
    number: ColumnElement[int] = case(*pieces, else_=literal(len(ends) - 1))
    query = (
        select(number.label("period"), *sums)
        .where(Appointment.start_at >= day_span(first, zone)[0], Appointment.start_at < ends[-1], condition)
        .group_by("period")
    )
    return {row[0]: tuple(int(value) for value in row[1:]) for row in session.execute(query)}
