"""Calendar feeds: what stands behind a private address, and the page on which somebody makes and revokes it (C10)."""

from __future__ import annotations

import hashlib

from flask import Blueprint, Flask, Response, current_app, flash, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import force_locale, gettext
from sqlalchemy.orm import Session

from portal.domain.actor import Actor, Role
from portal.domain.errors import NotFound
from portal.domain.feeds import queries, services
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import db
from portal.settings import Settings
from portal.web import formats, ics
from portal.web.auth import (
    SUSPENDED_HEADING,
    SUSPENDED_TEXT,
    LoginUser,
    actors_of,
    load_login,
    session_beyond,
    session_of,
)
from portal.web.errors import answer
from portal.web.i18n import DEFAULT, LANGUAGES
from portal.web.links import Tampered, feed_of, feed_path
from portal.web.throttles import guessing, reading

MEDIA = "text/calendar"

pages = Blueprint("feeds", __name__, url_prefix="/calendar")


@pages.get("/<token>.ics")
@guessing
@reading
def read(token: str) -> ResponseReturnValue:
    """Return the visits of whose address this is; 304 where nothing changed, 410 where it leads nowhere any more.

    Nobody signs in here. Tokens are signed and as long as the signature; who guesses all the same is slowed down.
    """
    try:
        feed_id, made_at = feed_of(token)
    except Tampered:
        raise NotFound from None
    with session_beyond("token") as session:
        found = queries.feed_with_user(session, feed_id)
    if found is None or found[0].made_at != made_at:
        raise NotFound
    feed, owner = found
    # Who left, or may not sign in any more, has nothing to read here either.
    user = None if feed.revoked_at is not None else load_login(owner.fs_uniquifier)
    actor = next((one for one in actors_of(user) if one.role == feed.role), None) if user is not None else None
    if user is None or actor is None:
        return answer(410, gettext("This calendar was switched off. Take it out of your calendar program."))
    if actor.is_blocked:
        return answer(403, SUSPENDED_TEXT, SUSPENDED_HEADING)
    with session_of(actor) as session:
        body = _calendar(session, actor, user)
    response = Response(body, mimetype=MEDIA)
    response.headers["Content-Disposition"] = 'inline; filename="doorstep.ics"'
    response.headers["Cache-Control"] = "private, no-cache"
    response.set_etag(hashlib.sha256(body).hexdigest())
    return response.make_conditional(request)


def _calendar(session: Session, actor: Actor, user: LoginUser) -> bytes:
    visits = queries.feed_visits(session, actor, formats.now())
    event = ics.technician_event if actor.role is Role.TECHNICIAN else ics.customer_event
    languages = {user.locale} if user.locale else set(queries.languages_of(session))
    locale = languages.pop() if len(languages) == 1 else DEFAULT
    with force_locale(locale if locale in LANGUAGES else DEFAULT):
        own = sorted(user.partners[key].name for key in actor.partner_ids)
        name = gettext("Visits, %(partners)s", partners=", ".join(own))
        return ics.calendar_of(
            (event(one.visit, one.sequence, user.partners[one.visit.partner_id]) for one in visits), name
        )


def page(template: str, actor: Actor) -> str:
    """Return the page that shows the address of the actor's feed, or offers to make one."""
    feed = queries.open_feed(db.session(), actor)
    settings: Settings = current_app.config["SETTINGS"]
    address = None if feed is None else settings.base_url + feed_path(feed.id, feed.made_at)
    # What calendar programs take for themselves.
    webcal = None if address is None else f"webcal:{address.partition(':')[2]}"
    return render_template(template, feed_address=address, webcal=webcal)


def make(actor: Actor) -> None:
    """Make an address, in place of an earlier one."""
    with unit_of_work(db.session()) as session:
        services.make_feed(session, actor, formats.now())
    flash(gettext("Your calendar address is ready. An earlier one works no more."), "ok")


def revoke(actor: Actor) -> None:
    """Let the address lead nowhere."""
    with unit_of_work(db.session()) as session:
        services.revoke_feed(session, actor, formats.now())
    flash(gettext("The calendar is switched off; its address works no more."), "ok")


def init_app(app: Flask) -> None:
    """Serve the feeds from ``app``."""
    app.register_blueprint(pages)
