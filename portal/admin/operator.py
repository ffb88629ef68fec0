"""The operator's pages: partners, how the platform runs, and the switch for looking into a partner's data (P20)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import flash, g, redirect, request
from flask.typing import ResponseReturnValue
from flask_admin import BaseView, expose
from flask_babel import gettext, lazy_gettext
from sqlalchemy.orm import Session
from wtforms import EmailField, SelectField, StringField, TextAreaField
from wtforms.widgets import TextInput

from portal.admin.base import (
    AdminPage,
    Asked,
    FilterForm,
    Filters,
    ScopedModelView,
    SelectChoice,
    VersionedForm,
    key_from,
    the_actor,
    the_partner_id,
)
from portal.admin.log import OUTCOMES
from portal.domain.actor import Actor, Permission, Role
from portal.domain.background.services import recorded_jobs
from portal.domain.errors import Invalid, NotFound
from portal.domain.messages.queries import backlog
from portal.domain.paging import PAGE_ROWS, Page
from portal.domain.people import look_ins, partners
from portal.domain.people.invitations import resend, state_of, waiting_invitations
from portal.domain.people.models import Invitation, LookIn, Partner, PartnerEvent
from portal.domain.people.record import MAX_REASON, partner_events
from portal.domain.scheduling import zones
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import db
from portal.web import formats, looking
from portal.web.auth import ROLE_NAMES, session_beyond, stop_looking
from portal.web.forms import Form, add_errors
from portal.web.health import what_is_missing
from portal.web.i18n import language_choices, say_in, within
from portal.web.invitations import demo_link, invitation_key

ANY = ""
EVENTS = {
    "create": lazy_gettext("Created"),
    "rename": lazy_gettext("Renamed"),
    "move_zone": lazy_gettext("Time zone changed"),
    "shift_visits": lazy_gettext("Planned visits shifted to the same clock time"),
    "suspend": lazy_gettext("Suspended"),
    "reactivate": lazy_gettext("Reactivated"),
    "invite": lazy_gettext("Invited"),
    "invite_again": lazy_gettext("Invited again"),
    "revoke_invitation": lazy_gettext("Invitation taken back"),
    "accept_invitation": lazy_gettext("Invitation accepted"),
    "change_role": lazy_gettext("Role changed"),
    "deactivate_staff": lazy_gettext("Deactivated"),
    "reactivate_staff": lazy_gettext("Reactivated"),
}


@contextmanager
def operator_writes() -> Iterator[Session]:
    """Open a session that sees all partners, for one unit of work of the operator's."""
    with session_beyond("operator") as session, unit_of_work(session):
        yield session


def reason_field(label: Any) -> TextAreaField:
    """Return the field for why something is done."""
    return TextAreaField(label, default="", render_kw={"rows": 2, "maxlength": MAX_REASON})


class PartnerFilter(FilterForm):
    """Text in the name, and whether suspended partners are shown."""

    state = SelectField(
        lazy_gettext("Show"),
        default=ANY,
        choices=[
            SelectChoice(ANY, lazy_gettext("All")),
            SelectChoice("active", lazy_gettext("Active")),
            SelectChoice("suspended", lazy_gettext("Suspended")),
        ],
    )


class ZoneField(StringField):
    """A time zone, with all of them to choose from while typing."""

    widget = TextInput()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            lazy_gettext("Time zone"),
            default="",
            filters=[lambda text: (text or "").strip()],
            render_kw={"list": "zones", "autocomplete": "off"},
            **kwargs,
        )


class NewPartnerForm(VersionedForm):
    """A new partner and who becomes its first admin."""

    name = StringField(lazy_gettext("Name of the company"), default="", render_kw={"autocomplete": "off"})
    timezone = ZoneField()
    job_prefix = StringField(
        lazy_gettext("Letters before its job numbers"),
        default="",
        filters=[lambda text: (text or "").strip().upper()],
        render_kw={"autocomplete": "off", "maxlength": 6},
    )
    locale = SelectField(lazy_gettext("Language of messages"), default="", choices=language_choices())
    admin_name = StringField(lazy_gettext("Name of its first admin"), default="", render_kw={"autocomplete": "off"})
    admin_email = EmailField(lazy_gettext("Their email address"), default="", render_kw={"autocomplete": "off"})
    reason = reason_field(lazy_gettext("Reason"))


class PartnerForm(VersionedForm):
    """What the operator may change about a partner."""

    name = StringField(lazy_gettext("Name of the company"), default="", render_kw={"autocomplete": "off"})
    timezone = ZoneField()
    visits = SelectField(
        lazy_gettext("Planned visits"),
        default=ANY,
        choices=[
            SelectChoice(ANY, lazy_gettext("Choose")),
            SelectChoice(partners.KEEP, lazy_gettext("Keep the moment, so that the clock shows another time")),
            SelectChoice(partners.SHIFT, lazy_gettext("Shift to the same clock time in the new zone")),
        ],
    )
    reason = reason_field(lazy_gettext("Reason"))


class SwitchForm(Form):
    """Why a partner is suspended or reactivated."""

    reason = reason_field(lazy_gettext("Reason"))


class LookForm(Form):
    """Why the operator looks into a partner's data; named apart, since both forms are on one page."""

    look_reason = reason_field(lazy_gettext("Reason, which the partner reads"))


class PartnersView(ScopedModelView):
    """Partners with their figures; each is created, edited, suspended, reactivated and looked into, with a reason."""

    permission = Permission.MANAGE_PARTNERS
    add_label = lazy_gettext("Create partner")
    list_template = "admin/operator/partners.html"
    create_template = "admin/operator/new_partner.html"
    edit_template = "admin/operator/edit_partner.html"
    column_list = ("name", "state", "since", "jobs", "visits", "people", "messages")
    column_labels = {
        "name": lazy_gettext("Name"),
        "state": lazy_gettext("State"),
        "since": lazy_gettext("Since"),
        "jobs": lazy_gettext("Jobs"),
        "visits": lazy_gettext("Visits this week"),
        "people": lazy_gettext("Customers, technicians"),
        "messages": lazy_gettext("Messages unsent, failed"),
    }
    sorts = partners.PARTNERS_BY
    filter_form = PartnerFilter

    def get_create_form(self) -> type[Form]:
        return NewPartnerForm

    def get_edit_form(self) -> type[Form]:
        return PartnerForm

    def get_list(self, asked: Asked, limit: int = PAGE_ROWS) -> Page[Partner]:
        suspended = {"active": False, "suspended": True}.get(asked.filters["state"])
        with session_beyond("operator") as session:
            return partners.list_partners(session, asked.filters["q"], suspended, asked.order, asked.cursor, limit)

    def list_context(self, asked: Asked, page: Page[Any]) -> dict[str, Any]:
        with session_beyond("operator") as session:
            figures = partners.figures_of(session, formats.now(), page.rows)
        return {**super().list_context(asked, page), "figures": figures}

    def get_one(self, key: Any) -> Partner:
        with session_beyond("operator") as session:
            return partners.find_partner(session, key_from(key))

    def time_zones(self) -> list[str]:
        """Return the names to choose from."""
        return sorted(zones.time_zones())

    def return_url(self) -> str:
        key = request.args.get("id", "")
        return str(self.get_url(".partner_view", key=key_from(key))) if key else super().return_url()

    def _write(self, form: Any, use_case: Any) -> Any:
        try:
            with operator_writes() as session:
                return use_case(session, the_actor(), formats.now())
        except Invalid as refused:
            add_errors(form, refused.errors)
        return None

    def create(self, session: Session, actor: Actor, now: datetime, form: Any) -> Partner:
        typed = partners.NewPartner(
            name=form.name.data,
            timezone=form.timezone.data,
            job_prefix=form.job_prefix.data,
            admin_name=form.admin_name.data,
            admin_email=form.admin_email.data,
            reason=form.reason.data,
            locale=form.locale.data,
        )
        return partners.found_by_invitation(session, actor, now, invitation_key(), typed, say_in(typed.locale))

    def update(self, session: Session, actor: Actor, now: datetime, key: int, form: Any) -> Partner:
        typed = partners.PartnerEdit(
            version=form.version.data or 0,
            name=form.name.data,
            timezone=form.timezone.data,
            reason=form.reason.data,
            visits=form.visits.data,
        )
        return partners.edit_partner(session, actor, now, key, typed)

    @expose("/<int:key>")
    def partner_view(self, key: int) -> ResponseReturnValue:
        return self._partner_page(key)

    @expose("/<int:key>/suspend", methods=("POST",))
    def suspend_view(self, key: int) -> ResponseReturnValue:
        return self._act(key, partners.suspend_partner, gettext("Suspended. Nobody of it can change anything now."))

    @expose("/<int:key>/reactivate", methods=("POST",))
    def reactivate_view(self, key: int) -> ResponseReturnValue:
        return self._act(key, partners.reactivate_partner, gettext("Active again. Messages still wanted go out."))

    @expose("/<int:key>/look", methods=("POST",))
    def look_view(self, key: int) -> ResponseReturnValue:
        form = LookForm(request.form)
        try:
            with operator_writes() as session:
                look_in = look_ins.begin_look_in(session, the_actor(), formats.now(), key, form.look_reason.data or "")
        except Invalid as refused:
            add_errors(form, {"look_reason": refused.errors["reason"]})
            return self._partner_page(key, look_form=form), 422
        looking.switch_on(look_in)
        return redirect(self.get_url("admin.index"), 303)

    @expose("/<int:key>/invitations/<int:invitation_id>/resend", methods=("POST",))
    def resend_view(self, key: int, invitation_id: int) -> ResponseReturnValue:
        with operator_writes() as session:
            invitation = resend(session, the_actor(), formats.now(), invitation_key(), invitation_id)
            if invitation.partner_id != key:
                raise NotFound
        flash(gettext("The invitation goes to %(email)s again.", email=invitation.email), "ok")
        return redirect(self.get_url(".partner_view", key=key), 303)

    def _act(self, key: int, use_case: Any, done: str) -> ResponseReturnValue:
        form = SwitchForm(request.form)
        try:
            with operator_writes() as session:
                use_case(session, the_actor(), formats.now(), key, form.reason.data or "")
        except Invalid as refused:
            add_errors(form, refused.errors)
            return self._partner_page(key, switch_form=form), 422
        flash(done, "ok")
        return redirect(self.get_url(".partner_view", key=key), 303)

    def _partner_page(self, key: int, **forms: Form) -> str:
        now = formats.now()
        with session_beyond("operator") as session:
            partner = partners.find_partner(session, key)
            values: dict[str, Any] = {
                "partner_shown": partner,
                "figures": partners.figures_of(session, now, [partner])[partner.id],
                "invitations": invitation_rows(session, partner.id, now),
                "looks": look_ins.look_ins_of(session, partner.id),
                "events": told(partner_events(session, partner.id)),
            }
        values |= {"switch_form": SwitchForm(), "look_form": LookForm()} | forms
        values["form_has_errors"] = any(form.errors for form in forms.values())
        return str(self.render("admin/operator/partner.html", **values))


class StopLookingView(AdminPage):
    """The way out of a partner's data. While looking in, the operator has that partner's pages and no others."""

    @expose("/", methods=("POST",))
    def index(self) -> ResponseReturnValue:
        present = g.get("looking")
        if present is not None:
            stop_looking(present)
            flash(gettext("You look into no partner's data any more."), "ok")
        return redirect(self.get_url("admin.index"), 303)


@dataclass(frozen=True, slots=True)
class Told:
    """An entry of a partner's record in words."""

    at: datetime
    words: str
    about: str
    before: str
    after: str
    reason: str
    who: str


def told(events: Iterable[PartnerEvent]) -> list[Told]:
    """Return entries of a partner's record in words, as they come."""
    return [
        Told(
            at=event.at,
            words=str(EVENTS[event.action]),
            about=event.about,
            before=_value(event.before),
            after=_value(event.after),
            reason=event.reason,
            who=gettext(
                "%(name)s, %(role)s", name=event.actor_name, role=within(str(ROLE_NAMES[Role(event.actor_role)]))
            ),
        )
        for event in events
    ]


def _value(text: str) -> str:
    return str(ROLE_NAMES[Role(text)]) if text in set(Role) else text


def invitation_rows(session: Session, partner_id: int, now: datetime) -> list[dict[str, Any]]:
    """Return the invitations to a partner's staff that wait, each with its state and, in the demo, its link."""
    return [invitation_row(one, now) for one in waiting_invitations(session, partner_id)]


def invitation_row(invitation: Invitation, now: datetime) -> dict[str, Any]:
    """Return an invitation with its state at ``now`` and, in the demo, its link."""
    return {"invitation": invitation, "state": state_of(invitation, now).value, "link": demo_link(invitation)}


class HealthView(AdminPage):
    """How the platform runs: what is missing, what waits in the outbox, what the worker did last."""

    permission = Permission.MANAGE_PARTNERS

    @expose("/")
    def index(self) -> ResponseReturnValue:
        with session_beyond("operator") as session:
            waiting = backlog(session, formats.now())
        return self.render(
            "admin/operator/health.html",
            missing=what_is_missing(),
            waiting=waiting,
            jobs=recorded_jobs(db.session()),
            outcomes=OUTCOMES,
        )


class AccessView(ScopedModelView):
    """When the operator looked into the partner's data, and what they did to it as a whole: for its admins."""

    permission = Permission.SEE_ACCESS
    can_create = can_edit = False
    list_template = "admin/operator/access.html"
    column_list = ("when", "until", "who", "reason")
    column_labels = {
        "when": lazy_gettext("When"),
        "until": lazy_gettext("Until"),
        "who": lazy_gettext("Who"),
        "reason": lazy_gettext("Reason"),
    }
    sorts = look_ins.LOOK_INS_BY
    usual_sort = "-when"
    sorted_by_time = True
    filter_form = Filters

    def get_list(self, asked: Asked, limit: int = PAGE_ROWS) -> Page[LookIn]:
        return look_ins.list_look_ins(db.session(), asked.order, asked.cursor, limit)

    def list_context(self, asked: Asked, page: Page[Any]) -> dict[str, Any]:
        events = partner_events(db.session(), the_partner_id(the_actor()), Role.OPERATOR)
        return {**super().list_context(asked, page), "events": told(events)}


def views() -> list[BaseView]:
    """Return the views of this subject, in the order of the menu."""
    return [
        PartnersView(Partner, name=lazy_gettext("Partners"), category="Work", endpoint="partners"),
        StopLookingView(name="", endpoint="stop_looking", url="/admin/stop-looking"),
        HealthView(name=lazy_gettext("Health"), category="Work", endpoint="platform_health", url="/admin/health"),
        AccessView(
            LookIn,
            name=lazy_gettext("Operator access"),
            category="Log",
            endpoint="operator_access",
            url="/admin/operator-access",
        ),
    ]
