"""Blocks as rows and columns: what a workbook writes on its sheets and a CSV file in its lines.

What is hidden on the screen is hidden here: the texts are those of the blocks. Record lists are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from dashboard.blocks import Block, Feed, Map, Note, Ranking, Sheet, Table, Tiles, Trend
from warehouse.text import Lang, Text

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
NUMBER = re.compile(r"[+−-]?(?:\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?( ?%)?")
MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}(?: \d{2}:\d{2}(?::\d{2})?)?")

Cell = str | float | None


@dataclass(frozen=True)
class Grid:
    """One table. `numeric`: positions of columns whose texts are figures where they can be. `block`: the position of
    the block it is of among those of the page (of the first one, where all tiles are one table), or -1."""

    title: str
    heading: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    numeric: frozenset[int]
    above: str = ""
    block: int = -1


def carried(sheet: Sheet, lang: Lang) -> list[tuple[str, str]]:
    """What every copy says of itself: its place and period, the data it rests on, and its notices."""
    return [
        (WORDS["place"][lang], sheet.place),
        (WORDS["period"][lang], sheet.period),
        (WORDS["compare"][lang], sheet.compare),
        (WORDS["cutoff"][lang], sheet.cutoff),
        (WORDS["version"][lang], sheet.version),
        *((WORDS["notice"][lang], notice) for notice in sheet.notices),
    ]


def about(sheet: Sheet, site_name: str, lang: Lang) -> Grid:
    """What the copy says of itself, the page's notes, and what is left out."""
    facts = carried(sheet, lang)
    for block in sheet.blocks:
        if isinstance(block, Table) and not block.printed:
            facts.append((WORDS["left_out"][lang], block.title))
        if isinstance(block, Note):
            facts.append((block.title, block.text))
            facts.extend(block.items)
    return Grid(
        WORDS["about"][lang],
        (sheet.title, site_name),
        [row for row in facts if any(row)],
        frozenset(),
    )


def grids(blocks: Iterable[Block], lang: Lang) -> list[Grid]:
    """All tiles as one table, then one grid per block, then the definitions."""
    found = list(blocks)
    tiles = [block for block in found if isinstance(block, Tiles)]
    out = [replace(_figures(tiles, lang), block=found.index(tiles[0]))] if tiles else []
    for position, block in enumerate(found):
        grid = _grid(block, lang)
        if grid is not None:
            out.append(replace(grid, block=position))
    if any(tile.passport for group in tiles for tile in group.tiles):
        out.append(_definitions(tiles, lang))
    return out


def _grid(block: Block, lang: Lang) -> Grid | None:
    match block:
        case Trend():
            return _trend(block, lang)
        case Ranking():
            return _ranking(block, lang)
        case Table():
            return _table(block, lang) if block.printed else None
        case Map():
            return _map(block, lang)
        case Feed():
            return _feed(block, lang)
        case Tiles() | Note():
            return None
        case _:
            assert_never(block)


def _figures(groups: Sequence[Tiles], lang: Lang) -> Grid:
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
    return Grid(WORDS["figures"][lang], heading, rows, frozenset({2}))


def _definitions(groups: Sequence[Tiles], lang: Lang) -> Grid:
    rows = [
        (tile.label, term, text) for group in groups for tile in group.tiles for term, text in tile.passport
    ]
    heading = (WORDS["measure"][lang], WORDS["item"][lang], WORDS["text"][lang])
    return Grid(WORDS["definitions"][lang], heading, rows, frozenset())


def _trend(block: Trend, lang: Lang) -> Grid:
    unit = f" ({block.axis.unit})" if block.axis.unit else ""
    heading = (WORDS["month"][lang], *(f"{series.name}{unit}" for series in block.series))
    rows = [
        (label, *(series.texts[k] if k < len(series.texts) else "" for series in block.series))
        for k, label in enumerate(block.labels)
    ]
    return Grid(block.title, heading, rows, frozenset(range(1, len(heading))), _said(block))


def _ranking(block: Ranking, lang: Lang) -> Grid:
    intervals = any(bar.low is not None for bar in block.bars)
    unit = f" ({block.axis.unit})" if block.axis.unit else ""
    names = ("rank", "name", "value", "counts", *(("low", "high") if intervals else ()))
    rows: list[tuple[Cell, ...]] = [
        (bar.rank, bar.label, bar.text, bar.counts, *((bar.low, bar.high) if intervals else ()))
        for bar in block.bars
    ]
    heading = tuple(WORDS[name][lang] + (unit if name in ("value", "low", "high") else "") for name in names)
    return Grid(block.title, heading, rows, frozenset({0, 2}), _said(block))


def _table(block: Table, lang: Lang) -> Grid:
    total = max(block.total, len(block.rows))
    above = _said(block)
    if total > len(block.rows):
        above = (
            f"{above} {WORDS['cut'][lang].format(shown=f'{len(block.rows):,}', total=f'{total:,}')}".strip()
        )
    numeric = frozenset(k for k, column in enumerate(block.columns) if column.align == "right")
    heading = tuple(column.label for column in block.columns)
    return Grid(block.title, heading, [row.cells for row in block.rows], numeric, above)


def _map(block: Map, lang: Lang) -> Grid:
    heading = tuple(WORDS[name][lang] for name in ("code", "name", "value", "hotspot"))
    # The mark first: what the map rings is what its reader looks for.
    shapes = sorted(block.shapes, key=lambda shape: (not shape.ring, len(shape.ring), shape.ring, shape.code))
    rows = [(shape.code, shape.label, shape.text, shape.ring) for shape in shapes]
    return Grid(block.title, heading, rows, frozenset({2, 3}), _said(block))


def _feed(block: Feed, lang: Lang) -> Grid:
    heading = tuple(WORDS[name][lang] for name in ("time", "place", "matter", "status"))
    rows = [(item.time, item.place, item.text, item.state) for item in block.items]
    return Grid(block.title, heading, rows, frozenset(), block.note)


def _said(block: Trend | Ranking | Table | Map) -> str:
    return " ".join(text for text in (block.sentence, block.note) if text)
