"""The pictures of a visit: photos once they are shared, and the customer's own signature (C2, J8)."""

from __future__ import annotations

from flask import Blueprint, Response

from portal.customer.blueprint import customer, session
from portal.domain.photos.queries import photo_for
from portal.web import drawings
from portal.web.photos import serve


def photo(photo_id: int) -> Response:
    """The whole of a photo."""
    return serve(photo_for(session(), customer(), photo_id), small=False)


def small_photo(photo_id: int) -> Response:
    """The small picture of a photo."""
    return serve(photo_for(session(), customer(), photo_id), small=True)


def signature(visit_id: int) -> Response:
    """What the customer drew when the work was done."""
    return drawings.serve(session(), visit_id)


def add_to(pages: Blueprint) -> None:
    """Put these pages into the customer's blueprint."""
    pages.add_url_rule("/photos/<int:photo_id>", view_func=photo)
    pages.add_url_rule("/photos/<int:photo_id>/small", view_func=small_photo)
    pages.add_url_rule("/visits/<int:visit_id>/signature", view_func=signature)
