"""How far a technician is away and when they arrive: plain arithmetic (``scheduling.md``, Arrival estimate)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import asin, ceil, cos, radians, sin, sqrt
from typing import Protocol

EARTH_KM = 6371.0
MINUTES = 60


class Place(Protocol):
    """Anything with latitude and longitude in degrees, ``None`` where not known."""

    @property
    def latitude(self) -> float | None:
        """Degrees north."""

    @property
    def longitude(self) -> float | None:
        """Degrees east."""


class Way(Protocol):
    """What of a visit under way tells when its technician arrives."""

    @property
    def on_the_way_at(self) -> datetime | None:
        """When they set off (an instant)."""

    @property
    def eta_minutes(self) -> int | None:
        """How many minutes they gave themselves then."""


class Seen(Place, Protocol):
    """A position and when it was so."""

    @property
    def at(self) -> datetime:
        """The instant."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """When somebody is expected, and as of when that was so (both instants)."""

    expected_at: datetime
    as_of: datetime

    def may_come_true(self, now: datetime) -> bool:
        """Whether the minute in which they are expected is not over at ``now`` (an instant)."""
        return now < self.expected_at + timedelta(minutes=1)


def distance_km(start: Place, end: Place) -> float | None:
    """Return the distance as the crow flies in kilometres; ``None`` where either place has no coordinates."""
    if start.latitude is None or start.longitude is None or end.latitude is None or end.longitude is None:
        return None
    north, further_north = radians(start.latitude), radians(end.latitude)
    height = sin((further_north - north) / 2) ** 2
    width = sin(radians(end.longitude - start.longitude) / 2) ** 2
    return 2 * EARTH_KM * asin(min(1.0, sqrt(height + cos(north) * cos(further_north) * width)))


def estimate(way: Way, position: Seen | None, target: Place, speed_kmh: float, now: datetime) -> Estimate | None:
    """Return when the technician of ``way`` arrives at ``target``; ``None`` where nothing tells.

    Their own minutes at departure; else the distance from ``position`` at ``speed_kmh``, to the next whole minute.
    What lies a minute or more before ``now`` (an instant) has turned out wrong and tells nothing (C3, C4).
    """
    if way.on_the_way_at is not None and way.eta_minutes is not None:
        own = Estimate(way.on_the_way_at + timedelta(minutes=way.eta_minutes), way.on_the_way_at)
        if own.may_come_true(now):
            return own
    distance = distance_km(position, target) if position is not None else None
    if position is None or distance is None:
        return None
    seen = Estimate(position.at + timedelta(minutes=ceil(distance / speed_kmh * MINUTES)), position.at)
    return seen if seen.may_come_true(now) else None
