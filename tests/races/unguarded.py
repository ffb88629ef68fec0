"""Takes from the processes of a web server what keeps a time from being given twice: the lock, and SQLite's as well.

A configuration of gunicorn, which is read before the processes start. The database's own guard is the test's to take
away, see ``racing.without_guard``.
"""

from __future__ import annotations

from portal.domain import database
from portal.domain.jobs import services
from tests.races.clerks import look_without_locking

# As if nobody had thought of any: the driver's own transactions, and a look where the lock would be.
database.prepare_engine = lambda engine: engine
services.lock_technicians = look_without_locking  # type: ignore[attr-defined]
