"""How the customer wants to be told: e-mail and texts switched on or off, for each company they are a customer of."""

from __future__ import annotations

from flask import Blueprint, abort, flash, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.customer.blueprint import LONGEST_KEY, go, session
from portal.domain.delivery import wishes
from portal.domain.messages.models import Channel
from portal.domain.unit_of_work import unit_of_work
from portal.web import formats


def messages() -> str:
    """Show what is on and off."""
    return render_template("customer/messages.html", records=wishes.own_records(session()))


def choose_messages() -> ResponseReturnValue:
    """Keep what is ticked, of what the page showed."""
    on = set(request.form.getlist("on"))
    wanted = {_read(name): name in on for name in request.form.getlist("shown")}
    with unit_of_work(session()) as writing:
        wishes.choose_channels(writing, formats.now(), wanted)
    flash(gettext("Saved. It holds from the next message on."), "ok")
    return go("my.messages")


def _read(name: str) -> tuple[int, Channel]:
    """Return what a tick is about, such as ``12-email``; 400 for one that is none of ours."""
    key, _, channel = name.partition("-")
    if channel not in set(Channel) or not (key.isascii() and key.isdigit() and len(key) < LONGEST_KEY):
        abort(400)
    return int(key), Channel(channel)


def add_to(pages: Blueprint) -> None:
    """Put these pages into the customer's blueprint."""
    pages.add_url_rule("/messages", view_func=messages)
    pages.add_url_rule("/messages", view_func=choose_messages, methods=["POST"])
