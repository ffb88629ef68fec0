"""Behind the link of an invitation: choose a password, sign in, accept (C9). Opening the link changes nothing."""

from __future__ import annotations

from flask import Blueprint, Flask, current_app, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, lazy_gettext
from flask_security import current_user
from flask_wtf import FlaskForm
from wtforms import PasswordField, StringField
from wtforms.validators import DataRequired, Length

from portal.domain.actor import STAFF, Role
from portal.domain.errors import Invalid, NotFound
from portal.domain.people import invitations
from portal.domain.people.invitations import InvitationState, Opened
from portal.domain.people.models import Invitation
from portal.domain.unit_of_work import unit_of_work
from portal.settings import Environment, Settings
from portal.web import formats
from portal.web.auth import LANDINGS, hash_password, session_beyond
from portal.web.errors import shown_again
from portal.web.forms import add_errors
from portal.web.partners import info_of
from portal.web.signin import LONGEST_PASSWORD, SHORTEST_PASSWORD
from portal.web.throttles import guessing, trying

pages = Blueprint("invitation", __name__, url_prefix="/invitation")

OVER = {
    InvitationState.ACCEPTED: (
        lazy_gettext("This invitation was accepted already"),
        lazy_gettext("An invitation works once. Sign in with the password you chose."),
    ),
    InvitationState.REVOKED: (
        lazy_gettext("This invitation was taken back"),
        lazy_gettext("If you think that is a mistake, ask the company that invited you."),
    ),
    InvitationState.EXPIRED: (
        lazy_gettext("This invitation has run out"),
        lazy_gettext("An invitation works for seven days. Ask the company that invited you to send it again."),
    ),
}


class PasswordForm(FlaskForm):
    """The name and the password of who is invited; the domain says what a name is."""

    name = StringField(lazy_gettext("Your name"), render_kw={"autocomplete": "name"})
    password = PasswordField(
        lazy_gettext("Choose a password"),
        validators=[
            DataRequired(lazy_gettext("Enter a password")),
            Length(
                min=SHORTEST_PASSWORD,
                max=LONGEST_PASSWORD,
                message=lazy_gettext("Enter a password of %(min)d to %(max)d characters"),
            ),
        ],
        render_kw={"autocomplete": "new-password"},
    )


@pages.get("/<token>")
@guessing
def show(token: str) -> ResponseReturnValue:
    """Show the invitation with what is to be done next by whoever looks at it."""
    found = _opened(token)
    if isinstance(found, Opened):
        return _page(token, found, PasswordForm(name=found.invitation.name))
    return found


@pages.post("/<token>")
@guessing
@trying
def choose_password(token: str) -> ResponseReturnValue:
    """Keep the chosen password for an address without account; the answer is the same for one that has an account."""
    found = _opened(token)
    if not isinstance(found, Opened):
        return found
    form = PasswordForm()
    if form.validate_on_submit():
        hashed = hash_password(form.password.data or "")
        try:
            with session_beyond("token") as session, unit_of_work(session):
                invitations.choose_password(session, formats.now(), token, form.name.data or "", hashed)
        except Invalid as refused:
            add_errors(form, refused.errors)
        else:
            flash(
                gettext(
                    "Now sign in as %(email)s with the password you chose. If you had an account here before, its "
                    "password is still the one it was.",
                    email=found.invitation.email,
                ),
                "ok",
            )
            return redirect(url_for("security.login", next=url_for(".show", token=token)), 303)
    return _page(token, found, form), 422


@shown_again(pages, "choose_password")
@guessing
def _choose_again(token: str) -> ResponseReturnValue:
    found = _opened(token)
    if not isinstance(found, Opened):
        return found
    form = PasswordForm()
    form.password.errors = [gettext("The page was out of date. Enter the password once more.")]
    return _page(token, found, form), 400


@pages.post("/<token>/accept")
@guessing
@trying
def accept(token: str) -> ResponseReturnValue:
    """Accept as the person who is signed in."""
    if not current_user.is_authenticated:
        return redirect(url_for("security.login", next=url_for(".show", token=token)), 303)
    found = _opened(token)
    if not isinstance(found, Opened):
        return found
    with session_beyond("token") as session, unit_of_work(session):
        role = Role(invitations.accept(session, formats.now(), token, current_user.id).role)
    if role in STAFF:
        flash(gettext("Welcome to %(partner)s.", partner=found.partner.name), "ok")
    return redirect(LANDINGS[role], 303)


def _opened(token: str) -> Opened | ResponseReturnValue:
    """Return what the link leads to, or the page that says why it leads nowhere."""
    try:
        with session_beyond("token") as session:
            found = invitations.opened(session, formats.now(), token)
    except NotFound:
        heading = gettext("This invitation is not known")
        text = gettext(
            "The link may be cut off, or the invitation was sent again since: then the latest message has the one that "
            "works."
        )
        return render_template("security/invitation_over.html", heading=heading, text=text), 404
    if found.state is not InvitationState.OPEN:
        heading, text = OVER[found.state]
        page_partner = info_of(found.partner)
        return (
            render_template("security/invitation_over.html", heading=heading, text=text, page_partner=page_partner),
            410,
        )
    return found


def _page(token: str, found: Opened, form: PasswordForm) -> str:
    return render_template(
        "security/invitation.html",
        token=token,
        invitation=found.invitation,
        role=Role(found.invitation.role),
        page_partner=info_of(found.partner),
        form=form,
        form_has_errors=bool(form.errors),
        fewest=SHORTEST_PASSWORD,
        signed_in_email=current_user.email if current_user.is_authenticated else None,
    )


def invitation_key() -> str:
    """Return the secret from which the tokens of links are made."""
    settings: Settings = current_app.config["SETTINGS"]
    return settings.secret_key.get_secret_value()


def demo_link(invitation: Invitation) -> str | None:
    """Return the address of an invitation where no message leaves the machine, so that somebody can follow it.

    Anywhere else the link is for the invited person alone: whoever has it can choose their password.
    """
    settings: Settings = current_app.config["SETTINGS"]
    if settings.doorstep_env is not Environment.DEMO:
        return None
    return url_for("invitation.show", token=invitations.token_for(invitation_key(), invitation.seed))


def init_app(app: Flask) -> None:
    """Serve the links of invitations from ``app``."""
    app.register_blueprint(pages)
