"""When a message is due (``scheduling.md``, Messages): pure functions over a rule's moment, a visit and quiet hours.

``when`` is the rule. ``spans`` turns it round for the tick: visits starting when have a message due now, as ranges
that an index answers. All instants are UTC; clock times are read in the zone that comes with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from portal.domain.scheduling.zones import day_span, instant_at_or_after, local_day

# A text that waited for the end of quiet hours has to come so long before the visit.
AHEAD = timedelta(hours=1)
# "Just before they begin".
JUST_BEFORE = timedelta(minutes=1)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Moment:
    """When before or after a visit: ``days`` at ``clock`` in the partner's zone or, without, ``minutes``."""

    days: int = 0
    clock: time | None = None
    minutes: int = 0

    def of(self, start: datetime, zone: ZoneInfo) -> datetime:
        """Return the instant before a visit that starts at ``start``.

        A clock time in a missing hour is the end of the gap, in a repeated hour the first of the two.
        """
        if self.clock is None:
            return start - timedelta(minutes=self.minutes)
        return instant_at_or_after(local_day(start, zone) - timedelta(days=self.days), self.clock, zone)

    def after(self, end: datetime, zone: ZoneInfo) -> datetime:
        """Return the instant after a visit that came to its end at ``end``; clock times as in ``of``."""
        if self.clock is None:
            return end + timedelta(minutes=self.minutes)
        return instant_at_or_after(local_day(end, zone) + timedelta(days=self.days), self.clock, zone)


@dataclass(frozen=True, slots=True)
class Quiet:
    """Quiet hours of every day between two clock times of ``zone``, over midnight where ``until`` is the earlier."""

    begins: time
    until: time
    zone: ZoneInfo

    def night_of(self, instant: datetime) -> tuple[datetime, datetime] | None:
        """Return from when until when it is quiet around ``instant``, the end excluded; ``None`` if it is not."""
        for begin, end in self.nights(instant, instant):
            if begin <= instant < end:
                return begin, end
        return None

    def nights(self, since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield the quiet hours that begin from the local day before ``since`` to the one after ``until``."""
        day, last = local_day(since, self.zone) - DAY, local_day(until, self.zone) + DAY
        while day <= last:
            begin = instant_at_or_after(day, self.begins, self.zone)
            end = instant_at_or_after(day if self.begins < self.until else day + DAY, self.until, self.zone)
            # Both may lie in one missing hour.
            if begin < end:
                yield begin, end
            day += DAY


@dataclass(frozen=True, slots=True)
class Due:
    """At which instant a message goes out or, ``skipped``, is recorded as one that did not for the quiet hours."""

    at: datetime
    skipped: bool = False


def when(moment: Moment, start: datetime, zone: ZoneInfo, quiet: Quiet | None, known_from: datetime) -> Due | None:
    """Return when the message of a visit starting at ``start`` is due, or ``None`` where its moment had passed.

    ``zone`` is the partner's; ``quiet`` holds for texts. ``known_from`` is from when the visit and the rule were as
    they are: what would have been due before that is not made up for.
    """
    nominal = moment.of(start, zone)
    at = out_of_quiet(nominal, start, quiet)
    if known_from <= at:
        return Due(at)
    return Due(nominal, skipped=True) if at < nominal and known_from <= nominal else None


def out_of_quiet(instant: datetime, start: datetime | None, quiet: Quiet | None) -> datetime:
    """Return when a text that is due at ``instant`` may go out, about a visit that starts at ``start``.

    In quiet hours that is their end if that is at least an hour before the visit, or if no start is ahead (``None``);
    otherwise just before they begin, which may be past.
    """
    night = quiet.night_of(instant) if quiet is not None else None
    if night is None:
        return instant
    begin, end = night
    return end if start is None or end <= start - AHEAD else begin - JUST_BEFORE


@dataclass(frozen=True, slots=True)
class Span:
    """Visits that start from ``start`` up to ``end``: their message is due at ``due``, else ``minutes`` before each.

    ``skipped`` ones had it before their quiet hours if they were known then; the others get none.
    """

    start: datetime
    end: datetime
    due: datetime | None
    minutes: int = 0
    skipped: bool = False


def spans(moment: Moment, zone: ZoneInfo, quiet: Quiet | None, since: datetime, until: datetime) -> list[Span]:
    """Return which visits have a message due after ``since`` and up to ``until``, by ``when``, as they start."""
    found = (
        _by_length(moment, quiet, since, until)
        if moment.clock is None
        else _by_clock(moment, zone, quiet, since, until)
    )
    return [span for span in found if span.start < span.end]


def _by_clock(moment: Moment, zone: ZoneInfo, quiet: Quiet | None, since: datetime, until: datetime) -> Iterator[Span]:
    if moment.clock is None:
        return
    # Quiet hours shift a moment by less than a day and a half.
    day, last = local_day(since, zone) - 2 * DAY, local_day(until, zone) + 2 * DAY
    while day <= last:
        nominal = instant_at_or_after(day, moment.clock, zone)
        start, end = day_span(day + timedelta(days=moment.days), zone)
        night = quiet.night_of(nominal) if quiet is not None else None
        if night is None:
            pieces = [Span(start, end, nominal)]
        else:
            late = night[1] + AHEAD
            pieces = [
                Span(max(start, late), end, night[1]),
                Span(start, min(end, late), night[0] - JUST_BEFORE),
                Span(start, min(end, late), nominal, skipped=True),
            ]
        yield from (piece for piece in pieces if piece.due is not None and since < piece.due <= until)
        day += DAY


def _by_length(moment: Moment, quiet: Quiet | None, since: datetime, until: datetime) -> Iterator[Span]:
    length = timedelta(minutes=moment.minutes)
    # Loud from here on.
    loud = since + TICK
    for begin, end in quiet.nights(since, until) if quiet is not None else ():
        late = min(max(begin + length, end + AHEAD), end + length)
        pieces = (Span(late, end + length, end), Span(begin + length, late, begin - JUST_BEFORE))
        yield from (piece for piece in pieces if piece.due is not None and since < piece.due <= until)
        first, behind = max(begin, since + TICK), min(end, until + TICK)
        yield Span(first + length, min(behind + length, late), None, moment.minutes, skipped=True)
        yield Span(loud + length, min(begin, until + TICK) + length, None, moment.minutes)
        loud = max(loud, end)
    yield Span(loud + length, until + TICK + length, None, moment.minutes)
