"""What an attacker tries, as every role, over every address and form that there is: nothing breaks, nothing leaks (C7).

A new route or form is walked by itself. Every request goes through ``Intruder.open``: no answer may be 5xx, only a
POST that leads on may have written anything, and what it wrote is taken back, so that the next one finds all as it was.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, func, make_url, select
from sqlalchemy.orm import Session
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from portal.domain.actor import Role
from portal.domain.contracts.models import Contract
from portal.domain.delivery.models import Unreachable
from portal.domain.jobs.models import Job
from portal.domain.jobs.services import reject
from portal.domain.jobs.states import APPOINTMENT
from portal.domain.messages.models import Message, MessageRule
from portal.domain.offers.models import JobOffer, OfferedJob
from portal.domain.people.models import Customer, Invitation, Membership, Partner, Technician, User
from portal.domain.photos.models import Photo
from portal.domain.photos.pictures import Drawn
from portal.domain.photos.storage import PhotoStore
from portal.domain.requests.models import ChangeRequest, RequestPhoto, ServiceRequest
from portal.domain.scheduling.models import Holiday, PauseReason, RejectReason, ServiceType, Skill, TimeOff
from portal.domain.surveys.models import SurveyQuestion, SurveyResponse, SurveyWording
from portal.domain.unit_of_work import unit_of_work
from portal.web import papers
from portal.web.auth import AREAS, area_of
from portal.web.photos import STORE
from tests.factories import Create, actor_for
from tests.helpers import PASSWORD, Site, fields_of, soup
from tests.sharing import EVERYTHING, share_of
from tests.web.hostile import ODD_KEYS, SCRIPT, SQL, Intruder, Ledger, every_row, let_out
from tests.web.office import NOW, clock

__all__ = ["clock"]

pytestmark = [pytest.mark.row("C7"), pytest.mark.usefixtures("clock")]

UNKNOWN = 987_654
# Answered to anybody.
PUBLIC = {
    "web.start", "web.sign_out", "security.login", "security.logout", "health.alive", "health.ready",
    "brand.sheet", "brand.looks", "brand.logo", "static", "admin.static", "security.static",
    "language.choose", "feeds.read", "confirm.show", "confirm.confirm", "survey.show", "survey.send",
    "access.link_form", "access.ask_link", "access.password_form", "access.ask_password", "access.sent",
    "track.show", "track.position",
}  # fmt: skip
# The states in which forms of their own are open, beside those of the technicians.
STATES = (
    "SCHEDULED", "NEEDS_A_VISIT", "INSTALLATION_COMPLETED", "CONTRACT_SENT", "CONTRACT_SIGNED", "CANCELLED",
    "CANCELLING",
)  # fmt: skip
AT_WORK = ("INSTALLER_ASSIGNED", "EN_ROUTE", "INSTALLATION_IN_PROGRESS", "PAUSED")
# The operator's alone.
OPERATORS = ("partners.", "offered_jobs.")
STARTS = {
    "anonymous": "/login", "operator": "/admin/", "partner_admin": "/admin/", "dispatcher": "/admin/",
    **{f"technician {state}": "/field/" for state in AT_WORK}, "customer": "/my/",
}  # fmt: skip


@dataclass
class Rows:
    """One row of each kind that an address can name."""

    job: int
    service_job: int
    visit: int
    contract: int
    customer: int
    technician: int
    kind: int
    message: int
    change_request: int
    unreachable: int
    service_request: int
    request_photo: int
    job_offer: int
    offered_job: int
    partner: int
    membership: int
    invitation: int
    skill: int
    pause_reason: int
    reject_reason: int
    survey_question: int
    time_off: int
    holiday: int
    message_rule: int
    photo: int


@dataclass
class World:
    """Two partners with everything; ``own`` and ``foreign`` give the rows for each person."""

    app: Flask
    ledger: Ledger
    people: dict[str, Intruder]
    own: dict[str, Rows]
    foreign: dict[str, Rows]

    @property
    def database(self) -> str:
        """The name of the engine."""
        return make_url(self.app.config["SETTINGS"].database_url).get_backend_name()


class Undying(PhotoStore):
    """Where files stay, as rows come back after each request."""

    def remove(self, name: str) -> bool:
        return True


@pytest.fixture
def world(
    app: Flask,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    engine: Engine,
    session: Session,
    create_partner: Create,
    create_user: Create,
    create_staff: Create,
    create_technician: Create,
    create_customer: Create,
    create_service_type: Create,
    create_installation_in: Create,
    create_service_job: Create,
    set_controls: Create,
) -> Iterator[World]:
    """Everything that somebody can type holds a script that would run."""
    users: dict[str, User] = {"operator": create_user(is_operator=True, name=SCRIPT)}

    def make(partner: Partner, customer: Customer, states: tuple[str, ...], **given: Any) -> list[Job]:
        given |= {"kind": kinds[partner.id], "notes": SCRIPT, "items": [(SCRIPT, 1)]}
        return [create_installation_in(partner, state, customer, **given) for state in states]

    def rows(partner: Partner, customer: Customer, technician: Technician, job: Job, signed: Job) -> Rows:
        return Rows(
            job.id,
            services[partner.id].id,
            job.appointments[0].id,
            session.scalars(select(Contract.id).where(Contract.job_id == signed.id)).one(),
            customer.id,
            technician.id,
            kinds[partner.id].id,
            session.scalars(select(Message.id).where(Message.partner_id == partner.id)).first() or 0,
            *(
                session.scalars(select(model.id).where(model.partner_id == partner.id)).first() or 0
                for model in (ChangeRequest, Unreachable)
            ),
            *(
                session.scalars(select(model.id).where(model.customer_id == customer.id)).first() or 0
                for model in (ServiceRequest, RequestPhoto)
            ),
            session.scalars(select(JobOffer.id).where(JobOffer.partner_id == partner.id)).first() or 0,
            session.scalars(select(OfferedJob.id)).first() or 0,
            partner.id,
            *(
                session.scalars(select(model.id).where(model.partner_id == partner.id)).first() or 0
                for model in (Membership, Invitation)
            ),
            *(
                session.scalars(select(model.id).where(model.partner_id == partner.id)).first() or 0
                for model in (Skill, PauseReason, RejectReason, SurveyQuestion)
            ),
            absences[partner.id].id,
            days[partner.id].id,
            session.scalars(select(MessageRule.id).where(MessageRule.partner_id == partner.id)).first() or 0,
            session.scalars(select(Photo.id).where(Photo.job_id == job.id)).first() or 0,
        )

    def person(partner: Partner, name: str) -> Customer:
        users[name] = create_user(name=SCRIPT)
        made: Customer = create_customer(partner, users[name], address=SCRIPT, access_notes=SCRIPT)
        return made

    ours, theirs = (create_partner(name=f"{number} {SCRIPT}") for number in (1, 2))
    kinds = {partner.id: create_service_type(partner, name=SCRIPT) for partner in (ours, theirs)}
    create_staff(theirs, role="partner_admin")
    with unit_of_work(session):
        session.add_all(
            Invitation(
                partner_id=partner.id, email=f"new{partner.id}@mail.example", name=SCRIPT, role="dispatcher",
                seed="seed", token_hash=f"hash {partner.id}", invited_by_name=SCRIPT,
                expires_at=NOW + timedelta(days=7),
            )
            for partner in (ours, theirs)
        )  # fmt: skip
        session.add_all(Skill(partner_id=partner.id, name=SCRIPT) for partner in (ours, theirs))
        questions = [SurveyQuestion(partner_id=partner.id) for partner in (ours, theirs)]
        session.add_all(questions)
        session.flush()
        session.add_all(
            SurveyWording(partner_id=one.partner_id, question_id=one.id, revision=1, kind=kind, words=SCRIPT)
            for one, kind in zip(questions, ("text", "rating"), strict=True)
        )
        ours_there = session.get_one(Partner, ours.id)
        ours_there.status_labels = {status.name: SCRIPT for status in APPOINTMENT.statuses}
        ours_there.staff_term = ours_there.customer_term = SCRIPT[:40]
    for role in ("partner_admin", "dispatcher"):
        users[role] = create_staff(ours, role=role, name=SCRIPT)
    technicians = {}
    for state in AT_WORK:
        users[f"technician {state}"] = user = create_user(name=SCRIPT)
        technicians[state] = create_technician(ours, user)
    mine, neighbour, stranger = person(ours, "customer"), create_customer(ours), create_customer(theirs)
    set_controls(
        ours, self_service=True, notice_hours=0, reschedule_cutoff_hours=0, cancel_cutoff_hours=0,
        reschedule_confirmed=True, cancel_confirmed=True,
    )  # fmt: skip
    jobs = make(ours, mine, STATES)
    # Tomorrow, so that there is something to move.
    jobs += make(ours, mine, ("SCHEDULED",), start=NOW + timedelta(days=3))
    unwanted = make(ours, mine, ("SCHEDULED",))[0]
    with unit_of_work(session):
        reject(session, actor_for(users["dispatcher"], Role.DISPATCHER, ours), NOW, unwanted.id, SCRIPT)
    worked = {state: make(ours, mine, (state,), technician=technicians[state])[0] for state in AT_WORK}
    fitter, outsider = create_technician(ours), create_technician(theirs)
    next_door = make(ours, neighbour, ("INSTALLER_ASSIGNED",), technician=fitter) + make(
        ours, neighbour, ("CONTRACT_SENT",)
    )
    far_away = make(theirs, stranger, ("INSTALLER_ASSIGNED",), technician=outsider) + make(
        theirs, stranger, ("CONTRACT_SENT",)
    )
    services = {
        customer.partner_id: create_service_job(one, customer, kind=kinds[one.id], notes=SCRIPT)
        for one, customer in ((ours, mine), (theirs, stranger))
    }
    next_month = (NOW + timedelta(days=30), NOW + timedelta(days=31))
    absences = {
        one.partner_id: TimeOff(
            partner_id=one.partner_id, technician_id=one.id, start_at=next_month[0], end_at=next_month[1], note=SCRIPT
        )
        for one in (fitter, outsider)
    }
    days = {
        partner.id: Holiday(partner_id=partner.id, day=next_month[1].date(), name=SCRIPT) for partner in (ours, theirs)
    }
    with unit_of_work(session):
        session.add_all([*absences.values(), *days.values()])
        session.flush()
        for row in (*absences.values(), *days.values()):
            session.refresh(row)
            session.expunge(row)
        for message in session.scalars(select(Message)):
            message.subject = message.body = SCRIPT
        rated = jobs[STATES.index("CONTRACT_SIGNED")]
        session.add(
            SurveyResponse(
                partner_id=ours.id, customer_id=mine.id, job_id=rated.id, appointment_id=rated.appointments[0].id,
                rating=1, comment=SCRIPT, answered_at=NOW,
            )
        )  # fmt: skip
        for message in session.scalars(select(Message).where(Message.id.in_(_firsts(session)))):
            session.add(
                Unreachable(
                    partner_id=message.partner_id, customer_id=message.customer_id, message_id=message.id,
                    recipient=SCRIPT, fault="refused", error=SCRIPT, opened_at=NOW,
                )
            )  # fmt: skip
        for job in (jobs[-1], next_door[0], far_away[0]):
            wished = job.appointments[0]
            session.add(
                ChangeRequest(
                    partner_id=job.partner_id, customer_id=job.customer_id, job_id=job.id, appointment_id=wished.id,
                    status="PENDING", wish="reschedule", words=SCRIPT, start_at=wished.start_at, asked_at=NOW,
                )
            )  # fmt: skip

        asking = [(mine, "NEW"), (mine, "COUNTER_PROPOSED"), (mine, "DECLINED"), (neighbour, "NEW"), (stranger, "NEW")]
        for number, (customer, status) in enumerate(asking):
            session.add(
                ServiceRequest(
                    partner_id=customer.partner_id, customer_id=customer.id, address_id=customer.addresses[0].id,
                    service_type_id=kinds[customer.partner_id].id, status=status, notes=SCRIPT, answer=SCRIPT,
                    wishes=[{"day": "2026-11-24", "part": "morning"}], form_key=f"{number}", asked_at=NOW,
                    answered_at=NOW, proposals=1, proposed_at=NOW + timedelta(days=20), proposed_by_name=SCRIPT,
                )
            )  # fmt: skip
        for _ in range(2):
            offered = OfferedJob(
                service=SCRIPT, description=SCRIPT, customer_name=SCRIPT, line=SCRIPT, notes=SCRIPT, offered_at=NOW,
                offered_by_name=SCRIPT, expires_at=NOW + timedelta(days=1),
            )  # fmt: skip
            session.add(offered)
            session.flush()
            session.add_all(
                JobOffer(partner_id=partner.id, offered_job_id=offered.id, status="OFFERED")
                for partner in (ours, theirs)
            )
        store = Undying(str(tmp_path))
        monkeypatch.setitem(app.extensions, STORE, store)
        file = store.keep(Drawn(b"whole", b"small", 16, 16), NOW)
        every = (*jobs, *worked.values(), *next_door, *far_away)
        session.add_all(
            Photo(
                partner_id=job.partner_id, customer_id=job.customer_id, job_id=job.id,
                appointment_id=job.appointments[0].id, client_key="key", name=file, caption=SCRIPT,
                width=16, height=16, taken_at=NOW, added_at=NOW, added_by_name=SCRIPT, shared_at=NOW,
            )
            for job in every
        )  # fmt: skip
        session.flush()
        session.add_all(
            RequestPhoto(
                partner_id=one.partner_id, customer_id=one.customer_id, service_request_id=one.id, client_key="key",
                name=file, width=16, height=16, added_at=NOW,
            )
            for one in session.scalars(select(ServiceRequest)).all()
        )  # fmt: skip

    staff_own = rows(ours, mine, technicians["EN_ROUTE"], jobs[0], jobs[STATES.index("CONTRACT_SENT")])
    staff_foreign = rows(theirs, stranger, outsider, *far_away)
    neighbours = rows(ours, neighbour, fitter, *next_door)
    own, foreign = dict.fromkeys(STARTS, staff_own), dict.fromkeys(STARTS, staff_foreign)
    foreign["customer"] = neighbours
    for state in AT_WORK:
        own[f"technician {state}"] = rows(
            ours, mine, technicians[state], worked[state], jobs[STATES.index("CONTRACT_SENT")]
        )
        foreign[f"technician {state}"] = neighbours
    session.rollback()
    # Drawn when first read and kept from then on, which would look like a page that writes.
    with app.app_context():
        for contract in session.scalars(select(Contract)).all():
            papers.sent_pdf(contract.id)
            if contract.signed_online:
                papers.signed_pdf(contract.id)
    session.rollback()

    people = {}
    for name in STARTS:
        site = Site(app.test_client())
        site.get("/login")
        if name in users:
            site.sign_in(users[name])
        people[name] = Intruder(app, None, site, name, site.token())  # type: ignore[arg-type]
    with Ledger(app, engine).watching() as ledger:
        for each in people.values():
            each.ledger = ledger
            each.parity = int(engine.name == "postgresql")
        yield World(app, ledger, people, own, foreign)
        assert every_row(engine) == ledger.before


def _firsts(session: Session) -> list[int]:
    """Return the first message of each partner."""
    return list(session.scalars(select(func.min(Message.id)).group_by(Message.partner_id)))


# Every page and every form


def test_garbage_in_every_form_is_refused_whole_and_no_page_lets_a_script_out(world: World) -> None:
    abused: set[Any] = set()
    escaped = 0
    most = 14 if EVERYTHING else 4 if world.database == "sqlite" else 3
    for name, person in world.people.items():
        # The dispatcher's pages are the partner admin's, less the set-up.
        if name == "dispatcher" and world.database == "postgresql" and not EVERYTHING:
            continue
        for url, (answer, page) in person.crawl(STARTS[name], most=2 if name == "dispatcher" else most).items():
            # What a page leads to is there, and for who sees it.
            assert answer.status_code < 400, f"{name}: {url}"
            assert_guarded(answer)
            if page is not None:
                assert let_out(page) == [], f"{name}: {url}"
                escaped += "&lt;script&gt;" in answer.text
        while new := [form for form in person.forms.values() if form.name not in abused]:
            for form in new:
                abused.add(form.name)
                if person.is_ours(form):
                    person.abuse(form)
    assert escaped > 100
    assert len(abused) > 50
    # Without which the refusals would prove little.
    assert sum(person.accepted for person in world.people.values()) > 40


def assert_guarded(answer: TestResponse) -> None:
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy or "sandbox" in policy
    assert "script-src" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"


# Every address


def with_keys(world: World, rule: Rule, rows: Rows | int | str, words: str = "assign") -> str:
    """Return the address of ``rule`` with the keys of ``rows``, or one and the same key everywhere."""
    path = rule.rule
    for name, converter in rule._converters.items():
        if "Integer" in type(converter).__name__:
            named = names_a_row(rule) and isinstance(rows, Rows)
            key = getattr(rows, row_of(rule, name)) if named else rows if isinstance(rows, int | str) else 1
            path = re.sub(rf"<[^<>]*\b{name}>", str(key), path)
        else:
            path = re.sub(rf"<[^<>]*\b{name}>", words, path)
    return path


def row_of(rule: Rule, name: str) -> str:
    """Return the field of ``Rows`` that an argument of ``rule`` takes; a new kind of row says here what it is."""
    kinds = {"job_id": "job", "visit_id": "visit", "contract_id": "contract", "technician_id": "technician"}
    kinds |= {"request_id": "service_request", "request_photo_id": "request_photo"}
    kinds |= {"time_off_id": "time_off", "holiday_id": "holiday", "service_type_id": "kind", "customer_id": "customer"}
    kinds |= {"photo_id": "photo"}
    if rule.endpoint.startswith("service_jobs.") and name == "job_id":
        return "service_job"
    views = {
        "customers": "customer", "technicians": "technician", "service_types": "kind", "messages": "message",
        "skills": "skill", "pause_reasons": "pause_reason", "reject_reasons": "reject_reason",
        "survey_questions": "survey_question",
        "message_rules": "message_rule",
        "service_requests": "service_request", "job_offers": "job_offer", "offered_jobs": "offered_job",
        "change_requests": "change_request", "unreachable": "unreachable",
        "partners": "partner", "staff": "membership", "invitations": "invitation",
        "invitations.customer_view": "customer", "invitations.technician_view": "technician",
    }  # fmt: skip
    return kinds.get(name) or views.get(rule.endpoint) or views[rule.endpoint.partition(".")[0]]


def names_a_row(rule: Rule) -> bool:
    return any("Integer" in type(one).__name__ for one in rule._converters.values()) and not rule.endpoint.startswith(
        "brand."
    )


def words_of(answer: TestResponse) -> str:
    """Return what an answer says, but for what differs with every request."""
    return re.sub(r"[0-9a-f]{16}", "", soup(answer).get_text(" "))


def test_a_foreign_key_is_as_good_as_none_in_every_address(world: World) -> None:
    """With and without a dialog's header, for everybody whose area it is; the words of a step are those of its role."""
    tried = 0
    for rule in filter(names_a_row, world.app.url_map.iter_rules()):
        for name, person in world.people.items():
            if Role(name.split()[0]) not in AREAS[area_of(rule.rule)] if name != "anonymous" else True:
                continue
            # No partner is foreign to the operator.
            if rule.endpoint.startswith(OPERATORS) and name == "operator":
                continue
            step = "pause" if area_of(rule.rule) == "field" else "reject"
            # For staff one of the same partner's is their own.
            foreign, unknown = (with_keys(world, rule, rows, step) for rows in (world.foreign[name], UNKNOWN))
            sent = {"move_number": "0", "reason": "Because", "start": "2026-11-25T10:00Z", "name": "X", "consent": "y"}
            for headers in share_of(({}, {"HX-Request": "true"}), world.database):
                for method in sorted(rule.methods & {"GET", "POST"}):
                    values = {"data": {"csrf_token": person.token, **sent}} if method == "POST" else {}
                    answers = [person.open(method, path, headers=headers, **values) for path in (foreign, unknown)]
                    assert [one.status_code for one in answers] in ([404, 404], [403, 403]), (name, method, foreign)
                    assert words_of(answers[0]) == words_of(answers[1])
                    tried += 1
    assert tried > 75


def test_odd_keys_lead_nowhere(world: World) -> None:
    for rule in filter(names_a_row, world.app.url_map.iter_rules()):
        admin = "operator" if rule.endpoint.startswith(OPERATORS) else "partner_admin"
        name = {"admin": admin, "field": "technician PAUSED", "my": "customer"}[area_of(rule.rule)]
        for key in share_of(ODD_KEYS, world.database):
            path = with_keys(world, rule, key)
            for method in sorted(rule.methods & {"GET", "POST"}):
                answer = world.people[name].open(method, path, data={"csrf_token": world.people[name].token})
                # A page may have the same address but for a word; %00 is no text.
                assert answer.status_code in {400, 404, 405}, (method, path)


def test_nobody_enters_an_area_of_others_and_nothing_is_done_without_a_token(world: World) -> None:
    for rule in share_of(world.app.url_map.iter_rules(), world.database):
        area = area_of(rule.rule)
        for name in ("anonymous", "operator", "dispatcher", "technician EN_ROUTE", "customer"):
            person = world.people[name]
            enters = area in AREAS and name != "anonymous" and Role(name.split()[0]) in AREAS[area]
            if enters or rule.endpoint in PUBLIC:
                continue
            path = with_keys(world, rule, world.own[name])
            refused = {302, 303, 401} if name == "anonymous" else {403}
            for method in sorted(rule.methods & {"GET", "POST"}):
                answer = person.open("GET", path) if method == "GET" else person.post(path)
                # Not every view of the library's has a use here.
                assert answer.status_code in refused | {404}, (name, method, path)
        owner = {"admin": "partner_admin", "field": "technician EN_ROUTE", "my": "customer"}.get(area, "anonymous")
        path = with_keys(world, rule, world.own[owner])
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"):
            answer = world.people[owner].open(method, path)
            if method == "POST" and method in rule.methods:
                # A link that nobody sent has no form to show again.
                assert answer.status_code == 400 or (answer.status_code == 404 and "token" in rule.arguments), path
            elif method not in {"OPTIONS", "HEAD"}:
                assert 400 <= answer.status_code < 500, (method, path)
            answer.close()


# What an address asks


ARGUMENTS = (
    "q", "sort", "page", "page_size", "after", "before", "active", "group", "first", "last", "technician", "type",
    "status", "mode", "date", "day", "act", "start", "customer", "url", "next", "minutes", "partner_id", "csrf_token",
    "country", "region", "past", "rating",
)  # fmt: skip
GARBAGE = (
    "", "-1", "9" * 5000, "2027-06-31", "0001-01-01", "9999-12-31", "9999-12-31T23:59Z", f"😀{SCRIPT}{SQL}", '["",0]',
    '["9999-12-31T23:59:59+00:00",0]', "http://[x", "//evil.example", "/admin/customers/\r\nX: y",
)  # fmt: skip


def test_garbage_in_addresses_is_left_out(world: World) -> None:
    """Each piece in every argument that any page reads, at once; three pieces a page, the next page the next ones."""
    everywhere = [*ARGUMENTS, "nobody_knows_this"]
    turns = itertools.count()
    for name in ("anonymous", "operator", "partner_admin", "technician PAUSED", "customer"):
        person = world.people[name]
        crawled = person.crawl(STARTS[name], most=1)
        pages = [url for url, (answer, _) in crawled.items() if "?" not in url and answer.status_code == 200]
        assert pages
        for url in share_of(pages, world.database):
            turn = next(turns)
            for value in GARBAGE if EVERYTHING else (GARBAGE * 2)[turn % len(GARBAGE) :][:3]:
                answer = person.open("GET", url, query_string=dict.fromkeys(everywhere, value))
                assert answer.status_code in {200, 302, 400, 409, 422}, (url, value)
                if answer.status_code == 302:
                    assert answer.headers["Location"].startswith("/"), (url, value)
                    assert not answer.headers["Location"].startswith("//"), (url, value)
                # In a file it is but text.
                assert answer.mimetype != "text/html" or "<script>alert" not in answer.text, (url, value)


# What a browser says of itself


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Referer", "http://[x"),
        ("Referer", "javascript:alert(1)"),
        ("Referer", "\xff" * 3000),
        ("Accept", "application/json;q=x, */"),
        ("Accept-Language", "-,*-*,en_GB@x;q=9e99"),
        ("Cookie", "doorstep=../../../etc/passwd"),
        ("Cookie", "doorstep=" + "A" * 9000),
        ("If-None-Match", "\xff,,"),
        ("Content-Length", "-5"),
        ("Content-Type", "multipart/form-data; boundary=\xff"),
        ("X-Forwarded-For", "' OR 1=1"),
        ("X-CSRFToken", "é"),
        ("HX-Request", "x"),
    ],
)
def test_odd_headers_change_no_answer_into_a_failure(client: FlaskClient, header: str, value: str) -> None:
    assert client.get("/login", headers={header: value}).status_code == 200
    assert client.get("/nowhere", headers={header: value}).status_code == 404
    assert client.post("/login", headers={header: value}).status_code == 400


def test_sign_in_takes_forms_alone(site: Site, create_user: Create) -> None:
    user = create_user()
    right = json.dumps({"email": user.email, "password": PASSWORD, "next": {"a": 1}})
    odd = '{"email": "\\ud800@x.example", "password": "x"}'
    bodies = ("[]", '"x"', "null", "{", '{"email": 5, "password": 1}', odd, right)
    for body in bodies:
        headers = {"X-CSRFToken": site.token()}
        answer = site.client.post("/login", data=body, content_type="application/json", headers=headers)
        assert answer.status_code in {400, 415}, body
    assert site.client.get("/admin/").status_code == 302


@pytest.mark.parametrize(
    "address", ["//[evil", "/\\[evil", "/my/%0d%0aSet-Cookie:%20x=1", "/%09/evil.example", "http:///evil.example"]
)
def test_after_signing_in_no_address_leads_off_or_breaks(site: Site, create_user: Create, address: str) -> None:
    user = create_user(is_operator=True)
    values = {"email": user.email, "password": PASSWORD}
    answer = site.post(f"/login?next={address}", values)
    assert answer.status_code in {200, 302, 400}
    assert "Set-Cookie: x" not in str(answer.headers)
    assert re.match(r"/(?![/\\])", answer.headers.get("Location", "/"))


def test_no_stock_page_of_the_sign_in_library_is_left(site: Site, create_user: Create) -> None:
    site.sign_in(create_user(is_operator=True))
    for path in ("/verify", "/reset", "/register", "/change", "/confirm", "/tf-setup", "/us-signin", "/wan-register"):
        assert site.client.get(path).status_code == 404, path


# Text that means something to others


@pytest.fixture
def desk(site: Site, create_partner: Create, create_staff: Create) -> tuple[Site, Partner]:
    """A partner's admin at the browser."""
    partner: Partner = create_partner()
    site.sign_in(create_staff(partner, role="partner_admin"))
    return site, partner


def test_a_name_with_a_line_break_begins_no_mail_header(desk: tuple[Site, Partner], session: Session) -> None:
    """Names of technicians and service types stand in subjects."""
    site, _ = desk
    site.get("/admin/technicians/new/")
    assert site.submit({"name": "Ines\r\nBcc: x@evil.example"}, button="Add technician").status_code == 200
    assert session.scalars(select(Technician.name)).one() == "Ines Bcc: x@evil.example"
    session.rollback()
    site.get("/admin/service-types/new/")
    assert site.submit({"name": "Repair\u2028\nX: y"}, button="Add service type").status_code == 200
    assert session.scalars(select(ServiceType.name)).one() == "Repair X: y"


@pytest.mark.row("P10")
@pytest.mark.parametrize("reason", ["\u200b", " \u00a0\u3000 ", "\u202e\u2066", "\ufeff\x1b"])
def test_a_reason_that_nobody_can_see_is_blank(
    desk: tuple[Site, Partner], session: Session, create_installation: Create, reason: str
) -> None:
    site, partner = desk
    job = create_installation(partner)
    for act in ("reject", "cancel"):
        answer = site.post(f"/admin/installations/{job.id}/{act}", {"reason": reason})
        assert answer.status_code == 422
    assert session.get_one(Job, job.id, populate_existing=True).status == job.status


@pytest.mark.row("P16")
def test_an_export_computes_nothing_whatever_was_typed(
    desk: tuple[Site, Partner], create_customer: Create, create_technician: Create
) -> None:
    site, partner = desk
    formulas = ("=1+1", "+1+1", "-1+1", "@SUM(1)", "\t=1", "\r=1")
    for text in formulas:
        create_customer(partner, name=text, phone=text, address=text)
        create_technician(partner, name=text, phone=text)
    for name in ("customers", "technicians"):
        answer = site.client.get(f"/admin/{name}/export/csv/")
        assert answer.mimetype == "text/csv"
        rows = list(csv.reader(io.StringIO(answer.text.lstrip("\ufeff"), newline="")))
        assert len(rows) == 1 + len(formulas)
        assert not [cell for row in rows for cell in row if cell.startswith(tuple("=+-@\t\r"))]


# Two people at once


def editable(
    partner: Partner, create_customer: Create, create_technician: Create, create_service_type: Create,
    create_installation: Create,
) -> dict[str, tuple[str, str]]:  # fmt: skip
    """Return by its name each form that edits something: its address, and the field that two people change."""
    return {
        "customer": (f"/admin/customers/edit/?id={create_customer(partner).id}", "name"),
        "technician": (f"/admin/technicians/edit/?id={create_technician(partner).id}", "name"),
        "service type": (f"/admin/service-types/edit/?id={create_service_type(partner).id}", "name"),
        "feature controls": ("/admin/feature-controls/", "max_moves"),
        "rules of a customer": (f"/admin/feature-controls/customer/{create_customer(partner).id}/", "max_moves"),
        "installation": (f"/admin/installations/{create_installation(partner).id}/edit", "notes"),
        "working week": ("/admin/hours/week", "monday-stretches-0-end"),
    }


@pytest.mark.row("P16")
@pytest.mark.parametrize(
    "which",
    [
        "customer",
        "technician",
        "service type",
        "feature controls",
        "rules of a customer",
        "installation",
        "working week",
    ],
)
def test_of_two_people_with_the_same_form_the_second_is_shown_both_versions(
    app: Flask,
    engine: Engine,
    desk: tuple[Site, Partner],
    create_staff: Create,
    create_customer: Create,
    create_technician: Create,
    create_service_type: Create,
    create_installation: Create,
    which: str,
) -> None:
    first, partner = desk
    second = Site(app.test_client())
    second.sign_in(create_staff(partner, role="partner_admin"))
    makers = (create_customer, create_technician, create_service_type, create_installation)
    url, field = editable(partner, *makers)[which]
    path = urlsplit(url).path
    first.get(url)
    second.get(url)
    one, other = {"max_moves": ("41", "42"), "monday-stretches-0-end": ("16:00", "17:00")}.get(
        field, ("First words", "Second words")
    )
    assert first.submit({field: one}, action=path).status_code == 200
    saved = every_row(engine)
    assert second.submit({field: other}, action=path).status_code == 409
    assert every_row(engine) == saved
    shown = second.page.select_one(".conflict").get_text(" ")  # type: ignore[union-attr]
    assert one in shown
    assert other in shown
    assert fields_of(second.form(path))[field][0].strip() == other
    # Sent once more, it is a decision.
    assert second.submit(action=path).status_code == 200
    assert every_row(engine) != saved
