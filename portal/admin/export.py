"""Lists as files, CSV and XLSX (P16): written a few rows at a time, and nothing in them computes.

XLSX by openpyxl's write-only workbook, which keeps its rows on disk, where tablib holds every one of them in memory.
"""

from __future__ import annotations

import csv
import io
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from flask import Response, send_file, stream_with_context
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from portal.web import formats

CSV, XLSX = "csv", "xlsx"
TYPES = {CSV: "text/csv", XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
# A spreadsheet computes what begins so; digits and blanks after a plus are a telephone number and compute nothing.
FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")
PHONE = re.compile(r"\+[0-9 ]+")
# What no XML can hold.
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
# A file bigger than this waits on disk rather than in memory.
IN_MEMORY = 512 * 1024
SHEET_ROWS = 1_000_000
COLUMN_WIDTH = 22
DAY_SHAPE, INSTANT_SHAPE = "yyyy-mm-dd", "yyyy-mm-dd hh:mm"

Columns = Mapping[str, Callable[[Any], Any]]
Batches = Iterable[Sequence[Any]]


def file_of(kind: str, name: str, columns: Columns, batches: Batches) -> Response:
    """Return the answer that brings ``batches`` of rows as a file called ``name``; instants in the partner's zone."""
    if kind == CSV:
        # With its context, so that what is written while sending is in the zone and the language of the request.
        answer = Response(stream_with_context(csv_lines(columns, batches)), mimetype=TYPES[CSV])
        answer.headers.set("Content-Disposition", "attachment", filename=name)
    else:
        answer = send_file(workbook(columns, batches), TYPES[XLSX], as_attachment=True, download_name=name)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def csv_lines(columns: Columns, batches: Batches) -> Iterator[str]:
    """Yield a CSV file: the headings, then each batch of rows."""
    # The mark by which spreadsheets know UTF-8.
    yield "\ufeff" + csv_text([list(columns)])
    for batch in batches:
        yield csv_text([[value_of(row) for value_of in columns.values()] for row in batch])


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Return lines of CSV in which no spreadsheet finds a formula."""
    text = io.StringIO()
    csv.writer(text).writerows([_harmless(value) for value in row] for row in rows)
    return text.getvalue()


def _harmless(value: Any) -> Any:
    if isinstance(value, datetime):
        return _local(value).isoformat(" ", "minutes")
    if value is None or isinstance(value, int | date):
        return value
    text = str(value)
    return f"'{text}" if FORMULA.match(text) and not PHONE.fullmatch(text) else text


def workbook(columns: Columns, batches: Batches) -> Any:
    """Return an open file that holds an XLSX workbook: headings that stay in view, then the rows; dates are dates."""
    book = Workbook(write_only=True)
    sheet: Any = None
    # More than a sheet can hold goes on to the next one.
    room = 0
    for batch in batches:
        for row in batch:
            if not room:
                sheet, room = _sheet(book, columns), SHEET_ROWS
            sheet.append([_cell(sheet, value_of(row)) for value_of in columns.values()])
            room -= 1
    if sheet is None:
        _sheet(book, columns)
    file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 (closed with the answer)
    book.save(file)
    file.seek(0)
    return file


def _sheet(book: Any, columns: Columns) -> Any:
    sheet = book.create_sheet()
    sheet.freeze_panes = "A2"
    for number in range(1, len(columns) + 1):
        sheet.column_dimensions[get_column_letter(number)].width = COLUMN_WIDTH
    headings = [WriteOnlyCell(sheet, heading) for heading in columns]
    for heading in headings:
        heading.font = Font(bold=True)
    sheet.append(headings)
    return sheet


def _cell(sheet: Any, value: Any) -> Any:
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, datetime):
        return _shaped(sheet, _local(value), INSTANT_SHAPE)
    if isinstance(value, date):
        return _shaped(sheet, value, DAY_SHAPE)
    text = UNPRINTABLE.sub("", str(value))
    if not FORMULA.match(text) and not text.startswith("#"):
        return text
    # Text whatever it begins with, and still text when somebody edits the cell.
    cell = WriteOnlyCell(sheet, text)
    cell.data_type = "s"
    cell.quotePrefix = True
    return cell


def _shaped(sheet: Any, value: date, shape: str) -> Any:
    cell = WriteOnlyCell(sheet, value)
    cell.number_format = shape
    return cell


def _local(instant: datetime) -> datetime:
    """Return the clock of the partner's zone at ``instant``: a spreadsheet knows no zones."""
    return instant.astimezone(formats.zone_of()).replace(tzinfo=None, second=0, microsecond=0)
