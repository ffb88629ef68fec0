"""Local time: between wall clocks in a partner's zone and instants in UTC, across clock changes (``scheduling.md``)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones


class MissingHour(ValueError):
    """A wall-clock time that does not exist that day, because the clocks go forward over it."""


def local_day(instant: datetime, zone: ZoneInfo) -> date:
    """Return the local date that ``instant`` carries in ``zone``."""
    return instant.astimezone(zone).date()


def instant_of(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """Return the UTC instant of a wall-clock time that a person said.

    In a repeated hour it is the first of the two, unless ``clock.fold`` is 1. Raises ``MissingHour`` for a time that
    the clocks skip and ``OverflowError`` at the ends of the calendar.
    """
    local = datetime.combine(day, clock, tzinfo=zone)
    instant = local.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) != local.replace(tzinfo=None):
        raise MissingHour(f"{day} {clock} does not exist in {zone.key}")
    return instant


def instant_at_or_after(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """Return the UTC instant of a wall clock: in a missing hour the end of the gap, in a repeated one the first."""
    try:
        return instant_of(day, clock, zone)
    except MissingHour:
        return _end_of_gap(datetime.combine(day, clock), zone)


def _end_of_gap(naive: datetime, zone: ZoneInfo) -> datetime:
    # With fold=0 a missing time is read with the offset before the gap, so it lands after it, late by the gap's rest.
    before = (naive - timedelta(days=1)).replace(tzinfo=zone).astimezone(UTC)
    after = (naive + timedelta(days=1)).replace(tzinfo=zone).astimezone(UTC)
    start_offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        if middle.astimezone(zone).utcoffset() == start_offset:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)


def day_span(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the instants from the first that carries ``day`` to the first of the next day (UTC, half-open)."""
    return instant_at_or_after(day, time.min, zone), instant_at_or_after(day + timedelta(days=1), time.min, zone)


@cache
def time_zones() -> frozenset[str]:
    """Return the names of all time zones."""
    return frozenset(available_timezones())
