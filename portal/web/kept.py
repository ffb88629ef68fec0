"""Pages as they were last drawn, for whoever asks for the same page again before anything changed.

A page is kept in its process under everything it was drawn from: who asks, as what, for which partner with what name,
colour and words, in which language, at which address, with what waiting in the queues, in this minute. Each request has
read all that anew before it comes here, and a page is only given out where nothing of the partner's was written since
the mark of the request that drew it: the mark is older than all the page shows. The token of forms is the asker's own
and is never kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from threading import Lock

from flask import Flask, current_app, g, request, session
from flask_babel import get_locale
from flask_security import current_user
from flask_wtf.csrf import generate_csrf

from portal.domain.changes.queries import Mark, news
from portal.extensions import db
from portal.web import formats
from portal.web.attention import queue_counts
from portal.web.auth import current_actor
from portal.web.partners import PartnerInfo, current_partner

MOST_PAGES = 200
# By these a page in the background asks for parts of itself.
SAID_BY_PAGES = ("HX-Request", "Doorstep-Live")
FLASHED = "_flashes"
_EXTENSION = "kept_pages"


@dataclass(frozen=True, slots=True)
class _Kept:
    """A page: what stands around its tokens, how its partner was, and up to where that partner's changes are in it."""

    parts: Sequence[str]
    partner: PartnerInfo
    mark: Mark


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


def kept_page(draw: Callable[[], str]) -> str:
    """Return the page that ``draw`` draws for this request, or what it drew last where that is the same.

    Call it only where the actor may see the page. A page that says something once is drawn and not kept.
    """
    partner = current_partner()
    if request.method != "GET" or FLASHED in session or partner is None or partner.mark is None:
        return draw()
    pages: Pages = current_app.extensions[_EXTENSION]
    key, unmarked = _key(), replace(partner, mark=None)
    found = pages.get(key)
    if found is not None and found.partner == unmarked:
        mark = _still_true_at(found, partner.mark)
        if mark is not None:
            if mark != found.mark:
                pages.put(key, replace(found, mark=mark))
            return generate_csrf().join(found.parts)
    page = draw()
    pages.put(key, _Kept(page.split(generate_csrf()), unmarked, partner.mark))
    return page


def _key() -> Hashable:
    environ = request.environ
    return (
        # Nobody else ever has this one, not even a person of the same number in a database put back from a copy.
        current_user.fs_uniquifier,
        current_actor(),
        g.get("looking"),
        str(get_locale()),
        environ["SCRIPT_NAME"],
        environ["PATH_INFO"],
        environ["QUERY_STRING"],
        *(name in request.headers for name in SAID_BY_PAGES),
        formats.now().replace(second=0, microsecond=0),
        tuple(queue_counts().items()),
    )


def _still_true_at(page: _Kept, mark: Mark) -> Mark | None:
    """Return a mark up to which nothing was written that ``page`` does not show; ``None`` where something was.

    ``mark`` is this request's. By the same mark as the page's nothing was written at all, so that nothing is asked.
    """
    if mark == page.mark:
        return mark
    found = news(db.session(), page.partner.id, page.mark)
    return None if found.changed else found.mark


def init_app(app: Flask) -> None:
    """Give ``app`` room to keep pages in."""
    app.extensions[_EXTENSION] = Pages(MOST_PAGES)
