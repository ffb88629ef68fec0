"""The engine: statuses and transitions as data, guards as pure functions, and the only way a status moves.

One table drives the buttons, the POST routes, the README's tables and ``portal lifecycles``: a guard that hides a
button is the guard that refuses the POST and says why.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from portal.domain.actor import Actor, Role
from portal.domain.errors import Refusal, Refused, Sentence, sentence, suspended


class HasStatus(Protocol):
    """Anything that an engine moves."""

    status: str


class Asked(Protocol):
    """What a guard looks at: at least who asks, about whose record."""

    @property
    def actor(self) -> Actor:
        """Who asks."""

    @property
    def partner_id(self) -> int | None:
        """Whose record it is; ``None`` for something new."""


A = TypeVar("A", bound=Asked)


@dataclass(frozen=True, slots=True)
class Status:
    """A status: its stored name, the group the overview counts it in, the label people read, whether it is an end.

    Where customers read other words than the office, ``label`` is the customer's and ``office`` the other.
    """

    name: str
    label: Sentence
    group: str = ""
    end: bool = False
    office_label: Sentence | None = None

    @property
    def office(self) -> Sentence:
        """The label that staff and technicians read."""
        return self.office_label or self.label


@dataclass(frozen=True, slots=True)
class Guard(Generic[A]):
    """A named condition. ``check`` is pure: it returns why not, or ``None``."""

    name: str
    check: Callable[[A], Refusal | None]


@dataclass(frozen=True, slots=True)
class Transition(Generic[A]):
    """One row of a table.

    ``sources`` holds ``None`` for *new*; ``targets`` is empty where the status stays. ``roles`` is empty for a
    transition that only moves along with something else (*with the visit*). ``inputs`` are required, ``optional``
    ones may be left out.
    """

    name: str
    label: Sentence | None
    sources: tuple[str | None, ...]
    targets: tuple[str, ...]
    roles: tuple[Role, ...]
    inputs: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    guards: tuple[Guard[A], ...] = ()


class Workflow(Generic[A]):
    """A vocabulary of statuses and the table of transitions between them."""

    def __init__(
        self,
        name: str,
        statuses: Sequence[Status],
        transitions: Sequence[Transition[A]],
        with_what: str = "",
        with_several: Collection[tuple[str, str]] = (),
    ) -> None:
        self.name = name
        self.statuses = tuple(statuses)
        self.transitions = tuple(transitions)
        self.with_what = with_what
        # Where a status may lead besides, when there are several of what it goes with.
        self.with_several = frozenset(with_several)
        self._statuses = {status.name: status for status in statuses}
        self._transitions = {transition.name: transition for transition in transitions}

    def status(self, name: str) -> Status:
        """Return the status called ``name``; ``KeyError`` if the table has none."""
        return self._statuses[name]

    def transition(self, name: str) -> Transition[A]:
        """Return the transition called ``name``; ``KeyError`` if the table has none."""
        return self._transitions[name]

    def has(self, name: str) -> bool:
        """Whether the table has a transition called ``name``."""
        return name in self._transitions

    def is_end(self, status: str) -> bool:
        """Whether nothing leads out of ``status`` in the ordinary course."""
        return self._statuses[status].end

    def refusal(self, name: str, status: str | None, asked: A) -> Refusal | None:
        """Say why ``asked.actor`` may not do ``name`` from ``status`` (``None`` for new), or ``None`` if they may."""
        transition = self._transitions[name]
        if status not in transition.sources:
            return self._wrong_status(transition, status)
        if asked.actor.suspended and asked.partner_id in asked.actor.suspended:
            return suspended()
        if not asked.actor.is_one_of(transition.roles):
            return Refusal("not_your_role", sentence("This is not yours to do."))
        for guard in transition.guards:
            refusal = guard.check(asked)
            if refusal is not None:
                return refusal
        return None

    def available(self, status: str, asked: A) -> tuple[Transition[A], ...]:
        """Return the transitions that would be accepted from ``status`` if pressed now, in the table's order."""
        return tuple(row for row in self.transitions if self.refusal(row.name, status, asked) is None)

    def move(self, subject: HasStatus, name: str, asked: A, target: str | None = None) -> None:
        """Move ``subject`` by ``name`` after asking the guards; raises ``Refused`` and changes nothing otherwise.

        ``target`` chooses among several targets of the row.
        """
        refusal = self.refusal(name, subject.status, asked)
        if refusal is not None:
            raise Refused(refusal)
        self._set(subject, self._transitions[name], target)

    def follow(self, subject: HasStatus, name: str, target: str | None = None) -> None:
        """Move ``subject`` along with what it belongs to, or for the system: sources and targets hold, roles do not."""
        transition = self._transitions[name]
        if subject.status not in transition.sources:
            raise Refused(self._wrong_status(transition, subject.status))
        self._set(subject, transition, target)

    def lead(self, subject: HasStatus, target: str) -> None:
        """Move ``subject`` to where what it goes with has put it; ``ValueError`` where no row leads there.

        Nobody's role is asked: whoever moved the other was.
        """
        here = subject.status
        rows = any(here in row.sources and target in row.targets for row in self.transitions)
        if not rows and (here, target) not in self.with_several:
            raise ValueError(f"{self.name}: nothing leads from {here} to {target}")
        subject.status = target

    def start(self, name: str, asked: A) -> str:
        """Return the first status of something new made by ``name``; raises ``Refused``."""
        refusal = self.refusal(name, None, asked)
        if refusal is not None:
            raise Refused(refusal)
        return self._transitions[name].targets[0]

    def first(self, name: str) -> str:
        """Return the status in which something new comes along with what it belongs to: roles are not asked."""
        transition = self._transitions[name]
        if None not in transition.sources:
            raise ValueError(f"{name} makes nothing new")
        return transition.targets[0]

    def as_json(self) -> dict[str, Any]:
        """Return the table in the shape of ``portal lifecycles --json``."""
        return {
            "statuses": [
                {
                    "name": status.name,
                    "group": status.group or None,
                    "label": str(status.label),
                    "end": status.end,
                }
                for status in self.statuses
            ],
            "transitions": [
                {
                    "name": row.name,
                    "label": str(row.label) if row.label else "",
                    "sources": list(row.sources),
                    "targets": list(row.targets),
                    "who": sorted(row.roles) or [self.with_what],
                    "inputs": list(row.inputs),
                    "optional_inputs": list(row.optional),
                    "guards": [guard.name for guard in row.guards],
                }
                for row in self.transitions
            ],
        }

    def _wrong_status(self, transition: Transition[A], status: str | None) -> Refusal:
        label: object = transition.label or transition.name.replace("_", " ")
        here: object = self._statuses[status].office if status else sentence("new")
        places = [self._statuses[source].office for source in transition.sources if source]
        if not places:
            return Refusal("wrong_status", sentence("“%(action)s” is only for something new.", action=label))
        return Refusal(
            "wrong_status",
            sentence(
                "“%(action)s” is not possible while the status is “%(status)s”; it needs %(places)s.",
                action=label,
                status=here,
                places=any_of(places),
            ),
        )

    @staticmethod
    def _set(subject: HasStatus, transition: Transition[A], target: str | None) -> None:
        if not transition.targets:
            return
        chosen = target if target is not None else transition.targets[0]
        if chosen not in transition.targets:
            raise ValueError(f"{transition.name} does not lead to {chosen}")
        subject.status = chosen


def any_of(labels: Sequence[Sentence]) -> Sentence:
    """Return the labels as one sentence part: “A”, “B” or “C”."""
    if len(labels) == 1:
        return sentence("“%(only)s”", only=labels[0])
    if len(labels) == 2:
        return sentence("“%(first)s” or “%(last)s”", first=labels[0], last=labels[1])
    return sentence("“%(first)s”, %(rest)s", first=labels[0], rest=any_of(labels[1:]))
