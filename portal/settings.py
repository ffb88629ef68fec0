"""The one typed settings object, read from the environment; a wrong value stops the start with a sentence."""

from __future__ import annotations

import json
import re
import secrets
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

import fsspec
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from portal.domain.database import normalise_url
from portal.domain.vault import Vault

INSTANCE = Path(__file__).resolve().parent.parent / "instance"
SHORTEST_SECRET = 32


class SettingsError(Exception):
    """A setting is missing or wrong; the text names the variable and never its value."""


class Environment(StrEnum):
    """What this process is for."""

    PRODUCTION = "production"
    DEMO = "demo"
    TEST = "test"


class Settings(BaseSettings):
    """Every setting, named as its environment variable in lower case."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    doorstep_env: Environment = Environment.PRODUCTION
    database_url: str = Field(default=f"sqlite:///{INSTANCE / 'doorstep.sqlite3'}", repr=False)
    redis_url: str | None = Field(default=None, repr=False)
    secret_key: SecretStr = SecretStr("")
    security_password_salt: SecretStr = SecretStr("")
    # Secrets from which the keys for what is sealed in the database are made, with commas between; the newest first.
    encryption_key: SecretStr = SecretStr("")
    smtp_url: str | None = Field(default=None, repr=False)
    mail_from: str = "Doorstep <doorstep@localhost>"
    base_url: str = "http://127.0.0.1:8000"
    session_dir: Path = INSTANCE / "sessions"
    port: int = Field(default=8000, ge=1, le=65535)
    log_level: str = "INFO"
    # How many reverse proxies stand in front and are trusted to name the caller.
    proxy_hops: int = Field(default=0, ge=0, le=5)
    throttle: bool = True
    # Whether partners' own mail servers and text gateways may stand in the operator's own network.
    private_hosts: bool = False
    # How often an office page in view asks whether anything changed.
    live_seconds: float = Field(default=5, ge=0.05, le=3600)
    # How often a customer's page in view asks how today's visit goes.
    poll_seconds: float = Field(default=30, ge=0.05, le=3600)
    # Where pictures of the map come from, with {z}, {x} and {y} in it; without it pins stand on a plain ground.
    map_tiles_url: str | None = None
    map_tiles_attribution: str = ""
    # How fast somebody on the way gets on, as the crow flies, where they gave no estimate of their own.
    travel_speed_kmh: float = Field(default=30, ge=1, le=200)
    # A folder, or an address that fsspec knows, and what it is opened with there, as a JSON object.
    photos_url: str = Field(default=str(INSTANCE / "photos"), repr=False)
    photos_options: Annotated[dict[str, Any], NoDecode] = Field(default_factory=dict, repr=False)

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Return the settings of the environment, with ``given`` over them.

        Raises ``SettingsError`` with one sentence that names the first missing or wrong variable.
        """
        try:
            return cls(**given)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            reason = first["msg"].removeprefix("Value error, ")
            if not first["loc"]:
                raise SettingsError(reason) from None
            raise SettingsError(f"{str(first['loc'][0]).upper()} is wrong: {reason}") from None

    def make_room(self) -> None:
        """Create the folder of a SQLite file, which SQLite itself does not."""
        url = make_url(self.database_url)
        if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)

    @property
    def vault(self) -> Vault:
        """What seals and opens the secrets in the database; the last key tried is the one made from ``SECRET_KEY``."""
        own = [secret for secret in map(str.strip, self.encryption_key.get_secret_value().split(",")) if secret]
        return Vault([*own, self.secret_key.get_secret_value()])

    @property
    def map_tiles_host(self) -> str | None:
        """The origin from which browsers load map tiles: "https://tiles.example.com"; ``None`` for nowhere."""
        return f"https://{urlsplit(self.map_tiles_url).netloc}" if self.map_tiles_url else None

    @property
    def is_production(self) -> bool:
        """Whether real people depend on this process."""
        return self.doorstep_env is Environment.PRODUCTION

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        try:
            url = make_url(normalise_url(value))
        except ArgumentError:
            raise ValueError("it is no database address such as postgresql://user:password@host/name") from None
        if url.get_backend_name() not in {"sqlite", "postgresql"}:
            raise ValueError("only sqlite:// and postgresql:// are supported")
        return normalise_url(value)

    @field_validator("redis_url")
    @classmethod
    def _known_redis(cls, value: str | None) -> str | None:
        if value is not None and urlsplit(value).scheme not in {"redis", "rediss", "unix"}:
            raise ValueError("it is no Redis address such as redis://host:6379/0")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _known_smtp(cls, value: str | None) -> str | None:
        if value is not None and (urlsplit(value).scheme not in {"smtp", "smtps"} or not urlsplit(value).hostname):
            raise ValueError("it is no mail server such as smtp://user:password@host:587 or smtps://host")
        return value

    @field_validator("base_url")
    @classmethod
    def _known_base(cls, value: str) -> str:
        if urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).netloc:
            raise ValueError("it is no public address such as https://portal.example.com")
        return value.rstrip("/")

    @field_validator("photos_url")
    @classmethod
    def _known_place(cls, value: str) -> str:
        protocol, separator, _ = value.partition("://")
        if separator and protocol not in fsspec.available_protocols():
            raise ValueError("it is neither a folder nor an address such as s3://bucket/photos")
        return value

    @field_validator("photos_options", mode="before")
    @classmethod
    def _an_object(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            options = json.loads(value)
        except ValueError:
            options = None
        if not isinstance(options, dict):
            raise ValueError('it is no JSON object such as {"key": "…", "secret": "…"}')
        return options

    @field_validator("map_tiles_url")
    @classmethod
    def _known_tiles(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        # The host goes into the policy that tells browsers whence pictures may come.
        known = parts.scheme == "https" and re.fullmatch(r"[a-z0-9.-]+(:[0-9]+)?", parts.netloc)
        if not known or not all(sign in value for sign in ("{z}", "{x}", "{y}")):
            raise ValueError("it is no address of map tiles such as https://tiles.example.com/{z}/{x}/{y}.png")
        return value

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        level = value.upper()
        if level not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise ValueError("it is one of DEBUG, INFO, WARNING, ERROR")
        return level

    @model_validator(mode="before")
    @classmethod
    def _throwaway_secrets(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Give demo and tests secrets of their own; production has to be given real ones."""
        env = values.get("doorstep_env", Environment.PRODUCTION)
        if env == Environment.DEMO:
            values.setdefault("secret_key", _demo_secret(INSTANCE / "demo-secret"))
            values.setdefault("security_password_salt", "demo" * 8)
        elif env == Environment.TEST:
            values.setdefault("secret_key", "test" * 8)
            values.setdefault("security_password_salt", "test" * 8)
        return values

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for name, secret in (
            ("SECRET_KEY", self.secret_key),
            ("SECURITY_PASSWORD_SALT", self.security_password_salt),
        ):
            if not secret.get_secret_value():
                raise ValueError(f"{name} is missing: set it to a random text of {SHORTEST_SECRET} characters or more")
            if len(secret.get_secret_value()) < SHORTEST_SECRET:
                raise ValueError(f"{name} is too short: it needs {SHORTEST_SECRET} characters or more")
        for key in self.encryption_key.get_secret_value().split(","):
            if 0 < len(key.strip()) < SHORTEST_SECRET:
                raise ValueError(f"ENCRYPTION_KEY is too short: each needs {SHORTEST_SECRET} characters or more")
        if self.is_production:
            for name in ("smtp_url", "mail_from", "base_url"):
                if name not in self.model_fields_set:
                    raise ValueError(f"{name.upper()} is missing: in production messages are really sent")
            if not self.base_url.startswith("https://"):
                raise ValueError("BASE_URL is wrong: in production it begins with https://")
        return self


def _demo_secret(path: Path) -> str:
    """Return the demo's own secret, made once, so that a second start keeps people signed in."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(SHORTEST_SECRET))
    return path.read_text()
