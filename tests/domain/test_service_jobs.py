"""Service jobs on both databases: each use case that only they have, and what several visits make of a job."""

from __future__ import annotations

import pytest

from portal.domain.actor import SYSTEM
from portal.domain.errors import NotFound
from portal.domain.jobs.service_jobs import ServiceDraft, create_service_job
from portal.domain.jobs.services import ItemInput
from tests.domain.office import Office
from tests.domain.test_services import invalid, refused


def draft(office: Office, **values: object) -> ServiceDraft:
    """What a dispatcher would type."""
    people = office.people
    usual = {
        "customer_id": people.customer_id(),
        "address_id": people.addresses[0],
        "service_type_id": people.service_type_id,
    }
    return ServiceDraft(**{**usual, **values})  # type: ignore[arg-type]


@pytest.mark.row("J2")
def test_a_service_job_begins_as_a_draft_without_a_visit(office: Office) -> None:
    people = office.people
    bare = office.do(people.dispatcher, create_service_job, draft(office))
    full = office.do(
        people.partner_admin,
        create_service_job,
        draft(office, notes=" Ring twice ", items=(ItemInput("Filter", 2), ItemInput("Hose", 1))),
    )
    job = office.job(bare)
    assert (job.workflow, job.status, job.title, job.number) == ("service", "DRAFT", "Solar", "D-1001")
    assert office.visits(bare) == []
    assert [(entry.action, entry.after) for entry in office.history(bare)] == [("create", {"status": "DRAFT"})]
    assert (office.job(full).title, office.job(full).notes) == ("Filter, Hose", "Ring twice")
    assert office.items(full) == [("Filter", 2), ("Hose", 1)]
    # Whoever accepts an offer or converts a request causes one, whatever else they may do.
    customer = people.customers[0]
    assert refused(office, customer, create_service_job, draft(office)) == "not_your_role"
    assert refused(office, people.technicians[0], create_service_job, draft(office)) == "not_your_role"
    for actor in (customer, SYSTEM):
        made = office.do(actor, create_service_job, draft(office), follows=True)
        assert office.job(made).status == "DRAFT"
        assert office.history(made)[0].actor_role == actor.role


@pytest.mark.row("J2")
def test_what_a_draft_does_not_accept(office: Office, neighbour: Office) -> None:
    dana, people = office.people.dispatcher, office.people
    assert "notes" in invalid(office, dana, create_service_job, draft(office, notes="x" * 10_000))
    assert list(invalid(office, dana, create_service_job, draft(office, items=(ItemInput("Filter", 0),)))) == [
        "items-0-quantity"
    ]
    others = neighbour.people
    for wrong in (
        {"customer_id": others.customer_id()},
        {"address_id": others.addresses[0]},
        {"service_type_id": others.service_type_id},
        {"address_id": people.addresses[1]},
        {"customer_id": 0},
    ):
        with pytest.raises(NotFound):
            office.do(dana, create_service_job, draft(office, **wrong))
