"""The steps' forms: the shape of what a technician sends. What may be sent is the domain's to say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask_babel import lazy_gettext
from wtforms import (
    DateField,
    HiddenField,
    IntegerField,
    RadioField,
    StringField,
    TextAreaField,
    TimeField,
    ValidationError,
)
from wtforms.widgets import TextInput

from portal.domain.jobs.fieldwork import Signature
from portal.domain.scheduling.models import PauseReason
from portal.web.drawings import drawn
from portal.web.forms import Form

# The control stands on the visit's page, its button in the dock.
IN_DOCK = {"form": "next-step"}
LONGEST_KEY = 20


class Minutes(IntegerField):
    """A whole number of minutes, or nothing."""

    # A number input would send nothing for what it cannot read.
    widget = TextInput()

    def process_formdata(self, valuelist: list[str]) -> None:
        """Take "" for nothing; ``ValueError`` in words for what is no number."""
        self.data = None
        text = valuelist[0].strip() if valuelist else ""
        if not text:
            return
        try:
            self.data = int(text)
        except ValueError:
            raise ValueError(lazy_gettext("Enter a whole number of minutes, or leave it empty")) from None


class Day(DateField):
    """A local date, or nothing."""

    def process_formdata(self, valuelist: list[str]) -> None:
        """Take "" for nothing; ``ValueError`` in words for what is no date, such as 31 June."""
        try:
            super().process_formdata([value for value in valuelist if value.strip()])
        except ValueError:
            raise ValueError(lazy_gettext("Enter a date that exists, such as 24/11/2026")) from None


class Clock(TimeField):
    """A local wall-clock time, or nothing."""

    def process_formdata(self, valuelist: list[str]) -> None:
        """Take "" for nothing; ``ValueError`` in words for what is no time."""
        try:
            super().process_formdata([value for value in valuelist if value.strip()])
        except ValueError:
            raise ValueError(lazy_gettext("Enter a time such as 9:30")) from None


class StepForm(Form):
    """A step that asks nothing."""


class SetOffForm(StepForm):
    minutes = Minutes(lazy_gettext("Minutes to arrival"), render_kw={"inputmode": "numeric", "autocomplete": "off"})


class CompleteForm(StepForm):
    service_notes = TextAreaField(lazy_gettext("Service notes"), default="", render_kw=IN_DOCK)
    signed_name = StringField(
        lazy_gettext("Name of who signs"), default="", render_kw={**IN_DOCK, "autocomplete": "off"}
    )
    drawing = HiddenField(default="", render_kw=IN_DOCK)

    @property
    def signature(self) -> Signature:
        """The customer's signature, as far as there is one."""
        return Signature(self.signed_name.data or "", drawn(self.drawing.data or ""))


def _key(value: Any) -> int | None:
    """Return a row's key out of a form, ``None`` for what is none."""
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < LONGEST_KEY else None


class PauseForm(StepForm):
    pause_reason = RadioField(lazy_gettext("Reason"), coerce=_key, validate_choice=False)
    note = TextAreaField(lazy_gettext("Note"), default="")

    def offer(self, reasons: Sequence[PauseReason]) -> None:
        """Offer ``reasons`` and nothing else."""
        self.pause_reason.choices = [(reason.id, reason.label) for reason in reasons]

    def validate_pause_reason(self, field: Any) -> None:
        """Refuse what is not on offer in the words of the page."""
        if field.data not in [key for key, _ in field.choices]:
            raise ValidationError(lazy_gettext("Choose one of the reasons"))


class NoteForm(Form):
    note = TextAreaField(lazy_gettext("Add a note"), default="")


class TurnBackForm(StepForm):
    reason = TextAreaField(lazy_gettext("Reason"), default="")


class ContinueForm(StepForm):
    day = Day(lazy_gettext("Date"), format="%Y-%m-%d")
    clock = Clock(lazy_gettext("Time"), format=["%H:%M", "%H:%M:%S"])

    def validate_day(self, field: Any) -> None:
        """Ask for the other half of a date and time of which only one was given."""
        if field.data is None and self.clock.data is not None and not field.errors:
            raise ValidationError(lazy_gettext("Enter the date as well"))

    def validate_clock(self, field: Any) -> None:
        """As ``validate_day``."""
        if field.data is None and self.day.data is not None and not field.errors:
            raise ValidationError(lazy_gettext("Enter the time as well"))
