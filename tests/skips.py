"""Pytest plugin: every skip is told at the end, and in CI one that nobody allowed fails the run.

A suite that skips what it cannot do looks as green as one that did it. Locally a missing PostgreSQL or browser is
worth a line; with `DOORSTEP_CI` set it is a failure, unless `tests/allowed_skips.txt` names the test and says why.
"""

import os
from pathlib import Path

import pytest

ALLOWED_FILE = Path(__file__).with_name("allowed_skips.txt")


def read_allowed(text: str) -> dict[str, str]:
    """Node id -> why, from the text of the allowed-skips file. Raises ValueError for a line that gives no reason."""
    allowed = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        node_id, _, why = line.partition("  ")
        if not why.strip():
            raise ValueError(f"{ALLOWED_FILE.name}: {node_id!r} is allowed to skip, but the line does not say why")
        allowed[node_id] = why.strip()
    return allowed


class Skips:
    """Collects the skips of a whole session; under xdist it lives in the controller, which sees every report."""

    def __init__(self, allowed: dict[str, str], strict: bool) -> None:
        self.allowed = allowed
        self.strict = strict
        self.reasons: dict[str, str] = {}

    def forbidden(self) -> list[str]:
        """The node ids that were skipped and must not be."""
        if not self.strict:
            return []
        return [node for node in self.reasons if node not in self.allowed and node.split("[")[0] not in self.allowed]

    def _record(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        # an expected failure is reported as skipped too, but it ran
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else "no reason given"
            self.reasons[report.nodeid] = reason.removeprefix("Skipped: ")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._record(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._record(report)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self.forbidden() and exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.reasons:
            return
        terminalreporter.section("skipped")
        forbidden = self.forbidden()
        for node_id, reason in sorted(self.reasons.items()):
            terminalreporter.line(f"{'NOT ALLOWED ' if node_id in forbidden else ''}{node_id}: {reason}")
        if forbidden:
            terminalreporter.line(f"{len(forbidden)} skipped here must run, or be named in tests/{ALLOWED_FILE.name}")


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    allowed = read_allowed(ALLOWED_FILE.read_text(encoding="utf-8"))
    config.pluginmanager.register(Skips(allowed, strict=bool(os.environ.get("DOORSTEP_CI"))), "doorstep-skips")
