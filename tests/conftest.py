"""What every test stands on: a migrated database on each engine, the application over it, people to sign in as."""

from __future__ import annotations

import gc
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import FileSystemBytecodeCache
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker
from werkzeug.serving import make_server

from portal import create_app
from portal.domain import tenancy
from portal.domain.tenancy import set_scope, system_scope
from portal.extensions import db, limiter
from portal.settings import Settings
from portal.web import logs
from tests import databases
from tests.helpers import Site
from tests.sharing import is_others

pytest_plugins = ["tests.factories"]

IN_CI = bool(os.environ.get("DOORSTEP_CI"))
# The same browser without the parts that a window needs takes half the time.
BROWSERS = ("/usr/bin/chromium-headless-shell", "/usr/bin/chromium")
CHROMIUM = os.environ.get("CHROMIUM") or next((path for path in BROWSERS if Path(path).exists()), BROWSERS[-1])
# Seconds that a browser may take over what a busy machine is slow at; nothing that works waits for it.
PATIENCE = 30


@dataclass(frozen=True)
class Database:
    """One migrated database, shared by the tests of a process; ``clean`` empties it for the next."""

    name: str
    app: Flask
    clean: Callable[[], None]


def cannot(reason: str) -> None:
    """Skip with ``reason``; in CI, where everything has to be there, fail instead."""
    if IN_CI:
        pytest.fail(reason)
    pytest.skip(reason)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the second run of tests that are about what no database changes, such as the look of a page.

    Tests of pages take turns, see ``is_others``.
    """
    twice = [item for item in items if _is_second_run(item)]
    config.hook.pytest_deselected(items=twice)
    items[:] = [item for item in items if item not in twice]


def pytest_collection_finish() -> None:
    """Keep the collector of garbage from looking through all modules again and again."""
    gc.collect()
    gc.freeze()


def _is_second_run(item: pytest.Item) -> bool:
    name, _, parameters = item.name.partition("[")
    database = parameters.rstrip("]").partition("-")[0]
    if database not in {"sqlite", "postgresql"}:
        return False
    if any(map(item.get_closest_marker, ("look", "once"))):
        return database == "postgresql"
    return is_others(item.path.parent.name, item.path.stem, name, database)


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def _database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "sqlite":
        url, name = databases.sqlite_url(folder / "test.sqlite3"), None
    else:
        if databases.postgres_url() is None:
            cannot(databases.postgres_reason())
        name = f"doorstep_test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}"
        url = databases.create_database(name)
    app = create_app(make_settings(folder, database_url=url))
    compile_templates_once(app, tmp_path_factory)
    with app.app_context():
        flask_migrate.upgrade()
        engine = db.engine
    cleaner = _sqlite_cleaner(folder) if name is None else _postgres_cleaner(engine)
    yield Database(request.param, app, cleaner)
    engine.dispose()
    if name is not None:
        databases.drop_database(name)


def compile_templates_once(app: Flask, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let ``app`` share compiled templates with all applications of this run, in whichever process they are."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "templates"
    folder.mkdir(exist_ok=True)
    app.jinja_env.bytecode_cache = FileSystemBytecodeCache(str(folder))


def make_settings(folder: Path, **given: Any) -> Settings:
    """Return settings for a test that keeps everything in ``folder``."""
    values: dict[str, Any] = {
        "doorstep_env": "test",
        "session_dir": folder / "sessions",
        "photos_url": str(folder / "photos"),
        "throttle": False,
        "log_level": "WARNING",
        "redis_url": None,
        "smtp_url": None,
        # What a page does by itself comes in the middle of nobody's test.
        "live_seconds": 3600,
        "poll_seconds": 3600,
    }
    return Settings.load(**(values | given))


def _sqlite_cleaner(folder: Path) -> Callable[[], None]:
    empty, live = folder / "empty.sqlite3", folder / "test.sqlite3"
    with closing(sqlite3.connect(live)) as source, closing(sqlite3.connect(empty)) as copy:
        source.backup(copy)

    def clean() -> None:
        with closing(sqlite3.connect(empty)) as source, closing(sqlite3.connect(live, timeout=5)) as target:
            source.backup(target)

    return clean


def _postgres_cleaner(engine: Engine) -> Callable[[], None]:
    with engine.begin() as connection:
        tables = connection.scalars(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'")
        ).all()
        may_switch_off = connection.scalar(text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"))
        # Tests commit a lot and outlive no power cut.
        connection.execute(text(f'ALTER DATABASE "{engine.url.database}" SET synchronous_commit = off'))
    engine.dispose()
    filled = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT FROM {name})" for name in tables)
    restart = (
        "SELECT setval(format('%I', sequencename)::regclass, 1, false) FROM pg_sequences "
        "WHERE schemaname = 'public' AND last_value IS NOT NULL"
    )

    def clean() -> None:
        with engine.begin() as connection:
            # A test that left a transaction open is to be told, not waited for.
            connection.execute(text("SET LOCAL lock_timeout = '5s'"))
            names = connection.scalars(text(filled)).all()
            if names and may_switch_off:
                # Without triggers and foreign keys; a hundred times faster than TRUNCATE, which makes new files.
                connection.execute(text("SET LOCAL session_replication_role = replica"))
                for name in names:
                    connection.execute(text(f"DELETE FROM {name}"))
            elif names:
                connection.execute(text(f"TRUNCATE {', '.join(names)} CASCADE"))
            connection.execute(text(restart))

    return clean


@pytest.fixture
def database(_database: Database) -> Database:
    """The migrated, empty database of this test; each test that asks for it runs on SQLite and on PostgreSQL."""
    _database.clean()
    return _database


@pytest.fixture
def app(database: Database) -> Flask:
    """The application over the empty database."""
    return database.app


@pytest.fixture
def make_app(
    database: Database, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Flask]]:
    """Make further applications over the same database, with other settings: ``make_app(throttle=True)``."""
    made: list[Flask] = []

    def make(**given: Any) -> Flask:
        url = database.app.config["SETTINGS"].database_url
        made.append(create_app(make_settings(tmp_path, **({"database_url": url} | given))))
        compile_templates_once(made[-1], tmp_path_factory)
        return made[-1]

    yield make
    # Outside of tests a logger keeps for good how it was set up when first used.
    logs.configure(database.app.config["SETTINGS"])
    vars(logs.log).pop("bind", None)
    # One limiter serves all applications of a process, switched as the last one was made.
    limiter.enabled = database.app.config["RATELIMIT_ENABLED"]
    for each in made:
        with each.app_context():
            db.engine.dispose()


@pytest.fixture
def engine(app: Flask) -> Engine:
    """The application's own engine."""
    with app.app_context():
        return db.engine


@pytest.fixture
def statements(engine: Engine) -> Iterator[list[str]]:
    """Every SQL statement the application's engine has run since the test began, or since ``statements.clear()``."""
    seen: list[str] = []

    def note(statement: str) -> None:
        if not statement.startswith("BEGIN"):
            seen.append(statement)

    with databases.heard(engine, note):
        yield seen


@pytest.fixture
def new_session(engine: Engine) -> Iterator[Callable[..., Session]]:
    """Open sessions as the application does: ``new_session(actor.scope)``, or with the scope of the system."""
    factory = sessionmaker(engine)
    tenancy.enforce(factory)
    opened: list[Session] = []

    def open_session(scope: tenancy.Scope | None = None) -> Session:
        session = factory()
        set_scope(session, scope or system_scope("system"))
        opened.append(session)
        return session

    yield open_session
    for session in opened:
        session.close()


@pytest.fixture
def session(new_session: Callable[..., Session]) -> Session:
    """A session that sees everything, for arranging and looking. ``session.rollback()`` to see what others wrote."""
    return new_session()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser without JavaScript, nobody signed in."""
    return app.test_client()


@pytest.fixture
def site(client: FlaskClient) -> Site:
    """The same browser with the manners of a person: opens pages, fills in their forms, sends them."""
    return Site(client)


@pytest.fixture
def live_server(app: Flask) -> Iterator[str]:
    """The address of the application served over real sockets, for browsers."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, started once a process."""
    if not Path(CHROMIUM).exists():
        cannot(f"no Chromium at {CHROMIUM}; set CHROMIUM to where it is")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def open_window(browser: Any, live_server: str) -> Iterator[Callable[..., Any]]:
    """Open fresh browser windows on the live server, each with cookies of its own: ``open_window(**options)``.

    What a console complains about, a file that does not load and a request to another host fail the test. A page that
    answers 4xx is for the test itself to judge.
    """
    contexts: list[Any] = []
    complaints: list[str] = []

    def on_console(message: Any) -> None:
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            complaints.append(message.text)

    def on_response(response: Any) -> None:
        part_of_page = response.request.resource_type not in {"document", "xhr", "fetch"}
        if part_of_page and response.status >= 400:
            complaints.append(f"{response.status} for {response.url}")

    def on_request(request: Any) -> None:
        if not request.url.startswith((live_server, "data:")):
            complaints.append(f"a request to another host: {request.url}")

    def open_it(**options: Any) -> Any:
        given = {"base_url": live_server, "viewport": {"width": 1280, "height": 900}, "locale": "en-GB"} | options
        contexts.append(browser.new_context(**given))
        window = contexts[-1].new_page()
        window.on("console", on_console)
        window.on("pageerror", lambda error: complaints.append(str(error)))
        window.on("response", on_response)
        window.on("request", on_request)
        return window

    yield open_it
    for context in contexts:
        context.close()
    assert not complaints


@pytest.fixture
def page(open_window: Callable[..., Any]) -> Any:
    """One such window at the width of a desk."""
    return open_window()
