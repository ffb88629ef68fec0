"""What processes do that answer one request or take one offered job at once; a module of its own, see ``clerks``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.lookup import find
from portal.domain.offers import services as offers
from portal.domain.offers.models import JobOffer, OfferedJob
from portal.domain.requests import new_service
from portal.domain.requests.models import ServiceRequest
from tests.domain.office import People
from tests.races.clerks import Clerk, Turn, gate


def answer_at_once(url: str, people: People, turns: Sequence[Turn], locks: bool, among: int) -> list[str]:
    """Take ``turns``, waiting for the others before each; return how they ended.

    Without ``locks`` everybody looks, and only when all have seen that nobody answered yet does anybody write.
    """
    clerk, ends = Clerk(url, people), []
    present = (offers._lock, new_service._lock)
    if not locks:
        offers._lock = lambda session, key: _look_at_offer(session, key, among)
        new_service._lock = lambda session, key: _look_at_request(session, key, among)
    try:
        for turn in turns:
            gate(among).wait()
            ends.append(clerk.take(turn))
    finally:
        offers._lock, new_service._lock = present
    clerk.engine.dispose()
    return ends


def _look_at_offer(session: Session, key: int, among: int) -> tuple[JobOffer, OfferedJob]:
    offer = find(session, JobOffer, key)
    offered = session.scalars(select(OfferedJob).where(OfferedJob.id == offer.offered_job_id)).one()
    _together(session, among)
    return offer, offered


def _look_at_request(session: Session, key: int, among: int) -> ServiceRequest:
    found = find(session, ServiceRequest, key)
    _together(session, among)
    return found


def _together(session: Any, among: int) -> None:
    # On SQLite the unit of work holds the only write lock from its beginning: what stands for having none is to let go
    # of it between the look and the write.
    if session.get_bind().dialect.name == "sqlite":
        session.connection().exec_driver_sql("COMMIT")
        gate(among).wait()
        session.connection().exec_driver_sql("BEGIN IMMEDIATE")
    else:
        gate(among).wait()
