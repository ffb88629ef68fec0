"""Pictures of the demo for the README (`make shots`): starts it on a scratch database and signs in as each role.

They land in `.shots/`, at desk width (1280 px) or phone width (390 px).
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright
from rich.progress import track

from portal.demo import PASSWORD
from tests.conftest import CHROMIUM
from tests.databases import sqlite_url

FOLDER = Path(__file__).resolve().parent.parent / ".shots"
DESK, PHONE = (1280, 860), (390, 844)
DISPATCHER, CUSTOMER, TECHNICIAN = "dispatch@acme.test", "customer@acme.test", "tech@acme.test"


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture: its file's name, who looks, at which width, and how they get there from where they land."""

    name: str
    who: str
    size: tuple[int, int]
    way: Callable[[Page], object]


def _installations(page: Page) -> None:
    page.goto("/admin/installations/")


def _schedule(page: Page) -> None:
    _installations(page)
    page.get_by_role("link", name="Schedule installation").first.click()
    page.get_by_role("dialog").get_by_label("Customer").wait_for()


def _installation(page: Page) -> None:
    _installations(page)
    page.get_by_role("row").filter(has_text="En route").first.get_by_role("link", name="View details").click()


def _message_log(page: Page) -> None:
    page.goto("/admin/messages/")


def _message(page: Page) -> None:
    page.goto(f"/admin/messages/?q={CUSTOMER}")
    page.get_by_role("row").filter(has_text="Reminder").or_(
        page.get_by_role("row").filter(has_text="way")
    ).first.get_by_role("link").first.click()


def _modify(page: Page) -> None:
    page.get_by_role("link").filter(has_text=re.compile(r"\d:\d\d")).last.click()
    page.get_by_role("link", name="Modify").click()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("heading", name="Choose a day and a time").wait_for()


def _visit(page: Page) -> None:
    page.get_by_role("main").get_by_role("link").filter(has_text="Car charger").first.click()


SHOTS = (
    Shot("installations", DISPATCHER, DESK, _installations),
    Shot("installations-phone", DISPATCHER, PHONE, _installations),
    Shot("schedule", DISPATCHER, DESK, _schedule),
    Shot("installation", DISPATCHER, DESK, _installation),
    Shot("calendar", DISPATCHER, DESK, lambda page: page.goto("/admin/calendar/")),
    Shot("dashboard", DISPATCHER, DESK, lambda page: page.goto("/admin/")),
    Shot("message-log", DISPATCHER, DESK, _message_log),
    Shot("message", DISPATCHER, DESK, _message),
    Shot("my-schedule", CUSTOMER, PHONE, lambda page: None),
    Shot("modify", CUSTOMER, PHONE, _modify),
    Shot("field-today", TECHNICIAN, PHONE, lambda page: None),
    Shot("field-visit", TECHNICIAN, PHONE, _visit),
)


def main() -> None:
    """Take all pictures."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, demo(Path(scratch)) as address, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for shot in track(SHOTS, "Taking pictures"):
            take(chromium, address, shot)
        chromium.close()
    print(f"{len(SHOTS)} pictures are in {FOLDER.name}/")


@contextmanager
def demo(scratch: Path) -> Iterator[str]:
    """The demo on a database of its own; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    given = {
        "DOORSTEP_ENV": "demo",
        "DATABASE_URL": sqlite_url(scratch / "demo.sqlite3"),
        "SESSION_DIR": str(scratch / "sessions"),
        "PORT": str(port),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "portal.cli", "demo"], env={**os.environ, **given}, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        if not any(PASSWORD in line for line in process.stdout):
            sys.exit("The demo did not start.")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate()


def take(chromium: Browser, address: str, shot: Shot) -> None:
    """Sign in, go the way and take the picture."""
    width, height = shot.size
    context = chromium.new_context(base_url=address, viewport={"width": width, "height": height}, locale="en-GB")
    page = context.new_page()
    page.goto("/login")
    page.locator("[name=email]").fill(shot.who)
    page.locator("[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    shot.way(page)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=FOLDER / f"{shot.name}.png")
    context.close()


if __name__ == "__main__":
    main()
