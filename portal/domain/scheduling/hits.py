"""Which coming visits a change of hours, time off, holidays or people makes impossible, over plain values (P21).

One function, ``reasons``, says what is wrong with a visit under a rota; what a change does is the difference between
the rota before and after it. A visit that staff put outside of hours on purpose is therefore not brought up again by a
change that has nothing to do with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from zoneinfo import ZoneInfo

from portal.domain.scheduling.slots import Calendar, Span, obstacles

# A weekday (0 is Monday) to stretches in wall-clock minutes, as in ``slots.Calendar``.
Week = Mapping[int, Sequence[tuple[int, int]]]


class Reason(StrEnum):
    """Why a visit cannot be as it is planned, the most telling first."""

    INACTIVE = "inactive"
    HOLIDAY = "holiday"
    TIME_OFF = "time_off"
    HOURS = "outside_hours"


@dataclass(frozen=True, slots=True)
class ComingVisit:
    """A visit that holds its time and is not over; ``move_number`` tells whether it was moved or reassigned since."""

    id: int
    job_id: int
    technician_id: int | None
    span: Span
    move_number: int


@dataclass(frozen=True)
class Rota:
    """When a partner's people work: its own week, those of technicians who have one, who is off or gone, holidays."""

    zone: ZoneInfo
    week: Week
    own: Mapping[int, Week] = field(default_factory=dict)
    time_off: Mapping[int, Sequence[Span]] = field(default_factory=dict)
    holidays: frozenset[date] = frozenset()
    inactive: frozenset[int] = frozenset()

    def calendar_of(self, technician_id: int) -> Calendar:
        """Return when a technician works; one without a week of their own works the partner's."""
        hours = self.own.get(technician_id) or self.week
        return Calendar(technician_id, "", hours, self.time_off.get(technician_id, ()))


def reasons(visit: ComingVisit, rota: Rota) -> frozenset[Reason]:
    """Return everything that keeps ``visit`` from being worked as planned under ``rota``.

    A visit without a technician is outside of hours only where nobody who is active works at its time.
    """
    if visit.technician_id is not None:
        found = {Reason(one) for one in _obstacles(visit, rota, rota.calendar_of(visit.technician_id))}
        return frozenset(found | {Reason.INACTIVE} if visit.technician_id in rota.inactive else found)
    weeks = [rota.week, *(week for key, week in rota.own.items() if key not in rota.inactive)]
    each = [set(_obstacles(visit, rota, Calendar(0, "", week))) for week in weeks]
    return frozenset(Reason(one) for one in set.intersection(*each))


def newly(visit: ComingVisit, before: Rota, after: Rota) -> frozenset[Reason]:
    """Return why a change from one rota to another makes ``visit`` impossible; nothing where it does not."""
    return reasons(visit, after) - reasons(visit, before)


def _obstacles(visit: ComingVisit, rota: Rota, calendar: Calendar) -> Iterator[str]:
    return obstacles(calendar, visit.span, rota.zone, rota.holidays)
