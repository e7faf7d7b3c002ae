"""The workbook: a sheet as XLSX, every figure a typed cell, the same bytes for the same version.

It draws the blocks that screen and print draw, so what is hidden there is hidden here. No text of the data
can become a formula or a link. Record lists stay on screen; the workbook names what it leaves out.
"""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from tempfile import gettempdir
from zipfile import ZipFile

import xlsxwriter
from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from dashboard.blocks import Sheet
from dashboard.grids import MOMENT, NUMBER, Cell, Grid, about, grids
from warehouse.mistake import Mistake
from warehouse.text import Lang

TITLE_WIDTH = 31
"""What Excel allows as the name of a sheet."""
CELL_LENGTH = 32_767
"""What Excel allows in a cell."""
_FORBIDDEN = re.compile(r"[\[\]:*?/\\\x00-\x1f]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|[\ud800-\udfff]")


def render_xlsx(sheet: Sheet, site_name: str, *, made: datetime) -> bytes:
    """The sheet as a workbook in its own language: what it is about, all headline figures, one sheet per
    chart or table, and the definitions.

    `made` is the time of the data version, so that a version always gives the same bytes. A figure is a
    number with the decimals shown (a share is in per cent), a date a date, all else text. Rows pass through files of
    their own, so that a long table takes no memory. Raises Mistake where there is no room for these.
    """
    lang: Lang = "zh" if sheet.lang == "zh" else "en"
    out = io.BytesIO()
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    try:
        with xlsxwriter.Workbook(out, options) as book:
            created = made if made.tzinfo is None else made.astimezone(UTC).replace(tzinfo=None)
            book.set_properties({"title": _clean(sheet.title), "created": created.replace(microsecond=0)})
            pen = _Pen(book)
            names: set[str] = set()
            for grid in (about(sheet, site_name, lang), *grids(sheet.blocks, lang)):
                pen.draw(book.add_worksheet(_sheet_name(grid.title, names)), grid)
    except (OSError, FileCreateError) as error:
        raise Mistake(gettempdir(), f"cannot write: {error}", "free space there, or set TMPDIR") from error
    with ZipFile(out, "a") as archive:
        # Else the rights of those files, which are the process's own, would be in the bytes.
        for part in archive.infolist():
            part.external_attr = 0o600 << 16
        archive.comment = b""
    return out.getvalue()


class _Pen:
    """Formats are made once per workbook, one per number of decimals."""

    def __init__(self, book: xlsxwriter.Workbook) -> None:
        self._book = book
        self._heading = book.add_format(
            {"bold": True, "bg_color": "#17335f", "font_color": "#ffffff", "text_wrap": True, "valign": "top"}
        )
        self._above = book.add_format({"italic": True, "font_color": "#5b6b80"})
        self._text = book.add_format({"text_wrap": True, "valign": "top"})
        self._formats: dict[str, Format] = {}

    def draw(self, page: Worksheet, grid: Grid) -> None:
        """The heading stays in view and filters its columns; what is said about the table stands above it."""
        first = 0
        # In this mode rows go to the file one by one, so widths come from what is known before.
        for column, width in enumerate(_widths(grid)):
            page.set_column(column, column, width)
        if grid.above:
            page.write_string(0, 0, _clean(grid.above), self._above)
            first = 1
        for column, text in enumerate(grid.heading):
            page.write_string(first, column, _clean(text), self._heading)
        page.freeze_panes(first + 1, 1 if len(grid.heading) > 2 else 0)
        if grid.rows:
            page.autofilter(first, 0, first + len(grid.rows), len(grid.heading) - 1)
        for number, row in enumerate(grid.rows, start=first + 1):
            for column, cell in enumerate(row):
                self._write(page, number, column, cell, column in grid.numeric)

    def _write(self, page: Worksheet, row: int, column: int, cell: Cell, numeric: bool) -> None:
        if cell is None or cell == "":
            return
        if isinstance(cell, float):
            page.write_number(row, column, cell, self._format("0.0"))
            return
        found = NUMBER.fullmatch(cell) if numeric else None
        if found:
            figure = float(cell.rstrip(" %").replace(",", "").replace("−", "-"))
            decimals = len(found[1]) - 1 if found[1] else 0
            # A share is kept in per cent, as it is shown: 91.1 under a heading that says so, or with its sign.
            form = "#,##0" + ("." + "0" * decimals if decimals else "") + ('" %"' if found[2] else "")
            page.write_number(row, column, figure, self._format(form))
        elif MOMENT.fullmatch(cell) and (moment := _moment(cell)) is not None:
            form = {10: "yyyy-mm-dd", 16: "yyyy-mm-dd hh:mm"}.get(len(cell), "yyyy-mm-dd hh:mm:ss")
            page.write_datetime(row, column, moment, self._format(form))
        else:
            page.write_string(row, column, _clean(cell), self._text)

    def _format(self, form: str) -> Format:
        if form not in self._formats:
            self._formats[form] = self._book.add_format({"num_format": form, "valign": "top"})
        return self._formats[form]


def _widths(grid: Grid) -> list[float]:
    """Wide enough for the heading and the first rows; a Chinese character counts two."""
    widths = []
    for column, heading in enumerate(grid.heading):
        cells = (row[column] for row in grid.rows[:200] if column < len(row))
        longest = max((_wide(str(cell)) for cell in (heading, *cells) if cell is not None), default=0)
        widths.append(min(60.0, max(8.0, longest + 2.0)))
    return widths


def _wide(text: str) -> int:
    return sum(2 if ord(character) > 0x2E7F else 1 for character in text)


def _sheet_name(title: str, used: set[str]) -> str:
    """A title as Excel allows it: no []:*?/\\, no quote at an end, 31 characters, no name twice."""
    base = _FORBIDDEN.sub(" ", _clean(title)).strip().strip("'").strip() or "-"
    if base.lower() == "history":
        base += " "  # a name Excel keeps for itself
    number = 1
    name = _cut(base, TITLE_WIDTH)
    while name.lower() in used:
        number += 1
        end = f" ({number})"
        name = _cut(base, TITLE_WIDTH - len(end)) + end
    used.add(name.lower())
    return name


def _clean(text: str) -> str:
    """Text that XML can hold, no longer than a cell."""
    return _cut(_CONTROL.sub("\ufffd", text), CELL_LENGTH)


def _cut(text: str, length: int) -> str:
    """The start of a text, as long as Excel counts: in units of UTF-16, no character halved."""
    if 2 * len(text) <= length:
        return text
    return text.encode("utf-16-le")[: 2 * length].decode("utf-16-le", errors="ignore")


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.year >= 1900 else None
