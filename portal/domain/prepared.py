"""Statements that are put together once and asked of PostgreSQL's driver itself, for what has to be quick.

Apart from the database's own work a statement costs a sixth of what it does over SQLAlchemy. Tenancy does not reach
these: each names the partner itself and has a cross-tenant test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Generic, TypeVar

from psycopg import RawCursor
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Dialect,
    Executable,
    Insert,
    Update,
    any_,
    bindparam,
    insert,
    inspect,
    update,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm.attributes import manager_of_class

from portal.domain.base import Base
from portal.domain.database import POSTGRESQL

M = TypeVar("M", bound=Base)
# A statement with its values.
Given = tuple["Prepared", Mapping[str, Any]]


class Prepared:
    """One statement; ``build`` puts it together for the dialect of that name, with a parameter for each value."""

    def __init__(self, build: Callable[[str], Executable]) -> None:
        self._build = build
        self._statements: dict[str, Any] = {}
        self._text: Text | None = None

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> Sequence[Any]:
        """Return the rows that it finds; raises what SQLAlchemy would."""
        (rows,) = read(connection, values, self)
        return rows

    def parts(self, connection: Connection, values: Mapping[str, Any], size: int) -> Iterator[Any]:
        """Return the rows that it finds, of which no more than ``size`` are put together at once."""
        (found,) = _run(connection, [(self, values)])
        while rows := found.fetchmany(size):
            yield from rows

    def text(self, dialect: Dialect) -> Text:
        """Return what the driver of PostgreSQL is told."""
        if self._text is None:
            self._text = Text(self.statement(dialect), dialect)
        return self._text

    def statement(self, dialect: Dialect) -> Any:
        """Return the statement itself, as SQLAlchemy runs it."""
        found = self._statements.get(dialect.name)
        if found is None:
            found = self._statements[dialect.name] = self._build(dialect.name)
        return found


def read(connection: Connection, values: Mapping[str, Any], *statements: Prepared) -> list[Sequence[Any]]:
    """Return the rows that each of some statements finds with the same values; otherwise as ``write``."""
    return [found.fetchall() for found in _run(connection, [(statement, values) for statement in statements])]


def write(connection: Connection, *rows: Given) -> list[int]:
    """Run statements with their values, and return how many rows each wrote; raises what SQLAlchemy would.

    They run one after the other, but are sent together, so that PostgreSQL is waited for once.
    """
    return [found.rowcount for found in _run(connection, rows)]


def _run(connection: Connection, statements: Sequence[Given]) -> list[Any]:
    dialect = connection.dialect
    if dialect.name != POSTGRESQL:
        return [connection.execute(one.statement(dialect), values) for one, values in statements]
    driver: Any = connection.connection.driver_connection
    texts = [(one.text(dialect), values) for one, values in statements]
    cursors = [RawCursor(driver) for _ in texts]
    try:
        with driver.pipeline() if len(texts) > 1 else nullcontext():
            for cursor, (text, values) in zip(cursors, texts, strict=True):
                cursor.execute(text.sql, text.given(values))
    except dialect.loaded_dbapi.Error as error:
        raise _told(connection, "; ".join(text.sql for text, _ in texts), error) from error
    return cursors


class Text:
    """A statement as the driver gets it, and what becomes of its values before."""

    def __init__(self, statement: Any, dialect: Dialect) -> None:
        # As PostgreSQL numbers its parameters, so that the driver need not read the statement to find them.
        numbered: Any = type(dialect)
        compiled = statement.compile(dialect=numbered(paramstyle="numeric_dollar"))
        self.sql = str(compiled)
        self._names: Sequence[str] = compiled.positiontup
        self._fixed = {name: value for name, value in compiled.params.items() if value is not None}
        found = {name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in compiled.binds.items()}
        self._processors = [(name, process) for name, process in found.items() if process is not None]

    def given(self, values: Mapping[str, Any]) -> list[Any]:
        """Return all values of the statement as the driver takes them."""
        given = {**self._fixed, **values}
        for name, process in self._processors:
            given[name] = process(given[name])
        return [given[name] for name in self._names]


def _told(connection: Connection, sql: str, error: Exception) -> BaseException:
    """Return an error of the driver as SQLAlchemy tells it; a lost connection is given up at the rollback."""
    dialect = connection.dialect
    is_lost = dialect.is_disconnect(error, connection.connection.dbapi_connection, None)  # type: ignore[arg-type]
    return DBAPIError.instance(
        sql, None, error, dialect.loaded_dbapi.Error, connection_invalidated=is_lost, dialect=dialect
    )


def among(column: Any, name: str, dialect: str) -> ColumnElement[bool]:
    """Return the condition that ``column`` is one of a list, which is given as ``name``."""
    # There it is one parameter, however long the list is.
    is_array = dialect == POSTGRESQL
    one = any_(bindparam(name, type_=ARRAY(column.type))) if is_array else bindparam(name, expanding=True)
    condition: ColumnElement[bool] = column == one if is_array else column.in_(one)
    return condition


class Copies(Generic[M]):
    """Copies of a model's rows that no session knows: to look at, and to work out on them what is then written."""

    def __init__(self, model: type[M]) -> None:
        self._model = model
        attributes = [one for one in inspect(model).column_attrs if not one.deferred]
        self.names = tuple(one.key for one in attributes)
        self.columns = tuple(one.class_attribute for one in attributes)
        self._updates: dict[tuple[str, ...], Prepared] = {}
        self._inserts: dict[tuple[str, ...], Prepared] = {}

    def of(self, values: Sequence[Any]) -> M:
        """Return the copy of a row, of which ``values`` are those of ``columns``."""
        copy: M = manager_of_class(self._model).new_instance()
        copy.__dict__.update(zip(self.names, values, strict=True))
        return copy

    def values(self, row: Sequence[Any]) -> dict[str, Any]:
        """Return what a row says, by the names of its columns."""
        return dict(zip(self.names, row, strict=True))

    def changes(self, copy: M, values: Sequence[Any]) -> dict[str, Any]:
        """Return what is no longer as in ``values``, of which ``copy`` was made: by name, as it is now."""
        now = copy.__dict__
        return {name: now[name] for name, before in zip(self.names, values, strict=True) if now[name] != before}

    def update(self, copy: Any, changes: Mapping[str, Any]) -> Given:
        """Return what writes ``changes`` of a ``Versioned`` row, of which ``copy`` was made, unless it is another."""
        names = tuple(changes)
        statement = self._updates.get(names)
        if statement is None:
            statement = self._updates[names] = Prepared(_update_of(self._model.__table__, names))
        held = {"held_id": copy.id, "held_partner": copy.partner_id, "held_version": copy.version}
        return statement, {**held, **changes}

    def insert(self, row: M) -> Given:
        """Return what writes a new row, which no session knows either; what its model gives by default is not given."""
        values = {name: row.__dict__[name] for name in self.names if name in row.__dict__}
        names = tuple(values)
        statement = self._inserts.get(names)
        if statement is None:
            statement = self._inserts[names] = Prepared(_insert_of(self._model.__table__, names))
        return statement, values


def _update_of(table: Any, names: Sequence[str]) -> Callable[[str], Update]:
    column = table.c
    its = (column.id == bindparam("held_id"), column.partner_id == bindparam("held_partner"))
    values = {name: bindparam(name, type_=column[name].type) for name in names}
    statement = update(table).where(*its, column.version == bindparam("held_version"))
    return lambda dialect: statement.values(**values, version=column.version + 1)


def _insert_of(table: Any, names: Sequence[str]) -> Callable[[str], Insert]:
    values = {name: bindparam(name, type_=table.c[name].type) for name in names}
    return lambda dialect: insert(table).values(**values)
