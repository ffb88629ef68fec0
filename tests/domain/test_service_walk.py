"""Service jobs with several visits walked at random, beside a model written from ``lifecycles.md``.

Whatever the walk: the job follows the furthest of its visits, what the tables allow is accepted and everything else is
refused without a trace. ``DOORSTEP_HYPOTHESIS=long`` walks longer, and anew each time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from sqlalchemy import Engine, select

from portal.domain.errors import Refused
from portal.domain.jobs import fieldwork, service_jobs, services
from portal.domain.jobs.models import Appointment
from portal.domain.jobs.service_jobs import ServiceDraft
from tests.domain.by_hand import HOLDS_ITS_TIME, SERVICE_TRANSITIONS, UNDER_WAY
from tests.domain.office import HOUR, Office
from tests.domain.test_state_machine import walk_at_random

LENGTH = 2 * HOUR
PLANNED = ("SCHEDULED", "PREPARING")
# act on the job -> the statuses of the job from which it is possible
ON_JOB = {name: SERVICE_TRANSITIONS[name][1] for name in ("approve", "schedule", "cancel", "reactivate")}
# act on a visit -> the statuses of the visit from which it is possible
ON_VISIT = {
    "assign": PLANNED,
    "reassign": (*PLANNED, "ON_THE_WAY", "ARRIVED"),
    "reschedule": PLANNED,
    "cancel_visit": (*PLANNED, "PAUSED"),
    "cancel_by_customer": PLANNED,
    "prepare": ("SCHEDULED",),
    "set_off": PLANNED,
    "arrive": ("ON_THE_WAY",),
    "start_work": ("ARRIVED",),
    "pause": ("ARRIVED", "WORK_IN_PROGRESS"),
    "resume": ("PAUSED",),
    "continue_later": ("PAUSED",),
    "complete": ("WORK_IN_PROGRESS",),
    "turn_back": ("ON_THE_WAY", "ARRIVED"),
}
BECOMES = {
    "prepare": "PREPARING",
    "set_off": "ON_THE_WAY",
    "arrive": "ARRIVED",
    "start_work": "WORK_IN_PROGRESS",
    "pause": "PAUSED",
    "resume": "WORK_IN_PROGRESS",
    "continue_later": "INCOMPLETE",
    "complete": "COMPLETE",
    "turn_back": "SCHEDULED",
}


@dataclass
class Visit:
    """What is known of a visit; ``taken`` where the job's cancelling took it along."""

    key: int
    start: datetime
    technician: int | None
    status: str = "SCHEDULED"
    taken: bool = False


@dataclass
class Model:
    """What is known of a service job."""

    key: int
    status: str = "DRAFT"
    approved: bool = False
    begun: bool = False
    visits: list[Visit] = field(default_factory=list)

    def furthest(self) -> str | None:
        statuses = {visit.status for visit in self.visits}
        if statuses & UNDER_WAY:
            return "IN_PROGRESS"
        if "PAUSED" in statuses:
            return "PAUSED"
        planned = [visit for visit in self.visits if visit.status in PLANNED]
        if any(visit.technician is not None for visit in planned):
            return "SCHEDULED"
        return "APPROVED" if planned else None

    def follow(self, changed: Visit) -> None:
        left = "COMPLETED" if any(visit.status == "COMPLETE" for visit in self.visits) else "CANCELLED"
        self.status = self.furthest() or ("APPROVED" if changed.status == "INCOMPLETE" else left)


class ServiceWalk(RuleBasedStateMachine):
    """One partner, three technicians, a few service jobs, and whatever is done to them."""

    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        self.office = Office(self.engine, cancel_undo_minutes=0, cancel_cutoff_hours=0)
        self.jobs: list[Model] = []

    def teardown(self) -> None:
        self.office.close()

    @initialize()
    def a_few_to_begin_with(self) -> None:
        for _ in range(2):
            self.draft()

    def draft(self) -> None:
        people = self.office.people
        wanted = ServiceDraft(people.customer_id(), people.addresses[0], people.service_type_id)
        self.jobs.append(Model(self.office.do(people.dispatcher, service_jobs.create_service_job, wanted)))

    @rule(step=st.sampled_from([timedelta(minutes=1), HOUR, 7 * HOUR]))
    def time_passes(self, step: timedelta) -> None:
        self.office.now += step

    @rule(data=st.data(), act=st.sampled_from([*ON_JOB, "schedule", "schedule"]))
    def act_on_a_job(self, data: Any, act: str) -> None:
        if all(job.status in ("COMPLETED", "CANCELLED") for job in self.jobs):
            self.draft()
        job = data.draw(st.sampled_from(self.jobs))
        if act == "cancel" and data.draw(st.booleans()):
            return
        possible = job.status in ON_JOB[act]
        if act == "schedule":
            who = data.draw(st.sampled_from([None, 0, 1, 2]))
            start = self.next_free(who, data.draw(st.integers(1, 40)))
            key = None if who is None else self.office.people.technician_id(who)
            if self.tried(possible, service_jobs.schedule_visit, job.key, start, technician_id=key):
                job.visits.append(Visit(self.office.visits(job.key)[-1].id, start, who))
                job.follow(job.visits[-1])
        elif act == "approve":
            if self.tried(possible, service_jobs.approve, job.key):
                job.status, job.approved = "APPROVED", True
        elif act == "cancel":
            if self.tried(possible, services.cancel, job.key, "No longer wanted"):
                for visit in job.visits:
                    if visit.status in (*PLANNED, "PAUSED"):
                        visit.status, visit.taken = "CANCELLED", True
                job.status = "CANCELLED"
        elif self.tried(possible, service_jobs.reactivate, job.key):
            for visit in job.visits:
                free = self.is_free(visit.technician, visit.start)
                if visit.taken and visit.start > self.office.now and free:
                    visit.status = "SCHEDULED"
                visit.taken = False
            job.status = job.furthest() or ("APPROVED" if job.approved else "DRAFT")
        self.look()

    @rule(data=st.data(), presses=st.integers(1, 6))
    def act_on_visits(self, data: Any, presses: int) -> None:
        for _ in range(presses):
            pairs = [(job, visit) for job in self.jobs for visit in job.visits]
            if not pairs:
                return
            job, visit = data.draw(st.sampled_from(pairs))
            likely = [act for act, sources in ON_VISIT.items() if visit.status in sources]
            act = data.draw(st.sampled_from([*likely * 3, *ON_VISIT]))
            if visit.status in PLANNED and act == "set_off":
                self.office.now = max(self.office.now, visit.start - HOUR)
            self.press(data, act, job, visit)
            self.look()

    def press(self, data: Any, act: str, job: Model, visit: Visit) -> None:
        people, possible = self.office.people, visit.status in ON_VISIT[act]
        if act in ("assign", "reassign"):
            possible = possible and (visit.technician is None) is (act == "assign")
            others = [who for who in range(3) if who != visit.technician and self.is_free(who, visit.start, visit)]
            if not others:
                return
            who = data.draw(st.sampled_from(others))
            if self.tried(possible, getattr(services, act), job.key, people.technician_id(who), visit_id=visit.key):
                visit.technician, visit.status = who, "SCHEDULED"
                job.follow(visit)
        elif act == "reschedule":
            start = self.next_free(visit.technician, data.draw(st.integers(1, 40)))
            if self.tried(possible, services.reschedule, job.key, start, visit_id=visit.key):
                visit.start, visit.status = start, "SCHEDULED"
                job.follow(visit)
        elif act in ("cancel_visit", "cancel_by_customer"):
            actor = people.customers[0] if act == "cancel_by_customer" else people.dispatcher
            possible = possible and (actor is people.dispatcher or self.office.now < visit.start)
            if self.tried(possible, getattr(services, act), visit.key, "Away", actor=actor):
                visit.status = "CANCELLED"
                job.follow(visit)
                visit.taken = job.status == "CANCELLED"
        else:
            self.step(data, act, job, visit, possible)

    def step(self, data: Any, act: str, job: Model, visit: Visit, possible: bool) -> None:
        elsewhere = any(
            one.status in UNDER_WAY and one.technician == visit.technician and one is not visit for one in self.visits()
        )
        if act in ("prepare", "set_off"):
            possible = possible and visit.technician is not None
        if act == "set_off":
            possible = possible and not elsewhere and visit.start.date() == self.office.now.date()
        if act == "resume":
            possible = possible and not elsewhere and self.is_free(visit.technician, visit.start, visit)
        again = None
        if act == "continue_later" and not (job.begun and data.draw(st.booleans())):
            again = self.on_the_grid() + data.draw(st.integers(1, 40)) * HOUR
        args = {
            "pause": (self.office.people.reason_id,),
            "turn_back": ("Flat tyre",),
            "continue_later": (again,),
        }.get(act, ())
        number = self.office.looking.scalars(select(Appointment.move_number).where(Appointment.id == visit.key)).one()
        if not self.tried(possible, getattr(fieldwork, act), visit.key, number, *args):
            return
        visit.status = BECOMES[act]
        job.begun = job.begun or act in ("start_work", "resume")
        if again is not None:
            who = visit.technician if self.is_free(visit.technician, again) else None
            job.visits.append(Visit(self.office.visits(job.key)[-1].id, again, who))
        job.follow(visit)

    def tried(self, possible: bool, use_case: Any, *args: Any, actor: Any = None, **kwargs: Any) -> bool:
        """Do it, or see it refused without a trace."""
        by = actor or self.office.people.dispatcher
        if possible:
            self.office.do(by, use_case, *args, **kwargs)
            return True
        before = self.office.snapshot()
        with pytest.raises(Refused) as caught:
            self.office.do(by, use_case, *args, **kwargs)
        assert str(caught.value.refusal.sentence).endswith(".")
        assert self.office.snapshot() == before
        return False

    def visits(self) -> list[Visit]:
        return [visit for job in self.jobs for visit in job.visits]

    def is_free(self, technician: int | None, start: datetime, without: Visit | None = None) -> bool:
        return technician is None or not any(
            one.status in HOLDS_ITS_TIME
            and one.technician == technician
            and one is not without
            and one.start < start + LENGTH
            and start < one.start + LENGTH
            for one in self.visits()
        )

    def on_the_grid(self) -> datetime:
        return self.office.now.replace(minute=0, second=0, microsecond=0) + HOUR

    def next_free(self, technician: int | None, slot: int) -> datetime:
        start = self.on_the_grid() + slot * HOUR
        while not self.is_free(technician, start):
            start += HOUR
        return start

    def look(self) -> None:
        """The database says what the model says, and nobody is in two places."""
        people = self.office.people
        keys: dict[int | None, int | None] = {people.technician_id(index): index for index in range(3)} | {None: None}
        held: dict[int, list[datetime]] = {}
        for job in self.jobs:
            assert self.office.job(job.key).status == job.status
            rows = self.office.visits(job.key)
            found = [(row.status, keys[row.technician_id], row.start_at, row.cancelled_with_job) for row in rows]
            assert found == [(one.status, one.technician, one.start, one.taken) for one in job.visits]
            told = [
                entry for entry in self.office.history(job.key) if entry.subject == "job" and "status" in entry.after
            ]
            assert told[-1].after["status"] == job.status
            assert all(one.after["status"] == other.before["status"] for one, other in pairwise(told))
            for one in job.visits:
                if one.status in HOLDS_ITS_TIME and one.technician is not None:
                    held.setdefault(one.technician, []).append(one.start)
        assert all(one + LENGTH <= other for starts in held.values() for one, other in pairwise(sorted(starts)))


@pytest.mark.row("J2", "J3", "J5", "J7", "M7")
def test_service_jobs_walked_at_random(shared_engine: Engine) -> None:
    walk_at_random(ServiceWalk, shared_engine)
