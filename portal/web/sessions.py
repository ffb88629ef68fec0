"""Sessions on the server, so that signing out ends a copied cookie too."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import redis
from cachelib.file import FileSystemCache
from flask import Flask, Request, Response, abort, g, session
from flask.sessions import NullSession
from flask_login import user_logged_in, user_logged_out
from flask_session.base import ServerSideSessionInterface
from flask_session.cachelib import CacheLibSessionInterface
from flask_session.redis import RedisSessionInterface

from portal.settings import Settings

# Answered without knowing who asks; health must answer even when the session store does not.
NOBODYS_PATHS = ("/static/", "/admin/static/", "/brand/", "/calendar/", "/healthz", "/readyz", "/favicon.ico")
NO_LIMIT = 0
# The file of what throttles count, which comes and goes with its journal.
COUNTS = "throttle.sqlite3"
LIFETIME = timedelta(days=14)
COOKIE = "doorstep"


def is_nobodys(request: Request) -> bool:
    """Whether ``request`` is for something public that needs no session, such as a style sheet."""
    return request.path.startswith(NOBODYS_PATHS)


class _OnlyWhereNeeded:
    """Opens no session for public files, and answers 503 instead of 500 when the store is away."""

    def open_session(self, app: Flask, request: Request) -> Any:
        """Return the request's session, or one that cannot be written."""
        if is_nobodys(request):
            return NullSession()
        try:
            return super().open_session(app, request)  # type: ignore[misc]
        except redis.RedisError as error:
            g.session_store_error = error
            return NullSession()

    def save_session(self, app: Flask, session: Any, response: Response) -> None:
        """Save the session, trying once: the error page of a failure must not fail on it again."""
        if "session_store_error" in g:
            return
        try:
            super().save_session(app, session, response)  # type: ignore[misc]
        except redis.RedisError as error:
            g.session_store_error = error
            raise

    def stored(self, session_id: str) -> Mapping[str, Any] | None:
        """Return what the store holds for the id of a session; ``None`` for nothing, or where the store is away."""
        try:
            found: Mapping[str, Any] | None = self._retrieve_session_data(self._get_store_id(session_id))  # type: ignore[attr-defined]
        except redis.RedisError:
            return None
        return found


class FileSessions(_OnlyWhereNeeded, CacheLibSessionInterface):
    """Sessions in files, for one machine."""


class RedisSessions(_OnlyWhereNeeded, RedisSessionInterface):
    """Sessions in Redis, for several machines."""


def init_app(app: Flask, settings: Settings) -> None:
    """Keep the sessions of ``app`` in Redis if there is one, else in files under ``SESSION_DIR``."""
    app.config.update(
        SESSION_COOKIE_NAME=COOKIE,
        SESSION_COOKIE_SECURE=settings.base_url.startswith("https://"),
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        # Written when something changed, not at every request.
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=LIFETIME,
    )
    app.session_interface = _interface(app, settings)
    app.before_request(_stop_without_store)
    user_logged_in.connect(_renew, app)
    user_logged_out.connect(_end, app)


def _interface(app: Flask, settings: Settings) -> ServerSideSessionInterface:
    if settings.redis_url:
        return RedisSessions(app, client=redis.Redis.from_url(settings.redis_url), key_prefix="session:")
    settings.session_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    sweep(settings.session_dir)
    # Above a threshold cachelib throws away living entries, which would sign people out.
    return FileSessions(app, client=FileSystemCache(str(settings.session_dir), threshold=NO_LIMIT), key_prefix="")


def stored(app: Flask, session_id: str) -> Mapping[str, Any] | None:
    """Return what ``app`` has stored for the id of a session; ``None`` for nothing, or where the store is away."""
    interface = app.session_interface
    assert isinstance(interface, _OnlyWhereNeeded)
    return interface.stored(session_id)


def sweep(folder: Path) -> int:
    """Delete the session files in ``folder`` that have run out and return how many; Redis forgets by itself.

    A session is written when it changes and lives as long from then, so that the age of its file tells.
    """
    oldest = time.time() - LIFETIME.total_seconds()
    kept = (path for path in folder.iterdir() if not path.name.startswith(COUNTS))
    gone = [path for path in kept if path.stat().st_mtime < oldest]
    for path in gone:
        # Another process may be sweeping too.
        path.unlink(missing_ok=True)
    return len(gone)


def _stop_without_store() -> None:
    if "session_store_error" in g:
        abort(503)


def _renew(app: Flask, **extra: Any) -> None:
    """Give a session a new id and token at sign-in, so that what was planted before it is worthless."""
    interface = app.session_interface
    assert isinstance(interface, ServerSideSessionInterface)
    # At once: two pages that are asked for at the same moment would each make their own.
    session["csrf_token"] = secrets.token_hex()
    interface.regenerate(session)


def _end(app: Flask, **extra: Any) -> None:
    """Leave nothing of a session behind at sign-out; an empty one is deleted from the store."""
    session.clear()
