"""The partner's mail server and text gateway in the office: set, kept secret, tested; the queue; texts in the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text

from portal.domain.delivery.models import ChannelSettings, ChannelTest, Unreachable
from portal.domain.delivery.settings import seal_anew
from portal.domain.delivery.trials import PATIENCE
from portal.domain.messages.models import Channel, Message, MessageKind, MessageRule
from portal.domain.people.models import Customer
from portal.domain.settings_log.models import SettingChange
from portal.domain.unit_of_work import unit_of_work
from portal.domain.vault import Unreadable, Vault
from portal.settings import Settings, SettingsError
from portal.worker.channels import ChannelDown, SendError
from portal.worker.relay import Relay
from portal.worker.store import Store
from tests.factories import Create
from tests.helpers import Site
from tests.web.office import NOW, TUESDAY, Office, clock, office
from tests.web.test_hours import menu

__all__ = ["clock", "office"]

URL = "/admin/channels/"
SECRETS = ("hush-hush", "hushhush", "quiet-path", "hush-horse")
GATEWAY = "jsons://office:hush-hush@sms.example.com/quiet-path"
OWN = {
    "own_mail": "y",
    "sender": "office@acme.example",
    "smtp_host": "mail.acme.example",
    "smtp_port": "587",
    "smtp_security": "starttls",
    "smtp_user": "office",
    "smtp_password": "hush-horse",
    "text_gateway": GATEWAY,
}


@pytest.fixture
def admin(app: Flask, office: Office, create_staff: Create) -> Site:
    """Alma, admin of the same partner, at a browser of her own."""
    site = Site(app.test_client())
    site.sign_in(create_staff(office.partner, role="partner_admin", name="Alma Whitcombe", email="alma@acme.example"))
    return site


@pytest.fixture
def settings(app: Flask) -> Settings:
    found: Settings = app.config["SETTINGS"]
    return found


class Post:
    """Takes everything, or says why not."""

    def __init__(self) -> None:
        self.letters: list[Any] = []
        self.refuses: SendError | None = None

    def __enter__(self) -> Post:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def send(self, letter: Any, now: Any) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.letters.append(letter)


@pytest.fixture
def post() -> Post:
    return Post()


@pytest.fixture
def send(settings: Settings, post: Post, clock: Any) -> Iterator[Callable[[], None]]:
    """Let the worker send everything that is due, through ``post``."""
    store = Store(settings.database_url)

    def run() -> None:
        Relay(store, settings, post, clock=lambda: datetime.now(UTC)).run()

    yield run
    store.close()


def stored(office: Office) -> ChannelSettings:
    office.session.rollback()
    query = select(ChannelSettings).where(ChannelSettings.partner_id == office.partner.id)
    return office.session.scalars(query, execution_options={"populate_existing": True}).one()


# Settings


@pytest.mark.row("N4")
@pytest.mark.row("L1")
def test_secrets_are_set_replaced_and_never_shown(office: Office, admin: Site, settings: Settings) -> None:
    admin.get(URL)
    assert admin.submit(OWN, button="Save").status_code == 200
    assert "Saved." in admin.text
    row = stored(office)
    assert (row.smtp_host, row.smtp_user, row.sender, row.text_service) == (
        "mail.acme.example",
        "office",
        "office@acme.example",
        "jsons",
    )
    assert settings.vault.open(row.smtp_password) == "hush-horse"
    assert settings.vault.open(row.text_gateway) == GATEWAY
    sealed = row.smtp_password, row.text_gateway
    # Blank keeps what there is, whatever else changes.
    admin.get(URL)
    assert "A password is set." in admin.text
    assert "Set: jsons." in admin.text
    admin.submit({"smtp_port": "2525"}, button="Save")
    row = stored(office)
    assert (row.smtp_port, row.smtp_password, row.text_gateway) == (2525, *sealed)
    twilio = f"twilio://AC{'a' * 32}:hushhush{'b' * 24}@15551234567"
    admin.submit({"text_gateway": twilio}, button="Save")
    assert stored(office).text_service == "twilio"
    admin.submit({"no_texts": "y", "smtp_user": ""}, button="Save")
    row = stored(office)
    assert (row.text_gateway, row.text_service, row.smtp_password) == ("", "", "")
    # Neither the pages nor the trail nor the database say any of it.
    changes = office.session.scalars(select(SettingChange).order_by(SettingChange.id)).all()
    assert [one.after.get("smtp_password") for one in changes] == ["set", None, None, ""]
    assert [one.after.get("text_gateway") for one in changes] == ["set", None, "set anew", ""]
    shown = [admin.get(URL).text, admin.get("/admin/settings-changes/").text]
    assert "Mail server and texts" in admin.text
    assert "set anew" in admin.text
    rows = office.session.execute(text("SELECT * FROM channel_settings")).all()
    for page in (*shown, str(rows), *(str(one.__dict__) for one in changes)):
        assert not any(secret in page for secret in SECRETS)


@pytest.mark.row("N4")
def test_what_cannot_work_is_refused_at_its_field(office: Office, admin: Site) -> None:
    wrong = (
        ({"smtp_host": ""}, "Enter the name of your mail server"),
        ({"smtp_host": "mail server"}, "Enter a name such as mail.example.com"),
        ({"smtp_port": "70000"}, "Enter a whole number from 1 to 65535"),
        ({"smtp_port": "x"}, "Enter a whole number"),
        ({"sender": ""}, "Enter the address that your mail comes from"),
        ({"sender": "office"}, "Enter an email address"),
        ({"smtp_security": "none"}, "A password is only sent over an encrypted connection"),
        ({"smtp_security": "magic"}, "Choose one of the list"),
        ({"smtp_password": ""}, "Enter the password of this user"),
        ({"smtp_user": ""}, "Enter the user whom the password belongs to"),
        ({"text_gateway": "file:///etc/passwd"}, "Begin with one of these"),
        ({"text_gateway": "exec://run"}, "Begin with one of these"),
        ({"text_gateway": "mailto://a:b@example.com"}, "Begin with one of these"),
        ({"text_gateway": "syslog://"}, "Begin with one of these"),
        ({"text_gateway": "twilio://nothing"}, "missing or misspelled"),
        ({"text_gateway": "json://"}, "missing or misspelled"),
        ({"text_gateway": "json://[x"}, "missing or misspelled"),
    )
    admin.get(URL)
    for values, said in wrong:
        answer = admin.submit(OWN | values, button="Save")
        assert answer.status_code == 422, values
        assert said in admin.text, values
        # What was typed is there still, but for the secrets.
        assert admin.page.select_one("[name=smtp_user]")["value"] == (OWN | values)["smtp_user"]  # type: ignore[index]
        assert not any(secret in answer.text for secret in SECRETS)
    assert office.session.scalars(select(ChannelSettings)).all() == []
    office.session.rollback()
    # A password is not told to another server than the one it was entered for.
    admin.submit(OWN, button="Save")
    admin.get(URL)
    assert admin.submit({"smtp_host": "mail.evil.example"}, button="Save").status_code == 422
    assert "Enter the password again" in admin.text


@pytest.mark.row("N4")
def test_two_who_set_it_at_once_are_told(app: Flask, office: Office, admin: Site, create_staff: Create) -> None:
    other = Site(app.test_client())
    other.sign_in(create_staff(office.partner, role="partner_admin"))
    for site in (admin, other):
        site.get(URL)
    admin.submit(OWN, button="Save")
    answer = other.submit(OWN | {"sender": "other@acme.example"}, button="Save")
    assert answer.status_code == 409
    assert "office@acme.example" in other.text
    assert not any(secret in answer.text for secret in SECRETS)
    assert stored(office).sender == "office@acme.example"
    other.submit(OWN | {"sender": "other@acme.example"}, button="Save")
    assert stored(office).sender == "other@acme.example"


@pytest.mark.row("N4")
def test_keys_change_without_a_secret_being_lost(office: Office, settings: Settings) -> None:
    first, second = "first" * 8, "second" * 8
    old, new = Vault([first]), Vault([second, first])
    with unit_of_work(office.session) as session:
        row = ChannelSettings(partner_id=office.partner.id, text_service="json", text_gateway=old.seal(GATEWAY))
        session.add(row)
    with unit_of_work(office.session) as session:
        assert seal_anew(session, new) == 1
    assert Vault([second]).open(stored(office).text_gateway) == GATEWAY
    with pytest.raises(Unreadable):
        old.open(stored(office).text_gateway)
    assert Vault([first]).seal("") == ""
    # Without a key of its own the one made from SECRET_KEY serves; with one, what that sealed is still read.
    sealed = settings.vault.seal("secret")
    later = settings.model_copy(update={"encryption_key": type(settings.encryption_key)(f"{second}, {first}")})
    assert later.vault.open(sealed) == "secret"
    assert Vault([second]).open(later.vault.renew(sealed)) == "secret"
    with pytest.raises(SettingsError, match="ENCRYPTION_KEY is too short"):
        Settings.load(doorstep_env="test", encryption_key=f"{second},short")


# Tests of them


@pytest.mark.row("N4")
def test_a_test_is_sent_by_the_worker_and_its_outcome_told_in_words(
    office: Office, admin: Site, send: Callable[[], None], post: Post, clock: Any
) -> None:
    def said(kind: str) -> str:
        admin.get(URL)
        return " ".join(admin.page.select_one(f"#test-{kind}").get_text(" ").split())  # type: ignore[union-attr]

    assert said("email") == "Not tested yet."
    admin.submit(button="Send a test to alma@acme.example")
    assert said("email").startswith("On its way alma@acme.example")
    admin.submit(button="Send a test to alma@acme.example")
    assert "A test is under way already" in admin.text
    send()
    assert [(one.recipient, one.subject) for one in post.letters] == [("alma@acme.example", "Test from Acme")]
    assert "This is a test that Alma Whitcombe asked for." in post.letters[0].body
    assert said("email").startswith("Taken by the server")

    for number in ("", "abc"):
        assert admin.submit({"number": number}, button="Send a test text").status_code == 422
        assert "Enter a telephone number" in admin.text
    admin.submit({"number": "07700 900233"}, button="Send a test text")
    post.refuses = ChannelDown("HTTP 401", post_fault("sign_in"))
    send()
    assert said("text").startswith("Failed +44 7700 900233")
    assert "The server does not accept our user or password. HTTP 401" in said("text")
    post.refuses = None
    admin.submit({"number": "07700 900233"}, button="Send a test text")
    send()
    assert post.letters[-1].body == "Acme: this is a test. Texts arrive at this number."
    # One whose worker died is not tried for ever, nor does it stand in the way of the next.
    admin.submit({"number": "07700 900233"}, button="Send a test text")
    with unit_of_work(office.session) as session:
        session.scalars(select(ChannelTest).where(ChannelTest.finished_at.is_(None))).one().claimed_at = NOW
    clock.shift(PATIENCE + timedelta(seconds=1))
    send()
    assert "The worker was cut off while sending." in said("text")
    assert admin.post(f"{URL}test/pigeon").status_code == 404
    # The office asks for none, and sees no settings.
    assert office.site.client.get(URL).status_code == 403
    assert office.site.post(f"{URL}test/email").status_code == 403


def post_fault(name: str) -> Any:
    from portal.domain.messages.models import Fault

    return Fault(name)


# What the office sees of it


@pytest.mark.row("N6")
@pytest.mark.row("N4")
def test_a_text_is_read_in_the_log_as_on_a_phone_and_attempts_stand_at_the_job(
    office: Office, send: Callable[[], None], post: Post, clock: Any
) -> None:
    with unit_of_work(office.session) as session:
        session.get_one(Customer, office.customer.id).phone = "+44 7700 900200"
        session.add(MessageRule(partner_id=office.partner.id, kind=MessageKind.BOOKED, channel=Channel.TEXT))
    job = office.create(start=TUESDAY)
    post.refuses = ChannelDown("no answer in time", post_fault("silent"))
    send()
    post.refuses = None
    clock.shift(timedelta(minutes=1))
    send()
    site = office.site
    site.get(office.at(job))
    rows = site.page.select("[aria-labelledby=m-h] tbody tr")
    assert ["2 attempts" in row.text for row in rows] == [False, True]
    key = office.session.scalars(select(Message.id).where(Message.channel == "text")).one()
    site.get("/admin/messages/")
    assert "Visit booked Text" in site.text
    site.get(f"/admin/messages/{key}")
    bubble = site.page.select_one(".phone .sms")
    assert bubble is not None
    assert bubble.text.startswith("Acme: Booked: Heat pump on Tue 24 Nov, 9:00-11:00.")
    assert "+44 7700 900200" in site.text
    assert site.client.get(f"/admin/messages/{key}/letter").status_code == 404


@pytest.mark.row("P18")
def test_an_unreachable_customer_stands_in_the_queue_until_somebody_settles_it(
    office: Office, send: Callable[[], None], post: Post
) -> None:
    site = office.site
    with unit_of_work(office.session) as session:
        session.get_one(Customer, office.customer.id).phone = "+44 7700 900200"
    job = office.create(start=TUESDAY)
    post.refuses = SendError("550 no such user", post_fault("address"), is_final=True)
    send()
    site.get("/admin/")
    assert menu(site)["Unreachable customers"] == "1"
    assert site.page.select("#queue-unreachable li a")[0]["href"] == office.at(job)
    assert site.client.get("/admin/attention/unreachable/").location == "/admin/unreachable/"
    site.get("/admin/unreachable/")
    for words in (
        "Priya Raman", "+44 7700 900200", "Visit booked", "There is no such address or number.", "priya@mail.example",
        "550 no such user", "Tue 24 Nov, 9:00–11:00",
    ):  # fmt: skip
        assert words in site.text, words
    assert office.buttons("td.do") == ["Done", "Correct address"]
    site.get(office.at(job))
    assert "There is no such address or number." in site.text
    task = office.session.scalars(select(Unreachable)).one()
    site.get(f"/admin/unreachable/{task.id}/done")
    assert site.submit({"note": " "}, button="Done").status_code == 422
    assert "Say how it was settled" in site.text
    site.submit({"note": "Called, she knows."}, button="Done")
    assert "Every customer could be reached." in site.text
    assert menu(site)["Unreachable customers"] == ""
    site.get("/admin/unreachable/?status=closed")
    assert "Called, she knows." in site.text
    assert "Dana Okafor" in site.text
    assert "Priya Raman" in site.client.get("/admin/unreachable/export/csv/?status=all").text
    assert site.client.get(f"/admin/unreachable/{task.id}/done").status_code == 409
    # A corrected address is written to, and the next task closes by itself.
    office.create(start=TUESDAY + timedelta(days=1))
    send()
    post.refuses = None
    site.get(f"/admin/customers/edit/?id={office.customer.id}")
    site.submit({"email": "raman@mail.example"}, button="Save Priya Raman")
    assert menu(site)["Unreachable customers"] == ""
    site.get("/admin/unreachable/?status=closed")
    assert "Sent again to a corrected address" in site.text
    send()
    assert post.letters[-1].recipient == "raman@mail.example"
