"""How a person is reached: e-mail addresses and telephone numbers checked and brought into one spelling."""

from __future__ import annotations

import phonenumbers
from babel.core import get_global
from email_validator import EmailNotValidError, validate_email

from portal.domain.errors import Sentence, sentence

MAX_EMAIL = 255
MAX_PHONE = 40
NOWHERE = "ZZ"
NO_ZONE = sentence("Enter a time zone such as Europe/London")


class NotUsable(ValueError):
    """No such address or number can exist; ``sentence`` says so to whoever typed it."""

    def __init__(self, text: Sentence) -> None:
        super().__init__(str(text))
        self.sentence = text


def clean_email(text: str) -> str:
    """Return an e-mail address in lower case, or "" for a blank; raises ``NotUsable``. No server is asked.

    The demo's own addresses, under ``.test``, count as any other.
    """
    if not text.strip():
        return ""
    try:
        address = validate_email(text.strip(), check_deliverability=False, test_environment=True).normalized.lower()
    except EmailNotValidError:
        raise NotUsable(sentence("Enter an email address such as name@example.com")) from None
    if len(address) > MAX_EMAIL:
        raise NotUsable(sentence("Enter an email address such as name@example.com"))
    return address


def clean_phone(text: str, timezone: str) -> str:
    """Return a telephone number as "+44 7700 900233", or "" for a blank; raises ``NotUsable``.

    A number without its country is one of the country of ``timezone`` (``Europe/London``).
    """
    if not text.strip():
        return ""
    wrong = NotUsable(sentence("Enter a telephone number such as +44 117 496 0123"))
    country = get_global("zone_territories").get(timezone, NOWHERE)
    try:
        number = phonenumbers.parse(text.strip(), None if country == NOWHERE else country)
    except phonenumbers.NumberParseException:
        raise wrong from None
    # Possible, not valid: numbering plans change quicker than this list of them.
    spelled = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    if not phonenumbers.is_possible_number(number) or len(spelled) > MAX_PHONE:
        raise wrong
    return spelled
