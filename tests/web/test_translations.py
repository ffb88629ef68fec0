"""Each language is complete: no message of the code is missing, guessed, left over, or has lost a placeholder."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po
from babel.support import Translations

from portal.web.i18n import DEFAULT, LANGUAGES

ROOT = Path(__file__).resolve().parents[2]
OTHERS = sorted(name.partition("_")[0] for name in LANGUAGES if name != DEFAULT)
KEYWORDS = {**DEFAULT_KEYWORDS, "sentence": None, "lazy_gettext": None, "lazy_pgettext": ((1, "c"), 2)}
# What the code fills in, what scripts fill in, and tags.
HOLES = re.compile(r"%\([a-z_]+\)[a-z]|\{[a-z_]+\}|<[^>]+>")
AROUND = re.compile(r"^\s*|\s*$")
ENDS = (".", ":", "?", "…", ",")


def catalogue(language: str) -> Path:
    return ROOT / f"portal/translations/{language}/LC_MESSAGES/messages.po"


def read(language: str) -> Catalog:
    with catalogue(language).open("rb") as file:
        return read_po(file, locale=language)


def key(message: Message) -> tuple[str | None, str | tuple[str, ...]]:
    ids = tuple(message.id) if message.pluralizable else str(message.id)
    return message.context or None, ids


@pytest.fixture(scope="module")
def said() -> set[tuple[str | None, str | tuple[str, ...]]]:
    """Every message of code and templates, found as `make messages` finds them."""
    with (ROOT / ".babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)
    found = extract_from_dir(ROOT, methods, options, keywords=KEYWORDS)
    return {(context, tuple(text) if isinstance(text, tuple | list) else text) for _, _, text, _, context in found}


@pytest.mark.parametrize("language", OTHERS)
def test_every_message_is_in_the_catalogue_and_no_other(language: str, said: set[object]) -> None:
    """Mend a difference with `make messages`, then translate what is empty."""
    catalog = read(language)
    kept = {key(message) for message in catalog if message.id}
    assert sorted(map(str, said - kept)) == [], "not in the catalogue"
    assert sorted(map(str, kept - said)) == [], "no longer in the code"
    assert list(catalog.obsolete) == []


@pytest.mark.parametrize("language", OTHERS)
def test_every_message_is_translated_whole(language: str) -> None:
    assert list(complaints(read(language))) == []


def complaints(catalog: Catalog) -> Iterator[str]:
    """Yield what is wrong with a catalogue, message by message."""
    for message in catalog:
        if not message.id:
            continue
        ids = message.id if message.pluralizable else [message.id]
        texts = message.string if message.pluralizable else [message.string]
        if message.fuzzy:
            yield f"guessed: {ids[0]}"
        if len(texts) != (catalog.num_plurals if message.pluralizable else 1) or not all(texts):
            yield f"not translated: {ids[0]}"
            continue
        for text in texts:
            if sorted(HOLES.findall(text)) != sorted(HOLES.findall(ids[-1])):
                yield f"other placeholders: {ids[-1]} → {text}"
            if AROUND.findall(text) != AROUND.findall(ids[0]):
                yield f"other blanks around it: {ids[0]} → {text}"
            if ids[0].endswith(ENDS) != text.endswith(ENDS):
                yield f"ends otherwise: {ids[0]} → {text}"


def test_no_german_sentence_ends_with_a_date_which_has_a_full_stop_of_its_own() -> None:
    texts = [
        text for one in read("de") if one.id for text in ([one.string] if isinstance(one.string, str) else one.string)
    ]
    assert [text for text in texts if re.search(r"%\(day\)s\.(\s|$)", text)] == []


def test_the_finder_finds() -> None:
    catalog = Catalog(locale="de")
    catalog.add("Fine %(name)s.", "Gut, %(name)s.")
    catalog.add("Guess", "Vermutung", flags=["fuzzy"])
    catalog.add("Empty")
    catalog.add("Call %(name)s", "%(nam)s anrufen")
    catalog.add(("%(num)d day", "%(num)d days"), ("%(num)d Tag", ""))
    catalog.add(("%(num)d hour", "%(num)d hours"), ("eine Stunde", "%(num)d Stunden"))
    catalog.add("to ", "bis")
    catalog.add("Saved.", "Gespeichert")
    assert [text.partition(":")[0] for text in complaints(catalog)] == [
        "guessed",
        "not translated",
        "other placeholders",
        "not translated",
        "other placeholders",
        "other blanks around it",
        "ends otherwise",
    ]


@pytest.mark.parametrize("language", OTHERS)
def test_what_is_served_is_what_the_catalogue_says(language: str) -> None:
    """`make setup` compiles the catalogues; tests and pages read the compiled ones."""
    with catalogue(language).with_suffix(".mo").open("rb") as file:
        served = Translations(file)
    wanted = [message for message in read(language) if message.id and message.string]
    stale = [message.id for message in wanted if not is_served(message, served)]
    assert stale == [], "run make setup"


def is_served(message: Message, served: Translations) -> bool:
    if message.pluralizable:
        one, many = message.id
        return (served.ungettext(one, many, 1), served.ungettext(one, many, 2)) == tuple(message.string)
    if message.context:
        return bool(served.upgettext(message.context, message.id) == message.string)
    return bool(served.ugettext(message.id) == message.string)


def test_compiled_catalogues_are_part_of_the_package() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = settings["tool"]["setuptools"]["package-data"]["portal"]
    compiled = {path for pattern in patterns for path in (ROOT / "portal").glob(pattern)}
    assert {catalogue(language).with_suffix(".mo") for language in OTHERS} <= compiled
