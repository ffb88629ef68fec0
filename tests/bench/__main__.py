"""Make the data, run the servers, compare them and write down what came out."""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

import psycopg
from flask import Flask
from flask_admin.contrib.sqla.filters import DateTimeBetweenFilter, FilterInList
from rich.console import Console
from rich.progress import Progress
from sqlalchemy import make_url

from portal.domain.jobs.queries import statuses_of
from tests import databases
from tests.bench import faults, floor, live, mixed, peers, prepare, reminders, server, stock, taking
from tests.bench.data import CROWD, CUSTOMER, DISPATCHER, PASSWORD, STARTS, TECHNICIAN, Size
from tests.bench.measure import WORKERS, Contestant, Ratio, Timing, Visitor, compare, ratio, serving
from tests.bench.taking import Crowd

JOBS = 100_000
SMALLER_BY = 10
ROUNDS, REQUESTS = 5, 30
FREE_DAYS = 60
POLL = "/my/live"
# The same page where nothing is kept, since what changes all the time is drawn again all the time.
DRAWN = "ours, drawn each time"
WORKED_OUT = "ours, the call alone"
TAKING, LAST_TIME = "taking a time", "many take one last time"
GROUP = "Scheduled"
LONDON = ZoneInfo("Europe/London")
RESULTS = Path(__file__).with_name("results.md")
console = Console(highlight=False)


@dataclass(frozen=True)
class Goal:
    """A target of the office list: what is compared with what, and where the ratio or the number has to be."""

    words: str
    of: str
    to: str
    most: float | None = None
    least: float | None = None
    # How often the work of ``of`` would have to be done to be as much as that of ``to``.
    times: int = 1

    def of_rounds(self, times: Mapping[str, Timing]) -> Ratio:
        """Return how many times longer the one takes than the other."""
        found = ratio(times[self.of], times[self.to])
        return Ratio(found.middle * self.times, found.least * self.times, found.most * self.times)

    def met(self, value: Ratio) -> bool:
        """Whether the middle of the rounds is where it has to be."""
        return (self.most is None or value.middle <= self.most) and (self.least is None or value.middle >= self.least)

    @property
    def wanted(self) -> str:
        """The target in words."""
        return f"≤ {self.most:g}×" if self.most is not None else f"≥ {self.least:g}×"


@dataclass(frozen=True)
class Work:
    """One page and its peers: the address for each server, and the targets it has."""

    title: str
    pages: Mapping[str, tuple[str, str]]
    goals: Sequence[Goal] = ()
    limits: Mapping[str, int] = field(default_factory=dict)
    # The page that the limits are for.
    limited: str = "ours"
    # Pages that may differ in everything but how many statements they cost.
    alike: Sequence[str] = ()
    # What has to be said of how it was measured.
    note: str = ""
    # At most so many requests a round, where one takes seconds.
    requests: int | None = None
    # What the answers are, where not 200.
    statuses: Mapping[str, int] = field(default_factory=dict)


def begin_of(day: date) -> datetime:
    """Return the instant at which ``day`` begins in London."""
    return datetime.combine(day, time(), LONDON).astimezone(UTC)


def next_month(today: date) -> tuple[date, date]:
    """Return the first and the last day of the month after ``today``."""
    first = (today.replace(day=1) + timedelta(days=32)).replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)


def works(url: str, today: date, beside_django: bool = False) -> list[Work]:
    """Return what is measured on the data at ``url``, beside the peers on Django or without them."""
    found = [*_office_works(url, today), *_customers_works(url, today)]
    peer = _django_works(url, today) if beside_django else {}
    return [_beside(work, peer[work.title]) if work.title in peer else work for work in found]


def _beside(work: Work, peer: Work) -> Work:
    note = " ".join(filter(None, (work.note, peer.note)))
    pages, goals = {**work.pages, **peer.pages}, [*work.goals, *peer.goals]
    return replace(work, pages=pages, goals=goals, note=note, requests=peer.requests)


def _django_works(url: str, today: date) -> dict[str, Work]:
    """Return the pages of the peers on Django by the title of the work that they do too."""
    first, last = next_month(today)
    with _connect(url) as connection:
        theirs, _ = taking.visits_of(connection, CUSTOMER)
    day = theirs.start_at.astimezone(LONDON).date()
    month = {"start_at__gte": begin_of(first), "start_at__lt": begin_of(last + timedelta(days=1))}
    narrowed = peers.list_of(status__in=",".join(statuses_of(GROUP)), **month)
    admin = "Django admin"
    fifteen = [Goal("faster than Django admin", admin, "ours", least=15)]
    peer = "django-appointment"
    anybody = f"{peer}, one day"
    words = f"{FREE_DAYS} days, against {FREE_DAYS} times what one day takes {peer}"
    found = [
        Work("list, one group and month", {admin: ("django", narrowed)}, fifteen),
        Work("list, no filter, first page", {admin: ("django", peers.list_of())}, fifteen),
        Work("list, deep", {admin: ("django", peers.list_of(p=_deep(url)[2]))}),
        Work("type-ahead, found", {admin: ("django", peers.lookup("sofia"))}),
        Work("type-ahead, nothing found", {admin: ("django", peers.lookup("xyzzy"))}),
        Work(
            "free times, one technician, one day",
            {peer: ("django", peers.slots(day, theirs.technician_id))},
            [Goal(f"faster than {peer}", peer, "ours", least=10)],
        ),
        Work(
            "free times, one technician, worked out each time",
            {peer: ("django", peers.slots(day, theirs.technician_id))},
            [Goal(f"faster than {peer}", peer, WORKED_OUT, least=10)],
        ),
        Work(
            "free times, any of many over 60 days",
            {anybody: ("django", peers.slots(day, None))},
            [Goal(words, anybody, "ours", least=750, times=FREE_DAYS)],
            note=f"{peer} has no page for anybody's times: its own call is made once for each of its staff.",
            requests=2,
        ),
    ]
    return {work.title: work for work in found}


def _office_works(url: str, today: date) -> list[Work]:
    first, last = next_month(today)
    begin, end = begin_of(first), begin_of(last + timedelta(days=1))
    deep_at, deep_id, deep_page = _deep(url)
    job_id, word = _examples(url, begin)
    ours = "/admin/installations/"
    filtered = f"{ours}?{urlencode({'group': GROUP, 'first': first, 'last': last})}"
    deep = f"{ours}?sort=date&after={quote(json.dumps([deep_at.isoformat(), deep_id]))}"
    bare = urlencode({"status": statuses_of(GROUP), "first": begin, "last": end}, doseq=True)
    start = f"/beyond?{urlencode({'at': begin_of(today), 'id': 0})}"
    peer = _peer_filters(url, first, last)
    floor_list = ("floor", f"/filtered?{bare}")
    return [
        Work(
            "list, one group and month",
            {
                "ours": ("ours", filtered),
                DRAWN: ("drawn", filtered),
                "drawn without cards": ("no cards", filtered),
                "stock": ("peer", f"/stock/?{peer['stock']}"),
                "tuned": ("peer", f"/tuned/?{peer['tuned']}"),
                "floor": floor_list,
            },
            [
                Goal("faster than a stock view", "stock", "ours", least=10),
                Goal("faster than a tuned view", "tuned", "ours", least=4),
                Goal("against the floor", "ours", "floor", most=2.5),
                Goal("with cards against without, drawn", DRAWN, "drawn without cards", most=1.2),
            ],
            {"statements": 4, "raw": 25_000, "compressed": 6_000},
            DRAWN,
        ),
        Work(
            "list, no filter, first page",
            {
                "ours": ("ours", ours),
                "stock": ("peer", "/stock/"),
                "tuned": ("peer", "/tuned/"),
                "floor": ("floor", start),
            },
            [
                Goal("faster than a stock view", "stock", "ours", least=10),
                Goal("faster than a tuned view", "tuned", "ours", least=4),
                Goal("against the floor", "ours", "floor", most=2.5),
            ],
            {"statements": 4, "raw": 25_000, "compressed": 6_000},
        ),
        Work(
            "list, deep",
            {
                "ours": ("drawn", deep),
                "ours, first page": ("drawn", f"{ours}?sort=number"),
                "stock": ("peer", f"/stock/?page={deep_page}"),
                "tuned": ("peer", f"/tuned/?page={deep_page}"),
                "floor": ("floor", f"/beyond?{urlencode({'at': deep_at, 'id': deep_id})}"),
            },
            [Goal("against its own first page", "ours", "ours, first page", most=1.2)],
        ),
        Work(
            "signed in, nothing on the page",
            {"ours": ("ours", server.NOTHING), "floor of the list": floor_list, "hello": ("floor", "/hello")},
            [Goal("against the bare list", "ours", "floor of the list", most=0.8)],
        ),
        Work(
            "type-ahead, found",
            {
                "ours": ("ours", f"/admin/api/customers?q={word}"),
                "stock": ("peer", f"/stock/ajax/lookup/?name=customer&query={word}"),
                "tuned": ("peer", f"/tuned/ajax/lookup/?name=customer&query={word}"),
                "floor": ("floor", f"/customers?q={word}"),
            },
            [
                Goal("faster than a stock view", "stock", "ours", least=40),
                Goal("against the floor", "ours", "floor", most=2),
            ],
        ),
        Work(
            "type-ahead, nothing found",
            {
                "ours": ("ours", "/admin/api/customers?q=xyzzy"),
                "stock": ("peer", "/stock/ajax/lookup/?name=customer&query=xyzzy"),
                "tuned": ("peer", "/tuned/ajax/lookup/?name=customer&query=xyzzy"),
                "floor": ("floor", "/customers?q=xyzzy"),
            },
            [
                Goal("faster than a stock view", "stock", "ours", least=150),
                Goal("against the floor", "ours", "floor", most=2),
            ],
        ),
        Work(
            "one installation",
            {
                "ours": ("ours", f"{ours}{job_id}"),
                DRAWN: ("drawn", f"{ours}{job_id}"),
                "floor": ("floor", f"/detail?id={job_id}"),
            },
            [Goal("against the floor", "ours", "floor", most=2.5)],
            {"statements": 6},
            DRAWN,
        ),
        Work(
            "calendar, one month",
            {
                "ours": ("ours", f"/admin/calendar/?{urlencode({'mode': 'month', 'date': first})}"),
                "floor": ("floor", f"/month?{urlencode({'first': begin, 'last': end})}"),
            },
            limits={"ms": 30},
        ),
        Work(
            f"a {SMALLER_BY}th of the jobs",
            {"ours": ("drawn", filtered), "ours, fewer jobs": ("fewer", filtered)},
            [Goal("against itself with fewer jobs", "ours", "ours, fewer jobs", most=1.5)],
        ),
    ]


def _customers_works(url: str, today: date) -> list[Work]:
    """Return what is measured for a customer who is signed in."""
    with _connect(url) as connection:
        theirs, anybodys = taking.visits_of(connection, CUSTOMER)
    day, first = theirs.start_at.astimezone(LONDON).date(), today + timedelta(days=1)
    last = first + timedelta(days=FREE_DAYS - 1)
    schedule = {"owner": theirs.partner_id, "customer": theirs.customer_id}
    week = f"/my/visits/{theirs.id}/move?day={day}"
    return [
        Work(
            "free times, one technician, one day",
            {"ours": ("customer", week), "floor": ("floor", theirs.bare_free(day, day))},
            [Goal("against the floor", "ours", "floor", most=2)],
            note="`ours` is the customer's page with the week around the day; the floor answers JSON.",
        ),
        Work(
            "free times, one technician, worked out each time",
            {
                DRAWN: ("customer, drawn", week),
                WORKED_OUT: ("customer, drawn", theirs.free(day, 1)),
                "floor": ("floor", theirs.bare_free(day, day)),
            },
            [Goal("against the floor", WORKED_OUT, "floor", most=2)],
            note="The call alone is the domain's in a route of the bench, signed in; it and the floor answer JSON.",
        ),
        Work(
            "free times, any of many over 60 days",
            {
                "ours": ("customer", anybodys.free(first, FREE_DAYS)),
                "ours, one day": ("customer", anybodys.free(day, 1)),
                "floor": ("floor", anybodys.bare_free(first, last)),
                "floor, one day": ("floor", anybodys.bare_free(day, day)),
            },
            alike=("ours", "ours, one day"),
        ),
        Work(
            "My Schedule",
            {
                "ours": ("customer", "/my/"),
                DRAWN: ("customer, drawn", "/my/"),
                "floor": ("floor", f"/schedule?{urlencode(schedule)}"),
            },
            [Goal("against the floor", "ours", "floor", most=2.5)],
            {"statements": 6},
            limited=DRAWN,
        ),
        Work(
            "field day",
            {
                "ours": ("technician", "/field/"),
                DRAWN: ("technician, drawn", "/field/"),
                "floor": ("floor", f"/day?{urlencode(_technicians_day(url, today))}"),
            },
            [Goal("against the floor", "ours", "floor", most=2.5)],
            {"statements": 6},
            limited=DRAWN,
        ),
        Work(
            "live poll, unchanged",
            {
                "ours": ("poller", POLL),
                "floor": ("floor", f"/schedule?{urlencode(schedule)}"),
                "one bare statement, 304": ("floor", f"/marks?{urlencode(schedule)}"),
            },
            [Goal("against the floor of the page it keeps fresh", "ours", "floor", most=0.9)],
            {"statements": 2},
            statuses={"ours": 304, "one bare statement, 304": 304},
        ),
    ]


def _technicians_day(url: str, today: date) -> dict[str, Any]:
    """Return what the floor is asked for to show the technician who signs in their visits of ``today``."""
    with _connect(url) as connection:
        query = "SELECT t.partner_id, t.id FROM technicians t JOIN users u ON u.id = t.user_id WHERE u.email = %s"
        row = connection.execute(query, [TECHNICIAN]).fetchone()
        assert row is not None
    first, last = begin_of(today), begin_of(today + timedelta(days=1))
    return {"owner": row[0], "technician": row[1], "first": first.isoformat(), "last": last.isoformat()}


def _deep(url: str) -> tuple[datetime, int, int]:
    """Return a key far down the list, and the number of the page there."""
    with _connect(url) as connection:
        total = connection.execute("SELECT count(*) FROM jobs WHERE partner_id = 1").fetchone()
        assert total is not None
        page = int(total[0] * 0.9) // 20
        query = "SELECT start_at, id FROM jobs WHERE partner_id = 1 ORDER BY start_at, id LIMIT 1 OFFSET %s"
        row = connection.execute(query, [page * 20]).fetchone()
        assert row is not None
        return row[0].astimezone(UTC), row[1], page


def _examples(url: str, after: datetime) -> tuple[int, str]:
    """Return a job and the first name of a customer."""
    with _connect(url) as connection:
        job = connection.execute("SELECT id FROM jobs WHERE partner_id = 1 AND start_at > %s LIMIT 1", [after])
        row = job.fetchone()
        assert row is not None
        return row[0], "sofia"


def _connect(url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False))


def _peer_filters(url: str, first: date, last: date) -> dict[str, str]:
    """Return for each peer the arguments by which Flask-Admin filters by group and month."""
    app, found = stock.make(url), {}
    for view in app.extensions["admin"][0]._views:
        if not isinstance(view, stock.StockView):
            continue
        for number, one in enumerate(view._filters):
            if isinstance(one, FilterInList) and one.column.key == "status":
                status = number
            if isinstance(one, DateTimeBetweenFilter) and one.column.key == "start_at":
                dates = number
        span = f"{first} 00:00:00 to {last} 23:59:59"
        found[view.endpoint] = urlencode({f"flt0_{status}": ",".join(statuses_of(GROUP)), f"flt1_{dates}": span})
    return found


def statements_of(app: Flask, cookies: Mapping[str, str], path: str) -> int:
    """Return how many statements ``app`` runs for ``path``, the second time it is asked."""
    asked: Any = app.config.get("ASKED")
    hearing: Any = nullcontext()
    client = app.test_client()
    for name, value in cookies.items():
        client.set_cookie(name, value)
    if asked is None:
        asked = []
        with app.app_context():
            engine = app.extensions["sqlalchemy"].engine
        hearing = databases.heard(engine, asked.append)
    with hearing:
        for _ in range(2):
            asked.clear()
            client.get(path, base_url="https://localhost")
    return len(asked)


@dataclass(frozen=True)
class Outcome:
    """What came out for one piece of work."""

    work: Work
    times: Mapping[str, Timing]
    statements: Mapping[str, int]

    def lines(self) -> Iterator[str]:
        """Yield the section of the results, in Markdown."""
        yield f"\n## {self.work.title}\n"
        yield "| | p50, ms | each round | statements | bytes | gzip |"
        yield "| --- | --- | --- | --- | --- | --- |"
        for name, timing in self.times.items():
            each = " ".join(f"{value:.2f}" for value in timing.rounds)
            statements = self.statements.get(name, "")
            yield f"| {name} | {timing.p50:.2f} | {each} | {statements} | {timing.raw:,} | {timing.compressed:,} |"
        if self.work.note:
            yield f"\n{self.work.note}"
        yield from _targets(self.verdicts())

    def verdicts(self) -> Iterator[tuple[str, str, str, bool]]:
        """Yield each target with what was wanted, what was measured, and whether it is met."""
        for goal in self.work.goals:
            value = goal.of_rounds(self.times)
            yield goal.words, goal.wanted, str(value), goal.met(value)
        for name, most in self.work.limits.items():
            found = self._found(name)
            yield name, f"≤ {most:,}", f"{found:,}", found <= most
        if self.work.alike:
            numbers = [self.statements[name] for name in self.work.alike]
            words = f"statements of {', '.join(self.work.alike)}"
            yield words, "the same", ", ".join(map(str, numbers)), len(set(numbers)) == 1

    def _found(self, limit: str) -> float:
        timing = self.times[self.work.limited]
        if limit == "statements":
            return self.statements[self.work.limited]
        return {"raw": timing.raw, "compressed": timing.compressed, "ms": round(timing.p50, 1)}[limit]


@dataclass(frozen=True)
class LastTime:
    """What came of those who wanted one last time, by whose server they asked."""

    crowds: Mapping[str, Crowd]

    def lines(self) -> Iterator[str]:
        """Yield the section of the results, in Markdown."""
        yield f"\n## {LAST_TIME}\n"
        yield "| | at once | booked | told that it is gone | errors |"
        yield "| --- | --- | --- | --- | --- |"
        for name, one in self.crowds.items():
            yield f"| {name} | {one.people} | {one.bookings} | {one.told} | {one.errors} |"
        yield from _targets(self.verdicts())

    def verdicts(self) -> Iterator[tuple[str, str, str, bool]]:
        """Yield the targets of our own server."""
        ours = self.crowds["ours"]
        yield "bookings of the one time", "1", str(ours.bookings), ours.bookings == 1
        yield "everybody else told so", str(ours.people - 1), str(ours.told), ours.told == ours.people - 1


def _targets(verdicts: Iterable[tuple[str, str, str, bool]]) -> Iterator[str]:
    for number, (words, wanted, measured, met) in enumerate(verdicts):
        if number == 0:
            yield "\n| target | wanted | measured | |"
            yield "| --- | --- | --- | --- |"
        yield f"| {words} | {wanted} | {measured} | {'met' if met else '**missed**'} |"


def run(jobs: int, rounds: int, requests: int, wanted: str = "") -> tuple[list[Outcome | LastTime], str]:
    """Measure on ``jobs`` jobs what has ``wanted`` in its title, by default everything.

    Returns it, and why the peers on Django are left out, if they are.
    """
    with Progress(*Progress.get_default_columns(), console=console) as bar, tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        sessions = folder / "sessions"

        def database(size: int) -> str:
            task = bar.add_task(f"{size:,} jobs", total=size)
            url = prepare.database(size, lambda done: bar.update(task, completed=done))
            bar.update(task, completed=size)
            return url

        url, fewer = database(jobs), database(max(jobs // SMALLER_BY, 100))
        own = {"BENCH_DATABASE": url, "BENCH_SESSIONS": str(sessions)}
        main = "tests.bench.server:app"
        servers = {
            "ours": (main, own, sys.executable),
            "drawn": (main, {**own, "BENCH_NO_KEPT": "1"}, sys.executable),
            "no cards": (main, {**own, "BENCH_NO_KEPT": "1", "BENCH_NO_CARDS": "1"}, sys.executable),
            "fewer": (main, {**own, "BENCH_NO_KEPT": "1", "BENCH_DATABASE": fewer}, sys.executable),
            "peer": ("tests.bench.stock:app", own, sys.executable),
            "floor": ("tests.bench.floor:app", own, sys.executable),
        }
        django, missing = _django(url, jobs)
        if django is not None:
            servers["django"] = (peers.SERVER, django.environment, django.python)
        office, without = server.make(url, str(sessions)), server.make(url, str(sessions), keeps=False)
        apps = {
            "ours": office,
            **dict.fromkeys(("customer", "poller", "technician"), office),
            **dict.fromkeys(("drawn", "customer, drawn", "technician, drawn"), without),
            "peer": stock.make(url),
            "floor": floor.make(url),
        }
        outcomes: list[Outcome | LastTime] = []
        with serving(servers, folder) as started, _connect(url) as connection:
            running: dict[str, Visitor] = {**started}
            for name, where, login in (
                ("customer", "ours", CUSTOMER),
                ("customer, drawn", "drawn", CUSTOMER),
                ("technician", "ours", TECHNICIAN),
                ("technician, drawn", "drawn", TECHNICIAN),
                ("crowd", "ours", CROWD),
            ):
                running[name] = Visitor(started[where].port)
                running[name].sign_in(login, PASSWORD)
            running["poller"] = running["customer"].again()
            running["poller"].headers["If-None-Match"] = running["poller"].get(POLL).headers["ETag"]
            for name in ("ours", "drawn", "no cards", "fewer"):
                running[name].sign_in(DISPATCHER, PASSWORD)
            if django is not None:
                peers.sign_in(running["django"])
                running["django"].headers.update(peers.AJAX)
            taking.reset(connection)
            for work in works(url, datetime.now(LONDON).date(), django is not None):
                if wanted in work.title:
                    outcomes.append(_outcome(work, running, apps, rounds, requests, bar))
            if wanted in TAKING:
                outcomes.append(_taking(connection, running, rounds, requests, bar))
            if wanted in LAST_TIME:
                crowds = {"ours": taking.crowd(connection, running["crowd"])}
                if django is not None:
                    technician_id, start = _last_time(connection)
                    one = peers.crowd(django, running["django"], crowds["ours"].people, technician_id, start)
                    crowds["django-appointment"] = one
                outcomes.append(LastTime(crowds))
            taking.reset(connection)
        return outcomes, missing


def _django(url: str, jobs: int) -> tuple[peers.Django | None, str]:
    """Return the peers on Django, or why there are none."""
    with _connect(url) as connection:
        theirs, _ = taking.visits_of(connection, CUSTOMER)
    try:
        return peers.ready(url, jobs, theirs.partner_id), ""
    except peers.NoPeers as problem:
        return None, str(problem)


def _last_time(connection: psycopg.Connection[Any]) -> tuple[int, datetime]:
    """Return the customer's technician, and on the day of their visit the local start of a time that is left free."""
    theirs, _ = taking.visits_of(connection, CUSTOMER)
    assert theirs.technician_id is not None
    start = datetime.combine(theirs.start_at.astimezone(UTC).date(), time(STARTS[-1]), UTC)
    return theirs.technician_id, start.astimezone(LONDON).replace(tzinfo=None)


def _taking(
    connection: psycopg.Connection[Any], running: Mapping[str, Visitor], rounds: int, requests: int, bar: Progress
) -> Outcome:
    contestants = taking.contestants(connection, running["customer"], running["floor"])
    connection.commit()
    task = bar.add_task(TAKING, total=rounds + 1)

    def sweep() -> None:
        taking.sweep(connection)
        bar.advance(task)

    taking.sweep(connection)
    times = compare(contestants, rounds, requests, sweep)
    goal = Goal("rate, of the bare constraint's", "bare constraint", "ours", least=0.3)
    pages = {one.name: ("", one.path) for one in contestants}
    note = (
        "One after the other; `ours` is the customer's form, signed in; the other one INSERT and its commit. One visit"
        " is moved to and fro, and what that leaves in the tables is swept before each round."
    )
    return Outcome(Work(TAKING, pages, [goal], note=note), times, {})


def _outcome(
    work: Work, running: Mapping[str, Visitor], apps: Mapping[str, Flask], rounds: int, requests: int, bar: Progress
) -> Outcome:
    contestants = [
        Contestant(name, running[where], path, status=work.statuses.get(name, 200))
        for name, (where, path) in work.pages.items()
    ]
    task = bar.add_task(work.title, total=rounds + 1)
    times = compare(contestants, rounds, min(requests, work.requests or requests), lambda: bar.advance(task))
    statements = {
        name: statements_of(apps[where], running[where].cookies, path)
        for name, (where, path) in work.pages.items()
        if where in apps
    }
    statements |= {
        name: peers.statements_of(running[where], path)
        for name, (where, path) in work.pages.items()
        if where == "django"
    }
    return Outcome(work, times, statements)


def report(outcomes: Sequence[Outcome | LastTime], missing: str, jobs: int, rounds: int, requests: int) -> str:
    """Return the results as a page of Markdown."""
    met = [verdict[-1] for outcome in outcomes for verdict in outcome.verdicts()]
    lines = [
        "# What the office costs",
        "",
        f"Written by `make bench`: {jobs:,} jobs, a fifth of them the measured partner's, and beside them a partner",
        f"with {Size(jobs).technicians} technicians, booked about half of two months; on PostgreSQL; gunicorn with",
        f"{WORKERS} workers each; {rounds} rounds of {requests} requests, alternating; {os.cpu_count()} cores,"
        f" Python {platform.python_version()}.",
        f"The machine's load was {os.getloadavg()[1]:.0f} on these cores; above their number the ratios are worse than"
        " at rest, since a longer request is interrupted more often.",
        "Ratios are the median over the rounds, with the least and the most. `ours` is the whole page for somebody",
        "signed in; `stock` and `tuned` are Flask-Admin views without sign-in; `floor` is one bare statement and one",
        "small template. A list, a job, a schedule, free times and a field day are given out again until something",
        "of the partner's is written (`portal/web/kept.py`): `ours` is such a page, and the targets are for it. What",
        "is `drawn each time`, the deep list and the one of fewer jobs are drawn for each request.",
        f"The peers on Django are left out: {missing}."
        if missing
        else "Django admin and django-appointment are signed in too, in an environment of their own.",
        "",
        f"{sum(met)} of {len(met)} targets met.",
    ]
    for outcome in outcomes:
        lines += outcome.lines()
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the bench with `BENCH_JOBS` jobs, `BENCH_ROUNDS` rounds of `BENCH_REQUESTS` requests.

    Words on the command line choose what is measured, by its title; only a whole run is written down.
    """
    wanted = " ".join(sys.argv[1:])
    jobs = int(os.environ.get("BENCH_JOBS", JOBS))
    if wanted == reminders.TITLE:
        sys.exit(reminders.main(jobs))
    if wanted == live.TITLE:
        sys.exit(live.main())
    if wanted == mixed.TITLE:
        sys.exit(mixed.main(jobs))
    if sys.argv[1:2] == [faults.TITLE]:
        sys.exit(faults.main(" ".join(sys.argv[2:])))
    rounds = int(os.environ.get("BENCH_ROUNDS", ROUNDS))
    requests = int(os.environ.get("BENCH_REQUESTS", REQUESTS))
    if databases.postgres_url() is None:
        sys.exit(databases.postgres_reason())
    outcomes, missing = run(jobs, rounds, requests, wanted)
    page = report(outcomes, missing, jobs, rounds, requests)
    console.print(page)
    if not wanted:
        RESULTS.write_text(page)
        console.print(f"Written to {RESULTS.relative_to(Path.cwd())}")


if __name__ == "__main__":
    main()
