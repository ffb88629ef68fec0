"""From the facts to a letter or text, in the reader's language and the partner's time."""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, g
from flask_babel import force_locale
from flask_babel import gettext as _
from jinja2 import StrictUndefined

from portal.domain.access.models import AccessKind
from portal.domain.access.services import token_for as access_token_for
from portal.domain.delivery.trials import TrialFacts
from portal.domain.jobs.states import OPEN
from portal.domain.messages.models import Channel, Message
from portal.domain.messages.outbox import Letter
from portal.domain.messages.queries import AccessFacts, Facts, InvitationFacts, RequestFacts
from portal.domain.messages.services import ESSENTIAL
from portal.domain.people.invitations import token_for
from portal.settings import Environment, Settings
from portal.web import branding, formats, i18n
from portal.web.links import access_path, confirm_path, survey_path, track_path, unsubscribe_path
from portal.worker.words import (
    Words,
    access_text,
    access_words,
    invitation_words,
    request_words,
    test_words,
    text_for,
    wished_line,
    words_for,
    work_line,
)

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
        """Return the letter that ``facts`` make, as of ``now`` (an instant)."""
        with self._app.app_context(), force_locale(_locale(facts.locale)):
            g.now = now
            words = words_for(facts)
            track_url = self._track_url(facts) if words.to_track else ""
            values = {
                "when": formats.window(facts.visit.start_at, facts.visit.window_minutes, facts.zone),
                "work": work_line(facts),
                "confirm_url": self._confirm_url(facts) if words.to_confirm else None,
                "survey_url": self._base_url + survey_path(facts.visit.id) if words.to_rate else None,
                "track_url": track_url,
            }
            return self._to_customer(facts, words, values, self._secret_of(track_url))

    def about_request(self, facts: RequestFacts, now: datetime) -> Letter:
        """Return the letter about a request for new service, as of ``now`` (an instant)."""
        with self._app.app_context(), force_locale(_locale(facts.locale)):
            g.now = now
            values: dict[str, Any] = {"when": wished_line(facts), "work": facts.service_type.name}
            no_links = dict.fromkeys(("confirm_url", "survey_url", "track_url"))
            return self._to_customer(facts, request_words(facts), values | no_links)

    def _to_customer(
        self, facts: Facts | RequestFacts, words: Words, values: dict[str, Any], secret: str = ""
    ) -> Letter:
        more: dict[str, Any] = {
            "facts": facts,
            "words": words,
            "phone": facts.partner.phone,
            # Somebody without a log-in has no page to be sent to; nor has a contact.
            "my_url": f"{self._base_url}/my/" if facts.has_login else None,
            "unsubscribe_url": self._unsubscribe_url(facts),
            "light": _light(facts.partner.brand_colour),
            "dark": _dark(facts.partner.brand_colour),
        }
        return Letter(
            message_id=self._message_id(facts.message),
            recipient=facts.reader.email,
            sender=_one_line(facts.partner.name),
            subject=_one_line(words.subject),
            body=self._fill("letter.txt", values | more),
            body_html=self._fill("letter.html", values | more),
            unsubscribe_url=self._unsubscribe_url(facts),
            secret=secret,
        )

    def text(self, facts: Facts | RequestFacts, now: datetime) -> Letter:
        """Return the text that ``facts`` make, as of ``now`` (an instant): who, what, when and where to find more."""
        with self._app.app_context(), force_locale(_locale(facts.locale)):
            g.now = now
            url = f"{self._base_url}/my/" if facts.has_login else ""
            track_url = ""
            if isinstance(facts, RequestFacts):
                phone, words = facts.reader.phone, request_words(facts)
            else:
                phone, words = (facts.told or facts.reader).phone, words_for(facts)
                track_url = self._track_url(facts) if words.to_track else ""
            url = track_url or url
            return Letter(
                message_id=self._message_id(facts.message),
                recipient=phone or facts.message.recipient,
                sender=_one_line(facts.partner.name),
                subject="",
                body=text_for(facts, words, url),
                body_html="",
                secret=self._secret_of(track_url),
            )

    def test(self, facts: TrialFacts, now: datetime) -> Letter:
        """Return the test message of ``facts``, as of ``now`` (an instant)."""
        test, partner = facts.test, facts.partner
        with self._app.app_context(), force_locale(_locale(partner.locale)):
            words = test_words(facts)
            return Letter(
                message_id=self._stable_id(f"test:{test.id}"),
                recipient=test.recipient,
                sender=_one_line(partner.name),
                subject=_one_line(words.subject),
                body=words.lead,
                body_html="",
            )

    def to_technician(self, facts: Facts, now: datetime) -> Letter:
        """Return the letter to the technician of ``facts``, as of ``now`` (an instant)."""
        told = facts.told
        if told is None:
            raise ValueError(f"message {facts.message.id} is to no technician")
        with self._app.app_context(), force_locale(_locale(facts.locale)):
            g.now = now
            words = words_for(facts)
            is_theirs = facts.visit.technician_id == told.id and facts.visit.status in OPEN
            values = {
                "facts": facts,
                "words": words,
                "name": told.name,
                "when": formats.window(facts.visit.start_at, facts.visit.window_minutes, facts.zone),
                "work": _("%(work)s, %(length)s", work=facts.service_type.name, length=formats.duration(facts.minutes)),
                # What somebody else does is no longer theirs to see.
                "url": f"{self._base_url}/field/visits/{facts.visit.id}" if is_theirs and told.user_id else None,
                "light": _light(facts.partner.brand_colour),
                "dark": _dark(facts.partner.brand_colour),
            }
            return Letter(
                message_id=self._message_id(facts.message),
                recipient=facts.login or told.email or facts.message.recipient,
                sender=_one_line(facts.partner.name),
                subject=_one_line(words.subject),
                body=self._fill("technician.txt", values),
                body_html=self._fill("technician.html", values),
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

    def _confirm_url(self, facts: Facts) -> str:
        return self._base_url + confirm_path(facts.visit.id, facts.visit.start_at)

    def _track_url(self, facts: Facts) -> str:
        """Return where the present departure is followed; "" where there is none."""
        departure = facts.visit.departure
        return self._base_url + track_path(facts.visit.id, departure) if departure is not None else ""

    def _secret_of(self, track_url: str) -> str:
        return "" if self._keeps_links else track_url.rpartition("/")[2]

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


def _locale(chosen: str) -> str:
    return chosen if chosen in i18n.LANGUAGES else i18n.DEFAULT


def _one_line(text: str) -> str:
    """Return ``text`` fit for a header: a line break in a name would begin another header."""
    return " ".join(text.split())
