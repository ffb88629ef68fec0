"""Which coming visits a change makes impossible: the pure function, and that what is asked is what is kept (P21)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from portal.domain.errors import Conflict, Invalid, NotFound, Refused
from portal.domain.jobs import fieldwork, services
from portal.domain.jobs.attention import Queue, count_queues, list_queue
from portal.domain.scheduling import hours
from portal.domain.scheduling.hits import ComingVisit, Reason, Rota, newly, reasons
from portal.domain.scheduling.hours import HitsVisits, HolidayInput, StretchInput, TimeOffInput
from portal.domain.scheduling.models import Holiday, TimeOff, VisitHit
from portal.domain.scheduling.public_holidays import public_holidays, regions
from portal.domain.scheduling.queries import week_of
from portal.domain.scheduling.slots import Span
from portal.domain.tenancy import set_scope
from portal.domain.unit_of_work import unit_of_work
from tests.domain.office import DAY, HOUR, NOW, Office

pytestmark = pytest.mark.row("P21")

BERLIN = ZoneInfo("Europe/Berlin")
ANN, BOB = 1, 2
TUESDAY = date(2026, 11, 24)
NINE_TO_FIVE = {day: [(9 * 60, 17 * 60)] for day in range(7)}
ROTA = Rota(zone=BERLIN, week=NINE_TO_FIVE)


def visit(day: date, clock: str, hours: float = 2, who: int | None = ANN) -> ComingVisit:
    """A visit at a local time in Berlin."""
    instant = datetime.combine(day, time.fromisoformat(clock), tzinfo=BERLIN).astimezone(UTC)
    return ComingVisit(1, 1, who, Span(instant, instant + timedelta(hours=hours)), 0)


def span(*days: int, month: int = 11) -> Span:
    start, end = (datetime(2026, month, day, tzinfo=BERLIN).astimezone(UTC) for day in days)
    return Span(start, end)


def test_a_visit_lies_inside_hours_off_no_time_off_and_on_no_holiday() -> None:
    tuesday = visit(TUESDAY, "15:00")
    assert reasons(tuesday, ROTA) == set()
    assert reasons(visit(TUESDAY, "15:01"), ROTA) == {Reason.HOURS}
    assert reasons(visit(TUESDAY, "08:59"), ROTA) == {Reason.HOURS}
    assert reasons(tuesday, replace(ROTA, holidays=frozenset({date(2026, 11, 24)}))) == {Reason.HOLIDAY}
    assert reasons(tuesday, replace(ROTA, holidays=frozenset({date(2026, 11, 25)}))) == set()
    assert reasons(tuesday, replace(ROTA, time_off={ANN: [span(24, 25)]})) == {Reason.TIME_OFF}
    assert reasons(tuesday, replace(ROTA, time_off={ANN: [span(23, 24), span(25, 26)], BOB: [span(24, 25)]})) == set()
    assert reasons(tuesday, replace(ROTA, inactive=frozenset({ANN}))) == {Reason.INACTIVE}
    assert reasons(tuesday, replace(ROTA, own={ANN: {1: [(9 * 60, 16 * 60)]}})) == {Reason.HOURS}
    assert reasons(tuesday, replace(ROTA, week={}, own={ANN: NINE_TO_FIVE})) == set()


def test_a_visit_of_nobody_yet_is_outside_of_hours_only_where_nobody_works() -> None:
    evening = visit(TUESDAY, "18:00", who=None)
    late = {ANN: {1: [(18 * 60, 22 * 60)]}}
    assert reasons(evening, ROTA) == {Reason.HOURS}
    assert reasons(evening, replace(ROTA, own=late)) == set()
    assert reasons(evening, replace(ROTA, own=late, inactive=frozenset({ANN}))) == {Reason.HOURS}
    assert reasons(evening, replace(ROTA, own=late, holidays=frozenset({date(2026, 11, 24)}))) == {Reason.HOLIDAY}
    assert reasons(evening, replace(ROTA, own=late, time_off={ANN: [span(24, 25)]})) == set()


def test_wall_clock_counts_on_the_days_that_clocks_change() -> None:
    # 29 March: 2:00 becomes 3:00. 25 October: 3:00 becomes 2:00.
    night = {day: [(0, 24 * 60)] for day in range(7)}
    for day in (date(2026, 3, 29), date(2026, 10, 25)):
        assert reasons(visit(day, "09:00"), ROTA) == set()
        assert reasons(visit(day, "15:00"), ROTA) == set()
        assert reasons(visit(day, "16:00"), ROTA) == {Reason.HOURS}
        # A holiday lasts from local midnight to local midnight, 23 hours or 25.
        closed = Rota(zone=BERLIN, week=night, holidays=frozenset({day}))
        assert reasons(visit(day - DAY, "23:00", hours=1), closed) == set()
        assert reasons(visit(day - DAY, "23:00", hours=2), closed) == {Reason.HOLIDAY}
        assert reasons(visit(day, "23:30", hours=1), closed) == {Reason.HOLIDAY}
        assert reasons(visit(day + DAY, "00:00", hours=1), closed) == set()


def test_what_was_impossible_before_a_change_is_not_its_doing() -> None:
    """Staff may have put a visit outside of hours on purpose."""
    evening = visit(TUESDAY, "18:00")
    shorter = replace(ROTA, week={1: [(9 * 60, 12 * 60)]})
    assert newly(evening, ROTA, shorter) == set()
    assert newly(visit(TUESDAY, "13:00"), ROTA, shorter) == {Reason.HOURS}
    assert newly(evening, ROTA, replace(ROTA, time_off={ANN: [span(24, 25)]})) == {Reason.TIME_OFF}
    assert newly(evening, shorter, ROTA) == set()


# What is asked is what is kept


class Rotas:
    """Changes the rota of an office as a page does: asks first, then insists on what it was shown."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.partner_id = office.people.partner_id
        self.asked: list[int] = []

    def run(self, use_case: Callable[..., Any], *args: Any, seen: Any = (), now: datetime | None = None) -> Any:
        with self.office.sessions() as session:
            set_scope(session, self.office.people.partner_admin.scope)
            with unit_of_work(session):
                made = use_case(
                    session,
                    self.office.people.partner_admin,
                    *args,
                    now or self.office.now,
                    *([seen] if seen is not None else []),
                )
                return getattr(made, "id", made)

    def change(self, use_case: Callable[..., Any], *args: Any) -> Any:
        """Note in ``asked`` which visits were asked about, and save all the same."""
        self.asked = []
        try:
            return self.run(use_case, *args)
        except HitsVisits as error:
            self.asked = [hit.visit.job_id for hit in error.hits]
            seen = {(hit.visit.id, hit.visit.move_number) for hit in error.hits}
            return self.run(use_case, *args, seen=seen)

    def queue(self, now: datetime | None = None) -> list[int]:
        """Return the installations in the queue, which its count agrees with."""
        session, actor = self.office.looking, self.office.people.dispatcher
        at, zone = now or self.office.now, ZoneInfo("Europe/London")
        page = list_queue(session, actor, self.partner_id, at, zone, Queue.HIT)
        assert count_queues(session, self.partner_id, at, zone)[Queue.HIT] == len(page.rows)
        return [row.id for row in page.rows]

    def week(self, *stretches: tuple[int, str, str], technician_id: int | None = None) -> None:
        version = hours.version_of(week_of(self.office.looking, self.partner_id, technician_id))
        typed = [StretchInput(day, start, end, f"line-{index}") for index, (day, start, end) in enumerate(stretches)]
        self.change(hours.edit_week, self.partner_id, technician_id, version, typed)


@pytest.fixture
def rotas(office: Office) -> Iterator[Rotas]:
    """From a Tuesday at nine on, everybody works from 8:00 to 18:00 every day."""
    return Rotas(office)


EVERY_DAY = [(day, "8", "18") for day in range(7)]
TOMORROW, LATER = date(2026, 11, 25), date(2026, 11, 27)


def test_the_question_is_what_the_queue_holds_after_saving(rotas: Rotas, office: Office) -> None:
    ann, bob = office.people.technician_id(0), office.people.technician_id(1)
    hers = office.schedule(0, NOW + DAY)
    late = office.schedule(0, NOW + DAY + 7 * HOUR)
    his = office.schedule(1, NOW + DAY, customer=1)
    nobodys = office.schedule(None, NOW + DAY + HOUR)
    far = office.schedule(0, NOW + 3 * DAY)
    partner_id = rotas.partner_id

    off = rotas.change(hours.add_time_off, ann, TimeOffInput(TOMORROW, TOMORROW))
    assert rotas.queue() == rotas.asked == [hers, late]
    rotas.run(hours.delete_time_off, off, seen=None)
    assert rotas.queue() == []

    off = rotas.change(hours.add_time_off, ann, TimeOffInput(TOMORROW, TOMORROW, time(8), time(9, 30)))
    assert rotas.queue() == rotas.asked == [hers]
    # Longer, it hits one more; the other has been asked about.
    rotas.change(hours.edit_time_off, off, 1, TimeOffInput(TOMORROW, LATER))
    assert rotas.asked == [late, far]
    assert rotas.queue() == [hers, late, far]
    rotas.change(hours.edit_time_off, off, 2, TimeOffInput(LATER, LATER))
    assert rotas.asked == []
    assert rotas.queue() == [far]
    rotas.run(hours.delete_time_off, off, seen=None)

    day = rotas.change(hours.add_holiday, partner_id, HolidayInput(TOMORROW, "Company outing"))
    assert rotas.queue() == rotas.asked == [hers, his, nobodys, late]
    rotas.run(hours.delete_holiday, day, seen=None)
    assert rotas.queue() == []
    assert rotas.change(hours.import_holidays, partner_id, [HolidayInput(TOMORROW, "A"), HolidayInput(LATER, "B")]) == 2
    assert rotas.queue() == rotas.asked == [hers, his, nobodys, late, far]
    for row in office.looking.scalars(select(Holiday.id).where(Holiday.partner_id == partner_id)).all():
        rotas.run(hours.delete_holiday, row, seen=None)

    rotas.week(*[(day, "8", "16") for day in range(7)])
    assert rotas.queue() == rotas.asked == [late]
    rotas.week(*EVERY_DAY)
    assert rotas.queue() == []
    rotas.week((2, "9", "10"), technician_id=bob)
    assert rotas.queue() == rotas.asked == [his]
    rotas.week(technician_id=bob)
    assert rotas.queue() == []

    rotas.change(hours.set_technician_active, ann, False)
    assert rotas.queue() == rotas.asked == [hers, late, far]
    rotas.run(hours.set_technician_active, ann, True)
    assert rotas.queue() == []


def test_a_visit_leaves_the_queue_when_it_is_moved_reassigned_cancelled_or_over(rotas: Rotas, office: Office) -> None:
    ann, people = office.people.technician_id(0), office.people
    moved, given, cancelled, stays = (office.schedule(0, NOW + DAY + 2 * n * HOUR) for n in range(4))
    rotas.change(hours.add_time_off, ann, TimeOffInput(TOMORROW, TOMORROW))
    assert rotas.queue() == [moved, given, cancelled, stays]
    office.do(people.dispatcher, services.reschedule, moved, NOW + 5 * DAY)
    assert rotas.queue() == [given, cancelled, stays]
    office.do(people.dispatcher, services.reassign, given, people.technician_id(1))
    assert rotas.queue() == [cancelled, stays]
    office.do(people.dispatcher, services.cancel, cancelled, "No longer wanted")
    assert rotas.queue() == [stays]
    # Somebody sets off all the same and turns back: it is as it was.
    office.now = NOW + DAY
    seen = office.visit(stays)
    office.do(people.dispatcher, fieldwork.set_off, seen.id, seen.move_number)
    office.do(people.dispatcher, fieldwork.turn_back, seen.id, seen.move_number, "Road closed")
    assert rotas.queue() == [stays]
    over = office.visit(stays).end_at
    assert rotas.queue(over - timedelta(seconds=1)) == [stays]
    assert rotas.queue(over) == []
    # The worker clears away what counts no more.
    with unit_of_work(office.looking) as session:
        hours.forget_hits(session, over - timedelta(seconds=1))
        left = select(VisitHit.appointment_id).where(VisitHit.partner_id == rotas.partner_id)
        assert session.scalars(left).all() == [seen.id]


def test_a_visit_booked_after_the_question_is_asked_about_too(rotas: Rotas, office: Office) -> None:
    ann = office.people.technician_id(0)
    office.schedule(0, NOW + DAY)
    form = TimeOffInput(TOMORROW, TOMORROW)
    with pytest.raises(HitsVisits) as asked:
        rotas.run(hours.add_time_off, ann, form)
    seen = {(hit.visit.id, hit.visit.move_number) for hit in asked.value.hits}
    second = office.schedule(0, NOW + DAY + 3 * HOUR)
    with pytest.raises(HitsVisits) as again:
        rotas.run(hours.add_time_off, ann, form, seen=seen)
    assert second in [hit.visit.job_id for hit in again.value.hits]
    assert office.looking.scalars(select(TimeOff).where(TimeOff.technician_id == ann)).all() == []
    # One that is gone meanwhile needs no further question.
    office.do(office.people.dispatcher, services.cancel, second, "No longer wanted")
    rotas.run(hours.add_time_off, ann, form, seen=seen)
    assert len(rotas.queue()) == 1


# What cannot be saved


def refused(call: Callable[..., Any], *args: Any) -> dict[str, str]:
    """Return what is said at which field."""
    with pytest.raises(Invalid) as error:
        call(*args)
    return {name: str(text) for name, text in error.value.errors.items()}


@pytest.mark.row("L1")
def test_hours_that_make_no_sense_are_refused_at_the_line(rotas: Rotas, office: Office) -> None:
    wrong = {
        (("8", "7"),): {"line-0-end": "The end has to be after 8:00"},
        (("8", "8:00"),): {"line-0-end": "The end has to be after 8:00"},
        (("8", "12"), ("11:59", "13")): {"line-1-start": "This overlaps with 8:00–12:00"},
        (("x", "12"), ("24:00", "9"), ("9", "25:00"), ("9:60", "")): dict.fromkeys(
            ("line-0-start", "line-1-start", "line-2-end", "line-3-start", "line-3-end"), "Enter a time from 0:00"
        ),
        (("8", ""),): {"line-0-end": "Enter a time from 0:00"},
        (("８", "9" * 10_000),): {"line-0-start": "Enter a time", "line-0-end": "Enter a time"},
        tuple((str(n), f"{n}:30") for n in range(7)): {"line-6-start": "A day has 6 stretches at most"},
    }
    for typed, said in wrong.items():
        errors = refused(rotas.week, *((0, start, end) for start, end in typed))
        assert set(errors) == set(said), typed
        assert all(errors[name].startswith(text) for name, text in said.items())
    rotas.week((0, " 8:00", "12.00"), (0, "12", "24:00"), (1, "0", "0:00"), (2, " ", ""))
    assert week_of(office.looking, rotas.partner_id, None) == {0: [(480, 720), (720, 1440)], 1: [(0, 1440)]}


@pytest.mark.row("P16")
def test_time_off_that_makes_no_sense_is_refused_at_the_field(rotas: Rotas, office: Office) -> None:
    ann = office.people.technician_id(0)
    today, monday = date(2026, 11, 24), date(2026, 11, 30)
    wrong = [
        (TimeOffInput(LATER, TOMORROW), "last", "The end is before the start"),
        (TimeOffInput(LATER, LATER, time(12), time(11)), "ends", "The end is before the start"),
        (TimeOffInput(LATER, LATER, time(12), time(12)), "ends", "The end is before the start"),
        (TimeOffInput(today, today, time(7), time(9)), "last", "That is over already"),
        (TimeOffInput(date(1, 1, 1), LATER), "first", "Choose a date within five years"),
        (TimeOffInput(LATER, date.max), "last", "Choose a date within five years"),
        (TimeOffInput(date(2027, 3, 28), date(2027, 3, 29), time(1, 30)), "begins", "That time does not exist"),
        (TimeOffInput(LATER, LATER, note="x" * 201), "note", "Use 200 characters or fewer."),
    ]
    for form, field, text in wrong:
        errors = refused(rotas.run, hours.add_time_off, ann, form)
        assert list(errors) == [field], form
        assert errors[field].startswith(text)
    off = rotas.run(hours.add_time_off, ann, TimeOffInput(LATER, monday, note=" Two\nlines "))
    absence = office.looking.get_one(TimeOff, off)
    assert absence.note == "Two lines"
    assert (absence.start_at, absence.end_at) == (
        datetime(2026, 11, 27, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC),
    )  # fmt: skip
    # Sent twice it is there once.
    again = refused(rotas.run, hours.add_time_off, ann, TimeOffInput(monday, monday))
    assert again["first"].startswith("There is time off then already")
    rotas.run(hours.add_time_off, office.people.technician_id(1), TimeOffInput(monday, monday))
    with pytest.raises(Conflict):
        rotas.run(hours.edit_time_off, off, 7, TimeOffInput(LATER, LATER))
    rotas.run(hours.edit_time_off, off, 1, TimeOffInput(LATER, LATER))
    for use_case in ((hours.edit_time_off, off, 2, TimeOffInput(LATER, LATER)), (hours.delete_time_off, off)):
        with pytest.raises(Refused):
            rotas.run(*use_case, seen=None, now=datetime(2026, 11, 28, tzinfo=UTC))


@pytest.mark.row("L1")
def test_holidays_are_days_to_come_once_each(rotas: Rotas, office: Office, neighbour: Office) -> None:
    add, partner_id = hours.add_holiday, rotas.partner_id
    assert list(refused(rotas.run, add, partner_id, HolidayInput(date(2026, 11, 23), "Yesterday"))) == ["day"]
    assert list(refused(rotas.run, add, partner_id, HolidayInput(date(2032, 2, 29), "Far"))) == ["day"]
    assert list(refused(rotas.run, add, partner_id, HolidayInput(LATER, " \u200b"))) == ["name"]
    assert list(refused(rotas.run, add, partner_id, HolidayInput(LATER, "x" * 101))) == ["name"]
    leap = rotas.run(add, partner_id, HolidayInput(date(2028, 2, 29), "Leap day"))
    taken = refused(rotas.run, add, partner_id, HolidayInput(date(2028, 2, 29), "Again"))
    assert taken == {"day": "That day is a holiday already: Leap day"}
    rotas.run(hours.edit_holiday, leap, 1, HolidayInput(LATER, "Leap day, moved"))
    with pytest.raises(Conflict):
        rotas.run(hours.edit_holiday, leap, 1, HolidayInput(LATER, "Other words"))
    with pytest.raises(Refused):
        rotas.run(hours.delete_holiday, leap, seen=None, now=NOW + 30 * DAY)
    other = Rotas(neighbour)
    for use_case in ((hours.edit_holiday, leap, 2, HolidayInput(LATER, "Mine")), (hours.delete_holiday, leap)):
        with pytest.raises(NotFound):
            other.run(*use_case, seen=None)
    for use_case in ((hours.add_time_off, office.people.technician_id(0), TimeOffInput(LATER, LATER)),):
        with pytest.raises(NotFound):
            other.run(*use_case)
    found = public_holidays("GB", "SCT", range(2026, 2028), "en_GB")
    assert HolidayInput(date(2026, 11, 30), "Saint Andrew's Day") in found
    assert found == sorted(found, key=lambda one: one.day)
    added = rotas.change(hours.import_holidays, partner_id, found)
    assert added == len(found)
    assert rotas.change(hours.import_holidays, partner_id, found) == 0
    assert other.change(hours.import_holidays, other.partner_id, found) == len(found)


@pytest.mark.row("L1")
def test_public_holidays_are_known_by_country_and_region() -> None:
    assert regions("GB")["SCT"] == "Scotland"
    assert regions("XX") == {}
    assert public_holidays("DE", "", [2026], "de")[0].name == "Neujahr"
    assert public_holidays("DE", "BY", [2026], "en_GB")[1].name == "Epiphany"
    assert refused(public_holidays, "XX", "", [2026], "en") == {"country": "Choose a country"}
    assert list(refused(public_holidays, "__import__", "", [2026], "en")) == ["country"]
    assert list(refused(public_holidays, "GB", "BY", [2026], "en")) == ["region"]


@pytest.mark.row("L1")
def test_two_people_with_the_same_week_do_not_save_over_each_other(rotas: Rotas, office: Office) -> None:
    ann, partner_id = office.people.technician_id(0), rotas.partner_id
    for owner in (None, ann):
        seen = hours.version_of(week_of(office.looking, partner_id, owner))
        monday = [StretchInput(0, "9", "17", "x")]
        rotas.run(hours.edit_week, partner_id, owner, seen, monday)
        with pytest.raises(Conflict):
            rotas.run(hours.edit_week, partner_id, owner, seen, [StretchInput(0, "10", "17", "x")])
        assert week_of(office.looking, partner_id, owner) == {0: [(540, 1020)]}
