"""What a request takes: reads without a transaction, writes only in a unit of work, one statement for who asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, g
from sqlalchemy import event, select, update

from portal.domain.errors import NotFound
from portal.domain.people.models import Partner
from portal.domain.people.search import find_customers
from portal.domain.tenancy import set_scope, system_scope
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import db
from portal.web.auth import load_login
from portal.web.partners import current_partner, partner_info

Create = Any


@pytest.fixture
def partner(create_partner: Create) -> Partner:
    partner: Partner = create_partner(name="Acme")
    return partner


@pytest.fixture
def here(app: Flask) -> Iterator[None]:
    """An application context whose session sees everything."""
    with app.app_context():
        set_scope(db.session(), system_scope("system"))
        yield


def test_a_read_opens_no_transaction_on_postgresql_and_a_unit_of_work_does(here: None, partner: Partner) -> None:
    session = db.session()
    apart = session.get_bind().dialect.name == "postgresql"
    session.scalars(select(Partner.name)).all()
    assert (level_of(session) == "AUTOCOMMIT") is apart
    with unit_of_work(session):
        assert level_of(session) is None
        session.get_one(Partner, partner.id).name = "Acme Energy"
    with pytest.raises(ZeroDivisionError):
        spoil(session, partner.id)
    assert session.scalars(select(Partner.name)).all() == ["Acme Energy"]


def level_of(session: Any) -> Any:
    """Return how the session's connection was asked to begin."""
    return session.connection().get_execution_options().get("isolation_level")


def spoil(session: Any, partner_id: int) -> None:
    """Write and fail."""
    with unit_of_work(session):
        session.get_one(Partner, partner_id).name = "Never"
        session.flush()
        raise ZeroDivisionError


def test_nothing_is_written_outside_of_a_unit_of_work(here: None, partner: Partner) -> None:
    session = db.session()
    session.get_one(Partner, partner.id).name = "Other"
    with pytest.raises(RuntimeError):
        session.flush()
    session.rollback()
    with pytest.raises(RuntimeError):
        session.execute(update(Partner).values(name="Other"))
    session.rollback()
    assert session.scalars(select(Partner.name)).all() == ["Acme"]


@pytest.mark.row("C7")
def test_what_came_along_with_the_log_in_is_held_to_the_actors_reach(
    app: Flask, partner: Partner, create_partner: Create, create_staff: Create, create_customer: Create
) -> None:
    other = create_partner(name="Globex")
    dana = create_staff(partner, name="Dana Okafor")
    create_customer(other, user=dana)
    with app.test_request_context("/admin/"):
        g._login_user = load_login(dana.fs_uniquifier)
        assert set(g._login_user.partners) == {partner.id, other.id}
        app.preprocess_request()
        seen: list[str] = []
        event.listen(db.engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
        present = current_partner()
        assert present is not None
        assert (present.name, seen) == ("Acme", [])
        with pytest.raises(NotFound):
            partner_info(other.id)


@pytest.mark.row("P2")
def test_a_word_is_found_within_one_column_and_in_no_two(here: None, partner: Partner, create_customer: Create) -> None:
    create_customer(partner, name="Priya Raman", email="priya@mail.example", address="14 Alder Close")
    found = {
        words: len(find_customers(db.session(), words)) for words in ("RAMAN alder", "ramanpriya", "an priya", "%")
    }
    assert found == {"RAMAN alder": 1, "ramanpriya": 0, "an priya": 1, "%": 0}
