"""The tables that the code obeys are those of ``lifecycles.md``, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from portal.domain import tables
from portal.domain.jobs.states import (
    ACTIVE,
    APPOINTMENT,
    EDITABLE,
    INSTALLATION,
    MOVABLE,
    OPEN,
    SERVICE,
    STEPS,
    TRACKED,
    UNDER_WAY,
    installation_statuses,
)
from tests.domain import by_hand

FULL = [
    ("installation", by_hand.INSTALLATION_STATUSES, by_hand.INSTALLATION_TRANSITIONS),
    ("service", by_hand.SERVICE_STATUSES, by_hand.SERVICE_TRANSITIONS),
    ("appointment", by_hand.APPOINTMENT_STATUSES, by_hand.APPOINTMENT_TRANSITIONS),
]
ARROWS = [
    ("job_offer", by_hand.OFFER_STATUSES, by_hand.OFFER_ARROWS),
    ("service_request", by_hand.REQUEST_STATUSES, by_hand.REQUEST_ARROWS),
    ("change_request", by_hand.CHANGE_STATUSES, by_hand.CHANGE_ARROWS),
]


@pytest.fixture(scope="module")
def printed() -> dict[str, Any]:
    """What ``portal lifecycles --json`` prints."""
    return tables.as_json()


def test_there_are_six_tables(printed: dict[str, Any]) -> None:
    assert list(printed) == [
        "installation",
        "service",
        "appointment",
        "job_offer",
        "service_request",
        "change_request",
    ]


@pytest.mark.row("P9")
@pytest.mark.parametrize(("name", "statuses"), [(name, statuses) for name, statuses, _ in FULL])
def test_statuses_groups_labels_and_ends(printed: dict[str, Any], name: str, statuses: dict[str, Any]) -> None:
    found = {row["name"]: (row["group"], row["label"], row["end"]) for row in printed[name]["statuses"]}
    assert found == statuses
    assert list(found) == list(statuses), "in the order of the table"


@pytest.mark.row("P9")
@pytest.mark.parametrize(
    ("name", "action", "expected"),
    [(name, action, row) for name, _, rows in FULL for action, row in rows.items()],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_transition(printed: dict[str, Any], name: str, action: str, expected: tuple[Any, ...]) -> None:
    label, sources, targets, who, inputs, optional = expected
    (row,) = [row for row in printed[name]["transitions"] if row["name"] == action]
    assert row["label"] == label
    assert set(row["sources"]) == set(sources)
    assert set(row["targets"]) == set(targets)
    assert set(row["who"]) == set(who)
    assert set(row["inputs"]) == set(inputs)
    assert set(row["optional_inputs"]) == set(optional)


@pytest.mark.row("P9")
@pytest.mark.parametrize(("name", "rows"), [(name, rows) for name, _, rows in FULL])
def test_no_transition_more(printed: dict[str, Any], name: str, rows: dict[str, Any]) -> None:
    assert [row["name"] for row in printed[name]["transitions"]] == list(rows)


@pytest.mark.row("J1", "C5", "C6")
@pytest.mark.parametrize(("name", "statuses", "arrows"), ARROWS, ids=[name for name, _, _ in ARROWS])
def test_offers_and_requests(
    printed: dict[str, Any], name: str, statuses: dict[str, bool], arrows: set[tuple[Any, ...]]
) -> None:
    assert {row["name"]: row["end"] for row in printed[name]["statuses"]} == statuses
    found = [
        (source, target, tuple(row["inputs"]))
        for row in printed[name]["transitions"]
        for source in row["sources"]
        for target in row["targets"]
    ]
    assert set(found) == arrows
    assert len(found) == len(arrows), "each by one transition: nobody else has another way there"


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("installation", {"CUSTOMER_APPROVED", "CANCELLED", "REJECTED"}),
        ("service", {"COMPLETED"}),
        ("appointment", {"COMPLETE", "INCOMPLETE"}),
        ("job_offer", {"ACCEPTED", "DECLINED", "EXPIRED", "TAKEN", "WITHDRAWN"}),
        ("service_request", {"CONVERTED", "DECLINED", "CANCELLED"}),
        ("change_request", {"APPLIED", "DECLINED", "LAPSED"}),
    ],
)
def test_nothing_leads_out_of_an_end(printed: dict[str, Any], name: str, ends: set[str]) -> None:
    left = {source for row in printed[name]["transitions"] for source in row["sources"] if source}
    assert left.isdisjoint(ends)
    assert {row["name"] for row in printed[name]["statuses"]} == left | ends


def test_only_reactivation_leads_out_of_cancelled(printed: dict[str, Any]) -> None:
    for name in ("service", "appointment"):
        ways = [row["name"] for row in printed[name]["transitions"] if "CANCELLED" in row["sources"]]
        assert ways == ["reactivate"]


@pytest.mark.row("P9")
@pytest.mark.parametrize(
    ("action", "statuses"),
    [
        ("assign", {"SCHEDULED"}),
        ("reassign", {"INSTALLER_ASSIGNED", "EN_ROUTE"}),
        ("reject", {"SCHEDULED"}),
    ],
)
def test_the_three_guarded_buttons(printed: dict[str, Any], action: str, statuses: set[str]) -> None:
    (row,) = [row for row in printed["installation"]["transitions"] if row["name"] == action]
    assert set(row["sources"]) == statuses
    assert set(row["who"]) == {"dispatcher", "partner_admin"}


@pytest.mark.parametrize(
    ("workflow", "action", "guards"),
    [
        (INSTALLATION, "reject", {"no_technician"}),
        (INSTALLATION, "cancel", {"no_visit_under_way", "customer_cancel_rules", "customer_only_before_work_began"}),
        (INSTALLATION, "reschedule", {"visit_not_under_way", "customer_reschedule_rules"}),
        (SERVICE, "reassign", {"no_work_begun"}),
        (SERVICE, "cancel", {"no_visit_under_way", "customer_cancel_rules"}),
        (APPOINTMENT, "prepare", {"technician_assigned", "assigned_to_the_actor", "no_cancel_pending"}),
        (
            APPOINTMENT,
            "set_off",
            {
                "technician_assigned",
                "assigned_to_the_actor",
                "no_cancel_pending",
                "on_the_visits_local_day",
                "no_other_visit_under_way",
            },
        ),
        (APPOINTMENT, "resume", {"assigned_to_the_actor", "no_other_visit_under_way", "time_not_given_away"}),
        (APPOINTMENT, "reassign", {"technician_assigned", "paused_only_before_work_began"}),
        (APPOINTMENT, "reschedule", {"customer_reschedule_rules"}),
        (APPOINTMENT, "cancel", {"customer_cancel_rules", "customer_only_before_departure"}),
        (APPOINTMENT, "reactivate", {"in_the_future", "of_a_service_job"}),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "name", ""),
)
def test_conditions_beside_the_status_are_guards(workflow: Any, action: str, guards: set[str]) -> None:
    assert guards <= {guard.name for guard in workflow.transition(action).guards}


@pytest.mark.row("J4")
def test_every_step_from_the_field_asks_whose_visit_it_is() -> None:
    field = ("prepare", "set_off", "arrive", "start_work", "pause", "resume", "continue_later", "complete", "turn_back")
    for action in field:
        assert "assigned_to_the_actor" in {guard.name for guard in APPOINTMENT.transition(action).guards}


@pytest.mark.row("C3", "C4")
@pytest.mark.parametrize(("status", "marks"), by_hand.APPOINTMENT_MARKS.items(), ids=list(by_hand.APPOINTMENT_MARKS))
def test_step_of_six_track_and_holding_time(status: str, marks: tuple[int | None, bool, bool]) -> None:
    assert (STEPS.get(status), status in TRACKED, status in ACTIVE) == marks


def test_under_way_and_movable() -> None:
    assert set(UNDER_WAY) == by_hand.UNDER_WAY
    assert set(MOVABLE) == {"SCHEDULED", "PREPARING"}
    assert set(OPEN) == by_hand.NOT_ENDED


@pytest.mark.row("J10")
def test_items_and_address_freeze_with_the_contract_and_at_the_ends() -> None:
    assert {status for status in by_hand.INSTALLATION_STATUSES if status not in EDITABLE} == {
        "CONTRACT_SENT",
        "CONTRACT_SIGNED",
        "CUSTOMER_APPROVED",
        "CANCELLED",
        "REJECTED",
    }


@dataclass(frozen=True)
class Visit:
    """A visit as ``installation_statuses`` reads it."""

    status: str
    technician_id: int | None
    start_at: datetime = datetime(2026, 11, 24, 10, tzinfo=UTC)
    work_began_at: datetime | None = None
    cancel_at: datetime | None = None
    customer_moves: int = 0
    is_confirmed: bool = False


@pytest.mark.parametrize(
    ("status", "assigned", "begun", "expected"), [(*key, value) for key, value in by_hand.PAIRS.items()]
)
def test_how_the_two_move_together(status: str, assigned: bool, begun: bool, expected: set[str]) -> None:
    found = installation_statuses(Visit(status, 7 if assigned else None), begun)
    # REJECTED goes with a visit that never had anybody; the table of the code does not look so closely.
    assert found - {"REJECTED"} == expected - {"REJECTED"}
    assert expected <= found


def test_an_installation_without_any_visit_is_none_of_the_pairs() -> None:
    assert installation_statuses(None, False) == frozenset()
