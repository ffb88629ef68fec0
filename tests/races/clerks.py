"""What one of the racing processes does; a module of its own, so that a fresh process imports little else."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import create_engine, event, select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor
from portal.domain.database import prepare_engine
from portal.domain.errors import Conflict, Invalid, Refused
from portal.domain.jobs import mechanics, services, taking
from portal.domain.jobs.mechanics import lock_job_of
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.services import Booking, ItemInput
from portal.domain.jobs.taking import LOCKING_JOB, LOCKING_TAKERS, job_of, takers_of
from portal.domain.lookup import lock_technicians
from portal.domain.people.models import Technician
from portal.domain.prepared import Prepared
from portal.domain.tenancy import set_scope
from portal.domain.unit_of_work import unit_of_work
from tests.domain.office import NOW, People, sessions_of

# Few times for many visits of two hours each.
STARTS = [NOW + timedelta(days=3, minutes=30 * number) for number in range(12)]

# How the leader's turn ends when it got as far as to let the others start.
LEADING = {"done", "nothing"}

# How long somebody waits at most for the others to let go of the database.
SECONDS = 60

_gates: dict[int, Any] = {}


@dataclass(frozen=True)
class Target:
    """An installation to fight over: the keys of job and visit, and whose it is."""

    job_id: int
    visit_id: int
    customer: int


@dataclass(frozen=True)
class Outcome:
    """How the calls of a process ended, and what ended as it never should."""

    ends: Counter[str]
    errors: list[str]


def wait_at(gates: dict[int, Any]) -> None:
    """Remember the gates, by how many processes wait at them, at which this process waits for the others."""
    _gates.update(gates)


def gate(among: int) -> Any:
    """Return the gate at which ``among`` processes wait for one another."""
    return _gates[among]


def _wait_longer(connection: Any, record: object) -> None:
    """Let a busy machine take its time: SQLite gives the next turn to nobody in particular."""
    connection.execute(f"PRAGMA busy_timeout = {SECONDS * 1000}")


@dataclass(frozen=True)
class Turn:
    """A use case to call, for whom, and at which instant."""

    actor: Actor
    use_case: Callable[..., Any]
    now: datetime
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)


# These find what the others lock.
_LOOKING_AT_JOB, LOOKING_AT_TAKERS = Prepared(job_of), Prepared(takers_of)


class Clerk:
    """Calls use cases over a connection of its own. Without ``locks``, as if nobody had thought of any."""

    def __init__(self, url: str, people: People, locks: bool = True) -> None:
        engine = create_engine(url)
        self.engine = prepare_engine(engine) if locks else engine
        if locks and engine.name == "sqlite":
            event.listen(engine, "connect", _wait_longer)
        self.sessions = sessions_of(self.engine)
        self.people = people
        self.outcome = Outcome(Counter(), [])
        mechanics.lock_job_of = lock_job_of if locks else _look_at_job_of
        taking.LOCKING_JOB = LOCKING_JOB if locks else _LOOKING_AT_JOB
        taking.LOCKING_TAKERS = LOCKING_TAKERS if locks else LOOKING_AT_TAKERS
        services.lock_technicians = lock_technicians if locks else look_without_locking  # type: ignore[attr-defined]

    def call(self, actor: Actor, use_case: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
        """Call a use case; being told no, with a sentence, is an end like any other. Anything else is an error."""
        return self.take(Turn(actor, use_case, NOW, args, kwargs))

    def take(self, turn: Turn, before_commit: Callable[[Session], None] = lambda session: None) -> str:
        """Take a turn, do something before its transaction ends, and return how it ended."""
        name = turn.use_case.__name__
        try:
            with self.sessions() as session:
                set_scope(session, turn.actor.scope)
                with unit_of_work(session):
                    did = turn.use_case(session, turn.actor, turn.now, *turn.args, **turn.kwargs)
                    session.flush()
                    before_commit(session)
            end = said = "nothing" if did is False else "done"
        except (Refused, Conflict) as no:
            end, said = no.refusal.code, str(no.refusal.sentence)
        except Invalid as no:
            end, said = "invalid", str(no)
        except Exception as error:  # whatever it is, the test shows it
            end, said = "error", ""
            self.outcome.errors.append(f"{name}: {type(error).__name__}: {str(error)[:400]}")
        if end != "error" and not said:
            self.outcome.errors.append(f"{name}: {end} without a word")
        self.outcome.ends[f"{name}: {end}"] += 1
        return end

    def act_at_random(self, chance: random.Random, targets: Sequence[Target]) -> None:
        """Do one of the five things that book a time."""
        people, start = self.people, chance.choice(STARTS)
        technician_id = people.technician_id(chance.randrange(len(people.technicians)))
        target = chance.choice(targets)
        what = chance.choice(["schedule", "assign", "reassign", "reschedule", "reschedule", "move"])
        if what == "schedule":
            booking = Booking(
                people.customer_id(target.customer),
                people.addresses[target.customer],
                people.service_type_id,
                start,
                [ItemInput("Panel", 1)],
                technician_id=technician_id,
            )
            self.call(people.dispatcher, services.schedule_installation, booking)
        elif what == "move":
            self.call(people.customers[target.customer], services.move_by_customer, target.visit_id, start)
        elif what == "reschedule":
            self.call(people.dispatcher, services.reschedule, target.job_id, start)
        else:
            self.call(people.dispatcher, getattr(services, what), target.job_id, technician_id)


def book_at_random(url: str, people: People, targets: Sequence[Target], seed: int, rounds: int, among: int) -> Outcome:
    """Book at random, ``among`` processes at once."""
    clerk, chance = Clerk(url, people), random.Random(seed)
    gate(among).wait()
    for _ in range(rounds):
        clerk.act_at_random(chance, targets)
    clerk.engine.dispose()
    return clerk.outcome


def move_in_step(
    url: str, people: People, target: Target, starts: Sequence[datetime], locks: bool, among: int
) -> Outcome:
    """Move one visit for its customer to each of ``starts``, waiting for the others before each."""
    clerk = Clerk(url, people, locks)
    for start in starts:
        gate(among).wait()
        clerk.call(people.customers[target.customer], services.move_by_customer, target.visit_id, start)
    clerk.engine.dispose()
    return clerk.outcome


def reassign_in_step(url: str, people: People, target: Target, technician_id: int, rounds: int, among: int) -> Outcome:
    """Reassign one installation again and again, waiting for the others before each try."""
    clerk = Clerk(url, people)
    for _ in range(rounds):
        gate(among).wait()
        clerk.call(people.dispatcher, services.reassign, target.job_id, technician_id)
    clerk.engine.dispose()
    return clerk.outcome


def act_in_turn(url: str, people: People, turns: Sequence[Turn], leads: bool, among: int) -> list[str]:
    """Take ``turns``, each while the leading process is in the middle of its own; return how they ended.

    Who leads lets the others start when everything is written and nothing committed, and commits when one of them waits
    for that, or has ended without.
    """
    clerk, ends = Clerk(url, people), []
    for turn in turns:
        if leads:
            ends.append(clerk.take(turn, lambda session: _let_others_come(session, gate(among))))
            if ends[-1] not in LEADING:
                gate(among).wait()
        else:
            gate(among).wait()
            ends.append(clerk.take(turn))
        # Nobody is a turn ahead.
        gate(among).wait()
    clerk.engine.dispose()
    return [*ends, *clerk.outcome.errors]


def act_at_once(url: str, people: People, turns: Sequence[Turn], locks: bool, among: int) -> list[str]:
    """Take ``turns``, waiting for the others before each; return how they ended."""
    clerk, ends = Clerk(url, people, locks), []
    for turn in turns:
        gate(among).wait()
        ends.append(clerk.take(turn))
    clerk.engine.dispose()
    return [*ends, *clerk.outcome.errors]


def tick(session: Session, actor: Actor, now: datetime, visit_id: int) -> bool:
    """Make a pending cancel final as the worker does."""
    return services.finalise_due_cancel(session, now, visit_id)


def _let_others_come(session: Session, others: Any) -> None:
    others.wait()
    if session.get_bind().dialect.name != "postgresql":
        # On SQLite they wait before they see anything.
        return
    held_up = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    while not session.connection().exec_driver_sql(held_up).scalar() and not others.n_waiting:
        pass


def _look_at_job_of(session: Session, visit_id: int) -> Job:
    query = select(Job).join(Appointment, Appointment.job_id == Job.id).where(Appointment.id == visit_id)
    return session.scalars(query, execution_options={"populate_existing": True}).one()


def look_without_locking(session: Any, keys: Any) -> list[Technician]:
    """Return technicians as the real lock does, without one."""
    query = select(Technician).where(Technician.id.in_(sorted(set(keys)))).order_by(Technician.id)
    return list(session.scalars(query))
