"""Takes from the processes of a web server what keeps a time from being given twice: the lock, and SQLite's as well.

A configuration of gunicorn, which is read before the processes start. The database's own guard is the test's to take
away, see ``racing.without_guard``.
"""

from __future__ import annotations

import multiprocessing
from typing import Any

from portal.domain import database
from portal.domain.jobs import services, taking
from tests.races.clerks import LOOKING_AT_TAKERS, look_without_locking

SECONDS = 30
# Of all requests the first two, whichever process has them: each goes on only when the other has looked as well, so
# that the race is one even where a busy machine would serve them one after the other.
_first_two, _both_looked = multiprocessing.Semaphore(2), multiprocessing.Barrier(2)
_board = services.board_for  # type: ignore[attr-defined]


def look_together(*args: Any, **kwargs: Any) -> Any:
    """Return the board as it is, to the first two only when both have it."""
    times = _board(*args, **kwargs)
    if _first_two.acquire(block=False):
        _both_looked.wait(SECONDS)
    return times


# As if nobody had thought of any: the driver's own transactions, and a look where the lock would be.
database.prepare_engine = lambda engine: engine
services.lock_technicians = look_without_locking  # type: ignore[attr-defined]
taking.LOCKING_TAKERS = LOOKING_AT_TAKERS
services.board_for = look_together  # type: ignore[attr-defined]
