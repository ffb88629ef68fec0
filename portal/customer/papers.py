"""A job of the customer's, its contract to read and sign, and approving the finished work."""

from __future__ import annotations

from flask import Blueprint, flash, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext, lazy_gettext
from flask_wtf import FlaskForm
from wtforms import BooleanField, StringField

from portal.customer.blueprint import customer, go, session
from portal.domain.contracts import services as contracts
from portal.domain.errors import Invalid
from portal.domain.jobs import customer_queries
from portal.domain.unit_of_work import unit_of_work
from portal.web import formats
from portal.web.forms import add_errors
from portal.web.i18n import translate
from portal.web.partners import partner_info


class SignForm(FlaskForm):
    """A typed name and a tick; the domain says what both have to be."""

    name = StringField(lazy_gettext("Your full name"), render_kw={"autocomplete": "name"})
    consent = BooleanField()


def job(job_id: int) -> str:
    """Show a job with its items, visits and contract, and the button that approves it."""
    page = customer_queries.job_page(session(), customer(), formats.now(), job_id)
    return render_template("customer/job.html", page=page, job=page.job, page_partner=partner_info(page.job.partner_id))


def approve(job_id: int) -> ResponseReturnValue:
    """Approve the finished work, the installation's successful end."""
    with unit_of_work(session()) as writing:
        contracts.approve(writing, customer(), formats.now(), job_id)
    flash(gettext("Thank you. You approved the work."), "ok")
    return go("my.job", job_id=job_id)


def contract(contract_id: int) -> str:
    """Show the exact text of a contract, and the form that signs it."""
    return _contract(contract_id, SignForm())


def sign(contract_id: int) -> ResponseReturnValue:
    """Sign a contract with a typed name and consent."""
    form = SignForm()
    try:
        with unit_of_work(session()) as writing:
            signed = contracts.sign_contract(
                writing, customer(), formats.now(), contract_id, form.name.data or "", bool(form.consent.data)
            )
            job_id = signed.job_id
    except Invalid as invalid:
        add_errors(form, invalid.errors)
        return _contract(contract_id, form), 422
    flash(gettext("Thank you. You signed the contract."), "ok")
    return go("my.job", job_id=job_id)


def _contract(contract_id: int, form: SignForm) -> str:
    page = customer_queries.contract_page(session(), customer(), formats.now(), contract_id)
    return render_template(
        "customer/contract.html",
        page=page,
        form=form,
        consent=translate(contracts.CONSENT),
        page_partner=partner_info(page.contract.partner_id),
    )


def add_to(pages: Blueprint) -> None:
    """Put these pages into the customer's blueprint."""
    pages.add_url_rule("/jobs/<int:job_id>", view_func=job)
    pages.add_url_rule("/jobs/<int:job_id>/approve", view_func=approve, methods=["POST"])
    pages.add_url_rule("/contracts/<int:contract_id>", view_func=contract)
    pages.add_url_rule("/contracts/<int:contract_id>/sign", view_func=sign, methods=["POST"])
