"""The one function that decides on Modify (M3): button, form, POST and API all ask it."""

from __future__ import annotations

from datetime import datetime
from typing import get_args

from portal.domain.actor import Role
from portal.domain.errors import Refusal, sentence
from portal.domain.jobs.states import APPOINTMENT, OPEN, Situation, job_refusal, takes_job_along
from portal.domain.scheduling.rules import Action, Decision, under_rules

(CANCELLED,) = APPOINTMENT.transition("cancel").targets


def decide(action: Action, asked: Situation) -> Decision:
    """Decide whether ``asked.actor`` may move or cancel ``asked.visit`` now: the tables first, then the rules.

    The decision carries the refusal's code and sentence, the rule that decided and whose it is and, where a cutoff says
    so, until when (UTC) it is or was possible. Staff are bound by the tables only.
    """
    if asked.visit is None or asked.job is None:
        raise ValueError("a decision needs the visit and its job")
    refusal = APPOINTMENT.refusal(action, asked.visit.status, asked)
    # The job's own table is asked only where the job moves too (M7).
    if refusal is None and (action == "reschedule" or takes_job_along(asked)):
        refusal = job_refusal(action, asked)
    if asked.actor.role is not Role.CUSTOMER or asked.controls is None:
        return Decision(refusal, "status")
    rules = under_rules(action, asked.controls, asked.visit, asked.now)
    if refusal is None:
        return rules
    if rules.refusal is not None and refusal.code == rules.refusal.code:
        return rules
    return Decision(_in_plain_words(refusal, asked.visit.status), "status")


def _in_plain_words(refusal: Refusal, status: str) -> Refusal:
    """Return a refusal that speaks of statuses, which are the office's words, as a customer reads it."""
    if refusal.code != "wrong_status":
        return refusal
    if status == CANCELLED:
        return Refusal(refusal.code, sentence("This visit is cancelled."))
    under_way = sentence("This visit is already under way.")
    return Refusal(refusal.code, under_way if status in OPEN else sentence("This visit is over."))


def modify_until(asked: Situation) -> datetime | None:
    """Return the last instant (UTC) at which *Modify* leads anywhere for the customer ``asked.actor`` (M1, M3).

    That is the later one where moving and cancelling end apart; ``None`` where neither is possible at ``asked.now``.
    """
    decisions = [decide(action, asked) for action in get_args(Action)]
    return max((one.until for one in decisions if one.allowed and one.until is not None), default=None)
