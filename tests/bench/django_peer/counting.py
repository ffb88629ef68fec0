"""How many statements an answer cost, told to whoever asks by a header; nothing is counted for anybody else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from django.db import connections

ASKED, TOLD = "X-Count-Statements", "X-Statements"


def middleware(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return Django's chain of a request with the count around it."""

    def answer(request: Any) -> Any:
        if ASKED not in request.headers:
            return get_response(request)
        asked: list[str] = []

        def count(execute: Callable[..., Any], sql: str, *args: Any) -> Any:
            asked.append(sql)
            return execute(sql, *args)

        with ExitStack() as stack:
            for name in connections:
                stack.enter_context(connections[name].execute_wrapper(count))
            response = get_response(request)
        response[TOLD] = str(len(asked))
        return response

    return answer
