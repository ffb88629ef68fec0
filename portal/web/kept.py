"""Pages as they were last drawn, for whoever asks for the same page again before anything changed.

A page is kept in its process beside everything it was drawn from: the session with the token of its forms, what the
log-in's one statement says of who asks, as what, and of the partner's name, colour and words, the language, the
address, what waits in the office's queues, and the time. Each request reads all that anew, and a page is only given
out where it is the same and nothing of the partner's was written since the mark of the request that drew it: the mark
is older than all the page shows. That is decided in front of Flask (``web.front``), since most of what a request costs
comes after it.
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
from flask_security import current_user

from portal.domain.actor import Actor, Permission
from portal.domain.changes.queries import Mark, news
from portal.extensions import READING
from portal.web import formats, logs, looking
from portal.web.attention import Counts, queue_counts
from portal.web.auth import Facts, LoginRows, LoginUser, current_actor, know_rows, let_in, login_rows
from portal.web.partners import PartnerInfo, current_partner

MOST_PAGES = 200
# By these a page in the background asks for parts of itself.
SAID_BY_PAGES = ("HTTP_HX_REQUEST", "HTTP_DOORSTEP_LIVE")
# What else of a request a page may differ by: the last three because Flask-Login holds a session to them.
SAID_BY_BROWSERS = (
    "wsgi.url_scheme",
    "HTTP_HOST",
    "HTTP_ACCEPT_LANGUAGE",
    "HTTP_USER_AGENT",
    "HTTP_X_FORWARDED_FOR",
    "REMOTE_ADDR",
)
# What is said once, and whose end is nobody's change.
NEVER_KEPT_WITH = ("_flashes", looking.KEY)
# Under which Flask-Login keeps whose session it is.
STAMP = "_user_id"
HTML = "text/html; charset=utf-8"
EXTENSION = "kept_pages"
# Under which a request says what the front has read for it.
FOUND = "doorstep.found"
Draw = Callable[[], ResponseReturnValue]


@dataclass(frozen=True, slots=True)
class Asker:
    """Whose request it is: the session, what the log-in's rows say, and what was put together from these.

    ``counts`` is what waits in the queues, for who sees them.
    """

    session: Mapping[str, Any]
    facts: Facts
    user: LoginUser
    actor: Actor
    partner: PartnerInfo
    counts: Counts | None


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer, for whom, and while it is true (instants); up to ``mark`` the partner's changes are in it.

    ``etag`` tells it from others, for who asks with that; "" where nobody does. Without ``mark`` it is never given out
    as it is. ``again`` draws it anew for the same person, where that costs no more than asking what was written.
    ``path`` is its address as the log has it.
    """

    body: bytes
    content_type: str
    etag: str
    path: str
    asker: Asker
    mark: Mark | None
    since: datetime
    until: datetime
    again: Draw | None


@dataclass(frozen=True, slots=True)
class Found:
    """What the front has read for a request: the log-in's rows by stamp, and the page kept for who asks.

    It is theirs and of this time, but its queues have to be counted, or it is one that is drawn ``again``.
    """

    rows: Mapping[str, LoginRows]
    page: Kept | None


class Pages:
    """The ``most`` pages of one process that were asked for last; its threads share them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = Lock()
        self._pages: OrderedDict[Hashable, Kept] = OrderedDict()

    def get(self, key: Hashable) -> Kept | None:
        with self._lock:
            found = self._pages.get(key)
            if found is not None:
                self._pages.move_to_end(key)
            return found

    def put(self, key: Hashable, page: Kept) -> None:
        with self._lock:
            self._pages[key] = page
            self._pages.move_to_end(key)
            if len(self._pages) > self._most:
                self._pages.popitem(last=False)

    def drop(self, key: Hashable) -> None:
        with self._lock:
            self._pages.pop(key, None)


def kept(draw: Draw, until: datetime | None = None, *, is_cheap: bool = False) -> Response:
    """Return what ``draw`` draws for this request, and keep it for the next until an instant, or this minute's end.

    Call it only where the actor may see the page. A page that says something once is drawn and not kept, nor is one of
    an operator who looks in, nor one that called ``not_kept``. With an ETag it is answered by 304 to who has it.
    What ``is_cheap`` is drawn again as soon as anything at all was written, for the same person at the same address,
    without putting them together anew: ``draw`` takes actor and partner from the request that it is called in.
    """
    partner, actor = current_partner(), current_actor()
    if not _may_be_kept() or actor is None or partner is None:
        drawn = current_app.make_response(draw())
        return _answer(drawn.get_data(), drawn.content_type, drawn.get_etag()[0] or "")
    counts = queue_counts() if actor.may(Permission.SEE_JOBS) else None
    page = _handed_on()
    if page is None or page.asker.counts != counts or not is_true(pages_of(current_app), _key(), page):
        facts, user = login_rows(session[STAMP]).facts, current_user._get_current_object()
        asker = Asker({}, facts, user, actor, partner, counts)
        until = until or formats.now().replace(second=0, microsecond=0) + timedelta(minutes=1)
        page = _drawn(asker, draw, until, is_cheap)
    return _answer(page.body, page.content_type, page.etag)


def _drawn(asker: Asker, draw: Draw, until: datetime, is_cheap: bool) -> Kept:
    drawn = current_app.make_response(draw())
    page = Kept(
        drawn.get_data(),
        drawn.content_type or HTML,
        drawn.get_etag()[0] or "",
        logs.told_path(request),
        # As the page left it, which may have put the token of its forms there.
        replace(asker, session=dict(session)),
        None if "not_kept" in g else login_rows(session[STAMP]).marks[asker.partner.id],
        formats.now(),
        until,
        draw if is_cheap else None,
    )
    if page.mark is not None or page.again is not None:
        pages_of(current_app).put(_key(), page)
    return page


def not_kept() -> None:
    """Say that what this request draws shows something that leaves no mark or ends at a second, and is not kept."""
    g.not_kept = True


def is_true(pages: Pages, key: Hashable, page: Kept) -> bool:
    """Whether nothing was written since ``page`` was drawn that it would show, where all else is as it was.

    What is known to be old is dropped from ``pages``.
    """
    if page.mark is None:
        return False
    partner_id = page.asker.partner.id
    mark = login_rows(page.asker.session[STAMP]).marks[partner_id]
    nothing_written = page.mark == mark
    if nothing_written or page.again is not None:
        return nothing_written
    with current_app.extensions[READING].connect() as connection:
        is_changed = news(connection, partner_id, page.mark).changed
    if is_changed:
        pages.drop(key)
    else:
        # What is known to be old need not be looked through again. Not of this moment: so far the log-in was read.
        pages.put(key, replace(page, mark=mark))
    return not is_changed


def _take_over() -> Response | None:
    """Go on with what the front has read, and draw again for the same person what is cheap to draw."""
    found: Found | None = request.environ.get(FOUND)
    if found is None:
        return None
    know_rows(found.rows)
    page = _handed_on()
    if page is None or page.again is None:
        return None
    let_in(page.asker.user, page.asker.actor, page.asker.partner)
    page = _drawn(page.asker, page.again, page.until, True)
    return _answer(page.body, page.content_type, page.etag)


def _handed_on() -> Kept | None:
    """Return the page that the front has found for who asks; in between they may have signed out."""
    found: Found | None = request.environ.get(FOUND)
    page = found.page if found is not None else None
    return page if page is not None and page.asker.session == dict(session) else None


def _answer(body: bytes, content_type: str | None, etag: str) -> Response:
    if not etag:
        return Response(body, content_type=content_type)
    unchanged = request.if_none_match.contains(etag)
    answer = Response(status=304) if unchanged else Response(body, content_type=content_type)
    answer.set_etag(etag)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def pages_of(app: Flask) -> Pages:
    """Return where the pages of ``app`` are kept in this process."""
    found: Pages = app.extensions[EXTENSION]
    return found


def _may_be_kept() -> bool:
    return request.method == "GET" and STAMP in session and not any(name in session for name in NEVER_KEPT_WITH)


def _key() -> Hashable:
    return key_of(getattr(session, "sid", None), request.environ)


def key_of(session_id: str | None, environ: Mapping[str, Any]) -> Hashable:
    """Return what tells the page that a request of a session asks for from all others."""
    return (
        session_id,
        environ["SCRIPT_NAME"],
        environ["PATH_INFO"],
        environ["QUERY_STRING"],
        *(name in environ for name in SAID_BY_PAGES),
        *(environ.get(name) for name in SAID_BY_BROWSERS),
    )


def init_app(app: Flask) -> None:
    """Give ``app`` room to keep pages in, and look there first: register it before what loads people."""
    app.extensions[EXTENSION] = Pages(MOST_PAGES)
    app.before_request(_take_over)
