"""The rows of the product and the tests that prove them.

As a pytest plugin it refuses a test that names a row there is none of. As a command (`make rows`) it prints every row
with its tests.
"""

import contextlib
import io
import sys
from collections.abc import Iterable, Iterator

import pytest

ROWS = {
    # partner portal: installations
    "P1": "Schedule Installation, a dialog over the list or a page of its own",
    "P2": "Customer type-ahead; active customers only",
    "P3": "Date picker, time and duration with defaults; no past date",
    "P4": "Items, at least one; their names make the title",
    "P5": "Notes and an optional handyman who is available and free",
    "P6": "Submitting creates it Scheduled; with a handyman also assigned, in one transaction",
    "P7": "Overview cards, one per status group, over everything",
    "P8": "List: filters, sort and search, kept in the URL",
    "P9": "Assign, Reassign and Reject appear and work only where the table allows",
    "P10": "Reject needs a reason and is final; Create replacement",
    "P11": "Calendar: month, week, day",
    "P12": "Detail page with a timeline of every change",
    "P13": "Reschedule with free times; nobody told unless ticked",
    "P14": "Cancel with a reason; the record stays",
    "P15": "Bulk actions, each row guarded on its own",
    "P16": "Customers, technicians, service types, hours, time off, holidays; import and export",
    "P17": "Office screens show others' changes without a reload; activity feed",
    "P18": "Queues for the dispatcher, with counts in the menu",
    "P18a": "Dispatch board and named views",
    "P19": "Dashboard charts, readable as tables",
    "P20": "Operator: partners, offers, health; looking in is recorded",
    "P21": "What needs attention comes up by itself",
    "P22": "The technician is told of assigning, moving and cancelling",
    "P23": "Contacts, access notes, several addresses; duplicates merged",
    # customer: My Schedule and visits
    "C1": "My Schedule: upcoming appointments in time order",
    "C2": "Past visits and their summaries; shared photos only",
    "C3": "Live status in six steps by polling",
    "C4": "Track button and live map, only while the table says so",
    "C5": "Request new service",
    "C6": "Request change where Modify is off or refused",
    "C7": "A customer sees only their own records",
    "C8": "Several addresses and partners under one login",
    "C9": "Sign-in, invitation, reset; no answer tells who has an account",
    "C10": "Add to calendar, and a private feed that can be revoked",
    "C11": "Contract: read, sign, approve, download",
    "C12": "Survey from a link, once per completed appointment",
    "C13": "Phone, keyboard, screen reader, no JavaScript",
    # Modify: self-service under rules
    "M1": "Modify offers free times or cancel and returns to My Schedule",
    "M2": "Feature controls and their overrides; the nearest wins",
    "M3": "One function decides, with code, sentence and rule",
    "M4": "Free times from hours, time off, holidays, bookings, buffers, notice, horizon, DST",
    "M5": "Taking a time is atomic",
    "M6": "A move keeps identity and history; own choice counts as confirmed",
    "M7": "Cancelling: reason, soft, office told, reminders cancelled, job follows",
    "M8": "Confirming by button or by a link for that appointment alone",
    # job lifecycle, offers, the field
    "J1": "Job offer: accept, decline, expire, first wins",
    "J2": "Draft must be approved before it can be scheduled",
    "J3": "Scheduled has an appointment whose parts can change",
    "J4": "In progress: on my way, arrived, start",
    "J5": "Paused with a reason; resumes or continues another day",
    "J6": "Complete frees the technician and makes one survey due",
    "J7": "Cancelled cancels every appointment; a service job may come back",
    "J8": "Field pages: today, the next step only, notes, photos, signature",
    "J9": "Position posted while on the way, never before or after",
    "J10": "Contract phase of an installation",
    # messages and background jobs
    "N1": "Reminder rules are the partner's rows",
    "N2": "Templates with placeholders, preview and test send, unable to run code",
    "N3": "A message is decided with its cause and sent once",
    "N4": "Delivery with retries; every attempt on the record; opt-out",
    "N5": "One declared list of periodic jobs, shown in the admin",
    "N6": "In the demo nothing leaves the machine: the message log",
    # low-code: what a partner changes without a programmer
    "L1": "Everything a partner sets is in the admin, at once, with an audit trail",
    "L2": "Custom fields",
    "L2a": "Fields required or shown only for some service types",
    "L3": "A change of feature controls can be previewed",
    "L4": "The workflow tables drawn from the table the code obeys",
    "L5": "Settings exported, imported, restored",
    "L6": "Webhooks and a JSON API over the same services",
}
"""Row id -> short title: the project's own list of what it promises."""


def row_ids(item: pytest.Item) -> Iterator[str]:
    """The rows a test says it proves, from its markers, its class's and its module's."""
    for marker in item.iter_markers("row"):
        yield from marker.args


def pytest_runtest_setup(item: pytest.Item) -> None:
    if unknown := unknown_rows([item]):
        pytest.fail(unknown[0], pytrace=False)


def unknown_rows(items: Iterable[pytest.Item]) -> list[str]:
    """A sentence for every row id that a test names and `ROWS` has not."""
    return [
        f"{item.nodeid} names row {row_id!r}; tests/rows.py knows none of that id"
        for item in items
        for row_id in row_ids(item)
        if row_id not in ROWS
    ]


class _Collector:
    """Remembers what pytest collected."""

    def __init__(self) -> None:
        self.items: list[pytest.Item] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.items = session.items


def listing(items: Iterable[pytest.Item]) -> str:
    """Every row with its tests, as text. The parameters of one test count as one test."""
    tests: dict[str, dict[str, int]] = {row_id: {} for row_id in ROWS}
    for item in items:
        name = item.nodeid.split("[")[0]
        for row_id in dict.fromkeys(row_ids(item)):
            tests[row_id][name] = tests[row_id].get(name, 0) + 1
    lines = []
    for row_id, title in ROWS.items():
        lines.append(f"{row_id:<5}{title}" + ("" if tests[row_id] else "  (no test)"))
        lines += [f"       {name}" + (f" ×{count}" if count > 1 else "") for name, count in tests[row_id].items()]
    lines.append(f"{sum(1 for found in tests.values() if found)} of {len(ROWS)} rows have tests")
    return "\n".join(lines)


def main() -> int:
    """Prints the listing; returns 1 when the tests cannot be collected or name a row there is none of."""
    collector, output = _Collector(), io.StringIO()
    with contextlib.redirect_stdout(output):
        result = pytest.main(["--collect-only", "-q"], plugins=[collector])
    if result not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        print(output.getvalue(), file=sys.stderr)
        return 1
    if unknown := unknown_rows(collector.items):
        print("\n".join(unknown), file=sys.stderr)
        return 1
    print(listing(collector.items))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
