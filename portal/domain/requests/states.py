"""The tables of service requests and change requests (``lifecycles.md``, "Offers and requests")."""

from __future__ import annotations

from portal.domain.actor import Role
from portal.domain.errors import sentence
from portal.domain.lifecycle import Asked, Status, Transition, Workflow

STAFF = (Role.DISPATCHER, Role.PARTNER_ADMIN)

SERVICE_REQUEST: Workflow[Asked] = Workflow(
    "service_request",
    [
        Status("NEW", sentence("New")),
        Status("COUNTER_PROPOSED", sentence("Another date offered")),
        Status("CONVERTED", sentence("Converted"), end=True),
        Status("DECLINED", sentence("Declined"), end=True),
        Status("CANCELLED", sentence("Cancelled"), end=True),
    ],
    [
        Transition("request", sentence("Request new service"), (None,), ("NEW",), (Role.CUSTOMER,), ("service_type",)),
        Transition(
            "counter_propose", sentence("Offer another date"), ("NEW",), ("COUNTER_PROPOSED",), STAFF, ("start",)
        ),
        Transition(
            "accept_proposal", sentence("Accept this date"), ("COUNTER_PROPOSED",), ("CONVERTED",), (Role.CUSTOMER,)
        ),
        Transition(
            "decline_proposal", sentence("Decline this date"), ("COUNTER_PROPOSED",), ("NEW",), (Role.CUSTOMER,)
        ),
        Transition("convert", sentence("Convert into a job"), ("NEW",), ("CONVERTED",), STAFF),
        Transition("decline", sentence("Decline"), ("NEW",), ("DECLINED",), STAFF, ("reason",)),
        Transition("cancel", sentence("Cancel"), ("NEW", "COUNTER_PROPOSED"), ("CANCELLED",), (Role.CUSTOMER,)),
    ],
)

CHANGE_REQUEST: Workflow[Asked] = Workflow(
    "change_request",
    [
        Status("PENDING", sentence("Pending")),
        Status("APPLIED", sentence("Applied"), end=True),
        Status("DECLINED", sentence("Declined"), end=True),
        Status("LAPSED", sentence("Lapsed"), end=True),
    ],
    [
        Transition("request", sentence("Request change"), (None,), ("PENDING",), (Role.CUSTOMER,), ("wish",)),
        Transition("apply", sentence("Apply"), ("PENDING",), ("APPLIED",), STAFF),
        Transition("decline", sentence("Decline"), ("PENDING",), ("DECLINED",), STAFF, ("reason",)),
        Transition("lapse", None, ("PENDING",), ("LAPSED",), (Role.SYSTEM,)),
    ],
)
