"""Settings: a wrong one stops the start with a sentence that names it and keeps its value to itself."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from portal import create_app
from portal.cli import main
from portal.settings import Settings, SettingsError
from tests.conftest import make_settings
from tests.databases import sqlite_url
from tests.helpers import Site

ROOT = Path(__file__).resolve().parents[2]
GOOD = {
    "SECRET_KEY": "k" * 32,
    "SECURITY_PASSWORD_SALT": "s" * 32,
    "SMTP_URL": "smtps://portal:hush@mail.example",
    "MAIL_FROM": "Brightwell <portal@brightwell.example>",
    "BASE_URL": "https://portal.brightwell.example",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Complete production settings and nothing else that means something to us."""
    for name in (*Settings.model_fields, *GOOD):
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_production_starts_with_what_it_needs(environment: pytest.MonkeyPatch) -> None:
    settings = Settings.load()
    assert settings.is_production
    assert settings.base_url == "https://portal.brightwell.example"


@pytest.mark.parametrize("name", sorted(GOOD))
def test_production_names_what_is_missing(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.delenv(name)
    with pytest.raises(SettingsError, match=f"^{name} is missing"):
        Settings.load()
    environment.setenv(name, "")
    with pytest.raises(SettingsError, match=f"^{name} is missing"):
        Settings.load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://portal:hush@host/x"),
        ("DATABASE_URL", "hush"),
        ("REDIS_URL", "http://hush"),
        ("SMTP_URL", "mail.hush"),
        ("SMTP_URL", "smtp://"),
        ("BASE_URL", "hush"),
        ("BASE_URL", "http://portal.hush"),
        ("PORT", "hush"),
        ("PORT", "70000"),
        ("LOG_LEVEL", "hush"),
        ("DOORSTEP_ENV", "hush"),
        ("PROXY_HOPS", "-1"),
        ("MAP_TILES_URL", "http://hush.example.com/{z}/{x}/{y}.png"),
        ("MAP_TILES_URL", "https://tiles.example.com/hush.png"),
        ("MAP_TILES_URL", "https://hush *; script-src x/{z}/{x}/{y}.png"),
        ("TRAVEL_SPEED_KMH", "0"),
    ],
)
def test_a_wrong_value_is_named_and_not_shown(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(name, value)
    with pytest.raises(SettingsError, match=f"^{name} is wrong") as caught:
        Settings.load()
    assert "hush" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_short_secret_is_refused(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SECRET_KEY", "hush")
    with pytest.raises(SettingsError, match=r"^SECRET_KEY is too short") as caught:
        Settings.load()
    assert "hush" not in str(caught.value)


def test_settings_do_not_print_secrets(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DATABASE_URL", "postgres://portal:hush@host/x")
    environment.setenv("REDIS_URL", "redis://:hush@host/0")
    settings = Settings.load()
    assert settings.database_url == "postgresql+psycopg://portal:hush@host/x"
    assert not [secret for secret in ("hush", "k" * 32, "s" * 32) if secret in repr(settings)]


def portal(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a person does, in a process and an environment of its own."""
    return subprocess.run(
        [sys.executable, "-m", "portal.cli", *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def runner(environment: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[CliRunner]:
    """The same command over a database of its own, without the price of a process."""
    place = {"DATABASE_URL": sqlite_url(tmp_path / "x.sqlite3"), "SESSION_DIR": str(tmp_path / "sessions")}
    yield CliRunner(env=place)
    # Limiter and log are one for all applications of a process, as the last one was made.
    create_app(make_settings(tmp_path, database_url=place["DATABASE_URL"]))


@pytest.mark.parametrize("command", ["serve", "upgrade", "worker"])
def test_every_command_stops_with_the_sentence(command: str) -> None:
    ended = portal(command)
    assert ended.returncode != 0
    assert "Doorstep does not start: SECRET_KEY is missing" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_web_server_stops_with_the_sentence() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "import wsgi"], cwd=ROOT, env={}, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode != 0
    assert ended.stderr.startswith("Doorstep does not start: SECRET_KEY is missing")


def test_the_demo_never_runs_in_production(runner: CliRunner) -> None:
    ended = runner.invoke(main, ["demo"], env={"DOORSTEP_ENV": "production"})
    assert ended.exit_code != 0
    assert "known passwords" in ended.stderr


def test_example_people_never_get_into_production(runner: CliRunner) -> None:
    ended = runner.invoke(main, ["seed"])
    assert ended.exit_code != 0
    assert "no place in production" in ended.stderr


def test_upgrade_makes_a_database_where_there_was_none(tmp_path: Path) -> None:
    file = tmp_path / "new" / "doorstep.sqlite3"
    place = {"DATABASE_URL": sqlite_url(file), "SESSION_DIR": str(tmp_path / "sessions")}
    assert "up to date" in portal("upgrade", **place, **GOOD).stdout
    assert file.exists()
    # and by Flask's own command behind ours
    assert "(head)" in portal("db", "current", **place, **GOOD).stdout


@pytest.mark.row("P20")
def test_a_first_partner_and_its_admin_are_made_by_command(tmp_path: Path, runner: CliRunner) -> None:
    place = dict(runner.env)
    assert runner.invoke(main, ["upgrade"]).exit_code == 0
    words = ["--name", "Brightwell Solar", "--timezone", "Europe/London", "--prefix", "BW"]
    words += ["--language", "de", "--admin-email", "Marta@Brightwell.example", "--admin-name", "Marta Lindqvist"]
    secret = {"DOORSTEP_ADMIN_PASSWORD": "a long enough one"}
    made = portal("create-partner", *words, **place, **GOOD, **secret)
    assert made.returncode == 0, made.stderr
    assert "marta@brightwell.example can sign in" in made.stdout.lower()
    # Once as a process of its own, what is refused without the price of one.
    runner.env = {**place, **secret, "DOORSTEP_OPERATOR_PASSWORD": "a long enough one"}
    again = runner.invoke(main, ["create-partner", *words])
    assert again.exit_code != 0
    assert "There is a partner of that name already" in again.stderr
    for option, value, said in (
        ("--timezone", "Bristol", "Enter a time zone"),
        ("--prefix", "b/w", "capital letters"),
        ("--admin-email", "marta", "@-sign"),
        ("--language", "xx", "'de', 'en'"),
    ):
        wrong = list(words)
        wrong[wrong.index(option) + 1] = value
        refused = runner.invoke(main, ["create-partner", *wrong])
        assert refused.exit_code != 0
        assert said in refused.stderr
    short = runner.invoke(main, ["create-partner", *words], env={"DOORSTEP_ADMIN_PASSWORD": "short"})
    assert "12 characters or more" in short.stderr
    robin = ["--email", "Robin@Doorstep.example", "--name", "Robin Vale"]
    operator = runner.invoke(main, ["create-operator", *robin])
    assert operator.exit_code == 0, operator.output
    second = runner.invoke(main, ["create-operator", *robin])
    assert "Somebody has an account with that address already" in second.stderr
    app = create_app(
        make_settings(
            tmp_path, database_url=place["DATABASE_URL"], security_password_salt=GOOD["SECURITY_PASSWORD_SALT"]
        )
    )
    site = Site(app.test_client())
    site.sign_in("marta@brightwell.example", "a long enough one")
    assert site.url == "/admin/"


def test_lifecycles_prints_every_table(runner: CliRunner) -> None:
    tables = json.loads(portal("lifecycles", "--json").stdout)
    assert list(tables) == [
        "installation",
        "service",
        "appointment",
        "job_offer",
        "service_request",
        "change_request",
    ]
    assert "| CUSTOMER_APPROVED |" in runner.invoke(main, ["lifecycles", "--markdown"]).stdout
