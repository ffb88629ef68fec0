"""The diagram and the tables of the workflows show what the code obeys, each thing once (L4)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask import Flask

from portal.admin.workflows import words
from portal.admin.workflows.layout import Layout, Node, ranks_of
from portal.admin.workflows.views import Drawing, draw
from portal.domain.actor import Role
from portal.domain.errors import sentence
from portal.domain.jobs.states import INSTALLATION
from portal.domain.lifecycle import Status, Transition, Workflow
from portal.domain.people.models import Partner
from portal.domain.tables import TABLES
from portal.domain.unit_of_work import unit_of_work
from portal.web import statuses
from tests.factories import Create
from tests.web.office import Office, clock, office

__all__ = ["clock", "office"]

pytestmark = pytest.mark.row("L4")
URL = "/admin/workflows/"


def names(page: BeautifulSoup, part: str, attribute: str) -> list[str]:
    return [str(found[attribute]) for found in page.select(f"{part} [{attribute}]")]


def test_each_status_and_transition_is_in_diagram_and_table_once(office: Office) -> None:
    for table in TABLES:
        office.site.get(f"{URL}{table.name}")
        page = office.site.page
        wanted_statuses = [status.name for status in table.statuses]
        wanted_acts = [row.name for row in table.transitions]
        for part in ("svg", "tbody"):
            assert names(page, part, "data-status") == wanted_statuses
            assert names(page, part, "data-transition") == wanted_acts
        # every arrow belongs to one of them, and each of them has its lines
        drawn = names(page, "svg", "data-of")
        assert set(drawn) == set(wanted_acts)
        tips = [str(line["data-of"]) for line in page.select("svg [marker-end]")]
        assert sorted(tips) == sorted(row.name for row in table.transitions for _ in row.targets)


def test_the_table_says_who_what_and_when(office: Office) -> None:
    office.site.get(URL)
    cells = {
        str(row["data-transition"]): [cell.get_text("|") for cell in row.select("td")]
        for row in office.site.page.select("tbody tr[data-transition]")
    }
    assert cells["assign"] == [
        "Scheduled",
        "Installer assigned",
        "Office",
        "technician",
        "",
        "no cancel of the customer is pending",
    ]
    assert cells["schedule"][:4] == ["new", "Scheduled", "Office", "customer|start|items"]
    assert cells["set_off"][2] == "With the visit"
    assert cells["reschedule"][1] == "stays"
    assert cells["cancel"][:3] == [
        "Scheduled|Installer assigned|Installation in progress",
        "Cancelled",
        "Office|Customer",
    ]
    office.site.get(f"{URL}appointment")
    on_the_way = office.site.page.select_one("tbody tr[data-status=ON_THE_WAY]")
    assert on_the_way is not None
    assert [cell.text for cell in on_the_way.select("th, td")] == ["On the way", "On the Way 🚗", "no"]
    # and a partner's own words, as text
    with unit_of_work(office.session):
        partner = office.session.get_one(Partner, office.partner.id)
        partner.status_labels = {"ON_THE_WAY": "<b>Soon</b> there"}
    office.site.get(f"{URL}appointment")
    reworded = office.site.page.select_one("tbody tr[data-status=ON_THE_WAY] td")
    assert reworded is not None
    assert reworded.text == "<b>Soon</b> there"


def test_who_may_look_and_at_what(
    office: Office, create_staff: Create, create_user: Create, create_technician: Create
) -> None:
    assert office.site.get(f"{URL}?size=large").status_code == 200
    assert office.site.get(f"{URL}?size=%00").status_code == 400
    assert office.site.get(f"{URL}?size=huge").status_code == 200
    for unknown in ("nothing", "INSTALLATION", "installation/x", "😀", "a" * 10_000):
        assert office.site.get(f"{URL}{unknown}").status_code == 404
    office.site.sign_out()
    office.site.sign_in(create_staff(office.partner, role="partner_admin"))
    office.site.get("/admin/")
    assert office.site.page.select_one(f"nav a[href='{URL}']")
    assert office.site.get(URL).status_code == 200
    office.site.sign_out()
    technician = create_user()
    create_technician(office.partner, user=technician)
    office.site.sign_in(technician)
    assert office.site.get(URL).status_code == 403


@pytest.fixture
def english(app: Flask) -> Iterator[None]:
    with app.test_request_context("/"):
        yield


def boxes(layout: Layout) -> list[Node]:
    return [*layout.statuses.values(), *layout.transitions.values()]


def overlap(one: Node, other: Node) -> bool:
    across = abs(one.x - other.x) < (one.width + other.width) / 2
    return across and one.y < other.y + other.height and other.y < one.y + one.height


@pytest.mark.usefixtures("english")
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_boxes_lie_apart_inside_the_picture_and_lines_pass_between(table: Workflow[Any]) -> None:
    layout = draw(table).layout
    found = boxes(layout)
    assert [(one.key, other.key) for one, other in combinations(found, 2) if overlap(one, other)] == []
    crossed = [(of, box.key) for of, bend in layout.bends for box in found if overlap(bend, box)]
    assert crossed == []
    for box in found:
        assert box.left >= 0
        assert box.y >= 0
        assert box.left + box.width <= layout.width
        assert box.y + box.height <= layout.height
    again = draw(table).layout
    assert [(box.x, box.y) for box in boxes(again)] == [(box.x, box.y) for box in found]


def test_what_leads_forward_leads_down() -> None:
    ranks = ranks_of(INSTALLATION)
    chain = ("SCHEDULED", "INSTALLER_ASSIGNED", "EN_ROUTE", "INSTALLATION_IN_PROGRESS", "INSTALLATION_COMPLETED")
    assert [ranks[name] for name in chain] == [0, 1, 2, 3, 4]
    assert ranks["REJECTED"] == 1


@pytest.mark.usefixtures("english")
def test_a_change_of_the_table_changes_the_diagram(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a status and a transition more, and a source less, the drawing says so."""
    monkeypatch.setitem(statuses.CSS["installation"], "ON_HOLD", statuses.PAUSED)
    hold: Transition[Any] = Transition(
        "pause", sentence("Put on hold"), ("SCHEDULED",), ("ON_HOLD",), (Role.DISPATCHER,), ("reason",)
    )
    kept = tuple(row for row in INSTALLATION.transitions if row.name != "turn_back")
    changed: Workflow[Any] = Workflow(
        "installation", [*INSTALLATION.statuses, Status("ON_HOLD", sentence("On hold"), "Scheduled")], [*kept, hold]
    )
    before, after = draw(INSTALLATION), draw(changed)
    assert set(after.layout.statuses) - set(before.layout.statuses) == {"ON_HOLD"}
    assert set(after.layout.transitions) ^ set(before.layout.transitions) == {"pause", "turn_back"}
    assert said(after, "pause") == ["Put on hold", "Dispatcher", "needs: reason"]
    assert said(after, "status ON_HOLD") == ["On hold", "Scheduled"]
    lines = {(edge.upper.key, edge.lower.key) for edge in after.layout.edges if edge.of == "pause"}
    assert ("SCHEDULED", "pause") in lines
    assert ("pause", "ON_HOLD") in lines
    assert after.statuses[-1].name == "On hold"
    assert after.transitions[-1].targets == ["On hold"]


def said(drawing: Drawing, key: str) -> list[str]:
    return [line.words for line in drawing.cards[key].lines]


def test_everything_in_the_tables_has_words_and_colours() -> None:
    for table in TABLES:
        assert table.name in words.WORKFLOWS
        assert {status.name for status in table.statuses} == set(statuses.CSS[table.name])
        assert {status.group for status in table.statuses} - {""} <= set(words.GROUPS)
        for row in table.transitions:
            assert row.label is not None or row.name in words.ACTS
            assert {*row.inputs, *row.optional} <= set(words.INPUTS)
            assert {guard.name for guard in row.guards} <= set(words.CONDITIONS)
