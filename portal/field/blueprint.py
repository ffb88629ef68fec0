"""What every field page stands on."""

from __future__ import annotations

from flask import Blueprint

from portal.domain.actor import Actor, Permission
from portal.web.auth import current_actor, guard

pages = Blueprint("field", __name__, url_prefix="/field")
pages.before_request(guard(Permission.FIELD))


def technician() -> Actor:
    """Return who asks; the blueprint's guard has let nobody else in."""
    actor = current_actor()
    assert actor is not None, "the blueprint lets nobody else in"
    return actor
