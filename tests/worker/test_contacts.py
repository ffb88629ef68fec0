"""Who is told what: the customer and their contacts by groups of messages, no address twice (P23)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal.domain.jobs import services
from portal.domain.messages.models import (
    GROUPS,
    RULED,
    TO_TECHNICIANS,
    Channel,
    Message,
    MessageKind,
    MessageRule,
)
from portal.domain.messages.reminders import decide_reminders
from portal.domain.people.models import Contact, Customer
from portal.domain.unit_of_work import unit_of_work
from portal.worker.schedule import Work
from tests.worker.conftest import DAY, START, Shop, Sink

EVENING_BEFORE = START.replace(hour=18) - DAY

pytestmark = pytest.mark.row("P23")


@pytest.fixture
def add(shop: Shop) -> Callable[..., int]:
    """Give the shop's customer a contact who gets the groups named, and return their key."""

    def make(name: str, *groups: str, **values: Any) -> int:
        gets = {f"gets_{group}": True for group in groups}
        email = f"{name.lower()}@mail.example"
        row = Contact(
            **({"partner_id": shop.partner.id, "customer_id": shop.customer.id, "name": name, "email": email} | values),
            **gets,
        )
        with unit_of_work(shop.session):
            shop.session.add(row)
            shop.session.flush()
            return row.id

    return make


def change(shop: Shop, model: Any, key: int, **values: Any) -> None:
    with unit_of_work(shop.session):
        row = shop.session.scalars(select(model).where(model.id == key)).one()
        for name, value in values.items():
            setattr(row, name, value)


def told(shop: Shop) -> list[tuple[str, str]]:
    """Every message decided so far: its kind and recipient, in their order."""
    return [(message.kind, message.recipient.partition("@")[0]) for message in shop.messages()]


def test_every_kind_of_message_belongs_to_a_group() -> None:
    assert set(GROUPS) == RULED - TO_TECHNICIANS


def test_each_is_told_what_their_groups_say(shop: Shop, add: Callable[..., int], start_work: Any) -> None:
    add("Arjun", "visits", "reminders")
    add("Agent", "reminders")
    add("Gone", "visits", "reminders", active=False)
    add("Caretaker", email="")
    work: Work = start_work()
    job = shop.schedule()
    assert told(shop) == [("booked", "priya"), ("booked", "arjun")]
    for _ in range(2):
        with work.store.writing() as session:
            decide_reminders(session, EVENING_BEFORE)
    reminders = [("reminder", "priya"), ("reminder", "arjun"), ("reminder", "agent")]
    assert told(shop)[2:] == reminders
    assert len({message.key for message in shop.messages()}) == 5
    change(shop, Customer, shop.customer.id, gets_visits=False)
    shop.do(services.cancel, shop.dispatcher, job.id, "Wrong week")
    assert told(shop)[5:] == [("cancelled", "arjun")]


def test_no_address_is_told_twice(shop: Shop, add: Callable[..., int], start_work: Any) -> None:
    add("Same", "visits", "arrival", email="Priya@Mail.example")
    add("Arjun", "visits")
    add("Arjun again", "visits", email="arjun@mail.example")
    shop.schedule()
    assert told(shop) == [("booked", "priya"), ("booked", "arjun")]


def test_a_contact_reads_their_own_name_and_is_sent_to_no_page(
    shop: Shop, add: Callable[..., int], work: Work, sink: Sink
) -> None:
    add("Arjun", "visits")
    shop.schedule()
    assert work.relay.run().sent == 2
    mails = {str(mail["To"]): mail.get_body(("plain",)).get_content() for mail in sink.mails}  # type: ignore[union-attr]
    own, other = mails["priya@mail.example"], mails["arjun@mail.example"]
    assert "Dear Priya Raman," in own
    assert "/my/" in own
    assert "Dear Arjun," in other
    assert "/my/" not in other
    html = next(mail for mail in sink.mails if mail["To"] == "arjun@mail.example").get_body(("html",))
    assert "because you are a contact of their customer Priya Raman" in html.get_content()  # type: ignore[union-attr]


def test_who_gets_it_is_looked_at_again_before_sending(
    shop: Shop, add: Callable[..., int], work: Work, sink: Sink
) -> None:
    unticked, off, corrected = add("Unticked", "visits"), add("Off", "visits"), add("Typo", "visits")
    shop.schedule()
    change(shop, Contact, unticked, gets_visits=False)
    change(shop, Contact, off, active=False)
    change(shop, Contact, corrected, email="right@mail.example")
    tally = work.relay.run()
    assert (tally.sent, tally.skipped) == (2, 2)
    assert sorted(sink.recipients) == ["priya@mail.example", "right@mail.example"]
    shop.session.rollback()
    reasons = shop.session.scalars(select(Message.last_error).where(Message.status == "SKIPPED")).all()
    assert set(reasons) == {"The recipient no longer gets such messages."}


def test_who_has_a_number_alone_is_sent_texts(shop: Shop, add: Callable[..., int], start_work: Any) -> None:
    shop.text_too(MessageKind.BOOKED, phone="+44 7700 900200")
    with unit_of_work(shop.session):
        reminder = {"kind": MessageKind.REMINDER, "channel": Channel.TEXT, "minutes_before": 120}
        shop.session.add(MessageRule(partner_id=shop.partner.id, **reminder))
    add("Neighbour", "visits", "reminders", email="", phone="+44 7700 900202")
    # Of two who share a number the customer is told.
    add("Arjun", "visits", "reminders", phone="+44 7700 900200")
    work: Work = start_work()
    shop.schedule()
    booked = [("booked", "priya"), ("booked", "arjun"), ("booked", "+44 7700 900200"), ("booked", "+44 7700 900202")]
    assert told(shop) == booked
    with work.store.writing() as session:
        decide_reminders(session, START - timedelta(hours=2))
    texts = [message.recipient for message in shop.messages("reminder") if message.channel == Channel.TEXT]
    assert texts == ["+44 7700 900200", "+44 7700 900202"]
    assert work.relay.run().failed == 0
    assert "SKIPPED" not in {message.status for message in shop.messages("booked")}
