"""Sign-in and sign-out, by Flask-Security on our own form and pages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, abort, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext, lazy_gettext
from flask_limiter.util import get_remote_address
from flask_security import LoginForm, current_user
from flask_security.utils import url_for_security
from wtforms import EmailField, PasswordField
from wtforms.validators import DataRequired, Length

from portal.extensions import limiter, security
from portal.settings import Environment, Settings
from portal.web.auth import Datastore, landing
from portal.web.errors import FORMS_AGAIN

LONGEST_EMAIL = 255
SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 1024
TRIES_EACH = "8 per 15 minutes"
TRIES_ALL = "60 per 15 minutes"

pages = Blueprint("web", __name__)


def _address(value: str | None) -> str:
    return (value or "").strip().lower()


class SignInForm(LoginForm):
    """E-mail and password. One answer for every failure, so that nobody learns which addresses exist (C9)."""

    email = EmailField(
        lazy_gettext("Email address"),
        filters=[_address],
        validators=[
            DataRequired(lazy_gettext("Enter your email address")),
            Length(max=LONGEST_EMAIL, message=lazy_gettext("Enter an email address of %(max)d characters or fewer")),
        ],
        render_kw={"autocomplete": "username"},
    )
    password = PasswordField(
        lazy_gettext("Password"),
        validators=[
            DataRequired(lazy_gettext("Enter your password")),
            Length(max=LONGEST_PASSWORD, message=lazy_gettext("Enter a password of %(max)d characters or fewer")),
        ],
        render_kw={"autocomplete": "current-password"},
    )
    # A remember-me cookie would outlive sign-out; sessions last long enough.
    remember: Any = None

    def validate(self, **kwargs: Any) -> bool:
        """Check shape first, then the person; a wrong person is told nothing but that it did not work."""
        if super().validate(**kwargs):
            return True
        if self.ifield is not None:
            self.email.errors = []
            self.password.errors = [gettext("Email address or password is not right")]
        return False


def init_app(app: Flask, settings: Settings) -> None:
    """Register sign-in, sign-out and the start page on ``app``."""
    app.config.update(
        SECURITY_PASSWORD_SALT=settings.security_password_salt.get_secret_value(),
        SECURITY_PASSWORD_HASH="argon2",
        SECURITY_PASSWORD_SCHEMES=["argon2"],
        SECURITY_DEPRECATED_PASSWORD_SCHEMES=[],
        SECURITY_LOGIN_USER_TEMPLATE="security/sign_in.html",
        SECURITY_LOGOUT_METHODS=["POST"],
        SECURITY_POST_LOGIN_VIEW="/",
        SECURITY_POST_LOGOUT_VIEW="/login",
        SECURITY_API_ENABLED_METHODS=["session"],
        SECURITY_FLASH_MESSAGES=False,
        # Every page says so itself, see portal.web.http.
        SECURITY_CACHE_CONTROL=None,
        SECURITY_CLI_USERS_NAME=False,
        SECURITY_CLI_ROLES_NAME=False,
        # Nothing here asks for the password again, and the stock page for it is not in our words and policy.
        SECURITY_FRESHNESS=timedelta(minutes=-1),
    )
    if settings.doorstep_env is Environment.TEST:
        app.config["SECURITY_PASSWORD_HASH_PASSLIB_OPTIONS"] = {
            "argon2__time_cost": 1,
            "argon2__memory_cost": 64,
            "argon2__parallelism": 1,
        }
    security.init_app(app, Datastore(), login_form=SignInForm)
    app.register_blueprint(pages)
    sign_in: Any = _refusing_unreadable(app.view_functions["security.login"])
    for tries, caller in ((TRIES_EACH, _caller_and_address), (TRIES_ALL, get_remote_address)):
        sign_in = limiter.limit(tries, key_func=caller, methods=["POST"], deduct_when=_failed)(sign_in)
    app.view_functions["security.login"] = sign_in
    app.extensions.setdefault(FORMS_AGAIN, {})["security.login"] = _sign_in_again


def _refusing_unreadable(view: Callable[[], Any]) -> Callable[[], Any]:
    """Keep from Flask-Security's view what it fails on: JSON of any shape, and addresses that are none."""

    @wraps(view)
    def guarded() -> Any:
        if request.is_json:
            abort(415)
        for address in (request.args.get("next", ""), request.form.get("next", "")):
            try:
                urlsplit(address)
                urlsplit(address.replace("\\", "/"))
            except ValueError:
                abort(400)
        return view()

    return guarded


def _caller_and_address() -> str:
    return f"{request.remote_addr} {_address(request.form.get('email'))[:LONGEST_EMAIL]}"


def _failed(response: Any) -> bool:
    return bool(response.status_code != 302)


def _sign_in_again() -> ResponseReturnValue:
    form = SignInForm(request.form)
    form.password.errors = [gettext("The page was out of date. Enter your password once more.")]
    return render_template("security/sign_in.html", login_user_form=form), 400


@pages.get("/")
def start() -> ResponseReturnValue:
    """Send people to where they start."""
    return redirect(landing())


@pages.get("/logout")
def sign_out() -> ResponseReturnValue:
    """Show the button that signs out; a link alone never does (mail scanners and prefetch press links)."""
    if not current_user.is_authenticated:
        return redirect(url_for_security("login"))
    return render_template("security/sign_out.html")
