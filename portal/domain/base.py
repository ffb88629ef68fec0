"""What every model stands on: the declarative base, UTC time and the marks that tenancy and locking look for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, ForeignKey, Integer, MetaData, TypeDecorator, UniqueConstraint
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

# SQLite gives a rowid only to INTEGER keys; PostgreSQL has room to grow.
Key = BigInteger().with_variant(Integer, "sqlite")


class UtcDateTime(TypeDecorator[datetime]):
    """An instant. Aware datetimes go in, aware UTC datetimes come out; a naive one is a programming error."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        """What comes out; the keys of pages in addresses are read by it."""
        return datetime

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive datetime and store the rest as UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive datetime {value!r}: instants are stored in UTC")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Mark what SQLite returns without a zone as the UTC it is."""
        if value is None:
            return None
        instant: datetime = value
        if instant.tzinfo is UTC:
            return instant
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


class Base(DeclarativeBase):
    """Base of every model."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: UtcDateTime()}


class Keyed:
    """A model with a surrogate key."""

    id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=True)


class PartnerScoped:
    """Anything with a ``partner_id``: a session reads and writes only the partners of its scope."""

    # Whether open office pages are told when a row changes (``changes``): not for what history tells, nor for what
    # changes by itself all day.
    told_to_pages = True

    # A column of the mark itself, or the loader criterion on it finds nothing to compare.
    @declared_attr
    def partner_id(cls) -> Mapped[int]:
        """The partner the row belongs to."""
        return mapped_column(Key, ForeignKey("partners.id"), nullable=False)


class CustomerOwned:
    """Anything with a ``customer_id`` of which a customer may see only the rows that are theirs (C7)."""

    # Whether what a customer does may add rows about no customer, which they then cannot see: word to a technician.
    adds_unseen = False

    @declared_attr
    def customer_id(cls) -> Mapped[int | None]:
        """The customer the row is about; models put their own foreign key on it. A row about none is no customer's."""
        return mapped_column(Key)


class Tenant(Keyed, PartnerScoped):
    """A model whose rows belong to one partner.

    The pair ``(partner_id, id)`` is unique so that composite foreign keys can hold a row to its own partner.
    """

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:
        """The composite key, before whatever the model adds in ``table_extras``."""
        extras: tuple[Any, ...] = getattr(cls, "table_extras", ())
        return (UniqueConstraint("partner_id", "id"), *extras)


class Versioned:
    """A row whose edit forms carry ``version``: a form from before somebody else's change is refused, not saved."""

    version: Mapped[int] = mapped_column(Integer, nullable=False)

    @declared_attr.directive
    def __mapper_args__(cls) -> dict[str, Any]:
        """Let every UPDATE count the version up and demand the one it read."""
        return {"version_id_col": cls.version}
