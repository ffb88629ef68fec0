"""Hours and holidays through real forms: weeks, time off, holidays, and the visits that a change hits (P21)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.domain.people.models import Technician
from portal.domain.scheduling.models import Holiday, TimeOff, WorkingHours
from portal.domain.scheduling.queries import week_of
from tests.factories import Create
from tests.helpers import Site
from tests.web.office import TUESDAY, Office, clock, office

__all__ = ["clock", "office"]

URL = "/admin/hours/"


@pytest.fixture
def admin(app: Flask, office: Office, create_staff: Create) -> Site:
    """Alma, Acme's admin, at a browser of her own."""
    site = Site(app.test_client())
    site.sign_in(create_staff(office.partner, role="partner_admin", name="Alma Whitcombe"))
    return site


def listed(site: Site) -> list[str]:
    """Return the numbers of the installations in a list."""
    return [str(cell.text) for cell in site.page.select("td.num")]


def errors(site: Site) -> dict[str, str]:
    """Return the errors of the page by the control they lead to."""
    return {str(one["href"])[1:]: str(one.text) for one in site.page.select(".error-summary a")}


def stored(office: Office, model: Any) -> list[Any]:
    office.session.rollback()
    return list(office.session.scalars(select(model).order_by(model.id), execution_options={"populate_existing": True}))


@pytest.mark.row("L1")
def test_the_company_week_is_set_with_several_stretches_a_day(office: Office, admin: Site) -> None:
    admin.get(f"{URL}week")
    admin.submit(button="Add a stretch, Monday")
    assert len(admin.page.select("[name^=monday-stretches]")) == 4
    typed = {
        "monday-stretches-0-end": "12", "monday-stretches-1-start": "13:00", "monday-stretches-1-end": "24:00",
        "friday-stretches-0-start": "", "friday-stretches-0-end": "",
    }  # fmt: skip
    assert admin.submit(typed, action="/week").status_code == 200
    assert "Saved. The hours hold from now on." in admin.text
    assert "Monday 8:00–12:00, 13:00–24:00" in admin.text
    assert "Friday closed" in admin.text
    week = week_of(office.session, office.partner.id, None)
    assert (week[0], 4 in week, week[1]) == ([(480, 720), (780, 1440)], False, [(480, 1080)])
    admin.get("/admin/settings-changes/")
    assert "Alma Whitcombe" in admin.text
    assert "Monday: 8:00–18:00 → 8:00–12:00, 13:00–24:00" in admin.text
    # Errors stand at the line, what was typed is kept, nothing is saved.
    admin.get(f"{URL}week")
    typed = {"tuesday-stretches-0-start": "19:00", "monday-stretches-1-start": "11:00", "sunday-stretches-0-end": "😀"}
    assert admin.submit(typed, action="/week").status_code == 422
    assert errors(admin) == {
        "monday-stretches-1-start": "This overlaps with 8:00–12:00",
        "tuesday-stretches-0-end": (
            "The end has to be after 19:00; a night is two stretches, until 24:00 and from 0:00"
        ),
        "sunday-stretches-0-start": "Enter a time from 0:00 to 24:00, such as 8:00",
        "sunday-stretches-0-end": "Enter a time from 0:00 to 24:00, such as 8:00",
    }
    assert admin.page.select_one("[name=sunday-stretches-0-end]")["value"] == "😀"  # type: ignore[index]
    office.session.rollback()
    assert week_of(office.session, office.partner.id, None) == week


@pytest.mark.row("L1")
def test_a_technician_has_the_company_week_or_their_own(office: Office) -> None:
    """A dispatcher sees to it, but not to the company's."""
    site, ines = office.site, office.ines
    site.get(URL)
    assert "Everybody works like the company's week." in site.text
    assert site.page.select(f'a[href="{URL}week"]') == []
    for path in ("week", "holidays/new", "holidays/import"):
        assert site.client.get(URL + path).status_code == 403
        assert site.post(URL + path).status_code == 403
    site.get(URL)
    site.submit({"technician": str(ines.id)}, action="/technicians/")
    assert site.page.h1.text == "Hours of Ines Kowalski"  # type: ignore[union-attr]
    # It begins with the company's hours; left as they are, nothing is hers.
    site.submit(action=f"/{ines.id}")
    assert week_of(office.session, office.partner.id, ines.id) == {}
    site.get(f"{URL}technicians/{ines.id}")
    blank = dict.fromkeys((str(one["name"]) for one in site.page.select("[name*=-stretches-]")), "")
    assert site.submit({**blank, "own": "yes"}, action=f"/{ines.id}").status_code == 422
    assert list(errors(site)) == ["own"]
    site.get(f"{URL}technicians/{ines.id}")
    site.submit({"own": "yes", "monday-stretches-0-end": "12:00"}, action=f"/{ines.id}")
    assert "Ines Kowalski Monday 8:00–12:00; Tuesday 8:00–18:00" in site.text
    office.session.rollback()
    assert week_of(office.session, office.partner.id, ines.id)[0] == [(480, 720)]
    site.get(f"{URL}technicians/{ines.id}")
    site.submit({"own": "no"}, action=f"/{ines.id}")
    office.session.rollback()
    assert {row.technician_id for row in stored(office, WorkingHours)} == {None}


@pytest.mark.row("L1")
def test_of_two_people_with_the_same_week_the_second_is_shown_both(app: Flask, office: Office, admin: Site) -> None:
    first, path = office.site, f"{URL}technicians/{office.ines.id}"
    for site in (first, admin):
        site.get(path)
    first.submit({"own": "yes", "monday-stretches-0-end": "12:00"}, action=path)
    assert admin.submit({"own": "yes", "monday-stretches-0-end": "13:00"}, action=path).status_code == 409
    rows = {row.th.text: [cell.text for cell in row.select("td")] for row in admin.page.select(".conflict tbody tr")}
    assert rows == {"Monday": ["8:00–13:00", "8:00–12:00"]}
    assert admin.submit(action=path).status_code == 200
    office.session.rollback()
    assert week_of(office.session, office.partner.id, office.ines.id)[0] == [(480, 780)]


@pytest.mark.row("P16")
def test_time_off_is_given_changed_and_taken_back(office: Office, clock: Any) -> None:
    site = office.site
    site.get(f"{URL}time-off/new")
    assert site.submit({"first": "", "technician": ""}, action="/time-off/new").status_code == 422
    assert set(errors(site)) == {"technician", "first"}
    site.get(f"{URL}time-off/new?technician={office.tomas.id}")
    for first, last, field in (("2027-02-29", "", "first"), ("2026-12-04", "2026-12-01", "last")):
        assert site.submit({"first": first, "last": last}, action="/time-off/new").status_code == 422
        assert list(errors(site)) == [field]
    site.submit({"first": "2026-11-30", "last": "2026-12-04", "note": "Holiday in Wales"}, action="/time-off/new")
    assert "Mon 30 Nov – Fri 4 Dec" in site.text
    assert "Tomás Reyes Holiday in Wales" in site.text
    (absence,) = stored(office, TimeOff)
    assert (absence.technician_id, absence.start_at, absence.end_at) == (
        office.tomas.id, datetime(2026, 11, 30, tzinfo=UTC), datetime(2026, 12, 5, tzinfo=UTC),
    )  # fmt: skip
    at = f"{URL}time-off/{absence.id}"
    site.get(at)
    changed = {"begins": "12:00", "last": "2026-12-01", "ends": "13:30"}
    site.submit(changed, action=at)
    assert "Mon 30 Nov, 12:00 – Tue 1 Dec, 13:30" in site.text
    # From another tab that was open before: both versions, and a decision.
    site.get(at)
    stale = {**changed, "csrf_token": site.form(at).select_one("[name=csrf_token]")["value"], "version": "1"}  # type: ignore[index]
    answer = site.client.post(at, data={**stale, "first": "2026-11-29"})
    assert answer.status_code == 409
    assert "2026-11-29" in answer.text
    clock.move_to(datetime(2026, 12, 1, 13, 30, tzinfo=UTC))
    site.get(f"{URL}time-off/")
    assert "No time off is planned." in site.text
    site.get(f"{URL}time-off/?past=1")
    assert "Tomás Reyes" in site.text
    assert site.page.select(f'main a[href="{at}"]') == []
    assert site.client.get(at).status_code == 409
    assert site.post(f"{at}/delete").status_code == 409
    clock.move_to(datetime(2026, 11, 20, tzinfo=UTC))
    site.get(at)
    site.submit(action=f"{at}/delete")
    assert "The time off of Tomás Reyes is taken back." in site.text
    assert stored(office, TimeOff) == []


@pytest.mark.row("L1")
def test_holidays_are_the_country_s_and_the_company_s_own(office: Office, admin: Site) -> None:
    admin.get(f"{URL}holidays/import")
    assert admin.page.select_one("[name=country] [selected]")["value"] == "GB"  # type: ignore[index]
    # This year's and the next one's from the start, and some more to choose.
    assert [str(box["value"])[:4] for box in admin.page.select("[name=day]")].count("2027") > 0
    assert [str(one["value"]) for one in admin.page.select("select[name=last] option")][:3] == ["2026", "2027", "2028"]
    admin.submit({"country": "GB", "region": "BY", "last": "2027"}, button="Show the holidays")
    # A region of another country is left out; Scotland is offered.
    assert "Scotland" in admin.text
    admin.submit({"region": "SCT", "last": "2027"}, button="Show the holidays")
    days = [str(box["value"]) for box in admin.page.select("[name=day]")]
    assert "2026-11-30" in days
    assert all(box.has_attr("checked") for box in admin.page.select("[name=day]"))
    admin.submit({"day": []}, button="Import the ticked days")
    assert list(errors(admin)) == ["country"]
    admin.submit({"day": [one for one in days if one != "2026-11-30"]}, button="Import the ticked days")
    assert f"{len(days) - 1} holidays are added." in admin.text
    # Again: only the one that was left out is there to tick, and sent by hand the others change nothing.
    again = f"{URL}holidays/import?country=GB&region=SCT&first=2026&last=2027"
    admin.get(again)
    assert [str(box["value"]) for box in admin.page.select("[name=day]")] == ["2026-11-30"]
    admin.submit({"day": days}, button="Import the ticked days")
    assert "1 holiday is added." in admin.text
    assert len(stored(office, Holiday)) == len(days)
    for odd in ("country=XX&first=2026&last=2026", "country=GB&first=1&last=9999", "country=GB&region=BY"):
        admin.get(f"{URL}holidays/import?{odd}")
        assert admin.last is not None
        assert admin.last.status_code in {200, 422}
        assert admin.page.select("[name=day]") == []
    admin.get(f"{URL}holidays/new")
    for day, text in (
        ("2027-02-29", "Enter a date that exists, such as 2026-11-20"),
        ("2026-11-30", "That day is a holiday already: Saint Andrew's Day"),
        ("2026-11-19", "Choose a date from today on, within five years"),
    ):
        assert admin.submit({"day": day, "name": "Outing"}, action="/holidays/new").status_code == 422
        assert errors(admin) == {"day": text}
    admin.submit({"day": "2028-02-29", "name": "Leap day"}, action="/holidays/new")
    assert "The holiday is saved." in admin.text
    leap = stored(office, Holiday)[-1]
    admin.get(f"{URL}holidays/{leap.id}")
    admin.submit({"day": "2026-11-23"}, action=f"/{leap.id}")
    assert "Mon 23 Nov in 3 days Leap day" in admin.text
    admin.get(f"{URL}holidays/{leap.id}")
    admin.submit(action=f"/{leap.id}/delete")
    assert "Mon 23 Nov is no holiday any more (Leap day)." in admin.text
    # A dispatcher reads them and changes none.
    office.site.get(f"{URL}holidays/")
    assert "Saint Andrew's Day" in office.site.text
    some = stored(office, Holiday)[-1].id
    assert office.site.client.get(f"{URL}holidays/{some}").status_code == 403
    assert office.site.post(f"{URL}holidays/{some}/delete").status_code == 403


@pytest.mark.row("P21")
def test_before_time_off_is_saved_the_visits_it_hits_are_shown(office: Office) -> None:
    site = office.site
    hit = office.create(technician=office.ines)
    office.create(technician=office.tomas)
    office.create(technician=office.ines, start=TUESDAY + timedelta(days=1))
    form = {"technician": str(office.ines.id), "first": "2026-11-24", "note": "Dentist"}
    site.get(f"{URL}time-off/new")
    site.submit(form, action="/time-off/new")
    assert stored(office, TimeOff) == []
    assert "Not saved yet: 1 coming visit would become impossible." in site.text
    assert listed(site) == [hit.number]
    links = [str(one["href"]) for one in site.page.select("td.do a")]
    assert links == [office.at(hit, "reassign"), office.at(hit, "reschedule"), office.at(hit)]
    # What was typed is still there; another visit is booked meanwhile, so the question is put again.
    assert site.page.select_one("[name=note]")["value"] == "Dentist"  # type: ignore[index]
    second = office.create(technician=office.ines, start=TUESDAY + timedelta(hours=3))
    site.submit(button="Save all the same", action="/time-off/new")
    assert listed(site) == [hit.number, second.number]
    site.submit(action="/time-off/new")
    assert "The time off is saved." in site.text
    site.get("/admin/attention/hit/")
    assert listed(site) == [hit.number, second.number]
    assert "Ines Kowalski is off" in site.text
    assert menu(site)["Hit by time off or hours"] == "2"
    # One is given to somebody else, the other is moved.
    site.get(office.at(second, "reassign"))
    site.submit({"technician": str(office.tomas.id)})
    site.get("/admin/attention/hit/")
    assert listed(site) == [hit.number]
    assert menu(site)["Hit by time off or hours"] == "1"
    site.get(office.at(hit, "reschedule"))
    site.submit({"date": "2026-11-26", "time": "09:00", "slot": ""}, button="Move the visit")
    site.get("/admin/attention/hit/")
    assert "Every coming visit can be worked as planned." in site.text
    assert menu(site)["Hit by time off or hours"] == ""


def menu(site: Site) -> dict[str, str]:
    """Return what the badges of the queues in the menu say."""
    found = {}
    for link in site.page.select("#menu-queues a"):
        badge = link.select_one(".count")
        number = "" if badge is None else badge.text.replace(" waiting", "")
        found[link.text.removesuffix(badge.text if badge else "").strip()] = number
    return found


@pytest.mark.row("P21")
def test_hours_holidays_and_leaving_ask_as_well(office: Office, admin: Site) -> None:
    hers = office.create(technician=office.ines)
    nobodys = office.create(start=TUESDAY + timedelta(hours=5))
    both, question = [hers.number, nobodys.number], "would become impossible."
    admin.get(f"{URL}week")
    admin.submit({"tuesday-stretches-0-end": "9:30"}, action="/week")
    assert question in admin.text
    assert listed(admin) == both
    assert week_of(office.session, office.partner.id, None)[1] == [(480, 1080)]
    admin.submit(button="Save all the same", action="/week")
    assert menu(admin)["Hit by time off or hours"] == "2"
    admin.get(f"{URL}week")
    admin.submit({"tuesday-stretches-0-end": "18"}, action="/week")
    assert menu(admin)["Hit by time off or hours"] == ""
    admin.get(f"{URL}holidays/new")
    admin.submit({"day": "2026-11-24", "name": "Outing"}, action="/holidays/new")
    assert listed(admin) == both
    admin.get(f"{URL}technicians/{office.ines.id}")
    admin.submit({"own": "yes", "tuesday-stretches-0-start": "10"}, action=f"/{office.ines.id}")
    assert listed(admin) == [hers.number]
    edit = f"/admin/technicians/edit/?id={office.ines.id}"
    admin.get(edit)
    admin.submit(button="Deactivate Ines")
    assert question in admin.text
    assert "Ines Kowalski is deactivated" in admin.text
    assert listed(admin) == [hers.number]
    assert office.session.get_one(Technician, office.ines.id, populate_existing=True).active
    admin.submit(button="all the same")
    assert not stored(office, Technician)[0].active
    assert menu(admin)["Hit by time off or hours"] == "1"
    admin.get(edit)
    admin.submit(button="Reactivate Ines")
    assert menu(admin)["Hit by time off or hours"] == ""


@pytest.mark.row("P21")
def test_a_visit_beyond_the_hour_that_comes_twice_is_judged_by_the_wall_clock(
    office: Office, clock: Any, admin: Site
) -> None:
    """25 October 2026, a Sunday: at 2:00 the clocks go back to 1:00. Its day has 25 hours."""
    clock.move_to(datetime(2026, 10, 20, 9, tzinfo=UTC))
    job = office.create(technician=office.ines, start=datetime(2026, 10, 25, 22, 30, tzinfo=UTC), now=None)
    site = office.site
    for last, ends in (("2026-10-25", "22:30"), ("2026-10-26", "")):
        site.get(f"{URL}time-off/new?technician={office.ines.id}")
        site.submit({"first": "2026-10-25", "last": last, "ends": ends, "begins": "01:30"}, action="/time-off/new")
        if ends:
            (absence,) = stored(office, TimeOff)
            assert absence.start_at == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
            assert "The time off is saved." in site.text
            site.get(f"{URL}time-off/{absence.id}")
            site.submit(action=f"/{absence.id}/delete")
    assert listed(site) == [job.number]


@pytest.mark.row("C7")
def test_hours_and_time_off_of_another_partner_are_not_found(
    office: Office, admin: Site, create_partner: Create, create_technician: Create, create_staff: Create, app: Flask
) -> None:
    partner = create_partner()
    stranger = create_technician(partner, name="Xanadu")
    other = Site(app.test_client())
    other.sign_in(create_staff(partner, role="partner_admin"))
    form = {"technician": str(stranger.id), "first": "2026-12-01"}
    other.get(f"{URL}time-off/new")
    other.submit(form, action="/time-off/new")
    other.get(f"{URL}holidays/new")
    other.submit({"day": "2026-12-02", "name": "Xanadu Day"}, action="/holidays/new")
    (absence,), (holiday,) = stored(office, TimeOff), stored(office, Holiday)
    for path in (f"technicians/{stranger.id}", f"time-off/{absence.id}", f"holidays/{holiday.id}"):
        for action in ("", "/delete"):
            if action and path.startswith("technicians"):
                continue
            sent = {"first": "2026-12-03", "day": "2026-12-03", "name": "Mine", "version": "1", "own": "no"}
            assert admin.post(URL + path + action, sent).status_code == 404
        assert admin.client.get(URL + path).status_code == 404
    assert admin.client.get(f"{URL}technicians/?technician={stranger.id}").status_code == 404
    admin.get(f"{URL}time-off/new")
    assert admin.submit(form, action="/time-off/new").status_code == 404
    for path in ("", "time-off/", "holidays/", "time-off/new"):
        admin.get(URL + path)
        assert "Xanadu" not in admin.text
    assert (stored(office, TimeOff)[0].version, stored(office, Holiday)[0].version) == (1, 1)
