"""My Schedule, past visits, one visit, and confirming it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.customer import live
from portal.customer.blueprint import customer, go, move_number, page_of_visit, session, visit_of
from portal.domain.errors import Refused
from portal.domain.jobs import customer_queries, fieldwork, services
from portal.domain.jobs.customer_queries import NEWEST_FIRST
from portal.domain.jobs.models import Appointment
from portal.domain.paging import PAGE_ROWS, Cursor
from portal.domain.photos.queries import shared_photos
from portal.domain.requests.queries import own_service_requests
from portal.domain.surveys.queries import survey_about
from portal.domain.unit_of_work import unit_of_work
from portal.web import formats
from portal.web.cursors import cursor_args, cursor_from
from portal.web.kept import kept, not_kept

PAST_SHOWN = 5


def schedule() -> ResponseReturnValue:
    """Show My Schedule: the next appointment, what else is coming, what was asked for, papers to sign (C1)."""
    return kept(_schedule)


def _schedule() -> str:
    found = customer_queries.schedule(session(), customer(), formats.now(), PAST_SHOWN)
    visits, past = found.upcoming, found.past
    if any(item.visit.is_tracked or item.is_cancelling for item in visits):
        # Positions leave no mark, and what can be undone can be so until a second.
        not_kept()
    following = live.follow(visits, url_for("my.live"))
    return render_template(
        "customer/schedule.html",
        visits=customer_queries.foremost_first(visits),
        following=following,
        past=past,
        finished=None if following else _finished_today(past.rows),
        papers=customer_queries.waiting_papers(session()),
        wishes=own_service_requests(session(), formats.now()),
    )


def _finished_today(visits: Sequence[Appointment]) -> Appointment | None:
    """Return a visit of today that is complete, so that its last step shows too."""
    now = formats.now()
    complete = (visit for visit in visits if visit.is_complete)
    return next((one for one in complete if customer_queries.is_live(one, now, formats.zone_of(one.partner_id))), None)


def past() -> str:
    """Show every visit that has ended, newest first, in pages (C2)."""
    page = customer_queries.past_visits(session(), PAGE_ROWS, cursor_from(request.args, NEWEST_FIRST))
    return render_template("customer/past.html", page=page, newer=_address(page.back), older=_address(page.forward))


def _address(cursor: Cursor | None) -> str | None:
    if cursor is None:
        return None
    args: dict[str, Any] = {**cursor_args(cursor)}
    return url_for("my.past", **args)


def visit(visit_id: int) -> str:
    """Show one visit, coming or past, with its summary."""
    item = visit_of(visit_id)
    own_cancel = item.is_over and customer_queries.cancelled_by_customer(session(), item.visit)
    survey = survey_about(session(), customer(), formats.now(), item.visit) if item.visit.is_complete else None
    following = live.follow([item], url_for("my.live_visit", visit_id=visit_id))
    photos = shared_photos(session(), item.visit.id)
    return page_of_visit(
        "customer/visit.html", item, own_cancel=own_cancel, survey=survey, following=following, photos=photos
    )


def confirm(visit_id: int) -> ResponseReturnValue:
    """Confirm the start that the page showed (M8)."""
    number = move_number()
    with unit_of_work(session()) as writing:
        fieldwork.confirm(writing, customer(), formats.now(), visit_id, number)
    item = visit_of(visit_id).visit
    when = formats.window(item.start_at, item.window_minutes, item.partner_id)
    flash(gettext("Thank you. You confirmed %(when)s.", when=when), "ok")
    return go("my.schedule")


def undo(visit_id: int) -> ResponseReturnValue:
    """Take back a cancel that has not taken effect yet."""
    try:
        with unit_of_work(session()) as writing:
            services.undo_cancel(writing, customer(), formats.now(), visit_id)
    except Refused:
        now = visit_of(visit_id)
        if not now.is_planned or now.is_cancelling or not customer_queries.undone_by_customer(session(), now.visit):
            raise
        # The same button pressed twice: the first press did it.
        return go("my.schedule")
    item = visit_of(visit_id).visit
    when = formats.window(item.start_at, item.window_minutes, item.partner_id)
    flash(gettext("Your visit stays: %(when)s.", when=when), "ok")
    return go("my.schedule")


def add_to(pages: Blueprint) -> None:
    """Put these pages into the customer's blueprint."""
    pages.add_url_rule("/", view_func=schedule)
    pages.add_url_rule("/visits", view_func=past)
    pages.add_url_rule("/visits/<int:visit_id>", view_func=visit)
    pages.add_url_rule("/visits/<int:visit_id>/confirm", view_func=confirm, methods=["POST"])
    pages.add_url_rule("/visits/<int:visit_id>/undo", view_func=undo, methods=["POST"])
