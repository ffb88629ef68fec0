"""Checking a picture that somebody sent and drawing it anew, so that nothing of the file itself is kept or served."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import TypeVar

from PIL import Image, ImageOps

from portal.domain.errors import Refusal

Drawn = TypeVar("Drawn")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a picture may be, and what is said of one that is not.

    ``file_bytes``, ``pixels`` in all and the ``longest`` side are the most there may be, ``shortest`` the least a side;
    ``formats`` as Pillow names them.
    """

    file_bytes: int
    pixels: int
    longest: int
    shortest: int
    formats: tuple[str, ...]
    empty: Refusal
    too_big: Refusal
    no_picture: Refusal
    broken: Refusal
    too_many_pixels: Refusal
    too_few_pixels: Refusal


def drawn_anew(data: bytes, limits: Limits, draw: Callable[[Image.Image], Drawn]) -> Drawn | Refusal:
    """Return what ``draw`` makes of the picture in ``data``, or why it cannot be used.

    What the file is called or claims to be is not asked. Of several frames the first is taken.
    """
    if not data:
        return limits.empty
    if len(data) > limits.file_bytes:
        return limits.too_big
    try:
        # Reads the head alone; a bomb has not gone off yet.
        picture = Image.open(BytesIO(data), formats=limits.formats)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return limits.too_many_pixels
    except Exception:
        # Decoders raise whatever a file that was made to break them provokes.
        return limits.no_picture
    width, height = picture.size
    if width * height > limits.pixels or max(width, height) > limits.longest:
        return limits.too_many_pixels
    if min(width, height) < limits.shortest:
        return limits.too_few_pixels
    try:
        return draw(picture)
    except Exception:
        return limits.broken


def in_eight_bits(picture: Image.Image) -> Image.Image:
    """Return ``picture`` with eight bits a channel; Pillow would cut off sixteen bits of grey, not scale them."""
    if picture.mode.startswith("I"):
        return picture.convert("I").point(lambda level: level / 256).convert("L")
    return picture


def turned_upright(picture: Image.Image) -> Image.Image:
    """Return ``picture`` turned as the camera says."""
    return ImageOps.exif_transpose(picture)


def of_pixels_alone(picture: Image.Image) -> Image.Image:
    """Return ``picture`` from its pixels: a copy would carry position, camera, comments and colour profile over."""
    return Image.frombytes(picture.mode, picture.size, picture.tobytes())
