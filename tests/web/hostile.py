"""People who mean no good: what they type, and how to see that it came to nothing."""

from __future__ import annotations

import io
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit
from zlib import crc32

from bs4 import BeautifulSoup, Tag
from flask import Flask
from sqlalchemy import Engine, Table, event, make_url, select, text
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import RequestRedirect
from werkzeug.test import TestResponse

from portal.domain.base import Base
from tests.helpers import Site, fields_of, soup
from tests.sharing import EVERYTHING

# Stands in every text that anybody may write; run anywhere, a page has let it out.
SCRIPT = '"><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}%s'
SQL = "'; DROP TABLE jobs; --"

MISSING: Any = object()
DOUBLED: Any = object()
# Values for a field by the kind of its control.
TEXTS = ("", "\u200b", "x" * 10_000, "😀 \u202e", SQL, "%(name)s {0}\r\nBcc: x", MISSING, DOUBLED)
NUMBERS = ("", "-1", "9" * 30, "0", "9" * 5000, "x", MISSING, DOUBLED)
DATES = ("", "2027-06-31", "31 June", "0001-01-01", "9999-12-31", "x" * 5000, MISSING, DOUBLED)
TIMES = ("", "25:00", "24:00", "9", "😀", MISSING, DOUBLED)
TICKS = ("maybe", DOUBLED)
# Date and time together: the hour that the clocks skip in Bristol, and both ends of the calendar.
MOMENTS = (("2027-03-28", "01:30"), ("0001-01-01", "00:00"), ("9999-12-31", "23:59"))
FILES = (
    (b"", "empty.pdf"),
    (b"MZ no scan", "scan.pdf"),
    (b"%PDF-1.4", "a\0b.pdf"),
    (b"%PDF-1.4", "../../😀\r\n" + "x" * 10_000),
)
# Keys that no row has.
ODD_KEYS = ("0", "-1", str(2**63), "9" * 30, "9" * 5000, "x", "1.5", "%00", "%F0%9F%98%80", "1%2F2")

# Endpoints whose words choose a row, not what is done with it.
ONE_FORM = {"message_words.edit_view"}

READS = ("SELECT", "BEGIN", "SAVEPOINT", "RELEASE", "PRAGMA", "SET ")


def every_row(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """Return every row of every table. Sessions are not in the database."""
    with engine.connect() as connection:
        return {
            table.name: [
                dict(row._mapping) for row in connection.execute(select(table).order_by(*table.primary_key.columns))
            ]
            for table in Base.metadata.sorted_tables
        }


class Ledger:
    """The database as it was: sees whether anything has changed since, and puts it back."""

    def __init__(self, app: Flask, engine: Engine) -> None:
        self._engine = engine
        self._file = make_url(app.config["SETTINGS"].database_url).database if engine.name == "sqlite" else None
        self._copy = sqlite3.connect(":memory:")
        self._written = False
        self.before = every_row(engine)
        if self._file is not None:
            with closing(sqlite3.connect(self._file)) as live:
                live.backup(self._copy)

    @contextmanager
    def watching(self) -> Iterator[Ledger]:
        """Note what is written meanwhile."""
        event.listen(self._engine, "before_cursor_execute", self._note)
        try:
            yield self
        finally:
            event.remove(self._engine, "before_cursor_execute", self._note)
            self._copy.close()

    def _note(self, connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        self._written = self._written or not statement.lstrip().upper().startswith(READS)

    def changed(self) -> list[str]:
        """Return the tables that hold something else than before; where nothing was written nothing can."""
        if not self._written:
            return []
        self._written = False
        now = every_row(self._engine)
        return [name for name in self.before if now[name] != self.before[name]]

    def restore(self, names: list[str]) -> None:
        """Put the tables ``names`` back."""
        if self._file is not None:
            with closing(sqlite3.connect(self._file, timeout=5)) as live:
                self._copy.backup(live)
            return
        tables: list[Table] = [table for table in Base.metadata.sorted_tables if table.name in names]
        with self._engine.begin() as connection:
            # Without triggers and foreign keys: history forbids to be altered.
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            for table in tables:
                connection.execute(table.delete())
                if self.before[table.name]:
                    connection.execute(table.insert(), self.before[table.name])
        self._written = False


@dataclass
class Found:
    """A form of a page as a crawl came by it."""

    page: str
    target: str
    tag: Tag
    name: tuple[Any, ...]
    # Only an answer led to it, so that it may not be found where the other forms are abused.
    behind: bool


@dataclass
class Intruder:
    """Somebody with a browser, signed in or not, whose every request is looked at."""

    app: Flask
    ledger: Ledger
    site: Site
    who: str
    token: str = ""
    forms: dict[Any, Found] = field(default_factory=dict)
    # The forms that are this database's to abuse, see ``is_ours``.
    parity: int = 0
    turns: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    sent: int = 0

    def open(self, method: str, url: str, **kwargs: Any) -> TestResponse:
        """Send a request; it may be refused or, if it is a POST, do something, which is then taken back."""
        # Read to its end and closed, as a server does it, or what a file is written from would stay open.
        answer = self.site.client.open(url, method=method, buffered=True, **kwargs)
        self.sent += 1
        said = f"{self.who}: {method} {url} {str(kwargs)[:600]} got {answer.status_code}"
        assert answer.status_code < 500, said
        changed = self.ledger.changed()
        if changed:
            assert method == "POST", f"{said} and wrote {changed}"
            assert answer.status_code in {302, 303}, f"{said} and wrote {changed}"
            self.accepted += 1
            self.ledger.restore(changed)
        return answer

    def post(self, url: str, values: dict[str, Any] | None = None, **kwargs: Any) -> TestResponse:
        """Send a form by hand with a good token."""
        return self.open("POST", url, data={"csrf_token": self.token, **(values or {})}, **kwargs)

    def crawl(self, start: str, most: int) -> dict[str, tuple[TestResponse, BeautifulSoup | None]]:
        """Open what links lead to, at most ``most`` of a kind; return answers and pages, and note their forms."""
        pages: dict[str, tuple[TestResponse, BeautifulSoup | None]] = {}
        counts: dict[Any, int] = {}
        waiting = [start]
        while waiting:
            url = waiting.pop(0)
            kind = self.kind_of(url)
            if kind is None or url in pages or counts.get(kind, 0) >= (most if has_key(url) else min(most, 3)):
                continue
            counts[kind] = counts.get(kind, 0) + 1
            answer = self.open("GET", url)
            page = soup(answer) if answer.mimetype == "text/html" else None
            pages[url] = answer, page
            if answer.status_code in {301, 302, 303, 308}:
                waiting.append(local(urljoin(url, answer.headers["Location"])))
            if page is None:
                continue
            # Not by selectors, which take many times as long on pages of this size.
            waiting += [local(urljoin(url, str(link["href"]))) for link in page.find_all("a", href=True)]
            for form in page.find_all("form"):
                if form.find_parent("template"):
                    continue
                if is_post(form):
                    self._note_form(url, form)
                else:
                    waiting += asked_by(url, form)
        return pages

    def kind_of(self, url: str) -> Any:
        """Return what makes two addresses the same page with other data; ``None`` for what is no page of ours."""
        parts = urlsplit(url)
        if parts.netloc or not parts.path.startswith("/") or parts.path.startswith(("/static", "/brand", "/logout")):
            return None
        return (*self.route_of(parts.path), tuple(sorted(name for name, _ in parse_qsl(parts.query))))

    def route_of(self, path: str, method: str = "GET") -> tuple[Any, ...]:
        """Return endpoint and words of a path."""
        try:
            endpoint, values = self.app.url_map.bind("localhost").match(path, method=method)
        except RequestRedirect as redirect:
            return ("redirect", redirect.new_url)
        except MethodNotAllowed:
            return ("other method", path)
        except HTTPException:
            return ("nowhere", path)
        return (endpoint, *(value for value in values.values() if not isinstance(value, int)))

    def _note_form(self, url: str, form: Tag, behind: bool = False) -> None:
        target = urljoin(url, str(form.get("action") or url))
        # However many lines it has by now; words of a message are one form, whichever message they are of.
        names = frozenset(re.sub(r"-\d+-", "-0-", str(control["name"])) for control in form.select("[name]"))
        route = self.route_of(urlsplit(target).path, "POST")
        name = (*(route[:1] if route[0] in ONE_FORM and not EVERYTHING else route), names)
        if name[0] != "security.logout":
            self.forms.setdefault(name, Found(url, target, form, name, behind))

    def is_ours(self, form: Found) -> bool:
        """Whether ``form`` is to be abused on this database: each is on one of them, and all are on both when asked."""
        words = f"{form.name[:-1]}{sorted(form.name[-1])}"
        return EVERYTHING or form.behind or crc32(words.encode()) % 2 == self.parity

    def abuse(self, form: Found) -> None:
        """Send ``form`` as it is, press each of its buttons, then send it with garbage in each field in turn.

        Each field gets one value of its kind, the next field or form the next value. Where everything is tried, each
        field gets every one.
        """
        usual = filled(form.tag)
        usual["csrf_token"] = [self.token]
        for values in ({}, *({str(it["name"]): str(it.get("value", ""))} for it in form.tag.select("button[name]"))):
            answer = self.open("POST", form.target, data={**usual, **values})
            for further in soup(answer).select("form") if answer.status_code == 200 else ():
                self._note_form(form.target, further, behind=True)
        whens: list[list[str]] = [[], []]
        for control in controls_of(form.tag):
            name, kind = str(control["name"]), kind_of(control)
            if kind == "file":
                for data, filename in FILES:
                    self.open("POST", form.target, data={**usual, name: (io.BytesIO(data), filename)})
                continue
            if kind in {"date", "time"}:
                whens[kind == "time"].append(name)
            turn = self.turns[kind] % len(VALUES[kind])
            self.turns[kind] += 1
            for value in VALUES[kind] if EVERYTHING else VALUES[kind][turn : turn + 1]:
                self.open("POST", form.target, data=spoiled(usual, name, value))
        for day, clock in MOMENTS if all(whens) else ():
            values = {**usual, **dict.fromkeys(whens[0], day), **dict.fromkeys(whens[1], clock)}
            self.open("POST", form.target, data={name: value for name, value in values.items() if name != "slot"})


VALUES = {"text": TEXTS, "number": NUMBERS, "date": DATES, "time": TIMES, "tick": TICKS}


def is_post(form: Tag) -> bool:
    """Return whether ``form`` changes something."""
    return str(form.get("method", "get")).lower() == "post"


def asked_by(url: str, form: Tag) -> list[str]:
    """Return the addresses that a form which only asks can lead to: one for each of its first radios."""
    target = urljoin(url, str(form.get("action") or url)).partition("?")[0]
    values = fields_of(form)
    radios = [(str(radio["name"]), str(radio.get("value", "on"))) for radio in form.select("input[type=radio]")]
    chosen: list[dict[str, Any]] = [{**values, name: [value]} for name, value in radios[:2]] or [values]
    return [f"{target}?{urlencode(each, doseq=True)}" for each in chosen]


def has_key(url: str) -> bool:
    """Return whether an address names a row."""
    parts = urlsplit(url)
    return any(part.isdigit() for part in parts.path.split("/")) or "id" in dict(parse_qsl(parts.query))


def local(url: str) -> str:
    """Return ``url`` without its fragment."""
    return url.partition("#")[0]


def controls_of(form: Tag) -> list[Tag]:
    """Return the controls of ``form`` that take a value, each name once."""
    found: dict[str, Tag] = {}
    for control in form.select("input[name], select[name], textarea[name]"):
        if control.get("type") not in {"submit", "button", "reset"} and control["name"] != "csrf_token":
            found.setdefault(str(control["name"]), control)
    return list(found.values())


def kind_of(control: Tag) -> str:
    """Return which of ``VALUES`` a control is to be spoiled with."""
    if control.name == "select":
        return "number"
    if control.name == "textarea":
        return "text"
    kind = str(control.get("type", "text"))
    known = {"date": "date", "time": "time", "file": "file", "checkbox": "tick"}
    known |= dict.fromkeys(("hidden", "number", "radio"), "number")
    return known.get(kind, "text")


def filled(form: Tag) -> dict[str, Any]:
    """Return what ``form`` would send with something sensible in every empty field."""
    values: dict[str, Any] = {**fields_of(form)}
    for control in controls_of(form):
        name, kind = str(control["name"]), kind_of(control)
        if kind == "file" or any(values.get(name, [])):
            continue
        usual = {"date": "2026-11-25", "time": "14:00", "number": "1", "text": "Some words"}.get(kind)
        if control.get("type") == "radio":
            usual = str(control.get("value", ""))
        if control.name == "select":
            options = [str(option.get("value", "")) for option in control.select("option")]
            usual = next(filter(None, options), "")
        if control.get("type") in {"email", "tel"}:
            usual = {"email": "somebody@mail.example", "tel": "0117 496 0199"}[str(control["type"])]
        if usual is not None:
            values[name] = [usual]
    return values


def spoiled(values: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    """Return ``values`` with ``value`` in the field ``name``, or with the field left out or sent twice."""
    if value is MISSING:
        return {other: kept for other, kept in values.items() if other != name}
    if value is DOUBLED:
        present = values.get(name, [""])
        return {**values, name: [*present, f"{present[0]}0"]}
    return {**values, name: [value]}


def let_out(page: BeautifulSoup) -> list[str]:
    """Return what runs in ``page`` although somebody only typed it."""
    found = [str(script) for script in page.find_all("script") if script.get_text(strip=True)]
    return found + [str(tag)[:200] for tag in page.find_all(True) if any(name.startswith("on") for name in tag.attrs)]
