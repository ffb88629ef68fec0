"""Reading the audit trail within the session's scope."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.paging import PAGE_ROWS, Cursor, Order, Page, page_of
from portal.domain.settings_log.models import SettingChange

CHANGES_BY = {"number": (SettingChange.id,)}
NEWEST_FIRST = Order(CHANGES_BY["number"], descending=True)


def setting_changes(
    session: Session,
    subject: str | None = None,
    order: Order = NEWEST_FIRST,
    cursor: Cursor | None = None,
    limit: int = PAGE_ROWS,
) -> Page[SettingChange]:
    """Return a page of the audit trail (L1), in one statement; ``subject`` is a ``SettingKind``, ``None`` for all."""
    query = select(SettingChange)
    if subject is not None:
        query = query.where(SettingChange.subject == subject)
    return page_of(session, query, order, cursor, limit)
