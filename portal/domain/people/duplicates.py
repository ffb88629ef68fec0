"""Finding customers who look like one person: the same e-mail address, telephone number, or name at the same place.

Everything is found by an index and can be explained in a sentence; nothing is guessed. What more than a few customers
share is an office's address or number and says nothing about who they are (P23).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import combinations
from typing import Any

from sqlalchemy import distinct, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, selectinload

from portal.domain.actor import Actor
from portal.domain.errors import NotFound, Refusal, Refused, Sentence, Warned, sentence
from portal.domain.lookup import lock_customers
from portal.domain.paging import PAGE_ROWS, Cursor, Order, Page
from portal.domain.people.models import Address, Customer, DifferentPeople
from portal.domain.texts import letters_of

# More customers than these share an office's address or number.
MOST_SHARING = 5
MOST_NEIGHBOURS = 50
# The page looks at so many shared values of each sort, and says so when there are more.
MOST_GROUPS = 500
# A letter of difference in a shorter word makes it another word.
SHORT_WORD = 4
TITLES = frozenset({"mr", "mrs", "ms", "miss", "mx", "dr", "prof"})
UNMERGED = Customer.merged_into_id.is_(None)
PAIRS = Order((DifferentPeople.second_id, DifferentPeople.first_id), descending=True)


class Likeness(StrEnum):
    """In what two customers are alike."""

    EMAIL = "email"
    PHONE = "phone"
    PLACE = "place"


@dataclass(frozen=True, slots=True)
class LookAlike:
    """A customer, with addresses, who may be the one in question, and in what they are alike."""

    customer: Customer
    likenesses: Sequence[Likeness]


class LooksAlike(Warned):
    """A customer to be added who may be there already, as ``found``; staff may insist."""

    def __init__(self, found: Sequence[LookAlike]) -> None:
        super().__init__({"despite_likeness": _looks_like(found[0].customer)})
        self.found = list(found)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two customers who look like one, the one added first as ``first``; both with addresses."""

    first: Customer
    second: Customer
    likenesses: Sequence[Likeness]


@dataclass(frozen=True, slots=True)
class Pairs:
    """A page of pairs, the one found last first, and how many there are; with ``are_more`` at least so many."""

    page: Page[Pair]
    count: int
    are_more: bool


@dataclass(slots=True)
class _Found:
    """Pairs of keys, the smaller first, with their likenesses."""

    pairs: dict[tuple[int, int], list[Likeness]] = field(default_factory=lambda: defaultdict(list))
    are_more: bool = False

    def add(self, keys: Iterable[int], likeness: Likeness) -> None:
        for pair in combinations(sorted(set(keys)), 2):
            if likeness not in self.pairs[pair]:
                self.pairs[pair].append(likeness)


def names_alike(one: str, other: str) -> bool:
    """Return whether two names read alike: every word of the shorter one has its like in the other, in any order.

    A word is like another if they are the same, if one is the other's initial, or, from four letters on, if one letter
    is different, missing or too much. At least one word is not a mere initial; titles do not count.
    """
    shorter, longer = sorted((_words(one), _words(other)), key=len)
    if not shorter:
        return False
    left, is_certain = list(longer), False
    for word in shorter:
        like = min((other for other in left if _words_alike(word, other)), key=lambda other: other != word, default="")
        if not like:
            return False
        left.remove(like)
        is_certain |= min(len(word), len(like)) > 1
    return is_certain


def look_alikes(
    session: Session, name: str, email: str, phone: str, places: Iterable[str], own_id: int | None = None
) -> list[LookAlike]:
    """Return the customers who may be the one of that name, e-mail, telephone number and ``place_key`` of addresses.

    Six statements by index at most. ``own_id`` is the one in question where they exist, so that
    neither they nor those said to be somebody else are found. Deactivated customers are, merged ones are not.
    """
    found: dict[int, list[Likeness]] = defaultdict(list)
    for likeness, column, value in ((Likeness.EMAIL, Customer.email, email), (Likeness.PHONE, Customer.phone, phone)):
        if value:
            sharing = session.scalars(
                select(Customer.id).where(UNMERGED, column == value).limit(MOST_SHARING + 1)
            ).all()
            if len(sharing) <= MOST_SHARING:
                for key in sharing:
                    found[key].append(likeness)
    neighbours = (
        select(Customer.id, Customer.name)
        .distinct()
        .join(Address, Address.customer_id == Customer.id)
        .where(UNMERGED, Address.place_key.in_(sorted({place for place in places if place})))
        .limit(MOST_NEIGHBOURS)
    )
    for key, other in session.execute(neighbours):
        if names_alike(name, other):
            found[key].append(Likeness.PLACE)
    if own_id is not None:
        for key in (own_id, *_said_to_differ(session, own_id)):
            found.pop(key, None)
    people = _with_addresses(session, found)
    return [LookAlike(people[key], found[key]) for key in sorted(found)]


def duplicate_pairs(session: Session, partner_id: int, cursor: Cursor | None = None, limit: int = PAGE_ROWS) -> Pairs:
    """Return the pairs of the partner's customers who look like one, but for those said to be two; see ``PAIRS``."""
    found = _Found()
    for likeness, column in ((Likeness.EMAIL, Customer.email), (Likeness.PHONE, Customer.phone)):
        _find_sharing(session, partner_id, found, likeness, column)
    _find_neighbours(session, partner_id, found)
    different = session.execute(
        select(DifferentPeople.first_id, DifferentPeople.second_id).where(DifferentPeople.partner_id == partner_id)
    )
    for first, second in different:
        found.pairs.pop((first, second), None)
    keys = sorted(((second, first) for first, second in found.pairs), reverse=True)
    shown, back, forward = _page_of_keys(keys, cursor, limit)
    people = _with_addresses(session, {key for pair in shown for key in pair})
    rows = [Pair(people[first], people[second], found.pairs[first, second]) for second, first in shown]
    return Pairs(Page(rows, back, forward), len(keys), found.are_more)


def keep_apart(session: Session, actor: Actor, now: datetime, one_id: int, other_id: int) -> None:
    """Note at ``now`` (an instant) that two customers who look alike are two, so that nobody is asked again (P23).

    Saying so twice is no error. Raises ``NotFound`` for a customer out of scope and ``Refused`` for one with themself.
    """
    if one_id == other_id:
        raise Refused(Refusal("same", sentence("A customer is not two people.")))
    people = lock_customers(session, (one_id, other_id))
    if len(people) != 2:
        raise NotFound
    first, second = people
    if second.id not in _said_to_differ(session, first.id):
        session.add(
            DifferentPeople(
                partner_id=first.partner_id, first_id=first.id, second_id=second.id, at=now, actor_id=actor.id
            )
        )


def _looks_like(customer: Customer) -> Sentence:
    if customer.addresses:
        place = customer.addresses[0].one_line
        return sentence("Looks like %(name)s, %(address)s", name=customer.name, address=place)
    return sentence("Looks like %(name)s", name=customer.name)


def _words(name: str) -> list[str]:
    words = (letters_of(word) for word in name.replace("-", " ").replace(".", " ").split())
    return [word for word in words if word and word not in TITLES]


def _words_alike(one: str, other: str) -> bool:
    if one == other:
        return True
    shorter, longer = sorted((one, other), key=len)
    if len(shorter) == 1:
        return longer.startswith(shorter)
    return len(shorter) >= SHORT_WORD and _one_letter_apart(shorter, longer)


def _one_letter_apart(shorter: str, longer: str) -> bool:
    if len(longer) - len(shorter) > 1:
        return False
    same = next((index for index, sign in enumerate(shorter) if sign != longer[index]), len(shorter))
    rest = shorter[same + (len(shorter) == len(longer)) :]
    return rest == longer[same + 1 :]


def _find_sharing(
    session: Session, partner_id: int, found: _Found, likeness: Likeness, column: InstrumentedAttribute[str]
) -> None:
    theirs = select(column).where(UNMERGED, Customer.partner_id == partner_id, column != "")
    shared = (
        theirs.group_by(column).having(func.count().between(2, MOST_SHARING)).order_by(column).limit(MOST_GROUPS + 1)
    )
    values = session.scalars(shared).all()
    found.are_more |= len(values) > MOST_GROUPS
    people = select(column, Customer.id).where(
        UNMERGED, Customer.partner_id == partner_id, column.in_(values[:MOST_GROUPS])
    )
    for keys in _grouped(session.execute(people)).values():
        found.add(keys, likeness)


def _find_neighbours(session: Session, partner_id: int, found: _Found) -> None:
    shared = (
        select(Address.place_key)
        .where(Address.partner_id == partner_id, Address.place_key != "")
        .group_by(Address.place_key)
        .having(func.count(distinct(Address.customer_id)).between(2, MOST_NEIGHBOURS))
        .order_by(Address.place_key)
        .limit(MOST_GROUPS + 1)
    )
    places = session.scalars(shared).all()
    found.are_more |= len(places) > MOST_GROUPS
    people = (
        select(Address.place_key, Customer.id, Customer.name)
        .join(Address, Address.customer_id == Customer.id)
        .where(UNMERGED, Address.partner_id == partner_id, Address.place_key.in_(places[:MOST_GROUPS]))
    )
    for neighbours in _grouped(session.execute(people)).values():
        for (one, name), (other, other_name) in combinations(sorted(set(neighbours)), 2):
            if one != other and names_alike(name, other_name):
                found.add((one, other), Likeness.PLACE)


def _grouped(rows: Iterable[Any]) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = defaultdict(list)
    for value, *rest in rows:
        groups[value].append(rest[0] if len(rest) == 1 else tuple(rest))
    return groups


def _said_to_differ(session: Session, key: int) -> set[int]:
    said = select(DifferentPeople.first_id, DifferentPeople.second_id).where(
        or_(DifferentPeople.first_id == key, DifferentPeople.second_id == key)
    )
    return {other for pair in session.execute(said) for other in pair if other != key}


def _with_addresses(session: Session, keys: Iterable[int]) -> dict[int, Customer]:
    people = select(Customer).where(Customer.id.in_(sorted(keys))).options(selectinload(Customer.addresses))
    return {customer.id: customer for customer in session.scalars(people)}


def _page_of_keys(
    keys: Sequence[tuple[int, int]], cursor: Cursor | None, limit: int
) -> tuple[Sequence[tuple[int, int]], Cursor | None, Cursor | None]:
    start = 0
    if cursor is not None:
        here = tuple(cursor.key)
        start = sum(key >= here for key in keys)
        if cursor.backwards:
            start = max(0, sum(key > here for key in keys) - limit)
    shown = keys[start : start + limit]
    back = Cursor(shown[0], backwards=True) if start and shown else None
    return shown, back, Cursor(shown[-1]) if start + limit < len(keys) else None
