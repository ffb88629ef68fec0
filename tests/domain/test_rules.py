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
from portal.domain.scheduling.rules import Decision, under_rules
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


@dataclass(frozen=True)
class Case:
    """One combination."""

    action: Any
    self_service: bool
    confirmed: bool
    switched_on: bool
    moment: str
    moves_left: bool

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
        """The situation, with the switch of the other state and action set the other way."""
        switches = {
            f"{action}_{state}": not self.switched_on
            for action in ("reschedule", "cancel")
            for state in ("confirmed", "unconfirmed")
        }
        switches[f"{self.action}_{'confirmed' if self.confirmed else 'unconfirmed'}"] = self.switched_on
        visit = Visit(is_confirmed=self.confirmed, customer_moves=2 if self.moves_left else 3)
        return Asking(actor, self.now, visit=visit, controls=controls(self_service=self.self_service, **switches))

    def expected(self) -> tuple[str, str] | None:
        """Code and rule of the refusal, or None: the customer may."""
        if self.moment in ("at the start", "after the start"):
            return STARTED
        if not self.self_service:
            return OFF
        if not self.switched_on:
            return SWITCH[self.action, self.confirmed]
        if self.moment in ("after the cutoff", "last second"):
            return CUTOFF[self.action]
        if self.action == "reschedule" and not self.moves_left:
            return MOVES
        return None


CASES = [
    Case(*values)
    for values in itertools.product(
        ("reschedule", "cancel"), (True, False), (True, False), (True, False), MOMENTS, (True, False)
    )
]


def test_the_product_of_everything_that_decides() -> None:
    assert len(CASES) == 192
    for case in CASES:
        decision = decide(case.action, case.asking().situation())
        expected = case.expected()
        if expected is None:
            assert decision.allowed, case
            state = "confirmed" if case.confirmed else "unconfirmed"
            assert (decision.rule, decision.until) == (f"{case.action}_{state}", case.cutoff), case
        else:
            assert not decision.allowed, case
            assert decision.refusal is not None
            assert (decision.refusal.code, decision.rule) == expected, case


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
    for case in CASES:
        decision = decide(case.action, case.asking(DISPATCHER).situation())
        assert (decision.refusal, decision.rule, decision.until) == (None, "status", None), case


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
