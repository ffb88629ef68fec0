"""Lists that a partner puts in an order of its own, of rows with a ``position`` that are ``active`` or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.errors import NotFound

R = TypeVar("R", bound=Any)


def in_order(session: Session, model: type[R]) -> list[R]:
    """Return every row in its order, locked, so that two who sort or add at once do it one after the other."""
    query = select(model).order_by(model.position, model.id).with_for_update(of=model)
    return list(session.scalars(query, execution_options={"populate_existing": True}))


def one_of(present: Sequence[R], key: int) -> R:
    """Return the row of ``present`` with ``key``; raises ``NotFound``."""
    found = next((row for row in present if row.id == key), None)
    if found is None:
        raise NotFound
    return found


def place_behind(present: Sequence[Any]) -> int:
    """Return the position of a row that is added at the end."""
    return max((row.position for row in present), default=-1) + 1


def change_places(session: Session, model: type[R], key: int, down: bool) -> tuple[R, int, int]:
    """Let a row change places with the one before it, or after it if ``down``; at the end of the list it stays.

    Its neighbours are those that are active like itself, or deactivated like itself. Returns the row with its place
    before and after, counted from 1 among them.
    """
    rows = in_order(session, model)
    row = one_of(rows, key)
    alike = [other for other in rows if other.active == row.active]
    place = alike.index(row)
    target = place + (1 if down else -1)
    if not 0 <= target < len(alike):
        return row, place + 1, place + 1
    # Two may have had the same place, since a list may come from anywhere.
    for number, other in enumerate(rows):
        other.position = number
    neighbour = alike[target]
    row.position, neighbour.position = neighbour.position, row.position
    session.flush()
    return row, place + 1, target + 1
