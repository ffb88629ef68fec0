"""Signed links in messages: what one may read out of a token, and that nobody else can make one."""

from __future__ import annotations

import pytest
from flask import Flask

from portal.web import links
from portal.web.links import Purpose, Tampered

KEY = "k" * 32
VISIT = {"visit": 7, "start": 1_795_600_000}


def app_with(key: str) -> Flask:
    app = Flask("portal")
    app.config["SECRET_KEY"] = key
    return app


def test_a_link_opens_what_it_was_signed_for_and_nothing_can_be_altered() -> None:
    with app_with(KEY).app_context():
        token = links.sign(Purpose.CONFIRM, VISIT)
        assert links.read(Purpose.CONFIRM, token) == VISIT
        assert links.sign(Purpose.CONFIRM, VISIT) == token
        other = links.sign(Purpose.CONFIRM, {**VISIT, "visit": 8})
        body, seal = token.split(".")
        for wrong in (
            "",
            "x",
            "ü",
            token[:-1],
            f"{token}A",
            f"{other.split('.')[0]}.{seal}",
            f"{body}.",
            body,
            f".{seal}",
        ):
            with pytest.raises(Tampered):
                links.read(Purpose.CONFIRM, wrong)


def test_a_link_of_another_purpose_or_another_key_is_none() -> None:
    with app_with(KEY).app_context():
        token = links.sign(Purpose.CONFIRM, VISIT)
        with pytest.raises(Tampered):
            links.read("survey", token)  # type: ignore[arg-type]
    with app_with("z" * 32).app_context(), pytest.raises(Tampered):
        links.read(Purpose.CONFIRM, token)
