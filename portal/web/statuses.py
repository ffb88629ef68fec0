"""How a status looks: one table from status to the class of the style sheet, and the label for who reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from flask import Flask
from flask_babel import gettext, lazy_gettext, lazy_pgettext

from portal.domain.actor import Role
from portal.domain.jobs.states import APPOINTMENT, INSTALLATION, SERVICE
from portal.domain.lifecycle import HasStatus, Status
from portal.domain.messages.models import Channel, Fault, MessageKind, MessageStatus
from portal.domain.offers.states import JOB_OFFER
from portal.domain.requests.models import Wish
from portal.domain.requests.states import CHANGE_REQUEST, SERVICE_REQUEST
from portal.web.auth import current_actor
from portal.web.i18n import translate
from portal.web.partners import partner_info

WORKFLOWS = {workflow.name: workflow for workflow in (INSTALLATION, SERVICE)}

NEEDS = "status-needs"
SCHEDULED = "status-scheduled"
ENROUTE = "status-enroute"
PROGRESS = "status-progress"
PAUSED = "status-paused"
DONE = "status-done"
ENDED = "status-ended"
DRAFT = "status-draft"

CSS = {
    "installation": {
        "SCHEDULED": SCHEDULED,
        "INSTALLER_ASSIGNED": SCHEDULED,
        "EN_ROUTE": ENROUTE,
        "INSTALLATION_IN_PROGRESS": PROGRESS,
        "INSTALLATION_COMPLETED": PROGRESS,
        "CONTRACT_SENT": PROGRESS,
        "CONTRACT_SIGNED": PROGRESS,
        "CUSTOMER_APPROVED": DONE,
        "CANCELLED": ENDED,
        "REJECTED": ENDED,
    },
    "service": {
        "DRAFT": DRAFT,
        "APPROVED": DRAFT,
        "SCHEDULED": SCHEDULED,
        "IN_PROGRESS": PROGRESS,
        "PAUSED": PAUSED,
        "COMPLETED": DONE,
        "CANCELLED": ENDED,
    },
    "appointment": {
        "SCHEDULED": SCHEDULED,
        "PREPARING": SCHEDULED,
        "ON_THE_WAY": ENROUTE,
        "ARRIVED": ENROUTE,
        "WORK_IN_PROGRESS": PROGRESS,
        "PAUSED": PAUSED,
        "COMPLETE": DONE,
        "INCOMPLETE": ENDED,
        "CANCELLED": ENDED,
    },
    "job_offer": {
        "OFFERED": NEEDS,
        "ACCEPTED": DONE,
        "DECLINED": ENDED,
        "EXPIRED": ENDED,
        "TAKEN": ENDED,
        "WITHDRAWN": ENDED,
    },
    "service_request": {
        "NEW": NEEDS,
        "COUNTER_PROPOSED": NEEDS,
        "CONVERTED": DONE,
        "DECLINED": ENDED,
        "CANCELLED": ENDED,
    },
    "change_request": {
        "PENDING": NEEDS,
        "APPLIED": DONE,
        "DECLINED": ENDED,
        "LAPSED": ENDED,
    },
}
GROUP_CSS = {
    "Draft": DRAFT,
    "Scheduled": SCHEDULED,
    "En Route": ENROUTE,
    "In Progress": PROGRESS,
    "Approved": DONE,
    "Completed": DONE,
    "Rejected": ENDED,
    "Cancelled": ENDED,
}
MESSAGE_KINDS = {
    MessageKind.BOOKED: lazy_gettext("Visit booked"),
    MessageKind.MOVED: lazy_gettext("Visit moved"),
    MessageKind.CANCELLED: lazy_gettext("Visit cancelled"),
    MessageKind.PLEASE_CONFIRM: lazy_gettext("Please confirm"),
    MessageKind.DECLINED: lazy_gettext("Change request declined"),
    MessageKind.REMINDER: lazy_gettext("Reminder"),
    MessageKind.ON_THE_WAY: lazy_gettext("On the way"),
    MessageKind.CONTRACT: lazy_gettext("Contract"),
    MessageKind.REQUEST_RECEIVED: lazy_gettext("Request received"),
    MessageKind.REQUEST_OFFERED: lazy_gettext("Another date offered"),
    MessageKind.REQUEST_DECLINED: lazy_gettext("Request declined"),
    MessageKind.REQUEST_CONVERTED: lazy_gettext("Request taken on"),
    MessageKind.SURVEY: lazy_gettext("Survey"),
    MessageKind.SURVEY_NUDGE: lazy_gettext("Survey, once more"),
    MessageKind.FOLLOW_UP: lazy_gettext("After the visit"),
    MessageKind.INVITATION: lazy_gettext("Invitation"),
    MessageKind.SIGN_IN: lazy_gettext("Link to sign in"),
    MessageKind.NEW_PASSWORD: lazy_gettext("Link for a new password"),
    MessageKind.USE_EMAIL: lazy_gettext("Number that cannot sign in"),
    MessageKind.TECHNICIAN_ASSIGNED: lazy_gettext("Technician: visit assigned"),
    MessageKind.TECHNICIAN_RELIEVED: lazy_gettext("Technician: visit taken off"),
    MessageKind.TECHNICIAN_MOVED: lazy_gettext("Technician: visit moved"),
    MessageKind.TECHNICIAN_CANCELLED: lazy_gettext("Technician: visit cancelled"),
}
MESSAGE_CHANNELS = {Channel.EMAIL: lazy_gettext("Email"), Channel.TEXT: lazy_pgettext("channel", "Text")}
# What went wrong with a message, as somebody who could do something about it reads it.
FAULTS = {
    Fault.ADDRESS: lazy_gettext("There is no such address or number."),
    Fault.REFUSED: lazy_gettext("The other side did not take it."),
    Fault.SIGN_IN: lazy_gettext("The server does not accept our user or password."),
    Fault.SILENT: lazy_gettext("The server did not answer in time."),
    Fault.ABSENT: lazy_gettext("The server cannot be found or does not take calls."),
    Fault.CUT_OFF: lazy_gettext("The connection was cut while sending."),
    Fault.UNSAFE: lazy_gettext("There is no safe connection to the server."),
    Fault.OTHER: lazy_gettext("It could not be sent."),
}
# What a change request is for, as customer and office read it.
WISHES = {Wish.MOVE: lazy_gettext("Another time"), Wish.CANCEL: lazy_gettext("Cancel the visit")}
# Where a customer reads something else of what they asked for than the office does.
ASKED = {
    "PENDING": lazy_gettext("Waits for our answer"),
    "APPLIED": lazy_gettext("Done"),
    "LAPSED": lazy_gettext("No longer open"),
    "NEW": lazy_gettext("Waits for our answer"),
    "CONVERTED": lazy_gettext("Taken on"),
}
# What a rating of a survey means.
RATING_WORDS = {
    1: lazy_gettext("Very dissatisfied"),
    2: lazy_gettext("Dissatisfied"),
    3: lazy_gettext("Neutral"),
    4: lazy_gettext("Satisfied"),
    5: lazy_gettext("Very satisfied"),
}
# A plan that nobody is to carry out yet asks for somebody.
WANTS_SOMEBODY = "SCHEDULED"
# Labels of customers that bring their own picture.
BARE = frozenset({"ON_THE_WAY", "COMPLETE"})


class JobLike(Protocol):
    """What a job's badge is made from."""

    workflow: str
    status: str
    technician_id: int | None


class VisitLike(Protocol):
    """What a visit's badge is made from."""

    status: str
    technician_id: int | None

    @property
    def partner_id(self) -> int:
        """Whose words a customer reads."""


class MessageLike(Protocol):
    """What a message's badge is made from."""

    status: str
    last_error: str


@dataclass(frozen=True, slots=True)
class Badge:
    """A status as a page shows it."""

    css: str
    label: str
    bare: bool = False


def job_css(workflow: str, status: str, has_technician: bool) -> str:
    """Return the class of a job's status."""
    return NEEDS if status == WANTS_SOMEBODY and not has_technician else CSS[workflow][status]


def badge(job: JobLike) -> Badge:
    """Return the badge of a job, or of a row with its ``workflow``, ``status`` and ``technician_id``."""
    label = WORKFLOWS[job.workflow].status(job.status).office
    return Badge(job_css(job.workflow, job.status, job.technician_id is not None), translate(label))


def customer_label(status: str, reworded: Mapping[str, str]) -> str:
    """Return what a customer reads of a visit's status: the partner's own words, else the table's in their language.

    ``reworded`` is the partner's ``status_labels``. Every place that shows customers a status asks here.
    """
    return reworded.get(status) or translate(APPOINTMENT.status(status).label)


def customer_badge(status: str, reworded: Mapping[str, str]) -> Badge:
    """Return the badge of a visit's status as customers of the partner with these words see it."""
    bare = status in BARE and not reworded.get(status)
    return Badge(CSS["appointment"][status], customer_label(status, reworded), bare)


def visit_badge(visit: VisitLike) -> Badge:
    """Return the badge of a visit, in the customer's words for a customer and the office's for everybody else."""
    status = APPOINTMENT.status(visit.status)
    actor = current_actor()
    if actor is not None and actor.role is Role.CUSTOMER:
        return customer_badge(visit.status, partner_info(visit.partner_id).status_labels)
    needs = visit.status == WANTS_SOMEBODY and visit.technician_id is None
    return Badge(NEEDS if needs else CSS["appointment"][visit.status], translate(status.office))


def request_badge(request: HasStatus) -> Badge:
    """Return the badge of a change request, in the customer's words for a customer."""
    return Badge(CSS["change_request"][request.status], _asked_label(CHANGE_REQUEST.status(request.status)))


def service_request_badge(request: HasStatus) -> Badge:
    """Return the badge of a request for new service, in the customer's words for a customer."""
    return Badge(CSS["service_request"][request.status], _asked_label(SERVICE_REQUEST.status(request.status)))


def _asked_label(status: Status) -> str:
    actor = current_actor()
    if actor is not None and actor.role is Role.CUSTOMER and status.name in ASKED:
        return str(ASKED[status.name])
    return translate(status.label)


def offer_badge(offer: HasStatus, expired: bool = False) -> Badge:
    """Return the badge of a job offer; ``expired``: its time is over, whatever the worker has noted so far."""
    status = JOB_OFFER.transition("expire").targets[0] if expired else offer.status
    return Badge(CSS["job_offer"][status], translate(JOB_OFFER.status(status).label))


def fault_text(fault: str) -> str:
    """Return what went wrong in words; "" where nothing is known."""
    return str(FAULTS[Fault(fault)]) if fault else ""


def message_badge(message: MessageLike) -> Badge:
    """Return the badge of a message of the outbox."""
    if message.status == MessageStatus.SENT:
        return Badge(DONE, gettext("Sent"))
    if message.status == MessageStatus.SKIPPED:
        return Badge(ENDED, gettext("Not sent"))
    if message.status == MessageStatus.FAILED:
        return Badge(NEEDS, gettext("Could not be delivered"))
    if message.last_error:
        return Badge(PAUSED, gettext("Failed, trying again"))
    return Badge(SCHEDULED, gettext("Planned"))


def init_app(app: Flask) -> None:
    """Make the badges known to the templates of ``app``."""
    app.jinja_env.globals.update(
        badge=badge,
        visit_badge=visit_badge,
        request_badge=request_badge,
        service_request_badge=service_request_badge,
        offer_badge=offer_badge,
        customer_badge=customer_badge,
        message_badge=message_badge,
        message_kind=MESSAGE_KINDS.__getitem__,
        message_channel=MESSAGE_CHANNELS.__getitem__,
        fault_text=fault_text,
        group_css=GROUP_CSS.__getitem__,
    )
