"""Two who answer at once: partners who accept one offered job, dispatchers who convert one request (J1, C5)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Engine, select

from portal.domain.jobs.models import Job
from portal.domain.offers.models import JobOffer, OfferedJob
from portal.domain.offers.services import accept_offer
from portal.domain.requests.models import ServiceRequest
from portal.domain.requests.new_service import convert_into_draft
from portal.domain.unit_of_work import unit_of_work
from tests.domain.office import NOW, Office
from tests.races.clerks import Turn
from tests.races.racing import run_at_once, url_of
from tests.races.takers import answer_at_once

ROUNDS = 4
TOLD = ["done", "wrong_status"]


def turns_for_offers(acme: Office, globex: Office) -> tuple[list[Turn], list[Turn]]:
    """Offer ``ROUNDS`` jobs to both, and return what each does about them."""
    turns: tuple[list[Turn], list[Turn]] = [], []
    for number in range(ROUNDS):
        with unit_of_work(acme.looking) as session:
            job = OfferedJob(
                service="Boiler repair", customer_name=f"Ada {number}", line=f"{number} Engine Row",
                offered_at=NOW, offered_by_name="Robin", expires_at=NOW + timedelta(days=1),
            )  # fmt: skip
            session.add(job)
            session.flush()
            key = job.id
        for office, own in zip((acme, globex), turns, strict=True):
            offer_id = office.add(JobOffer(offered_job_id=key, status="OFFERED"))
            kind = office.people.service_type_id
            own.append(Turn(office.people.dispatcher, accept_offer, NOW, (offer_id, kind)))
    return turns


def race(
    processes: ProcessPoolExecutor, acme: Office, other: Office, turns: tuple[list[Turn], list[Turn]], locks: bool
) -> list[list[str]]:
    """Let both take their turns at once, and return how each round ended."""
    both = [(url_of(acme.engine), office.people, own, locks) for office, own in zip((acme, other), turns, strict=True)]
    return [sorted(ends) for ends in zip(*run_at_once(processes, answer_at_once, both), strict=True)]


def jobs_of(*offices: Office) -> int:
    return sum(
        len(office.looking.scalars(select(Job.id).where(Job.partner_id == office.people.partner_id)).all())
        for office in offices
    )


@pytest.mark.row("J1")
def test_of_two_partners_who_accept_at_once_one_gets_the_job_and_the_other_is_told(
    engine: Engine, hire: Callable[..., Office], processes: ProcessPoolExecutor
) -> None:
    acme, globex = hire(), hire()
    turns = turns_for_offers(acme, globex)
    assert race(processes, acme, globex, turns, locks=True) == [TOLD] * ROUNDS
    offers = acme.looking.scalars(select(JobOffer).order_by(JobOffer.id)).all()[-2 * ROUNDS :]
    pairs = [sorted(offer.status for offer in offers[index : index + 2]) for index in range(0, 2 * ROUNDS, 2)]
    assert pairs == [["ACCEPTED", "TAKEN"]] * ROUNDS
    assert jobs_of(acme, globex) == ROUNDS
    assert {offer.job_id is not None for offer in offers if offer.status == "TAKEN"} == {False}


@pytest.mark.row("J1")
def test_without_the_lock_the_other_partner_is_not_told(
    engine: Engine, hire: Callable[..., Office], processes: ProcessPoolExecutor
) -> None:
    acme, globex = hire(), hire()
    acme_turns, globex_turns = turns_for_offers(acme, globex)
    ends = race(processes, acme, globex, (acme_turns[:1], globex_turns[:1]), locks=False)
    # What keeps the job from being given twice then is the database alone, and it has no words for anybody.
    assert ends == [["done", "error"]]


def turns_for_requests(acme: Office, rounds: int) -> tuple[list[Turn], list[Turn]]:
    """Put requests into the queue, and return what two dispatchers do about each."""
    people, found = acme.people, []
    for number in range(rounds):
        request = ServiceRequest(
            customer_id=people.customer_id(), address_id=people.addresses[0], service_type_id=people.service_type_id,
            status="NEW", wishes=[], form_key=f"{acme.people.partner_id}:{number}", asked_at=NOW, proposals=0,
        )  # fmt: skip
        found.append(Turn(people.dispatcher, convert_into_draft, NOW, (acme.add(request),)))
    return found, found


@pytest.mark.row("C5")
def test_two_dispatchers_who_convert_at_once_make_one_job(
    engine: Engine, hire: Callable[..., Office], processes: ProcessPoolExecutor
) -> None:
    acme = hire()
    assert race(processes, acme, acme, turns_for_requests(acme, ROUNDS), locks=True) == [TOLD] * ROUNDS
    assert jobs_of(acme) == ROUNDS


@pytest.mark.row("C5")
def test_without_the_lock_they_make_two(
    engine: Engine, hire: Callable[..., Office], processes: ProcessPoolExecutor
) -> None:
    acme = hire()
    assert race(processes, acme, acme, turns_for_requests(acme, 1), locks=False) == [["done", "done"]]
    assert jobs_of(acme) == 2
