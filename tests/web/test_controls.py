"""The pages of the feature controls: what differs for some, what a change would do, and who sees it (M2, M3, L3)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.people.models import User
from portal.domain.scheduling.models import ControlOverride, FeatureControls
from portal.domain.unit_of_work import unit_of_work
from tests.domain.by_hand import CONTROLS
from tests.factories import Create, save
from tests.helpers import Site
from tests.web.office import TUESDAY, Office, clock, office

__all__ = ["clock", "office"]

pytestmark = [pytest.mark.row("M2"), pytest.mark.usefixtures("clock")]

OWNERS = ("service_type_id", "customer_id", "job_id")
PAGE = "/admin/feature-controls/"


@pytest.fixture
def admin(app: Flask, office: Office, create_staff: Create, set_controls: Create) -> Site:
    """The admin of the office's partner, where customers may change visits."""
    set_controls(office.partner, self_service=True)
    site = Site(app.test_client())
    site.sign_in(create_staff(office.partner, role="partner_admin", name="Alma"))
    return site


def stored(session: Session) -> dict[str, dict[str, Any]]:
    """What is overridden now, by the column of the owner."""
    session.rollback()
    return {
        next(name for name in OWNERS if getattr(row, name)): {
            name: value for name in CONTROLS if (value := getattr(row, name)) is not None
        }
        for row in session.scalars(select(ControlOverride))
    }


def options(site: Site, name: str) -> list[str]:
    return [one.get_text() for one in site.page.select(f"select[name={name}] option")]


def hint(site: Site, name: str) -> str:
    found = site.page.select_one(f"#{name}-hint")
    assert found is not None
    return str(found.get_text())


@pytest.mark.row("L1")
def test_what_differs_is_set_says_what_it_inherits_and_is_listed(admin: Site, office: Office) -> None:
    job, partner = office.create(), office.partner.name
    admin.get(PAGE)
    assert "All service types are under the rules above." in admin.text
    admin.submit({"id": str(office.kind.id)}, button="Add rules of its own")
    assert options(admin, "cancel_confirmed") == ["Inherit: not allowed", "allowed", "not allowed"]
    assert hint(admin, "cancel_confirmed") == f"Inherit: not allowed, from {partner}"
    assert hint(admin, "reschedule_cutoff_hours") == f"Inherit: 24 hours, from {partner}"
    admin.submit({"reschedule_cutoff_hours": "96", "cancel_unconfirmed": "no", "max_moves": "1"}, button="Save")
    assert admin.url == PAGE
    row = admin.page.select_one(".below tbody tr")
    assert row is not None
    assert [one.get_text() for one in row.select("li")] == [
        "Cancel, not confirmed yet: not allowed",
        "Move, latest before the start: 96 hours",
        "How often one appointment may be moved: 1 time",
    ]

    admin.get(f"/admin/customers/{office.customer.id}/")
    assert "Under the same rules as everybody." in admin.text
    admin.get(str(admin.page.find("a", string="Change rules")["href"]))  # type: ignore[index]
    assert hint(admin, "max_moves") == f"Inherit: 3 times, from {partner} (or what is set for {office.kind.name})"
    admin.submit({"reschedule_cutoff_hours": "0", "self_service": "yes"}, button="Save")
    assert admin.url == f"/admin/customers/{office.customer.id}/"
    assert "Move, latest before the start: 0 hours" in admin.text

    admin.get(office.at(job))
    admin.get(str(admin.page.find("a", string="Change rules")["href"]))  # type: ignore[index]
    assert hint(admin, "reschedule_cutoff_hours") == f"Inherit: 0 hours, from {office.customer.name}"
    assert hint(admin, "max_moves") == f"Inherit: 1 time, from {office.kind.name}"
    admin.submit({"self_service": "no"}, button="Save")
    assert admin.url == office.at(job)
    assert "Customers may modify appointments: off (for this job)" in admin.text

    assert stored(office.session) == {
        "service_type_id": {"reschedule_cutoff_hours": 96, "cancel_unconfirmed": False, "max_moves": 1},
        "customer_id": {"reschedule_cutoff_hours": 0, "self_service": True},
        "job_id": {"self_service": False},
    }
    admin.get(PAGE)
    links = [str(one["href"]) for one in admin.page.select(".below tbody td a")]
    assert links == [
        f"{PAGE}service-type/{office.kind.id}/",
        f"{PAGE}job/{job.id}/",
        f"{PAGE}customer/{office.customer.id}/",
    ]
    # What is taken back inherits again, and leaves the list.
    admin.get(links[0])
    admin.submit({"reschedule_cutoff_hours": "", "cancel_unconfirmed": "", "max_moves": ""}, button="Save")
    assert "All service types are under the rules above." in admin.text
    admin.get("/admin/settings-changes/")
    lines = [one.get_text(" ", strip=True) for one in admin.page.select("tbody tr")]
    assert len(lines) == 4
    assert "Feature controls of a job" in lines[1]
    assert "Customers may modify appointments: no" in lines[1]


@pytest.mark.parametrize("button", ["Preview", "Save"])
def test_all_that_is_wrong_shows_at_once_and_says_where(admin: Site, button: str) -> None:
    admin.get(PAGE)
    bad = {"reschedule_cutoff_hours": "soon", "cancel_cutoff_hours": "", "max_moves": "-1", "horizon_days": "0"}
    assert admin.submit(bad, button=button).status_code == 422
    said = {
        "reschedule_cutoff_hours": ("Move, latest before the start", "Enter a whole number"),
        "cancel_cutoff_hours": ("Cancel, latest before the start", "Enter a whole number"),
        "max_moves": ("How often one appointment may be moved", "Enter a whole number from 0 to 100"),
        "horizon_days": ("How far ahead they may book", "Enter a whole number from 1 to 1825"),
    }
    summary = {str(one["href"])[1:]: one.get_text() for one in admin.page.select(".error-summary a")}
    assert summary == {name: f"{label}: {text}" for name, (label, text) in said.items()}
    fields = {str(one["id"]).removesuffix("-error"): one.get_text() for one in admin.page.select(".invalid-feedback")}
    assert fields == {name: text for name, (_, text) in said.items()}


def test_nonsense_is_refused_at_the_field_and_kept(admin: Site, office: Office) -> None:
    url = f"{PAGE}customer/{office.customer.id}/"
    for button in ("Preview", "Save"):
        admin.get(url)
        answer = admin.submit(
            {"max_moves": "-1", "horizon_days": "0", "notice_hours": "x", "self_service": "no"}, button=button
        )
        assert answer.status_code == 422
        links = [str(one["href"]) for one in admin.page.select(".error-summary a")]
        assert set(links) == {"#max_moves", "#horizon_days", "#notice_hours"}
        assert admin.page.select_one("#max_moves")["value"] == "-1"  # type: ignore[index]
        assert admin.page.select_one("select[name=self_service] option[selected]")["value"] == "no"  # type: ignore[index]
    assert admin.post(url, {"self_service": "perhaps", "version": "0"}).status_code == 422
    assert admin.post(url, {"max_moves": "9" * 5000, "version": "0"}).status_code == 422
    assert stored(office.session) == {}
    for odd in ("service-type/?id=", "service-type/?id=x", f"service-type/?id={'9' * 30}", "service-type/", "job/0/"):
        assert admin.client.get(f"{PAGE}{odd}").status_code == 404, odd


def test_what_has_ended_has_no_rules_of_its_own(admin: Site, office: Office, create_installation_in: Create) -> None:
    over = create_installation_in(office.partner, "CANCELLED")
    assert admin.client.get(f"{PAGE}job/{over.id}/").status_code == 409
    assert admin.post(f"{PAGE}job/{over.id}/", {"self_service": "no", "version": "0"}).status_code == 409
    admin.get(office.at(over))
    assert not admin.page.find_all("a", string="Change rules")


@pytest.mark.row("L3")
def test_a_preview_names_who_loses_and_gains_and_saves_nothing(
    admin: Site, office: Office, create_customer: Create
) -> None:
    soon, later = office.create(start=TUESDAY), office.create(start=TUESDAY + timedelta(days=7))
    leah = create_customer(office.partner, name="Leah Novak")
    hers = office.create(start=TUESDAY + timedelta(hours=1), customer=leah)
    office.create(start=TUESDAY + timedelta(days=30), customer=leah)

    def effects() -> list[str]:
        return [one.get_text(" ", strip=True) for one in admin.page.select(".effect")]

    admin.get(PAGE)
    admin.submit({"reschedule_cutoff_hours": "200", "cancel_cutoff_hours": "96"}, button="Preview")
    assert effects() == [
        "2 appointments lose it",
        "0 appointments gain it",
        "1 appointment loses it",
        "0 appointments gain it",
    ]
    named = [str(one["href"]) for one in admin.page.select("aside .lines a")]
    assert named == [office.at(soon), office.at(hers), office.at(soon)]
    assert "4 appointments to come were looked at" in admin.text
    assert "2 changes not saved" in admin.text
    assert "“You could move this visit yourself until" in admin.text
    rules = office.session.scalars(select(FeatureControls).where(FeatureControls.partner_id == office.partner.id))
    assert rules.one().reschedule_cutoff_hours == 24
    # What was typed is still there, and saving follows.
    admin.submit(button="Save")
    assert "Saved. The rules hold from now on." in admin.text
    admin.get(f"{PAGE}customer/{office.customer.id}/")
    admin.submit({"reschedule_cutoff_hours": "0", "cancel_unconfirmed": "no"}, button="Preview")
    assert effects() == [
        "0 appointments lose it",
        "1 appointment gains it",
        "1 appointment loses it",
        "0 appointments gain it",
    ]
    named = [str(one["href"]) for one in admin.page.select("aside .lines a")]
    assert named == [office.at(soon), office.at(later)]
    assert stored(office.session) == {}
    assert "2 changes not saved" in admin.text
    admin.submit(button="Save")
    assert stored(office.session) == {"customer_id": {"reschedule_cutoff_hours": 0, "cancel_unconfirmed": False}}


@pytest.mark.row("M3")
def test_a_dispatcher_reads_the_rules_and_changes_none(admin: Site, office: Office, statements: list[str]) -> None:
    job = office.create()
    save(office.session, ControlOverride(partner_id=office.partner.id, job_id=job.id, reschedule_cutoff_hours=96))
    save(
        office.session,
        ControlOverride(partner_id=office.partner.id, customer_id=office.customer.id, cancel_cutoff_hours=8),
    )
    office.site.get(office.at(job))
    shown = office.site.page.select_one("section[aria-labelledby=o-h]")
    assert shown is not None
    lines = [one.get_text(" ", strip=True) for one in shown.select("dl > div")]
    assert lines[0].startswith("Move it not themselves “You could move this visit yourself until")
    assert lines[0].endswith("Move, latest before the start: 96 hours (for this job)")
    assert lines[1].startswith("Cancel it until ")
    assert lines[1].endswith("Cancel, latest before the start: 8 hours (for this customer)")
    for path in (office.at(job), f"/admin/customers/{office.customer.id}/"):
        office.site.get(path)
        assert not office.site.page.find_all("a", string="Change rules")
    assert "Cancel, latest before the start: 8 hours" in office.site.text
    for path in ("", f"job/{job.id}/", f"customer/{office.customer.id}/", f"service-type/{office.kind.id}/"):
        assert office.site.client.get(PAGE + path).status_code == 403
        assert office.site.post(PAGE + path, {"self_service": "no"}).status_code == 403


@pytest.mark.row("M3")
def test_a_refusal_says_for_what_the_rule_holds_and_my_schedule_costs_no_more(
    app: Flask, admin: Site, office: Office, create_user: Create, create_customer: Create, statements: list[str]
) -> None:
    user: User = create_user(name="Priya")
    priya = create_customer(office.partner, user)
    job = office.create(customer=priya)
    my = Site(app.test_client())
    my.sign_in(user)
    visit = f"/my/visits/{job.appointments[0].id}"
    owners = {
        "For “Solar”": {"service_type_id": job.service_type_id},
        "For you": {"customer_id": priya.id},
        "For this appointment": {"job_id": job.id},
    }
    costs = set()
    for where, owner in owners.items():
        where = where.replace("Solar", office.kind.name)
        row = save(office.session, ControlOverride(partner_id=office.partner.id, **owner))
        for values, words in (
            (
                {"reschedule_cutoff_hours": 120, "cancel_cutoff_hours": 120},
                ("moving is possible until 120 hours before the start.", "cancelling is possible until 120 hours"),
            ),
            ({"self_service": False}, ("changes are made by our office only.",)),
            (
                {"reschedule_unconfirmed": False, "cancel_unconfirmed": False},
                ("moving is done by our office only.", "cancelling is done by our office only."),
            ),
            ({"max_moves": 0, "cancel_unconfirmed": False}, ("moving is done by our office only.",)),
        ):
            put(office.session, row, values)
            statements.clear()
            my.get("/my/")
            costs.add(len(statements))
            assert not my.page.find_all("a", string="Modify")
            my.get(f"{visit}/modify")
            for sentence in words:
                assert f"{where}, {sentence}" in my.text, (where, values)
        put(office.session, row, {})
    # Two more where a page is kept that may have to be drawn anew: whether anything was written, and what.
    assert max(costs) <= min(min(costs) + 2, 6)


def put(session: Session, row: ControlOverride, values: dict[str, Any]) -> None:
    """Let an override set just ``values``."""
    session.rollback()
    with unit_of_work(session):
        found = session.get_one(ControlOverride, row.id)
        for name in CONTROLS:
            setattr(found, name, values.get(name))


@pytest.mark.row("P23")
def test_a_merge_says_what_becomes_of_the_rules(admin: Site, office: Office, create_customer: Create) -> None:
    twin = create_customer(office.partner, name=office.customer.name, email="")
    merge = f"/admin/customers/merge/?keep={office.customer.id}&other={twin.id}"
    admin.get(merge)
    assert "Its own rules" not in admin.text
    save(office.session, ControlOverride(partner_id=office.partner.id, customer_id=twin.id, max_moves=0))
    admin.get(merge)
    assert "Its own rules for self-service move too" in admin.text
    admin.submit(action="/merge/")
    (row,) = office.session.scalars(select(ControlOverride)).all()
    assert (row.customer_id, row.max_moves) == (office.customer.id, 0)
    assert admin.client.get(f"{PAGE}customer/{twin.id}/").status_code == 409
