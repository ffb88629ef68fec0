"""What is written to customers who asked for new service: each answer once, and none that is out of date (C5, N3)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.domain.messages.models import MessageKind
from portal.domain.people.services import AddressInput
from portal.domain.requests import new_service as requests
from portal.domain.requests.dates import Part, PreferredDate
from portal.domain.requests.models import ServiceRequest
from portal.domain.requests.new_service import ServiceWish
from portal.settings import Settings
from portal.worker.schedule import Work
from tests.factories import Create
from tests.worker.conftest import DAY, START, Gateway, Shop, Sink
from tests.worker.test_relay import part

pytestmark = [pytest.mark.row("C5"), pytest.mark.row("N3")]
NIGHT = timedelta(hours=14)


@pytest.fixture
def ask(shop: Shop, create_service_type: Create) -> Callable[[], int]:
    """Let the customer ask for a repair on Thursday morning; returns the key of the request."""
    kind = create_service_type(shop.partner, name="Boiler <repair>")
    asked: list[int] = []

    def request() -> int:
        dates = [PreferredDate(START.date(), Part.MORNING), None]
        place, key = shop.customer.addresses[0].id, f"{len(asked):032x}"
        wish = ServiceWish(shop.customer.id, kind.id, place, AddressInput(None, ""), dates, "It hums", key)
        shop.do(requests.request_service, shop.as_customer, wish)
        shop.session.rollback()
        asked.append(shop.session.scalars(select(ServiceRequest.id).order_by(ServiceRequest.id.desc())).first() or 0)
        return asked[-1]

    return request


def test_each_answer_arrives_with_its_date_or_reason(
    work: Work, shop: Shop, sink: Sink, ask: Callable[[], int], create_technician: Create
) -> None:
    key, ines = ask(), create_technician(shop.partner, name="Ines Kowalski")
    work.relay.run()
    later = START + DAY
    shop.do(requests.counter_propose, shop.dispatcher, key, later, ines.id, despite_warnings=True)
    work.relay.run()
    shop.do(requests.decline_proposal, shop.as_customer, key, 1)
    shop.do(requests.decline_request, shop.dispatcher, key, "We no longer fit <those>")
    shop.do(requests.convert_into_draft, shop.dispatcher, ask())
    work.relay.run()
    received, offered, declined, converted = sink.mails
    assert str(received["Subject"]) == "We have your request: Boiler <repair>"
    assert str(offered["Subject"]) == "Does Fri 27 Nov suit you? Boiler <repair>"
    assert str(converted["Subject"]) == "We do it: Boiler <repair>"
    for mail, said in (
        (received, ("Thu 26 Nov, morning", "14 Alder Close", "Nothing is booked yet.")),
        (offered, ("Fri 27 Nov, 9:00–11:00", "Ines Kowalski would come.", "Nothing is booked until you accept.")),
        (declined, ("Our answer: We no longer fit",)),
    ):
        for kind in ("plain", "html"):
            for words in (*said, "Priya Raman", "/my/"):
                assert words in part(mail, kind), words
    assert "<those>" not in part(declined, "html")
    # That the second one was received is nothing to be told any more.
    assert [message.status for message in shop.messages("request_received")] == ["SENT", "SKIPPED"]


@pytest.mark.once
def test_an_offer_that_was_answered_is_not_sent_and_a_text_waits_for_the_morning(
    start_work: Callable[..., Work], settings: Settings, shop: Shop, gateway: Gateway, ask: Callable[[], int]
) -> None:
    shop.text_too(MessageKind.REQUEST_OFFERED)
    shop.leave_by(settings, text_gateway=gateway.url)
    work, answered, waiting = start_work(private_hosts=True), ask(), ask()
    shop.clock.now += NIGHT
    for key in (answered, waiting):
        shop.do(requests.counter_propose, shop.dispatcher, key, START + DAY)
    work.relay.run()
    assert gateway.told == []
    shop.do(requests.cancel_request, shop.as_customer, answered)
    shop.clock.now += timedelta(hours=9)
    work.relay.run()
    ((number, words),) = gateway.told
    assert number == "447700900200"
    assert "Does Fri 27 Nov suit you? Boiler <repair>. Fri 27 Nov, 9:00-11:00." in words
    texts = [message for message in shop.messages("request_offered") if message.channel == "text"]
    assert [message.status for message in texts] == ["SKIPPED", "SENT"]
