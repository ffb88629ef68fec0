"""Mail server and texts: over which servers the partner's messages leave, and whether they do (N4, L1)."""

from __future__ import annotations

from typing import Any

from flask import current_app, flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_admin import BaseView, expose
from flask_babel import gettext, lazy_gettext
from flask_security import current_user
from wtforms import BooleanField, EmailField, PasswordField, SelectField, StringField, TelField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]

from portal.admin.base import AdminPage, VersionedForm, differences_of, the_actor, the_partner_id
from portal.admin.setup import WholeNumber
from portal.domain.actor import Permission
from portal.domain.delivery import gateways, settings, trials
from portal.domain.delivery.models import ChannelSettings, ChannelTest, Security
from portal.domain.delivery.settings import PORTS, ChannelsInput
from portal.domain.errors import Conflict, Invalid, NotFound, Refused
from portal.domain.messages.models import AttemptOutcome, Channel
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import db
from portal.settings import Environment, Settings
from portal.web import formats
from portal.web.forms import Form, add_errors
from portal.web.i18n import translate
from portal.web.statuses import DONE, NEEDS, SCHEDULED, Badge

# Browsers fill in what they know elsewhere.
UNKNOWN_TO_BROWSERS = {"autocomplete": "off"}
SECRET = {"autocomplete": "new-password"}
SECURITIES = {
    Security.STARTTLS: lazy_gettext("Encrypted after STARTTLS, usually port 587"),
    Security.TLS: lazy_gettext("Encrypted from the start, usually port 465"),
    Security.NONE: lazy_gettext("Not encrypted, without user and password"),
}


class ChannelsForm(VersionedForm):
    """Whose servers; the secrets are typed and never shown."""

    own_mail = BooleanField(lazy_gettext("Send mail over our own server"))
    smtp_host = StringField(lazy_gettext("Mail server"), default="", render_kw=UNKNOWN_TO_BROWSERS)
    smtp_port = WholeNumber(lazy_gettext("Port"), PORTS, 587)
    smtp_security = SelectField(
        lazy_gettext("Connection"),
        default=Security.STARTTLS.value,
        choices=[SelectChoice(str(name), text) for name, text in SECURITIES.items()],
        validate_choice=False,
    )
    smtp_user = StringField(lazy_gettext("User"), default="", render_kw=UNKNOWN_TO_BROWSERS)
    smtp_password = PasswordField(lazy_gettext("Password"), default="", render_kw=SECRET)
    sender = EmailField(lazy_gettext("Address that mail comes from"), default="", render_kw=UNKNOWN_TO_BROWSERS)
    text_gateway = PasswordField(lazy_gettext("Address of the gateway"), default="", render_kw=SECRET)
    no_texts = BooleanField(lazy_gettext("Forget the gateway and send no texts"))

    def values(self) -> ChannelsInput:
        """Return what was typed, for the use case."""
        return ChannelsInput(**{name: value for name, value in self.data.items() if name != "version"})


class TestForm(Form):
    """Whom a test text goes to; a test mail goes to who asks for it."""

    number = TelField(lazy_gettext("Telephone number"), default="", render_kw=UNKNOWN_TO_BROWSERS)


class ChannelsView(AdminPage):
    """The partner's mail server and text gateway, with a test of each."""

    permission = Permission.MANAGE_SETTINGS

    @expose("/", methods=("GET", "POST"))
    def index(self) -> ResponseReturnValue:
        partner_id = the_partner_id(the_actor())
        stored = settings.channels_of(db.session(), partner_id)
        if request.method != "POST":
            return self._page(stored, _form_of(stored))
        form = ChannelsForm(request.form)
        if form.validate():
            try:
                with unit_of_work(db.session()) as session:
                    settings.edit_channels(
                        session,
                        the_actor(),
                        formats.now(),
                        partner_id,
                        form.version.data or 0,
                        form.values(),
                        _settings().vault,
                    )
            except Invalid as refused:
                add_errors(form, refused.errors)
            except Conflict:
                return self._conflict(partner_id, form)
            else:
                flash(gettext("Saved. It holds from the next message on; send a test."), "ok")
                return redirect(self.get_url(".index"), 303)
        return self._page(settings.channels_of(db.session(), partner_id), form), 422

    def _conflict(self, partner_id: int, form: ChannelsForm) -> ResponseReturnValue:
        stored = settings.channels_of(db.session(), partner_id)
        # Of what is never shown nothing is compared.
        differences = [one for one in differences_of(form, _form_of(stored)) if one.label not in _secret_labels(form)]
        form.renew(stored.version)
        return self._page(stored, form, differences), 409

    @expose("/test/<channel>", methods=("POST",))
    def test_view(self, channel: str) -> ResponseReturnValue:
        """Ask the worker for a test message."""
        if channel not in set(Channel):
            raise NotFound
        kind = Channel(channel)
        form = TestForm(request.form)
        form.validate()
        partner_id = the_partner_id(the_actor())
        recipient = form.number.data or "" if kind is Channel.TEXT else current_user.email
        try:
            with unit_of_work(db.session()) as session:
                trials.ask_test(session, the_actor(), formats.now(), partner_id, kind, recipient)
        except Invalid as refused:
            add_errors(form, refused.errors)
            stored = settings.channels_of(db.session(), partner_id)
            return self._page(stored, _form_of(stored), test_form=form), 422
        except Refused as refused_now:
            flash(translate(refused_now.refusal.sentence), "danger")
        else:
            flash(gettext("The test is on its way; what becomes of it shows here in a moment."), "ok")
        return redirect(f"{self.get_url('.index')}#tests", 303)

    def _page(
        self,
        stored: ChannelSettings,
        form: ChannelsForm,
        differences: Any = None,
        test_form: TestForm | None = None,
    ) -> str:
        test_form = test_form or TestForm()
        tests = trials.latest_tests(db.session(), the_partner_id(the_actor()))
        return self.render(
            "admin/setup/channels.html",
            form=form,
            test_form=test_form,
            stored=stored,
            differences=differences,
            tests=tests,
            test_badge=trial_badge,
            services=sorted(gateways.SERVICES),
            service_example="twilio://account:token@+441174960180",
            endpoint_example="jsons://user:password@sms.example.com/send",
            is_demo=_settings().doorstep_env is Environment.DEMO,
            own_address=current_user.email,
            form_has_errors=bool(form.errors or test_form.errors) or differences is not None,
        )


def _settings() -> Settings:
    found: Settings = current_app.config["SETTINGS"]
    return found


def _form_of(stored: ChannelSettings) -> ChannelsForm:
    shown = {name: getattr(stored, name) for name in ChannelsForm()._fields if hasattr(stored, name)}
    return ChannelsForm(data=shown | {"smtp_password": "", "text_gateway": ""})


def _secret_labels(form: ChannelsForm) -> set[str]:
    return {str(form[name].label.text) for name in ("smtp_password", "text_gateway", "no_texts")}


def trial_badge(test: ChannelTest) -> Badge:
    """Return what became of a test in a badge."""
    if not test.outcome:
        return Badge(SCHEDULED, gettext("On its way"))
    if test.outcome == AttemptOutcome.SENT:
        in_demo = _settings().doorstep_env is Environment.DEMO
        return Badge(DONE, gettext("Kept on this machine") if in_demo else gettext("Taken by the server"))
    return Badge(NEEDS, gettext("Failed"))


def views() -> list[BaseView]:
    """Return the views of this subject, in the order of the menu."""
    return [
        ChannelsView(
            name=lazy_gettext("Mail server and texts"), category="Set-up", endpoint="channels", url="/admin/channels"
        )
    ]
