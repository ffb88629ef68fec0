"""Lines of the log in production: a JSON object each, ours and others' alike, and nothing that is nobody's business."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """
import logging

import structlog

from portal.settings import Settings
from portal.web import logs

logs.configure(
    Settings.load(
        doorstep_env="production",
        secret_key="x" * 40,
        security_password_salt="x" * 40,
        database_url="postgresql://localhost/none",
        smtp_url="smtp://localhost",
        mail_from="a@doorstep.test",
        base_url="https://doorstep.test",
        log_level="INFO",
    )
)
log = structlog.get_logger("portal.somewhere")
logs.name_request("abc")
log.debug("quiet")
logs.tell("GET", "/admin/", 200, None, 7)
password = "hunter2"
try:
    raise ValueError("wrong")
except ValueError:
    log.exception("failed", job=3)
logging.getLogger("others").warning("%s things", 2)
logging.getLogger("others").debug("quiet too")
"""


@pytest.fixture(scope="module")
def lines() -> list[str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_each_line_is_one_object_with_level_time_name_and_request(lines: list[str]) -> None:
    told = [json.loads(line) for line in lines]
    assert [(one["event"], one["level"], one["logger"]) for one in told] == [
        ("request", "info", "portal.requests"),
        ("failed", "error", "portal.somewhere"),
        ("2 things", "warning", "others"),
    ]
    assert {one["request_id"] for one in told} == {"abc"}
    assert all(one["timestamp"].endswith("Z") for one in told)
    assert told[0] | {"timestamp": "", "logger": "", "level": "", "request_id": "", "event": ""} == {
        "timestamp": "", "logger": "", "level": "", "request_id": "", "event": "",
        "method": "GET", "path": "/admin/", "status": 200, "ms": None, "user": 7,
    }  # fmt: skip


def test_a_failure_is_told_with_its_place_and_without_what_was_in_hand(lines: list[str]) -> None:
    failure = json.loads(lines[1])
    assert failure["job"] == 3
    assert [one["exc_type"] for one in failure["exception"]] == ["ValueError"]
    assert failure["exception"][0]["frames"][0]["name"] == "<module>"
    assert "hunter2" not in "".join(lines)
