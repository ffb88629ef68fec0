"""Several workers: one ticks, all send; a free seat is taken; a scheduler that died is followed by another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
from apscheduler.jobstores.memory import MemoryJobStore
from sqlalchemy import Engine, text

from portal.settings import Settings
from portal.worker import Handle, start_in_background
from portal.worker.election import SEAT
from portal.worker.schedule import Work
from tests.worker.conftest import PATIENCE, Shop, Sink
from tests.worker.test_processes import fill

pytestmark = pytest.mark.row("N5")


@pytest.fixture
def on_postgresql(engine: Engine) -> bool:
    return engine.dialect.name == "postgresql"


def test_one_of_several_workers_has_the_seat_and_leaves_it_to_another(
    start_work: Callable[..., Work], on_postgresql: bool
) -> None:
    first, second, third = (start_work() for _ in range(3))
    assert first.election.won()
    assert [one.election.won() for one in (second, first, third)] == [not on_postgresql, True, not on_postgresql]
    first.close()
    assert [one.election.won() for one in (third, second)] == [True, not on_postgresql]


def test_a_seat_lost_with_its_connection_is_free_for_whoever_asks_first(
    start_work: Callable[..., Work], engine: Engine, on_postgresql: bool
) -> None:
    if not on_postgresql:
        assert start_work().election.won()
        return
    first, second = start_work(), start_work()
    assert first.election.won()
    with engine.connect() as connection:
        query = "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory' AND objid = :seat"
        here = " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        assert connection.scalars(text(query + here), {"seat": SEAT}).all() == [True]
    assert second.election.won()
    assert not first.election.won()
    second.close()
    assert first.election.won()


@pytest.fixture
def start_handle(settings: Settings, sink: Sink) -> Iterator[Callable[[], Handle]]:
    """Start workers in this process that send to the sink."""
    started: list[Handle] = []

    def start() -> Handle:
        started.append(start_in_background(settings.model_copy(update={"smtp_url": sink.url})))
        return started[-1]

    yield start
    for handle in started:
        handle.stop()


class Broken(MemoryJobStore):
    """A store of jobs that fails in the middle of the scheduler's turn, where nothing catches it."""

    def get_next_run_time(self) -> datetime | None:
        raise OSError("the disk is gone")


def test_a_scheduler_that_died_is_followed_by_another(
    shop: Shop, sink: Sink, start_handle: Callable[[], Handle]
) -> None:
    handle = start_handle()
    first = handle.scheduler
    (clock,) = [one for one in threading.enumerate() if one.name == "scheduler"]
    first.add_jobstore(Broken(), "broken")
    for _ in range(PATIENCE * 20):
        if handle.scheduler is not first:
            break
        clock.join(0.05)
    assert handle.scheduler is not first
    fill(shop, 2)
    sink.wait_for(2)
