"""What each kind of message says, once for both its plain text and its HTML, in the reader's language."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from flask_babel import gettext as _

from portal.domain.actor import Role
from portal.domain.delivery.trials import TrialFacts
from portal.domain.messages.models import Channel, MessageKind
from portal.domain.messages.queries import AccessFacts, Facts, InvitationFacts, RequestFacts
from portal.domain.surveys.asking import open_until
from portal.web import formats
from portal.web.auth import ROLE_NAMES
from portal.web.i18n import within
from portal.web.wishes import preferred_words

# The last instant before an excluded end.
SHORTEST = timedelta(microseconds=1)
# Two or three parts of what a text was once; longer ones are cut by some gateways.
LONGEST_TEXT = 300


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one letter: ``lead`` follows the greeting, ``more`` are paragraphs after the visit's details.

    A text says the subject and ``text`` after it; where that is ``None``, the hours of the visit.
    ``to_confirm``: the letter carries the link by which the visit's time is confirmed (M8).
    ``to_rate``: the letter carries the link to the survey of the visit (C12).
    ``to_track``: the letter carries the link by which the technician's way is followed (C4).
    """

    subject: str
    heading: str
    lead: str
    more: tuple[str, ...] = ()
    text: str | None = None
    to_confirm: bool = False
    to_rate: bool = False
    to_track: bool = False


def words_for(facts: Facts) -> Words:
    """Return the words of the message of ``facts``."""
    return KINDS[MessageKind(facts.message.kind)](facts)


def invitation_words(facts: InvitationFacts) -> Words:
    """Return the words of an invitation; ``more`` says as what and until when."""
    role = Role(facts.invitation.role)
    partner, inviter = facts.partner.name, facts.invitation.invited_by_name
    until = formats.day(facts.invitation.expires_at, ZoneInfo(facts.partner.timezone))
    if role is Role.CUSTOMER:
        lead = _("%(partner)s invites you to see your visits online.", partner=partner)
    else:
        what = within(str(ROLE_NAMES[role]))
        lead = _("%(inviter)s invites you to %(partner)s as %(role)s.", inviter=inviter, partner=partner, role=what)
    return Words(
        subject=_("Your invitation to %(partner)s", partner=partner),
        heading=_("Your invitation to %(partner)s", partner=partner),
        lead=lead,
        more=(
            _("The link is for you alone. It works once, until %(day)s.", day=until),
            _("If you did not expect this, there is nothing you need to do."),
        ),
    )


def request_words(facts: RequestFacts) -> Words:
    """Return the words of the message about a request for new service."""
    return REQUEST_KINDS[MessageKind(facts.message.kind)](facts)


def wished_line(facts: RequestFacts) -> str:
    """Return when the visit would be: the date that the office offers, else those that the customer prefers."""
    request = facts.request
    if request.is_proposed and request.proposed_at is not None:
        return formats.window(request.proposed_at, facts.service_type.window_minutes, facts.zone)
    return preferred_words(request.preferred)


def access_words(facts: AccessFacts) -> Words:
    """Return the words to somebody who wants to get in; ``lead`` says what for, ``more`` how long the link works."""
    partner = facts.partner.name
    if facts.link is None:
        said = _("This number cannot sign in. Please use your email address:")
        return Words(subject=_("Sign in"), heading=_("Sign in"), lead=said)
    until = formats.clock(facts.link.expires_at, ZoneInfo(facts.partner.timezone))
    more = (
        _(
            "The link is for you alone. It works once, until %(time)s; a newer one ends it.",
            time=until,
        ),
        _("If you did not ask for it, there is nothing you need to do: without this message nobody gets in."),
    )
    if facts.message.kind == MessageKind.NEW_PASSWORD:
        return Words(
            subject=_("Your new password"),
            heading=_("Choose a new password"),
            lead=_("you asked for a new password for %(partner)s.", partner=partner),
            more=more,
        )
    return Words(
        subject=_("Your link to sign in"),
        heading=_("Your link to sign in"),
        lead=_("you asked for a link to sign in to %(partner)s.", partner=partner),
        more=more,
        text=_("Your link to sign in, until %(time)s:", time=until),
    )


def access_text(facts: AccessFacts, words: Words, url: str) -> str:
    """Return a text to somebody who wants to get in: who writes, and the link, which is never cut."""
    return f"{' '.join(facts.partner.name.split())}: {words.text or words.lead} {url}"


def test_words(facts: TrialFacts) -> Words:
    """Return the words of a test message."""
    partner = facts.partner.name
    subject = _("Test from %(partner)s", partner=partner)
    if facts.test.channel == Channel.TEXT:
        said = _("%(partner)s: this is a test. Texts arrive at this number.", partner=partner)
    else:
        said = _(
            "This is a test that %(name)s asked for. Mail from %(partner)s arrives at this address.",
            name=facts.test.asked_by_name,
            partner=partner,
        )
    return Words(subject=subject, heading=subject, lead=said)


def text_for(facts: Facts | RequestFacts, words: Words, url: str) -> str:
    """Return a text in one line: who writes about what, when, and where more stands: at ``url``, else by telephone."""
    hours = ""
    if words.text is None and isinstance(facts, Facts):
        hours = formats.hours(facts.visit.start_at, facts.visit.window_minutes, facts.zone)
    said = " ".join(filter(None, (f"{', '.join(filter(None, (words.subject, hours)))}.", words.text)))
    phone = facts.partner.phone
    more = url or (_("Questions? Call %(phone)s.", phone=phone) if phone else "")
    line = " ".join(f"{facts.partner.name}: {said}".split())
    room = LONGEST_TEXT - len(more) - 1
    if len(line) > room:
        line = f"{line[: room - 1].rstrip()}…"
    return f"{line} {more}".strip()


def work_line(facts: Facts) -> str:
    """Return who does what and how long it takes: "Repair with Tomás Reyes, about 6 hours"."""
    length = formats.duration(facts.minutes)
    if facts.technician is None:
        return str(_("%(work)s, %(length)s", work=facts.service_type.name, length=length))
    return str(
        _(
            "%(work)s with %(technician)s, %(length)s",
            work=facts.service_type.name,
            technician=facts.technician.name,
            length=length,
        )
    )


def _common(facts: Facts) -> dict[str, str]:
    return {"work": facts.service_type.name, "day": formats.day(facts.visit.start_at, facts.zone)}


def _booked(facts: Facts) -> Words:
    known = _common(facts)
    return Words(
        subject=_("Booked: %(work)s on %(day)s", **known),
        heading=_("We come on %(day)s", **known),
        lead=_("your visit is booked:"),
        more=(_if_it_does_not_suit(),),
    )


def _moved(facts: Facts) -> Words:
    known = _common(facts)
    return Words(
        subject=_("Moved: %(work)s is now on %(day)s", **known),
        heading=_("Your visit is now on %(day)s", **known),
        lead=_("your visit has a new time:"),
        more=(_if_it_does_not_suit(),),
    )


def _cancelled(facts: Facts) -> Words:
    known = _common(facts)
    return Words(
        subject=_("Cancelled: %(work)s on %(day)s", **known),
        heading=_("Your visit on %(day)s is cancelled", **known),
        lead=_("nobody will come for this visit:"),
        more=(_("If you did not expect this, please call us."),),
        text="",
    )


def _declined(facts: Facts) -> Words:
    known = _common(facts)
    more = [_("Our answer: %(answer)s", answer=facts.answer)]
    if facts.has_login:
        more.append(_("If something else would help, ask us again in My Schedule."))
    return Words(
        subject=_("About your request: %(work)s on %(day)s", **known),
        heading=_("Your visit stays on %(day)s", **known),
        lead=_("we were asked to change this visit. We are sorry that we cannot, so it stays as planned:"),
        more=tuple(more),
    )


def _reminder(facts: Facts) -> Words:
    known = _common(facts)
    lead, more = _("this is a reminder of your visit. Please confirm its time:"), [_if_it_does_not_suit()]
    if facts.visit.is_confirmed:
        lead, more = _("this is a reminder of your visit:"), [_("This time is confirmed. Thank you."), *more]
    return Words(
        subject=_("Reminder: %(work)s on %(day)s", **known),
        heading=_("We come on %(day)s", **known),
        lead=lead,
        more=tuple(more),
        to_confirm=not facts.visit.is_confirmed,
    )


def _please_confirm(facts: Facts) -> Words:
    known = _common(facts)
    return Words(
        subject=_("Please confirm: %(work)s on %(day)s", **known),
        heading=_("Does %(day)s suit you?", **known),
        lead=_("please tell us that we may come:"),
        more=(_if_it_does_not_suit(),),
        to_confirm=True,
    )


def _on_the_way(facts: Facts) -> Words:
    name = facts.technician.name if facts.technician is not None else facts.partner.name
    more: tuple[str, ...] = ()
    if facts.expected_at is not None:
        more = (_("Expected at about %(time)s.", time=formats.clock(facts.expected_at, facts.zone)),)
    return Words(
        subject=_("%(name)s is on the way to you", name=name),
        heading=_("%(name)s is on the way", name=name),
        lead=_("we have set off for your visit:"),
        more=more,
        text=" ".join(more),
        to_track=True,
    )


def _contract(facts: Facts) -> Words:
    known = _common(facts)
    return Words(
        subject=_("Please sign: contract for %(work)s", **known),
        heading=_("Your contract is ready"),
        lead=_("the work of this visit is done, and its contract waits for your signature:"),
        more=(_("If something in it is not right, please call us before you sign."),),
        text="",
    )


def _request_received(facts: RequestFacts) -> Words:
    work = facts.service_type.name
    return Words(
        subject=_("We have your request: %(work)s", work=work),
        heading=_("We have your request"),
        lead=_("thank you for asking. This is what we have noted:"),
        more=(_("We look for a time and write to you. Nothing is booked yet."),),
        text=_("We look for a time and write to you."),
    )


def _request_offered(facts: RequestFacts) -> Words:
    known = {
        "work": facts.service_type.name,
        "day": formats.day(facts.request.proposed_at or facts.message.due_at, facts.zone),
    }
    more = [_("Nothing is booked until you accept.")]
    if facts.technician is not None:
        more.insert(0, _("%(name)s would come.", name=facts.technician.name))
    return Words(
        subject=_("Does %(day)s suit you? %(work)s", **known),
        heading=_("Does %(day)s suit you?", **known),
        lead=_("we cannot come at the time you asked for, and offer you this one instead:"),
        more=tuple(more),
        text=wished_line(facts) + ".",
    )


def _request_declined(facts: RequestFacts) -> Words:
    work, answer = facts.service_type.name, facts.request.answer
    return Words(
        subject=_("About your request: %(work)s", work=work),
        heading=_("We cannot do this for you"),
        lead=_("you asked us for this. We are sorry that we cannot do it:"),
        more=(_("Our answer: %(answer)s", answer=answer),),
        text=answer,
    )


def _request_converted(facts: RequestFacts) -> Words:
    work = facts.service_type.name
    return Words(
        subject=_("We do it: %(work)s", work=work),
        heading=_("We take your request on"),
        lead=_("we will do what you asked us for:"),
        more=(_("We plan a visit now and write to you as soon as its time is known."),),
        text=_("We plan a visit and write to you as soon as its time is known."),
    )


def _survey(facts: Facts) -> Words:
    known = _common(facts)
    return Words(
        subject=_("How was it? %(work)s on %(day)s", **known),
        heading=_("How was our visit?"),
        lead=_("we would like to know how you found this visit:"),
        more=(_("It takes a minute, and you need not sign in."), _answer_until(facts)),
        to_rate=True,
    )


def _survey_nudge(facts: Facts) -> Words:
    known = _common(facts)
    return Words(
        subject=_("Still interested in your opinion: %(work)s on %(day)s", **known),
        heading=_("How was our visit?"),
        lead=_("we asked you a few days ago how you found this visit:"),
        more=(_("It takes a minute, and you need not sign in. We will not ask again."), _answer_until(facts)),
        to_rate=True,
    )


def _answer_until(facts: Facts) -> str:
    last = open_until(facts.visit.ended_at or facts.visit.end_at) - SHORTEST
    return str(_("The link is for this visit alone and works until %(day)s.", day=formats.day(last, facts.zone)))


def _technician_assigned(facts: Facts) -> Words:
    known = _common(facts)
    return Words(
        subject=_("Yours: %(work)s on %(day)s", **known),
        heading=_("You have a visit on %(day)s", **known),
        lead=_("this visit is yours:"),
    )


def _technician_relieved(facts: Facts) -> Words:
    known = _common(facts)
    more = (_("Whoever has it now is told as well."),) if facts.technician is not None else ()
    return Words(
        subject=_("No longer yours: %(work)s on %(day)s", **known),
        heading=_("You need not come on %(day)s", **known),
        lead=_("this visit was taken off your list:"),
        more=more,
    )


def _technician_moved(facts: Facts) -> Words:
    known = _common(facts)
    return Words(
        subject=_("New time: %(work)s is now on %(day)s", **known),
        heading=_("Your visit is now on %(day)s", **known),
        lead=_("this visit of yours has a new time:"),
    )


def _technician_cancelled(facts: Facts) -> Words:
    known = _common(facts)
    more = (_("The reason: %(reason)s", reason=facts.visit.cancel_reason),) if facts.visit.cancel_reason else ()
    return Words(
        subject=_("Cancelled: %(work)s on %(day)s", **known),
        heading=_("Your visit on %(day)s is cancelled", **known),
        lead=_("this visit of yours will not take place:"),
        more=more,
    )


def _if_it_does_not_suit() -> str:
    return str(_("If the time does not suit you, please tell us as early as you can."))


KINDS: dict[MessageKind, Callable[[Facts], Words]] = {
    MessageKind.BOOKED: _booked,
    MessageKind.MOVED: _moved,
    MessageKind.CANCELLED: _cancelled,
    MessageKind.PLEASE_CONFIRM: _please_confirm,
    MessageKind.DECLINED: _declined,
    MessageKind.REMINDER: _reminder,
    MessageKind.ON_THE_WAY: _on_the_way,
    MessageKind.CONTRACT: _contract,
    MessageKind.SURVEY: _survey,
    MessageKind.SURVEY_NUDGE: _survey_nudge,
    MessageKind.TECHNICIAN_ASSIGNED: _technician_assigned,
    MessageKind.TECHNICIAN_RELIEVED: _technician_relieved,
    MessageKind.TECHNICIAN_MOVED: _technician_moved,
    MessageKind.TECHNICIAN_CANCELLED: _technician_cancelled,
}
REQUEST_KINDS: dict[MessageKind, Callable[[RequestFacts], Words]] = {
    MessageKind.REQUEST_RECEIVED: _request_received,
    MessageKind.REQUEST_OFFERED: _request_offered,
    MessageKind.REQUEST_DECLINED: _request_declined,
    MessageKind.REQUEST_CONVERTED: _request_converted,
}
