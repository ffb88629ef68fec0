"""What a service raises when it cannot do what was asked; the web layers map each once to an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence for a person: an English message id and its parameters, translated at the edge.

    ``str()`` gives the English text. Parameters are named, as in ``%(name)s``; one that is a ``Sentence`` itself is
    translated first, a ``datetime`` is shown in the partner's zone by the edge.
    """

    msgid: str
    params: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.msgid % self.params if self.params else self.msgid


def sentence(msgid: str, **params: object) -> Sentence:
    """Return ``msgid`` with its parameters as a ``Sentence``; also the keyword by which texts are extracted."""
    return Sentence(msgid, params)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something is not allowed: a stable code for programs and a sentence for people."""

    code: str
    sentence: Sentence


class DomainError(Exception):
    """Base of everything a service refuses with."""


class Refused(DomainError):
    """The tables or the rules do not allow it now; nothing was changed."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal.sentence))
        self.refusal = refusal


class NotFound(DomainError):
    """There is no such record for this actor, whether it exists elsewhere or not (C7)."""


class Conflict(DomainError):
    """Somebody else was quicker: the record or the time is no longer as the actor saw it; nothing was changed."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal.sentence))
        self.refusal = refusal


class Invalid(DomainError):
    """Input of the right shape that cannot be accepted; ``errors`` maps a field's name to its sentence."""

    def __init__(self, errors: Mapping[str, Sentence]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in errors.items()))
        self.errors = dict(errors)


class Warned(Invalid):
    """Input that staff may insist on: it breaks a soft rule (hours, time off, holiday, buffer), not a hard one."""


def suspended() -> Refusal:
    """Return the refusal of a change to the data of a suspended partner (P20)."""
    return Refusal(
        "suspended", sentence("This company's account is suspended: everything can be read, nothing can be changed.")
    )


def too_long(limit: int) -> Sentence:
    """Return the sentence for a text of more than ``limit`` characters."""
    return sentence("Use %(limit)s characters or fewer.", limit=limit)


def changed_meanwhile() -> Refusal:
    """Return the refusal of a form that was made before somebody else's change."""
    return Refusal("changed_meanwhile", sentence("Somebody else changed this while your form was open."))
