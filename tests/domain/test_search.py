"""Whom a few letters mean, the same on both databases (P2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from portal.domain.people.models import Address, Customer, Partner
from portal.domain.people.search import CANDIDATES, INDEXES, find_customers
from portal.domain.tenancy import Scope
from portal.domain.unit_of_work import unit_of_work
from tests.factories import Create

pytestmark = pytest.mark.row("P2")
POSTGRESQL = "postgresql"


@pytest.fixture
def partner(create_partner: Create) -> Partner:
    partner: Partner = create_partner(name="Acme")
    return partner


@pytest.fixture
def reading(partner: Partner, new_session: Callable[..., Session]) -> Session:
    return new_session(Scope(frozenset({partner.id})))


@pytest.fixture
def find(reading: Session) -> Callable[..., list[str]]:
    def names(text: str, **values: Any) -> list[str]:
        reading.rollback()
        found = [choice.name for choice in find_customers(reading, text, **values)]
        if reading.get_bind().dialect.name == POSTGRESQL:
            # Without the indexes it reads more and finds the same.
            for index in INDEXES:
                reading.connection().exec_driver_sql(f"DROP INDEX IF EXISTS {index}")
            assert [choice.name for choice in find_customers(reading, text, **values)] == found
            reading.rollback()
        return found

    return names


def test_who_begins_so_comes_first_then_who_is_called_so_then_who_lives_there(
    partner: Partner, create_customer: Create, find: Callable[..., list[str]]
) -> None:
    for name, email, address in (
        ("Zoe Martin", "zoe@mail.example", "1 Elm Row"),
        ("Abel Kent", "abel@mail.example", "2 Martin Street"),
        ("martina Quist", "m.q@mail.example", "3 Oak Row"),
        ("Martin Ash", "ash@mail.example", "4 Oak Row"),
        ("Cleo Moss", "cleo.martin@mail.example", "5 Oak Row"),
        ("Nobody Else", "nobody@mail.example", "6 Oak Row"),
    ):
        create_customer(partner, name=name, email=email, address=address)
    assert find("martin") == ["Martin Ash", "martina Quist", "Cleo Moss", "Zoe Martin", "Abel Kent"]
    assert find("  MARTIN ") == find("martin")
    assert find("martin", limit=3) == ["Martin Ash", "martina Quist", "Cleo Moss"]
    # Words in any order, some of them in the address.
    assert find("martin zoe") == ["Zoe Martin"]
    assert find("row martin") == ["Cleo Moss", "Martin Ash", "martina Quist", "Zoe Martin"]
    assert find("martin as") == ["Martin Ash"]
    assert find("bs6 oak quist") == ["martina Quist"]
    assert find("martin xyzzy") == []
    assert find("") == sorted(find(""), key=str.casefold)
    assert len(find("")) == 6


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("%", ["100% Solar", "_under\\score/"]),
        ("_", ["_under\\score/"]),
        ("\\", ["_under\\score/"]),
        ("/", ["_under\\score/"]),
        ("100%", ["100% Solar"]),
        ("r\\s", ["_under\\score/"]),
        ("_un", ["_under\\score/"]),
        ("00% sol", ["100% Solar"]),
        ("1%", []),
        ("s_lar", []),
        ("MÜLLER", ["Ömer Müller"]),
        ("ömer", ["Ömer Müller"]),
        ("ü", ["Ömer Müller"]),
        ("straße", ["Ömer Müller"]),
        ("muller", []),
        ("s", ["_under\\score/", "100% Solar", "Ömer Müller"]),
        ("so", ["100% Solar"]),
        ("la", ["100% Solar"]),
        ("l o", ["100% Solar", "_under\\score/", "Ömer Müller"]),
        ("müller" + "r" * 500, []),
        ("solar " * 100, ["100% Solar"]),
        ("100% " + "x" * 500, []),
        ("' OR 1=1 --", []),
    ],
)
def test_whatever_is_typed_means_itself(
    partner: Partner, create_customer: Create, find: Callable[..., list[str]], typed: str, found: list[str]
) -> None:
    create_customer(partner, name="100% Solar", email="hello@pv.example", address="1 Elm Row")
    create_customer(partner, name="_under\\score/", email="a@b.example", address="50% Row")
    create_customer(partner, name="Ömer Müller", email="oe@b.example", address="Gruene Straße 4")
    assert sorted(find(typed)) == sorted(found)


def test_only_active_customers_of_the_partner_are_found_once_for_each_address_in_use(
    session: Session,
    partner: Partner,
    reading: Session,
    create_partner: Create,
    create_customer: Create,
    find: Callable[..., list[str]],
) -> None:
    own = create_customer(partner, name="Priya Raman", email="p@mail.example", address="1 Raman Road")
    create_customer(partner, name="Old Raman", active=False)
    create_customer(create_partner(name="Zenith"), name="Foreign Raman", address="2 Raman Road")
    with unit_of_work(session):
        place = {"partner_id": partner.id, "customer_id": own.id, "city": "Bath", "postcode": "BA1 1AA"}
        session.add(Address(line="7 Quay", **place))
        session.add(Address(line="8 Raman Quay", active=False, **place))
    for typed in ("raman", "riya", "ra", "road", "p@mail", "raman road", "quay raman"):
        assert set(find(typed)) == {"Priya Raman"}, typed
    places = [choice.address for choice in find_customers(reading, "raman")]
    assert places == ["1 Raman Road, Bristol BS6 5QT", "7 Quay, Bath BA1 1AA"]


def test_of_very_many_some_are_put_in_order(
    session: Session, partner: Partner, create_customer: Create, find: Callable[..., list[str]]
) -> None:
    with unit_of_work(session):
        people = [
            Customer(partner_id=partner.id, name=f"Customer {number} Zimmer") for number in range(CANDIDATES + 20)
        ]
        session.add_all(people)
        session.flush()
        session.add_all(Address(partner_id=partner.id, customer_id=one.id, line="1 Elm Row") for one in people)
    create_customer(partner, name="Zimmerman")
    found = find("zimmer")
    assert len(found) == 10
    assert found[0] == "Zimmerman"
    assert found[1:] == sorted(found[1:])
    assert len(find("elm")) == 10


def test_the_indexes_are_of_what_is_asked_for(
    engine: Engine, reading: Session, partner: Partner, create_customer: Create
) -> None:
    """An index of another spelling would lie there unused."""
    if engine.dialect.name != POSTGRESQL:
        return
    create_customer(partner, name="Priya Raman")
    connection = reading.connection()
    there = set(connection.exec_driver_sql("SELECT indexname FROM pg_indexes").scalars()) & INDEXES
    asked: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        asked.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        find_customers(reading, "rama")
    finally:
        event.remove(engine, "before_cursor_execute", note)
    # So many that nobody reads them all.
    for table in (Customer.__table__, Address.__table__):
        names = [column.name for column in table.columns if column.name != "id"]
        copied = ", ".join("'Customer ' || n" if name == "name" else name for name in names)
        source = f"SELECT {copied} FROM {table.name}, generate_series(1, 5000) n"
        connection.exec_driver_sql(f"INSERT INTO {table.name} ({', '.join(names)}) {source}")
        connection.exec_driver_sql(f"ANALYZE {table.name}")
    plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {asked[0][0]}", asked[0][1]).scalars())
    reading.rollback()
    assert [index for index in sorted(there) if index not in plan] == [], plan
