"""Servers under gunicorn, requests that alternate between them on connections kept open, and ratios of medians."""

from __future__ import annotations

import gzip
import http.client
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

WORKERS, THREADS = 2, 4
START_SECONDS = 60


@dataclass(frozen=True)
class Answer:
    """What came back and how long it took, in seconds."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


class Visitor:
    """Somebody with cookies and one connection to the server at ``port``."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
        self.cookies: dict[str, str] = {}
        # Sent with everything.
        self.headers: dict[str, str] = {}

    def get(self, path: str, method: str = "GET", form: Mapping[str, str] | None = None) -> Answer:
        """Ask for ``path`` and read the answer to its end."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Cookie": cookies, "Accept": "*/*", **self.headers}
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = urlencode(form) if form is not None else None
        began = time.perf_counter()
        try:
            self.connection.request(method, path, body, headers)
            reply = self.connection.getresponse()
        except http.client.RemoteDisconnected:
            # The server had closed what stood idle; nothing was measured yet.
            self.connection.close()
            began = time.perf_counter()
            self.connection.request(method, path, body, headers)
            reply = self.connection.getresponse()
        content = reply.read()
        seconds = time.perf_counter() - began
        for value in reply.headers.get_all("Set-Cookie") or ():
            name, _, rest = value.partition("=")
            self.cookies[name] = rest.partition(";")[0]
        return Answer(reply.status, dict(reply.headers), content, seconds)

    def sign_in(
        self, email: str, password: str, path: str = "/login", token: str = "csrf_token", name: str = "email"
    ) -> None:
        """Sign in through the form at ``path``; ``RuntimeError`` where that does not work."""
        page = self.get(path)
        form = {name: email, "password": password, token: field_of(page, token)}
        answer = self.get(path, "POST", form)
        if answer.status != 302:
            raise RuntimeError(f"signing in answered {answer.status}")

    def again(self) -> Visitor:
        """Return the same person, over another connection."""
        other = Visitor(self.port)
        other.cookies, other.headers = dict(self.cookies), dict(self.headers)
        return other


def field_of(page: Answer, name: str) -> str:
    """Return what a form on ``page`` sends as ``name``; ``RuntimeError`` where none does."""
    found = re.search(rf'name="{name}"[^>]*value="([^"]*)"', page.body.decode())
    if found is None:
        raise RuntimeError(f"a page has no {name} to send, it answered {page.status}")
    return found[1]


class Server(Visitor):
    """One application under gunicorn, and somebody who asks it."""

    def __init__(self, factory: str, environment: Mapping[str, str], log: Path, python: str) -> None:
        super().__init__(_free_port())
        options = ["--bind", f"127.0.0.1:{self.port}", "--workers", str(WORKERS), "--threads", str(THREADS)]
        options += ["--keep-alive", "75", "--no-control-socket", "--log-level", "warning"]
        command = [python, "-m", "gunicorn", *options, f"{factory}()"]
        with log.open("w") as lines:
            self.process = subprocess.Popen(
                command, env={**os.environ, **environment}, stdout=lines, stderr=lines, start_new_session=True
            )

    def wait(self) -> None:
        """Return when somebody listens; ``RuntimeError`` where nobody ever does."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise RuntimeError("a server did not start, see its log")

    def stop(self) -> None:
        """End the server and its workers."""
        self.connection.close()
        self.process.terminate()
        self.process.wait(START_SECONDS)


@contextmanager
def serving(servers: Mapping[str, tuple[str, Mapping[str, str], str]], folder: Path) -> Iterator[dict[str, Server]]:
    """Run ``servers`` (factory, environment and interpreter by name) and stop them at the end."""
    running = {name: Server(*how[:2], folder / f"{name}.log", how[2]) for name, how in servers.items()}
    try:
        for server in running.values():
            server.wait()
        yield running
    finally:
        for server in running.values():
            server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Contestant:
    """One page of one server, or one form that is sent: ``form`` makes what is sent each time."""

    name: str
    server: Visitor
    path: str
    form: Callable[[], Mapping[str, str]] | None = None
    status: int = 200

    def ask(self) -> Answer:
        """Ask once; raises ``RuntimeError`` for an answer that is not the one wanted: an error page would win."""
        form = self.form() if self.form is not None else None
        answer = self.server.get(self.path, "GET" if form is None else "POST", form)
        if answer.status != self.status:
            raise RuntimeError(f"{self.name} answered {answer.status} for {self.path}")
        return answer


@dataclass(frozen=True)
class Timing:
    """The median of each round in milliseconds, and what an answer weighs."""

    rounds: Sequence[float]
    raw: int
    compressed: int

    @property
    def p50(self) -> float:
        """The median of the rounds' medians."""
        return median(self.rounds)


@dataclass(frozen=True)
class Ratio:
    """How many times longer one took than another: the median over the rounds, and the least and the most."""

    middle: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.middle:.2f}× ({self.least:.2f}–{self.most:.2f})"


def ratio(of: Timing, to: Timing) -> Ratio:
    """Return how many times ``to`` the time ``of`` is, round by round."""
    each = [one / other for one, other in zip(of.rounds, to.rounds, strict=True)]
    return Ratio(median(each), min(each), max(each))


def compare(
    contestants: Sequence[Contestant], rounds: int, requests: int, tell: Callable[[], None] = lambda: None
) -> dict[str, Timing]:
    """Time the contestants, each asked in turn, ``requests`` times a round; the one that begins changes each time.

    Raises ``RuntimeError`` for an answer that is not the one wanted.
    """
    found: dict[str, list[float]] = {one.name: [] for one in contestants}
    last: dict[str, Answer] = {}
    for one in contestants:
        # An idle connection may have been closed meanwhile; a new one opens by itself.
        one.server.connection.close()
    for warming in (True, *[False] * rounds):
        times: dict[str, list[float]] = {one.name: [] for one in contestants}
        for turn in range(requests):
            first = turn % len(contestants)
            for one in (*contestants[first:], *contestants[:first]):
                answer = last[one.name] = one.ask()
                times[one.name].append(answer.seconds * 1000)
        if not warming:
            for name, values in times.items():
                found[name].append(median(values))
        tell()
    return {
        name: Timing(values, len(last[name].body), len(gzip.compress(last[name].body, 6)))
        for name, values in found.items()
    }
