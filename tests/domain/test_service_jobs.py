"""Service jobs on both databases: each use case that only they have, and what several visits make of a job."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from portal.domain.actor import SYSTEM
from portal.domain.errors import NotFound
from portal.domain.jobs import fieldwork, services
from portal.domain.jobs.models import Appointment
from portal.domain.jobs.service_jobs import (
    ServiceDraft,
    SetBack,
    approve,
    create_service_job,
    reactivate,
    schedule_visit,
)
from portal.domain.jobs.services import ItemInput
from tests.domain.office import DAY, HOUR, NOW, Office
from tests.domain.test_services import invalid, refused


def draft(office: Office, **values: object) -> ServiceDraft:
    """What a dispatcher would type."""
    people = office.people
    usual = {
        "customer_id": people.customer_id(),
        "address_id": people.addresses[0],
        "service_type_id": people.service_type_id,
    }
    return ServiceDraft(**{**usual, **values})  # type: ignore[arg-type]


@pytest.mark.row("J2")
def test_a_service_job_begins_as_a_draft_without_a_visit(office: Office) -> None:
    people = office.people
    bare = office.do(people.dispatcher, create_service_job, draft(office))
    full = office.do(
        people.partner_admin,
        create_service_job,
        draft(office, notes=" Ring twice ", items=(ItemInput("Filter", 2), ItemInput("Hose", 1))),
    )
    job = office.job(bare)
    assert (job.workflow, job.status, job.title, job.number) == ("service", "DRAFT", "Solar", "D-1001")
    assert office.visits(bare) == []
    assert [(entry.action, entry.after) for entry in office.history(bare)] == [("create", {"status": "DRAFT"})]
    assert (office.job(full).title, office.job(full).notes) == ("Filter, Hose", "Ring twice")
    assert office.items(full) == [("Filter", 2), ("Hose", 1)]
    # Whoever accepts an offer or converts a request causes one, whatever else they may do.
    customer = people.customers[0]
    assert refused(office, customer, create_service_job, draft(office)) == "not_your_role"
    assert refused(office, people.technicians[0], create_service_job, draft(office)) == "not_your_role"
    for actor in (customer, SYSTEM):
        made = office.do(actor, create_service_job, draft(office), follows=True)
        assert office.job(made).status == "DRAFT"
        assert office.history(made)[0].actor_role == actor.role


@pytest.mark.row("J2")
def test_what_a_draft_does_not_accept(office: Office, neighbour: Office) -> None:
    dana, people = office.people.dispatcher, office.people
    assert "notes" in invalid(office, dana, create_service_job, draft(office, notes="x" * 10_000))
    assert list(invalid(office, dana, create_service_job, draft(office, items=(ItemInput("Filter", 0),)))) == [
        "items-0-quantity"
    ]
    others = neighbour.people
    for wrong in (
        {"customer_id": others.customer_id()},
        {"address_id": others.addresses[0]},
        {"service_type_id": others.service_type_id},
        {"address_id": people.addresses[1]},
        {"customer_id": 0},
    ):
        with pytest.raises(NotFound):
            office.do(dana, create_service_job, draft(office, **wrong))


def approved(office: Office, **values: object) -> int:
    """Draft a service job and approve it."""
    key = office.do(office.people.dispatcher, create_service_job, draft(office, **values))
    return office.do(office.people.dispatcher, approve, key)


def plan(office: Office, job_id: int, start: datetime, technician: int | None = None) -> Appointment:
    """Schedule one more visit of a job and return it."""
    chosen = None if technician is None else office.people.technician_id(technician)
    office.do(office.people.dispatcher, schedule_visit, job_id, start, technician_id=chosen)
    return office.visits(job_id)[-1]


def take(office: Office, visit: Appointment, *names: str) -> None:
    """Take steps of one visit in the office's name, an hour before it starts at the earliest."""
    office.now = max(office.now, visit.start_at - HOUR)
    for name in names:
        args: tuple[object, ...] = {
            "pause": (office.people.reason_id,),
            "turn_back": ("Flat tyre",),
            "continue_later": (None,),
        }.get(name, ())
        move = next(one.move_number for one in office.visits(visit.job_id) if one.id == visit.id)
        office.do(office.people.dispatcher, getattr(fieldwork, name), visit.id, move, *args)


def status(office: Office, job_id: int) -> str:
    return office.job(job_id).status


@pytest.mark.row("J2", "J3")
def test_a_draft_is_approved_before_it_is_scheduled_and_each_visit_moves_the_job(office: Office) -> None:
    dana, people = office.people.dispatcher, office.people
    key = office.do(dana, create_service_job, draft(office))
    assert refused(office, dana, schedule_visit, key, NOW + DAY) == "wrong_status"
    assert refused(office, people.technicians[0], approve, key) == "not_your_role"
    office.do(dana, approve, key)
    assert (status(office, key), office.job(key).approved_at) == ("APPROVED", NOW)
    assert refused(office, dana, approve, key) == "wrong_status"
    assert refused(office, dana, services.assign, key, people.technician_id(0)) == "no_visit"
    assert "start" in invalid(office, dana, schedule_visit, key, NOW)
    first = plan(office, key, NOW + DAY)
    assert status(office, key) == "APPROVED"
    office.do(dana, services.assign, key, people.technician_id(0))
    assert status(office, key) == "SCHEDULED"
    assert refused(office, dana, services.assign, key, people.technician_id(1)) == "wrong_status"
    second = plan(office, key, NOW + 2 * DAY)
    # Each visit is asked about as if it were the only one.
    assert refused(office, dana, services.reassign, key, people.technician_id(1), visit_id=second.id) == "wrong_status"
    office.do(dana, services.assign, key, people.technician_id(0), visit_id=second.id)
    office.do(dana, services.reassign, key, people.technician_id(1), visit_id=second.id)
    office.do(dana, services.reschedule, key, NOW + 3 * DAY, visit_id=second.id)
    assert [(one.technician_id, one.start_at) for one in office.visits(key)] == [
        (people.technician_id(0), first.start_at),
        (people.technician_id(1), NOW + 3 * DAY),
    ]
    assert office.messages(key).count("booked") == 2
    other = office.visits(approved(office))
    assert other == []
    with pytest.raises(NotFound):
        office.do(dana, services.assign, approved(office), people.technician_id(0), visit_id=second.id)


@pytest.mark.row("J3", "J5", "J6")
def test_with_several_visits_the_job_follows_the_furthest(office: Office) -> None:
    key = approved(office)
    start = NOW + HOUR
    first, second = plan(office, key, start, 0), plan(office, key, start, 1)
    third = plan(office, key, NOW + 5 * DAY)
    assert status(office, key) == "SCHEDULED"
    take(office, first, "set_off", "arrive")
    assert status(office, key) == "IN_PROGRESS"
    assert refused(office, office.people.dispatcher, schedule_visit, key, NOW + 6 * DAY) == "wrong_status"
    take(office, second, "set_off")
    take(office, first, "pause")
    assert status(office, key) == "IN_PROGRESS"
    take(office, second, "turn_back")
    assert status(office, key) == "PAUSED"
    assert office.job(key).technician_id == office.people.technician_id(0)
    take(office, second, "set_off", "arrive", "start_work", "complete")
    assert status(office, key) == "PAUSED"
    take(office, first, "resume", "complete")
    # What is left is planned and has nobody.
    assert status(office, key) == "APPROVED"
    assert "survey" not in office.messages(key)
    office.do(office.people.dispatcher, services.assign, key, office.people.technician_id(2))
    take(office, third, "set_off", "arrive", "start_work", "pause", "continue_later")
    assert status(office, key) == "APPROVED"
    last = plan(office, key, NOW + 7 * DAY, 2)
    assert (status(office, key), last.previous_id) == ("SCHEDULED", third.id)
    take(office, last, "set_off", "arrive", "start_work", "complete")
    assert status(office, key) == "COMPLETED"
    assert refused(office, office.people.dispatcher, services.cancel, key, "Late") == "wrong_status"
    told = [
        (entry.before["status"], entry.after["status"]) for entry in office.history(key)[1:] if entry.subject == "job"
    ]
    assert [before for before, _ in told[1:]] == [after for _, after in told[:-1]]


@pytest.mark.row("J5")
def test_a_pause_goes_on_another_day_and_the_job_with_the_next_visit(office: Office) -> None:
    for who, after in ((0, "SCHEDULED"), (1, "APPROVED")):
        key = approved(office)
        visit = plan(office, key, office.now + DAY, who)
        take(office, visit, "set_off", "arrive", "pause")
        assert status(office, key) == "PAUSED"
        again = office.now + 2 * DAY
        if after == "APPROVED":
            office.schedule(who, again)
        number = office.visits(key)[0].move_number
        office.do(office.people.dispatcher, fieldwork.continue_later, visit.id, number, again)
        assert (status(office, key), office.visits(key)[-1].previous_id) == (after, visit.id)
        office.now = NOW


@pytest.mark.row("J7", "M7")
def test_the_last_visit_takes_the_job_along_and_one_of_several_does_not(office: Office) -> None:
    customer, dana = office.people.customers[0], office.people.dispatcher
    office.controls(cancel_undo_minutes=0)
    key = approved(office)
    first, second = plan(office, key, NOW + 2 * DAY, 0), plan(office, key, NOW + 3 * DAY)
    office.do(customer, services.cancel_by_customer, first.id, "Away")
    assert status(office, key) == "APPROVED"
    office.do(customer, services.cancel_by_customer, second.id, "Away too")
    assert (status(office, key), office.job(key).cancel_reason) == ("CANCELLED", "Away too")
    # Staff cancel one visit of several, and what was made makes the job complete.
    key = approved(office)
    first, second = plan(office, key, NOW + HOUR, 0), plan(office, key, NOW + 3 * DAY, 1)
    take(office, first, "set_off", "arrive", "start_work", "complete")
    assert status(office, key) == "SCHEDULED"
    assert invalid(office, dana, services.cancel_visit, second.id, " ") == {"reason": "Enter a reason"}
    office.do(dana, services.cancel_visit, second.id, "Not needed")
    assert status(office, key) == "COMPLETED"
    assert refused(office, dana, services.cancel_visit, second.id, "Not needed") == "wrong_status"
    alone = office.schedule(0, NOW + 4 * DAY)
    assert refused(office, dana, services.cancel_visit, office.visit(alone).id, "No") == "only_visit"


@pytest.mark.row("J7")
def test_cancelling_waits_for_who_is_under_way_and_for_an_undo(office: Office) -> None:
    customer, dana = office.people.customers[0], office.people.dispatcher
    key = approved(office)
    first, second = plan(office, key, NOW + HOUR, 0), plan(office, key, NOW + 3 * DAY, 1)
    take(office, first, "set_off")
    assert refused(office, dana, services.cancel, key, "Late") == "wrong_status"
    take(office, first, "arrive", "pause")
    office.do(customer, services.cancel_by_customer, second.id, "Away")
    assert refused(office, dana, services.cancel, key, "Late") == "cancelling"
    office.do(customer, services.undo_cancel, second.id)
    office.do(dana, services.cancel, key, "Late")
    assert (status(office, key), {one.status for one in office.visits(key)}) == ("CANCELLED", {"CANCELLED"})


@pytest.mark.row("J7")
def test_setting_back_brings_back_what_is_ahead_and_free_and_tells_of_the_rest(office: Office) -> None:
    dana, people = office.people.dispatcher, office.people
    key = approved(office)
    past = plan(office, key, NOW + HOUR, 0)
    gone = plan(office, key, NOW + DAY, 0)
    taken, free, nobody = (plan(office, key, NOW + days * DAY, who) for days, who in ((2, 0), (3, 1), (4, None)))
    office.do(dana, services.cancel_visit, gone.id, "Twice")
    office.do(dana, services.cancel, key, "No longer wanted")
    office.schedule(0, taken.start_at + HOUR)
    assert refused(office, people.technicians[0], reactivate, key) == "not_your_role"
    office.now = NOW + 2 * HOUR
    found: list[SetBack] = []

    def use_case(*args: Any) -> Any:
        found.append(reactivate(*args))
        left = {visit.id: refusal.code for visit, refusal in found[0].left}
        assert left == {past.id: "past", taken.id: "booked"}
        assert [visit.id for visit in found[0].back] == [free.id, nobody.id]
        return found[0]

    office.do(dana, use_case, key)
    assert {one.id: one.status for one in office.visits(key)} == {
        past.id: "CANCELLED",
        gone.id: "CANCELLED",
        taken.id: "CANCELLED",
        free.id: "SCHEDULED",
        nobody.id: "SCHEDULED",
    }
    assert (status(office, key), office.job(key).cancel_reason) == ("SCHEDULED", "")
    assert office.visits(key)[3].occurrence == free.occurrence + 2
    assert refused(office, dana, reactivate, key) == "wrong_status"
    # What this cancelling did not take stays, although an earlier one did.
    office.do(dana, services.cancel, key, "Again")
    office.now = NOW + 5 * DAY
    office.do(dana, reactivate, key)
    assert (status(office, key), {one.status for one in office.visits(key)}) == ("APPROVED", {"CANCELLED"})
    never = office.do(dana, create_service_job, draft(office))
    office.do(dana, services.cancel, never, "A mistake")
    office.do(dana, reactivate, never)
    assert status(office, never) == "DRAFT"
    assert refused(office, dana, reactivate, office.schedule(start=office.now + DAY)) == "not_a_service_job"
    assert refused(office, dana, services.reject, never, "No") == "not_of_this_kind"
