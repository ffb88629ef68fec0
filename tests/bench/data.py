"""Jobs by the hundred thousand, put into PostgreSQL past the models, with COPY.

One partner, the one that is measured, has a fifth of everything; the others share the rest. Beside the jobs asked for
there is one partner more, whose customers move their own visits: ``_SelfService``. A database that was made before, by
the same migrations, in the same week and for the same number of jobs, is used again.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from sqlalchemy import Table, make_url

from portal.domain.actor import Role
from portal.domain.base import Base
from portal.domain.jobs import models as _models  # noqa: F401  (so that every table is known)
from portal.domain.jobs.states import INSTALLATION

# Rises with what is made here, so that no older database is used again.
VERSION = 3
PASSWORD = "bench-bench-bench"
DISPATCHER = "dispatcher@bench.test"
TECHNICIAN = "technician@bench.test"
# Of the partner with self-service: a customer with a past, and one with as many visits as people who want one time.
CUSTOMER, CROWD = "customer@bench.test", "crowd@bench.test"
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
# Of the partner with self-service.
TECHNICIANS, JOBS_FOR_EACH = 500, 20
PAST_VISITS, CROWD_VISITS = 200, 50
# A week more than the horizon, since a database is used for a week.
BOOKED_AHEAD = timedelta(days=67)
# Of each start: with visits of two hours in a day of ten about half of the time.
BOOKED = 0.6
AWAY, DAYS_AWAY = 0.3, 5
# Which of the working days ahead: the customer's visits, and what the crowd has until it gets the time it wants.
WITH_TECHNICIAN, WITHOUT_TECHNICIAN, UNTIL_THEN = 14, 16, 20

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
ASSIGNED, UNASSIGNED = ("INSTALLER_ASSIGNED", "SCHEDULED"), ("SCHEDULED", "SCHEDULED")

Progress = Callable[[int], None]
# A customer, their address and where they are written to.
Place = tuple[int, int, str]


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

    @property
    def technicians(self) -> int:
        """How many technicians the partner with self-service has."""
        return max(3, min(TECHNICIANS, self.jobs // JOBS_FOR_EACH))


def fill(url: str, jobs: int, password_hash: str, now: datetime, progress: Progress = lambda done: None) -> None:
    """Fill the migrated, empty PostgreSQL database at ``url`` around ``now``; counts come after.

    With ``jobs`` jobs, and those of the partner with self-service beside them.
    """
    chance = random.Random(jobs)
    tables, size, done = Tables(), Size(jobs), 0
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address) as connection:
        connection.execute("SET synchronous_commit = off")
        for number in range(size.partners):
            people = size.of(jobs // JOBS_A_TECHNICIAN, number), size.of(jobs // JOBS_A_CUSTOMER, number)
            one = _Partner(tables, jobs, number, people, chance, now, password_hash)
            for _ in one.jobs(size.of(jobs, number)):
                done += 1
                if done % CHUNK == 0:
                    tables.write(connection)
                    progress(done)
            tables.write(connection)
        progress(done)
        people = size.technicians, size.technicians
        last = _SelfService(tables, jobs, size.partners, people, chance, now, password_hash)
        for count, _ in enumerate(last.visits(), 1):
            if count % CHUNK == 0:
                tables.write(connection)
        tables.write(connection)
        for name, rows in tables.items():
            connection.execute(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), {rows.last})")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


class _Partner:
    """One company and the people around it."""

    controls: Mapping[str, Any] = {}

    def __init__(
        self,
        tables: Tables,
        jobs: int,
        number: int,
        people: tuple[int, int],
        chance: random.Random,
        now: datetime,
        password_hash: str,
    ) -> None:
        """``people`` says how many technicians and customers."""
        self.tables, self.chance, self.now, self.password_hash = tables, chance, now, password_hash
        self.prefix = f"P{number}"
        self.id = tables["partners"].add(
            name=f"Company {number}",
            slug=f"company-{number}",
            timezone="Europe/London",
            job_prefix=self.prefix,
            next_job_number=jobs + 1,
            phone="0117 496 0100",
            created_at=now,
        )
        tables["feature_controls"].add(partner_id=self.id, **self.controls)
        for weekday in range(5):
            tables["working_hours"].add(partner_id=self.id, weekday=weekday, start_minute=480, end_minute=1080)
        self.user_id = self._user(DISPATCHER if number == 0 else f"dispatcher-{number}@bench.test", "Dana Okafor")
        tables["memberships"].add(partner_id=self.id, user_id=self.user_id, role=Role.DISPATCHER.value)
        self.kinds = [tables["service_types"].add(partner_id=self.id, name=name) for name in SERVICES]
        self.technicians = [tables["technicians"].add(partner_id=self.id, name=self._name()) for _ in range(people[0])]
        if number == 0:
            login = self._user(TECHNICIAN, "Tomás Reyes")
            own = tables["technicians"].add(partner_id=self.id, name="Tomás Reyes", user_id=login)
            self.technicians[0] = own
        self.places = [self._customer() for _ in range(people[1])]

    def _user(self, email: str, name: str) -> int:
        users = self.tables["users"]
        return users.add(
            email=email,
            name=name,
            password=self.password_hash,
            fs_uniquifier=f"{users.last:032}",
            created_at=self.now,
        )

    def _name(self) -> str:
        return f"{self.chance.choice(FIRST.split())} {self.chance.choice(LAST.split())}"

    def _customer(self, login: str | None = None) -> Place:
        name = self._name()
        email = login or f"{name.replace(' ', '.').lower()}.{self.tables['customers'].last}@mail.example"
        key = self.tables["customers"].add(
            partner_id=self.id,
            name=name,
            email=email,
            phone="+44 7700 900123",
            user_id=self._user(login, name) if login else None,
            created_at=self.now,
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

    def _job(
        self,
        number: int,
        start: datetime,
        technician_id: int,
        kind: tuple[str, str] | None = None,
        place: Place | None = None,
        service_type_id: int | None = None,
    ) -> None:
        tables, chance = self.tables, self.chance
        days = (start.date() - self.now.date()).days
        kinds = PAST if days < 0 else AHEAD if days else TODAY
        status, visit_status = kind or chance.choices(kinds, [weight for *_, weight in kinds])[0][:2]
        somebody = None if status in NOBODY else technician_id
        customer_id, address_id, email = place or chance.choice(self.places)
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
            service_type_id=service_type_id or chance.choice(self.kinds),
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


class _SelfService(_Partner):
    """The company whose customers move their own visits: many technicians, about half of whose time is booked.

    All work the company's week, and all have the skill that the first service type needs; one alone has that of the
    second, which the crowd needs, so that every free time is one that only one of them can have.
    """

    # A customer of the bench takes one time after the other.
    controls: Mapping[str, Any] = {"self_service": True, "max_moves": 1_000_000}

    def visits(self) -> Iterator[int]:
        """Add all visits, ahead and of the past."""
        tables = self.tables
        common, rare = (tables["skills"].add(partner_id=self.id, name=name) for name in ("Electrics", "Roof work"))
        for kind, skill in zip(self.kinds, (common, rare), strict=False):
            tables["service_type_skills"].add(partner_id=self.id, service_type_id=kind, skill_id=skill)
        for technician in self.technicians:
            tables["technician_skills"].add(partner_id=self.id, technician_id=technician, skill_id=common)
        first, last = self.technicians[0], self.technicians[-1]
        tables["technician_skills"].add(partner_id=self.id, technician_id=last, skill_id=rare)
        customer, crowd = self._customer(CUSTOMER), self._customer(CROWD)
        ahead = self._weekdays(1, BOOKED_AHEAD.days)
        number = 0
        for number, (start, technician) in enumerate(self._booked(ahead), 1):
            self._job(number, start, technician, ASSIGNED)
            yield number
        own = [
            *((self._weekdays(-400, 0)[-day - 1], PAST[0][:2], customer, 0) for day in range(PAST_VISITS)),
            (ahead[WITH_TECHNICIAN], ASSIGNED, customer, 0),
            (ahead[WITHOUT_TECHNICIAN], UNASSIGNED, customer, 0),
            *((ahead[UNTIL_THEN], UNASSIGNED, crowd, 1) for _ in range(CROWD_VISITS)),
        ]
        for day, kind, place, service in own:
            number += 1
            self._job(number, day + timedelta(hours=STARTS[0]), first, kind, place, self.kinds[service])
            yield number

    def _weekdays(self, begin: int, end: int) -> list[datetime]:
        """Return the midnights of the working days from ``begin`` up to ``end`` days from now."""
        today = datetime.combine(self.now.date(), datetime.min.time(), UTC)
        return [day for count in range(begin, end) if (day := today + timedelta(days=count)).weekday() < 5]

    def _booked(self, days: list[datetime]) -> Iterator[tuple[datetime, int]]:
        """Yield starts of visits with their technicians, who are away now and then.

        The first technician never is, and has the customer's visit and a free time on the day of that visit.
        """
        for technician in self.technicians:
            away: set[datetime] = set()
            if technician != self.technicians[0] and self.chance.random() < AWAY:
                begin = self.chance.choice(days)
                until = begin + timedelta(days=DAYS_AWAY)
                self.tables["time_off"].add(partner_id=self.id, technician_id=technician, start_at=begin, end_at=until)
                away = {day for day in days if begin <= day < until}
            for day in days:
                for hour in STARTS:
                    kept = (technician, day) == (self.technicians[0], days[WITH_TECHNICIAN])
                    if day in away or (kept and hour in (STARTS[0], STARTS[-1])):
                        continue
                    if self.chance.random() < BOOKED:
                        yield day + timedelta(hours=hour), technician
