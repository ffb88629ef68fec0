"""The use cases of a partner's channels: which servers its messages leave by (N4, L1).

Each runs within one ``unit_of_work`` on rows of the session's scope; ``actor`` and ``now`` (an instant) are for the
audit trail, which says that a secret was set and never which. They raise ``Invalid`` for input and ``Conflict`` for a
form from before somebody else's change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.delivery import gateways
from portal.domain.delivery.models import ChannelSettings, Security
from portal.domain.errors import Conflict, Invalid, Sentence, changed_meanwhile, sentence, too_long
from portal.domain.people.contacts import NotUsable, clean_email
from portal.domain.people.models import Partner
from portal.domain.settings_log.services import SettingKind, Subject, record_setting_change
from portal.domain.unit_of_work import require_unit_of_work
from portal.domain.vault import Vault

MAX_TYPED = 255
MAX_GATEWAY = 1_000
PORTS = (1, 65_535)
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?")
# What the audit trail says of a secret.
SET, SET_ANEW, NOT_SET = sentence("set"), sentence("set anew"), ""


@dataclass(frozen=True, slots=True)
class ChannelsInput:
    """The form of the channels, as typed. A blank ``smtp_password`` or ``text_gateway`` keeps the one there is.

    ``no_texts`` forgets the gateway; a password goes with its user.
    """

    own_mail: bool
    smtp_host: str
    smtp_port: int
    smtp_security: str
    smtp_user: str
    smtp_password: str
    sender: str
    text_gateway: str
    no_texts: bool = False


def settings_of(session: Session, partner_ids: Iterable[int]) -> dict[int, ChannelSettings]:
    """Return the settings of those of the partners that have any, by partner. One statement."""
    query = select(ChannelSettings).where(ChannelSettings.partner_id.in_(set(partner_ids)))
    return {row.partner_id: row for row in session.scalars(query)}


def channels_of(session: Session, partner_id: int) -> ChannelSettings:
    """Return the settings of a partner; what holds from the start, not stored, where nobody has set any."""
    found = settings_of(session, [partner_id]).get(partner_id)
    return found or _from_the_start(partner_id)


def edit_channels(
    session: Session, actor: Actor, now: datetime, partner_id: int, version: int, form: ChannelsInput, vault: Vault
) -> ChannelSettings:
    """Change over which servers a partner's messages leave, effective with the next one.

    ``vault`` seals the secrets. ``version`` is the one the form was made from, 0 where nothing was stored.
    """
    require_unit_of_work(session)
    # Two forms that are the first at once are to find each other.
    session.scalars(select(Partner.id).where(Partner.id == partner_id).with_for_update(key_share=True)).one()
    query = select(ChannelSettings).where(ChannelSettings.partner_id == partner_id).with_for_update()
    stored = session.scalars(query, execution_options={"populate_existing": True}).one_or_none()
    if (stored.version if stored is not None else 0) != version:
        raise Conflict(changed_meanwhile())
    row = stored or _from_the_start(partner_id)
    values = _values(row, form)
    before = _logged(row)
    secrets = {"smtp_password": form.smtp_password, "text_gateway": form.text_gateway.strip()}
    sealed = _sealed(row, form, values, secrets, vault)
    for name, value in {**values, **sealed}.items():
        setattr(row, name, value)
    session.add(row)
    session.flush()
    after = _logged(row)
    for name, typed in secrets.items():
        if typed and before[name]:
            after[name] = str(SET_ANEW)
    record_setting_change(session, actor, now, Subject(SettingKind.CHANNELS, partner_id), before, after)
    return row


def seal_anew(session: Session, vault: Vault) -> int:
    """Seal every partner's secrets with the newest key and return how many; for the command that changes keys."""
    require_unit_of_work(session)
    sealed = 0
    for row in session.scalars(select(ChannelSettings).order_by(ChannelSettings.id).with_for_update()):
        for name in ("smtp_password", "text_gateway"):
            if old := getattr(row, name):
                setattr(row, name, vault.renew(old))
                sealed += 1
    session.flush()
    return sealed


def _from_the_start(partner_id: int) -> ChannelSettings:
    return ChannelSettings(
        partner_id=partner_id,
        own_mail=False,
        smtp_host="",
        smtp_port=587,
        smtp_security=Security.STARTTLS,
        smtp_user="",
        smtp_password="",
        sender="",
        text_gateway="",
        text_service="",
        version=0,
    )


def _sealed(
    row: ChannelSettings, form: ChannelsInput, values: dict[str, Any], secrets: dict[str, str], vault: Vault
) -> dict[str, str]:
    """Return the secrets as they are stored after the change, and the service by which people know the gateway."""
    password, gateway = secrets["smtp_password"], secrets["text_gateway"]
    sealed = {"smtp_password": vault.seal(password) if password else row.smtp_password}
    if not values["smtp_user"]:
        sealed["smtp_password"] = ""
    if form.no_texts:
        return {**sealed, "text_gateway": "", "text_service": ""}
    if gateway:
        return {**sealed, "text_gateway": vault.seal(gateway), "text_service": gateways.service_of(gateway)}
    return sealed


def _values(row: ChannelSettings, form: ChannelsInput) -> dict[str, Any]:
    errors: dict[str, Sentence] = {}
    host, user = form.smtp_host.strip(), form.smtp_user.strip()
    try:
        sender = clean_email(form.sender)
    except NotUsable as wrong:
        sender, errors["sender"] = "", wrong.sentence
    if form.own_mail and not host:
        errors["smtp_host"] = sentence("Enter the name of your mail server")
    elif host and (not HOST.fullmatch(host) or len(host) > MAX_TYPED):
        errors["smtp_host"] = sentence("Enter a name such as mail.example.com")
    if not PORTS[0] <= form.smtp_port <= PORTS[1]:
        errors["smtp_port"] = sentence("Enter a whole number from %(low)s to %(high)s", low=PORTS[0], high=PORTS[1])
    if form.smtp_security not in set(Security):
        errors["smtp_security"] = sentence("Choose one of the list")
    if form.own_mail and not form.sender.strip():
        errors["sender"] = sentence("Enter the address that your mail comes from")
    for name, text in (("smtp_user", user), ("smtp_password", form.smtp_password)):
        if len(text) > MAX_TYPED:
            errors[name] = too_long(MAX_TYPED)
    if user and not (form.smtp_password or row.smtp_password):
        errors["smtp_password"] = sentence("Enter the password of this user")
    elif (user or form.smtp_password) and form.smtp_security == Security.NONE:
        errors["smtp_security"] = sentence("A password is only sent over an encrypted connection")
    elif form.smtp_password and not user:
        errors["smtp_user"] = sentence("Enter the user whom the password belongs to")
    elif row.smtp_password and not form.smtp_password and user and (host, user) != (row.smtp_host, row.smtp_user):
        # Else somebody could have it told to a server of their own.
        errors["smtp_password"] = sentence("Enter the password again for another server or user")
    errors |= _gateway_errors(form)
    if errors:
        raise Invalid(errors)
    return {
        "own_mail": form.own_mail,
        "smtp_host": host,
        "smtp_port": form.smtp_port,
        "smtp_security": form.smtp_security,
        "smtp_user": user,
        "sender": sender,
    }


def _gateway_errors(form: ChannelsInput) -> dict[str, Sentence]:
    address = form.text_gateway.strip()
    if not address or form.no_texts:
        return {}
    if len(address) > MAX_GATEWAY:
        return {"text_gateway": too_long(MAX_GATEWAY)}
    if not gateways.service_of(address):
        services = ", ".join(sorted(gateways.ALLOWED))
        return {"text_gateway": sentence("Begin with one of these and ://: %(services)s", services=services)}
    if not gateways.is_usable(address):
        return {"text_gateway": sentence("Something in this address is missing or misspelled")}
    return {}


def _logged(row: ChannelSettings) -> dict[str, Any]:
    """Return what the audit trail may say."""
    names = ("own_mail", "smtp_host", "smtp_port", "smtp_security", "smtp_user", "sender", "text_service")
    secrets = {name: str(SET) if getattr(row, name) else NOT_SET for name in ("smtp_password", "text_gateway")}
    return {**{name: getattr(row, name) for name in names}, **secrets}
