"""The queue of unreachable customers: who was not told what, why, and whom to call; settled with a note (P18)."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import gettext, lazy_gettext, lazy_pgettext, pgettext
from wtforms import SelectField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]

from portal.admin.base import Asked, FilterForm, ScopedModelView, the_actor
from portal.domain.actor import Permission
from portal.domain.delivery import queries, unreachable
from portal.domain.delivery.models import Closing, Unreachable
from portal.domain.errors import Invalid, Refused
from portal.domain.paging import PAGE_ROWS, Page
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import db
from portal.web import formats
from portal.web.errors import shows_again
from portal.web.forms import Form, add_errors
from portal.web.statuses import DONE, MESSAGE_KINDS, NEEDS, Badge, fault_text

OPEN, CLOSED, ALL = "open", "closed", "all"
IS_OPEN = {OPEN: True, CLOSED: False, ALL: None}
CLOSINGS = {
    Closing.DONE: lazy_gettext("Settled"),
    Closing.REACHED: lazy_gettext("Reached since by another message"),
    Closing.CORRECTED: lazy_gettext("Sent again to a corrected address"),
    Closing.MERGED: lazy_gettext("Merged into another customer"),
}


class UnreachableFilter(FilterForm):
    """Text, and whether those are shown that somebody has still to see to."""

    status = SelectField(
        lazy_gettext("Status"),
        default=OPEN,
        choices=[
            SelectChoice(OPEN, lazy_pgettext("task", "Open")),
            SelectChoice(CLOSED, lazy_gettext("Settled")),
            SelectChoice(ALL, lazy_gettext("All")),
        ],
    )


class NoteForm(Form):
    """How it was settled."""

    note = TextAreaField(lazy_gettext("How was it settled?"), default="", render_kw={"rows": 3})


class UnreachableView(ScopedModelView):
    """Customers whom no message reached, the one that waits longest first."""

    permission = Permission.SEE_JOBS
    can_create = can_edit = False
    can_export = True
    list_template = "admin/unreachable/list.html"
    column_list = ("customer", "message", "fault", "visit", "status")
    column_labels = {
        "customer": lazy_gettext("Customer"),
        "message": lazy_gettext("What they were not told"),
        "fault": lazy_gettext("Why"),
        "visit": lazy_gettext("Next visit"),
        "status": lazy_gettext("Status"),
    }
    sorts = queries.UNREACHABLE_BY
    sorted_by_time = True
    filter_form = UnreachableFilter

    def is_visible(self) -> bool:
        # Among the queues of the menu, with its count.
        return False

    def get_list(self, asked: Asked, limit: int = PAGE_ROWS) -> Page[Any]:
        is_open = IS_OPEN[asked.filters["status"]]
        return queries.list_unreachable(db.session(), asked.filters["q"], is_open, asked.order, asked.cursor, limit)

    def export_columns(self) -> dict[str, Any]:
        return {
            gettext("Since"): lambda row: row.opened_at,
            gettext("Customer"): lambda row: row.customer.name,
            gettext("Telephone number"): lambda row: row.customer.phone,
            gettext("What they were not told"): lambda row: str(MESSAGE_KINDS[row.message.kind]),
            gettext("Tried at"): lambda row: row.recipient,
            gettext("Why"): lambda row: fault_text(row.fault),
            gettext("Status"): lambda row: _badge_of(row).label,
            gettext("Settled"): lambda row: row.closed_at,
            gettext("Note"): lambda row: row.note,
        }

    def list_context(self, asked: Asked, page: Page[Any]) -> dict[str, Any]:
        """Say when each is visited next, beside what every list shows."""
        visits = queries.next_visits(db.session(), [row.customer_id for row in page.rows], formats.now())
        return {**super().list_context(asked, page), "visits": visits, "task_badge": _badge_of}

    @expose("/<int:key>/done", methods=("GET", "POST"))
    @shows_again
    def done_view(self, key: int) -> ResponseReturnValue:
        """Settle a task with a note."""
        task = queries.unreachable_task(db.session(), key)
        form = NoteForm(request.form if request.method == "POST" else None)
        if request.method == "POST":
            try:
                with unit_of_work(db.session()) as session:
                    unreachable.settle(session, the_actor(), formats.now(), key, form.note.data or "")
            except Invalid as error:
                add_errors(form, error.errors)
                task = queries.unreachable_task(db.session(), key)
            else:
                flash(gettext("Settled."), "ok")
                return redirect(self.get_url(".index_view"), 303)
        elif (refusal := unreachable.settle_refusal(task)) is not None:
            raise Refused(refusal)
        page = self.render(
            "admin/unreachable/done.html",
            form=form,
            task=task,
            visit=queries.next_visits(db.session(), [task.customer_id], formats.now()).get(task.customer_id),
            form_has_errors=bool(form.errors),
        )
        return page, 422 if form.errors else 200


def _badge_of(task: Unreachable) -> Badge:
    if task.is_open:
        return Badge(NEEDS, pgettext("task", "Open"))
    return Badge(DONE, str(CLOSINGS[Closing(task.closed_as)]))


def views() -> list[UnreachableView]:
    """Return the views of this subject for the admin's menu."""
    return [
        UnreachableView(
            Unreachable,
            name=lazy_gettext("Unreachable customers"),
            category="Work",
            endpoint="unreachable",
            url="/admin/unreachable",
        )
    ]
