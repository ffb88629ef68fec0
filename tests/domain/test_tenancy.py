"""Tenancy: what a session of one partner reaches, and that no kind of statement reaches more (C7)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import (
    column,
    delete,
    exists,
    func,
    insert,
    literal_column,
    select,
    table,
    text,
    true,
    union_all,
    update,
)
from sqlalchemy.orm import Session, aliased, joinedload, selectinload

from portal.domain.errors import NotFound
from portal.domain.jobs.models import Appointment, HistoryEntry, Job, JobItem
from portal.domain.lookup import find, lock
from portal.domain.people.models import Address, Customer, Partner, Technician, User
from portal.domain.tenancy import NAMES_PARTNER, Scope, ScopeError, scope_of, set_scope, system_scope
from portal.domain.unit_of_work import unit_of_work

Create = Any
Open = Callable[..., Session]

pytestmark = pytest.mark.row("C7")


@pytest.fixture
def ours(create_partner: Create) -> Partner:
    partner: Partner = create_partner(name="Ours")
    return partner


@pytest.fixture
def theirs(create_partner: Create) -> Partner:
    partner: Partner = create_partner(name="Theirs")
    return partner


@pytest.fixture
def our_job(ours: Partner, create_installation: Create) -> Job:
    job: Job = create_installation(ours)
    return job


@pytest.fixture
def their_job(theirs: Partner, create_installation: Create) -> Job:
    job: Job = create_installation(theirs)
    return job


@pytest.fixture
def narrow(new_session: Open, ours: Partner, our_job: Job, their_job: Job) -> Iterator[Session]:
    """A session of ``ours``, where both partners have an installation each."""
    session = new_session(Scope(frozenset({ours.id})))
    yield session
    session.rollback()


# What a read reaches


def test_a_statement_put_together_once_is_held_to_whoever_runs_it(
    new_session: Open, ours: Partner, theirs: Partner, our_job: Job, their_job: Job
) -> None:
    kept = select(Job.id).order_by(Job.id)
    own, other = Scope(frozenset({ours.id})), Scope(frozenset({theirs.id}))
    wanted = [(own, [our_job.id]), (other, [their_job.id]), (system_scope("system"), [our_job.id, their_job.id])]
    for scope, ids in (*wanted, *reversed(wanted)):
        assert list(new_session(scope).scalars(kept)) == ids
    assert list(new_session(Scope()).scalars(kept)) == []


@pytest.mark.parametrize("model", [Partner, Customer, Address, Job, JobItem, Appointment, HistoryEntry])
def test_a_select_returns_rows_of_the_own_partner_only(narrow: Session, ours: Partner, model: Any) -> None:
    rows = narrow.scalars(select(model)).all()
    assert rows
    assert {row.partner_id for row in rows} == {ours.id}


def test_a_select_of_columns_is_scoped(narrow: Session, our_job: Job) -> None:
    assert narrow.execute(select(Job.id, Job.number)).all() == [(our_job.id, our_job.number)]


def test_aliases_joins_and_subqueries_are_scoped(narrow: Session, our_job: Job) -> None:
    other = aliased(Job)
    of_partner = select(Customer.id).where(Customer.id == other.customer_id)
    inner = select(Job.customer_id).subquery()
    assert narrow.scalars(select(other.id)).all() == [our_job.id]
    assert narrow.execute(select(User.id, Job.id).join(Job, Job.id > 0, isouter=True)).all() == []
    assert narrow.scalars(select(Customer.id).join(Job, Job.customer_id == Customer.id)).all() == [our_job.customer_id]
    assert narrow.scalars(select(other.id).where(exists(of_partner))).all() == [our_job.id]
    assert narrow.scalars(select(inner.c.customer_id)).all() == [our_job.customer_id]


def test_unions_are_scoped_in_each_part(narrow: Session, our_job: Job) -> None:
    both = union_all(select(Job.id), select(Appointment.job_id))
    assert narrow.scalars(both).all() == [our_job.id, our_job.id]


def test_a_union_inside_a_select_is_scoped(narrow: Session, our_job: Job) -> None:
    both = union_all(select(Job.id), select(Appointment.job_id)).subquery()
    assert narrow.scalars(select(both.c.id)).all() == [our_job.id, our_job.id]
    parts = select(Job.id).cte()
    assert narrow.scalars(select(parts.c.id)).all() == [our_job.id]


def test_counts_and_sums_are_scoped(narrow: Session) -> None:
    assert narrow.scalars(select(func.count()).select_from(Job)).one() == 1
    assert narrow.scalars(select(func.count(Job.id))).one() == 1
    assert narrow.scalars(select(select(func.count(Job.id)).scalar_subquery())).one() == 1


def test_get_finds_nothing_of_others(narrow: Session, our_job: Job, their_job: Job) -> None:
    assert narrow.get(Job, our_job.id) is not None
    assert narrow.get(Job, their_job.id) is None


def test_relationships_load_within_the_scope(narrow: Session, our_job: Job) -> None:
    jobs = narrow.scalars(
        select(Job).options(joinedload(Job.customer), selectinload(Job.items), selectinload(Job.appointments))
    ).all()
    assert [job.id for job in jobs] == [our_job.id]
    assert len(jobs[0].items) == len(jobs[0].appointments) == 1


def test_a_foreign_key_is_not_found_whether_it_exists_or_not(narrow: Session, their_job: Job) -> None:
    for key in (their_job.id, 999_999, 0, -1, 2**63, 2**80):
        with pytest.raises(NotFound):
            find(narrow, Job, key)
    with unit_of_work(narrow), pytest.raises(NotFound):
        lock(narrow, Job, their_job.id)


def test_a_scope_without_partners_sees_nothing(new_session: Open, our_job: Job) -> None:
    session = new_session(Scope())
    assert session.scalars(select(Job)).all() == []
    assert session.scalars(select(Partner)).all() == []


@pytest.mark.once
def test_a_process_may_begin_with_a_scope_without_partners() -> None:
    code = """if True:
        from sqlalchemy import create_engine, select
        from sqlalchemy.orm import sessionmaker
        from portal.domain import models, tenancy
        engine = create_engine("sqlite://")
        models.Base.metadata.create_all(engine)
        factory = sessionmaker(engine)
        tenancy.enforce(factory)
        for scope in (tenancy.Scope(), tenancy.Scope(frozenset({1}), frozenset()), tenancy.Scope(frozenset({1}))):
            session = factory()
            tenancy.set_scope(session, scope)
            assert session.scalars(select(models.jobs.Job)).all() == []
    """
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_customer_sees_only_their_own(
    new_session: Open, ours: Partner, create_customer: Create, create_installation: Create
) -> None:
    mine, neighbour = create_customer(ours), create_customer(ours)
    job, _other = create_installation(ours, mine), create_installation(ours, neighbour)
    session = new_session(Scope(frozenset({ours.id}), frozenset({mine.id})))
    assert session.scalars(select(Customer.id)).all() == [mine.id]
    assert session.scalars(select(Job.id)).all() == [job.id]
    assert {row.customer_id for row in session.scalars(select(Appointment))} == {mine.id}
    assert {row.customer_id for row in session.scalars(select(Address))} == {mine.id}
    assert {row.customer_id for row in session.scalars(select(HistoryEntry))} == {mine.id}


def test_a_customer_of_nothing_sees_nothing(new_session: Open, ours: Partner, our_job: Job) -> None:
    session = new_session(Scope(frozenset({ours.id}), frozenset()))
    assert session.scalars(select(Job)).all() == []
    assert session.scalars(select(Customer)).all() == []


# What passes by the loader criterion is refused


@pytest.mark.parametrize(
    "statement",
    [
        select(Job.__table__),
        select(Job.__table__.c.id),
        select(func.count()).select_from(Job.__table__),
        select(User.__table__.c.id).join(Job.__table__, Job.__table__.c.id > 0),
        select(User.__table__.c.id).where(exists(select(Job.__table__.c.id))),
        Job.__table__.update().values(title="x"),
        Job.__table__.delete(),
        text("SELECT id FROM jobs"),
        select(Job).from_statement(text("SELECT * FROM jobs")),
        select(Job).from_statement(select(Job.__table__)),
    ],
    ids=str,
)
def test_statements_that_no_scope_can_hold_are_refused(narrow: Session, statement: Any) -> None:
    with pytest.raises(ScopeError):
        narrow.execute(statement)


def test_a_core_table_inside_an_orm_select_is_refused(narrow: Session) -> None:
    jobs = Job.__table__
    hidden = [
        select(User.id, jobs.c.number).join(jobs, jobs.c.id > 0),
        select(Customer.id, jobs.c.number).join(jobs, jobs.c.customer_id > 0),
        select(Customer.id).where(exists(select(jobs.c.id))),
        select(Job.id, jobs.alias().c.number),
        select(Job.id).join(jobs.alias("other"), true()),
        select(Job.id).where(text("1 = 1")),
        select(User.id).where(text("EXISTS (SELECT 1 FROM jobs)")),
        select(table("jobs", column("title"))),
        select(Job.id, literal_column("(SELECT title FROM jobs LIMIT 1)")),
        select(Job.id, aliased(jobs).c.number),
        select(aliased(Job).id, jobs.c.number),
        select(aliased(Job).id).join(jobs, true()),
    ]
    for statement in hidden:
        with pytest.raises(ScopeError):
            narrow.execute(statement)


def test_a_statement_may_say_that_it_names_the_partner(narrow: Session, ours: Partner, our_job: Job) -> None:
    jobs = Job.__table__.c
    found = narrow.execute(select(jobs.id).where(jobs.partner_id == ours.id).execution_options(**NAMES_PARTNER))
    assert found.scalars().all() == [our_job.id]


# Writing


def test_updates_and_deletes_of_many_reach_only_the_own(
    narrow: Session, session: Session, our_job: Job, their_job: Job
) -> None:
    with unit_of_work(narrow):
        narrow.execute(update(Job).values(title="changed"))
        narrow.execute(delete(JobItem))
    assert session.scalars(select(Job.title).order_by(Job.id)).all() == ["changed", their_job.title]
    assert session.scalars(select(JobItem.job_id)).all() == [their_job.id]


def test_a_row_never_changes_its_partner_by_update(narrow: Session, theirs: Partner) -> None:
    for statement in (
        update(Job).values(partner_id=theirs.id),
        update(Job).values({Job.partner_id: theirs.id}),
        update(Job).values({"partner_id": theirs.id}),
    ):
        with pytest.raises(ScopeError):
            narrow.execute(statement)
    with pytest.raises(ScopeError):
        narrow.execute(update(Job), {"partner_id": theirs.id})


def test_updates_by_key_are_refused(narrow: Session, their_job: Job) -> None:
    with pytest.raises(ScopeError):
        narrow.execute(update(Job), [{"id": their_job.id, "title": "x"}])


def test_a_row_never_changes_its_partner_by_flush(
    narrow: Session, ours: Partner, theirs: Partner, create_technician: Create
) -> None:
    key = create_technician(ours).id
    with pytest.raises(ScopeError), unit_of_work(narrow):
        narrow.get_one(Technician, key).partner_id = theirs.id


def test_bulk_inserts_are_refused(narrow: Session, theirs: Partner) -> None:
    rows = [{"partner_id": theirs.id, "name": "Nobody"}]
    with pytest.raises(ScopeError):
        narrow.execute(insert(Technician), rows)
    with pytest.raises(ScopeError):
        narrow.execute(insert(Technician).values(rows))
    with pytest.raises(ScopeError):
        narrow.execute(Technician.__table__.insert(), rows)


def test_legacy_bulk_methods_are_refused(narrow: Session, session: Session, theirs: Partner, their_job: Job) -> None:
    values = {"partner_id": theirs.id, "name": "Nobody"}
    for write in (
        lambda: narrow.bulk_insert_mappings(Technician, [values]),
        lambda: narrow.bulk_update_mappings(Job, [{"id": their_job.id, "title": "x"}]),
        lambda: narrow.bulk_save_objects([Technician(**values)]),
    ):
        with pytest.raises(ScopeError):
            write()
        narrow.rollback()
    assert session.scalars(select(Technician)).all() == []
    assert session.get_one(Job, their_job.id).title == their_job.title


def test_nothing_is_added_for_another_partner(narrow: Session, session: Session, theirs: Partner) -> None:
    with pytest.raises(ScopeError), unit_of_work(narrow):
        narrow.add(Technician(partner_id=theirs.id, name="Nobody"))
    assert session.scalars(select(Technician)).all() == []


def test_a_detached_row_of_another_partner_is_neither_changed_nor_deleted(
    narrow: Session, session: Session, theirs: Partner, create_technician: Create
) -> None:
    technician = create_technician(theirs)
    name = technician.name
    narrow.add(technician)
    technician.name = "Somebody else"
    with pytest.raises(ScopeError):
        narrow.flush()
    narrow.rollback()
    narrow.expunge_all()
    with pytest.raises(ScopeError), unit_of_work(narrow):
        narrow.delete(technician)
    assert session.get_one(Technician, technician.id).name == name


def test_a_customer_writes_nothing_of_a_neighbour(
    new_session: Open, session: Session, ours: Partner, create_customer: Create
) -> None:
    mine, neighbour = create_customer(ours), create_customer(ours)
    narrow = new_session(Scope(frozenset({ours.id}), frozenset({mine.id})))
    with pytest.raises(ScopeError), unit_of_work(narrow):
        narrow.add(Address(partner_id=ours.id, customer_id=neighbour.id, line="1 New Street"))
    assert session.scalars(select(Address.line).where(Address.customer_id == neighbour.id)).all() == ["14 Alder Close"]


# The scope itself


def test_without_a_scope_nothing_of_a_partner_is_read_or_written(engine: Any, our_job: Job, ours: Partner) -> None:
    from portal.extensions import db

    with Session(engine) as bare:
        assert bare.scalars(select(User)).all() == []
    factory = db.session.session_factory
    with factory(bind=engine) as session:
        for statement in (select(Job), select(Job.id), update(Job).values(title="x"), select(Job.__table__)):
            with pytest.raises(ScopeError):
                session.execute(statement)
        session.add(Technician(partner_id=ours.id, name="Nobody"))
        with pytest.raises(ScopeError):
            session.flush()
        session.rollback()


def test_a_session_keeps_its_scope(narrow: Session, ours: Partner, theirs: Partner) -> None:
    narrow.scalars(select(Job)).all()
    with pytest.raises(ScopeError):
        set_scope(narrow, Scope(frozenset({theirs.id})))
    with pytest.raises(ScopeError):
        set_scope(narrow, system_scope("system"))
    set_scope(narrow, Scope(frozenset({ours.id})))
    assert scope_of(narrow) == Scope(frozenset({ours.id}))


def test_rows_of_another_session_are_not_in_this_one(
    new_session: Open, narrow: Session, theirs: Partner, their_job: Job
) -> None:
    other = new_session(Scope(frozenset({theirs.id})))
    assert other.get(Job, their_job.id) is not None
    assert narrow.get(Job, their_job.id) is None


def test_only_named_exceptions_reach_everything(session: Session, our_job: Job, their_job: Job) -> None:
    assert set(session.scalars(select(Job.id))) == {our_job.id, their_job.id}
    assert set(session.scalars(select(Job.__table__.c.id))) == {our_job.id, their_job.id}
    with pytest.raises(ScopeError):
        system_scope("because I say so")


def test_a_scope_of_two_partners_reaches_both_and_no_third(
    new_session: Open,
    ours: Partner,
    theirs: Partner,
    our_job: Job,
    their_job: Job,
    create_partner: Create,
    create_installation: Create,
) -> None:
    create_installation(create_partner(name="A third"))
    session = new_session(Scope(frozenset({ours.id, theirs.id})))
    assert set(session.scalars(select(Job.id))) == {our_job.id, their_job.id}
