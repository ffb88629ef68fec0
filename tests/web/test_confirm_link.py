"""The confirm link of a reminder: one visit for whoever holds the link, and nothing else (M8)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor, Role
from portal.domain.jobs import fieldwork, services
from portal.domain.jobs.models import Appointment, HistoryEntry, Job
from portal.domain.messages.reminders import decide_reminders
from portal.domain.people.models import Partner
from portal.domain.unit_of_work import unit_of_work
from portal.web.links import confirm_path
from tests.factories import Create
from tests.helpers import Site
from tests.web.office import NOW, TUESDAY, clock
from tests.web.platform import Platform, platform

__all__ = ["clock", "platform"]

pytestmark = pytest.mark.row("M8")
EVENING_BEFORE = TUESDAY - timedelta(hours=15)


@dataclass
class Linked:
    """Cleo's visit by Tom on Tuesday at nine, and a stranger's browser that holds the link to it."""

    platform: Platform
    session: Session
    app: Flask
    job: Job
    site: Site

    @property
    def visit(self) -> Appointment:
        """The visit as it is now."""
        self.session.rollback()
        query = select(Appointment).where(Appointment.job_id == self.job.id).order_by(Appointment.id.desc())
        found = self.session.scalars(query, execution_options={"populate_existing": True}).first()
        assert found is not None
        return found

    @property
    def staff(self) -> Actor:
        return Actor(None, Role.DISPATCHER, "Dana Okafor", frozenset({self.platform.acme.id}))

    @property
    def customer(self) -> Actor:
        people = frozenset({self.platform.customer.id})
        return Actor(None, Role.CUSTOMER, "Cleo Raman", frozenset({self.platform.acme.id}), customer_ids=people)

    def do(self, act: Callable[..., Any], *args: Any, actor: Actor | None = None, **kwargs: Any) -> None:
        """Call a use case at ``NOW``, as staff unless ``actor`` says otherwise."""
        with unit_of_work(self.session):
            act(self.session, actor or self.staff, NOW, *args, **kwargs)

    def link(self, visit: Appointment) -> str:
        """Return the link to ``visit`` with the start it has now."""
        with self.app.app_context():
            return confirm_path(visit.id, visit.start_at)

    def suspend(self, is_suspended: bool) -> None:
        with unit_of_work(self.session):
            self.session.get_one(Partner, self.platform.acme.id).suspended_at = NOW if is_suspended else None

    def confirmations(self) -> list[HistoryEntry]:
        self.session.rollback()
        query = select(HistoryEntry).where(HistoryEntry.job_id == self.job.id, HistoryEntry.action == "confirm")
        return list(self.session.scalars(query))


@pytest.fixture
def linked(
    clock: Any,
    platform: Platform,
    create_installation: Create,
    create_service_type: Create,
    set_controls: Create,
) -> Linked:
    set_controls(platform.acme, self_service=True)
    kind = create_service_type(platform.acme, name="Boiler service")
    job = create_installation(platform.acme, platform.customer, platform.technician, start=TUESDAY, kind=kind)
    return Linked(platform, platform.session, platform.app, job, platform.browser())


def test_a_reminder_carries_a_link_whose_button_confirms(
    linked: Linked, clock: Any, create_staff: Create, create_installation: Create
) -> None:
    clock.move_to(EVENING_BEFORE)
    with unit_of_work(linked.session):
        decide_reminders(linked.session, EVENING_BEFORE)
    linked.platform.run_worker()
    letter = linked.platform.post.letters[-1]
    found = re.search(r"Confirm this time: http://[^/]+(/confirm/[\w.-]+)", letter.body)
    assert found is not None
    assert f'class="button" href="http://127.0.0.1:8000{found[1]}"' in letter.body_html

    answer = linked.site.get(found[1])
    # a proxy, a mail scanner or another site learns and changes nothing
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    # stricter, and the check of forms over HTTPS would have no Referer to look at
    assert answer.headers["Referrer-Policy"] == "same-origin"
    for words in ("Acme", "Boiler service", "Tue 24 Nov , tomorrow 9:00–11:00", "Tom Reyes"):
        assert words in linked.site.text
    for words in ("14 Alder Close", "Cleo", "Heat pump"):
        assert words not in linked.site.text
    assert linked.site.client.post(found[1]).status_code == 400
    assert linked.visit.confirmed_at is None

    linked.site.submit(button="Confirm Tue 24 Nov, 9:00–11:00")
    assert "This time is confirmed Tue 24 Nov, 9:00–11:00 Thank you." in linked.site.text
    assert (linked.visit.confirmed_at, linked.visit.confirmed_by) == (EVENING_BEFORE, "customer")
    # pressed again, and followed again, in any browser: it counts once, and says so
    assert linked.site.post(found[1]).status_code == 303
    other = linked.platform.browser(create_staff(linked.platform.zenith))
    assert other.get(found[1]).status_code == 200
    assert "This time is confirmed" in other.text
    assert not other.page.select("main form")
    (entry,) = linked.confirmations()
    assert (entry.actor_id, entry.actor_role, entry.actor_name) == (None, "customer", "Cleo Raman")
    desk = linked.platform.browser(linked.platform.dana)
    desk.get(f"/admin/installations/{linked.job.id}")
    assert "Confirmed by the link in a message" in desk.text

    # what is confirmed already is not asked for again
    late = create_installation(linked.platform.acme, linked.platform.customer, start=TUESDAY + timedelta(days=1))
    linked.do(fieldwork.confirm, late.appointments[0].id)
    with unit_of_work(linked.session):
        decide_reminders(linked.session, EVENING_BEFORE + timedelta(days=1))
    clock.shift(timedelta(days=1))
    linked.platform.run_worker()
    letter = linked.platform.post.letters[-1]
    assert "This time is confirmed. Thank you." in letter.body
    assert "/confirm/" not in letter.body + letter.body_html


def test_a_link_that_is_past_its_work_says_what_is_so_now(
    linked: Linked,
    clock: Any,
    create_technician: Create,
) -> None:
    link = linked.link(linked.visit)

    def expect(status: int, heading: str, *words: str, posted: int | None = None) -> None:
        before = linked.confirmations()
        assert linked.site.get(link).status_code == status
        assert linked.site.page.h1.get_text() == heading  # type: ignore[union-attr]
        for said in words:
            assert said in linked.site.text
        assert not linked.site.page.select("main form")
        assert linked.site.post(link).status_code == (posted or status)
        assert len(linked.confirmations()) == len(before)

    linked.do(services.reschedule, linked.job.id, TUESDAY + timedelta(days=2))
    expect(410, "This visit was moved since", "It is now on Thu 26 Nov, 9:00–11:00.", "Call 0117 496 0100")
    assert "Tue 24 Nov" not in linked.site.text
    # back where it was: it is that time again that the link asks about, whoever comes
    linked.do(services.reschedule, linked.job.id, TUESDAY)
    linked.do(services.reassign, linked.job.id, create_technician(linked.platform.acme).id, despite_warnings=True)
    assert linked.site.get(link).status_code == 200
    assert "Confirm Tue 24 Nov, 9:00–11:00" in linked.site.text

    linked.suspend(True)
    expect(200, "This visit cannot be confirmed now", "account is suspended", posted=409)
    linked.suspend(False)
    linked.do(services.cancel_by_customer, linked.visit.id, "Away", actor=linked.customer)
    expect(410, "This visit is being cancelled", "sign in and undo that")
    linked.do(services.undo_cancel, linked.visit.id)

    linked.do(fieldwork.confirm, linked.visit.id)
    expect(200, "This time is confirmed", "We confirmed it with you", posted=303)
    clock.move_to(TUESDAY - timedelta(seconds=1))
    expect(200, "This time is confirmed", posted=303)
    clock.move_to(TUESDAY)
    expect(410, "This link has run out", "It worked until somebody set off or the visit’s time came.")
    linked.do(services.cancel, linked.job.id, "No longer wanted")
    expect(410, "This visit is cancelled", "If you did not expect this, please call us.")


def test_a_link_that_nobody_made_opens_nothing(linked: Linked, create_installation: Create) -> None:
    theirs = create_installation(linked.platform.zenith, items=[("Xanadu pump", 1)]).appointments[0]
    ours, other = linked.link(linked.visit), linked.link(theirs)
    missing = linked.visit
    linked.session.expunge(missing)
    missing.id = 987_654
    body, _, seal = ours.rpartition(".")
    for wrong in (ours[:-1], f"{other.rpartition('.')[0]}.{seal}", f"{body}.", "/confirm/x", linked.link(missing)):
        assert linked.site.get(wrong).status_code == 404
        assert "This link is not known" in linked.site.text
        assert "Acme" not in linked.site.text
        assert linked.site.post(wrong).status_code == 404
    # each opens its own, signed in as whoever it may be
    cleo = linked.platform.browser(linked.platform.cleo)
    for site in (linked.site, cleo):
        site.get(other)
        assert "Zenith" in site.text
        assert "Boiler service" not in site.text
        assert "Xanadu" not in site.text
    assert linked.confirmations() == []


def test_a_links_button_is_throttled(linked: Linked, make_app: Callable[..., Flask]) -> None:
    site, link = Site(make_app(throttle=True).test_client()), linked.link(linked.visit)
    assert {site.post(link).status_code for _ in range(8)} == {303}
    assert site.post(link).status_code == 429
    assert len(linked.confirmations()) == 1
