"""What a customer's move reads and writes past the session: the same rows, within the same bounds (M5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, select
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError
from sqlalchemy.pool import NullPool

from portal.domain.actor import SYSTEM, Actor
from portal.domain.database import POSTGRESQL
from portal.domain.errors import Conflict, NotFound, Refused
from portal.domain.jobs import counts, services, taking
from portal.domain.jobs.history import entry_of
from portal.domain.jobs.models import Appointment, HistoryEntry, Job
from portal.domain.jobs.states import INSTALLATION
from portal.domain.people.models import Partner
from portal.domain.prepared import Copies, Prepared, read, write
from portal.domain.requests.models import ChangeRequest, Wish
from portal.domain.requests.services import request_change
from portal.domain.scheduling.models import ControlOverride
from portal.domain.scheduling.queries import rules_over
from portal.domain.tenancy import ScopeError, set_scope
from portal.domain.unit_of_work import unit_of_work
from tests.domain.office import DAY, HOUR, NOW, Office

pytestmark = pytest.mark.row("M5")
START = NOW + 3 * DAY


def columns_of(row: Any) -> dict[str, Any]:
    """Every column of a row that is read along with it."""
    return {one.key: getattr(row, one.key) for one in inspect(type(row)).column_attrs if not one.deferred}


def in_turn(office: Office, actor: Any, act: Callable[[Session], Any]) -> Any:
    """What somebody does in a unit of work."""
    with office.sessions() as session:
        set_scope(session, actor.scope)
        with unit_of_work(session):
            return act(session)


def test_what_is_held_is_what_a_session_reads(office: Office) -> None:
    job_id = office.schedule(0, START)
    job = office.job(job_id)
    own = {"service_type_id": job.service_type_id}, {"customer_id": job.customer_id}, {"job_id": job.id}
    for index, owner in enumerate(own):
        office.add(ControlOverride(**owner, max_moves=index + 4, notice_hours=None if index else 1))
    office.add(
        Appointment(
            customer_id=job.customer_id,
            job_id=job.id,
            status="CANCELLED",
            start_at=START - DAY,
            end_at=START - DAY + HOUR,
            window_minutes=60,
            planned_at=NOW,
        )
    )
    visit_id = office.visit(job_id).id

    def compare(session: Session) -> None:
        held = taking.hold(session, office.people.customers[0], visit_id)
        assert columns_of(held.job) == columns_of(session.get_one(Job, job_id))
        query = select(Appointment).where(Appointment.job_id == job_id).order_by(Appointment.start_at)
        assert [columns_of(one) for one in held.visits] == [columns_of(one) for one in session.scalars(query)]
        assert len(held.visits) == 2
        assert held.visit.id == visit_id
        assert any(held.visit is one for one in held.visits)
        rules = rules_over(session, [job_id])[job_id]
        assert (held.rules.controls, held.rules.zone) == (rules.controls, rules.zone)
        assert (rules.controls.max_moves, rules.controls.notice_hours) == (6, 1)
        assert not held.has_wishes
        assert not session.dirty

    in_turn(office, office.people.customers[0], compare)


def test_a_move_changes_what_it_says_and_nothing_else(office: Office) -> None:
    job_id = office.schedule(0, START)
    visit, job, told = columns_of(office.visit(job_id)), columns_of(office.job(job_id)), len(office.history(job_id))
    office.do(office.people.customers[0], services.move_by_customer, visit["id"], START + HOUR)
    new_visit, new_job = columns_of(office.visit(job_id)), columns_of(office.job(job_id))
    assert {name: value for name, value in new_visit.items() if value != visit[name]} == {
        "start_at": START + HOUR,
        "end_at": visit["end_at"] + HOUR,
        "confirmed_at": NOW,
        "confirmed_by": "customer",
        "customer_moves": 1,
        "move_number": visit["move_number"] + 1,
        "occurrence": visit["occurrence"] + 1,
        "version": visit["version"] + 1,
    }
    assert {name: value for name, value in new_job.items() if value != job[name]} == {
        "start_at": START + HOUR,
        "end_at": job["end_at"] + HOUR,
        "version": job["version"] + 1,
    }
    entry = office.history(job_id)[told]
    assert (entry.action, entry.subject, entry.actor_role) == ("reschedule", "visit", "customer")
    assert entry.after["start"] == (START + HOUR).isoformat()
    # Whatever asks what is new since a mark goes by it.
    assert (entry.written_in is not None) == (office.engine.dialect.name == POSTGRESQL)


@pytest.mark.row("P7")
def test_a_job_that_gets_somebody_by_it_is_counted_so(office: Office) -> None:
    job_id = office.schedule(None, START)

    def unassigned() -> int:
        return sum(counts.counts_of(office.looking, office.people.partner_id, INSTALLATION.name).unassigned.values())

    before = unassigned()
    office.do(office.people.customers[0], services.move_by_customer, office.visit(job_id).id, START + HOUR)
    assert office.job(job_id).technician_id is not None
    assert unassigned() == before - 1


@pytest.mark.row("C6")
def test_a_wish_lapses_with_it(office: Office) -> None:
    job_id = office.schedule(0, START)
    customer, visit_id = office.people.customers[0], office.visit(job_id).id
    office.controls(self_service=False)
    in_turn(office, customer, lambda session: request_change(session, customer, NOW, visit_id, Wish.MOVE, "Later"))
    office.controls(self_service=True)
    assert in_turn(office, customer, lambda session: taking.hold(session, customer, visit_id).has_wishes)
    office.do(customer, services.move_by_customer, visit_id, START + HOUR)
    (wish,) = office.looking.scalars(select(ChangeRequest).where(ChangeRequest.job_id == job_id))
    assert wish.status == "LAPSED"
    assert not in_turn(office, customer, lambda session: taking.hold(session, customer, visit_id).has_wishes)


@pytest.mark.row("C7")
def test_nobody_holds_what_is_not_theirs(office: Office, neighbour: Office) -> None:
    visit_id = office.visit(office.schedule(0, START)).id
    before = office.snapshot()
    strangers = (neighbour.people.customers[0], office.people.customers[1])
    for stranger in strangers:
        with pytest.raises(NotFound):
            office.do(stranger, services.move_by_customer, visit_id, START + HOUR)
    for number in (0, -1, 2**63, 2**80):
        with pytest.raises(NotFound):
            office.do(office.people.customers[0], services.move_by_customer, number, START + HOUR)
    with pytest.raises(Refused, match="not yours"):
        office.do(office.people.dispatcher, services.move_by_customer, visit_id, START + HOUR)
    dispatcher = office.people.dispatcher
    with pytest.raises(ScopeError):
        in_turn(office, dispatcher, lambda session: taking.hold(session, dispatcher, visit_id))
    assert office.snapshot() == before
    # A session across partners is held to whoever acts in it.
    with office.sessions() as session:
        set_scope(session, SYSTEM.scope)
        for stranger in strangers:
            with pytest.raises(NotFound), unit_of_work(session):
                services.move_by_customer(session, stranger, NOW, visit_id, START + HOUR)
        with unit_of_work(session):
            moved = services.move_by_customer(session, office.people.customers[0], NOW, visit_id, START + HOUR)
        assert moved.id == visit_id


@pytest.mark.row("C7")
def test_nothing_is_locked_for_a_stranger(office: Office, neighbour: Office) -> None:
    visit_id, owner = office.visit(office.schedule(0, START)).id, office.people.customers[0]

    def found(actor: Actor, partners: Iterable[int]) -> list[int]:
        given = {"visit_id": visit_id, "partners": list(partners), "customers": list(actor.customer_ids or ())}
        with office.engine.connect() as connection:
            queries = (taking.job_of, taking.takers_of)
            return [len(Prepared(query).rows(connection, given)) for query in queries]

    assert found(owner, owner.partner_ids) == [1, 1]
    assert found(owner, neighbour.people.customers[0].partner_ids) == [0, 0]
    for stranger in (neighbour.people.customers[0], office.people.customers[1]):
        assert found(stranger, owner.partner_ids | stranger.partner_ids) == [0, 0]


@pytest.mark.row("C7", "P20")
def test_what_is_held_is_written_within_the_sessions_bounds(office: Office, neighbour: Office) -> None:
    job_id = office.schedule(0, START)
    visit_id = office.visit(job_id).id
    before, customer = office.snapshot(), office.people.customers[0]
    held = in_turn(office, customer, lambda session: taking.hold(session, customer, visit_id))
    held.visit.start_at += HOUR
    for other in (neighbour.people.customers[0], office.people.customers[1]):
        with pytest.raises(ScopeError):
            in_turn(office, other, lambda session: held.write(session, HistoryEntry(), ""))
    office.change(office.looking.get_one(Partner, office.people.partner_id), suspended_at=NOW)
    with pytest.raises(Refused, match="suspended"):
        office.do(office.people.customers[0], services.move_by_customer, visit_id, START + HOUR)
    assert office.snapshot() == before


def test_the_databases_own_guard_is_told_in_words(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    visit_id = office.visit(office.schedule(0, START)).id
    office.schedule(0, START + 2 * HOUR, customer=1)
    before = office.snapshot()
    # As if the look before had come too early.
    monkeypatch.setattr(services, "_take_free_time", _as_if_free(services._take_free_time))
    with pytest.raises(Conflict) as stopped:
        office.do(office.people.customers[0], services.move_by_customer, visit_id, START + 2 * HOUR)
    assert stopped.value.refusal.code == "booked"
    assert office.people.technicians[0].name in str(stopped.value.refusal.sentence)
    assert office.snapshot() == before


def _as_if_free(look: Callable[..., Any]) -> Callable[..., Any]:
    def free(*args: Any) -> Any:
        return look(*args[:-1], args[-1] + 4 * HOUR)

    return free


def test_what_is_not_as_it_was_under_the_lock_is_not_written(office: Office) -> None:
    job_id = office.schedule(0, START)
    visit_id, customer = office.visit(job_id).id, office.people.customers[0]
    held = in_turn(office, customer, lambda session: taking.hold(session, customer, visit_id))
    office.do(customer, services.move_by_customer, visit_id, START + HOUR)
    before = office.snapshot()
    held.visit.start_at = START + 2 * HOUR
    entry = entry_of(customer, NOW, "reschedule", held.job, held.visit)
    with pytest.raises(StaleDataError):
        in_turn(office, customer, lambda session: held.write(session, entry, ""))
    assert office.snapshot() == before


def test_errors_are_sqlalchemys_and_a_lost_connection_is_given_up(office: Office) -> None:
    known = Prepared(lambda dialect: select(Job.id).where(Job.id == 0))
    again = Copies(HistoryEntry)
    entry = office.history(office.schedule(0, START))[0]
    row = columns_of(entry)
    with pytest.raises(IntegrityError):
        in_turn(
            office,
            office.people.dispatcher,
            lambda session: write(
                session.connection(), again.insert(HistoryEntry(**row)), again.insert(HistoryEntry(**row))
            ),
        )
    if office.engine.dialect.name != POSTGRESQL:
        return
    other = create_engine(office.engine.url, poolclass=NullPool)

    def ask_when_cut_off(session: Session) -> None:
        with unit_of_work(session):
            pid = session.connection().exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            with other.connect() as connection:
                connection.exec_driver_sql(f"SELECT pg_terminate_backend({pid}, 60000)")
            read(session.connection(), {}, known, known)

    with office.sessions() as session:
        set_scope(session, office.people.dispatcher.scope)
        with pytest.raises(DBAPIError) as lost:
            ask_when_cut_off(session)
        assert lost.value.connection_invalidated
        with unit_of_work(session):
            assert known.rows(session.connection(), {}) == []
