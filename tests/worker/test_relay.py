"""From the outbox through a real mail server: what arrives, what is skipped, what happens when the server will not."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from email.message import EmailMessage

import pytest
from sqlalchemy import select, text, update

from portal.domain.errors import Invalid
from portal.domain.jobs import services
from portal.domain.messages.models import Message
from portal.domain.messages.outbox import LEASE
from portal.domain.people.models import Customer, Partner, User
from portal.domain.requests import services as requests
from portal.domain.requests.models import ChangeRequest, Wish
from portal.domain.scheduling.models import FeatureControls
from portal.domain.unit_of_work import unit_of_work
from portal.settings import Settings
from portal.worker.channels import ChannelDown, MailServer, SmtpChannel
from portal.worker.relay import Relay
from portal.worker.schedule import Work
from tests.factories import Create
from tests.worker.conftest import DAY, MINUTE, NOW, SECOND, START, Shop, Sink
from tests.worker.test_outbox import LETTER


def change(shop: Shop, model: type, **values: object) -> None:
    with unit_of_work(shop.session):
        shop.session.execute(update(model).values(**values))


def part(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    assert body is not None
    return str(body.get_content())


@pytest.mark.row("N3")
@pytest.mark.row("N4")
def test_what_was_booked_arrives_and_stands_in_the_log(
    work: Work, shop: Shop, sink: Sink, create_technician: Create
) -> None:
    shop.schedule(technician=create_technician(shop.partner, name="Tomás Reyes"))
    tally = work.relay.run()
    (mail,) = sink.mails
    (message,) = shop.messages()
    assert (tally.sent, tally.skipped, tally.failed) == (1, 0, 0)
    assert mail["To"] == "priya@mail.example"
    assert mail["From"] == "Brightwell Solar & Heat <doorstep@localhost>"
    assert str(mail["Subject"]).endswith("on Thu 26 Nov")
    for kind in ("plain", "html"):
        text = part(mail, kind).replace("&amp;", "&")
        for words in ("Priya Raman", "Thu 26 Nov, 9:00–11:00", "Tomás Reyes", "about 2 hours", "14 Alder Close"):
            assert words in text
    assert (message.status, message.sent_at, message.attempts) == ("SENT", NOW, 1)
    assert message.subject == str(mail["Subject"])
    assert message.body.split() == part(mail, "plain").split()
    assert message.body_html.split() == part(mail, "html").split()
    assert shop.outcomes() == ["SENT"]


@pytest.mark.row("N3")
def test_a_second_run_sends_nothing_again(work: Work, shop: Shop, sink: Sink) -> None:
    shop.schedule()
    work.relay.run()
    work.relay.run()
    assert len(sink.mails) == 1


@pytest.mark.row("N3")
def test_times_are_the_partners(work: Work, shop: Shop, sink: Sink) -> None:
    change(shop, Partner, timezone="America/New_York")
    shop.schedule()
    work.relay.run()
    assert "Thu 26 Nov, 4:00–6:00" in part(sink.mails[0], "plain")


@pytest.mark.row("N3")
def test_the_customers_language_goes_before_the_partners(work: Work, shop: Shop, sink: Sink) -> None:
    for partners, own in (("de_DE", ""), ("de_DE", "en_GB"), ("", "de_DE"), ("xx", "")):
        change(shop, Partner, locale=partners)
        change(shop, User, locale=own)
        shop.schedule(START + len(sink.mails) * DAY)
        work.relay.run()
    of_partner, english, own_choice, unknown = sink.mails
    assert str(of_partner["Subject"]).endswith("am Do., 26. Nov.")
    assert str(of_partner["Subject"]).startswith("Gebucht: ")
    for kind in ("plain", "html"):
        assert "Do., 26. Nov., 9:00–11:00" in part(of_partner, kind)
        assert "Guten Tag Priya Raman, Ihr Termin ist gebucht:" in " ".join(part(of_partner, kind).split())
    assert '<html lang="de-DE">' in part(of_partner, "html")
    assert str(own_choice["Subject"]).startswith("Gebucht: ")
    assert str(english["Subject"]).startswith("Booked: ")
    assert str(unknown["Subject"]).startswith("Booked: ")


@pytest.mark.row("N4")
def test_one_connection_serves_a_whole_run(work: Work, shop: Shop, sink: Sink) -> None:
    for number in range(5):
        shop.schedule(START + number * DAY)
    work.relay.run()
    assert (len(sink.mails), sink.connections) == (5, 1)


@pytest.mark.row("N3")
def test_a_cancel_between_claim_and_send_is_seen(work: Work, shop: Shop, sink: Sink) -> None:
    first, second = shop.schedule(), shop.schedule(START + DAY)

    def cancel_second(mail: EmailMessage) -> None:
        sink.at_data = lambda mail: None
        shop.do(services.cancel, shop.dispatcher, second.id, "Wrong address")

    sink.at_data = cancel_second
    work.relay.run()
    booked, of_second, cancelled = shop.messages()
    assert (booked.job_id, booked.status) == (first.id, "SENT")
    assert (of_second.status, of_second.last_error) == ("SKIPPED", "The visit is no longer planned.")
    assert (cancelled.kind, cancelled.status) == ("cancelled", "SENT")
    assert len(sink.mails) == 2


@pytest.mark.row("N3")
def test_a_move_before_booked_was_sent_leaves_moved_alone(work: Work, shop: Shop, sink: Sink) -> None:
    job = shop.schedule()
    shop.do(services.reschedule, shop.dispatcher, job.id, START + DAY, notify=True)
    shop.do(services.reschedule, shop.dispatcher, job.id, START + 2 * DAY, notify=True)
    work.relay.run()
    assert [(message.kind, message.status) for message in shop.messages()] == [
        ("booked", "SKIPPED"),
        ("moved", "SKIPPED"),
        ("moved", "SENT"),
    ]
    assert "Sat 28 Nov" in str(sink.mails[0]["Subject"])


@pytest.mark.row("N3")
@pytest.mark.row("P13")
def test_booked_tells_the_present_time_of_a_visit_moved_quietly(work: Work, shop: Shop, sink: Sink) -> None:
    job = shop.schedule()
    shop.do(services.reschedule, shop.dispatcher, job.id, START + DAY)
    work.relay.run()
    (message,) = shop.messages()
    assert (message.kind, message.status) == ("booked", "SENT")
    assert "Fri 27 Nov" in str(sink.mails[0]["Subject"])


@pytest.mark.row("N3")
@pytest.mark.row("M7")
def test_a_reminder_waits_for_the_undo_time(work: Work, shop: Shop, sink: Sink) -> None:
    change(shop, FeatureControls, self_service=True, cancel_cutoff_hours=0, cancel_undo_minutes=10)
    visit = shop.visit(shop.schedule())
    work.relay.run()
    evening = START.replace(hour=18) - DAY
    shop.clock.now = evening
    remind(work)
    shop.do(services.cancel_by_customer, shop.as_customer, visit.id, "Away")
    work.relay.run()
    (reminder,) = shop.messages("reminder")
    assert (reminder.status, reminder.due_at, reminder.attempts) == ("PENDING", evening + 10 * MINUTE, 0)
    shop.clock.now = evening + 9 * MINUTE
    shop.do(services.undo_cancel, shop.as_customer, visit.id)
    shop.clock.now = evening + 10 * MINUTE
    work.relay.run()
    (reminder,) = shop.messages("reminder")
    assert reminder.status == "SENT"
    assert len(sink.mails) == 2


@pytest.mark.row("N3")
@pytest.mark.row("M7")
def test_a_reminder_of_a_cancelled_visit_is_dropped(work: Work, shop: Shop, sink: Sink) -> None:
    change(shop, FeatureControls, self_service=True, cancel_cutoff_hours=0, cancel_undo_minutes=10)
    visit = shop.visit(shop.schedule())
    work.relay.run()
    shop.clock.now = START.replace(hour=18) - DAY
    remind(work)
    shop.do(services.cancel_by_customer, shop.as_customer, visit.id, "Away")
    shop.clock.now += 10 * MINUTE
    work.relay.run()
    (reminder,) = shop.messages("reminder")
    assert (reminder.status, reminder.last_error) == ("SKIPPED", "The visit is being cancelled.")
    assert len(sink.mails) == 1


def remind(work: Work) -> None:
    from portal.domain.messages.reminders import decide_reminders

    with work.store.writing() as session:
        decide_reminders(session, work.clock())


@pytest.mark.row("N4")
def test_a_refused_letter_is_tried_again_later_and_the_others_go_out(
    work: Work, shop: Shop, sink: Sink, create_customer: Create
) -> None:
    shop.schedule()
    other = create_customer(shop.partner, email="full@mail.example")
    shop.schedule(START + DAY, customer=other)
    shop.schedule(START + 2 * DAY)
    sink.answer = lambda address: "452 mailbox full" if address.startswith("full@") else "250 OK"
    tally = work.relay.run()
    assert (tally.sent, tally.failed) == (2, 1)
    refused = shop.messages()[1]
    assert (refused.status, refused.last_error, refused.attempts) == ("PENDING", "452 mailbox full", 1)
    assert NOW + 15 * SECOND <= refused.due_at <= NOW + 30 * SECOND
    sink.answer = lambda address: "250 OK"
    shop.clock.now = refused.due_at - SECOND
    work.relay.run()
    assert len(sink.mails) == 2
    shop.clock.now = refused.due_at
    work.relay.run()
    assert sink.recipients == ["priya@mail.example", "priya@mail.example", "full@mail.example"]
    assert sorted(shop.outcomes()) == ["FAILED", "SENT", "SENT", "SENT"]
    assert shop.messages()[1].last_error == ""


@pytest.mark.row("N4")
def test_a_corrected_address_is_used_at_the_next_try(work: Work, shop: Shop, sink: Sink) -> None:
    shop.schedule()
    sink.answer = lambda address: "452 mailbox full" if address.startswith("priya@") else "250 OK"
    work.relay.run()
    change(shop, Customer, email="raman@mail.example")
    shop.clock.now += MINUTE
    work.relay.run()
    (message,) = shop.messages()
    assert (message.status, message.recipient) == ("SENT", "raman@mail.example")


@pytest.fixture
def silent_server() -> Iterator[str]:
    """The address of a server that takes calls and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"smtp://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.row("N4")
@pytest.mark.parametrize("server", ["silent", "absent"])
def test_a_server_that_does_not_answer_costs_one_try_and_holds_nothing(
    start_work: Callable[..., Work], settings: Settings, shop: Shop, silent_server: str, server: str
) -> None:
    for number in range(3):
        shop.schedule(START + number * DAY)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = silent_server if server == "silent" else f"smtp://127.0.0.1:{unused.getsockname()[1]}"
        work = start_work()
        relay = Relay(
            work.store, settings, SmtpChannel(MailServer.of(url, settings.mail_from), timeout=0.2), shop.clock
        )
        tally = relay.run()
    assert (tally.sent, tally.failed) == (0, 1)
    first, *others = shop.messages()
    assert (first.status, first.attempts) == ("PENDING", 1)
    assert NOW + 15 * SECOND <= first.due_at <= NOW + 30 * SECOND
    assert first.last_error
    waits = (0, NOW + 30 * SECOND, None)
    assert [(other.attempts, other.due_at, other.lease_until) for other in others] == [waits] * 2


@pytest.mark.row("N4")
def test_no_password_is_sent_in_the_clear(sink: Sink) -> None:
    url = f"smtp://portal:secret@127.0.0.1:{sink.port}"
    server = MailServer.of(url, "Doorstep <doorstep@localhost>")
    with SmtpChannel(server) as channel, pytest.raises(ChannelDown, match="STARTTLS"):
        channel.send(LETTER, NOW)
    assert sink.mails == []


@pytest.mark.row("N3")
def test_a_broken_message_does_not_stop_the_others(work: Work, shop: Shop, sink: Sink) -> None:
    shop.schedule()
    shop.schedule(START + DAY)
    broken = shop.messages()[0]
    with unit_of_work(shop.session):
        shop.session.execute(update(Message).where(Message.id == broken.id).values(kind="nonsense"))
    tally = work.relay.run()
    assert (tally.sent, tally.failed) == (1, 1)
    broken = shop.messages()[0]
    assert broken.status == "PENDING"
    assert broken.last_error == "ValueError: 'nonsense' is no kind of message"


@pytest.mark.row("N3")
def test_a_run_that_takes_long_renews_its_leases(work: Work, shop: Shop, sink: Sink) -> None:
    shop.schedule()
    shop.schedule(START + DAY)

    def take_long(mail: EmailMessage) -> None:
        sink.at_data = look
        shop.clock.now += LEASE - MINUTE

    def look(mail: EmailMessage) -> None:
        assert shop.messages()[1].lease_until == NOW + LEASE - MINUTE + LEASE

    sink.at_data = take_long
    work.relay.run()
    assert [message.status for message in shop.messages()] == ["SENT", "SENT"]


@pytest.mark.row("N3")
def test_a_run_asked_to_stop_gives_the_rest_back(work: Work, shop: Shop, sink: Sink) -> None:
    for number in range(3):
        shop.schedule(START + number * DAY)
    sink.at_data = lambda mail: work.stop.set()
    work.relay.run()
    assert [(message.status, message.lease_until) for message in shop.messages()] == [
        ("SENT", None),
        ("PENDING", None),
        ("PENDING", None),
    ]
    assert [message.attempts for message in shop.messages()] == [1, 0, 0]


@pytest.mark.row("N6")
def test_without_a_server_messages_stay_here_and_can_be_read(start_work: Callable[..., Work], shop: Shop) -> None:
    shop.schedule()
    start_work().relay.run()
    (message,) = shop.messages()
    assert message.status == "SENT"
    assert "Thu 26 Nov, 9:00–11:00" in message.body
    assert "Thu 26 Nov, 9:00–11:00" in message.body_html


@pytest.mark.row("N3")
def test_words_of_people_stay_words(work: Work, shop: Shop, sink: Sink) -> None:
    change(shop, Partner, name="Bright\r\nBcc: all@mail.example")
    change(shop, Customer, name="<script>alert(1)</script>")
    shop.schedule()
    work.relay.run()
    (mail,) = sink.mails
    assert mail["Bcc"] is None
    assert sink.recipients == ["priya@mail.example"]
    assert "<script>" not in part(mail, "html")
    assert "&lt;script&gt;" in part(mail, "html")
    assert "Dear <script>alert(1)</script>," in part(mail, "plain")


@pytest.mark.row("N3")
def test_a_letter_tried_twice_has_the_same_message_id(work: Work, shop: Shop, sink: Sink) -> None:
    shop.schedule()
    shop.schedule(START + DAY)
    seen: list[str] = []

    def drop_first(mail: EmailMessage) -> None:
        seen.append(str(mail["Message-ID"]))
        if len(seen) == 1:
            raise ConnectionResetError

    sink.at_data = drop_first
    work.relay.run()
    shop.clock.now += MINUTE
    work.relay.run()
    first, second, third = seen
    assert second != first
    assert third == first
    assert first.endswith("@127.0.0.1>")
    assert [message.status for message in shop.messages()] == ["SENT", "SENT"]


def waiting(shop: Shop) -> int:
    """Return the change request that waits for an answer."""
    shop.session.rollback()
    return shop.session.scalars(select(ChangeRequest.id).where(ChangeRequest.status == "PENDING")).one()


@pytest.mark.row("C6")
def test_who_asked_for_a_change_is_told_why_it_was_declined(work: Work, shop: Shop, sink: Sink) -> None:
    job = shop.schedule()
    work.relay.run()
    for number, answer in enumerate(("Tomás is away <until> Thursday", "Nor on Friday")):
        shop.do(requests.request_change, shop.as_customer, shop.visit(job).id, Wish.MOVE, "Another day")
        wish_id = waiting(shop)
        with pytest.raises(Invalid):
            shop.do(requests.decline, shop.dispatcher, wish_id, " ")
        assert len(shop.messages("declined")) == number
        shop.do(requests.decline, shop.dispatcher, wish_id, answer)
        shop.clock.now += SECOND
    work.relay.run()
    first, second = sink.mails[1:]
    assert str(first["Subject"]).startswith("About your request: ")
    for kind in ("plain", "html"):
        assert "Thu 26 Nov, 9:00–11:00" in part(first, kind)
        assert "Nor on Friday" in part(second, kind)
    assert "Our answer: Tomás is away <until> Thursday" in part(first, "plain")
    assert "Our answer: Tomás is away &lt;until&gt; Thursday" in part(first, "html")
    # of no use any more once the visit was moved
    shop.do(requests.request_change, shop.as_customer, shop.visit(job).id, Wish.CANCEL, "Not at all")
    shop.do(requests.decline, shop.dispatcher, waiting(shop), "You signed for it")
    shop.do(services.reschedule, shop.dispatcher, job.id, START + DAY)
    assert (work.relay.run().skipped, len(sink.mails)) == (1, 3)


@pytest.mark.row("N3")
def test_what_a_letter_needs_is_planned_once_and_not_for_each(work: Work, shop: Shop, sink: Sink) -> None:
    for number in range(6):
        shop.schedule(start=START + number * DAY)
        work.relay.run()
    assert len(sink.mails) == 6
    if work.store.engine.dialect.name == "postgresql":
        prepared = text("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%JOIN message_templates%'")
        with work.store.at_hand() as at_hand, at_hand.reading() as session:
            assert session.scalar(prepared) == 1
