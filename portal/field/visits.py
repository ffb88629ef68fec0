"""The technician's day and visits: what is to be done, and the steps through it (J4-J6, J8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from flask import abort, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.errors import Conflict, Invalid, Refused, sentence
from portal.domain.jobs import fieldwork
from portal.domain.jobs.field_queries import (
    FieldVisit,
    coming_days,
    field_day,
    field_visit,
    is_repeated,
    left_on,
    own_visit,
    step_refusal,
)
from portal.domain.jobs.queries import pause_reasons
from portal.domain.notes.queries import notes_of
from portal.domain.notes.services import take_once
from portal.domain.photos.queries import photos_of
from portal.domain.photos.services import photo_refusal
from portal.domain.scheduling.zones import MissingHour, instant_of
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import db
from portal.field import shows
from portal.field.blueprint import pages, technician
from portal.field.forms import CompleteForm, ContinueForm, NoteForm, PauseForm, SetOffForm, StepForm, TurnBackForm
from portal.field.sending import done, refused, sent
from portal.web.formats import now, today, zone_of
from portal.web.forms import add_errors
from portal.web.i18n import translate
from portal.web.kept import kept
from portal.web.photos import PhotoForm

COMING_DAYS = 28
FARTHEST_DAY = timedelta(days=5 * 366)

SHOWS = (
    shows.visit_state,
    shows.can_be_confirmed,
    shows.window_end,
    shows.planned_length,
    shows.lines,
    shows.step_label,
    shows.phone_link,
    shows.route_url,
    shows.flow,
)


def left_today() -> int:
    """Return how many visits of today are still to be done, for the menu; asked for once where no page knows."""
    if "left_today" not in g:
        g.left_today = left_on(db.session(), technician(), today(), zone_of())
    left: int = g.left_today
    return left


pages.context_processor(lambda: {function.__name__: function for function in (*SHOWS, left_today)})


@dataclass(frozen=True)
class Step:
    """A step of a visit: its form, and the use case that the filled-in form goes to.

    ``page`` names the template that asks for what the step needs; without one, the visit's own page does.
    """

    take: Callable[[Session, Actor, datetime, int, int, Any, datetime | None], object]
    form: type[StepForm] = StepForm
    page: str | None = None


def _continue(
    session: Session, actor: Actor, at: datetime, visit_id: int, move: int, form: ContinueForm, told: datetime | None
) -> object:
    start = None
    if form.day.data is not None and form.clock.data is not None:
        try:
            start = instant_of(form.day.data, form.clock.data, zone_of())
        except MissingHour:
            raise Invalid({"clock": sentence("The clocks go forward over this time; choose another")}) from None
        except OverflowError:
            raise Invalid({"day": sentence("Choose a date within the next five years")}) from None
    return fieldwork.continue_later(session, actor, at, visit_id, move, start, told)


def _complete(
    session: Session, actor: Actor, at: datetime, visit_id: int, move: int, form: CompleteForm, told: datetime | None
) -> object:
    notes = form.service_notes.data or ""
    return fieldwork.complete(session, actor, at, visit_id, move, notes, told, form.signature)


def _plain(use_case: Callable[..., object], *fields: str) -> Callable[..., object]:
    """Return how a step is taken whose use case wants nothing but ``fields`` of the form."""

    def take(
        session: Session, actor: Actor, at: datetime, visit_id: int, move: int, form: StepForm, told: datetime | None
    ) -> object:
        given = [form[name].data for name in fields]
        return use_case(session, actor, at, visit_id, move, *given, happened_at=told)

    return take


STEPS: dict[str, Step] = {
    "prepare": Step(_plain(fieldwork.prepare)),
    "set_off": Step(_plain(fieldwork.set_off, "minutes"), SetOffForm),
    "arrive": Step(_plain(fieldwork.arrive)),
    "start_work": Step(_plain(fieldwork.start_work)),
    "pause": Step(_plain(fieldwork.pause, "pause_reason", "note"), PauseForm, "field/pause.html"),
    "resume": Step(_plain(fieldwork.resume)),
    "continue_later": Step(_continue, ContinueForm, "field/continue_later.html"),
    "complete": Step(_complete, CompleteForm),
    "turn_back": Step(_plain(fieldwork.turn_back, "reason"), TurnBackForm, "field/turn_back.html"),
}
# The form's field for what the domain calls otherwise.
FIELDS = {"start": "day"}


@pages.get("/")
def start() -> ResponseReturnValue:
    """Today's visits, what is left from earlier days, what is done, and the days to come."""
    return kept(_start)


def _start() -> str:
    actor, day, zone = technician(), today(), zone_of()
    work = field_day(db.session(), actor, day, zone, with_earlier=True)
    g.left_today = len(work.planned)
    return render_template(
        "field/today.html",
        work=work,
        coming=coming_days(db.session(), actor, day, COMING_DAYS, zone),
    )


@pages.get("/days/<day>")
def one_day(day: str) -> ResponseReturnValue:
    """The visits of another day."""
    chosen = _date(day)
    if chosen == today():
        return redirect(url_for("field.start"))
    return render_template(
        "field/day.html",
        work=field_day(db.session(), technician(), chosen, zone_of()),
        before=chosen - timedelta(days=1),
        after=chosen + timedelta(days=1),
    )


@pages.get("/visits/<int:visit_id>")
def visit(visit_id: int) -> str:
    """One visit and its next step."""
    return visit_page(shown_visit(visit_id))


@pages.get("/visits/<int:visit_id>/<name>")
def ask(visit_id: int, name: str) -> ResponseReturnValue:
    """The page of a step that needs to know something first."""
    step = _step(name)
    if step.page is None:
        abort(405, valid_methods=["POST"])
    shown = shown_visit(visit_id)
    refusal = step_refusal(db.session(), technician(), now(), shown, name, zone_of())
    if refusal is not None:
        return visit_page(shown, stopped=translate(refusal.sentence)), 409
    return render_template(step.page, shown=shown, name=name, form=_form(step))


@pages.post("/visits/<int:visit_id>/<name>")
def take(visit_id: int, name: str) -> ResponseReturnValue:
    """Take a step. One that was taken already leads to the visit as it is, without being counted again."""
    step = _step(name)
    own_visit(db.session(), technician(), visit_id)
    move_number = request.form.get("move_number", type=int)
    if move_number is None:
        abort(400)
    form, told, at = _form(step, request.form), sent(), now()
    if not form.validate():
        return _not_taken(visit_id, name, move_number, form)
    try:
        with unit_of_work(db.session()) as session:
            if not told.key or take_once(session, at, visit_id, told.key, name, told.happened_at):
                step.take(session, technician(), at, visit_id, move_number, form, told.happened_at)
    except Invalid as error:
        add_errors(form, {FIELDS.get(field, field): text for field, text in error.errors.items()})
        return _not_taken(visit_id, name, move_number, form)
    except (Refused, Conflict) as error:
        return _not_taken(visit_id, name, move_number, form, translate(error.refusal.sentence))
    return done(redirect(url_for("field.visit", visit_id=visit_id)))


def _not_taken(
    visit_id: int, name: str, move_number: int, form: StepForm, reason: str | None = None
) -> ResponseReturnValue:
    """Answer a step that changed nothing: done before, overtaken by a move, refused, or sent with errors."""
    shown = shown_visit(visit_id)
    if is_repeated(shown.visit, name, move_number):
        return done(redirect(url_for("field.visit", visit_id=visit_id)))
    if shown.visit.move_number != move_number:
        return refused(visit_page(shown, moved=True), 409, gettext("This visit was moved or reassigned meanwhile."))
    refusal = step_refusal(db.session(), technician(), now(), shown, name, zone_of())
    if refusal is not None:
        reason = translate(refusal.sentence)
    if reason is not None:
        return refused(visit_page(shown, stopped=reason), 409, reason)
    page, wrong = STEPS[name].page, ". ".join(str(error) for errors in form.errors.values() for error in errors)
    if page is None:
        return refused(visit_page(shown, form), 422, wrong)
    return refused(render_template(page, shown=shown, name=name, form=form, form_has_errors=True), 422, wrong)


def visit_page(
    shown: FieldVisit,
    form: StepForm | None = None,
    stopped: str | None = None,
    moved: bool = False,
    photo_form: PhotoForm | None = None,
    note_form: NoteForm | None = None,
) -> str:
    """Return the page of a visit; ``form`` is that of its next step, where it was filled in."""
    if form is None and shown.next_step is not None:
        form = _form(STEPS[shown.next_step])
        if isinstance(form, CompleteForm):
            form.service_notes.data = shown.visit.service_notes
    return render_template(
        "field/visit.html",
        shown=shown,
        form=form,
        form_has_errors=any(one is not None and one.errors for one in (form, photo_form, note_form)),
        note_form=note_form or NoteForm(),
        notes=notes_of(db.session(), shown.job.id),
        later_forms={} if shown.is_over else {name: _form(step) for name, step in STEPS.items()},
        photos=photos_of(db.session(), shown.job.id),
        photo_form=None if photo_refusal(shown.job) else photo_form or PhotoForm(),
        stopped=stopped,
        moved=moved,
        asks=[name for name in shown.ways_out if STEPS[name].page],
        does=[name for name in shown.ways_out if not STEPS[name].page],
        with_questions=[name for name, step in STEPS.items() if step.page],
    )


def _form(step: Step, data: Any = None) -> StepForm:
    form = step.form(data)
    if isinstance(form, PauseForm):
        form.offer(pause_reasons(db.session()))
    return form


def shown_visit(visit_id: int) -> FieldVisit:
    """Return a visit of the technician's as it is now; ``NotFound`` for anybody else's."""
    shown = field_visit(db.session(), technician(), now(), visit_id, zone_of())
    g.left_today = shown.left_today
    return shown


def _step(name: str) -> Step:
    if name not in STEPS:
        abort(404)
    return STEPS[name]


def _date(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        abort(404)
    if abs(day - today()) > FARTHEST_DAY:
        abort(404)
    return day
