"""What every page goes through: errors, headers, unreadable input, health, languages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, abort
from flask.testing import FlaskClient
from sqlalchemy import text

from portal import create_app
from portal.domain.errors import Conflict, Invalid, NotFound, Refusal, Refused, sentence
from portal.domain.people.models import Partner, User
from portal.extensions import db
from portal.web.assets import STATIC
from portal.web.errors import WORDS
from portal.web.http import BIGGEST_REQUEST
from tests.conftest import Database, make_settings
from tests.factories import Create
from tests.helpers import Site, soup

NOWHERE = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"
NO_REDIS = "redis://127.0.0.1:1/0"
REFUSAL = Refusal("taken", sentence("%(who)s was quicker.", who="Priya"))


@pytest.fixture(scope="module")
def odd_app(_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    url = _database.app.config["SETTINGS"].database_url
    app = create_app(make_settings(tmp_path_factory.mktemp("odd"), database_url=url))

    def fail(how: str) -> str:
        if how.isdigit():
            abort(int(how))
        errors: dict[str, Exception] = {
            "refused": Refused(REFUSAL),
            "conflict": Conflict(REFUSAL),
            "missing": NotFound(),
            "invalid": Invalid({"reason": sentence("Give a reason")}),
            "broken": RuntimeError("hush"),
        }
        raise errors[how]

    def half_done() -> str:
        db.session.execute(text("SELECT * FROM there_is_no_such_table"), execution_options={"names_partner": True})
        return ""

    app.add_url_rule("/fail/<how>", "fail", fail, methods=["GET"])
    app.add_url_rule("/half-done", "half_done", half_done)
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def odd(odd_app: Flask, database: Database) -> Flask:
    """An application with pages that fail in every way there is."""
    return odd_app


@pytest.mark.parametrize("status", sorted(WORDS))
def test_each_error_has_a_page_in_plain_words_with_a_way_on(odd: Flask, status: int) -> None:
    answer = odd.test_client().get(f"/fail/{status}", headers={"Referer": "http://localhost/my/?page=2"})
    page = soup(answer)
    heading, words = WORDS[status]
    assert answer.status_code == status
    with odd.test_request_context():
        assert page.h1.get_text() == str(heading)  # type: ignore[union-attr]
        assert str(words) in page.get_text()
    assert page.select_one("main a[href='/my/?page=2']")
    assert page.select_one("main a[href='/']")
    assert page.html["lang"] == "en-GB"  # type: ignore[index]


@pytest.mark.parametrize(
    ("how", "status", "said"),
    [
        ("refused", 409, "Priya was quicker."),
        ("conflict", 409, "Priya was quicker."),
        ("missing", 404, "does not exist, or it is not yours"),
        ("invalid", 400, "Give a reason"),
        ("418", 418, "could not be read"),
    ],
)
def test_what_the_domain_refuses_becomes_an_answer(odd: Flask, how: str, status: int, said: str) -> None:
    answer = odd.test_client().get(f"/fail/{how}")
    assert answer.status_code == status
    assert said in answer.text


def test_what_nobody_expected_is_a_page_that_tells_nothing(odd: Flask) -> None:
    answer = odd.test_client().get("/fail/broken")
    assert answer.status_code == 500
    assert "hush" not in answer.text
    assert answer.headers["X-Request-ID"] in answer.text


def test_a_page_that_broke_its_transaction_still_gets_its_error_page(
    odd: Flask, create_staff: Create, create_partner: Create
) -> None:
    site = Site(odd.test_client())
    site.sign_in(create_staff(create_partner()))
    assert site.get("/half-done").status_code in {500, 503}


def test_an_error_keeps_the_partner_and_the_person_on_its_page(
    odd: Flask, create_staff: Create, create_partner: Create
) -> None:
    site = Site(odd.test_client())
    site.sign_in(create_staff(create_partner(name="Kestrel Home Care", phone="0117 496 0180"), name="Dana Okafor"))
    site.get("/fail/404")
    assert "Kestrel Home Care" in site.text
    assert "Dana Okafor" in site.text
    assert site.page.select_one("a[href='tel:01174960180']")


def test_who_reads_only_json_gets_json(odd: Flask) -> None:
    answer = odd.test_client().get("/fail/refused", headers={"Accept": "application/json"})
    assert answer.status_code == 409
    assert answer.get_json() == {
        "status": 409,
        "error": "That is not possible now",
        "message": "Priya was quicker.",
    }
    browser = odd.test_client().get("/fail/refused", headers={"Accept": "text/html,application/json;q=0.9,*/*;q=0.8"})
    assert browser.mimetype == "text/html"


def test_a_dialog_gets_the_words_without_the_page_around(odd: Flask) -> None:
    answer = odd.test_client().get("/fail/refused", headers={"HX-Request": "true"})
    assert answer.status_code == 409
    assert "Priya was quicker." in answer.text
    assert "<html" not in answer.text


def test_the_wrong_method_is_told_the_right_one(odd: Flask) -> None:
    answer = odd.test_client().put("/fail/404")
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


# Input that no page can hold


@pytest.mark.parametrize(
    "address",
    ["/my/%00", "/my/?q=%00", "/my/?%00=1", "/login?next=%C3%28", "/static/%00.css", "/admin/?a=%ED%A0%80"],
)
def test_an_unreadable_address_is_a_page(client: FlaskClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 400
    assert "cannot be read" in answer.text


def test_an_unreadable_path_is_a_page(client: FlaskClient) -> None:
    assert client.get("/", environ_overrides={"PATH_INFO": "/\xff\xfe"}).status_code == 400


def test_a_nul_in_a_form_is_a_page(site: Site) -> None:
    site.get("/login")
    assert site.submit({"email": "dana\0@brightwell.example"}).status_code == 400
    assert "cannot be stored" in site.text


def test_too_much_is_a_page(site: Site) -> None:
    site.get("/login")
    assert site.submit({"email": "x" * (BIGGEST_REQUEST + 1)}).status_code == 413
    site.get("/login")
    many = {f"field-{number}": "x" for number in range(2000)}
    assert site.submit(many).status_code in {200, 413}


@pytest.mark.parametrize("value", ["*", "fr", "zz-ZZ,;q=x", "en;q=0", "ü", "a" * 5000])
def test_an_odd_language_is_answered_in_english(client: FlaskClient, value: str) -> None:
    answer = client.get("/login", headers={"Accept-Language": value})
    assert answer.status_code == 200
    assert "Sign in" in answer.text


# Headers


def test_every_answer_is_guarded(client: FlaskClient) -> None:
    for address in ("/login", "/nope", "/static/css/tokens.css", "/healthz", "/brand/1/12476b.css"):
        with client.get(address) as answer:
            headers = answer.headers
        assert "'unsafe" not in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"


def test_cookies_are_for_this_site_over_https_alone(make_app: Callable[..., Flask]) -> None:
    app = make_app(base_url="https://portal.brightwell.example")
    answer = app.test_client().get("/login", base_url="https://portal.brightwell.example")
    cookie = answer.headers["Set-Cookie"]
    assert {"Secure", "HttpOnly", "SameSite=Lax"} <= set(cookie.split("; "))
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")


def test_pages_of_signed_in_people_are_kept_by_nobody(site: Site, create_staff: Create, create_partner: Create) -> None:
    site.sign_in(create_staff(create_partner()))
    assert site.client.get("/logout").headers["Cache-Control"] == "no-store"


def test_static_files_may_be_kept_for_ever_and_change_their_address(site: Site) -> None:
    site.get("/login")
    parts = site.page.select("link[rel=stylesheet], link[rel=icon], script")
    sheets = [str(part.get("href") or part.get("src")) for part in parts]
    assert len(sheets) == 5
    for address in sheets:
        assert re.search(r"\?v=[0-9a-f]{10}$", address)
        with site.client.get(address) as answer:
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    with site.client.get("/static/css/tokens.css") as answer:
        assert "immutable" not in answer.headers["Cache-Control"]


# Letters are no pages: a mail program has no policy and no style sheet of ours.
TEMPLATES = sorted(path for path in (STATIC.parent / "templates").rglob("*.html") if path.parent.name != "messages")


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_needs_what_the_policy_forbids(path: Path) -> None:
    source = path.read_text()
    assert not re.findall(r"<script(?![^>]*\ssrc=)|\sstyle=|\son[a-z]+=|javascript:|<style|https?://", source)


# Health


def test_health_answers_without_database_and_sessions(make_app: Callable[..., Flask]) -> None:
    client = make_app(database_url=NOWHERE, redis_url=NO_REDIS).test_client()
    assert client.get("/healthz").status_code == 200
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.text == "database: no answer\nredis: no answer\n"


def test_a_database_that_is_away_is_busy_not_broken(make_app: Callable[..., Flask]) -> None:
    site = Site(make_app(database_url=NOWHERE).test_client())
    site.sign_in("dana@brightwell.example")
    assert site.status == 503
    assert "Nothing was changed" in site.text


def test_a_session_store_that_is_away_is_busy_not_broken(make_app: Callable[..., Flask]) -> None:
    answer = make_app(redis_url=NO_REDIS).test_client().get("/login")
    assert answer.status_code == 503
    assert "Nothing was changed" in answer.text


def test_ready_means_migrated(app: Flask, client: FlaskClient, make_app: Callable[..., Flask], tmp_path: Path) -> None:
    assert client.get("/readyz").status_code == 200
    empty = make_app(database_url=f"sqlite:///{tmp_path / 'empty.sqlite3'}").test_client().get("/readyz")
    assert empty.status_code == 503
    assert empty.text == f"migrations: at nothing, not at {app.config['HEAD_REVISION']}\n"


# Pages


def test_a_person_of_one_partner_sees_its_name_and_colour(
    site: Site, create_user: Create, create_customer: Create, create_partner: Create
) -> None:
    user: User = create_user()
    one: Partner = create_partner(name="Brightwell", brand_colour="#12476b")
    create_customer(one, user)
    site.sign_in(user)
    site.get("/logout")
    assert "– Brightwell" in str(site.page.title)
    assert site.page.select_one("link[href='/brand/1/12476b.css']")
    create_customer(create_partner(name="Kestrel", brand_colour="#86304b"), user)
    site.get("/logout")
    assert "– Doorstep" in str(site.page.title)
    assert not site.page.select("link[href^='/brand/']")


def test_pages_stand_on_a_phone_and_for_a_screen_reader(page: Any) -> None:
    page.set_viewport_size({"width": 360, "height": 640})
    page.goto("/login")
    page.fill("#email", "x")
    page.click("main button")
    page.wait_for_selector(".error-summary:focus")
    assert page.title().startswith("Error:")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
