"""Who reads which language, the switch, and what each language makes of dates, numbers and letters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
import wtforms
from flask import Flask
from flask_babel import force_locale
from sqlalchemy import select

from portal.domain.people.models import Partner, User
from portal.web import formats
from portal.web.forms import Form
from portal.web.i18n import within
from tests.factories import Create
from tests.helpers import Site
from tests.web.office import NOW, TUESDAY, Office, clock, office

__all__ = ["clock", "office"]

BERLIN = ZoneInfo("Europe/Berlin")
GERMAN = {"Accept-Language": "de-DE,de;q=0.9,en;q=0.8"}


def lang(site: Site) -> str:
    return str(site.page.html["lang"])  # type: ignore[index]


def test_a_stranger_reads_the_browsers_language(site: Site) -> None:
    wanted = {
        "de-AT,de;q=0.9,en;q=0.8": "de-DE",
        "de": "de-DE",
        "DE_de": "de-DE",
        # English before German, though German alone is named exactly.
        "en-US,en;q=0.9,de-DE;q=0.8": "en-GB",
        "fr,de;q=0.4,en;q=0.3": "de-DE",
        "fr": "en-GB",
        "de;q=0,en": "en-GB",
        "de;q=x,-,;;,*": "en-GB",
        "": "en-GB",
    }
    for accepted, read in wanted.items():
        site.get("/login", headers={"Accept-Language": accepted})
        assert (lang(site), accepted) == (read, accepted)
        assert site.page.h1.text == {"de-DE": "Anmelden", "en-GB": "Sign in"}[read]  # type: ignore[union-attr]


def test_a_wrong_sign_in_and_a_missing_page_are_told_in_german(site: Site) -> None:
    site.get("/login", headers=GERMAN)
    site.submit({"email": "", "password": "x"}, action="/login", headers=GERMAN)
    assert "Es gibt ein Problem" in site.text
    assert "Geben Sie Ihre E-Mail-Adresse ein" in site.text
    site.submit({"email": "nobody@mail.example", "password": "x"}, action="/login", headers=GERMAN)
    assert "E-Mail-Adresse oder Passwort stimmt nicht" in site.text
    assert site.get("/nowhere", headers=GERMAN).status_code == 404
    assert site.page.h1.text == "Hier ist nichts"  # type: ignore[union-attr]


def test_the_switch_is_kept_and_leads_back(office: Office) -> None:
    job = office.create(technician=office.ines)
    site = office.site
    site.get(f"{office.at(job)}?from=list")
    assert [button.text for button in site.page.select("form.language button")] == ["Deutsch"]
    site.submit(action="/language", button="Deutsch")
    assert site.url == f"{office.at(job)}?from=list"
    assert lang(site) == "de-DE"
    assert "Di., 24. Nov., 9:00–11:00" in site.text
    assert "Monteur zugewiesen" in site.text
    assert office.session.scalars(select(User.locale).where(User.id == office.dana.id)).one() == "de_DE"
    # What was chosen outlasts the session and goes before the browser's own.
    site.sign_out()
    site.sign_in(office.dana)
    site.get("/admin/", headers={"Accept-Language": "en"})
    assert lang(site) == "de-DE"
    assert "Übersicht" in site.text
    site.submit(action="/language", button="English", headers=GERMAN)
    site.get("/admin/", headers=GERMAN)
    assert lang(site) == "en-GB"


def test_customer_and_technician_have_the_switch_too(
    office: Office, create_user: Create, create_technician: Create, create_customer: Create
) -> None:
    for url, made in (
        ("/field/", create_technician(office.partner, user=(tomas := create_user()))),
        ("/my/", create_customer(office.partner, user=(priya := create_user()))),
    ):
        assert made.id
        office.site.sign_out()
        office.site.sign_in(tomas if url == "/field/" else priya)
        office.site.get(url)
        office.site.submit(action="/language", button="Deutsch")
        assert office.site.url == url
        assert lang(office.site) == "de-DE"


def test_choosing_leads_to_our_own_pages_only(office: Office) -> None:
    others = (
        "//evil.example/",
        "/\\evil.example",
        "https://evil.example/",
        "/a\r\nSet-Cookie: x=1",
        "/\t/evil.example",
        "x",
        "",
    )
    for back in others:
        answer = office.site.post("/language", {"language": "de_DE", "back": back})
        assert (answer.status_code, answer.location) == (303, "/")


def test_no_other_language_can_be_chosen(office: Office) -> None:
    for language in ("xx", "", "de", "../../etc", "d" * 10_000, "de_DE\n"):
        assert office.site.post("/language", {"language": language, "back": "/admin/"}).status_code == 400
    assert office.session.scalars(select(User.locale).where(User.id == office.dana.id)).one() == ""
    assert office.site.client.get("/language").status_code == 405
    assert office.site.client.post("/language", data={"language": "de_DE"}).status_code == 400
    office.site.sign_out()
    assert office.site.post("/language", {"language": "de_DE"}).location == "/login"


def test_a_page_that_only_a_form_leads_to_is_not_come_back_to(office: Office) -> None:
    site = office.site
    site.get("/admin/customers/new/")
    site.submit({"name": ""})
    assert site.last is not None
    assert site.last.status_code == 422
    site.submit(action="/language", button="Deutsch")
    assert site.url == "/admin/"


def test_errors_of_forms_are_german_those_of_wtforms_too(office: Office) -> None:
    site = office.site
    site.get("/admin/installations/schedule", headers=GERMAN)
    site.submit({"duration": "never", "date": "31.02.2027", "time": "25:00"}, headers=GERMAN)
    assert "Wählen Sie einen Kunden" in site.text
    assert "Geben Sie ein gültiges Datum ein, zum Beispiel" in site.text
    assert re.search(r"\b(Enter|Choose|Not a valid)\b", site.text) is None
    site.get("/admin/technicians/new/", headers=GERMAN)
    site.submit({"name": "Jo", "status": "ASLEEP"}, headers=GERMAN)
    assert "Keine gültige Auswahl" in site.text


def test_every_form_takes_wtforms_words_from_the_readers_language() -> None:
    """Derive a form from ``portal.web.forms.Form`` rather than from ``wtforms.Form``."""

    def below(cls: type) -> Iterator[type]:
        for sub in cls.__subclasses__():
            yield sub
            yield from below(sub)

    ours = {cls for cls in below(wtforms.Form) if cls.__module__.startswith("portal.")}
    assert ours
    # Flask-WTF's own base does it too.
    assert [cls for cls in ours if not issubclass(cls, Form) and not hasattr(cls.Meta, "csrf_context")] == []


def test_a_task_that_waits_is_open_and_not_to_be_opened(office: Office) -> None:
    office.site.get("/admin/unreachable/", headers=GERMAN)
    assert "Offen" in [option.text for option in office.site.page.select("select[name=status] option")]


@pytest.mark.row("P19")
def test_the_pipeline_of_the_dashboard_is_german(office: Office) -> None:
    office.create()
    office.site.get("/admin/", headers=GERMAN)
    pipeline = office.site.page.select_one("#chart-pipeline-1")
    assert pipeline is not None
    heads = [one.text for one in pipeline.select("th")]
    assert heads == ["Gruppe", "Anzahl", "Geplant", "Unterwegs", "In Arbeit", "Abgenommen", "Abgelehnt"]


def test_a_refusal_of_the_domain_is_german(office: Office) -> None:
    job = office.create()
    office.site.post(office.at(job, "reject"), {"reason": "Nein"})
    answer = office.site.post(office.at(job, "assign"), {"technician": str(office.ines.id)}, headers=GERMAN)
    assert answer.status_code == 409
    assert "„Zuweisen“ ist beim Status „Abgelehnt“ nicht möglich; nötig ist „Geplant“." in answer.text


@pytest.mark.row("L1")
def test_the_partners_language_is_a_setting(office: Office, create_staff: Create) -> None:
    site = office.site
    site.sign_out()
    site.sign_in(create_staff(office.partner, role="partner_admin"))
    site.get("/admin/branding/")
    for wrong in ("xx_XX", "de", "\N{WAVING HAND SIGN}"):
        assert site.submit({"locale": wrong}, button="Save branding").status_code == 422
    site.submit({"locale": "de_DE"}, button="Save branding")
    assert office.session.scalars(select(Partner.locale)).one() == "de_DE"
    site.get("/admin/settings-changes/")
    assert "Language of messages" in site.text
    assert "English" in site.text
    assert "Deutsch" in [one.text for one in site.page.select("ins")]


@pytest.fixture
def german(app: Flask) -> Iterator[None]:
    with time_machine.travel(NOW, tick=False), app.test_request_context("/", headers=GERMAN):
        yield


@pytest.mark.usefixtures("german")
def test_dates_times_and_counts_are_german() -> None:
    # Berlin is an hour ahead of London.
    assert formats.window(TUESDAY, 120, BERLIN) == "Di., 24. Nov., 10:00–12:00"
    assert formats.day(date(2027, 1, 5), BERLIN) == "Di., 5. Jan. 2027"
    assert formats.hours(datetime(2026, 7, 1, 7, tzinfo=UTC), 90, BERLIN) == "9:00–10:30"
    assert formats.when(NOW, BERLIN) == "heute, 11:00"
    assert formats.short_day(date(2026, 10, 26)) == "26. Okt."
    assert formats.month(date(2026, 3, 1)) == "März 2026"
    assert formats.month(date(2026, 3, 1), year=False) == "März"
    assert formats.days(date(2026, 11, 23), date(2026, 11, 29)) == "23.–29. Nov. 2026"
    assert formats.leaf(TUESDAY, BERLIN) == ("Di.", "24", "Nov")
    said = [formats.relative(NOW + timedelta(days=days), BERLIN) for days in (-2, -1, 0, 1, 3)]
    assert said == ["vor 2 Tagen", "gestern", "heute", "morgen", "in 3 Tagen"]
    assert formats.duration(90) == "etwa 1 Stunde 30 Minuten"
    assert [formats.number(count) for count in (7, 1234, 200_000)] == ["7", "1.234", "200.000"]
    # A noun keeps its capital within a sentence.
    assert within("Monteur") == "Monteur"
    with force_locale("en_GB"):
        assert within("Handyman") == "handyman"
        assert formats.number(200_000) == "200,000"
        assert formats.window(TUESDAY, 120, BERLIN) == "Tue 24 Nov, 10:00–12:00"
