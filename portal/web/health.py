"""Is the process up, and can it work? For load balancers and the person who is called at night."""

from __future__ import annotations

from pathlib import Path

import redis
from alembic.config import Config
from alembic.script import ScriptDirectory
from flask import Blueprint, Flask, current_app
from flask.typing import ResponseReturnValue
from sqlalchemy import inspect, text
from sqlalchemy.exc import SQLAlchemyError

from portal.extensions import db
from portal.settings import Settings

MIGRATIONS = Path(__file__).resolve().parent.parent.parent / "migrations"

pages = Blueprint("health", __name__)


def head_revision() -> str | None:
    """Return the newest migration that this code brings."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return ScriptDirectory.from_config(config).get_current_head()


@pages.get("/healthz")
def alive() -> ResponseReturnValue:
    """Answer 200 as long as the process answers at all."""
    return "ok\n", {"Content-Type": "text/plain; charset=utf-8"}


@pages.get("/readyz")
def ready() -> ResponseReturnValue:
    """Answer 200 when database, migrations and Redis are there, else 503 naming what is missing."""
    missing = what_is_missing()
    text = "\n".join(missing) or "ready"
    return f"{text}\n", 503 if missing else 200, {"Content-Type": "text/plain; charset=utf-8"}


def what_is_missing() -> list[str]:
    """Return what the process cannot work without and does not have, one line each; empty if it is ready."""
    return [*_database(), *_redis()]


def _database() -> list[str]:
    try:
        with db.engine.connect() as connection:
            there = inspect(connection).has_table("alembic_version")
            present = connection.scalar(text("SELECT version_num FROM alembic_version")) if there else None
    except SQLAlchemyError:
        return ["database: no answer"]
    wanted = current_app.config["HEAD_REVISION"]
    return [] if present == wanted else [f"migrations: at {present or 'nothing'}, not at {wanted}"]


def _redis() -> list[str]:
    settings: Settings = current_app.config["SETTINGS"]
    if settings.redis_url is None:
        return []
    try:
        with redis.Redis.from_url(settings.redis_url, socket_timeout=2, socket_connect_timeout=2) as client:
            client.ping()
    except redis.RedisError:
        return ["redis: no answer"]
    return []


def init_app(app: Flask) -> None:
    """Serve both checks from ``app``."""
    app.config["HEAD_REVISION"] = head_revision()
    app.register_blueprint(pages)
