"""How long a text is, as telephones count: which letters it has decides how many go into one."""

from __future__ import annotations

from dataclasses import dataclass

# The letters of GSM 03.38; those of the second row count twice.
ONCE = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
TWICE = frozenset("^{}\\[~]|€\f")
# What typesetting writes otherwise, and what says the same.
PLAINLY = str.maketrans(
    {"–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "„": '"', "…": "...", "\u00a0": " "}
)
# How many go into a text on its own, and into each part of a longer one.
PLAIN, OTHER = (160, 153), (70, 67)


@dataclass(frozen=True, slots=True)
class Size:
    """How many characters a text has as telephones count them, how many go into one text, and how many texts it is."""

    length: int
    room: int
    texts: int


def plainly(text: str) -> str:
    """Return ``text`` in the usual alphabet where a dash or a quotation mark alone would keep it out, else as it is."""
    plain = text.translate(PLAINLY)
    return plain if _is_usual(plain) else text


def size_of(text: str) -> Size:
    """Return how long ``text`` is. One letter outside the usual alphabet makes every letter count more."""
    if _is_usual(text):
        length, (alone, part) = sum(1 + (sign in TWICE) for sign in text), PLAIN
    else:
        # In units of UTF-16: a sign beyond the first plane, such as a smiley, counts twice.
        length, (alone, part) = len(text.encode("utf-16-le")) // 2, OTHER
    texts = 1 if length <= alone else -(-length // part)
    return Size(length, alone if texts == 1 else texts * part, texts)


def _is_usual(text: str) -> bool:
    return all(sign in ONCE or sign in TWICE for sign in text)
