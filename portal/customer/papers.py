"""A job of the customer's, its contract to read and sign, and approving the finished work."""

from __future__ import annotations

from flask import Blueprint, flash, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext, lazy_gettext
from flask_wtf import FlaskForm
from wtforms import BooleanField, HiddenField, StringField

from portal.customer.blueprint import customer, go, session
from portal.domain.contracts import services as contracts
from portal.domain.contracts.queries import current_contract
from portal.domain.contracts.services import Evidence
from portal.domain.contracts.text import blocks
from portal.domain.errors import Invalid, NotFound
from portal.domain.jobs import customer_queries
from portal.domain.jobs.models import Job
from portal.domain.lookup import find
from portal.domain.unit_of_work import unit_of_work
from portal.web import formats, papers
from portal.web.drawings import drawn
from portal.web.forms import add_errors
from portal.web.i18n import translate
from portal.web.partners import partner_info


class SignForm(FlaskForm):
    """A typed name, a tick and, with JavaScript, a drawing; the domain says what each has to be.

    ``shown`` is the fingerprint of the PDF that the page led to. ``pad`` is set where there is room to draw.
    """

    name = StringField(lazy_gettext("Your full name"), render_kw={"autocomplete": "name"})
    shown = HiddenField()
    pad = HiddenField()
    drawing = HiddenField()
    typed_only = BooleanField(lazy_gettext("I do not want to draw; my typed name is enough"))
    consent = BooleanField()

    def evidence(self) -> Evidence:
        """Return what bears witness of this signature, with what the request says of itself."""
        return Evidence(
            shown=self.shown.data or "",
            consent=translate(contracts.CONSENT),
            address=request.remote_addr or "",
            browser=request.user_agent.string,
            drawing=b"" if self.typed_only.data else drawn(self.drawing.data or ""),
            must_draw=bool(self.pad.data) and not self.typed_only.data,
        )


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


def newest_contract(job_id: int) -> ResponseReturnValue:
    """Lead to the version that counts, wherever a message about an earlier one led."""
    current = current_contract(session(), find(session(), Job, job_id).id)
    if current is None:
        raise NotFound
    return go("my.contract", contract_id=current.id)


def contract(contract_id: int) -> str:
    """Show the exact text of a contract, and the form that signs it."""
    return _contract(contract_id, SignForm())


def sign(contract_id: int) -> ResponseReturnValue:
    """Sign a contract with a typed name and consent, and a drawing where there is one."""
    form = SignForm()
    name, consent = form.name.data or "", bool(form.consent.data)
    try:
        with unit_of_work(session()) as writing:
            signed = contracts.sign_contract(
                writing, customer(), formats.now(), contract_id, name, consent, form.evidence()
            )
            job_id = signed.job_id
    except Invalid as invalid:
        add_errors(form, invalid.errors)
        return _contract(contract_id, form), 422
    flash(gettext("Thank you. You signed the contract."), "ok")
    return go("my.job", job_id=job_id)


def contract_file(contract_id: int, kind: str) -> ResponseReturnValue:
    """Hand out a file of a contract: as sent, as signed, or the scan."""
    return papers.file_of(contract_id, kind)


def _contract(contract_id: int, form: SignForm) -> str:
    page = customer_queries.contract_page(session(), customer(), formats.now(), contract_id)
    # What was signed is what this page says, not what was sent along.
    shown = papers.fingerprint_of(contract_id)
    return render_template(
        "customer/contract.html",
        page=page,
        form=form,
        shown=shown,
        blocks=list(blocks(page.contract.body)),
        consent=translate(contracts.CONSENT),
        page_partner=partner_info(page.contract.partner_id),
    )


def add_to(pages: Blueprint) -> None:
    """Put these pages into the customer's blueprint."""
    pages.add_url_rule("/jobs/<int:job_id>", view_func=job)
    pages.add_url_rule("/jobs/<int:job_id>/approve", view_func=approve, methods=["POST"])
    pages.add_url_rule("/jobs/<int:job_id>/contract", view_func=newest_contract)
    pages.add_url_rule("/contracts/<int:contract_id>", view_func=contract)
    pages.add_url_rule("/contracts/<int:contract_id>/sign", view_func=sign, methods=["POST"])
    pages.add_url_rule("/contracts/<int:contract_id>/<kind>", view_func=contract_file)
