"""Reading the versions of a contract, their files, and whether these are still what they were."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, undefer

from portal.domain.branding.models import PartnerLogo
from portal.domain.contracts.models import Contract, ContractSettings
from portal.domain.errors import NotFound
from portal.domain.jobs.models import Job
from portal.domain.lookup import MAX_KEY
from portal.domain.people.models import Partner

# A scan has up to 10 MB, so only a few at a time.
BATCH = 10
FILES = {"pdf": "PDF as sent", "signed_pdf": "signed PDF", "paper": "scan", "drawing": "drawn signature"}


class ContractFile(StrEnum):
    """The files of a version: the PDF as it was sent, the same with the certificate of its signature, or the scan."""

    SENT = "contract"
    SIGNED = "signed"
    SCAN = "scan"


STORED = {
    ContractFile.SENT: Contract.pdf,
    ContractFile.SIGNED: Contract.signed_pdf,
    ContractFile.SCAN: Contract.paper,
}


@dataclass(frozen=True, slots=True)
class PaperFacts:
    """What a contract's paper is drawn from: the version with its bytes, whose it is; ``logo`` is a PNG."""

    contract: Contract
    job: Job
    partner: Partner
    logo: bytes | None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something stored of a contract that is not what its fingerprint says; ``what`` names it in English."""

    number: str
    revision: int
    what: str


def current_contract(session: Session, job_id: int) -> Contract | None:
    """Return the version that counts: the latest that is not void; ``None`` before the first was sent."""
    query = (
        select(Contract)
        .where(Contract.job_id == job_id, Contract.voided_at.is_(None))
        .order_by(Contract.revision.desc())
        .limit(1)
    )
    return session.scalars(query).first()


def settings_of(session: Session, partner_id: int) -> ContractSettings | None:
    """Return a partner's own contract text, or ``None`` where there never was one; one statement."""
    return session.scalars(select(ContractSettings).where(ContractSettings.partner_id == partner_id)).one_or_none()


def contract_with_job(session: Session, contract_id: int) -> tuple[Contract, Job]:
    """Return any version with its job, without the bytes of its files; raises ``NotFound``. One statement."""
    query = select(Contract, Job).join(Job, Job.id == Contract.job_id).where(Contract.id == contract_id)
    found = session.execute(query).one_or_none() if 0 < contract_id <= MAX_KEY else None
    if found is None:
        raise NotFound
    return found[0], found[1]


def stored_file(session: Session, contract_id: int, file: ContractFile) -> bytes | None:
    """Return the bytes of a file of a version, ``None`` where it was not drawn yet or there is none."""
    return session.scalars(select(STORED[file]).where(Contract.id == contract_id)).one_or_none()


def paper_facts(session: Session, contract_id: int) -> PaperFacts:
    """Return what the paper of a version is drawn from, in one statement; raises ``NotFound``."""
    query = _around().join(Contract, Contract.job_id == Job.id).add_columns(Contract).where(Contract.id == contract_id)
    found = session.execute(query.options(undefer(Contract.pdf), undefer(Contract.drawing))).one_or_none()
    if found is None:
        raise NotFound
    job, partner, logo, contract = found
    return PaperFacts(contract, job, partner, logo)


def paper_facts_of(session: Session, contract: Contract) -> PaperFacts:
    """Return the same of a version that is not written yet; one statement."""
    return PaperFacts(contract, *session.execute(_around().where(Job.id == contract.job_id)).one())


def _around() -> Select[*tuple[Any, ...]]:
    return (
        select(Job, Partner, PartnerLogo.picture)
        .join(Partner, Partner.id == Job.partner_id)
        .outerjoin(PartnerLogo, PartnerLogo.partner_id == Job.partner_id)
    )


def findings(session: Session) -> Iterator[Finding]:
    """Yield what of the contracts in the session's scope is not what it was when it was stored.

    Looks at every byte of every version, some versions at a time.
    """
    after = 0
    while True:
        query = (
            select(
                Contract.id,
                Job.number,
                Contract.revision,
                Contract.body,
                Contract.sha256,
                Contract.pdf,
                Contract.pdf_sha256,
                Contract.signed_pdf,
                Contract.signed_pdf_sha256,
                Contract.paper,
                Contract.paper_sha256,
                Contract.drawing,
                Contract.drawing_sha256,
            )
            .join(Job, Job.id == Contract.job_id)
            .where(Contract.id > after)
            .order_by(Contract.id)
            .limit(BATCH)
        )
        rows = session.execute(query).all()
        for row in rows:
            if _fingerprint(row.body.encode()) != row.sha256:
                yield Finding(row.number, row.revision, "text")
            for name, what in FILES.items():
                if _fingerprint(getattr(row, name)) != getattr(row, f"{name}_sha256"):
                    yield Finding(row.number, row.revision, what)
        if len(rows) < BATCH:
            return
        after = rows[-1].id


def _fingerprint(data: bytes | None) -> str:
    """Return the SHA-256 of ``data`` in hexadecimal digits; "" for none, as it is stored then."""
    return "" if data is None else sha256(data).hexdigest()
