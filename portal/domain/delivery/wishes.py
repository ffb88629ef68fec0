"""What people switch off themselves: e-mail or texts, on their own page or by the link in a message (N4).

It is honoured when a message is about to be sent. Each runs within one ``unit_of_work`` on rows of the session's scope;
``now`` is an instant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.errors import NotFound
from portal.domain.lookup import find, lock, lock_customer
from portal.domain.messages.models import Channel
from portal.domain.people.models import Contact, Customer, Partner


@dataclass(frozen=True, slots=True)
class Reader:
    """Whom a link in a message is for: a customer or a contact of one, and the partner who writes to them."""

    person: Customer | Contact
    partner: Partner


def own_records(session: Session) -> Sequence[Customer]:
    """Return the customer records in the session's scope, in the order of their keys: one with each partner (C8)."""
    return session.scalars(select(Customer).order_by(Customer.id)).all()


def choose_channels(session: Session, now: datetime, wanted: Mapping[tuple[int, Channel], bool]) -> None:
    """Switch channels of customers on or off; ``wanted`` says which, by the customer's key. Raises ``NotFound``."""
    for (customer_id, channel), on in sorted(wanted.items()):
        lock_customer(session, customer_id).switch(channel, not on, now)
    session.flush()


def reader_of(session: Session, customer_id: int | None, contact_id: int | None) -> Reader:
    """Return whom a link is for: of a customer who was merged into another that one. Raises ``NotFound``."""
    person: Customer | Contact
    if contact_id is not None:
        person = find(session, Contact, contact_id)
    else:
        person = find(session, Customer, customer_id or 0)
        if person.merged_into_id is not None:
            person = find(session, Customer, person.merged_into_id)
    partner = session.get(Partner, person.partner_id)
    if partner is None:
        raise NotFound
    return Reader(person, partner)


def switch_email(session: Session, now: datetime, customer_id: int | None, contact_id: int | None, off: bool) -> None:
    """Switch e-mail off for the reader of a link, or on again. Raises ``NotFound``."""
    person = reader_of(session, customer_id, contact_id).person
    if isinstance(person, Customer):
        lock_customer(session, person.id).switch(Channel.EMAIL, off, now)
    else:
        lock(session, Contact, person.id).switch(Channel.EMAIL, off, now)
    session.flush()
