"""A phone that loses its signal in the middle of a visit, in a real browser: nothing is lost or doubled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from PIL import Image
from playwright.sync_api import expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Role
from portal.domain.jobs import fieldwork
from portal.domain.jobs.models import Appointment, HistoryEntry, Job
from portal.domain.jobs.services import reassign
from portal.domain.notes.models import FieldReceipt, JobNote
from portal.domain.people.models import Partner, Technician, User
from portal.domain.photos.models import Photo
from portal.domain.scheduling.models import PauseReason
from portal.domain.unit_of_work import unit_of_work
from tests.browser.looking import DESK, PHONE, axe_complaints, overflow, sign_in
from tests.browser.test_field import zone_at_noon
from tests.factories import actor_for, save

Create = Callable[..., Any]


@pytest.fixture
def partner(create_partner: Create) -> Partner:
    made: Partner = create_partner(timezone=zone_at_noon(), phone="+44 117 496 0000")
    return made


@pytest.fixture
def user(create_user: Create) -> User:
    made: User = create_user(name="Tomás Reyes")
    return made


@pytest.fixture
def technician(partner: Partner, user: User, create_technician: Create) -> Technician:
    made: Technician = create_technician(partner, user)
    return made


@pytest.fixture
def jobs(partner: Partner, technician: Technician, create_customer: Create, create_installation: Create) -> list[Job]:
    customer = create_customer(partner, name="Callum Fraser", phone="+44 7700 900461")
    now = datetime.now(UTC)
    return [create_installation(partner, customer, technician, start=now + timedelta(hours=at)) for at in (1, 4)]


def jpeg() -> bytes:
    data = BytesIO()
    Image.new("RGB", (320, 240), "#2b4a6f").save(data, "JPEG")
    return data.getvalue()


def steps(session: Session, job: Job) -> list[tuple[str, datetime]]:
    """Return the steps of the visit as the history has them, in the order they came."""
    session.rollback()
    query = select(HistoryEntry).where(HistoryEntry.job_id == job.id, HistoryEntry.actor_role == "technician")
    told = session.scalars(query.where(HistoryEntry.subject == "visit").order_by(HistoryEntry.id))
    return [(entry.action, entry.at) for entry in told]


def draw(page: Any) -> None:
    """Draw a line into the room for a signature."""
    pad = page.locator("canvas.sign-pad")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    page.mouse.move(box["x"] + 30, box["y"] + 90)
    page.mouse.down()
    for across, down in ((80, 30), (120, 110), (200, 40), (260, 80)):
        page.mouse.move(box["x"] + across, box["y"] + down, steps=3)
    page.mouse.up()


@pytest.mark.look
@pytest.mark.row("J8")
def test_what_is_done_without_signal_is_sent_once_in_order_with_its_times(
    page: Any, session: Session, jobs: list[Job], user: User, partner: Partner, create_technician: Create,
    create_staff: Create,
) -> None:  # fmt: skip
    page.set_viewport_size(PHONE)
    sign_in(page, user)
    # Both visits are kept on the phone by the page of the day, though only one is ever opened.
    expect(page.locator("html[data-offline-ready]")).to_be_attached()
    first, second = jobs
    page.reload()
    expect(page.locator("html[data-offline-ready]")).to_be_attached()
    page.context.set_offline(True)

    page.goto(f"/field/visits/{first.appointments[0].id}")
    bar = page.locator("#sync")
    began = datetime.now(UTC)
    page.get_by_role("button", name="Preparing").click()
    expect(bar).to_contain_text("No signal. 1 waiting to send")
    page.locator("#dock").get_by_role("button", name="On my way").click()
    expect(bar).to_contain_text("2 waiting to send")
    page.locator("#dock").get_by_role("button", name="Arrived").click()
    expect(bar).to_contain_text("3 waiting to send")
    page.get_by_label("Add a note").fill("Rafters are 60 cm apart")
    page.get_by_role("button", name="Save note").click()
    expect(page.locator("#note-list")).to_contain_text("Rafters are 60 cm apart")
    page.get_by_label("Photo", exact=True).set_input_files(
        {"name": "roof.jpg", "mimeType": "image/jpeg", "buffer": jpeg()}
    )
    page.get_by_label("What it shows").fill("Roof before")
    page.get_by_role("button", name="Add photo").click()
    expect(page.locator(".photo img")).to_be_visible()
    expect(bar).to_contain_text("5 waiting to send")
    page.locator("#dock").get_by_role("button", name="Start work").click()
    expect(page.locator("#state")).to_contain_text("Work in progress")
    assert overflow(page) == 0
    assert axe_complaints(page) == []
    # The page opens again, with all of it.
    page.reload()
    expect(bar).to_contain_text("6 waiting to send")
    # The customer signs on the phone, which has no signal either.
    page.locator("#dock summary").filter(has_text="Signature of the customer").click()
    page.get_by_label("Name of who signs").fill("Callum Fraser")
    draw(page)
    assert overflow(page) == 0
    assert axe_complaints(page) == []
    page.locator("#dock").get_by_role("button", name="Complete").click()
    expect(bar).to_contain_text("7 waiting to send")
    expect(page.locator("#state")).to_contain_text("Complete")
    ended = datetime.now(UTC)
    # The next visit opens too, though it was never looked at.
    page.goto(f"/field/visits/{second.appointments[0].id}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert steps(session, first) == []

    # Meanwhile the office gives the second visit to somebody else.
    page.get_by_label("Add a note").fill("Nobody opens")
    page.get_by_role("button", name="Save note").click()
    expect(bar).to_contain_text("8 waiting to send")
    office = actor_for(create_staff(partner), Role.DISPATCHER, partner)
    ines = create_technician(partner, name="Ines Kowalski")
    with unit_of_work(session):
        reassign(session, office, datetime.now(UTC), second.id, ines.id, despite_warnings=True)

    page.goto("/field/")
    page.context.set_offline(False)
    expect(bar).to_contain_text("1 was not recorded", timeout=15_000)
    expect(bar).to_contain_text("This visit is not yours any more")
    expect(bar).to_contain_text("call the office")
    taken = steps(session, first)
    assert [name for name, _ in taken] == [
        "prepare",
        "set_off",
        "arrive",
        "add_note",
        "add_photo",
        "start_work",
        "complete",
    ]
    visit = session.get_one(Appointment, first.appointments[0].id)
    times = [visit.on_the_way_at, visit.arrived_at, visit.work_began_at]
    assert all(at is not None and began - timedelta(seconds=2) <= at <= ended for at in times)
    assert times == sorted(times)  # type: ignore[type-var]
    assert all(at > ended for _, at in taken)
    (note,) = session.scalars(select(JobNote))
    (photo,) = session.scalars(select(Photo))
    assert (note.words, photo.caption, photo.is_shared) == ("Rafters are 60 cm apart", "Roof before", False)
    assert began - timedelta(seconds=2) <= note.written_at <= photo.taken_at <= ended
    assert len(list(session.scalars(select(FieldReceipt)))) == 5
    assert (visit.status, visit.signed_name, len(visit.drawing_sha256)) == ("COMPLETE", "Callum Fraser", 64)
    page.get_by_role("button", name="Remove from this phone").click()
    expect(bar).to_be_hidden()


@pytest.mark.look
@pytest.mark.row("J8")
def test_what_waits_is_sent_by_nobody_else_and_photos_are_seen_where_they_should(
    page: Any, session: Session, jobs: list[Job], user: User, partner: Partner, create_technician: Create,
    create_user: Create, create_staff: Create,
) -> None:  # fmt: skip
    colleague = create_user(name="Ines Kowalski")
    create_technician(partner, colleague)
    page.set_viewport_size(PHONE)
    sign_in(page, user)
    expect(page.locator("html[data-offline-ready]")).to_be_attached()
    visit = jobs[0].appointments[0]
    page.goto(f"/field/visits/{visit.id}")
    expect(page.locator("html[data-offline-ready]")).to_be_attached()
    page.context.set_offline(True)
    page.get_by_label("Photo", exact=True).set_input_files(
        {"name": "roof.jpg", "mimeType": "image/jpeg", "buffer": jpeg()}
    )
    page.get_by_label("Share with customer").check()
    page.get_by_role("button", name="Add photo").click()
    bar = page.locator("#sync")
    expect(bar).to_contain_text("No signal. 1 waiting to send")

    # The session ends meanwhile: it waits, and says for what.
    signed_in = page.context.cookies()
    page.context.clear_cookies()
    page.context.set_offline(False)
    expect(bar).to_contain_text("You are signed out. 1 waiting to send")
    expect(page.get_by_role("link", name="Sign in to send")).to_be_visible()
    # A colleague takes the phone: nothing of it is theirs to see or to send.
    sign_in(page, colleague)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator("html[data-offline-ready]")).to_be_attached()
    expect(bar).to_be_hidden()
    assert page.evaluate("path => caches.match(path)", f"/field/visits/{visit.id}") is None
    assert list(session.scalars(select(Photo))) == []
    session.rollback()
    page.context.clear_cookies()
    page.context.add_cookies(signed_in)
    page.goto(f"/field/visits/{visit.id}")
    expect(page.locator("#photo-list")).to_contain_text("Shared")
    expect(bar).to_be_hidden()
    session.rollback()
    (photo,) = session.scalars(select(Photo))
    assert photo.is_shared

    # Work that is not finished today is paused and planned anew without signal too.
    reason = save(session, PauseReason(partner_id=partner.id, label="Crane is late"))
    technician = session.scalars(select(Technician).where(Technician.user_id == user.id)).one()
    actor = actor_for(user, Role.TECHNICIAN, partner, technician_id=technician.id)
    for step in (fieldwork.set_off, fieldwork.arrive, fieldwork.start_work):
        with unit_of_work(session):
            step(session, actor, datetime.now(UTC), visit.id, visit.move_number)
    page.reload()
    expect(page.locator("html[data-offline-ready]")).to_be_attached()
    page.context.set_offline(True)
    dock = page.locator("#dock")
    dock.get_by_role("link", name="Pause").click()
    dock.get_by_label(reason.label).check()
    dock.get_by_role("button", name="Pause").click()
    expect(bar).to_contain_text("1 waiting to send")
    dock.locator("summary").filter(has_text="Continue another day").click()
    day = (datetime.now(ZoneInfo(partner.timezone)) + timedelta(days=3)).date()
    dock.get_by_label("Date").fill(day.isoformat())
    dock.get_by_role("button", name="Continue another day").click()
    # A date without a time is told at once.
    expect(dock.get_by_label("Time")).to_be_focused()
    expect(bar).to_contain_text("1 waiting to send")
    assert overflow(page) == 0
    assert axe_complaints(page) == []
    dock.get_by_label("Time").fill("10:30")
    dock.get_by_role("button", name="Continue another day").click()
    expect(bar).to_contain_text("2 waiting to send")
    page.context.set_offline(False)
    expect(bar).to_be_hidden()
    expect(page.locator("#state .tag-wait")).to_have_count(0)
    assert [name for name, _ in steps(session, jobs[0])][-3:] == ["pause", "book", "continue_later"]
    planned = session.scalars(select(Appointment).where(Appointment.previous_id == visit.id)).one()
    assert f"{planned.start_at.astimezone(ZoneInfo(partner.timezone)):%Y-%m-%d %H:%M}" == f"{day} 10:30"

    page.context.clear_cookies()
    sign_in(page, create_staff(partner))
    page.goto(f"/admin/installations/{jobs[0].id}")
    for size in (PHONE, DESK):
        page.set_viewport_size(size)
        expect(page.locator(".photos img")).to_be_visible()
        assert axe_complaints(page) == []
        assert overflow(page) == 0
    page.get_by_role("link", name="Add a photo").click()
    page.locator("dialog").get_by_label("Photo", exact=True).set_input_files(
        {"name": "roof.svg", "mimeType": "image/svg+xml", "buffer": b"<svg/>"}
    )
    page.locator("dialog").get_by_role("button", name="Add photo").click()
    expect(page.locator("dialog #photo-error")).to_contain_text("this file is none")


@pytest.mark.look
@pytest.mark.row("J8")
def test_what_answers_a_form_is_not_asked_for_as_a_page(page: Any, jobs: list[Job], user: User) -> None:
    page.set_viewport_size(PHONE)
    sign_in(page, user)
    asked: list[tuple[str, int]] = []
    page.on("response", lambda answer: asked.append((answer.request.method, answer.status)))
    page.goto(f"/field/visits/{jobs[0].appointments[0].id}")
    expect(page.locator("html[data-offline-ready]")).to_be_attached()
    page.get_by_role("button", name="Save note").click()
    expect(page.locator(".error-summary")).to_be_visible()
    expect(page.locator("html[data-offline-ready]")).to_be_attached()
    assert {method for method, status in asked if status >= 400} == {"POST"}


@pytest.mark.look
@pytest.mark.row("J8")
def test_a_half_written_note_outlasts_a_step_and_the_signal_that_comes_back(
    page: Any, jobs: list[Job], user: User
) -> None:
    page.set_viewport_size(PHONE)
    sign_in(page, user)
    page.goto(f"/field/visits/{jobs[0].appointments[0].id}")
    note, dock = page.get_by_label("Add a note"), page.locator("#dock")
    expect(page.locator("html[data-offline-ready]")).to_be_attached()
    note.fill("Rafters are")
    dock.get_by_role("button", name="Preparing").click()
    expect(page.locator("#state")).to_contain_text("Preparing")
    expect(note).to_have_value("Rafters are")
    page.context.set_offline(True)
    dock.get_by_role("button", name="On my way").click()
    expect(page.locator("#sync")).to_contain_text("1 waiting to send")
    note.fill("Rafters are 60 cm")
    page.context.set_offline(False)
    expect(page.locator("#sync")).to_be_hidden()
    expect(page.locator("#state .tag-wait")).to_have_count(0)
    expect(note).to_have_value("Rafters are 60 cm")
    # What was sent is not on the page again.
    page.get_by_role("button", name="Save note").click()
    expect(page.locator("#note-list")).to_contain_text("Rafters are 60 cm")
    expect(note).to_have_value("")
    # What is refused later says why, in sentences.
    page.context.set_offline(True)
    odd = {"name": "roof.txt", "mimeType": "text/plain", "buffer": b"no picture"}
    page.get_by_label("Photo", exact=True).set_input_files(odd)
    page.get_by_role("button", name="Add photo").click()
    expect(page.locator("#sync")).to_contain_text("1 waiting to send")
    page.context.set_offline(False)
    expect(page.locator("#sync")).to_contain_text("this file is none. If you did it all the same")


@pytest.mark.look
@pytest.mark.row("J8")
@pytest.mark.parametrize("signal", [False, True])
def test_a_step_of_a_visit_that_went_to_somebody_else_is_refused_on_a_page_that_opens(
    page: Any, session: Session, jobs: list[Job], user: User, partner: Partner, create_technician: Create,
    create_staff: Create, signal: bool,
) -> None:  # fmt: skip
    page.set_viewport_size(PHONE)
    sign_in(page, user)
    page.goto(f"/field/visits/{jobs[0].appointments[0].id}")
    expect(page.locator("html[data-offline-ready]")).to_be_attached()
    page.context.set_offline(not signal)
    if not signal:
        page.locator("#dock").get_by_role("button", name="Preparing").click()
        expect(page.locator("#sync")).to_contain_text("1 waiting to send")
    dispatcher, other = actor_for(create_staff(partner), Role.DISPATCHER, partner), create_technician(partner)
    with unit_of_work(session):
        reassign(session, dispatcher, datetime.now(UTC), jobs[0].id, other.id, despite_warnings=True)
    if signal:
        page.locator("#dock").get_by_role("button", name="Preparing").click()
    page.context.set_offline(False)
    page.wait_for_url("**/field/")
    expect(page.locator("#sync")).to_contain_text("This visit is not yours any more.")
    assert steps(session, jobs[0]) == []
