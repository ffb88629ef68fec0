"""Signing in and out, what a session is worth, and where each person lands."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient
from flask_session.base import ServerSideSession
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from portal.domain.people.models import Membership, Partner, Technician, User
from portal.domain.unit_of_work import unit_of_work
from portal.web.sessions import LIFETIME, sweep
from portal.web.signin import TRIES_EACH
from tests.factories import Create
from tests.helpers import COOKIE, PASSWORD, Site, soup


@pytest.fixture
def partner(create_partner: Create) -> Partner:
    made: Partner = create_partner(name="Brightwell")
    return made


@pytest.fixture
def dispatcher(partner: Partner, create_staff: Create) -> User:
    made: User = create_staff(partner, name="Dana Okafor", email="dana@brightwell.example")
    return made


def errors_of(site: Site) -> list[str]:
    return [link.get_text() for link in site.page.select(".error-summary a")]


def test_each_role_lands_where_its_work_is(
    site: Site,
    partner: Partner,
    create_user: Create,
    create_staff: Create,
    create_technician: Create,
    create_customer: Create,
) -> None:
    technician, customer, operator = create_user(), create_user(), create_user(is_operator=True)
    create_technician(partner, technician)
    create_customer(partner, customer)
    for user, path in (
        (create_staff(partner), "/admin/"),
        (create_staff(partner, role="partner_admin"), "/admin/"),
        (operator, "/admin/partners/"),
        (technician, "/field/"),
        (customer, "/my/"),
    ):
        site.sign_in(user)
        assert site.status == 200
        assert site.url == path
        site.sign_out()


def test_somebody_who_is_everything_enters_each_area(
    site: Site, partner: Partner, create_staff: Create, create_technician: Create, create_customer: Create
) -> None:
    user = create_staff(partner)
    create_technician(partner, user)
    create_customer(partner, user)
    site.sign_in(user)
    assert site.url == "/admin/"
    assert [site.get(path).status_code for path in ("/admin/", "/field/", "/my/")] == [200, 200, 200]


@pytest.mark.parametrize("path", ["/field/", "/my/"])
def test_the_wrong_area_is_refused(site: Site, dispatcher: User, path: str) -> None:
    site.sign_in(dispatcher)
    assert site.get(path).status_code == 403


def test_a_technician_does_not_enter_the_admin(
    site: Site, partner: Partner, create_user: Create, create_technician: Create
) -> None:
    user = create_user()
    create_technician(partner, user)
    site.sign_in(user)
    assert site.get("/admin/").status_code == 403


def test_somebody_who_is_nobody_any_more_is_told_so_and_can_leave(
    site: Site, session: Session, partner: Partner, create_user: Create, create_technician: Create
) -> None:
    user = create_user(name="Leon Adeyemi")
    technician = create_technician(partner, user)
    with unit_of_work(session):
        session.get_one(Technician, technician.id).active = False
    site.sign_in(user)
    assert site.status == 403
    assert "Leon Adeyemi" in site.text
    site.submit(action="/logout")
    assert site.url == "/login"


@pytest.mark.row("C9")
def test_no_answer_tells_whether_an_address_has_an_account(
    site: Site, session: Session, dispatcher: User, create_user: Create
) -> None:
    left = create_user(active=False)
    pages = []
    for email, password in (
        (dispatcher.email, "wrong"),
        ("nobody@brightwell.example", "wrong"),
        ("not an address", "wrong"),
        (left.email, PASSWORD),
        ("ärger@brightwell.example", "wrong"),
        ("🚪@brightwell.example", "🔑"),
    ):
        site.sign_in(email, password)
        assert site.page.select_one("input[name=email]")["value"] == email.lower()  # type: ignore[index]
        assert not site.page.select_one("input[name=password]").get("value")  # type: ignore[union-attr]
        pages.append((site.last and site.last.status_code, site.page.title.string, errors_of(site)))  # type: ignore[union-attr]
    assert set(map(str, pages)) == {str(pages[0])}
    assert pages[0] == (200, "Error: Sign in – Doorstep", ["Email address or password is not right"])


@pytest.mark.parametrize(
    ("email", "password", "said"),
    [
        ("", "", ["Enter your email address", "Enter your password"]),
        ("   ", "x", ["Enter your email address"]),
        ("a" * 10_000, "x", ["Enter an email address of 255 characters or fewer"]),
        ("dana@brightwell.example", "x" * 10_000, ["Enter a password of 1024 characters or fewer"]),
    ],
)
def test_what_cannot_be_right_is_said_at_the_field(site: Site, email: str, password: str, said: list[str]) -> None:
    site.sign_in(email, password)
    assert errors_of(site) == said
    for link in site.page.select(".error-summary a"):
        field = site.page.select_one(str(link["href"]))
        assert field is not None
        assert field["aria-invalid"] == "true"
        assert site.page.select_one(f"#{field['aria-describedby']}").get_text() == link.get_text()  # type: ignore[union-attr]


def test_the_address_may_be_typed_in_any_case(site: Site, dispatcher: User) -> None:
    site.sign_in("  Dana@Brightwell.Example ")
    assert site.url == "/admin/"


def test_a_nul_is_refused_on_a_page(site: Site, dispatcher: User) -> None:
    site.sign_in(dispatcher.email, "\0")
    assert site.status == 400


def test_a_form_without_token_is_refused_with_a_way_back(site: Site, dispatcher: User) -> None:
    site.sign_in(dispatcher)
    answer = site.client.post("/logout", headers={"Referer": "http://localhost/admin/"})
    assert answer.status_code == 400
    assert "nothing was done" in answer.text
    assert soup(answer).select_one("main a[href='/admin/']")
    assert site.client.get("/admin/").status_code == 200


def test_signing_in_leads_to_the_page_that_was_asked_for(site: Site, dispatcher: User) -> None:
    site.get("/admin/?page=2")
    assert site.url == "/login?next=/admin/?page%3D2"
    site.submit({"email": dispatcher.email, "password": PASSWORD})
    assert site.url == "/admin/?page=2"


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "http:evil.example",
        "https://localhost.evil.example/",
        " //evil.example",
        "\t//evil.example",
    ],
)
def test_signing_in_never_leads_to_another_host(client: FlaskClient, dispatcher: User, address: str) -> None:
    token = soup(client.get("/login")).select_one("input[name=csrf_token]")["value"]  # type: ignore[index]
    values = {"email": dispatcher.email, "password": PASSWORD, "csrf_token": str(token), "next": address}
    for answer in (
        client.post("/login", data=values),
        client.post(f"/login?next={quote(address)}", data=values | {"next": ""}),
    ):
        # as a browser reads it, to which a backslash is a slash
        target = urljoin("http://localhost/login", answer.headers.get("Location", "").replace("\\", "/").strip())
        assert urlsplit(target)[:2] == ("http", "localhost")


def test_a_dialog_of_somebody_signed_out_sends_the_whole_page_to_sign_in(client: FlaskClient) -> None:
    answer = client.get("/admin/", headers={"HX-Request": "true"})
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/login"


@pytest.mark.once
def test_a_page_whose_session_was_replaced_is_sent_once_more_with_what_was_typed(site: Site, dispatcher: User) -> None:
    site.open_beside_another("/login")
    answer = site.submit({"email": dispatcher.email, "password": PASSWORD}, action="/login")
    assert answer.status_code == 400
    assert "The page was out of date. Enter your password once more." in site.text
    field = site.page.select_one("input[name=email]")
    assert field is not None
    assert field["value"] == dispatcher.email
    assert PASSWORD not in site.page.decode()
    site.submit({"password": PASSWORD}, action="/login")
    assert site.url.startswith("/admin/")
    site.sign_out()
    for url in ("/login/link", "/login/password"):
        site.open_beside_another(url)
        assert site.submit({"address": "dana@mail.example"}, button="Send the link").status_code == 400
        assert "What you entered is still here: send it once more." in site.text
        assert site.page.select_one("input[name=address][value='dana@mail.example']"), site.page
        assert site.submit(button="Send the link").status_code == 200
        assert "/sent/" in site.url


@pytest.mark.once
def test_pages_asked_for_at_once_after_signing_in_have_one_token(app: Flask, site: Site, dispatcher: User) -> None:
    site.sign_in(dispatcher)
    session_of = site.client.session_transaction
    with session_of() as before:
        token = before["csrf_token"]
    site.get("/admin/")
    with session_of() as after:
        assert after["csrf_token"] == token


# What a session is worth


def cookie_of(client: FlaskClient) -> str:
    cookie = client.get_cookie(COOKIE)
    assert cookie is not None
    return cookie.value


def test_the_cookie_holds_nothing_but_an_id_that_changes_at_sign_in(site: Site, dispatcher: User) -> None:
    site.get("/login")
    planted = cookie_of(site.client)
    site.sign_in(dispatcher)
    own = cookie_of(site.client)
    assert own != planted
    thief = site.client.application.test_client()
    thief.set_cookie(COOKIE, planted)
    assert thief.get("/admin/").status_code == 302


def test_a_copied_cookie_is_dead_after_sign_out(app: Flask, site: Site, dispatcher: User) -> None:
    site.sign_in(dispatcher)
    copy = app.test_client()
    copy.set_cookie(COOKIE, cookie_of(site.client))
    assert copy.get("/admin/").status_code == 200
    site.sign_out()
    assert site.url == "/login"
    assert copy.get("/admin/").status_code == 302


def test_asking_for_a_remembered_session_gives_no_second_cookie(client: FlaskClient, dispatcher: User) -> None:
    token = soup(client.get("/login")).select_one("input[name=csrf_token]")["value"]  # type: ignore[index]
    values = {"email": dispatcher.email, "password": PASSWORD, "csrf_token": str(token), "remember": "y"}
    answer = client.post("/login", data=values)
    assert [line.partition("=")[0] for line in answer.headers.getlist("Set-Cookie")] == [COOKIE]


def test_signing_out_takes_a_button(site: Site, dispatcher: User) -> None:
    site.sign_in(dispatcher)
    site.get("/logout")
    assert site.get("/admin/").status_code == 200
    assert site.client.post("/logout").status_code == 400
    assert site.get("/admin/").status_code == 200


def end_active(user: User) -> None:
    user.active = False


def end_stamp(user: User) -> None:
    user.fs_uniquifier = "f" * 32


@pytest.mark.parametrize("end", [end_active, end_stamp])
def test_a_session_ends_with_the_account(
    site: Site, session: Session, dispatcher: User, end: Callable[[User], None]
) -> None:
    site.sign_in(dispatcher)
    with unit_of_work(session):
        end(session.get_one(User, dispatcher.id))
    assert site.client.get("/admin/").status_code == 302


def test_a_changed_role_holds_from_the_next_request(site: Site, session: Session, dispatcher: User) -> None:
    site.sign_in(dispatcher)
    with unit_of_work(session):
        session.delete(session.query(Membership).filter_by(user_id=dispatcher.id).one())
    assert site.client.get("/admin/").status_code == 403


def test_a_session_is_not_written_at_every_request(app: Flask, site: Site, dispatcher: User) -> None:
    site.sign_in(dispatcher)
    assert site.status == 200
    folder: Path = app.config["SETTINGS"].session_dir
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    answer = site.client.get("/logout")
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_made_up_cookie_is_nobody(client: FlaskClient) -> None:
    for value in ("", "x", "../../../etc/passwd", "ü" * 500, "a" * 4000):
        client.set_cookie(COOKIE, value)
        assert client.get("/login").status_code == 200


def test_who_asks_and_their_partner_cost_one_statement(site: Site, dispatcher: User, statements: list[str]) -> None:
    site.sign_in(dispatcher)
    statements.clear()
    assert site.client.get("/logout").status_code == 200
    assert len(statements) == 1


def test_the_page_of_a_database_that_is_away_asks_it_nothing(site: Site, dispatcher: User, engine: Engine) -> None:
    site.sign_in(dispatcher)

    def away(*args: Any) -> None:
        raise OperationalError("SELECT 1", {}, Exception("the server closed the connection"))

    event.listen(engine, "before_cursor_execute", away)
    try:
        answer = site.client.get("/admin/")
    finally:
        event.remove(engine, "before_cursor_execute", away)
    assert answer.status_code == 503
    assert "Doorstep is busy" in answer.text


def test_sessions_that_ran_out_are_swept_away(site: Site, dispatcher: User, make_app: Callable[..., Flask]) -> None:
    site.sign_in(dispatcher)
    assert site.status == 200
    folder: Path = site.client.application.config["SETTINGS"].session_dir
    past = time.time() - LIFETIME.total_seconds() - 1
    for path in folder.iterdir():
        os.utime(path, (past, past))
    site.client.application.test_client().get("/login")
    assert sweep(folder) >= 1
    assert sweep(folder) == 0
    assert site.client.get("/admin/").status_code == 302


@pytest.fixture
def redis_url() -> str:
    url = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
    try:
        with redis.Redis.from_url(url) as store:
            store.ping()
    except redis.RedisError:
        pytest.skip(f"no Redis at {url}")
    return url


def test_sessions_and_throttle_are_shared_through_redis(
    make_app: Callable[..., Flask], redis_url: str, dispatcher: User, tmp_path: Path
) -> None:
    one, other = make_app(redis_url=redis_url), make_app(redis_url=redis_url)
    site = Site(one.test_client())
    site.sign_in(dispatcher)
    elsewhere = other.test_client()
    elsewhere.set_cookie(COOKIE, cookie_of(site.client))
    assert elsewhere.get("/admin/").status_code == 200
    assert elsewhere.get("/readyz").text == "ready\n"
    site.sign_out()
    assert elsewhere.get("/admin/").status_code == 302
    assert not (tmp_path / "sessions").exists()


# Throttling


@pytest.fixture
def throttled(make_app: Callable[..., Flask]) -> Flask:
    return make_app(throttle=True)


def test_guessing_is_slowed_down_for_one_address_from_one_place(
    throttled: Flask, dispatcher: User, create_staff: Create, partner: Partner
) -> None:
    other = create_staff(partner)
    site = Site(throttled.test_client())
    for _ in range(int(TRIES_EACH.split()[0])):
        site.sign_in(dispatcher, "wrong")
        assert site.status == 200
    site.sign_in(dispatcher)
    answer = site.last
    assert answer is not None
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert "Too many tries" in site.text
    # neither somebody else here nor the same person elsewhere is kept out
    site.sign_in(other)
    assert site.status == 200
    elsewhere = Site(throttled.test_client())
    elsewhere.client.environ_base["REMOTE_ADDR"] = "192.0.2.7"
    elsewhere.sign_in(dispatcher)
    assert elsewhere.status == 200


def test_signing_in_rightly_is_never_throttled(throttled: Flask, dispatcher: User) -> None:
    for _ in range(int(TRIES_EACH.split()[0]) + 2):
        back = Site(throttled.test_client())
        back.sign_in(dispatcher)
        assert back.status == 200


def test_a_session_is_kept_by_our_own_kind(app: Flask) -> None:
    with app.test_request_context("/login"):
        from flask import session as current

        assert isinstance(current._get_current_object(), ServerSideSession)  # type: ignore[attr-defined]
