"""Job offers, service requests and change requests walked at random, beside a model written from ``lifecycles.md``.

Two partners, the operator, customers and the clock do whatever they like, whoever may and whoever may not: what the
tables allow is accepted, everything else is refused without a trace, and of one offered job there is one winner.
``DOORSTEP_HYPOTHESIS=long`` walks longer, and anew each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import Engine, select

from portal.domain.actor import Actor, Role
from portal.domain.base import Base
from portal.domain.errors import Conflict, Invalid, NotFound, Refused
from portal.domain.jobs import services
from portal.domain.jobs.models import Appointment, Job
from portal.domain.offers import services as offers
from portal.domain.offers.models import JobOffer
from portal.domain.offers.services import OfferInput
from portal.domain.people.services import AddressInput
from portal.domain.requests import new_service as requests
from portal.domain.requests import services as changes
from portal.domain.requests.models import ChangeRequest, ServiceRequest, Wish
from portal.domain.requests.new_service import ServiceWish
from portal.domain.tenancy import set_scope, system_scope
from portal.domain.unit_of_work import unit_of_work
from tests.domain.office import HOUR, Office
from tests.domain.test_state_machine import walk_at_random

PLACE = AddressInput(None, "3 Engine Row")
# act on a request -> whose it is, the statuses from which it is possible, and what it leads to
ON_REQUEST = {
    "convert_into_draft": ("staff", ("NEW",), "CONVERTED"),
    "convert_into_installation": ("staff", ("NEW",), "CONVERTED"),
    "counter_propose": ("staff", ("NEW",), "COUNTER_PROPOSED"),
    "decline_request": ("staff", ("NEW",), "DECLINED"),
    "accept_proposal": ("customer", ("COUNTER_PROPOSED",), "CONVERTED"),
    "decline_proposal": ("customer", ("COUNTER_PROPOSED",), "NEW"),
    "cancel_request": ("customer", ("NEW", "COUNTER_PROPOSED"), "CANCELLED"),
}
BEGINS_AS = {"convert_into_draft": "DRAFT", "convert_into_installation": "SCHEDULED", "accept_proposal": "SCHEDULED"}
TABLES = ("offered_jobs", "job_offers", "service_requests", "change_requests", "jobs", "appointments", "customers")
TABLES += ("history", "messages")


def rows_of(offices: Sequence[Office], first: int = 0) -> dict[str, list[tuple[Any, ...]]]:
    """Everything of these offices that any of the acts could change, and the offered jobs from the key ``first`` on."""
    keys, found = [office.people.partner_id for office in offices], {}
    with offices[0].engine.connect() as connection:
        for name in TABLES:
            table = Base.metadata.tables[name]
            ours = table.c.partner_id.in_(keys) if "partner_id" in table.c else table.c.id >= first
            found[name] = [tuple(row) for row in connection.execute(select(table).where(ours).order_by(table.c.id))]
    return found


@dataclass
class Offered:
    """What is known of an offered job: the key and status of the offer to each partner that has one."""

    key: int
    expires_at: datetime
    keys: dict[int, int]
    statuses: dict[int, str]


@dataclass
class Wished:
    """What is known of a request of a customer of partner ``of``."""

    key: int
    of: int
    others_may: bool
    status: str = "NEW"
    proposals: int = 0
    start: datetime | None = None
    offered: bool = False


@dataclass
class Model:
    """What is known of everything; ``jobs`` are the statuses of each partner's jobs."""

    offered: list[Offered] = field(default_factory=list)
    wished: list[Wished] = field(default_factory=list)
    jobs: tuple[list[str], list[str]] = field(default_factory=lambda: ([], []))


class AskingWalk(RuleBasedStateMachine):
    """Two partners, and whatever is offered to them and asked of them."""

    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        self.offices = Office(self.engine), Office(self.engine)
        self.operator = Actor(None, Role.OPERATOR, "Robin Vale")
        self.known = Model()
        self.now = self.offices[0].now

    def teardown(self) -> None:
        for office in self.offices:
            office.close()

    @initialize()
    def some_to_begin_with(self) -> None:
        for of in (0, 1):
            self.ask(of, others_may=True)
            self.ask(of, others_may=False)
        for hours in (1, 24, 48, 72):
            self.offer_it(self.operator, (0, 1), hours, None)

    @rule(step=st.sampled_from([timedelta(minutes=1), HOUR]))
    def time_passes(self, step: timedelta) -> None:
        self.now += step

    @rule(data=st.data(), to=st.sampled_from([(0,), (1,), (0, 1), (0, 1)]), hours=st.sampled_from([24, 48, 1, 0]))
    def offer(self, data: Any, to: tuple[int, ...], hours: int) -> None:
        wish = data.draw(st.sampled_from([None, *self.known.wished, *self.declined() * 4]))
        actor = data.draw(st.sampled_from([self.operator] * 4 + [self.offices[0].people.dispatcher]))
        self.offer_it(actor, to, hours, wish)

    def offer_it(self, actor: Actor, to: tuple[int, ...], hours: int, wish: Wished | None) -> None:
        possible = actor is self.operator and hours > 0
        if wish is not None:
            possible = possible and wish in self.declined() and wish.of not in to
        asked = [self.offices[one].people.partner_id for one in to]
        ends = self.now + hours * HOUR
        form = OfferInput(asked, "Boiler repair", "", "Ada Byron", "", "", PLACE, [], "", ends)
        key = self.tried(possible, actor, offers.offer_job, form, None if wish is None else wish.key)
        if key is None:
            return
        rows = select(JobOffer).where(JobOffer.offered_job_id == key)
        by_partner = {row.partner_id: row.id for row in self.offices[0].looking.scalars(rows)}
        keys = {one: by_partner[self.offices[one].people.partner_id] for one in to}
        self.known.offered.append(Offered(key, ends, keys, dict.fromkeys(to, "OFFERED")))
        if wish is not None:
            wish.offered = True

    def declined(self) -> list[Wished]:
        """The requests that may be offered to others."""
        return [
            wish for wish in self.known.wished if wish.status == "DECLINED" and wish.others_may and not wish.offered
        ]

    @rule(data=st.data(), presses=st.integers(3, 6))
    def answer(self, data: Any, presses: int) -> None:
        for _ in range(presses):
            waiting = [one for one in self.known.offered if "OFFERED" in one.statuses.values()]
            one = data.draw(st.sampled_from([*waiting * 6, *self.known.offered]))
            of = data.draw(st.sampled_from(sorted(one.keys)))
            at = data.draw(st.sampled_from([of] * 7 + [1 - of]))
            people = self.offices[at].people
            actor = data.draw(st.sampled_from([people.dispatcher] * 8 + [people.technicians[0]]))
            if data.draw(st.integers(0, 7)) == 7:
                # At the very instant at which it is too late, or a moment before.
                self.now = max(self.now, one.expires_at - data.draw(st.sampled_from([0, 1])) * timedelta(seconds=1))
            possible = at == of and actor is people.dispatcher
            possible = possible and one.statuses[of] == "OFFERED" and self.now < one.expires_at
            if data.draw(st.sampled_from(["accept", "accept", "decline"])) == "accept":
                done = self.tried(possible, actor, offers.accept_offer, one.keys[of], people.service_type_id)
                if done is not None:
                    self.ended(one, "TAKEN")
                    one.statuses[of] = "ACCEPTED"
                    self.known.jobs[of].append("DRAFT")
                continue
            reason = data.draw(st.sampled_from(["Too far", " "]))
            if self.tried(possible and reason != " ", actor, offers.decline_offer, one.keys[of], reason) is not None:
                one.statuses[of] = "DECLINED"

    def ended(self, one: Offered, status: str) -> None:
        """Note that all offers of a job that waited have come to an end."""
        one.statuses = {of: status if now == "OFFERED" else now for of, now in one.statuses.items()}

    @rule(data=st.data())
    def withdraw(self, data: Any) -> None:
        one = data.draw(st.sampled_from(self.known.offered))
        if data.draw(st.integers(0, 2)):
            return
        possible = "OFFERED" in one.statuses.values()
        if self.tried(possible, self.operator, offers.withdraw_offer, one.key) is not None:
            self.ended(one, "WITHDRAWN")

    @rule()
    def the_clock_ticks(self) -> None:
        late = {one.key: one for one in self.known.offered if self.now >= one.expires_at}
        late = {key: one for key, one in late.items() if "OFFERED" in one.statuses.values()}
        with self.offices[0].sessions() as session:
            set_scope(session, system_scope("system"))
            due = [key for key in offers.due_to_expire(session, self.now) if key in self.keys()]
            assert due == sorted(late)
            with unit_of_work(session):
                for key in due:
                    offers.expire_offers(session, self.now, key)
        for one in late.values():
            self.ended(one, "EXPIRED")

    @rule(at=st.integers(0, 1), others_may=st.booleans())
    def ask(self, at: int, others_may: bool) -> None:
        people = self.offices[at].people
        there = (people.customer_id(), people.service_type_id, people.addresses[0])
        wish = ServiceWish(*there, PLACE, [], "", f"{len(self.known.wished):032x}", others_may)
        key = self.tried(True, people.customers[0], requests.request_service, wish)
        assert key is not None
        self.known.wished.append(Wished(key, at, others_may))

    @rule(data=st.data(), presses=st.integers(8, 16))
    def press(self, data: Any, presses: int) -> None:
        for _ in range(presses):
            waiting = [wish for wish in self.known.wished if wish.status in ("NEW", "COUNTER_PROPOSED")]
            if not waiting:
                self.ask(data.draw(st.integers(0, 1)), others_may=True)
            wish = data.draw(st.sampled_from([*waiting * 6, *self.known.wished]))
            likely = [act for act, (_, sources, _) in ON_REQUEST.items() if wish.status in sources]
            self.act(data, data.draw(st.sampled_from([*likely * 8, *ON_REQUEST])), wish)

    def act(self, data: Any, act: str, wish: Wished) -> None:
        whose, sources, target = ON_REQUEST[act]
        people = self.offices[wish.of].people
        owner = people.dispatcher if whose == "staff" else people.customers[0]
        strangers = [people.customers[1], people.technicians[0], self.offices[1 - wish.of].people.dispatcher]
        actor = data.draw(st.sampled_from([owner] * 20 + strangers))
        possible = actor is owner and wish.status in sources
        start = self.now + data.draw(st.integers(1, 30)) * HOUR
        args: tuple[Any, ...] = ()
        if act == "convert_into_installation":
            args = (self.offices[wish.of].booking(start),)
        elif act == "counter_propose":
            args = (start,)
        elif act == "decline_request":
            args = (data.draw(st.sampled_from(["Too far", "Too far", " "])),)
            possible = possible and args != (" ",)
        elif act in ("accept_proposal", "decline_proposal"):
            args = (wish.proposals - data.draw(st.sampled_from([0, 0, 0, 1])),)
            possible = possible and args == (wish.proposals,)
            if act == "accept_proposal":
                possible = possible and wish.start is not None and self.now < wish.start
        if self.tried(possible, actor, getattr(requests, act), wish.key, *args) is None:
            return
        wish.status = target
        if act == "counter_propose":
            wish.proposals, wish.start = wish.proposals + 1, start
        if target == "CONVERTED":
            self.known.jobs[wish.of].append(BEGINS_AS[act])

    def tried(self, possible: bool, actor: Actor, use_case: Any, *args: Any) -> int | None:
        """Do it and return the key of what came of it, or see it refused without a trace."""
        before = None if possible else rows_of(self.offices, min(self.keys(), default=0))
        scope = system_scope("operator") if actor is self.operator else actor.scope
        with self.offices[0].sessions() as session:
            set_scope(session, scope)
            if possible:
                with unit_of_work(session):
                    key: int = use_case(session, actor, self.now, *args).id
            else:
                with pytest.raises((Refused, Invalid, NotFound, Conflict)), unit_of_work(session):
                    use_case(session, actor, self.now, *args)
        if not possible:
            assert rows_of(self.offices, min(self.keys(), default=0)) == before
            return None
        return key

    def keys(self) -> list[int]:
        return [one.key for one in self.known.offered]

    @invariant()
    def the_database_says_what_the_model_says(self) -> None:
        looking = self.offices[0].looking
        for one in self.known.offered:
            rows = {row.id: row for row in looking.scalars(select(JobOffer).where(JobOffer.offered_job_id == one.key))}
            assert {of: rows[key].status for of, key in one.keys.items()} == one.statuses
            assert list(one.statuses.values()).count("ACCEPTED") <= 1
            for row in rows.values():
                assert (row.job_id is not None) is (row.status == "ACCEPTED")
                assert (row.answer.strip() != "") is (row.status == "DECLINED")
        for wish in self.known.wished:
            row = looking.get_one(ServiceRequest, wish.key)
            assert (row.status, row.proposals) == (wish.status, wish.proposals)
            assert (row.job_id is not None) is (wish.status == "CONVERTED")
            assert (row.answer.strip() != "") is (wish.status == "DECLINED")
        for office, statuses in zip(self.offices, self.known.jobs, strict=True):
            jobs = select(Job.status).where(Job.partner_id == office.people.partner_id).order_by(Job.id)
            assert list(looking.scalars(jobs)) == statuses


@dataclass
class Planned:
    """What is known of an installation with one visit; ``wishes`` are keys and statuses of what was asked about it."""

    job: int
    visit: int
    start: datetime
    is_open: bool = True
    moves: int = 0
    wishes: dict[int, str] = field(default_factory=dict)

    def pending(self) -> int | None:
        return next((key for key, status in self.wishes.items() if status == "PENDING"), None)

    def lapse(self) -> None:
        self.wishes = {key: "LAPSED" if status == "PENDING" else status for key, status in self.wishes.items()}


class WishWalk(RuleBasedStateMachine):
    """A partner whose customers may change nothing themselves, and what they ask the office for."""

    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        self.office = Office(self.engine, self_service=False)
        self.planned = [self.plan() for _ in range(3)]

    def teardown(self) -> None:
        self.office.close()

    def plan(self) -> Planned:
        start = self.office.now + 30 * HOUR
        job = self.office.schedule(None, start)
        return Planned(job, self.office.visit(job).id, start)

    @rule(step=st.sampled_from([timedelta(minutes=1), HOUR, 7 * HOUR]))
    def time_passes(self, step: timedelta) -> None:
        """The clock ticks with it, so that what was asked about a visit lapses as its time comes."""
        self.office.now += step
        with self.office.sessions() as session:
            set_scope(session, system_scope("system"))
            known = {key for one in self.planned for key in one.wishes}
            for key in set(changes.due_to_lapse(session, self.office.now)) & known:
                with unit_of_work(session):
                    assert changes.lapse_started(session, self.office.now, key)
        for one in self.planned:
            if self.office.now >= one.start:
                one.lapse()

    @rule(data=st.data(), presses=st.integers(1, 4))
    def press(self, data: Any, presses: int) -> None:
        for _ in range(presses):
            if not any(one.is_open and self.office.now < one.start for one in self.planned):
                self.planned.append(self.plan())
            one = data.draw(st.sampled_from([*[known for known in self.planned if known.is_open] * 4, *self.planned]))
            act = data.draw(st.sampled_from(["ask", "ask", "move", "cancel", "apply_move", "apply_cancel", "decline"]))
            self.act(data, act, one)

    def act(self, data: Any, act: str, one: Planned) -> None:
        people, now = self.office.people, self.office.now
        start = now.replace(minute=0, second=0) + data.draw(st.integers(2, 60)) * HOUR
        pending = one.pending()
        asked = pending or data.draw(st.sampled_from([*one.wishes, 10**9]))
        owner = people.customers[0] if act == "ask" else people.dispatcher
        actor = data.draw(st.sampled_from([owner] * 12 + [people.customers[1], people.technicians[0]]))
        words = data.draw(st.sampled_from(["We are away", "We are away", "We are away", " "]))
        possible = actor is owner and one.is_open
        if act == "ask":
            wish, number = data.draw(st.sampled_from(list(Wish))), data.draw(st.sampled_from([one.moves] * 4 + [99]))
            fits = number == one.moves and words != " " and now < one.start and pending is None
            key = self.tried(possible and fits, actor, changes.request_change, one.visit, wish, words, number)
            if key is not None:
                one.wishes[key] = "PENDING"
        elif act in ("move", "apply_move"):
            if act == "move":
                done = self.tried(possible, actor, services.reschedule, one.job, start)
            else:
                fits = possible and pending is not None
                done = self.tried(fits, actor, changes.apply_by_moving, one.job, asked, start)
            if done is not None:
                self.answered(one, act, pending, moved=start != one.start)
                one.start, one.moves = start, one.moves + 1
        elif act in ("cancel", "apply_cancel"):
            possible = possible and words != " "
            if act == "cancel":
                done = self.tried(possible, actor, services.cancel, one.job, words)
            else:
                fits = possible and pending is not None
                done = self.tried(fits, actor, changes.apply_by_cancelling, one.job, asked, words)
            if done is not None:
                self.answered(one, act, pending, moved=True)
                one.is_open = False
        elif self.tried(possible and pending is not None and words != " ", actor, changes.decline, asked, words):
            one.wishes[asked] = "DECLINED"

    def answered(self, one: Planned, act: str, pending: int | None, moved: bool) -> None:
        """Note what became of what was asked: applied, or without its object."""
        if act.startswith("apply") and pending is not None:
            one.wishes[pending] = "APPLIED"
        elif moved:
            one.lapse()

    def tried(self, possible: bool, actor: Actor, use_case: Any, *args: Any) -> int | None:
        """Do it and return the key of what came of it, or see it refused without a trace."""
        if possible:
            return self.office.do(actor, use_case, *args)
        before = rows_of([self.office])
        with pytest.raises((Refused, Invalid, NotFound, Conflict)):
            self.office.do(actor, use_case, *args)
        assert rows_of([self.office]) == before
        return None

    @invariant()
    def the_database_says_what_the_model_says(self) -> None:
        looking = self.office.looking
        for one in self.planned:
            asked = select(ChangeRequest).where(ChangeRequest.job_id == one.job)
            rows = {row.id: row for row in looking.scalars(asked)}
            assert {key: row.status for key, row in rows.items()} == one.wishes
            assert list(one.wishes.values()).count("PENDING") <= 1
            assert all((row.answer.strip() != "") is (row.status == "DECLINED") for row in rows.values())
            visit = looking.get_one(Appointment, one.visit)
            assert (visit.status, visit.start_at) == ("SCHEDULED" if one.is_open else "CANCELLED", one.start)
            assert looking.get_one(Job, one.job).status == visit.status


@pytest.mark.row("J1")
@pytest.mark.row("C5")
def test_offers_and_requests_walked_at_random(shared_engine: Engine) -> None:
    walk_at_random(AskingWalk, shared_engine)


@pytest.mark.row("C6")
def test_wishes_for_changes_walked_at_random(shared_engine: Engine) -> None:
    walk_at_random(WishWalk, shared_engine)
