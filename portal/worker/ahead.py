"""The facts of the next messages, read for several at once: they hold for as long as nobody else writes (N3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from portal.domain.database import Writes, writes_so_far
from portal.domain.messages.queries import Facts, facts_of
from portal.worker.store import Sessions, Store

log = structlog.get_logger("portal.worker")

# For how many messages facts are read at once, and at first.
MOST, FIRST = 16, 8


class Ahead:
    """What is known of the messages of a batch, in the order in which they are sent, over one connection at hand.

    Just before a letter is written it is asked whether anybody has committed anything since its facts were read, in
    whichever table; if so they are read again. What is written here, between two messages, has to change no facts.
    """

    def __init__(self, store: Store, message_ids: Sequence[int]) -> None:
        self._store = store
        self._next = list(message_ids)
        self._known: dict[int, Facts] = {}
        self._many = FIRST
        self._since: Writes | None = None
        self._written = 0
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._at_hand: Sessions = self._stack.enter_context(self._store.at_hand())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def facts(self, message_id: int) -> Facts:
        """Return the facts of a message about a visit as they are now."""
        try:
            with self._at_hand.reading() as session:
                return self._facts(session, message_id)
        except DBAPIError as error:
            self._must_be_cut_off(error)
        with self._store.reading() as session:
            return self._facts(session, message_id)

    def write(self, record: Callable[[Session], Any]) -> None:
        """Call ``record`` in a unit of work that writes something, and nothing that facts are made of."""
        try:
            with self._at_hand.writing() as session:
                record(session)
            self._written += 1
        except DBAPIError as error:
            self._must_be_cut_off(error)
            with self._store.writing() as session:
                record(session)

    def _facts(self, session: Session, message_id: int) -> Facts:
        if message_id in self._known and not self._hold(session):
            self._known.clear()
            self._many = 1
        if message_id not in self._known:
            self._read(session, message_id)
        return self._known.pop(message_id)

    def _hold(self, session: Session) -> bool:
        return self._since is not None and self._since.only_own(writes_so_far(session), self._written)

    def _read(self, session: Session, message_id: int) -> None:
        begin = self._next.index(message_id)
        ahead = self._next[begin : begin + self._many]
        # Few different numbers, since each is a statement of its own to whoever plans it.
        ahead = ahead[: 1 << (len(ahead).bit_length() - 1)]
        self._many = min(2 * self._many, MOST)
        self._since, self._written = writes_so_far(session), 0
        self._known = facts_of(session, ahead)

    def _must_be_cut_off(self, error: DBAPIError) -> None:
        """Raise ``error`` again unless it says that the database was restarted, at which a new connection helps."""
        if not error.connection_invalidated:
            raise error
        log.warning("database_cut_off")
        self._known.clear()
