"""Errors once, for every page: domain errors and HTTP errors become a page in plain words with a way back."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

import structlog
from flask import Blueprint, Flask, current_app, g, jsonify, render_template, request
from flask.sansio.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, default_exceptions

from portal.domain.errors import Conflict, Invalid, NotFound, Refused, sentence
from portal.domain.unit_of_work import refusing
from portal.extensions import SHOWS_AGAIN, db
from portal.web.i18n import translate

log = structlog.get_logger("portal.errors")
Draw = Callable[..., ResponseReturnValue]

# status: (what happened, what is untouched and what to do)
WORDS: dict[int, tuple[Any, Any]] = {
    400: (
        lazy_gettext("That could not be read"),
        lazy_gettext("Nothing was changed. Go back, load the page again and try once more."),
    ),
    403: (
        lazy_gettext("This page is not for you"),
        lazy_gettext("You are signed in, but not as somebody who may open it."),
    ),
    404: (
        lazy_gettext("There is nothing here"),
        lazy_gettext("The page or record does not exist, or it is not yours to see."),
    ),
    405: (
        lazy_gettext("That cannot be done here"),
        lazy_gettext("Nothing was changed. Go back and use the buttons of the page."),
    ),
    409: (
        lazy_gettext("That is not possible now"),
        lazy_gettext("Nothing was changed."),
    ),
    410: (
        lazy_gettext("This link has done its work"),
        lazy_gettext("What it led to is over."),
    ),
    413: (
        lazy_gettext("That is too big"),
        lazy_gettext("Nothing was saved. Send less at once."),
    ),
    429: (
        lazy_gettext("Too many tries"),
        lazy_gettext("Wait a few minutes, then try again."),
    ),
    500: (
        lazy_gettext("Something went wrong on our side"),
        lazy_gettext("Nothing was changed by your last step. We were told about it. Try again in a moment."),
    ),
    503: (
        lazy_gettext("Doorstep is busy"),
        lazy_gettext("Nothing was changed by your last step. Try again in a moment."),
    ),
}
EXPIRED = lazy_gettext("The page was out of date")
EXPIRED_FORM = lazy_gettext(
    "You signed in or out since it was opened, so nothing was done. Go back, load the page again, then send it."
)
FORMS_AGAIN = "forms_again"
SEND_AGAIN = sentence(
    "The page was out of date, so nothing was sent. What you entered is still here: send it once more."
)
V = TypeVar("V", bound=Callable[..., ResponseReturnValue])
# These pages must stand when the database does not.
STANDALONE = {500, 503}


def init_app(app: Flask) -> None:
    """Map every error of ``app`` to an answer."""
    app.register_error_handler(NotFound, lambda error: answer(404))
    app.register_error_handler(Refused, lambda error: answer(409, translate(error.refusal.sentence)))
    app.register_error_handler(Conflict, lambda error: answer(409, translate(error.refusal.sentence)))
    # A form shows these at its fields; what has no form, such as a button, says them on a page.
    app.register_error_handler(Invalid, lambda error: answer(400, " ".join(map(translate, error.errors.values()))))
    app.register_error_handler(CSRFError, _expired)
    app.register_error_handler(PoolTimeout, _database_away)
    app.register_error_handler(OperationalError, _database_away)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(500, lambda error: answer(503 if "session_store_error" in g else 500))


def shows_again(view: V) -> V:
    """Mark what shows its own form again where ``unit_of_work`` raises ``Invalid``, and does nothing outside of one.

    A form of an older sign-in, sent by somebody who is signed in, is then shown as filled in, with a fresh token.
    """

    @wraps(view)
    def shown(*args: Any, **kwargs: Any) -> ResponseReturnValue:
        if "outdated_form" not in g:
            return view(*args, **kwargs)
        try:
            with refusing(SEND_AGAIN):
                return view(*args, **kwargs)
        except Invalid:
            return _out_of_date()

    setattr(shown, SHOWS_AGAIN, True)
    return cast(V, shown)


def _out_of_date() -> ResponseReturnValue:
    return answer(400, EXPIRED_FORM, EXPIRED)


def shown_again(blueprint: Blueprint, *views: str) -> Callable[[Draw], Draw]:
    """Return a decorator for what draws the forms that ``views`` of ``blueprint`` take, as they were filled in.

    It answers a form whose token is not the session's, with a fresh one in it. Two first pages of one browser that are
    asked for at the same moment make a session each, and only one of these stays.
    """

    def register(draw: Draw) -> Draw:
        def add(state: BlueprintSetupState) -> None:
            forms = state.app.extensions.setdefault(FORMS_AGAIN, {})
            forms.update({f"{blueprint.name}.{view}": draw for view in views})

        blueprint.record(add)
        return draw

    return register


def _expired(error: CSRFError) -> ResponseReturnValue:
    draw = current_app.extensions.get(FORMS_AGAIN, {}).get(request.endpoint)
    if draw is None or wants_json():
        return _out_of_date()
    again: ResponseReturnValue = draw(**(request.view_args or {}))
    return again


def answer(status: int, text: Any = None, heading: Any = None) -> ResponseReturnValue:
    """Return the page of ``status``; JSON for who reads nothing else, a fragment for a dialog.

    ``text`` and ``heading`` say more than the usual words of ``WORDS``.
    """
    usual_heading, usual = WORDS.get(status, WORDS[400 if status < 500 else 500])
    heading = heading or usual_heading
    if wants_json():
        return jsonify(status=status, error=str(heading), message=str(text or usual)), status
    if request.headers.get("HX-Request"):
        return render_template("errors/fragment.html", **_context(status, heading, text or usual)), status
    if status not in STANDALONE:
        try:
            # Whatever the failed view left half done must not reach the page's own queries.
            db.session.rollback()
            page = render_template("errors/error.html", **_context(status, heading, text or usual))
            return page, status
        except SQLAlchemyError:
            log.exception("error_page_failed", status=status)
    # Who asks is not looked up for this page: that may be what failed.
    g.setdefault("_login_user", current_app.login_manager.anonymous_user())  # type: ignore[attr-defined]
    return render_template("errors/standalone.html", **_context(status, heading, text or usual)), status


def _context(status: int, heading: Any, text: Any) -> dict[str, Any]:
    return {"status": status, "heading": heading, "text": text, "back": _way_back(), "request_id": g.get("request_id")}


def _http(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    if status < 400 or error.response is not None:
        return error
    own_words = isinstance(error.description, str) and error.description != _stock_words(status)
    reply = answer(status, error.description if own_words and status == 400 else None)
    if status == 405 and isinstance(reply, tuple):
        return (*reply, {"Allow": ", ".join(getattr(error, "valid_methods", None) or ())})
    return reply


def _stock_words(status: int) -> Any:
    stock = default_exceptions.get(status)
    return stock.description if stock else None


def _database_away(error: Exception) -> ResponseReturnValue:
    log.error("database_unavailable", error=type(error).__name__, detail=str(getattr(error, "orig", ""))[:200])
    return answer(503)


def _way_back() -> str | None:
    """Return the page the person came from, if it was one of ours and not this one."""
    try:
        came_from = urlsplit(request.referrer or "")
    except ValueError:
        # Anybody may send any header; the page of an error must stand all the same.
        return None
    same_again = request.method in {"GET", "HEAD"} and came_from.path == request.path
    if came_from.netloc != request.host or same_again:
        return None
    return f"{came_from.path}?{came_from.query}" if came_from.query else came_from.path


def wants_json() -> bool:
    """Whether who asks reads JSON and no pages."""
    accepted = request.accept_mimetypes
    return bool(accepted["application/json"]) and not accepted["text/html"]
