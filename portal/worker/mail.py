"""A letter as the bytes that go to a mail server (RFC 5322): plain text and HTML side by side.

Written out rather than built up as an ``EmailMessage``, which took longer to make a letter than to send it, and folds
the address behind List-Unsubscribe into encoded words, in which no mail program looks for it.
"""

from __future__ import annotations

import binascii
import re
import uuid
from collections.abc import Iterator
from datetime import datetime
from email.headerregistry import Address
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from functools import lru_cache

from portal.domain.messages.outbox import Letter

# What a line should have at most, and what a line of a header must not exceed (RFC 5322, 2.1.1).
GOOD_LINE, LONGEST_LINE = 78, 998
# Printable signs of ASCII stand in a header as they are.
PLAIN = re.compile(r"[ -~]*\Z")
KEPT = 512
ANY_BREAK = re.compile(r"\r\n|\r|\n")


def mail(letter: Letter, sender: str, now: datetime, utf8: bool = False) -> bytes:
    """Return ``letter`` from the address ``sender``, dated ``now`` (an instant); lines end in CRLF.

    ``utf8``: signs beyond ASCII may stand in headers as they are, as addresses that hold some need it (RFC 6531).
    Raises ``ValueError`` for a line break in what becomes a header.
    """
    parts = [("plain", letter.body)]
    if letter.body_html:
        parts.append(("html", letter.body_html))
    lines = [*_headers(letter, sender, now, utf8)]
    if len(parts) == 1:
        return "".join((*lines, _part(*parts[0]))).encode()
    # No quoted text holds an equals sign before anything but two digits or the end of a line.
    boundary = f"=_{uuid.uuid4().hex}"
    lines.append(f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n')
    lines += [f"\r\n--{boundary}\r\n{_part(*part)}" for part in parts]
    lines.append(f"\r\n--{boundary}--\r\n")
    return "".join(lines).encode()


def _headers(letter: Letter, sender: str, now: datetime, utf8: bool) -> Iterator[str]:
    yield _from(letter.sender, sender, utf8)
    yield _header("To", letter.recipient, utf8)
    yield _header("Subject", letter.subject, utf8)
    yield _header("Date", format_datetime(now), utf8)
    yield _header("Message-ID", letter.message_id, utf8)
    # Asks holiday notices not to answer (RFC 3834).
    yield "Auto-Submitted: auto-generated\r\n"
    if letter.unsubscribe_url:
        # One press in the mail program, without a page (RFC 8058).
        yield _header("List-Unsubscribe", f"<{letter.unsubscribe_url}>", utf8, LONGEST_LINE)
        yield "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    yield "MIME-Version: 1.0\r\n"


@lru_cache(maxsize=KEPT)
def _from(name: str, address: str, utf8: bool) -> str:
    return _folded("From", str(Address(display_name=name, addr_spec=address)), utf8)


def _header(name: str, value: str, utf8: bool, longest: int = GOOD_LINE) -> str:
    line = f"{name}: {value}"
    return f"{line}\r\n" if len(line) <= longest and PLAIN.match(value) else _folded(name, value, utf8)


# Those of a batch are often the same.
@lru_cache(maxsize=KEPT)
def _folded(name: str, value: str, utf8: bool) -> str:
    policy = SMTPUTF8 if utf8 else SMTP
    _, parsed = policy.header_store_parse(name, value)
    folded: str = parsed.fold(policy=policy)
    return folded


def _part(subtype: str, text: str) -> str:
    """Return a part with its headers, in signs and lines that any server passes on as they are."""
    # A line break at its end shows the encoder of which kind they are.
    text = ANY_BREAK.sub("\r\n", text.removesuffix("\n") + "\n")
    encoding = "7bit"
    if not text.isascii() or max(map(len, text.split("\r\n"))) > GOOD_LINE:
        encoding, text = "quoted-printable", binascii.b2a_qp(text.encode(), istext=True).decode()
    headers = f'Content-Type: text/{subtype}; charset="utf-8"\r\nContent-Transfer-Encoding: {encoding}\r\n'
    return f"{headers}\r\n{text}"
