"""Job offers through the browsers of the operator and of two partners (J1, P20)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor, Role
from portal.domain.jobs.models import Job
from portal.domain.offers.models import JobOffer
from portal.domain.offers.services import due_to_expire, expire_offers
from portal.domain.people.models import Customer, Partner
from portal.domain.people.partners import suspend_partner
from portal.domain.requests.models import ServiceRequest
from portal.domain.unit_of_work import unit_of_work
from portal.web import attention
from tests.factories import Create
from tests.helpers import Site
from tests.web.office import NOW, Office, clock, office  # noqa: F401
from tests.web.test_hours import menu

pytestmark = [pytest.mark.row("J1"), pytest.mark.row("P20")]
OPERATORS, QUEUE = "/admin/offered-jobs/", "/admin/job-offers/"
HOUR = timedelta(hours=1)


@dataclass
class Market:
    """Robin, the operator, beside Dana of Acme and Gina of Globex."""

    office: Office
    robin: Site
    gina: Site
    globex: Partner
    session: Session

    def offer(self, *partners: Partner, **values: Any) -> int:
        """Offer a boiler repair by the form and return what that was answered with."""
        self.robin.get(f"{OPERATORS}new/")
        form = {
            "partners": [str(partner.id) for partner in partners],
            "service": "Boiler repair",
            "description": "No hot water since Monday",
            "customer_name": "Ada Byron",
            "customer_email": "Ada@Mail.Example",
            "customer_phone": "+44 117 496 0123",
            "line": "3 Engine Row",
            "city": "Bristol",
            "dates-0-day": "2026-11-24",
            "dates-0-part": "morning",
            "notes": "Key at number 5",
            "expires_day": "2026-11-21",
            "expires_time": "10:00",
        }
        return self.robin.submit(form | values, button="Offer job").status_code

    def offers(self) -> list[JobOffer]:
        self.session.rollback()
        query = select(JobOffer).order_by(JobOffer.id)
        return list(self.session.scalars(query, execution_options={"populate_existing": True}))

    def states(self) -> list[str]:
        return [offer.status for offer in self.offers()]

    def both(self) -> tuple[str, str]:
        """Offer it to both, and return the addresses of Acme's offer and of Globex'."""
        assert self.offer(self.office.partner, self.globex) == 200, self.robin.text
        acme, globex = self.offers()[-2:]
        return f"{QUEUE}{acme.id}", f"{QUEUE}{globex.id}"


@pytest.fixture
def market(
    office: Office,  # noqa: F811
    app: Flask,
    session: Session,
    create_partner: Create,
    create_staff: Create,
    create_user: Create,
    create_service_type: Create,
) -> Market:
    globex = create_partner(name="Globex")
    create_service_type(globex, name="Boiler repair")
    robin, gina = Site(app.test_client()), Site(app.test_client())
    robin.sign_in(create_user(is_operator=True, name="Robin Vale"))
    gina.sign_in(create_staff(globex, name="Gina Rossi"))
    return Market(office, robin, gina, globex, session)


@pytest.mark.row("P18")
def test_of_two_partners_the_first_to_accept_gets_the_job_and_the_other_reads_so(
    market: Market,
    app: Flask,
    create_staff: Create,
    clock: Any,  # noqa: F811
) -> None:
    at_acme, at_globex = market.both()
    assert "Boiler repair is added." in market.robin.text
    dana, gina = market.office.site, market.gina
    for site in (dana, gina):
        site.get("/admin/")
        assert menu(site)["Job offers"] == "1"
        site.get(QUEUE)
        assert "No hot water since Monday" in site.text
    # Neither reads of the other, and neither can reach the other's.
    gina.get(at_globex)
    assert "+44 117 496 0123" in gina.text
    assert "Acme" not in gina.text
    assert gina.get(at_acme).status_code == dana.get(at_globex).status_code == 404
    assert dana.post(at_globex, {"service_type": str(market.office.kind.id)}).status_code == 404
    for site in (dana, gina):
        assert site.get(OPERATORS).status_code == 403
    # Its own type of that name is chosen already.
    gina.get(at_globex)
    dana.get(at_acme)
    gina.submit(button="Accept the job")
    (job,) = market.office.jobs()
    assert f"The job is yours: {job.number} is drafted." in gina.text
    assert (job.partner_id, job.workflow, job.status) == (market.globex.id, "service", "DRAFT")
    assert job.notes == "No hot water since Monday\n\nKey at number 5"
    customer = market.session.scalars(select(Customer).where(Customer.id == job.customer_id)).one()
    assert (customer.name, customer.email, customer.phone) == ("Ada Byron", "ada@mail.example", "+44 117 496 0123")
    assert [entry.action for entry in market.office.history(job)] == ["create", "accept_offer"]
    assert market.states() == ["TAKEN", "ACCEPTED"]
    # Dana's page is from before.
    assert dana.submit(button="Accept the job").status_code == 409
    assert "is not possible while the status is “Taken by another partner”" in dana.text
    assert dana.get(f"{at_acme}/decline").status_code == 409
    dana.get(at_acme)
    assert "Taken by another partner" in dana.text
    # Pressed twice it is hers already; a colleague reads why it is not to be had.
    assert gina.post(at_globex, {"service_type": str(job.service_type_id)}).status_code == 303
    colleague = Site(app.test_client())
    colleague.sign_in(create_staff(market.globex))
    assert colleague.post(at_globex, {"service_type": str(job.service_type_id)}).status_code == 409
    assert len(market.office.jobs()) == 1
    clock.shift(attention.FRESH)
    dana.get("/admin/")
    assert menu(dana)["Job offers"] == ""
    market.robin.get(f"{OPERATORS}{market.offers()[0].offered_job_id}")
    assert job.number in market.robin.text


@pytest.mark.once
def test_who_is_known_by_the_address_becomes_the_customer(market: Market, create_customer: Create) -> None:
    known = create_customer(market.office.partner, email="ada@mail.example", address="3 Engine Row")
    create_customer(market.globex, email="ada@mail.example")
    gone = create_customer(market.office.partner, email="gone@mail.example", active=False)
    at_acme, _ = market.both()
    dana, kind = market.office.site, str(market.office.kind.id)
    dana.get(at_acme)
    for odd, status in (("", 422), ("x", 422), ("987654", 404)):
        assert dana.submit({"service_type": odd}, button="Accept the job").status_code == status, odd
        dana.get(at_acme)
    dana.submit({"service_type": kind}, button="Accept the job")
    (job,) = market.office.jobs()
    assert job.customer_id == known.id
    # The place is known but for its town, so it is another one.
    assert job.address_id != known.addresses[0].id
    # One who is not active any more is said, and nothing is done.
    market.offer(market.office.partner, customer_email="gone@mail.example")
    dana.get(f"{QUEUE}{market.offers()[-1].id}")
    assert dana.submit({"service_type": kind}, button="Accept the job").status_code == 422
    assert f"{gone.name} is not an active customer." in dana.text
    assert market.states()[-1] == "OFFERED"
    assert len(market.office.jobs()) == 1


@pytest.mark.once
def test_declining_needs_a_reason_that_the_operator_reads(market: Market) -> None:
    at_acme, at_globex = market.both()
    dana = market.office.site
    dana.get(f"{at_acme}/decline")
    for blank in ("", " \u200b\n", "x" * 2001):
        assert dana.submit({"reason": blank}, button="Decline offer").status_code == 422
    dana.submit({"reason": "Too far for us 😀"}, button="Decline offer")
    assert market.states() == ["DECLINED", "OFFERED"]
    assert dana.post(at_acme, {"service_type": str(market.office.kind.id)}).status_code == 409
    market.robin.get(f"{OPERATORS}{market.offers()[0].offered_job_id}")
    assert "“Too far for us 😀”" in market.robin.text
    assert "Dana Okafor" in market.robin.text
    # What is left open is withdrawn.
    market.robin.submit(button="Withdraw")
    assert "The offer is withdrawn." in market.robin.text
    assert market.states() == ["DECLINED", "WITHDRAWN"]
    market.gina.get(at_globex)
    assert "Withdrawn" in market.gina.text
    kind = market.gina.post(at_globex, {"service_type": "1"})
    assert kind.status_code == 409
    assert market.robin.post(f"{OPERATORS}{market.offers()[0].offered_job_id}/withdraw").status_code == 409
    assert market.office.jobs() == []


def test_an_offer_expires_at_its_instant_and_by_the_worker(market: Market, clock: Any) -> None:  # noqa: F811
    at_acme, at_globex = market.both()
    dana, gina = market.office.site, market.gina
    gina.get(f"{at_globex}/decline")
    gina.submit({"reason": "No time"}, button="Decline offer")
    until = NOW + 24 * HOUR
    dana.get(at_acme)
    clock.move_to(until)
    assert dana.submit({"service_type": str(market.office.kind.id)}, button="Accept the job").status_code == 409
    assert "This offer has expired" in dana.text
    assert dana.get(f"{at_acme}/decline").status_code == 409
    dana.get(at_acme)
    assert "Expired" in dana.text
    assert dana.page.find("button", string="Accept the job") is None
    assert menu(dana)["Job offers"] == ""
    key = market.offers()[0].offered_job_id
    for moment, due in ((until - timedelta(seconds=1), []), (until, [key])):
        market.session.rollback()
        assert due_to_expire(market.session, moment) == due
        with unit_of_work(market.session):
            assert expire_offers(market.session, moment, key) == len(due)
    assert market.states() == ["EXPIRED", "DECLINED"]
    market.session.rollback()
    assert due_to_expire(market.session, until) == []
    assert market.office.jobs() == []


@pytest.mark.once
@pytest.mark.row("C7")
def test_bad_input_offers_nothing_and_keeps_what_was_typed(market: Market, create_partner: Create) -> None:
    acme, closed = market.office.partner, create_partner(name="Initech")
    with unit_of_work(market.session) as session:
        suspend_partner(session, Actor(None, Role.OPERATOR, "Robin"), NOW, closed.id, "Unpaid")
    for change, said in (
        ({"partners": []}, "Choose one partner at least"),
        ({"partners": [str(closed.id)]}, "Initech is suspended and cannot answer."),
        ({"service": " \u200b"}, "Say what is to be done"),
        ({"service": "x" * 121}, "Use 120 characters or fewer."),
        ({"customer_name": ""}, "Enter a name"),
        ({"customer_email": "no"}, "Enter an email address"),
        ({"customer_phone": "5"}, "Enter a telephone number"),
        ({"line": ""}, "Enter street and number"),
        ({"dates-0-day": "2026-11-19"}, "Choose a date that is not in the past"),
        ({"dates-1-day": "tomorrow"}, "Enter a date that exists"),
        ({"expires_day": "2026-11-20", "expires_time": "10:00"}, "Choose a date and time that is not in the past"),
        ({"expires_day": "2027-11-20"}, "Choose a date within 90 days"),
        ({"expires_time": "25:00"}, "Enter a time"),
        ({"notes": "x" * 2000}, "characters or fewer."),
    ):
        assert market.offer(acme, **change) == 422, change
        assert said in market.robin.text, change
        assert market.robin.page.select_one("input[name=city]")["value"] == "Bristol"  # type: ignore[index]
    assert market.offer(acme, partners=["987654"]) == 404
    assert market.offers() == []
    market.session.rollback()
    assert market.session.scalars(select(Job)).all() == []


@pytest.fixture
def asked(market: Market, app: Flask, create_user: Create, create_customer: Create) -> tuple[Site, Any]:
    """Priya's browser, who is Acme's customer, and a way to ask and be declined: ``declined(others_may="y")``."""
    priya = create_user(name="Priya Raman")
    create_customer(
        market.office.partner, priya, name="Priya Raman", phone="+44 117 496 0199", address="14 Alder Close"
    )
    my = Site(app.test_client())
    my.sign_in(priya)

    def declined(**values: Any) -> ServiceRequest:
        my.get("/my/requests/new")
        wanted = {"service_type": str(market.office.kind.id), "notes": "Hums at night", "dates-0-day": "2026-11-24"}
        my.submit(wanted | values, button="Send request")
        assert my.status == 200, my.text
        market.session.rollback()
        wish = market.session.scalars(select(ServiceRequest).order_by(ServiceRequest.id.desc()).limit(1)).one()
        market.office.site.get(f"/admin/requests/{wish.id}/decline")
        market.office.site.submit({"reason": "Nobody of ours may do that."}, button="Decline request")
        assert market.office.site.status == 200
        return wish

    return my, declined


@pytest.mark.row("C5")
@pytest.mark.row("C8")
def test_a_declined_request_goes_to_another_partner_where_the_customer_allows_it(
    market: Market, asked: tuple[Site, Any]
) -> None:
    my, declined = asked
    kept, wish = declined(), declined(others_may="y")
    my.get(f"/my/requests/{wish.id}")
    assert "other companies may be asked" in my.text
    my.get(f"/my/requests/{kept.id}")
    assert "other companies may be asked" not in my.text
    robin = market.robin
    robin.get(OPERATORS)
    robin.get(str(robin.page.select_one(f"a[href='{OPERATORS}requests']")["href"]))  # type: ignore[index]
    assert robin.text.count("Hums at night") == 1
    robin.get(str(robin.page.find("a", href=f"{OPERATORS}new/?request={wish.id}")["href"]))  # type: ignore[index]
    assert f"which {market.office.partner.name} declined" in robin.text
    form = robin.form(button="Offer job")
    assert form.select_one("[name=customer_phone]")["value"] == "+44 117 496 0199"  # type: ignore[index]
    assert form.select_one("[name=dates-0-day]")["value"] == "2026-11-24"  # type: ignore[index]
    # Who declined it is not asked again.
    both = [str(market.office.partner.id), str(market.globex.id)]
    assert robin.submit({"partners": both}, button="Offer job").status_code == 422
    assert "has declined this request." in robin.text
    assert robin.form(button="Offer job").select_one("[name=line]")["value"] == "14 Alder Close"  # type: ignore[index]
    robin.submit({"partners": [both[1]]}, button="Offer job")
    assert "Heat pump is added." in robin.text
    (offer,) = market.offers()
    market.gina.get(f"{QUEUE}{offer.id}")
    assert "Hums at night" in market.gina.text
    market.gina.submit(button="Accept the job")
    (job,) = market.office.jobs()
    assert (job.partner_id, job.status) == (market.globex.id, "DRAFT")
    # One log-in shows both companies' (C8).
    my.get("/my/")
    assert my.get(f"/my/jobs/{job.id}").status_code == 200
    my.get(f"/my/requests/{wish.id}")
    assert "Globex has taken it on." in my.text
    assert "other companies may be asked" not in my.text
    my.get(str(my.page.find("a", string=f"The whole job: {job.title}")["href"]))  # type: ignore[index]
    assert my.last.request.path == f"/my/jobs/{job.id}"
    my.get(f"/my/requests/{kept.id}")
    assert "has taken it on" not in my.text
    robin.get(f"{OPERATORS}requests")
    assert "No request waits for another partner." in robin.text


@pytest.mark.row("C5")
def test_only_what_the_customer_allows_is_offered_and_once(market: Market, asked: tuple[Site, Any]) -> None:
    my, declined = asked
    kept, wish = declined(), declined(others_may="y")
    my.get("/my/requests/new")
    wanted = {"service_type": str(market.office.kind.id), "notes": "Still waits", "others_may": "y"}
    my.submit(wanted, button="Send request")
    market.session.rollback()
    waiting = max(market.session.scalars(select(ServiceRequest.id)))
    robin = market.robin
    for key in (kept.id, waiting, 99_999, 0, 2**63, "x"):
        assert robin.get(f"{OPERATORS}new/?request={key}").status_code == 404, key
        assert market.offer(market.globex, request=str(key)) == 404, key
    assert market.offer(market.globex, request=str(wish.id)) == 200
    assert market.offer(market.globex, request=str(wish.id)) == 409
    assert "This request has been offered already." in robin.text
    assert len(market.offers()) == 1
    for site in (market.office.site, market.gina, my):
        assert site.get(f"{OPERATORS}requests").status_code == 403
