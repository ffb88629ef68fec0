"""Free times are given out again as they are, and only until anything is written that they come from (M4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from portal.domain.jobs import services
from portal.domain.scheduling import hours, skills
from portal.domain.scheduling.hours import HolidayInput, StretchInput, TimeOffInput
from portal.domain.scheduling.models import FeatureControls, Holiday, ServiceType, ServiceTypeSkill, Skill, TimeOff
from portal.domain.scheduling.overrides import edit_override
from portal.domain.scheduling.queries import week_of
from portal.domain.scheduling.rules import OverrideValues, Owner
from portal.domain.unit_of_work import unit_of_work
from portal.web import kept
from tests.factories import Create
from tests.web.test_customer import THURSDAY, Home, clock, home

__all__ = ["clock", "home"]

pytestmark = pytest.mark.row("M4")
WORKDAYS = range(5)
THAT_DAY = THURSDAY.date()
DAY = f"move?day={THAT_DAY}"


class Times:
    """The page of free times on Thursday as Priya sees it."""

    def __init__(self, home: Home, statements: list[str]) -> None:
        self._home = home
        self._statements = statements

    def open(self) -> list[str]:
        """Open the page and return what it offers in the end: days and times."""
        self._statements.clear()
        assert self._home.site.get(f"{self._home.at}/{DAY}").status_code == 200
        page = self._home.site.page
        return [one.get_text(" ", strip=True) for one in page.select(".days .pill, .times label, #time > p")]

    @property
    def were_drawn(self) -> bool:
        """Whether the page was worked out for the latest request."""
        return any("appointments." in one for one in self._statements)


@pytest.fixture
def times(home: Home, statements: list[str]) -> Times:
    return Times(home, statements)


def _week(home: Home, technician_id: int | None, stretches: Sequence[tuple[int, str, str]]) -> None:
    version = hours.version_of(week_of(home.session, home.partner.id, technician_id))
    typed = [StretchInput(day, start, end, f"day{day}") for day, start, end in stretches]
    hours.edit_week(home.session, home.staff, home.partner.id, technician_id, version, typed, datetime.now(UTC))


def _only(home: Home, model: Any) -> Any:
    return home.session.scalars(select(model).where(model.partner_id == home.partner.id)).one()


def _book(home: Home) -> None:
    services.reschedule(
        home.session, home.staff, datetime.now(UTC), home.job.id, THURSDAY, technician_id=home.technician.id
    )


def _need_a_skill(home: Home) -> None:
    skill = skills.create_skill(home.session, home.staff, datetime.now(UTC), home.partner.id, "Roofs")
    kind = home.session.get_one(ServiceType, home.job.service_type_id)
    home.session.add(ServiceTypeSkill(partner_id=home.partner.id, service_type_id=kind.id, skill_id=skill.id))


def _give_skills(home: Home, wanted: Callable[[Skill], bool]) -> None:
    keys = [skill.id for skill in (_only(home, Skill),) if wanted(skill)]
    skills.set_technician_skills(home.session, home.staff, datetime.now(UTC), home.technician.id, keys)


def _override(home: Home) -> None:
    values = OverrideValues(horizon_days=7)
    edit_override(home.session, home.staff, datetime.now(UTC), Owner.JOB, home.job.id, 0, values)


def _change_controls(home: Home) -> None:
    _only(home, FeatureControls).horizon_days = 6


def _change_kind(home: Home) -> None:
    home.session.get_one(ServiceType, home.job.service_type_id).step_minutes = 60


def _holiday(home: Home) -> None:
    form = HolidayInput(THAT_DAY - timedelta(days=1), "Town fair")
    hours.add_holiday(home.session, home.staff, home.partner.id, form, datetime.now(UTC))


def _no_holiday(home: Home) -> None:
    hours.delete_holiday(home.session, home.staff, _only(home, Holiday).id, datetime.now(UTC))


def _time_off(home: Home) -> None:
    form = TimeOffInput(THAT_DAY, THAT_DAY, time(8), time(12))
    hours.add_time_off(home.session, home.staff, home.technician.id, form, datetime.now(UTC))


def _no_time_off(home: Home) -> None:
    hours.delete_time_off(home.session, home.staff, _only(home, TimeOff).id, datetime.now(UTC))


# One after the other; each makes other times free.
CHANGES: dict[str, Callable[[Home], None]] = {
    "a holiday": _holiday,
    "a holiday taken away": _no_holiday,
    "time off": _time_off,
    "time off taken back": _no_time_off,
    "the partner's week": lambda home: _week(home, None, [(day, "9:00", "18:00") for day in WORKDAYS]),
    "a week of one's own": lambda home: _week(home, home.technician.id, [(day, "9:00", "14:00") for day in WORKDAYS]),
    "the partner's week again": lambda home: _week(home, home.technician.id, []),
    "the step of starts": _change_kind,
    "a skill that is needed": _need_a_skill,
    "the skill given": lambda home: _give_skills(home, lambda skill: True),
    "the skill taken away": lambda home: _give_skills(home, lambda skill: False),
    "the skill given again": lambda home: _give_skills(home, lambda skill: True),
    "the horizon": _change_controls,
    "the horizon of this job": _override,
    "moved by the office": _book,
}


def test_free_times_are_worked_out_once_and_again_after_whatever_they_come_from(
    app: Flask, home: Home, times: Times
) -> None:
    for what, change in CHANGES.items():
        times.open()
        before = times.open()
        assert not times.were_drawn, what
        with unit_of_work(home.session):
            change(home)
        after = times.open()
        assert after != before, what
        # Exactly as it is where nothing is kept.
        app.extensions[kept.EXTENSION] = kept.Pages(kept.MOST_PAGES)
        assert times.open() == after, what
        assert times.were_drawn


def test_a_time_that_somebody_else_took_is_gone_from_the_kept_page(
    home: Home, times: Times, create_installation: Create
) -> None:
    assert "13:00–15:00" in times.open()
    create_installation(home.partner, None, home.technician, start=THURSDAY)
    assert "13:00–15:00" not in times.open()
    home.site.get(f"{home.at}/{DAY}&start=2026-11-26T10:00Z")
    assert home.site.page.select_one("input[name=start][checked]") is not None
    times.open()
    assert home.site.page.select_one("input[name=start][checked]") is None


def test_free_times_grow_old_by_themselves(home: Home, times: Times, clock: Any) -> None:
    times.open()
    clock.shift(timedelta(minutes=1))
    times.open()
    assert times.were_drawn
