"""No change is missed or told twice to who asks again and again, in whichever order transactions commit (P17)."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from portal.domain.actor import SYSTEM
from portal.domain.changes.models import Change
from portal.domain.changes.queries import Mark, is_untouched, mark_column, mark_of, news
from portal.domain.jobs.activity import acts_between
from portal.domain.jobs.history import record
from portal.domain.jobs.models import HistoryEntry, Job
from portal.domain.people.models import Customer, Partner
from portal.domain.scheduling.models import ServiceType
from portal.domain.unit_of_work import WRITES, unit_of_work
from tests.factories import Create, save

pytestmark = pytest.mark.row("P17")
Open = Callable[[], Session]


def mark_now(session: Session, partner: Partner) -> Mark:
    """Return how far a page knows that is made now."""
    session.rollback()
    column = mark_column(session.get_bind().dialect.name)
    return mark_of(session.scalars(select(column).where(Partner.id == partner.id)).one())


class Page:
    """Asks again and again, each time with the mark of the answer before, and keeps what it was told."""

    def __init__(self, session: Session, partner: Partner) -> None:
        self.session, self.partner = session, partner
        self.mark = mark_now(session, partner)
        self.told: list[str] = []

    def ask(self) -> bool:
        self.session.rollback()
        answer = news(self.session.connection(), self.partner.id, self.mark)
        if answer.changed:
            acts = acts_between(self.session, self.mark, answer.mark)
            self.told += [entry.action for act in acts for entry in act.entries]
            # As it travels.
            mark = Mark.read(str(answer.mark))
            assert mark == answer.mark
            self.mark = mark
        return answer.changed


def write(session: Session, job: Job, action: str) -> None:
    """Write an entry of history, committed by who called."""
    if not session.in_transaction():
        session.connection(execution_options=WRITES)
    record(session, SYSTEM, datetime.now(UTC), action, job)
    session.flush()


def test_a_late_commit_is_told_after_a_later_id(
    session: Session, new_session: Open, create_partner: Create, create_installation: Create
) -> None:
    """The lower id commits second: a page that only remembered the highest would miss it."""
    partner = create_partner()
    job = create_installation(partner)
    page = Page(session, partner)
    assert not page.ask()
    slow, quick = new_session(), new_session()
    if slow.get_bind().dialect.name == "sqlite":
        # One writer at a time: ids come in the order of commits.
        write(slow, job, "first")
        slow.commit()
        write(quick, job, "second")
        quick.commit()
        assert page.ask()
        assert page.told == ["first", "second"]
        return
    write(slow, job, "first")
    write(quick, job, "second")
    assert not page.ask()
    quick.commit()
    assert page.ask()
    assert page.told == ["second"]
    assert not page.ask()
    slow.commit()
    assert page.ask()
    assert page.told == ["second", "first"]
    ids = dict(session.execute(select(HistoryEntry.action, HistoryEntry.id)).all())
    assert ids["first"] < ids["second"]
    assert not page.ask()


def test_in_any_order_each_change_is_told_once(
    session: Session, new_session: Open, create_partner: Create, create_installation: Create
) -> None:
    partner = create_partner()
    job = create_installation(partner)
    dice = random.Random(17)
    writers = [new_session() for _ in range(1 if session.get_bind().dialect.name == "sqlite" else 4)]
    pages = [Page(new_session(), partner) for _ in range(3)]
    pending: dict[Session, list[str]] = {}
    committed: list[str] = []
    for number in range(60):
        writer = dice.choice(writers)
        what = dice.choice(["write", "write", "commit", "roll back", "ask", "ask"])
        if what == "write":
            write(writer, job, f"act {number}")
            pending.setdefault(writer, []).append(f"act {number}")
        elif what == "commit":
            writer.commit()
            committed += pending.pop(writer, [])
        elif what == "roll back":
            writer.rollback()
            pending.pop(writer, None)
        else:
            dice.choice(pages).ask()
    for writer in writers:
        writer.commit()
        committed += pending.pop(writer, [])
    assert len(committed) > 10
    for page in pages:
        page.ask()
        assert sorted(page.told) == sorted(committed)
        assert not page.ask()


def test_what_is_committed_between_question_and_answer_is_for_the_next_time(
    session: Session, new_session: Open, create_partner: Create, create_installation: Create
) -> None:
    partner = create_partner()
    job = create_installation(partner)
    known = mark_now(session, partner)
    writer = new_session()
    write(writer, job, "before")
    writer.commit()
    until = mark_now(session, partner)
    write(writer, job, "after")
    writer.commit()
    session.rollback()
    told = acts_between(session, known, until)
    assert [act.entries[0].action for act in told] == ["before"]
    assert [act.entries[0].action for act in acts_between(session, until, mark_now(session, partner))] == ["after"]


def test_what_no_history_tells_is_noted_once_a_transaction_for_its_own_partner(
    session: Session, create_partner: Create, create_customer: Create, create_installation: Create
) -> None:
    ours, theirs = create_partner(), create_partner()
    customer = create_customer(ours)
    job = create_installation(ours, customer=customer)
    known, elsewhere = mark_now(session, ours), mark_now(session, theirs)

    def noted() -> int:
        session.rollback()
        return session.scalar(select(func.count()).select_from(Change).where(Change.partner_id == ours.id)) or 0

    before = noted()
    with unit_of_work(session):
        session.get_one(Customer, customer.id).name = "Renamed"
        session.flush()
        session.add(ServiceType(partner_id=ours.id, name="Survey"))
    assert noted() == before + 1
    session.rollback()
    assert news(session.connection(), ours.id, known).changed
    assert not news(session.connection(), theirs.id, elsewhere).changed

    # A form saved as it was, and a job, whose history tells.
    with unit_of_work(session):
        session.get_one(Customer, customer.id).name = "Renamed"
        write(session, job, "looked at")
    assert noted() == before + 1
    # What a savepoint took back is noted by who does it again.
    with unit_of_work(session):
        with session.begin_nested() as inner:
            session.get_one(Customer, customer.id).name = "Almost"
            session.flush()
            inner.rollback()
        session.get_one(Customer, customer.id).name = "Really"
    assert noted() == before + 2


def test_numbers_of_another_server_do_not_keep_a_page_busy(
    session: Session, create_partner: Create, create_installation: Create
) -> None:
    """Restored rows may carry numbers of transactions that this server has not come to yet."""
    partner = create_partner()
    job = create_installation(partner)
    page = Page(session, partner)
    entry = record(session, SYSTEM, datetime.now(UTC), "restored", job)
    session.expunge(entry)
    entry.written_in = 2**40
    save(session, entry)
    known = mark_now(session, partner)
    session.rollback()
    assert not news(session.connection(), partner.id, known).changed
    page.ask()
    assert not page.ask()


@pytest.mark.parametrize(
    "text", ["", "1", "1.", "-1.2", "1.2.x", "1.²", f"1.{2**63}", "1" * 30 + ".1", ".".join(["1"] * 5000), "1 .2"]
)
def test_what_is_no_mark_is_none(text: str) -> None:
    assert Mark.read(text) is None


def test_only_postgresql_can_say_that_nothing_at_all_was_written(
    session: Session, engine: Engine, create_partner: Create, create_user: Create
) -> None:
    """Whoever wrote it, for whom, and whether pages are told."""
    partner = create_partner()

    def is_still(mark: Mark) -> bool:
        with engine.connect() as connection:
            return is_untouched(connection, mark)

    def mark() -> Mark:
        with engine.connect() as connection:
            return news(connection, partner.id, Mark(0, 0)).mark

    # Others of the server's databases count as well: until one moment in which none of them writes.
    assert engine.dialect.name != "postgresql" or any(is_still(mark()) for _ in range(500))
    for write in (create_user, create_partner):
        before = mark()
        write()
        assert not is_still(before)
    assert engine.dialect.name == "postgresql" or not is_still(mark())
