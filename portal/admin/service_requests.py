"""The queue of requests for new service: convert into a job, offer another date, or decline with a reason (P18, C5)."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import gettext, lazy_gettext
from flask_babel.speaklater import LazyString
from wtforms import SelectField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.widgets import DateInput, TimeInput

from portal.admin.base import Asked, FilterForm, ScopedModelView, the_actor, the_partner_id
from portal.admin.installations.acts import MOST_CHOICES, stop_at_errors
from portal.admin.installations.forms import InstallationForm, LooseSelect, ReasonForm, read_key, read_start
from portal.domain.actor import Permission
from portal.domain.errors import Invalid, Refused
from portal.domain.paging import PAGE_ROWS, Page
from portal.domain.people.queries import find_technicians
from portal.domain.requests import new_service as services
from portal.domain.requests import queries
from portal.domain.requests.models import NEW, ServiceRequest
from portal.domain.requests.states import SERVICE_REQUEST
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import db
from portal.web import formats
from portal.web.errors import shows_again
from portal.web.i18n import translate
from portal.web.photos import serve
from portal.web.statuses import service_request_badge
from portal.web.wishes import preferred_words

ALL = "all"


class ServiceRequestFilter(FilterForm):
    """Text, and what became of the requests; usually those that wait for the office."""

    status = SelectField(
        lazy_gettext("Status"),
        default=NEW,
        choices=[
            *(SelectChoice(status.name, LazyString(translate, status.label)) for status in SERVICE_REQUEST.statuses),
            SelectChoice(ALL, lazy_gettext("All")),
        ],
    )


class ProposalForm(InstallationForm):
    """Another date, and who would come if that is known."""

    date = StringField(lazy_gettext("Date"), default="", widget=DateInput())
    time = StringField(lazy_gettext("Start"), default="", widget=TimeInput())
    technician = LooseSelect(choices=[])
    error_names = {"start": "date"}


class ServiceRequestView(ScopedModelView):
    """What customers ask to have done, the one that waits longest first."""

    permission = Permission.SEE_JOBS
    can_create = can_edit = False
    can_export = True
    list_template = "admin/service_requests/list.html"
    column_list = ("asked", "customer", "service", "preferred", "status")
    column_labels = {
        "asked": lazy_gettext("Asked"),
        "customer": lazy_gettext("Customer"),
        "service": lazy_gettext("Service"),
        "preferred": lazy_gettext("Preferred"),
        "status": lazy_gettext("Status"),
    }
    sorts = queries.SERVICE_REQUESTS_BY
    sorted_by_time = True
    filter_form = ServiceRequestFilter

    def is_visible(self) -> bool:
        # Among the queues of the menu, with its count.
        return False

    def get_list(self, asked: Asked, limit: int = PAGE_ROWS) -> Page[Any]:
        wanted = asked.filters["status"]
        status = None if wanted == ALL else wanted
        return queries.list_service_requests(db.session(), asked.filters["q"], status, asked.order, asked.cursor, limit)

    def export_columns(self) -> dict[str, Any]:
        return {
            gettext("Asked"): lambda row: row.asked_at,
            gettext("Customer"): lambda row: row.customer.name,
            gettext("Address"): lambda row: row.address.one_line,
            gettext("Service type"): lambda row: row.service_type.name,
            gettext("Preferred dates"): lambda row: preferred_words(row.preferred),
            gettext("In their words"): lambda row: row.notes,
            gettext("Status"): lambda row: service_request_badge(row).label,
            gettext("Answered"): lambda row: row.answered_at,
            gettext("Answer"): lambda row: row.answer,
            gettext("Date offered"): lambda row: row.proposed_at,
            gettext("Number"): lambda row: row.job.number if row.job else "",
        }

    def list_context(self, asked: Asked, page: Page[Any]) -> dict[str, Any]:
        """Say what can be done with each, beside what every list shows."""
        may = {row.id: services.open_answers(the_actor(), row) for row in page.rows}
        return {**super().list_context(asked, page), "may": may}

    @expose("/<int:key>")
    def request_view(self, key: int) -> ResponseReturnValue:
        """Show everything about one request, and what can be done with it."""
        wish = queries.service_request(db.session(), key)
        return self.render("admin/service_requests/page.html", wish=wish, may=services.open_answers(the_actor(), wish))

    @expose("/photos/<int:request_photo_id>")
    def photo_view(self, request_photo_id: int) -> ResponseReturnValue:
        """The whole of a photo that a customer sent."""
        return serve(queries.request_photo(db.session(), request_photo_id), small=False)

    @expose("/photos/<int:request_photo_id>/small")
    def small_photo_view(self, request_photo_id: int) -> ResponseReturnValue:
        """The small picture of it."""
        return serve(queries.request_photo(db.session(), request_photo_id), small=True)

    @expose("/<int:key>/draft", methods=("POST",))
    def draft_view(self, key: int) -> ResponseReturnValue:
        """Convert it into a service job that is a draft."""
        with unit_of_work(db.session()) as session:
            number = services.convert_into_draft(session, the_actor(), formats.now(), key).number
        flash(gettext("%(number)s is drafted. The customer is written that you take it on.", number=number), "ok")
        return redirect(self.get_url(".request_view", key=key), 303)

    @expose("/<int:key>/propose", methods=("GET", "POST"))
    @shows_again
    def propose_view(self, key: int) -> ResponseReturnValue:
        """Offer the customer another date."""
        wish = self._open(key, "counter_propose")
        form = ProposalForm(request.form if request.method == "POST" else None)
        if request.method == "POST":
            try:
                self._propose(key, form)
            except Invalid as error:
                form.refuse(error)
                wish = queries.service_request(db.session(), key)
            else:
                flash(gettext("The date is offered. The customer is written and answers in My Schedule."), "ok")
                return redirect(self.get_url(".index_view"), 303)
        found = find_technicians(db.session(), the_partner_id(the_actor()), "", limit=MOST_CHOICES)
        form.technician.choices = [
            ("", gettext("Nobody yet")),
            *((str(one.technician_id), one.name) for one in found),
        ]
        return self._form("admin/service_requests/propose.html", form, wish)

    @expose("/<int:key>/decline", methods=("GET", "POST"))
    @shows_again
    def decline_view(self, key: int) -> ResponseReturnValue:
        """Decline a request with a reason that the customer reads."""
        wish = self._open(key, "decline")
        form = ReasonForm(request.form if request.method == "POST" else None)
        if request.method == "POST":
            try:
                with unit_of_work(db.session()) as session:
                    services.decline_request(session, the_actor(), formats.now(), key, form.reason.data or "")
            except Invalid as error:
                form.refuse(error)
                wish = queries.service_request(db.session(), key)
            else:
                flash(gettext("The request is declined. The customer reads your reason."), "ok")
                return redirect(self.get_url(".index_view"), 303)
        return self._form("admin/service_requests/decline.html", form, wish)

    def _open(self, key: int, name: str) -> ServiceRequest:
        wish = queries.service_request(db.session(), key)
        refusal = services.answer_refusal(the_actor(), wish, name)
        if refusal is not None:
            raise Refused(refusal)
        return wish

    def _propose(self, key: int, form: ProposalForm) -> None:
        start = read_start(form.date, form.time, formats.zone_of())
        technician_id = read_key(form.technician, gettext("Choose who comes")) if form.technician.data else None
        stop_at_errors(form)
        if start is None:
            raise RuntimeError("a start without errors")
        with unit_of_work(db.session()) as session:
            services.counter_propose(
                session,
                the_actor(),
                formats.now(),
                key,
                start,
                technician_id,
                despite_warnings=form.despite_warnings.data,
            )

    def _form(self, template: str, form: InstallationForm, wish: ServiceRequest) -> ResponseReturnValue:
        page = self.render(template, form=form, wish=wish, form_has_errors=form.has_errors)
        return page, 422 if form.has_errors else 200


def views() -> list[ServiceRequestView]:
    """Return the views of this subject for the admin's menu."""
    return [
        ServiceRequestView(
            ServiceRequest,
            name=lazy_gettext("Requests"),
            category="Work",
            endpoint="service_requests",
            url="/admin/requests",
        )
    ]
