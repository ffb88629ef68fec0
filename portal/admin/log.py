"""The log: messages as customers read them (N6) and the worker's periodic jobs (N5)."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app
from flask.typing import ResponseReturnValue
from flask_admin import BaseView, expose
from flask_babel import gettext, lazy_gettext, lazy_pgettext
from wtforms import SelectField

from portal.admin.base import AdminPage, Asked, FilterForm, ScopedModelView, SelectChoice
from portal.domain.actor import Permission
from portal.domain.background.services import RunOutcome, recorded_jobs
from portal.domain.errors import NotFound
from portal.domain.messages import queries
from portal.domain.messages.models import AttemptOutcome, Message, MessageStatus
from portal.domain.paging import PAGE_ROWS, Page
from portal.extensions import db
from portal.settings import Environment, Settings
from portal.web.i18n import translate
from portal.web.statuses import MESSAGE_CHANNELS, MESSAGE_KINDS, message_badge

ANY = ""
# The letter is a document of its own that brings its style and may run nothing and fetch nothing; what it links to
# opens beside it.
SANDBOX = "allow-popups allow-popups-to-escape-sandbox"
LETTER_CSP = f"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox {SANDBOX}"
ATTEMPTS = {
    AttemptOutcome.SENT: lazy_gettext("Sent"),
    AttemptOutcome.FAILED: lazy_gettext("Failed"),
    AttemptOutcome.LOST: lazy_gettext("Cut off while sending"),
}
OUTCOMES = {
    RunOutcome.OK: ("status-done", lazy_gettext("Went well")),
    RunOutcome.FAILED: ("status-needs", lazy_gettext("Failed")),
}


class MessageFilter(FilterForm):
    """Text in name and address, what the message is about, and what became of it."""

    about = SelectField(
        lazy_gettext("What"),
        default=ANY,
        choices=[SelectChoice(ANY, lazy_gettext("All")), *(SelectChoice(*one) for one in MESSAGE_KINDS.items())],
    )
    status = SelectField(
        lazy_gettext("Status"),
        default=ANY,
        choices=[
            SelectChoice(ANY, lazy_gettext("All")),
            SelectChoice(MessageStatus.SENT.value, lazy_gettext("Sent")),
            SelectChoice(MessageStatus.PENDING.value, lazy_gettext("Planned or trying again")),
            SelectChoice(MessageStatus.FAILED.value, lazy_gettext("Could not be delivered")),
            SelectChoice(MessageStatus.SKIPPED.value, lazy_gettext("Not sent")),
        ],
    )


class MessageView(ScopedModelView):
    """Messages, newest first; each can be read as its customer reads it. Nobody edits them."""

    permission = Permission.SEE_LOG
    can_create = can_edit = False
    can_export = True
    list_template = "admin/log/messages.html"
    column_list = ("when", "kind", "channel", "name", "recipient", "status")
    column_labels = {
        "when": lazy_gettext("When"),
        "kind": lazy_gettext("What"),
        "channel": lazy_gettext("How"),
        "name": lazy_gettext("For"),
        "recipient": lazy_pgettext("recipient", "To"),
        "status": lazy_gettext("Status"),
    }
    sorts = queries.MESSAGES_BY
    usual_sort = "-number"
    sorted_by_time = True
    filter_form = MessageFilter

    def get_list(self, asked: Asked, limit: int = PAGE_ROWS) -> Page[Any]:
        text, kind, status = (asked.filters[name] for name in ("q", "about", "status"))
        wanted = (text, status or None, kind or None)
        return queries.message_log(db.session(), *wanted, asked.order, asked.cursor, limit)

    def export_columns(self) -> dict[str, Any]:
        return {
            gettext("When"): lambda row: row.sent_at or row.due_at,
            gettext("What"): lambda row: MESSAGE_KINDS[row.kind],
            gettext("How"): lambda row: MESSAGE_CHANNELS[row.channel],
            gettext("For"): lambda row: row.name,
            gettext("To"): lambda row: row.recipient,
            gettext("Status"): lambda row: message_badge(row).label,
            gettext("Reason"): lambda row: translate(row.last_error),
            gettext("Attempts"): lambda row: row.attempts,
        }

    @expose("/<int:key>")
    def message_view(self, key: int) -> ResponseReturnValue:
        logged = queries.logged_message(db.session(), key)
        settings: Settings = current_app.config["SETTINGS"]
        keeps_links = settings.doorstep_env is Environment.DEMO
        return self.render(
            "admin/log/message.html",
            logged=logged,
            attempt_names=ATTEMPTS,
            sandbox=SANDBOX,
            keeps_links=keeps_links,
        )

    @expose("/<int:key>/letter")
    def letter_view(self, key: int) -> ResponseReturnValue:
        letter = queries.logged_message(db.session(), key).message.body_html
        if not letter:
            raise NotFound
        return Response(letter, headers={"Content-Security-Policy": LETTER_CSP, "Cache-Control": "no-store"})


class BackgroundJobsView(AdminPage):
    """The worker's periodic jobs, the same for every partner; what they did in detail is the operator's to read."""

    permission = Permission.SEE_LOG

    @expose("/")
    def index(self) -> ResponseReturnValue:
        jobs = recorded_jobs(db.session())
        return self.render("admin/log/background_jobs.html", jobs=jobs, outcomes=OUTCOMES)


def views() -> list[BaseView]:
    """Return the views of this subject, in the order of the menu."""
    return [
        MessageView(Message, name=lazy_gettext("Messages sent"), category="Log", endpoint="messages"),
        BackgroundJobsView(
            name=lazy_gettext("Background jobs"),
            category="Log",
            endpoint="background_jobs",
            url="/admin/background-jobs",
        ),
    ]
