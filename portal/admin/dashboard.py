"""The first page after sign-in: what today looks like and what needs a decision."""

from __future__ import annotations

from typing import Any

from flask import redirect
from flask.typing import ResponseReturnValue
from flask_admin import AdminIndexView, expose
from flask_babel import lazy_gettext

from portal.admin.base import Guarded, the_actor
from portal.admin.installations.timeline import told
from portal.domain.jobs import overview
from portal.domain.jobs.activity import ActFilter, list_acts
from portal.domain.scheduling.zones import day_span
from portal.extensions import db
from portal.web import formats
from portal.web.auth import current_actor

LATEST = 8


class DashboardView(Guarded, AdminIndexView):
    """Today's visits by status, and the installations that wait for somebody."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(name=lazy_gettext("Dashboard"), category="Work", **kwargs)

    def is_visible(self) -> bool:
        # An operator who looks into no partner's data starts at the partners.
        actor = current_actor()
        return actor is not None and bool(actor.partner_ids)

    @expose("/")
    def index(self) -> ResponseReturnValue:
        if not the_actor().partner_ids:
            return redirect(self.get_url("partners.index_view"))
        session = db.session()
        latest = list_acts(session, ActFilter(), limit=LATEST).rows
        today = formats.today()
        return self.render(
            "admin/dashboard.html",
            today_is=today,
            visits=overview.visits_between(session, *day_span(today, formats.zone_of())),
            without_technician=overview.without_technician(session),
            needing_a_visit=overview.needing_a_visit(session),
            latest=[told(act) for act in latest],
        )
