"""The partner's staff: invited, given roles, deactivated; and the links of invitations (C9, P20)."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Actor, Role
from portal.domain.errors import Invalid, Refused
from portal.domain.messages.models import Message
from portal.domain.people import staff
from portal.domain.people.models import Customer, Invitation, Membership, Partner, PartnerEvent, Technician, User
from portal.domain.unit_of_work import unit_of_work
from portal.web.signin import TRIES_EACH
from tests.factories import Create
from tests.helpers import PASSWORD, Site
from tests.web.platform import Platform, platform, problems

__all__ = ["platform"]

STAFF = "/admin/staff/"
LONG = "a password of some length"

pytestmark = [pytest.mark.row("P20"), pytest.mark.row("C9")]


def invite(site: Site, email: str, name: str = "Jordan Ames", role: str = "dispatcher") -> Any:
    site.get(f"{STAFF}new/")
    return site.submit({"name": name, "email": email, "role": role}, button="Invite somebody")


def edit(platform: Platform, user: User) -> str:
    return f"{STAFF}edit/?id={platform.membership(user).id}"


def test_who_is_deactivated_is_out_at_once(platform: Platform) -> None:
    alma, dana, second = (platform.browser(who) for who in (platform.alma, platform.dana, platform.dana))
    assert dana.get("/admin/installations/").status_code == 200
    alma.get(edit(platform, platform.dana))
    alma.submit(action="/deactivate")
    assert "Dana Okafor is deactivated" in alma.text
    for site in (dana, second):
        assert site.client.get("/admin/installations/").status_code == 302
        site.get("/admin/")
        assert site.url.startswith("/login")
    dana.sign_in(platform.dana)
    assert dana.status == 403
    alma.get(STAFF, query_string={"active": "no"})
    assert "Dana Okafor" in alma.text
    alma.get(edit(platform, platform.dana))
    alma.submit(action="/reactivate")
    assert dana.get("/admin/").status_code == 200
    platform.session.rollback()
    recorded = platform.session.execute(select(PartnerEvent.action, PartnerEvent.about, PartnerEvent.actor_name))
    assert [tuple(row) for row in recorded] == [
        ("deactivate_staff", platform.dana.email, "Alma Whitcombe"),
        ("reactivate_staff", platform.dana.email, "Alma Whitcombe"),
    ]


def test_what_somebody_is_besides_they_stay(platform: Platform, create_customer: Create) -> None:
    create_customer(platform.zenith, platform.dana)
    dana, alma = platform.browser(platform.dana), platform.browser(platform.alma)
    assert [dana.get(path).status_code for path in ("/admin/", "/my/")] == [200, 200]
    alma.get(edit(platform, platform.dana))
    alma.submit(action="/deactivate")
    assert [dana.client.get(path).status_code for path in ("/admin/", "/my/")] == [403, 200]


def test_roles_hold_from_the_next_click_and_one_admin_stays(platform: Platform, create_staff: Create) -> None:
    alma, dana = platform.browser(platform.alma), platform.browser(platform.dana)
    own = platform.membership(platform.alma).id
    alma.get(edit(platform, platform.alma))
    assert "You cannot deactivate yourself" in alma.text
    assert alma.submit({"role": "dispatcher"}, button="Save").status_code == 422
    assert "This is the last partner admin." in problems(alma)[0]
    assert alma.post(f"{STAFF}{own}/deactivate").status_code == 409
    create_staff(platform.acme, role="partner_admin", active=False)
    assert alma.post(f"{STAFF}{own}/deactivate").status_code == 409
    assert platform.memberships(platform.alma) == [(platform.acme.id, "partner_admin", True)]

    assert dana.get(STAFF).status_code == 403
    stale = platform.membership(platform.dana).version
    alma.get(edit(platform, platform.dana))
    for _ in range(2):
        # The second time nothing is changed.
        assert alma.submit({"role": "partner_admin"}, button="Save").status_code == 200
        assert "Dana Okafor is saved." in alma.text
        alma.get(edit(platform, platform.dana))
    assert dana.get(STAFF).status_code == 200
    sent = {"version": str(stale), "role": "dispatcher"}
    assert alma.post(edit(platform, platform.dana), sent).status_code == 409
    assert alma.post(edit(platform, platform.dana), {"version": "1", "role": "operator"}).status_code == 422
    assert platform.memberships(platform.dana) == [(platform.acme.id, "partner_admin", True)]
    # still not oneself; the other one now
    assert alma.post(f"{STAFF}{own}/deactivate").status_code == 409
    assert dana.post(f"{STAFF}{own}/deactivate").status_code == 302
    assert platform.memberships(platform.alma) == [(platform.acme.id, "partner_admin", False)]


def test_of_two_admins_who_demote_each_other_at_once_one_stays(
    platform: Platform, create_staff: Create, new_session: Callable[..., Session]
) -> None:
    other = create_staff(platform.acme, role="partner_admin")
    pair = [(user.id, platform.membership(user).id) for user in (platform.alma, other)]
    partners = frozenset({platform.acme.id})
    for _ in range(5):
        start, ends = threading.Barrier(2), []

        def demote(who: int, whom: int, start: threading.Barrier, ends: list[str]) -> None:
            actor = Actor(who, Role.PARTNER_ADMIN, "An admin", partners)
            session = new_session(actor.scope)
            version = session.scalars(select(Membership.version).where(Membership.id == whom)).one()
            start.wait(30)
            try:
                with unit_of_work(session):
                    staff.change_role(session, actor, datetime.now(UTC), whom, version, "dispatcher")
                ends.append("done")
            except (Invalid, Refused):
                ends.append("refused")

        threads = [
            threading.Thread(target=demote, args=(pair[one][0], pair[1 - one][1], start, ends)) for one in (0, 1)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sorted(ends) == ["done", "refused"]
        with unit_of_work(platform.session):
            for row in platform.session.scalars(select(Membership).where(Membership.role == "dispatcher")):
                if row.user_id != platform.dana.id:
                    row.role = "partner_admin"


def test_the_form_says_what_is_wrong(platform: Platform) -> None:
    alma = platform.browser(platform.alma)
    for email, name, said in (
        ("", " ", 2),
        ("nobody", "x" * 10_000, 2),
        ("a" * 10_000 + "@mail.example", "🚪\u202e", 1),
        (platform.dana.email.upper(), "Dana again", 1),
    ):
        assert invite(alma, email, name).status_code == 422
        assert len(problems(alma)) == said, (email[:20], problems(alma))
    sent = {"version": "0", "name": "Jordan", "email": "jordan@mail.example"}
    for role in ("operator", "customer", ""):
        assert alma.post(f"{STAFF}new/", {**sent, "role": role}).status_code == 422
    assert platform.session.scalars(select(Invitation)).all() == []


def test_an_invitation_is_sent_again_taken_back_and_runs_out(platform: Platform) -> None:
    alma, jordan = platform.browser(platform.alma), platform.browser()
    assert invite(alma, "Jordan@Mail.example").status_code == 200
    assert invite(alma, "jordan@mail.example").status_code == 422
    assert "invited already" in problems(alma)[0]
    assert invite(alma, "jordan@mail.example", role="partner_admin").status_code == 422
    first = platform.link()
    before = platform.invitation("jordan@mail.example")
    for _ in range(3):
        assert jordan.get(first).status_code == 200
    assert platform.invitation("jordan@mail.example").version == before.version
    alma.get(STAFF)
    alma.submit(button="Send again")
    # the message of the first sending is there; one that had not gone out would be skipped
    second = platform.link()
    assert first != second
    assert jordan.get(first).status_code == 404
    for wrong in (second[:-1], f"{second}A", "/invitation/x", f"/invitation/{'é' * 300}"):
        assert jordan.get(wrong).status_code == 404
    assert jordan.get(second).status_code == 200

    with time_machine.travel(datetime.now(UTC) + timedelta(days=7, minutes=1), tick=False):
        late = platform.browser()
        assert late.get(second).status_code == 410
        assert "has run out" in late.text
        assert late.post(second, {"name": "Jordan", "password": LONG}).status_code == 410
    alma.get(STAFF)
    alma.submit(button="Take back")
    assert jordan.get(second).status_code == 410
    assert jordan.post(f"{second}/accept").status_code == 303
    # invited anew, and taken back before the worker came to send it
    invite(alma, "jordan@mail.example")
    alma.get(STAFF)
    alma.submit(button="Take back")
    assert platform.run_worker().skipped == 1
    key = platform.invitation("jordan@mail.example").id
    assert alma.post(f"/admin/invitations/{key}/resend").status_code == 409
    assert platform.session.scalars(select(User).where(User.email == "jordan@mail.example")).first() is None


def test_no_answer_tells_whether_the_invited_address_has_an_account(platform: Platform) -> None:
    alma, answers = platform.browser(platform.alma), []
    tom = platform.tom
    for email in (tom.email, "newcomer@mail.example"):
        shown = invite(alma, email).get_data(as_text=True)
        site, link = platform.browser(), platform.link()
        page = site.get(link).get_data(as_text=True)
        sent = site.submit({"name": "Jordan Ames", "password": LONG})
        again = site.get(link).get_data(as_text=True)
        told = [text.replace(email, "…") for text in (shown, page, sent.get_data(as_text=True), again)]
        # but for tokens, numbers of rows and times of day
        answers.append([re.sub(r"[\w.-]{40,}|(?<=[/=])\d+|\d+:\d\d", "", text) for text in told])
        assert site.url == link
    assert answers[0][1:] == answers[1][1:]
    # the account that was there is untouched; the new one has the password, and neither is staff before accepting
    assert platform.memberships(tom) == []
    back = platform.browser()
    back.sign_in(tom)
    assert back.status == 200
    tom_at_work = platform.browser()
    tom_at_work.sign_in(tom, LONG)
    assert tom_at_work.url.startswith("/login")

    newcomer = platform.browser()
    newcomer.get(platform.link())
    newcomer.sign_in("newcomer@mail.example", LONG)
    assert newcomer.last is not None
    assert newcomer.last.status_code == 403


def test_only_who_is_invited_accepts_and_only_once(platform: Platform) -> None:
    alma = platform.browser(platform.alma)
    invite(alma, platform.tom.email, role="partner_admin")
    link = platform.link()
    dana = platform.browser(platform.dana)
    dana.get(link)
    assert "You are signed in as" in dana.text
    assert dana.page.select("form[action$=accept]") == []
    assert dana.post(f"{link}/accept").status_code == 409
    tom = platform.browser()
    tom.get(link)
    tom.submit({"name": "Tom", "password": "short"})
    assert "12 to 1024 characters" in problems(tom)[0]
    assert tom.page.select_one("input[name=name]")["value"] == "Tom"  # type: ignore[index]
    tom.client.get("/login", query_string={"next": link})
    tom.sign_in(platform.tom)
    tom.get(link)
    assert tom.client.post(f"{link}/accept").status_code == 400
    tom.submit(button="Accept")
    assert tom.url == "/admin/"
    assert platform.memberships(platform.tom) == [(platform.acme.id, "partner_admin", True)]
    assert tom.post(f"{link}/accept").status_code == 410
    # technician he still is
    assert tom.get("/field/").status_code == 200
    # who was deactivated is staff again by a new invitation
    alma.get(edit(platform, platform.tom))
    alma.submit(action="/deactivate")
    assert tom.get("/admin/").status_code == 403
    invite(alma, platform.tom.email)
    tom.get(platform.link())
    tom.submit(button="Accept")
    assert platform.memberships(platform.tom) == [(platform.acme.id, "dispatcher", True)]


def test_the_log_shows_the_message_without_the_link(
    platform: Platform, caplog: pytest.LogCaptureFixture, make_app: Callable[..., Flask]
) -> None:
    alma, dana = platform.browser(platform.alma), platform.browser(platform.dana)
    invite(alma, "jordan@mail.example")
    link = platform.link()
    token = link.rpartition("/")[2]
    message = platform.session.scalars(select(Message).where(Message.kind == "invitation")).one()
    assert token not in message.body + message.body_html
    dana.get("/admin/messages/", query_string={"q": "Jordan"})
    assert "jordan@mail.example" in dana.text
    for path in ("", "/letter"):
        page = dana.get(f"/admin/messages/{message.id}{path}").get_data(as_text=True)
        assert "Jordan Ames" in page
        assert token not in page
    caplog.set_level("INFO")
    dana.get(link)
    assert caplog.records
    assert token not in caplog.text
    # in the demo, where no message leaves the machine, the admin can follow it and the dispatcher cannot
    demo = make_app(doorstep_env="demo", secret_key="test" * 8, security_password_salt="test" * 8)
    admin, dispatcher = Site(demo.test_client()), Site(demo.test_client())
    for site, user in ((admin, platform.alma), (dispatcher, platform.dana)):
        site.sign_in(user, PASSWORD)
    admin.get(STAFF)
    assert admin.page.select(f'a[href="{link}"]')
    assert dispatcher.get(STAFF).status_code == 403
    alma.get(STAFF)
    assert alma.page.select(f'a[href="{link}"]') == []


def test_an_invitation_is_in_the_partners_language(platform: Platform) -> None:
    with unit_of_work(platform.session):
        platform.session.get_one(Partner, platform.acme.id).locale = "de_DE"
    invite(platform.browser(platform.alma), "jordan@mail.example")
    platform.link()
    message = platform.session.scalars(select(Message).where(Message.kind == "invitation")).one()
    assert '<html lang="de-DE">' in message.body_html
    assert "Einladung" in message.body_html


def test_technicians_and_customers_are_invited_from_their_record(
    platform: Platform, create_technician: Create, create_customer: Create
) -> None:
    technician = create_technician(platform.acme, name="Ines Kowalski", email="ines@mail.example")
    customer = create_customer(platform.acme, name="Priya Raman", email="priya@mail.example")
    silent = create_technician(platform.acme, name="Nobody")
    dana = platform.browser(platform.dana)
    for name, row, model, home in (
        ("technicians", technician, Technician, "/field/"),
        ("customers", customer, Customer, "/my/"),
    ):
        dana.get(f"/admin/{name}/edit/?id={row.id}")
        dana.submit(button=f"Invite at {row.email}")
        assert "the invitation works until" in dana.text
        dana.submit(button="Send again")
        person = platform.browser()
        person.get(platform.link())
        person.submit({"name": row.name, "password": LONG})
        person.submit({"email": row.email, "password": LONG}, action="/login")
        person.submit(button="Accept")
        assert person.url == home
        platform.session.rollback()
        assert platform.session.get_one(model, row.id, populate_existing=True).user_id is not None
        dana.get(f"/admin/{name}/edit/?id={row.id}")
        assert f"{row.name} can sign in." in dana.text
        assert dana.post(f"/admin/invitations/{name}/{row.id}").status_code == 409
    assert dana.post(f"/admin/invitations/technicians/{silent.id}").status_code == 409
    # a log-in that came meanwhile is not taken over by an invitation from before
    late = create_technician(platform.acme, name="Late", email=platform.cleo.email)
    assert dana.post(f"/admin/invitations/technicians/{late.id}").status_code == 302
    with unit_of_work(platform.session):
        platform.session.get_one(Technician, late.id).user_id = platform.tom.id
    cleo = platform.browser(platform.cleo)
    assert cleo.post(f"{platform.link()}/accept").status_code == 409
    # a dispatcher invites no staff, and takes no invitation to the staff back
    invite(platform.browser(platform.alma), "jordan@mail.example")
    key = platform.invitation("jordan@mail.example").id
    assert dana.get(f"{STAFF}new/").status_code == 403
    for act in ("resend", "revoke"):
        assert dana.post(f"/admin/invitations/{key}/{act}").status_code == 409
    assert platform.invitation("jordan@mail.example").sending == 1


def test_a_password_chosen_on_a_page_whose_session_was_replaced_is_asked_for_again(platform: Platform) -> None:
    invite(platform.browser(platform.alma), "jordan@mail.example")
    site, link = platform.browser(), platform.link()
    site.open_beside_another(link)
    assert site.submit({"name": "Jordan Lee", "password": LONG}, action=link).status_code == 400
    assert "The page was out of date. Enter the password once more." in site.text
    assert LONG not in site.page.decode()
    site.submit({"password": LONG}, action=link)
    assert "Now sign in as jordan@mail.example" in site.text


def test_guessing_behind_a_link_is_slowed_down(platform: Platform, make_app: Callable[..., Flask]) -> None:
    invite(platform.browser(platform.alma), "jordan@mail.example")
    site, link = Site(make_app(throttle=True).test_client()), platform.link()
    for _ in range(int(TRIES_EACH.split()[0])):
        assert site.post(link, {"name": "Jordan", "password": "short"}).status_code == 422
    assert site.post(link, {"name": "Jordan", "password": LONG}).status_code == 429
