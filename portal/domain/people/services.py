"""The use cases of customers and technicians: add, edit, deactivate (P16).

Each runs within one ``unit_of_work`` on rows of the session's scope. They raise ``NotFound`` for what is out of it,
``Invalid`` for input, and ``Conflict`` for a form from before somebody else's change; then nothing is changed. Nobody
is deleted: a record with history is deactivated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from portal.domain.errors import Conflict, Invalid, NotFound, Sentence, changed_meanwhile, sentence, too_long
from portal.domain.lookup import lock
from portal.domain.people.contacts import NotUsable, clean_email, clean_phone
from portal.domain.people.models import Address, Customer, Partner, Technician, TechnicianStatus
from portal.domain.texts import one_line

MAX_NAME = 120
MAX_NOTES = 2_000
MAX_LINE = 200
MAX_CITY = 100
MAX_POSTCODE = 20
MAX_ADDRESSES = 50


@dataclass(frozen=True, slots=True)
class AddressInput:
    """A service address of the form; ``id`` is the key of one that exists. A new one that is blank is left out."""

    id: int | None
    line: str
    city: str = ""
    postcode: str = ""

    @property
    def is_blank(self) -> bool:
        """Whether nothing was typed."""
        return not (self.line.strip() or self.city.strip() or self.postcode.strip())


@dataclass(frozen=True, slots=True)
class CustomerInput:
    """The form of a customer, as typed."""

    name: str
    email: str
    phone: str
    access_notes: str
    addresses: Sequence[AddressInput]


@dataclass(frozen=True, slots=True)
class TechnicianInput:
    """The form of a technician, as typed; ``status`` is Available or not, set by staff."""

    name: str
    email: str
    phone: str
    status: str


def create_customer(session: Session, partner_id: int, now: datetime, form: CustomerInput) -> Customer:
    """Add a customer with their addresses, created at ``now`` (an instant), and return them (P16)."""
    values = _customer_values(session, partner_id, form)
    customer = Customer(partner_id=partner_id, created_at=now, **values)
    session.add(customer)
    session.flush()
    _write_addresses(session, customer, [], form.addresses)
    session.flush()
    return customer


def edit_customer(session: Session, customer_id: int, version: int, form: CustomerInput) -> Customer:
    """Change a customer and their addresses; ``version`` is the one the form was made from (P16)."""
    customer = lock(session, Customer, customer_id)
    if customer.version != version:
        raise Conflict(changed_meanwhile())
    values = _customer_values(session, customer.partner_id, form)
    present = list(session.scalars(select(Address).where(Address.customer_id == customer.id)))
    for name, value in values.items():
        setattr(customer, name, value)
    if _write_addresses(session, customer, present, form.addresses):
        # One form, one version: a change of an address is one of the customer.
        flag_modified(customer, "name")
    session.flush()
    return customer


def set_customer_active(session: Session, customer_id: int, active: bool) -> Customer:
    """Deactivate a customer, who then cannot be scheduled for (P2), or take that back. Visits stay as they are."""
    customer = lock(session, Customer, customer_id)
    customer.active = active
    return customer


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


def _customer_values(session: Session, partner_id: int, form: CustomerInput) -> dict[str, str]:
    values, errors = _contact_values(session, partner_id, form)
    values["access_notes"] = form.access_notes.strip()
    if len(values["access_notes"]) > MAX_NOTES:
        errors["access_notes"] = too_long(MAX_NOTES)
    errors |= _address_errors(form.addresses)
    if errors:
        raise Invalid(errors)
    return values


def _technician_values(session: Session, partner_id: int, form: TechnicianInput) -> dict[str, str]:
    values, errors = _contact_values(session, partner_id, form)
    if form.status not in set(TechnicianStatus):
        errors["status"] = sentence("Choose one of the two")
    values["status"] = form.status
    if errors:
        raise Invalid(errors)
    return values


def _contact_values(
    session: Session, partner_id: int, form: CustomerInput | TechnicianInput
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
    return errors


def _write_addresses(
    session: Session, customer: Customer, present: Sequence[Address], addresses: Sequence[AddressInput]
) -> bool:
    """Write the addresses of a form over those ``present``; return whether anything is different now."""
    known = {address.id: address for address in present}
    for typed in addresses:
        values = {"line": typed.line.strip(), "city": typed.city.strip(), "postcode": typed.postcode.strip()}
        if typed.id is not None:
            if typed.id not in known:
                raise NotFound
            for name, value in values.items():
                setattr(known[typed.id], name, value)
        elif not typed.is_blank:
            session.add(Address(partner_id=customer.partner_id, customer_id=customer.id, **values))
    return bool(session.new) or any(session.is_modified(address) for address in present)
