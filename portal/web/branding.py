"""A partner's logo, and its one colour worked out into the few that a page needs, readable on light and dark ground."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Callable
from dataclasses import dataclass

from flask import Blueprint, Flask, Response, abort, url_for

from portal.domain.branding.queries import logo_picture
from portal.domain.tenancy import set_scope, system_scope
from portal.extensions import db

READABLE = 4.5
STEP = 0.01
HEX = re.compile(r"[0-9a-f]{6}")

Rgb = tuple[float, float, float]

WHITE: Rgb = (1.0, 1.0, 1.0)
DARK_SURFACE: Rgb = (0x18 / 255, 0x1D / 255, 0x26 / 255)
# How much lighter a colour begins on the dark ground.
DARK_LIFT = 0.2
# The tokens of both grounds, for a page that shows both at once.
LIGHT_GROUND = "--surface: #ffffff; --bg: #f4f6f8; --ink: #19202d; --ink-2: #465063; --line: #dce1e8;"
DARK_GROUND = "--surface: #181d26; --bg: #10141a; --ink: #edf0f5; --ink-2: #bac3d1; --line: #303948;"
DIGEST = re.compile(r"[0-9a-f]{64}")
FOR_EVER = "public, max-age=31536000, immutable"

pages = Blueprint("brand", __name__)


@dataclass(frozen=True, slots=True)
class Palette:
    """The accent colours of one ground, as ``#rrggbb``; named as the tokens of the style sheet."""

    accent: str
    hover: str
    on_accent: str
    ink: str
    tint: str
    spark: str


def parse(colour: str) -> Rgb:
    """Return ``#rrggbb`` as three parts from 0 to 1; ``ValueError`` for anything else."""
    digits = colour.lower().removeprefix("#")
    if not HEX.fullmatch(digits):
        raise ValueError(f"{colour!r} is no colour")
    red, green, blue = (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return red, green, blue


def show(colour: Rgb) -> str:
    """Return ``colour`` as ``#rrggbb``."""
    return "#" + "".join(f"{round(part * 255):02x}" for part in colour)


def contrast(one: Rgb, other: Rgb) -> float:
    """Return the contrast ratio of WCAG 2, from 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Rgb) -> float:
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _lightness(colour: Rgb, by: float) -> Rgb:
    hue, lightness, saturation = colorsys.rgb_to_hls(*colour)
    return colorsys.hls_to_rgb(hue, min(1.0, max(0.0, lightness + by)), saturation)


def _mix(colour: Rgb, ground: Rgb, share: float) -> Rgb:
    red, green, blue = (part * share + under * (1 - share) for part, under in zip(colour, ground, strict=True))
    return red, green, blue


def _until_readable(colour: Rgb, grounds: tuple[Rgb, ...], step: float) -> Rgb:
    """Return ``colour`` darker or lighter, by ``step``, until it reads on every one of ``grounds``."""
    for _ in range(round(1 / STEP)):
        if all(contrast(parse(show(colour)), ground) >= READABLE for ground in grounds):
            break
        colour = _lightness(colour, step)
    return colour


def light(colour: str) -> Palette:
    """Return the palette of ``colour`` on white; every pair of text and ground holds 4.5:1."""
    base = parse(colour)
    tint = parse(show(_mix(_until_readable(base, (WHITE,), -STEP), WHITE, 0.1)))
    accent = _until_readable(base, (WHITE, tint), -STEP)
    return Palette(
        accent=show(accent),
        hover=show(_lightness(accent, -0.08)),
        on_accent=show(WHITE),
        ink=show(accent),
        tint=show(tint),
        spark=show(_lightness(accent, 0.35)),
    )


def dark(colour: str) -> Palette:
    """Return the palette of ``colour`` on the dark surface; every pair of text and ground holds 4.5:1."""
    base = parse(colour)
    tint = parse(show(_mix(base, DARK_SURFACE, 0.15)))
    accent = _until_readable(_lightness(base, DARK_LIFT), (DARK_SURFACE, tint), STEP)
    hue, _, saturation = colorsys.rgb_to_hls(*base)
    return Palette(
        accent=show(accent),
        hover=show(_lightness(accent, 0.08)),
        on_accent=show(_until_readable(colorsys.hls_to_rgb(hue, 0.13, saturation), (parse(show(accent)),), -STEP)),
        ink=show(accent),
        tint=show(tint),
        spark=show(_lightness(accent, 0.12)),
    )


@dataclass(frozen=True, slots=True)
class Mended:
    """What a colour became on each ground, ``None`` where it reads as it is (dark begins with a lighter one anyway)."""

    light: str | None
    dark: str | None


def mended(colour: str) -> Mended:
    """Return how ``colour`` had to be darkened or lightened further than usual to be read."""
    base = parse(colour)
    by_day, by_night = light(colour).accent, dark(colour).accent
    return Mended(
        light=by_day if by_day != show(base) else None,
        dark=by_night if by_night != show(_lightness(base, DARK_LIFT)) else None,
    )


def looks_sheet(colour: str) -> str:
    """Return the style sheet of a preview: both grounds on one page, whichever the reader's device prefers."""
    grounds = ((".look-light", LIGHT_GROUND, light(colour)), (".look-dark", DARK_GROUND, dark(colour)))
    return "".join(f"{name} {{{ground} {_tokens(palette)}}}\n" for name, ground, palette in grounds)


def style_sheet(colour: str) -> str:
    """Return the style sheet that puts a partner's colour over the tokens."""
    by_day, by_night = (f":root {{{_tokens(palette)}}}" for palette in (light(colour), dark(colour)))
    return f"{by_day}\n@media (prefers-color-scheme: dark) {{{by_night}}}\n"


def _tokens(palette: Palette) -> str:
    return (
        f"--accent: {palette.accent}; --accent-hover: {palette.hover}; --on-accent: {palette.on_accent}; "
        f"--accent-ink: {palette.ink}; --accent-tint: {palette.tint}; --brand-spark: {palette.spark};"
    )


# The colour is its own version: another one has another address.
RULES_VERSION = 1


@pages.get("/brand/<int:version>/<colour>.css")
def sheet(version: int, colour: str) -> Response:
    """Serve the style sheet of one colour; it is the same for everybody and never changes."""
    return _sheet(version, colour, style_sheet)


@pages.get("/brand/<int:version>/<colour>/looks.css")
def looks(version: int, colour: str) -> Response:
    """Serve the style sheet for a preview of one colour."""
    return _sheet(version, colour, looks_sheet)


def _sheet(version: int, colour: str, write: Callable[[str], str]) -> Response:
    if version != RULES_VERSION or not HEX.fullmatch(colour):
        abort(404)
    response = Response(write(colour), mimetype="text/css")
    response.headers["Cache-Control"] = FOR_EVER
    return response


@pages.get("/brand/logo/<digest>.png")
def logo(digest: str) -> Response:
    """Serve a partner's logo to whoever knows its address; another picture has another address."""
    if not DIGEST.fullmatch(digest):
        abort(404)
    # Nobody is signed in here, as with style sheets; the address itself is what one has to know.
    set_scope(db.session(), system_scope("token"))
    response = Response(logo_picture(db.session(), digest), mimetype="image/png")
    response.headers["Cache-Control"] = FOR_EVER
    return response


def sheet_url(colour: str) -> str:
    """Return the address of the style sheet of ``colour`` (``#rrggbb``)."""
    return url_for("brand.sheet", version=RULES_VERSION, colour=colour.lower().removeprefix("#"))


def looks_url(colour: str) -> str:
    """Return the address of the style sheet for a preview of ``colour`` (``#rrggbb``)."""
    return url_for("brand.looks", version=RULES_VERSION, colour=colour.lower().removeprefix("#"))


def logo_url(digest: str) -> str:
    """Return the address of the logo with that digest."""
    return url_for("brand.logo", digest=digest)


def init_app(app: Flask) -> None:
    """Serve brand style sheets from ``app``."""
    app.register_blueprint(pages)
    app.jinja_env.globals.update(brand_sheet_url=sheet_url, looks_sheet_url=looks_url, logo_url=logo_url)
