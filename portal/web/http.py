"""What every request and response goes through: input that no page can hold is refused, headers are set."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from urllib.parse import unquote_to_bytes

from flask import Flask, Response, abort, current_app, g, request
from flask_babel import gettext
from werkzeug.middleware.proxy_fix import ProxyFix

from portal.settings import Settings

BIGGEST_REQUEST = 1024 * 1024
BIGGEST_FORM_FIELDS = 1000
# What is around a file in the request that brings it.
WRAPPING = 64 * 1024
A_YEAR = 365 * 24 * 3600
BIGGER = "bigger_requests"
HEADERS = "headers"
CONTENT_POLICY = "Content-Security-Policy"


def policy(pictures_from: str | None = None) -> str:
    """Return the content security policy: nothing but our own, and pictures of the map where it has a host."""
    return "; ".join(
        (
            "default-src 'self'",
            # Bootstrap draws its small signs as data: pictures.
            " ".join(filter(None, ("img-src 'self' data:", pictures_from))),
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def init_app(app: Flask, settings: Settings) -> None:
    """Install the checks and headers on ``app``."""
    app.config.update(MAX_CONTENT_LENGTH=BIGGEST_REQUEST, MAX_FORM_PARTS=BIGGEST_FORM_FIELDS)
    app.extensions[BIGGER] = {}
    app.extensions[HEADERS] = _headers_for(settings)
    app.before_request(_name_request)
    app.before_request(_measure)
    app.before_request(_refuse_unreadable)
    app.after_request(_headers)


def trust_proxies(app: Flask, settings: Settings) -> None:
    """Believe the proxies in front of ``app`` where a request comes from: wrap it in this last of all."""
    hops = settings.proxy_hops
    if hops:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]


def _headers_for(settings: Settings) -> tuple[tuple[str, str], ...]:
    headers = [
        (CONTENT_POLICY, policy(settings.map_tiles_host)),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "same-origin"),
    ]
    if settings.base_url.startswith("https://"):
        headers.append(("Strict-Transport-Security", f"max-age={A_YEAR}"))
    return tuple(headers)


def headers_of(app: Flask) -> tuple[tuple[str, str], ...]:
    """Return the headers that every answer of ``app`` has, unless it says otherwise itself."""
    found: tuple[tuple[str, str], ...] = app.extensions[HEADERS]
    return found


def new_request_id() -> str:
    """Return a name for a request by which its log lines are found."""
    return secrets.token_hex(8)


def private_picture(filename: str, mimetype: str, etag: str, read: Callable[[], bytes]) -> Response:
    """Return a picture for one reader, who has to ask again each time: what is no longer theirs to see is gone at once.

    ``read`` is asked for its bytes unless the reader has them, by ``etag``.
    """
    response = Response(mimetype=mimetype)
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Content-Disposition"] = f'inline; filename="{filename}"'
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.vary.add("Cookie")
    response.set_etag(etag)
    response.make_conditional(request)
    if response.status_code != 304:
        response.set_data(read())
    return response


def allow_file(app: Flask, endpoint: str, size: int) -> None:
    """Let a request to ``endpoint`` of ``app`` bring a file of ``size`` bytes, where others are kept small."""
    app.extensions[BIGGER][endpoint] = size + WRAPPING


def _measure() -> None:
    # Before anybody reads the form.
    size = current_app.extensions[BIGGER].get(request.endpoint)
    if size is not None:
        request.max_content_length = size


def _name_request() -> None:
    g.request_id = new_request_id()


def _refuse_unreadable() -> None:
    """Answer 400 to bytes that are not text and to NUL, which PostgreSQL cannot store and no person types."""
    path = request.environ.get("PATH_INFO", "").encode("latin-1", "replace")
    for raw in (path, unquote_to_bytes(request.query_string)):
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            abort(400, gettext("The address holds signs that cannot be read."))
        if "\0" in text:
            abort(400, gettext("The address holds signs that cannot be read."))
    if request.method in {"POST", "PUT", "PATCH"}:
        files = ((name, file.filename or "") for name, file in request.files.items(multi=True))
        if _has_nul(request.form.items(multi=True)) or _has_nul(files):
            abort(400, gettext("What was sent holds a sign that cannot be stored."))


def _has_nul(pairs: Iterable[tuple[str, str]]) -> bool:
    return any("\0" in name or "\0" in value for name, value in pairs)


def _headers(response: Response) -> Response:
    for name, value in headers_of(current_app):
        response.headers.setdefault(name, value)
    response.headers.setdefault("X-Request-ID", g.get("request_id", ""))
    if "v" in request.args and (request.endpoint or "").endswith("static"):
        response.headers["Cache-Control"] = f"public, max-age={A_YEAR}, immutable"
    elif response.mimetype == "text/html":
        # Pages are somebody's own: Back must ask again after sign-out.
        response.headers.setdefault("Cache-Control", "no-store" if g.get("actor") else "no-cache")
    return response
