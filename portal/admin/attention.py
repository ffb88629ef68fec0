"""What needs attention (P18, P21): each queue of installations as a list, with the acts that would settle it."""

from __future__ import annotations

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin import BaseView, expose
from flask_babel import lazy_gettext

from portal.admin.base import AdminPage, the_actor, the_partner_id
from portal.admin.installations.acts import ACTS
from portal.domain.actor import Permission
from portal.domain.errors import NotFound
from portal.domain.jobs.attention import Queue, list_queue, queue_order
from portal.domain.paging import Cursor
from portal.extensions import db
from portal.web import formats
from portal.web.attention import OWN_PAGES, queue_counts, queue_url
from portal.web.cursors import cursor_args, cursor_from
from portal.web.menu import ATTENTION


class AttentionView(AdminPage):
    """The queues, all at a glance and each as a list."""

    permission = Permission.SEE_JOBS
    acts = ACTS

    @property
    def extra_js(self) -> list[str]:
        """The scripts of the dialogs that acts open in."""
        return [
            url_for("static", filename=name)
            for name in ("vendor/accessible-autocomplete.min.js", "js/installations.js")
        ]

    @expose("/")
    def index(self) -> ResponseReturnValue:
        """Show what there is and how much of it."""
        return self.render("admin/attention/index.html", queues=queue_counts())

    @expose("/<queue>/")
    def queue_view(self, queue: str) -> ResponseReturnValue:
        """Show the installations in a queue."""
        if queue not in set(Queue):
            raise NotFound
        asked, actor = Queue(queue), the_actor()
        if asked in OWN_PAGES:
            return redirect(queue_url(asked))
        page = list_queue(
            db.session(),
            actor,
            the_partner_id(actor),
            formats.now(),
            formats.zone_of(),
            asked,
            cursor_from(request.args, queue_order(asked)),
        )

        def to(cursor: Cursor | None) -> str | None:
            return str(self.get_url(".queue_view", queue=queue, **cursor_args(cursor))) if cursor is not None else None

        return self.render(
            "admin/attention/queue.html",
            queue=asked,
            rows=page.rows,
            back_url=to(page.back),
            forward_url=to(page.forward),
            visit_badges=asked is Queue.NOT_COMPLETED,
        )


def views() -> list[BaseView]:
    """Return the views of this subject, in the order of the menu."""
    return [
        AttentionView(name=lazy_gettext("Needs attention"), category="Work", endpoint=ATTENTION, url="/admin/attention")
    ]
