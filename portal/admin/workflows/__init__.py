"""The tables that the code obeys, drawn and written out (L4)."""

from __future__ import annotations

from portal.admin.workflows.views import WorkflowsView


def views() -> list[WorkflowsView]:
    """Return the views of this subject for the admin's menu."""
    return [WorkflowsView()]
