"""The history of jobs in words: who did what, from which value to which, when (P12); in a sentence (P17)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask_babel import gettext, lazy_gettext, lazy_pgettext

from portal.domain.actor import Role
from portal.domain.jobs.activity import Act, same_act
from portal.domain.jobs.models import HistoryEntry
from portal.domain.jobs.states import APPOINTMENT, SERVICE, WORKFLOWS
from portal.domain.lifecycle import Workflow
from portal.domain.requests.dates import PreferredDate
from portal.web import formats
from portal.web.auth import ROLE_NAMES
from portal.web.i18n import translate, within
from portal.web.wishes import preferred_words

WORDS = {
    "schedule": lazy_gettext("Scheduled"),
    "create": lazy_gettext("Created"),
    "book": lazy_gettext("Visit planned"),
    "assign": lazy_gettext("Assigned"),
    "reassign": lazy_gettext("Reassigned"),
    "reject": lazy_gettext("Rejected"),
    "reschedule": lazy_gettext("Moved"),
    "cancel": lazy_gettext("Cancelled"),
    "request_cancel": lazy_gettext("Cancelling"),
    "undo_cancel": lazy_gettext("Cancel undone"),
    "request_change": lazy_gettext("Change requested"),
    "convert_request": lazy_gettext("Made from a request"),
    "accept_proposal": lazy_gettext("The date offered was accepted"),
    "accept_offer": lazy_gettext("Job offer accepted"),
    "decline_change_request": lazy_gettext("Change request declined"),
    "lapse_change_request": lazy_gettext("Change request lapsed"),
    "edit": lazy_gettext("Edited"),
    "confirm": lazy_gettext("Confirmed"),
    "prepare": lazy_gettext("Preparing"),
    "set_off": lazy_gettext("On the way"),
    "arrive": lazy_gettext("Arrived"),
    "start_work": lazy_gettext("Work started"),
    "pause": lazy_gettext("Paused"),
    "resume": lazy_gettext("Resumed"),
    "continue_later": lazy_gettext("To be continued another day"),
    "complete": lazy_gettext("Completed"),
    "turn_back": lazy_gettext("Turned back"),
    "send_contract": lazy_gettext("Contract sent"),
    "send_corrected_contract": lazy_gettext("Corrected contract sent"),
    "sign_contract": lazy_gettext("Contract signed"),
    "approve": lazy_pgettext("installation", "Approved"),
    "reactivate": lazy_gettext("Set back to scheduled"),
    "answer_survey": lazy_gettext("Rated"),
    "add_note": lazy_gettext("Note"),
    "write_service_notes": lazy_gettext("Service notes written"),
    "add_photo": lazy_gettext("Photo added"),
    "share_photo": lazy_gettext("Photo shared with the customer"),
    "unshare_photo": lazy_gettext("Photo no longer shared"),
    "remove_photo": lazy_gettext("Photo removed"),
    "merge_customers": lazy_gettext("Customer merged"),
}
# Where the same transition is something else.
WORDS_OF = {SERVICE.name: {"approve": lazy_pgettext("draft", "Approved"), "schedule": lazy_gettext("Visit scheduled")}}
# One job among many: what was done to it, by whom.
SENTENCES = {
    "create": lazy_gettext("%(number)s was created by %(who)s."),
    "schedule": lazy_gettext("%(number)s was scheduled by %(who)s for %(start)s."),
    "book": lazy_gettext("A visit of %(number)s was planned by %(who)s for %(start)s."),
    "assign": lazy_gettext("%(number)s was assigned by %(who)s to %(technician)s."),
    "reassign": lazy_gettext("%(number)s was reassigned by %(who)s to %(technician)s."),
    "reject": lazy_gettext("%(number)s was rejected by %(who)s."),
    "reschedule": lazy_gettext("%(number)s was moved by %(who)s to %(start)s."),
    "cancel": lazy_gettext("%(number)s was cancelled by %(who)s."),
    "request_cancel": lazy_gettext("%(number)s is being cancelled by %(who)s; it takes effect %(cancel_at)s."),
    "undo_cancel": lazy_gettext("The cancelling of %(number)s was undone by %(who)s."),
    "convert_request": lazy_gettext("%(number)s was made by %(who)s from a customer's request."),
    "accept_proposal": lazy_gettext("The date offered for %(number)s was accepted by %(who)s."),
    "accept_offer": lazy_gettext("%(number)s was made by %(who)s from a job offer."),
    "edit": lazy_gettext("%(number)s was edited by %(who)s."),
    "confirm": lazy_gettext("%(number)s was confirmed by %(who)s."),
    "send_contract": lazy_gettext("The contract of %(number)s was sent by %(who)s."),
    "send_corrected_contract": lazy_gettext("A corrected contract of %(number)s was sent by %(who)s."),
    "sign_contract": lazy_gettext("The contract of %(number)s was signed by %(who)s."),
    "approve": lazy_gettext("%(number)s was approved by %(who)s."),
    "reactivate": lazy_gettext("%(number)s was set back to scheduled by %(who)s."),
    "answer_survey": lazy_gettext("%(number)s was rated by %(who)s."),
    "add_note": lazy_gettext("%(who)s wrote a note on %(number)s."),
    "add_photo": lazy_gettext("A photo was added to %(number)s by %(who)s."),
    "share_photo": lazy_gettext("A photo of %(number)s was shared with the customer by %(who)s."),
    "unshare_photo": lazy_gettext("A photo of %(number)s is no longer shared, by %(who)s."),
    "remove_photo": lazy_gettext("A photo of %(number)s was removed by %(who)s."),
}
# The steps of a visit as the technician takes them; the office only records them.
STEPS = {
    "prepare": lazy_gettext("%(who)s prepares for %(number)s."),
    "set_off": lazy_gettext("%(who)s is on the way to %(number)s."),
    "arrive": lazy_gettext("%(who)s arrived at %(number)s."),
    "start_work": lazy_gettext("%(who)s started work on %(number)s."),
    "pause": lazy_gettext("%(who)s paused %(number)s."),
    "resume": lazy_gettext("%(who)s resumed %(number)s."),
    "continue_later": lazy_gettext("%(who)s will continue %(number)s another day."),
    "complete": lazy_gettext("%(who)s completed %(number)s."),
    "turn_back": lazy_gettext("%(who)s turned back from %(number)s."),
    **{name: SENTENCES[name] for name in ("book", "add_note", "add_photo", "share_photo", "unshare_photo")},
}
# What a sentence cannot do without.
NEEDS = {
    "schedule": "start",
    "book": "start",
    "assign": "technician",
    "reassign": "technician",
    "reschedule": "start",
    "request_cancel": "cancel_at",
}
VALUES = {
    "start": lazy_gettext("Start"),
    "end": lazy_gettext("End"),
    "technician": "",
    "confirmed": lazy_gettext("Confirmed"),
    "cancel_at": lazy_gettext("Takes effect"),
    "notes": lazy_gettext("Notes"),
    "items": lazy_gettext("Items"),
    "address": lazy_gettext("Address"),
    "contract": lazy_gettext("Version"),
    "signed_by": lazy_gettext("Signed by"),
    "document": lazy_gettext("Document (SHA-256)"),
    "signed_from": lazy_gettext("Network address"),
    "signed_with": lazy_gettext("Browser"),
    "paper": lazy_gettext("Scan"),
    "customer": lazy_gettext("Customer"),
    "link": "",
    "rating": lazy_gettext("Rating"),
    "wishes": lazy_gettext("Preferred dates"),
    "photo": lazy_gettext("Photo"),
    "service_notes": lazy_gettext("Service notes"),
    "shared": lazy_gettext("Shared with customer"),
    "happened_at": lazy_gettext("Happened"),
}
# Values that go without a name: what they are is plain to see.
PLAIN = {"start", "technician", "link"}
# How a value that was not there before is joined on: "Scheduled for …", "Confirmed by …".
LEADS = {
    "start": lazy_gettext("for"),
    "technician": lazy_pgettext("assigned to somebody", "to"),
    "link": lazy_pgettext("done by means of something", "by"),
}
# Values that the words of the act say already.
SAID = {("confirmed", "confirm"), ("shared", "share_photo"), ("shared", "unshare_photo")}
INSTANTS = {"start", "end", "cancel_at", "happened_at"}


@dataclass(frozen=True, slots=True)
class Change:
    """One value from ``old`` to ``new``, either of which may be missing.

    ``name`` says what it is where that is not plain; ``lead`` joins it to the words of the act: "to", "for".
    """

    name: str
    old: str
    new: str
    lead: str = ""


@dataclass(slots=True)
class Moment:
    """What one person did at one moment: job and visit moving together are one line."""

    at: datetime
    words: str
    who: str
    by_customer: bool
    reason: str
    changes: list[Change] = field(default_factory=list)


def moments(history: Sequence[HistoryEntry], zone: Any, workflow: Workflow[Any]) -> list[Moment]:
    """Return the entries of one job of ``workflow``, newest first as they come, folded where one act wrote two."""
    words = {**WORDS, **WORDS_OF.get(workflow.name, {})}
    told: list[Moment] = []
    last: HistoryEntry | None = None
    # Oldest first, so that a visit's entry joins the job's written before it.
    for entry in reversed(history):
        if last is None or not same_act(last, entry):
            told.append(
                Moment(
                    at=entry.at,
                    words=str(words.get(entry.action, entry.action)),
                    who=_who(entry),
                    by_customer=entry.actor_role == Role.CUSTOMER,
                    reason=entry.reason,
                )
            )
        told[-1].changes.extend(change for change in _changes(entry, zone, workflow) if change not in told[-1].changes)
        last = entry
    return told[::-1]


@dataclass(frozen=True, slots=True)
class Told:
    """An act as a sentence about one installation among many, and as the ``cause`` of a change on a page."""

    act: Act
    said: str
    cause: str
    moment: Moment

    @property
    def id(self) -> int:
        """The key of the act."""
        return self.act.id


def told(act: Act, zone: Any = None) -> Told:
    """Return an act of the feed in words; ``zone`` as in ``formats``, by default the page's own partner's."""
    moment = moments(act.entries[::-1], zone, WORKFLOWS[act.workflow])[0]
    return Told(act, _sentence(act, moment, zone), _cause(act.entries[-1], moment), moment)


def _sentence(act: Act, moment: Moment, zone: Any) -> str:
    entry = act.entries[0]
    values = {name: value for one in act.entries for name, value in one.after.items()}
    words = {"number": act.number, "who": _by(entry), "words": moment.words}
    if "start" in values:
        start, minutes = datetime.fromisoformat(values["start"]), act.window_minutes
        words["start"] = formats.when(start, zone) if minutes is None else formats.window(start, minutes, zone)
    if values.get("cancel_at"):
        words["cancel_at"] = formats.when(datetime.fromisoformat(values["cancel_at"]), zone)
    words["technician"] = values.get("technician") or ""
    by_field = entry.actor_role == Role.TECHNICIAN
    sentence = (STEPS if by_field else SENTENCES).get(entry.action)
    if sentence is None or (entry.action in NEEDS and not words.get(NEEDS[entry.action])):
        return gettext("%(number)s: %(words)s, recorded by %(who)s.", **words)
    return f"{str(sentence) % words}{_now_free(act, zone)}"


def _now_free(act: Act, zone: Any) -> str:
    """Return what a cancelled visit leaves to be given to somebody else."""
    if act.freed is None:
        return ""
    when = formats.window(act.freed.start, act.freed.end, zone)
    return " " + gettext("%(technician)s is free again on %(when)s.", technician=act.freed.technician, when=when)


def _by(entry: HistoryEntry) -> str:
    return gettext("the customer") if entry.actor_role == Role.CUSTOMER else entry.actor_name


def _cause(entry: HistoryEntry, moment: Moment) -> str:
    if entry.actor_role == Role.CUSTOMER:
        return gettext("%(words)s by customer just now", words=moment.words)
    if entry.actor_role in {Role.TECHNICIAN, Role.SYSTEM}:
        return gettext("%(words)s just now", words=moment.words)
    return gettext("%(words)s by %(name)s just now", words=moment.words, name=entry.actor_name)


def _who(entry: HistoryEntry) -> str:
    if entry.actor_role in {Role.CUSTOMER, Role.TECHNICIAN, Role.OPERATOR}:
        role = within(str(ROLE_NAMES[Role(entry.actor_role)]))
        return gettext("%(name)s, %(role)s", name=entry.actor_name, role=role)
    return entry.actor_name


def _changes(entry: HistoryEntry, zone: Any, of_job: Workflow[Any]) -> list[Change]:
    workflow = of_job if entry.subject == "job" else APPOINTMENT
    found = []
    for name in {**entry.before, **entry.after}:
        if name not in VALUES and name != "status":
            continue
        # "Confirmed" says it all, and so do "Photo shared" and its like.
        if (name, entry.action) in SAID:
            continue
        # The end follows from the start unless it moved by itself.
        if name == "end" and "start" in entry.after:
            continue
        old, new = (_text(name, values.get(name), workflow, zone) for values in (entry.before, entry.after))
        # What something new begins with is said by the act itself.
        if name == "status" and not old:
            continue
        lead = str(LEADS[name]) if name in LEADS and not old else ""
        found.append(Change(_name(name, entry.subject), old, new, lead))
    return sorted(found, key=lambda change: not change.lead)


def _name(name: str, subject: str) -> str:
    if name == "status":
        return gettext("Visit") if subject == "visit" else ""
    return "" if name in PLAIN else str(VALUES[name])


def _text(name: str, value: Any, workflow: Any, zone: Any) -> str:
    if value is None or value == "":
        return ""
    if name == "link":
        return gettext("the link in a message")
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if name == "status":
        return translate(workflow.status(value).office)
    if name == "wishes":
        return preferred_words([PreferredDate.of(wish) for wish in value])
    if name in INSTANTS:
        return formats.when(datetime.fromisoformat(value), zone)
    return str(value)
