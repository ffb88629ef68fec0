"""The private address at which a technician's calendar reads their visits (C10)."""

from __future__ import annotations

from flask import redirect, url_for
from flask.typing import ResponseReturnValue

from portal.field.blueprint import pages, technician
from portal.web import feeds


@pages.get("/subscribe")
def subscribe() -> str:
    """Show the private address of all visits, or offer to make one."""
    return feeds.page("field/subscribe.html", technician())


@pages.post("/subscribe/make")
def make_feed() -> ResponseReturnValue:
    """Make an address, in place of an earlier one."""
    feeds.make(technician())
    return redirect(url_for("field.subscribe"), 303)


@pages.post("/subscribe/revoke")
def revoke_feed() -> ResponseReturnValue:
    """Let the address lead nowhere."""
    feeds.revoke(technician())
    return redirect(url_for("field.subscribe"), 303)
