"""Secrets that have to be read again, such as a mail server's password, kept unreadable in the database."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

# Keeps keys made here apart from all that others make of the same secret.
INFO = b"doorstep secrets at rest"
KEY_BYTES = 32


class Unreadable(Exception):
    """None of the keys opens what was sealed: it was sealed with another, or altered."""


class Vault:
    """Seals and opens texts with keys made from ``secrets``: the first seals, each opens, so that keys can change."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._keys = MultiFernet([Fernet(_key(secret)) for secret in secrets])

    def seal(self, text: str) -> str:
        """Return ``text`` as it may be stored; "" for a blank one."""
        return self._keys.encrypt(text.encode()).decode() if text else ""

    def open(self, sealed: str) -> str:
        """Return the text that was sealed; raises ``Unreadable``."""
        try:
            return self._keys.decrypt(sealed.encode()).decode() if sealed else ""
        except InvalidToken:
            raise Unreadable("sealed with a key that is not among ours") from None

    def renew(self, sealed: str) -> str:
        """Return the same secret sealed with the first key; raises ``Unreadable``."""
        return self.seal(self.open(sealed))


def _key(secret: str) -> bytes:
    made = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=INFO).derive(secret.encode())
    return base64.urlsafe_b64encode(made)
