"""The technician's day and visits: what is to be done, and the steps through it (J4-J6, J8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from portal.domain.actor import Actor, Permission
from portal.domain.errors import Conflict, Invalid, Refused, sentence
from portal.domain.jobs import fieldwork
from portal.domain.jobs.field_queries import (
    FieldVisit,
    coming_days,
    field_day,
    field_visit,
    is_repeated,
    own_visit,
    step_refusal,
)
from portal.domain.jobs.queries import pause_reasons
from portal.domain.photos.queries import photos_of
from portal.domain.photos.services import photo_refusal
from portal.domain.scheduling.zones import MissingHour, instant_of
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import db
from portal.field import shows
from portal.field.forms import CompleteForm, ContinueForm, PauseForm, SetOffForm, StepForm, TurnBackForm
from portal.web.auth import current_actor, guard
from portal.web.formats import now, today, zone_of
from portal.web.forms import add_errors
from portal.web.i18n import translate
from portal.web.photos import PhotoForm

COMING_DAYS = 28
FARTHEST_DAY = timedelta(days=5 * 366)

pages = Blueprint("field", __name__, url_prefix="/field")
pages.before_request(guard(Permission.FIELD))
SHOWS = (
    shows.visit_state,
    shows.can_be_confirmed,
    shows.window_end,
    shows.planned_length,
    shows.lines,
    shows.step_label,
    shows.phone_link,
    shows.route_url,
)
pages.context_processor(lambda: {function.__name__: function for function in SHOWS})


@dataclass(frozen=True)
class Step:
    """A step of a visit: its form, and the use case that the filled-in form goes to.

    ``page`` names the template that asks for what the step needs; without one, the visit's own page does.
    """

    take: Callable[[Session, Actor, datetime, int, int, Any], object]
    form: type[StepForm] = StepForm
    page: str | None = None


def _continue(session: Session, actor: Actor, at: datetime, visit_id: int, move: int, form: ContinueForm) -> object:
    start = None
    if form.day.data is not None and form.clock.data is not None:
        try:
            start = instant_of(form.day.data, form.clock.data, zone_of())
        except MissingHour:
            raise Invalid({"clock": sentence("The clocks go forward over this time; choose another")}) from None
        except OverflowError:
            raise Invalid({"day": sentence("Choose a date within the next five years")}) from None
    return fieldwork.continue_later(session, actor, at, visit_id, move, start)


STEPS: dict[str, Step] = {
    "prepare": Step(lambda session, actor, at, key, move, form: fieldwork.prepare(session, actor, at, key, move)),
    "set_off": Step(
        lambda session, actor, at, key, move, form: fieldwork.set_off(session, actor, at, key, move, form.minutes.data),
        SetOffForm,
    ),
    "arrive": Step(lambda session, actor, at, key, move, form: fieldwork.arrive(session, actor, at, key, move)),
    "start_work": Step(lambda session, actor, at, key, move, form: fieldwork.start_work(session, actor, at, key, move)),
    "pause": Step(
        lambda session, actor, at, key, move, form: fieldwork.pause(
            session, actor, at, key, move, form.pause_reason.data, form.note.data or ""
        ),
        PauseForm,
        "field/pause.html",
    ),
    "resume": Step(lambda session, actor, at, key, move, form: fieldwork.resume(session, actor, at, key, move)),
    "continue_later": Step(_continue, ContinueForm, "field/continue_later.html"),
    "complete": Step(
        lambda session, actor, at, key, move, form: fieldwork.complete(
            session, actor, at, key, move, form.service_notes.data or ""
        ),
        CompleteForm,
    ),
    "turn_back": Step(
        lambda session, actor, at, key, move, form: fieldwork.turn_back(
            session, actor, at, key, move, form.reason.data or ""
        ),
        TurnBackForm,
        "field/turn_back.html",
    ),
}
# The form's field for what the domain calls otherwise.
FIELDS = {"start": "day"}


@pages.get("/")
def start() -> str:
    """Today's visits, what is left from earlier days, what is done, and the days to come."""
    actor, day, zone = technician(), today(), zone_of()
    return render_template(
        "field/today.html",
        work=field_day(db.session(), actor, day, zone, with_earlier=True),
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
    form = _form(step, request.form)
    if not form.validate():
        return _not_taken(visit_id, name, move_number, form)
    try:
        with unit_of_work(db.session()) as session:
            step.take(session, technician(), now(), visit_id, move_number, form)
    except Invalid as error:
        add_errors(form, {FIELDS.get(field, field): text for field, text in error.errors.items()})
        return _not_taken(visit_id, name, move_number, form)
    except (Refused, Conflict) as error:
        return _not_taken(visit_id, name, move_number, form, translate(error.refusal.sentence))
    return redirect(url_for("field.visit", visit_id=visit_id))


def _not_taken(
    visit_id: int, name: str, move_number: int, form: StepForm, reason: str | None = None
) -> ResponseReturnValue:
    """Answer a step that changed nothing: done before, overtaken by a move, refused, or sent with errors."""
    shown = shown_visit(visit_id)
    if is_repeated(shown.visit, name, move_number):
        return redirect(url_for("field.visit", visit_id=visit_id))
    if shown.visit.move_number != move_number:
        return visit_page(shown, moved=True), 409
    refusal = step_refusal(db.session(), technician(), now(), shown, name, zone_of())
    if refusal is not None:
        reason = translate(refusal.sentence)
    if reason is not None:
        return visit_page(shown, stopped=reason), 409
    page = STEPS[name].page
    if page is None:
        return visit_page(shown, form), 422
    return render_template(page, shown=shown, name=name, form=form, form_has_errors=True), 422


def visit_page(
    shown: FieldVisit,
    form: StepForm | None = None,
    stopped: str | None = None,
    moved: bool = False,
    photo_form: PhotoForm | None = None,
) -> str:
    """Return the page of a visit; ``form`` is that of its next step, where it was filled in."""
    if form is None and shown.next_step is not None:
        form = _form(STEPS[shown.next_step])
    return render_template(
        "field/visit.html",
        shown=shown,
        form=form,
        form_has_errors=any(one is not None and one.errors for one in (form, photo_form)),
        photos=photos_of(db.session(), shown.job.id),
        photo_form=None if photo_refusal(shown.job) else photo_form or PhotoForm(),
        stopped=stopped,
        moved=moved,
        asks=[name for name in shown.ways_out if STEPS[name].page],
        does=[name for name in shown.ways_out if not STEPS[name].page],
    )


def _form(step: Step, data: Any = None) -> StepForm:
    form = step.form(data)
    if isinstance(form, PauseForm):
        form.offer(pause_reasons(db.session()))
    return form


def shown_visit(visit_id: int) -> FieldVisit:
    """Return a visit of the technician's as it is now; ``NotFound`` for anybody else's."""
    return field_visit(db.session(), technician(), now(), visit_id, zone_of())


def _step(name: str) -> Step:
    if name not in STEPS:
        abort(404)
    return STEPS[name]


def technician() -> Actor:
    """Return who asks; the blueprint's guard has let nobody else in."""
    actor = current_actor()
    assert actor is not None, "the blueprint lets nobody else in"
    return actor


def _date(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        abort(404)
    if abs(day - today()) > FARTHEST_DAY:
        abort(404)
    return day
