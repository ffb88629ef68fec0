"""Lists as files (P16): exactly what is filtered or ticked, CSV and XLSX, nothing that computes, dates as dates."""

from __future__ import annotations

import csv
import io
import itertools
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urljoin

import pytest
from openpyxl import load_workbook
from werkzeug.test import TestResponse

from portal.admin import export
from portal.domain.jobs import services
from portal.domain.jobs.models import Job
from portal.domain.people.models import Customer
from portal.domain.unit_of_work import unit_of_work
from tests.factories import Create
from tests.web.office import NOW, TUESDAY, URL, Office, clock, office

__all__ = ["clock", "office"]

DAY = timedelta(days=1)
FORMULAS = ("=1+1", "+1+1", "-1+1", "@SUM(1)", "\t=1", "\n=1", "＝1+1", "#N/A", "=cmd|' /C calc'!A0")

pytestmark = pytest.mark.row("P16")


def csv_rows(answer: TestResponse) -> list[list[str]]:
    text = answer.get_data(as_text=True)
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def sheet_of(answer: TestResponse) -> list[tuple[Any, ...]]:
    """Return the cells of the one sheet."""
    book = load_workbook(io.BytesIO(answer.get_data()))
    return list(book.worksheets[0].iter_rows())


def both(office: Office, name: str, query: str = "") -> tuple[list[list[str]], list[list[Any]]]:
    """Return what an export holds as CSV and as XLSX, headings and all."""
    answers = [
        office.site.client.get(f"/admin/{name}/export/{kind}/{query}", buffered=True) for kind in ("csv", "xlsx")
    ]
    for answer, kind in zip(answers, ("csv", "xlsx"), strict=True):
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Content-Disposition"].startswith(f"attachment; filename={name}-2026-11-20.{kind}")
        assert answer.mimetype == export.TYPES[kind]
    return csv_rows(answers[0]), [[cell.value for cell in row] for row in sheet_of(answers[1])]


def test_installations_are_written_with_everything_and_in_the_zone_of_the_partner(
    office: Office, create_partner: Create, create_staff: Create
) -> None:
    auckland = create_partner(timezone="Pacific/Auckland", staff_term="Installer")
    job = office._create(
        auckland,
        start=datetime(2026, 11, 23, 21, 30, tzinfo=UTC),
        items=(("Heat pump", 1), ("Cylinder", 2)),
        notes="Line one\nline two",
    )
    office.do(
        services.reject,
        job.id,
        "No room",
        actor=office.staff.__class__(None, office.staff.role, "Kiri", frozenset({auckland.id})),
    )
    office.site.sign_out()
    office.site.sign_in(create_staff(auckland))
    text, sheet = both(office, "installations")
    expected = {
        "Number": job.number,
        "Title": "Heat pump, Cylinder",
        "Status": "Rejected",
        "Street and number": "14 Alder Close",
        "Town or city": "Bristol",
        "Postcode": "BS6 5QT",
        "Start": datetime(2026, 11, 24, 10, 30),  # noqa: DTZ001 (as a spreadsheet has it)
        "End": datetime(2026, 11, 24, 12, 30),  # noqa: DTZ001
        "Installer": None,
        "Items": "1 × Heat pump; 2 × Cylinder",
        "Notes": "Line one\nline two",
        "Reason": "No room",
    }
    assert len(sheet) == len(text) == 2
    in_sheet, in_text = dict(zip(*sheet, strict=True)), dict(zip(*text, strict=True))
    assert {name: in_sheet[name] for name in expected} == expected
    assert {name: in_text[name] for name in expected} == expected | {
        "Start": "2026-11-24 10:30", "End": "2026-11-24 12:30", "Installer": "",
    }  # fmt: skip
    cells = sheet_of(office.site.client.get("/admin/installations/export/xlsx/", buffered=True))
    start = cells[1][text[0].index("Start")]
    assert (start.is_date, start.number_format) == (True, "yyyy-mm-dd hh:mm")
    assert cells[0][0].font.bold


def test_exactly_what_is_filtered_past_and_to_come(office: Office) -> None:
    past = office.create(start=NOW - 3 * DAY, now=NOW - 9 * DAY)
    mine = office.create(start=TUESDAY + DAY, technician=office.ines)
    other = office.create(start=TUESDAY)
    for query, expected in {
        "": [past, other, mine],
        "?sort=-number": [other, mine, past],
        f"?technician={office.ines.id}": [mine],
        "?first=2026-11-24": [other],
        "?technician=none&q=alder&after=%5B9%5D": [past, other],
        "?group=Rejected": [],
    }.items():
        text, sheet = both(office, "installations", query)
        numbers = [job.number for job in expected]
        assert [row[0] for row in text[1:]] == [row[0] for row in sheet[1:]] == numbers, query


def test_only_what_is_ticked(office: Office, create_partner: Create) -> None:
    foreign = office._create(create_partner(), start=TUESDAY)
    first, second, third = (office.create(start=TUESDAY + day * DAY) for day in range(3))
    office.site.get(f"{URL}?sort=-date")
    form = office.site.page.select_one("form[data-bulk]")
    assert form is not None
    for button in form.select("button[formaction*=export]"):
        values = {"csrf_token": form.select_one("[name=csrf_token]")["value"]}  # type: ignore[index]
        for picks, expected in (
            ({"pick": [first.id, third.id, foreign.id, "x", "9" * 30]}, [third, first]),
            ({"pick": [first.id], "all": "1"}, [third, second, first]),
        ):
            target = urljoin(URL, str(button["formaction"]))
            answer = office.site.client.post(target, data=values | picks, buffered=True)
            rows = csv_rows(answer) if "csv" in answer.mimetype else [[one[0].value] for one in sheet_of(answer)]
            assert [row[0] for row in rows[1:]] == [job.number for job in expected]


def test_nothing_computes_in_either_format(office: Office, create_customer: Create) -> None:
    for text in (*FORMULAS, "+44 7700 900233", "A\x0bB\ufffe", 'é😀\r\n,";', "x" * 40_000):
        with unit_of_work(office.session) as session:
            session.add(Customer(partner_id=office.partner.id, name=text[:100], access_notes=text))
    column = 4
    text, sheet = both(office, "customers")
    assert text[0][column] == sheet[0][column] == "Access notes"
    harmless = {row[column] for row in text[1:]}
    assert {f"'{one}" for one in FORMULAS if one[0] != "#"} | {"#N/A", "+44 7700 900233", "x" * 40_000} <= harmless
    cells = [
        row[column] for row in sheet_of(office.site.client.get("/admin/customers/export/xlsx/", buffered=True))[1:]
    ]
    assert {cell.data_type for cell in cells if cell.value} == {"s"}
    assert {*FORMULAS, "+44 7700 900233", "AB", "x" * 32_767} <= {cell.value for cell in cells}
    assert all(cell.quotePrefix for cell in cells if cell.value in FORMULAS)


def test_every_list_can_be_had_in_both_formats(office: Office, create_staff: Create) -> None:
    job = office.create(technician=office.ines)
    office.site.sign_out()
    office.site.sign_in(create_staff(office.partner, role="partner_admin"))
    for name, found in {
        "installations": ["D-1001", "Heat pump", "Installer assigned"],
        "customers": ["Priya Raman", "priya@mail.example"],
        "technicians": ["Ines Kowalski"],
        "service-types": ["Heat pump", 120, 120, 30, 0, 0, None, "yes"],
        "messages": [
            job.created_at.replace(tzinfo=None),
            "Visit booked",
            "Email",
            "Priya Raman",
            "priya@mail.example",
            "Planned",
        ],
    }.items():
        page = office.site.get(f"/admin/{name}/")
        assert page.status_code == 200
        links = [str(link["href"]) for link in office.site.page.select(".menu-list a")]
        assert links == ["export/csv/", "export/xlsx/"]
        text, sheet = both(office, name)
        assert text[0] == sheet[0]
        assert sheet[1][: len(found)] == found
    assert office.site.client.get("/admin/customers/export/pdf/").status_code == 404


def test_a_long_export_is_read_as_it_is_sent(office: Office, statements: list[str]) -> None:
    job = office.job(office.create())
    names = [column.key for column in Job.__mapper__.column_attrs if column.key not in {"id", "version"}]
    same = {name: getattr(job, name) for name in names}
    with unit_of_work(office.session) as session:
        session.add_all(Job(**(same | {"number": f"D-{index}"})) for index in range(5_000, 6_200))
    statements.clear()
    answer = office.site.client.get("/admin/installations/export/csv/", buffered=False)
    assert answer.is_streamed
    parts = iter(answer.response)
    said = []
    for _ in range(3):
        next(parts)
        said.append(sum("FROM jobs" in statement for statement in statements))
    # The headings, then each batch when the one before it is sent.
    assert said == [0, 1, 2]
    assert len("".join(part.decode() for part in parts).splitlines()) == 201
    answer.close()
    assert len(sheet_of(office.site.client.get("/admin/installations/export/xlsx/", buffered=True))) == 1 + 1_201


def test_a_sheet_that_is_full_goes_on_in_the_next(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "SHEET_ROWS", 2)
    rows = [[1, 2], [3], []]
    with export.workbook({"N": lambda row: row, "D": lambda row: date(2026, 1, row)}, rows) as file:
        book = load_workbook(file)
    read = [[tuple(cell.value for cell in row) for row in sheet.iter_rows()] for sheet in book.worksheets]
    day = [datetime(2026, 1, number) for number in (1, 2, 3)]  # noqa: DTZ001
    assert read == [[("N", "D"), (1, day[0]), (2, day[1])], [("N", "D"), (3, day[2])]]
    assert len(list(itertools.chain(*read))) == 5
