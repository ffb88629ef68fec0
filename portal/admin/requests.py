"""The queue of change requests: apply by the same move or cancel as any other, or decline with a reason (P18, C6)."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import gettext, lazy_gettext
from flask_babel.speaklater import LazyString
from wtforms import SelectField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]

from portal.admin.base import Asked, FilterForm, ScopedModelView, the_actor
from portal.admin.installations.acts import ACTS
from portal.admin.installations.forms import ReasonForm
from portal.domain.actor import Permission
from portal.domain.errors import Invalid, Refused
from portal.domain.jobs.states import SEVERAL
from portal.domain.paging import PAGE_ROWS, Page
from portal.domain.requests import queries, services
from portal.domain.requests.models import PENDING, ChangeRequest, Wish
from portal.domain.requests.states import CHANGE_REQUEST
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import db
from portal.web import formats
from portal.web.errors import shows_again
from portal.web.i18n import translate
from portal.web.statuses import WISHES, request_badge

ALL = "all"


# What would fulfil a wish, by the workflow of the job.
WISHED = {
    workflow: {
        Wish.MOVE.value: acts["reschedule"],
        Wish.CANCEL.value: acts["cancel_visit" if workflow in SEVERAL else "cancel"],
    }
    for workflow, acts in ACTS.items()
}


class RequestFilter(FilterForm):
    """Text, and what became of the requests; usually those that wait."""

    status = SelectField(
        lazy_gettext("Status"),
        default=PENDING,
        choices=[
            *(SelectChoice(status.name, LazyString(translate, status.label)) for status in CHANGE_REQUEST.statuses),
            SelectChoice(ALL, lazy_gettext("All")),
        ],
    )


class ChangeRequestView(ScopedModelView):
    """What customers ask the office to change, the one that waits longest first."""

    permission = Permission.SEE_JOBS
    can_create = can_edit = False
    can_export = True
    list_template = "admin/requests/list.html"
    column_list = ("asked", "customer", "wish", "visit", "status")
    column_labels = {
        "asked": lazy_gettext("Asked"),
        "customer": lazy_gettext("Customer"),
        "wish": lazy_gettext("Wish"),
        "visit": lazy_gettext("Visit"),
        "status": lazy_gettext("Status"),
    }
    sorts = queries.REQUESTS_BY
    sorted_by_time = True
    filter_form = RequestFilter

    def is_visible(self) -> bool:
        # Among the queues of the menu, with its count.
        return False

    def get_list(self, asked: Asked, limit: int = PAGE_ROWS) -> Page[Any]:
        wanted = asked.filters["status"]
        status = None if wanted == ALL else wanted
        return queries.list_change_requests(db.session(), asked.filters["q"], status, asked.order, asked.cursor, limit)

    def export_columns(self) -> dict[str, Any]:
        return {
            gettext("Asked"): lambda row: row.asked_at,
            gettext("Customer"): lambda row: row.job.customer.name,
            gettext("Number"): lambda row: row.job.number,
            gettext("Title"): lambda row: row.job.title,
            gettext("Visit"): lambda row: row.start_at,
            gettext("Wish"): lambda row: str(WISHES[row.wish]),
            gettext("In their words"): lambda row: row.words,
            gettext("Status"): lambda row: request_badge(row).label,
            gettext("Answered"): lambda row: row.answered_at,
            gettext("Answer"): lambda row: row.answer,
        }

    def list_context(self, asked: Asked, page: Page[Any]) -> dict[str, Any]:
        """Say what is wished, beside what every list shows."""
        return {**super().list_context(asked, page), "wishes": WISHES, "pending": PENDING, "acts": WISHED}

    @expose("/<int:key>/decline", methods=("GET", "POST"))
    @shows_again
    def decline_view(self, key: int) -> ResponseReturnValue:
        """Decline a request with a reason that the customer reads."""
        wish = queries.change_request(db.session(), key)
        form = ReasonForm(request.form if request.method == "POST" else None)
        if request.method == "POST":
            try:
                with unit_of_work(db.session()) as session:
                    services.decline(session, the_actor(), formats.now(), key, form.reason.data or "")
            except Invalid as error:
                form.refuse(error)
                wish = queries.change_request(db.session(), key)
            else:
                flash(gettext("The request is declined. The customer reads your reason."), "ok")
                return redirect(self.get_url(".index_view"), 303)
        elif (refusal := services.answer_refusal(the_actor(), wish, "decline")) is not None:
            raise Refused(refusal)
        page = self.render(
            "admin/requests/decline.html", form=form, wish=wish, wishes=WISHES, form_has_errors=form.has_errors
        )
        return page, 422 if form.has_errors else 200


def views() -> list[ChangeRequestView]:
    """Return the views of this subject for the admin's menu."""
    return [
        ChangeRequestView(
            ChangeRequest,
            name=lazy_gettext("Change requests"),
            category="Work",
            endpoint="change_requests",
            url="/admin/change-requests",
        )
    ]
