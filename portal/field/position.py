"""Where a technician on the way is, as their phone says it (J9)."""

from __future__ import annotations

from math import nan

from flask import make_response, request
from flask.typing import ResponseReturnValue

from portal.domain.errors import Invalid, Refused
from portal.domain.jobs.field_queries import own_visit
from portal.domain.tracking.services import Reading, keep_position
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import db
from portal.field.visits import pages, technician
from portal.web.formats import now

# A number that is longer was not measured.
LONGEST = 40
NAMES = ("latitude", "longitude", "accuracy")


@pages.post("/visits/<int:visit_id>/position")
def position(visit_id: int) -> ResponseReturnValue:
    """Keep where the phone is; 409 unless its technician is on the way there, 422 for what is no position."""
    actor = technician()
    own_visit(db.session(), actor, visit_id)
    try:
        with unit_of_work(db.session()) as session:
            keep_position(session, actor, now(), visit_id, Reading(*(_number(name) for name in NAMES)))
    except Invalid:
        return make_response("", 422)
    except Refused:
        return make_response("", 409)
    return make_response("", 204)


def _number(name: str) -> float:
    text = request.form.get(name, "")
    try:
        return float(text) if len(text) <= LONGEST else nan
    except ValueError:
        return nan
