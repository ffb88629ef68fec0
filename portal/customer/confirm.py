"""Behind the confirm link of a message: that one visit, without signing in (M8).

Opening the link changes nothing, since mail scanners open every link; the button does.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from flask import Blueprint, Response, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext

from portal.domain.errors import Conflict, NotFound, Refused
from portal.domain.jobs import fieldwork
from portal.domain.jobs.confirm_links import LinkedVisit, LinkState, linked_visit
from portal.domain.unit_of_work import unit_of_work
from portal.web import formats
from portal.web.auth import session_beyond, session_of
from portal.web.links import Tampered, visit_to_confirm
from portal.web.partners import info_of
from portal.web.throttles import guessing, trying

pages = Blueprint("confirm", __name__, url_prefix="/confirm")

HEADINGS = {
    LinkState.OPEN: lazy_gettext("Does this time suit you?"),
    LinkState.CONFIRMED: lazy_gettext("This time is confirmed"),
    LinkState.REFUSED: lazy_gettext("This visit cannot be confirmed now"),
    LinkState.MOVED: lazy_gettext("This visit was moved since"),
    LinkState.CANCELLING: lazy_gettext("This visit is being cancelled"),
    LinkState.CANCELLED: lazy_gettext("This visit is cancelled"),
    LinkState.OVER: lazy_gettext("This link has run out"),
}
# The link has done its work, or what it was for is no more.
GONE = frozenset({LinkState.MOVED, LinkState.CANCELLING, LinkState.CANCELLED, LinkState.OVER})


@pages.get("/<token>")
@guessing
def show(token: str) -> ResponseReturnValue:
    """Show the visit with the button that confirms it, or say why there is nothing to confirm."""
    opened = _opened(token)
    if opened is None:
        return _unknown()
    return _page(token, opened), 410 if opened.state in GONE else 200


@pages.post("/<token>")
@guessing
@trying
def confirm(token: str) -> ResponseReturnValue:
    """Confirm the start that the link was made for; pressed twice it counts once."""
    opened = _opened(token)
    if opened is not None and opened.state is LinkState.OPEN:
        opened = _confirmed(token, opened)
    if opened is None:
        return _unknown()
    if opened.state is LinkState.CONFIRMED:
        return redirect(url_for(".show", token=token), 303)
    return _page(token, opened), 410 if opened.state in GONE else 409


def _confirmed(token: str, opened: LinkedVisit) -> LinkedVisit | None:
    visit, actor = opened.visit, opened.actor
    # Where somebody was quicker by a moment, what is so now decides what is said.
    with suppress(Refused, Conflict), session_of(actor) as session, unit_of_work(session):
        fieldwork.confirm(session, actor, formats.now(), visit.id, visit.move_number, by_link=True)
    return _opened(token)


def _opened(token: str) -> LinkedVisit | None:
    """Return what the link opens as of now; ``None`` for one that was not made here or leads to nothing."""
    try:
        visit_id, start = visit_to_confirm(token)
        with session_beyond("token") as session:
            return linked_visit(session, formats.now(), visit_id, start)
    except (Tampered, NotFound):
        return None


def _page(token: str, opened: LinkedVisit) -> str:
    return render_template(
        "customer/confirm.html",
        token=token,
        opened=opened,
        heading=HEADINGS[opened.state],
        page_partner=info_of(opened.partner, opened.logo),
    )


def _unknown() -> ResponseReturnValue:
    return render_template("customer/confirm_unknown.html"), 404


@pages.after_request
def _keep_nothing(response: Response) -> Any:
    """Let no browser and no proxy keep what the link shows."""
    response.headers["Cache-Control"] = "no-store"
    return response
