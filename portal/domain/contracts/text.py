"""A contract's text: the partner's template (``templating``), what may stand in it, and the parts it is read in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from portal.domain.errors import Sentence, sentence
from portal.domain.templating import problem_of
from portal.domain.texts import shows

MAX_TEXT = 20_000
HEADING, LINE = "# ", "- "

PLACEHOLDERS: Mapping[str, Sentence] = {
    "job.number": sentence("the installation’s number"),
    "job.title": sentence("the installation’s title"),
    "job.service": sentence("the service type"),
    "job.items": sentence("the items with their quantities, each a line of a list"),
    "job.dates": sentence("the dates of the visits that were made"),
    "customer.name": sentence("the customer’s name"),
    "customer.address": sentence("the address of the installation"),
    "technician.name": sentence("who made the last visit"),
    "partner.name": sentence("your company’s name"),
    "partner.phone": sentence("your telephone number"),
    "contract.date": sentence("the date on which the contract is sent"),
    "contract.version": sentence("1, or a higher number for a corrected contract"),
}
USUAL = sentence(
    """# What this is about
{{ partner.name }} carried out the following work for {{ customer.name }}.
Place: {{ customer.address }}
Work: {{ job.service }}
Dates: {{ job.dates }}
Carried out by: {{ technician.name }}

# What was installed
{{ job.items }}

# What you confirm
The items above were installed at this place, completely and without visible damage, and you were shown how to use them.

# If something is not right
Please do not sign, and tell {{ partner.name }} first."""
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
    problem = problem_of(text, PLACEHOLDERS, MAX_TEXT)
    return problem.sentence if problem is not None else None


def clean_template(text: str) -> str:
    """Return a template as it is kept, with line ends of one kind; "" if nothing of it can be seen."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip() if shows(text) else ""


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
