"""Schedule Installation through its form: what is kept, what is refused and where, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from sqlalchemy import select

from portal.domain.jobs import services
from portal.domain.jobs.models import JobItem
from portal.domain.messages.models import Message
from portal.domain.people.models import Address, Customer, Technician, TechnicianStatus
from portal.domain.scheduling.models import TimeOff, WorkingHours
from portal.domain.unit_of_work import unit_of_work
from tests.factories import Create, save
from tests.helpers import Site, fields_of
from tests.web.office import TUESDAY, URL, Office, clock, office

__all__ = ["clock", "office"]

FORM = f"{URL}schedule"
HOUR = timedelta(hours=1)
HX = {"HX-Request": "true"}


def typed(office: Office, **more: Any) -> dict[str, Any]:
    """Return what a dispatcher types for Tuesday at nine."""
    address = office.customer.addresses[0].id
    return {
        "customer": f"{office.customer.id}:{address}",
        "service_type": str(office.kind.id),
        "date": "2026-11-24",
        "time": "09:00",
        "items-0-name": "Heat pump",
        "items-0-quantity": "1",
    } | more


def send(office: Office, **more: Any) -> Any:
    """Open the form, fill it in and send it; what is ``None`` is not sent at all."""
    office.site.get(FORM)
    return office.site.submit(typed(office, **more), action="/schedule")


def errors(office: Office) -> dict[str, str]:
    """Return the errors of the page by the id of the control that the summary leads to, each also at its field."""
    page = office.site.page
    found = {str(link["href"]).removeprefix("#"): link.text for link in page.select(".error-summary a")}
    for key, text in found.items():
        control = page.select_one(f"#{key}")
        assert control is not None, key
        assert text in [str(error.text) for error in page.select(".invalid-feedback")], key
    assert not found or page.title.text.startswith("Error:")  # type: ignore[union-attr]
    return found


@pytest.mark.row("P1")
def test_the_button_on_the_list_leads_to_a_dialog_and_without_javascript_to_a_page(office: Office) -> None:
    office.site.get(URL)
    link = office.site.page.select_one(".head a.btn-primary")
    assert link is not None
    assert link.text == "Schedule installation"
    assert (link["href"], link["hx-get"], link["hx-target"]) == ("schedule", "schedule", "#dialog")
    assert office.site.page.select_one("dialog#dialog") is not None
    office.site.get(FORM)
    assert office.site.page.select_one("main h1").text == "Schedule installation"  # type: ignore[union-attr]
    part = office.site.get(FORM, headers={"HX-Request": "true"})
    assert "<html" not in part.get_data(as_text=True)
    assert office.site.page.select_one("form")["hx-post"] == FORM  # type: ignore[index]
    assert "HX-Request" in part.headers["Vary"]


@pytest.mark.row("P3")
def test_date_and_time_begin_with_the_next_working_day(office: Office) -> None:
    office.site.get(FORM)
    page = office.site.page
    # Friday's next working day is Monday, and it begins at eight.
    assert page.select_one("#date")["value"] == "2026-11-23"  # type: ignore[index]
    assert page.select_one("#date")["type"] == "date"  # type: ignore[index]
    assert page.select_one("#time")["value"] == "08:00"  # type: ignore[index]
    assert page.select_one("#service_type option").text == "Heat pump (2 hours)"  # type: ignore[union-attr]
    assert page.select_one("#duration option")["value"] == ""  # type: ignore[index]


@pytest.mark.row("P4")
@pytest.mark.row("P6")
def test_scheduling_without_a_handyman(office: Office) -> None:
    answer = send(
        office,
        **{
            "items-1-name": "Cylinder 210 l",
            "items-1-quantity": "2",
            "notes": "Ring twice 🔔",
            "customer_text": "ignored",
        },
    )
    assert (answer.status_code, office.site.url) == (200, URL)
    assert "D-1001 is scheduled for Tue 24 Nov, 9:00–11:00." in office.site.text
    assert office.rows() == ["D-1001"]
    job = office.jobs()[0]
    assert (job.status, job.title, job.notes) == ("SCHEDULED", "Heat pump, Cylinder 210 l", "Ring twice 🔔")
    assert (job.start_at, job.end_at) == (TUESDAY, TUESDAY + 2 * HOUR)
    items = office.session.scalars(select(JobItem).order_by(JobItem.position)).all()
    assert [(item.name, item.quantity) for item in items] == [("Heat pump", 1), ("Cylinder 210 l", 2)]
    assert [entry.action for entry in office.history(job)] == ["schedule"]
    assert [entry.actor_name for entry in office.history(job)] == ["Dana Okafor"]
    assert [message.kind for message in office.session.scalars(select(Message))] == ["booked"]


@pytest.mark.row("P6")
def test_scheduling_with_a_handyman_is_two_events_and_one_transaction(office: Office) -> None:
    send(office, technician=str(office.ines.id), duration="60")
    assert "scheduled for Tue 24 Nov, 9:00–11:00 and assigned to Ines Kowalski." in office.site.text
    job = office.jobs()[0]
    assert (job.status, job.technician_id) == ("INSTALLER_ASSIGNED", office.ines.id)
    assert job.end_at == TUESDAY + HOUR
    assert [(entry.action, entry.at) for entry in office.history(job)] == [
        ("schedule", job.created_at),
        ("assign", job.created_at),
    ]


@pytest.mark.row("P1")
def test_in_the_dialog_success_leads_back_to_the_list(office: Office) -> None:
    office.site.get(FORM, headers={"HX-Request": "true"})
    answer = office.site.submit(typed(office), action="/schedule", headers={"HX-Request": "true"})
    assert answer.status_code == 204
    assert answer.headers["HX-Redirect"] == URL
    assert len(office.jobs()) == 1


@pytest.mark.row("P2")
def test_customers_are_found_by_name_email_and_address_without_javascript(
    office: Office, create_customer: Create, create_partner: Create
) -> None:
    create_customer(office.partner, name="Priya Gone", active=False)
    create_customer(create_partner(), name="Priya Foreign")
    save(office.session, Address(partner_id=office.partner.id, customer_id=office.customer.id, line="3 Quarry Lane"))
    for text, addresses in (("PRIYA", 2), ("priya@mail", 2), ("quarry", 1), ("raman alder", 1), ("%", 0), ("gone", 0)):
        office.site.get(FORM)
        answer = office.site.submit(
            {"customer_text": text, "notes": "kept", "items-0-name": "Also kept"}, button="Find", action="/schedule"
        )
        assert answer.status_code == 200
        radios = office.site.page.select("input[type=radio][name=customer]")
        assert len(radios) == addresses, text
        assert office.site.page.select_one("#notes").text.strip() == "kept"  # type: ignore[union-attr]
        assert office.site.page.select_one("#items-0-name")["value"] == "Also kept"  # type: ignore[index]
    office.site.get(FORM)
    office.site.submit({"customer_text": "quarry"}, button="Find", action="/schedule")
    label = office.site.page.select_one("label.choice-line")
    assert label is not None
    assert "Priya Raman priya@mail.example 3 Quarry Lane" in " ".join(label.get_text(" ").split())
    value = str(office.site.page.select_one("input[type=radio]")["value"])  # type: ignore[index]
    office.site.submit(typed(office, customer=value), action="/schedule")
    job = office.jobs()[0]
    assert office.session.get_one(Address, job.address_id).line == "3 Quarry Lane"


@pytest.mark.row("P2")
def test_the_customer_chosen_is_named_and_can_be_changed(office: Office) -> None:
    send(office, time="")
    assert list(errors(office)) == ["time"]
    assert "Priya Raman" in office.site.page.select_one(".chosen").text  # type: ignore[union-attr]
    office.site.submit(button="Change", action="/schedule")
    assert office.site.page.select_one(".chosen") is None
    assert office.site.page.select_one("#customer_text") is not None


@pytest.mark.row("P2")
def test_a_link_from_a_customer_brings_them_along(
    office: Office, create_partner: Create, create_customer: Create
) -> None:
    office.site.get(f"{FORM}?customer={office.customer.id}")
    assert "Priya Raman" in office.site.page.select_one(".chosen").text  # type: ignore[union-attr]
    foreign = create_customer(create_partner())
    for nonsense in (foreign.id, "999999999999999999999999", "abc", "1:2"):
        assert office.site.get(f"{FORM}?customer={nonsense}").status_code == 200
        assert office.site.page.select_one(".chosen") is None


@pytest.mark.row("P2")
def test_an_inactive_customer_posted_by_hand_is_refused_at_the_field(office: Office, create_customer: Create) -> None:
    gone = create_customer(office.partner, name="Gone Ham", active=False)
    answer = send(office, customer=f"{gone.id}:{gone.addresses[0].id}")
    assert answer.status_code == 422
    assert errors(office) == {"customer_text": "Gone Ham is not an active customer."}
    assert office.jobs() == []


def test_foreign_and_unknown_ids_are_404_and_leave_nothing(
    office: Office,
    create_partner: Create,
    create_customer: Create,
    create_technician: Create,
    create_service_type: Create,
) -> None:
    other = create_partner()
    customer, technician = create_customer(other), create_technician(other)
    own, foreign = office.customer.addresses[0].id, customer.addresses[0].id
    for given in (
        {"customer": f"{customer.id}:{foreign}"},
        {"customer": f"{office.customer.id}:{foreign}"},
        {"customer": f"{customer.id}:{own}"},
        {"customer": "999:999"},
        {"service_type": str(create_service_type(other).id)},
        {"service_type": "9999"},
        {"technician": str(technician.id)},
        {"technician": "9999"},
        {"technician": "999999999999999999"},
    ):
        assert send(office, **given).status_code == 404, given
    assert office.jobs() == []


def test_an_address_of_another_customer_is_404(office: Office, create_customer: Create) -> None:
    neighbour = create_customer(office.partner)
    assert send(office, customer=f"{office.customer.id}:{neighbour.addresses[0].id}").status_code == 404
    assert office.jobs() == []


@pytest.mark.row("P3")
@pytest.mark.parametrize(
    ("given", "where", "text"),
    [
        ({"date": "2026-11-20", "time": "09:59"}, "date", "Choose a date and time that is not in the past"),
        ({"date": "2026-11-20", "time": "10:00"}, "date", "Choose a date and time that is not in the past"),
        ({"date": "1999-01-01"}, "date", "Choose a date and time that is not in the past"),
        ({"date": "2027-06-31"}, "date", "Enter a date that exists, such as 2026-11-20"),
        ({"date": ""}, "date", "Enter a date that exists, such as 2026-11-20"),
        ({"date": "0001-01-01"}, "date", "Choose a date and time that is not in the past"),
        ({"date": "9999-12-31"}, "date", "Choose a date within the next five years"),
        ({"date": "tomorrow 😀"}, "date", "Enter a date that exists, such as 2026-11-20"),
        ({"time": "25:00"}, "time", "Enter a time such as 9:00"),
        ({"time": ""}, "time", "Enter a time such as 9:00"),
        ({"duration": "0"}, "duration", "Choose a duration between 1 minute and 24 hours"),
        ({"duration": "-60"}, "duration", "Choose a duration between 1 minute and 24 hours"),
        ({"duration": "1441"}, "duration", "Choose a duration between 1 minute and 24 hours"),
        ({"duration": "9" * 17}, "duration", "Choose a duration"),
        ({"duration": "long"}, "duration", "Choose a duration"),
        ({"service_type": "abc"}, "service_type", "Choose a service type"),
        ({"service_type": ""}, "service_type", "Choose a service type"),
        ({"customer": ""}, "customer_text", "Choose a customer"),
        ({"customer": "abc"}, "customer_text", "Choose a customer"),
        ({"notes": "x" * 10_000}, "notes", "Use 2000 characters or fewer."),
        ({"technician": "abc"}, "technician", "Choose who comes"),
    ],
)
def test_bad_input_is_an_error_at_its_field_and_keeps_what_was_typed(
    office: Office, given: dict[str, str], where: str, text: str
) -> None:
    answer = send(office, **given)
    assert answer.status_code == 422
    assert errors(office) == {where: text}
    assert office.jobs() == []
    page = office.site.page
    assert page.select_one("#items-0-name")["value"] == "Heat pump"  # type: ignore[index]
    for name, value in given.items():
        if name in {"date", "time"}:
            assert page.select_one(f"#{name}")["value"] == value  # type: ignore[index]


@pytest.mark.row("P3")
def test_an_hour_that_the_clocks_skip_is_refused_and_one_that_comes_twice_is_the_first(office: Office) -> None:
    assert send(office, date="2027-03-28", time="01:30").status_code == 422
    assert errors(office) == {"time": "That time does not exist on Sun 28 Mar 2027: the clocks go forward"}
    assert send(office, date="2027-10-31", time="01:30").status_code == 200
    assert office.jobs()[0].start_at == datetime(2027, 10, 31, 0, 30, tzinfo=UTC)


@pytest.mark.row("P4")
@pytest.mark.parametrize(
    ("quantity", "text"),
    [
        ("0", "Quantity of “Inverter” must be 1 or more"),
        ("-3", "Quantity of “Inverter” must be 1 or more"),
        ("100001", "Quantity of “Inverter” must be 100000 or less"),
        ("9" * 18, "Quantity of “Inverter” must be 100000 or less"),
        ("9" * 5000, "Quantity of “Inverter” must be a whole number"),
        ("", "Enter the quantity of “Inverter”"),
        ("1.5", "Quantity of “Inverter” must be a whole number"),
        ("two", "Quantity of “Inverter” must be a whole number"),
    ],
)
def test_a_quantity_is_a_whole_number_of_at_least_one(office: Office, quantity: str, text: str) -> None:
    # A blank line between does not shift the error to another field.
    given = {"items-1-name": "", "items-1-quantity": "1", "items-2-name": "Inverter", "items-2-quantity": quantity}
    assert send(office, **given).status_code == 422
    assert errors(office) == {"items-2-quantity": text}
    assert office.jobs() == []


@pytest.mark.row("P4")
def test_at_least_one_item_with_a_name(office: Office) -> None:
    send(office, **{"items-0-name": " ", "items-0-quantity": "1"})
    assert errors(office) == {"items-0-name": "Add at least one item"}
    send(office, **{"items-0-name": "", "items-0-quantity": "3"})
    assert errors(office) == {"items-0-name": "Enter a product name"}
    send(office, **{"items-0-name": "x" * 201})
    assert errors(office) == {"items-0-name": "Use 200 characters or fewer."}
    assert office.jobs() == []


@pytest.mark.row("P4")
def test_lines_are_added_and_removed_without_javascript(office: Office) -> None:
    office.site.get(FORM)
    first = {"items-0-name": "Panel", "items-0-quantity": "12"}
    office.site.submit(first, button="Add item", action="/schedule")
    assert [one["name"] for one in office.site.page.select(".item input")] == [
        "items-0-name",
        "items-0-quantity",
        "items-1-name",
        "items-1-quantity",
    ]
    second = {"items-1-name": "Inverter", "items-1-quantity": "1", "remove_item": "0"}
    office.site.submit(second, action="/schedule")
    assert [one.get("value") for one in office.site.page.select(".item input")] == ["Inverter", "1"]
    office.site.submit({"remove_item": "0"}, action="/schedule")
    assert [one.get("value") for one in office.site.page.select(".item input")] == ["", "1"]
    for nonsense in ("7", "-1", "abc", "9" * 30):
        assert office.site.submit({"remove_item": nonsense}, action="/schedule").status_code == 200
    assert office.jobs() == []


@pytest.mark.row("P5")
def test_only_available_technicians_are_offered_and_taken(office: Office, create_technician: Create) -> None:
    away = create_technician(office.partner, name="Away", status=TechnicianStatus.UNAVAILABLE)
    left = create_technician(office.partner, name="Left", active=False)
    office.site.get(FORM)
    offered = [option.text for option in office.site.page.select("#technician option")]
    assert offered == ["Nobody yet", "Ines Kowalski", "Tomás Reyes"]
    for technician in (away, left):
        assert send(office, technician=str(technician.id)).status_code == 422
        assert errors(office) == {"technician": f"{technician.name} is not available."}
    assert office.jobs() == []


@pytest.mark.row("P5")
def test_a_booked_technician_is_refused_whatever_is_ticked(office: Office) -> None:
    office.create(technician=office.ines)
    for more in ({}, {"despite_warnings": "y"}):
        answer = send(office, technician=str(office.ines.id), time="10:30", **more)
        assert answer.status_code == 422
        assert errors(office) == {"technician": "Ines Kowalski is booked at that time."}
        assert office.site.page.select_one("#despite_warnings") is None
    assert len(office.jobs()) == 1
    assert send(office, technician=str(office.ines.id), time="11:00").status_code == 200
    assert len(office.jobs()) == 2


@pytest.mark.row("P5")
def test_past_hours_and_time_off_staff_may_insist(office: Office) -> None:
    off = TimeOff(
        partner_id=office.partner.id, technician_id=office.ines.id, start_at=TUESDAY, end_at=TUESDAY + 8 * HOUR
    )
    save(office.session, off)
    assert send(office, technician=str(office.ines.id)).status_code == 422
    assert errors(office) == {"technician": "Ines Kowalski is off at that time."}
    assert office.jobs() == []
    assert "Schedule anyway" in office.site.text
    assert "Schedule and assign Ines Kowalski" in office.buttons()
    answer = office.site.submit({"despite_warnings": "y"}, action="/schedule")
    assert answer.status_code == 200
    assert office.jobs()[0].technician_id == office.ines.id


def test_a_form_without_its_token_is_refused(office: Office) -> None:
    assert office.site.client.post(FORM, data=typed(office)).status_code == 400
    assert office.jobs() == []


def test_a_nul_byte_is_refused_and_nothing_is_saved(office: Office) -> None:
    assert send(office, notes="nothing\0here").status_code == 400
    assert office.jobs() == []


@pytest.mark.row("P10")
def test_a_replacement_is_prefilled_and_linked_both_ways(office: Office) -> None:
    old = office.create(items=(("Heat pump", 1), ("Cylinder", 2)), notes="Key next door")
    office.do(services.reject, old.id, "No room for it")
    office.site.get(office.at(old))
    assert "No room for it" in office.site.text
    assert "Create replacement" in office.buttons()
    office.site.get(office.at(old, "replacement"))
    page = office.site.page
    assert "Priya Raman" in page.select_one(".chosen").text  # type: ignore[union-attr]
    assert [one["value"] for one in page.select(".item input")] == ["Heat pump", "1", "Cylinder", "2"]
    assert page.select_one("#notes").text.strip() == "Key next door"  # type: ignore[union-attr]
    assert office.site.submit({"time": "13:00"}, action="/replacement").status_code == 200
    new = office.jobs()[1]
    assert (new.replaces_id, new.title, new.status) == (old.id, "Heat pump, Cylinder", "SCHEDULED")
    assert office.job(old).status == "REJECTED"
    office.site.get(office.at(new))
    assert "Replaces D-1001" in office.site.text
    office.site.get(office.at(old))
    assert "Replaced by D-1002" in office.site.text


@pytest.mark.row("P10")
def test_only_what_ended_without_success_is_replaced(office: Office, create_customer: Create) -> None:
    living = office.create()
    office.site.get(office.at(living))
    assert "Create replacement" not in office.buttons()
    for answer in (
        office.site.get(office.at(living, "replacement")),
        office.site.post(office.at(living, "replacement"), typed(office)),
    ):
        assert answer.status_code == 409
        assert "Only a rejected or cancelled installation is replaced." in answer.get_data(as_text=True)
    office.do(services.cancel, living.id, "Sold the house")
    somebody = create_customer(office.partner)
    office.site.get(office.at(living, "replacement"))
    office.site.submit(typed(office, customer=f"{somebody.id}:{somebody.addresses[0].id}"), action="/replacement")
    assert errors(office) == {"customer_text": "A replacement is for the same customer."}
    assert len(office.jobs()) == 1


@pytest.mark.row("P2")
@pytest.mark.row("P5")
def test_the_look_ups_give_what_the_type_aheads_show(office: Office) -> None:
    office.create(technician=office.ines)
    found = office.site.client.get("/admin/api/customers?q=alder").get_json()
    address = office.customer.addresses[0].id
    assert found == [
        {
            "value": f"{office.customer.id}:{address}",
            "name": "Priya Raman",
            "email": "priya@mail.example",
            "address": "14 Alder Close, Bristol BS6 5QT",
        }
    ]
    asked = "/admin/api/technicians?q=&start=2026-11-24T09:00&minutes=60"
    notes = {one["name"]: one["note"] for one in office.site.client.get(asked).get_json()}
    assert notes == {"Ines Kowalski": "Ines Kowalski is booked at that time.", "Tomás Reyes": "Free then"}


@pytest.mark.row("P5")
@pytest.mark.parametrize("when", ["", "&start=2026-11-24T09:00&minutes=60"])
def test_those_whose_name_begins_so_come_before_those_who_have_it_within(
    office: Office, create_technician: Create, when: str
) -> None:
    for name in ("Nils Aalto", "Al%to Zorn"):
        create_technician(office.partner, name=name)
    for text, names in (
        ("to", ["Tomás Reyes", "Al%to Zorn", "Nils Aalto"]),
        ("AA", ["Nils Aalto"]),
        ("aal n", ["Nils Aalto"]),
        ("l%", ["Al%to Zorn"]),
        ("", ["Al%to Zorn", "Ines Kowalski", "Nils Aalto", "Tomás Reyes"]),
    ):
        found = office.site.client.get("/admin/api/technicians?q=" + quote(text) + when).get_json()
        assert [one["name"] for one in found] == names, text


@pytest.mark.row("P5")
def test_a_technician_who_became_unavailable_meanwhile_is_refused(office: Office) -> None:
    office.site.get(FORM)
    with unit_of_work(office.session) as session:
        session.get_one(Technician, office.ines.id).status = TechnicianStatus.UNAVAILABLE
    office.site.submit(typed(office, technician=str(office.ines.id)), action="/schedule")
    assert errors(office) == {"technician": "Ines Kowalski is not available."}
    assert office.jobs() == []


@pytest.mark.row("M4")
@pytest.mark.row("P3")
def test_the_times_of_a_day_are_shown_with_why_not_and_one_is_taken(office: Office) -> None:
    office.create(technician=office.ines)
    office.site.get(FORM)
    assert office.site.page.select_one("#slot") is None
    given = typed(office, technician=str(office.ines.id))
    office.site.submit(given, button="Show free times", action="/schedule")
    assert "Free times of Ines Kowalski, Tue 24 Nov" in office.site.text
    offered = [label.text.strip() for label in office.site.page.select("label.slot")]
    # Eight to six in steps of half an hour, two hours long, but for the two hours from nine.
    assert offered == [f"{at // 60}:{at % 60:02}" for at in range(660, 961, 30)] + ["The time above"]
    assert "9:30 Ines Kowalski is booked at that time." in office.site.text
    assert len(office.jobs()) == 1
    slot = str(office.site.page.select_one("label.slot input")["value"])  # type: ignore[index]
    office.site.submit({"slot": slot, "date": "2026-11-25"}, action="/schedule")
    assert errors(office) == {"slot": "Those were the times of another day; choose one of this day"}
    office.site.submit({"slot": slot, "date": "2026-11-24"}, action="/schedule")
    assert office.visits(office.jobs()[-1])[0].start_at == TUESDAY.replace(hour=11)
    # Of anybody, of nobody, and of a day or work that is none.
    for more in ({}, {"technician": "987654"}, {"date": "2026-02-30"}, {"service_type": "987654"}, {"duration": "x"}):
        office.site.get(FORM)
        answer = office.site.submit(typed(office, **more), button="Show free times", action="/schedule")
        assert answer.status_code == 200
        assert bool(office.site.page.select("label.slot")) is (more in ({}, {"duration": "x"}))


@pytest.mark.row("M4")
def test_in_an_hour_that_comes_twice_every_time_says_which(office: Office) -> None:
    hours = {"technician_id": office.ines.id, "weekday": 6, "start_minute": 0, "end_minute": 6 * 60}
    save(office.session, WorkingHours(partner_id=office.partner.id, **hours))
    night = datetime(2027, 10, 31, 0, 30, tzinfo=UTC)
    job = office.create(start=night, technician=office.ines, duration=HOUR)
    moved = office.create(start=night + timedelta(days=7, hours=1), technician=office.ines)
    day = {"date": "2027-10-31", "duration": "30"}
    for path, values in ((FORM, typed(office, technician=str(office.ines.id))), (office.at(moved, "reschedule"), {})):
        office.site.get(path)
        office.site.submit(values | day, button="Show free times", action=path.rpartition("/")[2])
        offered = [label.text.strip() for label in office.site.page.select("label.slot")]
        refused = [line.text for line in office.site.page.select("#slot details strong")]
        assert [text for text in offered if text.startswith("1:")] == ["1:00 (UTC+1)", "1:30 (UTC+0)"], path
        assert [text for text in refused if text.startswith("1:")] == ["1:30 (UTC+1)", "1:00 (UTC+0)"], path
    assert job.id != moved.id


@pytest.mark.row("P2")
@pytest.mark.parametrize(
    ("form", "title"), [(f"{URL}schedule", "Schedule installation"), ("/admin/service-jobs/draft", "New service job")]
)
def test_a_customer_who_is_missing_is_added_on_the_way(office: Office, form: str, title: str) -> None:
    site = office.site
    site.get(form)
    site.submit({"customer_text": "Zenobia"}, button="Find")
    assert "Nobody found" in site.text
    site.submit({"notes": "Gate code 4711", "items-0-name": "Inverter", "items-0-quantity": "3"}, button="Add customer")
    assert site.url.split("?")[0] == "/admin/customers/new/"
    # Who was looked for is not typed again; nothing of the form stands in an address, where logs would repeat it.
    assert fields_of(site.form())["name"] == ["Zenobia"]
    assert not any(word in site.url for word in ("4711", "Inverter", "Zenobia"))
    # What is wrong is said first, and the way back is not forgotten over it.
    assert site.submit({"name": ""}, button="Add customer").status_code == 422
    site.submit({"name": "Zenobia Quist", "addresses-0-line": "3 Elm Row"}, button="Add customer")
    assert site.url.split("?")[0] == form
    assert title in site.text
    assert "Zenobia Quist is added." in site.text
    chosen = site.page.select_one(".chosen strong")
    assert chosen is not None
    assert chosen.text == "Zenobia Quist"
    kept = fields_of(site.form())
    assert kept["customer"] != [""]
    assert (kept["notes"], kept["items-0-name"], kept["items-0-quantity"]) == (["Gate code 4711"], ["Inverter"], ["3"])


def _customers_form(office: Office, path: str = f"{URL}schedule", **typed: str) -> None:
    """Go from the form, filled in, to where a customer is added."""
    office.site.get(path)
    office.site.submit(typed, button="Add customer")


@pytest.mark.row("P1", "P2")
def test_everything_typed_is_there_after_adding_a_customer_and_is_what_is_scheduled(office: Office) -> None:
    site, lines = office.site, {"items-0-name": "Inverter", "items-1-name": "Cable", "items-1-quantity": "2"}
    site.get(f"{URL}schedule")
    site.submit({}, button="Add item")
    typed = {
        **lines,
        "date": "2026-11-26",
        "time": "14:30",
        "duration": "90",
        "service_type": str(office.kind.id),
        "technician": str(office.ines.id),
        "notes": "Ring twice",
    }
    site.submit(typed, button="Add customer")
    site.submit({"name": "Zenobia Quist", "addresses-0-line": "3 Elm Row"}, button="Add customer")
    kept = fields_of(site.form())
    assert {name: kept[name] for name in typed} == {name: [value] for name, value in typed.items()}
    site.submit(button="Schedule and assign Ines Kowalski")
    (job,) = office.jobs()
    assert (job.title, job.notes) == ("Inverter, Cable", "Ring twice")
    assert office.session.get_one(Customer, job.customer_id).name == "Zenobia Quist"
    assert job.technician_id == office.ines.id


@pytest.mark.row("P2")
def test_the_way_back_without_adding_keeps_what_was_typed_as_well(office: Office) -> None:
    _customers_form(office, customer_text="zoe@mail.example", notes="Ring twice")
    assert fields_of(office.site.form())["email"] == ["zoe@mail.example"]
    (back,) = (one for one in office.site.page.select("main a") if one.text == "Back without saving")
    office.site.get(str(back["href"]))
    assert office.site.url.split("?")[0] == f"{URL}schedule"
    kept = fields_of(office.site.form())
    assert (kept["customer_text"], kept["notes"]) == (["zoe@mail.example"], ["Ring twice"])
    # Once more, as after a reload.
    office.site.get(office.site.url)
    assert fields_of(office.site.form())["notes"] == ["Ring twice"]


@pytest.mark.row("P2", "P10")
def test_a_replacement_is_still_one_after_adding_a_customer(office: Office) -> None:
    job = office.create()
    office.do(services.reject, job.id, "Roof too steep")
    path = f"{URL}{job.id}/replacement"
    office.site.get(path)
    office.site.submit({}, button="Change")
    office.site.submit({"notes": "Flat part only"}, button="Add customer")
    office.site.submit({"name": "Zenobia Quist", "addresses-0-line": "3 Elm Row"}, button="Add customer")
    assert office.site.url.split("?")[0] == path
    assert "This replaces" in office.site.text
    assert fields_of(office.site.form())["notes"] == ["Flat part only"]


@pytest.mark.row("P1", "P2")
def test_a_dialog_leads_to_the_customers_form_as_a_page_does(office: Office) -> None:
    office.site.get(f"{URL}schedule", headers=HX)
    answer = office.site.submit({"notes": "Ring twice"}, button="Add customer", headers=HX)
    assert answer.status_code == 204
    office.site.get(answer.headers["HX-Redirect"])
    office.site.submit({"name": "Zenobia Quist", "addresses-0-line": "3 Elm Row"}, button="Add customer")
    assert fields_of(office.site.form())["notes"] == ["Ring twice"]


@pytest.mark.row("P2", "C7")
def test_a_form_set_aside_is_nobody_elses_and_forgotten_at_sign_out(
    office: Office, app: Flask, create_staff: Create
) -> None:
    _customers_form(office, notes="Ring twice")
    office.site.submit({"name": "Zenobia Quist", "addresses-0-line": "3 Elm Row"}, button="Add customer")
    again = office.site.url
    other = Site(app.test_client())
    other.sign_in(create_staff(office.partner))
    other.get(again)
    assert fields_of(other.form())["notes"] == [""]
    office.site.submit(action="/logout")
    office.site.sign_in(office.dana)
    office.site.get(again)
    assert fields_of(office.site.form())["notes"] == [""]


@pytest.mark.row("P2")
def test_of_many_forms_set_aside_the_latest_are_kept(office: Office) -> None:
    pages = []
    for number in range(4):
        _customers_form(office, notes=f"Note {number}")
        (back,) = (one for one in office.site.page.select("main a") if one.text == "Back without saving")
        pages.append(str(back["href"]))
    kept = []
    for page in pages:
        office.site.get(page)
        kept += fields_of(office.site.form())["notes"]
    assert kept == ["", "Note 1", "Note 2", "Note 3"]


@pytest.mark.row("P2")
def test_who_is_added_for_no_form_is_led_back_to_the_list(office: Office) -> None:
    for odd in ("", "?form=https://elsewhere.example", "?form=", "?form=nothing&form=x"):
        office.site.get(f"/admin/customers/new/{odd}")
        office.site.submit({"name": f"Zoe {odd[:9]}", "addresses-0-line": "3 Elm Row"}, button="Add customer")
        if "may be there already" in office.site.text:
            office.site.submit({}, button="Add all the same")
        assert office.site.url == "/admin/customers/"
