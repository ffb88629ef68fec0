"""The reader's language, and the domain's sentences in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from flask import Flask, g, has_request_context, request
from flask_babel import Domain, LazyString, force_locale, get_locale, gettext
from flask_babel import _get_current_context as _of_request
from jinja2 import pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup, escape
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.i18n import messages_path

from portal.domain.errors import Sentence
from portal.extensions import babel

# English is in the code; each other language has a catalogue in portal/translations. Each is called by its own name.
DEFAULT = "en_GB"
LANGUAGES = {DEFAULT: "English", "de_DE": "Deutsch"}
BY_TAG = {name.partition("_")[0]: name for name in LANGUAGES}


class TypedText(LazyString):
    """A text that somebody typed, looked up when it is shown. A plain ``LazyString`` passes for HTML: it is ours."""

    def __html__(self) -> str:
        return str(escape(str(self)))


class _Catalogues(Domain):
    """flask-babel's, which looks for the catalogue at every word; a page has a hundred, and one language."""

    def get_translations(self) -> Any:
        """Return the catalogue of this request's language."""
        # Mostly where flask-babel put it before, which itself looks in three steps.
        kept = (g and g.get("_flask_babel")) or _of_request()
        if kept is None:
            return super().get_translations()
        # Where flask-babel itself forgets it when the language changes.
        found = getattr(kept, "babel_translations", None)
        if found is None:
            found = kept.babel_translations = super().get_translations()
        return found


def init_app(app: Flask) -> None:
    """Choose each reader's language for ``app``."""
    app.config.update(BABEL_DEFAULT_LOCALE=DEFAULT, BABEL_DEFAULT_TIMEZONE="UTC")
    babel.init_app(app, locale_selector=_choose)
    catalogues = babel.domain_instance = _Catalogues()
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        gettext=lambda text: catalogues.get_translations().ugettext(text),
        ngettext=lambda one, many, number: catalogues.get_translations().ungettext(one, many, number),
        newstyle=True,
        pgettext=lambda context, text: catalogues.get_translations().upgettext(context, text),
        npgettext=lambda context, one, many, number: catalogues.get_translations().unpgettext(
            context, one, many, number
        ),
    )

    @pass_eval_context
    def underscore(context: EvalContext, text: str, **values: object) -> str:
        """Return ``text`` in the reader's language, filled with ``values``, as Jinja's own does in three calls."""
        found = catalogues.get_translations().ugettext(text)
        filled: str = (Markup(found) if context.autoescape else found) % values
        return filled

    app.jinja_env.globals["_"] = underscore
    app.jinja_env.globals["html_lang"] = lambda: tag_of(str(get_locale()))
    app.jinja_env.filters.update(translate=translate, within=within)


def tag_of(name: str) -> str:
    """Return the language ``name`` as HTML says it: "en-GB"."""
    return name.replace("_", "-")


def within(term: str) -> str:
    """Return a term such as "Handyman" as it stands within a sentence: German writes nouns with a capital there too."""
    return term if get_locale().language == "de" else term.lower()


def _choose() -> str:
    """Return the language the person chose, else the browser's first that exists. Never loads anybody for it."""
    if not has_request_context():
        return DEFAULT
    chosen = getattr(g.get("_login_user"), "locale", "")
    if chosen in LANGUAGES:
        return str(chosen)
    # In the order of preference: who puts English before German reads English, whatever its kind.
    wanted = (BY_TAG.get(re.split("[-_]", tag)[0].lower()) for tag, weight in request.accept_languages if weight > 0)
    return next((name for name in wanted if name), DEFAULT)


# Translating a label for every row of a list would cost more than reading the rows.
@lru_cache(maxsize=4096)
def _label(locale: str, msgid: str) -> str:
    """Return ``msgid`` in the reader's language, which is ``locale``."""
    return str(gettext(msgid))


def translate(sentence: Sentence | str, of: Any = None) -> str:
    """Return ``sentence`` in the reader's language; its instants are shown in the zone of ``of`` (see ``formats``)."""
    if isinstance(sentence, str):
        return gettext(sentence)
    if not sentence.params:
        return _label(str(get_locale()), sentence.msgid)
    params = {name: _param(value, of) for name, value in sentence.params.items()}
    return str(gettext(sentence.msgid, **params))


def say_in(locale: str) -> Callable[[Sentence], str]:
    """Return how a sentence is said in the language ``locale``, whoever reads the page; "" and an unknown: English."""
    name = locale if locale in LANGUAGES else DEFAULT

    def say(sentence: Sentence) -> str:
        with force_locale(name):
            return translate(sentence)

    return say


def language_choices() -> list[SelectChoice]:
    """Return the languages that a company may speak, for a select: English, which is the usual one, has no name."""
    return [SelectChoice("" if name == DEFAULT else name, itself) for name, itself in LANGUAGES.items()]


def _param(value: object, of: Any) -> object:
    from portal.web import formats

    if isinstance(value, Sentence):
        return translate(value, of)
    if isinstance(value, datetime):
        return formats.when(value, of)
    if isinstance(value, date):
        return formats.day(value, of)
    return value


class FormTranslations:
    """WTForms' own messages in the reader's language, from the catalogues that WTForms brings."""

    _domain = Domain(messages_path(), domain="wtforms")

    def gettext(self, text: str) -> str:
        return str(self._domain.get_translations().ugettext(text))

    def ngettext(self, one: str, many: str, number: int) -> str:
        return str(self._domain.get_translations().ungettext(one, many, number))
