"""A photo of a visit, once it is shared; for everybody else there is none (C2)."""

from __future__ import annotations

from flask import Blueprint, Response

from portal.customer.blueprint import customer, session
from portal.domain.photos.queries import photo_for
from portal.web.photos import serve


def photo(photo_id: int) -> Response:
    """The whole of a photo."""
    return serve(photo_for(session(), customer(), photo_id), small=False)


def small_photo(photo_id: int) -> Response:
    """The small picture of a photo."""
    return serve(photo_for(session(), customer(), photo_id), small=True)


def add_to(pages: Blueprint) -> None:
    """Put these pages into the customer's blueprint."""
    pages.add_url_rule("/photos/<int:photo_id>", view_func=photo)
    pages.add_url_rule("/photos/<int:photo_id>/small", view_func=small_photo)
