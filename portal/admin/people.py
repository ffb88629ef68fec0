"""Customers and technicians: lists, forms, deactivating, export (P16); a customer's page, doubles and merging (P23)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from flask import flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import gettext, lazy_gettext, ngettext
from sqlalchemy.orm import Session
from wtforms import (
    BooleanField,
    EmailField,
    FloatField,
    FormField,
    IntegerField,
    RadioField,
    SelectField,
    StringField,
    TelField,
    TextAreaField,
)
from wtforms.validators import Optional
from wtforms.widgets import HiddenInput, TextInput

from portal.admin.base import (
    ActiveFilter,
    Asked,
    FilterForm,
    ScopedModelView,
    SelectChoice,
    SwitchedView,
    VersionedForm,
    key_from,
    the_actor,
    the_partner_id,
)
from portal.admin.controls import own_rules
from portal.admin.hours import SeenForm, save
from portal.admin.set_aside import taken_up
from portal.admin.skills import SkillTicks
from portal.domain.actor import Actor, Permission
from portal.domain.delivery.unreachable import try_corrected
from portal.domain.errors import Conflict, Invalid
from portal.domain.jobs.people_queries import NEWEST_FIRST as NEWEST_JOBS
from portal.domain.jobs.people_queries import coming_visits, jobs_of_customer
from portal.domain.messages.queries import NEWEST_FIRST as NEWEST_MESSAGES
from portal.domain.messages.queries import messages_of_customer
from portal.domain.paging import PAGE_ROWS, Cursor, Order, Page
from portal.domain.people import duplicates, merging, queries, services
from portal.domain.people.duplicates import Likeness, LooksAlike
from portal.domain.people.merging import BOTH, GONE, KEPT, Comparison, MergeInput
from portal.domain.people.models import Contact, Customer, MessageGroup, Technician, TechnicianStatus
from portal.domain.scheduling.hours import set_technician_active
from portal.domain.scheduling.overrides import override_of
from portal.domain.scheduling.queries import skills_of_technicians
from portal.domain.scheduling.rules import Owner
from portal.domain.scheduling.skills import set_technician_skills
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import db
from portal.web import formats
from portal.web.cursors import cursor_args, cursor_from
from portal.web.errors import shows_again
from portal.web.forms import Form, Lines, add_errors

# Of each list on a customer's page.
LINES = 10

STATUS_NAMES = {
    TechnicianStatus.AVAILABLE: lazy_gettext("Available"),
    TechnicianStatus.UNAVAILABLE: lazy_gettext("Unavailable"),
}


GROUP_NAMES = {
    MessageGroup.VISITS: lazy_gettext("Bookings and changes"),
    MessageGroup.REMINDERS: lazy_gettext("Reminders"),
    MessageGroup.ARRIVAL: lazy_gettext("On the way"),
    MessageGroup.CONTRACT: lazy_gettext("Contract"),
}
LIKENESS_NAMES = {
    Likeness.EMAIL: lazy_gettext("same email address"),
    Likeness.PHONE: lazy_gettext("same telephone number"),
    Likeness.PLACE: lazy_gettext("like name at the same address"),
}


def names_of(found: Iterable[Any]) -> str:
    """Return the names of groups of messages or of likenesses in one line."""
    known: dict[Any, Any] = {**GROUP_NAMES, **LIKENESS_NAMES}
    return ", ".join(str(known[one]) for one in found)


class Degrees(FloatField):
    """Degrees north or east, or nothing."""

    # A number input would send nothing for what it cannot read.
    widget = TextInput()

    def process_formdata(self, valuelist: list[str]) -> None:
        """Take "" for nothing and a comma for a point; ``ValueError`` in words for what is no number."""
        self.data = None
        text = valuelist[0].strip().replace(",", ".") if valuelist else ""
        if not text:
            return
        try:
            self.data = float(text)
        except ValueError:
            raise ValueError(lazy_gettext("Enter degrees such as 51.4712")) from None


class AddressForm(Form):
    """One service address."""

    id = IntegerField(widget=HiddenInput(), validators=[Optional()])
    line = StringField(lazy_gettext("Street and number"), default="", render_kw={"autocomplete": "off"})
    city = StringField(lazy_gettext("Town or city"), default="", render_kw={"autocomplete": "off"})
    postcode = StringField(lazy_gettext("Postcode"), default="", render_kw={"autocomplete": "off"})
    latitude = Degrees(lazy_gettext("Latitude"), render_kw={"inputmode": "decimal", "autocomplete": "off"})
    longitude = Degrees(lazy_gettext("Longitude"), render_kw={"inputmode": "decimal", "autocomplete": "off"})
    retired = BooleanField(lazy_gettext("Not for new visits any more"))


class GroupsForm(Form):
    """Which messages somebody gets, and which channels they do not want; a tick for each."""

    gets_visits = BooleanField(GROUP_NAMES[MessageGroup.VISITS])
    gets_reminders = BooleanField(GROUP_NAMES[MessageGroup.REMINDERS])
    gets_arrival = BooleanField(GROUP_NAMES[MessageGroup.ARRIVAL])
    gets_contract = BooleanField(GROUP_NAMES[MessageGroup.CONTRACT])
    email_off = BooleanField(lazy_gettext("No email"))
    text_off = BooleanField(lazy_gettext("No texts"))

    @property
    def off(self) -> frozenset[str]:
        """The channels that are not wanted."""
        return frozenset(channel for channel in services.CHANNELS if self[f"{channel}_off"].data)

    @property
    def groups(self) -> frozenset[MessageGroup]:
        """The groups that are ticked."""
        return frozenset(group for group in MessageGroup if self[f"gets_{group}"].data)


class ContactForm(GroupsForm):
    """Somebody beside the customer who is told things (P23)."""

    id = IntegerField(widget=HiddenInput(), validators=[Optional()])
    name = StringField(lazy_gettext("Name"), default="", render_kw={"autocomplete": "off"})
    relation = StringField(lazy_gettext("Who they are"), default="", render_kw={"autocomplete": "off"})
    email = EmailField(lazy_gettext("Email address"), default="", render_kw={"autocomplete": "off"})
    phone = TelField(lazy_gettext("Telephone number"), default="", render_kw={"autocomplete": "off"})
    remove = BooleanField(lazy_gettext("Take off the list"))


class CustomerForm(VersionedForm, GroupsForm):
    """A customer with their service addresses and contacts; by default everything goes to their own address."""

    gets_visits = BooleanField(GROUP_NAMES[MessageGroup.VISITS], default=True)
    gets_reminders = BooleanField(GROUP_NAMES[MessageGroup.REMINDERS], default=True)
    gets_arrival = BooleanField(GROUP_NAMES[MessageGroup.ARRIVAL], default=True)
    gets_contract = BooleanField(GROUP_NAMES[MessageGroup.CONTRACT], default=True)

    name = StringField(lazy_gettext("Name"), default="", render_kw={"autocomplete": "off"})
    email = EmailField(lazy_gettext("Email address"), default="", render_kw={"autocomplete": "off"})
    phone = TelField(lazy_gettext("Telephone number"), default="", render_kw={"autocomplete": "off"})
    addresses = Lines(FormField(AddressForm), lazy_gettext("Service addresses"), min_entries=1)
    contacts = Lines(FormField(ContactForm), lazy_gettext("Contacts"))
    access_notes = TextAreaField(lazy_gettext("Access notes"), default="", render_kw={"rows": 3})
    timezone = StringField(
        lazy_gettext("Time zone"),
        default="",
        filters=[lambda text: (text or "").strip()],
        render_kw={"autocomplete": "off"},
    )


class NewCustomerForm(CustomerForm):
    """A customer to be added, who may be there already."""

    despite_likeness = BooleanField(lazy_gettext("Add all the same"))
    look_alikes: Sequence[duplicates.LookAlike] = ()


class MergeForm(Form):
    """Two customers, the versions they were shown in, and whose value stands where they differ."""

    kept_id = IntegerField(widget=HiddenInput())
    kept_version = IntegerField(widget=HiddenInput())
    gone_id = IntegerField(widget=HiddenInput())
    gone_version = IntegerField(widget=HiddenInput())
    name = RadioField(lazy_gettext("Name"), validate_choice=False)
    email = RadioField(lazy_gettext("Email address"), validate_choice=False)
    phone = RadioField(lazy_gettext("Telephone number"), validate_choice=False)
    access_notes = RadioField(lazy_gettext("Access notes"), validate_choice=False)

    def show(self, found: Comparison) -> None:
        """Ask about the two as they are now, beginning with what the one who stays has, if anything."""
        for hidden, row in ((self.kept_version, found.kept), (self.gone_version, found.gone)):
            hidden.process(None, row.version)
            hidden.raw_data, hidden.errors = None, ()
        for name in merging.FIELDS:
            field: Any = self[name]
            kept, gone = getattr(found.kept, name), getattr(found.gone, name)
            field.choices = [(KEPT, kept), (GONE, gone)]
            if name == merging.WITH_BOTH and kept and gone:
                field.choices.append((BOTH, gettext("Both, one below the other")))
            if not field.data:
                field.process(None, KEPT if kept or not gone else GONE)


class TechnicianForm(VersionedForm):
    """A technician."""

    name = StringField(lazy_gettext("Name"), default="", render_kw={"autocomplete": "off"})
    email = EmailField(lazy_gettext("Email address"), default="", render_kw={"autocomplete": "off"})
    phone = TelField(lazy_gettext("Telephone number"), default="", render_kw={"autocomplete": "off"})
    status = SelectField(
        lazy_gettext("Status"), choices=[SelectChoice(str(name), text) for name, text in STATUS_NAMES.items()]
    )
    skill_ids = SkillTicks(lazy_gettext("Skills"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.skill_ids.offer()


class DeactivateForm(SeenForm):
    """A deactivation, with the visits it was shown to affect."""


class PeopleFilter(FilterForm, ActiveFilter):
    """Text, and whether deactivated people are shown."""


class PeopleView(SwitchedView, ScopedModelView):
    """What customers and technicians have in common."""

    permission = Permission.MANAGE_PEOPLE
    can_export = True
    filter_form = PeopleFilter


class CustomerView(PeopleView):
    """Customers with their addresses."""

    add_label = lazy_gettext("Add customer")
    list_template = "admin/people/customers.html"
    create_template = edit_template = "admin/people/customer.html"
    page_template = "admin/people/customer_page.html"
    column_list = ("name", "contact", "address")
    column_labels = {
        "name": lazy_gettext("Name"),
        "contact": lazy_gettext("Email and telephone"),
        "address": lazy_gettext("Service address"),
    }
    sorts = queries.CUSTOMERS_BY
    form = CustomerForm

    def form_context(self, row: Any) -> dict[str, Any]:
        return {"names": names_of}

    def get_create_form(self) -> type[NewCustomerForm]:
        """Return the form that also asks about look-alikes."""
        return NewCustomerForm

    def get_list(self, asked: Asked, limit: int = PAGE_ROWS) -> Page[Customer]:
        return queries.list_customers(
            db.session(),
            asked.filters["q"],
            asked.filters["active"],
            asked.order,
            asked.cursor,
            limit,
        )

    def get_one(self, key: Any) -> Customer:
        return queries.customer_in_full(db.session(), key_from(key))

    def create(self, session: Session, actor: Actor, now: datetime, form: Any) -> Customer:
        typed, insists = _customer_input(form), form.despite_likeness.data
        try:
            return services.create_customer(session, the_partner_id(actor), now, typed, despite_likeness=insists)
        except LooksAlike as error:
            form.look_alikes = error.found
            raise

    def update(self, session: Session, actor: Actor, now: datetime, key: int, form: Any) -> Customer:
        customer = services.edit_customer(session, now, key, form.version.data or 0, _customer_input(form))
        try_corrected(session, actor, now, key)
        return customer

    def set_active(self, session: Session, key: int, active: bool) -> Customer:
        return services.set_customer_active(session, key, active)

    def rearranged(self, form: Any) -> bool:
        if "add_address" in request.form and len(form.addresses) < services.MAX_ADDRESSES:
            form.addresses.append_entry()
            return True
        if "add_contact" in request.form and len(form.contacts) < services.MAX_CONTACTS:
            form.contacts.append_entry({"gets_visits": True, "gets_reminders": True})
            return True
        return False

    def first_values(self) -> dict[str, Any]:
        """Begin with what the form that lacks the customer looked for."""
        form = taken_up()
        typed = form.typed.get("customer_text", "").strip() if form is not None else ""
        return {"email" if "@" in typed else "name": typed}

    def return_url(self) -> str:
        """Lead back to the form that lacks the customer, if that is where the person came from."""
        form = taken_up()
        return form.url() if form is not None else super().return_url()

    def created_url(self, row: Customer) -> str:
        """Lead on to the form that lacked the customer, with the customer chosen and everything else as it was."""
        form = taken_up()
        return form.url(customer=row.id) if form is not None else super().created_url(row)

    @expose("/edit/", methods=("GET", "POST"))
    @shows_again
    def edit_view(self) -> ResponseReturnValue:
        key = key_from(request.args.get("id"))
        if request.method != "POST" and self.get_one(key).merged_into_id is not None:
            return redirect(self.page_url(key))
        return super().edit_view()

    # One customer

    def page_url(self, key: int, **args: str) -> str:
        """Return the address of a customer's page."""
        return str(self.get_url(".page_view", key=key, **args))

    @expose("/<int:key>/")
    def page_view(self, key: int) -> ResponseReturnValue:
        """Show everything about one customer; of one who was merged, into whom."""
        session = db.session()
        customer = self.get_one(key)
        if customer.merged_into_id is not None:
            merge, into = merging.merge_of(session, customer.id), self.get_one(customer.merged_into_id)
            return self.render("admin/people/customer_merged.html", customer=customer, merge=merge, into=into)
        jobs = jobs_of_customer(session, customer.id, _cursor("jobs", NEWEST_JOBS), LINES)
        messages = messages_of_customer(session, customer.id, _cursor("messages", NEWEST_MESSAGES), LINES)
        places = [address.place_key for address in customer.addresses]
        alike = duplicates.look_alikes(
            session, customer.name, customer.email, customer.phone, places, own_id=customer.id
        )
        return self.render(
            self.page_template,
            customer=customer,
            jobs=jobs.rows,
            jobs_links=self._page_links(customer.id, "jobs", jobs),
            messages=messages.rows,
            messages_links=self._page_links(customer.id, "messages", messages),
            merges=merging.merges_into(session, customer.id),
            look_alikes=alike,
            nobody_gets=[str(GROUP_NAMES[group]) for group in _nobody_gets(customer)],
            names=names_of,
            own_rules=own_rules(Owner.CUSTOMER, customer, override_of(session, Owner.CUSTOMER, customer.id)),
        )

    def _page_links(self, key: int, name: str, page: Page[Any]) -> tuple[str | None, str | None]:
        """Return the addresses of the neighbouring pages of one of the lists, where there are any."""

        def link(cursor: Cursor | None) -> str | None:
            args = {f"{name}-{end}": text for end, text in cursor_args(cursor).items()} if cursor else None
            return f"{self.page_url(key, **args)}#{name}" if args else None

        return link(page.back), link(page.forward)

    # Doubles

    @expose("/duplicates/")
    def duplicates_view(self) -> ResponseReturnValue:
        """Show the pairs of customers who look like one."""
        cursor = cursor_from(request.args, duplicates.PAIRS)
        pairs = duplicates.duplicate_pairs(db.session(), the_partner_id(the_actor()), cursor)
        back, forward = (
            self.get_url(".duplicates_view", **cursor_args(end)) if end else None
            for end in (pairs.page.back, pairs.page.forward)
        )
        here = request.full_path.rstrip("?")
        return self.render(
            "admin/people/duplicates.html", pairs=pairs, back_url=back, forward_url=forward, here=here, names=names_of
        )

    @expose("/duplicates/apart", methods=("POST",))
    def apart_view(self) -> ResponseReturnValue:
        """Note that two who look alike are two."""
        one, other = (key_from(request.form.get(name)) for name in ("one", "other"))
        with unit_of_work(db.session()) as session:
            duplicates.keep_apart(session, the_actor(), formats.now(), one, other)
        flash(gettext("Noted: these are two people. They are not shown as duplicates again."), "ok")
        return redirect(self.return_url())

    @expose("/merge/", methods=("GET", "POST"))
    def merge_view(self) -> ResponseReturnValue:
        """Compare two customers and make one of them; without a second one, look for them."""
        if request.method != "POST":
            kept_id = key_from(request.args.get("keep"))
            if "other" not in request.args:
                return self._find_other(kept_id)
            form = MergeForm(kept_id=kept_id, gone_id=key_from(request.args["other"]))
            return self._merge_page(form, 200)
        form = MergeForm(request.form)
        form.validate()
        keys = form.kept_id.data, form.kept_version.data, form.gone_id.data, form.gone_version.data
        kept_id, kept_version, gone_id, gone_version = (-1 if key is None else key for key in keys)
        chosen = {name: form[name].data or "" for name in merging.FIELDS}
        asked = MergeInput(kept_id, kept_version, gone_id, gone_version, chosen)
        try:
            with unit_of_work(db.session()) as session:
                name = merging.merge_customers(session, the_actor(), formats.now(), asked).name
        except Invalid as error:
            add_errors(form, error.errors)
            return self._merge_page(form, 422)
        except Conflict:
            return self._merge_page(form, 409)
        flash(gettext("Merged. Everything stands with %(name)s now.", name=name), "ok")
        return redirect(self.page_url(kept_id))

    def _merge_page(self, form: MergeForm, status: int) -> ResponseReturnValue:
        found = merging.compare(db.session(), form.kept_id.data or 0, form.gone_id.data or 0)
        errors = {name: form[name].errors for name in merging.FIELDS if form[name].errors}
        form.show(found)
        for name, texts in errors.items():
            form[name].errors = texts
        page = self.render(
            "admin/people/merge.html",
            form=form,
            found=found,
            moved=_moved_words(found),
            names=names_of,
            is_stale=status == 409,
            form_has_errors=status != 200,
        )
        return page, status

    def _find_other(self, key: int) -> ResponseReturnValue:
        customer = self.get_one(key)
        text = request.args.get("q", "").strip()
        found = queries.list_customers(db.session(), text, None, limit=LINES).rows if text else None
        return self.render("admin/people/merge_find.html", customer=customer, text=text, found=found)

    def export_columns(self) -> dict[str, Any]:
        return {
            gettext("Name"): lambda row: row.name,
            gettext("Email address"): lambda row: row.email,
            gettext("Telephone number"): lambda row: row.phone,
            gettext("Service addresses"): lambda row: "; ".join(address.one_line for address in row.addresses),
            gettext("Access notes"): lambda row: row.access_notes,
            gettext("Added"): lambda row: row.created_at,
            gettext("Active"): lambda row: gettext("yes") if row.active else gettext("no"),
        }


class TechnicianView(PeopleView):
    """Technicians."""

    add_label = lazy_gettext("Add technician")
    list_template = "admin/people/technicians.html"
    create_template = edit_template = "admin/people/technician.html"
    column_list = ("name", "contact", "status")
    column_labels = {
        "name": lazy_gettext("Name"),
        "contact": lazy_gettext("Email and telephone"),
        "status": lazy_gettext("Status"),
    }
    sorts = queries.TECHNICIANS_BY
    form = TechnicianForm

    def get_list(self, asked: Asked, limit: int = PAGE_ROWS) -> Page[Technician]:
        return queries.list_technicians(
            db.session(), asked.filters["q"], asked.filters["active"], asked.order, asked.cursor, limit
        )

    def create(self, session: Session, actor: Actor, now: datetime, form: Any) -> Technician:
        technician = services.create_technician(session, the_partner_id(actor), _technician_input(form))
        return set_technician_skills(session, actor, now, technician.id, form.skill_ids.data)

    def update(self, session: Session, actor: Actor, now: datetime, key: int, form: Any) -> Technician:
        services.edit_technician(session, key, form.version.data or 0, _technician_input(form))
        return set_technician_skills(session, actor, now, key, form.skill_ids.data)

    def form_of(self, row: Technician) -> Any:
        skills = skills_of_technicians(db.session(), [row.id])[row.id]
        return self._edit_form_class(obj=row, data={"skill_ids": [skill.id for skill in skills]})

    def set_active(self, session: Session, key: int, active: bool) -> Technician:
        return set_technician_active(session, the_actor(), key, active, formats.now())

    @expose("/<int:key>/deactivate", methods=("POST",))
    def deactivate_view(self, key: int) -> ResponseReturnValue:
        """Ask about the visits they have still to do, then deactivate."""
        form = DeactivateForm(request.form)
        form.validate()
        outcome = save(
            form,
            lambda session, seen: set_technician_active(session, the_actor(), key, False, formats.now(), seen).name,
        )
        if outcome.saved is not None:
            flash(gettext("%(name)s is deactivated.", name=outcome.saved), "ok")
            return redirect(self.return_url())
        return self.render(
            "admin/people/deactivate.html",
            form=form,
            row=self.get_one(key),
            affected=outcome.affected,
            return_url=self.return_url(),
        )

    def list_context(self, asked: Asked, page: Page[Any]) -> dict[str, Any]:
        return {**super().list_context(asked, page), "status_names": STATUS_NAMES}

    def form_context(self, row: Any) -> dict[str, Any]:
        return {"visits": coming_visits(db.session(), row.id, formats.now()) if row is not None else []}

    def export_columns(self) -> dict[str, Any]:
        return {
            gettext("Name"): lambda row: row.name,
            gettext("Email address"): lambda row: row.email,
            gettext("Telephone number"): lambda row: row.phone,
            gettext("Status"): lambda row: STATUS_NAMES[row.status],
            gettext("Active"): lambda row: gettext("yes") if row.active else gettext("no"),
        }


def _customer_input(form: Any) -> services.CustomerInput:
    return services.CustomerInput(
        name=form.name.data,
        email=form.email.data,
        phone=form.phone.data,
        access_notes=form.access_notes.data,
        timezone=form.timezone.data,
        addresses=[
            services.AddressInput(
                entry.id.data,
                entry.line.data,
                entry.city.data,
                entry.postcode.data,
                entry.retired.data,
                entry.latitude.data,
                entry.longitude.data,
            )
            for entry in (field.form for field in form.addresses)
        ],
        groups=form.groups,
        off=form.off,
        contacts=[
            services.ContactInput(
                entry.id.data,
                entry.name.data,
                entry.relation.data,
                entry.email.data,
                entry.phone.data,
                entry.groups,
                entry.remove.data,
                entry.off,
            )
            for entry in (field.form for field in form.contacts)
        ],
    )


def _cursor(name: str, order: Order) -> Cursor | None:
    """Return where the list of that name on a customer's page starts."""
    args = {key.removeprefix(f"{name}-"): text for key, text in request.args.items() if key.startswith(f"{name}-")}
    return cursor_from(args, order)


def _nobody_gets(customer: Customer) -> list[MessageGroup]:
    """Return the groups of messages that reach nobody, though somebody could be reached."""
    everybody: list[Customer | Contact] = [customer, *customer.contacts]
    people = [person for person in everybody if person.email]
    return [group for group in MessageGroup if people and not any(person.gets(group) for person in people)]


def _moved_words(found: Comparison) -> list[str]:
    """Return what moves in a merge, in words; nothing for what there is none of."""
    counts = found.moved
    words = (
        (counts["jobs"], ngettext("%(num)s installation", "%(num)s installations", counts["jobs"])),
        (counts["addresses"], ngettext("%(num)s address", "%(num)s addresses", counts["addresses"])),
        (counts["contacts"], ngettext("%(num)s contact", "%(num)s contacts", counts["contacts"])),
        (counts["messages"], ngettext("%(num)s message", "%(num)s messages", counts["messages"])),
    )
    return [text for number, text in words if number]


def _technician_input(form: Any) -> services.TechnicianInput:
    return services.TechnicianInput(form.name.data, form.email.data, form.phone.data, form.status.data)


def views() -> list[ScopedModelView]:
    """Return the views of this subject, in the order of the menu."""
    return [
        CustomerView(Customer, name=lazy_gettext("Customers"), category="People", endpoint="customers"),
        TechnicianView(Technician, name=lazy_gettext("Technicians"), category="People", endpoint="technicians"),
    ]
