"""Photos on the web: taking in what a form brings, and serving a photo to whoever may see it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from flask import Flask, Response, current_app, request
from flask_babel import lazy_gettext
from sqlalchemy.orm import Session
from wtforms import BooleanField, FileField, HiddenField, StringField

from portal.domain.actor import Actor
from portal.domain.jobs.happened import client_key
from portal.domain.photos import services
from portal.domain.photos.models import Photo
from portal.domain.photos.pictures import MAX_BYTES, Drawn
from portal.domain.photos.services import PhotoInput
from portal.domain.photos.storage import PhotoStore
from portal.domain.requests.models import RequestPhoto
from portal.domain.unit_of_work import unit_of_work
from portal.settings import Settings
from portal.web import formats
from portal.web.forms import Form
from portal.web.http import private_picture

STORE = "photo_store"
# So that what is too big is told at the field, as long as it is not far too big.
MOST_SENT = 3 * MAX_BYTES


class PhotoForm(Form):
    """A photo with what is said of it; its key is made with the form, so that one sent twice counts once."""

    photo = FileField(lazy_gettext("Photo"), render_kw={"accept": "image/*"})
    caption = StringField(lazy_gettext("What it shows"), render_kw={"autocomplete": "off"})
    shared = BooleanField(lazy_gettext("Share with customer"))
    client_key = HiddenField(default=lambda: client_key(""))


def store() -> PhotoStore:
    """Return where the photos of this installation of Doorstep are."""
    kept: PhotoStore = current_app.extensions[STORE]
    return kept


def take_in(
    session: Session, actor: Actor, visit_id: int, form: PhotoForm, happened_at: datetime | None = None
) -> None:
    """Add the photo that ``form`` brought to a visit; raises as ``services.add_photo`` does.

    Its files are written first, under a name that nobody knows; where no row comes to it they are swept later.
    """
    sent = request.files.get("photo")
    # One byte more than allowed is enough to see that it is too much.
    drawn = services.drawn_photo(sent.stream.read(MAX_BYTES + 1) if sent is not None else b"")
    now = formats.now()
    name = store().keep(drawn, now)
    given = PhotoInput(
        key=form.client_key.data or "",
        caption=form.caption.data or "",
        shared=bool(form.shared.data),
        happened_at=happened_at,
    )
    try:
        with unit_of_work(session) as writing:
            added = services.add_photo(writing, actor, now, visit_id, name, drawn, given).name == name
    except BaseException:
        store().remove(name)
        raise
    if not added:
        store().remove(name)


def sent_photo() -> Drawn | None:
    """Return the photo that a form brought, as it is kept, or ``None`` for no file; ``Invalid`` says why not."""
    sent = request.files.get("photo")
    if sent is None or not sent.filename:
        return None
    return services.drawn_photo(sent.stream.read(MAX_BYTES + 1))


@contextmanager
def kept_file(drawn: Drawn) -> Iterator[str]:
    """Write the files of a photo and give their name; they are removed again where the block fails."""
    name = store().keep(drawn, formats.now())
    try:
        yield name
    except BaseException:
        store().remove(name)
        raise


def remove(session: Session, actor: Actor, photo_id: int) -> None:
    """Remove a photo, then its files; those that cannot be removed now are by the worker."""
    with unit_of_work(session) as writing:
        name = services.remove_photo(writing, actor, formats.now(), photo_id).name
    store().remove(name)


def serve(photo: Photo | RequestPhoto, small: bool) -> Response:
    """Return a photo for this one reader."""
    etag = f"{photo.name}{'-small' if small else ''}"
    return private_picture(f"photo-{photo.id}.jpg", "image/jpeg", etag, lambda: store().read(photo.name, small))


def init_app(app: Flask) -> None:
    """Keep the photos of ``app`` where its settings say."""
    settings: Settings = app.config["SETTINGS"]
    app.extensions[STORE] = PhotoStore(settings.photos_url, settings.photos_options)
