"""The calendar of installations: a month with its days coloured, a week or a day as a list (P11)."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any
from urllib.parse import urlencode

from flask import g, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import get_locale, gettext, lazy_gettext, ngettext
from wtforms import DateField, SelectField, ValidationError
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.validators import Optional

from portal.admin.base import AdminPage, Filters
from portal.admin.installations.listing import YEARS
from portal.domain.actor import Permission
from portal.domain.jobs.calendar import CalendarVisit, DayCounts, DayStatus, count_days, list_days
from portal.extensions import db
from portal.web import formats
from portal.web.i18n import translate, within
from portal.web.partners import current_partner
from portal.web.statuses import DONE, ENDED, ENROUTE, NEEDS, PROGRESS, SCHEDULED, Badge

MONTH, WEEK, DAY = "month", "week", "day"
WEEK_DAYS = 7
# A day with more leads to the list, which has pages.
MOST_SHOWN = 100
CSS = {
    DayStatus.EN_ROUTE: ENROUTE,
    DayStatus.IN_PROGRESS: PROGRESS,
    DayStatus.UNASSIGNED: NEEDS,
    DayStatus.SCHEDULED: SCHEDULED,
    DayStatus.DONE: DONE,
    DayStatus.ENDED: ENDED,
}
LEGEND = {
    DayStatus.EN_ROUTE: lazy_gettext("En route"),
    DayStatus.IN_PROGRESS: lazy_gettext("In progress"),
    DayStatus.SCHEDULED: lazy_gettext("Scheduled"),
    DayStatus.DONE: lazy_gettext("Approved or completed"),
    DayStatus.ENDED: lazy_gettext("Rejected or cancelled"),
}
COUNTED = {
    DayStatus.EN_ROUTE: lazy_gettext("%(num)s en route"),
    DayStatus.IN_PROGRESS: lazy_gettext("%(num)s in progress"),
    DayStatus.SCHEDULED: lazy_gettext("%(num)s scheduled"),
    DayStatus.DONE: lazy_gettext("%(num)s approved"),
    DayStatus.ENDED: lazy_gettext("%(num)s rejected or cancelled"),
}


class CalendarForm(Filters):
    """What the address says: the mode, a date in the month, week or day shown, and the day chosen in a month."""

    mode = SelectField(
        lazy_gettext("Mode"),
        default=MONTH,
        choices=[
            SelectChoice(MONTH, lazy_gettext("Month")),
            SelectChoice(WEEK, lazy_gettext("Week")),
            SelectChoice(DAY, lazy_gettext("Day")),
        ],
    )
    date = DateField(lazy_gettext("Date"), validators=[Optional()])
    day = DateField(lazy_gettext("Chosen day"), validators=[Optional()])

    def validate_date(self, field: Any) -> None:
        """Keep to years whose months and weeks lie within the calendar."""
        if field.data is not None and field.data.year not in YEARS:
            raise ValidationError(gettext("Choose a year from %(first)s to %(last)s", first=YEARS[0], last=YEARS[-1]))

    validate_day = validate_date


@dataclass(frozen=True, slots=True)
class Turn:
    """The way to the month, week or day before or after; ``url`` is ``None`` where the calendar ends."""

    text: str
    url: str | None


@dataclass(frozen=True, slots=True)
class Cell:
    """A day of the month as the table shows it; ``url`` is ``None`` for one without visits."""

    text: str
    name: str
    url: str | None
    css: str
    top: str
    total: int
    is_same: bool
    is_out: bool
    is_today: bool
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """A day of the list: its counts as badges, its visits, and how many more there are."""

    day: date
    tally: list[Badge]
    visits: list[CalendarVisit]
    more: int


class CalendarView(AdminPage):
    """Every installation on the day of its visit (P11)."""

    permission = Permission.SEE_JOBS

    def __init__(self) -> None:
        super().__init__(name=lazy_gettext("Calendar"), category="Work", endpoint="calendar", url="/admin/calendar")

    @property
    def extra_js(self) -> list[str]:
        """The script of this page, with its version in the address."""
        return [url_for("static", filename="js/calendar.js")]

    @expose("/")
    def index_view(self) -> ResponseReturnValue:
        """Show what the address asks for; what makes no sense there is left out and said."""
        asked, ignored = CalendarForm(request.args).read()
        shown = asked["date"] or asked["day"] or formats.today()
        if asked["mode"] == MONTH:
            return self._month(shown, asked["day"], ignored)
        if asked["mode"] == WEEK:
            return self._week(shown, ignored)
        return self._day(shown, ignored)

    def _month(self, shown: date, chosen: date | None, ignored: list[str]) -> ResponseReturnValue:
        session, zone, today = db.session(), formats.zone_of(), formats.today()
        first = shown.replace(day=1)
        weeks = calendar.Calendar(get_locale().first_week_day).monthdatescalendar(first.year, first.month)
        days = [day for week in weeks for day in week]
        counted = count_days(session, days, zone)
        if chosen not in counted:
            chosen = today if today.replace(day=1) == first else None
        visits = list_days(session, [chosen], zone, MOST_SHOWN)[chosen] if chosen is not None else []
        before, after = (first - timedelta(days=1)).replace(day=1), (first + timedelta(days=31)).replace(day=1)
        return self._page(
            MONTH,
            chosen or first,
            ignored,
            title=formats.month(first),
            earlier=self._turn(MONTH, before, formats.month(before, before.year != first.year)),
            later=self._turn(MONTH, after, formats.month(after, after.year != first.year)),
            weekdays=[formats.weekday(day) for day in weeks[0]],
            weeks=[[self._cell(day, first, chosen, days[0], counted[day]) for day in week] for week in weeks],
            legend=[Badge(CSS[status], _legend(status)) for status in DayStatus],
            is_empty=not any(counts.total for counts in counted.values()),
            chosen=chosen,
            visits=visits,
            more=counted[chosen].total - len(visits) if chosen is not None else 0,
        )

    def _week(self, shown: date, ignored: list[str]) -> ResponseReturnValue:
        first = shown - timedelta(days=(shown.weekday() - get_locale().first_week_day) % WEEK_DAYS)
        days = [first + timedelta(days=number) for number in range(WEEK_DAYS)]
        return self._page(
            WEEK,
            shown,
            ignored,
            title=formats.days(days[0], days[-1]),
            earlier=self._turn(WEEK, first - timedelta(days=WEEK_DAYS), gettext("Week before")),
            later=self._turn(WEEK, first + timedelta(days=WEEK_DAYS), gettext("Week after")),
            days=self._listed(days),
        )

    def _day(self, shown: date, ignored: list[str]) -> ResponseReturnValue:
        before, after = shown - timedelta(days=1), shown + timedelta(days=1)
        return self._page(
            DAY,
            shown,
            ignored,
            title=formats.day(shown, year=True),
            earlier=self._turn(DAY, before, formats.day(before)),
            later=self._turn(DAY, after, formats.day(after)),
            days=self._listed([shown]),
        )

    def _listed(self, days: list[date]) -> list[Listed]:
        session, zone = db.session(), formats.zone_of()
        counted, visits = count_days(session, days, zone), list_days(session, days, zone, MOST_SHOWN)
        return [
            Listed(
                day,
                [Badge(CSS[status], _counted(status, count)) for status, count in counted[day]],
                visits[day],
                counted[day].total - len(visits[day]),
            )
            for day in days
        ]

    def _page(self, mode: str, focus: date, ignored: list[str], **context: Any) -> ResponseReturnValue:
        """Return the page of a mode; the other modes and the date field begin at ``focus``."""
        return self.render(
            f"admin/calendar/{mode}.html",
            mode=mode,
            ignored=ignored,
            jump=focus.isoformat(),
            today_url=self._url(mode),
            modes=[
                (gettext("Month"), self._url(MONTH, focus, focus), mode == MONTH),
                (gettext("Week"), self._url(WEEK, focus), mode == WEEK),
                (gettext("Day"), self._url(DAY, focus), mode == DAY),
            ],
            today_is=formats.today(),
            shown_as=cache(lambda status, msgid: Badge(CSS[status], translate(msgid))),
            window_of=cache(formats.hours),
            unassigned=DayStatus.UNASSIGNED,
            day_url=lambda day: self._url(DAY, day),
            **context,
        )

    def _url(self, mode: str, shown: date | None = None, chosen: date | None = None) -> str:
        # One page has dozens of these, so the route is looked up once.
        if "calendar_url" not in g:
            g.calendar_url = self.get_url(".index_view")
        args = {name: day.isoformat() for name, day in (("date", shown), ("day", chosen)) if day is not None}
        return f"{g.calendar_url}?{urlencode({'mode': mode} | args)}"

    def _turn(self, mode: str, to: date, text: str) -> Turn:
        return Turn(text, self._url(mode, to) if to.year in YEARS else None)

    def _cell(self, day: date, first: date, chosen: date | None, corner: date, counts: DayCounts) -> Cell:
        is_today, top = day == formats.today(), counts.top
        begins = day.day == 1 or day == corner
        out = day.month != first.month
        return Cell(
            text=formats.short_day(day) if begins and out else str(day.day),
            name=_name(day, is_today, counts),
            # The heading of the panel is named, so that a phone shows what was asked for and focus goes there.
            url=f"{self._url(MONTH, first, day)}#day-h" if top else None,
            css=CSS[top] if top else "",
            top=_counted(top, counts.counts[top]) if top else "",
            total=counts.total,
            is_same=top is not None and counts.counts[top] == counts.total,
            is_out=out,
            is_today=is_today,
            is_chosen=day == chosen,
        )


def views() -> list[CalendarView]:
    """Return the views of this subject for the admin's menu."""
    return [CalendarView()]


def _handyman() -> str:
    """Return what the partner calls a technician, within a sentence."""
    partner = current_partner()
    return within(partner.handyman if partner is not None else gettext("Handyman"))


def _legend(status: DayStatus) -> str:
    if status is DayStatus.UNASSIGNED:
        return str(gettext("No %(handyman)s", handyman=_handyman()))
    return str(LEGEND[status])


def _counted(status: DayStatus, count: int) -> str:
    """Return "3 en route"."""
    if status is DayStatus.UNASSIGNED:
        return str(gettext("%(num)s no %(handyman)s", num=count, handyman=_handyman()))
    return str(COUNTED[status]) % {"num": count}


def _name(day: date, is_today: bool, counts: DayCounts) -> str:
    """Return what a screen reader says of a day: "Tue 24 Nov, today, 5 visits, 2 scheduled without handyman"."""
    top = counts.top
    parts = [formats.day(day), *([gettext("today")] if is_today else [])]
    if top is not None:
        number = counts.counts[top]
        parts.append(ngettext("%(num)d visit", "%(num)d visits", counts.total))
        parts.append(
            gettext("%(num)s scheduled without %(handyman)s", num=number, handyman=_handyman())
            if top is DayStatus.UNASSIGNED
            else _counted(top, number)
        )
    return ", ".join(str(part) for part in parts)
