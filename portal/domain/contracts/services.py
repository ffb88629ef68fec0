"""The contract phase of an installation: send, correct, sign, approve (J10).

Each runs within one ``unit_of_work``; ``now`` is an instant, ``actor`` who asks. They raise ``NotFound``, ``Refused``
and ``Invalid`` and then change nothing. ``say`` gives the usual text in the partner's language; by default English.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date
from PIL import Image
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from portal.domain.actor import Actor, Role
from portal.domain.contracts.models import Contract
from portal.domain.contracts.queries import current_contract, settings_of
from portal.domain.contracts.text import USUAL
from portal.domain.drawings import MAX_SIGNATURE, read_drawing
from portal.domain.errors import Invalid, Refusal, Refused, Sentence, sentence, too_long
from portal.domain.jobs.history import record
from portal.domain.jobs.mechanics import demand, demand_role, required_text, touch
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.situations import situation, visits_of
from portal.domain.jobs.states import INSTALLATION
from portal.domain.lookup import find, lock
from portal.domain.messages.models import MessageKind
from portal.domain.messages.services import announce
from portal.domain.people.models import Partner
from portal.domain.templating import Unusable, fill
from portal.domain.texts import shows

MAX_FROM, MAX_BROWSER = 60, 300
MAX_PAPER_BYTES = 10 * 1024 * 1024
# What a scanned signature may be, by the bytes it begins with, whatever its name says.
PAPER_TYPES = {
    b"%PDF-": "application/pdf",
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
}
EMPTY = sentence("Draw your signature, or tick that your typed name is enough")
CONSENT = sentence("I have read this contract and agree to it. My typed name, and what I drew, is my signature.")
# The language of dates where the partner chose none.
USUAL_LOCALE = "en_GB"
NOT_WHAT_WAS_SHOWN = Refusal(
    "other_document", sentence("This is not the document that the page showed you; please read it again, then sign.")
)

Say = Callable[[Sentence], str]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What bears witness of a signature: the SHA-256 of the PDF that was shown, the words that were agreed to.

    ``address`` and ``browser`` are what the request said of itself; ``drawing`` is a PNG, empty where nothing was
    drawn. ``must_draw``: the page had room to draw, and the signer did not say that the typed name is enough.
    """

    shown: str
    consent: str
    address: str
    browser: str
    drawing: bytes = b""
    must_draw: bool = False


def send_contract(session: Session, actor: Actor, now: datetime, job_id: int, say: Say = str) -> Contract:
    """Draw up the contract of a completed installation and send it to the customer; items and address freeze."""
    job = lock(session, Job, job_id)
    before = _move(session, actor, now, job, "send_contract")
    contract = _draw_up(session, now, job, 1, say)
    _note(session, actor, now, "send_contract", job, before, {"contract": f"{contract.revision}"})
    return contract


def send_corrected_contract(
    session: Session, actor: Actor, now: datetime, job_id: int, reason: str, say: Say = str
) -> Contract:
    """Void the contract that is out and send a new version, with a reason; signing the void one is refused."""
    job = lock(session, Job, job_id)
    demand(_refusal(session, actor, now, job, "send_corrected_contract"))
    text = required_text(reason, "reason", sentence("Enter a reason"))
    old = _current(session, job)
    _move(session, actor, now, job, "send_corrected_contract")
    old.voided_at = now
    contract = _draw_up(session, now, job, old.revision + 1, say)
    change = {"contract": f"{old.revision}"}, {"contract": f"{contract.revision}"}
    record(session, actor, now, "send_corrected_contract", job, None, *change, text)
    touch(session, job, visits_of(session, job), now)
    return contract


def contract_to_be(session: Session, now: datetime, job_id: int, say: Say = str) -> Contract:
    """Return the next version of a contract as it would be sent at ``now``, for drawing it ahead; nothing is written.

    Reads without a lock, so that what is sent may say something else after all.
    """
    job, current = find(session, Job, job_id), current_contract(session, job_id)
    revision = current.revision + 1 if current is not None else 1
    return _version(session, now, job, visits_of(session, job), revision, say)


def sign_contract(
    session: Session,
    actor: Actor,
    now: datetime,
    contract_id: int,
    name: str,
    consent: bool,
    evidence: Evidence | None = None,
) -> Contract:
    """Sign a contract as its customer: consent ticked and name typed, perhaps a signature drawn.

    A void version is refused, and so is another document than ``evidence`` says was shown. Without evidence only name
    and consent are kept.
    """
    contract = find(session, Contract, contract_id)
    job = lock(session, Job, contract.job_id)
    demand_role(actor.role is Role.CUSTOMER)
    demand(_refusal(session, actor, now, job, "sign_contract"))
    if contract.id != _current(session, job).id:
        raise Refused(Refusal("void", sentence("This version was replaced by a corrected one; please sign that.")))
    if evidence is not None and (not contract.pdf_sha256 or evidence.shown != contract.pdf_sha256):
        raise Refused(NOT_WHAT_WAS_SHOWN)
    errors: dict[str, Sentence] = {}
    drawing: bytes | None = None
    if evidence is not None and evidence.drawing:
        match read_drawing(evidence.drawing, EMPTY):
            case bytes() as drawn:
                drawing = drawn
            case wrong:
                errors["drawing"] = wrong
    elif evidence is not None and evidence.must_draw:
        errors["drawing"] = EMPTY
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
    told = {"signed_by": contract.signed_name}
    if evidence is not None:
        contract.consent = evidence.consent
        contract.signed_from, contract.signed_with = evidence.address[:MAX_FROM], evidence.browser[:MAX_BROWSER]
        if drawing is not None:
            contract.drawing, contract.drawing_sha256 = drawing, fingerprint(drawing)
        told |= {
            "document": contract.pdf_sha256,
            "consent": contract.consent,
            "signed_from": contract.signed_from,
            "signed_with": contract.signed_with,
        }
    _note(session, actor, now, "sign_contract", job, before, told)
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
    if kind.startswith("image/") and not _is_picture(data):
        raise Invalid({"file": sentence("The picture is damaged or incomplete; scan it again")})
    contract = _current(session, job)
    before = _move(session, actor, now, job, "sign_contract")
    contract.signed_at = now
    contract.paper_name, contract.paper_type = filename.strip()[-200:], kind
    contract.paper, contract.paper_sha256 = data, fingerprint(data)
    _note(session, actor, now, "sign_contract", job, before, {"paper": contract.paper_name})
    return contract


def approve(session: Session, actor: Actor, now: datetime, job_id: int) -> Job:
    """Approve the finished work as its customer, or record a paper approval for staff; the successful end."""
    job = lock(session, Job, job_id)
    before = _move(session, actor, now, job, "approve")
    job.approved_at = now
    _note(session, actor, now, "approve", job, before, {})
    return job


def keep_pdf(session: Session, contract_id: int, pdf: bytes) -> bytes:
    """Keep ``pdf`` as what was sent and return it; where another was quicker, return the one that is kept."""
    contract = lock(session, Contract, contract_id)
    if contract.pdf is None:
        contract.pdf, contract.pdf_sha256 = pdf, fingerprint(pdf)
    return contract.pdf


def keep_signed_pdf(session: Session, contract_id: int, pdf: bytes) -> bytes:
    """Keep ``pdf`` as the signed contract and return it; where another was quicker, return the one that is kept."""
    contract = lock(session, Contract, contract_id)
    if not contract.signed_online:
        raise ValueError(f"contract {contract_id} is not signed by its customer")
    if contract.signed_pdf is None:
        contract.signed_pdf, contract.signed_pdf_sha256 = pdf, fingerprint(pdf)
    return contract.signed_pdf


def fingerprint(data: bytes) -> str:
    """Return the SHA-256 of ``data`` in hexadecimal digits."""
    return sha256(data).hexdigest()


def _is_picture(data: bytes) -> bool:
    try:
        Image.open(BytesIO(data), formats=("JPEG", "PNG")).verify()
    except Exception:
        # Decoders raise whatever a file that was made to break them provokes.
        return False
    return True


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


def _draw_up(session: Session, now: datetime, job: Job, revision: int, say: Say) -> Contract:
    visits = visits_of(session, job)
    contract = _version(session, now, job, visits, revision, say)
    session.add(contract)
    session.flush()
    announce(session, MessageKind.CONTRACT, visits[-1], now, subject=f"contract:{contract.id}")
    return contract


def _version(
    session: Session, now: datetime, job: Job, visits: Sequence[Appointment], revision: int, say: Say
) -> Contract:
    body = _body(session, now, job, visits, revision, say)
    return Contract(
        partner_id=job.partner_id,
        customer_id=job.customer_id,
        job_id=job.id,
        revision=revision,
        body=body,
        sha256=fingerprint(body.encode()),
        sent_at=now,
    )


def _body(session: Session, now: datetime, job: Job, visits: Sequence[Appointment], revision: int, say: Say) -> str:
    partner = session.scalars(select(Partner).where(Partner.id == job.partner_id)).one()
    facts = session.scalars(
        select(Job)
        .where(Job.id == job.id)
        .options(
            joinedload(Job.customer),
            joinedload(Job.address),
            joinedload(Job.service_type),
            joinedload(Job.technician),
            selectinload(Job.items),
        ),
        execution_options={"populate_existing": True},
    ).one()
    own = settings_of(session, job.partner_id)
    zone, locale = ZoneInfo(partner.timezone), partner.locale or USUAL_LOCALE
    made = dict.fromkeys(visit.start_at.astimezone(zone).date() for visit in visits if visit.is_complete)
    values = {
        "job.number": job.number,
        "job.title": job.title,
        "job.service": facts.service_type.name,
        "job.items": "\n".join(f"- {item.quantity} × {item.name}" for item in facts.items),
        "job.dates": "; ".join(format_date(day, "long", locale=locale) for day in made),
        "customer.name": facts.customer.name,
        "customer.address": facts.address.one_line,
        "technician.name": facts.technician.name if facts.technician is not None else "",
        "partner.name": partner.name,
        "partner.phone": partner.phone,
        "contract.date": format_date(now.astimezone(zone).date(), "long", locale=locale),
        "contract.version": str(revision),
    }
    try:
        return fill((own.text if own is not None else "") or say(USUAL), values)
    except Unusable as wrong:
        # Checked when it was saved, so this is a text that became too long.
        text = sentence("The contract text cannot be filled in: %(problem)s", problem=wrong.problem.sentence)
        raise Refused(Refusal("contract_text", text)) from wrong
