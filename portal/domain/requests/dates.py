"""Preferred dates: up to three, each for the morning, the afternoon or any time, in the partner's zone (C5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from enum import StrEnum
from zoneinfo import ZoneInfo

from portal.domain.errors import Sentence, sentence
from portal.domain.scheduling.zones import day_span, instant_at_or_after

MOST_DATES = 3
# Further ahead nobody plans; as for a visit.
MOST_DAYS_AHEAD = 5 * 365
NOON = time(12)
PAST = sentence("Choose a date that is not in the past")


class Part(StrEnum):
    """When on a day."""

    ANY = "any"
    MORNING = "morning"
    AFTERNOON = "afternoon"


@dataclass(frozen=True, slots=True)
class PreferredDate:
    """A local date and when on it."""

    day: date
    part: Part = Part.ANY

    @classmethod
    def of(cls, kept: Mapping[str, str]) -> PreferredDate:
        """Return the date that a row holds."""
        return cls(date.fromisoformat(kept["day"]), Part(kept["part"]))

    def kept(self) -> dict[str, str]:
        """Return it as a row holds it."""
        return {"day": self.day.isoformat(), "part": self.part.value}

    def until(self, zone: ZoneInfo) -> datetime:
        """Return the instant at which it is over; ``OverflowError`` at the ends of the calendar."""
        if self.part is Part.MORNING:
            return instant_at_or_after(self.day, NOON, zone)
        return day_span(self.day, zone)[1]


def date_errors(dates: Sequence[PreferredDate | None], now: datetime, zone: ZoneInfo) -> dict[str, Sentence]:
    """Return what is wrong with the dates of a form, by field; ``None`` stands for one left blank.

    ``now`` is an instant, ``zone`` the one in which the dates are meant.
    """
    errors: dict[str, Sentence] = {}
    today = now.astimezone(zone).date()
    for index, wish in enumerate(dates):
        if wish is None:
            continue
        # Compared as dates first: at the ends of the calendar there are no instants.
        if wish.day < today or (wish.day == today and wish.until(zone) <= now):
            errors[f"dates-{index}-day"] = PAST
        elif (wish.day - today).days > MOST_DAYS_AHEAD:
            errors[f"dates-{index}-day"] = sentence("Choose a date within the next five years")
    return errors


def kept_dates(dates: Sequence[PreferredDate | None]) -> list[dict[str, str]]:
    """Return the dates as a row holds them, each once, without those left blank."""
    return [wish.kept() for wish in dict.fromkeys(wish for wish in dates if wish is not None)][:MOST_DATES]
