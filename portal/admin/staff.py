"""The partner's staff: who there is, inviting, roles, deactivating; and inviting technicians and customers (C9)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import flash, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_admin import BaseView, expose
from flask_babel import gettext, lazy_gettext
from sqlalchemy.orm import Session
from wtforms import EmailField, SelectField, StringField

from portal.admin.base import (
    ActiveFilter,
    AdminPage,
    Asked,
    FilterForm,
    ScopedModelView,
    SelectChoice,
    VersionedForm,
    key_from,
    the_actor,
    the_partner_id,
)
from portal.admin.operator import invitation_row, invitation_rows, told
from portal.domain.actor import Actor, Permission, Role
from portal.domain.paging import PAGE_ROWS, Page
from portal.domain.people import invitations, staff
from portal.domain.people.models import Customer, Invitation, Membership, Technician
from portal.domain.people.record import partner_events
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import db
from portal.web import formats
from portal.web.auth import ROLE_NAMES
from portal.web.forms import Form
from portal.web.i18n import translate
from portal.web.invitations import invitation_key

ROLES = [SelectChoice(role.value, ROLE_NAMES[role]) for role in (Role.DISPATCHER, Role.PARTNER_ADMIN)]


class InviteForm(VersionedForm):
    """Who is to join the staff, and as what."""

    name = StringField(lazy_gettext("Name"), default="", render_kw={"autocomplete": "off"})
    email = EmailField(lazy_gettext("Email address"), default="", render_kw={"autocomplete": "off"})
    role = SelectField(lazy_gettext("Role"), choices=ROLES)


class RoleForm(VersionedForm):
    """What somebody of the staff may do."""

    role = SelectField(lazy_gettext("Role"), choices=ROLES)


class StaffFilter(FilterForm, ActiveFilter):
    """Text, and whether deactivated staff are shown."""


class StaffView(ScopedModelView):
    """Those who may enter the partner's admin, with the invitations that wait."""

    permission = Permission.MANAGE_STAFF
    can_export = True
    add_label = lazy_gettext("Invite somebody")
    list_template = "admin/staff/list.html"
    create_template = "admin/staff/invite.html"
    edit_template = "admin/staff/member.html"
    column_list = ("name", "role", "state")
    column_labels = {
        "name": lazy_gettext("Name"),
        "role": lazy_gettext("Role"),
        "state": lazy_gettext("State"),
    }
    sorts = staff.STAFF_BY
    filter_form = StaffFilter

    def get_create_form(self) -> type[Form]:
        return InviteForm

    def get_edit_form(self) -> type[Form]:
        return RoleForm

    def label_of(self, row: Any) -> str:
        if isinstance(row, Invitation):
            return str(row.name)
        # What a use case returned has let go of its user by the time it is saved.
        user = staff.staff_member(db.session(), row.id).user
        return str(user.name or user.email)

    def get_list(self, asked: Asked, limit: int = PAGE_ROWS) -> Page[Membership]:
        return staff.list_staff(
            db.session(), asked.filters["q"], asked.filters["active"], asked.order, asked.cursor, limit
        )

    def get_one(self, key: Any) -> Membership:
        return staff.staff_member(db.session(), key_from(key))

    def list_context(self, asked: Asked, page: Page[Any]) -> dict[str, Any]:
        session, partner_id = db.session(), the_partner_id(the_actor())
        return {
            **super().list_context(asked, page),
            "invitations": invitation_rows(session, partner_id, formats.now()),
            "events": told(partner_events(session, partner_id)),
        }

    def export_columns(self) -> dict[str, Any]:
        return {
            gettext("Name"): self.label_of,
            gettext("Email address"): lambda row: row.user.email,
            gettext("Role"): lambda row: ROLE_NAMES[Role(row.role)],
            gettext("Active"): lambda row: gettext("yes") if row.active else gettext("no"),
        }

    def create(self, session: Session, actor: Actor, now: datetime, form: Any) -> Invitation:
        typed = invitations.InvitationInput(form.name.data, form.email.data, form.role.data)
        return invitations.invite_staff(session, actor, now, invitation_key(), the_partner_id(actor), typed)

    def update(self, session: Session, actor: Actor, now: datetime, key: int, form: Any) -> Membership:
        staff.change_role(session, actor, now, key, form.version.data or 0, form.role.data)
        return staff.staff_member(session, key)

    def deactivate_refusal(self, row: Membership) -> str | None:
        """Return why this member of staff cannot be deactivated by who asks, or ``None`` where they can."""
        refusal = staff.deactivate_refusal(db.session(), the_actor(), row)
        return translate(refusal.sentence) if refusal is not None else None

    @expose("/<int:key>/deactivate", methods=("POST",))
    def deactivate_view(self, key: int) -> ResponseReturnValue:
        return self._switch(key, False)

    @expose("/<int:key>/reactivate", methods=("POST",))
    def reactivate_view(self, key: int) -> ResponseReturnValue:
        return self._switch(key, True)

    def _switch(self, key: int, active: bool) -> ResponseReturnValue:
        with unit_of_work(db.session()) as session:
            staff.set_staff_active(session, the_actor(), formats.now(), key, active)
            name = self.label_of(staff.staff_member(session, key))
        again = gettext("%(name)s is active again.", name=name)
        no_more = gettext("%(name)s is deactivated and has no access any more.", name=name)
        flash(again if active else no_more, "ok")
        return redirect(self.return_url())


class InvitationsView(AdminPage):
    """What the buttons at an invitation do: send it again, take it back."""

    permission = Permission.MANAGE_PEOPLE

    @expose("/")
    def index(self) -> ResponseReturnValue:
        return redirect(self.get_url("staff.index_view"))

    @expose("/<int:key>/resend", methods=("POST",))
    def resend_view(self, key: int) -> ResponseReturnValue:
        with unit_of_work(db.session()) as session:
            invitation = invitations.resend(session, the_actor(), formats.now(), invitation_key(), key)
        flash(gettext("The invitation goes to %(email)s again.", email=invitation.email), "ok")
        return redirect(self._where_it_stands(invitation))

    @expose("/<int:key>/revoke", methods=("POST",))
    def revoke_view(self, key: int) -> ResponseReturnValue:
        with unit_of_work(db.session()) as session:
            invitation = invitations.revoke(session, the_actor(), formats.now(), key)
        flash(gettext("The invitation for %(email)s is taken back.", email=invitation.email), "ok")
        return redirect(self._where_it_stands(invitation))

    @expose("/technicians/<int:key>", methods=("POST",))
    def technician_view(self, key: int) -> ResponseReturnValue:
        return self._invite(invitations.invite_technician, key, "technicians.edit_view")

    @expose("/customers/<int:key>", methods=("POST",))
    def customer_view(self, key: int) -> ResponseReturnValue:
        return self._invite(invitations.invite_customer, key, "customers.edit_view")

    def _invite(self, use_case: Callable[..., Invitation], key: int, page: str) -> ResponseReturnValue:
        with unit_of_work(db.session()) as session:
            invitation = use_case(session, the_actor(), formats.now(), invitation_key(), key)
        flash(gettext("An invitation goes to %(email)s.", email=invitation.email), "ok")
        return redirect(self.get_url(page, id=key))

    def _where_it_stands(self, invitation: Invitation) -> str:
        if invitation.technician_id is not None:
            return str(self.get_url("technicians.edit_view", id=invitation.technician_id))
        if invitation.customer_id is not None:
            return str(self.get_url("customers.edit_view", id=invitation.customer_id))
        return str(self.get_url("staff.index_view"))


@dataclass(frozen=True, slots=True)
class LogIn:
    """How somebody of a list may come to sign in: where their invitation is sent from, and the one that waits."""

    invite_url: str
    waiting: dict[str, Any] | None


def log_in_of(person: Technician | Customer) -> LogIn:
    """Return how a technician or customer without a log-in gets one, for the page of their record."""
    is_technician = isinstance(person, Technician)
    keys = {"technician_id" if is_technician else "customer_id": person.id}
    waiting = invitations.invitation_for(db.session(), **keys)
    view = "technician_view" if is_technician else "customer_view"
    return LogIn(
        url_for(f"invitations.{view}", key=person.id),
        invitation_row(waiting, formats.now()) if waiting is not None else None,
    )


def views() -> list[BaseView]:
    """Return the views of this subject, in the order of the menu."""
    return [
        StaffView(Membership, name=lazy_gettext("Staff"), category="Set-up", endpoint="staff"),
        InvitationsView(name="", endpoint="invitations", url="/admin/invitations"),
    ]
