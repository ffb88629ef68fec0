"""The keys of pages in addresses: what a list starts behind or before, as JSON that nobody has to trust."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from portal.domain.lookup import MAX_KEY
from portal.domain.paging import Cursor, Order

AFTER, BEFORE = "after", "before"
LONGEST = 1000


def cursor_args(cursor: Cursor) -> dict[str, str]:
    """Return ``cursor`` as the one argument of an address."""
    values = [value.isoformat() if isinstance(value, datetime) else value for value in cursor.key]
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return {BEFORE if cursor.backwards else AFTER: text}


def cursor_from(args: Mapping[str, str], order: Order) -> Cursor | None:
    """Return the cursor of an address for a list in ``order``; ``None``, the first page, for none or nonsense."""
    for name in (AFTER, BEFORE):
        if name in args:
            key = _key(args[name], order)
            return Cursor(key, backwards=name == BEFORE) if key else None
    return None


def _key(text: str, order: Order) -> tuple[Any, ...] | None:
    try:
        values = json.loads(text) if len(text) <= LONGEST else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, list) or len(values) != len(order.columns):
        return None
    try:
        return tuple(
            _value(value, column.type.python_type) for value, column in zip(values, order.columns, strict=True)
        )
    except (TypeError, ValueError, OverflowError):
        return None


def _value(value: Any, kind: type) -> Any:
    if kind is datetime and isinstance(value, str):
        instant = datetime.fromisoformat(value)
        if instant.tzinfo is None:
            raise ValueError("an instant has a zone")
        return instant.astimezone(UTC)
    if type(value) is not kind:
        raise TypeError(f"{kind.__name__} expected")
    if isinstance(value, int) and abs(value) > MAX_KEY:
        raise OverflowError("no column holds that")
    if isinstance(value, str) and ("\0" in value or not _is_text(value)):
        # JSON escapes bring in what the address itself was searched for.
        raise ValueError("no column holds that")
    return value


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
