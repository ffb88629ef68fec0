"""The application that is measured, as gunicorn serves it, with a page beside it that does nothing."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from flask import Flask
from flask.typing import ResponseReturnValue
from flask_admin import expose

from portal import create_app
from portal.admin.base import AdminPage
from portal.settings import Settings

NOTHING = "/admin/nothing/"


class Nothing(AdminPage):
    """Signed in, with layout and menu, and nothing else."""

    @expose("/")
    def index(self) -> ResponseReturnValue:
        """Return the layout alone."""
        page: str = self.render("layouts/admin.html")
        return page


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


def add_nothing(app: Flask) -> None:
    """Give ``app`` the page that does nothing."""
    app.extensions["admin"][0].add_view(Nothing(name="Nothing", endpoint="nothing", url=NOTHING))


def make(url: str, folder: str, cards: bool = True, log_level: str = "WARNING", keeps: bool = True) -> Flask:
    """Return the application over the database at ``url``, keeping its sessions in ``folder``.

    Without ``cards`` the list shows none; without ``keeps`` it is drawn for every request.
    """
    app = create_app(settings_for(url, folder, log_level))
    add_nothing(app)
    if not keeps:
        for view in app.extensions["admin"][0]._views:
            view.keeps_page = lambda: False
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
