"""Doorstep: how the application is put together."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from portal.settings import Settings

# What is imported stays. Looking through all of it for garbage again and again is a quarter of every start, and a
# pause of a tenth of a second in the middle of requests.
gc.set_threshold(50_000, 20, 50)


def create_app(settings: Settings) -> Flask:
    """Return the web application for ``settings``: extensions bound, pages registered, errors mapped."""
    # Imported here so that `import portal.domain` brings no web framework with it.
    from flask import Flask

    from portal import admin, customer, field
    from portal.domain.database import prepare_engine, reading
    from portal.extensions import READING, csrf, db, limiter, migrate
    from portal.web import (
        access,
        assets,
        attention,
        auth,
        branding,
        errors,
        feeds,
        formats,
        forms,
        front,
        health,
        http,
        i18n,
        invitations,
        job_pages,
        kept,
        language,
        logs,
        menu,
        partners,
        photos,
        script_words,
        sessions,
        signin,
        slim,
        statuses,
        unsubscribe,
        wishes,
    )
    from portal.web.health import MIGRATIONS

    app = Flask(__name__, instance_relative_config=True)
    app.config.from_mapping(settings_of_flask(settings))
    logs.configure(settings)
    settings.make_room()

    db.init_app(app)
    with app.app_context():
        app.extensions[READING] = reading(prepare_engine(db.engine))
    migrate.init_app(app, db, directory=str(MIGRATIONS))

    http.init_app(app, settings)
    logs.init_app(app)
    sessions.init_app(app, settings)
    kept.init_app(app)
    i18n.init_app(app)
    csrf.init_app(app)
    limiter.init_app(app)
    signin.init_app(app, settings)
    auth.init_app(app)
    for part in (
        access,
        language,
        assets,
        partners,
        formats,
        forms,
        statuses,
        branding,
        menu,
        attention,
        errors,
        feeds,
        health,
        invitations,
        job_pages,
        photos,
        script_words,
        slim,
        unsubscribe,
        wishes,
    ):
        part.init_app(app)
    for area in (admin, customer, field):
        area.register(app)
    front.init_app(app)
    http.trust_proxies(app, settings)
    return app


def settings_of_driver(url: str) -> dict[str, object]:
    """Return what only PostgreSQL's engine is told: where reads have no transaction there is nothing to roll back."""
    return {"skip_autocommit_rollback": True} if url.startswith("postgresql") else {}


def settings_of_flask(settings: Settings) -> dict[str, object]:
    """Return what Flask and its extensions read from ``app.config``."""
    from portal.web.counts import counts_uri

    return {
        "SETTINGS": settings,
        "SECRET_KEY": settings.secret_key.get_secret_value(),
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        # Behind firewalls that drop idle connections without a word.
        "SQLALCHEMY_ENGINE_OPTIONS": {"pool_recycle": 1800, **settings_of_driver(settings.database_url)},
        "LIVE_SECONDS": settings.live_seconds,
        "POLL_SECONDS": settings.poll_seconds,
        "TRAVEL_SPEED_KMH": settings.travel_speed_kmh,
        "MAP_TILES_URL": settings.map_tiles_url,
        "MAP_TILES_ATTRIBUTION": settings.map_tiles_attribution,
        # A form is good as long as its session.
        "WTF_CSRF_TIME_LIMIT": None,
        "RATELIMIT_ENABLED": settings.throttle,
        # Says how long to wait.
        "RATELIMIT_HEADERS_ENABLED": True,
        # A throttle that cannot count lets people in; without its store nobody has a session anyway.
        "RATELIMIT_SWALLOW_ERRORS": True,
        "RATELIMIT_STORAGE_URI": settings.redis_url or counts_uri(settings),
    }
