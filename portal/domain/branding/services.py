"""The use cases of branding and words: what a partner's pages look like and what its customers read, at once (L1).

Each runs within one ``unit_of_work`` on rows of the session's scope and writes the audit trail. They raise ``NotFound``
for what is out of the scope, ``Invalid`` for input, and ``Conflict`` for a form from before somebody else's change.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.branding.models import PartnerLogo
from portal.domain.branding.pictures import Picture, redraw
from portal.domain.errors import Conflict, Invalid, Refusal, Sentence, changed_meanwhile, sentence, too_long
from portal.domain.jobs.states import APPOINTMENT
from portal.domain.people.contacts import NotUsable, clean_phone
from portal.domain.people.models import Partner
from portal.domain.people.partners import LOCALE, lock_partner
from portal.domain.settings_log.services import SettingKind, Subject, record_setting_change
from portal.domain.texts import one_line

MAX_NAME = 120
# A badge of more words would break the narrowest card.
MAX_LABEL = 40
MAX_TERM = 30
COLOUR = re.compile(r"#[0-9a-f]{6}")
# What customers read of a visit, in the order of its life.
WORDED = tuple(status.name for status in APPOINTMENT.statuses)


@dataclass(frozen=True, slots=True)
class BrandingInput:
    """The form of branding and words, as typed; ``status_labels`` by status, blank for the usual words.

    ``locale`` is the language of messages to customers who chose none, such as ``de_DE``; "" for English.
    """

    name: str
    phone: str
    locale: str
    colour: str
    staff_term: str
    customer_term: str
    status_labels: Mapping[str, str]


def edit_branding(
    session: Session, actor: Actor, now: datetime, partner_id: int, version: int, form: BrandingInput
) -> Partner:
    """Change a partner's name, telephone, colour and words; ``version`` is the one the form was made from."""
    partner = lock_partner(session, partner_id)
    if partner.version != version:
        raise Conflict(changed_meanwhile())
    before = _logged(partner)
    values, errors = _own_values(partner, form)
    labels = {}
    for status in WORDED:
        label = one_line(form.status_labels.get(status, ""))
        if len(label) > MAX_LABEL:
            errors[f"label_{status}"] = too_long(MAX_LABEL)
        if label:
            labels[status] = label
    if errors:
        raise Invalid(errors)
    for name, value in values.items():
        setattr(partner, name, value)
    partner.status_labels = labels
    session.flush()
    record_setting_change(session, actor, now, _subject(partner), before, _logged(partner))
    return partner


def drawn_logo(data: bytes) -> Picture:
    """Return the picture in ``data`` as it is kept (``pictures.redraw``); ``Invalid`` at ``logo`` says why not.

    Apart from ``set_logo``, so that nobody waits for the database meanwhile.
    """
    drawn = redraw(data)
    if isinstance(drawn, Refusal):
        raise Invalid({"logo": drawn.sentence})
    return drawn


def set_logo(session: Session, actor: Actor, now: datetime, partner_id: int, drawn: Picture) -> PartnerLogo:
    """Put ``drawn`` in the place of the partner's logo and return it."""
    partner = lock_partner(session, partner_id)
    logo = _logo_of(session, partner)
    before = _seen(logo)
    if logo is None:
        logo = PartnerLogo(partner_id=partner.id)
        session.add(logo)
    logo.digest = hashlib.sha256(drawn.png).hexdigest()
    logo.width, logo.height, logo.picture, logo.saved_at = drawn.width, drawn.height, drawn.png, now
    session.flush()
    record_setting_change(session, actor, now, _subject(partner), {"logo": before}, {"logo": _seen(logo)})
    return logo


def remove_logo(session: Session, actor: Actor, now: datetime, partner_id: int) -> None:
    """Do without a logo again; nothing happens where there is none."""
    partner = lock_partner(session, partner_id)
    logo = _logo_of(session, partner)
    if logo is None:
        return
    session.delete(logo)
    session.flush()
    record_setting_change(session, actor, now, _subject(partner), {"logo": _seen(logo)}, {"logo": ""})


def _logo_of(session: Session, partner: Partner) -> PartnerLogo | None:
    return session.scalars(select(PartnerLogo).where(PartnerLogo.partner_id == partner.id)).one_or_none()


def _seen(logo: PartnerLogo | None) -> str:
    return "" if logo is None else f"{logo.width} × {logo.height}, {logo.digest[:8]}"


def _own_values(partner: Partner, form: BrandingInput) -> tuple[dict[str, str], dict[str, Sentence]]:
    values = {name: one_line(getattr(form, name)) for name in ("name", "staff_term", "customer_term")}
    errors = {}
    if not values["name"]:
        errors["name"] = sentence("Enter a name")
    for name, limit in (("name", MAX_NAME), ("staff_term", MAX_TERM), ("customer_term", MAX_TERM)):
        if len(values[name]) > limit:
            errors[name] = too_long(limit)
    try:
        values["phone"] = clean_phone(form.phone, partner.timezone)
    except NotUsable as wrong:
        errors["phone"] = wrong.sentence
    values["locale"] = form.locale
    if not LOCALE.fullmatch(form.locale):
        errors["locale"] = sentence("Choose a language")
    values["brand_colour"] = form.colour.strip().lower()
    if not COLOUR.fullmatch(values["brand_colour"]):
        errors["colour"] = sentence("Choose a colour, such as %(example)s", example="#2b4a6f")
    return values, errors


def _subject(partner: Partner) -> Subject:
    return Subject(SettingKind.BRANDING, partner.id, name=partner.name)


def _logged(partner: Partner) -> dict[str, str]:
    own = {
        "name": partner.name,
        "phone": partner.phone,
        "locale": partner.locale,
        "colour": partner.brand_colour,
        "staff_term": partner.staff_term,
        "customer_term": partner.customer_term,
    }
    return own | {f"label_{status}": partner.status_labels.get(status, "") for status in WORDED}
