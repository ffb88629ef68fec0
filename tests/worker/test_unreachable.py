"""A message that nothing could deliver becomes one task for the dispatcher, closed by a note or by itself (P18, N4)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from portal.domain.delivery import unreachable
from portal.domain.delivery.models import Unreachable
from portal.domain.errors import Invalid, Refused
from portal.domain.messages import outbox
from portal.domain.messages.models import Fault, Message, MessageKind
from portal.domain.messages.outbox import MAX_ATTEMPTS, Failure
from portal.domain.people.merging import MergeInput, differing, merge_customers
from portal.domain.people.models import Contact, Customer
from portal.domain.unit_of_work import unit_of_work
from portal.settings import Settings
from portal.worker.schedule import Work
from tests.factories import Create, save
from tests.worker.conftest import DAY, MINUTE, NOW, START, Gateway, Shop, Sink

pytestmark = [pytest.mark.row("P18"), pytest.mark.row("N4")]

HOUR = timedelta(hours=1)


def tasks(shop: Shop) -> list[Unreachable]:
    """Every task as it is now, oldest first."""
    shop.session.rollback()
    query = select(Unreachable).order_by(Unreachable.id)
    return list(shop.session.scalars(query, execution_options={"populate_existing": True}))


def change(shop: Shop, model: Any, key: int, **values: Any) -> None:
    with unit_of_work(shop.session) as session:
        row = session.scalars(select(model).where(model.id == key)).one()
        for name, value in values.items():
            setattr(row, name, value)


def nobody(address: str) -> str:
    return "550 no such user"


def anybody(address: str) -> str:
    return "250 OK"


def test_after_the_last_try_there_is_one_task_with_its_reason(work: Work, shop: Shop, sink: Sink) -> None:
    job = shop.schedule(START + 2 * DAY)
    sink.answer = lambda address: "452 mailbox full"
    for attempt in range(MAX_ATTEMPTS):
        assert tasks(shop) == [], f"after {attempt} attempts"
        work.relay.run()
        shop.clock.now += HOUR
    (task,) = tasks(shop)
    (message,) = shop.messages()
    assert (message.status, message.attempts) == ("FAILED", MAX_ATTEMPTS)
    assert (task.customer_id, task.contact_id, task.message_id) == (shop.customer.id, None, message.id)
    assert (task.recipient, task.fault, task.error) == ("priya@mail.example", "refused", "452 mailbox full")
    assert (task.failures, task.is_open) == (1, True)
    # Another one that fails is added to it.
    sink.answer = nobody
    shop.schedule(START + 3 * DAY)
    work.relay.run()
    (task,) = tasks(shop)
    assert (task.failures, task.fault) == (2, "address")
    assert task.message_id != message.id
    assert job.id == message.job_id


def test_it_arises_only_when_every_channel_has_failed(
    start_work: Callable[..., Work], shop: Shop, settings: Settings, sink: Sink, gateway: Gateway
) -> None:
    shop.text_too(MessageKind.BOOKED)
    shop.leave_by(settings, text_gateway=gateway.url)
    work = start_work(smtp_url=sink.url, private_hosts=True)
    sink.answer = nobody
    # The text got through.
    shop.schedule()
    work.relay.run()
    assert sorted((message.channel, message.status) for message in shop.messages()) == [
        ("email", "FAILED"),
        ("text", "SENT"),
    ]
    assert tasks(shop) == []
    # It does not, but is still tried; then it is given up as well.
    gateway.answer = 500
    shop.schedule(START + DAY)
    work.relay.run()
    assert tasks(shop) == []
    # Through a night, in which no text is tried.
    for _ in range(2 * MAX_ATTEMPTS):
        shop.clock.now += HOUR
        work.relay.run()
    (task,) = tasks(shop)
    assert (task.recipient, task.fault) == ("+44 7700 900200", "refused")


def test_there_is_one_even_where_two_workers_give_up_at_once(start_work: Callable[..., Work], shop: Shop) -> None:
    for number in range(4):
        shop.schedule(START + number * DAY)
    works = [start_work() for _ in range(2)]
    claims = []
    for each in works:
        with each.store.writing() as session:
            claims.append(outbox.claim(session, NOW, 2))
    together, broken = threading.Barrier(2), []

    def give_up(each: Work, held: list[Any]) -> None:
        together.wait()
        for one in held:
            try:
                with each.store.writing() as session:
                    outbox.record_failed(session, one, NOW, Failure("gone", Fault.ADDRESS, is_final=True), 0)
            except Exception as error:
                broken.append(error)

    threads = [threading.Thread(target=give_up, args=pair) for pair in zip(works, claims, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broken == []
    (task,) = tasks(shop)
    assert task.failures == 4
    twice = {column.key: getattr(task, column.key) for column in Unreachable.__table__.columns if column.key != "id"}
    with pytest.raises(IntegrityError), unit_of_work(shop.session) as session:
        session.add(Unreachable(**twice))


def test_a_note_settles_it_once_and_the_next_failure_opens_another(work: Work, shop: Shop, sink: Sink) -> None:
    sink.answer = nobody
    shop.schedule()
    work.relay.run()
    (task,) = tasks(shop)
    for note in ("", " \u200b ", "x" * 5_000):
        with pytest.raises(Invalid):
            shop.do(unreachable.settle, shop.dispatcher, task.id, note)
    shop.do(unreachable.settle, shop.dispatcher, task.id, "Called, she knows.")
    (task,) = tasks(shop)
    assert (task.closed_at, task.closed_as, task.closed_by_name) == (NOW, "DONE", "Dana Okafor")
    assert task.note == "Called, she knows."
    with pytest.raises(Refused):
        shop.do(unreachable.settle, shop.dispatcher, task.id, "Again")
    shop.schedule(START + DAY)
    work.relay.run()
    assert [one.is_open for one in tasks(shop)] == [False, True]


def test_a_message_that_arrives_closes_it(work: Work, shop: Shop, sink: Sink, create_customer: Create) -> None:
    sink.answer = nobody
    shop.schedule()
    work.relay.run()
    sink.answer = anybody
    # That somebody else was reached says nothing of this one.
    shop.schedule(START + DAY, customer=create_customer(shop.partner))
    work.relay.run()
    assert tasks(shop)[0].is_open
    shop.schedule(START + 2 * DAY)
    shop.clock.now += MINUTE
    work.relay.run()
    (task,) = tasks(shop)
    assert (task.closed_as, task.closed_at) == ("REACHED", NOW + MINUTE)


def test_a_corrected_address_is_written_to_and_closes_it(work: Work, shop: Shop, sink: Sink) -> None:
    sink.answer = nobody
    shop.schedule()
    shop.schedule(START + DAY)
    work.relay.run()
    sink.answer = anybody
    key = shop.customer.id

    def saved() -> bool:
        with unit_of_work(shop.session) as session:
            return unreachable.try_corrected(session, shop.dispatcher, shop.clock.now, key)

    change(shop, Customer, key, name="Priya R.")
    assert not saved()
    assert tasks(shop)[0].is_open
    # One of the visits is over by now.
    shop.clock.now = START + HOUR
    change(shop, Customer, key, email="raman@mail.example")
    assert saved()
    work.relay.run()
    assert sink.recipients == ["raman@mail.example"]
    (task,) = tasks(shop)
    assert (task.closed_as, task.closed_by_name) == ("CORRECTED", "Dana Okafor")
    assert [message.status for message in shop.messages()] == ["FAILED", "SENT"]


def test_a_contact_who_is_not_reached_is_told_apart(work: Work, shop: Shop, sink: Sink) -> None:
    contact = save(
        shop.session,
        Contact(
            partner_id=shop.partner.id,
            customer_id=shop.customer.id,
            name="Arjun",
            email="arjun@mail.example",
            gets_visits=True,
        ),
    )
    sink.answer = lambda address: "551 moved away" if address == "arjun@mail.example" else "250 OK"
    shop.schedule()
    work.relay.run()
    (task,) = tasks(shop)
    assert (task.customer_id, task.contact_id, task.recipient) == (shop.customer.id, contact.id, "arjun@mail.example")
    assert task.is_open
    with unit_of_work(shop.session) as session:
        assert not unreachable.try_corrected(session, shop.dispatcher, NOW, shop.customer.id)
    change(shop, Contact, contact.id, email="arjun.raman@mail.example")
    with unit_of_work(shop.session) as session:
        assert unreachable.try_corrected(session, shop.dispatcher, NOW, shop.customer.id)
    work.relay.run()
    assert "arjun.raman@mail.example" in sink.recipients


@pytest.mark.row("P23")
def test_of_two_customers_who_become_one_one_task_stays(
    work: Work, shop: Shop, sink: Sink, create_customer: Create
) -> None:
    double = create_customer(shop.partner, name="P. Raman", phone="+44 7700 900201")
    sink.answer = nobody
    for number, customer in enumerate((shop.customer, double)):
        shop.schedule(START + number * DAY, customer=customer)
    work.relay.run()
    change(shop, Customer, double.id, email_off_at=NOW)
    assert [task.customer_id for task in tasks(shop)] == [shop.customer.id, double.id]
    with unit_of_work(shop.session) as session:
        kept, gone = (session.get_one(Customer, one.id, populate_existing=True) for one in (shop.customer, double))
        form = MergeInput(kept.id, kept.version, gone.id, gone.version, dict.fromkeys(differing(kept, gone), "kept"))
        merge_customers(session, shop.dispatcher, NOW, form)
    first, second = tasks(shop)
    assert (first.customer_id, first.is_open) == (shop.customer.id, True)
    assert (second.customer_id, second.closed_as) == (shop.customer.id, "MERGED")
    # What either has switched off stays so.
    assert shop.session.get_one(Customer, shop.customer.id).email_off_at == NOW
    assert shop.session.scalars(select(Message.status).distinct()).all() == ["FAILED"]
