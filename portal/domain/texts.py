"""Text as people type it, brought into the shape in which it is kept."""

from __future__ import annotations

import unicodedata

# Blanks, control signs, and signs that only steer others, such as the zero-width space.
UNSEEN = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})


def shows(text: str) -> bool:
    """Return whether ``text`` has anything in it that can be seen; a reason without that is blank (P10)."""
    return any(unicodedata.category(sign) not in UNSEEN for sign in text)


def one_line(text: str) -> str:
    """Return ``text`` in one line, every run of blanks a single one; "" if nothing of it can be seen.

    Names stand in the subjects of messages, where a line break would begin another header.
    """
    return " ".join(text.split()) if shows(text) else ""


def letters_of(text: str) -> str:
    """Return the letters and digits of ``text`` in lower case, without accents and anything else: for comparing."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in plain if sign.isalnum())
