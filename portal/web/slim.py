"""Templates without their indentation, which is for who writes them: pages are smaller by it."""

from __future__ import annotations

import re

from flask import Flask
from jinja2.ext import Extension

INDENTATION = re.compile(r"(?<=\n)[ \t]+")
# Where a line's beginning is what a person reads.
PLAIN = "messages/"


class Slim(Extension):
    """Takes the space from the beginning of each line of a page's template; lines keep their numbers."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Return ``source`` of the template ``name`` as it is compiled."""
        if name is None or name.startswith(PLAIN) or not name.endswith(".html"):
            return source
        return INDENTATION.sub("", source)


def init_app(app: Flask) -> None:
    """Compile the templates of ``app`` so."""
    app.jinja_env.add_extension(Slim)
