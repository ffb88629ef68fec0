"""What matters most on a day, and which visits a day has (P11)."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.jobs import fieldwork, services
from portal.domain.jobs.calendar import (
    DayCounts,
    DayStatus,
    count_days,
    list_days,
    most_significant,
    visit_day_status,
)
from portal.domain.tenancy import set_scope
from tests.domain.office import DAY, HOUR, NOW, Office

pytestmark = pytest.mark.row("P11")

LONDON = ZoneInfo("Europe/London")
TODAY = date(2026, 11, 24)


def session_of(office: Office, actor: Actor | None = None) -> Session:
    """Return a session of ``actor``, by default the office's dispatcher."""
    session = office.sessions()
    set_scope(session, (actor or office.people.dispatcher).scope)
    return session


def counted(office: Office, *days: date, zone: ZoneInfo = LONDON) -> list[dict[str, int]]:
    """Return what each of ``days`` counts, in the order in which it is said."""
    with session_of(office) as session:
        found = count_days(session, days, zone)
    assert list(found) == list(days)
    return [{str(status): count for status, count in found[day]} for day in days]


@pytest.mark.parametrize(
    ("on_the_day", "wins"),
    [
        (["ended", "done", "scheduled", "unassigned", "in_progress", "en_route"], "en_route"),
        (["ended", "done", "scheduled", "unassigned", "in_progress"], "in_progress"),
        (["ended", "done", "scheduled", "unassigned"], "unassigned"),
        (["ended", "done", "scheduled"], "scheduled"),
        (["ended", "done"], "done"),
        (["ended"], "ended"),
        (["scheduled", "scheduled"], "scheduled"),
        ([], None),
    ],
)
def test_the_most_significant_status_gives_the_day_its_colour(on_the_day: list[str], wins: str | None) -> None:
    assert most_significant([DayStatus(name) for name in on_the_day]) == wins
    assert most_significant([DayStatus(name) for name in reversed(on_the_day)]) == wins


@pytest.mark.parametrize(
    ("job", "visit", "has_technician", "counts_as"),
    [
        ("EN_ROUTE", "ON_THE_WAY", True, "en_route"),
        ("EN_ROUTE", "ARRIVED", True, "en_route"),
        ("EN_ROUTE", "PAUSED", True, "en_route"),
        ("INSTALLATION_IN_PROGRESS", "WORK_IN_PROGRESS", True, "in_progress"),
        ("INSTALLATION_IN_PROGRESS", "PAUSED", True, "in_progress"),
        ("INSTALLATION_COMPLETED", "COMPLETE", True, "in_progress"),
        ("CONTRACT_SENT", "COMPLETE", True, "in_progress"),
        ("CONTRACT_SIGNED", "COMPLETE", True, "in_progress"),
        ("SCHEDULED", "SCHEDULED", False, "unassigned"),
        ("INSTALLER_ASSIGNED", "SCHEDULED", True, "scheduled"),
        ("INSTALLER_ASSIGNED", "PREPARING", True, "scheduled"),
        ("CUSTOMER_APPROVED", "COMPLETE", True, "done"),
        ("REJECTED", "CANCELLED", False, "ended"),
        ("CANCELLED", "CANCELLED", False, "ended"),
        ("CANCELLED", "CANCELLED", True, "ended"),
        # a visit that the installation has moved on from
        ("EN_ROUTE", "INCOMPLETE", True, "in_progress"),
        ("SCHEDULED", "INCOMPLETE", True, "in_progress"),
        ("INSTALLATION_IN_PROGRESS", "INCOMPLETE", True, "in_progress"),
        ("CUSTOMER_APPROVED", "INCOMPLETE", True, "done"),
        ("CANCELLED", "INCOMPLETE", True, "ended"),
        ("INSTALLATION_IN_PROGRESS", "CANCELLED", True, "ended"),
        ("CUSTOMER_APPROVED", "CANCELLED", True, "ended"),
    ],
)
def test_what_a_visit_counts_as(job: str, visit: str, has_technician: bool, counts_as: str) -> None:
    assert visit_day_status("installation", job, visit, has_technician) == counts_as


def test_each_visit_of_a_service_job_speaks_for_itself() -> None:
    expected = {
        ("SCHEDULED", False): "unassigned",
        ("PREPARING", True): "scheduled",
        ("ARRIVED", True): "en_route",
        ("PAUSED", True): "in_progress",
        ("COMPLETE", True): "done",
        ("INCOMPLETE", True): "in_progress",
        ("CANCELLED", True): "ended",
    }
    for (visit, has_technician), counts_as in expected.items():
        assert visit_day_status("service", "IN_PROGRESS", visit, has_technician) == counts_as
    assert visit_day_status("service", "COMPLETED", "INCOMPLETE", True) == "done"


def test_counts_are_said_in_the_order_of_significance() -> None:
    counts = DayCounts({DayStatus.ENDED: 3, DayStatus.SCHEDULED: 2, DayStatus.EN_ROUTE: 1})
    assert list(counts) == [("en_route", 1), ("scheduled", 2), ("ended", 3)]
    assert (counts.total, counts.top) == (6, "en_route")
    assert (DayCounts({}).total, DayCounts({}).top) == (0, None)


def test_each_day_counts_its_visits_by_what_they_are(office: Office) -> None:
    office.schedule(start=NOW + HOUR)
    office.schedule(0, start=NOW + 3 * HOUR)
    rejected = office.schedule(start=NOW + DAY)
    office.do(office.people.dispatcher, services.reject, rejected, "Too far")
    assert counted(office, TODAY, TODAY + DAY, TODAY + 2 * DAY) == [{"unassigned": 1, "scheduled": 1}, {"ended": 1}, {}]


def test_a_moved_visit_is_on_its_new_day_alone(office: Office) -> None:
    job = office.schedule(0, start=NOW + HOUR)
    office.do(office.people.dispatcher, services.reschedule, job, NOW + DAY + HOUR)
    assert counted(office, TODAY, TODAY + DAY) == [{}, {"scheduled": 1}]


def test_a_visit_that_is_continued_stays_on_the_day_it_was(office: Office) -> None:
    job = office.schedule(0, start=NOW + HOUR)
    technician = office.people.technicians[0]
    first = office.visit(job).id
    moves = office.visit(job).move_number
    office.do(technician, fieldwork.set_off, first, moves)
    office.do(technician, fieldwork.arrive, first, moves)
    office.do(technician, fieldwork.pause, first, moves, office.people.reason_id)
    office.do(technician, fieldwork.continue_later, first, moves, NOW + DAY + HOUR)
    assert counted(office, TODAY, TODAY + DAY) == [{"in_progress": 1}, {"scheduled": 1}]
    with session_of(office) as session:
        days = list_days(session, [TODAY, TODAY + DAY], LONDON, 10)
    (before,), (after,) = days[TODAY], days[TODAY + DAY]
    assert (before.job_id, after.job_id) == (job, job)
    assert (before.label.msgid, after.label.msgid) == ("Ended, to be continued", "Installer assigned")


@pytest.mark.parametrize(
    ("zone", "day", "first", "last"),
    [
        # an ordinary day
        ("Europe/London", date(2026, 11, 24), "2026-11-24T00:00Z", "2026-11-24T23:59Z"),
        # clocks go back: 25 hours
        ("Europe/London", date(2026, 10, 25), "2026-10-24T23:00Z", "2026-10-25T23:59Z"),
        # clocks go forward: 23 hours
        ("Europe/London", date(2027, 3, 28), "2027-03-28T00:00Z", "2027-03-28T22:59Z"),
        # midnight itself is skipped
        ("Africa/Cairo", date(2027, 4, 30), "2027-04-29T22:00Z", "2027-04-30T20:59Z"),
        ("America/New_York", date(2026, 11, 1), "2026-11-01T04:00Z", "2026-11-02T04:59Z"),
    ],
)
def test_a_day_is_its_span_in_the_partners_zone(office: Office, zone: str, day: date, first: str, last: str) -> None:
    minute = timedelta(minutes=1)
    earliest, latest = datetime.fromisoformat(first), datetime.fromisoformat(last)
    instants = [earliest - minute, earliest, latest, latest + minute]
    office.now = instants[0] - DAY
    jobs = [office.schedule(start=instant) for instant in instants]
    days = [day - DAY, day, day + DAY]
    assert counted(office, *days, zone=ZoneInfo(zone)) == [{"unassigned": 1}, {"unassigned": 2}, {"unassigned": 1}]
    with session_of(office) as session:
        found = list_days(session, days, ZoneInfo(zone), 10)
    assert [[visit.job_id for visit in found[one]] for one in days] == [jobs[:1], jobs[1:3], jobs[3:]]


def test_a_day_lists_its_earliest_visits_and_no_more_than_asked(office: Office) -> None:
    late, early, middle = (office.schedule(start=NOW + hours * HOUR) for hours in (5, 1, 3))
    tomorrow = office.schedule(1, start=NOW + DAY)
    with session_of(office) as session:
        found = list_days(session, [TODAY, TODAY + DAY], LONDON, 2)
    assert [visit.job_id for visit in found[TODAY]] == [early, middle]
    assert late not in {visit.job_id for visit in found[TODAY]}
    (visit,) = found[TODAY + DAY]
    assert visit.job_id == tomorrow
    assert (visit.customer, visit.technician, visit.title) == ("Customer 0", "Bob", "Solar panel")
    assert visit.address.endswith("Alder Close")
    assert (visit.start_at, visit.window_minutes, visit.cancel_at) == (NOW + DAY, 120, None)
    assert (visit.status, visit.label.msgid) == (DayStatus.SCHEDULED, "Installer assigned")


def test_another_partners_visits_are_on_no_day(office: Office, neighbour: Office) -> None:
    neighbour.schedule(0, start=NOW + HOUR)
    mine = office.schedule(0, start=NOW + HOUR)
    assert counted(office, TODAY) == [{"scheduled": 1}]
    with session_of(office) as session:
        assert [visit.job_id for visit in list_days(session, [TODAY], LONDON, 10)[TODAY]] == [mine]
