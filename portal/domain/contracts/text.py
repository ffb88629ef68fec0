"""A contract's text: the partner's template, what is filled into it, and the parts it is read in.

A template is text with placeholders such as ``{{ customer }}``. They are replaced by values and that is all: nothing in
a template is ever run, and what is filled in is not looked at again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from portal.domain.errors import Sentence, sentence, too_long
from portal.domain.texts import shows

MAX_TEXT = 20_000
PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
BRACES = re.compile(r"\{\{|\}\}")
# How much of what is wrong is said again in the error.
SHOWN = 30
HEADING, LINE = "# ", "- "

PLACEHOLDERS: Mapping[str, Sentence] = {
    "number": sentence("the installation’s number"),
    "title": sentence("the installation’s title"),
    "work": sentence("the service type"),
    "items": sentence("the items with their quantities, each a line of a list"),
    "customer": sentence("the customer’s name"),
    "address": sentence("the address of the installation"),
    "visits": sentence("the dates of the visits that were made"),
    "technician": sentence("who made the last visit"),
    "partner": sentence("your company’s name"),
    "phone": sentence("your telephone number"),
    "today": sentence("the date on which the contract is sent"),
    "version": sentence("1, or a higher number for a corrected contract"),
}
USUAL = sentence(
    """# What this is about
{{ partner }} carried out the following work for {{ customer }}.
Place: {{ address }}
Work: {{ work }}
Dates: {{ visits }}
Carried out by: {{ technician }}

# What was installed
{{ items }}

# What you confirm
The items above were installed at this place, completely and without visible damage, and you were shown how to use them.

# If something is not right
Please do not sign and tell {{ partner }} first."""
)


class Part(StrEnum):
    """What a part of the text is."""

    HEADING = "heading"
    LIST = "list"
    PARAGRAPH = "paragraph"


@dataclass(frozen=True, slots=True)
class Block:
    """A part of the text in its lines; those of a list without their dashes, a heading has one."""

    part: Part
    lines: tuple[str, ...]


def template_error(text: str) -> Sentence | None:
    """Say what is wrong with a template, or return ``None``; a blank one is fine and stands for the usual text."""
    if len(text) > MAX_TEXT:
        return too_long(MAX_TEXT)
    for found in PLACEHOLDER.finditer(text):
        if found[1] not in PLACEHOLDERS:
            return sentence("There is no placeholder %(placeholder)s; use those of the list.", placeholder=found[0])
    rest = PLACEHOLDER.sub("", text)
    stray = BRACES.search(rest)
    if stray is not None:
        part = rest[max(0, stray.start() - 5) :][:SHOWN].strip()
        return sentence("A placeholder looks like {{ customer }}; this one does not: %(part)s", part=part)
    if text.strip() and not shows(PLACEHOLDER.sub("x", text)):
        return sentence("Enter a text that can be seen")
    return None


def clean_template(text: str) -> str:
    """Return a template as it is kept, with the line ends of one kind."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def fill(template: str, values: Mapping[str, str]) -> str:
    """Return ``template`` with each placeholder replaced by its value; ``KeyError`` for one that has none."""
    return PLACEHOLDER.sub(lambda found: values[found[1]], template)


def blocks(body: str) -> Iterator[Block]:
    """Yield the parts of a contract's text in their order; a blank line ends a paragraph, another kind of line too."""
    part, lines = Part.PARAGRAPH, list[str]()
    for line in body.split("\n"):
        kind, text = _read(line.strip())
        if lines and (kind is not part or not text or kind is Part.HEADING):
            yield Block(part, tuple(lines))
            lines = []
        if text:
            part = kind
            lines.append(text)
    if lines:
        yield Block(part, tuple(lines))


def _read(line: str) -> tuple[Part, str]:
    if line.startswith(HEADING):
        return Part.HEADING, line.removeprefix(HEADING).strip()
    if line.startswith(LINE):
        return Part.LIST, line.removeprefix(LINE).strip()
    return Part.PARAGRAPH, line
