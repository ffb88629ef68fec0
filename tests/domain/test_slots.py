"""The arithmetic of free times (``scheduling.md``), over plain values."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.domain.scheduling.slots import (
    Ability,
    Agenda,
    Booked,
    Calendar,
    Limits,
    Slot,
    Span,
    Wanted,
    booking_refusal,
    free_times,
    refusal_for,
)
from portal.domain.scheduling.zones import MissingHour, day_span, instant_at_or_after, instant_of, local_day

pytestmark = pytest.mark.row("M4")

LONDON = ZoneInfo("Europe/London")
NEW_YORK = ZoneInfo("America/New_York")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
UTC_ZONE = ZoneInfo("UTC")

TUESDAY = date(2026, 11, 24)
NINE_TO_FIVE = {weekday: [(9 * 60, 17 * 60)] for weekday in range(7)}
ALL_DAY = {weekday: [(0, 24 * 60)] for weekday in range(7)}
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def minutes(count: int) -> timedelta:
    return timedelta(minutes=count)


def at(clock: str, day: date = TUESDAY, zone: ZoneInfo = LONDON, fold: int = 0) -> datetime:
    return instant_of(day, time.fromisoformat(clock).replace(fold=fold), zone)


def visit(start: str, end: str, before: int = 0, after: int = 0) -> Booked:
    return Booked(Span(at(start), at(end)), minutes(before), minutes(after))


def calendar(
    hours: Any = NINE_TO_FIVE, name: str = "Tom", key: int = 1, booked: Iterable[Booked] = (), **values: Any
) -> Calendar:
    return Calendar(key, name, hours, booked=Agenda.of(booked), **values)


def clocks(slots: Sequence[Slot], zone: ZoneInfo = LONDON) -> list[str]:
    """The offered starts as local clock times."""
    return [f"{slot.start.astimezone(zone):%H:%M}" for slot in slots if slot.refusal is None]


def reasons(slots: Sequence[Slot], zone: ZoneInfo = LONDON) -> dict[str, str]:
    """The refused starts with their codes."""
    return {f"{slot.start.astimezone(zone):%H:%M}": slot.refusal.code for slot in slots if slot.refusal is not None}


def search(
    *calendars: Calendar, wanted: Wanted, day: date = TUESDAY, zone: ZoneInfo = LONDON, **rest: Any
) -> list[Slot]:
    return free_times(calendars, wanted, [day], zone, **rest)


# Steps and hours


def test_starts_count_in_steps_from_the_start_of_each_stretch() -> None:
    hours = {1: [(8 * 60 + 10, 10 * 60), (13 * 60 + 5, 15 * 60)]}
    slots = search(calendar(hours), wanted=Wanted(HOUR, step=minutes(30)))
    assert clocks(slots) == ["08:10", "08:40", "13:05", "13:35"]
    assert (
        reasons(slots)
        == {
            "09:10": "outside_hours",
            "09:40": "outside_hours",
            "14:05": "outside_hours",
            "14:35": "outside_hours",
        }
        | {}
    )


def test_a_visit_that_ends_with_the_hours_is_inside() -> None:
    wanted = Wanted(HOUR, step=HOUR)
    assert clocks(search(calendar({1: [(540, 660)]}), wanted=wanted)) == ["09:00", "10:00"]


def test_neighbours_odd_ends_do_not_shift_the_grid() -> None:
    busy = calendar({1: [(540, 780)]}, booked=[visit("09:17", "10:03")])
    slots = search(busy, wanted=Wanted(minutes(30)))
    assert clocks(slots) == ["10:30", "11:00", "11:30", "12:00", "12:30"]
    assert reasons(slots) == {"09:00": "booked", "09:30": "booked", "10:00": "booked"}


def test_another_weekday_has_no_times() -> None:
    assert search(calendar({2: [(540, 1020)]}), wanted=Wanted(HOUR)) == []


def test_stretches_that_adjoin_are_one() -> None:
    hours = {1: [(540, 720), (720, 900)]}
    wanted = Wanted(2 * HOUR, step=HOUR)
    assert clocks(search(calendar(hours), wanted=wanted)) == ["09:00", "10:00", "11:00", "12:00", "13:00"]


def test_a_night_shift_goes_on_past_midnight() -> None:
    hours = {1: [(22 * 60, 24 * 60)], 2: [(0, 6 * 60)]}
    wanted = Wanted(3 * HOUR, step=HOUR)
    assert clocks(search(calendar(hours), wanted=wanted)) == ["22:00", "23:00"]
    assert clocks(search(calendar({1: [(22 * 60, 24 * 60)]}), wanted=wanted)) == []


# Neighbours and buffers


@pytest.mark.parametrize(
    ("gap", "refused"), [(29, "buffer"), (30, None), (31, None)], ids=["too close", "exactly both", "more than both"]
)
def test_buffers_of_neighbours_add_up(gap: int, refused: str | None) -> None:
    wanted = Wanted(HOUR, before=minutes(20), after=minutes(5))
    earlier = Booked(Span(at("09:00"), at("10:00")), minutes(40), minutes(10))
    found = booking_refusal(calendar(booked=[earlier]), wanted, at("10:00") + minutes(gap))
    assert (found.code if found else None) == refused
    later = Booked(Span(at("13:00"), at("14:00")), minutes(25), minutes(40))
    found = booking_refusal(calendar(booked=[later]), wanted, at("13:00") - minutes(gap) - HOUR)
    assert (found.code if found else None) == refused


def test_visits_that_touch_do_not_overlap() -> None:
    busy = calendar(booked=[visit("10:00", "11:00")])
    wanted = Wanted(HOUR)
    for start, refused in (("09:00", False), ("09:01", True), ("10:00", True), ("10:59", True), ("11:00", False)):
        found = booking_refusal(busy, wanted, at(start))
        assert (found is not None) is refused, start


def test_an_overlap_is_told_before_a_buffer() -> None:
    busy = calendar(booked=[visit("08:00", "09:00", after=30), visit("10:30", "11:00")])
    found = booking_refusal(busy, Wanted(2 * HOUR), at("09:10"))
    assert found is not None
    assert (found.code, str(found.sentence)) == ("booked", "Tom is booked at that time.")


def test_buffers_may_reach_out_of_the_working_hours() -> None:
    wanted = Wanted(HOUR, before=2 * HOUR, after=2 * HOUR, step=HOUR)
    assert clocks(search(calendar({1: [(540, 660)]}), wanted=wanted)) == ["09:00", "10:00"]


def test_a_move_does_not_stand_in_its_own_way() -> None:
    own, other = visit("10:00", "12:00", 30, 30), visit("14:00", "15:00", 30, 30)
    wanted = Wanted(2 * HOUR, minutes(30), minutes(30), step=HOUR)
    # the caller leaves the visit's own time out; everyone else's counts
    assert clocks(search(calendar(booked=[own, other]), wanted=wanted)) == []
    assert clocks(search(calendar(booked=[other]), wanted=wanted)) == ["09:00", "10:00", "11:00"]


# Time off, holidays, notice and horizon


def test_time_off_is_half_open() -> None:
    off = calendar(time_off=[Span(at("11:00"), at("13:00"))])
    slots = search(off, wanted=Wanted(HOUR, step=minutes(30)))
    assert reasons(slots) == {
        "10:30": "time_off",
        "11:00": "time_off",
        "11:30": "time_off",
        "12:00": "time_off",
        "12:30": "time_off",
        "16:30": "outside_hours",
    }
    assert str(next(slot.refusal.sentence for slot in slots if slot.refusal)) == "Tom is off at that time."


def test_a_holiday_is_a_local_date() -> None:
    wanted = Wanted(HOUR, step=4 * HOUR)
    assert reasons(search(calendar(), wanted=wanted, holidays=frozenset({TUESDAY}))) == {
        "09:00": "holiday",
        "13:00": "holiday",
    }
    assert clocks(search(calendar(), wanted=wanted, holidays=frozenset({date(2026, 11, 25)}))) == ["09:00", "13:00"]
    # 13:00 UTC on Monday is Tuesday in Auckland
    auckland = ZoneInfo("Pacific/Auckland")
    start = datetime(2026, 11, 23, 13, tzinfo=UTC)
    found = refusal_for(calendar(ALL_DAY), wanted, start, auckland, frozenset({TUESDAY}))
    assert found is not None
    assert found.code == "holiday"


def test_a_visit_into_a_holiday_is_refused_and_one_that_ends_at_its_midnight_is_not() -> None:
    holiday = frozenset({date(2026, 11, 25)})
    start = at("22:00")
    assert refusal_for(calendar(ALL_DAY), Wanted(2 * HOUR), start, LONDON, holiday) is None
    found = refusal_for(calendar(ALL_DAY), Wanted(2 * HOUR + MINUTE), start, LONDON, holiday)
    assert found is not None
    assert found.code == "holiday"


def test_a_start_exactly_at_the_notice_is_allowed() -> None:
    wanted = Wanted(HOUR)
    for earliest, refused in ((at("10:00"), False), (at("10:00") + timedelta(microseconds=1), True)):
        found = refusal_for(calendar(), wanted, at("10:00"), LONDON, limits=Limits(earliest))
        assert (found is not None and found.code == "notice") is refused


def test_the_horizon_reaches_to_the_end_of_its_last_local_day() -> None:
    wanted, last = Wanted(HOUR), Limits(at("00:00", date(2026, 11, 1)), TUESDAY)
    assert refusal_for(calendar(ALL_DAY), wanted, at("23:00"), LONDON, limits=last) is None
    found = refusal_for(calendar(ALL_DAY), wanted, at("00:00", date(2026, 11, 25)), LONDON, limits=last)
    assert found is not None
    assert found.code == "horizon"
    # the last local day of New York ends five hours after London's
    late = at("23:00", TUESDAY, NEW_YORK)
    assert refusal_for(calendar(ALL_DAY), wanted, late, NEW_YORK, limits=last) is None


# Anyone with the skill


def test_the_one_with_the_least_booked_that_day_is_taken() -> None:
    busy = calendar(name="Ann", key=1, booked=[visit("09:00", "10:00")])
    idle = calendar(name="Zoe", key=2)
    (slot,) = [slot for slot in search(busy, idle, wanted=Wanted(HOUR)) if slot.start == at("11:00")]
    assert slot.technician_id == 2


def test_ties_go_by_name_whatever_the_order() -> None:
    ann, bob = calendar(name="Ann", key=9), calendar(name="Bob", key=1)
    for order in ((ann, bob), (bob, ann)):
        assert {slot.technician_id for slot in search(*order, wanted=Wanted(8 * HOUR)) if slot.refusal is None} == {9}


def test_only_that_day_counts_for_who_has_the_least() -> None:
    yesterday = Booked(Span(at("09:00", date(2026, 11, 23)), at("17:00", date(2026, 11, 23))))
    ann, bob = calendar(name="Ann", key=1, booked=[yesterday]), calendar(name="Bob", key=2)
    assert {slot.technician_id for slot in search(bob, ann, wanted=Wanted(8 * HOUR)) if slot.refusal is None} == {1}


def test_one_person_is_free_for_the_whole_visit_not_several_in_turn() -> None:
    morning = calendar({1: [(540, 720)]}, "Ann", 1)
    afternoon = calendar({1: [(720, 900)]}, "Bob", 2)
    assert clocks(search(morning, afternoon, wanted=Wanted(4 * HOUR, step=HOUR))) == []


GAS, HEIGHTS = Ability(1, "Gas licence"), Ability(2, "Works at heights")


def test_only_somebody_with_every_skill_is_taken_however_busy() -> None:
    wanted = Wanted(HOUR, step=HOUR, skills=(GAS, HEIGHTS))
    able = calendar(NINE_TO_FIVE, "Tom", 1, skills=frozenset({1, 2, 3}), booked=[visit("09:00", "12:00")])
    half, none = calendar(NINE_TO_FIVE, "Ann", 2, skills=frozenset({2})), calendar(ALL_DAY, "Bob", 3)
    slots = search(half, none, able, wanted=wanted)
    assert {slot.technician_id for slot in slots if slot.refusal is None} == {1}
    assert clocks(slots) == ["12:00", "13:00", "14:00", "15:00", "16:00"]
    # Nor do the hours of the others make times that nobody could ever have.
    assert reasons(slots) == {"09:00": "booked", "10:00": "booked", "11:00": "booked"}


def test_where_nobody_has_the_skill_every_time_is_refused_for_it() -> None:
    wanted = Wanted(4 * HOUR, step=4 * HOUR, skills=(GAS, HEIGHTS))
    slots = search(calendar(NINE_TO_FIVE, "Ann", 2, skills=frozenset({1})), wanted=wanted)
    assert reasons(slots) == {"09:00": "skill", "13:00": "skill"}
    assert str(slots[0].refusal and slots[0].refusal.sentence) == "Ann lacks the skill “Works at heights”."
    off = frozenset({TUESDAY})
    holiday = search(calendar(NINE_TO_FIVE, skills=frozenset({1, 2})), wanted=wanted, holidays=off)
    assert set(reasons(holiday).values()) == {"holiday"}


def test_a_time_that_one_refuses_and_another_takes_is_offered() -> None:
    ann = calendar(name="Ann", key=1, booked=[visit("09:00", "13:00")])
    bob = calendar(name="Bob", key=2, booked=[visit("11:00", "17:00")])
    slots = search(ann, bob, wanted=Wanted(HOUR, step=HOUR))
    taken = {f"{slot.start.astimezone(LONDON):%H}": slot.technician_id for slot in slots}
    assert taken == {"09": 2, "10": 2, "11": None, "12": None, "13": 1, "14": 1, "15": 1, "16": 1}


# The nights on which clocks change


def test_the_missing_hour_of_new_york_offers_nothing_in_it() -> None:
    night = date(2026, 3, 8)  # 02:00 becomes 03:00
    shift = {6: [(0, 6 * 60)]}
    slots = search(calendar(shift), wanted=Wanted(HOUR, step=HOUR), day=night, zone=NEW_YORK)
    assert clocks(slots, NEW_YORK) == ["00:00", "01:00", "03:00", "04:00", "05:00"]
    starts = [slot.start for slot in slots]
    assert [later - earlier for earlier, later in itertools.pairwise(starts)] == [HOUR] * 4


def test_the_repeated_hour_of_new_york_offers_each_instant_of_its_own() -> None:
    night = date(2026, 11, 1)  # 02:00 becomes 01:00 again
    slots = search(calendar({6: [(0, 3 * 60)]}), wanted=Wanted(HOUR, step=minutes(30)), day=night, zone=NEW_YORK)
    assert clocks(slots, NEW_YORK) == ["00:00", "00:30", "01:00", "01:30", "01:00", "01:30", "02:00"]
    offsets = [f"{slot.start.astimezone(NEW_YORK):%z}" for slot in slots if slot.refusal is None]
    assert offsets == ["-0400"] * 4 + ["-0500"] * 3


def test_a_working_day_keeps_its_wall_clock_ends_across_both_nights() -> None:
    shift = calendar(ALL_DAY)
    assert shift.stretches(date(2026, 3, 8), NEW_YORK) == [
        Span(datetime(2026, 3, 8, 5, tzinfo=UTC), datetime(2026, 3, 9, 4, tzinfo=UTC))
    ]
    assert shift.stretches(date(2026, 11, 1), NEW_YORK) == [
        Span(datetime(2026, 11, 1, 4, tzinfo=UTC), datetime(2026, 11, 2, 5, tzinfo=UTC))
    ]


def test_hours_that_begin_in_a_missing_hour_begin_at_its_end() -> None:
    night = date(2026, 3, 8)
    (stretch,) = calendar({6: [(150, 240)]}).stretches(night, NEW_YORK)
    assert stretch == Span(datetime(2026, 3, 8, 7, tzinfo=UTC), datetime(2026, 3, 8, 8, tzinfo=UTC))
    assert calendar({6: [(130, 170)]}).stretches(night, NEW_YORK) == []


def test_a_visit_of_24_hours_over_the_short_date_meets_all_three_dates() -> None:
    short = date(2026, 3, 8)
    start = at("23:30", short - timedelta(days=1), NEW_YORK)
    wanted = Wanted(24 * HOUR)
    assert local_day(start + wanted.duration, NEW_YORK) == short + timedelta(days=1)
    assert refusal_for(calendar(ALL_DAY), wanted, start, NEW_YORK) is None
    found = refusal_for(calendar(ALL_DAY), wanted, start, NEW_YORK, holidays=frozenset({short}))
    assert found is not None
    assert found.code == "holiday"


def test_lord_howe_moves_its_clocks_by_half_an_hour() -> None:
    spring, autumn = date(2026, 10, 4), date(2026, 4, 5)
    shift, wanted = calendar({6: [(60, 180)]}), Wanted(minutes(30))
    forward = search(shift, wanted=wanted, day=spring, zone=LORD_HOWE)  # 02:00 becomes 02:30
    assert clocks(forward, LORD_HOWE) == ["01:00", "01:30", "02:30"]
    back = search(shift, wanted=wanted, day=autumn, zone=LORD_HOWE)  # 02:00 becomes 01:30
    assert clocks(back, LORD_HOWE) == ["01:00", "01:30", "01:30", "02:00", "02:30"]


@pytest.mark.parametrize(
    ("zone", "day", "first", "next_first"),
    [
        # midnight is missing: the date begins at 01:00
        ("America/Havana", date(2026, 3, 8), "2026-03-08T05:00", "2026-03-09T04:00"),
        ("Asia/Beirut", date(2026, 3, 29), "2026-03-28T22:00", "2026-03-29T21:00"),
        ("America/Sao_Paulo", date(2018, 11, 4), "2018-11-04T03:00", "2018-11-05T02:00"),
        # midnight comes twice: the date begins with the first
        ("America/Havana", date(2026, 11, 1), "2026-11-01T04:00", "2026-11-02T05:00"),
        # the clocks go back at midnight to 23:00 of the day before, which lasts an hour longer
        ("Asia/Beirut", date(2026, 10, 24), "2026-10-23T21:00", "2026-10-24T22:00"),
        ("Asia/Beirut", date(2026, 10, 25), "2026-10-24T22:00", "2026-10-25T22:00"),
        # a date that came and went again within a minute past midnight
        ("America/St_Johns", date(2010, 11, 7), "2010-11-07T02:30", "2010-11-08T03:30"),
        # the date that Samoa never had
        ("Pacific/Apia", date(2011, 12, 30), "2011-12-30T10:00", "2011-12-30T10:00"),
        ("Pacific/Apia", date(2011, 12, 31), "2011-12-30T10:00", "2011-12-31T10:00"),
        ("Europe/London", date(2026, 6, 24), "2026-06-23T23:00", "2026-06-24T23:00"),
    ],
)
def test_a_date_runs_from_its_first_instant_to_the_next_ones_first(
    zone: str, day: date, first: str, next_first: str
) -> None:
    start, end = day_span(day, ZoneInfo(zone))
    assert (f"{start:%Y-%m-%dT%H:%M}", f"{end:%Y-%m-%dT%H:%M}") == (first, next_first)
    assert (start.tzinfo, start.second, end.second) == (UTC, 0, 0)


def test_a_clock_time_in_a_missing_hour_is_no_instant_and_in_a_repeated_one_the_first() -> None:
    with pytest.raises(MissingHour, match="2026-03-08 02:30:00 does not exist in America/New_York"):
        instant_of(date(2026, 3, 8), time(2, 30), NEW_YORK)
    assert instant_at_or_after(date(2026, 3, 8), time(2, 30), NEW_YORK) == datetime(2026, 3, 8, 7, tzinfo=UTC)
    with pytest.raises(MissingHour):
        instant_of(date(2026, 10, 4), time(2, 15), LORD_HOWE)
    assert instant_of(date(2026, 11, 1), time(1, 30), NEW_YORK) == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    assert instant_of(date(2026, 11, 1), time(1, 30, fold=1), NEW_YORK) == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)


def test_every_minute_of_both_nights_is_one_instant_or_missing() -> None:
    for zone, day, missing in (
        (NEW_YORK, date(2026, 3, 8), 60),
        (NEW_YORK, date(2026, 11, 1), 0),
        (LORD_HOWE, date(2026, 10, 4), 30),
        (LORD_HOWE, date(2026, 4, 5), 0),
    ):
        gone = 0
        for minute in range(24 * 60):
            clock = time(minute // 60, minute % 60)
            try:
                instant = instant_of(day, clock, zone)
            except MissingHour:
                gone += 1
                assert instant_at_or_after(day, clock, zone).astimezone(zone).time() > clock
            else:
                assert instant.astimezone(zone).time() == clock
                assert local_day(instant, zone) == day
        assert gone == missing


# Offered and refused are all candidates

ZONES = st.sampled_from([LONDON, NEW_YORK, LORD_HOWE, ZoneInfo("America/Havana"), ZoneInfo("Asia/Beirut"), UTC_ZONE])
# around the nights of 2026 on which those zones change their clocks
DAYS = st.sampled_from(
    [
        date(2026, 3, 8),
        date(2026, 3, 29),
        date(2026, 4, 5),
        date(2026, 10, 4),
        date(2026, 10, 25),
        date(2026, 11, 1),
        TUESDAY,
    ]
)


@st.composite
def stretches(draw: st.DrawFn) -> list[tuple[int, int]]:
    ends = sorted(draw(st.sets(st.integers(0, 24 * 12), min_size=2, max_size=4)))
    pairs = list(zip(ends[::2], ends[1::2], strict=False))
    return [(start * 5, end * 5) for start, end in pairs]


@st.composite
def bookings(draw: st.DrawFn, midnight: datetime) -> list[Booked]:
    moment, found = midnight - 4 * HOUR, []
    for _ in range(draw(st.integers(0, 4))):
        start = moment + minutes(draw(st.integers(0, 300)))
        moment = start + minutes(draw(st.integers(1, 240)))
        found.append(Booked(Span(start, moment), minutes(draw(st.integers(0, 60))), minutes(draw(st.integers(0, 60)))))
    return draw(st.permutations(found))


@st.composite
def boards(draw: st.DrawFn) -> tuple[list[Calendar], Wanted, date, ZoneInfo, frozenset[date], Limits | None]:
    zone, day = draw(ZONES), draw(DAYS)
    midnight = day_span(day, zone)[0]
    calendars = []
    # Most technicians share their partner's week.
    shared = draw(stretches())
    for key in range(1, draw(st.integers(1, 4)) + 1):
        off_from = midnight + minutes(draw(st.integers(-300, 1800)))
        off = [Span(off_from, off_from + minutes(draw(st.integers(1, 600))))] if draw(st.booleans()) else []
        calendars.append(
            Calendar(
                key,
                f"T{key % 2}",
                {day.weekday(): draw(stretches()) if draw(st.booleans()) else shared},
                off,
                Agenda.of(draw(bookings(midnight))),
            )
        )
    wanted = Wanted(
        minutes(draw(st.integers(1, 300))),
        minutes(draw(st.integers(0, 45))),
        minutes(draw(st.integers(0, 45))),
        minutes(draw(st.sampled_from([10, 30, 45, 60]))),
    )
    holidays = frozenset({day}) if draw(st.integers(0, 9)) == 0 else frozenset()
    earliest = midnight + minutes(draw(st.integers(-600, 1200)))
    limits = Limits(earliest, day) if draw(st.booleans()) else None
    return calendars, wanted, day, zone, holidays, limits


@cache
def first_instant_at_or_after(day: date, minute: int, zone: ZoneInfo) -> datetime:
    """By brute force: the first minute whose wall clock has reached ``minute`` of ``day``."""
    if minute == 24 * 60:
        day, minute = day + timedelta(days=1), 0
    asked = datetime.combine(day, time(minute // 60, minute % 60))
    moment = asked.replace(tzinfo=UTC) - timedelta(hours=14)
    while moment.astimezone(zone).replace(tzinfo=None) < asked:
        moment += minutes(5)
    return moment


@settings(max_examples=100, deadline=None)
@given(boards())
def test_offered_and_refused_together_are_all_candidates(board: Any) -> None:
    calendars, wanted, day, zone, holidays, limits = board
    slots = free_times(calendars, wanted, [day], zone, holidays, limits)
    candidates: dict[datetime, set[int]] = {}
    for entry in calendars:
        for start_minute, end_minute in entry.hours[day.weekday()]:
            start = first_instant_at_or_after(day, start_minute, zone)
            end = first_instant_at_or_after(day, end_minute, zone)
            while start < end:
                candidates.setdefault(start, set()).add(entry.technician_id)
                start += wanted.step
    assert [slot.start for slot in slots] == sorted(candidates)
    # One asked about by itself is judged alike; what is no candidate is none then either.
    for slot in slots:
        assert free_times(calendars, wanted, [day], zone, holidays, limits, only=slot.start) == [slot]
    between = slots[0].start + minutes(1) if slots else datetime.combine(day, time(9), UTC)
    assert free_times(calendars, wanted, [day], zone, holidays, limits, only=between) == []

    in_turn = sorted(calendars, key=lambda entry: (_booked_minutes(entry, day, zone), entry.name, entry.technician_id))
    for slot in slots:
        could = [entry for entry in in_turn if entry.technician_id in candidates[slot.start]]
        free = [entry for entry in could if _free(entry, wanted, slot.start, day, zone, holidays, limits)]
        assert slot.technician_id == (free[0].technician_id if free else None)
        # What is told is what is in the way of the first who could have come.
        assert slot.refusal == (None if free else refusal_for(could[0], wanted, slot.start, zone, holidays, limits))


def _booked_minutes(entry: Calendar, day: date, zone: ZoneInfo) -> int:
    """How much of a local date is booked, minute by minute."""
    first, last = (first_instant_at_or_after(one, 0, zone) for one in (day, day + timedelta(days=1)))
    moments = [first + minutes(count) for count in range((last - first) // MINUTE)]
    return sum(other.visit.start <= moment < other.visit.end for moment in moments for other in entry.booked)


def _free(
    entry: Calendar,
    wanted: Wanted,
    start: datetime,
    day: date,
    zone: ZoneInfo,
    holidays: frozenset[date],
    limits: Limits | None,
) -> bool:
    """Whether a time is free, minute by minute and without any index."""
    end = start + wanted.duration
    worked = [
        (first_instant_at_or_after(day, first, zone), first_instant_at_or_after(day, last, zone))
        for first, last in entry.hours[day.weekday()]
    ]
    # every time of these boards is on a grid of five minutes
    moments = [start + minutes(count) for count in range(0, wanted.duration // MINUTE, 5)]
    if day in holidays or not all(any(first <= moment < last for first, last in worked) for moment in moments):
        return False
    if limits is not None and start < limits.earliest:
        return False
    if any(off.start < end and start < off.end for off in entry.time_off):
        return False
    return all(
        end + wanted.after + other.before <= other.visit.start or other.visit.end + other.after + wanted.before <= start
        for other in entry.booked
    )
