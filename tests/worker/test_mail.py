"""Letters as bytes: any mail program reads what was written, and any server passes it on."""

from __future__ import annotations

import socket
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from aiosmtpd.controller import Controller

from portal.worker.channels import MailServer, SendError, SmtpChannel
from portal.worker.mail import mail
from tests.worker.conftest import NOW, Sink
from tests.worker.test_outbox import LETTER

pytestmark = pytest.mark.row("N4")

OFFICE = "office@brightwell.example"
UNSUBSCRIBE = f"https://doorstep.example/unsubscribe/{'eyJhbGciOi' * 12}"


def read(written: bytes) -> EmailMessage:
    found = message_from_bytes(written, policy=policy.default)
    assert isinstance(found, EmailMessage)
    assert not any(part.defects for part in found.walk())
    return found


def text_of(letter: EmailMessage, kind: str) -> str:
    part = letter.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


@pytest.mark.parametrize(
    "body",
    [
        "Plain\n",
        "No line break at the end",
        "",
        "\n\nBlank lines before and after\n\n\n",
        ".\n..\nFrom dots to blanks at the end \t\n=3D = =\n",
        "Grüße – 9:00–11:00 ☀️ 日本語\n",
        f"{'x' * 77}\n{'y' * 79}\n{'ü' * 400}\n{'z' * 2000}",
        "every\rkind\r\nof\nbreak",
    ],
)
def test_what_is_written_is_what_is_read(body: str) -> None:
    said = body.replace("\r\n", "\n").replace("\r", "\n")
    written = mail(replace(LETTER, body=body, body_html=f"<p>{body}</p>\n"), OFFICE, NOW)
    found = read(written)
    assert found.get_content_type() == "multipart/alternative"
    assert text_of(found, "plain").removesuffix("\n") == said.removesuffix("\n")
    assert text_of(found, "html") == f"<p>{said}</p>\n"
    alone = read(mail(replace(LETTER, body=body, body_html=""), OFFICE, NOW))
    assert (alone.get_content_type(), text_of(alone, "plain")) == ("text/plain", said.removesuffix("\n") + "\n")
    # No server has to take more than this.
    assert written.isascii()
    assert written.count(b"\n") == written.count(b"\r") == written.count(b"\r\n")
    assert max(map(len, written.split(b"\r\n"))) <= 78


def test_headers_hold_names_and_subjects_in_any_language() -> None:
    names = {"sender": 'Grün, Heiß & "Söhne"', "subject": "Gebucht: Wärmepumpe am Do. 26. Nov., " + "ä" * 120}
    written = mail(replace(LETTER, **names), OFFICE, NOW)
    found = read(written)
    (sender,) = found["From"].addresses
    assert (sender.display_name, sender.addr_spec) == (names["sender"], OFFICE)
    assert (found["Subject"], found["To"], found["Message-ID"]) == (names["subject"], LETTER.recipient, "<a@b>")
    assert found["Date"].datetime == NOW
    assert found["Auto-Submitted"] == "auto-generated"
    assert "List-Unsubscribe" not in found
    assert max(map(len, written.split(b"\r\n"))) <= 78


def test_the_address_that_switches_mail_off_stands_as_it_is_however_long() -> None:
    written = mail(replace(LETTER, unsubscribe_url=UNSUBSCRIBE), OFFICE, NOW)
    assert f"\r\nList-Unsubscribe: <{UNSUBSCRIBE}>\r\n".encode() in written
    assert read(written)["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


@pytest.mark.parametrize("field", ["recipient", "subject", "message_id", "unsubscribe_url"])
def test_nothing_begins_another_header(field: str) -> None:
    with pytest.raises(ValueError, match="line"):
        mail(replace(LETTER, **{field: "x\r\nBcc: everybody@mail.example"}), OFFICE, NOW)


def test_an_address_beyond_ascii_goes_where_the_server_takes_it(sink: Sink) -> None:
    with SmtpChannel(MailServer("127.0.0.1", sink.port, OFFICE)) as way:
        way.send(replace(LETTER, recipient="jörg@müller.example"), NOW)
        way.send(LETTER, NOW)
    assert sink.recipients == ["jörg@müller.example", LETTER.recipient]
    assert [str(one["To"]) for one in sink.mails] == sink.recipients
    older = Sink()
    older.may_answer.set()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = Controller(older, hostname="127.0.0.1", port=port, enable_SMTPUTF8=False)
    server.start()
    try:
        with SmtpChannel(MailServer("127.0.0.1", port, OFFICE)) as way:
            with pytest.raises(SendError):
                way.send(replace(LETTER, recipient="jörg@müller.example"), NOW)
            way.send(LETTER, NOW)
    finally:
        server.stop()
    assert older.recipients == [LETTER.recipient]
    assert older.connections == 1
