"""The partner's staff: change roles, deactivate, take that back. New ones come by ``invitations``.

Each use case runs within ``unit_of_work`` and holds the partner's row, so that of two admins who demote each other at
once one stays. They raise ``NotFound`` for what is out of the session's scope, ``Refused`` where a rule stands against
it and ``Conflict`` for a form from before somebody else's change; then nothing is changed. ``now`` is an instant.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session, contains_eager

from portal.domain.actor import STAFF, Actor, Permission, Role, demand_permission
from portal.domain.errors import Conflict, Invalid, NotFound, Refusal, Refused, changed_meanwhile, sentence
from portal.domain.lookup import MAX_KEY, find, lock
from portal.domain.paging import PAGE_ROWS, Cursor, Order, Page, page_of
from portal.domain.people.models import Customer, Membership, Technician, User
from portal.domain.people.partners import lock_partner
from portal.domain.people.queries import words_in
from portal.domain.people.record import note
from portal.domain.tenancy import NAMES_PARTNER

STAFF_BY = {"number": (Membership.id,)}
STAFF_BY_NUMBER = Order(STAFF_BY["number"])

LAST_ADMIN = Refusal(
    "last_admin", sentence("This is the last partner admin. Make somebody else one first, so that someone can sign in.")
)
ONESELF = Refusal("oneself", sentence("You cannot deactivate yourself; ask another partner admin."))


def list_staff(
    session: Session,
    text: str = "",
    active: bool | None = True,
    order: Order = STAFF_BY_NUMBER,
    cursor: Cursor | None = None,
    limit: int = PAGE_ROWS,
) -> Page[Membership]:
    """Return a page of the staff in the session's scope, each with ``user``; ``active=None`` for all. One statement.

    ``text`` is looked for in name and e-mail.
    """
    query = _with_user().where(words_in(text, (User.name, User.email)))
    if active is not None:
        query = query.where(Membership.active.is_(active))
    return page_of(session, query, order, cursor, limit)


def staff_member(session: Session, membership_id: int) -> Membership:
    """Return one of the staff with ``user`` loaded; raises ``NotFound``."""
    if not 0 < membership_id <= MAX_KEY:
        raise NotFound
    query = _with_user().where(Membership.id == membership_id)
    # One that is known already may have come without its user.
    found: Membership | None = session.scalars(query, execution_options={"populate_existing": True}).one_or_none()
    if found is None:
        raise NotFound
    return found


def deactivate_refusal(session: Session, actor: Actor, membership: Membership) -> Refusal | None:
    """Say why ``actor`` may not deactivate this member of staff, or ``None`` if they may."""
    if membership.user_id == actor.id:
        return ONESELF
    return LAST_ADMIN if _is_last_admin(session, membership) else None


def change_role(
    session: Session, actor: Actor, now: datetime, membership_id: int, version: int, role: str
) -> Membership:
    """Make somebody partner admin or dispatcher, at once; ``version`` is the one the form was made from."""
    demand_permission(actor, Permission.MANAGE_STAFF)
    membership = _lock(session, membership_id)
    if membership.version != version:
        raise Conflict(changed_meanwhile())
    if role not in STAFF:
        raise Invalid({"role": sentence("Choose one of the roles")})
    if role == membership.role:
        return membership
    if _is_last_admin(session, membership):
        raise Invalid({"role": LAST_ADMIN.sentence})
    before, membership.role = membership.role, role
    user = session.get_one(User, membership.user_id)
    note(session, actor, now, membership.partner_id, "change_role", about=user.email, before=before, after=role)
    session.flush()
    return membership


def set_staff_active(session: Session, actor: Actor, now: datetime, membership_id: int, active: bool) -> Membership:
    """Deactivate somebody, whose access ends at once, or take that back.

    What they are besides, such as a customer, they stay; who is nothing besides is signed out everywhere.
    """
    demand_permission(actor, Permission.MANAGE_STAFF)
    membership = _lock(session, membership_id)
    if membership.active == active:
        return membership
    refusal = None if active else deactivate_refusal(session, actor, membership)
    if refusal is not None:
        raise Refused(refusal)
    membership.active = active
    session.flush()
    user = session.get_one(User, membership.user_id)
    if not active and not _is_anything(session, user):
        user.fs_uniquifier = uuid.uuid4().hex
    action = "reactivate_staff" if active else "deactivate_staff"
    note(session, actor, now, membership.partner_id, action, about=user.email)
    session.flush()
    return membership


def _with_user() -> Any:
    return select(Membership).join(User, User.id == Membership.user_id).options(contains_eager(Membership.user))


def _lock(session: Session, membership_id: int) -> Membership:
    lock_partner(session, find(session, Membership, membership_id).partner_id)
    return lock(session, Membership, membership_id)


def _is_last_admin(session: Session, membership: Membership) -> bool:
    """Whether nobody else could sign in as the partner's admin."""
    if membership.role != Role.PARTNER_ADMIN or not membership.active:
        return False
    others: Sequence[int] = session.scalars(
        select(Membership.id)
        .join(User, User.id == Membership.user_id)
        .where(
            Membership.partner_id == membership.partner_id,
            Membership.id != membership.id,
            Membership.role == Role.PARTNER_ADMIN.value,
            Membership.active.is_(True),
            User.active.is_(True),
        )
        .limit(1)
    ).all()
    return not others


def _is_anything(session: Session, user: User) -> bool:
    """Whether ``user`` is still something to anybody, with this partner or another."""
    if user.is_operator:
        return True
    parts = (
        exists().where(Membership.user_id == user.id, Membership.active.is_(True)),
        exists().where(Technician.user_id == user.id, Technician.active.is_(True)),
        exists().where(Customer.user_id == user.id),
    )
    # Across partners: it decides only whether a session ends, and is told to nobody.
    return bool(session.scalar(select(or_(*parts)), execution_options=NAMES_PARTNER))
