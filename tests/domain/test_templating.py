"""Texts with placeholders: what is refused and why, and that nothing active comes out (N2, L1)."""

from __future__ import annotations

import pytest

from portal.domain.messages.templates import Place, Words, errors_in, filled
from portal.domain.templating import MAX_SOURCE, Unusable, clean_html, fill, placeholders_in, problem_of

KNOWN = {"customer.name": "Priya <b>Raman</b>", "visit.date": "Tue 24 Nov", "link.confirm": ""}
pytestmark = pytest.mark.once

# By what they would do; each is refused with a sentence, at the line given.
HOSTILE = {
    "an unknown placeholder": ("Dear you,\n\n{{ customer.nam }}", 3),
    "an attribute of text": ("{{ customer.name.__class__ }}", 1),
    "an attribute of a constant": ("\n{{ ''.__class__.__mro__[1].__subclasses__() }}", 2),
    "an attribute by subscript": ("{{ customer['name'] }}", 1),
    "an attribute by filter": ("{{ customer.name|attr('__class__') }}", 1),
    "a format string": ("{{ '{0.__class__}'.format(customer.name) }}", 1),
    "Jinja's own names": ("{{ self }}", 1),
    "Jinja's globals": ("{{ cycler.__init__.__globals__ }}", 1),
    "a call": ("{{ lipsum() }}", 1),
    "a name spelt as it is kept": ("{{ customer__name }}", 1),
    "an object without its part": ("{{ customer }}", 1),
    "a loop": ("{% for sign in customer.name %}x{% endfor %}", 1),
    "an endless loop": ("{% for a in range(999999999) %}{% for b in range(999999999) %}x{% endfor %}{% endfor %}", 1),
    "a huge power": ("{{ 9**9**9**9 }}", 1),
    "a huge text": ("{{ customer.name * 999999999 }}", 1),
    "a huge text by filter": ("{{ customer.name | center(999999999) }}", 1),
    "text put together": ("{{ 'a' ~ customer.name }}", 1),
    "a number of many digits": ("{{ " + "9" * 5_000 + " }}", 1),
    "brackets in brackets": ("{{ " + "(" * 9_000 + "1", 1),
    "conditions in conditions": ("{% if customer.name %}" * 400 + "{% endif %}" * 400, 1),
    "a few too many of them": ("{% if customer.name %}" * 30 + "{% endif %}" * 30, 1),
    "a row of denials": ("{{ " + "not " * 9_000 + "customer.name }}", 1),
    "another file": ("{% include '/etc/passwd' %}", 1),
    "another template": ("{% extends 'admin/base.html' %}", 1),
    "an import": ("{% import 'os' as os %}", 1),
    "a macro": ("{% macro x() %}{{ x() }}{% endmacro %}", 1),
    "a variable": ("{% set x = 'a' %}", 1),
    "a block": ("{% block x %}{% endblock %}", 1),
    "a block of filters": ("{% filter upper %}x{% endfilter %}", 1),
    "a filter that takes escaping away": ("{{ customer.name | safe }}", 1),
    "a filter with too much": ("{{ customer.name | upper('x') }}", 1),
    "a filter with unpacking": ("{{ customer.name | default(*customer.name) }}", 1),
    "a choice without another": ("{{ customer.name if link.confirm }}", 1),
    "a test": ("{{ customer.name is defined }}", 1),
    "a sum in a condition": ("{% if customer.name < 'x' %}{% endif %}", 1),
    "half a sign": ("{{ customer.name | default('\\ud800') }}", 1),
    "a control sign": ("a\nb\x00c", 2),
    "a placeholder cut off": ("Dear {{ customer.name", 1),
    "an empty placeholder": ("a\n\n{{ }}", 3),
    "a condition not closed": ("{% if link.confirm %}\nx", 1),
    "too much": ("x" * 100_000, 1),
}


@pytest.mark.row("N2")
def test_whatever_is_no_placeholder_or_condition_is_refused_at_its_line() -> None:
    for what, (source, line) in HOSTILE.items():
        problem = problem_of(source, KNOWN)
        assert problem is not None, what
        assert problem.line == line, what
        assert len(str(problem.sentence)) < 200, what
        # What was never saved, or saved under another version, does not run either.
        with pytest.raises(Unusable):
            fill(source, KNOWN)


@pytest.mark.row("N2")
def test_placeholders_conditions_and_a_few_filters_are_filled_in() -> None:
    source = (
        "Dear {{ customer.name|upper }},\n{% if link.confirm %}\nConfirm: {{ link.confirm }}\n"
        "{% elif visit.date == 'Tue 24 Nov' and not link.confirm %}\nOn {{ visit.date }}\n{% else %}\nno\n{% endif %}\n"
        "{{ link.confirm|default('none') }} {{ 'a' if link.confirm else 'b' }} {% raw %}{{ x }}{% endraw %}"
    )
    assert problem_of(source, KNOWN) is None
    assert placeholders_in(source, KNOWN) == set(KNOWN)
    assert fill(source, KNOWN) == "Dear PRIYA <B>RAMAN</B>,\nOn Tue 24 Nov\nnone b {{ x }}"
    assert fill("{{ customer.name }}<br>", KNOWN, html=True) == "Priya &lt;b&gt;Raman&lt;/b&gt;<br>"


@pytest.mark.row("N2")
def test_what_would_come_out_too_long_is_cut_off_before_it_is_all_there() -> None:
    source = "{{ customer.name }}" * (MAX_SOURCE // 20)
    assert problem_of(source, KNOWN) is None
    with pytest.raises(Unusable, match="longer than 200000 characters"):
        fill(source, KNOWN | {"customer.name": "x" * 10_000})


@pytest.mark.row("N2")
def test_words_of_which_nothing_is_left_are_none() -> None:
    place = Place.of("booked", "email", "en_GB")
    values = dict.fromkeys(place.placeholders, "")
    for words in (Words("x", "{% if link.confirm %}x{% endif %}"), Words("{{ visit.date }}", "x")):
        assert errors_in(place, words) == {}
        with pytest.raises(Unusable, match="Nothing is left of it"):
            filled(place, words, values)


@pytest.mark.row("N2")
def test_html_keeps_words_and_links_and_nothing_that_acts() -> None:
    typed = (
        '<p class="button other" onclick="x()" style="position:fixed">Hello <b>you</b></p>'
        '<a class="button" href="{{ link.confirm }}">a</a><a href="https://ok.example/x?a=1&b=2">b</a>'
        '<a href="{{ visit.date }}">c</a><p title={{ customer.name }}>d</p>'
        "<script>alert(1)</script><img src=x onerror=alert(1)><iframe src=//x></iframe><form action=x><input></form>"
        "<svg onload=alert(1)></svg><style>p{}</style><base href=//x><meta http-equiv=refresh content=0><!-- x -->"
    )
    values = {
        "customer.name": "x onmouseover=alert(1)",
        "visit.date": "data:text/html,x",
        "link.confirm": "javascript:alert(1)",
    }
    cleaned = clean_html(fill(typed, values, html=True), {"a": {"button"}})
    assert cleaned == (
        '<p>Hello <b>you</b></p><a class="button" rel="noopener noreferrer">a</a>'
        '<a href="https://ok.example/x?a=1&amp;b=2" rel="noopener noreferrer">b</a>'
        '<a rel="noopener noreferrer">c</a><p title="x">d</p>'
    )
