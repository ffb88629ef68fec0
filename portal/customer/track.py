"""Behind the link of a message *on my way*: where the technician is, without signing in, for that one departure (C4).

The link ends with the way: at check-in, turning back, reassigning and cancelling it answers 410 for good.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.domain.errors import NotFound
from portal.domain.tracking.queries import Tracked, tracked_visit
from portal.web import formats
from portal.web.auth import session_beyond
from portal.web.links import Tampered, departure_to_track
from portal.web.partners import PartnerInfo, info_of
from portal.web.throttles import guessing

pages = Blueprint("track", __name__, url_prefix="/track")
# How much oftener than anything else of a customer's the pin is asked for.
PIN_FACTOR = 3


@pages.get("/<token>")
@guessing
def show(token: str) -> ResponseReturnValue:
    """Show map, distance and estimate as of now; 410 when there is nothing to follow any more."""
    opened = _opened(token)
    if opened is None:
        return render_template("customer/confirm_unknown.html"), 404
    partner = info_of(opened.partner, opened.logo)
    if not opened.is_open:
        page = render_template(
            "customer/track_over.html", visit=opened.visit, page_partner=partner, has_login=opened.has_login
        )
        return page, 410
    seen = _seen(opened, partner)
    return render_template(
        "customer/track.html",
        opened=opened,
        seen=seen,
        page_partner=partner,
        follow={
            "url": url_for(".position", token=token),
            "revision": _revision(seen),
            "every": current_app.config["POLL_SECONDS"] / PIN_FACTOR,
        },
        tiles=current_app.config["MAP_TILES_URL"],
        attribution=current_app.config["MAP_TILES_ATTRIBUTION"],
    )


@pages.get("/<token>/position")
@guessing
def position(token: str) -> ResponseReturnValue:
    """Answer where the pin is and what the page says of it; 304 to who knows, 410 when the page is to close."""
    opened = _opened(token)
    if opened is None or not opened.is_open:
        return make_response("", 404 if opened is None else 410)
    seen = _seen(opened, info_of(opened.partner, opened.logo))
    revision = _revision(seen)
    unchanged = request.if_none_match.contains(revision)
    answer = make_response("", 304) if unchanged else jsonify({"revision": revision, **seen})
    answer.set_etag(revision)
    return answer


def _opened(token: str) -> Tracked | None:
    """Return what the link opens as of now; ``None`` for one that was not made here or leads to nothing."""
    try:
        visit_id, departure = departure_to_track(token)
        with session_beyond("token") as session:
            return tracked_visit(session, formats.now(), visit_id, departure, current_app.config["TRAVEL_SPEED_KMH"])
    except (Tampered, NotFound, KeyError):
        return None


def _seen(opened: Tracked, of: PartnerInfo) -> dict[str, Any]:
    """Return what the page says that may change: heading, expected time, its age, one sentence, and the pin."""
    visit, found = opened.visit, opened.position
    expected, as_of = (
        (formats.clock(opened.estimate.expected_at, of), formats.clock(opened.estimate.as_of, of))
        if opened.estimate is not None
        else (None, None)
    )
    return {
        "heading": heading_of(visit),
        "expected": expected,
        "age": gettext("As of %(time)s", time=as_of) if as_of else None,
        "sentence": _sentence(opened, of),
        "pin": [found.latitude, found.longitude] if found is not None else None,
    }


def heading_of(visit: Any) -> str:
    """Return the heading of a visit that is tracked: who is on the way, or has arrived."""
    name = first_name(visit)
    return (
        gettext("%(name)s is on the way", name=name) if visit.is_on_the_way else gettext("%(name)s is here", name=name)
    )


def first_name(visit: Any) -> str:
    """Return what customers call the visit's technician."""
    return str(visit.technician.name.split()[0])


def _sentence(opened: Tracked, of: PartnerInfo) -> str:
    """Return what the map shows, for who does not see it."""
    visit, name = opened.visit, first_name(opened.visit)
    if not visit.is_on_the_way:
        return gettext("%(name)s has arrived.", name=name)
    if opened.position is None:
        return gettext("%(name)s has set off. No position is known yet.", name=name)
    as_of = formats.clock(opened.position.at, of)
    if opened.away_km is None:
        return gettext("%(name)s is on the way, as of %(time)s.", name=name, time=as_of)
    away = formats.distance(opened.away_km)
    if opened.estimate is None:
        return gettext("%(name)s is %(distance)s away, as of %(time)s.", name=name, distance=away, time=as_of)
    return gettext(
        "%(name)s is %(distance)s away, expected %(expected)s, as of %(time)s.",
        name=name,
        distance=away,
        expected=formats.clock(opened.estimate.expected_at, of),
        time=as_of,
    )


def _revision(seen: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:32]


@pages.after_request
def _keep_nothing(response: Response) -> Any:
    """Let no browser and no proxy keep what the link shows."""
    response.headers["Cache-Control"] = "no-store"
    return response
