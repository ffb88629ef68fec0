"""The use case of set-up: the partner's contract text, effective at once for contracts sent from then on (L1)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.contracts.models import ContractSettings
from portal.domain.contracts.text import clean_template, template_error
from portal.domain.errors import Conflict, Invalid, changed_meanwhile
from portal.domain.lookup import lock
from portal.domain.settings_log.services import SettingKind, Subject, record_setting_change, values_of
from portal.domain.unit_of_work import require_unit_of_work

LOGGED = ("text",)


def edit_contract_text(
    session: Session, actor: Actor, now: datetime, partner_id: int, version: int, text: str
) -> ContractSettings:
    """Change the text of a partner's contracts and return it; a blank one stands for the usual text again.

    ``version`` is the one that the form was made from, 0 where there was none. Contracts that are out stay as they
    are. Writes the audit trail. Raises ``Invalid`` at ``text`` for a template that cannot be filled in, ``Conflict``
    for a form from before somebody else's change.
    """
    require_unit_of_work(session)
    query = select(ContractSettings.id).where(ContractSettings.partner_id == partner_id)
    key = session.scalars(query).one_or_none()
    settings = ContractSettings(partner_id=partner_id, text="") if key is None else lock(session, ContractSettings, key)
    if version != (settings.version or 0):
        raise Conflict(changed_meanwhile())
    cleaned = clean_template(text)
    error = template_error(cleaned)
    if error is not None:
        raise Invalid({"text": error})
    before = values_of(settings, LOGGED)
    settings.text = cleaned
    session.add(settings)
    session.flush()
    subject = Subject(SettingKind.CONTRACT_TEXT, partner_id)
    record_setting_change(session, actor, now, subject, before, values_of(settings, LOGGED))
    return settings
