"""Hours and holidays (L1, P16): working weeks, time off, holidays, and what they do to coming visits (P21).

Dispatchers see to technicians' hours and time off; the company's week and its holidays are the partner admin's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from babel.core import get_global
from babel.dates import format_date
from flask import abort, flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_admin import BaseView, expose
from flask_babel import get_locale, gettext, lazy_gettext, ngettext
from sqlalchemy.orm import Session
from wtforms import FormField, HiddenField, RadioField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.widgets import DateInput, TimeInput

from portal.admin.base import (
    AdminPage,
    Difference,
    VersionedForm,
    differences_of,
    readable,
    the_actor,
    the_partner_id,
)
from portal.admin.installations.acts import ACTS as JOB_ACTS
from portal.admin.installations.forms import LooseSelect, read_clock, read_day, read_key, whole
from portal.domain.actor import Permission
from portal.domain.errors import Conflict, Invalid, Refused
from portal.domain.jobs.attention import ACTS, Queue, QueueRow, rows_of
from portal.domain.lookup import find
from portal.domain.paging import Cursor
from portal.domain.people.models import Technician
from portal.domain.people.queries import technician_names
from portal.domain.scheduling import hours, queries
from portal.domain.scheduling.hits import Reason
from portal.domain.scheduling.hours import (
    HitsVisits,
    HolidayInput,
    Seen,
    StretchInput,
    TimeOffInput,
    clock_text,
    holiday_refusal,
    time_off_refusal,
    version_of,
)
from portal.domain.scheduling.models import Holiday, TimeOff
from portal.domain.scheduling.public_holidays import countries, public_holidays, regions
from portal.domain.scheduling.queries import HOLIDAYS_BY, TIME_OFF_BY, Stretches
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import db
from portal.web import formats
from portal.web.cursors import cursor_args, cursor_from
from portal.web.errors import shows_again
from portal.web.forms import Form, Lines, add_errors

# So many coming ones on the first page; the others are behind "Show all".
FIRST_ROWS = 8
# So many of the visits that a change affects are listed before it is saved.
MOST_LISTED = 50
YEARS_AHEAD = 5
SEEN = re.compile(r"(\d{1,18})\.(\d{1,9})")
# A Monday, to take the names of weekdays from.
MONDAY = date(2024, 1, 1)
DAYS = hours.WEEKDAYS


# Forms


class SeenForm(VersionedForm):
    """A form whose change may affect coming visits; ``seen`` are those that were shown before it was sent."""

    seen = HiddenField()

    def seen_visits(self) -> Seen:
        """Return which visits in which place were shown."""
        return {(int(key), int(move)) for key, move in SEEN.findall(self.seen.data or "")}


class StretchForm(Form):
    """A stretch of working hours."""

    start = StringField(lazy_gettext("From"), default="")
    end = StringField(lazy_gettext("To"), default="")


class DayForm(Form):
    """The stretches of a weekday."""

    stretches = Lines(FormField(StretchForm), min_entries=1)


class WeekForm(SeenForm):
    """A working week."""

    monday = FormField(DayForm)
    tuesday = FormField(DayForm)
    wednesday = FormField(DayForm)
    thursday = FormField(DayForm)
    friday = FormField(DayForm)
    saturday = FormField(DayForm)
    sunday = FormField(DayForm)

    def fill(self, week: Stretches, company: Stretches) -> None:
        """Show what is stored in the version it is in, or the ``company``'s week to begin with."""
        self.renew(version_of(week))
        for weekday, name in enumerate(DAYS):
            lines = self.lines(name)
            while lines.entries:
                lines.pop_entry()
            for start, end in (week or company).get(weekday, ()):
                lines.append_entry({"start": clock_text(start), "end": clock_text(end)})
            if not lines.entries:
                lines.append_entry()

    def rearrange(self, wanted: str) -> None:
        """Add a line to the weekday of that number."""
        if wanted in {str(number) for number in range(len(DAYS))}:
            lines = self.lines(DAYS[int(wanted)])
            if len(lines) < hours.MAX_STRETCHES:
                lines.append_entry()

    def stretches(self) -> list[StretchInput]:
        """Return what was typed."""
        return [
            StretchInput(weekday, entry.form.start.data or "", entry.form.end.data or "", entry.name)
            for weekday, name in enumerate(DAYS)
            for entry in self.lines(name)
        ]

    def own_hours_missing(self) -> bool:
        """Whether there should be hours and are none, which is then said; a company may have none."""
        return False

    def lines(self, name: str) -> Any:
        """Return the lines of a weekday."""
        day: Any = self[name]
        return day.form.stretches


class OwnWeekForm(WeekForm):
    """A technician's working week: the company's, or one of their own."""

    own = RadioField(
        lazy_gettext("Working hours"),
        default="no",
        choices=[
            SelectChoice("no", lazy_gettext("Like the company's week")),
            SelectChoice("yes", lazy_gettext("Their own hours")),
        ],
    )

    def fill(self, week: Stretches, company: Stretches) -> None:
        """Show what is stored; who has no week of their own begins with the company's."""
        super().fill(week, company)
        self.own.data = "yes" if week else "no"

    def stretches(self) -> list[StretchInput]:
        """Return what was typed; nothing where the company's week is to hold."""
        return super().stretches() if self.own.data == "yes" else []

    def own_hours_missing(self) -> bool:
        """Whether own hours were chosen and none typed."""
        missing = self.own.data == "yes" and all(stretch.is_blank for stretch in self.stretches())
        if missing:
            self.own.errors = [
                gettext("Enter their hours. Who is not to work for a while gets time off, or is set to Unavailable.")
            ]
        return missing


class TimeOffForm(SeenForm):
    """A technician's absence."""

    technician = LooseSelect(choices=[])
    first = StringField(lazy_gettext("First day"), widget=DateInput())
    begins = StringField(lazy_gettext("From"), widget=TimeInput())
    last = StringField(lazy_gettext("Last day"), widget=DateInput())
    ends = StringField(lazy_gettext("Until"), widget=TimeInput())
    note = StringField(lazy_gettext("Note"), default="", render_kw={"autocomplete": "off"})

    def read(self) -> TimeOffInput:
        """Return what was typed; raises ``Invalid``, with the errors at their fields, where it cannot be read."""
        first = read_day(self.first)
        last = read_day(self.last) if (self.last.data or "").strip() else first
        begins = read_clock(self.begins) if (self.begins.data or "").strip() else None
        ends = read_clock(self.ends) if (self.ends.data or "").strip() else None
        if self.errors or first is None or last is None:
            raise Invalid({})
        return TimeOffInput(first, last, begins, ends, self.note.data or "")


class HolidayForm(SeenForm):
    """A holiday of the partner's own."""

    day = StringField(lazy_gettext("Date"), widget=DateInput())
    name = StringField(lazy_gettext("Name"), default="", render_kw={"autocomplete": "off"})

    def read(self) -> HolidayInput:
        """Return what was typed; raises ``Invalid``, with the errors at their fields, where it cannot be read."""
        day = read_day(self.day)
        if day is None:
            raise Invalid({})
        return HolidayInput(day, self.name.data or "")


class ImportForm(SeenForm):
    """Which public holidays to take over."""

    country = LooseSelect(lazy_gettext("Country"), default="")
    region = LooseSelect(lazy_gettext("Region"), default="")
    first = LooseSelect(lazy_gettext("From the year"), default="")
    last = LooseSelect(lazy_gettext("To the year"), default="")


@dataclass(frozen=True, slots=True)
class Affected:
    """The coming visits that a change would make impossible: how many, the first of them, and ``seen`` for the form."""

    total: int
    rows: Sequence[QueueRow]
    queue: Queue
    acts: Mapping[str, Any]


def affected_by(error: HitsVisits, seen: Any) -> Affected:
    """Return what a page shows of ``error``, and note in the field ``seen`` that it was shown."""
    seen.process(None, "-".join(f"{hit.visit.id}.{hit.visit.move_number}" for hit in error.hits))
    seen.raw_data = None
    shown = error.hits[:MOST_LISTED]
    why = {hit.visit.id: tuple(one for one in Reason if one in hit.reasons) for hit in shown}
    about = [(hit.visit.job_id, hit.visit.id) for hit in shown]
    rows = rows_of(db.session(), the_actor(), formats.now(), formats.zone_of(), about, ACTS[Queue.HIT], why)
    return Affected(len(error.hits), rows, Queue.HIT, JOB_ACTS)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a form that was sent: what was saved, or what stands in the way."""

    saved: Any = None
    affected: Affected | None = None
    conflict: bool = False


def save(form: SeenForm, use_case: Callable[[Session, Seen], Any]) -> Outcome:
    """Run ``use_case`` in one unit of work with the visits that ``form`` has shown."""
    try:
        with unit_of_work(db.session()) as session:
            return Outcome(saved=use_case(session, form.seen_visits()))
    except Invalid as refused:
        add_errors(form, refused.errors)
        return Outcome()
    except Conflict:
        return Outcome(conflict=True)
    except HitsVisits as error:
        return Outcome(affected=affected_by(error, form.seen))


class HoursView(AdminPage):
    """Working weeks, time off and holidays."""

    permission = Permission.MANAGE_PEOPLE

    @expose("/")
    def index(self) -> ResponseReturnValue:
        """Show what holds now and what is coming."""
        session, partner_id = db.session(), the_partner_id(the_actor())
        names = technician_names(session)
        own = queries.own_weeks(session, partner_id)
        return self.render(
            "admin/hours/index.html",
            week=week_lines(queries.week_of(session, partner_id, None)),
            own=[(key, names[key], week_text(own[key])) for key in names if key in own],
            technicians=names,
            time_off=queries.list_time_off(session, formats.now(), limit=FIRST_ROWS),
            holidays=queries.list_holidays(session, formats.today(), limit=FIRST_ROWS),
            may_set=_may_set(),
            length_of=absence_text,
        )

    # Weeks

    @expose("/week", methods=("GET", "POST"))
    @shows_again
    def week_view(self) -> ResponseReturnValue:
        """Change the company's week."""
        _demand_settings()
        return self._week(WeekForm, None, gettext("Working week"), self.get_url(".index"))

    @expose("/technicians/<int:technician_id>", methods=("GET", "POST"))
    @shows_again
    def technician_view(self, technician_id: int) -> ResponseReturnValue:
        """Change a technician's own week."""
        technician = find(db.session(), Technician, technician_id)
        title = gettext("Hours of %(name)s", name=technician.name)
        return self._week(OwnWeekForm, technician_id, title, self.get_url(".index"))

    @expose("/technicians/")
    def open_view(self) -> ResponseReturnValue:
        """Lead to the week of the technician chosen."""
        technician = find(db.session(), Technician, whole(request.args.get("technician")) or 0)
        return redirect(self.get_url(".technician_view", technician_id=technician.id))

    def _week(
        self, form_class: type[WeekForm], technician_id: int | None, title: str, back: str
    ) -> ResponseReturnValue:
        partner_id = the_partner_id(the_actor())
        stored = queries.week_of(db.session(), partner_id, technician_id)
        company = stored if technician_id is None else queries.week_of(db.session(), partner_id, None)
        form = form_class(request.form if request.method == "POST" else None)
        outcome = Outcome()
        differences = None
        if request.method != "POST":
            form.fill(stored, company)
        elif "add" in request.form:
            form.rearrange(request.form["add"])
        elif form.validate() and not form.own_hours_missing():
            version, stretches, now = form.version.data or 0, form.stretches(), formats.now()
            outcome = save(
                form,
                lambda session, seen: hours.edit_week(
                    session, the_actor(), partner_id, technician_id, version, stretches, now, seen
                ),
            )
            if outcome.saved is not None:
                flash(gettext("Saved. The hours hold from now on."), "ok")
                return redirect(back)
            if outcome.conflict:
                stored = queries.week_of(db.session(), partner_id, technician_id)
                differences = _week_differences(form, stored, company)
                form.renew(version_of(stored))
        return self._form_page(
            "admin/hours/week.html",
            form,
            outcome,
            differences,
            title=title,
            close=back,
            days=list(zip(DAYS, weekday_names(), strict=True)),
            most=hours.MAX_STRETCHES,
            technician_id=technician_id,
            time_off=queries.list_time_off(db.session(), formats.now(), technician_id=technician_id)
            if technician_id
            else None,
            length_of=absence_text,
        )

    # Time off

    @expose("/time-off/")
    def time_off_list(self) -> ResponseReturnValue:
        """Show who is off when, or who was."""
        past, cursor = "past" in request.args, cursor_from(request.args, TIME_OFF_BY)
        page = queries.list_time_off(db.session(), formats.now(), past, cursor=cursor)
        return self._list("admin/hours/time_off.html", ".time_off_list", page, past)

    @expose("/time-off/new", methods=("GET", "POST"))
    @shows_again
    def new_time_off(self) -> ResponseReturnValue:
        """Give somebody time off."""
        form = TimeOffForm(request.form if request.method == "POST" else None)
        if request.method != "POST":
            form.technician.data = request.args.get("technician", "")
        return self._time_off(form, None)

    @expose("/time-off/<int:time_off_id>", methods=("GET", "POST"))
    @shows_again
    def edit_time_off(self, time_off_id: int) -> ResponseReturnValue:
        """Change somebody's time off."""
        absence = find(db.session(), TimeOff, time_off_id)
        refusal = time_off_refusal(absence, formats.now())
        if refusal is not None:
            raise Refused(refusal)
        form = TimeOffForm(request.form) if request.method == "POST" else _time_off_form(absence)
        return self._time_off(form, absence)

    @expose("/time-off/<int:time_off_id>/delete", methods=("POST",))
    def delete_time_off(self, time_off_id: int) -> ResponseReturnValue:
        """Take somebody's time off back."""
        with unit_of_work(db.session()) as session:
            absence = hours.delete_time_off(session, the_actor(), time_off_id, formats.now())
            name = find(session, Technician, absence.technician_id).name
        flash(gettext("The time off of %(name)s is taken back.", name=name), "ok")
        return redirect(self.get_url(".index"))

    def _time_off(self, form: TimeOffForm, absence: TimeOff | None) -> ResponseReturnValue:
        key = absence.id if absence is not None else None
        owner = absence.technician_id if absence is not None else None
        outcome = Outcome()
        if request.method == "POST" and form.validate():
            technician_id = owner or read_key(form.technician, gettext("Choose whose time off it is"))
            version, now = form.version.data or 0, formats.now()

            def use_case(session: Session, seen: Seen) -> TimeOff:
                typed = form.read()
                if key is None:
                    return hours.add_time_off(session, the_actor(), technician_id or 0, typed, now, seen)
                return hours.edit_time_off(session, the_actor(), key, version, typed, now, seen)

            outcome = save(form, use_case)
            if outcome.saved is not None:
                flash(gettext("The time off is saved."), "ok")
                return redirect(self.get_url(".index"))
        names = technician_names(db.session())
        form.technician.choices = [("", gettext("Choose")), *((str(key), name) for key, name in names.items())]
        differences = None
        if outcome.conflict and key is not None:
            stored = find(db.session(), TimeOff, key)
            differences = differences_of(form, _time_off_form(stored))
            form.renew(stored.version)
        name = find(db.session(), Technician, owner).name if owner is not None else ""
        title = gettext("Time off of %(name)s", name=name) if name else gettext("Add time off")
        return self._form_page(
            "admin/hours/time_off_form.html",
            form,
            outcome,
            differences,
            title=title,
            key=key,
            close=self.get_url(".index"),
        )

    # Holidays

    @expose("/holidays/")
    def holiday_list(self) -> ResponseReturnValue:
        """Show the holidays to come, or those that are past."""
        past, cursor = "past" in request.args, cursor_from(request.args, HOLIDAYS_BY)
        page = queries.list_holidays(db.session(), formats.today(), past, cursor=cursor)
        return self._list("admin/hours/holidays.html", ".holiday_list", page, past)

    @expose("/holidays/new", methods=("GET", "POST"))
    @shows_again
    def new_holiday(self) -> ResponseReturnValue:
        """Add a holiday of the partner's own."""
        _demand_settings()
        return self._holiday(HolidayForm(request.form if request.method == "POST" else None), None)

    @expose("/holidays/<int:holiday_id>", methods=("GET", "POST"))
    @shows_again
    def edit_holiday(self, holiday_id: int) -> ResponseReturnValue:
        """Change a holiday."""
        _demand_settings()
        holiday = find(db.session(), Holiday, holiday_id)
        refusal = holiday_refusal(holiday, formats.today())
        if refusal is not None:
            raise Refused(refusal)
        form = HolidayForm(request.form) if request.method == "POST" else _holiday_form(holiday)
        return self._holiday(form, holiday)

    @expose("/holidays/<int:holiday_id>/delete", methods=("POST",))
    def delete_holiday(self, holiday_id: int) -> ResponseReturnValue:
        """Take a holiday back."""
        _demand_settings()
        with unit_of_work(db.session()) as session:
            holiday = hours.delete_holiday(session, the_actor(), holiday_id, formats.now())
            name, day = holiday.name, holiday.day
        flash(gettext("%(day)s is no holiday any more (%(name)s).", day=formats.day(day), name=name), "ok")
        return redirect(self.get_url(".index"))

    def _holiday(self, form: HolidayForm, holiday: Holiday | None) -> ResponseReturnValue:
        key = holiday.id if holiday is not None else None
        name = holiday.name if holiday is not None else None
        partner_id = the_partner_id(the_actor())
        outcome = Outcome()
        if request.method == "POST" and form.validate():
            version, now = form.version.data or 0, formats.now()

            def use_case(session: Session, seen: Seen) -> Holiday:
                typed = form.read()
                if key is None:
                    return hours.add_holiday(session, the_actor(), partner_id, typed, now, seen)
                return hours.edit_holiday(session, the_actor(), key, version, typed, now, seen)

            outcome = save(form, use_case)
            if outcome.saved is not None:
                flash(gettext("The holiday is saved."), "ok")
                return redirect(self.get_url(".index"))
        differences = None
        if outcome.conflict and key is not None:
            stored = find(db.session(), Holiday, key)
            differences = differences_of(form, _holiday_form(stored))
            form.renew(stored.version)
        return self._form_page(
            "admin/hours/holiday_form.html",
            form,
            outcome,
            differences,
            title=name or gettext("Add holiday"),
            key=key,
            close=self.get_url(".index"),
        )

    @expose("/holidays/import", methods=("GET", "POST"))
    def import_view(self) -> ResponseReturnValue:
        """Take over the public holidays of a country or region: choose, look, import."""
        _demand_settings()
        partner_id, this_year = the_partner_id(the_actor()), formats.today().year
        sent = request.form if request.method == "POST" else request.args
        form = ImportForm(sent if sent else None)
        if not sent:
            form.country.data = _usual_country()
            # Visits are planned into the next year long before this one is over.
            form.first.data, form.last.data = str(this_year), str(this_year + 1)
        found = _found(form, this_year)
        outcome = Outcome()
        if request.method == "POST" and not form.errors:
            chosen = set(request.form.getlist("day"))
            days = [one for one in found if one.day.isoformat() in chosen]
            now = formats.now()
            if not days:
                form.country.errors = [gettext("Tick the days to import")]
            else:
                outcome = save(
                    form,
                    lambda session, seen: (hours.import_holidays(session, the_actor(), partner_id, days, now, seen),),
                )
            if outcome.saved is not None:
                (number,) = outcome.saved
                added = ngettext("%(num)d holiday is added.", "%(num)d holidays are added.", number)
                flash(added if number else gettext("Nothing to add: all of these are holidays already."), "ok")
                return redirect(self.get_url(".index"))
        else:
            chosen = {one.day.isoformat() for one in found}
        known = queries.holidays_between(db.session(), found[0].day, found[-1].day) if found else {}
        locale = get_locale()
        form.country.choices = [
            ("", gettext("Choose")),
            *sorted(
                ((code, str(locale.territories.get(code, code))) for code in countries()), key=lambda choice: choice[1]
            ),
        ]
        form.region.choices = [
            ("", gettext("The whole country")),
            *sorted(regions(form.country.data or "").items(), key=lambda choice: choice[1]),
        ]
        years = [str(year) for year in range(this_year, this_year + YEARS_AHEAD)]
        form.first.choices = form.last.choices = [(year, year) for year in years]
        return self._form_page(
            "admin/hours/import.html", form, outcome, None, title=gettext("Import public holidays"), found=found,
            known=known, chosen=chosen, close=self.get_url(".index"),
        )  # fmt: skip

    # Common to all

    def _list(self, template: str, endpoint: str, page: Any, past: bool) -> ResponseReturnValue:
        more = {"past": "1"} if past else {}

        def to(cursor: Cursor | None) -> str | None:
            return str(self.get_url(endpoint, **more, **cursor_args(cursor))) if cursor is not None else None

        return self.render(
            template,
            rows=page.rows,
            past=past,
            back_url=to(page.back),
            forward_url=to(page.forward),
            may_set=_may_set(),
            length_of=absence_text,
        )

    def _form_page(
        self, template: str, form: Any, outcome: Outcome, differences: Any, **context: Any
    ) -> ResponseReturnValue:
        wrong = bool(form.errors)
        page = self.render(
            template,
            form=form,
            affected=outcome.affected,
            differences=differences,
            form_has_errors=wrong or differences is not None,
            **context,
        )
        return page, 409 if differences is not None else 422 if wrong else 200


# Reading and words


def weekday_names() -> list[str]:
    """Return the names of the weekdays from Monday on."""
    return [str(format_date(MONDAY + timedelta(days=day), "cccc", locale=get_locale())) for day in range(len(DAYS))]


def week_lines(week: Stretches) -> list[tuple[str, str]]:
    """Return each weekday with its hours, blank where nobody works."""
    return [(name, day_text(week.get(weekday, ()))) for weekday, name in enumerate(weekday_names())]


def week_text(week: Stretches) -> str:
    """Return a week in a line: "Monday 8:00–16:00; Tuesday 8:00–12:00"."""
    return "; ".join(f"{name} {text}" for name, text in week_lines(week) if text)


def day_text(stretches: Sequence[tuple[int, int]]) -> str:
    """Return the hours of a day: "8:00–12:00, 13:00–17:00"."""
    return ", ".join(f"{clock_text(start)}–{clock_text(end)}" for start, end in stretches)


def absence_text(absence: Any) -> str:
    """Return when somebody is off: whole days by their dates, else with the time of day."""
    zone = formats.zone_of()
    first, last = formats.local_day(absence.start_at, zone), formats.local_day(absence.end_at, zone)
    begins, ends = (_is_midnight(instant) for instant in (absence.start_at, absence.end_at))
    if begins and ends:
        last -= timedelta(days=1)
        return formats.day(first) if first == last else f"{formats.day(first)} – {formats.day(last)}"
    if first == last:
        return formats.window(absence.start_at, absence.end_at)
    start, end = (f"{formats.day(one)}, {formats.clock(one)}" for one in (absence.start_at, absence.end_at))
    return f"{start} – {end}"


def _is_midnight(instant: Any) -> bool:
    day = formats.local_day(instant)
    return bool(formats.local_day(instant - timedelta(microseconds=1)) != day)


def _time_off_form(absence: TimeOff) -> TimeOffForm:
    zone = formats.zone_of()
    start, end = absence.start_at.astimezone(zone), absence.end_at.astimezone(zone)
    whole_end = _is_midnight(absence.end_at)
    return TimeOffForm(
        data={
            "version": absence.version,
            "technician": str(absence.technician_id),
            "first": start.date().isoformat(),
            "begins": "" if _is_midnight(absence.start_at) else start.strftime("%H:%M"),
            "last": (end.date() - timedelta(days=1) if whole_end else end.date()).isoformat(),
            "ends": "" if whole_end else end.strftime("%H:%M"),
            "note": absence.note,
        }
    )


def _holiday_form(holiday: Holiday) -> HolidayForm:
    return HolidayForm(data={"version": holiday.version, "day": holiday.day.isoformat(), "name": holiday.name})


def _week_differences(form: WeekForm, stored: Stretches, company: Stretches) -> list[Difference]:
    theirs = type(form)()
    theirs.fill(stored, company)
    found = []
    if isinstance(form, OwnWeekForm) and isinstance(theirs, OwnWeekForm) and form.own.data != theirs.own.data:
        found = [Difference(str(form.own.label.text), readable(form.own), readable(theirs.own))]
    for name, words in zip(DAYS, weekday_names(), strict=True):
        mine, other = (
            ", ".join(
                f"{entry.form.start.data}–{entry.form.end.data}"
                for entry in each.lines(name)
                if entry.form.start.data or entry.form.end.data
            )
            for each in (form, theirs)
        )
        if mine != other:
            found.append(Difference(words, mine, other))
    return found


def _found(form: ImportForm, this_year: int) -> list[HolidayInput]:
    """Return the holidays that ``form`` asks for; what is wrong with it is said at its fields."""
    years = [whole(field.data) for field in (form.first, form.last)]
    allowed = range(this_year, this_year + YEARS_AHEAD)
    for field, year in zip((form.first, form.last), years, strict=True):
        if year not in allowed:
            field.errors = [gettext("Choose a year from %(first)s to %(last)s", first=allowed[0], last=allowed[-1])]
    first, last = years
    if first in allowed and last in allowed and first is not None and last is not None:
        try:
            # Either way round means the same.
            span = range(min(first, last), max(first, last) + 1)
            return public_holidays(form.country.data or "", _region(form), span, str(get_locale()))
        except Invalid as refused:
            add_errors(form, refused.errors)
    return []


def _region(form: ImportForm) -> str:
    region = form.region.data or ""
    # Left over from another country that was chosen before.
    if request.method != "POST" and region not in regions(form.country.data or ""):
        form.region.data = region = ""
    return region


def _usual_country() -> str:
    country = get_global("zone_territories").get(formats.zone_of().key, "")
    return country if country in countries() else ""


def _may_set() -> bool:
    return the_actor().may(Permission.MANAGE_SETTINGS)


def _demand_settings() -> None:
    if not _may_set():
        abort(403)


def views() -> list[BaseView]:
    """Return the views of this subject, in the order of the menu."""
    return [HoursView(name=lazy_gettext("Hours and holidays"), category="Set-up", endpoint="hours", url="/admin/hours")]
