"""Settings as ``startproject`` writes them, for production, with connections that are kept."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import unquote, urlsplit

APP = "django_peer"


def _database(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": parts.port or "",
        "CONN_MAX_AGE": None,
    }


class Router:
    """Reads the measured application's rows where they are; everything of Django's own is elsewhere."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        """Return where the rows of ``model`` are."""
        return "doorstep" if model._meta.app_label == APP else "default"

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        """Whether tables are made there."""
        return db == "default"


DATABASES = {
    "default": _database(os.environ["BENCH_DJANGO_DATABASE"]),
    "doorstep": _database(os.environ["BENCH_DATABASE"]),
}
DATABASE_ROUTERS = ["tests.bench.django_peer.settings.Router"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "bench" * 10
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ, TIME_ZONE = True, "Europe/London"
ROOT_URLCONF = "tests.bench.django_peer.urls"
STATIC_URL = "static/"
LOGIN_REDIRECT_URL = "/admin/"
# Signing in is not measured here.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "phonenumber_field",
    "appointment",
    "tests.bench.django_peer",
]
MIDDLEWARE = [
    "tests.bench.django_peer.counting.middleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
LOGGING = {"version": 1, "disable_existing_loggers": True, "root": {"level": "ERROR", "handlers": []}}
