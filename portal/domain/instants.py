"""Arithmetic with instants inside a statement, alike on both databases."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from portal.domain.base import UtcDateTime


class MinutesBefore(FunctionElement[datetime]):
    """An instant of a column, so many minutes earlier."""

    inherit_cache = True
    type = UtcDateTime()


@compiles(MinutesBefore, "sqlite")
def _minutes_before(element: Any, compiler: Any, **kw: Any) -> str:
    instant, minutes = (compiler.process(clause, **kw) for clause in element.clauses)
    # As instants are written there, with microseconds.
    return f"strftime('%Y-%m-%d %H:%M:%f', {instant}, '-' || {minutes} || ' minutes') || '000'"


@compiles(MinutesBefore, "postgresql")
def _minutes_before_with_intervals(element: Any, compiler: Any, **kw: Any) -> str:
    instant, minutes = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({instant} - make_interval(mins => {minutes}))"
