"""Unbound extensions; ``create_app`` binds them. The session factory carries tenancy from here on."""

from __future__ import annotations

from typing import Any

from flask import current_app, g, request
from flask_babel import Babel
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import current_user
from flask_migrate import Migrate
from flask_security import Security
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from flask_wtf import CSRFProtect
from flask_wtf.csrf import CSRFError
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


# The mark of a view that shows again what is sent with the token of an older sign-in, see ``errors.shows_again``.
SHOWS_AGAIN = "shows_again"
# How Flask-WTF says that a token is one of ours, but not of this session.
OF_ANOTHER_SESSION = "The CSRF tokens do not match."


class Tokens(CSRFProtect):
    """Demands a token of the session with everything sent, but lets those views pass that only show it again."""

    def protect(self, apply_exemptions: bool = False) -> None:
        """Raise ``CSRFError``, or note in ``g.outdated_form`` that nothing may be done."""
        try:
            super().protect(apply_exemptions)
        except CSRFError as error:
            view = current_app.view_functions.get(request.endpoint or "")
            may_show = error.description == OF_ANOTHER_SESSION and getattr(view, SHOWS_AGAIN, False)
            if not (may_show and current_user.is_authenticated):
                raise
            # Forms that look at the token themselves have nothing to add.
            g.outdated_form = g.csrf_valid = True


migrate = Migrate()
csrf = Tokens()
security = Security()
babel = Babel()
limiter = Limiter(key_func=get_remote_address)
