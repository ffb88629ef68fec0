"""What throttles count, in a file beside the sessions, for the processes of one machine that has no Redis."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

from limits.storage import Storage

from portal.settings import Settings
from portal.web.sessions import COUNTS

SCHEME = "countsfile"
PATIENCE_SECONDS = 5.0
TABLE = "CREATE TABLE IF NOT EXISTS counts (key TEXT PRIMARY KEY, number INTEGER NOT NULL, until REAL NOT NULL)"
COUNT = (
    "INSERT INTO counts VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET number = number + excluded.number "
    "RETURNING number"
)


def counts_uri(settings: Settings) -> str:
    """Return the address of the file that the processes with these settings share."""
    return f"{SCHEME}://{settings.session_dir.absolute() / COUNTS}"


class FileCounts(Storage):
    """Counts within fixed windows; each process opens the file for each count, so that none holds it."""

    STORAGE_SCHEME = [SCHEME]

    def __init__(self, uri: str, wrap_exceptions: bool = False, **options: Any) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions, **options)
        self._path = unquote(urlsplit(uri).path)

    @property
    def base_exceptions(self) -> type[Exception]:
        return sqlite3.Error

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        now = time.time()
        with self._open() as file:
            file.execute("BEGIN IMMEDIATE")
            file.execute("DELETE FROM counts WHERE until <= ?", (now,))
            (number,) = file.execute(COUNT, (key, amount, now + expiry)).fetchone()
            file.execute("COMMIT")
        return int(number)

    def get(self, key: str) -> int:
        return int(self._row(key)[0])

    def get_expiry(self, key: str) -> float:
        return float(self._row(key)[1])

    def check(self) -> bool:
        with self._open():
            return True

    def reset(self) -> int | None:
        with self._open() as file:
            return file.execute("DELETE FROM counts").rowcount

    def clear(self, key: str) -> None:
        with self._open() as file:
            file.execute("DELETE FROM counts WHERE key = ?", (key,))

    def _row(self, key: str) -> tuple[int, float]:
        now = time.time()
        with self._open() as file:
            found = file.execute("SELECT number, until FROM counts WHERE key = ? AND until > ?", (key, now)).fetchone()
        return found or (0, now)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=PATIENCE_SECONDS, isolation_level=None)) as file:
            # A power cut may cost counts, which are for a quarter of an hour.
            file.execute("PRAGMA synchronous = OFF")
            file.execute(TABLE)
            yield file
