"""Each queue holds what it says, its count is a plain count, and another partner's is another's (P18, P21)."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event, select, text

from portal.domain.delivery import unreachable
from portal.domain.delivery.models import Unreachable
from portal.domain.errors import DomainError
from portal.domain.jobs import attention, fieldwork, services
from portal.domain.jobs.attention import Queue, count_queues, list_queue
from portal.domain.jobs.models import Appointment, Job
from portal.domain.messages.models import Fault, Message
from portal.domain.offers.models import JobOffer, OfferedJob
from portal.domain.paging import Cursor
from portal.domain.people.models import Partner
from portal.domain.requests.models import ChangeRequest, ServiceRequest, Wish
from portal.domain.requests.services import request_change
from portal.domain.scheduling import hours
from portal.domain.scheduling.hours import HitsVisits, TimeOffInput
from portal.domain.scheduling.models import FeatureControls, VisitHit
from portal.domain.tenancy import set_scope
from portal.domain.unit_of_work import unit_of_work
from tests.domain.office import DAY, HOUR, NOW, Office

pytestmark = [pytest.mark.row("P18"), pytest.mark.row("P21")]

LONDON = ZoneInfo("Europe/London")
MINUTE = timedelta(minutes=1)


def counts(office: Office, now: datetime | None = None, zone: ZoneInfo = LONDON) -> dict[Queue, int]:
    return count_queues(office.looking, office.people.partner_id, now or office.now, zone)


def queue(office: Office, which: Queue, now: datetime | None = None) -> list[int]:
    """Return the installations in a queue."""
    people = office.people
    page = list_queue(office.looking, people.dispatcher, people.partner_id, now or office.now, LONDON, which)
    return [row.id for row in page.rows]


def plain_counts(office: Office, now: datetime) -> dict[Queue, int]:
    """Go through every visit and job one by one, which is what a page must not do."""
    session, partner_id = office.looking, office.people.partner_id
    visits = session.scalars(select(Appointment).where(Appointment.partner_id == partner_id)).all()
    jobs = session.scalars(select(Job).where(Job.partner_id == partner_id)).all()
    hits = {row.appointment_id: row for row in session.scalars(select(VisitHit))}
    today = now.astimezone(LONDON).date()
    open_jobs = {visit.job_id for visit in visits if visit.status not in ("COMPLETE", "INCOMPLETE", "CANCELLED")}
    late = [
        visit
        for visit in visits
        if visit.status in ("SCHEDULED", "PREPARING", "ON_THE_WAY")
        and visit.start_at + timedelta(minutes=visit.window_minutes) <= now
    ]
    left = [
        visit
        for visit in visits
        if visit.status in ("ON_THE_WAY", "ARRIVED", "WORK_IN_PROGRESS", "PAUSED")
        and (visit.end_at - timedelta(microseconds=1)).astimezone(LONDON).date() < today
    ]
    hit = [
        visit
        for visit in visits
        if visit.id in hits
        and visit.status in ("SCHEDULED", "PREPARING", "ON_THE_WAY", "ARRIVED", "WORK_IN_PROGRESS")
        and visit.end_at > now
        and (hits[visit.id].start_at, hits[visit.id].technician_id) == (visit.start_at, visit.technician_id)
    ]
    begun = [job for job in jobs if job.status == "INSTALLATION_IN_PROGRESS" and job.id not in open_jobs]
    nobody = [visit for visit in visits if visit.status == "SCHEDULED" and visit.technician_id is None]
    wishes = session.scalars(select(ChangeRequest).where(ChangeRequest.partner_id == partner_id))
    asked = [wish for wish in wishes if wish.status == "PENDING"]
    tasks = session.scalars(select(Unreachable).where(Unreachable.partner_id == partner_id))
    unreached = [task for task in tasks if task.closed_at is None]
    offers = session.execute(
        select(JobOffer, OfferedJob)
        .join(OfferedJob, OfferedJob.id == JobOffer.offered_job_id)
        .where(JobOffer.partner_id == partner_id)
    )
    offered = [one for one, job in offers if one.status == "OFFERED" and job.expires_at > now]
    requests = session.scalars(select(ServiceRequest).where(ServiceRequest.partner_id == partner_id))
    wanted = [one for one in requests if one.status == "NEW"]
    found = (nobody, late, left, begun, hit, offered, wanted, asked, unreached)
    return dict(zip(Queue, (len(rows) for rows in found), strict=True))


def ask_and_offer(office: Office) -> None:
    """Requests that wait and one that does not, and offers of which each has another fate."""
    people = office.people
    where = {"address_id": people.addresses[0], "service_type_id": people.service_type_id, "asked_at": NOW}
    for number, status in enumerate(("NEW", "CANCELLED", "NEW")):
        office.add(
            ServiceRequest(
                customer_id=people.customer_id(), status=status, form_key=f"{people.partner_id}:{number}", **where
            )
        )
    for hours_open, status in ((3, "OFFERED"), (900, "OFFERED"), (900, "TAKEN")):
        work = {"service": "Boiler", "customer_name": "Ada", "line": "3 Engine Row", "offered_by_name": "Robin"}
        with unit_of_work(office.looking) as session:
            job = OfferedJob(**work, offered_at=NOW, expires_at=NOW + hours_open * HOUR)
            session.add(job)
            session.flush()
            key = job.id
        office.add(JobOffer(offered_job_id=key, status=status))


def test_counts_are_a_plain_count_after_random_work(office: Office) -> None:
    rng = random.Random(21)
    people, admin = office.people, office.people.partner_admin
    keys = [office.schedule(None, NOW + (1 + 2 * n) * HOUR) for n in range(8)]
    key, done, most = keys[0], 0, dict.fromkeys(Queue, 0)

    def rota(use_case: Any, *args: Any) -> None:
        """Change the rota, whatever it hits."""
        seen: Any = ()
        for _ in range(2):
            try:
                with unit_of_work(office.looking) as session:
                    use_case(session, admin, *args, office.now, seen)
                return
            except HitsVisits as error:
                seen = {(hit.visit.id, hit.visit.move_number) for hit in error.hits}

    def take(step: str, key: int, ahead: datetime, technician: int, day: date) -> None:
        if step in ("assign", "reassign"):
            office.do(admin, getattr(services, step), key, technician, despite_warnings=True)
        elif step == "reschedule":
            office.do(admin, services.reschedule, key, ahead, despite_warnings=True)
        elif step == "ask":
            customer = people.customers[0]
            office.do(customer, request_change, office.visit(key).id, Wish.MOVE, "Any other day")
        elif step == "time off":
            rota(hours.add_time_off, technician, TimeOffInput(day, day))
        elif step == "give up":
            failed = select(Message).where(
                Message.partner_id == people.partner_id, Message.status == "PENDING", Message.customer_id.is_not(None)
            )
            for message in office.looking.scalars(failed.limit(1)).all():
                with unit_of_work(office.looking) as session:
                    session.get_one(Message, message.id).status = "FAILED"
                    unreachable.open_task(session, office.now, message.id, "", Fault.SILENT, "no answer")
        elif step == "active":
            rota(hours.set_technician_active, technician, rng.random() < 0.7)
        else:
            visit = office.visit(key)
            more = {"pause": [people.reason_id], "continue_later": [None], "turn_back": ["Road closed"]}.get(step, [])
            office.do(admin, getattr(fieldwork, step), visit.id, visit.move_number, *more)

    following = {
        "SCHEDULED": ("assign", "set_off", "set_off", "set_off", "reassign", "reschedule", "ask"),
        "ON_THE_WAY": ("arrive", "arrive", "turn_back"),
        "ARRIVED": ("start_work",),
        "WORK_IN_PROGRESS": ("pause",),
        "PAUSED": ("continue_later",),
    }
    with unit_of_work(office.looking) as session:
        own = select(FeatureControls).where(FeatureControls.partner_id == people.partner_id)
        session.scalars(own).one().self_service = False
    ask_and_offer(office)
    for turn in range(90):
        office.now += rng.choice((5, 20, 45)) * MINUTE
        day = (office.now + rng.randint(0, 1) * DAY).date()
        ahead = office.now + rng.randint(1, 60) * HOUR
        if turn % 30 == 7:
            take("give up", key, ahead, 0, day)
        # Mostly what somebody is at.
        key = key if rng.random() < 0.6 else rng.choice(keys)
        steps = ("time off", "active") if turn % 5 == 0 else following.get(office.visit(key).status, ("assign",))
        try:
            take(rng.choice(steps), key, ahead, people.technician_id(rng.randrange(3)), day)
        except DomainError:
            continue
        done += 1
        found = counts(office)
        assert found == plain_counts(office, office.now)
        most = {which: max(found[which], most[which]) for which in Queue}
    assert done > 20
    # Or the comparison would say little.
    assert all(most.values()), most


def test_a_visit_is_late_from_the_end_of_its_window_until_somebody_arrives(office: Office) -> None:
    key = office.schedule(0, NOW + HOUR)
    ends = NOW + 3 * HOUR
    assert queue(office, Queue.NOT_STARTED, ends - MINUTE) == []
    assert queue(office, Queue.NOT_STARTED, ends) == [key]
    office.now = ends
    for step, late in (("set_off", True), ("arrive", False)):
        visit = office.visit(key)
        office.do(office.people.dispatcher, getattr(fieldwork, step), visit.id, visit.move_number)
        assert (queue(office, Queue.NOT_STARTED) == [key]) is late
    assert counts(office)[Queue.NOT_STARTED] == 0


def test_a_visit_is_left_open_once_its_local_day_is_over(office: Office) -> None:
    """The day ends where the partner is: in Auckland it is thirteen hours ahead in November."""
    key = office.schedule(0, NOW + HOUR)
    office.now = NOW + HOUR
    for step in ("set_off", "arrive"):
        visit = office.visit(key)
        office.do(office.people.dispatcher, getattr(fieldwork, step), visit.id, visit.move_number)
    midnight = datetime(2026, 11, 25, tzinfo=UTC)
    assert counts(office, midnight - MINUTE)[Queue.NOT_COMPLETED] == 0
    assert counts(office, midnight)[Queue.NOT_COMPLETED] == 1
    auckland = ZoneInfo("Pacific/Auckland")
    # From 23:00 until 1:00 there: it belongs to the day on which it ends.
    assert counts(office, NOW + 6 * HOUR, auckland)[Queue.NOT_COMPLETED] == 0
    assert counts(office, NOW + 27 * HOUR, auckland)[Queue.NOT_COMPLETED] == 1


def test_each_queue_offers_what_would_settle_it(office: Office) -> None:
    people = office.people
    nobody = office.schedule(None, NOW + DAY)
    left, begun = office.schedule(0, NOW + HOUR), office.schedule(1, NOW + HOUR)
    office.now = NOW + HOUR
    for key, steps in ((left, ("set_off", "arrive", "start_work")), (begun, ("set_off", "arrive", "start_work"))):
        for step in steps:
            visit = office.visit(key)
            office.do(people.dispatcher, getattr(fieldwork, step), visit.id, visit.move_number)
    visit = office.visit(begun)
    office.do(people.dispatcher, fieldwork.pause, visit.id, visit.move_number, people.reason_id)
    office.do(people.dispatcher, fieldwork.continue_later, visit.id, visit.move_number, None)
    office.now = NOW + 2 * DAY

    def acts(which: Queue, actor: Any = people.dispatcher) -> dict[int, tuple[str, ...]]:
        page = list_queue(office.looking, actor, people.partner_id, office.now, LONDON, which)
        return {row.id: row.acts for row in page.rows}

    assert acts(Queue.WITHOUT_TECHNICIAN) == {nobody: ("assign", "reschedule", "reject")}
    assert acts(Queue.NOT_STARTED) == {nobody: ("reschedule", "assign")}
    assert acts(Queue.NOT_COMPLETED) == {left: ("complete",)}
    assert acts(Queue.NEEDS_VISIT) == {begun: ("reschedule",)}
    assert acts(Queue.NEEDS_VISIT, people.technicians[0]) == {begun: ()}


def test_a_queue_is_read_by_pages_and_counted_so_far(
    office: Office, neighbour: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [office.schedule(None, NOW + DAY + n * HOUR) for n in range(5)]
    people = office.people
    seen: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        seen.append(statement)

    def page(cursor: Cursor | None) -> Any:
        which = Queue.WITHOUT_TECHNICIAN
        found = list_queue(office.looking, people.dispatcher, people.partner_id, NOW, LONDON, which, cursor, limit=2)
        return [row.id for row in found.rows], found

    first, at = page(None)
    second, then = page(at.forward)
    third, last = page(then.forward)
    assert (first, second, third) == (keys[:2], keys[2:4], keys[4:])
    assert (at.back, last.forward) == (None, None)
    assert page(last.back)[0] == second
    session = office.looking
    session.connection()
    event.listen(office.engine, "before_cursor_execute", note)
    try:
        assert count_queues(session, people.partner_id, NOW, LONDON)[Queue.WITHOUT_TECHNICIAN] == 5
        assert len([one for one in seen if "SELECT" in one]) == 1
    finally:
        event.remove(office.engine, "before_cursor_execute", note)
    monkeypatch.setattr(attention, "MOST_COUNTED", 3)
    assert counts(office)[Queue.WITHOUT_TECHNICIAN] == 3
    assert not any(counts(neighbour).values())
    for which in Queue:
        assert queue(neighbour, which) == []


def test_another_partners_session_reads_nothing_of_a_queue(office: Office, neighbour: Office) -> None:
    office.schedule(None, NOW + DAY)
    theirs = neighbour.people
    with neighbour.sessions() as session:
        set_scope(session, theirs.dispatcher.scope)
        found = list_queue(session, theirs.dispatcher, office.people.partner_id, NOW, LONDON, Queue.WITHOUT_TECHNICIAN)
        assert found.rows == []


def test_a_rebuild_mends_what_was_done_past_the_models(office: Office) -> None:
    key = office.schedule(0, NOW + DAY)
    with unit_of_work(office.looking) as session:
        session.execute(
            text("UPDATE jobs SET status = 'INSTALLATION_IN_PROGRESS', visit_open = :no WHERE id = :key"),
            {"no": False, "key": key},
        )
    assert queue(office, Queue.NEEDS_VISIT) == [key]
    with unit_of_work(office.looking) as session:
        attention.rebuild(session, NOW)
    assert queue(office, Queue.NEEDS_VISIT) == []
    with unit_of_work(office.looking) as session:
        session.execute(text("UPDATE appointments SET status = 'CANCELLED' WHERE job_id = :key"), {"key": key})
        attention.rebuild(session, NOW)
    assert queue(office, Queue.NEEDS_VISIT) == [key]
    assert office.looking.get_one(Partner, office.people.partner_id).version == 1
