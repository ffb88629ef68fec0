"""The operator: partners created, edited, suspended, reactivated, looked into, each with a reason (P20)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import select

from portal.domain.jobs.models import Appointment, HistoryEntry, Job
from portal.domain.messages.models import Message, MessageStatus
from portal.domain.people.models import LookIn, Partner, PartnerEvent
from portal.domain.scheduling.models import PauseReason, RejectReason
from portal.domain.unit_of_work import unit_of_work
from tests.factories import Create
from tests.helpers import Site
from tests.web.platform import Platform, platform, problems

__all__ = ["platform"]

NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)
PARTNERS = "/admin/partners/"

pytestmark = pytest.mark.row("P20")


@pytest.fixture
def clock() -> Any:
    """A Friday at ten, moved by the test alone."""
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def partner_as_is(platform: Platform, partner: Partner) -> Partner:
    platform.session.rollback()
    return platform.session.get_one(Partner, partner.id, populate_existing=True)


def events(platform: Platform, partner: Partner) -> list[tuple[str, str, str]]:
    platform.session.rollback()
    query = select(PartnerEvent).where(PartnerEvent.partner_id == partner.id).order_by(PartnerEvent.id)
    return [(event.action, event.actor_name, event.reason) for event in platform.session.scalars(query)]


def switch(site: Site, partner: Partner, act: str, reason: str = "Unpaid") -> Any:
    site.get(f"{PARTNERS}{partner.id}")
    return site.submit({"reason": reason}, action=f"/{act}")


def look_into(site: Site, partner: Partner, reason: str = "A question about a visit") -> Any:
    site.get(f"{PARTNERS}{partner.id}")
    return site.submit({"look_reason": reason}, action="/look")


def test_a_partner_starts_with_reasons_in_its_own_language_whoever_creates_it(platform: Platform) -> None:
    robin = platform.browser(platform.robin)
    form = {"timezone": "Europe/Berlin", "reason": "Contract 13", "admin_name": "Nils Berg"}
    reasons = {}
    for prefix, locale in (("DE", "de_DE"), ("EN", "")):
        robin.get(f"{PARTNERS}new/")
        own = {"name": f"Northwind {prefix}", "job_prefix": prefix, "admin_email": f"{prefix}@mail.example"}
        robin.submit(form | own | {"locale": locale}, button="Create partner")
        platform.session.rollback()
        made = platform.session.scalars(select(Partner).where(Partner.name == own["name"])).one()
        assert made.locale == locale
        reasons[prefix] = [
            set(platform.session.scalars(select(model.label).where(model.partner_id == made.id)))
            for model in (PauseReason, RejectReason)
        ]
    assert reasons["EN"][0] >= {"Part needed", "Customer absent"}
    assert reasons["DE"][0] >= {"Teil fehlt", "Kunde nicht da"}
    assert "Außerhalb unseres Gebiets" in reasons["DE"][1]
    assert all(not own & theirs for own, theirs in zip(reasons["DE"], reasons["EN"], strict=True))
    robin.get(f"{PARTNERS}new/")
    odd = form | {"name": "Odd", "job_prefix": "OD", "admin_email": "odd@mail.example", "locale": "xx"}
    assert robin.submit(odd, button="Create partner").status_code == 422
    assert len(problems(robin)) == 1


@pytest.mark.row("C9")
def test_a_partner_is_created_and_its_first_admin_gets_in_by_invitation(platform: Platform) -> None:
    robin = platform.browser(platform.robin)
    form = {"name": "Northwind Heating", "timezone": "Europe/Berlin", "job_prefix": "nw", "reason": "Contract 12"}
    form |= {"admin_name": "Nils Berg", "admin_email": "nils@mail.example"}
    robin.get(f"{PARTNERS}new/")
    for wrong, said in (
        (dict.fromkeys(form, ""), 6),
        ({"name": "🚪"}, 1),
        ({"name": "ACME"}, 1),
        ({"name": "x" * 10_000, "admin_name": "y" * 10_000, "reason": "z" * 10_000}, 3),
        ({"timezone": "Mars/Olympus", "job_prefix": "A-1", "admin_email": "nobody"}, 3),
    ):
        answer = robin.submit(form | wrong, button="Create partner")
        assert answer.status_code == 422
        assert len(problems(robin)) == said, wrong
    assert robin.submit(form, button="Create partner").status_code == 200
    assert "Northwind Heating" in robin.text
    made = platform.session.scalars(select(Partner).where(Partner.name == "Northwind Heating")).one()
    assert (made.timezone, made.job_prefix) == ("Europe/Berlin", "NW")
    assert events(platform, made)[0] == ("create", "Robin Vale", "Contract 12")
    robin.get(f"{PARTNERS}{made.id}")
    assert "nils@mail.example" in robin.text
    # the link is for nobody but Nils
    assert "/invitation/" not in robin.last.get_data(as_text=True)  # type: ignore[union-attr]

    nils, link = platform.browser(), platform.link()
    nils.get(link)
    nils.submit({"password": "quite a long one"})
    assert nils.url.startswith("/login")
    nils.submit({"email": "nils@mail.example", "password": "quite a long one"}, action="/login")
    nils.submit(button="Accept")
    assert nils.url == "/admin/"
    assert "Welcome to Northwind Heating." in nils.text
    assert nils.get("/admin/staff/").status_code == 200
    assert nils.get(link).status_code == 410


def test_a_suspended_partner_only_reads_and_its_messages_wait(
    clock: Any, platform: Platform, create_installation: Create, set_controls: Create
) -> None:
    set_controls(platform.acme, self_service=True, reschedule_unconfirmed=True, cancel_unconfirmed=True)
    job = create_installation(platform.acme, platform.customer, platform.technician, start=NOW + timedelta(days=4))
    create_installation(platform.acme, platform.customer, start=NOW + timedelta(days=1))
    visit = job.appointments[0]
    staff, technician, customer, robin = map(
        platform.browser, (platform.dana, platform.tom, platform.cleo, platform.robin)
    )
    for site in (staff, technician, customer):
        assert site.last is not None
        assert site.last.status_code == 200
    assert switch(robin, platform.acme, "suspend", " ").status_code == 422
    assert problems(robin) == ["Give a reason"]
    assert partner_as_is(platform, platform.acme).suspended_at is None
    assert switch(robin, platform.acme, "suspend").status_code == 200
    assert partner_as_is(platform, platform.acme).suspended_at == NOW

    paths = ("/admin/", "/admin/installations/", "/admin/api/customers?q=a", "/admin/staff/")
    for site, addresses in ((staff, paths), (technician, ("/field/", f"/field/visits/{visit.id}"))):
        for address in addresses:
            assert site.get(address).status_code == 403, address
            assert "suspended" in site.text
    assert staff.post(f"/admin/installations/{job.id}/cancel", {"reason": "x"}).status_code == 403
    step = f"/field/visits/{visit.id}/prepare"
    assert technician.post(step, {"move_number": visit.move_number}).status_code == 403

    assert customer.get("/my/").status_code == 200
    assert "The account of Acme is suspended." in customer.text
    customer.get(f"/my/visits/{visit.id}/modify")
    assert customer.page.select("input[name=act]") == []
    free = (NOW + timedelta(days=5)).isoformat()
    for act, values in (("move", {"start": free}), ("cancel", {"reason": "Away"}), ("confirm", {})):
        sent = {"move_number": str(visit.move_number), **values}
        assert customer.post(f"/my/visits/{visit.id}/{act}", sent).status_code == 409, act
    platform.session.rollback()
    after = platform.session.get_one(Appointment, visit.id)
    assert (after.version, after.start_at, after.confirmed_at) == (visit.version, visit.start_at, None)

    assert platform.run_worker().sent == 0
    robin.get("/admin/health/")
    assert "Held for suspended partners 3" in robin.text
    # two days later the nearer visit is over, so that telling of it is of no use any more
    clock.shift(timedelta(days=2))
    assert switch(robin, platform.acme, "reactivate", "Paid").status_code == 200
    tally = platform.run_worker()
    assert (tally.sent, tally.skipped) == (2, 1)
    assert staff.get("/admin/installations/").status_code == 200
    customer.get(f"/my/visits/{visit.id}/modify")
    assert customer.page.select("input[name=act]")
    assert events(platform, platform.acme) == [
        ("suspend", "Robin Vale", "Unpaid"),
        ("reactivate", "Robin Vale", "Paid"),
    ]


def test_a_customer_of_two_partners_goes_on_with_the_other(
    platform: Platform, create_customer: Create, create_installation: Create
) -> None:
    other = create_customer(platform.zenith, platform.cleo)
    visits = [
        create_installation(partner, customer).appointments[0]
        for partner, customer in ((platform.acme, platform.customer), (platform.zenith, other))
    ]
    switch(platform.browser(platform.robin), platform.acme, "suspend")
    cleo = platform.browser(platform.cleo)
    assert [
        cleo.post(f"/my/visits/{visit.id}/confirm", {"move_number": str(visit.move_number)}).status_code
        for visit in visits
    ] == [409, 303]


@pytest.mark.row("C7")
def test_looking_into_a_partners_data_is_a_switch_that_the_partner_reads(
    clock: Any, platform: Platform, create_installation: Create, create_technician: Create, statements: list[str]
) -> None:
    start = NOW + timedelta(days=4)
    ours = create_installation(platform.acme, platform.customer, start=start, items=[("Acme boiler", 1)])
    theirs = create_installation(platform.zenith, start=start, items=[("Zenith boiler", 1)])
    ines = create_technician(platform.acme, name="Ines Kowalski")
    robin = platform.browser(platform.robin)
    assert robin.get("/admin/installations/").status_code == 403
    assert robin.get(f"/admin/installations/{ours.id}").status_code == 403
    assert look_into(robin, platform.acme, "\u200b").status_code == 422
    assert robin.get("/admin/installations/").status_code == 403
    assert look_into(robin, platform.acme).status_code == 200
    assert robin.url == "/admin/"

    for path in ("/admin/installations/", "/admin/customers/", "/admin/feature-controls/", "/admin/nothing"):
        robin.get(path)
        assert "You look into the data of Acme" in robin.text, path
    robin.get("/admin/installations/")
    assert "Acme boiler" in robin.text
    assert "Zenith boiler" not in robin.text
    for path in (f"/admin/installations/{theirs.id}", f"/admin/installations/{theirs.id}/assign"):
        assert robin.get(path).status_code == 404
    assert robin.get(PARTNERS).status_code == 403
    counts = []
    dana, alma = platform.browser(platform.dana), platform.browser(platform.alma)
    for site in (alma, robin):
        statements.clear()
        # Which neither has seen yet.
        site.get("/admin/installations/?sort=number")
        counts.append(len(statements))
    # the partner's name and colour are not read along with the operator's own log-in
    assert counts[1] <= counts[0] + 1

    robin.get(f"/admin/installations/{ours.id}/assign")
    robin.submit({"technician": str(ines.id), "despite_warnings": "y"}, action="/assign")
    platform.session.rollback()
    entry = platform.session.scalars(select(HistoryEntry).where(HistoryEntry.action == "assign")).first()
    assert entry is not None
    assert (entry.actor_name, entry.actor_role, entry.actor_id) == ("Robin Vale", "operator", platform.robin.id)
    dana.get(f"/admin/installations/{ours.id}")
    assert "Robin Vale, operator" in dana.text

    # not in another browser of the same person, and not after the hour
    assert platform.browser(platform.robin).get("/admin/installations/").status_code == 403
    clock.shift(timedelta(minutes=59))
    assert robin.get("/admin/installations/").status_code == 200
    clock.shift(timedelta(minutes=1))
    assert robin.get("/admin/installations/").status_code == 403

    look_into(robin, platform.acme, "Once more")
    clock.shift(timedelta(minutes=5))
    robin.submit(button="Stop looking")
    assert robin.url == PARTNERS
    assert robin.get("/admin/installations/").status_code == 403
    look_into(robin, platform.acme, "And again")
    clock.shift(timedelta(minutes=7))
    robin.sign_out()
    robin.sign_in(platform.robin)
    assert robin.get("/admin/installations/").status_code == 403

    platform.session.rollback()
    looks = platform.session.scalars(select(LookIn).order_by(LookIn.id)).all()
    hour, five, seven = timedelta(hours=1), timedelta(minutes=5), timedelta(minutes=7)
    assert [look.over_at - look.started_at for look in looks] == [hour, five, seven]
    assert {look.partner_id for look in looks} == {platform.acme.id}
    alma.get("/admin/operator-access/")
    rows = [" ".join(row.get_text(" ").split()) for row in alma.page.select("tbody tr")]
    assert [row.split("Robin Vale")[1].strip() for row in rows] == [
        "And again",
        "Once more",
        "A question about a visit",
    ]
    assert dana.get("/admin/operator-access/").status_code == 403


def test_an_operator_may_mend_the_data_of_a_suspended_partner(platform: Platform, create_installation: Create) -> None:
    job = create_installation(platform.acme, platform.customer)
    robin = platform.browser(platform.robin)
    switch(robin, platform.acme, "suspend")
    look_into(robin, platform.acme)
    robin.get(f"/admin/installations/{job.id}/reject")
    assert robin.submit({"reason": "Asked for by the partner"}, action="/reject").status_code == 200
    platform.session.rollback()
    assert platform.session.get_one(Job, job.id).status == "REJECTED"


@pytest.mark.row("P20")
def test_another_zone_keeps_the_instants_and_says_how_many(platform: Platform, create_installation: Create) -> None:
    job = create_installation(platform.acme, platform.customer)
    robin = platform.browser(platform.robin)
    address = f"{PARTNERS}edit/?id={platform.acme.id}"
    robin.get(address)
    assert robin.submit({"timezone": "Asia/Tokyo", "reason": ""}, button="Save").status_code == 422
    assert robin.submit({"timezone": "Asia/Tokyo", "reason": "Moved"}, button="Save").status_code == 422
    assert "Visits planned: 1." in problems(robin)[0]
    assert partner_as_is(platform, platform.acme).timezone == "Europe/London"
    assert robin.submit({"visits": "keep"}, button="Save").status_code == 200
    assert robin.url == f"{PARTNERS}{platform.acme.id}"
    changed = partner_as_is(platform, platform.acme)
    assert changed.timezone == "Asia/Tokyo"
    visit = platform.session.get_one(Appointment, job.appointments[0].id)
    assert visit.start_at == job.appointments[0].start_at
    assert events(platform, platform.acme)[-1] == ("move_zone", "Robin Vale", "Moved")
    # a form from before that
    sent = {"version": str(platform.acme.version), "name": "Acme Two", "timezone": "Europe/Paris", "reason": "x"}
    assert robin.post(address, sent).status_code == 409
    assert partner_as_is(platform, platform.acme).name == "Acme"
    sent = {"version": str(changed.version), "name": "Zenith", "timezone": "Asia/Tokyo", "reason": "x"}
    assert robin.post(address, sent).status_code == 422


def test_another_zone_may_shift_visits_to_the_same_clock_time(
    clock: Any, platform: Platform, create_installation: Create
) -> None:
    days = [timedelta(days=number) for number in (1, 2, 3)]
    # one right behind the other, so that they have to be moved in the right order
    starts = [NOW + day + timedelta(hours=hours) for day in days for hours in (0, 2)]
    kept = [create_installation(platform.acme, platform.customer, platform.technician, start=start) for start in starts]
    soon = create_installation(platform.acme, platform.customer, start=NOW + timedelta(hours=1))
    robin = platform.browser(platform.robin)
    for zone, hours in (("Europe/Berlin", -1), ("Europe/London", 0), ("Asia/Tokyo", -9)):
        robin.get(f"{PARTNERS}edit/?id={platform.acme.id}")
        robin.submit({"timezone": zone, "reason": "Moved"}, button="Save")
        assert robin.submit({"visits": "shift"}, button="Save").status_code == 200
        platform.session.rollback()
        for job in kept:
            visit = platform.session.get_one(Appointment, job.appointments[0].id, populate_existing=True)
            assert visit.start_at == job.appointments[0].start_at + timedelta(hours=hours)
            assert visit.end_at - visit.start_at == timedelta(hours=2)
            assert platform.session.get_one(Job, job.id, populate_existing=True).start_at == visit.start_at
        if zone == "Europe/Berlin":
            # eleven o'clock in Berlin is now
            left = platform.session.get_one(Appointment, soon.appointments[0].id)
            assert left.start_at == soon.appointments[0].start_at
    assert platform.run_worker().failed == 0


def test_the_list_costs_the_same_for_more_partners(
    platform: Platform, create_partner: Create, create_installation: Create, statements: list[str]
) -> None:
    job = create_installation(platform.acme, platform.customer, start=datetime.now(UTC))
    with unit_of_work(platform.session):
        message = platform.session.scalars(select(Message).where(Message.job_id == job.id)).first()
        assert message is not None
        message.status = MessageStatus.FAILED
    robin = platform.browser(platform.robin)
    counts = []
    for _ in range(2):
        statements.clear()
        robin.get(PARTNERS)
        counts.append(len(statements))
        for zone in ("Asia/Tokyo", "America/New_York", "Europe/Berlin"):
            create_partner(timezone=zone)
    # One more for the partner, which comes with the log-in of its own people.
    assert counts[1] - counts[0] <= 1
    row = next(row for row in robin.page.select("tbody tr") if "Acme" in row.get_text())
    figures = [cell.get_text(" ").split()[-1] for cell in row.select("td")]
    # jobs, visits this week, technicians, failed messages
    assert [figures[index] for index in (2, 3, 4, 5)] == ["1", "1", "1", "1"]
    robin.get(PARTNERS, query_string={"state": "suspended"})
    assert "Nothing matches." in robin.text


@pytest.mark.row("C7")
def test_the_operators_pages_are_the_operators(platform: Platform) -> None:
    for who, status in ((platform.alma, 403), (platform.cleo, 403), (None, 302)):
        site = platform.browser(who)
        for path in (PARTNERS, f"{PARTNERS}{platform.acme.id}", f"{PARTNERS}new/", "/admin/health/"):
            assert site.client.get(path).status_code == status, (who, path)
        for act in ("suspend", "reactivate", "look"):
            answer = site.post(f"{PARTNERS}{platform.acme.id}/{act}", {"reason": "x", "look_reason": "x"})
            assert answer.status_code == status, (who, act)
    robin = platform.browser(platform.robin)
    for act in ("suspend", "look"):
        assert robin.post(f"{PARTNERS}987654/{act}", {"reason": "x", "look_reason": "x"}).status_code == 404
    assert robin.get(f"{PARTNERS}987654").status_code == 404
    assert events(platform, platform.acme) == []
    assert partner_as_is(platform, platform.acme).suspended_at is None
