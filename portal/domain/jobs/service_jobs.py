"""The use cases that only service jobs have (J2): draft, and what leads from there to a first visit.

What they share with installations is in ``services``. Each runs within one ``unit_of_work``; ``now`` is an instant,
``actor`` who asks. They raise what those of ``services`` raise, and then change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.errors import Invalid
from portal.domain.jobs.history import record
from portal.domain.jobs.models import Job
from portal.domain.jobs.services import ItemInput, item_errors, next_number, place_errors, set_items, title_of
from portal.domain.jobs.states import SERVICE, Situation
from portal.domain.lookup import find, lock_customer
from portal.domain.people.models import Address
from portal.domain.scheduling.models import ServiceType
from portal.domain.scheduling.queries import zone_of


@dataclass(frozen=True, slots=True)
class ServiceDraft:
    """What *New service job* asks for; without ``items`` the job is called what its service type is."""

    customer_id: int
    address_id: int
    service_type_id: int
    notes: str = ""
    items: Sequence[ItemInput] = ()


def create_service_job(
    session: Session, actor: Actor, now: datetime, draft: ServiceDraft, follows: bool = False
) -> Job:
    """Create a service job as a draft, without a visit, and return it (J2).

    For staff; with ``follows`` it comes along with an offer that was accepted or a request that was converted, whose
    own table has been asked, so that here nobody's role is.
    """
    customer = lock_customer(session, draft.customer_id)
    address = find(session, Address, draft.address_id)
    kind = find(session, ServiceType, draft.service_type_id)
    partner_id = customer.partner_id
    asked = Situation(actor=actor, now=now, zone=zone_of(session, partner_id))
    status = SERVICE.first("create") if follows else SERVICE.start("create", asked)
    errors = place_errors(customer, address, kind, draft.notes) | item_errors(draft.items, required=False)
    if errors:
        raise Invalid(errors)
    job = Job(
        partner_id=partner_id,
        customer_id=customer.id,
        workflow=SERVICE.name,
        number=next_number(session, partner_id),
        status=status,
        title=title_of(draft.items) or kind.name,
        address_id=address.id,
        service_type_id=kind.id,
        notes=draft.notes.strip(),
        created_at=now,
        updated_at=now,
    )
    session.add(job)
    session.flush()
    set_items(session, job, draft.items)
    record(session, actor, now, "create", job, after={"status": status})
    return job
