"""Creating a partner together with the rules it starts with; each can be changed in the admin afterwards."""

from __future__ import annotations

import re
from datetime import datetime, time
from zoneinfo import available_timezones

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.domain.actor import Role
from portal.domain.errors import Invalid, Sentence, sentence
from portal.domain.messages.models import Channel, MessageKind, MessageRule
from portal.domain.people.models import Membership, Partner, User
from portal.domain.scheduling.models import FeatureControls, PauseReason, RejectReason, WorkingHours
from portal.domain.unit_of_work import require_unit_of_work

REMINDER_DAYS_BEFORE = 1
REMINDER_AT = time(18, 0)
PAUSE_REASONS = ("Part needed", "Customer absent", "Unsafe to work", "Weather", "Emergency elsewhere", "Other")
REJECT_REASONS = ("Outside our area", "Not possible at this address", "Ordered twice", "Customer cannot be reached")
WORKDAYS = range(5)
DAY_BEGINS, DAY_ENDS = 8 * 60, 18 * 60


def slug_of(name: str) -> str:
    """Return ``name`` as it stands in addresses: "Acme Home Energy" becomes "acme-home-energy"."""
    return re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:60]


def found_partner(
    session: Session,
    now: datetime,
    name: str,
    timezone: str,
    job_prefix: str,
    admin_email: str,
    admin_name: str,
    password_hash: str,
) -> Partner:
    """Create a partner at ``now`` (an instant) together with its first admin, who signs in by ``admin_email`` (P20).

    Raises ``Invalid`` for a name or address that is taken, an unknown ``timezone`` or an unusable ``job_prefix``. Runs
    within ``unit_of_work``, in a session that sees all partners.
    """
    require_unit_of_work(session)
    slug, email = slug_of(name), admin_email.strip().lower()
    errors: dict[str, Sentence] = {}
    if not slug:
        errors["name"] = sentence("Enter a name with letters")
    elif session.scalars(select(Partner.id).where(Partner.slug == slug)).first() is not None:
        errors["name"] = sentence("There is a partner of that name already")
    if timezone not in available_timezones():
        errors["timezone"] = sentence("Enter a time zone such as Europe/London")
    if not re.fullmatch(r"[A-Z0-9]{1,6}", job_prefix):
        errors["prefix"] = sentence("Enter one to six capital letters or digits")
    if session.scalars(select(User.id).where(User.email == email)).first() is not None:
        errors["admin_email"] = sentence("Somebody has an account with that address already")
    if errors:
        raise Invalid(errors)
    partner = create_partner_with_defaults(session, now, name.strip(), slug, timezone, job_prefix)
    user = User(email=email, name=admin_name.strip(), password=password_hash, created_at=now)
    session.add(user)
    session.flush()
    session.add(Membership(partner_id=partner.id, user_id=user.id, role=Role.PARTNER_ADMIN.value))
    return partner


def create_partner_with_defaults(
    session: Session,
    now: datetime,
    name: str,
    slug: str,
    timezone: str,
    job_prefix: str,
    phone: str = "",
    brand_colour: str = "#2b4a6f",
) -> Partner:
    """Add a partner, created at ``now`` (an instant), and return it.

    It starts with a message rule for each kind by e-mail (the reminder the day before at 18:00 local time), the usual
    reasons for pausing and for rejecting, working hours from Monday to Friday, 8:00 to 18:00, and self-service off
    (M2). Runs within ``unit_of_work``; ``timezone`` is a name such as ``Europe/London``.
    """
    require_unit_of_work(session)
    partner = Partner(
        name=name,
        slug=slug,
        timezone=timezone,
        job_prefix=job_prefix,
        phone=phone,
        brand_colour=brand_colour,
        created_at=now,
    )
    session.add(partner)
    session.flush()
    session.add(FeatureControls(partner_id=partner.id))
    session.add_all(_message_rule(partner, kind) for kind in MessageKind)
    session.add_all(
        PauseReason(partner_id=partner.id, label=label, position=position)
        for position, label in enumerate(PAUSE_REASONS)
    )
    session.add_all(
        RejectReason(partner_id=partner.id, label=label, position=position)
        for position, label in enumerate(REJECT_REASONS)
    )
    session.add_all(
        WorkingHours(partner_id=partner.id, weekday=weekday, start_minute=DAY_BEGINS, end_minute=DAY_ENDS)
        for weekday in WORKDAYS
    )
    session.flush()
    return partner


def _message_rule(partner: Partner, kind: MessageKind) -> MessageRule:
    rule = MessageRule(partner_id=partner.id, kind=kind, channel=Channel.EMAIL)
    if kind is MessageKind.REMINDER:
        rule.days_before, rule.local_time = REMINDER_DAYS_BEFORE, REMINDER_AT
    return rule
