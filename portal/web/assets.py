"""Versions in the addresses of static files, so that browsers may keep them for ever."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, has_request_context, request

STATIC = Path(__file__).resolve().parent.parent / "static"
DIGITS = 10


@cache
def version_of(filename: str) -> str | None:
    """Return a short hash of a file under ``portal/static``; ``None`` if there is no such file."""
    try:
        return hashlib.sha256((STATIC / filename).read_bytes()).hexdigest()[:DIGITS]
    except OSError:
        return None


def init_app(app: Flask) -> None:
    """Put the version into every address that ``url_for("static", …)`` makes."""
    app.url_defaults(_add_version)
    plain: Callable[..., str] = app.url_for

    def url_for(endpoint: str, **values: Any) -> str:
        if endpoint == "static" and values.keys() == {"filename"} and has_request_context():
            return _address(app, request.script_root, values["filename"])
        # One that begins with a dot is of the blueprint that asks.
        if not values and not endpoint.startswith(".") and has_request_context():
            return _bare_address(app, request.script_root, endpoint)
        return plain(endpoint, **values)

    app.jinja_env.globals["url_for"] = url_for


# A page names ten of them, and they are the same for everybody.
@cache
def _address(app: Flask, root: str, filename: str) -> str:
    return app.url_for("static", filename=filename)


@cache
def _bare_address(app: Flask, root: str, endpoint: str) -> str:
    return app.url_for(endpoint)


def _add_version(endpoint: str, values: dict[str, Any]) -> None:
    if endpoint == "static" and "v" not in values and (version := version_of(values.get("filename", ""))):
        values["v"] = version
