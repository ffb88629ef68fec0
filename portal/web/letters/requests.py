"""What is said of a request for new service (C5), of which there is no visit yet; otherwise as ``words``."""

from __future__ import annotations

from collections.abc import Callable

from flask_babel import gettext as _

from portal.domain.messages.models import MessageKind
from portal.web.letters.values import Known
from portal.web.letters.words import Words


def wished_line(kind: str, known: Known) -> str:
    """Return when the visit would be: the date that the office offers, else those that the customer prefers."""
    if kind == MessageKind.REQUEST_OFFERED:
        return f"{known['request.offered_date']}, {known['request.offered_window']}"
    return known["request.dates"]


def _request_received(known: Known) -> Words:
    work = known["request.service"]
    return Words(
        subject=_("We have your request: %(work)s", work=work),
        heading=_("We have your request"),
        lead=_("thank you for asking. This is what we have noted:"),
        more=(_("We look for a time and write to you. Nothing is booked yet."),),
        text=_("We look for a time and write to you."),
    )


def _request_offered(known: Known) -> Words:
    said = {"work": known["request.service"], "day": known["request.offered_date"]}
    who = known.if_any("request.technician", _("%(name)s would come.", name=known["request.technician"]))
    return Words(
        subject=_("Does %(day)s suit you? %(work)s", **said),
        heading=_("Does %(day)s suit you?", **said),
        lead=_("we cannot come at the time you asked for, and offer you this one instead:"),
        more=(who, _("Nothing is booked until you accept.")),
        text=f"{wished_line(MessageKind.REQUEST_OFFERED, known)}.",
    )


def _request_declined(known: Known) -> Words:
    work, answer = known["request.service"], known["request.answer"]
    return Words(
        subject=_("About your request: %(work)s", work=work),
        heading=_("We cannot do this for you"),
        lead=_("you asked us for this. We are sorry that we cannot do it:"),
        more=(_("Our answer: %(answer)s", answer=answer),),
        text=answer,
    )


def _request_converted(known: Known) -> Words:
    work = known["request.service"]
    return Words(
        subject=_("We do it: %(work)s", work=work),
        heading=_("We take your request on"),
        lead=_("we will do what you asked us for:"),
        more=(_("We plan a visit now and write to you as soon as its time is known."),),
        text=_("We plan a visit and write to you as soon as its time is known."),
    )


KINDS: dict[MessageKind, Callable[[Known], Words]] = {
    MessageKind.REQUEST_RECEIVED: _request_received,
    MessageKind.REQUEST_OFFERED: _request_offered,
    MessageKind.REQUEST_DECLINED: _request_declined,
    MessageKind.REQUEST_CONVERTED: _request_converted,
}
