"""What goes out when somebody sets off carries the way to follow them, and the worker sweeps up old positions."""

from __future__ import annotations

import re

import pytest
import time_machine
from flask.testing import FlaskClient
from sqlalchemy import select

from portal.domain.actor import Actor, Role
from portal.domain.jobs import fieldwork
from portal.domain.messages.models import MessageKind
from portal.domain.tracking.models import Position
from portal.domain.tracking.services import Reading, keep_position
from portal.settings import Environment, Settings
from portal.worker.schedule import JOBS, run_once
from tests.factories import Create
from tests.worker.conftest import MINUTE, START, Gateway, Shop, Sink
from tests.worker.test_relay import part


@pytest.mark.row("C4")
@pytest.mark.row("J4")
@pytest.mark.row("J9")
def test_mail_and_text_carry_the_link_which_only_its_reader_keeps(
    start_work: Create,
    settings: Settings,
    shop: Shop,
    sink: Sink,
    gateway: Gateway,
    client: FlaskClient,
    create_technician: Create,
) -> None:
    work = start_work(smtp_url=sink.url, private_hosts=True)
    shop.leave_by(settings, text_gateway=gateway.url)
    shop.text_too(MessageKind.ON_THE_WAY)
    technician = create_technician(shop.partner, name="Tomás Reyes")
    job = shop.schedule(technician=technician)
    shop.clear()
    shop.clock.now = START - 30 * MINUTE
    visit = shop.visit(job)
    tomas = Actor(None, Role.TECHNICIAN, "Tomás", frozenset({shop.partner.id}), technician_id=technician.id)
    shop.do(fieldwork.set_off, tomas, visit.id, visit.move_number, 25)
    work.relay.run()
    (mail,), ((_, text),) = sink.mails, gateway.told
    said = [part(mail, "plain"), part(mail, "html"), text]
    links = {re.search(r"/track/[\w.-]+", one)[0] for one in said}  # type: ignore[index]
    assert len(links) == 1
    (link,) = links
    with time_machine.travel(shop.clock.now, tick=False):
        assert "Tomás is on the way" in client.get(link).text
    token = link.rpartition("/")[2]
    assert not any(token in one.body + one.body_html for one in shop.messages())

    # The demo's log is read in the customer's place.
    shop.do(fieldwork.turn_back, tomas, visit.id, visit.move_number, "Van broke down")
    shop.do(fieldwork.set_off, tomas, visit.id, shop.visit(job).move_number)
    start_work(doorstep_env=Environment.DEMO).relay.run()
    assert all("/track/" in one.body and token not in one.body for one in shop.messages("on_the_way")[2:])

    # What nobody ended is forgotten by the house-keeping.
    shop.do(keep_position, tomas, visit.id, Reading(51.47, -2.59, 10))
    for hours, left in ((11, 1), (13, 0)):
        shop.clock.now = START + hours * 60 * MINUTE
        run_once(work, JOBS[-1])
        shop.session.rollback()
        assert len(shop.session.scalars(select(Position)).all()) == left, hours
