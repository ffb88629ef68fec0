"""Unbound extensions; ``create_app`` binds them. The session factory carries tenancy from here on."""

from __future__ import annotations

from typing import Any

from flask import current_app
from flask_babel import Babel
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_migrate import Migrate
from flask_security import Security
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from flask_wtf import CSRFProtect
from sqlalchemy import Engine, event
from sqlalchemy.orm import ORMExecuteState

from portal.domain import tenancy
from portal.domain.base import Base
from portal.domain.unit_of_work import in_unit_of_work, require_unit_of_work

READING = "reading_engine"


class RequestSession(Session):
    """The session of a request: reads without a transaction where that saves something, writes in a unit of work."""

    def get_bind(self, *args: Any, **kwargs: Any) -> Any:
        """Return the engine for what is done now; there is one database."""
        if in_unit_of_work(self):
            return self._db.engine
        engine: Engine = current_app.extensions[READING]
        return engine


# Models are the domain's own, made on its base; this only brings engine and session.
db = SQLAlchemy(metadata=Base.metadata, add_models_to_shell=False, session_options={"class_": RequestSession})
tenancy.enforce(db.session)


# Where reads have no transaction, nothing would take back what is written outside of one.
@event.listens_for(db.session, "before_flush")
def _flush_within(session: Any, *args: Any) -> None:
    if session.new or session.dirty or session.deleted:
        require_unit_of_work(session)


@event.listens_for(db.session, "do_orm_execute")
def _write_within(state: ORMExecuteState) -> None:
    if state.is_insert or state.is_update or state.is_delete:
        require_unit_of_work(state.session)


migrate = Migrate()
csrf = CSRFProtect()
security = Security()
babel = Babel()
limiter = Limiter(key_func=get_remote_address)
