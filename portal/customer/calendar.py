"""A visit as a file that calendars take, and the private address to subscribe to (C10)."""

from __future__ import annotations

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue

from portal.customer.blueprint import customer, go, session, visit_of
from portal.domain.feeds.queries import sequence_of
from portal.web import feeds, ics
from portal.web.partners import partner_info


def calendar_file(visit_id: int) -> Response:
    """Return one visit as a calendar of one event, times in UTC."""
    visit = visit_of(visit_id).visit
    event = ics.customer_event(visit, sequence_of(session(), visit), partner_info(visit.partner_id))
    answer = Response(ics.calendar_of([event]), mimetype=feeds.MEDIA)
    answer.headers["Content-Disposition"] = f'attachment; filename="visit-{visit_id}.ics"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


def subscribe() -> str:
    """Show the private address of all visits, or offer to make one."""
    return feeds.page("customer/subscribe.html", customer())


def make_feed() -> ResponseReturnValue:
    """Make an address, in place of an earlier one."""
    feeds.make(customer())
    return go("my.subscribe")


def revoke_feed() -> ResponseReturnValue:
    """Let the address lead nowhere."""
    feeds.revoke(customer())
    return go("my.subscribe")


def add_to(pages: Blueprint) -> None:
    """Put these pages into the customer's blueprint."""
    pages.add_url_rule("/visits/<int:visit_id>/calendar.ics", view_func=calendar_file)
    pages.add_url_rule("/subscribe", view_func=subscribe)
    pages.add_url_rule("/subscribe/make", view_func=make_feed, methods=["POST"])
    pages.add_url_rule("/subscribe/revoke", view_func=revoke_feed, methods=["POST"])
