"""From the facts to a letter or text, in the reader's language and the partner's time."""

from __future__ import annotations

import hashlib
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
from portal.domain.messages.queries import AccessFacts, Facts, InvitationFacts, RequestFacts
from portal.domain.messages.services import ESSENTIAL
from portal.domain.messages.templates import Place
from portal.domain.people.invitations import token_for
from portal.settings import Environment, Settings
from portal.web import branding, formats, i18n
from portal.web.letters.requests import request_words, wished_line
from portal.web.letters.segments import plainly
from portal.web.letters.values import Known, values_of
from portal.web.letters.words import (
    access_text,
    access_words,
    invitation_words,
    length_line,
    standard_source,
    test_words,
    text_for,
    words_for,
    work_line,
)
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

    def letter(self, facts: Facts, now: datetime) -> Letter:
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

    def letter_of(self, facts: Facts, now: datetime, words: templates.Words | None, harmless: bool = False) -> Letter:
        """Return the letter or text that ``facts`` make in the partner's ``words``, ``None`` for the standard ones.

        ``harmless`` as for ``values_of``. Raises ``Unusable`` for words that cannot be used.
        """
        place = Place.of(facts.message.kind, facts.message.channel, _locale(facts.locale))
        with self._app.app_context(), force_locale(place.locale):
            g.now = now
            known = Known(values_of(facts, self._base_url, harmless))
            own = templates.filled(place, words, known.values) if words is not None else None
            if place.channel is Channel.TEXT:
                return self._text(facts, known, own)
            if facts.told is not None:
                return self._to_technician(facts, known, own)
            return self._to_customer(facts, known, own, harmless)

    def about_request(self, facts: RequestFacts, now: datetime) -> Letter:
        """Return the letter or text about a request for new service, as of ``now`` (an instant)."""
        partner, my_url = facts.partner, f"{self._base_url}/my/" if facts.has_login else ""
        with self._app.app_context(), force_locale(_locale(facts.locale)):
            g.now = now
            words, is_text = request_words(facts), facts.message.channel == Channel.TEXT
            known = {"partner.name": partner.name, "partner.phone": partner.phone, "link.my_schedule": my_url}
            unsubscribe_url = self._unsubscribe_url(facts)
            values = {
                "facts": facts,
                "words": words,
                "own": None,
                "subject": words.subject,
                "when": wished_line(facts),
                "work": facts.service_type.name,
                "phone": partner.phone,
                "my_url": my_url,
                "why": _why(facts),
                "unsubscribe_url": unsubscribe_url,
                **dict.fromkeys(("confirm_url", "survey_url", "track_url"), ""),
                **self._colours(facts),
            }
            return Letter(
                message_id=self._message_id(facts.message),
                recipient=(facts.reader.phone if is_text else facts.reader.email) or facts.message.recipient,
                sender=_one_line(partner.name),
                subject="" if is_text else _one_line(words.subject),
                body=plainly(text_for(Known(known), words)) if is_text else self._fill("letter.txt", values),
                body_html="" if is_text else self._fill("letter.html", values),
                unsubscribe_url="" if is_text else unsubscribe_url,
            )

    def standard_words(self, place: Place) -> templates.Words:
        """Return the standard words for ``place`` with placeholders."""
        with self._app.app_context(), force_locale(place.locale):
            return standard_source(place)

    def _to_customer(self, facts: Facts, known: Known, own: templates.Words | None, harmless: bool) -> Letter:
        words = words_for(facts.message.kind, known)
        unsubscribe_url = self._unsubscribe_url(facts)
        if harmless and unsubscribe_url:
            unsubscribe_url = f"{self._base_url}/my/"
        values = {
            "facts": facts,
            "words": words,
            "own": own,
            "when": formats.window(facts.visit.start_at, facts.visit.window_minutes, facts.zone),
            "work": work_line(known),
            "phone": facts.partner.phone,
            # Somebody without a log-in has no page to be sent to; nor has a contact.
            "my_url": known["link.my_schedule"],
            "why": _why(facts),
            "unsubscribe_url": unsubscribe_url,
            "confirm_url": known["link.confirm"] if words.to_confirm else "",
            "survey_url": known["link.survey"] if words.to_rate else "",
            "track_url": known["link.track"] if words.to_track else "",
            **self._colours(facts),
        }
        letter = self._letter(facts, own.subject if own else words.subject, "letter", values)
        return replace(
            letter, unsubscribe_url="" if harmless else unsubscribe_url, secret=self._secret_of(known["link.track"])
        )

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
            **self._colours(facts),
        }
        return self._letter(facts, own.subject if own else words.subject, "technician", values)

    def _letter(self, facts: Facts, subject: str, template: str, values: dict[str, object]) -> Letter:
        told, recipient = facts.told, facts.reader.email
        if told is not None:
            recipient = facts.login or told.email or facts.message.recipient
        return Letter(
            message_id=self._message_id(facts.message),
            recipient=recipient,
            sender=_one_line(facts.partner.name),
            subject=_one_line(subject),
            body=self._fill(f"{template}.txt", values),
            body_html=self._fill(f"{template}.html", values | {"subject": subject}),
        )

    def _text(self, facts: Facts, known: Known, own: templates.Words | None) -> Letter:
        said = own.body if own is not None else text_for(known, words_for(facts.message.kind, known))
        return Letter(
            message_id=self._message_id(facts.message),
            recipient=(facts.told or facts.reader).phone or facts.message.recipient,
            sender=_one_line(facts.partner.name),
            subject="",
            # A dash would make two texts of one.
            body=plainly(said),
            body_html="",
            secret=self._secret_of(known["link.track"]),
        )

    def _secret_of(self, track_url: str) -> str:
        return "" if self._keeps_links else track_url.rpartition("/")[2]

    def _colours(self, facts: Facts | RequestFacts) -> dict[str, object]:
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

    def invitation(self, facts: InvitationFacts, now: datetime) -> Letter:
        """Return the letter with the link of an invitation, as of ``now`` (an instant)."""
        token = token_for(self._key, facts.invitation.seed)
        with self._app.app_context(), force_locale(_locale(facts.locale)):
            g.now = now
            words = invitation_words(facts)
            values = {
                "facts": facts,
                "words": words,
                "url": f"{self._base_url}/invitation/{token}",
                "phone": facts.partner.phone,
                "light": _light(facts.partner.brand_colour),
                "dark": _dark(facts.partner.brand_colour),
            }
            return Letter(
                message_id=self._message_id(facts.message),
                recipient=facts.invitation.email,
                sender=_one_line(facts.partner.name),
                subject=_one_line(words.subject),
                body=self._fill("invitation.txt", values),
                body_html=self._fill("invitation.html", values),
                secret=token,
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
