"""When two names read alike and two spellings are one place: plain values, no database (P23)."""

from __future__ import annotations

import pytest

from portal.domain.people.duplicates import names_alike
from portal.domain.people.models import MAX_PLACE, place_key


@pytest.mark.row("P23")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Priya Raman", "priya  RAMAN"),
        ("Priya Raman", "Raman, Priya"),
        ("Priya Raman", "P. Raman"),
        ("Priya Raman", "Mrs Raman"),
        ("Priya Raman", "Priya R. Raman"),
        ("Priya Raman", "Prya Raman"),
        ("Priya Raman", "Priya Ramam"),
        ("Priya Raman", "Priyaa Raman"),
        ("Åse Österlund", "Ase Osterlund"),
        ("Anna-Lena Weiß", "Anna Lena Weiss"),
        ("李 小龙", "小龙 李"),
    ],
)
def test_names_that_read_alike(one: str, other: str) -> None:
    assert names_alike(one, other)
    assert names_alike(other, one)


@pytest.mark.row("P23")
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Priya Raman", "Arjun Raman"),
        ("Priya Raman", "A. Raman"),
        ("Priya Raman", "Priyanka Raman"),
        ("P. R.", "Priya Raman"),
        ("Ann Lee", "Ana Lee"),
        ("Raman Raman", "Priya Raman"),
        ("Mr", "Mrs"),
        ("🏠", "🏠"),
        ("", "Priya Raman"),
    ],
)
def test_names_of_two_people(one: str, other: str) -> None:
    assert not names_alike(one, other)
    assert not names_alike(other, one)


@pytest.mark.row("P23")
def test_spellings_of_one_place_have_one_key() -> None:
    there = place_key("14 Alder Close", "Bristol", "BS6 5QT")
    assert place_key(" 14, ALDER close", "", "bs65qt") == there
    assert place_key("14 Álder Close", "Bath", "BS6-5QT") == there
    assert place_key("14 Alder Close", "Bristol", "") != there
    assert place_key("1 4 Alder Close", "Bristol", "BS6 5QT") == there
    assert place_key("14a Alder Close", "Bristol", "BS6 5QT") != there
    assert place_key("🏠", "", "") == ""
    assert len(place_key("㎯" * 200, "", "㎯" * 20)) == MAX_PLACE
