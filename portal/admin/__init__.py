"""The office screens: Flask-Admin's lists and forms on our own slim layout, held to the actor's partner."""

from __future__ import annotations

from flask import Flask
from flask_admin import Admin
from flask_admin.theme import Bootstrap4Theme

from portal.domain.branding.pictures import MAX_BYTES
from portal.domain.contracts.services import MAX_PAPER_BYTES
from portal.web.http import allow_file
from portal.web.photos import MOST_SENT


def register(app: Flask) -> None:
    """Register the admin's pages on ``app``, in the order of its menu."""
    from portal.admin import (
        activity,
        attention,
        branding,
        calendar,
        channels,
        contracts,
        controls,
        dashboard,
        hours,
        installations,
        live,
        log,
        lookups,
        message_rules,
        message_words,
        offers,
        operator,
        people,
        requests,
        service_requests,
        settings_log,
        setup,
        staff,
        surveys,
        unreachable,
        workflows,
    )

    admin = Admin(
        app,
        name="Doorstep",
        index_view=dashboard.DashboardView(),
        theme=Bootstrap4Theme(base_template="layouts/admin.html"),
    )
    for views in (
        operator.views,
        offers.views,
        installations.views,
        calendar.views,
        installations.service_views,
        attention.views,
        service_requests.views,
        requests.views,
        unreachable.views,
        surveys.result_views,
        people.views,
        setup.views,
        controls.views,
        message_words.views,
        message_rules.views,
        surveys.views,
        hours.views,
        branding.views,
        contracts.views,
        channels.views,
        staff.views,
        workflows.views,
        activity.views,
        log.views,
        settings_log.views,
    ):
        admin.add_views(*views())
    app.jinja_env.globals["log_in_of"] = staff.log_in_of
    # One byte too many still arrives, so that the form can say so at its field.
    allow_file(app, "installations.paper_view", MAX_PAPER_BYTES + 1)
    allow_file(app, "branding.logo_view", MAX_BYTES + 1)
    for kind in installations.KINDS:
        allow_file(app, f"{kind.endpoint}.photos_view", MOST_SENT)
    app.register_blueprint(lookups.pages)
    live.init_app(app)
