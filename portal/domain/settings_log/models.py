"""The rows of the audit trail: written with the change, never altered."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, event
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.domain.base import Base, Key, Tenant


class SettingChange(Tenant, Base):
    """One change of one setting: ``subject`` is its kind, ``key`` and ``name`` say which, as it was called then.

    ``before`` and ``after`` hold the values that differ, by field, as JSON. An empty ``before``: it was added then.
    """

    __tablename__ = "setting_changes"
    table_extras = (Index("ix_setting_changes_subject", "partner_id", "subject", "id"),)

    at: Mapped[datetime] = mapped_column()
    subject: Mapped[str] = mapped_column(String(40))
    key: Mapped[int | None] = mapped_column(Key)
    name: Mapped[str] = mapped_column(String(120), default="")
    actor_id: Mapped[int | None] = mapped_column(Key, ForeignKey("users.id"))
    actor_role: Mapped[str] = mapped_column(String(20))
    actor_name: Mapped[str] = mapped_column(String(255))
    before: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    after: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)


@event.listens_for(Session, "before_flush")
def _is_append_only(session: Session, context: Any, instances: Any) -> None:
    for row in (*session.dirty, *session.deleted):
        if isinstance(row, SettingChange) and (row in session.deleted or session.is_modified(row)):
            raise RuntimeError("the audit trail is written once and never altered")
