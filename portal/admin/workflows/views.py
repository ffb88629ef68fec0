"""One page a workflow: the diagram and, beside it, the same as two tables (L4)."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flask import request, url_for
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import get_locale, gettext, lazy_gettext

from portal.admin.base import AdminPage
from portal.admin.workflows import words
from portal.admin.workflows.layout import Layout, lay_out
from portal.domain.actor import Permission
from portal.domain.errors import NotFound
from portal.domain.jobs.states import APPOINTMENT
from portal.domain.lifecycle import Status, Transition, Workflow
from portal.domain.tables import TABLES
from portal.web.partners import current_partner
from portal.web.statuses import CSS, customer_label

WORKFLOWS = {table.name: table for table in TABLES}
# How large the diagram is drawn: in the window's width, or so many times its own size.
FIT = "fit"
SIZES = {FIT: 1.0, "normal": 1.0, "large": 1.5}

# Pixels, and letters that go into a line of them in the fonts of the style sheet.
STATUS_WIDTH, BOX_WIDTH = 172.0, 168.0
STATUS_LETTERS, TITLE_LETTERS, SMALL_LETTERS = 19, 19, 25
LINE, SMALL_LINE, PADDING = 17.0, 15.0, 7.0


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text in a box: what it says, how, and how far below the top of the box it stands."""

    words: str
    css: str
    at: float


@dataclass(frozen=True, slots=True)
class Card:
    """A status or a transition as both diagram and table show it."""

    key: str
    css: str
    name: str
    lines: list[Text]
    height: float


@dataclass(frozen=True, slots=True)
class StatusRow:
    """A line of the table of statuses."""

    key: str
    css: str
    name: str
    group: str
    is_end: bool


@dataclass(frozen=True, slots=True)
class TransitionRow:
    """A line of the table of transitions; no source is "new", no target means that the status stays."""

    key: str
    name: str
    sources: list[str]
    targets: list[str]
    who: list[str]
    needs: list[str]
    may_add: list[str]
    conditions: list[str]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A workflow drawn and written out, in one language."""

    layout: Layout
    cards: dict[str, Card]
    statuses: list[StatusRow]
    transitions: list[TransitionRow]
    new_ones: frozenset[str]


def draw(workflow: Workflow[Any]) -> Drawing:
    """Return ``workflow`` drawn and written out in the reader's language."""
    status_cards = {status.name: _status_card(workflow, status) for status in workflow.statuses}
    cards = {row.name: _card(row) for row in workflow.transitions}
    layout = lay_out(
        workflow,
        {name: (STATUS_WIDTH, card.height) for name, card in status_cards.items()},
        {name: (BOX_WIDTH, card.height) for name, card in cards.items()},
    )
    return Drawing(
        layout,
        # A status and a transition may have the same name.
        {**{f"status {name}": card for name, card in status_cards.items()}, **cards},
        [_status_row(workflow, status) for status in workflow.statuses],
        [_row(workflow, row) for row in workflow.transitions],
        frozenset(row.name for row in workflow.transitions if None in row.sources),
    )


@lru_cache(maxsize=64)
def _drawn(name: str, locale: str) -> Drawing:
    return draw(WORKFLOWS[name])


def _texts(*parts: tuple[str, str, int]) -> tuple[list[Text], float]:
    """Return lines for parts of words, style and letters a line, and the height of a box that holds them."""
    lines, y = [], PADDING
    for said, css, letters in parts:
        for line in textwrap.wrap(said, letters):
            y += LINE if css == "wf-name" else SMALL_LINE
            lines.append(Text(line, css, y - 4))
    return lines, y + PADDING


def _status_card(workflow: Workflow[Any], status: Status) -> Card:
    name = words.status_name(status)
    lines, height = _texts((name, "wf-name", STATUS_LETTERS), (words.group_name(status), "wf-small", SMALL_LETTERS))
    return Card(status.name, CSS[workflow.name][status.name], name, lines, height)


def _card(row: Transition[Any]) -> Card:
    name = words.act_name(row)
    needs = words.named(row.inputs, words.INPUTS)
    lines, height = _texts(
        (name, "wf-name", TITLE_LETTERS),
        (", ".join(words.who(row)), "wf-small", SMALL_LETTERS),
        (gettext("needs: %(inputs)s", inputs=", ".join(needs)) if needs else "", "wf-small", SMALL_LETTERS),
        ("" if row.targets else gettext("the status stays"), "wf-small wf-stays", SMALL_LETTERS),
    )
    return Card(row.name, "", name, lines, height)


def _status_row(workflow: Workflow[Any], status: Status) -> StatusRow:
    css = CSS[workflow.name][status.name]
    return StatusRow(status.name, css, words.status_name(status), words.group_name(status), status.end)


def _row(workflow: Workflow[Any], row: Transition[Any]) -> TransitionRow:
    return TransitionRow(
        key=row.name,
        name=words.act_name(row),
        sources=[words.status_name(workflow.status(source)) for source in row.sources if source is not None],
        targets=[words.status_name(workflow.status(target)) for target in row.targets],
        who=words.who(row),
        needs=words.named(row.inputs, words.INPUTS),
        may_add=words.named(row.optional, words.INPUTS),
        conditions=words.named(tuple(guard.name for guard in row.guards), words.CONDITIONS),
    )


def _customers_read() -> dict[str, str]:
    """Return what customers read of a visit's statuses: the partner's own words where it has some."""
    partner = current_partner()
    reworded = partner.status_labels if partner is not None else {}
    return {status.name: customer_label(status.name, reworded) for status in APPOINTMENT.statuses}


class WorkflowsView(AdminPage):
    """How work goes from status to status, from the tables that the code obeys."""

    permission = Permission.SEE_JOBS

    def __init__(self) -> None:
        super().__init__(
            name=lazy_gettext("Workflows"), category="Set-up", endpoint="workflows", url="/admin/workflows"
        )

    @property
    def extra_css(self) -> list[str]:
        """The style sheet of this page, with its version in the address."""
        return [url_for("static", filename="css/workflows.css")]

    @expose("/")
    def index_view(self) -> ResponseReturnValue:
        """Show the first workflow."""
        return self.workflow_view(TABLES[0].name)

    @expose("/<workflow>")
    def workflow_view(self, workflow: str) -> ResponseReturnValue:
        """Show one workflow by the name of its table."""
        if workflow not in WORKFLOWS:
            raise NotFound
        size = request.args.get("size")
        return self.render(
            "admin/workflows/workflow.html",
            shown=workflow,
            workflows=words.WORKFLOWS,
            drawing=_drawn(workflow, str(get_locale())),
            customers_read=_customers_read() if workflow == APPOINTMENT.name else {},
            size=size if size in SIZES else "normal",
            times=SIZES.get(size or "", 1.0),
        )
