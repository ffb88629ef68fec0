"""Modify: one question a page, the state in the address, the decision with the domain (M1-M7)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime

from flask import Blueprint, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_wtf import FlaskForm
from wtforms import TextAreaField

from portal.customer.blueprint import customer, go, move_number, page_of_visit, session, visit_of
from portal.customer.requests import ask_form
from portal.domain.errors import Conflict, Invalid, Refusal, Refused
from portal.domain.jobs import customer_queries, services
from portal.domain.jobs.customer_queries import CustomerVisit
from portal.domain.jobs.mechanics import MAX_AHEAD
from portal.domain.unit_of_work import unit_of_work
from portal.web import formats
from portal.web.errors import shows_again
from portal.web.forms import add_errors
from portal.web.i18n import translate
from portal.web.kept import kept

# What keeps somebody from coming then is nobody else's business: such a time is simply gone.
GONE = frozenset({"booked", "buffer", "time_off"})


class ReasonForm(FlaskForm):
    """Why a visit is cancelled; the domain says what a reason is."""

    reason = TextAreaField()


def what(visit_id: int) -> ResponseReturnValue:
    """Ask whether to move or to cancel; where neither is possible, say by which rule, until when, and what to do."""
    item = visit_of(visit_id)
    if item.is_cancelling:
        return redirect(url_for("my.cancelled", visit_id=visit_id))
    if not item.may_modify:
        return _refused(item, 200)
    act = request.args.get("act")
    if act == "move" and item.move.allowed:
        return redirect(url_for("my.times", visit_id=visit_id))
    if act == "cancel" and item.cancel.allowed:
        return redirect(url_for("my.reason", visit_id=visit_id))
    return page_of_visit("customer/modify_what.html", item)


def times(visit_id: int) -> ResponseReturnValue:
    """Ask for the day and the time, out of the free ones (M4)."""
    item = visit_of(visit_id)
    if not item.move.allowed:
        return _refused(item, 409)
    return kept(lambda: _times(item, _day(request.args.get("day")), _start(request.args.get("start"))))


def check_move(visit_id: int) -> ResponseReturnValue:
    """Show old and new time side by side before anything is changed."""
    item = visit_of(visit_id)
    if not item.move.allowed:
        return _refused(item, 409)
    start = _start(request.args.get("start"))
    if start is None:
        return _times(item, _day(request.args.get("day")), None, error=gettext("Choose a time")), 422
    slot = customer_queries.slot_for_move(session(), item, start)
    gone = slot.refusal
    if gone is not None:
        taken = gone.code in GONE
        return _times(item, _day_of(item, start), None, gone=_words(item, start, gone), taken=taken), 409
    day = _day_of(item, start)
    keeps, after = slot.technician_id == item.visit.technician_id, customer_queries.after_move(item, start)
    return page_of_visit("customer/modify_check.html", item, start=start, day=day, keeps_technician=keeps, after=after)


def move(visit_id: int) -> ResponseReturnValue:
    """Take the time; where it is gone by now, say so and show what is free (M5)."""
    number, start = move_number(), _start(request.form.get("start"))
    try:
        if start is None:
            raise Conflict(services.not_offered())
        with unit_of_work(session()) as writing:
            services.move_by_customer(writing, customer(), formats.now(), visit_id, start, number)
    except (Refused, Conflict) as stopped:
        item = visit_of(visit_id)
        if start == item.visit.start_at and number < item.visit.move_number:
            # The same button pressed twice: the first press did it.
            return go("my.moved", visit_id=visit_id)
        if not item.move.allowed:
            return _refused(item, 409)
        day = _day_of(item, start) if start is not None else None
        return _times(item, day, None, stopped=_words(item, start, stopped.refusal)), 409
    return go("my.moved", visit_id=visit_id)


def moved(visit_id: int) -> ResponseReturnValue:
    """Prove the move: the details, and what happens next."""
    item = visit_of(visit_id)
    before = customer_queries.start_before_move(session(), item.visit)
    if before is None or not item.is_planned:
        return redirect(url_for("my.visit", visit_id=visit_id))
    follows = customer_queries.what_follows(session(), item)
    return page_of_visit("customer/modify_done.html", item, before=before, follows=follows)


def reason(visit_id: int) -> ResponseReturnValue:
    """Ask why the visit is to be cancelled (M7); what was typed before is kept."""
    item = visit_of(visit_id)
    if not item.cancel.allowed:
        return _refused(item, 409)
    return page_of_visit("customer/cancel_reason.html", item, form=ReasonForm())


@shows_again
def check_cancel(visit_id: int) -> ResponseReturnValue:
    """Show what is about to be cancelled, and the reason, before anything is changed."""
    item = visit_of(visit_id)
    if not item.cancel.allowed:
        return _refused(item, 409)
    form = ReasonForm()
    try:
        text = services.cancel_reason(form.reason.data or "")
    except Invalid as invalid:
        add_errors(form, invalid.errors)
        return page_of_visit("customer/cancel_reason.html", item, form=form), 422
    return page_of_visit("customer/cancel_check.html", item, reason=text)


@shows_again
def cancel(visit_id: int) -> ResponseReturnValue:
    """Cancel the visit, to take effect after the partner's undo time."""
    form, number = ReasonForm(), move_number()
    reason = form.reason.data or ""
    try:
        with unit_of_work(session()) as writing:
            services.cancel_by_customer(writing, customer(), formats.now(), visit_id, reason, number)
    except (Refused, Conflict) as stopped:
        item = visit_of(visit_id)
        if item.is_cancelling or customer_queries.cancelled_by_customer(session(), item.visit):
            # The same button pressed twice: the first press did it.
            return go("my.cancelled", visit_id=visit_id)
        if not item.cancel.allowed:
            return _refused(item, 409)
        words = translate(stopped.refusal.sentence, item.visit.partner_id)
        return page_of_visit("customer/cancel_check.html", item, reason=reason.strip(), stopped=words), 409
    except Invalid as invalid:
        add_errors(form, invalid.errors)
        return page_of_visit("customer/cancel_reason.html", visit_of(visit_id), form=form), 422
    return go("my.cancelled", visit_id=visit_id)


def cancelled(visit_id: int) -> ResponseReturnValue:
    """Prove the cancel, and offer to undo it while that is possible."""
    item = visit_of(visit_id)
    if not item.is_cancelling and not customer_queries.cancelled_by_customer(session(), item.visit):
        return redirect(url_for("my.visit", visit_id=visit_id))
    return page_of_visit("customer/cancel_done.html", item)


def to_reason(visit_id: int) -> ResponseReturnValue:
    """Lead to the question from the address of a page that only a form opens, such as after a reload."""
    visit_of(visit_id)
    return redirect(url_for("my.reason", visit_id=visit_id))


def _times(
    item: CustomerVisit,
    day: date | None,
    start: datetime | None,
    error: str | None = None,
    gone: str | None = None,
    taken: bool = False,
    stopped: str | None = None,
) -> str:
    offer = customer_queries.offered_times(session(), item, day)
    return page_of_visit(
        "customer/modify_time.html",
        item,
        offer=offer,
        parts=_parts(item, offer.chosen.starts) if offer.chosen else [],
        start=start,
        error=error,
        gone=gone,
        taken=taken,
        stopped=stopped,
        form_has_errors=error is not None,
    )


def _parts(item: CustomerVisit, starts: Iterable[datetime]) -> list[tuple[str, list[datetime]]]:
    """Return starts by part of the day, in the partner's zone."""
    names = [(12, gettext("Morning")), (17, gettext("Afternoon")), (24, gettext("Evening"))]
    parts: list[tuple[str, list[datetime]]] = [(name, []) for _, name in names]
    for start in starts:
        hour = start.astimezone(item.asked.zone).hour
        parts[next(index for index, (end, _) in enumerate(names) if hour < end)][1].append(start)
    return [(name, found) for name, found in parts if found]


def _refused(item: CustomerVisit, status: int) -> ResponseReturnValue:
    if item.is_cancelling:
        # From a page that was open before: the one way on is to take it back.
        if request.method == "GET":
            return go("my.cancelled", visit_id=item.visit.id)
        return page_of_visit("customer/cancel_done.html", item), status
    return page_of_visit("customer/refused.html", item, ask_form=ask_form), status


def _words(item: CustomerVisit, start: datetime | None, refusal: Refusal) -> str:
    visit = item.visit
    if start is None:
        return gettext("That is no time to choose.")
    when = formats.window(start, visit.window_minutes, visit.partner_id)
    if refusal.code in GONE:
        return gettext("%(when)s is no longer free.", when=when)
    if refusal.code == "outside_hours":
        return gettext("%(when)s is outside of working hours.", when=when)
    if refusal.code == "skill":
        return gettext("Nobody who can do this kind of visit is free %(when)s.", when=when)
    return translate(refusal.sentence, visit.partner_id)


def _day_of(item: CustomerVisit, start: datetime) -> date:
    return formats.local_day(start, item.asked.zone)


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None


def _start(text: str | None) -> datetime | None:
    """Return the instant that an address or a form names; ``None`` for what can be no free time."""
    try:
        start = datetime.fromisoformat(text or "")
        if start.tzinfo is None or abs(start - formats.now()) > MAX_AHEAD:
            return None
        return start.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def add_to(pages: Blueprint) -> None:
    """Put these pages into the customer's blueprint."""
    at = "/visits/<int:visit_id>"
    pages.add_url_rule(f"{at}/modify", view_func=what)
    pages.add_url_rule(f"{at}/move", view_func=times)
    pages.add_url_rule(f"{at}/move/check", view_func=check_move)
    pages.add_url_rule(f"{at}/move", view_func=move, methods=["POST"])
    pages.add_url_rule(f"{at}/moved", view_func=moved)
    pages.add_url_rule(f"{at}/cancel", view_func=reason)
    pages.add_url_rule(f"{at}/cancel", view_func=cancel, methods=["POST"])
    pages.add_url_rule(f"{at}/cancel/reason", endpoint="change_reason", view_func=reason, methods=["POST"])
    pages.add_url_rule(f"{at}/cancel/check", view_func=check_cancel, methods=["POST"])
    pages.add_url_rule(f"{at}/cancel/check", view_func=to_reason)
    pages.add_url_rule(f"{at}/cancel/reason", endpoint="to_reason_again", view_func=to_reason)
    pages.add_url_rule(f"{at}/cancelled", view_func=cancelled)
