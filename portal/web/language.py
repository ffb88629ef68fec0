"""The switch of languages: a button on every page of somebody signed in, kept with their log-in."""

from __future__ import annotations

import re

from flask import Blueprint, Flask, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_security import current_user

from portal.domain.people.services import choose_language
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import db
from portal.web.i18n import LANGUAGES, tag_of

# Begins with one slash and holds nothing that a browser might read as another host or a header.
OURS = re.compile(r"/(?![/\\])[^\\\s\x00-\x1f\x7f]*")

pages = Blueprint("language", __name__)


def other_languages() -> list[tuple[str, str, str]]:
    """Return each language that the page is not in: its name, its tag in HTML, and what it calls itself."""
    return [(name, tag_of(name), itself) for name, itself in LANGUAGES.items() if name != str(get_locale())]


def this_page() -> str:
    """Return the address to come back to after choosing a language; "" on a page that only a form leads to."""
    return request.full_path.rstrip("?") if request.method == "GET" else ""


@pages.post("/language")
def choose() -> ResponseReturnValue:
    """Keep the language that a person chose and go back to where they were, in it."""
    if not current_user.is_authenticated:
        return redirect(url_for("security.login"))
    chosen = request.form.get("language", "")
    if chosen not in LANGUAGES:
        abort(400)
    with unit_of_work(db.session()) as session:
        choose_language(session, current_user.id, chosen)
    back = request.form.get("back", "")
    return redirect(back if OURS.fullmatch(back) else url_for("web.start"), 303)


def init_app(app: Flask) -> None:
    """Register the switch on ``app`` and make its words known to the templates."""
    app.register_blueprint(pages)
    app.jinja_env.globals.update(other_languages=other_languages, this_page=this_page)
