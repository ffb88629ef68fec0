"""Taking a time: one customer who moves a visit to and fro against the bare constraint, and 50 who want one time."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import urlencode

import psycopg

from portal.customer.blueprint import instant
from portal.domain.jobs.states import ACTIVE
from tests.bench import server
from tests.bench.data import CROWD, CUSTOMER
from tests.bench.measure import Answer, Contestant, Visitor, field_of

# Where nobody has a visit: what the bare constraint is tried on.
FAR = datetime(2090, 1, 1, tzinfo=UTC)
LENGTH = timedelta(hours=2)
CROWD_SECONDS = 120


@dataclass(frozen=True)
class Visit:
    """A visit that its customer may move."""

    id: int
    partner_id: int
    customer_id: int
    job_id: int
    technician_id: int | None
    service_type_id: int
    start_at: datetime

    def free(self, first: Any, days: int) -> str:
        """Return the address of the free times of ``days`` days from ``first`` on."""
        return f"{server.FREE}?{urlencode({'visit': self.id, 'first': first, 'days': days})}"

    def bare_free(self, first: Any, last: Any) -> str:
        """Return the same of the floor, ``last`` included."""
        asked = {"owner": self.partner_id, "kind": self.service_type_id, "visit": self.id, "first": first, "last": last}
        if self.technician_id is not None:
            asked["technician"] = self.technician_id
        return f"/free?{urlencode(asked)}"


def visits_of(connection: psycopg.Connection[Any], login: str) -> list[Visit]:
    """Return the visits to come of the customer with that log-in, those with a technician first."""
    query = """
    SELECT v.id, v.partner_id, v.customer_id, v.job_id, v.technician_id, j.service_type_id, v.start_at
    FROM appointments v JOIN jobs j ON j.id = v.job_id JOIN customers c ON c.id = v.customer_id
    JOIN users u ON u.id = c.user_id WHERE u.email = %s AND v.status = ANY(%s) ORDER BY v.technician_id, v.id
    """
    return [Visit(*row) for row in connection.execute(query, [login, sorted(ACTIVE)])]


def reset(connection: psycopg.Connection[Any]) -> None:
    """Take back what an earlier run took, but for its history and counts."""
    connection.execute("DELETE FROM appointments WHERE start_at >= %s", [FAR])
    visits = visits_of(connection, CROWD)
    # At most one of them was moved.
    starts = [visit.start_at for visit in visits]
    start = max(starts, key=starts.count)
    values = {"start": start, "end": start + LENGTH}
    for table, column in (("appointments", "id"), ("jobs", "job_id")):
        keys = [getattr(visit, column) for visit in visits]
        connection.execute(
            f"UPDATE {table} SET technician_id = NULL, status = 'SCHEDULED', start_at = %(start)s, end_at = %(end)s"
            " WHERE id = ANY(%(keys)s)",
            {**values, "keys": keys},
        )
    connection.commit()


def sweep(connection: psycopg.Connection[Any]) -> None:
    """Take out of tables and indexes what moving left there: nobody moves one visit hundreds of times in a minute."""
    connection.commit()
    connection.autocommit = True
    for table in ("appointments", "jobs", "history"):
        connection.execute(f"VACUUM (INDEX_CLEANUP ON) {table}")
    connection.autocommit = False


def contestants(connection: psycopg.Connection[Any], customer: Visitor, floor: Visitor) -> list[Contestant]:
    """Return who takes times: the customer's form on our page, and one INSERT under the constraint."""
    visit = visits_of(connection, CUSTOMER)[0]
    path = f"/my/visits/{visit.id}/move"
    day = visit.start_at.date()
    starts = [datetime.fromisoformat(text) for text in json.loads(customer.get(visit.free(day, 1)).body)]
    # Present and other, in turn.
    there = [starts[0], starts[-1]]
    if visit.start_at == there[-1]:
        there.reverse()
    page = customer.get(f"{path}/check?{urlencode({'start': instant(there[1])})}")
    token, number = field_of(page, "csrf_token"), int(field_of(page, "move_number"))

    def forms() -> Iterator[Mapping[str, str]]:
        for turn in count():
            start = instant(there[(turn + 1) % 2])
            yield {"csrf_token": token, "move_number": str(number + turn), "start": start}

    # On somebody else's job: that the customer's has one visit is a rule of the other contestant.
    query = "SELECT customer_id, job_id FROM appointments WHERE technician_id = %s AND job_id <> %s ORDER BY id LIMIT 1"
    other = connection.execute(query, [visit.technician_id, visit.job_id]).fetchone()
    assert other is not None
    insert = {"owner": visit.partner_id, "technician": visit.technician_id, "customer": other[0], "job": other[1]}

    def inserts() -> Iterator[Mapping[str, str]]:
        for turn in count():
            yield {**{name: str(value) for name, value in insert.items()}, "start": str(FAR + turn * LENGTH)}

    ours, theirs = forms(), inserts()
    return [
        Contestant("ours", customer, path, lambda: next(ours), 303),
        Contestant("bare constraint", floor, "/take", lambda: next(theirs)),
    ]


@dataclass(frozen=True)
class Crowd:
    """What came of many who wanted one time at once: how many got it, were told that it is gone, saw an error."""

    people: int
    bookings: int
    told: int
    errors: int


def at_once(visitor: Visitor, forms: Sequence[tuple[str, Mapping[str, str]]]) -> list[Answer]:
    """Send every form over a connection of its own, all at one moment."""
    together = threading.Barrier(len(forms))

    def send(form: tuple[str, Mapping[str, str]]) -> Answer:
        one = visitor.again()
        one.connection.connect()
        together.wait(CROWD_SECONDS)
        answer = one.get(form[0], "POST", form[1])
        one.connection.close()
        return answer

    with ThreadPoolExecutor(len(forms)) as threads:
        return list(threads.map(send, forms))


def crowd(connection: psycopg.Connection[Any], visitor: Visitor) -> Crowd:
    """Let all visits of the crowd be moved to one time that only one technician can take."""
    visits = visits_of(connection, CROWD)
    first = (datetime.now(UTC) + timedelta(days=2)).date()
    start = datetime.fromisoformat(json.loads(visitor.get(visits[0].free(first, 14)).body)[0])
    forms = []
    for visit in visits:
        path = f"/my/visits/{visit.id}/move"
        page = visitor.get(f"{path}/check?{urlencode({'start': instant(start)})}")
        names = ("csrf_token", "move_number")
        forms.append((path, {**{name: field_of(page, name) for name in names}, "start": instant(start)}))
    statuses = [answer.status for answer in at_once(visitor, forms)]
    query = "SELECT count(*) FROM appointments WHERE id = ANY(%s) AND start_at = %s AND status = ANY(%s)"
    found = connection.execute(query, [[visit.id for visit in visits], start, sorted(ACTIVE)]).fetchone()
    assert found is not None
    return Crowd(len(visits), found[0], statuses.count(409), sum(status not in (303, 409) for status in statuses))
