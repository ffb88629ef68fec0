"""Jobs by the hundred thousand, put into PostgreSQL past the models, with COPY.

One partner, the one that is measured, has a fifth of everything; the others share the rest. A database that was made
before, by the same migrations and for the same number of jobs, is used again.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from sqlalchemy import Table, make_url

from portal.domain.actor import Role
from portal.domain.base import Base
from portal.domain.jobs import models as _models  # noqa: F401  (so that every table is known)
from portal.domain.jobs.states import INSTALLATION

PASSWORD = "bench-bench-bench"
DISPATCHER = "dispatcher@bench.test"
PARTNERS = 50
JOBS_A_TECHNICIAN = 2_000
JOBS_A_CUSTOMER = 5
# Of everything, at the partner that is measured.
SHARE = 0.2
YEARS = 3
DAYS_AHEAD = 180
STARTS = (8, 10, 13, 15)
LENGTH = timedelta(hours=2)
CHUNK = 5_000

FIRST = "Ada Ben Cleo Dan Elif Finn Gia Hugo Iris Jon Kaja Leo Mira Nils Olga Pia Raj Sofia Tom Uma Vera Will Yara Zoe"
LAST = "Abara Berg Costa Doyle Evans Fox Grant Hahn Ito Jansen Kowal Lund Moreau Novak Okafor Patel Quinn Rossi Silva"
STREETS = "Alder Birch Cedar Dale Elm Fern Grove Hazel Ivy Juniper Kiln Larch Mill Nettle Oak Park Quarry Rose Station"
CITIES = ("Bristol", "Bath", "Cardiff", "Exeter", "Gloucester", "Swindon", "Taunton", "Wells")
PRODUCTS = ("Heat pump 8 kW", "Solar panel 430 W", "Inverter 5 kW", "Wall box 11 kW", "Battery 10 kWh", "Boiler")
SERVICES = ("Heat pump", "Solar", "Wall box", "Boiler", "Survey")
# What a visit of the past, of today and of the days to come is like: the job's status, the visit's, how often.
PAST = (
    ("CUSTOMER_APPROVED", "COMPLETE", 70),
    ("CONTRACT_SIGNED", "COMPLETE", 4),
    ("CONTRACT_SENT", "COMPLETE", 4),
    ("INSTALLATION_COMPLETED", "COMPLETE", 4),
    ("CANCELLED", "CANCELLED", 9),
    ("REJECTED", "CANCELLED", 9),
)
TODAY = (
    ("INSTALLER_ASSIGNED", "SCHEDULED", 40),
    ("EN_ROUTE", "ON_THE_WAY", 20),
    ("INSTALLATION_IN_PROGRESS", "WORK_IN_PROGRESS", 20),
    ("INSTALLATION_COMPLETED", "COMPLETE", 20),
)
AHEAD = (
    ("INSTALLER_ASSIGNED", "SCHEDULED", 55),
    ("SCHEDULED", "SCHEDULED", 35),
    ("CANCELLED", "CANCELLED", 6),
    ("REJECTED", "CANCELLED", 4),
)
NOBODY = {"SCHEDULED", "REJECTED"}

Progress = Callable[[int], None]


@dataclass
class Rows:
    """Rows of one table on their way into it; what a row leaves out gets the model's own default."""

    table: Table
    defaults: dict[str, Any] = field(init=False)
    waiting: list[list[Any]] = field(default_factory=list)
    last: int = 0

    def __post_init__(self) -> None:
        """Read the defaults off the table, so that a new column does not have to be known here."""
        self.defaults = {"version": 1} if "version" in self.table.columns else {}
        for column in self.table.columns:
            if column.default is not None and column.default.is_scalar:
                self.defaults[column.name] = column.default.arg
            elif column.default is not None and column.default.is_callable:
                self.defaults[column.name] = column.default.arg(None)

    def add(self, **values: Any) -> int:
        """Put a row in the queue and return its key."""
        self.last += 1
        row = {"id": self.last, **self.defaults, **values}
        self.waiting.append([row.get(column.name) for column in self.table.columns])
        return self.last

    def write(self, connection: psycopg.Connection[Any]) -> None:
        """Send what is waiting by COPY, in the order in which the rows were added."""
        names = ", ".join(f'"{column.name}"' for column in self.table.columns)
        with connection.cursor().copy(f'COPY "{self.table.name}" ({names}) FROM STDIN') as copy:
            for row in self.waiting:
                copy.write_row([json.dumps(value) if isinstance(value, dict) else value for value in row])
        self.waiting.clear()


class Tables(defaultdict[str, Rows]):
    """The queues by name of table, written parents first."""

    def __missing__(self, name: str) -> Rows:
        """Begin a queue."""
        self[name] = Rows(Base.metadata.tables[name])
        return self[name]

    def write(self, connection: psycopg.Connection[Any]) -> None:
        """Send everything that is waiting."""
        for table in Base.metadata.sorted_tables:
            if table.name in self and self[table.name].waiting:
                self[table.name].write(connection)


@dataclass(frozen=True)
class Size:
    """How much of what: everything in proportion to ``jobs``."""

    jobs: int

    @property
    def partners(self) -> int:
        """How many companies."""
        return max(2, min(PARTNERS, self.jobs // 50))

    def of(self, total: int, partner: int) -> int:
        """Return the share of ``total`` that a partner has (the first is 0), at least one."""
        if partner == 0:
            return max(1, round(total * SHARE))
        return max(1, round(total * (1 - SHARE) / (self.partners - 1)))


def fill(url: str, jobs: int, password_hash: str, now: datetime, progress: Progress = lambda done: None) -> None:
    """Fill the migrated, empty PostgreSQL database at ``url`` with ``jobs`` jobs around ``now``; counts come after."""
    chance = random.Random(jobs)
    tables, size, done = Tables(), Size(jobs), 0
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address) as connection:
        connection.execute("SET synchronous_commit = off")
        for number in range(size.partners):
            one = _Partner(tables, size, number, chance, now, password_hash)
            for _ in one.jobs(size.of(jobs, number)):
                done += 1
                if done % CHUNK == 0:
                    tables.write(connection)
                    progress(done)
            tables.write(connection)
        progress(done)
        for name, rows in tables.items():
            connection.execute(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), {rows.last})")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


class _Partner:
    """One company and the people around it."""

    def __init__(
        self, tables: Tables, size: Size, number: int, chance: random.Random, now: datetime, password_hash: str
    ) -> None:
        self.tables, self.chance, self.now = tables, chance, now
        self.prefix = f"P{number}"
        self.id = tables["partners"].add(
            name=f"Company {number}",
            slug=f"company-{number}",
            timezone="Europe/London",
            job_prefix=self.prefix,
            next_job_number=size.jobs + 1,
            phone="0117 496 0100",
            created_at=now,
        )
        tables["feature_controls"].add(partner_id=self.id)
        for weekday in range(5):
            tables["working_hours"].add(partner_id=self.id, weekday=weekday, start_minute=480, end_minute=1080)
        self.user_id = tables["users"].add(
            email=DISPATCHER if number == 0 else f"dispatcher-{number}@bench.test",
            name="Dana Okafor",
            password=password_hash,
            fs_uniquifier=f"{number:032}",
            created_at=now,
        )
        tables["memberships"].add(partner_id=self.id, user_id=self.user_id, role=Role.DISPATCHER.value)
        self.kinds = [tables["service_types"].add(partner_id=self.id, name=name) for name in SERVICES]
        self.technicians = [
            tables["technicians"].add(partner_id=self.id, name=self._name())
            for _ in range(size.of(size.jobs // JOBS_A_TECHNICIAN, number))
        ]
        self.places = [self._customer() for _ in range(size.of(size.jobs // JOBS_A_CUSTOMER, number))]

    def _name(self) -> str:
        return f"{self.chance.choice(FIRST.split())} {self.chance.choice(LAST.split())}"

    def _customer(self) -> tuple[int, int, str]:
        name = self._name()
        email = f"{name.replace(' ', '.').lower()}.{self.tables['customers'].last}@mail.example"
        key = self.tables["customers"].add(
            partner_id=self.id, name=name, email=email, phone="+44 7700 900123", created_at=self.now
        )
        line = f"{self.chance.randint(1, 199)} {self.chance.choice(STREETS.split())} Road"
        postcode = f"BS{self.chance.randint(1, 40)} {self.chance.randint(1, 9)}QT"
        place = self.tables["addresses"].add(
            partner_id=self.id, customer_id=key, line=line, city=self.chance.choice(CITIES), postcode=postcode
        )
        return key, place, email

    def jobs(self, number: int) -> Iterator[int]:
        """Add ``number`` jobs, spread evenly over the years, so that nobody is at two doors at once."""
        first = (self.now - timedelta(days=365 * YEARS - DAYS_AHEAD)).date()
        days = [day for count in range(365 * YEARS) if (day := first + timedelta(days=count)).weekday() < 5]
        a_day = len(self.technicians) * len(STARTS)
        room = len(days) * a_day
        if room < number:
            raise ValueError(f"{len(self.technicians)} technicians have no time for {number} jobs")
        for count in range(number):
            place, rest = divmod(count * room // number, a_day)
            slot, who = divmod(rest, len(self.technicians))
            start = datetime.combine(days[place], datetime.min.time(), UTC) + timedelta(hours=STARTS[slot])
            self._job(count + 1, start, self.technicians[who])
            yield count

    def _job(self, number: int, start: datetime, technician_id: int) -> None:
        tables, chance = self.tables, self.chance
        days = (start.date() - self.now.date()).days
        kinds = PAST if days < 0 else AHEAD if days else TODAY
        status, visit_status, _ = chance.choices(kinds, [weight for *_, weight in kinds])[0]
        somebody = None if status in NOBODY else technician_id
        customer_id, address_id, email = chance.choice(self.places)
        made_at = start - timedelta(days=14)
        items = chance.sample(PRODUCTS, chance.randint(1, 3))
        over = visit_status == "COMPLETE"
        whose = {"partner_id": self.id, "customer_id": customer_id}
        job_id = tables["jobs"].add(
            **whose,
            workflow=INSTALLATION.name,
            number=f"{self.prefix}-{number}",
            status=status,
            title=", ".join(items),
            address_id=address_id,
            service_type_id=chance.choice(self.kinds),
            technician_id=somebody,
            start_at=start,
            end_at=start + LENGTH,
            reject_reason="Out of our area" if status == "REJECTED" else "",
            cancel_reason="No longer wanted" if status == "CANCELLED" else "",
            approved_at=start + LENGTH if status == "CUSTOMER_APPROVED" else None,
            work_began_at=start if over else None,
            created_at=made_at,
            updated_at=made_at,
        )
        for position, name in enumerate(items):
            tables["job_items"].add(
                partner_id=self.id, job_id=job_id, position=position, name=name, quantity=chance.randint(1, 12)
            )
        visit_id = tables["appointments"].add(
            **whose,
            job_id=job_id,
            technician_id=somebody,
            status=visit_status,
            start_at=start,
            end_at=start + LENGTH,
            window_minutes=120,
            planned_at=made_at,
            ended_at=start + LENGTH if over else None,
        )
        who = {"actor_id": self.user_id, "actor_role": Role.DISPATCHER.value, "actor_name": "Dana Okafor"}
        for subject, action in (("job", "schedule"), ("appointment", "book"), ("job", "assign")):
            tables["history"].add(
                **whose,
                **who,
                job_id=job_id,
                appointment_id=visit_id if subject == "appointment" else None,
                at=made_at,
                subject=subject,
                action=action,
                before={},
                after={"status": status if subject == "job" else visit_status},
            )
        tables["messages"].add(
            **whose,
            job_id=job_id,
            appointment_id=visit_id,
            key=f"bench-{visit_id}",
            kind="booked",
            channel="email",
            recipient=email,
            occurrence=1,
            status="SENT",
            due_at=made_at,
            sent_at=made_at,
            created_at=made_at,
            subject="Your visit is booked",
            body="We look forward to it.",
        )
