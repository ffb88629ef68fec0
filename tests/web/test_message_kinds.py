"""Words for what is no visit (N2): requests for new service and invitations; and until when a visit may be changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from sqlalchemy import select

from portal.domain.actor import Actor, Role
from portal.domain.jobs import services as jobs
from portal.domain.jobs.models import Appointment
from portal.domain.messages.models import WORDED, Channel, Message, MessageKind
from portal.domain.messages.queries import facts_of, request_facts
from portal.domain.messages.services import announce
from portal.domain.messages.showing import facts_about, rows_to_show
from portal.domain.messages.templates import Place, Words, errors_in, save_words, warnings_about
from portal.domain.people.invitations import InvitationInput, invite_customer, invite_staff
from portal.domain.people.models import Contact, Customer, Invitation, Partner, User
from portal.domain.people.services import AddressInput
from portal.domain.requests import new_service as requests
from portal.domain.requests.dates import Part, PreferredDate
from portal.domain.scheduling.models import ControlOverride
from portal.domain.unit_of_work import unit_of_work
from portal.web.i18n import LANGUAGES
from portal.web.letters.rendering import Renderer
from tests.factories import Create, save
from tests.helpers import Site
from tests.web.office import NOW, TUESDAY, Office, clock, office
from tests.web.test_channels import post
from tests.web.test_message_words import LIST, alma, preview, send, typed_in, versions

__all__ = ["alma", "clock", "office", "post", "send"]

Send = Callable[[], list[Any]]
BOOKED = Place(MessageKind.BOOKED, Channel.EMAIL, "en_GB")
OFFERED = f"{LIST}request_offered/email/en"
INVITATION = f"{LIST}invitation/email/en"
BOTH = {"reschedule_unconfirmed": True, "cancel_unconfirmed": True, "reschedule_confirmed": True}


@pytest.fixture
def priya(office: Office, create_user: Create) -> Any:
    """The customer's log-in."""
    user = create_user(name="Priya Raman", email="priya@mail.example")
    with unit_of_work(office.session) as session:
        session.get_one(Customer, office.customer.id).user_id = user.id
    return user


@pytest.fixture
def ask(office: Office, priya: Any) -> Callable[[], int]:
    """Let Priya ask for a heat pump on Thursday morning; returns the key of the request."""
    keys: list[int] = []

    def request() -> int:
        customer = office.customer
        dates = [PreferredDate(date(2026, 11, 26), Part.MORNING)]
        place = AddressInput(None, "")
        form = f"{len(keys):032x}"
        wish = requests.ServiceWish(customer.id, office.kind.id, customer.addresses[0].id, place, dates, "", form)
        partner_ids = frozenset({office.partner.id})
        actor = Actor(priya.id, Role.CUSTOMER, "Priya Raman", partner_ids, customer_ids=frozenset({customer.id}))
        keys.append(office.do(requests.request_service, wish, actor=actor).id)
        return keys[-1]

    return request


@pytest.fixture
def invite(app: Flask, office: Office, create_staff: Create) -> Callable[..., Invitation]:
    """Invite somebody to Acme's staff, or its customer."""
    rose = create_staff(office.partner, role="partner_admin", name="Rose Whitcombe")
    actor = Actor(rose.id, Role.PARTNER_ADMIN, "Rose Whitcombe", frozenset({office.partner.id}))

    def send_out(customer: Customer | None = None) -> Invitation:
        key = app.config["SECRET_KEY"]
        with unit_of_work(office.session) as session:
            if customer is not None:
                invitation = invite_customer(session, actor, datetime.now(UTC), key, customer.id)
            else:
                form = InvitationInput("Jordan Ames", "jordan@mail.example", "dispatcher")
                invitation = invite_staff(session, actor, datetime.now(UTC), key, office.partner.id, form)
            session.flush()
            session.refresh(invitation)
            session.expunge(invitation)
        return invitation

    return send_out


def words(office: Office, place: Place, **said: str) -> None:
    """Save words for ``place``."""
    actor = Actor(None, Role.PARTNER_ADMIN, "Alma", frozenset({office.partner.id}))
    with unit_of_work(office.session) as session:
        save_words(session, actor, NOW, office.partner.id, place, 0, Words(**{"subject": "x", **said}))


def until(office: Office, job: Any) -> str:
    """Return what the next letter about the visit says in place of the placeholders of Modify."""
    office.session.rollback()
    visit = office.visits(job)[-1]
    renderer: Renderer = office.site.client.application.extensions["letters"]
    facts = facts_about(office.session, datetime.now(UTC), visit.id, BOOKED)
    said = Words("x", "{{ visit.modify_until }}|{{ link.modify }}|x")
    return renderer.letter_of(facts, datetime.now(UTC), said).body.split("|x")[0]


@pytest.fixture(autouse=True)
def renderer(app: Flask) -> Renderer:
    """What writes letters in this test."""
    made = app.extensions["letters"] = Renderer(app.config["SETTINGS"])
    return made


@pytest.mark.row("N2")
@pytest.mark.row("M3")
def test_until_when_a_visit_may_be_changed_stands_in_its_letter_and_the_link_leads_there(
    app: Flask, office: Office, alma: Site, priya: Any, send: Send, set_controls: Create
) -> None:
    set_controls(office.partner, self_service=True, reschedule_cutoff_hours=24, cancel_cutoff_hours=48, **BOTH)
    with unit_of_work(office.session) as session:
        # An hour ahead of London.
        session.get_one(Partner, office.partner.id).timezone = "Europe/Berlin"
        ravi = {"name": "Ravi", "email": "ravi@mail.example", "gets_visits": True}
        session.add(Contact(partner_id=office.partner.id, customer_id=office.customer.id, **ravi))
    job = office.create()
    visit = office.visits(job)[-1]
    to_priya, to_ravi = sorted(send(), key=lambda letter: str(letter.recipient))
    assert "you can change the visit yourself until Mon 23 Nov, 10:00." in to_priya.body
    path = f"/my/visits/{visit.id}/modify"
    url = app.config["SETTINGS"].base_url + path
    assert f"Change the visit: {url}\n" in to_priya.body
    link = BeautifulSoup(to_priya.body_html, "html.parser").find("a", string="Change the visit")
    assert link is not None
    assert link["href"] == url
    browser = Site(app.test_client())
    browser.sign_in(priya)
    assert browser.get(path).status_code == 200
    assert "Move it to another time" in browser.text
    # Who cannot sign in is not told to.
    assert "please tell us as early as you can" in to_ravi.body
    assert path not in to_ravi.body
    # The partner's own words, tried by somebody who is not the customer.
    alma.get(f"{LIST}booked/email/en")
    own = {"subject": "x", "body": "{{ visit.modify_until }}, {{ link.modify }}", "body_html": ""}
    alma.submit(own, button="Send a test to")
    [test] = send()
    assert test.body.startswith(f"Mon 23 Nov, 10:00, {app.config['SETTINGS'].base_url}/my/\n")
    alma.submit(own, button="Save, effective")
    assert "Mon 23 Nov, 10:00" in preview(alma)
    with unit_of_work(office.session) as session:
        session.get_one(User, priya.id).locale = "de_DE"
        announce(session, MessageKind.MOVED, session.get_one(Appointment, visit.id), datetime.now(UTC))
    german = next(letter for letter in send() if letter.recipient == "priya@mail.example")
    assert "können Sie den Besuch bis Mo., 23. Nov., 10:00 selbst ändern." in german.body
    assert f"Besuch ändern: {url}\n" in german.body


@pytest.mark.row("N2")
@pytest.mark.row("M2")
def test_until_when_follows_the_one_rule_of_modify_and_is_blank_where_that_says_no(
    office: Office, priya: Any, clock: Any, set_controls: Create
) -> None:
    job = office.create()
    link = f"|{office.site.client.application.config['SETTINGS'].base_url}/my/visits/{office.visits(job)[-1].id}/modify"
    assert until(office, job) == "|"
    set_controls(office.partner, self_service=True, reschedule_cutoff_hours=24, cancel_cutoff_hours=2, **BOTH)
    # The later of the two, as long as one of them is possible.
    assert until(office, job) == f"Tue 24 Nov, 7:00{link}"
    set_controls(office.partner, cancel_unconfirmed=False)
    assert until(office, job) == f"Mon 23 Nov, 9:00{link}"
    # Without a cutoff it is the start itself; the job's own control wins over the partner's.
    row = ControlOverride(partner_id=office.partner.id, job_id=job.id, reschedule_cutoff_hours=0)
    save(office.session, row)
    assert until(office, job) == f"Tue 24 Nov, 9:00{link}"
    clock.move_to(TUESDAY)
    assert until(office, job) == "|"
    clock.move_to(NOW)
    set_controls(office.partner, max_moves=0)
    assert until(office, job) == "|"
    # Nothing is changed any more while the customer's own cancel takes effect.
    set_controls(office.partner, max_moves=5, cancel_unconfirmed=True, cancel_undo_minutes=60)
    assert until(office, job) == f"Tue 24 Nov, 9:00{link}"
    customer = Actor(
        priya.id, Role.CUSTOMER, "Priya", frozenset({office.partner.id}), customer_ids=frozenset({office.customer.id})
    )
    visit = office.visits(job)[-1]
    office.do(jobs.cancel_by_customer, visit.id, "Ill", visit.move_number, actor=customer)
    assert until(office, job) == "|"


@pytest.mark.row("N2")
@pytest.mark.row("M3")
def test_what_letters_need_comes_in_two_statements_however_many_visits_and_letters_there_are(
    office: Office, priya: Any, statements: list[str], create_service_job: Create, set_controls: Create
) -> None:
    set_controls(office.partner, self_service=True, **BOTH)
    keys: list[int] = []
    for count in (1, 4):
        visits = [(TUESDAY + timedelta(days=number), None) for number in range(count)]
        job = create_service_job(office.partner, office.customer, visits, now=NOW)
        # Of the visits none counts twice, however many have set something for them.
        save(office.session, ControlOverride(partner_id=office.partner.id, job_id=job.id, max_moves=3))
        type_id = job.service_type_id
        save(office.session, ControlOverride(partner_id=office.partner.id, service_type_id=type_id, max_moves=2))
        keys += office.session.scalars(select(Message.id).where(Message.job_id == job.id)).all()
        office.session.rollback()
        statements.clear()
        facts = facts_of(office.session, keys)
        assert len([one for one in statements if one.startswith("SELECT")]) == 2
        assert sorted(facts) == sorted(keys)
        for one in facts.values():
            assert one.rules is not None
            assert one.visit in one.rules.visits
            assert one.modify_until(NOW) is not None
        last = facts[keys[-1]].rules
        assert last is not None
        assert len(last.visits) == count
        assert last.controls.max_moves == 3


@pytest.mark.row("N2")
@pytest.mark.row("C5")
def test_words_about_a_request_are_previewed_tried_saved_sent_and_put_back(
    office: Office, alma: Site, ask: Callable[[], int], send: Send
) -> None:
    first, second = ask(), ask()
    assert [letter.subject for letter in send()] == ["We have your request: Heat pump"] * 2
    alma.get(OFFERED)
    assert "As soon as there is such a request, it is shown with one." in alma.text
    assert alma.submit(button="Send a test to").status_code == 200
    assert "There is no such request yet" in alma.text
    # One begins with what is sent so far, shown with a request that was answered so.
    office.do(requests.counter_propose, first, TUESDAY, office.ines.id, despite_warnings=True)
    assert [letter.subject for letter in send()] == ["Does Tue 24 Nov suit you? Heat pump"]
    alma.get(OFFERED)
    assert "Ines Kowalski would come." in preview(alma)
    assert "{{ request.technician }} would come." in typed_in(alma)["body"]
    alma.get(OFFERED, query_string={"about": second})
    assert "No other date was offered for this request." in alma.text
    own = {
        "subject": "{{ request.offered_date }}? {{ request.service }}",
        "body": "{{ request.offered_date }}, {{ request.offered_window }} and not {{ request.dates }}: "
        "{{ link.request }} {{ request.address }}",
        "body_html": '<p>{{ request.offered_date }}</p><script>x</script><a href="{{ link.request }}">Answer</a>',
    }
    alma.get(OFFERED, query_string={"about": first})
    assert alma.submit(own, button="Send a test to").status_code == 200
    [test] = send()
    assert (test.recipient, test.subject) == ("alma@acme.example", "Test: Tue 24 Nov? Heat pump")
    assert "/my/requests/" not in test.body + test.body_html
    alma.submit(own, button="Save, effective")
    assert "Of the HTML these are left out: <script>" in alma.text
    assert [(one.kind, one.number) for one in versions(office)] == [("request_offered", 1)]
    office.do(requests.counter_propose, second, TUESDAY + timedelta(days=1), None, despite_warnings=True)
    [letter] = send()
    assert letter.subject == "Wed 25 Nov? Heat pump"
    assert letter.body.startswith("Wed 25 Nov, 9:00–11:00 and not Thu 26 Nov, morning: http")
    assert f"/my/requests/{second} 14 Alder Close" in letter.body
    assert "<script>" not in letter.body_html
    # Who writes, why, and how to switch it off stand below, as of every other message.
    assert "Acme sends you this because you are their customer." in letter.body
    assert letter.unsubscribe_url in letter.body
    alma.get("/admin/settings-changes/")
    assert "Another date offered, Email, English" in alma.text
    alma.get(OFFERED)
    alma.submit(button="Back to the standard words")
    third = ask()
    office.do(requests.counter_propose, third, TUESDAY, None, despite_warnings=True)
    assert send()[-1].subject == "Does Tue 24 Nov suit you? Heat pump"


@pytest.mark.once
@pytest.mark.row("N2")
def test_words_about_requests_and_invitations_are_refused_as_others_are(
    office: Office, alma: Site, ask: Callable[[], int], invite: Callable[..., Invitation]
) -> None:
    ask()
    invite()
    text, carried = f"{LIST}request_declined/text/en", "{{ link.invitation }}"
    for path, field, typed, said in (
        (OFFERED, "body", "{{ visit.date }}", "there is no placeholder “visit.date”"),
        (OFFERED, "body", "{{ request.answer }}", "there is no placeholder “request.answer”"),
        (OFFERED, "subject", "{{ request.__class__ }}", "there is no placeholder “request.__class__”"),
        (OFFERED, "body_html", "{% for x in range(10**9) %}x{% endfor %}", "only placeholders and conditions"),
        (OFFERED, "body_html", "x" * 100_000, "use 20000 or fewer"),
        (text, "body", "x" * 3_000, "use 2000 or fewer"),
        (text, "body", "{{ request.answer", "Line 1 cannot be understood"),
        (INVITATION, "body", "Come in", "Nobody can accept the invitation by it: {{ link.invitation }} is missing."),
        (INVITATION, "body_html", "<p>Come in</p>", "Nobody can accept the invitation by it"),
        # It would be no link any more.
        (INVITATION, "body", "{{ link.invitation | upper }}", "Nobody can accept the invitation by it"),
        (INVITATION, "body_html", f"<script>{carried}</script><p>Hello</p>", "Nobody can accept the invitation by it"),
        (INVITATION, "body", "{% if link.invitation %}Hello{% endif %}", "Nobody can accept the invitation by it"),
        (
            INVITATION,
            "body",
            f"Hello {{% if invitation.role %}}{carried}{{% endif %}}",
            "Put {{ link.invitation }} outside of conditions: some invitations would not have it.",
        ),
        (INVITATION, "body", "{{ link.my_schedule }}", "there is no placeholder “link.my_schedule”"),
    ):
        alma.get(path)
        assert alma.submit({field: typed}, button="Save, effective").status_code == 422, typed
        assert said in alma.text, typed
        assert alma.page.select_one(f"#{field}-error") is not None
        assert typed_in(alma)[field].strip() == typed.strip()
    assert versions(office) == []
    alma.get(text)
    assert "It does not say who writes" in alma.submit({"body": "{{ request.answer }}"}, button="Preview").text


@pytest.mark.row("N2")
@pytest.mark.row("C9")
def test_words_of_an_invitation_always_carry_its_link_which_nobody_else_is_shown(
    app: Flask, office: Office, alma: Site, invite: Callable[..., Invitation], send: Send
) -> None:
    alma.get(INVITATION)
    assert "As soon as somebody was invited, it is shown with that." in alma.text
    invite()
    [standard] = send()
    assert standard.subject == "Your invitation to Acme"
    own = {
        "subject": "{{ recipient.first_name }}, join {{ partner.name }}",
        "body": "{% if invitation.role %}As {{ invitation.role }} by {{ invitation.inviter }}{% else %}Welcome"
        "{% endif %} until {{ invitation.until }}: {{ link.invitation }}",
        "body_html": "",
    }
    alma.get(INVITATION)
    alma.submit(own, button="Preview without saving")
    assert "As dispatcher by Rose Whitcombe until Fri 27 Nov" in preview(alma)
    assert "/invitation/" not in alma.last.get_data(as_text=True).replace("message-words/invitation/", "")
    alma.submit(own, button="Send a test to")
    [test] = send()
    assert test.subject == "Test: Jordan, join Acme"
    assert "/login" in test.body
    assert "/invitation/" not in test.body + test.body_html
    alma.submit(own, button="Save, effective")
    invite(office.customer)
    [letter] = send()
    assert (letter.recipient, letter.subject) == ("priya@mail.example", "Priya, join Acme")
    assert letter.body.startswith("Welcome until Fri 27 Nov: http")
    link = letter.body.split()[5]
    assert f'href="{link}"' in letter.body_html
    browser = Site(app.test_client())
    assert browser.get("/invitation/" + link.rpartition("/")[2]).status_code == 200
    # What is kept of it opens nothing.
    kept = office.session.scalars(select(Message).where(Message.kind == "invitation").order_by(Message.id.desc()))
    message = kept.first()
    assert message is not None
    office.session.refresh(message)
    assert message.status == "SENT"
    assert letter.secret not in message.body + message.body_html
    assert letter.secret in letter.body


@pytest.mark.once
@pytest.mark.row("N2")
@pytest.mark.row("N3")
def test_an_invitation_whose_own_words_would_lose_its_link_says_the_standard_ones(
    office: Office, invite: Callable[..., Invitation], send: Send
) -> None:
    # What no trial at saving finds: a condition on what somebody is called.
    body = '{% if recipient.first_name == "Jordan" %}Hello{% else %}{{ link.invitation }}{% endif %}'
    words(office, Place(MessageKind.INVITATION, Channel.EMAIL, "en_GB"), body=body)
    invite()
    [letter] = send()
    assert letter.subject == "Your invitation to Acme"
    assert letter.secret in letter.body
    assert letter.note == "Your own words could not be used, so it was sent in the standard ones."


@pytest.mark.row("N2")
@pytest.mark.row("P20")
def test_what_other_partners_have_is_not_there(
    app: Flask, office: Office, ask: Callable[[], int], invite: Callable[..., Invitation], create_partner: Create,
    create_staff: Create,
) -> None:  # fmt: skip
    request, invitation = ask(), invite()
    place = Place(MessageKind.REQUEST_RECEIVED, Channel.EMAIL, "en_GB")
    words(office, place, body="Acme's own words")
    globex = create_partner(name="Globex")
    stranger = Site(app.test_client())
    stranger.sign_in(create_staff(globex, role="partner_admin"))
    for path, key in (("request_received", request), ("invitation", invitation.id)):
        for odd in (key, 0, -1, 10**30, "x"):
            at = f"{LIST}{path}/email/en"
            assert stranger.get(at, query_string={"about": odd}).status_code == 404, (path, odd)
        stranger.get(at)
        assert "Priya" not in stranger.text
        assert "Jordan" not in stranger.text
        assert "As soon as" in stranger.text
        assert stranger.submit({"about": str(key)}, button="Preview without saving").status_code == 404
        stranger.get(f"{LIST}{path}/email/en/versions")
        assert "Nobody has written words of your own here yet." in stranger.text
    # Words hold for who wrote them, whatever others have written of the same kind.
    theirs = Actor(None, Role.PARTNER_ADMIN, "Gus", frozenset({globex.id}))
    for number, said in enumerate(("First", "Second")):
        with unit_of_work(office.session) as session:
            save_words(session, theirs, NOW, globex.id, place, number, Words("x", said))
    key = office.session.scalars(select(Message.id).where(Message.kind == "request_received")).one()
    template = request_facts(office.session, key).template
    assert template is not None
    assert template.body == "Acme's own words"


@pytest.mark.once
@pytest.mark.row("N2")
def test_two_admins_at_once_lose_nothing_of_an_invitation(office: Office, alma: Site) -> None:
    alma.get(INVITATION)
    other = Site(alma.client)
    other.get(INVITATION)
    assert other.submit({"subject": "Theirs"}, button="Save, effective").status_code == 200
    assert alma.submit({"subject": "Mine"}, button="Save, effective").status_code == 409
    assert "Theirs" in alma.text
    assert typed_in(alma)["subject"] == "Mine"
    assert [one.subject for one in versions(office)] == ["Theirs"]


@pytest.mark.once
@pytest.mark.row("N2")
@pytest.mark.row("C9")
def test_the_list_names_every_kind_and_says_which_are_not_the_partners(office: Office, alma: Site) -> None:
    alma.get(LIST)
    hrefs = {str(one["href"]).rpartition("message-words/")[2] for one in alma.page.select("main td a")}
    mails = {f"{kind}/email/{tag}" for kind in WORDED for tag in ("en", "de")}
    texts = {f"{kind}/text/{tag}" for kind in WORDED - {MessageKind.INVITATION} for tag in ("en", "de")}
    assert hrefs == mails | texts
    assert "Messages with a link to sign in or for a new password cannot be changed" in alma.text
    for kind in ("sign_in", "new_password", "use_email"):
        assert alma.get(f"{LIST}{kind}/email/en").status_code == 404


@pytest.mark.once
@pytest.mark.row("N2")
def test_what_one_begins_with_about_a_request_or_an_invitation_says_what_the_standard_words_say(
    office: Office, ask: Callable[[], int], invite: Callable[..., Invitation], renderer: Renderer
) -> None:
    key, declined = ask(), ask()
    office.do(requests.counter_propose, key, TUESDAY, office.ines.id, despite_warnings=True)
    office.do(requests.decline_request, declined, "Too far <away>")
    invite()
    invite(without_login(office))
    kinds = [kind for kind in sorted(WORDED) if kind.startswith(("request", "invitation"))]
    for kind, channel, locale in product(kinds, Channel, LANGUAGES):
        if kind == MessageKind.INVITATION and channel is Channel.TEXT:
            continue
        place = Place.of(kind, channel, locale)
        source = renderer.standard_words(place)
        assert errors_in(place, source) == {}, place
        assert warnings_about(place, source) == [], place
        rows = rows_to_show(office.session, place, 10)
        assert len(rows) == {"request_offered": 1, "request_declined": 1}.get(kind, 2)
        for shown, _, _ in rows:
            facts = facts_about(office.session, NOW, shown, place)
            own, standard = (renderer.letter_of(facts, NOW, one) for one in (source, None))
            assert own.subject == standard.subject, place
            if channel is Channel.TEXT:
                assert own.body.split() == standard.body.split(), place
                continue
            for line in filter(None, standard.body.splitlines()):
                assert line in own.body, place
            soups = [BeautifulSoup(one.body_html, "html.parser") for one in (own, standard)]
            frames = [soup.select_one("main > div") for soup in soups]
            assert len({" ".join(frame.get_text(" ").split()) for frame in frames if frame is not None}) == 1, place


def without_login(office: Office) -> Customer:
    """Return the office's customer, without a log-in so that they can be invited."""
    with unit_of_work(office.session) as session:
        session.get_one(Customer, office.customer.id).user_id = None
    return office.customer
