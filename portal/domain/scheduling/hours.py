"""The use cases of working hours, time off and holidays (L1, P16), and what they do to visits planned already (P21).

Each runs within one ``unit_of_work`` on rows of the session's scope; ``now`` is an instant. They raise ``NotFound`` for
what is out of it, ``Invalid`` for input, ``Conflict`` for a form from before somebody else's change, and ``HitsVisits``
where coming visits become impossible that are not among ``seen``; then nothing is changed. What ``actor`` did change
is on the audit trail.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.errors import (
    Conflict,
    DomainError,
    Invalid,
    Refusal,
    Refused,
    Sentence,
    changed_meanwhile,
    sentence,
    too_long,
)
from portal.domain.jobs.models import Appointment
from portal.domain.jobs.states import ACTIVE
from portal.domain.lookup import find, lock, lock_technicians
from portal.domain.people.models import Partner, Technician
from portal.domain.scheduling.hits import ComingVisit, Reason, Rota, newly, reasons
from portal.domain.scheduling.models import DAY_MINUTES, Holiday, TimeOff, VisitHit, WorkingHours
from portal.domain.scheduling.queries import Stretches, coming_visits, rota_of, week_of
from portal.domain.scheduling.slots import Span
from portal.domain.scheduling.zones import MissingHour, day_span, instant_of, local_day
from portal.domain.settings_log.services import SettingKind, Subject, Values, record_setting_change, values_of
from portal.domain.texts import one_line
from portal.domain.unit_of_work import require_unit_of_work

MAX_STRETCHES = 6
MAX_NOTE = 200
MAX_HOLIDAY_NAME = 100
MAX_AHEAD = timedelta(days=5 * 365)
LOGGED = ("day", "name")
CLOCK = re.compile(r"(\d{1,2})(?:[:.](\d{2}))?")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# Which visit in which place: its key and its move number.
Seen = Collection[tuple[int, int]]
NOBODY_ASKED: Seen = frozenset()


@dataclass(frozen=True, slots=True)
class Hit:
    """A coming visit that a change makes impossible, and why."""

    visit: ComingVisit
    reasons: frozenset[Reason]


class HitsVisits(DomainError):
    """The change makes coming visits impossible that whoever asks has not been shown (P21); ``hits`` in time order."""

    def __init__(self, hits: Sequence[Hit]) -> None:
        super().__init__(f"{len(hits)} coming visits become impossible")
        self.hits = hits


# Working weeks


@dataclass(frozen=True, slots=True)
class StretchInput:
    """A stretch of working hours as typed, such as 8:00 and 24:00; ``field`` is how the names of its fields begin."""

    weekday: int
    start: str
    end: str
    field: str

    @property
    def is_blank(self) -> bool:
        """Whether nothing was typed."""
        return not (self.start.strip() or self.end.strip())


def version_of(week: Mapping[int, Sequence[tuple[int, int]]]) -> int:
    """Return a number that stands for what is in ``week``, by which a form knows whether it was changed meanwhile."""
    return zlib.crc32(repr(sorted((day, list(stretches)) for day, stretches in week.items())).encode()) >> 1


def clock_text(minute: int) -> str:
    """Return minutes from midnight as people type them: "8:00", "24:00"."""
    return f"{minute // 60}:{minute % 60:02}"


def edit_week(
    session: Session,
    actor: Actor,
    partner_id: int,
    technician_id: int | None,
    version: int,
    stretches: Sequence[StretchInput],
    now: datetime,
    seen: Seen = NOBODY_ASKED,
) -> Stretches:
    """Change the partner's working week or, with ``technician_id``, a technician's own, and return it.

    Without stretches a technician works the partner's. ``version`` is the one of the week that the form was made from.
    """
    if technician_id is not None:
        find(session, Technician, technician_id)
    people = None if technician_id is None else [technician_id]
    before = _locked_rota(session, partner_id, now, people)
    stored = week_of(session, partner_id, technician_id)
    if version_of(stored) != version:
        raise Conflict(changed_meanwhile())
    week = _read_week(stretches)
    own = {key: hours for key, hours in before.own.items() if key != technician_id}
    if technician_id is None:
        after = replace(before, week=week)
    else:
        after = replace(before, own={**own, technician_id: week} if week else own)

    def write() -> None:
        owner = WorkingHours.technician_id
        theirs = owner.is_(None) if technician_id is None else owner == technician_id
        session.execute(delete(WorkingHours).where(WorkingHours.partner_id == partner_id, theirs))
        session.add_all(
            WorkingHours(
                partner_id=partner_id, technician_id=technician_id, weekday=weekday, start_minute=start, end_minute=end
            )
            for weekday, stretches in week.items()
            for start, end in stretches
        )

    _change(session, partner_id, now, before, after, None, seen, write)
    name = find(session, Technician, technician_id).name if technician_id is not None else ""
    subject = Subject(SettingKind.WORKING_HOURS, partner_id, technician_id, name)
    record_setting_change(session, actor, now, subject, _logged_week(stored), _logged_week(week))
    return week


def _logged_week(week: Stretches) -> dict[str, str]:
    return {
        name: ", ".join(f"{clock_text(start)}–{clock_text(end)}" for start, end in week.get(weekday, ()))
        for weekday, name in enumerate(WEEKDAYS)
    }


def _read_week(typed: Sequence[StretchInput]) -> Stretches:
    errors: dict[str, Sentence] = {}
    week: Stretches = {}
    for stretch in typed:
        if stretch.is_blank:
            continue
        start, end = _minute(stretch.start), _minute(stretch.end)
        # Midnight at the end of a day is written both ways.
        end = DAY_MINUTES if end == 0 else end
        wrong = sentence("Enter a time from 0:00 to 24:00, such as 8:00")
        if start is None or start == DAY_MINUTES:
            errors[f"{stretch.field}-start"] = wrong
        if end is None:
            errors[f"{stretch.field}-end"] = wrong
        if start is None or end is None or f"{stretch.field}-start" in errors:
            continue
        if end <= start:
            errors[f"{stretch.field}-end"] = sentence(
                "The end has to be after %(start)s; a night is two stretches, until 24:00 and from 0:00",
                start=clock_text(start),
            )
            continue
        known = week.setdefault(stretch.weekday, [])
        other = next((one for one in known if start < one[1] and one[0] < end), None)
        if other is not None:
            errors[f"{stretch.field}-start"] = sentence(
                "This overlaps with %(start)s–%(end)s", start=clock_text(other[0]), end=clock_text(other[1])
            )
        elif len(known) >= MAX_STRETCHES:
            errors[f"{stretch.field}-start"] = sentence("A day has %(limit)s stretches at most", limit=MAX_STRETCHES)
        else:
            known.append((start, end))
    if errors:
        raise Invalid(errors)
    return {weekday: sorted(week[weekday]) for weekday in range(len(WEEKDAYS)) if weekday in week}


def _minute(text: str) -> int | None:
    found = CLOCK.fullmatch(text.strip()) if text.isascii() else None
    if found is None:
        return None
    hours, minutes = int(found[1]), int(found[2] or 0)
    return hours * 60 + minutes if minutes < 60 and hours * 60 + minutes <= DAY_MINUTES else None


# Time off


@dataclass(frozen=True, slots=True)
class TimeOffInput:
    """An absence as typed: from a local date and clock to another; without clocks whole days, the last one included."""

    first: date
    last: date
    begins: time | None = None
    ends: time | None = None
    note: str = ""


def add_time_off(
    session: Session, actor: Actor, technician_id: int, form: TimeOffInput, now: datetime, seen: Seen = NOBODY_ASKED
) -> TimeOff:
    """Give a technician time off and return it."""
    partner_id = find(session, Technician, technician_id).partner_id
    before = _locked_rota(session, partner_id, now, [technician_id])
    span, note = _read_time_off(session, technician_id, None, form, before.zone, now)
    if span.end <= now:
        raise Invalid({"last": sentence("That is over already")})
    absence = TimeOff(
        partner_id=partner_id, technician_id=technician_id, start_at=span.start, end_at=span.end, note=note
    )
    after = _with_time_off(before, technician_id, None, span)
    _change(session, partner_id, now, before, after, technician_id, seen, lambda: session.add(absence))
    _log_time_off(session, actor, now, absence, {}, _logged_time_off(absence, before.zone))
    return absence


def edit_time_off(
    session: Session,
    actor: Actor,
    time_off_id: int,
    version: int,
    form: TimeOffInput,
    now: datetime,
    seen: Seen = NOBODY_ASKED,
) -> TimeOff:
    """Change an absence that is not over; one that is stays on record. ``version`` is the one of the form."""
    absence, before = _open_time_off(session, time_off_id, now)
    if absence.version != version:
        raise Conflict(changed_meanwhile())
    span, note = _read_time_off(session, absence.technician_id, absence.id, form, before.zone, now)
    after = _with_time_off(before, absence.technician_id, Span(absence.start_at, absence.end_at), span)

    def write() -> None:
        absence.start_at, absence.end_at, absence.note = span.start, span.end, note

    old = _logged_time_off(absence, before.zone)
    _change(session, absence.partner_id, now, before, after, absence.technician_id, seen, write)
    _log_time_off(session, actor, now, absence, old, _logged_time_off(absence, before.zone))
    return absence


def delete_time_off(session: Session, actor: Actor, time_off_id: int, now: datetime) -> TimeOff:
    """Take back an absence that is not over, and return what it was."""
    absence, before = _open_time_off(session, time_off_id, now)
    after = _with_time_off(before, absence.technician_id, Span(absence.start_at, absence.end_at), None)
    _change(
        session,
        absence.partner_id,
        now,
        before,
        after,
        absence.technician_id,
        NOBODY_ASKED,
        lambda: session.delete(absence),
    )
    _log_time_off(session, actor, now, absence, _logged_time_off(absence, before.zone), {})
    return absence


def _logged_time_off(absence: TimeOff, zone: ZoneInfo) -> dict[str, str]:
    start, end = (f"{one.astimezone(zone):%Y-%m-%d %H:%M}" for one in (absence.start_at, absence.end_at))
    return {"begins": start, "ends": end, "note": absence.note}


def _log_time_off(
    session: Session, actor: Actor, now: datetime, absence: TimeOff, before: Values, after: Values
) -> None:
    name = find(session, Technician, absence.technician_id).name
    subject = Subject(SettingKind.TIME_OFF, absence.partner_id, absence.id, name)
    record_setting_change(session, actor, now, subject, before, after)


def time_off_refusal(absence: TimeOff, now: datetime) -> Refusal | None:
    """Say why an absence can be neither changed nor taken back at ``now``, or ``None``."""
    if absence.end_at <= now:
        return Refusal("over", sentence("This time off is over; it stays on record."))
    return None


def _open_time_off(session: Session, time_off_id: int, now: datetime) -> tuple[TimeOff, Rota]:
    found = find(session, TimeOff, time_off_id)
    before = _locked_rota(session, found.partner_id, now, [found.technician_id])
    absence = lock(session, TimeOff, time_off_id)
    refusal = time_off_refusal(absence, now)
    if refusal is not None:
        raise Refused(refusal)
    return absence, before


def _with_time_off(rota: Rota, technician_id: int, without: Span | None, added: Span | None) -> Rota:
    spans = [span for span in rota.time_off.get(technician_id, ()) if span != without]
    spans += [added] if added is not None else []
    return replace(rota, time_off={**rota.time_off, technician_id: spans})


def _read_time_off(
    session: Session, technician_id: int, key: int | None, form: TimeOffInput, zone: ZoneInfo, now: datetime
) -> tuple[Span, str]:
    errors: dict[str, Sentence] = {}
    note = one_line(form.note)
    if len(note) > MAX_NOTE:
        errors["note"] = too_long(MAX_NOTE)
    today = local_day(now, zone)
    for name, day in (("first", form.first), ("last", form.last)):
        if abs(day - today) > MAX_AHEAD:
            errors[name] = sentence("Choose a date within five years")
    if not errors and form.last < form.first:
        errors["last"] = sentence("The end is before the start")
    if errors:
        raise Invalid(errors)
    start = _instant(form.first, form.begins, zone, "begins") if form.begins else day_span(form.first, zone)[0]
    end = _instant(form.last, form.ends, zone, "ends") if form.ends else day_span(form.last, zone)[1]
    if end <= start:
        raise Invalid({"ends": sentence("The end is before the start")})
    overlapping = select(TimeOff).where(
        TimeOff.technician_id == technician_id, TimeOff.start_at < end, TimeOff.end_at > start, TimeOff.id != (key or 0)
    )
    other = session.scalars(overlapping.order_by(TimeOff.start_at).limit(1)).first()
    if other is not None:
        taken = sentence(
            "There is time off then already, from %(start)s to %(end)s; change that one",
            start=other.start_at,
            end=other.end_at,
        )
        raise Invalid({"first": taken})
    return Span(start, end), note


def _instant(day: date, clock: time, zone: ZoneInfo, field: str) -> datetime:
    try:
        return instant_of(day, clock, zone)
    except MissingHour:
        raise Invalid({field: sentence("That time does not exist on that day: the clocks go forward")}) from None


# Holidays


@dataclass(frozen=True, slots=True)
class HolidayInput:
    """A local date on which nobody works, and what it is called."""

    day: date
    name: str


def add_holiday(
    session: Session, actor: Actor, partner_id: int, form: HolidayInput, now: datetime, seen: Seen = NOBODY_ASKED
) -> Holiday:
    """Add a holiday of the partner's own and return it."""
    before = _locked_rota(session, partner_id, now)
    name = _read_holiday(session, partner_id, None, form, local_day(now, before.zone))
    holiday = Holiday(partner_id=partner_id, day=form.day, name=name)
    after = replace(before, holidays=before.holidays | {form.day})
    _change(session, partner_id, now, before, after, None, seen, lambda: session.add(holiday))
    _log_holiday(session, actor, now, holiday, {}, values_of(holiday, LOGGED))
    return holiday


def edit_holiday(
    session: Session,
    actor: Actor,
    holiday_id: int,
    version: int,
    form: HolidayInput,
    now: datetime,
    seen: Seen = NOBODY_ASKED,
) -> Holiday:
    """Change a holiday that is not past. ``version`` is the one of the form."""
    holiday, before = _open_holiday(session, holiday_id, now)
    if holiday.version != version:
        raise Conflict(changed_meanwhile())
    name = _read_holiday(session, holiday.partner_id, holiday.id, form, local_day(now, before.zone))
    after = replace(before, holidays=(before.holidays - {holiday.day}) | {form.day})

    def write() -> None:
        holiday.day, holiday.name = form.day, name

    old = values_of(holiday, LOGGED)
    _change(session, holiday.partner_id, now, before, after, None, seen, write)
    _log_holiday(session, actor, now, holiday, old, values_of(holiday, LOGGED))
    return holiday


def delete_holiday(session: Session, actor: Actor, holiday_id: int, now: datetime) -> Holiday:
    """Take back a holiday that is not past, and return what it was."""
    holiday, before = _open_holiday(session, holiday_id, now)
    after = replace(before, holidays=before.holidays - {holiday.day})
    _change(session, holiday.partner_id, now, before, after, None, NOBODY_ASKED, lambda: session.delete(holiday))
    _log_holiday(session, actor, now, holiday, values_of(holiday, LOGGED), {})
    return holiday


def _log_holiday(
    session: Session, actor: Actor, now: datetime, holiday: Holiday, before: Values, after: Values
) -> None:
    subject = Subject(SettingKind.HOLIDAY, holiday.partner_id, holiday.id, holiday.name)
    record_setting_change(session, actor, now, subject, before, after)


def import_holidays(
    session: Session,
    actor: Actor,
    partner_id: int,
    days: Sequence[HolidayInput],
    now: datetime,
    seen: Seen = NOBODY_ASKED,
) -> int:
    """Add those of ``days`` that are no holidays yet and return how many that were; a second time there are none."""
    before = _locked_rota(session, partner_id, now)
    known = set(session.scalars(select(Holiday.day).where(Holiday.partner_id == partner_id)))
    named = {one.day: one_line(one.name)[:MAX_HOLIDAY_NAME] for one in days if one.day not in known}
    added = [Holiday(partner_id=partner_id, day=day, name=name) for day, name in sorted(named.items())]
    after = replace(before, holidays=before.holidays | set(named))
    _change(session, partner_id, now, before, after, None, seen, lambda: session.add_all(added))
    for holiday in added:
        _log_holiday(session, actor, now, holiday, {}, values_of(holiday, LOGGED))
    return len(added)


def holiday_refusal(holiday: Holiday, today: date) -> Refusal | None:
    """Say why a holiday can be neither changed nor taken back on the local date ``today``, or ``None``."""
    if holiday.day < today:
        return Refusal("over", sentence("This holiday is past; it stays on record."))
    return None


def _open_holiday(session: Session, holiday_id: int, now: datetime) -> tuple[Holiday, Rota]:
    before = _locked_rota(session, find(session, Holiday, holiday_id).partner_id, now)
    holiday = lock(session, Holiday, holiday_id)
    refusal = holiday_refusal(holiday, local_day(now, before.zone))
    if refusal is not None:
        raise Refused(refusal)
    return holiday, before


def _read_holiday(session: Session, partner_id: int, key: int | None, form: HolidayInput, today: date) -> str:
    errors: dict[str, Sentence] = {}
    name = one_line(form.name)
    if not name:
        errors["name"] = sentence("Enter what the day is called")
    elif len(name) > MAX_HOLIDAY_NAME:
        errors["name"] = too_long(MAX_HOLIDAY_NAME)
    if not today <= form.day <= today + MAX_AHEAD:
        errors["day"] = sentence("Choose a date from today on, within five years")
    same_day = select(Holiday).where(Holiday.partner_id == partner_id, Holiday.day == form.day)
    other = session.scalars(same_day).first()
    if other is not None and other.id != key:
        errors["day"] = sentence("That day is a holiday already: %(name)s", name=other.name)
    if errors:
        raise Invalid(errors)
    return name


# People


def set_technician_active(
    session: Session, actor: Actor, technician_id: int, active: bool, now: datetime, seen: Seen = NOBODY_ASKED
) -> Technician:
    """Deactivate a technician, who is then offered no more and cannot sign in, or take that back (P16)."""
    partner_id = find(session, Technician, technician_id).partner_id
    before = _locked_rota(session, partner_id, now, [technician_id])
    technician = lock(session, Technician, technician_id)
    after = replace(before, inactive=before.inactive - {technician_id} if active else before.inactive | {technician_id})

    def write() -> None:
        technician.active = active

    old = values_of(technician, ["active"])
    _change(session, partner_id, now, before, after, None, seen, write)
    subject = Subject(SettingKind.TECHNICIAN, partner_id, technician.id, technician.name)
    record_setting_change(session, actor, now, subject, old, values_of(technician, ["active"]))
    return technician


# What all of them have in common


def forget_hits(session: Session, now: datetime) -> int:
    """Forget which visits were hit once they are moved, reassigned or over, for the worker; returns how many."""
    still = (
        select(Appointment.id)
        .where(
            Appointment.id == VisitHit.appointment_id,
            Appointment.start_at == VisitHit.start_at,
            Appointment.technician_id.is_not_distinct_from(VisitHit.technician_id),
            Appointment.status.in_(sorted(ACTIVE)),
            Appointment.end_at > now,
        )
        .exists()
    )
    stale = list(session.scalars(select(VisitHit.id).where(~still)))
    if stale:
        session.execute(delete(VisitHit).where(VisitHit.id.in_(stale)))
    return len(stale)


def _locked_rota(session: Session, partner_id: int, now: datetime, people: Sequence[int] | None = None) -> Rota:
    """Lock the technicians ``people``, or the partner and all of them, and return the rota as it is now.

    Who books a visit locks its technician too, so that each of the two sees what the other did.
    """
    require_unit_of_work(session)
    if people is None:
        # The weaker lock, since every row of the partner's takes a key-share lock on it.
        query = select(Partner).where(Partner.id == partner_id).with_for_update(of=Partner, key_share=True)
        session.scalars(query, execution_options={"populate_existing": True}).one()
        people = list(session.scalars(select(Technician.id).where(Technician.partner_id == partner_id)))
    lock_technicians(session, people)
    return rota_of(session, partner_id, now)


def _change(
    session: Session,
    partner_id: int,
    now: datetime,
    before: Rota,
    after: Rota,
    technician_id: int | None,
    seen: Seen,
    write: Callable[[], None],
) -> None:
    """Change the rota: ask about the coming visits that it hits, write it, and note which visits it leaves impossible.

    With ``technician_id`` only their visits can be concerned; without it also those of nobody yet, since somebody's own
    week decides as well when anybody works at all.
    """
    visits = coming_visits(session, partner_id, now, technician_id)
    hits = [Hit(visit, found) for visit in visits if (found := newly(visit, before, after))]
    if not {(hit.visit.id, hit.visit.move_number) for hit in hits} <= set(seen):
        raise HitsVisits(hits)
    write()
    session.flush()
    _note(session, partner_id, visits, {hit.visit.id: hit.reasons for hit in hits}, after)


def _note(
    session: Session, partner_id: int, visits: Sequence[ComingVisit], new: Mapping[int, frozenset[Reason]], after: Rota
) -> None:
    keys = {visit.id: visit for visit in visits}
    query = select(VisitHit).where(VisitHit.partner_id == partner_id)
    known = {row.appointment_id: row for row in session.scalars(query) if row.appointment_id in keys}
    for visit in visits:
        row = known.get(visit.id)
        found = set(new.get(visit.id, ()))
        if row is not None and (row.start_at, row.technician_id) == (visit.span.start, visit.technician_id):
            found |= {one for one in reasons(visit, after) if one in row.codes}
        if row is not None and not found:
            session.delete(row)
        elif found:
            row = row or VisitHit(partner_id=partner_id, appointment_id=visit.id)
            row.start_at, row.technician_id = visit.span.start, visit.technician_id
            row.codes = [str(one) for one in Reason if one in found]
            session.add(row)
    session.flush()
