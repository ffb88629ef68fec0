"""A message is decided in the transaction of its cause: there with it, or not at all."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.errors import Refused
from portal.domain.jobs import fieldwork, services
from portal.domain.jobs.models import Appointment
from portal.domain.messages.models import Message
from portal.domain.unit_of_work import unit_of_work
from tests.factories import Create
from tests.worker.conftest import DAY, START, Shop


@pytest.mark.row("N3")
@pytest.mark.row("P13")
def test_a_move_tells_the_customer_only_if_notify_is_ticked(shop: Shop) -> None:
    job = shop.schedule()
    shop.do(services.reschedule, shop.dispatcher, job.id, START + DAY)
    assert [message.kind for message in shop.messages()] == ["booked"]
    shop.do(services.reschedule, shop.dispatcher, job.id, START + 2 * DAY, notify=True)
    shop.do(services.cancel, shop.dispatcher, job.id, "Wrong address")
    assert [(message.kind, message.occurrence) for message in shop.messages()] == [
        ("booked", 1),
        ("moved", 3),
        ("cancelled", 4),
    ]


@pytest.mark.row("N3")
def test_a_move_that_is_rolled_back_leaves_no_message(shop: Shop) -> None:
    job = shop.schedule()

    def move_and_fail() -> None:
        with unit_of_work(shop.session) as session:
            services.reschedule(session, shop.dispatcher, shop.clock.now, job.id, START + DAY, notify=True)
            session.flush()
            raise RuntimeError("the power failed")

    with pytest.raises(RuntimeError, match="the power failed"):
        move_and_fail()
    assert [message.kind for message in shop.messages()] == ["booked"]
    assert shop.visit(job).start_at == START


@pytest.mark.row("N3")
def test_a_move_that_is_refused_leaves_no_message(shop: Shop) -> None:
    job = shop.schedule()
    shop.do(services.cancel, shop.dispatcher, job.id, "Wrong address")
    with pytest.raises(Refused):
        shop.do(services.reschedule, shop.dispatcher, job.id, START + DAY, notify=True)
    assert [message.kind for message in shop.messages()] == ["booked", "cancelled"]


@pytest.mark.row("N3")
def test_others_see_a_message_when_they_see_its_cause(shop: Shop, new_session: Create) -> None:
    def seen_by_others() -> tuple[datetime, list[str]]:
        other: Session = new_session()
        found = (
            other.scalars(select(Appointment.start_at)).one(),
            list(other.scalars(select(Message.kind).order_by(Message.id))),
        )
        other.close()
        return found

    job = shop.schedule()
    with unit_of_work(shop.session) as session:
        services.reschedule(session, shop.dispatcher, shop.clock.now, job.id, START + DAY, notify=True)
        session.flush()
        assert seen_by_others() == (START, ["booked"])
    assert seen_by_others() == (START + DAY, ["booked", "moved"])


@pytest.mark.row("N3")
@pytest.mark.row("J4")
def test_each_departure_is_told_once(shop: Shop, create_technician: Create) -> None:
    job = shop.schedule(technician=create_technician(shop.partner))
    shop.clock.now = START - timedelta(minutes=30)
    visit = shop.visit(job)
    for number in (0, 1):
        move = shop.visit(job).move_number
        shop.do(fieldwork.set_off, shop.dispatcher, visit.id, move)
        assert len(shop.messages("on_the_way")) == number + 1
        shop.do(fieldwork.turn_back, shop.dispatcher, visit.id, move, "Van broke down")
