"""Mail and texts over real servers that hang, refuse, answer no or hang up: what is recorded, what is tried again."""

from __future__ import annotations

import io
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select

from portal.domain.delivery.models import ChannelSettings, Security, Unreachable
from portal.domain.jobs import fieldwork
from portal.domain.messages.models import Message, MessageAttempt, MessageKind
from portal.domain.people.models import Customer, Partner
from portal.domain.unit_of_work import unit_of_work
from portal.settings import Environment, Settings
from portal.worker.channels import ChannelDown, MailServer, SmtpChannel, TextChannel, demand_public
from portal.worker.relay import Relay
from portal.worker.schedule import Work
from tests.factories import Create
from tests.worker.conftest import DAY, MINUTE, NOW, SECOND, START, Gateway, Shop, Sink
from tests.worker.test_outbox import LETTER

pytestmark = pytest.mark.row("N4")

BRIEF = 0.3


def attempts(shop: Shop) -> list[tuple[str, str]]:
    """How each attempt ended and what was wrong, oldest first."""
    shop.session.rollback()
    query = select(MessageAttempt.outcome, MessageAttempt.fault).order_by(MessageAttempt.id)
    return [tuple(row) for row in shop.session.execute(query)]


@pytest.fixture
def absent() -> Iterator[int]:
    """A port at which nobody listens, for as long as the test lasts."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield unused.getsockname()[1]


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes calls and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


# Faults


def test_whatever_a_mail_server_does_is_recorded_and_tried_again(
    start_work: Callable[..., Work], shop: Shop, settings: Settings, sink: Sink, absent: int, silent: int
) -> None:
    work = start_work()
    faults: tuple[tuple[str, int, str, str, str], ...] = (
        # the fault, the port, what is said to the recipient and to the letter; what is noted
        ("absent", absent, "", "", "absent"),
        ("silent", silent, "", "", "silent"),
        ("full mailbox", sink.port, "452 mailbox full", "250 OK", "refused"),
        ("no to the letter", sink.port, "250 OK", "554 looks like spam", "refused"),
        ("not now", sink.port, "250 OK", "451 try later", "refused"),
        ("cut off after the letter", sink.port, "250 OK", "", "cut_off"),
    )
    for number, (name, port, to_recipient, to_letter, noted) in enumerate(faults):
        shop.clear()
        sink.mails.clear()
        shop.clock.now = NOW + number * MINUTE
        shop.schedule(START + number * DAY)
        sink.answer, sink.verdict = lambda address, said=to_recipient: said, to_letter  # type: ignore[misc]
        server = MailServer.of(f"smtp://127.0.0.1:{port}", settings.mail_from)
        relay = Relay(work.store, settings, SmtpChannel(server, timeout=BRIEF), shop.clock)
        tally = relay.run()
        assert (tally.sent, tally.failed) == (0, 1), name
        assert attempts(shop) == [("FAILED", noted)], name
        (message,) = shop.messages()
        assert message.status == "PENDING", name
        assert 15 * SECOND <= message.due_at - shop.clock.now <= 30 * SECOND, name
        assert message.last_error, name
        # Once more, then it is well.
        shop.clock.now = message.due_at
        relay.run()
        (message,) = shop.messages()
        assert 30 * SECOND <= message.due_at - shop.clock.now <= 60 * SECOND, name
        sink.answer, sink.verdict = lambda address: "250 OK", "250 OK"
        shop.clock.now = message.due_at
        well = MailServer.of(sink.url, settings.mail_from)
        assert Relay(work.store, settings, SmtpChannel(well), shop.clock).run().sent == 1, name
        # What arrived more than once is one letter to whoever looks at its id.
        assert len(set(sink.ids)) == 1, name
        assert len(sink.ids) == (3 if sink.port == port and "452" not in to_recipient else 1), name


def test_whatever_a_text_gateway_does_is_recorded_and_tried_again(
    start_work: Callable[..., Work], shop: Shop, settings: Settings, gateway: Gateway, absent: int
) -> None:
    work = start_work()
    shop.text_too(MessageKind.BOOKED)
    with unit_of_work(shop.session) as session:
        session.get_one(Customer, shop.customer.id).email = ""
    away = gateway.url.replace(str(gateway.port), str(absent))
    faults = (
        ("absent", away, 200, "absent"),
        ("silent", gateway.url, -1, "silent"),
        ("bad request", gateway.url, 400, "refused"),
        ("wrong account", gateway.url, 401, "sign_in"),
        ("led elsewhere", gateway.url, 302, "refused"),
        ("broken", gateway.url, 500, "refused"),
        ("busy", gateway.url, 503, "refused"),
        ("cut off", gateway.url, 0, "cut_off"),
    )
    for number, (name, url, answer, noted) in enumerate(faults):
        shop.clear()
        gateway.told.clear()
        shop.schedule(START + number * DAY)
        gateway.answer = answer
        relay = Relay(work.store, settings, TextChannel(url, timeout=BRIEF), shop.clock)
        tally = relay.run()
        assert (tally.sent, tally.failed) == (0, 1), name
        assert attempts(shop) == [("FAILED", noted)], name
        (message,) = [one for one in shop.messages() if one.channel == "text"]
        assert 15 * SECOND <= message.due_at - shop.clock.now <= 30 * SECOND, name
        gateway.answer = 200
        shop.clock.now = message.due_at
        assert Relay(work.store, settings, TextChannel(gateway.url), shop.clock).run().sent == 1, name
        assert {path for path, _ in gateway.told} == {"447700900200"}, name


def test_a_mailbox_that_does_not_exist_is_given_up_at_once_and_holds_up_nobody(
    work: Work, shop: Shop, sink: Sink, create_customer: Create
) -> None:
    unknown = create_customer(shop.partner, name="Hugo Lind", email="nobody@mail.example")
    for number, customer in enumerate((shop.customer, unknown, shop.customer)):
        shop.schedule(START + number * DAY, customer=customer)
    sink.answer = lambda address: "550 no such user" if address.startswith("nobody@") else "250 OK"
    tally = work.relay.run()
    assert (tally.sent, tally.failed) == (2, 1)
    assert [message.status for message in shop.messages()] == ["SENT", "FAILED", "SENT"]
    task = shop.session.scalars(select(Unreachable)).one()
    assert (task.customer_id, task.recipient, task.fault) == (unknown.id, "nobody@mail.example", "address")
    assert sink.connections == 1


def test_a_way_that_is_closed_closes_no_other(
    start_work: Callable[..., Work],
    shop: Shop,
    settings: Settings,
    sink: Sink,
    gateway: Gateway,
    absent: int,
    create_partner: Create,
    create_customer: Create,
) -> None:
    shop.text_too(MessageKind.BOOKED)
    own = {"own_mail": True, "smtp_host": "127.0.0.1", "smtp_port": absent, "smtp_security": Security.NONE}
    shop.leave_by(settings, text_gateway=gateway.url, sender="office@brightwell.example", **own)
    other = create_partner(name="Northgate")
    for number in range(2):
        shop.schedule(START + number * DAY)
        shop.installation(other, customer=create_customer(other), start=START, now=NOW)
    tally = start_work(smtp_url=sink.url, private_hosts=True).relay.run()
    # Of the partner's own mail one letter was tried, and the other waits untried.
    assert (tally.sent, tally.failed) == (4, 1)
    assert len(sink.mails) == 2
    assert len(gateway.told) == 2
    waiting = [message for message in shop.messages() if message.status == "PENDING"]
    assert [(one.partner_id, one.channel, one.attempts) for one in waiting] == [
        (shop.partner.id, "email", 1),
        (shop.partner.id, "email", 0),
    ]
    assert waiting[1].due_at == NOW + 30 * SECOND


# Texts


def test_a_text_says_who_what_when_and_where_to_look(
    start_work: Callable[..., Work], shop: Shop, settings: Settings, gateway: Gateway, create_technician: Create
) -> None:
    shop.text_too(MessageKind.BOOKED, MessageKind.ON_THE_WAY)
    shop.leave_by(settings, text_gateway=gateway.url)
    work = start_work(private_hosts=True)
    job = shop.schedule(technician=create_technician(shop.partner, name="Tomás Reyes"))
    work.relay.run()
    booked = gateway.told.pop()
    assert booked[0] == "447700900200"
    assert booked[1].startswith("Brightwell Solar & Heat: Booked: Service ")
    assert booked[1].endswith(" on Thu 26 Nov, 9:00-11:00. http://127.0.0.1:8000/my/")
    (text,) = [message for message in shop.messages() if message.channel == "text"]
    assert (text.status, text.body, text.body_html, text.recipient) == ("SENT", booked[1], "", "+44 7700 900200")
    shop.clock.now = START - MINUTE
    visit = shop.visit(job)
    shop.do(fieldwork.set_off, shop.dispatcher, visit.id, visit.move_number, 25)
    work.relay.run()
    assert gateway.told.pop()[1].startswith(
        "Brightwell Solar & Heat: Tomás Reyes is on the way to you. Expected at about 9:24. http://127.0.0.1:8000/track/"
    )
    with unit_of_work(shop.session) as session:
        partner = session.get_one(Partner, shop.partner.id)
        partner.locale, partner.name = "de_DE", "Wärme und Sonne " * 7
        session.get_one(Customer, shop.customer.id).user_id = None
    shop.schedule(START + 7 * DAY, items=[("Kessel", 1)])
    work.relay.run()
    german = gateway.told.pop()[1]
    assert "Gebucht: " in german
    assert german.endswith("0117 496 0180.")
    assert len(german) <= 300


def test_a_text_goes_to_who_has_a_number_and_is_skipped_without_a_gateway(
    start_work: Callable[..., Work], shop: Shop, settings: Settings
) -> None:
    shop.text_too(MessageKind.BOOKED, phone="")
    shop.schedule()
    (nowhere,) = [message for message in shop.messages() if message.channel == "text"]
    assert (nowhere.status, nowhere.last_error) == ("SKIPPED", "No address or number is known to send it to.")
    shop.clear()
    shop.text_too(phone="+44 7700 900200")
    shop.schedule(START + DAY)
    work = start_work()
    production = settings.model_copy(update={"doorstep_env": Environment.PRODUCTION})
    Relay(work.store, production, clock=shop.clock).run()
    (text,) = [message for message in shop.messages() if message.channel == "text"]
    assert (text.status, text.last_error) == ("SKIPPED", "No gateway for texts is set up.")


@pytest.mark.row("N6")
def test_in_the_demo_nothing_leaves_the_machine_whatever_is_set(
    start_work: Callable[..., Work], shop: Shop, settings: Settings, sink: Sink, gateway: Gateway
) -> None:
    shop.text_too(MessageKind.BOOKED)
    own = {"own_mail": True, "smtp_host": "127.0.0.1", "smtp_port": sink.port, "smtp_security": Security.NONE}
    shop.leave_by(settings, text_gateway=gateway.url, sender="office@brightwell.example", **own)
    shop.schedule()
    leaving = {"smtp_url": sink.url, "private_hosts": True}
    tally = start_work(doorstep_env=Environment.DEMO, **leaving).relay.run()
    assert (tally.sent, sink.mails, gateway.told) == (2, [], [])
    assert all(message.body for message in shop.messages())
    # Elsewhere the same does leave.
    shop.schedule(START + DAY)
    start_work(**leaving).relay.run()
    assert (len(sink.mails), len(gateway.told)) == (1, 1)
    assert str(sink.mails[0]["From"]) == "Brightwell Solar & Heat <office@brightwell.example>"


# Secrets and safety


def test_no_secret_is_in_a_log_an_error_or_a_message(
    start_work: Callable[..., Work],
    shop: Shop,
    settings: Settings,
    gateway: Gateway,
    absent: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The test runner listens closer than any log that we write.
    log, root = io.StringIO(), logging.getLogger()
    monkeypatch.setattr(root, "handlers", [logging.StreamHandler(log)])
    monkeypatch.setattr(root, "level", logging.DEBUG)
    shop.text_too(MessageKind.BOOKED)
    shop.leave_by(settings, text_gateway=gateway.url)
    work = start_work(private_hosts=True)
    for number, answer in enumerate((200, 401, 500, 0)):
        gateway.answer = answer
        shop.schedule(START + number * DAY)
        work.relay.run()
    away = TextChannel(gateway.url.replace(str(gateway.port), str(absent)), timeout=BRIEF)
    with pytest.raises(ChannelDown) as refused:
        away.send(LETTER, NOW)
    shop.session.rollback()
    kept = [str(row.__dict__) for model in (Message, MessageAttempt) for row in shop.session.scalars(select(model))]
    assert len(gateway.told) == 4
    logging.getLogger("portal.worker").warning("something else")
    assert "something else" in log.getvalue()
    for text in (log.getvalue(), str(refused.value), *kept):
        assert "hush" not in text
        assert "quiet-path" not in text


def test_what_stands_in_a_private_network_is_not_spoken_to(
    start_work: Callable[..., Work], shop: Shop, settings: Settings, sink: Sink, gateway: Gateway
) -> None:
    shop.text_too(MessageKind.BOOKED)
    own = {"own_mail": True, "smtp_host": "localhost", "smtp_port": sink.port, "smtp_security": Security.NONE}
    shop.leave_by(settings, text_gateway=gateway.url, sender="office@brightwell.example", **own)
    shop.schedule()
    assert start_work().relay.run().failed == 2
    assert attempts(shop) == [("FAILED", "unsafe")] * 2
    assert (sink.connections, gateway.told) == (0, [])
    for host in ("127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "localhost", "192.168.0.1", "nowhere.invalid"):
        with pytest.raises(ChannelDown):
            demand_public(host)
    demand_public("8.8.8.8")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody vouches for, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail.example")])
    begins = datetime.now(UTC) - timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = tmp_path / "server.pem", tmp_path / "server.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@pytest.mark.parametrize("security", [Security.TLS, Security.STARTTLS])
def test_an_own_server_is_spoken_to_safely_with_its_password(
    start_work: Callable[..., Work],
    shop: Shop,
    settings: Settings,
    certificate: tuple[Path, Path],
    security: Security,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    inside, given = Sink(), []
    inside.may_answer.set()

    def sign_in(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        given.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password == b"right horse", handled=False)

    how: dict[str, Any] = {"ssl_context": context} if security is Security.TLS else {"tls_context": context}
    # aiosmtpd does not take a connection that was encrypted all along for an encrypted one.
    how["auth_require_tls"] = security is Security.STARTTLS
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = Controller(inside, hostname="localhost", port=port, authenticator=sign_in, **how)
    server.start()
    try:
        own = {"own_mail": True, "smtp_host": "localhost", "smtp_port": port, "smtp_security": security}
        sender = {"smtp_user": "office", "sender": "office@brightwell.example"}
        shop.leave_by(settings, smtp_password="wrong horse", **own, **sender)
        work = start_work(private_hosts=True)
        shop.schedule()
        # Nobody vouches for it: not even the password is told.
        work.relay.run()
        assert attempts(shop)[-1] == ("FAILED", "unsafe")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        shop.clock.now += MINUTE
        work.relay.run()
        assert attempts(shop)[-1] == ("FAILED", "sign_in")
        assert given[-1] == ("office", "wrong horse")
        with unit_of_work(shop.session) as session:
            session.scalars(select(ChannelSettings)).one().smtp_password = settings.vault.seal("right horse")
        shop.clock.now += 2 * MINUTE
        work.relay.run()
        assert attempts(shop)[-1] == ("SENT", "")
        assert len(inside.mails) == 1
        (message,) = shop.messages()
        assert "horse" not in message.last_error + message.body
    finally:
        server.stop()
