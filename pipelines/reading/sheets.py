"""Workbooks: the sheets that carry a contract's headings.

Hidden sheets, rows and columns are read as any other: what is hidden is mostly a filter someone left on, and
to leave it out would lose records without a word. Formulas count with the value they had when the workbook
was saved; macros are never looked at.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import MAXYEAR, date, datetime, time, timedelta
from itertools import chain, islice
from pathlib import Path
from typing import Any

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook

from pipelines.contract import Contract, heading
from pipelines.reading import biff, ooxml
from pipelines.reading.headings import (
    HEADER_WITHIN,
    Layout,
    Refused,
    demand_columns,
    find_header,
    is_total,
    layout_of,
    no_headings,
)
from pipelines.reading.ooxml import Facts, Odd
from pipelines.reading.raw import Cells

EXACT_BELOW = 1e15
"""Spreadsheets keep 15 digits: a number of more has lost its last ones."""
FIRST_SERIAL, LAST_SERIAL = 1, 2958465
"""1900-01-01 and 9999-12-31 as days."""
YEARS = range(1900, 2200)
"""Whole numbers that are years rather than days: as days they would lie in 1905 and 1906."""
_ERA = datetime.fromisoformat("1899-12-30")
_ERA_1904 = datetime.fromisoformat("1904-01-01")
_LEAP_DAY = 60
"""The 29th of February 1900, which spreadsheets count and which never was."""
_Area = tuple[tuple[int, int], tuple[int, int]]
"""(first row, first column), (last row, last column), from 0."""


def read_workbook(path: Path, contract: Contract, cells: Cells) -> None:
    """All sheets that carry the contract's headings, of an XLSX or XLS. Raises Refused."""
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith(biff.MAGIC):
        book = biff.opened(path)
    elif head.startswith(b"PK\3\4"):
        book = ooxml.opened(path)
    else:
        demand_no_markup(head)
        raise Refused(
            "不是工作簿:内容是文本,请以 .csv 命名",
            "not a readable workbook: a text named as one? name it .csv",
        )
    with _readable(), CalamineWorkbook.from_filelike(book.file) as sheets:
        found = [
            _read_sheet(sheets.get_sheet_by_index(number), facts, book.from_1904, contract, cells)
            for number, facts in enumerate(book.facts)
        ]
        cells.beside = [number for number, (has, filled) in enumerate(found, start=1) if filled and not has]
    if not any(has for has, _ in found):
        raise no_headings(contract)


def demand_no_markup(head: bytes) -> None:
    """Raises Refused for a web page or an XML table, which many systems export under the name .xls."""
    text = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").lower()
    if text.startswith(b"<") or text.startswith((b"mime-version:", b"content-type: multipart")):
        raise Refused(
            "是网页(HTML)或 XML 表格而非工作簿:请用电子表格软件打开后另存为 .xlsx",
            "a web page (HTML) or XML table, not a workbook: open it in a spreadsheet program and save it as .xlsx",
        )


@contextmanager
def _readable() -> Iterator[None]:
    """Turns what the reader of cells cannot make sense of into Refused."""
    try:
        yield
    except CalamineError as error:
        raise Refused("无法读取的工作簿", f"not a readable workbook: {error}".splitlines()[0]) from error
    except BaseException as error:
        # A panic of its Rust code is none of Python's `Exception`s.
        if type(error).__name__ != "PanicException":
            raise
        raise Refused("无法读取的工作簿", "not a readable workbook: its reader gave up") from error


@dataclass
class _Column:
    """A used column: where it stands and what its cells must be."""

    at: int
    moment: bool = False
    identity: bool = False
    required: bool = False
    values: list[Any] = field(default_factory=list)


_PLAIN = _Column(at=0)


def _read_sheet(
    sheet: CalamineSheet, facts: Facts, from_1904: bool, contract: Contract, cells: Cells
) -> tuple[bool, int]:
    """Take in the records of a sheet that has the headings; count the rows of one that has not. Whether it has
    them, and those rows."""
    # A sheet's rows are given from its first row on, but from the first column that holds something.
    left = [""] * (sheet.start[1] if sheet.start else 0)
    rows: Iterator[list[Any]] = (left + row for row in sheet.iter_rows()) if left else sheet.iter_rows()
    head = list(islice(rows, HEADER_WITHIN + 1))
    merged = sorted(sheet.merged_cell_ranges or ())
    found = _headings(head, merged, contract)
    # A summary beside the records may share some of their headings, but not their key.
    if found is None or contract.dataset.key not in found[1].sources:
        filled = sum(1 for row in chain(head, rows) if _lead(row) is not None)
        cells.ignored += filled
        return False, filled
    at, layout = found
    demand_columns(layout, contract)
    columns = {name: _column(name, place, layout, contract) for name, place in layout.used()}
    used = {column.at for column in columns.values()}
    odd = {place: why for place, why in facts.odd.items() if place[0] > at and place[1] in used}
    below = enumerate(chain(head[at + 1 :], rows), start=at + 1)
    numbers, ignored = _gather(below, head[at], list(columns.values()), {row for row, _ in odd})
    _fill_down(numbers, columns.values(), [area for area in merged if area[0][0] > at], odd)
    faults = _faults(numbers, columns.values(), odd)
    era = _ERA_1904 if from_1904 else _ERA
    for record, fault in faults.items():
        cells.faults[cells.rows + record] = fault, None
    cells.ignored += ignored
    texts = {name: [_text(value, column, era) for value in column.values] for name, column in columns.items()}
    cells.add(layout, [number + 1 for number in numbers], texts)
    return True, 0


def _headings(
    head: Sequence[Sequence[Any]], merged: Sequence[_Area], contract: Contract
) -> tuple[int, Layout] | None:
    """(last row of the headings, layout): one row of them, or groups above and headings below."""
    texts = [[_text(cell, _PLAIN, _ERA) for cell in row] for row in head]
    found = find_header(texts[:HEADER_WITHIN], contract)
    known = {heading(text) for rule in contract.fields.values() for text in rule.headings}
    for at in range(min(HEADER_WITHIN, len(texts)) - 1):
        layout = layout_of(_joined(texts[at], texts[at + 1], at, merged, known), contract)
        if layout.sources and len(layout.sources) > (len(found[1].sources) if found else 1):
            found = at + 1, layout
    return found


def _joined(
    groups: Sequence[str], below: Sequence[str], at: int, merged: Sequence[_Area], known: set[str]
) -> list[str]:
    """One heading a column from a row of groups and the row below it: 受理 above 时间 may be 受理时间, 时间受理
    or 时间, whichever the contract knows. A group reaches as far as its cell is merged."""
    width = max(len(groups), len(below))
    above = [*groups, *[""] * (width - len(groups))]
    for (top, left), (bottom, right) in merged:
        if top <= at <= bottom:
            for column in range(left + 1, min(right + 1, width)):
                above[column] = above[column] or above[left]
    out: list[str] = []
    for group, name in zip(above, [*below, *[""] * (width - len(below))], strict=True):
        spelled = [group + name, name + group, name] if name.strip() else [group]
        out.append(next((text for text in spelled if heading(text) in known), spelled[0]))
    return out


def _column(name: str, at: int, layout: Layout, contract: Contract) -> _Column:
    rules = [contract.fields[key] for key, headings in layout.sources.items() if name in headings]
    return _Column(
        at=at,
        moment=any(rule.type in ("date", "time") for rule in rules),
        identity=any(rule.type in ("code", "text") for rule in rules),
        required=any(rule.required and rule.default is None for rule in rules),
    )


def _lead(row: Sequence[Any]) -> Any:
    """The first cell that is not blank; None in a blank row."""
    for cell in row:
        if cell != "" and not (isinstance(cell, str) and cell.isspace()):
            return cell
    return None


def _gather(
    rows: Iterable[tuple[int, Sequence[Any]]],
    head: Sequence[Any],
    columns: Sequence[_Column],
    odd: Set[int],
) -> tuple[list[int], int]:
    """Take the used cells of all rows that are records: (their row numbers, how many rows are none).

    Totals and headings repeated are no records, and blank rows only where no formula without a value stands.
    """
    numbers: list[int] = []
    ignored = last = 0
    places = [(column.at, column.values.append) for column in columns]
    for number, row in rows:
        lead, width, last = _lead(row), len(row), number
        if lead is None:
            none = number not in odd
        else:
            none = isinstance(lead, str) and (
                is_total([lead]) or all(at < width and row[at] == head[at] != "" for at, _ in places)
            )
        if none:
            ignored += 1
            continue
        numbers.append(number)
        for at, append in places:
            append(row[at] if at < width else "")
    # The reader stops at the last cell with a value; formulas without one may stand below it.
    for number in sorted(number for number in odd if number > last):
        numbers.append(number)
        for _, append in places:
            append("")
    return numbers, ignored


def _fill_down(
    numbers: Sequence[int],
    columns: Iterable[_Column],
    merged: Iterable[_Area],
    odd: dict[tuple[int, int], Odd],
) -> None:
    """A cell merged over several rows holds for each of them that is a record."""
    by_column: dict[int, list[_Area]] = {}
    for area in merged:
        by_column.setdefault(area[0][1], []).append(area)
    for column in columns:
        reached = -1
        for (top, _), (bottom, _) in by_column.get(column.at, ()):
            # Cells that are merged twice are in no sound workbook.
            if top <= reached:
                continue
            reached = bottom
            first, end = bisect_left(numbers, top), bisect_right(numbers, bottom)
            if first == end or numbers[first] != top:
                continue
            for record in range(first + 1, end):
                if column.values[record] == "":
                    column.values[record] = column.values[first]
                    if (top, column.at) in odd:
                        odd[numbers[record], column.at] = odd[top, column.at]


def _faults(
    numbers: Sequence[int], columns: Iterable[_Column], odd: Mapping[tuple[int, int], Odd]
) -> dict[int, str]:
    """Record (from 0) → why it cannot be trusted."""
    faults: dict[int, str] = {}
    records = {number: record for record, number in enumerate(numbers)} if odd else {}
    for column in columns:
        for (row, at), why in odd.items():
            if at == column.at and row in records and (why == "formula" or column.required):
                faults[records[row]] = why
        if column.identity:
            for record, value in enumerate(column.values):
                if type(value) is float and not -EXACT_BELOW < value < EXACT_BELOW:
                    faults.setdefault(record, "digits")
    return faults


def _text(value: Any, column: _Column, era: datetime) -> str:
    """A cell as text: ISO dates, whole numbers without '.0', yes/no as true/false, serials as dates."""
    if type(value) is str:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | int):
        if column.moment and (moment := _moment(value, era)) is not None:
            return moment
        whole = math.isfinite(value) and value == int(value) and abs(value) < EXACT_BELOW
        return str(int(value)) if whole else repr(value)
    if isinstance(value, datetime):
        return _rounded(value)
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)


def _moment(serial: float, era: datetime) -> str | None:
    """A serial number, days since `era`, as a date, with the time where it has one; None for other numbers."""
    if not FIRST_SERIAL <= serial < LAST_SERIAL + 1 or serial in YEARS:
        return None
    if era == _ERA and serial < _LEAP_DAY + 1:
        if serial >= _LEAP_DAY:
            return None
        serial += 1
    try:
        moment = era + timedelta(days=serial)
    except OverflowError:
        return None
    return moment.date().isoformat() if serial == int(serial) else _rounded(moment)


def _rounded(moment: datetime) -> str:
    """To the millisecond, which is as exact as a serial number is."""
    rest = moment.microsecond % 1000
    moment -= timedelta(microseconds=rest)
    if rest >= 500 and moment.year < MAXYEAR:
        moment += timedelta(milliseconds=1)
    return moment.isoformat(sep=" ", timespec="milliseconds" if moment.microsecond else "seconds")
