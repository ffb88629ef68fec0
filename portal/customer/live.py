"""Today's visit while it happens: its six steps, whether anything is new with it, and the way to its map (C3, C4)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, abort, current_app, jsonify, redirect
from flask.typing import ResponseReturnValue
from flask_babel import get_locale

from portal.customer.blueprint import customer, page_of_visit, session, visit_of
from portal.customer.track import heading_of
from portal.domain.jobs.customer_queries import CustomerVisit
from portal.domain.jobs.models import Appointment
from portal.domain.jobs.states import STEPS
from portal.domain.scheduling.zones import day_span
from portal.domain.tracking import queries
from portal.domain.tracking.arrival import Estimate
from portal.domain.tracking.queries import VisitMark
from portal.web import formats
from portal.web.kept import kept, not_kept
from portal.web.links import track_path
from portal.web.partners import partner_info
from portal.web.statuses import customer_label

LAST_STEP = max(STEPS.values())
# When a visit came to each step; nobody notes when somebody got ready.
REACHED = {1: "planned_at", 3: "on_the_way_at", 4: "arrived_at", 5: "work_began_at", 6: "ended_at"}


@dataclass(frozen=True, slots=True)
class Step:
    """One of the six steps as the page shows it: ``css`` says whether it is behind, present or to come."""

    number: int
    label: str
    css: str
    at: datetime | None

    @property
    def is_now(self) -> bool:
        """Whether the visit stands here."""
        return self.css == "now"


def steps_of(visit: Appointment) -> list[Step]:
    """Return the six steps of ``visit`` in the partner's words, with when each was reached where that is known."""
    words, here = partner_info(visit.partner_id).status_labels, STEPS[visit.status]
    names = {number: name for name, number in reversed(STEPS.items())} | {here: visit.status}
    found = []
    for number in range(1, LAST_STEP + 1):
        css = "now" if number == here else "past" if number < here else ""
        at = getattr(visit, REACHED[number]) if css and number in REACHED else None
        found.append(Step(number, customer_label(names[number], words), css, at))
    return found


def arrival(item: CustomerVisit) -> Estimate | None:
    """Return when the technician of a visit is expected, and as of when."""
    return queries.arrival_of(item.visit, item.job.address, item.position, _speed(), item.asked.now)


def _speed() -> float:
    speed: float = current_app.config["TRAVEL_SPEED_KMH"]
    return speed


def can_track(item: CustomerVisit) -> bool:
    """Whether *Track* leads anywhere now."""
    return queries.is_followed(item.visit, item.asked.now)


def follow(items: Sequence[CustomerVisit], url: str) -> dict[str, Any] | None:
    """Return what a page with ``items`` asks at ``url`` to keep up with them; ``None`` where nothing happens today."""
    if not any(item.is_live for item in items):
        return None
    marks = [VisitMark.of(item.visit, item.job.address, item.position, _speed(), item.asked.now) for item in items]
    return {"url": url, "revision": revision_of(sorted(marks)), "every": current_app.config["POLL_SECONDS"]}


def revision_of(marks: Iterable[Any]) -> str:
    """Return what tells a page of visits with ``marks`` from an older one, the partner's words and the day included."""
    infos = [partner_info(key) for key in sorted(customer().partner_ids)]
    shown = [(one.name, one.phone, one.colour, one.logo, one.customer_term, dict(one.status_labels)) for one in infos]
    today = [formats.today(one) for one in infos]
    return hashlib.sha256(repr((list(marks), shown, today, str(get_locale()))).encode()).hexdigest()[:32]


def live() -> ResponseReturnValue:
    """Answer 304 to a page that shows all of the customer's visits as they are, in two statements with the sign-in."""
    return _answer(lambda: queries.marks_of_open_visits(session(), _speed(), formats.now()))


def live_visit(visit_id: int) -> ResponseReturnValue:
    """Answer the same about one visit, coming or past."""
    return _answer(lambda: queries.marks_of_visit(session(), visit_id, _speed(), formats.now()))


def _answer(read: Callable[[], Sequence[VisitMark]]) -> ResponseReturnValue:
    def draw() -> Response:
        marks = read()
        if any(mark.is_moving for mark in marks):
            # A position leaves no mark by which a kept answer would be known to be old.
            not_kept()
        answer = jsonify({"revision": (revision := revision_of(marks))})
        answer.set_etag(revision)
        return answer

    zones = {partner_info(key).zone for key in customer().partner_ids}
    # A new day makes other visits live by itself.
    return kept(draw, min(day_span(formats.today(zone), zone)[1] for zone in zones), is_cheap=True)


def track(visit_id: int) -> ResponseReturnValue:
    """Lead to the map of the present departure; 410 once there is no way to follow any more, 404 before there was."""
    item = visit_of(visit_id)
    visit = item.visit
    if can_track(item) and visit.departure is not None:
        return redirect(track_path(visit.id, visit.departure), 303)
    if item.is_planned:
        abort(404)
    return page_of_visit("customer/track_over.html", item, has_login=True, visit=visit), 410


def add_to(pages: Blueprint) -> None:
    """Put these pages into the customer's blueprint."""
    pages.add_url_rule("/live", view_func=live)
    pages.add_url_rule("/visits/<int:visit_id>/live", view_func=live_visit)
    pages.add_url_rule("/visits/<int:visit_id>/track", view_func=track)
    pages.context_processor(
        lambda: {"steps_of": steps_of, "arrival": arrival, "can_track": can_track, "tracked_heading": heading_of}
    )
