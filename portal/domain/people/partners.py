"""Partners, for the operator: create one with the rules it starts with, edit, suspend, reactivate, count (P20).

Use cases run within ``unit_of_work`` in a session that sees all partners; each change is recorded with its reason.
``now`` is an instant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.domain.actor import Actor, Permission, Role, demand_permission
from portal.domain.errors import (
    Conflict,
    Invalid,
    NotFound,
    Sentence,
    Warned,
    changed_meanwhile,
    sentence,
    too_long,
)
from portal.domain.jobs.models import Appointment, JobCount, JobCountDelta
from portal.domain.jobs.shifting import shift_visits
from portal.domain.jobs.states import OPEN
from portal.domain.lookup import MAX_KEY
from portal.domain.messages.models import (
    AFTERWARDS,
    RULED,
    TIMED,
    Channel,
    Message,
    MessageKind,
    MessageRule,
    MessageSettings,
    MessageStatus,
)
from portal.domain.messages.reminders import decide_reminders
from portal.domain.paging import PAGE_ROWS, Cursor, Order, Page, page_of
from portal.domain.people.contacts import NO_ZONE, NotUsable, clean_email
from portal.domain.people.invitations import new_invitation
from portal.domain.people.models import Customer, Membership, Partner, Technician, User
from portal.domain.people.queries import words_in
from portal.domain.people.record import clean_reason, note
from portal.domain.scheduling.models import FeatureControls, PauseReason, RejectReason, WorkingHours
from portal.domain.scheduling.zones import day_span, local_day, time_zones
from portal.domain.surveys.models import SurveySettings
from portal.domain.texts import one_line
from portal.domain.unit_of_work import require_unit_of_work

REMINDER_DAYS_BEFORE = 1
REMINDER_AT = time(18, 0)
REMINDER_MINUTES_BEFORE = 2 * 60
CONFIRM_MINUTES_BEFORE = 72 * 60
QUIET_FROM, QUIET_UNTIL = time(21, 0), time(7, 0)
PAUSE_REASONS = (
    sentence("Part needed"),
    sentence("Customer absent"),
    sentence("Unsafe to work"),
    sentence("Weather"),
    sentence("Emergency elsewhere"),
    sentence("Other"),
)
REJECT_REASONS = (
    sentence("Outside our area"),
    sentence("Not possible at this address"),
    sentence("Ordered twice"),
    sentence("Customer cannot be reached"),
)
WORKDAYS = range(5)
DAY_BEGINS, DAY_ENDS = 8 * 60, 18 * 60
MAX_NAME = 120
WEEK = timedelta(days=7)
KEEP, SHIFT = "keep", "shift"

LOCALE = re.compile(r"([a-z]{2}_[A-Z]{2})?")
Say = Callable[[Sentence], str]

PARTNERS_BY = {"name": (Partner.name, Partner.id), "since": (Partner.created_at, Partner.id)}
PARTNERS_BY_NAME = Order(PARTNERS_BY["name"])
HAS_ACCOUNT = sentence("Somebody has an account with that address already")
NAME_TAKEN = sentence("There is a partner of that name already")


@dataclass(frozen=True, slots=True)
class NewPartner:
    """The form of a new partner, as typed; its first admin is invited.

    ``locale`` is the language of its messages, such as ``de_DE``; "" for English.
    """

    name: str
    timezone: str
    job_prefix: str
    admin_name: str
    admin_email: str
    reason: str
    locale: str = ""


@dataclass(frozen=True, slots=True)
class PartnerEdit:
    """The form of a partner, as typed. ``version`` is the one the form was made from.

    ``visits`` says what becomes of planned ones in another zone: ``KEEP`` or ``SHIFT``, "" where it was not asked.
    """

    version: int
    name: str
    timezone: str
    reason: str
    visits: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """How much there is of a partner; ``visits`` are those of this week (Monday to Sunday, the partner's own)."""

    jobs: int = 0
    visits: int = 0
    customers: int = 0
    technicians: int = 0
    unsent: int = 0
    failed: int = 0


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
    locale: str = "",
    say: Say = str,
) -> Partner:
    """Create a partner at ``now`` (an instant) together with its first admin, who signs in by ``admin_email`` (P20).

    ``locale`` and ``say`` as in ``create_partner_with_defaults``. Raises ``Invalid`` for a name or address that is
    taken, an unknown ``timezone`` or an unusable ``job_prefix``. Runs within ``unit_of_work``, in a session that sees
    all partners.
    """
    require_unit_of_work(session)
    email = admin_email.strip().lower()
    errors = _errors(session, name, timezone, job_prefix)
    if session.scalars(select(User.id).where(User.email == email)).first() is not None:
        errors["admin_email"] = HAS_ACCOUNT
    if errors:
        raise Invalid(errors)
    partner = create_partner_with_defaults(
        session, now, one_line(name), slug_of(name), timezone, job_prefix, locale=locale, say=say
    )
    user = User(email=email, name=admin_name.strip(), password=password_hash, created_at=now)
    session.add(user)
    session.flush()
    session.add(Membership(partner_id=partner.id, user_id=user.id, role=Role.PARTNER_ADMIN.value))
    return partner


def add_operator(session: Session, now: datetime, email: str, name: str, password_hash: str) -> User:
    """Create the account of an operator of the platform and return it; raises ``Invalid`` for an address in use."""
    require_unit_of_work(session)
    address = email.strip().lower()
    if session.scalars(select(User.id).where(User.email == address)).first() is not None:
        raise Invalid({"email": HAS_ACCOUNT})
    user = User(email=address, name=one_line(name), password=password_hash, is_operator=True, created_at=now)
    session.add(user)
    session.flush()
    return user


def found_by_invitation(
    session: Session, actor: Actor, now: datetime, key: str, form: NewPartner, say: Say = str
) -> Partner:
    """Create a partner and invite its first admin (P20); ``key`` as in ``invitations``. Raises ``Invalid``.

    ``say`` as in ``create_partner_with_defaults``.
    """
    demand_permission(actor, Permission.MANAGE_PARTNERS)
    errors = _errors(session, form.name, form.timezone, form.job_prefix)
    if not LOCALE.fullmatch(form.locale):
        errors["locale"] = sentence("Choose a language")
    admin_name, email, reason = one_line(form.admin_name), "", ""
    if not admin_name:
        errors["admin_name"] = sentence("Enter a name")
    elif len(admin_name) > MAX_NAME:
        errors["admin_name"] = too_long(MAX_NAME)
    try:
        email = clean_email(form.admin_email)
        if not email:
            errors["admin_email"] = sentence("Enter an email address such as name@example.com")
    except NotUsable as wrong:
        errors["admin_email"] = wrong.sentence
    try:
        reason = clean_reason(form.reason)
    except Invalid as wrong:
        errors |= wrong.errors
    if errors:
        raise Invalid(errors)
    try:
        partner = create_partner_with_defaults(
            session,
            now,
            one_line(form.name),
            slug_of(form.name),
            form.timezone,
            form.job_prefix,
            locale=form.locale,
            say=say,
        )
    except IntegrityError as error:
        # Somebody else was quicker with the same name; nothing else here can collide.
        raise Invalid({"name": NAME_TAKEN}) from error
    note(session, actor, now, partner.id, "create", after=partner.name, reason=reason)
    new_invitation(session, actor, now, key, partner.id, email, admin_name, Role.PARTNER_ADMIN)
    return partner


def _errors(
    session: Session, name: str, timezone: str, job_prefix: str | None = None, but: Partner | None = None
) -> dict[str, Sentence]:
    errors: dict[str, Sentence] = {}
    slug = slug_of(name)
    same_name = select(Partner.id).where(or_(Partner.slug == slug, func.lower(Partner.name) == one_line(name).lower()))
    if not slug:
        errors["name"] = sentence("Enter a name with letters")
    elif len(one_line(name)) > MAX_NAME:
        errors["name"] = too_long(MAX_NAME)
    elif any(found != (but.id if but else None) for found in session.scalars(same_name)):
        errors["name"] = NAME_TAKEN
    if timezone not in time_zones():
        errors["timezone"] = NO_ZONE
    if job_prefix is not None and not re.fullmatch(r"[A-Z0-9]{1,6}", job_prefix):
        errors["job_prefix"] = sentence("Enter one to six capital letters or digits")
    return errors


def edit_partner(session: Session, actor: Actor, now: datetime, partner_id: int, form: PartnerEdit) -> Partner:
    """Change a partner's name and zone, and record why.

    With another zone planned visits keep their instant or are shifted to the same clock time; ``Warned`` says how many
    there are until the form says which. Raises ``Conflict`` for an old ``version``.
    """
    demand_permission(actor, Permission.MANAGE_PARTNERS)
    partner = lock_partner(session, partner_id)
    if partner.version != form.version:
        raise Conflict(changed_meanwhile())
    errors = _errors(session, form.name, form.timezone, but=partner)
    reason = ""
    try:
        reason = clean_reason(form.reason)
    except Invalid as wrong:
        errors |= wrong.errors
    if errors:
        raise Invalid(errors)
    ahead = visits_ahead(session, now, partner.id) if form.timezone != partner.timezone else 0
    if ahead and form.visits not in {KEEP, SHIFT}:
        raise Warned(
            {
                "timezone": sentence(
                    "Visits planned: %(count)s. Choose below whether they keep their moment or their clock time.",
                    count=ahead,
                )
            }
        )
    for action, field, value in (("rename", "name", one_line(form.name)), ("move_zone", "timezone", form.timezone)):
        before = getattr(partner, field)
        if value != before:
            setattr(partner, field, value)
            note(session, actor, now, partner.id, action, before=before, after=value, reason=reason)
            if action == "move_zone" and form.visits == SHIFT:
                moved = shift_visits(session, actor, now, partner.id, ZoneInfo(before), ZoneInfo(value))
                note(session, actor, now, partner.id, "shift_visits", after=str(moved), reason=reason)
            if action == "move_zone":
                session.flush()
                # By the new clock a reminder may have been due a moment ago.
                decide_reminders(session, now, partner.id)
    session.flush()
    return partner


def visits_ahead(session: Session, now: datetime, partner_id: int) -> int:
    """Return how many visits of a partner are planned, under way or paused and start after ``now`` (an instant)."""
    query = select(func.count(Appointment.id)).where(
        Appointment.partner_id == partner_id, Appointment.status.in_(sorted(OPEN)), Appointment.start_at > now
    )
    return session.scalars(query).one()


def suspend_partner(session: Session, actor: Actor, now: datetime, partner_id: int, reason: str) -> Partner:
    """Suspend a partner: its staff and technicians are kept out, customers only read, messages wait (P20).

    One that is suspended already stays as it is.
    """
    return _switch(session, actor, now, partner_id, reason, "suspend")


def reactivate_partner(session: Session, actor: Actor, now: datetime, partner_id: int, reason: str) -> Partner:
    """Take a suspension back. Of the messages that waited, the worker sends those that are still wanted."""
    return _switch(session, actor, now, partner_id, reason, "reactivate")


def _switch(session: Session, actor: Actor, now: datetime, partner_id: int, reason: str, action: str) -> Partner:
    demand_permission(actor, Permission.MANAGE_PARTNERS)
    partner = lock_partner(session, partner_id)
    why = clean_reason(reason)
    if (partner.suspended_at is not None) == (action == "suspend"):
        return partner
    partner.suspended_at = now if action == "suspend" else None
    note(session, actor, now, partner.id, action, reason=why)
    session.flush()
    return partner


def find_partner(session: Session, partner_id: int) -> Partner:
    """Return a partner in the session's scope; raises ``NotFound``."""
    query = select(Partner).where(Partner.id == partner_id)
    partner = session.scalars(query).one_or_none() if 0 < partner_id <= MAX_KEY else None
    if partner is None:
        raise NotFound
    return partner


def lock_partner(session: Session, partner_id: int) -> Partner:
    """Return a partner as it is now, locked until the unit of work ends; raises ``NotFound``.

    The weaker lock, since every row of the partner's that is written takes a key-share lock on it.
    """
    require_unit_of_work(session)
    query = select(Partner).where(Partner.id == partner_id).with_for_update(of=Partner, key_share=True)
    known = 0 < partner_id <= MAX_KEY
    partner = session.scalars(query, execution_options={"populate_existing": True}).one_or_none() if known else None
    if partner is None:
        raise NotFound
    return partner


def list_partners(
    session: Session,
    text: str = "",
    suspended: bool | None = None,
    order: Order = PARTNERS_BY_NAME,
    cursor: Cursor | None = None,
    limit: int = PAGE_ROWS,
) -> Page[Partner]:
    """Return a page of the partners in the session's scope; ``suspended`` tells which, ``None`` for all."""
    query = select(Partner).where(words_in(text, (Partner.name,)))
    if suspended is not None:
        query = query.where(Partner.suspended_at.is_not(None) if suspended else Partner.suspended_at.is_(None))
    return page_of(session, query, order, cursor, limit)


def figures_of(session: Session, now: datetime, partners: Sequence[Partner]) -> dict[int, Figures]:
    """Return the figures of ``partners`` by their ids; a number of statements that does not grow with them."""
    ids = [partner.id for partner in partners]
    if not ids:
        return {}
    counted = _sums(session, JobCount, ids)
    since = _sums(session, JobCountDelta, ids)
    visits = _counts(session, Appointment, _this_week(now, partners), Appointment.status != "CANCELLED")
    customers = _counts(session, Customer, Customer.partner_id.in_(ids), Customer.active.is_(True))
    technicians = _counts(session, Technician, Technician.partner_id.in_(ids), Technician.active.is_(True))
    due = and_(Message.status == MessageStatus.PENDING, Message.due_at <= now)
    unsent = _counts(session, Message, Message.partner_id.in_(ids), due)
    failed = _counts(session, Message, Message.partner_id.in_(ids), Message.status == MessageStatus.FAILED)
    return {
        key: Figures(
            jobs=counted.get(key, 0) + since.get(key, 0),
            visits=visits.get(key, 0),
            customers=customers.get(key, 0),
            technicians=technicians.get(key, 0),
            unsent=unsent.get(key, 0),
            failed=failed.get(key, 0),
        )
        for key in ids
    }


def _sums(session: Session, model: type[JobCount] | type[JobCountDelta], ids: Sequence[int]) -> dict[int, int]:
    query = select(model.partner_id, func.sum(model.number)).where(model.partner_id.in_(ids)).group_by(model.partner_id)
    return {key: int(number) for key, number in session.execute(query)}


def _counts(session: Session, model: Any, *where: ColumnElement[bool]) -> dict[int, int]:
    query = select(model.partner_id, func.count(model.id)).where(*where).group_by(model.partner_id)
    return {key: int(number) for key, number in session.execute(query)}


def _this_week(now: datetime, partners: Iterable[Partner]) -> ColumnElement[bool]:
    """Return that a visit starts in its partner's own week."""
    by_zone: dict[str, list[int]] = {}
    for partner in partners:
        by_zone.setdefault(partner.timezone, []).append(partner.id)
    weeks = []
    for name, ids in by_zone.items():
        zone = ZoneInfo(name)
        today = local_day(now, zone)
        monday = today - timedelta(days=today.weekday())
        begin, end = day_span(monday, zone)[0], day_span(monday + WEEK, zone)[0]
        weeks.append(and_(Appointment.partner_id.in_(ids), Appointment.start_at >= begin, Appointment.start_at < end))
    return or_(*weeks)


def create_partner_with_defaults(
    session: Session,
    now: datetime,
    name: str,
    slug: str,
    timezone: str,
    job_prefix: str,
    phone: str = "",
    brand_colour: str = "#2b4a6f",
    locale: str = "",
    say: Say = str,
) -> Partner:
    """Add a partner, created at ``now`` (an instant), and return it.

    It starts with the usual message rules (N1), quiet hours for texts from 21:00 to 7:00, the usual reasons for pausing
    and for rejecting, working hours from Monday to Friday, 8:00 to 18:00, self-service off (M2), and customers asked
    for a rating when their job is done (J6). Runs within ``unit_of_work``; ``timezone`` is a name such as
    ``Europe/London``. ``locale`` is the language of its messages, such as ``de_DE``, "" for English; ``say`` gives what
    it starts with in that language.
    """
    require_unit_of_work(session)
    partner = Partner(
        name=name,
        locale=locale,
        slug=slug,
        timezone=timezone,
        job_prefix=job_prefix,
        phone=phone,
        brand_colour=brand_colour,
        created_at=now,
    )
    session.add(partner)
    session.flush()
    session.add_all([FeatureControls(partner_id=partner.id), SurveySettings(partner_id=partner.id)])
    session.add(MessageSettings(partner_id=partner.id, quiet_from=QUIET_FROM, quiet_until=QUIET_UNTIL))
    session.add_all(_message_rules(partner))
    session.add_all(
        PauseReason(partner_id=partner.id, label=say(label), position=position)
        for position, label in enumerate(PAUSE_REASONS)
    )
    session.add_all(
        RejectReason(partner_id=partner.id, label=say(label), position=position)
        for position, label in enumerate(REJECT_REASONS)
    )
    session.add_all(
        WorkingHours(partner_id=partner.id, weekday=weekday, start_minute=DAY_BEGINS, end_minute=DAY_ENDS)
        for weekday in WORKDAYS
    )
    session.flush()
    return partner


def _message_rules(partner: Partner) -> list[MessageRule]:
    """Return the rules that people have from the start: everything by e-mail, what is urgent also as a text."""
    day_before = {"days_before": REMINDER_DAYS_BEFORE, "local_time": REMINDER_AT}
    hours_before = {"minutes_before": REMINDER_MINUTES_BEFORE}
    unconfirmed = {"minutes_before": CONFIRM_MINUTES_BEFORE, "unconfirmed_only": True}
    usual: list[tuple[MessageKind, Channel, dict[str, Any]]] = [
        *((kind, Channel.EMAIL, {}) for kind in MessageKind if kind in RULED - TIMED - AFTERWARDS),
        (MessageKind.PLEASE_CONFIRM, Channel.EMAIL, unconfirmed),
        (MessageKind.REMINDER, Channel.EMAIL, day_before),
        (MessageKind.REMINDER, Channel.EMAIL, hours_before),
        (MessageKind.REMINDER, Channel.TEXT, hours_before),
        (MessageKind.ON_THE_WAY, Channel.TEXT, {}),
    ]
    return [MessageRule(partner_id=partner.id, kind=kind, channel=channel, **values) for kind, channel, values in usual]
