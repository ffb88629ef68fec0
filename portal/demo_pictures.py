"""The demo's photos, drawn: a roof with panels, a fuse box, a thermostat. The same each time."""

from __future__ import annotations

from io import BytesIO

from PIL import Image, ImageDraw

SIZE = (960, 720)


def roof() -> bytes:
    """Return a roof with panels on it."""
    picture, pen = _ground("#cfe3f5")
    pen.polygon([(80, 560), (330, 180), (880, 180), (760, 560)], fill="#7d8796")
    for row in range(2):
        for column in range(3):
            left, top = 300 + column * 160 - row * 90, 220 + row * 150
            pen.polygon(
                [(left, top + 130), (left + 80, top), (left + 220, top), (left + 140, top + 130)], fill="#23406b"
            )
    pen.rectangle((80, 560, 760, 720), fill="#e7ddd0")
    return _jpeg(picture)


def fuse_box() -> bytes:
    """Return a fuse box on a wall."""
    picture, pen = _ground("#e9ecf0")
    for x in (400, 560):
        pen.line([(x, 520), (x, 720)], fill="#6d7684", width=14)
    pen.rounded_rectangle((280, 90, 680, 540), 30, fill="#ffffff", outline="#8d97a6", width=8)
    pen.rounded_rectangle((340, 160, 620, 270), 10, fill="#dfe5ec", outline="#8d97a6", width=6)
    for x, colour in ((390, "#1f8a4c"), (480, "#1f8a4c"), (570, "#c98a00")):
        pen.ellipse((x - 26, 380, x + 26, 432), fill=colour)
    return _jpeg(picture)


def thermostat() -> bytes:
    """Return a round thermostat on a wall."""
    picture, pen = _ground("#f1ece4")
    pen.ellipse((280, 160, 680, 560), fill="#2c3440")
    pen.ellipse((330, 210, 630, 510), fill="#10151c")
    pen.arc((360, 240, 600, 480), 150, 320, fill="#f0a63c", width=18)
    return _jpeg(picture)


def _ground(colour: str) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    picture = Image.new("RGB", SIZE, colour)
    return picture, ImageDraw.Draw(picture)


def _jpeg(picture: Image.Image) -> bytes:
    data = BytesIO()
    picture.save(data, "JPEG")
    return data.getvalue()
