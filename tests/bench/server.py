"""The application that is measured, as gunicorn serves it, with pages beside it: nothing, and free times."""

from __future__ import annotations

import os
from datetime import date, timedelta
from importlib import import_module
from typing import Any

from flask import Flask, abort, jsonify, request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_security import login_user

from portal import create_app
from portal.admin.base import AdminPage
from portal.customer.blueprint import visit_of
from portal.domain.jobs.queries import staff_times
from portal.extensions import db
from portal.settings import Settings
from portal.web import formats, kept
from portal.web.auth import load_login

NOTHING = "/admin/nothing/"
FREE = "/my/bench/free"
# Lets anybody in by their stamp, where a crowd's passwords would take longer than what is measured.
ENTER = "/bench/enter"


class Nothing(AdminPage):
    """Signed in, with layout and menu, and nothing else."""

    @expose("/")
    def index(self) -> ResponseReturnValue:
        """Return the layout alone."""
        page: str = self.render("layouts/admin.html")
        return page


def free_times() -> ResponseReturnValue:
    """Return the free starts for a visit of the customer's by the domain's one call, over as many days as asked for."""
    session, now = db.session(), formats.now()
    item = visit_of(int(request.args["visit"]))
    first = date.fromisoformat(request.args["first"])
    days = [first + timedelta(days=ahead) for ahead in range(int(request.args["days"]))]
    found = staff_times(session, item.job, item.visit, item.visit.technician_id, days, now)
    return jsonify([slot.start.isoformat() for slots in found.values() for slot in slots if slot.refusal is None])


def enter() -> ResponseReturnValue:
    """Sign in whoever has the stamp that is asked for."""
    user = load_login(request.args["stamp"])
    if user is None:
        abort(404)
    login_user(user)
    return "", 204


def settings_for(url: str, folder: str, log_level: str) -> Settings:
    """Return the settings under which the application is measured: those of production, one log line a request."""
    return Settings.load(
        doorstep_env="production",
        secret_key="bench" * 8,
        security_password_salt="bench" * 8,
        database_url=url,
        session_dir=folder,
        redis_url=os.environ.get("BENCH_REDIS_URL"),
        smtp_url="smtp://127.0.0.1:9",
        mail_from="bench@bench.test",
        base_url="https://bench.test",
        log_level=log_level,
    )


def add_pages(app: Flask) -> None:
    """Give ``app`` the page that does nothing, and free times alone."""
    app.extensions["admin"][0].add_view(Nothing(name="Nothing", endpoint="nothing", url=NOTHING))
    app.add_url_rule(FREE, "bench_free", free_times)
    if os.environ.get("BENCH_ENTER"):
        app.add_url_rule(ENTER, "bench_enter", enter)


def make(url: str, folder: str, cards: bool = True, log_level: str = "WARNING", keeps: bool = True) -> Flask:
    """Return the application over the database at ``url``, keeping its sessions in ``folder``.

    Without ``cards`` the list shows none; without ``keeps`` it is drawn for every request.
    """
    app = create_app(settings_for(url, folder, log_level))
    add_pages(app)
    if not keeps:
        app.extensions[kept.EXTENSION] = kept.Pages(0)
    if not cards:
        views = import_module("portal.admin.installations.views")

        def none(*args: Any, **kwargs: Any) -> list[Any]:
            return []

        views.overview = none  # type: ignore[attr-defined]
    return app


def app() -> Flask:
    """Return the application for gunicorn, from the environment."""
    cards = not os.environ.get("BENCH_NO_CARDS")
    keeps = not os.environ.get("BENCH_NO_KEPT")
    return make(os.environ["BENCH_DATABASE"], os.environ["BENCH_SESSIONS"], cards, "INFO", keeps)
