"""Dates as people read them, statuses as they look, colours that can be read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from flask import Flask, g
from hypothesis import given
from hypothesis import strategies as st

from portal import create_app
from portal.domain.actor import Actor, Role
from portal.domain.errors import sentence
from portal.domain.jobs.states import APPOINTMENT, INSTALLATION, SERVICE
from portal.extensions import db
from portal.web import branding, formats, statuses
from portal.web.assets import STATIC
from portal.web.i18n import translate
from tests.conftest import make_settings

LONDON = ZoneInfo("Europe/London")
NEW_YORK = ZoneInfo("America/New_York")
# Fri 20 Nov 2026, 16:30 in London
NOW = datetime(2026, 11, 20, 16, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """Nothing here asks the database, so one application does for all."""
    folder = tmp_path_factory.mktemp("formats")
    made = create_app(make_settings(folder, database_url=f"sqlite:///{folder / 'none.sqlite3'}"))
    yield made
    with made.app_context():
        db.engine.dispose()


@pytest.fixture
def request_at_now(app: Flask) -> Iterator[None]:
    with time_machine.travel(NOW, tick=False), app.test_request_context("/"):
        yield


pytestmark = pytest.mark.usefixtures("request_at_now")


def at(day: int, hour: int, minute: int = 0, month: int = 11, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "of", "said"),
    [
        (at(24, 9), LONDON, "Tue 24 Nov"),
        (at(24, 2), NEW_YORK, "Mon 23 Nov"),
        (at(5, 9, year=2027, month=1), LONDON, "Tue 5 Jan 2027"),
        (date(2026, 12, 1), LONDON, "Tue 1 Dec"),
        (date(2025, 12, 1), LONDON, "Mon 1 Dec 2025"),
    ],
)
def test_day(value: datetime | date, of: ZoneInfo, said: str) -> None:
    assert formats.day(value, of) == said


def test_a_day_has_its_year_when_asked() -> None:
    assert formats.day(at(3, 9), LONDON, year=True) == "Tue 3 Nov 2026"
    assert formats.day(at(5, 9, year=2027, month=1), LONDON, year=False) == "Tue 5 Jan"


def test_window() -> None:
    assert formats.window(at(24, 9), at(24, 11), LONDON) == "Tue 24 Nov, 9:00–11:00"
    assert formats.window(at(24, 9), 120, LONDON) == "Tue 24 Nov, 9:00–11:00"
    assert formats.hours(at(24, 14, 30), 90, NEW_YORK) == "9:30–11:00"


def test_the_hour_that_comes_twice_says_which_it_is() -> None:
    # clocks go back at 2:00 summer time on Sun 25 Oct 2026
    assert formats.hours(at(25, 0, 30, month=10), 60, LONDON) == "1:30 (UTC+1)–1:30 (UTC+0)"
    assert formats.window(at(24, 8, month=10), 120, LONDON) == "Sat 24 Oct, 9:00–11:00"
    assert formats.window(at(26, 9, month=10), 120, LONDON) == "Mon 26 Oct, 9:00–11:00"


@pytest.mark.parametrize(
    ("days", "said"),
    [(0, "today"), (1, "tomorrow"), (-1, "yesterday"), (4, "in 4 days"), (-3, "3 days ago"), (400, "in 400 days")],
)
def test_relative(days: int, said: str) -> None:
    assert formats.relative(NOW + timedelta(days=days), LONDON) == said
    assert formats.relative(NOW.date() + timedelta(days=days), LONDON) == said


def test_relative_counts_the_partners_days() -> None:
    late = at(21, 3)
    assert formats.relative(late, NEW_YORK) == "today"
    assert formats.relative(late, LONDON) == "tomorrow"


def test_when() -> None:
    assert formats.when(at(20, 9, 36), LONDON) == "today, 9:36"
    assert formats.when(at(2, 16, 30), LONDON) == "Mon 2 Nov, 16:30"


@pytest.mark.parametrize(
    ("minutes", "said"),
    [(360, "6 hours"), (60, "1 hour"), (45, "45 minutes"), (90, "1 hour 30 minutes"), (61, "1 hour 1 minute")],
)
def test_length(minutes: int, said: str) -> None:
    assert formats.length(minutes) == said
    assert formats.duration(minutes) == f"about {said}"


def test_a_sentence_is_translated_with_its_parts() -> None:
    text = sentence("%(who)s: %(when)s", who=sentence("Nobody yet"), when=at(24, 9))
    assert translate(text, LONDON) == "Nobody yet: Tue 24 Nov, 9:00"
    assert translate(sentence("until %(day)s", day=date(2026, 11, 24)), LONDON) == "until Tue 24 Nov"
    assert translate(sentence("100 % sure")) == "100 % sure"
    assert translate(sentence("%(name)s is not available.", name="<b>50%</b>")) == "<b>50%</b> is not available."


# Statuses. Transcribed from the design language's table.

LOOKS = {
    "installation": {
        "status-enroute": {"EN_ROUTE"},
        "status-progress": {
            "INSTALLATION_IN_PROGRESS",
            "INSTALLATION_COMPLETED",
            "CONTRACT_SENT",
            "CONTRACT_SIGNED",
        },
        "status-scheduled": {"SCHEDULED", "INSTALLER_ASSIGNED"},
        "status-done": {"CUSTOMER_APPROVED"},
        "status-ended": {"CANCELLED", "REJECTED"},
    },
    "service": {
        "status-progress": {"IN_PROGRESS"},
        "status-paused": {"PAUSED"},
        "status-scheduled": {"SCHEDULED"},
        "status-done": {"COMPLETED"},
        "status-ended": {"CANCELLED"},
        "status-draft": {"DRAFT", "APPROVED"},
    },
    "appointment": {
        "status-enroute": {"ON_THE_WAY", "ARRIVED"},
        "status-progress": {"WORK_IN_PROGRESS"},
        "status-paused": {"PAUSED"},
        "status-scheduled": {"SCHEDULED", "PREPARING"},
        "status-done": {"COMPLETE"},
        "status-ended": {"CANCELLED", "INCOMPLETE"},
    },
}


@dataclass
class Thing:
    status: str
    technician_id: int | None = 1
    workflow: str = "installation"


@pytest.mark.parametrize("workflow", [INSTALLATION, SERVICE, APPOINTMENT], ids=lambda flow: flow.name)
def test_every_status_has_its_look(workflow: object) -> None:
    name = workflow.name  # type: ignore[attr-defined]
    expected = {status: css for css, names in LOOKS[name].items() for status in names}
    assert statuses.CSS[name] == expected
    assert set(expected) == {status.name for status in workflow.statuses}  # type: ignore[attr-defined]
    style = (STATIC / "css/tokens.css").read_text()
    for css in expected.values():
        assert f".{css} " in style


def test_a_plan_without_technician_asks_for_one() -> None:
    assert statuses.badge(Thing("SCHEDULED")).css == "status-scheduled"
    assert statuses.badge(Thing("SCHEDULED", None)).css == "status-needs"
    assert statuses.badge(Thing("REJECTED", None)).css == "status-ended"
    assert statuses.visit_badge(Thing("SCHEDULED", None)).css == "status-needs"


def test_customers_read_their_own_words() -> None:
    badge = statuses.customer_badge("COMPLETE", {})
    assert (badge.label, badge.bare) == ("Visit Complete ✅", True)
    assert statuses.customer_badge("SCHEDULED", {"COMPLETE": "Done"}).label == "Appointment Confirmed"
    # Words of the partner's own bring no picture, so the shape is there.
    assert statuses.customer_badge("COMPLETE", {"COMPLETE": "Done"}) == statuses.Badge("status-done", "Done")
    g.actor = Actor(1, Role.TECHNICIAN, "Tomás", frozenset({1}), technician_id=1)
    assert statuses.visit_badge(Thing("COMPLETE")) == statuses.Badge("status-done", "Complete")


def test_every_group_of_the_overview_has_its_look() -> None:
    groups = {status.group for flow in (INSTALLATION, SERVICE) for status in flow.statuses}
    assert set(statuses.GROUP_CSS) == groups


# Colours

COLOURS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


def ratio(one: str, other: str) -> float:
    return branding.contrast(branding.parse(one), branding.parse(other))


@given(COLOURS)
def test_any_colour_of_a_partner_can_be_read(colour: str) -> None:
    for palette, surface in ((branding.light(colour), "#ffffff"), (branding.dark(colour), "#181d26")):
        assert ratio(palette.on_accent, palette.accent) >= 4.5
        assert ratio(palette.on_accent, palette.hover) >= 4.5
        assert ratio(palette.ink, surface) >= 4.5
        assert ratio(palette.ink, palette.tint) >= 4.5


def test_contrast_is_that_of_the_standard() -> None:
    assert ratio("#000000", "#ffffff") == pytest.approx(21)
    assert ratio("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)
    assert ratio("#12476b", "#12476b") == 1


def test_a_colour_that_reads_already_stays() -> None:
    assert branding.light("#12476b").accent == "#12476b"


def test_the_style_sheet_is_plain_and_kept(app: Flask) -> None:
    answer = app.test_client().get("/brand/1/12476b.css")
    assert answer.mimetype == "text/css"
    assert "immutable" in answer.headers["Cache-Control"]
    assert "Set-Cookie" not in answer.headers
    assert re.findall(r"--[a-z-]+(?=:)", answer.text)[:6] == [
        "--accent",
        "--accent-hover",
        "--on-accent",
        "--accent-ink",
        "--accent-tint",
        "--brand-spark",
    ]


@pytest.mark.parametrize("name", ["12476", "12476g", "%2312476b", "12476B", "x;}body{display:none", "1/12476b"])
def test_no_other_text_gets_into_a_style_sheet(app: Flask, name: str) -> None:
    assert app.test_client().get(f"/brand/1/{name}.css").status_code == 404
    assert app.test_client().get("/brand/9/12476b.css").status_code == 404
