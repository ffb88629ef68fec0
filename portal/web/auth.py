"""Who is signed in, as what, and what they may enter: the bridge from Flask-Login to the domain's ``Actor``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import flask_security
from flask import Flask, abort, g, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext
from flask_security import RoleMixin, SQLAlchemyUserDatastore, UserMixin, current_user
from sqlalchemy import and_, bindparam, inspect, select
from sqlalchemy.orm import sessionmaker

from portal.domain import tenancy
from portal.domain.actor import Actor, Permission, Role
from portal.domain.people.models import Customer, Membership, Technician, User
from portal.domain.tenancy import set_scope, system_scope
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import db
from portal.web.sessions import is_nobodys

P = ParamSpec("P")
R = TypeVar("R")

LANDINGS = {
    Role.OPERATOR: "/admin/",
    Role.PARTNER_ADMIN: "/admin/",
    Role.DISPATCHER: "/admin/",
    Role.TECHNICIAN: "/field/",
    Role.CUSTOMER: "/my/",
}
AREAS = {
    "admin": (Role.OPERATOR, Role.PARTNER_ADMIN, Role.DISPATCHER),
    "field": (Role.TECHNICIAN,),
    "my": (Role.CUSTOMER,),
}

ROLE_NAMES = {
    Role.OPERATOR: lazy_gettext("Operator"),
    Role.PARTNER_ADMIN: lazy_gettext("Partner admin"),
    Role.DISPATCHER: lazy_gettext("Dispatcher"),
    Role.TECHNICIAN: lazy_gettext("Technician"),
    Role.CUSTOMER: lazy_gettext("Customer"),
}


@dataclass(frozen=True, slots=True)
class Parts:
    """What one log-in is: role and technician's id by partner, and the partner by customer's id; all in id order."""

    staff: dict[int, Role] = field(default_factory=dict)
    technicians: dict[int, int] = field(default_factory=dict)
    customers: dict[int, int] = field(default_factory=dict)


class LoginUser(UserMixin, User):
    """The domain's ``User`` as Flask-Security wants it. Mapped to the same table; the domain never sees it."""

    __allow_unmapped__ = True
    parts: Parts = Parts()


# A session of its own, so that the request's session holds nothing but what its actor may see.
_login_sessions = sessionmaker(expire_on_commit=False)
tenancy.enforce(_login_sessions)

# Put together once: every request of somebody signed in runs it.
_LOGIN = (
    select(
        LoginUser,
        Membership.partner_id,
        Membership.role,
        Technician.partner_id,
        Technician.id,
        Customer.partner_id,
        Customer.id,
    )
    .outerjoin(Membership, Membership.user_id == LoginUser.id)
    .outerjoin(Technician, and_(Technician.user_id == LoginUser.id, Technician.active))
    .outerjoin(Customer, Customer.user_id == LoginUser.id)
    .where(User.fs_uniquifier == bindparam("stamp"), User.active)
    .order_by(Membership.partner_id, Technician.partner_id, Customer.id)
)


def load_login(fs_uniquifier: str) -> LoginUser | None:
    """Return the active user of that stamp with their parts, in one statement; ``None`` if there is none."""
    with _login_sessions(bind=db.engine) as session:
        set_scope(session, system_scope("login"))
        rows = session.execute(_LOGIN, {"stamp": fs_uniquifier}).all()
        session.expunge_all()
    if not rows:
        return None
    parts = Parts()
    for _, staff_of, role, technician_of, technician_id, customer_of, customer_id in rows:
        if staff_of is not None:
            parts.staff[staff_of] = Role(role)
        if technician_of is not None:
            parts.technicians[technician_of] = technician_id
        if customer_of is not None:
            parts.customers[customer_id] = customer_of
    user: LoginUser = rows[0][0]
    user.parts = parts
    return user


class Datastore(SQLAlchemyUserDatastore):
    """Flask-Security's door to the users table; commits where everything commits."""

    def __init__(self) -> None:
        # Roles stand in the domain's tables, so Flask-Security's role model is never asked.
        super().__init__(db, LoginUser, RoleMixin)

    def find_user(self, case_insensitive: bool = False, **kwargs: Any) -> LoginUser | None:
        """Return the user with the one attribute given; by its stamp, with what they are to whom."""
        if "fs_uniquifier" in kwargs:
            return load_login(kwargs["fs_uniquifier"])
        found = super().find_user(case_insensitive, **kwargs)
        return found if isinstance(found, LoginUser) else None

    def commit(self) -> None:
        """Write what Flask-Security changed on users, such as a password hashed anew, in one unit of work."""
        session = db.session()
        changed = [(user.id, _changes(user)) for user in session.dirty if isinstance(user, User)]
        session.rollback()
        if not changed:
            return
        with unit_of_work(session):
            for user_id, values in changed:
                user = session.get_one(User, user_id)
                for name, value in values.items():
                    setattr(user, name, value)


def _changes(user: User) -> dict[str, Any]:
    return {attr.key: attr.value for attr in inspect(user).attrs if attr.history.has_changes()}


def actors_of(user: LoginUser) -> list[Actor]:
    """Return everything ``user`` can act as, the one they land as first: operator, staff, technician, customer.

    Somebody who works for several partners acts for the first; a customer of several partners sees all (C8).
    """
    actors = []
    name = user.name or user.email
    if user.is_operator:
        actors.append(Actor(user.id, Role.OPERATOR, name))
    for partner_id, role in list(user.parts.staff.items())[:1]:
        actors.append(Actor(user.id, role, name, frozenset({partner_id})))
    for partner_id, technician_id in list(user.parts.technicians.items())[:1]:
        actors.append(Actor(user.id, Role.TECHNICIAN, name, frozenset({partner_id}), technician_id=technician_id))
    if user.parts.customers:
        actors.append(
            Actor(
                user.id,
                Role.CUSTOMER,
                name,
                frozenset(user.parts.customers.values()),
                customer_ids=frozenset(user.parts.customers),
            )
        )
    return actors


def current_actor() -> Actor | None:
    """Return who acts in this request, in the role that the area asks for; ``None`` for somebody not signed in."""
    actor: Actor | None = g.get("actor")
    return actor


def signed_in_as() -> str | None:
    """Return the name of who is signed in, without loading anybody: error pages ask too."""
    user = g.get("_login_user")
    return (user.name or user.email) if user is not None and user.is_authenticated else None


def area_of(path: str) -> str:
    """Return the first part of ``path``: ``admin``, ``field``, ``my`` or anything else."""
    return path.lstrip("/").partition("/")[0]


def landing() -> str:
    """Return the address at which the signed-in person starts, the sign-in page for a stranger.

    403 for somebody who is nobody to any partner, such as a technician who left.
    """
    if not current_user.is_authenticated:
        return url_for("security.login")
    actors = actors_of(current_user)
    if not actors:
        abort(403)
    return LANDINGS[actors[0].role]


def require(permission: Permission) -> Callable[[Callable[P, R]], Callable[P, R | ResponseReturnValue]]:
    """Decorate a view so that only an actor with ``permission`` reaches it (see ``check``)."""

    def decorate(view: Callable[P, R]) -> Callable[P, R | ResponseReturnValue]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R | ResponseReturnValue:
            answer = check(permission)
            return view(*args, **kwargs) if answer is None else answer

        return guarded

    return decorate


def guard(permission: Permission) -> Callable[[], ResponseReturnValue | None]:
    """Return a ``before_request`` function for a whole blueprint (see ``check``)."""
    return lambda: check(permission)


def check(permission: Permission) -> ResponseReturnValue | None:
    """Return ``None`` if the actor may go on; send strangers to sign in; 403 for the wrong role."""
    actor = current_actor()
    if actor is None and not current_user.is_authenticated:
        return _sign_in_first()
    if actor is None or not actor.may(permission):
        abort(403)
    return None


def _sign_in_first() -> ResponseReturnValue:
    wanted = request.full_path.rstrip("?") if request.method in {"GET", "HEAD"} else None
    if request.headers.get("HX-Request"):
        # A sign-in form swapped into half a page would help nobody.
        answer = make_response("", 401)
        answer.headers["HX-Redirect"] = url_for("security.login")
        return answer
    return redirect(url_for("security.login", next=wanted))


def init_app(app: Flask) -> None:
    """Resolve the actor of every request of ``app`` once and fix the session's scope to it."""
    app.before_request(_resolve)
    app.context_processor(lambda: {"actor": current_actor(), "signed_in_as": signed_in_as()})
    app.jinja_env.globals["role_name"] = ROLE_NAMES.__getitem__


def _resolve() -> None:
    if is_nobodys(request):
        return
    actors = actors_of(current_user) if current_user.is_authenticated else []
    roles = AREAS.get(area_of(request.path), ())
    fitting = [actor for actor in actors if actor.role in roles] or actors
    g.actor = fitting[0] if fitting else None
    set_scope(db.session(), g.actor.scope if g.actor else system_scope("login"))


def hash_password(password: str) -> str:
    """Return ``password`` as it is stored; needs an application context."""
    hashed: str = flask_security.hash_password(password)
    return hashed
