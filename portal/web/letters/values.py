"""The placeholders of messages: what each stands for about one visit, and how each is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext

from portal.domain.jobs.states import MOVABLE, OPEN
from portal.domain.messages.models import MessageKind
from portal.domain.messages.queries import Facts
from portal.domain.surveys.asking import open_until
from portal.web import formats
from portal.web.links import confirm_path, survey_path, track_path

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
    "visit.confirmed": lazy_gettext("“yes” once the time is confirmed, blank before"),
    "visit.expected": lazy_gettext("When you are expected, blank where nobody said so"),
    "visit.cancel_reason": lazy_gettext("Why it was cancelled, blank where nobody said so"),
    "technician.name": lazy_gettext("Who comes, blank while nobody is assigned"),
    "request.answer": lazy_gettext("What your office answered"),
    "survey.until": lazy_gettext("Until when the survey can be answered"),
    "job.number": lazy_gettext("The number of the installation or job"),
    "job.title": lazy_gettext("What is installed or done"),
    "partner.name": lazy_gettext("Your company"),
    "partner.phone": lazy_gettext("Your telephone number, blank where there is none"),
    "link.confirm": lazy_gettext("Where the time is confirmed, blank once it is"),
    "link.my_schedule": lazy_gettext("My Schedule, blank for who has no log-in"),
    "link.track": lazy_gettext("Where your way is followed on a map, blank where it cannot be"),
    "link.survey": lazy_gettext("Where the visit is rated"),
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


def values_of(facts: Facts, base_url: str, harmless: bool = False) -> dict[str, str]:
    """Return the value of every placeholder for the message of ``facts``, in the reader's language.

    ``harmless``: links that act in the customer's name lead to My Schedule instead, for a test that goes to somebody
    else. Needs an application context with the key of the links.
    """
    visit, zone, technician = facts.visit, facts.zone, facts.technician
    reader = facts.reader.name if facts.told is None else facts.told.name
    confirms = visit.status in MOVABLE and not visit.is_confirmed
    until = open_until(visit.ended_at or visit.end_at) - SHORTEST
    is_theirs = facts.told is not None and visit.technician_id == facts.told.id and visit.status in OPEN
    has_pages = facts.told is not None and facts.told.user_id is not None
    departure = visit.departure
    return {
        "recipient.name": reader,
        "recipient.first_name": (reader.split() or [""])[0],
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
        "partner.name": facts.partner.name,
        "partner.phone": facts.partner.phone,
        "link.confirm": _link(base_url, confirm_path(visit.id, visit.start_at), harmless) if confirms else "",
        "link.my_schedule": _own_page(facts, base_url),
        "link.track": _link(base_url, track_path(visit.id, departure), harmless) if departure is not None else "",
        "link.survey": _link(base_url, survey_path(visit.id), harmless),
        # What somebody else does is no longer theirs to see.
        "link.visit": f"{base_url}/field/visits/{visit.id}" if is_theirs and has_pages else "",
    }


def _own_page(facts: Facts, base_url: str) -> str:
    """Return where the reader finds what the message is about, once signed in; "" for who has no log-in."""
    if facts.told is not None or not facts.has_login:
        return ""
    about = f"jobs/{facts.job.id}/contract" if facts.message.kind == MessageKind.CONTRACT else ""
    return f"{base_url}/my/{about}"


def _link(base_url: str, path: str, harmless: bool) -> str:
    return f"{base_url}/my/" if harmless else base_url + path
