"""What a phone sends by script, late or twice: taken once, with the time it happened, or refused with the reason."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from flask import Flask
from PIL import Image, ImageDraw
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Role
from portal.domain.jobs.models import Appointment, HistoryEntry, Job
from portal.domain.jobs.services import reassign
from portal.domain.messages.models import Message
from portal.domain.notes.models import FieldReceipt, JobNote
from portal.domain.people.models import Customer, Partner, User
from portal.domain.photos.models import Photo
from portal.domain.scheduling.models import PauseReason
from portal.domain.scheduling.zones import instant_of
from portal.domain.unit_of_work import unit_of_work
from tests.factories import actor_for, save
from tests.helpers import Site, fields_of, soup

Create = Callable[..., Any]
pytestmark = pytest.mark.row("J8")

NOW = datetime(2026, 11, 24, 8, 40, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Coordinates]:
    with time_machine.travel(NOW, tick=False) as coordinates:
        yield coordinates


@pytest.fixture
def partner(create_partner: Create) -> Partner:
    made: Partner = create_partner(name="Brightwell")
    return made


@pytest.fixture
def user(create_user: Create) -> User:
    made: User = create_user(name="Tomás Reyes")
    return made


@pytest.fixture
def customer(partner: Partner, create_user: Create, create_customer: Create) -> Customer:
    made: Customer = create_customer(partner, create_user(name="Callum Fraser"))
    return made


@pytest.fixture
def visit(
    partner: Partner, user: User, customer: Customer, create_technician: Create, create_installation: Create
) -> Appointment:
    technician = create_technician(partner, user)
    job: Job = create_installation(partner, customer, technician, start=NOW + 20 * MINUTE, now=NOW - 72 * HOUR)
    return job.appointments[0]


class Phone:
    """A technician's phone as its script sends things."""

    def __init__(self, site: Site, user: User, visit: Appointment) -> None:
        self.site, self.visit = site, visit
        site.sign_in(user)

    def greeting(self) -> Any:
        return self.site.client.get("/field/token", headers={"Accept": "application/json"})

    def send(self, what: str, at: datetime | None = None, **values: Any) -> tuple[int, str]:
        """Send a step, a note or a photo as of ``at``; returns the answer and the reason."""
        fields = {"csrf_token": self.greeting().json["token"], "move_number": self.visit.move_number, **values}
        if at is not None:
            fields["happened_at"] = at.isoformat().replace("+00:00", "Z")
        url = f"/field/visits/{self.visit.id}/{what}"
        answer = self.site.client.post(url, data=fields, headers={"Accept": "application/json"})
        assert answer.mimetype == "application/json"
        return answer.status_code, answer.json.get("message", "")


@pytest.fixture
def phone(site: Site, user: User, visit: Appointment) -> Phone:
    return Phone(site, user, visit)


def now_of(session: Session, visit: Appointment) -> Appointment:
    session.rollback()
    return session.scalars(select(Appointment).where(Appointment.id == visit.id)).one()


def jpeg() -> tuple[BytesIO, str]:
    data = BytesIO()
    Image.new("RGB", (64, 48)).save(data, "JPEG")
    return BytesIO(data.getvalue()), "a.jpg"


@pytest.mark.row("J4")
def test_steps_told_late_count_once_with_the_time_they_happened(
    phone: Phone, session: Session, visit: Appointment, clock: time_machine.Coordinates
) -> None:
    key = "{:0>32}".format
    clock.move_to(NOW + 50 * MINUTE)
    first = phone.send("set_off", NOW, minutes=25, client_key=key(1))
    assert first == (200, "")
    assert phone.send("arrive", NOW + 20 * MINUTE, client_key=key(2)) == (200, "")
    assert phone.send("start_work", NOW + 25 * MINUTE, client_key=key(3)) == (200, "")
    reached = now_of(session, visit)
    assert (reached.status, reached.on_the_way_at, reached.arrived_at, reached.work_began_at) == (
        "WORK_IN_PROGRESS", NOW, NOW + 20 * MINUTE, NOW + 25 * MINUTE,
    )  # fmt: skip
    told = list(session.scalars(select(HistoryEntry).where(HistoryEntry.action == "set_off")))
    assert {entry.at for entry in told} == {NOW + 50 * MINUTE}
    assert told[0].after["happened_at"] == NOW.isoformat()
    # The customer is told once, and with an arrival that counts from the departure.
    sent = list(session.scalars(select(Message.id).where(Message.kind == "on_the_way")))
    assert len(sent) == len(set(sent)) > 0

    # The answer was lost, and all of it comes again, out of order even: nothing happens.
    before = len(list(session.scalars(select(HistoryEntry.id))))
    for number, name in ((3, "start_work"), (1, "set_off"), (2, "arrive")):
        assert phone.send(name, NOW + 25 * MINUTE, client_key=key(number)) == (200, "")
    after = now_of(session, visit)
    assert (after.status, after.on_the_way_at) == ("WORK_IN_PROGRESS", NOW)
    assert len(list(session.scalars(select(HistoryEntry.id)))) == before
    receipts = list(session.scalars(select(FieldReceipt).order_by(FieldReceipt.id)))
    assert [(one.step, one.happened_at, one.received_at) for one in receipts] == [
        ("set_off", NOW, NOW + 50 * MINUTE),
        ("arrive", NOW + 20 * MINUTE, NOW + 50 * MINUTE),
        ("start_work", NOW + 25 * MINUTE, NOW + 50 * MINUTE),
    ]


@pytest.mark.row("J5")
def test_getting_ready_and_continuing_another_day_are_told_late_and_count_once(
    phone: Phone, session: Session, partner: Partner, visit: Appointment
) -> None:
    reason = save(session, PauseReason(partner_id=partner.id, label="Crane is late"))
    at = NOW - HOUR
    told: list[tuple[str, dict[str, Any]]] = [
        ("prepare", {}),
        ("set_off", {}),
        ("arrive", {}),
        ("pause", {"pause_reason": reason.id}),
    ]
    for number, (name, values) in enumerate(told):
        phone.site.get(f"/field/visits/{visit.id}")
        # A phone without signal has the form of each step, and where it leads.
        offline = phone.site.page.select_one("#offline")
        assert offline is not None
        assert {str(one["data-step"]) for one in offline.select("template")} >= {name, "continue_later"}
        assert json.loads(str(offline["data-flow"]))["steps"]["continue_later"]["to"] == "INCOMPLETE"
        assert not offline.has_attr("data-begun")
        assert phone.send(name, at, client_key=f"{number:0>32}", **values) == (200, "")
    assert now_of(session, visit).on_the_way_at == at
    (ready,) = session.scalars(
        select(HistoryEntry).where(HistoryEntry.action == "prepare", HistoryEntry.subject == "visit")
    )
    assert ready.after["happened_at"] == at.isoformat()
    # Work has not begun: it does not go without a day.
    assert phone.send("continue_later", at) == (422, "Choose when the visit continues")
    assert phone.send("continue_later", at, day="2026-11-26") == (422, "Enter the time as well")
    for clock in ("09:00", "09:00", "10:00"):
        sent = {"day": "2026-11-26", "clock": clock, "client_key": "c" * 32}
        assert phone.send("continue_later", at, **sent) == (200, "")
    ended = now_of(session, visit)
    assert (ended.status, ended.ended_at) == ("INCOMPLETE", at)
    (planned,) = session.scalars(select(Appointment).where(Appointment.previous_id == visit.id))
    assert planned.start_at == instant_of(date(2026, 11, 26), time(9), ZoneInfo(partner.timezone))


def test_times_that_no_lack_of_signal_explains_are_refused_or_held_to_what_came_before(
    phone: Phone, session: Session, visit: Appointment
) -> None:
    for at, said in ((NOW + 3 * MINUTE, "clock is ahead"), (NOW - 73 * HOUR, "more than 72 hours old")):
        status, reason = phone.send("set_off", at, client_key="a" * 32)
        assert (status, said in reason) == (422, True)
    for text in ("yesterday", "2026-11-24T08:00:00", "2026-11-24", "9" * 400, "0001-01-01T00:00:00+14:00"):
        fields = {"csrf_token": phone.greeting().json["token"], "move_number": visit.move_number, "happened_at": text}
        for what in ("set_off", "notes", "photos"):
            answer = phone.site.client.post(f"/field/visits/{visit.id}/{what}", data=fields)
            assert answer.status_code in {400, 422}, (what, text)
    assert now_of(session, visit).status == "SCHEDULED"
    # A little ahead is now; before the step that came before is with it.
    assert phone.send("set_off", NOW + MINUTE) == (200, "")
    assert phone.send("arrive", NOW - HOUR) == (200, "")
    reached = now_of(session, visit)
    assert (reached.on_the_way_at, reached.arrived_at) == (NOW, NOW)


def test_what_has_become_impossible_says_why(
    phone: Phone,
    session: Session,
    partner: Partner,
    visit: Appointment,
    create_staff: Create,
    create_technician: Create,
) -> None:
    # A step that is not the next one, one with input that cannot be, one from before the office took it away.
    status, reason = phone.send("complete", NOW, client_key="c" * 32)
    assert status == 409
    assert reason
    assert phone.send("set_off", NOW, minutes="many")[0] == 422
    assert phone.send("set_off", NOW) == (200, "")
    assert phone.send("pause", NOW)[0] in {409, 422}
    assert phone.send("turn_back", NOW, reason="Road closed") == (200, "")
    status, reason = phone.send("set_off", NOW, client_key="d" * 32)
    assert (status, "moved or reassigned" in reason) == (409, True)
    # It left no receipt: sent again with the right number it is taken.
    assert phone.send("set_off", NOW, client_key="d" * 32, move_number=visit.move_number + 1) == (200, "")
    office, ines = actor_for(create_staff(partner), Role.DISPATCHER, partner), create_technician(partner)
    with unit_of_work(session):
        reassign(session, office, NOW, visit.job_id, ines.id, despite_warnings=True)
    for what in ("arrive", "notes", "photos"):
        assert phone.send(what, NOW, note="Mine", client_key="e" * 32)[0] == 404


def test_notes_are_for_the_office_and_service_notes_for_the_customer_once_it_is_over(
    app: Flask,
    phone: Phone,
    session: Session,
    partner: Partner,
    customer: Customer,
    visit: Appointment,
    create_staff: Create,
) -> None:
    for _ in range(2):
        assert phone.send("notes", NOW - HOUR, note="Rafters are <b>60 cm</b> apart", client_key="n" * 32) == (200, "")
        assert phone.send("photos", NOW - HOUR, photo=jpeg(), client_key="p" * 32) == (200, "")
    (note,), (photo,) = session.scalars(select(JobNote)), session.scalars(select(Photo))
    assert (note.written_at, note.added_at, photo.taken_at) == (NOW - HOUR, NOW, NOW - HOUR)
    site = phone.site
    site.get(f"/field/visits/{visit.id}")
    assert "You, today, 7:40" in site.text
    answer = site.submit({"note": "   "}, action="/notes")
    assert answer.status_code == 422
    assert "Enter a note" in site.page.select_one("#note-error").text  # type: ignore[union-attr]
    assert site.submit({"note": "x" * 2001}, action="/notes").status_code == 422

    for name in ("set_off", "arrive", "start_work"):
        assert phone.send(name) == (200, "")
    site.get(f"/field/visits/{visit.id}")
    button = site.page.select_one("button[formaction]")
    assert button is not None
    assert button["formaction"] == f"/field/visits/{visit.id}/service_notes"
    site.post(str(button["formaction"]), {"service_notes": "South roof done"})
    site.get(f"/field/visits/{visit.id}")
    assert site.page.select_one("#service_notes").text.strip() == "South roof done"  # type: ignore[union-attr]

    theirs, office = Site(app.test_client()), Site(app.test_client())
    theirs.sign_in(customer.email)
    office.sign_in(create_staff(partner))
    assert "South roof done" not in theirs.get(f"/my/visits/{visit.id}").get_data(as_text=True)
    site.submit({"service_notes": "Both roofs done"}, action="/complete")
    page = theirs.get(f"/my/visits/{visit.id}").get_data(as_text=True)
    assert "Both roofs done" in page
    assert "Rafters" not in page
    assert "Rafters are <b>60 cm</b> apart" in soup(office.get(f"/admin/installations/{visit.job_id}")).get_text()
    assert phone.send("service_notes", service_notes="Else")[0] == 409
    assert phone.send("notes", note="Key is back") == (200, "")


def drawn(width: int = 300, height: int = 120, stroke: bool = True) -> str:
    """Return a drawing as a page sends it."""
    picture = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    if stroke:
        ImageDraw.Draw(picture).line([(10, 90), (90, 20), (200, 100)], fill=(20, 20, 40, 255), width=4)
    data = BytesIO()
    picture.save(data, "PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def filled_in(site: Site) -> dict[str, str]:
    """Return what the form that completes the visit is filled in with."""
    return {name: values[0].strip() for name, values in fields_of(site.form("/complete")).items()}


@pytest.mark.row("J6", "J8")
def test_a_signature_is_kept_with_the_visit_and_seen_by_its_customer_and_the_office_alone(
    app: Flask,
    phone: Phone,
    session: Session,
    partner: Partner,
    customer: Customer,
    visit: Appointment,
    create_staff: Create,
    create_user: Create,
    create_customer: Create,
) -> None:
    for name in ("set_off", "arrive", "start_work"):
        assert phone.send(name) == (200, "")
    site, url = phone.site, f"/field/visits/{visit.id}"
    site.get(url)
    # Notes that are kept for now do not lose what was signed already.
    typed = {"service_notes": "Roof done", "signed_name": "Callum Fraser", "drawing": drawn()}
    answer = site.post(f"{url}/service_notes", typed)
    assert answer.status_code == 200
    assert {name: filled_in(site)[name] for name in typed} == typed
    assert now_of(session, visit).signed_name == ""

    # Sent late and twice it counts once, with the time it happened.
    sent = {"service_notes": "Roof done", "signed_name": " Callum  Fraser ", "drawing": drawn(), "client_key": "s" * 32}
    assert phone.send("complete", NOW - MINUTE, **sent) == (200, "")
    assert phone.send("complete", NOW - MINUTE, **{**sent, "signed_name": "Else"}) == (200, "")
    signed = now_of(session, visit)
    assert (signed.status, signed.signed_name, signed.service_notes) == ("COMPLETE", "Callum Fraser", "Roof done")
    assert signed.drawing is not None
    assert sha256(signed.drawing).hexdigest() == signed.drawing_sha256
    (told,) = session.scalars(
        select(HistoryEntry).where(HistoryEntry.action == "complete", HistoryEntry.subject == "visit")
    )
    assert told.after["signed_by"] == "Callum Fraser"
    assert "Signed by Callum Fraser" in soup(site.get(url)).get_text()

    theirs, office, other = (Site(app.test_client()) for _ in range(3))
    theirs.sign_in(customer.email)
    office.sign_in(create_staff(partner))
    other.sign_in(create_customer(partner, create_user()).email)
    for reader, page, picture in (
        (theirs, f"/my/visits/{visit.id}", f"/my/visits/{visit.id}/signature"),
        (office, f"/admin/installations/{visit.job_id}", f"/admin/installations/visits/{visit.id}/signature"),
    ):
        reader.get(page)
        assert "Signed by Callum Fraser" in reader.text
        shown = reader.page.select_one("img.signature")
        assert shown is not None
        assert (shown["src"], shown["alt"]) == (picture, "Signature of Callum Fraser")
        file = reader.client.get(picture)
        assert (file.mimetype, file.headers["Cache-Control"]) == ("image/png", "private, no-cache")
        assert Image.open(BytesIO(file.data)).mode == "LA"
        again = reader.client.get(picture, headers={"If-None-Match": file.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")
    assert other.client.get(f"/my/visits/{visit.id}/signature").status_code == 404
    assert site.client.get(f"/admin/installations/visits/{visit.id}/signature").status_code == 403
    assert Site(app.test_client()).client.get(f"/my/visits/{visit.id}/signature").status_code == 302


def test_a_signature_that_is_none_is_told_at_its_field_and_loses_nothing(
    app: Flask, phone: Phone, session: Session, customer: Customer, visit: Appointment
) -> None:
    for name in ("set_off", "arrive", "start_work"):
        assert phone.send(name) == (200, "")
    site, head = phone.site, "data:image/png;base64,"
    name, picture = {"signed_name": "Callum Fraser"}, drawn()
    broken = {**name, "drawing": picture[: len(picture) // 2 // 4 * 4]}
    too_large = {**name, "drawing": head + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"x" * 250_000).decode()}
    for sent, at, said in (
        ({**name, "drawing": drawn(stroke=False)}, "drawing", "Nothing is drawn"),
        ({**name, "drawing": "data:image/svg+xml,<svg/>"}, "drawing", "could not be read"),
        ({**name, "drawing": head}, "drawing", "could not be read"),
        (broken, "drawing", "could not be read"),
        (too_large, "drawing", "too large"),
        ({**name, "drawing": drawn(5000, 20)}, "drawing", "too large"),
        ({"signed_name": " ", "drawing": picture}, "signed_name", "Type the name of who signed"),
        ({"signed_name": "x" * 121, "drawing": picture}, "signed_name", "120"),
    ):
        site.get(f"/field/visits/{visit.id}")
        answer = site.submit({"service_notes": "Roof done", **sent}, action="/complete")
        assert answer.status_code == 422, said
        error = site.page.select_one(f".error-summary a[href='#{at}']")
        assert error is not None, said
        assert said in error.text
        kept = filled_in(site)
        assert kept["service_notes"] == "Roof done"
        assert kept["signed_name"] == sent["signed_name"].strip()
        # What cannot be read is not offered again; a name that is missing does not lose the drawing.
        assert kept["drawing"] == (picture if at == "signed_name" else "")
        status, reason = phone.send("complete", service_notes="Roof done", **sent)
        assert (status, said in reason) == (422, True)
    assert now_of(session, visit).status == "WORK_IN_PROGRESS"
    # Without JavaScript, and for who does not want to draw, the name alone counts.
    site.get(f"/field/visits/{visit.id}")
    site.submit({**name, "service_notes": "Roof done"}, action="/complete")
    signed = now_of(session, visit)
    assert (signed.status, signed.signed_name, signed.drawing_sha256) == ("COMPLETE", "Callum Fraser", "")
    theirs = Site(app.test_client())
    theirs.sign_in(customer.email)
    theirs.get(f"/my/visits/{visit.id}")
    assert "Signed by Callum Fraser" in theirs.text
    assert not theirs.page.select("img.signature")
    assert theirs.client.get(f"/my/visits/{visit.id}/signature").status_code == 404


def test_a_phone_learns_whose_it_is_and_a_stranger_nothing(app: Flask, phone: Phone, user: User) -> None:
    said = phone.greeting()
    assert said.headers["Cache-Control"] == "no-store"
    assert said.json["who"].startswith(f"{user.id} ")
    assert datetime.fromisoformat(said.json["now"]) == NOW
    worker = phone.site.client.get("/field/worker.js")
    assert worker.mimetype == "text/javascript"
    assert worker.headers["Cache-Control"] == "no-cache"
    worker.close()
    stranger = Site(app.test_client())
    for path in ("token", "worker.js", "offline"):
        assert stranger.client.get(f"/field/{path}").status_code == 302
    # With the token of one session nothing is sent in another.
    stranger.sign_in(user)
    fields = {"csrf_token": said.json["token"], "move_number": 0}
    answer = stranger.client.post(f"/field/visits/{phone.visit.id}/set_off", data=fields)
    assert answer.status_code == 400
