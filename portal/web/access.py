"""Getting in without a password, and getting a new one: by a link that is sent and opens once (C9).

Every answer to who asks is the same, and asking does the same work, whether there is an account or not. Opening a link
changes nothing, since scanners of mail follow links; pressing its button does.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, lazy_gettext
from flask_limiter.util import get_remote_address
from flask_security import current_user
from flask_security.utils import login_user, logout_user
from flask_wtf import FlaskForm
from wtforms import PasswordField, StringField
from wtforms.validators import DataRequired, Length

from portal.domain.access import services as access
from portal.domain.access.models import AccessKind
from portal.domain.access.services import LinkState, OpenedLink
from portal.domain.errors import Conflict, Invalid, NotFound
from portal.domain.people.contacts import MAX_EMAIL, NotUsable
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import limiter
from portal.web import formats
from portal.web.auth import hash_password, landing, load_login, session_beyond
from portal.web.errors import SEND_AGAIN, shown_again
from portal.web.forms import add_errors
from portal.web.i18n import translate
from portal.web.links import ACCESS
from portal.web.signin import LONGEST_PASSWORD, SHORTEST_PASSWORD
from portal.web.throttles import guessing, trying

ASKS_EACH = "5 per 15 minutes"
ASKS_ALL = "30 per 15 minutes"

pages = Blueprint("access", __name__, url_prefix="/login")

OVER = {
    LinkState.USED: (
        lazy_gettext("This link was used already"),
        lazy_gettext("A link works once. Ask for a new one if you need it."),
    ),
    LinkState.ENDED: (
        lazy_gettext("This link works no more"),
        lazy_gettext(
            "A newer one was asked for, or the password was changed since. The latest message has the one that works."
        ),
    ),
    LinkState.EXPIRED: (
        lazy_gettext("This link has run out"),
        lazy_gettext("A link works for a short time only. Ask for a new one."),
    ),
}


class AskForm(FlaskForm):
    """To where the link is to be sent; the domain says what an address or number is."""

    address = StringField(render_kw={"autocomplete": "username", "maxlength": MAX_EMAIL})


class NewPasswordForm(FlaskForm):
    """The new password."""

    password = PasswordField(
        lazy_gettext("New password"),
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


def _typed_address() -> str:
    """Return what the throttle counts by: the address in its one spelling, whoever's it is."""
    typed = request.form.get("address", "")[:MAX_EMAIL]
    try:
        return access.clean_address(typed)
    except NotUsable:
        return typed


def _asked(response: Any) -> bool:
    return bool(response.status_code == 303)


def _throttled(view: Any) -> Any:
    """Count what is asked for at one address, from wherever, and from one caller, for whomever."""
    for asks, caller in ((ASKS_EACH, _typed_address), (ASKS_ALL, get_remote_address)):
        view = limiter.limit(asks, key_func=caller, deduct_when=_asked)(view)
    return view


@pages.get("/link")
def link_form() -> ResponseReturnValue:
    """Show where to ask for a link to sign in."""
    return _ask_page(AccessKind.SIGN_IN, AskForm())


@pages.post("/link")
@_throttled
def ask_link() -> ResponseReturnValue:
    """Take down where a link to sign in is to be sent."""
    return _ask(AccessKind.SIGN_IN)


@pages.get("/password")
def password_form() -> ResponseReturnValue:
    """Show where to ask for a new password."""
    return _ask_page(AccessKind.PASSWORD, AskForm())


@pages.post("/password")
@_throttled
def ask_password() -> ResponseReturnValue:
    """Take down where a link for a new password is to be sent."""
    return _ask(AccessKind.PASSWORD)


@shown_again(pages, "ask_link", "ask_password")
def _ask_again() -> ResponseReturnValue:
    form = AskForm()
    form.form_errors = [translate(SEND_AGAIN)]
    kind = AccessKind.SIGN_IN if request.endpoint == f"{pages.name}.ask_link" else AccessKind.PASSWORD
    return _ask_page(kind, form), 400


def _ask(kind: AccessKind) -> ResponseReturnValue:
    form = AskForm()
    if form.validate_on_submit():
        try:
            address = access.address_for(kind, form.address.data or "")
        except Invalid as wrong:
            add_errors(form, wrong.errors)
        else:
            with session_beyond("login") as session, unit_of_work(session):
                access.ask(session, formats.now(), kind, address)
            return redirect(url_for(".sent", what=ACCESS[kind]), 303)
    return _ask_page(kind, form), 422


def _ask_page(kind: AccessKind, form: AskForm) -> str:
    is_link = kind is AccessKind.SIGN_IN
    form.address.label.text = gettext("Email address or phone number") if is_link else gettext("Email address")
    return render_template("security/ask.html", form=form, is_link=is_link, form_has_errors=bool(form.errors))


@pages.get("/sent/<any(link, password):what>")
def sent(what: str) -> ResponseReturnValue:
    """Say what happens next: the same to everybody."""
    return render_template("security/sent.html", is_link=what == ACCESS[AccessKind.SIGN_IN])


@pages.get("/link/<token>")
@guessing
def show_link(token: str) -> ResponseReturnValue:
    """Show the button that signs in."""
    found = _opened(AccessKind.SIGN_IN, token)
    if not isinstance(found, OpenedLink):
        return found
    return render_template("security/link.html", token=token, name=found.user.name or found.user.email)


@pages.post("/link/<token>")
@guessing
@trying
def sign_in(token: str) -> ResponseReturnValue:
    """Sign in whose link it is, in place of whoever was signed in here."""
    found = _opened(AccessKind.SIGN_IN, token)
    if not isinstance(found, OpenedLink):
        return found
    try:
        with session_beyond("token") as session, unit_of_work(session):
            stamp = access.sign_in(session, formats.now(), token).fs_uniquifier
    except Conflict:
        # Somebody else pressed at the same moment.
        return _over(LinkState.USED)
    user = load_login(stamp)
    if user is None:
        return _over(LinkState.ENDED)
    if current_user.is_authenticated:
        logout_user()
    login_user(user, authn_via=["email"])
    return redirect(landing(), 303)


@pages.get("/password/<token>")
@guessing
def show_password(token: str) -> ResponseReturnValue:
    """Show where to choose a new password."""
    found = _opened(AccessKind.PASSWORD, token)
    return _password_page(token, found, NewPasswordForm()) if isinstance(found, OpenedLink) else found


@pages.post("/password/<token>")
@guessing
@trying
def choose_password(token: str) -> ResponseReturnValue:
    """Set the new password; whoever is signed in as that person anywhere is signed out."""
    found = _opened(AccessKind.PASSWORD, token)
    if not isinstance(found, OpenedLink):
        return found
    form = NewPasswordForm()
    if not form.validate_on_submit():
        return _password_page(token, found, form), 422
    hashed = hash_password(form.password.data or "")
    try:
        with session_beyond("token") as session, unit_of_work(session):
            access.choose_password(session, formats.now(), token, hashed)
    except Conflict:
        return _over(LinkState.USED)
    flash(gettext("Your new password is set. Sign in with it; everywhere else you are signed out."), "ok")
    return redirect(url_for("security.login"), 303)


def _password_page(token: str, found: OpenedLink, form: NewPasswordForm) -> str:
    return render_template(
        "security/new_password.html",
        token=token,
        email=found.user.email,
        form=form,
        form_has_errors=bool(form.errors),
        fewest=SHORTEST_PASSWORD,
    )


def _opened(kind: AccessKind, token: str) -> OpenedLink | ResponseReturnValue:
    """Return what the link leads to, or the page that says why it leads nowhere."""
    try:
        with session_beyond("token") as session:
            found = access.opened(session, formats.now(), kind, token)
    except NotFound:
        heading = gettext("This link is not known")
        text = gettext("It may be cut off: copy the whole of it from the message, or ask for a new one.")
        return render_template("security/link_over.html", heading=heading, text=text), 404
    return found if found.state is LinkState.OPEN else _over(found.state)


def _over(state: LinkState) -> ResponseReturnValue:
    heading, text = OVER[state]
    return render_template("security/link_over.html", heading=heading, text=text), 410


def init_app(app: Flask) -> None:
    """Serve the pages from ``app``."""
    app.register_blueprint(pages)
