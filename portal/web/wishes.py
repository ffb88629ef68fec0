"""Preferred dates as people read them and as forms ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from flask import Flask
from flask_babel import gettext, lazy_gettext
from wtforms import FormField, SelectField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.widgets import DateInput

from portal.domain.requests.dates import MOST_DATES, Part, PreferredDate
from portal.web import formats
from portal.web.forms import Form, Lines

PARTS = {
    Part.ANY: lazy_gettext("Any time"),
    Part.MORNING: lazy_gettext("Morning"),
    Part.AFTERNOON: lazy_gettext("Afternoon"),
}


class DateForm(Form):
    """One preferred date, which may stay blank."""

    day = StringField(lazy_gettext("Date"), default="", widget=DateInput())
    part = SelectField(
        lazy_gettext("Time of day"),
        default=Part.ANY.value,
        choices=[SelectChoice(part.value, words) for part, words in PARTS.items()],
    )


class DatesMixin:
    """A form with up to three preferred dates in ``dates``."""

    dates: Any

    def read_dates(self) -> list[PreferredDate | None]:
        """Return the dates, ``None`` for one left blank; what is no date is an error at its field."""
        return [_read(entry.form) for entry in self.dates.entries[:MOST_DATES]]


def dates_field() -> Any:
    """Return the field for the preferred dates of a form."""
    return Lines(FormField(DateForm), lazy_gettext("Preferred dates"), min_entries=MOST_DATES, max_entries=MOST_DATES)


def _read(form: Any) -> PreferredDate | None:
    text = (form.day.data or "").strip()
    if not text:
        return None
    part = Part(form.part.data) if form.part.data in set(Part) else Part.ANY
    try:
        return PreferredDate(date.fromisoformat(text), part)
    except ValueError:
        example = formats.today().isoformat()
        form.day.errors = [gettext("Enter a date that exists, such as %(example)s", example=example)]
        return None


def preferred_words(dates: Sequence[PreferredDate]) -> str:
    """Return preferred dates in words: "Tue 1 Dec, morning; Thu 3 Dec, any time", or that any will do."""
    if not dates:
        return str(gettext("Any day"))
    return "; ".join(preferred_word(wish) for wish in dates)


def preferred_word(wish: PreferredDate) -> str:
    """Return one preferred date in words: "Tue 1 Dec, morning"."""
    part = {
        Part.ANY: gettext("any time"),
        Part.MORNING: gettext("morning"),
        Part.AFTERNOON: gettext("afternoon"),
    }[wish.part]
    return f"{formats.day(wish.day)}, {part}"


def init_app(app: Flask) -> None:
    """Make the words known to the templates of ``app``."""
    app.jinja_env.globals.update(preferred_words=preferred_words, preferred_word=preferred_word)
