"""Customers and technicians in the admin (P16)."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy import Engine, event, select
from sqlalchemy.orm import Session

from portal.domain.people.models import Address, Customer, Technician
from portal.domain.unit_of_work import unit_of_work
from tests.helpers import Site

Create = Any


@pytest.fixture
def partner(create_partner: Create) -> Any:
    return create_partner(name="Brightwell")


@pytest.fixture
def office(site: Site, partner: Any, create_staff: Create) -> Site:
    """A dispatcher of ``partner``, signed in."""
    site.sign_in(create_staff(partner))
    return site


@pytest.mark.row("P16")
def test_a_customer_is_added_with_an_address(office: Site, session: Session) -> None:
    office.get("/admin/customers/")
    office.get("/admin/customers/new/")
    answer = office.submit(
        {
            "name": " Priya Raman ",
            "email": "P.Raman@Mail.example",
            "phone": "0117 496 0123",
            "addresses-0-line": "14 Alder Close",
            "addresses-0-city": "Bristol",
            "addresses-0-postcode": "BS6 5QT",
            "access_notes": "Gate code 4711 🚪",
        },
        button="Add customer",
    )
    assert answer.status_code == 200
    assert "Priya Raman is added." in office.text
    assert "14 Alder Close, Bristol BS6 5QT" in office.text
    customer = session.scalars(select(Customer)).one()
    assert (customer.name, customer.email, customer.phone) == (
        "Priya Raman",
        "p.raman@mail.example",
        "+44 117 496 0123",
    )


@pytest.mark.row("P16")
def test_what_is_wrong_with_a_customer_is_said_at_the_field_and_kept(office: Site, session: Session) -> None:
    office.get("/admin/customers/new/")
    answer = office.submit(
        {
            "name": "  ",
            "email": "nobody@",
            "phone": "twelve",
            "addresses-0-city": "Bristol",
            "access_notes": "x" * 2001,
        },
        button="Add customer",
    )
    page = office.page
    assert answer.status_code == 422
    assert page.title is not None
    assert page.title.text.startswith("Error:")
    said = {str(one["href"]): one.text for one in page.select(".error-summary a")}
    assert said == {
        "#name": "Enter a name",
        "#email": "Enter an email address such as name@example.com",
        "#phone": "Enter a telephone number such as +44 117 496 0123",
        "#addresses-0-line": "Enter street and number",
        "#access_notes": "Use 2000 characters or fewer.",
    }
    for link in said:
        field = page.select_one(link)
        assert field is not None
        assert field["aria-invalid"] == "true"
        assert page.select_one(f"#{field['aria-describedby']}".split()[0]) is not None
    assert page.select_one("[name=phone]")["value"] == "twelve"  # type: ignore[index]
    assert session.scalars(select(Customer)).all() == []


@pytest.mark.row("P16")
@pytest.mark.parametrize("field", ["name", "email", "phone", "addresses-0-line", "addresses-0-city", "access_notes"])
@pytest.mark.parametrize("text", ["x" * 10_000, "🏠" * 2_500])
def test_long_texts_are_refused_at_the_field(office: Site, session: Session, field: str, text: str) -> None:
    office.get("/admin/customers/new/")
    values = {"name": "Priya", "addresses-0-line": "14 Alder Close"}
    assert office.submit({**values, field: text}, button="Add customer").status_code == 422
    assert [str(one["href"]) for one in office.page.select(".error-summary a")] == [f"#{field}"]
    assert session.scalars(select(Customer)).all() == []


def test_a_nul_is_refused_and_nothing_saved(office: Site, session: Session) -> None:
    answer = office.post("/admin/customers/new/", {"name": "Pri\0ya", "addresses-0-line": "14 Alder Close"})
    assert answer.status_code == 400
    assert session.scalars(select(Customer)).all() == []


@pytest.mark.row("P16")
def test_addresses_are_added_line_by_line_without_javascript(
    office: Site, session: Session, partner: Any, create_customer: Create
) -> None:
    customer = create_customer(partner, name="Priya Raman")
    office.get("/admin/customers/edit/", query_string={"id": customer.id})
    office.submit({"name": "Priya R. Raman"}, button="Add another address")
    assert office.page.select_one("[name=name]")["value"] == "Priya R. Raman"  # type: ignore[index]
    office.submit({"addresses-1-line": "2 Narrow Quay", "addresses-1-postcode": "BS1 4QA"}, button="Save")
    assert "Priya R. Raman is saved." in office.text
    lines = session.scalars(select(Address.line).order_by(Address.id)).all()
    assert lines == ["14 Alder Close", "2 Narrow Quay"]


@pytest.mark.row("P16")
def test_a_blank_address_that_was_added_is_left_out(
    office: Site, session: Session, partner: Any, create_customer: Create
) -> None:
    customer = create_customer(partner)
    office.get("/admin/customers/edit/", query_string={"id": customer.id})
    office.submit(button="Add another address")
    assert office.submit(button="Save").status_code == 200
    assert len(session.scalars(select(Address)).all()) == 1


def test_a_form_from_before_anothers_change_is_not_saved_over_it(
    app: Flask, office: Site, session: Session, partner: Any, create_staff: Create, create_customer: Create
) -> None:
    customer = create_customer(partner, name="Priya Raman", access_notes="Ring twice")
    office.get("/admin/customers/edit/", query_string={"id": customer.id})
    colleague = Site(app.test_client())
    colleague.sign_in(create_staff(partner))
    colleague.get("/admin/customers/edit/", query_string={"id": customer.id})
    # A change of an address alone counts too: it is the same form.
    colleague.submit({"addresses-0-line": "15 Alder Close"}, button="Save")

    answer = office.submit({"access_notes": "Ring once"}, button="Save")
    assert answer.status_code == 409
    assert "somebody else changed this while your form was open" in office.text
    rows = {row.th.text: [cell.text for cell in row.select("td")] for row in office.page.select(".conflict tbody tr")}
    assert rows == {
        "Service addresses": ["14 Alder Close, Bristol, BS6 5QT", "15 Alder Close, Bristol, BS6 5QT"],
        "Access notes": ["Ring once", "Ring twice"],
    }
    session.rollback()
    assert session.get_one(Customer, customer.id).access_notes == "Ring twice"

    assert office.submit(button="Save").status_code == 200
    session.rollback()
    assert session.get_one(Customer, customer.id).access_notes == "Ring once"
    assert session.scalars(select(Address.line)).all() == ["14 Alder Close"]


@pytest.mark.parametrize("version", ["", "0", "abc", "999", "9" * 30])
def test_a_version_made_up_by_hand_saves_nothing(
    office: Site, session: Session, partner: Any, create_technician: Create, version: str
) -> None:
    technician = create_technician(partner, name="Ines")
    values = {"name": "Changed", "email": "", "phone": "", "status": "AVAILABLE", "version": version}
    answer = office.post(f"/admin/technicians/edit/?id={technician.id}", values)
    assert answer.status_code in {409, 422}
    session.rollback()
    assert session.get_one(Technician, technician.id).name == "Ines"


@pytest.mark.row("P16")
def test_a_customer_is_deactivated_and_comes_back(
    office: Site, session: Session, partner: Any, create_customer: Create
) -> None:
    customer = create_customer(partner, name="Priya Raman")
    office.get("/admin/customers/edit/", query_string={"id": customer.id})
    office.submit(button="Deactivate Priya Raman")
    assert "Priya Raman is deactivated." in office.text
    assert office.page.select("tbody tr") == []
    assert office.client.get("/admin/api/customers?q=priya").get_json() == []
    office.get("/admin/customers/?active=no")
    assert "Schedule installation" not in office.text
    office.get("/admin/customers/edit/", query_string={"id": customer.id})
    office.submit(button="Reactivate Priya Raman")
    assert len(office.client.get("/admin/api/customers?q=priya").get_json()) == 1


@pytest.mark.row("P16")
def test_a_technician_is_added_set_unavailable_and_deactivated(office: Site, session: Session) -> None:
    office.get("/admin/technicians/new/")
    office.submit({"name": "Ines Kowalski", "phone": "07700 900123"}, button="Add technician")
    technician = session.scalars(select(Technician)).one()
    assert (technician.status, technician.phone) == ("AVAILABLE", "+44 7700 900123")
    office.get("/admin/technicians/edit/", query_string={"id": technician.id})
    office.submit({"status": "UNAVAILABLE"}, button="Save")
    assert "Unavailable" in office.text
    assert office.client.get("/admin/api/technicians?q=ines").get_json() == []
    office.get("/admin/technicians/edit/", query_string={"id": technician.id})
    office.submit(button="Deactivate Ines Kowalski")
    session.rollback()
    assert session.get_one(Technician, technician.id, populate_existing=True).active is False


def test_a_status_that_does_not_exist_is_refused(office: Site, session: Session) -> None:
    answer = office.post("/admin/technicians/new/", {"name": "Ines", "status": "ON_THE_MOON"})
    assert answer.status_code == 422
    assert session.scalars(select(Technician)).all() == []


@pytest.mark.row("P2")
def test_the_type_ahead_finds_by_name_mail_and_address_in_any_case(
    office: Site, partner: Any, session: Session, create_customer: Create
) -> None:
    for name, mail, line in (
        ("Åse Österlund", "ase@mail.example", "14 Alder Close"),
        ("Priya 100% Raman", "p_raman@mail.example", "2 Narrow Quay"),
        ("Old Customer", "old@mail.example", "14 Alder Close"),
    ):
        create_customer(partner, name=name, email=mail, address=line, active=name != "Old Customer")

    def found(text: str) -> list[str]:
        return [one["name"] for one in office.client.get("/admin/api/customers", query_string={"q": text}).get_json()]

    both = ["Priya 100% Raman", "Åse Österlund"]
    assert found("österLUND") == found("ÅSE") == found("alder close") == found("14 åse") == ["Åse Österlund"]
    assert found("100%") == found("P_RAMAN") == found("quay raman") == ["Priya 100% Raman"]
    assert found("%%") == found("_____") == found("åse quay") == found("x" * 5000) == []
    assert sorted(found("")) == sorted(found("mail.example")) == both
    only = office.client.get("/admin/api/customers?q=narrow").get_json()[0]
    address = session.scalars(select(Address).where(Address.line == "2 Narrow Quay")).one()
    assert only == {
        "value": f"{address.customer_id}:{address.id}",
        "name": "Priya 100% Raman",
        "email": "p_raman@mail.example",
        "address": "2 Narrow Quay, Bristol BS6 5QT",
    }


@pytest.mark.row("P2")
def test_the_type_ahead_offers_each_address_of_a_customer(
    office: Site, partner: Any, session: Session, create_customer: Create
) -> None:
    customer = create_customer(partner, name="Priya Raman", address="14 Alder Close")
    with unit_of_work(session):
        session.add(Address(partner_id=partner.id, customer_id=customer.id, line="2 Narrow Quay"))
    found = office.client.get("/admin/api/customers?q=priya").get_json()
    assert [one["address"] for one in found] == ["14 Alder Close, Bristol BS6 5QT", "2 Narrow Quay"]


@pytest.mark.row("P5")
def test_the_type_ahead_says_who_is_free(
    office: Site, partner: Any, create_technician: Create, create_installation: Create
) -> None:
    busy, free = create_technician(partner, name="Ada Busy"), create_technician(partner, name="Ben Free")
    create_technician(partner, name="Cid Away", status="UNAVAILABLE")
    create_technician(partner, name="Dan Gone", active=False)
    # A Wednesday in winter, when clocks in Bristol show UTC.
    create_installation(partner, technician=busy, start=datetime(2031, 1, 8, 10, tzinfo=UTC))
    query = {"q": "", "start": "2031-01-08T11:00", "minutes": "60"}
    found = office.client.get("/admin/api/technicians", query_string=query).get_json()
    assert found == [
        {"value": busy.id, "name": "Ada Busy", "note": "Ada Busy is booked at that time."},
        {"value": free.id, "name": "Ben Free", "note": "Free then"},
    ]
    for nonsense in (
        {"start": "2031-02-31T09:00", "minutes": "60"},
        {"start": "2031-03-30T01:30", "minutes": "60"},
        {"start": "9999-12-31T23:59", "minutes": "1440"},
        {"start": "0001-01-01T00:00+14:00", "minutes": "60"},
        {"start": "tomorrow", "minutes": "-5"},
        {"start": "2031-01-08T11:00", "minutes": "9" * 30},
    ):
        answer = office.client.get("/admin/api/technicians", query_string={"q": "", **nonsense})
        assert answer.status_code == 200, nonsense
        assert [one["name"] for one in answer.get_json()] == ["Ada Busy", "Ben Free"]


@pytest.mark.row("P16")
def test_customers_are_found_by_telephone_number(office: Site, partner: Any, create_customer: Create) -> None:
    create_customer(partner, name="Priya Raman", phone="+44 7700 900233")
    create_customer(partner, name="Leah Novak", phone="+44 7700 900999")
    office.get("/admin/customers/", query_string={"q": "07700 900233"})
    assert [one.text for one in office.page.select("tbody .title")] == ["Priya Raman"]


@pytest.mark.row("P16")
def test_lists_page_by_key_in_both_directions(office: Site, partner: Any, session: Session, engine: Engine) -> None:
    with unit_of_work(session):
        # Two of a name, so that the key has to decide.
        session.add_all(Customer(partner_id=partner.id, name=f"Customer {number // 2:02}") for number in range(45))
    seen: list[list[str]] = []
    statements: list[tuple[str, Any]] = []
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append((args[2].lower(), args[3])))
    office.get("/admin/customers/")
    while True:
        seen.append([str(one["href"]) for one in office.page.select("tbody .title")])
        later = office.page.select_one("a[rel=next]")
        if later is None:
            break
        office.get(str(later["href"]))
    keys = [address.rstrip("/").rpartition("/")[2] for page in seen for address in page]
    assert [len(page) for page in seen] == [20, 20, 5]
    assert len(set(keys)) == 45
    for expected in reversed(seen[:-1]):
        earlier = office.page.select_one("a[rel=prev]")
        assert earlier is not None
        office.get(str(earlier["href"]))
        assert [str(one["href"]) for one in office.page.select("tbody .title")] == expected
    assert office.page.select_one("a[rel=prev]") is None
    # The queues of the menu are counted, and nothing else.
    assert not [text for text, _ in statements if "count(" in text and "as queue" not in text]
    # SQLite's dialect writes an OFFSET of nothing behind every LIMIT.
    assert not [text for text, values in statements if "offset" in text and values[-1] != 0]
    assert len(statements) <= 5 * 6


@pytest.mark.row("P16")
def test_the_way_back_from_a_form_keeps_filter_and_page(office: Site, partner: Any, create_customer: Create) -> None:
    create_customer(partner, name="Priya Raman")
    office.get("/admin/customers/", query_string={"q": "raman", "sort": "-name"})
    office.get(str(office.page.select("tbody .do a")[-1]["href"]))
    office.submit(button="Save")
    assert office.url == "/admin/customers/?q=raman&sort=-name"


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example/", "/\\evil.example", "/my/", "javascript:alert(1)"]
)
def test_the_way_back_leads_nowhere_else(office: Site, partner: Any, create_technician: Create, target: str) -> None:
    technician = create_technician(partner)
    url = "/admin/technicians/edit/?" + urlencode({"id": technician.id, "url": target})
    values = {"name": "Ines", "status": "AVAILABLE", "version": technician.version}
    answer = office.post(url, values)
    assert answer.status_code == 302
    assert answer.location == "/admin/technicians/"


@pytest.mark.row("P16")
def test_an_export_is_exactly_what_is_filtered_and_computes_nothing(
    office: Site, partner: Any, session: Session, create_customer: Create
) -> None:
    create_customer(partner, name="=1+1", email="", phone="+44 7700 900233", address="@SUM(A1)")
    create_customer(partner, name="-2 Raman", email="", address="\t=1")
    create_customer(partner, name='Priya "P", Raman', email="", address="14 Alder Close")
    create_customer(partner, name="Leah Novak")
    with unit_of_work(session):
        session.add_all(Customer(partner_id=partner.id, name=f"Many Raman {number}") for number in range(1_100))
    answer = office.client.get("/admin/customers/export/csv/?q=raman")
    text = answer.get_data(as_text=True)
    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=customers-")
    assert text.startswith("\ufeff")
    assert len(rows) == 1 + 1_102
    assert rows[1][0] == "'-2 Raman"
    assert rows[-1][0] == 'Priya "P", Raman'
    assert "Leah" not in text
    all_rows = list(csv.reader(io.StringIO(office.client.get("/admin/customers/export/csv/").get_data(as_text=True))))
    computed = next(row for row in all_rows if row[0] == "'=1+1")
    assert computed[2:4] == ["+44 7700 900233", "'@SUM(A1), Bristol BS6 5QT"]


def test_a_deactivated_technician_is_out_of_the_field_pages_at_once(
    app: Flask, office: Site, partner: Any, create_user: Create, create_technician: Create
) -> None:
    user = create_user()
    technician = create_technician(partner, user)
    phone = Site(app.test_client())
    phone.sign_in(user)
    assert phone.get("/field/").status_code == 200
    office.post(f"/admin/technicians/{technician.id}/deactivate")
    assert phone.client.get("/field/").status_code in {302, 403}
