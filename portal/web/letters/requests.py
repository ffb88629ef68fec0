"""What is said of a request for new service (C5), of which there is no visit yet: the standard words alone."""

from __future__ import annotations

from collections.abc import Callable

from flask_babel import gettext as _

from portal.domain.messages.models import MessageKind
from portal.domain.messages.queries import RequestFacts
from portal.web import formats
from portal.web.letters.words import Words
from portal.web.wishes import preferred_words


def request_words(facts: RequestFacts) -> Words:
    """Return the words of the message about a request for new service."""
    return KINDS[MessageKind(facts.message.kind)](facts)


def wished_line(facts: RequestFacts) -> str:
    """Return when the visit would be: the date that the office offers, else those that the customer prefers."""
    request = facts.request
    if request.is_proposed and request.proposed_at is not None:
        return formats.window(request.proposed_at, facts.service_type.window_minutes, facts.zone)
    return preferred_words(request.preferred)


def _request_received(facts: RequestFacts) -> Words:
    work = facts.service_type.name
    return Words(
        subject=_("We have your request: %(work)s", work=work),
        heading=_("We have your request"),
        lead=_("thank you for asking. This is what we have noted:"),
        more=(_("We look for a time and write to you. Nothing is booked yet."),),
        text=_("We look for a time and write to you."),
    )


def _request_offered(facts: RequestFacts) -> Words:
    known = {
        "work": facts.service_type.name,
        "day": formats.day(facts.request.proposed_at or facts.message.due_at, facts.zone),
    }
    more = [_("Nothing is booked until you accept.")]
    if facts.technician is not None:
        more.insert(0, _("%(name)s would come.", name=facts.technician.name))
    return Words(
        subject=_("Does %(day)s suit you? %(work)s", **known),
        heading=_("Does %(day)s suit you?", **known),
        lead=_("we cannot come at the time you asked for, and offer you this one instead:"),
        more=tuple(more),
        text=wished_line(facts) + ".",
    )


def _request_declined(facts: RequestFacts) -> Words:
    work, answer = facts.service_type.name, facts.request.answer
    return Words(
        subject=_("About your request: %(work)s", work=work),
        heading=_("We cannot do this for you"),
        lead=_("you asked us for this. We are sorry that we cannot do it:"),
        more=(_("Our answer: %(answer)s", answer=answer),),
        text=answer,
    )


def _request_converted(facts: RequestFacts) -> Words:
    work = facts.service_type.name
    return Words(
        subject=_("We do it: %(work)s", work=work),
        heading=_("We take your request on"),
        lead=_("we will do what you asked us for:"),
        more=(_("We plan a visit now and write to you as soon as its time is known."),),
        text=_("We plan a visit and write to you as soon as its time is known."),
    )


KINDS: dict[MessageKind, Callable[[RequestFacts], Words]] = {
    MessageKind.REQUEST_RECEIVED: _request_received,
    MessageKind.REQUEST_OFFERED: _request_offered,
    MessageKind.REQUEST_DECLINED: _request_declined,
    MessageKind.REQUEST_CONVERTED: _request_converted,
}
