"""The sixteen ways in which a stock Flask-Admin view shows or changes another partner's rows, each closed (C7).

Everything of the other partner carries the word Xanadu, so that a page that says it has leaked; and after each test all
rows of theirs are what they were before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from openpyxl import load_workbook
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from portal.admin.installations.acts import ACTS
from portal.domain.actor import Role
from portal.domain.base import Base
from portal.domain.contracts.models import Contract
from portal.domain.delivery.models import Unreachable
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.services import reject
from portal.domain.messages.models import Message, MessageRule, MessageStatus
from portal.domain.offers.models import JobOffer, OfferedJob
from portal.domain.people.invitations import InvitationInput, invite_staff
from portal.domain.people.models import Address, Customer, Invitation, Membership, Partner, Technician, User
from portal.domain.photos.models import Photo
from portal.domain.requests.models import ChangeRequest, RequestPhoto, ServiceRequest
from portal.domain.scheduling.models import (
    ControlOverride,
    Holiday,
    PauseReason,
    RejectReason,
    ServiceType,
    Skill,
    TimeOff,
)
from portal.domain.surveys.models import SurveyQuestion, SurveyResponse, SurveyWording
from portal.domain.unit_of_work import unit_of_work
from tests.conftest import Database
from tests.factories import actor_for, save
from tests.helpers import Site, soup
from tests.sharing import EVERYTHING

Create = Callable[..., Any]
WORD = "Xanadu"
MISSING = 987_654
LISTS = (
    "customers",
    "technicians",
    "service-types",
    "installations",
    "service-jobs",
    "messages",
    "staff",
    "activity",
    "change-requests",
    "requests",
    "job-offers",
    "survey-results",
    "unreachable",
)
# Everything that a key of the other partner's may be tried at.
BY_KEY = {
    "customers": "customer",
    "technicians": "technician",
    "service-types": "kind",
    "messages": "message",
    "staff": "membership",
}

EDITED = ("customers", "technicians", "service-types")
BY_ENDPOINT = {
    "customers": "customer",
    "technicians": "technician",
    "service_types": "kind",
    "messages": "message",
    "installations": "job",
    "service_jobs": "service",
    "skills": "skill",
    "pause_reasons": "pause_reason",
    "reject_reasons": "reject_reason",
    "survey_questions": "question",
    "staff": "membership",
    "invitations": "invitation",
    "partners": "partner",
    "hours": "absence",
    "change_requests": "wish",
    "service_requests": "asked_for",
    "job_offers": "offer",
    "offered_jobs": "offer",
    "message_rules": "message_rule",
    "unreachable": "unreached",
}
# Where a view has addresses of several kinds.
BY_ARGUMENT = {
    "technician_id": "technician",
    "holiday_id": "holiday",
    "service_type_id": "kind",
    "customer_id": "customer",
    "job_id": "job",
    "contract_id": "contract",
    "photo_id": "photo",
    "visit_id": "signed",
    "request_photo_id": "request_photo",
}
# The operator's alone: what is refused to a partner's staff as a whole tells nothing of a key.
OPERATORS = {"partners", "offered_jobs"}

pytestmark = pytest.mark.row("C7")


@dataclass(frozen=True)
class Side:
    """What one partner has: one of everything."""

    partner: Partner
    admin: User
    technician: Technician
    customer: Customer
    address: Address
    kind: ServiceType
    job: Job
    rejected: Job
    message: Message
    skill: Skill
    pause_reason: PauseReason
    reject_reason: RejectReason
    membership: Membership
    invitation: Invitation
    absence: TimeOff
    holiday: Holiday
    wish: ChangeRequest
    question: SurveyQuestion
    message_rule: MessageRule
    unreached: Unreachable
    asked_for: ServiceRequest
    request_photo: RequestPhoto
    offer: JobOffer
    contract: Contract
    photo: Photo
    service: Job
    signed: Appointment


@dataclass(frozen=True)
class World:
    """Two partners, the admin of ``ours`` at the browser."""

    site: Site
    session: Session
    ours: Side
    theirs: Side

    def get(self, path: str, **query: Any) -> TestResponse:
        """Open a page of the admin without following where it leads."""
        return self.site.client.get(f"/admin/{path}", query_string=query)

    def post(self, path: str, **values: Any) -> TestResponse:
        """Send a form of the admin by hand with a good token."""
        return self.site.post(f"/admin/{path}", values)

    def hides(self, answer: TestResponse) -> bool:
        """Whether the answer says nothing of the other partner."""
        return WORD.lower() not in answer.get_data(as_text=True).lower()


@pytest.fixture
def make_side(
    session: Session,
    create_partner: Create,
    create_staff: Create,
    create_technician: Create,
    create_customer: Create,
    create_service_type: Create,
    create_installation: Create,
    create_service_job: Create,
) -> Create:
    def make(word: str) -> Side:
        partner = create_partner(name=f"{word} Heating", phone="0117 496 0001")
        admin = create_staff(partner, role="partner_admin", name=f"{word} Admin", email=f"admin@{word}.example".lower())
        technician = create_technician(partner, name=f"{word} Fitter", email=f"fitter@{word}.example".lower())
        customer = create_customer(
            partner, address=f"1 {word} Street", name=f"{word} Customer", email=f"customer@{word}.example".lower()
        )
        kind = create_service_type(partner, name=f"{word} service")
        given = {"customer": customer, "kind": kind, "items": [(f"{word} boiler", 1)], "notes": f"{word} notes"}
        job = create_installation(partner, technician=technician, **given)
        rejected = create_installation(partner, **given)
        with unit_of_work(session):
            reject(session, actor_for(admin, Role.PARTNER_ADMIN, partner), datetime.now(UTC), rejected.id, f"{word} no")
        with unit_of_work(session):
            message = session.scalars(select(Message).where(Message.partner_id == partner.id)).first()
            assert message is not None
            message.status, message.sent_at = MessageStatus.SENT, datetime.now(UTC)
            message.subject = message.body = message.body_html = f"{word} letter"
            signed = session.get_one(Appointment, job.appointments[0].id)
            signed.signed_name, signed.drawing, signed.drawing_sha256 = f"{word} Customer", word.encode(), "0" * 64
            off = datetime.now(UTC) + timedelta(days=60)
            absence = TimeOff(
                partner_id=partner.id,
                technician_id=technician.id,
                start_at=off,
                end_at=off + timedelta(days=1),
                note=f"{word} trip",
            )
            holiday = Holiday(partner_id=partner.id, day=off.date(), name=f"{word} day")
            session.add_all([absence, holiday])
            session.flush()
            for row in (message, absence, holiday):
                session.refresh(row)
                session.expunge(row)
        listed = (
            save(session, Skill(partner_id=partner.id, name=f"{word} skill")),
            save(session, PauseReason(partner_id=partner.id, label=f"{word} pause")),
            save(session, RejectReason(partner_id=partner.id, label=f"{word} reject")),
        )
        as_admin = actor_for(admin, Role.PARTNER_ADMIN, partner)
        with unit_of_work(session):
            typed = InvitationInput(f"{word} Newcomer", f"newcomer@{word}.example".lower(), "dispatcher")
            invitation = invite_staff(session, as_admin, datetime.now(UTC), "key", partner.id, typed)
            membership = session.scalars(select(Membership).where(Membership.partner_id == partner.id)).one()
            for row in (invitation, membership):
                session.refresh(row)
                session.expunge(row)
        given = (partner, admin, technician, customer, customer.addresses[0], kind, job, rejected, message)
        visit = job.appointments[0]
        asked = {"status": "PENDING", "wish": "reschedule", "words": f"{word} wish", "start_at": visit.start_at}
        keys = {"partner_id": partner.id, "customer_id": customer.id, "job_id": job.id, "appointment_id": visit.id}
        owners: tuple[dict[str, Any], ...] = (
            {"service_type_id": kind.id},
            {"customer_id": customer.id},
            {"job_id": job.id},
        )
        for owner in owners:
            save(session, ControlOverride(partner_id=partner.id, max_moves=5, **owner))
        wish = save(session, ChangeRequest(asked_at=datetime.now(UTC), **asked, **keys))
        question = save(session, SurveyQuestion(partner_id=partner.id))
        asked = {"question_id": question.id, "revision": 1, "kind": "text", "words": f"{word} question"}
        save(session, SurveyWording(partner_id=partner.id, **asked))
        save(session, SurveyResponse(rating=1, comment=f"{word} rating", answered_at=datetime.now(UTC), **keys))
        rule = session.scalars(select(MessageRule).where(MessageRule.partner_id == partner.id)).first()
        assert rule is not None
        session.expunge(rule)
        failed = {"message_id": message.id, "recipient": customer.email, "fault": "address", "error": f"{word} error"}
        whom = {"partner_id": partner.id, "customer_id": customer.id}
        unreached = save(session, Unreachable(opened_at=datetime.now(UTC), **failed, **whom))
        about = {"partner_id": partner.id, "customer_id": customer.id, "job_id": rejected.id, "revision": 1}
        sent = {"body": f"{word} contract", "sha256": "0" * 64, "sent_at": datetime.now(UTC)}
        contract = save(session, Contract(**about, **sent))
        taken = {"taken_at": datetime.now(UTC), "added_at": datetime.now(UTC), "added_by_name": f"{word} Fitter"}
        named = {"client_key": "key", "name": f"2026-11-24/{word}", "caption": f"{word} photo", "width": 9, "height": 9}
        photo = save(session, Photo(**taken, **named, **keys))
        service = create_service_job(partner, customer, kind=kind, notes=f"{word} service notes")
        where = {"address_id": customer.addresses[0].id, "service_type_id": kind.id, "form_key": f"{customer.id}:"}
        asked = {"status": "NEW", "notes": f"{word} request", "asked_at": datetime.now(UTC)}
        asked_for = save(session, ServiceRequest(**whom, **where, **asked))
        named = {"client_key": "key", "name": f"2026-11-24/{word}2", "width": 9, "height": 9}
        sent = RequestPhoto(service_request_id=asked_for.id, added_at=datetime.now(UTC), **named, **whom)
        request_photo = save(session, sent)
        until = datetime.now(UTC) + timedelta(days=1)
        work = {"service": f"{word} work", "customer_name": f"{word} Newcomer", "line": f"2 {word} Street"}
        offered = save(
            session, OfferedJob(**work, offered_at=datetime.now(UTC), offered_by_name="Robin", expires_at=until)
        )
        offer = save(session, JobOffer(partner_id=partner.id, offered_job_id=offered.id, status="OFFERED"))
        own = (
            membership,
            invitation,
            absence,
            holiday,
            wish,
            question,
            rule,
            unreached,
            asked_for,
            request_photo,
            offer,
            contract,
            photo,
            service,
            visit,
        )
        return Side(*given, *listed, *own)

    return make


def rows_of(session: Session, partner: Partner) -> dict[str, list[Any]]:
    """Return every row of ``partner``, table by table."""
    session.rollback()
    return {
        table.name: session.execute(select(table).where(table.c.partner_id == partner.id).order_by(table.c.id)).all()
        for table in Base.metadata.sorted_tables
        if "partner_id" in table.c
    } | {"partners": session.execute(select(Partner.__table__).where(Partner.id == partner.id)).all()}


@pytest.fixture
def world(site: Site, session: Session, make_side: Create) -> Iterator[World]:
    ours, theirs = make_side("Avalon"), make_side(WORD)
    site.sign_in(ours.admin)
    before = rows_of(session, theirs.partner)
    assert all(before[name] for name in ("jobs", "appointments", "customers", "messages", "history"))
    yield World(site, session, ours, theirs)
    assert rows_of(session, theirs.partner) == before


# 1. List


def test_lists_hold_own_rows_only(world: World) -> None:
    for name in LISTS:
        answer = world.get(f"{name}/")
        assert answer.status_code == 200
        assert "Avalon" in answer.get_data(as_text=True), name
        assert world.hides(answer), name


# 2. Detail


def test_details_of_others_are_not_found(world: World) -> None:
    theirs, ours = (
        {"job": side.job.id, "message": side.message.id, "customer": side.customer.id}
        for side in (world.theirs, world.ours)
    )
    missing = dict.fromkeys(theirs, MISSING)
    for path in ("installations/{job}", "messages/{message}", "messages/{message}/letter", "customers/{customer}/"):
        foreign, unknown = world.get(path.format(**theirs)), world.get(path.format(**missing))
        assert world.get(path.format(**ours)).status_code == 200, path
        assert foreign.status_code == unknown.status_code == 404, path
        assert words(foreign) == words(unknown)
        assert world.hides(foreign)


def words(answer: TestResponse) -> str:
    """Return what a page says, but for what differs with every request."""
    return re.sub(r"[0-9a-f]{16}", "", soup(answer).get_text(" "))


# 3. Edit


def test_edit_forms_of_others_are_not_found(world: World) -> None:
    values = {"name": "Taken over", "version": 1, "status": "AVAILABLE", "addresses-0-line": "1 New Street"}
    minutes = {f"{one}_minutes": 60 for one in ("duration", "window", "step", "buffer_before", "buffer_after")}
    for name in EDITED:
        key = getattr(world.theirs, BY_KEY[name]).id
        assert world.get(f"{name}/edit/", id=getattr(world.ours, BY_KEY[name]).id).status_code == 200, name
        assert world.get(f"{name}/edit/", id=key).status_code == 404, name
        assert world.post(f"{name}/edit/?id={key}", **values, **minutes).status_code == 404, name


def test_editing_installations_of_others_is_not_found(world: World) -> None:
    key = world.theirs.job.id
    assert world.get(f"installations/{key}/edit").status_code == 404
    values = {"version": 1, "items-0-name": "Taken over", "items-0-quantity": 1, "address": world.theirs.address.id}
    assert world.post(f"installations/{key}/edit", **values).status_code == 404


def test_odd_keys_are_not_found(world: World) -> None:
    for name in EDITED:
        for key in ("", "abc", "-1", "0", "1.5", "9" * 30, "1,2", "None", "１"):
            assert world.get(f"{name}/edit/", id=key).status_code == 404, (name, key)
        assert world.get(f"{name}/edit/").status_code == 404, name


# 4. Delete


def test_nothing_is_deleted(world: World) -> None:
    for name in (*LISTS, "feature-controls"):
        for side in (world.theirs, world.ours):
            row = getattr(side, BY_KEY.get(name, "job"))
            assert world.post(f"{name}/delete/", id=row.id).status_code in {404, 405}, name
            assert world.post(f"{name}/{row.id}/delete").status_code in {404, 405}, name
            assert world.site.client.delete(f"/admin/{name}/{row.id}").status_code in {400, 404, 405}, name
            world.session.rollback()
            assert world.session.get(type(row), row.id) is not None, name


# 5. Inline edit


def test_nothing_is_edited_inside_a_list(world: World) -> None:
    for name in LISTS:
        key = getattr(world.theirs, BY_KEY.get(name, "job")).id
        assert world.post(f"{name}/ajax/update/", list_form_pk=key, name="Taken over").status_code in {404, 405}, name


# 6. Create with a foreign id


def schedule(world: World, **values: Any) -> TestResponse:
    ours = {
        "customer": f"{world.ours.customer.id}:{world.ours.address.id}",
        "service_type": world.ours.kind.id,
        "date": f"{datetime.now(UTC).year + 1}-03-03",
        "time": "10:00",
        "items-0-name": "Boiler",
        "items-0-quantity": 1,
        "despite_warnings": "y",
    }
    return world.post("installations/schedule", **{**ours, **values})


def test_scheduling_with_own_ids_works(world: World) -> None:
    """Without which the refusals below would prove nothing."""
    before = len(rows_of(world.session, world.ours.partner)["jobs"])
    assert schedule(world, technician=world.ours.technician.id).status_code == 303
    assert len(rows_of(world.session, world.ours.partner)["jobs"]) == before + 1


def test_scheduling_with_foreign_ids_is_not_found(world: World) -> None:
    ours, theirs = world.ours, world.theirs
    before = rows_of(world.session, ours.partner)
    for foreign in (
        {"customer": f"{theirs.customer.id}:{theirs.address.id}"},
        {"customer": f"{ours.customer.id}:{theirs.address.id}"},
        {"customer": f"{theirs.customer.id}:{ours.address.id}"},
        {"service_type": theirs.kind.id},
        {"technician": theirs.technician.id},
    ):
        answer = schedule(world, **foreign)
        assert answer.status_code == 404, foreign
        assert world.hides(answer)
    assert world.post(f"installations/{theirs.rejected.id}/replacement").status_code == 404
    assert rows_of(world.session, ours.partner) == before


def test_a_partner_in_the_form_is_not_read(world: World) -> None:
    values = {"name": "New Person", "addresses-0-line": "1 New Street", "partner_id": world.theirs.partner.id}
    assert world.post("customers/new/", **values, partner=world.theirs.partner.id).status_code == 302
    world.session.rollback()
    added = world.session.scalars(select(Customer).where(Customer.name == "New Person")).one()
    assert added.partner_id == world.ours.partner.id


def test_an_address_of_somebody_else_is_not_edited_along(world: World, create_customer: Create) -> None:
    mine = world.ours.customer
    neighbour = create_customer(world.ours.partner, address="5 Neighbour Lane")
    for address in (world.theirs.address, neighbour.addresses[0]):
        values = {"name": "Changed", "version": mine.version, "addresses-0-line": "Taken over"}
        answer = world.post(f"customers/edit/?id={mine.id}", **values, **{"addresses-0-id": address.id})
        assert answer.status_code == 404
        world.session.rollback()
        assert world.session.get_one(Customer, mine.id, populate_existing=True).name == mine.name
        assert world.session.get_one(Address, address.id, populate_existing=True).line == address.line


# 7. Options of selects


def test_forms_offer_own_rows_only(world: World) -> None:
    for path in (
        "installations/",
        "installations/schedule",
        f"installations/{world.ours.job.id}/reassign",
        f"installations/{world.ours.job.id}/reschedule",
        f"installations/{world.ours.job.id}/edit",
        f"installations/{world.ours.rejected.id}/replacement",
        "hours/",
        "hours/time-off/new",
        f"hours/technicians/{world.ours.technician.id}",
    ):
        answer = world.get(path)
        assert answer.status_code == 200, path
        assert "Avalon" in answer.get_data(as_text=True), path
        assert world.hides(answer), path
    assert world.hides(world.get("installations/schedule", customer=world.theirs.customer.id))


# 8. Type-ahead


def test_type_aheads_find_own_rows_only(world: World) -> None:
    for name in ("customers", "technicians"):
        for text in ("", "e", "Street", WORD, "%", "_"):
            answer = world.get(f"api/{name}", q=text)
            assert answer.status_code == 200
            assert world.hides(answer)
        assert len(world.get(f"api/{name}", q="avalon").get_json()) == 1
        assert world.get(f"api/{name}", q=WORD).get_json() == []
        assert world.get(f"{name}/ajax/lookup/", name="customer", query=WORD).status_code == 404


# 9. Filters


def test_filters_by_foreign_keys_find_nothing(world: World) -> None:
    for query in ({"technician": world.theirs.technician.id}, {"type": world.theirs.kind.id}):
        answer = world.get("installations/", **query)
        assert answer.status_code == 200
        assert world.hides(answer)
    for name in LISTS:
        for query in ({"flt0_0": "a"}, {"flt1_9": "x"}, {"partner_id": world.theirs.partner.id}, {"active": "all"}):
            answer = world.get(f"{name}/", **query)
            assert answer.status_code == 200
            assert world.hides(answer)


# 10. Search


def test_searches_find_own_rows_only(world: World) -> None:
    for name in ("customers", "technicians", "installations", "messages"):
        answer = world.get(f"{name}/", q=WORD, active="all")
        assert answer.status_code == 200
        assert soup(answer).select("tbody tr") == []
        own = world.get(f"{name}/", q="avalon", active="all")
        assert soup(own).select("tbody tr"), name
        assert world.hides(own)


# 11. Sort and pages


def test_no_order_and_no_page_leads_to_others(world: World, database: Database) -> None:
    foreign = world.theirs.job.id
    keys = [json.dumps(key) for key in (["", 0], ["W", 0], ["~", MISSING], [0], [foreign], [MISSING], [None], {}, 1)]
    keys += [json.dumps([datetime(year, 1, 1, tzinfo=UTC).isoformat(), 0]) for year in (1, 1970, 9999)]
    keys += ["", "x", "[" * 500, '["\\u0000", 1]', '["\\ud800", 1]', '["a", 1e400]', f'["a", {"9" * 40}]']
    sorts = ("name", "-name", "date", "-date", "number", "-number", "partner_id", "", "--name")
    for index, name in enumerate(LISTS):
        # Each list gets on the one database what the next one gets on the other.
        first = (index + (database.name == "sqlite")) % 2
        for sort in sorts if EVERYTHING else sorts[first::2]:
            answer = world.get(f"{name}/", sort=sort)
            assert answer.status_code == 200, (name, sort)
            assert world.hides(answer)
        for key in keys if EVERYTHING else keys[first::2]:
            for way in ("after", "before"):
                answer = world.get(f"{name}/", **{way: key, "active": "all"})
                assert answer.status_code == 200, (name, way, key)
                assert world.hides(answer)
        for query in ({"page": "-1"}, {"page_size": "9" * 20}, {"page": "99999999999"}):
            assert world.get(f"{name}/", **query).status_code == 200


# 12. Export


def test_exports_hold_own_rows_only(world: World) -> None:
    for name in LISTS:
        key = getattr(world.theirs, BY_KEY.get(name, "job")).id
        for query in ({}, {"q": WORD}, {"active": "all"}, {"ids": key, "pick": key, "picked": key}):
            answer = world.get(f"{name}/export/csv/", **query)
            assert answer.status_code == 200
            assert answer.mimetype == "text/csv"
            assert world.hides(answer)
            searched = "q" in query and name != "service-types"
            assert ("Avalon" in answer.get_data(as_text=True)) is not searched, (name, query)
        book = world.site.client.get(f"/admin/{name}/export/xlsx/", buffered=True)
        cells = [str(cell) for row in load_workbook(BytesIO(book.get_data())).worksheets[0].values for cell in row]
        assert any("Avalon" in cell for cell in cells), name
        assert not any(WORD in cell for cell in cells), name


def test_ticked_rows_of_others_are_as_if_not_there(world: World) -> None:
    before = rows_of(world.session, world.ours.partner)
    for foreign in (world.theirs.job.id, world.theirs.rejected.id, MISSING):
        for act in ("assign", "reject"):
            decided = {"sent": 1, "technician": world.ours.technician.id, "reason": "Mine now"}
            for values in ({}, decided):
                answer = world.post(f"installations/bulk/{act}", pick=foreign, **values)
                assert answer.status_code == 303
                assert world.hides(answer)
            mixed = world.post(f"installations/bulk/{act}", pick=[world.ours.rejected.id, foreign], **decided)
            assert [str(row["data-row"]) for row in soup(mixed).select("[data-row]")] == [str(world.ours.rejected.id)]
            assert world.hides(mixed)
        answer = world.post("installations/export/csv/", pick=foreign)
        assert len(answer.get_data(as_text=True).splitlines()) == 1
    chosen = {"pick": world.ours.job.id, "sent": 1, "technician": world.theirs.technician.id}
    assert world.post("installations/bulk/assign", **chosen).status_code == 404
    assert world.hides(world.post("installations/bulk/assign", pick=world.ours.job.id))
    assert rows_of(world.session, world.ours.partner) == before


# 13. Bulk actions


def test_there_are_no_bulk_actions_by_key(world: World) -> None:
    before = rows_of(world.session, world.ours.partner)
    for name in LISTS:
        keys = [getattr(side, BY_KEY.get(name, "job")).id for side in (world.theirs, world.ours)]
        for action in ("delete", "reject", "assign", "deactivate"):
            assert world.post(f"{name}/action/", action=action, rowid=keys).status_code in {404, 405}, (name, action)
    assert rows_of(world.session, world.ours.partner) == before


# 14. Actions on one row


def test_acts_on_installations_of_others_are_not_found(world: World) -> None:
    values = {"technician": world.ours.technician.id, "reason": "Mine now", "name": "Mine"}
    for act in sorted(ACTS):
        for key in (world.theirs.job.id, world.theirs.rejected.id, MISSING):
            assert world.get(f"installations/{key}/{act}").status_code == 404, act
            assert world.post(f"installations/{key}/{act}", **values).status_code == 404, act


def test_others_are_not_deactivated(world: World) -> None:
    for name in EDITED:
        for act in ("deactivate", "reactivate"):
            for key in (getattr(world.theirs, BY_KEY[name]).id, MISSING):
                assert world.post(f"{name}/{key}/{act}").status_code == 404, (name, act)
            # Somebody with visits ahead is not deactivated without a question.
            asks = (name, act) == ("technicians", "deactivate")
            answer = world.post(f"{name}/{getattr(world.ours, BY_KEY[name]).id}/{act}")
            assert answer.status_code == (200 if asks else 302), (name, act)


def test_feature_controls_are_the_own(world: World) -> None:
    page = world.site.get("/admin/feature-controls/", query_string={"partner_id": world.theirs.partner.id})
    assert world.hides(page)
    assert len(world.site.page.select(".below tbody tr")) == 3
    answer = world.site.submit({"max_moves": "7", "partner_id": world.theirs.partner.id, "id": "2"}, button="Save")
    assert "Saved." in soup(answer).get_text()


# 15. Counts


def test_counts_are_of_own_rows(world: World, create_installation: Create) -> None:
    at_noon = datetime.now(UTC).replace(hour=12, minute=0)
    for side, number in ((world.ours, 2), (world.theirs, 3)):
        if side is world.theirs:
            continue
        for _ in range(number):
            create_installation(side.partner, customer=side.customer, kind=side.kind, start=at_noon)
    answer = world.get("")
    assert [one.text for one in soup(answer).select(".tally b")] == ["2"]
    assert world.hides(answer)


# 16. Relationships


def test_own_pages_lead_to_nothing_of_others(world: World) -> None:
    customer = {"id": world.ours.customer.id}
    for path, query in (("", {}), (f"installations/{world.ours.job.id}", {}), ("customers/edit/", customer)):
        answer = world.get(path, **query)
        assert answer.status_code == 200
        assert world.hides(answer)


def test_own_rows_are_not_tied_to_foreign_ones(world: World) -> None:
    ours, theirs = world.ours, world.theirs
    before = rows_of(world.session, ours.partner)
    assert world.post(f"installations/{ours.job.id}/reassign", technician=theirs.technician.id).status_code == 404
    values = {"version": ours.job.version, "items-0-name": "Boiler", "items-0-quantity": 1}
    answer = world.post(f"installations/{ours.job.id}/edit", **values, address=theirs.address.id)
    assert answer.status_code == 404
    assert rows_of(world.session, ours.partner) == before


# Every page there is, and every one there will be


def test_every_address_with_a_key_answers_a_foreign_one_as_a_missing_one(world: World, app: Flask) -> None:
    tried = 0
    for rule in app.url_map.iter_rules():
        ints = [name for name, converter in rule._converters.items() if "Integer" in type(converter).__name__]
        if not rule.rule.startswith("/admin/") or not ints:
            continue
        rest = {name: "assign" for name in rule.arguments if name not in ints}
        for method in sorted(rule.methods & {"GET", "POST"}):
            answers = set()
            # A new view says here whose keys its addresses take.
            view = rule.endpoint.partition(".")[0]
            named = BY_ARGUMENT.get(ints[0]) or BY_ENDPOINT[view]
            name = BY_ENDPOINT.get(view, named) if named == "job" else named
            row = getattr(world.theirs, name)
            for key in (row.id, MISSING):
                built = rule.build({**dict.fromkeys(ints, key), **rest})
                assert built is not None
                path = built[1]
                answer = world.site.client.get(path) if method == "GET" else world.site.post(path)
                answers.add(answer.status_code)
                assert world.hides(answer), path
                tried += 1
            wanted = 403 if rule.endpoint.partition(".")[0] in OPERATORS else 404
            assert answers == {wanted}, (rule.rule, method, answers)
    assert tried > 20


def test_strangers_and_other_roles_reach_no_page(
    app: Flask, world: World, create_user: Create, create_customer: Create, create_technician: Create
) -> None:
    customer, technician = create_user(), create_user()
    create_customer(world.ours.partner, customer)
    create_technician(world.ours.partner, technician)
    paths = [
        "",
        *(f"{name}/" for name in LISTS),
        "feature-controls/",
        "background-jobs/",
        "channels/",
        "message-words/",
        "message-words/booked/email/en",
        "message-words/invitation/email/en",
        "api/customers?q=a",
    ]
    for user, status in ((None, 302), (customer, 403), (technician, 403)):
        browser = Site(app.test_client())
        if user is not None:
            browser.sign_in(user)
        for path in paths:
            assert browser.client.get(f"/admin/{path}").status_code == status, (user, path)


def test_set_up_is_for_the_partner_admin(app: Flask, world: World, create_staff: Create) -> None:
    browser = Site(app.test_client())
    browser.sign_in(create_staff(world.ours.partner))
    paths = (
        "service-types/",
        "feature-controls/",
        "channels/",
        "message-words/booked/text/de",
        f"service-types/edit/?id={world.ours.kind.id}",
    )
    for path in (*paths, f"feature-controls/customer/{world.ours.customer.id}/"):
        assert browser.client.get(f"/admin/{path}").status_code == 403
        assert browser.post(f"/admin/{path}").status_code in {403, 405}
    assert "Feature controls" not in soup(browser.get("/admin/")).get_text()


def test_an_operator_sees_names_of_partners_and_no_rows(app: Flask, world: World, create_user: Create) -> None:
    browser = Site(app.test_client())
    browser.sign_in(create_user(is_operator=True))
    front = browser.get("/admin/")
    assert "Avalon Heating" in browser.text
    assert "Xanadu Heating" in browser.text
    assert "Avalon Customer" not in front.get_data(as_text=True)
    assert soup(browser.get("/admin/messages/")).select("tbody tr") == []
    assert browser.client.get(f"/admin/messages/{world.ours.message.id}").status_code == 404
    for path in (
        "customers/",
        "technicians/",
        "installations/",
        "service-types/",
        "feature-controls/",
        "api/customers",
    ):
        assert browser.client.get(f"/admin/{path}").status_code == 403, path
