"""Pages as they were last drawn, for whoever asks for the same page again before anything changed.

A page is kept in its process beside everything it was drawn from: the session with the token of its forms, what the
log-in's one statement says of who asks, as what, and of the partner's name, colour and words, the language, the
address, what waits in the office's queues, and the time. Each request reads all that anew, and a page is only given
out where it is the same and nothing of the partner's was written since the mark of the request that drew it: the mark
is older than all the page shows. That is decided before anybody is put together from what was read, and before any of
Flask's extensions looks at the request: most of what a request costs comes after it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from flask import Flask, Response, current_app, g, request, session
from flask.typing import ResponseReturnValue

from portal.domain.actor import Actor, Permission
from portal.domain.changes.queries import Mark, news
from portal.domain.tenancy import set_scope
from portal.extensions import db
from portal.web import formats, looking
from portal.web.attention import Counts, known_counts, queue_counts
from portal.web.auth import Facts, current_actor, login_rows
from portal.web.partners import current_partner

MOST_PAGES = 200
# By these a page in the background asks for parts of itself.
SAID_BY_PAGES = ("HTTP_HX_REQUEST", "HTTP_DOORSTEP_LIVE")
# What else of a request a page may differ by: the last two because Flask-Login holds a session to them.
SAID_BY_BROWSERS = ("HTTP_HOST", "HTTP_ACCEPT_LANGUAGE", "HTTP_USER_AGENT", "REMOTE_ADDR")
# What is said once, and whose end is nobody's change.
NEVER_KEPT_WITH = ("_flashes", looking.KEY)
STAMP = "_user_id"
HTML = "text/html"
EXTENSION = "kept_pages"


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer, all it was drawn from, up to where the partner's changes are in it, and while it is true (instants).

    ``etag`` tells it from others, for who asks with that; "" where nobody does. ``is_cheap`` is whether drawing it
    again costs no more than asking whether something of the partner's was written since.
    """

    body: bytes
    mimetype: str
    etag: str
    session: Mapping[str, Any]
    facts: Facts
    actor: Actor
    partner_id: int
    counts: Counts | None
    mark: Mark
    since: datetime
    until: datetime
    is_cheap: bool


class Pages:
    """The ``most`` pages of one process that were asked for last; its threads share them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()
        self._pages: OrderedDict[Hashable, _Kept] = OrderedDict()

    def get(self, key: Hashable) -> _Kept | None:
        with self._lock:
            found = self._pages.get(key)
            if found is not None:
                self._pages.move_to_end(key)
            return found

    def put(self, key: Hashable, page: _Kept) -> None:
        with self._lock:
            self._pages[key] = page
            self._pages.move_to_end(key)
            if len(self._pages) > self._most:
                self._pages.popitem(last=False)


def kept(draw: Callable[[], ResponseReturnValue], until: datetime | None = None, *, is_cheap: bool = False) -> Response:
    """Return what ``draw`` draws for this request, and keep it for the next until an instant, or this minute's end.

    What ``is_cheap`` to draw is drawn again as soon as anything at all was written, without asking whose that is.

    Call it only where the actor may see the page. A page that says something once is drawn and not kept, nor is one of
    an operator who looks in, nor one that called ``not_kept``. With an ETag it is answered by 304 to who has it.
    """
    partner, actor = current_partner(), current_actor()
    if not _may_be_kept() or actor is None or partner is None or partner.mark is None:
        drawn = current_app.make_response(draw())
        return _answer(drawn.get_data(), drawn.mimetype or HTML, drawn.get_etag()[0] or "")
    key, now = _key(), formats.now()
    # Again: the queues are counted by now.
    counts = queue_counts() if actor.may(Permission.SEE_JOBS) else None
    page = _pages().get(key)
    page = page and _as_it_is(key, page, counts)
    if page is None:
        drawn = current_app.make_response(draw())
        page = _Kept(
            drawn.get_data(),
            drawn.mimetype or HTML,
            drawn.get_etag()[0] or "",
            dict(session),
            login_rows(session[STAMP]).facts,
            actor,
            partner.id,
            counts,
            partner.mark,
            now,
            until or now.replace(second=0, microsecond=0) + timedelta(minutes=1),
            is_cheap,
        )
        if "not_kept" not in g:
            _pages().put(key, page)
    return _answer(page.body, page.mimetype, page.etag)


def not_kept() -> None:
    """Say that what this request draws shows something that leaves no mark or ends at a second, and is not kept."""
    g.not_kept = True


def _give() -> Response | None:
    """Answer with the page as it is kept, unless it has to be drawn or its queues to be counted anew."""
    page = _pages().get(key := _key()) if _may_be_kept() else None
    page = page and _as_it_is(key, page, None if page.counts is None else known_counts(page.partner_id))
    return _answer(page.body, page.mimetype, page.etag) if page else None


def _answer(body: bytes, mimetype: str, etag: str) -> Response:
    if not etag:
        return Response(body, mimetype=mimetype)
    unchanged = request.if_none_match.contains(etag)
    answer = Response(status=304) if unchanged else Response(body, mimetype=mimetype)
    answer.set_etag(etag)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _pages() -> Pages:
    found: Pages = current_app.extensions[EXTENSION]
    return found


def _may_be_kept() -> bool:
    return request.method == "GET" and STAMP in session and not any(name in session for name in NEVER_KEPT_WITH)


def _key() -> Hashable:
    environ = request.environ
    return (
        getattr(session, "sid", None),
        environ["SCRIPT_NAME"],
        environ["PATH_INFO"],
        environ["QUERY_STRING"],
        *(name in environ for name in SAID_BY_PAGES),
        *(environ.get(name) for name in SAID_BY_BROWSERS),
    )


def _as_it_is(key: Hashable, page: _Kept, counts: Counts | None) -> _Kept | None:
    """Return ``page`` if this request would draw the same, with ``counts`` in the queues; else ``None``."""
    if not page.since <= formats.now() < page.until or page.counts != counts or page.session != dict(session):
        return None
    login = login_rows(session[STAMP])
    if login.facts != page.facts:
        return None
    # The same log-in as the same person: they may see what they saw.
    g.actor = page.actor
    if login.marks[page.partner_id] == page.mark:
        return page
    if page.is_cheap:
        return None
    set_scope(db.session(), page.actor.scope)
    found = news(db.session(), page.partner_id, page.mark)
    if found.changed:
        return None
    # What is known to be old need not be looked through again.
    page = replace(page, mark=found.mark)
    _pages().put(key, page)
    return page


def init_app(app: Flask) -> None:
    """Give ``app`` room to keep pages in, and look there first: register it before what loads people."""
    app.extensions[EXTENSION] = Pages(MOST_PAGES)
    app.before_request(_give)
