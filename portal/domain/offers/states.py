"""The table of job offers (``lifecycles.md``, "Offers and requests")."""

from __future__ import annotations

from portal.domain.actor import Role
from portal.domain.errors import sentence
from portal.domain.lifecycle import Asked, Status, Transition, Workflow

STAFF = (Role.DISPATCHER, Role.PARTNER_ADMIN)

JOB_OFFER: Workflow[Asked] = Workflow(
    "job_offer",
    [
        Status("OFFERED", sentence("Offered")),
        Status("ACCEPTED", sentence("Accepted"), end=True),
        Status("DECLINED", sentence("Declined"), end=True),
        Status("EXPIRED", sentence("Expired"), end=True),
        Status("TAKEN", sentence("Taken by another partner"), end=True),
        Status("WITHDRAWN", sentence("Withdrawn"), end=True),
    ],
    [
        Transition("offer", sentence("Offer job"), (None,), ("OFFERED",), (Role.OPERATOR, Role.SYSTEM)),
        Transition("accept", sentence("Accept"), ("OFFERED",), ("ACCEPTED",), STAFF),
        Transition("decline", sentence("Decline"), ("OFFERED",), ("DECLINED",), STAFF, ("reason",)),
        Transition("expire", None, ("OFFERED",), ("EXPIRED",), (Role.SYSTEM,)),
        Transition("take", None, ("OFFERED",), ("TAKEN",), (Role.SYSTEM,)),
        Transition("withdraw", sentence("Withdraw"), ("OFFERED",), ("WITHDRAWN",), (Role.OPERATOR,)),
    ],
)
