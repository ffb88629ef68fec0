"""Modify under rules: every combination of what decides, with the answer written by hand (M2, M3)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from portal.domain.actor import Actor
from portal.domain.jobs.states import APPOINTMENT, INSTALLATION
from portal.domain.policy import decide
from portal.domain.scheduling.rules import Decision, OverrideValues, Owner, in_force, under_rules
from tests.domain import by_hand
from tests.domain.stand_ins import CUSTOMER, DISPATCHER, NOW, START, TECHNICIAN, Asking, Job, Visit, controls

pytestmark = pytest.mark.row("M2", "M3")

CUTOFF_HOURS = {"reschedule": 24, "cancel": 48}
MOMENTS = ("before the cutoff", "at the cutoff", "after the cutoff", "last second", "at the start", "after the start")
SECOND = timedelta(seconds=1)

# What refuses first, from the strongest: the code and the rule it names.
STARTED = ("started", "start")
OFF = ("self_service_off", "self_service")
SWITCH = {
    ("reschedule", True): ("reschedule_confirmed_off", "reschedule_confirmed"),
    ("reschedule", False): ("reschedule_unconfirmed_off", "reschedule_unconfirmed"),
    ("cancel", True): ("cancel_confirmed_off", "cancel_confirmed"),
    ("cancel", False): ("cancel_unconfirmed_off", "cancel_unconfirmed"),
}
CUTOFF = {"reschedule": ("cutoff", "reschedule_cutoff_hours"), "cancel": ("cutoff", "cancel_cutoff_hours")}
MOVES = ("moves_used_up", "max_moves")

SENTENCES = {
    "started": "This visit has already started.",
    "self_service_off": "Changes to visits are made by our office.",
    "reschedule_confirmed_off": "A confirmed visit can only be moved by our office.",
    "reschedule_unconfirmed_off": "A visit that is not confirmed yet can only be moved by our office.",
    "cancel_confirmed_off": "A confirmed visit can only be cancelled by our office.",
    "cancel_unconfirmed_off": "A visit that is not confirmed yet can only be cancelled by our office.",
    "moves_used_up": "You have moved this visit as often as is possible online (3).",
}


# Visit status -> status of an installation and of a service job with it, and whether work has begun; from the pairs of
# lifecycles.md.
JOB_OF = {
    "SCHEDULED": ("INSTALLER_ASSIGNED", "SCHEDULED", False),
    "PREPARING": ("INSTALLER_ASSIGNED", "SCHEDULED", False),
    "ON_THE_WAY": ("EN_ROUTE", "IN_PROGRESS", False),
    "ARRIVED": ("EN_ROUTE", "IN_PROGRESS", False),
    "WORK_IN_PROGRESS": ("INSTALLATION_IN_PROGRESS", "IN_PROGRESS", True),
    "PAUSED": ("EN_ROUTE", "PAUSED", False),
    "COMPLETE": ("INSTALLATION_COMPLETED", "COMPLETED", True),
    "INCOMPLETE": ("INSTALLATION_IN_PROGRESS", "APPROVED", True),
    "CANCELLED": ("CANCELLED", "CANCELLED", False),
}
# The customer may from the first two only; what the table says of the others. Staff may cancel a paused visit.
CUSTOMERS = {"SCHEDULED", "PREPARING"}
TABLES = {("cancel", "PAUSED"): "under_way"}
# Whose rules decide, and who is farther away and overruled by them.
FARTHER: dict[str, tuple[str, ...]] = {
    "partner": (),
    "service_type": ("partner",),
    "customer": ("partner", "service_type"),
    "job": ("partner", "service_type", "customer"),
}


@dataclass(frozen=True)
class Case:
    """One combination; ``level`` is whose rules these are, the workflow is of the job that the visit is part of."""

    action: Any
    self_service: bool
    confirmed: bool
    switched_on: bool
    moment: str
    moves_left: bool
    status: str = "SCHEDULED"
    level: str = "partner"
    workflow: str = "installation"

    @property
    def cutoff(self) -> datetime:
        """The last instant at which the customer may."""
        return START - timedelta(hours=CUTOFF_HOURS[self.action])

    @property
    def now(self) -> datetime:
        """The moment as an instant."""
        return {
            "before the cutoff": self.cutoff - SECOND,
            "at the cutoff": self.cutoff,
            "after the cutoff": self.cutoff + SECOND,
            "last second": START - SECOND,
            "at the start": START,
            "after the start": START + SECOND,
        }[self.moment]

    def asking(self, actor: Actor = CUSTOMER) -> Asking:
        """The situation: at its level the rules of the case, everywhere farther away their opposites."""
        rules = {level: self.rules(opposite=True) for level in FARTHER[self.level]} | {self.level: self.rules()}
        overrides = {Owner(level): OverrideValues(**rules[level]) for level in rules if level != "partner"}
        installation, service, begun = JOB_OF[self.status]
        status = installation if self.workflow == "installation" else service
        job = Job(status, work_began_at=NOW if begun else None, workflow=self.workflow)
        visit = Visit(self.status, is_confirmed=self.confirmed, customer_moves=2 if self.moves_left else 3)
        return Asking(actor, self.now, job=job, visit=visit, controls=controls(overrides, **rules["partner"]))

    def rules(self, opposite: bool = False) -> dict[str, Any]:
        """What decides, or would decide the other way; the switches of the other state and action are the other way."""
        switches = {
            f"{action}_{state}": self.switched_on is opposite
            for action in ("reschedule", "cancel")
            for state in ("confirmed", "unconfirmed")
        }
        state = "confirmed" if self.confirmed else "unconfirmed"
        switches[f"{self.action}_{state}"] = self.switched_on is not opposite
        in_time = self.moment in ("before the cutoff", "at the cutoff")
        hours = {name: (5000 if in_time else 0) if opposite else number for name, number in CUTOFF_HOURS.items()}
        return {
            "self_service": self.self_service is not opposite,
            "reschedule_cutoff_hours": hours["reschedule"],
            "cancel_cutoff_hours": hours["cancel"],
            "max_moves": (0 if self.moves_left else 100) if opposite else 3,
            **switches,
        }

    def expected(self) -> tuple[str | None, str, str | None, datetime | None]:
        """Code of the refusal or None where the customer may, the rule, whose it is, and until when it was possible."""
        if self.status not in CUSTOMERS:
            return (TABLES.get((self.action, self.status), "wrong_status"), "status", None, None)
        if self.moment in ("at the start", "after the start"):
            return (*STARTED, None, None)
        if not self.self_service:
            return (*OFF, self.level, None)
        if not self.switched_on:
            return (*SWITCH[self.action, self.confirmed], self.level, None)
        if self.moment in ("after the cutoff", "last second"):
            return (*CUTOFF[self.action], self.level, self.cutoff)
        if self.action == "reschedule" and not self.moves_left:
            return (*MOVES, self.level, self.cutoff)
        return (None, f"{self.action}_{'confirmed' if self.confirmed else 'unconfirmed'}", self.level, self.cutoff)


DECIDING = (("reschedule", "cancel"), (True, False), (True, False), (True, False), MOMENTS, (True, False))
CASES = [Case(*values) for values in itertools.product(*DECIDING)]
PRODUCT = [Case(*values) for values in itertools.product(*DECIDING, JOB_OF, FARTHER, ("installation", "service"))]


def test_the_product_of_everything_that_decides() -> None:
    assert set(JOB_OF) == set(by_hand.APPOINTMENT_STATUSES)
    assert len(PRODUCT) == 192 * 9 * 4 * 2
    for case in PRODUCT:
        decision = decide(case.action, case.asking().situation())
        code = decision.refusal.code if decision.refusal is not None else None
        found = (code, decision.rule, decision.owner and decision.owner.value, decision.until)
        assert found == case.expected(), case
        assert decision.allowed is (code is None)


# Who sets a control -> whose holds: the nearest.
NEAREST = {
    (): "partner",
    ("service_type",): "service_type",
    ("customer",): "customer",
    ("job",): "job",
    ("service_type", "customer"): "customer",
    ("service_type", "job"): "job",
    ("customer", "job"): "job",
    ("service_type", "customer", "job"): "job",
}


@pytest.mark.parametrize("name", by_hand.CONTROLS)
def test_each_control_on_its_own_is_the_nearest_ones(name: str) -> None:
    at = {"partner": 10, "service_type": 20, "customer": 30, "job": 0}
    for others, own in itertools.product(NEAREST, NEAREST):
        # Everybody in `others` sets all the rest, everybody in `own` this control.
        overrides = {}
        for level in ("service_type", "customer", "job"):
            rest = {other: at[level] for other in by_hand.CONTROLS if other != name and level in others}
            overrides[Owner(level)] = OverrideValues(**rest, **({name: at[level]} if level in own else {}))
        found = in_force(OverrideValues(**dict.fromkeys(by_hand.CONTROLS, at["partner"])), overrides)
        for control in by_hand.CONTROLS:
            nearest = NEAREST[own if control == name else others]
            assert (getattr(found, control), found.owner_of(control)) == (at[nearest], nearest)


def test_every_refusal_says_why_in_its_own_sentence() -> None:
    for case in CASES:
        refusal = decide(case.action, case.asking().situation()).refusal
        if refusal is None:
            continue
        verb = "move" if case.action == "reschedule" else "cancel"
        cutoff = f"You could {verb} this visit yourself until {case.cutoff}."
        assert str(refusal.sentence) == SENTENCES.get(refusal.code, cutoff), case


def test_the_cutoff_says_until_when_it_was_possible() -> None:
    for case in CASES:
        decision = decide(case.action, case.asking().situation())
        if decision.refusal is not None and decision.refusal.code == "cutoff":
            assert decision.until == case.cutoff
            assert decision.refusal.sentence.params == {"until": case.cutoff}


def test_the_tables_refuse_with_the_same_words() -> None:
    for case in CASES:
        situation = case.asking().situation()
        decision = decide(case.action, situation)
        assert APPOINTMENT.refusal(case.action, "SCHEDULED", situation) == decision.refusal, case
        assert INSTALLATION.refusal(case.action, "INSTALLER_ASSIGNED", situation) == decision.refusal, case


def test_no_rule_binds_staff() -> None:
    for case in PRODUCT:
        if case.status not in CUSTOMERS:
            continue
        decision = decide(case.action, case.asking(DISPATCHER).situation())
        assert decision == Decision(None, "status"), case


@pytest.mark.parametrize("action", ["reschedule", "cancel"])
def test_others_than_customer_and_staff_may_not(action: Any) -> None:
    decision = decide(action, Asking(TECHNICIAN).situation())
    assert decision.refusal is not None
    assert (decision.refusal.code, decision.rule) == ("not_your_role", "status")


@pytest.mark.parametrize("action", ["reschedule", "cancel"])
@pytest.mark.parametrize(
    ("job", "visit", "code"),
    [
        (Job("EN_ROUTE"), Visit("ON_THE_WAY"), "wrong_status"),
        (Job("EN_ROUTE"), Visit("ARRIVED"), "wrong_status"),
        (Job("INSTALLATION_COMPLETED"), Visit("COMPLETE"), "wrong_status"),
        (Job("CANCELLED"), Visit("CANCELLED"), "wrong_status"),
        (Job("INSTALLER_ASSIGNED"), Visit(cancel_at=NOW + SECOND), "cancelling"),
    ],
    ids=["on the way", "arrived", "complete", "cancelled", "cancel pending"],
)
def test_the_tables_come_before_the_rules(action: Any, job: Job, visit: Visit, code: str) -> None:
    decision = decide(action, Asking(CUSTOMER, job=job, visit=visit).situation())
    assert decision.refusal is not None
    assert (decision.refusal.code, decision.rule, decision.until) == (code, "status", None)
    # Statuses are the office's words.
    words = {
        "ON_THE_WAY": "This visit is already under way.",
        "ARRIVED": "This visit is already under way.",
        "COMPLETE": "This visit is over.",
        "CANCELLED": "This visit is cancelled.",
    }
    assert str(decision.refusal.sentence) == words.get(visit.status, str(decision.refusal.sentence))
    assert "status" not in str(decision.refusal.sentence)


@pytest.mark.row("M7")
@pytest.mark.parametrize("action", ["reschedule", "cancel"])
def test_a_follow_up_visit_is_the_customers_to_move_or_cancel(action: Any) -> None:
    job = Job("INSTALLATION_IN_PROGRESS", work_began_at=NOW - SECOND)
    assert decide(action, Asking(CUSTOMER, job=job).situation()).allowed


@pytest.mark.parametrize("hours", [0, 1, 24, 1000])
def test_a_cutoff_counts_back_from_the_visits_present_start(hours: int) -> None:
    rules, visit = controls(reschedule_cutoff_hours=hours), Visit()
    limit = START - timedelta(hours=hours)

    def at(now: datetime) -> Decision:
        return under_rules("reschedule", rules, visit, now)

    assert at(limit - SECOND).allowed
    assert at(limit).allowed is (hours > 0)
    assert not at(limit + SECOND).allowed
    visit.start_at += timedelta(hours=1)
    assert at(limit + SECOND).allowed


@pytest.mark.parametrize(("moves", "limit", "allowed"), [(0, 0, False), (0, 1, True), (1, 1, False), (5, 1, False)])
def test_how_often_a_customer_may_move_one_visit(moves: int, limit: int, allowed: bool) -> None:
    rules, visit = controls(max_moves=limit), Visit(customer_moves=moves)
    assert under_rules("reschedule", rules, visit, NOW).allowed is allowed
    assert under_rules("cancel", rules, visit, NOW).allowed


def test_a_decision_needs_something_to_decide_on() -> None:
    with pytest.raises(ValueError, match="needs the visit"):
        decide("cancel", Asking(CUSTOMER, visit=None).situation())
