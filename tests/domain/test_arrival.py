"""How far and until when: plain arithmetic, against distances known from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from portal.domain.tracking.arrival import Estimate, distance_km, estimate

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@dataclass
class Spot:
    latitude: float | None
    longitude: float | None
    at: datetime = NOON + 3 * MINUTE


@dataclass
class Ride:
    on_the_way_at: datetime | None = NOON
    eta_minutes: int | None = None


BRISTOL, LONDON = Spot(51.4545, -2.5879), Spot(51.5074, -0.1278)
NOWHERE = Spot(None, None)


@pytest.mark.row("C4")
def test_distances_are_those_of_the_globe() -> None:
    assert distance_km(BRISTOL, LONDON) == pytest.approx(170.4, abs=0.5)
    assert distance_km(BRISTOL, BRISTOL) == 0
    assert distance_km(Spot(0, 179.95), Spot(0, -179.95)) == pytest.approx(11.12, abs=0.01)
    assert distance_km(Spot(90, 0), Spot(-90, 0)) == pytest.approx(20_015, abs=1)
    for half in (NOWHERE, Spot(1, None), Spot(None, 1)):
        assert distance_km(half, BRISTOL) is None
        assert distance_km(BRISTOL, half) is None


@pytest.mark.row("C4")
def test_the_technicians_own_minutes_come_before_distance_and_speed() -> None:
    off = Spot(51.4545 + 0.0899, -2.5879)
    assert estimate(Ride(eta_minutes=20), off, BRISTOL, 30, NOON) == Estimate(NOON + 20 * MINUTE, NOON)
    assert estimate(Ride(eta_minutes=0), None, NOWHERE, 30, NOON) == Estimate(NOON, NOON)
    # Ten kilometres at 30 km/h, from when the position was taken.
    assert estimate(Ride(), off, BRISTOL, 30, NOON) == Estimate(off.at + 20 * MINUTE, off.at)
    assert estimate(Ride(), off, BRISTOL, 60, NOON) == Estimate(off.at + 10 * MINUTE, off.at)
    assert estimate(Ride(), BRISTOL, BRISTOL, 30, NOON) == Estimate(BRISTOL.at, BRISTOL.at)
    assert estimate(Ride(), None, BRISTOL, 30, NOON) is None
    assert estimate(Ride(), off, NOWHERE, 30, NOON) is None
    assert estimate(Ride(None, None), None, BRISTOL, 30, NOON) is None


@pytest.mark.row("C3")
@pytest.mark.row("C4")
def test_what_has_turned_out_wrong_is_no_estimate() -> None:
    off, ride = Spot(51.4545 + 0.0899, -2.5879), Ride(eta_minutes=10)
    # As long as the minute lasts they may still come in it; then their position tells, until that is over as well.
    assert estimate(ride, off, BRISTOL, 30, NOON + 10.9 * MINUTE) == Estimate(NOON + 10 * MINUTE, NOON)
    assert estimate(ride, off, BRISTOL, 30, NOON + 11 * MINUTE) == Estimate(off.at + 20 * MINUTE, off.at)
    assert estimate(ride, None, BRISTOL, 30, NOON + 11 * MINUTE) is None
    assert estimate(ride, off, BRISTOL, 30, NOON + 24 * MINUTE) is None
