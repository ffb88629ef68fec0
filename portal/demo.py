"""The demo's example companies: a month of work around today, played through the real use cases.

Every installation is a *story*, a generator that yields the instant at which it goes on and then calls a use case with
that instant as the clock. All stories are played in time order up to now, so statuses, history, messages and numbers
are what they would be had people worked with Doorstep for a month; what a story has left lies in the future.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import cycle
from zoneinfo import ZoneInfo

from flask import current_app
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal import demo_pictures, demo_set_up
from portal.domain.actor import Actor, Role
from portal.domain.contracts import services as contracts
from portal.domain.contracts.queries import current_contract
from portal.domain.jobs import fieldwork, service_jobs, services
from portal.domain.jobs.models import Appointment, Job
from portal.domain.jobs.service_jobs import ServiceDraft
from portal.domain.jobs.services import Booking, ItemInput
from portal.domain.jobs.situations import current_visit, visits_of
from portal.domain.messages.models import Fault
from portal.domain.messages.outbox import Letter
from portal.domain.messages.reminders import decide_reminders
from portal.domain.offers.models import JobOffer
from portal.domain.offers.services import OfferInput, accept_offer, decline_offer, offer_job
from portal.domain.people.contacts import clean_phone
from portal.domain.people.invitations import InvitationInput, invite_staff
from portal.domain.people.look_ins import begin_look_in, end_look_in
from portal.domain.people.models import (
    Address,
    Contact,
    Customer,
    Membership,
    Partner,
    Technician,
    TechnicianStatus,
    User,
)
from portal.domain.people.partners import (
    NewPartner,
    create_partner_with_defaults,
    found_by_invitation,
    suspend_partner,
)
from portal.domain.people.services import AddressInput
from portal.domain.photos.services import PhotoInput, add_photo, drawn_photo
from portal.domain.requests.dates import Part, PreferredDate
from portal.domain.requests.models import Wish
from portal.domain.requests.new_service import (
    ServiceWish,
    add_request_photo,
    convert_into_installation,
    counter_propose,
    decline_request,
    request_service,
)
from portal.domain.requests.services import request_change
from portal.domain.scheduling.hours import HitsVisits, TimeOffInput, add_time_off
from portal.domain.scheduling.models import Holiday, PauseReason, ServiceType, TimeOff, WorkingHours
from portal.domain.scheduling.overrides import edit_override
from portal.domain.scheduling.public_holidays import public_holidays
from portal.domain.scheduling.queries import controls_of
from portal.domain.scheduling.rules import OverrideValues, Owner
from portal.domain.scheduling.zones import day_span, instant_at_or_after, local_day
from portal.domain.surveys.models import QuestionKind
from portal.domain.surveys.queries import survey_of
from portal.domain.surveys.services import SurveyInput, answer_survey
from portal.domain.tracking.services import Reading, keep_position
from portal.domain.unit_of_work import unit_of_work
from portal.web.auth import hash_password
from portal.web.photos import store as photo_store
from portal.worker.channels import LogChannel, SendError
from portal.worker.relay import Relay
from portal.worker.store import Sessions, Store

PASSWORD = "demo-demo-demo"
# What `portal demo` prints; everybody else of the demo has the same password.
ACCOUNTS = (
    ("Acme, partner admin", "admin@acme.test"),
    ("Acme, dispatcher", "dispatch@acme.test"),
    ("Acme, technician", "tech@acme.test"),
    ("Acme, customer", "customer@acme.test"),
    ("Globex, partner admin", "admin@globex.test"),
    ("Globex, customer", "customer@globex.test"),
    ("Initech, suspended, partner admin", "admin@initech.test"),
    ("Operator of the platform", "operator@doorstep.test"),
)

DAYS_BACK = 15
DAYS_AHEAD = 15
SUNDAY = 6
# Two hours before most visits, when quiet hours are over, and in the evening at either company.
REMINDING_HOURS = (6, 7, 9, 10, 12, 14, 15, 18, 23)
# Two letters the wrong way round, as somebody wrote it down on the telephone.
MISSPELLED = "wanda.kessel@mial.example"
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

Story = Iterator[datetime]
Progress = Callable[[int, int], None]
Items = Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A service type of the demo, with what is installed and what a technician writes afterwards."""

    name: str
    minutes: int
    items: Sequence[Items]
    notes: Sequence[str]


SOLAR = Kind(
    "Solar panels",
    360,
    (
        (("Solar panel 430 W", 10), ("Inverter 5 kW", 1)),
        (("Solar panel 430 W", 14), ("Inverter 6 kW", 1), ("Bird mesh kit", 1)),
        (("Solar panel 430 W", 8), ("Inverter 3.6 kW", 1)),
    ),
    (
        "Panels on the south roof, inverter in the loft. All strings tested, readings are on the label.",
        "Fitted as drawn. One tile was cracked before we came; it is replaced.",
    ),
)
HEAT_PUMP = Kind(
    "Heat pump",
    420,
    ((("Heat pump 8 kW", 1), ("Cylinder 210 l", 1)), (("Heat pump 6 kW", 1), ("Radiator", 3))),
    ("Heat pump runs at 45 °C flow. Filter to be cleaned in autumn, we showed how.",),
)
BATTERY = Kind(
    "Home battery",
    150,
    ((("Battery 10 kWh", 1),), (("Battery 5 kWh", 1), ("Backup switch", 1))),
    ("Battery hangs beside the inverter and is at 60 %. The app is connected.",),
)
CHARGER = Kind(
    "Car charger",
    90,
    ((("Car charger 7 kW", 1),), (("Car charger 7 kW", 1), ("Consumer unit", 1)), (("Car charger 22 kW", 1),)),
    ("Charger tested with the customer's car. The cable reaches both parking places.",),
)
THERMOSTAT = Kind(
    "Smart thermostat",
    60,
    ((("Smart thermostat", 1),), (("Smart thermostat", 1), ("Radiator valve", 5))),
    ("Thermostat paired, weekly programme set together with the customer.",),
)
KINDS = (SOLAR, HEAT_PUMP, BATTERY, CHARGER, THERMOSTAT)
LONG, SHORT = (SOLAR, HEAT_PUMP), (BATTERY, CHARGER, THERMOSTAT)
LONG_START = time(8, 30)
SHORT_STARTS = (time(8), time(11), time(14))
# Today's starts of the technician whom a visitor of the demo signs in as; each leaves room for travel.
# Where the customer of the demo lives, and where somebody on the way to her was seen last: degrees north and east.
HOME, ON_GLOUCESTER_ROAD = (51.4702, -2.5931), (51.4935, -2.5871)
TODAYS_STARTS = (time(8), time(10), time(12), time(14), time(16))

BRISTOL = (
    ("Marcus Oyelaran", "66 Ashley Down Road", "BS7 9JT"),
    ("Owen Whitfield", "9 Brunel Lock", "BS1 6SE"),
    ("Leah Novak", "6 Granby Hill", "BS8 4LT"),
    ("Yusuf Demir", "102 Coronation Road", "BS3 1RE"),
    ("Ruth Feldman", "17 Picton Mews", "BS6 5PZ"),
    ("Callum Fraser", "31 Sefton Park Road", "BS7 9AL"),
    ("Helena Duarte", "5 Weavers Yard", "BS7 8QA"),
    ("Jonas Engel", "2 Narrow Quay", "BS1 4QA"),
    ("Beth Hargreaves", "23 Cotham Vale", "BS6 6HR"),
    ("Grace Mbeki", "8 Chapel Steps", "BS8 1HN"),
    ("Nadia Petrov", "41 Redcatch Road", "BS4 2EP"),
    ("Samir Haddad", "12 Gathorne Road", "BS3 1LR"),
    ("Anna Becker", "40 Richmond Terrace", "BS8 1AA"),
    ("Hugo Lind", "3 Windmill Hill", "BS3 4LU"),
    ("Tess Moran", "19 Chandos Road", "BS6 6PG"),
    ("Olga Brandt", "27 Cliftonwood Crescent", "BS8 4TU"),
    ("Nora Quist", "18 Redland Grove", "BS6 6QT"),
    ("Liam Foster", "3 Hill View", "BS8 1DF"),
    ("Iris Bloom", "77 Sandy Park Road", "BS4 3PQ"),
    ("Dev Chandra", "50 Fishponds Road", "BS5 6SF"),
    ("Olu Bello", "14 Stapleton Road", "BS5 0QX"),
    ("Elin Strand", "9 Cumberland Road", "BS1 6UX"),
    ("Hana Sato", "22 Zetland Road", "BS6 7AE"),
    ("Ivo Marek", "61 North Street", "BS3 1EN"),
)
ALBANY = (
    ("Walter Brandhorst", "118 Lancaster Street", "12210"),
    ("Denise Okonkwo", "27 Delaware Avenue", "12202"),
    ("Frank Castellano", "340 Hudson Avenue", "12203"),
    ("Mei-Ling Zhao", "9 Pine Hollow Lane", "12205"),
    ("Rosa Delgado", "76 Madison Avenue", "12208"),
)

# What technicians photograph at somebody's: the picture, what it shows, whether the customer sees it.
PHOTOS = {
    ("Priya Raman", "Smart thermostat"): (
        (demo_pictures.thermostat, "Thermostat in the hall", True),
        (demo_pictures.fuse_box, "Fuse box, for the office", False),
    ),
    ("Priya Raman", "Heat pump"): ((demo_pictures.roof, "Roof before we began", True),),
}

# How customers rate, most of them content, and what they say to it.
RATINGS_GIVEN = (5, 5, 5, 5, 4, 4, 4, 3, 2)
COMMENTS = {
    5: ("", "Friendly, clean, and on time to the minute.", "Explained everything twice, thank you!"),
    4: ("", "Good work. The hall could have been swept.", "All fine, a little later than announced."),
    3: ("It works now, but it took longer than we were told.", ""),
    2: ("Nobody told us that the power would be off all day.",),
}


class Company:
    """One partner of the demo at work: who acts there, the clock of its stories, and the calls they make."""

    def __init__(self, session: Session, now: datetime, rng: random.Random, password: str, partner: Partner) -> None:
        self.session = session
        self.rng = rng
        self.password = password
        self.partner = partner
        self.zone = ZoneInfo(partner.timezone)
        self.opened_at = partner.created_at
        self.present = now
        self.today = local_day(now, self.zone)
        # The clock of the stories; the player moves it on.
        self.now = partner.created_at
        self.office: list[Actor] = []
        self.crew: dict[str, Technician] = {}
        self.customers: dict[str, Customer] = {}
        # The key of a customer's address, by the customer's.
        self.homes: dict[int, int] = {}
        self.kinds: dict[str, ServiceType] = {}
        self.holidays: set[date] = set()
        self._turns: dict[str, Iterator[Customer]] = {}
        self.stories: list[Story] = []
        self.taken: set[tuple[str, date]] = set()

    # Setting up

    def add_login(self, name: str, email: str) -> User:
        """Add somebody who may sign in."""
        user = User(email=email, name=name, password=self.password, created_at=self.opened_at)
        self.session.add(user)
        self.session.flush()
        return user

    def add_staff(self, name: str, email: str, role: Role) -> None:
        """Add a partner admin or dispatcher."""
        user = self.add_login(name, email)
        self.session.add(Membership(partner_id=self.partner.id, user_id=user.id, role=role))
        self.office.append(Actor(user.id, role, name, frozenset({self.partner.id})))

    def number(self, phone: str) -> str:
        """Return a telephone number as the forms keep it."""
        return clean_phone(phone, self.partner.timezone)

    def add_technician(self, name: str, email: str, phone: str, available: bool = True) -> None:
        """Add a technician with a log-in."""
        user = self.add_login(name, email)
        status = TechnicianStatus.AVAILABLE if available else TechnicianStatus.UNAVAILABLE
        technician = Technician(
            partner_id=self.partner.id,
            name=name,
            email=email,
            phone=self.number(phone),
            status=status,
            user_id=user.id,
        )
        self.session.add(technician)
        self.session.flush()
        self.crew[name] = technician

    def add_customer(
        self,
        name: str,
        street: str,
        city: str,
        postcode: str,
        phone: str,
        email: str = "",
        user_id: int | None = None,
    ) -> Customer:
        """Add a customer with an address and a log-in: ``user_id``, else one of its own by ``email``."""
        email = email or f"{name.lower().replace(' ', '.')}@mail.example"
        customer = Customer(
            partner_id=self.partner.id,
            name=name,
            email=email,
            phone=self.number(phone),
            user_id=user_id or self.add_login(name, email).id,
            created_at=self.opened_at,
        )
        self.session.add(customer)
        self.session.flush()
        place = Address(partner_id=self.partner.id, customer_id=customer.id, line=street, city=city, postcode=postcode)
        self.session.add(place)
        self.session.flush()
        self.homes[customer.id] = place.id
        self.customers[name] = customer
        return customer

    def add_kinds(self, kinds: Sequence[Kind]) -> None:
        """Add service types, with a quarter of an hour of travel around each visit."""
        for kind in kinds:
            row = ServiceType(
                partner_id=self.partner.id,
                name=kind.name,
                duration_minutes=kind.minutes,
                buffer_before_minutes=15,
                buffer_after_minutes=15,
            )
            self.session.add(row)
            self.kinds[kind.name] = row
        self.session.flush()

    def add_holidays(self, country: str, region: str) -> None:
        """Add the public holidays of a region, of this year and its neighbours."""
        years = range(self.today.year - 1, self.today.year + 2)
        for one in public_holidays(country, region, years, "en"):
            self.session.add(Holiday(partner_id=self.partner.id, day=one.day, name=one.name))
            self.holidays.add(one.day)
        self.session.flush()

    def whose_turn(self, kind: Kind) -> Customer:
        """Return the next customer to have such a thing installed; the first, whom visitors sign in as, is left out."""
        if kind.name not in self._turns:
            everyone = [customer for customer in self.customers.values() if customer.active][1:]
            first = len(everyone) * len(self._turns) // len(KINDS)
            self._turns[kind.name] = cycle(everyone[first:] + everyone[:first])
        return next(self._turns[kind.name])

    # Time

    def workday(self, distance: int) -> date:
        """Return the date that lies ``distance`` working days from today, before it if negative."""
        day, left = self.today, abs(distance)
        while left:
            day += DAY if distance > 0 else -DAY
            left -= self.is_workday(day)
        return day

    def is_workday(self, day: date) -> bool:
        """Whether people work on ``day``."""
        return day.weekday() != SUNDAY and day not in self.holidays

    def at(self, day: date, clock: time) -> datetime:
        """Return the instant of a local time."""
        return instant_at_or_after(day, clock, self.zone)

    def earlier_today(self, minutes: int) -> datetime:
        """Return the instant so many minutes ago, but never one of yesterday."""
        return max(day_span(self.today, self.zone)[0], self.present - minutes * MINUTE)

    def sensible_start(self, minutes_ago: int) -> datetime:
        """Return a start of today, about so many minutes ago, that is in working hours whatever hour it is."""
        start = self.present - minutes_ago * MINUTE
        start -= timedelta(minutes=start.minute % 30, seconds=start.second, microseconds=start.microsecond)
        return min(max(start, self.at(self.today, time(8))), self.at(self.today, time(17)))

    def office_hour(self, day: date) -> datetime:
        """Return an instant of ``day``, or of the working day before, at which somebody sits in the office."""
        while not self.is_workday(day):
            day -= DAY
        return self.at(day, time(self.rng.randrange(8, 17), self.rng.randrange(60)))

    def booked_before(self, start: datetime, least: int = 3, most: int = 12) -> datetime:
        """Return when a visit was booked: some days before it, at any rate before today."""
        day = min(local_day(start, self.zone), self.today) - self.rng.randint(least, most) * DAY
        return max(self.office_hour(day), self.opened_at)

    # Acting

    @property
    def dispatcher(self) -> Actor:
        """Somebody of the office."""
        return self.rng.choice(self.office)

    def as_customer(self, customer: Customer) -> Actor:
        """The customer as one who acts."""
        return Actor(
            customer.user_id,
            Role.CUSTOMER,
            customer.name,
            frozenset({self.partner.id}),
            customer_ids=frozenset({customer.id}),
        )

    def as_technician(self, technician: Technician) -> Actor:
        """The technician as one who acts."""
        return Actor(
            technician.user_id,
            Role.TECHNICIAN,
            technician.name,
            frozenset({self.partner.id}),
            technician_id=technician.id,
        )

    def schedule(self, order: Order, assigned: bool, replaces: Job | None = None) -> Job:
        """Book ``order``, at once for its technician if ``assigned``."""
        technician = self.crew[order.technician] if assigned and order.technician else None
        booking = Booking(
            customer_id=order.customer.id,
            address_id=self.homes[order.customer.id],
            service_type_id=self.kinds[order.kind.name].id,
            start=order.start,
            items=[ItemInput(name, quantity) for name, quantity in order.items],
            notes=order.notes,
            technician_id=technician.id if technician else None,
            replaces_id=replaces.id if replaces else None,
        )
        return services.schedule_installation(self.session, self.dispatcher, self.now, booking, despite_warnings=True)

    def assign(self, job: Job, name: str) -> None:
        """Assign ``job`` to the technician of that name."""
        services.assign(self.session, self.dispatcher, self.now, job.id, self.crew[name].id, despite_warnings=True)

    def visit(self, job: Job) -> Appointment:
        """Return the visit that ``job`` is about now."""
        visit = current_visit(visits_of(self.session, job))
        if visit is None:
            raise RuntimeError(f"installation {job.number} has no visit")
        return visit

    def step(self, use_case: Callable[..., Appointment], job: Job, *inputs: object) -> None:
        """Take a step of the visit of ``job`` as its technician."""
        visit = self.visit(job)
        technician = next(one for one in self.crew.values() if one.id == visit.technician_id)
        use_case(self.session, self.as_technician(technician), self.now, visit.id, visit.move_number, *inputs)

    def photograph(self, job: Job, data: bytes, caption: str, shared: bool) -> None:
        """Add a photo to the visit of ``job`` as its technician."""
        visit, drawn = self.visit(job), drawn_photo(data)
        technician = next(one for one in self.crew.values() if one.id == visit.technician_id)
        name, given = photo_store().keep(drawn, self.now), PhotoInput(caption=caption, shared=shared)
        add_photo(self.session, self.as_technician(technician), self.now, visit.id, name, drawn, given)

    def pause_reason(self, label: str) -> int:
        """Return the key of a pause reason."""
        reasons = select(PauseReason.id).where(PauseReason.partner_id == self.partner.id, PauseReason.label == label)
        return self.session.scalars(reasons).one()


@dataclass(frozen=True)
class Order:
    """What a customer wants: a kind of work at an instant, and by whom if that was said."""

    customer: Customer
    kind: Kind
    start: datetime
    technician: str | None = None
    items: Items = ()
    notes: str = ""

    @property
    def end(self) -> datetime:
        """When the visit ends."""
        return self.start + self.kind.minutes * MINUTE


def seed(session: Session, now: datetime, rng: random.Random, progress: Progress | None = None) -> None:
    """Fill an empty database with two companies and their month around ``now`` (an instant), in one transaction.

    The same ``now`` and ``rng`` give the same data. ``progress`` is told days done and days in all. Needs the
    application's context, since passwords are hashed as its settings say, and a session of scope ``system``.
    """
    password = hash_password(PASSWORD)
    with unit_of_work(session):
        operator = User(
            email="operator@doorstep.test", name="Robin Vale", password=password, is_operator=True, created_at=now
        )
        session.add(operator)
        companies = [_acme(session, now, rng, password), _globex(session, now, rng, password)]
        _second_home(*companies)
        _play(session, companies, now, progress or (lambda done, total: None))
        session.flush()
        _platform(session, now, operator, companies[0], password)
        _offers(session, now, Actor(operator.id, Role.OPERATOR, operator.name), *companies)


def _platform(session: Session, now: datetime, operator: User, acme: Company, password: str) -> None:
    """What the operator did lately, a partner that is suspended, and an invitation to Acme that waits."""
    robin = Actor(operator.id, Role.OPERATOR, operator.name)
    alma = next(actor for actor in acme.office if actor.role is Role.PARTNER_ADMIN)
    key = current_app.config["SETTINGS"].secret_key.get_secret_value()
    asked = "Alma asked on the telephone why a reminder had not gone out."
    look_in = begin_look_in(session, robin, now - 2 * DAY, acme.partner.id, asked)
    end_look_in(session, now - 2 * DAY + 18 * MINUTE, look_in.id)
    newcomer = InvitationInput("Jordan Ames", "jordan.ames@mail.example", Role.DISPATCHER)
    invite_staff(session, alma, now - DAY, key, acme.partner.id, newcomer)
    _post(session, now - DAY)
    contract = NewPartner(
        "Initech Plumbing",
        "Europe/Dublin",
        "IN",
        "Nuala Byrne",
        "nuala.byrne@mail.example",
        "Contract 2041, trial quarter.",
    )
    initech = found_by_invitation(session, robin, now - 20 * DAY, key, contract)
    _post(session, now - 20 * DAY)
    boss = User(email="admin@initech.test", name="Colm Daly", password=password, created_at=now - 19 * DAY)
    session.add(boss)
    session.flush()
    session.add(Membership(partner_id=initech.id, user_id=boss.id, role=Role.PARTNER_ADMIN))
    suspend_partner(session, robin, now - 3 * DAY, initech.id, "The trial quarter is over and no contract was signed.")


def _offers(session: Session, now: datetime, robin: Actor, acme: Company, globex: Company) -> None:
    """What the operator offered: two jobs that wait, one that another was quicker with, one that Acme declined."""

    def offer(hours_ago: int, service: str, name: str, street: str, words: str, both: bool) -> dict[int, JobOffer]:
        at, day = now - hours_ago * HOUR, acme.workday(6)
        form = OfferInput(
            partner_ids=[company.partner.id for company in ((acme, globex) if both else (acme,))],
            service=service,
            description=words,
            customer_name=name,
            customer_email=f"{name.lower().replace(' ', '.')}@mail.example",
            customer_phone="+44 7700 900270",
            place=AddressInput(None, street, "Bristol", "BS1 5TR"),
            dates=[PreferredDate(day, Part.MORNING), PreferredDate(day + DAY)],
            notes="",
            expires_at=now + 40 * HOUR,
        )
        offered = offer_job(session, robin, at, form)
        own = select(JobOffer).where(JobOffer.offered_job_id == offered.id)
        return {one.partner_id: one for one in session.scalars(own)}

    offer(5, THERMOSTAT.name, "Petra Holm", "7 Anchor Road", "Three rooms, the boiler is from 2019.", both=True)
    offer(3, CHARGER.name, "Ravi Menon", "15 Welsh Back", "Parking place under the house.", both=False)
    taken = offer(21, HEAT_PUMP.name, "Jutta Riedel", "2 Canons Way", "Yearly maintenance.", both=True)
    theirs = globex.kinds[HEAT_PUMP.name].id
    accept_offer(session, globex.office[1], now - 18 * HOUR, taken[globex.partner.id].id, theirs)
    declined = offer(27, BATTERY.name, "Mona Eriksen", "30 Old Market", "Old cells to be taken away.", both=False)
    reason = "We may not carry old cells; please ask somebody who is certified."
    decline_offer(session, acme.office[1], now - 22 * HOUR, declined[acme.partner.id].id, reason)
    session.flush()


def _post(session: Session, at: datetime) -> None:
    """Send what was due ``at`` an instant."""
    Relay(_InHand(session), current_app.config["SETTINGS"], LogChannel(), clock=lambda: at).run()


def _play(session: Session, companies: Sequence[Company], until: datetime, progress: Progress) -> None:
    """Play all stories in time order up to ``until``; after each step the relay sends what that gave rise to."""
    waiting: list[tuple[datetime, int, Company, Story]] = []
    order = 0
    for company in companies:
        for story in company.stories:
            waiting.append((next(story), order, company, story))
            order += 1
    heapq.heapify(waiting)
    opened_at = clock = min(company.opened_at for company in companies)
    total = (until - opened_at).days + 1
    relay = Relay(_InHand(session), current_app.config["SETTINGS"], _Post(), clock=lambda: clock)
    while waiting and waiting[0][0] <= until:
        at, number, company, story = heapq.heappop(waiting)
        company.now = clock = at
        progress((at - opened_at).days, total)
        following = next(story, None)
        relay.run()
        if following is not None:
            # Somebody who is late goes on at once.
            heapq.heappush(waiting, (max(following, at), number, company, story))
    clock = until
    relay.run()
    progress(total, total)


class _Post(LogChannel):
    """Keeps everything here, but for what goes to the one address that does not exist."""

    def send(self, letter: Letter, now: datetime) -> None:
        if letter.recipient == MISSPELLED:
            raise SendError("550 5.1.1 No such user here", Fault.ADDRESS, is_final=True)
        super().send(letter, now)


class _InHand(Store):
    """The relay's store, but in a transaction that is already under way."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        yield self._session

    writing = reading

    @contextmanager
    def at_hand(self) -> Iterator[Sessions]:
        yield self


def _reminders(company: Company) -> Story:
    """What the worker's clock does, though here only some times a day, for all companies."""
    for distance in range(-DAYS_BACK, 1):
        for hour in REMINDING_HOURS:
            yield company.at(company.today + distance * DAY, time(hour))
            decide_reminders(company.session, company.now)


def _acme(session: Session, now: datetime, rng: random.Random, password: str) -> Company:
    """Acme in Bristol: customers may move and cancel visits themselves."""
    partner = create_partner_with_defaults(
        session,
        _opening(now),
        name="Acme Home Energy",
        slug="acme",
        timezone="Europe/London",
        job_prefix="AC",
        phone="0117 496 0180",
        brand_colour="#14506e",
    )
    acme = Company(session, now, rng, password, partner)
    session.add(WorkingHours(partner_id=partner.id, weekday=5, start_minute=8 * 60, end_minute=18 * 60))
    controls = controls_of(session, partner.id)
    controls.self_service = True
    # Long enough that the demo's pending cancel is still there when somebody looks for it.
    controls.cancel_undo_minutes = 60
    acme.add_kinds(KINDS)
    acme.add_holidays("GB", "ENG")
    acme.add_staff("Alma Whitcombe", "admin@acme.test", Role.PARTNER_ADMIN)
    acme.add_staff("Dana Okafor", "dispatch@acme.test", Role.DISPATCHER)
    acme.add_technician("Tomás Reyes", "tech@acme.test", "07700 900111")
    for number, name in enumerate(("Ines Kowalski", "Leon Adeyemi", "Marta Lindqvist", "Sana Iqbal")):
        acme.add_technician(name, f"{name.split()[0].lower()}@acme.test", f"07700 90012{number}")
    acme.add_technician("Joe Pritchard", "joe@acme.test", "07700 900130", available=False)
    acme.add_technician("Nils Aalto", "nils@acme.test", "07700 900131")
    priya = acme.add_customer(
        "Priya Raman", "14 Alder Close", "Bristol", "BS6 5QT", "07700 900200", "customer@acme.test"
    )
    priya.access_notes = "Narrow drive, please park on the street."
    home = session.get_one(Address, acme.homes[priya.id])
    home.latitude, home.longitude = HOME
    _contacts(acme, priya)
    for number, (name, street, postcode) in enumerate(BRISTOL):
        acme.add_customer(name, street, "Bristol", postcode, f"07700 9002{number + 10}")
    moved_away = acme.add_customer("Piet Jansen", "11 Wharf Lane", "Bristol", "BS1 5TX", "07700 900250")
    moved_away.active = False
    _set_up_acme(acme)
    # One person twice, as it comes about: who took the second call did not look for the first record.
    acme.add_customer(
        "M. Oyelaran", "66 Ashley Down Road", "Bristol", "BS7 9JT", "07700 900210", "m.oyelaran@mail.example"
    )

    training = acme.workday(5)
    acme.taken.add(("Leon Adeyemi", training))
    session.add(
        TimeOff(
            partner_id=partner.id,
            technician_id=acme.crew["Leon Adeyemi"].id,
            start_at=acme.at(training, time(8)),
            end_at=acme.at(training, time(18)),
            note="Training",
        )
    )
    acme.stories.append(_reminders(acme))
    of_parts = (_of_the_customer, _of_today, _of_the_technician, _of_the_office, _requests, _of_every_day, _of_service)
    for stories in of_parts:
        acme.stories.extend(stories(acme))
    return acme


def _set_up_acme(acme: Company) -> None:
    """What the partner admin has changed in the first days: skills, reasons, a logo, a label in words of their own."""
    session, admin, kinds = acme.session, acme.office[0], acme.kinds
    session.flush()
    demo_set_up.give_skills(
        session,
        admin,
        acme.opened_at + 3 * HOUR,
        needed_by={
            "Electrician": [kinds[kind.name] for kind in (SOLAR, BATTERY, CHARGER)],
            "F-gas certificate": [kinds[HEAT_PUMP.name]],
            "Works at heights": [kinds[SOLAR.name]],
        },
        lacking={
            "Sana Iqbal": ["F-gas certificate"],
            "Joe Pritchard": ["F-gas certificate", "Works at heights"],
        },
        technicians=list(acme.crew.values()),
    )
    demo_set_up.upload_logo(session, admin, acme.opened_at + 4 * HOUR, acme.partner)
    demo_set_up.add_reject_reasons(
        session, admin, acme.opened_at + DAY, "Roof does not carry the panels", "Supply too small for the charger"
    )
    demo_set_up.reword(session, admin, acme.opened_at + 2 * DAY, acme.partner, INCOMPLETE="To be continued")
    demo_set_up.write_messages(session, admin, acme.opened_at + 5 * HOUR, acme.partner)
    at = acme.opened_at + 3 * DAY
    quick = OverrideValues(reschedule_cutoff_hours=4, cancel_cutoff_hours=4)
    edit_override(session, admin, at, Owner.SERVICE_TYPE, kinds[THERMOSTAT.name].id, 0, quick)
    regular = OverrideValues(cancel_confirmed=True, cancel_cutoff_hours=12, max_moves=10)
    edit_override(session, admin, at, Owner.CUSTOMER, acme.customers[BRISTOL[0][0]].id, 0, regular)
    demo_set_up.ask_questions(
        session,
        admin,
        acme.opened_at + 2 * DAY + HOUR,
        acme.partner,
        {"Did we come when we said we would?": QuestionKind.RATING, "What should we do better?": QuestionKind.TEXT},
    )


def _contacts(acme: Company, customer: Customer) -> None:
    """Give a customer somebody who lets the technician in, and somebody who signs."""
    people = (
        (
            "Arjun Raman",
            "son, has a key",
            "arjun.raman@mail.example",
            "07700 900201",
            ("visits", "reminders", "arrival"),
        ),
        ("Harper & Lowe", "letting agent", "office@harper-lowe.example", "0117 496 0177", ("contract",)),
        # Somebody who is told by text alone.
        ("Bridget Doyle", "neighbour, opens the gate", "", "07700 900202", ("arrival",)),
    )
    for name, relation, email, phone, groups in people:
        gets = {f"gets_{group}": True for group in groups}
        person = {"name": name, "relation": relation, "email": email, "phone": acme.number(phone)}
        acme.session.add(Contact(partner_id=acme.partner.id, customer_id=customer.id, **person, **gets))
    acme.session.flush()


def _globex(session: Session, now: datetime, rng: random.Random, password: str) -> Company:
    """Globex in Albany: another tenant in another zone, where only the office changes visits."""
    partner = create_partner_with_defaults(
        session,
        _opening(now),
        name="Globex Heating and Air",
        slug="globex",
        timezone="America/New_York",
        job_prefix="GX",
        phone="518-555-0140",
        brand_colour="#7a3e1d",
    )
    globex = Company(session, now, rng, password, partner)
    globex.add_kinds((HEAT_PUMP, THERMOSTAT))
    globex.add_holidays("US", "NY")
    globex.add_staff("Carla Mendes", "admin@globex.test", Role.PARTNER_ADMIN)
    globex.add_staff("Pete Sandoval", "dispatch@globex.test", Role.DISPATCHER)
    globex.add_technician("Bill Novotny", "tech@globex.test", "518-555-0151")
    globex.add_technician("Aisha Greene", "aisha@globex.test", "518-555-0152")
    opened = globex.opened_at + 3 * HOUR
    demo_set_up.reword(
        session, globex.office[0], opened, partner, staff_term="Technician", customer_term="service engineer"
    )
    ellen = globex.add_customer(
        "Ellen Abrams", "52 Willett Street", "Albany", "12210", "518-555-0160", "customer@globex.test"
    )
    for number, (name, street, postcode) in enumerate(ALBANY):
        globex.add_customer(name, street, "Albany", postcode, f"518-555-016{number + 1}")

    def on(distance: int, clock: time, kind: Kind, technician: str | None = None) -> Order:
        return _order(globex, kind, globex.at(globex.workday(distance), clock), technician)

    def for_ellen(distance: int, clock: time, kind: Kind, technician: str | None = None) -> Order:
        return Order(ellen, kind, globex.at(globex.workday(distance), clock), technician, kind.items[0])

    bill, aisha = "Bill Novotny", "Aisha Greene"
    globex.stories += [
        _to_the_end(globex, for_ellen(-9, time(9), HEAT_PUMP, bill)),
        _planned(globex, for_ellen(2, time(10), THERMOSTAT, aisha)),
        _planned(globex, for_ellen(8, time(9), HEAT_PUMP)),
        _to_the_end(globex, on(-6, time(9), HEAT_PUMP, aisha)),
        _to_the_end(globex, on(-2, time(13), THERMOSTAT, bill)),
        _planned(globex, on(0, time(16), THERMOSTAT, bill)),
        _planned(globex, on(3, time(9), HEAT_PUMP)),
        _rejected(globex, on(4, time(9), HEAT_PUMP), "We do not serve that part of the county."),
    ]
    return globex


def _second_home(acme: Company, globex: Company) -> None:
    """Let Globex's customer have a house in Bristol too: one log-in, two companies, two zones, other rules."""
    ellen = globex.customers["Ellen Abrams"]
    there = acme.add_customer(
        ellen.name, "5 Harbour Walk", "Bristol", "BS1 6WE", ellen.phone, ellen.email, ellen.user_id
    )
    acme.stories.append(
        _planned(acme, Order(there, CHARGER, acme.at(acme.workday(6), time(14)), items=CHARGER.items[0]))
    )


def _opening(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=6, minute=0, second=0, microsecond=0) - (DAYS_BACK + 14) * DAY


def _order(company: Company, kind: Kind, start: datetime, technician: str | None = None, notes: str = "") -> Order:
    """Return an order of the customer whose turn it is, with items picked at random."""
    return Order(company.whose_turn(kind), kind, start, technician, company.rng.choice(kind.items), notes)


# Stories of one installation


def _planned(company: Company, order: Order, confirmed_by: Actor | None = None) -> Story:
    """Booked, and that is all so far; confirmed the next day if somebody is given."""
    yield company.booked_before(order.start)
    job = company.schedule(order, assigned=True)
    if confirmed_by is not None:
        yield company.now + company.rng.randint(2, 20) * HOUR
        fieldwork.confirm(company.session, confirmed_by, company.now, company.visit(job).id)


def _locked(acme: Company, order: Order) -> Story:
    """Booked, and only the office may change it."""
    yield acme.booked_before(order.start)
    job = acme.schedule(order, assigned=True)
    edit_override(acme.session, acme.office[0], acme.now, Owner.JOB, job.id, 0, OverrideValues(self_service=False))


def _to_the_end(
    company: Company, order: Order, last: str = "approve", reassigned_from: str | None = None, trouble: bool = False
) -> Story:
    """Booked, assigned, visited, and through the contract up to the step named ``last``.

    ``reassigned_from``: somebody else had it first. ``trouble``: the visit was paused for a while.
    """
    rng, session = company.rng, company.session
    customer = company.as_customer(order.customer)
    yield company.booked_before(order.start)
    at_once = rng.random() < 0.4 and reassigned_from is None
    job = company.schedule(order, assigned=at_once)
    if not at_once:
        yield company.now + rng.randint(20, 300) * MINUTE
        company.assign(job, reassigned_from or order.technician or "")
    if reassigned_from is not None:
        yield order.start - 20 * HOUR
        someone = company.crew[order.technician or ""]
        services.reassign(session, company.dispatcher, company.now, job.id, someone.id, despite_warnings=True)
    if rng.random() < 0.6:
        yield order.start - rng.randint(20, 60) * HOUR
        by = customer if rng.random() < 0.7 else company.dispatcher
        fieldwork.confirm(session, by, company.now, company.visit(job).id)
    yield from _visited(company, job, order, trouble)
    steps: list[tuple[str, timedelta, Callable[[], object]]] = [
        ("send_contract", 2 * HOUR, lambda: contracts.send_contract(session, company.dispatcher, company.now, job.id)),
        ("sign_contract", 20 * HOUR, lambda: _sign(company, job, customer)),
        ("approve", 4 * HOUR, lambda: contracts.approve(session, customer, company.now, job.id)),
    ]
    for name, pause, act in [] if last == "complete" else steps:
        yield company.now + pause + rng.randint(0, 180) * MINUTE
        act()
        if name == last:
            break
    if last == "approve":
        yield from _rated(company, job, customer)


def _rated(company: Company, job: Job, customer: Actor) -> Story:
    """The customer answers the survey, as most do, on one of the next evenings."""
    # Of its own, so that who answers what changes nothing else of the month.
    rng = random.Random(job.number)
    if rng.random() > 0.75:
        return
    evening = company.at(local_day(company.now, company.zone), time(rng.randint(18, 21), rng.randrange(60)))
    yield evening + rng.randint(0, 2) * DAY
    rating = rng.choice(RATINGS_GIVEN)
    visit, comment = company.visit(job), rng.choice(COMMENTS[rating])
    asked = survey_of(company.session, customer, company.now, visit.id).questions
    answers = {wording.id: str(min(5, rating + 1)) if wording.kind == QuestionKind.RATING else "" for wording in asked}
    answer_survey(company.session, customer, company.now, visit.id, SurveyInput(rating, comment, answers))


def _visited(company: Company, job: Job, order: Order, trouble: bool) -> Story:
    """The technician sets off, arrives, works and completes."""
    rng = company.rng
    ride = rng.randint(12, 30)
    yield order.start - (ride - rng.randint(0, 12)) * MINUTE
    company.step(fieldwork.set_off, job, ride)
    yield company.now + ride * MINUTE
    company.step(fieldwork.arrive, job)
    yield company.now + rng.randint(2, 9) * MINUTE
    company.step(fieldwork.start_work, job)
    if trouble:
        yield company.now + 30 * MINUTE
        company.step(fieldwork.pause, job, company.pause_reason("Part needed"), "Fuse carrier, from the wholesaler")
        yield company.now + 35 * MINUTE
        company.step(fieldwork.resume, job)
    for data, caption, shared in PHOTOS.get((order.customer.name, order.kind.name), ()):
        yield company.now + 6 * MINUTE
        company.photograph(job, data(), caption, shared)
    yield max(company.now + 15 * MINUTE, order.end - rng.randint(0, 20) * MINUTE)
    company.step(fieldwork.complete, job, rng.choice(order.kind.notes))


def _sign(company: Company, job: Job, customer: Actor) -> None:
    contract = current_contract(company.session, job.id)
    if contract is None:
        raise RuntimeError(f"installation {job.number} has no contract")
    contracts.sign_contract(company.session, customer, company.now, contract.id, customer.name, consent=True)


def _rejected(company: Company, order: Order, reason: str, replacement: Order | None = None) -> Story:
    """Booked, rejected the day after and, if a replacement is given, booked again."""
    yield company.booked_before(order.start, 5, 9)
    job = company.schedule(order, assigned=False)
    yield company.office_hour(local_day(company.now, company.zone) + DAY)
    services.reject(company.session, company.dispatcher, company.now, job.id, reason)
    if replacement is not None:
        yield company.now + 40 * MINUTE
        company.schedule(replacement, assigned=True, replaces=job)


def _cancelled(company: Company, order: Order, reason: str, by_customer: bool) -> Story:
    """Booked, and cancelled three days before the visit, or yesterday if that is earlier."""
    yield company.booked_before(order.start, 6, 9)
    job = company.schedule(order, assigned=True)
    yield min(order.start, company.present) - 3 * DAY
    if not by_customer:
        services.cancel(company.session, company.dispatcher, company.now, job.id, reason)
        return
    customer = company.as_customer(order.customer)
    visit = services.cancel_by_customer(company.session, customer, company.now, company.visit(job).id, reason)
    if visit.cancel_at is not None:
        yield visit.cancel_at
        services.finalise_due_cancel(company.session, company.now, visit.id)


def _cancelling(company: Company, order: Order, reason: str) -> Story:
    """Booked, and just now being cancelled by the customer, who may still undo it."""
    yield company.booked_before(order.start)
    job = company.schedule(order, assigned=True)
    yield company.present - MINUTE
    services.cancel_by_customer(
        company.session, company.as_customer(order.customer), company.now, company.visit(job).id, reason
    )


def _asked(company: Company, order: Order, words: str) -> Story:
    """Booked and confirmed, and the customer asks the office to cancel it, which the rules do not let them do."""
    yield company.booked_before(order.start)
    job = company.schedule(order, assigned=True)
    customer = company.as_customer(order.customer)
    yield company.now + 3 * HOUR
    fieldwork.confirm(company.session, customer, company.now, company.visit(job).id)
    yield company.present - 50 * MINUTE
    request_change(company.session, customer, company.now, company.visit(job).id, Wish.CANCEL, words)


def _wished(
    company: Company,
    name: str,
    kind: Kind,
    hours_ago: int,
    dates: Sequence[PreferredDate],
    words: str,
    others_may: bool = False,
) -> Generator[datetime, None, int]:
    """A customer asks for new service; what comes of it is another's to tell. The key of the request."""
    yield company.present - hours_ago * HOUR
    customer = company.customers[name]
    wish = ServiceWish(
        customer.id,
        company.kinds[kind.name].id,
        company.homes[customer.id],
        AddressInput(None, ""),
        dates,
        words,
        form_key=f"{hours_ago:032x}",
        others_may=others_may,
    )
    return request_service(company.session, company.as_customer(customer), company.now, wish).id


def _requests(acme: Company) -> list[Story]:
    """What customers asked for: two wait for the office, one for its customer; the others were answered."""
    dana = acme.office[1]
    # Nothing is booked by an offer, but the time has to be free.
    acme.taken.add(("Ines Kowalski", acme.workday(11)))

    def waits(name: str, kind: Kind, hours_ago: int, words: str, *dates: PreferredDate) -> Story:
        yield from _wished(acme, name, kind, hours_ago, dates, words)

    def offered() -> Story:
        day = acme.workday(5)
        words = "The car comes in spring, the cable should reach the gate."
        key = yield from _wished(acme, "Priya Raman", CHARGER, 29, [PreferredDate(day, Part.MORNING)], words)
        drawn = drawn_photo(demo_pictures.fuse_box())
        name, priya = photo_store().keep(drawn, acme.now), acme.as_customer(acme.customers["Priya Raman"])
        add_request_photo(acme.session, priya, acme.now, key, name, drawn, "")
        yield acme.present - 3 * HOUR
        start, ines = acme.at(acme.workday(11), time(9)), acme.crew["Ines Kowalski"].id
        counter_propose(acme.session, dana, acme.now, key, start, ines, despite_warnings=True)

    def declined() -> Story:
        words = "On the roof of the shed, if that carries it."
        key = yield from _wished(acme, "Hugo Lind", SOLAR, 52, [], words, others_may=True)
        yield acme.present - 27 * HOUR
        decline_request(acme.session, dana, acme.now, key, "A shed's roof does not carry panels. We are sorry.")

    def converted() -> Story:
        day = acme.workday(12)
        key = yield from _wished(acme, "Tess Moran", THERMOSTAT, 55, [PreferredDate(day)], "Same as my sister has.")
        yield acme.present - 30 * HOUR
        tess = acme.customers["Tess Moran"]
        booking = Booking(
            customer_id=tess.id,
            address_id=acme.homes[tess.id],
            service_type_id=acme.kinds[THERMOSTAT.name].id,
            start=acme.at(day, time(9)),
            items=[ItemInput("Smart thermostat", 1)],
            technician_id=acme.crew["Sana Iqbal"].id,
        )
        convert_into_installation(acme.session, dana, acme.now, key, booking, despite_warnings=True)

    soon = acme.workday(5)
    return [
        waits(
            "Grace Mbeki",
            HEAT_PUMP,
            20,
            "It hums at night.",
            PreferredDate(soon, Part.MORNING),
            PreferredDate(soon + DAY),
        ),
        waits("Samir Haddad", CHARGER, 4, "", PreferredDate(soon + 2 * DAY, Part.AFTERNOON)),
        offered(),
        declined(),
        converted(),
    ]


def _moved(company: Company, order: Order, start: datetime, by_customer: bool, at: datetime) -> Story:
    """Booked, and moved to another start ``at`` an instant."""
    yield company.booked_before(order.start, 5, 9)
    job = company.schedule(order, assigned=True)
    yield at
    if by_customer:
        customer = company.as_customer(order.customer)
        services.move_by_customer(company.session, customer, company.now, company.visit(job).id, start)
    else:
        services.reschedule(
            company.session, company.dispatcher, company.now, job.id, start, notify=True, despite_warnings=True
        )


def _to_be_continued(company: Company, order: Order, following: datetime | None) -> Story:
    """Begun, paused for want of a part, and to be continued at ``following``, or when somebody plans it."""
    job = yield from _left_paused(company, order)
    yield company.now + 20 * MINUTE
    company.step(fieldwork.continue_later, job, following)


def _left_paused(company: Company, order: Order) -> Generator[datetime, None, Job]:
    """Begun, and paused for want of a part."""
    rng = company.rng
    yield company.booked_before(order.start)
    job = company.schedule(order, assigned=True)
    yield order.start - 20 * MINUTE
    company.step(fieldwork.set_off, job, 20)
    yield order.start
    company.step(fieldwork.arrive, job)
    yield company.now + 5 * MINUTE
    company.step(fieldwork.start_work, job)
    yield company.now + rng.randint(60, 90) * MINUTE
    company.step(fieldwork.pause, job, company.pause_reason("Part needed"), "Inverter came with a dent")
    return job


def _takes_day_off(company: Company, name: str, day: date, note: str) -> Story:
    """Somebody gets a day off although there are visits on it, which then need somebody else."""
    yield company.present - 3 * HOUR
    technician, form = company.crew[name], TimeOffInput(day, day, note=note)
    try:
        add_time_off(company.session, company.dispatcher, technician.id, form, company.now)
    except HitsVisits as error:
        seen = {(hit.visit.id, hit.visit.move_number) for hit in error.hits}
        add_time_off(company.session, company.dispatcher, technician.id, form, company.now, seen)


def _turned_back(company: Company, order: Order) -> Story:
    """The technician set off and had to turn back; the work was done later the same day."""
    yield company.booked_before(order.start)
    job = company.schedule(order, assigned=True)
    yield order.start - 20 * MINUTE
    company.step(fieldwork.set_off, job, 25)
    yield order.start + 10 * MINUTE
    company.step(fieldwork.turn_back, job, "Road closed at the bridge, coming round after lunch")
    yield from _visited(company, job, Order(order.customer, order.kind, order.start + 3 * HOUR), trouble=False)


def _says_where(
    session: Session, actor: Actor, now: datetime, visit_id: int, move_number: int, latitude: float, longitude: float
) -> Appointment:
    """The technician's phone says where it is."""
    keep_position(session, actor, now, visit_id, Reading(latitude, longitude, accuracy=12))
    return session.get_one(Appointment, visit_id)


def _under_way(
    company: Company, order: Order, steps: Sequence[tuple[int, Callable[..., Appointment], tuple[object, ...]]]
) -> Story:
    """A visit of today that has got as far as ``steps``: minutes ago, use case, its inputs."""
    yield company.booked_before(order.start)
    job = company.schedule(order, assigned=True)
    for minutes, use_case, inputs in steps:
        yield company.earlier_today(minutes)
        company.step(use_case, job, *inputs)


# Which stories there are


def _of_the_customer(acme: Company) -> list[Story]:
    """What the customer of the demo sees: three visits ahead, each under another rule, a contract, past visits."""
    priya = acme.customers["Priya Raman"]
    movable = acme.at(acme.workday(4), time(9))
    confirmed = acme.at(acme.workday(8), time(13))
    acme.taken |= {("Marta Lindqvist", acme.workday(4)), ("Ines Kowalski", acme.workday(8))}
    soon = _soon(acme)
    return [
        _planned(
            acme, Order(priya, CHARGER, soon, "Tomás Reyes", (("Car charger 7 kW", 1),), "Beside the garage door.")
        ),
        _planned(
            acme,
            Order(priya, SOLAR, movable, "Marta Lindqvist", SOLAR.items[0], "Scaffold stands from the day before."),
        ),
        _planned(acme, Order(priya, BATTERY, confirmed, "Ines Kowalski", BATTERY.items[0]), acme.as_customer(priya)),
        _to_the_end(
            acme,
            Order(priya, THERMOSTAT, acme.at(acme.workday(-2), time(9)), "Sana Iqbal", THERMOSTAT.items[1]),
            "send_contract",
        ),
        _to_the_end(
            acme, Order(priya, HEAT_PUMP, acme.at(acme.workday(-12), time(8, 30)), "Sana Iqbal", HEAT_PUMP.items[0])
        ),
        _cancelled(
            acme,
            Order(priya, HEAT_PUMP, acme.at(acme.workday(-14), time(8, 30)), "Sana Iqbal", HEAT_PUMP.items[0]),
            "We are away that week",
            True,
        ),
    ]


def _soon(acme: Company) -> datetime:
    """Return the technician's next start of today that is well ahead, else the first of tomorrow."""
    starts = [acme.at(acme.today, clock) for clock in TODAYS_STARTS]
    ahead = [start for start in starts if start >= acme.present + 45 * MINUTE]
    return ahead[0] if ahead else acme.at(acme.today + DAY, TODAYS_STARTS[0])


def _of_the_technician(acme: Company) -> list[Story]:
    """Today of the technician of the demo: what is behind him is done, and there is always something left to do."""
    acme.taken |= {("Tomás Reyes", acme.today), ("Tomás Reyes", acme.today + DAY)}
    starts = [acme.at(acme.today, clock) for clock in TODAYS_STARTS]
    soon = _soon(acme)
    stories: list[Story] = []
    for index, start in enumerate(starts):
        if start == soon or index == 2:
            continue
        order = _order(acme, CHARGER if index % 2 else THERMOSTAT, start, "Tomás Reyes")
        over = order.end <= acme.present - HOUR and index < 3
        stories.append(_to_the_end(acme, order, "complete") if over else _planned(acme, order))
    return stories


def _of_today(acme: Company) -> list[Story]:
    """The others' visits of today, one in each state that a visit under way can be in."""

    def of(technician: str, kind: Kind, minutes_ago: int) -> Order:
        acme.taken.add((technician, acme.today))
        return _order(acme, kind, acme.sensible_start(minutes_ago), technician)

    part = acme.pause_reason("Part needed")
    return [
        _under_way(
            acme,
            replace(of("Ines Kowalski", CHARGER, 5), customer=acme.customers["Priya Raman"]),
            [(10, fieldwork.set_off, (25,)), (1, _says_where, ON_GLOUCESTER_ROAD)],
        ),
        _under_way(acme, of("Sana Iqbal", THERMOSTAT, 10), [(35, fieldwork.set_off, (30,)), (4, fieldwork.arrive, ())]),
        _under_way(
            acme,
            of("Marta Lindqvist", BATTERY, 80),
            [(100, fieldwork.set_off, (20,)), (80, fieldwork.arrive, ()), (74, fieldwork.start_work, ())],
        ),
        _under_way(
            acme,
            of("Leon Adeyemi", BATTERY, 140),
            [
                (160, fieldwork.set_off, (15,)),
                (143, fieldwork.arrive, ()),
                (138, fieldwork.start_work, ()),
                (25, fieldwork.pause, (part, "Cable gland missing, on its way")),
            ],
        ),
    ]


def _of_the_office(acme: Company) -> list[Story]:
    """What a dispatcher has on the desk: to assign, to reject, to move, to follow up."""

    def on(distance: int, clock: time, kind: Kind, technician: str | None = None, notes: str = "") -> Order:
        if technician is not None:
            acme.taken.add((technician, acme.workday(distance)))
        return _order(acme, kind, acme.at(acme.workday(distance), clock), technician, notes)

    sana, ines = "Sana Iqbal", "Ines Kowalski"
    acme.taken |= {(ines, acme.workday(-8)), (ines, acme.workday(3))}
    unserved = on(5, time(9), SOLAR)
    return [
        _planned(acme, on(1, time(13), CHARGER, notes="Customer asks for a morning if anything gets free.")),
        _planned(acme, on(2, time(8), BATTERY)),
        _planned(acme, on(3, time(10, 30), THERMOSTAT, notes="Same house as last spring.")),
        _planned(acme, on(4, time(8, 30), HEAT_PUMP)),
        _locked(acme, on(6, time(9), SOLAR, notes="The crane is ordered for this day.")),
        _rejected(acme, on(3, time(9), SOLAR), "The roof does not carry the panels."),
        _rejected(
            acme,
            unserved,
            "No scaffold to be had before next week.",
            Order(unserved.customer, SOLAR, acme.at(acme.workday(9), time(9)), sana, unserved.items),
        ),
        _cancelled(acme, on(2, time(9), BATTERY, sana), "Customer sells the house", by_customer=False),
        _cancelled(acme, on(-4, time(9), CHARGER, sana), "The car comes later than I thought", by_customer=True),
        _cancelling(acme, on(7, time(13), CHARGER, sana), "Somebody else does it sooner"),
        _not_reached(acme),
        _asked(acme, on(9, time(13), CHARGER, ines), "We have sold the car. Can the charger still be called off?"),
        _moved(
            acme, on(4, time(9), BATTERY, sana), acme.at(acme.workday(6), time(11)), True, acme.present - 4 * MINUTE
        ),
        _moved(acme, on(3, time(9), CHARGER), acme.at(acme.workday(8), time(11)), True, acme.present - 5 * HOUR),
        _moved(
            acme, on(2, time(9), CHARGER, ines), acme.at(acme.workday(3), time(14)), False, acme.present - 26 * HOUR
        ),
        _to_be_continued(acme, on(-3, time(8), BATTERY, sana), acme.at(acme.workday(10), time(8, 30))),
        _to_be_continued(acme, on(-5, time(8), BATTERY, sana), None),
        _planned(acme, on(-1, time(16), THERMOSTAT, ines)),
        _left_paused(acme, on(-2, time(14), BATTERY, ines)),
        _planned(acme, on(1, time(13), CHARGER, sana)),
        _takes_day_off(acme, sana, acme.workday(1), "Dentist"),
        _turned_back(acme, on(-6, time(8), CHARGER, sana)),
        _to_the_end(acme, on(-7, time(9), CHARGER, sana), trouble=True),
        _to_the_end(acme, on(-8, time(9), THERMOSTAT, sana), reassigned_from=ines),
        _to_the_end(acme, on(-1, time(11), CHARGER, sana), "complete"),
        _to_the_end(acme, on(-3, time(13), CHARGER, sana), "send_contract"),
        _to_the_end(acme, on(-4, time(12), CHARGER, sana), "sign_contract"),
    ]


def _service_job(
    acme: Company,
    name: str,
    kind: Kind,
    back: int,
    notes: str,
    acts: Sequence[tuple[datetime, Callable[[Job], object]]],
) -> Story:
    """A service job, drafted so many days ago, and what was done with it since: when, and what."""
    yield acme.at(acme.today - back * DAY, time(9, 20))
    customer = acme.customers[name]
    draft = ServiceDraft(customer.id, acme.homes[customer.id], acme.kinds[kind.name].id, notes)
    job = service_jobs.create_service_job(acme.session, acme.office[1], acme.now, draft)
    for when, act in acts:
        yield when
        act(job)


def _of_service(acme: Company) -> list[Story]:
    """Service jobs in every status, all of them Nils's; one with two visits, one that may be set back."""
    dana, nils = acme.office[1], acme.crew["Nils Aalto"]
    session = acme.session

    def approve(job: Job) -> object:
        return service_jobs.approve(session, dana, acme.now, job.id)

    def plan(start: datetime, technician: Technician | None = nils) -> Callable[[Job], object]:
        key = technician.id if technician is not None else None
        return lambda job: service_jobs.schedule_visit(
            session, dana, acme.now, job.id, start, technician_id=key, despite_warnings=True
        )

    def take(use_case: Callable[..., Appointment], *inputs: object) -> Callable[[Job], object]:
        return lambda job: acme.step(use_case, job, *inputs)

    def cancel(job: Job) -> object:
        return services.cancel(session, dana, acme.now, job.id, "Selling the house after all")

    def earlier(days: int) -> datetime:
        return acme.at(acme.today - days * DAY, time(9, 40))

    def on(distance: int, clock: time) -> datetime:
        return acme.at(acme.workday(distance), clock)

    done, paused, now = on(-6, time(10)), on(-1, time(13)), acme.sensible_start(90)
    worked = [
        (done - 20 * MINUTE, take(fieldwork.set_off, 20)),
        (done, take(fieldwork.arrive)),
        (done + 5 * MINUTE, take(fieldwork.start_work)),
        (done + 80 * MINUTE, take(fieldwork.complete, "Filter cleaned, pressure topped up.")),
    ]
    stopped = [
        (paused - 20 * MINUTE, take(fieldwork.set_off, 20)),
        (paused, take(fieldwork.arrive)),
        (paused + 5 * MINUTE, take(fieldwork.start_work)),
        (paused + 40 * MINUTE, take(fieldwork.pause, acme.pause_reason("Part needed"), "Valve is on order")),
    ]
    here = [
        (acme.earlier_today(50), take(fieldwork.set_off, 20)),
        (acme.earlier_today(30), take(fieldwork.arrive)),
        (acme.earlier_today(25), take(fieldwork.start_work)),
    ]
    return [
        _service_job(acme, "Beth Hargreaves", HEAT_PUMP, 1, "Rattles when it starts.", []),
        _service_job(acme, "Grace Mbeki", BATTERY, 3, "App shows no data.", [(earlier(2), approve)]),
        _service_job(
            acme,
            "Hugo Lind",
            HEAT_PUMP,
            5,
            "Yearly service, and the cylinder the day after.",
            [
                (earlier(4), approve),
                (earlier(3), plan(on(2, time(9)))),
                (earlier(3) + 5 * MINUTE, plan(on(3, time(9)), None)),
            ],
        ),
        _service_job(
            acme, "Iris Bloom", CHARGER, 4, "Trips the fuse.", [(earlier(3), approve), (earlier(2), plan(now)), *here]
        ),
        _service_job(
            acme,
            "Ivo Marek",
            THERMOSTAT,
            12,
            "Loses the programme.",
            [(earlier(11), approve), (earlier(10), plan(paused)), *stopped],
        ),
        _service_job(
            acme,
            "Tess Moran",
            HEAT_PUMP,
            20,
            "Yearly service.",
            [(earlier(19), approve), (earlier(18), plan(done)), *worked],
        ),
        _service_job(
            acme,
            "Nora Quist",
            BATTERY,
            8,
            "Backup switch does not switch.",
            [(earlier(7), approve), (earlier(6), plan(on(6, time(14)))), (earlier(1), cancel)],
        ),
    ]


def _not_reached(acme: Company) -> Story:
    """Somebody new called this morning; what was to tell her of her visit did not arrive."""
    yield acme.earlier_today(95)
    wanda = acme.add_customer("Wanda Kessel", "12 Harbour Walk", "Bristol", "BS1 4RB", "07700 900260", MISSPELLED)
    start = acme.at(acme.workday(8), time(13))
    acme.schedule(Order(wanda, CHARGER, start, None, CHARGER.items[0]), assigned=False)


def _of_every_day(acme: Company) -> list[Story]:
    """Ordinary work for a month: most days of most technicians, and everything went well."""
    stories: list[Story] = []
    for distance in range(-DAYS_BACK, DAYS_AHEAD + 1):
        day = acme.today + distance * DAY
        if not acme.is_workday(day) or distance == 0:
            continue
        for name in ("Tomás Reyes", "Ines Kowalski", "Leon Adeyemi", "Marta Lindqvist"):
            busy = acme.rng.random() < (0.4 if distance < 8 else 0.25)
            if not busy or (name, day) in acme.taken:
                continue
            if acme.rng.random() < 0.45:
                plan = [(acme.rng.choice(LONG), LONG_START)]
            else:
                plan = [(acme.rng.choice(SHORT), clock) for clock in acme.rng.sample(SHORT_STARTS, 2)]
            for kind, clock in plan:
                stories.append(_to_the_end(acme, _order(acme, kind, acme.at(day, clock), name)))
    return stories
