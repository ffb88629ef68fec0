"""The first page after sign-in: what today looks like and what needs a decision."""

from __future__ import annotations

from typing import Any

from flask.typing import ResponseReturnValue
from flask_admin import AdminIndexView, expose
from flask_babel import lazy_gettext
from sqlalchemy.orm import sessionmaker

from portal.admin.base import Guarded, the_actor
from portal.domain import tenancy
from portal.domain.jobs import overview
from portal.domain.people.queries import list_partners
from portal.domain.scheduling.zones import day_span
from portal.domain.tenancy import set_scope, system_scope
from portal.extensions import db
from portal.web import formats

# An operator's own session reaches no partner; this one is opened for their names alone.
_operator_sessions = sessionmaker()
tenancy.enforce(_operator_sessions)


class DashboardView(Guarded, AdminIndexView):
    """Today's visits by status, and the installations that wait for somebody."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(name=lazy_gettext("Dashboard"), category="Work", **kwargs)

    @expose("/")
    def index(self) -> ResponseReturnValue:
        if not the_actor().partner_ids:
            with _operator_sessions(bind=db.engine) as session:
                set_scope(session, system_scope("operator"))
                return self.render("admin/dashboard_operator.html", partners=list_partners(session))
        session = db.session()
        today = formats.today()
        return self.render(
            "admin/dashboard.html",
            today_is=today,
            visits=overview.visits_between(session, *day_span(today, formats.zone_of())),
            without_technician=overview.without_technician(session),
            needing_a_visit=overview.needing_a_visit(session),
        )
