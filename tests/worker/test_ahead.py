"""What is read ahead of sending: once for several messages, again as soon as anybody has written, from either side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from portal.domain.database import Writes, writes_so_far
from portal.domain.jobs import services
from portal.domain.people.models import Customer, Partner
from portal.domain.unit_of_work import unit_of_work
from portal.worker.schedule import Work
from tests.worker.conftest import DAY, START, Shop, Sink

pytestmark = pytest.mark.row("N3")


@contextmanager
def counted(work: Work) -> Iterator[list[str]]:
    """Keep every statement that reads facts."""
    seen: list[str] = []

    def look(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if "JOIN message_templates" in statement:
            seen.append(statement)

    event.listen(work.store.engine, "before_cursor_execute", look)
    yield seen
    event.remove(work.store.engine, "before_cursor_execute", look)


def test_facts_of_several_messages_are_read_at_once_and_of_each_again_after_a_change(
    work: Work, shop: Shop, sink: Sink
) -> None:
    jobs = [shop.schedule(START + number * DAY) for number in range(8)]

    def change(mail: EmailMessage) -> None:
        # While the second is on its way, so that six are known from before.
        if len(sink.mails) == 1:
            with unit_of_work(shop.session) as session:
                session.get_one(Customer, shop.customer.id).email = "raman@mail.example"
                session.get_one(Partner, shop.partner.id).name = "Brightwell"
            shop.do(services.cancel, shop.dispatcher, jobs[4].id, "Closed")

    sink.at_data = change
    with counted(work) as seen:
        tally = work.relay.run()
    # What tells of the cancel came due meanwhile.
    assert (tally.sent, tally.skipped) == (8, 1)
    assert sink.recipients == ["priya@mail.example"] * 2 + ["raman@mail.example"] * 6
    assert {mail["From"].addresses[0].display_name for mail in sink.mails[2:]} == {"Brightwell"}
    assert [message.status for message in shop.messages("booked")].index("SKIPPED") == 4
    # Eight; one, two, two; one and two after the skipped one; and what came due meanwhile. PostgreSQL counts the
    # transactions of all databases of a server, so that another test's make it read more often there.
    assert len(seen) < 8 or work.store.engine.dialect.name == "postgresql"


def test_somebody_has_written_is_noticed_of_everybody_but_oneself(work: Work, shop: Shop, session: Session) -> None:
    def write(to: Session) -> None:
        partner = to.get_one(Partner, shop.partner.id)
        partner.name += "x"

    # Other tests write to other databases of the same PostgreSQL server, whose transactions count there.
    is_alone = work.store.engine.dialect.name == "sqlite"
    with work.store.at_hand() as at_hand:

        def look() -> Writes:
            with at_hand.reading() as reading:
                return writes_so_far(reading)

        before = look()
        assert not is_alone or before.only_own(look(), 0)
        for number in range(1, 3):
            with at_hand.writing() as own:
                write(own)
            assert not is_alone or before.only_own(look(), number)
        with unit_of_work(session):
            write(session)
        assert not before.only_own(look(), 2)
        # Somebody who had begun before is somebody else as well, once they are done.
        with unit_of_work(session):
            write(session)
            session.flush()
            before = look()
        assert not before.only_own(look(), 0)


def test_what_postgresql_sees_tells_who_has_written() -> None:
    before = Writes(105, frozenset({101, 104}))
    for later, own, is_only_own in (
        (Writes(105, frozenset({101, 104})), 0, True),
        (Writes(107, frozenset({101, 104})), 2, True),
        # Somebody else began, and is done or not.
        (Writes(106, frozenset({101, 104})), 0, False),
        (Writes(107, frozenset({101, 104, 106})), 1, False),
        # Who was at it before is done.
        (Writes(105, frozenset({101})), 0, False),
        (Writes(106, frozenset({104, 105})), 1, False),
    ):
        assert before.only_own(later, own) is is_only_own, (later, own)


@pytest.mark.row("N4")
def test_a_database_that_was_cut_off_while_a_letter_was_sent_still_records_it(
    work: Work, shop: Shop, sink: Sink, cut_off: Callable[[], None]
) -> None:
    for number in range(3):
        shop.schedule(START + number * DAY)
    sink.at_data = lambda mail: cut_off()
    assert (work.relay.run().sent, len(sink.mails)) == (3, 3)
    assert {(message.status, message.attempts) for message in shop.messages()} == {("SENT", 1)}
    assert shop.outcomes() == ["SENT"] * 3


@pytest.fixture
def cut_off(session: Session) -> Callable[[], None]:
    """End every connection of the worker, as a restart of PostgreSQL does; SQLite has none that could be cut."""
    engine = session.get_bind()
    assert isinstance(engine, Engine)
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"

    def cut() -> None:
        session.rollback()
        if engine.dialect.name == "postgresql":
            with engine.connect() as connection:
                connection.exec_driver_sql(f"SELECT pg_terminate_backend(pid, 60000) {others}")
            # Nobody here takes up what was cut.
            engine.dispose()

    return cut
