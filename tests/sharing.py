"""Who tries what, where trying everything on both databases would take longer than it is worth every time."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TypeVar
from zlib import crc32

Item = TypeVar("Item")

# Set to try everything on each database.
EVERYTHING = bool(os.environ.get("TEST_EVERYTHING"))


def share_of(items: Iterable[Item], database: str) -> list[Item]:
    """Return every other of ``items`` for SQLite and those between them for PostgreSQL, so that each is tried once."""
    found = list(items)
    return found if EVERYTHING else found[database == "postgresql" :: 2]


# Tests of pages that both databases run all the same: what is theirs is what a database could change.
ON_BOTH = frozenset({"test_bad_input", "test_isolation", "test_matrix", "test_kept", "test_live", "test_export"})
ON_BOTH |= {"test_job_page"}
# The same of the worker: what claims, sends and elects.
ON_BOTH |= {
    "test_relay",
    "test_ahead",
    "test_outbox",
    "test_processes",
    "test_election",
    "test_schedule",
    "test_access",
}

# Of the domain, what works out things from rows that any database hands over alike.
BY_TURNS = frozenset(
    {"test_overrides", "test_surveys", "test_hits", "test_calendar", "test_changes", "test_suspension"}
)


def is_others(folder: str, module: str, function: str, database: str) -> bool:
    """Whether a test is left to the other database: each test of pages and messages is run on one of them, by its name.

    What the domain writes and guards, the races and the migrations are tested on both.
    """
    by_turns = module in BY_TURNS or (folder in {"web", "browser", "worker"} and module not in ON_BOTH)
    if EVERYTHING or not by_turns:
        return False
    return (crc32(f"{module}.{function}".encode()) % 2 == 1) is not (database == "postgresql")
