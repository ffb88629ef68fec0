"""The history of an installation in words: who did what, from which value to which, when (P12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask_babel import gettext, lazy_gettext

from portal.domain.actor import Role
from portal.domain.jobs.models import HistoryEntry
from portal.domain.jobs.states import APPOINTMENT, INSTALLATION
from portal.web import formats
from portal.web.auth import ROLE_NAMES
from portal.web.i18n import translate

WORDS = {
    "schedule": lazy_gettext("Scheduled"),
    "book": lazy_gettext("Visit planned"),
    "assign": lazy_gettext("Assigned"),
    "reassign": lazy_gettext("Reassigned"),
    "reject": lazy_gettext("Rejected"),
    "reschedule": lazy_gettext("Moved"),
    "cancel": lazy_gettext("Cancelled"),
    "request_cancel": lazy_gettext("Cancelling"),
    "undo_cancel": lazy_gettext("Cancel undone"),
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
    "approve": lazy_gettext("Approved"),
    "merge_customers": lazy_gettext("Customer merged"),
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
    "paper": lazy_gettext("Scan"),
    "customer": lazy_gettext("Customer"),
}
# Values that go without a name: what they are is plain to see.
PLAIN = {"start", "technician"}
# How a value that was not there before is joined on: "Scheduled for …", "Assigned to …".
LEADS = {"start": lazy_gettext("for"), "technician": lazy_gettext("to")}
INSTANTS = {"start", "end", "cancel_at"}


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


def moments(history: Sequence[HistoryEntry], zone: Any) -> list[Moment]:
    """Return the entries of one installation, newest first as they come, folded where one act wrote two."""
    told: list[Moment] = []
    last: HistoryEntry | None = None
    # Oldest first, so that a visit's entry joins the job's written before it.
    for entry in reversed(history):
        if last is None or not _same_act(last, entry):
            told.append(
                Moment(
                    at=entry.at,
                    words=str(WORDS.get(entry.action, entry.action)),
                    who=_who(entry),
                    by_customer=entry.actor_role == Role.CUSTOMER,
                    reason=entry.reason,
                )
            )
        told[-1].changes.extend(change for change in _changes(entry, zone) if change not in told[-1].changes)
        last = entry
    return told[::-1]


def _same_act(one: HistoryEntry, other: HistoryEntry) -> bool:
    together = {one.action, other.action} <= {"cancel", "reject"} or one.action == other.action
    return together and (one.at, one.actor_id, one.actor_role) == (other.at, other.actor_id, other.actor_role)


def _who(entry: HistoryEntry) -> str:
    if entry.actor_role in {Role.CUSTOMER, Role.TECHNICIAN, Role.OPERATOR}:
        role = str(ROLE_NAMES[Role(entry.actor_role)]).lower()
        return gettext("%(name)s, %(role)s", name=entry.actor_name, role=role)
    return entry.actor_name


def _changes(entry: HistoryEntry, zone: Any) -> list[Change]:
    workflow = INSTALLATION if entry.subject == "job" else APPOINTMENT
    found = []
    for name in {**entry.before, **entry.after}:
        if name not in VALUES and name != "status":
            continue
        # "Confirmed" says it all.
        if name == "confirmed" and entry.action == "confirm":
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
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if name == "status":
        return translate(workflow.status(value).office)
    if name in INSTANTS:
        return formats.when(datetime.fromisoformat(value), zone)
    return str(value)
