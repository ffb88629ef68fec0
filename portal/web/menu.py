"""The admin's side menu, from the views that are registered and that this person may open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask_babel import lazy_gettext

# The category a view is registered under, in the order of the menu, and what people read.
GROUPS = {
    "Work": lazy_gettext("Work"),
    "People": lazy_gettext("People"),
    "Set-up": lazy_gettext("Set-up"),
    "Log": lazy_gettext("Log"),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the menu."""

    name: str
    url: str
    current: bool


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
        entries = [
            Entry(str(item.name), item.get_url(), item.is_active(admin_view))
            for item in categories[name].get_children()
        ]
        if entries:
            groups.append(Group(f"menu-{number}", str(title), entries))
    return groups


def init_app(app: Flask) -> None:
    """Make ``admin_menu`` known to the templates of ``app``."""
    app.jinja_env.globals["admin_menu"] = admin_menu
