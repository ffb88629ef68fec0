"""From the facts to a letter or text, in the reader's language and the partner's time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from urllib.parse import urlsplit

import structlog
from flask import Flask, g
from flask_babel import force_locale
from flask_babel import gettext as _
from jinja2 import StrictUndefined

from portal.domain.access.models import AccessKind
from portal.domain.access.services import token_for as access_token_for
from portal.domain.delivery.trials import TrialFacts
from portal.domain.errors import sentence
from portal.domain.messages import templates
from portal.domain.messages.models import Channel, Message
from portal.domain.messages.outbox import Letter
from portal.domain.messages.queries import AccessFacts, Facts, InvitationFacts, RequestFacts, WordedFacts
from portal.domain.messages.services import ESSENTIAL
from portal.domain.messages.templates import Place
from portal.settings import Environment, Settings
from portal.web import branding, formats, i18n
from portal.web.letters.requests import wished_line
from portal.web.letters.segments import plainly
from portal.web.letters.standard import standard_source, words_for
from portal.web.letters.values import Known, values_of
from portal.web.letters.words import access_text, access_words, length_line, test_words, text_for, work_line
from portal.web.links import access_path, unsubscribe_path

log = structlog.get_logger("portal.letters")

UNUSABLE = sentence("Your own words could not be used, so it was sent in the standard ones.")
_light, _dark = lru_cache(branding.light), lru_cache(branding.dark)


class Renderer:
    """Writes letters from ``templates/messages``; a missing value is an error, never a gap in a sentence."""

    def __init__(self, settings: Settings) -> None:
        # Only for translations, formats and templates; it serves nothing.
        self._app = Flask("portal")
        self._app.jinja_env.undefined = StrictUndefined
        i18n.init_app(self._app)
        formats.init_app(self._app)
        self._base_url = settings.base_url
        # What is kept of a letter is read in the demo as its reader has it; elsewhere its links are theirs alone.
        self._keeps_links = settings.doorstep_env is Environment.DEMO
        self._key = self._app.config["SECRET_KEY"] = settings.secret_key.get_secret_value()
        self._host = urlsplit(settings.base_url).hostname or "localhost"

    def letter(self, facts: WordedFacts, now: datetime) -> Letter:
        """Return the letter or text that ``facts`` make, as of ``now`` (an instant).

        It says the partner's own words where there are some. Words that cannot be used after all give way to the
        standard ones, which the letter's ``note`` says: a message is never lost by them.
        """
        own, note = templates.words_of(facts.template), ""
        if own is not None:
            try:
                return self.letter_of(facts, now, own)
            except Exception as error:
                # Whatever it is: the message goes out all the same.
                log.warning("own_words_unusable", message=facts.message.id, problem=str(error))
                note = UNUSABLE.msgid
        return replace(self.letter_of(facts, now, None), note=note)

    def letter_of(
        self, facts: WordedFacts, now: datetime, words: templates.Words | None, harmless: bool = False
    ) -> Letter:
        """Return the letter or text that ``facts`` make in the partner's ``words``, ``None`` for the standard ones.

        ``harmless`` as for ``values_of``. Raises ``Unusable`` for words that cannot be used.
        """
        place = Place.of(facts.message.kind, facts.message.channel, _locale(facts.locale))
        with self._app.app_context(), force_locale(place.locale):
            g.now = now
            known = Known(values_of(facts, self._base_url, harmless))
            own = templates.filled(place, words, known.values) if words is not None else None
            if isinstance(facts, InvitationFacts):
                return self._invitation(facts, known, own, harmless)
            if place.channel is Channel.TEXT:
                return self._text(facts, known, own)
            if isinstance(facts, Facts) and facts.told is not None:
                return self._to_technician(facts, known, own)
            return self._to_customer(facts, known, own, harmless)

    def standard_words(self, place: Place) -> templates.Words:
        """Return the standard words for ``place`` with placeholders."""
        with self._app.app_context(), force_locale(place.locale):
            return standard_source(place)

    def _to_customer(
        self, facts: Facts | RequestFacts, known: Known, own: templates.Words | None, harmless: bool
    ) -> Letter:
        words = words_for(facts.message.kind, known)
        unsubscribe_url = self._unsubscribe_url(facts)
        if harmless and unsubscribe_url:
            unsubscribe_url = f"{self._base_url}/my/"
        values = {
            "facts": facts,
            "words": words,
            "own": own,
            **_details(facts, known),
            "phone": facts.partner.phone,
            # Somebody without a log-in has no page to be sent to; nor has a contact.
            "my_url": known["link.my_schedule"],
            "why": _why(facts),
            "unsubscribe_url": unsubscribe_url,
            "confirm_url": known["link.confirm"] if words.to_confirm else "",
            "modify_url": known["link.modify"] if words.to_modify else "",
            "survey_url": known["link.survey"] if words.to_rate else "",
            "track_url": known["link.track"] if words.to_track else "",
        }
        letter = self._letter(facts, facts.reader.email, own.subject if own else words.subject, "letter", values)
        return replace(letter, unsubscribe_url="" if harmless else unsubscribe_url, secret=self._secret_in(known))

    def _to_technician(self, facts: Facts, known: Known, own: templates.Words | None) -> Letter:
        words = words_for(facts.message.kind, known)
        values = {
            "facts": facts,
            "words": words,
            "own": own,
            "name": known["recipient.name"],
            "when": formats.window(facts.visit.start_at, facts.visit.window_minutes, facts.zone),
            "work": length_line(known),
            "url": known["link.visit"],
        }
        recipient = facts.login or (facts.told.email if facts.told is not None else "")
        return self._letter(facts, recipient, own.subject if own else words.subject, "technician", values)

    def _invitation(self, facts: InvitationFacts, known: Known, own: templates.Words | None, harmless: bool) -> Letter:
        words = words_for(facts.message.kind, known)
        url = known["link.invitation"]
        values = {"facts": facts, "words": words, "own": own, "url": url, "phone": facts.partner.phone}
        subject = own.subject if own else words.subject
        letter = self._letter(facts, facts.invitation.email, subject, "invitation", values)
        return replace(letter, secret="" if harmless else url.rpartition("/")[2])

    def _letter(
        self, facts: WordedFacts, recipient: str, subject: str, template: str, values: Mapping[str, object]
    ) -> Letter:
        filled = {**values, **self._colours(facts), "subject": subject}
        return Letter(
            message_id=self._message_id(facts.message),
            recipient=recipient or facts.message.recipient,
            sender=_one_line(facts.partner.name),
            subject=_one_line(subject),
            body=self._fill(f"{template}.txt", filled),
            body_html=self._fill(f"{template}.html", filled),
        )

    def _text(self, facts: Facts | RequestFacts, known: Known, own: templates.Words | None) -> Letter:
        said = own.body if own is not None else text_for(known, words_for(facts.message.kind, known))
        told = facts.told if isinstance(facts, Facts) else None
        return Letter(
            message_id=self._message_id(facts.message),
            recipient=(told or facts.reader).phone or facts.message.recipient,
            sender=_one_line(facts.partner.name),
            subject="",
            # A dash would make two texts of one.
            body=plainly(said),
            body_html="",
            secret=self._secret_in(known),
        )

    def _secret_in(self, known: Known) -> str:
        return "" if self._keeps_links else known.values.get("link.track", "").rpartition("/")[2]

    def _colours(self, facts: WordedFacts) -> dict[str, object]:
        return {"light": _light(facts.partner.brand_colour), "dark": _dark(facts.partner.brand_colour)}

    def test(self, facts: TrialFacts, now: datetime) -> Letter:
        """Return the test message of ``facts``, as of ``now`` (an instant): the words that are tried, if any."""
        test, partner = facts.test, facts.partner
        with self._app.app_context(), force_locale(_locale(partner.locale)):
            words = test_words(facts)
            return Letter(
                message_id=self._stable_id(f"test:{test.id}"),
                recipient=test.recipient,
                sender=_one_line(partner.name),
                subject=_one_line(test.subject or words.subject) if test.channel != Channel.TEXT else "",
                body=test.body or words.lead,
                body_html=test.body_html,
            )

    def access(self, facts: AccessFacts, now: datetime) -> Letter:
        """Return the letter or text to somebody who wants to get in, as of ``now`` (an instant)."""
        link, partner = facts.link, facts.partner
        token, url = "", f"{self._base_url}/login"
        if link is not None:
            token = access_token_for(self._key, link.kind, link.seed)
            url = self._base_url + access_path(AccessKind(link.kind), token)
        with self._app.app_context(), force_locale(_locale(facts.locale)):
            g.now = now
            words = access_words(facts)
            values = {
                "facts": facts,
                "words": words,
                "own": None,
                "subject": words.subject,
                "url": url,
                "phone": partner.phone,
                "light": _light(partner.brand_colour),
                "dark": _dark(partner.brand_colour),
            }
            is_text = facts.message.channel == Channel.TEXT
            return Letter(
                message_id=self._message_id(facts.message),
                recipient=facts.message.recipient,
                sender=_one_line(partner.name),
                subject="" if is_text else _one_line(words.subject),
                body=access_text(facts, words, url) if is_text else self._fill("access.txt", values),
                body_html="" if is_text else self._fill("access.html", values),
                secret="" if self._keeps_links else token,
            )

    def _fill(self, name: str, values: dict[str, object]) -> str:
        return self._app.jinja_env.get_template(f"messages/{name}").render(values).strip() + "\n"

    def _unsubscribe_url(self, facts: Facts | RequestFacts) -> str:
        """Return where the reader switches such mail off; "" for what comes all the same."""
        if facts.message.kind in ESSENTIAL:
            return ""
        contact_id = facts.contact.id if facts.contact is not None else None
        return f"{self._base_url}{unsubscribe_path(facts.customer.id, contact_id)}"

    def _message_id(self, message: Message) -> str:
        return self._stable_id(message.key)

    def _stable_id(self, key: str) -> str:
        """Return an id that is the same each time, so that a letter sent twice is recognised as one."""
        digest = hashlib.sha256(key.encode()).hexdigest()[:32]
        return f"<{digest}@{self._host}>"


def _details(facts: Facts | RequestFacts, known: Known) -> dict[str, str]:
    """Return when it is and what is done, of a visit or of what is asked for."""
    if isinstance(facts, RequestFacts):
        return {"when": wished_line(facts.message.kind, known), "work": known["request.service"]}
    when = formats.window(facts.visit.start_at, facts.visit.window_minutes, facts.zone)
    return {"when": when, "work": work_line(known)}


def _why(facts: Facts | RequestFacts) -> str:
    """Return why its reader gets a message, which each has to say."""
    partner = facts.partner.name
    if facts.contact is None:
        return str(_("%(partner)s sends you this because you are their customer.", partner=partner))
    customer = facts.customer.name
    said = _(
        "%(partner)s sends you this because you are a contact of their customer %(customer)s.",
        partner=partner,
        customer=customer,
    )
    return str(said)


def _locale(chosen: str) -> str:
    return chosen if chosen in i18n.LANGUAGES else i18n.DEFAULT


def _one_line(text: str) -> str:
    """Return ``text`` fit for a header: a line break in a name would begin another header."""
    return " ".join(text.split())
