"""A visit as a file that calendars take (C10)."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, url_for
from flask_babel import gettext
from icalendar import Calendar, Event

from portal.customer.blueprint import session, visit_of, window_end
from portal.domain.jobs import customer_queries
from portal.domain.jobs.customer_queries import CustomerVisit
from portal.settings import Settings
from portal.web import formats
from portal.web.partners import partner_info


def calendar_file(visit_id: int) -> Response:
    """Return one visit as a calendar of one event, times in UTC."""
    item = visit_of(visit_id)
    file = Calendar()
    file.add("prodid", "-//Doorstep//Doorstep//EN")
    file.add("version", "2.0")
    file.add_component(_event(item, customer_queries.changes_of(session(), item.visit)))
    answer = Response(file.to_ical(), mimetype="text/calendar")
    answer.headers["Content-Disposition"] = f'attachment; filename="visit-{visit_id}.ics"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _event(item: CustomerVisit, sequence: int) -> Event:
    settings: Settings = current_app.config["SETTINGS"]
    visit, partner = item.visit, partner_info(item.visit.partner_id)
    event = Event()
    # The same for ever, so that a calendar replaces what it has.
    event.add("uid", f"visit-{visit.id}@{urlsplit(settings.base_url).hostname}")
    event.add("sequence", sequence)
    event.add("dtstamp", formats.now())
    event.add("dtstart", visit.start_at)
    event.add("dtend", visit.end_at)
    event.add("summary", f"{item.job.service_type.name}, {partner.name}")
    event.add("location", item.job.address.one_line)
    event.add("description", _description(item))
    event.add("url", settings.base_url + url_for("my.visit", visit_id=visit.id))
    event.add("status", "CANCELLED" if item.is_cancelled else "CONFIRMED")
    return event


def _description(item: CustomerVisit) -> str:
    visit, partner = item.visit, partner_info(item.visit.partner_id)
    lines = [
        gettext(
            "We arrive between %(start)s and %(end)s; the visit takes %(duration)s.",
            start=formats.clock(visit.start_at, partner),
            end=formats.clock(window_end(visit), partner),
            duration=formats.duration(item.minutes),
        )
    ]
    if visit.technician is not None:
        lines.append(gettext("%(name)s comes to you.", name=visit.technician.name))
    if partner.phone:
        lines.append(gettext("Questions? Call %(phone)s.", phone=partner.phone))
    return "\n".join(lines)


def add_to(pages: Blueprint) -> None:
    """Put this page into the customer's blueprint."""
    pages.add_url_rule("/visits/<int:visit_id>/calendar.ics", view_func=calendar_file)
