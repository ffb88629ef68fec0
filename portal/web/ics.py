"""Visits as calendars read them: one as a file, or all of somebody's as a feed (C10)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from flask import current_app, url_for
from flask_babel import gettext
from icalendar import Calendar, Event

from portal.domain.jobs.models import Appointment
from portal.settings import Settings
from portal.web import formats
from portal.web.partners import PartnerInfo

# How often a calendar is asked to look for changes.
REFRESH = timedelta(hours=1)


def calendar_of(events: Iterable[Event], name: str = "") -> bytes:
    """Return a calendar of ``events``; with a ``name`` it is one that is subscribed to."""
    file = Calendar()
    file.add("prodid", "-//Doorstep//Doorstep//EN")
    file.add("version", "2.0")
    if name:
        file.add("method", "PUBLISH")
        file.add("x-wr-calname", name)
        file.add("refresh-interval", REFRESH, parameters={"VALUE": "DURATION"})
        file.add("x-published-ttl", "PT1H")
    for event in events:
        file.add_component(event)
    return bytes(file.to_ical())


def customer_event(visit: Appointment, sequence: int, partner: PartnerInfo) -> Event:
    """Return a visit as its customer sees it; its job with address and service type is loaded."""
    minutes = (visit.end_at - visit.start_at) // timedelta(minutes=1)
    lines = [
        gettext(
            "We arrive between %(start)s and %(end)s; the visit takes %(duration)s.",
            start=formats.clock(visit.start_at, partner),
            end=formats.clock(_window_end(visit), partner),
            duration=formats.duration(minutes),
        )
    ]
    if visit.technician is not None:
        lines.append(gettext("%(name)s comes to you.", name=visit.technician.name))
    if partner.phone:
        lines.append(gettext("Questions? Call %(phone)s.", phone=partner.phone))
    event = _event(visit, sequence)
    event.add("summary", f"{visit.job.service_type.name}, {partner.name}")
    event.add("description", "\n".join(lines))
    event.add("url", _base_url() + url_for("my.visit", visit_id=visit.id))
    return event


def technician_event(visit: Appointment, sequence: int, partner: PartnerInfo) -> Event:
    """Return a visit as its technician sees it: as little of the customer as leads to the door.

    Who has the address of a feed reads it without signing in; telephone number and access notes stand on the page.
    """
    job = visit.job
    lines = [
        f"{job.number}: {job.title}",
        gettext(
            "Arrival between %(start)s and %(end)s.",
            start=formats.clock(visit.start_at, partner),
            end=formats.clock(_window_end(visit), partner),
        ),
    ]
    event = _event(visit, sequence)
    event.add("summary", f"{job.service_type.name}, {job.customer.name}")
    event.add("description", "\n".join(lines))
    event.add("url", _base_url() + url_for("field.visit", visit_id=visit.id))
    return event


def _event(visit: Appointment, sequence: int) -> Event:
    event = Event()
    # The same for ever, so that a calendar replaces what it has.
    event.add("uid", f"visit-{visit.id}@{urlsplit(_base_url()).hostname}")
    event.add("sequence", sequence)
    # When it was last changed, not when it was asked for: what did not change stays the same to the byte.
    event.add("dtstamp", visit.job.updated_at.replace(microsecond=0))
    event.add("last-modified", visit.job.updated_at.replace(microsecond=0))
    # In UTC, which no clock change makes ambiguous.
    event.add("dtstart", visit.start_at)
    event.add("dtend", visit.end_at)
    event.add("location", visit.job.address.one_line)
    event.add("status", "CANCELLED" if visit.status == "CANCELLED" else "CONFIRMED")
    return event


def _window_end(visit: Appointment) -> datetime:
    return visit.start_at + timedelta(minutes=visit.window_minutes)


def _base_url() -> str:
    settings: Settings = current_app.config["SETTINGS"]
    return settings.base_url
