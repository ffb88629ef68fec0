"""A signature drawn on the screen: checked, and kept as what was drawn and nothing beside it."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from portal.domain.errors import Sentence, sentence

MAX_BYTES = 200 * 1024
MAX_SIDE = 4_000
MIN_SIDE = 8
# As wide as it is ever printed.
KEPT = (900, 360)
# The longest name that is typed beside it.
MAX_SIGNATURE = 120
BROKEN = sentence("The drawing could not be read; clear it and draw your signature again.")
TOO_BIG = sentence("The drawing is too large; clear it and draw your signature again.")


def read_drawing(data: bytes, empty: Sentence) -> bytes | Sentence:
    """Return the PNG of what was drawn in ``data``, cut to its edges, black on nothing; or what is wrong with it.

    ``empty`` is what is said where nothing was drawn.
    """
    if len(data) > MAX_BYTES:
        return TOO_BIG
    try:
        picture = Image.open(BytesIO(data), formats=("PNG",))
    except Exception:
        # Decoders raise whatever a file that was made to break them provokes.
        return BROKEN
    if not MIN_SIDE <= min(picture.size) <= max(picture.size) <= MAX_SIDE:
        return TOO_BIG if max(picture.size) > MAX_SIDE else BROKEN
    try:
        strokes = picture.convert("RGBA").getchannel("A")
    except Exception:
        return BROKEN
    edges = strokes.getbbox()
    # A ground that covers everything is no drawing either.
    if edges is None or strokes.getextrema()[0] == 255:
        return empty
    strokes = strokes.crop(edges)
    strokes.thumbnail(KEPT)
    drawn = Image.new("LA", strokes.size, (0, 0))
    drawn.putalpha(strokes)
    png = BytesIO()
    drawn.save(png, "PNG", optimize=True)
    return png.getvalue()
