"""The first page after sign-in: what today looks like and what needs a decision."""

from __future__ import annotations

from typing import Any

from flask import redirect
from flask.typing import ResponseReturnValue
from flask_admin import AdminIndexView, expose
from flask_babel import lazy_gettext

from portal.admin.base import Guarded, the_actor, the_partner_id
from portal.admin.installations.timeline import told
from portal.domain.jobs import overview
from portal.domain.jobs.activity import ActFilter, list_acts
from portal.domain.jobs.attention import list_queue
from portal.domain.scheduling.zones import day_span
from portal.extensions import db
from portal.web import formats
from portal.web.attention import queue_counts
from portal.web.auth import current_actor

# So many of each queue; the others are behind "Show all".
SHOWN = 5
LATEST = 8


class DashboardView(Guarded, AdminIndexView):
    """Today's visits by status, and the beginning of each queue that has anything in it."""

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
        session, actor, zone = db.session(), the_actor(), formats.zone_of()
        today, counts = formats.today(), queue_counts()
        queues = {}
        for queue in (queue for queue, number in counts.items() if number):
            page = list_queue(session, actor, the_partner_id(actor), formats.now(), zone, queue, limit=SHOWN)
            queues[queue] = page.rows
        return self.render(
            "admin/dashboard.html",
            today_is=today,
            visits=overview.visits_between(session, *day_span(today, zone)),
            counts=counts,
            queues=queues,
            latest=[told(act) for act in list_acts(session, ActFilter(), limit=LATEST).rows],
        )
