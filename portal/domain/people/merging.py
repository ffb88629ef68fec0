"""Making two records of one customer one (P23).

Addresses move, and the database takes everything that hangs on them along (``ON UPDATE CASCADE``): jobs, visits,
history, contracts, messages. That is the single way in which a row changes its customer. History is append-only, to the
flush guard and to the database, but the database lets its ``customer_id`` follow its job. What belongs to a customer
without a job is moved after it, model by model, so that no later one can be forgotten. Every statement goes through the
models and so stays within the session's partner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, selectinload
from sqlalchemy.orm.attributes import flag_modified

from portal.domain.actor import Actor
from portal.domain.base import Base, CustomerOwned
from portal.domain.delivery.unreachable import settle_before_merge
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
from portal.domain.jobs.history import record
from portal.domain.jobs.models import Job
from portal.domain.lookup import MAX_KEY, lock_customers
from portal.domain.messages.models import Message
from portal.domain.people.models import Address, Contact, Customer, CustomerMerge, MessageGroup, Reached
from portal.domain.people.services import MAX_NOTES, merged_refusal
from portal.domain.scheduling.overrides import merge_overrides, override_of
from portal.domain.scheduling.rules import Owner

KEPT, GONE, BOTH = "kept", "gone", "both"
# What can be chosen where the two differ; an e-mail address comes with the messages that go there.
FIELDS = ("name", "email", "phone", "access_notes")
WITH_BOTH = "access_notes"
MOVED: Mapping[str, Any] = {"jobs": Job, "addresses": Address, "contacts": Contact, "messages": Message}


@dataclass(frozen=True, slots=True)
class MergeInput:
    """The form: the customer who stays and the one who becomes part of them, in the versions of the page.

    ``choices`` says for each field in which they differ whose stands: ``KEPT``, ``GONE`` or, for notes, ``BOTH``.
    """

    kept_id: int
    kept_version: int
    gone_id: int
    gone_version: int
    choices: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two customers side by side, with addresses and contacts; ``moved`` counts what moves, as ``MOVED`` names it.

    ``with_rules``: the one who goes has rules of their own for self-service, see ``merge_overrides``.
    """

    kept: Customer
    gone: Customer
    differing: Sequence[str]
    moved: Mapping[str, int]
    with_rules: bool


def compare(session: Session, kept_id: int, gone_id: int) -> Comparison:
    """Return what a merge would do; raises ``NotFound`` and ``Refused`` as the merge would."""
    if kept_id == gone_id:
        raise Refused(_same())
    keys = [key for key in (kept_id, gone_id) if 0 < key <= MAX_KEY]
    query = select(Customer).where(Customer.id.in_(keys))
    query = query.options(selectinload(Customer.addresses), selectinload(Customer.contacts))
    found = {customer.id: customer for customer in session.scalars(query)}
    kept, gone = _both(session, found, kept_id, gone_id)
    with_rules = override_of(session, Owner.CUSTOMER, gone.id) is not None
    return Comparison(kept, gone, differing(kept, gone), _counts(session, gone), with_rules)


def differing(kept: Customer, gone: Customer) -> list[str]:
    """Return the fields of ``FIELDS`` in which the two are not the same."""
    return [name for name in FIELDS if _value(kept, name) != _value(gone, name)]


def merge_customers(session: Session, actor: Actor, now: datetime, form: MergeInput) -> Customer:
    """Make one customer part of another at ``now`` (an instant) and return the one who stays.

    All that the other had is theirs then: addresses, jobs, visits, history, contracts, messages, contacts. The other is
    kept, inactive and marked; whoever signs in as them sees the one who stays, beside that one's own log-in. An e-mail
    address that would stand twice afterwards stands once and gets the messages of both; of two service addresses at one
    place the other's is used for no new visit; a rule of self-service that only the other had holds for both. Every
    job's history says it.

    Both are locked in the order of their keys, then the jobs. Raises ``NotFound``; ``Refused`` for a customer with
    themself or one merged before; ``Conflict`` where either was changed since the page; ``Invalid`` for a choice.
    """
    if form.kept_id == form.gone_id:
        raise Refused(_same())
    found = {customer.id: customer for customer in lock_customers(session, (form.kept_id, form.gone_id))}
    kept, gone = _both(session, found, form.kept_id, form.gone_id)
    if (kept.version, gone.version) != (form.kept_version, form.gone_version):
        raise Conflict(changed_meanwhile())
    _demand_choices(kept, gone, form.choices)
    jobs = list(session.scalars(select(Job.id).where(Job.customer_id == gone.id).order_by(Job.id).with_for_update()))
    merge = CustomerMerge(
        partner_id=kept.partner_id,
        customer_id=kept.id,
        gone_id=gone.id,
        at=now,
        actor_id=actor.id,
        actor_role=actor.role.value,
        actor_name=actor.name,
        kept=_told(kept),
        gone=_told(gone),
        moved=_counts(session, gone),
    )
    session.add(merge)
    settle_before_merge(session, now, kept.id, gone.id)
    merge_overrides(session, actor, now, kept, gone)
    _choose(kept, gone, form.choices)
    _stay_off(kept, gone)
    _settle_contacts(session, kept, gone)
    _settle_addresses(session, kept, gone)
    kept.timezone = kept.timezone or gone.timezone
    if kept.user_id is None:
        kept.user_id, gone.user_id = gone.user_id, None
    gone.active, gone.merged_into_id = False, kept.id
    # Both pages are out of date now, whatever was chosen.
    flag_modified(kept, "name")
    session.flush()
    _move(session, kept, gone)
    gone_line, kept_line = _line(merge.gone), _line(_told(kept))
    for job in session.scalars(select(Job).where(Job.id.in_(jobs)), execution_options={"populate_existing": True}):
        record(session, actor, now, "merge_customers", job, None, {"customer": gone_line}, {"customer": kept_line})
    session.flush()
    return kept


def _both(session: Session, found: Mapping[int, Customer], kept_id: int, gone_id: int) -> tuple[Customer, Customer]:
    kept, gone = found.get(kept_id), found.get(gone_id)
    if kept is None or gone is None:
        raise NotFound
    for customer in (gone, kept):
        refusal = merged_refusal(session, customer)
        if refusal is not None:
            raise Refused(refusal)
    return kept, gone


def merge_of(session: Session, gone_id: int) -> CustomerMerge:
    """Return how a merged customer became part of another; raises ``NotFound`` for one who was not."""
    merge = session.scalars(select(CustomerMerge).where(CustomerMerge.gone_id == gone_id)).one_or_none()
    if merge is None:
        raise NotFound
    return merge


def merges_into(session: Session, customer_id: int) -> list[CustomerMerge]:
    """Return the merges that made others part of a customer, latest first."""
    query = select(CustomerMerge).where(CustomerMerge.customer_id == customer_id).order_by(CustomerMerge.id.desc())
    return list(session.scalars(query))


def _same() -> Refusal:
    return Refusal("same", sentence("A customer cannot be merged with themself. Choose another one."))


def _groups(person: Reached) -> dict[str, bool]:
    return {f"gets_{group}": person.gets(group) for group in MessageGroup}


def _value(customer: Customer, name: str) -> Any:
    value = getattr(customer, name)
    return (value, _groups(customer)) if name == "email" else value


def _told(customer: Customer) -> dict[str, Any]:
    return {name: getattr(customer, name) for name in FIELDS} | _groups(customer)


def _line(told: Mapping[str, Any]) -> str:
    return ", ".join(filter(None, (told["name"], told["email"] or told["phone"])))


def _demand_choices(kept: Customer, gone: Customer, choices: Mapping[str, str]) -> None:
    errors: dict[str, Sentence] = {}
    for name in differing(kept, gone):
        allowed = {KEPT, GONE, BOTH} if name == WITH_BOTH else {KEPT, GONE}
        if choices.get(name) not in allowed:
            errors[name] = sentence("Choose which one stays")
    if choices.get(WITH_BOTH) == BOTH and len(_both_notes(kept, gone)) > MAX_NOTES:
        errors[WITH_BOTH] = too_long(MAX_NOTES)
    if errors:
        raise Invalid(errors)


def _both_notes(kept: Customer, gone: Customer) -> str:
    return "\n".join(filter(None, (kept.access_notes, gone.access_notes)))


def _choose(kept: Customer, gone: Customer, choices: Mapping[str, str]) -> None:
    for name in differing(kept, gone):
        match choices[name]:
            case "gone" if name == "email":
                kept.email = gone.email
                for column, value in _groups(gone).items():
                    setattr(kept, column, value)
            case "gone":
                setattr(kept, name, getattr(gone, name))
            case "both":
                setattr(kept, name, _both_notes(kept, gone))


def _stay_off(stays: Reached, goes: Reached) -> None:
    """Let what either has switched off stay so."""
    stays.email_off_at = stays.email_off_at or goes.email_off_at
    stays.text_off_at = stays.text_off_at or goes.text_off_at


def _settle_contacts(session: Session, kept: Customer, gone: Customer) -> None:
    """Let no address stand twice: the first who has it gets the messages of both, the other leaves the list."""
    contacts = select(Contact).where(Contact.customer_id.in_((kept.id, gone.id)), Contact.active.is_(True))
    first: dict[str, Customer | Contact] = {kept.email: kept}
    order = (Contact.customer_id != kept.id, Contact.id)
    for contact in session.scalars(contacts.order_by(*order)):
        if not contact.email:
            continue
        there = first.setdefault(contact.email, contact)
        if there is not contact:
            for column, value in _groups(contact).items():
                setattr(there, column, value or getattr(there, column))
            _stay_off(there, contact)
            contact.active = False


def _settle_addresses(session: Session, kept: Customer, gone: Customer) -> None:
    places = select(Address).where(Address.customer_id.in_((kept.id, gone.id)), Address.active.is_(True))
    addresses = list(session.scalars(places.order_by(Address.id)))
    known = {address.place_key for address in addresses if address.customer_id == kept.id}
    for address in addresses:
        if address.customer_id == gone.id and address.place_key in known:
            address.active = False


def _counts(session: Session, gone: Customer) -> dict[str, int]:
    return {
        name: session.scalars(select(func.count()).select_from(model).where(model.customer_id == gone.id)).one()
        for name, model in MOVED.items()
    }


def _move(session: Session, kept: Customer, gone: Customer) -> None:
    # Addresses first: the jobs at them cannot go alone.
    mapped: list[Any] = [each.class_ for each in Base.registry.mappers]
    owned = sorted(
        (each for each in mapped if issubclass(each, CustomerOwned) and each is not Customer),
        key=lambda each: each is not Address,
    )
    quietly = {"synchronize_session": False}
    for model in owned:
        moving = update(model).where(model.customer_id == gone.id).values(customer_id=kept.id)
        session.execute(moving, execution_options=quietly)
    # Who was merged into the one who goes now is led straight on.
    led_on = update(Customer).where(Customer.merged_into_id == gone.id).values(merged_into_id=kept.id)
    session.execute(led_on, execution_options=quietly)
    session.expire_all()
