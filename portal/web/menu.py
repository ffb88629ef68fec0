"""The admin's side menu, from the views that are registered and that this person may open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Flask, request
from flask_babel import lazy_gettext

# The category a view is registered under, in the order of the menu, and what people read.
GROUPS = {
    "Work": lazy_gettext("Work"),
    "People": lazy_gettext("People"),
    "Set-up": lazy_gettext("Set-up"),
    "Log": lazy_gettext("Log"),
}


ATTENTION = "attention"


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


def init_app(app: Flask) -> None:
    """Make ``admin_menu`` known to the templates of ``app``."""
    app.jinja_env.globals["admin_menu"] = admin_menu
