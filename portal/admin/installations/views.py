"""Jobs of one workflow in the office: list, what begins one, one with everything on it, what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import current_app, flash, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import gettext, lazy_gettext
from markupsafe import Markup

from portal.admin.base import EXPORT_ROWS, Asked, ScopedModelView, key_from, the_actor, the_partner_id
from portal.admin.controls import LABELS, OwnRules, in_words, own_rules
from portal.admin.installations.acts import (
    ACTS,
    GRAVE,
    HEAD,
    MOST_CHOICES,
    ON_A_VISIT,
    STEPS,
    Act,
    Target,
    chosen_name,
    stop_at_errors,
)
from portal.admin.installations.bulk import PICKED, BulkActions
from portal.admin.installations.forms import (
    DraftForm,
    ScheduleForm,
    StepForm,
    day_to_show,
    fill_items,
    lengths,
    offer_times,
    only_show,
    read_chosen_time,
    read_key,
    read_length,
    read_pair,
    read_start,
    whole,
    wrong,
)
from portal.admin.installations.kinds import Kind
from portal.admin.installations.listing import GROUP_NAMES, filter_form, term, wanted_of
from portal.admin.installations.photos import PhotoActions
from portal.admin.installations.timeline import moments
from portal.admin.set_aside import NAMED, set_aside, taken_up
from portal.domain.actor import Permission
from portal.domain.errors import Conflict, Invalid, NotFound, Refusal, Refused
from portal.domain.jobs import queries
from portal.domain.jobs.bulk import MOST_ROWS
from portal.domain.jobs.counts import overview
from portal.domain.jobs.mechanics import open_visits
from portal.domain.jobs.models import Appointment, HistoryEntry, Job
from portal.domain.jobs.page import Surroundings, job_page
from portal.domain.jobs.preview import customers_decisions
from portal.domain.jobs.queries import RECENT, Exported, JobTarget, ListRow, ListSort
from portal.domain.jobs.service_jobs import ServiceDraft, create_service_job
from portal.domain.jobs.services import Booking, pending_cancel_refusal, replacement_refusal, schedule_installation
from portal.domain.jobs.situations import open_visit
from portal.domain.jobs.states import EDITABLE, MOVABLE, NEEDING_VISIT
from portal.domain.messages.models import MessageStatus
from portal.domain.paging import PAGE_ROWS, Order, Page
from portal.domain.people.queries import CustomerChoice, customer_choices, find_technicians
from portal.domain.people.search import find_customers
from portal.domain.photos.services import photo_refusal
from portal.domain.requests.dates import Part
from portal.domain.requests.new_service import answer_refusal, convert_into_installation
from portal.domain.requests.queries import address_in_use, service_request
from portal.domain.scheduling.rules import Controls, Decision, Owner, in_force
from portal.domain.scheduling.slots import Slot
from portal.domain.tracking.queries import arrival_of, away_km
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import db
from portal.web import formats, papers
from portal.web.cursors import cursor_from
from portal.web.errors import shows_again
from portal.web.i18n import TypedText
from portal.web.kept import kept, not_kept
from portal.web.statuses import GROUP_CSS, MESSAGE_CHANNELS, MESSAGE_KINDS, badge, message_badge

WithCustomer = TypeVar("WithCustomer", ScheduleForm, DraftForm)

MINUTE = timedelta(minutes=1)
# The button of a form that lacks a customer.
NEW_CUSTOMER = "new_customer"
OWNER_NAMES = {
    Owner.JOB: lazy_gettext("this job"),
    Owner.CUSTOMER: lazy_gettext("this customer"),
    Owner.SERVICE_TYPE: lazy_gettext("this service type"),
    Owner.PARTNER: lazy_gettext("everybody"),
}
ONLINE = {"reschedule": lazy_gettext("Move it"), "cancel": lazy_gettext("Cancel it")}
# When a partner without a working week begins its day.
MORNING = time(9)
AFTERNOON = time(13)
# A choice of customers that is still read at a glance.
MOST_FOUND = 20


@dataclass(frozen=True, slots=True)
class RowButton:
    """The button of an act as each row of the list shows it."""

    text: str
    css: str

    @classmethod
    def of(cls, act: Act[Any]) -> RowButton:
        """Return the button of ``act``."""
        return cls(str(act.title), " btn-outline-danger" if act.danger else "")


@dataclass(frozen=True, slots=True)
class Online:
    """What the customer may, or may not, do to a visit by themselves, and which rule of whose says so."""

    act: str
    decision: Decision
    rule: str | None


@dataclass(frozen=True, slots=True)
class SelfService:
    """What a job's page says of self-service: about the planned visit, if there is one, and the job's own rules."""

    online: Sequence[Online]
    own: OwnRules


class JobView(BulkActions, PhotoActions, ScopedModelView):
    """Every job of the partner of one workflow (P1-P16, J2, J3)."""

    permission = Permission.SEE_JOBS
    list_template = "admin/installations/list.html"
    can_create = False
    can_edit = False
    can_export = True
    create_view = edit_view = None
    sorted_by_time = True
    column_list = ("number", "title", "customer", "date", "technician", "status")
    column_labels = {
        "number": lazy_gettext("Number"),
        "title": lazy_gettext("Title"),
        "customer": lazy_gettext("Customer and address"),
        "date": lazy_gettext("Date and window"),
        "technician": TypedText(term),
        "status": lazy_gettext("Status"),
    }

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        workflow = kind.workflow.name
        self.acts = ACTS[workflow]
        self.sorts = {str(sort): queries.order_of(workflow, sort).columns for sort in (ListSort.DATE, ListSort.NUMBER)}
        self.filter_form = partial(filter_form, workflow=workflow)  # type: ignore[assignment]
        super().__init__(Job, name=kind.name, category="Work", endpoint=kind.endpoint, url=kind.url)

    @property
    def extra_js(self) -> list[str]:
        """The scripts of these pages, with their versions in the address."""
        return [
            url_for("static", filename=name)
            for name in ("vendor/accessible-autocomplete.min.js", "js/installations.js")
        ]

    # The list

    def asked(self) -> Asked:
        """Sort as is usual for what is filtered, unless the address says otherwise."""
        asked = super().asked()
        if request.args.get("sort") == asked.sort:
            return asked
        usual = self.wanted(asked).usual_sort.value
        order = Order(self.sorts[usual.removeprefix("-")], descending=usual.startswith("-"))
        args = {name: value for name, value in asked.args.items() if name != "sort"}
        return replace(asked, sort=usual, order=order, cursor=cursor_from(request.args, order), args=args)

    def keeps_page(self) -> bool:
        """All a list shows is marked when it changes; one with rows picked is asked for once."""
        return PICKED not in request.args

    def wanted(self, asked: Asked) -> queries.ListFilter:
        """Return the domain's filter for what is asked for."""
        return wanted_of(asked.filters, self.kind.workflow.name)

    def get_list(self, asked: Asked, limit: int = PAGE_ROWS) -> Page[ListRow]:
        """Return a page of the jobs asked for."""
        return queries.list_jobs(
            db.session(),
            the_actor(),
            formats.now(),
            formats.zone_of(),
            self.wanted(asked),
            ListSort(asked.sort),
            asked.cursor,
            limit,
        )

    def list_context(self, asked: Asked, page: Page[Any]) -> dict[str, Any]:
        """Say which days are shown and how many there are in all, beside what every list shows."""
        return {
            **super().list_context(asked, page),
            **self.picked_context(),
            "wanted": self.wanted(asked),
            "kind": self.kind,
            "overview": overview(db.session(), the_partner_id(the_actor()), self.kind.workflow),
            "group_names": GROUP_NAMES,
            "group_css": GROUP_CSS,
            "buttons": {name: RowButton.of(self.acts[name]) for name in queries.ROW_ACTIONS[self.kind.workflow.name]},
        }

    # As a file

    @expose("/export/<kind>/", methods=("GET", "POST"))
    def export(self, kind: str) -> ResponseReturnValue:
        """Return what is filtered as a file or, sent by the form around the list, only what is ticked."""
        if request.method == "POST" and not self.picks_everything() and not self.picked_keys():
            return self.nothing_picked()
        return super().export(kind)

    def export_page(self, asked: Asked) -> Page[Exported]:
        """Return some rows of everything that is filtered, past and to come, or of what is ticked."""
        keys = None if request.method == "GET" or self.picks_everything() else self.picked_keys()[:MOST_ROWS]
        wanted, sort, zone, cursor = self.wanted(asked), ListSort(asked.sort), formats.zone_of(), asked.cursor
        if self.picks_everything() and cursor is None:
            # What the tick says: everything from where the list begins.
            cursor = queries.beginning(wanted, sort, formats.now(), zone)
        return queries.exported(db.session(), zone, wanted, sort, keys, cursor, EXPORT_ROWS)

    def export_columns(self) -> dict[str, Any]:
        """Return what an office keeps of a job in its own files."""
        return {
            gettext("Number"): lambda one: one.row.number,
            gettext("Title"): lambda one: one.row.title,
            gettext("Status"): lambda one: badge(one.row).label,
            gettext("Customer"): lambda one: one.row.customer,
            gettext("Email address"): lambda one: one.row.email,
            gettext("Telephone number"): lambda one: one.row.phone,
            gettext("Street and number"): lambda one: one.row.line,
            gettext("Town or city"): lambda one: one.row.city,
            gettext("Postcode"): lambda one: one.row.postcode,
            gettext("Start"): lambda one: one.row.start_at,
            gettext("End"): lambda one: one.row.end_at,
            gettext("Service type"): lambda one: one.row.service_type,
            term(): lambda one: one.row.technician,
            gettext("Items"): lambda one: one.items,
            gettext("Notes"): lambda one: one.row.notes,
            gettext("Reason"): lambda one: one.row.reject_reason or one.row.cancel_reason,
            gettext("Created"): lambda one: one.row.created_at,
        }

    # One job

    @expose("/<int:job_id>")
    def detail_view(self, job_id: int) -> ResponseReturnValue:
        """Show everything about one job (P12), as it was last shown while nothing of the partner's was written."""
        return kept(lambda: self._detail_page(job_id))

    def _detail_page(self, job_id: int) -> str:
        session, workflow = db.session(), self.kind.workflow
        target, around = job_page(session, the_actor(), formats.now(), formats.zone_of(), job_id, workflow.name)
        opened, moved = open_visit(target.visits), _moved_by_customer(target, around.history)
        if _changes_unmarked(target, around, moved):
            not_kept()
        offered = [name for name in (*HEAD[workflow.name], *GRAVE) if name in target.actions]
        steps = target.steps
        page: str = self.render(
            "admin/installations/detail.html",
            target=target,
            job=target.job,
            visit=target.visit,
            open_visit=opened,
            around=around,
            moments=moments(around.history, target.asked.zone, workflow),
            kind=self.kind,
            acts=self.acts,
            of_visits=self._of_visits(target),
            offered=offered,
            steps=[name for name in STEPS if name in steps],
            may_confirm="confirm" in steps,
            pending=_pending(target),
            moved=moved,
            frozen=target.job.status not in EDITABLE,
            plain_steps=[name for name in STEPS if self.acts[name].form is StepForm],
            minutes_of=_minutes,
            message_badge=message_badge,
            message_kind=MESSAGE_KINDS.get,
            message_channel=MESSAGE_CHANNELS.get,
            visit_minutes=_minutes(target.visit) if target.visit is not None else 0,
            may_add_photo=photo_refusal(target.job) is None,
            needs_visit=opened is None and target.job.status in NEEDING_VISIT,
            may_replace=replacement_refusal(target.job) is None,
            self_service=_self_service(target, around),
            way=_way(target, around.position),
        )
        return page

    @expose("/<int:job_id>/<act>", methods=("GET", "POST"))
    @shows_again
    def act_view(self, job_id: int, act: str) -> ResponseReturnValue:
        """Show the form of an act, or do it."""
        if act not in self.acts:
            raise NotFound
        return self._act(job_id, self.acts[act])

    # An address of its own, since a scan may be bigger than any other form.
    @expose("/<int:job_id>/sign_contract", methods=("GET", "POST"))
    def paper_view(self, job_id: int) -> ResponseReturnValue:
        """Record a signature on paper."""
        return self.act_view(job_id, "sign_contract")

    def _of_visits(self, target: JobTarget) -> dict[int, list[str]]:
        """Return what can be done to each open visit of several, by its key; a single one has the page's buttons."""
        opened = open_visits(target.visits) if self.kind.several else []
        if len(opened) < MOST_WITHOUT_BUTTONS + 1:
            return {}
        found = {}
        for visit in opened:
            chosen = target.choosing(visit)
            found[visit.id] = [name for name in ON_A_VISIT if self.acts[name].refusal(chosen) is None]
        return found

    @expose("/contracts/<int:contract_id>/<kind>")
    def contract_view(self, contract_id: int, kind: str) -> ResponseReturnValue:
        """Hand out a file of a contract: as sent, as signed, or the scan."""
        return papers.file_of(contract_id, kind)

    def _act(self, job_id: int, act: Act[Any]) -> ResponseReturnValue:
        target = self._target(job_id)
        refusal = act.refusal(target)
        if refusal is not None:
            raise Refused(refusal)
        if request.method != "POST":
            form = act.form()
            act.fill(form, target, fresh=True)
            return self._act_page(act, form, target)
        form = act.form(request.form)
        differences = None
        if only_show(request.form):
            _rearrange(form)
        else:
            form.validate()
            keys, number, now = Target(target), target.job.number, formats.now()
            try:
                act.prepare(db.session(), the_actor(), now, keys, form)
                with unit_of_work(db.session()) as session:
                    result = act.run(session, the_actor(), now, keys, form)
            except Invalid as error:
                form.refuse(error)
            except Conflict as error:
                differences = self._settle(act, form, job_id, error)
            else:
                flash(act.told(number, result), "ok")
                return self._done(job_id)
        # The unit of work let go of what was read before.
        target = self._target(job_id)
        act.fill(form, target, fresh=False)
        return self._act_page(act, form, target, differences)

    def _settle(self, act: Act[Any], form: Any, job_id: int, error: Conflict) -> list[Any]:
        """Return what two people changed at once; raises ``error`` again where there is nothing to compare."""
        target = self._target(job_id)
        differences = act.differences(form, target)
        if differences is None:
            raise error
        return differences

    def _act_page(
        self, act: Act[Any], form: Any, target: JobTarget, differences: list[Any] | None = None
    ) -> ResponseReturnValue:
        status = 409 if differences is not None else 422 if form.has_errors else 200
        return self._form_page(
            act.template,
            status,
            act=act,
            form=form,
            target=target,
            job=target.job,
            title=f"{act.title} {target.job.number}",
            button=act.button_for(form, target),
            differences=differences,
            visit_line=_visit_line(target),
            close=self.get_url(".detail_view", job_id=target.job.id),
            action=f"{request.path}?visit={target.visit.id}" if target.chosen and target.visit else request.path,
            **act.context(form, target),
        )

    # New service job

    @expose("/draft", methods=("GET", "POST"))
    @shows_again
    def draft_view(self) -> ResponseReturnValue:
        """Draft a job that is approved before it is scheduled (J2)."""
        self._begins_with("draft")
        if request.method != "POST":
            return self._draft_page(self._left_before(DraftForm) or DraftForm(data=self._customer_values()))
        if NEW_CUSTOMER in request.form:
            return self._add_customer()
        form = DraftForm(request.form)
        if only_show(request.form):
            form.rearrange(request.form)
            if "change_customer" in request.form:
                form.customer.data = ""
            return self._draft_page(form)
        form.validate()
        try:
            draft = _draft(form)
            with unit_of_work(db.session()) as session:
                job = create_service_job(session, the_actor(), formats.now(), draft)
                job_id, number = job.id, job.number
        except Invalid as error:
            form.refuse(error)
            return self._draft_page(form)
        flash(gettext("%(number)s is drafted. It has to be approved before a visit is scheduled.", number=number), "ok")
        return self._go(self.get_url(".detail_view", job_id=job_id))

    def _draft_page(self, form: DraftForm) -> ResponseReturnValue:
        types = queries.service_types(db.session())
        form.service_type.choices = [(str(one.id), one.name) for one in types]
        return self._form_page(
            "admin/installations/draft.html",
            422 if form.has_errors else 200,
            form=form,
            **_chosen_customer(form),
            title=self.kind.begin_label,
            button=gettext("Draft service job"),
            close=self.get_url(".index_view"),
        )

    def _begins_with(self, begin: str) -> None:
        if self.kind.begin != begin:
            raise NotFound

    # Schedule Installation

    @expose("/schedule", methods=("GET", "POST"))
    @shows_again
    def schedule_view(self) -> ResponseReturnValue:
        """Schedule an installation (P1-P6)."""
        self._begins_with("schedule")
        return self._schedule(None)

    @expose("/<int:job_id>/replacement", methods=("GET", "POST"))
    @shows_again
    def replacement_view(self, job_id: int) -> ResponseReturnValue:
        """Schedule another installation in place of one that was rejected or cancelled (P10)."""
        self._begins_with("schedule")
        target = self._target(job_id)
        refusal = replacement_refusal(target.job)
        if refusal is not None:
            raise Refused(refusal)
        return self._schedule(target)

    def _schedule(self, replaced: JobTarget | None) -> ResponseReturnValue:
        replaces_id = replaced.job.id if replaced is not None else None
        answered = None if replaced is not None else _answered()
        if request.method != "POST":
            left = self._left_before(ScheduleForm)
            form = left or ScheduleForm(data=self._first_values(replaced, answered))
            if left is None and replaced is not None:
                fill_items(form, replaced.job.items)
            return self._schedule_page(form, replaces_id)
        if NEW_CUSTOMER in request.form:
            return self._add_customer()
        form = ScheduleForm(request.form)
        if only_show(request.form):
            form.rearrange(request.form)
            if "change_customer" in request.form:
                form.customer.data = ""
            return self._schedule_page(form, replaces_id)
        form.validate()
        try:
            booking = _booking(form, replaces_id)
            with unit_of_work(db.session()) as session:
                if answered is None:
                    job = schedule_installation(
                        session, the_actor(), formats.now(), booking, despite_warnings=form.despite_warnings.data
                    )
                else:
                    job = convert_into_installation(
                        session, the_actor(), formats.now(), answered, booking, form.despite_warnings.data
                    )
                job_id = job.id
        except Invalid as error:
            form.refuse(error)
            return self._schedule_page(form, replaces_id)
        except Conflict as error:
            # Somebody else was given the time between the check and the write.
            form.refuse(Invalid({"technician": error.refusal.sentence}))
            return self._schedule_page(form, replaces_id)
        flash(self._scheduled(job_id), "ok")
        return self._go(self.get_url(".index_view"))

    def _first_values(self, replaced: JobTarget | None, answered: int | None) -> dict[str, Any]:
        partner_id = the_partner_id(the_actor())
        zone = formats.zone_of()
        start = queries.usual_start(db.session(), partner_id, formats.now(), zone)
        if start is None:
            start = datetime.combine(formats.today() + timedelta(days=1), MORNING, tzinfo=zone)
        local = start.astimezone(zone)
        values: dict[str, Any] = {"date": local.date().isoformat(), "time": local.strftime("%H:%M")}
        if replaced is not None:
            job = replaced.job
            values |= {
                "customer": f"{job.customer_id}:{job.address_id}",
                "service_type": str(job.service_type_id),
                "notes": job.notes,
            }
        elif answered is not None:
            values |= _wished(answered, values)
        else:
            values |= self._customer_values()
        return values

    def _customer_values(self) -> dict[str, str]:
        """Return who is chosen at first: the customer that the address names."""
        key = whole(request.args.get("customer"))
        found = customer_choices(db.session(), key) if key is not None else []
        if not found:
            return {}
        # With several addresses there is a choice to make.
        return {"customer": _value(found[0])} if len(found) == 1 else {"customer_text": found[0].name}

    def _add_customer(self) -> ResponseReturnValue:
        """Lead to where a missing customer is added; what was typed here waits."""
        return self._go(self.get_url("customers.create_view", **{NAMED: set_aside(NEW_CUSTOMER)}))

    def _left_before(self, form_type: type[WithCustomer]) -> WithCustomer | None:
        """Return the form that was left to add a customer, with them chosen if they were added."""
        left = taken_up()
        if left is None or left.path != request.path:
            return None
        form = form_type(left.typed)
        values = self._customer_values()
        if values:
            form.customer.data, form.customer_text.data = values.get("customer", ""), values.get("customer_text", "")
        return form

    def _schedule_page(self, form: ScheduleForm, replaces_id: int | None) -> ResponseReturnValue:
        session = db.session()
        types = queries.service_types(session)
        form.service_type.choices = [
            (
                str(kind.id),
                f"{kind.name} ({formats.length(kind.duration_minutes)})",
                {
                    "data-minutes": str(kind.duration_minutes),
                    "data-length": formats.length(kind.duration_minutes),
                    "data-window": str(kind.window_minutes),
                },
            )
            for kind in types
        ]
        # Words for the script that fills in what is chosen.
        form.duration.render_kw = {"data-usual": gettext("%(length)s, as usual", length="{length}")}
        form.time.render_kw = {"data-window": gettext("Arrival window %(start)s–%(end)s", start="{from}", end="{to}")}
        present = whole(form.duration.data)
        form.duration.choices = [
            ("", gettext("Usual for the service type")),
            *lengths([present] if present is not None and 0 < present <= DAY_MINUTES else []),
        ]
        technicians = find_technicians(session, the_partner_id(the_actor()), "", limit=MOST_CHOICES)
        form.technician.choices = [
            ("", gettext("Nobody yet")),
            *((str(one.technician_id), one.name) for one in technicians),
        ]
        form.technician_names = {str(one.technician_id): one.name for one in technicians}
        name = chosen_name(form)
        times_asked = "show_times" in request.form
        times_shown = times_asked or bool(form.slot.data)
        if times_shown:
            _offer_times(form)
        replaced = self._target(replaces_id).job if replaces_id is not None else None
        title = gettext("Schedule installation")
        if replaced is not None:
            title = gettext("Replace %(number)s", number=replaced.number)
        return self._form_page(
            "admin/installations/schedule.html",
            422 if form.has_errors else 200,
            form=form,
            **_chosen_customer(form),
            replaced=replaced,
            wish=service_request(session, key) if (key := whole(form.request.data)) is not None else None,
            whose=name,
            times_asked=times_asked,
            times_shown=times_shown,
            title=title,
            button=gettext("Schedule and assign %(name)s", name=name) if name else gettext("Schedule installation"),
            close=self.get_url(".index_view"),
        )

    def _scheduled(self, job_id: int) -> Markup:
        target = self._target(job_id)
        job, visit = target.job, target.visit
        if visit is None:
            raise RuntimeError("scheduled without a visit")
        words = {
            "number": job.number,
            "when": formats.window(visit.start_at, visit.window_minutes),
            "name": job.technician.name if job.technician is not None else "",
        }
        text = (
            gettext("%(number)s is scheduled for %(when)s and assigned to %(name)s.", **words)
            if job.technician is not None
            else gettext("%(number)s is scheduled for %(when)s.", **words)
        )
        url = self.get_url(".detail_view", job_id=job_id)
        return Markup('{} <a href="{}">{}</a>').format(text, url, gettext("View details"))

    # Common to all

    def _target(self, job_id: int) -> JobTarget:
        visit_id = None
        if self.kind.several and "visit" in request.args:
            visit_id = key_from(request.args["visit"])
        workflow = self.kind.workflow.name
        return queries.job_target(
            db.session(), the_actor(), formats.now(), formats.zone_of(), job_id, workflow, visit_id
        )

    def _form_page(self, template: str, status: int, form: Any, **context: Any) -> ResponseReturnValue:
        """Return a form as a page of its own or, for htmx, as what a dialog shows."""
        in_dialog = bool(request.headers.get("HX-Request"))
        page = self.render(
            template,
            frame=f"admin/installations/{'dialog' if in_dialog else 'page'}.html",
            form=form,
            form_has_errors=status != 200,
            **{"action": request.path, **context},
        )
        response = make_response(page, status)
        response.vary.add("HX-Request")
        return response

    def _done(self, job_id: int) -> ResponseReturnValue:
        """Lead to the page that a dialog stands over, if it is one of the office's, else to the installation."""
        over = urlsplit(request.headers.get("HX-Current-URL", ""))
        if over.netloc == request.host and over.path.startswith(str(self.admin.url)):
            return self._go(f"{over.path}?{over.query}" if over.query else over.path)
        return self._go(self.get_url(".detail_view", job_id=job_id))

    def _go(self, url: str) -> ResponseReturnValue:
        if not request.headers.get("HX-Request"):
            return redirect(url, 303)
        response = make_response("", 204)
        response.headers["HX-Redirect"] = url
        return response


DAY_MINUTES = 24 * 60
# The buttons of the page are about one open visit.
MOST_WITHOUT_BUTTONS = 1


def _chosen_customer(form: Any) -> dict[str, Any]:
    """Return what the field of the customer shows: who is chosen or, of what was typed, who was found."""
    session, pair = db.session(), read_pair(form.customer)
    chosen = None
    if pair is not None:
        chosen = next((one for one in customer_choices(session, pair[0]) if one.address_id == pair[1]), None)
    text = (form.customer_text.data or "").strip()
    return {
        "chosen": chosen,
        "chosen_value": _value(chosen) if chosen is not None else "",
        "found": find_customers(session, text, MOST_FOUND) if chosen is None and text else None,
        "value_of": _value,
    }


def _draft(form: DraftForm) -> ServiceDraft:
    """Return what ``form`` asks for; raises ``Invalid``, with the errors at their fields, where it cannot be read."""
    pair = read_pair(form.customer)
    if pair is None:
        wrong(form.customer_text, gettext("Choose a customer"))
    service_type_id = read_key(form.service_type, gettext("Choose a service type"))
    items = form.read_items()
    stop_at_errors(form)
    if pair is None or service_type_id is None:
        raise RuntimeError("unread without an error")
    return ServiceDraft(*pair, service_type_id, form.notes.data or "", items)


def _changes_unmarked(target: JobTarget, around: Surroundings, moved: Any) -> bool:
    """Whether what the page shows changes by itself, or at a second, before the minute is over."""
    until = target.asked.now + MINUTE
    visit = target.visit
    return (
        # Positions come and arrivals pass all the time.
        (visit is not None and (visit.is_on_the_way or visit.cancel_at is not None))
        # The worker sends it, and says so in the outbox alone.
        or any(message.status == MessageStatus.PENDING and message.due_at <= until for message in around.messages)
        or (moved is not None and moved[0].at + RECENT <= until)
    )


def _way(target: JobTarget, position: Any) -> dict[str, Any] | None:
    """Return when who is on the way is expected, how far away they are, and as of when; ``None`` for nobody."""
    visit = target.visit
    if visit is None or not visit.is_on_the_way:
        return None
    address = target.job.address
    expected = arrival_of(visit, address, position, current_app.config["TRAVEL_SPEED_KMH"], formats.now())
    return {"expected": expected, "position": position, "away": away_km(visit, address, position)}


def _minutes(visit: Appointment) -> int:
    return (visit.end_at - visit.start_at) // MINUTE


def _answered() -> int | None:
    """Return the key of the request for new service that the form would convert; 409 for one that is answered."""
    key = whole(request.values.get("request"))
    if key is None:
        return None
    refusal = answer_refusal(the_actor(), service_request(db.session(), key), "convert")
    if refusal is not None:
        raise Refused(refusal)
    return key


def _wished(key: int, usual: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the form begins with for a request: whom, where, what, and the first date that is not over."""
    wish = service_request(db.session(), key)
    ahead = [one for one in wish.preferred if one.until(formats.zone_of()) > formats.now()]
    day = ahead[0].day.isoformat() if ahead else usual["date"]
    clock = AFTERNOON.strftime("%H:%M") if ahead and ahead[0].part is Part.AFTERNOON else usual["time"]
    return {
        "request": str(key),
        "customer": f"{wish.customer_id}:{address_in_use(db.session(), wish)}",
        "service_type": str(wish.service_type_id),
        "date": day,
        "time": clock,
        "items": [{"name": wish.service_type.name, "quantity": "1"}],
        "notes": wish.notes,
    }


def _visit_line(target: JobTarget) -> str:
    visit = target.visit
    return formats.window(visit.start_at, visit.window_minutes) if visit is not None else ""


def _value(choice: CustomerChoice) -> str:
    """Return what the form sends for a customer at an address."""
    return f"{choice.customer_id}:{choice.address_id}"


def _rearrange(form: Any) -> None:
    if hasattr(form, "rearrange"):
        form.rearrange(request.form)


def _offer_times(form: ScheduleForm) -> None:
    """Offer the times of the day in the form for the work and the technician in it (P13)."""
    zone = formats.zone_of()
    day, kind_id = day_to_show(form.date.data, zone), whole(form.service_type.data)
    slots: Sequence[Slot] = []
    if day is not None and kind_id is not None:
        length = read_length(ScheduleForm(data={"duration": form.duration.data}).duration)
        technician_id = whole(form.technician.data)
        try:
            times = queries.times_for_staff(db.session(), kind_id, technician_id, [day], formats.now(), length)
        except NotFound:
            # What is wrong with the choice is said when the form is sent.
            times = {}
        slots = times.get(day, [])
    offer_times(form, day, slots, zone)


def _booking(form: ScheduleForm, replaces_id: int | None) -> Booking:
    """Return what ``form`` asks for; raises ``Invalid``, with the errors at their fields, where it cannot be read."""
    pair = read_pair(form.customer)
    if pair is None:
        wrong(form.customer_text, gettext("Choose a customer"))
    service_type_id = read_key(form.service_type, gettext("Choose a service type"))
    zone = formats.zone_of()
    start = read_chosen_time(form, zone) or read_start(form.date, form.time, zone)
    length = read_length(form.duration)
    items = form.read_items()
    technician_id = read_key(form.technician, gettext("Choose who comes")) if form.technician.data else None
    if not items:
        wrong(form.items.entries[0].form.name, gettext("Add at least one item"))
    stop_at_errors(form)
    if pair is None or service_type_id is None or start is None:
        raise RuntimeError("unread without an error")
    return Booking(
        customer_id=pair[0],
        address_id=pair[1],
        service_type_id=service_type_id,
        start=start,
        items=items,
        duration=length,
        notes=form.notes.data or "",
        technician_id=technician_id,
        replaces_id=replaces_id,
    )


def _self_service(target: JobTarget, around: Surroundings) -> SelfService | None:
    if target.workflow.is_end(target.job.status):
        return None
    online: list[Online] = []
    visit = open_visit(target.visits)
    if visit is not None and visit.status in MOVABLE:
        controls = in_force(around.controls, around.overrides)
        for action, decision in customers_decisions(target.asked, controls).items():
            rule = f"{action}_cutoff_hours" if decision.allowed else decision.rule
            online.append(Online(str(ONLINE[action]), decision, _rule(rule, controls)))
    return SelfService(online, own_rules(Owner.JOB, target.job, around.overrides.get(Owner.JOB)))


def _rule(name: str, controls: Controls) -> str | None:
    # What the tables say is no rule of the partner's.
    if name not in LABELS:
        return None
    value, whose = in_words(name, getattr(controls, name)), OWNER_NAMES[controls.owner_of(name)]
    return gettext("%(rule)s: %(value)s (for %(whose)s)", rule=LABELS[name], value=value, whose=whose)


def _pending(target: JobTarget) -> Mapping[str, Refusal | None] | None:
    """Return what staff may do about a customer's cancel that has not taken effect; ``None`` if there is none."""
    visit, asked = target.visit, target.asked
    if visit is None or visit.cancel_at is None:
        return None
    return {
        "undo_cancel": pending_cancel_refusal(visit, asked.actor, asked.now),
        "finalise_cancel": pending_cancel_refusal(visit, asked.actor, asked.now, final=True),
    }


def _moved_by_customer(target: JobTarget, history: Any) -> tuple[HistoryEntry, datetime] | None:
    """Return the customer's latest move and the time it left free, while that is news."""
    visit: Appointment | None = open_visit(target.visits)
    if visit is None:
        return None
    for entry in history:
        if entry.action == "reschedule" and entry.appointment_id == visit.id:
            news = entry.actor_role == "customer" and entry.at > target.asked.now - RECENT
            return (entry, datetime.fromisoformat(entry.before["start"])) if news and "start" in entry.before else None
    return None
