"""A form of an older sign-in: nothing is done, and what was typed is shown again where that can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import func, select

from portal.domain.contracts.models import Contract
from portal.domain.jobs.models import HistoryEntry, Job
from portal.domain.people.models import Customer
from portal.domain.requests.models import ChangeRequest
from portal.domain.scheduling.models import TimeOff
from tests.factories import Create
from tests.helpers import Site, fields_of
from tests.web.office import URL, Office, clock, office
from tests.web.test_customer import Home, home

__all__ = ["clock", "home", "office"]

SENTENCE = "The page was out of date, so nothing was sent. What you entered is still here: send it once more."
EVERYTHING = (Job, Customer, HistoryEntry, TimeOff, ChangeRequest, Contract)


@dataclass
class Tab:
    """A page that was opened before its person signed out and in again in another tab."""

    site: Site
    user: Any

    def open(self, url: str, **kwargs: Any) -> None:
        """Open the page, then do that in the other tab, and come back."""
        self.site.get(url, **kwargs)
        before, at = self.site.last, self.site.url
        assert before is not None
        self.site.client.post(
            "/logout", data={"csrf_token": fields_of(self.site.page.select_one("form"))["csrf_token"]}
        )  # type: ignore[arg-type]
        self.site.sign_in(self.user)
        self.site.get("/")
        self.site.last, self.site.url = before, at


def rows(session: Any) -> list[int]:
    """How many there are of everything that these forms write."""
    session.rollback()
    return [session.scalar(select(func.count()).select_from(model)) for model in EVERYTHING]


def said(site: Site) -> list[str]:
    """What the summary at the top says."""
    return [line.text for line in site.page.select(".error-summary li")]


@pytest.mark.row("P1", "P16", "P18")
@pytest.mark.parametrize(
    ("path", "typed", "button", "done"),
    [
        (
            "customers/new/",
            {"name": "Zenobia Quist", "addresses-0-line": "3 Elm Row"},
            "Add customer",
            "Zenobia Quist is added.",
        ),
        ("customers/edit/?id={customer}", {"access_notes": "Beware of the dog"}, "Save ", "is saved."),
        (
            "installations/schedule",
            {"items-0-name": "Heat pump", "notes": "Ring twice"},
            "Schedule",
            "is scheduled for",
        ),
        ("installations/{job}/cancel", {"reason": "Sold the house"}, "Cancel", "is cancelled"),
        (
            "hours/time-off/new",
            {"technician": "{ines}", "first": "2026-12-01", "last": "2026-12-02"},
            "",
            "1 Dec",
        ),
    ],
)
def test_a_form_of_an_older_sign_in_is_shown_again_as_it_was_filled_in(
    office: Office, path: str, typed: dict[str, str], button: str, done: str
) -> None:
    job = office.create()
    keys = {"customer": office.customer.id, "job": job.id, "ines": office.ines.id}
    typed = {name: value.format(**keys) for name, value in typed.items()}
    if path.endswith("schedule"):
        typed["customer"] = f"{office.customer.id}:{office.customer.addresses[0].id}"
    tab = Tab(office.site, office.dana)
    tab.open(f"/admin/{path.format(**keys)}")
    before = rows(office.session)
    answer = office.site.submit(typed, button=button or None)
    assert answer.status_code == 422
    assert said(office.site) == [SENTENCE]
    assert rows(office.session) == before
    shown = fields_of(office.site.form(button=button or None))
    assert {name: shown[name] for name in typed} == {name: [value] for name, value in typed.items()}
    # Once more, from the page as it stands.
    office.site.submit({}, button=button or None)
    assert done in office.site.text


@pytest.mark.row("P1", "P13")
def test_a_dialog_of_an_older_sign_in_is_shown_again_as_a_dialog(office: Office) -> None:
    job, hx = office.create(), {"HX-Request": "true"}
    office.site.get(URL)
    tab = Tab(office.site, office.dana)
    tab.open(office.at(job, "cancel"), headers=hx)
    answer = office.site.submit({"reason": "Sold the house"}, action="/cancel", headers=hx)
    assert answer.status_code == 422
    assert "<html" not in answer.text
    assert said(office.site) == [SENTENCE]
    assert fields_of(office.site.form(action="/cancel"))["reason"] == ["Sold the house"]
    assert office.job(job).status == "SCHEDULED"


@pytest.mark.row("C6", "M7")
def test_a_customers_words_are_shown_again_too(home: Home, set_controls: Create) -> None:
    before = rows(home.session)
    set_controls(home.partner, self_service=False)
    tab = Tab(home.site, home.user)
    tab.open(f"{home.at}/request")
    answer = home.site.submit({"wish": "reschedule", "words": "Any Friday"})
    assert answer.status_code == 422
    assert SENTENCE in home.site.text
    assert fields_of(home.site.form())["words"] == ["Any Friday"]
    assert rows(home.session) == before
    home.site.submit({})
    assert "We have your request." in home.site.text


@pytest.mark.row("P9")
def test_what_cannot_be_shown_again_says_what_happened_and_leads_back(office: Office) -> None:
    customer, at = office.customer.id, f"/admin/customers/edit/?id={office.customer.id}"
    tab = Tab(office.site, office.dana)
    tab.open(at)
    answer = office.site.submit({}, button="Deactivate", headers={"Referer": f"http://localhost{at}"})
    assert answer.status_code == 400
    assert "The page was out of date" in office.site.text
    assert "You signed in or out since it was opened, so nothing was done." in office.site.text
    assert office.site.page.select_one(f"main a[href='{at}']") is not None
    office.session.rollback()
    assert office.session.get_one(Customer, customer, populate_existing=True).active


@pytest.mark.row("P9")
@pytest.mark.parametrize("token", ["", "made.up.token"])
def test_only_a_token_that_was_ours_shows_a_form_again(office: Office, token: str) -> None:
    values = {"name": "Zenobia Quist", "addresses-0-line": "3 Elm Row", "csrf_token": token}
    answer = office.site.client.post("/admin/customers/new/", data=values)
    assert answer.status_code == 400
    assert "Zenobia" not in answer.text


@pytest.mark.row("P9")
def test_nobody_who_is_not_signed_in_is_shown_a_form_again(office: Office) -> None:
    office.site.get("/admin/customers/new/")
    form = office.site.form()
    values: dict[str, Any] = fields_of(form)
    office.site.client.post("/logout", data={"csrf_token": values["csrf_token"]})
    office.site.get("/login")
    answer = office.site.client.post("/admin/customers/new/", data={**values, "name": "Zenobia Quist"})
    assert answer.status_code == 400
    assert "Zenobia" not in answer.text
