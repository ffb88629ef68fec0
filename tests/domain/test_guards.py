"""Each guard from both sides, its sentence included, and the engine that asks them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from portal.domain.actor import Actor
from portal.domain.errors import Refused, sentence
from portal.domain.jobs.states import APPOINTMENT, INSTALLATION, SERVICE
from portal.domain.lifecycle import Workflow, any_of
from tests.domain.stand_ins import (
    CUSTOMER,
    DISPATCHER,
    NOW,
    OPERATOR_LOOKING_IN,
    OPERATOR_OUTSIDE,
    OTHER_TECHNICIAN,
    PARTNER_ADMIN,
    START,
    SYSTEM,
    TECHNICIAN,
    Asking,
    Job,
    Visit,
    controls,
)

BEGUN = NOW - timedelta(hours=1)
TODAY = Visit(start_at=NOW + timedelta(hours=3))


def under_way(status: str = "ARRIVED", **values: Any) -> Visit:
    return Visit(status=status, start_at=NOW, **values)


def ask(
    workflow: Workflow[Any], action: str, status: str | None, asking: Asking, **values: Any
) -> tuple[str, str] | None:
    """Return code and English sentence of the refusal, or None."""
    refusal = workflow.refusal(action, status, asking.situation(**values))
    return None if refusal is None else (refusal.code, str(refusal.sentence))


CANCELLING = ("cancelling", "The customer is cancelling this visit; it can only be undone or made final.")


@pytest.mark.row("M7")
@pytest.mark.parametrize(
    ("workflow", "action", "status"),
    [
        (INSTALLATION, "reassign", "INSTALLER_ASSIGNED"),
        (INSTALLATION, "reschedule", "INSTALLER_ASSIGNED"),
        (INSTALLATION, "cancel", "INSTALLER_ASSIGNED"),
        (SERVICE, "reassign", "SCHEDULED"),
        (SERVICE, "reschedule", "SCHEDULED"),
        (SERVICE, "cancel", "SCHEDULED"),
        (APPOINTMENT, "confirm", "SCHEDULED"),
        (APPOINTMENT, "prepare", "SCHEDULED"),
        (APPOINTMENT, "set_off", "SCHEDULED"),
        (APPOINTMENT, "reschedule", "SCHEDULED"),
        (APPOINTMENT, "reassign", "SCHEDULED"),
        (APPOINTMENT, "cancel", "SCHEDULED"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_while_a_cancel_is_pending_nothing_else_is_done(workflow: Workflow[Any], action: str, status: str) -> None:
    visit = Visit(start_at=TODAY.start_at)
    assert ask(workflow, action, status, Asking(visit=visit)) is None
    visit.cancel_at = NOW + timedelta(minutes=10)
    assert ask(workflow, action, status, Asking(visit=visit)) == CANCELLING


@pytest.mark.row("M7")
@pytest.mark.parametrize("action", ["assign", "reject"])
def test_while_a_cancel_is_pending_nobody_is_assigned_and_nothing_rejected(action: str) -> None:
    job, visit = Job("SCHEDULED", technician_id=None), Visit(technician_id=None)
    assert ask(INSTALLATION, action, "SCHEDULED", Asking(job=job, visit=visit)) is None
    visit.cancel_at = NOW + timedelta(minutes=10)
    assert ask(INSTALLATION, action, "SCHEDULED", Asking(job=job, visit=visit)) == CANCELLING


@pytest.mark.row("P9")
def test_only_an_unassigned_installation_is_rejected() -> None:
    visit = Visit(technician_id=None)
    assert ask(INSTALLATION, "reject", "SCHEDULED", Asking(job=Job("SCHEDULED", None), visit=visit)) is None
    assert ask(INSTALLATION, "reject", "SCHEDULED", Asking(job=Job("SCHEDULED", 7))) == (
        "has_technician",
        "Somebody is assigned already; only an unassigned installation can be rejected.",
    )


def test_a_visit_is_assigned_once_and_reassigned_after() -> None:
    nobody, somebody = Asking(visit=Visit(technician_id=None)), Asking()
    assert ask(APPOINTMENT, "assign", "SCHEDULED", nobody) is None
    assert ask(APPOINTMENT, "assign", "SCHEDULED", somebody) == (
        "assigned_already",
        "Somebody is assigned already; reassign instead.",
    )
    assert ask(APPOINTMENT, "reassign", "SCHEDULED", somebody) is None
    assert ask(APPOINTMENT, "reassign", "SCHEDULED", nobody) == (
        "no_technician",
        "Nobody is assigned to this visit yet.",
    )


@pytest.mark.row("J4")
@pytest.mark.parametrize("action", ["prepare", "set_off"])
def test_nobody_prepares_or_sets_off_to_an_unassigned_visit(action: str) -> None:
    visit = Visit(technician_id=None, start_at=TODAY.start_at)
    assert ask(APPOINTMENT, action, "SCHEDULED", Asking(visit=visit)) == (
        "no_technician",
        "Nobody is assigned to this visit yet.",
    )
    visit.technician_id = 7
    assert ask(APPOINTMENT, action, "SCHEDULED", Asking(visit=visit)) is None


@pytest.mark.row("J4")
@pytest.mark.parametrize(
    ("action", "status"),
    [
        ("prepare", "SCHEDULED"),
        ("set_off", "PREPARING"),
        ("arrive", "ON_THE_WAY"),
        ("start_work", "ARRIVED"),
        ("pause", "WORK_IN_PROGRESS"),
        ("resume", "PAUSED"),
        ("continue_later", "PAUSED"),
        ("complete", "WORK_IN_PROGRESS"),
        ("turn_back", "ARRIVED"),
    ],
)
def test_a_step_is_the_assigned_technicians_or_staffs_on_their_behalf(action: str, status: str) -> None:
    def asked_by(actor: Actor) -> tuple[str, str] | None:
        return ask(APPOINTMENT, action, status, Asking(actor, visit=Visit(status, start_at=NOW)))

    for actor in (TECHNICIAN, DISPATCHER, PARTNER_ADMIN, OPERATOR_LOOKING_IN):
        assert asked_by(actor) is None
    assert asked_by(OTHER_TECHNICIAN) == ("not_assigned_to_you", "This visit is not assigned to you.")
    for actor in (CUSTOMER, SYSTEM, OPERATOR_OUTSIDE):
        assert asked_by(actor) == ("not_your_role", "This is not yours to do.")


@pytest.mark.row("J4")
@pytest.mark.parametrize(
    ("now", "allowed"),
    [
        # the visit's local day in London, 24 June 2026, in summer time
        (datetime(2026, 6, 23, 22, 59, 59, tzinfo=UTC), False),
        (datetime(2026, 6, 23, 23, 0, 0, tzinfo=UTC), True),
        (datetime(2026, 6, 24, 22, 59, 59, tzinfo=UTC), True),
        (datetime(2026, 6, 24, 23, 0, 0, tzinfo=UTC), False),
    ],
)
def test_a_technician_sets_off_on_the_visits_local_day(now: datetime, allowed: bool) -> None:
    start = datetime(2026, 6, 24, 9, tzinfo=UTC)
    found = ask(APPOINTMENT, "set_off", "SCHEDULED", Asking(TECHNICIAN, now, visit=Visit(start_at=start)))
    refused = ("not_today", f"This visit is planned for {start}, not for today.")
    assert found == (None if allowed else refused)


@pytest.mark.row("J4")
@pytest.mark.parametrize(("action", "status"), [("set_off", "SCHEDULED"), ("resume", "PAUSED")])
def test_one_visit_under_way_at_a_time(action: str, status: str) -> None:
    asking = Asking(TECHNICIAN, visit=Visit(status, start_at=NOW))
    assert ask(APPOINTMENT, action, status, asking, technician_elsewhere=False) is None
    assert ask(APPOINTMENT, action, status, asking, technician_elsewhere=True) == (
        "elsewhere",
        "The technician has another visit under way; that one has to end first.",
    )


@pytest.mark.row("J5")
def test_a_paused_visit_does_not_go_on_in_a_time_that_was_given_away() -> None:
    asking = Asking(TECHNICIAN, visit=under_way("PAUSED"))
    assert ask(APPOINTMENT, "resume", "PAUSED", asking, time_taken=False) is None
    assert ask(APPOINTMENT, "resume", "PAUSED", asking, time_taken=True) == (
        "time_taken",
        "The technician has been given another visit at this visit's time; move that one first.",
    )


def test_a_visit_paused_at_the_door_changes_hands_but_not_one_whose_work_began() -> None:
    assert ask(APPOINTMENT, "reassign", "PAUSED", Asking(visit=under_way("PAUSED"))) is None
    begun = Asking(visit=under_way("PAUSED", work_began_at=BEGUN))
    assert ask(APPOINTMENT, "reassign", "PAUSED", begun) == (
        "work_began",
        "Work has begun on this visit; continue it another day instead.",
    )


@pytest.mark.row("P14")
@pytest.mark.parametrize(("workflow", "status"), [(INSTALLATION, "INSTALLATION_IN_PROGRESS"), (SERVICE, "SCHEDULED")])
@pytest.mark.parametrize("visit_status", ["ON_THE_WAY", "ARRIVED", "WORK_IN_PROGRESS"])
def test_no_job_is_cancelled_while_a_visit_is_under_way(
    workflow: Workflow[Any], status: str, visit_status: str
) -> None:
    job = Job(status, work_began_at=BEGUN, workflow=workflow.name)
    assert ask(workflow, "cancel", status, Asking(job=job, visit=Visit("PAUSED"))) is None
    assert ask(workflow, "cancel", status, Asking(job=job, visit=None)) is None
    assert ask(workflow, "cancel", status, Asking(job=job, visit=Visit(visit_status))) == (
        "under_way",
        "A visit is under way; it has to be paused or turned back first.",
    )


def test_a_service_job_changes_hands_until_work_begins() -> None:
    job = Job("IN_PROGRESS", workflow="service")
    assert ask(SERVICE, "reassign", "IN_PROGRESS", Asking(job=job, visit=Visit("ARRIVED"))) is None
    assert ask(SERVICE, "reassign", "IN_PROGRESS", Asking(job=job, visit=Visit("WORK_IN_PROGRESS"))) == (
        "work_began",
        "Work has begun, so nobody else can take over this visit.",
    )


@pytest.mark.row("P13")
@pytest.mark.parametrize("visit_status", ["ON_THE_WAY", "ARRIVED", "WORK_IN_PROGRESS", "PAUSED"])
def test_a_visit_under_way_or_paused_is_not_moved(visit_status: str) -> None:
    job = Job("INSTALLATION_IN_PROGRESS", work_began_at=BEGUN)
    for planned in (Visit("SCHEDULED"), Visit("PREPARING"), None):
        assert ask(INSTALLATION, "reschedule", job.status, Asking(job=job, visit=planned)) is None
    assert ask(INSTALLATION, "reschedule", job.status, Asking(job=job, visit=Visit(visit_status))) == (
        "under_way",
        "The visit is under way or paused, so it cannot be moved.",
    )


@pytest.mark.row("M3")
def test_a_customer_moves_only_what_is_planned() -> None:
    job = Job("INSTALLATION_IN_PROGRESS", work_began_at=BEGUN)
    assert ask(INSTALLATION, "reschedule", job.status, Asking(CUSTOMER, job=job)) is None
    assert ask(INSTALLATION, "reschedule", job.status, Asking(CUSTOMER, job=job, visit=None)) == (
        "no_visit",
        "There is no visit planned yet.",
    )


@pytest.mark.row("M7")
def test_a_customer_does_not_cancel_a_job_once_work_began() -> None:
    job = Job("INSTALLATION_IN_PROGRESS", work_began_at=BEGUN)
    assert ask(INSTALLATION, "cancel", job.status, Asking(DISPATCHER, job=job)) is None
    assert ask(INSTALLATION, "cancel", job.status, Asking(CUSTOMER, job=job)) == (
        "work_began",
        "Work has begun; please talk to our office about cancelling the rest.",
    )
    assert ask(INSTALLATION, "cancel", "INSTALLER_ASSIGNED", Asking(CUSTOMER)) is None


@pytest.mark.row("M7")
def test_a_customer_does_not_cancel_a_paused_visit() -> None:
    paused = Visit("PAUSED")
    assert ask(APPOINTMENT, "cancel", "PAUSED", Asking(DISPATCHER, visit=paused)) is None
    assert ask(APPOINTMENT, "cancel", "PAUSED", Asking(CUSTOMER, visit=paused)) == (
        "under_way",
        "The visit has begun; please talk to our office.",
    )
    assert ask(APPOINTMENT, "cancel", "PREPARING", Asking(CUSTOMER, visit=Visit("PREPARING"))) is None


@pytest.mark.parametrize("action", ["assign", "reschedule"])
def test_a_service_job_without_a_visit_has_nothing_to_assign_or_move(action: str) -> None:
    job = Job("APPROVED", None, workflow="service")
    assert ask(SERVICE, action, "APPROVED", Asking(job=job, visit=Visit(technician_id=None))) is None
    for visit in (None, Visit("PAUSED"), Visit("CANCELLED")):
        assert ask(SERVICE, action, "APPROVED", Asking(job=job, visit=visit)) == (
            "no_visit",
            "There is no visit planned yet.",
        )


@pytest.mark.row("M8")
def test_a_visit_is_confirmed_once_by_its_customer_before_it_starts_or_by_staff() -> None:
    for actor in (CUSTOMER, DISPATCHER):
        assert ask(APPOINTMENT, "confirm", "SCHEDULED", Asking(actor)) is None
        assert ask(APPOINTMENT, "confirm", "SCHEDULED", Asking(actor, visit=Visit(is_confirmed=True))) == (
            "confirmed_already",
            "This visit is confirmed already.",
        )
    just_before = START - timedelta(seconds=1)
    assert ask(APPOINTMENT, "confirm", "SCHEDULED", Asking(CUSTOMER, just_before)) is None
    assert ask(APPOINTMENT, "confirm", "SCHEDULED", Asking(CUSTOMER, START)) == (
        "started",
        "This visit has already started.",
    )
    assert ask(APPOINTMENT, "confirm", "SCHEDULED", Asking(DISPATCHER, START)) is None


@pytest.mark.row("J7")
def test_only_a_service_jobs_future_visit_comes_back() -> None:
    gone, job = Visit("CANCELLED"), Job("CANCELLED", workflow="service")
    assert ask(APPOINTMENT, "reactivate", "CANCELLED", Asking(job=job, visit=gone)) is None
    assert ask(APPOINTMENT, "reactivate", "CANCELLED", Asking(job=Job("CANCELLED"), visit=gone)) == (
        "not_a_service_job",
        "A cancelled installation cannot come back; create a replacement instead.",
    )
    for now, allowed in ((START - timedelta(seconds=1), True), (START, False)):
        found = ask(APPOINTMENT, "reactivate", "CANCELLED", Asking(now=now, job=job, visit=gone))
        assert found == (None if allowed else ("past", "This visit's time is past, so it cannot come back."))


@pytest.mark.row("M3")
@pytest.mark.parametrize("action", ["reschedule", "cancel"])
@pytest.mark.parametrize(("workflow", "status"), [(INSTALLATION, "INSTALLER_ASSIGNED"), (APPOINTMENT, "SCHEDULED")])
def test_the_rules_of_modify_bind_customers_only(workflow: Workflow[Any], status: str, action: str) -> None:
    off = controls(self_service=False)
    assert ask(workflow, action, status, Asking(CUSTOMER)) is None
    assert ask(workflow, action, status, Asking(CUSTOMER, controls=off)) == (
        "self_service_off",
        "Changes to visits are made by our office.",
    )
    assert ask(workflow, action, status, Asking(DISPATCHER, controls=off)) is None
    assert ask(workflow, action, status, Asking(DISPATCHER, now=START, controls=off)) is None


@pytest.mark.row("P9")
@pytest.mark.parametrize(
    ("action", "status", "expected"),
    [
        (
            "assign",
            "REJECTED",
            "“Assign” is not possible while the status is “Rejected”; it needs “Scheduled”.",
        ),
        (
            "reassign",
            "SCHEDULED",
            "“Reassign” is not possible while the status is “Scheduled”; it needs “Installer assigned” or “En route”.",
        ),
        (
            "cancel",
            "EN_ROUTE",
            "“Cancel” is not possible while the status is “En route”; it needs “Scheduled”, “Installer assigned” or "
            "“Installation in progress”.",
        ),
        ("schedule", "SCHEDULED", "“Schedule Installation” is only for something new."),
        ("assign", None, "“Assign” is not possible while the status is “new”; it needs “Scheduled”."),
    ],
)
def test_the_wrong_status_is_named_with_the_right_ones(action: str, status: str | None, expected: str) -> None:
    assert ask(INSTALLATION, action, status, Asking()) == ("wrong_status", expected)


@pytest.mark.row("P9")
@pytest.mark.parametrize(
    ("status", "offered"),
    [
        ("SCHEDULED", {"assign", "reject", "reschedule", "cancel"}),
        ("INSTALLER_ASSIGNED", {"reassign", "reschedule", "cancel"}),
        ("EN_ROUTE", {"reassign"}),
        ("INSTALLATION_IN_PROGRESS", set()),
        ("INSTALLATION_COMPLETED", {"send_contract"}),
        ("CONTRACT_SENT", {"send_corrected_contract", "sign_contract"}),
        ("CONTRACT_SIGNED", {"approve"}),
        ("CUSTOMER_APPROVED", set()),
        ("CANCELLED", set()),
        ("REJECTED", set()),
    ],
)
@pytest.mark.parametrize("actor", [DISPATCHER, PARTNER_ADMIN, OPERATOR_LOOKING_IN], ids=lambda actor: actor.role)
def test_the_buttons_of_each_status_for_staff(actor: Actor, status: str, offered: set[str]) -> None:
    visits = {
        "SCHEDULED": Visit(technician_id=None),
        "INSTALLER_ASSIGNED": Visit(),
        "EN_ROUTE": Visit("ON_THE_WAY"),
        "INSTALLATION_IN_PROGRESS": Visit("WORK_IN_PROGRESS"),
    }
    visit = visits.get(status)
    asking = Asking(actor, job=Job(status, visit.technician_id if visit else 7), visit=visit)
    assert {row.name for row in INSTALLATION.available(status, asking.situation())} == offered


@pytest.mark.row("P9")
@pytest.mark.parametrize("actor", [TECHNICIAN, SYSTEM, OPERATOR_OUTSIDE], ids=lambda actor: actor.role)
def test_others_have_no_button_of_an_installation(actor: Actor) -> None:
    for status in ("SCHEDULED", "INSTALLER_ASSIGNED", "EN_ROUTE", "INSTALLATION_COMPLETED", "CONTRACT_SIGNED"):
        assert INSTALLATION.available(status, Asking(actor, job=Job(status)).situation()) == ()


def test_a_move_that_is_refused_moves_nothing() -> None:
    job = Job("SCHEDULED", 7)
    with pytest.raises(Refused) as refused:
        INSTALLATION.move(job, "reject", Asking(job=job).situation())
    assert refused.value.refusal.code == "has_technician"
    assert job.status == "SCHEDULED"


def test_following_along_holds_the_sources_but_asks_no_role() -> None:
    job = Job("INSTALLER_ASSIGNED")
    INSTALLATION.follow(job, "set_off")
    assert job.status == "EN_ROUTE"
    with pytest.raises(Refused, match="needs “Installer assigned”"):
        INSTALLATION.follow(job, "set_off")
    assert job.status == "EN_ROUTE"


def test_one_of_several_targets_is_chosen_and_no_other() -> None:
    job = Job("EN_ROUTE")
    with pytest.raises(ValueError, match="does not lead to"):
        INSTALLATION.follow(job, "continue_later", "REJECTED")
    INSTALLATION.follow(job, "continue_later", "SCHEDULED")
    assert job.status == "SCHEDULED"


def test_a_transition_without_target_leaves_the_status() -> None:
    visit = Visit("PREPARING")
    APPOINTMENT.move(visit, "confirm", Asking(visit=visit).situation())
    assert visit.status == "PREPARING"


@pytest.mark.row("P6")
def test_something_new_starts_where_the_table_says_for_who_may() -> None:
    assert INSTALLATION.start("schedule", Asking(visit=None).situation()) == "SCHEDULED"
    with pytest.raises(Refused, match="not yours"):
        INSTALLATION.start("schedule", Asking(CUSTOMER, visit=None).situation())
    assert APPOINTMENT.first("book") == "SCHEDULED"
    with pytest.raises(ValueError, match="nothing new"):
        APPOINTMENT.first("confirm")


def test_a_list_of_places_reads_as_a_sentence() -> None:
    labels = [sentence("A"), sentence("B"), sentence("C")]
    assert [str(any_of(labels[:count])) for count in (1, 2, 3)] == ["“A”", "“A” or “B”", "“A”, “B” or “C”"]
