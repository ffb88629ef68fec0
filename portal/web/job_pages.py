"""Where the office's pages of a job are, by its workflow."""

from __future__ import annotations

from typing import Any

from flask import Flask, url_for

# By the name of the workflow: the endpoint of its view.
ENDPOINTS = {"installation": "installations", "service": "service_jobs"}


def job_url(workflow: str, job_id: int, act: str | None = None, **args: Any) -> str:
    """Return the address of a job's page in the office or, with ``act``, of the form of that act."""
    view = "detail_view" if act is None else "act_view"
    if act is not None:
        args["act"] = act
    return url_for(f"{ENDPOINTS[workflow]}.{view}", job_id=job_id, **args)


def init_app(app: Flask) -> None:
    """Make the addresses known to the templates of ``app``."""
    app.jinja_env.globals["job_url"] = job_url
