"""The placeholders of messages: what each stands for in one message, and how each is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import current_app
from flask_babel import gettext as _
from flask_babel import lazy_gettext

from portal.domain.actor import Role
from portal.domain.jobs.states import MOVABLE, OPEN
from portal.domain.messages.models import MessageKind
from portal.domain.messages.queries import Facts, InvitationFacts, RequestFacts, WordedFacts
from portal.domain.people.invitations import token_for
from portal.domain.surveys.asking import open_until
from portal.web import formats
from portal.web.auth import ROLE_NAMES
from portal.web.i18n import within
from portal.web.links import confirm_path, survey_path, track_path
from portal.web.wishes import preferred_words

# The last instant before an excluded end.
SHORTEST = timedelta(microseconds=1)

# What stands beside each in the editor.
MEANINGS: Mapping[str, Any] = {
    "recipient.name": lazy_gettext("Whom the message is to"),
    "recipient.first_name": lazy_gettext("Their first name"),
    "customer.name": lazy_gettext("The customer, also where the message is to somebody else"),
    "visit.service": lazy_gettext("The service type"),
    "visit.date": lazy_gettext("The day of the visit"),
    "visit.window": lazy_gettext("Between which times you come"),
    "visit.length": lazy_gettext("How long it takes"),
    "visit.address": lazy_gettext("Where it is"),
    "visit.modify_until": lazy_gettext("Until when the customer can change it in My Schedule, blank where they cannot"),
    "visit.confirmed": lazy_gettext("“yes” once the time is confirmed, blank before"),
    "visit.expected": lazy_gettext("When you are expected, blank where nobody said so"),
    "visit.cancel_reason": lazy_gettext("Why it was cancelled, blank where nobody said so"),
    "technician.name": lazy_gettext("Who comes, blank while nobody is assigned"),
    "request.service": lazy_gettext("The service that is asked for"),
    "request.address": lazy_gettext("Where it is asked for"),
    "request.dates": lazy_gettext("When the customer would like it, such as “Tue 1 Dec, morning”"),
    "request.asked_on": lazy_gettext("The day on which it was asked for"),
    "request.offered_date": lazy_gettext("The day that you offer"),
    "request.offered_window": lazy_gettext("Between which times you would come"),
    "request.technician": lazy_gettext("Who would come, blank where nobody is chosen"),
    "request.answer": lazy_gettext("What your office answered"),
    "invitation.role": lazy_gettext("As what, such as “dispatcher”; blank for a customer"),
    "invitation.inviter": lazy_gettext("Who invites"),
    "invitation.until": lazy_gettext("Until which day the link works"),
    "survey.until": lazy_gettext("Until when the survey can be answered"),
    "job.number": lazy_gettext("The number of the installation or job"),
    "job.title": lazy_gettext("What is installed or done"),
    "partner.name": lazy_gettext("Your company"),
    "partner.phone": lazy_gettext("Your telephone number, blank where there is none"),
    "link.confirm": lazy_gettext("Where the time is confirmed, blank once it is"),
    "link.modify": lazy_gettext("Where the visit is moved or cancelled, blank where the customer cannot do that"),
    "link.my_schedule": lazy_gettext("My Schedule, blank for who has no log-in"),
    "link.track": lazy_gettext("Where your way is followed on a map, blank where it cannot be"),
    "link.survey": lazy_gettext("Where the visit is rated"),
    "link.request": lazy_gettext("The request in My Schedule, blank for who has no log-in"),
    "link.invitation": lazy_gettext("Where the invitation is accepted"),
    "link.visit": lazy_gettext("The visit in the technician’s pages, blank where it is no longer theirs"),
}


@dataclass(frozen=True, slots=True)
class Known:
    """What the words of a message are made of: the values of the placeholders or, ``as_source``, they themselves."""

    values: Mapping[str, str]
    as_source: bool = False

    def __getitem__(self, name: str) -> str:
        return f"{{{{ {name} }}}}" if self.as_source else self.values[name]

    def if_any(self, name: str, said: str, otherwise: str = "") -> str:
        """Return ``said`` where ``name`` has a value, else ``otherwise``; as source, the condition itself."""
        if not self.as_source:
            return said if self.values[name] else otherwise
        other = f"{{% else %}}{otherwise}" if otherwise else ""
        return f"{{% if {name} %}}{said}{other}{{% endif %}}"


SOURCE = Known({}, as_source=True)


def values_of(facts: WordedFacts, base_url: str, harmless: bool = False) -> dict[str, str]:
    """Return the value of every placeholder for the message of ``facts``, in the reader's language.

    ``harmless``: links that act in the reader's name lead to My Schedule, or to where one signs in, instead: for a test
    that goes to somebody else. Needs an application context with the key of the links and with ``now``.
    """
    if isinstance(facts, Facts):
        return _of_visit(facts, base_url, harmless)
    if isinstance(facts, RequestFacts):
        return _of_request(facts, base_url, harmless)
    return _of_invitation(facts, base_url, harmless)


def _of_visit(facts: Facts, base_url: str, harmless: bool) -> dict[str, str]:
    visit, zone, technician = facts.visit, facts.zone, facts.technician
    reader = facts.reader.name if facts.told is None else facts.told.name
    confirms = visit.status in MOVABLE and not visit.is_confirmed
    until = open_until(visit.ended_at or visit.end_at) - SHORTEST
    is_theirs = facts.told is not None and visit.technician_id == facts.told.id and visit.status in OPEN
    has_pages = facts.told is not None and facts.told.user_id is not None
    departure, modify_until = visit.departure, facts.modify_until(formats.now())
    return {
        **_of_reader(reader),
        **_of_partner(facts),
        "customer.name": facts.customer.name,
        "visit.service": facts.service_type.name,
        "visit.date": formats.day(visit.start_at, zone),
        "visit.window": formats.hours(visit.start_at, visit.window_minutes, zone),
        "visit.length": formats.duration(facts.minutes),
        "visit.address": facts.address.one_line,
        "visit.confirmed": _("yes") if visit.is_confirmed else "",
        "visit.expected": formats.clock(facts.expected_at, zone) if facts.expected_at is not None else "",
        "visit.cancel_reason": visit.cancel_reason,
        "technician.name": technician.name if technician is not None else "",
        "request.answer": facts.answer,
        "survey.until": formats.day(until, zone),
        "job.number": facts.job.number,
        "job.title": facts.job.title,
        "visit.modify_until": formats.moment(modify_until, zone) if modify_until is not None else "",
        "link.modify": _link(base_url, f"/my/visits/{visit.id}/modify", harmless) if modify_until is not None else "",
        "link.confirm": _link(base_url, confirm_path(visit.id, visit.start_at), harmless) if confirms else "",
        "link.my_schedule": _own_page(facts, base_url),
        "link.track": _link(base_url, track_path(visit.id, departure), harmless) if departure is not None else "",
        "link.survey": _link(base_url, survey_path(visit.id), harmless),
        # What somebody else does is no longer theirs to see.
        "link.visit": f"{base_url}/field/visits/{visit.id}" if is_theirs and has_pages else "",
    }


def _of_request(facts: RequestFacts, base_url: str, harmless: bool) -> dict[str, str]:
    request, zone, offered = facts.request, facts.zone, facts.request.proposed_at
    return {
        **_of_reader(facts.reader.name),
        **_of_partner(facts),
        "customer.name": facts.customer.name,
        "request.service": facts.service_type.name,
        "request.address": facts.address.one_line,
        "request.dates": preferred_words(request.preferred),
        "request.asked_on": formats.day(request.asked_at, zone),
        "request.offered_date": formats.day(offered, zone) if offered is not None else "",
        "request.offered_window": (
            formats.hours(offered, facts.service_type.window_minutes, zone) if offered is not None else ""
        ),
        "request.technician": facts.technician.name if facts.technician is not None else "",
        "request.answer": request.answer,
        "link.request": _link(base_url, f"/my/requests/{request.id}", harmless) if facts.has_login else "",
        "link.my_schedule": f"{base_url}/my/" if facts.has_login else "",
    }


def _of_invitation(facts: InvitationFacts, base_url: str, harmless: bool) -> dict[str, str]:
    invitation, role = facts.invitation, Role(facts.invitation.role)
    token = token_for(current_app.config["SECRET_KEY"], invitation.seed)
    return {
        **_of_reader(invitation.name),
        **_of_partner(facts),
        "invitation.role": within(str(ROLE_NAMES[role])) if role is not Role.CUSTOMER else "",
        "invitation.inviter": invitation.invited_by_name,
        "invitation.until": formats.day(invitation.expires_at, facts.zone),
        "link.invitation": f"{base_url}/login" if harmless else f"{base_url}/invitation/{token}",
    }


def _of_reader(name: str) -> dict[str, str]:
    return {"recipient.name": name, "recipient.first_name": (name.split() or [""])[0]}


def _of_partner(facts: WordedFacts) -> dict[str, str]:
    return {"partner.name": facts.partner.name, "partner.phone": facts.partner.phone}


def _own_page(facts: Facts, base_url: str) -> str:
    """Return where the reader finds what the message is about, once signed in; "" for who has no log-in."""
    if facts.told is not None or not facts.has_login:
        return ""
    about = f"jobs/{facts.job.id}/contract" if facts.message.kind == MessageKind.CONTRACT else ""
    return f"{base_url}/my/{about}"


def _link(base_url: str, path: str, harmless: bool) -> str:
    return f"{base_url}/my/" if harmless else base_url + path
