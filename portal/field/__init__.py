"""The field pages."""

from __future__ import annotations

from flask import Flask

from portal.field import calendar, photos, position  # noqa: F401  (put their pages into the blueprint)
from portal.field.visits import pages
from portal.web.http import allow_file
from portal.web.photos import MOST_SENT


def register(app: Flask) -> None:
    """Register the field pages on ``app``."""
    app.register_blueprint(pages)
    allow_file(app, f"{pages.name}.{photos.add_photo.__name__}", MOST_SENT)
