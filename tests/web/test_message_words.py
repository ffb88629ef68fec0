"""The partner's own words for messages (N2) through the real forms: edited, refused, shown, tried, put back, sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import cycle, product
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from sqlalchemy import select

from portal.domain.delivery.models import ChannelTest
from portal.domain.messages.models import WORDED, Channel, Message, MessageKind, MessageRule, MessageTemplate
from portal.domain.messages.services import announce
from portal.domain.messages.showing import facts_about
from portal.domain.messages.templates import About, Place, about, errors_in, warnings_about
from portal.domain.people.models import Customer
from portal.domain.settings_log.models import SettingChange
from portal.domain.unit_of_work import unit_of_work
from portal.settings import Settings
from portal.web.i18n import LANGUAGES
from portal.web.letters.rendering import Renderer
from portal.worker.relay import Relay
from portal.worker.store import Store
from tests.factories import Create
from tests.helpers import Site, fields_of
from tests.web.office import NOW, TUESDAY, Office, clock, office
from tests.web.test_channels import Post, post

__all__ = ["clock", "office", "post"]

LIST = "/admin/message-words/"
BOOKED = f"{LIST}booked/email/en"
REMINDER_TEXT = f"{LIST}reminder/text/en"
OWN = {
    "subject": "{{ visit.service }} for {{ customer.name }}",
    "body": "Hello {{ recipient.first_name }},\n\nsee you {{ visit.date }}, {{ visit.window }}.\n\n{{ partner.name }}",
    "body_html": '<p onclick="x()">Hello {{ customer.name }}, {{ visit.date }}</p><a href="{{ customer.name }}">x</a>',
}
MARKUP = "Priya <img src=x onerror=alert(1)> Raman"


@pytest.fixture
def alma(app: Flask, office: Office, create_staff: Create) -> Site:
    """Alma, admin of the same partner, at a browser of her own."""
    site = Site(app.test_client())
    site.sign_in(create_staff(office.partner, role="partner_admin", name="Alma Whitcombe", email="alma@acme.example"))
    return site


@pytest.fixture
def send(app: Flask, post: Post, clock: Any) -> Iterator[Callable[[], list[Any]]]:
    """Let the worker send everything that is due; returns the letters."""
    settings: Settings = app.config["SETTINGS"]
    store = Store(settings.database_url)

    def run() -> list[Any]:
        post.letters.clear()
        Relay(store, settings, post, clock=lambda: datetime.now(UTC)).run()
        return list(post.letters)

    yield run
    store.close()


def tell(office: Office, kind: MessageKind, job: Any) -> None:
    with unit_of_work(office.session) as session:
        announce(session, kind, office.visits(job)[-1], datetime.now(UTC))


def typed_in(site: Site) -> dict[str, str]:
    """Return what stands in the fields of the editor."""
    return {name: values[0] for name, values in fields_of(site.form(button="Save, effective")).items()}


def versions(office: Office) -> list[MessageTemplate]:
    office.session.rollback()
    return list(office.session.scalars(select(MessageTemplate).order_by(MessageTemplate.id)))


def preview(site: Site) -> str:
    frame = site.page.select_one("iframe[srcdoc]")
    assert frame is not None
    return str(frame["srcdoc"])


@pytest.mark.row("N2")
@pytest.mark.row("L1")
def test_own_words_are_previewed_saved_sent_and_the_standard_ones_put_back(
    office: Office, alma: Site, send: Callable[[], list[Any]]
) -> None:
    with unit_of_work(office.session) as session:
        session.get_one(Customer, office.customer.id).name = MARKUP
    job = office.create()
    alma.get(LIST)
    alma.get(BOOKED)
    # One begins with what is sent so far.
    assert "We come on Tue 24 Nov" in preview(alma)
    assert "{{ visit.date }}" in typed_in(alma)["body"]
    assert alma.submit(OWN, button="Preview without saving").status_code == 200
    assert "Priya &lt;img src=x onerror=alert(1)&gt; Raman, Tue 24 Nov</p>" in preview(alma)
    assert "No such mail any more" in preview(alma)
    assert versions(office) == []
    assert alma.submit(OWN, button="Save, effective").status_code == 200
    assert "Saved. Every message that is not sent yet says it." in alma.text
    tell(office, MessageKind.BOOKED, job)
    [letter] = send()
    assert letter.subject == f"Heat pump for {MARKUP}"
    assert letter.body.startswith("Hello Priya,\n\nsee you Tue 24 Nov, 9:00–11:00.\n\nAcme\n\nAcme sends you this")
    assert letter.unsubscribe_url
    assert f"No such mail any more: {letter.unsubscribe_url}" in letter.body
    assert letter.unsubscribe_url in letter.body_html
    for active in ("<img", "onclick", 'href="Priya'):
        assert active not in letter.body_html
    # Back, and forth again: each is a version, and each is in the log of settings.
    alma.submit(button="Back to the standard words")
    assert "The standard words hold again." in alma.text
    tell(office, MessageKind.MOVED, job)
    alma.get(f"{BOOKED}/versions")
    assert "Alma Whitcombe" in alma.text
    alma.submit(button="Put back Version 1")
    assert typed_in(alma)["subject"] == OWN["subject"]
    assert [(one.number, one.own, one.restored) for one in versions(office)] == [
        (1, True, None), (2, False, None), (3, True, 1)
    ]  # fmt: skip
    changes = office.session.scalars(select(SettingChange).order_by(SettingChange.id)).all()
    assert [(one.subject, one.actor_name) for one in changes] == [("message_template", "Alma Whitcombe")] * 3
    assert changes[1].before["subject"] == OWN["subject"]
    alma.get("/admin/settings-changes/")
    assert "Visit booked, Email, English" in alma.text


@pytest.mark.once
@pytest.mark.row("N2")
def test_words_that_cannot_be_used_are_refused_at_their_field_and_kept(office: Office, alma: Site) -> None:
    buttons = cycle(("Save, effective", "Preview without saving", "Send a test to"))
    for field, typed, said in (
        ("body", "a\n{{ customer.nam }}", "Line 2: there is no placeholder “customer.nam”."),
        ("body", "{{ visit.date", "Line 1 cannot be understood"),
        ("body", "{% for x in range(10**9) %}x{% endfor %}", "Line 1: only placeholders and conditions"),
        ("subject", "{{ partner.name.__class__ }}", "there is no placeholder “partner.name.__class__”"),
        ("body_html", "<p>\n\n{{ ''.__class__ }}</p>", "Line 3: only placeholders and conditions"),
        ("body_html", "x" * 100_000, "It has 100000 characters; use 20000 or fewer."),
        ("body", "\u200b", "Enter the text"),
        ("subject", "", "Enter a subject"),
        # Not in this kind of message.
        ("body", "{{ link.survey }}", "there is no placeholder “link.survey”"),
    ):
        alma.get(BOOKED)
        button = next(buttons)
        assert alma.submit({field: typed}, button=button).status_code == 422, typed
        assert said in alma.text, typed
        assert alma.page.select_one(f"#{field}-error") is not None
        assert typed_in(alma)[field].strip() == typed.strip()
    assert versions(office) == []
    assert office.session.scalars(select(ChannelTest)).all() == []


@pytest.mark.once
@pytest.mark.row("N2")
def test_what_is_more_likely_not_meant_is_said_and_saved_all_the_same(office: Office, alma: Site) -> None:
    office.create()
    long = "Hello from {{ partner.name }}. " + "We look forward to it. " * 8
    alma.get(f"{LIST}technician_assigned/email/en")
    assert "Nobody is assigned to this visit." in alma.text
    for place, typed, said in (
        ("please_confirm/email/en", {"body": "Hello", "body_html": ""}, "Nobody can confirm by it"),
        ("reminder/email/en", {"body": "{{ visit.date }}", "body_html": "<p>Soon</p>"}, "In the HTML: It does not say"),
        ("reminder/email/en", {"body": "{{ visit.date }}", "body_html": "<font>{{ visit.date }}"}, "left out: <font>"),
        ("reminder/text/en", {"body": "On {{ visit.date }}"}, "It does not say who writes"),
        ("reminder/text/en", {"body": long + "{{ visit.date }}"}, "Filled in like this it is 2 texts long."),
        ("reminder/text/en", {"body": "{{ partner.name }} ☀ {{ visit.date }}"}, "17 of 70 characters, 1 text"),
        (
            "reminder/text/en",
            {"body": "{{ partner.name }}: {{ visit.window }}"},
            "Acme: 9:00-11:00 16 of 160 characters",
        ),
    ):
        alma.get(LIST + place)
        assert alma.submit(typed, button="Save, effective").status_code == 200
        assert said in alma.text, typed
    assert len(versions(office)) == 7


@pytest.mark.once
@pytest.mark.row("N2")
@pytest.mark.parametrize("can_change", [False, True])
def test_what_one_begins_with_says_what_the_standard_words_say(
    app: Flask, office: Office, create_user: Create, set_controls: Create, can_change: bool
) -> None:
    if can_change:
        set_controls(office.partner, self_service=True, cancel_unconfirmed=True)
        user = create_user()
        with unit_of_work(office.session) as session:
            session.get_one(Customer, office.customer.id).user_id = user.id
    visit = office.visits(office.create(technician=office.tomas))[-1]
    renderer = Renderer(app.config["SETTINGS"])
    kinds = [kind for kind in sorted(WORDED) if about(kind) is About.VISIT]
    for kind, channel, locale in product(kinds, Channel, LANGUAGES):
        place = Place.of(kind, channel, locale)
        words = renderer.standard_words(place)
        assert errors_in(place, words) == {}, place
        assert warnings_about(place, words) == [], place
        facts = facts_about(office.session, NOW, visit.id, place)
        own, standard = (renderer.letter_of(facts, NOW, one) for one in (words, None))
        assert own.subject == standard.subject, place
        if channel is Channel.TEXT:
            assert own.body.split() == standard.body.split(), place
            continue
        for line in filter(None, standard.body.splitlines()):
            assert line in own.body, place
        frames = [BeautifulSoup(letter.body_html, "html.parser").select_one("main > div") for letter in (own, standard)]
        assert len({" ".join(frame.get_text(" ").split()) for frame in frames if frame is not None}) == 1, place


@pytest.mark.once
@pytest.mark.row("N2")
def test_each_reader_gets_the_words_of_their_language_and_channel(
    office: Office, alma: Site, send: Callable[[], list[Any]], create_user: Create
) -> None:
    job = office.create()
    with unit_of_work(office.session) as session:
        session.get_one(Customer, office.customer.id).phone = "+441174960123"
        session.add(MessageRule(partner_id=office.partner.id, kind="moved", channel="text"))
    for place, words in (
        ("moved/text/en", {"body": "{{ partner.name }}: {{ visit.date }} it is"}),
        ("moved/email/de", {"subject": "Verlegt", "body": "Neu: {{ visit.date }}", "body_html": ""}),
    ):
        alma.get(LIST + place)
        alma.submit(words, button="Save, effective")
    tell(office, MessageKind.MOVED, job)
    said = {letter.subject: letter.body for letter in send()}
    assert said[""] == "Acme: Tue 24 Nov it is"
    assert "Moved: Heat pump is now on Tue 24 Nov" in said
    user = create_user(locale="de_DE")
    with unit_of_work(office.session) as session:
        session.get_one(Customer, office.customer.id).user_id = user.id
    tell(office, MessageKind.MOVED, office.create())
    german = {letter.subject: letter.body for letter in send()}
    assert german["Verlegt"].startswith("Neu: Di., 24. Nov.")
    # A text in German was never written, so it is the standard one.
    assert german[""].startswith("Acme: Verschoben: Heat pump")


@pytest.mark.row("N2")
@pytest.mark.row("N3")
def test_words_that_break_when_sent_give_way_to_the_standard_ones_and_the_log_says_so(
    office: Office, alma: Site, send: Callable[[], list[Any]]
) -> None:
    job = office.create()
    with unit_of_work(office.session) as session:
        # As of a version that knew a placeholder which is gone.
        session.add(
            MessageTemplate(
                partner_id=office.partner.id, kind="booked", channel="email", locale="en_GB", number=1,
                subject="x", body="{{ visit.weather }}", saved_at=NOW, saved_by_name="Alma",
            )
        )  # fmt: skip
    tell(office, MessageKind.BOOKED, job)
    [letter] = send()
    assert letter.subject == "Booked: Heat pump on Tue 24 Nov"
    message = office.session.scalars(select(Message).where(Message.kind == "booked")).one()
    office.session.refresh(message)
    assert message.status == "SENT"
    alma.get(f"/admin/messages/{message.id}")
    assert "Your own words could not be used, so it was sent in the standard ones." in alma.text
    # The editor says what is wrong, and nothing breaks there.
    assert alma.get(BOOKED).status_code == 200
    assert "there is no placeholder “visit.weather”" in alma.text


@pytest.mark.once
@pytest.mark.row("N2")
def test_two_admins_at_once_are_shown_both_and_nothing_is_lost(office: Office, alma: Site) -> None:
    alma.get(BOOKED)
    mine, other = dict(typed_in(alma)), Site(alma.client)
    other.get(BOOKED)
    other.submit(OWN | {"subject": "Theirs"}, button="Save, effective")
    assert alma.submit(OWN | {"subject": "Mine"}, button="Save, effective").status_code == 409
    assert "Theirs" in alma.text
    assert "Mine" in alma.text
    assert mine["version"] == "0"
    assert typed_in(alma)["subject"] == "Mine"
    # Sending it once more is a decision.
    assert alma.submit(button="Save, effective").status_code == 200
    assert [one.subject for one in versions(office)] == ["Theirs", "Mine"]
    # What was put back from an old page is refused as well.
    alma.get(f"{BOOKED}/versions")
    other.get(BOOKED)
    other.submit({"subject": "Third"}, button="Save, effective")
    assert alma.submit(button="Put back Version 1").status_code == 409
    assert len(versions(office)) == 3


@pytest.mark.once
@pytest.mark.row("N2")
def test_a_test_goes_to_who_asks_with_the_words_as_typed_and_no_link_that_acts(
    office: Office, alma: Site, send: Callable[[], list[Any]]
) -> None:
    office.create()
    other = office.create(start=TUESDAY + timedelta(days=1))
    send()
    alma.get(f"{LIST}please_confirm/email/en", query_string={"about": office.visits(other)[-1].id})
    typed = {"subject": "Confirm {{ job.number }}", "body": "Here: {{ link.confirm }}", "body_html": ""}
    assert alma.submit(typed, button="Send a test to alma@acme.example").status_code == 200
    assert typed_in(alma)["subject"] == "Confirm {{ job.number }}"
    [letter] = send()
    assert (letter.recipient, letter.subject) == ("alma@acme.example", f"Test: Confirm {other.number}")
    assert "/my/" in letter.body_html
    assert "/confirm/" not in letter.body + letter.body_html
    assert "/unsubscribe/" not in letter.body + letter.body_html
    assert letter.unsubscribe_url == ""
    alma.get(REMINDER_TEXT)
    assert alma.submit({"number": "12"}, button="Send a test text").status_code == 422
    assert alma.submit({"number": "+44 117 496 0123"}, button="Send a test text").status_code == 200
    [text] = send()
    assert text.recipient == "+44 117 496 0123"
    assert text.body.startswith("Acme: Reminder: Heat pump on Wed 25 Nov")
    assert versions(office) == []


@pytest.mark.once
@pytest.mark.row("N2")
def test_who_may_not_and_what_is_not_there(
    app: Flask, office: Office, alma: Site, create_partner: Create, create_staff: Create
) -> None:
    assert office.site.get(BOOKED).status_code == 403
    for path in ("sign_in/email/en", "invitation/text/en", "booked/pigeon/en", "booked/email/fr", "nothing/email/en"):
        assert alma.get(LIST + path).status_code == 404
    globex = create_partner(name="Globex")
    stranger = Site(app.test_client())
    stranger.sign_in(create_staff(globex, role="partner_admin"))
    visit = office.visits(office.create())[-1]
    for key in (visit.id, 10**30, "x"):
        assert stranger.get(BOOKED, query_string={"about": key}).status_code == 404
    stranger.get(BOOKED)
    assert "As soon as there is a visit" in stranger.text
    alma.get(BOOKED)
    alma.submit(OWN, button="Save, effective")
    stranger.get(f"{BOOKED}/versions")
    assert "Nobody has written words of your own here yet." in stranger.text


@pytest.mark.row("N1")
def test_what_follows_a_visit_is_due_as_its_rule_says(
    office: Office, alma: Site, clock: Any, send: Callable[[], list[Any]]
) -> None:
    rules = "/admin/message-rules/"
    alma.get(f"{rules}new/")
    given = {"kind": "follow_up", "moment": "clock", "days_before": "0", "local_time": "10:30"}
    assert alma.submit(given, button="Add rule").status_code == 422
    assert "Enter days between 1 and 60" in alma.text
    alma.submit({"days_before": "2"}, button="Add rule")
    assert "After the visit (Email), 2 days after at 10:30 is added." in alma.text
    alma.get(f"{rules}new/")
    alma.submit({"kind": "follow_up", "moment": "length", "length": "90", "unit": "minutes"}, button="Add rule")
    assert "90 minutes after is added." in alma.text
    job = office.create(start=NOW + timedelta(hours=1), technician=office.tomas)
    office.work_through(job, "set_off", "arrive", "start_work", "complete")
    planned = office.session.scalars(select(Message).where(Message.kind == "follow_up").order_by(Message.due_at)).all()
    assert [one.due_at for one in planned] == [
        NOW + timedelta(minutes=90), datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
    ]  # fmt: skip
    send()
    clock.move_to(NOW + timedelta(minutes=91))
    assert [letter.subject for letter in send()] == ["Thank you: Heat pump on Fri 20 Nov"]
