"""When a message is due, against instants written down by hand; the spans of the tick against that rule."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from portal.domain.messages.timing import Due, Moment, Quiet, out_of_quiet, spans, when

LONDON, NEW_YORK, LORD_HOWE = ZoneInfo("Europe/London"), ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe")
EVENING = Moment(days=1, clock=time(18))
TWO_HOURS = Moment(minutes=120)
EVER = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

pytestmark = pytest.mark.row("N1")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text + "Z")


def night(zone: ZoneInfo, begins: time = time(21), until: time = time(8)) -> Quiet:
    return Quiet(begins, until, zone)


@pytest.mark.parametrize(
    ("zone", "moment", "start", "due"),
    [
        # New York: clocks forward on Sunday 14 March 2027 at 2:00, back on Sunday 7 November 2027 at 2:00.
        # 2:30 is missing on the 14th: the gap ends at 3:00 summer time. On the 7th 1:30 comes twice: the first.
        (NEW_YORK, Moment(days=1, clock=time(2, 30)), "2027-03-15T13:00", "2027-03-14T07:00"),
        (NEW_YORK, Moment(days=1, clock=time(1, 30)), "2027-11-08T14:00", "2027-11-07T05:30"),
        (NEW_YORK, EVENING, "2027-03-14T13:00", "2027-03-13T23:00"),
        (NEW_YORK, EVENING, "2027-03-15T13:00", "2027-03-14T22:00"),
        # So many hours before are hours that pass, whatever the clocks show: 9:00 less two is 7:00 on any day, but
        # 3:30 summer time less two is 0:30 winter time over the gap, and three days before is 72 hours.
        (NEW_YORK, TWO_HOURS, "2027-03-14T07:30", "2027-03-14T05:30"),
        (NEW_YORK, Moment(minutes=72 * 60), "2027-03-15T13:00", "2027-03-12T13:00"),
        # Lord Howe moves by half an hour: back on Sunday 4 April 2027 from 2:00 (+11) to 1:30 (+10:30), forward on
        # Sunday 3 October 2027 from 2:00 (+10:30) to 2:30 (+11).
        (LORD_HOWE, Moment(days=1, clock=time(1, 45)), "2027-04-04T22:30", "2027-04-03T14:45"),
        (LORD_HOWE, Moment(days=1, clock=time(2, 15)), "2027-10-03T22:00", "2027-10-02T15:30"),
        (LORD_HOWE, EVENING, "2027-04-03T22:30", "2027-04-03T07:00"),
        (LORD_HOWE, EVENING, "2027-10-03T22:00", "2027-10-03T07:00"),
    ],
)
def test_when_a_message_is_due(zone: ZoneInfo, moment: Moment, start: str, due: str) -> None:
    assert when(moment, utc(start), zone, None, EVER) == Due(utc(due))


@pytest.mark.parametrize(
    ("zone", "moment", "start", "due"),
    [
        # Winter in London, quiet from 21:00 to 8:00. Visit at 11:00: 9:00 is loud. At 10:00: 8:00 is no longer quiet.
        (LONDON, TWO_HOURS, "2026-11-26T11:00", "2026-11-26T09:00"),
        (LONDON, TWO_HOURS, "2026-11-26T10:00", "2026-11-26T08:00"),
        # At 9:30 and at 9:00 it waits until 8:00, which is an hour before at least; at 8:59 it comes at 20:59.
        (LONDON, TWO_HOURS, "2026-11-26T09:30", "2026-11-26T08:00"),
        (LONDON, TWO_HOURS, "2026-11-26T09:00", "2026-11-26T08:00"),
        (LONDON, TWO_HOURS, "2026-11-26T08:59", "2026-11-25T20:59"),
        # 21:00 is quiet, the minute before is not.
        (LONDON, TWO_HOURS, "2026-11-26T23:00", "2026-11-26T20:59"),
        (LONDON, TWO_HOURS, "2026-11-26T22:59", "2026-11-26T20:59"),
        (LONDON, Moment(days=1, clock=time(22)), "2026-11-27T09:00", "2026-11-27T08:00"),
        # The night in New York on which the clocks go forward: quiet until 3:00, which is the end of the gap.
        (NEW_YORK, TWO_HOURS, "2027-03-14T08:30", "2027-03-14T07:00"),
        # And back: quiet until 1:30, which comes twice and ends it at the first.
        (NEW_YORK, Moment(minutes=300), "2027-11-07T10:00", "2027-11-07T05:30"),
        # Lord Howe, 4 April: quiet until 1:45, at the first of the two.
        (LORD_HOWE, Moment(minutes=300), "2027-04-03T19:00", "2027-04-03T14:45"),
    ],
)
def test_a_text_keeps_out_of_quiet_hours(zone: ZoneInfo, moment: Moment, start: str, due: str) -> None:
    until = {NEW_YORK: time(1, 30) if start > "2027-06" else time(2, 30), LORD_HOWE: time(1, 45)}.get(zone, time(8))
    assert when(moment, utc(start), zone, night(zone, until=until), EVER) == Due(utc(due))


def test_quiet_hours_are_those_of_the_reader() -> None:
    """A partner in London, a customer in New York: 7:00 in London is 2:00 there, and quiet until 8:00, 13:00 here."""
    start = utc("2026-11-26T14:30")
    assert when(EVENING, start, LONDON, night(NEW_YORK), EVER) == Due(utc("2026-11-25T18:00"))
    assert when(TWO_HOURS, start, LONDON, night(NEW_YORK), EVER) == Due(utc("2026-11-26T13:00"))
    assert when(TWO_HOURS, start - HOUR, LONDON, night(NEW_YORK), EVER) == Due(utc("2026-11-26T01:59"))


def test_what_was_planned_too_late_for_its_message() -> None:
    """A visit at 8:30, whose text would come at 20:59 the evening before."""
    start, quiet = utc("2026-11-26T08:30"), night(LONDON)
    assert when(TWO_HOURS, start, LONDON, quiet, utc("2026-11-25T20:59")) == Due(utc("2026-11-25T20:59"))
    assert when(TWO_HOURS, start, LONDON, quiet, utc("2026-11-25T21:30")) == Due(utc("2026-11-26T06:30"), skipped=True)
    assert when(TWO_HOURS, start, LONDON, quiet, utc("2026-11-26T06:31")) is None
    assert when(EVENING, start, LONDON, None, utc("2026-11-25T18:01")) is None
    # One that waits is still in time.
    assert when(TWO_HOURS, start + HOUR, LONDON, quiet, utc("2026-11-26T07:59")) == Due(utc("2026-11-26T08:00"))


def test_quiet_hours_within_one_day() -> None:
    siesta = night(LONDON, time(13), time(15))
    assert out_of_quiet(utc("2026-11-26T13:30"), utc("2026-11-26T16:00"), siesta) == utc("2026-11-26T15:00")
    assert out_of_quiet(utc("2026-11-26T13:30"), utc("2026-11-26T15:30"), siesta) == utc("2026-11-26T12:59")
    assert out_of_quiet(utc("2026-11-26T15:00"), utc("2026-11-26T15:30"), siesta) == utc("2026-11-26T15:00")
    assert out_of_quiet(utc("2026-11-26T13:30"), None, siesta) == utc("2026-11-26T15:00")


@pytest.mark.parametrize(
    ("zone", "first"),
    [(LONDON, "2026-11-24T00:00"), (NEW_YORK, "2027-03-13T00:00"), (LORD_HOWE, "2027-04-02T12:00")],
)
@pytest.mark.parametrize("moment", [EVENING, Moment(days=1, clock=time(22)), TWO_HOURS, Moment(minutes=600)])
@pytest.mark.parametrize("width", [MINUTE * 10, DAY])
def test_each_message_falls_into_exactly_one_tick(zone: ZoneInfo, first: str, moment: Moment, width: timedelta) -> None:
    """Over three days with ticks one after the other, visits every quarter of an hour: found when the rule says."""
    quiet = night(zone)
    begin = utc(first)
    ticks = [begin + number * width for number in range(3 * DAY // width + 1)]
    found: dict[datetime, list[Due]] = {}
    starts = [begin + number * 15 * MINUTE for number in range(-96, 8 * 96)]
    for since, until in pairwise(ticks):
        for span in spans(moment, zone, quiet, since, until):
            for start in starts:
                if span.start <= start < span.end:
                    due = span.due or start - span.minutes * MINUTE
                    assert since < due <= until
                    found.setdefault(start, []).append(Due(due, span.skipped))
    compared = 0
    for start in starts:
        expected = when(moment, start, zone, quiet, EVER)
        assert expected is not None
        nominal = Due(moment.of(start, zone), skipped=True)
        in_view = [
            due
            for due in ([expected, nominal] if expected.at < nominal.at else [expected])
            if ticks[0] < due.at <= ticks[-1]
        ]
        assert sorted(found.get(start, []), key=lambda due: due.at) == in_view, start
        compared += len(in_view)
    assert compared > 200
