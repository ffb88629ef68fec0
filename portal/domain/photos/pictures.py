"""Checking a photo and drawing it anew, so that nothing of the file itself is kept or served."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import pillow_heif
from PIL import Image

from portal.domain.errors import Refusal, sentence
from portal.domain.pictures import Limits, drawn_anew, in_eight_bits, of_pixels_alone, turned_upright

pillow_heif.register_heif_opener()

MAX_BYTES = 15 * 1024 * 1024
MAX_PIXELS = 50_000_000
MIN_SIDE = 16
# Enough to read a type plate.
KEPT_SIDE = 2560
SMALL_SIDE = 480
QUALITY = 85

LIMITS = Limits(
    file_bytes=MAX_BYTES,
    # What is decoded takes three or four bytes a pixel, however small the file.
    pixels=MAX_PIXELS,
    longest=20_000,
    shortest=MIN_SIDE,
    formats=("JPEG", "PNG", "WEBP", "HEIF"),
    empty=Refusal("no_photo", sentence("Choose a photo")),
    too_big=Refusal("too_big", sentence("Choose a photo of %(limit)s MB or less", limit=MAX_BYTES // 1024 // 1024)),
    no_picture=Refusal("not_a_photo", sentence("Choose a photo in JPEG, PNG, WebP or HEIC format; this file is none")),
    broken=Refusal("broken", sentence("The photo is damaged or incomplete; take it again or choose another")),
    too_many_pixels=Refusal(
        "too_many_pixels",
        sentence("Choose a photo of at most %(pixels)s million pixels", pixels=MAX_PIXELS // 1_000_000),
    ),
    too_few_pixels=Refusal(
        "too_few_pixels", sentence("Choose a photo of at least %(side)s pixels a side", side=MIN_SIDE)
    ),
)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A photo as two JPEGs, the whole and a small one, without anything that was beside the pixels; size in pixels."""

    whole: bytes
    small: bytes
    width: int
    height: int


def draw(data: bytes) -> Drawn | Refusal:
    """Return the photo in ``data``, at most ``KEPT_SIDE`` pixels a side, or why it cannot be used (``drawn_anew``)."""
    return drawn_anew(data, LIMITS, _drawn)


def _drawn(picture: Image.Image) -> Drawn:
    # A JPEG is unpacked no bigger than needed; others take no notice.
    picture.draft("RGB", (KEPT_SIDE, KEPT_SIDE))
    turned = turned_upright(picture)
    turned.thumbnail((KEPT_SIDE, KEPT_SIDE))
    turned = in_eight_bits(turned)
    if turned.has_transparency_data:
        seen_through = turned.convert("RGBA")
        turned = Image.new("RGB", turned.size, "white")
        turned.paste(seen_through, mask=seen_through)
    whole = of_pixels_alone(turned.convert("RGB"))
    small = whole.copy()
    small.thumbnail((SMALL_SIDE, SMALL_SIDE))
    return Drawn(_jpeg(whole), _jpeg(small), *whole.size)


def _jpeg(picture: Image.Image) -> bytes:
    data = BytesIO()
    picture.save(data, "JPEG", quality=QUALITY, optimize=True)
    return data.getvalue()
