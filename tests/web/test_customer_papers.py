"""Reading and signing a contract and approving the work, as the customer does it."""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from PIL import Image, ImageDraw
from pypdf import PdfReader
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from portal.cli import doctor
from portal.domain import drawings
from portal.domain.actor import Actor, Role
from portal.domain.contracts import services as contracts
from portal.domain.contracts.models import Contract
from portal.domain.contracts.text import PLACEHOLDERS
from portal.domain.database import POSTGRESQL
from portal.domain.jobs import fieldwork
from portal.domain.jobs.models import Job
from portal.domain.people.models import Partner
from portal.domain.unit_of_work import unit_of_work
from portal.web.pdf import FONTS, draw_certificate, draw_contract
from portal.web.typefaces import MOST_PARTS, parts_for
from tests.factories import Create
from tests.helpers import Site


@dataclass
class Finished:
    """A finished installation, and its customer at their browser."""

    site: Site
    session: Session
    partner: Partner
    job: Job

    def by_staff(self, act: Callable[..., Any], *args: Any) -> Any:
        staff = Actor(None, Role.DISPATCHER, "Dana Okafor", frozenset({self.partner.id}))
        with unit_of_work(self.session):
            row = act(self.session, staff, datetime.now(UTC), *args)
            self.session.flush()
            return row.id

    @property
    def status(self) -> str:
        self.session.rollback()
        return self.session.scalars(select(Job.status).where(Job.id == self.job.id)).one()

    @property
    def newest(self) -> int:
        self.session.rollback()
        return self.session.scalars(select(Contract.id).order_by(Contract.id.desc())).first() or 0

    def contract(self, contract_id: int) -> Contract:
        self.session.rollback()
        return self.session.get_one(Contract, contract_id, populate_existing=True)


@pytest.fixture
def finish(
    session: Session, create_technician: Create, create_installation: Create
) -> Callable[..., tuple[Partner, Job]]:
    """Return a function that makes an installation of a customer's and does all of its work."""

    def make(partner: Partner, customer: Any) -> Job:
        start = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=1)
        job: Job = create_installation(partner, customer, create_technician(partner), start=start)
        visit, staff = job.appointments[0], Actor(None, Role.DISPATCHER, "Dana Okafor", frozenset({partner.id}))
        for act in (fieldwork.set_off, fieldwork.arrive, fieldwork.start_work, fieldwork.complete):
            with unit_of_work(session):
                act(session, staff, start, visit.id, visit.move_number)
        return job

    return make


@pytest.fixture
def finished(
    site: Site, session: Session, create_partner: Create, create_user: Create, create_customer: Create, finish: Create
) -> Finished:
    partner, user = create_partner(name="Brightwell"), create_user(name="Priya Raman")
    job = finish(partner, create_customer(partner, user, name="Tomás Řezníček"))
    site.sign_in(user)
    return Finished(site, session, partner, job)


class WhileItIsDrawn:
    """Draws contracts as ever, and lets somebody else write while that is done."""

    def __init__(self, finished: Finished, writes: Callable[[Session], None]) -> None:
        self._finished, self._writes = finished, writes
        self.drawn = 0

    def __call__(self, *args: Any) -> bytes:
        self.drawn += 1
        if self.drawn == 1:
            session = self._finished.session
            session.rollback()
            with unit_of_work(session):
                if session.get_bind().dialect.name == POSTGRESQL:
                    # Where the other has the row, this would wait for it in vain, since both run in one thread.
                    session.execute(text("SET LOCAL lock_timeout = 1"))
                self._writes(session)
        return draw_contract(*args)


def drawn(width: int = 300, height: int = 120, ground: tuple[int, ...] = (0, 0, 0, 0), stroke: bool = True) -> str:
    """Return a drawing as the page sends it."""
    picture = Image.new("RGBA", (width, height), ground)
    if stroke:
        ImageDraw.Draw(picture).line([(10, 90), (90, 20), (200, 100)], fill=(20, 20, 40, 255), width=4)
    data = BytesIO()
    picture.save(data, "PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def pdf_text(data: bytes) -> str:
    """Return the words of a PDF in one line."""
    return " ".join(" ".join(page.extract_text() for page in PdfReader(BytesIO(data)).pages).split())


@pytest.mark.row("J10")
@pytest.mark.parametrize("meanwhile", ["the same job", "the partner's name"])
def test_others_write_while_a_contract_is_drawn_and_what_they_change_is_drawn_again(
    finished: Finished, app: Flask, create_staff: Create, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    def write(session: Session) -> None:
        if meanwhile == "the same job":
            session.get_one(Job, finished.job.id).notes = "Ring twice"
        else:
            session.get_one(Partner, finished.partner.id).name = "Brightwell & Daughters"

    office = Site(app.test_client())
    office.sign_in(create_staff(finished.partner))
    spy = WhileItIsDrawn(finished, write)
    monkeypatch.setattr("portal.web.pdf.draw_contract", spy)
    office.get(f"/admin/installations/{finished.job.id}/send_contract")
    assert office.submit(action="/send_contract").status_code == 200
    kept = finished.contract(finished.newest)
    assert kept.pdf is not None
    if meanwhile == "the same job":
        assert spy.drawn == 1
    else:
        assert spy.drawn == 2
        assert "Brightwell & Daughters carried out the following work" in pdf_text(kept.pdf)
    assert kept.pdf_sha256 == hashlib.sha256(kept.pdf).hexdigest()
    assert finished.session.get_one(Job, finished.job.id, populate_existing=True).status == "CONTRACT_SENT"


@pytest.mark.row("C11", "J10")
def test_a_contract_is_read_signed_by_drawing_approved_and_downloaded(
    finished: Finished, app: Flask, create_staff: Create
) -> None:
    site, office = finished.site, Site(app.test_client())
    office.sign_in(create_staff(finished.partner))
    office.get(f"/admin/installations/{finished.job.id}/send_contract")
    office.submit(action="/send_contract")
    contract_id = finished.newest
    site.get("/my/")
    assert "A contract waits for your signature" in site.text
    site.get(site.page.find("a", string="Read and sign")["href"])
    shown = site.client.get(site.page.find("a", string="Open the PDF")["href"])
    assert (shown.mimetype, shown.headers["X-Content-Type-Options"]) == ("application/pdf", "nosniff")
    digest, text = hashlib.sha256(shown.data).hexdigest(), pdf_text(shown.data)
    # What the page says is what the PDF says, and it names the fingerprint of those bytes.
    words = [line.lstrip("#- ") for line in finished.contract(contract_id).body.splitlines() if line]
    assert len(words) > 8
    for line in words:
        assert line in site.text
        assert line in text
    assert "Brightwell carried out the following work for Tomás Řezníček." in text
    assert digest in site.text
    site.submit({"name": "Tomás Řezníček", "consent": "y", "drawing": drawn()}, button="Sign the contract")
    assert finished.status == "CONTRACT_SIGNED"
    signed = finished.contract(contract_id)
    assert (signed.signed_name, signed.pdf_sha256, signed.signed_from) == ("Tomás Řezníček", digest, "127.0.0.1")
    assert signed.drawing is not None
    # the certificate stands behind the very pages that were signed
    final = site.client.get(site.page.find("a", string="Download the signed PDF")["href"]).data
    pages = PdfReader(BytesIO(final)).pages
    assert len(pages) == len(PdfReader(BytesIO(shown.data)).pages) + 1
    certificate = " ".join(pages[-1].extract_text().split())
    exact = f"{signed.signed_at:%Y-%m-%d %H:%M:%S} UTC"
    for line in ("Tomás Řezníček", digest, exact, "127.0.0.1", "Werkzeug/", signed.consent):
        assert line in certificate
    assert len(pages[-1].images) == 1
    assert pdf_text(final).startswith(text[:200])
    # bytes are made once
    assert site.client.get(f"/my/contracts/{contract_id}/signed").data == final
    assert office.client.get(f"/admin/installations/contracts/{contract_id}/signed").data == final
    assert office.client.get(f"/admin/installations/contracts/{contract_id}/contract").data == shown.data
    office.get(f"/admin/installations/{finished.job.id}")
    timeline = " ".join(office.page.select_one(".timeline").get_text(" ").split())
    for line in ("Contract sent", "Contract signed", digest, "Signed by: Tomás Řezníček", "127.0.0.1"):
        assert line in timeline
    site.get("/my/")
    assert "Finished work waits for your approval" in site.text
    site.get(site.page.find("a", string="Look and approve")["href"])
    site.submit(button="Approve the work")
    assert "Thank you. You approved the work." in site.text
    assert not site.page.find_all("button", string="Approve the work")
    assert finished.status == "CUSTOMER_APPROVED"
    site.get("/my/")
    assert not site.page.select("section.notice")
    # a second press is refused in the table's own words, of either button
    assert site.post(f"/my/jobs/{finished.job.id}/approve").status_code == 409
    assert "“Approve” is not possible while the status is “Customer approved”" in site.text
    again = {"name": "Somebody else", "consent": "y", "shown": digest}
    assert site.post(f"/my/contracts/{contract_id}/sign", again).status_code == 409
    assert "“Sign” is not possible while the status is “Customer approved”" in site.text
    site.get(f"/my/contracts/{contract_id}")
    assert "by Tomás Řezníček" in site.text
    assert not site.page.select("main form")


@pytest.mark.once
@pytest.mark.row("C11")
def test_papers_have_the_letters_of_every_name(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    """``fpdf`` warns of each sign for which it draws a box."""
    names = ["Wójcik Gülşen Đặng", "Ελένη Παπαδοπούλου", "Шевченко", "Հայկ", "ნინო"]
    names += ["王芳", "さくら", "김", "→"]
    now = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    with app.test_request_context(), caplog.at_level(logging.WARNING, logger="fpdf"):
        contract = draw_contract("王芳 GmbH", "D-1001", 1, "\n\n".join(names * 5), now, "김", None)
        # Accents that come apart are put together first.
        signed = draw_certificate("Acme", "D-1001", [("Signed by", "Z\u0307ak Ре́пин")], None, now)
        assert caplog.messages == []
        text = pdf_text(contract)
        for name in (*names, "王芳 GmbH"):
            assert name in text
        assert "Żak" in pdf_text(signed)
        # Most papers carry nothing but their own typeface.
        plain = PdfReader(BytesIO(draw_contract("Acme", "D-1001", 1, "Müller", now, "", None)))
        assert len(plain.pages[0]["/Resources"]["/Font"]) == 2
    # Nobody's contract needs every sign there is; who writes them all down has to wait no longer for it.
    own, signs = Path(str(FONTS / "OpenSans-Regular.ttf")), map(chr, range(0x4E00, 0x9FA5))
    assert len(parts_for("".join(signs), own)) == MOST_PARTS


@pytest.mark.row("C11")
def test_a_drawing_that_is_none_and_a_document_that_was_not_shown_are_refused_whole(finished: Finished) -> None:
    site, contract_id = finished.site, finished.by_staff(contracts.send_contract, finished.job.id)
    broken, too_large, empty = (str(text) for text in (drawings.BROKEN, drawings.TOO_BIG, contracts.EMPTY))
    right = {"name": "Priya Raman", "consent": "y", "pad": "1"}
    picture = drawn()
    for sent, error in (
        ("", empty),
        (drawn(stroke=False), empty),
        (drawn(ground=(255, 255, 255, 255)), empty),
        ("data:image/png;base64,AAAA", broken),
        ("data:image/svg+xml,<svg/>", broken),
        (picture[: len(picture) // 2 // 4 * 4], broken),
        ("data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"x" * 250_000).decode(), too_large),
        (drawn(5000, 20), too_large),
    ):
        site.get(f"/my/contracts/{contract_id}")
        assert site.submit({**right, "drawing": sent}, button="Sign the contract").status_code == 422, sent[:60]
        assert site.page.select_one(".error-summary a[href='#drawing']").get_text() == error
        assert site.page.select_one("#name")["value"] == "Priya Raman"
    # A name that is missing does not lose the drawing.
    site.submit({**right, "name": "", "drawing": picture}, button="Sign the contract")
    assert site.page.select_one("input[name=drawing]")["value"] == picture
    for shown in ("", "0" * 64):
        answer = site.post(f"/my/contracts/{contract_id}/sign", {**right, "drawing": picture, "shown": shown})
        assert answer.status_code == 409
        assert "This is not the document that the page showed you" in site.text
    assert finished.status == "CONTRACT_SENT"
    assert finished.contract(contract_id).signed_at is None
    # Who cannot draw says so.
    site.get(f"/my/contracts/{contract_id}")
    site.submit({**right, "typed_only": "y"}, button="Sign the contract")
    assert finished.status == "CONTRACT_SIGNED"
    assert finished.contract(contract_id).drawing is None


@pytest.mark.row("J10")
def test_the_doctor_finds_what_was_altered_and_nothing_else(finished: Finished, app: Flask) -> None:
    contract_id = finished.by_staff(contracts.send_contract, finished.job.id)
    finished.site.get(f"/my/contracts/{contract_id}")
    picture = {"name": "Priya Raman", "consent": "y", "drawing": drawn()}
    finished.site.submit(picture, button="Sign the contract")
    finished.site.client.get(f"/my/contracts/{contract_id}/signed")
    well = app.test_cli_runner().invoke(doctor)
    assert (well.exit_code, well.output.strip()) == (0, "Everything is as it should be.")
    finished.session.rollback()
    one = {"key": contract_id}
    for column, value, what in (
        ("body", "Altered", "text"),
        ("pdf", b"%PDF-1.7 other", "PDF as sent"),
        ("signed_pdf", None, "signed PDF"),
        ("drawing", b"other", "drawn signature"),
        ("paper", b"a scan that nobody recorded", "scan"),
    ):
        kept = finished.session.execute(text(f"SELECT {column} FROM contracts WHERE id = :key"), one).scalar_one()
        change = text(f"UPDATE contracts SET {column} = :value WHERE id = :key")
        finished.session.execute(change, {"value": value, **one})
        finished.session.commit()
        ill = app.test_cli_runner().invoke(doctor)
        assert ill.exit_code == 1
        wanted = f"Error: {finished.job.number}, contract version 1: the {what} is not what was stored."
        assert ill.output.strip() == wanted
        finished.session.execute(change, {"value": kept, **one})
        finished.session.commit()
    # Nor is it altered by a page's mistake.
    with pytest.raises(RuntimeError, match="written once"), unit_of_work(finished.session):
        finished.contract(contract_id).signed_name = "Somebody else"


@pytest.mark.row("L1", "J10")
def test_the_partner_writes_the_contract_text(finished: Finished, app: Flask, create_staff: Create) -> None:
    site = Site(app.test_client())
    site.sign_in(create_staff(finished.partner, role="partner_admin"))
    site.get("/admin/contract-text/")
    for name in PLACEHOLDERS:
        assert f"{{{{ {name} }}}}" in site.page.select_one("aside").get_text()
    assert "# What was installed" in site.page.select_one("#text").text
    for bad in ("{{ customer.password }}", "{{ ''.__class__ }}", "{% for a in job.items %}x{% endfor %}", "{{ broken"):
        for page in ("", "preview"):
            assert site.post(f"/admin/contract-text/{page}", {"text": bad, "version": 0}).status_code == 422, bad
            assert site.page.select_one("#text").text.strip() == bad
            assert "Line 1" in site.page.select_one("#text-error").text
    own = "# Abnahme für {{ customer.name }}\n\n{{ job.items }}\n\nNr. {{ job.number }}, Fassung {{ contract.version }}"
    preview = site.post("/admin/contract-text/preview", {"text": own})
    assert "Abnahme für Jane Example" in pdf_text(preview.data)
    assert preview.mimetype == "application/pdf"
    sent = finished.by_staff(contracts.send_contract, finished.job.id)
    site.get("/admin/contract-text/")
    site.submit({"text": own}, button="Save")
    assert "Saved." in site.text
    # What is out stays as it was sent; the next one has the new words.
    assert "What was installed" in finished.contract(sent).body
    new = finished.by_staff(contracts.send_corrected_contract, finished.job.id, "New words")
    body = finished.contract(new).body
    assert body.startswith("# Abnahme für Tomás Řezníček\n\n- ")
    assert body.endswith(f"Nr. {finished.job.number}, Fassung 2")
    site.get("/admin/settings-changes/")
    assert "Contract text" in site.text
    assert "Abnahme für" in site.text
    site.get("/admin/contract-text/")
    site.submit({"text": ""}, button="Save")
    assert "# What was installed" in site.page.select_one("#text").text


@pytest.mark.row("C11")
@pytest.mark.parametrize(
    ("data", "errors"),
    [
        ({"name": "  "}, {"name": "Type your name", "consent": "Tick that you agree"}),
        ({"name": "Priya"}, {"consent": "Tick that you agree"}),
        ({"name": "x" * 10_000, "consent": "y"}, {"name": "Use 120 characters or fewer."}),
    ],
)
def test_a_signature_needs_a_name_and_the_tick(
    finished: Finished, data: dict[str, str], errors: dict[str, str]
) -> None:
    contract_id = finished.by_staff(contracts.send_contract, finished.job.id)
    finished.site.get(f"/my/contracts/{contract_id}")
    answer = finished.site.submit(data, button="Sign the contract")
    assert answer.status_code == 422
    summary = {
        link["href"].removeprefix("#"): link.get_text() for link in finished.site.page.select(".error-summary a")
    }
    assert summary == errors
    for name, error in errors.items():
        assert finished.site.page.select_one(f"#{name}-error").get_text() == error
        assert finished.site.page.select_one(f"#{name}")["aria-describedby"] == f"{name}-error"
    assert finished.site.page.select_one("#name")["value"] == data["name"]
    assert finished.status == "CONTRACT_SENT"


@pytest.mark.row("C11", "J10")
def test_a_void_version_is_shown_as_such_and_cannot_be_signed(finished: Finished) -> None:
    old = finished.by_staff(contracts.send_contract, finished.job.id)
    new = finished.by_staff(contracts.send_corrected_contract, finished.job.id, "Wrong number of panels")
    finished.site.get(f"/my/contracts/{old}")
    assert "This version was replaced" in finished.site.text
    assert not finished.site.page.select("main form")
    answer = finished.site.post(f"/my/contracts/{old}/sign", {"name": "Priya Raman", "consent": "y"})
    assert answer.status_code == 409
    assert "This version was replaced by a corrected one; please sign that." in finished.site.text
    assert finished.status == "CONTRACT_SENT"
    finished.site.get(f"/my/contracts/{old}")
    finished.site.get(finished.site.page.find("a", string="Read the corrected version")["href"])
    finished.site.submit({"name": "Priya Raman", "consent": "y"}, button="Sign the contract")
    assert (finished.contract(old).signed_at, finished.contract(new).signed_name) == (None, "Priya Raman")


@pytest.mark.row("C7")
@pytest.mark.parametrize("same_partner", [True, False])
def test_anothers_contract_is_not_there(
    finished: Finished, create_partner: Create, create_customer: Create, finish: Create, same_partner: bool
) -> None:
    partner = finished.partner if same_partner else create_partner()
    job = finish(partner, create_customer(partner))
    staff = Actor(None, Role.DISPATCHER, "Dana Okafor", frozenset({partner.id}))
    with unit_of_work(finished.session):
        contract_id = contracts.send_contract(finished.session, staff, datetime.now(UTC), job.id).id
    assert finished.site.get(f"/my/contracts/{contract_id}").status_code == 404
    answer = finished.site.post(f"/my/contracts/{contract_id}/sign", {"name": "Priya Raman", "consent": "y"})
    assert answer.status_code == 404
    assert finished.contract(contract_id).signed_at is None
    finished.site.get("/my/")
    assert "A contract waits" not in finished.site.text


@pytest.mark.row("C11")
@pytest.mark.parametrize("sent", [False, True])
def test_work_is_not_approved_before_the_contract_is_signed(finished: Finished, sent: bool) -> None:
    if sent:
        finished.by_staff(contracts.send_contract, finished.job.id)
    finished.site.get(f"/my/jobs/{finished.job.id}")
    assert not finished.site.page.find_all("button", string="Approve the work")
    assert finished.site.post(f"/my/jobs/{finished.job.id}/approve").status_code == 409
    assert finished.status == ("CONTRACT_SENT" if sent else "INSTALLATION_COMPLETED")


@pytest.mark.row("C11")
def test_my_schedule_with_papers_still_costs_at_most_six_statements(finished: Finished, statements: list[str]) -> None:
    finished.by_staff(contracts.send_contract, finished.job.id)
    statements.clear()
    finished.site.get("/my/")
    assert finished.site.page.select("section.notice")
    assert 0 < len(statements) <= 6, statements
