"""Asking the office for what Modify does not allow, and what became of it (C6)."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, lazy_gettext
from flask_wtf import FlaskForm
from wtforms import RadioField, TextAreaField

from portal.customer.blueprint import customer, go, move_number, page_of_visit, session, visit_of
from portal.domain.errors import Conflict, Invalid, Refused
from portal.domain.jobs.customer_queries import CustomerVisit
from portal.domain.requests import queries, services
from portal.domain.requests.models import Wish
from portal.domain.unit_of_work import unit_of_work
from portal.web import formats
from portal.web.errors import shows_again
from portal.web.forms import add_errors
from portal.web.i18n import translate
from portal.web.statuses import WISHES


class AskForm(FlaskForm):
    """What is wished for, in words; the domain says what may be asked."""

    wish = RadioField(lazy_gettext("What would you like?"), choices=[])
    words = TextAreaField(lazy_gettext("Tell us more"))


def ask_form(item: CustomerVisit) -> AskForm:
    """Return the form with the wishes that are open for ``item``; the first one is chosen."""
    form = AskForm()
    form.wish.choices = [(wish.value, WISHES[wish]) for wish in item.wishes]
    if not form.wish.data and item.wishes:
        form.wish.data = item.wishes[0].value
    return form


def ask(visit_id: int) -> ResponseReturnValue:
    """Show the form; where nothing can be asked for, lead to the visit, which says what can be done."""
    item = visit_of(visit_id)
    if not item.wishes:
        return redirect(url_for("my.visit", visit_id=visit_id))
    return page_of_visit("customer/ask.html", item, form=ask_form(item))


@shows_again
def send(visit_id: int) -> ResponseReturnValue:
    """Put the wish into the dispatcher's queue."""
    number, item = move_number(), visit_of(visit_id)
    form = ask_form(item)
    if item.request is not None:
        # The same button pressed twice: the first press did it.
        return go("my.visit", visit_id=visit_id)
    if form.wish.data not in set(Wish):
        form.wish.errors = [gettext("Choose what you would like")]
        return page_of_visit("customer/ask.html", item, form=form), 422
    try:
        with unit_of_work(session()) as writing:
            services.request_change(
                writing, customer(), formats.now(), visit_id, Wish(form.wish.data), form.words.data or "", number
            )
    except Invalid as invalid:
        item = visit_of(visit_id)
        form = ask_form(item)
        add_errors(form, invalid.errors)
        return page_of_visit("customer/ask.html", item, form=form), 422
    except (Refused, Conflict) as refused:
        item = visit_of(visit_id)
        said = translate(refused.refusal.sentence, item.visit.partner_id)
        return page_of_visit("customer/ask.html", item, form=ask_form(item), stopped=said), 409
    flash(gettext("We have your request. Your visit stays as it is until we answer."), "ok")
    return go("my.visit", visit_id=visit_id)


def requests() -> str:
    """Show the customer's requests and what became of them, newest first."""
    return render_template(
        "customer/requests.html",
        requests=queries.own_requests(session()),
        new_service=queries.own_service_requests(session()),
        wishes=WISHES,
    )


def add_to(pages: Blueprint) -> None:
    """Put these pages into the customer's blueprint."""
    pages.add_url_rule("/requests", view_func=requests)
    pages.add_url_rule("/visits/<int:visit_id>/request", view_func=ask)
    pages.add_url_rule("/visits/<int:visit_id>/request", view_func=send, methods=["POST"])
