"""Message rules and quiet hours in the admin (N1): what everybody has from the start, and changing it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from portal.domain.messages.models import MessageRule, MessageSettings
from portal.domain.people.models import Customer
from portal.domain.settings_log.models import SettingChange
from portal.extensions import db
from tests.helpers import Site
from tests.test_migrations import empty_app

__all__ = ["empty_app"]

Create = Any
pytestmark = pytest.mark.row("N1")

# What every partner has from the start; written down here, not read from the code.
USUAL = [
    ("booked", "email", None, None, None, False),
    ("cancelled", "email", None, None, None, False),
    ("contract", "email", None, None, None, False),
    ("moved", "email", None, None, None, False),
    ("on_the_way", "email", None, None, None, False),
    ("on_the_way", "text", None, None, None, False),
    ("please_confirm", "email", None, None, 4320, True),
    ("reminder", "email", None, None, 120, False),
    ("reminder", "email", 1, "18:00", None, False),
    ("reminder", "text", None, None, 120, False),
    ("technician_assigned", "email", None, None, None, False),
    ("technician_cancelled", "email", None, None, None, False),
    ("technician_moved", "email", None, None, None, False),
    ("technician_relieved", "email", None, None, None, False),
]
OLD_PARTNER = """
INSERT INTO partners (id, name, slug, timezone, job_prefix, next_job_number, phone, brand_colour, staff_term,
    customer_term, status_labels, version, created_at)
VALUES (7, 'Old', 'old', 'Europe/London', 'O', 1, '', '#000000', '', '', '{}', 1, '2026-01-01 00:00:00')
"""
OLD_RULE = """
INSERT INTO message_rules (partner_id, kind, channel, enabled, days_before, local_time)
VALUES (7, :kind, 'email', :enabled, :days, :clock)
"""


@pytest.fixture
def partner(create_partner: Create) -> Any:
    return create_partner(name="Brightwell")


@pytest.fixture
def office(site: Site, partner: Any, create_staff: Create) -> Site:
    """The admin of ``partner``, signed in."""
    site.sign_in(create_staff(partner, role="partner_admin"))
    return site


def rules_of(session: Session, partner: Any) -> list[MessageRule]:
    session.rollback()
    query = select(MessageRule).where(MessageRule.partner_id == partner.id).order_by(MessageRule.id)
    return list(session.scalars(query, execution_options={"populate_existing": True}))


def told(rules: Iterable[Any]) -> list[tuple[object, ...]]:
    """What rules of these kinds that are on say, by kind, channel and days before."""
    kinds = {line[0] for line in USUAL}
    return [
        (
            rule.kind,
            rule.channel,
            rule.days_before,
            f"{rule.local_time:%H:%M}" if rule.local_time else None,
            rule.minutes_before,
            rule.unconfirmed_only,
        )
        for rule in sorted(rules, key=lambda rule: (rule.kind, rule.channel, rule.days_before or 0))
        if rule.enabled and rule.kind in kinds
    ]


def test_a_new_partner_starts_with_the_usual_rules(session: Session, partner: Any) -> None:
    assert told(rules_of(session, partner)) == USUAL
    quiet = session.scalars(select(MessageSettings).where(MessageSettings.partner_id == partner.id)).one()
    assert (str(quiet.quiet_from), str(quiet.quiet_until)) == ("21:00:00", "07:00:00")


def test_partners_that_are_there_get_them_too(empty_app: Flask) -> None:
    """A partner with the rules of before, one of them switched off."""
    with empty_app.app_context():
        flask_migrate.upgrade(revision="0010")
        with db.engine.begin() as connection:
            connection.execute(text(OLD_PARTNER))
            for kind in ("booked", "moved", "cancelled", "reminder", "on_the_way", "contract"):
                days, clock = (1, "18:00:00.000000") if kind == "reminder" else (None, None)
                values = {"kind": kind, "enabled": kind != "moved", "days": days, "clock": clock}
                connection.execute(text(OLD_RULE), values)
        flask_migrate.upgrade()
        with db.engine.begin() as connection:
            found = told(connection.execute(select(MessageRule.__table__)))
            assert found == [line for line in USUAL if line[0] != "moved"]
            assert connection.scalar(text("SELECT count(*) FROM message_settings")) == 1


def test_rules_are_added_changed_and_switched_off(office: Site, session: Session, partner: Any) -> None:
    office.get("/admin/message-rules/")
    for words in ("the day before at 18:00", "2 hours before", "3 days before, to the minute, only if not confirmed"):
        assert words in office.text
    office.get("/admin/message-rules/new/")
    office.submit(
        {"kind": "reminder", "channel": "text", "moment": "clock", "days_before": "3", "local_time": "7:30"},
        button="Add rule",
    )
    assert "Reminder (Text), 3 days before at 7:30 is added." in office.text
    rule = rules_of(session, partner)[-1]
    assert rule.local_time is not None
    assert (rule.days_before, f"{rule.local_time:%H:%M}", rule.minutes_before, rule.enabled) == (3, "07:30", None, True)
    edit = "/admin/message-rules/edit/"
    office.get(edit, query_string={"id": rule.id})
    office.submit({"moment": "length", "length": "90", "unit": "minutes", "unconfirmed_only": "y"}, button="Save Rem")
    assert "90 minutes before, only if not confirmed is saved." in office.text
    office.get(edit, query_string={"id": rule.id})
    office.submit(button="Deactivate Reminder")
    changed = rules_of(session, partner)[-1]
    assert (changed.days_before, changed.local_time, changed.minutes_before) == (None, None, 90)
    assert (changed.unconfirmed_only, changed.enabled) == (True, False)
    changes = session.scalars(select(SettingChange).order_by(SettingChange.id)).all()
    assert [change.subject for change in changes] == ["message_rule"] * 3
    assert changes[1].before["days_before"] == 3
    assert changes[2].after == {"enabled": False}
    office.get("/admin/settings-changes/")
    assert "Reminder, Text" in office.text


def test_wrong_input_is_said_at_its_field(office: Site, session: Session, partner: Any) -> None:
    before = told(rules_of(session, partner))
    by_clock, by_length = {"moment": "clock", "kind": "reminder"}, {"moment": "length", "kind": "reminder"}
    for typed, said in (
        (by_clock | {"days_before": "61"}, "Enter days between 0 and 60"),
        (by_clock | {"days_before": "soon"}, "Enter a whole number"),
        (by_clock | {"days_before": ""}, "Enter days between 0 and 60"),
        (by_clock | {"local_time": "25:00"}, "Enter a time of day, such as 18:00"),
        (by_clock | {"local_time": ""}, "Enter a time of day"),
        (by_clock, "There is such a rule already"),
        (by_length | {"length": "14", "unit": "minutes"}, "Enter a time between 15 minutes and 60 days"),
        (by_length | {"length": "99999999999999"}, "Enter a time between 15 minutes and 60 days"),
        (by_length | {"length": ""}, "Enter a time between 15 minutes and 60 days"),
        (by_length, "There is such a rule already"),
        ({"kind": "booked"}, "There is such a rule already"),
        ({"kind": "invitation"}, "Not a valid choice"),
    ):
        office.get("/admin/message-rules/new/")
        assert office.submit(typed, button="Add rule").status_code == 422
        assert said in office.text, typed
    assert told(rules_of(session, partner)) == before


def test_quiet_hours_are_set_and_taken_away(office: Site, session: Session, partner: Any) -> None:
    page = "/admin/quiet-hours/"
    for typed, said in (
        ({"quiet_from": ""}, "Enter both times, or neither"),
        ({"quiet_until": ""}, "Enter both times, or neither"),
        ({"quiet_from": "7:00", "quiet_until": "7:00"}, "Enter another time than the first"),
        ({"quiet_from": "late"}, "Enter a time of day"),
    ):
        office.get(page)
        assert office.submit(typed, button="Save").status_code == 422
        assert said in office.text
    for typed, kept in (
        ({"quiet_from": "22:15", "quiet_until": "7:00"}, ("22:15:00", "07:00:00")),
        ({"quiet_from": "", "quiet_until": ""}, ("None", "None")),
    ):
        office.get(page)
        office.submit(typed, button="Save")
        assert "It holds from now on." in office.text
        session.rollback()
        query = select(MessageSettings).where(MessageSettings.partner_id == partner.id)
        row = session.scalars(query, execution_options={"populate_existing": True}).one()
        assert (str(row.quiet_from), str(row.quiet_until)) == kept
    assert session.scalars(select(SettingChange.subject)).all() == ["quiet_hours"] * 2


def test_a_customer_may_live_elsewhere(office: Site, session: Session, partner: Any, create_customer: Create) -> None:
    customer = create_customer(partner, name="Priya Raman")
    for zone, status in (("Atlantis/Deep", 422), ("Europe/Lisbon", 200)):
        office.get("/admin/customers/edit/", query_string={"id": customer.id})
        assert office.submit({"timezone": zone}, button="Save Priya").status_code == status
        assert ("Enter a time zone such as Europe/London" in office.text) == (status == 422)
    session.rollback()
    assert session.get_one(Customer, customer.id, populate_existing=True).timezone == "Europe/Lisbon"
