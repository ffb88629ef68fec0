"""The field pages."""

from __future__ import annotations

from flask import Flask

from portal.field import calendar, notes, photos, position, sending, visits
from portal.field.blueprint import pages
from portal.web.http import allow_file
from portal.web.photos import MOST_SENT

# Each puts its pages into the blueprint.
PARTS = (visits, notes, photos, position, calendar, sending)


def register(app: Flask) -> None:
    """Register the field pages on ``app``."""
    app.register_blueprint(pages)
    allow_file(app, f"{pages.name}.{photos.add_photo.__name__}", MOST_SENT)
