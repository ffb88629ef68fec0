"""Every page in German on a phone: nothing is wider than the window, and nothing is left in English."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException

from portal.domain.people.models import Partner, User
from portal.domain.scheduling.models import PauseReason, RejectReason
from portal.domain.unit_of_work import unit_of_work
from tests.browser.looking import axe_complaints, overflow, sign_in
from tests.factories import Create
from tests.helpers import PASSWORD
from tests.web.test_translations import read

PHONE = {"width": 390, "height": 844}
# How many addresses of one kind are looked at: an installation looks different in each status.
EACH, EACH_DETAIL = 1, 16
DETAILS = {"installations.detail_view", "my.visit", "my.job", "field.visit"}
# Leads to a file, or to a letter written for somebody else.
NO_PAGES = re.compile(r"export|letter|template|static|calendar_file|contract_view|contract_file|photo_view|[._]photo$")
STATES = (
    "SCHEDULED",
    "INSTALLER_ASSIGNED",
    "PREPARING",
    "EN_ROUTE",
    "PAUSED_AT_THE_DOOR",
    "PAUSED",
    "FOLLOW_UP_PLANNED",
    "NEEDS_A_VISIT",
    "INSTALLATION_COMPLETED",
    "CONTRACT_SENT",
    "CONTRACT_SIGNED",
    "CUSTOMER_APPROVED",
    "REJECTED",
    "CANCELLED",
    "CANCELLING",
)
# Every text that a person reads or hears, and what scripts have ready for them.
TEXTS = """() => {
  const found = [];
  const walker = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (!node.parentElement.closest("script, style, [lang=en-GB]")) found.push(node.textContent);
  }
  for (const name of ["aria-label", "title", "placeholder", "alt"])
    for (const tag of document.querySelectorAll(`[${name}]`)) found.push(tag.getAttribute(name));
  for (const tag of document.querySelectorAll("*"))
    for (const text of Object.values(tag.dataset)) if (/^[A-Z]/.test(text)) found.push(text);
  return [...new Set(found.map((text) => text.replace(/\\s+/g, " ").trim()).filter(Boolean))];
}"""


@pytest.fixture
def people(
    session: Session,
    create_partner: Create,
    create_user: Create,
    create_staff: Create,
    create_technician: Create,
    create_customer: Create,
    create_service_type: Create,
    create_installation_in: Create,
    set_controls: Create,
) -> dict[str, User]:
    """A partner's people by the area that is theirs, with an installation in each status."""
    partner: Partner = create_partner(name="Kälte & Wärme", phone="+49 30 901820", brand_colour="#86304b")
    words = read("de")
    with unit_of_work(session):
        # As a company that speaks German is founded with.
        for model in (PauseReason, RejectReason):
            for reason in session.scalars(select(model).where(model.partner_id == partner.id)):
                reason.label = str(words[reason.label].string)
    set_controls(partner, self_service=True, cancel_confirmed=True, cancel_unconfirmed=True, cancel_cutoff_hours=0)
    priya, tomas = create_user(name="Priya Raman"), create_user(name="Tomás Reyes")
    customer, technician = create_customer(partner, priya), create_technician(partner, tomas)
    kind = create_service_type(partner, name="Wärmepumpe")
    for state in STATES:
        mine = technician if state == "INSTALLATION_COMPLETED" else None
        create_installation_in(partner, state, customer, mine, kind=kind, items=[("Wärmepumpe", 1)])
    create_installation_in(partner, "EN_ROUTE", customer, technician, kind=kind, items=[("Wärmepumpe", 1)])
    return {
        "/admin/": create_staff(partner, role="partner_admin"),
        "/my/": priya,
        "/field/": tomas,
        "/admin/?operator": create_user(is_operator=True),
    }


def leftovers(german: dict[str, str]) -> Callable[[str], bool]:
    """Return whether a text is one of the code's English ones that German has other words for."""
    plain = {text for text, other in german.items() if "%(" not in text and text != other} - set(german.values())
    holes = []
    for text, other in german.items():
        pattern = re.sub(r"%\\\(\w+\\\)\w", ".+", re.escape(text))
        # What is nearly all holes fits anything.
        if ".+" in pattern and text != other and len(re.findall(r"[A-Za-z]{2,}", re.sub(r"%\(\w+\)\w", "", text))) > 2:
            holes.append(pattern)
    filled = re.compile("|".join(holes))
    return lambda text: text in plain or filled.fullmatch(text) is not None


@pytest.fixture(scope="module")
def is_english() -> Callable[[str], bool]:
    german = {}
    for message in read("de"):
        if message.id and message.pluralizable:
            german.update(zip(message.id, message.string, strict=True))
        elif message.id:
            german[message.id] = message.string
    # The same English in another sense may be the same word in German.
    senses = {str(message.string) for message in read("de") if message.context}
    is_left = leftovers(german)
    return lambda text: text not in senses and is_left(text)


def walk(page: Any, app: Flask, start: str) -> Iterator[str]:
    """Open ``start`` and what links lead to from there, a few addresses of each kind, and yield the kind of each."""
    area = start.strip("/").partition("/")[0]
    seen: Counter[str] = Counter()
    waiting, known = [start], {start}
    routes = app.url_map.bind("localhost")
    while waiting:
        address = waiting.pop(0)
        try:
            endpoint = str(routes.match(urlsplit(address).path)[0])
        except HTTPException:
            continue
        if seen[endpoint] >= (EACH_DETAIL if endpoint in DETAILS else EACH) or NO_PAGES.search(endpoint):
            continue
        seen[endpoint] += 1
        page.goto(address)
        yield endpoint
        for link in page.evaluate(
            "[...document.querySelectorAll('a[href^=\"/\"]')].map((a) => a.getAttribute('href'))"
        ):
            way = link.partition("#")[0]
            if way.startswith(f"/{area}/") and way not in known:
                known.add(way)
                waiting.append(way)


@pytest.mark.look
@pytest.mark.row("C13")
@pytest.mark.parametrize("start", ["/admin/", "/my/", "/field/", "/admin/?operator"])
def test_every_page_fits_in_german_and_is_german_throughout(
    open_window: Callable[..., Any],
    app: Flask,
    people: dict[str, User],
    is_english: Callable[[str], bool],
    start: str,
) -> None:
    page = open_window(viewport=PHONE, locale="de-DE")
    page.goto("/login")
    page.get_by_label("E-Mail-Adresse").fill(people[start].email)
    page.get_by_label("Passwort").fill(PASSWORD)
    page.get_by_role("button", name="Anmelden").click()
    page.wait_for_url(lambda url: "/login" not in url)
    faults, seen = [], set()
    for endpoint in walk(page, app, start.partition("?")[0]):
        seen.add(endpoint)
        assert page.evaluate("document.documentElement.lang") == "de-DE"
        if overflow(page) > 0:
            faults.append(f"{page.url} is {overflow(page)} px too wide")
        faults += [f"{page.url} says “{text}”" for text in page.evaluate(TEXTS) if is_english(text)]
    assert len(seen) >= {"/admin/": 20, "/my/": 6, "/field/": 2, "/admin/?operator": 3}[start], seen
    assert "\n".join(faults) == ""


def test_the_finder_finds() -> None:
    is_english = leftovers(
        {"Save": "Speichern", "Status": "Status", "%(num)s is added here.": "%(num)s ist da.", "%(a)s: %(b)s": "%(b)s"}
    )
    found = [
        text for text in ("Save", "Status", "Speichern", "D-1 is added here.", "D: 2", "is added") if is_english(text)
    ]
    assert found == ["Save", "D-1 is added here."]


@pytest.mark.look
@pytest.mark.row("L4")
def test_axe_finds_nothing_in_the_diagram(open_window: Callable[..., Any], people: dict[str, User]) -> None:
    page = open_window()
    sign_in(page, people["/admin/"])
    for address in ("/admin/workflows/appointment", "/admin/workflows/change_request?size=fit"):
        page.goto(address)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            for size in (PHONE, {"width": 1280, "height": 900}):
                page.set_viewport_size(size)
                assert axe_complaints(page) == []
                assert overflow(page) <= 0
