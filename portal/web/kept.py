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
from flask_security import current_user

from portal.domain.actor import Actor, Permission
from portal.domain.changes.queries import Mark, news
from portal.domain.tenancy import set_scope
from portal.extensions import db
from portal.web import formats, looking
from portal.web.attention import Counts, known_counts, queue_counts
from portal.web.auth import Facts, LoginUser, current_actor, let_in, login_rows
from portal.web.partners import PartnerInfo, current_partner

MOST_PAGES = 200
# By these a page in the background asks for parts of itself.
SAID_BY_PAGES = ("HTTP_HX_REQUEST", "HTTP_DOORSTEP_LIVE")
# What else of a request a page may differ by: the last two because Flask-Login holds a session to them.
SAID_BY_BROWSERS = ("HTTP_HOST", "HTTP_ACCEPT_LANGUAGE", "HTTP_USER_AGENT", "REMOTE_ADDR")
# What is said once, and whose end is nobody's change.
NEVER_KEPT_WITH = ("_flashes", looking.KEY)
# Under which Flask-Login keeps whose session it is.
STAMP = "_user_id"
HTML = "text/html"
EXTENSION = "kept_pages"
Draw = Callable[[], ResponseReturnValue]


@dataclass(frozen=True, slots=True)
class _Asker:
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
class _Kept:
    """An answer, for whom, and while it is true (instants); up to ``mark`` the partner's changes are in it.

    ``etag`` tells it from others, for who asks with that; "" where nobody does. Without ``mark`` it is never given out
    as it is. ``again`` draws it anew for the same person, where that costs no more than asking what was written.
    """

    body: bytes
    mimetype: str
    etag: str
    asker: _Asker
    mark: Mark | None
    since: datetime
    until: datetime
    again: Draw | None


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
        return _answer(drawn.get_data(), drawn.mimetype or HTML, drawn.get_etag()[0] or "")
    key, now = _key(), formats.now()
    # Again: the queues are counted by now.
    counts = queue_counts() if actor.may(Permission.SEE_JOBS) else None
    page = _pages().get(key)
    if page is None or not _is_same(page.asker) or not _is_true(key, page, counts):
        facts, user = login_rows(session[STAMP]).facts, current_user._get_current_object()
        asker = _Asker({}, facts, user, actor, partner, counts)
        until = until or now.replace(second=0, microsecond=0) + timedelta(minutes=1)
        page = _drawn(key, asker, draw, until, is_cheap)
    return _answer(page.body, page.mimetype, page.etag)


def _drawn(key: Hashable, asker: _Asker, draw: Draw, until: datetime, is_cheap: bool) -> _Kept:
    drawn = current_app.make_response(draw())
    page = _Kept(
        drawn.get_data(),
        drawn.mimetype or HTML,
        drawn.get_etag()[0] or "",
        # As the page left it, which may have put the token of its forms there.
        replace(asker, session=dict(session)),
        None if "not_kept" in g else login_rows(session[STAMP]).marks[asker.partner.id],
        formats.now(),
        until,
        draw if is_cheap else None,
    )
    if page.mark is not None or page.again is not None:
        _pages().put(key, page)
    return page


def not_kept() -> None:
    """Say that what this request draws shows something that leaves no mark or ends at a second, and is not kept."""
    g.not_kept = True


def _give() -> Response | None:
    """Answer with the page as it is kept, unless it has to be drawn or its queues to be counted anew."""
    page = _pages().get(key := _key()) if _may_be_kept() else None
    if page is None or not page.since <= formats.now() < page.until or not _is_same(page.asker):
        return None
    # They may see what they saw.
    g.actor = page.asker.actor
    if not _is_true(key, page, page.asker.counts and known_counts(page.asker.partner.id)):
        if page.again is None:
            return None
        let_in(page.asker.user, page.asker.actor, page.asker.partner)
        page = _drawn(key, page.asker, page.again, page.until, True)
    return _answer(page.body, page.mimetype, page.etag)


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


def _is_same(asker: _Asker) -> bool:
    """Whether this request is of the session of ``asker``, and all is as it was with whose that is."""
    return asker.session == dict(session) and asker.facts == login_rows(session[STAMP]).facts


def _is_true(key: Hashable, page: _Kept, counts: Counts | None) -> bool:
    """Whether ``page`` would be drawn the same now, with ``counts`` in the queues, for whom it was drawn."""
    if page.mark is None or not page.since <= formats.now() < page.until or page.asker.counts != counts:
        return False
    partner_id = page.asker.partner.id
    nothing_written = page.mark == login_rows(session[STAMP]).marks[partner_id]
    if nothing_written or page.again is not None:
        return nothing_written
    set_scope(db.session(), page.asker.actor.scope)
    found = news(db.session(), partner_id, page.mark)
    if found.changed:
        _pages().drop(key)
    else:
        # What is known to be old need not be looked through again.
        _pages().put(key, replace(page, mark=found.mark))
    return not found.changed


def init_app(app: Flask) -> None:
    """Give ``app`` room to keep pages in, and look there first: register it before what loads people."""
    app.extensions[EXTENSION] = Pages(MOST_PAGES)
    app.before_request(_give)
