"""Getting in by a link and getting a new password, from the form to the mail or text and back (C9)."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select

from portal.domain.access.models import AccessLink, AccessWish
from portal.domain.people.models import Customer, Membership, Partner, Technician, User
from portal.domain.unit_of_work import unit_of_work
from portal.settings import Environment, Settings
from portal.web.access import ASKS_ALL, ASKS_EACH
from portal.worker.schedule import Work
from tests.factories import Create
from tests.helpers import PASSWORD, Site
from tests.worker.conftest import MINUTE, Gateway, Shop, Sink

pytestmark = pytest.mark.row("C9")
NEW = "an entirely new password"
URL = re.compile(r"http://\S+/login/(?:link|password)/\S+")


@pytest.fixture(autouse=True)
def now(shop: Shop) -> datetime:
    """The worker's clock shows what the web's does."""
    shop.clock.now = datetime.now(UTC)
    return shop.clock.now


@pytest.fixture
def priya(shop: Shop) -> User:
    """The shop's customer, as who signs in."""
    return shop.session.scalars(select(User).where(User.id == shop.customer.user_id)).one()


def ask(site: Site, address: str, what: str = "link") -> int:
    site.get(f"/login/{what}")
    answer = site.submit({"address": address}, action=f"/login/{what}")
    return answer.status_code


def path_in(said: str) -> str:
    found = URL.search(said)
    assert found is not None, said
    return urlsplit(found[0]).path


def link_of(sink: Sink) -> str:
    body = sink.mails[-1].get_body(("plain",))
    assert body is not None
    return path_in(body.get_content())


def sent_to(site: Site, work: Work, sink: Sink, address: str, what: str = "link") -> str:
    """Ask for a link and return the one that came."""
    before = len(sink.mails)
    assert ask(site, address, what) == 200
    work.relay.run()
    assert len(sink.mails) == before + 1
    return link_of(sink)


def test_a_link_signs_in_once(site: Site, work: Work, shop: Shop, sink: Sink, priya: User, now: datetime) -> None:
    link = sent_to(site, work, sink, "  Priya@Mail.Example ")
    assert sink.recipients == [priya.email]
    assert "List-Unsubscribe" not in sink.mails[0]
    scanner = Site(site.client.application.test_client())
    for _ in range(2):
        scanner.get(link)
        assert "Sign in as Priya Raman?" in scanner.text
    assert scanner.client.get("/my/").status_code == 302
    site.get(link)
    site.submit(button="Sign in")
    assert site.url == "/my/"
    scanner.submit(button="Sign in")
    assert scanner.last is not None
    assert scanner.last.status_code == 410
    assert "used already" in scanner.text
    assert scanner.get(link).status_code == 410
    assert scanner.client.get("/my/").status_code == 302
    for bad in (f"{link[:-3]}abc", f"{link}x", "/login/link/" + "x" * 500, link.replace("/link/", "/password/")):
        assert scanner.get(bad).status_code == 404, bad
        assert "not known" in scanner.text


def test_a_link_ends_with_time_and_with_a_newer_one(
    site: Site, work: Work, shop: Shop, sink: Sink, priya: User, now: datetime
) -> None:
    first = sent_to(site, work, sink, priya.email)
    second = sent_to(site, work, sink, priya.email)
    assert site.get(first).status_code == 410
    assert "works no more" in site.text
    for active, status in ((False, 410), (True, 200)):
        with unit_of_work(shop.session) as session:
            session.get_one(User, priya.id).active = active
        assert site.get(second).status_code == status
    with time_machine.travel(datetime.now(UTC) + 15 * MINUTE, tick=False):
        for answer in (site.submit(button="Sign in"), site.get(second)):
            assert answer.status_code == 410
            assert "has run out" in site.text
    # What was held up for so long is not sent any more, whether it was answered or not.
    sink.answer = lambda address: "451 later"
    ask(site, priya.email)
    work.relay.run()
    ask(site, priya.email)
    shop.clock.now += 16 * MINUTE
    sink.answer = lambda address: "250 OK"
    assert (work.relay.run().sent, len(sink.mails)) == (0, 2)
    assert [message.status for message in shop.messages()] == ["SENT", "SENT", "SKIPPED"]
    assert shop.session.scalars(select(AccessWish)).all() == []


def test_a_link_signs_in_instead_of_who_was_here(
    site: Site, work: Work, shop: Shop, sink: Sink, priya: User, create_staff: Create
) -> None:
    staff = create_staff(shop.partner, name="Dana Okafor")
    link = sent_to(site, work, sink, priya.email)
    site.sign_in(staff)
    site.get(link)
    assert "Dana Okafor is signed out here" in site.text
    site.submit(button="Sign in")
    assert site.url == "/my/"
    assert site.client.get("/admin/").status_code == 403


def test_of_several_presses_at_once_one_signs_in(app: Flask, site: Site, work: Work, sink: Sink, priya: User) -> None:
    link = sent_to(site, work, sink, priya.email)
    sites = [Site(app.test_client()) for _ in range(4)]
    for one in sites:
        one.get(link)
    start = threading.Barrier(len(sites))
    codes: list[int] = []

    def press(one: Site) -> None:
        form = {"csrf_token": str(one.page.select_one("main input[name=csrf_token]")["value"])}  # type: ignore[index]
        start.wait()
        codes.append(one.client.post(link, data=form).status_code)

    threads = [threading.Thread(target=press, args=(one,)) for one in sites]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [303, 410, 410, 410]


# Whether there is an account


@pytest.fixture
def people(
    shop: Shop, priya: User, create_user: Create, create_staff: Create, create_partner: Create, create_customer: Create
) -> dict[str, bool]:
    """Addresses of every kind, and whether a message goes to them."""
    held = create_partner(name="Initech")
    # Where no mail can reach.
    unreal = create_user(email="customer@acme.local")
    create_customer(shop.partner, unreal)
    kept_out, held_customer = create_staff(held), create_user()
    reached = create_customer(shop.partner, create_user())
    create_customer(held, held_customer)
    with unit_of_work(shop.session) as session:
        session.get_one(Partner, held.id).suspended_at = shop.clock.now
        session.get_one(Customer, reached.id).phone = "+44 7700 900200"
    left, operator, nobody = create_user(active=False), create_user(is_operator=True), create_user()
    create_customer(shop.partner, left)
    return {
        priya.email: True,
        unreal.email: True,
        "nobody@mail.example": False,
        left.email: False,
        operator.email: False,
        nobody.email: False,
        kept_out.email: True,
        held_customer.email: True,
        "+44 7700 900200": True,
        "07700 900299": False,
    }


def test_asking_does_the_same_for_whomever(
    site: Site, work: Work, shop: Shop, sink: Sink, people: dict[str, bool], statements: list[str]
) -> None:
    seen = set()
    for what in ("link", "password"):
        for address in people:
            if what == "password" and "@" not in address:
                continue
            site.get(f"/login/{what}")
            token = fields(site)
            statements.clear()
            answer = site.client.post(f"/login/{what}", data={"csrf_token": token, "address": address})
            asked = tuple(statements)
            page = site.client.get(answer.headers["Location"])
            seen.add((what, answer.status_code, answer.headers["Location"], page.text.count("link"), asked))
    assert {(what, status) for what, status, *_ in seen} == {("link", 303), ("password", 303)}
    assert len(seen) == 2
    assert {len(asked) for *_, asked in seen} == {1}
    work.relay.run()
    mails = sorted(sink.recipients)
    assert mails == sorted(2 * [address for address, told in people.items() if told and "@" in address])


def fields(site: Site) -> str:
    return str(site.page.select_one("main input[name=csrf_token]")["value"])  # type: ignore[index]


def test_a_wrong_password_costs_the_same_for_whomever(
    site: Site, people: dict[str, bool], statements: list[str]
) -> None:
    seen = set()
    for address in people:
        if "@" in address:
            site.get("/login")
            token = fields(site)
            statements.clear()
            site.client.post("/login", data={"csrf_token": token, "email": address, "password": "wrong"})
            seen.add(tuple(statements))
    assert len(seen) == 1


def test_what_is_no_address_is_said_at_the_field(site: Site) -> None:
    for what, wrong in (
        ("link", ("", "priya", "@", "1234", "1" * 16, "x" * 3000, "0117 4960 ext", "ünknown@", "+")),
        ("password", ("", "07700 900200", "priya@")),
    ):
        for typed in wrong:
            assert ask(site, typed, what) == 422, typed
            field = site.page.select_one("#address")
            assert field is not None
            assert field["aria-invalid"] == "true"
            assert str(field["value"]) == typed


# By text


def texts(work: Work, gateway: Gateway, shop: Shop, site: Site, number: str) -> list[tuple[str, str]]:
    gateway.told.clear()
    assert ask(site, number) == 200
    work.relay.run()
    return list(gateway.told)


def test_a_text_signs_in_whose_number_it_is_alone(
    site: Site,
    start_work: Callable[..., Work],
    settings: Settings,
    shop: Shop,
    gateway: Gateway,
    priya: User,
    create_partner: Create,
    create_customer: Create,
    create_technician: Create,
    create_user: Create,
) -> None:
    work = start_work(private_hosts=True)
    shop.leave_by(settings, text_gateway=gateway.url)
    shop.text_too(phone="+44 7700 900200")
    session = shop.session
    for typed in ("+44 7700 900200", "07700 900 200", "00 7700"):
        told = [number for number, _ in texts(work, gateway, shop, site, typed)]
        assert told == (["447700900200"] if "900" in typed else [])
    # The same number as it is written in another country is another one.
    abroad = create_partner(name="Globex", timezone="America/New_York")
    ((_, words),) = texts(work, gateway, shop, site, "07700 900200")
    assert words.startswith("Brightwell Solar & Heat: ")
    link = path_in(words)
    site.get(link)
    site.submit(button="Sign in")
    assert site.url == "/my/"
    site.sign_out()

    def says_use_email() -> bool:
        ((_, words),) = texts(work, gateway, shop, site, "07700 900200")
        return "use your email address" in words and "/login/link" not in words

    # Two who share it; somebody to another partner too, whom this one's staff and gateway must not become; staff.
    other = create_customer(shop.partner, create_user())
    with unit_of_work(session):
        session.get_one(Customer, other.id).phone = "+44 7700 900200"
    assert says_use_email()
    with unit_of_work(session):
        session.get_one(Customer, other.id).active = False
    assert not says_use_email()
    elsewhere = create_customer(abroad, priya)
    assert says_use_email()
    with unit_of_work(session):
        session.get_one(Customer, elsewhere.id).user_id = None
        session.add(Membership(partner_id=shop.partner.id, user_id=priya.id, role="dispatcher"))
    assert says_use_email()
    with unit_of_work(session):
        session.delete(session.scalars(select(Membership).where(Membership.user_id == priya.id)).one())
        session.get_one(Customer, shop.customer.id).text_off_at = shop.clock.now
    assert texts(work, gateway, shop, site, "07700 900200") == []
    # A technician as well.
    technician = create_technician(shop.partner, create_user())
    with unit_of_work(session):
        session.get_one(Technician, technician.id).phone = "+44 7700 900300"
    site.get(path_in(texts(work, gateway, shop, site, "07700 900300")[0][1]))
    site.submit(button="Sign in")
    assert site.url == "/field/"


def test_no_partner_carries_the_mail(
    site: Site, settings: Settings, work: Work, shop: Shop, sink: Sink, priya: User
) -> None:
    server = {"smtp_host": "127.0.0.1", "smtp_port": 1, "sender": "office@brightwell.example"}
    shop.leave_by(settings, own_mail=True, **server)
    sent_to(site, work, sink, priya.email)


# A new password


def test_a_new_password_ends_every_other_session(
    app: Flask, site: Site, work: Work, sink: Sink, shop: Shop, priya: User
) -> None:
    elsewhere = Site(app.test_client())
    elsewhere.sign_in(priya)
    sign_in = sent_to(site, work, sink, priya.email)
    link = sent_to(site, work, sink, priya.email, "password")
    site.get(link)
    assert site.submit({"password": "short"}).status_code == 422
    assert elsewhere.client.get("/my/").status_code == 200
    site.submit({"password": NEW})
    assert site.url == "/login"
    assert "Your new password is set" in site.text
    assert elsewhere.client.get("/my/").status_code == 302
    for spent in (link, sign_in):
        assert site.get(spent).status_code == 410
    site.sign_in(priya, PASSWORD)
    assert site.client.get("/my/").status_code == 302
    site.sign_in(priya, NEW)
    assert site.client.get("/my/").status_code == 200


# In the log


def test_the_log_keeps_no_link_but_in_the_demo(
    site: Site, start_work: Callable[..., Work], shop: Shop, priya: User, create_staff: Create
) -> None:
    staff = create_staff(shop.partner)
    for environment, shown in ((Environment.TEST, False), (Environment.PRODUCTION, False), (Environment.DEMO, True)):
        work = start_work(doorstep_env=environment)
        ask(site, priya.email)
        work.relay.run()
        newest = shop.messages()[-1]
        assert newest.status == "SENT"
        assert ("/login/link/…" in newest.body) is not shown
        visitor = Site(site.client.application.test_client())
        visitor.sign_in(staff)
        visitor.get("/admin/messages/")
        assert "Link to sign in" in visitor.text
        assert "Priya Raman" in visitor.text
        visitor.get(f"/admin/messages/{newest.id}")
        assert (path_in(newest.body) in str(visitor.page)) if shown else "/login/link/…" in visitor.text
    assert shop.session.scalars(select(AccessLink.used_at)).all() == [None] * 3


# Throttling


def test_asking_is_throttled_across_processes(make_app: Callable[..., Flask], shop: Shop, priya: User) -> None:
    each, every = (int(limit.split()[0]) for limit in (ASKS_EACH, ASKS_ALL))
    # Each as another process has it; what they share is the file beside the sessions.
    apps = [make_app(throttle=True) for _ in range(2)]

    def from_place(number: int) -> Site:
        site = Site(apps[number % 2].test_client())
        site.client.environ_base["REMOTE_ADDR"] = f"192.0.2.{number}"
        return site

    for address in (priya.email, "nobody@mail.example", "07700 900200"):
        codes = [ask(from_place(number), address) for number in range(each + 1)]
        assert codes == [200] * each + [429], address
    busy = from_place(100)
    assert [ask(busy, f"{number}@mail.example") for number in range(every + 1)] == [200] * every + [429]
    assert "Too many tries" in busy.text
    assert ask(busy, "not an address") == 429
    assert ask(from_place(101), "somebody@mail.example") == 200
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=16), tick=False):
        assert ask(from_place(102), priya.email) == 200
