"""All six tables together, as ``portal lifecycles`` and the README show them."""

from __future__ import annotations

from typing import Any

from portal.domain.jobs.states import APPOINTMENT, INSTALLATION, SERVICE
from portal.domain.lifecycle import Workflow
from portal.domain.offers.states import JOB_OFFER
from portal.domain.requests.states import CHANGE_REQUEST, SERVICE_REQUEST

TABLES: tuple[Workflow[Any], ...] = (
    INSTALLATION,
    SERVICE,
    APPOINTMENT,
    JOB_OFFER,
    SERVICE_REQUEST,
    CHANGE_REQUEST,
)


def as_json() -> dict[str, Any]:
    """Return every table by its workflow's name, in the shape of ``portal lifecycles --json``."""
    return {table.name: table.as_json() for table in TABLES}


def as_markdown() -> str:
    """Return every table as Markdown, for the README; a test fails when the README's copy drifts."""
    return "\n\n".join(_markdown(table) for table in TABLES) + "\n"


def _markdown(table: Workflow[Any]) -> str:
    title = table.name.replace("_", " ").capitalize()
    statuses = ["| status | label | group | end |", "| --- | --- | --- | --- |"]
    statuses += [
        f"| {status.name} | {status.label} | {status.group} | {'yes' if status.end else ''} |"
        for status in table.statuses
    ]
    rows = ["| transition | label | from | to | who | inputs |", "| --- | --- | --- | --- | --- | --- |"]
    for row in table.as_json()["transitions"]:
        inputs = ", ".join([*row["inputs"], *(f"({name})" for name in row["optional_inputs"])])
        sources = ", ".join(source or "new" for source in row["sources"])
        targets = ", ".join(row["targets"]) or "stays"
        who = ", ".join(name.replace("_", " ") for name in row["who"])
        rows.append(f"| {row['name']} | {row['label']} | {sources} | {targets} | {who} | {inputs} |")
    return f"### {title}\n\n" + "\n".join(statuses) + "\n\n" + "\n".join(rows)
