"""The partner's contract text, with the placeholders that are filled in when a contract is sent (J10, L1)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Response, request
from flask.typing import ResponseReturnValue
from flask_admin import BaseView, expose
from flask_babel import gettext, lazy_gettext
from sqlalchemy.orm import Session
from wtforms import TextAreaField

from portal.admin.base import SettingsPage, VersionedForm, the_actor, the_partner_id
from portal.domain.actor import Actor
from portal.domain.branding.queries import partner_for_branding, partner_logo
from portal.domain.contracts import settings
from portal.domain.contracts.models import ContractSettings
from portal.domain.contracts.queries import settings_of
from portal.domain.contracts.text import PLACEHOLDERS, USUAL, clean_template, template_error
from portal.domain.templating import fill
from portal.extensions import db
from portal.web import formats, papers
from portal.web.i18n import translate


class ContractTextForm(VersionedForm):
    """The text with its placeholders."""

    text = TextAreaField(lazy_gettext("Contract text"), default="", render_kw={"rows": 24, "spellcheck": "true"})


class ContractTextView(SettingsPage):
    """The contract text, effective at once for contracts that are sent from then on."""

    template = "admin/setup/contract_text.html"
    form = ContractTextForm
    saved = lazy_gettext("Saved. It holds for contracts sent from now on.")

    def stored(self, session: Session, partner_id: int) -> ContractSettings:
        own = settings_of(session, partner_id)
        if own is not None and own.text:
            return own
        # Shown instead of an empty field: there is always a text that is sent.
        say = papers.say_for(partner_for_branding(session, partner_id))
        return ContractSettings(text=say(USUAL), version=own.version if own is not None else 0)

    def save(self, session: Session, actor: Actor, now: datetime, partner_id: int, form: Any) -> ContractSettings:
        text = form.text.data or ""
        # The usual text as it stands is no text of their own: it goes on following the partner's language.
        say = papers.say_for(partner_for_branding(session, partner_id))
        own = "" if clean_template(text) == clean_template(say(USUAL)) else text
        return settings.edit_contract_text(session, actor, now, partner_id, form.version.data or 0, own)

    @expose("/preview", methods=("POST",))
    def preview_view(self) -> ResponseReturnValue:
        """Draw what is typed, filled in with made-up facts, without saving it."""
        partner_id = the_partner_id(the_actor())
        form = ContractTextForm(request.form)
        text = clean_template(form.text.data or "")
        wrong = template_error(text)
        if wrong is not None:
            form.text.errors = [translate(wrong)]
            return self._page(partner_id, form), 422
        partner = partner_for_branding(db.session(), partner_id)
        body = fill(text or papers.say_for(partner)(USUAL), _examples(partner.name, partner.phone, partner.job_prefix))
        logo = partner_logo(db.session(), partner_id)
        return Response(papers.example(partner, logo, body), mimetype="application/pdf")

    def render(self, template: str, **kwargs: Any) -> str:
        return str(super().render(template, placeholders=PLACEHOLDERS, **kwargs))


def _examples(partner: str, phone: str, prefix: str) -> dict[str, str]:
    today = formats.day(formats.now(), year=True)
    charger, fuse = gettext("Car charger 7 kW"), gettext("Fuse carrier")
    return {
        "job.number": f"{prefix}-1001",
        "job.title": f"{charger}, {fuse}",
        "job.service": gettext("Car charger"),
        "job.items": f"- 1 × {charger}\n- 2 × {fuse}",
        "job.dates": today,
        "customer.name": "Jane Example",
        "customer.address": "1 Example Street, Exampleton EX1 1EX",
        "technician.name": "John Example",
        "partner.name": partner,
        "partner.phone": phone,
        "contract.date": today,
        "contract.version": "1",
    }


def views() -> list[BaseView]:
    """Return the views of this subject, in the order of the menu."""
    return [
        ContractTextView(
            name=lazy_gettext("Contract text"), category="Set-up", endpoint="contract_text", url="/admin/contract-text"
        )
    ]
