"""The admin's side menu, from the views that are registered and that this person may open."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from flask import Flask, current_app, render_template, request, url_for
from flask_babel import get_locale, lazy_gettext
from markupsafe import Markup

from portal.web import attention
from portal.web.auth import current_actor
from portal.web.partners import current_partner

# The category a view is registered under, in the order of the menu, and what people read.
GROUPS = {
    "Work": lazy_gettext("Work"),
    "People": lazy_gettext("People"),
    "Set-up": lazy_gettext("Set-up"),
    "Log": lazy_gettext("Log"),
}


ATTENTION = "attention"
MOST_MENUS = 500
_EXTENSION = "drawn_menus"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the menu; ``queues`` where the queues of attention stand under it (see ``web.attention``)."""

    name: str
    url: str
    current: bool
    queues: bool


@dataclass(frozen=True, slots=True)
class Group:
    """A heading with its lines; ``key`` makes ids."""

    key: str
    title: str
    entries: list[Entry]


def admin_menu(admin_view: Any) -> list[Group]:
    """Return the groups of the menu around ``admin_view`` (a Flask-Admin view), without empty ones."""
    categories = {str(item.name): item for item in admin_view.admin.menu() if item.is_category()}
    groups = []
    for number, (name, title) in enumerate(GROUPS.items()):
        if name not in categories:
            continue
        entries = [_entry(item, admin_view) for item in categories[name].get_children()]
        if entries:
            groups.append(Group(f"menu-{number}", str(title), entries))
    return groups


def _entry(item: Any, admin_view: Any) -> Entry:
    url, view = item.get_url(), getattr(item, "_view", None)
    queues = view is not None and view.endpoint == ATTENTION
    # On the page of a queue that queue is the line one is at.
    current = item.is_active(admin_view) and (not queues or request.path == url)
    return Entry(str(item.name), url, current, queues)


def side_menu(admin_view: Any) -> Markup:
    """Return the menu around ``admin_view`` with the queues' counts, drawn once for all to whom it looks the same."""
    actor, partner = current_actor(), current_partner()
    key = (
        admin_view.endpoint,
        request.endpoint,
        # Only there pages of one endpoint have menus that differ.
        request.path if admin_view.endpoint == ATTENTION else "",
        request.script_root,
        str(get_locale()),
        # What opens a view, and what the partner calls people.
        (actor.role, actor.partner_ids, actor.suspended) if actor is not None else None,
        partner.staff_term if partner is not None else "",
        tuple(attention.queue_counts().values()),
    )
    drawn: dict[Any, Markup] = current_app.extensions[_EXTENSION]
    menu = drawn.get(key)
    if menu is None:
        if len(drawn) >= MOST_MENUS:
            drawn.clear()
        menu = drawn[key] = Markup(render_template("admin/menu.html", groups=admin_menu(admin_view)))
    return menu


@cache
def _bootstrap(app: Flask, root: str) -> str:
    return url_for("admin.static", filename="bootstrap/bootstrap4/css/bootstrap.min.css", v="4.6.2")


def init_app(app: Flask) -> None:
    """Make ``side_menu`` known to the templates of ``app``."""
    app.extensions[_EXTENSION] = {}
    app.jinja_env.globals.update(side_menu=side_menu, bootstrap_url=lambda: _bootstrap(app, request.script_root))
