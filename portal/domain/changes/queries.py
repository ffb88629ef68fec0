"""Asking what changed for a partner since a mark, by seeks into an index and without missing a late commit.

Ids are given before the commit: somebody who knows id 12 may not have seen 11. On PostgreSQL a mark therefore is the
snapshot it was read in: the transactions that had begun, and those of them that were still running. Whatever others
wrote is new, in whichever order they commit. SQLite has one writer at a time, so that the newest ids will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Label,
    Row,
    Select,
    String,
    bindparam,
    cast,
    func,
    or_,
    select,
)
from sqlalchemy.orm import Session

from portal.domain.changes.models import Change
from portal.domain.database import POSTGRESQL, ask_driver
from portal.domain.jobs.models import HistoryEntry
from portal.domain.lookup import MAX_KEY
from portal.domain.people.models import Partner

# More than a server has connections.
MOST_RUNNING = 2_000


@dataclass(frozen=True, slots=True)
class Mark:
    """Up to where a partner's changes are known: all before ``history`` and ``others`` but those of ``running``.

    On PostgreSQL these are numbers of transactions, and the first two the same; on SQLite ids of the two tables.
    """

    history: int
    others: int
    running: tuple[int, ...] = ()

    def __str__(self) -> str:
        """Return the mark as ``Mark.read`` takes it: digits and dots."""
        return ".".join(map(str, (self.history, self.others, *self.running)))

    @classmethod
    def read(cls, text: str) -> Mark | None:
        """Return the mark that ``text`` stands for; ``None`` for what is none, from an address or a header."""
        parts = text.split(".", MOST_RUNNING + 2)
        if not all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts):
            return None
        numbers = [int(part) for part in parts]
        if not 2 <= len(numbers) <= MOST_RUNNING + 2 or max(numbers) > MAX_KEY:
            return None
        return cls(numbers[0], numbers[1], tuple(numbers[2:]))


@dataclass(frozen=True, slots=True)
class News:
    """The ``mark`` of this moment, and whether anything ``changed`` since the one asked with."""

    mark: Mark
    changed: bool


def mark_column(dialect: str) -> Label[str]:
    """Return the column ``mark`` of a SELECT from ``Partner``: how far that statement sees; see ``mark_of``."""
    if dialect == POSTGRESQL:
        return cast(func.pg_current_snapshot(), String).label("mark")
    history, others = (
        select(func.max(model.id)).where(model.partner_id == Partner.id).scalar_subquery()
        for model in (HistoryEntry, Change)
    )
    text = cast(func.coalesce(history, 0) + 1, String) + "." + cast(func.coalesce(others, 0) + 1, String)
    return text.label("mark")


def mark_of(value: str) -> Mark:
    """Return the mark that a column ``mark`` holds."""
    if ":" in value:
        _, end, running = value.split(":")
        return Mark(int(end), int(end), tuple(int(one) for one in running.split(",") if one))
    history, others = value.split(".")
    return Mark(int(history), int(others))


def news(connection: Connection, partner_id: int, since: Mark) -> News:
    """Return whether anything that office pages show of a partner changed since a mark. One statement.

    ``partner_id`` is one that the asker may see; the statement names it itself.
    """
    row = connection.execute(_news(connection.dialect.name), {"partner": partner_id, **_known(since)}).one()
    return News(mark_of(row.mark), bool(row.changed))


def is_untouched(connection: Connection, mark: Mark) -> bool:
    """Return whether nothing at all was written in the database since ``mark``. One statement, the cheapest there is.

    Equal snapshots see the same of everything. On SQLite no statement tells that, so that it is never said.
    """
    if connection.dialect.name != POSTGRESQL:
        return False
    ((snapshot,),) = ask_driver(connection, "SELECT pg_current_snapshot()::text")
    return mark_of(snapshot) == mark


@cache
def _news(dialect: str) -> Select[*tuple[Any, ...]]:
    # Put together once: every open page runs it every few seconds.
    changed = or_(
        *(
            select(model.id).where(model.partner_id == bindparam("partner"), _since(dialect, model, name)).exists()
            for model, name in ((HistoryEntry, "history"), (Change, "others"))
        )
    )
    return select(mark_column(dialect), changed.label("changed")).where(Partner.id == bindparam("partner"))


def entries_between(
    session: Session, query: Select[*tuple[Any, ...]], since: Mark, until: Mark
) -> Sequence[Row[*tuple[Any, ...]]]:
    """Return the rows of ``query`` whose entry of history is known at ``until`` and was not at ``since``."""
    dialect = session.get_bind().dialect.name
    query = query.where(_since(dialect, HistoryEntry, "history"))
    if dialect == POSTGRESQL:
        query = query.where(HistoryEntry.written_in < until.history, HistoryEntry.written_in.not_in(until.running))
    else:
        query = query.where(HistoryEntry.id < until.history)
    return session.execute(query, _known(since)).all()


def _known(since: Mark) -> dict[str, Any]:
    return {
        "history": since.history,
        "others": since.others,
        "history_first": min((since.history, *since.running)),
        "others_first": min((since.others, *since.running)),
        "running": since.running,
    }


def _since(dialect: str, model: Any, name: str) -> ColumnElement[bool]:
    """Return the condition that a row is new to who knows all before ``name`` but those of ``running``."""
    known = bindparam(name, type_=BigInteger)
    if dialect != POSTGRESQL:
        newer: ColumnElement[bool] = model.id >= known
        return newer
    number = model.written_in
    # Rows restored from another server carry numbers that this one has not come to yet.
    end = cast(cast(func.pg_snapshot_xmax(func.pg_current_snapshot()), String), BigInteger)
    condition: ColumnElement[bool] = (
        (number >= bindparam(f"{name}_first", type_=BigInteger))
        & ((number >= known) | number.in_(bindparam("running", expanding=True, type_=BigInteger)))
        & (number < end)
    )
    return condition
