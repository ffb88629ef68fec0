"""What a phone asks and tells by script, so that what is done without signal is sent later (J8).

A phone keeps what its technician did and sends it in order once there is signal, each with a key of its own and the
time at which it happened. Forms sent by script are answered in JSON, all others with a page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from flask import Response, abort, current_app, jsonify, render_template, request, send_from_directory, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import generate_csrf

from portal.domain.errors import Sentence
from portal.domain.jobs.happened import KEY
from portal.field.blueprint import pages, technician
from portal.web.errors import wants_json
from portal.web.formats import now
from portal.web.i18n import translate


@dataclass(frozen=True, slots=True)
class Sent:
    """What came with a form: the key made on the phone, "" for none, and when it happened (an instant)."""

    key: str
    happened_at: datetime | None


def sent() -> Sent:
    """Return what came with the form; 400 for a time that is none."""
    key, text = request.form.get("client_key", ""), request.form.get("happened_at", "")
    try:
        happened = datetime.fromisoformat(text) if text else None
    except ValueError:
        abort(400)
    if happened is not None and happened.tzinfo is None:
        abort(400)
    return Sent(key if KEY.fullmatch(key) else "", happened)


def done(page: ResponseReturnValue) -> ResponseReturnValue:
    """Answer what was done, or had been before: ``page``, to a script that it need not send it again."""
    return jsonify(state="done") if wants_json() else page


def refused(page: str, status: int, reason: str) -> ResponseReturnValue:
    """Answer what cannot be done: ``page``, to a script the reason."""
    return (jsonify(state="refused", message=reason), status) if wants_json() else (page, status)


def in_words(errors: Mapping[str, Sentence]) -> str:
    """Return what is wrong with a form in one line."""
    return ". ".join(translate(text) for text in errors.values())


@pages.get("/token")
def token() -> Response:
    """Whose phone this is, a token for what it sends, and what time it is here."""
    answer = jsonify(token=generate_csrf(), who=who(), now=now().isoformat())
    answer.headers["Cache-Control"] = "no-store"
    return answer


def who() -> str:
    """Return who is signed in, as the phone keeps it with what it has to send."""
    actor = technician()
    return f"{actor.id} {actor.technician_id}"


@pages.get("/worker.js")
def worker() -> Response:
    """The script that opens pages without signal; from here, since it may only look after addresses below its own."""
    folder = current_app.static_folder or ""
    answer = send_from_directory(folder, "js/field-worker.js", max_age=0)
    answer.headers["Cache-Control"] = "no-cache"
    return answer


@pages.get("/offline")
def offline() -> str:
    """What is shown without signal in place of a page that this phone has not opened before."""
    return render_template("field/offline.html")


def context() -> dict[str, object]:
    """Return what every field page tells its script."""
    return {
        "field_who": who,
        "field_urls": {name: url_for(f"field.{name}") for name in ("token", "worker", "offline", "start")},
    }


pages.context_processor(context)
