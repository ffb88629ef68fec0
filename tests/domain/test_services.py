"""Each use case on both databases: what it leaves behind, what it writes down, and what it refuses without a trace."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select

from portal.domain.actor import Actor
from portal.domain.contracts import services as contracts
from portal.domain.errors import Conflict, Invalid, NotFound, Refused, Warned
from portal.domain.jobs import fieldwork, queries, services
from portal.domain.jobs.models import Appointment, HistoryEntry, Job
from portal.domain.jobs.services import Booking, ItemInput, JobEdit
from portal.domain.people.models import Customer, Partner, Technician, TechnicianStatus
from portal.domain.scheduling.models import Holiday, PauseReason, ServiceType, TimeOff
from portal.domain.scheduling.queries import Board, board, board_for
from portal.domain.tenancy import set_scope, system_scope
from tests.domain.by_hand import PAIRS
from tests.domain.office import DAY, HOUR, NOW, PANEL, Office

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
TOMORROW_AT_TEN = NOW + DAY + HOUR
TEN_THOUSAND = "x" * 10_000
BLANKS = ["", "   ", "\n\t "]


def refused(office: Office, actor: Actor, use_case: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    """Demand a refusal with a sentence that leaves no trace; return its code."""
    before = office.snapshot()
    with pytest.raises((Refused, Conflict)) as caught:
        office.do(actor, use_case, *args, **kwargs)
    assert str(caught.value.refusal.sentence).strip().endswith(".")
    assert office.snapshot() == before
    code: str = caught.value.refusal.code
    return code


def invalid(office: Office, actor: Actor, use_case: Callable[..., Any], *args: Any, **kwargs: Any) -> dict[str, str]:
    """Demand that the input is refused without a trace; return the sentences at the fields."""
    before = office.snapshot()
    with pytest.raises(Invalid) as caught:
        office.do(actor, use_case, *args, **kwargs)
    assert office.snapshot() == before
    return {field: str(text) for field, text in caught.value.errors.items()}


def unknown(office: Office, actor: Actor, use_case: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Demand that there is no such thing for this actor."""
    before = office.snapshot()
    with pytest.raises(NotFound):
        office.do(actor, use_case, *args, **kwargs)
    assert office.snapshot() == before


def step(office: Office, job_id: int, name: str, *args: Any, actor: Actor | None = None) -> int:
    """Let the assigned technician take a step of the job's visit."""
    visit = office.visit(job_id)
    assert visit.technician_id is not None
    by = actor or office.people.actor_of(visit.technician_id)
    return office.do(by, getattr(fieldwork, name), visit.id, visit.move_number, *args)


def drive(office: Office, job_id: int, *names: str) -> None:
    """Take steps on the day of the visit, ten minutes apart."""
    office.now = max(office.now, office.visit(job_id).start_at - HOUR)
    for name in names:
        args = {"pause": (office.people.reason_id,), "turn_back": ("Flat tyre",)}.get(name, ())
        step(office, job_id, name, *args)
        office.now += 10 * MINUTE


def move(office: Office, job_id: int, start: datetime, actor: Actor | None = None) -> int:
    """Let the customer move the job's visit."""
    return office.do(actor or office.people.customers[0], services.move_by_customer, office.visit(job_id).id, start)


def written(office: Office, job_id: int, since: int = 0) -> list[tuple[Any, ...]]:
    """The history from the entry ``since`` on: subject, action, role, before, after, reason."""
    return [
        (row.subject, row.action, row.actor_role, row.before, row.after, row.reason)
        for row in office.history(job_id)[since:]
    ]


def by_the_book(office: Office, job_id: int) -> bool:
    """Whether job and visit are one of the pairs of "How the two move together"."""
    job, visit = office.job(job_id), office.visit(job_id)
    same = (visit.technician_id, visit.start_at, visit.end_at) == (job.technician_id, job.start_at, job.end_at)
    key = (visit.status, visit.technician_id is not None, job.work_began_at is not None)
    return same and job.status in PAIRS.get(key, ())


# Schedule


@pytest.mark.row("P6", "P4", "P3")
def test_scheduling_creates_job_visit_items_history_and_message(office: Office) -> None:
    items = [ItemInput(" Solar panel ", 2), ItemInput("Inverter 🔌", 1)]
    job_id = office.schedule(items=items, notes="  Ring twice 🙂 ")
    job, visit = office.job(job_id), office.visit(job_id)
    assert (job.status, job.title, job.notes) == ("SCHEDULED", "Solar panel, Inverter 🔌", "Ring twice 🙂")
    assert (job.technician_id, job.created_at, job.updated_at) == (None, NOW, NOW)
    assert office.items(job_id) == [("Solar panel", 2), ("Inverter 🔌", 1)]
    assert (visit.status, visit.start_at, visit.end_at) == (
        "SCHEDULED",
        TOMORROW_AT_TEN,
        TOMORROW_AT_TEN + 2 * HOUR,
    )
    assert (visit.window_minutes, visit.is_confirmed, visit.planned_at) == (120, False, NOW)
    assert by_the_book(office, job_id)
    (entry,) = office.history(job_id)
    assert (entry.subject, entry.action, entry.at) == ("job", "schedule", NOW)
    dana = office.people.dispatcher
    assert (entry.actor_id, entry.actor_role, entry.actor_name) == (dana.id, "dispatcher", "Dana")
    assert (entry.before, entry.after) == ({}, {"status": "SCHEDULED", "start": "2026-11-25T10:00:00+00:00"})
    assert office.messages(job_id) == ["booked"]


@pytest.mark.row("P6")
def test_scheduling_with_a_technician_assigns_in_the_same_transaction(office: Office) -> None:
    job_id = office.schedule(0)
    assert office.pair(job_id) == ("INSTALLER_ASSIGNED", "SCHEDULED")
    assert by_the_book(office, job_id)
    assert written(office, job_id) == [
        ("job", "schedule", "dispatcher", {}, {"status": "SCHEDULED", "start": "2026-11-25T10:00:00+00:00"}, ""),
        (
            "job",
            "assign",
            "dispatcher",
            {"status": "SCHEDULED", "technician": None},
            {"status": "INSTALLER_ASSIGNED", "technician": "Ann"},
            "",
        ),
    ]
    assert office.messages(job_id) == ["booked"]


@pytest.mark.row("P6")
def test_a_technician_who_cannot_leaves_no_half_of_it_and_no_gap_in_the_numbers(office: Office) -> None:
    first = office.schedule(0)
    booking = office.booking(technician_id=office.people.technician_id(0))
    found = invalid(office, office.people.dispatcher, services.schedule_installation, booking)
    assert found == {"technician": "Ann is booked at that time."}
    second = office.schedule(1)
    assert [office.job(key).number for key in (first, second)] == ["D-1001", "D-1002"]


@pytest.mark.row("P4", "P3", "P5")
@pytest.mark.parametrize(
    ("values", "errors"),
    [
        ({"items": ()}, {"items": "Add at least one item"}),
        ({"items": [ItemInput(" ", 1)]}, {"items-0-name": "Enter a product name"}),
        ({"items": [ItemInput("a" * 201, 1)]}, {"items-0-name": "Use 200 characters or fewer."}),
        ({"items": [ItemInput("Panel", 0)]}, {"items-0-quantity": "Quantity of “Panel” must be 1 or more"}),
        ({"items": [ItemInput("Panel", -1)]}, {"items-0-quantity": "Quantity of “Panel” must be 1 or more"}),
        (
            {"items": [*PANEL, ItemInput("Panel", 10**30)]},
            {"items-1-quantity": "Quantity of “Panel” must be 100000 or less"},
        ),
        (
            {"items": [ItemInput("", 0)]},
            {"items-0-name": "Enter a product name", "items-0-quantity": "Quantity of “” must be 1 or more"},
        ),
        ({"notes": TEN_THOUSAND}, {"notes": "Use 2000 characters or fewer."}),
        ({"start": NOW}, {"start": "Choose a date and time that is not in the past"}),
        ({"start": NOW - DAY}, {"start": "Choose a date and time that is not in the past"}),
        ({"start": NOW + 6 * 365 * DAY}, {"start": "Choose a date within the next five years"}),
        ({"duration": timedelta(seconds=59)}, {"duration": "Choose a duration between 1 minute and 24 hours"}),
        ({"duration": -HOUR}, {"duration": "Choose a duration between 1 minute and 24 hours"}),
        ({"duration": DAY + MINUTE}, {"duration": "Choose a duration between 1 minute and 24 hours"}),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_scheduling_does_not_accept(office: Office, values: dict[str, Any], errors: dict[str, str]) -> None:
    found = invalid(office, office.people.dispatcher, services.schedule_installation, office.booking(**values))
    assert found == errors


@pytest.mark.row("P3", "P4")
@pytest.mark.parametrize(
    "values",
    [
        {"start": NOW + timedelta(microseconds=1)},
        {"items": [ItemInput("Panel", 100_000)]},
        {"items": [ItemInput("a" * 200, 1)]},
        {"notes": "n" * 2_000},
        {"duration": MINUTE},
        {"duration": DAY},
    ],
    ids=lambda values: next(iter(values)),
)
def test_what_is_just_inside_is_accepted(office: Office, values: dict[str, Any]) -> None:
    assert office.job(office.schedule(**values)).status == "SCHEDULED"


@pytest.mark.row("P4")
def test_a_title_of_many_items_is_cut_short(office: Office) -> None:
    items = [ItemInput(f"{number} " + "a" * 190, 1) for number in range(5)]
    title = office.job(office.schedule(items=items)).title
    assert (len(title), title[-1]) == (500, "…")


@pytest.mark.row("P2")
def test_an_inactive_customer_is_refused(office: Office) -> None:
    row = office.looking.get_one(Customer, office.people.customer_id())
    office.change(row, active=False)
    found = invalid(office, office.people.dispatcher, services.schedule_installation, office.booking())
    assert found == {"customer": "Customer 0 is not an active customer."}


@pytest.mark.row("P16")
def test_a_deactivated_service_type_is_refused(office: Office) -> None:
    office.change(office.looking.get_one(ServiceType, office.people.service_type_id), active=False)
    found = invalid(office, office.people.dispatcher, services.schedule_installation, office.booking())
    assert list(found) == ["service_type"]


@pytest.mark.row("C7")
@pytest.mark.parametrize("field", ["customer_id", "address_id", "service_type_id", "technician_id"])
def test_what_is_another_partners_is_not_there(office: Office, neighbour: Office, field: str) -> None:
    theirs = {
        "customer_id": neighbour.people.customer_id(),
        "address_id": neighbour.people.addresses[0],
        "service_type_id": neighbour.people.service_type_id,
        "technician_id": neighbour.people.technician_id(0),
    }
    mine = {name: getattr(office.booking(), name) for name in Booking.__dataclass_fields__}
    for key in (theirs[field], 0, -1, 2**63, 987_654):
        booking = Booking(**(mine | {field: key}))
        unknown(office, office.people.dispatcher, services.schedule_installation, booking)


@pytest.mark.row("P2")
def test_the_address_is_the_customers_own(office: Office) -> None:
    mine = office.booking()
    booking = Booking(mine.customer_id, office.people.addresses[1], mine.service_type_id, mine.start, mine.items)
    unknown(office, office.people.dispatcher, services.schedule_installation, booking)


@pytest.mark.row("P1")
def test_who_may_schedule(office: Office) -> None:
    people = office.people
    for actor in (people.dispatcher, people.partner_admin, people.operator):
        assert office.job(office.do(actor, services.schedule_installation, office.booking())).status == "SCHEDULED"
    for actor in (people.technicians[0], people.customers[0]):
        assert refused(office, actor, services.schedule_installation, office.booking()) == "not_your_role"


@pytest.mark.row("P5")
@pytest.mark.parametrize("values", [{"status": TechnicianStatus.UNAVAILABLE}, {"active": False}])
def test_a_technician_who_is_not_available_is_refused(office: Office, values: dict[str, Any]) -> None:
    key = office.people.technician_id(0)
    office.change(office.looking.get_one(Technician, key), **values)
    dana = office.people.dispatcher
    sentence = {"technician": "Ann is not available."}
    assert invalid(office, dana, services.schedule_installation, office.booking(technician_id=key)) == sentence
    job_id = office.schedule()
    assert invalid(office, dana, services.assign, job_id, key) == sentence
    # and is not ticked past
    assert invalid(office, dana, services.assign, job_id, key, despite_warnings=True) == sentence


@pytest.mark.row("P5")
def test_a_technician_who_is_booked_is_refused_and_that_is_never_ticked_past(office: Office) -> None:
    office.schedule(0)
    dana, key = office.people.dispatcher, office.people.technician_id(0)
    for minutes in (-119, 0, 119):
        booking = office.booking(TOMORROW_AT_TEN + minutes * MINUTE, technician_id=key)
        for despite in (False, True):
            found = invalid(office, dana, services.schedule_installation, booking, despite_warnings=despite)
            assert found == {"technician": "Ann is booked at that time."}
    for minutes in (-120, 120):
        job_id = office.schedule(0, TOMORROW_AT_TEN + minutes * MINUTE)
        assert office.job(job_id).status == "INSTALLER_ASSIGNED"


@pytest.mark.row("P5")
@pytest.mark.parametrize("why", ["outside_hours", "time_off", "holiday", "buffer"])
def test_staff_may_tick_past_soft_rules(office: Office, why: str) -> None:
    key, start = office.people.technician_id(0), TOMORROW_AT_TEN
    sentence = {
        "outside_hours": "The visit would not lie inside the working hours of Ann.",
        "time_off": "Ann is off at that time.",
        "holiday": "That day is a holiday.",
        "buffer": "That is too close to another visit of Ann.",
    }[why]
    if why == "outside_hours":
        start = TOMORROW_AT_TEN + 7 * HOUR
    elif why == "time_off":
        office.add(TimeOff(technician_id=key, start_at=start + HOUR, end_at=start + 2 * HOUR))
    elif why == "holiday":
        office.add(Holiday(day=date(2026, 11, 25)))
    else:
        kind = office.looking.get_one(ServiceType, office.people.service_type_id)
        office.change(kind, buffer_after_minutes=20, buffer_before_minutes=15)
        office.schedule(0, start + 2 * HOUR + 34 * MINUTE)
    dana, booking = office.people.dispatcher, office.booking(start, technician_id=key)
    before = office.snapshot()
    with pytest.raises(Warned, match=sentence):
        office.do(dana, services.schedule_installation, booking)
    assert office.snapshot() == before
    job_id = office.do(dana, services.schedule_installation, booking, despite_warnings=True)
    assert office.pair(job_id) == ("INSTALLER_ASSIGNED", "SCHEDULED")


# Assign, reassign, reject


@pytest.mark.row("P9")
def test_assigning(office: Office) -> None:
    job_id = office.schedule()
    office.now += HOUR
    office.do(office.people.partner_admin, services.assign, job_id, office.people.technician_id(1))
    assert office.pair(job_id) == ("INSTALLER_ASSIGNED", "SCHEDULED")
    assert by_the_book(office, job_id)
    assert written(office, job_id, since=1) == [
        (
            "job",
            "assign",
            "partner_admin",
            {"status": "SCHEDULED", "technician": None},
            {"status": "INSTALLER_ASSIGNED", "technician": "Bob"},
            "",
        )
    ]
    assert office.history(job_id)[1].at == NOW + HOUR
    assert office.visit(job_id).move_number == 1
    dana = office.people.dispatcher
    assert refused(office, dana, services.assign, job_id, office.people.technician_id(0)) == "wrong_status"
    assert refused(office, dana, services.reject, job_id, "No reason") == "wrong_status"


@pytest.mark.row("P9")
def test_reassigning(office: Office) -> None:
    job_id = office.schedule(0)
    office.do(office.people.dispatcher, services.reassign, job_id, office.people.technician_id(1))
    assert office.pair(job_id) == ("INSTALLER_ASSIGNED", "SCHEDULED")
    assert by_the_book(office, job_id)
    assert written(office, job_id, since=2) == [
        ("job", "reassign", "dispatcher", {"technician": "Ann"}, {"technician": "Bob"}, "")
    ]
    found = invalid(office, office.people.dispatcher, services.reassign, job_id, office.people.technician_id(1))
    assert found == {"technician": "Bob has this installation already."}
    assert refused(office, office.people.dispatcher, services.reassign, office.schedule(), 1) == "wrong_status"


@pytest.mark.row("P9")
@pytest.mark.parametrize("steps", [["set_off"], ["set_off", "arrive"], ["set_off", "arrive", "pause"]])
def test_reassigning_en_route_plans_the_visit_again_for_the_other(office: Office, steps: list[str]) -> None:
    job_id = office.schedule(0)
    drive(office, job_id, *steps)
    old = office.visit(job_id)
    office.do(office.people.dispatcher, services.reassign, job_id, office.people.technician_id(1))
    visit = office.visit(job_id)
    assert office.pair(job_id) == ("INSTALLER_ASSIGNED", "SCHEDULED")
    assert by_the_book(office, job_id)
    assert (visit.id, visit.start_at) == (old.id, old.start_at)
    assert (visit.on_the_way_at, visit.arrived_at, visit.eta_minutes, visit.pause_reason) == (None, None, None, "")
    assert written(office, job_id)[-2:] == [
        ("visit", "reassign", "dispatcher", {"status": old.status}, {"status": "SCHEDULED"}, ""),
        (
            "job",
            "reassign",
            "dispatcher",
            {"status": "EN_ROUTE", "technician": "Ann"},
            {"status": "INSTALLER_ASSIGNED", "technician": "Bob"},
            "",
        ),
    ]
    # the first technician's next tap comes too late
    ann, bob = office.people.technicians[:2]
    for name, args in (("arrive", ()), ("start_work", ()), ("set_off", ())):
        use_case = getattr(fieldwork, name)
        assert refused(office, ann, use_case, visit.id, old.move_number, *args) in {
            "wrong_status",
            "not_assigned_to_you",
        }
    assert refused(office, bob, fieldwork.set_off, visit.id, old.move_number) == "moved_meanwhile"
    drive(office, job_id, "set_off")
    assert office.messages(job_id) == ["booked", "on_the_way", "on_the_way"]


@pytest.mark.row("P10")
def test_rejecting_with_a_reason_ends_job_and_visit(office: Office) -> None:
    job_id = office.schedule()
    office.now += HOUR
    office.do(office.people.dispatcher, services.reject, job_id, "  Out of our area ")
    assert office.pair(job_id) == ("REJECTED", "CANCELLED")
    assert by_the_book(office, job_id)
    assert office.job(job_id).reject_reason == "Out of our area"
    assert written(office, job_id, since=1) == [
        ("job", "reject", "dispatcher", {"status": "SCHEDULED"}, {"status": "REJECTED"}, "Out of our area"),
        ("visit", "cancel", "dispatcher", {"status": "SCHEDULED"}, {"status": "CANCELLED"}, "Out of our area"),
    ]
    assert office.messages(job_id) == ["booked", "cancelled"]
    assert refused(office, office.people.dispatcher, services.reject, job_id, "Again") == "wrong_status"


@pytest.mark.row("P10", "P14", "M7")
@pytest.mark.parametrize("reason", [*BLANKS, TEN_THOUSAND], ids=["empty", "spaces", "lines", "ten thousand"])
def test_a_reason_is_neither_blank_nor_endless(office: Office, reason: str) -> None:
    people, job_id, other = office.people, office.schedule(), office.schedule(0)
    sentence = "Use 2000 characters or fewer." if reason.strip() else "Enter a reason"
    assert invalid(office, people.dispatcher, services.reject, job_id, reason) == {"reason": sentence}
    assert invalid(office, people.dispatcher, services.cancel, job_id, reason) == {"reason": sentence}
    visit = office.visit(other)
    office.controls(cancel_cutoff_hours=0)
    assert invalid(office, people.customers[0], services.cancel_by_customer, visit.id, reason) == {"reason": sentence}
    drive(office, other, "set_off")
    visit = office.visit(other)
    found = invalid(office, people.technicians[0], fieldwork.turn_back, visit.id, visit.move_number, reason)
    assert found == {"reason": sentence}


@pytest.mark.row("P10")
@pytest.mark.parametrize("end", ["reject", "cancel"])
def test_a_replacement_is_a_new_linked_one(office: Office, end: str) -> None:
    dana, old = office.people.dispatcher, office.schedule()
    booking = office.booking(replaces_id=old)
    assert refused(office, dana, services.schedule_installation, booking) == "not_replaceable"
    office.do(dana, getattr(services, end), old, "Wrong house")
    new = office.do(dana, services.schedule_installation, booking)
    assert (office.job(new).replaces_id, office.job(new).status) == (old, "SCHEDULED")
    assert office.job(old).status == {"reject": "REJECTED", "cancel": "CANCELLED"}[end]
    other = office.booking(customer=1, replaces_id=old)
    assert list(invalid(office, dana, services.schedule_installation, other)) == ["customer"]
    unknown(office, dana, services.schedule_installation, office.booking(replaces_id=987_654))


# Reschedule


@pytest.mark.row("P13")
def test_staff_move_a_visit_and_nobody_is_told_unless_ticked(office: Office) -> None:
    job_id = office.schedule(0)
    office.do(office.people.customers[0], fieldwork.confirm, office.visit(job_id).id)
    old = office.visit(job_id)
    office.now += MINUTE
    start = TOMORROW_AT_TEN + HOUR
    office.do(office.people.dispatcher, services.reschedule, job_id, start, 3 * HOUR)
    visit = office.visit(job_id)
    assert (visit.id, visit.start_at, visit.end_at, visit.is_confirmed) == (old.id, start, start + 3 * HOUR, False)
    assert (visit.move_number, visit.occurrence) == (old.move_number + 1, old.occurrence + 1)
    assert (visit.customer_moves, visit.planned_at) == (0, office.now)
    assert by_the_book(office, job_id)
    (entry,) = written(office, job_id)[-1:]
    assert entry == (
        "visit",
        "reschedule",
        "dispatcher",
        {"start": "2026-11-25T10:00:00+00:00", "end": "2026-11-25T12:00:00+00:00", "confirmed": True},
        {"start": "2026-11-25T11:00:00+00:00", "end": "2026-11-25T14:00:00+00:00", "confirmed": False},
        "",
    )
    assert office.messages(job_id) == ["booked"]
    office.do(
        office.people.dispatcher,
        services.reschedule,
        job_id,
        start + DAY,
        notify=True,
        agreed_with_customer=True,
    )
    visit = office.visit(job_id)
    assert (visit.is_confirmed, visit.confirmed_by, visit.end_at - visit.start_at) == (True, "dispatcher", 3 * HOUR)
    assert office.messages(job_id) == ["booked", "moved"]


@pytest.mark.row("P13")
def test_a_visit_that_was_being_prepared_is_planned_again_by_a_move(office: Office) -> None:
    job_id = office.schedule(0)
    step(office, job_id, "prepare")
    assert office.pair(job_id) == ("INSTALLER_ASSIGNED", "PREPARING")
    office.do(office.people.dispatcher, services.reschedule, job_id, TOMORROW_AT_TEN + DAY)
    assert office.pair(job_id) == ("INSTALLER_ASSIGNED", "SCHEDULED")


@pytest.mark.row("P13")
@pytest.mark.parametrize(
    ("start", "errors"),
    [
        (NOW, {"start": "Choose a date and time that is not in the past"}),
        (NOW + 6 * 365 * DAY, {"start": "Choose a date within the next five years"}),
        (TOMORROW_AT_TEN + 4 * HOUR, {"start": "Ann is booked at that time."}),
    ],
)
def test_staff_do_not_move_into_the_past_or_onto_another_visit(
    office: Office, start: datetime, errors: dict[str, str]
) -> None:
    job_id = office.schedule(0)
    office.schedule(0, TOMORROW_AT_TEN + 4 * HOUR)
    found = invalid(office, office.people.dispatcher, services.reschedule, job_id, start, despite_warnings=True)
    assert found == errors


@pytest.mark.row("P13", "M4")
def test_a_visits_own_old_time_does_not_count(office: Office) -> None:
    job_id = office.schedule(0)
    office.do(office.people.dispatcher, services.reschedule, job_id, TOMORROW_AT_TEN + 30 * MINUTE)
    assert office.job(job_id).start_at == TOMORROW_AT_TEN + 30 * MINUTE


@pytest.mark.row("P13")
@pytest.mark.parametrize("steps", [["set_off"], ["set_off", "arrive"], ["set_off", "arrive", "start_work", "pause"]])
def test_a_visit_that_has_left_is_not_moved(office: Office, steps: list[str]) -> None:
    job_id = office.schedule(0)
    drive(office, job_id, *steps)
    code = refused(office, office.people.dispatcher, services.reschedule, job_id, TOMORROW_AT_TEN + DAY)
    assert code == ("under_way" if "pause" in steps else "wrong_status")


# The customer's Modify


@pytest.mark.row("M1", "M6")
def test_a_customer_moves_a_visit_and_it_keeps_its_identity(office: Office) -> None:
    start = NOW + 3 * DAY
    job_id = office.schedule(0, start)
    old = office.visit(job_id)
    move(office, job_id, start + 2 * HOUR)
    visit = office.visit(job_id)
    assert (visit.id, visit.start_at, visit.end_at) == (old.id, start + 2 * HOUR, start + 4 * HOUR)
    assert (visit.customer_moves, visit.move_number) == (1, old.move_number + 1)
    assert (visit.is_confirmed, visit.confirmed_by) == (True, "customer")
    assert by_the_book(office, job_id)
    assert written(office, job_id, since=2) == [
        (
            "visit",
            "reschedule",
            "customer",
            {"start": "2026-11-27T09:00:00+00:00", "end": "2026-11-27T11:00:00+00:00", "confirmed": False},
            {"start": "2026-11-27T11:00:00+00:00", "end": "2026-11-27T13:00:00+00:00", "confirmed": True},
            "",
        )
    ]
    assert office.messages(job_id) == ["booked", "moved"]


@pytest.mark.row("M6")
def test_the_partner_can_set_that_an_own_choice_does_not_confirm(office: Office) -> None:
    office.controls(own_choice_confirms=False)
    job_id = office.schedule(0, NOW + 3 * DAY)
    move(office, job_id, NOW + 4 * DAY)
    assert not office.visit(job_id).is_confirmed


@pytest.mark.row("M4", "M5")
def test_what_is_not_free_is_refused_and_the_old_time_untouched(office: Office) -> None:
    # a Tuesday, nine o'clock; notice 24 h, horizon 60 days, moves until 24 h before
    job_id = office.schedule(0, NOW + 3 * DAY)
    office.schedule(0, NOW + 4 * DAY)
    customer, visit_id = office.people.customers[0], office.visit(job_id).id
    for start, code in (
        (NOW + 3 * DAY, "same_time"),
        (NOW + 4 * DAY, "booked"),
        (NOW + 4 * DAY + 5 * MINUTE, "not_offered"),
        (NOW + 3 * DAY + 8 * HOUR, "outside_hours"),
        (NOW + 5 * DAY - 12 * HOUR, "not_offered"),
        (NOW + DAY - 30 * MINUTE, "notice"),
        (NOW + 61 * DAY, "horizon"),
        (NOW - DAY, "past"),
        (NOW, "notice"),
        (NOW + 6 * 365 * DAY, "not_offered"),
    ):
        assert refused(office, customer, services.move_by_customer, visit_id, start) == code
    # exactly at the notice, and on the last day of the horizon
    move(office, job_id, NOW + 60 * DAY)
    move(office, job_id, NOW + DAY)
    assert office.job(job_id).start_at == NOW + DAY


@pytest.mark.row("M1", "M5")
def test_a_page_from_before_another_move_moves_nothing(office: Office) -> None:
    job_id = office.schedule(0, NOW + 3 * DAY)
    visit, customer = office.visit(job_id), office.people.customers[0]
    office.do(customer, services.move_by_customer, visit.id, NOW + 4 * DAY, visit.move_number)
    code = refused(office, customer, services.move_by_customer, visit.id, NOW + 5 * DAY, visit.move_number)
    assert code == "moved_meanwhile"
    office.do(customer, services.move_by_customer, visit.id, NOW + 5 * DAY, visit.move_number + 1)


@pytest.mark.row("M4")
def test_a_holiday_and_time_off_bind_customers(office: Office) -> None:
    job_id = office.schedule(0, NOW + 3 * DAY)
    office.add(Holiday(day=date(2026, 11, 28)))
    day = NOW + 5 * DAY
    office.add(TimeOff(technician_id=office.people.technician_id(0), start_at=day, end_at=day + HOUR))
    customer, visit_id = office.people.customers[0], office.visit(job_id).id
    assert refused(office, customer, services.move_by_customer, visit_id, NOW + 4 * DAY) == "holiday"
    assert refused(office, customer, services.move_by_customer, visit_id, day) == "time_off"
    move(office, job_id, day + HOUR)


@pytest.mark.row("M4")
def test_free_times_of_many_technicians_and_days_cost_as_many_statements_as_of_few(
    engine: Engine, statements: list[str]
) -> None:
    counted = set()
    for technicians, days in ((2, 1), (30, 60)):
        office = Office(engine, technicians=[f"Technician {number}" for number in range(technicians)])
        for number in range(technicians):
            office.schedule(number, NOW + 2 * DAY)
        job_id = office.schedule(None, NOW + 3 * DAY)
        wanted = [NOW.date() + timedelta(days=ahead) for ahead in range(days)]
        with office.sessions() as session:
            set_scope(session, office.people.dispatcher.scope)
            job = session.get_one(Job, job_id)
            visit = session.scalars(select(Appointment).where(Appointment.job_id == job_id)).one()
            statements.clear()
            found = queries.staff_times(session, job, visit, None, wanted, NOW)
            counted.add(len(statements))
        assert [day for day in wanted if any(slot.technician_id for slot in found[day])] == wanted
        office.close()
    # What the work needs, who there is, and everything about their time.
    assert counted == {1}


@pytest.mark.row("M4", "C7")
def test_the_statement_that_reads_everybodys_time_reads_no_other_partners(office: Office, neighbour: Office) -> None:
    start = NOW + 2 * DAY
    neighbour.schedule(0, start)
    neighbour.add(TimeOff(technician_id=neighbour.people.technician_id(0), start_at=start, end_at=start + HOUR))
    neighbour.add(Holiday(day=start.date(), name="Theirs"))
    with neighbour.sessions() as session:
        set_scope(session, system_scope("system"))
        theirs = session.get_one(Technician, neighbour.people.technician_id(0))
        for partner_id, counts in ((neighbour.people.partner_id, (1, 1, 1)), (office.people.partner_id, (0, 0, 0))):
            found = board(session, partner_id, [theirs], start, start + HOUR)
            (calendar,) = found.calendars
            assert (len(calendar.booked), len(calendar.time_off), len(found.holidays)) == counts


@pytest.mark.row("M4", "C7")
def test_free_times_are_of_the_partners_own_people_and_kinds_of_work_alone(office: Office, neighbour: Office) -> None:
    start = NOW + 2 * DAY
    neighbour.schedule(0, start)
    neighbour.add(TimeOff(technician_id=neighbour.people.technician_id(0), start_at=start, end_at=start + HOUR))
    ours, theirs = office.people, neighbour.people
    with office.sessions() as session:
        set_scope(session, ours.customers[0].scope)

        def gathered(kind_id: int, people: list[int] | None) -> Board:
            return board_for(session, ours.partner_id, kind_id, people, start, start + HOUR)[1]

        for people in (None, [ours.technician_id(0)]):
            found = gathered(ours.service_type_id, people)
            assert {one.technician_id for one in found.calendars} <= {tech.technician_id for tech in ours.technicians}
            assert not any(len(one.booked) or len(one.time_off) for one in found.calendars)
            with pytest.raises(NotFound):
                gathered(theirs.service_type_id, people)
        for key in (theirs.technician_id(0), 2**63, 0):
            with pytest.raises(NotFound):
                gathered(ours.service_type_id, [key])


@pytest.mark.row("M5")
def test_taking_a_time_costs_as_many_statements_with_many_technicians_as_with_few(
    engine: Engine, statements: list[str]
) -> None:
    counted = set()
    for number in (2, 30):
        office = Office(engine, technicians=[f"Technician {key}" for key in range(number)])
        job_id = office.schedule(0, NOW + 3 * DAY)
        visit_id = office.visit(job_id).id
        statements.clear()
        office.do(office.people.customers[0], services.move_by_customer, visit_id, NOW + 4 * DAY)
        counted.add(len(statements))
        office.close()
    assert len(counted) == 1
    assert counted.pop() <= 20


@pytest.mark.row("M4", "M5")
def test_taking_a_time_without_technician_assigns_the_least_booked(office: Office) -> None:
    people, start = office.people, NOW + 3 * DAY
    office.schedule(0, start)
    office.schedule(2, start)
    job_id = office.schedule(start=start)
    move(office, job_id, start + 2 * HOUR)
    assert office.job(job_id).technician_id == people.technician_id(1)
    assert office.pair(job_id) == ("INSTALLER_ASSIGNED", "SCHEDULED")
    assert by_the_book(office, job_id)
    entry = office.history(job_id)[-1]
    assert (entry.subject, entry.action, entry.actor_role, entry.actor_id) == ("job", "assign", "system", None)
    assert entry.before == {"status": "SCHEDULED", "technician": None}
    assert entry.after == {"status": "INSTALLER_ASSIGNED", "technician": "Bob"}
    # ties go by name, and the dispatcher may reassign
    other = office.schedule(start=start + DAY)
    move(office, other, start + 4 * DAY)
    assert office.job(other).technician_id == people.technician_id(0)
    office.do(people.dispatcher, services.reassign, other, people.technician_id(2))


@pytest.mark.row("M5")
def test_the_last_time_is_taken_once(office: Office) -> None:
    start = NOW + 3 * DAY
    for key in (1, 2):
        row = office.looking.get_one(Technician, office.people.technician_id(key))
        office.change(row, status=TechnicianStatus.UNAVAILABLE)
    first, second = office.schedule(start=start), office.schedule(start=start, customer=1)
    move(office, first, start + DAY)
    visit_id = office.visit(second).id
    code = refused(office, office.people.customers[1], services.move_by_customer, visit_id, start + DAY)
    assert code == "booked"
    assert office.pair(second) == ("SCHEDULED", "SCHEDULED")


@pytest.mark.row("M2")
def test_a_customer_moves_one_visit_so_often_and_no_more(office: Office) -> None:
    office.controls(max_moves=2)
    job_id = office.schedule(0, NOW + 3 * DAY)
    for days in (4, 5):
        move(office, job_id, NOW + days * DAY)
    visit_id = office.visit(job_id).id
    code = refused(office, office.people.customers[0], services.move_by_customer, visit_id, NOW + 6 * DAY)
    assert code == "moves_used_up"
    # a staff move is none of the customer's
    office.do(office.people.dispatcher, services.reschedule, job_id, NOW + 7 * DAY)
    assert office.visit(job_id).customer_moves == 2


@pytest.mark.row("M2")
@pytest.mark.parametrize(("late", "code"), [(-SECOND, None), (0 * SECOND, None), (SECOND, "cutoff")])
def test_the_cutoff_of_a_move_is_an_exact_instant(office: Office, late: timedelta, code: str | None) -> None:
    start = NOW + 3 * DAY
    job_id = office.schedule(0, start)
    office.now = start - 24 * HOUR + late
    if code is None:
        move(office, job_id, start + 2 * DAY)
    else:
        visit_id = office.visit(job_id).id
        customer = office.people.customers[0]
        assert refused(office, customer, services.move_by_customer, visit_id, start + 2 * DAY) == code


@pytest.mark.row("M2")
def test_what_is_the_customers_to_do_is_not_staffs_and_the_other_way_round(office: Office) -> None:
    people, start = office.people, NOW + 3 * DAY
    job_id = office.schedule(0, start)
    visit_id, customer = office.visit(job_id).id, people.customers[0]
    for actor, use_case, args in (
        (people.dispatcher, services.move_by_customer, (visit_id, start + DAY)),
        (people.dispatcher, services.cancel_by_customer, (visit_id, "Mine")),
        (people.technicians[0], services.move_by_customer, (visit_id, start + DAY)),
        # past free times, notice and horizon, and without the undo time
        (customer, services.reschedule, (job_id, start + HOUR + MINUTE)),
        (customer, services.cancel, (job_id, "Mine")),
        (customer, services.assign, (job_id, people.technician_id(1))),
        (customer, services.reject, (job_id, "Mine")),
    ):
        code = refused(office, actor, use_case, *args)
        assert code == ("wrong_status" if use_case in (services.assign, services.reject) else "not_your_role")


@pytest.mark.row("C7")
def test_another_customers_visit_is_not_there(office: Office) -> None:
    job_id = office.schedule(0, NOW + 3 * DAY)
    visit_id, stranger = office.visit(job_id).id, office.people.customers[1]
    unknown(office, stranger, services.move_by_customer, visit_id, NOW + 4 * DAY)
    unknown(office, stranger, services.cancel_by_customer, visit_id, "Mine now")
    unknown(office, stranger, services.undo_cancel, visit_id)
    unknown(office, stranger, fieldwork.confirm, visit_id)


@pytest.mark.row("M8")
def test_confirming(office: Office) -> None:
    job_id = office.schedule(0)
    visit_id = office.visit(job_id).id
    office.do(office.people.customers[0], fieldwork.confirm, visit_id)
    visit = office.visit(job_id)
    assert (visit.status, visit.confirmed_at, visit.confirmed_by) == ("SCHEDULED", NOW, "customer")
    assert written(office, job_id)[-1] == (
        "visit",
        "confirm",
        "customer",
        {"confirmed": False},
        {"confirmed": True},
        "",
    )
    assert refused(office, office.people.customers[0], fieldwork.confirm, visit_id) == "confirmed_already"
    assert refused(office, office.people.technicians[0], fieldwork.confirm, visit_id) == "not_your_role"


# The customer's cancel and its undo time


def ask_to_cancel(office: Office, start: datetime = NOW + 3 * DAY, technician: int | None = 0) -> tuple[int, int]:
    job_id = office.schedule(technician, start)
    visit_id = office.visit(job_id).id
    office.do(office.people.customers[0], services.cancel_by_customer, visit_id, "Moving house")
    return job_id, visit_id


@pytest.mark.row("M7")
def test_a_customers_cancel_keeps_everything_until_the_undo_time_is_over(office: Office) -> None:
    job_id, visit_id = ask_to_cancel(office)
    visit = office.visit(job_id)
    assert (visit.cancel_at, visit.cancel_reason) == (NOW + 10 * MINUTE, "Moving house")
    assert office.pair(job_id) == ("INSTALLER_ASSIGNED", "SCHEDULED")
    assert (visit.start_at, visit.technician_id) == (NOW + 3 * DAY, office.people.technician_id(0))
    assert written(office, job_id, since=2) == [
        (
            "visit",
            "request_cancel",
            "customer",
            {},
            {"cancel_at": "2026-11-24T09:10:00+00:00"},
            "Moving house",
        )
    ]
    assert office.messages(job_id) == ["booked"]
    office.now = NOW + 10 * MINUTE - SECOND
    assert office.tick(visit_id) is False
    assert office.pair(job_id) == ("INSTALLER_ASSIGNED", "SCHEDULED")
    office.now = NOW + 10 * MINUTE
    assert office.tick(visit_id) is True
    assert office.pair(job_id) == ("CANCELLED", "CANCELLED")
    assert by_the_book(office, job_id)
    assert written(office, job_id, since=3) == [
        ("visit", "cancel", "system", {"status": "SCHEDULED"}, {"status": "CANCELLED"}, "Moving house"),
        ("job", "cancel", "system", {"status": "INSTALLER_ASSIGNED"}, {"status": "CANCELLED"}, "Moving house"),
    ]
    assert office.job(job_id).cancel_reason == "Moving house"
    assert office.messages(job_id) == ["booked", "cancelled"]
    assert office.tick(visit_id) is False


@pytest.mark.row("M7")
@pytest.mark.parametrize("who", ["customer", "dispatcher"])
def test_a_cancel_is_undone_up_to_the_last_second(office: Office, who: str) -> None:
    job_id, visit_id = ask_to_cancel(office)
    # even where the rules have changed meanwhile
    office.controls(self_service=False)
    actor = office.people.customers[0] if who == "customer" else office.people.dispatcher
    office.now = NOW + 10 * MINUTE - SECOND
    office.do(actor, services.undo_cancel, visit_id)
    visit = office.visit(job_id)
    assert (visit.cancel_at, visit.cancel_reason, visit.status) == (None, "", "SCHEDULED")
    assert written(office, job_id)[-1] == (
        "visit",
        "undo_cancel",
        who,
        {"cancel_at": "2026-11-24T09:10:00+00:00"},
        {"cancel_at": None},
        "",
    )
    assert refused(office, actor, services.undo_cancel, visit_id) == "no_cancel_pending"
    office.now += HOUR
    assert office.tick(visit_id) is False


@pytest.mark.row("M7")
def test_a_cancel_that_took_effect_is_not_undone_although_nobody_has_written_it_yet(office: Office) -> None:
    people = office.people
    job_id, visit_id = ask_to_cancel(office)
    office.now = NOW + 10 * MINUTE
    for actor in (people.customers[0], people.dispatcher):
        assert refused(office, actor, services.undo_cancel, visit_id) == "cancel_took_effect"
    assert refused(office, people.dispatcher, services.finalise_cancel, visit_id) == "cancel_took_effect"
    assert refused(office, people.dispatcher, services.cancel, job_id, "Mine") == "cancelling"


@pytest.mark.row("M7")
@pytest.mark.parametrize("before", [5 * MINUTE, 10 * MINUTE, 10 * MINUTE + SECOND])
def test_a_cancel_takes_effect_at_the_visits_start_at_the_latest(office: Office, before: timedelta) -> None:
    office.controls(cancel_cutoff_hours=0)
    job_id = office.schedule(0)
    office.now = TOMORROW_AT_TEN - before
    visit_id = office.visit(job_id).id
    office.do(office.people.customers[0], services.cancel_by_customer, visit_id, "Ill")
    assert office.visit(job_id).cancel_at == min(TOMORROW_AT_TEN, office.now + 10 * MINUTE)
    office.now = TOMORROW_AT_TEN
    assert office.tick(visit_id) is True


@pytest.mark.row("M7")
@pytest.mark.parametrize("start", [NOW + 10 * MINUTE + SECOND, NOW + 5 * MINUTE], ids=["undo time", "start"])
@pytest.mark.parametrize("late", [-1, 0, 1])
def test_at_the_second_a_pending_cancel_is_either_open_or_final(office: Office, start: datetime, late: int) -> None:
    office.controls(cancel_cutoff_hours=0)
    people, due = office.people, min(start, NOW + 10 * MINUTE)
    for actor, use_case, end in (
        (people.customers[0], services.undo_cancel, "SCHEDULED"),
        (people.dispatcher, services.undo_cancel, "SCHEDULED"),
        (people.dispatcher, services.finalise_cancel, "CANCELLED"),
    ):
        office.now = NOW
        job_id, visit_id = ask_to_cancel(office, start)
        office.now = due + late * SECOND
        number, ann = office.visit(job_id).move_number, people.technicians[0]
        assert refused(office, ann, fieldwork.set_off, visit_id, number) == "cancelling"
        if late < 0:
            assert office.tick(visit_id) is False
            office.do(actor, use_case, visit_id)
            assert office.tick(visit_id) is False
        else:
            assert refused(office, actor, use_case, visit_id) == "cancel_took_effect"
            assert office.tick(visit_id) is True
            end = "CANCELLED"
        assert (office.visit(job_id).status, office.visit(job_id).cancel_at) == (end, None)
        assert by_the_book(office, job_id)
        assert office.messages(job_id).count("cancelled") == (end == "CANCELLED")
        if end == "SCHEDULED":
            office.do(people.dispatcher, services.cancel, job_id, "Made room")


@pytest.mark.row("M7")
def test_without_undo_time_a_cancel_takes_effect_at_once(office: Office) -> None:
    office.controls(cancel_undo_minutes=0)
    job_id, _ = ask_to_cancel(office)
    assert office.pair(job_id) == ("CANCELLED", "CANCELLED")
    assert [entry[2] for entry in written(office, job_id, since=2)] == ["customer", "customer"]
    assert office.messages(job_id) == ["booked", "cancelled"]


@pytest.mark.row("M7")
def test_staff_make_a_cancel_final_and_nobody_else_does(office: Office) -> None:
    people = office.people
    job_id, visit_id = ask_to_cancel(office)
    for actor in (people.customers[0], people.technicians[0]):
        assert refused(office, actor, services.finalise_cancel, visit_id) == "not_your_role"
    assert refused(office, people.technicians[0], services.undo_cancel, visit_id) == "not_your_role"
    office.do(people.dispatcher, services.finalise_cancel, visit_id)
    assert office.pair(job_id) == ("CANCELLED", "CANCELLED")
    assert [entry[:3] for entry in written(office, job_id, since=3)] == [
        ("visit", "cancel", "dispatcher"),
        ("job", "cancel", "dispatcher"),
    ]
    for actor, use_case in (
        (people.dispatcher, services.finalise_cancel),
        (people.dispatcher, services.undo_cancel),
        (people.customers[0], services.undo_cancel),
    ):
        assert refused(office, actor, use_case, visit_id) == "cancel_took_effect"


@pytest.mark.row("M7")
def test_while_a_cancel_is_pending_everything_else_is_refused(office: Office) -> None:
    people = office.people
    office.controls(cancel_cutoff_hours=0, reschedule_cutoff_hours=0)
    start = NOW + 2 * HOUR
    job_id, visit_id = ask_to_cancel(office, start)
    number = office.visit(job_id).move_number
    dana, ann, customer = people.dispatcher, people.technicians[0], people.customers[0]
    for actor, use_case, args in (
        (dana, services.reassign, (job_id, people.technician_id(1))),
        (dana, services.reschedule, (job_id, start + DAY)),
        (dana, services.cancel, (job_id, "Mine")),
        (dana, fieldwork.confirm, (visit_id,)),
        (ann, fieldwork.prepare, (visit_id, number)),
        (ann, fieldwork.set_off, (visit_id, number)),
        (customer, services.move_by_customer, (visit_id, start + DAY)),
        (customer, services.cancel_by_customer, (visit_id, "Again")),
        (customer, fieldwork.confirm, (visit_id,)),
    ):
        assert refused(office, actor, use_case, *args) == "cancelling", use_case.__name__
    unassigned, visit_id = ask_to_cancel(office, start, technician=None)
    assert refused(office, dana, services.assign, unassigned, people.technician_id(1)) == "cancelling"
    assert refused(office, dana, services.reject, unassigned, "Mine") == "cancelling"


@pytest.mark.row("M7")
def test_a_cancelled_time_is_free_again_and_a_pending_one_is_not(office: Office) -> None:
    start = NOW + 3 * DAY
    _, visit_id = ask_to_cancel(office, start)
    booking = office.booking(start, technician_id=office.people.technician_id(0))
    assert invalid(office, office.people.dispatcher, services.schedule_installation, booking)
    office.do(office.people.dispatcher, services.finalise_cancel, visit_id)
    assert office.job(office.schedule(0, start)).status == "INSTALLER_ASSIGNED"


@pytest.mark.row("M7")
@pytest.mark.parametrize(("late", "code"), [(-SECOND, None), (0 * SECOND, None), (SECOND, "cutoff")])
def test_the_cutoff_of_a_cancel_is_an_exact_instant(office: Office, late: timedelta, code: str | None) -> None:
    start = NOW + 4 * DAY
    job_id = office.schedule(0, start)
    visit_id, customer = office.visit(job_id).id, office.people.customers[0]
    office.now = start - 48 * HOUR + late
    if code is None:
        office.do(customer, services.cancel_by_customer, visit_id, "Away")
        assert office.visit(job_id).cancel_at is not None
    else:
        assert refused(office, customer, services.cancel_by_customer, visit_id, "Away") == code


# Staff cancel


@pytest.mark.row("P14")
@pytest.mark.parametrize("technician", [None, 0])
def test_staff_cancel_a_planned_installation(office: Office, technician: int | None) -> None:
    job_id = office.schedule(technician)
    before = office.job(job_id).status
    office.do(office.people.dispatcher, services.cancel, job_id, "Customer moved away")
    assert office.pair(job_id) == ("CANCELLED", "CANCELLED")
    assert by_the_book(office, job_id)
    job, visit = office.job(job_id), office.visit(job_id)
    assert (job.cancel_reason, visit.cancel_reason, visit.ended_at) == (
        "Customer moved away",
        "Customer moved away",
        NOW,
    )
    assert written(office, job_id)[-2:] == [
        ("job", "cancel", "dispatcher", {"status": before}, {"status": "CANCELLED"}, "Customer moved away"),
        ("visit", "cancel", "dispatcher", {"status": "SCHEDULED"}, {"status": "CANCELLED"}, "Customer moved away"),
    ]
    assert office.messages(job_id) == ["booked", "cancelled"]
    assert refused(office, office.people.dispatcher, services.cancel, job_id, "Again") == "wrong_status"


@pytest.mark.row("P14")
def test_staff_cancel_a_begun_installation_only_while_nobody_works(office: Office) -> None:
    job_id = office.schedule(0)
    drive(office, job_id, "set_off", "arrive", "start_work")
    assert refused(office, office.people.dispatcher, services.cancel, job_id, "Stop") == "under_way"
    drive(office, job_id, "pause")
    office.do(office.people.dispatcher, services.cancel, job_id, "Stop")
    assert office.pair(job_id) == ("CANCELLED", "CANCELLED")
    assert by_the_book(office, job_id)


@pytest.mark.row("P14")
def test_nobody_but_staff_and_the_customer_cancels(office: Office) -> None:
    job_id = office.schedule(0)
    assert refused(office, office.people.technicians[0], services.cancel, job_id, "Tired") == "not_your_role"


# The field


@pytest.mark.row("J4", "J6")
def test_the_way_of_a_visit_from_setting_off_to_complete(office: Office) -> None:
    job_id = office.schedule(0)
    ann, visit_id = office.people.technicians[0], office.visit(job_id).id
    expected = [
        ("prepare", (), "INSTALLER_ASSIGNED", "PREPARING"),
        ("set_off", (25,), "EN_ROUTE", "ON_THE_WAY"),
        ("arrive", (), "EN_ROUTE", "ARRIVED"),
        ("start_work", (), "INSTALLATION_IN_PROGRESS", "WORK_IN_PROGRESS"),
        ("complete", ("All panels up ☀",), "INSTALLATION_COMPLETED", "COMPLETE"),
    ]
    office.now = TOMORROW_AT_TEN - HOUR
    times = {}
    for name, args, job_status, visit_status in expected:
        before = office.pair(job_id)
        since = len(office.history(job_id))
        step(office, job_id, name, *args)
        times[name] = office.now
        assert office.pair(job_id) == (job_status, visit_status)
        assert by_the_book(office, job_id)
        rows = [("visit", name, "technician", {"status": before[1]}, {"status": visit_status}, "")]
        if before[0] != job_status:
            rows.append(("job", name, "technician", {"status": before[0]}, {"status": job_status}, ""))
        assert written(office, job_id, since) == rows
        assert {entry.at for entry in office.history(job_id)[since:]} == {office.now}
        # tapped twice, it counts once
        again = getattr(fieldwork, name)
        assert refused(office, ann, again, visit_id, office.visit(job_id).move_number, *args) == "wrong_status"
        office.now += 10 * MINUTE
    visit = office.visit(job_id)
    assert (visit.on_the_way_at, visit.eta_minutes, visit.arrived_at, visit.work_began_at, visit.ended_at) == (
        times["set_off"],
        25,
        times["arrive"],
        times["start_work"],
        times["complete"],
    )
    assert visit.service_notes == "All panels up ☀"
    assert office.job(job_id).work_began_at == times["start_work"]
    assert office.messages(job_id) == ["booked", "on_the_way"]


@pytest.mark.row("J6")
def test_a_complete_visit_frees_the_technician(office: Office) -> None:
    job_id, next_one = office.schedule(0), office.schedule(0, TOMORROW_AT_TEN + 2 * HOUR)
    drive(office, job_id, "set_off", "arrive", "start_work")
    visit = office.visit(next_one)
    ann = office.people.technicians[0]
    assert refused(office, ann, fieldwork.set_off, visit.id, visit.move_number) == "elsewhere"
    drive(office, job_id, "complete")
    drive(office, next_one, "set_off")
    assert office.pair(next_one) == ("EN_ROUTE", "ON_THE_WAY")


@pytest.mark.row("J4")
def test_staff_take_a_step_on_the_technicians_behalf_and_another_technician_does_not(office: Office) -> None:
    job_id = office.schedule(0)
    office.now = TOMORROW_AT_TEN
    visit = office.visit(job_id)
    bob, customer = office.people.technicians[1], office.people.customers[0]
    assert refused(office, bob, fieldwork.set_off, visit.id, visit.move_number) == "not_assigned_to_you"
    assert refused(office, customer, fieldwork.set_off, visit.id, visit.move_number) == "not_your_role"
    step(office, job_id, "set_off", actor=office.people.dispatcher)
    assert office.history(job_id)[-1].actor_name == "Dana"


@pytest.mark.row("J4")
@pytest.mark.parametrize("minutes", [-1, 721, 10**30])
def test_minutes_to_arrival_are_a_sensible_number(office: Office, minutes: int) -> None:
    job_id = office.schedule(0)
    office.now = TOMORROW_AT_TEN
    visit = office.visit(job_id)
    ann = office.people.technicians[0]
    found = invalid(office, ann, fieldwork.set_off, visit.id, visit.move_number, minutes)
    assert found == {"minutes": "Enter minutes between 0 and 720"}


@pytest.mark.row("J4")
def test_a_technician_does_not_set_off_on_another_day(office: Office) -> None:
    job_id = office.schedule(0)
    visit = office.visit(job_id)
    ann = office.people.technicians[0]
    assert refused(office, ann, fieldwork.set_off, visit.id, visit.move_number) == "not_today"


@pytest.mark.row("J8")
def test_a_tap_from_before_a_move_is_refused_and_said_so(office: Office) -> None:
    job_id = office.schedule(0)
    old = office.visit(job_id)
    office.do(office.people.dispatcher, services.reschedule, job_id, TOMORROW_AT_TEN + HOUR)
    office.now = TOMORROW_AT_TEN
    ann = office.people.technicians[0]
    assert refused(office, ann, fieldwork.set_off, old.id, old.move_number) == "moved_meanwhile"
    step(office, job_id, "set_off")


@pytest.mark.row("J4")
@pytest.mark.parametrize("steps", [["set_off"], ["set_off", "arrive"]])
def test_turning_back_plans_the_visit_as_before_and_a_second_departure_is_told_again(
    office: Office, steps: list[str]
) -> None:
    job_id = office.schedule(0)
    drive(office, job_id, *steps)
    old = office.visit(job_id)
    drive(office, job_id, "turn_back")
    visit = office.visit(job_id)
    assert office.pair(job_id) == ("INSTALLER_ASSIGNED", "SCHEDULED")
    assert by_the_book(office, job_id)
    assert (visit.start_at, visit.technician_id, visit.move_number) == (
        old.start_at,
        old.technician_id,
        old.move_number + 1,
    )
    assert (visit.on_the_way_at, visit.arrived_at) == (None, None)
    assert written(office, job_id)[-2:] == [
        ("visit", "turn_back", "technician", {"status": old.status}, {"status": "SCHEDULED"}, "Flat tyre"),
        ("job", "turn_back", "technician", {"status": "EN_ROUTE"}, {"status": "INSTALLER_ASSIGNED"}, "Flat tyre"),
    ]
    drive(office, job_id, "set_off")
    assert office.messages(job_id) == ["booked", "on_the_way", "on_the_way"]


@pytest.mark.row("J5")
def test_pausing_at_the_door_and_going_on(office: Office) -> None:
    job_id = office.schedule(0)
    drive(office, job_id, "set_off", "arrive")
    visit = office.visit(job_id)
    ann = office.people.technicians[0]
    office.do(ann, fieldwork.pause, visit.id, visit.move_number, office.people.reason_id, " Nobody in ")
    assert office.pair(job_id) == ("EN_ROUTE", "PAUSED")
    assert by_the_book(office, job_id)
    assert office.visit(job_id).pause_reason == "Part needed"
    assert written(office, job_id)[-1][-1] == "Part needed: Nobody in"
    drive(office, job_id, "resume")
    assert office.pair(job_id) == ("INSTALLATION_IN_PROGRESS", "WORK_IN_PROGRESS")
    assert by_the_book(office, job_id)
    assert office.visit(job_id).pause_reason == ""
    assert office.job(job_id).work_began_at == office.visit(job_id).work_began_at


@pytest.mark.row("J5")
def test_pausing_during_work_and_going_on(office: Office) -> None:
    job_id = office.schedule(0)
    drive(office, job_id, "set_off", "arrive", "start_work")
    began = office.job(job_id).work_began_at
    drive(office, job_id, "pause")
    assert office.pair(job_id) == ("INSTALLATION_IN_PROGRESS", "PAUSED")
    assert by_the_book(office, job_id)
    drive(office, job_id, "resume", "complete")
    assert office.pair(job_id) == ("INSTALLATION_COMPLETED", "COMPLETE")
    assert office.job(job_id).work_began_at == began


@pytest.mark.row("J5")
def test_a_pause_has_one_of_the_partners_reasons(office: Office, neighbour: Office) -> None:
    old = office.add(PauseReason(label="Old one", active=False))
    job_id = office.schedule(0)
    drive(office, job_id, "set_off", "arrive")
    visit, ann = office.visit(job_id), office.people.technicians[0]
    unknown(office, ann, fieldwork.pause, visit.id, visit.move_number, neighbour.people.reason_id)
    found = invalid(office, ann, fieldwork.pause, visit.id, visit.move_number, old)
    assert found == {"pause_reason": "Choose one of the reasons"}
    found = invalid(office, ann, fieldwork.pause, visit.id, visit.move_number, office.people.reason_id, TEN_THOUSAND)
    assert found == {"note": "Use 2000 characters or fewer."}


@pytest.mark.row("J5")
def test_a_paused_visit_whose_time_was_given_away_is_not_resumed(office: Office) -> None:
    job_id = office.schedule(0)
    drive(office, job_id, "set_off", "arrive", "start_work", "pause")
    other = office.schedule(0, TOMORROW_AT_TEN + HOUR)
    visit = office.visit(job_id)
    ann = office.people.technicians[0]
    assert refused(office, ann, fieldwork.resume, visit.id, visit.move_number) == "time_taken"
    office.do(office.people.dispatcher, services.cancel, other, "Made room")
    drive(office, job_id, "resume")
    assert office.pair(job_id) == ("INSTALLATION_IN_PROGRESS", "WORK_IN_PROGRESS")


# Continue another day, and follow-up visits


@pytest.mark.row("J5")
@pytest.mark.parametrize("busy", [False, True])
def test_continuing_from_the_door_plans_the_visit_anew(office: Office, busy: bool) -> None:
    job_id = office.schedule(0)
    next_day = TOMORROW_AT_TEN + DAY
    if busy:
        office.schedule(0, next_day + HOUR)
    drive(office, job_id, "set_off", "arrive", "pause")
    old, ann = office.visit(job_id), office.people.technicians[0]
    found = invalid(office, ann, fieldwork.continue_later, old.id, old.move_number, None)
    assert found == {"start": "Choose when the visit continues"}
    found = invalid(office, ann, fieldwork.continue_later, old.id, old.move_number, office.now)
    assert found == {"start": "Choose a date and time that is not in the past"}
    since = len(office.history(job_id))
    ended = office.do(ann, fieldwork.continue_later, old.id, old.move_number, next_day)
    assert ended == old.id
    first, second = office.visits(job_id)
    assert (first.status, first.ended_at) == ("INCOMPLETE", office.now)
    assert (second.status, second.start_at, second.previous_id) == ("SCHEDULED", next_day, first.id)
    assert second.technician_id == (None if busy else office.people.technician_id(0))
    status = "SCHEDULED" if busy else "INSTALLER_ASSIGNED"
    assert office.job(job_id).status == status
    assert by_the_book(office, job_id)
    rows = written(office, job_id, since)
    assert [row[:2] for row in rows] == [("visit", "book"), ("visit", "continue_later"), ("job", "continue_later")]
    assert rows[1][3:5] == ({"status": "PAUSED"}, {"status": "INCOMPLETE"})
    assert rows[2][3:5] == ({"status": "EN_ROUTE"}, {"status": status})
    assert office.messages(job_id) == ["booked", "on_the_way", "booked"]


@pytest.mark.row("J5")
def test_continuing_after_work_began_leaves_the_job_in_progress(office: Office) -> None:
    job_id = office.schedule(0)
    drive(office, job_id, "set_off", "arrive", "start_work", "pause")
    step(office, job_id, "continue_later", TOMORROW_AT_TEN + DAY)
    assert office.pair(job_id) == ("INSTALLATION_IN_PROGRESS", "SCHEDULED")
    assert by_the_book(office, job_id)
    # the follow-up goes its own way to the end while the job stays in progress
    for name in ("set_off", "arrive", "turn_back", "set_off", "arrive", "pause", "resume", "pause"):
        drive(office, job_id, name)
        assert office.job(job_id).status == "INSTALLATION_IN_PROGRESS"
        assert by_the_book(office, job_id)
    drive(office, job_id, "resume", "complete")
    assert office.pair(job_id) == ("INSTALLATION_COMPLETED", "COMPLETE")
    assert [visit.status for visit in office.visits(job_id)] == ["INCOMPLETE", "COMPLETE"]


@pytest.mark.row("J5")
def test_once_work_began_the_next_visit_may_be_left_to_be_planned(office: Office) -> None:
    people, job_id = office.people, office.schedule(0)
    drive(office, job_id, "set_off", "arrive", "start_work", "pause")
    step(office, job_id, "continue_later", None)
    assert office.pair(job_id) == ("INSTALLATION_IN_PROGRESS", "INCOMPLETE")
    assert by_the_book(office, job_id)
    # staff plan the follow-up by the same Reschedule
    start = office.now.replace(hour=10, minute=0) + DAY
    office.do(people.dispatcher, services.reschedule, job_id, start, technician_id=people.technician_id(1))
    first, second = office.visits(job_id)
    assert (second.technician_id, second.start_at, second.previous_id) == (people.technician_id(1), start, first.id)
    assert office.pair(job_id) == ("INSTALLATION_IN_PROGRESS", "SCHEDULED")
    assert by_the_book(office, job_id)
    assert written(office, job_id)[-1] == (
        "visit",
        "book",
        "dispatcher",
        {},
        {"status": "SCHEDULED", "start": start.isoformat(), "technician": "Bob"},
        "",
    )
    assert office.messages(job_id)[-1] == "booked"


@pytest.mark.row("J5", "P14")
def test_a_begun_installation_without_a_visit_can_be_cancelled(office: Office) -> None:
    job_id = office.schedule(0)
    drive(office, job_id, "set_off", "arrive", "start_work", "pause")
    step(office, job_id, "continue_later", None)
    office.do(office.people.dispatcher, services.cancel, job_id, "Gave up")
    assert office.pair(job_id) == ("CANCELLED", "INCOMPLETE")


@pytest.mark.row("P13", "P12")
def test_a_follow_up_changes_hands_by_reschedule_and_the_history_says_so(office: Office) -> None:
    people, job_id = office.people, office.schedule(0)
    drive(office, job_id, "set_off", "arrive", "start_work", "pause")
    start = TOMORROW_AT_TEN + DAY
    step(office, job_id, "continue_later", start)
    since = len(office.history(job_id))
    office.do(people.dispatcher, services.reschedule, job_id, start + HOUR, technician_id=people.technician_id(2))
    assert office.job(job_id).technician_id == people.technician_id(2)
    assert by_the_book(office, job_id)
    changes = [(row[3].get("technician"), row[4].get("technician")) for row in written(office, job_id, since)]
    assert ("Ann", "Cyd") in changes


@pytest.mark.row("M7")
def test_a_customer_cancels_a_follow_up_and_the_job_waits_for_another(office: Office) -> None:
    office.controls(cancel_undo_minutes=0)
    job_id = office.schedule(0)
    drive(office, job_id, "set_off", "arrive", "start_work", "pause")
    step(office, job_id, "continue_later", TOMORROW_AT_TEN + 5 * DAY)
    visit_id = office.visit(job_id).id
    office.do(office.people.customers[0], services.cancel_by_customer, visit_id, "On holiday")
    assert [visit.status for visit in office.visits(job_id)] == ["INCOMPLETE", "CANCELLED"]
    assert office.job(job_id).status == "INSTALLATION_IN_PROGRESS"
    assert by_the_book(office, job_id)


@pytest.mark.row("M4", "M5", "P12")
def test_a_follow_up_without_technician_gets_one_when_its_customer_takes_a_time(office: Office) -> None:
    job_id = office.schedule(0)
    start = TOMORROW_AT_TEN + 5 * DAY
    other = office.schedule(0, start)
    drive(office, job_id, "set_off", "arrive", "start_work", "pause")
    step(office, job_id, "continue_later", start)
    assert office.visit(job_id).technician_id is None
    office.do(office.people.dispatcher, services.cancel, other, "Made room")
    since = len(office.history(job_id))
    move(office, job_id, start + DAY)
    assert office.visit(job_id).technician_id == office.people.technician_id(0)
    assert office.job(job_id).status == "INSTALLATION_IN_PROGRESS"
    assert by_the_book(office, job_id)
    assert ("job", "assign", "system", {"technician": None}, {"technician": "Ann"}, "") in written(
        office, job_id, since
    )


# Edit, and what freezes when


def edit(office: Office, job_id: int, version: int | None = None, **values: Any) -> JobEdit:
    job = office.job(job_id)
    items = [ItemInput(name, quantity) for name, quantity in office.items(job_id)]
    form = {"address_id": job.address_id, "notes": job.notes, "items": items} | values
    return JobEdit(version=job.version if version is None else version, **form)


@pytest.mark.row("P12")
def test_editing_writes_what_was_and_what_is(office: Office) -> None:
    job_id = office.schedule(notes="Old")
    version = office.job(job_id).version
    form = edit(office, job_id, notes=" New ", items=[ItemInput("Inverter", 3)])
    office.do(office.people.dispatcher, services.edit, job_id, form)
    job = office.job(job_id)
    assert (job.notes, job.title, office.items(job_id)) == ("New", "Inverter", [("Inverter", 3)])
    assert job.version > version
    assert written(office, job_id)[-1] == (
        "job",
        "edit",
        "dispatcher",
        {"notes": "Old", "items": "2 × Solar panel"},
        {"notes": "New", "items": "3 × Inverter"},
        "",
    )


@pytest.mark.row("P12")
def test_an_edit_that_changes_nothing_writes_nothing(office: Office) -> None:
    job_id = office.schedule(notes="Same")
    before = office.snapshot()
    office.now += HOUR
    office.do(office.people.dispatcher, services.edit, job_id, edit(office, job_id))
    assert office.snapshot() == before


@pytest.mark.parametrize("meanwhile", ["edit", "assign", "confirm"])
def test_a_form_from_before_somebody_elses_change_is_refused(office: Office, meanwhile: str) -> None:
    people, job_id = office.people, office.schedule()
    stale = edit(office, job_id, notes="Mine")
    office.now += SECOND
    if meanwhile == "edit":
        office.do(people.partner_admin, services.edit, job_id, edit(office, job_id, notes="Theirs"))
    elif meanwhile == "assign":
        office.do(people.partner_admin, services.assign, job_id, people.technician_id(0))
    else:
        office.do(people.customers[0], fieldwork.confirm, office.visit(job_id).id)
    assert refused(office, people.dispatcher, services.edit, job_id, stale) == "changed_meanwhile"


@pytest.mark.row("P4")
@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"items": []}, "items"),
        ({"items": [ItemInput("Panel", 0)]}, "items-0-quantity"),
        ({"items": [ItemInput("Panel", -1)]}, "items-0-quantity"),
        ({"items": [ItemInput("Panel", 10**30)]}, "items-0-quantity"),
        ({"notes": TEN_THOUSAND}, "notes"),
    ],
)
def test_what_an_edit_does_not_accept(office: Office, values: dict[str, Any], field: str) -> None:
    job_id = office.schedule()
    found = invalid(office, office.people.dispatcher, services.edit, job_id, edit(office, job_id, **values))
    assert list(found) == [field]


def test_only_staff_edit_and_only_with_the_customers_own_address(office: Office) -> None:
    people, job_id = office.people, office.schedule(0)
    for actor in (people.customers[0], people.technicians[0]):
        assert refused(office, actor, services.edit, job_id, edit(office, job_id, notes="Mine")) == "not_your_role"
    unknown(office, people.dispatcher, services.edit, job_id, edit(office, job_id, address_id=people.addresses[1]))
    unknown(office, people.dispatcher, services.edit, job_id, edit(office, job_id, address_id=987_654))


@pytest.mark.row("J10")
def test_items_and_address_freeze_when_the_contract_is_sent(office: Office) -> None:
    people, job_id = office.people, office.schedule(0)
    dana = people.dispatcher
    drive(office, job_id, "set_off", "arrive", "start_work", "complete")
    office.do(dana, services.edit, job_id, edit(office, job_id, items=[ItemInput("Panel XL", 4)]))
    assert office.job(job_id).title == "Panel XL"
    other_items = [ItemInput("Panel XXL", 4)]
    for name, args, status in (
        ("send_contract", (job_id,), "CONTRACT_SENT"),
        ("sign_contract", (), "CONTRACT_SIGNED"),
        ("approve", (job_id,), "CUSTOMER_APPROVED"),
    ):
        actor = dana if name == "send_contract" else people.customers[0]
        more = (office.contract(job_id).id, "C. Customer", True) if name == "sign_contract" else args
        office.do(actor, getattr(contracts, name), *more)
        assert office.job(job_id).status == status
        assert by_the_book(office, job_id)
        assert refused(office, dana, services.edit, job_id, edit(office, job_id, items=other_items)) == "frozen"
        assert (
            refused(office, dana, services.edit, job_id, edit(office, job_id, address_id=people.addresses[1]))
            == "frozen"
        )
        office.do(dana, services.edit, job_id, edit(office, job_id, notes=f"Note at {status}"))
        assert office.job(job_id).notes == f"Note at {status}"


@pytest.mark.row("P10", "P14")
@pytest.mark.parametrize("end", ["reject", "cancel"])
def test_an_ended_installation_takes_notes_only(office: Office, end: str) -> None:
    dana, job_id = office.people.dispatcher, office.schedule()
    office.do(dana, getattr(services, end), job_id, "Over")
    assert refused(office, dana, services.edit, job_id, edit(office, job_id, items=[ItemInput("More", 1)])) == "frozen"
    office.do(dana, services.edit, job_id, edit(office, job_id, notes="Called back"))
    assert office.job(job_id).notes == "Called back"


# Scope, history, the transaction


@pytest.mark.row("C7")
def test_a_job_of_another_partner_is_not_there(office: Office, neighbour: Office) -> None:
    theirs = neighbour.schedule(0)
    visit = neighbour.visit(theirs)
    dana, ann, key = office.people.dispatcher, office.people.technicians[0], office.people.technician_id(0)
    for job_id in (theirs, 0, -5, 2**63, 987_654):
        unknown(office, dana, services.assign, job_id, key)
        unknown(office, dana, services.reassign, job_id, key)
        unknown(office, dana, services.reject, job_id, "Mine")
        unknown(office, dana, services.reschedule, job_id, NOW + DAY)
        unknown(office, dana, services.cancel, job_id, "Mine")
    for visit_id in (visit.id, 0, -5, 2**63, 987_654):
        unknown(office, dana, fieldwork.confirm, visit_id)
        unknown(office, ann, fieldwork.set_off, visit_id, visit.move_number)
        unknown(office, office.people.customers[0], services.move_by_customer, visit_id, NOW + DAY)
        unknown(office, dana, services.finalise_cancel, visit_id)
    # and another partner's technician cannot be chosen
    mine = office.schedule()
    unknown(office, dana, services.assign, mine, visit.technician_id)


@pytest.mark.row("P12")
def test_history_and_message_are_part_of_the_change(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails at the very end of a use case takes change, history and message with it."""
    job_id = office.schedule()
    before = office.snapshot()

    class PowerCut(Exception):
        pass

    def assign_then_fail(session: Any, actor: Actor, now: datetime) -> Any:
        services.reject(session, actor, now, job_id, "Never")
        session.flush()
        assert session.scalars(select(HistoryEntry).where(HistoryEntry.action == "reject")).one()
        raise PowerCut

    with pytest.raises(PowerCut):
        office.do(office.people.dispatcher, assign_then_fail)
    assert office.snapshot() == before


def test_a_use_case_outside_a_unit_of_work_is_refused(office: Office) -> None:
    job_id = office.schedule()
    with pytest.raises(RuntimeError, match="unit_of_work"):
        services.reject(office.looking, office.people.dispatcher, NOW, job_id, "Never")


@pytest.mark.row("P6")
def test_numbers_go_on_for_each_partner_alone(office: Office, neighbour: Office) -> None:
    office.change(office.looking.get_one(Partner, office.people.partner_id), job_prefix="SOL")
    numbers = [office.job(office.schedule()).number for _ in range(3)]
    assert numbers == ["SOL-1001", "SOL-1002", "SOL-1003"]
    assert neighbour.job(neighbour.schedule()).number == "D-1001"


def test_two_visits_of_one_installation_are_never_active_at_once(office: Office) -> None:
    job_id = office.schedule(0)
    drive(office, job_id, "set_off", "arrive", "start_work", "pause")
    step(office, job_id, "continue_later", TOMORROW_AT_TEN + DAY)
    people = office.people
    office.do(people.dispatcher, services.reschedule, job_id, TOMORROW_AT_TEN + 2 * DAY, technician_id=None)
    active = [visit for visit in office.visits(job_id) if visit.status == "SCHEDULED"]
    assert len(active) == 1
    assert isinstance(active[0], Appointment)
