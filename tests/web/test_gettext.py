"""Every string that a person reads goes through gettext: what does not is found here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from bs4 import BeautifulSoup, Comment, Doctype
from flask import Flask
from jinja2 import nodes

ROOT = Path(__file__).resolve().parents[2] / "portal"
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
WEB_CODE = sorted(
    path for room in ("web", "admin", "customer", "field", "worker") for path in (ROOT / room).rglob("*.py")
)
ALL_CODE = sorted(ROOT.rglob("*.py"))

TRANSLATORS = {"_", "gettext", "ngettext", "_gettext", "_ngettext", "lazy_gettext", "sentence"}
# The product's own name is the same in every language.
SAME_EVERYWHERE = {"Doorstep"}
READ_ATTRIBUTES = ("aria-label", "placeholder", "title", "alt", "aria-description", "content")
# Metadata for machines.
NOT_READ = {"htmx-config", "viewport", "robots", "color-scheme"}
WORDS = re.compile(r"[^\W\d_]{2,}")
HOLE = "\N{OBJECT REPLACEMENT CHARACTER}"


def ids(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def markup_of(source: str, app: Flask) -> str:
    """Return a template's own text, with a hole where each expression stands.

    A block called ``…_class`` fills an attribute of the layout and is left out.
    """
    pieces: list[str] = []
    printing = False
    # the words of the tag being read, and for each open block whether it is left out
    tag: list[str] = []
    blocks: list[bool] = []
    for _, kind, value in app.jinja_env.lex(source):
        if kind == "variable_begin":
            printing = True
            pieces.append(HOLE)
        elif kind == "variable_end":
            printing = False
        elif kind == "block_begin":
            tag = []
        elif kind == "name":
            tag.append(value)
        elif kind == "block_end" and tag[:1] == ["block"]:
            blocks.append(tag[1].endswith("_class"))
        elif kind == "block_end" and tag[:1] == ["endblock"]:
            blocks.pop()
        elif kind == "data" and not printing and not any(blocks):
            pieces.append(value)
    return "".join(pieces)


def bare_text(source: str, app: Flask) -> Iterator[str]:
    """Yield the words of a template that stand in it as they are."""
    page = BeautifulSoup(markup_of(source, app), "html.parser")
    for text in page.find_all(string=True):
        if isinstance(text, Comment | Doctype):
            continue
        yield from (word for word in WORDS.findall(text) if word not in SAME_EVERYWHERE)
    for tag in page.find_all(True):
        if tag.name == "meta" and tag.get("name") in NOT_READ:
            continue
        for name in READ_ATTRIBUTES:
            yield from WORDS.findall(str(tag.get(name, "")))
    tree = app.jinja_env.parse(source)
    for output in tree.find_all(nodes.Output):
        for expression in output.nodes:
            yield from (text for text in literals(expression) if looks_like_words(text))


def literals(node: nodes.Node) -> Iterator[str]:
    """Yield the strings that an expression may print, but for those it hands to a translator or another call."""
    if isinstance(node, nodes.Const):
        if isinstance(node.value, str):
            yield node.value
    elif isinstance(node, nodes.CondExpr):
        for branch in (node.expr1, node.expr2):
            if branch is not None:
                yield from literals(branch)
    elif isinstance(node, nodes.Concat | nodes.Or | nodes.And):
        for child in node.iter_child_nodes():
            yield from literals(child)


def looks_like_words(text: str) -> bool:
    """Whether ``text`` is for people rather than a class or an attribute of the page."""
    return text not in SAME_EVERYWHERE and bool(re.match(r"\s*[A-Z][a-z]+", text))


@pytest.mark.parametrize("path", TEMPLATES, ids=ids(TEMPLATES))
def test_no_bare_text_in_a_template(path: Path, words_app: Flask) -> None:
    assert list(bare_text(path.read_text(), words_app)) == []


@pytest.mark.parametrize("path", WEB_CODE, ids=ids(WEB_CODE))
def test_no_bare_text_in_web_code(path: Path) -> None:
    assert list(bare_strings(ast.parse(path.read_text()))) == []


def bare_strings(tree: ast.AST) -> Iterator[str]:
    """Yield literal labels, messages and flashes of web code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = called(node)
            if (
                name == "flash" or name.endswith("Field") or name in {"ValidationError", "StopValidation"}
            ) and node.args:
                yield from constant(node.args[0])
            for keyword in node.keywords:
                if keyword.arg in {"label", "message", "description"} and name[:1].isupper():
                    yield from constant(keyword.value)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {target.id for target in targets if isinstance(target, ast.Name)}
            if names & {"column_labels", "column_descriptions"} and isinstance(node.value, ast.Dict):
                for value in node.value.values:
                    yield from constant(value)


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def constant(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value
    ):
        yield ast.unparse(node)


@pytest.mark.parametrize("path", ALL_CODE, ids=ids(ALL_CODE))
def test_translated_texts_are_literals(path: Path) -> None:
    """A text put together at run time is in no catalogue. Only the edge itself translates what it is given."""
    if path.name == "i18n.py":
        return
    unknown = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and called(node) in TRANSLATORS and node.args and not is_literal(node.args[0])
    ]
    assert unknown == []


def is_literal(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def test_the_finder_finds(words_app: Flask) -> None:
    page = (
        "{% block row_class %}left out{% endblock %}<p>Hello {{ name }}</p>"
        """<a aria-label="Close it">{{ _("Fine") }}</a>{{ "Yes" if x else "no-class" }}"""
    )
    assert list(bare_text(page, words_app)) == ["Hello", "Close", "it", "Yes"]
    code = (
        'flash("Saved")\nStringField("Name")\nLength(message="Too long")\nStringField(_("Fine"))\nflash(f"{x} saved")'
    )
    assert list(bare_strings(ast.parse(code))) == ["'Saved'", "'Name'", "'Too long'", "f'{x} saved'"]


def test_texts_are_extracted_from_domain_and_templates() -> None:
    keywords = {**DEFAULT_KEYWORDS, "sentence": None, "lazy_gettext": None}
    found = set()
    for path, method in (
        (ROOT / "domain/jobs/states.py", "python"),
        (ROOT / "templates/security/sign_in.html", "jinja2"),
    ):
        found |= {text for _, text, _, _ in extract(method, BytesIO(path.read_bytes()), keywords)}
    assert {"Installer assigned", "Sign in"} <= found


@pytest.fixture(scope="module")
def words_app() -> Flask:
    """Only Jinja with the extensions that Flask sets; no page is rendered."""
    return Flask("words")
