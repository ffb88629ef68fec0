"""Checking an uploaded picture and drawing it anew, so that nothing of the file itself is kept or served."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

from PIL import Image, ImageOps

from portal.domain.errors import Refusal, sentence

MAX_BYTES = 2 * 1024 * 1024
# What is decoded takes four bytes a pixel, however small the file.
MAX_PIXELS = 16_000_000
MAX_SIDE = 10_000
MIN_SIDE = 16
STORED_SIDE = 512
FORMATS = ("PNG", "JPEG", "WEBP")

EMPTY = Refusal("no_picture", sentence("Choose a picture"))
TOO_BIG = Refusal("too_big", sentence("Choose a picture of %(limit)s MB or less", limit=MAX_BYTES // 1024 // 1024))
NO_PICTURE = Refusal("not_a_picture", sentence("Choose a picture in PNG, JPEG or WebP format; this file is none"))
BROKEN = Refusal("broken", sentence("The picture is damaged or incomplete; save it anew and try again"))
TOO_MANY_PIXELS = Refusal(
    "too_many_pixels",
    sentence("Choose a picture of at most %(pixels)s million pixels", pixels=MAX_PIXELS // 1_000_000),
)
TOO_FEW_PIXELS = Refusal(
    "too_few_pixels", sentence("Choose a picture of at least %(side)s pixels a side", side=MIN_SIDE)
)


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG with its size in pixels, without anything that was beside the pixels in the file it came from."""

    png: bytes
    width: int
    height: int


def redraw(data: bytes) -> Picture | Refusal:
    """Return the picture in ``data``, at most ``STORED_SIDE`` pixels a side, or why it cannot be used.

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
        return NO_PICTURE
    width, height = picture.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        return TOO_MANY_PIXELS
    if min(width, height) < MIN_SIDE:
        return TOO_FEW_PIXELS
    try:
        return _drawn(picture)
    except Exception:
        return BROKEN


def _drawn(picture: Image.Image) -> Picture:
    turned = ImageOps.exif_transpose(picture)
    if turned.mode.startswith("I"):
        # Sixteen bits of grey; Pillow would cut them off instead of scaling them.
        turned = turned.convert("I").point(lambda level: level / 256).convert("L")
    drawn = turned.convert("RGBA" if turned.has_transparency_data else "RGB")
    drawn.thumbnail((STORED_SIDE, STORED_SIDE))
    # From the pixels alone: a copy would carry over what the file said beside them.
    clean = Image.frombytes(drawn.mode, drawn.size, drawn.tobytes())
    png = BytesIO()
    clean.save(png, "PNG", optimize=True)
    return Picture(png.getvalue(), *clean.size)
