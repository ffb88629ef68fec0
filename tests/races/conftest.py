"""What every race starts from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.domain.office import Office
from tests.races import clerks
from tests.races.racing import PROCESSES
from tests.splitting import splitting


@pytest.fixture(scope="session")
def processes() -> Iterator[ProcessPoolExecutor]:
    """Fresh processes that wait for one another at a gate: tasks that are handed out together run at once."""
    context = splitting()
    gates = {count: context.Barrier(count, timeout=60) for count in (2, PROCESSES)}
    with ProcessPoolExecutor(PROCESSES, context, clerks.wait_at, (gates,)) as pool:
        yield pool


@pytest.fixture
def hire(engine: Engine) -> Iterator[Callable[..., Office]]:
    """Open an office whose customers may move as often as they like."""
    opened: list[Office] = []

    def open_office(**hiring: Any) -> Office:
        opened.append(
            Office(engine, **({"max_moves": 10_000, "notice_hours": 0, "reschedule_cutoff_hours": 0} | hiring))
        )
        return opened[-1]

    yield open_office
    for office in opened:
        office.close()
