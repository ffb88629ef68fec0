"""The words of scripts: one small file a language, that a page of any version can still use."""

from __future__ import annotations

import json
import re

import pytest

from tests.helpers import Site
from tests.web.office import URL, Office, clock, office

__all__ = ["clock", "office"]


def spoken(site: Site, url: str) -> dict[str, dict[str, object]]:
    answer = site.client.get(url)
    assert answer.mimetype == "text/javascript"
    found = re.fullmatch(r"const scriptWords = (\{.*\});\n", answer.get_data(as_text=True))
    assert found is not None
    words: dict[str, dict[str, object]] = json.loads(found[1])
    return words


@pytest.mark.row("P17")
def test_a_page_names_the_words_of_its_language_and_no_other_carries_them(office: Office) -> None:
    said = {}
    for language, gone in (("en_GB", "No longer in this list"), ("de_DE", "Nicht mehr in dieser Liste")):
        if language == "de_DE":
            office.site.submit({"language": language}, action="/language")
        office.site.get(URL)
        (script,) = office.site.page.select("script[src*='/words/']")
        assert gone not in str(office.site.page)
        said[language] = spoken(office.site, str(script["src"]))
        assert said[language]["live"]["gone"] == gone
        cached = office.site.client.get(str(script["src"])).headers["Cache-Control"]
        assert "immutable" in cached
    english, german = said.values()
    assert {part: words.keys() for part, words in english.items()} == {
        part: words.keys() for part, words in german.items()
    }


def test_a_page_of_an_older_version_gets_todays_words_and_does_not_keep_them(site: Site) -> None:
    assert spoken(site, "/words/en_GB.js?v=0123456789")["live"]["one"] == "1 installation changed."
    assert site.client.get("/words/en_GB.js?v=0123456789").headers["Cache-Control"] == "no-cache"
    for language in ("fr_FR", "en", "..", "x" * 300):
        assert site.client.get(f"/words/{language}.js").status_code == 404
