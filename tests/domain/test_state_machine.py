"""Installations walked at random by everybody at once, beside a model written from ``lifecycles.md``.

Whatever the walk: job and visit are one of the pairs, what is offered is accepted and what is not offered is refused
without a trace, and the history tells every step. ``DOORSTEP_HYPOTHESIS=long`` walks longer, and anew each time.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zlib import crc32

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, select

from portal.domain.actor import SYSTEM, Actor, Role
from portal.domain.contracts import services as contracts
from portal.domain.errors import Conflict, Invalid, NotFound, Refused
from portal.domain.jobs import fieldwork, services
from portal.domain.jobs.models import Appointment, HistoryEntry, Job
from portal.domain.jobs.situations import current_visit, open_visit, situation, visits_of
from portal.domain.jobs.states import APPOINTMENT, INSTALLATION
from portal.domain.lookup import find
from portal.domain.messages.models import Message
from portal.domain.policy import decide
from portal.domain.tenancy import set_scope
from tests.domain.by_hand import HOLDS_ITS_TIME, NOT_ENDED, PAIRS, UNDER_WAY
from tests.domain.office import DAY, HOUR, NOW, Office
from tests.sharing import EVERYTHING

LONG = os.environ.get("DOORSTEP_HYPOTHESIS") == "long"
# On each database, see ``walk_at_random``.
WALKS = 8 if EVERYTHING else 5
PROFILE = settings(
    max_examples=300 if LONG else WALKS,
    stateful_step_count=50 if LONG else 30,
    derandomize=not LONG,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    # Each step is a transaction: making a failing walk shorter takes minutes.
    phases=[Phase.generate, Phase.shrink] if LONG else [Phase.generate],
)

VISIT_LENGTH = 2 * HOUR
HALF_HOUR = timedelta(minutes=30)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
PLANNED = {"SCHEDULED", "PREPARING"}
ENDS = {"CUSTOMER_APPROVED", "CANCELLED", "REJECTED"}
STAFF_ACTS = ("assign", "reassign", "reject", "reschedule", "cancel")
CONTRACT_ACTS = ("send_contract", "send_corrected_contract", "sign_contract", "approve")
FIELD_ACTS = (
    "prepare",
    "set_off",
    "arrive",
    "start_work",
    "pause",
    "resume",
    "continue_later",
    "complete",
    "turn_back",
)
CUSTOMER_ACTS = ("move", "cancel_visit")
PENDING_ACTS = ("undo", "finalise")
ENDING_ACTS = ("reject", "cancel", "cancel_visit", "finalise")
DETOURS = ("prepare", "turn_back", "send_corrected_contract")
ACTS = (*STAFF_ACTS, *CONTRACT_ACTS, *FIELD_ACTS, *CUSTOMER_ACTS, *PENDING_ACTS, "confirm")


@dataclass
class VisitModel:
    """What is known of a visit. ``technician`` counts from 0."""

    key: int
    start: datetime
    technician: int | None
    status: str = "SCHEDULED"
    length: timedelta = VISIT_LENGTH
    confirmed: bool = False
    moves: int = 0
    cancel_at: datetime | None = None
    begun: bool = False

    @property
    def end(self) -> datetime:
        """When it ends, as planned."""
        return self.start + self.length

    @property
    def facts(self) -> tuple[Any, ...]:
        """What has to be the same in the database."""
        return (self.status, self.technician, self.start, self.end, self.confirmed, self.moves, self.cancel_at)


@dataclass
class JobModel:
    """What is known of an installation."""

    key: int
    customer: int
    status: str
    visits: list[VisitModel]
    begun: bool = False
    messages: Counter[str] = field(default_factory=Counter)

    @property
    def open(self) -> VisitModel | None:
        """The visit that has not ended; there is at most one."""
        found = [visit for visit in self.visits if visit.status in NOT_ENDED]
        assert len(found) <= 1
        return found[0] if found else None


@dataclass
class Rules:
    """The partner's feature controls."""

    self_service: bool = True
    reschedule_unconfirmed: bool = True
    reschedule_confirmed: bool = True
    cancel_unconfirmed: bool = True
    cancel_confirmed: bool = True
    reschedule_cutoff_hours: int = 0
    cancel_cutoff_hours: int = 0
    max_moves: int = 3
    notice_hours: int = 0
    cancel_undo_minutes: int = 10
    own_choice_confirms: bool = True


class Walk(RuleBasedStateMachine):
    """One partner, three technicians, two customers, and whatever they do."""

    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        self.rules = Rules()
        self.office = Office(self.engine, **vars(self.rules))
        self.jobs: list[JobModel] = []
        self.looked_at: Any = None
        people = self.office.people
        self.actors: list[Actor] = [
            people.dispatcher,
            people.partner_admin,
            people.operator,
            *people.technicians,
            *people.customers,
        ]

    def teardown(self) -> None:
        self.office.close()

    # What the walk does

    @initialize(data=st.data(), customers=st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 1)))
    def a_few_to_begin_with(self, data: Any, customers: tuple[int, int, int]) -> None:
        for customer in customers:
            self.schedule_one(data, customer)

    @precondition(lambda self: len(self.live()) < 4)
    @rule(data=st.data(), customer=st.integers(0, 1))
    def schedule(self, data: Any, customer: int) -> None:
        self.schedule_one(data, customer)

    @rule(data=st.data(), presses=st.integers(1, 5))
    def press_what_is_offered(self, data: Any, presses: int) -> None:
        for _ in range(presses):
            job = data.draw(st.sampled_from(self.live() or self.jobs))
            # what ends an installation is pressed now and then only, or there would be no other ends
            ending = data.draw(st.integers(0, 5)) == 0
            self.press(data, job, [act for act in ACTS if ending or act not in ENDING_ACTS])

    @rule(data=st.data(), presses=st.integers(3, 10))
    def the_day_of_a_visit(self, data: Any, presses: int) -> None:
        jobs = [job for job in self.live() if job.open is None or job.open.technician is not None]
        if not jobs:
            return
        job = data.draw(st.sampled_from(jobs))
        for _ in range(presses):
            if job.open is not None and job.open.status in PLANNED:
                early = data.draw(st.sampled_from([HOUR, MINUTE, SECOND, 0 * HOUR]))
                self.office.now = max(self.office.now, job.open.start - early)
            self.office.now += data.draw(st.sampled_from([0 * MINUTE, MINUTE, HOUR]))
            self.press(data, job, (*FIELD_ACTS, *CONTRACT_ACTS))

    @rule(data=st.data(), act=st.sampled_from(ACTS))
    def press_anything(self, data: Any, act: str) -> None:
        job = data.draw(st.sampled_from(self.jobs))
        actor = data.draw(st.sampled_from(self.actors))
        self.attempt(data, job, actor, act)

    def schedule_one(self, data: Any, customer: int) -> None:
        technician = data.draw(st.sampled_from([None, 0, 1, 2]))
        start = self.next_free(technician, data.draw(st.integers(1, 60)))
        actor = data.draw(st.sampled_from(self.actors[:3]))
        key = None if technician is None else self.office.people.technician_id(technician)
        booking = self.office.booking(start, customer, technician_id=key)
        job_id = self.office.do(actor, services.schedule_installation, booking)
        visit = VisitModel(self.office.visit(job_id).id, start, technician)
        status = "SCHEDULED" if technician is None else "INSTALLER_ASSIGNED"
        self.jobs.append(JobModel(job_id, customer, status, [visit], messages=Counter(booked=1)))

    def live(self) -> list[JobModel]:
        return [job for job in self.jobs if job.status not in ENDS]

    def press(self, data: Any, job: JobModel, acts: Sequence[str]) -> None:
        """Let somebody who may press one of ``acts``, if anybody may."""
        offered = [
            (act, actor)
            for act in acts
            for actor in self.actors
            if self.known_to(actor, job) and self.allowed(act, actor, job)
        ]
        if offered:
            # first the act, then the actor: else those whom many may press would crowd out the rest
            names = sorted({act for act, _ in offered})
            act = data.draw(st.sampled_from([act for act in names for _ in range(1 if act in DETOURS else 4)]))
            actor = data.draw(st.sampled_from([actor for offer, actor in offered if offer == act]))
            self.attempt(data, job, actor, act)
            self.look_at_everything()

    @rule(step=st.sampled_from([SECOND, MINUTE, 9 * MINUTE, 10 * MINUTE, HOUR, 7 * HOUR]))
    def time_passes(self, step: timedelta) -> None:
        self.office.now += step

    @rule()
    def the_worker_ticks(self) -> None:
        for job in self.jobs:
            for visit in job.visits:
                due = visit.cancel_at is not None and self.office.now >= visit.cancel_at
                assert self.office.tick(visit.key) is due
                if due:
                    self.cancelled(job, visit)

    @rule(
        change=st.fixed_dictionaries(
            {},
            optional={
                "self_service": st.booleans(),
                "reschedule_unconfirmed": st.booleans(),
                "reschedule_confirmed": st.booleans(),
                "cancel_unconfirmed": st.booleans(),
                "cancel_confirmed": st.booleans(),
                "reschedule_cutoff_hours": st.sampled_from([0, 1]),
                "cancel_cutoff_hours": st.sampled_from([0, 1]),
                "max_moves": st.integers(0, 2),
                "notice_hours": st.sampled_from([0, 2]),
                "cancel_undo_minutes": st.sampled_from([0, 10]),
                "own_choice_confirms": st.booleans(),
            },
        )
    )
    def the_partner_changes_its_rules(self, change: dict[str, Any]) -> None:
        self.rules = Rules(**change)
        self.office.controls(**vars(self.rules))

    @rule(data=st.data(), flaw=st.sampled_from(["blank", "endless", "past", "busy", "stale", "unavailable"]))
    def press_with_bad_input(self, data: Any, flaw: str) -> None:
        job = data.draw(st.sampled_from(self.jobs))
        visit, dana = job.open, self.office.people.dispatcher
        call: tuple[Callable[..., Any], tuple[Any, ...]] | None = None
        if flaw in ("blank", "endless"):
            reason = "  " if flaw == "blank" else "x" * 10_000
            for act in ("reject", "cancel", "send_corrected_contract"):
                if self.allowed(act, dana, job):
                    call = (getattr(contracts if "contract" in act else services, act), (job.key, reason))
            if visit and self.allowed("turn_back", dana, job):
                call = (fieldwork.turn_back, (visit.key, self.number(visit), reason))
        elif flaw == "past" and self.allowed("reschedule", dana, job):
            call = (services.reschedule, (job.key, self.office.now))
        elif flaw in ("busy", "unavailable"):
            for act in ("assign", "reassign"):
                if visit and self.allowed(act, dana, job):
                    key = self.not_to_be_had(visit, flaw)
                    call = (getattr(services, act), (job.key, key)) if key is not None else None
        elif visit and flaw == "stale":
            for act in ("prepare", "set_off", "arrive", "start_work", "complete", "resume"):
                if self.allowed(act, dana, job):
                    call = (getattr(fieldwork, act), (visit.key, self.number(visit) - 1))
        if call is not None:
            before = self.office.snapshot()
            with pytest.raises((Conflict, Invalid)) as caught:
                self.office.do(dana, call[0], *call[1])
            assert str(caught.value)
            assert self.office.snapshot() == before

    # Who may what: lifecycles.md, once more

    def known_to(self, actor: Actor, job: JobModel) -> bool:
        return actor.role is not Role.CUSTOMER or self.office.people.customer_id(job.customer) in actor.customer_ids

    def allowed(self, act: str, actor: Actor, job: JobModel) -> bool:
        visit, now = job.open, self.office.now
        staff = actor.role in (Role.DISPATCHER, Role.PARTNER_ADMIN, Role.OPERATOR)
        customer = actor.role is Role.CUSTOMER
        pending = visit is not None and visit.cancel_at is not None
        if act in STAFF_ACTS:
            return staff and not pending and self.staff_may(act, job, visit)
        if act in CONTRACT_ACTS:
            source = {
                "send_contract": "INSTALLATION_COMPLETED",
                "send_corrected_contract": "CONTRACT_SENT",
                "sign_contract": "CONTRACT_SENT",
                "approve": "CONTRACT_SIGNED",
            }[act]
            return job.status == source and (staff or (customer and act in ("sign_contract", "approve")))
        if visit is None:
            return False
        if act in PENDING_ACTS:
            return (staff or (customer and act == "undo")) and visit.cancel_at is not None and now < visit.cancel_at
        if act in CUSTOMER_ACTS:
            return customer and not pending and visit.status in PLANNED and self.under_rules(act, visit)
        if act == "confirm":
            in_time = staff or (customer and now < visit.start)
            return in_time and not pending and visit.status in PLANNED and not visit.confirmed
        theirs = staff or (visit.technician is not None and actor == self.office.people.technicians[visit.technician])
        return theirs and self.field_may(act, visit, pending)

    def staff_may(self, act: str, job: JobModel, visit: VisitModel | None) -> bool:
        movable = {"SCHEDULED", "INSTALLER_ASSIGNED", "INSTALLATION_IN_PROGRESS"}
        if act == "assign":
            return job.status == "SCHEDULED"
        if act == "reassign":
            return job.status in ("INSTALLER_ASSIGNED", "EN_ROUTE")
        if act == "reject":
            return job.status == "SCHEDULED"
        if act == "reschedule":
            return job.status in movable and (visit is None or visit.status in PLANNED)
        return job.status in movable and (visit is None or visit.status not in UNDER_WAY)

    def field_may(self, act: str, visit: VisitModel, pending: bool) -> bool:
        assigned = visit.technician is not None
        sources = {
            "arrive": {"ON_THE_WAY"},
            "start_work": {"ARRIVED"},
            "pause": {"ARRIVED", "WORK_IN_PROGRESS"},
            "continue_later": {"PAUSED"},
            "complete": {"WORK_IN_PROGRESS"},
            "turn_back": {"ON_THE_WAY", "ARRIVED"},
        }
        if act in sources:
            return visit.status in sources[act]
        elsewhere = any(
            other.status in UNDER_WAY and other.technician == visit.technician and other is not visit
            for other in self.visits()
        )
        if act == "prepare":
            return visit.status == "SCHEDULED" and assigned and not pending
        if act == "set_off":
            # London's winter days are those of UTC
            today = visit.start.date() == self.office.now.date()
            return visit.status in PLANNED and assigned and not pending and today and not elsewhere
        # a paused visit does not hold its time, and two active ones never overlap
        return (
            visit.status == "PAUSED"
            and not elsewhere
            and self.is_free(visit.technician, visit.start, visit.length, without=visit)
        )

    def under_rules(self, act: str, visit: VisitModel) -> bool:
        rules, name = self.rules, "reschedule" if act == "move" else "cancel"
        switch = getattr(rules, f"{name}_{'confirmed' if visit.confirmed else 'unconfirmed'}")
        cutoff = visit.start - timedelta(hours=getattr(rules, f"{name}_cutoff_hours"))
        in_time = self.office.now <= cutoff and self.office.now < visit.start
        return rules.self_service and switch and in_time and (act != "move" or visit.moves < rules.max_moves)

    # What an act does: lifecycles.md, once more

    def attempt(self, data: Any, job: JobModel, actor: Actor, act: str) -> None:
        self.look_at_the_buttons(job, actor)
        visit = job.open or job.visits[-1]
        use_case, args, kwargs, happen = self.prepared(data, act, job, visit, actor)
        if use_case is None:
            return
        if not self.known_to(actor, job):
            self.refused(NotFound, actor, use_case, args, kwargs)
        elif not self.allowed(act, actor, job):
            self.refused(Refused, actor, use_case, args, kwargs)
        else:
            known = len(self.office.history(job.key))
            self.office.do(actor, use_case, *args, **kwargs)
            happen()
            self.look_at_the_history(job, actor, known)

    def refused(
        self, kind: type[Exception], actor: Actor, use_case: Callable[..., Any], args: Any, kwargs: dict[str, Any]
    ) -> None:
        before = self.office.snapshot()
        with pytest.raises(kind) as caught:
            self.office.do(actor, use_case, *args, **kwargs)
        if isinstance(caught.value, Refused):
            assert str(caught.value.refusal.sentence).endswith(".")
        assert self.office.snapshot() == before

    def prepared(
        self, data: Any, act: str, job: JobModel, visit: VisitModel, actor: Actor
    ) -> tuple[Callable[..., Any] | None, tuple[Any, ...], dict[str, Any], Callable[[], None]]:
        """Return what to call, with input that is as good as it can be, and what will have happened."""
        slot, people = data.draw(st.integers(1, 60)), self.office.people
        number = self.number(visit)
        nothing: tuple[None, tuple[()], dict[str, Any], Callable[[], None]] = (None, (), {}, lambda: None)

        if act in ("assign", "reassign"):
            free = [
                index
                for index in range(3)
                if index != visit.technician and self.is_free(index, visit.start, visit.length, without=visit)
            ]
            if not free:
                return nothing
            chosen = data.draw(st.sampled_from(free))

            def assigned() -> None:
                visit.technician, visit.status, job.status = chosen, "SCHEDULED", "INSTALLER_ASSIGNED"

            return getattr(services, act), (job.key, people.technician_id(chosen)), {}, assigned

        if act == "reject":

            def rejected() -> None:
                self.cancelled(job, visit)
                job.status = "REJECTED"

            return services.reject, (job.key, "Out of our area"), {}, rejected

        if act == "cancel":

            def cancelled() -> None:
                if job.open is not None:
                    self.cancelled(job, visit)
                job.status = "CANCELLED"

            return services.cancel, (job.key, "No longer wanted"), {}, cancelled

        if act == "reschedule":
            notify, agreed = data.draw(st.booleans()), data.draw(st.booleans())
            if job.open is None:
                who: int | None = data.draw(st.integers(0, 2))
            elif job.begun:
                who = data.draw(st.sampled_from([visit.technician, 0, 1, 2]))
            else:
                who = visit.technician
            start = self.next_free(who, slot, visit if job.open else None)
            given = {"technician_id": None if who is None else people.technician_id(who)} if job.begun else {}

            def moved() -> None:
                if job.open is None:
                    self.planned(job, start, who)
                    return
                visit.start, visit.technician, visit.status, visit.confirmed = start, who, "SCHEDULED", agreed
                job.messages["moved"] += notify

            options = {"notify": notify, "agreed_with_customer": agreed, **given}
            return services.reschedule, (job.key, start), options, moved

        if act == "move":
            start = self.next_free(visit.technician, slot, visit)
            start = max(start, self.on_the_grid(self.office.now + timedelta(hours=self.rules.notice_hours)))
            if start == visit.start:
                start += HALF_HOUR
            taker = visit.technician if visit.technician is not None else self.least_booked(start, visit)
            if taker is None or not self.is_free(taker, start, visit.length, without=visit):
                return nothing

            def taken() -> None:
                visit.start, visit.technician, visit.status = start, taker, "SCHEDULED"
                visit.confirmed = self.rules.own_choice_confirms
                visit.moves += 1
                if not job.begun:
                    job.status = "INSTALLER_ASSIGNED"
                job.messages["moved"] += 1

            return services.move_by_customer, (visit.key, start), {}, taken

        if act == "cancel_visit":

            def asked_to_cancel() -> None:
                if self.rules.cancel_undo_minutes == 0:
                    self.cancelled(job, visit)
                else:
                    visit.cancel_at = min(self.office.now + self.rules.cancel_undo_minutes * MINUTE, visit.start)

            return services.cancel_by_customer, (visit.key, "Away"), {}, asked_to_cancel

        if act == "undo":
            return services.undo_cancel, (visit.key,), {}, lambda: setattr(visit, "cancel_at", None)
        if act == "finalise":
            return services.finalise_cancel, (visit.key,), {}, lambda: self.cancelled(job, visit)
        if act == "confirm":
            return fieldwork.confirm, (visit.key,), {}, lambda: setattr(visit, "confirmed", True)
        if act in CONTRACT_ACTS:
            return self.prepared_contract(act, job, actor)
        return self.prepared_step(data, act, job, visit, number, slot)

    def prepared_contract(
        self, act: str, job: JobModel, actor: Actor
    ) -> tuple[Callable[..., Any] | None, tuple[Any, ...], dict[str, Any], Callable[[], None]]:
        target = {
            "send_contract": "CONTRACT_SENT",
            "send_corrected_contract": "CONTRACT_SENT",
            "sign_contract": "CONTRACT_SIGNED",
            "approve": "CUSTOMER_APPROVED",
        }[act]

        def happened() -> None:
            job.status = target
            job.messages["contract"] += act.startswith("send")

        if act == "sign_contract":
            if actor.role is not Role.CUSTOMER:
                return contracts.record_paper_signature, (job.key, "scan.pdf", b"%PDF-1.7"), {}, happened
            sent = job.status in ("CONTRACT_SENT", "CONTRACT_SIGNED", "CUSTOMER_APPROVED")
            key = self.office.contract(job.key).id if sent else None
            use_case = contracts.sign_contract if sent else None
            return use_case, (key, "C. Customer", True), {}, happened
        reason = ("Wrong price",) if act == "send_corrected_contract" else ()
        return getattr(contracts, act), (job.key, *reason), {}, happened

    def prepared_step(
        self, data: Any, act: str, job: JobModel, visit: VisitModel, number: int, slot: int
    ) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], Callable[[], None]]:
        start: datetime | None = None
        if act == "continue_later" and not (job.begun and data.draw(st.booleans())):
            start = self.on_the_grid(self.office.now) + slot * HALF_HOUR
        args = {
            "set_off": (25,),
            "pause": (self.office.people.reason_id, "Back soon"),
            "continue_later": (start,),
            "complete": ("Done",),
            "turn_back": ("Flat tyre",),
        }.get(act, ())

        def happened() -> None:
            visit.status = {
                "prepare": "PREPARING",
                "set_off": "ON_THE_WAY",
                "arrive": "ARRIVED",
                "start_work": "WORK_IN_PROGRESS",
                "pause": "PAUSED",
                "resume": "WORK_IN_PROGRESS",
                "continue_later": "INCOMPLETE",
                "complete": "COMPLETE",
                "turn_back": "SCHEDULED",
            }[act]
            if act == "set_off":
                job.messages["on_the_way"] += 1
            if act in ("start_work", "resume"):
                visit.begun = job.begun = True
            if act == "continue_later" and start is not None:
                again = visit.technician if self.is_free(visit.technician, start, VISIT_LENGTH) else None
                self.planned(job, start, again)
            if act == "complete":
                job.status = "INSTALLATION_COMPLETED"
            elif job.begun:
                job.status = "INSTALLATION_IN_PROGRESS"
            elif act == "set_off":
                job.status = "EN_ROUTE"
            elif act == "turn_back":
                job.status = "INSTALLER_ASSIGNED"
            elif act == "continue_later":
                job.status = "SCHEDULED" if job.visits[-1].technician is None else "INSTALLER_ASSIGNED"

        return getattr(fieldwork, act), (visit.key, number, *args), {}, happened

    def planned(self, job: JobModel, start: datetime, technician: int | None) -> None:
        key = self.office.visits(job.key)[-1].id
        assert key not in {visit.key for visit in job.visits}
        job.visits.append(VisitModel(key, start, technician))
        job.messages["booked"] += 1

    def cancelled(self, job: JobModel, visit: VisitModel) -> None:
        visit.status, visit.cancel_at = "CANCELLED", None
        job.messages["cancelled"] += 1
        if not job.begun:
            job.status = "CANCELLED"

    # Who is free when

    def visits(self) -> list[VisitModel]:
        return [visit for job in self.jobs for visit in job.visits]

    def is_free(
        self, technician: int | None, start: datetime, length: timedelta, without: VisitModel | None = None
    ) -> bool:
        return technician is None or not any(
            other.status in HOLDS_ITS_TIME
            and other.technician == technician
            and other is not without
            and other.start < start + length
            and start < other.end
            for other in self.visits()
        )

    def on_the_grid(self, instant: datetime) -> datetime:
        floor = instant.replace(minute=0, second=0, microsecond=0)
        while floor <= instant:
            floor += HALF_HOUR
        return floor

    def next_free(self, technician: int | None, slot: int, without: VisitModel | None = None) -> datetime:
        """The first time at or after the ``slot``-th half-hour from now at which the technician is free."""
        start = self.on_the_grid(self.office.now) + slot * HALF_HOUR
        length = without.length if without else VISIT_LENGTH
        while not self.is_free(technician, start, length, without):
            start += HALF_HOUR
        return start

    def least_booked(self, start: datetime, visit: VisitModel) -> int | None:
        midnight = start.replace(hour=0, minute=0)

        def load(technician: int) -> timedelta:
            total = timedelta(0)
            for other in self.visits():
                if other.technician == technician and other.status in HOLDS_ITS_TIME and other is not visit:
                    total += max(timedelta(0), min(other.end, midnight + DAY) - max(other.start, midnight))
            return total

        free = [index for index in range(3) if self.is_free(index, start, visit.length, without=visit)]
        return min(free, key=lambda index: (load(index), index), default=None)

    def not_to_be_had(self, visit: VisitModel, flaw: str) -> int | None:
        """The key of a technician who is busy then, or has the visit already."""
        for index in range(3):
            busy = index != visit.technician and not self.is_free(index, visit.start, visit.length, without=visit)
            if busy if flaw == "busy" else index == visit.technician:
                return self.office.people.technician_id(index)
        return None

    def number(self, visit: VisitModel) -> int:
        """The move number that a page made just now would carry."""
        found: int = self.office.looking.scalars(
            select(Appointment.move_number).where(Appointment.id == visit.key)
        ).one()
        return found

    # What has to be true

    def look_at_the_buttons(self, job: JobModel, actor: Actor) -> None:
        """What the tables offer this actor is what the model allows, no more and no less."""
        if not self.known_to(actor, job):
            return
        with self.office.sessions() as session:
            set_scope(session, actor.scope)
            row = find(session, Job, job.key)
            visits = visits_of(session, row)
            asked = situation(session, actor, self.office.now, row, None, visits)
            on_job = {transition.name for transition in INSTALLATION.available(row.status, asked)}
            opened = open_visit(visits)
            on_visit = (
                {transition.name for transition in APPOINTMENT.available(opened.status, asked)} if opened else set()
            )
            decided = (
                {"move": decide("reschedule", asked).allowed, "cancel_visit": decide("cancel", asked).allowed}
                if opened and actor.role is Role.CUSTOMER
                else {}
            )
        customer = actor.role is Role.CUSTOMER
        expected = {act for act in (*STAFF_ACTS, *CONTRACT_ACTS) if self.allowed(act, actor, job)}
        if customer:
            expected |= {"reschedule"} if self.allowed("move", actor, job) else set()
            expected |= {"cancel"} if self.allowed("cancel_visit", actor, job) and not job.begun else set()
        assert on_job == expected
        assert {act for act in on_visit if act in (*FIELD_ACTS, "confirm")} == {
            act for act in (*FIELD_ACTS, "confirm") if self.allowed(act, actor, job)
        }
        for act, allowed in decided.items():
            assert allowed == self.allowed(act, actor, job), act

    def look_at_the_history(self, job: JobModel, actor: Actor, known: int) -> None:
        """An accepted act wrote who and when; only an assignment that nobody chose is the system's."""
        added = self.office.history(job.key)[known:]
        assert added
        for entry in added:
            assert entry.at == self.office.now
            if entry.actor_role == "system":
                assert (entry.actor_id, entry.actor_name, entry.action) == (None, SYSTEM.name, "assign")
            else:
                assert (entry.actor_id, entry.actor_role, entry.actor_name) == (actor.id, actor.role, actor.name)

    @invariant()
    def look_at_everything(self) -> None:
        snapshot = self.office.snapshot()
        if snapshot == self.looked_at:
            return
        self.looked_at = snapshot
        self.the_database_says_what_the_model_says()
        self.the_history_tells_every_status_from_first_to_last()
        self.each_message_is_decided_once()

    def the_database_says_what_the_model_says(self) -> None:
        people, session = self.office.people, self.office.looking
        keys: dict[int | None, int | None] = {people.technician_id(index): index for index in range(3)} | {None: None}
        rows = {row.id: row for row in session.scalars(select(Job).where(Job.partner_id == people.partner_id))}
        visits: dict[int, list[Appointment]] = {key: [] for key in rows}
        query = select(Appointment).where(Appointment.partner_id == people.partner_id).order_by(Appointment.id)
        for row in session.scalars(query):
            visits[row.job_id].append(row)
        assert set(rows) == {job.key for job in self.jobs}
        for job in self.jobs:
            assert rows[job.key].status == job.status
            found = [
                (
                    row.status,
                    keys[row.technician_id],
                    row.start_at,
                    row.end_at,
                    row.is_confirmed,
                    row.customer_moves,
                    row.cancel_at,
                )
                for row in visits[job.key]
            ]
            assert found == [visit.facts for visit in job.visits]
            self.one_of_the_pairs(rows[job.key], visits[job.key])
        self.nobody_is_in_two_places([row for some in visits.values() for row in some])

    def one_of_the_pairs(self, job: Job, visits: list[Appointment]) -> None:
        shown = current_visit(visits)
        assert shown is not None
        assert (job.technician_id, job.start_at, job.end_at) == (shown.technician_id, shown.start_at, shown.end_at)
        key = (shown.status, shown.technician_id is not None, job.work_began_at is not None)
        # An end that was reached without any visit open leaves the latest as it was.
        assert job.status in PAIRS[key]
        assert sum(visit.status in HOLDS_ITS_TIME for visit in visits) <= 1
        assert bool(job.reject_reason) is (job.status == "REJECTED")
        assert job.status not in ENDS or not any(visit.status in NOT_ENDED for visit in visits)

    def nobody_is_in_two_places(self, visits: list[Appointment]) -> None:
        for technician in {visit.technician_id for visit in visits} - {None}:
            theirs = [visit for visit in visits if visit.technician_id == technician]
            active = sorted((visit.start_at, visit.end_at) for visit in theirs if visit.status in HOLDS_ITS_TIME)
            assert all(earlier[1] <= later[0] for earlier, later in pairwise(active))
            assert sum(visit.status in UNDER_WAY for visit in theirs) <= 1

    def the_history_tells_every_status_from_first_to_last(self) -> None:
        session, partner_id = self.office.looking, self.office.people.partner_id
        query = select(HistoryEntry).where(HistoryEntry.partner_id == partner_id).order_by(HistoryEntry.id)
        # A job begins with its first entry, a visit where the table begins.
        job_status: dict[int, str | None] = {job.key: None for job in self.jobs}
        visit_status = {visit.key: "SCHEDULED" for visit in self.visits()}
        latest: dict[int, datetime] = {}
        for entry in session.scalars(query):
            assert latest.setdefault(entry.job_id, entry.at) <= entry.at
            latest[entry.job_id] = entry.at
            if entry.action in ("reject", "cancel", "turn_back", "pause", "send_corrected_contract", "request_cancel"):
                assert entry.reason
            if "status" not in entry.after or entry.action == "book":
                continue
            if entry.subject == "job":
                left = job_status[entry.job_id]
                assert left not in ENDS
                assert entry.before.get("status") == left
                job_status[entry.job_id] = entry.after["status"]
            else:
                assert entry.appointment_id is not None
                assert visit_status[entry.appointment_id] not in ("COMPLETE", "INCOMPLETE", "CANCELLED")
                assert entry.before["status"] == visit_status[entry.appointment_id]
                visit_status[entry.appointment_id] = entry.after["status"]
        assert job_status == {job.key: job.status for job in self.jobs}
        assert visit_status == {visit.key: visit.status for visit in self.visits()}

    def each_message_is_decided_once(self) -> None:
        session, partner_id = self.office.looking, self.office.people.partner_id
        rows = session.execute(
            select(Message.job_id, Message.kind, Message.key).where(Message.partner_id == partner_id)
        ).all()
        assert len({key for _, _, key in rows}) == len(rows)
        for job in self.jobs:
            found = Counter(str(kind) for job_id, kind, _ in rows if job_id == job.key)
            assert found == +job.messages


def walk_at_random(machine: type[RuleBasedStateMachine], engine: Engine) -> None:
    """Walk ``machine`` over ``engine``: each time the same ways, and on one database others than on the other."""
    found = type("Walk", (machine,), {"engine": engine})
    run_state_machine_as_test(found if LONG else seed(crc32(engine.name.encode()))(found), settings=PROFILE)


@pytest.mark.row("P9", "P10", "P12", "P13", "P14", "M3", "M5", "M7", "J4", "J5", "J6", "N3")
def test_installations_walked_at_random(shared_engine: Engine) -> None:
    walk_at_random(Walk, shared_engine)


def test_the_walk_begins_when_the_clocks_of_london_show_utc() -> None:
    assert (NOW.month, NOW.utcoffset()) == (11, timedelta(0))
