"""Values that stand in the text of a statement itself, instead of going beside it.

A database uses an index of some rows only where it can read that the rows asked for are these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, bindparam


def is_one_of(column: Any, names: Sequence[str]) -> ColumnElement[bool]:
    """Return the condition that ``column`` is one of ``names``, in their order."""
    condition: ColumnElement[bool] = column.in_(
        bindparam(None, list(names), expanding=True, literal_execute=True, unique=True)
    )
    return condition


def written(value: str) -> Any:
    """Return ``value`` to compare with."""
    return bindparam(None, value, literal_execute=True, unique=True)
