"""What the type-aheads ask: customers by a few letters, technicians with whether they are free."""

from __future__ import annotations

from datetime import datetime, timedelta

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.admin.base import key_from, the_actor, the_partner_id
from portal.domain.actor import Permission
from portal.domain.errors import NotFound
from portal.domain.lookup import find
from portal.domain.people.queries import find_technicians
from portal.domain.people.search import find_customers
from portal.domain.scheduling.models import ServiceType
from portal.domain.scheduling.queries import wanted_for
from portal.domain.scheduling.slots import Wanted
from portal.domain.scheduling.zones import MissingHour, instant_of
from portal.extensions import db
from portal.web import formats
from portal.web.auth import guard
from portal.web.i18n import translate

LONGEST_MINUTES = 24 * 60
# Near the ends of the calendar there are days without instants.
YEARS = range(1970, 2200)

pages = Blueprint("admin_api", __name__, url_prefix="/admin/api")
pages.before_request(guard(Permission.SCHEDULE))


@pages.get("/customers")
def customers() -> ResponseReturnValue:
    """Return active customers, once an address, that ``q`` means; ``value`` is what the form sends (P2)."""
    found = find_customers(db.session(), request.args.get("q", ""))
    return jsonify(
        [
            {
                "value": f"{choice.customer_id}:{choice.address_id}",
                "name": choice.name,
                "email": choice.email,
                "address": choice.address,
            }
            for choice in found
        ]
    )


@pages.get("/technicians")
def technicians() -> ResponseReturnValue:
    """Return available technicians that ``q`` means; with ``start`` and ``minutes``, ``note`` says if they are free.

    ``start`` is wall-clock time where the partner is, such as ``2026-11-24T09:00``; ``type`` the key of a service type,
    for its skills and buffers. Nonsense is as good as none (P5).
    """
    start = _start(request.args.get("start", ""))
    wanted = _wanted(request.args.get("minutes", ""), request.args.get("type", ""))
    text = request.args.get("q", "")
    found = find_technicians(db.session(), the_partner_id(the_actor()), text, start, wanted)
    asked = start is not None and wanted is not None
    return jsonify(
        [
            {
                "value": choice.technician_id,
                "name": choice.name,
                "note": translate(choice.refusal.sentence) if choice.refusal else gettext("Free then") if asked else "",
            }
            for choice in found
        ]
    )


def _start(text: str) -> datetime | None:
    try:
        local = datetime.fromisoformat(text)
        if local.year not in YEARS:
            return None
        return instant_of(local.date(), local.time(), formats.zone_of())
    except (MissingHour, OverflowError, ValueError):
        return None


def _wanted(text: str, kind: str) -> Wanted | None:
    minutes = int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0
    if not 0 < minutes <= LONGEST_MINUTES:
        return None
    length = timedelta(minutes=minutes)
    try:
        return wanted_for(find(db.session(), ServiceType, key_from(kind)), length)
    except NotFound:
        return Wanted(length)
