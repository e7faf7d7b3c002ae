"""The workbook: a sheet as XLSX, every figure a typed cell, the same bytes for the same version.

It draws the blocks that screen and print draw, so what is hidden there is hidden here. No text of the data
can become a formula or a link. Record lists stay on screen; the workbook names what it leaves out.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import assert_never

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from dashboard.blocks import Block, Feed, Map, Note, Ranking, Sheet, Table, Tiles, Trend
from warehouse.text import Lang, Text

TITLE_WIDTH = 31
"""What Excel allows as the name of a sheet."""
CELL_LENGTH = 32_767
"""What Excel allows in a cell."""
WORDS: dict[str, Text] = {
    "about": Text(zh="说明", en="About"),
    "figures": Text(zh="指标", en="Figures"),
    "definitions": Text(zh="口径", en="Definitions"),
    "place": Text(zh="地区", en="Place"),
    "period": Text(zh="统计时段", en="Period"),
    "compare": Text(zh="比较", en="Comparison"),
    "cutoff": Text(zh="数据截至", en="Data as of"),
    "version": Text(zh="数据版本", en="Data version"),
    "notice": Text(zh="提示", en="Notice"),
    "group": Text(zh="分组", en="Group"),
    "measure": Text(zh="指标", en="Measure"),
    "value": Text(zh="数值", en="Value"),
    "unit": Text(zh="单位", en="Unit"),
    "status": Text(zh="状态", en="Status"),
    "target": Text(zh="目标", en="Target"),
    "counts": Text(zh="分子 / 分母", en="Count / of"),
    "note": Text(zh="备注", en="Remark"),
    "item": Text(zh="项目", en="Item"),
    "text": Text(zh="内容", en="Text"),
    "rank": Text(zh="位次", en="Rank"),
    "name": Text(zh="名称", en="Name"),
    "low": Text(zh="区间下限", en="Interval from"),
    "high": Text(zh="区间上限", en="Interval to"),
    "code": Text(zh="代码", en="Code"),
    "hotspot": Text(zh="标记", en="Mark"),
    "month": Text(zh="时间", en="Time"),
    "time": Text(zh="时间", en="Time"),
    "matter": Text(zh="事项", en="Matter"),
    "left_out": Text(
        zh="未导出（逐条记录，请在系统中查看）", en="Not exported (single records; see them on screen)"
    ),
    "cut": Text(zh="列出 {shown} 行，共 {total} 行", en="{shown} of {total} rows"),
}
_NUMBER = re.compile(r"[+−-]?(?:\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?( ?%)?")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}(?: \d{2}:\d{2}(?::\d{2})?)?")
_FORBIDDEN = re.compile(r"[\[\]:*?/\\\x00-\x1f]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|[\ud800-\udfff]")

Cell = str | float | None


@dataclass(frozen=True)
class _Grid:
    """One sheet of the workbook. `numeric`: positions of columns whose texts are figures where they can be."""

    title: str
    heading: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    numeric: frozenset[int]
    above: str = ""


def render_xlsx(sheet: Sheet, site_name: str, *, made: datetime) -> bytes:
    """The sheet as a workbook in its own language: what it is about, all headline figures, one sheet per
    chart or table, and the definitions.

    `made` is the time of the data version, so that a version always gives the same bytes. A figure is a
    number with the decimals shown (a share is in per cent), a date a date, all else text.
    """
    lang: Lang = "zh" if sheet.lang == "zh" else "en"
    grids = [_about(sheet, site_name, lang), *_grids(sheet.blocks, lang)]
    out = io.BytesIO()
    options = {
        "in_memory": True,
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with xlsxwriter.Workbook(out, options) as book:
        created = made if made.tzinfo is None else made.astimezone(UTC).replace(tzinfo=None)
        book.set_properties({"title": _clean(sheet.title), "created": created.replace(microsecond=0)})
        pen = _Pen(book)
        names: set[str] = set()
        for grid in grids:
            pen.draw(book.add_worksheet(_sheet_name(grid.title, names)), grid)
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

    def draw(self, page: Worksheet, grid: _Grid) -> None:
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
        found = _NUMBER.fullmatch(cell) if numeric else None
        if found:
            figure = float(cell.rstrip(" %").replace(",", "").replace("−", "-"))
            decimals = len(found[1]) - 1 if found[1] else 0
            # A share is kept in per cent, as it is shown: 91.1 under a heading that says so, or with its sign.
            form = "#,##0" + ("." + "0" * decimals if decimals else "") + ('" %"' if found[2] else "")
            page.write_number(row, column, figure, self._format(form))
        elif _MOMENT.fullmatch(cell) and (moment := _moment(cell)) is not None:
            form = {10: "yyyy-mm-dd", 16: "yyyy-mm-dd hh:mm"}.get(len(cell), "yyyy-mm-dd hh:mm:ss")
            page.write_datetime(row, column, moment, self._format(form))
        else:
            page.write_string(row, column, _clean(cell), self._text)

    def _format(self, form: str) -> Format:
        if form not in self._formats:
            self._formats[form] = self._book.add_format({"num_format": form, "valign": "top"})
        return self._formats[form]


def _about(sheet: Sheet, site_name: str, lang: Lang) -> _Grid:
    facts = [
        (WORDS["place"][lang], sheet.place),
        (WORDS["period"][lang], sheet.period),
        (WORDS["compare"][lang], sheet.compare),
        (WORDS["cutoff"][lang], sheet.cutoff),
        (WORDS["version"][lang], sheet.version),
        *((WORDS["notice"][lang], notice) for notice in sheet.notices),
    ]
    for block in sheet.blocks:
        if isinstance(block, Table) and not block.printed:
            facts.append((WORDS["left_out"][lang], block.title))
        if isinstance(block, Note):
            facts.append((block.title, block.text))
            facts.extend(block.items)
    return _Grid(
        WORDS["about"][lang],
        (sheet.title, site_name),
        [row for row in facts if any(row)],
        frozenset(),
    )


def _grids(blocks: Iterable[Block], lang: Lang) -> list[_Grid]:
    """All tiles as one table, then one grid per block, then the definitions."""
    found = list(blocks)
    tiles = [block for block in found if isinstance(block, Tiles)]
    out = [_figures(tiles, lang)] if tiles else []
    for block in found:
        match block:
            case Trend():
                out.append(_trend(block, lang))
            case Ranking():
                out.append(_ranking(block, lang))
            case Table():
                if block.printed:
                    out.append(_table(block, lang))
            case Map():
                out.append(_map(block, lang))
            case Feed():
                out.append(_feed(block, lang))
            case Tiles() | Note():
                pass
            case _:
                assert_never(block)
    if any(tile.passport for group in tiles for tile in group.tiles):
        out.append(_definitions(tiles, lang))
    return out


def _figures(groups: Sequence[Tiles], lang: Lang) -> _Grid:
    changes = list(dict.fromkeys(c.label for group in groups for t in group.tiles for c in t.changes))
    names = ("group", "measure", "value", "unit", "status", "target", "counts")
    rows = []
    for group in groups:
        for tile in group.tiles:
            said = {change.label: change.text for change in tile.changes}
            fixed = (
                group.title, tile.label, tile.value, tile.unit, tile.status, tile.target, tile.counts,
            )  # fmt: skip
            rows.append((*fixed, *(said.get(label, "") for label in changes), tile.note))
    heading = (*(WORDS[name][lang] for name in names), *changes, WORDS["note"][lang])
    return _Grid(WORDS["figures"][lang], heading, rows, frozenset({2}))


def _definitions(groups: Sequence[Tiles], lang: Lang) -> _Grid:
    rows = [
        (tile.label, term, text) for group in groups for tile in group.tiles for term, text in tile.passport
    ]
    heading = (WORDS["measure"][lang], WORDS["item"][lang], WORDS["text"][lang])
    return _Grid(WORDS["definitions"][lang], heading, rows, frozenset())


def _trend(block: Trend, lang: Lang) -> _Grid:
    unit = f" ({block.axis.unit})" if block.axis.unit else ""
    heading = (WORDS["month"][lang], *(f"{series.name}{unit}" for series in block.series))
    rows = [
        (label, *(series.texts[k] if k < len(series.texts) else "" for series in block.series))
        for k, label in enumerate(block.labels)
    ]
    return _Grid(block.title, heading, rows, frozenset(range(1, len(heading))), _said(block))


def _ranking(block: Ranking, lang: Lang) -> _Grid:
    intervals = any(bar.low is not None for bar in block.bars)
    unit = f" ({block.axis.unit})" if block.axis.unit else ""
    names = ("rank", "name", "value", "counts", *(("low", "high") if intervals else ()))
    rows: list[tuple[Cell, ...]] = [
        (bar.rank, bar.label, bar.text, bar.counts, *((bar.low, bar.high) if intervals else ()))
        for bar in block.bars
    ]
    heading = tuple(WORDS[name][lang] + (unit if name in ("value", "low", "high") else "") for name in names)
    return _Grid(block.title, heading, rows, frozenset({0, 2}), _said(block))


def _table(block: Table, lang: Lang) -> _Grid:
    total = max(block.total, len(block.rows))
    above = _said(block)
    if total > len(block.rows):
        above = (
            f"{above} {WORDS['cut'][lang].format(shown=f'{len(block.rows):,}', total=f'{total:,}')}".strip()
        )
    numeric = frozenset(k for k, column in enumerate(block.columns) if column.align == "right")
    heading = tuple(column.label for column in block.columns)
    return _Grid(block.title, heading, [row.cells for row in block.rows], numeric, above)


def _map(block: Map, lang: Lang) -> _Grid:
    heading = tuple(WORDS[name][lang] for name in ("code", "name", "value", "hotspot"))
    # The mark first: what the map rings is what its reader looks for.
    shapes = sorted(block.shapes, key=lambda shape: (not shape.ring, len(shape.ring), shape.ring, shape.code))
    rows = [(shape.code, shape.label, shape.text, shape.ring) for shape in shapes]
    return _Grid(block.title, heading, rows, frozenset({2, 3}), _said(block))


def _feed(block: Feed, lang: Lang) -> _Grid:
    heading = tuple(WORDS[name][lang] for name in ("time", "place", "matter", "status"))
    rows = [(item.time, item.place, item.text, item.state) for item in block.items]
    return _Grid(block.title, heading, rows, frozenset(), block.note)


def _said(block: Trend | Ranking | Table | Map) -> str:
    return " ".join(text for text in (block.sentence, block.note) if text)


def _widths(grid: _Grid) -> list[float]:
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
