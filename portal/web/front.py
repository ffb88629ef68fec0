"""What stands in front of Flask: a page that is kept is given out from here, without what Flask costs."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.http import parse_cookie, parse_etags, quote_etag

from portal.domain.changes.queries import Mark, is_untouched
from portal.extensions import READING
from portal.web import formats, http, logs, sessions
from portal.web.attention import known_counts
from portal.web.auth import known_rows, login_rows
from portal.web.kept import FOUND, STAMP, Found, Kept, is_true, key_of, pages_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class Front:
    """Answers with the page that is kept for who asks (``web.kept``), and leaves everything else to the application.

    So it does with what goes wrong here, which will go wrong there as well and is told in words there.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._beyond: WSGIApplication = app.wsgi_app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, as WSGI has it."""
        session_id = parse_cookie(environ.get("HTTP_COOKIE")).get(sessions.COOKIE)
        if environ["REQUEST_METHOD"] != "GET" or session_id is None:
            return self._beyond(environ, start_response)
        key = key_of(session_id, environ)
        page = pages_of(self._app).get(key)
        if page is None:
            return self._beyond(environ, start_response)
        began = time.perf_counter()
        with self._app.app_context():
            is_given = self._is_given(environ, session_id, key, page)
        if not is_given:
            return self._beyond(environ, start_response)
        return self._give(environ, start_response, page, began)

    def _is_given(self, environ: WSGIEnvironment, session_id: str, key: Hashable, page: Kept) -> bool:
        """Whether ``page`` is true for who asks; what was read to know that goes along with the request."""
        asker = page.asker
        is_of_now = page.since <= formats.now() < page.until
        if not is_of_now or sessions.stored(self._app, session_id) != asker.session:
            return False
        counts = known_counts(asker.partner.id) if asker.counts is not None else None
        is_counted = counts is not None or asker.counts is None
        is_same = is_counted and counts == asker.counts
        try:
            # Not for polls, which may cost two statements even where somebody wrote something.
            if is_same and page.again is None and page.mark is not None and self._is_untouched(page.mark):
                return True
            is_theirs = login_rows(asker.session[STAMP]).facts == asker.facts
            if is_theirs and is_same and is_true(pages_of(self._app), key, page):
                return True
        except SQLAlchemyError:
            return False
        is_open = is_theirs and (not is_counted or page.again is not None)
        environ[FOUND] = Found(known_rows(), page if is_open else None)
        return False

    def _is_untouched(self, mark: Mark) -> bool:
        with self._app.extensions[READING].connect() as connection:
            return is_untouched(connection, mark)

    def _give(
        self, environ: WSGIEnvironment, start_response: StartResponse, page: Kept, began: float
    ) -> Iterable[bytes]:
        request_id = http.new_request_id()
        headers = [*http.headers_of(self._app), ("X-Request-ID", request_id), ("Vary", "Cookie")]
        headers.append(("Cache-Control", "no-store"))
        status, body = "200 OK", page.body
        if page.etag:
            headers.append(("ETag", quote_etag(page.etag)))
            if parse_etags(environ.get("HTTP_IF_NONE_MATCH")).contains(page.etag):
                status, body = "304 NOT MODIFIED", b""
        if body:
            headers += [("Content-Type", page.content_type), ("Content-Length", str(len(body)))]
        start_response(status, headers)
        logs.name_request(request_id)
        logs.tell("GET", page.path, int(status[:3]), began, page.asker.actor.id)
        return [body]


def init_app(app: Flask) -> None:
    """Put the front before ``app``, behind nothing but what says where a request came from."""
    app.wsgi_app = Front(app)  # type: ignore[method-assign]
