"""The queues of attention as every page of the office shows them: what they are called and how much is in them.

Counts are kept a few seconds in each process, so that most pages ask the database nothing. Whatever this process writes
drops them at once, so that nobody misses what they just did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

from flask import Flask, request, url_for
from flask_babel import gettext
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from portal.domain.actor import Permission
from portal.domain.jobs.attention import MOST_COUNTED, Queue, count_queues
from portal.domain.scheduling.hits import Reason
from portal.domain.tenancy import SCOPE, Scope
from portal.extensions import db
from portal.web import formats
from portal.web.auth import current_actor
from portal.web.i18n import within
from portal.web.partners import current_partner

FRESH = timedelta(seconds=5)
# What is in these is more than an installation.
OWN_PAGES = {
    Queue.OFFERS: "job_offers.index_view",
    Queue.REQUESTS: "service_requests.index_view",
    Queue.CHANGE_REQUESTS: "change_requests.index_view",
    Queue.UNREACHABLE: "unreachable.index_view",
}
Counts = Mapping[Queue, int]

# By database, and there by partner: when they were counted, and how many there were.
_known: WeakKeyDictionary[Engine, dict[int, tuple[datetime, Counts]]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class QueueLine:
    """A queue in the menu; ``count`` is what its badge says, blank for an empty one."""

    name: str
    title: str
    url: str
    count: str
    current: bool


def queue_title(queue: Queue) -> str:
    """Return what a queue is called."""
    return {
        Queue.WITHOUT_TECHNICIAN: gettext("Without %(handyman)s", handyman=_handyman()),
        Queue.NOT_STARTED: gettext("Not started"),
        Queue.NOT_COMPLETED: gettext("Not completed"),
        Queue.NEEDS_VISIT: gettext("Needs a visit"),
        Queue.HIT: gettext("Hit by time off or hours"),
        Queue.OFFERS: gettext("Job offers"),
        Queue.REQUESTS: gettext("Requests"),
        Queue.CHANGE_REQUESTS: gettext("Change requests"),
        Queue.UNREACHABLE: gettext("Unreachable customers"),
    }[queue]


def queue_meaning(queue: Queue) -> str:
    """Return in a sentence what is in a queue."""
    return {
        Queue.WITHOUT_TECHNICIAN: gettext("Visits that are planned and have nobody to come."),
        Queue.NOT_STARTED: gettext("The arrival window is over and nobody has arrived."),
        Queue.NOT_COMPLETED: gettext("Still under way or paused although the day of the visit is over."),
        Queue.NEEDS_VISIT: gettext("Work has begun or a job is approved, and no visit is planned."),
        Queue.HIT: gettext(
            "Coming visits that new time off, a holiday, changed hours or a deactivated %(handyman)s made impossible. "
            "They stay here until they are moved or reassigned.",
            handyman=_handyman(),
        ),
        Queue.OFFERS: gettext("Jobs that the operator offers you. The first partner who accepts gets them."),
        Queue.REQUESTS: gettext("Customers ask for new service and wait for a time."),
        Queue.CHANGE_REQUESTS: gettext("Customers ask for what the rules do not let them change themselves."),
        Queue.UNREACHABLE: gettext("A message was given up after the last try. Somebody has to call them."),
    }[queue]


def queue_empty(queue: Queue) -> str:
    """Return what is said where nothing is in a queue."""
    return {
        Queue.WITHOUT_TECHNICIAN: gettext("Every planned visit has somebody."),
        Queue.NOT_STARTED: gettext("Nobody is late."),
        Queue.NOT_COMPLETED: gettext("No visit was left open at the end of its day."),
        Queue.NEEDS_VISIT: gettext("Nothing that was begun or approved waits for a visit."),
        Queue.HIT: gettext("Every coming visit can be worked as planned."),
        Queue.OFFERS: gettext("No job is offered to you."),
        Queue.REQUESTS: gettext("No request for new service waits for an answer."),
        Queue.CHANGE_REQUESTS: gettext("No change request waits for an answer."),
        Queue.UNREACHABLE: gettext("Every customer could be reached."),
    }[queue]


def queue_url(queue: Queue) -> str:
    """Return the address of the list of a queue; those that hold no installations have a page of their own."""
    if queue in OWN_PAGES:
        return url_for(OWN_PAGES[queue])
    return url_for("attention.queue_view", queue=queue.value)


def reason_text(reason: Reason, technician: str | None) -> str:
    """Return why a visit cannot be as it is planned."""
    name = technician or _handyman()
    return {
        Reason.INACTIVE: gettext("%(name)s is deactivated", name=name),
        Reason.HOLIDAY: gettext("On a holiday"),
        Reason.TIME_OFF: gettext("%(name)s is off", name=name),
        Reason.HOURS: gettext("Outside working hours"),
    }[reason]


def queue_counts() -> Counts:
    """Return how much is in each queue of the actor's partner, up to a few seconds old. One statement at most."""
    partner = current_partner()
    if partner is None:
        return dict.fromkeys(Queue, 0)
    found = known_counts(partner.id)
    if found is None:
        now = formats.now()
        found = count_queues(db.session(), partner.id, now, partner.zone)
        _known.setdefault(db.engine, {})[partner.id] = now, found
    return found


def known_counts(partner_id: int) -> Counts | None:
    """Return how much is in each queue of a partner if that was counted lately. Asks the database nothing."""
    known = _known.get(db.engine, {}).get(partner_id)
    return known[1] if known is not None and timedelta(0) <= formats.now() - known[0] < FRESH else None


def count_text(number: int) -> str:
    """Return a count as a badge shows it: "6", or "99+" for more than was counted."""
    return f"{MOST_COUNTED - 1}+" if number >= MOST_COUNTED else str(number)


def menu_queues(path: str | None = None) -> list[QueueLine]:
    """Return the queues with their counts for the menu; nothing for somebody who does not see jobs.

    ``path`` is the one of the page that the menu stands on, by default that of this request.
    """
    actor = current_actor()
    if actor is None or not actor.may(Permission.SEE_JOBS) or current_partner() is None:
        return []
    counts = queue_counts()
    lines = []
    for queue in Queue:
        url = queue_url(queue)
        count = count_text(counts[queue]) if counts[queue] else ""
        lines.append(QueueLine(queue.value, queue_title(queue), url, count, (path or request.path) == url))
    return lines


def _handyman() -> str:
    partner = current_partner()
    return within(partner.handyman) if partner is not None else ""


@event.listens_for(Session, "after_commit")
def _forget(session: Session) -> None:
    scope = session.info.get(SCOPE)
    partners = scope.partner_ids if isinstance(scope, Scope) and scope.exception is None else None
    for counts in list(_known.values()):
        for partner_id in list(counts if partners is None else partners):
            counts.pop(partner_id, None)


def init_app(app: Flask) -> None:
    """Make the queues known to the templates of ``app``."""
    functions: dict[str, Any] = {
        function.__name__: function
        for function in (menu_queues, queue_url, queue_title, queue_meaning, queue_empty, count_text, reason_text)
    }
    app.jinja_env.globals.update(functions)
