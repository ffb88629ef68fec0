"""The peers on Django: their virtual environment, made on demand, their database, and who wants the last time there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
from sqlalchemy import make_url

from tests import databases
from tests.bench import data, prepare
from tests.bench.data import DISPATCHER, PASSWORD
from tests.bench.measure import Visitor, field_of
from tests.bench.taking import LENGTH, Crowd, at_once

ROOT = Path(__file__).parents[2]
VENV = ROOT / ".venv" / "bench-django"
REQUIREMENTS = Path(__file__).with_name("django-requirements.txt")
NAME = "doorstep_bench_{version}_django_{jobs}"
# Rises with what is made there.
VERSION = 1
SERVER = "tests.bench.django_peer.serve:app"
ADMIN, SIGN_IN = "/admin/django_peer/job/", "/admin/login/"
# The only service there is.
SERVICE = 1
AJAX = {"X-Requested-With": "XMLHttpRequest"}
# As ``django_peer.counting`` has them.
COUNT, COUNTED = "X-Count-Statements", "X-Statements"
PIP_SECONDS = 600


class NoPeers(Exception):
    """The peers cannot be had; the message says why."""


@dataclass(frozen=True)
class Django:
    """The peers' interpreter and environment."""

    python: str
    environment: Mapping[str, str]

    @property
    def address(self) -> str:
        """The address of their own database, for psycopg."""
        return _plain(self.environment["BENCH_DJANGO_DATABASE"])


def ready(url: str, jobs: int, owner: int) -> Django:
    """Return the peers over the data at ``url`` with the technicians of partner ``owner``; raises ``NoPeers``."""
    python = _python()
    name = NAME.format(version=data.VERSION, jobs=jobs)
    own = databases.url_of(name)
    environment = {"BENCH_DATABASE": url, "BENCH_DJANGO_DATABASE": own}
    mark = f"{prepare.mark_of(url)} {VERSION}"
    if prepare.mark_of(own) != mark:
        databases.create_database(name)
        more = {"BENCH_OWNER": str(owner), "BENCH_EMAIL": DISPATCHER, "BENCH_PASSWORD": PASSWORD}
        subprocess.run(
            [python, "-m", "tests.bench.django_peer.serve"],
            check=True,
            cwd=ROOT,
            env={**os.environ, **environment, **more},
        )
        prepare.leave_mark(own, name, mark)
    return Django(python, environment)


def _python() -> str:
    """Return the interpreter of the virtual environment, which is made where it is not as the requirements say."""
    python, made_of = VENV / "bin" / "python", VENV / "requirements.txt"
    wanted = REQUIREMENTS.read_text()
    if made_of.is_file() and made_of.read_text() == wanted:
        return str(python)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(REQUIREMENTS)]
    try:
        for command in ([sys.executable, "-m", "venv", "--clear", str(VENV)], install):
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=PIP_SECONDS)
    except subprocess.SubprocessError as problem:
        raise NoPeers("`pip` could not install `tests/bench/django-requirements.txt`") from problem
    made_of.write_text(wanted)
    return str(python)


def sign_in(visitor: Visitor) -> None:
    """Sign in as somebody who may see everything."""
    visitor.sign_in(DISPATCHER, PASSWORD, SIGN_IN, "csrfmiddlewaretoken", "username")


def list_of(**asked: Any) -> str:
    """Return the address of the admin's list, narrowed to ``asked``."""
    return f"{ADMIN}?{urlencode(asked)}"


def lookup(term: str) -> str:
    """Return the address of the admin's lookup of customers."""
    asked = {"app_label": "django_peer", "model_name": "job", "field_name": "customer", "term": term}
    return f"/admin/autocomplete/?{urlencode(asked)}"


def slots(day: date, technician_id: int | None) -> str:
    """Return the address of what is free on ``day``, of one technician or of anybody."""
    asked = {"selected_date": day, "service_id": SERVICE}
    if technician_id is None:
        return f"/anybody/?{urlencode(asked)}"
    return f"/appointment/ajax/available_slots/?{urlencode({**asked, 'staff_member': technician_id})}"


def statements_of(visitor: Visitor, path: str) -> int:
    """Return how many statements an answer costs, as the server counts them."""
    asking = visitor.again()
    asking.headers[COUNT] = "1"
    answer = asking.get(path)
    asking.connection.close()
    return int(answer.headers[COUNTED])


def crowd(django: Django, visitor: Visitor, people: int, technician_id: int, start: datetime) -> Crowd:
    """Let as many ask for one time of one technician at once, then enter who they are at once, as the pages do.

    ``start`` is local. What they took is taken back.
    """
    page = visitor.get(SIGN_IN.replace("login", "password_change"))
    token = {"csrfmiddlewaretoken": field_of(page, "csrfmiddlewaretoken")}
    end = start + LENGTH
    asked = {
        "date": str(start.date()),
        "start_time": f"{start:%H:%M}",
        "end_time": f"{end:%H:%M}",
        "service": str(SERVICE),
        "staff_member": str(technician_id),
        **token,
    }
    person = {"name": "Sofia Berg", "phone_0": "GB", "phone_1": "07400 123456", "payment_type": "full", **token}
    requested = at_once(visitor, [("/appointment/request-submit/", asked)] * people)
    forms = [(one.headers["Location"], person) for one in requested if one.status == 302]
    answers = at_once(visitor, forms) if forms else []
    booked = sum(one.status == 302 for one in answers)
    with psycopg.connect(django.address) as connection:
        condition = "date = %s AND start_time = %s AND staff_member_id = %s"
        requests = f"SELECT id FROM appointment_appointmentrequest WHERE {condition}"
        values = [start.date(), start.time(), technician_id]
        gone = connection.execute(
            f"DELETE FROM appointment_appointment WHERE appointment_request_id IN ({requests})", values
        )
        connection.execute(f"DELETE FROM appointment_appointmentrequest WHERE {condition}", values)
    errors = sum(one.status >= 500 for one in (*requested, *answers))
    return Crowd(people, gone.rowcount, people - booked - errors, errors)


def _plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
