"""Who acts, and what each role may do: the one place that says so."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from portal.domain.errors import Refusal, Refused, sentence
from portal.domain.tenancy import Scope, system_scope


class Role(StrEnum):
    """What somebody is to a partner; a transition's table names these."""

    OPERATOR = "operator"
    PARTNER_ADMIN = "partner_admin"
    DISPATCHER = "dispatcher"
    TECHNICIAN = "technician"
    CUSTOMER = "customer"
    SYSTEM = "system"


STAFF = frozenset({Role.DISPATCHER, Role.PARTNER_ADMIN})
WORKING = STAFF | {Role.TECHNICIAN}


class Permission(StrEnum):
    """What a whole page or area asks for; single acts on a job or visit are ruled by the tables of ``states.py``."""

    ADMIN = "enter the partner's admin"
    FIELD = "enter the technician's pages"
    MY = "enter the customer's pages"
    SCHEDULE = "create installations"
    SEE_JOBS = "see every job of the partner"
    MANAGE_PEOPLE = "edit customers and technicians"
    MANAGE_SETTINGS = "edit the partner's rules and set-up"
    SEE_LOG = "see messages sent and background jobs"
    MANAGE_STAFF = "invite staff, change their roles, deactivate them"
    SEE_ACCESS = "see when the operator looked into the partner's data"
    MANAGE_PARTNERS = "create, suspend and look into partners, offer them jobs"


ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.OPERATOR: frozenset({Permission.ADMIN, Permission.SEE_LOG, Permission.MANAGE_PARTNERS}),
    Role.PARTNER_ADMIN: frozenset(
        {
            Permission.ADMIN,
            Permission.SCHEDULE,
            Permission.SEE_JOBS,
            Permission.MANAGE_PEOPLE,
            Permission.MANAGE_SETTINGS,
            Permission.SEE_LOG,
            Permission.MANAGE_STAFF,
            Permission.SEE_ACCESS,
        }
    ),
    Role.DISPATCHER: frozenset(
        {
            Permission.ADMIN,
            Permission.SCHEDULE,
            Permission.SEE_JOBS,
            Permission.MANAGE_PEOPLE,
            Permission.SEE_LOG,
        }
    ),
    Role.TECHNICIAN: frozenset({Permission.FIELD}),
    Role.CUSTOMER: frozenset({Permission.MY}),
    Role.SYSTEM: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks. ``id`` is the user's (``None`` for the system); ``partner_ids`` what they may touch.

    ``technician_id`` is set for a technician, ``customer_ids`` for a customer (one person may be customer of several
    partners, C8). ``suspended`` holds those of the partners that the operator has suspended (P20).
    """

    id: int | None
    role: Role
    name: str
    partner_ids: frozenset[int] = frozenset()
    technician_id: int | None = None
    customer_ids: frozenset[int] = frozenset()
    suspended: frozenset[int] = frozenset()

    def may(self, permission: Permission) -> bool:
        """Whether this actor's role carries ``permission``; an operator looking into a partner's data has its admin's.

        Whoever works for a suspended partner may nothing.
        """
        if self.is_blocked:
            return False
        looking_in = self.role is Role.OPERATOR and self.partner_ids
        return permission in ROLE_PERMISSIONS[Role.PARTNER_ADMIN if looking_in else self.role]

    @property
    def is_blocked(self) -> bool:
        """Whether this is staff or a technician of a suspended partner; its customers may still read (P20)."""
        return bool(self.suspended) and self.role in WORKING

    @property
    def is_staff(self) -> bool:
        """Whether this acts as *staff* of ``lifecycles.md``: dispatcher, partner admin, or an operator looking in."""
        return self.role in STAFF or (self.role is Role.OPERATOR and bool(self.partner_ids))

    def is_one_of(self, roles: Collection[Role]) -> bool:
        """Whether this actor has one of ``roles``; an operator looking into a partner's data counts as its staff."""
        return self.role in roles or (self.is_staff and not STAFF.isdisjoint(roles))

    @property
    def scope(self) -> Scope:
        """The tenancy scope in which this actor's session reads and writes."""
        if self.role is Role.SYSTEM:
            return system_scope("system")
        people = self.customer_ids if self.role is Role.CUSTOMER else None
        return Scope(self.partner_ids, people, past_suspension=self.role is Role.OPERATOR)


SYSTEM = Actor(id=None, role=Role.SYSTEM, name="Doorstep")


def demand_permission(actor: Actor, permission: Permission) -> None:
    """Raise ``Refused`` unless ``actor`` has ``permission``, whatever the page that asks has checked."""
    if not actor.may(permission):
        raise Refused(Refusal("not_your_role", sentence("This is not yours to do.")))
