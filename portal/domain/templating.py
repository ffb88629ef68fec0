"""Texts that a partner writes with placeholders, such as ``{{ customer.name }}``: checked when saved, filled in safely.

What may stand in one is a list of what is allowed, and a short one: words, placeholders of a given list, a few filters,
and conditions on placeholders. A placeholder is a name with dots that stands for a plain text; there is no object
behind it, so there is nothing to reach for. Everything else (loops, calls, sums, attributes, other files) is refused by
its place in the parsed tree, before any of it runs; beside that it runs in Jinja's immutable sandbox, and what comes
out is cut off at a limit. HTML goes through ``clean_html`` after it is filled in, so that neither the partner's text
nor a customer's name can bring anything active into a page or a mail.

Nothing here knows which placeholders there are, nor any row: values come in, text goes out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from html.parser import HTMLParser
from typing import Any

import nh3
from jinja2 import Environment, StrictUndefined, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from portal.domain.errors import Sentence, sentence

MAX_SOURCE = 50_000
MAX_OUTPUT = 200_000
# Deeper than anybody would nest conditions.
MAX_DEPTH = 12
EXCERPT = 60
ONLY_CONDITIONS = re.compile(r"^[ \t]*((?:{%(?:(?!%}).)*%}[ \t]*)+)\r?\n", re.MULTILINE)
# Control signs and halves of signs.
UNSENDABLE = frozenset({"Cc", "Cs"})

# ``default`` also stands in for an empty value: there is no other kind of missing one.
FILTERS = {"upper": 0, "lower": 0, "capitalize": 0, "trim": 0, "default": 1}
CONDITIONS = (nodes.If, nodes.And, nodes.Or, nodes.Not, nodes.Compare)
ALLOWED = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, *CONDITIONS)
COMPARISONS = frozenset({"eq", "ne"})
# Jinja's identifiers have no dots; no placeholder may hold these two signs itself.
DOT = "__"

# What a mail's or a document's words need, and nothing that loads, runs, covers or sends anything.
TAGS = (
    frozenset({"a", "b", "blockquote", "br", "code", "div", "em", "h1", "h2", "h3", "h4", "hr", "i", "li", "ol", "p"})
    | {"pre", "s", "small", "span", "strong", "sub", "sup", "u", "ul"}
    | {"table", "tbody", "td", "tfoot", "th", "thead", "tr"}
)
ATTRIBUTES = {
    "a": {"href"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
    "ol": {"start"},
}
ANYWHERE = {"lang", "title"}
SCHEMES = frozenset({"https", "http", "mailto", "tel"})


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a text is refused: the line it is in, counted from 1, and what is wrong there, which names the line."""

    line: int
    sentence: Sentence


class Unusable(Exception):
    """A text cannot be filled in; ``problem`` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem.sentence))
        self.problem = problem


def problem_of(source: str, known: Collection[str], limit: int = MAX_SOURCE) -> Problem | None:
    """Say what is wrong with ``source``, first of all, or ``None``; ``known`` are the placeholders there are.

    ``limit`` is how many characters it may have.
    """
    try:
        _checked(source, frozenset(known), limit)
    except Unusable as unusable:
        return unusable.problem
    return None


def placeholders_in(source: str, known: Collection[str]) -> set[str]:
    """Return the placeholders that ``source`` uses; raises ``Unusable``."""
    tree = _checked(source, frozenset(known), MAX_SOURCE)
    return {name.replace(DOT, ".") for name in meta.find_undeclared_variables(tree)}


def fill(source: str, values: Mapping[str, str], html: bool = False, limit: int = MAX_OUTPUT) -> str:
    """Return ``source`` with ``values``, by placeholder, filled in; for ``html`` they are escaped.

    An empty value is no for a condition. Raises ``Unusable`` for what ``problem_of`` refuses, and where more than
    ``limit`` characters would come out. HTML still has to go through ``clean_html``.
    """
    template = _compiled(source, frozenset(values), html)
    pieces: list[str] = []
    length = 0
    for piece in template.generate({name.replace(".", DOT): value for name, value in values.items()}):
        pieces.append(piece)
        length += len(piece)
        if length > limit:
            raise Unusable(Problem(1, sentence("It becomes longer than %(limit)s characters.", limit=limit)))
    return "".join(pieces)


def clean_html(html: str, classes: Mapping[str, Collection[str]] | None = None) -> str:
    """Return ``html`` with only such tags, attributes and links as words need; well formed, whatever came in.

    ``classes`` are the class names that may stand on a tag, by tag; none unless given.
    """
    return nh3.clean(
        html,
        tags=set(TAGS),
        attributes={"*": ANYWHERE, **{tag: set(names) for tag, names in ATTRIBUTES.items()}},
        allowed_classes={tag: set(names) for tag, names in (classes or {}).items()},
        url_schemes=set(SCHEMES),
        # In a mail there is nothing that an address could be relative to.
        url_relative="deny",
        link_rel="noopener noreferrer",
        clean_content_tags={"script", "style", "title", "textarea", "template", "iframe", "noscript", "svg", "math"},
    )


def lost_in(html: str, classes: Mapping[str, Collection[str]] | None = None) -> list[str]:
    """Return what ``clean_html`` takes out of ``html``, in the order in which it comes: tags and attributes by name."""
    reader = _Losses(classes or {})
    reader.feed(html)
    reader.close()
    return list(dict.fromkeys(reader.lost))


class _Losses(HTMLParser):
    def __init__(self, classes: Mapping[str, Collection[str]]) -> None:
        super().__init__()
        self._classes = classes
        self.lost: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            self.lost.append(f"<{tag}>")
            return
        for name, value in attrs:
            if name == "class":
                self.lost += [
                    f'class="{one}"' for one in (value or "").split() if one not in self._classes.get(tag, ())
                ]
            elif name not in ATTRIBUTES.get(tag, ()) and name not in ANYWHERE:
                self.lost.append(f"{tag} {name}")


class _Flat(NodeTransformer):
    """Turns what is written as an attribute of a name into the one name that it is here."""

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:  # noqa: N802
        name = _dotted(node)
        if name is None:
            raise Unusable(_forbidden(node.lineno or 1))
        return nodes.Name(name, "load", lineno=node.lineno)


def _dotted(node: nodes.Node) -> str | None:
    """Return the dotted name that a node is, or ``None`` where it is not one."""
    parts: list[str] = []
    while isinstance(node, nodes.Getattr):
        parts.append(node.attr)
        node = node.node
    if not isinstance(node, nodes.Name):
        return None
    return ".".join((node.name, *reversed(parts)))


def _environment(html: bool) -> Environment:
    environment = ImmutableSandboxedEnvironment(
        autoescape=html,
        undefined=StrictUndefined,
        cache_size=0,
        optimized=False,
        keep_trailing_newline=True,
    )
    # Nothing but the values can be named, and no filter but those.
    environment.globals.clear()
    environment.tests.clear()
    environment.filters = {name: kept for name, kept in environment.filters.items() if name in FILTERS}
    environment.filters["default"] = lambda value, instead: value or instead
    return environment


PLAIN, HTML = _environment(False), _environment(True)


# Each mail of a batch is made from the same few texts.
@lru_cache(maxsize=512)
def _compiled(source: str, known: frozenset[str], html: bool) -> Any:
    # A condition on a line of its own leaves no empty line behind.
    tree = _checked(ONLY_CONDITIONS.sub(r"\1", source), known, MAX_SOURCE)
    return (HTML if html else PLAIN).from_string(tree)


def _checked(source: str, known: frozenset[str], limit: int) -> nodes.Template:
    if len(source) > limit:
        words = sentence("It has %(length)s characters; use %(limit)s or fewer.", length=len(source), limit=limit)
        raise Unusable(Problem(1, words))
    for number, line in enumerate(source.split("\n"), 1):
        if any(unicodedata.category(sign) in UNSENDABLE and sign not in "\t\r" for sign in line):
            words = sentence("Line %(line)s holds a sign that cannot be sent.", line=number)
            raise Unusable(Problem(number, words))
    try:
        tree: nodes.Template = _Flat().visit(PLAIN.parse(source))
    except TemplateSyntaxError as error:
        raise Unusable(_misspelt(source, error)) from error
    # A number of a thousand digits, or brackets in brackets in brackets.
    except (ValueError, RecursionError) as error:
        raise Unusable(_not_understood(source, 1)) from error
    for node, depth in _nodes(tree):
        problem = _problem_at(node, depth, source, known)
        if problem is not None:
            raise Unusable(problem)
    for node, _ in _nodes(tree):
        if isinstance(node, nodes.Name):
            node.name = node.name.replace(".", DOT)
    return tree


def _nodes(tree: nodes.Node) -> Iterator[tuple[nodes.Node, int]]:
    """Yield each node of a tree with how deep it lies, without a call for each level."""
    waiting = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        waiting.extend((child, depth + 1) for child in reversed(list(node.iter_child_nodes())))


def _problem_at(node: nodes.Node, depth: int, source: str, known: frozenset[str]) -> Problem | None:
    line = node.lineno or 1
    if depth > 2 * MAX_DEPTH:
        return Problem(line, sentence("Line %(line)s: conditions stand in conditions, too deep to follow.", line=line))
    if isinstance(node, nodes.Name) and node.name not in known:
        words = sentence("Line %(line)s: there is no placeholder “%(name)s”.", line=line, name=node.name[:EXCERPT])
        return Problem(line, words)
    if isinstance(node, nodes.Filter) and node.name not in FILTERS:
        words = sentence(
            "Line %(line)s: there is no “%(name)s” for a placeholder.", line=line, name=str(node.name)[:EXCERPT]
        )
        return Problem(line, words)
    return None if _is_allowed(node) else _forbidden(line)


def _is_allowed(node: nodes.Node) -> bool:
    match node:
        case nodes.Operand():
            return node.op in COMPARISONS
        case nodes.Const():
            # Only text, and such as can be sent.
            return isinstance(node.value, str) and node.value.isprintable()
        case nodes.Filter():
            return len(node.args) == FILTERS[node.name] and node.dyn_args is None and node.dyn_kwargs is None
        case nodes.CondExpr():
            return node.expr2 is not None
        case _:
            return isinstance(node, ALLOWED)


def _forbidden(line: int) -> Problem:
    words = sentence(
        "Line %(line)s: only placeholders and conditions ({%% if … %%}, {%% else %%}, {%% endif %%}) can stand here.",
        line=line,
    )
    return Problem(line, words)


def _misspelt(source: str, error: TemplateSyntaxError) -> Problem:
    line = error.lineno or 1
    if "'endif'" in (error.message or "") and "end of template" in (error.message or ""):
        return Problem(line, sentence("Line %(line)s: a condition is not closed with {%% endif %%}.", line=line))
    if "filter" in (error.message or ""):
        return _forbidden(line)
    return _not_understood(source, line)


def _not_understood(source: str, line: int) -> Problem:
    lines = source.splitlines() or [""]
    excerpt = lines[min(line, len(lines)) - 1].strip()[:EXCERPT]
    words = sentence(
        "Line %(line)s cannot be understood: “%(excerpt)s”. A placeholder is written {{ like.this }}.",
        line=line,
        excerpt=excerpt,
    )
    return Problem(line, words)
