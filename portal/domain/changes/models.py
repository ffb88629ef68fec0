"""Marks of what was written: on history by itself, for everything else that office pages show in a table of its own.

Nothing is counted in one row that every writer of a partner would wait for: marks are appended, never altered.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BigInteger, Index, event
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Mapped, Session, mapped_column
from sqlalchemy.sql.functions import FunctionElement

from portal.domain.base import Base, PartnerScoped, Tenant

_NOTED = "changes_noted"


class TransactionNumber(FunctionElement[int]):
    """The number of the transaction that writes a row; NULL on SQLite, which has one writer at a time."""

    inherit_cache = True
    type = BigInteger()


@compiles(TransactionNumber)
def _without_number(element: Any, compiler: Any, **kw: Any) -> str:
    return "NULL"


@compiles(TransactionNumber, "postgresql")
def _number(element: Any, compiler: Any, **kw: Any) -> str:
    return "CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT)"


class Numbered:
    """A row that says which transaction wrote it: ids are given before the commit and so come in another order."""

    written_in: Mapped[int | None] = mapped_column(BigInteger, default=TransactionNumber())


class Change(Tenant, Numbered, Base):
    """Something of a partner's was written that office pages show and no history tells, once a transaction."""

    __tablename__ = "changes"
    table_extras = (Index("ix_changes_written_in", "partner_id", "written_in"),)
    told_to_pages = False


@event.listens_for(Session, "before_flush")
def _note_changes(session: Session, context: Any, instances: Any) -> None:
    rows = [*session.new, *(row for row in session.dirty if session.is_modified(row)), *session.deleted]
    # A partner that is only now being created has no key yet, and nobody looking.
    partners = {row.partner_id for row in rows if isinstance(row, PartnerScoped) and row.told_to_pages} - {None}
    if partners:
        tell_pages(session, partners)


def tell_pages(session: Session, partner_ids: Iterable[int]) -> None:
    """Note that something of these partners' is written which pages show: for what is written past the models.

    Once a transaction for each, which the flush does by itself for objects.
    """
    # What a savepoint noted goes with it.
    inside = session.get_nested_transaction() or session.get_transaction()
    known, noted = session.info.get(_NOTED, (None, set()))
    if known is not inside:
        noted = set()
        session.info[_NOTED] = (inside, noted)
    wanted = set(partner_ids)
    for partner_id in sorted(wanted - noted):
        session.add(Change(partner_id=partner_id))
    noted |= wanted
