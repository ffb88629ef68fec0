"""Reading lists of different shapes in one statement, for pages that show a little of everything."""

from __future__ import annotations

from collections import defaultdict, namedtuple
from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from sqlalchemy import BigInteger, CompoundSelect, Integer, Select, String, Text, cast, literal, null, union_all
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine


class Gathering:
    """Several selects of columns as one ``UNION ALL``, put together once; each gets its own rows back.

    A column of the union holds one of each select's of its type, NULL where one has fewer of these. Columns are known
    by their labels, and no order is kept.
    """

    def __init__(self, **parts: Select[*tuple[Any, ...]]) -> None:
        kinds: dict[str, list[type[TypeEngine[Any]]]] = {}
        width: dict[type[TypeEngine[Any]], int] = defaultdict(int)
        for name, part in parts.items():
            kinds[name] = [_kind_of(column.type) for column in part.selected_columns]
            for kind in set(kinds[name]):
                width[kind] = max(width[kind], kinds[name].count(kind))
        slots = [(kind, number) for kind, most in width.items() for number in range(most)]
        selects = []
        self._rows: dict[str, tuple[Any, Any]] = {}
        for name, part in parts.items():
            columns = list(part.selected_columns)
            taken: dict[tuple[type[TypeEngine[Any]], int], Any] = {}
            places = []
            seen: dict[type[TypeEngine[Any]], int] = defaultdict(int)
            for kind, column in zip(kinds[name], columns, strict=True):
                slot = (kind, seen[kind])
                seen[kind] += 1
                taken[slot] = column
                places.append(1 + slots.index(slot))
            filled = [taken[slot] if slot in taken else cast(null(), slot[0]()) for slot in slots]
            named = [column.label(f"slot_{index}") for index, column in enumerate(filled)]
            selects.append(part.with_only_columns(literal(name).label("part"), *named, maintain_column_froms=True))
            self._rows[name] = (namedtuple(name, [column.key for column in columns]), itemgetter(*places))  # type: ignore[misc]
        self._statement: CompoundSelect[*tuple[Any, ...]] = union_all(*selects)

    def read(self, session: Session, values: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Return the rows of each part by its name, each with its columns by theirs. One statement.

        ``values`` are those of the parameters of all parts.
        """
        found: dict[str, list[Any]] = {name: [] for name in self._rows}
        for row in session.execute(self._statement, values):
            shape, places = self._rows[row[0]]
            found[row[0]].append(shape._make(places(row)))
        return found


def _kind_of(found: TypeEngine[Any]) -> type[TypeEngine[Any]]:
    """Return the type of the union's column for one of a select: whatever the length, a text is a text."""
    if isinstance(found, Integer):
        return BigInteger
    return Text if isinstance(found, String) else type(found)
