"""The use cases of customers and technicians: add, edit, deactivate (P16, P23); merging stands in ``merging``.

Each runs within one ``unit_of_work`` on rows of the session's scope. They raise ``NotFound`` for what is out of it,
``Invalid`` for input, and ``Conflict`` for a form from before somebody else's change; then nothing is changed. Nobody
is deleted: a record with history is deactivated.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from portal.domain.errors import (
    Conflict,
    Invalid,
    NotFound,
    Refusal,
    Refused,
    Sentence,
    changed_meanwhile,
    sentence,
    too_long,
)
from portal.domain.lookup import lock, lock_customer
from portal.domain.people.contacts import NO_ZONE, NotUsable, clean_email, clean_phone
from portal.domain.people.duplicates import LooksAlike, look_alikes
from portal.domain.people.models import (
    Address,
    Contact,
    Customer,
    MessageGroup,
    Partner,
    Technician,
    TechnicianStatus,
    User,
    place_key,
)
from portal.domain.scheduling.zones import time_zones
from portal.domain.texts import one_line

MAX_NAME = 120
MAX_NOTES = 2_000
MAX_LINE = 200
MAX_CITY = 100
MAX_POSTCODE = 20
MAX_ADDRESSES = 50
MAX_RELATION = 80
MAX_CONTACTS = 20
ALL_GROUPS = frozenset(MessageGroup)
MAX_LATITUDE, MAX_LONGITUDE = 90, 180
# As ``messages.models.Channel`` names them, which stands on this package.
CHANNELS = ("email", "text")


@dataclass(frozen=True, slots=True)
class AddressInput:
    """A service address of the form; ``id`` is the key of one that exists. A new one that is blank is left out.

    A ``retired`` one is offered for no new visit; those it has stay there. ``latitude`` and ``longitude`` are degrees,
    both or neither.
    """

    id: int | None
    line: str
    city: str = ""
    postcode: str = ""
    retired: bool = False
    latitude: float | None = None
    longitude: float | None = None

    @property
    def is_blank(self) -> bool:
        """Whether nothing was typed."""
        return not (self.line.strip() or self.city.strip() or self.postcode.strip())


@dataclass(frozen=True, slots=True)
class ContactInput:
    """A contact of the form; ``id`` is the key of one that exists. A new one that is blank is left out (P23).

    ``groups`` are the messages they get; ``remove`` takes them off the list. ``off`` as for a ``CustomerInput``.
    """

    id: int | None
    name: str
    relation: str = ""
    email: str = ""
    phone: str = ""
    groups: Collection[MessageGroup] = ()
    remove: bool = False
    off: Collection[str] = ()

    @property
    def is_left_out(self) -> bool:
        """Whether nothing was typed, or a new one was taken off the list again."""
        typed = (self.name, self.relation, self.email, self.phone)
        return self.id is None and (self.remove or not any(text.strip() for text in typed))


@dataclass(frozen=True, slots=True)
class CustomerInput:
    """The form of a customer, as typed; ``groups`` are the messages that go to them themselves.

    ``timezone`` is where they live, for quiet hours; blank for the partner's. ``off`` are the channels that they do not
    want: ``email``, ``text`` (N4).
    """

    name: str
    email: str
    phone: str
    access_notes: str
    addresses: Sequence[AddressInput]
    groups: Collection[MessageGroup] = ALL_GROUPS
    contacts: Sequence[ContactInput] = ()
    timezone: str = ""
    off: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class TechnicianInput:
    """The form of a technician, as typed; ``status`` is Available or not, set by staff."""

    name: str
    email: str
    phone: str
    status: str


def create_customer(
    session: Session, partner_id: int, now: datetime, form: CustomerInput, despite_likeness: bool = False
) -> Customer:
    """Add a customer with addresses and contacts, created at ``now`` (an instant), and return them (P16).

    Raises ``LooksAlike`` for one who may be there already, unless ``despite_likeness`` (P23).
    """
    # A form sent twice at once is to find its first self.
    session.scalars(select(Partner.id).where(Partner.id == partner_id).with_for_update(key_share=True)).one()
    values = _customer_values(session, partner_id, form)
    if not despite_likeness:
        places = [place_key(place.line, place.city, place.postcode) for place in form.addresses if not place.is_blank]
        alike = look_alikes(session, str(values["name"]), str(values["email"]), str(values["phone"]), places)
        if alike:
            raise LooksAlike(alike)
    contacts = _contact_rows(session, partner_id, form)
    customer = Customer(partner_id=partner_id, created_at=now, **values)
    _switch(customer, form.off, now)
    session.add(customer)
    session.flush()
    _write_addresses(session, customer, [], form.addresses)
    _write_contacts(session, now, customer, [], contacts)
    session.flush()
    return customer


def edit_customer(session: Session, now: datetime, customer_id: int, version: int, form: CustomerInput) -> Customer:
    """Change a customer, their addresses and contacts; ``version`` is the one the form was made from (P16).

    ``now`` is an instant. Raises ``Refused`` for one who was merged into another.
    """
    customer = _lock_unmerged(session, customer_id)
    if customer.version != version:
        raise Conflict(changed_meanwhile())
    values = _customer_values(session, customer.partner_id, form)
    contacts = _contact_rows(session, customer.partner_id, form)
    present = list(session.scalars(select(Address).where(Address.customer_id == customer.id)))
    listed = select(Contact).where(Contact.customer_id == customer.id, Contact.active.is_(True))
    known = list(session.scalars(listed))
    for name, value in values.items():
        setattr(customer, name, value)
    _switch(customer, form.off, now)
    places_changed = _write_addresses(session, customer, present, form.addresses)
    if _write_contacts(session, now, customer, known, contacts) or places_changed:
        # One form, one version: a change of an address or contact is one of the customer.
        flag_modified(customer, "name")
    session.flush()
    return customer


def set_customer_active(session: Session, customer_id: int, active: bool) -> Customer:
    """Deactivate a customer, who then cannot be scheduled for (P2), or take that back. Visits stay as they are.

    Raises ``Refused`` for one who was merged into another.
    """
    customer = _lock_unmerged(session, customer_id)
    customer.active = active
    return customer


def merged_refusal(session: Session, customer: Customer) -> Refusal | None:
    """Say that a customer was merged into another, and whom, or return ``None`` for one who was not."""
    if customer.merged_into_id is None:
        return None
    into = session.scalars(select(Customer.name).where(Customer.id == customer.merged_into_id)).one()
    return Refusal("merged", sentence("%(name)s was merged into %(other)s already.", name=customer.name, other=into))


def place_errors(place: AddressInput) -> dict[str, Sentence]:
    """Return what is wrong with a new address, by field: ``line``, ``city``, ``postcode``."""
    return {name.removeprefix("addresses-0-"): text for name, text in _address_errors([place]).items()}


def add_address(session: Session, customer: Customer, place: AddressInput) -> Address:
    """Return the customer's address at ``place``, added unless one of theirs in use is there; raises ``Invalid``.

    Whoever calls has locked the customer.
    """
    errors = place_errors(place)
    if errors:
        raise Invalid(errors)
    known = list(session.scalars(select(Address).where(Address.customer_id == customer.id).order_by(Address.id)))
    key = place_key(place.line, place.city, place.postcode)
    for address in known:
        if address.active and address.place_key == key:
            return address
    if len(known) >= MAX_ADDRESSES:
        raise Invalid({"line": sentence("A customer has %(limit)s addresses at most.", limit=MAX_ADDRESSES)})
    _write_addresses(session, customer, known, [place])
    session.flush()
    added = select(Address).where(Address.customer_id == customer.id).order_by(Address.id.desc()).limit(1)
    return session.scalars(added).one()


def create_technician(session: Session, partner_id: int, form: TechnicianInput) -> Technician:
    """Add a technician and return them (P16)."""
    technician = Technician(partner_id=partner_id, **_technician_values(session, partner_id, form))
    session.add(technician)
    session.flush()
    return technician


def edit_technician(session: Session, technician_id: int, version: int, form: TechnicianInput) -> Technician:
    """Change a technician; ``version`` is the one the form was made from (P16)."""
    technician = lock(session, Technician, technician_id)
    if technician.version != version:
        raise Conflict(changed_meanwhile())
    for name, value in _technician_values(session, technician.partner_id, form).items():
        setattr(technician, name, value)
    session.flush()
    return technician


def choose_language(session: Session, user_id: int, locale: str) -> None:
    """Keep ``locale``, such as ``de_DE``, as the language of the log-in ``user_id``: for its pages and its messages."""
    session.get_one(User, user_id).locale = locale


def _lock_unmerged(session: Session, customer_id: int) -> Customer:
    customer = lock_customer(session, customer_id)
    refusal = merged_refusal(session, customer)
    if refusal is not None:
        raise Refused(refusal)
    return customer


def _customer_values(session: Session, partner_id: int, form: CustomerInput) -> dict[str, Any]:
    reached, errors = _contact_values(session, partner_id, form)
    values: dict[str, Any] = {**reached, **_group_values(form.groups), "access_notes": form.access_notes.strip()}
    values["timezone"] = form.timezone
    if form.timezone and form.timezone not in time_zones():
        errors["timezone"] = NO_ZONE
    if len(values["access_notes"]) > MAX_NOTES:
        errors["access_notes"] = too_long(MAX_NOTES)
    errors |= _address_errors(form.addresses)
    if errors:
        raise Invalid(errors)
    return values


def _group_values(groups: Collection[MessageGroup]) -> dict[str, bool]:
    return {f"gets_{group}": group in groups for group in MessageGroup}


def _contact_rows(session: Session, partner_id: int, form: CustomerInput) -> list[tuple[ContactInput, dict[str, Any]]]:
    """Return the contacts of a form, each with what is to be stored; raises ``Invalid``."""
    errors: dict[str, Sentence] = {}
    rows: list[tuple[ContactInput, dict[str, Any]]] = []
    if len(form.contacts) > MAX_CONTACTS:
        errors["contacts"] = sentence("A customer has %(limit)s contacts at most.", limit=MAX_CONTACTS)
    taken = {_cleaned(form.email): sentence("That is the customer's own address")}
    for index, contact in enumerate(form.contacts):
        if contact.is_left_out:
            continue
        if contact.remove:
            rows.append((contact, {"active": False}))
            continue
        reached, wrong = _contact_values(session, partner_id, contact)
        relation = one_line(contact.relation)
        if len(relation) > MAX_RELATION:
            wrong["relation"] = too_long(MAX_RELATION)
        email = reached.get("email")
        if email == reached.get("phone") == "" and contact.groups:
            wrong["email"] = sentence("Enter an email address or a telephone number, or untick the messages")
        elif email and email in taken:
            wrong["email"] = taken[email]
        elif email:
            taken[email] = sentence("Another contact has that address")
        errors |= {f"contacts-{index}-{name}": text for name, text in wrong.items()}
        rows.append((contact, {**reached, **_group_values(contact.groups), "relation": relation}))
    if errors:
        raise Invalid(errors)
    return rows


def _cleaned(email: str) -> str:
    try:
        return clean_email(email)
    except NotUsable:
        return ""


def _switch(person: Customer | Contact, off: Collection[str], now: datetime) -> None:
    for channel in CHANNELS:
        person.switch(channel, channel in off, now)


def _write_contacts(
    session: Session,
    now: datetime,
    customer: Customer,
    present: Sequence[Contact],
    contacts: Sequence[tuple[ContactInput, Mapping[str, Any]]],
) -> bool:
    """Write the contacts of a form over those ``present``; return whether anything is different now."""
    known = {contact.id: contact for contact in present}
    added = False
    for typed, values in contacts:
        if typed.id is None:
            contact = Contact(partner_id=customer.partner_id, customer_id=customer.id, **values)
            session.add(contact)
            added = True
        elif typed.id in known:
            contact = known[typed.id]
            for name, value in values.items():
                setattr(contact, name, value)
        else:
            raise NotFound
        if not typed.remove:
            _switch(contact, typed.off, now)
    return added or any(session.is_modified(contact) for contact in present)


def _technician_values(session: Session, partner_id: int, form: TechnicianInput) -> dict[str, str]:
    values, errors = _contact_values(session, partner_id, form)
    if form.status not in set(TechnicianStatus):
        errors["status"] = sentence("Choose one of the two")
    values["status"] = form.status
    if errors:
        raise Invalid(errors)
    return values


def _contact_values(
    session: Session, partner_id: int, form: CustomerInput | ContactInput | TechnicianInput
) -> tuple[dict[str, str], dict[str, Sentence]]:
    values, errors = {"name": one_line(form.name)}, {}
    if not values["name"]:
        errors["name"] = sentence("Enter a name")
    elif len(values["name"]) > MAX_NAME:
        errors["name"] = too_long(MAX_NAME)
    try:
        values["email"] = clean_email(form.email)
    except NotUsable as wrong:
        errors["email"] = wrong.sentence
    timezone = session.scalars(select(Partner.timezone).where(Partner.id == partner_id)).one()
    try:
        values["phone"] = clean_phone(form.phone, timezone)
    except NotUsable as wrong:
        errors["phone"] = wrong.sentence
    return values, errors


def _address_errors(addresses: Sequence[AddressInput]) -> dict[str, Sentence]:
    errors: dict[str, Sentence] = {}
    if all(address.is_blank for address in addresses):
        errors["addresses-0-line"] = sentence("Enter street and number")
    elif all(address.retired for address in addresses if not address.is_blank):
        errors["addresses-0-retired"] = sentence("Use one address at least for new visits")
    if len(addresses) > MAX_ADDRESSES:
        errors["addresses"] = sentence("A customer has %(limit)s addresses at most.", limit=MAX_ADDRESSES)
    for index, address in enumerate(addresses):
        if address.is_blank and address.id is None:
            continue
        if not address.line.strip():
            errors[f"addresses-{index}-line"] = sentence("Enter street and number")
        for name, limit in (("line", MAX_LINE), ("city", MAX_CITY), ("postcode", MAX_POSTCODE)):
            if len(getattr(address, name).strip()) > limit:
                errors[f"addresses-{index}-{name}"] = too_long(limit)
        errors |= {f"addresses-{index}-{name}": wrong for name, wrong in _place_errors(address).items()}
    return errors


def _place_errors(address: AddressInput) -> dict[str, Sentence]:
    north, east = address.latitude, address.longitude
    if (north is None) != (east is None):
        missing = "latitude" if north is None else "longitude"
        return {missing: sentence("Enter both latitude and longitude, or neither")}
    errors: dict[str, Sentence] = {}
    # NaN is within no limits.
    if north is not None and not -MAX_LATITUDE <= north <= MAX_LATITUDE:
        errors["latitude"] = sentence("Enter a latitude between -90 and 90")
    if east is not None and not -MAX_LONGITUDE <= east <= MAX_LONGITUDE:
        errors["longitude"] = sentence("Enter a longitude between -180 and 180")
    return errors


def _write_addresses(
    session: Session, customer: Customer, present: Sequence[Address], addresses: Sequence[AddressInput]
) -> bool:
    """Write the addresses of a form over those ``present``; return whether anything is different now."""
    known = {address.id: address for address in present}
    for typed in addresses:
        values = {
            "line": typed.line.strip(),
            "city": typed.city.strip(),
            "postcode": typed.postcode.strip(),
            "latitude": typed.latitude,
            "longitude": typed.longitude,
            "active": not typed.retired,
        }
        if typed.id is not None:
            if typed.id not in known:
                raise NotFound
            for name, value in values.items():
                setattr(known[typed.id], name, value)
        elif not typed.is_blank:
            session.add(Address(partner_id=customer.partner_id, customer_id=customer.id, **values))
    return bool(session.new) or any(session.is_modified(address) for address in present)
