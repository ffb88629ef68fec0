"""What each kind of message about a visit says, once for both its plain text and its HTML, in the reader's language.

The same words are what a partner begins with who writes words of their own (N2): then placeholders stand in them in
place of their values (``Known``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from flask_babel import gettext as _

from portal.domain.delivery.trials import TrialFacts
from portal.domain.messages.models import Channel, MessageKind
from portal.domain.messages.queries import AccessFacts
from portal.web import formats
from portal.web.letters.values import Known

# Two or three parts of what a text was once; longer ones are cut by some gateways.
LONGEST_TEXT = 300


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one letter: ``lead`` follows the greeting, ``more`` are paragraphs after the visit's details.

    A text says the subject and ``text`` after it; where that is ``None``, the hours of the visit.
    ``to_confirm``: the letter carries the link by which the visit's time is confirmed (M8).
    ``to_rate``: the letter carries the link to the survey of the visit (C12).
    ``to_modify``: the letter carries the link to the page on which the visit is moved or cancelled (M1).
    ``to_track``: the letter carries the link by which the technician's way is followed (C4).
    ``pages`` are the placeholders of pages on which its reader finds more, the best first.
    """

    subject: str
    heading: str
    lead: str
    more: tuple[str, ...] = ()
    text: str | None = None
    to_confirm: bool = False
    to_rate: bool = False
    to_modify: bool = False
    to_track: bool = False
    pages: tuple[str, ...] = ("link.my_schedule",)


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


def text_for(known: Known, words: Words) -> str:
    """Return a text in one line: who writes about what, when, and where more stands, else by which telephone."""
    hours = known["visit.window"] if words.text is None else ""
    said = " ".join(filter(None, (f"{', '.join(filter(None, (words.subject, hours)))}.", words.text)))
    call = _("Questions? Call %(phone)s.", phone=known["partner.phone"])
    more = known.if_any("partner.phone", call)
    for page in reversed(words.pages):
        more = known.if_any(page, known[page], more)
    line = " ".join(f"{known['partner.name']}: {said}".split())
    room = LONGEST_TEXT - len(more) - 1
    if len(line) > room and not known.as_source:
        line = f"{line[: room - 1].rstrip()}…"
    return f"{line} {more}".strip()


def work_line(known: Known) -> str:
    """Return who does what and how long it takes: "Repair with Tomás Reyes, about 6 hours"."""
    work, length = known["visit.service"], known["visit.length"]
    by_whom = _(
        "%(work)s with %(technician)s, %(length)s", work=work, technician=known["technician.name"], length=length
    )
    return known.if_any("technician.name", str(by_whom), length_line(known))


def length_line(known: Known) -> str:
    """Return what is done and how long it takes."""
    return str(_("%(work)s, %(length)s", work=known["visit.service"], length=known["visit.length"]))


def _common(known: Known) -> dict[str, str]:
    return {"work": known["visit.service"], "day": known["visit.date"]}


def _booked(known: Known) -> Words:
    said = _common(known)
    return Words(
        subject=_("Booked: %(work)s on %(day)s", **said),
        heading=_("We come on %(day)s", **said),
        lead=_("your visit is booked:"),
        more=(_if_it_does_not_suit(known),),
        to_modify=True,
    )


def _moved(known: Known) -> Words:
    said = _common(known)
    return Words(
        subject=_("Moved: %(work)s is now on %(day)s", **said),
        heading=_("Your visit is now on %(day)s", **said),
        lead=_("your visit has a new time:"),
        more=(_if_it_does_not_suit(known),),
        to_modify=True,
    )


def _cancelled(known: Known) -> Words:
    said = _common(known)
    return Words(
        subject=_("Cancelled: %(work)s on %(day)s", **said),
        heading=_("Your visit on %(day)s is cancelled", **said),
        lead=_("nobody will come for this visit:"),
        more=(_("If you did not expect this, please call us."),),
        text="",
    )


def _declined(known: Known) -> Words:
    said = _common(known)
    answer = _("Our answer: %(answer)s", answer=known["request.answer"])
    again = known.if_any("link.my_schedule", _("If something else would help, ask us again in My Schedule."))
    return Words(
        subject=_("About your request: %(work)s on %(day)s", **said),
        heading=_("Your visit stays on %(day)s", **said),
        lead=_("we were asked to change this visit. We are sorry that we cannot, so it stays as planned:"),
        more=(answer, again),
        text=answer,
    )


def _reminder(known: Known) -> Words:
    said = _common(known)
    lead = known.if_any(
        "visit.confirmed",
        _("this is a reminder of your visit:"),
        _("this is a reminder of your visit. Please confirm its time:"),
    )
    return Words(
        subject=_("Reminder: %(work)s on %(day)s", **said),
        heading=_("We come on %(day)s", **said),
        lead=lead,
        more=(known.if_any("visit.confirmed", _("This time is confirmed. Thank you.")), _if_it_does_not_suit(known)),
        to_confirm=True,
        to_modify=True,
    )


def _please_confirm(known: Known) -> Words:
    said = _common(known)
    return Words(
        subject=_("Please confirm: %(work)s on %(day)s", **said),
        heading=_("Does %(day)s suit you?", **said),
        lead=_("please tell us that we may come:"),
        more=(_if_it_does_not_suit(known),),
        to_confirm=True,
        to_modify=True,
        pages=("link.confirm", "link.my_schedule"),
    )


def _on_the_way(known: Known) -> Words:
    name = known.if_any("technician.name", known["technician.name"], known["partner.name"])
    expected = known.if_any("visit.expected", _("Expected at about %(time)s.", time=known["visit.expected"]))
    return Words(
        subject=_("%(name)s is on the way to you", name=name),
        heading=_("%(name)s is on the way", name=name),
        lead=_("we have set off for your visit:"),
        more=(expected,),
        text=expected,
        to_track=True,
        pages=("link.track", "link.my_schedule"),
    )


def _contract(known: Known) -> Words:
    said = _common(known)
    return Words(
        subject=_("Please sign: contract for %(work)s", **said),
        heading=_("Your contract is ready"),
        lead=_("the work of this visit is done, and its contract waits for your signature:"),
        more=(_("If something in it is not right, please call us before you sign."),),
        text="",
    )


def _survey(known: Known) -> Words:
    said = _common(known)
    return Words(
        subject=_("How was it? %(work)s on %(day)s", **said),
        heading=_("How was our visit?"),
        lead=_("we would like to know how you found this visit:"),
        more=(_("It takes a minute, and you need not sign in."), _answer_until(known)),
        to_rate=True,
        pages=("link.survey",),
    )


def _survey_nudge(known: Known) -> Words:
    said = _common(known)
    return Words(
        subject=_("Still interested in your opinion: %(work)s on %(day)s", **said),
        heading=_("How was our visit?"),
        lead=_("we asked you a few days ago how you found this visit:"),
        more=(_("It takes a minute, and you need not sign in. We will not ask again."), _answer_until(known)),
        to_rate=True,
        pages=("link.survey",),
    )


def _answer_until(known: Known) -> str:
    return str(_("The link is for this visit alone and works until %(day)s.", day=known["survey.until"]))


def _follow_up(known: Known) -> Words:
    said = _common(known)
    return Words(
        subject=_("Thank you: %(work)s on %(day)s", **said),
        heading=_("Thank you for having us"),
        lead=_("our visit is done:"),
        more=(_("If something is not as it should be, please call us."),),
        text="",
    )


def _technician_assigned(known: Known) -> Words:
    said = _common(known)
    return Words(
        subject=_("Yours: %(work)s on %(day)s", **said),
        heading=_("You have a visit on %(day)s", **said),
        lead=_("this visit is yours:"),
        pages=("link.visit",),
    )


def _technician_relieved(known: Known) -> Words:
    said = _common(known)
    told = known.if_any("technician.name", _("Whoever has it now is told as well."))
    return Words(
        subject=_("No longer yours: %(work)s on %(day)s", **said),
        heading=_("You need not come on %(day)s", **said),
        lead=_("this visit was taken off your list:"),
        more=(told,),
        pages=("link.visit",),
    )


def _technician_moved(known: Known) -> Words:
    said = _common(known)
    return Words(
        subject=_("New time: %(work)s is now on %(day)s", **said),
        heading=_("Your visit is now on %(day)s", **said),
        lead=_("this visit of yours has a new time:"),
        pages=("link.visit",),
    )


def _technician_cancelled(known: Known) -> Words:
    said = _common(known)
    reason = known.if_any("visit.cancel_reason", _("The reason: %(reason)s", reason=known["visit.cancel_reason"]))
    return Words(
        subject=_("Cancelled: %(work)s on %(day)s", **said),
        heading=_("Your visit on %(day)s is cancelled", **said),
        lead=_("this visit of yours will not take place:"),
        more=(reason,),
        pages=("link.visit",),
    )


def _if_it_does_not_suit(known: Known) -> str:
    until = known["visit.modify_until"]
    return known.if_any(
        "visit.modify_until",
        _("If the time does not suit you, you can change the visit yourself until %(until)s.", until=until),
        _("If the time does not suit you, please tell us as early as you can."),
    )


KINDS: dict[MessageKind, Callable[[Known], Words]] = {
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
    MessageKind.FOLLOW_UP: _follow_up,
    MessageKind.TECHNICIAN_ASSIGNED: _technician_assigned,
    MessageKind.TECHNICIAN_RELIEVED: _technician_relieved,
    MessageKind.TECHNICIAN_MOVED: _technician_moved,
    MessageKind.TECHNICIAN_CANCELLED: _technician_cancelled,
}
