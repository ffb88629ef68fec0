"""Customers and technicians: lists, forms, deactivating, export (P16)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import gettext, lazy_gettext
from sqlalchemy.orm import Session
from wtforms import (
    EmailField,
    Form,
    FormField,
    IntegerField,
    SelectField,
    StringField,
    TelField,
    TextAreaField,
)
from wtforms.validators import Optional
from wtforms.widgets import HiddenInput

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
from portal.admin.hours import SeenForm, save
from portal.admin.skills import SkillTicks
from portal.domain.actor import Actor, Permission
from portal.domain.paging import PAGE_ROWS, Page
from portal.domain.people import queries, services
from portal.domain.people.models import Customer, Technician, TechnicianStatus
from portal.domain.scheduling.hours import set_technician_active
from portal.domain.scheduling.queries import skills_of_technicians
from portal.domain.scheduling.skills import set_technician_skills
from portal.extensions import db
from portal.web import formats
from portal.web.forms import Lines

STATUS_NAMES = {
    TechnicianStatus.AVAILABLE: lazy_gettext("Available"),
    TechnicianStatus.UNAVAILABLE: lazy_gettext("Unavailable"),
}


class AddressForm(Form):
    """One service address."""

    id = IntegerField(widget=HiddenInput(), validators=[Optional()])
    line = StringField(lazy_gettext("Street and number"), default="", render_kw={"autocomplete": "off"})
    city = StringField(lazy_gettext("Town or city"), default="", render_kw={"autocomplete": "off"})
    postcode = StringField(lazy_gettext("Postcode"), default="", render_kw={"autocomplete": "off"})


class CustomerForm(VersionedForm):
    """A customer with their service addresses."""

    name = StringField(lazy_gettext("Name"), default="", render_kw={"autocomplete": "off"})
    email = EmailField(lazy_gettext("Email address"), default="", render_kw={"autocomplete": "off"})
    phone = TelField(lazy_gettext("Telephone number"), default="", render_kw={"autocomplete": "off"})
    addresses = Lines(FormField(AddressForm), lazy_gettext("Service addresses"), min_entries=1)
    access_notes = TextAreaField(lazy_gettext("Access notes"), default="", render_kw={"rows": 3})


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
    column_list = ("name", "contact", "address")
    column_labels = {
        "name": lazy_gettext("Name"),
        "contact": lazy_gettext("Email and telephone"),
        "address": lazy_gettext("Service address"),
    }
    sorts = queries.CUSTOMERS_BY
    form = CustomerForm

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
        return queries.customer_with_addresses(db.session(), key_from(key))

    def create(self, session: Session, actor: Actor, now: datetime, form: Any) -> Customer:
        return services.create_customer(session, the_partner_id(actor), now, _customer_input(form))

    def update(self, session: Session, actor: Actor, now: datetime, key: int, form: Any) -> Customer:
        return services.edit_customer(session, key, form.version.data or 0, _customer_input(form))

    def set_active(self, session: Session, key: int, active: bool) -> Customer:
        return services.set_customer_active(session, key, active)

    def rearranged(self, form: Any) -> bool:
        if "add_address" not in request.form or len(form.addresses) >= services.MAX_ADDRESSES:
            return False
        form.addresses.append_entry()
        return True

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
        addresses=[
            services.AddressInput(entry.id.data, entry.line.data, entry.city.data, entry.postcode.data)
            for entry in (field.form for field in form.addresses)
        ],
    )


def _technician_input(form: Any) -> services.TechnicianInput:
    return services.TechnicianInput(form.name.data, form.email.data, form.phone.data, form.status.data)


def views() -> list[ScopedModelView]:
    """Return the views of this subject, in the order of the menu."""
    return [
        CustomerView(Customer, name=lazy_gettext("Customers"), category="People", endpoint="customers"),
        TechnicianView(Technician, name=lazy_gettext("Technicians"), category="People", endpoint="technicians"),
    ]
