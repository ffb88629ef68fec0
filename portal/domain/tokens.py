"""Tokens of links that open once: made from a row's random seed and the installation's secret, kept as a hash.

So the worker can write the link when its message is sent, and nobody who reads the tables can follow it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode

# A token is 43 signs; what is much longer is not even hashed.
MAX_TOKEN = 100


def new_seed() -> str:
    """Return a random seed for a row: 64 signs."""
    return secrets.token_hex(32)


def token_for(key: str, purpose: str, seed: str) -> str:
    """Return the token that a link for ``purpose`` carries; ``key`` is the secret of the installation."""
    digest = hmac.new(key.encode(), f"{purpose}:{seed}".encode(), hashlib.sha256).digest()
    return urlsafe_b64encode(digest).decode().rstrip("=")


def hash_of(token: str) -> str:
    """Return what is kept of ``token``: 64 signs, by which its row is found."""
    return hashlib.sha256(token.encode()).hexdigest()
