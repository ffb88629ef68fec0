"""What people ask for who want to get in, and the links that they are sent."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.domain.base import Base, Key, Keyed


class AccessKind(StrEnum):
    """What a link does: signs in, or lets somebody choose a new password."""

    SIGN_IN = "sign_in"
    PASSWORD = "password"


KINDS = "kind IN ('sign_in', 'password')"
OPEN_LINK = text("used_at IS NULL AND ended_at IS NULL")


class AccessWish(Keyed, Base):
    """Somebody typed ``address``, an e-mail address or a telephone number, and asked for a link of ``kind``.

    Whether anybody is to be found there is for the worker to look up, who then takes the row away.
    """

    __tablename__ = "access_wishes"
    __table_args__ = (CheckConstraint(KINDS, name="kind"),)

    kind: Mapped[str] = mapped_column(String(10))
    address: Mapped[str] = mapped_column(String(255))
    asked_at: Mapped[datetime] = mapped_column()


class AccessLink(Keyed, Base):
    """A link for one log-in; its token is made from ``seed`` as that of an invitation is.

    ``used_at`` is when it opened, ``ended_at`` when something else ended it: a newer one, or a new password. Of each
    kind a log-in has one open link at most.
    """

    __tablename__ = "access_links"
    __table_args__ = (
        CheckConstraint(KINDS, name="kind"),
        UniqueConstraint("token_hash"),
        Index(
            "uq_access_links_open", "user_id", "kind", unique=True, sqlite_where=OPEN_LINK, postgresql_where=OPEN_LINK
        ),
    )

    user_id: Mapped[int] = mapped_column(Key, ForeignKey("users.id"))
    kind: Mapped[str] = mapped_column(String(10))
    seed: Mapped[str] = mapped_column(String(64))
    token_hash: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column()
    expires_at: Mapped[datetime] = mapped_column()
    used_at: Mapped[datetime | None] = mapped_column()
    ended_at: Mapped[datetime | None] = mapped_column()
