"""How a letter leaves: over SMTP, or nowhere at all in the demo, where the message log is the letter box (N4, N6)."""

from __future__ import annotations

import smtplib
import ssl
from contextlib import suppress
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import unquote, urlsplit

import structlog

from portal.domain.messages.outbox import Letter
from portal.settings import Environment, Settings

log = structlog.get_logger("portal.worker")

# A send is about ten answers of the server at most, each waited for so long: well within a lease.
TIMEOUT_SECONDS = 10.0
SMTP_PORT, SMTPS_PORT = 587, 465


class SendError(Exception):
    """The letter was not taken; the text says why."""


class ChannelDown(SendError):
    """The server cannot be reached or talked to, so the next letter would fare no better."""


class Channel(Protocol):
    """Takes letters, one after the other, between ``with`` and its end; and texts, where it ``takes_texts``."""

    takes_texts: bool

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def send(self, letter: Letter, now: datetime) -> None:
        """Deliver ``letter``, dated ``now`` (an instant); raises ``SendError``."""


class LogChannel:
    """Sends nothing anywhere: what was said stands in the message log."""

    takes_texts = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def send(self, letter: Letter, now: datetime) -> None:
        log.info("message_kept_here", message_id=letter.message_id, subject=letter.subject)


class SmtpChannel:
    """Delivers e-mail to one server, over one connection for as long as it holds.

    ``smtp://`` begins in the clear and goes on with STARTTLS where the server offers it, and must if a password is to
    be sent; ``smtps://`` is encrypted from the first byte.
    """

    takes_texts = False

    def __init__(self, url: str, mail_from: str, timeout: float = TIMEOUT_SECONDS) -> None:
        parts = urlsplit(url)
        self._encrypted = parts.scheme == "smtps"
        self._host = parts.hostname or ""
        self._port = parts.port or (SMTPS_PORT if self._encrypted else SMTP_PORT)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._address = parseaddr(mail_from)[1]
        self._timeout = timeout
        self._server: smtplib.SMTP | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._server is not None:
            with suppress(OSError, smtplib.SMTPException):
                self._server.quit()
        self._drop()

    def send(self, letter: Letter, now: datetime) -> None:
        mail = self._mail(letter, now)
        server = self._server or self._connect()
        try:
            server.send_message(mail, self._address, [letter.recipient])
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPResponseException, smtplib.SMTPNotSupportedError) as error:
            # The server said no to this one letter; smtplib has hung up only if that was its last word.
            if server.sock is None:
                self._server = None
            raise SendError(_words(error)) from error
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            raise ChannelDown(_words(error)) from error

    def _connect(self) -> smtplib.SMTP:
        try:
            if self._encrypted:
                server: smtplib.SMTP = smtplib.SMTP_SSL(
                    self._host, self._port, timeout=self._timeout, context=ssl.create_default_context()
                )
            else:
                server = smtplib.SMTP(self._host, self._port, timeout=self._timeout)
            self._server = server
            server.ehlo_or_helo_if_needed()
            if not self._encrypted and server.has_extn("starttls"):
                server.starttls(context=ssl.create_default_context())
            elif not self._encrypted and self._user:
                raise smtplib.SMTPNotSupportedError("no password is sent to a server without STARTTLS")
            if self._user:
                server.login(self._user, self._password)
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            raise ChannelDown(_words(error)) from error
        return server

    def _drop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def _mail(self, letter: Letter, now: datetime) -> EmailMessage:
        mail = EmailMessage()
        mail["From"] = Address(display_name=letter.sender, addr_spec=self._address)
        mail["To"] = letter.recipient
        mail["Subject"] = letter.subject
        mail["Date"] = format_datetime(now)
        mail["Message-ID"] = letter.message_id
        # Asks holiday notices not to answer (RFC 3834).
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(letter.body)
        mail.add_alternative(letter.body_html, subtype="html")
        return mail


def _words(error: Exception) -> str:
    """Return what happened, in a line, without the password that a server might repeat."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, text = next(iter(error.recipients.values()))
        return f"{code} {text.decode(errors='replace')}"
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"{error.smtp_code} sign-in refused"
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        return f"{error.smtp_code} {said if isinstance(said, str) else said.decode(errors='replace')}"
    return f"{type(error).__name__}: {error}"


def channel_for(settings: Settings) -> Channel:
    """Return what ``settings`` ask for: SMTP where a server is named; in the demo nothing that leaves the machine."""
    if settings.smtp_url and settings.doorstep_env is not Environment.DEMO:
        return SmtpChannel(settings.smtp_url, settings.mail_from)
    return LogChannel()
