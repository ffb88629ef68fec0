"""What the README says is so."""

from __future__ import annotations

import re
from pathlib import Path

from portal.demo import ACCOUNTS, PASSWORD
from portal.domain.tables import as_markdown
from portal.settings import Settings
from tests.shots import SHOTS

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text()


def test_the_lifecycle_tables_are_those_the_code_obeys() -> None:
    """Mend a difference by pasting what `portal lifecycles --markdown` prints between the markers."""
    written = README.partition("<!-- lifecycles:begin -->\n")[2].partition("<!-- lifecycles:end -->")[0]
    assert written == as_markdown()


def test_every_setting_has_its_row() -> None:
    section = README.partition("\n## Settings\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([A-Z_]+)` \| ([^|]+) \|", section, re.MULTILINE)
    assert [name for name, _ in rows] == [name.upper() for name in Settings.model_fields]
    defaults = dict(rows)
    for name in ("mail_from", "base_url", "port", "log_level", "proxy_hops", "throttle", "doorstep_env"):
        default = Settings.model_fields[name].default
        shown = str(default).lower() if isinstance(default, bool) else str(default)
        assert f"`{shown}`" in defaults[name.upper()]


def test_the_accounts_are_those_of_the_demo() -> None:
    assert f"`{PASSWORD}`" in README
    for _, email in ACCOUNTS:
        assert email in README


def test_every_picture_is_there_and_shown() -> None:
    shown = set(re.findall(r"\]\((\.shots/[^)]+)\)", README))
    assert {f".shots/{shot.name}.png" for shot in SHOTS} >= shown
    assert all((ROOT / picture).is_file() for picture in shown)


def test_every_command_and_place_is_there() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"\bmake ([a-z]+)`", README)) <= set(targets)
    for place in re.findall(r"`((?:portal|migrations|tests)/[a-z_/.]*)`", README):
        assert (ROOT / place).exists(), place
