"""The standard words of every kind of message, filled in, or with placeholders for whoever changes them (N2)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from flask_babel import gettext as _

from portal.domain.messages import templates
from portal.domain.messages.models import TO_TECHNICIANS, Channel, MessageKind
from portal.domain.messages.templates import About, Place
from portal.web.letters import requests, words
from portal.web.letters.invitations import invitation_words
from portal.web.letters.values import SOURCE, Known
from portal.web.letters.words import Words, length_line, text_for, work_line

KINDS: dict[MessageKind, Callable[[Known], Words]] = {
    **words.KINDS,
    **requests.KINDS,
    MessageKind.INVITATION: invitation_words,
}
# A paragraph that stands as a whole behind a condition.
SOLE_CONDITION = re.compile(r"({% if [\w.]+ %})((?:(?!{%).)*)({% endif %})\Z")
# What is behind words: the placeholder, what a button says, and the line of plain text.
Link = tuple[str, str, str]


def words_for(kind: str, known: Known) -> Words:
    """Return the standard words of a message of ``kind``, one of ``WORDED``."""
    said = KINDS[MessageKind(kind)](known)
    return replace(said, more=tuple(filter(None, said.more)))


def standard_source(place: Place) -> templates.Words:
    """Return the standard words for ``place`` with placeholders, as somebody begins with who changes them.

    Needs the language of ``place``. They say what ``templates/messages`` say, who and how one writes for good and all
    excepted: the frame around a letter adds that.
    """
    said = words_for(place.kind, SOURCE)
    if place.channel == Channel.TEXT:
        return templates.Words(body=text_for(SOURCE, said))
    if place.about is About.INVITATION:
        return templates.Words(said.subject, _plain_invitation(said), _html_invitation(said))
    return templates.Words(said.subject, _plain_source(place, said), _html_source(place, said))


def _greeting(place: Place) -> str:
    greeting = _("Hello %(name)s,") if place.kind in TO_TECHNICIANS else _("Dear %(name)s,")
    return str(greeting % {"name": SOURCE["recipient.name"]})


def _details(place: Place) -> list[str]:
    """Return the lines about the visit, its time first."""
    if place.about is About.REQUEST:
        when = requests.wished_line(place.kind, SOURCE)
        return [when, SOURCE["request.service"], SOURCE["request.address"]]
    when = f"{SOURCE['visit.date']}, {SOURCE['visit.window']}"
    if place.kind not in TO_TECHNICIANS:
        return [when, work_line(SOURCE), SOURCE["visit.address"]]
    number, who, where = (SOURCE[name] for name in ("job.number", "customer.name", "visit.address"))
    return [when, length_line(SOURCE), f"{number}, {SOURCE['job.title']}", f"{who}, {where}"]


def _first_links(said: Words) -> list[Link]:
    """Return the links right below the details."""
    links = []
    if said.to_confirm:
        links.append(("link.confirm", _("Confirm this time"), _("Confirm this time: %(url)s")))
    if said.to_track:
        links.append(("link.track", _("Follow on the map"), _("Follow on the map: %(url)s")))
    return links


def _modify_links(said: Words) -> list[Link]:
    return [("link.modify", _("Change the visit"), _("Change the visit: %(url)s"))] if said.to_modify else []


def _last_link(place: Place, said: Words) -> Link:
    if place.kind in TO_TECHNICIANS:
        return "link.visit", _("Open the visit"), _("The visit: %(url)s")
    if said.to_rate:
        return "link.survey", _("Rate this visit"), _("Rate this visit: %(url)s")
    return "link.my_schedule", _("Open My Schedule"), _("Everything about it stands in My Schedule: %(url)s")


def _plain_source(place: Place, said: Words) -> str:
    parts = [
        said.heading,
        f"{_greeting(place)} {said.lead}",
        "\n".join(f"    {line}" for line in _details(place)),
        *(_plain_link(link) for link in _first_links(said)),
        *said.more,
        *(_plain_link(link) for link in (*_modify_links(said), _last_link(place, said))),
    ]
    if place.kind not in TO_TECHNICIANS:
        parts.append(_call())
    return "\n\n".join((*parts, SOURCE["partner.name"]))


def _html_source(place: Place, said: Words) -> str:
    when, what, *rest = _details(place)
    about = "<br>\n".join((f"<strong>{when}</strong> {what}", *rest))
    return "\n".join(
        (
            f"<h1>{said.heading}</h1>",
            f"<p>{_greeting(place)} {said.lead}</p>",
            f'<p class="what">{about}</p>',
            *(_html_link(link) for link in _first_links(said)),
            *(_paragraph(one) for one in said.more),
            *(_html_link(link, is_button=False) for link in _modify_links(said)),
            # One thing is to be done before anything else.
            _html_link(_last_link(place, said), is_button=not _first_links(said)),
        )
    )


def _plain_invitation(said: Words) -> str:
    link = f"    {SOURCE['link.invitation']}"
    parts = (said.heading, _("Dear %(name)s,", name=SOURCE["recipient.name"]), said.lead, link, *said.more, _call())
    return "\n\n".join((*parts, SOURCE["partner.name"]))


def _html_invitation(said: Words) -> str:
    greeting = _("Dear %(name)s,", name=SOURCE["recipient.name"])
    button = f'<p><a class="button" href="{SOURCE["link.invitation"]}">{_("Open the invitation")}</a></p>'
    texts = (f"<p>{one}</p>" for one in said.more)
    return "\n".join((f"<h1>{said.heading}</h1>", f"<p>{greeting}</p>", f"<p>{said.lead}</p>", button, *texts))


def _call() -> str:
    return _block("partner.phone", _("Questions? Call %(phone)s.", phone=SOURCE["partner.phone"]))


def _paragraph(text: str) -> str:
    return SOLE_CONDITION.sub(r"\1<p>\2</p>\3", text) if SOLE_CONDITION.match(text) else f"<p>{text}</p>"


def _plain_link(link: Link) -> str:
    name, _button, line = link
    return _block(name, line % {"url": SOURCE[name]})


def _html_link(link: Link, is_button: bool = True) -> str:
    name, says, _line = link
    drawn = ' class="button"' if is_button else ""
    return _block(name, f'<p><a{drawn} href="{SOURCE[name]}">{says}</a></p>')


def _block(name: str, said: str) -> str:
    return f"{{% if {name} %}}\n{said}\n{{% endif %}}"
