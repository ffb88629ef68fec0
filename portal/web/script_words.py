"""What scripts say, one small script for each language, so that no page has to carry it."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Any

from flask import Blueprint, Flask, Response, abort, current_app, request, url_for
from flask_babel import force_locale, get_locale
from flask_babel import gettext as _

from portal.web.assets import DIGITS
from portal.web.branding import FOR_EVER
from portal.web.i18n import LANGUAGES

pages = Blueprint("words", __name__)


def words() -> dict[str, dict[str, Any]]:
    """Return the words of each script in the present language; in braces stands what the script fills in."""
    return {
        "live": {
            "seconds": _("Live, updated %(count)s s ago", count="{count}"),
            "minutes": _("Live, updated %(count)s min ago", count="{count}"),
            "lost": _("Not updated since %(time)s.", time="{time}"),
            "signedOut": _("You are signed out."),
            "showOne": _("1 change, show it"),
            "showMore": _("%(count)s changes, show them", count="{count}"),
            "one": _("1 installation changed."),
            "more": _("%(count)s installations changed.", count="{count}"),
            "gone": _("No longer in this list"),
        },
        "range": {
            "any": _("All dates"),
            "askFirst": _("Choose the first day."),
            "askLast": _("{day} alone, or choose the last day."),
            # What the calendar calls its parts; months, weekdays and days it names by the language of the page.
            "calendar": {
                "application": _("Calendar"),
                "navigation": _("Month shown"),
                "arrowPrev": {"month": _("Month before"), "year": _("Years before")},
                "arrowNext": {"month": _("Month after"), "year": _("Years after")},
                "month": _("Choose a month, now"),
                "months": _("Months"),
                "year": _("Choose a year, now"),
                "years": _("Years"),
                "week": _("Days of the week"),
                "dates": _("Days of the month"),
            },
        },
        "field": {
            "one": _("1 waiting to send"),
            "more": _("%(count)s waiting to send", count="{count}"),
            "noSignal": _("No signal. %(waiting)s", waiting="{waiting}"),
            "sending": _("Sending. %(waiting)s", waiting="{waiting}"),
            "busy": _("Not taken yet, tried again in a minute. %(waiting)s", waiting="{waiting}"),
            "signedOut": _("You are signed out. %(waiting)s", waiting="{waiting}"),
            "oneRefused": _("1 was not recorded"),
            "moreRefused": _("%(count)s were not recorded", count="{count}"),
            "waiting": _("Waiting"),
            "of": _("%(what)s, %(time)s", what="{what}", time="{time}"),
            "lost": _("This visit is not yours any more. The office may have given it to somebody else."),
            "unreadable": _("It could not be read."),
            "whatToDo": _("If you did it all the same, call the office: it can be recorded there."),
            "open": _("Open the visit"),
            "remove": _("Remove from this phone"),
        },
        "bulk": {
            "count": _("%(count)s selected", count="{count}"),
            "everything": _("All that match are selected"),
        },
    }


@cache
def _script(app: Flask, language: str) -> tuple[str, str]:
    """Return the script of ``language`` and its version."""
    with force_locale(language):
        text = f"const scriptWords = {json.dumps(words(), ensure_ascii=False)};\n"
    return text, hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def _script_of(language: str) -> tuple[str, str]:
    return _script(current_app._get_current_object(), language)  # type: ignore[attr-defined]


def script_url() -> str:
    """Return the address of the words in the page's language; other words have another address."""
    language = str(get_locale())
    return url_for("words.script", language=language, v=_script_of(language)[1])


@pages.get("/words/<language>.js")
def script(language: str) -> Response:
    """Serve the words of ``language``, the same for everybody."""
    if language not in LANGUAGES:
        abort(404)
    text, version = _script_of(language)
    response = Response(text, mimetype="text/javascript")
    # A page of an older version gets today's words, and asks for them again.
    response.headers["Cache-Control"] = FOR_EVER if request.args.get("v") == version else "no-cache"
    return response


def init_app(app: Flask) -> None:
    """Serve the words of scripts from ``app``."""
    app.register_blueprint(pages)
    app.jinja_env.globals["script_words_url"] = script_url
