"""Job offers: the operator's, with what became of each (P20), and a partner's queue, to accept or decline (J1, P18)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from flask import flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_admin import BaseView, expose
from flask_babel import gettext, lazy_gettext
from flask_babel.speaklater import LazyString
from sqlalchemy.orm import Session
from wtforms import EmailField, HiddenField, SelectField, SelectMultipleField, StringField, TelField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.widgets import DateInput, TimeInput

from portal.admin.base import Asked, FilterForm, ScopedModelView, VersionedForm, key_from, the_actor
from portal.admin.installations.acts import stop_at_errors
from portal.admin.installations.forms import InstallationForm, LooseSelect, ReasonForm, read_key, read_start, whole
from portal.admin.operator import operator_writes
from portal.domain.actor import Actor, Permission
from portal.domain.errors import Invalid, Refused
from portal.domain.jobs.queries import service_types
from portal.domain.offers import queries, services
from portal.domain.offers.models import OFFERED, JobOffer, OfferedJob
from portal.domain.offers.queries import Offered
from portal.domain.offers.services import OfferInput
from portal.domain.offers.states import JOB_OFFER
from portal.domain.paging import PAGE_ROWS, Page
from portal.domain.people.services import AddressInput
from portal.domain.requests.models import ServiceRequest
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import db
from portal.web import formats
from portal.web.auth import session_beyond
from portal.web.errors import shows_again
from portal.web.forms import add_errors
from portal.web.i18n import translate
from portal.web.statuses import offer_badge
from portal.web.wishes import DatesMixin, dates_field, preferred_words

ALL = "all"
# How long partners have unless the operator says otherwise.
USUAL_DAYS = 2


class OfferFilter(FilterForm):
    """Text, and what became of the offers; usually those that wait."""

    status = SelectField(
        lazy_gettext("Status"),
        default=OFFERED,
        choices=[
            *(SelectChoice(status.name, LazyString(translate, status.label)) for status in JOB_OFFER.statuses),
            SelectChoice(ALL, lazy_gettext("All")),
        ],
    )


class AcceptForm(InstallationForm):
    """As what the partner takes the work on."""

    service_type = LooseSelect(lazy_gettext("Service type"), choices=[])


class JobOfferView(ScopedModelView):
    """The jobs that the operator offers this partner, the one offered first at the top."""

    permission = Permission.SEE_JOBS
    can_create = can_edit = False
    can_export = True
    list_template = "admin/offers/list.html"
    column_list = ("until", "service", "customer", "preferred", "status")
    column_labels = {
        "until": lazy_gettext("Answer until"),
        "service": lazy_gettext("Service"),
        "customer": lazy_gettext("Customer"),
        "preferred": lazy_gettext("Preferred"),
        "status": lazy_gettext("Status"),
    }
    sorts = queries.OFFERS_BY
    sorted_by_time = True
    filter_form = OfferFilter

    def is_visible(self) -> bool:
        # Among the queues of the menu, with its count.
        return False

    def get_list(self, asked: Asked, limit: int = PAGE_ROWS) -> Page[Any]:
        wanted = asked.filters["status"]
        status = None if wanted == ALL else wanted
        return queries.list_offers(db.session(), asked.filters["q"], status, asked.order, asked.cursor, limit)

    def export_columns(self) -> dict[str, Any]:
        return {
            gettext("Offered"): lambda row: row.offered.offered_at,
            gettext("Answer until"): lambda row: row.offered.expires_at,
            gettext("Service"): lambda row: row.offered.service,
            gettext("Customer"): lambda row: row.offered.customer_name,
            gettext("Address"): lambda row: row.offered.address,
            gettext("Preferred dates"): lambda row: preferred_words(row.offered.preferred),
            gettext("Status"): lambda row: offer_badge(row, is_expired(row)).label,
            gettext("Answered"): lambda row: row.answered_at,
            gettext("Answer"): lambda row: row.answer,
            gettext("Number"): lambda row: row.job.number if row.job else "",
        }

    def list_context(self, asked: Asked, page: Page[Any]) -> dict[str, Any]:
        """Say which are over, beside what every list shows."""
        return {**super().list_context(asked, page), "is_expired": is_expired}

    @expose("/<int:key>", methods=("GET", "POST"))
    @shows_again
    def offer_view(self, key: int) -> ResponseReturnValue:
        """Show one offer with all its facts, and accept it."""
        offer = queries.offer(db.session(), key)
        form = AcceptForm(request.form if request.method == "POST" else None)
        if request.method == "POST":
            try:
                number = self._accept(key, form)
            except Invalid as error:
                form.refuse(error)
                offer = queries.offer(db.session(), key)
            except Refused:
                offer = queries.offer(db.session(), key)
                if offer.job is None or offer.answered_by_id != the_actor().id:
                    raise
                # The same button pressed twice: the first press did it.
                return redirect(self.get_url(".offer_view", key=key), 303)
            else:
                flash(gettext("The job is yours: %(number)s is drafted.", number=number), "ok")
                return redirect(self.get_url(".offer_view", key=key), 303)
        types = service_types(db.session())
        form.service_type.choices = [(str(kind.id), kind.name) for kind in types]
        if form.service_type.data is None:
            called = offer.offered.service.casefold()
            same = next((kind for kind in types if kind.name.casefold() == called), None)
            form.service_type.data = str(same.id) if same is not None else None
        page = self.render(
            "admin/offers/offer.html",
            form=form,
            offer=offer,
            expired=is_expired(offer),
            may_answer=services.answer_refusal(the_actor(), offer, offer.offered, formats.now(), "accept") is None,
            form_has_errors=form.has_errors,
        )
        return page, 422 if form.has_errors else 200

    @expose("/<int:key>/decline", methods=("GET", "POST"))
    @shows_again
    def decline_view(self, key: int) -> ResponseReturnValue:
        """Decline an offer with a reason that the operator reads."""
        offer = queries.offer(db.session(), key)
        refusal = services.answer_refusal(the_actor(), offer, offer.offered, formats.now(), "decline")
        if refusal is not None:
            raise Refused(refusal)
        form = ReasonForm(request.form if request.method == "POST" else None)
        if request.method == "POST":
            try:
                with unit_of_work(db.session()) as session:
                    services.decline_offer(session, the_actor(), formats.now(), key, form.reason.data or "")
            except Invalid as error:
                form.refuse(error)
                offer = queries.offer(db.session(), key)
            else:
                flash(gettext("The offer is declined. The operator reads your reason."), "ok")
                return redirect(self.get_url(".index_view"), 303)
        page = self.render("admin/offers/decline.html", form=form, offer=offer, form_has_errors=form.has_errors)
        return page, 422 if form.has_errors else 200

    def _accept(self, key: int, form: AcceptForm) -> str:
        service_type_id = read_key(form.service_type, gettext("Choose a service type"))
        stop_at_errors(form)
        with unit_of_work(db.session()) as session:
            return services.accept_offer(session, the_actor(), formats.now(), key, service_type_id or 0).number


class PartnerTicks(SelectMultipleField):
    """Partners to tick; which of them there are the domain says."""

    def pre_validate(self, form: Any) -> None:
        """Leave it to the domain."""


class OfferForm(DatesMixin, VersionedForm):
    """A job to offer: to whom, what, for whom and where, when, and until when they may answer."""

    # The request it is made from, by its key, and as the page shows it.
    request = HiddenField(default="")
    source: ServiceRequest | None = None
    partners = PartnerTicks(lazy_gettext("To which partners"), choices=[])
    service = StringField(lazy_gettext("Service"), default="")
    description = TextAreaField(lazy_gettext("What is to be done"), default="")
    customer_name = StringField(lazy_gettext("Name of the customer"), default="")
    customer_email = EmailField(lazy_gettext("Email address"), default="")
    customer_phone = TelField(lazy_gettext("Telephone number"), default="")
    line = StringField(lazy_gettext("Street and number"), default="")
    city = StringField(lazy_gettext("Town or city"), default="")
    postcode = StringField(lazy_gettext("Postcode"), default="")
    dates = dates_field()
    notes = TextAreaField(lazy_gettext("Notes"), default="")
    expires_day = StringField(lazy_gettext("Answer until, date"), widget=DateInput())
    expires_time = StringField(lazy_gettext("Answer until, time"), widget=TimeInput())

    def take_over(self, wish: ServiceRequest) -> None:
        """Fill in what a customer asked for."""
        self.request.data, self.service.data = str(wish.id), wish.service_type.name
        self.description.data = wish.notes
        asked = wish.customer
        self.customer_name.data, self.customer_email.data, self.customer_phone.data = (
            asked.name,
            asked.email,
            asked.phone,
        )
        self.line.data, self.city.data, self.postcode.data = wish.address.line, wish.address.city, wish.address.postcode
        for entry, date in zip(self.dates.entries, wish.preferred, strict=False):
            entry.form.day.data, entry.form.part.data = date.day.isoformat(), date.part.value

    def typed(self) -> OfferInput:
        """Return what was typed; raises ``Invalid``, with the errors at their fields, where it cannot be read."""
        keys = [whole(text) for text in self.partners.data or []]
        expires_at = read_start(self.expires_day, self.expires_time, formats.zone_of())
        dates = self.read_dates()
        if self.errors or expires_at is None:
            # Each stands at its field already.
            raise Invalid({})
        return OfferInput(
            partner_ids=[key for key in keys if key is not None],
            service=self.service.data or "",
            description=self.description.data or "",
            customer_name=self.customer_name.data or "",
            customer_email=self.customer_email.data or "",
            customer_phone=self.customer_phone.data or "",
            place=AddressInput(None, self.line.data or "", self.city.data or "", self.postcode.data or ""),
            dates=dates,
            notes=self.notes.data or "",
            expires_at=expires_at,
        )


class OfferedJobView(ScopedModelView):
    """The jobs that were offered, latest first, each with what the partners answered; for the operator."""

    permission = Permission.MANAGE_PARTNERS
    can_edit = False
    add_label = lazy_gettext("Offer job")
    list_template = "admin/offers/offered.html"
    create_template = "admin/offers/new.html"
    column_list = ("offered", "service", "customer", "until", "partners")
    column_labels = {
        "offered": lazy_gettext("Offered"),
        "service": lazy_gettext("Service"),
        "customer": lazy_gettext("Customer"),
        "until": lazy_gettext("Answer until"),
        "partners": lazy_gettext("Partners"),
    }
    sorts = queries.OFFERED_BY
    usual_sort = "-number"
    sorted_by_time = True

    def get_create_form(self) -> type[OfferForm]:
        return OfferForm

    def get_list(self, asked: Asked, limit: int = PAGE_ROWS) -> Page[Offered]:
        with session_beyond("operator") as session:
            return queries.list_offered(session, asked.filters["q"], asked.order, asked.cursor, limit)

    def list_context(self, asked: Asked, page: Page[Any]) -> dict[str, Any]:
        """Say which are over and how many requests wait to be offered, beside what every list shows."""
        with session_beyond("operator") as session:
            waiting = len(queries.list_for_others(session))
        return {**super().list_context(asked, page), "is_over": is_over, "for_others": waiting}

    def get_one(self, key: Any) -> Offered:
        with session_beyond("operator") as session:
            return queries.offered_job(session, key_from(key))

    def label_of(self, row: Any) -> str:
        return str(row.service)

    def form_page(self, template: str, form: Any, row: Any = None, differences: Any = None) -> ResponseReturnValue:
        typed = form.request.data if request.method == "POST" else request.args.get("request")
        with session_beyond("operator") as session:
            partners = queries.partners_to_offer(session)
            source = queries.request_for_others(session, key_from(typed)) if typed else None
        # Who declined it is not asked again.
        asked = [one for one in partners if source is None or one.id != source.partner_id]
        form.partners.choices = [(str(partner.id), partner.name) for partner in asked]
        if request.method != "POST":
            until = formats.now() + timedelta(days=USUAL_DAYS)
            form.expires_day.data, form.expires_time.data = until.date().isoformat(), "18:00"
            if source is not None:
                form.take_over(source)
        form.source = source
        return super().form_page(template, form, row, differences)

    def create(self, session: Session, actor: Actor, now: datetime, form: Any) -> OfferedJob:
        source = key_from(form.request.data) if form.request.data else None
        return services.offer_job(session, actor, now, form.typed(), source)

    def _write(self, form: Any, use_case: Any) -> Any:
        try:
            with operator_writes() as session:
                return use_case(session, the_actor(), formats.now())
        except Invalid as refused:
            names = {"expires_at": "expires_day"}
            add_errors(form, {names.get(name, name): text for name, text in refused.errors.items()})
        return None

    @expose("/requests")
    def requests_view(self) -> ResponseReturnValue:
        """Show the requests that may be offered to other partners."""
        with session_beyond("operator") as session:
            rows = queries.list_for_others(session)
        return self.render("admin/offers/requests.html", rows=rows)

    @expose("/<int:key>")
    def offered_view(self, key: int) -> ResponseReturnValue:
        """Show one offered job with all of its offers."""
        row = self.get_one(key)
        return self.render("admin/offers/offered_job.html", row=row, is_over=is_over, open_offers=is_open(row))

    @expose("/<int:key>/withdraw", methods=("POST",))
    def withdraw_view(self, key: int) -> ResponseReturnValue:
        """Withdraw the offers that nobody has answered."""
        with operator_writes() as session:
            services.withdraw_offer(session, the_actor(), formats.now(), key)
        flash(gettext("The offer is withdrawn."), "ok")
        return redirect(self.get_url(".offered_view", key=key), 303)


def is_expired(offer: JobOffer) -> bool:
    """Whether an unanswered offer's time is over, noted already or not."""
    return is_over(offer, offer.offered)


def is_over(offer: JobOffer, offered: OfferedJob) -> bool:
    """Whether an offer waits in vain, since the time of ``offered`` is over."""
    return offer.is_open and formats.now() >= offered.expires_at


def is_open(row: Offered) -> bool:
    """Whether somebody may still answer, so that there is something to withdraw."""
    return any(offer.is_open for offer in row.offers)


def views() -> list[BaseView]:
    """Return the views of this subject for the admin's menu."""
    return [
        OfferedJobView(
            OfferedJob,
            name=lazy_gettext("Job offers"),
            category="Work",
            endpoint="offered_jobs",
            url="/admin/offered-jobs",
        ),
        JobOfferView(
            JobOffer,
            name=lazy_gettext("Job offers"),
            category="Work",
            endpoint="job_offers",
            url="/admin/job-offers",
        ),
    ]
