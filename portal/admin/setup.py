"""Set-up: service types (P16), skills and reasons (J5, P10). For the partner's admin."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask_admin import BaseView
from flask_babel import gettext, lazy_gettext
from sqlalchemy.orm import Session
from wtforms import IntegerField, StringField
from wtforms.validators import InputRequired, Optional
from wtforms.widgets import NumberInput

from portal.admin.base import (
    ActiveFilter,
    Asked,
    OrderedView,
    ScopedModelView,
    SwitchedView,
    VersionedForm,
    the_actor,
    the_partner_id,
)
from portal.admin.skills import SkillTicks, SkillView
from portal.domain.actor import Actor, Permission
from portal.domain.paging import PAGE_ROWS, Page
from portal.domain.scheduling import queries, reasons, services
from portal.domain.scheduling.models import PauseReason, RejectReason, ServiceType, Skill
from portal.domain.scheduling.queries import ReasonModel
from portal.domain.scheduling.services import SERVICE_TYPE_LIMITS
from portal.extensions import db
from portal.web import formats

MISSING = lazy_gettext("Enter a whole number")


class WholeNumber(IntegerField):
    """A whole number within the limits of the domain, which checks them; the browser only helps.

    Without a ``default`` it may be left out.
    """

    # Its messages say nothing of what the number is for.
    label_in_summary = True

    def __init__(self, label: Any, limits: tuple[int, int], default: int | None = None, **kwargs: Any) -> None:
        low, high = limits
        check = Optional() if default is None else InputRequired(MISSING)
        super().__init__(label, [check], widget=NumberInput(min=low, max=high), default=default, **kwargs)

    def process_formdata(self, valuelist: list[str]) -> None:
        try:
            super().process_formdata(valuelist)
        except ValueError:
            raise ValueError(MISSING) from None


class ServiceTypeForm(VersionedForm):
    """A service type, its lengths in minutes."""

    name = StringField(lazy_gettext("Name"), default="", render_kw={"autocomplete": "off"})
    duration_minutes = WholeNumber(lazy_gettext("Duration"), SERVICE_TYPE_LIMITS["duration_minutes"], 120)
    window_minutes = WholeNumber(lazy_gettext("Arrival window"), SERVICE_TYPE_LIMITS["window_minutes"], 120)
    step_minutes = WholeNumber(lazy_gettext("Start times every"), SERVICE_TYPE_LIMITS["step_minutes"], 30)
    buffer_before_minutes = WholeNumber(
        lazy_gettext("Kept free before"), SERVICE_TYPE_LIMITS["buffer_before_minutes"], 0
    )
    buffer_after_minutes = WholeNumber(lazy_gettext("Kept free after"), SERVICE_TYPE_LIMITS["buffer_after_minutes"], 0)
    skill_ids = SkillTicks(lazy_gettext("Skills it needs"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.skill_ids.offer()

    def values(self) -> services.ServiceTypeInput:
        """Return what was typed, for the use case."""
        return services.ServiceTypeInput(**{name: value for name, value in self.data.items() if name != "version"})


class ServiceTypeView(SwitchedView, ScopedModelView):
    """Service types with their duration, window, steps, buffers and skills."""

    permission = Permission.MANAGE_SETTINGS
    can_export = True
    add_label = lazy_gettext("Add service type")
    list_template = "admin/setup/service_types.html"
    create_template = edit_template = "admin/setup/service_type.html"
    column_list = ("name", "duration", "window", "buffers", "skills")
    column_labels = {
        "name": lazy_gettext("Name"),
        "duration": lazy_gettext("Duration"),
        "window": lazy_gettext("Arrival window"),
        "buffers": lazy_gettext("Kept free around it"),
        "skills": lazy_gettext("Skills it needs"),
    }
    sorts = queries.SERVICE_TYPES_BY
    # Too few for a search.
    filter_form = ActiveFilter
    form = ServiceTypeForm

    def get_list(self, asked: Asked, limit: int = PAGE_ROWS) -> Page[ServiceType]:
        return queries.list_service_types(db.session(), asked.filters["active"], asked.order, asked.cursor, limit)

    def create(self, session: Session, actor: Actor, now: datetime, form: Any) -> ServiceType:
        return services.create_service_type(session, actor, now, the_partner_id(actor), form.values())

    def update(self, session: Session, actor: Actor, now: datetime, key: int, form: Any) -> ServiceType:
        return services.edit_service_type(session, actor, now, key, form.version.data or 0, form.values())

    def set_active(self, session: Session, key: int, active: bool) -> ServiceType:
        return services.set_service_type_active(session, the_actor(), formats.now(), key, active)

    def export_columns(self) -> dict[str, Any]:
        return {
            gettext("Name"): lambda row: row.name,
            gettext("Duration in minutes"): lambda row: row.duration_minutes,
            gettext("Arrival window in minutes"): lambda row: row.window_minutes,
            gettext("Start times every, in minutes"): lambda row: row.step_minutes,
            gettext("Kept free before, in minutes"): lambda row: row.buffer_before_minutes,
            gettext("Kept free after, in minutes"): lambda row: row.buffer_after_minutes,
            gettext("Skills it needs"): lambda row: ", ".join(skill.name for skill in row.skills),
            gettext("Active"): lambda row: gettext("yes") if row.active else gettext("no"),
        }


class ReasonForm(VersionedForm):
    """A reason that people choose from a list."""

    label = StringField(lazy_gettext("Reason"), default="", render_kw={"autocomplete": "off"})


class ReasonView(OrderedView, SwitchedView, ScopedModelView):
    """A list of reasons in an order of its own."""

    permission = Permission.MANAGE_SETTINGS
    list_template = "admin/setup/reasons.html"
    create_template = edit_template = "admin/setup/reason.html"
    add_label = lazy_gettext("Add reason")
    column_list = ("label",)
    column_labels = {"label": lazy_gettext("Reason")}
    # Too few for a search.
    filter_form = ActiveFilter
    form = ReasonForm
    # Where the reasons are chosen from, in words.
    lead: Any = ""

    def __init__(self, model: ReasonModel, **kwargs: Any) -> None:
        self.sorts = {"order": queries.reasons_by(model)}
        super().__init__(model, **kwargs)

    def get_list(self, asked: Asked, limit: int = PAGE_ROWS) -> Page[Any]:
        active = asked.filters["active"]
        return queries.list_reasons(db.session(), self.model, active, asked.order, asked.cursor, limit)

    def create(self, session: Session, actor: Actor, now: datetime, form: Any) -> Any:
        return reasons.create_reason(session, actor, now, self.model, the_partner_id(actor), form.label.data)

    def update(self, session: Session, actor: Actor, now: datetime, key: int, form: Any) -> Any:
        version = form.version.data or 0
        return reasons.edit_reason(session, actor, now, self.model, key, version, form.label.data)

    def set_active(self, session: Session, key: int, active: bool) -> Any:
        return reasons.set_reason_active(session, the_actor(), formats.now(), self.model, key, active)

    def move(self, session: Session, key: int, down: bool) -> Any:
        return reasons.move_reason(session, the_actor(), formats.now(), self.model, key, down)


class PauseReasonView(ReasonView):
    """Why a visit is paused."""

    lead = lazy_gettext("Technicians choose one when they pause a visit.")


class RejectReasonView(ReasonView):
    """Why an installation is rejected."""

    lead = lazy_gettext("The office chooses one when it rejects an installation, or writes another.")


def views() -> list[BaseView]:
    """Return the views of this subject, in the order of the menu."""
    return [
        ServiceTypeView(
            ServiceType,
            name=lazy_gettext("Service types"),
            category="Set-up",
            endpoint="service_types",
            url="/admin/service-types",
        ),
        SkillView(Skill, name=lazy_gettext("Skills"), category="Set-up", endpoint="skills"),
        PauseReasonView(
            PauseReason,
            name=lazy_gettext("Pause reasons"),
            category="Set-up",
            endpoint="pause_reasons",
            url="/admin/pause-reasons",
        ),
        RejectReasonView(
            RejectReason,
            name=lazy_gettext("Reject reasons"),
            category="Set-up",
            endpoint="reject_reasons",
            url="/admin/reject-reasons",
        ),
    ]
