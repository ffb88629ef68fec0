"""How a message leaves: mail over SMTP, a text over a gateway, or nowhere at all in the demo (N4, N6)."""

from __future__ import annotations

import ipaddress
import logging
import re
import smtplib
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parseaddr
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import unquote, urlsplit

import structlog

from portal.domain.delivery import gateways
from portal.domain.delivery.models import Security
from portal.domain.messages.models import Fault
from portal.domain.messages.outbox import Letter
from portal.worker.mail import mail

log = structlog.get_logger("portal.worker")

# A send is about ten answers of the server at most, each waited for so long: well within a lease.
TIMEOUT_SECONDS = 10.0
SMTP_PORT, SMTPS_PORT = 587, 465
# The mailbox itself: unknown, not local, a name that cannot be. The same again would be answered the same.
NO_SUCH_MAILBOX = frozenset({550, 551, 553})
# What a letter to or from an address with signs beyond ASCII is sent with.
UTF8_OPTIONS = ("SMTPUTF8", "BODY=8BITMIME")
APPRISE = "apprise"
# They tell addresses and answers, and warn of what is recorded here as an attempt.
for _name in (APPRISE, "urllib3"):
    logging.getLogger(_name).propagate = False


class SendError(Exception):
    """The message was not taken; the text says why in a server's words, ``fault`` for people.

    ``is_final``: trying again would change nothing.
    """

    def __init__(self, text: str, fault: Fault = Fault.OTHER, is_final: bool = False) -> None:
        super().__init__(text)
        self.fault = fault
        self.is_final = is_final


class ChannelDown(SendError):
    """The server cannot be reached or talked to, so the next message would fare no better."""


class Channel(Protocol):
    """Takes messages, one after the other, between ``with`` and its end."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def send(self, letter: Letter, now: datetime) -> None:
        """Deliver ``letter``, dated ``now`` (an instant); raises ``SendError``."""


class LogChannel:
    """Sends nothing anywhere: what was said stands in the message log."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def send(self, letter: Letter, now: datetime) -> None:
        log.info("message_kept_here", message_id=letter.message_id, subject=letter.subject)


@dataclass(frozen=True, slots=True)
class MailServer:
    """A mail server and in whose name mail leaves it. Without ``security``: STARTTLS where the server offers it.

    ``anywhere``: it may stand in a private network; else it is looked up first, and one that stands there is not
    spoken to.
    """

    host: str
    port: int
    sender: str
    security: Security | None = None
    user: str = ""
    password: str = field(default="", repr=False)
    anywhere: bool = True

    @classmethod
    def of(cls, url: str, mail_from: str) -> MailServer:
        """Return the platform's: ``smtp://`` begins in the clear, ``smtps://`` is encrypted from the first byte."""
        parts = urlsplit(url)
        encrypted = parts.scheme == "smtps"
        return cls(
            host=parts.hostname or "",
            port=parts.port or (SMTPS_PORT if encrypted else SMTP_PORT),
            sender=parseaddr(mail_from)[1],
            security=Security.TLS if encrypted else None,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
        )


class SmtpChannel:
    """Delivers e-mail to one server, over one connection for as long as it holds.

    No password is sent in the clear, and the server's certificate is checked wherever it is encrypted.
    """

    def __init__(self, server: MailServer, timeout: float = TIMEOUT_SECONDS) -> None:
        self._known = server
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
        sender = self._known.sender
        international = not (sender.isascii() and letter.recipient.isascii())
        written = mail(letter, sender, now, international)
        server = self._server or self._connect()
        try:
            if international and not server.has_extn("smtputf8"):
                raise smtplib.SMTPNotSupportedError("the server takes no address with signs beyond ASCII")
            server.sendmail(sender, [letter.recipient], written, UTF8_OPTIONS if international else ())
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPResponseException, smtplib.SMTPNotSupportedError) as error:
            # The server said no to this one letter; smtplib has hung up only if that was its last word.
            if server.sock is None:
                self._server = None
            raise SendError(_words(error), *_judged(error)) from error
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            fault = _fault(error)
            # It hung up on this letter; whether it would on the next shows when that one calls again.
            kind = SendError if fault is Fault.CUT_OFF else ChannelDown
            raise kind(_words(error), fault) from error

    def _connect(self) -> smtplib.SMTP:
        known = self._known
        if not known.anywhere:
            demand_public(known.host)
        try:
            if known.security is Security.TLS:
                server: smtplib.SMTP = smtplib.SMTP_SSL(
                    known.host, known.port, timeout=self._timeout, context=ssl.create_default_context()
                )
            else:
                server = smtplib.SMTP(known.host, known.port, timeout=self._timeout)
            self._server = server
            server.ehlo_or_helo_if_needed()
            if (known.security is None and server.has_extn("starttls")) or known.security is Security.STARTTLS:
                server.starttls(context=ssl.create_default_context())
            elif known.security is not Security.TLS and known.user:
                raise smtplib.SMTPNotSupportedError("no password is sent to a server without STARTTLS")
            if known.user:
                server.login(known.user, known.password)
        except (OSError, smtplib.SMTPException) as error:
            self._drop()
            raise ChannelDown(_words(error), _fault(error)) from error
        return server

    def _drop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()


class TextChannel:
    """Delivers texts over the gateway at an Apprise address, which is a secret and in no error or log.

    ``anywhere`` as for a ``MailServer``.
    """

    # What Apprise logs belongs to all its senders in this process.
    _listening = threading.Lock()

    def __init__(self, address: str, timeout: float = TIMEOUT_SECONDS, anywhere: bool = True) -> None:
        self._address = address
        self._timeout = timeout
        self._anywhere = anywhere

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def send(self, letter: Letter, now: datetime) -> None:
        host = gateways.host_of(self._address)
        if host is not None and not self._anywhere:
            demand_public(host)
        way = gateways.notifier(self._address, letter.recipient, self._timeout)
        if way is None:
            raise SendError("the gateway's address or this number cannot be used", Fault.ADDRESS)
        from apprise import LogCapture

        with self._listening, LogCapture(level=logging.DEBUG, name=APPRISE) as told:
            try:
                taken = way.notify(body=letter.body)
            except Exception as error:
                # Its words may hold the address.
                raise SendError(f"{type(error).__name__} while sending") from None
            said = told.getvalue()
        if not taken:
            raise _text_error(said)


def demand_public(host: str) -> None:
    """Raise ``ChannelDown`` for a host in a private network, or one that is not found.

    Whoever sets a partner's servers must not reach through Doorstep what stands beside it. Looked up before each
    connection; a name that changes in between is not ruled out.
    """
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError) as error:
        raise ChannelDown(f"{type(error).__name__}: no such host", Fault.ABSENT) from error
    if not all(ipaddress.ip_address(str(address).partition("%")[0]).is_global for address in found):
        raise ChannelDown("the server stands in a private network", Fault.UNSAFE)


def _judged(error: Exception) -> tuple[Fault, bool]:
    """Return what was wrong with one letter, and whether that is the last word on it."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code = next(iter(error.recipients.values()))[0]
        return (Fault.ADDRESS, True) if code in NO_SUCH_MAILBOX else (Fault.REFUSED, False)
    return (Fault.OTHER if isinstance(error, smtplib.SMTPNotSupportedError) else Fault.REFUSED), False


def _fault(error: Exception) -> Fault:
    # smtplib tells a server that says nothing from one that hung up by what lies behind it only.
    if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
        return Fault.SILENT
    match error:
        case smtplib.SMTPAuthenticationError():
            return Fault.SIGN_IN
        case ssl.SSLError() | smtplib.SMTPNotSupportedError():
            return Fault.UNSAFE
        case smtplib.SMTPServerDisconnected() | ConnectionResetError() | BrokenPipeError():
            return Fault.CUT_OFF
        case OSError():
            return Fault.ABSENT
    return Fault.REFUSED


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


def _text_error(said: str) -> SendError:
    """Return what became of a text from what Apprise logged, which holds the address and so is not kept itself."""
    codes: list[Any] = re.findall(r"error=(\d{3})\b", said)
    if codes:
        code = int(codes[-1])
        if code in {401, 403}:
            return ChannelDown(f"HTTP {code}", Fault.SIGN_IN)
        # Busy or broken for this text, and so for the next.
        kind = ChannelDown if code in {429, 503} else SendError
        return kind(f"HTTP {code}", Fault.REFUSED)
    for sign, words, fault in (
        ("timed out", "no answer in time", Fault.SILENT),
        ("SSLError", "no safe connection", Fault.UNSAFE),
        ("Connection refused", "connection refused", Fault.ABSENT),
        ("NameResolutionError", "no such host", Fault.ABSENT),
        ("aborted", "connection lost", Fault.CUT_OFF),
        ("Connection error", "no connection", Fault.ABSENT),
    ):
        if sign in said:
            return ChannelDown(words, fault)
    return SendError("the gateway did not take it", Fault.REFUSED)
