"""Photos through real forms: what is kept of a file, what is refused and how, and who sees which."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import time_machine
from flask import Flask
from PIL import Image
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from portal.domain.jobs.models import HistoryEntry, Job
from portal.domain.people.models import User
from portal.domain.photos import services
from portal.domain.photos.models import Photo
from portal.domain.photos.pictures import KEPT_SIDE, MAX_BYTES, SMALL_SIDE, Drawn, draw
from portal.domain.photos.queries import files_to_clear, named_photos
from portal.domain.photos.storage import PhotoStore
from portal.domain.unit_of_work import unit_of_work
from portal.web.photos import STORE
from tests.helpers import Site, fields_of, soup

Create = Callable[..., Any]
NOW = datetime(2026, 11, 24, 8, 40, tzinfo=UTC)
PRIVATE = b"51 degrees 27 minutes north"


def saved(picture: Image.Image, kind: str = "JPEG", **values: Any) -> bytes:
    data = BytesIO()
    picture.save(data, kind, **values)
    return data.getvalue()


def with_position(size: tuple[int, int] = (640, 480)) -> bytes:
    """A picture on its side, red on top as the camera held it, that says where it was taken."""
    picture = Image.new("RGB", size, "blue")
    picture.paste("red", (0, 0, size[0] // 2, size[1]))
    exif = picture.getexif()
    # On its side: what is at the left belongs on top.
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[0x1B] = PRIVATE
    exif[0x010E] = PRIVATE.decode()
    return saved(picture, exif=exif, comment=PRIVATE)


def png_head(width: int, height: int) -> bytes:
    """A file of a few bytes that says it unpacks to a picture of that size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 999)) + chunk(b"IEND", b"")
    )


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HOSTILE = (
    (b"MZ\x90\0" + bytes(500), "format; this file is none"),
    (b"\x7fELF" + bytes(500), "format; this file is none"),
    (SVG, "format; this file is none"),
    (b"GIF89a" + bytes(500), "format; this file is none"),
    (png_head(60_000, 60_000), "at most 50 million pixels"),
    (png_head(8_000, 7_000), "at most 50 million pixels"),
    (png_head(900, 900), "damaged or incomplete"),
    (with_position()[:2_000], "damaged or incomplete"),
    (saved(Image.new("RGB", (4, 4))), "at least 16 pixels"),
    (b"", "Choose a photo"),
    (b"\xff\xd8\xff" + bytes(MAX_BYTES), "15 MB or less"),
)


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture(autouse=True)
def place(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PhotoStore:
    """Where the photos of this one test are."""
    kept = PhotoStore(str(tmp_path / "photos"))
    monkeypatch.setitem(app.extensions, STORE, kept)
    return kept


@pytest.fixture
def people(
    create_partner: Create,
    create_user: Create,
    create_staff: Create,
    create_technician: Create,
    create_customer: Create,
) -> dict[str, Any]:
    partner = create_partner(name="Brightwell")
    technician, customer = create_user(name="Tomás Reyes"), create_user(name="Callum Fraser")
    return {
        "partner": partner,
        "technician": technician,
        "fitter": create_technician(partner, technician),
        "customer": customer,
        "their": create_customer(partner, customer),
        "dispatcher": create_staff(partner, name="Dana Okafor"),
    }


@pytest.fixture
def job(people: dict[str, Any], create_installation: Create) -> Job:
    given = (people["partner"], people["their"], people["fitter"])
    made: Job = create_installation(*given, start=NOW + timedelta(minutes=20), now=NOW - timedelta(days=3))
    return made


@pytest.fixture
def signed_in(app: Flask, people: dict[str, Any]) -> Callable[[str], Site]:
    def sign_in(who: str) -> Site:
        site = Site(app.test_client())
        site.sign_in(people[who])
        return site

    return sign_in


def photos(session: Session) -> list[Photo]:
    session.rollback()
    return list(session.scalars(select(Photo).order_by(Photo.id)))


def add(site: Site, visit_id: int, data: bytes, name: str = "photo.jpg", **values: Any) -> int:
    """Send a photo by the form of the visit's page; big ones too, which the test client would leave an open file of."""
    site.get(f"/field/visits/{visit_id}")
    filled = fields_of(site.form(action="/photos")) | {"photo": FileStorage(BytesIO(data), name)} | values
    boundary, body = encode_multipart(filled)
    sent = {"data": body, "content_type": f"multipart/form-data; boundary={boundary}"}
    site.last = site.client.post(f"/field/visits/{visit_id}/photos", follow_redirects=True, **sent)
    return site.last.status_code


@pytest.mark.row("J8")
def test_a_photo_is_drawn_anew_and_seen_by_its_customer_only_while_shared(
    app: Flask, session: Session, job: Job, place: PhotoStore, signed_in: Callable[[str], Site]
) -> None:
    visit = job.appointments[0]
    tomas, dana, callum, stranger = (
        signed_in("technician"),
        signed_in("dispatcher"),
        signed_in("customer"),
        Site(app.test_client()),
    )
    assert add(tomas, visit.id, with_position(), caption="Fuse box") == 200
    (photo,) = photos(session)
    assert (photo.is_shared, photo.caption, photo.added_by_name) == (False, "Fuse box", "Tomás Reyes")

    # What is kept: turned, without position or comment, and a small one beside it.
    whole = tomas.client.get(f"/field/photos/{photo.id}")
    small = tomas.client.get(f"/field/photos/{photo.id}/small")
    picture = Image.open(BytesIO(whole.data))
    assert (picture.size, (photo.width, photo.height)) == ((480, 640), (480, 640))
    red, _, blue = picture.getpixel((240, 100))  # type: ignore[misc]
    assert red > 200 > 60 > blue
    assert not picture.getexif()
    assert PRIVATE not in whole.data + small.data
    assert max(Image.open(BytesIO(small.data)).size) == SMALL_SIDE
    assert whole.headers["X-Content-Type-Options"] == "nosniff"
    assert whole.headers["Content-Disposition"].startswith("inline; filename=")
    assert whole.headers["Cache-Control"] == "private, no-cache"
    again = tomas.client.get(f"/field/photos/{photo.id}", headers={"If-None-Match": whole.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")

    def seen() -> tuple[int, int, int, bool]:
        """What the photo's addresses answer to its customer and to nobody, and whether the visit's page has it."""
        address = f"/my/photos/{photo.id}"
        kept = {"If-None-Match": whole.headers["ETag"]}
        page = soup(callum.client.get(f"/my/visits/{visit.id}"))
        return (
            callum.client.get(address).status_code,
            callum.client.get(f"{address}/small", headers=kept).status_code,
            stranger.client.get(address).status_code,
            bool(page.select(f'img[src="{address}/small"]')),
        )

    assert seen() == (404, 404, 404, False)
    dana.get(f"/admin/installations/{job.id}")
    assert dana.page.select(f'img[src="/admin/installations/photos/{photo.id}/small"]')
    dana.submit(action=f"/photos/{photo.id}/share")
    assert seen() == (200, 200, 404, True)
    assert "Photo shared with the customer" in dana.text
    tomas.get(f"/field/visits/{visit.id}")
    tomas.submit(button="Stop sharing")
    assert seen() == (404, 404, 404, False)

    # Removed by staff: gone for all, with its files; the row and its history stay.
    name = photo.name
    assert tomas.post(f"/admin/installations/photos/{photo.id}/remove").status_code == 403
    dana.submit(action=f"/photos/{photo.id}/remove")
    assert "Photo removed" in dana.text
    assert dana.client.get(f"/admin/installations/photos/{photo.id}").status_code == 404
    assert not list(place.written_on(NOW.date()))
    assert photos(session)[0].removed_at == NOW
    waiting = files_to_clear(session)
    assert waiting == {photo.id: name}
    with unit_of_work(session):
        services.note_cleared(session, waiting)
    assert photos(session)[0].name == ""
    query = select(HistoryEntry.action).where(HistoryEntry.action.contains("photo")).order_by(HistoryEntry.id)
    assert list(session.scalars(query)) == ["add_photo", "share_photo", "unshare_photo", "remove_photo"]
    assert name not in str(list(session.scalars(select(HistoryEntry.after))))


@pytest.mark.row("J8")
def test_what_is_no_photo_is_refused_at_the_field_and_leaves_nothing(
    place: PhotoStore, session: Session, job: Job, signed_in: Callable[[str], Site]
) -> None:
    tomas, dana = signed_in("technician"), signed_in("dispatcher")
    visit = job.appointments[0]
    for data, said in HOSTILE:
        assert add(tomas, visit.id, data, caption="Typed before") == 422, said
        assert said in tomas.page.select_one("#photo-error").text  # type: ignore[union-attr]
        assert said in tomas.page.select_one(".error-summary").text  # type: ignore[union-attr]
        assert tomas.page.select_one("#caption")["value"] == "Typed before"  # type: ignore[index]
    dana.get(f"/admin/installations/{job.id}/photos")
    answer = dana.submit({"photo": (BytesIO(SVG), "roof.jpg")}, content_type="multipart/form-data")
    assert answer.status_code == 422
    assert "this file is none" in dana.page.select_one("#photo-error").text  # type: ignore[union-attr]
    assert tomas.post(f"/field/visits/{visit.id}/photos", {"photo": "no file"}).status_code == 422
    assert photos(session) == []
    assert not list(place.written_on(NOW.date()))


@pytest.mark.row("P12")
def test_staff_add_photos_too_and_one_sent_twice_counts_once(
    place: PhotoStore, session: Session, job: Job, signed_in: Callable[[str], Site]
) -> None:
    dana, tomas = signed_in("dispatcher"), signed_in("technician")
    dana.get(f"/admin/installations/{job.id}/photos")
    form = {"caption": "Roof plan", "shared": "y"}
    for _ in range(2):
        # The same page sent twice.
        page = dana.last
        photo = {"photo": (BytesIO(saved(Image.new("RGBA", (900, 600), (0, 0, 0, 0)), "PNG")), "a.png")}
        dana.submit({**form, **photo}, content_type="multipart/form-data")
        dana.last, dana.url = page, f"/admin/installations/{job.id}/photos"
    (photo,) = photos(session)
    assert photo.is_shared
    assert len(list(place.written_on(NOW.date()))) == 1
    # What was seen through is white.
    data = dana.client.get(f"/admin/installations/photos/{photo.id}").data
    assert Image.open(BytesIO(data)).getpixel((1, 1)) == (255, 255, 255)
    for key in ("k" * 20, "k" * 20, "m" * 20, "short", "short"):
        assert add(tomas, job.appointments[0].id, with_position((64, 48)), client_key=key) == 200
    # A key that is none makes nothing one.
    assert len(photos(session)) == 5


@pytest.mark.row("C2")
def test_photos_are_for_those_whose_job_it_is(
    app: Flask,
    session: Session,
    job: Job,
    people: dict[str, Any],
    signed_in: Callable[[str], Site],
    create_user: Create,
    create_technician: Create,
    create_customer: Create,
    create_partner: Create,
    create_staff: Create,
) -> None:
    assert add(signed_in("technician"), job.appointments[0].id, with_position((64, 48)), shared="y") == 200
    (photo,) = photos(session)
    neighbour, colleague = create_user(), create_user()
    create_customer(people["partner"], neighbour)
    create_technician(people["partner"], colleague)
    others: dict[str, User] = {"/my": neighbour, "/field": colleague}
    others["/admin/installations"] = create_staff(create_partner(), role="partner_admin")
    for area, user in others.items():
        site = Site(app.test_client())
        site.sign_in(user)
        for key in (photo.id, 987_654):
            for path in ("", "/small"):
                assert site.client.get(f"{area}/photos/{key}{path}").status_code == 404, (area, path)
            for act in ("sharing",) if area == "/field" else ("share", "unshare", "remove"):
                assert site.post(f"{area}/photos/{key}/{act}").status_code in {404, 405}, (area, act)
    site = Site(app.test_client())
    site.sign_in(colleague)
    assert site.post(f"/field/visits/{photo.appointment_id}/photos").status_code == 404
    assert photos(session)[0].is_shared


@pytest.mark.row("J8")
def test_what_a_failure_leaves_behind_is_swept(
    place: PhotoStore, session: Session, job: Job, signed_in: Callable[[str], Site]
) -> None:
    assert add(signed_in("technician"), job.appointments[0].id, with_position((64, 48))) == 200
    drawn = draw(with_position((64, 48)))
    assert isinstance(drawn, Drawn)
    left = place.keep(drawn, NOW)
    (photo,) = photos(session)

    def swept(now: datetime) -> int:
        session.rollback()
        return services.sweep_left_over(lambda names: named_photos(session, names), place, now)

    # Files have the machine's own time, whatever the test's clock says.
    for ending in (".jpg", "-small.jpg"):
        os.utime(Path(place._url, f"{left}{ending}"), (NOW.timestamp(), NOW.timestamp()))
        os.utime(Path(place._url, f"{photo.name}{ending}"), (NOW.timestamp(), NOW.timestamp()))
    # What is young may still be getting its row.
    assert swept(NOW + timedelta(hours=1)) == 0
    assert swept(NOW + timedelta(days=3)) == 1
    assert list(place.written_on(NOW.date())) == [photo.name]
    assert place.read(photo.name, small=True)


@pytest.mark.once
@pytest.mark.row("J8")
def test_every_format_is_read_and_none_is_kept_too_big() -> None:
    big = Image.new("RGB", (3000, 1200), "#2b4a6f")
    for kind in ("JPEG", "PNG", "WEBP", "HEIF"):
        drawn = draw(saved(big, kind))
        assert isinstance(drawn, Drawn), kind
        assert (drawn.width, drawn.height) == (KEPT_SIDE, 1024), kind
        seen: Any = Image.open(BytesIO(drawn.whole)).getpixel((9, 9))
        assert all(abs(a - b) < 8 for a, b in zip(seen, (0x2B, 0x4A, 0x6F), strict=True)), kind
    for mode in ("I;16", "P", "LA", "CMYK"):
        assert isinstance(draw(saved(Image.new(mode, (64, 48)), "JPEG" if mode == "CMYK" else "PNG")), Drawn), mode


@pytest.mark.once
@pytest.mark.row("J8")
def test_photos_are_kept_in_an_s3_bucket(tmp_path: Path) -> None:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        options = {"key": "k", "secret": "s", "client_kwargs": {"endpoint_url": f"http://{host}:{port}"}}
        place = PhotoStore("s3://photos/acme", options)
        filesystem, _ = place._place
        filesystem.mkdir("photos")
        drawn = draw(with_position())
        assert isinstance(drawn, Drawn)
        name, other = place.keep(drawn, NOW), place.keep(drawn, NOW)
        assert place.read(name) == drawn.whole
        assert place.read(name, small=True) == drawn.small
        assert set(place.written_on(NOW.date())) == {name, other}
        assert not place.is_older(name, NOW - timedelta(days=365 * 50))
        assert place.remove(name)
        assert set(place.written_on(NOW.date())) == {other}
        with pytest.raises(services.NotFound):
            place.read(name)
    finally:
        server.stop()
    # A place that is none: a photo is refused with a sentence.
    (tmp_path / "no-folder").write_text("")
    with pytest.raises(services.Invalid, match="try again in a few minutes"):
        PhotoStore(str(tmp_path / "no-folder")).keep(drawn, NOW)
