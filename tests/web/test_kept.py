"""A list is given out again as it is only to whom it was drawn for, and only until something is written (P8)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import NullPool
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from portal.domain.actor import Actor, Role
from portal.domain.branding.models import PartnerLogo
from portal.domain.changes.queries import Mark, mark_of
from portal.domain.jobs import services
from portal.domain.people.models import Address, Customer, Membership, Partner, Technician, User
from portal.domain.scheduling.models import ServiceType
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import READING
from portal.web import auth, kept
from portal.web.sessions import COOKIE
from tests.factories import Create
from tests.helpers import Site
from tests.web.office import NOW, TUESDAY, URL, Office, clock, office
from tests.web.platform import Platform, platform

__all__ = ["clock", "office", "platform"]

pytestmark = pytest.mark.row("P8")
# As many connections as lie ready at most.
MOST_POOLED = 5
OWN = re.compile(r'name="csrf_token" value="[^"]+"|data-revision="[^"]+"')


def plain(site: Site) -> str:
    """Return the page in front without what is each request's own."""
    assert site.last is not None
    return OWN.sub("", site.last.text)


@dataclass
class Watch:
    """Opens the list and knows whether it was drawn for that."""

    statements: list[str]

    def drawn(self, site: Site, url: str = URL) -> bool:
        self.statements.clear()
        assert site.get(url).status_code == 200
        return any("jobs." in one for one in self.statements)


@pytest.fixture
def watch(statements: list[str]) -> Watch:
    return Watch(statements)


def test_the_same_page_again_is_not_drawn_and_its_forms_are_the_askers(
    app: Flask, office: Office, watch: Watch
) -> None:
    office.create(technician=office.ines)
    site, other = office.site, Site(app.test_client())
    other.sign_in(office.dana)
    assert watch.drawn(site)
    first, token = plain(site), site.token()
    # It is kept with the session, whose token is in its forms.
    assert watch.drawn(other)
    for again in (site, other):
        assert not watch.drawn(again)
        assert len(watch.statements) <= 3
        assert plain(again) == first
        assert "D-1001" in again.text
    assert other.last is not None
    theirs = {str(field["value"]) for field in other.page.select("[name=csrf_token]")}
    assert len(theirs) == 1
    assert token not in other.last.text
    # It is their own, so that what they send is accepted.
    copied = other.client.get_cookie(COOKIE)
    assert copied is not None
    assert not watch.drawn(other)
    assert other.submit(action="/logout").status_code == 200
    assert site.client.get(URL).status_code == 200
    assert other.client.get(URL).status_code == 302
    # Nor is it given to whoever has a copy of the cookie.
    other.client.set_cookie(COOKIE, copied.value)
    assert other.client.get(URL).status_code == 302


def test_a_session_that_changed_is_drawn_for_anew(app: Flask, office: Office, watch: Watch) -> None:
    """Whatever in it changed: here the token of its forms, so that what is sent with the old one is refused."""
    site = office.site
    assert watch.drawn(site)
    old = site.token()
    with site.client.session_transaction() as stored:
        stored["csrf_token"] = "f" * 40
    assert watch.drawn(site)
    assert site.token() != old
    assert site.submit(action="/logout").status_code == 200
    assert site.client.get(URL).status_code == 302


def test_what_is_given_out_is_answered_and_told_like_what_is_drawn(app: Flask, office: Office, watch: Watch) -> None:
    """Past Flask: with the headers of every page, and one line in the log under a request's own id."""
    office.site.get("/admin/customers/")
    answers = []
    with capture_logs(processors=[merge_contextvars]) as told:
        for is_drawn in (True, False, False):
            assert watch.drawn(office.site) is is_drawn
            assert office.site.last is not None
            answers.append(dict(office.site.last.headers))
    numbers = [headers.pop("X-Request-ID") for headers in answers]
    assert len(set(numbers)) == 3
    assert answers == [answers[0]] * 3
    line = {"event": "request", "method": "GET", "path": URL, "status": 200, "user": office.dana.id}
    assert [one.pop("request_id") for one in told] == numbers
    assert all(one.pop("ms") >= 0 for one in told)
    assert told == [line | {"log_level": "info"}] * 3


def test_a_name_changed_while_it_is_asked_what_is_new_is_not_missed(
    app: Flask, office: Office, engine: Engine, create_partner: Create
) -> None:
    """One's own name leaves no mark: only that nothing at all was written since says that it is as it was."""
    app.extensions[kept.EXTENSION] = kept.Pages(kept.MOST_PAGES)
    office.site.get(URL)
    # Somebody else's doing, so that what is new to this partner has to be asked; SQLite's mark is of the partner alone.
    create_partner(name="Zenith")
    before: list[Mark] = []

    def meanwhile(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if " AS changed" in statement and not before:
            with engine.connect() as other:
                before.append(mark_of(other.exec_driver_sql("SELECT pg_current_snapshot()::text").scalar_one()))
            _write(User, lambda office: office.dana.id, name="Dana Diaz")(office)

    event.listen(engine, "before_cursor_execute", meanwhile)
    office.site.get(URL)
    event.remove(engine, "before_cursor_execute", meanwhile)
    if engine.dialect.name == "postgresql":
        # Kept as of before that, so that the next request looks again at who asks.
        (page,) = kept.pages_of(app)._pages.values()
        assert page.mark is not None
        assert page.mark.history <= before[0].history
    else:
        _write(User, lambda office: office.dana.id, name="Dana Diaz")(office)
    office.site.get(URL)
    assert "Dana Diaz" in office.site.text


@pytest.mark.parametrize("header", ["X-Forwarded-For", "User-Agent", "Accept-Language"])
def test_what_a_browser_says_of_itself_makes_another_page(office: Office, watch: Watch, header: str) -> None:
    """By two of these Flask-Login knows a stolen session, which the front does not ask."""
    assert watch.drawn(office.site)
    assert not watch.drawn(office.site)
    watch.statements.clear()
    office.site.client.get(URL, headers={header: "elsewhere.test"})
    assert any("jobs." in one for one in watch.statements)


def test_a_page_is_kept_through_the_loss_of_the_database(
    office: Office, watch: Watch, cut_off: Callable[[], None]
) -> None:
    """Who asks is read past SQLAlchemy on PostgreSQL; that connections were lost is found out all the same."""
    assert watch.drawn(office.site)
    cut_off()
    # One after the other is found to be lost: that they all are is told by the clock, which stands still here.
    statuses = [office.site.get(URL).status_code for _ in range(MOST_POOLED + 1)]
    assert statuses[-1] == 200
    assert set(statuses) <= {200, 503}
    assert not watch.drawn(office.site)


@pytest.fixture
def cut_off(engine: Engine, office: Office) -> Iterator[Callable[[], None]]:
    """End every connection of the application, as a restart of PostgreSQL does; SQLite has none that could be cut."""

    def cut() -> None:
        office.session.close()
        if engine.dialect.name == "postgresql":
            other = create_engine(engine.url, poolclass=NullPool)
            others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            with other.connect() as connection:
                connection.exec_driver_sql(f"SELECT pg_terminate_backend(pid, 60000) {others}")

    yield cut
    # Nobody after this test takes up what was cut.
    engine.dispose()


def _by_customer(office: Office) -> None:
    own = frozenset({office.customer.id})
    actor = Actor(None, Role.CUSTOMER, "Priya", frozenset({office.partner.id}), customer_ids=own)
    (visit,) = office.visits(office.jobs()[0])
    office.do(services.move_by_customer, visit.id, TUESDAY + timedelta(hours=4), actor=actor)


def _write(model: Any, key: Callable[[Office], int], **values: Any) -> Callable[[Office], None]:
    def write(office: Office) -> None:
        with unit_of_work(office.session) as session:
            row = session.get_one(model, key(office))
            for name, value in values.items():
                setattr(row, name, value)

    return write


def _address(office: Office) -> int:
    return office.jobs()[0].address_id


def _logo(office: Office) -> None:
    with unit_of_work(office.session) as session:
        session.add(
            PartnerLogo(partner_id=office.partner.id, digest="d" * 64, picture=b"x", width=1, height=1, saved_at=NOW)
        )


CHANGES: dict[str, tuple[Callable[[Office], object], str]] = {
    "moved by the customer": (_by_customer, "Moved by customer"),
    "another installation": (lambda office: office.create(now=NOW), "D-1003"),
    "assigned": (
        lambda office: office.do(services.assign, office.jobs()[1].id, office.tomas.id),
        "Tomás Reyes",
    ),
    "a customer's name": (_write(Customer, lambda office: office.customer.id, name="Priya Ferris"), "Priya Ferris"),
    "an address": (_write(Address, _address, line="9 Zinc Way"), "9 Zinc Way"),
    "a technician's name": (_write(Technician, lambda office: office.ines.id, name="Ines Kant"), "Ines Kant"),
    "a technician deactivated": (_write(Technician, lambda office: office.tomas.id, active=False), ""),
    "a service type": (_write(ServiceType, lambda office: office.kind.id, name="Air pump"), "Air pump"),
    "the partner's words": (_write(Partner, lambda office: office.partner.id, staff_term="Fitter"), "Fitter"),
    "the partner's name": (_write(Partner, lambda office: office.partner.id, name="Acme & Co"), "Acme & Co"),
    "the partner's colour": (_write(Partner, lambda office: office.partner.id, brand_colour="#112233"), ""),
    "the partner's logo": (_logo, ""),
    "the partner's zone": (_write(Partner, lambda office: office.partner.id, timezone="Europe/Berlin"), "10:00–12:00"),
    "one's own name": (_write(User, lambda office: office.dana.id, name="Dana Diaz"), "Dana Diaz"),
    "one's own language": (_write(User, lambda office: office.dana.id, locale="de_DE"), "Abmelden"),
}


def test_whatever_is_written_shows_with_the_next_request(
    app: Flask, office: Office, watch: Watch, set_controls: Create, clock: Any
) -> None:
    """Each change alone, by somebody else, in a process whose only news of it is the database."""
    set_controls(office.partner, self_service=True, reschedule_unconfirmed=True)
    office.create(technician=office.ines)
    office.create()
    for what, (change, word) in CHANGES.items():
        office.site.get(URL)
        assert not watch.drawn(office.site), what
        before = plain(office.site)
        change(office)
        office.site.get(URL)
        shown = plain(office.site)
        assert word in office.site.text, what
        assert (shown != before) or what == "a technician deactivated", what
        # Exactly as it is drawn where nothing is kept.
        app.extensions[kept.EXTENSION] = kept.Pages(kept.MOST_PAGES)
        assert watch.drawn(office.site)
        assert plain(office.site) == shown, what


def test_what_one_does_by_forms_shows_on_the_list_one_is_led_to(office: Office, watch: Watch) -> None:
    job = office.create(technician=office.ines)
    site = office.site
    site.get(URL)
    assert not watch.drawn(site)
    site.get(office.at(job, "reassign"))
    site.submit({"technician": str(office.tomas.id)})
    assert site.url == office.at(job)
    site.get(URL)
    assert [cell.text for cell in site.page.select("tbody td:nth-child(6)")] == ["Tomás Reyes"]
    # What is said once is not in what is kept, nor is it held back by it.
    assert not watch.drawn(site)
    site.post(f"{URL}bulk/assign", {})
    assert watch.drawn(site)
    assert "Nothing was done" in site.text
    assert not watch.drawn(site)
    assert "Nothing was done" not in site.text


def test_nobody_gets_the_page_of_somebody_else(
    platform: Platform, clock: Any, watch: Watch, create_staff: Create, create_installation: Create
) -> None:
    """Two partners, two roles, two languages, an operator looking in: at one address, in any order."""
    zoe = create_staff(platform.zenith, name="Zoe Quinn")
    create_installation(platform.acme, platform.customer, start=TUESDAY, items=[("Acme boiler", 1)])
    create_installation(platform.zenith, start=TUESDAY, items=[("Zenith boiler", 1)])
    with unit_of_work(platform.session) as session:
        session.get_one(User, platform.alma.id).locale = "de_DE"
    robin = platform.browser(platform.robin)
    robin.get(f"/admin/partners/{platform.acme.id}")
    robin.submit({"look_reason": "A question"}, action="/look")
    readers = {
        "Alma": (platform.browser(platform.alma), platform.alma.name, "Abmelden", "Acme boiler"),
        "Dana": (platform.browser(platform.dana), platform.dana.name, "Dispatcher", "Acme boiler"),
        "Zoe": (platform.browser(zoe), "Zoe Quinn", "Sign out", "Zenith boiler"),
        "Robin": (robin, "A question", "Stop looking", "Acme boiler"),
    }
    for turn in range(3):
        for name, (site, own, word, boiler) in readers.items():
            # Nobody's change ends a look, so that what it shows is never kept.
            assert watch.drawn(site) == (turn == 0 or name == "Robin"), name
            assert own in site.text
            assert word in site.text, name
            assert re.findall(r"\w+ boiler", site.page.select_one("tbody").get_text(" ")) == [boiler]  # type: ignore[union-attr]
            for other in readers.values():
                assert other[1] == own or other[1] not in site.text
    # Whose look is over gets nothing, and who becomes another gets another's page at once.
    robin.submit(button="Stop looking")
    assert robin.get(URL).status_code == 403
    dana = readers["Dana"][0]
    assert "Feature controls" not in dana.text
    membership = Membership.user_id == platform.dana.id
    with unit_of_work(platform.session) as session:
        session.query(Membership).filter(membership).one().role = Role.PARTNER_ADMIN
    dana.get(URL)
    assert "Feature controls" in dana.text
    with unit_of_work(platform.session) as session:
        session.query(Membership).filter(membership).one().active = False
    assert dana.get(URL).status_code == 403
    with unit_of_work(platform.session) as session:
        session.get_one(User, zoe.id).fs_uniquifier = "f" * 32
    assert readers["Zoe"][0].client.get(URL).status_code == 302


def test_other_addresses_minutes_and_picks_are_other_pages(office: Office, watch: Watch, clock: Any) -> None:
    job = office.create(start=NOW - timedelta(hours=2) + timedelta(seconds=3), technician=office.ines)
    site = office.site
    assert watch.drawn(site)
    for query in ("?group=Scheduled", "?group=Rejected", "?sort=-date", "?q=raman"):
        assert watch.drawn(site, URL + query)
        assert not watch.drawn(site, URL + query)
    for _ in range(2):
        assert watch.drawn(site, f"{URL}?picked={job.id}")
    assert not watch.drawn(site)
    assert site.page.select("#menu-queues .count-wait") == []
    # The window is over, and the queues are counted again.
    clock.shift(timedelta(seconds=6))
    assert watch.drawn(site)
    assert [count.text for count in site.page.select("#menu-queues .count-wait")] == ["1 waiting"]
    clock.shift(timedelta(minutes=1))
    assert watch.drawn(site)


def test_a_process_keeps_so_many_pages_and_no_more() -> None:
    pages, page = kept.Pages(2), object()
    for key in ("first", "second", "first", "third"):
        if pages.get(key) is None:
            pages.put(key, page)  # type: ignore[arg-type]
    assert [pages.get(key) for key in ("first", "second", "third")] == [page, None, page]


def test_the_log_in_is_the_same_past_sqlalchemy_as_through_it(app: Flask, office: Office) -> None:
    """PostgreSQL's own driver is asked for it, which has to give every type as the models have it."""
    with unit_of_work(office.session) as session:
        session.get_one(Partner, office.partner.id).status_labels = {"SCHEDULED": "Planned"}
    stamp = office.dana.fs_uniquifier
    with app.app_context(), app.extensions[READING].connect() as connection:
        (through,) = connection.execute(auth._login(connection.dialect.name), {"stamp": stamp}).all()
        ((*past,),) = auth.login_rows(stamp).facts
    assert past == list(through[:-1])
    assert [type(value) for value in past] == [type(value) for value in through[:-1]]
