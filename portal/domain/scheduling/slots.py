"""Free times over plain values (M4, ``scheduling.md``): calendars and rules in, offered and refused starts out."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import accumulate, chain
from operator import sub
from typing import NamedTuple
from zoneinfo import ZoneInfo

from portal.domain.errors import Refusal, sentence
from portal.domain.scheduling.zones import day_span, instant_at_or_after, local_day

DAY_MINUTES = 24 * 60
NOTHING = timedelta(0)
# How far a visit and the buffers of another could be apart and yet be in each other's way.
NEAR = timedelta(days=1)
# What is in the way of one technician; every other refusal is as true of all who work the same week.
OF_ONE = frozenset({"time_off", "booked", "buffer"})


class Span(NamedTuple):
    """From ``start`` up to ``end`` (instants, half-open)."""

    start: datetime
    end: datetime

    def overlaps(self, other: Span) -> bool:
        """Whether the two share an instant."""
        return self.start < other.end and other.start < self.end


class Booked(NamedTuple):
    """Somebody's active visit with the buffers of its service type."""

    visit: Span
    before: timedelta = NOTHING
    after: timedelta = NOTHING


class Agenda:
    """A technician's active visits, in time order: from ``starts`` to ``ends`` (instants) with their ``buffers``.

    Kept by column, since those of many people are tens of thousands. They never overlap, so that ordered by start they
    are ordered by end too.
    """

    __slots__ = ("_buffers", "_ends", "_starts", "_until")

    def __init__(
        self,
        starts: Sequence[datetime] = (),
        ends: Sequence[datetime] = (),
        buffers: Sequence[tuple[timedelta, timedelta]] = (),
    ) -> None:
        """Take the visits in any order; ``buffers`` are those before and after each."""
        order = sorted(range(len(starts)), key=starts.__getitem__)
        self._starts, self._ends = [starts[at] for at in order], [ends[at] for at in order]
        self._buffers = [buffers[at] for at in order]
        # How long all those take that come before the one at that place.
        self._until: list[timedelta] = list(accumulate(map(sub, self._ends, self._starts), initial=NOTHING))

    @classmethod
    def of(cls, booked: Iterable[Booked]) -> Agenda:
        """Return the agenda of ``booked``."""
        entries = list(booked)
        return cls(
            [entry.visit.start for entry in entries],
            [entry.visit.end for entry in entries],
            [(entry.before, entry.after) for entry in entries],
        )

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[Booked]:
        return (self._at(place) for place in range(len(self)))

    def _at(self, place: int) -> Booked:
        return Booked(Span(self._starts[place], self._ends[place]), *self._buffers[place])

    def near(self, span: Span, reach: timedelta) -> list[Booked]:
        """Return the visits that could touch ``span`` when both are widened by ``reach``."""
        first = bisect_right(self._ends, span.start - reach)
        after = bisect_right(self._starts, span.end + reach, first)
        return [self._at(place) for place in range(first, after)]

    def within(self, span: Span) -> timedelta:
        """Return how much of ``span`` is booked."""
        first = bisect_right(self._ends, span.start)
        after = bisect_left(self._starts, span.end, first)
        if first == after:
            return NOTHING
        outside = max(NOTHING, span.start - self._starts[first]) + max(NOTHING, self._ends[after - 1] - span.end)
        return self._until[after] - self._until[first] - outside


@dataclass(frozen=True, slots=True)
class Ability:
    """A skill as the search knows it: its key, and its name for the sentence that says who lacks it."""

    key: int
    name: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be placed: how long the visit is, its buffers, the step of its starts, and every skill it needs."""

    duration: timedelta
    before: timedelta = NOTHING
    after: timedelta = NOTHING
    step: timedelta = timedelta(minutes=30)
    skills: tuple[Ability, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """The instants and dates between which a customer may choose; staff are bound by neither.

    A start exactly at ``earliest`` is allowed; ``last_day`` is the last local date of the horizon, wholly included.
    """

    earliest: datetime
    last_day: date | None = None


@dataclass(frozen=True)
class Calendar:
    """One technician's time: ``hours`` maps a weekday (0 is Monday) to stretches in wall-clock minutes.

    ``skills`` are the keys of what they can do.
    """

    technician_id: int
    name: str
    hours: Mapping[int, Sequence[tuple[int, int]]]
    time_off: Sequence[Span] = ()
    booked: Agenda = field(default_factory=Agenda)
    skills: frozenset[int] = frozenset()

    def stretches(self, day: date, zone: ZoneInfo) -> list[Span]:
        """Return the working hours of a local date as instants; a clock change keeps their wall-clock ends."""
        spans = []
        for start, end in self.hours.get(day.weekday(), ()):
            span = Span(_wall(day, start, zone), _wall(day, end, zone))
            if span.start < span.end:
                spans.append(span)
        return spans

    def taken(self, wanted: Wanted, span: Span) -> list[tuple[datetime, datetime]]:
        """Return between which instants, themselves left out, no start within ``span`` is free of visits and absences.

        The same as ``time_refusal`` finds for one start after the other, but for holidays and working hours.
        """
        around = wanted.duration + wanted.after
        between = [
            (entry.visit.start - entry.before - around, entry.visit.end + entry.after + wanted.before)
            for entry in self.booked.near(span, NEAR)
        ]
        between += [(absence.start - wanted.duration, absence.end) for absence in self.time_off]
        return between


@dataclass(frozen=True, slots=True)
class Slot:
    """A candidate start (UTC instant): offered with the technician who would take it, or refused with the reason."""

    start: datetime
    technician_id: int | None
    refusal: Refusal | None = None


def obstacles(calendar: Calendar, visit: Span, zone: ZoneInfo, holidays: frozenset[date]) -> Iterator[str]:
    """Yield what keeps ``visit`` from being worked, whatever else is booked, in the order in which it is told.

    ``holiday``, ``outside_hours`` and ``time_off``, each at most once.
    """
    first, last = local_day(visit.start, zone), local_day(visit.end - timedelta(microseconds=1), zone)
    # Three dates where a visit of 24 hours reaches over a date that lasts 23.
    days = {first + timedelta(days=ahead) for ahead in range((last - first).days + 1)}
    if not holidays.isdisjoint(days):
        yield "holiday"
    if not _inside(visit, [stretch for day in days for stretch in calendar.stretches(day, zone)]):
        yield "outside_hours"
    if any(visit.overlaps(absence) for absence in calendar.time_off):
        yield "time_off"


def refusal_for(
    calendar: Calendar,
    wanted: Wanted,
    start: datetime,
    zone: ZoneInfo,
    holidays: frozenset[date] = frozenset(),
    limits: Limits | None = None,
) -> Refusal | None:
    """Say why ``start`` (an instant) is not free for this technician, or ``None`` if it is."""
    refusal = skill_refusal(calendar, wanted)
    if refusal is None and limits is not None:
        refusal = _beyond(limits, start, zone)
    return refusal or time_refusal(calendar, wanted, start, zone, holidays)


def skill_refusal(calendar: Calendar, wanted: Wanted) -> Refusal | None:
    """Say which skill this technician lacks for what is wanted, at whatever time; ``None`` if they have every one."""
    lacking = next((skill for skill in wanted.skills if skill.key not in calendar.skills), None)
    if lacking is None:
        return None
    return Refusal("skill", sentence("%(name)s lacks the skill “%(skill)s”.", name=calendar.name, skill=lacking.name))


def time_refusal(
    calendar: Calendar, wanted: Wanted, start: datetime, zone: ZoneInfo, holidays: frozenset[date] = frozenset()
) -> Refusal | None:
    """Say why ``start`` (an instant) does not suit this technician's time, whatever they can do and whoever asks."""
    obstacle = next(obstacles(calendar, Span(start, start + wanted.duration), zone, holidays), None)
    if obstacle is not None:
        return _refusal(obstacle, calendar.name)
    return booking_refusal(calendar, wanted, start)


def booking_refusal(calendar: Calendar, wanted: Wanted, start: datetime) -> Refusal | None:
    """Say whether another visit, or its buffers, is in the way at ``start``; buffers of neighbours add up."""
    visit = Span(start, start + wanted.duration)
    near = None
    for entry in calendar.booked.near(visit, NEAR):
        if visit.overlaps(entry.visit):
            return Refusal("booked", sentence("%(name)s is booked at that time.", name=calendar.name))
        gap_before = visit.start - entry.visit.end if entry.visit.end <= visit.start else None
        gap_after = entry.visit.start - visit.end if entry.visit.start >= visit.end else None
        if gap_before is not None and gap_before < entry.after + wanted.before:
            near = entry
        if gap_after is not None and gap_after < wanted.after + entry.before:
            near = entry
    if near is not None:
        return Refusal("buffer", sentence("That is too close to another visit of %(name)s.", name=calendar.name))
    return None


def free_times(
    calendars: Sequence[Calendar],
    wanted: Wanted,
    days: Iterable[date],
    zone: ZoneInfo,
    holidays: frozenset[date] = frozenset(),
    limits: Limits | None = None,
    only: datetime | None = None,
) -> list[Slot]:
    """Return every candidate start of ``days`` (local dates), offered or refused, in time order.

    As ``free_times_by_day``.
    """
    found = free_times_by_day(calendars, wanted, days, zone, holidays, limits, only)
    return sorted(chain.from_iterable(found.values()), key=lambda slot: slot.start)


def free_times_by_day(
    calendars: Sequence[Calendar],
    wanted: Wanted,
    days: Iterable[date],
    zone: ZoneInfo,
    holidays: frozenset[date] = frozenset(),
    limits: Limits | None = None,
    only: datetime | None = None,
) -> dict[date, list[Slot]]:
    """Return for each of ``days`` (local dates) every candidate start, offered or refused, in time order.

    With ``only`` (an instant) just the candidate that starts then, if one does: the same slot, found sooner.

    Candidates count in steps from the start of each stretch of working hours, in elapsed time. Where several
    technicians are free the one with the least booked that day takes it, ties by name. Those who lack a skill count
    only where nobody has every one: then each of their times is refused for it.
    """
    able = [calendar for calendar in calendars if skill_refusal(calendar, wanted) is None] or calendars
    by_name = sorted(able, key=lambda one: (one.name, one.technician_id))
    found: dict[date, list[Slot]] = {}
    for day in days:
        slots: dict[datetime, Slot] = {}
        span = Span(*day_span(day, zone))
        # Most share one week, so that what follows from it alone is worked out once for all of them.
        weeks: dict[tuple[tuple[int, int], ...], list[datetime]] = {}
        for calendar in sorted(by_name, key=lambda one: one.booked.within(span)):
            stretches = tuple(calendar.hours.get(day.weekday(), ()))
            if stretches not in weeks:
                starts = _candidates(calendar, wanted, day, zone)
                weeks[stretches] = sorted(start for start in starts if only is None or start == only)
            open_starts = weeks[stretches]
            if not open_starts:
                continue
            covered: set[datetime] = set()
            for after, before in calendar.taken(wanted, Span(span.start, open_starts[-1] + wanted.duration)):
                covered.update(open_starts[bisect_right(open_starts, after) : bisect_left(open_starts, before)])
            if len(covered) == len(open_starts) and slots.keys() >= covered:
                continue
            left = []
            for start in open_starts:
                known = slots.get(start)
                if known is not None and known.refusal is None:
                    continue
                if known is not None and start in covered:
                    left.append(start)
                    continue
                refusal = refusal_for(calendar, wanted, start, zone, holidays, limits)
                if refusal is None:
                    slots[start] = Slot(start, calendar.technician_id)
                else:
                    slots.setdefault(start, Slot(start, None, refusal))
                    if refusal.code in OF_ONE:
                        left.append(start)
            weeks[stretches] = left
        found[day] = [slots[start] for start in sorted(slots)]
    return found


def _candidates(calendar: Calendar, wanted: Wanted, day: date, zone: ZoneInfo) -> Iterable[datetime]:
    for stretch in calendar.stretches(day, zone):
        start = stretch.start
        while start < stretch.end:
            yield start
            start += wanted.step


def _refusal(code: str, name: str) -> Refusal:
    texts = {
        "holiday": sentence("That day is a holiday."),
        "outside_hours": sentence("The visit would not lie inside the working hours of %(name)s.", name=name),
        "time_off": sentence("%(name)s is off at that time.", name=name),
    }
    return Refusal(code, texts[code])


def _inside(visit: Span, stretches: Iterable[Span]) -> bool:
    # Stretches that adjoin are one: a night's work is written as one until midnight and one from it on.
    covered = visit.start
    for stretch in sorted(stretches):
        if stretch.start <= covered < stretch.end:
            covered = stretch.end
    return covered >= visit.end


def _beyond(limits: Limits, start: datetime, zone: ZoneInfo) -> Refusal | None:
    if start < limits.earliest:
        return Refusal("notice", sentence("That is too soon; the earliest start is %(start)s.", start=limits.earliest))
    if limits.last_day is not None and local_day(start, zone) > limits.last_day:
        return Refusal("horizon", sentence("That is too far ahead; the last day is %(day)s.", day=limits.last_day))
    return None


def _wall(day: date, minute: int, zone: ZoneInfo) -> datetime:
    if minute == DAY_MINUTES:
        return day_span(day, zone)[1]
    return instant_at_or_after(day, time(minute // 60, minute % 60), zone)
