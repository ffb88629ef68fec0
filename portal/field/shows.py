"""How the field pages put a visit into words and links."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from flask_babel import gettext
from markupsafe import Markup

from portal.domain.jobs.field_queries import FORWARD, RENUMBERS
from portal.domain.jobs.models import Appointment
from portal.domain.jobs.states import APPOINTMENT, MOVABLE
from portal.domain.people.models import Address
from portal.web.formats import clock, duration, local_day, when
from portal.web.i18n import translate
from portal.web.statuses import visit_badge

# When a visit came to where it stands.
SINCE = {
    "ON_THE_WAY": "on_the_way_at",
    "ARRIVED": "arrived_at",
    "WORK_IN_PROGRESS": "work_began_at",
    "COMPLETE": "ended_at",
    "INCOMPLETE": "ended_at",
}


@dataclass(slots=True)
class AnyVisit:
    """A visit of one status with somebody to carry it out, as a badge is made from."""

    status: str
    technician_id: int | None = 1
    partner_id: int = 0


MAPS = "https://www.google.com/maps/dir/"


def visit_state(visit: Appointment) -> str:
    """Return the label of the visit's status with its time: "Arrived, 8:56"; the date too if it was another day."""
    label = visit_badge(visit).label
    instant = getattr(visit, SINCE[visit.status]) if visit.status in SINCE else None
    if instant is None:
        return label
    same_day = local_day(instant) == local_day(visit.start_at)
    return gettext("%(label)s, %(time)s", label=label, time=clock(instant) if same_day else when(instant))


def can_be_confirmed(visit: Appointment) -> bool:
    """Return whether it still matters if the customer confirmed: only before the technician sets off."""
    return visit.status in MOVABLE


def window_end(visit: Appointment) -> datetime:
    """Return the instant up to which the technician is expected to arrive."""
    return visit.start_at + timedelta(minutes=visit.window_minutes)


def planned_length(visit: Appointment) -> str:
    """Return how long the visit is planned to take: "about 6 hours"."""
    return duration((visit.end_at - visit.start_at) // timedelta(minutes=1))


def lines(text: str) -> Markup:
    """Return ``text``, escaped, with its line breaks."""
    return Markup("<br>").join(text.splitlines())


def step_label(name: str) -> str:
    """Return what the button of a step says."""
    label = APPOINTMENT.transition(name).label
    return translate(label) if label is not None else name


def flow(offered: Collection[str]) -> dict[str, Any]:
    """Return how a visit goes on, for a phone without signal: by status what it shows, by step where it leads.

    ``offered`` are the steps that can be taken so. From the table, as the server itself decides; whether a step really
    is possible it says when it arrives.
    """
    states = {}
    for status in APPOINTMENT.statuses:
        steps = [name for name in offered if status.name in APPOINTMENT.transition(name).sources]
        badge = visit_badge(AnyVisit(status.name))
        states[status.name] = {
            "label": badge.label,
            "css": badge.css,
            "next": next((name for name in steps if name in FORWARD), None),
            "ways": [name for name in steps if name not in FORWARD],
        }
    leads = {
        name: {
            "to": APPOINTMENT.transition(name).targets[0],
            "renumbers": name in RENUMBERS,
            "begins": APPOINTMENT.transition(name).targets[0] == "WORK_IN_PROGRESS",
        }
        for name in offered
    }
    return {"states": states, "steps": leads}


def phone_link(phone: str) -> str:
    """Return a telephone number as ``tel:`` and ``sms:`` links want it: digits, with the plus if there is one."""
    return re.sub(r"[^\d+]", "", phone)


def route_url(address: Address) -> str:
    """Return the address of a map with the way to ``address``; only pressing it asks another host for anything."""
    place = address.one_line
    if address.latitude is not None and address.longitude is not None:
        place = f"{address.latitude},{address.longitude}"
    return f"{MAPS}?{urlencode({'api': 1, 'destination': place})}"
