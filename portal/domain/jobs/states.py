"""The tables of ``lifecycles.md`` as data: installation, service job, appointment, and how they go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from portal.domain.actor import Actor, Role
from portal.domain.errors import Refusal, sentence
from portal.domain.lifecycle import Guard, Status, Transition, Workflow
from portal.domain.scheduling.rules import Action, Controls, under_rules
from portal.domain.scheduling.zones import local_day

STAFF = (Role.DISPATCHER, Role.PARTNER_ADMIN)
FIELD = (*STAFF, Role.TECHNICIAN)
STAFF_AND_CUSTOMER = (*STAFF, Role.CUSTOMER)
WITH_THE_VISIT: tuple[Role, ...] = ()


class JobFacts(Protocol):
    """What guards read of a job."""

    workflow: str
    status: str
    technician_id: int | None
    work_began_at: datetime | None

    @property
    def partner_id(self) -> int:
        """Whose job it is."""


class VisitFacts(Protocol):
    """What guards read of a visit."""

    status: str
    technician_id: int | None
    start_at: datetime
    work_began_at: datetime | None
    cancel_at: datetime | None
    customer_moves: int

    @property
    def is_confirmed(self) -> bool:
        """Whether this start is confirmed."""


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything a guard looks at, gathered under the lock (or, for a page, just now).

    ``visit`` is the one asked about; for a question about a job, the one that is planned, under way or paused.
    ``visits`` are all of the job. ``technician_elsewhere``: the visit's technician has another one under way;
    ``time_taken``: another one that holds (part of) the visit's own time.
    ``now`` is an instant; ``zone`` the partner's.
    """

    actor: Actor
    now: datetime
    zone: ZoneInfo
    job: JobFacts | None = None
    visit: VisitFacts | None = None
    visits: Sequence[VisitFacts] = ()
    technician_elsewhere: bool = False
    time_taken: bool = False
    controls: Controls | None = None

    @property
    def partner_id(self) -> int | None:
        """Whose record it is; ``None`` for something new."""
        return self.job.partner_id if self.job is not None else None


def _no_pending_cancel(asked: Situation) -> Refusal | None:
    if asked.visit is not None and asked.visit.cancel_at is not None:
        return Refusal(
            "cancelling", sentence("The customer is cancelling this visit; it can only be undone or made final.")
        )
    return None


def _no_technician(asked: Situation) -> Refusal | None:
    if asked.job is not None and asked.job.technician_id is not None:
        return Refusal(
            "has_technician", sentence("Somebody is assigned already; only an unassigned installation can be rejected.")
        )
    return None


def _job_has_unassigned_visit(asked: Situation) -> Refusal | None:
    if asked.visit is None or asked.visit.status not in ACTIVE:
        return Refusal("no_visit", sentence("There is no visit planned yet."))
    return None


def _visit_not_assigned(asked: Situation) -> Refusal | None:
    if asked.visit is not None and asked.visit.technician_id is not None:
        return Refusal("assigned_already", sentence("Somebody is assigned already; reassign instead."))
    return None


def _visit_assigned(asked: Situation) -> Refusal | None:
    if asked.visit is None or asked.visit.technician_id is None:
        return Refusal("no_technician", sentence("Nobody is assigned to this visit yet."))
    return None


def _theirs(asked: Situation) -> Refusal | None:
    if asked.actor.role is not Role.TECHNICIAN:
        return None
    if asked.visit is None or asked.visit.technician_id != asked.actor.technician_id:
        return Refusal("not_assigned_to_you", sentence("This visit is not assigned to you."))
    return None


def _on_its_day(asked: Situation) -> Refusal | None:
    if asked.visit is not None and local_day(asked.now, asked.zone) != local_day(asked.visit.start_at, asked.zone):
        return Refusal(
            "not_today", sentence("This visit is planned for %(start)s, not for today.", start=asked.visit.start_at)
        )
    return None


def _technician_free_now(asked: Situation) -> Refusal | None:
    if asked.technician_elsewhere:
        return Refusal("elsewhere", sentence("The technician has another visit under way; that one has to end first."))
    return None


def _time_still_held(asked: Situation) -> Refusal | None:
    # A paused visit does not hold its time, so somebody else may have been given it meanwhile.
    if asked.time_taken:
        text = sentence("The technician has been given another visit at this visit's time; move that one first.")
        return Refusal("time_taken", text)
    return None


def _work_not_begun(asked: Situation) -> Refusal | None:
    if asked.visit is not None and asked.visit.status == "PAUSED" and asked.visit.work_began_at is not None:
        return Refusal("work_began", sentence("Work has begun on this visit; continue it another day instead."))
    return None


def _nobody_at_work(asked: Situation) -> Refusal | None:
    if any(visit.status in UNDER_WAY for visit in asked.visits):
        return Refusal("under_way", sentence("A visit is under way; it has to be paused or turned back first."))
    return None


def _nobody_cancelling(asked: Situation) -> Refusal | None:
    pending = next((visit for visit in asked.visits if visit.cancel_at is not None), None)
    return None if pending is None else _no_pending_cancel(replace(asked, visit=pending))


def _no_work_begun_under_way(asked: Situation) -> Refusal | None:
    if asked.visit is not None and asked.visit.status == "WORK_IN_PROGRESS":
        return Refusal("work_began", sentence("Work has begun, so nobody else can take over this visit."))
    return None


def _next_visit_not_under_way(asked: Situation) -> Refusal | None:
    if asked.visit is not None and asked.visit.status not in MOVABLE:
        return Refusal("under_way", sentence("The visit is under way or paused, so it cannot be moved."))
    return None


def _customer_has_a_visit(asked: Situation) -> Refusal | None:
    if asked.actor.role is Role.CUSTOMER and asked.visit is None:
        return Refusal("no_visit", sentence("There is no visit planned yet."))
    return None


def _customer_not_once_begun(asked: Situation) -> Refusal | None:
    if asked.actor.role is Role.CUSTOMER and asked.job is not None and asked.job.work_began_at is not None:
        return Refusal("work_began", sentence("Work has begun; please talk to our office about cancelling the rest."))
    return None


def _customer_before_paused(asked: Situation) -> Refusal | None:
    if asked.actor.role is Role.CUSTOMER and asked.visit is not None and asked.visit.status not in MOVABLE:
        return Refusal("under_way", sentence("The visit has begun; please talk to our office."))
    return None


def _not_confirmed_yet(asked: Situation) -> Refusal | None:
    if asked.visit is not None and asked.visit.is_confirmed:
        return Refusal("confirmed_already", sentence("This visit is confirmed already."))
    return None


def _customer_before_start(asked: Situation) -> Refusal | None:
    if asked.actor.role is Role.CUSTOMER and asked.visit is not None and asked.now >= asked.visit.start_at:
        return Refusal("started", sentence("This visit has already started."))
    return None


def _still_ahead(asked: Situation) -> Refusal | None:
    if asked.visit is not None and asked.visit.start_at <= asked.now:
        return Refusal("past", sentence("This visit's time is past, so it cannot come back."))
    return None


def _of_service_job(asked: Situation) -> Refusal | None:
    if asked.job is not None and asked.job.workflow != "service":
        return Refusal(
            "not_a_service_job", sentence("A cancelled installation cannot come back; create a replacement instead.")
        )
    return None


def _modify(action: Action) -> Guard[Situation]:
    def check(asked: Situation) -> Refusal | None:
        if asked.actor.role is not Role.CUSTOMER:
            return None
        if asked.visit is None or asked.controls is None:
            return Refusal("no_visit", sentence("There is no visit planned yet."))
        return under_rules(action, asked.controls, asked.visit, asked.now).refusal

    return Guard(f"customer_{action}_rules", check)


NO_PENDING_CANCEL = Guard("no_cancel_pending", _no_pending_cancel)
NOBODY_CANCELLING = Guard("no_cancel_pending_of_any_visit", _nobody_cancelling)
NO_TECHNICIAN = Guard("no_technician", _no_technician)
ASSIGNED = Guard("technician_assigned", _visit_assigned)
NOT_ASSIGNED = Guard("no_technician_yet", _visit_not_assigned)
THEIRS = Guard("assigned_to_the_actor", _theirs)
ON_ITS_DAY = Guard("on_the_visits_local_day", _on_its_day)
TECHNICIAN_FREE_NOW = Guard("no_other_visit_under_way", _technician_free_now)
TIME_STILL_HELD = Guard("time_not_given_away", _time_still_held)
WORK_NOT_BEGUN = Guard("paused_only_before_work_began", _work_not_begun)
NOBODY_AT_WORK = Guard("no_visit_under_way", _nobody_at_work)
NO_WORK_BEGUN = Guard("no_work_begun", _no_work_begun_under_way)
NEXT_NOT_UNDER_WAY = Guard("visit_not_under_way", _next_visit_not_under_way)
CUSTOMER_HAS_A_VISIT = Guard("customer_has_a_visit", _customer_has_a_visit)
CUSTOMER_NOT_ONCE_BEGUN = Guard("customer_only_before_work_began", _customer_not_once_begun)
CUSTOMER_BEFORE_PAUSED = Guard("customer_only_before_departure", _customer_before_paused)
HAS_VISIT = Guard("has_a_planned_visit", _job_has_unassigned_visit)
NOT_CONFIRMED = Guard("not_confirmed_yet", _not_confirmed_yet)
CUSTOMER_BEFORE_START = Guard("customer_only_before_the_start", _customer_before_start)
STILL_AHEAD = Guard("in_the_future", _still_ahead)
OF_SERVICE_JOB = Guard("of_a_service_job", _of_service_job)
RESCHEDULE_RULES = _modify("reschedule")
CANCEL_RULES = _modify("cancel")


INSTALLATION: Workflow[Situation] = Workflow(
    "installation",
    [
        Status("SCHEDULED", sentence("Scheduled"), "Scheduled"),
        Status("INSTALLER_ASSIGNED", sentence("Installer assigned"), "Scheduled"),
        Status("EN_ROUTE", sentence("En route"), "En Route"),
        Status("INSTALLATION_IN_PROGRESS", sentence("Installation in progress"), "In Progress"),
        Status("INSTALLATION_COMPLETED", sentence("Installation completed"), "In Progress"),
        Status("CONTRACT_SENT", sentence("Contract sent"), "In Progress"),
        Status("CONTRACT_SIGNED", sentence("Contract signed"), "In Progress"),
        Status("CUSTOMER_APPROVED", sentence("Customer approved"), "Approved", end=True),
        Status("CANCELLED", sentence("Cancelled"), "Rejected", end=True),
        Status("REJECTED", sentence("Rejected"), "Rejected", end=True),
    ],
    [
        Transition(
            "schedule",
            sentence("Schedule Installation"),
            (None,),
            ("SCHEDULED",),
            STAFF,
            ("customer", "start", "items"),
            ("duration", "window", "notes", "technician"),
        ),
        Transition(
            "assign",
            sentence("Assign"),
            ("SCHEDULED",),
            ("INSTALLER_ASSIGNED",),
            STAFF,
            ("technician",),
            guards=(NO_PENDING_CANCEL,),
        ),
        Transition(
            "reassign",
            sentence("Reassign"),
            ("INSTALLER_ASSIGNED", "EN_ROUTE"),
            ("INSTALLER_ASSIGNED",),
            STAFF,
            ("technician",),
            guards=(NO_PENDING_CANCEL,),
        ),
        Transition(
            "reject",
            sentence("Reject"),
            ("SCHEDULED",),
            ("REJECTED",),
            STAFF,
            ("reason",),
            guards=(NO_TECHNICIAN, NO_PENDING_CANCEL),
        ),
        Transition(
            "reschedule",
            sentence("Reschedule"),
            ("SCHEDULED", "INSTALLER_ASSIGNED", "INSTALLATION_IN_PROGRESS"),
            (),
            STAFF_AND_CUSTOMER,
            ("start",),
            ("duration", "notify", "technician"),
            guards=(NO_PENDING_CANCEL, NEXT_NOT_UNDER_WAY, CUSTOMER_HAS_A_VISIT, RESCHEDULE_RULES),
        ),
        Transition(
            "cancel",
            sentence("Cancel"),
            ("SCHEDULED", "INSTALLER_ASSIGNED", "INSTALLATION_IN_PROGRESS"),
            ("CANCELLED",),
            STAFF_AND_CUSTOMER,
            ("reason",),
            guards=(NO_PENDING_CANCEL, NOBODY_AT_WORK, CUSTOMER_NOT_ONCE_BEGUN, CANCEL_RULES),
        ),
        Transition("set_off", None, ("INSTALLER_ASSIGNED",), ("EN_ROUTE",), WITH_THE_VISIT),
        Transition("turn_back", None, ("EN_ROUTE",), ("INSTALLER_ASSIGNED",), WITH_THE_VISIT),
        Transition("start_work", None, ("EN_ROUTE",), ("INSTALLATION_IN_PROGRESS",), WITH_THE_VISIT),
        Transition("continue_later", None, ("EN_ROUTE",), ("INSTALLER_ASSIGNED", "SCHEDULED"), WITH_THE_VISIT),
        Transition("complete_work", None, ("INSTALLATION_IN_PROGRESS",), ("INSTALLATION_COMPLETED",), WITH_THE_VISIT),
        Transition("send_contract", sentence("Send contract"), ("INSTALLATION_COMPLETED",), ("CONTRACT_SENT",), STAFF),
        Transition(
            "send_corrected_contract",
            sentence("Send corrected contract"),
            ("CONTRACT_SENT",),
            (),
            STAFF,
            ("reason",),
        ),
        Transition(
            "sign_contract",
            sentence("Sign"),
            ("CONTRACT_SENT",),
            ("CONTRACT_SIGNED",),
            STAFF_AND_CUSTOMER,
            ("consent", "signature"),
            ("file",),
        ),
        Transition("approve", sentence("Approve"), ("CONTRACT_SIGNED",), ("CUSTOMER_APPROVED",), STAFF_AND_CUSTOMER),
    ],
    with_what="visit",
)

SERVICE: Workflow[Situation] = Workflow(
    "service",
    [
        Status("DRAFT", sentence("Draft"), "Draft"),
        Status("APPROVED", sentence("Approved"), "Draft"),
        Status("SCHEDULED", sentence("Scheduled"), "Scheduled"),
        Status("IN_PROGRESS", sentence("In progress"), "In Progress"),
        Status("PAUSED", sentence("Paused"), "In Progress"),
        Status("COMPLETED", sentence("Completed"), "Completed", end=True),
        # An end but for reactivation.
        Status("CANCELLED", sentence("Cancelled"), "Cancelled"),
    ],
    [
        Transition(
            "create",
            sentence("New service job"),
            (None,),
            ("DRAFT",),
            (*STAFF, Role.SYSTEM),
            ("customer", "service_type"),
        ),
        Transition("approve", sentence("Approve"), ("DRAFT",), ("APPROVED",), STAFF),
        Transition(
            "schedule",
            sentence("Schedule visit"),
            ("APPROVED", "SCHEDULED", "PAUSED"),
            ("SCHEDULED",),
            STAFF,
            ("start",),
            ("duration", "technician"),
        ),
        Transition(
            "assign",
            sentence("Assign"),
            ("APPROVED",),
            ("SCHEDULED",),
            STAFF,
            ("technician",),
            guards=(HAS_VISIT, NOT_ASSIGNED, NO_PENDING_CANCEL),
        ),
        Transition(
            "reassign",
            sentence("Reassign"),
            ("SCHEDULED", "IN_PROGRESS"),
            ("SCHEDULED",),
            STAFF,
            ("technician",),
            guards=(ASSIGNED, NO_WORK_BEGUN, NO_PENDING_CANCEL),
        ),
        Transition(
            "reschedule",
            sentence("Reschedule"),
            ("APPROVED", "SCHEDULED", "PAUSED"),
            (),
            STAFF_AND_CUSTOMER,
            ("start",),
            ("duration", "notify"),
            guards=(HAS_VISIT, NO_PENDING_CANCEL, NEXT_NOT_UNDER_WAY, RESCHEDULE_RULES),
        ),
        Transition("set_off", None, ("SCHEDULED", "PAUSED"), ("IN_PROGRESS",), WITH_THE_VISIT),
        Transition("turn_back", None, ("IN_PROGRESS",), ("SCHEDULED",), WITH_THE_VISIT),
        Transition("pause", None, ("IN_PROGRESS",), ("PAUSED",), WITH_THE_VISIT),
        Transition("resume", None, ("PAUSED",), ("IN_PROGRESS",), WITH_THE_VISIT),
        Transition("continue_later", None, ("PAUSED",), ("SCHEDULED", "APPROVED"), WITH_THE_VISIT),
        Transition("complete", None, ("IN_PROGRESS",), ("COMPLETED", "SCHEDULED"), WITH_THE_VISIT),
        Transition(
            "cancel",
            sentence("Cancel job"),
            ("DRAFT", "APPROVED", "SCHEDULED", "PAUSED"),
            ("CANCELLED",),
            STAFF_AND_CUSTOMER,
            ("reason",),
            guards=(NOBODY_CANCELLING, NOBODY_AT_WORK, CANCEL_RULES),
        ),
        Transition(
            "reactivate",
            sentence("Set back to scheduled"),
            ("CANCELLED",),
            ("SCHEDULED", "APPROVED", "DRAFT"),
            STAFF,
        ),
    ],
    with_what="visit",
    # The rows say what one visit does; of several the one that is furthest counts.
    with_several={
        ("IN_PROGRESS", "APPROVED"),
        ("SCHEDULED", "APPROVED"),
        ("SCHEDULED", "COMPLETED"),
        ("APPROVED", "COMPLETED"),
        ("PAUSED", "COMPLETED"),
    },
)

APPOINTMENT: Workflow[Situation] = Workflow(
    "appointment",
    [
        Status("SCHEDULED", sentence("Appointment Confirmed"), office_label=sentence("Scheduled")),
        Status("PREPARING", sentence("Getting Ready"), office_label=sentence("Preparing")),
        Status("ON_THE_WAY", sentence("On the Way 🚗"), office_label=sentence("On the way")),
        Status("ARRIVED", sentence("Technician Arrived"), office_label=sentence("Arrived")),
        Status("WORK_IN_PROGRESS", sentence("Work in Progress"), office_label=sentence("Work in progress")),
        Status("PAUSED", sentence("Paused")),
        Status("COMPLETE", sentence("Visit Complete ✅"), end=True, office_label=sentence("Complete")),
        Status(
            "INCOMPLETE",
            sentence("Visit ended, to be continued"),
            end=True,
            office_label=sentence("Ended, to be continued"),
        ),
        Status("CANCELLED", sentence("Cancelled"), end=True),
    ],
    [
        Transition("book", None, (None,), ("SCHEDULED",), (*STAFF, Role.SYSTEM), ("start",)),
        Transition(
            "confirm",
            sentence("Confirm"),
            ("SCHEDULED", "PREPARING"),
            (),
            STAFF_AND_CUSTOMER,
            guards=(NOT_CONFIRMED, NO_PENDING_CANCEL, CUSTOMER_BEFORE_START),
        ),
        Transition(
            "prepare",
            sentence("Preparing"),
            ("SCHEDULED",),
            ("PREPARING",),
            FIELD,
            guards=(ASSIGNED, THEIRS, NO_PENDING_CANCEL),
        ),
        Transition(
            "set_off",
            sentence("On my way"),
            ("SCHEDULED", "PREPARING"),
            ("ON_THE_WAY",),
            FIELD,
            optional=("minutes",),
            guards=(ASSIGNED, THEIRS, NO_PENDING_CANCEL, ON_ITS_DAY, TECHNICIAN_FREE_NOW),
        ),
        Transition("arrive", sentence("Arrived"), ("ON_THE_WAY",), ("ARRIVED",), FIELD, guards=(THEIRS,)),
        Transition("start_work", sentence("Start work"), ("ARRIVED",), ("WORK_IN_PROGRESS",), FIELD, guards=(THEIRS,)),
        Transition(
            "pause",
            sentence("Pause"),
            ("ARRIVED", "WORK_IN_PROGRESS"),
            ("PAUSED",),
            FIELD,
            ("pause_reason",),
            ("note",),
            guards=(THEIRS,),
        ),
        Transition(
            "resume",
            sentence("Resume"),
            ("PAUSED",),
            ("WORK_IN_PROGRESS",),
            FIELD,
            guards=(THEIRS, TECHNICIAN_FREE_NOW, TIME_STILL_HELD),
        ),
        Transition(
            "continue_later",
            sentence("Continue another day"),
            ("PAUSED",),
            ("INCOMPLETE",),
            FIELD,
            ("start",),
            guards=(THEIRS,),
        ),
        Transition(
            "complete",
            sentence("Complete"),
            ("WORK_IN_PROGRESS",),
            ("COMPLETE",),
            FIELD,
            optional=("service_notes", "signature"),
            guards=(THEIRS,),
        ),
        Transition(
            "turn_back",
            sentence("Turn back"),
            ("ON_THE_WAY", "ARRIVED"),
            ("SCHEDULED",),
            FIELD,
            ("reason",),
            guards=(THEIRS,),
        ),
        Transition(
            "reschedule",
            sentence("Move"),
            ("SCHEDULED", "PREPARING"),
            ("SCHEDULED",),
            STAFF_AND_CUSTOMER,
            ("start",),
            guards=(NO_PENDING_CANCEL, RESCHEDULE_RULES),
        ),
        Transition(
            "assign",
            None,
            ("SCHEDULED", "PREPARING", "ON_THE_WAY", "ARRIVED", "PAUSED"),
            ("SCHEDULED",),
            STAFF,
            ("technician",),
            guards=(NOT_ASSIGNED, NO_PENDING_CANCEL),
        ),
        Transition(
            "reassign",
            None,
            ("SCHEDULED", "PREPARING", "ON_THE_WAY", "ARRIVED", "PAUSED"),
            ("SCHEDULED",),
            STAFF,
            ("technician",),
            guards=(ASSIGNED, WORK_NOT_BEGUN, NO_PENDING_CANCEL),
        ),
        Transition(
            "cancel",
            sentence("Cancel"),
            ("SCHEDULED", "PREPARING", "PAUSED"),
            ("CANCELLED",),
            STAFF_AND_CUSTOMER,
            ("reason",),
            guards=(NO_PENDING_CANCEL, CUSTOMER_BEFORE_PAUSED, CANCEL_RULES),
        ),
        Transition(
            "reactivate",
            None,
            ("CANCELLED",),
            ("SCHEDULED",),
            STAFF,
            guards=(STILL_AHEAD, OF_SERVICE_JOB),
        ),
    ],
)

WORKFLOWS = {workflow.name: workflow for workflow in (INSTALLATION, SERVICE)}

# Set off and not arrived.
ON_THE_WAY = "ON_THE_WAY"
ACTIVE = frozenset({"SCHEDULED", "PREPARING", ON_THE_WAY, "ARRIVED", "WORK_IN_PROGRESS"})
UNDER_WAY = frozenset({ON_THE_WAY, "ARRIVED", "WORK_IN_PROGRESS"})
MOVABLE = frozenset({"SCHEDULED", "PREPARING"})
OPEN = ACTIVE | {"PAUSED"}
TRACKED = frozenset({ON_THE_WAY, "ARRIVED"})
# In which nobody has arrived yet, and in which somebody has and is not done; each sorted, for conditions of indexes.
EXPECTED = (ON_THE_WAY, "PREPARING", "SCHEDULED")
AT_WORK = tuple(sorted(OPEN - MOVABLE))
# Where an installation stays when work has begun and its last visit ended without completing it (lifecycles.md).
BEGUN = INSTALLATION.transition("start_work").targets
# In which a job without an open visit waits for one to be planned; sorted, for conditions of indexes.
NEEDING_VISIT = tuple(sorted((*BEGUN, *SERVICE.transition("approve").targets)))

# The customer's six steps; a status without one has ended otherwise.
STEPS = {
    "SCHEDULED": 1,
    "PREPARING": 2,
    "ON_THE_WAY": 3,
    "ARRIVED": 4,
    "WORK_IN_PROGRESS": 5,
    "PAUSED": 5,
    "COMPLETE": 6,
}

# Once the contract is sent, and at an end, items, customer and address are frozen.
EDITABLE = frozenset(
    {"SCHEDULED", "INSTALLER_ASSIGNED", "EN_ROUTE", "INSTALLATION_IN_PROGRESS", "INSTALLATION_COMPLETED"}
    | {"DRAFT", "APPROVED", "IN_PROGRESS", "PAUSED"}
)
AFTER_WORK = frozenset({"INSTALLATION_COMPLETED", "CONTRACT_SENT", "CONTRACT_SIGNED", "CUSTOMER_APPROVED"})
# In which a job of either workflow has its work behind it.
WORK_DONE = AFTER_WORK | {"COMPLETED"}


def installation_statuses(visit: VisitFacts | None, work_began: bool) -> frozenset[str]:
    """Return the job statuses that go with its latest visit: the row of "How the two move together".

    ``visit`` is the installation's open visit, else its latest; ``None`` if it never had one.
    """
    if visit is None:
        return frozenset()
    if visit.status == "COMPLETE":
        return AFTER_WORK
    if visit.status in {"CANCELLED", "INCOMPLETE"}:
        if not work_began:
            return frozenset({"CANCELLED", "REJECTED"})
        return frozenset({"INSTALLATION_IN_PROGRESS", "CANCELLED"})
    if work_began or visit.status == "WORK_IN_PROGRESS":
        return frozenset({"INSTALLATION_IN_PROGRESS"})
    if visit.status in MOVABLE:
        return frozenset({"SCHEDULED" if visit.technician_id is None else "INSTALLER_ASSIGNED"})
    return frozenset({"EN_ROUTE"})


def followed(job: JobFacts, visit: VisitFacts, visits: Sequence[VisitFacts]) -> str:
    """Return the status of ``job`` after ``visit``, one of its ``visits``, has changed: "How the two move together"."""
    if job.workflow == SERVICE.name:
        return _service_status(visit, visits)
    counts = next((one for one in visits if one.status in OPEN), visit)
    statuses = installation_statuses(counts, job.work_began_at is not None)
    if job.status in statuses:
        return job.status
    if counts.status == "COMPLETE":
        return "INSTALLATION_COMPLETED"
    if len(statuses) == 1:
        return next(iter(statuses))
    return "CANCELLED"


def _service_status(visit: VisitFacts, visits: Sequence[VisitFacts]) -> str:
    standing = _furthest(visits)
    if standing is not None:
        return standing
    if visit.status == "INCOMPLETE":
        return "APPROVED"
    return "COMPLETED" if any(one.status == "COMPLETE" for one in visits) else "CANCELLED"


def planned_status(visits: Sequence[VisitFacts], approved: bool) -> str:
    """Return the status of a service job that is set back, by the ``visits`` that came back with it."""
    return _furthest(visits) or ("APPROVED" if approved else "DRAFT")


def _furthest(visits: Sequence[VisitFacts]) -> str | None:
    """Return the status of a service job by the furthest of its open visits; ``None`` where none is open."""
    statuses = {visit.status for visit in visits}
    if statuses & UNDER_WAY:
        return "IN_PROGRESS"
    if "PAUSED" in statuses:
        return "PAUSED"
    planned = [visit for visit in visits if visit.status in MOVABLE]
    if any(visit.technician_id is not None for visit in planned):
        return "SCHEDULED"
    return "APPROVED" if planned else None


# Workflows whose jobs may have several visits planned at once.
SEVERAL = frozenset({SERVICE.name})
# What is done to a job is done to one of its visits.
ABOUT_ONE_VISIT = frozenset({"assign", "reassign", "reschedule"})


def job_refusal(name: str, asked: Situation) -> Refusal | None:
    """Say why ``asked.actor`` may not do ``name`` to ``asked.job`` or, where it is about one, ``asked.visit``.

    Of a service job with several visits each is asked about as if it were the only one: that another is under way
    keeps nobody from moving this one.
    """
    job, visit = asked.job, asked.visit
    if job is None:
        raise ValueError("there is no job to ask about")
    workflow = WORKFLOWS[job.workflow]
    if not workflow.has(name):
        return Refusal("not_of_this_kind", sentence("That is not done with a job of this kind."))
    status = job.status
    if workflow is SERVICE and name in ABOUT_ONE_VISIT and visit is not None:
        status = _furthest([visit]) or status
    return workflow.refusal(name, status, asked)


def takes_job_along(asked: Situation) -> bool:
    """Whether cancelling ``asked.visit`` is cancelling its job: it is the last, and no begun installation's."""
    job, visit = asked.job, asked.visit
    if job is None or visit is None:
        return False
    if job.workflow == INSTALLATION.name:
        return job.work_began_at is None
    return not any(other is not visit and other.status in OPEN for other in asked.visits)
