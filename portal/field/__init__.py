"""The field pages."""

from __future__ import annotations

from flask import Flask

from portal.field import position  # noqa: F401  (puts its page into the blueprint)
from portal.field.visits import pages


def register(app: Flask) -> None:
    """Register the field pages on ``app``."""
    app.register_blueprint(pages)
