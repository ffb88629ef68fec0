"""Who is signed in, as what, and what they may enter: the bridge from Flask-Login to the domain's ``Actor``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

import flask_security
from flask import Flask, abort, current_app, g, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import lazy_gettext
from flask_login import user_logged_out
from flask_security import RoleMixin, SQLAlchemyUserDatastore, UserMixin, current_user
from sqlalchemy import Connection, Dialect, Select, and_, bindparam, func, inspect, select
from sqlalchemy.orm import Session, make_transient_to_detached, sessionmaker

from portal.domain import tenancy
from portal.domain.actor import Actor, Permission, Role
from portal.domain.branding.models import PartnerLogo
from portal.domain.changes.queries import Mark, mark_column, mark_of
from portal.domain.database import POSTGRESQL, ask_driver
from portal.domain.people.look_ins import end_look_in
from portal.domain.people.models import Customer, Membership, Partner, Technician, User
from portal.domain.tenancy import Scope, set_scope, system_scope
from portal.domain.unit_of_work import unit_of_work
from portal.extensions import READING, db
from portal.web import looking, partners
from portal.web.errors import answer
from portal.web.looking import Looking
from portal.web.partners import PartnerInfo
from portal.web.sessions import is_nobodys

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

LANDINGS = {
    Role.OPERATOR: "/admin/partners/",
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


SUSPENDED_HEADING = lazy_gettext("Your company's account is suspended")
SUSPENDED_TEXT = lazy_gettext(
    "Nothing is lost: everything is as you left it, and you can go on as soon as the account is active again. "
    "The operator of Doorstep can tell you more."
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What one log-in is: role and technician's id by partner, and the partner by customer's id; all in id order.

    ``suspended`` holds those of the partners that are.
    """

    staff: dict[int, Role] = field(default_factory=dict)
    technicians: dict[int, int] = field(default_factory=dict)
    customers: dict[int, int] = field(default_factory=dict)
    suspended: set[int] = field(default_factory=set)


class LoginUser(UserMixin, User):
    """The domain's ``User`` as Flask-Security wants it. Mapped to the same table; the domain never sees it."""

    __allow_unmapped__ = True
    parts: Parts = Parts()
    partners: Mapping[int, PartnerInfo] = {}


# Sessions of their own, so that the request's session holds nothing but what its actor may see.
_sessions_beyond = sessionmaker(expire_on_commit=False)
tenancy.enforce(_sessions_beyond)


@contextmanager
def session_beyond(exception: str) -> Iterator[Session]:
    """Open a session beside the request's for work across partners, under a named exception to tenancy.

    What it read stays usable after it.
    """
    with _session_within(system_scope(exception)) as session:
        yield session


@contextmanager
def session_of(actor: Actor) -> Iterator[Session]:
    """Open a session beside the request's for somebody whom a link names, whoever is signed in; as above."""
    with _session_within(actor.scope) as session:
        yield session


@contextmanager
def _session_within(scope: Scope) -> Iterator[Session]:
    with _sessions_beyond(bind=db.engine) as session:
        set_scope(session, scope)
        yield session


# Put together once: every request of somebody signed in runs it. Of the tables, not the models: rows are all it takes.
_USERS, _MEMBERSHIPS, _TECHNICIANS, _CUSTOMERS, _PARTNERS, _LOGOS = (
    model.__table__ for model in (User, Membership, Technician, Customer, Partner, PartnerLogo)
)
_USER_COLUMNS = tuple(_USERS.c)


@cache
def _login(dialect: str) -> Select[*tuple[Any, ...]]:
    return (
        select(
            *_USER_COLUMNS,
            _MEMBERSHIPS.c.partner_id,
            _MEMBERSHIPS.c.role,
            _TECHNICIANS.c.partner_id,
            _TECHNICIANS.c.id,
            _CUSTOMERS.c.partner_id,
            # Whose record was merged into another sees that one.
            func.coalesce(_CUSTOMERS.c.merged_into_id, _CUSTOMERS.c.id),
            *(column.class_.__table__.c[column.key] for column in partners.COLUMNS),
            mark_column(dialect),
        )
        .select_from(_USERS)
        .outerjoin(_MEMBERSHIPS, and_(_MEMBERSHIPS.c.user_id == _USERS.c.id, _MEMBERSHIPS.c.active))
        .outerjoin(_TECHNICIANS, and_(_TECHNICIANS.c.user_id == _USERS.c.id, _TECHNICIANS.c.active))
        .outerjoin(_CUSTOMERS, _CUSTOMERS.c.user_id == _USERS.c.id)
        .outerjoin(
            _PARTNERS,
            _PARTNERS.c.id.in_((_MEMBERSHIPS.c.partner_id, _TECHNICIANS.c.partner_id, _CUSTOMERS.c.partner_id)),
        )
        .outerjoin(_LOGOS, _LOGOS.c.partner_id == _PARTNERS.c.id)
        .where(_USERS.c.fs_uniquifier == bindparam("stamp"), _USERS.c.active)
        .order_by(_MEMBERSHIPS.c.partner_id, _TECHNICIANS.c.partner_id, _CUSTOMERS.c.id)
    )


# Threads share it; tests have an engine each.
@lru_cache(maxsize=8)
def _login_sql(dialect: Dialect) -> str:
    return str(_login(dialect.name).compile(dialect=dialect))


def _rows(connection: Connection, fs_uniquifier: str) -> Sequence[Sequence[Any]]:
    given = {"stamp": fs_uniquifier}
    if connection.dialect.name == POSTGRESQL:
        return ask_driver(connection, _login_sql(connection.dialect), given)
    return connection.execute(_login(connection.dialect.name), given).all()


_PARTS_AT, _PARTNER_AT = len(_USER_COLUMNS), len(_USER_COLUMNS) + 6


Facts = tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class LoginRows:
    """What the log-in's statement says: ``facts`` of a person, and how far each of their partners was seen by it.

    Nothing of a request's actor comes from elsewhere, but for where an operator looks.
    """

    facts: Facts
    marks: Mapping[int, Mark]


def known_rows() -> dict[str, LoginRows]:
    """Return what this request has read by ``login_rows``, by stamp."""
    known: dict[str, LoginRows] = g.setdefault("login_rows", {})
    return known


def know_rows(rows: Mapping[str, LoginRows]) -> None:
    """Take over what was read for this very request already."""
    known_rows().update(rows)


def login_rows(fs_uniquifier: str) -> LoginRows:
    """Return what is stored of the active user of that stamp, no facts if there is none. One statement a request.

    Who somebody is comes before what they may see, so this is read past the request's session and its scope.
    """
    known = known_rows()
    if fs_uniquifier not in known:
        with current_app.extensions[READING].connect() as connection:
            rows = _rows(connection, fs_uniquifier)
        marks = {row[_PARTNER_AT]: mark_of(row[-1]) for row in rows if row[_PARTNER_AT] is not None}
        known[fs_uniquifier] = LoginRows(tuple(tuple(row[:-1]) for row in rows), marks)
    return known[fs_uniquifier]


def load_login(fs_uniquifier: str) -> LoginUser | None:
    """Return the active user of that stamp with their parts and partners; ``None`` if there is none."""
    found = login_rows(fs_uniquifier)
    if not found.facts:
        return None
    parts = Parts()
    known = {}
    for row in found.facts:
        staff_of, role, technician_of, technician_id, customer_of, customer_id = row[_PARTS_AT:_PARTNER_AT]
        if staff_of is not None:
            parts.staff[staff_of] = Role(role)
        if technician_of is not None:
            parts.technicians[technician_of] = technician_id
        if customer_of is not None:
            parts.customers[customer_id] = customer_of
        partner_id = row[_PARTNER_AT]
        if partner_id is not None and partner_id not in known:
            known[partner_id] = partners.info_from(row[_PARTNER_AT:], found.marks[partner_id])
    parts.suspended.update(key for key, info in known.items() if info.suspended)
    user = LoginUser(**{column.name: value for column, value in zip(_USER_COLUMNS, found.facts[0], strict=False)})
    make_transient_to_detached(user)
    user.parts, user.partners = parts, known
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

    Somebody who works for several partners acts for the first that is not suspended; a customer of several partners
    sees all (C8). Whoever is kept out by a suspension comes last, so that people land where they can do something.
    """
    actors = []
    name = user.name or user.email
    suspended = frozenset(user.parts.suspended)
    if user.is_operator:
        actors.append(Actor(user.id, Role.OPERATOR, name))
    for partner_id, role in _first_working(user.parts.staff, suspended):
        own = frozenset({partner_id})
        actors.append(Actor(user.id, role, name, own, suspended=own & suspended))
    for partner_id, technician_id in _first_working(user.parts.technicians, suspended):
        own = frozenset({partner_id})
        actors.append(
            Actor(user.id, Role.TECHNICIAN, name, own, technician_id=technician_id, suspended=own & suspended)
        )
    if user.parts.customers:
        own = frozenset(user.parts.customers.values())
        actors.append(
            Actor(
                user.id,
                Role.CUSTOMER,
                name,
                own,
                customer_ids=frozenset(user.parts.customers),
                suspended=own & suspended,
            )
        )
    return sorted(actors, key=lambda actor: actor.is_blocked)


def _first_working(parts: dict[int, T], suspended: frozenset[int]) -> list[tuple[int, T]]:
    return sorted(parts.items(), key=lambda part: part[0] in suspended)[:1]


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
    """Return ``None`` if the actor may go on; send strangers to sign in; 403 for the wrong role.

    Whoever works for a suspended partner is told so, on every page alike.
    """
    actor = current_actor()
    if actor is None and not current_user.is_authenticated:
        return _sign_in_first()
    if actor is not None and actor.is_blocked:
        return answer(403, SUSPENDED_TEXT, SUSPENDED_HEADING)
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
    user_logged_out.connect(_stop_looking, app)
    app.context_processor(
        lambda: {"actor": current_actor(), "signed_in_as": signed_in_as(), "looking": g.get("looking")}
    )
    app.jinja_env.globals["role_name"] = ROLE_NAMES.__getitem__


def _resolve() -> None:
    if is_nobodys(request):
        return
    actors = actors_of(current_user) if current_user.is_authenticated else []
    g.looking = looking.present(current_user.id) if actors and actors[0].role is Role.OPERATOR else None
    if g.looking is not None:
        actors[0] = replace(actors[0], partner_ids=frozenset({g.looking.partner_id}))
    roles = AREAS.get(area_of(request.path), ())
    fitting = [actor for actor in actors if actor.role in roles] or actors
    g.actor = fitting[0] if fitting else None
    set_scope(db.session(), g.actor.scope if g.actor else system_scope("login"))
    if g.actor:
        # What came along with the log-in, as far as it is in this actor's reach.
        known = {key: info for key, info in current_user.partners.items() if key in g.actor.partner_ids}
        setattr(g, partners.KNOWN, known)


def let_in(user: LoginUser, actor: Actor, partner: PartnerInfo) -> None:
    """Let this request be of ``actor``, who is ``user`` with that ``partner``, without loading them.

    Call it only where the log-in's rows are what they were when these were put together.
    """
    # Where Flask-Login looks first.
    g._login_user = user
    g.actor = actor
    set_scope(db.session(), actor.scope)
    setattr(g, partners.KNOWN, {partner.id: partner})


def _stop_looking(app: Flask, **extra: Any) -> None:
    """End the operator's look into a partner's data with their session."""
    present: Looking | None = g.get("looking")
    if present is not None:
        stop_looking(present)


def stop_looking(present: Looking) -> None:
    """Switch it off and record that."""
    looking.switch_off()
    with session_beyond("operator") as session, unit_of_work(session):
        end_look_in(session, datetime.now(UTC), present.look_in_id)


def hash_password(password: str) -> str:
    """Return ``password`` as it is stored; needs an application context."""
    hashed: str = flask_security.hash_password(password)
    return hashed
