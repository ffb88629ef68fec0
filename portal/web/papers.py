"""The files of contracts: drawn when they are first needed, kept from then on, and handed to who may read them.

What was drawn is never drawn again, so that everybody reads the same bytes as the one who signed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from flask import Response
from flask_babel import force_locale, gettext
from sqlalchemy.orm import Session

from portal.domain.contracts import queries, services
from portal.domain.contracts.models import Contract
from portal.domain.contracts.queries import ContractFile, PaperFacts
from portal.domain.errors import NotFound
from portal.domain.people.models import Partner
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import db
from portal.web import formats
from portal.web.auth import session_beyond
from portal.web.i18n import DEFAULT, LANGUAGES, say_in
from portal.web.partners import info_of

PDF = "application/pdf"
ENDINGS = {PDF: "pdf", "image/jpeg": "jpg", "image/png": "png"}
# Whatever a scan holds, it runs nothing.
SANDBOX = "default-src 'none'; sandbox"


def say_for(partner: Partner) -> services.Say:
    """Return how the usual contract text is said in the language of a partner."""
    return say_in(_locale(partner))


class Source(NamedTuple):
    """Everything that a PDF is drawn from, in the language of ``locale``."""

    locale: str
    partner: str
    number: str
    revision: int
    body: str
    at: datetime
    below: str
    logo: bytes | None


@dataclass(frozen=True, slots=True)
class Drawn:
    """A PDF, and what it was drawn from."""

    source: Source
    pdf: bytes


def draw_ahead(session: Session, contract: Contract) -> Drawn:
    """Draw the PDF of a version that is about to be sent, before the unit of work that sends it.

    Rare letters take seconds, in which on SQLite nobody else could write anything.
    """
    return _draw(_source(queries.paper_facts_of(session, contract)))


def keep_drawn(session: Session, contract_id: int, ahead: Drawn | None) -> None:
    """Keep the PDF of a version in the unit of work that sends it, so that none is out without.

    It is drawn there only where ``ahead`` was drawn from something else, which was changed meanwhile.
    """
    source = _source(queries.paper_facts(session, contract_id))
    drawn = ahead if ahead is not None and ahead.source == source else _draw(source)
    services.keep_pdf(session, contract_id, drawn.pdf)


def fingerprint_of(contract_id: int) -> str:
    """Return the SHA-256 of the PDF of a version that the caller may read."""
    return services.fingerprint(sent_pdf(contract_id))


def file_of(contract_id: int, kind: str) -> Response:
    """Return a file of a version in reach of the request's session; ``NotFound`` for what there is not."""
    contract, job = queries.contract_with_job(db.session(), contract_id)
    if kind not in set(ContractFile):
        raise NotFound
    file = ContractFile(kind)
    media = PDF
    if file is ContractFile.SENT:
        data = sent_pdf(contract_id)
    elif file is ContractFile.SIGNED and contract.signed_online:
        data = signed_pdf(contract_id)
    elif file is ContractFile.SCAN and contract.on_paper:
        data, media = queries.stored_file(db.session(), contract_id, file) or b"", contract.paper_type
    else:
        raise NotFound
    answer = Response(data, mimetype=media)
    # What is to be read opens in the browser, what is to be kept is saved.
    shown = "inline" if file is ContractFile.SENT else "attachment"
    name = f"{job.number}-{file.value}-{contract.revision}.{ENDINGS[media]}"
    answer.headers["Content-Disposition"] = f'{shown}; filename="{name}"'
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Content-Security-Policy"] = SANDBOX if file is ContractFile.SCAN else "default-src 'self'"
    answer.headers["Cache-Control"] = "private, no-store"
    return answer


def example(partner: Partner, logo: bytes | None, body: str) -> bytes:
    """Return the PDF of a text that is no contract, for looking at."""
    from portal.web.pdf import draw_contract

    with force_locale(_locale(partner)):
        below = gettext("An example; nothing was sent.")
        return draw_contract(partner.name, f"{partner.job_prefix}-1001", 1, body, formats.now(), below, logo)


def sent_pdf(contract_id: int) -> bytes:
    """Return the PDF of a version that the caller may read; draws it where nobody has yet."""
    # Drawn as the system: a suspended partner's customers may read, and what they read has to be kept.
    with session_beyond("system") as session:
        facts = queries.paper_facts(session, contract_id)
    if facts.contract.pdf is not None:
        return facts.contract.pdf
    pdf = _draw(_source(facts)).pdf
    with session_beyond("system") as session, unit_of_work(session):
        return services.keep_pdf(session, contract_id, pdf)


def signed_pdf(contract_id: int) -> bytes:
    """Return the signed PDF of a version that the caller may read and its customer signed here; draws it as above."""
    with session_beyond("system") as session:
        stored = queries.stored_file(session, contract_id, ContractFile.SIGNED)
        if stored is not None:
            return stored
    # The certificate names the fingerprint of what is kept, so that comes first.
    sent = sent_pdf(contract_id)
    with session_beyond("system") as session:
        facts = queries.paper_facts(session, contract_id)
    pdf = _certify(facts, sent)
    with session_beyond("system") as session, unit_of_work(session):
        return services.keep_signed_pdf(session, contract_id, pdf)


def _source(facts: PaperFacts) -> Source:
    contract, partner, locale = facts.contract, info_of(facts.partner), _locale(facts.partner)
    with force_locale(locale):
        sent = formats.day(contract.sent_at, partner, year=True)
        below = gettext("Version %(version)s, sent %(day)s", version=contract.revision, day=sent)
    return Source(
        locale, partner.name, facts.job.number, contract.revision, contract.body, contract.sent_at, below, facts.logo
    )


def _draw(source: Source) -> Drawn:
    # Takes half a second to load, which a page without a contract need not wait for.
    from portal.web.pdf import draw_contract

    with force_locale(source.locale):
        pdf = draw_contract(
            source.partner, source.number, source.revision, source.body, source.at, source.below, source.logo
        )
    return Drawn(source, pdf)


def _certify(facts: PaperFacts, sent: bytes) -> bytes:
    from portal.web.pdf import bound, draw_certificate

    contract, partner = facts.contract, info_of(facts.partner)
    if contract.signed_at is None:
        raise ValueError(f"contract {contract.id} is not signed")
    with force_locale(_locale(facts.partner)):
        document = gettext(
            "Contract %(number)s, version %(version)s", number=facts.job.number, version=contract.revision
        )
        local, exact = formats.day(contract.signed_at, partner, year=True), contract.signed_at.astimezone(UTC)
        rows = [
            (gettext("Signed by"), contract.signed_name),
            (gettext("When"), f"{local}, {formats.clock(contract.signed_at, partner)} ({exact:%Y-%m-%d %H:%M:%S} UTC)"),
            (gettext("What was agreed to"), contract.consent),
            (gettext("SHA-256 of the document that was shown and signed"), contract.pdf_sha256),
            (gettext("Network address"), contract.signed_from),
            (gettext("Browser"), contract.signed_with),
        ]
        known = [(name, value) for name, value in rows if value]
        certificate = draw_certificate(partner.name, document, known, contract.drawing, contract.signed_at)
    return bound(sent, certificate)


def _locale(partner: Partner) -> str:
    return partner.locale if partner.locale in LANGUAGES else DEFAULT
