"""Photos of a visit: adding one, looking at one, sharing it with the customer (J8)."""

from __future__ import annotations

from flask import Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from portal.domain.errors import Invalid, Refused
from portal.domain.jobs.field_queries import own_visit
from portal.domain.photos import services
from portal.domain.photos.queries import photo_for
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import db
from portal.field.blueprint import pages, technician
from portal.field.sending import done, in_words, refused, sent
from portal.field.visits import shown_visit, visit_page
from portal.web import photos
from portal.web.formats import now
from portal.web.forms import add_errors
from portal.web.i18n import translate


@pages.post("/visits/<int:visit_id>/photos")
def add_photo(visit_id: int) -> ResponseReturnValue:
    """Add a photo to a visit; one that was sent before is not added again."""
    own_visit(db.session(), technician(), visit_id)
    form = photos.PhotoForm(request.form)
    try:
        photos.take_in(db.session(), technician(), visit_id, form, sent().happened_at)
    except Invalid as error:
        add_errors(form, error.errors)
        return refused(visit_page(shown_visit(visit_id), photo_form=form), 422, in_words(error.errors))
    except Refused as error:
        reason = translate(error.refusal.sentence)
        return refused(visit_page(shown_visit(visit_id), stopped=reason), 409, reason)
    return done(redirect(url_for("field.visit", visit_id=visit_id, _anchor="photos"), 303))


@pages.get("/photos/<int:photo_id>")
def photo(photo_id: int) -> Response:
    """The whole of a photo."""
    return photos.serve(photo_for(db.session(), technician(), photo_id), small=False)


@pages.get("/photos/<int:photo_id>/small")
def small_photo(photo_id: int) -> Response:
    """The small picture of a photo."""
    return photos.serve(photo_for(db.session(), technician(), photo_id), small=True)


@pages.post("/photos/<int:photo_id>/sharing")
def share_photo(photo_id: int) -> ResponseReturnValue:
    """Share a photo with the customer, or no longer."""
    with unit_of_work(db.session()) as session:
        shared = "shared" in request.form
        visit_id = services.share_photo(session, technician(), now(), photo_id, shared).appointment_id
    return redirect(url_for("field.visit", visit_id=visit_id, _anchor="photos"), 303)
