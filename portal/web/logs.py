"""Log lines with fields: JSON in production, readable elsewhere; each names its request."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

import structlog
from flask import Flask, Request, Response, g, request

from portal.settings import Environment, Settings

log = structlog.get_logger("portal.requests")


class _Lines(structlog.WriteLogger):
    """Writes our own lines by itself: through the standard library, as others' go, each takes six times as long."""

    def __init__(self, name: str = "") -> None:
        super().__init__(sys.stderr)
        self.name = name


def configure(settings: Settings) -> None:
    """Send every log line of this process to standard error at the level of the settings."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if settings.doorstep_env is Environment.TEST:
        # The test runner listens at the root already, and tests put other processors in, one after the other.
        structlog.configure(
            processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=structlog.stdlib.BoundLogger,
            cache_logger_on_first_use=False,
        )
        return
    last: list[Any] = (
        # Local variables hold passwords and addresses: never in a log.
        [
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ]
        if settings.is_production
        else [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    )
    structlog.configure(
        processors=[*shared, *last],
        logger_factory=_Lines,
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    # Requests are told once, by us.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)


def init_app(app: Flask) -> None:
    """Write one line a request. What nobody expected is told by Flask itself, with its traceback."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    g.began = time.perf_counter()
    name_request(g.get("request_id"))


def name_request(request_id: str | None) -> None:
    """Give what is logged from here on, in this thread, the id of a new request."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id)


def _end(response: Response) -> Response:
    actor = g.get("actor")
    tell(request.method, told_path(request), response.status_code, g.get("began"), actor.id if actor else None)
    return response


def tell(method: str, path: str, status: int, began: float | None, user_id: int | None) -> None:
    """Write the line of a request that was answered; ``began`` is what ``time.perf_counter`` said at its begin."""
    ms = round((time.perf_counter() - began) * 1000, 1) if began is not None else None
    log.info("request", method=method, path=path, status=status, ms=ms, user=user_id)


def told_path(request: Request) -> str:
    """Return the path of ``request`` for the log, without a token that opens something to whoever reads it."""
    if request.url_rule is not None and "token" in (request.view_args or {}):
        return request.url_rule.rule
    return request.path
