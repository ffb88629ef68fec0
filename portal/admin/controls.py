"""The feature controls of Modify (M2): the partner's own, what differs for some, and what a change would do (L3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin import BaseView, expose
from flask_babel import gettext, lazy_gettext, ngettext
from sqlalchemy.orm import Session
from wtforms import BooleanField, SelectField

from portal.admin.base import (
    AdminPage,
    SelectChoice,
    VersionedForm,
    differences_of,
    key_from,
    the_actor,
    the_partner_id,
)
from portal.admin.setup import WholeNumber
from portal.domain.actor import Permission
from portal.domain.errors import Conflict, Invalid, Refused
from portal.domain.jobs.preview import Preview, preview_controls, preview_override
from portal.domain.scheduling import overrides, queries, services
from portal.domain.scheduling.models import ControlOverride
from portal.domain.scheduling.overrides import Inheritance
from portal.domain.scheduling.rules import CONTROLS, ControlValues, OverrideValues, Owner
from portal.domain.scheduling.services import CONTROLS_LIMITS
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import db
from portal.web import formats
from portal.web.cursors import cursor_args, cursor_from
from portal.web.errors import shows_again
from portal.web.forms import add_errors
from portal.web.job_pages import job_url

LABELS: dict[str, Any] = {
    "self_service": lazy_gettext("Customers may modify appointments"),
    "reschedule_unconfirmed": lazy_gettext("Move, not confirmed yet"),
    "cancel_unconfirmed": lazy_gettext("Cancel, not confirmed yet"),
    "reschedule_confirmed": lazy_gettext("Move, confirmed"),
    "cancel_confirmed": lazy_gettext("Cancel, confirmed"),
    "reschedule_cutoff_hours": lazy_gettext("Move, latest before the start"),
    "cancel_cutoff_hours": lazy_gettext("Cancel, latest before the start"),
    "max_moves": lazy_gettext("How often one appointment may be moved"),
    "notice_hours": lazy_gettext("How soon a newly chosen time may be"),
    "horizon_days": lazy_gettext("How far ahead they may book"),
    "cancel_undo_minutes": lazy_gettext("How long they can undo a cancel"),
    "own_choice_confirms": lazy_gettext("Their own choice counts as confirmed"),
}
YES, NO, INHERIT = "yes", "no", ""
# Of service types that differ, beside what a customer inherits.
MOST_NAMES = 3
# Where each is edited.
VIEWS = {Owner.SERVICE_TYPE: "service_type", Owner.CUSTOMER: "customer", Owner.JOB: "job"}


def number(name: str, default: int | None = None) -> WholeNumber:
    """Return the field of a control that is a number; without a ``default`` it may be left empty."""
    return WholeNumber(LABELS[name], CONTROLS_LIMITS[name], default)


def switch(name: str) -> SelectField:
    """Return the field of an override's control that is on, off or inherited."""
    return SelectField(LABELS[name], default=INHERIT)


def in_words(name: str, value: int) -> str:
    """Return what a control is set to as a person reads it."""
    if name == "self_service":
        return str(gettext("on") if value else gettext("off"))
    if name == "own_choice_confirms":
        return str(gettext("yes") if value else gettext("no"))
    if name.endswith("_hours"):
        return str(ngettext("%(num)d hour", "%(num)d hours", value))
    if name.endswith("_minutes"):
        return str(ngettext("%(num)d minute", "%(num)d minutes", value))
    if name.endswith("_days"):
        return str(ngettext("%(num)d day", "%(num)d days", value))
    if name == "max_moves":
        return str(ngettext("%(num)d time", "%(num)d times", value))
    return str(gettext("allowed") if value else gettext("not allowed"))


def lines_of(override: ControlOverride | None) -> list[tuple[str, str]]:
    """Return what an override sets, in words: pairs of control and value."""
    values = {name: getattr(override, name) for name in LABELS} if override is not None else {}
    return [(str(LABELS[name]), in_words(name, value)) for name, value in values.items() if value is not None]


@dataclass(frozen=True, slots=True)
class OwnRules:
    """What a customer's or a job's page says of the feature controls: what differs there, and where to change it."""

    lines: list[tuple[str, str]]
    edit_url: str | None


def own_rules(owner: Owner, row: Any, override: ControlOverride | None) -> OwnRules:
    """Return what differs for a customer or a job; without an address where whoever looks may not change it."""
    may = the_actor().may(Permission.MANAGE_SETTINGS) and overrides.edit_refusal(db.session(), row) is None
    name = VIEWS[owner]
    edit_url = url_for(f"feature_controls.{name}_view", **{f"{name}_id": row.id}) if may else None
    return OwnRules(lines_of(override), edit_url)


class ControlsForm(VersionedForm):
    """The partner's rules of self-service."""

    self_service = BooleanField(LABELS["self_service"])
    reschedule_unconfirmed = BooleanField(LABELS["reschedule_unconfirmed"])
    cancel_unconfirmed = BooleanField(LABELS["cancel_unconfirmed"])
    reschedule_confirmed = BooleanField(LABELS["reschedule_confirmed"])
    cancel_confirmed = BooleanField(LABELS["cancel_confirmed"])
    reschedule_cutoff_hours = number("reschedule_cutoff_hours", 24)
    cancel_cutoff_hours = number("cancel_cutoff_hours", 48)
    max_moves = number("max_moves", 3)
    notice_hours = number("notice_hours", 24)
    horizon_days = number("horizon_days", 60)
    cancel_undo_minutes = number("cancel_undo_minutes", 10)
    own_choice_confirms = BooleanField(LABELS["own_choice_confirms"])

    def values(self) -> ControlValues:
        """Return what was typed, for the use case."""
        return ControlValues(**{name: self[name].data for name in CONTROLS})


class OverrideForm(VersionedForm):
    """What differs for one service type, customer or job; what is left as it is inherits."""

    self_service = switch("self_service")
    reschedule_unconfirmed = switch("reschedule_unconfirmed")
    cancel_unconfirmed = switch("cancel_unconfirmed")
    reschedule_confirmed = switch("reschedule_confirmed")
    cancel_confirmed = switch("cancel_confirmed")
    reschedule_cutoff_hours = number("reschedule_cutoff_hours")
    cancel_cutoff_hours = number("cancel_cutoff_hours")
    max_moves = number("max_moves")
    notice_hours = number("notice_hours")
    horizon_days = number("horizon_days")
    cancel_undo_minutes = number("cancel_undo_minutes")
    own_choice_confirms = switch("own_choice_confirms")

    def offer(self, inherited: Inheritance) -> None:
        """Say at each control what it would inherit, and from whom."""
        self.inherited = {name: _inherits(inherited, name) for name in CONTROLS}
        for name in CONTROLS:
            one: Any = self[name]
            if isinstance(one, SelectField):
                inherits = gettext("Inherit: %(value)s", value=in_words(name, getattr(inherited.controls, name)))
                one.choices = [
                    SelectChoice(INHERIT, inherits),
                    SelectChoice(YES, in_words(name, True)),
                    SelectChoice(NO, in_words(name, False)),
                ]

    def values(self) -> OverrideValues:
        """Return what was typed, for the use case."""
        chosen: dict[Any, bool | None] = {INHERIT: None, YES: True, NO: False}
        return OverrideValues(
            **{
                name: chosen[self[name].data] if isinstance(self[name], SelectField) else self[name].data
                for name in CONTROLS
            }
        )


def _inherits(inherited: Inheritance, name: str) -> str:
    value = in_words(name, getattr(inherited.controls, name))
    whose = inherited.names[inherited.controls.owner_of(name)]
    text = gettext("Inherit: %(value)s, from %(name)s", value=value, name=whose)
    if name in inherited.differing:
        names = inherited.differing[name]
        others = ", ".join((*names[:MOST_NAMES], *("…" for _ in names[MOST_NAMES : MOST_NAMES + 1])))
        text = gettext("%(inherited)s (or what is set for %(names)s)", inherited=text, names=others)
    return str(text)


@dataclass(frozen=True, slots=True)
class Edited:
    """What a page of controls is about: how its form is made, looked at ahead, and saved."""

    form: Callable[..., Any]
    stored: Callable[[], Any]
    save: Callable[[Session, Any], object]
    preview: Callable[[Any], Preview]
    template: str
    here: str
    done: str


class FeatureControlsView(AdminPage):
    """What customers may change by themselves, effective at once."""

    permission = Permission.MANAGE_SETTINGS

    @expose("/", methods=("GET", "POST"))
    @shows_again
    def index(self) -> ResponseReturnValue:
        """Show the partner's own rules with all that differs from them, and change them."""
        partner_id, session = the_partner_id(the_actor()), db.session()

        def save(session: Session, form: ControlsForm) -> None:
            version = form.version.data or 0
            services.edit_controls(session, the_actor(), formats.now(), partner_id, version, form.values())

        here = self.get_url(".index")
        edited = Edited(
            ControlsForm,
            lambda: ControlsForm(obj=queries.controls_of(session, partner_id)),
            save,
            lambda form: preview_controls(session, partner_id, formats.now(), form.values()),
            "admin/setup/controls.html",
            here,
            here,
        )

        def listed() -> dict[str, Any]:
            cursor = cursor_from(request.args, overrides.NEWEST_FIRST)
            page = overrides.overrides_of_customers_and_jobs(session, cursor)
            back, forward = (
                f"{self.get_url('.index', **cursor_args(end))}#others" if end else None
                for end in (page.back, page.forward)
            )
            return {
                "of_types": overrides.overrides_of_service_types(session),
                "others": page.rows,
                "others_links": (back, forward),
                "types_left": overrides.service_types_without(session),
                "controls": queries.controls_of(session, partner_id),
            }

        return self._serve(edited, listed)

    @expose("/service-type/")
    def choose_view(self) -> ResponseReturnValue:
        """Lead to the rules of the service type that was chosen from the list."""
        return redirect(self.edit_url(Owner.SERVICE_TYPE, key_from(request.args.get("id"))))

    @expose("/service-type/<int:service_type_id>/", methods=("GET", "POST"))
    @shows_again
    def service_type_view(self, service_type_id: int) -> ResponseReturnValue:
        """Change what differs for one service type."""
        return self._override(Owner.SERVICE_TYPE, service_type_id)

    @expose("/customer/<int:customer_id>/", methods=("GET", "POST"))
    @shows_again
    def customer_view(self, customer_id: int) -> ResponseReturnValue:
        """Change what differs for one customer."""
        return self._override(Owner.CUSTOMER, customer_id)

    @expose("/job/<int:job_id>/", methods=("GET", "POST"))
    @shows_again
    def job_view(self, job_id: int) -> ResponseReturnValue:
        """Change what differs for one job."""
        return self._override(Owner.JOB, job_id)

    def edit_url(self, owner: Owner, key: int | None) -> str:
        """Return where the override of a service type, customer or job is edited."""
        name = VIEWS[owner]
        return str(self.get_url(f".{name}_view", **{f"{name}_id": key}))

    def _override(self, owner: Owner, key: int) -> ResponseReturnValue:
        session, partner_id = db.session(), the_partner_id(the_actor())
        row = overrides.owner_row(session, owner, key)
        refusal = overrides.edit_refusal(session, row)
        if refusal is not None:
            raise Refused(refusal)
        name = overrides.name_of(row)
        pages: dict[Owner, str] = {
            Owner.SERVICE_TYPE: self.get_url("service_types.edit_view", id=key),
            Owner.CUSTOMER: self.get_url("customers.page_view", key=key),
        }
        if owner is Owner.JOB:
            pages[owner] = job_url(row.workflow, key)
        inherited = overrides.inherited_by(session, owner, row)

        def form_of(*args: Any, **kwargs: Any) -> OverrideForm:
            form = OverrideForm(*args, **kwargs)
            form.offer(inherited)
            return form

        def stored() -> OverrideForm:
            override = overrides.override_of(session, owner, key)
            values = {one: _as_typed(value) for one in CONTROLS if (value := getattr(override, one, None)) is not None}
            return form_of(data=values | {"version": overrides.version_of(session, owner, key)})

        def save(session: Session, form: OverrideForm) -> None:
            version = form.version.data or 0
            overrides.edit_override(session, the_actor(), formats.now(), owner, key, version, form.values())

        edited = Edited(
            form_of,
            stored,
            save,
            lambda form: preview_override(session, partner_id, formats.now(), owner, key, form.values()),
            "admin/setup/override.html",
            self.edit_url(owner, key),
            self.get_url(".index") if owner is Owner.SERVICE_TYPE else pages[owner],
        )
        return self._serve(edited, lambda: {"owner": owner, "name": name, "page_url": pages[owner]})

    def _serve(self, edited: Edited, context: Callable[[], dict[str, Any]]) -> ResponseReturnValue:
        """Show the form, look ahead at what it would do, or save it."""
        form = edited.form(request.form) if request.method == "POST" else None
        differences = preview = None
        if form is not None and not form.validate():
            # Whatever else is wrong, so that nobody sends the form once for each.
            add_errors(form, services.controls_errors(form.data))
        elif form is not None:
            try:
                if "preview" in request.form:
                    preview = edited.preview(form)
                else:
                    with unit_of_work(db.session()) as session:
                        edited.save(session, form)
            except Invalid as refused:
                add_errors(form, refused.errors)
            except Conflict:
                stored = edited.stored()
                differences = differences_of(form, stored)
                form.renew(stored.version.data)
            else:
                if preview is None:
                    flash(gettext("Saved. The rules hold from now on."), "ok")
                    return redirect(edited.done)
        stored = edited.stored()
        form = form or stored
        page = self.render(
            edited.template,
            form=form,
            here=edited.here,
            preview=preview,
            was={name: stored[name] for name in CONTROLS if form[name].data != stored[name].data},
            differences=differences,
            form_has_errors=bool(form.errors) or differences is not None,
            lines_of=lines_of,
            **context(),
        )
        return page, 409 if differences is not None else 422 if form.errors else 200


def _as_typed(value: Any) -> Any:
    return {True: YES, False: NO}[value] if isinstance(value, bool) else value


def views() -> list[BaseView]:
    """Return the view of this subject."""
    return [
        FeatureControlsView(
            name=lazy_gettext("Feature controls"),
            category="Set-up",
            endpoint="feature_controls",
            url="/admin/feature-controls",
        )
    ]
