"""INSERT that knows what to do about a row that is there already, as both databases write it."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from portal.domain.base import Base


def insert_into(session: Session, model: type[Base]) -> Any:
    """Return an INSERT into the table of ``model`` that takes ``on_conflict_do_nothing`` and ``…_do_update``."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    return dialect.insert(model)
