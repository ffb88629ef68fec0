"""Who tries what, where trying everything on both databases would take longer than it is worth every time."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TypeVar

Item = TypeVar("Item")

# Set to try everything on each database.
EVERYTHING = bool(os.environ.get("TEST_EVERYTHING"))


def share_of(items: Iterable[Item], database: str) -> list[Item]:
    """Return every other of ``items`` for SQLite and those between them for PostgreSQL, so that each is tried once."""
    found = list(items)
    return found if EVERYTHING else found[database == "postgresql" :: 2]
