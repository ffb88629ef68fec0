"""The first page after sign-in: what today looks like and what needs a decision."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import redirect
from flask.typing import ResponseReturnValue
from flask_admin import AdminIndexView, expose
from flask_babel import gettext, lazy_gettext

from portal.admin.base import Guarded, the_actor, the_partner_id
from portal.admin.installations.listing import GROUP_NAMES
from portal.admin.installations.timeline import told
from portal.domain.actor import Permission
from portal.domain.jobs import figures, overview
from portal.domain.jobs.activity import ActFilter, list_acts
from portal.domain.jobs.attention import list_queue
from portal.domain.jobs.counts import overview as group_counts
from portal.domain.jobs.states import INSTALLATION, SERVICE
from portal.domain.people.queries import first_steps
from portal.domain.scheduling.zones import day_span
from portal.domain.surveys.queries import score_over_time
from portal.extensions import db
from portal.web import formats
from portal.web.attention import queue_counts
from portal.web.auth import current_actor

# So many of each queue; the others are behind "Show all".
SHOWN = 5
DAYS_BACK = DAYS_AHEAD = 14
WEEKS = 12
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
        first = today - timedelta(days=DAYS_BACK)
        partner_id = the_partner_id(actor)
        days = figures.visits_by_day(session, zone, first, DAYS_BACK + 1 + DAYS_AHEAD)
        arrivals = figures.arrivals_by_week(session, zone, today, WEEKS)
        scores = score_over_time(session, zone, today)
        pipelines = [
            (gettext("Installations"), group_counts(session, partner_id, INSTALLATION)),
            (gettext("Service jobs"), group_counts(session, partner_id, SERVICE)),
        ]
        is_new = not any(group.number for _title, groups in pipelines for group in groups)
        return self.render(
            "admin/dashboard.html",
            days_back=DAYS_BACK,
            day_rows=[(formats.day(one.day), formats.number(one.visits), formats.number(one.complete)) for one in days],
            arrival_rows=[_arrival_row(one) for one in arrivals],
            score_rows=[
                (formats.short_day(one.first), _or_none(one.score.average, formats.average), one.score.count)
                for one in scores
            ],
            pipelines=pipelines,
            group_names=GROUP_NAMES,
            is_new=is_new,
            first_steps=[step.value for step in first_steps(session)] if is_new else [],
            may_set=actor.may(Permission.MANAGE_SETTINGS),
            days=days,
            arrivals=arrivals,
            scores=scores,
            percent=formats.percent,
            today_is=today,
            visits=overview.visits_between(session, *day_span(today, zone)),
            counts=counts,
            queues=queues,
            latest=[told(act) for act in list_acts(session, ActFilter(), limit=LATEST).rows],
        )


def _arrival_row(one: figures.Arrivals) -> tuple[str, ...]:
    counts = (formats.number(number) for number in (one.on_time, one.early, one.late))
    return (formats.short_day(one.first), _or_none(one.share, formats.percent), *counts)


def _or_none(value: float | None, shown: Callable[[float], str]) -> str:
    return "–" if value is None else shown(value)
