"""The partner's own words for messages (N2): which there are, an editor with a preview, a test, and every version.

They are about visits, requests for new service, and invitations. Links to sign in and for a new password are not here:
those are the platform's own, since who asks for one may belong to several partners.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flask import Response, current_app, flash, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin import BaseView, expose
from flask_babel import gettext, lazy_gettext, lazy_pgettext
from flask_security import current_user
from wtforms import IntegerField, SelectField, StringField, TelField, TextAreaField
from wtforms.validators import Optional

from portal.admin.base import AdminPage, VersionedForm, differences_of, key_from, the_actor, the_partner_id
from portal.admin.channels import trial_badge
from portal.admin.message_rules import moment_words
from portal.domain.actor import Actor, Permission
from portal.domain.delivery import trials
from portal.domain.errors import Conflict, Invalid, NotFound, Refused, Sentence, sentence
from portal.domain.messages import templates
from portal.domain.messages.models import (
    RULED,
    TO_TECHNICIANS,
    WORDED,
    Channel,
    MessageKind,
    MessageRule,
    MessageTemplate,
)
from portal.domain.messages.outbox import Letter
from portal.domain.messages.queries import Facts, InvitationFacts, WordedFacts
from portal.domain.messages.rules import rules_of_kind
from portal.domain.messages.showing import facts_about, problem_with, rows_to_show
from portal.domain.messages.templates import About, Place, Words
from portal.domain.paging import Cursor, Page
from portal.domain.templating import Unusable
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import db
from portal.settings import Settings
from portal.web import formats
from portal.web.cursors import cursor_args, cursor_from
from portal.web.forms import Form, add_errors
from portal.web.http import CONTENT_POLICY, headers_of
from portal.web.i18n import BY_TAG, LANGUAGES, tag_of, translate
from portal.web.letters.rendering import Renderer
from portal.web.letters.segments import Size, size_of
from portal.web.letters.values import MEANINGS
from portal.web.statuses import MESSAGE_CHANNELS

ROWS_OFFERED = 20
VERSIONS_SHOWN = 10
TAGS = {name: tag for tag, name in BY_TAG.items()}
STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
# By what the words are about: with what they are shown, and what is said where there is nothing of it.
SHOWN_WITH = {
    About.VISIT: lazy_gettext("With the visit"),
    About.REQUEST: lazy_gettext("With the request"),
    About.INVITATION: lazy_gettext("With the invitation"),
}
NOTHING_TO_SHOW = {
    About.VISIT: lazy_gettext("As soon as there is a visit, it is shown with one."),
    About.REQUEST: lazy_gettext("As soon as there is such a request, it is shown with one."),
    About.INVITATION: lazy_gettext("As soon as somebody was invited, it is shown with that."),
}
NOTHING_TO_TEST = {
    About.VISIT: sentence("There is no visit yet with which a test could be filled in."),
    About.REQUEST: sentence("There is no such request yet with which a test could be filled in."),
    About.INVITATION: sentence("There is no invitation yet with which a test could be filled in."),
}
GROUPS = (
    (lazy_gettext("About visits"), lambda kind: templates.about(kind) is About.VISIT and kind not in TO_TECHNICIANS),
    (lazy_gettext("About requests for new service"), lambda kind: templates.about(kind) is About.REQUEST),
    (lazy_gettext("To technicians, about their visits"), lambda kind: kind in TO_TECHNICIANS),
    (lazy_gettext("Invitations"), lambda kind: templates.about(kind) is About.INVITATION),
)
AS_TYPED = {"spellcheck": "true", "autocomplete": "off"}


class WordsForm(VersionedForm):
    """The parts of the words; a text has the second alone."""

    subject = StringField(lazy_gettext("Subject"), default="", render_kw={"autocomplete": "off", "data-words": True})
    body = TextAreaField(
        lazy_pgettext("letter", "Text"), default="", render_kw=AS_TYPED | {"data-words": True, "rows": 16}
    )
    body_html = TextAreaField(lazy_gettext("HTML"), default="", render_kw=AS_TYPED | {"data-words": True, "rows": 16})

    @classmethod
    def for_place(cls, place: Place, *args: Any, **kwargs: Any) -> WordsForm:
        """Return the form with only the fields that ``place`` has."""
        form = cls(*args, **kwargs)
        for name in {"subject", "body", "body_html"} - set(place.fields):
            del form[name]
        return form

    def words(self) -> Words:
        """Return what was typed, for the use case."""
        return Words(**{name: self[name].data or "" for name in ("subject", "body", "body_html") if name in self})


class TrialForm(Form):
    """With which visit, request or invitation the words are shown, and where a test of a text goes to."""

    about = SelectField(default="", validate_choice=False, render_kw={"form": "words"})
    number = TelField(
        lazy_gettext("Telephone number for a test"), default="", render_kw={"autocomplete": "off", "form": "words"}
    )


class RestoreForm(Form):
    """Which version is put back, from which that holds."""

    number = IntegerField(validators=[Optional()])
    version = IntegerField(validators=[Optional()])


@dataclass(frozen=True, slots=True)
class Shown:
    """Words on a real row: the letter they make, how long a text is, and what may not be meant."""

    letter: Letter | None
    size: Size | None
    warnings: Sequence[Sentence]
    problem: Sentence | None = None


class MessageWordsView(AdminPage):
    """What messages say, by kind, channel and language, effective at once for every message not sent yet."""

    permission = Permission.MANAGE_SETTINGS

    @property
    def extra_js(self) -> list[str]:
        """Return the scripts that these pages gain by."""
        return [url_for("static", filename="js/words.js")]

    @expose("/")
    def index(self) -> ResponseReturnValue:
        partner_id = the_partner_id(the_actor())
        present = templates.present_versions(db.session(), partner_id)
        return self.render(
            "admin/messages/list.html",
            groups=[(name, [kind for kind in MessageKind if kind in WORDED and of(kind)]) for name, of in GROUPS],
            channels_of=templates.channels_of,
            channels=list(Channel),
            languages=LANGUAGES,
            own={place for place, version in present.items() if version.own},
            place=Place,
            place_url=self.place_url,
        )

    @expose("/<kind>/<channel>/<language>", methods=("GET", "POST"))
    def edit_view(self, kind: str, channel: str, language: str) -> ResponseReturnValue:
        """Show the words and what they make of a real visit, request or invitation; save or try them as typed."""
        place, partner_id = _place(kind, channel, language), the_partner_id(the_actor())
        present = templates.present_version(db.session(), partner_id, place)
        trial = self._trial(place, request.values)
        if request.method != "POST":
            form = _form_of(place, present)
            # Words of an earlier version may be none any more.
            _no_errors(form, templates.errors_in(place, form.words()))
            return self._page(place, form, trial, present)
        form = WordsForm.for_place(place, request.form)
        if form.validate() and _no_errors(form, templates.errors_in(place, form.words())):
            if "preview" in request.form:
                return self._page(place, form, trial, present)
            if "test" in request.form:
                self._send_test(place, form, trial)
                return self._page(place, form, trial, present)
            try:
                with unit_of_work(db.session()) as session:
                    version, words = form.version.data or 0, form.words()
                    templates.save_words(session, the_actor(), formats.now(), partner_id, place, version, words)
            except Invalid as refused:
                add_errors(form, refused.errors)
            except Conflict:
                return self._conflict(place, form, trial)
            else:
                flash(gettext("Saved. Every message that is not sent yet says it."), "ok")
                return redirect(self.place_url(place, about=trial.about.data or None), 303)
        return self._page(place, form, trial, present)

    @expose("/<kind>/<channel>/<language>/versions")
    def versions_view(self, kind: str, channel: str, language: str) -> ResponseReturnValue:
        """Show every version, with who saved it when."""
        place, partner_id = _place(kind, channel, language), the_partner_id(the_actor())
        session = db.session()
        cursor = cursor_from(request.args, templates.NEWEST_FIRST)
        page: Page[MessageTemplate] = templates.versions(session, partner_id, place, cursor, VERSIONS_SHOWN)
        return self.render(
            "admin/messages/versions.html",
            place=place,
            languages=LANGUAGES,
            place_url=self.place_url,
            restore_url=self.get_url(".restore_view", **_names(place)),
            present=templates.present_version(session, partner_id, place),
            versions=page.rows,
            tag_of=tag_of,
            labels={name: WordsForm()[name].label.text for name in place.fields},
            back_url=self._versions_url(place, page.back),
            forward_url=self._versions_url(place, page.forward),
        )

    @expose("/<kind>/<channel>/<language>/restore", methods=("POST",))
    def restore_view(self, kind: str, channel: str, language: str) -> ResponseReturnValue:
        """Put an earlier version back."""
        place, form = _place(kind, channel, language), RestoreForm(request.form)
        form.validate()
        version, number = form.version.data or 0, form.number.data or 0

        def restore(session: Any, actor: Actor, now: datetime, partner_id: int) -> MessageTemplate:
            return templates.restore_version(session, actor, now, partner_id, place, version, number)

        return self._put_back(place, restore)

    @expose("/<kind>/<channel>/<language>/standard", methods=("POST",))
    def standard_view(self, kind: str, channel: str, language: str) -> ResponseReturnValue:
        """Go back to the standard words."""
        place, form = _place(kind, channel, language), RestoreForm(request.form)
        form.validate()
        version = form.version.data or 0

        def go_back(session: Any, actor: Actor, now: datetime, partner_id: int) -> MessageTemplate:
            return templates.use_standard(session, actor, now, partner_id, place, version)

        return self._put_back(place, go_back)

    def place_url(self, place: Place, **args: Any) -> str:
        """Return the address of the editor of ``place``."""
        return str(self.get_url(".edit_view", **_names(place), **args))

    def _versions_url(self, place: Place, cursor: Cursor | None) -> str | None:
        args = _names(place) | (cursor_args(cursor) if cursor is not None else {})
        return str(self.get_url(".versions_view", **args)) if cursor is not None else None

    def _put_back(self, place: Place, use_case: Any) -> ResponseReturnValue:
        try:
            with unit_of_work(db.session()) as session:
                actor = the_actor()
                saved = use_case(session, actor, formats.now(), the_partner_id(actor))
        except Invalid as refused:
            problem = "; ".join(translate(one) for one in refused.errors.values())
            flash(gettext("That version cannot be used any more. %(problem)s", problem=problem), "danger")
            return redirect(self.get_url(".versions_view", **_names(place)), 303)
        if saved.own:
            flash(gettext("Saved. Every message that is not sent yet says it."), "ok")
        else:
            flash(gettext("The standard words hold again."), "ok")
        return redirect(self.place_url(place), 303)

    def _trial(self, place: Place, args: Any) -> TrialForm:
        form = TrialForm(args)
        form.validate()
        form.about.label.text = SHOWN_WITH[place.about]
        offered = rows_to_show(db.session(), place, ROWS_OFFERED)
        form.about.choices = [(str(key), _row_words(name, at)) for key, name, at in offered]
        chosen = form.about.data
        if not chosen and offered:
            form.about.data = str(offered[0][0])
        elif chosen and all(chosen != str(key) for key, _, _ in offered):
            facts = facts_about(db.session(), formats.now(), key_from(chosen), place)
            form.about.choices.insert(0, (chosen, _row_words(*_row_of(facts))))
        return form

    def _shown(self, place: Place, words: Words, trial: TrialForm) -> Shown:
        warnings = templates.warnings_about(place, words)
        if not trial.about.data:
            return Shown(None, None, warnings)
        facts = facts_about(db.session(), formats.now(), key_from(trial.about.data), place)
        problem = problem_with(facts)
        if problem is not None:
            return Shown(None, None, warnings, problem)
        try:
            letter = _renderer().letter_of(facts, formats.now(), words, harmless=True)
        except Unusable as unusable:
            return Shown(None, None, warnings, unusable.problem.sentence)
        return Shown(letter, size_of(letter.body) if place.channel is Channel.TEXT else None, warnings)

    def _send_test(self, place: Place, form: WordsForm, trial: TrialForm) -> None:
        shown = self._shown(place, form.words(), trial)
        if shown.letter is None:
            flash(translate(shown.problem or NOTHING_TO_TEST[place.about]), "danger")
            return
        letter = shown.letter
        subject = gettext("Test: %(subject)s", subject=letter.subject) if letter.subject else ""
        words = Words(subject, letter.body, letter.body_html)
        is_text = place.channel is Channel.TEXT
        recipient = trial.number.data or "" if is_text else current_user.email
        actor = the_actor()
        try:
            with unit_of_work(db.session()) as session:
                partner_id = the_partner_id(actor)
                trials.ask_test(session, actor, formats.now(), partner_id, place.channel, recipient, words)
        except Invalid as refused:
            add_errors(trial, refused.errors)
        except Refused as refused_now:
            flash(translate(refused_now.refusal.sentence), "danger")
        else:
            flash(gettext("The test is on its way; what becomes of it shows here in a moment."), "ok")

    def _conflict(self, place: Place, form: WordsForm, trial: TrialForm) -> ResponseReturnValue:
        stored = templates.present_version(db.session(), the_partner_id(the_actor()), place)
        differences = differences_of(form, _form_of(place, stored))
        form.renew(stored.number if stored is not None else 0)
        return self._page(place, form, trial, stored, differences)

    def _page(
        self,
        place: Place,
        form: WordsForm,
        trial: TrialForm,
        present: MessageTemplate | None,
        differences: Any = None,
    ) -> Response:
        session, partner_id = db.session(), the_partner_id(the_actor())
        shown = Shown(None, None, ()) if form.errors else self._shown(place, form.words(), trial)
        rules: Sequence[MessageRule] = rules_of_kind(session, place.kind, place.channel)
        page = self.render(
            "admin/messages/editor.html",
            place=place,
            form=form,
            trial=trial,
            present=present,
            shown=shown,
            differences=differences,
            languages=LANGUAGES,
            place_url=self.place_url,
            channel_places=[
                (MESSAGE_CHANNELS[one], replace(place, channel=one)) for one in templates.channels_of(place.kind)
            ],
            language_places=[(language, replace(place, locale=name)) for name, language in LANGUAGES.items()],
            tag_of=tag_of,
            has_rules=place.kind in RULED,
            moments=[moment_words(rule) for rule in rules],
            nothing_to_show=NOTHING_TO_SHOW[place.about],
            placeholders=[(name, MEANINGS[name]) for name in place.placeholders],
            versions_url=self.get_url(".versions_view", **_names(place)),
            standard_url=self.get_url(".standard_view", **_names(place)),
            own_address=current_user.email,
            test=trials.latest_tests(session, partner_id).get(place.channel),
            test_badge=trial_badge,
            form_has_errors=bool(form.errors or trial.errors) or differences is not None,
        )
        refused = request.method == "POST" and bool(form.errors or trial.errors)
        response = make_response(page, 409 if differences is not None else 422 if refused else 200)
        if shown.letter is not None and shown.letter.body_html:
            # The letter in its frame brings its own style, and this page knows exactly which.
            response.headers["Content-Security-Policy"] = (
                f"{dict(headers_of(current_app))[CONTENT_POLICY]}; style-src 'self' {_hash_of(shown.letter.body_html)}"
            )
        return response


def _place(kind: str, channel: str, language: str) -> Place:
    if language not in BY_TAG:
        raise NotFound
    return Place.of(kind, channel, BY_TAG[language])


def _names(place: Place) -> dict[str, str]:
    return {"kind": place.kind.value, "channel": place.channel.value, "language": TAGS[place.locale]}


def _no_errors(form: WordsForm, errors: dict[str, Sentence]) -> bool:
    add_errors(form, errors)
    return not errors


def _row_words(name: str, at: datetime) -> str:
    return gettext("%(name)s, %(day)s", name=name, day=formats.day(at))


def _row_of(facts: WordedFacts) -> tuple[str, datetime]:
    """Return what ``rows_to_show`` says of the row that ``facts`` are about."""
    if isinstance(facts, Facts):
        return facts.customer.name, facts.visit.start_at
    if isinstance(facts, InvitationFacts):
        return facts.invitation.name, facts.invitation.created_at
    return facts.customer.name, facts.request.asked_at


def _form_of(place: Place, present: MessageTemplate | None) -> WordsForm:
    words = templates.words_of(present) or _renderer().standard_words(place)
    values = {name: getattr(words, name) for name in place.fields}
    return WordsForm.for_place(place, data=values | {"version": present.number if present is not None else 0})


def _hash_of(html: str) -> str:
    found = STYLE.search(html)
    digest = hashlib.sha256((found.group(1) if found else "").encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _renderer() -> Renderer:
    renderer: Renderer | None = current_app.extensions.get("letters")
    if renderer is None:
        settings: Settings = current_app.config["SETTINGS"]
        renderer = current_app.extensions["letters"] = Renderer(settings)
    return renderer


def views() -> list[BaseView]:
    """Return the views of this subject, in the order of the menu."""
    return [
        MessageWordsView(
            name=lazy_gettext("Messages"), category="Set-up", endpoint="message_words", url="/admin/message-words"
        )
    ]
