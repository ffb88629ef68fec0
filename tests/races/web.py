"""What ``portal serve`` starts, over the test's database, and customers one press away from moving their visits."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from flask import Flask
from sqlalchemy import select

from portal.cli import ROOT
from portal.customer.blueprint import instant
from portal.domain.people.models import User
from tests.conftest import PATIENCE
from tests.domain.office import DAY, Office
from tests.helpers import Site, fields_of
from tests.races.clerks import Target
from tests.races.presses import Press

Address = tuple[str, int]


def free_address() -> Address:
    """Return an address on loopback where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address: Address = probe.getsockname()
    return address


def start(app: Flask, address: Address, **more: str) -> subprocess.Popen[bytes]:
    """Serve the application's database and sessions as ``portal serve`` does; return once somebody answers."""
    settings = app.config["SETTINGS"]
    values = {
        "DOORSTEP_ENV": "test",
        "DATABASE_URL": settings.database_url,
        "SESSION_DIR": str(settings.session_dir),
        "SECRET_KEY": settings.secret_key.get_secret_value(),
        "REDIS_URL": "",
        "LOG_LEVEL": "WARNING",
        "WEB_CONCURRENCY": "2",
        "PORT": str(address[1]),
    }
    command = [sys.executable, "-m", "portal.cli", "serve"]
    # In a group of its own, so that all of it can be killed at once.
    server = subprocess.Popen(command, env={**os.environ, **values, **more}, cwd=ROOT, start_new_session=True)
    until = time.monotonic() + PATIENCE
    while not _answers(address):
        assert server.poll() is None
        assert time.monotonic() < until
    return server


@contextmanager
def serving(app: Flask, **more: str) -> Iterator[Address]:
    """Serve as ``start`` does, for a block, and return the address."""
    address = free_address()
    server = start(app, address, **more)
    try:
        yield address
    finally:
        server.terminate()
        server.wait(PATIENCE)


def _answers(address: Address) -> bool:
    with socket.socket() as probe:
        if probe.connect_ex(address) == 0:
            return True
    time.sleep(0.05)
    return False


def midnight() -> datetime:
    """The start of the day after the next by the machine's own clock, which the web server goes by."""
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + 2 * DAY


def presses_of(
    app: Flask, office: Office, targets: Sequence[Target], free: datetime, starts: Sequence[Sequence[datetime]]
) -> list[Press]:
    """Lead every target's customer, signed in, to the last button of Modify for ``free``; they send ``starts``."""
    stamps = {user.id: user.fs_uniquifier for user in office.looking.scalars(select(User))}
    found = []
    for target, wishes in zip(targets, starts, strict=True):
        site = Site(app.test_client())
        with site.client.session_transaction() as session:
            session["_user_id"] = stamps[office.people.customers[target.customer].id or 0]
        path = f"/my/visits/{target.visit_id}/move"
        site.get(f"{path}/check?start={instant(free)}")
        form = {name: values[0] for name, values in fields_of(site.form(action="/move")).items()}
        cookie = site.client.get_cookie("doorstep")
        assert cookie is not None
        found.append(Press(path, f"doorstep={cookie.value}", form, [instant(wish) for wish in wishes]))
    return found
