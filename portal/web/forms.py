"""What forms and their templates need beside WTForms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import wtforms
from flask import Flask
from flask_babel import gettext
from markupsafe import Markup, escape
from wtforms import Field, FieldList, FormField
from wtforms.form import BaseForm
from wtforms.meta import DefaultMeta
from wtforms.validators import ValidationError
from wtforms.widgets import html_params

from portal.domain.errors import Sentence
from portal.web.i18n import FormTranslations, translate


@dataclass(frozen=True, slots=True)
class FieldError:
    """One error and the id of the control it belongs to."""

    id: str
    text: str


class _OneOfMany:
    """Draws the options of a ``ManySelectField`` in one go."""

    validation_attrs: Sequence[str] = ()

    def __call__(self, field: ManySelectField, **kwargs: Any) -> Markup:
        chosen = field.data
        options = "".join(
            f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>{escape(label)}</option>'
            for value, label in field.choices
        )
        return Markup(f"<select {html_params(id=field.id, name=field.name, **kwargs)}>{options}</select>")


class ManySelectField(Field):
    """A select of texts in ``choices``, pairs of value and label, for hundreds of them on a page that is shown a lot.

    WTForms' own takes each choice through an object, a widget call and a formatted string.
    """

    widget = _OneOfMany()
    choices: Sequence[tuple[str, str]] = ()

    def process_formdata(self, valuelist: list[str]) -> None:
        """Take the value that was sent."""
        if valuelist:
            self.data = valuelist[0]

    def pre_validate(self, form: Any) -> None:
        """Refuse what is not offered."""
        if all(value != self.data for value, _ in self.choices):
            raise ValidationError(gettext("Choose one of the list"))


class Form(wtforms.Form):
    """A form whose messages are in the reader's language, those of WTForms itself too."""

    class Meta(DefaultMeta):
        """How WTForms is asked for it."""

        def get_translations(self, form: Any) -> Any:
            return FormTranslations()


class Lines(FieldList):
    """A list of forms that knows the errors put at its entries, not only those that WTForms found itself."""

    _own: Sequence[Any] = ()

    @property
    def errors(self) -> Sequence[Any]:
        """Its own errors and those of its entries."""
        return [*self._own, *(entry.errors for entry in self.entries if entry.errors)]

    @errors.setter
    def errors(self, value: Sequence[Any]) -> None:
        self._own = value


def flat_errors(field: Field) -> Iterator[FieldError]:
    """Yield the errors of ``field`` and of the fields inside it, each with the id that a link can lead to.

    Those of a field with ``label_in_summary`` begin with its label, as many such messages read alike.
    """
    found = False
    for child in _inside(field):
        for error in flat_errors(child):
            found = True
            yield error
    if not found:
        label = f"{field.label.text}: " if getattr(field, "label_in_summary", False) else ""
        for text in field.errors:
            yield FieldError(field.id, f"{label}{text}")


def _inside(field: Field) -> Iterable[Field]:
    if isinstance(field, FieldList):
        return field.entries
    return field.form if isinstance(field, FormField) else ()


def _all_fields(fields: Iterable[Field]) -> Iterator[Field]:
    for field in fields:
        yield field
        yield from _all_fields(_inside(field))


def add_errors(form: BaseForm, errors: Mapping[str, Sentence], of: Any = None) -> None:
    """Put what a service found wrong (``Invalid.errors``) at the fields it names, as in ``items-0-quantity``.

    What names no field of ``form`` goes to the form itself, so that no error is lost. ``of`` as in ``formats``.
    """
    fields = {field.name: field for field in _all_fields(form)}
    for name, sentence in errors.items():
        text = translate(sentence, of)
        if name in fields:
            fields[name].errors = [*fields[name].errors, text]
        else:
            form.form_errors.append(text)


def init_app(app: Flask) -> None:
    """Make ``flat_errors`` known to the templates of ``app``."""
    app.jinja_env.globals["flat_errors"] = flat_errors
