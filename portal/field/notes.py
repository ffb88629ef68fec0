"""Notes: for the office at any time, and what was done, for the customer, before the work is finished (J8)."""

from __future__ import annotations

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue

from portal.domain.errors import Invalid, Refused
from portal.domain.jobs import fieldwork
from portal.domain.jobs.field_queries import own_visit
from portal.domain.notes.services import add_note
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import db
from portal.field.blueprint import pages, technician
from portal.field.forms import CompleteForm, NoteForm
from portal.field.sending import done, in_words, refused, sent
from portal.field.visits import shown_visit, visit_page
from portal.web.formats import now
from portal.web.forms import add_errors
from portal.web.i18n import translate


@pages.post("/visits/<int:visit_id>/notes")
def write_note(visit_id: int) -> ResponseReturnValue:
    """Add a note for the office; one that was sent before is not added again."""
    own_visit(db.session(), technician(), visit_id)
    form, told = NoteForm(request.form), sent()
    try:
        with unit_of_work(db.session()) as session:
            add_note(session, technician(), now(), visit_id, form.note.data or "", told.key, told.happened_at)
    except Invalid as error:
        add_errors(form, error.errors)
        return refused(visit_page(shown_visit(visit_id), note_form=form), 422, in_words(error.errors))
    return done(redirect(url_for("field.visit", visit_id=visit_id, _anchor="notes"), 303))


@pages.post("/visits/<int:visit_id>/service_notes")
def write_service_notes(visit_id: int) -> ResponseReturnValue:
    """Keep what was done so far; the customer reads it once the visit is over."""
    own_visit(db.session(), technician(), visit_id)
    form = CompleteForm(request.form)
    try:
        with unit_of_work(db.session()) as session:
            notes = form.service_notes.data or ""
            fieldwork.write_service_notes(session, technician(), now(), visit_id, notes)
    except Invalid as error:
        add_errors(form, error.errors)
        return refused(visit_page(shown_visit(visit_id), form), 422, in_words(error.errors))
    except Refused as error:
        reason = translate(error.refusal.sentence)
        return refused(visit_page(shown_visit(visit_id), stopped=reason), 409, reason)
    if form.signed_name.data or form.drawing.data:
        # The visit is signed already: the page keeps that until the work is completed.
        return done(visit_page(shown_visit(visit_id), form))
    return done(redirect(url_for("field.visit", visit_id=visit_id, _anchor="service"), 303))
