"""Checking an uploaded picture and drawing it anew, so that nothing of the file itself is kept or served."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from portal.domain.errors import Refusal, sentence
from portal.domain.pictures import Limits, drawn_anew, in_eight_bits, of_pixels_alone, turned_upright

MAX_BYTES = 2 * 1024 * 1024
MAX_PIXELS = 16_000_000
MIN_SIDE = 16
STORED_SIDE = 512

LIMITS = Limits(
    file_bytes=MAX_BYTES,
    # What is decoded takes four bytes a pixel, however small the file.
    pixels=MAX_PIXELS,
    longest=10_000,
    shortest=MIN_SIDE,
    formats=("PNG", "JPEG", "WEBP"),
    empty=Refusal("no_picture", sentence("Choose a picture")),
    too_big=Refusal("too_big", sentence("Choose a picture of %(limit)s MB or less", limit=MAX_BYTES // 1024 // 1024)),
    no_picture=Refusal("not_a_picture", sentence("Choose a picture in PNG, JPEG or WebP format; this file is none")),
    broken=Refusal("broken", sentence("The picture is damaged or incomplete; save it anew and try again")),
    too_many_pixels=Refusal(
        "too_many_pixels",
        sentence("Choose a picture of at most %(pixels)s million pixels", pixels=MAX_PIXELS // 1_000_000),
    ),
    too_few_pixels=Refusal(
        "too_few_pixels", sentence("Choose a picture of at least %(side)s pixels a side", side=MIN_SIDE)
    ),
)


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG with its size in pixels, without anything that was beside the pixels in the file it came from."""

    png: bytes
    width: int
    height: int


def redraw(data: bytes) -> Picture | Refusal:
    """Return the picture in ``data``, at most ``STORED_SIDE`` pixels a side, or why not (``drawn_anew``)."""
    return drawn_anew(data, LIMITS, _drawn)


def _drawn(picture: Image.Image) -> Picture:
    turned = in_eight_bits(turned_upright(picture))
    drawn = turned.convert("RGBA" if turned.has_transparency_data else "RGB")
    drawn.thumbnail((STORED_SIDE, STORED_SIDE))
    clean = of_pixels_alone(drawn)
    png = BytesIO()
    clean.save(png, "PNG", optimize=True)
    return Picture(png.getvalue(), *clean.size)
