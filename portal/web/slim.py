"""Templates without the space that is for who writes them: pages are smaller by it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from flask import Flask
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream

INDENTATION = re.compile(r"(?<=\n)[ \t]+")
# Nothing is read from the space around cells, rows and options, nor from a second line break.
BETWEEN = re.compile(r"(?<=</t[dhr]>)\s+(?=</?t[dhr])|(?<=</option>)\s+(?=<option)|(?<=\n)\n+")
# Where a line's beginning is what a person reads.
PLAIN = "messages/"


class Slim(Extension):
    """Takes the space from the beginning of a template's lines, and between cells; lines keep their numbers."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Return ``source`` of the template ``name`` as it is compiled."""
        return INDENTATION.sub("", source) if _is_page(name) else source

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        """Yield the tokens of a template as they are compiled."""
        slim = _is_page(stream.name)
        for token in stream:
            yield token._replace(value=BETWEEN.sub("", token.value)) if slim and token.type == "data" else token


def _is_page(name: str | None) -> bool:
    return name is not None and name.endswith(".html") and not name.startswith(PLAIN)


def init_app(app: Flask) -> None:
    """Compile the templates of ``app`` so."""
    app.jinja_env.add_extension(Slim)
