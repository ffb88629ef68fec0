"""A suspended partner's rows can be read and not written, whatever the use case: the unit of work itself refuses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from portal.domain.errors import Refused
from portal.domain.people.models import Customer, Partner
from portal.domain.tenancy import Scope, system_scope
from portal.domain.unit_of_work import unit_of_work
from tests.factories import Create

pytestmark = pytest.mark.row("P20")


def test_the_unit_of_work_refuses_rows_of_a_suspended_partner(
    session: Session, new_session: Callable[..., Session], create_partner: Create, create_customer: Create
) -> None:
    partners = [create_partner(suspended_at=datetime.now(UTC)), create_partner()]
    suspended, other = (create_customer(partner).id for partner in partners)
    both = frozenset(partner.id for partner in partners)

    def write(scope: Scope, customer_id: int) -> None:
        own = new_session(scope)
        with unit_of_work(own):
            own.scalars(select(Customer).where(Customer.id == customer_id)).one().access_notes = "Changed"

    def write_by_statement(scope: Scope, customer_id: int) -> None:
        own = new_session(scope)
        with unit_of_work(own):
            own.execute(update(Customer).where(Customer.id == customer_id).values(access_notes="Changed"))

    people = frozenset({suspended, other})
    for scope in (Scope(both), Scope(both, people)):
        for way in (write, write_by_statement):
            with pytest.raises(Refused, match="suspended"):
                way(scope, suspended)
        assert new_session(scope).scalars(select(Customer.access_notes).where(Customer.id == suspended)).one() == ""
    write(Scope(both, people), other)
    write(system_scope("system"), other)
    assert session.scalars(select(Customer.access_notes).where(Customer.id == suspended)).one() == ""
    session.rollback()
    for scope in (Scope(both, past_suspension=True), system_scope("operator")):
        write(scope, suspended)
    # and as soon as it is active again
    with unit_of_work(session):
        session.get_one(Partner, partners[0].id).suspended_at = None
    write_by_statement(Scope(both), suspended)
