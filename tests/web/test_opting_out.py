"""Customers and their contacts switch e-mail and texts off; it is honoured when a message is about to go out (N4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.domain.jobs import services
from portal.domain.messages.models import Channel, Message, MessageKind, MessageRule
from portal.domain.people.models import Contact, Customer
from portal.domain.unit_of_work import unit_of_work
from portal.worker.relay import Relay
from portal.worker.store import Store
from tests.factories import Create, save
from tests.helpers import Site
from tests.web.office import NOW, TUESDAY, Office, clock, office
from tests.worker.conftest import Sink, sink

__all__ = ["clock", "office", "sink"]

pytestmark = pytest.mark.row("N4")

DAY = timedelta(days=1)


@pytest.fixture
def send(app: Flask, sink: Sink, clock: Any) -> Iterator[Callable[[], None]]:
    """Let the worker send everything that is due: mail to the sink, texts into the log."""
    settings = app.config["SETTINGS"].model_copy(update={"smtp_url": sink.url})
    store = Store(settings.database_url)

    def run() -> None:
        assert Relay(store, settings, clock=lambda: datetime.now(UTC)).run().failed == 0

    yield run
    store.close()


@pytest.fixture
def priya(app: Flask, office: Office, create_user: Create) -> Site:
    """The office's customer, signed in at a browser of her own; texts say when she is booked, too."""
    user = create_user(name="Priya Raman")
    with unit_of_work(office.session) as session:
        row = session.get_one(Customer, office.customer.id)
        row.user_id, row.phone = user.id, "+44 7700 900200"
        for kind in (MessageKind.BOOKED, MessageKind.CANCELLED):
            session.add(MessageRule(partner_id=office.partner.id, kind=kind, channel=Channel.TEXT))
    site = Site(app.test_client())
    site.sign_in(user)
    return site


def statuses(office: Office) -> list[tuple[str, str, str]]:
    """Every message: kind, channel and what became of it, oldest first."""
    office.session.rollback()
    query = select(Message.kind, Message.channel, Message.status).order_by(Message.id)
    return [tuple(row) for row in office.session.execute(query)]


def off(office: Office) -> tuple[bool, bool]:
    """Whether the customer has switched e-mail off, and texts."""
    office.session.rollback()
    row = office.session.get_one(Customer, office.customer.id, populate_existing=True)
    return row.email_off, row.text_off


def test_what_a_customer_switches_off_stays_unsent_but_for_what_they_have_to_know(
    office: Office, priya: Site, send: Callable[[], None], create_partner: Create, create_customer: Create
) -> None:
    # Decided before, not sent yet.
    job = office.create(start=TUESDAY)
    priya.get("/my/messages")
    assert "Email to priya@mail.example" in priya.text
    assert "Texts to +44 7700 900200" in priya.text
    priya.submit({"on": []})
    assert "Saved." in priya.text
    assert off(office) == (True, True)
    send()
    assert statuses(office) == [("booked", "email", "SKIPPED"), ("booked", "text", "SKIPPED")]
    assert set(office.session.scalars(select(Message.last_error))) == {"The recipient has switched off such messages."}
    office.do(services.cancel, job.id, "We have no fitter that day")
    send()
    # By mail all the same, by text not.
    assert statuses(office)[2:] == [("cancelled", "email", "SENT"), ("cancelled", "text", "SKIPPED")]
    # Staff see since when, and switch it on again.
    office.site.get(f"/admin/customers/{office.customer.id}/")
    assert "No email, since today, 10:00" in office.site.text
    assert "No texts, since today, 10:00" in office.site.text
    office.site.get(f"/admin/customers/edit/?id={office.customer.id}")
    office.site.submit({"email_off": []}, button="Save Priya Raman")
    assert off(office) == (False, True)
    office.create(start=TUESDAY + DAY)
    send()
    assert statuses(office)[4:] == [("booked", "email", "SENT"), ("booked", "text", "SKIPPED")]
    # Nobody else's.
    stranger = create_customer(create_partner())
    for shown in (f"{stranger.id}-email", "987654-email"):
        assert priya.post("/my/messages", {"shown": shown}).status_code == 404
    for shown in ("x", "1-pigeon", "-1-email", f"{'9' * 30}-email"):
        assert priya.post("/my/messages", {"shown": shown}).status_code == 400
    office.session.rollback()
    assert not office.session.get_one(Customer, stranger.id).email_off


def test_one_press_in_a_mail_program_switches_mail_off(
    app: Flask, office: Office, priya: Site, send: Callable[[], None], sink: Sink
) -> None:
    arjun = save(
        office.session,
        Contact(
            partner_id=office.partner.id,
            customer_id=office.customer.id,
            name="Arjun",
            email="arjun@mail.example",
            gets_visits=True,
        ),
    )
    job = office.create(start=TUESDAY)
    send()
    mails = {str(mail["To"]): mail for mail in sink.mails}
    links = {}
    for to, mail in mails.items():
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        links[to] = str(mail["List-Unsubscribe"]).strip("<>").removeprefix("http://127.0.0.1:8000")
        body = mail.get_body(("plain",))
        assert body is not None
        assert links[to] in "".join(body.get_content().split())
    assert len(set(links.values())) == 2
    nobody = Site(app.test_client())
    # A scanner that opens the link switches nothing, nor does anybody without a form's token but by that one body.
    link = links["priya@mail.example"]
    assert "Bookings, reminders and news of your visits go to priya@mail.example." in nobody.get(link).text
    for body in ({}, {"email": "off"}, {"email": "on"}, {"List-Unsubscribe": "One-Click", "more": "1"}):
        assert nobody.client.post(link, data=body).status_code == 400
    assert nobody.client.post(f"{link}x", data={"List-Unsubscribe": "One-Click"}).status_code == 404
    assert nobody.get(f"{link[:-5]}AAAAA").status_code == 404
    assert "This link is not known" in nobody.text
    assert off(office) == (False, False)
    answer = nobody.client.post(link, data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    assert off(office) == (True, False)
    # The contact gets theirs still, until they press on the page.
    office.create(start=TUESDAY + DAY)
    send()
    assert [str(mail["To"]) for mail in sink.mails[2:]] == ["arjun@mail.example"]
    nobody.get(links["arjun@mail.example"])
    nobody.submit(button="No such mail any more")
    assert "Done. You get no more reminders and news by email." in nobody.text
    office.session.rollback()
    assert office.session.get_one(Contact, arjun.id, populate_existing=True).email_off_at == NOW
    nobody.submit(button="Send me mail again")
    assert "Done. You get our messages by email again." in nobody.text
    # What has to be known goes out and offers no way out.
    office.do(services.cancel, job.id, "We have no fitter that day")
    send()
    cancelled = [mail for mail in sink.mails if str(mail["Subject"]).startswith("Cancelled")]
    assert [str(mail["To"]) for mail in cancelled] == ["priya@mail.example", "arjun@mail.example"]
    assert all(mail["List-Unsubscribe"] is None for mail in cancelled)


def test_a_record_that_was_merged_leads_to_who_stays(app: Flask, office: Office, create_customer: Create) -> None:
    from portal.web.links import unsubscribe_path

    gone = create_customer(office.partner, name="P. Raman")
    with unit_of_work(office.session) as session:
        row = session.get_one(Customer, gone.id)
        row.active, row.merged_into_id = False, office.customer.id
    with app.app_context():
        link = unsubscribe_path(gone.id)
        missing = unsubscribe_path(987_654)
    assert app.test_client().post(link, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    assert off(office) == (True, False)
    assert app.test_client().get(missing).status_code == 404
