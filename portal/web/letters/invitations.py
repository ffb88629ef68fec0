"""What an invitation to log in says (C9), to staff, technicians and customers; otherwise as ``words``."""

from __future__ import annotations

from flask_babel import gettext as _

from portal.web.letters.values import Known
from portal.web.letters.words import Words


def invitation_words(known: Known) -> Words:
    """Return the words of an invitation; ``lead`` is a sentence of its own, ``more`` says until when."""
    partner, inviter, role = (known[name] for name in ("partner.name", "invitation.inviter", "invitation.role"))
    lead = known.if_any(
        "invitation.role",
        _("%(inviter)s invites you to %(partner)s as %(role)s.", inviter=inviter, partner=partner, role=role),
        _("%(partner)s invites you to see your visits online.", partner=partner),
    )
    return Words(
        subject=_("Your invitation to %(partner)s", partner=partner),
        heading=_("Your invitation to %(partner)s", partner=partner),
        lead=lead,
        more=(
            _("The link is for you alone. It works once, until %(day)s.", day=known["invitation.until"]),
            _("If you did not expect this, there is nothing you need to do."),
        ),
    )
