"""The address of a text gateway as Apprise reads it: which kinds are allowed, and the way to one telephone number."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

# Services with an address of their own, to which a text goes over the internet.
SERVICES = frozenset(
    {"46elks", "clickatell", "httpsms", "msgbird", "nexmo", "seven", "sinch", "sns", "twilio", "vonage"}
)
# A partner's own endpoint, which is told the number at the end of the path. Nothing else of what Apprise knows is
# allowed: some of it runs programs, opens files or speaks to this machine's desktop.
ENDPOINTS = frozenset({"json", "jsons", "form", "forms"})
ALLOWED = SERVICES | ENDPOINTS
SOME_NUMBER = "447700900000"


def service_of(address: str) -> str:
    """Return the scheme of a gateway's address, such as ``twilio``; "" for what has none that is allowed."""
    scheme = address.partition("://")[0].strip().lower()
    return scheme if scheme in ALLOWED else ""


def host_of(address: str) -> str | None:
    """Return the host of a partner's own endpoint; ``None`` for a service, whose hosts Apprise knows."""
    return urlsplit(address).hostname if service_of(address) in ENDPOINTS else None


def is_usable(address: str) -> bool:
    """Whether texts can be sent by ``address``, as far as its spelling tells; nobody is asked."""
    try:
        named = service_of(address) in SERVICES or bool(host_of(address))
        return named and notifier(address, SOME_NUMBER, 1) is not None
    except ValueError:
        # Such as a bracket that is not closed.
        return False


def notifier(address: str, number: str, timeout: float) -> Any:
    """Return Apprise's way to ``number`` over the gateway at ``address``; ``None`` where the address is none.

    ``number`` stands in the international spelling. ``timeout`` in seconds is waited for a connection and for an
    answer. Whatever the address itself says, certificates are checked and nobody is led on to another host.
    """
    if not service_of(address):
        return None
    # Not before a text is sent: it knows a hundred services.
    from apprise import Apprise, AppriseAsset

    head, mark, query = address.strip().partition("?")
    digits = "".join(sign for sign in number if sign.isdigit())
    made = Apprise.instantiate(f"{head.rstrip('/')}/{digits}{mark}{query}", asset=AppriseAsset(app_id="Doorstep"))
    if made is not None:
        made.redirects, made.verify_certificate = False, True
        made.socket_connect_timeout = made.socket_read_timeout = timeout
    return made
