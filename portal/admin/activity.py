"""The activity feed: what was done to installations, by whom and when, newest first (P17)."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext, lazy_gettext
from wtforms import DateField, SelectField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.validators import Optional

from portal.admin.base import Asked, FilterForm, ScopedModelView
from portal.admin.installations.listing import BOUNDS, existing_day
from portal.admin.installations.timeline import told
from portal.domain.actor import Permission
from portal.domain.jobs.activity import ACTS_BY, ActFilter, Who, list_acts
from portal.domain.jobs.models import HistoryEntry
from portal.domain.paging import PAGE_ROWS, Page
from portal.domain.scheduling.zones import day_span
from portal.extensions import db
from portal.web import formats

ANYBODY = ""


class ActivityFilter(FilterForm):
    """Text in number, title and names; who did it; and one day."""

    who = SelectField(
        lazy_gettext("Who"),
        default=ANYBODY,
        choices=[
            SelectChoice(ANYBODY, lazy_gettext("Everybody")),
            SelectChoice(Who.CUSTOMERS.value, lazy_gettext("Customers")),
            SelectChoice(Who.TECHNICIANS.value, lazy_gettext("Technicians")),
            SelectChoice(Who.STAFF.value, lazy_gettext("Office")),
            SelectChoice(Who.SYSTEM.value, lazy_gettext("Doorstep by itself")),
        ],
    )
    day = DateField(lazy_gettext("Day"), validators=[Optional(), existing_day], render_kw=BOUNDS)


class ActivityView(ScopedModelView):
    """Every act on an installation, in a sentence. Nobody edits what happened."""

    permission = Permission.SEE_JOBS
    can_create = can_edit = False
    can_export = True
    list_template = "admin/log/activity.html"
    column_list = ("when", "what", "installation", "who")
    column_labels = {
        "when": lazy_gettext("When"),
        "what": lazy_gettext("What changed"),
        "installation": lazy_gettext("Installation"),
        "who": lazy_gettext("Who"),
    }
    sorts = ACTS_BY
    usual_sort = "-when"
    sorted_by_time = True
    filter_form = ActivityFilter

    def get_list(self, asked: Asked, limit: int = PAGE_ROWS) -> Page[Any]:
        who, day = asked.filters["who"], asked.filters["day"]
        since, until = day_span(day, formats.zone_of()) if day is not None else (None, None)
        wanted = ActFilter(Who(who) if who else None, asked.filters["q"], since, until)
        page = list_acts(db.session(), wanted, asked.order, asked.cursor, limit)
        return Page([told(act) for act in page.rows], page.back, page.forward)

    def export_columns(self) -> dict[str, Any]:
        return {
            gettext("When"): lambda row: row.act.at,
            gettext("What changed"): lambda row: row.said,
            gettext("Installation"): lambda row: row.act.number,
            gettext("Title"): lambda row: row.act.title,
            gettext("Customer"): lambda row: row.act.customer,
            gettext("Who"): lambda row: row.moment.who,
            gettext("Reason"): lambda row: row.moment.reason,
        }


def views() -> list[ActivityView]:
    """Return the views of this subject for the admin's menu."""
    return [ActivityView(HistoryEntry, name=lazy_gettext("Activity"), category="Log", endpoint="activity")]
