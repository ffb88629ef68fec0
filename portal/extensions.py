"""Unbound extensions; ``create_app`` binds them. The session factory carries tenancy from here on."""

from __future__ import annotations

from flask_babel import Babel
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_migrate import Migrate
from flask_security import Security
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect

from portal.domain import tenancy
from portal.domain.base import Base

# Models are the domain's own, made on its base; this only brings engine and session.
db = SQLAlchemy(metadata=Base.metadata, add_models_to_shell=False)
tenancy.enforce(db.session)
migrate = Migrate()
csrf = CSRFProtect()
security = Security()
babel = Babel()
limiter = Limiter(key_func=get_remote_address)
