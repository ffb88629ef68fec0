"""What becomes of an uploaded picture: drawn anew and small, or refused with the reason. No database is asked."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from portal.domain.branding.pictures import MAX_BYTES, STORED_SIDE, Picture, redraw
from portal.domain.errors import Refusal

pytestmark = pytest.mark.row("L1")


def saved(picture: Image.Image, kind: str, **values: Any) -> bytes:
    data = BytesIO()
    picture.save(data, kind, **values)
    return data.getvalue()


def drawn(data: bytes) -> tuple[Picture, Image.Image]:
    found = redraw(data)
    assert isinstance(found, Picture), found
    picture = Image.open(BytesIO(found.png))
    assert picture.format == "PNG"
    assert picture.size == (found.width, found.height)
    return found, picture


def code(data: bytes) -> str:
    found = redraw(data)
    assert isinstance(found, Refusal)
    return found.code


def png_head(width: int, height: int) -> bytes:
    """A file of a few bytes that says it unpacks to a picture of that size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 999)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_of_each_format_becomes_a_small_png_in_its_proportions(kind: str) -> None:
    found, picture = drawn(saved(Image.new("RGB", (1600, 400), "#2b4a6f"), kind))
    assert (found.width, found.height) == (STORED_SIDE, 128)
    assert all(abs(a - b) < 6 for a, b in zip(picture.getpixel((9, 9)), (0x2B, 0x4A, 0x6F), strict=True))  # type: ignore[arg-type]
    small, _ = drawn(saved(Image.new("RGB", (40, 30)), kind))
    assert (small.width, small.height) == (40, 30)


def test_what_the_file_says_beside_the_pixels_is_left_behind() -> None:
    exif = Image.Exif()
    exif[0x010E] = "Taken at 14 Alder Close"
    # Turned by the camera: what was wide stands upright.
    exif[0x0112] = 6
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "made by Alma")
    photo = saved(Image.new("RGB", (80, 40)), "JPEG", exif=exif, icc_profile=b"profile", comment=b"secret")
    drawing = saved(Image.new("RGB", (40, 80)), "PNG", pnginfo=info, icc_profile=b"profile", exif=exif)
    for data, words in ((photo, (b"Alder", b"secret", b"profile")), (drawing, (b"Alder", b"Alma", b"iCCP"))):
        assert all(word in data for word in words)
        found, picture = drawn(data + b"MZ a programme behind it")
        assert picture.info == {}
        assert dict(picture.getexif()) == {}
        assert not any(word in found.png for word in (*words, b"a programme"))
    assert drawn(photo)[1].size == (40, 80)


def test_transparency_stays_and_odd_colours_are_read() -> None:
    clear = Image.new("RGBA", (64, 64), (200, 0, 0, 0))
    assert drawn(saved(clear, "PNG"))[1].getpixel((5, 5))[3] == 0  # type: ignore[index]
    palette = Image.new("P", (64, 64), 0)
    assert drawn(saved(palette, "PNG", transparency=0))[1].mode == "RGBA"
    ink = saved(Image.new("CMYK", (64, 64), (0, 255, 255, 0)), "JPEG")
    red, green, blue = drawn(ink)[1].convert("RGB").getpixel((5, 5))  # type: ignore[misc]
    assert red > 200 > green
    assert blue < 60
    deep = saved(Image.new("I;16", (64, 64), 0x8000), "PNG")
    assert drawn(deep)[1].convert("L").getpixel((5, 5)) == 0x80
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("#ff0000", "#0000ff")]
    moving = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert drawn(moving)[1].convert("RGB").getpixel((5, 5)) == (255, 0, 0)


def test_what_is_no_usable_picture_is_refused_with_the_reason() -> None:
    whole = saved(Image.effect_noise((200, 200), 90).convert("RGB"), "JPEG")
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    assert code(b"") == "no_picture"
    assert code(b"\x89PNG\r\n\x1a\n" + bytes(MAX_BYTES)) == "too_big"
    for data in (svg, b"MZ\x90\0 a programme", b"%PDF-1.7", b"\x89PNG\r\n\x1a\n", b"\0", b"RIFF\x10\0\0\0WEBPVP8 "):
        assert code(data) in {"not_a_picture", "broken"}, data
    assert code(saved(Image.new("RGB", (64, 64)), "GIF")) == "not_a_picture"
    assert code(saved(Image.new("RGB", (64, 64)), "BMP")) == "not_a_picture"
    assert code(whole[: len(whole) // 2]) == "broken"
    assert code(saved(Image.new("RGB", (15, 200)), "PNG")) == "too_few_pixels"


@pytest.mark.parametrize("size", [(5000, 5000), (9500, 9500), (20_000, 20_000), (60_000, 60_000), (12_000, 20)])
def test_a_small_file_that_would_fill_the_memory_is_not_unpacked(size: tuple[int, int]) -> None:
    assert code(png_head(*size)) == "too_many_pixels"


def test_a_picture_that_promises_more_than_it_holds_is_broken() -> None:
    assert code(png_head(100, 100)) == "broken"
