"""Branding and words: the partner's name, telephone, colour and logo, and what customers read (L1)."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_admin import BaseView, expose
from flask_babel import LazyString, gettext, lazy_gettext
from wtforms import ColorField, FileField, SelectField, StringField, TelField

from portal.admin.base import AdminPage, VersionedForm, differences_of, the_actor, the_partner_id
from portal.domain.actor import Permission
from portal.domain.branding import services
from portal.domain.branding.pictures import MAX_BYTES
from portal.domain.branding.queries import partner_for_branding
from portal.domain.branding.services import WORDED, BrandingInput
from portal.domain.errors import Conflict, Invalid
from portal.domain.jobs.states import APPOINTMENT
from portal.domain.people.models import Partner
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import db
from portal.web import branding, formats
from portal.web.forms import Form, add_errors
from portal.web.i18n import language_choices, translate
from portal.web.partners import partner_info
from portal.web.statuses import customer_badge, customer_label


class BrandingFields(VersionedForm):
    """Name, telephone and colour, and what a technician is called."""

    name = StringField(lazy_gettext("Company name"), default="", render_kw={"autocomplete": "off"})
    phone = TelField(lazy_gettext("Telephone number"), default="", render_kw={"autocomplete": "off"})
    locale = SelectField(
        lazy_gettext("Language of messages"),
        default="",
        choices=language_choices(),
    )
    colour = ColorField(lazy_gettext("Colour"), default="")
    staff_term = StringField(lazy_gettext("In the office"), default="", render_kw={"autocomplete": "off"})
    customer_term = StringField(lazy_gettext("To customers"), default="", render_kw={"autocomplete": "off"})

    def typed_labels(self) -> dict[str, str]:
        """Return the label typed for each status."""
        return {status: self[f"label_{status}"].data for status in WORDED}

    def values(self) -> BrandingInput:
        """Return what was typed, for the use case."""
        own = {name: self[name].data for name in ("name", "phone", "locale", "colour", "staff_term", "customer_term")}
        return BrandingInput(**own, status_labels=self.typed_labels())


# With a field for each status that customers read, under the office's word for it.
BrandingForm: type[BrandingFields] = type(
    "BrandingForm",
    (BrandingFields,),
    {
        f"label_{status}": StringField(
            LazyString(translate, APPOINTMENT.status(status).office), default="", render_kw={"autocomplete": "off"}
        )
        for status in WORDED
    },
)


class LogoForm(Form):
    """A picture of the partner's own."""

    logo = FileField(lazy_gettext("Picture"))


class BrandingView(AdminPage):
    """What the partner's pages look like and which words customers read there, effective at once."""

    permission = Permission.MANAGE_SETTINGS

    @expose("/", methods=("GET", "POST"))
    def index(self) -> ResponseReturnValue:
        partner_id = the_partner_id(the_actor())
        if request.method != "POST":
            return self._page(_form_of(partner_for_branding(db.session(), partner_id)))
        form = BrandingForm(request.form)
        if not form.validate() or "preview" in request.form:
            return self._page(form), 422 if form.errors else 200
        try:
            with unit_of_work(db.session()) as session:
                version = form.version.data or 0
                services.edit_branding(session, the_actor(), formats.now(), partner_id, version, form.values())
        except Invalid as refused:
            add_errors(form, refused.errors)
            return self._page(form), 422
        except Conflict:
            stored = partner_for_branding(db.session(), partner_id)
            differences = differences_of(form, _form_of(stored))
            form.renew(stored.version)
            return self._page(form, differences=differences), 409
        flash(gettext("Saved. Everybody sees it from now on."), "ok")
        return redirect(self.get_url(".index"))

    @expose("/logo", methods=("POST",))
    def logo_view(self) -> ResponseReturnValue:
        partner_id = the_partner_id(the_actor())
        form = LogoForm()
        sent = request.files.get("logo")
        try:
            # One byte more than allowed is enough to see that it is too much.
            drawn = services.drawn_logo(sent.stream.read(MAX_BYTES + 1) if sent is not None else b"")
        except Invalid as refused:
            add_errors(form, refused.errors)
            return self._page(_form_of(partner_for_branding(db.session(), partner_id)), logo_form=form), 422
        with unit_of_work(db.session()) as session:
            services.set_logo(session, the_actor(), formats.now(), partner_id, drawn)
        flash(gettext("The logo is saved."), "ok")
        return redirect(self.get_url(".index"))

    @expose("/logo/remove", methods=("POST",))
    def remove_view(self) -> ResponseReturnValue:
        with unit_of_work(db.session()) as session:
            services.remove_logo(session, the_actor(), formats.now(), the_partner_id(the_actor()))
        flash(gettext("The logo is removed."), "ok")
        return redirect(self.get_url(".index"))

    def _page(self, form: BrandingFields, differences: Any = None, logo_form: LogoForm | None = None) -> str:
        logo_form = logo_form or LogoForm()
        partner = partner_info(the_partner_id(the_actor()))
        # What is no colour cannot be shown; what is stored is one.
        typed = (form.colour.data or "").lower()
        colour = typed if services.COLOUR.fullmatch(typed) else partner.colour
        return self.render(
            "admin/setup/branding.html",
            form=form,
            logo_form=logo_form,
            differences=differences,
            partner=partner,
            colour=colour,
            mended=branding.mended(colour),
            labels=[(form[f"label_{status}"], customer_label(status, {})) for status in WORDED],
            badges=[customer_badge(status, form.typed_labels()) for status in WORDED],
            form_has_errors=bool(form.errors or logo_form.errors) or differences is not None,
        )


def _form_of(partner: Partner) -> BrandingFields:
    values = {f"label_{status}": partner.status_labels.get(status, "") for status in WORDED}
    return BrandingForm(obj=partner, data={"colour": partner.brand_colour, **values})


def views() -> list[BaseView]:
    """Return the views of this subject, in the order of the menu."""
    return [
        BrandingView(
            name=lazy_gettext("Branding and words"), category="Set-up", endpoint="branding", url="/admin/branding"
        )
    ]
