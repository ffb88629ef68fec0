"""The letters that the papers' own typeface lacks: Noto Sans, in the parts of a few hundred signs that npm brings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from fontTools.ttLib import TTFont

from portal.web.assets import STATIC

FOLDER = STATIC / "vendor" / "letters"
# Whose parts are looked through for a sign, in this order; the Chinese ones have those of Japanese too. Left out is
# what runs right to left or is joined in writing, which the library that draws papers gets wrong among other letters.
FAMILIES = ("armenian", "georgian", "thai", "sc", "kr")
# Opening a part takes up to a second, and no contract of people needs more.
MOST_PARTS = 16


def parts_for(text: str, own: Path) -> list[Path]:
    """Return the font files that hold what of ``text`` the font file ``own`` lacks; what none holds is left out."""
    found: dict[Path, None] = {}
    for sign in dict.fromkeys(text):
        code = ord(sign)
        if code in _signs(own) or sign.isspace() or any(code in _signs(part) for part in found):
            continue
        if len(found) == MOST_PARTS:
            break
        part = next((part for part in _claiming(code) if code in _signs(part)), None)
        if part is not None:
            found[part] = None
    return list(found)


def _claiming(code: int) -> Iterator[Path]:
    return (part for first, last, part in _ranges() if first <= code <= last)


@cache
def _ranges() -> tuple[tuple[int, int, Path], ...]:
    """Return from which code point to which each part says it goes; it may lack some of them."""
    found = []
    for family in FAMILIES:
        name = f"noto-sans-{family}"
        for key, ranges in json.loads((FOLDER / f"{name}.json").read_text()).items():
            part = next(FOLDER.glob(f"{name}-{key.strip('[]')}-*-normal.*"))
            for one in ranges.split(","):
                first, _, last = one.strip().removeprefix("U+").partition("-")
                found.append((int(first, 16), int(last or first, 16), part))
    return tuple(found)


@cache
def _signs(part: Path) -> frozenset[int]:
    with TTFont(part, lazy=True) as font:
        return frozenset(font.getBestCmap())
