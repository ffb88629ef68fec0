"""A customer's page, contacts and addresses, doubles found and merged, through the office's own forms (P23)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, event, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from portal.domain.base import Base, CustomerOwned
from portal.domain.contracts.models import Contract
from portal.domain.errors import Invalid, Refused
from portal.domain.jobs.models import Appointment, HistoryEntry, Job
from portal.domain.jobs.services import Booking, ItemInput, cancel, schedule_installation
from portal.domain.messages.models import Message
from portal.domain.people.duplicates import duplicate_pairs
from portal.domain.people.merging import MergeInput, merge_customers
from portal.domain.people.models import Address, Contact, Customer, CustomerMerge
from portal.domain.unit_of_work import unit_of_work
from tests.factories import Create, save
from tests.helpers import Site
from tests.web.office import NOW, TUESDAY, Office, clock, office

__all__ = ["clock", "office"]

LIST = "/admin/customers/"
PATIENCE = 30

pytestmark = pytest.mark.row("P23")


def page(office: Office, customer: Customer | int) -> str:
    """Open a customer's page and return what it says."""
    key = customer if isinstance(customer, int) else customer.id
    assert office.site.get(f"{LIST}{key}/").status_code == 200
    return office.site.text


def edit(office: Office, customer: Customer, button: str = "Save", **values: Any) -> int:
    """Open a customer's form, fill in ``values`` (double underscores are dashes) and press ``button``."""
    office.site.get(f"{LIST}edit/", query_string={"id": customer.id})
    sent = {name.replace("__", "-"): value for name, value in values.items()}
    return office.site.submit(sent, button=button).status_code


def errors(office: Office) -> dict[str, str]:
    return {str(one["href"]).lstrip("#"): one.text for one in office.site.page.select(".error-summary a")}


def contacts(office: Office, customer: Customer) -> list[tuple[Any, ...]]:
    office.session.rollback()
    query = select(Contact).where(Contact.customer_id == customer.id).order_by(Contact.id)
    rows = office.session.scalars(query, execution_options={"populate_existing": True})
    return [(row.name, row.email, [str(group) for group in row.groups], row.active) for row in rows]


def stored(office: Office, model: Any, key: int) -> Any:
    office.session.rollback()
    return office.session.get(model, key, populate_existing=True)


# Contacts and addresses


def test_contacts_are_added_changed_and_taken_off_the_list(office: Office) -> None:
    priya = office.customer
    edit(office, priya, button="Add a contact")
    given = {"name": "Arjun Raman", "relation": "son", "email": "Arjun@Mail.example", "phone": "0117 496 0123"}
    assert (
        office.site.submit({f"contacts-0-{name}": text for name, text in given.items()}, button="Save").status_code
        == 200
    )
    assert contacts(office, priya) == [("Arjun Raman", "arjun@mail.example", ["visits", "reminders"], True)]
    shown = page(office, priya)
    assert "Arjun Raman son +44 117 496 0123 arjun@mail.example Gets: Bookings and changes, Reminders" in shown

    edit(office, priya, button="Add another contact")
    office.site.submit({"contacts-1-name": "Agent", "contacts-1-email": "agent@mail.example"}, button="Save")
    edit(office, priya, contacts__0__remove="y")
    assert [row[3] for row in contacts(office, priya)] == [False, True]
    assert "Arjun Raman" not in page(office, priya)
    # The one taken off is no longer a line of the form; naming it by hand finds nothing.
    assert edit(office, priya, contacts__0__id=str(contact_key(office, "Arjun Raman"))) == 404


def contact_key(office: Office, name: str) -> int:
    return office.session.scalars(select(Contact.id).where(Contact.name == name)).one()


def test_what_is_wrong_with_a_contact_is_said_at_the_field(office: Office) -> None:
    priya = office.customer
    edit(office, priya, button="Add a contact")
    lines = {
        "contacts-0-name": "x" * 121,
        "contacts-0-relation": "🏠" * 81,
        "contacts-0-email": "PRIYA@mail.example",
        "contacts-0-phone": "twelve",
    }
    assert office.site.submit(lines, button="Save").status_code == 422
    assert errors(office) == {
        "contacts-0-name": "Use 120 characters or fewer.",
        "contacts-0-relation": "Use 80 characters or fewer.",
        "contacts-0-email": "That is the customer's own address",
        "contacts-0-phone": "Enter a telephone number such as +44 117 496 0123",
    }
    office.site.submit(
        {"contacts-0-name": "A", "contacts-0-relation": "", "contacts-0-phone": ""}, button="Add another contact"
    )
    both = {"contacts-0-email": "a@mail.example", "contacts-1-name": "B", "contacts-1-email": "A@mail.example"}
    office.site.submit(both, button="Save")
    assert errors(office) == {"contacts-1-email": "Another contact has that address"}
    office.site.submit({"contacts-1-email": ""}, button="Save")
    nowhere = "Enter an email address or a telephone number, or untick the messages"
    assert errors(office) == {"contacts-1-email": nowhere}
    assert contacts(office, priya) == []


def test_a_customer_of_the_demo_is_saved_with_the_address_they_have(office: Office) -> None:
    edit(office, office.customer, email="customer@acme.test")
    assert stored(office, Customer, office.customer.id).email == "customer@acme.test"


def test_messages_that_reach_nobody_are_pointed_out(office: Office) -> None:
    assert "Nobody gets these messages" not in page(office, office.customer)
    assert edit(office, office.customer, gets_contract=[], gets_arrival=[]) == 200
    assert stored(office, Customer, office.customer.id).gets_contract is False
    assert "Nobody gets these messages: On the way, Contract." in page(office, office.customer)


def test_an_address_in_use_cannot_vanish_but_is_offered_no_more(office: Office) -> None:
    priya, job = office.customer, office.create()
    first = priya.addresses[0]
    blank = {f"addresses__0__{name}": "" for name in ("line", "city", "postcode")}
    assert edit(office, priya, **blank) == 422
    assert edit(office, priya, addresses__0__retired="y") == 422
    assert errors(office) == {"addresses-0-retired": "Use one address at least for new visits"}
    edit(office, priya, button="Add another address")
    office.site.submit({"addresses-1-line": "2 Narrow Quay", "addresses-0-retired": "y"}, button="Save")
    assert "Not for new visits any more" in page(office, priya)
    second = office.session.scalars(select(Address).where(Address.line == "2 Narrow Quay")).one().id

    offered = office.site.client.get("/admin/api/customers?q=priya").get_json()
    assert [one["value"] for one in offered] == [f"{priya.id}:{second}"]
    assert office.job(job).address_id == first.id
    # Its own visit keeps it, another one is not put there.
    office.site.get(office.at(job, "edit"))
    choices = [str(one["value"]) for one in office.site.page.select("select[name=address] option")]
    assert choices == [str(first.id), str(second)]
    office.site.get("/admin/installations/schedule")
    form = {"customer": f"{priya.id}:{first.id}", "date": "2026-11-25", "time": "10:00", "items-0-name": "Pump"}
    office.site.submit(form | {"items-0-quantity": "1", "service_type": str(office.kind.id)}, action="/schedule")
    assert "14 Alder Close, Bristol BS6 5QT is not used for new visits any more." in office.site.text
    assert len(office.jobs()) == 1


# The pages


def test_a_customers_page_shows_everything_in_pages(
    office: Office, statements: list[str], create_customer: Create
) -> None:
    for day in range(12):
        office.create(start=TUESDAY + timedelta(days=day))
    other = office.create(customer=create_customer(office.partner, name="Leah Novak"))
    edit(office, office.customer, access_notes="Ring twice")
    statements.clear()
    shown = page(office, office.customer)
    assert len(statements) <= 16
    assert "Ring twice" in shown
    assert other.number not in shown
    links = [str(one["href"]) for one in office.site.page.select("#jobs tbody a")]
    newest = sorted(office.jobs(), key=lambda job: -job.id)[1:11]
    assert links == [office.at(job) for job in newest]
    office.site.get(str(office.site.page.select_one("#jobs a[rel=next]")["href"]))  # type: ignore[index]
    assert len(office.site.page.select("#jobs tbody tr")) == 2
    assert len(office.site.page.select("#messages tbody tr")) == 10
    office.site.get(str(office.site.page.select_one("#jobs a[rel=prev]")["href"]))  # type: ignore[index]
    assert [str(one["href"]) for one in office.site.page.select("#jobs tbody a")] == links
    assert office.site.get(f"{LIST}{office.customer.id}/?jobs-after=[x]&messages-before=%00").status_code in {200, 400}
    office.site.get(f"{LIST}{office.customer.id}/")
    schedule = office.site.page.select_one(".head .btn-primary")
    office.site.get(str(schedule["href"]))  # type: ignore[index]
    assert "Priya Raman" in office.site.text


def test_a_technicians_page_shows_their_coming_visits(office: Office) -> None:
    mine = office.create(technician=office.ines)
    office.create(technician=office.tomas)
    office.create(technician=office.ines, start=NOW - timedelta(hours=5), now=NOW - timedelta(days=3))
    gone = office.create(technician=office.ines, start=TUESDAY + timedelta(days=1))
    office.do(cancel, gone.id, "Not wanted")
    office.site.get("/admin/technicians/edit/", query_string={"id": office.ines.id})
    rows = office.site.page.select("section[aria-labelledby=coming-h] tbody tr")
    assert [str(row.a["href"]) for row in rows] == [office.at(mine)]  # type: ignore[index]
    assert "Tue 24 Nov, 9:00–11:00" in rows[0].text
    assert "Priya Raman" in rows[0].text


# Doubles


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ({"name": "Somebody Else", "email": "PRIYA@mail.example"}, "same email address"),
        ({"name": "Somebody Else", "phone": "07700 900233"}, "same telephone number"),
        ({"name": "P. Raman", "addresses-0-line": "14, alder close"}, "like name at the same address"),
    ],
)
def test_a_customer_who_is_there_already_is_shown_before_a_second_is_added(
    office: Office, typed: dict[str, str], why: str
) -> None:
    edit(office, office.customer, phone="+44 7700 900233")
    office.site.get(f"{LIST}new/")
    form = {"addresses-0-line": "2 Narrow Quay", "addresses-0-postcode": "BS6 5QT", **typed}
    assert office.site.submit(form, button="Add customer").status_code == 422
    assert errors(office) == {"despite_likeness": "Looks like Priya Raman, 14 Alder Close, Bristol BS6 5QT"}
    notice = office.site.page.select_one(".alike")
    assert notice is not None
    assert why in notice.text
    assert str(notice.a["href"]) == f"{LIST}{office.customer.id}/"  # type: ignore[index]
    assert count(office.session, Customer) == 1
    assert office.site.submit(button="Add all the same").status_code == 200
    assert count(office.session, Customer) == 2


def count(session: Session, model: Any) -> int:
    session.rollback()
    return session.scalars(select(func.count()).select_from(model)).one()


def test_duplicates_are_counted_and_set_aside(office: Office, create_customer: Create, create_partner: Create) -> None:
    twin = create_customer(office.partner, name="Priya Raman", email="other@mail.example")
    create_customer(office.partner, name="Arjun Raman", email="arjun@mail.example")
    # More than five of one number share an office's; another partner's are no business of ours.
    for number in range(6):
        create_customer(
            office.partner, name=f"Flat {number}", phone="+44 117 496 0999", address=f"{number} High Street"
        )
    for _ in range(2):
        create_customer(create_partner(), name="Priya Raman", email="priya@mail.example")
    office.site.get(LIST)
    office.site.get(str(office.site.page.find("a", string="Duplicates")["href"]))  # type: ignore[index]
    assert "1 pair of customers looks like one." in office.site.text
    (row,) = office.site.page.select("tbody tr")
    assert "like name at the same address" in row.text
    assert f"Looks like {twin.name}" in page(office, office.customer)
    office.site.get(f"{LIST}duplicates/")
    office.site.submit(button="Two people")
    assert "0 pairs of customers look like one." in office.site.text
    assert "Looks like" not in page(office, office.customer)
    # Said twice, or of one's own self, or of somebody else's.
    apart = f"{LIST}duplicates/apart"
    assert office.site.post(apart, {"one": twin.id, "other": office.customer.id}).status_code == 302
    assert office.site.post(apart, {"one": twin.id, "other": twin.id}).status_code == 409
    stranger = create_customer(create_partner())
    for other in (stranger.id, 987_654, "", "x", "9" * 30):
        assert office.site.post(apart, {"one": twin.id, "other": other}).status_code == 404


def test_pairs_come_in_pages(office: Office, create_customer: Create) -> None:
    for number in range(3):
        for name in ("Leah Novak", "Leah Novak"):
            create_customer(office.partner, name=name, email=f"n{number}@mail.example", address=f"{number} Hill")
    first = duplicate_pairs(office.session, office.partner.id, limit=2)
    rest = duplicate_pairs(office.session, office.partner.id, first.page.forward, limit=2)
    back = duplicate_pairs(office.session, office.partner.id, rest.page.back, limit=2)
    assert (first.count, first.page.back, rest.page.forward) == (3, None, None)
    assert [len(pairs.page.rows) for pairs in (first, rest)] == [2, 1]
    assert [pair.second.id for pair in back.page.rows] == [pair.second.id for pair in first.page.rows]
    assert len({pair.second.id for pair in (*first.page.rows, *rest.page.rows)}) == 3


# Merging


@pytest.fixture
def twin(office: Office, create_customer: Create, create_user: Create) -> Customer:
    """Priya once more, with a log-in, at another address."""
    user = create_user(name="P. Raman", email="p.raman@mail.example")
    made: Customer = create_customer(
        office.partner, user, address="2 Narrow Quay", phone="+44 7700 900233", access_notes="Gate 4711"
    )
    return made


def merge(office: Office, kept: Customer, gone: Customer, **choices: str) -> int:
    """Merge by the form and return the status of the answer."""
    assert office.site.get(f"{LIST}merge/", query_string={"keep": kept.id, "other": gone.id}).status_code == 200
    return office.site.submit(choices, action="/merge/").status_code


def owned() -> list[Any]:
    """Every model whose rows are a customer's."""
    mapped: list[Any] = [each.class_ for each in Base.registry.mappers]
    return [model for model in mapped if issubclass(model, CustomerOwned) and model is not Customer]


def test_merging_moves_all_there_is_and_loses_nothing(
    office: Office, twin: Customer, create_installation_in: Create
) -> None:
    priya = office.customer
    add = {"partner_id": office.partner.id, "gets_visits": True}
    save(
        office.session, Contact(**add, customer_id=twin.id, name="Own", email="priya@mail.example", gets_contract=True)
    )
    save(office.session, Contact(**add, customer_id=twin.id, name="Arjun", email="arjun@mail.example"))
    save(office.session, Contact(**add, customer_id=priya.id, name="Arjun R.", email="arjun@mail.example"))
    jobs = [
        create_installation_in(office.partner, state, twin, kind=office.kind)
        for state in ("CONTRACT_SIGNED", "CANCELLED")
    ]
    kept_job = office.create()
    before = {model: everything(office.session, model) for model in owned()}
    text_before = [(entry.action, entry.at, entry.after) for job in jobs for entry in office.history(job)]

    shown = office.site.get(f"{LIST}merge/", query_string={"keep": priya.id, "other": twin.id})
    assert shown.status_code == 200
    assert "What moves: 2 installations, 1 address, 2 contacts" in office.site.text
    assert merge(office, priya, twin, phone="gone", access_notes="gone", name="gone") == 200
    assert office.site.url == f"{LIST}{priya.id}/"

    # Nothing is the other's any more, and no row was lost or changed but for whose it is.
    for model in owned():
        after = everything(office.session, model)
        assert not [row for row in after.values() if row["customer_id"] == twin.id], model
        for key, row in before[model].items():
            # What a technician was told is no customer's.
            whose = priya.id if row["customer_id"] is not None else None
            ours = {"customer_id": whose, "active": after[key].get("active"), "version": after[key].get("version")}
            ticks = {name: value for name, value in after[key].items() if model is Contact and name.startswith("gets_")}
            assert after[key] == row | {name: value for name, value in (ours | ticks).items() if name in row}, model
    assert {
        len(everything(office.session, model)) > 0
        for model in (Job, Appointment, HistoryEntry, Contract, Message, Address)
    } == {True}
    there = [
        (entry.action, entry.at, entry.after)
        for job in jobs
        for entry in office.history(job)
        if entry.action != "merge_customers"
    ]
    assert there == text_before
    # Each address stands once with those who are told, and gets what both got.
    assert contacts(office, priya) == [
        ("Own", "priya@mail.example", ["visits", "contract"], False),
        ("Arjun", "arjun@mail.example", ["visits"], False),
        ("Arjun R.", "arjun@mail.example", ["visits"], True),
    ]
    row = stored(office, Customer, priya.id)
    assert (row.name, row.email, row.phone, row.access_notes) == (
        "P. Raman",
        "priya@mail.example",
        "+44 7700 900233",
        "Gate 4711",
    )
    # It is told on the customer's page and on each installation that moved, not on the others.
    told = page(office, priya)
    assert "Merged: P. Raman is part of this customer now" in told
    assert "Dana Okafor" in told
    office.site.get(office.at(jobs[0]))
    assert "Customer merged" in office.site.text
    assert "P. Raman, p.raman@mail.example to P. Raman, priya@mail.example" in office.site.text
    assert "merge_customers" not in [entry.action for entry in office.history(kept_job)]
    assert office.site.page.select_one(f'a[href="{LIST}{priya.id}/"]') is not None


def everything(session: Session, model: Any) -> dict[int, dict[str, Any]]:
    """Every row of ``model`` by its key, as plain values."""
    session.rollback()
    table = model.__table__
    return {row.id: row._asdict() for row in session.execute(select(table))}


def test_the_merged_record_stays_and_leads_on(office: Office, twin: Customer, create_customer: Create) -> None:
    third = create_customer(office.partner, name="Priya R", email="pr@mail.example", address="3 Hill")
    assert merge(office, twin, third) == 200
    assert merge(office, office.customer, twin) == 200
    # Who was merged before is led straight to the one who is left.
    for gone in (twin, third):
        row = stored(office, Customer, gone.id)
        assert (row.active, row.merged_into_id) == (False, office.customer.id)
        office.site.get(f"{LIST}edit/", query_string={"id": gone.id})
        link = office.site.page.select_one("main .btn-primary")
        assert "Merged into Priya Raman" in office.site.text
        assert str(link["href"]) == f"{LIST}{office.customer.id}/"  # type: ignore[index]
        for act in ("reactivate", "deactivate"):
            assert office.site.post(f"{LIST}{gone.id}/{act}").status_code == 409
        values = {"name": "Back", "version": row.version, "addresses-0-line": "1 New Street"}
        assert office.site.post(f"{LIST}edit/?id={gone.id}", values).status_code == 409
    office.site.get(f"{LIST}?active=all")
    assert [one.text for one in office.site.page.select("tbody .title")] == ["Priya Raman"]
    assert "Merged: P. Raman" in page(office, office.customer)
    assert "Merged: Priya R " in page(office, office.customer)


@pytest.mark.row("C8")
@pytest.mark.parametrize("has_own", [False, True])
def test_a_log_in_sees_the_record_that_stays(
    app: Flask, office: Office, twin: Customer, create_user: Create, create_customer: Create, has_own: bool
) -> None:
    kept = (
        create_customer(office.partner, create_user(name="Priya Raman"), address="9 Hill")
        if has_own
        else office.customer
    )
    office.create(customer=kept, items=[("Their pump", 1)])
    office.create(customer=twin, start=TUESDAY + timedelta(days=1), items=[("Her charger", 1)])
    phone = Site(app.test_client())
    phone.sign_in("p.raman@mail.example")
    assert merge(office, kept, twin) == 200
    phone.get("/my/")
    assert "Tue 24 Nov" in phone.text
    assert "Wed 25 Nov" in phone.text
    own = stored(office, Customer, kept.id).user_id
    assert own is not None
    assert (own != twin.user_id) is has_own


def test_choices_versions_and_repeats_are_answered_clearly(
    app: Flask, office: Office, twin: Customer, create_customer: Create, create_partner: Create, create_staff: Create
) -> None:
    priya = office.customer
    url, form = f"{LIST}merge/", {"kept_id": priya.id, "gone_id": twin.id}
    versions = {"kept_version": priya.version, "gone_version": twin.version}
    # A choice that is none.
    answer = office.site.post(url, form | versions | {"name": "both", "email": "kept", "phone": ""})
    assert answer.status_code == 422
    assert errors(office) == dict.fromkeys(("name", "phone", "access_notes"), "Choose which one stays")
    # Both notes together may be too long.
    edit(office, priya, access_notes="x" * 1_995)
    assert merge(office, priya, twin, access_notes="both") == 422
    assert errors(office) == {"access_notes": "Use 2000 characters or fewer."}
    # A page from before somebody else's change.
    office.site.get(url, query_string={"keep": priya.id, "other": twin.id})
    colleague = Site(app.test_client())
    colleague.sign_in(create_staff(office.partner))
    colleague.get(f"{LIST}edit/", query_string={"id": twin.id})
    colleague.submit({"addresses-0-line": "3 Narrow Quay"}, button="Save")
    assert office.site.submit({"access_notes": "kept"}, action="/merge/").status_code == 409
    assert "Not merged: somebody else changed one of the two" in office.site.text
    assert "3 Narrow Quay" in office.site.text
    for made_up in ("", "abc", "9" * 30, "-1"):
        assert office.site.post(url, form | {"kept_version": made_up, "gone_version": 1}).status_code == 409
    # With themself, with nobody, with another partner's.
    stranger = create_customer(create_partner(), name="Xanadu")
    assert office.site.client.get(url, query_string={"keep": priya.id, "other": priya.id}).status_code == 409
    assert office.site.post(url, {"kept_id": priya.id, "gone_id": priya.id} | versions).status_code == 409
    for key in (stranger.id, 987_654, "", "0", "-1", "abc", "9" * 30):
        for one, other in ((priya.id, key), (key, priya.id)):
            assert office.site.client.get(url, query_string={"keep": one, "other": other}).status_code == 404
            answer = office.site.post(url, {"kept_id": one, "gone_id": other} | versions)
            assert answer.status_code == 404
            assert "Xanadu" not in answer.text
    assert office.site.client.get(f"{LIST}{stranger.id}/").status_code == 404
    assert office.site.client.get(url, query_string={"keep": stranger.id}).status_code == 404
    assert count(office.session, CustomerMerge) == 0
    # Twice by a double post, and the other way round.
    office.site.get(url, query_string={"keep": priya.id, "other": twin.id})
    sent = {
        str(one["name"]): str(one["value"]) for one in office.site.form(action="/merge/").select("input[type=hidden]")
    }
    sent |= dict.fromkeys(("name", "email", "phone"), "kept") | {"access_notes": "gone"}
    assert [office.site.post(url, sent).status_code for _ in range(2)] == [302, 409]
    assert "P. Raman was merged into Priya Raman already." in office.site.text
    assert office.site.client.get(url, query_string={"keep": twin.id, "other": priya.id}).status_code == 409
    assert count(office.session, CustomerMerge) == 1


def test_another_customer_to_merge_with_is_found_by_hand(office: Office, twin: Customer) -> None:
    page(office, office.customer)
    office.site.get(str(office.site.page.find("a", string="Merge with another")["href"]))  # type: ignore[index]
    office.site.submit({"q": "raman"})
    (link,) = office.site.page.select("main .lines a")
    office.site.get(str(link["href"]))
    assert "Are these one customer?" in office.site.text
    assert "Becomes part of it: P. Raman" in office.site.text


def test_history_follows_its_job_only(engine: Engine, office: Office, twin: Customer) -> None:
    job = office.create(customer=twin)
    for change in (f"customer_id = {office.customer.id}", f"customer_id = {twin.id}, reason = 'other'"):
        with pytest.raises(DBAPIError), engine.begin() as connection:
            connection.execute(text(f"UPDATE history SET {change} WHERE job_id = {job.id}"))
    with pytest.raises(DBAPIError, match="never altered"), engine.begin() as connection:
        connection.execute(text(f"DELETE FROM history WHERE job_id = {job.id}"))


def test_a_merge_and_a_booking_at_once_never_split_a_customer(
    engine: Engine, office: Office, twin: Customer, new_session: Callable[..., Session]
) -> None:
    def book(session: Session) -> Any:
        booking = Booking(twin.id, twin.addresses[0].id, office.kind.id, TUESDAY, [ItemInput("Pump", 1)])
        return schedule_installation(session, office.staff, NOW, booking)

    assert at_once(engine, office, new_session, twin, book) == "P. Raman is not an active customer."
    assert office.jobs() == []


def test_two_merges_at_once_do_not_go_round_in_a_ring(
    engine: Engine, office: Office, twin: Customer, new_session: Callable[..., Session]
) -> None:
    def merge_back(session: Session) -> Any:
        return merge_customers(session, office.staff, NOW, choice(twin, office.customer))

    assert at_once(engine, office, new_session, twin, merge_back) == "P. Raman was merged into Priya Raman already."


def choice(kept: Customer, gone: Customer) -> MergeInput:
    fields = dict.fromkeys(("name", "email", "phone", "access_notes"), "kept")
    return MergeInput(kept.id, kept.version, gone.id, gone.version, fields)


def at_once(
    engine: Engine,
    office: Office,
    new_session: Callable[..., Session],
    twin: Customer,
    act: Callable[[Session], Any],
) -> str:
    """Let ``act`` begin in another thread while a merge of ``twin`` is not yet committed; return its refusal.

    The merge is committed when the other has read customers, or is seen to wait.
    """
    began, has_read, said = threading.Event(), threading.Event(), []
    mine, other = new_session(office.staff.scope), new_session(office.staff.scope)

    def before(*args: Any) -> None:
        if threading.current_thread() is thread:
            began.set()

    def after(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if threading.current_thread() is thread and "FROM customers" in statement:
            has_read.set()

    def run() -> None:
        try:
            with unit_of_work(other) as session:
                act(session)
        except Invalid as error:
            said.extend(str(text) for text in error.errors.values())
        except Refused as error:
            said.append(str(error.refusal.sentence))

    thread = threading.Thread(target=run)
    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    try:
        with unit_of_work(mine) as session:
            merge_customers(session, office.staff, NOW, choice(office.customer, twin))
            thread.start()
            assert began.wait(PATIENCE)
            while thread.is_alive() and not has_read.is_set() and not waits(engine):
                pass
    finally:
        thread.join(PATIENCE)
        event.remove(engine, "before_cursor_execute", before)
        event.remove(engine, "after_cursor_execute", after)
    assert not thread.is_alive()
    (refusal,) = said
    return refusal


def waits(engine: Engine) -> bool:
    """Whether somebody waits for a lock; on SQLite whoever is not the one writer does from the start."""
    if engine.dialect.name == "sqlite":
        return True
    ours = "database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    waiting = text(f"SELECT count(*) FROM pg_locks WHERE NOT granted AND (database IS NULL OR {ours})")
    with engine.connect() as connection:
        return bool(connection.scalar(waiting))
