"""A partner's own words for its messages (N2): what may stand in them, and saving, putting back and reading versions.

Saving is done within one ``unit_of_work`` and writes the audit trail. It raises ``NotFound`` for a kind that has no
words of its own, ``Invalid`` for words that cannot be used, with the line at the field, and ``Conflict`` for a form
from before somebody else's change; then nothing is changed. What is saved holds at once, for messages that wait too.

Links to sign in and for a new password have no words here: they are the platform's own, since who asks for one may
belong to several partners.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from sqlalchemy import Select, and_, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from portal.domain import templating
from portal.domain.actor import Actor
from portal.domain.errors import Conflict, Invalid, NotFound, Sentence, changed_meanwhile, sentence
from portal.domain.messages.models import (
    ABOUT_REQUESTS,
    TO_TECHNICIANS,
    WORDED,
    Channel,
    MessageKind,
    MessageTemplate,
)
from portal.domain.paging import Cursor, Order, Page, page_of
from portal.domain.settings_log.services import SettingKind, Subject, record_setting_change
from portal.domain.texts import one_line, shows
from portal.domain.unit_of_work import require_unit_of_work

MAX_SUBJECT = 300
# Of the words as typed, and of what may become of them.
MAX_WORDS = {Channel.EMAIL: 20_000, Channel.TEXT: 2_000}
MAX_LETTER = 100_000
# As much as gateways take as one text, which then counts as several.
MAX_TEXT = 1_500
MAX_SUBJECT_OUT = 500
EMPTY_LINES = re.compile(r"\n(?:[ \t]*\n)+")
NEWEST_FIRST = Order((MessageTemplate.id,), descending=True)
# The classes with which our own letters draw a button and the box about the visit.
CLASSES = {"a": {"button"}, "p": {"what"}}

READER = ("recipient.name", "recipient.first_name")
PARTNER = ("partner.name", "partner.phone")
ABOUT_VISITS = (
    *READER,
    "customer.name",
    "visit.service",
    "visit.date",
    "visit.window",
    "visit.length",
    "visit.address",
    "technician.name",
    "job.number",
    "job.title",
    *PARTNER,
)
TO_A_CUSTOMER = ("visit.confirmed", "visit.modify_until", "link.modify", "link.my_schedule")
ABOUT_A_REQUEST = (
    *READER,
    "customer.name",
    "request.service",
    "request.address",
    "request.dates",
    "request.asked_on",
    *PARTNER,
    "link.request",
    "link.my_schedule",
)
WITH_AN_INVITATION = (*READER, "invitation.role", "invitation.inviter", "invitation.until", *PARTNER, "link.invitation")
TO_CONFIRM = ("link.confirm",)
TO_RATE = ("link.survey", "survey.until")
# Beside those above, by kind.
BESIDES: Mapping[MessageKind, tuple[str, ...]] = {
    MessageKind.BOOKED: TO_CONFIRM,
    MessageKind.MOVED: TO_CONFIRM,
    MessageKind.PLEASE_CONFIRM: TO_CONFIRM,
    MessageKind.REMINDER: TO_CONFIRM,
    MessageKind.DECLINED: ("request.answer",),
    MessageKind.ON_THE_WAY: ("visit.expected", "link.track"),
    MessageKind.SURVEY: TO_RATE,
    MessageKind.SURVEY_NUDGE: TO_RATE,
    MessageKind.TECHNICIAN_CANCELLED: ("visit.cancel_reason",),
    MessageKind.REQUEST_OFFERED: ("request.offered_date", "request.offered_window", "request.technician"),
    MessageKind.REQUEST_DECLINED: ("request.answer",),
}
# Without it a message does not do what it is for.
NEEDED: Mapping[MessageKind, tuple[str, Sentence]] = {
    **dict.fromkeys(
        (MessageKind.BOOKED, MessageKind.MOVED, MessageKind.REMINDER, MessageKind.TECHNICIAN_ASSIGNED),
        ("visit.date", sentence("It does not say on which day the visit is: {{ visit.date }} is missing.")),
    ),
    MessageKind.PLEASE_CONFIRM: (
        "link.confirm",
        sentence("Nobody can confirm by it: {{ link.confirm }} is missing."),
    ),
    **dict.fromkeys(
        (MessageKind.SURVEY, MessageKind.SURVEY_NUDGE),
        ("link.survey", sentence("Nobody can answer by it: {{ link.survey }} is missing.")),
    ),
    **dict.fromkeys(
        (MessageKind.DECLINED, MessageKind.REQUEST_DECLINED),
        (
            "request.answer",
            sentence("It does not say what your office answered: {{ request.answer }} is missing."),
        ),
    ),
    MessageKind.REQUEST_OFFERED: (
        "request.offered_date",
        sentence("It does not say which day you offer: {{ request.offered_date }} is missing."),
    ),
}
# Without it nobody could do what the message is there for, so it is not sent, nor saved: always, whatever is blank.
CARRIED: Mapping[MessageKind, tuple[str, Sentence, Sentence]] = {
    MessageKind.INVITATION: (
        "link.invitation",
        sentence("Nobody can accept the invitation by it: {{ link.invitation }} is missing."),
        sentence("Put {{ link.invitation }} outside of conditions: some invitations would not have it."),
    ),
}


class About(StrEnum):
    """What a message is about: it says which placeholders there are."""

    VISIT = "visit"
    REQUEST = "request"
    INVITATION = "invitation"


def about(kind: str) -> About:
    """Return what messages of ``kind``, one of ``WORDED``, are about."""
    if kind in ABOUT_REQUESTS:
        return About.REQUEST
    return About.INVITATION if kind == MessageKind.INVITATION else About.VISIT


def channels_of(kind: str) -> tuple[Channel, ...]:
    """Return how messages of ``kind``, one of ``WORDED``, may be sent: an invitation is a mail."""
    return (Channel.EMAIL,) if kind == MessageKind.INVITATION else tuple(Channel)


@dataclass(frozen=True, slots=True)
class Place:
    """Which words: for a kind of message, over a channel, in the language ``locale``, such as ``de_DE``."""

    kind: MessageKind
    channel: Channel
    locale: str

    @classmethod
    def of(cls, kind: str, channel: str, locale: str) -> Self:
        """Return the place of that name; raises ``NotFound`` where there are no such words."""
        if kind not in WORDED or channel not in channels_of(kind):
            raise NotFound
        return cls(MessageKind(kind), Channel(channel), locale)

    @property
    def about(self) -> About:
        """What the message is about."""
        return about(self.kind)

    @property
    def fields(self) -> tuple[str, ...]:
        """The parts of the words that there are: a text has no subject and no HTML."""
        return ("body",) if self.channel is Channel.TEXT else ("subject", "body", "body_html")

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The placeholders that may stand in them."""
        match self.about:
            case About.VISIT:
                to_reader = ("link.visit",) if self.kind in TO_TECHNICIANS else TO_A_CUSTOMER
                always = (*ABOUT_VISITS, *to_reader)
            case About.REQUEST:
                always = ABOUT_A_REQUEST
            case About.INVITATION:
                always = WITH_AN_INVITATION
        return (*always, *BESIDES.get(self.kind, ()))


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a message with their placeholders, or filled in; what a channel has no use for is ""."""

    subject: str = ""
    body: str = ""
    body_html: str = ""


def errors_in(place: Place, words: Words) -> dict[str, Sentence]:
    """Return what is wrong with ``words``, by field; it names the line."""
    errors: dict[str, Sentence] = {}
    for field in place.fields:
        limit = MAX_SUBJECT if field == "subject" else MAX_WORDS[place.channel]
        problem = templating.problem_of(getattr(words, field), place.placeholders, limit)
        if problem is not None:
            errors[field] = problem.sentence
        elif place.kind in CARRIED and field != "subject" and (lack := _lack_of(place, field, getattr(words, field))):
            errors[field] = lack
    if not shows(words.body):
        errors["body"] = sentence("Enter the text")
    if "subject" in place.fields and not one_line(words.subject):
        errors["subject"] = sentence("Enter a subject")
    return errors


def warnings_about(place: Place, words: Words) -> list[Sentence]:
    """Return what may be meant, but more likely is not; ``words`` have no errors."""
    found = []
    used = {
        part: templating.placeholders_in(getattr(words, part), place.placeholders)
        for part in place.fields
        if part != "subject"
    }
    if place.kind in NEEDED:
        needed, said = NEEDED[place.kind]
        if needed not in used["body"]:
            found.append(said)
        elif words.body_html and needed not in used["body_html"]:
            found.append(sentence("In the HTML: %(warning)s", warning=said))
    if place.channel is Channel.TEXT and "partner.name" not in used["body"]:
        found.append(sentence("It does not say who writes: {{ partner.name }} is missing."))
    lost = templating.lost_in(words.body_html, CLASSES) if words.body_html else []
    if lost:
        found.append(sentence("Of the HTML these are left out: %(names)s", names=", ".join(lost)))
    return found


def filled(place: Place, words: Words, values: Mapping[str, str]) -> Words:
    """Return ``words`` with the values of its placeholders; the HTML is safe to be shown and sent.

    Raises ``templating.Unusable`` where they cannot be used, or nothing would be left of them.
    """
    values = {name: values[name] for name in place.placeholders}
    limit = MAX_TEXT if place.channel is Channel.TEXT else MAX_LETTER
    # What a condition leaves out leaves one empty line, not two.
    body = EMPTY_LINES.sub("\n\n", templating.fill(words.body, values, limit=limit)).strip()
    subject, html = "", ""
    if place.channel is not Channel.TEXT:
        subject = one_line(templating.fill(words.subject, values, limit=MAX_SUBJECT_OUT))
        html = _html(words.body_html, values)
    if not body or (not subject and place.channel is not Channel.TEXT):
        raise templating.Unusable(templating.Problem(1, sentence("Nothing is left of it.")))
    if place.kind in CARRIED:
        name, missing, _ = CARRIED[place.kind]
        if values[name] not in body or (html and values[name] not in html):
            raise templating.Unusable(templating.Problem(1, missing))
    return Words(subject, body, html)


def _html(source: str, values: Mapping[str, str]) -> str:
    return templating.clean_html(templating.fill(source, values, html=True, limit=MAX_LETTER), CLASSES).strip()


def _lack_of(place: Place, field: str, source: str) -> Sentence | None:
    """Say that ``source`` lacks what the message has to carry: always, or where something else is blank."""
    if field == "body_html" and not source.strip():
        return None
    carried, missing, sometimes = CARRIED[place.kind]
    example = "https://example.com/Aa"
    rest = [name for name in place.placeholders if name != carried]
    for blank in (set(), *({name} for name in rest), set(rest)):
        values = {name: "" if name in blank else "x" for name in rest} | {carried: example}
        said = _html(source, values) if field == "body_html" else templating.fill(source, values, limit=MAX_LETTER)
        # HTML of which nothing is left is made of the text.
        if example not in said and (said or field == "body"):
            return sometimes if blank else missing
    return None


def save_words(
    session: Session, actor: Actor, now: datetime, partner_id: int, place: Place, version: int, words: Words
) -> MessageTemplate:
    """Let the partner's messages say ``words`` from now on; return the version that holds.

    ``version`` is the number of the one that the form was made from, 0 for none.
    """
    words = Words(**{field: _tidy(getattr(words, field)) for field in place.fields})
    errors = errors_in(place, words)
    if errors:
        raise Invalid(errors)
    return _add(session, actor, now, partner_id, place, version, words)


def use_standard(
    session: Session, actor: Actor, now: datetime, partner_id: int, place: Place, version: int
) -> MessageTemplate:
    """Let the partner's messages say the standard words again; ``version`` as for ``save_words``."""
    return _add(session, actor, now, partner_id, place, version, None)


def restore_version(
    session: Session, actor: Actor, now: datetime, partner_id: int, place: Place, version: int, number: int
) -> MessageTemplate:
    """Put the version ``number`` back, as a new one; raises ``NotFound`` where there is none.

    ``version`` as for ``save_words``. Words of then that cannot be used any more are refused with ``Invalid``.
    """
    query = _versions(partner_id, place).where(MessageTemplate.number == number)
    # What no column of a number holds is no number of a version.
    old = session.scalars(query).one_or_none() if 0 < number < 2**31 else None
    if old is None:
        raise NotFound
    words = words_of(old)
    if words is not None and (errors := errors_in(place, words)):
        raise Invalid(errors)
    return _add(session, actor, now, partner_id, place, version, words, restored=number)


def present_version(session: Session, partner_id: int, place: Place) -> MessageTemplate | None:
    """Return the version that holds, also where that is one of the standard words; ``None`` where nobody saved any."""
    query = _versions(partner_id, place).order_by(MessageTemplate.number.desc()).limit(1)
    return session.scalars(query).one_or_none()


def present_versions(session: Session, partner_id: int) -> dict[Place, MessageTemplate]:
    """Return the versions that hold, by place, where anybody saved any; one statement."""
    later = aliased(MessageTemplate)
    newest = select(func.max(later.number)).where(_same_place(later, MessageTemplate)).scalar_subquery()
    query = select(MessageTemplate).where(MessageTemplate.partner_id == partner_id, MessageTemplate.number == newest)
    return {
        Place(MessageKind(row.kind), Channel(row.channel), row.locale): row
        for row in session.scalars(query)
        if row.kind in WORDED
    }


def versions(
    session: Session, partner_id: int, place: Place, cursor: Cursor | None, limit: int
) -> Page[MessageTemplate]:
    """Return a page of the versions of some words, newest first; one statement."""
    return page_of(session, _versions(partner_id, place), NEWEST_FIRST, cursor, limit)


def words_of(template: MessageTemplate | None) -> Words | None:
    """Return the words of a version, or ``None`` where the standard words hold."""
    if template is None or not template.own:
        return None
    return Words(template.subject, template.body, template.body_html)


def holds_for(message: Any, locale: Any) -> Any:
    """Return the SQL condition that a ``MessageTemplate`` holds for ``message`` in the language ``locale``."""
    later = aliased(MessageTemplate)
    newest = select(func.max(later.number)).where(_same_place(later, MessageTemplate)).scalar_subquery()
    return and_(
        MessageTemplate.partner_id == message.partner_id,
        MessageTemplate.kind == message.kind,
        MessageTemplate.channel == message.channel,
        MessageTemplate.locale == locale,
        MessageTemplate.number == newest,
    )


def _same_place(one: Any, other: Any) -> Any:
    names = ("partner_id", "kind", "channel", "locale")
    return and_(*(getattr(one, name) == getattr(other, name) for name in names))


def _versions(partner_id: int, place: Place) -> Select[MessageTemplate]:
    return select(MessageTemplate).where(
        MessageTemplate.partner_id == partner_id,
        MessageTemplate.kind == place.kind.value,
        MessageTemplate.channel == place.channel.value,
        MessageTemplate.locale == place.locale,
    )


def _add(
    session: Session,
    actor: Actor,
    now: datetime,
    partner_id: int,
    place: Place,
    version: int,
    words: Words | None,
    restored: int | None = None,
) -> MessageTemplate:
    require_unit_of_work(session)
    present = present_version(session, partner_id, place)
    if version != (present.number if present is not None else 0):
        raise Conflict(changed_meanwhile())
    before = words_of(present)
    if present is not None and words == before:
        return present
    said = words or Words()
    template = MessageTemplate(
        partner_id=partner_id,
        kind=place.kind.value,
        channel=place.channel.value,
        locale=place.locale,
        number=version + 1,
        own=words is not None,
        subject=said.subject,
        body=said.body,
        body_html=said.body_html,
        restored=restored,
        saved_at=now,
        saved_by_id=actor.id,
        saved_by_name=actor.name,
    )
    session.add(template)
    try:
        session.flush()
    except IntegrityError as error:
        # Somebody else was quicker with the same number; nothing else here can collide.
        raise Conflict(changed_meanwhile()) from error
    subject = Subject(
        SettingKind.MESSAGE_TEMPLATE, partner_id, template.id, f"{place.kind} {place.channel} {place.locale}"
    )
    record_setting_change(session, actor, now, subject, _logged(place, before), _logged(place, words))
    return template


def _logged(place: Place, words: Words | None) -> dict[str, Any]:
    return {"own_words": words is not None, **{field: getattr(words or Words(), field) for field in place.fields}}


def _tidy(text: str) -> str:
    """Return what a form sent with its line breaks as one sign each, and without blanks at the ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()
