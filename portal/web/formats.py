"""Dates and times as people read them, in the partner's zone and the reader's language.

Each function takes ``of``: a ``PartnerInfo``, a partner's id or a ``ZoneInfo``; left out, the page's own partner.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime, format_interval, format_skeleton
from babel.numbers import format_decimal, format_percent
from flask import Flask, g
from flask_babel import get_locale, gettext, ngettext

from portal.web.partners import PartnerInfo, current_partner, partner_info

Of = PartnerInfo | ZoneInfo | int | None

HOUR = 60
# A time of day is shown alike on each.
ANY_DAY = date(2000, 1, 1)
# Where Babel's skeletons bring commas or leading noughts that the design language does not have.
PATTERNS = {
    "en": {"MMMEd": "EEE d MMM", "yMMMEd": "EEE d MMM y", "Hm": "H:mm"},
    "de": {"Hm": "H:mm"},
}


def now() -> datetime:
    """Return this instant in UTC, the same throughout a request so that a page does not disagree with itself."""
    instant: datetime = g.setdefault("now", datetime.now(UTC))
    return instant


def zone_of(of: Of = None) -> ZoneInfo:
    """Return the zone of ``of``; UTC where a page belongs to no single partner."""
    if isinstance(of, ZoneInfo):
        return of
    if isinstance(of, int):
        of = partner_info(of)
    info = of or current_partner()
    return info.zone if info else ZoneInfo("UTC")


def local_day(instant: datetime, of: Of = None) -> date:
    """Return the calendar day of ``instant`` where ``of`` is."""
    return instant.astimezone(zone_of(of)).date()


def today(of: Of = None) -> date:
    """Return today's date where ``of`` is."""
    return local_day(now(), of)


def _shape(value: datetime, skeleton: str) -> str:
    # The value is local already; babel must not move it again.
    return _shaped(value.replace(tzinfo=None), skeleton, str(get_locale()))


# A page shows the same few days and times over and over.
@lru_cache(maxsize=4096)
def _shaped(plain: datetime, skeleton: str, language: str) -> str:
    locale = Locale.parse(language)
    pattern = PATTERNS.get(locale.language, {}).get(skeleton)
    if pattern:
        return format_datetime(plain, pattern, locale=locale)
    return format_skeleton(skeleton, plain, locale=locale)


def day(value: datetime | date, of: Of = None, year: bool | None = None) -> str:
    """Return "Tue 24 Nov"; with the year when it is not this one, or as ``year`` says."""
    local = (
        value.astimezone(zone_of(of)) if isinstance(value, datetime) else datetime.combine(value, datetime.min.time())
    )
    with_year = local.year != today(of).year if year is None else year
    local = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return _shape(local, "yMMMEd" if with_year else "MMMEd")


def short_day(value: date) -> str:
    """Return "26 Oct"."""
    return _shape(datetime.combine(value, datetime.min.time()), "MMMd")


def weekday(value: date) -> str:
    """Return "Tue"."""
    return str(format_date(value, "ccc", locale=get_locale()))


def month(value: date, year: bool = True) -> str:
    """Return "November 2026", or the month's name alone."""
    if not year:
        return str(format_date(value, "LLLL", locale=get_locale()))
    return _shape(datetime.combine(value, datetime.min.time()), "yMMMM")


def days(first: date, last: date) -> str:
    """Return "23–29 Nov 2026": two dates and all between."""
    return str(format_interval(first, last, "yMMMd", locale=get_locale()))


def clock(value: datetime, of: Of = None) -> str:
    """Return "9:00"; in an hour that comes twice also which of the two: "1:30 (UTC+1)"."""
    local = value.astimezone(zone_of(of))
    text = _shape(datetime.combine(ANY_DAY, local.time()), "Hm")
    if local.replace(fold=0).utcoffset() == local.replace(fold=1).utcoffset():
        return text
    return f"{text} ({_offset(local)})"


def _offset(local: datetime) -> str:
    minutes = (local.utcoffset() or timedelta()) // timedelta(minutes=1)
    whole, rest = divmod(abs(minutes), HOUR)
    return f"UTC{'-' if minutes < 0 else '+'}{whole}" + (f":{rest:02}" if rest else "")


def leaf(value: datetime, of: Of = None) -> tuple[str, str, str]:
    """Return weekday, day and month as a leaf of a calendar shows them: ("Tue", "24", "Nov")."""
    plain, locale = value.astimezone(zone_of(of)).replace(tzinfo=None), get_locale()
    weekday, number, month = (format_datetime(plain, pattern, locale=locale) for pattern in ("EEE", "d", "LLL"))
    return weekday, number, month


def hours(start: datetime, end: datetime | int, of: Of = None) -> str:
    """Return "9:00–11:00" for an instant and an end, or a length in minutes."""
    finish = start + timedelta(minutes=end) if isinstance(end, int) else end
    return f"{clock(start, of)}–{clock(finish, of)}"


def window(start: datetime, end: datetime | int, of: Of = None) -> str:
    """Return "Tue 24 Nov, 9:00–11:00" for an instant and an end, or a length in minutes."""
    return f"{day(start, of)}, {hours(start, end, of)}"


def relative(value: datetime | date, of: Of = None) -> str:
    """Return "today", "tomorrow", "in 4 days", "3 days ago": beside a date, never instead of it."""
    that = local_day(value, of) if isinstance(value, datetime) else value
    days = (that - today(of)).days
    if days == 0:
        return str(gettext("today"))
    if days == 1:
        return str(gettext("tomorrow"))
    if days == -1:
        return str(gettext("yesterday"))
    if days > 0:
        return str(ngettext("in %(num)d day", "in %(num)d days", days))
    return str(ngettext("%(num)d day ago", "%(num)d days ago", -days))


def when(value: datetime, of: Of = None) -> str:
    """Return "today, 9:36" or "Mon 2 Nov, 16:30": an instant that is over or coming, to the minute."""
    that = gettext("today") if local_day(value, of) == today(of) else day(value, of)
    return f"{that}, {clock(value, of)}"


def number(value: int) -> str:
    """Return "1,234" with the signs that the reader's language puts between digits."""
    return _numbered(value, str(get_locale()))


def average(value: float) -> str:
    """Return "4.3" with the sign that the reader's language puts before tenths."""
    return str(format_decimal(value, format="0.0", locale=get_locale()))


def percent(share: float) -> str:
    """Return "87 %" as the reader's language writes it, for a part from 0 to 1."""
    return str(format_percent(share, locale=get_locale()))


@lru_cache(maxsize=4096)
def _numbered(value: int, language: str) -> str:
    return str(format_decimal(value, locale=Locale.parse(language)))


def distance(km: float) -> str:
    """Return "about 3 km", below one "about 400 m"."""
    if km < 1:
        return str(gettext("about %(distance)s m", distance=number(max(1, round(km * 10)) * 100)))
    return str(gettext("about %(distance)s km", distance=number(round(km))))


def length(minutes: int) -> str:
    """Return "6 hours", "45 minutes" or "1 hour 30 minutes"."""
    whole, rest = divmod(minutes, HOUR)
    parts = []
    if whole:
        parts.append(str(ngettext("%(num)d hour", "%(num)d hours", whole)))
    if rest or not whole:
        parts.append(str(ngettext("%(num)d minute", "%(num)d minutes", rest)))
    return " ".join(parts)


def duration(minutes: int) -> str:
    """Return "about 6 hours": what customers are told of a visit's length."""
    return str(gettext("about %(length)s", length=length(minutes)))


def moment(value: datetime, of: Of = None) -> str:
    """Return "Mon 23 Nov, 9:00": an instant as a letter says it, which may be read on another day."""
    return f"{day(value, of)}, {clock(value, of)}"


def init_app(app: Flask) -> None:
    """Make all of these filters of the templates of ``app``, and ``now`` and ``today`` functions."""
    for function in (day, short_day, weekday, clock, leaf, hours, window, relative, when, duration, number, distance):
        app.jinja_env.filters[function.__name__] = function
    # Jinja has a filter `length` of its own, which Flask-Admin's templates use.
    app.jinja_env.filters["how_long"] = length
    app.jinja_env.globals.update(now=now, today=today)
