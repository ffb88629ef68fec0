"""Tenancy, enforced by the session: each read and write of a partner's row is held to the session's scope.

The scope is fixed for a session's life. What the loader criterion cannot reach (Core statements on tenant tables, text)
is refused unless the statement says that it names the partner itself, see ``NAMES_PARTNER``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria
from sqlalchemy.sql.dml import Delete, Insert, Update

from portal.domain.base import Base, CustomerOwned, PartnerScoped
from portal.domain.errors import Refused, suspended

SCOPE = "scope"
# The partners whose rows a unit of work refuses to write, because they are suspended; until one is about to be written,
# how to find out.
SUSPENDED = "suspended"
EXCEPTIONS = ("login", "token", "system", "operator")
# For hand-written SQL that filters by partner in its own text; each such statement has a cross-tenant test.
NAMES_PARTNER = {"names_partner": True}
_ALIASES = frozenset({"alias", "lateral", "tablesample"})
_SOURCES = frozenset({"table", "column"}) | _ALIASES


class ScopeError(RuntimeError):
    """A query without a scope, outside its scope, or in a form that no scope can hold. Always a programming error."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a session may touch: these partners' rows and, for a customer, only those of these customers.

    ``exception`` names one of ``EXCEPTIONS`` for work across partners; everything then is in reach. A suspended
    partner's rows can only be read, but by those exceptions and ``past_suspension``: an operator looking in.
    """

    partner_ids: frozenset[int] = frozenset()
    customer_ids: frozenset[int] | None = None
    exception: str | None = None
    past_suspension: bool = False


def system_scope(exception: str) -> Scope:
    """Return the scope of a named exception; ``ScopeError`` for a name that is not one."""
    if exception not in EXCEPTIONS:
        raise ScopeError(f"{exception!r} is no exception to tenancy: {', '.join(EXCEPTIONS)}")
    return Scope(exception=exception)


def set_scope(session: Session, scope: Scope) -> None:
    """Fix ``scope`` for the life of ``session``; a second, different one is refused, since objects are loaded."""
    present = session.info.get(SCOPE)
    if present is not None and present != scope:
        raise ScopeError("the scope of a session is fixed: open another session for another actor")
    session.info[SCOPE] = scope


def scope_of(session: Session) -> Scope:
    """Return the scope of ``session``; ``ScopeError`` where none was set."""
    scope = session.info.get(SCOPE)
    if not isinstance(scope, Scope):
        raise ScopeError("this session has no scope: set_scope() first")
    return scope


def enforce(target: Any) -> None:
    """Install tenancy on a ``sessionmaker`` or ``scoped_session``: on what it reads, and on what it writes."""
    event.listen(target, "do_orm_execute", _scope_statement)
    event.listen(target, "before_flush", _check_flush)
    # These tell no event of what they write. The factory's class is a subclass of its own, so that nobody else loses
    # them.
    made = getattr(target, "session_factory", target).class_
    for name in ("bulk_save_objects", "bulk_insert_mappings", "bulk_update_mappings"):
        setattr(made, name, _refuse_bulk)


def _refuse_bulk(*args: Any, **kwargs: Any) -> None:
    raise ScopeError("bulk methods pass by the scope: add objects to the session")


@cache
def _tenant_tables(mapped: int) -> frozenset[str]:
    # Anew only when a model was added: to know ``mapped``, how many there are, costs nothing.
    return frozenset(
        mapper.local_table.name for cls in _subclasses(PartnerScoped) if (mapper := getattr(cls, "__mapper__", None))
    )


def _subclasses(cls: type) -> Iterable[type]:
    child: type
    for child in cls.__subclasses__():
        yield child
        yield from _subclasses(child)


# What was worked out about a statement; one that is put together once and run by every request is looked at once.
_KEPT = 64
_seen: WeakKeyDictionary[Any, _Named] = WeakKeyDictionary()
_scoped: WeakKeyDictionary[Any, dict[Scope, Any]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class _Named:
    """What a statement names: any tenant table at all, and one past its model, where no criterion reaches."""

    any: bool
    past_models: bool


def _names(statement: Any) -> _Named:
    found = _seen.get(statement)
    if found is None:
        found = _seen[statement] = _look_at(statement)
    return found


def _look_at(statement: Any) -> _Named:
    # What the criterion reaches is named by something that knows its model; a table or alias that nothing else names
    # is read bare. The table inside an alias is not looked at: the alias stands for it.
    tables = _tenant_tables(len(Base.metadata.tables))
    by_model: set[Any] = set()
    bare: set[Any] = set()
    text = False
    waiting = [statement]
    while waiting:
        element = waiting.pop()
        kind = getattr(element, "__visit_name__", "")
        source = element.table if kind == "column" else element
        inside = source.element if getattr(source, "__visit_name__", "") in _ALIASES else None
        if kind == "textclause" or (kind == "column" and element.is_literal and element.name != "*"):
            text = True
        elif kind in _SOURCES and _is_one_of(tables, source, inside):
            (by_model if "parententity" in element._annotations else bare).add(source)
            continue
        waiting.extend(element.get_children())
    return _Named(any=bool(by_model or bare), past_models=text or not bare <= by_model)


def _is_one_of(tables: frozenset[str], *sources: Any) -> bool:
    # By name: `table("jobs")` is the same table.
    return any(getattr(source, "__visit_name__", "") == "table" and source.name in tables for source in sources)


def _scope_statement(state: ORMExecuteState) -> None:
    statement = state.statement
    if state.execution_options.get("names_partner"):
        scope_of(state.session)
        return
    known = state.session.info.get(SCOPE)
    if isinstance(known, Scope) and known.exception is not None:
        return
    named = _names(statement)
    if not (named.any or named.past_models):
        return
    scope = scope_of(state.session)
    if not state.is_orm_statement or named.past_models:
        raise ScopeError("tenant tables are read through the models, or by SQL marked NAMES_PARTNER")
    if getattr(statement, "_is_from_statement", False) or statement.__visit_name__ == "orm_from_statement":
        raise ScopeError("from_statement() passes by the scope")
    if isinstance(statement, Insert):
        raise ScopeError("bulk INSERT passes by the scope: add objects to the session")
    if isinstance(statement, Update):
        if isinstance(state.parameters, list):
            raise ScopeError("bulk UPDATE by key passes by the scope: change objects of the session")
        if "partner_id" in _updated(statement, state.parameters):
            raise ScopeError("a row never changes its partner")
    if isinstance(statement, Update | Delete) and _suspended_in(state.session):
        # Which rows it would reach is not known before, so it is refused as a whole.
        raise Refused(suspended())
    if isinstance(statement, Update | Delete) or state.is_select:
        state.statement = _within(statement, scope)


def _within(statement: Any, scope: Scope) -> Any:
    kept = _scoped.setdefault(statement, {})
    found = kept.get(scope)
    if found is None:
        if len(kept) >= _KEPT:
            kept.clear()
        found = kept[scope] = statement.options(*_criteria(scope))
    return found


def _updated(statement: Update, parameters: Any) -> set[str]:
    names: set[str] = set(parameters or {})
    values: Any = statement._values or {}
    for key in values:
        names.add(getattr(key, "key", key))
    return names


def _criteria(scope: Scope) -> list[Any]:
    partners, people = scope.partner_ids, scope.customer_ids
    if len(partners) == 1:
        # Nearly everybody's; a list would be spelled out anew each time a statement is run.
        (partner_id,) = partners
        options = [_held_to(PartnerScoped, lambda cls: cls.partner_id == partner_id)]
    else:
        options = [_held_to(PartnerScoped, lambda cls: cls.partner_id.in_(partners))]
    if people is not None and len(people) == 1:
        (customer_id,) = people
        options.append(_held_to(CustomerOwned, lambda cls: cls.customer_id == customer_id))
    elif people is not None:
        options.append(_held_to(CustomerOwned, lambda cls: cls.customer_id.in_(people)))
    return options


def _held_to(mark: type, criterion: Callable[[Any], Any]) -> Any:
    return with_loader_criteria(mark, criterion, include_aliases=True, track_closure_variables=True)


def _check_flush(session: Session, flush_context: Any, instances: Any) -> None:
    for row in (*session.new, *session.dirty, *session.deleted):
        if isinstance(row, PartnerScoped):
            check_write(session, row)


def _suspended_in(session: Session) -> frozenset[int]:
    found = session.info.get(SUSPENDED, frozenset())
    if callable(found):
        found = session.info[SUSPENDED] = found()
    known: frozenset[int] = found
    return known


def check_write(session: Session, row: PartnerScoped) -> None:
    """Raise ``ScopeError`` for a row that is not the session's to write, ``Refused`` for a suspended partner's (P20).

    A flush asks for each of its rows; who writes past the session asks here.
    """
    scope = scope_of(session)
    if scope.exception is not None:
        return
    if row.partner_id not in scope.partner_ids:
        raise ScopeError(f"{type(row).__name__} of another partner in this session")
    if row.partner_id in _suspended_in(session):
        raise Refused(suspended())
    if not isinstance(row, CustomerOwned) or scope.customer_ids is None:
        return
    unseen = row.adds_unseen and row.customer_id is None and row in session.new
    if not unseen and row.customer_id not in scope.customer_ids:
        raise ScopeError(f"{type(row).__name__} of another customer in this session")
