"""Whose times a customer may choose: those of the visit's technician as long as a time may be given to them (M4)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select

from portal.domain.errors import Conflict
from portal.domain.jobs import customer_queries, services
from portal.domain.jobs.customer_queries import Offer
from portal.domain.messages.models import Message, MessageKind, MessageRule
from portal.domain.people.models import Technician, TechnicianStatus
from portal.domain.scheduling.models import ServiceTypeSkill, Skill, TechnicianSkill, TimeOff
from portal.domain.scheduling.queries import board_for, takers, times_for_customer
from portal.domain.tenancy import set_scope
from portal.domain.unit_of_work import unit_of_work
from tests.domain.office import DAY, HOUR, NOW, Office

START = NOW + 3 * DAY


def change(office: Office, index: int, **values: Any) -> None:
    """Change something of a technician."""
    office.change(office.looking.get_one(Technician, office.people.technician_id(index)), **values)


def need_a_skill(office: Office, *indexes: int) -> None:
    """Let the work need a skill that only those technicians have."""
    skill_id = office.add(Skill(name="Roofs"))
    office.add(ServiceTypeSkill(service_type_id=office.people.service_type_id, skill_id=skill_id))
    for index in indexes:
        office.add(TechnicianSkill(technician_id=office.people.technician_id(index), skill_id=skill_id))


UNFIT: dict[str, Callable[[Office], None]] = {
    "deactivated": lambda office: change(office, 0, active=False),
    "not Available": lambda office: change(office, 0, status=TechnicianStatus.UNAVAILABLE),
    "without the skill": lambda office: need_a_skill(office, 1, 2),
}


def offered(office: Office, job_id: int, day: datetime) -> Offer:
    """What Modify offers the customer on the day of an instant."""
    customer = office.people.customers[0]
    visit_id = office.visit(job_id).id
    with office.sessions() as session:
        set_scope(session, customer.scope)
        item = customer_queries.customer_visit(session, customer, office.now, visit_id)
        offer = customer_queries.offered_times(session, item, day.date())
        for start in offer.chosen.starts if offer.chosen else ():
            assert customer_queries.slot_for_move(session, item, start).refusal is None
        return offer


def starts(offer: Offer) -> list[datetime]:
    """The free starts of the chosen day."""
    assert offer.chosen is not None
    return list(offer.chosen.starts)


def move(office: Office, job_id: int, start: datetime) -> None:
    """Let the customer take a time."""
    office.do(office.people.customers[0], services.move_by_customer, office.visit(job_id).id, start)


@pytest.mark.row("M4", "M5", "P22")
@pytest.mark.parametrize("why", UNFIT)
def test_whose_technician_cannot_come_any_more_is_offered_everybodys_times(office: Office, why: str) -> None:
    people, day = office.people, START + DAY
    for kind in (MessageKind.TECHNICIAN_RELIEVED, MessageKind.TECHNICIAN_ASSIGNED, MessageKind.TECHNICIAN_MOVED):
        office.add(MessageRule(kind=kind, channel="email"))
    job_id = office.schedule(0, START)
    # On the day asked for Ann is free all day, Bob but from twelve to two, Cyd from two on.
    office.schedule(1, day + 3 * HOUR, customer=1)
    office.schedule(2, day - HOUR, customer=1)
    office.schedule(2, day + HOUR, customer=1)
    office.schedule(2, day + 3 * HOUR, customer=1)
    before = offered(office, job_id, day)
    assert before.by_technician
    assert day + 3 * HOUR in starts(before)

    UNFIT[why](office)
    offer = offered(office, job_id, day)
    assert not offer.by_technician
    assert {day + HOUR, day + 5 * HOUR} <= set(starts(offer))
    # Ann's own time is nobody's to choose.
    assert day + 3 * HOUR not in starts(offer)
    code = services.not_offered().code
    with pytest.raises(Conflict) as gone:
        move(office, job_id, day + 3 * HOUR)
    assert gone.value.refusal.code in {"booked", code}
    assert office.visit(job_id).start_at == START

    told = len(office.messages(job_id))
    move(office, job_id, day + 5 * HOUR)
    assert office.job(job_id).technician_id == office.visit(job_id).technician_id
    taker = people.technician_id(1)
    assert office.visit(job_id).technician_id == taker
    assert office.pair(job_id) == ("INSTALLER_ASSIGNED", "SCHEDULED")
    moved, given = office.history(job_id)[-2:]
    assert (moved.subject, moved.action, moved.actor_role) == ("visit", "reschedule", "customer")
    assert (given.subject, given.action, given.actor_role) == ("job", "reassign", "system")
    assert (given.before["technician"], given.after["technician"]) == ("Ann", "Bob")
    query = select(Message).where(Message.job_id == job_id).order_by(Message.id)
    sent = [(one.kind, one.technician_id) for one in office.looking.scalars(query)][told:]
    assert sent == [
        ("moved", None),
        ("technician_relieved", people.technician_id(0)),
        ("technician_assigned", taker),
    ]


@pytest.mark.row("M4", "M6")
def test_whoever_can_come_keeps_the_visit_whoever_else_is_free(office: Office) -> None:
    need_a_skill(office, 0, 1)
    job_id = office.schedule(0, START)
    office.schedule(0, START + DAY, customer=1)
    offer = offered(office, job_id, START + DAY)
    assert offer.by_technician
    assert START + DAY not in starts(offer)
    move(office, job_id, START + DAY + 2 * HOUR)
    assert office.visit(job_id).technician_id == office.people.technician_id(0)
    assert office.history(job_id)[-1].action == "reschedule"


@pytest.mark.row("M4")
def test_a_skill_that_no_work_needs_any_more_takes_nobody_away(office: Office) -> None:
    job_id = office.schedule(0, START)
    need_a_skill(office, 1)
    (skill,) = office.looking.scalars(select(Skill).where(Skill.partner_id == office.people.partner_id))
    office.change(skill, active=False)
    assert offered(office, job_id, START + DAY).by_technician


@pytest.mark.row("M4")
def test_where_nobody_can_come_no_time_is_offered(office: Office) -> None:
    job_id = office.schedule(0, START)
    for index in range(3):
        change(office, index, active=False)
    assert offered(office, job_id, START + DAY).chosen is None
    with pytest.raises(Conflict) as gone:
        move(office, job_id, START + DAY)
    assert gone.value.refusal.code == "not_offered"
    assert office.visit(job_id).start_at == START


@pytest.mark.row("M4", "M5", "C7")
@pytest.mark.parametrize("why", ["fit", "nobody yet", *UNFIT])
def test_whoever_is_offered_is_who_is_locked_and_nobody_of_another_partner(
    office: Office, neighbour: Office, why: str
) -> None:
    people = office.people
    own = None if why == "nobody yet" else people.technician_id(0)
    if why in UNFIT:
        UNFIT[why](office)
    customer = people.customers[0]
    with office.sessions() as session:
        set_scope(session, customer.scope)
        with unit_of_work(session):
            _, times = times_for_customer(
                session, people.partner_id, people.service_type_id, own, START, START + DAY, HOUR, 0
            )
            locked, theirs = (
                session.connection().execute(takers(people.partner_id, people.service_type_id, key)).all()
                for key in (own, neighbour.people.technician_id(0))
            )
    locked = [key for key, _ in locked]
    assert locked == sorted(calendar.technician_id for calendar in times.calendars)
    expected = {"fit": (0,), "nobody yet": (0, 1, 2), "without the skill": (0, 1, 2)}.get(why, (1, 2))
    assert locked == [people.technician_id(index) for index in expected]
    assert not {key for key, _ in theirs} & {tech.technician_id for tech in neighbour.people.technicians}


@pytest.mark.row("M5")
def test_giving_a_visit_to_somebody_else_costs_no_more_with_many_technicians(
    engine: Any, statements: list[str]
) -> None:
    counted = set()
    for number in (2, 30):
        office = Office(engine, technicians=[f"Technician {key}" for key in range(number)])
        job_id = office.schedule(0, START)
        change(office, 0, active=False)
        visit_id = office.visit(job_id).id
        statements.clear()
        office.do(office.people.customers[0], services.move_by_customer, visit_id, START + DAY)
        counted.add(len(statements))
        assert office.visit(job_id).technician_id != office.people.technician_id(0)
        office.close()
    assert len(counted) == 1


@pytest.mark.row("P13")
def test_staff_still_move_a_visit_with_whoever_has_it(office: Office) -> None:
    job_id = office.schedule(0, START)
    change(office, 0, status=TechnicianStatus.UNAVAILABLE)
    office.do(office.people.dispatcher, services.reschedule, job_id, START + DAY)
    assert office.visit(job_id).technician_id == office.people.technician_id(0)


@pytest.mark.row("M4")
def test_a_board_shows_what_was_only_just_written(office: Office) -> None:
    people = office.people
    own = people.technician_id(0)
    with office.sessions() as session:
        set_scope(session, people.dispatcher.scope)
        with unit_of_work(session):
            session.add(TimeOff(partner_id=people.partner_id, technician_id=own, start_at=START, end_at=START + HOUR))
            _, times = board_for(session, people.partner_id, people.service_type_id, [own], START, START + DAY)
    assert [absence.start for absence in times.calendars[0].time_off] == [START]
