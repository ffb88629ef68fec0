"""Checking a photo and drawing it anew, so that nothing of the file itself is kept or served."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import pillow_heif
from PIL import Image, ImageOps

from portal.domain.errors import Refusal, sentence

pillow_heif.register_heif_opener()

MAX_BYTES = 15 * 1024 * 1024
# What is decoded takes three or four bytes a pixel, however small the file.
MAX_PIXELS = 50_000_000
MAX_SIDE = 20_000
MIN_SIDE = 16
# Enough to read a type plate.
KEPT_SIDE = 2560
SMALL_SIDE = 480
QUALITY = 85
FORMATS = ("JPEG", "PNG", "WEBP", "HEIF")

EMPTY = Refusal("no_photo", sentence("Choose a photo"))
TOO_BIG = Refusal("too_big", sentence("Choose a photo of %(limit)s MB or less", limit=MAX_BYTES // 1024 // 1024))
NO_PHOTO = Refusal("not_a_photo", sentence("Choose a photo in JPEG, PNG, WebP or HEIC format; this file is none"))
BROKEN = Refusal("broken", sentence("The photo is damaged or incomplete; take it again or choose another"))
TOO_MANY_PIXELS = Refusal(
    "too_many_pixels",
    sentence("Choose a photo of at most %(pixels)s million pixels", pixels=MAX_PIXELS // 1_000_000),
)
TOO_FEW_PIXELS = Refusal("too_few_pixels", sentence("Choose a photo of at least %(side)s pixels a side", side=MIN_SIDE))


@dataclass(frozen=True, slots=True)
class Drawn:
    """A photo as two JPEGs, the whole and a small one, without anything that was beside the pixels; size in pixels."""

    whole: bytes
    small: bytes
    width: int
    height: int


def draw(data: bytes) -> Drawn | Refusal:
    """Return the photo in ``data``, at most ``KEPT_SIDE`` pixels a side, or why it cannot be used.

    What the file is called or claims to be is not asked. Of several frames the first is taken; turned as the camera
    says; position, camera, comments and colour profile are left behind.
    """
    if not data:
        return EMPTY
    if len(data) > MAX_BYTES:
        return TOO_BIG
    try:
        # Reads the head alone; a bomb has not gone off yet.
        picture = Image.open(BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return TOO_MANY_PIXELS
    except Exception:
        # Decoders raise whatever a file that was made to break them provokes.
        return NO_PHOTO
    width, height = picture.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        return TOO_MANY_PIXELS
    if min(width, height) < MIN_SIDE:
        return TOO_FEW_PIXELS
    try:
        return _drawn(picture)
    except Exception:
        return BROKEN


def _drawn(picture: Image.Image) -> Drawn:
    # A JPEG is unpacked no bigger than needed; others take no notice.
    picture.draft("RGB", (KEPT_SIDE, KEPT_SIDE))
    turned = ImageOps.exif_transpose(picture)
    turned.thumbnail((KEPT_SIDE, KEPT_SIDE))
    if turned.mode.startswith("I"):
        # Sixteen bits of grey; Pillow would cut them off instead of scaling them.
        turned = turned.convert("I").point(lambda level: level / 256).convert("L")
    if turned.has_transparency_data:
        seen_through = turned.convert("RGBA")
        turned = Image.new("RGB", turned.size, "white")
        turned.paste(seen_through, mask=seen_through)
    # From the pixels alone: a copy would carry over what the file said beside them.
    plain = turned.convert("RGB")
    whole = Image.frombytes(plain.mode, plain.size, plain.tobytes())
    small = whole.copy()
    small.thumbnail((SMALL_SIDE, SMALL_SIDE))
    return Drawn(_jpeg(whole), _jpeg(small), *whole.size)


def _jpeg(picture: Image.Image) -> bytes:
    data = BytesIO()
    picture.save(data, "JPEG", quality=QUALITY, optimize=True)
    return data.getvalue()
