"""Behind the link at the foot of a message: no such mail any more, without signing in (N4).

Opening the page changes nothing, since scanners follow links; a press does. Mail programs press for their reader
(RFC 8058): their request is known by its body and brings no token of a form. Every other one needs it.
"""

from __future__ import annotations

from flask import Blueprint, Flask, render_template, request
from flask.typing import ResponseReturnValue

from portal.domain.delivery import wishes
from portal.domain.delivery.wishes import Reader
from portal.domain.errors import NotFound
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import csrf
from portal.web import formats
from portal.web.auth import session_beyond
from portal.web.links import Tampered, reader_to_unsubscribe
from portal.web.partners import info_of
from portal.web.throttles import guessing

ONE_CLICK = {"List-Unsubscribe": "One-Click"}

pages = Blueprint("unsubscribe", __name__, url_prefix="/unsubscribe")


@pages.get("/<token>")
@guessing
def show(token: str) -> ResponseReturnValue:
    """Say what the button does, or that it was done."""
    with session_beyond("token") as session:
        return _page(token, wishes.reader_of(session, *_named(token)))


@pages.post("/<token>")
@csrf.exempt
@guessing
def switch(token: str) -> ResponseReturnValue:
    """Switch e-mail off for whom the link is for; with a form's token also on again."""
    one_click = request.form.to_dict(flat=False) == {name: [value] for name, value in ONE_CLICK.items()}
    if not one_click:
        csrf.protect()
    off = one_click or request.form.get("email") != "on"
    key = _named(token)
    with session_beyond("token") as session, unit_of_work(session):
        wishes.switch_email(session, formats.now(), *key, off)
    with session_beyond("token") as session:
        return _page(token, wishes.reader_of(session, *key), done=True)


@pages.errorhandler(NotFound)
def _unknown(error: NotFound) -> ResponseReturnValue:
    return render_template("customer/confirm_unknown.html"), 404


def _named(token: str) -> tuple[int | None, int | None]:
    try:
        return reader_to_unsubscribe(token)
    except Tampered:
        raise NotFound from None


def _page(token: str, reader: Reader, done: bool = False) -> str:
    return render_template(
        "customer/unsubscribe.html", token=token, reader=reader, done=done, page_partner=info_of(reader.partner)
    )


def init_app(app: Flask) -> None:
    """Serve the links from ``app``."""
    app.register_blueprint(pages)
