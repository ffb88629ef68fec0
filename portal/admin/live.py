"""What keeps open office pages up to date (P17): a cheap question whether anything changed, and what did, in words.

A page carries a mark of how far it knows. ``live.js`` asks with it; where something is new, the page fetches itself and
swaps what differs.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, Flask, current_app, jsonify, make_response, request, url_for
from flask.typing import ResponseReturnValue

from portal.admin.base import the_partner_id
from portal.admin.installations.timeline import told
from portal.domain.actor import Permission
from portal.domain.changes.queries import Mark, news
from portal.domain.jobs.activity import acts_between
from portal.extensions import db
from portal.web import formats
from portal.web.auth import current_actor
from portal.web.partners import current_partner

# What time alone changes, such as a visit that should have begun, shows within this.
STALE = timedelta(minutes=5)
# The header by which a page says that it fetches itself.
SELF = "Doorstep-Live"

pages = Blueprint("live", __name__, url_prefix="/admin/live")


@pages.get("/")
def poll() -> ResponseReturnValue:
    """Answer 304 to who knows all there is, in two statements with the sign-in; else what is new, and how far now.

    Strangers get 401 instead of the way to sign in: a page asks, not a person.
    """
    actor = current_actor()
    if actor is None or not actor.may(Permission.ADMIN):
        return make_response("", 401 if actor is None else 403)
    known = request.headers.get("If-None-Match", "").removeprefix("W/").strip('"')
    issued, since = read(known)
    partner_id = the_partner_id(actor)
    found = news(db.session().connection(), partner_id, since or Mark(0, 0))
    if since is not None and not found.changed and formats.now().timestamp() - issued < STALE.total_seconds():
        answer = make_response("", 304)
    else:
        acts = acts_between(db.session(), since, found.mark) if since is not None and found.changed else []
        answer = jsonify({"revision": revision_of(found.mark), "changes": [_change(told(act)) for act in acts]})
    answer.set_etag(known if answer.status_code == 304 else revision_of(found.mark))
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _change(one: Any) -> dict[str, Any]:
    return {"id": one.act.id, "job": one.act.job_id, "said": one.said, "cause": one.cause}


def revision_of(mark: Mark) -> str:
    """Return what a page asks with that knows all up to ``mark`` now."""
    return f"{int(formats.now().timestamp())}-{mark}"


def read(revision: str) -> tuple[int, Mark | None]:
    """Return since when (seconds) and how far a page knows; no mark for what no page was given."""
    issued, _, mark = revision.partition("-")
    if not (issued.isascii() and issued.isdigit() and len(issued) <= 11):
        return 0, None
    return int(issued), Mark.read(mark)


def live_page() -> dict[str, Any] | None:
    """Return what a page needs to follow, for its layout; ``None`` for one that is not somebody's to fetch again."""
    partner = current_partner()
    if partner is None or partner.mark is None or request.method != "GET":
        return None
    return {
        "url": url_for("live.poll"),
        "revision": revision_of(partner.mark),
        "every": current_app.config["LIVE_SECONDS"],
        "zone": partner.zone.key,
    }


def fetches_itself() -> bool:
    """Whether a page in the background asks: what is to be said once waits for a person."""
    return SELF in request.headers


def init_app(app: Flask) -> None:
    """Register the question on ``app`` and make the layout able to put it."""
    app.register_blueprint(pages)
    app.jinja_env.globals.update(live_page=live_page, fetches_itself=fetches_itself)
