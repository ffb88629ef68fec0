"""Signatures that were drawn on a page: how they come in with a form, and how they are shown again."""

from __future__ import annotations

import base64
import binascii

from flask import Response
from sqlalchemy.orm import Session

from portal.domain.jobs.queries import drawing_of
from portal.web.http import private_picture

PICTURE = "data:image/png;base64,"
# What no decoder takes for a picture, so that the domain says what is wrong with it.
UNREADABLE = b"?"


def drawn(text: str) -> bytes:
    """Return the picture that ``sign.js`` put into a form as ``text``; empty for none."""
    if not text:
        return b""
    try:
        return base64.b64decode(text.removeprefix(PICTURE), validate=True) or UNREADABLE
    except (binascii.Error, ValueError):
        return UNREADABLE


def serve(session: Session, visit_id: int) -> Response:
    """Return what was drawn when a visit was signed, for this one reader; ``NotFound`` where there is nothing."""
    png, sha256 = drawing_of(session, visit_id)
    return private_picture(f"signature-{visit_id}.png", "image/png", sha256, lambda: png)
