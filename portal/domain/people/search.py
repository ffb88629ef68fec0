"""Whom a few letters mean: the type-ahead over a partner's customers (P2).

On PostgreSQL one statement looks in three places, one after the other and no further than it has to: in an index of how
names begin, in one of the trigrams of names and e-mail addresses, and in one of those of addresses. The last two stand
on extensions that a database may be without: then it reads more, and finds the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, String, and_, bindparam, case, func, literal, select, union_all
from sqlalchemy.orm import Session

from portal.domain.database import POSTGRESQL
from portal.domain.people.models import Address, Customer, one_line
from portal.domain.people.queries import CHOICES, CustomerChoice, words_of
from portal.domain.people.search_indexes import TRIGRAMS
from portal.domain.written import written

# What is found in the middle is put in order among so many: who finds more types on.
CANDIDATES = 100
# With fewer letters and digits in a row there is no trigram to look for.
TRIGRAM = 3
# On PostgreSQL alone, by migration: no model can say them for both.
INDEXES = frozenset({"ix_customers_beginning", *TRIGRAMS})
_ESCAPE = "/"
_LAST_LETTER = "\U0010ffff"


def find_customers(session: Session, text: str, limit: int = CHOICES) -> list[CustomerChoice]:
    """Return the active customers whose name, e-mail or address has every word of ``text`` (P2).

    Each once for every address that is used for new visits. First come those whose name begins with ``text``, then
    those in whose name or e-mail its longest word stands, each by name. One statement.
    """
    typed = words_of(text)
    words = sorted(typed, key=_in_a_row, reverse=True)
    has_trigram = bool(words) and _in_a_row(words[0]) >= TRIGRAM
    given: dict[str, Any] = {f"word_{number}": f"%{_escaped(word)}%" for number, word in enumerate(words)}
    if words:
        given |= {"beginning": " ".join(typed), "last": _LAST_LETTER}
    shape = _Shape(session.get_bind().dialect.name, len(words), has_trigram)
    found: list[Any] = list(session.execute(_found(shape), {**given, "limit": limit}))
    found.sort(key=lambda row: (row.place, row.name.casefold(), row.customer_id, row.address_id))
    return [
        CustomerChoice(row.customer_id, row.address_id, row.name, row.email, one_line(row.line, row.city, row.postcode))
        for row in found
    ]


@dataclass(frozen=True, slots=True)
class _Shape:
    """What the statement depends on; everything else are values."""

    dialect: str
    words: int
    has_trigram: bool


def _in_a_row(word: str) -> int:
    return max((len(run) for run in re.findall(r"[^\W_]+", word)), default=0)


def _escaped(word: str) -> str:
    return re.sub(r"([/%_])", r"/\1", word)


def _joined(*columns: Any) -> Any:
    # Written into the statement, or an index of the same words is not known to be of them.
    blank: Any = written(" ")
    return func.lower(reduce(lambda one, other: one + blank + other, columns))


_OF_CUSTOMER = (Customer.name, Customer.email)
_OF_ADDRESS = (Address.line, Address.city, Address.postcode)
_CHOICE = (
    Customer.id.label("customer_id"),
    Address.id.label("address_id"),
    Customer.name,
    Customer.email,
    Address.line,
    Address.city,
    Address.postcode,
)
_BY_NAME = (Customer.name, Customer.id, Address.id)


def _has(number: int, columns: Sequence[Any]) -> ColumnElement[bool]:
    """Return that the word of that number stands in one of ``columns``; no word has a blank in it."""
    found: ColumnElement[bool] = _joined(*columns).like(
        func.lower(bindparam(f"word_{number}", type_=String)), escape=_ESCAPE
    )
    return found


def _beginning(collation: str | None) -> tuple[Any, ColumnElement[bool]]:
    """Return a name to sort by, and that it begins with all that was typed."""
    name = func.lower(Customer.name)
    sorted_by: Any = name.collate(collation) if collation else name
    first = func.lower(bindparam("beginning", type_=String))
    return sorted_by, and_(sorted_by >= first, sorted_by < first + bindparam("last", type_=String))


# Put together once for each shape: every letter that somebody types runs it.
@lru_cache(maxsize=64)
def _found(shape: _Shape) -> Any:
    most = bindparam("limit", type_=Integer)
    choice = (
        select(*_CHOICE)
        .join(Address, and_(Address.customer_id == Customer.id, Address.partner_id == Customer.partner_id))
        .where(Customer.active.is_(True), Address.active.is_(True))
    )
    if not shape.words:
        return choice.add_columns(literal(0).label("place")).order_by(*_BY_NAME).limit(most)
    everywhere = [_has(number, (*_OF_CUSTOMER, *_OF_ADDRESS)) for number in range(shape.words)]
    in_name = _has(0, _OF_CUSTOMER)
    if shape.dialect != POSTGRESQL:
        _, begins = _beginning(None)
        place = case((begins, 0), (in_name, 1), else_=2).label("place")
        return choice.add_columns(place).where(*everywhere).order_by(place, *_BY_NAME).limit(most)
    by_name, begins = _beginning("C")
    places = [choice.where(begins).order_by(by_name, Customer.id, Address.id).limit(most)]
    others = choice.where(~begins)
    if shape.has_trigram:
        rest = everywhere[1:]
        some = (others.where(in_name, *rest), others.where(_has(0, _OF_ADDRESS), ~in_name, *rest))
        places += [_first_of(found.limit(CANDIDATES), most) for found in some]
    else:
        in_name_first = case((in_name, 1), else_=2)
        places.append(others.where(*everywhere).order_by(in_name_first, *_BY_NAME).limit(most))
    # One after the other, and no more of them than it takes.
    parts = [found.subquery() for found in places]
    return union_all(*(select(*part.c, literal(number).label("place")) for number, part in enumerate(parts))).limit(
        most
    )


def _first_of(found: Select[*tuple[Any, ...]], most: Any) -> Select[*tuple[Any, ...]]:
    some = found.subquery()
    return select(some).order_by(some.c.name, some.c.customer_id, some.c.address_id).limit(most)
