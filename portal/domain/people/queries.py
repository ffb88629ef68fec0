"""Reading customers and technicians within the session's scope: lists, single ones, and who a few letters mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import reduce
from typing import Any

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, and_, case, false, func, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session, selectinload

from portal.domain.errors import Refusal
from portal.domain.lookup import find
from portal.domain.paging import PAGE_ROWS, Cursor, Order, Page, page_of
from portal.domain.people.models import Address, Customer, Technician, TechnicianStatus
from portal.domain.scheduling.models import ServiceType
from portal.domain.scheduling.queries import board
from portal.domain.scheduling.slots import Wanted, refusal_for

CHOICES = 10
MAX_WORDS = 6
MAX_TEXT = 200
# Fewer digits than these are more likely a house number.
PHONE_DIGITS = 5

ADDRESS_TEXT = (Address.line, Address.city, Address.postcode)
CUSTOMERS_BY = {"name": (Customer.name, Customer.id), "added": (Customer.created_at, Customer.id)}
TECHNICIANS_BY = {"name": (Technician.name, Technician.id)}
CUSTOMERS_BY_NAME, TECHNICIANS_BY_NAME = Order(CUSTOMERS_BY["name"]), Order(TECHNICIANS_BY["name"])


class FirstStep(StrEnum):
    """What a partner needs before a visit can be planned, in the order in which it is best done."""

    SERVICE_TYPE = "service_type"
    TECHNICIAN = "technician"
    CUSTOMER = "customer"


@dataclass(frozen=True, slots=True)
class CustomerChoice:
    """A customer at one of their addresses, as the type-ahead offers it (P2)."""

    customer_id: int
    address_id: int
    name: str
    email: str
    address: str


@dataclass(frozen=True, slots=True)
class TechnicianChoice:
    """A technician as the type-ahead offers them (P5); ``refusal`` says why not at the time asked about."""

    technician_id: int
    name: str
    refusal: Refusal | None


def first_steps(session: Session) -> list[FirstStep]:
    """Return what a partner has none of yet, deactivated ones not counted (P19)."""
    needed = (
        (FirstStep.SERVICE_TYPE, ServiceType),
        (FirstStep.TECHNICIAN, Technician),
        (FirstStep.CUSTOMER, Customer),
    )
    return [step for step, model in needed if session.scalar(select(model.id).where(model.active).limit(1)) is None]


def words_of(text: str) -> list[str]:
    """Return the words of ``text`` that are looked for."""
    return text[:MAX_TEXT].split()[:MAX_WORDS]


def each_word(text: str, condition: Callable[[str], ColumnElement[bool]]) -> ColumnElement[bool]:
    """Return that ``condition`` holds for each word of ``text``; true for a blank one."""
    return and_(true(), *(condition(word) for word in words_of(text)))


def has(word: str, *columns: SQLColumnExpression[str]) -> ColumnElement[bool]:
    """Return that ``word`` stands in one of ``columns``, in whatever case; ``%`` and ``_`` mean themselves."""
    # No word has a blank in it, so all columns, none of which is NULL, are searched at once: a third of the time.
    first: Any = columns[0]
    text: ColumnElement[str] = reduce(lambda one, other: one + " " + other, columns[1:], first.expression)
    return text.icontains(word, autoescape=True)


def words_in(text: str, columns: Sequence[SQLColumnExpression[str]]) -> ColumnElement[bool]:
    """Return that each word of ``text`` stands in one of ``columns``."""
    return each_word(text, lambda word: has(word, *columns))


def find_technicians(
    session: Session,
    partner_id: int,
    text: str,
    start: datetime | None = None,
    wanted: Wanted | None = None,
    limit: int = CHOICES,
) -> list[TechnicianChoice]:
    """Return the technicians set to Available whose name has every word of ``text``, by name (P5).

    Whose name has parts that begin so comes first: "to" means Tomás before Aalto. With ``start`` (an instant) and what
    is ``wanted`` then, each one says whether they are free.
    """
    begins = each_word(text, lambda word: (" " + Technician.name).icontains(" " + word, autoescape=True))
    query = (
        select(Technician)
        .where(
            Technician.partner_id == partner_id,
            Technician.active.is_(True),
            Technician.status == TechnicianStatus.AVAILABLE,
            words_in(text, (Technician.name,)),
        )
        .order_by(case((begins, 0), else_=1), Technician.name, Technician.id)
        .limit(limit)
    )
    found = list(session.scalars(query))
    if not found or start is None or wanted is None:
        return [TechnicianChoice(technician.id, technician.name, None) for technician in found]
    times = board(session, partner_id, found, start, start + wanted.duration)
    return [
        TechnicianChoice(
            calendar.technician_id,
            calendar.name,
            refusal_for(calendar, wanted, start, times.zone, times.holidays),
        )
        for calendar in times.calendars
    ]


def customer_choices(session: Session, customer_id: int) -> list[CustomerChoice]:
    """Return a customer at each address used for new visits; nothing for one who is not in the session's scope."""
    query = (
        select(Customer.name, Customer.email, Address)
        .join(Address, Address.customer_id == Customer.id)
        .where(Customer.id == customer_id, Address.active.is_(True))
        .order_by(Address.id)
    )
    return [
        CustomerChoice(address.customer_id, address.id, name, email, address.one_line)
        for name, email, address in session.execute(query)
    ]


def customer_in_full(session: Session, customer_id: int) -> Customer:
    """Return a customer with ``addresses`` and ``contacts`` loaded; raises ``NotFound``."""
    customer = find(session, Customer, customer_id)
    session.refresh(customer, ["addresses", "contacts"])
    return customer


def list_customers(
    session: Session,
    text: str = "",
    active: bool | None = True,
    order: Order = CUSTOMERS_BY_NAME,
    cursor: Cursor | None = None,
    limit: int = PAGE_ROWS,
) -> Page[Customer]:
    """Return a page of customers with their addresses; ``active=None`` for all, in one of ``CUSTOMERS_BY`` (P16).

    Those who were merged into another are not among them.

    ``text`` is looked for in name, e-mail, addresses and, from five digits on, telephone number. Two statements.
    """
    query = select(Customer).where(Customer.merged_into_id.is_(None)).options(selectinload(Customer.addresses))
    if text.strip():
        query = query.where(or_(each_word(text, _of_customer), _has_phone(Customer.phone, text)))
    return _page(session, query, Customer.active, active, order, cursor, limit)


def list_technicians(
    session: Session,
    text: str = "",
    active: bool | None = True,
    order: Order = TECHNICIANS_BY_NAME,
    cursor: Cursor | None = None,
    limit: int = PAGE_ROWS,
) -> Page[Technician]:
    """Return a page of technicians; ``active=None`` for all, in one of ``TECHNICIANS_BY`` (P16). One statement."""
    query = select(Technician)
    if text.strip():
        named = words_in(text, (Technician.name, Technician.email))
        query = query.where(or_(named, _has_phone(Technician.phone, text)))
    return _page(session, query, Technician.active, active, order, cursor, limit)


def technician_names(session: Session) -> dict[int, str]:
    """Return the names of the active technicians by their keys, in the order of names. One statement."""
    query = select(Technician.id, Technician.name).where(Technician.active.is_(True))
    return {row.id: row.name for row in session.execute(query.order_by(Technician.name, Technician.id))}


def _of_customer(word: str) -> ColumnElement[bool]:
    lives_there = select(Address.id).where(Address.customer_id == Customer.id, has(word, *ADDRESS_TEXT)).exists()
    return or_(has(word, Customer.name, Customer.email), lives_there)


def _has_phone(column: InstrumentedAttribute[str], text: str) -> ColumnElement[bool]:
    # Numbers are kept as "+44 7700 900233" and looked for as "07700 900233".
    digits = re.sub(r"[^0-9]", "", text[:MAX_TEXT]).lstrip("0")
    if len(digits) < PHONE_DIGITS:
        return false()
    return func.replace(column, " ", "").contains(digits, autoescape=True)


def _page(
    session: Session,
    query: Select[*tuple[Any, ...]],
    flag: InstrumentedAttribute[bool],
    active: bool | None,
    order: Order,
    cursor: Cursor | None,
    limit: int,
) -> Page[Any]:
    if active is not None:
        query = query.where(flag.is_(active))
    return page_of(session, query, order, cursor, limit)
