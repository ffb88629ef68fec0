"""What the tables of ``states.py`` are called on the screen: workflows, acts without a button, inputs, conditions."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext, lazy_gettext, lazy_pgettext

from portal.domain.actor import Role
from portal.domain.jobs.states import STAFF
from portal.domain.lifecycle import Status, Transition
from portal.web.auth import ROLE_NAMES
from portal.web.i18n import translate

WORKFLOWS = {
    "installation": lazy_gettext("Installation"),
    "service": lazy_gettext("Service job"),
    "appointment": lazy_gettext("Appointment"),
    "job_offer": lazy_gettext("Job offer"),
    "service_request": lazy_gettext("Service request"),
    "change_request": lazy_gettext("Change request"),
}
GROUPS = {
    "Draft": lazy_gettext("Draft"),
    "Scheduled": lazy_gettext("Scheduled"),
    "En Route": lazy_gettext("En route"),
    "In Progress": lazy_gettext("In progress"),
    "Approved": lazy_pgettext("installation", "Approved"),
    "Completed": lazy_gettext("Completed"),
    "Rejected": lazy_gettext("Rejected"),
    "Cancelled": lazy_gettext("Cancelled"),
}
# Transitions that nobody presses a button of their own for.
ACTS = {
    "assign": lazy_gettext("Assign"),
    "book": lazy_gettext("Book"),
    "complete": lazy_gettext("Complete"),
    "complete_work": lazy_gettext("Complete"),
    "continue_later": lazy_gettext("Continue another day"),
    "expire": lazy_gettext("Expire"),
    "lapse": lazy_gettext("Lapse"),
    "pause": lazy_gettext("Pause"),
    "reactivate": lazy_gettext("Set back to scheduled"),
    "reassign": lazy_gettext("Reassign"),
    "resume": lazy_gettext("Resume"),
    "set_off": lazy_gettext("On my way"),
    "start_work": lazy_gettext("Start work"),
    "take": lazy_gettext("Taken by another partner"),
    "turn_back": lazy_gettext("Turn back"),
}
INPUTS = {
    "consent": lazy_gettext("consent"),
    "customer": lazy_gettext("customer"),
    "duration": lazy_gettext("duration"),
    "file": lazy_gettext("scan of the paper"),
    "items": lazy_gettext("items"),
    "minutes": lazy_gettext("minutes to arrival"),
    "note": lazy_gettext("note"),
    "notes": lazy_gettext("notes on the job"),
    "notify": lazy_gettext("whether to notify"),
    "pause_reason": lazy_gettext("pause reason"),
    "reason": lazy_gettext("reason"),
    "service_notes": lazy_gettext("service notes"),
    "service_type": lazy_gettext("service type"),
    "signature": lazy_gettext("signature"),
    "start": lazy_gettext("start"),
    "technician": lazy_gettext("technician"),
    "window": lazy_gettext("arrival window"),
    "wish": lazy_gettext("wish"),
}
CONDITIONS = {
    "assigned_to_the_actor": lazy_gettext("a technician only for their own visits"),
    "customer_cancel_rules": lazy_gettext("a customer only under the feature controls"),
    "customer_has_a_visit": lazy_gettext("a customer only where a visit is planned"),
    "customer_only_before_departure": lazy_gettext("a customer only before anybody sets off"),
    "customer_only_before_the_start": lazy_gettext("a customer only before the start"),
    "customer_only_before_work_began": lazy_gettext("a customer only before work begins"),
    "customer_reschedule_rules": lazy_gettext("a customer only under the feature controls"),
    "has_a_planned_visit": lazy_gettext("a visit is planned"),
    "in_the_future": lazy_gettext("the visit is still ahead"),
    "no_cancel_pending": lazy_gettext("no cancel of the customer is pending"),
    "no_cancel_pending_of_any_visit": lazy_gettext("no cancel of the customer is pending"),
    "no_other_visit_under_way": lazy_gettext("the technician has no other visit under way"),
    "no_technician": lazy_gettext("nobody is assigned"),
    "no_technician_yet": lazy_gettext("nobody is assigned"),
    "no_visit_under_way": lazy_gettext("no visit is under way"),
    "no_work_begun": lazy_gettext("nobody is at work"),
    "not_confirmed_yet": lazy_gettext("not confirmed yet"),
    "of_a_service_job": lazy_gettext("only visits of service jobs"),
    "on_the_visits_local_day": lazy_gettext("on the day of the visit"),
    "paused_only_before_work_began": lazy_gettext("a paused visit only before work began"),
    "technician_assigned": lazy_gettext("somebody is assigned"),
    "time_not_given_away": lazy_gettext("its time is not given to another visit"),
    "visit_not_under_way": lazy_gettext("the visit is not under way"),
}
TECHNICIAN_AND_STAFF = frozenset({*STAFF, Role.TECHNICIAN})


def act_name(row: Transition[Any]) -> str:
    """Return what a transition is called: the words of its button where it has one."""
    return translate(row.label) if row.label is not None else str(ACTS[row.name])


def status_name(status: Status) -> str:
    """Return what the office calls a status."""
    return translate(status.office)


def group_name(status: Status) -> str:
    """Return the group in which the overview counts a status; "" where it counts none."""
    return str(GROUPS[status.group]) if status.group else ""


def who(row: Transition[Any]) -> list[str]:
    """Return who may do it; dispatchers and partner admins together are the office."""
    if not row.roles:
        return [gettext("With the visit")]
    office = [gettext("Office")] if set(STAFF) <= set(row.roles) else []
    others = [role for role in row.roles if not (office and role in STAFF)]
    return office + [gettext("System") if role is Role.SYSTEM else str(ROLE_NAMES[role]) for role in others]


def named(names: tuple[str, ...], words: dict[str, Any]) -> list[str]:
    """Return the words of inputs or conditions, each once."""
    return list(dict.fromkeys(str(words[name]) for name in names))
