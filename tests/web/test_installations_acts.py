"""What is done with an installation from its page: the buttons, their forms, and what is refused; both databases."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import select

from portal.domain.actor import Actor, Role
from portal.domain.contracts import services as contracts
from portal.domain.contracts.models import Contract
from portal.domain.jobs import fieldwork, services
from portal.domain.jobs.models import Job
from portal.domain.messages.models import Message
from portal.domain.people.models import Address, Technician
from portal.domain.scheduling.models import PauseReason
from portal.domain.unit_of_work import unit_of_work
from tests.factories import Create, save
from tests.web.office import NOW, TUESDAY, URL, Office, clock, office

__all__ = ["clock", "office"]

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
SKIPPED = "That time does not exist on Sun 28 Mar 2027: the clocks go forward"
MOVED = "This visit was moved or reassigned meanwhile; look at it again."


def messages(office: Office) -> list[str]:
    """Return the kinds of the messages to customers decided so far."""
    office.session.rollback()
    query = select(Message.kind).where(Message.customer_id.is_not(None), Message.channel == "email")
    return list(office.session.scalars(query.order_by(Message.id)))


def press(office: Office, job: Job, act: str, **data: Any) -> Any:
    """Open the form of ``act`` and send it with ``data``."""
    assert office.site.get(office.at(job, act)).status_code == 200
    return office.site.submit(data, action=f"/{act}")


def send_scan(office: Office, job: Job, data: bytes, name: str = "signed.pdf") -> Any:
    """Record a paper signature with ``data`` as the scan."""
    answer = press(office, job, "sign_contract", file=(io.BytesIO(data), name))
    for one in (*answer.history, answer):
        # The test client leaves the file it sends from open.
        one.request.environ["wsgi.input"].close()
    return answer


def in_progress(office: Office, *steps: str) -> Job:
    """Make an installation for today and take its visit through ``steps``."""
    job = office.create(start=NOW + HOUR, technician=office.ines)
    office.work_through(job, *steps)
    return job


def as_customer(office: Office) -> Actor:
    return Actor(
        None, Role.CUSTOMER, "Priya Raman", frozenset({office.partner.id}), customer_ids=frozenset({office.customer.id})
    )


@pytest.mark.row("P9")
def test_assign_from_the_page(office: Office) -> None:
    job = office.create()
    office.site.get(office.at(job))
    assert {"Assign", "Reject"} <= set(office.buttons(".head"))
    assert "Reassign" not in office.buttons(".head")
    press(office, job, "assign", technician=str(office.ines.id))
    assert office.site.url == office.at(job)
    assert "D-1001 is assigned." in office.site.text
    assert office.job(job).status == "INSTALLER_ASSIGNED"
    office.site.get(office.at(job))
    assert "Reassign" in office.buttons(".head")
    assert not {"Assign", "Reject"} & set(office.buttons(".head"))


@pytest.mark.row("P9")
def test_in_a_dialog_over_the_list_the_filters_survive(office: Office) -> None:
    job = office.create()
    headers = {"HX-Request": "true", "HX-Current-URL": f"http://localhost{URL}?group=Scheduled&q=raman#main"}
    office.site.get(office.at(job, "assign"), headers=headers)
    answer = office.site.submit({"technician": str(office.ines.id)}, action="/assign", headers=headers)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, f"{URL}?group=Scheduled&q=raman")


@pytest.mark.parametrize("over", ["https://evil.example/admin/installations/", "http://localhost/my/", "", "::"])
def test_a_dialog_never_leads_anywhere_else(office: Office, over: str) -> None:
    job = office.create()
    headers = {"HX-Request": "true", "HX-Current-URL": over}
    office.site.get(office.at(job, "reject"), headers=headers)
    answer = office.site.submit({"reason": "No room"}, action="/reject", headers=headers)
    assert answer.headers["HX-Redirect"] == office.at(job)


@pytest.mark.row("P9")
def test_reassign_on_the_way_ends_the_departure(office: Office) -> None:
    job = in_progress(office, "set_off")
    press(office, job, "reassign", technician=str(office.tomas.id))
    assert office.job(job).status == "INSTALLER_ASSIGNED"
    visit = office.visits(job)[0]
    assert (visit.status, visit.technician_id, visit.on_the_way_at) == ("SCHEDULED", office.tomas.id, None)


@pytest.mark.row("P9")
@pytest.mark.parametrize(
    ("technician", "text"),
    [("", "Choose who comes"), ("abc", "Choose who comes"), ("same", "Ines Kowalski has this installation already.")],
)
def test_a_wrong_technician_is_an_error_at_the_field(office: Office, technician: str, text: str) -> None:
    job = office.create(technician=office.ines)
    answer = press(office, job, "reassign", technician=str(office.ines.id) if technician == "same" else technician)
    assert answer.status_code == 422
    assert [link.text for link in office.site.page.select(".error-summary a")] == [text]
    assert office.site.page.select_one("#technician-error").text == text  # type: ignore[union-attr]


@pytest.mark.row("P9")
def test_a_booked_technician_is_named_as_such_before_and_refused_after(office: Office) -> None:
    office.create(technician=office.ines)
    job = office.create()
    office.site.get(office.at(job, "assign"))
    assert "Ines Kowalski (Ines Kowalski is booked at that time.)" in office.site.text
    answer = office.site.submit({"technician": str(office.ines.id), "despite_warnings": "y"}, action="/assign")
    assert answer.status_code == 422
    assert office.job(job).technician_id is None


@pytest.mark.row("P9")
def test_outside_hours_staff_may_insist(office: Office) -> None:
    job = office.create(start=TUESDAY.replace(hour=20))
    answer = press(office, job, "assign", technician=str(office.ines.id))
    assert answer.status_code == 422
    assert "Assign anyway" in office.site.text
    office.site.submit({"despite_warnings": "y"}, action="/assign")
    assert office.job(job).technician_id == office.ines.id


@pytest.mark.row("P9")
@pytest.mark.parametrize("act", ["assign", "reject"])
def test_a_hidden_button_posted_by_hand_is_refused_in_the_tables_words(office: Office, act: str) -> None:
    job = office.create(technician=office.ines)
    label = {"assign": "Assign", "reject": "Reject"}[act]
    told = f"“{label}” is not possible while the status is “Installer assigned”; it needs “Scheduled”."
    data = {"technician": str(office.tomas.id), "reason": "No"}
    for answer in (
        office.site.get(office.at(job, act)),
        office.site.post(office.at(job, act), data),
        office.site.post(office.at(job, act), {}),
        office.site.get(office.at(job, act), headers={"HX-Request": "true"}),
    ):
        assert answer.status_code == 409
        assert told in answer.get_data(as_text=True)
    assert (office.job(job).status, office.job(job).technician_id) == ("INSTALLER_ASSIGNED", office.ines.id)
    assert [entry.action for entry in office.history(job)] == ["schedule", "assign"]


@pytest.mark.row("P10")
@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("", "Enter a reason"),
        ("  \n ", "Enter a reason"),
        ("x" * 10_000, "Use 2000 characters or fewer."),
    ],
)
def test_reject_wants_a_reason(office: Office, reason: str, text: str) -> None:
    job = office.create()
    answer = press(office, job, "reject", reason=reason)
    assert answer.status_code == 422
    assert office.site.page.title.text.startswith("Error:")  # type: ignore[union-attr]
    assert office.site.page.select_one(".error-summary a")["href"] == "#reason"  # type: ignore[index]
    assert office.site.page.select_one("#reason-error").text == text  # type: ignore[union-attr]
    assert office.job(job).status == "SCHEDULED"


@pytest.mark.row("P10")
def test_rejecting_keeps_the_reason_and_is_final(office: Office) -> None:
    job = office.create()
    press(office, job, "reject", reason="No room for the battery 😀")
    assert (office.job(job).status, office.job(job).reject_reason) == ("REJECTED", "No room for the battery 😀")
    assert office.visits(job)[0].status == "CANCELLED"
    assert messages(office) == ["booked", "cancelled"]
    office.site.get(office.at(job))
    assert office.buttons(".head") == ["Create replacement"]
    assert "Rejected : No room for the battery 😀" in office.site.text
    office.site.get(URL)
    assert "No room for the battery" in office.site.text


@pytest.mark.row("P14")
def test_cancelling_keeps_the_record(office: Office) -> None:
    job = office.create(technician=office.ines)
    assert press(office, job, "cancel", reason="").status_code == 422
    press(office, job, "cancel", reason="Sold the house")
    assert (office.job(job).status, office.job(job).cancel_reason) == ("CANCELLED", "Sold the house")
    office.site.get(office.at(job))
    assert "Sold the house" in office.site.text
    assert messages(office) == ["booked", "cancelled"]
    assert office.site.get(office.at(job, "cancel")).status_code == 409


@pytest.mark.row("P14")
def test_a_visit_under_way_cannot_be_cancelled(office: Office) -> None:
    job = in_progress(office, "set_off", "arrive", "start_work")
    office.site.get(office.at(job))
    assert "Cancel installation" not in office.buttons(".head")
    answer = office.site.post(office.at(job, "cancel"), {"reason": "x"})
    assert "A visit is under way; it has to be paused or turned back first." in answer.get_data(as_text=True)
    assert office.job(job).status == "INSTALLATION_IN_PROGRESS"


@pytest.mark.row("P13")
def test_a_free_time_is_offered_and_taken_and_nobody_is_told(office: Office) -> None:
    job = office.create(technician=office.ines)
    office.create(start=TUESDAY + DAY, technician=office.ines)
    office.do(fieldwork.confirm, office.visits(job)[0].id)
    office.site.get(office.at(job, "reschedule"))
    assert "Nobody is told of the move unless this is ticked." in office.site.text
    assert office.site.page.select_one("#notify[checked]") is None
    office.site.submit({"date": "2026-11-25"}, button="Show free times", action="/reschedule")
    assert "Free times of Ines Kowalski, Wed 25 Nov" in office.site.text
    offered = [label.text.strip() for label in office.site.page.select("label.slot")]
    # Eight to six in steps of half an hour, two hours long, but for the two hours from nine.
    assert offered[:2] == ["11:00", "11:30"]
    assert offered[-2:] == ["16:00", "Another time"]
    assert "9:30 Ines Kowalski is booked at that time." in office.site.text
    slot = office.site.page.select_one("label.slot input")
    office.site.submit({"slot": str(slot["value"])}, action="/reschedule")  # type: ignore[index]
    assert office.site.url == office.at(job)
    visit = office.visits(job)[0]
    assert visit.start_at == TUESDAY.replace(day=25, hour=11)
    assert (visit.end_at - visit.start_at, visit.confirmed_at, visit.technician_id) == (2 * HOUR, None, office.ines.id)
    assert office.job(job).start_at == visit.start_at
    assert messages(office) == ["booked", "booked"]
    assert "Not confirmed yet" in office.site.text


@pytest.mark.row("P13")
def test_any_other_time_with_notice_and_agreement(office: Office) -> None:
    job = office.create(technician=office.ines)
    office.site.get(office.at(job, "reschedule"))
    office.site.submit(
        {"date": "2026-11-26", "time": "9:15", "duration": "90", "notify": "y", "agreed": "y"}, action="/reschedule"
    )
    visit = office.visits(job)[0]
    assert visit.start_at == TUESDAY.replace(day=26, minute=15)
    assert visit.end_at - visit.start_at == timedelta(minutes=90)
    assert visit.confirmed_at is not None
    assert messages(office) == ["booked", "moved"]


@pytest.mark.row("P13")
@pytest.mark.parametrize(
    ("given", "where", "text"),
    [
        ({"date": "2026-11-19", "time": "9:00"}, "date", "Choose a date and time that is not in the past"),
        ({"date": "2026-06-31", "time": "9:00"}, "date", "Enter a date that exists, such as 2026-11-20"),
        (
            {"date": "2027-03-28", "time": "1:30"},
            "time",
            "That time does not exist on Sun 28 Mar 2027: the clocks go forward",
        ),
        ({"date": "2026-11-25", "time": ""}, "time", "Choose one of the free times, or enter another time"),
        ({"date": "2026-11-25", "time": "abc"}, "time", "Enter a time such as 9:00"),
        ({"date": "2026-11-25", "time": "9:00", "duration": "x"}, "duration", "Choose a duration"),
        (
            {"date": "2026-11-25", "time": "9:00", "duration": "0"},
            "duration",
            "Choose a duration between 1 minute and 24 hours",
        ),
        (
            {"date": "2026-11-25", "slot": "2026-11-26T09:00:00+00:00"},
            "slot",
            "Those were the times of another day; choose one of this day",
        ),
        ({"date": "2026-11-25", "slot": "nonsense"}, "time", "Choose one of the free times, or enter another time"),
        ({"date": "9999-12-31", "time": "9:00"}, "date", "Choose a date within the next five years"),
    ],
)
def test_a_time_that_cannot_be_is_an_error_at_its_field(
    office: Office, given: dict[str, str], where: str, text: str
) -> None:
    job = office.create(technician=office.ines)
    answer = press(office, job, "reschedule", **given)
    assert answer.status_code == 422
    found = {str(link["href"]): link.text for link in office.site.page.select(".error-summary a")}
    assert found == {f"#{where}": text}
    assert office.site.page.select_one(f"#{where}") is not None
    assert office.visits(job)[0].start_at == TUESDAY


@pytest.mark.row("P13")
def test_a_time_taken_meanwhile_is_refused_and_nothing_moves(office: Office) -> None:
    job = office.create(technician=office.ines)
    office.site.get(office.at(job, "reschedule"))
    office.create(start=TUESDAY + DAY, technician=office.ines)
    answer = office.site.submit({"date": "2026-11-25", "time": "10:00"}, action="/reschedule")
    assert answer.status_code == 422
    assert "Ines Kowalski is booked at that time." in office.site.text
    assert office.visits(job)[0].start_at == TUESDAY


@pytest.mark.row("P13")
def test_no_reschedule_while_the_table_says_no(office: Office) -> None:
    job = in_progress(office, "set_off")
    office.site.get(office.at(job))
    assert "Reschedule" not in office.buttons(".head")
    assert office.site.post(office.at(job, "reschedule"), {"date": "2026-11-25", "time": "9:00"}).status_code == 409


@pytest.mark.row("P13")
@pytest.mark.row("J5")
def test_a_follow_up_visit_is_planned_with_a_handyman(office: Office) -> None:
    job = in_progress(office, "set_off", "arrive", "start_work")
    reason = office.session.scalars(select(PauseReason).where(PauseReason.partner_id == office.partner.id)).first()
    assert reason is not None
    visit = office.visits(job)[0]
    office.do(fieldwork.pause, visit.id, visit.move_number, reason.id)
    office.do(fieldwork.continue_later, visit.id, visit.move_number, None)
    office.site.get(office.at(job))
    assert "Needs a visit." in office.site.text
    assert "Plan follow-up visit" in office.buttons(".head")
    office.site.get(office.at(job, "reschedule"))
    office.site.submit({"date": "2026-11-25", "time": "9:00", "technician": ""}, action="/reschedule")
    ended = ("INCOMPLETE", office.ines.id)
    assert [(one.status, one.technician_id) for one in office.visits(job)] == [ended, ("SCHEDULED", None)]
    office.site.get(office.at(job, "reschedule"))
    office.site.submit(
        {"date": "2026-11-25", "time": "11:00", "technician": str(office.tomas.id)}, action="/reschedule"
    )
    assert [(one.status, one.technician_id) for one in office.visits(job)] == [ended, ("SCHEDULED", office.tomas.id)]


@pytest.mark.row("P13")
def test_a_handyman_who_became_unavailable_keeps_a_visit_that_is_moved(office: Office) -> None:
    job = office.create(technician=office.ines)
    with unit_of_work(office.session) as session:
        session.get_one(Technician, office.ines.id).status = "UNAVAILABLE"
    office.site.get(office.at(job, "reschedule"))
    office.site.submit({"date": "2026-11-25", "time": "9:00"}, action="/reschedule")
    assert office.visits(job)[0].start_at == TUESDAY + timedelta(days=1)
    assert office.visits(job)[0].technician_id == office.ines.id


@pytest.mark.row("P12")
def test_editing_changes_items_address_and_notes(office: Office) -> None:
    job = office.create(notes="Old")
    place = save(
        office.session, Address(partner_id=office.partner.id, customer_id=office.customer.id, line="3 Quarry Lane")
    )
    office.site.get(office.at(job, "edit"))
    office.site.submit(button="Add item", action="/edit")
    office.site.submit(
        {"items-1-name": "Cylinder", "items-1-quantity": "2", "address": str(place.id), "notes": "New"}, action="/edit"
    )
    changed = office.job(job)
    assert (changed.title, changed.notes, changed.address_id) == ("Heat pump, Cylinder", "New", place.id)
    office.site.get(office.at(job))
    assert "Items: 1 × Heat pump to 1 × Heat pump, 2 × Cylinder" in office.site.text
    assert "Notes: Old to New" in office.site.text


@pytest.mark.row("P12")
def test_an_edit_from_before_somebody_elses_is_shown_beside_it_and_saved_only_when_decided(office: Office) -> None:
    job = office.create(notes="Old")
    office.site.get(office.at(job, "edit"))
    stored = office.job(job)
    theirs = services.JobEdit(stored.version, stored.address_id, "Theirs", [services.ItemInput("Heat pump", 3)])
    office.do(services.edit, job.id, theirs)
    answer = office.site.submit({"notes": "Mine"}, action="/edit")
    assert answer.status_code == 409
    assert office.job(job).notes == "Theirs"
    rows = [[cell.text for cell in row.select("th,td")] for row in office.site.page.select(".conflict tbody tr")]
    assert ["Notes", "Mine", "Theirs"] in rows
    assert office.site.page.select_one("#notes").text.strip() == "Mine"  # type: ignore[union-attr]
    assert office.site.submit(action="/edit").status_code == 200
    assert office.job(job).notes == "Mine"


@pytest.mark.row("P12")
@pytest.mark.parametrize("version", ["", "abc", "-1", "999", "9" * 30])
def test_an_edit_without_a_version_is_a_conflict(office: Office, version: str) -> None:
    job = office.create(notes="Old")
    answer = press(office, job, "edit", version=version, notes="Mine")
    assert answer.status_code == 409
    assert office.job(job).notes == "Old"


@pytest.mark.row("P12")
def test_an_edit_is_read_like_the_form_that_schedules(office: Office, create_customer: Create) -> None:
    job = office.create()
    for given, text in (
        ({"items-0-name": ""}, "Add at least one item"),
        ({"items-0-quantity": "0"}, "Quantity of “Heat pump” must be 1 or more"),
        ({"notes": "x" * 10_000}, "Use 2000 characters or fewer."),
        ({"address": "abc"}, "Choose an address"),
    ):
        assert press(office, job, "edit", **given).status_code == 422
        assert [link.text for link in office.site.page.select(".error-summary a")] == [text]
    stranger = create_customer(office.partner).addresses[0].id
    assert press(office, job, "edit", address=str(stranger)).status_code == 404
    assert office.job(job).version == job.version


@pytest.mark.row("P12")
@pytest.mark.row("J10")
def test_once_the_contract_is_out_only_notes_are_open(office: Office) -> None:
    job = in_progress(office, "set_off", "arrive", "start_work", "complete")
    office.do(contracts.send_contract, job.id)
    office.site.get(office.at(job))
    assert "Edit notes" in office.site.text
    office.site.get(office.at(job, "edit"))
    assert office.site.page.select_one("#items-0-name") is None
    office.site.submit({"notes": "Called back"}, action="/edit")
    assert office.job(job).notes == "Called back"
    answer = press(office, job, "edit", **{"items-0-name": "Another"})
    assert answer.status_code == 409
    assert "Items and address can no longer be changed; only the notes can." in answer.get_data(as_text=True)
    assert office.job(job).title == "Heat pump"


@pytest.mark.row("J10")
def test_the_contract_phase_from_the_page(office: Office) -> None:
    job = in_progress(office, "set_off", "arrive", "start_work", "complete")
    office.site.get(office.at(job))
    assert office.buttons(".head") == ["Send contract"]
    press(office, job, "send_contract")
    assert office.job(job).status == "CONTRACT_SENT"
    assert press(office, job, "send_corrected_contract", reason="").status_code == 422
    press(office, job, "send_corrected_contract", reason="Wrong quantity")
    office.site.get(office.at(job))
    assert "Version 1: void" in office.site.text
    send_scan(office, job, b"%PDF-1.7 signed")
    assert office.job(job).status == "CONTRACT_SIGNED"
    contract = office.session.scalars(select(Contract).order_by(Contract.revision.desc())).first()
    assert contract is not None
    assert (contract.paper_name, contract.paper, contract.paper_type) == (
        "signed.pdf",
        b"%PDF-1.7 signed",
        "application/pdf",
    )
    press(office, job, "approve")
    assert office.job(job).status == "CUSTOMER_APPROVED"
    office.site.get(office.at(job))
    assert office.buttons(".head") == []
    assert "Customer approved" in office.site.text


@pytest.mark.row("J10")
@pytest.mark.parametrize(
    ("data", "status", "text"),
    [
        (b"", 422, "Choose the scan of the signed contract"),
        (b"MZ not a scan", 422, "Use a PDF, JPEG or PNG file of at most 10 MB"),
        (b"\x89PNG\r\n\x1a\n cut off", 422, "The picture is damaged or incomplete; scan it again"),
        (b"%PDF-" + b"0" * (10 * 1024 * 1024), 422, "Use a PDF, JPEG or PNG file of at most 10 MB"),
        (b"%PDF-" + b"0" * (12 * 1024 * 1024), 413, "That is too big"),
    ],
    ids=["empty", "program", "broken", "over", "far over"],
)
def test_what_is_no_scan_is_refused(office: Office, data: bytes, status: int, text: str) -> None:
    job = in_progress(office, "set_off", "arrive", "start_work", "complete")
    office.do(contracts.send_contract, job.id)
    answer = send_scan(office, job, data)
    assert answer.status_code == status
    assert text in office.site.text
    assert office.job(job).status == "CONTRACT_SENT"


@pytest.mark.row("J10")
def test_a_scan_of_almost_10_mb_is_taken(office: Office) -> None:
    job = in_progress(office, "set_off", "arrive", "start_work", "complete")
    office.do(contracts.send_contract, job.id)
    picture = BytesIO()
    Image.new("L", (40, 40)).save(picture, "PNG")
    data = picture.getvalue().ljust(10 * 1024 * 1024, b"0")
    assert send_scan(office, job, data, "signed.png").status_code == 200
    assert office.job(job).status == "CONTRACT_SIGNED"


@pytest.mark.row("M7")
def test_a_pending_cancel_is_undone_or_made_final(office: Office, set_controls: Create) -> None:
    set_controls(office.partner, self_service=True, cancel_cutoff_hours=0)
    for act, button, status in (
        ("undo_cancel", "Undo", "INSTALLER_ASSIGNED"),
        ("finalise_cancel", "final", "CANCELLED"),
    ):
        job = office.create(technician=office.ines)
        visit = office.visits(job)[0]
        office.do(services.cancel_by_customer, visit.id, "Ill", actor=as_customer(office))
        office.site.get(URL)
        assert "Cancelling at 10:10" in office.site.text
        office.site.get(office.at(job))
        assert "Cancelling at 10:10" in office.site.text
        assert "The customer cancels this visit: Ill" in office.site.text
        assert office.buttons(".head") == []
        assert any(button in word for word in office.buttons(".notice"))
        assert office.site.get(office.at(job, "reassign")).status_code == 409
        press(office, job, act)
        assert office.job(job).status == status
        assert office.visits(job)[0].cancel_at is None
        assert office.site.get(office.at(job, act)).status_code == 409
        if status != "CANCELLED":
            office.do(services.cancel, job.id, "Out of the way")


@pytest.mark.row("J4")
def test_the_whole_visit_by_telephone(office: Office) -> None:
    job = office.create(start=NOW + HOUR, technician=office.ines)
    telephone = 'section[aria-labelledby="s-h"]'
    office.site.get(office.at(job))
    assert office.buttons(telephone) == ["Customer confirms", "Preparing", "On my way"]
    office.site.submit(action="/confirm")
    assert office.visits(job)[0].confirmed_by == "dispatcher"
    office.site.submit(action="/prepare")
    assert office.visits(job)[0].status == "PREPARING"
    for minutes, text in (("abc", "Enter whole minutes"), ("-1", "Enter minutes between 0 and 720")):
        assert press(office, job, "set_off", minutes=minutes).status_code == 422
        assert text in office.site.text
    press(office, job, "set_off", minutes="25")
    assert (office.job(job).status, office.visits(job)[0].eta_minutes) == ("EN_ROUTE", 25)
    assert "on_the_way" in messages(office)
    office.site.get(office.at(job))
    office.site.submit(action="/arrive")
    office.site.submit(action="/start_work")
    assert office.job(job).status == "INSTALLATION_IN_PROGRESS"
    reason = office.session.scalars(select(PauseReason).where(PauseReason.partner_id == office.partner.id)).first()
    assert reason is not None
    assert press(office, job, "pause", pause_reason="abc").status_code == 422
    assert press(office, job, "pause", pause_reason="99999").status_code == 404
    press(office, job, "pause", pause_reason=str(reason.id), note="Back at two")
    assert office.visits(job)[0].status == "PAUSED"
    office.site.get(office.at(job))
    assert f"{reason.label}: Back at two" in office.site.text
    office.site.submit(action="/resume")
    # Who signed on paper is kept with what was done, as from the technician's phone.
    assert press(office, job, "complete", service_notes="All warm", signed_name="x" * 200).status_code == 422
    assert "All warm" in office.site.text
    press(office, job, "complete", service_notes="All warm", signed_name=" Priya  Raman ")
    assert (office.visits(job)[0].signed_name, office.visits(job)[0].drawing) == ("Priya Raman", None)
    assert (office.job(job).status, office.visits(job)[0].service_notes) == ("INSTALLATION_COMPLETED", "All warm")
    office.site.get(office.at(job))
    assert "Priya Raman" in office.site.page.select_one("[aria-labelledby=a-h]").text  # type: ignore[union-attr]
    assert office.site.page.select_one(telephone) is None
    assert {entry.actor_name for entry in office.history(job)} == {"Dana Okafor"}


@pytest.mark.row("J5")
def test_a_paused_visit_goes_on_another_day(office: Office) -> None:
    job = in_progress(office, "set_off", "arrive")
    reason = office.session.scalars(select(PauseReason).where(PauseReason.partner_id == office.partner.id)).first()
    assert reason is not None
    press(office, job, "pause", pause_reason=str(reason.id))
    assert press(office, job, "continue_later").status_code == 422
    assert "Choose when the visit continues" in office.site.text
    press(office, job, "continue_later", date="2026-11-25", time="9:00")
    assert [visit.status for visit in office.visits(job)] == ["INCOMPLETE", "SCHEDULED"]
    assert office.job(job).status == "INSTALLER_ASSIGNED"


@pytest.mark.row("J4")
def test_turning_back_wants_a_reason(office: Office) -> None:
    job = in_progress(office, "set_off")
    assert press(office, job, "turn_back", reason=" ").status_code == 422
    press(office, job, "turn_back", reason="Road closed")
    assert office.job(job).status == "INSTALLER_ASSIGNED"
    office.site.get(office.at(job))
    assert "Turned back : Road closed" in office.site.text


@pytest.mark.row("J4")
@pytest.mark.parametrize("number", ["", "abc", "-1", "9" * 30, "0"])
def test_a_step_from_before_a_move_is_refused(office: Office, number: str) -> None:
    job = office.create(start=NOW + HOUR, technician=office.ines)
    office.do(services.reassign, job.id, office.tomas.id)
    answer = office.site.post(office.at(job, "set_off"), {"move_number": number})
    assert answer.status_code == 409
    assert MOVED in answer.get_data(as_text=True)
    assert office.job(job).status == "INSTALLER_ASSIGNED"


@pytest.mark.row("J4")
def test_a_step_out_of_turn_is_refused_in_the_tables_words(office: Office) -> None:
    job = office.create(technician=office.ines)
    answer = office.site.get(office.at(job, "set_off"))
    assert answer.status_code == 409
    assert "This visit is planned for Tue 24 Nov, 9:00, not for today." in answer.get_data(as_text=True)
    answer = office.site.post(office.at(job, "complete"), {"move_number": "1"})
    assert (
        "“Complete” is not possible while the status is “Scheduled”; it needs “Work in progress”."
        in answer.get_data(as_text=True)
    )


def test_no_act_happens_without_its_token(office: Office) -> None:
    job = office.create()
    for act in ("assign", "reject", "cancel", "edit", "confirm"):
        assert office.site.client.post(office.at(job, act), data={"reason": "x"}).status_code == 400
    assert office.job(job).updated_at == datetime(2026, 11, 19, 10, tzinfo=UTC)


def test_a_partner_admin_may_do_the_same(office: Office, create_staff: Create) -> None:
    job = office.create()
    office.site.sign_out()
    office.site.sign_in(create_staff(office.partner, role="partner_admin"))
    press(office, job, "assign", technician=str(office.ines.id))
    assert office.job(job).status == "INSTALLER_ASSIGNED"
