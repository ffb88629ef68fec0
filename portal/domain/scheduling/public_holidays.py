"""Public holidays by country and region, as the ``holidays`` library knows them (L1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from portal.domain.errors import Invalid, sentence
from portal.domain.scheduling.hours import MAX_HOLIDAY_NAME, HolidayInput


def countries() -> frozenset[str]:
    """Return the countries there are holidays of, as two letters."""
    return frozenset(code for code in _library().list_supported_countries(include_aliases=False) if len(code) == 2)


def regions(country: str) -> dict[str, str]:
    """Return the regions of a country that have holidays of their own: code to name. Empty for an unknown country."""
    if country not in countries():
        return {}
    known = getattr(_library(), country)
    names = {code: name for name, code in known.subdivisions_aliases.items()}
    return {code: names.get(code, code) for code in known.subdivisions}


def public_holidays(country: str, region: str, years: Iterable[int], language: str) -> list[HolidayInput]:
    """Return the holidays of some years in time order, named in ``language`` (such as ``en``) where that is known.

    ``region`` is one of ``regions``, or blank for what holds in the whole country. Raises ``Invalid``.
    """
    if country not in countries():
        raise Invalid({"country": sentence("Choose a country")})
    if region and region not in regions(country):
        raise Invalid({"region": sentence("Choose a region of that country")})
    known = getattr(_library(), country)
    fitting = [one for one in known.supported_languages if one.split("_")[0] == language.split("_")[0]]
    exact = [one for one in fitting if one == language]
    default = [known.default_language] if known.default_language in fitting else []
    spoken = next(iter([*exact, *default, *fitting]), None)
    found = known(subdiv=region or None, years=list(years), language=spoken)
    return [HolidayInput(day, name[:MAX_HOLIDAY_NAME]) for day, name in sorted(found.items())]


def _library() -> Any:
    # Slow to come in, and only wanted here.
    import holidays

    return holidays
