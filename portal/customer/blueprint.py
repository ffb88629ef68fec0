"""What every page of the customer stands on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext
from sqlalchemy.orm import Session

from portal.domain.actor import Actor, Permission
from portal.domain.jobs import customer_queries
from portal.domain.jobs.customer_queries import CustomerVisit
from portal.domain.jobs.models import Appointment
from portal.domain.scheduling.rules import Decision, Owner
from portal.extensions import db
from portal.web import formats
from portal.web.auth import current_actor, guard
from portal.web.partners import partner_info

# A number of more digits is none of ours.
LONGEST_KEY = 20

pages = Blueprint("my", __name__, url_prefix="/my")
# Whose addresses say nothing to strangers, where other pages ask them to sign in.
HIDDEN = {"my.photo", "my.small_photo"}


@pages.before_request
def _hide_from_strangers() -> None:
    if request.endpoint in HIDDEN and current_actor() is None:
        abort(404)


pages.before_request(guard(Permission.MY))


def customer() -> Actor:
    """Return who asks; the blueprint's guard has let nobody else in."""
    actor = current_actor()
    if actor is None:
        abort(403)
    return actor


def session() -> Session:
    """Return the request's session."""
    return db.session()


def visit_of(visit_id: int) -> CustomerVisit:
    """Return a visit of the customer's as it is now; ``NotFound`` for anybody else's."""
    return customer_queries.customer_visit(session(), customer(), formats.now(), visit_id)


def move_number() -> int:
    """Return the move number that the posted form was made with; 400 for a form that is not ours."""
    text = request.form.get("move_number", "")
    if not (text.isascii() and text.isdigit() and len(text) < LONGEST_KEY):
        abort(400)
    return int(text)


def page_of_visit(template: str, item: CustomerVisit, **values: Any) -> str:
    """Return a page about one visit, in its partner's name and colour."""
    return render_template(template, item=item, page_partner=partner_info(item.visit.partner_id), **values)


def go(endpoint: str, **values: Any) -> ResponseReturnValue:
    """Return a redirect after a POST, so that reloading the page sends nothing again."""
    return redirect(url_for(endpoint, **values), 303)


def initials(name: str) -> str:
    """Return "TR" for Tomás Reyes."""
    words = name.split()
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()


def instant(value: datetime) -> str:
    """Return an instant as addresses and forms carry it: "2026-11-26T13:00Z"."""
    return value.strftime("%Y-%m-%dT%H:%MZ")


def window_end(visit: Appointment) -> datetime:
    """Return until when the technician arrives at the latest."""
    return visit.start_at + timedelta(minutes=visit.window_minutes)


def too_late(decisions: Iterable[Decision]) -> bool:
    """Whether one of the refusals is a matter of time that has run out."""
    return any(decision.until is not None and decision.until < formats.now() for decision in decisions)


def rule_words(decision: Decision, item: CustomerVisit) -> str | None:
    """Return the rule behind a refusal, and for what it holds, where the refusal's own sentence does not say it."""
    where = rule_holds_for(decision.owner, item)
    rule, controls = decision.rule, item.controls
    if rule == "reschedule_cutoff_hours":
        length = formats.length(controls.reschedule_cutoff_hours * 60)
        if where is None:
            return gettext("A visit can be moved until %(length)s before it starts.", length=length)
        return gettext("%(where)s, moving is possible until %(length)s before the start.", where=where, length=length)
    if rule == "cancel_cutoff_hours":
        length = formats.length(controls.cancel_cutoff_hours * 60)
        if where is None:
            return gettext("A visit can be cancelled until %(length)s before it starts.", length=length)
        return gettext(
            "%(where)s, cancelling is possible until %(length)s before the start.", where=where, length=length
        )
    if where is None:
        return None
    if rule == "self_service":
        return gettext("%(where)s, changes are made by our office only.", where=where)
    if rule == "max_moves":
        if not controls.max_moves:
            return gettext("%(where)s, moving is done by our office only.", where=where)
        return ngettext(
            "%(where)s, moving online is possible %(num)d time.",
            "%(where)s, moving online is possible %(num)d times.",
            controls.max_moves,
            where=where,
        )
    if rule.startswith("cancel"):
        return gettext("%(where)s, cancelling is done by our office only.", where=where)
    return gettext("%(where)s, moving is done by our office only.", where=where)


def rule_holds_for(owner: Owner | None, item: CustomerVisit) -> str | None:
    """Return for what a rule holds that is not everybody's, as a sentence about it begins."""
    if owner is Owner.JOB:
        return gettext("For this appointment")
    if owner is Owner.CUSTOMER:
        return gettext("For you")
    if owner is Owner.SERVICE_TYPE:
        return gettext("For “%(service)s”", service=item.job.service_type.name)
    return None


pages.context_processor(
    lambda: {
        "initials": initials,
        "instant": instant,
        "window_end": window_end,
        "too_late": too_late,
        "rule_words": rule_words,
    }
)
