"""The contract phase of an installation: send, correct, sign, approve (J10).

Each runs within one ``unit_of_work``; ``now`` is an instant, ``actor`` who asks. They raise ``NotFound``, ``Refused``
and ``Invalid`` and then change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor, Role
from portal.domain.contracts.models import Contract
from portal.domain.contracts.queries import current_contract
from portal.domain.errors import Invalid, Refusal, Refused, Sentence, sentence, too_long
from portal.domain.jobs.history import record
from portal.domain.jobs.mechanics import demand, demand_role, required_text, touch
from portal.domain.jobs.models import Job, JobItem
from portal.domain.jobs.situations import situation, visits_of
from portal.domain.jobs.states import INSTALLATION
from portal.domain.lookup import find, lock
from portal.domain.messages.models import MessageKind
from portal.domain.messages.services import announce
from portal.domain.people.models import Address, Customer, Partner
from portal.domain.texts import shows

MAX_SIGNATURE = 120
MAX_PAPER_BYTES = 10 * 1024 * 1024
# What a scanned signature may be, by the bytes it begins with, whatever its name says.
PAPER_TYPES = {
    b"%PDF-": "application/pdf",
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
}
CONSENT = sentence("I have read this contract and agree to it. My typed name is my signature.")


def send_contract(session: Session, actor: Actor, now: datetime, job_id: int) -> Contract:
    """Draw up the contract of a completed installation and send it to the customer; items and address freeze."""
    job = lock(session, Job, job_id)
    before = _move(session, actor, now, job, "send_contract")
    contract = _draw_up(session, now, job, revision=1)
    _note(session, actor, now, "send_contract", job, before, {"contract": f"{contract.revision}"})
    return contract


def send_corrected_contract(session: Session, actor: Actor, now: datetime, job_id: int, reason: str) -> Contract:
    """Void the contract that is out and send a new version, with a reason; signing the void one is refused."""
    job = lock(session, Job, job_id)
    demand(_refusal(session, actor, now, job, "send_corrected_contract"))
    text = required_text(reason, "reason", sentence("Enter a reason"))
    old = _current(session, job)
    _move(session, actor, now, job, "send_corrected_contract")
    old.voided_at = now
    contract = _draw_up(session, now, job, revision=old.revision + 1)
    change = {"contract": f"{old.revision}"}, {"contract": f"{contract.revision}"}
    record(session, actor, now, "send_corrected_contract", job, None, *change, text)
    touch(session, job, visits_of(session, job), now)
    return contract


def sign_contract(
    session: Session, actor: Actor, now: datetime, contract_id: int, name: str, consent: bool
) -> Contract:
    """Sign a contract as its customer: consent ticked and name typed; a void version is refused."""
    contract = find(session, Contract, contract_id)
    job = lock(session, Job, contract.job_id)
    demand_role(actor.role is Role.CUSTOMER)
    demand(_refusal(session, actor, now, job, "sign_contract"))
    if contract.id != _current(session, job).id:
        raise Refused(Refusal("void", sentence("This version was replaced by a corrected one; please sign that.")))
    errors: dict[str, Sentence] = {}
    if not shows(name):
        errors["name"] = sentence("Type your name")
    elif len(name.strip()) > MAX_SIGNATURE:
        errors["name"] = too_long(MAX_SIGNATURE)
    if not consent:
        errors["consent"] = sentence("Tick that you agree")
    if errors:
        raise Invalid(errors)
    before = _move(session, actor, now, job, "sign_contract")
    contract.signed_at, contract.signed_name, contract.consent = now, name.strip(), str(CONSENT)
    _note(session, actor, now, "sign_contract", job, before, {"signed_by": contract.signed_name})
    return contract


def record_paper_signature(
    session: Session, actor: Actor, now: datetime, job_id: int, filename: str, data: bytes
) -> Contract:
    """Record a contract signed on paper for staff, with the scan: a PDF, JPEG or PNG of at most 10 MB."""
    job = lock(session, Job, job_id)
    demand(_refusal(session, actor, now, job, "sign_contract"))
    demand_role(actor.is_staff)
    kind = next((kind for magic, kind in PAPER_TYPES.items() if data.startswith(magic)), None)
    if not data:
        raise Invalid({"file": sentence("Choose the scan of the signed contract")})
    if kind is None or len(data) > MAX_PAPER_BYTES:
        raise Invalid({"file": sentence("Use a PDF, JPEG or PNG file of at most 10 MB")})
    contract = _current(session, job)
    before = _move(session, actor, now, job, "sign_contract")
    contract.signed_at = now
    contract.paper_name, contract.paper_type, contract.paper = filename.strip()[-200:], kind, data
    _note(session, actor, now, "sign_contract", job, before, {"paper": contract.paper_name})
    return contract


def approve(session: Session, actor: Actor, now: datetime, job_id: int) -> Job:
    """Approve the finished work as its customer, or record a paper approval for staff; the successful end."""
    job = lock(session, Job, job_id)
    before = _move(session, actor, now, job, "approve")
    job.approved_at = now
    _note(session, actor, now, "approve", job, before, {})
    return job


def _refusal(session: Session, actor: Actor, now: datetime, job: Job, name: str) -> Refusal | None:
    return INSTALLATION.refusal(name, job.status, situation(session, actor, now, job))


def _move(session: Session, actor: Actor, now: datetime, job: Job, name: str) -> str:
    before = job.status
    INSTALLATION.move(job, name, situation(session, actor, now, job))
    return before


def _note(
    session: Session, actor: Actor, now: datetime, name: str, job: Job, before: str, more: Mapping[str, Any]
) -> None:
    record(session, actor, now, name, job, None, {"status": before}, {"status": job.status, **more})
    touch(session, job, visits_of(session, job), now)


def _current(session: Session, job: Job) -> Contract:
    contract = current_contract(session, job.id)
    if contract is None:
        raise RuntimeError(f"installation {job.id} in {job.status} has no contract")
    return contract


def _draw_up(session: Session, now: datetime, job: Job, revision: int) -> Contract:
    body = _body(session, job)
    contract = Contract(
        partner_id=job.partner_id,
        customer_id=job.customer_id,
        job_id=job.id,
        revision=revision,
        body=body,
        sha256=sha256(body.encode()).hexdigest(),
        sent_at=now,
    )
    session.add(contract)
    session.flush()
    visits = visits_of(session, job)
    announce(session, MessageKind.CONTRACT, visits[-1], now, subject=f"contract:{contract.id}")
    return contract


def _body(session: Session, job: Job) -> str:
    partner = session.scalars(select(Partner).where(Partner.id == job.partner_id)).one()
    customer, address = find(session, Customer, job.customer_id), find(session, Address, job.address_id)
    items = session.scalars(select(JobItem).where(JobItem.job_id == job.id).order_by(JobItem.position))
    lines = "\n".join(f"- {item.quantity} × {item.name}" for item in items)
    return (
        f"Contract for installation {job.number}\n\n"
        f"Between {partner.name} and {customer.name}.\n"
        f"Place: {address.one_line}\n\n"
        f"Installed:\n{lines}\n\n"
        "The customer confirms that the items above were installed at this place.\n"
    )
