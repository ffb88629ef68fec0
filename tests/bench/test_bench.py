"""The bench itself on a handful of jobs: its data is sound, its pages answer, and an error page cannot win."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.domain.jobs.counts import counts_of, rebuild
from portal.domain.jobs.models import Job
from portal.domain.unit_of_work import unit_of_work
from portal.web.auth import hash_password
from tests.bench import faults, floor, server, stock
from tests.bench.__main__ import WORKED_OUT, Goal, LastTime, Outcome, Work, report, works
from tests.bench.data import CUSTOMER, DISPATCHER, PASSWORD, TECHNICIAN, Size, fill
from tests.bench.measure import Timing
from tests.bench.taking import Crowd
from tests.helpers import Site

JOBS = 400
# Today, for the pages that begin with it.
TODAY = datetime.now(UTC).date()


@pytest.mark.parametrize("_database", ["postgresql"], indirect=True)
def test_every_page_of_the_bench_answers(make_app: Callable[..., Flask], session: Session) -> None:
    app, size = make_app(), Size(JOBS)
    server.add_pages(app)
    url = app.config["SETTINGS"].database_url
    with app.app_context():
        fill(url, JOBS, hash_password(PASSWORD), datetime.combine(TODAY, time(10), UTC))
    with unit_of_work(session):
        rebuild(session)
    made = sum(size.of(JOBS, number) for number in range(size.partners))
    measured = Job.partner_id <= size.partners
    assert session.scalar(select(func.count()).select_from(Job).where(measured)) == made
    assert sum(counts_of(session, 1, "installation").by_status.values()) == size.of(JOBS, 0)
    site = Site(app.test_client())
    site.sign_in(DISPATCHER, PASSWORD)
    customer = Site(app.test_client())
    customer.sign_in(CUSTOMER, PASSWORD)
    peer, bare = stock.make(url), floor.make(url)
    clients = {"peer": peer.test_client(), "floor": bare.test_client()}
    technician = Site(app.test_client())
    technician.sign_in(TECHNICIAN, PASSWORD)
    clients |= dict.fromkeys(("customer", "customer, drawn", "poller"), customer.client)
    clients |= dict.fromkeys(("technician", "technician, drawn"), technician.client)
    compared = set()
    for work in works(url, TODAY):
        for where, path in work.pages.values():
            # Nobody knows anything here yet.
            answered = clients.get(where, site.client).get(path).status_code
            assert answered == (304 if path.startswith("/marks") else 200), path
        # Where ours is no page, it answers as the floor does.
        name = WORKED_OUT if WORKED_OUT in work.pages else "ours"
        if work.title.startswith("free times") and "/bench/" in work.pages[name][1]:
            compared.add(work.title)
            ours, theirs = (
                [datetime.fromisoformat(start) for start in clients[where].get(path).json]
                for where, path in (work.pages[name], work.pages["floor"])
            )
            assert ours, work.title
            assert ours == theirs
    assert len(compared) == 2
    assert clients["floor"].get("/beyond?at=2020-01-01&id=0").text.count("<tr>") == 20
    for connection in bare.config["OPEN"]:
        connection.close()
    with peer.app_context():
        stock.db.engine.dispose()


def test_a_target_is_met_or_missed_by_the_middle_of_the_rounds() -> None:
    times = {"ours": Timing([2.0, 2.2, 9.0], 10_000, 2_000), "floor": Timing([1.0, 1.0, 1.0], 500, 100)}
    work = Work("a list", {}, [Goal("against the floor", "ours", "floor", most=2.5)], {"statements": 4})
    page = "\n".join(Outcome(work, times, {"ours": 5, "floor": 1}).lines())
    assert "| against the floor | ≤ 2.5× | 2.20× (2.00–9.00) | met |" in page
    assert "| statements | ≤ 4 | 5 | **missed** |" in page


def test_work_that_is_done_once_counts_as_often_as_it_would_have_to_be() -> None:
    times = {"ours": Timing([2.0, 4.0], 1, 1), "peer": Timing([10.0, 30.0], 1, 1)}
    work = Work("free times", {}, [Goal("sixty days", "peer", "ours", least=300, times=60)], alike=("ours", "peer"))
    page = "\n".join(Outcome(work, times, {"ours": 12, "peer": 13}).lines())
    assert "| sixty days | ≥ 300× | 375.00× (300.00–450.00) | met |" in page
    assert "| statements of ours, peer | the same | 12, 13 | **missed** |" in page


def test_two_bookings_of_one_time_miss_the_target_and_absent_peers_are_named() -> None:
    outcome = LastTime({"ours": Crowd(50, 2, 48, 0)})
    page = report([outcome], "there is no network", 400, 1, 1)
    assert "| ours | 50 | 2 | 48 | 0 |" in page
    assert "| bookings of the one time | 1 | 2 | **missed** |" in page
    assert "| everybody else told so | 49 | 48 | **missed** |" in page
    assert "The peers on Django are left out: there is no network." in page


def test_what_was_lost_or_never_counted_misses_the_target() -> None:
    workers, scheduler, web, database = faults.FAULTS
    kills = {
        (workers.title, "sqlite"): {"kills": 40, "lost": 0, "repeats": 39},
        (workers.title, "postgresql"): {"kills": 40, "lost": 1, "repeats": 0},
        (scheduler.title, "sqlite"): {},
    }
    others = {faults.MADE: [20.0, 20.0], faults.RECORDED: [10.0, 10.0]}
    speed = {faults.BARE: [10.0, 20.0], faults.EACH: [5.0, 10.0], faults.CHANNEL: [9.0, 19.0], **others}
    page = faults.report(kills, {"SQLite": speed})
    assert f"| {workers.title} | sqlite | kills 40, lost 0, repeats 39 | lost ≤ 0, repeats ≤ 40 | met |" in page
    assert "| kills 40, lost 1, repeats 0 | lost ≤ 0, repeats ≤ 40 | **missed** |" in page
    assert "| did not come to its end | missed ≤ 0, stale ≤ 0 | **missed** |" in page
    assert f"| {faults.CHANNEL} | 14 (9–19) | 0.93× | 1.85× | 1.40× |" in page
    assert "| of the bare loop | ≥ 0.9× | 0.93× | met |" in page
    assert "| of the loop with the same bytes made beforehand | ≥ 0.9× | 0.70× | **missed** |" in page
    assert "| of one connection each | ≥ 2× | 1.85× | **missed** |" in page
    assert web.title not in page
    assert database.title not in page
