"""Technicians are told what becomes of their visits, in the transaction that does it (P22)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from portal.domain.actor import Actor, Role
from portal.domain.jobs import bulk, fieldwork, services
from portal.domain.jobs.models import Job
from portal.domain.messages.models import TO_TECHNICIANS, MessageRule
from portal.domain.people.models import Technician
from portal.domain.scheduling.models import PauseReason
from portal.domain.unit_of_work import unit_of_work
from portal.worker.schedule import Work
from tests.factories import Create
from tests.worker.conftest import DAY, MINUTE, START, Shop, Sink

pytestmark = pytest.mark.row("P22")


@pytest.fixture
def crew(shop: Shop, create_technician: Create, create_user: Create) -> tuple[Technician, Technician]:
    """Two technicians, of a partner that tells them by e-mail."""
    with unit_of_work(shop.session) as session:
        session.add_all(MessageRule(partner_id=shop.partner.id, kind=kind, channel="email") for kind in TO_TECHNICIANS)
    user = create_user(name="Ann", email="ann@login.example")
    return (
        create_technician(shop.partner, user, name="Ann", email="ann@work.example"),
        create_technician(shop.partner, name="Bob", email="bob@work.example"),
    )


def told(shop: Shop) -> list[tuple[str, str]]:
    """What technicians were told since the last time one asked."""
    found = [
        (message.kind.removeprefix("technician_"), message.recipient.partition("@")[0])
        for message in shop.messages()
        if message.technician_id is not None
    ]
    shop.clear()
    return found


def test_each_change_of_a_visit_is_told_to_whom_it_concerns(shop: Shop, crew: tuple[Technician, ...]) -> None:
    ann, bob = crew
    job = shop.schedule(technician=ann)
    assert told(shop) == [("assigned", "ann")]
    shop.do(services.reassign, shop.dispatcher, job.id, bob.id)
    assert told(shop) == [("relieved", "ann"), ("assigned", "bob")]
    shop.do(services.reassign, shop.dispatcher, job.id, ann.id)
    shop.do(services.reassign, shop.dispatcher, job.id, bob.id)
    assert told(shop) == [("relieved", "bob"), ("assigned", "ann"), ("relieved", "ann"), ("assigned", "bob")]
    # Nobody is told of a move unless that is ticked.
    shop.do(services.reschedule, shop.dispatcher, job.id, START + DAY)
    assert told(shop) == []
    shop.do(services.reschedule, shop.dispatcher, job.id, START + 5 * DAY, notify=True)
    assert told(shop) == [("moved", "bob")]
    shop.do(services.cancel, shop.dispatcher, job.id, "Wrong address")
    assert told(shop) == [("cancelled", "bob")]
    # Bulk actions go through the same use cases, each in a unit of work of its own.
    jobs = [shop.schedule(START + number * DAY) for number in range(2)]
    shop.session.rollback()
    bulk.assign_each(shop.session, shop.dispatcher, shop.clock.now, [one.id for one in jobs], ann.id)
    assert told(shop) == [("assigned", "ann")] * 2


def test_what_they_did_themselves_or_is_over_is_no_news(shop: Shop, crew: tuple[Technician, ...]) -> None:
    ann, bob = crew
    as_ann = Actor(ann.user_id, Role.TECHNICIAN, "Ann", frozenset({shop.partner.id}), technician_id=ann.id)
    job = shop.schedule(technician=ann)
    with unit_of_work(shop.session) as session:
        reason = PauseReason(partner_id=shop.partner.id, label="Part", position=9)
        session.add(reason)
    shop.clear()
    visit = shop.visit(job)
    shop.clock.now = START
    for step, inputs in ((fieldwork.set_off, ()), (fieldwork.arrive, ()), (fieldwork.pause, (reason.id,))):
        shop.do(step, as_ann, visit.id, visit.move_number, *inputs)
    shop.do(fieldwork.continue_later, as_ann, visit.id, visit.move_number, START + DAY)
    assert told(shop) == []
    late = shop.schedule(START + 3 * DAY, technician=bob)
    told(shop)
    shop.clock.now = shop.visit(late).end_at
    shop.do(services.cancel, shop.dispatcher, late.id, "Nobody went")
    assert told(shop) == []


def test_a_rule_that_is_off_and_a_change_that_fails_tell_nobody(shop: Shop, crew: tuple[Technician, ...]) -> None:
    ann, _ = crew
    job = shop.schedule()

    def assign_and_fail() -> None:
        with unit_of_work(shop.session) as session:
            services.assign(session, shop.dispatcher, shop.clock.now, job.id, ann.id)
            raise RuntimeError("the power failed")

    with pytest.raises(RuntimeError, match="the power failed"):
        assign_and_fail()
    assert told(shop) == []
    with unit_of_work(shop.session) as session:
        session.execute(update(MessageRule).values(enabled=False))
    shop.do(services.assign, shop.dispatcher, job.id, ann.id)
    assert told(shop) == []


def test_the_letters_say_what_a_technician_needs(
    start_work: Callable[..., Work], sink: Sink, shop: Shop, crew: tuple[Technician, ...]
) -> None:
    ann, bob = crew
    work = start_work(smtp_url=sink.url)
    job: Job = shop.schedule(technician=ann)
    work.relay.run()
    shop.do(services.reschedule, shop.dispatcher, job.id, START + DAY, notify=True)
    shop.do(services.reassign, shop.dispatcher, job.id, bob.id)
    work.relay.run()
    shop.clock.now += MINUTE
    shop.do(services.cancel, shop.dispatcher, job.id, "Wrong address")
    work.relay.run()
    letters: list[tuple[str, str, Any]] = [
        (str(mail["To"]), str(mail["Subject"]), mail.get_body(("plain",)).get_content())  # type: ignore[union-attr]
        for mail in sink.mails
        if "priya" not in str(mail["To"])
    ]
    assert [(to, subject.partition(":")[0]) for to, subject, _ in letters] == [
        ("ann@login.example", "Yours"),
        # The move was taken over by the visit's going to somebody else before it was sent.
        ("ann@login.example", "No longer yours"),
        ("bob@work.example", "Yours"),
        ("bob@work.example", "Cancelled"),
    ]
    first, relieved, second, cancelled = (body for _, _, body in letters)
    assert "Hello Ann," in first
    assert "Thu 26 Nov, 9:00" in first
    assert "Priya Raman" in first
    assert f"/field/visits/{shop.visit(job).id}" in first
    assert "/field/" not in relieved
    assert "Fri 27 Nov, 9:00" in second
    assert "Wrong address" in cancelled
    statuses = {message.kind: message.last_error for message in shop.messages() if message.status == "SKIPPED"}
    assert statuses == {"technician_moved": "Somebody else does the visit now."}


def test_one_without_an_address_is_recorded(
    shop: Shop, crew: tuple[Technician, ...], create_technician: Create
) -> None:
    shop.schedule(technician=create_technician(shop.partner, name="Cyd", email=""))
    (message,) = [one for one in shop.messages() if one.technician_id is not None]
    assert (message.status, message.last_error) == ("SKIPPED", "No address or number is known to send it to.")
