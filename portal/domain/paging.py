"""Pages by key: no OFFSET, no COUNT, so that the last page costs what the first does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, literal, tuple_
from sqlalchemy.orm import Session

R = TypeVar("R")
Key = tuple[Any, ...]
PAGE_ROWS = 20


@dataclass(frozen=True, slots=True)
class Order:
    """The columns a list is sorted by, the last one unique, all in one direction."""

    columns: tuple[Any, ...]
    descending: bool = False

    def key_of(self, row: Any) -> Key:
        """Return where ``row`` stands in this order."""
        return tuple(getattr(row, column.key) for column in self.columns)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page starts: right behind ``key``, or right before it when ``backwards``."""

    key: Key
    backwards: bool = False


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Some rows of a list; ``back`` and ``forward`` lead to the neighbouring pages, where there may be any."""

    rows: Sequence[R]
    back: Cursor | None = None
    forward: Cursor | None = None


def page_of(
    session: Session,
    query: Select[*tuple[Any, ...]],
    order: Order,
    cursor: Cursor | None = None,
    limit: int = PAGE_ROWS,
    scalars: bool = True,
) -> Page[Any]:
    """Return at most ``limit`` rows of ``query`` in ``order`` from ``cursor`` on, by one statement.

    ``query`` brings its filters and no order. With ``scalars`` the rows are its first column, else whole tuples, which
    carry the columns of ``order`` under their names.
    """
    if cursor is not None:
        query = query.where(_beyond(order, cursor))
    falling = order.descending != (cursor is not None and cursor.backwards)
    query = query.order_by(*(column.desc() if falling else column.asc() for column in order.columns)).limit(limit + 1)
    result = session.execute(query)
    return page_from(list(result.scalars() if scalars else result), order, cursor, limit)


def page_from(found: list[Any], order: Order, cursor: Cursor | None, limit: int) -> Page[Any]:
    """Return the page that ``found`` is: the rows from ``cursor`` on, in its direction, one more than ``limit``."""
    backwards = cursor is not None and cursor.backwards
    more, rows = len(found) > limit, found[:limit]
    if backwards:
        rows.reverse()
    # A page that was come to from the other side has something there.
    has_back, has_forward = (more, True) if backwards else (cursor is not None, more)
    first = order.key_of(rows[0]) if rows else cursor.key if cursor else None
    last = order.key_of(rows[-1]) if rows else cursor.key if cursor else None
    return Page(
        rows,
        Cursor(first, backwards=True) if has_back and first else None,
        Cursor(last) if has_forward and last else None,
    )


def _beyond(order: Order, cursor: Cursor) -> ColumnElement[bool]:
    return beyond(order, cursor.backwards, [literal(*pair) for pair in zip(cursor.key, _types(order), strict=True)])


def beyond(order: Order, backwards: bool, key: Sequence[ColumnElement[Any]]) -> ColumnElement[bool]:
    """Return that a row stands behind ``key`` in ``order``, or before it when ``backwards``."""
    here, there = tuple_(*order.columns), tuple_(*key)
    return here < there if order.descending != backwards else here > there


def _types(order: Order) -> list[Any]:
    return [column.type for column in order.columns]
