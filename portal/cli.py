"""The ``portal`` command: Flask's own command group (``portal db …``, ``portal shell``) with ours beside it."""

from __future__ import annotations

import json
import os
import random
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import flask_migrate
from email_validator import EmailNotValidError, validate_email
from flask import current_app
from flask.cli import FlaskGroup, NoAppException
from rich.console import Console
from rich.progress import Progress
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.serving import make_server

from portal import create_app
from portal.domain import tables
from portal.domain.contracts.queries import findings
from portal.domain.delivery import settings as delivery
from portal.domain.errors import Invalid
from portal.domain.jobs import attention, counts
from portal.domain.people import search_indexes
from portal.domain.people.models import Partner
from portal.domain.people.partners import add_operator, found_partner
from portal.domain.people.search_indexes import NotAllowed
from portal.domain.tenancy import set_scope, system_scope
from portal.domain.unit_of_work import unit_of_work
from portal.domain.vault import Unreadable
from portal.extensions import db
from portal.settings import Environment, Settings, SettingsError
from portal.web.auth import hash_password
from portal.web.health import what_is_missing
from portal.web.i18n import BY_TAG, DEFAULT, say_in
from portal.web.signin import LONGEST_PASSWORD, SHORTEST_PASSWORD

ROOT = Path(__file__).resolve().parent.parent
WEB_THREADS = 4
console = Console(highlight=False)


def settings_or_stop(**given: Any) -> Settings:
    """Return the settings of the environment, or end the command with the sentence that says what is wrong."""
    try:
        return Settings.load(**given)
    except SettingsError as error:
        raise NoAppException(f"Doorstep does not start: {error}") from None


@click.group(cls=FlaskGroup, create_app=lambda: create_app(settings_or_stop()))
def main() -> None:
    """Doorstep, the portal for companies that send people to other people's doors."""


@main.command()
def upgrade() -> None:
    """Bring the database to the newest migration."""
    flask_migrate.upgrade()
    console.print("The database is up to date.")


@main.command(with_appcontext=False)
@click.option("--workers", default=2, show_default=True, envvar="WEB_CONCURRENCY", help="web processes")
def serve(workers: int) -> None:
    """Serve the web pages with gunicorn on PORT."""
    settings = settings_or_stop()
    options = ["--chdir", str(ROOT), "--bind", f"0.0.0.0:{settings.port}", "--no-control-socket"]
    options += ["--workers", str(workers), "--threads", str(WEB_THREADS)]
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", *options, "wsgi:app"])


@main.command(with_appcontext=False)
def worker() -> None:
    """Run the clock: reminders, messages, retries. One such process is enough; several share the sending."""
    from portal.worker import main as run

    run(settings_or_stop())


@main.command()
@click.option("--name", prompt="Name of the company")
@click.option("--timezone", prompt="Time zone, such as Europe/London")
@click.option("--prefix", prompt="Letters before its job numbers, such as AC")
@click.option("--language", type=click.Choice(sorted(BY_TAG)), default="en", show_default=True)
@click.option("--admin-email", prompt="Email address of its first admin")
@click.option("--admin-name", prompt="Their name")
@click.password_option(envvar="DOORSTEP_ADMIN_PASSWORD", prompt="Their password, 12 characters or more")
def create_partner(
    name: str, timezone: str, prefix: str, language: str, admin_email: str, admin_name: str, password: str
) -> None:
    """Add a company and its first admin, who can sign in at once."""
    email, locale = _usable(admin_email, password), BY_TAG[language]
    known = "" if locale == DEFAULT else locale
    with _written() as session:
        password_hash, say = hash_password(password), say_in(locale)
        found_partner(session, datetime.now(UTC), name, timezone, prefix, email, admin_name, password_hash, known, say)
    console.print(f"{name} is there; {email} can sign in.")


@main.command()
@click.option("--email", prompt="Email address of the operator")
@click.option("--name", prompt="Their name")
@click.password_option(envvar="DOORSTEP_OPERATOR_PASSWORD", prompt="Their password, 12 characters or more")
def create_operator(email: str, name: str, password: str) -> None:
    """Add somebody who runs the platform: creates, suspends and, with a reason, looks into companies."""
    address = _usable(email, password)
    with _written() as session:
        add_operator(session, datetime.now(UTC), address, name, hash_password(password))
    console.print(f"{address} can sign in.")


def _usable(email: str, password: str) -> str:
    """Return the address in its one spelling; end the command where it or the password is not usable."""
    try:
        address = validate_email(email, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise click.ClickException(str(error)) from None
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise click.ClickException(f"The password needs {SHORTEST_PASSWORD} characters or more.")
    return address


@contextmanager
def _written() -> Iterator[Session]:
    """Open a session for one unit of work across companies; what the domain refuses ends the command."""
    session = db.session()
    set_scope(session, system_scope("system"))
    try:
        with unit_of_work(session):
            yield session
    except Invalid as error:
        raise click.ClickException("; ".join(str(text) for text in error.errors.values())) from None


@main.command()
def recount() -> None:
    """Count anew what pages show as counted, after work on the database past Doorstep."""
    session = db.session()
    set_scope(session, system_scope("system"))
    with unit_of_work(session):
        counts.rebuild(session)
        attention.rebuild(session, datetime.now(UTC))
    console.print("The counts are right again.")


@main.command()
def doctor() -> None:
    """Look whether everything is as it should be: database, migrations, Redis, and every contract's stored bytes."""
    found = [f"Not there: {line}." for line in what_is_missing()]
    if not found:
        session = db.session()
        set_scope(session, system_scope("system"))
        found = [
            f"{one.number}, contract version {one.revision}: the {one.what} is not what was stored."
            for one in findings(session)
        ]
    if found:
        raise click.ClickException("\n".join(found))
    with db.engine.connect() as connection:
        slow = search_indexes.missing(connection)
    if slow:
        console.print(
            f"Customers are found, but slower than need be: not there are the indexes {' and '.join(slow)}. "
            "Create them by: portal index-searches",
            soft_wrap=True,
        )
    console.print("Everything else is as it should be." if slow else "Everything is as it should be.")


@main.command()
def index_searches() -> None:
    """Create the indexes that PostgreSQL finds customers by, where the upgrade could not; others go on working."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        try:
            made = search_indexes.create_missing(connection)
        except NotAllowed as error:
            extensions = " ".join(f"CREATE EXTENSION IF NOT EXISTS {name};" for name in search_indexes.EXTENSIONS)
            raise click.ClickException(
                f"The database said: {error}. Before this is called again, somebody who may has to run: {extensions}"
            ) from None
    console.print(f"Created: {', '.join(made)}." if made else "Nothing is missing.")


@main.command()
def seal_anew() -> None:
    """Seal the secrets in the database with the first of ENCRYPTION_KEY, after a new one was put before the others."""
    settings: Settings = current_app.config["SETTINGS"]
    try:
        with _written() as session:
            sealed = delivery.seal_anew(session, settings.vault)
    except Unreadable as error:
        raise click.ClickException(f"Nothing was changed: a secret was {error}.") from None
    console.print(f"{sealed} secrets are sealed with the newest key; the others are not needed any more.")


@main.command()
def seed() -> None:
    """Fill an empty database with the demo's partners and people."""
    settings: Settings = current_app.config["SETTINGS"]
    if settings.is_production:
        raise click.ClickException("Example people with known passwords have no place in production.")
    if not _seed_once():
        raise click.ClickException("The database is not empty; nothing was changed.")
    console.print("The example data is there.")


@main.command(with_appcontext=False)
def demo() -> None:
    """Everything on one address: database, example data, web pages and worker. Data stays for the next start."""
    if (os.environ.get("DOORSTEP_ENV") or Environment.DEMO) != Environment.DEMO:
        raise click.ClickException(
            "The demo has accounts with known passwords, so it only runs with DOORSTEP_ENV=demo or without it."
        )
    port = settings_or_stop(doorstep_env=Environment.DEMO).port
    settings = settings_or_stop(
        doorstep_env=Environment.DEMO,
        base_url=f"http://127.0.0.1:{port}",
        log_level=os.environ.get("LOG_LEVEL", "WARNING"),
    )
    _stop_if_taken(port)
    app = create_app(settings)
    with app.app_context():
        flask_migrate.upgrade()
        _seed_once()
    from portal.worker import start_in_background

    # Listening before the address is printed: whoever is quick is kept waiting, not refused.
    server = make_server("127.0.0.1", port, app, threaded=True)
    worker = start_in_background(settings)
    with suppress(KeyboardInterrupt):
        _show_addresses(settings)
        server.serve_forever()
    server.server_close()
    worker.stop()


def _seed_once() -> bool:
    """Fill an empty database and return ``True``; leave any other alone."""
    from portal.demo import seed as fill

    session = db.session()
    set_scope(session, system_scope("system"))
    if session.scalar(select(Partner.id).limit(1)) is not None:
        return False
    now = datetime.now(UTC)
    # Gone once the data is there; where nobody watches, nothing is drawn.
    with Progress(*Progress.get_default_columns(), console=console, transient=True) as bar:
        task = bar.add_task("Making example data", total=None)
        fill(
            session,
            now,
            random.Random(now.date().toordinal()),
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    return True


def _stop_if_taken(port: int) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise click.ClickException(f"Port {port} is taken: choose another with PORT=… make demo")


def _show_addresses(settings: Settings) -> None:
    from portal.demo import ACCOUNTS, PASSWORD

    console.print(f"\nDoorstep is at [bold]{settings.base_url}/[/bold]   (Ctrl+C ends it, the data stays)\n")
    for title, email in ACCOUNTS:
        console.print(f"  {title:34} {email}")
    console.print(f"\n  Password of all: [bold]{PASSWORD}[/bold]\n")


@main.command(with_appcontext=False)
@click.option("--json", "form", flag_value="json", default="json", help="for programs")
@click.option("--markdown", "form", flag_value="markdown", help="as in the README")
def lifecycles(form: str) -> None:
    """Print the tables of statuses and transitions that the code obeys."""
    if form == "json":
        click.echo(json.dumps(tables.as_json(), ensure_ascii=False, indent=2))
    else:
        click.echo(tables.as_markdown(), nl=False)


if __name__ == "__main__":
    main()
