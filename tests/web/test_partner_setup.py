"""Set-up by the partner's admin: skills, reasons, branding and words, the logo, and the trail of what was changed."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from PIL import Image
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from portal.domain.actor import Actor, Role
from portal.domain.branding.models import PartnerLogo
from portal.domain.branding.pictures import MAX_BYTES
from portal.domain.errors import Conflict
from portal.domain.jobs import customer_queries, services
from portal.domain.people.models import Partner
from portal.domain.scheduling import reasons, skills
from portal.domain.scheduling.models import PauseReason, RejectReason, ServiceTypeSkill, Skill, TechnicianSkill
from portal.domain.settings_log.models import SettingChange
from portal.domain.settings_log.services import SettingKind, Subject, record_setting_change
from portal.domain.unit_of_work import unit_of_work
from portal.web import branding
from tests.factories import Create
from tests.helpers import Site
from tests.web.office import NOW, TUESDAY, Office, clock, office

__all__ = ["clock", "office"]

SETTINGS = "/admin/settings-changes/"


@pytest.fixture
def admin(app: Flask, office: Office, create_staff: Create) -> Site:
    """Alma, admin of the same partner, at a browser of her own."""
    site = Site(app.test_client())
    site.sign_in(create_staff(office.partner, role="partner_admin", name="Alma Whitcombe"))
    return site


@pytest.fixture
def alma(office: Office) -> Actor:
    """The same, for calling use cases."""
    return Actor(None, Role.PARTNER_ADMIN, "Alma Whitcombe", frozenset({office.partner.id}))


def add_skill(office: Office, alma: Actor, name: str, *technicians: Any) -> int:
    """Add a skill that the office's service type needs and these technicians have; return its key."""
    key: int = office.do(skills.create_skill, office.partner.id, name, actor=alma).id
    for technician in technicians:
        office.do(skills.set_technician_skills, technician.id, [key], actor=alma)
    with unit_of_work(office.session):
        office.session.add(ServiceTypeSkill(partner_id=office.partner.id, service_type_id=office.kind.id, skill_id=key))
    return key


def changes(office: Office) -> list[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """Return the audit trail, oldest first."""
    office.session.rollback()
    rows = office.session.scalars(select(SettingChange).order_by(SettingChange.id))
    return [(row.subject, row.name, row.before, row.after) for row in rows]


def said(site: Site, selector: str) -> list[str]:
    """Return the words of what ``selector`` finds on the page."""
    return [" ".join(tag.get_text(" ").split()) for tag in site.page.select(selector)]


# Skills


@pytest.mark.row("P16")
@pytest.mark.row("L1")
def test_skills_are_listed_given_and_needed_and_each_change_is_on_the_trail(office: Office, admin: Site) -> None:
    admin.get("/admin/skills/")
    assert "Without any, everybody can do all work." in admin.text
    for name in ("Gas licence", "Works at heights"):
        admin.get("/admin/skills/new/")
        admin.submit({"name": f" {name} "}, button="Add skill")
    for name, status in (("Gas licence", 422), ("", 422), ("\u200b", 422), ("x" * 81, 422)):
        admin.get("/admin/skills/new/")
        assert admin.submit({"name": name}, button="Add skill").status_code == status
    gas, heights = office.session.scalars(select(Skill.id).order_by(Skill.id))
    office.session.rollback()

    admin.get(f"/admin/service-types/edit/?id={office.kind.id}")
    admin.submit({"skill_ids": [str(gas), str(heights)]}, button="Save Heat pump")
    assert "Gas licence, Works at heights" in admin.text
    office.site.get(f"/admin/technicians/edit/?id={office.ines.id}")
    office.site.submit({"skill_ids": [str(gas)]}, button="Save Ines")
    admin.get(f"/admin/technicians/edit/?id={office.ines.id}")
    assert [str(tick["value"]) for tick in admin.page.select("[name=skill_ids][checked]")] == [str(gas)]
    # Saved again as it is: nothing to tell.
    admin.submit(button="Save Ines")

    admin.get(f"/admin/skills/edit/?id={heights}")
    admin.submit({"name": "Ladders"}, button="Save Works at heights")
    admin.get(f"/admin/skills/edit/?id={heights}")
    admin.submit(button="Deactivate Ladders")
    admin.get(f"/admin/service-types/edit/?id={office.kind.id}")
    assert said(admin, "#skill_ids .tick") == ["Gas licence"]
    admin.submit(button="Save Heat pump")
    # Needed again as soon as it is back.
    admin.post(f"/admin/skills/{heights}/reactivate")
    admin.get("/admin/service-types/")
    assert "Gas licence, Ladders" in admin.text

    trail = changes(office)
    kind, technician = ("service_type", "Heat pump"), ("technician", "Ines Kowalski")
    assert trail[0] == ("skill", "Gas licence", {}, {"name": "Gas licence", "active": True})
    assert (*kind, {"skills": []}, {"skills": ["Gas licence", "Works at heights"]}) in trail
    assert [one for one in trail if one[0] == "technician"] == [
        (*technician, {"skills": []}, {"skills": ["Gas licence"]})
    ]
    assert trail[-3:] == [
        ("skill", "Ladders", {"name": "Works at heights"}, {"name": "Ladders"}),
        ("skill", "Ladders", {"active": True}, {"active": False}),
        ("skill", "Ladders", {"active": False}, {"active": True}),
    ]


@pytest.mark.row("M4")
@pytest.mark.row("M5")
def test_customers_get_the_times_of_those_with_the_skill_alone(
    office: Office,
    alma: Actor,
    new_session: Callable[..., Session],
    set_controls: Create,
    create_technician: Create,
    statements: list[str],
) -> None:
    set_controls(office.partner, self_service=True, notice_hours=0)
    job = office.create()
    customer = Actor(
        None, Role.CUSTOMER, "Priya", frozenset({office.partner.id}), None, frozenset({office.customer.id})
    )
    visit = office.visits(job)[0]
    wednesday = TUESDAY + timedelta(days=1)
    # Ines is just as free, and comes first by name.
    office.create(technician=office.tomas, start=wednesday, kind=office.kind)

    def offered() -> tuple[list[datetime], int]:
        session = new_session(customer.scope)
        item = customer_queries.customer_visit(session, customer, NOW, visit.id)
        statements.clear()
        offer = customer_queries.offered_times(session, item, wednesday.date())
        count = len(statements)
        (day,) = [one for one in offer.days if one.day == wednesday.date()]
        session.rollback()
        return list(day.starts), count

    free, count = offered()
    assert wednesday in free
    key = add_skill(office, alma, "Gas licence", office.tomas)
    for _ in range(5):
        create_technician(office.partner)
    # Skills and more people cost no statement.
    free, same = offered()
    assert wednesday not in free
    assert wednesday + timedelta(hours=4) in free
    assert same == count
    with pytest.raises(Conflict) as taken:
        office.do(services.move_by_customer, visit.id, wednesday, actor=customer)
    assert taken.value.refusal.code == "booked"
    office.do(services.move_by_customer, visit.id, wednesday + timedelta(hours=4), actor=customer)
    assert office.visits(job)[0].technician_id == office.tomas.id
    # Taken away from him, and nobody else has it: nobody can be moved to by themselves any more.
    office.do(skills.set_technician_skills, office.tomas.id, [], actor=alma)
    assert offered()[0] == []
    with pytest.raises(Conflict) as lacking:
        office.do(services.move_by_customer, visit.id, wednesday + timedelta(days=1), actor=customer)
    assert lacking.value.refusal.code == "skill"
    # What nothing needs any more binds nobody.
    office.do(skills.set_skill_active, key, False, actor=alma)
    assert wednesday + timedelta(hours=6) in offered()[0]


@pytest.mark.row("M4")
@pytest.mark.row("P5")
@pytest.mark.row("P9")
def test_staff_are_warned_who_lacks_a_skill_and_may_tick_past_it(office: Office, alma: Actor) -> None:
    add_skill(office, alma, "Gas licence", office.tomas)
    job, lacks = office.create(), "Ines Kowalski lacks the skill “Gas licence”."
    office.site.get(office.at(job, "assign"))
    options = said(office.site, "#technician option")
    assert f"Ines Kowalski ({lacks})" in options
    assert "Tomás Reyes" in options
    answer = office.site.submit({"technician": str(office.ines.id)})
    assert answer.status_code == 422
    assert lacks in office.site.text
    office.site.submit({"technician": str(office.ines.id), "despite_warnings": "y"})
    assert office.job(job).technician_id == office.ines.id

    query = {"q": "", "start": "2026-11-25T09:00", "minutes": "60"}
    url, unknown = "/admin/api/technicians", "987654"
    for kind, note in ((str(office.kind.id), lacks), ("", "Free then"), (unknown, "Free then"), ("x", "Free then")):
        found = office.site.client.get(url, query_string={**query, "type": kind}).get_json()
        assert [one["note"] for one in found] == [note, "Free then"], kind

    # A tick for one warning is no tick for another that was not said.
    sunday = office.create(start=TUESDAY + timedelta(days=5))
    office.site.get(office.at(sunday, "assign"))
    office.site.submit({"technician": str(office.ines.id)})
    assert f"{lacks} The visit would not lie inside the working hours of Ines Kowalski." in office.site.text
    office.site.get(office.at(job, "reschedule"))
    refused = said(office.site, "details li")
    assert refused
    assert all(lacks in one for one in refused)


# Reasons


@pytest.mark.row("J5")
@pytest.mark.row("L1")
def test_reasons_are_added_ordered_reworded_and_deactivated(office: Office, admin: Site) -> None:
    url = "/admin/pause-reasons/"

    def listed() -> list[str]:
        admin.get(url)
        return said(admin, "tbody .title")

    first = listed()
    assert first[:2] == ["Part needed", "Customer absent"]
    for label, status in (("Dog in the garden", 200), ("Part needed", 422), (" ", 422), ("x" * 81, 422)):
        admin.get(f"{url}new/")
        assert admin.submit({"label": label}, button="Add reason").status_code == status, label
    assert listed() == [*first, "Dog in the garden"]
    keys = dict(office.session.execute(select(PauseReason.label, PauseReason.id)).all())  # type: ignore[arg-type]
    dog = keys["Dog in the garden"]
    office.session.rollback()

    admin.post(f"{url}{keys['Customer absent']}/deactivate")
    for way in ("up", "up", "down", "down", "down"):
        # Down at the end of the list changes nothing.
        assert admin.post(f"{url}{dog}/{way}").status_code == 302
    for _ in range(9):
        admin.post(f"{url}{dog}/up")
    kept = [label for label in first if label != "Customer absent"]
    assert listed() == ["Dog in the garden", *kept]

    job = office.create(technician=office.ines, start=NOW + timedelta(minutes=5))
    office.work_through(job, "set_off", "arrive", "start_work")
    office.site.get(office.at(job, "pause"))
    offered = said(office.site, "#pause_reason option")
    assert offered == ["Dog in the garden", *kept]
    office.site.submit({"pause_reason": str(dog)})
    admin.get(f"{url}edit/?id={dog}")
    admin.submit({"label": "Dog loose"}, button="Save Dog in the garden")
    assert office.visits(job)[0].pause_reason == "Dog in the garden"
    admin.get(f"{url}?active=no")
    assert said(admin, "tbody .title") == ["Customer absent"]
    trail = [one for one in changes(office) if one[0] == "pause_reason"]
    assert trail[0] == ("pause_reason", "Dog in the garden", {}, {"label": "Dog in the garden", "active": True})
    assert trail[2][2:] == ({"place": 6}, {"place": 5})
    assert trail[-1][2:] == ({"label": "Dog in the garden"}, {"label": "Dog loose"})
    # Two ups, two downs, five ups to the top; what stayed where it was left no trace.
    assert len(trail) == 1 + 1 + 2 + 2 + 5 + 1


@pytest.mark.row("P10")
def test_an_installation_is_rejected_with_a_reason_of_the_list_or_words_of_ones_own(
    office: Office, alma: Actor, create_partner: Create
) -> None:
    site = office.site
    chosen = office.do(reasons.create_reason, RejectReason, office.partner.id, "Roof too weak", actor=alma).id
    retired = office.do(reasons.create_reason, RejectReason, office.partner.id, "Out of fashion", actor=alma).id
    office.do(reasons.set_reason_active, RejectReason, retired, False, actor=alma)
    theirs = create_partner()
    foreign = office.session.scalars(select(RejectReason.id).where(RejectReason.partner_id == theirs.id)).first()
    office.session.rollback()
    job = office.create()
    site.get(office.at(job, "reject"))
    assert said(site, "#chosen option")[0] == "Another reason"
    assert said(site, "#chosen option")[-1] == "Roof too weak"
    for sent, status in (
        ({}, 422),
        ({"reason": "\u200b"}, 422),
        ({"chosen": str(retired)}, 422),
        ({"chosen": "x", "reason": "No roof"}, 422),
        ({"chosen": str(chosen), "reason": "x" * 2001}, 422),
        ({"chosen": str(foreign)}, 404),
        ({"chosen": "987654"}, 404),
    ):
        site.get(office.at(job, "reject"))
        assert site.submit(sent).status_code == status, sent
    assert office.job(job).status == "SCHEDULED"
    for sent, kept in (
        ({"chosen": str(chosen)}, "Roof too weak"),
        ({"chosen": str(chosen), "reason": " Slates. "}, "Roof too weak: Slates."),
        ({"chosen": "", "reason": "Moved away"}, "Moved away"),
    ):
        job = office.create()
        site.get(office.at(job, "reject"))
        site.submit(sent)
        assert (office.job(job).status, office.job(job).reject_reason) == ("REJECTED", kept)
    # What was said stays in the words it had.
    office.do(reasons.edit_reason, RejectReason, chosen, 1, "Structure", actor=alma)
    assert office.job(job).reject_reason == "Moved away"
    assert office.history(job)[1].reason == "Moved away"


# Branding and words


@pytest.fixture
def priya(app: Flask, office: Office, create_user: Create, create_customer: Create) -> Site:
    """A customer at her browser, with a visit on Tuesday that nobody is assigned to."""
    user = create_user(name="Priya Raman")
    office.create(customer=create_customer(office.partner, user))
    site = Site(app.test_client())
    site.sign_in(user)
    return site


@pytest.mark.row("L1")
@pytest.mark.row("C1")
def test_branding_and_words_hold_at_once_wherever_they_are_read(office: Office, admin: Site, priya: Site) -> None:
    priya.get("/my/")
    assert "Appointment Confirmed" in said(priya, ".status")
    admin.get("/admin/branding/")
    values = {
        "name": "Brightwell Energy",
        "phone": "0117 496 0999",
        "colour": "#FFE08A",
        "staff_term": "Fitter",
        "customer_term": "engineer",
        "label_SCHEDULED": " Planned  for you ",
    }
    admin.submit(values, button="Preview without saving")
    assert said(admin, "#preview .status")[0] == "Planned for you"
    assert "#ffe08a is too light to be read on white; it is darkened to" in admin.text
    assert admin.page.select_one('link[href="/brand/1/ffe08a/looks.css"]') is not None
    assert changes(office) == []
    admin.submit(button="Save branding")
    assert "Saved. Everybody sees it from now on." in admin.text
    assert said(admin, ".brand")[0] == "Brightwell Energy"

    priya.get("/my/")
    assert "Planned for you" in said(priya, ".status")
    assert "Appointment Confirmed" not in priya.text
    assert "Engineer" in said(priya, "dt")
    assert "Brightwell Energy" in said(priya, ".brand")
    assert "+44 117 496 0999" in priya.text
    assert priya.page.select_one('link[href="/brand/1/ffe08a.css"]') is not None
    visit = office.visits(office.jobs()[0])[0]
    priya.get(f"/my/visits/{visit.id}")
    assert "Planned for you" in said(priya, ".status")
    # The office keeps its own words for a status.
    office.site.get("/admin/installations/")
    assert "Fitter" in said(office.site, "label")
    assert "Planned for you" not in office.site.text

    ((subject, name, before, after),) = changes(office)
    assert (subject, name) == ("branding", "Brightwell Energy")
    assert before["name"] == "Acme"
    assert after == {
        "name": "Brightwell Energy",
        "phone": "+44 117 496 0999",
        "colour": "#ffe08a",
        "staff_term": "Fitter",
        "customer_term": "engineer",
        "label_SCHEDULED": "Planned for you",
    }
    # Blank gives the usual words back.
    admin.get("/admin/branding/")
    admin.submit({"label_SCHEDULED": "\u200b", "customer_term": ""}, button="Save branding")
    priya.get("/my/")
    assert "Appointment Confirmed" in said(priya, ".status")
    assert "Technician" in said(priya, "dt")


@pytest.mark.row("L1")
def test_bad_words_and_two_admins_at_once_lose_nothing(
    app: Flask, office: Office, admin: Site, create_staff: Create
) -> None:
    admin.get("/admin/branding/")
    for field, value in (
        ("name", " "),
        ("name", "x" * 121),
        ("phone", "x"),
        ("colour", "red"),
        ("colour", "#12345"),
        ("staff_term", "x" * 31),
        ("label_PAUSED", "x" * 41),
    ):
        answer = admin.submit({field: value, "customer_term": "engineer"}, button="Save branding")
        assert answer.status_code == 422, field
        assert [str(one["href"]) for one in admin.page.select(".error-summary a")] == [f"#{field}"]
        assert admin.page.select_one("#customer_term")["value"] == "engineer"  # type: ignore[index]
        admin.get("/admin/branding/")
    assert changes(office) == []

    colleague = Site(app.test_client())
    colleague.sign_in(create_staff(office.partner, role="partner_admin"))
    colleague.get("/admin/branding/")
    colleague.submit({"staff_term": "Fitter", "label_PAUSED": "A short break"}, button="Save branding")
    answer = admin.submit({"staff_term": "Engineer"}, button="Save branding")
    assert answer.status_code == 409
    rows = {row.th.text: [cell.text for cell in row.select("td")] for row in admin.page.select(".conflict tbody tr")}
    assert rows == {
        "Telephone number": ["0117 496 0100", "+44 117 496 0100"],
        "In the office": ["Engineer", "Fitter"],
        "Paused": ["–", "A short break"],
    }
    assert admin.submit(button="Save branding").status_code == 200
    office.session.rollback()
    stored = office.session.get_one(Partner, office.partner.id, populate_existing=True)
    assert (stored.staff_term, stored.status_labels) == ("Engineer", {})


@pytest.mark.row("L1")
def test_a_colour_is_said_to_be_mended_only_where_it_was() -> None:
    assert branding.mended("#12476b").light is None
    assert branding.mended("#ffe08a").light == branding.light("#ffe08a").accent != "#ffe08a"
    assert branding.mended("#ffe08a").dark is None
    assert branding.mended("#000000").dark == branding.dark("#000000").accent


# The logo


def picture(colour: str = "#2b4a6f", kind: str = "PNG") -> tuple[BytesIO, str]:
    data = BytesIO()
    Image.new("RGB", (900, 300), colour).save(data, kind)
    return BytesIO(data.getvalue()), f"logo.{kind.lower()}"


def upload(site: Site, file: tuple[BytesIO, str]) -> int:
    site.get("/admin/branding/")
    answer = site.submit({"logo": file}, action="/logo")
    for one in (*answer.history, answer):
        # The test client leaves the file it sends from open.
        one.request.environ["wsgi.input"].close()
    return answer.status_code


@pytest.mark.row("L1")
def test_a_logo_is_shown_on_every_page_and_kept_by_browsers_for_ever(
    app: Flask, office: Office, admin: Site, priya: Site
) -> None:
    def logos(site: Site) -> list[str]:
        return [str(one["src"]) for one in site.page.select(".brand img")]

    assert upload(admin, picture()) == 200
    (address, *_) = logos(admin)
    priya.get("/my/")
    assert logos(priya) == [address]
    assert re.fullmatch(r"/brand/logo/[0-9a-f]{64}\.png", address)
    answer = app.test_client().get(address)
    assert answer.mimetype == "image/png"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in answer.headers
    assert Image.open(BytesIO(answer.data)).size == (512, 171)

    too_big = (BytesIO(picture()[0].getvalue() + bytes(MAX_BYTES)), "logo.png")
    programme = (BytesIO(b"MZ\x90\0" + bytes(200)), "logo.png")
    drawing = (BytesIO(b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"), "logo.svg")
    cut = (BytesIO(picture(kind="JPEG")[0].getvalue()[:1200]), "logo.jpg")
    for file in ((BytesIO(b""), ""), too_big, programme, drawing, cut):
        assert upload(admin, file) == 422, file[1]
        assert [str(one["href"]) for one in admin.page.select(".error-summary a")] == ["#logo"]
        assert logos(admin)[0] == address
    assert upload(admin, picture("#aa0000", "WEBP")) == 200
    (other, *_) = logos(admin)
    assert other != address
    for gone in (address, "/brand/logo/x.png", f"/brand/logo/{'0' * 64}.png", f"/brand/logo/{'0' * 9000}.png"):
        assert app.test_client().get(gone).status_code == 404
    admin.submit(action="/logo/remove")
    assert logos(admin) == []
    priya.get("/my/")
    assert logos(priya) == []
    admin.post("/admin/branding/logo/remove")
    assert office.session.scalars(select(PartnerLogo)).all() == []
    trail = [(before["logo"], after["logo"]) for _, _, before, after in changes(office)]
    assert [(bool(before), bool(after)) for before, after in trail] == [(False, True), (True, True), (True, False)]
    assert trail[0][1].startswith("512 × 171, ")


# The trail


@pytest.mark.row("L1")
def test_the_trail_is_read_by_subject_and_page_and_says_it_in_words(office: Office, admin: Site, alma: Actor) -> None:
    admin.get(SETTINGS)
    assert "No setting has been changed yet." in admin.text
    office.do(skills.create_skill, office.partner.id, "Gas licence", actor=alma)
    for number in range(24):
        office.do(reasons.create_reason, PauseReason, office.partner.id, f"Reason {number}", actor=alma)
    admin.get("/admin/feature-controls/")
    admin.submit({"self_service": "y", "max_moves": "7"}, button="Save")
    admin.get(SETTINGS)
    assert len(admin.page.select("tbody tr")) == 20
    newest = said(admin, "tbody tr:first-child td, tbody tr:first-child th")
    assert newest[1] == "Alma Whitcombe Partner admin"
    assert newest[2] == "Feature controls"
    assert "Customers may modify appointments: no → yes" in newest[3]
    assert "How often one appointment may be moved: 3 → 7" in newest[3]
    (older,) = [link for link in admin.page.select("a[href]") if "Older" in link.text]
    admin.get(str(older["href"]))
    assert len(admin.page.select("tbody tr")) == 6
    assert said(admin, "tbody tr:last-child th") == ["Skill Gas licence"]
    admin.get(f"{SETTINGS}?subject=skill")
    assert said(admin, "tbody th") == ["Skill Gas licence"]
    assert "Active: yes" in admin.text
    admin.get(f"{SETTINGS}?subject=nonsense")
    assert "Not understood and left out: Setting." in admin.text
    for path in ("new/", "edit/?id=1", "delete/"):
        assert admin.client.get(f"{SETTINGS}{path}").status_code in {404, 405}


@pytest.mark.row("L1")
def test_the_trail_keeps_what_differs_and_is_never_altered(
    engine: Engine, office: Office, alma: Actor, session: Session
) -> None:
    subject = Subject(SettingKind.SERVICE_TYPE, office.partner.id, 7, "x" * 500)
    with unit_of_work(session):
        before = {"day": datetime(2026, 12, 24, tzinfo=UTC).date(), "same": 1, "gone": [1, 2]}
        after = {
            "day": datetime(2026, 12, 25, tzinfo=UTC).date(),
            "same": 1,
            "new": datetime(2026, 1, 1, tzinfo=UTC).time(),
        }
        made = record_setting_change(session, alma, NOW, subject, before, after)
        assert record_setting_change(session, alma, NOW, subject, after, after) is None
        assert made is not None
        assert made.before == {"day": "2026-12-24", "gone": [1, 2]}
        assert made.after == {"day": "2026-12-25", "new": "00:00:00"}
        assert len(made.name) == 120
    for statement in ("UPDATE setting_changes SET name = 'other'", "DELETE FROM setting_changes"):
        with pytest.raises(DBAPIError, match="never altered"), engine.begin() as connection:
            connection.execute(text(statement))
    with pytest.raises(RuntimeError, match="never altered"), unit_of_work(session):
        session.scalars(select(SettingChange)).one().name = "other"
    with pytest.raises(RuntimeError, match="within unit_of_work"):
        record_setting_change(session, alma, NOW, subject, {}, after)
    # Refused, nothing is noted either.
    office.do(skills.create_skill, office.partner.id, "Gas licence", actor=alma)
    with pytest.raises(Exception, match="already"):
        office.do(skills.create_skill, office.partner.id, "Gas licence", actor=alma)
    assert len(changes(office)) == 2


# Whose it is


@pytest.mark.row("C7")
@pytest.mark.row("L1")
def test_set_up_is_the_admins_own_alone(
    office: Office, admin: Site, alma: Actor, create_partner: Create, create_technician: Create
) -> None:
    theirs = create_partner(name="Xanadu", status_labels={"PAUSED": "Xanadu pause"})
    them = Actor(None, Role.PARTNER_ADMIN, "Xanadu admin", frozenset({theirs.id}))
    foreign: dict[str, int] = {
        "skills": office.do(skills.create_skill, theirs.id, "Xanadu skill", actor=them).id,
        "pause-reasons": office.do(reasons.create_reason, PauseReason, theirs.id, "Xanadu pause", actor=them).id,
        "reject-reasons": office.do(reasons.create_reason, RejectReason, theirs.id, "Xanadu no", actor=them).id,
    }
    pages = ("branding/", "settings-changes/", *(f"{name}/" for name in foreign))
    before = len(changes(office))
    for path in pages:
        assert "Xanadu" not in admin.client.get(f"/admin/{path}").get_data(as_text=True), path
        assert office.site.client.get(f"/admin/{path}").status_code == 403
    for path in (
        "branding/",
        "branding/logo",
        "branding/logo/remove",
        "skills/new/",
        f"skills/{foreign['skills']}/deactivate",
    ):
        assert office.site.post(f"/admin/{path}", {"name": "Mine"}).status_code == 403
    for name, key in foreign.items():
        assert admin.client.get(f"/admin/{name}/edit/?id={key}").status_code == 404
        assert (
            admin.post(f"/admin/{name}/edit/?id={key}", {"name": "x", "label": "x", "version": "1"}).status_code == 404
        )
        assert admin.post(f"/admin/{name}/delete/", {"id": key}).status_code in {404, 405}
    # Nothing of theirs is given to ours.
    for key in (str(foreign["skills"]), "987654", "x"):
        admin.get(f"/admin/technicians/edit/?id={office.ines.id}")
        assert admin.submit({"skill_ids": [key]}, button="Save Ines").status_code == 404, key
        admin.get(f"/admin/service-types/edit/?id={office.kind.id}")
        assert admin.submit({"skill_ids": [key]}, button="Save Heat pump").status_code == 404, key
    outsider = create_technician(theirs)
    for row in (
        TechnicianSkill(partner_id=theirs.id, technician_id=office.ines.id, skill_id=foreign["skills"]),
        TechnicianSkill(partner_id=office.partner.id, technician_id=outsider.id, skill_id=foreign["skills"]),
        ServiceTypeSkill(partner_id=office.partner.id, service_type_id=office.kind.id, skill_id=foreign["skills"]),
    ):
        with pytest.raises(DBAPIError), unit_of_work(office.session) as session:
            session.add(row)
    assert len(changes(office)) == before
